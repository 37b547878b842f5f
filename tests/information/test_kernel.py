"""KernelEtaDV: optimality and its certificate, the paper's lemmas, known truths, conventions."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_approximation import RBFSampler
from sklearn.model_selection import GridSearchCV, GroupKFold, LeaveOneOut, cross_val_score
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from skmi import EtaDVEstimator, KernelEtaDV, MINEEstimator, mutual_info
from skmi.bounds import dv, eta_dv
from skmi.datasets import make_dense_gaussian, make_gaussian, make_sparse_gaussian
from skmi.information._convex import RatioProblem, solve
from skmi.information._features import (
    difference_steps,
    gradient_features,
    median_gamma,
    sample_by_ratio,
    second_moment,
)

REGULARIZERS = ["ridge", "fisher", "sobolev"]
TWICE = FunctionTransformer(lambda table: np.hstack([table, table]))


def random_problem(seed, n_q=80, n_features=12, **options):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_q, n_features)) * rng.exponential(size=n_features)
    target = features.mean(0) + rng.normal(size=n_features) / 2
    return RatioProblem(features, target, float(np.exp(rng.normal() - 2)), **options)


@pytest.fixture(scope="module")
def data():
    return make_sparse_gaussian(200, n_features_x=1, correlation=0.8, random_state=0)


# ------------------------------------------------------------------------ the problem


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("eps", [0.0, 0.3])
def test_eta_is_eliminated_exactly(normalized, eps):
    # the objective as the paper writes it, over (w, eta)
    problem = random_problem(0, eps=eps, normalized=normalized)

    def loss(w, eta):
        scores = problem.features @ w
        value = np.exp(-eta) * np.exp(scores).mean() - problem.target @ w + eta - 1
        return value + problem.penalty / 2 * w @ w + eps * np.exp(-eta)

    w = np.random.default_rng(1).normal(size=12) / 5
    point = problem.at(w)
    assert point.objective == pytest.approx(loss(w, point.eta), rel=1e-12)
    if normalized:
        etas = point.eta + np.linspace(-1, 1, 21)
        assert np.argmin([loss(w, eta) for eta in etas]) == 10
    else:
        assert point.eta == 0
    assert problem.bound(point) == pytest.approx(
        -loss(w, point.eta) + problem.penalty / 2 * w @ w + eps * np.exp(-point.eta), rel=1e-12
    )


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("eps", [0.0, 0.3])
def test_derivatives(normalized, eps):
    problem = random_problem(2, eps=eps, normalized=normalized)
    w = np.random.default_rng(3).normal(size=12) / 5
    point, step = problem.at(w), 1e-5 * np.eye(12)
    differences = [(problem.at(w + s).objective - problem.at(w - s).objective) / 2e-5 for s in step]
    np.testing.assert_allclose(point.gradient, differences, rtol=1e-6, atol=1e-8)
    differences = [(problem.at(w + s).gradient - problem.at(w - s).gradient) / 2e-5 for s in step]
    np.testing.assert_allclose(problem.hessian(point), differences, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("eps", [0.0, 0.3])
def test_weak_duality_and_the_gap(seed, normalized, eps):
    problem = random_problem(seed, eps=eps, normalized=normalized, residual=0.1 * seed)
    optimum = solve(problem).point.objective
    rng = np.random.default_rng(seed)
    for _ in range(5):
        point = problem.at(rng.normal(size=12) / 5)
        dual = problem.dual_objective(point.masses)
        assert dual <= optimum <= point.objective
        # what is written as |gradient|^2 / 2 lambda is the difference of the two
        assert point.gap == pytest.approx(point.objective - dual, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
@pytest.mark.parametrize("normalized", [True, False])
def test_solvers_find_the_optimum(seed, solver, normalized):
    problem = random_problem(seed, normalized=normalized)
    start = np.random.default_rng(seed).normal(size=12)
    solution = solve(problem, start, solver=solver, tol=1e-10, max_iter=500)
    assert solution.converged and solution.point.gap <= 1e-10 * max(1, -solution.point.objective)

    def objective(w):
        scores = problem.features @ w
        value = logsumexp(scores) - np.log(80) if normalized else np.exp(scores).mean() - 1
        return value - problem.target @ w + problem.penalty / 2 * w @ w

    reference = minimize(objective, np.zeros(12), method="BFGS", options={"gtol": 1e-7})
    assert solution.point.objective == pytest.approx(reference.fun, abs=1e-6)
    assert solution.point.objective <= reference.fun + 1e-9


def test_newton_ends_at_machine_precision_from_far_away():
    problem = random_problem(7)
    for scale in (0, 10, 100):
        start = scale * np.random.default_rng(8).normal(size=12)
        assert solve(problem, start).point.gap < 1e-20


@pytest.mark.parametrize("normalized", [True, False])
def test_kept_hessians_lead_to_the_same_point(normalized):
    problem = random_problem(12, normalized=normalized)
    exact = solve(problem)
    rough = solve(problem, tol=1e-6, polish=False)
    assert rough.converged and 0 < rough.point.gap <= 1e-6 * max(1, -exact.point.objective)
    assert 0 <= rough.point.objective - exact.point.objective <= rough.point.gap + 1e-12


def test_weights_count_samples():
    # a sample with weight 2 is a sample that is there twice
    problem = random_problem(13)
    counts = np.tile([1, 2, 3], 27)[:80]
    weighted = RatioProblem(
        problem.features, problem.target, 0.1, log_weights=np.log(counts / counts.mean())
    )
    repeated = RatioProblem(np.repeat(problem.features, counts, axis=0), problem.target, 0.1)
    one, other = solve(weighted).point, solve(repeated).point
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(np.repeat(weighted.ratios(one), counts), repeated.ratios(other))
    assert weighted.dual_objective(one.masses) == pytest.approx(one.objective, rel=1e-9)
    assert repeated.dual_objective(other.masses) == pytest.approx(one.objective, rel=1e-9)
    np.testing.assert_allclose(weighted.hessian(one), repeated.hessian(other), atol=1e-10)


def test_joint_convexity():
    # Lemma 3: minus the bound of the package, in (w, eta), lies below its chords
    features, target = random_problem(9).features, random_problem(9).target

    def loss(w, eta):
        joint, product = torch.as_tensor([target @ w]), torch.as_tensor(features @ w)
        return -float(eta_dv(joint, product, eta))

    rng = np.random.default_rng(10)
    for _ in range(50):
        (w, eta), (v, zeta) = ((rng.normal(size=12) / 3, rng.normal()) for _ in range(2))
        assert loss((w + v) / 2, (eta + zeta) / 2) < (loss(w, eta) + loss(v, zeta)) / 2


def test_lemma_1():
    # log x = min over eta of e^-eta x + eta - 1: eta-DV at its best eta is Donsker-Varadhan
    problem = random_problem(11)
    joint, product = torch.as_tensor([0.0]), torch.as_tensor(problem.features[:, 0])
    values = [float(eta_dv(joint, product, eta)) for eta in np.linspace(-5, 5, 10_001)]
    assert max(values) == pytest.approx(float(dv(joint, product)), abs=1e-6)
    assert max(values) <= float(dv(joint, product)) + 1e-12


def test_tiny_penalties_end_with_a_gap_not_an_error():
    for penalty in (1e-7, 1e-12, 1e-17):
        X, Y, _ = make_sparse_gaussian(200, n_features_x=1, correlation=0.8, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = KernelEtaDV(lambda_=penalty, random_state=0).fit(X, Y)
        assert np.isfinite([fitted.mi_, fitted.objective_, fitted.duality_gap_]).all()


# ---------------------------------------------------------------------- the estimator


@pytest.mark.parametrize("regularizer", REGULARIZERS)
@pytest.mark.parametrize("feature_map", ["exact", "nystroem", "fourier"])
@pytest.mark.parametrize("eps", [None, 0.1])
def test_certificate_and_identities(data, regularizer, feature_map, eps):
    X, Y, _ = data
    fitted = KernelEtaDV(
        lambda_=0.03,
        regularizer=regularizer,
        feature_map=feature_map,
        n_components=50,
        n_shuffles=2,
        eps=eps,
        random_state=0,
    ).fit(X, Y)
    r, eta = fitted.dual_coef_, fitted.eta_
    slack = 0 if eps is None else eps * np.exp(-eta)
    assert r.min() > 0 and r.mean() + slack == pytest.approx(1, abs=1e-12)
    assert 0 <= fitted.duality_gap_ < 1e-12
    assert fitted.objective_ - fitted.dual_objective_ == pytest.approx(0, abs=1e-11)
    assert len(r) == 400 and len(fitted.coef_) == (600 if feature_map == "exact" else 50)
    if eps is None:
        # -L = mean r log r + lambda w'Rw, and the optimal value lies halfway
        entropy = np.mean(r * np.log(r))
        assert fitted.mi_ > entropy
        assert -fitted.objective_ == pytest.approx((fitted.mi_ + entropy) / 2, abs=1e-10)


@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_stationarity_in_the_features_of_the_user(regularizer):
    # the moments match up to lambda R w, computed here from nothing but coef_ and eta_
    X, Y, _ = make_dense_gaussian(150, n_features_x=2, random_state=1)
    features = RBFSampler(n_components=20, random_state=0).fit(np.hstack([X, Y]))
    fitted = KernelEtaDV(
        feature_map=FrozenEstimator(features),
        margins=None,
        lambda_=0.1,
        ridge=0.01,
        regularizer=regularizer,
        n_shuffles=3,
        random_state=0,
    ).fit(X, Y)
    draw = fitted._draw([[X, Y]])
    joint, product = draw.P, draw.Q
    A, B = (features.transform(np.hstack(blocks)) for blocks in (joint, product))
    ratios = np.exp(B @ fitted.coef_ - fitted.eta_)
    np.testing.assert_allclose(ratios, fitted.dual_coef_, rtol=1e-9)
    np.testing.assert_allclose(ratios, fitted.predict_ratio(*product), rtol=1e-9)
    Z = [np.hstack(blocks) for blocks in (joint, product)]
    if regularizer == "ridge":
        metric = np.eye(20)
    elif regularizer == "fisher":
        metric = (A.T @ A / len(A) + B.T @ B / len(B)) / 2 + 0.01 * np.eye(20)
    else:
        frequencies = features.random_weights_  # of cos(z w + b): the derivative is -w sin(z w + b)
        sines = [np.sin(z @ frequencies + features.random_offset_) / np.sqrt(10) for z in Z]
        moments = sum(s.T @ s / len(s) for s in sines) / 2
        metric = moments * (frequencies.T @ frequencies) + 0.01 * np.eye(20)
    gradient = A.mean(0) - ratios @ B / len(B) - 0.1 * metric @ fitted.coef_
    np.testing.assert_allclose(gradient, 0, atol=1e-8)


def test_exact_ridge_is_the_kernel_problem(data):
    # the same problem over all expansions, with the kernel matrix of both samples as features
    X, Y, _ = data
    fitted = KernelEtaDV(
        feature_map="exact", gamma=0.5, margins=None, lambda_=0.05, n_shuffles=1, random_state=0
    ).fit(X, Y)
    draw = fitted._draw([[X, Y]])
    pool = [np.concatenate(blocks) for blocks in zip(draw.P, draw.Q, strict=True)]
    kernel = RBF(1.0)(np.hstack(pool))  # exp(-|z - z'|^2 / 2)
    values, vectors = np.linalg.eigh(kernel)
    features = vectors * np.sqrt(values.clip(min=0))
    problem = RatioProblem(features[200:], features[:200].mean(0), 0.05)
    assert fitted.objective_ == pytest.approx(solve(problem).point.objective, rel=1e-7)
    scores = kernel @ fitted.coef_ - fitted.eta_
    np.testing.assert_allclose(scores[:200], fitted.score_samples(X, Y), rtol=1e-5)
    np.testing.assert_allclose(np.exp(scores[200:]), fitted.dual_coef_, rtol=1e-5)


def test_feature_maps_converge_to_the_kernel(data):
    X, Y, _ = data
    options = {"lambda_": 0.05, "n_shuffles": 1, "random_state": 0}
    exact = KernelEtaDV(feature_map="exact", **options).fit(X, Y)
    nystroem = KernelEtaDV(feature_map="nystroem", n_components=400, **options).fit(X, Y)
    fourier = KernelEtaDV(feature_map="fourier", n_components=4000, **options).fit(X, Y)
    assert len(fourier.coef_) == 4000 and len(nystroem.coef_) <= 400
    assert nystroem.mi_ == pytest.approx(exact.mi_, rel=1e-6)
    assert fourier.mi_ == pytest.approx(exact.mi_, abs=0.02)
    for other in (nystroem, fourier):
        assert np.corrcoef(other.score_samples(X, Y), exact.score_samples(X, Y))[0, 1] > 0.99


def test_normalisation():
    # without eta the ratios have another mean, the bound is looser and the estimate is lower
    X, Y, mi = make_sparse_gaussian(500, n_features_x=1, correlation=0.8, random_state=3)
    for penalty in (0.1, 0.01):
        options = {"lambda_": penalty, "feature_map": "exact", "random_state": 0}
        with_eta = KernelEtaDV(**options).fit(X, Y)
        without = KernelEtaDV(normalize=False, **options).fit(X, Y)
        assert without.eta_ == 0 and without.dual_coef_.mean() != pytest.approx(1, abs=1e-3)
        assert without.objective_ > with_eta.objective_
        assert abs(with_eta.mi_ - mi) < abs(without.mi_ - mi)
        assert without.duality_gap_ < 1e-10
        r = without.dual_coef_  # the identity has the mass as well
        values = r * np.log(r) + 1 - r
        halfway = (without.mi_ + np.average(values, weights=without.product_weights_)) / 2
        assert -without.objective_ == pytest.approx(halfway, abs=1e-9)


@pytest.mark.parametrize("regularizer", REGULARIZERS)
@pytest.mark.parametrize("penalty", [1.0, 1e-2, 1e-4])
def test_normalisation_never_costs(data, regularizer, penalty):
    # eta-DV at eta = 0 is f-div, so that at the same strength its best value is not below f-div's
    X, Y, _ = data
    options = {
        "lambda_": penalty,
        "regularizer": regularizer,
        "feature_map": "nystroem",
        "n_components": 40,
        "random_state": 0,
    }
    with_eta = KernelEtaDV(**options).fit(X, Y)
    without = KernelEtaDV(normalize=False, **options).fit(X, Y)
    np.testing.assert_array_equal(with_eta.product_weights_, without.product_weights_)
    assert -with_eta.objective_ > -without.objective_
    # nor is the bound at the critic of f-div, when eta is put in
    masses = without.dual_coef_ * without.product_weights_
    assert -np.log(masses.mean()) > 1 - masses.mean()


def test_eps_shrinks_the_ratios(data):
    X, Y, _ = data
    options = {"lambda_": 0.05, "feature_map": "exact", "random_state": 0}
    plain = KernelEtaDV(**options).fit(X, Y)
    perturbed = KernelEtaDV(eps=0.2, **options).fit(X, Y)
    tiny = KernelEtaDV(eps=1e-12, **options).fit(X, Y)
    assert perturbed.eta_ > plain.eta_ and perturbed.dual_coef_.mean() < 1
    np.testing.assert_allclose(tiny.dual_coef_, plain.dual_coef_, rtol=1e-8)


# ------------------------------------------------- samples of the product distribution


@pytest.mark.parametrize("pilot", ["good", "none", "wrong"])
def test_kept_samples_have_the_mean_of_all(pilot):
    # weights make up for the ratios that samples were drawn by, whatever these are
    rng = np.random.default_rng(0)
    z = rng.normal(size=20_000)
    log_ratios = 2 * z - 2  # N(2, 1) against N(0, 1)
    values = np.exp(log_ratios)[:, None] * np.column_stack([np.ones_like(z), z])
    pilots = {"good": log_ratios, "none": np.zeros_like(z), "wrong": -log_ratios}
    means = []
    for seed in range(200):
        kept, log_weights = sample_by_ratio(pilots[pilot], 500, seed)
        weights = np.exp(log_weights)
        assert weights.mean() == pytest.approx(1, abs=1e-12) and weights.max() < 2.1
        means.append(weights @ values[kept] / 500)
    error = np.mean(means, axis=0) - values.mean(0)
    assert (np.abs(error) < 5 * np.std(means, axis=0) / np.sqrt(200) + 1e-3).all()
    plain = [values[rng.integers(20_000, size=500)].mean(0) for _ in range(200)]
    if pilot == "good":
        assert (np.std(means, axis=0) < np.std(plain, axis=0) / 5).all()


@pytest.mark.parametrize("feature_map", ["exact", "nystroem", "fourier"])
def test_log_ratios_of_all_pairs(data, feature_map):
    X, Y, _ = data
    fitted = KernelEtaDV(
        lambda_=0.01, feature_map=feature_map, n_components=50, margins=None, random_state=0
    ).fit(X, Y)
    x_rows, y_rows, values = fitted._witness.of_others([X, Y], 50 * len(X), seed=3)
    assert (x_rows != y_rows).all() and len(values) == pytest.approx(50 * len(X), rel=0.1)
    assert len(np.unique(x_rows * len(X) + y_rows)) == len(values)
    np.testing.assert_allclose(values, fitted.score_samples(X[x_rows], Y[y_rows]), atol=1e-8)


def test_weights_enter_the_certificate(data):
    X, Y, _ = data
    fitted = KernelEtaDV(lambda_=0.01, feature_map="nystroem", random_state=0).fit(X, Y)
    r, weights = fitted.dual_coef_, fitted.product_weights_
    assert len(r) == 10_000 and weights.std() > 0.1
    assert weights.mean() == pytest.approx(1) and r @ weights / len(r) == pytest.approx(1)
    entropy = np.average(r * np.log(r), weights=weights)
    assert -fitted.objective_ == pytest.approx((fitted.mi_ + entropy) / 2, abs=1e-10)
    assert fitted.objective_ - fitted.dual_objective_ == pytest.approx(0, abs=1e-11)
    # more weight to fewer samples, and fewer where the ratio is large
    assert np.corrcoef(r, weights)[0, 1] < -0.5


@pytest.mark.parametrize("feature_map", ["exact", "nystroem"])
@pytest.mark.parametrize("n_shuffles", [2, "auto"])
def test_the_ratios_belong_to_rows(data, feature_map, n_shuffles):
    X, Y, _ = data
    fitted = KernelEtaDV(
        lambda_=0.01, feature_map=feature_map, n_shuffles=n_shuffles, random_state=0
    ).fit(X, Y)
    x_rows, y_rows = fitted.product_rows_.T
    assert len(x_rows) == len(fitted.dual_coef_) and (x_rows != y_rows).all()
    ratios = fitted.predict_ratio(X[x_rows], Y[y_rows])
    np.testing.assert_allclose(ratios, fitted.dual_coef_, rtol=1e-4)


def test_choosing_samples_is_more_exact():
    # the same strength, several draws: the value hangs less on which samples were drawn
    X, Y, _ = make_sparse_gaussian(400, n_features_x=1, correlation=0.95, random_state=0)
    values = {
        n_shuffles: [
            KernelEtaDV(lambda_=1e-3, n_shuffles=n_shuffles, random_state=seed).fit(X, Y).mi_
            for seed in range(6)
        ]
        for n_shuffles in (2, "auto")
    }
    assert np.std(values["auto"]) < np.std(values[2]) / 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_strong_dependence(seed):
    X, Y, mi = make_sparse_gaussian(5_000, n_features_x=2, correlation=0.9, random_state=seed)
    assert mi > 1.6
    assert KernelEtaDV(random_state=0).fit(X, Y).mi_ == pytest.approx(mi, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("n_features", [1, 2])
def test_gaussians(n_features):
    X, Y, mi = make_sparse_gaussian(
        3_000, n_features_x=n_features, correlation=0.7, n_interacting=1, random_state=4
    )
    fitted = KernelEtaDV(random_state=0).fit(X, Y)
    assert fitted.mi_ == pytest.approx(mi, abs=0.06)
    fresh = make_sparse_gaussian(
        3_000, n_features_x=n_features, correlation=0.7, n_interacting=1, random_state=5
    )
    assert fitted.score(*fresh[:2]) == pytest.approx(mi, abs=0.06)
    # log p(x, y) / p(x) p(y) of the interacting coordinates
    x, y = fresh[0][:, 0], fresh[1][:, 0]
    truth = mi - (0.49 * (x**2 + y**2) - 1.4 * x * y) / (2 * (1 - 0.49))
    assert np.corrcoef(fitted.score_samples(*fresh[:2]), truth)[0, 1] > 0.9


def test_the_path(data):
    X, Y, _ = data
    grid = np.logspace(-5, 1, 13)
    fitted = KernelEtaDV(lambda_=grid, random_state=0).fit(X, Y)
    tried = [row["lambda"] for row in fitted.path_]
    assert tried == sorted(tried, reverse=True) and len(tried) < 13  # the path ends early
    best = max(fitted.path_, key=lambda row: row["value"])
    assert fitted.lambda_best_ == best["lambda"] and len(best["fold_values"]) == 3
    fixed = KernelEtaDV(lambda_=fitted.lambda_best_, random_state=0).fit(X, Y)
    assert fixed.path_ == [] and fixed.mi_ == pytest.approx(fitted.mi_, rel=1e-9)
    with pytest.warns(UserWarning, match="smallest candidate"):
        KernelEtaDV(lambda_=[10.0, 1.0], random_state=0).fit(X, Y)


def test_held_out_bounds_are_those_of_new_data():
    X, Y, _ = make_sparse_gaussian(600, n_features_x=1, correlation=0.9, random_state=0)
    train, test = np.arange(400), np.arange(400, 600)
    options = {"margins": None, "random_state": 0}
    path = KernelEtaDV(lambda_=[0.1, 0.03], cv=[(train, test)], **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        path.fit(X, Y)
    for row in path.path_:  # the score is over all pairs of rows, the path over weighted draws
        alone = KernelEtaDV(lambda_=row["lambda"], **options).fit(X[train], Y[train])
        assert row["value"] == pytest.approx(alone.score(X[test], Y[test]), abs=0.1)


def test_kl_divergence_of_two_samples():
    rng = np.random.default_rng(6)
    P, Q = rng.normal(loc=[0.8, 0], size=(2_000, 2)), rng.normal(size=(3_000, 2))
    fitted = KernelEtaDV(random_state=0).fit_samples(P, Q)
    assert fitted.mi_ == pytest.approx(0.32, abs=0.05)
    assert fitted.score(P[:1000], Q[:1000]) == pytest.approx(0.32, abs=0.1)
    points = np.array([[0.0, 0.0], [0.4, 0.0], [1.0, -1.0]])
    np.testing.assert_allclose(fitted.score_samples(points), 0.8 * points[:, 0] - 0.32, atol=0.15)
    assert np.average(Q[:, 0], weights=fitted.predict_ratio(Q)) == pytest.approx(0.8, abs=0.1)
    assert KernelEtaDV(random_state=0).fit_samples(P, P).mi_ == pytest.approx(0, abs=1e-6)


# ------------------------------------------------------------- critics as feature maps


@pytest.mark.parametrize(
    "estimator",
    [
        MINEEstimator(cv=2, max_epochs=5, random_state=0),
        MINEEstimator(critic="concat", gaussian_term=False, cv=2, max_epochs=5, random_state=0),
        MINEEstimator("infonce", critic="separable", cv=2, max_epochs=5, random_state=0),
        EtaDVEstimator(a_dv=True, cv=2, max_epochs=5, random_state=0),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_last_hidden_layers_hold_the_critics(data, estimator):
    # every fold's log ratio is a linear function of the features, up to a constant
    X, Y, _ = data
    estimator = clone(estimator).fit(X, Y)
    fitted = KernelEtaDV(feature_map=estimator, lambda_=1e-3, random_state=0).fit(X, Y)
    features = np.column_stack([fitted._features([X, Y[:, :1]]), np.ones(len(X))])
    critic = estimator.critics_[0]
    x, y = critic.tensors(X, Y, "cpu")
    with torch.no_grad():
        scores = critic.objective.log_ratio(x, y).numpy()
    fit = features @ np.linalg.lstsq(features, scores)[0]
    np.testing.assert_allclose(fit, scores, atol=1e-4)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.slow
def test_convex_last_layer_is_not_worse(data):
    X, Y, _ = data
    mine = EtaDVEstimator(cv=2, max_epochs=10, gaussian_term=False, random_state=0).fit(X, Y)
    convex = KernelEtaDV(feature_map=mine, lambda_=1e-4, random_state=0).fit(X, Y)
    assert convex.mi_ > mine.score(X, Y)
    frozen = KernelEtaDV(feature_map=FrozenEstimator(mine), random_state=0)
    search = GridSearchCV(frozen, {"lambda_": [0.01, 0.1]}, cv=2).fit(X, Y)
    with pytest.warns(UserWarning, match="critics of feature_map were trained on"):
        frozen.fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    with pytest.raises(ValueError, match=r"must be fitted.*FrozenEstimator"):
        clone(convex).fit(X, Y)
    with pytest.raises(ValueError, match="estimator of pairs"):
        convex.fit_samples(X, X)


def test_critic_modules_need_features(data):
    X, Y, _ = data

    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(()))

        def forward(self, x, y):
            return self.weight * x[:, 0] * y[:, 0]

    mine = MINEEstimator(critic=Product(), cv=2, max_epochs=2, random_state=0).fit(X, Y)
    with pytest.raises(ValueError, match="a method features"):
        KernelEtaDV(feature_map=mine).fit(X, Y)


# ----------------------------------------------------------------------------- kernels


@pytest.mark.parametrize("kernel", ["laplacian", "linear", "poly", "cosine", RBF(0.7)])
def test_other_kernels(data, kernel):
    X, Y, _ = data
    fitted = KernelEtaDV(kernel, lambda_=0.1, random_state=0).fit(X, Y)
    assert fitted._exact or kernel == "laplacian"
    assert fitted.duality_gap_ < 1e-10 and np.isfinite(fitted.score(X, Y))


def test_a_callable_kernel(data):
    X, Y, _ = data
    X, Y = X[:60], Y[:60]
    options = {"lambda_": 0.1, "n_shuffles": 1, "random_state": 0}
    by_name = KernelEtaDV("rbf", gamma=0.5, **options).fit(X, Y)
    by_hand = KernelEtaDV(lambda a, b: np.exp(-0.5 * np.sum((a - b) ** 2)), **options).fit(X, Y)
    assert by_hand.mi_ == pytest.approx(by_name.mi_, rel=1e-9)


def test_median_gamma():
    block = np.random.default_rng(0).normal(size=(500, 3))
    distances = np.linalg.norm(block[:, None] - block, axis=2)[np.triu_indices(500, 1)]
    assert median_gamma(block, "rbf") == pytest.approx(1 / (2 * np.median(distances) ** 2))
    assert median_gamma(np.ones((10, 2)), "rbf") == 1
    assert median_gamma(10 * block, "laplacian") == pytest.approx(
        median_gamma(block, "laplacian") / 10
    )


def test_numerical_derivatives():
    def features(blocks):
        x, y = blocks
        return np.column_stack([x[:, 0] ** 2 * y[:, 0], np.sin(x[:, 1])])

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 2)), rng.normal(size=(30, 1))
    zero = np.zeros(30)
    expected = [
        np.column_stack([2 * x[:, 0] * y[:, 0], zero]),
        np.column_stack([zero, np.cos(x[:, 1])]),
        np.column_stack([x[:, 0] ** 2, zero]),
    ]
    steps = [difference_steps(x), difference_steps(y)]
    derivatives = list(gradient_features(features, [x, y], steps))
    np.testing.assert_allclose(derivatives, expected, atol=1e-6)
    np.testing.assert_allclose(
        second_moment(features, [x, y], derivatives=True),
        sum(e.T @ e for e in expected) / 30,
        atol=1e-6,
    )
    # the weights of samples, whose mean is 1, count them
    counts = np.tile([1, 2, 3], 10)
    np.testing.assert_allclose(
        second_moment(features, [x, y], False, np.log(counts / 2)),
        second_moment(features, [np.repeat(z, counts, axis=0) for z in (x, y)], False),
        rtol=1e-10,
    )


# ------------------------------------------------------------------ data and bad input


def test_labels_and_mixed_columns():
    rng = np.random.default_rng(0)
    label = rng.choice(["a", "b", "c"], 600)
    number = np.where(label == "a", 2.0, -1.0) + rng.normal(size=600) / 4
    X = pd.DataFrame({"label": label, "noise": rng.normal(size=600)})
    options = {"lambda_": 1e-4, "random_state": 0}
    information = -(np.log(1 / 3) / 3 + np.log(2 / 3) * 2 / 3)  # whether it is an "a"
    assert KernelEtaDV(**options).fit(X, number).mi_ == pytest.approx(information, abs=0.1)
    assert KernelEtaDV(**options).fit(number[:, None], label).mi_ == pytest.approx(
        information, abs=0.1
    )


def test_monotone_transforms_do_not_matter(data):
    X, Y, _ = data
    options = {"lambda_": 0.05, "random_state": 0}
    reference = KernelEtaDV(**options).fit(X, Y).mi_
    assert KernelEtaDV(**options).fit(np.exp(X), Y**3).mi_ == pytest.approx(reference, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lambda_": 0}, "'lambda_' parameter"),
        ({"lambda_": -1.0}, "'lambda_' parameter"),
        ({"lambda_": [0.1, -0.1]}, "lambda_ must be 'auto'"),
        ({"lambda_": []}, "lambda_ must be 'auto'"),
        ({"lambda_": [0.1, np.inf]}, "lambda_ must be 'auto'"),
        ({"lambda_": ["a"]}, "lambda_ must be 'auto'"),
        ({"gamma": 0}, "'gamma' parameter"),
        ({"gamma": [1.0]}, "gamma must be 'median', a positive number, or 2 of them"),
        ({"gamma": [1.0, -1.0]}, "gamma must be 'median'"),
        ({"gamma": [1.0, np.nan]}, "gamma must be 'median'"),
        ({"gamma": ["a", "b"]}, "gamma must be 'median'"),
        ({"eps": 0}, "'eps' parameter"),
        ({"solver": "sgd"}, "'solver' parameter"),
        ({"kernel": "rbff"}, "Unknown kernel"),
        ({"kernel": "linear", "feature_map": "nystroem"}, "approximates kernel 'rbf' or 'lapl"),
        ({"kernel": "laplacian", "feature_map": "fourier"}, "approximates kernel 'rbf', got"),
        ({"kernel": lambda a, b: np.abs(a - b).sum()}, "not positive semi-definite"),
        ({"kernel": lambda a, b: np.nan}, "NaN"),
        ({"kernel": "chi2"}, "without negative values.*margins=None"),
        ({"feature_map": MINEEstimator()}, "must be fitted"),
        ({"regularizer": "fisher", "ridge": 0, "feature_map": TWICE}, "singular"),
        ({"cv": 50}, "n_samples=60 is too few for cv=50"),
        ({"cv": LeaveOneOut()}, "a split with 1 row"),
        ({"cv": GroupKFold(3)}, "needs groups"),
        ({"kernel": RBF(1.0), "gamma": 0.5}, "belongs to kernels by name"),
        ({"gamma": np.array(0.5)}, "gamma must be 'median'"),
        ({"feature_map": KernelDensity()}, "'feature_map' parameter"),
    ],
)
def test_bad_parameters(data, options, message):
    X, Y, _ = data
    with pytest.raises(ValueError, match=message):
        KernelEtaDV(**options).fit(X[:60], Y[:60])


def test_too_many_rows_for_the_exact_kernel():
    X = np.random.default_rng(0).normal(size=(30_000, 1))
    with pytest.raises(ValueError, match=r"would take 26\.8 GiB.*'nystroem' or 'fourier'"):
        KernelEtaDV(feature_map="exact", lambda_=1.0).fit(X, X)
    with pytest.raises(ValueError, match=r"39800 samples.*n_shuffles='auto'"):
        KernelEtaDV(n_shuffles=199, lambda_=1.0).fit(X[:200], X[:200])


def test_no_convergence(data):
    X, Y, _ = data
    with pytest.warns(ConvergenceWarning, match="duality gap of"):
        fitted = KernelEtaDV(lambda_=1e-4, max_iter=1, random_state=0).fit(X, Y)
    assert fitted.duality_gap_ > 1e-10
    # an early stop is still certified
    assert fitted.objective_ - fitted.dual_objective_ == pytest.approx(fitted.duality_gap_)


def test_bad_calls(data):
    X, Y, _ = data
    with pytest.raises(NotFittedError):
        KernelEtaDV(lambda_=1.0).score(X, Y)
    paired = KernelEtaDV(lambda_=1.0).fit(X, Y)
    with pytest.raises(ValueError, match="predict_ratio takes pairs"):
        paired.predict_ratio(X)
    with pytest.raises(ValueError, match="at least 2 rows"):
        paired.score(X[:1], Y[:1])
    samples = KernelEtaDV(lambda_=1.0).fit_samples(X, Y)
    with pytest.raises(ValueError, match="two samples"):
        samples.score(X, None)
    with pytest.raises(ValueError, match="rows of X alone"):
        samples.score_samples(X, Y)
    with pytest.raises(ValueError, match=r"P_samples has 1 row.* at least 2"):
        samples.fit_samples(X[:1], Y)
    with pytest.raises(ValueError, match=r"Q_samples has 1 row.* at least 2"):
        samples.fit_samples(X, Y[:1])
    with pytest.raises(ValueError, match="same columns"):
        samples.fit_samples(X, np.hstack([Y, Y]))
    with pytest.raises(ValueError, match="cannot split two samples"):
        KernelEtaDV(cv=GroupKFold(3)).fit_samples(X, Y)
    assert np.isfinite(samples.fit_samples(X[:, 0], Y[:, 0]).score(X[:, 0], Y[:, 0]))


@pytest.mark.filterwarnings("ignore:(X|y) is constant")
@pytest.mark.parametrize("n_rows", [70, 150, 200])
@pytest.mark.parametrize("lambda_", [1e-4, "auto"])
def test_a_constant_carries_nothing(data, n_rows, lambda_):
    varied, constant = data[0][:n_rows], np.ones((n_rows, 1))
    for X, y in ((varied, constant), (constant, varied), (constant, constant)):
        fitted = KernelEtaDV(lambda_=lambda_, random_state=0).fit(X, y)
        assert fitted.mi_ == pytest.approx(0, abs=1e-6)
        # nor does rounding lead the path to weak regularisers
        assert lambda_ != "auto" or fitted.lambda_best_ == fitted.path_[0]["lambda"]


# -------------------------------------------------------------------------- conventions


@parametrize_with_checks(
    [KernelEtaDV(), KernelEtaDV(feature_map="nystroem", n_components=20)], xfail_strict=True
)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def test_pipelines_searches_and_one_call(data):
    X, Y, mi = data
    pipeline = make_pipeline(StandardScaler(), KernelEtaDV(lambda_=1e-3, random_state=0))
    assert np.isfinite(cross_val_score(pipeline, X, Y, cv=3)).all()
    search = GridSearchCV(KernelEtaDV(random_state=0), {"lambda_": [0.03, 10.0]}, cv=2).fit(X, Y)
    assert search.best_params_ == {"lambda_": 0.03}
    result = mutual_info(X, Y, estimator=KernelEtaDV(lambda_=0.01), random_state=0)
    assert result.estimate == pytest.approx(mi, abs=0.2)
    polynomials = make_pipeline(FunctionTransformer(), PolynomialFeatures(2, include_bias=False))
    quadratic = KernelEtaDV(feature_map=polynomials, lambda_=1e-3, random_state=0).fit(X, Y)
    assert quadratic.mi_ == pytest.approx(mi, abs=0.15)  # the true log ratio is quadratic


def test_information_of_single_values():
    X, Y, _ = make_sparse_gaussian(500, n_features_x=1, correlation=0.8, random_state=7)
    fitted = KernelEtaDV(lambda_=1e-3, random_state=0).fit(X, Y)
    values = fitted.score_samples(X[:100])
    # KL(N(0.8 x, 0.36) || N(0, 1))
    truth = -np.log(0.6) + (0.36 + 0.64 * X[:100, 0] ** 2 - 1) / 2
    assert values.min() >= 0 and np.corrcoef(values, truth)[0, 1] > 0.8
    assert np.abs(values - truth).mean() < 0.15


def test_same_seed_same_bits(data):
    X, Y, _ = data
    for feature_map in ("exact", "fourier"):
        options = {"feature_map": feature_map, "n_components": 50, "n_shuffles": 1}
        first, second = (KernelEtaDV(random_state=3, **options).fit(X, Y) for _ in range(2))
        assert first.mi_ == second.mi_ and first.score(X, Y) == second.score(X, Y)
        np.testing.assert_array_equal(first.coef_, second.coef_)
        assert first.mi_ != KernelEtaDV(random_state=4, **options).fit(X, Y).mi_


def test_the_score_is_the_bound_of_the_package(data):
    X, Y, _ = data
    fitted = KernelEtaDV(lambda_=0.01, random_state=0).fit(X, Y)
    i, j = np.nonzero(~np.eye(len(X), dtype=bool))  # few enough for all pairs
    pairs = fitted.score_samples(X, Y), fitted.score_samples(X[i], Y[j])
    value = float(eta_dv(*map(torch.as_tensor, pairs), 0.0))
    assert fitted.score(X, Y) == pytest.approx(value)


@pytest.mark.slow
def test_gaussian_tasks_of_other_shapes():
    covariance = np.eye(4) + 0.4 * (1 - np.eye(4))
    X, Y, mi = make_gaussian(2_000, covariance=covariance, n_features_x=3, random_state=0)
    assert KernelEtaDV(random_state=0).fit(X, Y).mi_ == pytest.approx(mi, abs=0.06)
