"""Modes and reconstructions: counts by hand, limits, and the toy data that they are for."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from skmi.datasets import make_gaussian_grid, make_spiral, stack_images
from skmi.evaluation import (
    kl_to_uniform_over_modes,
    label_preserving_accuracy,
    mode_counts,
    modes_captured,
    reconstruction_error,
)


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def test_counts_by_brute_force(rng):
    samples, modes = rng.normal(size=(300, 3)), rng.normal(size=(7, 3))
    distances = np.linalg.norm(samples[:, None] - modes, axis=2)
    for radius in (0.3, 1.0, None):
        expected = np.zeros(7, int)
        for row in distances:
            if radius is None or row.min() <= radius:
                expected[row.argmin()] += 1
        assert np.array_equal(mode_counts(samples, modes, radius=radius), expected)


def test_captured_modes_and_divergence():
    X, y, modes = make_gaussian_grid(25_000, random_state=0)
    assert modes_captured(X, modes, radius=0.15) == 25
    assert kl_to_uniform_over_modes(X, modes) == pytest.approx(24 / 50_000, abs=5e-4)
    assert kl_to_uniform_over_modes(X[y < 5], modes) == pytest.approx(math.log(5), abs=2e-3)
    assert kl_to_uniform_over_modes(X[y == 3], modes) == pytest.approx(math.log(25))
    kept = np.concatenate([np.flatnonzero(y < 5), np.flatnonzero(y == 20)[:3]])
    assert modes_captured(X[kept], modes) == 6
    assert modes_captured(X[kept], modes, fewest=4) == 5
    assert modes_captured(X + 1, modes, radius=0.15) == 0
    assert math.isnan(kl_to_uniform_over_modes(X + 1, modes, radius=0.15))


def test_grid_has_its_moments():
    X, y, modes = make_gaussian_grid(50_000, n_side=3, spacing=4, std=0.5, random_state=0)
    assert sorted(map(tuple, modes)) == [(a, b) for a in (-4, 0, 4) for b in (-4, 0, 4)]
    assert (X - modes[y]).std() == pytest.approx(0.5, rel=0.02)
    assert np.bincount(y) / len(y) == pytest.approx(1 / 9, abs=0.01)


def test_spiral_is_covered_evenly():
    X, y, modes = make_spiral(50_000, n_modes=20, noise=0, random_state=0)
    assert np.bincount(y) / len(y) == pytest.approx(0.05, abs=0.005)
    radius, angle = np.linalg.norm(X, axis=1), np.arctan2(X[:, 1], X[:, 0])
    turns = (radius * 4.5 * np.pi - angle) / (2 * np.pi)  # theta = 4.5 pi r, up to whole turns
    assert np.abs(turns - turns.round()).max() < 1e-3
    assert np.linalg.norm(X - modes[y], axis=1).max() < 0.8 * np.linalg.norm(modes[1] - modes[0])
    steps = np.linalg.norm(np.diff(modes, axis=0), axis=1)
    assert steps == pytest.approx(steps.mean(), rel=0.15)


def test_stacked_images(digits):
    X, y = stack_images(digits.images, digits.target, 400, random_state=0)
    assert X.shape == (400, 3, 8, 8) and X.dtype == digits.images.dtype
    source = {
        image.tobytes(): label for image, label in zip(digits.images, digits.target, strict=True)
    }
    assert all(
        sum(source[c.tobytes()] * 10 ** (2 - k) for k, c in enumerate(image)) == mode
        for image, mode in zip(X, y, strict=True)
    )
    classifier = KNeighborsClassifier(1).fit(digits.data, digits.target)
    counts = mode_counts(X, classifier)
    assert counts.shape == (1000,) and np.array_equal(counts, np.bincount(y, minlength=1000))
    assert modes_captured(X, classifier) == len(set(y))
    assert mode_counts(digits.images, classifier) == pytest.approx(np.bincount(digits.target))


def test_errors_of_reconstructions(rng):
    X = rng.normal(size=(50, 3, 4))
    noise = rng.normal(size=(50, 3, 4))
    expected = np.mean([np.sqrt((n**2).sum()) for n in noise])
    assert reconstruction_error(X, X + noise) == pytest.approx(expected)
    assert reconstruction_error(X[:, None], X) == 0


def test_preserved_labels(digits):
    classifier = KNeighborsClassifier().fit(digits.data, digits.target)
    X, y = digits.data, classifier.predict(digits.data)
    swapped = np.where((y < 3)[:, None], X[y == 9][0], X)
    assert label_preserving_accuracy(classifier, X, X) == 1
    accuracy = label_preserving_accuracy(classifier, digits.images, swapped.reshape(-1, 1, 8, 8))
    assert accuracy == pytest.approx((y >= 3).mean())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mode_counts(np.zeros((5, 2)), np.zeros((3, 1))), r"\(5, 2\) and \(3, 1\)"),
        (lambda: mode_counts(np.zeros((5, 2)), np.zeros((3, 2)), radius=-1), "radius=-1"),
        (lambda: mode_counts(np.full((5, 2), np.nan), np.zeros((3, 2))), "samples has NaN"),
        (lambda: mode_counts(np.zeros((5, 2)), KNeighborsClassifier(), radius=1), "radius"),
        (lambda: modes_captured(np.zeros((5, 2)), np.zeros((3, 2)), fewest=0), "fewest"),
        (lambda: reconstruction_error(np.zeros((5, 2)), np.zeros((4, 2))), "same number of rows"),
        (lambda: reconstruction_error(np.zeros((5, 2)), np.zeros((5, 3))), "same shape"),
        (lambda: make_gaussian_grid(10, std=-1), "std"),
        (lambda: make_spiral(0), "n_samples"),
        (lambda: stack_images(np.zeros((5, 4)), np.zeros(5)), "grey images"),
        (lambda: stack_images(np.zeros((5, 4, 4)), np.zeros(4)), "same number of rows"),
    ],
)
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("measure", [mode_counts, modes_captured, kl_to_uniform_over_modes])
def test_classifiers_must_be_fitted(digits, measure):
    with pytest.raises(NotFittedError, match="KNeighborsClassifier instance is not fitted"):
        measure(digits.images[:5], KNeighborsClassifier())


def test_what_is_no_classifier():
    with pytest.raises(TypeError, match="classifier must be"):
        label_preserving_accuracy(None, np.zeros((5, 2)), np.zeros((5, 2)))
    regressor = KNeighborsRegressor(1).fit(np.zeros((5, 4)), np.zeros(5))
    with pytest.raises(TypeError, match="got a KNeighborsRegressor, which has no classes_"):
        modes_captured(np.zeros((5, 4)), regressor)


def test_names_of_columns_reach_the_classifier(digits):
    X = pd.DataFrame(digits.data[:300]).add_prefix("pixel ")
    classifier = KNeighborsClassifier(1).fit(X, digits.target[:300])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert label_preserving_accuracy(classifier, X, X) == 1
        counts = mode_counts(X, classifier)
    assert np.array_equal(counts, np.bincount(digits.target[:300]))
