r"""One-to-one maps of one variable, which leave its mutual information with others alone.

All take rows and return rows, ``(n_samples, n_features)``; all but `spiral` and `swiss_roll`
map each column by the same increasing function. Source of the family: P. Czyz et al., "Beyond
Normal: On the Evaluation of Mutual Information Estimators", NeurIPS 2023 (arXiv 2306.11078).
"""

import numpy as np
from scipy.special import ndtr
from sklearn.utils import check_array

__all__ = [
    "TRANSFORMS",
    "asinh",
    "bimodal",
    "half_cube",
    "normal_cdf",
    "spiral",
    "swiss_roll",
    "wiggly",
]


def _rows(X):
    return check_array(X, dtype=np.float64, input_name="X")


def asinh(X):
    r"""Shorten heavy tails: :math:`x \mapsto \log(x + \sqrt{x^2 + 1})`, column by column.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)

    Returns
    -------
    ndarray of shape (n_samples, n_features)

    Examples
    --------
    >>> from skmi.datasets import asinh
    >>> asinh([[0.0, 1e6]]).round(2)
    array([[ 0.  , 14.51]])
    """
    return np.arcsinh(_rows(X))


def half_cube(X):
    r"""Lengthen the tails: :math:`x \mapsto \mathrm{sign}(x) |x|^{3/2}`, column by column.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)

    Returns
    -------
    ndarray of shape (n_samples, n_features)

    Examples
    --------
    >>> from skmi.datasets import half_cube
    >>> half_cube([[-4.0, 9.0]])
    array([[-8., 27.]])
    """
    X = _rows(X)
    return X * np.sqrt(np.abs(X))


def normal_cdf(X):
    r"""Make standard normal columns uniform on [0, 1]: :math:`x \mapsto \Phi(x)`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)

    Returns
    -------
    ndarray of shape (n_samples, n_features)

    Examples
    --------
    >>> from skmi.datasets import normal_cdf
    >>> normal_cdf([[0.0, 1.96]]).round(3)
    array([[0.5  , 0.975]])
    """
    return ndtr(_rows(X))


def bimodal(X, *, weight=0.5, centers=(-1.0, 3.0)):
    r"""Give standard normal columns two modes: :math:`x \mapsto F^{-1}(\Phi(x))`.

    F is the distribution function of a mixture of two normals of unit variance,

    .. math:: F(t) = w \Phi(t - c_1) + (1 - w) \Phi(t - c_2) .

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    weight : float, default=0.5
        Weight w of the first mode, between 0 and 1.
    centers : pair of float, default=(-1.0, 3.0)
        The centres c of the modes.

    Returns
    -------
    ndarray of shape (n_samples, n_features)

    Raises
    ------
    ValueError
        If `weight` is not between 0 and 1, or there are not two `centers`.

    Examples
    --------
    >>> from skmi.datasets import bimodal
    >>> bimodal([[-1.0, 0.0, 1.0]]).round(2)
    array([[-1.48,  1.  ,  3.48]])
    """
    X = _rows(X)
    if not 0 <= weight <= 1:
        raise ValueError(f"weight must lie between 0 and 1, got {weight!r}.")
    if np.shape(centers) != (2,):
        raise ValueError(f"centers must be two numbers, one for each mode, got {centers!r}.")
    # Between these two F crosses Phi(x). Positive x compare upper tails, which keep digits.
    low, high = X + min(centers), X + max(centers)
    side = np.where(X > 0, -1.0, 1.0)
    target = ndtr(side * X)
    for _ in range(60):
        middle = (low + high) / 2
        first, second = (ndtr(side * (middle - center)) for center in centers)
        below = side * (weight * first + (1 - weight) * second - target) < 0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def wiggly(X, *, waves=((0.4, 1.0, 0.0), (0.2, 1.7, 1.0), (0.03, 3.3, -2.5))):
    r"""Add waves to each column: :math:`x \mapsto x + \sum_k a_k \sin(f_k x + \varphi_k)`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    waves : sequence of (amplitude a, frequency f, phase), default=three waves
        The sum of the products :math:`|a_k f_k|` must be less than 1, which makes the map
        increasing.

    Returns
    -------
    ndarray of shape (n_samples, n_features)

    Raises
    ------
    ValueError
        If the waves are not triples, or too steep to be one-to-one.

    Examples
    --------
    >>> from skmi.datasets import wiggly
    >>> wiggly([[0.0, 1.0]], waves=[(0.5, 1.0, 0.0)]).round(2)
    array([[0.  , 1.42]])
    """
    X = _rows(X)
    waves = np.asarray(waves, dtype=np.float64)
    if waves.ndim != 2 or waves.shape[1] != 3:
        raise ValueError(
            "waves must be triples (amplitude, frequency, phase), got an array of shape "
            f"{waves.shape}."
        )
    slope = np.abs(waves[:, 0] * waves[:, 1]).sum()
    if not slope < 1:
        raise ValueError(
            f"waves must have sum |amplitude * frequency| < 1 to keep the map one-to-one, got "
            f"{slope:.3g}. Take smaller amplitudes."
        )
    return X + sum(a * np.sin(f * X + phase) for a, f, phase in waves)


def spiral(X, *, plane=(0, 1), speed=None):
    r"""Turn each row in a plane, by an angle that grows with the squared norm of the row.

    .. math:: x \mapsto \exp(s \|x\|^2 A)\, x

    where A generates the rotations from coordinate ``plane[0]`` to coordinate ``plane[1]``.
    Norms stay, so that ``spiral(X, plane=plane, speed=-speed)`` is the inverse. Of a rotation
    invariant distribution the image has the same distribution; what is spiralled is the
    relation to other variables. Source: Czyz et al. 2023 (arXiv 2306.11078), whose tasks turn
    X in the plane (0, 1) and Y in the plane (1, 2).

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        At least two columns.
    plane : pair of int, default=(0, 1)
        The coordinates that are turned.
    speed : float or None, default=None
        The factor s, in radians. None is ``1 / n_features``, about one radian for standard
        normal columns.

    Returns
    -------
    ndarray of shape (n_samples, n_features)

    Raises
    ------
    ValueError
        If `plane` is not a pair of different columns of X.

    Examples
    --------
    >>> import numpy as np
    >>> from skmi.datasets import spiral
    >>> spiral([[1.0, 0.0]], speed=np.pi / 2).round(2)
    array([[0., 1.]])
    """
    X = _rows(X)
    n_features = X.shape[1]
    if len(set(plane)) != 2 or len(plane) != 2 or not set(plane) <= set(range(n_features)):
        raise ValueError(
            f"plane must name two different columns of X, which has {n_features}, got {plane!r}."
        )
    angle = np.square(X).sum(axis=1) * (1 / n_features if speed is None else speed)
    i, j = plane
    turned = X.copy()
    turned[:, i] = np.cos(angle) * X[:, i] - np.sin(angle) * X[:, j]
    turned[:, j] = np.sin(angle) * X[:, i] + np.cos(angle) * X[:, j]
    return turned


def swiss_roll(X):
    r"""Roll one column up in the plane, around the origin one and a half times.

    .. math::
        x \mapsto \tfrac{1}{21} (t \cos t, t \sin t), \qquad t = \tfrac{3}{2} \pi (1 + 2 x)

    The radius grows with x, so that the map is one-to-one. Source: the form of
    `sklearn.datasets.make_swiss_roll`, scaled as in Czyz et al. 2023 (arXiv 2306.11078).

    Parameters
    ----------
    X : array-like of shape (n_samples, 1)
        One column with values in [0, 1], as `normal_cdf` makes them.

    Returns
    -------
    ndarray of shape (n_samples, 2)

    Raises
    ------
    ValueError
        If X has several columns or values outside [0, 1].

    Examples
    --------
    >>> from skmi.datasets import swiss_roll
    >>> swiss_roll([[0.5]]).round(3)
    array([[-0.449,  0.   ]])
    """
    X = _rows(X)
    if X.shape[1] != 1 or X.min() < 0 or X.max() > 1:
        raise ValueError(
            "X must be one column with values in [0, 1] to be rolled up, got "
            f"{X.shape[1]} column(s) between {X.min():.3g} and {X.max():.3g}. Apply normal_cdf "
            "to a standard normal column first."
        )
    t = 1.5 * np.pi * (1 + 2 * X)
    return np.hstack([t * np.cos(t), t * np.sin(t)]) / 21


#: The transforms by name.
TRANSFORMS = {
    "asinh": asinh,
    "bimodal": bimodal,
    "half-cube": half_cube,
    "normal-cdf": normal_cdf,
    "spiral": spiral,
    "swiss-roll": swiss_roll,
    "wiggly": wiggly,
}
