"""Mutual information on a scale from 0 to 1."""

import math

import numpy as np
from sklearn.base import clone
from sklearn.utils._param_validation import StrOptions, validate_params

from skmi._columns import VariableEncoder
from skmi.information._base import BaseMIEstimator
from skmi.information._data import DISCRETE_TARGETS
from skmi.information._mutual_info import mutual_info
from skmi.information.mine import MINEEstimator

__all__ = ["normalized_mutual_info"]

#: The mean of the entropies H(X), H(Y) that divides I(X; Y). A continuous variable has none,
#: which counts as infinite.
MEANS = {
    "arithmetic": lambda h_x, h_y: (h_x + h_y) / 2,
    "geometric": lambda h_x, h_y: math.sqrt(h_x * h_y),
    "max": max,
    "min": min,
}


@validate_params(
    {
        "estimator": [BaseMIEstimator, None],
        "normalization": [StrOptions({"auto", "linfoot", *MEANS})],
    },
    prefer_skip_nested_validation=True,
)
def normalized_mutual_info(
    X,
    Y,
    *,
    normalization="auto",
    estimator=None,
    cv=3,
    n_jobs=None,
    device=None,
    random_state=None,
):
    r"""Estimate the mutual information of X and Y on a scale from 0 to 1.

    For continuous variables Linfoot's informational coefficient of correlation [1]_,

    .. math:: \sqrt{1 - e^{-2 I(X; Y)}},

    which is :math:`|\rho|` if X and Y are Gaussian with correlation :math:`\rho`, and 1 if one
    determines the other. For discrete variables, whose mutual information is at most their
    entropy, :math:`I(X; Y) / \mathrm{mean}(H(X), H(Y))`.

    Parameters
    ----------
    X : array-like of shape (n_samples,), (n_samples, n_features) or (n_samples, ...)
        Samples of X.
    Y : array-like of shape (n_samples,), (n_samples, n_outputs) or (n_samples, ...)
        Samples of Y, row by row the partners of X. X and Y are read alike: they are discrete if
        all columns have a categorical, string or boolean dtype, or if there is one column of
        whole numbers with few distinct values.
    normalization : {"auto", "linfoot", "arithmetic", "geometric", "max", "min"}, default="auto"
        ``"linfoot"`` is the formula above. The others are means of the entropies; all but
        ``"min"`` need X and Y to be discrete. ``"min"`` divides by the entropy of the discrete
        one if the other is continuous, and is 1 if X determines Y or Y determines X.
        ``"auto"`` is ``"arithmetic"`` if both are discrete, ``"min"`` if one is, and
        ``"linfoot"`` if none is.
    estimator : MINEEstimator, EtaDVEstimator or None, default=None
        What to fit, as in `skmi.mutual_info`. Its ``discrete_features`` and ``target_type``
        say how X and Y are read, where these are not ``"auto"``.
    cv, n_jobs, device, random_state
        As in `skmi.mutual_info`.

    Returns
    -------
    float
        0 for independent variables, and near it from samples: Linfoot's coefficient is a root, and
        makes 0.06 of 0.002 nats. Estimates of the mutual information below 0 count as 0.

    Raises
    ------
    ValueError, TypeError
        For data or parameters that cannot be used, and for a mean of entropies of continuous
        variables.

    See Also
    --------
    skmi.mutual_info : The mutual information itself, with its standard error.
    sklearn.metrics.normalized_mutual_info_score : For two partitions, by counting.

    Notes
    -----
    The entropies are those of the empirical distribution. Where the mean entropy is 0, because
    a variable is constant, the result is 0.

    References
    ----------
    .. [1] E. H. Linfoot, "An Informational Measure of Correlation", Information and Control,
       1957.

    Examples
    --------
    >>> import numpy as np
    >>> from skmi import normalized_mutual_info
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=2000)
    >>> Y = 0.8 * X + 0.6 * rng.normal(size=2000)       # correlation 0.8
    >>> bool(abs(normalized_mutual_info(X, Y, random_state=0) - 0.8) < 0.05)
    True
    """
    estimator = MINEEstimator() if estimator is None else clone(estimator)
    h_x = _entropy("X", X, estimator.discrete_features)
    h_y = _entropy("Y", Y, DISCRETE_TARGETS[estimator.target_type])
    estimator.set_params(
        discrete_features=estimator.discrete_features if math.isinf(h_x) else True,
        target_type=estimator.target_type if math.isinf(h_y) else "labels",
    )
    if normalization == "auto":
        n_discrete = math.isfinite(h_x) + math.isfinite(h_y)
        normalization = ("linfoot", "min", "arithmetic")[n_discrete]
    if normalization != "linfoot":
        entropy = MEANS[normalization](h_x, h_y)
        if math.isinf(entropy):
            kinds = [name for name, h in [("X", h_x), ("Y", h_y)] if math.isinf(h)]
            raise ValueError(
                f"normalization={normalization!r} divides by an entropy, but "
                f"{' and '.join(kinds)} hold{'s' * (len(kinds) == 1)} continuous columns. Use "
                "'linfoot'" + (" or 'min'." if len(kinds) == 1 else ".")
            )
    options = {"cv": cv, "n_jobs": n_jobs, "device": device, "random_state": random_state}
    information = max(0.0, mutual_info(X, Y, estimator=estimator, **options).estimate)
    if normalization == "linfoot":
        return math.sqrt(-math.expm1(-2 * information))
    return min(1.0, information / entropy) if entropy > 0 else 0.0


def _entropy(name: str, values, discrete) -> float:
    """Entropy of the rows of a discrete variable in nats; infinity for a continuous one."""
    encoder = VariableEncoder(name, discrete, codes=isinstance(discrete, str))
    rows = encoder.fit_transform(values)
    if not encoder.discrete_.all():
        return math.inf
    _, counts = np.unique(rows, axis=0, return_counts=True)
    frequencies = counts / len(rows)
    return float(-frequencies @ np.log(frequencies))
