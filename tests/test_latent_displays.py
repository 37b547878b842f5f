"""Displays of latent variables: they draw the densities, codes and pixels that they were given."""

import matplotlib
import numpy as np
import pytest
from scipy import stats

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA

from skmi.evaluation import latent_traversal
from skmi.plotting import ImageGridDisplay, LatentDisplay


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def posteriors(n=60, k=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, k)), rng.uniform(0.2, 0.9, size=(n, k))


class Model(BaseEstimator):
    """A linear map to two latent variables and back to images, or flat rows."""

    def __init__(self, shape=(1, 4, 6), flat=False):
        self.shape = shape
        self.flat = flat
        self.n_components = 2

    def fit(self, X):
        self.row_shape_, self.n_features_in_ = self.shape, np.shape(X)[1]
        self.maps_ = np.random.default_rng(0).normal(size=(2, np.prod(self.shape)))
        return self

    def posterior(self, X):
        means = np.reshape(X, (len(X), -1)) @ self.maps_.T / 24
        return means, np.full_like(means, 0.5)

    def transform(self, X):
        return self.posterior(X)[0]

    def inverse_transform(self, Z):
        rows = 1 / (1 + np.exp(-Z @ self.maps_))
        return rows if self.flat else rows.reshape(-1, *self.shape)

    def reconstruct(self, X):
        return self.inverse_transform(self.transform(X))

    def sample(self, n, random_state=None):
        return self.inverse_transform(np.random.default_rng(random_state).normal(size=(n, 2)))


def model_and_images(n=12, **options):
    vae = Model(**options)
    X = np.random.default_rng(1).uniform(size=(n, *vae.shape))
    X = X.reshape(n, -1) if vae.flat else X
    return vae.fit(X), X


# --------------------------------------------------------------------------- densities


def test_density_is_that_of_the_mixture():
    means, stds = posteriors()
    display = LatentDisplay.from_data(means, stds, dims=(2, 0))
    centers = (display.edges_[1:] + display.edges_[:-1]) / 2
    across, up = (stats.norm.pdf(centers[:, None], means[:, d], stds[:, d]).T for d in (2, 0))
    expected = np.einsum("nj,ni->ij", across, up) / len(means)
    np.testing.assert_allclose(display.density_, expected, atol=0.01 * expected.max())
    np.testing.assert_allclose(display.image_.get_array().reshape(200, 200), display.density_)
    assert [display.axes_[0].get_xlabel(), display.axes_[1].get_ylabel()] == ["$z_{2}$", "$z_{0}$"]


@pytest.mark.parametrize("scale", [1e-6, 0.1, 1.0])
@pytest.mark.parametrize("n_cells", [50, 200])
def test_no_posterior_falls_between_the_cells(scale, n_cells):
    means, stds = posteriors()
    display = LatentDisplay.from_data(means, scale * stds, n_cells=n_cells)
    area = np.diff(display.edges_)[0] ** 2
    assert display.density_.sum() * area == pytest.approx(1, abs=0.02)
    assert display.density_.shape == (n_cells, n_cells)
    lowest, highest = display.axes_[1].get_xlim()
    assert lowest < means[:, :2].min() and means[:, :2].max() < highest


def test_circles_of_the_prior_and_codes():
    means, stds = posteriors()
    y = np.arange(60) % 3
    display = LatentDisplay.from_data(means, stds, y)
    assert [circle.get_radius() for circle in display.circles_] == [1, 2, 3] * 2
    assert all(circle.center == (0, 0) for circle in display.circles_)
    assert not display.axes_[0].collections[1:] and display.colorbar_ is None
    for label, points in zip(range(3), display.scatters_, strict=True):
        assert points.axes is display.axes_[1]
        np.testing.assert_array_equal(points.get_offsets(), means[y == label, :2])
    display = LatentDisplay.from_data(means, stds, means[:, 3], s=9)
    np.testing.assert_array_equal(display.scatters_[0].get_array(), means[:, 3])
    assert display.colorbar_ is not None and display.scatters_[0].get_sizes() == [9]


def test_density_and_codes_on_one_axes_or_two():
    vae, X = model_and_images()
    axes = plt.subplots()[1]
    display = LatentDisplay.from_estimator(vae, X, ax=axes)
    assert list(display.axes_) == [axes] and display.figure_ is axes.figure
    assert display.scatters_[0].axes is axes and display.image_.axes is axes
    np.testing.assert_array_equal(display.scatters_[0].get_offsets(), vae.transform(X))
    pair = plt.subplots(2)[1]
    display.plot(pair)
    assert list(display.axes_) == list(pair)
    assert display.image_.axes is pair[0] and display.scatters_[0].axes is pair[1]


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (1, {}, "means has a single column"),
        (4, {"dims": (0, 4)}, "dims must be two whole numbers from 0 to 3"),
        (4, {"y": np.arange(59)}, "means and y must have the same number of rows"),
        (4, {"y": np.full(60, np.nan)}, "y has NaN"),
        (4, {"n_cells": 1}, "n_cells=1 must be"),
        (4, {"ax": [None] * 3}, "ax must be one or two"),
    ],
)
def test_posteriors_that_cannot_be_shown(columns, options, message):
    means, stds = (values[:, :columns] for values in posteriors())
    with pytest.raises(ValueError, match=message):
        LatentDisplay.from_data(means, stds, **options)


# --------------------------------------------------------------------------------- grids


def picture(display, row, column, gap=1):
    """What is drawn at a place of the grid, of shape (h, w, 4)."""
    height, width = display.images_.shape[2:]
    top, left = row * (height + gap), column * (width + gap)
    return display.image_.get_array()[top : top + height, left : left + width]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_images_stand_in_rows_and_columns(channels, flat, scale):
    rng = np.random.default_rng(0)
    images = scale * rng.uniform(size=(10, channels, 4, 6))
    images.flat[:2] = 0, scale
    display = ImageGridDisplay.from_data(
        images.reshape(10, -1) if flat else images,
        n_columns=4,
        image_shape=(channels, 4, 6) if flat else None,
    )
    drawn = display.image_.get_array()
    assert drawn.shape == (3 * 5 - 1, 4 * 7 - 1, 4)
    for i in range(10):
        expected = images[i].transpose(1, 2, 0) / scale
        if channels == 1:
            expected = np.repeat(expected, 3, axis=-1)
        actual = picture(display, *divmod(i, 4))
        np.testing.assert_allclose(actual[..., : max(3, channels)], expected, atol=1 / 250)
    assert (drawn[4, :, 3] == 0).all() and (drawn[:, 6, 3] == 0).all(), "gaps"
    assert (picture(display, 2, 2)[..., 3] == 0).all(), "empty places"
    assert not len(display.ax_.get_xticks()) and not len(display.ax_.get_yticks())


def test_dark_and_bright():
    images = np.linspace(0.2, 0.6, 24).reshape(1, 4, 6)
    for options, low, high in [
        ({}, 0, 1),
        ({"vmin": 0.3}, 0.3, 1),
        ({"vmin": 0.4, "vmax": 0.5}, 0.4, 0.5),
    ]:
        display = ImageGridDisplay.from_data(images, **options)
        expected = np.clip((images[0] - low) / (high - low), 0, 1)
        np.testing.assert_allclose(picture(display, 0, 0)[..., 0], expected, atol=1 / 250)
    display = ImageGridDisplay.from_data(10 * images - 5, gap=0)
    assert picture(display, 0, 0)[0, 0, 0] == 0 and picture(display, 0, 0)[-1, -1, 0] == 1
    ImageGridDisplay.from_data(np.full((2, 3, 3), 7.0))  # one shade only


def test_labels_stand_beside_rows_and_columns():
    images = np.random.default_rng(0).uniform(size=(6, 4, 6))
    display = ImageGridDisplay.from_data(
        images, n_columns=3, row_labels=["a", "b"], column_labels=["x", "y", "z"]
    )
    ax = display.ax_
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["x", "y", "z"]
    np.testing.assert_allclose(ax.get_yticks(), [1.5, 6.5])
    np.testing.assert_allclose(ax.get_xticks(), [2.5, 9.5, 16.5])
    axes = plt.subplots()[1]
    assert display.plot(ax=axes).ax_ is axes


@pytest.mark.parametrize("flat", [False, True])
def test_reconstructions_are_below_their_originals(flat):
    vae, X = model_and_images(n=7, shape=(3, 4, 6), flat=flat)
    display = ImageGridDisplay.from_reconstructions(vae, X, n_columns=3)
    labels = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert labels == ["original", "reconstruction"] * 3
    for i in range(7):
        block, column = divmod(i, 3)
        for row, images in enumerate((X, vae.reconstruct(X))):
            expected = images.reshape(7, 3, 4, 6)[i].transpose(1, 2, 0)
            np.testing.assert_allclose(
                picture(display, 2 * block + row, column)[..., :3], expected, atol=1e-6
            )
    assert (picture(display, 5, 2)[..., 3] == 0).all()


def test_reconstructions_are_drawn_in_the_range_of_the_originals():
    vae, X = model_and_images(n=2)
    X = 3 * X - 2
    display = ImageGridDisplay.from_reconstructions(vae, X)
    expected = np.clip((vae.reconstruct(X)[0, 0] - X.min()) / (X.max() - X.min()), 0, 1)
    np.testing.assert_allclose(picture(display, 1, 0)[..., 0], expected, atol=1 / 250)


@pytest.mark.parametrize("flat", [False, True])
def test_samples(flat):
    vae, _ = model_and_images(flat=flat)
    display = ImageGridDisplay.from_samples(vae, 9, random_state=5)
    expected = vae.sample(9, random_state=5).reshape(9, 1, 4, 6)
    np.testing.assert_allclose(display.images_, expected)
    assert display.n_columns == 3


def test_traversals_have_a_row_for_each_variable():
    vae, X = model_and_images()
    display = ImageGridDisplay.from_traversal(vae, X[0], components=[1, 0], values=[-2, 0.5, 3])
    grid = latent_traversal(vae, X[0], components=[1, 0], values=[-2, 0.5, 3])
    for (i, j), _ in np.ndenumerate(np.empty((2, 3))):
        np.testing.assert_allclose(picture(display, i, j)[..., 0], grid[i, j, 0], atol=1 / 250)
    ax = display.ax_
    assert [text.get_text() for text in ax.get_yticklabels()] == ["$z_{1}$", "$z_{0}$"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["-2", "0.5", "3"]
    default = ImageGridDisplay.from_traversal(vae, X[:1])
    assert default.images_.shape == (18, 1, 4, 6) and default.n_columns == 9


I0 = np.random.default_rng(0).uniform(size=(6, 4, 6))


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (I0.reshape(6, -1), {}, "images has rows of shape .24,., which are no images"),
        (I0, {"image_shape": (5, 5)}, "their products must agree"),
        (I0, {"n_columns": 0}, "n_columns=0 must be a whole number"),
        (I0, {"n_columns": 2.5}, "n_columns=2.5 must be a whole number"),
        (I0, {"row_labels": ["a"]}, "row_labels must be one for each of the 2 rows, got 1"),
        (I0, {"column_labels": ["a"]}, "column_labels must be one for each of the 3 columns"),
        (np.where(I0 > 0.5, np.nan, I0), {}, "images has NaN"),
        (I0, {"gap": -1}, "gap=-1 must be"),
    ],
)
def test_images_that_cannot_be_shown(images, options, message):
    with pytest.raises(ValueError, match=message):
        ImageGridDisplay.from_data(images, **options)


@pytest.mark.parametrize(
    "draw",
    [
        LatentDisplay.from_estimator,
        ImageGridDisplay.from_reconstructions,
        ImageGridDisplay.from_traversal,
        lambda vae, X: ImageGridDisplay.from_samples(vae),
    ],
)
def test_unfitted_model(draw):
    with pytest.raises(Exception, match="not fitted"):
        draw(PCA(), I0)
