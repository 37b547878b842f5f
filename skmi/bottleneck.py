"""The information bottleneck: a classifier whose representation forgets what it does not need."""

import copy
import itertools
import math
from collections.abc import Iterable, Iterator
from numbers import Integral, Real

import numpy as np
import torch
from scipy.stats import entropy
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.callback import with_callbacks
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d
from torch import Tensor, nn
from torch.nn import functional as F

from skmi._normal import kl_to_standard_normal
from skmi._supervised import read_classes
from skmi.base import EVALUATION_ROWS, apply_in_batches, check_widths
from skmi.bounds import get_bound
from skmi.critics import ConcatCritic
from skmi.evaluation._latent import mixture_information, sampled_information
from skmi.exceptions import ConvergenceWarning, warn
from skmi.networks import Encoder, evaluating
from skmi.networks.vae import VAE_ENCODERS, make_vae_encoder
from skmi.representation._base import BaseRepresentation
from skmi.representation._objective import (
    InformationCritic,
    Objective,
    gaussian_noise,
    mirrored,
    warn_of_small_batches,
)
from skmi.training import ETA_LEARNING_RATE, Player, count_batches

__all__ = ["InformationBottleneckClassifier"]

#: Bounds on mutual information that a critic climbs and an encoder may descend, in nats.
INFORMATION_BOUNDS = ("dv", "eta-dv", "infonce", "nwj")
#: How far, in nats, what the critic finds may fall short of what the classifier reads, and the
#: objective of what it would be with all that the codes keep.
LOOSE = 0.1
#: How far, in nats, the cross-entropy may be above that of guessing.
WORSE_THAN_GUESSING = 1.0
#: Part by which the cross-entropy of the classes is below that of their frequencies, at least.
LITTLE = 0.02
#: What the columns are of an encoder with Gaussian noise.
POSTERIOR_COLUMNS = "the means of the codes, then what a softplus makes their deviations"
#: Rows that the critic compares at once to tell.
CRITIC_ROWS = 8192
#: Smallest standard deviation of Gaussian codes.
SMALLEST_STD = 1e-6
#: Total variance of codes of few columns; of more, each has variance 1. With unit columns a linear
#: layer takes long to tell classes apart by two or three of them.
POWER = 32.0
#: Rows that are compared at most for `compression_`, and draws of codes that it is the mean over.
COMPRESSION_ROWS, COMPRESSION_DRAWS = 4096, 2000
#: Draws of the codes of each row, where they tell the density.
DENSITY_DRAWS = 16
#: Draws of the codes of each row, by whose moments a critic sees it.
REFERENCE_DRAWS = 12


def _has_posterior(bottleneck) -> bool:
    if bottleneck.encoder_noise != "gaussian":
        raise AttributeError(
            f"posterior needs encoder_noise='gaussian', and not {bottleneck.encoder_noise!r}, of "
            "which the density of the codes is not known. Use sample_codes."
        )
    return True


class InformationBottleneckClassifier(ClassifierMixin, BaseRepresentation):
    r"""A classifier on a noisy representation that keeps little of the data.

    An encoder with noise makes codes z of the rows x, and a linear layer the probabilities
    :math:`p(y|z)` of the classes. They minimise the cross-entropy and, with the weight
    :math:`\beta`, the information that the codes keep ([1]_, eq. 20):

    .. math:: E[-\log p(y | z)] + \beta\, I(X; Z) .

    The information is what a critic :math:`T(x, z)`, trained beside, certifies. By default (eq. 5
    and 10)

    .. math:: I(X; Z) \ge E_{p(x, z)}[T] - \log E_{p(x) p(z)}[e^T] ,

    which the critic raises and the encoder lowers. The encoder needs no density, so that noise
    may enter it anywhere. The variational bottleneck, ``bound="vib"``, has no critic ([2]_); it
    lowers an upper bound,

    .. math:: I(X; Z) \le E_x\, KL(q(z | x) \| N(0, I)) ,

    which needs the density of z given x.

    Parameters
    ----------
    beta : float, default=1e-3
        Weight of the information; 0 leaves it and its critic out.
    bound : {"dv", "nwj", "eta-dv", "infonce", "vib"}, default="dv"
        Bound on the information, see `skmi.bounds`; or ``"vib"``, for Gaussian codes only.
    encoder_noise : {"gaussian", "additive", "propagated"}, default="gaussian"
        How noise :math:`\epsilon` of standard normal columns makes the code of a row random.
        ``"gaussian"``: the encoder gives each code a mean and a standard deviation,
        :math:`z = \mu(x) + \sigma(x) \epsilon`. ``"additive"``: :math:`z = f(x + s \epsilon)`.
        ``"propagated"``: :math:`z = f([x, \epsilon])`, with as many columns, or channels, of
        noise as of the data. But for ``bound="vib"``, whose prior holds it, the scale of
        :math:`\mu` and f is fixed.
    noise_std : float, default=0.5
        The deviation s of additive noise, where the data have deviation 1.
    n_components : int, default=32
        Number of columns of the codes.
    encoder : {"auto", "mlp", "conv"} or nn.Module, default="auto"
        ``"mlp"``, dense layers; ``"conv"``, convolutions of stride 2; ``"auto"``, ``"conv"`` for
        images and ``"mlp"`` for rows. A module maps a batch to n_components columns, for Gaussian
        noise to 2 n_components: the means, and what a softplus makes the deviations of. It
        should not draw random numbers of its own, which no seed here governs.
    hidden_layer_sizes : tuple of int, default=(256, 256)
        Dense hidden layers of the encoder.
    encoder_width : int, default=32
        Channels of the first convolution.
    critic_hidden : tuple of int, default=(256, 256)
        Hidden layers of the critic, with ELU activations.
    critic_noise : tuple of float, default=(0.0, 0.0)
        Deviations of the noise that is added, in training, to the inputs of the critic, which are
        standardised, and to its hidden layers.
    n_critic : int, default=5
        Steps of the critic on each batch.
    n_train_draws : int, default=12
        Draws of the codes of each row that a step of the encoder is the mean over, where there is
        a critic. Every second noise is minus the one before, so that the noise cancels in the
        gradient of Gaussian means: with one draw the encoder is driven about, and learns less at
        every beta. With ``bound="infonce"`` the memory of a step grows with it.
    n_draws : int, default=12
        Draws of the noise that predictions average over.
    image_shape : tuple of int or None, default=None
        (height, width) or (channels, height, width) of images that come as flat rows.
    max_epochs : int, default=100
        Number of passes over the data, or the largest, if there is `patience`.
    batch_size : int, default=100
        Rows of a batch.
    learning_rate, critic_learning_rate : float, default=1e-3, 3e-3
        Step sizes of Adam for encoder and classifier, and for the critic.
    betas : tuple of float, default=(0.9, 0.999)
        Adam's decay rates.
    averaging : float, default=0.99
        Decay of the moving average of the weights over one `fit`, which is what is kept; 0 keeps
        the last ones.
    validation_fraction : float, default=0.1
        Part of the rows that is held out to tell when to stop, if there is `patience`.
    patience : int or None, default=None
        Epochs without improvement on these rows after which training stops.
    tolerance : float, default=1e-3
        Smallest improvement that counts.
    device : str, default="auto"
        ``"auto"`` is CUDA where there is one, else MPS, else the CPU.
    random_state : int, RandomState or None, default=None
        Seed of weights, shuffles and draws.
    verbose : int, default=0
        Whether to show a progress bar.
    warm_start : bool, default=False
        Whether `fit` goes on training the networks that there are (see :ref:`going-on` for the
        parameters that may change).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    class_prior_ : ndarray of shape (n_classes,)
        Their frequencies in the rows of `fit`, or of the first `partial_fit`.
    compression_ : float
        I(X; Z) of the rows of the last call, in nats, whatever the bound: the information between
        N of them, at most 4096, each as likely as the other, and their codes, at most log N. With
        Gaussian noise by the densities (`skmi.evaluation.latent_mutual_information`), with other
        noise a lower bound, by normal densities of one covariance that are fitted to draws of the
        codes of each row: it does not see what only the spread of the codes tells.
    encoder_ : nn.Module
        The fitted encoder with its noise, from scaled rows to codes.
    history_ : list of dict
        Of each epoch, as ``train_`` and ``valid_``, in nats per row: ``loss``, ``cross_entropy``
        and, with ``beta`` above 0, ``information``, by the bound.
    n_iter_ : int
        Number of epochs.
    n_samples_fit_ : int
        Number N of rows of `fit` or `partial_fit`, of the call with most.
    location_, scale_ : ndarray
        What the data are centred and divided by.
    row_shape_ : tuple of int
        Shape of one row as the networks see it.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    See Also
    --------
    skmi.plotting.InformationPlaneDisplay : Compression against relevance.
    skmi.mutual_info : An estimate of the information from X and ``sample_codes(X)``.

    Notes
    -----
    The published sizes, for MNIST: ``hidden_layer_sizes=(1024, 1024)``, ``n_components=256``,
    ``critic_hidden=(512, 512)``, ``critic_noise=(0.3, 0.5)``, ``n_critic=1`` ([1]_, Table 15),
    ``n_train_draws=1``, both learning rates 1e-4, ``betas=(0.5, 0.999)``, ``averaging=0.999`` and
    200 epochs; the published critic sees x.

    Information is the same at every scale of the codes. Were it free, the cross-entropy would
    drive Gaussian means out of their noise, which would be no noise then. So their variances over
    the data are fixed, as in a channel of limited power: each is 1, or with fewer than 32 columns
    their sum 32 (batch normalisation without weights, in training by the moments of the batch).

    The critic is not given x but, of Gaussian codes, their posterior, on which alone they depend:
    :math:`I(X; Z) = I(\mu(X), \sigma(X); Z)`. Of other codes it is given means and deviations of
    12 further draws, which tell no more of Z than x does, and may tell less: rows whose codes have
    the same moments look alike to it. Given x itself, a critic is too slow to follow the encoder.

    A lower bound that is lowered is no guarantee: the encoder may hide from a critic that is too
    small or too slow what it keeps. ``compression_``, which does not ask the critic, tells, and a
    warning, if the codes say more of the classes than all that the critic finds, or if they keep
    twice as much of the data and it would have mattered: `beta` times what was missed above 0.1.
    Believe ``compression_`` rather than the ``information`` of ``history_``: ``"infonce"`` is at
    most the logarithm of the number of rows of a batch, and the other bounds with a critic may be
    anything, tens of nats or below 0, where a small `beta` leaves codes of more nats than a batch
    can show; ``"vib"`` is an upper bound and may be far above.

    References
    ----------
    .. [1] M. I. Belghazi et al., "MINE: mutual information neural estimation", ICML 2018,
       section 5.3 and appendix 8.1.5.
    .. [2] A. A. Alemi, I. Fischer, J. V. Dillon and K. Murphy, "Deep variational information
       bottleneck", ICLR 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmi import InformationBottleneckClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> bottleneck = InformationBottleneckClassifier(bound="vib", max_epochs=10, random_state=0)
    >>> bottleneck = bottleneck.fit(X[:1000], y[:1000])
    >>> bool(bottleneck.score(X[1000:], y[1000:]) > 0.85)
    True
    >>> bool(0 < bottleneck.compression_ <= 6.91)  # log(1000)
    True
    """

    _parameter_constraints: dict = {
        **BaseRepresentation._parameter_constraints,
        "beta": [Interval(Real, 0, None, closed="left")],
        "bound": [StrOptions({*INFORMATION_BOUNDS, "vib"})],
        "encoder_noise": [StrOptions({"gaussian", "additive", "propagated"})],
        "noise_std": [Interval(Real, 0, None, closed="neither")],
        "encoder": [StrOptions({"auto", *VAE_ENCODERS}), nn.Module],
        "hidden_layer_sizes": ["array-like"],
        "critic_hidden": ["array-like"],
        "critic_noise": ["array-like"],
        "n_critic": [Interval(Integral, 1, None, closed="left")],
        "n_train_draws": [Interval(Integral, 1, None, closed="left")],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "critic_learning_rate": [Interval(Real, 0, None, closed="neither")],
        "averaging": [Interval(Real, 0, 1, closed="left")],
    }
    del _parameter_constraints["feature_layer"]

    def __init__(
        self,
        beta=1e-3,
        *,
        bound="dv",
        encoder_noise="gaussian",
        noise_std=0.5,
        n_components=32,
        encoder="auto",
        hidden_layer_sizes=(256, 256),
        encoder_width=32,
        critic_hidden=(256, 256),
        critic_noise=(0.0, 0.0),
        n_critic=5,
        n_train_draws=12,
        n_draws=12,
        image_shape=None,
        max_epochs=100,
        batch_size=100,
        learning_rate=1e-3,
        critic_learning_rate=3e-3,
        betas=(0.9, 0.999),
        averaging=0.99,
        validation_fraction=0.1,
        patience=None,
        tolerance=1e-3,
        device="auto",
        random_state=None,
        verbose=0,
        warm_start=False,
    ):
        self.beta = beta
        self.bound = bound
        self.encoder_noise = encoder_noise
        self.noise_std = noise_std
        self.n_components = n_components
        self.encoder = encoder
        self.hidden_layer_sizes = hidden_layer_sizes
        self.encoder_width = encoder_width
        self.critic_hidden = critic_hidden
        self.critic_noise = critic_noise
        self.n_critic = n_critic
        self.n_train_draws = n_train_draws
        self.n_draws = n_draws
        self.image_shape = image_shape
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.critic_learning_rate = critic_learning_rate
        self.betas = betas
        self.averaging = averaging
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.tolerance = tolerance
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start

    # ------------------------------------------------------------ fitting

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Train encoder, classifier and critic.

        Parameters
        ----------
        X : array-like
            Rows of numbers, shape (n, p), or flat images with ``image_shape``; images of shape
            (n, h, w) or (n, c, h, w).
        y : array-like of shape (n_samples,)
            Class labels, of at least two classes.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For data or parameters that cannot be used; the message names the argument.
        NonFiniteLossError
            If training diverges.

        Warns
        -----
        ConvergenceWarning
            If there is `patience`, and the objective was still improving on held-out rows after
            ``max_epochs``; if guessing the classes would be much better, as training has
            diverged, or hardly worse; if the codes tell more of the classes than all that the
            critic finds in them, or keep so much more of the data that it would have mattered to
            the objective.
        """
        go_on = self.warm_start and hasattr(self, "objective_")
        return self._prepare_and_train(X, y, None, go_on=go_on)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None):
        """Train for one more epoch on these rows, without early stopping.

        The first call builds the networks and fits the scales on its rows.

        Parameters
        ----------
        X, y : array-like
            As in `fit`.
        classes : array-like of shape (n_classes,) or None, default=None
            All classes there will be; for the first call, if its rows are not of all of them.

        Returns
        -------
        self

        Notes
        -----
        The weights that are kept are the last ones, without `averaging`, which is over one `fit`.
        """
        go_on = hasattr(self, "objective_")
        return self._prepare_and_train(X, y, classes, go_on=go_on, epochs=1)

    def _prepare(self, X, y, classes=None, *, reset: bool):
        (rows,) = super()._prepare(X, None, reset=reset)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        y = column_or_1d(y, warn=True)
        check_consistent_length(rows, y)
        if reset:
            self.classes_, _ = read_classes(y if classes is None else np.asarray(classes))
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"classes={np.asarray(classes).tolist()} are not those of the first call, "
                f"{self.classes_.tolist()}. Leave classes out, or start with all of them."
            )
        advice = "Pass all of them as classes in the first partial_fit, or fit anew with "
        advice += "warm_start=False."
        codes = self._codes(y, advice)
        if reset:
            self.class_prior_ = np.bincount(codes, minlength=len(self.classes_)) / len(codes)
        if self.beta and self.bound != "vib":
            warn_of_small_batches(self.batch_size, len(rows), f"beta={self.beta}", "beta=0")
        return rows, torch.from_numpy(codes)

    def _codes(self, y: np.ndarray, advice: str) -> np.ndarray:
        """The number of each label's class."""
        known = np.isin(y, self.classes_)
        if not known.all():
            raise ValueError(
                f"y holds {np.unique(y[~known])[:5].tolist()}, but the classes are "
                f"{self.classes_.tolist()}. {advice}"
            )
        return np.searchsorted(self.classes_, y)

    def _check_settings(self) -> None:
        if self.bound == "vib" and self.encoder_noise != "gaussian":
            raise ValueError(
                f"bound='vib' needs the density of the codes, which encoder_noise="
                f"{self.encoder_noise!r} does not have. Use encoder_noise='gaussian', or a bound "
                "with a critic, such as 'dv'."
            )
        noise = tuple(self.critic_noise)
        if len(noise) != 2 or not all(isinstance(std, Real) and std >= 0 for std in noise):
            raise ValueError(
                f"critic_noise={self.critic_noise!r} must be two deviations, 0 or larger: of the "
                "inputs of the critic and of its hidden layers."
            )

    @property
    def _advice(self) -> str:
        if not self._has_critic:
            return super()._advice
        return (
            "The critic's scores may have exploded: lower critic_learning_rate or beta, or use "
            "bound='vib'."
        )

    def _train(self, rows, codes, *, go_on, epochs):
        self.n_samples_fit_ = max(len(rows), self.n_samples_fit_ if go_on else 0)
        if go_on:
            self.objective_.n_draws = self.n_train_draws
        try:
            super()._train(rows, codes, go_on=go_on, epochs=epochs)
        except KeyboardInterrupt:
            if self._keeps_when_interrupted:  # the epochs that were finished
                self.compression_ = self._measure_compression(self._scale(rows))
            raise
        rows = self._scale(rows)
        self.compression_ = self._measure_compression(rows)
        if epochs is None:
            self._warn_of_failure(rows, codes)
        return self

    @property
    def _has_critic(self) -> bool:
        return self.beta > 0 and self.bound != "vib"

    def _players(self):
        options = {"betas": tuple(self.betas)}
        players = [Player("model", self.learning_rate, **options)]
        if self._has_critic:
            options |= {"steps": self.n_critic, "rates": {"eta": ETA_LEARNING_RATE}}
            players.append(Player("critic", self.critic_learning_rate, **options))
        return players

    def _trainer_options(self):
        return {"averaging": self.averaging}

    def _make_objective(self, shape):
        gaussian = self.encoder_noise == "gaussian"
        encoder = NoisyEncoder(
            self._make_encoder(shape),
            self.encoder_noise,
            self.n_components,
            self.noise_std,
            limited=self.bound != "vib",
            n_passes=self.n_train_draws if self._has_critic and not gaussian else 1,
        )
        head = nn.Linear(self.n_components, len(self.classes_))
        critic = None
        if self._has_critic:
            scores = StatisticsNetwork(
                self.n_components,
                check_widths("critic_hidden", self.critic_hidden),
                self.critic_noise,
            )
            critic = InformationCritic(scores, get_bound(self.bound))
        model = nn.ModuleDict({"encoder": encoder, "head": head})
        return BottleneckObjective(model, critic, beta=self.beta, n_draws=self.n_train_draws)

    def _make_encoder(self, shape):
        if self.encoder_noise == "propagated":
            shape = (2 * shape[0], *shape[1:])
        n_outputs, meaning = self.n_components, "the codes"
        if self.encoder_noise == "gaussian":
            n_outputs, meaning = 2 * self.n_components, POSTERIOR_COLUMNS

        def make():
            return make_vae_encoder(
                self.encoder,
                shape,
                n_outputs,
                hidden_layer_sizes=check_widths("hidden_layer_sizes", self.hidden_layer_sizes),
                width=self.encoder_width,
            )

        return self._read_encoder(make, shape, n_outputs, meaning)

    def _measure_compression(self, rows: Tensor) -> float:
        """The information between rows, each as likely as the other, and their codes."""
        rng = np.random.default_rng(self.seed_)
        rows = rows[rng.permutation(len(rows))[:COMPRESSION_ROWS]]
        if self.encoder_noise == "gaussian":
            means, stds = (values.astype(np.float64) for values in self._posterior(rows))
            information = mixture_information(means, stds, COMPRESSION_DRAWS, self.seed_)
        else:
            n_fresh = math.ceil(COMPRESSION_DRAWS / len(rows))
            codes = self._draw_codes(rows, DENSITY_DRAWS + n_fresh, self.seed_).astype(np.float64)
            chosen = rng.permutation(n_fresh * len(rows))[:COMPRESSION_DRAWS]
            fresh = codes[DENSITY_DRAWS:].reshape(-1, self.n_components)[chosen]
            information = sampled_information(codes[:DENSITY_DRAWS], fresh, chosen % len(rows))
        return max(information, 0.0)

    def _warn_of_failure(self, rows: Tensor, classes: Tensor) -> None:
        """Complain of a classifier that is no good, or of a critic that misses much."""
        failure = None if (rows == rows[0]).all() else self._find_failure(rows, classes)
        if failure:
            warn(failure, ConvergenceWarning)

    def _find_failure(self, rows: Tensor, classes: Tensor) -> str | None:
        information, cross_entropy = self._read_codes(rows, classes)
        guessing = math.log(len(self.classes_))
        relevance = entropy(np.bincount(classes)) - cross_entropy
        if not cross_entropy <= guessing + WORSE_THAN_GUESSING:
            return (
                f"Training has diverged: the cross-entropy of the classes is {cross_entropy:.3g} "
                f"nats, and {guessing:.3g} if all are given the same probability. Lower "
                "learning_rate or beta."
            )
        missed = information is not None and self._find_missed(information, relevance)
        if missed:
            return missed
        with np.errstate(divide="ignore"):  # of classes that were yet to come
            by_frequencies = -np.log(self.class_prior_)[classes].mean()
        enough = (1 - LITTLE) * by_frequencies
        if 0 < enough < cross_entropy:  # by single draws: by the mean over draws it may be lower
            probabilities = self._probabilities(rows)[np.arange(len(rows)), classes]
            cross_entropy = -np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)).mean()
        if 0 < enough < cross_entropy:
            return (
                f"The codes hardly help to tell the classes: the cross-entropy is "
                f"{cross_entropy:.3g} nats by predict_proba, and {by_frequencies:.3g} by the "
                "frequencies of the classes alone. Lower beta, or raise max_epochs or "
                "learning_rate."
            )
        return None

    def _find_missed(self, information: float, relevance: float) -> str | None:
        """What to say of a critic that finds less in the codes than is in them."""
        if not information >= relevance - LOOSE:
            more = f"the classifier reads {relevance:.3g} of the classes in them"
        elif (
            information < self.compression_ / 2
            and self.beta * (self.compression_ - information) > LOOSE
        ):
            more = (
                f"they keep {self.compression_:.3g} of the data (compression_), and "
                f"beta={self.beta:g} lowers only what it finds"
            )
        else:
            return None
        if self.bound == "infonce":
            cause = "it sees at most the logarithm of batch_size, or has learned too little. Raise "
            cause += "batch_size"
        else:
            cause = "it has learned too little, or is misled by the encoder. Raise critic_hidden"
        return (
            f"The critic finds {information:.3g} nats in the codes, but {more}: {cause}, n_critic, "
            "n_train_draws or critic_learning_rate; lower learning_rate or beta; or use "
            "bound='vib' with Gaussian codes."
        )

    @torch.no_grad()
    def _read_codes(self, rows: Tensor, classes: Tensor) -> tuple[float | None, float]:
        """What the critic finds in one draw of the codes, and the cross-entropy of the classes.

        None without a critic.
        """
        objective = copy.deepcopy(self.objective_).to(self.device_)
        encoder, head = objective.model["encoder"], objective.model["head"]
        generator = torch.Generator(self.device_).manual_seed(0)
        parts = (part.to(self.device_) for part in rows.split(EVALUATION_ROWS))
        classes = classes.to(self.device_)
        if objective.critic is None:
            codes = torch.cat([encoder.sample(part, generator) for part in parts])
            return None, F.cross_entropy(head(codes), classes).item()
        pairs = [encoder.draw(part, 1, generator) for part in parts]
        codes, known = torch.cat([z for (z,), _ in pairs]), torch.cat([known for _, known in pairs])
        size = self.batch_size if self.bound == "infonce" else CRITIC_ROWS
        batches = (t.tensor_split(count_batches(len(rows), size)) for t in (known, codes))
        information = sum(
            len(z) / len(rows) * objective.critic(part, z, generator)[1].item()
            for part, z in zip(*batches, strict=True)
        )
        return information, F.cross_entropy(head(codes), classes).item()

    # ------------------------------------------------------------ using the networks

    def predict_proba(self, X):
        """Class probabilities, averaged over draws of the noise.

        The draws are the same for every row and every call, so that the prediction for a row
        depends on that row alone.

        Parameters
        ----------
        X : array-like
            Rows of the shape that was fitted.

        Returns
        -------
        ndarray of float32 of shape (n_samples, n_classes)
        """
        return self._probabilities(self.encoder_rows(X))

    def _probabilities(self, rows: Tensor) -> np.ndarray:
        model = self.objective_.model
        generator = torch.Generator().manual_seed(0)
        noises = [model["encoder"].noise(rows[:1], generator) for _ in range(self.n_draws)]
        average = AverageOverDraws(model, torch.stack(noises))
        return apply_in_batches(average, rows, self.device_).numpy()

    def predict_log_proba(self, X):
        """Logarithms of the class probabilities.

        Parameters
        ----------
        X : array-like
            Rows of the shape that was fitted.

        Returns
        -------
        ndarray of float32 of shape (n_samples, n_classes)
            At least -87.3, that of the smallest normal number of float32.
        """
        probabilities = np.maximum(self.predict_proba(X), np.finfo(np.float32).tiny)
        return np.log(probabilities, dtype=np.float64).astype(np.float32)

    def predict(self, X):
        """The most probable classes.

        Parameters
        ----------
        X : array-like
            Rows of the shape that was fitted.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def transform(self, X):
        """The codes of rows without noise: with Gaussian noise, their means.

        Parameters
        ----------
        X : array-like
            Rows of the shape that was fitted.

        Returns
        -------
        ndarray of float32 of shape (n_samples, n_components)
        """
        return super().transform(X)

    def sample_codes(self, X, random_state=None):
        """Draw a code with noise for each row.

        Parameters
        ----------
        X : array-like
            Rows of the shape that was fitted.
        random_state : int, RandomState or None, default=None
            Seed of the draws.

        Returns
        -------
        ndarray of float32 of shape (n_samples, n_components)
        """
        rows = self.encoder_rows(X)
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        return self._draw_codes(rows, 1, seed)[0]

    @torch.no_grad()
    def _draw_codes(self, rows: Tensor, n_draws: int, seed: int) -> np.ndarray:
        """Codes with noise, shape (n_draws, n_rows, n_components)."""
        encoder = copy.deepcopy(self.encoder_).to(self.device_)
        generator = torch.Generator(self.device_).manual_seed(seed)
        parts = [part.to(self.device_) for part in rows.split(EVALUATION_ROWS)]
        draws = [[encoder.sample(part, generator).cpu() for part in parts] for _ in range(n_draws)]
        return torch.stack([torch.cat(draw) for draw in draws]).numpy()

    @available_if(_has_posterior)
    def posterior(self, X):
        """Means and standard deviations of the codes; with Gaussian noise only.

        Parameters
        ----------
        X : array-like
            Rows of the shape that was fitted.

        Returns
        -------
        means, stds : ndarray of float32 of shape (n_samples, n_components)
        """
        return self._posterior(self.encoder_rows(X))

    def _posterior(self, rows: Tensor) -> tuple[np.ndarray, np.ndarray]:
        encoder = self.encoder_
        output = apply_in_batches(encoder.encoder, rows, self.device_, lambda layers: layers.y)
        with torch.no_grad():
            means, stds = encoder.read_posterior(output)
        return means.numpy(), stds.numpy()

    def evaluate(self, X, y) -> dict[str, float]:
        """The terms of the objective on these rows.

        The entropy of y less ``"cross_entropy"`` is a lower bound on I(Z; Y).

        Parameters
        ----------
        X, y : array-like
            As in `fit`; rows are compared in batches of ``batch_size``, in order.

        Returns
        -------
        dict
            Each term of ``history_``, in nats per row: ``"loss"``, what training descends,
            ``"cross_entropy"`` and, with ``beta`` above 0, ``"information"``: means over
            ``n_train_draws`` draws of the noise of each row where there is a critic, else of one.
        """
        check_is_fitted(self)
        rows, y = self._validate(X, reset=False), column_or_1d(y, warn=True)
        check_consistent_length(rows, y)
        codes = self._codes(y, "Leave out rows of other classes.")
        return self._terms_of(self._scale(rows), torch.from_numpy(codes))

    def _layer(self, codes):
        return codes


# ------------------------------------------------------------ networks and objective


class NoisyEncoder(nn.Module):
    """An encoder whose codes depend on noise; see `InformationBottleneckClassifier`.

    Parameters
    ----------
    encoder : Encoder
        To posteriors for ``"gaussian"``, else to codes; of twice the columns or channels for
        ``"propagated"``.
    kind : {"gaussian", "additive", "propagated"}
    n_components : int
    noise_std : float
        Of ``"additive"``.
    limited : bool
        Whether the variances of codes, or of the means of Gaussian ones, are fixed, as in a channel
        of limited power. It costs no information, and without it nothing but a prior keeps the
        means from growing out of the noise.
    n_passes : int
        How often a batch goes through the encoder in a step.
    """

    def __init__(
        self,
        encoder: Encoder,
        kind: str,
        n_components: int,
        noise_std: float,
        *,
        limited: bool = False,
        n_passes: int = 1,
    ):
        super().__init__()
        self.encoder, self.kind = encoder, kind
        self.n_components, self.noise_std = n_components, noise_std
        self.standardize = None
        if limited:
            momentum = 1 - 0.9 ** (1 / n_passes)  # a batch weighs as much however often it passes
            self.standardize = nn.BatchNorm1d(n_components, affine=False, momentum=momentum)
        self.deviation = max(1.0, math.sqrt(POWER / n_components))

    def limit(self, codes: Tensor) -> Tensor:
        """Codes, or means, of fixed variances if these are limited."""
        return codes if self.standardize is None else self.deviation * self.standardize(codes)

    def noise(self, x: Tensor, generator) -> Tensor:
        """Standard normal noise, such as each row of x needs."""
        if self.kind == "gaussian":
            x = x.new_empty(len(x), self.n_components)
        return gaussian_noise(x, generator)

    def codes(self, x: Tensor, noises: Iterable[Tensor]) -> Iterator[Tensor]:
        """Codes of x with each of several noises, of each row or of one row for all."""
        if self.kind == "gaussian":
            mean, std = self.posterior(x)
            yield from (mean + std * noise for noise in noises)
        elif self.kind == "additive":
            for noise in noises:
                yield self.limit(self.encoder(x + self.noise_std * noise).y)
        else:
            for noise in noises:
                noisy = torch.cat([x, noise.expand_as(x)], dim=1)
                yield self.limit(self.encoder(noisy).y)

    def sample(self, x: Tensor, generator) -> Tensor:
        """Codes with noise of their own."""
        return next(self.codes(x, [self.noise(x, generator)]))

    def forward(self, x: Tensor) -> Tensor:
        """Codes without noise."""
        return next(self.codes(x, [x.new_zeros(1)]))

    def draw(self, x: Tensor, n_draws: int, generator) -> tuple[list[Tensor], Tensor]:
        """Draws of the codes, and what a critic is told of their rows.

        Every second noise is minus the one before. Gaussian codes depend on a row by their means
        and deviations alone. Of others these are estimated, by draws of their own.
        """
        noises = mirrored(lambda: self.noise(x, generator), n_draws)
        if self.kind == "gaussian":
            mean, std = self.posterior(x)
            return [mean + std * noise for noise in noises], torch.cat([mean, std], dim=1).detach()
        with torch.no_grad(), evaluating(self):
            references = mirrored(lambda: self.noise(x, generator), REFERENCE_DRAWS)
            others = torch.stack(list(self.codes(x, references)))
        return list(self.codes(x, noises)), torch.cat([others.mean(0), others.std(0)], dim=1)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means and standard deviations of Gaussian codes."""
        return self.read_posterior(self.encoder(x).y)

    def read_posterior(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The same from the output of the encoder.

        Deviations grow linearly with the output, and are near 1 at the start. (Those of Alemi et
        al. start near 0, where codes keep all and a critic sees no way to less.)
        """
        means, raw = output.chunk(2, dim=1)
        return self.limit(means), F.softplus(raw) + SMALLEST_STD


class AverageOverDraws(nn.Module):
    """Class probabilities of rows, averaged over noises, the same for every row."""

    def __init__(self, model: nn.ModuleDict, noises: Tensor):
        super().__init__()
        self.model, self.noises = model, noises  # 5-D for images: no buffer of a channels-last net

    def forward(self, x: Tensor) -> Tensor:
        codes = self.model["encoder"].codes(x, self.noises.to(x.device))
        return sum(self.model["head"](z).softmax(dim=1) for z in codes) / len(self.noises)


class GaussianNoise(nn.Module):
    """Noise that is added in training, from a generator that the objective lends."""

    def __init__(self, std: float):
        super().__init__()
        self.std, self.generator = std, None

    def __getstate__(self):  # a generator of another device cannot be unpickled everywhere
        return self.__dict__ | {"generator": None}

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and self.std):
            return x
        return x + self.std * gaussian_noise(x, self.generator)


class StatisticsNetwork(ConcatCritic):
    """A perceptron with noise at every layer (MINE, Table 15), on rows and their codes.

    It sees rows by the means and deviations of their codes, and standardises all of its inputs.

    Parameters
    ----------
    n_components : int
        Number of columns of the codes.
    hidden_layer_sizes : tuple of int
        With ELU activations.
    noise_std : tuple of float
        Deviations of the noise at the inputs and at hidden layers.
    """

    def __init__(self, n_components: int, hidden_layer_sizes, noise_std):
        super().__init__(2 * n_components, n_components, hidden_layer_sizes, activation="elu")
        at_inputs, at_hidden = noise_std
        self.noise = GaussianNoise(at_inputs)
        self.standardize_z = nn.BatchNorm1d(n_components, affine=False)
        self.standardize_x = nn.BatchNorm1d(2 * n_components, affine=False)
        layers = []
        for layer in self.head:
            layers += [layer] if isinstance(layer, nn.Linear) else [layer, GaussianNoise(at_hidden)]
        self.head = nn.Sequential(*layers)

    def embed_x(self, x):
        return super().embed_x(self.noise(self.standardize_x(x)))

    def embed_y(self, y):
        return super().embed_y(self.noise(self.standardize_z(y)))


class BottleneckObjective(Objective):
    """The cross-entropy of the classes, and the information in the codes with its weight.

    Parameters
    ----------
    model : nn.ModuleDict
        ``encoder``, a `NoisyEncoder`, and ``head``, from codes to logits.
    critic : InformationCritic or None
        Climbs its bound, and the encoder descends it. None: the information is the divergence of
        Gaussian codes from the standard normal distribution.
    beta : float
        Weight of the information, which is left out if it is 0.
    n_draws : int
        Draws of the codes of each row that the encoder's step is the mean over.
    """

    def __init__(
        self, model: nn.ModuleDict, critic: InformationCritic | None, *, beta: float, n_draws: int
    ):
        super().__init__()
        self.model, self.critic, self.beta, self.n_draws = model, critic, beta, n_draws

    def forward(self, x: Tensor, y: Tensor, player: str) -> dict[str, Tensor]:
        generator, encoder = self._draws(x), self.model["encoder"]
        for layer in self.modules():
            if isinstance(layer, GaussianNoise):
                layer.generator = generator
        if player == "critic":  # after the encoder's step, on the codes of that step, in turn
            known, codes = self._last
            value, _ = self.critic(known, next(codes), generator)
            return {"loss": -value}
        if self.critic is None and self.beta:
            mean, std = encoder.posterior(x)
            codes = [mean + std * encoder.noise(x, generator)]
            value = information = kl_to_standard_normal(mean, std).mean()
        elif self.critic is None:
            codes = [encoder.sample(x, generator)]
        else:
            codes, known = encoder.draw(x, self.n_draws, generator)
            value, information = self.critic.mean_over_draws(known, codes, generator)
            self._last = known, itertools.cycle([z.detach() for z in codes])
        cross_entropy = torch.stack([F.cross_entropy(self.model["head"](z), y) for z in codes])
        cross_entropy = cross_entropy.mean()
        if not self.beta:
            return {"loss": cross_entropy, "cross_entropy": cross_entropy}
        loss = cross_entropy + self.beta * value
        return {"loss": loss, "cross_entropy": cross_entropy, "information": information}
