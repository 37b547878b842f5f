"""The neural dependency measure: total correlations, invariances, honest scores, bad input."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from sklearn.model_selection import KFold, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmi import kl_divergence
from skmi.dependence import NeuralDependencyMeasure
from skmi.dependence._ndm import shuffle_columns
from skmi.exceptions import ConvergenceWarning, SaturationWarning

QUICK = {"max_epochs": 2, "cv": 2, "hidden_layer_sizes": (8,), "random_state": 0}
quick = pytest.mark.filterwarnings("ignore::skmi.exceptions.ConvergenceWarning")
ROWS = np.random.default_rng(9).normal(size=(40, 2))


def measure(Z, **options):
    return NeuralDependencyMeasure(**{"cv": 2, "random_state": 0} | options).fit(Z)


def gaussians(n_samples, n_columns, decay=0.6, seed=0):
    """Rows with correlations decay^|i - j|, and their total correlation -1/2 log det R."""
    correlations = decay ** np.abs(np.subtract.outer(*2 * [np.arange(n_columns)]))
    rows = np.random.default_rng(seed).normal(size=(n_samples, n_columns))
    truth = -(n_columns - 1) / 2 * math.log(1 - decay**2)
    return rows @ np.linalg.cholesky(correlations).T, truth


# ------------------------------------------------------------------------- known truths


def test_closed_form_of_the_gaussians():
    R = 0.6 ** np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    assert gaussians(2, 5)[1] == pytest.approx(-np.linalg.slogdet(R)[1] / 2)


@pytest.mark.parametrize(
    "n_columns", [5, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 16))]
)
def test_gaussians(n_columns):
    Z, truth = gaussians(2_000, n_columns)
    ndm = measure(Z)
    assert ndm.ndm_ == pytest.approx(truth, abs=0.03 * n_columns**0.5 + 3 * ndm.stderr_)
    assert ndm.ndm_ < truth + 3 * ndm.stderr_
    fresh, _ = gaussians(2_000, n_columns, seed=1)
    assert ndm.score(fresh) == pytest.approx(truth, abs=0.03 * n_columns**0.5 + 3 * ndm.stderr_)


@pytest.mark.parametrize(
    "bound", ["nwj", *(pytest.param(name, marks=pytest.mark.slow) for name in ("dv", "eta-dv"))]
)
def test_bounds_agree(bound):
    Z, truth = gaussians(1_000, 2, decay=0.8, seed=2)
    ndm = measure(Z, bound=bound)
    assert ndm.ndm_ == pytest.approx(truth, abs=0.03 + 3 * ndm.stderr_)


def test_independent_columns():
    Z = np.random.default_rng(3).standard_t(2, size=(1_500, 5)) * [1, 10, 1e3, 1, 1]
    ndm = measure(Z)
    assert abs(ndm.ndm_) < 0.02
    assert abs(ndm.train_ndm_) < 0.03


@pytest.mark.slow
def test_exclusive_or():
    """Any two of the three bits are independent; all three share log 2."""
    bits = np.random.default_rng(4).integers(2, size=(1_000, 2))
    ndm = measure(np.column_stack([bits, bits[:, 0] ^ bits[:, 1]]))
    assert ndm.ndm_ == pytest.approx(math.log(2), abs=0.05)
    pair = measure(np.column_stack([bits[:, 0], bits[:, 0] ^ bits[:, 1]]), max_epochs=20)
    assert abs(pair.ndm_) < 0.02


@pytest.mark.slow
def test_rotation_mixes_columns_that_are_not_gaussian():
    Z = np.random.default_rng(5).exponential(size=(1_500, 2))
    rotation = np.array([[1.0, -1.0], [1.0, 1.0]]) / math.sqrt(2)
    rotated = measure(Z @ rotation)
    assert rotated.ndm_ > 0.1 + 3 * rotated.stderr_
    assert abs(np.corrcoef((Z @ rotation).T)[0, 1]) < 0.1  # hardly correlated
    assert measure(Z).ndm_ < 0.02


def test_divergence_from_a_shuffled_sample():
    Z, _ = gaussians(1_000, 2, seed=6)
    shuffled = shuffle_columns(Z, 1, np.random.default_rng(0))
    divergence = kl_divergence(Z, shuffled, cv=2, random_state=0)
    ndm = measure(Z)
    assert ndm.ndm_ == pytest.approx(divergence.lower_bound, abs=4 * divergence.stderr)


@quick
def test_copies_saturate():
    z = np.random.default_rng(7).normal(size=500)
    with pytest.warns(SaturationWarning, match="more than 500 rows can show"):
        ndm = measure(np.column_stack([z, z]), max_epochs=60)
    assert ndm.ndm_ > math.log(500) / 2


# ------------------------------------------------------------------- what does not matter


@pytest.mark.slow
def test_order_scale_and_shape_of_the_columns():
    Z, _ = gaussians(500, 3, seed=8)
    reference = measure(Z)
    assert measure(Z[:, [2, 0, 1]]).ndm_ == pytest.approx(reference.ndm_, abs=0.1)
    maps = np.column_stack([np.exp(3 * Z[:, 0]), Z[:, 1] ** 3, 1e6 * Z[:, 2] - 5])
    assert measure(maps).ndm_ == pytest.approx(reference.ndm_, abs=1e-3)
    padded = np.column_stack([Z, np.full(500, 7.0)])
    assert measure(padded).ndm_ == pytest.approx(reference.ndm_, abs=0.1)


@quick
def test_maps_tables_and_arrays_are_columns():
    Z = np.random.default_rng(10).normal(size=(40, 4))
    reference = NeuralDependencyMeasure(**QUICK).fit(Z)
    images = Z.reshape(40, 1, 2, 2)
    ndm = NeuralDependencyMeasure(**QUICK).fit(images)
    assert ndm.ndm_ == reference.ndm_
    assert ndm.score(images) == reference.score(Z)
    frame = pd.DataFrame(Z, columns=list("abcd"))
    ndm = NeuralDependencyMeasure(**QUICK).fit(frame)
    assert ndm.ndm_ == reference.ndm_
    assert list(ndm.feature_names_in_) == list("abcd")


def test_shuffled_columns_keep_their_values():
    shuffled = shuffle_columns(ROWS, 3, np.random.default_rng(0)).reshape(3, 40, 2)
    np.testing.assert_array_equal(np.sort(shuffled, axis=1), 3 * [np.sort(ROWS, axis=0)])
    assert len(np.unique(shuffled[:, 0], axis=0)) == 3
    assert not set(map(tuple, ROWS)) & set(map(tuple, shuffled[0][:20]))


@quick
def test_one_seed_one_result():
    states = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    serial = NeuralDependencyMeasure(**QUICK).fit(ROWS)
    with parallel_config("threading"):
        threads = NeuralDependencyMeasure(**QUICK, n_jobs=2).fit(ROWS)
    np.testing.assert_array_equal(serial.fold_scores_, threads.fold_scores_)
    assert serial.score(ROWS) == threads.score(ROWS) == serial.score(ROWS)
    assert NeuralDependencyMeasure(**QUICK | {"random_state": 1}).fit(ROWS).ndm_ != serial.ndm_
    np.testing.assert_array_equal(np.random.get_state()[1], states[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), states[1])


# -------------------------------------------------------------------------- life of a fit


@quick
@pytest.mark.parametrize("bound", ["jsd", "eta-dv"])
def test_save_and_load(tmp_path, bound):
    ndm = NeuralDependencyMeasure(bound, **QUICK).fit(np.column_stack([ROWS, ROWS[:, 0]]))
    ndm.save(tmp_path / "ndm.safetensors")
    loaded = NeuralDependencyMeasure.load(tmp_path / "ndm.safetensors")
    fresh = np.random.default_rng(11).normal(size=(30, 3))
    assert loaded.score(fresh) == ndm.score(fresh)
    assert loaded.ndm_ == ndm.ndm_
    assert loaded.get_params() == ndm.get_params()


@quick
def test_folds_and_cross_validation():
    ndm = NeuralDependencyMeasure(**QUICK | {"cv": list(KFold(4).split(ROWS))}).fit(ROWS)
    assert ndm.fold_scores_.shape == (4,)
    assert ndm.ndm_ == pytest.approx(ndm.fold_scores_.mean())
    scores = cross_val_score(NeuralDependencyMeasure(**QUICK), ROWS, cv=2)
    assert np.isfinite(scores).all()


def test_verbose(capsys):
    with pytest.warns(ConvergenceWarning, match="2 of 2 critics had not converged"):
        NeuralDependencyMeasure(**QUICK, verbose=1).fit(ROWS)
    assert "NeuralDependencyMeasure fold 2/2" in capsys.readouterr().err


@quick
def test_nothing_to_depend_on():
    with pytest.warns(UserWarning, match="Only one column of Z varies"):
        assert NeuralDependencyMeasure(**QUICK).fit(ROWS[:, :1]).ndm_ == pytest.approx(0, abs=1e-3)
    with pytest.warns(UserWarning, match="Z is constant"):
        ndm = NeuralDependencyMeasure(**QUICK).fit(np.ones((40, 3)))
    assert ndm.ndm_ == pytest.approx(0, abs=1e-3)


@quick
@pytest.mark.parametrize(
    ("Z", "options", "message"),
    [
        (np.where(ROWS > 2, np.nan, ROWS), {}, "Z contains NaN"),
        (np.where(ROWS > 2, np.inf, ROWS), {}, "Z contains infinity"),
        (ROWS[:, 0], {}, "Expected 2D array"),
        (ROWS[:5], {}, "Z has n_samples=5, too few for cv=2"),
        (np.where(ROWS > 0, "a", "b"), {}, "Z has values that are not numbers"),
        (ROWS, {"cv": list(KFold(40).split(ROWS))}, "cv makes a split of Z"),
        (ROWS, {"bound": "infonce"}, "'bound' parameter of NeuralDependencyMeasure"),
        (ROWS, {"n_shuffles": 0}, "'n_shuffles' parameter of NeuralDependencyMeasure"),
        (ROWS, {"hidden_layer_sizes": ()}, "hidden_layer_sizes must be a non-empty sequence"),
        (ROWS, {"device": "abacus"}, "device='abacus' is not available"),
    ],
)
def test_bad_input(Z, options, message):
    ndm = NeuralDependencyMeasure(**QUICK).fit(ROWS).set_params(**options)
    with pytest.raises((ValueError, TypeError), match=message):
        ndm.fit(Z)
    assert Z is ROWS or not hasattr(ndm, "ratios_")


@quick
def test_bad_rows_to_score():
    ndm = NeuralDependencyMeasure(**QUICK).fit(ROWS)
    with pytest.raises(ValueError, match="3 features"):
        ndm.score(np.ones((5, 3)))
    with pytest.raises(ValueError, match="rows of shape"):
        ndm.score(np.ones((5, 2, 2)))
    with pytest.raises(ValueError, match="NaN"):
        ndm.score(np.full((5, 2), np.nan))


@pytest.mark.filterwarnings("ignore::UserWarning")
@parametrize_with_checks([NeuralDependencyMeasure(max_epochs=2, n_shuffles=1)], xfail_strict=True)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)
