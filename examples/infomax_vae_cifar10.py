"""
InfoMax-VAE on CIFAR-10: what a classifier finds in the latent variables
========================================================================

Table 4 of Rezaabad and Vishwanath (2020): the classifier of Table 7, three hidden layers on the
means of the posteriors, and the number of active units, at a budget that a CPU core manages in
four minutes::

    python examples/infomax_vae_cifar10.py --path cifar10.npz
    python examples/infomax_vae_cifar10.py --rows 50000 --epochs 200 --latent 100 200 500

Without ``--path`` the images come from OpenML. The weights of InfoMax-VAE are the authors' for
these images, alpha 10 and beta 0.1.
"""

import argparse
import time

import numpy as np
import pandas as pd

from skmi.datasets import load_cifar10
from skmi.evaluation import active_units, mlp_probe
from skmi.representation import (
    BetaVAETransformer,
    InfoMaxVAETransformer,
    InfoVAETransformer,
    VAETransformer,
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--path", help="an .npz file as skmi.datasets.load_cifar10 reads it")
    parser.add_argument("--rows", type=int, default=5_000, help="training images")
    parser.add_argument("--test-rows", type=int, default=2_000)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--latent", type=int, nargs="+", default=[100])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()

    cifar = load_cifar10(options.path)
    train, test = cifar.X_train[: options.rows], cifar.X_test[: options.test_rows]
    y = np.concatenate([cifar.y_train[: options.rows], cifar.y_test[: options.test_rows]])
    order = np.arange(len(y))
    split = [(order[: len(train)], order[len(train) :])]
    shared = {"max_epochs": options.epochs, "random_state": options.seed, "device": options.device}
    rows = {}
    for n_components in options.latent:
        family = {
            "VAE": VAETransformer(n_components, **shared),
            "beta-VAE": BetaVAETransformer(n_components, **shared),
            "InfoVAE": InfoVAETransformer(n_components, **shared),
            "InfoMax-VAE": InfoMaxVAETransformer(  # as published
                n_components,
                alpha=10.0,
                beta=0.1,
                critic_input="data",
                critic_noise=0.0,
                n_critic_draws=1,
                **shared,
            ),
        }
        for name, vae in family.items():
            start = time.perf_counter()
            vae.fit(train)
            minutes = (time.perf_counter() - start) / 60
            Z = vae.transform(np.concatenate([train, test]))
            options_ = {"hidden": (1000, 500, 100), "dropout": 0.0, "max_epochs": 40, "cv": split}
            rows[name, n_components] = {
                "accuracy": mlp_probe(Z, y, random_state=0, **options_)[0],
                "active units": active_units(Z[len(train) :]),
                "minutes": minutes,
            }
            print(name, n_components, rows[name, n_components], flush=True)
    table = pd.DataFrame(rows).T.rename_axis(["model", "latent variables"])
    print(table.round(3).to_string())


if __name__ == "__main__":
    main()
