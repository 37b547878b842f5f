"""Pairs of X and y as scikit-learn's users pass them: checked, remembered, encoded."""

import copy

import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skmi._columns import VariableEncoder
from skmi.exceptions import warn
from skmi.preprocessing import NormalScores

#: Which columns of y hold categories, for each ``target_type``.
DISCRETE_TARGETS = {"auto": "auto", "continuous": False, "labels": True}


class PairDataMixin:
    """Validation of X and y for estimators with ``discrete_features`` and ``target_type``.

    Sets ``n_features_in_``, ``feature_names_in_``, ``x_encoder_``, ``y_encoder_``,
    ``target_type_``, and the shapes of encoded rows, ``x_shape_`` and ``y_shape_``.
    """

    #: What `_validate` sets.
    fitted_names = (
        "n_features_in_",
        "feature_names_in_",
        "x_encoder_",
        "y_encoder_",
        "target_type_",
        "x_shape_",
        "y_shape_",
    )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.three_d_array = True
        return tags

    def _validate(self, X, y, *, reset: bool):
        """X and y as float arrays of columns: numbers, then indicators of categories."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        X = self._validate_X(X, reset=reset)
        discrete = DISCRETE_TARGETS[self.target_type]
        Y = self._encode("y", y, discrete, reset=reset, codes=self.target_type == "auto")
        if len(X) != len(Y):
            raise ValueError(
                "X and y must have the same number of rows (one pair a row), got "
                f"{len(X)} and {len(Y)}."
            )
        if reset:
            discrete = self.y_encoder_.discrete_
            kind = "mixed" if discrete.any() else "continuous"
            self.target_type_ = "labels" if discrete.all() else kind
        return X, Y

    def _validate_X(self, X, *, reset: bool = False):
        if np.ndim(X) == 1:
            check_array(X, dtype=None)  # scikit-learn's advice on one column or one row
        validate_data(self, X, skip_check_array=True, reset=reset)
        return self._encode("X", X, self.discrete_features, reset=reset)

    def _encode(self, name: str, values, discrete, *, reset: bool, codes: bool = False):
        """A variable as a float array, by the encoder that `reset` fits."""
        attribute = f"{name.lower()}_encoder_"
        if not reset:
            return getattr(self, attribute).transform(values)
        encoder = VariableEncoder(name, discrete, codes=codes)
        encoded = encoder.fit_transform(values)
        setattr(self, attribute, encoder)
        setattr(self, f"{name.lower()}_shape_", encoded.shape[1:])
        return encoded

    def _make_margins(self, values: np.ndarray, n_numbers: int):
        """The transform of the numbers, which are the first columns."""
        if self.margins is None or n_numbers == 0:
            return None
        if isinstance(self.margins, str):
            margins = NormalScores() if self.margins == "normal-scores" else StandardScaler()
        else:
            margins = copy.deepcopy(self.margins)
        return margins.fit(values.reshape(len(values), -1)[:, :n_numbers])


def as_columns(X):
    """A vector as a table of one column, anything else as it is."""
    if np.ndim(X) != 1:
        return X
    return X.to_frame() if hasattr(X, "to_frame") else np.asarray(X).reshape(-1, 1)


def warn_of_copies(folds, variables, encoders) -> None:
    """Warn if critics have seen, copy for copy, what their folds hold out.

    Copies are natural among categories, whole and rounded numbers. They tell of rows that were
    drawn twice, or measured once and stored twice, where some column of numbers has hardly a
    value in common between different rows, off any grid.
    """
    if not any(encoder.n_numbers_ for encoder in encoders):
        return
    keys = [hash(tuple(x.tobytes() for x in row)) for row in zip(*variables, strict=True)]
    distinct, rows = np.unique(keys, return_inverse=True)
    seen = (np.bincount(rows[train], minlength=len(distinct)) > 0 for train, _ in folds)
    share = max(s[np.unique(rows[test])].mean() for s, (_, test) in zip(seen, folds, strict=True))
    if share <= 0.05 or len(distinct) < len(rows) / 10:
        return
    numbers = (
        column
        for values, encoder in zip(variables, encoders, strict=True)
        for column in values.reshape(len(values), -1)[:, : encoder.n_numbers_].T
    )
    if any(_tells_rows_apart(column, len(distinct)) for column in numbers):
        warn(
            f"{share:.0%} of the rows of a fold are exact copies of rows that its critic was "
            "trained on, so the estimate may be too high. Drop the copies, or keep them in one "
            "fold: cv=list(GroupKFold(3).split(X, y, groups)) with a group for each of them.",
            UserWarning,
        )


def _tells_rows_apart(column, n_distinct: int) -> bool:
    """Whether nearly every distinct row has a value of its own, at irregular distances."""
    values = np.unique(column)
    if len(values) < 0.9 * n_distinct:
        return False
    gaps = np.diff(values)
    gaps = gaps / gaps.min()
    return np.mean(np.abs(gaps - np.round(gaps)) < 0.01) < 0.5
