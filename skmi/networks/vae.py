"""Networks of variational autoencoders.

Encoders and decoders have no batch norm, but for the encoders that they share with Deep InfoMax:
the posterior of a row does not depend on the other rows of its batch, in training either.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from skmi.networks.convolutions import Conv2d, ConvTranspose2d
from skmi.networks.encoders import Encoder, make_encoder
from skmi.networks.mlp import mlp

__all__ = ["VAE_DECODERS", "VAE_ENCODERS", "PixelCNN", "make_vae_decoder", "make_vae_encoder"]

#: Smallest side of the images of the convolutional networks, and most halvings of it.
SMALLEST_SIDE, MOST_HALVINGS = 4, 4


def _sides(side: int) -> list[int]:
    """The sides of the maps of the convolutional encoder, from the image to the last one."""
    sides = [side]
    for _ in range(min(MOST_HALVINGS, int(math.log2(side)))):
        sides.append(sides[-1] // 2)
    return sides


def _grids(shape: Sequence[int]) -> list[tuple[int, int]]:
    """The heights and widths of those maps."""
    if min(shape[1:]) < SMALLEST_SIDE:
        raise ValueError(
            f"Convolutional networks need images of at least {SMALLEST_SIDE} x {SMALLEST_SIDE} "
            f"pixels, got {' x '.join(map(str, shape[1:]))}. Enlarge the images, or use "
            "dense layers: encoder='mlp', and if there is a decoder, decoder='mlp'."
        )
    height, width = shape[1:]
    return list(zip(_sides(height), _sides(width), strict=False))


def _initialized(network: nn.Module) -> nn.Module:
    """Have rectified layers keep the size of what goes through them (He et al., 2015).

    With torch's own weights it shrinks from layer to layer, and codes that say nothing at the
    start are given up before the decoder has learned to read them.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            n_in = layer.weight[0].numel()
            if isinstance(layer, nn.ConvTranspose2d):  # each output sees one place in stride^2
                n_in = layer.weight[:, 0].numel() / math.prod(layer.stride)
            nn.init.normal_(layer.weight, std=math.sqrt(2 / n_in))
            nn.init.zeros_(layer.bias)
    return network


def perceptron(shape, n_outputs, *, hidden_layer_sizes, width=32) -> Encoder:
    """Dense layers with leaky ReLU; the layer ``"conv"`` is the flattened input."""
    sizes = [math.prod(shape), *hidden_layer_sizes]
    trunk = mlp(sizes, activation="leaky-relu").append(nn.LeakyReLU(0.2))
    output = nn.Linear(sizes[-1], n_outputs)
    return Encoder(nn.Flatten(), nn.Identity(), _initialized(trunk), output)


def convolutional(shape, n_outputs, *, hidden_layer_sizes=(), width=32) -> Encoder:
    """Up to four convolutions 4 x 4 with stride 2, of 1, 1, 2 and 4 times `width` channels.

    With `width` 28 that of MNIST, and with 32 that of CIFAR-10 in InfoMax-VAE (Tables 5, 6).
    """
    grids = _grids(shape)
    channels = [shape[0], *(width * k for k in (1, 1, 2, 4)[: len(grids) - 1])]
    blocks = [
        nn.Sequential(Conv2d(a, b, 4, stride=2, padding=1), nn.ReLU(inplace=True))
        for a, b in pairwise(channels)
    ]
    *local, last = [_initialized(block) for block in blocks]
    output = nn.Linear(channels[-1] * math.prod(grids[-1]), n_outputs)
    return Encoder(nn.Sequential(*local), last, nn.Flatten(), output)


#: Encoders by name: ``(shape, n_outputs, *, hidden_layer_sizes, width) -> Encoder``.
VAE_ENCODERS = {"conv": convolutional, "mlp": perceptron}


def make_vae_encoder(
    name: str, shape: Sequence[int], n_outputs: int, *, hidden_layer_sizes, width: int
) -> Encoder:
    """Build the encoder of a variational autoencoder.

    Parameters
    ----------
    name : str
        ``"auto"`` is ``"conv"`` for images and ``"mlp"`` for other rows; besides, the encoders
        of `make_encoder` but its ``"mlp"``.
    shape : sequence of int
        Of one row.
    n_outputs : int
        Twice the number of latent columns: their means and the logarithms of their deviations.
    hidden_layer_sizes : sequence of int
        Of ``"mlp"``.
    width : int
        Channels of the first convolution.

    Returns
    -------
    Encoder

    Raises
    ------
    ValueError
        If the encoder does not take rows of this shape.
    """
    if name == "auto":
        name = "conv" if len(shape) == 3 else "mlp"
    if name == "conv" and len(shape) != 3:
        raise ValueError(
            f"encoder='conv' does not take rows of shape {tuple(shape)}. For flat images say "
            "image_shape=(height, width) or (channels, height, width); else use encoder='mlp'."
        )
    if name in VAE_ENCODERS:
        options = {"hidden_layer_sizes": hidden_layer_sizes, "width": width}
        return VAE_ENCODERS[name](tuple(shape), n_outputs, **options)
    return make_encoder(name, shape, n_outputs, width=width)


# ------------------------------------------------------------------------- decoders


def perceptron_decoder(n_in, shape, *, hidden_layer_sizes, width=32) -> nn.Module:
    """Dense layers with leaky ReLU."""
    layers = mlp([n_in, *hidden_layer_sizes, math.prod(shape)], activation="leaky-relu")
    _initialized(layers[:-1])
    return layers.append(nn.Unflatten(1, tuple(shape)))


def convolutional_decoder(n_in, shape, *, hidden_layer_sizes=(), width=32) -> nn.Module:
    """The encoder ``"conv"`` backwards: a dense layer, then transposed convolutions."""
    grids = _grids(shape)[::-1]
    widths = [width * k for k in (1, 1, 2, 4)[: len(grids) - 1]]
    channels = [*reversed(widths), shape[0]]
    hidden = [channels[0], channels[0] * math.prod(grids[0])]
    layers = [nn.Linear(n_in, hidden[0]), nn.ReLU(), nn.Linear(*hidden), nn.ReLU()]
    layers.append(nn.Unflatten(1, (channels[0], *grids[0])))
    for (n_from, n_to), (small, large) in zip(pairwise(channels), pairwise(grids), strict=True):
        odd = [b - 2 * a for a, b in zip(small, large, strict=True)]
        layers += [
            ConvTranspose2d(n_from, n_to, 4, stride=2, padding=1, output_padding=odd),
            nn.ReLU(inplace=True),
        ]
    _initialized(nn.Sequential(*layers[:-2]))
    return nn.Sequential(*layers[:-1])


class _MaskedConv(nn.Conv2d):
    """A convolution that sees only the pixels above and to the left, perhaps its own."""

    def __init__(self, n_in: int, n_out: int, size: int, *, own: bool):
        super().__init__(n_in, n_out, size, padding=size // 2)
        mask = torch.zeros(size, size)
        mask[: size // 2] = 1
        mask[size // 2, : size // 2 + own] = 1
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x):
        return self._conv_forward(x, self.weight * self.mask, self.bias)


class PixelCNN(nn.Module):
    r"""An autoregressive decoder: each pixel depends on those before it, and on the code.

    .. math:: p(x | z) = \prod_i p(x_i | x_1, \dots, x_{i - 1}, z)

    in raster order. Masked convolutions see the pixels before; what `convolutional_decoder`
    makes of the code is added to the first of them. The channels of a pixel are independent
    given the pixels before. Source: InfoMax-VAE (Rezaabad and Vishwanath 2020), section 6.3.

    Parameters
    ----------
    n_in : int
        Width of the code.
    shape : tuple of int
        (channels, height, width).
    width : int
        Channels of every layer.
    n_layers : int
        Number of masked layers.
    """

    #: A decoder that is called with the code and the data, not with the code alone.
    autoregressive = True

    def __init__(self, n_in: int, shape: Sequence[int], *, width: int = 32, n_layers: int = 12):
        super().__init__()
        self.shape = tuple(shape)
        self.from_code = convolutional_decoder(n_in, (width, *shape[1:]), width=width)
        self.first = _MaskedConv(shape[0], width, 7, own=False)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.ReLU(), _MaskedConv(width, width, 3, own=True))
            for _ in range(n_layers - 1)
        )
        self.last = nn.Sequential(nn.ReLU(), nn.Conv2d(width, shape[0], 1))

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        return self._from_features(self.from_code(z), x)

    def _from_features(self, features: Tensor, x: Tensor) -> Tensor:
        hidden = self.first(x) + features
        for layer in self.layers:
            hidden = hidden + layer(hidden)
        return self.last(hidden)

    @torch.no_grad()
    def generate(self, z: Tensor, draw) -> Tensor:
        """Draw images pixel by pixel; ``draw`` turns outputs into pixels."""
        features, x = self.from_code(z), torch.zeros(len(z), *self.shape, device=z.device)
        for row in range(self.shape[1]):
            above = slice(0, row + 1)  # what lies below has no say
            for column in range(self.shape[2]):
                output = self._from_features(features[:, :, above], x[:, :, above])
                x[:, :, row, column] = draw(output[:, :, row, column])
        return x


def pixelcnn(n_in, shape, *, hidden_layer_sizes=(), width=32) -> nn.Module:
    """A `PixelCNN` of 12 layers."""
    return PixelCNN(n_in, shape, width=width)


#: Decoders by name: ``(n_in, shape, *, hidden_layer_sizes, width) -> nn.Module``.
VAE_DECODERS = {
    "conv": convolutional_decoder,
    "mlp": perceptron_decoder,
    "pixelcnn": pixelcnn,
}


def make_vae_decoder(
    name: str, n_in: int, shape: Sequence[int], *, hidden_layer_sizes, width: int
) -> nn.Module:
    """Build the decoder of a variational autoencoder.

    Parameters
    ----------
    name : {"auto", "mlp", "conv", "pixelcnn"}
        ``"auto"`` is ``"conv"`` for images and ``"mlp"`` for other rows.
    n_in : int
        Number of latent columns.
    shape : sequence of int
        Of one row.
    hidden_layer_sizes : sequence of int
        Of ``"mlp"``.
    width : int
        Channels of the last hidden map of ``"conv"``, and of all of ``"pixelcnn"``.

    Returns
    -------
    nn.Module
        From (n, n_in) to (n, *shape).

    Raises
    ------
    ValueError
        If the decoder does not make rows of this shape.
    """
    if name == "auto":
        name = "conv" if len(shape) == 3 else "mlp"
    if name != "mlp" and len(shape) != 3:
        raise ValueError(
            f"decoder={name!r} makes images, but the rows of X have shape {tuple(shape)}. For flat "
            "images say image_shape=(height, width) or (channels, height, width); else use "
            "decoder='mlp'."
        )
    options = {"hidden_layer_sizes": hidden_layer_sizes, "width": width}
    return VAE_DECODERS[name](n_in, tuple(shape), **options)
