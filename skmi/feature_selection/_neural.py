"""Mutual information of every feature with the target, from one batched network."""

from numbers import Integral

import numpy as np
import torch
from scipy.stats import norm
from sklearn.cluster import MiniBatchKMeans
from sklearn.utils import check_array, check_random_state, gen_batches
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import threadpool_limits

from skmi._columns import VariableEncoder, _is_missing, _names
from skmi.base import infer_device
from skmi.exceptions import warn
from skmi.feature_selection._batched import Levels, fit_tables
from skmi.preprocessing import NormalScores

__all__ = ["mutual_info_neural", "mutual_info_neural_test"]

#: Features whose tables are in memory at once.
CHUNK_FEATURES = 64
#: Part of the training rows of a fold that tells when to stop.
STOP_FRACTION = 0.2
N_FOLDS = 2

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
        those of categorical, string or boolean dtype.
    discrete_target : "auto" or bool, default="auto"
        Whether y holds labels. ``"auto"``: if it is no table of numbers, or whole numbers with
        few distinct values.
    n_levels : int, default=56
        Largest number of levels of a column. The logarithm of it bounds what can be found.
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
    columns = _Columns(X, discrete_features)
    target = target_levels(y, discrete_target, n_levels, seed)
    if len(target.codes) != columns.n_rows:
        raise ValueError(
            f"X and y must have the same number of rows, got {columns.n_rows} and "
            f"{len(target.codes)}."
        )
    if columns.n_rows < 8:
        raise ValueError(f"n_samples={columns.n_rows} is too few: it takes at least 8 rows.")
    if target.n_levels < 2:
        warn("y is constant: no feature carries information about it (0 nats).", UserWarning)
    parts = draw_parts(columns.n_rows, seed)
    device = infer_device(device)
    chunks = Parallel(n_jobs=n_jobs)(
        delayed(_score_chunk)(columns, rows, target, parts, n_levels, device, seed)
        for rows in gen_batches(columns.n_features, CHUNK_FEATURES)
    )
    return tuple(np.concatenate(values) for values in zip(*chunks, strict=True))


# ------------------------------------------------------------------------------ columns


class _Columns:
    """The columns of X, read when they are asked for."""

    def __init__(self, X, discrete_features):
        plain = isinstance(X, np.ndarray) and X.dtype.kind in "fiu" and X.ndim == 2
        if plain and (isinstance(discrete_features, str) or discrete_features is False):
            self.table, self.discrete = X, np.zeros(X.shape[1], dtype=bool)
        else:
            encoder = VariableEncoder("X", discrete_features)
            table = encoder._as_table(X)
            if table.ndim != 2:
                raise ValueError(f"X must have one feature a column, got shape {table.shape}.")
            encoder._check_dates(table)
            encoder.names_ = _names(table)
            self.table, self.discrete = table, encoder._find_discrete(table)
        self.n_rows, self.n_features = self.table.shape

    def name(self, j):
        return self.table.columns[j] if hasattr(self.table, "columns") else j

    def levels(self, j, n_levels) -> Levels:
        """Column j, cut into levels."""
        column = self.table.iloc[:, j] if hasattr(self.table, "iloc") else self.table[:, j]
        values = np.asarray(column)
        return column_levels(f"Column {self.name(j)!r} of X", values, self.discrete[j], n_levels)


def column_levels(name: str, values, discrete: bool, n_levels: int) -> Levels:
    """A checked column, cut into levels."""
    if discrete:
        labels = values.astype(object)
        if any(map(_is_missing, set(labels))):
            raise ValueError(f"{name} contains missing values. Drop these rows, or fill them.")
        return Levels.of_categories(labels.astype(str), n_levels)
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} has values that are not numbers ({error}). Name it in discrete_features."
        ) from error
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} contains NaN or infinity. Drop these rows, or impute them.")
    return Levels.of_numbers(numbers, n_levels)


def target_levels(y, discrete_target, n_levels: int, seed: int) -> Levels:
    """The target, cut into levels; several columns of numbers into clusters."""
    codes = isinstance(discrete_target, str)
    encoder = VariableEncoder("y", discrete_target, codes=codes)
    encoded = encoder.fit_transform(y)
    encoded = encoded.reshape(len(encoded), -1)
    if encoder.discrete_.all() and len(encoder.discrete_) == 1:
        one_hot = encoded if encoded.shape[1] > 1 else np.hstack([1 - encoded, encoded])
        return Levels.of_categories(one_hot.argmax(1), max(n_levels, one_hot.shape[1]))
    if encoded.shape[1] == 1:
        return Levels.of_numbers(encoded[:, 0].astype(np.float64), n_levels)
    numbers = NormalScores().fit_transform(check_array(encoded, dtype=np.float64))
    clusters = MiniBatchKMeans(min(n_levels, len(numbers)), n_init=3, random_state=seed)
    codes = clusters.fit_predict(numbers)
    return Levels(codes, clusters.cluster_centers_.astype(np.float32), categorical=True)


# ------------------------------------------------------------------------------- scoring


def draw_parts(n_rows: int, seed: int) -> list:
    """For each fold the rows to fit, those that tell when to stop, and those held out."""
    order = np.random.default_rng(seed).permutation(n_rows)
    folds = np.array_split(order, N_FOLDS)
    parts = []
    for k, test in enumerate(folds):
        train = np.concatenate([fold for i, fold in enumerate(folds) if i != k])
        n_stop = max(1, round(STOP_FRACTION * len(train)))
        parts.append((train[n_stop:], train[:n_stop], test))
    return parts


def _tables(levels, target, parts, n_levels) -> np.ndarray:
    """Joint probabilities, shape (features, folds, 3, x levels, y levels)."""
    tables = np.empty((len(levels), N_FOLDS, 3, n_levels, target.n_levels), dtype=np.float32)
    for table, column in zip(tables, levels, strict=True):
        cells = column.codes * target.n_levels + target.codes
        for k, rows in enumerate(parts):
            for part, indices in zip(table[k], rows, strict=True):
                counts = np.bincount(cells[indices], minlength=n_levels * target.n_levels)
                part[:] = counts.reshape(n_levels, -1) / len(indices)
    return tables


def _score_chunk(columns, rows, target, parts, n_levels, device, seed):
    """Scores and p-values of the features in a slice."""
    with threadpool_limits(1, user_api="openmp"):
        levels = [columns.levels(j, n_levels) for j in range(rows.start, rows.stop)]
        n_x = max(column.n_levels for column in levels)
        tables = _tables(levels, target, parts, n_x)
        scores = np.zeros((len(levels), n_x, 1), dtype=np.float32)
        for score, column in zip(scores, levels, strict=True):
            score[: column.n_levels] = column.scores
        free = np.array([column.categorical for column in levels])

        def models(values):  # every feature has a model for each fold
            return torch.as_tensor(values, device=device).repeat_interleave(N_FOLDS, dim=0)

        n_models = len(levels) * N_FOLDS
        y_scores = torch.as_tensor(target.scores, device=device).expand(n_models, -1, -1)
        y_free = torch.full((n_models,), target.categorical, device=device)
        fit, stop, test = torch.as_tensor(tables, device=device).flatten(0, 1).unbind(1)
        ratios = fit_tables(
            (models(scores), models(free)), (y_scores, y_free), fit, stop, seed=seed
        )
        held_out, train = (
            _value(ratios, part)
            for part in (test, (1 - STOP_FRACTION) * fit + STOP_FRACTION * stop)
        )
        value = ((held_out + train) / 2).view(-1, N_FOLDS).mean(1)
        pvalues = _pvalues(ratios, test, len(parts[0][2])).view(-1, N_FOLDS)
        pvalues = (N_FOLDS * pvalues.amin(1)).clamp(max=1)
        return value.clamp(min=0).double().cpu().numpy(), pvalues.double().cpu().numpy()


def _value(ratios, joint):
    """The eta-DV bound of tables at their log ratios."""
    product = joint.sum(2, keepdim=True) * joint.sum(1, keepdim=True)
    return (joint * ratios).sum((1, 2)) - (product * ratios.expm1()).sum((1, 2))


def _pvalues(ratios, joint, n_rows: int):
    """How likely a sum of scores is over random pairings of the same rows, by its moments."""
    p, q = joint.sum(2, keepdim=True), joint.sum(1, keepdim=True)
    row_mean = (q * ratios).sum(2, keepdim=True)
    column_mean = (p * ratios).sum(1, keepdim=True)
    mean = (p * row_mean).sum((1, 2), keepdim=True)
    centred = ratios - row_mean - column_mean + mean
    variance = (p * q * centred.square()).sum((1, 2)) * n_rows**2 / (n_rows - 1)
    statistic = n_rows * ((joint - p * q) * ratios).sum((1, 2))
    z = torch.where(variance > 1e-12, statistic / variance.clamp(min=1e-12).sqrt(), -torch.inf)
    return torch.as_tensor(norm.sf(z.double().cpu().numpy()))
