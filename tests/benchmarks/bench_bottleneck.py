"""The information bottleneck on permutation-invariant MNIST, at a reduced budget (MINE, Table 3).

    python tests/benchmarks/bench_bottleneck.py mnist.npz [--seeds 3] [--rows 10000]
        [--epochs 20] [--hidden 256] [--components 64] [--beta 0.001] [--paper]

Test errors in per cent, on the 10,000 test images, of the net without noise and information, of the
three noisy encoders with a critic, of the variational bottleneck, and of each kind of noise alone
(``beta=0``), with nets, rows and epochs the same. Then I(X; Z) over beta. ``--paper`` takes the
published sizes: 60,000 rows, 200 epochs, 784-1024-1024-256, learning rates 1e-4; for a GPU.
"""

import argparse
import time
import warnings

import numpy as np
import pandas as pd

from skmi import InformationBottleneckClassifier
from skmi.datasets import load_mnist

PAPER = {"Baseline": 1.38, "VIB": 1.13, "MINE, Gaussian": 1.11}
PAPER |= {"MINE, propagated": 1.10, "MINE, additive": 1.01}
MODELS = {
    "Baseline": {"beta": 0.0, "encoder_noise": "additive", "noise_std": 1e-12},
    "Gaussian noise alone": {"beta": 0.0, "encoder_noise": "gaussian"},
    "Propagated noise alone": {"beta": 0.0, "encoder_noise": "propagated"},
    "Additive noise alone": {"beta": 0.0, "encoder_noise": "additive"},
    "VIB": {"bound": "vib"},
    "MINE, Gaussian": {"encoder_noise": "gaussian"},
    "MINE, propagated": {"encoder_noise": "propagated"},
    "MINE, additive": {"encoder_noise": "additive"},
}
BETAS = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--components", type=int, default=64)
    parser.add_argument("--critic", type=int, default=512)
    parser.add_argument("--beta", type=float, default=1e-3)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--plane", nargs="*", default=["VIB", "MINE, additive"])
    parser.add_argument("--paper", action="store_true")
    return parser.parse_args()


def main(arguments):
    options = {
        "hidden_layer_sizes": (arguments.hidden,) * 2,
        "n_components": arguments.components,
        "critic_hidden": (arguments.critic,) * 2,
        "max_epochs": arguments.epochs,
        "image_shape": (28, 28),  # one scale for all pixels
        "encoder": "mlp",
    }
    if arguments.paper:
        arguments.rows = 60_000
        options |= {"hidden_layer_sizes": (1024, 1024), "n_components": 256, "max_epochs": 200}
        options |= {"learning_rate": 1e-4, "critic_learning_rate": 1e-4}
        options |= {"betas": (0.5, 0.999), "averaging": 0.999, "critic_hidden": (512, 512)}
    mnist = load_mnist(arguments.path)
    X_test, y_test = mnist.X_test.reshape(-1, 784), mnist.y_test

    def measure(name, seed, **changes):
        rows = np.random.default_rng(seed).permutation(60_000)[: arguments.rows]
        settings = {"beta": arguments.beta} | options | MODELS[name] | changes
        start = time.perf_counter()
        model = InformationBottleneckClassifier(**settings, random_state=seed)
        model.fit(mnist.X_train[rows].reshape(-1, 784), mnist.y_train[rows])
        seconds = time.perf_counter() - start
        result = {
            "model": name,
            "beta": settings["beta"],
            "seed": seed,
            "error": 100 * (1 - model.score(X_test, y_test)),
            "I(X;Z)": model.compression_,
            "seconds": seconds,
        }
        print(result, flush=True)
        return result

    table = pd.DataFrame(
        [measure(name, seed) for seed in range(arguments.seeds) for name in arguments.models]
    )
    columns = table.groupby("model", sort=False)[["error", "I(X;Z)", "seconds"]]
    summary = columns.mean().assign(sd=columns.std()["error"], paper=pd.Series(PAPER))
    print(summary.round(2).to_string())
    plane = pd.DataFrame([measure(name, 0, beta=b) for name in arguments.plane for b in BETAS])
    if len(plane):
        print(plane.pivot(index="beta", columns="model", values=["I(X;Z)", "error"]).round(2))


if __name__ == "__main__":
    warnings.simplefilter("always")
    main(read_arguments())
