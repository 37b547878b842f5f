"""Bounds against closed forms, exact discrete joints, inequalities and hand-made gradients."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import binom

from skmi.bounds import (
    BOUNDS,
    a_dv,
    dv,
    dv_loss,
    eta_dv,
    get_bound,
    infonce,
    jsd,
    k_pair,
    log_mean_exp,
    nwj,
    smile,
    smile_loss,
    split_matrix,
    straight_through,
    update_log_ema,
)

torch.set_num_threads(1)

FLOATS = [torch.float32, torch.float64]
random_cases = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def scores_of(shape, size=20.0):
    elements = st.floats(-size, size, allow_subnormal=False)
    return hnp.arrays(np.float64, shape, elements=elements).map(torch.from_numpy)


def pairs_of_scores(size=20.0):
    """Joint scores (B,) and product scores (B, K)."""
    shapes = st.tuples(st.integers(1, 6), st.integers(1, 5))
    return shapes.flatmap(lambda s: st.tuples(scores_of(s[:1], size), scores_of(s, size)))


numbers = st.floats(-10, 10).map(lambda c: torch.tensor(c, dtype=torch.float64))


def number(value):
    return float(value.detach()) if isinstance(value, torch.Tensor) else float(value)


def close(actual, expected, tol=1e-10):
    return number(actual) == pytest.approx(number(expected), rel=tol, abs=tol)


# ----------------------------------------------------- correlated Gaussians, sampled


GAUSSIANS = [(0.5, 4), (-0.7, 1), (0.3, 10)]


def gaussian_log_ratio(x, y, rho):
    """Log p(y | x) / p(y): y given x is normal with mean rho x and variance 1 - rho^2."""
    x, y, variance = torch.from_numpy(x), torch.from_numpy(y), 1 - rho**2
    log_conditional = -((y - rho * x).square() / variance + math.log(variance)) / 2
    return (log_conditional + y.square() / 2).sum(-1)


@pytest.fixture(params=GAUSSIANS, ids=lambda case: f"rho={case[0]}-d={case[1]}")
def gaussian(request, gaussian_pair):
    """Log ratios and y of independent joint and product samples, the MI, 5 standard errors.

    At the optimum the joint term is a mean of log ratios, whose variance is rho^2 a dimension,
    and the product term is a mean of density ratios, of variance (1 - rho^2)^-d - 1.
    """
    rho, d = request.param
    n = 100_000
    x, y, mi = gaussian_pair(n, d, rho, seed=1)
    x_q, y_q = gaussian_pair(n, d, rho, seed=2)[0], gaussian_pair(n, d, rho, seed=3)[1]
    variance = d * rho**2 + (1 - rho**2) ** -d - 1
    return (
        gaussian_log_ratio(x, y, rho),
        gaussian_log_ratio(x_q, y_q, rho),
        torch.from_numpy(y),
        torch.from_numpy(y_q),
        mi,
        5 * math.sqrt(variance / n),
    )


def some_eta(y):
    return 0.7 * torch.sin(3 * y[:, 0]) - 0.4 * y[:, -1].tanh() + 0.3


def test_bounds_return_gaussian_mi_at_the_optimal_critic(gaussian):
    joint, product, y, y_q, mi, tolerance = gaussian
    # E[eta(y)] is taken over the y of joint pairs on both sides of a-DV: it cancels exactly.
    eta, eta_q = some_eta(y), some_eta(y_q)
    estimates = {
        "dv": dv(joint, product),
        "dv shifted": dv(joint + 3, product + 3),
        "nwj": nwj(joint + 1, product + 1),
        "eta-dv": eta_dv(joint, product, 0.0),
        "eta-dv shifted": eta_dv(joint - 2, product - 2, -2.0),
        "eta-dv, best eta": eta_dv(joint, product),
        "a-dv": a_dv(joint + eta, product + eta_q, eta, eta_q),
        "smile": smile(joint, product, clip=20.0),
    }
    for name, estimate in estimates.items():
        assert abs(float(estimate) - mi) < tolerance, name


def test_registered_offsets_and_nats_return_gaussian_mi(gaussian):
    joint, product, *_, mi, tolerance = gaussian
    for bound in BOUNDS.values():
        if not bound.contrastive and bound.name != "smile":
            nats = bound.nats(joint + bound.offset, product + bound.offset)
            assert abs(float(nats) - mi) < tolerance, bound.name


def test_wrong_offset_is_visible(gaussian):
    # The same tolerance does tell nwj at the log ratio from nwj at the log ratio + 1: its
    # value there is MI - e^-1.
    joint, product, *_, mi, tolerance = gaussian
    assert abs(float(nwj(joint, product)) - (mi - math.exp(-1))) < tolerance
    assert math.exp(-1) > 2 * tolerance


@pytest.mark.parametrize(("rho", "d"), [(0.5, 2), (-0.6, 1)])
def test_infonce_returns_modest_gaussian_mi_at_large_k(gaussian_pair, rho, d):
    n = 2000
    x, y, mi = gaussian_pair(n, d, rho, seed=5)
    scores = gaussian_log_ratio(x[:, None], y[None], rho)
    own_term = torch.tensor(np.sin(x[:, :1]))  # the optimum is free up to c(x)
    estimate = float(infonce(*split_matrix(scores + own_term)))
    # The candidates' mean is off by a small multiple of chi^2(P, Q) / K; the rest of the error
    # is that of the mean log ratio.
    error = 15 * ((1 - rho**2) ** -d - 1) / n
    assert abs(estimate - float(scores.diagonal().mean())) < error
    assert abs(estimate - mi) < 5 * math.sqrt(d * rho**2 / n) + error


def test_jsd_critic_read_through_dv(gaussian_pair):
    """The logistic classifier of joint against product pairs is the log ratio, in nats by dv.

    In one dimension the log ratio is linear in (1, xy, x^2 + y^2), so that jsd is a concave
    problem in three weights, solved here by Newton's method.
    """
    rho, n = 0.6, 100_000
    x, y, mi = gaussian_pair(n, 1, rho, seed=7)
    x_q, y_q = gaussian_pair(n, 1, rho, seed=8)[0], gaussian_pair(n, 1, rho, seed=9)[1]

    def features(x, y):
        return torch.from_numpy(np.concatenate([np.ones_like(x), x * y, x**2 + y**2], axis=1))

    p, q = features(x, y), features(x_q, y_q)
    weights = torch.zeros(3, dtype=torch.float64)
    for _ in range(8):
        weights = weights.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(jsd(p @ weights, q @ weights), weights)
        curvature = sum(
            f.T @ (f * ((f @ weights).sigmoid() * (-(f @ weights)).sigmoid())[:, None]) / n
            for f in (p, q)
        )
        weights = weights + torch.linalg.solve(curvature, gradient)
    weights, curvature = weights.detach(), curvature.detach()
    assert gradient.abs().max() < 1e-10
    # Half the log determinant, rho / (1 - rho^2) and -rho^2 / (2 (1 - rho^2)).
    expected = [mi, rho / (1 - rho**2), -(rho**2) / (2 * (1 - rho**2))]
    # Sandwich covariance of the M-estimator; the two samples are independent.
    terms = p * (-(p @ weights)).sigmoid()[:, None], q * (q @ weights).sigmoid()[:, None]
    meat = sum(torch.cov(t.T) for t in terms) / n
    bread = torch.linalg.inv(curvature)
    errors = (bread @ meat @ bread).diagonal().sqrt()
    np.testing.assert_array_less((weights - torch.tensor(expected)).abs(), 5 * errors)
    variance = rho**2 + 1 / (1 - rho**2) - 1
    assert abs(float(dv(p @ weights, q @ weights)) - mi) < 5 * math.sqrt(variance / n) + 10 / n


# --------------------------------------------------------- discrete joints, exactly


class Discrete:
    """A joint distribution given by integer counts, so that a mean over cells is exact."""

    def __init__(self, counts):
        self.counts = counts = np.asarray(counts)
        self.n = counts.sum()
        self.shape = counts.shape
        products = np.outer(counts.sum(1), counts.sum(0))
        self.p, self.q = counts / self.n, products / self.n**2
        self.joint_cells = torch.from_numpy(np.repeat(np.arange(counts.size), counts.ravel()))
        self.product_cells = torch.from_numpy(np.repeat(np.arange(counts.size), products.ravel()))
        positive = counts > 0
        self.mi = float((self.p[positive] * np.log(self.p[positive] / self.q[positive])).sum())
        ratio = np.divide(self.p, self.q, out=np.ones(self.shape), where=products > 0)
        self.log_ratio = torch.from_numpy(ratio).log()  # -inf where a pair never occurs

    def scores(self, table):
        """Joint and product scores of a critic given as a table over (x, y)."""
        flat = table.expand(self.shape).flatten()
        return flat[self.joint_cells], flat[self.product_cells]

    def contrast(self, table, k):
        """Scores of every batch row for InfoNCE: a true pair and k - 1 values of y."""
        units = self.joint_cells.numpy()
        x, y = np.divmod(units, self.shape[1])
        rows = np.array(list(itertools.product(range(self.n), repeat=k)))
        first = rows[:, 0]
        return table[x[first], y[first]], table[x[first][:, None], y[rows[:, 1:]]]


TABLES = {
    "2x2": [[4, 1], [1, 2]],
    "2x3 with an empty cell": [[3, 0, 1], [1, 2, 2]],
    "independent": [[1, 2], [2, 4]],
    "deterministic": [[1, 0, 0], [0, 1, 0], [0, 0, 2]],
    "rectangular": [[2, 1], [0, 3], [1, 1], [1, 0]],
}


@pytest.fixture(params=TABLES.values(), ids=TABLES.keys())
def table(request):
    return Discrete(request.param)


tables = (
    st.tuples(st.integers(1, 3), st.integers(1, 3))
    .flatmap(lambda shape: hnp.arrays(np.int64, shape, elements=st.integers(0, 4)))
    .filter(lambda counts: counts.sum() > 0)
    .map(Discrete)
)


def test_exact_mi_of_known_tables():
    assert close(Discrete(TABLES["independent"]).mi, 0)
    entropy = 0.5 * math.log(4) + 0.5 * math.log(2)
    assert close(Discrete(TABLES["deterministic"]).mi, entropy)


@given(table=tables, constant=numbers, data=st.data())
@random_cases
def test_exactly_the_mi_at_the_optimal_critic(table, constant, data):
    t = table.log_ratio
    assert close(dv(*table.scores(t + constant)), table.mi)
    assert close(nwj(*table.scores(t + 1)), table.mi)
    assert close(eta_dv(*table.scores(t + constant), constant), table.mi)
    assert close(eta_dv(*table.scores(t + constant)), table.mi)
    eta = data.draw(scores_of((1, table.shape[1]), 10.0))
    assert close(a_dv(*table.scores(t + eta), *table.scores(eta)), table.mi)


@given(table=tables, constant=numbers, data=st.data())
@random_cases
def test_no_greater_than_the_mi_at_any_critic(table, constant, data):
    t = data.draw(scores_of(table.shape, 10.0))
    eta = data.draw(scores_of((1, table.shape[1]), 10.0))
    scores = table.scores(t)
    values = {
        "dv": dv(*scores),
        "nwj": nwj(*scores),
        "eta-dv": eta_dv(*scores, constant),
        "eta-dv, best eta": eta_dv(*scores),
        "a-dv": a_dv(*scores, *table.scores(eta)),
    }
    for name, value in values.items():
        assert value <= table.mi + 1e-10, name
    # At the registered reading of every critic as well.
    for bound in BOUNDS.values():
        if bound.is_lower_bound and not bound.contrastive:
            assert bound.nats(*scores) <= table.mi + 1e-10, bound.name


def test_strictly_less_than_the_mi_at_a_wrong_critic(table):
    wrong = table.log_ratio + torch.linspace(0, 2, table.shape[0])[:, None].double()
    values = [dv(*table.scores(wrong)), nwj(*table.scores(wrong + 1)), eta_dv(*table.scores(wrong))]
    eta = torch.linspace(-1, 1, table.shape[1]).double()[None]
    values.append(a_dv(*table.scores(wrong), *table.scores(eta)))
    assert max(values) < table.mi - 0.01


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_optimal_critic_is_stationary(name):
    table = Discrete(TABLES["2x2"])
    bound = get_bound(name)
    eta = torch.tensor([[0.4, -1.1]], dtype=torch.float64)
    critic = table.log_ratio + bound.offset + (eta if name == "a-dv" else 0)
    critic.requires_grad_()
    if bound.contrastive:
        value = bound.value(*table.contrast(critic, 3))
    elif name == "a-dv":
        value = a_dv(*table.scores(critic), *table.scores(eta))
    else:
        value = bound.value(*table.scores(critic))
    (at_optimum,) = torch.autograd.grad(value, critic)
    assert at_optimum.abs().max() < 1e-12
    # ... and a flat objective would not do: elsewhere the gradient is there.
    (elsewhere,) = torch.autograd.grad(bound_at_zero(bound, table), table.zero)
    assert elsewhere.abs().max() > 0.01


def bound_at_zero(bound, table):
    table.zero = torch.zeros(table.shape, dtype=torch.float64, requires_grad=True)
    if bound.contrastive:
        return bound.value(*table.contrast(table.zero, 3))
    scores = table.scores(table.zero)
    extra = [torch.zeros_like(s) for s in scores] if bound.name == "a-dv" else []
    return bound.value(*scores, *extra)


def test_a_dv_is_tighter_than_every_scalar_eta(table):
    """A critic off by a function of y: exact for a-DV, beyond repair for eta-DV and DV."""
    eta = torch.linspace(-1, 2, table.shape[1], dtype=torch.float64)[None]
    scores = table.scores(table.log_ratio + eta)
    assert close(a_dv(*scores, *table.scores(eta)), table.mi)
    best = max(float(eta_dv(*scores, e)) for e in np.linspace(-3, 4, 141))
    assert best <= dv(*scores) < table.mi - 0.1


def test_jsd_at_its_optimum_is_a_jensen_shannon_divergence(table):
    mixture = (table.p + table.q) / 2

    def kl(p, q):
        return (p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum()

    divergence = (kl(table.p, mixture) + kl(table.q, mixture)) / 2
    assert close(jsd(*table.scores(table.log_ratio)), 2 * divergence - 2 * math.log(2))


@given(table=tables, data=st.data())
@random_cases
def test_jsd_is_largest_at_the_log_ratio(table, data):
    t = data.draw(scores_of(table.shape, 10.0))
    best = jsd(*table.scores(table.log_ratio))
    assert jsd(*table.scores(t)) <= best + 1e-12
    assert close(get_bound("jsd").nats(*table.scores(table.log_ratio)), table.mi)


@pytest.mark.parametrize("counts", [[[4, 1], [1, 2]], [[2, 0], [1, 2]], [[1, 0, 0], [0, 3, 1]]])
def test_infonce_in_exact_expectation(counts):
    """Over all batches rows: rises with K, stays below log K and the MI, optimum as documented."""
    table = Discrete(counts)
    own_term = torch.linspace(-2, 3, table.shape[0], dtype=torch.float64)[:, None]
    generator = torch.Generator().manual_seed(0)
    values = []
    for k in (2, 3, 4):
        best = infonce(*table.contrast(table.log_ratio, k))
        assert close(infonce(*table.contrast(table.log_ratio + own_term, k)), best)
        for _ in range(10):
            critic = 2 * torch.randn(table.shape, generator=generator, dtype=torch.float64)
            assert infonce(*table.contrast(critic, k)) < best
        assert best < min(table.mi, math.log(k))
        values.append(float(best))
    assert values == sorted(values) and values[-1] > values[0] + 0.01


@pytest.mark.parametrize("k", [2, 3, 4])
def test_infonce_of_identical_uniform_labels(k):
    """With y = x uniform on m labels the others collide Binomial(k - 1, 1 / m) times."""
    m = 4
    table = Discrete(np.eye(m, dtype=int))
    collisions = np.arange(k)
    expected = math.log(k) - binom.pmf(collisions, k - 1, 1 / m) @ np.log(1 + collisions)
    assert close(infonce(*table.contrast(table.log_ratio, k)), expected)


@pytest.mark.parametrize("name", sorted(name for name, b in BOUNDS.items() if not b.contrastive))
def test_registered_bounds_read_the_mi_of_a_table(name):
    table, bound = Discrete(TABLES["2x2"]), get_bound(name)
    assert close(bound.nats(*table.scores(table.log_ratio + bound.offset)), table.mi)


@pytest.mark.parametrize(
    ("name", "f"),
    [
        ("reverse-kl", lambda t: -t.log()),
        ("pearson", lambda t: (t - 1).square()),
        ("hellinger", lambda t: (t.sqrt() - 1).square()),
        ("jsd", lambda t: t * t.log() - (1 + t) * (1 + t).log()),
        ("eta-dv", lambda t: t * t.log()),
    ],
)
def test_f_divergences_are_the_conjugate_bound(name, f):
    # E_P[u] - E_Q[f*(u)], with the conjugate found by a search; at the log ratio it is E_Q[f(p/q)]
    table, bound = Discrete(TABLES["2x2"]), get_bound(name)
    value = lambda critic: bound.value(*table.scores(critic), *[0.0] * bound.has_eta)  # noqa: E731
    p, q = torch.from_numpy(table.p), torch.from_numpy(table.q)
    assert close(value(table.log_ratio), (q * f(p / q)).sum())
    critic = table.log_ratio + torch.tensor([[0.3, -0.2], [0.1, 0.4]]).double()
    t = critic.exp().requires_grad_()
    (u,) = torch.autograd.grad(f(t).sum(), t)
    grid = torch.linspace(1e-4, 20, 200_001, dtype=torch.float64)
    conjugate = (u[..., None] * grid - f(grid)).amax(-1)
    expected = (p * u).sum() - (q * conjugate).sum()
    assert float(value(critic)) == pytest.approx(float(expected), abs=1e-6)
    assert value(critic) < value(table.log_ratio)


# ------------------------------------------------------------ inequalities, identities


@given(scores=pairs_of_scores(), eta=numbers)
@random_cases
def test_dv_is_never_below_nwj_and_eta_dv(scores, eta):
    best = dv(*scores)
    assert best >= nwj(*scores) - 1e-10
    assert best >= eta_dv(*scores, eta) - 1e-10


@given(scores=pairs_of_scores())
@random_cases
def test_eta_dv_at_the_best_eta_is_dv(scores):
    best_eta = log_mean_exp(scores[1])
    assert close(eta_dv(*scores, best_eta), dv(*scores))
    assert close(eta_dv(*scores, float(best_eta)), dv(*scores))
    assert close(eta_dv(*scores, None), dv(*scores))


@given(scores=pairs_of_scores(10.0))
@random_cases
def test_gap_to_dv_is_the_gap_of_lemma_1(scores):
    """Dv - eta_dv is e^a - a - 1 with a = log E_Q[e^T] - eta, and zero only at a = 0."""
    for eta in (-1.0, 0.0, 2.0):
        a = float(log_mean_exp(scores[1])) - eta
        expected = math.exp(a) - a - 1
        assert close(dv(*scores) - eta_dv(*scores, eta), expected, 1e-8)


@pytest.mark.parametrize("x", [1e-3, 0.5, 1.0, 7.0, 1e4])
def test_lemma_1(x):
    """Log x = min over eta of e^-eta x + eta - 1, attained at eta = log x and nowhere else."""
    nothing = torch.zeros(1, dtype=torch.float64)
    product = torch.tensor([x], dtype=torch.float64).log()
    grid = torch.linspace(-12, 12, 2401, dtype=torch.float64)
    values = torch.stack([-eta_dv(nothing, product, eta) for eta in grid])
    np.testing.assert_allclose(values, torch.exp(-grid) * x + grid - 1, rtol=1e-12, atol=1e-12)
    assert values.min() >= math.log(x) - 1e-12
    assert abs(grid[values.argmin()] - math.log(x)) <= 0.01
    eta = torch.tensor(math.log(x), dtype=torch.float64, requires_grad=True)
    value = -eta_dv(nothing, product, eta)
    (gradient,) = torch.autograd.grad(value, eta)
    assert close(value, math.log(x)) and abs(gradient) < 1e-12


@given(scores=pairs_of_scores())
@random_cases
def test_eta_dv_at_zero_is_nwj_of_the_raised_critic(scores):
    joint, product = scores
    assert close(eta_dv(joint, product, 0.0), nwj(joint + 1, product + 1))


@given(scores=pairs_of_scores(), eta=numbers)
@random_cases
def test_a_dv_with_constant_eta_is_eta_dv(scores, eta):
    joint, product = scores
    constant = eta.expand_as(joint), eta.expand_as(product)
    assert close(a_dv(joint, product, *constant), eta_dv(joint, product, eta))
    assert close(a_dv(joint, product, eta, eta), eta_dv(joint, product, eta))


def test_eta_dv_takes_a_python_float_in_double_precision():
    joint, product = random_batch()
    exact = eta_dv(joint, product, torch.tensor(0.1, dtype=torch.float64))
    assert close(eta_dv(joint, product, 0.1), exact, 1e-12)


@given(scores=pairs_of_scores(5.0), data=st.data())
@random_cases
def test_eta_bounds_depend_on_the_score_less_eta(scores, data):
    """What the registry's `nats` of eta-dv and a-dv rely on."""
    joint, product = scores
    eta_joint = data.draw(scores_of(joint.shape, 3.0))
    eta_product = data.draw(scores_of(product.shape, 3.0))
    value = a_dv(joint, product, eta_joint, eta_product)
    for name in ("eta-dv", "a-dv"):
        assert close(get_bound(name).nats(joint - eta_joint, product - eta_product), value)


@given(scores=pairs_of_scores(), constant=numbers)
@random_cases
def test_dv_ignores_a_constant(scores, constant):
    joint, product = scores
    assert close(dv(joint + constant, product + constant), dv(joint, product))


@given(scores=pairs_of_scores())
@random_cases
def test_all_but_infonce_ignore_order_and_shape(scores):
    joint, product = scores
    eta_joint, eta_product = joint.cos(), product.sin()
    for function in (dv, nwj, eta_dv, jsd, smile):
        assert close(function(joint.flip(0), product.flatten().flip(0)), function(joint, product))
        assert close(function(joint[:, None], product.T), function(joint, product))
    reordered = a_dv(joint.flip(0), product.T, eta_joint.flip(0), eta_product.T)
    assert close(reordered, a_dv(joint, product, eta_joint, eta_product))


@given(scores=pairs_of_scores())
@random_cases
def test_infonce_is_at_most_log_k(scores):
    assert infonce(*scores) <= math.log(scores[1].shape[1] + 1) + 1e-12


@given(scores=pairs_of_scores(), data=st.data())
@random_cases
def test_infonce_ignores_a_function_of_x(scores, data):
    joint, product = scores
    own_term = data.draw(scores_of(joint.shape, 10.0))
    assert close(infonce(joint + own_term, product + own_term[:, None]), infonce(joint, product))


def test_infonce_depends_on_the_pairing_of_rows():
    joint = torch.tensor([1.0, 5.0])
    product = torch.tensor([[0.0], [6.0]])
    assert abs(infonce(joint, product) - infonce(joint, product.flip(0))) > 0.5


@pytest.mark.parametrize("k", [2, 5, 1000])
def test_infonce_extremes(k):
    joint, product = torch.zeros(3, dtype=torch.float64), torch.zeros(3, k - 1).double()
    assert close(infonce(joint, product), 0)
    assert close(infonce(joint, product - 200), math.log(k))
    assert close(infonce(joint, product + 200), math.log(k) - 200 - math.log(k - 1))


@given(scores=pairs_of_scores())
@random_cases
def test_infonce_is_a_softmax_cross_entropy(scores):
    joint, product = scores
    candidates = torch.cat([joint[:, None], product], 1)
    labels = torch.zeros(len(joint), dtype=torch.long)
    loss = torch.nn.functional.cross_entropy(candidates, labels)
    assert close(infonce(joint, product), math.log(candidates.shape[1]) - loss)


@given(scores=pairs_of_scores(5.0))
@random_cases
def test_smile_is_dv_within_the_clip(scores):
    assert close(smile(*scores), dv(*scores))


@given(scores=pairs_of_scores(20.0), clip=st.floats(0.1, 15))
@random_cases
def test_smile_beyond_the_clip(scores, clip):
    joint, product = scores
    explicit = joint.mean() - np.log(np.exp(np.clip(product.numpy(), -clip, clip)).mean())
    assert close(smile(joint, product, clip), explicit)
    assert smile(joint, product.abs(), clip) >= dv(joint, product.abs()) - 1e-10
    assert smile(joint, -product.abs(), clip) <= dv(joint, -product.abs()) + 1e-10
    assume(product.abs().max() > clip + 0.1)
    peak = product.abs().max()
    assert smile(joint, peak, clip) > dv(joint, peak)
    assert smile(joint, -peak, clip) < dv(joint, -peak)


def test_smile_is_no_lower_bound():
    table = Discrete(TABLES["2x2"])
    assert close(smile(*table.scores(table.log_ratio + 20)), table.mi + 15)
    assert not get_bound("smile").is_lower_bound


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_shift_free_says_whether_a_constant_matters(name):
    generator = torch.Generator().manual_seed(1)
    joint = 4 * torch.randn(50, generator=generator, dtype=torch.float64)
    product = 4 * torch.randn(50, 7, generator=generator, dtype=torch.float64)
    bound = get_bound(name)
    change = float(bound.nats(joint + 1.5, product + 1.5) - bound.nats(joint, product))
    assert (abs(change) < 1e-12) if bound.shift_free else (abs(change) > 0.1)


# -------------------------------------------------------------- matrices, small tools


@given(n=st.integers(2, 7), data=st.data())
@random_cases
def test_split_matrix_against_a_loop(n, data):
    matrix = data.draw(scores_of((n, n)))
    joint, product = split_matrix(matrix)
    assert joint.tolist() == [float(matrix[i, i]) for i in range(n)]
    rows = [[float(matrix[i, j]) for j in range(n) if j != i] for i in range(n)]
    assert product.tolist() == rows


@given(n=st.integers(2, 6), data=st.data())
@random_cases
def test_matrix_form_is_the_paired_form(n, data):
    matrix = data.draw(scores_of((n, n), 10.0))
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    true = torch.stack([matrix[i, i] for i in range(n)])
    false = torch.stack([matrix[i, j] for i, j in pairs])
    for function in (dv, nwj, eta_dv, jsd, smile):
        assert close(function(*split_matrix(matrix)), function(true, false))
    # InfoNCE on all pairs: the diagonal of the row-wise log softmax.
    expected = matrix.log_softmax(1).diagonal().mean() + math.log(n)
    assert close(infonce(*split_matrix(matrix)), expected)


def test_split_matrix_passes_gradients_to_their_entries():
    matrix = torch.zeros(4, 4, dtype=torch.float64, requires_grad=True)
    joint, product = split_matrix(matrix)
    (2 * joint.sum() - 3 * product.sum()).backward()
    assert torch.equal(matrix.grad, 5 * torch.eye(4, dtype=torch.float64) - 3)


def test_split_matrix_of_a_strided_view():
    base = torch.arange(24.0).view(4, 6)
    for matrix in (base[:, 1:5], base[:, ::2].T[:3, :3], base[:3, :3].T):
        joint, product = split_matrix(matrix)
        again = split_matrix(matrix.clone().contiguous())
        assert torch.equal(joint, again[0]) and torch.equal(product, again[1])


@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (1, 1), (0, 0)])
def test_split_matrix_rejects_what_is_not_all_pairs(shape):
    with pytest.raises(ValueError, match=rf"square.*got shape \({shape[0]}, {shape[1]}\)"):
        split_matrix(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(4,), (2, 3, 2)])
def test_split_matrix_names_the_shape_of_other_dimensions(shape):
    with pytest.raises(ValueError, match=r"square.*got shape"):
        split_matrix(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(4,), (3, 2), (4, 2, 2), ()])
def test_infonce_rejects_product_scores_without_rows(shape):
    with pytest.raises(ValueError, match=r"product \(B, K - 1\)") as error:
        infonce(torch.zeros(4), torch.zeros(shape))
    assert str(shape) in str(error.value)


def test_infonce_rejects_an_array_of_joint_scores():
    with pytest.raises(ValueError, match="joint"):
        infonce(torch.zeros(4, 1, 1), torch.zeros(4, 3))


def test_parts_of_y_are_split_and_contrasted_one_by_one():
    scores = torch.randn(5, 5, 3, dtype=torch.float64)
    joint, product = split_matrix(scores)
    for part in range(3):
        one = split_matrix(scores[..., part])
        assert torch.equal(joint[:, part], one[0]) and torch.equal(product[..., part], one[1])
    others = product.flatten(1)  # all parts of the others are candidates
    parts = torch.stack([infonce(joint[:, part], others) for part in range(3)])
    assert close(infonce(joint, others), parts.mean())
    own = torch.cat([joint[:1, 0], others[0]])
    expected = own.log_softmax(0)[0] + math.log(len(own))
    assert close(infonce(joint[:1, :1], others[:1]), expected)


@given(scores=scores_of((3, 4)), constant=st.floats(-1000, 1000))
@random_cases
def test_log_mean_exp(scores, constant):
    expected = math.log(np.exp(scores.numpy()).mean())
    assert close(log_mean_exp(scores), expected)
    assert close(log_mean_exp(scores + constant), expected + constant)
    assert scores.mean() - 1e-12 <= log_mean_exp(scores) <= scores.max() + 1e-12


def test_log_mean_exp_of_one_and_of_impossible_scores():
    assert log_mean_exp(torch.tensor(3.25)) == 3.25
    half = torch.tensor([1.0, -torch.inf], dtype=torch.float64)
    assert close(log_mean_exp(half), 1 - math.log(2))


def test_straight_through():
    x = torch.tensor([0.5, 2.0, -1.0], dtype=torch.float64, requires_grad=True)
    out = straight_through(x.square(), x.sin())
    assert torch.allclose(out, x.square(), rtol=1e-15, atol=1e-15)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert torch.allclose(gradient, x.cos())


# ------------------------------------------------------------------------- numerics


def extreme_scores(dtype):
    generator = torch.Generator().manual_seed(3)
    sizes = torch.tensor([-1e4, 0.0, 1e4], dtype=dtype)
    joint = sizes[torch.randint(3, (12,), generator=generator)]
    product = sizes[torch.randint(3, (12, 5), generator=generator)]
    assert product.max() == 1e4 and product.min() == -1e4
    return joint.requires_grad_(), product.requires_grad_()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "function",
    [
        dv,
        eta_dv,
        infonce,
        jsd,
        smile,
        smile_loss,
        lambda joint, product: dv_loss(joint, product, log_mean_exp(product)),
        lambda joint, product: eta_dv(joint, product, 1e4),
        lambda joint, product: nwj(joint - 1e4, product - 1e4),
        lambda joint, product: a_dv(joint, product, joint.detach(), product.detach()),
    ],
    ids=[
        "dv",
        "eta-dv",
        "infonce",
        "jsd",
        "smile",
        "smile loss",
        "dv loss",
        "eta-dv, eta=1e4",
        "nwj, low",
        "a-dv, eta=T",
    ],
)
def test_huge_scores_stay_finite(function, dtype):
    joint, product = extreme_scores(dtype)
    value = function(joint, product)
    gradients = torch.autograd.grad(value, (joint, product))
    assert value.isfinite() and all(g.isfinite().all() for g in gradients)
    assert all(g.any() for g in gradients)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_huge_scores_give_the_right_dv(size, dtype):
    """One score 1e4 above n - 1 others: log E e^T is the score less log n."""
    n = 64
    product = torch.full((n,), size - 1e4, dtype=dtype)
    product[3] = size
    joint = torch.full((n,), size, dtype=dtype)
    tolerance = 4e4 * torch.finfo(dtype).eps
    assert abs(float(dv(joint, product)) - math.log(n)) < tolerance
    assert abs(float(eta_dv(joint, product)) - math.log(n)) < tolerance
    # Overflow of the plain formula is -inf, the honest value, not NaN.
    assert nwj(joint.abs(), product.abs()) == -torch.inf


@pytest.mark.parametrize("dtype", FLOATS)
def test_dtype_is_kept_and_precise(dtype):
    generator = torch.Generator().manual_seed(4)
    exact = [
        2 * torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in [(200,), (200, 9), (200,), (200, 9)]
    ]
    joint, product, eta_joint, eta_product = (t.to(dtype) for t in exact)
    for function in (dv, nwj, eta_dv, infonce, jsd, smile, smile_loss):
        value = function(joint, product)
        assert value.dtype == dtype and value.shape == (), function
        assert close(value, function(*exact[:2]), 1e3 * torch.finfo(dtype).eps)
    for eta in (0.5, torch.tensor(0.5), torch.tensor(0.5, dtype=torch.float64)):
        value = eta_dv(joint, product, eta)
        assert value.dtype == dtype
        assert close(value, eta_dv(*exact[:2], 0.5), 1e3 * torch.finfo(dtype).eps)
    value = a_dv(joint, product, eta_joint, eta_product)
    assert value.dtype == dtype
    assert close(value, a_dv(*exact), 1e3 * torch.finfo(dtype).eps)
    log_ema = update_log_ema(torch.tensor(torch.nan, dtype=dtype), product, 0.1)
    assert log_ema.dtype == dtype and dv_loss(joint, product, log_ema).dtype == dtype
    assert split_matrix(product[:9])[1].dtype == dtype


# ------------------------------------------------------------------------ gradients


def away_from_the_clip(generator):
    joint = torch.randn(4, generator=generator, dtype=torch.float64)
    product = torch.linspace(-7.3, 7.9, 12, dtype=torch.float64).view(4, 3)
    assert (product.abs() - 5).abs().min() > 0.1 and (product.abs() > 5).any()
    return joint, product


@pytest.mark.parametrize("function", [dv, nwj, eta_dv, infonce, jsd, smile])
def test_gradcheck(function):
    scores = away_from_the_clip(torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(function, [s.requires_grad_() for s in scores])


def test_gradcheck_with_eta():
    generator = torch.Generator().manual_seed(0)
    joint, product = away_from_the_clip(generator)
    eta = torch.tensor(0.3, dtype=torch.float64)
    inputs = [t.requires_grad_() for t in (joint, product, eta)]
    assert torch.autograd.gradcheck(eta_dv, inputs)
    etas = [
        torch.randn(t.shape, generator=generator, dtype=torch.float64) for t in (joint, product)
    ]
    assert torch.autograd.gradcheck(a_dv, inputs[:2] + [t.requires_grad_() for t in etas])


def gradients(value, *inputs):
    return torch.autograd.grad(value, inputs)


def test_gradient_of_dv_is_uniform_and_softmax():
    joint, product = (t.requires_grad_() for t in away_from_the_clip(torch.Generator()))
    by_joint, by_product = gradients(dv(joint, product), joint, product)
    assert torch.allclose(by_joint, torch.full_like(joint, 1 / 4))
    assert torch.allclose(by_product, -product.flatten().softmax(0).view_as(product))


def random_batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    joint = torch.randn(6, generator=generator, dtype=torch.float64)
    product = 2 * torch.randn(6, 4, generator=generator, dtype=torch.float64)
    return joint.requires_grad_(), product.requires_grad_()


@pytest.mark.parametrize("log_ema", [-1.3, 0.0, 2.5])
def test_dv_loss_has_the_value_of_dv_and_the_gradient_of_mine(log_ema):
    joint, product = random_batch()
    ema = torch.tensor(log_ema, dtype=torch.float64, requires_grad=True)
    loss = dv_loss(joint, product, ema)
    assert close(loss, -dv(joint, product))
    # E_B[e^T grad T] / exp(log_ema): the exponential divided by a constant.
    explicit = -(joint.mean() - product.exp().mean() / math.exp(log_ema))
    actual = torch.autograd.grad(loss, (joint, product, ema), allow_unused=True)
    assert actual[2] is None, "the moving average is a constant"
    for a, b in zip(actual, gradients(explicit, joint, product), strict=False):
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-15)


def test_dv_loss_with_the_batch_mean_has_the_plain_gradient():
    joint, product = random_batch()
    own = log_mean_exp(product.detach())
    corrected = gradients(dv_loss(joint, product, own), joint, product)
    plain = gradients(-dv(joint, product), joint, product)
    for a, b in zip(corrected, plain, strict=True):
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-15)
    # The correction rescales the gradient of the product term by the ratio of the two means.
    other = gradients(dv_loss(joint, product, own + 0.5), joint, product)
    assert torch.allclose(other[1], plain[1] * math.exp(-0.5))


def test_moving_average_removes_the_bias_of_small_batches():
    """Over all batches of one exact table, the corrected gradient is that of the population.

    The plain gradient, a mean of ratios, is not.
    """
    population = torch.tensor([-2.0, 0.0, 3.0], dtype=torch.float64)
    log_mean = log_mean_exp(population)
    critic = population.clone().requires_grad_()
    joint = torch.zeros(1, dtype=torch.float64)
    (target,) = gradients(-dv(joint, critic), critic)

    def mean_over_batches(loss):
        batches = list(itertools.product(range(3), repeat=2))
        total = sum(loss(critic[list(batch)]) for batch in batches)
        return gradients(total / len(batches), critic)[0]

    corrected = mean_over_batches(lambda product: dv_loss(joint, product, log_mean))
    plain = mean_over_batches(lambda product: -dv(joint, product))
    assert torch.allclose(corrected, target)
    assert (plain - target).abs().max() > 0.05


@pytest.mark.parametrize("rate", [0.01, 0.3, 1.0])
def test_update_log_ema_is_the_average_in_linear_space(rate):
    generator = torch.Generator().manual_seed(0)
    log_ema, linear = torch.tensor(torch.nan, dtype=torch.float64), None
    for _ in range(12):
        product = torch.randn(5, 2, generator=generator, dtype=torch.float64, requires_grad=True)
        log_ema = update_log_ema(log_ema, product, rate)
        mean = float(product.detach().exp().mean())
        linear = mean if linear is None else (1 - rate) * linear + rate * mean
        assert close(log_ema.exp(), linear, 1e-12)
        assert not log_ema.requires_grad
    if rate == 1:
        assert close(log_ema, log_mean_exp(product), 1e-14)


@pytest.mark.parametrize("dtype", FLOATS)
def test_update_log_ema_does_not_overflow(dtype):
    product = torch.full((4,), 1e4, dtype=dtype)
    started = update_log_ema(torch.tensor(torch.nan, dtype=dtype), product, 0.1)
    assert started == 1e4
    # From nothing, the new batch counts with its rate.
    later = update_log_ema(torch.tensor(-1e4, dtype=dtype), product, 0.1)
    assert close(later, 1e4 + math.log(0.1), 1e-6)
    assert close(update_log_ema(started, -product, 0.1), 1e4 + math.log(0.9), 1e-6)


@pytest.mark.parametrize("score", [20.123, 80.0])
def test_dv_loss_has_the_value_of_dv_far_above_the_moving_average(score):
    joint, product = torch.zeros(10), torch.full((10,), score)
    assert close(dv_loss(joint, product, torch.tensor(0.0)), -dv(joint, product), 1e-4)


def test_smile_loss_has_the_value_of_smile_and_the_gradient_of_jsd():
    joint, product = (
        t.requires_grad_() for t in away_from_the_clip(torch.Generator().manual_seed(2))
    )
    loss = smile_loss(joint, product)
    assert close(loss, -smile(joint, product))
    by_joint, by_product = gradients(loss, joint, product)
    # d/dt log sigmoid(t) = sigmoid(-t); d/dt log sigmoid(-t) = -sigmoid(t).
    assert torch.allclose(by_joint, -(-joint).sigmoid() / joint.numel())
    assert torch.allclose(by_product, product.sigmoid() / product.numel())


# ------------------------------------------------------------------- metric learning


def test_k_pair_loss_is_its_formula():
    # Sohn 2016, eq. 7, with one encoder and inner products, written out with loops
    generator = torch.Generator().manual_seed(3)
    first, second = torch.randn(2, 6, 3, generator=generator, dtype=torch.float64)
    terms = []
    for i in range(6):
        others = [(first[i] @ second[j] - first[i] @ second[i]).exp() for j in range(6) if j != i]
        terms.append(torch.log(1 + torch.stack(others).sum()))
    assert close(k_pair(*split_matrix(first @ second.T)), -torch.stack(terms).mean())


@given(pair=pairs_of_scores(200.0))
@random_cases
def test_k_pair_is_infonce_up_to_a_constant(pair):
    joint, product = (scores.clone().requires_grad_() for scores in pair)
    losses = infonce(joint, product), k_pair(joint, product)
    n_candidates = product.shape[1] + 1
    assert close(losses[0] - losses[1], math.log(n_candidates), tol=1e-8)  # softplus(t > 20) is t
    for one, other in zip(*(gradients(loss, joint, product) for loss in losses), strict=True):
        assert torch.allclose(one, other, atol=1e-8)


# ------------------------------------------------------------------------- registry


def test_registry_names():
    f_divergences = {"nwj", "jsd", "reverse-kl", "pearson", "hellinger"}
    others = {"dv", "eta-dv", "a-dv", "infonce", "k-pair", "smile"}
    assert set(BOUNDS) == others | f_divergences
    for name, bound in BOUNDS.items():
        assert get_bound(name) is bound and bound.name == name


@pytest.mark.parametrize("name", ["mine", "", None, ["dv"]])
def test_unknown_bound_lists_the_names(name):
    with pytest.raises(ValueError, match="Unknown bound") as error:
        get_bound(name)
    assert all(repr(known) in str(error.value) for known in BOUNDS)


def test_registered_losses_descend_the_value():
    joint, product = random_batch(5)
    for bound in BOUNDS.values():
        if bound.loss is dv_loss:
            assert close(dv_loss(joint, product, torch.tensor(0.2)), -bound.value(joint, product))
        elif bound.loss is not None:
            assert close(bound.loss(joint, product), -bound.value(joint, product))


def test_only_a_missing_constant_needs_a_normalizer():
    needing = {name for name, bound in BOUNDS.items() if bound.needs_normalizer}
    assert needing == {"dv", "jsd", "reverse-kl", "pearson", "hellinger"}
