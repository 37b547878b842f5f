"""How often 95 % intervals hold the truth, family by family.

    python tests/benchmarks/bench_intervals.py [draws of each family] [first seed]

Draws alternate between 500, 1000 and 3000 rows; folds of joblib's workers run on both cores.
"""

import sys
from functools import partial

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from skmi import datasets, mutual_info

SIZES = (500, 1000, 3000)


def spiral(n_samples, random_state):
    X, Y, mi = datasets.make_sparse_gaussian(
        n_samples, n_features_x=3, n_interacting=2, correlation=0.6, random_state=random_state
    )
    return datasets.spiral(X), datasets.spiral(Y, plane=(1, 2)), mi


def swiss_roll(n_samples, random_state):
    X, Y, mi = datasets.make_sparse_gaussian(
        n_samples, n_features_x=1, correlation=0.75, random_state=random_state
    )
    return datasets.swiss_roll(datasets.normal_cdf(X)), Y, mi


FAMILIES = {
    "Gaussian, dense 3x3": partial(datasets.make_dense_gaussian, n_features_x=3),
    "Gaussian, sparse 10x10": partial(
        datasets.make_sparse_gaussian, n_features_x=10, n_interacting=2, correlation=0.7
    ),
    "Student 2x2, df 2": partial(datasets.make_student, df=2, n_features_x=2, dispersion=np.eye(4)),
    "Student 3x3, df 1": partial(datasets.make_student, df=1, n_features_x=3, dispersion=np.eye(6)),
    "additive noise 0.5": partial(datasets.make_additive_noise, epsilon=0.5),
    "mixture, cross": datasets.make_gaussian_mixture,
    "Gaussian classes": datasets.make_gaussian_classes,
    "swiss roll": swiss_roll,
    "spiral 3x3": spiral,
}


def draw(family: str, seed: int) -> dict:
    n_samples = SIZES[seed % len(SIZES)]
    X, Y, mi = FAMILIES[family](n_samples, random_state=seed)
    result = mutual_info(X, Y, random_state=seed)
    low, high = result.confidence_interval()
    return {
        "family": family,
        "truth": mi,
        "error": result.estimate - mi,
        "width": high - low,
        "covered": low <= mi <= high,
        "held_out_below_truth": result.lower_bound - 2 * result.stderr <= mi,
    }


def main(n_draws=30, first_seed=0):
    jobs = [(f, s) for f in FAMILIES for s in range(first_seed, first_seed + n_draws)]
    rows = pd.DataFrame(Parallel(n_jobs=-1)(delayed(draw)(*job) for job in jobs))
    table = rows.groupby("family", sort=False).mean()
    print(table.assign(draws=rows.groupby("family").size()).round(3).to_string())
    print(f"\nall: {rows['covered'].mean():.1%} of {len(rows)} intervals hold the truth")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
