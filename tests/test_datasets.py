"""Truths against integrals, Monte Carlo and scipy's densities; samples against their laws."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import quad
from scipy.special import ndtr

from skmi.bounds import BOUNDS, split_matrix
from skmi.datasets import (
    TRANSFORMS,
    bimodal,
    bmi_tasks,
    gaussian_conditional_mutual_info,
    gaussian_mixture_mutual_info,
    gaussian_mutual_info,
    held_out_tasks,
    make_additive_noise,
    make_dense_gaussian,
    make_dependent_batches,
    make_gaussian,
    make_gaussian_chain,
    make_gaussian_classes,
    make_gaussian_mixture,
    make_gaussian_triple,
    make_images,
    make_sparse_gaussian,
    make_student,
    make_xor,
    normal_cdf,
    spiral,
    student_mutual_info,
    swiss_roll,
    wiggly,
)

BMI_TASKS, HELD_OUT_TASKS = dict(bmi_tasks()), dict(held_out_tasks())
TASKS = BMI_TASKS | HELD_OUT_TASKS
SAMPLERS = [
    make_additive_noise,
    make_dependent_batches,
    make_dense_gaussian,
    make_gaussian,
    make_gaussian_chain,
    make_gaussian_classes,
    make_gaussian_mixture,
    make_gaussian_triple,
    make_images,
    make_sparse_gaussian,
    make_student,
    make_xor,
]
MIXTURE = {
    "weights": [0.2, 0.5, 0.3],
    "means": [[0.0, 0.0, 1.0], [1.0, -1.0, 0.0], [-2.0, 1.0, 0.0]],
    "covariances": [np.eye(3), np.eye(3) / 2 + 0.25, [[2, 0.5, 0], [0.5, 1, -0.5], [0, -0.5, 1]]],
}


def random_covariance(rng, d):
    factor = rng.normal(size=(d, d + 2))
    return factor @ factor.T


def integral_on_grid(density, low=-9.0, high=9.0, n=1201):
    """I(X; Y) of a density of (x, y) on the plane."""
    t = np.linspace(low, high, n)
    step = t[1] - t[0]
    joint = density(np.stack(np.meshgrid(t, t, indexing="ij"), axis=-1))
    x, y = joint.sum(1) * step, joint.sum(0) * step
    assert joint.sum() * step**2 == pytest.approx(1, abs=1e-6)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nansum(joint * np.log(joint / np.outer(x, y))) * step**2


def gaussian_log_mixture(weights, means, covariances):
    """Logarithm of the density of a Gaussian mixture."""
    parts = [stats.multivariate_normal(m, c) for m, c in zip(means, covariances, strict=True)]
    return lambda z: np.log(sum(w * p.pdf(z) for w, p in zip(weights, parts, strict=True)))


def margin(p, x):
    """Weights, means and covariances of the first p (x) or the other coordinates of MIXTURE."""
    s = slice(p) if x else slice(p, None)
    means, covariances = np.array(MIXTURE["means"]), np.array(MIXTURE["covariances"])
    return MIXTURE["weights"], means[:, s], covariances[:, s, s]


# ------------------------------------------------------------------------- formulas


@pytest.mark.parametrize(("p", "q"), [(1, 1), (2, 3), (4, 1)])
def test_gaussian_information_by_determinants(p, q, rng):
    covariance = random_covariance(rng, p + q)
    x, y, xy = (
        np.linalg.slogdet(block)[1]
        for block in (covariance[:p, :p], covariance[p:, p:], covariance)
    )
    assert gaussian_mutual_info(covariance, p) == pytest.approx((x + y - xy) / 2, rel=1e-9)


def test_gaussian_information_by_integration():
    covariance = [[1, 0.6], [0.6, 1]]
    truth = integral_on_grid(stats.multivariate_normal([0, 0], covariance).pdf)
    assert gaussian_mutual_info(covariance, 1) == pytest.approx(truth, abs=1e-6)


def test_gaussian_information_is_invariant_and_symmetric(rng):
    covariance = random_covariance(rng, 5)
    maps = np.zeros((5, 5))
    maps[:2, :2], maps[2:, 2:] = rng.normal(size=(2, 2)), rng.normal(size=(3, 3))
    swap = [2, 3, 4, 0, 1]
    truth = gaussian_mutual_info(covariance, 2)
    assert gaussian_mutual_info(maps @ covariance @ maps.T, 2) == pytest.approx(truth)
    assert gaussian_mutual_info(covariance[np.ix_(swap, swap)], 3) == pytest.approx(truth)
    assert gaussian_mutual_info(np.diag([1.0, 2.0, 3.0]), 1) == 0


def test_conditional_information_by_the_chain_rule(rng):
    covariance = random_covariance(rng, 7)  # X: 2, Y: 3, Z: 2
    xz = [0, 1, 5, 6]
    difference = gaussian_mutual_info(covariance, 2) - gaussian_mutual_info(
        covariance[np.ix_(xz, xz)], 2
    )
    assert gaussian_conditional_mutual_info(covariance, 2, 3) == pytest.approx(difference)


@pytest.mark.parametrize(("p", "q", "df"), [(1, 1, 1), (2, 3, 1.5), (3, 3, 4)])
def test_student_information_by_entropies_and_monte_carlo(p, q, df, rng):
    dispersion = random_covariance(rng, p + q)
    laws = [
        stats.multivariate_t(shape=dispersion[s, s], df=df)
        for s in (slice(p), slice(p, None), slice(None))
    ]
    truth = student_mutual_info(dispersion, p, df)
    x, y, xy = (law.entropy() for law in laws)
    assert truth == pytest.approx(x + y - xy, abs=1e-8)
    Z = laws[2].rvs(20_000, random_state=0)
    ratios = laws[2].logpdf(Z) - laws[0].logpdf(Z[:, :p]) - laws[1].logpdf(Z[:, p:])
    assert abs(ratios.mean() - truth) < 4 * ratios.std() / np.sqrt(len(Z))


def test_student_information_of_two_cauchy_variables_and_in_the_limit():
    assert student_mutual_info(np.eye(2), 1, 1) == pytest.approx(np.log(8 * np.pi) - 3)
    covariance = [[1, 0.5], [0.5, 1]]
    limit = gaussian_mutual_info(covariance, 1)
    assert student_mutual_info(covariance, 1, 1e6) == pytest.approx(limit, abs=1e-5)


@pytest.mark.parametrize("epsilon", [0.1, 0.3, 0.5, 0.75, 2.0])
def test_additive_information_by_integration(epsilon):
    def minus_p_log_p(y):
        overlap = min(1, y + epsilon) - max(0, y - epsilon)
        density = overlap / (2 * epsilon)
        return -density * np.log(density) if density > 0 else 0

    corners = sorted([-epsilon, epsilon, 1 - epsilon, 1 + epsilon])
    entropy = sum(quad(minus_p_log_p, a, b)[0] for a, b in pairwise(corners))
    _, _, mi = make_additive_noise(1, epsilon=epsilon)
    assert mi == pytest.approx(entropy - np.log(2 * epsilon), abs=1e-7)


@pytest.mark.parametrize(
    "mixture",
    [
        ([0.5, 0.5], [[0, 0], [0, 0]], [[[1, 0.9], [0.9, 1]], [[1, -0.9], [-0.9, 1]]]),
        ([0.3, 0.7], [[-1, 0], [2, 1]], [[[1, 0.2], [0.2, 0.5]], [[0.3, 0], [0, 2]]]),
    ],
    ids=["cross", "clusters"],
)
def test_mixture_information_by_integration(mixture):
    log_density = gaussian_log_mixture(*mixture)
    truth = integral_on_grid(lambda z: np.exp(log_density(z)))
    mi, stderr = gaussian_mixture_mutual_info(*mixture, 1)
    assert 0 < stderr < 5e-4
    assert abs(mi - truth) < 5 * stderr


def test_mixture_information_of_special_mixtures(rng):
    covariance = random_covariance(rng, 4)
    mi, stderr = gaussian_mixture_mutual_info([1], np.zeros((1, 4)), [covariance], 2)
    assert abs(mi - gaussian_mutual_info(covariance, 2)) < 5 * stderr
    far = [[-99, -99], [99, 99]]  # both variables reveal the component, and nothing else
    mi, _ = gaussian_mixture_mutual_info([0.3, 0.7], far, [np.eye(2)] * 2, 1)
    assert mi == pytest.approx(stats.entropy([0.3, 0.7]), abs=1e-9)
    together = [[0, 0], [0, 5]]  # X is independent of the component
    mi, _ = gaussian_mixture_mutual_info([0.3, 0.7], together, [np.eye(2)] * 2, 1)
    assert mi == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("weights", "means", "variances"),
    [([0.5, 0.5], [-1, 1], [1, 1]), ([0.2, 0.3, 0.5], [0, 1, 1], [1, 0.25, 4])],
)
def test_information_of_labels_by_integration(weights, means, variances):
    laws = [stats.norm(m, np.sqrt(v)) for m, v in zip(means, variances, strict=True)]

    def integrand(x):
        densities = np.array([law.pdf(x) for law in laws])
        logs = np.array([law.logpdf(x) for law in laws]) - np.log(weights @ densities)
        return weights @ (densities * logs)

    columns = {"means": np.c_[means], "covariances": np.reshape(variances, (-1, 1, 1))}
    _, _, mi = make_gaussian_classes(10, weights=weights, **columns)
    assert mi == pytest.approx(quad(integrand, -15, 15, limit=200)[0], abs=5e-4)
    assert 0 < mi < stats.entropy(weights)


# -------------------------------------------------------------------------- samplers


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_return_rows_and_nats_and_follow_the_seed(sampler):
    *variables, mi = sampler(30, random_state=3)
    assert type(mi) is float and 0 <= mi < np.inf
    for values in variables:
        assert len(values) == 30 and np.isfinite(values).all()
        assert values.dtype == (np.float64 if values.ndim > 1 else np.int64)
    again, other = sampler(30, random_state=3), sampler(30, random_state=4)
    generator = np.random.RandomState(3)
    once, twice = (sampler(30, random_state=generator) for _ in range(2))
    assert again[-1] == other[-1] == mi
    for values, same, different, first, second in zip(
        variables, again, other, once, twice, strict=False
    ):
        np.testing.assert_array_equal(values, same)
        np.testing.assert_array_equal(values, first)
        assert (values != different).any() and (values != second).any()
    assert len(sampler()[0]) == 1000


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_leave_the_global_generator_alone(sampler):
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    sampler(5, random_state=0)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_gaussian_samples_have_their_covariance(rng):
    covariance = random_covariance(rng, 5)
    covariance /= np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    X, Y, mi = make_gaussian(40_000, covariance=covariance, n_features_x=2, random_state=0)
    np.testing.assert_allclose(np.cov(np.hstack([X, Y]).T), covariance, atol=0.04)
    assert (X.shape, Y.shape) == ((40_000, 2), (40_000, 3))
    assert mi == gaussian_mutual_info(covariance, 2)


def test_sparse_and_dense_correlations():
    X, Y, mi = make_sparse_gaussian(
        20_000, n_features_x=3, n_features_y=4, correlation=-0.6, n_interacting=2, random_state=0
    )
    expected = np.eye(7)
    expected[[0, 1, 3, 4], [3, 4, 0, 1]] = -0.6
    np.testing.assert_allclose(np.corrcoef(np.hstack([X, Y]).T), expected, atol=0.04)
    assert mi == pytest.approx(-np.log(1 - 0.36))
    X, Y, mi = make_dense_gaussian(20_000, n_features_x=2, correlation=0.3, random_state=0)
    expected = 0.3 + 0.7 * np.eye(4)
    np.testing.assert_allclose(np.corrcoef(np.hstack([X, Y]).T), expected, atol=0.04)
    assert mi == pytest.approx(np.log(1.3 * 0.7) - 0.5 * np.log(0.7**3 * 1.9))
    assert make_sparse_gaussian(n_features_x=3, correlation=0)[2] == 0


def test_dependent_batches():
    # each pair has the same covariance; what a batch has in common makes up half of the variance
    for independent in (False, True):
        X, Y, mi = make_dependent_batches(
            200_000, batch_size=4, independent=independent, random_state=0
        )
        rows = np.hstack([X, Y])
        np.testing.assert_allclose(np.cov(rows.T), [[2, 0.4], [0.4, 2]], atol=0.05)
        assert mi == pytest.approx(-0.5 * np.log(1 - 0.2**2))
        means = rows.reshape(-1, 4, 2).mean(1)
        expected = [[0.5, 0.1], [0.1, 0.5]] if independent else [[1.25, -0.275], [-0.275, 1.25]]
        np.testing.assert_allclose(np.cov(means.T), expected, atol=0.05)
    assert len(make_dependent_batches(10, batch_size=4, random_state=0)[0]) == 10


@pytest.mark.parametrize("name", ["infonce", "nwj"])
def test_bounds_hold_for_independent_pairs_only(name):
    # Tschannen et al. 2020, App. E, with a quadratic critic, as the log density ratio is
    bound = BOUNDS[name]

    def value(pairs, weights):
        x, y = pairs.unbind(1)
        x, y = x[:, None].expand(-1, len(x)), y.expand(len(y), -1)
        scores = torch.stack([torch.ones_like(x), x * x, x * y, y * y], dim=2) @ weights
        return bound.value_and_nats(*split_matrix(scores))[0]

    for independent in (True, False):
        X, Y, mi = make_dependent_batches(128 * 400, independent=independent, random_state=0)
        batches = torch.from_numpy(np.hstack([X, Y])).split(128)
        weights = torch.zeros(4, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.Adam([weights], lr=0.02)
        for pairs in batches[:200]:
            optimizer.zero_grad()
            (-value(pairs, weights)).backward()
            optimizer.step()
        with torch.no_grad():
            fresh = np.array([value(pairs, weights).item() for pairs in batches[200:]])
        error = fresh.std() / np.sqrt(len(fresh))
        if independent:
            assert fresh.mean() < mi + 3 * error
        else:
            assert fresh.mean() - 5 * error > 2 * mi


def test_additive_samples():
    X, Y, _ = make_additive_noise(5000, epsilon=0.3, random_state=0)
    noise = Y - X
    assert stats.kstest(X[:, 0], stats.uniform.cdf).pvalue > 1e-3
    assert stats.kstest(noise[:, 0], stats.uniform(-0.3, 0.6).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(X.T, noise.T)[0, 1]) < 0.06


@pytest.mark.parametrize("df", [1, 2.5])
def test_student_samples(df, rng):
    dispersion = random_covariance(rng, 3)
    X, Y, _ = make_student(5000, df=df, dispersion=dispersion, n_features_x=1, random_state=0)
    Z = np.hstack([X, Y])
    distances = np.einsum("ni,ni->n", Z, np.linalg.solve(dispersion, Z.T).T) / 3
    assert stats.kstest(distances, stats.f(3, df).cdf).pvalue > 1e-3
    margin = stats.t(df, scale=np.sqrt(dispersion[0, 0]))
    assert stats.kstest(X[:, 0], margin.cdf).pvalue > 1e-3


def test_density_ratios_of_samples_have_the_information_as_their_mean():
    X, Y, mi = make_gaussian_mixture(20_000, **MIXTURE, n_features_x=1, random_state=0)
    joint, x, y = (
        gaussian_log_mixture(*part)
        for part in (MIXTURE.values(), margin(1, x=True), margin(1, x=False))
    )
    ratios = joint(np.hstack([X, Y])) - x(X) - y(Y)
    assert abs(ratios.mean() - mi) < 4 * ratios.std() / np.sqrt(len(X)) + 5e-4

    X, y, mi = make_gaussian_classes(20_000, **MIXTURE, random_state=0)
    classes = [
        gaussian_log_mixture([1], [m], [c])(X)
        for m, c in zip(MIXTURE["means"], MIXTURE["covariances"], strict=True)
    ]
    ratios = np.choose(y, classes) - joint(X)
    assert abs(ratios.mean() - mi) < 4 * ratios.std() / np.sqrt(len(X)) + 5e-4
    np.testing.assert_allclose(np.bincount(y) / len(y), MIXTURE["weights"], atol=0.02)


def test_rounded_weights_are_normalized():
    thirds = MIXTURE | {"weights": [0.333333] * 3}
    X, _, mi = make_gaussian_mixture(50, **thirds, random_state=0)
    exact = MIXTURE | {"weights": [1 / 3] * 3}
    X_exact, _, mi_exact = make_gaussian_mixture(50, **exact, random_state=0)
    np.testing.assert_array_equal(X, X_exact)
    assert mi == pytest.approx(mi_exact, abs=1e-9)


def test_information_of_mixtures_is_computed_once():
    parameters = {**MIXTURE, "n_features_x": 2}
    first = gaussian_mixture_mutual_info(**parameters)
    assert gaussian_mixture_mutual_info(**parameters) is first


def test_images_give_back_their_latents():
    """Ratios of neighbouring pixels determine place and width, hence the latents."""
    side = 12
    latents = make_sparse_gaussian(500, n_features_x=3, correlation=0.7, random_state=0)
    images = make_images(500, n_latents=3, correlation=0.7, side=side, random_state=0)
    assert images[-1] == latents[-1] == pytest.approx(-1.5 * np.log(1 - 0.49))
    for image, values in zip(images[:2], latents[:2], strict=True):
        assert image.shape == (500, side, side) and image.min() >= 0 and image.max() <= 1
        log_profiles = [np.log(image.sum(axis)) for axis in (1, 2)]
        peaks = [np.clip(profile.argmax(1), 1, side - 2) for profile in log_profiles]
        found = []
        for profile, peak in zip(log_profiles, peaks, strict=True):
            rows = np.arange(500)
            left, middle, right = (profile[rows, peak + k] for k in (-1, 0, 1))
            curvature = left - 2 * middle + right
            center = peak - (right - left) / (2 * curvature)
            found.append((center - (side - 1) / 2) * 2 / side + 0.5)
        found.append(16 * np.sqrt(-1 / curvature) / side - 1)
        np.testing.assert_allclose(np.transpose(found), ndtr(values), atol=1e-9)


def test_images_of_fewer_latents():
    one, _, mi = make_images(20, n_latents=1, random_state=0)
    two, _, mi_of_two = make_images(20, n_latents=2, random_state=0)
    assert mi_of_two == pytest.approx(2 * mi)
    np.testing.assert_allclose(one, one[:, ::-1])  # the row stays in the middle
    assert not np.allclose(two, two[:, ::-1])


def test_three_variables():
    X, Y, Z, cmi = make_xor(4000, random_state=0)
    assert cmi == pytest.approx(np.log(2))
    np.testing.assert_array_equal(Z, np.logical_xor(X, Y))
    for A, B in [(X, Y), (X, Z), (Y, Z)]:
        counts = np.histogram2d(A[:, 0], B[:, 0], bins=2)[0]
        assert stats.chisquare(counts.ravel()).pvalue > 1e-3

    X, Y, Z, cmi = make_gaussian_triple(40_000, random_state=0)
    expected = [[1, 0, 0.6], [0, 1, 0.6], [0.6, 0.6, 1]]
    np.testing.assert_allclose(np.cov(np.hstack([X, Y, Z]).T), expected, atol=0.03)
    partial = -0.36 / 0.64  # correlation of X and Y given Z
    assert cmi == pytest.approx(-0.5 * np.log(1 - partial**2))

    X, Y, Z, cmi = make_gaussian_chain(40_000, n_features=2, correlation=0.7, random_state=0)
    assert cmi == 0
    assert np.corrcoef(X[:, 0], Y[:, 0])[0, 1] == pytest.approx(0.49, abs=0.02)
    rest = np.corrcoef(X[:, 1] - 0.7 * Z[:, 1], Y[:, 1] - 0.7 * Z[:, 1])
    assert abs(rest[0, 1]) < 0.02


# ------------------------------------------------------------------------ transforms


@pytest.mark.parametrize("name", sorted(set(TRANSFORMS) - {"spiral", "swiss-roll"}))
def test_columnwise_transforms_increase_strictly(name):
    x = np.linspace(-4, 4, 5001)
    X = np.column_stack([x, x[::-1]])
    transformed = TRANSFORMS[name](X)
    assert (np.diff(transformed[:, 0]) > 0).all()
    np.testing.assert_array_equal(transformed[:, 0], transformed[::-1, 1])
    np.testing.assert_array_equal(X[:, 0], x)


@pytest.mark.parametrize(
    ("name", "inverse"),
    [
        ("asinh", np.sinh),
        ("half-cube", lambda y: np.sign(y) * np.abs(y) ** (2 / 3)),
        ("normal-cdf", stats.norm.ppf),
        (
            "bimodal",
            lambda y: stats.norm.ppf((stats.norm.cdf(y, -1) + stats.norm.cdf(y, 3)) / 2),
        ),
    ],
)
def test_inverses(name, inverse, rng):
    X = rng.normal(size=(500, 2))
    np.testing.assert_allclose(inverse(TRANSFORMS[name](X)), X, atol=1e-9)


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.9])
def test_bimodal_has_its_law_far_into_the_tails(weight):
    x = np.array([[-30.0], [-8], [-1], [0], [2], [8], [30]])
    t = bimodal(x, weight=weight, centers=(5, 0))
    for side in (-1, 1):  # a lower tail of side * t is an upper one of t
        tail = weight * ndtr(side * (t - 5)) + (1 - weight) * ndtr(side * t)
        rows = side * x < 0.5
        np.testing.assert_allclose(tail[rows], ndtr(side * x)[rows], rtol=1e-6)


@pytest.mark.parametrize(
    ("plane", "speed"), [((0, 1), None), ((1, 2), 0.3), ((3, 0), -1.0)], ids=str
)
def test_spiral_keeps_norms_and_has_an_inverse(plane, speed, rng):
    X = rng.normal(size=(300, 4))
    turned = spiral(X, plane=plane, speed=speed)
    rate = 1 / 4 if speed is None else speed
    others = [k for k in range(4) if k not in plane]
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), np.linalg.norm(X, axis=1))
    np.testing.assert_array_equal(turned[:, others], X[:, others])
    np.testing.assert_allclose(spiral(turned, plane=plane, speed=-rate), X, atol=1e-12)
    turns, before = (A[:, plane[0]] + 1j * A[:, plane[1]] for A in (turned, X))
    np.testing.assert_allclose(turns, before * np.exp(1j * rate * (X**2).sum(1)))


def test_swiss_roll_winds_outwards():
    u = np.linspace(0, 1, 2001)[:, None]
    rolled = swiss_roll(u)
    radius = np.linalg.norm(rolled, axis=1)
    np.testing.assert_allclose((radius * 21 / (1.5 * np.pi) - 1) / 2, u[:, 0], atol=1e-12)
    angle = np.unwrap(np.arctan2(*rolled.T[::-1]))
    assert angle[-1] - angle[0] == pytest.approx(3 * np.pi)


# ----------------------------------------------------------------------------- tasks


def truth_by_name(name):
    """The information that the name of a BMI task states, by other formulas than the package's."""
    numbers = [float(part) for part in name.split("-") if part.replace(".", "").isdigit()]
    if "additive" in name:
        return {0.1: 0.1 + np.log(5), 0.75: 1 / 3}[numbers[0]]
    if "student" in name:
        p, q, df = numbers
        x, y, xy = (
            stats.multivariate_t(shape=np.eye(int(d)), df=df).entropy() for d in (p, q, p + q)
        )
        return x + y - xy
    if "dense" in name:
        p, q, rho = numbers
        x, y, xy = ((d - 1) * np.log(1 - rho) + np.log(1 + (d - 1) * rho) for d in (p, q, p + q))
        return (x + y - xy) / 2
    if "sparse" in name:
        return -np.log(1 - 0.8**2)
    return -0.5 * np.log(1 - 0.75**2)


@pytest.mark.parametrize("name", BMI_TASKS)
def test_bmi_tasks_have_the_information_of_their_names(name):
    X, Y, mi = BMI_TASKS[name](20, random_state=0)
    assert mi == pytest.approx(truth_by_name(name), abs=1e-8)
    dimensions = [int(part) for part in name.split("-") if part.isdigit()][:2] or [1, 1]
    if "swissroll_x" in name:
        dimensions = [2, 1]
    assert [X.shape[1], Y.shape[1]] == dimensions


def test_lists_of_tasks():
    assert len(bmi_tasks()) == len(BMI_TASKS) == 40
    assert len(held_out_tasks()) == len(HELD_OUT_TASKS) == 24
    assert len(TASKS) == 64
    assert HELD_OUT_TASKS["independent-5-5-0"](10)[2] == 0
    assert HELD_OUT_TASKS["sparse-20-20-0.5"](10)[2] == pytest.approx(-10 * np.log(0.75))
    assert HELD_OUT_TASKS["images-2-0.8"](10)[2] == pytest.approx(-np.log(0.36))


@pytest.mark.parametrize("name", TASKS)
def test_tasks_return_float_matrices_and_survive_pickling(name):
    X, Y, mi = TASKS[name](40, random_state=1)
    assert X.ndim == Y.ndim == 2 and len(X) == len(Y) == 40
    assert X.dtype == Y.dtype == np.float64 and np.isfinite(X).all() and np.isfinite(Y).all()
    assert type(mi) is float and 0 <= mi < 3
    X_again, Y_again, mi_again = pickle.loads(pickle.dumps(TASKS[name]))(40, random_state=1)
    np.testing.assert_array_equal(X, X_again)
    np.testing.assert_array_equal(Y, Y_again)
    assert mi == mi_again


def test_spiral_tasks_are_undone_by_the_inverse_turns():
    X, Y, _ = BMI_TASKS["spiral-multinormal-sparse-5-5-2-2.0"](20_000, random_state=0)
    tangled = np.corrcoef(X.T, Y.T)[:5, 5:]
    X, Y = spiral(X, speed=-1 / 5), spiral(Y, plane=(1, 2), speed=-1 / 5)
    straight = np.corrcoef(X.T, Y.T)[:5, 5:]
    assert tangled[0, 0] < 0.3
    np.testing.assert_allclose(straight, np.diag([0.8, 0.8, 0, 0, 0]), atol=0.04)


def test_wiggly_task_adds_its_waves_to_the_gaussian_task():
    x, y, _ = BMI_TASKS["1v1-normal-0.75"](100, random_state=0)
    X, Y, _ = BMI_TASKS["wiggly-1v1-normal-0.75"](100, random_state=0)
    x_waves = 0.4 * np.sin(x) + 0.2 * np.sin(1.7 * x + 1) + 0.03 * np.sin(3.3 * x - 2.5)
    y_waves = 0.17 * np.sin(1.3 * y + 3.5) - 0.4 * np.sin(0.4 * y) + 0.02 * np.sin(4.3 * y - 2.5)
    np.testing.assert_allclose(X, x + x_waves)
    np.testing.assert_allclose(Y, y + y_waves)


def test_bimodal_task_has_its_margins():
    X, Y, _ = BMI_TASKS["1v1-bimodal-0.75"](5000, random_state=0)
    x_law = lambda t: 0.3 * ndtr(t) + 0.7 * ndtr(t - 5)  # noqa: E731
    y_law = lambda t: 0.5 * ndtr(t + 1) + 0.5 * ndtr(t - 3)  # noqa: E731
    assert stats.kstest(X[:, 0], x_law).pvalue > 1e-3
    assert stats.kstest(Y[:, 0], y_law).pvalue > 1e-3


# ---------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_gaussian(0), "n_samples"),
        (lambda: make_gaussian(covariance=[[1, 2], [2, 1]]), "covariance must be positive def"),
        (lambda: make_gaussian(covariance=[[1, 0.5], [0, 1]]), "symmetric"),
        (lambda: make_gaussian(covariance=[[1, np.nan], [np.nan, 1]]), "finite"),
        (lambda: make_gaussian(covariance=[1, 1]), r"covariance .* shape \(2,\)"),
        (lambda: make_gaussian(n_features_x=2), "n_features_x must .* leave"),
        (lambda: make_gaussian(random_state="a"), "random_state"),
        (lambda: make_sparse_gaussian(correlation=1), "correlation"),
        (lambda: make_sparse_gaussian(n_interacting=2), "n_interacting must not exceed"),
        (lambda: make_dense_gaussian(n_features_x=2, correlation=-0.5), "correlation must exceed"),
        (lambda: make_additive_noise(epsilon=0), "epsilon"),
        (lambda: make_student(df=-1), "df"),
        (lambda: make_student(dispersion=np.ones((2, 2))), "dispersion must be positive def"),
        (lambda: student_mutual_info(np.eye(2), 1, np.inf), "df must be positive and finite"),
        (lambda: make_gaussian_mixture(weights=[1]), r"shapes \(k,\)"),
        (lambda: make_gaussian_mixture(means=[0, 0]), r"shapes \(k,\)"),
        (lambda: make_gaussian_mixture(weights=[0.5, 0.6]), "weights must be positive and sum"),
        (lambda: make_gaussian_mixture(weights=[0, 1]), "weights must be positive"),
        (
            lambda: make_gaussian_mixture(covariances=[np.eye(2), np.ones((2, 2))]),
            r"covariances\[1\] must be positive",
        ),
        (lambda: make_gaussian_mixture(n_features_x=2), "n_features_x"),
        (lambda: make_gaussian_classes(weights=[0.5, 0.4]), "weights"),
        (lambda: make_images(n_latents=4), "n_latents"),
        (lambda: make_images(side=4), "side"),
        (lambda: make_gaussian_triple(n_features_y=2), "n_features_x and n_features_y"),
        (lambda: make_gaussian_chain(correlation=-1), "correlation"),
        (lambda: make_xor(-1), "n_samples"),
        (lambda: bimodal([[0.0]], weight=2), "weight must lie"),
        (lambda: bimodal([[0.0]], centers=(0, 1, 2)), "centers must be two"),
        (lambda: wiggly([[0.0]], waves=[(2, 1, 0)]), "waves must have sum"),
        (lambda: wiggly([[0.0]], waves=[(2, 1)]), "waves must be triples"),
        (lambda: spiral([[0.0]]), "plane must name two different columns"),
        (lambda: spiral([[0.0, 1.0]], plane=(1, 1)), "plane must name two different columns"),
        (lambda: swiss_roll([[2.0]]), r"X must be one column with values in \[0, 1\]"),
        (lambda: swiss_roll([[0.1, 0.2]]), r"X must be one column with values in \[0, 1\]"),
        (lambda: normal_cdf([0.0]), "2D array"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()
