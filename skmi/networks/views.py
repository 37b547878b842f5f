"""Encoders of whole views: from rows of any shape to one representation."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from skmi.networks.mlp import mlp

__all__ = ["VIEW_ENCODERS", "RealNVP", "ResidualMLP", "make_view_encoder"]

#: What the weights of a residual layer start at, as a part of torch's default: near the identity.
RESIDUAL_GAIN = 0.1


class ResidualMLP(nn.Module):
    r"""Layers ``h + relu(W h + b)`` as wide as the input, which start near the identity.

    It can represent both invertible and non-invertible maps (Tschannen et al. 2020, section 3.1).

    Parameters
    ----------
    n_features : int
        Width of the flattened rows, and of the representation.
    n_layers : int
        Number of layers.
    """

    def __init__(self, n_features: int, n_layers: int = 4):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(n_features, n_features) for _ in range(n_layers))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.mul_(RESIDUAL_GAIN)

    def forward(self, x: Tensor) -> Tensor:
        h = x.flatten(1)
        for layer in self.layers:
            h = h + layer(h).relu()
        return h


class _Coupling(nn.Module):
    """Shift, and perhaps scale, one part of the columns by functions of the other."""

    def __init__(self, n_kept: int, n_changed: int, hidden_layer_sizes, shift_only: bool):
        super().__init__()
        self.shift_only = shift_only
        n_out = n_changed if shift_only else 2 * n_changed
        self.net = mlp([n_kept, *hidden_layer_sizes, n_out], activation="relu")
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def shift_and_log_scale(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        if self.shift_only:
            shift = self.net(kept)
            return shift, shift.new_zeros(1).expand_as(shift)
        shift, log_scale = self.net(kept).chunk(2, dim=1)
        return shift, log_scale.tanh()


class RealNVP(nn.Module):
    r"""An invertible network of coupling layers, the identity at the start.

    The flattened row is cut into two halves. Each layer leaves one half as it is and changes the
    other one by a perceptron of the first, the halves by turns:

    .. math:: u \leftarrow u, \qquad v \leftarrow v \odot e^{s(u)} + t(u) .

    The inverse is exact whatever the perceptrons are, and the Jacobian has the determinant
    :math:`e^{\sum s(u)}`. Source: Dinh et al. 2017; with shifts only, as in Tschannen et al.
    2020, section 3.1, volumes are kept.

    Parameters
    ----------
    n_features : int
        Width of the flattened rows, and of the representation.
    n_layers : int
        Number of coupling layers.
    hidden_layer_sizes : sequence of int
        Widths of the hidden layers of each perceptron.
    shift_only : bool
        Whether s = 0. Otherwise s is kept within -1 and 1.

    Raises
    ------
    ValueError
        If there are fewer than two features to couple.
    """

    def __init__(self, n_features, n_layers=30, hidden_layer_sizes=(512, 512), shift_only=True):
        super().__init__()
        if n_features < 2:
            raise ValueError(
                f"RealNVP couples two halves of a row, but n_features={n_features}. Use at least 2."
            )
        self.sizes = [math.ceil(n_features / 2), n_features // 2]
        self.layers = nn.ModuleList(
            _Coupling(self.sizes[i % 2], self.sizes[1 - i % 2], hidden_layer_sizes, shift_only)
            for i in range(n_layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The representation, shape (B, n_features)."""
        return self.with_log_det(x)[0]

    def with_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The representation, and the log absolute determinant of the Jacobian, shape (B,)."""
        halves, log_det = list(x.flatten(1).split(self.sizes, dim=1)), x.new_zeros(len(x))
        for i, layer in enumerate(self.layers):
            kept, changed = i % 2, 1 - i % 2
            shift, log_scale = layer.shift_and_log_scale(halves[kept])
            halves[changed] = halves[changed] * log_scale.exp() + shift
            log_det = log_det + log_scale.sum(1)
        return torch.cat(halves, dim=1), log_det

    def inverse(self, y: Tensor) -> Tensor:
        """The flattened rows of representations."""
        halves = list(y.split(self.sizes, dim=1))
        for i, layer in reversed(list(enumerate(self.layers))):
            kept, changed = i % 2, 1 - i % 2
            shift, log_scale = layer.shift_and_log_scale(halves[kept])
            halves[changed] = (halves[changed] - shift) * (-log_scale).exp()
        return torch.cat(halves, dim=1)


def perceptron(shape, n_components, width=300) -> nn.Module:
    """Two hidden layers of ReLUs."""
    widths = [math.prod(shape), width, width, n_components]
    return nn.Sequential(nn.Flatten(), *mlp(widths, activation="relu"))


def convnet(shape, n_components, width=64) -> nn.Module:
    """Two convolutions 5 x 5 with stride 2, layer norm, the mean over places, a linear layer."""
    if len(shape) != 3:
        raise ValueError(
            f"encoder='convnet' takes images, but the view has rows of shape {tuple(shape)}. For "
            "flat images say image_shape=(height, width), or use encoder='mlp'."
        )
    layers = []
    for n_in, n_out in pairwise([shape[0], width, 2 * width]):
        layers += [nn.Conv2d(n_in, n_out, 5, stride=2, padding=2), nn.ReLU()]
    norm = nn.GroupNorm(1, 2 * width)  # layer norm: one group
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, norm, *pool, nn.Linear(2 * width, n_components))


def residual_mlp(shape, n_components) -> nn.Module:
    """Four residual layers; the representation is as wide as the view."""
    return ResidualMLP(math.prod(shape))


def realnvp(shape, n_components, width=512) -> nn.Module:
    """30 coupling layers; the representation is as wide as the view."""
    return RealNVP(math.prod(shape), hidden_layer_sizes=(width, width))


#: Encoders of views by name, with the sizes of Tschannen et al. 2020.
VIEW_ENCODERS = {
    "mlp": perceptron,
    "convnet": convnet,
    "residual-mlp": residual_mlp,
    "realnvp": realnvp,
}


def make_view_encoder(name, shape, n_components, *, width=None) -> nn.Module:
    """Build a registered encoder of views.

    Parameters
    ----------
    name : {"mlp", "convnet", "residual-mlp", "realnvp"}
        The kind of encoder.
    shape : tuple of int
        Of one row of the view: (p,) or (c, h, w).
    n_components : int
        Width of the representation; the last two keep the width of the view instead.
    width : int or None
        Hidden units, of a ConvNet the channels of its first layer. None: those of the paper,
        300, 64 and 512. The residual perceptron is as wide as the view.

    Returns
    -------
    nn.Module
        From ``(n, *shape)`` to ``(n, d)``.

    Raises
    ------
    ValueError
        If the name is unknown, or the encoder does not take rows of this shape.
    """
    if name not in VIEW_ENCODERS:
        raise ValueError(
            f"Unknown encoder {name!r}. Choose one of {sorted(VIEW_ENCODERS)}, or pass a torch "
            "module."
        )
    options = {} if width is None or name == "residual-mlp" else {"width": width}
    return VIEW_ENCODERS[name](tuple(shape), n_components, **options)
