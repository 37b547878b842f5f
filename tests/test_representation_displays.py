"""Displays of a representation: what they draw is what brute force and scikit-learn find."""

import matplotlib
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from skmi.plotting import NearestNeighboursDisplay, RepresentationDisplay
from skmi.representation import DIMTransformer


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def data(n=40, d=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * np.arange(d, 0, -1), rng.uniform(size=(n, 1, 4, 6))


def pictures(display):
    """The images that are drawn, by row and column."""
    return np.array([[ax.images[0].get_array() for ax in row] for row in display.axes_])


# --------------------------------------------------------------------------- neighbours


@pytest.mark.parametrize(
    ("metric", "order"), [("manhattan", 1), ("euclidean", 2), ("chebyshev", np.inf)]
)
def test_neighbours_are_those_of_brute_force(metric, order):
    Z, X = data()
    display = NearestNeighboursDisplay.from_data(
        Z, X, queries=[3, 0, 17], n_neighbors=6, metric=metric
    )
    for query, found, distances in zip(
        [3, 0, 17], display.indices_, display.distances_, strict=True
    ):
        others = [row for row in range(len(Z)) if row != query]
        expected = {row: np.linalg.norm(Z[query] - Z[row], order) for row in others}
        nearest = sorted(others, key=expected.get)[:6]
        assert list(found) == nearest
        np.testing.assert_allclose(distances, [expected[row] for row in nearest])


def test_a_query_is_not_its_own_neighbour_but_its_copies_are():
    Z, X = np.zeros((6, 2)), np.random.default_rng(0).uniform(size=(6, 4, 4))
    display = NearestNeighboursDisplay.from_data(Z, X, queries=range(6), n_neighbors=5)
    for query, found in enumerate(display.indices_):
        assert sorted([query, *found]) == list(range(6))
    assert (display.distances_ == 0).all()


def test_random_queries():
    Z, X = data()
    draws = [
        NearestNeighboursDisplay.from_data(Z, X, queries=7, random_state=seed).queries_
        for seed in (0, 0, 1)
    ]
    assert len(set(draws[0])) == 7
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [lambda X: X, lambda X: 500 * X - 90, "bytes"])
@pytest.mark.parametrize("flat", [False, True])
def test_pixels_are_drawn_from_dark_to_bright(channels, scale, flat):
    Z, _ = data()
    X = np.random.default_rng(1).uniform(size=(40, channels, 4, 6))
    X = (255 * X).astype(np.uint8) if scale == "bytes" else scale(X)
    shape = (channels, 4, 6) if flat else None
    display = NearestNeighboursDisplay.from_data(
        Z, X.reshape(40, -1) if flat else X, queries=[2, 5], n_neighbors=3, image_shape=shape
    )
    assert display.axes_.shape == (2, 4)
    low, high = float(X.min()), float(X.max())
    drawn = pictures(display)
    for i, query in enumerate([2, 5]):
        for j, row in enumerate([query, *display.indices_[i]]):
            expected = (X[row].astype(float) - low) / (high - low)
            expected = expected[0] if channels == 1 else np.moveaxis(expected, 0, -1)
            np.testing.assert_allclose(drawn[i, j], expected, atol=1e-6)
            assert display.axes_[i, j].images[0].get_clim() == (0, 1)


def test_labels_and_distances_are_written():
    Z, X = data()
    y = np.array([f"class {i % 3}" for i in range(40)])
    display = NearestNeighboursDisplay.from_data(Z, X, queries=[4], n_neighbors=2, y=y)
    texts = [ax.get_xlabel() for ax in display.axes_[0]]
    (first, second), (near, far) = display.indices_[0], display.distances_[0]
    assert texts == ["class 1", f"{y[first]} ({near:.3g})", f"{y[second]} ({far:.3g})"]
    display.plot(values_format=None)
    assert display.axes_[0, 1].get_xlabel() == y[first]
    figure = plt.figure()
    assert display.plot(figure=figure).figure_ is figure and len(figure.axes) == 3


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_neighbours_by_a_transformer_that_knows_its_images():
    X = np.random.default_rng(0).uniform(size=(60, 64))
    dim = DIMTransformer(
        n_components=2,
        encoder_width=2,
        critic_width=4,
        image_shape=(8, 8),
        max_epochs=1,
        random_state=0,
    ).fit(X)
    options = {"queries": [1, 2], "n_neighbors": 3}
    ours = NearestNeighboursDisplay.from_estimator(dim, X, **options)
    same = NearestNeighboursDisplay.from_data(dim.transform(X), X, image_shape=(8, 8), **options)
    np.testing.assert_array_equal(ours.indices_, same.indices_)
    np.testing.assert_array_equal(pictures(ours), pictures(same))
    assert pictures(ours).shape == (2, 4, 8, 8)


Z0, X0 = data()


@pytest.mark.parametrize(
    ("X", "options", "message"),
    [
        (X0[1:], {}, "Z and X must have the same number of rows"),
        (X0, {"y": np.arange(39)}, "X and y must have the same number of rows"),
        (X0.reshape(40, -1), {}, r"rows of shape \(24,\), which are no images. Give image_shape"),
        (X0, {"image_shape": (5, 5)}, "their products must agree"),
        (X0.reshape(40, 2, 4, 3), {}, r"2 channels.*X.transpose\(0, 3, 1, 2\)"),
        (X0, {"n_neighbors": 40}, "n_neighbors=40 must be a whole number from 1 to 39"),
        (X0, {"n_neighbors": 0}, "n_neighbors=0"),
        (X0, {"queries": 41}, "queries=41 must be from 1 to the 40 rows"),
        (X0, {"queries": [40]}, "queries must be indices from 0 to 39"),
        (X0, {"queries": [-1]}, "queries must be indices from 0 to 39"),
        (X0, {"queries": [0.5]}, "queries must be a number or indices"),
        (X0, {"queries": []}, "queries must be a number or indices"),
        (X0, {"metric": "no such"}, "metric|no such"),
    ],
)
def test_neighbours_that_cannot_be_shown(X, options, message):
    with pytest.raises(ValueError, match=message):
        NearestNeighboursDisplay.from_data(Z0, X, **options)


@pytest.mark.parametrize("display", [NearestNeighboursDisplay, RepresentationDisplay])
def test_unfitted_transformer(display):
    with pytest.raises(Exception, match="not fitted"):
        display.from_estimator(PCA(), X0)


# ----------------------------------------------------------------------- two dimensions


@pytest.mark.parametrize("dims", [(0, 1), (3, 1)])
def test_projection_is_that_of_sklearn(dims):
    Z, _ = data(d=6)
    display = RepresentationDisplay.from_data(Z, dims=dims)
    pca = PCA().fit(Z)
    expected = pca.transform(Z)[:, dims]
    signs = np.sign((display.points_ * expected).sum(axis=0))
    np.testing.assert_allclose(display.points_ * signs, expected, atol=1e-10)
    np.testing.assert_array_equal(display.scatters_[0].get_offsets(), display.points_)
    for label, d in zip((display.ax_.get_xlabel(), display.ax_.get_ylabel()), dims, strict=True):
        part = 100 * pca.explained_variance_ratio_[d]
        assert label == f"component {d + 1} ({part:.0f} % of the variance)"


def test_two_columns_are_shown_as_they_are():
    Z, _ = data(d=2)
    display = RepresentationDisplay.from_data(Z)
    np.testing.assert_array_equal(display.points_, Z)
    assert display.ax_.get_xlabel() == "column 0"


def test_columns_and_neighbour_embedding():
    Z, _ = data()
    display = RepresentationDisplay.from_data(Z, method=None, dims=(4, 2))
    np.testing.assert_array_equal(display.points_, Z[:, [4, 2]])
    display = RepresentationDisplay.from_data(Z, method="tsne", random_state=0)
    np.testing.assert_allclose(display.points_, TSNE(random_state=0).fit_transform(Z))
    assert display.ax_.get_ylabel() == "t-SNE 2"


@pytest.mark.parametrize(
    "labels", [[0, 1, 2], [0.0, 1.0, 2.0], ["a", "b", "c"], [False, True], range(13)]
)
def test_labels_have_a_legend(labels):
    Z, _ = data()
    y = np.resize(np.array(labels), 40)
    display = RepresentationDisplay.from_data(Z, y, ax=plt.subplots()[1])
    assert display.colorbar_ is None
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == [str(label) for label in np.unique(y)]
    colors = {tuple(points.get_facecolor()[0]) for points in display.scatters_}
    assert len(colors) == len(texts), "a colour of its own"
    for label, points in zip(np.unique(y), display.scatters_, strict=True):
        np.testing.assert_array_equal(points.get_offsets(), display.points_[y == label])


@pytest.mark.parametrize("numbers", [np.linspace(-1, 1, 40), np.arange(40), np.arange(40) % 30])
def test_numbers_have_a_colour_bar(numbers):
    Z, _ = data()
    display = RepresentationDisplay.from_data(Z, numbers)
    assert display.ax_.get_legend() is None
    np.testing.assert_array_equal(display.scatters_[0].get_array(), numbers)
    assert display.colorbar_.mappable is display.scatters_[0]


def test_many_names_have_a_colour_each():
    Z, _ = data()
    display = RepresentationDisplay.from_data(Z, [f"class {i}" for i in range(40)])
    assert len({tuple(points.get_facecolor()[0]) for points in display.scatters_}) == 40


def test_points_of_a_transformer_on_given_axes():
    Z, _ = data()
    axes, pca = plt.subplots()[1], PCA(2).fit(Z)
    display = RepresentationDisplay.from_estimator(pca, Z, ax=axes, alpha=0.3, s=4)
    assert display.ax_ is axes and display.figure_ is axes.figure
    np.testing.assert_array_equal(display.points_, pca.transform(Z))
    assert display.scatters_[0].get_alpha() == 0.3 and display.scatters_[0].get_sizes() == [4]


@pytest.mark.parametrize(
    ("Z", "options", "message"),
    [
        (Z0[:, :1], {}, "Z has a single column"),
        (Z0, {"y": np.arange(39)}, "Z and y must have the same number of rows"),
        (Z0, {"y": np.full(40, np.nan)}, "NaN"),
        (Z0, {"method": "umap"}, "method must be 'pca', 'tsne' or None, got 'umap'"),
        (Z0, {"dims": (0, 5)}, "dims must be two whole numbers from 0 to 4"),
        (Z0, {"dims": (0,)}, "dims must be two whole numbers"),
    ],
)
def test_points_that_cannot_be_shown(Z, options, message):
    with pytest.raises(ValueError, match=message):
        RepresentationDisplay.from_data(Z, **options)
