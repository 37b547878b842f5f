"""Samplers of variables with known mutual information."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from skmi.datasets._formulas import (
    check_mixture,
    gaussian_classes_mutual_info,
    gaussian_conditional_mutual_info,
    gaussian_mixture_mutual_info,
    gaussian_mutual_info,
    student_mutual_info,
)
from skmi.datasets._transforms import normal_cdf

__all__ = [
    "make_additive_noise",
    "make_dense_gaussian",
    "make_dependent_batches",
    "make_gaussian",
    "make_gaussian_chain",
    "make_gaussian_classes",
    "make_gaussian_mixture",
    "make_gaussian_triple",
    "make_images",
    "make_sparse_gaussian",
    "make_student",
    "make_xor",
]

COUNT = [Interval(Integral, 1, None, closed="left")]
CORRELATION = [Interval(Real, -1, 1, closed="neither")]
POSITIVE = [Interval(Real, 0, None, closed="neither")]


def _validated(**constraints):
    """Check the types and ranges of parameters, `n_samples` and `random_state` among them."""
    constraints = {"n_samples": COUNT, **constraints, "random_state": ["random_state"]}
    return validate_params(constraints, prefer_skip_nested_validation=True)


def _normal(generator, n_samples, covariance):
    """Rows of a centred Gaussian."""
    normal = generator.standard_normal((n_samples, len(covariance)))
    return normal @ np.linalg.cholesky(covariance).T


# ------------------------------------------------------------------------ Gaussians


@_validated(covariance=["array-like"], n_features_x=COUNT)
def make_gaussian(
    n_samples=1000, *, covariance=((1, 0.75), (0.75, 1)), n_features_x=1, random_state=None
):
    r"""Jointly Gaussian X and Y with mean zero and any covariance matrix.

    The information is that of `gaussian_mutual_info`.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    covariance : array-like of shape (p + q, p + q), default=((1, 0.75), (0.75, 1))
        Positive definite covariance matrix of X, then Y.
    n_features_x : int, default=1
        The number p of coordinates that belong to X.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    X : ndarray of shape (n_samples, p)
    Y : ndarray of shape (n_samples, q)
    mi : float
        I(X; Y) in nats.

    Raises
    ------
    ValueError
        If `covariance` is not a covariance matrix, or `n_features_x` leaves nothing to Y.

    See Also
    --------
    make_sparse_gaussian : Coordinates that correlate in pairs.
    make_dense_gaussian : All coordinates equally correlated.

    Examples
    --------
    >>> from skmi.datasets import make_gaussian
    >>> X, Y, mi = make_gaussian(500, covariance=[[1, 0.8], [0.8, 1]], random_state=0)
    >>> X.shape, Y.shape, round(mi, 3)
    ((500, 1), (500, 1), 0.511)
    """
    mi = gaussian_mutual_info(covariance, n_features_x)
    rows = _normal(check_random_state(random_state), n_samples, np.asarray(covariance))
    return rows[:, :n_features_x], rows[:, n_features_x:], mi


@_validated(
    n_features_x=COUNT,
    n_features_y=[*COUNT, None],
    correlation=CORRELATION,
    n_interacting=[Interval(Integral, 0, None, closed="left"), None],
)
def make_sparse_gaussian(
    n_samples=1000,
    *,
    n_features_x=1,
    n_features_y=None,
    correlation=0.75,
    n_interacting=None,
    random_state=None,
):
    r"""Gaussian X and Y of which the first coordinates correlate, in pairs.

    With correlation :math:`\rho` between ``X[:, k]`` and ``Y[:, k]`` for the first m
    coordinates, and independence otherwise,

    .. math:: I(X; Y) = -\tfrac{m}{2} \log(1 - \rho^2) .

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    n_features_x : int, default=1
        Number of coordinates of X.
    n_features_y : int or None, default=None
        Number of coordinates of Y. None: as many as X.
    correlation : float, default=0.75
        The correlation of the pairs, between -1 and 1.
    n_interacting : int or None, default=None
        The number m of pairs. None: all coordinates, as in [1]_ (Fig. 1).
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features_x)
    Y : ndarray of shape (n_samples, n_features_y)
    mi : float
        I(X; Y) in nats.

    Raises
    ------
    ValueError
        If there are more pairs than coordinates, or a parameter is out of its range.

    References
    ----------
    .. [1] M. I. Belghazi et al., "Mutual Information Neural Estimation", ICML 2018.
    .. [2] P. Czyz et al., "Beyond Normal: On the Evaluation of Mutual Information
       Estimators", NeurIPS 2023. Its sparse tasks of strength 2 have m = 2, correlation 0.8.

    Examples
    --------
    >>> from skmi.datasets import make_sparse_gaussian
    >>> X, Y, mi = make_sparse_gaussian(n_features_x=20, correlation=0.5, random_state=0)
    >>> X.shape, Y.shape, round(mi, 3)
    ((1000, 20), (1000, 20), 2.877)
    """
    p, q = n_features_x, n_features_x if n_features_y is None else n_features_y
    m = min(p, q) if n_interacting is None else n_interacting
    if m > min(p, q):
        raise ValueError(
            f"n_interacting must not exceed the coordinates of X and of Y, {p} and {q}, got {m}."
        )
    covariance, k = np.eye(p + q), np.arange(m)
    covariance[k, p + k] = covariance[p + k, k] = correlation
    return make_gaussian(
        n_samples, covariance=covariance, n_features_x=p, random_state=random_state
    )


@_validated(n_features_x=COUNT, n_features_y=[*COUNT, None], correlation=CORRELATION)
def make_dense_gaussian(
    n_samples=1000, *, n_features_x=1, n_features_y=None, correlation=0.5, random_state=None
):
    r"""Gaussian X and Y whose coordinates all have the same correlation with one another.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    n_features_x : int, default=1
        The number p of coordinates of X.
    n_features_y : int or None, default=None
        The number q of coordinates of Y. None: as many as X.
    correlation : float, default=0.5
        The correlation, within X and within Y too; less than 1, and more than
        ``-1 / (p + q - 1)``.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features_x)
    Y : ndarray of shape (n_samples, n_features_y)
    mi : float
        I(X; Y) in nats.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> from skmi.datasets import make_dense_gaussian
    >>> X, Y, mi = make_dense_gaussian(n_features_x=5, correlation=0.5, random_state=0)
    >>> X.shape, Y.shape, round(mi, 3)
    ((1000, 5), (1000, 5), 0.593)
    """
    d = n_features_x + (n_features_x if n_features_y is None else n_features_y)
    if not correlation > -1 / (d - 1):
        raise ValueError(
            f"correlation must exceed -1 / {d - 1}: {d} variables cannot all be more negatively "
            f"correlated than that with one another. Got {correlation!r}."
        )
    return make_gaussian(
        n_samples,
        covariance=correlation + (1 - correlation) * np.eye(d),
        n_features_x=n_features_x,
        random_state=random_state,
    )


#: Covariance of what the pairs of a batch have in common, and of what each has of its own.
COMMON, OWN = ((1, -0.5), (-0.5, 1)), ((1, 0.9), (0.9, 1))


@_validated(batch_size=COUNT, independent=["boolean"])
def make_dependent_batches(n_samples=1000, *, batch_size=128, independent=False, random_state=None):
    r"""Gaussian pairs that are alike within a batch: identically distributed, not independent.

    :math:`(X_i, Y_i) = Z + \epsilon_i`, with noise :math:`\epsilon_i` of each pair and one
    :math:`Z` for each ``batch_size`` successive rows ([1]_, App. E):

    .. math::
        Z \sim N\left(0, \begin{bmatrix} 1 & -0.5 \\ -0.5 & 1 \end{bmatrix}\right), \quad
        \epsilon_i \sim N\left(0, \begin{bmatrix} 1 & 0.9 \\ 0.9 & 1 \end{bmatrix}\right) .

    Each pair has covariance :math:`\Sigma_Z + \Sigma_\epsilon` and :math:`I(X; Y) = 0.02` nats,
    but within a batch Y tells far more about which X is its own. Bounds that take their
    negatives from the batch then exceed the information: they are bounds for independent pairs.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows; the last batch may be shorter.
    batch_size : int, default=128
        Rows with a common Z.
    independent : bool, default=False
        Draw Z for each row instead: the same distribution of a pair, independent pairs.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    X : ndarray of shape (n_samples, 1)
    Y : ndarray of shape (n_samples, 1)
    mi : float
        I(X; Y) in nats.

    References
    ----------
    .. [1] M. Tschannen, J. Djolonga, P. K. Rubenstein, S. Gelly, M. Lucic, "On mutual information
       maximization for representation learning", ICLR 2020.

    Examples
    --------
    >>> from skmi.datasets import make_dependent_batches
    >>> X, Y, mi = make_dependent_batches(1280, random_state=0)
    >>> X.shape, round(mi, 3)
    ((1280, 1), 0.02)
    """
    generator = check_random_state(random_state)
    run = 1 if independent else batch_size
    common = _normal(generator, -(-n_samples // run), np.array(COMMON))
    rows = common.repeat(run, axis=0)[:n_samples] + _normal(generator, n_samples, np.array(OWN))
    mi = gaussian_mutual_info(np.add(COMMON, OWN), 1)
    return rows[:, :1], rows[:, 1:], mi


# ---------------------------------------------------------------- beyond Gaussians


@_validated(epsilon=POSITIVE)
def make_additive_noise(n_samples=1000, *, epsilon=0.1, random_state=None):
    r"""X uniform on [0, 1], and Y the same plus independent uniform noise.

    With noise on :math:`[-\varepsilon, \varepsilon]`,

    .. math::
        I(X; Y) = \begin{cases}
            \varepsilon - \log(2 \varepsilon) & \varepsilon \le 1/2 \\
            1 / (4 \varepsilon) & \varepsilon \ge 1/2 .
        \end{cases}

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    epsilon : float, default=0.1
        Half the width of the noise.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    X : ndarray of shape (n_samples, 1)
    Y : ndarray of shape (n_samples, 1)
    mi : float
        I(X; Y) in nats.

    Raises
    ------
    ValueError
        If `epsilon` is not positive.

    References
    ----------
    .. [1] P. Czyz et al., "Beyond Normal: On the Evaluation of Mutual Information
       Estimators", NeurIPS 2023.

    Examples
    --------
    >>> from skmi.datasets import make_additive_noise
    >>> X, Y, mi = make_additive_noise(epsilon=0.75, random_state=0)
    >>> round(mi, 3)
    0.333
    """
    generator = check_random_state(random_state)
    X = generator.uniform(size=(n_samples, 1))
    Y = X + generator.uniform(-epsilon, epsilon, size=X.shape)
    mi = epsilon - np.log(2 * epsilon) if epsilon < 0.5 else 1 / (4 * epsilon)
    return X, Y, float(mi)


@_validated(df=POSITIVE, dispersion=["array-like"], n_features_x=COUNT)
def make_student(
    n_samples=1000, *, df=1, dispersion=((1, 0), (0, 1)), n_features_x=1, random_state=None
):
    r"""X and Y with a joint multivariate Student distribution: heavy tails.

    The rows are Gaussian ones divided by :math:`\sqrt{\chi^2_\nu / \nu}`, one factor for X and
    Y together. It makes them dependent even where the dispersion is the identity; the
    information is that of `student_mutual_info`.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    df : float, default=1
        Degrees of freedom :math:`\nu`; 1 is the Cauchy distribution, large ones are nearly
        Gaussian.
    dispersion : array-like of shape (p + q, p + q), default=((1, 0), (0, 1))
        Positive definite dispersion matrix of X, then Y. Where ``df > 2`` the covariance is
        ``df / (df - 2)`` times this.
    n_features_x : int, default=1
        The number p of coordinates that belong to X.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    X : ndarray of shape (n_samples, p)
    Y : ndarray of shape (n_samples, q)
    mi : float
        I(X; Y) in nats.

    Raises
    ------
    ValueError
        If `dispersion` is not positive definite, `n_features_x` leaves nothing to Y, or `df`
        is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from skmi.datasets import make_student
    >>> X, Y, mi = make_student(df=2, dispersion=np.eye(6), n_features_x=3, random_state=0)
    >>> X.shape, Y.shape, round(mi, 3)
    ((1000, 3), (1000, 3), 0.291)
    """
    mi = student_mutual_info(dispersion, n_features_x, df)
    generator = check_random_state(random_state)
    rows = _normal(generator, n_samples, np.asarray(dispersion))
    rows /= np.sqrt(generator.chisquare(df, size=(n_samples, 1)) / df)
    return rows[:, :n_features_x], rows[:, n_features_x:], mi


def _mixture_rows(generator, n_samples, weights, means, covariances):
    """Rows of a Gaussian mixture, and their components."""
    labels = generator.choice(len(weights), size=n_samples, p=weights)
    normal = generator.standard_normal((n_samples, means.shape[1]))
    rows = np.empty_like(normal)
    for k, factor in enumerate(np.linalg.cholesky(covariances)):
        rows[labels == k] = means[k] + normal[labels == k] @ factor.T
    return rows, labels


@_validated(
    weights=["array-like"], means=["array-like"], covariances=["array-like"], n_features_x=COUNT
)
def make_gaussian_mixture(
    n_samples=1000,
    *,
    weights=(0.5, 0.5),
    means=((0, 0), (0, 0)),
    covariances=(((1, 0.9), (0.9, 1)), ((1, -0.9), (-0.9, 1))),
    n_features_x=1,
    random_state=None,
):
    r"""X and Y whose joint density is a mixture of Gaussians.

    The default is a cross: X and Y are uncorrelated, but far from independent. The information
    has no closed form and comes from `gaussian_mixture_mutual_info`, to 5e-4.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    weights : array-like of shape (k,), default=(0.5, 0.5)
        Positive weights of the components, with sum 1.
    means : array-like of shape (k, p + q), default=((0, 0), (0, 0))
    covariances : array-like of shape (k, p + q, p + q), default=correlations 0.9 and -0.9
        Positive definite covariance matrices.
    n_features_x : int, default=1
        The number p of coordinates that belong to X.
    random_state : int, RandomState or None, default=None
        Seed of the rows; the information does not depend on it.

    Returns
    -------
    X : ndarray of shape (n_samples, p)
    Y : ndarray of shape (n_samples, q)
    mi : float
        I(X; Y) in nats, with a standard error below 5e-4.

    Raises
    ------
    ValueError
        If the arrays do not fit together, the weights do not sum to 1, or a covariance matrix
        is not positive definite.

    Examples
    --------
    >>> from skmi.datasets import make_gaussian_mixture
    >>> X, Y, mi = make_gaussian_mixture(random_state=0)
    >>> X.shape, Y.shape, round(mi, 2)
    ((1000, 1), (1000, 1), 0.41)
    """
    mi, _ = gaussian_mixture_mutual_info(weights, means, covariances, n_features_x)
    mixture = check_mixture(weights, means, covariances, n_features_x)
    rows, _ = _mixture_rows(check_random_state(random_state), n_samples, *mixture)
    return rows[:, :n_features_x], rows[:, n_features_x:], mi


@_validated(weights=["array-like"], means=["array-like"], covariances=["array-like"])
def make_gaussian_classes(
    n_samples=1000,
    *,
    weights=(0.5, 0.5),
    means=((-1,), (1,)),
    covariances=(((1,),), ((1,),)),
    random_state=None,
):
    r"""Labels y, and X that is Gaussian within each class.

    .. math:: I(X; y) = \sum_k w_k \, KL\Bigl(N(\mu_k, \Sigma_k) \,\Big\|\,
        \sum_j w_j N(\mu_j, \Sigma_j)\Bigr) \le H(y)

    with the divergences computed as by `gaussian_mixture_mutual_info`, to 5e-4.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    weights : array-like of shape (k,), default=(0.5, 0.5)
        Positive probabilities of the classes, with sum 1.
    means : array-like of shape (k, p), default=((-1,), (1,))
        Means of X in each class.
    covariances : array-like of shape (k, p, p), default=unit variances
        Positive definite covariance matrices of X in each class.
    random_state : int, RandomState or None, default=None
        Seed of the rows; the information does not depend on it.

    Returns
    -------
    X : ndarray of shape (n_samples, p)
    y : ndarray of int of shape (n_samples,)
        Labels from 0.
    mi : float
        I(X; y) in nats, with a standard error below 5e-4.

    Raises
    ------
    ValueError
        If the arrays do not fit together, the weights do not sum to 1, or a covariance matrix
        is not positive definite.

    Examples
    --------
    >>> from skmi.datasets import make_gaussian_classes
    >>> X, y, mi = make_gaussian_classes(random_state=0)
    >>> X.shape, y.shape, round(mi, 2)
    ((1000, 1), (1000,), 0.34)
    """
    mixture = check_mixture(weights, means, covariances)
    mi, _ = gaussian_classes_mutual_info(*mixture)
    return *_mixture_rows(check_random_state(random_state), n_samples, *mixture), mi


@_validated(
    n_latents=[Interval(Integral, 1, 3, closed="both")],
    correlation=CORRELATION,
    side=[Interval(Integral, 8, None, closed="left")],
)
def make_images(n_samples=1000, *, n_latents=2, correlation=0.8, side=16, random_state=None):
    r"""Two images of a blob each, with correlated places and sizes: many pixels, few causes.

    The latents of the pair are those of `make_sparse_gaussian`. Made uniform on [0, 1] by the
    normal distribution function, they set the column c of the blob's centre, its row r and its
    width w, in this order; what has no latent stays in the middle. Pixel (i, j) is

    .. math:: \exp\bigl(-((i - r)^2 + (j - c)^2) / (2 w^2)\bigr)

    without noise. Its logarithm is a quadratic function of (i, j) with coefficients that give
    back r, c and w. So an image is a one-to-one function of its latents, and the images have
    the information of the latents, :math:`-\tfrac{d}{2} \log(1 - \rho^2)` for d of them.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of pairs.
    n_latents : {1, 2, 3}, default=2
        Latents of each image: the column; and the row; and the width.
    correlation : float, default=0.8
        Correlation of each latent of X with that of Y.
    side : int, default=16
        Height and width of the images in pixels, 8 or more. The centre keeps a quarter of it
        from the border; the width is between 1/16 and 1/8 of it.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    X : ndarray of shape (n_samples, side, side)
    Y : ndarray of shape (n_samples, side, side)
        Values between 0 and 1.
    mi : float
        I(X; Y) in nats.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> from skmi.datasets import make_images
    >>> X, Y, mi = make_images(100, n_latents=2, correlation=0.8, random_state=0)
    >>> X.shape, Y.shape, round(mi, 3)
    ((100, 16, 16), (100, 16, 16), 1.022)
    """
    *latents, mi = make_sparse_gaussian(
        n_samples, n_features_x=n_latents, correlation=correlation, random_state=random_state
    )
    return *(_blobs(normal_cdf(values), side) for values in latents), mi


def _blobs(latents, side):
    """Images of shape (n, side, side) for latents in [0, 1] of shape (n, 1 to 3)."""
    n_samples, n_latents = latents.shape
    column, row, size = np.hstack([latents, np.full((n_samples, 3 - n_latents), 0.5)]).T
    width = side * (1 + size) / 16

    def profile(place):
        center = (side - 1) / 2 + side * (place - 0.5) / 2
        return np.exp(-0.5 * ((np.arange(side) - center[:, None]) / width[:, None]) ** 2)

    return profile(row)[:, :, None] * profile(column)[:, None, :]


# ------------------------------------------------------------------ three variables


@_validated(covariance=["array-like"], n_features_x=COUNT, n_features_y=COUNT)
def make_gaussian_triple(
    n_samples=1000,
    *,
    covariance=((1, 0, 0.6), (0, 1, 0.6), (0.6, 0.6, 1)),
    n_features_x=1,
    n_features_y=1,
    random_state=None,
):
    r"""Jointly Gaussian X, Y and Z with known conditional information I(X; Y | Z).

    That is `gaussian_conditional_mutual_info`. By default X and Y are independent, and become
    dependent given Z, to which both contribute.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    covariance : array-like of shape (p + q + r, p + q + r)
        Positive definite covariance matrix of X, then Y, then Z.
    n_features_x, n_features_y : int, default=1
        The numbers p and q of coordinates that belong to X and to Y.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    X : ndarray of shape (n_samples, p)
    Y : ndarray of shape (n_samples, q)
    Z : ndarray of shape (n_samples, r)
    cmi : float
        I(X; Y | Z) in nats.

    Raises
    ------
    ValueError
        If `covariance` is not a covariance matrix, or nothing is left for Z.

    Examples
    --------
    >>> from skmi.datasets import make_gaussian_triple
    >>> X, Y, Z, cmi = make_gaussian_triple(random_state=0)
    >>> Z.shape, round(cmi, 3)
    ((1000, 1), 0.19)
    """
    cmi = gaussian_conditional_mutual_info(covariance, n_features_x, n_features_y)
    rows = _normal(check_random_state(random_state), n_samples, np.asarray(covariance))
    return *np.split(rows, [n_features_x, n_features_x + n_features_y], axis=1), cmi


@_validated(n_features=COUNT, correlation=CORRELATION)
def make_gaussian_chain(n_samples=1000, *, n_features=1, correlation=0.8, random_state=None):
    r"""A Gaussian chain X -> Z -> Y: dependent, but independent given Z.

    Each coordinate is a chain of its own, with correlation :math:`\rho` from link to link, so
    that :math:`I(X; Y) = -\tfrac{d}{2} \log(1 - \rho^4)` and I(X; Y | Z) = 0.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    n_features : int, default=1
        The number d of coordinates of each variable.
    correlation : float, default=0.8
        Correlation of X with Z and of Z with Y.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    X, Y, Z : ndarray of shape (n_samples, n_features)
    cmi : float
        I(X; Y | Z) in nats, which is 0.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> from skmi.datasets import make_gaussian_chain
    >>> X, Y, Z, cmi = make_gaussian_chain(n_features=3, random_state=0)
    >>> Z.shape, cmi
    ((1000, 3), 0.0)
    """
    rho = correlation
    links = np.array([[1, rho * rho, rho], [rho * rho, 1, rho], [rho, rho, 1]])
    return make_gaussian_triple(
        n_samples,
        covariance=np.kron(links, np.eye(n_features)),
        n_features_x=n_features,
        n_features_y=n_features,
        random_state=random_state,
    )


@_validated()
def make_xor(n_samples=1000, *, random_state=None):
    r"""Independent fair bits X and Y, and Z = X xor Y.

    Any two of the three are independent, and any two determine the third: I(X; Y) = 0 and
    I(X; Y | Z) = log 2.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    X, Y, Z : ndarray of shape (n_samples, 1)
        Zeros and ones, as floats.
    cmi : float
        I(X; Y | Z) in nats.

    Raises
    ------
    ValueError
        If `n_samples` is not a positive integer.

    Examples
    --------
    >>> from skmi.datasets import make_xor
    >>> X, Y, Z, cmi = make_xor(random_state=0)
    >>> Z.shape, round(cmi, 3)
    ((1000, 1), 0.693)
    """
    X, Y = check_random_state(random_state).randint(2, size=(2, n_samples, 1)).astype(np.float64)
    return X, Y, np.abs(X - Y), float(np.log(2))
