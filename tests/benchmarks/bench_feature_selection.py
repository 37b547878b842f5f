"""`mutual_info_neural` beside scikit-learn's scores: accuracy, speed, memory; the selector.

    python tests/benchmarks/bench_feature_selection.py [accuracy | speed | long | memory | select]

The features of known information are noisy functions of one target, each with its own strength.
"""

import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from scipy.stats import norm, spearmanr, t
from sklearn.feature_selection import mutual_info_regression

from skmi import MINEEstimator
from skmi.feature_selection import MutualInfoSelector, mutual_info_neural


def noisy_function(y, function, noise, rng):
    """A feature ``function(y) + noise``, and its information by numerical integration."""
    grid = norm.ppf((np.arange(4000) + 0.5) / 4000)
    values = np.sort(function(grid))

    def density(x):
        return np.exp(-0.5 * ((x - values) / noise) ** 2).mean() / (noise * np.sqrt(2 * np.pi))

    low, high = values[0] - 8 * noise, values[-1] + 8 * noise
    points = np.linspace(low, high, 2001)
    entropies = [-density(x) * np.log(max(density(x), 1e-300)) for x in points]
    information = np.trapezoid(entropies, points) - 0.5 * np.log(2 * np.pi * np.e * noise**2)
    return function(y) + noise * rng.normal(size=len(y)), max(information, 0.0)


def make_features(n_samples, n_features, seed):
    """X, y and the information of each column about y; a sixth of the columns are independent."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n_samples)
    columns, truths, discrete = [], [], []
    for j in range(n_features):
        kind = ("linear", "quadratic", "sine", "discrete", "heavy tails", "null")[j % 6]
        strength = rng.uniform(0.02, 1.0)
        if kind == "linear":
            rho = np.sqrt(1 - np.exp(-2 * strength))
            column = rho * y + np.sqrt(1 - rho**2) * rng.normal(size=n_samples)
            truth = strength
        elif kind == "heavy tails":  # a monotone map of a linear one
            rho = np.sqrt(1 - np.exp(-2 * strength))
            normal = rho * y + np.sqrt(1 - rho**2) * rng.normal(size=n_samples)
            column, truth = t.ppf(norm.cdf(normal), 1), strength
        elif kind == "quadratic":
            column, truth = noisy_function(y, np.square, np.exp(rng.uniform(-0.5, 2)), rng)
        elif kind == "sine":
            column, truth = noisy_function(
                y, lambda v: np.sin(3 * v), np.exp(rng.uniform(-1, 1.5)), rng
            )
        elif kind == "discrete":  # a noisy sign, with 2 to 4 categories
            n_categories = 2 + j // 6 % 3
            flip = rng.uniform(0.05, 0.9)
            clean = np.floor(norm.cdf(y) * n_categories)
            column = np.where(
                rng.random(n_samples) < flip, rng.integers(n_categories, size=n_samples), clean
            )
            own = 1 - flip + flip / n_categories
            other = flip / n_categories
            truth = np.log(n_categories) + own * np.log(own)
            truth += (n_categories - 1) * other * np.log(other)
        else:
            column, truth = rng.normal(size=n_samples), 0.0
        columns.append(column)
        truths.append(truth)
        discrete.append(kind == "discrete")
    return np.column_stack(columns), y, np.array(truths), np.array(discrete)


def accuracy(n_samples=10_000, n_features=200, seeds=(301, 302, 303)):
    for seed in seeds:
        print(f"seed {seed}")
        _accuracy(n_samples, n_features, seed)


def _accuracy(n_samples, n_features, seed):
    X, y, truth, discrete = make_features(n_samples, n_features, seed)
    for name, function in (
        ("skmi", lambda: mutual_info_neural(X, y, discrete_features=discrete, random_state=0)),
        (
            "scikit-learn",
            lambda: mutual_info_regression(X, y, discrete_features=discrete, random_state=0),
        ),
    ):
        start = time.perf_counter()
        scores = function()
        seconds = time.perf_counter() - start
        error = np.abs(scores - truth)
        weakest = scores[truth >= 0.05].min()
        null = scores[truth == 0]
        print(
            f"{name:13s} mean |error| {error.mean():.4f}  worst {error.max():.3f}  rank "
            f"correlation {spearmanr(scores, truth).statistic:.3f}  null above weakest "
            f"{np.mean(null > weakest):.1%}  mean of null {null.mean():.4f}  {seconds:.1f} s"
        )
        for j in np.argsort(-error)[:3]:
            print(f"    column {j % 6} truth {truth[j]:.3f} score {scores[j]:.3f}")


def speed(n_samples=10_000, n_features=1000, n_loop=20):
    """Against a loop of estimators, extrapolated, and scikit-learn on two cores."""
    X, y, *_ = make_features(n_samples, n_features, 1)
    start = time.perf_counter()
    mutual_info_neural(X, y, n_jobs=2, random_state=0)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    mutual_info_regression(X, y, n_jobs=2, random_state=0)
    theirs = time.perf_counter() - start
    start = time.perf_counter()
    for j in range(n_loop):
        MINEEstimator(random_state=0, n_jobs=2).fit(X[:, [j]], y)
    loop = (time.perf_counter() - start) * n_features / n_loop
    print(f"{n_samples} x {n_features}: skmi {ours:.1f} s, scikit-learn {theirs:.1f} s")
    print(f"a loop of MINEEstimator {loop:.0f} s: {loop / ours:.0f} times as long")


def long(n_samples=200_000, n_features=100):
    X, y, *_ = make_features(n_samples, n_features, 2)
    start = time.perf_counter()
    mutual_info_neural(X, y, n_jobs=2, random_state=0)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    mutual_info_regression(X, y, n_jobs=2, random_state=0)
    theirs = time.perf_counter() - start
    print(f"{n_samples} x {n_features}: skmi {ours:.1f} s, scikit-learn {theirs:.1f} s")
    print(f"{theirs / ours:.1f} times as fast")


def memory(n_samples=1_000_000, n_features=200):
    """Growth of the peak beyond a memory-mapped table, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/x.dat"
        rng = np.random.default_rng(0)
        X = np.memmap(path, dtype=np.float32, mode="w+", shape=(n_samples, n_features))
        for rows in np.array_split(np.arange(n_samples), 20):
            X[rows] = rng.normal(size=(len(rows), n_features))
        y = X[:, 0] + rng.normal(size=n_samples)
        X.flush()
        size = X.nbytes
        del X
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            arguments = path, n_samples, n_features, y.astype(np.float32)
            growth, seconds = pool.submit(_peak_growth, *arguments).result()
    print(
        f"{n_samples} x {n_features} in a memory map of {size / 2**20:.0f} MiB: the peak of "
        f"private memory grows by {growth / 2**20:.0f} MiB, {seconds:.1f} s"
    )


def _peak_growth(path, n_samples, n_features, y):
    """Growth of resident memory without the pages of the map, watched by a thread."""
    X = np.memmap(path, dtype=np.float32, mode="r", shape=(n_samples, n_features))
    mutual_info_neural(np.ones((100, 2)), np.arange(100.0), random_state=0)  # imports
    private = Path("/proc/self/statm")

    def usage():
        resident, shared = map(int, private.read_text().split()[1:3])
        return (resident - shared) * 4096

    start, peak, done = usage(), [0], threading.Event()

    def watch():
        while not done.wait(0.02):
            peak[0] = max(peak[0], usage())

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    mutual_info_neural(X, y, random_state=0)
    done.set()
    watcher.join()
    return peak[0] - start, time.perf_counter() - began


def select(n_samples=5_000, n_features=52):
    """The inputs of an exclusive or among distractors, and how long each criterion takes."""
    for seed in range(5):
        X = np.random.default_rng(seed).normal(size=(n_samples, n_features))
        y = (X[:, 17] > 0) ^ (X[:, 33] > 0)
        start = time.perf_counter()
        selector = MutualInfoSelector("joint", n_features_to_select=2, random_state=0).fit(X, y)
        seconds = time.perf_counter() - start
        print(f"seed {seed}: found {selector.get_support(indices=True)} in {seconds:.1f} s")
    X, y, *_ = make_features(10_000, 100, 5)
    for criterion in ("relevance", "mrmr", "jmi", "cmim", "joint"):
        selector = MutualInfoSelector(criterion, n_features_to_select=5, n_jobs=2, random_state=0)
        start = time.perf_counter()
        selector.fit(X, y)
        seconds = time.perf_counter() - start
        print(f"{criterion}: 5 of 100 features, 10,000 rows, in {seconds:.1f} s")


if __name__ == "__main__":
    parts = {f.__name__: f for f in (accuracy, speed, long, memory, select)}
    for part in sys.argv[1:] or parts:
        parts[part]()
