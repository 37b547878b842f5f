"""`KernelEtaDV` beside a general convex solver, its time, memory and accuracy.

    python tests/benchmarks/bench_kernel.py [solver | scale | accuracy | fresh | normalization]

The solver is Clarabel through cvxpy, on the same problem: features, metric and target are built
here, from the samples that the estimator drew.
"""

import resource
import sys
import time

import numpy as np
import pandas as pd
from scipy.linalg import sqrtm
from sklearn.frozen import FrozenEstimator
from sklearn.kernel_approximation import RBFSampler

from skmi import KernelEtaDV
from skmi.datasets import make_dense_gaussian, make_gaussian

REGULARIZERS = ("ridge", "fisher", "sobolev")
RIDGE = 1e-3


def random_covariance(rng, n_columns):
    square = rng.normal(size=(n_columns, 2 * n_columns))
    return square @ square.T


def general_solver(A, B, metric, penalty):
    """Optimal value and seconds of the same problem, solved by Clarabel."""
    import cvxpy as cp

    w = cp.Variable(A.shape[1])
    root = np.real(sqrtm(metric))
    loss = cp.log_sum_exp(B @ w) - np.log(len(B)) - A.mean(0) @ w
    problem = cp.Problem(cp.Minimize(loss + penalty / 2 * cp.sum_squares(root @ w)))
    start = time.perf_counter()
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return problem.value, time.perf_counter() - start


def compare_feature_maps(seed, regularizer):
    """A random Gaussian with Fourier features, which have closed derivatives."""
    rng = np.random.default_rng(seed)
    n_samples = int(rng.integers(200, 501))
    covariance = random_covariance(rng, 4)
    X, Y, _ = make_gaussian(n_samples, covariance=covariance, n_features_x=2, random_state=seed)
    X, Y = X / X.std(0), Y / Y.std(0)
    sampler = RBFSampler(gamma=0.3, n_components=60, random_state=seed).fit(np.hstack([X, Y]))
    penalty = 10 ** rng.uniform(-3, 0)
    estimator = KernelEtaDV(
        feature_map=FrozenEstimator(sampler),
        regularizer=regularizer,
        ridge=RIDGE,
        lambda_=penalty,
        margins=None,
        n_shuffles=1,
        random_state=seed,
    )
    start = time.perf_counter()
    estimator.fit(X, Y)
    seconds = time.perf_counter() - start
    draw = estimator._draw([[X, Y]])
    samples = [np.hstack(blocks) for blocks in (draw.P, draw.Q)]
    A, B = (sampler.transform(sample) for sample in samples)
    metric = np.eye(60)
    if regularizer == "fisher":
        metric = RIDGE * metric + sum(F.T @ F / len(F) for F in (A, B)) / 2
    elif regularizer == "sobolev":
        frequencies = sampler.random_weights_
        phases = [sample @ frequencies + sampler.random_offset_ for sample in samples]
        sines = sum(np.sin(p).T @ np.sin(p) / len(p) for p in phases) / 2 * (2 / 60)
        metric = RIDGE * metric + sines * (frequencies.T @ frequencies)
    return estimator, seconds, *general_solver(A, B, metric, penalty)


def compare_kernel(seed, n_samples=500):
    """The exact kernel with the ridge, as an expansion over all samples."""
    rng = np.random.default_rng(seed)
    covariance = random_covariance(rng, 4)
    X, Y, _ = make_gaussian(n_samples, covariance=covariance, n_features_x=2, random_state=seed)
    penalty = 10 ** rng.uniform(-2, 0)
    estimator = KernelEtaDV(feature_map="exact", lambda_=penalty, n_shuffles=1, random_state=seed)
    start = time.perf_counter()
    estimator.fit(X, Y)
    seconds = time.perf_counter() - start
    draw = estimator._draw([estimator._transform_margins([X, Y])])
    pool = [np.concatenate(blocks) for blocks in zip(draw.P, draw.Q, strict=True)]
    values, vectors = np.linalg.eigh(estimator._kernel(pool, pool))
    features = vectors * np.sqrt(values.clip(min=0))
    features = features[:, values > 1e-13 * values[-1]]
    n_p = len(X)
    reference = general_solver(features[:n_p], features[n_p:], np.eye(features.shape[1]), penalty)
    return estimator, seconds, *reference


def solver(n_problems=10):
    """The optimum against cvxpy's, and the certificate."""
    rows = []
    for kind in (*REGULARIZERS, "exact kernel"):
        for seed in range(n_problems):
            if kind == "exact kernel":
                estimator, seconds, value, reference_seconds = compare_kernel(seed)
            else:
                estimator, seconds, value, reference_seconds = compare_feature_maps(seed, kind)
            r = estimator.dual_coef_
            halfway = (estimator.mi_ + np.mean(r * np.log(r))) / 2
            rows.append(
                {
                    "problem": kind,
                    "relative difference": abs(estimator.objective_ - value) / abs(value),
                    "gap": estimator.duality_gap_ / max(1, abs(value)),
                    "mean r - 1": abs(r.mean() - 1),
                    "identity": abs(halfway + estimator.objective_),
                    "times faster": reference_seconds / seconds,
                    "seconds": seconds,
                }
            )
    table = pd.DataFrame(rows).groupby("problem", sort=False)
    worst = table[["relative difference", "gap", "mean r - 1", "identity"]].max()
    print(worst.join(table[["times faster", "seconds"]].median()).to_string(float_format="%.2g"))


def scale():
    """Seconds and peak memory at growing sizes."""
    print(f"{'n':>8} {'features':>10} {'seconds':>8} {'MiB':>7} {'error':>7} {'gap':>9}")
    for n_samples, options in [
        (500, {"feature_map": "exact"}),
        (2000, {"feature_map": "exact"}),
        (10_000, {"feature_map": "nystroem", "n_components": 512}),
        (30_000, {"feature_map": "nystroem", "n_components": 512}),
        (100_000, {"feature_map": "nystroem", "n_components": 512}),
        (100_000, {"feature_map": "fourier", "n_components": 512}),
    ]:
        X, Y, mi = make_dense_gaussian(n_samples, n_features_x=2, random_state=0)
        penalty = 1e-3 if options["feature_map"] == "exact" else 1e-4
        start = time.perf_counter()
        estimator = KernelEtaDV(lambda_=penalty, random_state=0, **options).fit(X, Y)
        seconds = time.perf_counter() - start
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{n_samples:8d} {options['feature_map']:>10} {seconds:8.2f} {memory:7.0f} "
            f"{estimator.mi_ - mi:+7.3f} {estimator.duality_gap_:9.1e}",
            flush=True,
        )


def gaussians(first_seed=0, n_samples=5000):
    """Three random Gaussians in each of 2 to 5 dimensions: seed, truth, pairs, fresh pairs."""
    for n_x, n_y in [(1, 1), (2, 1), (2, 2), (3, 2)]:
        for seed in range(first_seed, first_seed + 3):
            covariance = random_covariance(np.random.default_rng(seed), n_x + n_y)
            options = {"covariance": covariance, "n_features_x": n_x}
            X, Y, mi = make_gaussian(n_samples, random_state=seed, **options)
            fresh = make_gaussian(20_000, random_state=seed + 10_000, **options)[:2]
            yield seed, mi, (X, Y), fresh


def accuracy(first_seed=0):
    """Gaussians in 2 to 5 dimensions, the strength chosen by cross-validation."""
    rows = []
    for seed, mi, pairs, fresh in gaussians(first_seed):
        start = time.perf_counter()
        fitted = KernelEtaDV(random_state=seed).fit(*pairs)
        seconds = time.perf_counter() - start
        rows.append(
            {
                "dimensions": sum(v.shape[1] for v in pairs),
                "seed": seed,
                "truth": mi,
                "mi_": fitted.mi_ - mi,
                "held out, chosen": max(r["value"] for r in fitted.path_) - mi,
                "fresh pairs": fitted.score(*fresh) - mi,
                "lambda": fitted.lambda_best_,
                "seconds": seconds,
            }
        )
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.4g"))
    errors = pd.DataFrame(rows)[["mi_", "held out, chosen", "fresh pairs"]].abs()
    print("\nwithin 0.05 nats:", (errors <= 0.05).sum().to_dict())


def normalization(first_seed=0):
    """eta-DV against f-div at equal strength, on the same pairs and product samples."""
    rows = []
    for _, mi, pairs, fresh in gaussians(first_seed):
        for strength in np.logspace(-1, -5, 5):
            row = {"lambda": strength}
            for name, normalize in (("eta", True), ("f", False)):
                options = {"lambda_": strength, "normalize": normalize, "random_state": 0}
                fitted = KernelEtaDV(**options).fit(*pairs)
                row[f"{name}, mi_"] = fitted.mi_ - mi
                row[f"{name}, fresh"] = fitted.score(*fresh) - mi
                row[f"{name}, optimum"] = -fitted.objective_
            rows.append(row)
    table = pd.DataFrame(rows)
    for value in ("mi_", "fresh"):
        eta, f = table[f"eta, {value}"], table[f"f, {value}"]
        table[f"gain, {value}"] = f.abs() - eta.abs()
    table["optimum higher"] = table["eta, optimum"] >= table["f, optimum"]
    table["mi_ higher"] = table["eta, mi_"] >= table["f, mi_"]
    table["mi_ low"] = table[["eta, mi_", "f, mi_"]].max(axis=1) <= 0
    table["nearer where low"] = table["mi_ low"] & (table["gain, mi_"] > 0)
    table["fresh nearer"] = table["gain, fresh"] > 0
    groups = table.groupby("lambda", sort=False)
    counts = ["optimum higher", "mi_ higher", "mi_ low", "nearer where low", "fresh nearer"]
    gains = ["gain, mi_", "gain, fresh"]
    summary = groups[["eta, mi_", "f, mi_", "eta, fresh", "f, fresh"]].mean()
    summary = summary.join(
        groups[gains]
        .agg(["mean", "sem"])
        .set_axis(["gain, mi_", "s.e.", "gain, fresh", "s.e. "], axis=1)
    ).join(groups[counts].sum())
    print(summary.T.to_string(float_format="%+.4f"))
    low = table[table["mi_ low"]]
    print(f"\nboth low: {len(low)} fits, eta-DV nearer in {int(low['nearer where low'].sum())}")


PARTS = {
    "solver": solver,
    "scale": scale,
    "accuracy": accuracy,
    "fresh": lambda: accuracy(first_seed=500),
    "normalization": normalization,
}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        print(f"\n{part}\n")
        PARTS[part]()
