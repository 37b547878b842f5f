"""Mutual information in one call."""

from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import KFold, cross_validate

from skmi.information._base import BaseMIEstimator
from skmi.information._data import as_columns
from skmi.information._result import MutualInfoResult
from skmi.information._units import in_units
from skmi.information.mine import MINEEstimator

__all__ = ["mutual_info"]


def mutual_info(
    X, Y, *, estimator=None, cv=3, units="nats", n_jobs=None, device=None, random_state=None
):
    """Estimate the mutual information I(X; Y), with its standard error and an interval.

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
    cv : int, splitter, iterable or None, default=3
        Folds.
    units : {"nats", "bits"}, default="nats"
        Units of the result.
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
    in_units(0.0, units)  # before the work
    X = as_columns(X)
    if not isinstance(estimator, BaseMIEstimator):
        return _cross_validated(estimator, X, Y, cv, n_jobs, random_state, units)
    options = {"cv": cv, "n_jobs": n_jobs, "device": device, "random_state": random_state}
    estimator.set_params(**{name: value for name, value in options.items() if value is not None})
    estimator.fit(X, Y)
    return result_of(estimator, units)


def result_of(estimator, units="nats") -> MutualInfoResult:
    """The result that a fitted estimator of this package holds."""
    return make_result(
        estimator.mi_,
        estimator.train_mi_,
        estimator.stderr_,
        estimator.fold_scores_,
        estimator.n_samples_,
        estimator=estimator,
        symbol=estimator.symbol,
        units=units,
    )


def make_result(held_out, train, stderr, fold_values, n_samples, *, units, **options):
    """The result of a cross-fitted estimate in nats."""
    return MutualInfoResult(
        estimate=in_units(float(held_out + train) / 2, units),
        lower_bound=in_units(float(held_out), units),
        stderr=in_units(float(stderr), units),
        fold_values=in_units(fold_values, units),
        n_samples=n_samples,
        units=units,
        **options,
    )


def _cross_validated(estimator, X, Y, cv, n_jobs, random_state, units):
    if isinstance(cv, Integral):
        cv = KFold(cv, shuffle=True, random_state=random_state)
    if random_state is not None and "random_state" in estimator.get_params():
        estimator.set_params(random_state=random_state)
    scores = cross_validate(
        estimator, X, Y, cv=cv, n_jobs=n_jobs, return_train_score=True, error_score="raise"
    )
    held_out, train = scores["test_score"], scores["train_score"]
    if len(held_out) < 2:
        raise ValueError(f"cv={cv} makes 1 split, which has no standard error. Use at least 2.")
    stderr = held_out.std(ddof=1) / np.sqrt(len(held_out))
    return make_result(held_out.mean(), train.mean(), stderr, held_out, len(X), units=units)
