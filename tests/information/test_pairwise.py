"""Mutual information between 0 and 1, and of every two columns of a table."""

import math

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.metrics import normalized_mutual_info_score

from skmi import MINEEstimator, mutual_info, normalized_mutual_info, pairwise_mutual_info

pytestmark = pytest.mark.filterwarnings("ignore::skmi.exceptions.ConvergenceWarning")

QUICK = {"estimator": MINEEstimator(max_epochs=2), "cv": 2, "random_state": 0}
SHORT = {"estimator": MINEEstimator(max_epochs=25), "cv": 2, "random_state": 0}

# ------------------------------------------------------------------- between 0 and 1


@pytest.mark.parametrize("rho", [0.0, -0.8])
def test_linfoot_is_the_correlation_of_gaussians(gaussian_pair, rho):
    X, Y, _ = gaussian_pair(2_000, 1, rho, seed=0)
    found = normalized_mutual_info(X[:, 0], Y, **SHORT)
    assert found == pytest.approx(abs(rho), abs=0.04 if rho else 0.1)


def test_linfoot_is_a_function_of_the_mutual_information():
    X, noise = np.random.default_rng(1).normal(size=(2, 300, 2))
    Y = X + noise
    information = mutual_info(X, Y, **QUICK).estimate
    assert information > 0.1
    found = normalized_mutual_info(X, Y, **QUICK)
    assert found == pytest.approx(math.sqrt(1 - math.exp(-2 * information)))
    assert 0 <= normalized_mutual_info(X, np.random.default_rng(2).normal(size=300), **QUICK) < 0.3


@pytest.mark.parametrize("mean", ["arithmetic", "geometric", "min", "max"])
def test_nested_labels(mean):
    # four equally frequent classes and their two halves: I = H(halves) = log 2, H(classes) = log 4
    classes = np.random.default_rng(3).permutation(np.arange(400) % 4)
    halves = np.where(classes > 1, "upper", "lower")
    expected = {"arithmetic": 2 / 3, "geometric": math.sqrt(0.5), "min": 1, "max": 0.5}[mean]
    assert normalized_mutual_info_score(classes, halves, average_method=mean) == pytest.approx(
        expected
    )
    found = normalized_mutual_info(classes, halves, normalization=mean, **SHORT)
    assert found == pytest.approx(expected, abs=0.05)
    assert found <= 1


def test_how_the_normalization_is_chosen():
    rng = np.random.default_rng(4)
    X = rng.normal(size=400)
    signs = np.where(X > 0, "plus", "minus")
    # a label that X determines: I is the entropy of the label, whichever comes first
    assert normalized_mutual_info(X, signs, **SHORT) == pytest.approx(1, abs=0.1)
    assert normalized_mutual_info(signs, X, **SHORT) == pytest.approx(1, abs=0.1)
    codes = (X > 0).astype(int)
    by_default = normalized_mutual_info(codes, signs, **QUICK)
    assert by_default == normalized_mutual_info(codes, signs, normalization="arithmetic", **QUICK)
    # the estimator may say that codes are numbers
    numbers = MINEEstimator(max_epochs=4, discrete_features=False, target_type="continuous")
    with pytest.raises(ValueError, match="X and Y hold continuous columns"):
        normalized_mutual_info(codes, codes, normalization="max", estimator=numbers)


def test_a_constant_shares_nothing():
    constant = np.array(["a"] * 60)
    labels = np.array(["b", "c"] * 30)
    with pytest.warns(UserWarning, match="constant"):
        assert normalized_mutual_info(constant, labels, normalization="min", **QUICK) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalization": "arithmetic"}, "X holds continuous columns. Use 'linfoot' or 'min'"),
        ({"normalization": "mean"}, "'normalization' parameter of normalized_mutual_info"),
        ({"estimator": "mine"}, "'estimator' parameter of normalized_mutual_info"),
    ],
)
def test_bad_normalization(options, message):
    X = np.random.default_rng(5).normal(size=60)
    with pytest.raises(ValueError, match=message):
        normalized_mutual_info(X, X > 0, **options)


# ------------------------------------------------------------------------- every pair


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(6)
    a, noise = rng.normal(size=(2, 600))
    return pd.DataFrame(
        {
            "a": a,
            "b": 0.8 * a + 0.6 * rng.normal(size=600),
            "sign": pd.Categorical(np.where(a > 0, "plus", "minus")),
            "noise": noise,
        }
    )


@pytest.mark.slow
def test_matrix(table):
    matrix = pairwise_mutual_info(table, **SHORT)
    assert matrix.columns.tolist() == matrix.index.tolist() == table.columns.tolist()
    np.testing.assert_array_equal(matrix, matrix.T)
    assert np.isnan(np.diag(matrix)).all()
    assert matrix.loc["a", "b"] == pytest.approx(-math.log(0.6), abs=0.1)
    assert matrix.loc["sign", "a"] == pytest.approx(math.log(2), abs=0.1)
    assert matrix.loc["noise", ["a", "b", "sign"]].abs().max() < 0.05
    # a sign and a Gaussian of correlation 0.8 with its source: less than the source tells
    assert 0.05 < matrix.loc["sign", "b"] < min(math.log(2), matrix.loc["a", "b"])


def test_matrix_of_an_array(table):
    values = table[["a", "b", "noise"]].to_numpy()[:200]
    matrix = pairwise_mutual_info(values, **QUICK)
    assert matrix.columns.tolist() == matrix.index.tolist() == [0, 1, 2]
    with parallel_config(backend="threading"):
        parallel = pairwise_mutual_info(values, n_jobs=2, **QUICK)
    pd.testing.assert_frame_equal(parallel, matrix)
    bits = pairwise_mutual_info(values, units="bits", **QUICK)
    pd.testing.assert_frame_equal(bits * math.log(2), matrix)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.ones((20, 1)), r"data has shape \(20, 1\)"),
        (np.where(np.eye(20) > 0, np.nan, 1.0), "data contains NaN"),
        (pd.DataFrame({"a": ["x", None] * 10, "b": 1.0}), "Column 'a' of data contains missing"),
    ],
)
def test_bad_tables(data, message):
    with pytest.raises(ValueError, match=message):
        pairwise_mutual_info(data)
    with pytest.raises(ValueError, match="'units' parameter of pairwise_mutual_info"):
        pairwise_mutual_info(data, units="bans")
