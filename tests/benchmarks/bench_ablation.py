"""What each part of the default estimator is worth: one part changed at a time.

    python tests/benchmarks/bench_ablation.py [seed] [number of rows]

Run on a dozen tasks of every family, at 10,000 rows; the errors are those of `estimate`.
"""

import sys
import time

import pandas as pd
from joblib import Parallel, delayed

from skmi import MINEEstimator, mutual_info
from skmi.datasets import bmi_tasks, held_out_tasks

VARIANTS = {
    "default": {},
    "concat critic": {"critic": "concat"},
    "separable critic": {"critic": "separable"},
    "no Gaussian term": {"gaussian_term": False},
    "no averaged weights": {"averaging": 0.0},
    "standardised margins": {"margins": "standardize"},
    "five folds": {"cv": 5},
    "wider (128, 128)": {"hidden_layer_sizes": (128, 128)},
    "16 negatives": {"n_negatives": 16},
    "bound: nwj": {"bound": "nwj"},
    "bound: jsd": {"bound": "jsd"},
    "bound: infonce": {"bound": "infonce"},
    "bound: smile": {"bound": "smile"},
}
TASKS = [
    "1v1-additive-0.1",
    "multinormal-dense-50-50-0.5",
    "multinormal-sparse-25-25-2-2.0",
    "spiral-multinormal-sparse-3-3-2-2.0",
    "spiral-multinormal-sparse-25-25-2-2.0",
    "student-identity-2-2-1",
    "student-identity-5-5-2",
    "swissroll_x-normal_cdf-1v1-normal-0.75",
    "sparse-20-20-0.5",
    "mixture-clusters-2-2",
    "student-identity-4-4-1",
    "images-2-0.8",
]


def measure(variant: str, name: str, seed: int, n_samples: int) -> dict:
    X, Y, mi = dict(bmi_tasks() + held_out_tasks())[name](n_samples, seed)
    options = {"cv": 3} | VARIANTS[variant]
    cv = options.pop("cv")
    start = time.perf_counter()
    result = mutual_info(X, Y, estimator=MINEEstimator(**options), cv=cv, random_state=seed)
    return {
        "variant": variant,
        "task": name,
        "estimate": result.estimate - mi,
        "held out": result.lower_bound - mi,
        "seconds": time.perf_counter() - start,
    }


def main(seed=0, n_samples=10_000):
    jobs = [(variant, name, seed, n_samples) for variant in VARIANTS for name in TASKS]
    rows = pd.DataFrame(Parallel(n_jobs=-1, verbose=1)(delayed(measure)(*job) for job in jobs))
    errors = rows.pivot(index="task", columns="variant", values="estimate")
    print(errors.loc[TASKS, list(VARIANTS)].T.round(3).to_string())
    absolute = rows.assign(estimate=rows["estimate"].abs(), held_out=rows["held out"].abs())
    means = absolute.groupby("variant")[["estimate", "held_out", "seconds"]].mean()
    worst = absolute.groupby("variant")["estimate"].max()
    print(means.assign(worst=worst).loc[list(VARIANTS)].round(3).to_string())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
