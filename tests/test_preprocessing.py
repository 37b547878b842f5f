"""Normal scores against scipy's ranks, increasing transforms and scikit-learn's own checks."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from scipy.special import ndtri
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmi.preprocessing import NormalScores

random_cases = settings(max_examples=60, deadline=None, derandomize=True, database=None)

# Steps of a tenth: many ties, and no transform below makes two different values collide.
tied_columns = hnp.arrays(
    np.int64,
    st.tuples(st.integers(1, 30), st.integers(1, 3)),
    elements=st.integers(-40, 40),
).map(lambda steps: steps / 10)


def by_scipy(X):
    return ndtri((stats.rankdata(X, axis=0) - 0.5) / len(X))


@parametrize_with_checks([NormalScores()], xfail_strict=True)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


# ------------------------------------------------------------------ in-sample scores


@given(X=tied_columns)
@random_cases
def test_in_sample_scores_are_scipys(X):
    scores = NormalScores().fit_transform(X)
    np.testing.assert_array_equal(scores, by_scipy(X))
    np.testing.assert_array_equal(NormalScores().fit(X).transform(X), scores)


@pytest.mark.parametrize("distribution", ["normal", "standard_cauchy", "exponential"])
def test_in_sample_scores_of_continuous_data(distribution, rng):
    X = getattr(rng, distribution)(size=(1000, 3))
    np.testing.assert_array_equal(NormalScores().fit_transform(X), by_scipy(X))


@pytest.mark.parametrize(
    "transform",
    [np.exp, lambda x: x**3, lambda x: 1000 * x, lambda x: x - 1e6, np.arctan, np.sinh],
    ids=["exp", "cube", "x1000", "shift", "arctan", "sinh"],
)
@given(X=tied_columns)
@random_cases
def test_increasing_transforms_change_nothing(transform, X):
    scores = NormalScores().fit_transform(X)
    np.testing.assert_array_equal(NormalScores().fit_transform(transform(X)), scores)


@given(X=tied_columns)
@random_cases
def test_decreasing_transforms_change_the_sign(X):
    scores = NormalScores().fit_transform(X)
    np.testing.assert_allclose(NormalScores().fit_transform(-X), -scores, rtol=0, atol=1e-12)


@given(X=tied_columns)
@random_cases
def test_order_and_ties(X):
    scores = NormalScores().fit_transform(X)
    for column, score in zip(X.T, scores.T, strict=True):
        # Equal scores for equal values, larger scores for larger values, nothing else.
        np.testing.assert_array_equal(
            np.sign(column[:, None] - column), np.sign(score[:, None] - score)
        )
        # Ties take the mean of the ranks they would fill: the mean rank is what it was.
        ranks = len(column) * stats.norm.cdf(score) + 0.5
        assert ranks.mean() == pytest.approx((len(column) + 1) / 2)


def test_ties_by_hand():
    X = np.array([[5.0], [-1.0], [5.0], [9.0]])  # ranks 2.5, 1, 2.5, 4
    expected = ndtri(np.array([2.0, 0.5, 2.0, 3.5]) / 4)
    scores = NormalScores().fit_transform(X)[:, 0]
    np.testing.assert_allclose(scores, expected, rtol=1e-15)
    assert scores[0] == scores[2] == 0


@given(X=tied_columns, data=st.data())
@random_cases
def test_rows_and_columns_are_exchangeable(X, data):
    rows = data.draw(st.permutations(range(len(X))))
    scores = NormalScores().fit_transform(X)
    np.testing.assert_array_equal(NormalScores().fit_transform(X[rows]), scores[rows])
    for j in range(X.shape[1]):
        alone = NormalScores().fit_transform(X[:, [j]])
        np.testing.assert_array_equal(alone[:, 0], scores[:, j])


@pytest.mark.parametrize("value", [0.0, 7.5, -1e300])
@pytest.mark.parametrize("n", [2, 3, 1000])
def test_a_constant_column_becomes_zeros(value, n, rng):
    X = np.column_stack([np.full(n, value), rng.normal(size=n)])
    transformer = NormalScores().fit(X)
    scores = transformer.transform(X)
    assert not scores[:, 0].any() and scores[:, 1].all() == (n % 2 == 0)
    assert not transformer.transform([[value + 10, 0.0], [-1e301, 0.0]])[:, 0].any()


@pytest.mark.parametrize("distribution", ["normal", "standard_cauchy", "exponential"])
def test_marginals_are_standard_normal(distribution, rng):
    """As near as n points can be: half a step of the empirical distribution, whatever the data."""
    n = 1000
    X = getattr(rng, distribution)(size=(n, 2))
    scores = NormalScores().fit_transform(X)
    for score in scores.T:
        assert stats.kstest(score, "norm").statistic == pytest.approx(1 / (2 * n), rel=1e-6)
    np.testing.assert_allclose(scores.mean(0), 0, atol=1e-12)
    # The tails beyond the extreme ranks are what is missing from the variance.
    assert (scores.var(0) < 1).all() and (scores.var(0) > 1 - 5 * math.log(n) / n).all()


def test_fresh_marginals_are_standard_normal(rng):
    n, n_fresh = 20_000, 5_000
    transformer = NormalScores().fit(rng.lognormal(sigma=2, size=(n, 2)))
    scores = transformer.transform(rng.lognormal(sigma=2, size=(n_fresh, 2)))
    # Dvoretzky, Kiefer, Wolfowitz: P(distance > d) <= 2 exp(-2 n d^2), here 1e-5 for each.
    distance = sum(math.sqrt(math.log(2e5) / (2 * m)) for m in (n, n_fresh)) + 1 / n
    for score in scores.T:
        assert stats.kstest(score, "norm").statistic < distance
    assert (np.abs(scores.mean(0)) < 5 * math.sqrt(1 / n + 1 / n_fresh)).all()
    assert (np.abs(scores.var(0) - 1) < 5 * math.sqrt(2 / n + 2 / n_fresh) + 0.005).all()


def test_a_gaussian_sample_hardly_changes(rng):
    """The transform of a normal sample is nearly its standardisation, so correlations stay."""
    n, rho = 5000, 0.7
    x = rng.normal(size=n)
    y = rho * x + math.sqrt(1 - rho**2) * rng.normal(size=n)
    scores = NormalScores().fit_transform(np.column_stack([3 * x + 1, np.exp(y)]))
    # Fisher's z has a standard error of 1 / sqrt(n - 3); normal scores are as efficient.
    error = abs(math.atanh(np.corrcoef(scores.T)[0, 1]) - math.atanh(rho))
    assert error < 5 / math.sqrt(n - 3)
    assert np.corrcoef(scores[:, 0], x)[0, 1] > 0.99


# -------------------------------------------------------------------------- new data


@given(X=tied_columns, data=st.data())
@random_cases
def test_new_values_are_monotone_and_clamped(X, data):
    transformer = NormalScores().fit(X)
    new = data.draw(st.lists(st.floats(-6, 6), min_size=2, max_size=40))
    new = np.sort(np.array(new))[:, None] * np.ones(X.shape[1])
    scores = transformer.transform(new)
    assert (np.diff(scores, axis=0) >= -1e-12).all()
    seen = by_scipy(X)
    assert (scores >= seen.min(0) - 1e-12).all() and (scores <= seen.max(0) + 1e-12).all()
    outside = transformer.transform([X.min(0) - 1, X.max(0) + 1e9, X.min(0) - 1e300])
    np.testing.assert_array_equal(outside, [seen.min(0), seen.max(0), seen.min(0)])


def test_new_values_are_interpolated():
    X = np.array([[0.0], [1.0], [1.0], [3.0]])
    transformer = NormalScores().fit(X)
    low, mid, high = ndtri(np.array([0.5, 2.0, 3.5]) / 4)
    new = [[0.0], [0.25], [1.0], [2.0], [2.5], [3.0]]
    expected = [low, low + (mid - low) / 4, mid, (mid + high) / 2, mid + (high - mid) * 0.75, high]
    np.testing.assert_allclose(transformer.transform(new)[:, 0], expected, rtol=1e-14)


def test_transform_depends_on_the_fit_and_the_row_alone(rng):
    X, new = rng.normal(size=(50, 2)), rng.normal(size=(20, 2))
    transformer = NormalScores().fit(X)
    scores = transformer.transform(new)
    np.testing.assert_array_equal(transformer.transform(new[7:8]), scores[7:8])
    np.testing.assert_array_equal(transformer.transform(new[::-1]), scores[::-1])
    assert (clone(transformer).fit(10 * X).transform(new) != scores).any()


def test_a_refit_forgets(rng):
    X, other = rng.normal(size=(30, 3)), rng.exponential(size=(10, 2))
    again = NormalScores().fit(X).fit(other)
    np.testing.assert_array_equal(again.transform(other), by_scipy(other))
    assert again.n_features_in_ == 2 and len(again.values_) == len(again.scores_) == 2


def test_fitted_attributes(rng):
    X = rng.integers(0, 5, size=(40, 2)).astype(float)
    transformer = NormalScores().fit(X)
    for column, values, scores in zip(X.T, transformer.values_, transformer.scores_, strict=True):
        np.testing.assert_array_equal(values, np.unique(column))
        assert len(scores) == len(values) and (np.diff(scores) > 0).all()


# ----------------------------------------------------------------- dtypes, containers


def test_float32_is_kept(rng):
    X = rng.normal(size=(200, 2)).astype(np.float32)
    single = NormalScores().fit_transform(X)
    double = NormalScores().fit_transform(X.astype(np.float64))
    assert single.dtype == np.float32 and double.dtype == np.float64
    np.testing.assert_array_equal(single, double.astype(np.float32))
    transformer = NormalScores().fit(X.astype(np.float64))
    assert transformer.transform(X).dtype == np.float32


def test_integers_become_doubles():
    X = np.array([[3], [1], [2**40], [2]])
    scores = NormalScores().fit_transform(X)
    assert scores.dtype == np.float64
    np.testing.assert_array_equal(scores, by_scipy(X))


def test_the_input_is_left_alone(rng):
    X = rng.normal(size=(20, 2))
    before = X.copy()
    NormalScores().fit_transform(X)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_extreme_scales(scale, rng):
    X = rng.normal(size=(50, 2)) * scale
    transformer = NormalScores().fit(X)
    np.testing.assert_array_equal(transformer.transform(X), by_scipy(X))
    between = transformer.transform((X + X[::-1]) / 2)
    assert np.isfinite(between).all() and np.abs(between).max() <= by_scipy(X).max()


def test_data_frames_and_feature_names(rng):
    frame = pd.DataFrame(
        rng.normal(size=(12, 2)), columns=["height", "weight"], index=list("abcdefghijkl")
    )
    transformer = NormalScores().fit(frame)
    assert list(transformer.feature_names_in_) == ["height", "weight"]
    assert list(transformer.get_feature_names_out()) == ["height", "weight"]
    assert list(NormalScores().fit(frame.to_numpy()).get_feature_names_out()) == ["x0", "x1"]
    with pytest.raises(ValueError, match="input_features"):
        transformer.get_feature_names_out(["a", "b"])
    output = NormalScores().set_output(transform="pandas").fit_transform(frame)
    assert isinstance(output, pd.DataFrame)
    assert list(output.columns) == ["height", "weight"] and output.index.equals(frame.index)
    np.testing.assert_array_equal(output.to_numpy(), by_scipy(frame.to_numpy()))


def test_in_a_pipeline_scaling_before_changes_nothing(rng):
    X = rng.standard_cauchy(size=(100, 2))
    scaled = make_pipeline(StandardScaler(), NormalScores()).fit_transform(X)
    np.testing.assert_array_equal(scaled, NormalScores().fit_transform(X))


def test_errors(rng):
    X = rng.normal(size=(10, 2))
    with pytest.raises(NotFittedError):
        NormalScores().transform(X)
    with pytest.raises(ValueError, match="3 features"):
        NormalScores().fit(X).transform(np.zeros((4, 3)))
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        NormalScores().fit(X)
