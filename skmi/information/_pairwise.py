"""The mutual information of every two columns of a table."""

from functools import partial
from itertools import combinations
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils._optional_dependencies import check_pandas_support
from sklearn.utils._param_validation import StrOptions, validate_params
from sklearn.utils.parallel import Parallel, delayed

from skmi._columns import VariableEncoder
from skmi.base import infer_device
from skmi.information._levels import ColumnReader
from skmi.information._mutual_info import mutual_info
from skmi.information._tables import TableCritics
from skmi.information._units import UNITS, in_units

__all__ = ["pairwise_mutual_info"]

#: Levels of a column, and pairs of columns that are estimated at once.
N_LEVELS, CHUNK_PAIRS = 56, 64


@validate_params(
    {
        "units": [StrOptions(set(UNITS))],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def pairwise_mutual_info(
    data, *, estimator=None, cv=3, units="nats", n_jobs=None, device=None, random_state=None
):
    """Estimate the mutual information of every two columns of a table.

    By default the columns are cut into levels and the critics of all pairs are trained together
    as one batched network, as in `skmi.feature_selection.mutual_info_neural`.

    Parameters
    ----------
    data : DataFrame or array-like of shape (n_samples, n_columns)
        Numbers, and categories in columns of categorical, string or boolean dtype. Whole numbers
        are numbers; give codes a categorical dtype.
    estimator : estimator or None, default=None
        What to fit to each pair instead, one after the other, as in `skmi.mutual_info`.
    cv : int or cross-validation generator, default=3
        Folds of `estimator`. The batched network has two.
    device : str or None, default=None
        Torch device.
    units : {"nats", "bits"}, default="nats"
        Units of the values.
    n_jobs : int or None, default=None
        Chunks of pairs estimated at once, through joblib.
    random_state : int, RandomState or None, default=None
        Seed of folds, weights and shuffles.

    Returns
    -------
    DataFrame of shape (n_columns, n_columns)
        Symmetric, with the names of the columns on both axes, or their positions if `data` has
        no names. Each pair is estimated once. The diagonal is NaN: the information of a column
        about itself is its entropy, which is infinite for a continuous one.

    Raises
    ------
    ValueError, TypeError
        For data or parameters that cannot be used.
    ImportError
        If pandas is not installed.

    See Also
    --------
    skmi.mutual_info : One pair, with its standard error.
    skmi.plotting.MutualInfoMatrixDisplay : The matrix as a heat map.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skmi import pairwise_mutual_info
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame(rng.normal(size=(1000, 2)), columns=["a", "b"])
    >>> table["a squared"] = table["a"] ** 2 + 0.1 * rng.normal(size=1000)
    >>> matrix = pairwise_mutual_info(table, random_state=0)
    >>> bool(abs(matrix.loc["a", "b"]) < 0.05)
    True
    >>> bool(matrix.loc["a", "a squared"] > 1)      # where the correlation is 0
    True
    """
    pd = check_pandas_support("pairwise_mutual_info")
    table = data if hasattr(data, "iloc") else pd.DataFrame(data)
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"data has shape {table.shape}, but a pair takes at least 2 columns.")
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    pairs = list(combinations(range(table.shape[1]), 2))
    if estimator is None:
        values = _estimate_together(table, pairs, n_jobs, device, seed)
    else:
        options = {"cv": cv, "device": device}
        values = _estimate_apart(table, pairs, clone(estimator), n_jobs, options, seed)
    matrix = np.full((table.shape[1],) * 2, np.nan)
    for (i, j), value in zip(pairs, values, strict=True):
        matrix[i, j] = matrix[j, i] = in_units(value, units)
    result = pd.DataFrame(matrix, index=table.columns, columns=table.columns)
    result.attrs["units"] = units
    return result


def _estimate_together(table, pairs, n_jobs, device, seed):
    """All pairs from one batched network."""
    reader = ColumnReader(table, "auto", name="data")
    levels = reader.all_levels(N_LEVELS)
    critics = TableCritics(reader.n_rows, device=infer_device(device or "auto"), seed=seed)

    x, y = ([levels[pair[side]] for pair in pairs] for side in (0, 1))
    chunks = Parallel(n_jobs=n_jobs)(
        delayed(critics.information)(x[chunk], y[chunk])
        for chunk in gen_batches(len(pairs), CHUNK_PAIRS)
    )
    return np.concatenate([values for values, _ in chunks])


def _estimate_apart(table, pairs, estimator, n_jobs, options, seed):
    """Each pair with a copy of the estimator."""
    encoder = VariableEncoder("data")
    encoder.fit_transform(table)  # complains of bad values before any work
    kinds = np.full(table.shape[1], None)
    if getattr(estimator, "target_type", None) == "auto":  # the same for both of a pair
        kinds = np.where(encoder.discrete_, "labels", "continuous")
    estimate = partial(_estimate, table, estimator, kinds, options)
    seeds = np.random.SeedSequence(seed).generate_state(len(pairs))
    return Parallel(n_jobs=n_jobs)(
        delayed(estimate)(pair, int(pair_seed))
        for pair, pair_seed in zip(pairs, seeds, strict=True)
    )


def _estimate(table, estimator, kinds, options, pair, seed) -> float:
    """The mutual information of two columns."""
    i, j = pair
    if kinds[j] is not None:
        estimator = clone(estimator).set_params(target_type=str(kinds[j]))
    X, y = table.iloc[:, [i]], table.iloc[:, j]
    return mutual_info(X, y, estimator=estimator, random_state=seed, **options).estimate
