"""Reconstruction of the data from a representation."""

import math
from numbers import Integral

import numpy as np
import torch
from sklearn.base import RegressorMixin, _fit_context
from sklearn.callback import with_callbacks
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import Interval
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.nn import functional as F

from skmi._rows import check_same_length, read_rows
from skmi._supervised import SupervisedNet
from skmi.base import check_widths
from skmi.networks import make_decoder

__all__ = ["ReconstructionDecoder", "reconstruction_decoder"]

#: Smallest fall of the part of the variance that is not explained that counts as an improvement.
TOLERANCE = 1e-4


class ReconstructionDecoder(RegressorMixin, SupervisedNet):
    """A network that reconstructs the data from a representation by least squares.

    It is what `reconstruction_decoder` returns, fitted.

    Parameters
    ----------
    hidden_layer_sizes, n_channels, learning_rate, max_epochs, patience, validation_fraction, \
            device, verbose, random_state
        As in `reconstruction_decoder`.

    Attributes
    ----------
    network_ : torch.nn.Module
        From standardised representations to reconstructions on the scale of `target_scaler_`.
    scaler_, target_scaler_ : StandardScaler
        Of the representation and of the flattened data.
    row_shape_, target_shape_ : tuple of int
        Shape of one representation and of one row or image.
    range_ : tuple of float or None
        Least and greatest pixel of the images it was trained on; None for flat rows.
    n_epochs_ : int
        Number of passes over the data.
    device_ : str
        Where it was trained.
    """

    # Z is the data here, and no metadata for scikit-learn to route
    __metadata_request__fit = {"Z": UNUSED}
    __metadata_request__predict = {"Z": UNUSED}
    __metadata_request__score = {"Z": UNUSED}

    _parameter_constraints: dict = {
        **SupervisedNet._parameter_constraints,
        "hidden_layer_sizes": ["array-like"],
        "n_channels": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        hidden_layer_sizes=(512, 512),
        n_channels=64,
        learning_rate=1e-3,
        max_epochs=200,
        patience=10,
        validation_fraction=0.1,
        device="auto",
        verbose=0,
        random_state=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_channels = n_channels
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, Z, X):
        """Train the decoder; see `reconstruction_decoder`.

        Parameters
        ----------
        Z : array-like of shape (n, d) or (n, ...)
        X : array-like of shape (n, p) or (n, c, h, w)

        Returns
        -------
        self
        """
        with self._fit_life_cycle():
            Z, X = read_rows("Z", Z, fewest=4), read_rows("X", X)
            check_same_length(Z=Z, X=X)
            if X.ndim not in (2, 4):
                raise ValueError(
                    "X must be rows of shape (n, p) or images of shape (n, c, h, w), got shape "
                    f"{X.shape}." + (" Use X[:, None] for grey images." if X.ndim == 3 else "")
                )
            self.target_shape_ = X.shape[1:]
            self.range_ = (float(X.min()), float(X.max())) if X.ndim == 4 else None
            rows = X.reshape(len(X), -1)
            self.target_scaler_ = StandardScaler().fit(rows)
            if X.ndim == 4:  # pixels share their unit, columns need not
                self.target_scaler_.scale_[:] = math.sqrt(self.target_scaler_.var_.mean()) or 1.0
            target = torch.from_numpy(self.target_scaler_.transform(rows).astype(np.float32))
            self._train(Z, target.reshape(X.shape), F.mse_loss, TOLERANCE)
        return self

    def predict(self, Z):
        """Reconstruct.

        Parameters
        ----------
        Z : array-like of shape (n, d) or (n, ...)
            Representations of the shape that `fit` has seen.

        Returns
        -------
        ndarray of shape (n, p) or (n, c, h, w)
            In the units of the data. Images are clipped to the range of pixels seen in `fit`.
        """
        check_is_fitted(self)
        output = self._output(Z).flatten(1).numpy()
        X = self.target_scaler_.inverse_transform(output).reshape(-1, *self.target_shape_)
        return X if self.range_ is None else X.clip(*self.range_)

    def score(self, Z, X):
        r"""Part of the variance of the data that the reconstruction explains.

        .. math::
            R^2 = 1 - \frac{\sum_i \lVert x_i - \hat x_i \rVert^2}
                           {\sum_i \lVert x_i - \bar x \rVert^2}

        for images; for rows the mean over the columns of the same of each.

        Parameters
        ----------
        Z : array-like of shape (n, d) or (n, ...)
        X : array-like of shape (n, p) or (n, c, h, w)

        Returns
        -------
        float
            1 for perfect reconstruction, 0 for that by the mean.
        """
        X, X_hat = read_rows("X", X, fewest=2), self.predict(Z)
        check_same_length(Z=X_hat, X=X)
        if X.shape != X_hat.shape:
            raise ValueError(
                f"X has rows of shape {X.shape[1:]}, but the decoder was fitted on rows of shape "
                f"{self.target_shape_}."
            )
        average = "uniform_average" if self.range_ is None else "variance_weighted"
        pair = (x.reshape(len(x), -1) for x in (X, X_hat))
        return float(r2_score(*pair, multioutput=average))

    def _make_network(self, n_in: int, seed: int) -> nn.Module:
        return make_decoder(
            n_in,
            self.target_shape_,
            hidden_layer_sizes=check_widths("hidden_layer_sizes", self.hidden_layer_sizes),
            n_channels=self.n_channels,
        )


def reconstruction_decoder(
    Z,
    X,
    *,
    hidden_layer_sizes=(512, 512),
    n_channels=64,
    learning_rate=1e-3,
    max_epochs=200,
    patience=10,
    validation_fraction=0.1,
    device="auto",
    verbose=0,
    random_state=None,
):
    r"""Train a decoder that reconstructs the data from a fixed representation.

    A decoder g is trained on the squared error ([1]_, section 4.1),

    .. math:: \min_g \sum_i \lVert x_i - g(z_i) \rVert^2 ,

    and what it reconstructs of fresh data tells how much of their detail the representation
    has kept. For images, measure that with `ms_ssim`.

    Parameters
    ----------
    Z : array-like of shape (n, d) or (n, ...)
        Representations, one a row; further dimensions are flattened. They are standardised.
    X : array-like of shape (n, p) or (n, c, h, w)
        What they represent: rows, whose columns count equally whatever their units, or images.
    hidden_layer_sizes : tuple of int, default=(512, 512)
        Widths of the hidden layers of the multilayer perceptron for rows.
    n_channels : int, default=64
        Channels before the last of the transposed convolutions for images. Each of these
        doubles the sides of its input; going back, the channels double, up to eight times.
    learning_rate : float, default=1e-3
        Step size of Adam.
    max_epochs : int, default=200
        Largest number of passes over the data.
    patience : int, default=10
        Epochs without improvement on held-out rows after which training stops.
    validation_fraction : float, default=0.1
        Part of the rows that is held out to tell when to stop.
    device : str, default="auto"
        ``"auto"`` is CUDA where there is one, else MPS, else the CPU.
    verbose : int, default=0
        Whether to show a progress bar.
    random_state : int, RandomState or None, default=None
        Seed of weights, held-out rows and shuffles.

    Returns
    -------
    ReconstructionDecoder
        Fitted, with the methods ``predict(Z)`` and ``score(Z, X)``.

    Raises
    ------
    ValueError, TypeError
        For data or parameters that cannot be used; the message names the argument.
    NonFiniteLossError
        If training diverges.

    Warns
    -----
    ConvergenceWarning
        If training ran out of epochs while the reconstruction was still improving.

    See Also
    --------
    ms_ssim : Similarity of images and their reconstructions.

    Notes
    -----
    Evaluate on rows that the decoder has not been given.

    References
    ----------
    .. [1] R. D. Hjelm et al., "Learning deep representations by mutual information estimation
       and maximization", ICLR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from skmi.evaluation import reconstruction_decoder
    >>> rng = np.random.default_rng(0)
    >>> Z = rng.normal(size=(600, 2))
    >>> X = Z @ rng.normal(size=(2, 5))
    >>> decoder = reconstruction_decoder(
    ...     Z[:500], X[:500], hidden_layer_sizes=(32,), learning_rate=0.01, random_state=0
    ... )
    >>> decoder.predict(Z[500:]).shape
    (100, 5)
    >>> decoder.score(Z[500:], X[500:]) > 0.95
    True
    """
    decoder = ReconstructionDecoder(
        hidden_layer_sizes=hidden_layer_sizes,
        n_channels=n_channels,
        learning_rate=learning_rate,
        max_epochs=max_epochs,
        patience=patience,
        validation_fraction=validation_fraction,
        device=device,
        verbose=verbose,
        random_state=random_state,
    )
    return decoder.fit(Z, X)
