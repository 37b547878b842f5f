"""Type I error and power of `independence_test`, beside the test of distance covariance.

Run with ``python tests/benchmarks/bench_independence.py {level,power} [n_draws] [n_rows]``.
Level and power are those of tests at 5 %.
"""

import sys
import time
import warnings

import numpy as np
import torch
from scipy.spatial.distance import pdist, squareform
from scipy.stats import beta

from skmi import independence_test

ALPHA = 0.05


def as_table(values):
    return values[:, None] if values.ndim == 1 else values


def distance_covariance_test(x, y, rng, n_permutations=199):
    """P-value of the permutation test of distance covariance (Szekely et al., 2007)."""

    def centred_distances(values):
        distances = squareform(pdist(as_table(values)))
        return distances - distances.mean(0) - distances.mean(1)[:, None] + distances.mean()

    a, b = centred_distances(x), centred_distances(y)
    order = [np.arange(len(x)), *(rng.permutation(len(x)) for _ in range(n_permutations))]
    values = np.array([np.vdot(a, b[np.ix_(rows, rows)]) for rows in order])
    return np.mean(values >= values[0] - 1e-9 * abs(values[0]))


# ------------------------------------------------------------------ independent variables

NULLS = {
    "normal, 1 and 1": lambda r, n: (r.normal(size=n), r.normal(size=n)),
    "normal, 5 and 2": lambda r, n: (r.normal(size=(n, 5)), r.normal(size=(n, 2))),
    "Cauchy, 1 and 3": lambda r, n: (r.standard_cauchy(n), r.standard_cauchy((n, 3))),
    "counts and Cauchy": lambda r, n: (r.poisson(1.5, n), r.standard_cauchy(n)),
    "binary and labels": lambda r, n: (r.integers(0, 2, n), r.choice(list("abcd"), n)),
    "heteroscedastic columns": lambda r, n: (
        r.normal(size=(n, 2)) * np.exp(r.normal(size=(n, 1))),
        r.exponential(size=n),
    ),
}

# -------------------------------------------------------------------- dependent variables


def uniform(r, *shape):
    return r.uniform(-1, 1, shape)


def rotation(n_columns):
    return np.linalg.qr(np.random.default_rng(1).normal(size=(n_columns, n_columns)))[0]


def of_uniform(function, noise):
    """Alternatives y = f(x) + noise for uniform x."""

    def sample(r, n):
        x = uniform(r, n)
        return x, function(x) + noise * r.normal(size=n)

    return sample


def logarithm(r, n):
    x = r.normal(size=n)
    return x, np.log(x**2) + 7 * r.normal(size=n)


def circle(r, n):
    angle = np.pi * uniform(r, n)
    return np.cos(angle) + 0.5 * r.normal(size=n), np.sin(angle) + 0.5 * r.normal(size=n)


def spiral(r, n):
    t = r.uniform(0, 5, n)
    x, y = t * np.cos(np.pi * t), t * np.sin(np.pi * t)
    return x + 0.6 * r.normal(size=n), y + 0.6 * r.normal(size=n)


def checkerboard(r, n):
    column, coin = r.integers(0, 4, n), r.integers(0, 2, n)
    x, y = column + r.uniform(size=n), 2 * coin + column % 2 + r.uniform(size=n)
    return x + 0.45 * r.normal(size=n), y + 0.45 * r.normal(size=n)


def diamond(r, n):
    a, b = uniform(r, 2, n)
    return a + b + 0.45 * r.normal(size=n), a - b + 0.45 * r.normal(size=n)


def two_parabolas(r, n):
    x = uniform(r, n)
    return x, r.choice([-1, 1], n) * (x**2 + 0.1) + 0.55 * r.normal(size=n)


def heteroscedastic(r, n):
    x = uniform(r, n)
    return x, np.exp(0.45 * x) * r.normal(size=n)


def multiplicative_noise(r, n):
    x = r.normal(size=n)
    return x, (1 + np.abs(x)) * r.normal(size=n)


def sign_of_product(r, n):
    x = r.normal(size=(n, 2))
    return x, np.sign(x[:, 0] * x[:, 1]) + 2.5 * r.normal(size=n)


def rotated_2(r, n):
    """Four independent columns, rotated: x and y are uncorrelated."""
    s = uniform(r, n, 4)
    z = np.sign(s) * np.sqrt(np.abs(s)) @ rotation(4)
    return z[:, :2], z[:, 2:]


def rotated_5(r, n):
    x = r.normal(size=(n, 5))
    return x, 0.16 * x @ rotation(5) + r.normal(size=(n, 5))


def squares_of_5(r, n):
    x = r.normal(size=(n, 5))
    return x, (x @ rotation(5))[:, :2] ** 2 + 3 * r.normal(size=(n, 2))


def common_scale_2(r, n):
    scale = np.exp(0.4 * r.normal(size=(n, 1)))
    return scale * r.normal(size=(n, 2)), scale * r.normal(size=(n, 2))


def student_5(r, n):
    scale = np.sqrt(6 / r.chisquare(6, (n, 1)))
    return scale * r.normal(size=(n, 5)), scale * r.normal(size=(n, 5))


ALTERNATIVES = {
    "linear": of_uniform(lambda x: x, 2.5),
    "quadratic": of_uniform(lambda x: x**2, 1.0),
    "W": of_uniform(lambda x: 4 * (x**2 - 0.5) ** 2, 1.2),
    "logarithm": logarithm,
    "sine, 1 period": of_uniform(lambda x: np.sin(np.pi * x), 1.8),
    "sine, 2 periods": of_uniform(lambda x: np.sin(2 * np.pi * x), 1.8),
    "sine, 4 periods": of_uniform(lambda x: np.sin(4 * np.pi * x), 1.0),
    "sine, 8 periods": of_uniform(lambda x: np.sin(8 * np.pi * x), 0.3),
    "circle": circle,
    "spiral": spiral,
    "checkerboard": checkerboard,
    "diamond": diamond,
    "two parabolas": two_parabolas,
    "heteroscedastic": heteroscedastic,
    "multiplicative noise": multiplicative_noise,
    "sign of a product": sign_of_product,
    "rotated, 2 and 2": rotated_2,
    "linear, 5 and 5": rotated_5,
    "squares, 5 and 2": squares_of_5,
    "common scale, 2 and 2": common_scale_2,
    "Student, 5 and 5": student_5,
}

# ------------------------------------------------------------------------------- reports


def rejections(sample, n_draws, n_rows, test):
    """How many of the draws a test rejects."""
    draws = ((seed, *sample(np.random.default_rng([seed, 7]), n_rows)) for seed in range(n_draws))
    return sum(test(x, y, seed) <= ALPHA for seed, x, y in draws)


def ours(x, y, seed):
    return independence_test(x, y, random_state=seed).pvalue


def distance_covariance(x, y, seed):
    return distance_covariance_test(x, y, np.random.default_rng(seed))


def level(n_draws=400, n_rows=100):
    print(f"{'null':26}{'level':>8}{'95 % interval':>16}   {n_draws} draws of {n_rows} rows")
    for name, sample in NULLS.items():
        k = rejections(sample, n_draws, n_rows, ours)
        low, high = beta.ppf([0.025, 0.975], [k, k + 1], [n_draws - k + 1, n_draws - k])
        print(f"{name:26}{k / n_draws:8.3f}{low:9.3f} {high:6.3f}", flush=True)


def power(n_draws=100, n_rows=300):
    print(f"{'alternative':26}{'skmi':>8}{'dcov':>8}{'s':>8}   {n_draws} draws of {n_rows} rows")
    total = np.zeros(2)
    for name, sample in ALTERNATIVES.items():
        start = time.perf_counter()
        mine = rejections(sample, n_draws, n_rows, ours) / n_draws
        seconds = (time.perf_counter() - start) / n_draws
        other = rejections(sample, n_draws, n_rows, distance_covariance) / n_draws
        total += mine, other
        print(f"{name:26}{mine:8.2f}{other:8.2f}{seconds:8.2f}", flush=True)
    print("{:26}{:8.3f}{:8.3f}".format("mean", *total / len(ALTERNATIVES)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    {"level": level, "power": power}[sys.argv[1]](*map(int, sys.argv[2:]))
