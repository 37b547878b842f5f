"""Adversarial models on 25 Gaussians: modes over generator steps, and reconstruction.

    python tests/benchmarks/bench_generative.py gan [first seed] [seeds] [steps]
    python tests/benchmarks/bench_generative.py ali [first seed] [seeds] [steps]

The data, networks, batch and learning rate of MINE (Belghazi et al. 2018), App. 8.1.2: 100,000
rows of standard deviation 0.05, batches of 100, Adam with 1e-4. ``gan`` compares the plain GAN with
MINE and eta-MINE, on 25 Gaussians and on the spiral; ``ali`` compares ALI with ALI + MINE and with
ALICE. Modes are counted of 2500 samples, by the stated radius of three standard deviations and, in
brackets, by a wide one of half the distance of neighbours, where a mode needs at least a fifth of
its due.
"""

import sys
import time
import warnings

import numpy as np

from skmi.datasets import make_gaussian_grid, make_spiral
from skmi.evaluation import (
    kl_to_uniform_over_modes,
    mode_counts,
    modes_captured,
    reconstruction_error,
)
from skmi.generative import MIGAN, ALITransformer

N_ROWS, N_SAMPLES, N_REPORTS = 100_000, 2500, 10
DATA = {"grid": (make_gaussian_grid, 0.15, 1.0), "spiral": (make_spiral, 0.06, 0.1)}
GANS = {
    "plain": {"mi_weight": 0.0},
    "MINE": {"mi_weight": 1.0, "bound": "dv"},
    "eta-MINE": {"mi_weight": 1.0, "bound": "eta-dv"},
}
ALIS = {
    "ALI": {"mi_weight": 0.0},
    "ALI + MINE": {"mi_weight": 1.0},
    "ALICE (L2)": {"mi_weight": 0.0, "cycle": "l2"},
}


def coverage(samples, modes, radius, wide) -> str:
    counts = mode_counts(samples, modes, radius=radius)
    fewest = max(1, len(samples) // len(modes) // 5)
    return (
        f"modes {(counts > 0).sum():2d} "
        f"({modes_captured(samples, modes, radius=wide, fewest=fewest):2d}) of {len(modes)}, "
        f"near {counts.sum() / len(samples):.3f}, "
        f"KL {kl_to_uniform_over_modes(samples, modes, radius=wide):.3f}"
    )


def train(model, X, n_steps, report):
    """Fit in parts, and report after each."""
    n_rows, seconds = model.batch_size * (n_steps // N_REPORTS), 0.0
    for part in range(1, N_REPORTS + 1):
        start = time.perf_counter()
        model.partial_fit(X[np.random.default_rng(part).permutation(len(X))[:n_rows]])
        seconds += time.perf_counter() - start
        print(
            f"    step {part * n_steps // N_REPORTS:6d}  {seconds:6.1f} s  {report()}", flush=True
        )


def gan(seed, n_steps):
    for data, (make, radius, wide) in DATA.items():
        X, _, modes = make(N_ROWS, random_state=seed)
        for name, options in GANS.items():
            print(f"  {data}, {name}, seed {seed}", flush=True)
            model = MIGAN(2, random_state=seed, **options)

            def report(model=model, where=(modes, radius, wide)):
                return coverage(model.sample(N_SAMPLES, random_state=0), *where)

            train(model, X, n_steps, report)


def ali(seed, n_steps):
    make, radius, wide = DATA["grid"]
    X, _, modes = make(N_ROWS, random_state=seed)
    fresh, _, _ = make(N_SAMPLES, random_state=10_000 + seed)
    for name, options in ALIS.items():
        print(f"  grid, {name}, seed {seed}", flush=True)
        model = ALITransformer(2, random_state=seed, **options)

        def report(model=model):
            error = reconstruction_error(fresh, model.reconstruct(fresh))
            samples = model.sample(N_SAMPLES, random_state=0)
            return f"error {error:.3f}, {coverage(samples, modes, radius, wide)}"

        train(model, X, n_steps, report)


def main(what, first=0, n_seeds=5, n_steps=5000):
    for seed in range(first, first + n_seeds):
        {"gan": gan, "ali": ali}[what](seed, n_steps)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1], *map(int, sys.argv[2:]))
