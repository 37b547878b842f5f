"""Decoders: from a representation back to the data."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from skmi.networks.convolutions import ConvTranspose2d
from skmi.networks.mlp import mlp

__all__ = ["deconvolution", "make_decoder"]


class _Crop(nn.Module):
    """The upper left part of images."""

    def __init__(self, height: int, width: int):
        super().__init__()
        self.height, self.width = height, width

    def forward(self, images: Tensor) -> Tensor:
        return images[..., : self.height, : self.width]


def deconvolution(n_in: int, shape: tuple[int, int, int], n_channels: int = 64) -> nn.Sequential:
    """A network from vectors to images: a small map of many channels, doubled until it fits."""
    *_, height, width = shape
    n_doublings = max(1, int(math.log2(min(height, width) / 4)))
    start = [math.ceil(side / 2**n_doublings) for side in (height, width)]
    channels = [n_channels * 2 ** min(i, 3) for i in reversed(range(n_doublings))] + [shape[0]]
    layers = [
        nn.Linear(n_in, channels[0] * math.prod(start)),
        nn.Unflatten(1, (channels[0], *start)),
    ]
    for n_from, n_to in pairwise(channels):
        layers += [nn.BatchNorm2d(n_from), nn.ReLU()]
        layers += [ConvTranspose2d(n_from, n_to, kernel_size=4, stride=2, padding=1)]
    return nn.Sequential(*layers, _Crop(height, width))


def make_decoder(
    n_in: int,
    shape: tuple[int, ...],
    *,
    hidden_layer_sizes: Sequence[int] = (512, 512),
    n_channels: int = 64,
) -> nn.Module:
    """A decoder for rows of this shape: a deconvolution for images, else a perceptron.

    Parameters
    ----------
    n_in : int
        Width of the representation.
    shape : tuple of int
        Of one row: (p,), (c, l) or (c, h, w).
    hidden_layer_sizes : sequence of int
        Widths of the perceptron's hidden layers.
    n_channels : int
        Channels of the deconvolution's last hidden map; maps of half the side have twice as many.

    Returns
    -------
    nn.Module
        From (n, n_in) to (n, *shape).
    """
    if len(shape) == 3:
        return deconvolution(n_in, shape, n_channels)
    layers = mlp([n_in, *hidden_layer_sizes, math.prod(shape)], activation="relu")
    return layers.append(nn.Unflatten(1, tuple(shape)))
