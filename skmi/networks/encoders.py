"""Encoders: from data over a map of local features to a representation.

An `Encoder` is made of four parts, each applied to the outcome of the one before::

    x -> local -> conv -> fc -> output
         (B, C, ...)   (B, C', ...)   (B, F)   (B, d)

The local features are what Deep InfoMax relates to the representation: places of an image or of
a sequence, or groups of columns.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from skmi.networks.trial import trial_output

__all__ = ["ENCODERS", "Encoder", "Layers", "make_encoder"]


class Layers(NamedTuple):
    """What an encoder computes of a batch.

    Attributes
    ----------
    local : Tensor of shape (B, C, ...)
        Local features; the last dimensions are their places.
    conv : Tensor of shape (B, C', ...)
        The last map.
    fc : Tensor of shape (B, F)
        The hidden layer before the representation.
    y : Tensor of shape (B, d)
        The representation.
    """

    local: Tensor
    conv: Tensor
    fc: Tensor
    y: Tensor

    def at(self, layer: str) -> Tensor:
        """A layer as rows of features: ``"global"``, the representation; ``"fc"``; ``"conv"``."""
        layers = {"global": self.y, "fc": self.fc, "conv": self.conv}
        if layer not in layers:
            raise ValueError(f"feature_layer={layer!r} must be one of {list(layers)}.")
        return layers[layer].flatten(1)


class Encoder(nn.Module):
    """An encoder in four parts.

    Parameters
    ----------
    local, conv, fc, output : nn.Module
        From data to local features, on to the last map, to a hidden layer, to the representation.
    """

    def __init__(self, local: nn.Module, conv: nn.Module, fc: nn.Module, output: nn.Module):
        super().__init__()
        self.local, self.conv, self.fc, self.output = local, conv, fc, output

    def forward(self, x: Tensor) -> Layers:
        return self.from_local(self.local(x))

    def from_local(self, local: Tensor) -> Layers:
        """The rest of the layers, from a map of local features."""
        conv = self.conv(local)
        fc = self.fc(conv)
        return Layers(local, conv, fc, self.output(fc))


class _GroupEmbedding(nn.Module):
    """Groups of neighbouring columns, each embedded by a linear map of its own and a ReLU."""

    def __init__(self, n_columns: int, n_groups: int, width: int):
        super().__init__()
        self.size = math.ceil(n_columns / n_groups)
        self.padding = self.size * n_groups - n_columns
        self.weight = nn.Parameter(torch.randn(n_groups, self.size, width) / self.size**0.5)
        self.bias = nn.Parameter(torch.randn(n_groups, width))

    def forward(self, x):
        groups = nn.functional.pad(x, (0, self.padding)).unflatten(1, (-1, self.size))
        return (torch.einsum("bgs,gsw->bwg", groups, self.weight) + self.bias.T).relu()


class _Crops(nn.Module):
    """Overlapping crops, each encoded by the same network; a place for each crop."""

    def __init__(self, network: nn.Module, size: tuple[int, int], stride: tuple[int, int]):
        super().__init__()
        self.network, self.size, self.stride = network, size, stride

    def forward(self, x):
        (h, w), (dh, dw) = self.size, self.stride
        crops = x.unfold(2, h, dh).unfold(3, w, dw)  # (B, C, rows, columns, h, w)
        n_rows, n_columns = crops.shape[2:4]
        crops = crops.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
        features = self.network(crops).flatten(1)
        return features.view(len(x), n_rows, n_columns, -1).permute(0, 3, 1, 2)


class _Residual(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            *_conv(nn.Conv2d, n_in, n_out, 3, stride, 1),
            *_conv(nn.Conv2d, n_out, n_out, 3, 1, 1)[:-1],
        )
        plain = stride == 1 and n_in == n_out
        self.shortcut = nn.Identity() if plain else nn.Conv2d(n_in, n_out, 1, stride)

    def forward(self, x):
        return (self.body(x) + self.shortcut(x)).relu()


def _conv(kind, n_in, n_out, kernel, stride, padding) -> list[nn.Module]:
    norm = nn.BatchNorm1d if kind is nn.Conv1d else nn.BatchNorm2d
    layer = kind(n_in, n_out, kernel, stride=stride, padding=padding, bias=False)
    return [layer, norm(n_out), nn.ReLU()]


def _assemble(blocks: Sequence[nn.Module], local_layer, shape, hidden, n_components) -> Encoder:
    """An encoder of convolutional blocks: local features after one of them, then dense layers."""
    n_blocks = len(blocks)
    if local_layer == "auto":
        local_layer = max(n_blocks - 1, 1)
    if not 1 <= local_layer <= n_blocks:
        raise ValueError(
            f"local_layer={local_layer} does not exist: this encoder has blocks 1 to {n_blocks}."
        )
    local, conv = nn.Sequential(*blocks[:local_layer]), nn.Sequential(*blocks[local_layer:])
    n_features = trial_output(nn.Sequential(local, conv), shape).flatten(1).shape[1]
    return Encoder(local, conv, *_dense(n_features, hidden, n_components))


def _dense(n_in, hidden, n_components) -> tuple[nn.Module, nn.Module]:
    layers: list[nn.Module] = [nn.Flatten()]
    for a, b in pairwise([n_in, *hidden]):
        layers += [nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU()]
    return nn.Sequential(*layers), nn.Linear(hidden[-1], n_components)


def _require_size(encoder: str, shape, smallest: int) -> None:
    if min(shape[1:]) < smallest:
        size = " x ".join(map(str, shape[1:]))
        raise ValueError(
            f"encoder={encoder!r} needs at least {smallest} pixels or steps in each direction, got "
            f"{size}. Enlarge the images, or use encoder='mlp' on flat rows."
        )


def dcgan(shape, n_components, *, width=64, local_layer="auto") -> Encoder:
    """Convolutions 4 x 4 with stride 2 until 4 pixels or fewer are left, then 16 width units.

    The discriminator of DCGAN; with `width` 64 on 32 x 32 images it is the CIFAR-10 encoder of
    Deep InfoMax (64, 128 and 256 channels, 1024 units). Images and sequences.
    """
    _require_size("dcgan", shape, 4)
    kind = nn.Conv1d if len(shape) == 2 else nn.Conv2d
    n_blocks = max(2, math.ceil(math.log2(min(shape[1:]) / 4)))
    widths = [shape[0], *(width * 2 ** min(i, 3) for i in range(n_blocks))]
    blocks = [nn.Sequential(*_conv(kind, a, b, 4, 2, 1)) for a, b in pairwise(widths)]
    return _assemble(blocks, local_layer, shape, [16 * width], n_components)


def alexnet(shape, n_components, *, width=64, local_layer="auto") -> Encoder:
    """Five convolutions 3 x 3 with three poolings, then two layers of 64 width units."""
    _require_size("alexnet", shape, 16)
    widths = [shape[0], *(width * k for k in (3 / 2, 3, 6, 6, 3))]
    widths = [int(w) for w in widths]
    blocks = [nn.Sequential(*_conv(nn.Conv2d, a, b, 3, 1, 1)) for a, b in pairwise(widths)]
    for i in (0, 1, 4):
        blocks[i].append(nn.MaxPool2d(3, 2, 1))
    return _assemble(blocks, local_layer, shape, [64 * width] * 2, n_components)


def resnet(shape, n_components, *, width=64, local_layer="auto") -> Encoder:
    """Residual blocks of 3 x 3 convolutions, two for each halving of the image."""
    _require_size("resnet", shape, 8)
    n_stages = max(2, math.ceil(math.log2(min(shape[1:]) / 4)))
    widths = [width, *(width * 2 ** min(i, 3) for i in range(n_stages))]
    blocks = [
        nn.Sequential(_Residual(a, b, stride=2), _Residual(b, b, stride=1))
        for a, b in pairwise(widths)
    ]
    blocks[0] = nn.Sequential(*_conv(nn.Conv2d, shape[0], width, 3, 1, 1), *blocks[0])
    return _assemble(blocks, local_layer, shape, [16 * width], n_components)


def strided_crop(shape, n_components, *, width=64, local_layer="auto") -> Encoder:
    """Crops of a quarter of the image that overlap by half, encoded one by one (as in CPC).

    There are 7 x 7 of them where the sides are multiples of 8.
    """
    _require_size("strided-crop", shape, 8)
    size, stride = [s // 4 for s in shape[1:]], [s // 8 for s in shape[1:]]
    crop = nn.Sequential(
        *_conv(nn.Conv2d, shape[0], width, 3, 1, 1),
        *_conv(nn.Conv2d, width, 2 * width, 3, 2, 1),
        nn.Conv2d(2 * width, 4 * width, [math.ceil(s / 2) for s in size]),
        nn.Flatten(),
    )
    blocks = [_Crops(crop, tuple(size), tuple(stride)), nn.Sequential(nn.ReLU())]
    return _assemble(blocks, local_layer, shape, [16 * width], n_components)


def grouped_mlp(shape, n_components, *, width=64, local_layer="auto") -> Encoder:
    """A perceptron on up to 32 groups of columns, whose embeddings are the local features.

    They are those of its only block.

    The hidden layers have 4 width units each.
    """
    if local_layer not in ("auto", 1):
        raise ValueError(f"local_layer={local_layer} does not exist: this encoder has block 1.")
    n_columns = math.prod(shape)
    n_groups = min(n_columns, 32)
    n_groups = math.ceil(n_columns / math.ceil(n_columns / n_groups))
    local = nn.Sequential(nn.Flatten(), _GroupEmbedding(n_columns, n_groups, width // 2))
    n_features = n_groups * (width // 2)
    return Encoder(local, nn.Identity(), *_dense(n_features, [4 * width, 4 * width], n_components))


#: Encoders by name: ``(shape, n_components, *, width, local_layer) -> Encoder``.
ENCODERS = {
    "alexnet": alexnet,
    "conv1d": dcgan,
    "dcgan": dcgan,
    "mlp": grouped_mlp,
    "resnet": resnet,
    "strided-crop": strided_crop,
}


def make_encoder(name, shape, n_components, *, width=64, local_layer="auto") -> Encoder:
    """Build a registered encoder.

    Parameters
    ----------
    name : {"auto", "dcgan", "alexnet", "resnet", "strided-crop", "conv1d", "mlp"}
        ``"auto"`` is ``"dcgan"`` for images and ``"mlp"`` for rows of columns; ``"conv1d"`` is
        ``"dcgan"`` along the steps of sequences.
    shape : tuple of int
        Of one row: (p,), (c, l) or (c, h, w).
    n_components : int
        Width of the representation.
    width : int
        Channels of the first block; the other widths grow with it.
    local_layer : "auto" or int
        The block, from 1, after which local features are taken; ``"auto"``: the last but one.

    Returns
    -------
    Encoder

    Raises
    ------
    ValueError
        If the name is unknown, or the encoder does not take rows of this shape.
    """
    if name == "auto":
        name = "mlp" if len(shape) == 1 else "dcgan"
    if name not in ENCODERS:
        raise ValueError(
            f"Unknown encoder {name!r}. Choose one of {['auto', *sorted(ENCODERS)]}, or pass a "
            "torch module."
        )
    dimensions = {"mlp": (2, 3, 4), "conv1d": (3,)}.get(name, (4,))
    if len(shape) + 1 not in dimensions:
        raise ValueError(
            f"encoder={name!r} does not take rows of shape {tuple(shape)}. For flat images say "
            "image_shape=(height, width) or (channels, height, width)."
        )
    return ENCODERS[name](tuple(shape), n_components, width=width, local_layer=local_layer)
