"""Measures of latent variables against closed forms, quadrature and what they must satisfy."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import quad
from scipy.special import logsumexp
from torch.distributions import Normal, kl_divergence

from skmi import KernelEtaDV
from skmi.evaluation import (
    _latent,
    active_units,
    aggregate_posterior_kl,
    importance_weighted_log_likelihood,
    kl_to_prior,
    latent_mutual_information,
    latent_traversal,
)
from skmi.exceptions import SaturationWarning


def posteriors(n=200, k=3, spread=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return spread * rng.normal(size=(n, k)) + 0.3, rng.uniform(0.3, 1.2, size=(n, k))


class LinearGaussian:
    """x = W z + b + sigma e with orthogonal columns in W, so that posteriors are diagonal."""

    def __init__(self, k=2, p=5, sigma=0.7, shift=0.0, widening=1.0, draws_at_once=7, seed=0):
        rng = np.random.default_rng(seed)
        self.W = np.linalg.qr(rng.normal(size=(p, k)))[0] * rng.uniform(0.5, 2, size=k)
        self.b, self.sigma, self.n_components = rng.normal(size=p), sigma, k
        self.shift, self.widening, self.draws_at_once = shift, widening, draws_at_once

    def draw(self, n, seed=0):
        rng = np.random.default_rng(seed)
        noise = self.sigma * rng.normal(size=(n, len(self.b)))
        return self.inverse_transform(rng.normal(size=(n, self.n_components))) + noise

    def posterior(self, X):
        variances = 1 / (1 + (self.W**2).sum(axis=0) / self.sigma**2)
        means = (X - self.b) @ self.W * variances / self.sigma**2
        stds = np.broadcast_to(np.sqrt(variances), means.shape)
        return means + self.shift, self.widening * stds

    def transform(self, X):
        return self.posterior(X)[0]

    def inverse_transform(self, Z):
        return Z @ self.W.T + self.b

    def log_likelihood(self, X):
        covariance = self.W @ self.W.T + self.sigma**2 * np.eye(len(self.b))
        return stats.multivariate_normal(self.b, covariance).logpdf(X)

    def log_importance_weights(self, X, n_draws, random_state):
        rng = np.random.default_rng(random_state)
        means, stds = (values[:, None] for values in self.posterior(X))
        noise = rng.normal(size=(len(X), n_draws, self.n_components))
        for start in range(0, n_draws, self.draws_at_once):
            z = means + stds * noise[:, start : start + self.draws_at_once]
            log_x = stats.norm.logpdf(X[:, None], self.inverse_transform(z), self.sigma).sum(-1)
            log_ratio = stats.norm.logpdf(z) - stats.norm.logpdf(z, means, stds)
            yield log_x + log_ratio.sum(axis=-1)


# --------------------------------------------------------------------- active units


def test_active_units_counts_columns_at_or_above_the_threshold():
    signs = np.resize([-1.0, 1.0], 100)[:, None]
    means = signs * [0.5, 0.499, 0.0, 3.0] + 7.0
    assert active_units(means, threshold=0.25) == 2, "the variance of +-0.5 is 0.25 exactly"
    assert active_units(means, threshold=0.24) == 3
    assert active_units(means, threshold=9.1) == 0
    assert isinstance(active_units(means), int)


def test_a_dead_unit_with_unit_posterior_variance_is_not_active():
    rng = np.random.default_rng(0)
    means = np.column_stack([rng.normal(size=2000), 1e-3 * rng.normal(size=(2000, 2))])
    assert active_units(means) == 1
    assert active_units(means + rng.normal(size=means.shape)) == 3, "draws would pass"


def test_active_units_of_float32_with_a_large_offset():
    means = np.float32(1000) + np.float32(0.25) * np.resize([-1, 1], (300, 1)).astype(np.float32)
    assert active_units(means, threshold=0.0625) == 1


# ----------------------------------------------------------------- divergence to the prior


def test_kl_to_prior_is_that_of_torch():
    means, stds = posteriors()
    terms = kl_divergence(Normal(*map(torch.tensor, (means, stds))), Normal(0.0, 1.0))
    np.testing.assert_allclose(kl_to_prior(means, stds), terms.sum(1).mean().item(), rtol=1e-12)


def test_kl_to_prior_is_least_at_the_prior():
    zeros, ones = np.zeros((3, 4)), np.ones((3, 4))
    assert kl_to_prior(zeros, ones) == 0
    for means, stds in [(zeros + 0.1, ones), (zeros, 0.9 * ones), (zeros, 1.1 * ones)]:
        assert kl_to_prior(means, stds) > 0


# ----------------------------------------------------------------- aggregated posterior


def brute_force_log_mixture(z, means, stds):
    terms = stats.norm.logpdf(z[:, None], means, stds).sum(axis=-1)
    return logsumexp(terms, axis=1) - np.log(len(means))


@pytest.mark.parametrize("chunk", [1, 1000, 2**20])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-9])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_log_mixture_is_the_sum_over_all_rows(monkeypatch, chunk, scale, offset):
    """Also in chunks, far from the origin, and for posteriors too narrow to expand the square."""
    monkeypatch.setattr(_latent, "CHUNK_PAIRS", chunk)
    means, stds = posteriors(n=40)
    stds = scale * stds
    z, _ = _latent._draw(means, stds, 60, random_state=0)
    z, means = z.numpy() + offset, means + offset
    values = _latent._log_mixture(torch.from_numpy(z), means, stds).numpy()
    np.testing.assert_allclose(values, brute_force_log_mixture(z, means, stds), atol=1e-5)


def test_narrow_posteriors_among_wide_ones(monkeypatch):
    """The square is expanded, for speed, where its terms do not cancel."""
    means, stds = posteriors(n=40)
    stds[::4] *= 1e-8
    direct, expanded = _latent._log_sum, _latent._log_sum_expanded
    rows = {}
    monkeypatch.setattr(
        _latent, "_log_sum", lambda z, m, s: rows.update(direct=len(m)) or direct(z, m, s)
    )
    monkeypatch.setattr(
        _latent,
        "_log_sum_expanded",
        lambda z, m, s: rows.update(expanded=len(m)) or expanded(z, m, s),
    )
    z, _ = _latent._draw(means, stds, 80, random_state=0)
    values = _latent._log_mixture(z, means, stds).numpy()
    np.testing.assert_allclose(values, brute_force_log_mixture(z.numpy(), means, stds), atol=1e-6)
    assert rows == {"direct": 10, "expanded": 30}


def test_draws_are_spread_over_the_posteriors():
    means, stds = np.arange(7.0)[:, None], np.full((7, 1), 1e-3)
    for n_draws in (3, 7, 25):
        z, rows = _latent._draw(means, stds, n_draws, random_state=0)
        counts = np.bincount(rows, minlength=7)
        assert z.shape == (n_draws, 1) and counts.max() - counts.min() <= 1
        np.testing.assert_allclose(z[:, 0], rows, atol=0.01)
    _, rows = _latent._draw(means, np.ones((7, 1)), 7, random_state=1)
    assert (rows != np.arange(7)).any(), "those beyond a round are not always the first rows"


def test_aggregate_kl_is_zero_for_a_collapsed_posterior():
    assert aggregate_posterior_kl(np.zeros((50, 4)), np.ones((50, 4)), random_state=0) == (
        pytest.approx(0, abs=1e-12)
    )


def test_aggregate_kl_of_one_gaussian_in_closed_form():
    means, stds = np.full((20, 2), 0.7), np.full((20, 2), 0.4)
    value = aggregate_posterior_kl(means, stds, n_draws=20_000, random_state=0)
    assert value == pytest.approx(kl_to_prior(means, stds), abs=0.05)


def test_aggregate_kl_by_quadrature():
    means, stds = np.array([[-1.5], [0.2], [2.0]]), np.array([[0.3], [0.8], [0.5]])

    def density(z):
        return stats.norm.pdf(z, means, stds).mean()

    expected, _ = quad(lambda z: density(z) * np.log(density(z) / stats.norm.pdf(z)), -6, 6)
    value = aggregate_posterior_kl(means, stds, n_draws=50_000, random_state=0)
    assert value == pytest.approx(expected, abs=0.03)
    assert expected < kl_to_prior(means, stds) - 0.3, "the parts are farther than the whole"


# ------------------------------------------------------------------------- information


@pytest.mark.parametrize("spread", [0.3, 1.0, 2.0])
def test_information_is_the_difference_of_the_divergences(spread):
    means, stds = posteriors(n=300, spread=spread)
    gaps = [
        latent_mutual_information(means, stds, n_draws=300, random_state=seed)
        + aggregate_posterior_kl(means, stds, n_draws=300, random_state=100 + seed)
        for seed in range(30)
    ] - np.array(kl_to_prior(means, stds))
    assert abs(gaps.mean()) < 5 * gaps.std() / np.sqrt(30)
    assert gaps.std() < 0.5


def test_information_of_a_collapsed_posterior_is_zero():
    means, stds = np.full((100, 3), 0.4), np.full((100, 3), 1e-7)
    for scale in (1, 1e7):
        value = latent_mutual_information(means, scale * stds, random_state=0)
        assert value == pytest.approx(0, abs=1e-9)


def test_information_of_rows_told_apart_is_log_n():
    means = np.arange(50.0)[:, None]
    with pytest.warns(SaturationWarning, match=r"all that 50 rows can show, log n = 3.91"):
        value = latent_mutual_information(means, np.full((50, 1), 0.01), random_state=0)
    assert value == pytest.approx(np.log(50), abs=1e-9) and value <= np.log(50)


def test_information_of_groups_told_apart():
    """Ten groups of ten equal rows each: log 10."""
    means = np.repeat(np.arange(10.0), 10)[:, None]
    value = latent_mutual_information(means, np.full((100, 1), 0.01), random_state=0)
    assert value == pytest.approx(np.log(10), abs=1e-9)


def test_information_of_a_gaussian_channel():
    """I = 1/2 log(1 + s^2 / sigma^2) for each unit, in the limit of many rows."""
    signal, noise = np.array([1.0, 0.5]), np.array([1.0, 1.5])
    means = signal * np.random.default_rng(0).normal(size=(4000, 2))
    stds = np.broadcast_to(noise, means.shape)
    value = latent_mutual_information(means, stds, n_draws=4000, random_state=0)
    assert value == pytest.approx(0.5 * np.log1p((signal / noise) ** 2).sum(), abs=0.06)


def test_information_does_not_depend_on_units_of_the_latent_variables():
    means, stds = posteriors()
    value = latent_mutual_information(means, stds, random_state=0)
    scales = np.array([1e-3, 1.0, 50.0])
    scaled = latent_mutual_information(scales * means - 9, scales * stds, random_state=0)
    assert scaled == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("measure", [aggregate_posterior_kl, latent_mutual_information])
def test_seed(measure):
    means, stds = posteriors()
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    values = [measure(means, stds, n_draws=50, random_state=seed) for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002
    assert isinstance(values[0], float)


def line_of_images(n):
    """Images z0 * pattern with I(z0; z0 + noise) = 1/2 log(1 + 1 / 0.5^2)."""
    z0 = np.random.default_rng(0).normal(size=(n, 1))
    return z0, np.full_like(z0, 0.5), z0[:, :, None] * np.array([[1.0, -2.0], [0.5, 1.0]])


def test_information_by_a_critic():
    means, stds, X = line_of_images(800)
    options = {"method": "neural", "estimator": KernelEtaDV(), "cv": 2, "random_state": 0}
    value = latent_mutual_information(means, stds, X, **options)
    assert value == pytest.approx(0.5 * np.log(5), abs=0.25)
    assert isinstance(value, float)
    shuffled = latent_mutual_information(means, stds, X[::-1], **options)
    assert abs(shuffled) < 0.1, "rows of X belong to rows of the posteriors"


def correlated(n_rows, noise=0.05, seed=0):
    """Posteriors of one deviation and correlated normal means, and their information."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(6, 6))
    information = np.linalg.slogdet(np.eye(6) + mixing.T @ mixing / noise**2)[1] / 2
    means = rng.normal(size=(n_rows, 6)) @ mixing
    return means, np.full_like(means, noise), information


@pytest.mark.parametrize("seed", range(3))
def test_upper_bound_far_above_the_logarithm_of_the_rows(seed):
    means, stds, information = correlated(2000, seed=seed)
    assert information > 2 * np.log(2000)
    value = latent_mutual_information(means, stds, method="upper", random_state=seed)
    # 6 * 7 / 2 moments of 1,000 rows cost 0.01 nats; the mean of 2,000 ratios has an error of 0.05
    assert value == pytest.approx(information, abs=0.25)
    scale, shift = np.array([1e-3, 1.0, 1e3, 1.0, 1e6, 1e-6]), np.arange(6)
    moved = latent_mutual_information(
        scale * means + shift, scale * stds, method="upper", random_state=seed
    )
    assert moved == pytest.approx(value, abs=1e-3)
    assert value < kl_to_prior(means, stds)


@pytest.mark.parametrize(
    ("n_rows", "n_columns", "std"), [(20, 2, 0.5), (400, 20, 0.3), (400, 20, 1)]
)
def test_upper_bound_is_hardly_above_that_of_the_prior(n_rows, n_columns, std):
    # codes that are together as the prior: no other density is closer
    means = np.sqrt(1 - std**2) * np.random.default_rng(0).normal(size=(n_rows, n_columns))
    stds = np.full_like(means, std)
    value = latent_mutual_information(means, stds, method="upper", random_state=0)
    information = -n_columns * np.log(std)
    assert value < kl_to_prior(means, stds) + 0.7
    assert value == pytest.approx(information, abs=0.2 + 4 * np.sqrt(n_columns / n_rows))


def test_upper_bound_of_codes_that_are_not_normal():
    # two clusters: log 2 nats, which one normal density would put far higher
    means = 10.0 * np.repeat([[-1.0], [1.0]], 500, axis=0)
    value = latent_mutual_information(means, np.ones_like(means), method="upper", random_state=0)
    assert value == pytest.approx(np.log(2), abs=0.1)


def test_information_by_a_critic_from_the_posteriors():
    # X are images of the means, so that the information is the same
    means, stds, _X = line_of_images(800)
    options = {"method": "neural", "estimator": KernelEtaDV(), "cv": 2, "random_state": 0}
    value = latent_mutual_information(means, stds, **options)
    assert value == pytest.approx(0.5 * np.log(5), abs=0.25)


@pytest.mark.slow
def test_information_by_the_default_critic():
    means, stds, X = line_of_images(1500)
    value = latent_mutual_information(means, stds, X, method="neural", random_state=0)
    assert value == pytest.approx(0.5 * np.log(5), abs=0.15)


# ------------------------------------------------------------------------ log-likelihood


@pytest.mark.parametrize("n_draws", [1, 7, 10])
def test_log_likelihood_with_the_true_posterior_is_exact(n_draws):
    vae = LinearGaussian()
    X = vae.draw(20)
    values = importance_weighted_log_likelihood(vae, X, n_importance_samples=n_draws)
    np.testing.assert_allclose(values, vae.log_likelihood(X), rtol=1e-10)


def test_log_likelihood_is_a_bound_that_rises_with_the_draws():
    vae = LinearGaussian(shift=0.3, widening=1.2)
    X = vae.draw(3000)
    exact = vae.log_likelihood(X)
    gaps, errors = [], []
    for n_draws in (1, 5, 50):
        gap = exact - importance_weighted_log_likelihood(vae, X, n_importance_samples=n_draws)
        gaps.append(gap.mean())
        errors.append(gap.std() / np.sqrt(len(X)))
    assert gaps[0] > 5 * gaps[1] / 2 > 0 and gaps[1] > 2 * gaps[2] > -errors[2]
    # one draw: the gap is KL(q(z | x) || p(z | x))
    q, p = (
        Normal(*(torch.tensor(np.array(values)) for values in model.posterior(X)))
        for model in (vae, LinearGaussian())
    )
    assert gaps[0] == pytest.approx(kl_divergence(q, p).sum(1).mean().item(), abs=5 * errors[0])


def test_log_likelihood_does_not_depend_on_the_chunks():
    X = LinearGaussian().draw(10)
    options = {"shift": 0.5, "widening": 1.5}
    values = [
        importance_weighted_log_likelihood(
            LinearGaussian(draws_at_once=size, **options), X, n_importance_samples=23
        )
        for size in (1, 7, 23)
    ]
    for other in values[1:]:
        np.testing.assert_allclose(other, values[0], rtol=1e-12)
    assert values[0].shape == (10,) and values[0].dtype == np.float64


def test_log_likelihood_of_weights_that_underflow():
    class Far:
        def log_importance_weights(self, X, n_draws, random_state):
            yield np.array([[-5000.0, -np.inf], [-np.inf, -np.inf]])

    values = importance_weighted_log_likelihood(Far(), None, n_importance_samples=2)
    np.testing.assert_allclose(values, [-5000 - np.log(2), -np.inf])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_log_likelihood_that_is_broken(bad):
    class Broken:
        def log_importance_weights(self, X, n_draws, random_state):
            yield np.array([[0.0, bad]])

    with pytest.raises(ValueError, match="gave NaN or infinity"):
        importance_weighted_log_likelihood(Broken(), None)
    with pytest.raises(TypeError, match=r"object.* has no method log_importance_weights"):
        importance_weighted_log_likelihood(object(), None)


# ----------------------------------------------------------------------------- traversal


def test_traversal_moves_one_variable_at_a_time():
    vae = LinearGaussian(k=3)
    x = vae.draw(1)[0]
    images = latent_traversal(vae, x)
    assert images.shape == (3, 9, 5)
    for d in range(3):
        for j, value in enumerate(np.arange(-4, 5)):
            z = vae.transform(x[None])
            z[0, d] = value
            np.testing.assert_allclose(images[d, j], vae.inverse_transform(z)[0])
    some = latent_traversal(vae, x[None], components=[2, 0], values=[-1, 0.5])
    assert some.shape == (2, 2, 5)
    np.testing.assert_allclose(some[0, 0] - some[0, 1], -1.5 * vae.W[:, 2])
    np.testing.assert_allclose(
        latent_traversal(vae, x, components=1, values=[4.0]), images[1:2, 8:]
    )


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 4, 5), (4, 5), (20,)])
@pytest.mark.parametrize("as_batch", [False, True])
def test_traversal_of_one_row_of_any_shape(shape, as_batch):
    class Model:
        n_features_in_ = shape[0]

        def transform(self, X):
            assert X.shape == (1, *shape)
            return X.reshape(1, -1)[:, :2]

        def inverse_transform(self, Z):
            return Z.sum(axis=1).reshape(-1, 1, 1, 1) * np.ones((1, 2, 2))

    x = np.random.default_rng(0).normal(size=shape)
    images = latent_traversal(Model(), x[None] if as_batch else x, values=[1, 2, 3, 4])
    assert images.shape == (2, 4, 1, 2, 2)
    np.testing.assert_allclose(images[0, :, 0, 0, 0], [1, 2, 3, 4] + x.ravel()[1])


# ------------------------------------------------------------------------------ bad input

M0, S0 = posteriors(n=10)
HOLE = np.zeros_like(M0)
HOLE[3, 1] = np.nan


@pytest.mark.parametrize(
    "measure", [kl_to_prior, aggregate_posterior_kl, latent_mutual_information]
)
@pytest.mark.parametrize(
    ("means", "stds", "message"),
    [
        (M0, S0[1:], "means and stds must have the same shape"),
        (M0, S0[:, 1:], "means and stds must have the same shape"),
        (M0, S0 * 0, r"stds must be above 0, but 30 of 30.*np.exp\(stds / 2\)"),
        (M0, np.log(S0), "stds must be above 0"),
        (M0 + HOLE, S0, "means has NaN or infinity in 1 of 10 rows, first in row 3"),
        (M0, S0 + HOLE, "stds has NaN or infinity"),
        (M0[:, 0], S0[:, 0], "means must be rows"),
        (M0[:, None], S0[:, None], r"means must be of shape \(n_samples, n_components\)"),
        (M0[:0], S0[:0], "minimum of 1 is required"),
    ],
)
def test_posteriors_that_cannot_be_measured(measure, means, stds, message):
    with pytest.raises(ValueError, match=message):
        measure(means, stds)


@pytest.mark.parametrize("measure", [aggregate_posterior_kl, latent_mutual_information])
def test_too_little(measure):
    with pytest.raises(ValueError, match="means has 1 rows; at least 2"):
        measure(M0[:1], S0[:1])
    with pytest.raises(ValueError, match="n_draws"):
        measure(M0, S0, n_draws=0)


def test_wrong_parameters():
    for threshold in (0, -1, "low"):
        with pytest.raises(ValueError, match="threshold"):
            active_units(M0, threshold=threshold)
    with pytest.raises(ValueError, match="at least 2"):
        active_units(M0[:1])
    with pytest.raises(ValueError, match="'method' parameter"):
        latent_mutual_information(M0, S0, method="no such")
    with pytest.raises(ValueError, match=r"method='upper' fits .* 20 or more"):
        latent_mutual_information(M0[:10], S0[:10], method="upper")
    with pytest.raises(ValueError, match=r"\['X'\] are for method='neural'; method='upper'"):
        latent_mutual_information(M0, S0, M0, method="upper")
    with pytest.raises(ValueError, match=r"\['X', 'cv'\] are for method='neural'"):
        latent_mutual_information(M0, S0, M0, cv=2)
    with pytest.raises(ValueError, match="means and X must have the same number of rows"):
        latent_mutual_information(M0, S0, M0[1:], method="neural")
    with pytest.raises(ValueError, match="n_importance_samples"):
        importance_weighted_log_likelihood(LinearGaussian(), M0, n_importance_samples=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"components": [2]}, "components must be whole numbers from 0 to 1"),
        ({"components": -1}, "components must be whole numbers from 0 to 1"),
        ({"components": [0.5]}, "components must be whole numbers"),
        ({"components": []}, "components must be whole numbers"),
        ({"values": [np.nan]}, "values must be finite"),
        ({"values": []}, "values must be finite"),
        ({"values": 3.0}, "values must be finite"),
        ({"x": np.float64(1)}, "x must be one row"),
    ],
)
def test_traversals_that_cannot_be(options, message):
    vae = LinearGaussian()
    with pytest.raises(ValueError, match=message):
        latent_traversal(vae, **({"x": vae.draw(1)} | options))
