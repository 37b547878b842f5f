"""Pairs of X and y as scikit-learn's users pass them: checked, remembered, encoded."""

from contextlib import contextmanager
from numbers import Real

import numpy as np
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import check_array
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import validate_data

from skmi.exceptions import warn

FLOATS = [np.float64, np.float32]


class PairDataMixin:
    """Validation of X and y for estimators with a parameter ``target_type``.

    Sets ``n_features_in_``, ``feature_names_in_``, ``x_shape_``, ``y_shape_``,
    ``target_type_`` and, for labels, ``target_encoder_``.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.three_d_array = True
        return tags

    def _validate(self, X, y, *, reset: bool):
        """X as a float array, and y as a float array of columns (one-hot for labels)."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        with _explain_text("X", "Encode them, with sklearn.preprocessing.OneHotEncoder say."):
            X = validate_data(
                self,
                X,
                dtype=FLOATS,
                allow_nd=True,
                ensure_min_samples=2 if reset else 1,
                reset=reset,
            )
        Y = self._encode_target(y, reset=reset)
        if len(X) != len(Y):
            raise ValueError(
                "X and y must have the same number of rows (one pair a row), got "
                f"{len(X)} and {len(Y)}."
            )
        if reset:
            self.x_shape_, self.y_shape_ = X.shape[1:], Y.shape[1:]
        self._check_trailing_shape("X", X, self.x_shape_)
        self._check_trailing_shape("y", Y, self.y_shape_)
        return X, Y

    def _validate_X(self, X):
        """X alone, for a fitted estimator."""
        X = validate_data(self, X, dtype=FLOATS, allow_nd=True, reset=False)
        self._check_trailing_shape("X", X, self.x_shape_)
        return X

    def _check_trailing_shape(self, name, values, expected):
        if values.shape[1:] != tuple(expected):
            raise ValueError(
                f"{name} has rows of shape {values.shape[1:]}, but {type(self).__name__} was "
                f"fitted with rows of shape {tuple(expected)}."
            )

    def _encode_target(self, y, *, reset: bool):
        y = check_array(y, dtype=None, ensure_2d=False, allow_nd=True, input_name="y")
        if y.ndim == 2 and y.shape[1] == 1:
            y = y.ravel()
        if y.dtype == object and all(isinstance(value, Real) for value in y.flat):
            y = y.astype(np.float64)
        if reset:
            self.target_type_ = self._infer_target_type(y)
            if self.target_type_ == "labels":
                if len(np.unique(self._label_column(y))) > len(y) / 2:
                    warn(
                        "y is read as labels, but most of them occur once: nothing can be learned "
                        "about those. Use target_type='continuous' if y is a measurement.",
                        UserWarning,
                    )
                encoder = OneHotEncoder(sparse_output=False, dtype=np.float32)
                self.target_encoder_ = encoder.fit(self._label_column(y))
        if self.target_type_ == "labels":
            unseen = np.setdiff1d(y, self.target_encoder_.categories_[0])
            if len(unseen):
                raise ValueError(
                    f"y has labels that fit did not see: {unseen[:5].tolist()}. Fit on data with "
                    "all labels."
                )
            return self.target_encoder_.transform(self._label_column(y))
        with _explain_text("y", "Labels must be a single column; encode other columns."):
            Y = check_array(y, dtype=FLOATS, ensure_2d=False, allow_nd=True, input_name="y")
        return Y.reshape(-1, 1) if Y.ndim == 1 else Y

    def _label_column(self, y):
        if y.ndim != 1:
            raise ValueError(
                f"y must be one column to be read as labels, got shape {y.shape}. Use "
                "target_type='continuous' for several columns of numbers."
            )
        if y.dtype == object and any(value is None for value in y):
            raise ValueError("y contains None. Drop the rows without a label.")
        return y.reshape(-1, 1)

    def _infer_target_type(self, y) -> str:
        if self.target_type != "auto":
            return self.target_type
        if y.ndim == 1 and y.dtype.kind in "OUSb":
            return "labels"
        if type_of_target(y) not in ("binary", "multiclass"):
            return "continuous"
        n_values, n_rows = len(np.unique(y)), len(y)
        few = n_values <= max(2, n_rows // 20) or (n_values <= 20 and n_values <= n_rows // 2)
        return "labels" if few else "continuous"


@contextmanager
def _explain_text(name: str, remedy: str):
    """Say which argument holds text where numpy's error only quotes the text."""
    try:
        yield
    except ValueError as error:
        if "could not convert" not in str(error):
            raise
        raise ValueError(f"{name} has values that are not numbers ({error}). {remedy}") from error
