"""MS-SSIM against explicit loops, torchmetrics and what a similarity must satisfy."""

import math

import numpy as np
import pytest
import torch

from skmi.evaluation import ms_ssim

WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])


def smooth_images(n, channels, side, seed=0):
    """Sums of waves and a little noise, from 0 to 1."""
    rng = np.random.default_rng(seed)
    grid = np.arange(side)
    frequencies = rng.uniform(-0.4, 0.4, size=(2, 6, n, channels, 1, 1))
    phases = rng.uniform(0, 2 * np.pi, size=(6, n, channels, 1, 1))
    waves = np.sin(frequencies[0] * grid[:, None] + frequencies[1] * grid + phases).sum(0)
    images = waves + rng.normal(scale=0.5, size=waves.shape)
    images -= images.min(axis=(1, 2, 3), keepdims=True)
    return images / images.max(axis=(1, 2, 3), keepdims=True)


def disturbed(X, scale, seed=1):
    noise = np.random.default_rng(seed).normal(scale=scale, size=X.shape)
    return np.clip(X + noise, 0, 1)


def halved(image):
    """Means of 2 x 2 pixels; of what there is of them at an odd edge."""
    h, w = image.shape
    return np.array(
        [[image[i : i + 2, j : j + 2].mean() for j in range(0, w, 2)] for i in range(0, h, 2)]
    )


def explicit_ms_ssim(x, y, weights, size, sigma, length):
    """The definition, window by window."""
    offsets = np.arange(size) - (size - 1) / 2
    kernel = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    c1, c2 = (0.01 * length) ** 2, (0.03 * length) ** 2
    product = 1.0
    for scale, weight in enumerate(weights):
        values = []
        for i in range(x.shape[0] - size + 1):
            for j in range(x.shape[1] - size + 1):
                a, b = x[i : i + size, j : j + size], y[i : i + size, j : j + size]
                mean_a, mean_b = (kernel * a).sum(), (kernel * b).sum()
                var_a, var_b = (
                    (kernel * (a - mean_a) ** 2).sum(),
                    (kernel * (b - mean_b) ** 2).sum(),
                )
                covariance = (kernel * (a - mean_a) * (b - mean_b)).sum()
                value = (2 * covariance + c2) / (var_a + var_b + c2)
                if scale == len(weights) - 1:
                    value *= (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
                values.append(value)
        product *= max(np.mean(values), 0) ** weight
        x, y = halved(x), halved(y)
    return product


@pytest.mark.parametrize(
    ("shape", "n_scales", "size", "sigma", "length"),
    [
        ((20, 20), 1, 11, 1.5, 1.0),
        ((23, 22), 2, 7, 1.0, 255.0),
        ((25, 31), 3, 4, 1.5, 2.0),
        ((17, 17), 5, 2, 0.7, 1.0),
    ],
)
def test_definition(shape, n_scales, size, sigma, length):
    rng = np.random.default_rng(0)
    X = length * rng.uniform(size=(2, *shape))
    X_hat = np.clip(X + rng.normal(scale=0.1 * length, size=X.shape), 0, length)
    weights = WEIGHTS[:n_scales] / (WEIGHTS[:n_scales].sum() if n_scales < 5 else 1)
    expected = [
        explicit_ms_ssim(x, y, weights, size, sigma, length) for x, y in zip(X, X_hat, strict=True)
    ]
    actual = ms_ssim(X, X_hat, data_range=length, n_scales=n_scales, window_size=size, sigma=sigma)
    np.testing.assert_allclose(actual, expected, rtol=1e-9)
    assert (np.array(expected) < 0.99).all()


@pytest.mark.parametrize("n_scales", [1, 4])
def test_agrees_with_torchmetrics_in_contrast_and_structure(n_scales):
    functional = pytest.importorskip("torchmetrics.functional.image")
    X, X_hat = smooth_images(3, 1, 192), disturbed(smooth_images(3, 1, 192), 0.2)
    weights = (*WEIGHTS[:n_scales], 0.0)
    expected = functional.multiscale_structural_similarity_index_measure(
        torch.from_numpy(X_hat),
        torch.from_numpy(X),
        betas=weights,
        data_range=1.0,
        reduction="none",
    )
    actual = ms_ssim(X, X_hat, data_range=1, n_scales=weights)
    np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-6)
    assert (actual < 0.98).all()


def test_agrees_with_torchmetrics_up_to_borders():
    """On the last scale it also counts windows that mirror the image at its border."""
    functional = pytest.importorskip("torchmetrics.functional.image")
    X, X_hat = smooth_images(3, 1, 192), disturbed(smooth_images(3, 1, 192), 0.2)
    expected = functional.multiscale_structural_similarity_index_measure(
        torch.from_numpy(X_hat), torch.from_numpy(X), data_range=1.0, reduction="none"
    )
    np.testing.assert_allclose(ms_ssim(X, X_hat, data_range=1), expected.numpy(), atol=5e-3)


def test_identical_images_have_similarity_one():
    X = smooth_images(3, 2, 161)
    np.testing.assert_allclose(ms_ssim(X, X, data_range=1), 1, rtol=1e-12)
    flat = np.full((2, 1, 32, 32), 0.3)
    np.testing.assert_allclose(ms_ssim(flat, flat, data_range=1, n_scales=2), 1, rtol=1e-12)


def test_symmetry():
    X, Y = smooth_images(3, 3, 32), smooth_images(3, 3, 32, seed=5)
    forth = ms_ssim(X, Y, data_range=1, n_scales=2)
    np.testing.assert_allclose(ms_ssim(Y, X, data_range=1, n_scales=2), forth, rtol=1e-12)
    assert ((forth >= 0) & (forth < 0.9)).all()


def test_more_noise_is_less_similar():
    X = smooth_images(4, 1, 64)
    values = [
        ms_ssim(X, disturbed(X, scale), data_range=1, n_scales=3)
        for scale in (0.01, 0.03, 0.1, 0.3, 1.0)
    ]
    assert (np.diff(values, axis=0) < 0).all()


@pytest.mark.parametrize("transform", ["flip", "transpose", "rescale", "shift", "permute"])
def test_invariance(transform):
    X = smooth_images(3, 1, 48)
    Y = disturbed(X, 0.1)
    options = {"data_range": 1, "n_scales": 3}
    expected = ms_ssim(X, Y, **options)
    if transform == "flip":
        X, Y = X[..., ::-1, :], Y[..., ::-1, :]
    elif transform == "transpose":
        X, Y = X.swapaxes(2, 3), Y.swapaxes(2, 3)
    elif transform == "rescale":
        X, Y, options["data_range"] = 255 * X, 255 * Y, 255
    elif transform == "shift":
        X, Y, options["data_range"] = 2 * X - 1, 2 * Y - 1, (-1, 1)
    else:
        X, Y, expected = X[::-1], Y[::-1], expected[::-1]
    np.testing.assert_allclose(ms_ssim(X, Y, **options), expected, rtol=1e-9)


def test_luminance_in_closed_form():
    """Flat images differ in luminance only."""
    a, b = 0.2, 0.6
    X, Y = np.full((1, 32, 32), a), np.full((1, 32, 32), b)
    c1 = 0.01**2
    luminance = (2 * a * b + c1) / (a**2 + b**2 + c1)
    expected = luminance ** (0.2856 / (0.0448 + 0.2856))
    np.testing.assert_allclose(ms_ssim(X, Y, data_range=1, n_scales=2), [expected], rtol=1e-9)


def test_contrast_in_closed_form():
    """Halving the contrast around the local mean: cs = 2 (v / 2) / (v + v / 4) without C_2."""
    x = np.indices((64, 64)).sum(0) % 2  # a chessboard, of mean 1/2 in any even window
    X, Y = x[None] * 1.0, 0.25 + x[None] / 2
    value = ms_ssim(X, Y, data_range=1, n_scales=[1.0, 0.0], window_size=10, sigma=3)
    variance, c2 = 0.25, 0.03**2
    expected = (2 * variance / 2 + c2) / (variance + variance / 4 + c2)
    np.testing.assert_allclose(value, [expected], rtol=1e-3)


def test_inverted_images_are_not_similar():
    X = smooth_images(2, 1, 32)
    assert (ms_ssim(X, 1 - X, data_range=1, n_scales=2) == 0).all()


def test_channels_are_averaged():
    X = smooth_images(4, 3, 32)
    Y = disturbed(X, 0.2)
    options = {"data_range": 1, "n_scales": 2}
    channels = [ms_ssim(X[:, i], Y[:, i], **options) for i in range(3)]
    np.testing.assert_allclose(ms_ssim(X, Y, **options), np.mean(channels, axis=0), rtol=1e-12)


def test_chunks_make_no_difference(monkeypatch):
    X = smooth_images(5, 3, 32)
    Y = disturbed(X, 0.2)
    expected = ms_ssim(X, Y, data_range=1, n_scales=2)
    monkeypatch.setattr("skmi.evaluation._similarity.CHUNK_SIZE", 2 * 3 * 32 * 32)
    np.testing.assert_allclose(ms_ssim(X, Y, data_range=1, n_scales=2), expected, rtol=1e-12)


def test_bytes_have_a_known_range_and_do_not_overflow():
    X = (255 * smooth_images(2, 1, 32)).round()
    Y = (255 * disturbed(X / 255, 0.1)).round()
    expected = ms_ssim(X, Y, data_range=255, n_scales=2)
    actual = ms_ssim(X.astype(np.uint8), Y.astype(np.uint8), n_scales=2)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    as_tensors = ms_ssim(*(torch.from_numpy(z.astype(np.uint8)) for z in (X, Y)), n_scales=2)
    np.testing.assert_array_equal(as_tensors, actual)


@pytest.mark.parametrize(
    ("side", "options", "smallest"),
    [
        (160, {}, 161),
        (32, {}, 161),
        (40, {"n_scales": 3}, 41),
        (10, {"n_scales": 1}, 11),
        (24, {"n_scales": 3, "window_size": 7}, 25),
    ],
)
def test_small_images_are_refused_with_a_remedy_that_works(side, options, smallest):
    X = np.random.default_rng(0).uniform(size=(1, 1, side, side))
    with pytest.raises(ValueError, match=f"X has images of .* at least {smallest} pixels") as error:
        ms_ssim(X, X, data_range=1, **options)
    message = str(error.value)
    remedies = [
        part.split("=") for part in message.replace(",", "").split() if part.count("=") == 1
    ][1:]
    assert remedies
    for name, value in remedies:
        ms_ssim(X, X, data_range=1, **options | {name: int(value)})
    X = np.random.default_rng(0).uniform(size=(1, 1, smallest, smallest))
    assert math.isclose(ms_ssim(X, X, data_range=1, **options)[0], 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.zeros((3, 1, 32, 32))}, r"X and X_hat must have the same shape, got \(3, "),
        ({"X": np.zeros((2, 32)), "X_hat": np.zeros((2, 32))}, r"reshape\(n, c, h, w\)"),
        ({"X": np.zeros((2, 32, 32, 3)), "X_hat": np.zeros((2, 32, 32, 3))}, "channels come last"),
        ({"X": np.full((2, 1, 32, 32), np.nan)}, "X has NaN or infinity in 2 of 2 rows"),
        ({"X_hat": np.full((2, 1, 32, 32), 1.5)}, r"X_hat has values from 1.5.*np.clip\(X_hat"),
        ({"X": np.full((2, 1, 32, 32), -1.0)}, "X has values from -1"),
        ({"data_range": None}, "data_range must be given"),
        ({"data_range": (1, -1)}, "data_range must be a finite length or a pair"),
        ({"data_range": (0, 1, 2)}, "data_range must be a finite length or a pair"),
        ({"data_range": 0}, "data_range"),
        ({"n_scales": 6}, "n_scales"),
        ({"n_scales": 0}, "n_scales"),
        ({"n_scales": [0.5, -0.5]}, "n_scales must be"),
        ({"n_scales": []}, "n_scales must be"),
        ({"window_size": 1}, "window_size"),
        ({"sigma": 0}, "sigma"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, message):
    X = np.random.default_rng(0).uniform(size=(2, 1, 32, 32))
    arguments = {"X": X, "X_hat": X, "data_range": 1, "n_scales": 2} | change
    with pytest.raises(ValueError, match=message):
        ms_ssim(arguments.pop("X"), arguments.pop("X_hat"), **arguments)


def test_remedies_are_put_into_words():
    for shape, words in [
        ((2, 16, 16, 3), r"fits after 1 halving\. Use X\.transpose\(0, 3, 1, 2\) .* last\.$"),
        ((2, 1, 12, 12), r"fits after 1 halving\. Use n_scales=1 or .*, and report it\.$"),
    ]:
        with pytest.raises(ValueError, match=words):
            ms_ssim(np.zeros(shape), np.zeros(shape), data_range=1, n_scales=2)


def test_an_axis_of_one_channel_may_be_left_out():
    X = np.random.default_rng(0).uniform(size=(3, 1, 32, 32))
    Y = np.random.default_rng(1).uniform(size=(3, 1, 32, 32))
    expected = ms_ssim(X, Y, data_range=1, n_scales=2)
    np.testing.assert_array_equal(ms_ssim(X[:, 0], Y, data_range=1, n_scales=2), expected)
    np.testing.assert_array_equal(ms_ssim(X, Y[:, 0], data_range=1, n_scales=2), expected)


def test_a_range_of_another_scaling_is_noticed():
    X = np.random.default_rng(0).uniform(size=(2, 1, 32, 32))
    with pytest.warns(UserWarning, match="next to nothing of data_range"):
        ms_ssim(X, X, data_range=255, n_scales=2)
