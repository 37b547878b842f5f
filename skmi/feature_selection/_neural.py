"""Mutual information of every feature with the target, from one batched network."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.parallel import Parallel, delayed

from skmi.base import infer_device
from skmi.information._levels import ColumnReader, TargetReader
from skmi.information._tables import TableCritics

__all__ = ["mutual_info_neural", "mutual_info_neural_test"]

#: Features that are read and scored at once.
CHUNK_FEATURES = 64

_parameters = {
    "discrete_features": [StrOptions({"auto"}), "boolean", "array-like"],
    "discrete_target": [StrOptions({"auto"}), "boolean"],
    "n_levels": [Interval(Integral, 2, None, closed="left")],
    "n_jobs": [None, Integral],
    "device": [str],
    "random_state": ["random_state"],
}


@validate_params(_parameters, prefer_skip_nested_validation=True)
def mutual_info_neural(
    X,
    y,
    *,
    discrete_features="auto",
    discrete_target="auto",
    n_levels=56,
    n_jobs=None,
    device="auto",
    random_state=None,
):
    """Mutual information of each feature with the target, in nats.

    A score function for `sklearn.feature_selection.SelectKBest` and its kin. Each column is cut
    into levels, its categories or quantile bins, and the critics of all features are trained
    together on the tables of counts, cross-fitted in two folds. So the time hardly depends on
    the number of rows.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Numbers and categories, one feature a column. A `numpy.memmap` is read in chunks.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Numbers or labels. Several columns of numbers are cut into clusters.
    discrete_features : "auto", bool or array-like, default="auto"
        Columns of X that hold categories: all or none, a mask, indices, or names. ``"auto"``:
        those of categorical, string or boolean dtype. Anything else replaces this rule.
    discrete_target : "auto" or bool, default="auto"
        Whether y holds labels. ``"auto"``: if it is no table of numbers, or whole numbers with
        few distinct values, `n_levels` at most.
    n_levels : int, default=56
        Largest number of levels of a column; of numbers not more than the square root of the
        number of rows. Scores hardly exceed half the logarithm of it, 2 nats.
    n_jobs : int or None, default=None
        Chunks of features at once, through joblib.
    device : str, default="auto"
        Torch device.
    random_state : int, RandomState or None, default=None
        Seed of folds and weights.

    Returns
    -------
    ndarray of shape (n_features,)
        Not negative; 0 for a feature in which nothing is found, and for a constant one.

    Raises
    ------
    ValueError, TypeError
        For data that cannot be used; the message names the column.

    Warns
    -----
    UserWarning
        If y is constant, or a column has more categories than `n_levels`.

    See Also
    --------
    mutual_info_neural_test : With p-values.
    skmi.mutual_info : One estimate with an interval, for variables of many columns.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.feature_selection import SelectKBest
    >>> from skmi.feature_selection import mutual_info_neural
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> selector = SelectKBest(lambda X, y: mutual_info_neural(X, y, random_state=0), k=3)
    >>> "flavanoids" in selector.fit(X, y).get_feature_names_out()
    True
    """
    return _score(X, y, discrete_features, discrete_target, n_levels, n_jobs, device, random_state)[
        0
    ]


@validate_params(_parameters, prefer_skip_nested_validation=True)
def mutual_info_neural_test(
    X,
    y,
    *,
    discrete_features="auto",
    discrete_target="auto",
    n_levels=56,
    n_jobs=None,
    device="auto",
    random_state=None,
):
    """Mutual information of each feature with the target, and p-values of independence.

    The critics of `mutual_info_neural` are tested on the rows that they have not seen: the sum
    of their scores is compared with its mean and variance over all permutations of y, which are
    known exactly, by a normal approximation.

    Parameters
    ----------
    X, y, discrete_features, discrete_target, n_levels, n_jobs, device, random_state
        As in `mutual_info_neural`.

    Returns
    -------
    scores : ndarray of shape (n_features,)
        In nats.
    pvalues : ndarray of shape (n_features,)
        The smaller of the two folds', doubled; 1 where nothing was learned.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.feature_selection import SelectFdr
    >>> from skmi.feature_selection import mutual_info_neural_test
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> selector = SelectFdr(lambda X, y: mutual_info_neural_test(X, y, random_state=0))
    >>> bool(selector.fit(X, y).get_support().sum() > 20)
    True
    """
    return _score(X, y, discrete_features, discrete_target, n_levels, n_jobs, device, random_state)


def _score(X, y, discrete_features, discrete_target, n_levels, n_jobs, device, random_state):
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    columns = ColumnReader(X, discrete_features)
    options = {"n_rows": columns.n_rows, "n_levels": n_levels, "seed": seed}
    target = TargetReader(y, discrete_target, **options).levels(n_levels)
    critics = TableCritics(columns.n_rows, device=infer_device(device), seed=seed)
    return score_columns(critics, columns, target, n_levels, n_jobs=n_jobs)


def score_columns(critics, columns, target, n_levels, *, n_jobs) -> tuple[np.ndarray, np.ndarray]:
    """Scores and p-values of all columns, which are read in chunks."""
    chunks = Parallel(n_jobs=n_jobs)(
        delayed(_score_chunk)(critics, columns.part(features), target, n_levels)
        for features in gen_batches(columns.n_columns, CHUNK_FEATURES)
    )
    return tuple(np.concatenate(values) for values in zip(*chunks, strict=True))


def _score_chunk(critics, columns, target, n_levels):
    levels = columns.all_levels(n_levels)
    return critics.information(levels, [target] * len(levels))
