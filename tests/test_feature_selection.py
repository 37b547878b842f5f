"""Scores of features: known truths, invariances, drop-in use, bad input."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from scipy.special import rel_entr
from scipy.stats import entropy, multivariate_normal, norm, poisson, spearmanr
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.feature_selection import (
    SelectFdr,
    SelectKBest,
    mutual_info_classif,
    mutual_info_regression,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmi import pairwise_mutual_info
from skmi.feature_selection import (
    MutualInfoSelector,
    mutual_info_neural,
    mutual_info_neural_test,
)
from skmi.feature_selection import _neural as neural
from skmi.feature_selection import _selector as selector_module
from skmi.information import _pairwise as pairwise_module
from skmi.information import _tables as engine
from skmi.information._levels import ColumnReader, Levels, number_categories
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


def test_strong_and_coarse_variables():
    # half a nat in steps, atoms in a continuum, and many rows: no bias from cutting or correcting
    rng = np.random.default_rng(30)
    n = 20_000
    y = rng.normal(size=n)
    counts = rng.poisson(np.exp(y))  # whole numbers: nothing is lost, nothing must be added
    atoms = np.where(rng.random(n) < 0.5, 0.0, 0.9 * y + np.sqrt(1 - 0.81) * rng.normal(size=n))
    strong = 0.95 * y + np.sqrt(1 - 0.95**2) * rng.normal(size=n)
    scores = mutual_info_neural(np.column_stack([counts, atoms, strong]), y, random_state=0)
    grid = norm.ppf((np.arange(1000) + 0.5) / 1000)
    table = poisson.pmf(np.arange(400)[:, None], np.exp(grid))
    truth = entropy(table.mean(1)) - entropy(table, axis=0).mean()
    assert scores[0] == pytest.approx(truth, abs=0.02)
    assert scores[1] == pytest.approx(-0.25 * np.log(1 - 0.81), abs=0.03)
    assert scores[2] == pytest.approx(-0.5 * np.log(1 - 0.95**2), abs=0.05)


def test_whole_numbers_are_numbers_where_they_are_many():
    X, y = gaussians(3_000, 34)
    for unit in (100, 5):  # hundreds of values; dozens, read as labels
        scores = mutual_info_neural(X, np.round(unit * y), random_state=0)
        np.testing.assert_allclose(scores, NATS, atol=0.06)


def test_categories_in_excess_are_grouped_with_a_warning():
    rng = np.random.default_rng(35)
    codes = rng.integers(80, size=4_000)
    names = np.char.add("c", codes.astype(str))
    with pytest.warns(UserWarning, match="Column 'code' of X has 80 categories: the 25 rarest"):
        mutual_info_neural(pd.DataFrame({"code": names}), codes % 2, random_state=0)
    with pytest.warns(UserWarning, match="y has 80 categories"):
        mutual_info_neural(codes[:, None] % 2, names, random_state=0)


def test_categories_by_mask_index_and_name():
    rng = np.random.default_rng(36)
    codes = rng.permutation(12)[rng.integers(12, size=4_000)]  # numbers without an order
    y = (codes * 7 % 12) // 4
    X = np.column_stack([rng.normal(size=4_000), codes])
    table = pd.DataFrame(X, columns=["noise", "code"])
    reference = mutual_info_neural(X, y, discrete_features=[False, True], random_state=0)
    assert reference[1] == pytest.approx(np.log(3), abs=0.02)
    for values, which in ((X, [1]), (table, ["code"]), (table, [False, True])):
        scores = mutual_info_neural(values, y, discrete_features=which, random_state=0)
        np.testing.assert_allclose(scores, reference)
    twice = pd.concat([table["code"], table["code"]], axis=1)
    assert ColumnReader(twice, ["code"]).discrete.all()


def test_numbers_of_categories_are_their_order():
    values = np.array([10, 2, 1, 10, 1], dtype=object)
    assert number_categories(values, "x").tolist() == [2, 1, 0, 2, 0]
    assert number_categories(values.astype(int), "x").tolist() == [2, 1, 0, 2, 0]
    mixed = np.array([1, "1", "b", 1], dtype=object)
    assert len(set(number_categories(mixed, "x"))) == 3
    with pytest.raises(TypeError, match="Column 'c' of X has values that cannot be categories"):
        number_categories(np.array([[1], [2], None], dtype=object)[:2], "Column 'c' of X")


def test_lists_of_numbers_and_text():
    rng = np.random.default_rng(37)
    y = rng.normal(size=500)
    rows = [[value, "a" if value > 0 else "b"] for value in y]
    scores = mutual_info_neural(rows, y, random_state=0)
    selector = MutualInfoSelector(random_state=0).fit(rows, y)
    np.testing.assert_allclose(selector.scores_, scores)
    assert scores[0] > 1 > scores[1] > 0.5


def test_few_rows_are_warned_of():
    X, y = gaussians(60, 38)
    with pytest.warns(UserWarning, match="n_samples=60: with fewer than 100 rows"):
        mutual_info_neural(X, y, random_state=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [41, 42])
def test_known_information_beside_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    y, truth = rng.normal(size=10_000), np.tile([0.0, 0.05, 0.2, 0.5, 0.8], 12)
    rho = np.sqrt(1 - np.exp(-2 * truth))
    X = rho * y[:, None] + np.sqrt(1 - rho**2) * rng.normal(size=(10_000, 60))
    X[:, ::2] = np.sinh(2 * X[:, ::2])  # heavy tails
    scores = mutual_info_neural(X, y, random_state=seed)
    theirs = mutual_info_regression(X, y, random_state=seed)
    assert np.abs(scores - truth).mean() < np.abs(theirs - truth).mean()
    assert spearmanr(scores, truth).statistic > 0.97
    assert np.mean(scores[truth == 0] > scores[truth >= 0.05].min()) <= 0.01


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
    rare = Levels.of_categories(np.repeat(np.arange(12), [50, 40] + [1] * 10), 4)
    assert rare.n_levels == 4 and np.bincount(rare.codes).tolist() == [50, 40, 1, 9]


def test_what_cutting_loses_is_extrapolated():
    # of a smooth density on a grid: exact at the optimum, up to the fourth power of the width
    rho, grid = 0.8, np.linspace(-4, 4, 321)
    middle = (grid[1:] + grid[:-1]) / 2
    places = np.stack(np.meshgrid(middle, middle, indexing="ij"), axis=-1)
    density = multivariate_normal(cov=[[1, rho], [rho, 1]]).pdf(places)
    table = density.reshape(32, 10, 32, 10).sum((1, 3))
    table = torch.as_tensor(table / table.sum())[None]
    ratios = table.log() - log_product(table)
    halves = torch.as_tensor(np.eye(16).repeat(2, axis=0))[None]
    value = bound_of_tables(ratios, table, log_product(table)).item()
    lost = engine.lost_by_cutting(ratios, table, halves, halves).item()
    truth = -0.5 * np.log(1 - rho**2)
    assert truth - value > 0.005
    assert abs(value + lost - truth) < 0.2 * (truth - value)


def test_what_the_critic_misses_is_estimated_without_bias():
    # with a critic of 0 it is all of the information, to second order; of chance, nothing
    rng = np.random.default_rng(31)
    joint = np.full((4, 4), 1 / 16) + 0.01 * (np.eye(4) - 0.25)
    truth = rel_entr(joint, np.full((4, 4), 1 / 16)).sum()
    groups = torch.eye(4, dtype=torch.float64)[None].expand(2_000, 4, 4)
    for table, expected in ((joint, truth), (np.full((4, 4), 1 / 16), 0)):
        draws = rng.multinomial(500, table.ravel(), size=2_000).reshape(-1, 4, 4) / 500
        draws = torch.as_tensor(draws)
        missed = engine.missed_by_critic(torch.zeros_like(draws), draws, groups, groups, 500)
        tolerance = 4 * missed.std().item() / 2_000**0.5
        assert missed.mean().item() == pytest.approx(expected, abs=tolerance + 0.05 * truth)


def test_cells_are_the_tuples_of_levels_that_occur():
    rng = np.random.default_rng(32)
    a, b = rng.integers(3, size=200), rng.normal(size=200)
    first, second = Levels.of_categories(a, 16), Levels.of_numbers(b, 8)
    cells = Levels.of_nothing(200, 2, 5).beside(first, second)
    tuples = np.column_stack([first.codes, second.codes])
    assert cells.n_levels == len(np.unique(tuples, axis=0)) and cells.known.shape[1:] == (
        cells.n_levels,
        5,
    )
    same = (tuples[:, None] == tuples).all(2)
    np.testing.assert_array_equal(cells.codes[:, None] == cells.codes, same)
    inputs = np.hstack([np.eye(3)[first.codes], second.inputs[second.codes]])
    np.testing.assert_allclose(cells.inputs[cells.codes], inputs)


def test_halves_leave_single_values_alone():
    values = np.r_[np.zeros(500), np.random.default_rng(33).normal(5, 1, size=500)]
    levels = Levels.of_numbers(values, 12)
    halves = levels.halves()
    zero = halves[levels.codes[0]]
    assert not levels.wide[levels.codes[0]] and np.sum(halves == zero) == 1
    assert np.bincount(halves).max() == 2
    counts = Levels.of_numbers(np.repeat(np.arange(6.0), 30), 12)
    assert len(np.unique(counts.halves()[counts.codes])) == 6


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
    for values in (stored, pd.DataFrame(X), X.tolist()):
        scores = mutual_info_neural(values, y, random_state=0)
        np.testing.assert_allclose(scores, reference, atol=1e-5)
    with parallel_config(backend="threading"):
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


# ------------------------------------------------------------------------------- selector


@parametrize_with_checks([MutualInfoSelector(random_state=0)])
def test_conventions(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [MutualInfoSelector(name, random_state=0) for name in ("mrmr", "jmi", "cmim", "joint")]
)
def test_conventions_of_other_criteria(estimator, check):
    check(estimator)


@pytest.mark.parametrize("continuous", [False, True])
def test_joint_finds_an_interaction_among_distractors(continuous):
    rng = np.random.default_rng(18 + continuous)
    X = rng.normal(size=(5_000, 52))
    y = X[:, 17] * X[:, 33] if continuous else (X[:, 17] > 0) ^ (X[:, 33] > 0)
    selector = MutualInfoSelector("joint", n_features_to_select=2, random_state=0).fit(X, y)
    np.testing.assert_array_equal(selector.get_support(indices=True), [17, 33])
    assert (selector.redundancy_[[17, 33]] < -0.15).all()  # synergy
    if not continuous:  # each has half of log 2
        together = (selector.scores_ - selector.redundancy_)[[17, 33]].sum()
        assert 0.55 < together < np.log(2) + 0.01
        alone = mutual_info_classif(X[:1_000], y[:1_000], random_state=0)[[17, 33]]
        assert alone.max() < 0.1


def redundant_features(n_samples, seed):
    """Columns 0 and 1 add up to y; 2 to 4 are copies of column 0; the others are noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 8))
    y = 2 * X[:, 0] + X[:, 1] + 0.5 * rng.normal(size=n_samples)
    X[:, 2] = X[:, 0]
    X[:, 3] = np.exp(X[:, 0])
    X[:, 4] = X[:, 0] + 0.05 * rng.normal(size=n_samples)
    return X, y


@pytest.mark.parametrize(
    "criterion",
    ["jmi", *(pytest.param(c, marks=pytest.mark.slow) for c in ("mrmr", "cmim", "joint"))],
)
def test_copies_are_dropped(criterion):
    X, y = redundant_features(2_000, 20)
    selector = MutualInfoSelector(criterion, n_features_to_select=2, random_state=0).fit(X, y)
    chosen = set(selector.get_support(indices=True))
    assert 1 in chosen and len(chosen & {0, 2, 3, 4}) == 1
    alone = MutualInfoSelector(n_features_to_select=2, random_state=0).fit(X, y)
    assert set(alone.get_support(indices=True)) < {0, 2, 3, 4}  # blind to copies
    assert not alone.redundancy_.any()


def test_criteria_are_their_formulas():
    # from the same engine, written out over the selected features
    X, y = redundant_features(1_000, 21)
    X = X[:, [1, 4, 0, 5]]
    pairs = pairwise_mutual_info(X, random_state=0).to_numpy()
    selector = MutualInfoSelector("mrmr", n_features_to_select=3, random_state=0).fit(X, y)
    np.testing.assert_allclose(selector.scores_, mutual_info_neural(X, y, random_state=0))
    first, second, third, last = np.argsort(selector.ranking_)
    assert selector.redundancy_[first] == 0
    # levels are coarser where several columns are looked at
    for j, chosen in ((second, [first]), (third, [first, second]), (last, [first, second])):
        truth = pairs[j, chosen].mean()
        assert selector.redundancy_[j] == pytest.approx(truth, rel=0.35, abs=0.02)
    assert sorted(selector.ranking_) == [1, 2, 3, 4]


def test_conditional_information_of_the_criteria():
    # of Gaussians: I(X_j; Y | X_s) in closed form
    rng = np.random.default_rng(22)
    X = rng.normal(size=(5_000, 3))
    X[:, 2] = 0.6 * X[:, 0] + 0.8 * X[:, 2]
    y = X[:, 0] + X[:, 1] + 2 * rng.normal(size=5_000)

    def information(*columns):
        rows = np.corrcoef(np.column_stack([X[:, columns], y]).T)
        return -0.5 * np.log(np.linalg.det(rows) / np.linalg.det(rows[:-1, :-1]))

    for criterion in ("cmim", "jmi", "joint"):
        selector = MutualInfoSelector(criterion, n_features_to_select=2, random_state=0).fit(X, y)
        first, second, last = np.argsort(selector.ranking_)
        values = selector.scores_ - selector.redundancy_
        assert {first, second} == {0, 1} and last == 2
        truth = information(first, second) - information(first)
        assert values[second] == pytest.approx(truth, abs=0.04)  # cut into few levels
        truth = information(first, last) - information(first)  # when the second was chosen
        assert values[last] == pytest.approx(truth, abs=0.03)


def test_screening_is_the_plug_in_interaction():
    rng = np.random.default_rng(23)
    columns = [rng.integers(4, size=400).astype(np.uint8) for _ in range(3)]
    target = ((columns[0] + columns[2]) % 4 > 1).astype(int)

    def information(a, b):
        table = np.zeros((a.max() + 1, b.max() + 1))
        np.add.at(table, (a, b), 1 / len(a))
        return rel_entr(table, np.outer(table.sum(1), table.sum(0))).sum()

    synergies, pairs = selector_module._screen_block(columns, columns, target, 0, 0)
    assert pairs.tolist()[0] == [0, 2] and len(pairs) == 3
    for synergy, (i, j) in zip(synergies, pairs, strict=True):
        truth = information(columns[i] * 4 + columns[j], target)
        truth -= information(columns[i], target) + information(columns[j], target)
        assert synergy == pytest.approx(truth - 9 / 800, abs=1e-5)


def test_screening_in_blocks(monkeypatch):
    X = np.random.default_rng(24).normal(size=(1_000, 9))
    y = (X[:, 1] > 0) ^ (X[:, 7] > 0)
    monkeypatch.setattr(selector_module, "SCREEN_CELLS", 1)
    selector = MutualInfoSelector("joint", n_features_to_select=2, random_state=0).fit(X, y)
    np.testing.assert_array_equal(selector.get_support(indices=True), [1, 7])


def test_selector_in_a_pipeline_and_with_frames():
    table = pd.DataFrame(redundant_features(600, 25)[0], columns=list("abcdefgh"))
    y = table["a"] + table["b"] > 0
    table["kind"] = np.where(y, "plus", "minus")
    selector = MutualInfoSelector("cmim", n_features_to_select=1, random_state=0)
    chosen = selector.set_output(transform="pandas").fit_transform(table, y)
    assert list(chosen.columns) == ["kind"] == list(selector.get_feature_names_out())
    pipeline = Pipeline([("select", MutualInfoSelector(random_state=0)), ("svm", LinearSVC())])
    grid = {"select__criterion": ["relevance", "mrmr"], "select__n_features_to_select": [2, 0.5]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(table.drop(columns="kind"), y)
    assert search.best_params_["select__criterion"] == "mrmr" and search.best_score_ > 0.85


def test_selector_with_several_outputs_and_few_samples(tmp_path):
    X, _ = redundant_features(1_000, 29)
    outputs = np.column_stack([X[:, 0] > 0, X[:, 1] > 0]).astype(float)
    stored = np.memmap(tmp_path / "x.dat", dtype=np.float64, mode="w+", shape=X.shape)
    stored[:] = X
    options = {"n_features_to_select": 2, "max_samples": 400, "random_state": 0}
    selector = MutualInfoSelector("jmi", **options).fit(stored, outputs)
    chosen = set(selector.get_support(indices=True))
    assert 1 in chosen and len(chosen & {0, 2, 3, 4}) == 1
    np.testing.assert_array_equal(selector.ranking_, clone(selector).fit(X, outputs).ranking_)


@pytest.mark.slow
def test_selection_does_not_depend_on_chunks_or_jobs(monkeypatch):
    X, y = redundant_features(250, 26)
    y = y > 0
    selector = MutualInfoSelector("joint", n_features_to_select=3, random_state=0).fit(X, y)
    monkeypatch.setattr(selector_module, "CHUNK_FEATURES", 3)
    with parallel_config(backend="threading", n_jobs=2):
        other = clone(selector).fit(X, y)
    np.testing.assert_array_equal(selector.ranking_, other.ranking_)
    np.testing.assert_allclose(selector.redundancy_, other.redundancy_, atol=1e-5)


@pytest.mark.slow
def test_dask_cluster_gives_the_same(monkeypatch):
    distributed = pytest.importorskip("distributed")
    X, y = redundant_features(400, 27)
    reference = MutualInfoSelector("jmi", n_features_to_select=2, random_state=0).fit(X, y)
    pairs = pairwise_mutual_info(X[:, :5], random_state=0)
    for module, name in (
        (neural, "CHUNK_FEATURES"),
        (selector_module, "CHUNK_FEATURES"),
        (pairwise_module, "CHUNK_PAIRS"),
    ):
        monkeypatch.setattr(module, name, 3)
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(processes=True, **options) as cluster,
        distributed.Client(cluster) as client,
        parallel_config(backend="dask", n_jobs=-1),
    ):
        spread = clone(reference).fit(X, y)
        spread_pairs = pairwise_mutual_info(X[:, :5], random_state=0)
        executed = client.run(lambda dask_worker: dask_worker.state.executed_count)
    assert min(executed.values()) > 0
    np.testing.assert_allclose(spread.scores_, reference.scores_, atol=1e-5)
    np.testing.assert_allclose(spread.redundancy_, reference.redundancy_, atol=1e-5)
    np.testing.assert_allclose(spread_pairs, pairs, atol=1e-5)


def test_bad_selections():
    X, y = redundant_features(200, 28)
    with pytest.raises(ValueError, match="n_features_to_select=9 is more than the 8 features"):
        MutualInfoSelector(n_features_to_select=9).fit(X, y)
    with pytest.raises(ValueError, match="'criterion' parameter of MutualInfoSelector"):
        MutualInfoSelector("best").fit(X, y)
    with pytest.raises(ValueError, match="Column 3 of X contains NaN"):
        MutualInfoSelector().fit(np.where(np.arange(8) == 3, np.nan, X), y)
    with pytest.raises(ValueError, match="same number of rows, got 200 and 199"):
        MutualInfoSelector().fit(X, y[1:])
    with pytest.warns(UserWarning, match="y is constant"):
        constant = MutualInfoSelector("mrmr", random_state=0).fit(X, np.zeros(200))
    assert not constant.scores_.any() and constant.support_.sum() == 4
    X[:, 5] = 1.0
    assert MutualInfoSelector("joint", random_state=0).fit(X, y).scores_[5] == 0
