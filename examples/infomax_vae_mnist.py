"""
InfoMax-VAE on MNIST: latent variables, deeper decoders and an autoregressive one
=================================================================================

Tables 1 to 3 and Figure 4 of Rezaabad and Vishwanath (2020), at a budget that is stated::

    python examples/infomax_vae_mnist.py --path mnist.npz                     # Table 1
    python examples/infomax_vae_mnist.py --path mnist.npz --study depth       # Tables 2 and 3
    python examples/infomax_vae_mnist.py --path mnist.npz --study pixel       # section 6.3
    python examples/infomax_vae_mnist.py --rows 60000 --epochs 200            # on a GPU

Without ``--path`` the images come from OpenML. Of 10,000 images and
30 epochs a model takes some
minutes on one core. What came of it is in the benchmarks of the documentation.
"""

import argparse
import time

import numpy as np
import pandas as pd

from skmi.datasets import load_mnist
from skmi.evaluation import active_units, kl_to_prior, latent_mutual_information, linear_probe
from skmi.representation import (
    BetaVAETransformer,
    InfoMaxVAETransformer,
    InfoVAETransformer,
    VAETransformer,
)


def family(n_components, alpha, **options):
    """The four models of the tables, by name."""
    return {
        "VAE": VAETransformer(n_components, **options),
        "beta-VAE": BetaVAETransformer(n_components, **options),
        "InfoVAE": InfoVAETransformer(n_components, **options),
        "InfoMax-VAE": InfoMaxVAETransformer(n_components, alpha=alpha, **options),
    }


def models(study, **options):
    """The models of a study, by what tells them apart."""
    dense = {"encoder": "mlp", "decoder": "mlp", "likelihood": "bernoulli", **options}
    if study == "table":
        widths = {"hidden_layer_sizes": (1000,) * 4}
        return {
            (name, "dense, 2 latent"): vae
            for name, vae in family(2, alpha=10.0, **dense, **widths).items()
        } | {
            (name, "convolutions, 20 latent"): vae
            for name, vae in family(20, alpha=20.0, encoder_width=28, **options).items()
        }
    if study == "depth":
        return {
            (name, f"decoder of {depth} layers"): vae
            for depth in (2, 4, 10)
            for name, vae in family(
                20, alpha=10.0, decoder_hidden_layer_sizes=(512,) * depth, **dense
            ).items()
        }
    pixel = {"encoder": "resnet", "decoder": "pixelcnn", "encoder_width": 16, **options}
    return {
        (name, "PixelCNN, 2 latent"): vae for name, vae in family(2, alpha=10.0, **pixel).items()
    }


def measure(vae, train, test, y_test):
    """The columns of the tables, on images that were not fitted."""
    start = time.perf_counter()
    vae.fit(train)
    minutes = (time.perf_counter() - start) / 60
    means, stds = vae.posterior(test)
    return {
        "log-likelihood": vae.score(test),
        "MI": latent_mutual_information(means, stds, random_state=0),
        "KL": kl_to_prior(means, stds),
        "AU": active_units(means),
        "linear accuracy": linear_probe(means, y_test, random_state=0).mean(),
        "minutes": minutes,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--path", help="an .npz file as skmi.datasets.load_mnist reads it")
    parser.add_argument("--study", choices=["table", "depth", "pixel"], default="table")
    parser.add_argument("--rows", type=int, default=10_000, help="training images")
    parser.add_argument("--test-rows", type=int, default=2_000)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()

    mnist = load_mnist(options.path)
    train, test = mnist.X_train[: options.rows], mnist.X_test[: options.test_rows]
    y_test = mnist.y_test[: options.test_rows]
    if options.study == "pixel":  # binarised
        train, test = ((X > 127).astype(np.uint8) for X in (train, test))
    shared = {"max_epochs": options.epochs, "random_state": options.seed, "device": options.device}
    rows = {}
    for name, vae in models(options.study, **shared).items():
        rows[name] = measure(vae, train, test, y_test)
        print(name, {k: round(float(v), 2) for k, v in rows[name].items()}, flush=True)
    table = pd.DataFrame(rows).T.rename_axis(["model", "networks"])
    print(table.round(2).to_string())


if __name__ == "__main__":
    main()
