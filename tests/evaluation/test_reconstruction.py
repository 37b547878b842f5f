"""Decoders on data whose best reconstruction is known."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from skmi.evaluation import ReconstructionDecoder, ms_ssim, reconstruction_decoder

pytestmark = pytest.mark.filterwarnings("ignore:The network was still improving")

ROWS = {"hidden_layer_sizes": (32,), "learning_rate": 0.01, "max_epochs": 60, "random_state": 0}
IMAGES = {"n_channels": 8, "learning_rate": 0.01, "max_epochs": 12, "random_state": 0}


def linear_rows(n=600, d=3, p=6, seed=0):
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, d))
    return Z, Z @ rng.normal(size=(d, p))


def spots(n=400, channels=1, height=12, width=12, seed=0):
    """Images of one Gaussian spot, and where it is."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0.2, 0.8, size=(n, 2))
    row, column = np.arange(height)[:, None], np.arange(width)
    y, x = (centres * (height, width)).T[:, :, None, None]
    images = np.exp(-((row - y) ** 2 + (column - x) ** 2) / 8)
    return centres.astype(np.float32), np.repeat(images[:, None], channels, axis=1)


@pytest.fixture(scope="module")
def image_decoder():
    Z, X = spots()
    return reconstruction_decoder(Z[:300], X[:300], **IMAGES | {"max_epochs": 40}), Z, X


def test_a_linear_map_is_inverted():
    Z, X = linear_rows()
    units = np.array([1e-4, 1, 10, 1e3, 1, 1])
    decoder = reconstruction_decoder(Z[:500], X[:500] * units + 5 * units, **ROWS)
    test = X[500:] * units + 5 * units
    errors = ((decoder.predict(Z[500:]) - test) ** 2).mean(axis=0) / test.var(axis=0)
    assert (errors < 0.02).all(), "every column, whatever its unit"
    assert np.isclose(decoder.score(Z[500:], test), 1 - errors.mean(), atol=1e-6)


def test_what_the_representation_does_not_hold_is_not_reconstructed():
    """Of independent columns the mean remains; of half the variance one half."""
    rng = np.random.default_rng(0)
    Z, noise = rng.normal(size=(2, 1200, 3))
    options = ROWS | {"patience": 5}
    nothing = reconstruction_decoder(Z[:800], noise[:800], **options)
    assert abs(nothing.score(Z[800:], noise[800:])) < 0.05
    half = reconstruction_decoder(Z[:800], (Z + noise)[:800], **options)
    assert abs(half.score(Z[800:], (Z + noise)[800:]) - 0.5) < 0.08


def test_images_are_reconstructed(image_decoder):
    decoder, Z, X = image_decoder
    X_hat = decoder.predict(Z[300:])
    assert X_hat.shape == X[300:].shape
    assert X_hat.min() >= X[:300].min() - 1e-6 and X_hat.max() <= X[:300].max() + 1e-6
    explained = 1 - ((X_hat - X[300:]) ** 2).sum() / ((X[300:] - X[300:].mean(0)) ** 2).sum()
    assert explained > 0.9
    assert np.isclose(decoder.score(Z[300:], X[300:]), explained, atol=1e-6)


def test_a_better_representation_is_reconstructed_more_similarly(image_decoder):
    decoder, Z, X = image_decoder
    half = Z * np.array([1, 0], dtype=np.float32)  # tells the row of the spot only
    worse = reconstruction_decoder(half[:300], X[:300], **IMAGES)
    options = {"data_range": 1.0, "n_scales": 1, "window_size": 7}
    both = [
        ms_ssim(X[300:], X_hat.clip(0, 1), **options).mean()
        for X_hat in (decoder.predict(Z[300:]), worse.predict(half[300:]))
    ]
    assert both[0] > both[1] + 0.1


@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (3, 16, 16), (2, 7, 13), (1, 1, 1), (1, 28, 28), (3, 2, 20)]
)
def test_images_of_any_size(shape):
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(20, *shape))
    decoder = reconstruction_decoder(X.mean(axis=1), X, n_channels=2, max_epochs=1, random_state=0)
    assert decoder.predict(X.mean(axis=1)).shape == X.shape


def test_pixels_of_any_type_and_representations_of_any_shape():
    Z, X = spots(n=60, channels=3)
    X = (255 * X).round()
    maps = np.repeat(Z, 2, axis=1).reshape(-1, 1, 2, 2)
    options = IMAGES | {"max_epochs": 2}
    first = reconstruction_decoder(maps, X.astype(np.float32), **options).predict(maps)
    assert first.max() > 20
    others = X.astype(np.uint8), torch.from_numpy(X.astype(np.uint8)), X
    for images in others:
        again = reconstruction_decoder(torch.from_numpy(maps), images, **options).predict(maps)
        np.testing.assert_allclose(again, first, atol=0.5)
    flat = reconstruction_decoder(maps.reshape(-1, 4), X, **options)
    np.testing.assert_allclose(flat.predict(maps.reshape(-1, 4)), first, atol=0.5)


def test_constant_data_are_reconstructed():
    Z, X = spots(n=40)
    for constant in (np.full_like(X, 3.0), np.full((40, 2), 3.0)):
        decoder = reconstruction_decoder(Z, constant, **IMAGES | {"max_epochs": 20})
        np.testing.assert_allclose(decoder.predict(Z), constant, atol=0.2)


def test_the_seed_decides():
    Z, X = linear_rows(100)
    state = torch.get_rng_state()
    options = ROWS | {"max_epochs": 3}
    first = reconstruction_decoder(Z, X, **options).predict(Z)
    torch.rand(1)
    np.testing.assert_array_equal(reconstruction_decoder(Z, X, **options).predict(Z), first)
    assert (reconstruction_decoder(Z, X, **options | {"random_state": 1}).predict(Z) != first).any()
    torch.set_rng_state(state)
    reconstruction_decoder(Z, X, **options)
    assert torch.equal(torch.get_rng_state(), state), "torch's global generator"


@pytest.mark.parametrize("kind", ["rows", "images"])
def test_a_fitted_decoder_is_kept(kind, tmp_path, image_decoder):
    if kind == "rows":
        Z, X = linear_rows(100)
        decoder = reconstruction_decoder(Z, X, **ROWS | {"max_epochs": 3})
    else:
        decoder, Z, _ = image_decoder
    expected = decoder.predict(Z)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(decoder)).predict(Z), expected)
    decoder.save(tmp_path / "decoder.safetensors")
    loaded = ReconstructionDecoder.load(tmp_path / "decoder.safetensors")
    np.testing.assert_array_equal(loaded.predict(Z), expected)


def test_too_few_epochs_are_noticed():
    with pytest.warns(ConvergenceWarning, match="Raise max_epochs"):
        reconstruction_decoder(*linear_rows(100), **ROWS | {"max_epochs": 2})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.zeros((9, 2))}, "Z and X must have the same number of rows.*10 and 9"),
        ({"X": np.zeros((10, 8, 8))}, r"X must be rows.*X\[:, None\]"),
        ({"X": np.full((10, 2), np.nan)}, "X has NaN or infinity in 10 of 10 rows"),
        ({"Z": np.full((10, 2), np.nan)}, "Z has NaN"),
        ({"Z": np.zeros(10)}, r"Z.reshape\(-1, 1\)"),
        ({"Z": np.zeros((3, 2)), "X": np.zeros((3, 2))}, "Z has 3 rows; at least 4"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes must be"),
        ({"n_channels": 0}, "n_channels"),
        ({"max_epochs": 0}, "max_epochs"),
        ({"validation_fraction": 0}, "validation_fraction"),
        ({"device": "no such"}, "device"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(change, message):
    arguments = {"Z": np.zeros((10, 2)), "X": np.zeros((10, 2))} | change
    with pytest.raises(ValueError, match=message):
        reconstruction_decoder(arguments.pop("Z"), arguments.pop("X"), **arguments)


def test_other_shapes_are_refused_after_the_fit(image_decoder):
    decoder, Z, X = image_decoder
    with pytest.raises(ValueError, match=r"Z has rows of shape \(1,\), but .*\(2,\)"):
        decoder.predict(Z[:, :1])
    with pytest.raises(ValueError, match=r"X has rows of shape \(1, 6, 12\)"):
        decoder.score(Z, X[:, :, :6])
