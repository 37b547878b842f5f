"""The result of the one-call functions: arithmetic, intervals, units."""

import numpy as np
import pytest
from scipy.stats import norm

from skmi import MINEEstimator, MutualInfoResult, mutual_info

QUICK = {"max_epochs": 2, "hidden_layer_sizes": (8,)}


def result(estimate=1.0, lower_bound=0.9, stderr=0.05, **options):
    return MutualInfoResult(estimate, lower_bound, stderr, np.array([0.9]), 100, **options)


@pytest.fixture
def pair(rng):
    X = rng.normal(size=(300, 2))
    return X, X + rng.normal(size=(300, 2))


def test_interval_is_the_normal_one_when_nothing_else_is_uncertain():
    """No gap, and no information that a critic could have missed: estimate and stderr alone."""
    low, high = result(1e-9, 1e-9, 0.05).confidence_interval(0.9)
    assert low == 0 and high == pytest.approx(0.05 * norm.ppf(0.95))


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_interval_covers_estimate_and_known_cost(level):
    low, high = result().confidence_interval(level)
    z = norm.ppf((1 + level) / 2)
    assert low == pytest.approx(1 - z * np.hypot(0.05, 0.1))
    assert high >= 1 + z * np.hypot(0.05, 0.1)  # critics miss information, they invent none


def test_intervals_widen_with_level_error_and_gap():
    def width(level=0.95, **options):
        low, high = result(**options).confidence_interval(level)
        return high - low

    assert width(0.99) > width(0.95) > width(0.5) > 0
    assert width(stderr=0.1) > width(stderr=0.05)
    assert width(lower_bound=0.5) > width(lower_bound=0.9)


def test_interval_of_a_negative_estimate_starts_at_zero():
    low, high = result(-0.02, -0.03, 0.02).confidence_interval()
    assert low == 0 < high < 0.1
    assert tuple(result(-5.0, -5.0, 0.01).confidence_interval()) == (0, 0)


@pytest.mark.parametrize("level", [0, 1, 95, -0.1])
def test_impossible_levels(level):
    with pytest.raises(ValueError, match="confidence_level must lie between 0 and 1"):
        result().confidence_interval(level)


def test_bits_are_nats_over_log_2(pair):
    estimator = MINEEstimator(random_state=0, **QUICK)
    nats = mutual_info(*pair, estimator=estimator)
    bits = mutual_info(*pair, estimator=estimator, units="bits")
    for name in ("estimate", "lower_bound", "stderr", "fold_values"):
        np.testing.assert_allclose(getattr(bits, name), getattr(nats, name) / np.log(2))
    np.testing.assert_allclose(
        bits.confidence_interval(), np.array(nats.confidence_interval()) / np.log(2)
    )
    assert " bits " in str(bits) and " nats " in str(nats)


def test_unknown_units_are_refused_before_the_work(pair):
    with pytest.raises(ValueError, match=r"units must be one of \['bits', 'nats'\]"):
        mutual_info(*pair, units="hartleys")


def test_estimate_is_the_mean_of_held_out_and_training_bound(pair):
    found = mutual_info(*pair, estimator=MINEEstimator(**QUICK), random_state=0)
    estimator = found.estimator
    assert found.estimate == pytest.approx((estimator.mi_ + estimator.train_mi_) / 2)
    assert found.lower_bound == estimator.mi_ and found.stderr == estimator.stderr_
    assert found.n_samples == 300 and len(found.fold_values) == 3
    assert float(found) == found.estimate
