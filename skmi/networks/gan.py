"""Networks of generative adversarial models: generators, encoders and the scores against them.

Those of rows are dense; those of images have convolutions 5 x 5 of stride 2, as in DCGAN, and the
sizes of MINE (Belghazi et al. 2018), Tables 4 to 14, by default. What differs: discriminators have
leaky ReLU where Table 5 has ReLU; the dense layer of a critic has ELU, where Table 6 has nothing
between two linear layers; and critics of codes are those of Tables 6 and 14 for small images, too,
where Table 10 has four times the channels and leaky ReLU.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from skmi.networks.convolutions import Conv2d, ConvTranspose2d
from skmi.networks.encoders import Encoder
from skmi.networks.mlp import ACTIVATIONS, mlp

__all__ = ["ConvolutionalScore", "dense_score", "make_gan_encoder", "make_generator"]

#: Smallest side of images.
SMALLEST_SIDE = 8


def _grids(shape: Sequence[int], last_side: int) -> list[tuple[int, int]]:
    """Heights and widths of the maps, from the image to one of about `last_side` pixels."""
    if min(shape[1:]) < SMALLEST_SIDE:
        raise ValueError(
            f"The convolutional networks need images of at least {SMALLEST_SIDE} x {SMALLEST_SIDE} "
            f"pixels, got {' x '.join(map(str, shape[1:]))}. Enlarge the images, or flatten them: "
            "X.reshape(len(X), -1)."
        )
    grids = [tuple(shape[1:])]
    while min(grids[-1]) > last_side:
        grids.append(tuple(math.ceil(side / 2) for side in grids[-1]))
    return grids


def _channels(width: int, n_blocks: int) -> list[int]:
    return [width * 2 ** min(i, 3) for i in range(n_blocks)]


def _halving(n_in: int, n_out: int, *, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, 5, stride=2, padding=2, bias=bias)


def _dense_blocks(sizes: Sequence[int]) -> nn.Sequential:
    layers = nn.Sequential()
    for n_in, n_out in pairwise(sizes):
        layer = nn.Linear(n_in, n_out, bias=False)  # batch norm has one
        layers.extend([layer, nn.BatchNorm1d(n_out), nn.LeakyReLU(0.2)])
    return layers


def make_generator(
    n_in: int,
    shape: Sequence[int],
    *,
    hidden_layer_sizes: Sequence[int] = (500, 500),
    width: int = 64,
    last_side: int = 2,
) -> nn.Sequential:
    """A network from latent columns to rows, with batch norm.

    Parameters
    ----------
    n_in : int
        Number of latent columns.
    shape : sequence of int
        Of one row. Images, (c, h, w), come from transposed convolutions, with values from -1 to 1.
    hidden_layer_sizes : sequence of int
        Of the dense network of other rows, with leaky ReLU.
    width : int
        Channels of the last hidden map; maps of half the side have twice as many, up to 8 times.
    last_side : int
        Side from which the first map is not halved further.

    Returns
    -------
    nn.Sequential
        From (n, n_in) to (n, *shape).

    Raises
    ------
    ValueError
        If the images are too small.
    """
    if len(shape) != 3:
        layers = _dense_blocks([n_in, *hidden_layer_sizes])
        layers.append(nn.Linear(hidden_layer_sizes[-1], math.prod(shape)))
        return layers.append(nn.Unflatten(1, tuple(shape)))
    grids = _grids(shape, last_side)[::-1]
    channels = [*_channels(width, len(grids) - 1)[::-1], shape[0]]
    layers = nn.Sequential(
        nn.Linear(n_in, channels[0] * math.prod(grids[0]), bias=False),
        nn.Unflatten(1, (channels[0], *grids[0])),
    )
    for (n_from, n_to), (small, large) in zip(pairwise(channels), pairwise(grids), strict=True):
        even = [b - (2 * a - 1) for a, b in zip(small, large, strict=True)]
        options = {"stride": 2, "padding": 2, "output_padding": even, "bias": large == grids[-1]}
        layer = ConvTranspose2d(n_from, n_to, 5, **options)
        layers.extend([nn.BatchNorm2d(n_from), nn.ReLU(), layer])
    return layers.append(nn.Tanh())


def make_gan_encoder(
    shape: Sequence[int],
    n_outputs: int,
    *,
    hidden_layer_sizes: Sequence[int] = (500, 500),
    width: int = 64,
) -> Encoder:
    """The way back of `make_generator`, with batch norm; see there.

    The last convolution, which covers the whole last map, has as many channels as that, but at
    least 4 times `width`.
    """
    if len(shape) != 3:
        trunk = _dense_blocks([math.prod(shape), *hidden_layer_sizes])
        output = nn.Linear(hidden_layer_sizes[-1], n_outputs)
        return Encoder(nn.Flatten(), nn.Identity(), trunk, output)
    grids = _grids(shape, last_side=4)
    channels = [shape[0], *_channels(width, len(grids) - 1)]
    blocks = [
        nn.Sequential(_halving(a, b, bias=False), nn.BatchNorm2d(b), nn.ReLU())
        for a, b in pairwise(channels)
    ]
    *local, last = blocks
    n_hidden = max(4 * width, channels[-1])
    hidden = nn.Sequential(
        Conv2d(channels[-1], n_hidden, grids[-1], bias=False),
        nn.BatchNorm2d(n_hidden),
        nn.ReLU(),
        nn.Flatten(),
    )
    return Encoder(nn.Sequential(*local), last, hidden, nn.Linear(n_hidden, n_outputs))


def dense_score(n_in: int, hidden_layer_sizes: Sequence[int]) -> nn.Sequential:
    """A perceptron with leaky ReLU that gives rows a score."""
    layers = mlp([n_in, *hidden_layer_sizes, 1], activation="leaky-relu")
    return nn.Sequential(nn.Flatten(), *layers)


class ConvolutionalScore(nn.Module):
    """A score of images, or of images with codes.

    Convolutions of stride 2, perhaps a dense layer, and a linear one. A code enters as a dynamic
    bias: linear maps of it are added to what a layer returns, to each channel one number, before
    its activation. At the dense layer that is the same as concatenating the code. Source: MINE
    (Belghazi et al. 2018), App. 8.1.3.

    Parameters
    ----------
    shape : sequence of int
        (channels, height, width).
    n_codes : int
        Columns of the code; 0: none.
    every_layer : bool
        Whether the code enters at every hidden layer, or at the last of them only.
    width : int
        Channels of the first map; maps of half the side have twice as many, up to 8 times.
    n_dense : int
        Units of the dense layer; 0: none.
    activation : str
        A key of `skmi.networks.ACTIVATIONS`.
    batch_norm : bool
        Whether all convolutions but the first have batch norm.
    last_side : int
        Side from which maps are not halved further.
    """

    def __init__(
        self,
        shape: Sequence[int],
        n_codes: int = 0,
        *,
        every_layer: bool = True,
        width: int = 64,
        n_dense: int = 1024,
        activation: str = "leaky-relu",
        batch_norm: bool = True,
        last_side: int = 4,
    ):
        super().__init__()
        grids = _grids(shape, last_side)
        channels = [shape[0], *_channels(width, len(grids) - 1)]
        self.layers = nn.ModuleList()
        for place, (a, b) in enumerate(pairwise(channels)):
            normed = batch_norm and place > 0
            layer = nn.Sequential(_halving(a, b, bias=not normed))
            self.layers.append(layer.append(nn.BatchNorm2d(b)) if normed else layer)
        n_features, widths = channels[-1] * math.prod(grids[-1]), channels[1:]
        if n_dense:
            self.layers.append(nn.Sequential(nn.Flatten(), nn.Linear(n_features, n_dense)))
            n_features, widths = n_dense, [*widths, n_dense]
        self.output = nn.Linear(n_features, 1)
        self.activation = ACTIVATIONS[activation]()
        first = 0 if every_layer else len(widths) - 1
        self.biases = nn.ModuleList(
            nn.Linear(n_codes, w, bias=False) if n_codes and place >= first else None
            for place, w in enumerate(widths)
        )

    def forward(self, x: Tensor, codes: Tensor | None = None) -> Tensor:
        """Scores of images and their codes, shape (n, 1)."""
        for layer, bias in zip(self.layers, self.biases, strict=True):
            x = layer(x)
            if bias is not None:
                shift = bias(codes)
                x = x + (shift[..., None, None] if x.ndim == 4 else shift)
            x = self.activation(x)
        return self.output(x.flatten(1))
