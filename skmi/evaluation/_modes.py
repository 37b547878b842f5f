"""Measures of samples: which modes of the data they hit, and how faithful reconstructions are."""

import math
from numbers import Integral, Real

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import xlogy
from sklearn.utils._param_validation import Interval, validate_params
from sklearn.utils.validation import check_is_fitted

from skmi._rows import check_same_length, read_rows

__all__ = [
    "kl_to_uniform_over_modes",
    "label_preserving_accuracy",
    "mode_counts",
    "modes_captured",
    "reconstruction_error",
]


def mode_counts(samples, modes, *, radius=None):
    """How many samples are near each mode of the data.

    Parameters
    ----------
    samples : array-like of shape (n, p), or images with a classifier
        Rows of a generative model.
    modes : array-like of shape (k, p), or fitted classifier
        The centres of the modes; a sample belongs to the nearest. Or a classifier of flat grey
        images, for which a mode is what it says of all channels together: of c channels and m
        classes there are :math:`m^c` (see `skmi.datasets.stack_images`).
    radius : float or None, default=None
        Largest distance from a centre at which a sample counts; three standard deviations of a
        mode are customary. Classifiers have none. None: any distance.

    Returns
    -------
    ndarray of int of shape (k,)
        Their sum is less than n where samples are near no mode.

    Raises
    ------
    ValueError, TypeError
        For data or parameters that cannot be used; the message names the argument.
    NotFittedError
        If the classifier is not fitted.

    Examples
    --------
    >>> from skmi.evaluation import mode_counts
    >>> mode_counts([[0.1], [0.2], [4.9], [2.5]], [[0.0], [5.0]], radius=0.5)
    array([2, 1])
    """
    given, samples = samples, read_rows("samples", samples)
    if hasattr(modes, "predict"):
        if radius is not None:
            raise ValueError("radius is a distance from centres, which a classifier does not have.")
        return _count_classes(given, samples, modes)
    modes = read_rows("modes", modes)
    if samples.ndim != 2 or modes.ndim != 2 or samples.shape[1] != modes.shape[1]:
        raise ValueError(
            "samples and modes must be rows of as many columns, (n, p) and (k, p), got shapes "
            f"{samples.shape} and {modes.shape}."
        )
    if radius is not None and not (isinstance(radius, Real) and radius > 0):
        raise ValueError(f"radius={radius!r} must be a positive number or None.")
    distances, nearest = cKDTree(modes).query(samples)
    near = distances <= (math.inf if radius is None else radius)
    return np.bincount(nearest[near], minlength=len(modes))


def _predict(classifier, given, rows: np.ndarray) -> np.ndarray:
    """The classes of flat rows, from the frame that they were if it was one, with its names."""
    return classifier.predict(given if hasattr(given, "columns") else rows)


def _count_classes(given, samples: np.ndarray, classifier) -> np.ndarray:
    if samples.ndim < 4:
        samples = samples[:, None]
    n_samples, n_channels = samples.shape[:2]
    if not hasattr(classifier, "classes_"):
        check_is_fitted(classifier)
        raise TypeError(
            "modes must be centres or a fitted classifier, got a "
            f"{type(classifier).__name__}, which has no classes_."
        )
    classes = np.asarray(classifier.classes_)
    found = _predict(classifier, given, samples.reshape(n_samples * n_channels, -1))
    labels = np.searchsorted(classes, found).reshape(n_samples, n_channels)
    powers = len(classes) ** np.arange(n_channels)[::-1]
    return np.bincount(labels @ powers, minlength=len(classes) ** n_channels)


@validate_params(
    {"fewest": [Interval(Integral, 1, None, closed="left")]},
    prefer_skip_nested_validation=True,
)
def modes_captured(samples, modes, *, radius=None, fewest=1):
    """How many modes of the data the samples hit.

    Parameters
    ----------
    samples, modes, radius
        As in `mode_counts`.
    fewest : int, default=1
        Samples near a mode from which it counts. One lucky stray is enough by default, as is
        customary; a model whose samples fill the space between the modes then captures them
        all, so look at the part of the samples that is near a mode as well.

    Returns
    -------
    int

    See Also
    --------
    mode_counts : The samples near each mode.
    kl_to_uniform_over_modes : Whether modes are hit equally often.

    References
    ----------
    .. [1] A. Srivastava et al., "VEEGAN: reducing mode collapse in GANs using implicit variational
       learning", NeurIPS 2017, section 4.
    .. [2] M. I. Belghazi et al., "Mutual information neural estimation", ICML 2018, Table 1.

    Examples
    --------
    >>> from skmi.datasets import make_gaussian_grid
    >>> from skmi.evaluation import modes_captured
    >>> X, y, modes = make_gaussian_grid(2000, random_state=0)
    >>> modes_captured(X[y < 12], modes, radius=0.15)
    12
    """
    return int((mode_counts(samples, modes, radius=radius) >= fewest).sum())


def kl_to_uniform_over_modes(samples, modes, *, radius=None):
    r"""Divergence of the modes of samples from the uniform distribution over all k modes.

    .. math:: KL(p \| u) = \sum_j p_j \log p_j + \log k

    where :math:`p_j` is the part of the samples near mode j, of those that are near any.

    Parameters
    ----------
    samples, modes, radius
        As in `mode_counts`.

    Returns
    -------
    float
        In nats: 0 if all modes are hit equally often, log k if one is; NaN if no sample is near a
        mode. Of n samples of the uniform distribution itself about (k - 1) / 2n.

    Examples
    --------
    >>> from skmi.evaluation import kl_to_uniform_over_modes
    >>> kl = kl_to_uniform_over_modes([[0.0], [0.1], [0.2], [5.0]], [[0.0], [5.0]])
    >>> round(kl, 4)
    0.1308
    """
    counts = mode_counts(samples, modes, radius=radius)
    if not counts.any():
        return math.nan
    parts = counts / counts.sum()
    return float(xlogy(parts, parts).sum() + math.log(len(counts)))


def reconstruction_error(X, X_hat):
    r"""Mean Euclidean distance of rows and their reconstructions.

    .. math:: \frac1n \sum_i \lVert x_i - \hat x_i \rVert

    Parameters
    ----------
    X, X_hat : array-like of shape (n, ...)
        Rows or images, and what was made of them. Images may have an axis of one channel in one
        of the two only.

    Returns
    -------
    float
        In the units of the data.

    See Also
    --------
    ms_ssim : Similarity of images.

    Examples
    --------
    >>> from skmi.evaluation import reconstruction_error
    >>> reconstruction_error([[0.0, 0.0], [1.0, 1.0]], [[3.0, 4.0], [1.0, 1.0]])
    2.5
    """
    X, X_hat = _read_pair(X, X_hat)
    return float(np.linalg.norm(X - X_hat, axis=1).mean())


def label_preserving_accuracy(classifier, X, X_hat):
    """Part of the rows whose reconstruction a classifier takes for the same class.

    Parameters
    ----------
    classifier : fitted classifier
        With ``predict`` of flat rows.
    X, X_hat : array-like of shape (n, ...)
        Rows or images, and what was made of them.

    Returns
    -------
    float
        From 0 to 1.

    References
    ----------
    .. [1] M. I. Belghazi et al., "Mutual information neural estimation", ICML 2018, section 5.2.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skmi.evaluation import label_preserving_accuracy
    >>> X, y = load_digits(return_X_y=True)
    >>> classifier = KNeighborsClassifier().fit(X[:900], y[:900])
    >>> label_preserving_accuracy(classifier, X[900:], X[900:].round(-1)) > 0.9
    True
    """
    if not hasattr(classifier, "predict"):
        raise TypeError(f"classifier must be a fitted classifier with predict, got {classifier!r}.")
    pair = zip((X, X_hat), _read_pair(X, X_hat), strict=True)
    labels, labels_hat = (_predict(classifier, given, rows) for given, rows in pair)
    return float(np.mean(labels == labels_hat))


def _read_pair(X, X_hat) -> tuple[np.ndarray, np.ndarray]:
    """Rows and reconstructions, flat, in float64."""
    X, X_hat = read_rows("X", X), read_rows("X_hat", X_hat)
    check_same_length(X=X, X_hat=X_hat)
    shapes = [tuple(size for size in array.shape[1:] if size > 1) for array in (X, X_hat)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"X and X_hat must have rows of the same shape, got {X.shape[1:]} and "
            f"{X_hat.shape[1:]}."
        )
    return tuple(array.reshape(len(array), -1).astype(np.float64) for array in (X, X_hat))
