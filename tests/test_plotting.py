"""Displays: what they draw is what the results hold."""

from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from skmi import InformationBottleneckClassifier, MINEEstimator, mutual_info
from skmi.plotting import (
    IndependenceTestDisplay,
    InformationPlaneDisplay,
    MutualInfoDisplay,
    MutualInfoMatrixDisplay,
)

pytestmark = pytest.mark.filterwarnings("ignore::skmi.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1))
    return X, X + rng.normal(size=(200, 1))


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def quick(**options):
    return MINEEstimator(max_epochs=3, hidden_layer_sizes=(4,), random_state=0, **options)


def levels(axes):
    """Heights of the horizontal lines across the axes, by label."""
    return {
        line.get_label(): line.get_ydata()[0]
        for line in axes.lines
        if len(set(line.get_ydata())) == 1 and len(line.get_ydata()) == 2
    }


def test_curves_are_the_history(pair):
    estimator = quick(cv=2).fit(*pair)
    display = MutualInfoDisplay.from_estimator(estimator)
    drawn = np.concatenate([line.get_ydata() for line in display.lines_])
    rows = pd.DataFrame(estimator.history_)
    assert len(display.lines_) == 4
    assert sorted(drawn) == pytest.approx(sorted([*rows["train_mi"], *rows["validation_mi"]]))
    assert levels(display.ax_)["estimate"] == (estimator.mi_ + estimator.train_mi_) / 2
    assert levels(display.ax_)["held-out bound"] == estimator.mi_


def test_curves_in_bits(pair):
    nats = MutualInfoDisplay.from_result(mutual_info(*pair, estimator=quick()))
    bits = MutualInfoDisplay.from_result(mutual_info(*pair, estimator=quick(), units="bits"))
    for ours, theirs in zip(bits.lines_, nats.lines_, strict=True):
        np.testing.assert_allclose(ours.get_ydata(), theirs.get_ydata() / np.log(2))
    assert "bits" in bits.ax_.get_ylabel()


def test_given_axes_and_interval(pair):
    axes = plt.subplots()[1]
    result = mutual_info(*pair, estimator=quick())
    display = MutualInfoDisplay.from_result(result, ax=axes, confidence_level=0.5)
    assert display.ax_ is axes and display.figure_ is axes.figure
    (band,) = axes.patches
    low, high = result.confidence_interval(0.5)
    assert band.get_y() == low and band.get_height() == pytest.approx(high - low)
    assert "50% interval" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_null_distribution():
    null = np.random.default_rng(0).normal(size=99)
    result = SimpleNamespace(null_distribution=null, statistic=2.5, pvalue=0.01)
    display = MutualInfoDisplay.from_result(result, bins=10)
    assert isinstance(display, IndependenceTestDisplay)
    assert sum(bar.get_height() for bar in display.ax_.patches) == 99
    assert display.ax_.lines[0].get_xdata()[0] == 2.5
    assert "p = 0.01" in display.ax_.lines[0].get_label()


def test_matrix():
    matrix = pd.DataFrame([[np.nan, 0.5], [0.5, np.nan]], index=["a", "b"], columns=["a", "b"])
    display = MutualInfoDisplay.from_result(matrix)
    assert isinstance(display, MutualInfoMatrixDisplay)
    np.testing.assert_array_equal(display.im_.get_array().filled(np.nan), matrix)
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["a", "b"]
    assert [text.get_text() for text in display.ax_.texts] == ["0.50", "0.50"]
    assert not MutualInfoMatrixDisplay(matrix=matrix).plot(values_format=None).ax_.texts


def test_result_without_curves_names_the_remedy(pair):
    result = mutual_info(*pair, estimator=make_pipeline(quick()), cv=2)
    with pytest.raises(ValueError, match=r"no fitted estimator.*estimators of this package"):
        MutualInfoDisplay.from_result(result)


def test_unfitted_estimator():
    with pytest.raises(Exception, match="not fitted"):
        MutualInfoDisplay.from_estimator(quick())


def test_plane_of_epochs_with_and_without_held_out_rows():
    X = np.random.default_rng(0).normal(size=(200, 3))
    y = (X[:, 0] > 0).astype(int)
    options = {"bound": "vib", "patience": 5, "max_epochs": 3, "random_state": 0}
    bottleneck = InformationBottleneckClassifier(0.1, **options).fit(X, y).partial_fit(X, y)
    assert "valid_information" in bottleneck.history_[0]
    assert "valid_information" not in bottleneck.history_[-1]
    display = InformationPlaneDisplay.from_history(bottleneck)
    rows = pd.DataFrame(bottleneck.history_)
    np.testing.assert_array_equal(display.compression, rows["train_information"])
    np.testing.assert_allclose(display.entropy - display.relevance, rows["train_cross_entropy"])
