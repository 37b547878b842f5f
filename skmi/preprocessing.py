"""Transforms of the margins: mutual information does not change, estimation gets easier."""

import numpy as np
from scipy.special import ndtri
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["NormalScores"]


class NormalScores(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    r"""Map every column to normal scores: its ranks, through the normal quantile function.

    .. math:: x \mapsto \Phi^{-1}\bigl((\mathrm{rank}(x) - \tfrac12) / n\bigr)

    The map is increasing, so I(X; Y) stays what it was, while scale, skew and heavy tails are
    gone; any increasing transform of a column gives the rows of `fit` the same scores. Ties
    share their mean rank, and a constant column becomes zeros. New values are interpolated
    between the values seen in `fit`, and take the scores of the extremes outside their range.
    Unlike `sklearn.preprocessing.QuantileTransformer`, every row counts and the extremes get
    the scores of a normal sample rather than a fixed clip at 5.2.

    Attributes
    ----------
    values_ : list of ndarray
        The distinct values of each column, increasing.
    scores_ : list of ndarray
        Their normal scores.
    n_features_in_ : int
        Number of columns.

    Examples
    --------
    >>> import numpy as np
    >>> from skmi.preprocessing import NormalScores
    >>> X = np.array([[1.0], [10.0], [1000.0]])
    >>> NormalScores().fit_transform(X).round(2).ravel()
    array([-0.97,  0.  ,  0.97])
    """

    def fit(self, X, y=None):
        """Learn the distinct values of each column and their scores.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : ignored

        Returns
        -------
        self
        """
        X = validate_data(self, X, dtype=[np.float64, np.float32])
        self.values_, self.scores_ = [], []
        for column in X.T:
            values, counts = np.unique(column, return_counts=True)
            ranks = np.cumsum(counts) - (counts - 1) / 2
            self.values_.append(values)
            self.scores_.append(ndtri((ranks - 0.5) / len(column)))
        return self

    def transform(self, X):
        """Normal scores of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            In the floating dtype of X.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        scores = np.empty_like(X)
        for j, (values, normal) in enumerate(zip(self.values_, self.scores_, strict=True)):
            scores[:, j] = np.interp(X[:, j], values, normal)
        return scores
