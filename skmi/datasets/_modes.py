"""Data with many modes, which generative models may miss."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from skmi._rows import check_same_length, read_rows

__all__ = ["make_gaussian_grid", "make_spiral", "stack_images"]

COUNT = [Interval(Integral, 1, None, closed="left")]
POSITIVE = [Interval(Real, 0, None, closed="neither")]
NOT_NEGATIVE = [Interval(Real, 0, None, closed="left")]
#: Angle in radians at which the spiral begins, and its number of turns.
FIRST_ANGLE, N_TURNS = np.pi / 2, 2.0


@validate_params(
    {
        "n_samples": COUNT,
        "n_side": COUNT,
        "spacing": POSITIVE,
        "std": NOT_NEGATIVE,
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_gaussian_grid(n_samples=100_000, *, n_side=5, spacing=2.0, std=0.05, random_state=None):
    """A mixture of normal distributions on a square grid: 25 Gaussians by default.

    Parameters
    ----------
    n_samples : int, default=100000
        Number of rows.
    n_side : int, default=5
        Number of means along a side of the grid, which has its centre at 0.
    spacing : float, default=2.0
        Distance of neighbouring means.
    std : float, default=0.05
        Standard deviation of each mode, in each of the two columns.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    X : ndarray of shape (n_samples, 2)
    y : ndarray of int of shape (n_samples,)
        The mode of each row.
    modes : ndarray of shape (n_side ** 2, 2)
        The means, for `skmi.evaluation.modes_captured`.

    References
    ----------
    .. [1] M. I. Belghazi et al., "Mutual information neural estimation", ICML 2018, App. 8.1.2.

    Examples
    --------
    >>> from skmi.datasets import make_gaussian_grid
    >>> X, y, modes = make_gaussian_grid(1000, random_state=0)
    >>> X.shape, modes.shape, bool(abs(X - modes[y]).max() < 0.25)
    ((1000, 2), (25, 2), True)
    """
    rng = check_random_state(random_state)
    ticks = spacing * (np.arange(n_side) - (n_side - 1) / 2)
    modes = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)
    y = rng.randint(len(modes), size=n_samples)
    return modes[y] + std * rng.standard_normal((n_samples, 2)), y, modes


@validate_params(
    {
        "n_samples": COUNT,
        "n_modes": COUNT,
        "noise": NOT_NEGATIVE,
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_spiral(n_samples=100_000, *, n_modes=50, noise=0.02, random_state=None):
    r"""Points along a spiral of Archimedes, evenly by length, with normal noise.

    The curve is :math:`\theta (\cos\theta, \sin\theta)` over two turns, divided by its largest
    radius. It has no modes, but `n_modes` pieces of equal length let coverage be counted.

    Parameters
    ----------
    n_samples : int, default=100000
        Number of rows.
    n_modes : int, default=50
        Number of pieces.
    noise : float, default=0.02
        Standard deviation of the noise, in each of the two columns.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    X : ndarray of shape (n_samples, 2)
    y : ndarray of int of shape (n_samples,)
        The piece of each row.
    modes : ndarray of shape (n_modes, 2)
        The middle of each piece, for `skmi.evaluation.modes_captured`.

    References
    ----------
    .. [1] M. I. Belghazi et al., "Mutual information neural estimation", ICML 2018, App. 8.1.2.

    Examples
    --------
    >>> from skmi.datasets import make_spiral
    >>> X, y, modes = make_spiral(1000, n_modes=20, random_state=0)
    >>> X.shape, int(y.max()), modes.shape
    ((1000, 2), 19, (20, 2))
    """
    rng = check_random_state(random_state)
    angles = np.linspace(FIRST_ANGLE, FIRST_ANGLE + 2 * np.pi * N_TURNS, 10_001)
    curve = (angles * np.stack([np.cos(angles), np.sin(angles)])).T / angles[-1]
    length = np.concatenate([[0], np.linalg.norm(np.diff(curve, axis=0), axis=1).cumsum()])

    def at(part):
        """Points at parts of the length."""
        return np.stack([np.interp(part * length[-1], length, column) for column in curve.T], 1)

    places = rng.uniform(size=n_samples)
    X = at(places) + noise * rng.standard_normal((n_samples, 2))
    y = np.minimum((places * n_modes).astype(int), n_modes - 1)
    return X, y, at((np.arange(n_modes) + 0.5) / n_modes)


@validate_params(
    {"n_samples": COUNT, "n_channels": COUNT, "random_state": ["random_state"]},
    prefer_skip_nested_validation=True,
)
def stack_images(X, y, n_samples=128_000, *, n_channels=3, random_state=None):
    """Images of several channels, each channel a grey image of its own: stacked MNIST.

    Ten digits in three channels make 1000 modes.

    Parameters
    ----------
    X : array-like of shape (n, h, w) or (n, 1, h, w)
        Grey images, such as those of `load_mnist`.
    y : array-like of shape (n,)
        Their classes.
    n_samples : int, default=128000
        Number of images to make.
    n_channels : int, default=3
        Number of channels.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    X : ndarray of shape (n_samples, n_channels, h, w)
        Of the dtype of the images.
    y : ndarray of int of shape (n_samples,)
        The mode of each: with k classes, the number that the classes of its channels, numbered
        from 0 to k - 1 in their order, write to the base k.

    References
    ----------
    .. [1] M. I. Belghazi et al., "Mutual information neural estimation", ICML 2018, App. 8.1.3.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmi.datasets import stack_images
    >>> digits = load_digits()
    >>> X, y = stack_images(digits.images, digits.target, 500, random_state=0)
    >>> X.shape, int(y.max()) < 1000
    ((500, 3, 8, 8), True)
    """
    X, y = np.asarray(X), np.asarray(y)
    check_same_length(X=read_rows("X", X), y=y)
    if X.ndim == 4 and X.shape[1] == 1:
        X = X[:, 0]
    if X.ndim != 3:
        raise ValueError(
            f"X must be grey images of shape (n, h, w) or (n, 1, h, w), got shape {X.shape}. Use "
            "X.reshape(n, h, w) for flat images."
        )
    if y.ndim != 1:
        raise ValueError(f"y must be classes of shape (n,), got shape {y.shape}.")
    classes, labels = np.unique(y, return_inverse=True)
    chosen = check_random_state(random_state).randint(len(X), size=(n_samples, n_channels))
    powers = len(classes) ** np.arange(n_channels)[::-1]
    return X[chosen], labels[chosen] @ powers
