"""Columns cut into a few levels, so that two of them are a table of counts.

A level is a category or a quantile bin of numbers. Cutting loses a little information and adds
none (data processing).
"""

from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri
from sklearn.cluster import MiniBatchKMeans
from sklearn.utils import check_array

from skmi._columns import VariableEncoder, _is_missing, _names
from skmi.exceptions import warn
from skmi.preprocessing import NormalScores

__all__ = ["ColumnReader", "Levels", "TargetReader"]

#: Rows below which estimates are far too low.
FEWEST_ROWS = 100
#: Normal score of the outermost edges of bins.
REACH = 2.75
#: Share of a level's own embedding: of categories, and where levels have an order.
OWN_OF_CATEGORIES, OWN_OF_BINS = 1.0, 0.1


@dataclass(frozen=True)
class Levels:
    """A column, or several, cut into levels.

    Attributes
    ----------
    codes : ndarray of int of shape (n_samples,)
        The level of each row.
    inputs : ndarray of shape (n_levels, n_inputs)
        What a network sees of a level: the normal score of its middle rank, or, of several
        columns, where it lies.
    own : float
        How much of an embedding of its own a level has.
    wide : ndarray of bool of shape (n_levels,)
        Which levels hold several distinct values, and so lose something.
    known : ndarray of shape (n_folds, n_levels, n_target_levels) or None
        Log ratios of the target known beforehand, to which a critic adds.
    """

    codes: np.ndarray
    inputs: np.ndarray
    own: float
    wide: np.ndarray
    known: np.ndarray | None = None

    @classmethod
    def of_numbers(cls, values: np.ndarray, n_levels: int) -> "Levels":
        """The distinct values, or bins of equal width on the scale of normal scores."""
        ordered = np.sort(values)
        distinct = ordered[np.r_[True, ordered[1:] != ordered[:-1]]]
        edges = distinct[1:]
        if len(distinct) > n_levels:
            quantiles = ndtr(np.linspace(-REACH, REACH, n_levels - 1))
            edges = np.unique(np.quantile(ordered, quantiles, method="higher"))
        codes = np.searchsorted(edges, values, side="right")
        stops = np.searchsorted(ordered, edges, side="left")
        starts, stops = np.r_[0, stops], np.r_[stops, len(ordered)]
        first = ordered[np.minimum(starts, len(ordered) - 1)]
        wide = (stops > starts) & (first != ordered[stops - 1])
        return cls._ordered(codes, wide, OWN_OF_BINS)

    @classmethod
    def of_categories(cls, codes: np.ndarray, n_levels: int) -> "Levels":
        """Categories, by their number in order; the rarest share the last level."""
        counts = np.bincount(codes)
        if len(counts) > n_levels:
            rank = np.empty(len(counts), dtype=int)
            rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
            codes = np.minimum(rank, n_levels - 1)[codes]
        n_levels = min(len(counts), n_levels)
        return cls._ordered(codes, np.zeros(n_levels, dtype=bool), OWN_OF_CATEGORIES)

    @classmethod
    def of_clusters(cls, values: np.ndarray, n_levels: int, seed: int) -> "Levels":
        """Clusters of rows of several numbers."""
        numbers = NormalScores().fit_transform(check_array(values, dtype=np.float64))
        clusters = MiniBatchKMeans(min(n_levels, len(numbers)), n_init=3, random_state=seed)
        codes = clusters.fit_predict(numbers)
        centers = clusters.cluster_centers_.astype(np.float32)
        return cls(codes, centers, OWN_OF_CATEGORIES, np.zeros(len(centers), dtype=bool))

    @classmethod
    def of_nothing(cls, n_samples: int, n_folds: int, n_target_levels: int) -> "Levels":
        """One level for all rows, where `beside` starts."""
        known = np.zeros((n_folds, 1, n_target_levels), dtype=np.float32)
        nowhere = np.zeros((1, 0), dtype=np.float32)
        return cls(np.zeros(n_samples, dtype=np.int64), nowhere, 0.0, np.zeros(1, bool), known)

    @classmethod
    def _ordered(cls, codes, wide, own) -> "Levels":
        shares = np.bincount(codes, minlength=len(wide)) / len(codes)
        middle = np.cumsum(shares) - shares / 2
        inputs = ndtri(middle.clip(1e-6, 1 - 1e-6)).astype(np.float32)[:, None]
        return cls(codes.astype(np.min_scalar_type(len(wide))), inputs, own, wide)

    @property
    def n_levels(self) -> int:
        return len(self.inputs)

    def beside(self, *columns: "Levels") -> "Levels":
        """The tuples of levels of these columns and others that occur, as levels."""
        levels = self
        for column in columns:
            pairs = levels.codes.astype(np.int64) * column.n_levels + column.codes
            occurring, codes = np.unique(pairs, return_inverse=True)
            old, new = np.divmod(occurring, column.n_levels)
            several = column.own == OWN_OF_CATEGORIES and column.n_levels > 2
            seen = np.eye(column.n_levels, dtype=np.float32) if several else column.inputs
            inputs = np.hstack([levels.inputs[old], seen[new]])
            known = None if levels.known is None else levels.known[:, old]
            levels = Levels(codes, inputs, 0.0, np.zeros(len(occurring), dtype=bool), known)
        return levels

    def knowing(self, log_ratios: np.ndarray) -> "Levels":
        """The same levels, with log ratios of the target that are known."""
        return replace(self, known=log_ratios)

    def groups(self, n_groups: int) -> np.ndarray:
        """Up to `n_groups` groups of adjacent levels with about equally many rows."""
        shares = np.bincount(self.codes, minlength=self.n_levels) / len(self.codes)
        middle = np.cumsum(shares) - shares / 2
        groups = np.minimum((middle * n_groups).astype(int), n_groups - 1)
        return np.unique(groups, return_inverse=True)[1]

    def halves(self) -> np.ndarray:
        """Groups of two adjacent levels, where both hold several distinct values."""
        groups, taken = np.empty(self.n_levels, dtype=int), False
        for level, wide in enumerate(self.wide):
            taken = level > 0 and not taken and bool(wide and self.wide[level - 1])
            groups[level] = 0 if level == 0 else groups[level - 1] + (not taken)
        return groups


def n_levels_for(n_samples: int, n_levels: int) -> int:
    """Fewer levels of numbers where there are few rows."""
    return int(min(n_levels, max(4, round(n_samples**0.5))))


def number_categories(values: np.ndarray, name: str) -> np.ndarray:
    """The number of each value among the distinct ones in order."""
    if values.dtype.kind in "biufUS":
        return np.unique(values, return_inverse=True)[1].ravel()
    try:
        distinct = set(values)
    except TypeError as error:
        raise TypeError(
            f"{name} has values that cannot be categories ({error}). Use strings or numbers."
        ) from error
    if any(map(_is_missing, distinct)):
        raise ValueError(f"{name} contains missing values. Drop these rows, or fill them.")
    try:
        ordered = sorted(distinct)
    except TypeError:  # of several types
        ordered = sorted(distinct, key=lambda value: (type(value).__name__, str(value)))
    number = {value: i for i, value in enumerate(ordered)}
    return np.fromiter((number[value] for value in values), dtype=np.int64, count=len(values))


def warn_of_grouping(name: str, n_categories: int, n_levels: int) -> None:
    if n_categories > n_levels:
        warn(
            f"{name} has {n_categories} categories: the {n_categories - n_levels + 1} rarest are "
            "taken together, and what tells them apart is not counted. Group them by meaning, "
            "or encode them as numbers if they have an order.",
            UserWarning,
        )


class ColumnReader:
    """The columns of X, read and checked when they are asked for.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_columns)
    discrete_features : "auto", bool or array-like
    name : str
        What messages call X.
    """

    def __init__(self, X, discrete_features, name="X"):
        self.name = name
        plain = isinstance(X, np.ndarray) and X.dtype.kind in "fiu" and X.ndim == 2
        if plain and (isinstance(discrete_features, str) or discrete_features is False):
            self.table, self.discrete = X, np.zeros(X.shape[1], dtype=bool)
        else:
            encoder = VariableEncoder(name, discrete_features)
            table = encoder._as_table(X)
            if table.ndim != 2:
                raise ValueError(f"{name} must have one feature a column, got {table.shape}.")
            encoder._check_dates(table)
            encoder.names_ = _names(table)
            self.table, self.discrete = table, encoder._find_discrete(table)
        self.n_rows, self.n_columns = self.table.shape
        self.labels = _names(self.table) or list(range(self.n_columns))
        if self.n_rows < 8:
            raise ValueError(f"n_samples={self.n_rows} is too few: it takes at least 8 rows.")
        if self.n_rows < FEWEST_ROWS:
            warn(
                f"n_samples={self.n_rows}: with fewer than {FEWEST_ROWS} rows the estimates are "
                "far too low, and strong relations may rank below weaker ones. Use more rows.",
                UserWarning,
            )

    def part(self, columns: slice) -> "ColumnReader":
        """A reader of some columns; an array in a file stays there."""
        part = copy(self)
        frame = hasattr(self.table, "iloc")
        part.table = self.table.iloc[:, columns] if frame else self.table[:, columns]
        part.discrete, part.labels = self.discrete[columns], self.labels[columns]
        part.n_columns = len(part.labels)
        return part

    def all_levels(self, n_levels: int, rows=slice(None), *, tell: bool = True) -> list[Levels]:
        """All columns, cut into levels; `tell` whether categories are grouped."""
        frame = hasattr(self.table, "iloc")
        # an array in one go: column by column every page of a file would be read many times
        table = self.table.iloc[rows] if frame else np.array(self.table[rows], order="F")
        columns = (table.iloc[:, j] if frame else table[:, j] for j in range(self.n_columns))
        return [
            self._levels(j, np.asarray(column), n_levels, tell) for j, column in enumerate(columns)
        ]

    def _levels(self, j, values, n_levels, tell) -> Levels:
        name = f"Column {self.labels[j]!r} of {self.name}"
        if self.discrete[j]:
            codes = number_categories(values, name)
            if tell:
                warn_of_grouping(name, codes.max() + 1, n_levels)
            return Levels.of_categories(codes, n_levels)
        try:
            numbers = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{name} has values that are not numbers ({error}). Name it in discrete_features."
            ) from error
        if not np.isfinite(numbers).all():
            raise ValueError(f"{name} contains NaN or infinity. Drop these rows, or impute them.")
        return Levels.of_numbers(numbers, n_levels_for(len(numbers), n_levels))


class TargetReader:
    """The target of features.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    discrete_target : "auto" or bool
        ``"auto"`` takes whole numbers with up to `n_levels` values for labels.
    n_rows : int
        Rows of X.
    n_levels : int
    seed : int
        Of clusters of several columns.
    """

    def __init__(self, y, discrete_target, *, n_rows: int, n_levels: int, seed: int):
        auto = isinstance(discrete_target, str)
        encoder = VariableEncoder("y", discrete_target, codes=auto)
        values = encoder.fit_transform(y)
        labels = len(encoder.discrete_) == 1 and encoder.discrete_.all()
        if auto and labels and values.shape[1] > n_levels and np.asarray(y).dtype.kind in "biuf":
            labels, values = False, np.asarray(y, dtype=np.float64)
        if len(values) != n_rows:
            raise ValueError(
                f"X and y must have the same number of rows, got {n_rows} and {len(values)}."
            )
        self.values, self.labels, self.seed = values.reshape(n_rows, -1), labels, seed
        self.n_label_levels = n_levels
        if labels:
            one_hot = self.values.shape[1] > 1
            self.values = self.values.argmax(1) if one_hot else (self.values[:, 0] > 0).astype(int)
            warn_of_grouping("y", self.values.max() + 1, n_levels)

    def levels(self, n_levels: int, rows=slice(None)) -> Levels:
        """The target, cut into levels; several columns of numbers into clusters."""
        values = self.values[rows]
        if self.labels:
            return Levels.of_categories(values, self.n_label_levels)
        n_levels = n_levels_for(len(values), n_levels)
        if values.shape[1] == 1:
            return Levels.of_numbers(values[:, 0].astype(np.float64), n_levels)
        return Levels.of_clusters(values, n_levels, self.seed)
