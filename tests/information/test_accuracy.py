"""Known truths and invariances, at the defaults."""

import numpy as np
import pytest

from skmi import EtaDVEstimator, MINEEstimator, mutual_info
from skmi.bounds import BOUNDS

#: Critics and bounds of the default run.
QUICKEST = [("separable", "infonce"), ("separable", "jsd")]


@pytest.mark.parametrize(
    ("estimator", "rho"),
    [(MINEEstimator, 0.9), (EtaDVEstimator, 0.5)],
)
def test_correlated_gaussians(gaussian_pair, estimator, rho):
    X, Y, truth = gaussian_pair(3_000, 2, rho, seed=1)
    fitted = estimator(cv=2, random_state=2).fit(X, Y)
    assert fitted.mi_ == pytest.approx(truth, abs=0.06)
    assert fitted.n_iter_ <= fitted.max_epochs
    fresh_X, fresh_Y, _ = gaussian_pair(5_000, 2, rho, seed=3)
    assert fitted.score(fresh_X, fresh_Y) == pytest.approx(truth, abs=0.08)
    if rho:
        assert fitted.stderr_ == pytest.approx(np.sqrt(2 * rho**2 / 3_000), rel=0.25)
        pointwise = fitted.score_samples(fresh_X, fresh_Y)
        log_ratio = -0.5 * np.log(1 - rho**2) - (
            rho**2 * (fresh_X**2 + fresh_Y**2) - 2 * rho * fresh_X * fresh_Y
        ) / (2 * (1 - rho**2))
        assert np.corrcoef(pointwise, log_ratio.sum(1))[0, 1] > 0.98


@pytest.mark.slow
def test_twenty_dimensions(gaussian_pair):
    X, Y, truth = gaussian_pair(4_000, 20, 0.5, seed=4)
    assert MINEEstimator(cv=2, random_state=0).fit(X, Y).mi_ == pytest.approx(truth, abs=0.25)


@pytest.mark.parametrize(
    "seed", [0, pytest.param(4, marks=pytest.mark.slow)]
)  # steps of 1e-2 for eta(y): NaN, and 0.27 too low
def test_a_dv_has_a_normaliser_for_every_y(gaussian_pair, seed):
    X, Y, truth = gaussian_pair(4_000, 1, 0.8, seed=5)
    # without the Gaussian term the networks have to find eta(y) themselves
    fitted = EtaDVEstimator(a_dv=True, gaussian_term=False, cv=2, random_state=seed).fit(X, Y)
    assert fitted.mi_ == pytest.approx(truth, abs=0.06)
    assert not hasattr(fitted, "eta_")


@pytest.mark.slow
def test_eta_is_the_log_mean_of_the_critic(gaussian_pair):
    X, Y, _ = gaussian_pair(2_000, 2, 0.7, seed=6)
    fitted = EtaDVEstimator(gaussian_term=False, random_state=0).fit(X, Y)
    assert fitted.eta_.shape == (3,)
    for critic, eta in zip(fitted.critics_, fitted.eta_, strict=True):
        x, y = critic.tensors(X, Y, "cpu")
        product = critic.raw_scores(x, y, 20)[:, 1:]  # already less eta
        assert float(product.exp().mean().log()) == pytest.approx(0, abs=0.15)
        assert eta == pytest.approx(critic.objective.eta.value.item())


@pytest.mark.parametrize(
    ("critic", "bound"),
    [
        pytest.param(critic, name, marks=() if (critic, name) in QUICKEST else pytest.mark.slow)
        for critic in ("separable", "concat")
        for name, bound in BOUNDS.items()
        if not bound.has_eta
    ],
)
def test_every_bound_and_critic_measures_a_nonlinear_relation(bound, critic):
    # Y = sign * |X| + noise: no correlation; the truth by numerical integration
    rng = np.random.default_rng(7)
    X = rng.uniform(-1, 1, size=(2_000, 1))
    Y = np.abs(X) + 0.1 * rng.normal(size=(2_000, 1))
    grid = np.linspace(-0.6, 1.6, 2_000)
    density = np.exp(-0.5 * ((grid[:, None] - np.linspace(0, 1, 400)) / 0.1) ** 2).mean(1)
    density /= density.sum() * (grid[1] - grid[0])
    entropy = -(density * np.log(density + 1e-300)).sum() * (grid[1] - grid[0])
    truth = entropy - 0.5 * np.log(2 * np.pi * np.e * 0.1**2)
    fitted = MINEEstimator(bound, critic=critic, cv=2, random_state=0).fit(X, Y)
    assert fitted.mi_ == pytest.approx(truth, abs=0.15)
    assert fitted.mi_ < truth + 5 * fitted.stderr_ + 0.02


def test_margins_of_any_scale_and_shape(gaussian_pair):
    X, Y, _ = gaussian_pair(1_500, 2, 0.7, seed=8)
    fit = MINEEstimator(max_epochs=8, cv=2, random_state=0).fit
    reference = fit(X, Y).mi_
    assert fit(X * [1000, 1], Y).mi_ == pytest.approx(reference, abs=1e-3)
    assert fit(X, np.exp(Y)).mi_ == pytest.approx(reference, abs=1e-3)
    assert fit(X**3, Y).mi_ == pytest.approx(reference, abs=1e-3)
    heavy = np.sign(X) * np.abs(X) ** 9  # far beyond Cauchy tails
    assert fit(heavy, Y).mi_ == pytest.approx(reference, abs=1e-3)


@pytest.mark.parametrize("margins", ["standardize", pytest.param(None, marks=pytest.mark.slow)])
def test_other_margins(gaussian_pair, margins):
    X, Y, truth = gaussian_pair(1_200, 2, 0.7, seed=9)
    scale = [1000, 0.001] if margins else 1
    fitted = MINEEstimator(margins=margins, cv=2, random_state=0).fit(X * scale, Y)
    assert fitted.mi_ == pytest.approx(truth, abs=0.1)


@pytest.mark.slow
def test_symmetry(gaussian_pair):
    X, Y, _ = gaussian_pair(2_000, 2, 0.7, seed=10)
    Y = np.column_stack([Y[:, 0] ** 2, Y[:, 1]])
    one, other = (
        MINEEstimator(cv=2, max_epochs=40, random_state=0).fit(*pair).mi_
        for pair in [(X, Y), (Y, X)]
    )
    assert one == pytest.approx(other, abs=0.08)


@pytest.mark.parametrize("n_features", [1, 20])
def test_independent_data_carry_nothing(gaussian_pair, n_features):
    X, Y, _ = gaussian_pair(2_500, n_features, 0.0, seed=11)
    for target in (Y, np.sign(Y[:, 0])):
        assert abs(MINEEstimator(cv=2, random_state=0).fit(X, target).mi_) < 0.03


@pytest.mark.slow
def test_constant_columns_carry_nothing(gaussian_pair):
    X, Y, _ = gaussian_pair(2_000, 2, 0.8, seed=12)
    fit = MINEEstimator(max_epochs=8, cv=2, random_state=0).fit
    assert fit(np.ones_like(X), Y).mi_ == pytest.approx(0, abs=1e-6)
    assert fit(X, np.ones(len(X))).mi_ == pytest.approx(0, abs=1e-6)
    padded = np.column_stack([X, np.zeros(len(X))])
    assert fit(padded, Y).mi_ == pytest.approx(fit(X, Y).mi_, abs=0.05)


@pytest.mark.slow
def test_labels_are_worth_their_entropy():
    # three classes at distance: y is a function of X
    rng = np.random.default_rng(13)
    y = rng.choice(3, size=1_500, p=[0.5, 0.3, 0.2])
    X = 20 * y[:, None] + rng.normal(size=(1_500, 1))
    entropy = -np.sum([p * np.log(p) for p in np.bincount(y) / len(y)])
    fitted = MINEEstimator(cv=2, max_epochs=60, random_state=0).fit(X, y)
    assert fitted.target_type_ == "labels"
    assert fitted.mi_ == pytest.approx(entropy, abs=0.06)
    numbers, names = (
        MINEEstimator(max_epochs=2, random_state=0).fit(X, labels).mi_
        for labels in (y, np.array(["a", "b", "c"])[y])
    )
    assert names == pytest.approx(numbers, abs=1e-6)
    # the information of one row about the label is -log p(label)
    information = fitted.score_samples([[0.0], [20.0], [40.0]])
    np.testing.assert_allclose(information, -np.log(np.bincount(y) / len(y)), atol=0.15)


def test_score_samples_without_y_averages_to_mi(gaussian_pair):
    X, Y, truth = gaussian_pair(3_000, 1, 0.7, seed=14)
    fitted = MINEEstimator(cv=2, random_state=0).fit(X, Y)
    fresh, _, _ = gaussian_pair(3_000, 1, 0.7, seed=15)
    # KL(p(y|x) || p(y)) of a Gaussian: extreme x tell more
    expected = -0.5 * np.log(1 - 0.49) - 0.49 / 2 + 0.49 * fresh[:, 0] ** 2 / 2
    information = fitted.score_samples(fresh)
    assert information.mean() == pytest.approx(truth, abs=0.08)
    assert np.corrcoef(information, expected)[0, 1] > 0.95
    assert (information >= -1e-6).all()


def test_one_call(gaussian_pair):
    X, Y, truth = gaussian_pair(1_000, 2, 0.6, seed=16)
    result = mutual_info(X, Y, cv=3, random_state=0)
    assert result.estimate == pytest.approx(truth, abs=5 * result.stderr + 0.01)
    assert result.fold_values.shape == (3,)
    assert result.lower_bound == pytest.approx(result.fold_values.mean(), abs=1e-3)
    assert result.estimate == pytest.approx((result.estimator.mi_ + result.estimator.train_mi_) / 2)
    assert f"{result.estimate:.3f}" in repr(result) and "3 folds of 1000 rows" in repr(result)
    assert float(result) == result.estimate
    vector = mutual_info(X[:, 0], Y[:, 0], cv=2, random_state=0)
    assert vector.estimate == pytest.approx(truth / 2, abs=0.08)


@pytest.mark.slow
def test_standard_errors_are_of_the_right_size(gaussian_pair):
    errors, stderrs = [], []
    for seed in range(12):
        X, Y, truth = gaussian_pair(1_000, 1, 0.6, seed=100 + seed)
        fitted = MINEEstimator(cv=2, max_epochs=8, random_state=seed).fit(X, Y)
        errors.append(fitted.mi_ - truth)
        stderrs.append(fitted.stderr_)
    # 12 draws: their root mean square is known to about +-20 %
    ratio = np.sqrt(np.mean(np.square(errors))) / np.mean(stderrs)
    assert 0.4 < ratio < 2.0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 208))
@pytest.mark.parametrize("estimator", [MINEEstimator, EtaDVEstimator])
def test_accuracy_on_many_seeds(gaussian_pair, estimator, seed):
    for n_features, rho, tolerance in [(2, 0.0, 0.05), (2, 0.9, 0.05), (20, 0.5, 0.15)]:
        X, Y, truth = gaussian_pair(10_000, n_features, rho, seed=seed)
        assert estimator(random_state=seed).fit(X, Y).mi_ == pytest.approx(truth, abs=tolerance)
