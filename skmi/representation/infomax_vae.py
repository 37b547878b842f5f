"""InfoMax-VAE, a variational autoencoder whose codes keep information."""

import copy
import math
import zlib
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skmi.base import EVALUATION_ROWS, apply_in_batches, check_widths
from skmi.bounds import BOUNDS, get_bound
from skmi.critics import make_critic
from skmi.evaluation import active_units, importance_weighted_log_likelihood
from skmi.exceptions import ConvergenceWarning, warn
from skmi.networks import ENCODERS, Encoder, checked_copy
from skmi.networks.vae import VAE_DECODERS, VAE_ENCODERS, make_vae_decoder, make_vae_encoder
from skmi.representation._base import (
    COMPUTE_CONSTRAINTS,
    POSTERIOR_COLUMNS,
    BaseRepresentation,
)
from skmi.representation._likelihoods import Bernoulli, Gaussian
from skmi.representation._objective import InformationCritic, warn_of_small_batches
from skmi.representation._vae_objective import (
    CriticView,
    VAEObjective,
    is_autoregressive,
    split_posterior,
)
from skmi.training import Player

__all__ = ["InfoMaxVAETransformer"]

#: Divergences between pairs and shuffled pairs: bounds that need the scores alone, or one eta.
DIVERGENCES = {"kl": "nwj"} | {name: name for name in BOUNDS if name not in ("a-dv", "smile")}
#: Those of them that are bounds on mutual information, in nats.
BOUNDS_ON_INFORMATION = ("kl", "nwj", "dv", "eta-dv", "infonce")
#: Most rows that tell the variance of the noise after training, and whether training failed.
NOISE_ROWS, LOOK_ROWS = 2**14, 500
#: Largest byte of images that are suspiciously dark.
DARK = 64
#: How far, in nats per value of a row, rows may be rebuilt worse than by their mean.
WORSE_THAN_MEAN = 0.1


class InfoMaxVAETransformer(BaseRepresentation):
    r"""A variational autoencoder whose codes keep information about the data.

    An encoder gives each row x a posterior :math:`q(z|x)`, normal with independent columns, and
    a decoder gives codes the likelihood :math:`p(x|z)`. Together they maximise ([1]_, eq. 3)

    .. math::
        E\Bigl[E_{q(z|x)} \log p(x|z) - \beta\, KL(q(z|x) \| p(z))\Bigr]
        + \alpha\, I_q(x; z) - \lambda\, MMD^2(q(z), p(z))

    with the standard normal prior p(z). The evidence lower bound, :math:`\alpha = 0, \beta = 1`,
    lets codes collapse onto the prior where the decoder does well without them. The second term
    holds against it: a critic t(x, z), trained beside, tells pairs from pairs whose codes have
    been permuted within the batch, and the divergence that it certifies, by default (eq. 6)

    .. math:: I_q(x; z) \ge E_{q(x, z)}[t] - E_{q(x) q(z)}[e^{t - 1}] ,

    is what the encoder raises (Algorithm 1).

    Parameters
    ----------
    n_components : int, default=20
        Number of latent columns.
    alpha : float, default=10.0
        Weight of the information; 0 leaves it and its critic out. Silent latent columns come into
        use if it is above ``beta * (1 + critic_noise**2)``. The authors, without noise, advise 10
        to 20.
    beta : float, default=1.0
        Weight of the divergence of the posterior from the prior.
    divergence : str, default="kl"
        What is to be large between pairs and permuted pairs: ``"kl"`` is the information in its
        dual form as an f-divergence, the authors' choice; ``"dv"``, ``"eta-dv"`` and
        ``"infonce"`` are other bounds on it; the others are other f-divergences through their
        conjugates (see `skmi.bounds`). ``"nwj"`` is another name of ``"kl"``. Of the registered
        bounds a-DV and SMILE, whose losses are not minus their values, are not among them.
    mmd : float, default=0.0
        Weight :math:`\lambda` of the squared maximum mean discrepancy between codes and prior.
    likelihood : {"auto", "bernoulli", "gaussian"}, default="auto"
        ``"bernoulli"`` for values from 0 to 1; ``"gaussian"`` for any others, which are
        standardised, with noise of one variance, estimated from the data. ``"auto"`` is
        ``"bernoulli"`` for images with values from 0 to 1 or of dtype uint8, which are divided
        by 255 unless they are binary.
    encoder : str, nn.Module or Encoder, default="auto"
        ``"mlp"``, dense layers; ``"conv"``, convolutions of stride 2; ``"auto"``, ``"conv"`` for
        images and ``"mlp"`` for rows; or an encoder of `DIMTransformer`, such as ``"dcgan"`` or
        ``"resnet"``, which have batch norm. A module maps a batch to 2 n_components columns, the
        means and the logarithms of the standard deviations; it should not draw random numbers of
        its own, which no seed here governs.
    decoder : {"auto", "mlp", "conv", "pixelcnn"} or nn.Module, default="auto"
        ``"auto"``: ``"conv"`` for images, ``"mlp"`` for rows. ``"pixelcnn"`` is autoregressive:
        each pixel depends on those before it as well. A module maps codes to rows (logits for
        ``"bernoulli"``); if it is autoregressive, see `skmi.networks.vae.PixelCNN` for what more
        it needs.
    hidden_layer_sizes : tuple of int, default=(512, 512)
        Dense hidden layers of encoder and decoder.
    decoder_hidden_layer_sizes : tuple of int or None, default=None
        Those of the decoder, if they are others.
    encoder_width : int, default=32
        Channels of the encoder's first convolution and of the decoder's last hidden map, and of
        every layer of ``"pixelcnn"``.
    critic_hidden : tuple of int, default=(256, 256)
        Hidden layers of the critic.
    critic_input : {"posterior", "data"}, default="posterior"
        What the critic is told of a row beside its code: the means and log deviations of its
        posterior, or the row itself, as in the paper. Both have the same information about the
        code, and the first are easier to read.
    critic_noise : float, default=2.75
        Standard deviation of noise on the codes that the critic sees, which are standardised
        then (see Notes). 0: it sees them as they are, as in the paper.
    n_critic : int, default=1
        Steps of the critic on each batch, on one draw of the codes each.
    n_critic_draws : int, default=4
        Draws of the code of each row that the information is the mean over, in pairs of opposite
        noise; 1 in the paper. The decoder takes one of them. More make the gradient of the
        encoder steadier.
    feature_layer : {"global", "fc", "conv"}, default="global"
        What `transform` returns: the means of the posterior, the last hidden layer, or the last
        map, flattened.
    image_shape : tuple of int or None, default=None
        (height, width) or (channels, height, width) of images that come as flat rows.
    n_importance_samples : int, default=64
        Codes drawn for each row by `score_samples`.
    max_epochs : int, default=50
        Number of passes over the data, or the largest, if there is `patience`.
    batch_size : int, default=100
        Rows of a batch.
    learning_rate, critic_learning_rate : float, default=1e-3, 1e-4
        Step sizes of Adam for the autoencoder and for the critic.
    betas : tuple of float, default=(0.9, 0.999)
        Adam's decay rates.
    validation_fraction : float, default=0.1
        Part of the rows that is held out to tell when to stop, if there is `patience`.
    patience : int or None, default=None
        Epochs without improvement on these rows after which training stops.
    tolerance : float, default=1e-3
        Smallest improvement that counts.
    device : str, default="auto"
        ``"auto"`` is CUDA where there is one, else MPS, else the CPU.
    precision : {"float32", "bfloat16"}, default="float32"
        Of the products in training (autocast). bfloat16 is faster where the hardware computes
        in it; weights, losses and all that is asked of a fitted model keep float32.
    compile : bool, default=False
        Whether training goes through `torch.compile`, which takes a compiler and its time.
    random_state : int, RandomState or None, default=None
        Seed of weights, shuffles and draws.
    verbose : int, default=0
        Whether to show a progress bar.
    warm_start : bool, default=False
        Whether `fit` goes on training the networks that there are.

    Attributes
    ----------
    encoder_ : Encoder
        From scaled rows to all layers; the last are means and log deviations.
    decoder_ : nn.Module
        From codes to scaled rows, or their logits.
    likelihood_ : str
        ``"bernoulli"`` or ``"gaussian"``.
    history_ : list of dict
        Of each epoch, as ``train_`` and ``valid_``, in nats per row: ``loss``,
        ``log_likelihood`` (:math:`E_q \log p(x|z)`), ``kl`` (to the prior), and, with their
        weights above 0, ``information`` and ``mmd``.
    n_iter_ : int
        Number of epochs.
    location_, scale_ : ndarray
        What the data are centred and divided by.
    row_shape_ : tuple of int
        Shape of one row as the networks see it.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    See Also
    --------
    VAETransformer : Without the information, ``alpha=0, beta=1``.
    BetaVAETransformer : With a larger beta.
    InfoVAETransformer : With a maximum mean discrepancy.
    skmi.evaluation.active_units : How many latent columns are in use.
    skmi.evaluation.latent_mutual_information : What the codes tell of the data, in nats.

    Notes
    -----
    The information that the encoder raises is what the critic has learned to see, and never more
    than the logarithm of the number of rows. With ``alpha`` above ``beta`` the posterior is drawn
    away from the prior, and only the aggregated posterior is held to it ([1]_, eq. 11); a very
    large ``alpha`` lets it go.

    A latent column in use gains information as its posterior becomes narrower, without end and at
    the cost of the likelihood. Through noise of :math:`\tau` standard deviations of the code, a
    column has at most

    .. math:: \frac12 \log \frac{1 + \tau^2}{\sigma^2 + \tau^2}

    nats, if its posteriors have the variance :math:`\sigma^2` and its codes 1: a narrow one has
    nearly all there is, and what is left to be gained is in columns that are silent. The critic
    then bounds less than :math:`I_q(x; z)`: ``information`` in ``history_`` is at most
    :math:`\frac12 \log(1 + \tau^{-2})` a column, 0.06 nats by default. The objective as published
    has ``critic_input="data", critic_noise=0, n_critic_draws=1``. It puts all columns to use as
    well, but takes tens of nats of likelihood for it on MNIST, where the defaults take none or one.

    Columns that come into use may repeat others in part: copies average the noise. The number of
    directions in which codes vary, that of large eigenvalues of the covariance of their means, is
    then less than that of the active units.

    After `fit` a ``ConvergenceWarning`` tells if rows are rebuilt worse than by the mean of the
    data, or if no latent column is active.

    References
    ----------
    .. [1] A. L. Rezaabad and S. Vishwanath, "Learning representations by maximizing mutual
       information in variational autoencoders", ISIT 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmi.representation import InfoMaxVAETransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> vae = InfoMaxVAETransformer(4, image_shape=(8, 8), max_epochs=3, random_state=0)
    >>> Z = vae.fit_transform(X / 16)
    >>> Z.shape, vae.inverse_transform(Z).shape, vae.sample(5, random_state=0).shape
    ((1797, 4), (1797, 64), (5, 64))
    """

    _parameter_constraints: dict = {
        **BaseRepresentation._parameter_constraints,
        **COMPUTE_CONSTRAINTS,
        "alpha": [Interval(Real, 0, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="left")],
        "divergence": [StrOptions(set(DIVERGENCES))],
        "mmd": [Interval(Real, 0, None, closed="left")],
        "likelihood": [StrOptions({"auto", "bernoulli", "gaussian"})],
        "encoder": [StrOptions({"auto", *VAE_ENCODERS, *ENCODERS}), nn.Module],
        "decoder": [StrOptions({"auto", *VAE_DECODERS}), nn.Module],
        "hidden_layer_sizes": ["array-like"],
        "decoder_hidden_layer_sizes": [None, "array-like"],
        "critic_hidden": ["array-like"],
        "critic_input": [StrOptions({"data", "posterior"})],
        "critic_noise": [Interval(Real, 0, None, closed="left")],
        "n_critic_draws": [Interval(Integral, 1, None, closed="left")],
        "n_critic": [Interval(Integral, 1, None, closed="left")],
        "critic_learning_rate": [Interval(Real, 0, None, closed="neither")],
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_components=20,
        *,
        alpha=10.0,
        beta=1.0,
        divergence="kl",
        mmd=0.0,
        likelihood="auto",
        encoder="auto",
        decoder="auto",
        hidden_layer_sizes=(512, 512),
        decoder_hidden_layer_sizes=None,
        encoder_width=32,
        critic_hidden=(256, 256),
        critic_input="posterior",
        critic_noise=2.75,
        n_critic=1,
        n_critic_draws=4,
        feature_layer="global",
        image_shape=None,
        n_importance_samples=64,
        max_epochs=50,
        batch_size=100,
        learning_rate=1e-3,
        critic_learning_rate=1e-4,
        betas=(0.9, 0.999),
        validation_fraction=0.1,
        patience=None,
        tolerance=1e-3,
        device="auto",
        precision="float32",
        compile=False,
        random_state=None,
        verbose=0,
        warm_start=False,
    ):
        self.n_components = n_components
        self.alpha = alpha
        self.beta = beta
        self.divergence = divergence
        self.mmd = mmd
        self.likelihood = likelihood
        self.encoder = encoder
        self.decoder = decoder
        self.hidden_layer_sizes = hidden_layer_sizes
        self.decoder_hidden_layer_sizes = decoder_hidden_layer_sizes
        self.encoder_width = encoder_width
        self.critic_hidden = critic_hidden
        self.critic_input = critic_input
        self.critic_noise = critic_noise
        self.n_critic = n_critic
        self.n_critic_draws = n_critic_draws
        self.feature_layer = feature_layer
        self.image_shape = image_shape
        self.n_importance_samples = n_importance_samples
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.critic_learning_rate = critic_learning_rate
        self.betas = betas
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.tolerance = tolerance
        self.device = device
        self.precision = precision
        self.compile = compile
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start

    # ------------------------------------------------------------ fitting

    def _check_settings(self):
        plain = isinstance(self.encoder, nn.Module) and not isinstance(self.encoder, Encoder)
        if plain and self.feature_layer != "global":
            raise ValueError(
                f"feature_layer={self.feature_layer!r} needs an encoder with such a layer, an "
                f"skmi.networks.Encoder, got a {type(self.encoder).__name__}."
            )

    def _prepare(self, X, y, *, reset: bool):
        (rows,) = super()._prepare(X, y, reset=reset)
        if self.alpha:
            warn_of_small_batches(self.batch_size, len(rows), f"alpha={self.alpha}", "alpha=0")
            charged = self.beta * (1 + self.critic_noise**2)
            if (
                self.critic_noise
                and self.divergence in BOUNDS_ON_INFORMATION
                and self.alpha <= charged
            ):
                warn(
                    f"alpha={self.alpha} is not above beta * (1 + critic_noise**2) = {charged:g}: "
                    "a silent latent column gains less by its information than the prior charges, "
                    "and remains silent. Raise alpha, or lower critic_noise.",
                    UserWarning,
                )
        return (rows,)

    @property
    def _advice(self) -> str:
        if not self.alpha:
            return super()._advice
        return (
            "The critic's scores may have exploded: lower alpha, learning_rate or "
            "critic_learning_rate, or choose divergence='jsd', whose gradients are bounded (with "
            "twice the alpha: it is half as large where codes tell little)."
        )

    def _train(self, rows, *, go_on, epochs):
        if go_on:
            self.objective_.n_draws = self._n_draws
        super()._train(rows, go_on=go_on, epochs=epochs)
        some = self._scale(rows[:: math.ceil(len(rows) / NOISE_ROWS)])
        self.objective_.to(self.device_)
        self.objective_.fit_noise(part.to(self.device_) for part in some.split(EVALUATION_ROWS))
        self.objective_.cpu()
        if epochs is None:
            self._warn_of_failure(some[:: math.ceil(len(some) / LOOK_ROWS)])
        return self

    def _warn_of_failure(self, rows: Tensor) -> None:
        """Complain of rows that are rebuilt worse than by their mean, and of silent codes."""
        if (rows == rows[0]).all():
            return
        likelihood = self._networks["likelihood"]
        rebuilt = self._terms_of(rows)["log_likelihood"]
        output = likelihood.output_of(rows.mean(0)).expand_as(rows)
        by_mean = likelihood.log_prob(output, rows).mean().item()
        if not rebuilt >= by_mean - WORSE_THAN_MEAN * rows[0].numel():
            warn(
                "Rows are rebuilt worse than if each were taken for the mean of the data: their "
                f"log-likelihood given their codes is {rebuilt:.4g} nats, and {by_mean:.4g} given "
                "the mean. Training has hardly begun, or it has diverged: raise max_epochs if it "
                "was short, or else lower learning_rate.",
                ConvergenceWarning,
            )
        elif not active_units(self._posterior(rows)[0]):
            own = self.get_params(deep=False)
            remedies = ["raise max_epochs or learning_rate"]
            remedies += ["lower beta"] * (own.get("beta", 0) > 0)
            remedies.append(
                "raise alpha or critic_learning_rate"
                if "alpha" in own
                else "use InfoMaxVAETransformer"
            )
            warn(
                f"None of the {self.n_components} latent columns is active (`active_units`): the "
                "means of their posteriors hardly differ between rows, and what transform gives "
                f"tells little of X: {', or '.join(remedies)}.",
                ConvergenceWarning,
            )

    @property
    def _n_draws(self) -> int:
        return self.n_critic_draws if self.alpha else 1

    def _players(self):
        model = Player("model", self.learning_rate, betas=tuple(self.betas))
        if not self.alpha:
            return [model]
        options = {"betas": model.betas, "steps": self.n_critic}
        return [model, Player("critic", self.critic_learning_rate, **options)]

    def _trainer_options(self):
        return {"precision": self.precision, "compile": self.compile}

    def _make_objective(self, shape):
        model = nn.ModuleDict(
            {
                "encoder": self._make_encoder(shape),
                "decoder": self._make_decoder(shape),
                "likelihood": self._make_likelihood(shape),
            }
        )
        critic = view = None
        if self.alpha:
            of_posteriors = self.critic_input == "posterior"
            view = CriticView(
                self.n_components, of_posteriors=of_posteriors, noise=self.critic_noise
            )
            scores = make_critic(
                "concat",
                2 * self.n_components if of_posteriors else math.prod(shape),
                self.n_components,
                hidden_layer_sizes=check_widths("critic_hidden", self.critic_hidden),
                activation="relu",
            )
            critic = InformationCritic(scores, get_bound(DIVERGENCES[self.divergence]))
        return VAEObjective(
            model,
            critic,
            alpha=self.alpha,
            beta=self.beta,
            mmd=self.mmd,
            view=view,
            n_draws=self._n_draws,
        )

    def _make_likelihood(self, shape):
        if self.likelihood_ == "bernoulli":
            return Bernoulli()
        return Gaussian(self._find_varying(shape))

    def _find_varying(self, shape) -> Tensor | None:
        """Which values of flat rows vary; None if all or none do."""
        varies = np.logical_not(np.broadcast_to(self._constant, shape)).ravel()
        return None if varies.all() or not varies.any() else torch.from_numpy(varies)

    def _update_constant(self, farthest, dtype):
        super()._update_constant(farthest, dtype)
        if self.likelihood_ == "gaussian":
            self._networks["likelihood"].varies = self._find_varying(self.row_shape_)

    def _make_encoder(self, shape):
        def make():
            return make_vae_encoder(
                self.encoder,
                shape,
                2 * self.n_components,
                hidden_layer_sizes=check_widths("hidden_layer_sizes", self.hidden_layer_sizes),
                width=self.encoder_width,
            )

        return self._read_encoder(make, shape, 2 * self.n_components, POSTERIOR_COLUMNS)

    def _make_decoder(self, shape):
        if not isinstance(self.decoder, nn.Module):
            sizes = self.decoder_hidden_layer_sizes
            if sizes is None:
                sizes = self.hidden_layer_sizes
            return make_vae_decoder(
                self.decoder,
                self.n_components,
                shape,
                hidden_layer_sizes=check_widths("decoder_hidden_layer_sizes", sizes),
                width=self.encoder_width,
            )
        if is_autoregressive(self.decoder) and not hasattr(self.decoder, "generate"):
            raise TypeError(
                "decoder is autoregressive but has no method generate(z, draw) that makes rows, as "
                "skmi.networks.vae.PixelCNN has."
            )
        inputs = [(self.n_components,), shape][: 1 + is_autoregressive(self.decoder)]
        return checked_copy("decoder", self.decoder, inputs, shape)

    # ------------------------------------------------------------ reading rows

    def _fit_scale(self, rows):
        self.likelihood_ = self.likelihood
        if self.likelihood == "auto":
            bytes_ = rows.dtype == np.uint8
            fits = rows.ndim == 4 and (bytes_ or (rows.min() >= 0 and rows.max() <= 1))
            self.likelihood_ = "bernoulli" if fits else "gaussian"
            if rows.ndim == 4 and not fits and rows.min() >= 0 and (rows == np.rint(rows)).all():
                warn(
                    f"X holds images of whole numbers up to {rows.max():g}, which are taken as "
                    "measurements with Gaussian noise. If they are grey values, divide them by the "
                    "largest that a pixel can have, or pass bytes up to 255 as dtype uint8; else "
                    "say likelihood='gaussian'.",
                    UserWarning,
                )
        if self.likelihood_ == "gaussian":
            super()._fit_scale(rows)
            return
        n_channels = (rows.shape[1], *[1] * (rows.ndim - 2))
        scale = 255.0 if rows.dtype == np.uint8 and rows.max() > 1 else 1.0
        if scale > 1 and rows.max() <= DARK:
            warn(
                f"X is of dtype uint8 with values up to {rows.max()}, and is divided by 255: so "
                "all pixels are dark. If the largest possible value is another, divide X by it.",
                UserWarning,
            )
        self._keep_scale(np.zeros(n_channels), np.full(n_channels, scale), rows.dtype)
        if rows.min() == rows.max():
            warn("X is constant: it carries no information (0 nats).", UserWarning)

    def _scale(self, rows):
        if self.likelihood_ == "bernoulli":
            self._check_unit_interval(rows)
        return super()._scale(rows)

    def _check_unit_interval(self, rows) -> None:
        low, high, largest = float(rows.min()), float(rows.max()), float(self.scale_.flat[0])
        if low < 0 or high > largest:
            raise ValueError(
                f"X has values from {low:.9g} to {high:.9g}, but likelihood='bernoulli' "
                f"takes values from 0 to {largest:g}"
                + (" here, as in fit. " if largest > 1 else ". ")
                + "Scale X (divide images by 255, use MinMaxScaler(clip=True) for columns), or use "
                "likelihood='gaussian'."
            )
        if largest > 1 >= high > 0 and rows.dtype != np.uint8:
            raise ValueError(
                f"X was of dtype uint8 in fit, up to {largest:g}, and now has values up to "
                f"{high:.4g}: it seems to be scaled already. Pass images of the same scale."
            )

    # ------------------------------------------------------------ using the networks

    @property
    def decoder_(self) -> nn.Module:
        """The fitted decoder."""
        return self._networks["decoder"]

    def _layer(self, layers):
        if self.feature_layer == "global":
            return split_posterior(layers.y)[0]
        return super()._layer(layers)

    def _posterior(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Means and standard deviations of the posteriors of scaled rows."""
        return split_posterior(
            apply_in_batches(self.encoder_, rows, self.device_, lambda layers: layers.y)
        )

    def posterior(self, X):
        """The posterior :math:`q(z|x)` of each row, normal with independent columns.

        Parameters
        ----------
        X : array-like
            Rows of the shape that was fitted.

        Returns
        -------
        means, stds : ndarray of float32 of shape (n_samples, n_components)
            What the measures of `skmi.evaluation` take.
        """
        means, stds = self._posterior(self.encoder_rows(X))
        return means.numpy(), stds.numpy()

    def inverse_transform(self, X):
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, such as `transform` gives with ``feature_layer="global"``.

        Returns
        -------
        ndarray of shape (n_samples, ...)
            The mean of p(x|z) in the units and the shape of the data (see :ref:`decoded-rows`). An
            autoregressive decoder has no such mean: rows are drawn pixel by pixel, always with the
            same seed.
        """
        check_is_fitted(self)
        return self._decode(self._check_codes(X), "X")

    def _decode(self, codes: Tensor, name="codes", *, noise: bool = False, seed: int = 0):
        decoder, likelihood = self.decoder_, self._networks["likelihood"]
        likelihood = copy.deepcopy(likelihood).to(self.device_)
        generator = torch.Generator(self.device_).manual_seed(seed)

        def draw(output):
            return likelihood.draw(output, generator)

        if is_autoregressive(decoder):
            decoder = copy.deepcopy(decoder).to(self.device_)
            parts = [
                decoder.generate(part.to(self.device_), draw).cpu()
                for part in codes.split(EVALUATION_ROWS)
            ]
            rows = torch.cat(parts)
        else:
            read = draw if noise else likelihood.mean
            rows = apply_in_batches(decoder, codes, self.device_, read)
        return self._to_units(rows, name)

    def reconstruct(self, X):
        """Rows as the decoder rebuilds them from the means of their posteriors.

        Parameters
        ----------
        X : array-like
            Rows of the shape that was fitted.

        Returns
        -------
        ndarray of shape (n_samples, ...)
            See `inverse_transform`.
        """
        means, _ = self.posterior(X)
        return self._decode(torch.from_numpy(means))

    def sample(self, n_samples=1, random_state=None, *, noise=False):
        """Decode codes drawn from the prior.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState or None, default=None
            Seed of the draws.
        noise : bool, default=False
            Whether to draw rows from p(x|z), rather than to return its means, which vary less.
            An autoregressive decoder always draws.

        Returns
        -------
        ndarray of shape (n_samples, ...)
            In the units and the shape of the data.
        """
        check_is_fitted(self)
        if not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"n_samples={n_samples!r} must be a positive integer.")
        random_state = check_random_state(random_state)
        codes = random_state.standard_normal((n_samples, self.n_components)).astype(np.float32)
        seed = random_state.randint(2**31 - 1)
        return self._decode(torch.from_numpy(codes), noise=noise, seed=seed)

    def score_samples(self, X):
        r"""Importance-weighted log-likelihood of each row.

        .. math:: \log \frac1K \sum_{k=1}^K \frac{p(x|z_k)\, p(z_k)}{q(z_k|x)} ,
            \quad z_k \sim q(z|x)

        In expectation a lower bound on :math:`\log p(x)`, the tighter the larger
        K = ``n_importance_samples`` (Burda et al., 2016). The draws of a row depend on nothing but
        its own values, so that it has the same likelihood every time and in any company.

        Parameters
        ----------
        X : array-like
            Rows of the shape that was fitted.

        Returns
        -------
        ndarray of float32 of shape (n_samples,)
            In nats, of densities in the units of the data; with ``likelihood="bernoulli"``, of
            probabilities.
        """
        return importance_weighted_log_likelihood(
            self, X, n_importance_samples=self.n_importance_samples
        ).astype(np.float32)

    def score(self, X, y=None) -> float:
        """Mean importance-weighted log-likelihood, see `score_samples`.

        Parameters
        ----------
        X : array-like
            Rows of the shape that was fitted.
        y : None
            Ignored.

        Returns
        -------
        float
            In nats per row; higher is better. It can rank all settings, weights included, as far
            as the draws go: where posteriors are narrow, raise ``n_importance_samples``.
        """
        return float(self.score_samples(X).mean(dtype=np.float64))

    def log_importance_weights(self, X, n_draws, random_state=0):
        r"""Log importance weights :math:`\log p(x|z) + \log p(z) - \log q(z|x)` of draws of z.

        Parameters
        ----------
        X : array-like
            Rows of the shape that was fitted.
        n_draws : int
            Codes drawn from the posterior of each row.
        random_state : int, RandomState or None, default=0
            Seed of the draws.

        Yields
        ------
        ndarray of float64 of shape (n_samples, 1)
            Those of one draw for each row, `n_draws` times.
        """
        rows = self.encoder_rows(X)
        uniform = check_random_state(random_state).uniform(size=(n_draws, self.n_components))
        objective = copy.deepcopy(self.objective_).to(self.device_)
        jacobian = 0.0
        if self.likelihood_ == "gaussian":  # of standardising
            jacobian = np.broadcast_to(np.log(self.scale_), self.row_shape_).sum()
        tensors = rows, *self._posterior(rows), _own_shifts(rows, self.n_components)
        batches = list(zip(*(tensor.split(EVALUATION_ROWS) for tensor in tensors), strict=True))
        for draw in torch.from_numpy(uniform):
            weights = []
            for x, mean, std, shifts in batches:
                noise = torch.special.ndtri((draw + shifts).frac().clamp(1e-9, 1 - 1e-9))
                batch = (part.to(self.device_) for part in (x, mean, std, noise.float()))
                with torch.no_grad():
                    weights.append(objective.log_weights(*batch).cpu())
            yield torch.cat(weights).double().numpy()[:, None] - jacobian


def _own_shifts(rows: Tensor, n_columns: int) -> Tensor:
    """Uniform numbers that each row has by its own values, to be added to draws modulo 1."""
    generators = (np.random.default_rng(zlib.crc32(row.tobytes())) for row in rows.numpy() + 0.0)
    return torch.from_numpy(np.stack([rng.random(n_columns) for rng in generators]))
