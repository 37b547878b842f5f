"""Jigsaw: an encoder of tiles, from which one can tell how the tiles were shuffled."""

import itertools
import math
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, pad

from skmi.bounds import get_bound
from skmi.networks import Encoder, Layers
from skmi.representation._base import BaseRepresentation
from skmi.representation._objective import EncoderObjective

__all__ = ["JigsawTransformer"]

#: Tiles in each direction of an image, and the most runs of a sequence or of columns.
SIDE, MOST_RUNS = 3, 9
#: Permutations among which those that are far apart are looked for.
POOL = 20_000
#: Part of the colour images that are made grey in training, so that colour fringes give no hint.
GREY = 2 / 3


class JigsawTransformer(BaseRepresentation):
    r"""Jigsaw puzzles: each image is cut into 3 x 3 tiles, and the order of them is to be told.

    The encoder E sees one tile at a time. With the tiles :math:`x_1, \dots, x_9` in the order of
    a permutation :math:`\pi`, drawn from a fixed set, it maximises a bound on ([1]_, section 5)

    .. math:: I\bigl(E(x_{\pi(1)}), \dots, E(x_{\pi(9)});\; \pi\bigr) ,

    which is at most the logarithm of the number of permutations. A head embeds the nine
    representations, and the critic is its cosine with an embedding of the permutation, times a
    scale that is learned. The classification of permutations, ``bound="cross-entropy"``, has
    the same networks. What an image is represented by is the mean over its tiles.

    Parameters
    ----------
    n_components : int, default=64
        Width of the representation.
    bound : {"eta-dv", "dv", "cross-entropy"}, default="eta-dv"
        What is climbed. The expectation over the product of the margins is over all
        permutations of the set, for each shuffled image.
    n_permutations : int, default=100
        Size of the set, whose permutations are far apart: from 2 to 1000, at most all there are.
    n_shuffles : int, default=16
        Permutations of each image in a batch. They share the encoder's work.
    tile_crop : float, default=0.75
        Side of what is seen of a tile, as a part of its side: its middle, in training a random
        place, so that edges that match give no hint. 1: all of it.
    critic_width : int, default=256
        Width of the head.
    encoder : str or Encoder, default="auto"
        As in `DIMTransformer`, for tiles. ``"auto"``: ``"dcgan"`` for tiles of which at least 4 x
        4 pixels are seen, ``"mlp"`` for others.
    encoder_width, image_shape, feature_layer
        As in `DIMTransformer`.
    max_epochs, batch_size, learning_rate, betas, validation_fraction, patience, tolerance
        As in `DIMTransformer`.
    device, random_state, verbose, warm_start
        As in `DIMTransformer`.

    Attributes
    ----------
    encoder_ : nn.Module
        The fitted encoder, from scaled rows to the means over tiles of all layers.
    permutations_ : ndarray of shape (n_permutations, n_tiles)
        The set.
    history_ : list of dict
        Of each epoch, ``train_`` and (with `patience`) ``valid_`` ``loss``; ``information``
        about the permutation in nats, a lower bound; and ``accuracy``, how often it is told.
    n_iter_, location_, scale_, row_shape_, n_features_in_, feature_names_in_
        As in `DIMTransformer`.

    Notes
    -----
    Images whose sides are no multiples of 3 lose up to two lines or columns, in training at
    random sides. Each tile that is an image is standardised. Sequences, and rows of columns, are
    cut into up to nine runs, as a puzzle of one line; for columns in no particular order there
    are better transformers.

    References
    ----------
    .. [1] Y. Mroueh et al., "Improved mutual information estimation", AAAI 2021.
    .. [2] M. Noroozi, P. Favaro, "Unsupervised learning of visual representations by solving
       jigsaw puzzles", ECCV 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmi.representation import JigsawTransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> jigsaw = JigsawTransformer(8, image_shape=(8, 8), max_epochs=2, random_state=0)
    >>> jigsaw.fit_transform(X).shape
    (1797, 8)
    """

    _parameter_constraints: dict = {
        **BaseRepresentation._parameter_constraints,
        "bound": [StrOptions({"eta-dv", "dv", "cross-entropy"})],
        "n_permutations": [Interval(Integral, 2, 1000, closed="both")],
        "n_shuffles": [Interval(Integral, 1, None, closed="left")],
        "tile_crop": [Interval(Real, 0, 1, closed="right")],
        "critic_width": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_components=64,
        *,
        bound="eta-dv",
        n_permutations=100,
        n_shuffles=16,
        tile_crop=0.75,
        critic_width=256,
        encoder="auto",
        encoder_width=32,
        feature_layer="global",
        image_shape=None,
        max_epochs=30,
        batch_size=64,
        learning_rate=1e-3,
        betas=(0.9, 0.999),
        validation_fraction=0.1,
        patience=None,
        tolerance=1e-3,
        device="auto",
        random_state=None,
        verbose=0,
        warm_start=False,
    ):
        self.n_components = n_components
        self.bound = bound
        self.n_permutations = n_permutations
        self.n_shuffles = n_shuffles
        self.tile_crop = tile_crop
        self.critic_width = critic_width
        self.encoder = encoder
        self.encoder_width = encoder_width
        self.feature_layer = feature_layer
        self.image_shape = image_shape
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.betas = betas
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.tolerance = tolerance
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start

    def _make_objective(self, shape):
        _check_size(shape)
        cutter = TileCutter(self.tile_crop)
        _, n_tiles, *tile = cutter(torch.zeros(2, *shape)).shape
        name = None
        if self.encoder == "auto":
            name = "dcgan" if len(tile) == 3 and min(tile[1:]) >= 4 else "mlp"
        encoder = TileEncoder(cutter, self._make_encoder(tuple(tile), name=name))
        n_permutations = min(self.n_permutations, math.factorial(n_tiles))
        model = {
            "encoder": encoder,
            "critic": PermutationCritic(
                n_tiles, self.n_components, n_permutations, self.critic_width
            ),
        }
        return JigsawObjective(
            nn.ModuleDict(model),
            self.bound,
            permutations=distant_permutations(n_tiles, n_permutations, self.seed_),
            n_shuffles=self.n_shuffles,
            n_components=self.n_components,
        )

    @property
    def permutations_(self) -> np.ndarray:
        """The set of permutations."""
        return self.objective_.permutations.numpy()


def _check_size(shape) -> None:
    if len(shape) == 3 and min(shape[1:]) < SIDE:
        raise ValueError(
            f"X has images of {shape[1]} x {shape[2]} pixels, too few for {SIDE} x {SIDE} tiles: "
            f"each side needs at least {SIDE}."
        )
    if len(shape) < 3 and shape[-1] < 2:
        raise ValueError("X has 1 feature(s) (n_features=1), but a puzzle needs at least 2 parts.")


def distant_permutations(n_tiles: int, n_permutations: int, seed: int) -> np.ndarray:
    """Permutations that agree in few places: each is the farthest from those before it.

    They are found among all, or among many random ones (Noroozi and Favaro 2016).
    """
    generator = np.random.default_rng(seed)
    if math.factorial(n_tiles) <= POOL:
        pool = np.array(list(itertools.permutations(range(n_tiles))))
    else:
        pool = generator.permuted(np.tile(np.arange(n_tiles), (POOL, 1)), axis=1)
    chosen = [int(generator.integers(len(pool)))]
    distances = (pool != pool[chosen[0]]).sum(1)
    while len(chosen) < n_permutations:
        chosen.append(int(distances.argmax()))
        distances = np.minimum(distances, (pool != pool[chosen[-1]]).sum(1))
    return pool[chosen]


class TileCutter(nn.Module):
    """Images to 3 x 3 tiles, sequences and rows to runs, shape (B, T, ...).

    Parameters
    ----------
    crop : float
        Side of what is seen of a tile of an image, as a part of its side.
    """

    def __init__(self, crop: float):
        super().__init__()
        self.crop = crop

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Tiles; with a generator, each at a random place, and some images without colour."""
        if x.ndim < 4:
            size = math.ceil(x.shape[-1] / MOST_RUNS)
            runs = pad(x, (0, -x.shape[-1] % size)).unflatten(-1, (-1, size))
            return runs.movedim(-2, 1)
        if x.shape[1] == 3 and generator is not None:
            draws = torch.rand((len(x), 1, 1, 1), generator=generator, device=x.device)
            x = torch.where(draws < GREY, x.mean(1, keepdim=True), x)
        sizes = [side // SIDE for side in x.shape[2:]]
        x = _windows(x, [SIDE * size for size in sizes], generator)
        tiles = x.unflatten(3, (SIDE, sizes[1])).unflatten(2, (SIDE, sizes[0]))
        tiles = tiles.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)  # (9 B, c, h, w)
        seen = [max(1, round(self.crop * size)) for size in sizes]
        tiles = _windows(tiles, seen, generator)
        if math.prod(seen) > 1:
            centred = tiles - tiles.mean((2, 3), keepdim=True)
            tiles = centred / (centred.square().mean((2, 3), keepdim=True) + 1e-2).sqrt()
        return tiles.unflatten(0, (-1, SIDE**2))


def _windows(x: Tensor, size, generator) -> Tensor:
    """The middle of images (N, c, h, w), or with a generator a random place of each."""
    slack = [side - seen for side, seen in zip(x.shape[2:], size, strict=True)]
    if generator is None or not any(slack):
        top, left = (extra // 2 for extra in slack)
        return x[..., top : top + size[0], left : left + size[1]]
    starts = [
        torch.randint(extra + 1, (len(x),), generator=generator, device=x.device) for extra in slack
    ]
    windows = x.unfold(2, size[0], 1).unfold(3, size[1], 1)  # (N, c, places, places, h, w)
    return windows[torch.arange(len(x), device=x.device), :, starts[0], starts[1]]


class TileEncoder(nn.Module):
    """An encoder of tiles; its layers of an image are the means over the tiles.

    Parameters
    ----------
    cutter : TileCutter
    encoder : Encoder
        Of one tile.
    """

    def __init__(self, cutter: TileCutter, encoder: Encoder):
        super().__init__()
        self.cutter, self.encoder = cutter, encoder

    def forward(self, x: Tensor) -> Layers:
        tiles = self.cutter(x)
        layers = self.encoder(tiles.flatten(0, 1))
        return Layers(*(layer.unflatten(0, tiles.shape[:2]).mean(1) for layer in layers))

    def of_tiles(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """The representations of all tiles, shape (B, T, d)."""
        tiles = self.cutter(x, generator)
        return self.encoder(tiles.flatten(0, 1)).y.unflatten(0, tiles.shape[:2])


class PermutationCritic(nn.Module):
    """Scores of permutations: the cosine of two embeddings, times a scale that is learned."""

    def __init__(self, n_tiles: int, n_components: int, n_permutations: int, width: int):
        super().__init__()
        self.tile = nn.Linear(n_components, width)
        self.head = nn.Sequential(
            nn.Linear(n_tiles * width, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Linear(width, width),
        )
        self.permutations = nn.Embedding(n_permutations, width)
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))

    def forward(self, z_BTD: Tensor, orders_BST: Tensor) -> Tensor:
        """Scores of every permutation of the set for S orders of the tiles, (B S, P)."""
        tiles = self.tile(z_BTD)
        rows = torch.arange(len(tiles), device=tiles.device)[:, None, None]
        shuffled = tiles[rows, orders_BST].flatten(2).flatten(0, 1)
        cosines = normalize(self.head(shuffled)) @ normalize(self.permutations.weight).T
        return self.log_scale.exp() * cosines


class JigsawObjective(EncoderObjective):
    """A bound on the information of shuffled tiles about their permutation.

    Parameters
    ----------
    model : nn.ModuleDict
        The encoder of tiles and the critic of permutations.
    bound : {"eta-dv", "dv", "cross-entropy"}
    permutations : ndarray of shape (P, T)
    n_shuffles : int
        Permutations of each image.
    **options
        See `EncoderObjective`.
    """

    def __init__(self, model: nn.ModuleDict, bound: str, *, permutations, n_shuffles, **options):
        super().__init__(model, **options)
        self.bound = None if bound == "cross-entropy" else get_bound(bound)
        self.n_shuffles = n_shuffles
        self.register_buffer("permutations", torch.from_numpy(permutations))
        if self.bound is not None and self.bound.has_eta:
            model["eta"] = nn.ParameterList([torch.zeros(())])

    def _terms(self, x, generator):
        z = self.model["encoder"].of_tiles(x, generator if self.training else None)
        n_permutations, size = len(self.permutations), (len(x), self.n_shuffles)
        codes = torch.randint(n_permutations, size, generator=generator, device=x.device)
        scores = self.model["critic"](z, self.permutations[codes])
        codes = codes.flatten()
        accuracy = (scores.argmax(1) == codes).float().mean()
        if self.bound is None:
            loss = cross_entropy(scores, codes)
            nats = math.log(n_permutations) - loss.detach()
        else:
            joint = scores.gather(1, codes[:, None]).squeeze(1)
            eta = self.model["eta"][0] if self.bound.has_eta else None
            value, nats = self.bound.value_and_nats(joint, scores, eta)
            loss = -value
        return None, loss, {"information": nats.detach(), "accuracy": accuracy}
