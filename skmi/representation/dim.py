"""Deep InfoMax: a representation that keeps information about the data and its parts."""

import math
from contextlib import contextmanager
from inspect import signature
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from skmi.bounds import Bound, get_bound, split_matrix
from skmi.critics import CRITICS, as_critic, make_critic
from skmi.networks import Layers, batch_norms, checked_copy, trial_output
from skmi.representation._base import (
    COMPUTE_CONSTRAINTS,
    PRIOR_CONSTRAINTS,
    BaseRepresentation,
)
from skmi.representation._objective import (
    DISCRIMINATOR_WIDTHS,
    EncoderObjective,
    full_precision,
)

__all__ = ["DIMTransformer"]

#: The settings of the paper and of its authors' code, by preset.
PRESETS = {
    "paper": {
        "critic_width": 2048,
        "global_critic": "concat",
        "encoder_width": 64,
        "learning_rate": 1e-4,
        "betas": (0.5, 0.999),
        "batch_size": 64,
        "n_local_samples": None,
        "occlusion": False,
        "averaging": 0.0,
        "discriminator_widths": (1000, 200),
    }
}
#: Bounds whose loss is minus their value, of the scores alone or with one eta.
DIM_BOUNDS = ("infonce", "jsd", "dv", "nwj", "eta-dv")
#: Critics by name: concat-and-convolve is the local concat critic of the paper.
CRITIC_NAMES = {*CRITICS, "concat-and-convolve"}
#: Hidden widths of the critics that see a concatenation, and of the tasks of coordinates.
CONCAT_WIDTHS = (512, 512)
#: Smallest side of what occlusion hides and leaves, as a part of the side of the image.
OCCLUSION_PART = 10 / 32


class DIMTransformer(BaseRepresentation):
    r"""Deep InfoMax: an encoder trained to keep information about its input.

    The encoder maps x over a map of local features C(x) to a representation E(x). It maximises
    ([1]_, eq. 8)

    .. math::
        \alpha\, I(C(x); E(x)) + \beta\, \frac1M \sum_i I(C_i(x); E(x)) - \gamma\, D(V \| E(x))

    with bounds on the mutual information of the representation and the whole map (global) and
    each of its places (local), and an adversary's estimate of how far the representations are
    from a prior V. A weight of 0 leaves its term out, with its network.

    DIM(G) of the paper is ``alpha=1, beta=0, gamma=1``; DIM(L) ``alpha=0, beta=1, gamma=0.1``,
    the default, to which ``occlusion`` of images is added; DIM(L+G) ``alpha=0.5, beta=0.1``.

    Parameters
    ----------
    n_components : int, default=64
        Width of the representation.
    alpha, beta, gamma : float, default=0.0, 1.0, 0.1
        Weights of the global term, the local term and the prior.
    bound : {"infonce", "jsd", "dv", "nwj", "eta-dv"}, default="infonce"
        Bound on the mutual information, with all pairs of rows and places of a batch.
    encoder : str or nn.Module, default="auto"
        ``"dcgan"``, ``"alexnet"``, ``"resnet"`` or ``"strided-crop"`` for images, ``"conv1d"``
        for sequences, ``"mlp"`` for rows of columns, whose local features are groups of columns.
        ``"auto"``: ``"dcgan"`` or ``"mlp"``. A module is copied; it must be an
        `skmi.networks.Encoder`.
    encoder_width : int, default=32
        Channels of the encoder's first block; the others grow with it. The paper's CIFAR-10
        encoder has 64.
    local_layer : "auto" or int, default="auto"
        The block, from 1, after which local features are taken; ``"auto"``: the last but one.
    local_critic : str or nn.Module, default="encode-and-dot"
        ``"encode-and-dot"``, ``"concat-and-convolve"``, or another of `skmi.critics.CRITICS`.
        A module ``(y, local) -> scores`` is copied.
    global_critic : str or nn.Module, default="encode-and-dot"
        The same of the flattened last map; ``"concat"`` is the paper's.
    critic_width : int, default=256
        Hidden width of encode-and-dot critics. The paper has 2048.
    n_local_samples : int or None, default=16
        Places of the map, drawn anew for each batch, that the local term looks at. None: all.
    n_negatives : int or None, default=None
        Other rows of the batch, drawn anew for each row, that it is told from in training. More
        cost nothing: this is to study their number. None: all.
    prior : {"uniform", "gaussian", "ball", "sphere", "binary"} or None, default="uniform"
        The distribution to match. It also sets the range of the representation, unless gamma is
        0. The adversary that guards it pays for the square of its gradient. None is the same as
        ``gamma=0``.
    feature_layer : {"global", "fc", "conv"}, default="global"
        What `transform` returns: the representation, the hidden layer before, or the last map.
    image_shape : tuple of int or None, default=None
        (height, width) or (channels, height, width) of flat images; (channels, steps) of
        sequences with ``encoder="conv1d"``.
    coordinates : {None, "absolute", "relative", "both"}, default=None
        Further tasks, of weight 1: to tell the place of a local feature, or how two lie to one
        another, given the representation ([1]_, section 4.3).
    occlusion : bool or "auto", default="auto"
        Whether representations in training are of images with a part hidden, so that they tell
        what the parts have in common ([1]_, section 4.3). ``"auto"``: for images.
    n_global_blocks : int or None, default=None
        Train with so many representations of 3 x 3 places of the map, drawn at random, instead
        of one of all places.
    augment : callable or None, default=None
        ``augment(batch, generator)`` returns a changed batch of scaled rows, on their device.
    score_scale : float, default=1.0
        What scores are multiplied by first. For encode-and-dot critics ``critic_width ** -0.5``
        divides them by the square root of their width, as AMDIM does; for bilinear ones
        ``n_features ** -0.5`` of the local features is of use.
    score_clip : float or None, default=None
        Scores are ``clip tanh(score / clip)``.
    score_penalty : float, default=0.0
        Weight of the mean squared score, which keeps scores small.
    max_epochs : int, default=30
        Passes over the rows, or the largest number of them if `patience` is given.
    batch_size : int, default=64
        Rows of a batch, of which all pairs are compared.
    learning_rate : float, default=2e-3
        Step size of Adam.
    betas : tuple of float, default=(0.9, 0.999)
        Adam's decay rates.
    averaging : float, default=0.99
        Decay of the moving average of the weights, which is kept after `fit`, since encoder and
        adversary are never quite at rest. 0: none, as in `partial_fit`.
    validation_fraction : float, default=0.1
        Part of the rows that tells when to stop, if there is `patience`.
    patience : int or None, default=None
        Epochs without improvement on held-out rows after which training stops, with the best
        weights. None: all rows are trained for ``max_epochs``.
    tolerance : float, default=1e-3
        Smallest improvement of the objective in nats.
    device : str, default="auto"
        Torch device.
    precision : {"float32", "bfloat16"}, default="float32"
        Of the products in training (autocast). bfloat16 is faster where the hardware computes
        in it; weights, losses, `transform` and `score` keep float32.
    compile : bool, default=False
        Whether training goes through `torch.compile`, which takes a compiler and its time.
    random_state : int, RandomState or None, default=None
        Seed of weights, batches and draws.
    verbose : int, default=0
        Whether to show a progress bar.
    warm_start : bool, default=False
        Whether `fit` goes on with the fitted networks.
    preset : {None, "paper"}, default=None
        ``"paper"`` has the published ``critic_width``, ``global_critic``, ``encoder_width``,
        ``learning_rate``, ``betas``, ``n_local_samples``, ``occlusion`` and ``averaging`` (none),
        and widths of the adversary in place of the defaults (what is set otherwise is kept),
        scales inputs to [-1, 1], and ends in a sigmoid. The critics have no normalisation of
        their own, which the authors' code has, and the adversary's gradient is penalised at all
        rows of a batch. Meant for a GPU.

    Attributes
    ----------
    encoder_ : Encoder
        The fitted encoder, from scaled rows to all layers.
    objective_ : nn.Module
        The encoder with its critics.
    history_ : list of dict
        Of each epoch, ``train_`` and (with `patience`) ``valid_`` ``loss``, ``global``,
        ``local`` and ``prior``; the latter three in nats. In training information is about
        ``n_local_samples`` places, and on held-out rows about all of them, so that InfoNCE has
        more candidates there. ``prior`` is the Jensen-Shannon divergence (times 2) that the
        adversary sees, 0 if the prior is matched.
    n_iter_ : int
        Epochs trained.
    location_, scale_ : ndarray
        What rows are shifted and divided by: the mean and standard deviation of each column or
        channel.
    row_shape_ : tuple of int
        Shape of one row.
    n_features_in_ : int
        Number of features, or of channels or rows of images, seen in fit.
    feature_names_in_ : ndarray of str
        Names of the features, if X had any.

    References
    ----------
    .. [1] R. D. Hjelm et al., "Learning deep representations by mutual information estimation
       and maximization", ICLR 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import Pipeline
    >>> from sklearn.svm import LinearSVC
    >>> from skmi.representation import DIMTransformer
    >>> X, y = load_digits(return_X_y=True)
    >>> dim = DIMTransformer(n_components=16, image_shape=(8, 8), max_epochs=3, patience=None)
    >>> pipeline = Pipeline([("dim", dim.set_params(random_state=0)), ("svm", LinearSVC())])
    >>> bool(pipeline.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.5)
    True
    """

    _parameter_constraints: dict = {
        **BaseRepresentation._parameter_constraints,
        **PRIOR_CONSTRAINTS,
        **COMPUTE_CONSTRAINTS,
        "alpha": [Interval(Real, 0, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="left")],
        "bound": [StrOptions(set(DIM_BOUNDS))],
        "local_layer": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "local_critic": [StrOptions(CRITIC_NAMES), nn.Module],
        "global_critic": [StrOptions(CRITIC_NAMES), nn.Module],
        "critic_width": [Interval(Integral, 1, None, closed="left")],
        "n_local_samples": [None, Interval(Integral, 1, None, closed="left")],
        "n_negatives": [None, Interval(Integral, 1, None, closed="left")],
        "coordinates": [None, StrOptions({"absolute", "relative", "both"})],
        "occlusion": [StrOptions({"auto"}), "boolean"],
        "n_global_blocks": [None, Interval(Integral, 1, None, closed="left")],
        "augment": [None, callable],
        "score_scale": [Interval(Real, 0, None, closed="neither")],
        "score_clip": [None, Interval(Real, 0, None, closed="neither")],
        "score_penalty": [Interval(Real, 0, None, closed="left")],
        "averaging": [Interval(Real, 0, 1, closed="left")],
        "preset": [None, StrOptions(set(PRESETS))],
    }

    def __init__(
        self,
        n_components=64,
        *,
        alpha=0.0,
        beta=1.0,
        gamma=0.1,
        bound="infonce",
        encoder="auto",
        encoder_width=32,
        local_layer="auto",
        local_critic="encode-and-dot",
        global_critic="encode-and-dot",
        critic_width=256,
        n_local_samples=16,
        n_negatives=None,
        prior="uniform",
        feature_layer="global",
        image_shape=None,
        coordinates=None,
        occlusion="auto",
        n_global_blocks=None,
        augment=None,
        score_scale=1.0,
        score_clip=None,
        score_penalty=0.0,
        max_epochs=30,
        batch_size=64,
        learning_rate=2e-3,
        betas=(0.9, 0.999),
        averaging=0.99,
        validation_fraction=0.1,
        patience=None,
        tolerance=1e-3,
        device="auto",
        precision="float32",
        compile=False,
        random_state=None,
        verbose=0,
        warm_start=False,
        preset=None,
    ):
        self.n_components = n_components
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.bound = bound
        self.encoder = encoder
        self.encoder_width = encoder_width
        self.local_layer = local_layer
        self.local_critic = local_critic
        self.global_critic = global_critic
        self.critic_width = critic_width
        self.n_local_samples = n_local_samples
        self.n_negatives = n_negatives
        self.prior = prior
        self.feature_layer = feature_layer
        self.image_shape = image_shape
        self.coordinates = coordinates
        self.occlusion = occlusion
        self.n_global_blocks = n_global_blocks
        self.augment = augment
        self.score_scale = score_scale
        self.score_clip = score_clip
        self.score_penalty = score_penalty
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.betas = betas
        self.averaging = averaging
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.tolerance = tolerance
        self.device = device
        self.precision = precision
        self.compile = compile
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start
        self.preset = preset

    # ------------------------------------------------------------ settings

    def _setting(self, name):
        value = getattr(self, name)
        if self.preset is None or value != signature(type(self)).parameters[name].default:
            return value  # what was asked for goes before the preset
        return PRESETS[self.preset].get(name, value)

    @property
    def _standardize(self) -> bool:
        return self.preset != "paper"

    def _check_settings(self):
        if self.alpha == 0 and self.beta == 0:
            weights = "All three weights are" if self._prior_weight == 0 else "alpha and beta are"
            raise ValueError(
                f"{weights} 0, so the representation would keep nothing of X. Set alpha (global) "
                "or beta (local) above 0."
            )

    def _trainer_options(self):
        return {
            "precision": self.precision,
            "compile": self.compile,
            "averaging": self._setting("averaging"),
        }

    def _fit_scale(self, rows):
        return self._fit_range(rows) if self.preset == "paper" else super()._fit_scale(rows)

    # ------------------------------------------------------------ networks

    def _make_objective(self, shape):
        encoder = self._make_encoder(shape, local_layer=self.local_layer)
        layers = trial_output(encoder, shape)
        n_places = math.prod(layers.local.shape[2:])
        n_local, n_map = layers.local.shape[1], layers.conv[0].numel()
        grid = layers.local.shape[2:]
        model = nn.ModuleDict({"encoder": encoder})
        if self.alpha:
            critic = self._setting("global_critic")
            model["global_critic"] = self._make_critic(critic, n_map)
        if self.beta:
            model["local_critic"] = self._make_critic(self.local_critic, n_local)
        if self.coordinates in ("absolute", "both"):
            model["absolute"] = _coordinate_net(self.n_components + n_local, sum(grid))
        if self.coordinates in ("relative", "both"):
            n_offsets = sum(2 * side - 1 for side in grid)
            model["relative"] = _coordinate_net(self.n_components + 2 * n_local, n_offsets)
        if self.n_global_blocks is not None and (len(grid) != 2 or min(grid) < 4):
            raise ValueError(
                f"n_global_blocks needs a map of at least 4 x 4 places, but local_layer="
                f"{self.local_layer!r} has {' x '.join(map(str, grid))}. Take an earlier layer."
            )
        occlusion = self._setting("occlusion")
        if occlusion == "auto":
            occlusion = len(shape) == 3
        elif occlusion and len(shape) != 3:
            raise ValueError("occlusion=True needs images. Give image_shape, or occlusion=False.")
        n_samples = self._setting("n_local_samples")
        return InfoMaxObjective(
            model,
            get_bound(self.bound),
            alpha=self.alpha,
            beta=self.beta,
            gamma=self._prior_weight,
            prior=self.prior,
            discriminator_widths=PRESETS.get(self.preset, {}).get(
                "discriminator_widths", DISCRIMINATOR_WIDTHS
            ),
            n_components=self.n_components,
            n_local_samples=None if n_samples is None or n_samples >= n_places else n_samples,
            occlusion=occlusion,
            n_global_blocks=self.n_global_blocks,
            n_negatives=self.n_negatives,
            augment=self.augment,
            score_scale=self.score_scale,
            score_clip=self.score_clip,
            score_penalty=self.score_penalty,
        )

    def _make_critic(self, critic, n_features):
        if isinstance(critic, nn.Module):
            shapes = [(self.n_components,), (n_features,)]
            return as_critic(checked_copy("critic", critic, shapes, (1,)))
        concat = critic in ("concat", "concat-and-convolve")
        return make_critic(
            "concat" if concat else critic,
            self.n_components,
            n_features,
            hidden_layer_sizes=CONCAT_WIDTHS if concat else (self._setting("critic_width"),),
            activation="relu",
        )


def _coordinate_net(n_in: int, n_out: int) -> nn.Sequential:
    layers, width = [], n_in
    for hidden in CONCAT_WIDTHS:
        layers += [nn.Linear(width, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()]
        width = hidden
    return nn.Sequential(*layers, nn.Linear(width, n_out))


class InfoMaxObjective(EncoderObjective):
    """The local and the global term of Deep InfoMax, and the tasks of coordinates.

    Parameters
    ----------
    model : nn.ModuleDict
        The encoder, and those of ``global_critic``, ``local_critic``, ``absolute`` and
        ``relative`` that are trained.
    bound : Bound
    alpha, beta : float
        Weights of the two terms.
    n_local_samples, n_negatives, occlusion, n_global_blocks, augment
        As in `DIMTransformer`.
    score_scale, score_clip, score_penalty
        As in `DIMTransformer`.
    **options
        See `EncoderObjective`.
    """

    def __init__(
        self,
        model: nn.ModuleDict,
        bound: Bound,
        *,
        alpha: float,
        beta: float,
        n_local_samples: int | None = None,
        n_negatives: int | None = None,
        occlusion: bool = False,
        n_global_blocks: int | None = None,
        augment=None,
        score_scale: float = 1.0,
        score_clip: float | None = None,
        score_penalty: float = 0.0,
        **options,
    ):
        super().__init__(model, **options)
        self.bound, self.alpha, self.beta = bound, alpha, beta
        self.n_local_samples, self.n_negatives = n_local_samples, n_negatives
        self.occlusion, self.n_global_blocks = occlusion, n_global_blocks
        self.augment = augment
        self.score_scale, self.score_clip = score_scale, score_clip
        self.score_penalty = score_penalty
        if bound.has_eta:
            model["etas"] = nn.ParameterDict(
                {
                    term: nn.Parameter(torch.zeros(()))
                    for term, weight in (("global", alpha), ("local", beta))
                    if weight
                }
            )

    def _terms(self, x, generator):
        if self.augment is not None and self.training:
            x = self.augment(x, generator)
        layers, representations = self._encode(x, generator)
        terms, loss = {}, x.new_zeros(())
        if self.alpha:
            flat = layers.conv.flatten(1)[:, :, None]
            terms["global"], term_loss = self._information(
                "global", representations, flat, generator
            )
            loss = loss + self.alpha * term_loss
        if self.beta:
            local = self._sample_places(layers.local.flatten(2), generator)
            terms["local"], term_loss = self._information(
                "local", representations, local, generator
            )
            loss = loss + self.beta * term_loss
        for task in ("absolute", "relative"):
            if task in self.model:
                error = getattr(self, f"_{task}_error")(
                    representations[-1], layers.local, generator
                )
                terms[f"{task}_coordinates"] = error
                loss = loss + error
        return layers.y, loss, terms

    # ------------------------------------------------------------ representations

    def _encode(self, x, generator) -> tuple[Layers, list[Tensor]]:
        """All layers of x, and the representations that are to tell its parts.

        They may be of a part of x. What meets the prior is that of the whole, as in `transform`.
        """
        encoder = self.model["encoder"]
        layers = encoder(x)
        if not self.training:
            return layers, [layers.y]
        if self.n_global_blocks is not None:
            masks = random_blocks(layers.local, self.n_global_blocks, generator)
            with statistics_kept(encoder):
                return layers, [encoder.from_local(layers.local * mask).y for mask in masks]
        if self.occlusion:
            with statistics_kept(encoder):
                return layers, [encoder(x * random_occlusion(x, generator)).y]
        return layers, [layers.y]

    def _sample_places(self, local: Tensor, generator) -> Tensor:
        if self.n_local_samples is None or not self.training:
            return local
        order = torch.randperm(local.shape[2], generator=generator, device=local.device)
        return local[:, :, order[: self.n_local_samples]]

    # ------------------------------------------------------------ terms

    def _sample_negatives(self, product: Tensor, generator) -> Tensor:
        """Some of the scores (B, B - 1, L) of each row with the places of the others."""
        n_rows, n_others, _ = product.shape
        if self.n_negatives is None or not self.training or self.n_negatives >= n_others:
            return product
        draws = torch.rand((n_rows, n_others), generator=generator, device=product.device)
        chosen = draws.argsort(dim=1)[:, : self.n_negatives]
        return product.take_along_dim(chosen[:, :, None], dim=1)

    def _information(self, term, representations, features_BCL, generator) -> tuple[Tensor, Tensor]:
        """Estimate in nats, and loss, of I(features; representation) over all pairs."""
        n_rows, _, n_places = features_BCL.shape
        eta = self.model["etas"][term] if self.bound.has_eta else None
        features = features_BCL.movedim(1, 2).flatten(0, 1)
        values, losses = [], []
        for y in representations:
            scores = self.model[f"{term}_critic"].matrix(y, features)
            scores = self.score_scale * full_precision(scores).view(n_rows, n_rows, n_places)
            if self.score_clip is not None:
                scores = self.score_clip * torch.tanh(scores / self.score_clip)
            joint, product = split_matrix(scores)
            product = self._sample_negatives(product, generator).flatten(1)
            value, nats = self.bound.value_and_nats(joint, product, eta)
            penalty = self.score_penalty * scores.square().mean() if self.training else 0.0
            values.append(nats.detach())
            losses.append(penalty - value)
        return torch.stack(values).mean(), torch.stack(losses).mean()

    def _absolute_error(self, y, local, generator) -> Tensor:
        """Cross-entropy of where a random place of the map lies."""
        place, features = random_place(local, generator)
        logits = self.model["absolute"](torch.cat([y, features], dim=1))
        return _coordinate_error(logits, local.shape[2:], place)

    def _relative_error(self, y, local, generator) -> Tensor:
        """Cross-entropy of how two random places of the map lie to one another."""
        (here, first), (there, second) = (random_place(local, generator) for _ in range(2))
        logits = self.model["relative"](torch.cat([y, first, second], dim=1))
        grid = local.shape[2:]
        offsets = [a - b + side - 1 for a, b, side in zip(here, there, grid, strict=True)]
        return _coordinate_error(logits, [2 * side - 1 for side in grid], offsets)


def _coordinate_error(logits, sizes, places) -> Tensor:
    """Sum over the axes of the cross-entropies in nats."""
    parts = logits.split(list(sizes), dim=1)
    return sum(cross_entropy(part, place) for part, place in zip(parts, places, strict=True))


@contextmanager
def statistics_kept(network: nn.Module):
    """Have batch norm leave its running statistics alone: they are those of whole images."""
    norms = batch_norms(network)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def random_place(local: Tensor, generator) -> tuple[list[Tensor], Tensor]:
    """A place of the map for each row: its coordinates, each of shape (B,), and its features."""
    grid, device = local.shape[2:], local.device
    places = [
        torch.randint(side, (len(local),), generator=generator, device=device) for side in grid
    ]
    rows = torch.arange(len(local), device=device)
    return places, local.movedim(1, -1)[(rows, *places)]


def random_blocks(local: Tensor, n_blocks: int, generator) -> list[Tensor]:
    """Masks of shape (B, 1, h, w), each with a block of 3 x 3 places for each image."""
    masks = []
    for _ in range(n_blocks):
        inside = []
        for side in local.shape[2:]:
            first = torch.randint(
                side - 2, (len(local), 1), generator=generator, device=local.device
            )
            offset = torch.arange(side, device=local.device) - first
            inside.append(((offset >= 0) & (offset < 3)).to(local.dtype))
        masks.append(inside[0][:, None, :, None] * inside[1][:, None, None, :])
    return masks


def random_occlusion(x: Tensor, generator) -> Tensor:
    """A mask for each image that hides a corner of random size, or all but it.

    At least a block of 10/32 of each side is hidden, and one is left ([1], App. A.7).
    """

    def corner(side):
        block = max(1, round(OCCLUSION_PART * side))
        uniform = torch.rand((len(x), 2), generator=generator, device=x.device)
        size = (block + uniform[:, :1] * (side - 2 * block + 1)).floor()
        places = torch.arange(side, device=x.device)
        return (torch.where(uniform[:, 1:] < 0.5, places, side - 1 - places) < size).float()

    inside = corner(x.shape[2])[:, None, :, None] * corner(x.shape[3])[:, None, None, :]
    hide = torch.rand((len(x), 1, 1, 1), generator=generator, device=x.device) < 0.5
    return torch.where(hide, 1 - inside, inside)
