"""Mutual information of known distributions, in nats: each formula once."""

from functools import lru_cache

import numpy as np
from scipy.linalg import solve_triangular, svdvals
from scipy.special import digamma, gammaln, logsumexp, ndtri
from scipy.stats import multivariate_normal
from scipy.stats.qmc import Sobol

__all__ = [
    "gaussian_conditional_mutual_info",
    "gaussian_mixture_mutual_info",
    "gaussian_mutual_info",
    "student_mutual_info",
]


# --------------------------------------------------------------------------- checks


def check_covariance(covariance, *n_features, name="covariance"):
    """A positive definite float matrix of more variables than the sum of `n_features`."""
    covariance = np.asarray(covariance, dtype=np.float64)
    shape = covariance.shape
    if len(shape) != 2 or shape[0] != shape[1] or not np.allclose(covariance, covariance.T):
        raise ValueError(f"{name} must be a finite symmetric matrix, got shape {shape}.")
    if n_features and (min(n_features) < 1 or sum(n_features) >= len(covariance)):
        names = ["n_features_x", "n_features_y"][: len(n_features)]
        raise ValueError(
            f"{' and '.join(names)} must be at least 1 and leave a variable of the "
            f"{len(covariance)} in {name}, got {' and '.join(map(str, n_features))}."
        )
    try:
        np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        raise ValueError(
            f"{name} must be positive definite: where one variable is a linear function of the "
            "others there is no density. Weaken its correlations."
        ) from None
    return covariance


def check_mixture(weights, means, covariances, *n_features):
    """Weights (k,), means (k, d) and covariances (k, d, d) that fit together."""
    weights, means, covariances = (
        np.asarray(values, dtype=np.float64) for values in (weights, means, covariances)
    )
    n_components, d = means.shape if means.ndim == 2 else (-1, -1)
    if weights.shape != (n_components,) or covariances.shape != (n_components, d, d):
        raise ValueError(
            "weights, means and covariances must have shapes (k,), (k, d) and (k, d, d) for k "
            f"components of d variables, got {weights.shape}, {means.shape} and "
            f"{covariances.shape}."
        )
    if not (weights > 0).all() or not np.isclose(weights.sum(), 1):
        raise ValueError(f"weights must be positive and sum to 1, got {weights.tolist()}.")
    for k, covariance in enumerate(covariances):
        check_covariance(covariance, *n_features, name=f"covariances[{k}]")
    return weights / weights.sum(), means, covariances


# --------------------------------------------------------------------- closed forms


def gaussian_mutual_info(covariance, n_features_x):
    r"""Mutual information of two jointly Gaussian vectors.

    .. math:: I(X; Y) = -\tfrac12 \sum_k \log(1 - \rho_k^2)

    with the canonical correlations :math:`\rho_k` of X and Y.

    Parameters
    ----------
    covariance : array-like of shape (p + q, p + q)
        Positive definite covariance matrix of X, then Y.
    n_features_x : int
        The number p of coordinates that belong to X.

    Returns
    -------
    float
        In nats.

    Raises
    ------
    ValueError
        If `covariance` is not a covariance matrix, or `n_features_x` leaves nothing to Y.

    Examples
    --------
    >>> from skmi.datasets import gaussian_mutual_info
    >>> round(gaussian_mutual_info([[1, 0.8], [0.8, 1]], 1), 4)
    0.5108
    """
    covariance = check_covariance(covariance, n_features_x)
    x, y = slice(n_features_x), slice(n_features_x, None)
    x_factor, y_factor = (np.linalg.cholesky(covariance[s, s]) for s in (x, y))
    half = solve_triangular(x_factor, covariance[x, y], lower=True)
    rho = svdvals(solve_triangular(y_factor, half.T, lower=True))
    return float((-0.5 * np.log1p(-(rho**2))).sum())


def gaussian_conditional_mutual_info(covariance, n_features_x, n_features_y):
    r"""Conditional mutual information I(X; Y | Z) of jointly Gaussian vectors.

    That of X and Y under their covariance given Z, which does not depend on the value of Z:

    .. math:: \Sigma_{XY, XY} - \Sigma_{XY, Z} \Sigma_{Z, Z}^{-1} \Sigma_{Z, XY} .

    Parameters
    ----------
    covariance : array-like of shape (p + q + r, p + q + r)
        Positive definite covariance matrix of X, then Y, then Z.
    n_features_x, n_features_y : int
        The numbers p and q of coordinates that belong to X and to Y.

    Returns
    -------
    float
        In nats.

    Raises
    ------
    ValueError
        If `covariance` is not a covariance matrix, or nothing is left for Z.

    Examples
    --------
    >>> from skmi.datasets import gaussian_conditional_mutual_info
    >>> covariance = [[1, 0, 0.5], [0, 1, 0.5], [0.5, 0.5, 1]]      # Z reveals X + Y
    >>> round(gaussian_conditional_mutual_info(covariance, 1, 1), 4)
    0.0589
    """
    covariance = check_covariance(covariance, n_features_x, n_features_y)
    xy, z = slice(n_features_x + n_features_y), slice(n_features_x + n_features_y, None)
    explained = covariance[xy, z] @ np.linalg.solve(covariance[z, z], covariance[z, xy])
    return gaussian_mutual_info(covariance[xy, xy] - explained, n_features_x)


def student_mutual_info(dispersion, n_features_x, df):
    r"""Mutual information of two vectors with a joint multivariate Student distribution.

    The entropy in d dimensions is that of the dispersion matrix, :math:`\tfrac12 \log\det`,
    plus :math:`\tfrac{d}{2} \log(\pi\nu)`, which cancels, plus :math:`c(d)`. Margins have the
    same degrees of freedom :math:`\nu`, so that

    .. math::
        I(X; Y) &= -\tfrac12 \sum_k \log(1 - \rho_k^2) + c(p) + c(q) - c(p + q) \\
        c(d) &= \log\frac{\Gamma(\nu/2)}{\Gamma((\nu + d)/2)}
            + \frac{\nu + d}{2} \left(\psi\Bigl(\frac{\nu + d}{2}\Bigr)
            - \psi\Bigl(\frac{\nu}{2}\Bigr)\right)

    with the canonical correlations :math:`\rho_k` of the dispersion. The second part is
    positive: heavy tails come in X and Y at once, even where they are uncorrelated. Source:
    R. B. Arellano-Valle et al., "Shannon Entropy and Mutual Information for Multivariate
    Skew-Elliptical Distributions", Scandinavian Journal of Statistics 40, 2013.

    Parameters
    ----------
    dispersion : array-like of shape (p + q, p + q)
        Positive definite dispersion (scale) matrix of X, then Y.
    n_features_x : int
        The number p of coordinates that belong to X.
    df : float
        Degrees of freedom :math:`\nu > 0`.

    Returns
    -------
    float
        In nats.

    Raises
    ------
    ValueError
        If `dispersion` is not positive definite, `n_features_x` leaves nothing to Y, or `df`
        is not positive and finite.

    Examples
    --------
    >>> import numpy as np
    >>> from skmi.datasets import student_mutual_info
    >>> round(student_mutual_info(np.eye(2), 1, df=1), 4)
    0.2242
    """
    dispersion = check_covariance(dispersion, n_features_x, name="dispersion")
    if not 0 < df < np.inf:
        raise ValueError(
            f"df must be positive and finite, got {df!r}. Gaussians are the limit of large df."
        )

    def c(d):
        above, below = (df + d) / 2, df / 2
        return gammaln(below) - gammaln(above) + above * (digamma(above) - digamma(below))

    p, d = n_features_x, len(dispersion)
    return gaussian_mutual_info(dispersion, p) + float(c(p) + c(d - p) - c(d))


# ------------------------------------------------------------------------- mixtures


def gaussian_mixture_mutual_info(weights, means, covariances, n_features_x):
    r"""Mutual information of two vectors whose joint density is a mixture of Gaussians.

    .. math:: I(X; Y) = E \log p(X, Y) - \log p(X) - \log p(Y)

    where margins of the mixture are mixtures too. The mean over each component is a
    quasi-Monte Carlo sum of randomly shifted Sobol points with a fixed seed, of as many shifts
    as bring the standard error below 5e-4. The result is cached.

    Parameters
    ----------
    weights : array-like of shape (k,)
        Positive weights of the components, with sum 1.
    means : array-like of shape (k, p + q)
    covariances : array-like of shape (k, p + q, p + q)
        Positive definite covariance matrices.
    n_features_x : int
        The number p of coordinates that belong to X.

    Returns
    -------
    mi : float
        In nats.
    stderr : float
        Its standard error.

    Raises
    ------
    ValueError
        If the arrays do not fit together, the weights do not sum to 1, or a covariance matrix
        is not positive definite.

    Examples
    --------
    >>> from skmi.datasets import gaussian_mixture_mutual_info
    >>> weights, means = [0.5, 0.5], [[0, 0], [0, 0]]
    >>> cross = [[[1, 0.9], [0.9, 1]], [[1, -0.9], [-0.9, 1]]]
    >>> mi, stderr = gaussian_mixture_mutual_info(weights, means, cross, 1)
    >>> round(mi, 2), stderr < 5e-4
    (0.41, True)
    """
    mixture = check_mixture(weights, means, covariances, n_features_x)
    return _mixture_truth(*map(_frozen, mixture), n_features_x)


def gaussian_classes_mutual_info(weights, means, covariances):
    r"""Mutual information of a label and a vector that is Gaussian in each class, as (mi, stderr).

    .. math:: I(X; Y) = E \log p(X | Y) - \log p(X)

    computed as by `gaussian_mixture_mutual_info`.
    """
    return _mixture_truth(*map(_frozen, check_mixture(weights, means, covariances)), None)


def _frozen(array):
    """Nested tuples, which can be hashed."""
    return tuple(map(_frozen, array)) if array.ndim else float(array)


@lru_cache(maxsize=256)
def _mixture_truth(weights, means, covariances, n_features_x, max_stderr=5e-4):
    """Information of X and Y in a mixture, or of X and its component where n_features_x is None."""
    weights, means, covariances = map(np.array, (weights, means, covariances))
    xy, x, y = slice(None), slice(n_features_x), slice(n_features_x, None)

    def log_densities(points, s):
        parts = zip(means[:, s], covariances[:, s, s], strict=True)
        return np.array([multivariate_normal.logpdf(points[:, s], *part) for part in parts])

    def log_mixture(points, s):
        return logsumexp(log_densities(points, s), b=weights[:, None], axis=0)

    def log_ratio(points, k):
        if n_features_x is None:
            return log_densities(points, xy)[k] - log_mixture(points, xy)
        return log_mixture(points, xy) - log_mixture(points, x) - log_mixture(points, y)

    d = means.shape[1]
    sobol = Sobol(d, scramble=False).random(2**11)
    generator, estimates, stderr = np.random.default_rng(0), [], np.inf
    while stderr > max_stderr:
        normal = ndtri((sobol + generator.uniform(size=d)) % 1)
        points = means[:, None] + normal @ np.linalg.cholesky(covariances).mT
        estimates.append(weights @ [log_ratio(part, k).mean() for k, part in enumerate(points)])
        if len(estimates) >= 16:
            stderr = np.std(estimates, ddof=1) / np.sqrt(len(estimates))
    return float(np.mean(estimates)), float(stderr)
