"""Autoencoders, plain and adversarial."""

from numbers import Integral

from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.nn.functional import mse_loss

from skmi.base import apply_in_batches, check_widths
from skmi.networks import make_decoder
from skmi.representation._base import PRIOR_CONSTRAINTS, BaseRepresentation
from skmi.representation._objective import EncoderObjective

__all__ = ["AutoencoderTransformer"]


class AutoencoderTransformer(BaseRepresentation):
    r"""An autoencoder, or an adversarial autoencoder: what rebuilds the data best.

    The encoder E and a decoder G minimise the squared error of standardised data, plus the
    divergence of the representations from a prior V, as an adversary sees it ([1]_),

    .. math::
        \frac1p \lVert x - G(E(x)) \rVert^2 + \gamma\, D(V \| E(x)) .

    Without a prior it is the plain autoencoder; with one, the AAE that Deep InfoMax is compared
    with ([2]_, section 4). The encoders are those of `DIMTransformer`.

    Parameters
    ----------
    n_components : int, default=64
        Width of the representation.
    prior : {"uniform", "gaussian", "ball", "sphere", "binary"} or None, default=None
        The distribution to match; it also sets the range of the representation.
    gamma : float, default=0.1
        Weight of the prior, if there is one.
    hidden_layer_sizes : tuple of int, default=(512, 512)
        Hidden layers of the decoder of rows and sequences.
    n_channels : int, default=32
        Channels of the last hidden map of the decoder of images.
    encoder, encoder_width, image_shape, feature_layer
        As in `DIMTransformer`.
    max_epochs, batch_size, learning_rate, betas, validation_fraction, patience, tolerance
        As in `DIMTransformer`.
    device, random_state, verbose, warm_start
        As in `DIMTransformer`.

    Attributes
    ----------
    encoder_ : Encoder
        The fitted encoder, from scaled rows to all layers.
    decoder_ : nn.Module
        The fitted decoder, back to scaled rows.
    history_ : list of dict
        Of each epoch, ``train_`` and ``valid_`` ``loss``, ``error`` (mean squared error, where
        the data have variance 1) and ``prior`` (see `DIMTransformer`).
    n_iter_, location_, scale_, row_shape_, n_features_in_, feature_names_in_
        As in `DIMTransformer`.

    References
    ----------
    .. [1] A. Makhzani et al., "Adversarial autoencoders", 2015.
    .. [2] R. D. Hjelm et al., "Learning deep representations by mutual information estimation
       and maximization", ICLR 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmi.representation import AutoencoderTransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> autoencoder = AutoencoderTransformer(8, image_shape=(8, 8), max_epochs=3, patience=None)
    >>> Z = autoencoder.set_params(random_state=0).fit_transform(X)
    >>> Z.shape, autoencoder.inverse_transform(Z).shape
    ((1797, 8), (1797, 64))
    """

    _parameter_constraints: dict = {
        **BaseRepresentation._parameter_constraints,
        **PRIOR_CONSTRAINTS,
        "hidden_layer_sizes": ["array-like"],
        "n_channels": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_components=64,
        *,
        prior=None,
        gamma=0.1,
        encoder="auto",
        encoder_width=32,
        hidden_layer_sizes=(512, 512),
        n_channels=32,
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
        self.prior = prior
        self.gamma = gamma
        self.encoder = encoder
        self.encoder_width = encoder_width
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_channels = n_channels
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
        decoder = make_decoder(
            self.n_components,
            shape,
            hidden_layer_sizes=check_widths("hidden_layer_sizes", self.hidden_layer_sizes),
            n_channels=self.n_channels,
        )
        return ReconstructionObjective(
            nn.ModuleDict({"encoder": self._make_encoder(shape), "decoder": decoder}),
            n_components=self.n_components,
            gamma=self._prior_weight,
            prior=self.prior,
        )

    @property
    def decoder_(self) -> nn.Module:
        """The fitted decoder."""
        return self._networks["decoder"]

    def inverse_transform(self, X):
        """Rebuild data from representations.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            What `transform` gives with ``feature_layer="global"``.

        Returns
        -------
        ndarray of float32 or float64 of shape (n_samples, ...)
            In the units and the shape of the data (see :ref:`decoded-rows`).
        """
        check_is_fitted(self)
        codes = self._check_codes(X)
        return self._to_units(apply_in_batches(self.decoder_, codes, self.device_), "X")


class ReconstructionObjective(EncoderObjective):
    """The squared error of a decoder."""

    def _terms(self, x, generator):
        y = self.model["encoder"](x).y
        error = mse_loss(self.model["decoder"](y), x)
        return y, error, {"error": error}
