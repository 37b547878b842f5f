"""What can be told of modules before any training, such as a wrong shape, and of which argument."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["batch_norms", "checked_copy", "evaluating", "trial_output"]


@contextmanager
def evaluating(module: nn.Module) -> Iterator[nn.Module]:
    """A module in evaluation mode, which leaves no trace in batch norm, and then in its own again.

    Parameters
    ----------
    module : nn.Module
    """
    modes = [(part, part.training) for part in module.modules()]
    try:
        yield module.eval()
    finally:
        for part, mode in modes:
            part.training = mode


@torch.no_grad()
def trial_output(module: nn.Module, *shapes: Sequence[int], name: str = "encoder"):
    """What a module returns for two rows of zeros, in evaluation mode: batch norm must not learn.

    Parameters
    ----------
    module : nn.Module
        Its mode is left as it was.
    *shapes : sequence of int
        The shape of one row of each argument.
    name : str
        What the module is called in an error.

    Returns
    -------
    Tensor, or what else the module returns

    Raises
    ------
    ValueError
        If the module fails on such rows.
    """
    try:
        with evaluating(module):
            return module(*(torch.zeros(2, *shape) for shape in shapes))
    except Exception as error:
        rows = " and ".join(str(tuple(shape)) for shape in shapes)
        raise ValueError(f"{name} does not take rows of shape {rows}: {error}") from error


def batch_norms(module: nn.Module) -> list[nn.Module]:
    """The layers of batch norm in a module."""
    return [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


def checked_copy(
    name: str, module: nn.Module, inputs: Sequence[Sequence[int]], output: Sequence[int]
) -> nn.Module:
    """A copy of a module that a user gave, if it maps rows of these shapes to rows of that shape.

    Parameters
    ----------
    name : str
        What the module is called in an error.
    module : nn.Module
    inputs : sequence of shapes
        Of one row of each argument.
    output : tuple of int
        Of one row of the outcome; (1,) is a score, for which ``(n,)`` will do as well.

    Returns
    -------
    nn.Module

    Raises
    ------
    ValueError
        If the module does not take such rows, or makes others of them.
    """
    module, output = copy.deepcopy(module), tuple(output)
    made = trial_output(module, *inputs, name=name)
    found = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
    if found != (2, *output) and (output, found) != ((1,), (2,)):
        rows = " and ".join(str(tuple(shape)) for shape in inputs)
        what = "one score each" if output == (1,) else f"rows of shape {output}"
        raise ValueError(
            f"{name} must map rows of shape {rows} to {what}, but returned {found} for 2 rows."
        )
    return module
