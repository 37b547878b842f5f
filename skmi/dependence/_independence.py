"""A permutation test of independence whose statistic is learned on other rows."""

import warnings
from dataclasses import dataclass, field
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils._param_validation import Interval, validate_params
from torch import Tensor

from skmi.base import limit_threads
from skmi.exceptions import ConvergenceWarning, GeneralizationGapWarning, SaturationWarning
from skmi.information import MINEEstimator
from skmi.information._base import BaseMIEstimator
from skmi.information._data import as_columns

__all__ = ["IndependenceTestResult", "independence_test"]

#: Pairs scored for one fold, unless blocks would have fewer than MIN_BLOCK rows.
MAX_PAIRS = 2**22
MIN_BLOCK = 64
#: Scores whose interaction is a smaller part of them than this are constant up to rounding.
FLOAT32_NOISE = 1e-5
#: Distance of sums that are equal but added up in another order.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class IndependenceTestResult:
    """What `independence_test` found.

    Attributes
    ----------
    statistic : float
        The largest statistic of a fold: how many standard deviations its mean score of true
        pairs lies above that of permuted pairs.
    pvalue : float
        Probability, if X and Y are independent, of a p-value as small as this or smaller: the
        smallest p-value of a fold times the number of folds, at most 1.
    null_distribution : ndarray of shape (n_folds, n_permutations)
        The statistic of each fold for permuted pairs.
    fold_statistics, fold_pvalues : ndarray of shape (n_folds,)
        Statistic and p-value of each fold.
    n_samples : int
        Number of rows.
    estimator : estimator
        The fitted estimator. Its ``mi_`` is a bound on I(X; Y) in nats, its ``critics_`` are
        what was tested.
    """

    statistic: float
    pvalue: float
    null_distribution: np.ndarray = field(repr=False)
    fold_statistics: np.ndarray = field(repr=False)
    fold_pvalues: np.ndarray = field(repr=False)
    n_samples: int
    estimator: BaseEstimator = field(repr=False)

    def __str__(self):
        return (
            f"statistic = {self.statistic:.2f}, p = {self.pvalue:.3g} "
            f"({self.null_distribution.shape[1]} permutations in each of "
            f"{len(self.fold_pvalues)} folds of {self.n_samples} rows)"
        )


@validate_params(
    {
        "n_permutations": [Interval(Integral, 1, None, closed="left")],
        "estimator": [BaseMIEstimator, None],
    },
    prefer_skip_nested_validation=True,
)
def independence_test(
    X,
    Y,
    *,
    n_permutations=999,
    cv=2,
    estimator=None,
    n_jobs=None,
    device=None,
    random_state=None,
):
    r"""Test whether X and Y are independent.

    A critic :math:`T(x, y)` that estimates the log density ratio is trained on one half of the
    rows. On the other half, true pairs have higher scores than permuted pairs if it has found a
    dependence. Its sum of scores :math:`t(\sigma) = \sum_i T(x_i, y_{\sigma(i)})` orders the
    permutations as the bound on the mutual information does, because the product term of the
    bound is the same for all. The statistic is the larger of the standardised sums

    .. math:: z(\sigma) = \frac{t(\sigma) - E[t]}{\sqrt{\operatorname{Var}[t]}}

    of this critic and of a linear one, :math:`x' \hat C_{xy} y` with the cross-covariance of
    the training rows; mean and variance over all permutations are known in closed form. With
    b of m random permutations that reach the statistic of the true pairs,

    .. math:: p = \frac{b + 1}{m + 1} .

    Then the halves change places, and the smaller p-value, doubled, is the result.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        Samples of X: numbers, categories or both. A vector is read as one column.
    Y : array-like of shape (n_samples,), (n_samples, n_outputs) or (n_samples, ...)
        Samples of Y, row by row the partners of X: numbers, categories or both.
    n_permutations : int, default=999
        Permutations in each fold. No p-value is below ``n_folds / (n_permutations + 1)``.
    cv : int, splitter or iterable, default=2
        Folds: a critic is trained on the rows outside of each. ``ShuffleSplit(1,
        test_size=0.5)`` makes a single split, in half the time and with less power.
    estimator : estimator or None, default=None
        `MINEEstimator` or another estimator of this package, which is cloned. None is
        ``MINEEstimator(hidden_layer_sizes=(32, 32), gaussian_term=False, learning_rate=5e-3,
        max_epochs=20, validation_fraction=0)``: a small critic, and no early stopping, which on
        few rows often returns to the untrained critic.
    n_jobs : int or None, default=None
        Critics trained at once.
    device : str or None, default=None
        Torch device.
    random_state : int, RandomState or None, default=None
        Seed of folds, weights, shuffles and permutations. For this and the two above, None
        keeps what the estimator has.

    Returns
    -------
    IndependenceTestResult

    Raises
    ------
    ValueError, TypeError
        For data or parameters that cannot be used; the message names the argument.
    NonFiniteLossError
        If training diverges.

    Warns
    -----
    UserWarning
        If X or Y is constant, which makes p = 1; and as the estimator does about the data.

    See Also
    --------
    skmi.mutual_info : How strong the dependence is.

    Notes
    -----
    The p-value of a fold is exact for any number of rows [1]_ if rows are independent of one
    another: given the training rows, all pairings of the others are equally likely under
    independence. P-values of different folds depend on each other, since the rows that train
    one critic are those that test another, in a way that is not known; Bonferroni's correction
    holds nevertheless.

    A fold of more than 2048 rows is cut into random blocks, and every permutation rearranges
    all blocks in the same way. This is a subgroup of the permutations, so that p stays exact.
    The scores of all blocks add up to a single matrix, and time is linear in the rows.

    References
    ----------
    .. [1] J. Hemerik and J. Goeman, "Exact testing with random permutations", TEST, 2018,
       theorem 2.

    Examples
    --------
    >>> import numpy as np
    >>> from skmi import independence_test
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=500)
    >>> y = x**2 + rng.normal(size=500)             # dependent, but uncorrelated
    >>> independence_test(x, y, random_state=0).pvalue
    0.002
    """
    estimator = _default_estimator() if estimator is None else clone(estimator)
    options = {"cv": cv, "n_jobs": n_jobs, "device": device, "random_state": random_state}
    estimator.set_params(**{name: value for name, value in options.items() if value is not None})
    X = as_columns(X)
    with warnings.catch_warnings():
        for category in (ConvergenceWarning, GeneralizationGapWarning, SaturationWarning):
            warnings.simplefilter("ignore", category)  # a test needs a direction, no tight bound
        estimator.fit(X, Y)
    X, Y, folds = estimator._prepare(X, Y, reset=False)
    generators = np.random.default_rng(estimator.seed_).spawn(len(folds))
    sums = np.array(
        [
            _sums_of_scores(critic, X, Y, fold, estimator.device_, n_permutations, rng)
            for critic, fold, rng in zip(estimator.critics_, folds, generators, strict=True)
        ]
    )
    statistics, nulls = sums[:, 0], sums[:, 1:]
    reached = nulls >= statistics[:, None] - ROUNDING
    pvalues = (reached.sum(1) + 1) / (n_permutations + 1)
    return IndependenceTestResult(
        statistic=float(statistics.max()),
        pvalue=float(min(1, len(folds) * pvalues.min())),
        null_distribution=nulls,
        fold_statistics=statistics,
        fold_pvalues=pvalues,
        n_samples=len(X),
        estimator=estimator,
    )


def _default_estimator() -> MINEEstimator:
    return MINEEstimator(
        hidden_layer_sizes=(32, 32),
        gaussian_term=False,
        learning_rate=5e-3,
        max_epochs=20,
        validation_fraction=0,
    )


@limit_threads
def _sums_of_scores(critic, X, Y, fold, device, n_permutations, rng) -> np.ndarray:
    """The statistic of a fold, for the true pairs and then for permuted ones."""
    train, test = fold[0], rng.permutation(fold[1])  # rows that share a block share nothing else
    covariance = _cross_covariance(*critic.tensors(X[train], Y[train], device))
    x, y = critic.tensors(X[test], Y[test], device)
    scores = np.stack(
        [
            _standardize(_sum_of_blocks(critic.matrix, x, y)),
            _standardize(_sum_of_blocks(covariance, x, y)),
        ]
    )
    rows = np.arange(scores.shape[1])
    pairings = [rows, *(rng.permutation(len(rows)) for _ in range(n_permutations))]
    return np.array([scores[:, rows, partners].sum(1).max() for partners in pairings])


def _cross_covariance(x: Tensor, y: Tensor):
    """The linear critic ``x' C y``, as a function that scores all pairs."""
    x, y = x.flatten(1), y.flatten(1)
    covariance = (x - x.mean(0)).T @ (y - y.mean(0)) / len(x)
    return lambda x, y: x.flatten(1) @ covariance @ y.flatten(1).T


def _sum_of_blocks(score_pairs, x: Tensor, y: Tensor) -> np.ndarray:
    """Cut the rows into blocks of b and add up their score matrices, shape (b, b)."""
    n_rows = len(x)
    n_blocks = n_rows // min(n_rows, max(MIN_BLOCK, MAX_PAIRS // n_rows))
    size = n_rows // n_blocks
    blocks = (rows[: n_blocks * size].split(size) for rows in (x, y))
    return sum(score_pairs(*block).cpu().double() for block in zip(*blocks, strict=True)).numpy()


def _standardize(scores_BB: np.ndarray) -> np.ndarray:
    r"""Scores whose sums over random permutations have mean 0 and variance 1.

    With rows and columns centred, :math:`\sum_i S_{i, \sigma(i)}` has variance
    :math:`\|S\|_F^2 / (b - 1)`. Scores without an interaction of x and y become zeros.
    """
    interaction = scores_BB - scores_BB.mean(0) - scores_BB.mean(1)[:, None] + scores_BB.mean()
    norm = np.linalg.norm(interaction)
    if norm <= FLOAT32_NOISE * np.linalg.norm(scores_BB):
        return np.zeros_like(scores_BB)
    return interaction * (np.sqrt(len(scores_BB) - 1) / norm)
