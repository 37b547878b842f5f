"""`KernelEtaDV` beside a general convex solver, its time, memory and accuracy.

    python tests/benchmarks/bench_kernel.py [solver | scale | accuracy]

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
from skmi.datasets import make_dense_gaussian, make_gaussian, make_sparse_gaussian

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
    samples = [np.hstack(blocks) for blocks in estimator._draw([[X, Y]])]
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
    P, Q = estimator._draw([estimator._transform_margins([X, Y])])
    pool = [np.concatenate(blocks) for blocks in zip(P, Q, strict=True)]
    values, vectors = np.linalg.eigh(estimator._kernel(pool, pool))
    features = vectors * np.sqrt(values.clip(min=0))
    features = features[:, values > 1e-13 * values[-1]]
    n_p = len(P[0])
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


def accuracy(n_samples=5000):
    """Gaussians in 2 to 5 dimensions, the strength chosen by cross-validation."""
    rows = []
    for n_x, n_y in [(1, 1), (2, 1), (2, 2), (3, 2)]:
        for seed in range(3):
            rng = np.random.default_rng(seed)
            X, Y, mi = make_gaussian(
                n_samples,
                covariance=random_covariance(rng, n_x + n_y),
                n_features_x=n_x,
                random_state=seed,
            )
            start = time.perf_counter()
            chosen = KernelEtaDV(random_state=seed).fit(X, Y)
            seconds = time.perf_counter() - start
            options = {"lambda_": chosen.lambda_best_, "random_state": seed}
            without_eta = KernelEtaDV(normalize=False, **options).fit(X, Y)
            rows.append(
                {
                    "dimensions": n_x + n_y,
                    "seed": seed,
                    "truth": mi,
                    "eta-DV": chosen.mi_ - mi,
                    "f-div": without_eta.mi_ - mi,
                    "held out, chosen": max(r["value"] for r in chosen.path_) - mi,
                    "lambda": chosen.lambda_best_,
                    "seconds": seconds,
                }
            )
    X, Y, mi = make_sparse_gaussian(n_samples, n_features_x=2, correlation=0.7, random_state=0)
    print(pd.DataFrame(rows).round(4).to_string(index=False))
    print("\nequal lambda, 2 + 2 dimensions, truth", round(mi, 3))
    for penalty in (0.1, 0.03, 0.01, 0.003, 0.001):
        values = [
            KernelEtaDV(lambda_=penalty, normalize=normalize, random_state=0).fit(X, Y).mi_
            for normalize in (True, False)
        ]
        print(f"lambda {penalty:<6} eta-DV {values[0] - mi:+.4f}  f-div {values[1] - mi:+.4f}")


if __name__ == "__main__":
    for part in sys.argv[1:] or ("solver", "scale", "accuracy"):
        print(f"\n{part}\n")
        {"solver": solver, "scale": scale, "accuracy": accuracy}[part]()
