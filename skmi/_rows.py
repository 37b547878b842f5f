"""Arrays as the measures of this package take them."""

import numpy as np
from sklearn.utils import check_array

__all__ = ["check_same_length", "find_image_shape", "read_rows"]


def read_rows(name: str, values, *, fewest: int = 1) -> np.ndarray:
    """A finite floating-point array of at least two dimensions and `fewest` rows.

    Small integers become float32, and float32 is kept.
    """
    array = check_array(
        values,
        dtype="numeric",
        allow_nd=True,
        ensure_2d=False,
        ensure_all_finite=False,
        input_name=name,
    )
    array = array.astype(np.result_type(array.dtype, np.float32), copy=False)
    if array.ndim < 2 or 0 in array.shape:
        raise ValueError(
            f"{name} must be rows of shape (n, d) or images of shape (n, c, h, w), got shape "
            f"{array.shape}."
            + (f" Use {name}.reshape(-1, 1) if it is one column." if array.ndim == 1 else "")
        )
    if len(array) < fewest:
        raise ValueError(
            f"{name} has {len(array)} rows; at least {fewest} are needed. Use more data."
        )
    with np.errstate(all="ignore"):
        total = array.sum(dtype=np.float64)
    if not np.isfinite(total):  # hardly ever: spares other arrays the mask
        bad = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
        if len(bad):
            raise ValueError(
                f"{name} has NaN or infinity in {len(bad)} of {len(array)} rows, first in row "
                f"{bad[0]}. Leave these rows out, or mend what made them."
            )
    return array


def check_same_length(**arrays) -> None:
    """Raise an error unless the two arrays, given by name, have equally many rows."""
    (a, first), (b, second) = arrays.items()
    if len(first) != len(second):
        raise ValueError(
            f"{a} and {b} must have the same number of rows, one pair a row, got {len(first)} "
            f"and {len(second)}."
        )


def find_image_shape(transformer, rows: np.ndarray) -> tuple[int, int, int] | None:
    """(channels, height, width) of the rows of a fitted transformer; None if they are no images."""
    shape = tuple(getattr(transformer, "row_shape_", rows.shape[1:]))
    if rows.ndim == 3 and not hasattr(transformer, "row_shape_"):
        shape = (1, *shape)
    return shape if len(shape) == 3 else None
