"""The permutation test of independence: exact level, power where it matters, honest results."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from scipy.stats import binom
from sklearn.model_selection import ShuffleSplit
from torch import nn

import skmi
from skmi import EtaDVEstimator, MINEEstimator, independence_test
from skmi.dependence import _independence
from skmi.dependence._independence import _standardize, _sum_of_blocks

QUICK = MINEEstimator(hidden_layer_sizes=(8,), max_epochs=2, validation_fraction=0)

# ------------------------------------------------------------------------ under the null

NULLS = {
    "Cauchy": lambda r, n: (r.standard_cauchy(n), r.standard_cauchy((n, 3))),
    "discrete": lambda r, n: (r.poisson(1, n), r.choice(list("abc"), n)),
}


@pytest.mark.parametrize("null", NULLS)
def test_level(null):
    """Folds are exact at any level, and Bonferroni's correction holds."""
    n_draws, n_rows, n_permutations = 60, 40, 39
    results = [
        independence_test(
            *NULLS[null](np.random.default_rng([seed, 1]), n_rows),
            n_permutations=n_permutations,
            estimator=QUICK,
            random_state=seed,
        )
        for seed in range(n_draws)
    ]
    folds = np.array([result.fold_pvalues for result in results])
    merged = np.array([result.pvalue for result in results])
    for alpha in (0.05, 0.25, 0.5):
        highest = binom.ppf(1 - 1e-4, n_draws, alpha)
        assert ((folds <= alpha).sum(0) <= highest).all()
        assert (merged <= alpha).sum() <= highest
    # Exact, so not conservative either (ties make discrete folds so).
    if null == "Cauchy":
        assert ((folds <= 0.5).sum(0) >= binom.ppf(1e-4, n_draws, 0.5)).all()


def test_standardized_sums_over_all_pairings():
    scores = _standardize(np.random.default_rng(0).normal(size=(5, 5)))
    pairings = np.array(list(itertools.permutations(range(5))))
    sums = scores[np.arange(5), pairings].sum(1)
    assert sums.mean() == pytest.approx(0, abs=1e-12)
    assert sums.var() == pytest.approx(1)
    x = np.arange(5.0)
    assert not _standardize(np.exp(x)[:, None] + x).any()  # no interaction of x and y


# ---------------------------------------------------------------------------- dependence


def uncorrelated(rng, n):
    x = rng.normal(size=n)
    return x, x**2 + rng.normal(size=n)


def exclusive_or(rng, n):
    x = rng.normal(size=(n, 2))
    return x, np.sign(x[:, 0] * x[:, 1]) + 0.5 * rng.normal(size=n)


def categories(rng, n):
    x = rng.normal(size=n)
    return x, np.where(np.abs(x + 0.3 * rng.normal(size=n)) > 0.7, "far", "near")


@pytest.mark.parametrize("sample", [uncorrelated, exclusive_or, categories])
def test_finds_dependence_without_correlation(sample):
    result = independence_test(*sample(np.random.default_rng(0), 400), random_state=0)
    assert result.pvalue <= 0.01


def test_weak_linear_dependence_is_found_whatever_the_critic():
    """Early stopping often returns to the untrained critic; the linear one remains."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    y = 0.35 * x + rng.normal(size=400)
    idle = MINEEstimator(learning_rate=1e-12, max_epochs=1, gaussian_term=False)
    assert independence_test(x, y, estimator=idle, random_state=0).pvalue <= 0.01


# ------------------------------------------------------------------------------- results


def test_result_adds_up():
    x, y = np.random.default_rng(0).normal(size=(2, 60))
    result = independence_test(x, y, n_permutations=99, estimator=QUICK, random_state=0)
    assert result.null_distribution.shape == (2, 99)
    reached = (result.null_distribution >= result.fold_statistics[:, None] - 1e-9).sum(1)
    np.testing.assert_allclose(result.fold_pvalues, (reached + 1) / 100)
    assert result.pvalue == min(1, 2 * result.fold_pvalues.min())
    assert result.statistic == result.fold_statistics.max()
    assert result.n_samples == 60 and np.isfinite(result.estimator.mi_)
    assert f"pvalue={result.pvalue}" in repr(result) and "99 permutations" in str(result)
    with pytest.raises(AttributeError):
        result.pvalue = 0.0
    assert skmi.independence_test is independence_test


def test_smallest_pvalue_and_single_split():
    x = np.random.default_rng(0).normal(size=400)
    split = ShuffleSplit(1, test_size=0.5, random_state=0)
    result = independence_test(x, x, n_permutations=19, cv=split, random_state=0)
    assert result.pvalue == 1 / 20 and result.null_distribution.shape == (1, 19)


def test_same_seed_same_result_and_global_generators_untouched():
    x, y = uncorrelated(np.random.default_rng(0), 60)
    states = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    options = {"n_permutations": 49, "estimator": QUICK}
    first, again, other = (
        independence_test(x, y, **options, random_state=seed) for seed in (0, 0, 1)
    )
    with parallel_config(backend="threading"):
        threads = independence_test(x, y, **options, n_jobs=2, random_state=0)
    assert (np.random.get_state()[1] == states[0]).all()  # noqa: NPY002
    assert (torch.get_rng_state() == states[1]).all()
    for result in (again, threads):
        np.testing.assert_array_equal(result.null_distribution, first.null_distribution)
        assert result.statistic == first.statistic
    assert not np.array_equal(other.null_distribution, first.null_distribution)


def test_scale_changes_nothing():
    x, y = uncorrelated(np.random.default_rng(0), 60)
    plain, scaled = (
        independence_test(*pair, n_permutations=49, estimator=QUICK, random_state=0)
        for pair in [(x, y), (x / 1024, 4096 * y)]  # exact in floating point
    )
    np.testing.assert_array_equal(scaled.null_distribution, plain.null_distribution)
    assert scaled.pvalue == plain.pvalue


def test_given_estimator_is_cloned():
    estimator = EtaDVEstimator(max_epochs=1, random_state=3)
    x, y = np.random.default_rng(0).normal(size=(2, 60))
    result = independence_test(x, y, estimator=estimator, n_permutations=9)
    assert not hasattr(estimator, "critics_") and len(result.estimator.critics_) == 2
    assert result.estimator.random_state == 3


# ------------------------------------------------------------------------ kinds of input


def test_frames_vectors_and_columns_agree():
    x, y = uncorrelated(np.random.default_rng(0), 60)
    options = {"estimator": QUICK, "n_permutations": 49, "random_state": 0}
    reference = independence_test(x, y, **options)
    for X, Y in [(x[:, None], y[:, None]), (pd.DataFrame({"a": x}), pd.Series(y, name="b"))]:
        assert independence_test(X, Y, **options).statistic == reference.statistic


def test_mixed_frame():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=200), "b": rng.choice(["u", "v"], 200)})
    y = frame["a"] * np.where(frame["b"] == "u", 1, -1) + 0.5 * rng.normal(size=200)
    assert independence_test(frame, y, random_state=0).pvalue <= 0.01


@pytest.mark.parametrize("constant", ["X", "Y"])
def test_constant_variable(constant):
    x = np.random.default_rng(0).normal(size=40)
    pair = (np.full(40, 0.1), x) if constant == "X" else (x, np.full(40, 0.1))
    with pytest.warns(UserWarning, match="constant"):
        result = independence_test(*pair, estimator=QUICK, random_state=0)
    assert result.pvalue == 1


@pytest.mark.parametrize("n_permutations", [0, -3, 9.5])
def test_bad_number_of_permutations(n_permutations):
    x = np.arange(40.0)
    with pytest.raises(ValueError, match="n_permutations"):
        independence_test(x, x, n_permutations=n_permutations)


@pytest.mark.parametrize(
    ("X", "Y", "message"),
    [
        (np.arange(40.0), np.arange(39.0), "same number of rows"),
        (np.r_[np.nan, np.arange(39.0)], np.arange(40.0), "NaN"),
        (np.arange(40.0), np.r_[np.inf, np.arange(39.0)], "infinity"),
        (np.arange(3.0), np.arange(3.0), "n_samples=3"),
    ],
)
def test_bad_data(X, Y, message):
    with pytest.raises(ValueError, match=message):
        independence_test(X, Y, estimator=QUICK)


def test_foreign_estimator():
    x = np.arange(40.0)
    with pytest.raises(ValueError, match="'estimator' parameter"):
        independence_test(x, x, estimator=nn.Identity())


# --------------------------------------------------------------------------- many rows


def test_blocks_add_up(monkeypatch):
    x, y = torch.randn(2, 103, 2, dtype=torch.double)
    whole = _sum_of_blocks(lambda x, y: x @ y.T, x, y)
    np.testing.assert_allclose(whole, (x @ y.T).numpy())
    monkeypatch.setattr(_independence, "MIN_BLOCK", 10)
    monkeypatch.setattr(_independence, "MAX_PAIRS", 1)
    blocks = _sum_of_blocks(lambda x, y: x @ y.T, x, y)
    assert blocks.shape == (10, 10)
    expected = sum((x[i : i + 10] @ y[i : i + 10].T).numpy() for i in range(0, 100, 10))
    np.testing.assert_allclose(blocks, expected)
    assert np.trace(blocks) == pytest.approx(float((x * y)[:100].sum()))  # the true pairs


def test_blocks_keep_level_and_power(monkeypatch):
    """A permutation that rearranges all blocks alike belongs to a subgroup: still exact."""
    monkeypatch.setattr(_independence, "MIN_BLOCK", 12)
    monkeypatch.setattr(_independence, "MAX_PAIRS", 1)
    x, y = uncorrelated(np.random.default_rng(0), 600)
    assert independence_test(x, y, random_state=0).pvalue <= 0.01
    draws = [np.random.default_rng([seed, 2]).normal(size=(2, 120)) for seed in range(30)]
    pvalues = np.array(
        [
            independence_test(
                *pair, estimator=QUICK, n_permutations=39, random_state=0
            ).fold_pvalues
            for pair in draws
        ]
    )
    lowest, highest = binom.ppf([1e-4, 1 - 1e-4], len(draws), 0.5)
    counts = (pvalues <= 0.5).sum(0)
    assert ((counts >= lowest) & (counts <= highest)).all()
