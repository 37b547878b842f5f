"""Columns of numbers and of categories, as users pass them, encoded for a network."""

from contextlib import contextmanager
from numbers import Number

import numpy as np
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import _safe_indexing, check_array

from skmi.exceptions import warn

#: Rows times categories of a variable beyond which rare categories are grouped: 1 GB of float32.
INDICATOR_CELLS = 2**28


class VariableEncoder:
    """Encode a variable (X, y or Z) as a float array: its numbers, then its categories.

    Each category becomes a column of zeros and ones; a pair of categories makes one such column.
    The encoding is one-to-one, so that mutual information does not depend on it, unless there
    are so many categories that the rare ones are grouped.

    Parameters
    ----------
    name : str
        What messages call the variable.
    discrete : "auto", bool or array-like
        The columns that hold categories: all or none, a mask, indices, or names. ``"auto"``:
        those of categorical, string or boolean dtype, and of objects that are not numbers.
    codes : bool
        Whether ``"auto"`` also takes a lone column of few whole numbers for categories, as
        classifiers do.

    Attributes
    ----------
    discrete_ : ndarray of bool of shape (n_columns,)
        Which columns hold categories.
    n_numbers_ : int
        How many of the encoded columns hold numbers; they come first.
    one_hot_ : OneHotEncoder or None
        The encoder of the categories.
    shape_, names_ : tuple of int; list or None
        Shape of the rows and names of the columns that were fitted.
    """

    def __init__(self, name: str, discrete="auto", *, codes: bool = False):
        self.name, self.discrete, self.codes = name, discrete, codes

    def fit_transform(self, values) -> np.ndarray:
        """Find the categories and encode the values.

        Raises
        ------
        ValueError, TypeError
            For values that are missing, or neither numbers nor categories.

        Warns
        -----
        UserWarning
            If nothing varies, if most categories of a column occur once, or if rare categories
            are grouped.
        """
        table = self._as_table(values)
        self._check_dates(table)
        self.shape_, self.names_, self.one_hot_ = table.shape[1:], _names(table), None
        self.discrete_ = self._find_discrete(table)
        numbers, labels = self._split(table)
        if self.codes and numbers.shape[1:] == self.shape_ == (1,) and _are_codes(numbers[:, 0]):
            self.discrete_[0] = True
            numbers, labels = self._split(table)
        self.n_numbers_ = numbers[0].size
        if labels.size:
            self.one_hot_ = self._fit_one_hot(labels)
        encoded = self._join(numbers, labels)
        if len(encoded) > 1 and all(np.array_equal(row, encoded[0]) for row in encoded):
            warn(f"{self.name} is constant: it carries no information (0 nats).", UserWarning)
        return encoded

    def transform(self, values) -> np.ndarray:
        """Encode more values of the same variable.

        Raises
        ------
        ValueError, TypeError
            Also for other columns, and for categories that were not fitted.
        """
        table = self._as_table(values)
        if table.shape[1:] != tuple(self.shape_):
            raise ValueError(
                f"{self.name} has rows of shape {table.shape[1:]}, but rows of shape "
                f"{tuple(self.shape_)} were fitted."
            )
        names = _names(table)
        if names and self.names_ and len(names) > 1 and names != self.names_:
            raise ValueError(f"{self.name} has columns {names}, but {self.names_} were fitted.")
        return self._join(*self._split(table))

    # ------------------------------------------------------------ reading

    def _as_table(self, values):
        """A DataFrame as it is, anything else as an array of at least two dimensions."""
        if hasattr(values, "iloc") and 0 not in values.shape:
            return values if values.ndim == 2 else values.to_frame()
        options = {"ensure_2d": False, "allow_nd": True, "ensure_all_finite": False}
        array = check_array(values, dtype=None, input_name=self.name, **options)
        if array.dtype.kind in "US" and not hasattr(values, "dtype"):
            array = np.asarray(values, dtype=object)  # a list, in which numbers became text
        return array.reshape(-1, 1) if array.ndim == 1 else array

    def _check_dates(self, table):
        columns = _columns(table) if table.ndim == 2 else [table]
        for j, column in enumerate(columns):
            if getattr(column.dtype, "kind", "") in "mM":
                name = (_names(table) or range(j + 1))[j]
                raise TypeError(
                    f"Column {name!r} of {self.name} holds dates or durations. Turn them into "
                    "numbers, such as days since a start or the hour of the day."
                )

    def _find_discrete(self, table) -> np.ndarray:
        discrete = np.zeros(table.shape[1], dtype=bool)
        if isinstance(self.discrete, str):
            if table.ndim == 2:
                discrete[:] = [_holds_categories(column) for column in _columns(table)]
            return discrete
        wanted, names = np.asarray(self.discrete), self.names_ or []
        try:
            if wanted.dtype.kind in "OU":
                for name in wanted:
                    names.index(name)  # complains of a name that is not there
                wanted = np.isin(np.asarray(names, dtype=object), wanted)
            discrete[wanted if np.size(wanted) else []] = True
        except (IndexError, ValueError) as error:
            raise ValueError(
                f"discrete_features={self.discrete!r} does not fit {self.name} with "
                + (f"columns {names}." if names else f"{len(discrete)} columns without names.")
            ) from error
        if discrete.any() and table.ndim > 2:
            raise ValueError(
                f"{self.name} has rows of shape {table.shape[1:]}, which hold numbers only: "
                "categories must be columns of a table."
            )
        return discrete

    def _split(self, table) -> tuple[np.ndarray, np.ndarray]:
        """The numbers as a float array, and the categories as an array of objects."""
        numbers = np.empty((len(table), 0), dtype=np.float32)
        labels = np.empty((len(table), 0), dtype=object)
        if not self.discrete_.all():
            some = self.discrete_.any()
            numbers = _safe_indexing(table, ~self.discrete_, axis=1) if some else table
            with _explain_text(self.name):
                options = {"dtype": [np.float64, np.float32], "allow_nd": True}
                numbers = check_array(numbers, input_name=self.name, **options)
        if self.discrete_.any():
            columns = _columns(_safe_indexing(table, self.discrete_, axis=1))
            labels = np.column_stack([np.asarray(column, dtype=object) for column in columns])
            for j, column in enumerate(labels.T):
                self._check_labels(j, column)
        return numbers, labels

    def _check_labels(self, j, column):
        name = self.name
        if len(self.discrete_) > 1:
            names = self.names_ or range(len(self.discrete_))
            name = f"Column {names[np.flatnonzero(self.discrete_)[j]]!r} of {name}"
        try:
            found = set(column)
            if any(_is_missing(value) for value in found):
                raise ValueError(
                    f"{name} contains missing values. Drop these rows, or fill them with a "
                    "category of their own."
                )
            sorted(found)
        except TypeError as error:
            raise TypeError(
                f"{name} has values that cannot be categories ({error}). The values of a "
                "discrete argument must be all strings or all numbers."
            ) from error
        if self.one_hot_ is None:
            if len(found) > max(2, len(column) / 2):
                warn(
                    f"{name} is read as categories, but most of them occur once: nothing can be "
                    "learned about those. If it is a measurement, say so: with discrete_features "
                    "for X, target_type='continuous' (or discrete_target=False) for y, "
                    "z_type='continuous' for Z; numbers "
                    "that are stored as text must be converted.",
                    UserWarning,
                )
            return
        unseen = found.difference(self.one_hot_.categories_[j])
        if unseen:
            raise ValueError(
                f"{name} has categories that fit did not see: {sorted(unseen, key=str)[:5]}. "
                "Fit on data with all of them."
            )

    # ------------------------------------------------------------ encoding

    def _fit_one_hot(self, labels) -> OneHotEncoder:
        one_hot = OneHotEncoder(
            max_categories=max(2, INDICATOR_CELLS // labels.size),
            drop="if_binary",
            sparse_output=False,
            dtype=np.float32,
        ).fit(labels)
        n_grouped = sum(len(group) for group in one_hot.infrequent_categories_ if group is not None)
        if n_grouped:
            warn(
                f"{self.name} has more categories than fit into memory as columns: the "
                f"{n_grouped} rarest are grouped, and the information that tells them apart is "
                "not counted.",
                UserWarning,
            )
        return one_hot

    def _join(self, numbers, labels) -> np.ndarray:
        if self.one_hot_ is None:
            return numbers
        if self.n_numbers_ == 0:
            return self.one_hot_.transform(labels)
        return np.hstack([numbers, self.one_hot_.transform(labels)])


def _columns(table):
    """The columns of a DataFrame or an array, one by one."""
    return (
        table.iloc[:, j] if hasattr(table, "iloc") else table[:, j] for j in range(table.shape[1])
    )


def _names(table) -> list | None:
    return list(table.columns) if hasattr(table, "columns") else None


def _holds_categories(column) -> bool:
    """Whether a column holds categories, by its dtype; of objects, by what they are."""
    if column.dtype != object:
        return column.dtype.kind in "ObUS"  # O: a categorical or string dtype of pandas
    return not all(isinstance(v, Number) and not isinstance(v, bool | np.bool_) for v in column)


def _are_codes(values: np.ndarray) -> bool:
    """Whether numbers look like class labels: whole, and few for their number."""
    if (values != np.round(values)).any():
        return False
    n_values, n_rows = len(np.unique(values)), len(values)
    return n_values <= max(2, n_rows // 20) or (n_values <= 20 and n_values <= n_rows // 2)


def _is_missing(value) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value


@contextmanager
def _explain_text(name: str):
    """Say which argument holds text where numpy's error only quotes the text."""
    try:
        yield
    except ValueError as error:
        if not any(text in str(error) for text in ("could not convert", "Cannot cast")):
            raise
        raise ValueError(
            f"{name} has values that are not numbers ({error}). Have such columns read as "
            "categories, or encode them."
        ) from error
