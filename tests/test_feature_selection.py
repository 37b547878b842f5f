"""Scores of features: known truths, invariances, drop-in use, bad input."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from scipy.special import rel_entr
from scipy.stats import norm
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.feature_selection import SelectFdr, SelectKBest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

from skmi.feature_selection import _neural as neural
from skmi.feature_selection import mutual_info_neural, mutual_info_neural_test
from skmi.information import _tables as engine
from skmi.information._levels import Levels
from skmi.information._tables import bound_of_tables, fit_tables, log_product

RHO = np.array([0.0, 0.3, 0.6, 0.9])
NATS = -0.5 * np.log(1 - RHO**2)


def gaussians(n_samples, seed):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n_samples)
    noise = rng.normal(size=(n_samples, len(RHO)))
    return RHO * y[:, None] + np.sqrt(1 - RHO**2) * noise, y


# ------------------------------------------------------------------------ known truths


@pytest.mark.parametrize("seed", range(3))
def test_gaussians(seed):
    X, y = gaussians(5_000, seed)
    scores = mutual_info_neural(X, y, random_state=seed)
    np.testing.assert_allclose(scores, NATS, atol=0.05)
    assert scores[0] < 0.003


def test_monotone_transforms_do_not_matter():
    X, y = gaussians(1_000, 3)
    reference = mutual_info_neural(X, y, random_state=0)
    others = mutual_info_neural(np.exp(X) * 1e6, y**3, random_state=0)
    np.testing.assert_allclose(others, reference, rtol=1e-3, atol=1e-4)


def test_relations_that_are_no_correlations():
    rng = np.random.default_rng(4)
    y = rng.normal(size=4_000)
    X = np.column_stack([y**2 + 0.3 * rng.normal(size=4_000), np.abs(y), rng.normal(size=4_000)])
    square, modulus, nothing = mutual_info_neural(X, y, random_state=0)
    assert square > 0.7 and modulus > 1.3 and nothing < 0.01


def test_labels_and_categories():
    # what categories say about a label, both ways of reading them
    rng = np.random.default_rng(5)
    label = rng.integers(3, size=5_000)
    flip = rng.random(5_000) < 0.4
    noisy = np.where(flip, rng.integers(3, size=5_000), label)
    joint = np.full((3, 3), 0.4 / 9) + np.eye(3) * 0.6 / 3
    truth = rel_entr(joint, np.outer(joint.sum(1), joint.sum(0))).sum()
    names = np.array(["z", "a", "m"])
    X = pd.DataFrame({"code": names[noisy], "noise": rng.normal(size=5_000)})
    for y in (label, names[label], pd.Series(label).astype("category")):
        scores = mutual_info_neural(X, y, random_state=0)
        assert scores[0] == pytest.approx(truth, abs=0.03) and scores[1] < 0.01
    codes = mutual_info_neural(noisy[:, None], label, discrete_features=True, random_state=0)
    assert codes[0] == pytest.approx(truth, abs=0.03)
    # the label as numbers is the same information
    numbers = mutual_info_neural(X, label, discrete_target=False, random_state=0)
    assert numbers[0] == pytest.approx(truth, abs=0.04)


def test_several_targets_say_more_than_one():
    rng = np.random.default_rng(6)
    X = rng.normal(size=(5_000, 2))
    Y = X[:, :1] + rng.normal(size=(5_000, 2))  # both are about column 0
    both = mutual_info_neural(X, Y, random_state=0)
    one = mutual_info_neural(X, Y[:, 0], random_state=0)
    truth = 0.5 * np.log(3)  # of one, 0.5 log 2
    assert one[0] + 0.05 < both[0] < truth + 0.03 and both[1] < 0.01


# ---------------------------------------------------------------------------- the engine


def test_bound_of_tables_is_donsker_varadhan():
    rng = np.random.default_rng(7)
    joint = torch.as_tensor(rng.dirichlet(np.ones(12), size=5).reshape(5, 3, 4))
    product = joint.sum(2, keepdim=True) * joint.sum(1, keepdim=True)
    np.testing.assert_allclose(log_product(joint), product.log())
    truth = (joint * (joint / product).log()).sum((1, 2))
    optimal = (joint / product).log()
    torch.testing.assert_close(bound_of_tables(optimal + 7, joint, product.log()), truth)
    scores = torch.as_tensor(rng.normal(size=joint.shape))
    assert (bound_of_tables(scores, joint, product.log()) < truth).all()


def test_models_do_not_mix():
    # a model of a batch trains as it does alone, also when others have stopped
    rng = np.random.default_rng(8)
    tables = torch.as_tensor(rng.dirichlet(np.ones(20), size=(6, 2)).reshape(6, 2, 4, 5)).float()
    tables[:3, 0] = tables[:3, 1]  # three that can be learned, three that cannot
    x, y = torch.randn(6, 4, 1), torch.randn(6, 5, 1)
    own = torch.tensor([0.1, 1.0] * 3)

    def fit(rows):
        levels = (x[rows], own[rows]), (y[rows], own[rows])
        fit, stop = tables[rows].unbind(1)
        return fit_tables(*levels, fit, stop, known=torch.zeros_like(fit), seed=0)

    together = fit(torch.arange(6))
    for i in range(6):
        torch.testing.assert_close(fit(torch.tensor([i])), together[i : i + 1], atol=1e-4, rtol=0)
    assert together[:3].abs().amax((1, 2)).min() > 0.1


def test_log_ratios_are_normalised():
    rng = np.random.default_rng(9)
    table = torch.as_tensor(rng.dirichlet(np.ones(20)).reshape(1, 4, 5)).float()
    levels = (torch.randn(1, 4, 1), torch.ones(1)), (torch.randn(1, 5, 1), torch.ones(1))
    for known in (torch.zeros_like(table), torch.full_like(table, -200.0)):
        ratios = fit_tables(*levels, table, table, known=known, seed=0)
        assert (log_product(table) + ratios).exp().sum() == pytest.approx(1, abs=1e-5)


def test_levels():
    values = np.random.default_rng(10).standard_cauchy(5_000)
    levels = Levels.of_numbers(values, 20)
    assert levels.n_levels == 20 and np.all(np.diff(levels.inputs[:, 0]) > 0)
    order = np.argsort(values)
    assert np.all(np.diff(levels.codes[order]) >= 0)  # bins are intervals
    counts = Levels.of_numbers(np.repeat([0.0, 1.0, 5.0], [900, 90, 10]), 20)
    assert len(np.unique(counts.codes)) == 3
    rare = Levels.of_categories(np.r_[np.zeros(50), np.ones(40), np.arange(2, 12)], 4)
    assert rare.n_levels == 4 and np.bincount(rare.codes).tolist() == [50, 40, 1, 9]


# ------------------------------------------------------------------------------- p-values


def test_pvalues_are_uniform_under_independence():
    rng = np.random.default_rng(11)
    X, y = rng.normal(size=(1_000, 300)), rng.standard_cauchy(1_000)
    scores, pvalues = mutual_info_neural_test(X, y, random_state=0)
    assert scores.shape == pvalues.shape == (300,)
    assert np.mean(pvalues <= 0.05) <= 0.08
    assert pvalues.min() > 1e-6


def test_weak_features_are_found():
    rng = np.random.default_rng(12)
    y = rng.normal(size=3_000)
    X = rng.normal(size=(3_000, 40))
    X[:, :20] += 0.15 * y[:, None]  # 0.011 nats each
    selector = SelectFdr(lambda X, y: mutual_info_neural_test(X, y, random_state=0), alpha=0.1)
    support = selector.fit(X, y).get_support()
    assert support[:20].mean() > 0.7 and support[20:].mean() <= 0.2


def test_moments_of_permutations():
    # the z-value from the exact mean and variance, against permutations themselves
    rng = np.random.default_rng(13)
    ratios = torch.as_tensor(rng.normal(size=(1, 4, 5)))
    x, y = rng.integers(4, size=200), rng.integers(5, size=200)
    joint = np.zeros((4, 5))
    np.add.at(joint, (x, y), 1 / 200)
    pvalue = float(engine.pvalues_of(ratios, torch.as_tensor(joint)[None], 200)[0])
    sums = [ratios[0, x, rng.permutation(y)].sum().item() for _ in range(4_000)]
    statistic = ratios[0, x, y].sum().item()
    z = (statistic - np.mean(sums)) / np.std(sums)
    assert norm.isf(pvalue) == pytest.approx(z, abs=0.1)


# -------------------------------------------------------------------------------- drop-in


def test_in_a_pipeline_under_a_grid_search():
    X, y = load_breast_cancer(return_X_y=True)
    pipeline = Pipeline(
        [("select", SelectKBest(mutual_info_neural, k=10)), ("svm", LinearSVC(max_iter=200))]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = GridSearchCV(pipeline, {"select__k": [2, 10]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.8


def test_pixels_of_digits():
    X, y = load_digits(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = mutual_info_neural(X, y, random_state=0)
    assert scores[X.std(0) == 0].max() == 0  # the corners
    assert scores.max() > 0.4 and scores.argmax() in (21, 26, 30, 33, 34, 36, 42, 43)


def test_results_do_not_depend_on_chunks_jobs_or_storage(monkeypatch, tmp_path):
    X, y = gaussians(600, 14)
    X = np.hstack([X, np.random.default_rng(0).normal(size=(600, 6))])
    reference = mutual_info_neural(X, y, random_state=0)
    stored = np.memmap(tmp_path / "x.dat", dtype=np.float64, mode="w+", shape=X.shape)
    stored[:] = X
    monkeypatch.setattr(neural, "CHUNK_FEATURES", 3)
    for values in (X, stored, pd.DataFrame(X), X.tolist()):
        scores = mutual_info_neural(values, y, random_state=0)
        np.testing.assert_allclose(scores, reference, atol=1e-5)
    for backend in ("threading", "loky"):
        with parallel_config(backend=backend):
            scores = mutual_info_neural(X, y, n_jobs=2, random_state=0)
        np.testing.assert_allclose(scores, reference, atol=1e-5)
    assert np.abs(mutual_info_neural(X, y, random_state=1) - reference).max() > 1e-4


# ------------------------------------------------------------------------------ bad input


def test_constant_columns_score_nothing():
    X, y = gaussians(300, 15)
    X[:, 3] = 7
    assert mutual_info_neural(X, y, random_state=0)[3] == 0
    with pytest.warns(UserWarning, match="y is constant"):
        assert not mutual_info_neural(X, np.ones(300), random_state=0).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (np.where(X > 2, np.nan, X), y), r"Column \d of X contains NaN"),
        (lambda X, y: (X, y[:-1]), "same number of rows, got 300 and 299"),
        (lambda X, y: (X[:5], y[:5]), "too few: it takes at least 8"),
        (lambda X, y: (X, np.where(y > 2, np.nan, y)), "y contains NaN"),
        (lambda X, y: (X[:, :, None], y), "one feature a column"),
    ],
)
def test_bad_data(change, message):
    X, y = gaussians(300, 16)
    with pytest.raises(ValueError, match=message):
        mutual_info_neural(*change(X, y))


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_categories_are_refused(missing):
    table = pd.DataFrame({"c": pd.Series(["a", "b", missing] * 20, dtype=object)})
    with pytest.raises(ValueError, match="Column 'c' of X contains missing values"):
        mutual_info_neural(table, np.arange(60.0))


def test_text_must_be_named():
    X, y = gaussians(300, 17)
    table = pd.DataFrame(X, columns=list("abcd"))
    table["c"] = np.where(X[:, 2] > 0, "plus", "minus")
    scores = mutual_info_neural(table, y, random_state=0)
    assert 0.02 < scores[2] < NATS[2]
    with pytest.raises(ValueError, match="Column 'c' of X has values that are not numbers"):
        mutual_info_neural(table, y, discrete_features=False)
    with pytest.raises(ValueError, match="'n_levels' parameter"):
        mutual_info_neural(X, y, n_levels=1)
