"""Bidirectional adversarial models: a generator, and an encoder that inverts it."""

import math
from functools import partial
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn.functional import mse_loss, softplus

from skmi.base import apply_in_batches, check_widths
from skmi.bounds import jsd
from skmi.critics import make_critic
from skmi.generative._base import (
    INFORMATION_BOUNDS,
    AdversarialMixin,
    AdversarialObjective,
    draw_latents,
)
from skmi.networks import ENCODERS, checked_copy, make_encoder
from skmi.networks.gan import ConvolutionalScore, dense_score, make_gan_encoder
from skmi.representation._base import (
    COMPUTE_CONSTRAINTS,
    POSTERIOR_COLUMNS,
    BaseRepresentation,
)
from skmi.representation._objective import InformationCritic, full_precision, gaussian_noise
from skmi.representation._vae_objective import split_posterior

__all__ = ["ALITransformer", "BiGANTransformer"]


class ALITransformer(AdversarialMixin, BaseRepresentation):
    r"""Adversarially learned inference, whose codes keep information about the data.

    An encoder makes pairs (x, z) of data, :math:`q(x) q(z|x)`, and a decoder makes pairs of
    codes, :math:`p(z) p(x|z)` with a standard normal prior. A discriminator D learns to tell one
    kind from the other, both networks to make it fail, and where it fails for every D the
    encoder inverts the decoder. With information ([1]_, eq. 19)

    .. math::
        \max_{q, p}\; E_q[\log(1 - \sigma(D(x, z)))] + E_p[\log \sigma(D(x, z))]
        + \beta\, I_q(x; z) ,

    since the error of reconstruction :math:`E_q[-\log p(x|z)]` is at most
    :math:`KL(q \| p) - I_q(x; z) + H_q(x)`, where the entropy of the data is fixed (eq. 18 has
    :math:`H_q(z)` in its place, by a slip). A critic T(x, z), trained beside, bounds the
    information from below; its gradient is scaled to at most the norm of that of the rest, the
    game and the `cycle`.

    Parameters
    ----------
    n_components : int, default=64
        Number of latent columns.
    mi_weight : float, default=1.0
        Weight :math:`\beta` of the information; 0 is ALI [2]_, without a critic.
    bound : {"dv", "eta-dv", "nwj", "jsd", "infonce"}, default="dv"
        The bound on the information (see `skmi.bounds`).
    adaptive_clipping : bool, default=True
        Whether to clip the gradient of the information.
    gradient_penalty : float, default=0.0
        Weight of :math:`\tfrac12 E\|\nabla D\|^2`, over each kind of pairs and on the scale of
        training, in the loss of the discriminators [4]_; 0 is none. It keeps them from winning, and
        the players from circling around one another, for a slower step: 0.1 is a start for columns,
        with a larger `learning_rate`, where [4]_ has 10 for images. Discriminators must then be
        twice differentiable and score each row by itself; convolutional ones have no batch norm.
    cycle : {"l2", "adversarial"} or None, default=None
        What else holds reconstructions to the data, as in ALICE [3]_: their squared error,
        averaged over the columns, or a second discriminator, of pairs of a row and its
        reconstruction.
    cycle_weight : float, default=1.0
        Weight of the cycle, if there is one.
    stochastic : bool, default=True
        Whether q(z|x) is normal with independent columns, or a point.
    encoder : str, nn.Module or Encoder, default="auto"
        ``"auto"``: a dense network for rows, and for images the convolutions of [1]_, Tables 7 and
        11; or an encoder of `skmi.representation.DIMTransformer`, such as ``"dcgan"``. A module
        maps a batch to 2 n_components columns, the means and the logarithms of the deviations, or
        to n_components without `stochastic`.
    decoder, discriminator, critic : "auto" or nn.Module, default="auto"
        ``"auto"``: dense networks for rows, and for images those of [1]_, Tables 8, 9 and 12 to
        14: the critic is that of Table 14 for small images, too, which has a quarter of the
        channels of Table 10, and ELU. Modules map codes to scaled rows, and rows and codes to one
        score.
    hidden_layer_sizes : tuple of int, default=(500, 500)
        Hidden layers of the dense encoder and decoder, with batch norm.
    discriminator_hidden, critic_hidden : tuple of int, default=(400, 400, 400)
        Hidden layers of the dense discriminators and critic.
    width : int, default=64
        Channels of the largest hidden map of the convolutional networks; the critic has a quarter.
    feature_layer : {"global", "fc", "conv"}, default="global"
        What `transform` returns: the means of q(z|x), the last hidden layer, or the last map,
        flattened.
    image_shape : tuple of int or None, default=None
        (height, width) or (channels, height, width) of images that come as flat rows.
    n_discriminator, n_critic : int, default=1
        Steps of the discriminators and of the critic on each batch.
    max_epochs, batch_size, learning_rate, betas
        As in `MIGAN`.
    averaging : float, default=0.99
        Decay of the moving average of encoder and decoder over their steps, which is then what is
        used; 0 is none.
    device, precision, random_state, verbose, warm_start
        As in `MIGAN`.

    Attributes
    ----------
    encoder_ : Encoder
        From scaled rows to all layers; the last are means and log deviations.
    decoder_ : nn.Module
        From codes to scaled rows.
    history_ : list of dict
        Of each epoch: ``train_loss`` (of encoder and decoder), ``train_divergence``, what the
        discriminator finds of 2 JSD between the two kinds of pairs, from 0 to 2 log 2 nats,
        ``train_error``, the mean squared error of reconstructions on the scale of training, and
        with `mi_weight` ``train_information`` in nats.
    n_iter_, location_, scale_, row_shape_, n_features_in_, feature_names_in_
        As in `MIGAN`.

    See Also
    --------
    BiGANTransformer : With an encoder that makes a point of each row, and without information.
    MIGAN : Without an encoder.
    skmi.evaluation.reconstruction_error : How faithful reconstructions are.
    skmi.evaluation.label_preserving_accuracy : How faithful reconstructions are.
    skmi.evaluation.ms_ssim : How faithful reconstructions are.

    Notes
    -----
    In [1]_ the noise of the encoder enters as further channels of the image, so that q(z|x) has no
    density; here it is normal, as in [2]_.

    References
    ----------
    .. [1] M. I. Belghazi et al., "Mutual information neural estimation", ICML 2018, sections 5.2
       and 8.1.
    .. [2] V. Dumoulin et al., "Adversarially learned inference", ICLR 2017.
    .. [3] C. Li et al., "ALICE: towards understanding adversarial learning for joint distribution
       matching", NeurIPS 2017.
    .. [4] L. Mescheder, A. Geiger and S. Nowozin, "Which training methods for GANs do actually
       converge?", ICML 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmi.generative import ALITransformer
    >>> X, _ = load_iris(return_X_y=True)
    >>> ali = ALITransformer(2, batch_size=15, max_epochs=10, random_state=0)
    >>> Z = ali.fit_transform(X)
    >>> Z.shape, ali.inverse_transform(Z).shape, ali.sample(5, random_state=0).shape
    ((150, 2), (150, 4), (5, 4))
    """

    _parameter_constraints: dict = {
        **BaseRepresentation._parameter_constraints,
        "mi_weight": [Interval(Real, 0, None, closed="left")],
        "bound": [StrOptions(set(INFORMATION_BOUNDS))],
        "adaptive_clipping": ["boolean"],
        "gradient_penalty": [Interval(Real, 0, None, closed="left")],
        "cycle": [None, StrOptions({"l2", "adversarial"})],
        "cycle_weight": [Interval(Real, 0, None, closed="neither")],
        "stochastic": ["boolean"],
        "encoder": [StrOptions({"auto", *ENCODERS}), nn.Module],
        "decoder": [StrOptions({"auto"}), nn.Module],
        "discriminator": [StrOptions({"auto"}), nn.Module],
        "critic": [StrOptions({"auto"}), nn.Module],
        "hidden_layer_sizes": ["array-like"],
        "discriminator_hidden": ["array-like"],
        "critic_hidden": ["array-like"],
        "width": [Interval(Integral, 1, None, closed="left")],
        "n_discriminator": [Interval(Integral, 1, None, closed="left")],
        "n_critic": [Interval(Integral, 1, None, closed="left")],
        "averaging": [Interval(Real, 0, 1, closed="left")],
        "precision": COMPUTE_CONSTRAINTS["precision"],
    }

    #: Distribution of the codes: the discriminator of pairs holds them to it, without a weight.
    prior, gamma = "gaussian", 0.0

    def __init__(
        self,
        n_components=64,
        *,
        mi_weight=1.0,
        bound="dv",
        adaptive_clipping=True,
        gradient_penalty=0.0,
        cycle=None,
        cycle_weight=1.0,
        stochastic=True,
        encoder="auto",
        decoder="auto",
        discriminator="auto",
        critic="auto",
        hidden_layer_sizes=(500, 500),
        discriminator_hidden=(400, 400, 400),
        critic_hidden=(400, 400, 400),
        width=64,
        feature_layer="global",
        image_shape=None,
        n_discriminator=1,
        n_critic=1,
        max_epochs=100,
        batch_size=100,
        learning_rate=1e-4,
        betas=(0.5, 0.999),
        averaging=0.99,
        device="auto",
        precision="float32",
        random_state=None,
        verbose=0,
        warm_start=False,
    ):
        self.n_components = n_components
        self.mi_weight = mi_weight
        self.bound = bound
        self.adaptive_clipping = adaptive_clipping
        self.gradient_penalty = gradient_penalty
        self.cycle = cycle
        self.cycle_weight = cycle_weight
        self.stochastic = stochastic
        self.encoder = encoder
        self.decoder = decoder
        self.discriminator = discriminator
        self.critic = critic
        self.hidden_layer_sizes = hidden_layer_sizes
        self.discriminator_hidden = discriminator_hidden
        self.critic_hidden = critic_hidden
        self.width = width
        self.feature_layer = feature_layer
        self.image_shape = image_shape
        self.n_discriminator = n_discriminator
        self.n_critic = n_critic
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.betas = betas
        self.averaging = averaging
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start

    # ------------------------------------------------------------ networks

    def _make_objective(self, shape):
        discriminators = nn.ModuleDict({"pairs": self._make_pair_score(shape)})
        if self.cycle == "adversarial":
            discriminators["cycle"] = self._make_cycle_score(shape)
        model = nn.ModuleDict(
            {
                "encoder": self._make_encoder(shape),
                "generator": self._make_generator(self.decoder, shape, "decoder"),
            }
        )
        return ALIObjective(
            model,
            discriminators,
            self._make_information(self.critic, shape, self.n_components, n_dense=0),
            n_components=self.n_components,
            stochastic=self.stochastic,
            cycle=self.cycle,
            cycle_weight=self.cycle_weight,
            **self._game,
        )

    def _make_encoder(self, shape):
        n_outputs = self.n_components * (2 if self.stochastic else 1)
        sizes = check_widths("hidden_layer_sizes", self.hidden_layer_sizes)

        def make():
            if self.encoder != "auto":
                return make_encoder(self.encoder, shape, n_outputs, width=self.width)
            return make_gan_encoder(shape, n_outputs, hidden_layer_sizes=sizes, width=self.width)

        meaning = POSTERIOR_COLUMNS if self.stochastic else "the codes"
        return self._read_encoder(make, shape, n_outputs, meaning)

    def _make_pair_score(self, shape) -> nn.Module:
        """A score of rows and codes, (n,) or (n, 1)."""
        n_codes = self.n_components
        if isinstance(self.discriminator, nn.Module):
            return checked_copy("discriminator", self.discriminator, [shape, (n_codes,)], (1,))
        if len(shape) == 3:
            options = {"every_layer": False, "batch_norm": self._normed}
            return ConvolutionalScore(shape, n_codes, width=self.width, **options)
        options = {"hidden_layer_sizes": self._score_sizes, "activation": "leaky-relu"}
        return make_critic("concat", math.prod(shape), n_codes, **options)

    def _make_cycle_score(self, shape) -> nn.Module:
        """A score of rows beside their reconstructions."""
        pair = (2 * shape[0], *shape[1:])
        if len(shape) == 3:
            return ConvolutionalScore(pair, width=self.width, batch_norm=self._normed)
        return dense_score(math.prod(pair), self._score_sizes)

    @property
    def _score_sizes(self) -> tuple[int, ...]:
        return check_widths("discriminator_hidden", self.discriminator_hidden)

    # ------------------------------------------------------------ using the networks

    @property
    def decoder_(self) -> nn.Module:
        """The fitted decoder."""
        return self.generator_

    def _read_codes(self, layers):
        return split_posterior(layers.y)[0] if self.stochastic else layers.y

    def _layer(self, layers):
        if self.feature_layer == "global":
            return self._read_codes(layers)
        return super()._layer(layers)

    def inverse_transform(self, X):
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, such as `transform` gives with ``feature_layer="global"``.

        Returns
        -------
        ndarray of float32 or float64 of shape (n_samples, ...)
            In the units and the shape of the data (see :ref:`decoded-rows`).
        """
        check_is_fitted(self)
        return self._to_units(self._generate(self._check_codes(X)), "X")

    def reconstruct(self, X):
        """Rows as the decoder rebuilds them from their codes, the means of q(z|x).

        Parameters
        ----------
        X : array-like
            Rows of the shape that was fitted.

        Returns
        -------
        ndarray of float32 or float64 of shape (n_samples, ...)
            See `inverse_transform`.
        """
        rows = self.encoder_rows(X)
        codes = apply_in_batches(self.encoder_, rows, self.device_, self._read_codes)
        return self._to_units(self._generate(codes))


class BiGANTransformer(ALITransformer):
    """A bidirectional generative adversarial network.

    `ALITransformer` with ``stochastic=False, mi_weight=0``: the encoder makes a point of each
    row, and nothing but the discriminator holds pairs of data and of codes together ([1]_).

    Parameters
    ----------
    n_components : int, default=64
        Number of latent columns.
    gradient_penalty, encoder, decoder, discriminator, hidden_layer_sizes
        As in `ALITransformer`.
    discriminator_hidden, width, feature_layer, image_shape, n_discriminator, max_epochs
        As in `ALITransformer`.
    batch_size, learning_rate, betas, averaging, device, precision, random_state, verbose
        As in `ALITransformer`.
    warm_start
        As in `ALITransformer`.

    Attributes
    ----------
    encoder_, decoder_, history_, n_iter_, location_, scale_, row_shape_
        As in `ALITransformer`.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    See Also
    --------
    ALITransformer : With a distribution of codes for each row, and their information.

    References
    ----------
    .. [1] J. Donahue, P. Krähenbühl and T. Darrell, "Adversarial feature learning", ICLR 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmi.generative import BiGANTransformer
    >>> X, _ = load_iris(return_X_y=True)
    >>> bigan = BiGANTransformer(2, batch_size=15, max_epochs=10, random_state=0)
    >>> bigan.fit_transform(X).shape
    (150, 2)
    """

    # what the family's other member sets
    mi_weight, bound, adaptive_clipping, critic = 0.0, "dv", True, "auto"
    cycle, cycle_weight, stochastic = None, 1.0, False
    critic_hidden, n_critic = (400, 400, 400), 1

    def __init__(
        self,
        n_components=64,
        *,
        gradient_penalty=0.0,
        encoder="auto",
        decoder="auto",
        discriminator="auto",
        hidden_layer_sizes=(500, 500),
        discriminator_hidden=(400, 400, 400),
        width=64,
        feature_layer="global",
        image_shape=None,
        n_discriminator=1,
        max_epochs=100,
        batch_size=100,
        learning_rate=1e-4,
        betas=(0.5, 0.999),
        averaging=0.99,
        device="auto",
        precision="float32",
        random_state=None,
        verbose=0,
        warm_start=False,
    ):
        self.n_components = n_components
        self.gradient_penalty = gradient_penalty
        self.encoder = encoder
        self.decoder = decoder
        self.discriminator = discriminator
        self.hidden_layer_sizes = hidden_layer_sizes
        self.discriminator_hidden = discriminator_hidden
        self.width = width
        self.feature_layer = feature_layer
        self.image_shape = image_shape
        self.n_discriminator = n_discriminator
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.betas = betas
        self.averaging = averaging
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start


class ALIObjective(AdversarialObjective):
    """The losses of encoder and decoder, of the discriminators against them, and of a critic.

    Parameters
    ----------
    model : nn.ModuleDict
        ``encoder`` and ``generator``.
    discriminators : nn.ModuleDict
        ``pairs``, of rows and codes; ``cycle``, of rows with rows, for the adversarial cycle.
    information : InformationCritic or None
        Of rows and codes.
    n_components : int
        Number of latent columns.
    stochastic : bool
        Whether the encoder's output are means and log deviations.
    cycle : {"l2", "adversarial"} or None
        What holds reconstructions to the data.
    cycle_weight : float
        Weight of the cycle.
    **game
        Options of `AdversarialObjective`.
    """

    def __init__(
        self,
        model: nn.ModuleDict,
        discriminators: nn.ModuleDict,
        information: InformationCritic | None,
        *,
        n_components: int,
        stochastic: bool,
        cycle: str | None,
        cycle_weight: float,
        **game,
    ):
        super().__init__(model, **game)
        self.discriminator = discriminators
        if information is not None:
            self.critic = information
        self.n_components, self.stochastic = n_components, stochastic
        self.cycle, self.cycle_weight = cycle, cycle_weight

    def forward(self, x: Tensor, player: str) -> dict[str, Tensor]:
        draws = self._draws(x)
        if player == "discriminator":  # after the step of encoder and decoder, on its pairs
            return self._discrimination(x, *self._last)
        if player == "critic":
            return {"loss": -self.critic(x, self._last[0], draws)[0]}
        codes = full_precision(self.networks["encoder"](x).y)
        if self.stochastic:
            mean, std = split_posterior(codes)
            codes = mean + std * gaussian_noise(mean, draws)
        latents = draw_latents("gaussian", (len(x), self.n_components), draws)
        rows, rebuilt = self._generate(latents), self._generate(codes)
        first, second = self._scores("pairs", rows, latents), self._scores("pairs", x, codes)
        loss = -jsd(first, second)  # the two kinds with labels exchanged
        terms = {"error": mse_loss(rebuilt, x)}
        if self.cycle == "l2":
            loss = loss + self.cycle_weight * terms["error"]
        elif self.cycle == "adversarial":
            scores = self._scores("cycle", torch.cat([x, rebuilt], 1))
            loss = loss + self.cycle_weight * softplus(-scores).mean()
        self._last = codes.detach(), rows.detach(), latents, rebuilt.detach()
        if not self.training:
            terms["divergence"] = self._discrimination(x, *self._last)["divergence"]
        if not self.mi_weight:
            return {"loss": loss, **terms}
        value, terms["information"] = self.critic(x, codes, draws)
        return self._add_information(loss, value) | terms

    def _discrimination(self, x, codes, rows, latents, rebuilt) -> dict[str, Tensor]:
        score = partial(self._scores, "pairs")
        bound, loss = self._tell_apart(score, [x, codes], [rows, latents])
        if self.cycle == "adversarial":
            score = partial(self._scores, "cycle")
            pairs = [torch.cat([x, x], 1)], [torch.cat([x, rebuilt], 1)]
            loss = loss + self._tell_apart(score, *pairs)[1]
        return {"loss": loss, "divergence": bound.detach() + 2 * math.log(2)}

    def _scores(self, name: str, *rows: Tensor) -> Tensor:
        return full_precision(self.discriminator[name](*rows))
