"""Error and seconds of the default estimators on correlated Gaussians, 10,000 pairs, one core.

Run with ``python tests/benchmarks/bench_gaussians.py [first_seed] [n_seeds]``.
"""

import sys
import time

import numpy as np
import torch

from skmi import EtaDVEstimator, MINEEstimator

CASES = [(2, 0.0, 0.05), (2, 0.5, 0.05), (2, 0.9, 0.05), (20, 0.5, 0.15)]


def main(first_seed=0, n_seeds=5):
    torch.set_num_threads(1)
    print(
        f"{'estimator':16}{'dims':>5}{'rho':>5}{'truth':>8}{'mean error':>12}{'worst':>8}{'s':>7}"
    )
    for estimator in (MINEEstimator, EtaDVEstimator):
        for n_features, rho, tolerance in CASES:
            truth = -0.5 * n_features * np.log(1 - rho**2)
            errors, seconds = [], []
            for seed in range(first_seed, first_seed + n_seeds):
                rng = np.random.default_rng(seed)
                X = rng.normal(size=(10_000, n_features))
                Y = rho * X + np.sqrt(1 - rho**2) * rng.normal(size=X.shape)
                start = time.perf_counter()
                errors.append(estimator(random_state=seed).fit(X, Y).mi_ - truth)
                seconds.append(time.perf_counter() - start)
            worst = max(errors, key=abs)
            print(
                f"{estimator.__name__:16}{n_features:5d}{rho:5.1f}{truth:8.3f}"
                f"{np.mean(errors):+12.3f}{worst:+8.3f}{np.median(seconds):7.1f}"
                + ("" if abs(worst) <= tolerance else f"   beyond {tolerance}"),
                flush=True,
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
