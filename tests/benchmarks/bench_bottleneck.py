"""The information bottleneck on permutation-invariant MNIST, at a reduced budget (MINE, Table 3).

    python tests/benchmarks/bench_bottleneck.py mnist.npz [--seeds 3] [--rows 5000] [--epochs 30]
        [--hidden 256] [--components 64] [--jobs 2] [--paper]
    python tests/benchmarks/bench_bottleneck.py digits [--seeds 5] [--first 0]

Test errors in per cent, on the 10,000 test images, of the net without noise and information, of the
three noisy encoders with a critic, of the variational bottleneck, and of each kind of noise alone
(``beta=0``), with nets, rows and epochs the same. Then I(X; Z) over beta. The rows are of the first
50,000 training images; betas were chosen on the last 10,000 (``--validation``), with other seeds.
``--paper`` takes the published sizes: 60,000 rows, 200 epochs, 784-1024-1024-256, learning rates
1e-4, and beta 1e-3; for a GPU.

``digits`` compares the defaults, on ``load_digits``, 40 % of it held out, with MLPClassifiers of as
many units a layer, on the same splits.
"""

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

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
    "MINE, additive": {"encoder_noise": "additive", "beta": 1e-3},
}
#: On the digits, with all else as by default.
DIGITS = {
    "default": {},
    "additive": {"encoder_noise": "additive"},
    "propagated": {"encoder_noise": "propagated"},
    "vib": {"bound": "vib"},
}
#: Of models that have none of their own; chosen on validation images.
BETA = 1e-2
BETAS = [1e-2, 1e-1, 0.5, 2.0]


def read_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", help="of the images of MNIST; or digits")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--components", type=int, default=64)
    parser.add_argument("--beta", type=float, help="of all models")
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--digits", nargs="*", default=list(DIGITS), help="models on the digits")
    parser.add_argument("--plane", nargs="*", default=["VIB", "MINE, Gaussian", "MINE, additive"])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--validation", action="store_true", help="errors of validation images")
    parser.add_argument("--paper", action="store_true")
    return parser.parse_args(arguments)


def measure(mnist, arguments, name, seed, **changes) -> dict:
    options = {
        "hidden_layer_sizes": (arguments.hidden,) * 2,
        "n_components": arguments.components,
        "max_epochs": arguments.epochs,
        "image_shape": (28, 28),  # one scale for all pixels
        "encoder": "mlp",
        "beta": BETA,
    }
    n_rows, n_all = arguments.rows, 50_000
    if arguments.paper:
        n_rows = n_all = 60_000
        options |= {"hidden_layer_sizes": (1024, 1024), "n_components": 256, "max_epochs": 200}
        options |= {"learning_rate": 1e-4, "critic_learning_rate": 1e-4}
        options |= {"betas": (0.5, 0.999), "averaging": 0.999}
        options |= {"critic_hidden": (512, 512), "critic_noise": (0.3, 0.5), "n_critic": 1}
        options |= {"beta": 1e-3}
    X, y = mnist.X_train.reshape(-1, 784), mnist.y_train
    X_test, y_test = mnist.X_test.reshape(-1, 784), mnist.y_test
    if arguments.validation:
        X_test, y_test = X[50_000:], y[50_000:]
    rows = np.random.default_rng(seed).permutation(n_all)[:n_rows]
    given = {} if arguments.beta is None else {"beta": arguments.beta}
    options |= MODELS[name] | given | changes
    model = InformationBottleneckClassifier(**options, random_state=seed)
    start = time.perf_counter()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X[rows], y[rows])
    result = {
        "model": name,
        "beta": model.beta,
        "seed": seed,
        "error": 100 * (1 - model.score(X_test, y_test)),
        "I(X;Z)": model.compression_,
        "seconds": time.perf_counter() - start,
    }
    print(result, flush=True)
    return result


def compare_on_digits(seed, names) -> dict:
    """Accuracies on one split, of nets of 64-256-256-32-10 units."""
    X, y = load_digits(return_X_y=True)
    parts = train_test_split(X, y, test_size=0.4, random_state=seed, stratify=y)
    X_train, X_test, y_train, y_test = parts
    perceptron = MLPClassifier((256, 256, 32), max_iter=300, random_state=seed)
    models = {
        "MLPClassifier": perceptron,
        "MLPClassifier, scaled": make_pipeline(StandardScaler(), perceptron),
    }
    for name in names:
        models[name] = InformationBottleneckClassifier(**DIGITS[name], random_state=seed)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = {
            n: model.fit(X_train, y_train).score(X_test, y_test) for n, model in models.items()
        }
    print(seed, {name: round(score, 4) for name, score in scores.items()}, flush=True)
    return scores


def main(arguments):
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    if arguments.path == "digits":
        rows = Parallel(arguments.jobs)(
            delayed(compare_on_digits)(seed, arguments.digits) for seed in seeds
        )
        table = pd.DataFrame(rows, index=pd.Index(seeds, name="split")).T
        print(table.assign(mean=table.mean(axis=1)).round(4).to_string())
        return
    mnist = load_mnist(arguments.path)
    errors = [(name, seed, {}) for seed in seeds for name in arguments.models]
    plane = [(name, arguments.first, {"beta": beta}) for name in arguments.plane for beta in BETAS]
    results = Parallel(arguments.jobs)(
        delayed(measure)(mnist, arguments, name, seed, **changes)
        for name, seed, changes in errors + plane
    )
    if errors:
        columns = pd.DataFrame(results[: len(errors)]).groupby("model", sort=False)
        table = columns[["error", "I(X;Z)", "seconds"]].mean()
        table = table.assign(sd=columns["error"].std(), paper=pd.Series(PAPER))
        print(table.round(2).to_string())
    if plane:
        table = pd.DataFrame(results[len(errors) :])
        print(table.pivot(index="beta", columns="model", values=["I(X;Z)", "error"]).round(2))


if __name__ == "__main__":
    main(read_arguments())
