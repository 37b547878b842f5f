"""KL between samples: closed forms, invariances, the log density ratio, and bad input."""

import math
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from scipy.stats import multivariate_normal
from sklearn.model_selection import KFold

from skmi import kl_divergence, mutual_info
from skmi.bounds import dv, infonce, jsd
from skmi.exceptions import ConvergenceWarning, GeneralizationGapWarning, SaturationWarning
from skmi.information._objective import _stacking_weights
from skmi.information._ratio import GaussianLogRatio

QUICK = {"max_epochs": 3, "cv": 2, "random_state": 0}
quick = pytest.mark.filterwarnings("ignore::skmi.exceptions.ConvergenceWarning")


def gaussian_kl(mean, scale, n_columns):
    """KL(N(m, s I) || N(0, I)) with a mean vector of length m."""
    return 0.5 * (n_columns * (scale - 1 - math.log(scale)) + mean**2)


# ------------------------------------------------------------------------- known truths


@pytest.mark.parametrize(
    ("n_columns", "mean", "scale"), [(1, 1.2, 1.0), (5, 0.8, 0.55), (20, 0.0, 0.68)]
)
def test_gaussians(n_columns, mean, scale):
    rng = np.random.default_rng(0)
    P = mean / math.sqrt(n_columns) + math.sqrt(scale) * rng.normal(size=(4_000, n_columns))
    Q = rng.normal(size=(4_000, n_columns))
    result = kl_divergence(P, Q, random_state=0)
    truth = gaussian_kl(mean, scale, n_columns)
    assert result.estimate == pytest.approx(truth, abs=0.02 + 3 * result.stderr)
    assert result.stderr < 0.05
    assert result.lower_bound < truth + 3 * result.stderr


@pytest.mark.slow
def test_exponentials_of_different_rates_and_sizes():
    rng = np.random.default_rng(1)
    fast, slow = rng.exponential(1 / 3, size=3_000), rng.exponential(1, size=2_000)
    result = kl_divergence(fast, slow, random_state=0)
    assert result.estimate == pytest.approx(math.log(3) - 2 / 3, abs=0.02 + 3 * result.stderr)
    assert result.n_samples == (3_000, 2_000)
    # the other way round P has a heavier tail than Q, which n rows of Q hardly show
    reverse = kl_divergence(slow, fast, cv=2, random_state=0)
    assert result.estimate < reverse.lower_bound < 2 - math.log(3) + 3 * reverse.stderr


def test_heavy_tails():
    rng = np.random.default_rng(2)
    P, Q = 3 + rng.standard_cauchy(size=(3_000, 1)), rng.standard_cauchy(size=(3_000, 1))
    result = kl_divergence(P, Q, cv=2, random_state=0)
    assert result.estimate == pytest.approx(math.log(13 / 4), abs=0.02 + 4 * result.stderr)


@pytest.mark.parametrize("n_columns", [1, 10])
def test_samples_of_one_distribution(n_columns):
    P, Q = np.random.default_rng(3).normal(size=(2, 2_000, n_columns))
    result = kl_divergence(P, Q, random_state=0)
    assert abs(result.estimate) < 0.02
    assert abs(result.lower_bound) < 0.02


@pytest.mark.slow
def test_mutual_information_is_the_divergence_from_the_product(gaussian_pair):
    X, Y, truth = gaussian_pair(2_000, 1, 0.7, seed=4)
    shuffled = np.random.default_rng(4).permutation(Y)
    divergence = kl_divergence(np.hstack([X, Y]), np.hstack([X, shuffled]), cv=2, random_state=0)
    information = mutual_info(X, Y, cv=2, random_state=0)
    assert divergence.estimate == pytest.approx(information.estimate, abs=3 * divergence.stderr)
    assert divergence.estimate == pytest.approx(truth, abs=0.02 + 3 * divergence.stderr)


@pytest.mark.parametrize("bound", ["dv", "nwj", "eta-dv"])
def test_every_bound(bound):
    rng = np.random.default_rng(5)
    P, Q = 0.8 * rng.normal(size=(2_000, 2)) + [0.8, 0], rng.normal(size=(2_000, 2))
    result = kl_divergence(P, Q, bound=bound, cv=2, random_state=0)
    truth = gaussian_kl(0.8, 0.64, 2)
    assert result.estimate == pytest.approx(truth, abs=0.02 + 3 * result.stderr)


def test_numbers_and_categories_in_one_table():
    rng = np.random.default_rng(6)
    in_P, in_Q = [0.6, 0.3, 0.1], [0.2, 0.3, 0.5]

    def sample(n_rows, frequencies, mean):
        letters = rng.choice(["a", "b", "c"], size=n_rows, p=frequencies)
        return pd.DataFrame({"letter": letters, "number": mean + rng.normal(size=n_rows)})

    samples = sample(2_000, in_P, 0.5), sample(3_000, in_Q, 0)
    result = kl_divergence(*samples, cv=2, random_state=0)
    log_ratio = np.log(np.divide(in_P, in_Q))
    truth = in_P @ log_ratio + 0.5**2 / 2
    assert result.estimate == pytest.approx(truth, abs=0.02 + 3 * result.stderr)
    rows = pd.DataFrame({"letter": ["a", "b", "c"], "number": 0.25})  # where the number is silent
    np.testing.assert_allclose(result.log_ratio(rows), log_ratio, atol=0.6)
    with pytest.raises(ValueError, match="X has categories that fit did not see"):
        result.log_ratio(rows.replace("a", "z"))


# ------------------------------------------------------------------------ the log ratio


def test_log_ratio():
    rng = np.random.default_rng(7)
    P, Q = rng.normal(loc=1, size=(4_000, 1)), rng.normal(size=(4_000, 1))
    result = kl_divergence(P, Q, cv=2, random_state=0)
    grid = np.linspace(-1, 2, 20)[:, None]
    np.testing.assert_allclose(result.log_ratio(grid), grid[:, 0] - 0.5, atol=0.25)
    fresh_P, fresh_Q = rng.normal(loc=1, size=(4_000, 1)), rng.normal(size=(4_000, 1))
    assert result.log_ratio(fresh_P).mean() == pytest.approx(0.5, abs=0.1)
    weights = np.exp(result.log_ratio(fresh_Q))  # they make a sample of P out of one of Q
    assert weights.mean() == pytest.approx(1, abs=0.2)
    assert np.average(fresh_Q[:, 0], weights=weights) == pytest.approx(1, abs=0.25)
    copy = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(copy.log_ratio(grid), result.log_ratio(grid))


def test_log_ratio_of_gaussians_in_closed_form():
    rng = np.random.default_rng(8)
    mixing = np.eye(3) + 0.3 * rng.normal(size=(3, 3))
    P, Q = rng.normal(size=(20_000, 3)) @ mixing + 1, rng.normal(size=(30_000, 3))
    rows = rng.normal(size=(50, 3))
    expected = multivariate_normal(P.mean(0), np.cov(P.T)).logpdf(rows)
    expected -= multivariate_normal(Q.mean(0), np.cov(Q.T)).logpdf(rows)
    tensors = [torch.as_tensor(values, dtype=torch.float32) for values in (P, Q, rows)]
    found = GaussianLogRatio.fit(*tensors[:2])(tensors[2])
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.02)
    # rows are scored alike in other units, with a constant and a repeated column
    P, Q, rows = (torch.stack([t[:, 0], t[:, 0], 100 + 0 * t[:, 1], 1000 * t[:, 2]], 1)
                  for t in tensors)  # fmt: skip
    plain = GaussianLogRatio.fit(*(t[:, [0, 2]] for t in tensors[:2]))(tensors[2][:, [0, 2]])
    np.testing.assert_allclose(GaussianLogRatio.fit(P, Q)(rows), plain, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("value", [dv, jsd, infonce])
def test_stacking_weights_maximise_the_bound(value):
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(400, generator=generator).double()
    noise = torch.randn(2, 400, 6, generator=generator).double()
    scores = noise + truth[None, :, None] * torch.tensor([1.0, 0.3])[:, None, None]
    joint, product = scores[..., 0] + 1, scores[..., 1:] - truth[None, :, None]
    weights = _stacking_weights(value, joint, product, penalty=1.0)
    constants = torch.linspace(-2, 2, 81).double()

    def best(weights):
        total = [torch.tensordot(weights, s, 1) for s in (joint, product)]
        return max(float(value(total[0] + c, total[1] + c)) for c in constants)

    assert ((weights >= 0) & (weights <= 2)).all()
    for step in ([0.1, 0], [-0.1, 0], [0, 0.1], [0, -0.1]):
        other = (weights + torch.tensor(step)).clamp(0, 2)
        assert best(other) < best(weights) + 1e-3


# -------------------------------------------------------------------------- invariances


@quick
def test_what_the_divergence_does_not_depend_on():
    rng = np.random.default_rng(9)
    P, Q = rng.normal(loc=0.7, size=(500, 2)), rng.normal(size=(400, 2))
    reference = kl_divergence(P, Q, **QUICK)
    skewed = kl_divergence(np.exp(5 * P) * [1, 1e6], np.exp(5 * Q) * [1, 1e6], **QUICK)
    assert skewed.estimate == pytest.approx(reference.estimate, abs=0.01)
    frames = [pd.DataFrame(rows, columns=["a", "b"]) for rows in (P, Q)]
    assert kl_divergence(*frames, **QUICK).estimate == reference.estimate
    images = kl_divergence(P.reshape(-1, 2, 1), Q.reshape(-1, 2, 1), **QUICK)
    assert images.estimate == reference.estimate
    vectors = kl_divergence(P[:, 0], list(Q[:, 0]), **QUICK)
    assert vectors.estimate == kl_divergence(P[:, :1], Q[:, :1], **QUICK).estimate


@quick
def test_units():
    P, Q = np.random.default_rng(10).normal(size=(2, 300, 1))
    P += 1
    nats, bits = (kl_divergence(P, Q, units=units, **QUICK) for units in ("nats", "bits"))
    for name in ("estimate", "lower_bound", "stderr", "fold_values"):
        np.testing.assert_allclose(getattr(bits, name) * math.log(2), getattr(nats, name))
    np.testing.assert_allclose(bits.log_ratio(P) * math.log(2), nats.log_ratio(P))
    assert "KL(P || Q)" in str(bits) and "bits" in str(bits) and "(300, 300) rows" in str(bits)
    intervals = (np.array(result.confidence_interval(0.9)) for result in (bits, nats))
    np.testing.assert_allclose(next(intervals) * math.log(2), next(intervals))


@quick
def test_same_seed_same_result_everywhere():
    P, Q = np.random.default_rng(11).normal(size=(2, 200, 2))
    P += 0.5
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    serial = kl_divergence(P, Q, **QUICK)
    with parallel_config(backend="threading"):
        parallel = kl_divergence(P, Q, n_jobs=2, **QUICK)
    assert serial.fold_values.tolist() == parallel.fold_values.tolist()
    np.testing.assert_array_equal(serial.log_ratio(P), parallel.log_ratio(P))
    assert kl_divergence(P, Q, **QUICK | {"random_state": 1}).estimate != serial.estimate
    np.testing.assert_array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())


# ----------------------------------------------------------------- when things go wrong


@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_disjoint_supports_are_told(overlap):
    rng = np.random.default_rng(12)
    P, Q = rng.normal(size=(2, 600, 2))
    P[rng.uniform(size=600) >= overlap] += 50
    with pytest.warns(SaturationWarning, match="may be far higher, or infinite"):
        result = kl_divergence(P, Q, cv=2, random_state=0)
    assert 2 < result.estimate < math.log(300) + 1


def test_other_warnings():
    P, Q = np.random.default_rng(13).normal(size=(2, 80, 80))
    with pytest.warns(ConvergenceWarning, match="max_epochs=3"):
        kl_divergence(P, Q, **QUICK)
    with pytest.warns(GeneralizationGapWarning, match="overfit") as caught:
        kl_divergence(P, Q, random_state=0)
    assert {warning.filename for warning in caught} == {__file__}


@quick
def test_constant_columns():
    rng = np.random.default_rng(14)
    ones = np.ones((300, 2))
    with pytest.warns(UserWarning, match="constant"):
        assert kl_divergence(ones, ones, **QUICK).estimate == pytest.approx(0, abs=1e-6)
    P, Q = rng.normal(size=(2, 1_000, 1))
    padded = (np.hstack([values, np.ones((1_000, 1))]) for values in (P + 1, Q))
    result = kl_divergence(*padded, cv=2, random_state=0)
    assert result.estimate == pytest.approx(0.5, abs=0.02 + 3 * result.stderr)
    with pytest.warns(SaturationWarning):  # two point masses
        kl_divergence(ones, 0 * ones, cv=2, random_state=0)


@quick
def test_splitters():
    P, Q = np.random.default_rng(15).normal(size=(2, 60, 1))
    assert len(kl_divergence(P, Q[:40], **QUICK | {"cv": KFold(4)}).fold_values) == 4
    with pytest.raises(ValueError, match="cv makes a split of Q_samples"):
        kl_divergence(P, Q[:5], **QUICK | {"cv": KFold(4)})


ROWS = np.random.default_rng(16).normal(size=(40, 2))
NAMED = pd.DataFrame(ROWS, columns=["a", "b"])


@pytest.mark.parametrize(
    ("P", "Q", "options", "message"),
    [
        (ROWS, ROWS[:, :1], {}, r"same columns.*\(2,\) and \(1,\)"),
        (NAMED, NAMED[["b", "a"]], {}, r"same order.*\['a', 'b'\] and \['b', 'a'\]"),
        (ROWS[:5], ROWS, {}, "P_samples has n_samples=5, too few for cv=3"),
        (ROWS, ROWS[:9], {"cv": 5}, "Q_samples has n_samples=9, too few for cv=5.*fewer folds"),
        (np.where(ROWS > 1, np.nan, ROWS), ROWS, {}, "P_samples contains NaN"),
        (ROWS, np.where(ROWS > 1, np.inf, ROWS), {}, "Q_samples contains infinity"),
        (NAMED.assign(b="x"), NAMED, {}, "'b' holds categories in P_samples but numbers in Q"),
        (ROWS, ROWS, {"hidden_layer_sizes": ()}, "hidden_layer_sizes"),
        (ROWS, ROWS, {"bound": "infonce"}, "'bound' parameter of kl_divergence"),
        (ROWS, ROWS, {"units": "bans"}, "'units' parameter of kl_divergence"),
        (ROWS, ROWS, {"cv": 1}, "'cv' parameter of kl_divergence"),
        (ROWS, ROWS, {"device": "abacus"}, "device='abacus' is not available"),
    ],
)
def test_bad_input(P, Q, options, message):
    with pytest.raises(ValueError, match=message):
        kl_divergence(P, Q, **options)


@quick
def test_rows_of_another_shape_have_no_log_ratio():
    result = kl_divergence(ROWS, ROWS, **QUICK)
    with pytest.raises(ValueError, match="X has rows of shape"):
        result.log_ratio(ROWS[:, :1])
