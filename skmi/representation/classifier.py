"""Classification with an encoder that has seen more rows than labels."""

import copy
import math

import numpy as np
import torch
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.callback import with_callbacks
from sklearn.utils.validation import _num_samples, check_is_fitted, column_or_1d
from torch import Tensor, nn
from torch.nn import functional as F

from skmi._persistence import savable
from skmi._supervised import TOLERANCE, NetClassifier, read_classes
from skmi.exceptions import warn
from skmi.networks import Layers
from skmi.representation._base import BaseRepresentation
from skmi.representation.autoencoder import AutoencoderTransformer
from skmi.representation.cpc import CPCTransformer
from skmi.representation.dim import DIMTransformer
from skmi.representation.jigsaw import JigsawTransformer
from skmi.representation.nat import NATTransformer
from skmi.representation.two_view import TwoViewInfoMaxTransformer

__all__ = ["DIMClassifier"]

for part in (
    AutoencoderTransformer,
    CPCTransformer,
    DIMTransformer,
    JigsawTransformer,
    NATTransformer,
    TwoViewInfoMaxTransformer,
):
    savable(part)  # within a classifier


class DIMClassifier(NetClassifier):
    """A classifier on a learned encoder, which it fine-tunes: semi-supervised learning.

    The encoder learns from all rows, then a small head and the encoder learn from those that
    have labels ([1]_, section 4.2 and Table 2, where the encoder of DIM is fine-tuned in this
    way). Rows without a label are marked by -1, as in `sklearn.semi_supervised`; labels that are
    strings then need ``dtype=object``. Only where -1 and 1 are all there is, both are classes.

    Parameters
    ----------
    transformer : transformer or None, default=None
        A `DIMTransformer`, or another transformer of `skmi.representation`; what
        ``feature_layer`` it has is classified. None is ``DIMTransformer()``.
    prefit : bool, default=False
        Whether the transformer is fitted already, and used as it is. Else a clone is fitted to
        all rows of X. A search or cross-validation clones, so that it needs False.
    fine_tune : bool, default=True
        Whether the encoder is trained along with the head, or only the head, on rows that are
        encoded once.
    hidden : int, default=200
        Width of the head's hidden layer.
    dropout : float, default=0.1
        Part of the hidden units that is dropped in each step.
    batch_norm : bool, default=False
        Whether to normalise the hidden layer over each batch.
    learning_rate : float, default=1e-3
        Step size of Adam, for head and encoder.
    max_epochs : int, default=200
        Largest number of passes over the labelled rows.
    patience : int, default=10
        Epochs without improvement on held-out rows after which training stops.
    validation_fraction : float, default=0.1
        Part of the labelled rows that is held out to tell when to stop, stratified by class.
    device : str, default="auto"
        Torch device.
    verbose : int, default=0
        Whether to show a progress bar.
    random_state : int, RandomState or None, default=None
        Seed of weights, held-out rows, shuffles and dropout; the transformer has its own.

    Attributes
    ----------
    transformer_ : transformer
        The transformer with its own encoder, not fine-tuned.
    network_ : nn.Module
        The fine-tuned encoder and the head; with ``fine_tune=False`` the head alone.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_epochs_ : int
        Passes over the labelled rows.
    n_features_in_, feature_names_in_
        As in `DIMTransformer`.

    See Also
    --------
    skmi.evaluation.mlp_probe : The same head on a fixed representation, cross-validated.

    References
    ----------
    .. [1] R. D. Hjelm et al., "Learning deep representations by mutual information estimation
       and maximization", ICLR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skmi.representation import DIMClassifier, DIMTransformer
    >>> X, y = load_digits(return_X_y=True)
    >>> some = np.where(np.arange(len(y)) < 200, y, -1)            # 200 labels
    >>> dim = DIMTransformer(16, image_shape=(8, 8), max_epochs=2, patience=None, random_state=0)
    >>> classifier = DIMClassifier(dim, random_state=0).fit(X, some)
    >>> bool(classifier.score(X[1000:], y[1000:]) > 0.8)
    True
    """

    _parameter_constraints: dict = {
        **NetClassifier._parameter_constraints,
        "transformer": [BaseRepresentation, None],
        "prefit": ["boolean"],
        "fine_tune": ["boolean"],
    }

    def __init__(
        self,
        transformer=None,
        *,
        prefit=False,
        fine_tune=True,
        hidden=200,
        dropout=0.1,
        batch_norm=False,
        learning_rate=1e-3,
        max_epochs=200,
        patience=10,
        validation_fraction=0.1,
        device="auto",
        verbose=0,
        random_state=None,
    ):
        super().__init__(
            hidden=hidden,
            dropout=dropout,
            batch_norm=batch_norm,
            learning_rate=learning_rate,
            max_epochs=max_epochs,
            patience=patience,
            validation_fraction=validation_fraction,
            device=device,
            verbose=verbose,
            random_state=random_state,
        )
        self.transformer = transformer
        self.prefit = prefit
        self.fine_tune = fine_tune

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y):
        """Fit the transformer to all rows, then encoder and head to those with labels.

        Parameters
        ----------
        X : array-like
            As in `DIMTransformer`.
        y : array-like of shape (n_samples,)
            Class labels; -1 for rows without one.

        Returns
        -------
        self
        """
        with self._fit_life_cycle():
            labelled, self.classes_, codes = read_labels(y)  # before the transformer's long fit
            self.transformer_ = self._fit_transformer(X, len(labelled))
            rows = self.transformer_.encoder_rows(X)[torch.from_numpy(labelled)]
            self._train(rows, torch.from_numpy(codes), F.cross_entropy, TOLERANCE)
        return self

    def _fit_transformer(self, X, n_labels: int) -> BaseRepresentation:
        if _num_samples(X) != n_labels:
            raise ValueError(f"X has {_num_samples(X)} rows but y has {n_labels} labels.")
        if not self.prefit:
            transformer = self.transformer
            if transformer is None:
                transformer = DIMTransformer(random_state=self.random_state)
            return clone(transformer).fit(X)
        if self.transformer is None:
            raise ValueError("prefit=True needs a fitted transformer, got transformer=None.")
        check_is_fitted(
            self.transformer,
            msg="prefit=True needs a fitted %(name)s. A clone, as in cross-validation, is not "
            "fitted: say prefit=False there.",
        )
        return self.transformer

    # ------------------------------------------------------------ the network and its inputs

    def _fit_inputs(self, rows):
        if self.fine_tune:
            return rows  # the transformer has scaled them
        return torch.from_numpy(self.transformer_._apply_encoder(rows, self.transformer_._layer))

    def _inputs(self, X):
        return self._fit_inputs(self.transformer_.encoder_rows(X))

    def _make_network(self, n_in, seed):
        head = super()._make_network(self.transformer_._n_features_out, seed)
        return nn.Sequential(FeatureEncoder(self.transformer_), head) if self.fine_tune else head

    @property
    def n_features_in_(self) -> int:
        """Number of features, or of channels or rows of images, seen in fit."""
        return self.transformer_.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the features, if X had any."""
        return self.transformer_.feature_names_in_

    @property
    def _n_inputs(self) -> int:
        return math.prod(self.transformer_.row_shape_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def read_labels(y) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether each row has a label, the classes, and the classes' numbers of rows with one."""
    y = column_or_1d(y, warn=True)
    labelled = np.ones(len(y), dtype=bool) if y.dtype.kind in "USb" else y != -1
    if y.dtype.kind in "if" and set(np.unique(y)) == {-1, 1}:
        warn("y holds -1 and 1 only: both are taken for classes.", UserWarning)
        labelled[:] = True
    if labelled.sum() < 4:
        raise ValueError(f"n_samples={labelled.sum()} with a label is too few. Label at least 4.")
    return labelled, *read_classes(y[labelled])


class FeatureEncoder(nn.Module):
    """The features of a transformer, from scaled rows, with weights of its own."""

    def __init__(self, transformer: BaseEstimator):
        super().__init__()
        self.encoder = copy.deepcopy(transformer.encoder_)
        self.feature_layer = getattr(transformer, "feature_layer", None)

    def forward(self, rows: Tensor) -> Tensor:
        output = self.encoder(rows)
        return output.at(self.feature_layer) if isinstance(output, Layers) else output
