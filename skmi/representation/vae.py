"""The variational autoencoders that InfoMax-VAE is compared with, as settings of it."""

from skmi.representation.infomax_vae import InfoMaxVAETransformer

__all__ = ["BetaVAETransformer", "InfoVAETransformer", "VAETransformer"]


class VAETransformer(InfoMaxVAETransformer):
    r"""A variational autoencoder.

    `InfoMaxVAETransformer` with ``alpha=0`` and ``beta=1``. Encoder and decoder maximise the
    evidence lower bound ([1]_)

    .. math:: E_{q(z|x)} \log p(x|z) - KL(q(z|x) \| p(z)) \le \log p(x) .


    Parameters
    ----------
    n_components : int, default=20
        Number of latent columns.
    likelihood, encoder, decoder, hidden_layer_sizes, decoder_hidden_layer_sizes, encoder_width
        As in `InfoMaxVAETransformer`.
    feature_layer, image_shape, n_importance_samples
        As in `InfoMaxVAETransformer`.
    max_epochs, batch_size, learning_rate, betas, validation_fraction, patience, tolerance
        As in `InfoMaxVAETransformer`.
    device, precision, compile, random_state, verbose, warm_start
        As in `InfoMaxVAETransformer`.

    Attributes
    ----------
    encoder_, decoder_, likelihood_, history_, n_iter_, location_, scale_, row_shape_
        As in `InfoMaxVAETransformer`.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    See Also
    --------
    InfoMaxVAETransformer : With the information of codes about the data in the objective.

    References
    ----------
    .. [1] D. P. Kingma and M. Welling, "Auto-encoding variational Bayes", ICLR 2014.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmi.representation import VAETransformer
    >>> X, _ = load_iris(return_X_y=True)
    >>> VAETransformer(2, max_epochs=5, random_state=0).fit_transform(X).shape
    (150, 2)
    """

    # what the family's other members set
    alpha, beta, divergence, mmd = 0.0, 1.0, "kl", 0.0

    def __init__(
        self,
        n_components=20,
        *,
        likelihood="auto",
        encoder="auto",
        decoder="auto",
        hidden_layer_sizes=(512, 512),
        decoder_hidden_layer_sizes=None,
        encoder_width=32,
        feature_layer="global",
        image_shape=None,
        n_importance_samples=64,
        max_epochs=50,
        batch_size=100,
        learning_rate=1e-3,
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
        self.likelihood = likelihood
        self.encoder = encoder
        self.decoder = decoder
        self.hidden_layer_sizes = hidden_layer_sizes
        self.decoder_hidden_layer_sizes = decoder_hidden_layer_sizes
        self.encoder_width = encoder_width
        self.feature_layer = feature_layer
        self.image_shape = image_shape
        self.n_importance_samples = n_importance_samples
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
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


class BetaVAETransformer(InfoMaxVAETransformer):
    r"""A variational autoencoder whose codes are held closer to the prior.

    `InfoMaxVAETransformer` with ``alpha=0``. It maximises ([1]_)

    .. math:: E_{q(z|x)} \log p(x|z) - \beta\, KL(q(z|x) \| p(z)) ,

    and for :math:`\beta > 1` trades what codes tell of the data for independent columns.


    Parameters
    ----------
    n_components : int, default=20
        Number of latent columns.
    beta : float, default=4.0
        Weight of the divergence of the posterior from the prior.
    likelihood, encoder, decoder, hidden_layer_sizes, decoder_hidden_layer_sizes, encoder_width
        As in `InfoMaxVAETransformer`.
    feature_layer, image_shape, n_importance_samples
        As in `InfoMaxVAETransformer`.
    max_epochs, batch_size, learning_rate, betas, validation_fraction, patience, tolerance
        As in `InfoMaxVAETransformer`.
    device, precision, compile, random_state, verbose, warm_start
        As in `InfoMaxVAETransformer`.

    Attributes
    ----------
    encoder_, decoder_, likelihood_, history_, n_iter_, location_, scale_, row_shape_
        As in `InfoMaxVAETransformer`.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    See Also
    --------
    InfoMaxVAETransformer : With the information of codes about the data in the objective.

    References
    ----------
    .. [1] I. Higgins et al., "beta-VAE: learning basic visual concepts with a constrained
       variational framework", ICLR 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmi.representation import BetaVAETransformer
    >>> X, _ = load_iris(return_X_y=True)
    >>> BetaVAETransformer(2, beta=2.0, max_epochs=5, random_state=0).fit_transform(X).shape
    (150, 2)
    """

    # what the family's other members set
    alpha, divergence, mmd = 0.0, "kl", 0.0

    def __init__(
        self,
        n_components=20,
        *,
        beta=4.0,
        likelihood="auto",
        encoder="auto",
        decoder="auto",
        hidden_layer_sizes=(512, 512),
        decoder_hidden_layer_sizes=None,
        encoder_width=32,
        feature_layer="global",
        image_shape=None,
        n_importance_samples=64,
        max_epochs=50,
        batch_size=100,
        learning_rate=1e-3,
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
        self.beta = beta
        self.likelihood = likelihood
        self.encoder = encoder
        self.decoder = decoder
        self.hidden_layer_sizes = hidden_layer_sizes
        self.decoder_hidden_layer_sizes = decoder_hidden_layer_sizes
        self.encoder_width = encoder_width
        self.feature_layer = feature_layer
        self.image_shape = image_shape
        self.n_importance_samples = n_importance_samples
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
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


class InfoVAETransformer(InfoMaxVAETransformer):
    r"""A variational autoencoder whose aggregated posterior is held to the prior by MMD.

    `InfoMaxVAETransformer` with ``alpha=0`` and a discrepancy. It maximises ([1]_)

    .. math::
        E_{q(z|x)} \log p(x|z) - \beta\, KL(q(z|x) \| p(z)) - \lambda\, MMD^2(q(z), p(z)) .

    In the notation of [1]_, :math:`\beta = 1 - \alpha` and the weight of the discrepancy is
    :math:`\alpha + \lambda - 1`; the defaults are its member called MMD-VAE, :math:`\alpha = 1`.


    Parameters
    ----------
    n_components : int, default=20
        Number of latent columns.
    beta : float, default=0.0
        Weight of the divergence of the posterior from the prior.
    mmd : float, default=100.0
        Weight of the squared maximum mean discrepancy between codes and prior.
    likelihood, encoder, decoder, hidden_layer_sizes, decoder_hidden_layer_sizes, encoder_width
        As in `InfoMaxVAETransformer`.
    feature_layer, image_shape, n_importance_samples
        As in `InfoMaxVAETransformer`.
    max_epochs, batch_size, learning_rate, betas, validation_fraction, patience, tolerance
        As in `InfoMaxVAETransformer`.
    device, precision, compile, random_state, verbose, warm_start
        As in `InfoMaxVAETransformer`.

    Attributes
    ----------
    encoder_, decoder_, likelihood_, history_, n_iter_, location_, scale_, row_shape_
        As in `InfoMaxVAETransformer`.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    See Also
    --------
    InfoMaxVAETransformer : With the information of codes about the data in the objective.

    References
    ----------
    .. [1] S. Zhao, J. Song and S. Ermon, "InfoVAE: balancing learning and inference in
       variational autoencoders", AAAI 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmi.representation import InfoVAETransformer
    >>> X, _ = load_iris(return_X_y=True)
    >>> InfoVAETransformer(2, max_epochs=5, random_state=0).fit_transform(X).shape
    (150, 2)
    """

    # what the family's other members set
    alpha, divergence = 0.0, "kl"

    def __init__(
        self,
        n_components=20,
        *,
        beta=0.0,
        mmd=100.0,
        likelihood="auto",
        encoder="auto",
        decoder="auto",
        hidden_layer_sizes=(512, 512),
        decoder_hidden_layer_sizes=None,
        encoder_width=32,
        feature_layer="global",
        image_shape=None,
        n_importance_samples=64,
        max_epochs=50,
        batch_size=100,
        learning_rate=1e-3,
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
        self.beta = beta
        self.mmd = mmd
        self.likelihood = likelihood
        self.encoder = encoder
        self.decoder = decoder
        self.hidden_layer_sizes = hidden_layer_sizes
        self.decoder_hidden_layer_sizes = decoder_hidden_layer_sizes
        self.encoder_width = encoder_width
        self.feature_layer = feature_layer
        self.image_shape = image_shape
        self.n_importance_samples = n_importance_samples
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
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
