"""Multilayer perceptrons."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

__all__ = ["ACTIVATIONS", "mlp"]

ACTIVATIONS = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leaky-relu": lambda: nn.LeakyReLU(0.2),
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


def mlp(
    sizes: Sequence[int],
    *,
    activation: str = "silu",
    layer_norm: bool = False,
    activate_input: bool = False,
) -> nn.Sequential:
    """A multilayer perceptron with a linear last layer.

    Parameters
    ----------
    sizes : sequence of int
        Widths of the input, of each hidden layer and of the output.
    activation : str
        A key of `ACTIVATIONS`.
    layer_norm : bool
        Whether to normalise each hidden layer before its activation.
    activate_input : bool
        Whether the input is itself a hidden layer that still wants its normalisation and
        activation, as the factored first layer of a concat critic does.

    Returns
    -------
    torch.nn.Sequential

    Raises
    ------
    ValueError
        If the activation is unknown.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"Unknown activation {activation!r}. Choose one of {sorted(ACTIVATIONS)}.")
    layers: list[nn.Module] = []

    def activate(width: int) -> None:
        if layer_norm:
            layers.append(nn.LayerNorm(width))
        layers.append(ACTIVATIONS[activation]())

    if activate_input:
        activate(sizes[0])
    for n_in, n_out in pairwise(sizes):
        layers.append(nn.Linear(n_in, n_out))
        activate(n_out)
    del layers[-2 if layer_norm else -1 :]
    return nn.Sequential(*layers)
