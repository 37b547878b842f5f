"""Adversarial models: modes over generator steps, reconstruction, and MNIST at a reduced budget.

    python tests/benchmarks/bench_generative.py gan [--seeds 5] [--jobs 2]
    python tests/benchmarks/bench_generative.py ali [--seeds 5] [--jobs 2]
    python tests/benchmarks/bench_generative.py mnist --path mnist.npz [--seeds 3] [--jobs 2]

``gan`` compares the plain GAN with MINE and eta-MINE on 25 Gaussians and on the spiral, with the
data, networks, batch and learning rate of MINE (Belghazi et al. 2018), App. 8.1.2: 100,000 rows of
standard deviation 0.05, batches of 100, Adam with 1e-4. ``ali`` compares ALI with ALI + MINE and
with both kinds of ALICE on the same 25 Gaussians, for which the paper has no settings: networks of
128 units a layer, Adam with 2e-3, a gradient penalty, and the information with a weight of 0.3,
unclipped. ``mnist`` compares them on 5,000 digits with a quarter of the channels.

``modes`` are counted of 2500 samples, by the stated radius of three standard deviations, where one
sample is enough. A uniform cloud over the square hits 21 modes so, and single hits come and go, so
that steps are counted until enough modes are ``dense``: of 25,000 samples they have within that
radius a twentieth of their due or more, three times as many as of a uniform cloud. As ``wide`` they
are counted by half the distance of neighbours, where a mode needs a fifth of its due among all.
``near`` is the part of the samples within the stated radius. The tables are medians over the seeds;
of ``steps to``, an infinite one says that half of the seeds never had so many modes.
"""

import argparse
import time
import warnings
from itertools import product

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from skmi.datasets import load_mnist, make_gaussian_grid, make_spiral
from skmi.evaluation import (
    kl_to_uniform_over_modes,
    label_preserving_accuracy,
    mode_counts,
    modes_captured,
    ms_ssim,
    reconstruction_error,
)
from skmi.generative import MIGAN, ALITransformer

N_ROWS, N_SAMPLES, N_FIRST = 100_000, 25_000, 2500
#: Steps from one report to the next.
EVERY = 100
DATA = {"grid": (make_gaussian_grid, 0.15, 1.0), "spiral": (make_spiral, 0.06, 0.1)}
#: Steps of the generator, and modes that a model should have by then.
STEPS, ENOUGH = {"grid": 5000, "spiral": 1000, "ali": 6000}, {"grid": 23, "spiral": 45}
GANS = {
    "plain": {"mi_weight": 0.0},
    "MINE": {"bound": "dv"},
    "eta-MINE": {"bound": "eta-dv"},
}
ALIS = {
    "ALI": {"mi_weight": 0.0},
    "ALI + MINE": {"bound": "dv"},
    "ALICE (L2)": {"mi_weight": 0.0, "cycle": "l2"},
    "ALICE (adversarial)": {"mi_weight": 0.0, "cycle": "adversarial"},
}
#: Of all on 25 Gaussians, unless their own options say otherwise.
SHARP = {
    "hidden_layer_sizes": (128, 128),
    "discriminator_hidden": (128, 128),
    "critic_hidden": (128, 128),
    "gradient_penalty": 0.1,
    "learning_rate": 2e-3,
    "mi_weight": 0.3,
    "adaptive_clipping": False,
}


def coverage(samples, modes, radius, wide) -> dict:
    counts = mode_counts(samples, modes, radius=radius)
    fewest = max(1, len(samples) // len(modes) // 5)
    return {
        "modes": modes_captured(samples[:N_FIRST], modes, radius=radius),
        "dense": int((counts >= len(samples) / len(modes) / 20).sum()),
        "wide": modes_captured(samples, modes, radius=wide, fewest=fewest),
        "near": float(counts.sum() / len(samples)),
        "KL": kl_to_uniform_over_modes(samples, modes, radius=wide),
    }


def train(estimator, X, n_steps, report, **labels) -> list[dict]:
    """Fit in parts, and report after each."""
    n_rows, seconds, rows = estimator.batch_size * EVERY, 0.0, []
    for part in range(1, n_steps // EVERY + 1):
        start = time.perf_counter()
        estimator.partial_fit(X[np.random.default_rng(part).permutation(len(X))[:n_rows]])
        seconds += time.perf_counter() - start
        row = labels | {"steps": part * EVERY, "seconds": seconds} | report()
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
        rows.append(row)
    return rows


def gan(data, name, seed, n_steps, options):
    make, radius, wide = DATA[data]
    X, _, modes = make(N_ROWS, random_state=seed)
    model = MIGAN(2, random_state=seed, **GANS[name], **options)

    def report():
        return coverage(model.sample(N_SAMPLES, random_state=0), modes, radius, wide)

    return train(model, X, n_steps, report, data=data, model=name, seed=seed)


def ali(data, name, seed, n_steps, options):
    make, radius, wide = DATA[data]
    X, _, modes = make(N_ROWS, random_state=seed)
    fresh, _, _ = make(N_FIRST, random_state=10_000 + seed)
    model = ALITransformer(2, random_state=seed, **(SHARP | ALIS[name] | options))

    def report():
        samples = model.sample(N_SAMPLES, random_state=0)
        error = reconstruction_error(fresh, model.reconstruct(fresh))
        return coverage(samples, modes, radius, wide) | {"error": error}

    return train(model, X, n_steps, report, data=data, model=name, seed=seed)


def mnist(images, name, seed):
    """Errors of held-out digits."""
    model = ALITransformer(
        32, width=16, learning_rate=5e-4, max_epochs=10, random_state=seed, **ALIS[name]
    )
    rows = np.random.default_rng(seed).permutation(60_000)[:5000]
    start = time.perf_counter()
    model.fit(images.X_train[rows])
    seconds = time.perf_counter() - start
    X, rebuilt = images.X_test[:2000] / 255.0, model.reconstruct(images.X_test[:2000]) / 255.0
    known = images.X_train[:10_000].reshape(10_000, -1) / 255.0
    probe = KNeighborsClassifier(3).fit(known, images.y_train[:10_000])
    row = {
        "model": name,
        "seed": seed,
        "error": reconstruction_error(X, rebuilt),
        "same label": label_preserving_accuracy(probe, X, rebuilt),
        "MS-SSIM": ms_ssim(X, rebuilt, data_range=1.0, n_scales=2).mean(),
        "seconds": seconds,
    }
    print(row, flush=True)
    return row


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Medians over the seeds at the last step, and of the steps that enough modes took."""
    keys = ["data", "model"]
    enough = rows[rows["dense"] >= rows["data"].map(ENOUGH)]
    first = enough.groupby([*keys, "seed"])["steps"].min()
    runs = rows.groupby([*keys, "seed"], sort=False).last()
    runs["steps to"] = first.reindex(runs.index).fillna(np.inf)
    runs["fewest"] = runs["modes"]
    how = dict.fromkeys(runs.columns, "median") | {"fewest": "min"}
    return runs.groupby(keys, sort=False).agg(how).round(3)


def one_thread(work, *arguments):
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        return work(*arguments)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["gan", "ali", "mnist"])
    parser.add_argument("--path")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--steps", type=int, help="on the grid")
    parser.add_argument("--averaging", type=float, default=0.99, help="of the weights")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--data", nargs="*", default=list(DATA), help="some of them only")
    parser.add_argument("--models", nargs="*", help="some of them only")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    steps = STEPS | ({"grid": arguments.steps, "ali": arguments.steps} if arguments.steps else {})
    options = {"averaging": arguments.averaging, "precision": arguments.precision}
    names = arguments.models or (GANS if arguments.what == "gan" else ALIS)
    if arguments.what == "gan":
        runs = product(seeds, arguments.data, names)
        tasks = [(gan, data, name, seed, steps[data], options) for seed, data, name in runs]
    elif arguments.what == "ali":
        tasks = [(ali, "grid", m, seed, steps["ali"], options) for seed in seeds for m in names]
    else:
        images = load_mnist(arguments.path)
        tasks = [(mnist, images, m, seed) for seed in seeds for m in names]
    start = time.perf_counter()
    results = Parallel(arguments.jobs)(delayed(one_thread)(*task) for task in tasks)
    if arguments.what == "mnist":
        table = pd.DataFrame(results).groupby("model", sort=False).median().drop(columns="seed")
    else:
        table = summary(pd.DataFrame([row for rows in results for row in rows]))
    print(table.round(3).to_string())
    print(f"{(time.perf_counter() - start) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
