"""Mutual information in one call."""

from dataclasses import dataclass, field
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import KFold, cross_validate

from skmi.information._base import BaseMIEstimator
from skmi.information.mine import MINEEstimator

__all__ = ["MutualInfoResult", "mutual_info"]


@dataclass(frozen=True, eq=False)
class MutualInfoResult:
    """What `mutual_info` found, in nats.

    Attributes
    ----------
    estimate : float
        Best guess of I(X; Y): the mean of the bound on held-out rows, which loses about p/2n
        for p fitted parameters and n rows, and of the bound on training rows, which gains it.
    lower_bound : float
        The bound on held-out rows, averaged over the folds. Its expectation does not exceed
        I(X; Y), whatever the critic, but for the bounds "smile" (never a lower bound) and
        "dv" (slightly too high on few samples).
    stderr : float
        Standard error of both, from the spread over the pairs. It says nothing of what the
        critic has missed: look at the distance of `estimate` and `lower_bound` too.
    fold_values : ndarray of shape (n_folds,)
        The held-out bound of each fold.
    n_samples : int
        Number of pairs.
    estimator : estimator
        The fitted estimator: `score_samples` gives pointwise mutual information, `history_`
        the course of training. None if the estimator cross-fits through scikit-learn.
    """

    estimate: float
    lower_bound: float
    stderr: float
    fold_values: np.ndarray
    n_samples: int
    estimator: BaseEstimator | None = field(default=None, repr=False)

    def __str__(self):
        is_bound = self.estimator is None or self.estimator._bound().is_lower_bound
        held_out = "held-out lower bound" if is_bound else "held-out value"
        return (
            f"I(X; Y) = {self.estimate:.3f} \u00b1 {self.stderr:.3f} nats ({held_out} "
            f"{self.lower_bound:.3f}; {len(self.fold_values)} folds of {self.n_samples} pairs)"
        )

    __repr__ = __str__

    def __float__(self):
        return self.estimate


def mutual_info(X, Y, *, estimator=None, cv=5, n_jobs=None, device=None, random_state=None):
    """Estimate the mutual information I(X; Y) in nats, with its standard error.

    Cross-fitted: one critic is trained for each fold and evaluated on the rows it has not
    seen, so that every row counts and none is used twice.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        Samples of X. A vector is read as one column.
    Y : array-like of shape (n_samples,), (n_samples, n_outputs) or (n_samples, ...)
        Samples of Y, row by row the partners of X: numbers or labels.
    estimator : estimator or None, default=None
        What to fit; it is cloned. None is ``MINEEstimator()``. Estimators of this package
        cross-fit by themselves and take over `cv`, `n_jobs`, `device` and `random_state`; any
        other one with `fit` and `score` in nats, a pipeline say, goes through
        `sklearn.model_selection.cross_validate` as it is.
    cv : int, splitter, iterable or None, default=5
        Folds.
    n_jobs : int or None, default=None
        Folds fitted at once.
    device : str or None, default=None
        Torch device.
    random_state : int, RandomState or None, default=None
        Seed of folds, weights and shuffles. For this and the three above, None keeps what the
        estimator has.

    Returns
    -------
    MutualInfoResult

    Raises
    ------
    ValueError, TypeError
        For data or parameters that cannot be used; the message names the argument.

    See Also
    --------
    skmi.MINEEstimator : The default estimator and its parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from skmi import mutual_info
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(2000, 2))
    >>> Y = X + rng.normal(size=(2000, 2))          # I(X; Y) = log 2 = 0.69 nats
    >>> result = mutual_info(X, Y, random_state=0)
    >>> bool(abs(result.estimate - np.log(2)) < 0.1)
    True
    """
    estimator = MINEEstimator() if estimator is None else clone(estimator)
    if np.ndim(X) == 1:
        X = np.asarray(X).reshape(-1, 1)
    if not isinstance(estimator, BaseMIEstimator):
        return _cross_validated(estimator, X, Y, cv, n_jobs, random_state)
    options = {"cv": cv, "n_jobs": n_jobs, "device": device, "random_state": random_state}
    estimator.set_params(**{name: value for name, value in options.items() if value is not None})
    estimator.fit(X, Y)
    return MutualInfoResult(
        estimate=(estimator.mi_ + estimator.train_mi_) / 2,
        lower_bound=estimator.mi_,
        stderr=estimator.stderr_,
        fold_values=estimator.fold_scores_,
        n_samples=len(X),
        estimator=estimator,
    )


def _cross_validated(estimator, X, Y, cv, n_jobs, random_state):
    if isinstance(cv, Integral):
        cv = KFold(cv, shuffle=True, random_state=random_state)
    scores = cross_validate(
        estimator, X, Y, cv=cv, n_jobs=n_jobs, return_train_score=True, error_score="raise"
    )
    held_out, train = scores["test_score"], scores["train_score"]
    return MutualInfoResult(
        estimate=float((held_out.mean() + train.mean()) / 2),
        lower_bound=float(held_out.mean()),
        stderr=float(held_out.std(ddof=1) / np.sqrt(len(held_out))),
        fold_values=held_out,
        n_samples=len(X),
    )
