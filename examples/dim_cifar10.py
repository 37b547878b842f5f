"""
Deep InfoMax on CIFAR-10
========================

How well do a small network and a linear classifier tell the ten classes from representations
that were learned without labels? In the manner of Tables 1 and 4 of Hjelm et al. (2019), at a
budget that two CPU cores manage in half an hour::

    python examples/dim_cifar10.py --path cifar10.npz --coordinates --jobs 2
    python examples/dim_cifar10.py --preset paper --rows 50000 --epochs 200      # on a GPU

Without ``--path`` the images come from OpenML. With ``--coordinates`` the tasks of Table 5 are
added.
"""

import argparse
import time

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from skmi.datasets import load_cifar10
from skmi.evaluation import linear_probe, mlp_probe
from skmi.representation import AutoencoderTransformer, DIMTransformer, VAETransformer

LAYERS = ("conv", "fc", "global")


def models(n_epochs, preset, coordinates):
    """The transformers to compare, by name."""
    shared = {"max_epochs": n_epochs, "random_state": 0}
    dim = shared | {"preset": preset, "occlusion": False}
    if preset is not None:
        shared |= {"encoder_width": 64, "learning_rate": 1e-4, "betas": (0.5, 0.999)}
    transformers = {
        "DIM(L) infoNCE": DIMTransformer(**dim),
        "DIM(L) JSD": DIMTransformer(bound="jsd", **dim),
        "DIM(G)": DIMTransformer(alpha=1.0, beta=0.0, gamma=1.0, global_critic="concat", **dim),
        "VAE": VAETransformer(64, encoder="dcgan", **shared),
        "autoencoder": AutoencoderTransformer(**shared),
        "untrained": DIMTransformer(**dim | {"max_epochs": 1, "learning_rate": 1e-12}),
    }
    if preset == "paper":
        transformers["DIM(L) DV"] = DIMTransformer(bound="dv", **dim)
    if coordinates:
        transformers["DIM(L) + coordinates + occlusion"] = DIMTransformer(
            **dim | {"coordinates": "both", "occlusion": True}
        )
    return transformers


def accuracies(Z_train, y_train, Z_test, y_test, *, svm=True):
    """Test accuracy of a network with one hidden layer, and of a linear classifier."""
    Z, y = np.concatenate([Z_train, Z_test]), np.concatenate([y_train, y_test])
    rows = np.arange(len(y))
    split = [(rows[: len(y_train)], rows[len(y_train) :])]
    network = mlp_probe(Z, y, cv=split, max_epochs=40, random_state=0)[0]
    if not svm:
        return network, np.nan
    return network, linear_probe(Z, y, cv=split, C=0.01, max_iter=2000, random_state=0)[0]


def measure(name, transformer, X, y, X_test, y_test):
    """Rows of the table of one transformer, by its name and layer."""
    start = time.perf_counter()
    transformer.fit(X)
    minutes = (time.perf_counter() - start) / 60
    rows = {}
    for layer in LAYERS:
        transformer.set_params(feature_layer=layer)
        Z, Z_test = transformer.transform(X), transformer.transform(X_test)
        network, svm = accuracies(Z, y, Z_test, y_test, svm=layer == "global")
        rows[name, layer] = {"network": network, "svm": svm, "minutes": minutes}
        print(f"{name:>34} {layer:>7}: network {network:.3f}, svm {svm:.3f}", flush=True)
    return rows


def compare(data, *, n_rows, n_epochs, preset=None, coordinates=False, n_jobs=None):
    """A table of accuracies: models by layer."""
    images = data.X_train[:n_rows], data.y_train[:n_rows], data.X_test, data.y_test
    X, y, X_test, y_test = images
    flat = [rows.reshape(len(rows), -1) / np.float32(255) for rows in (X, X_test)]
    network, _ = accuracies(flat[0], y, flat[1], y_test, svm=False)  # slow on 3,072 columns
    table = {("pixels", "input"): {"network": network, "svm": np.nan, "minutes": 0.0}}
    jobs = models(n_epochs, preset, coordinates).items()
    for rows in Parallel(n_jobs)(delayed(measure)(*job, *images) for job in jobs):
        table |= rows
    return pd.DataFrame(table).T


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--path", help="an .npz file with the images; else from OpenML")
    parser.add_argument("--rows", type=int, default=10_000, help="training images")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--preset", choices=["paper"])
    parser.add_argument("--coordinates", action="store_true")
    parser.add_argument("--jobs", type=int, default=1, help="models trained at a time")
    options = parser.parse_args()
    table = compare(
        load_cifar10(options.path),
        n_rows=options.rows,
        n_epochs=options.epochs,
        preset=options.preset,
        coordinates=options.coordinates,
        n_jobs=options.jobs,
    )
    print(table["network"].unstack().round(3).to_string())
    print(table.round(3).to_string())
