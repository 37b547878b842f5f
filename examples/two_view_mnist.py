"""
Two-view InfoMax on MNIST: critics and encoders
===============================================

Figures 3 and 4 (a, b) of Tschannen et al. (2020) on the top halves of MNIST digits: three critics
under two bounds, and two encoders at matched bounds. The defaults take about ten minutes on one
core::

    python examples/two_view_mnist.py --path mnist.npz
    python examples/two_view_mnist.py --epochs 45 --target-epochs 15      # as in the paper

Without ``--path`` the images come from OpenML. A picture is written to ``two_view_mnist.png``.
"""

import argparse

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

from skmi.datasets import load_mnist
from skmi.representation import TwoViewInfoMaxTransformer


def probe(Z_train, y_train, Z_test, y_test):
    """Test accuracy of a logistic regression."""
    centre, scale = Z_train.mean(0), Z_train.std()
    model = LogisticRegression(solver="saga", tol=1e-3, max_iter=60, random_state=0)
    model.fit(((Z_train - centre) / scale).astype(np.float32), y_train)
    return model.score(((Z_test - centre) / scale).astype(np.float32), y_test)


def compare(data, settings, n_rows, n_epochs, learning_rate, precision):
    """Test bound in nats and accuracy of each setting."""
    X, y = data.X_train[:n_rows], data.y_train[:n_rows]
    common = {"max_epochs": n_epochs, "learning_rate": learning_rate, "precision": precision}
    results = {}
    for name, options in settings.items():
        infomax = TwoViewInfoMaxTransformer(random_state=0, **common, **options).fit(X)
        accuracy = probe(infomax.transform(X), y, infomax.transform(data.X_test), data.y_test)
        results[name] = infomax.evaluate(data.X_test)["information"], accuracy
        print(
            f"{name!s:22s} bound {results[name][0]:5.2f} nats  accuracy {accuracy:.4f}", flush=True
        )
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--path", help="an .npz file with the images; else from OpenML")
    parser.add_argument("--rows", type=int, default=20_000, help="training images")
    parser.add_argument("--epochs", type=int, default=10, help="of each critic")
    parser.add_argument("--target-epochs", type=int, default=12, help="of each encoder")
    parser.add_argument("--learning-rate", type=float, default=3e-4, help="1e-4 in the paper")
    parser.add_argument("--precision", default="float32", help="or bfloat16, where that is faster")
    options = parser.parse_args()
    data = load_mnist(options.path)
    halves = [
        X[:, :14].reshape(len(X), -1) / 255 for X in (data.X_train[: options.rows], data.X_test)
    ]
    pixels = probe(halves[0], data.y_train[: options.rows], halves[1], data.y_test)
    print(f"pixels accuracy {pixels:.4f}")
    critics = {
        f"{critic}, {bound}": {"critic": critic, "bound": bound}
        for bound in ("infonce", "nwj")
        for critic in ("bilinear", "separable", "concat")
    }
    encoders = {
        f"{encoder}, t = {target:g}": {"encoder": encoder, "target": target}
        for target in (2.0, 4.0)
        for encoder in ("mlp", "convnet")
    }
    rows, rate, precision = options.rows, options.learning_rate, options.precision
    panels = {
        "Critics": compare(data, critics, rows, options.epochs, rate, precision),
        "Encoders at matched bounds": compare(
            data, encoders, rows, options.target_epochs, 3 * rate, precision
        ),
    }
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
    for axis, (title, results) in zip(axes, panels.items(), strict=True):
        for name, (bound, accuracy) in results.items():
            axis.scatter(bound, accuracy, label=name)
        axis.axhline(pixels, color="black", linestyle="--", linewidth=0.8, label="pixels")
        axis.set(title=title, xlabel="bound on test images in nats")
        axis.legend(fontsize=8)
    axes[0].set_ylabel("accuracy of a linear classifier")
    figure.savefig("two_view_mnist.png", dpi=150)
