"""
Stacked MNIST: a thousand modes
===============================

Three digits in the channels of one image make 1000 modes (MINE [1]_, Table 1). A classifier of
single digits tells which modes the samples of a GAN hit, and how unevenly. At a reduced budget, at
which samples do not look like digits yet, and at the published one, for a GPU::

    python examples/stacked_mnist.py --path mnist.npz
    python examples/stacked_mnist.py --path mnist.npz --paper

.. [1] M. I. Belghazi et al., "Mutual information neural estimation", ICML 2018.
"""

import argparse
import time

from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skmi.datasets import load_mnist, stack_images
from skmi.evaluation import kl_to_uniform_over_modes, modes_captured
from skmi.generative import MIGAN

MODELS = {
    "DCGAN": {"mi_weight": 0.0},
    "DCGAN + MINE": {"bound": "dv"},
    "DCGAN + eta-MINE": {"bound": "eta-dv"},
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--path", help="mnist.npz")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--paper", action="store_true", help="the published sizes")
    arguments = parser.parse_args()
    if arguments.paper:
        arguments.rows, arguments.epochs = 128_000, 50
        arguments.width, arguments.samples = 64, 26_000
        arguments.learning_rate = 2e-4

    mnist = load_mnist(arguments.path)
    X, _ = stack_images(mnist.X_train, mnist.y_train, arguments.rows, random_state=arguments.seed)
    classifier = make_pipeline(
        FunctionTransformer(lambda rows: rows / 255.0),
        MLPClassifier((128,), early_stopping=True, random_state=0),
    ).fit(mnist.X_train[:20_000].reshape(-1, 784), mnist.y_train[:20_000])
    real, _ = stack_images(mnist.X_test, mnist.y_test, arguments.samples, random_state=1)
    print(f"{'data':18s} {modes_captured(real, classifier):4d} modes, ", end="")
    print(f"KL {kl_to_uniform_over_modes(real, classifier):.2f}")
    for name in arguments.models:
        start = time.perf_counter()
        gan = MIGAN(
            100,
            prior="uniform",
            width=arguments.width,
            learning_rate=arguments.learning_rate,
            max_epochs=arguments.epochs,
            random_state=arguments.seed,
            **MODELS[name],
        ).fit(X)
        samples = gan.sample(arguments.samples, random_state=0)
        modes = modes_captured(samples, classifier)
        divergence = kl_to_uniform_over_modes(samples, classifier)
        seconds = time.perf_counter() - start
        print(f"{name:18s} {modes:4d} modes, KL {divergence:.2f}, {seconds:.0f} s", flush=True)
