"""Similarity of images and their reconstructions."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, validate_params
from torch import Tensor
from torch.nn import functional as F

from skmi._rows import read_rows
from skmi.exceptions import warn

__all__ = ["count_scales", "ms_ssim"]

#: Weights of the scales, from the finest to the coarsest (Wang et al., 2003, section 3.2).
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
#: The constants K_1^2 and K_2^2 that keep the ratios away from 0 / 0.
C_1, C_2 = 0.01**2, 0.03**2
#: Numbers that are processed at once.
CHUNK_SIZE = 2**20


@validate_params(
    {
        "data_range": [None, Interval(Real, 0, None, closed="neither"), "array-like"],
        "n_scales": [Interval(Integral, 1, len(WEIGHTS), closed="both"), "array-like"],
        "window_size": [Interval(Integral, 2, None, closed="left")],
        "sigma": [Interval(Real, 0, None, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def ms_ssim(X, X_hat, *, data_range=None, n_scales=5, window_size=11, sigma=1.5):
    r"""Multi-scale structural similarity of images and their reconstructions.

    Means :math:`\mu`, variances :math:`\sigma^2` and the covariance :math:`\sigma_{xy}` are
    taken in a Gaussian window around every pixel. Luminance, and contrast and structure in one,
    are compared as

    .. math::
        l = \frac{2 \mu_x \mu_y + C_1}{\mu_x^2 + \mu_y^2 + C_1}, \qquad
        cs = \frac{2 \sigma_{xy} + C_2}{\sigma_x^2 + \sigma_y^2 + C_2}

    with :math:`C_1 = (0.01 L)^2`, :math:`C_2 = (0.03 L)^2` and L the length of the data range.
    Between a scale and the next, images are averaged over 2 x 2 pixels. With the mean over
    the pixels as a bar ([1]_, eq. 7),

    .. math::
        \text{MS-SSIM} = \overline{l \, cs}_M^{\,w_M} \prod_{j < M} \overline{cs}_j^{\,w_j} .

    Parameters
    ----------
    X : array-like of shape (n, c, h, w) or (n, h, w)
        Images. The channels of colour images are compared one by one, and averaged.
    X_hat : array-like of the same shape
        Their reconstructions. Grey images may have an axis of one channel in one of the two only.
    data_range : float, (float, float) or None, default=None
        Values that pixels may have: L for 0 to L, or the least and the greatest, such as
        ``(-1, 1)``. It may be left out for images of dtype uint8 only, whose range is 255.
    n_scales : int or sequence of float, default=5
        Number M of scales. Five have the published weights; fewer have the first of these,
        divided by their sum. Or weights of your own, from the finest scale to the coarsest.
    window_size : int, default=11
        Side of the window in pixels.
    sigma : float, default=1.5
        Standard deviation of the window in pixels.

    Returns
    -------
    ndarray of shape (n,)
        A value from 0 to 1 for each image; 1 for identical images only.

    Raises
    ------
    ValueError, TypeError
        For data or parameters that cannot be used; the message names the argument.

    Warns
    -----
    UserWarning
        If the images take up less than a hundredth of `data_range`, which is then most likely
        that of another scaling of them.

    See Also
    --------
    reconstruction_decoder : Reconstructs images from a representation.

    Notes
    -----
    The window must fit into the coarsest scale, so both sides need at least
    :math:`(\text{window\_size} - 1)\, 2^{M-1} + 1` pixels: 161 by default. Smaller images need
    fewer scales or a smaller window: CIFAR's 32 x 32 pixels have room for ``n_scales=2`` with
    the window of 11, and for ``n_scales=3`` with ``window_size=7``. Values for different scales
    or windows are not comparable: report them.

    A mean of cs below zero, which inverted images have, counts as zero.

    References
    ----------
    .. [1] Z. Wang, E. P. Simoncelli and A. C. Bovik, "Multiscale structural similarity for
       image quality assessment", Asilomar Conference on Signals, Systems and Computers, 2003.

    Examples
    --------
    >>> import numpy as np
    >>> from skmi.evaluation import ms_ssim
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(4, 3, 32, 32))
    >>> ms_ssim(X, X, data_range=1, n_scales=2)
    array([1., 1., 1., 1.])
    >>> noisy = np.clip(X + rng.normal(scale=0.3, size=X.shape), 0, 1)
    >>> bool((ms_ssim(X, noisy, data_range=1, n_scales=2) < 0.9).all())
    True
    """
    are_bytes = all(np.asarray(images).dtype == np.uint8 for images in (X, X_hat))
    X, X_hat = read_rows("X", X), read_rows("X_hat", X_hat)
    shapes = X.shape, X_hat.shape
    if {X.ndim, X_hat.ndim} == {3, 4}:
        X, X_hat = (images[:, None] if images.ndim == 3 else images for images in (X, X_hat))
    if X.shape != X_hat.shape:
        raise ValueError(f"X and X_hat must have the same shape, got {shapes[0]} and {shapes[1]}.")
    weights = _read_weights(n_scales)
    _check_size(X.shape, len(weights), window_size)
    low, high = _read_range(data_range, are_bytes, X=X, X_hat=X_hat)
    offsets = torch.arange(window_size, dtype=torch.float64) - (window_size - 1) / 2
    window = torch.softmax(-(offsets**2) / (2 * sigma**2), dim=0)
    n_at_once = max(1, CHUNK_SIZE // X[0].size)
    values = []
    for start in range(0, len(X), n_at_once):
        pair = (
            torch.from_numpy(images[start : start + n_at_once].astype(np.float64) - low)
            .div(high - low)
            .reshape(-1, 1, *X.shape[-2:])
            for images in (X, X_hat)
        )
        values.append(_compare(*pair, window, weights))
    return torch.cat(values).reshape(len(X), -1).mean(dim=1).numpy()


def _compare(x: Tensor, y: Tensor, window: Tensor, weights: np.ndarray) -> Tensor:
    """The index of grey images of shape (n, 1, h, w) with pixels from 0 to 1."""
    product = 1.0
    for scale, weight in enumerate(weights, start=1):
        maps = torch.cat([x, y, x * x, y * y, x * y])
        blur_rows, blur_columns = (_blur(side, window) for side in maps.shape[-2:])
        maps = blur_rows @ maps @ blur_columns.T
        mean_x, mean_y, square_x, square_y, cross = maps.chunk(5)
        covariance = cross - mean_x * mean_y
        variances = square_x - mean_x**2 + square_y - mean_y**2
        similarity = (2 * covariance + C_2) / (variances + C_2)
        if scale == len(weights):
            similarity *= (2 * mean_x * mean_y + C_1) / (mean_x**2 + mean_y**2 + C_1)
        product = product * similarity.mean(dim=(1, 2, 3)).clamp(min=0) ** weight
        x, y = (F.avg_pool2d(z, 2, ceil_mode=True) for z in (x, y))
    return product


def _blur(side: int, window: Tensor) -> Tensor:
    """The matrix that slides the window along a side: faster than a convolution in float64."""
    return torch.eye(side, dtype=window.dtype).unfold(0, len(window), 1) @ window


def _read_weights(n_scales) -> np.ndarray:
    if isinstance(n_scales, Integral):
        weights = np.array(WEIGHTS[:n_scales])
        return weights if n_scales == len(WEIGHTS) else weights / weights.sum()
    weights = np.asarray(n_scales, dtype=np.float64)
    if (
        weights.ndim != 1
        or not len(weights)
        or not ((weights >= 0) & (weights < np.inf)).all()
        or not weights.any()
    ):
        raise ValueError(
            "n_scales must be a number of scales or a sequence of their weights, not negative "
            f"and not all zero, got {n_scales!r}."
        )
    return weights


def count_scales(side: int, window_size: int) -> int:
    """The most scales that images of this side have room for."""
    return ((side - 1) // (window_size - 1)).bit_length()


def _check_size(shape: tuple[int, ...], n_scales: int, window_size: int) -> None:
    if len(shape) not in (3, 4):
        raise ValueError(
            f"X must be images of shape (n, c, h, w) or (n, h, w), got shape {shape}. Use "
            "X.reshape(n, c, h, w) for flat images."
        )
    side, step = min(shape[-2:]), 2 ** (n_scales - 1)
    smallest = (window_size - 1) * step + 1
    if side >= smallest:
        return
    remedies, last = [], "."
    if len(shape) == 4 and shape[-1] <= 4:
        remedies.append("X.transpose(0, 3, 1, 2) if the channels come last")
    if side >= window_size:
        remedies.append(f"n_scales={count_scales(side, window_size)}")
    if (side - 1) // step >= 2:
        remedies.append(f"window_size={(side - 1) // step + 1}")
    if not remedies:
        remedies.append(f"n_scales=1 and window_size={side}")
    if "=" in remedies[-1]:
        last = ", and report it."  # values of other settings do not compare
    halvings = f" after {n_scales - 1} halving{'s' * (n_scales > 2)}" if n_scales > 1 else ""
    raise ValueError(
        f"X has images of {shape[-2]} x {shape[-1]} pixels, too small for {n_scales} scale(s) with "
        f"window_size={window_size}: both sides need at least {smallest} pixels, so that the "
        f"window fits{halvings}. Use {' or '.join(remedies)}{last}"
    )


def _read_range(data_range, are_bytes: bool, **arrays) -> tuple[float, float]:
    if data_range is None:
        if not are_bytes:
            raise ValueError(
                "data_range must be given unless X and X_hat are both of dtype uint8: 1 for "
                "pixels from 0 to 1, (-1, 1) for pixels from -1 to 1."
            )
        data_range = 255
    bounds = (0.0, data_range) if isinstance(data_range, Real) else tuple(data_range)
    if len(bounds) != 2 or not -np.inf < bounds[0] < bounds[1] < np.inf:
        raise ValueError(
            "data_range must be a finite length or a pair (least, greatest) of pixel values, got "
            f"{data_range!r}."
        )
    low, high = map(float, bounds)
    margin = 1e-6 * (high - low)
    extents = {name: (images.min(), images.max()) for name, images in arrays.items()}
    for name, (least, greatest) in extents.items():
        if least < low - margin or greatest > high + margin:
            raise ValueError(
                f"{name} has values from {least:.6g} to {greatest:.6g}, outside data_range, "
                f"{low:g} to {high:g}. Pass the range that pixels may have, data_range=(least, "
                f"greatest), or clip: np.clip({name}, {low:g}, {high:g})."
            )
    least, greatest = extents["X"]
    if 0 < greatest - least < 0.01 * (high - low):
        warn(
            f"X has values from {least:.6g} to {greatest:.6g} only, next to nothing of data_range, "
            f"{low:g} to {high:g}, so that anything looks similar. Is data_range that of another "
            "scaling of the images?",
            UserWarning,
        )
    return low, high
