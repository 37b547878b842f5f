"""Generative adversarial networks that are held to use their codes."""

import math
from numbers import Integral, Real

import numpy as np
from sklearn.base import DensityMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn.functional import softplus

from skmi.generative._base import (
    INFORMATION_BOUNDS,
    LATENT_PRIORS,
    AdversarialMixin,
    AdversarialObjective,
    draw_latents,
)
from skmi.representation._base import COMPUTE_CONSTRAINTS, BaseRowModel, read_columns
from skmi.representation._objective import InformationCritic, full_precision

__all__ = ["MIGAN"]


class MIGAN(AdversarialMixin, DensityMixin, BaseRowModel):
    r"""A generative adversarial network whose samples tell the codes that they were made from.

    A generator G makes rows of noise and a code, :math:`z = [\epsilon, c]`, and a discriminator D
    learns to tell them from the data. Generators tend to leave out modes of the data: a few rows
    that deceive D are enough for them. Against this G also raises the information of its rows
    about the code ([1]_, eq. 17),

    .. math:: \max_G E[\log \sigma(D(G(z)))] + \beta\, I(G([\epsilon, c]); c) ,

    which the entropy of the rows bounds from above. A critic T(x, c), trained beside, bounds it
    from below. As information has no upper limit, its gradient is scaled to at most the norm of
    the discriminator's (adaptive clipping, [1]_, eq. 21).

    Parameters
    ----------
    n_components : int, default=64
        Number of latent columns, of noise and code together.
    code_size : int or None, default=None
        Number of these, the last ones, that are the code. None: all of them.
    mi_weight : float, default=1.0
        Weight :math:`\beta` of the information; 0 is the plain GAN, without a critic.
    bound : {"dv", "eta-dv", "nwj", "jsd", "infonce"}, default="dv"
        The bound on the information (see `skmi.bounds`): ``"dv"`` is that of MINE [1]_,
        ``"eta-dv"`` that of eta-MINE [2]_.
    adaptive_clipping : bool, default=True
        Whether to clip the gradient of the information.
    gradient_penalty : float, default=0.0
        Weight of :math:`\tfrac12 E\|\nabla D\|^2`, over data and over generated rows and on the
        scale of training, in the loss of the discriminator [3]_; 0 is none. It keeps D from
        winning, and the players from circling around one another, for a slower step: 0.1 is a start
        for columns, with a larger `learning_rate`, where [3]_ has 10 for images. D must then be
        twice differentiable and score each row by itself; that of images has no batch norm.
    generator, discriminator, critic : "auto" or nn.Module, default="auto"
        ``"auto"``: dense networks for rows, and for images the convolutions of [1]_, Tables 4 to
        6, where the code enters the critic at every layer; the discriminator has leaky ReLU, and
        the critic's dense layer ELU. Modules are copied: from latent columns to scaled rows; from
        these to one score; from these and codes to one score.
    hidden_layer_sizes : tuple of int, default=(500, 500)
        Hidden layers of the dense generator, with batch norm.
    discriminator_hidden, critic_hidden : tuple of int, default=(400, 400, 400)
        Hidden layers of the dense discriminator and critic.
    width : int, default=64
        Channels of the largest hidden map of the convolutional networks; the critic has a quarter.
    prior : {"gaussian", "uniform"}, default="gaussian"
        Distribution of the latent columns: standard normal, or uniform from -1 to 1.
    image_shape : tuple of int or None, default=None
        (height, width) or (channels, height, width) of images that come as flat rows.
    n_discriminator, n_critic : int, default=1
        Steps of the discriminator and of the critic on each batch.
    max_epochs : int, default=100
        Number of passes over the data.
    batch_size : int, default=100
        Rows of a batch.
    learning_rate : float, default=1e-4
        Step size of Adam, for all networks.
    betas : tuple of float, default=(0.5, 0.999)
        Adam's decay rates.
    averaging : float, default=0.99
        Decay of the moving average of the generator over its steps, which is then what samples are
        drawn from; 0 is none.
    device : str, default="auto"
        ``"auto"`` is CUDA where there is one, else MPS, else the CPU.
    precision : {"float32", "bfloat16"}, default="float32"
        Of the products in training (autocast). bfloat16 is faster where the hardware computes
        in it; weights, losses and all that is asked of a fitted model keep float32.
    random_state : int, RandomState or None, default=None
        Seed of weights, shuffles and draws.
    verbose : int, default=0
        Whether to show a progress bar.
    warm_start : bool, default=False
        Whether `fit` goes on training the networks that there are (see :ref:`going-on` for the
        parameters that may change).

    Attributes
    ----------
    generator_ : nn.Module
        From latent columns to scaled rows.
    code_size_ : int
        Number of columns of the code.
    history_ : list of dict
        Of each epoch: ``train_loss`` (the generator's), ``train_divergence``, what the
        discriminator finds of 2 JSD between data and samples, from 0 to 2 log 2 nats, and with
        `mi_weight` ``train_information`` in nats.
    n_iter_ : int
        Number of epochs.
    location_, scale_ : ndarray
        What the data are centred and divided by: columns have standard deviation 3, images values
        from -1 to 1.
    row_shape_ : tuple of int
        Shape of one row as the networks see it.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    See Also
    --------
    ALITransformer : Has an encoder as well.
    skmi.evaluation.modes_captured : How many modes of the data the samples hit.

    References
    ----------
    .. [1] M. I. Belghazi et al., "Mutual information neural estimation", ICML 2018, sections 5.1
       and 8.1.
    .. [2] Y. Mroueh et al., "Improved mutual information estimation", AAAI 2021.
    .. [3] L. Mescheder, A. Geiger and S. Nowozin, "Which training methods for GANs do actually
       converge?", ICML 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmi.generative import MIGAN
    >>> X, _ = load_iris(return_X_y=True)
    >>> options = {"batch_size": 15, "max_epochs": 10, "random_state": 0}
    >>> gan = MIGAN(8, code_size=2, **options).fit(X)
    >>> gan.sample(5, random_state=0).shape
    (5, 4)
    >>> gan.sample(5, codes=[0.0, 1.0], random_state=0).shape  # of one code
    (5, 4)
    """

    _parameter_constraints: dict = {
        **BaseRowModel._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "code_size": [None, Interval(Integral, 1, None, closed="left")],
        "mi_weight": [Interval(Real, 0, None, closed="left")],
        "bound": [StrOptions(set(INFORMATION_BOUNDS))],
        "adaptive_clipping": ["boolean"],
        "gradient_penalty": [Interval(Real, 0, None, closed="left")],
        "generator": [StrOptions({"auto"}), nn.Module],
        "discriminator": [StrOptions({"auto"}), nn.Module],
        "critic": [StrOptions({"auto"}), nn.Module],
        "hidden_layer_sizes": ["array-like"],
        "discriminator_hidden": ["array-like"],
        "critic_hidden": ["array-like"],
        "width": [Interval(Integral, 1, None, closed="left")],
        "prior": [StrOptions(set(LATENT_PRIORS))],
        "n_discriminator": [Interval(Integral, 1, None, closed="left")],
        "n_critic": [Interval(Integral, 1, None, closed="left")],
        "averaging": [Interval(Real, 0, 1, closed="left")],
        "precision": COMPUTE_CONSTRAINTS["precision"],
    }

    _last_side = 2

    def __init__(
        self,
        n_components=64,
        *,
        code_size=None,
        mi_weight=1.0,
        bound="dv",
        adaptive_clipping=True,
        gradient_penalty=0.0,
        generator="auto",
        discriminator="auto",
        critic="auto",
        hidden_layer_sizes=(500, 500),
        discriminator_hidden=(400, 400, 400),
        critic_hidden=(400, 400, 400),
        width=64,
        prior="gaussian",
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
        self.code_size = code_size
        self.mi_weight = mi_weight
        self.bound = bound
        self.adaptive_clipping = adaptive_clipping
        self.gradient_penalty = gradient_penalty
        self.generator = generator
        self.discriminator = discriminator
        self.critic = critic
        self.hidden_layer_sizes = hidden_layer_sizes
        self.discriminator_hidden = discriminator_hidden
        self.critic_hidden = critic_hidden
        self.width = width
        self.prior = prior
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

    # ------------------------------------------------------------ fitting

    def _check_settings(self):
        if self.code_size is not None and self.code_size > self.n_components:
            raise ValueError(
                f"code_size={self.code_size} is larger than n_components={self.n_components}, the "
                "latent columns that the code is part of. Lower it, or raise n_components."
            )

    def _make_objective(self, shape):
        self.code_size_ = self.code_size or self.n_components
        return GANObjective(
            self._make_generator(self.generator, shape),
            self._make_score("discriminator", shape),
            self._make_information(self.critic, shape, self.code_size_, n_dense=1024),
            prior=self.prior,
            n_latent=self.n_components,
            n_codes=self.code_size_,
            **self._game,
        )

    # ------------------------------------------------------------ drawing rows

    def sample(self, n_samples=None, codes=None, random_state=None):
        """Draw rows, perhaps of given codes.

        Parameters
        ----------
        n_samples : int or None, default=None
            None: as many as there are codes, else 1.
        codes : array-like of shape (code_size,) or (n_samples, code_size), default=None
            The code of all rows, or of each. None: drawn like the rest.
        random_state : int, RandomState or None, default=None
            Seed of the draws.

        Returns
        -------
        ndarray of float32 or float64 of shape (n_samples, ...)
            In the units and the shape of the data (see :ref:`decoded-rows`).
        """
        check_is_fitted(self)
        if codes is not None:
            meaning = f"code_size={self.code_size_}"
            codes = read_columns("codes", np.atleast_2d(codes), self.code_size_, meaning)
        if n_samples is None:
            n_samples = 1 if codes is None else len(codes)
        latents = self._latents(n_samples, random_state)
        if codes is not None:
            if len(codes) not in (1, n_samples):
                raise ValueError(
                    f"codes has {len(codes)} rows, but n_samples={n_samples}. Pass one code for "
                    "all samples, or one for each."
                )
            latents[:, -self.code_size_ :] = codes
        return self._to_units(self._generate(latents))


class GANObjective(AdversarialObjective):
    """The losses of a generator, of the discriminator against it, and of a critic for it.

    Parameters
    ----------
    generator, discriminator : nn.Module
        From latent columns to rows, and from rows to scores.
    information : InformationCritic or None
        Of rows and codes; None for the plain GAN.
    prior : str
        Of the latent columns.
    n_latent, n_codes : int
        Number of latent columns, and of those, at the end, that are the code.
    **game
        Options of `AdversarialObjective`.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        information: InformationCritic | None,
        *,
        prior: str,
        n_latent: int,
        n_codes: int,
        **game,
    ):
        model = nn.ModuleDict({"generator": generator})
        super().__init__(model, **game)
        self.discriminator = discriminator
        if information is not None:
            self.critic = information
        self.prior, self.n_latent, self.n_codes = prior, n_latent, n_codes

    def forward(self, x: Tensor, player: str) -> dict[str, Tensor]:
        draws = self._draws(x)
        if player == "discriminator":  # after the generator's step, on the rows of that step
            return self._discrimination(x, self._last[0])
        if player == "critic":
            return {"loss": -self.critic(*self._last, draws)[0]}
        latents = draw_latents(self.prior, (len(x), self.n_latent), draws)
        rows, codes = self._generate(latents), latents[:, -self.n_codes :]
        loss = softplus(-self._scores(rows)).mean()
        terms = {} if self.training else {"divergence": self._discrimination(x, rows)["divergence"]}
        self._last = rows.detach(), codes
        if not self.mi_weight:
            return {"loss": loss, **terms}
        value, terms["information"] = self.critic(rows, codes, draws)
        return self._add_information(loss, value) | terms

    def _discrimination(self, x: Tensor, rows: Tensor) -> dict[str, Tensor]:
        bound, loss = self._tell_apart(self._scores, [x], [rows])
        return {"loss": loss, "divergence": bound.detach() + 2 * math.log(2)}

    def _scores(self, rows: Tensor) -> Tensor:
        return full_precision(self.discriminator(rows))
