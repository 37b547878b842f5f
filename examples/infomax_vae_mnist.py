"""
InfoMax-VAE on MNIST: latent variables, deeper decoders and an autoregressive one
=================================================================================

Tables 1 to 3 and Figure 4 of Rezaabad and Vishwanath (2020), at a budget that is stated::

    python examples/infomax_vae_mnist.py --path mnist.npz                     # Table 1
    python examples/infomax_vae_mnist.py --path mnist.npz --study depth       # Tables 2 and 3
    python examples/infomax_vae_mnist.py --path mnist.npz --study pixel       # section 6.3
    python examples/infomax_vae_mnist.py --rows 60000 --epochs 200            # on a GPU

"published" is InfoMax-VAE with the critic of the paper, which sees images and their codes; that of
the defaults sees posteriors, and codes through noise (see the user guide).

"MI, mixture" is that of the test images, at most the logarithm of their number. With ``--mine``
"MI, MINE" is a lower and "MI, at most" an upper bound by all test images there are.

"log-likelihood" is that of the images, by importance weighting; "reconstruction" is the first term
of the objective, :math:`E_q \\log p(x|z)`, which is most likely the first column of the paper's
Table 1.

Without ``--path`` the images come from OpenML. With 10,000 images and 30 epochs a model takes some
minutes on one core. What came of it is in the benchmarks of the documentation.
"""

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from skmi.datasets import load_mnist
from skmi.evaluation import active_units, kl_to_prior, latent_mutual_information, linear_probe
from skmi.exceptions import SaturationWarning
from skmi.representation import (
    BetaVAETransformer,
    InfoMaxVAETransformer,
    InfoVAETransformer,
    VAETransformer,
)


def family(n_components, alpha, information, **options):
    """The models of the tables, by name; `information` holds settings of InfoMax-VAE."""
    published = {"critic_input": "data", "critic_noise": 0.0, "n_critic_draws": 1}
    return {
        "VAE": VAETransformer(n_components, **options),
        "beta-VAE": BetaVAETransformer(n_components, **options),
        "InfoVAE": InfoVAETransformer(n_components, **options),
        "InfoMax-VAE": InfoMaxVAETransformer(n_components, **information, **options),
        "published": InfoMaxVAETransformer(
            n_components, **({"alpha": alpha} | information | published), **options
        ),
    }


def models(study, information, **options):
    """The models of a study, by what tells them apart."""
    dense = {"encoder": "mlp", "decoder": "mlp", "likelihood": "bernoulli", **options}
    if study == "table":
        widths = {"hidden_layer_sizes": (1000,) * 4}
        return {
            (name, "dense, 2 latent"): vae
            for name, vae in family(2, 10.0, information, **dense, **widths).items()
        } | {
            (name, "convolutions, 20 latent"): vae
            for name, vae in family(20, 20.0, information, encoder_width=28, **options).items()
        }
    if study == "depth":
        return {
            (name, f"decoder of {depth} layers"): vae
            for depth in (2, 4, 10)
            for name, vae in family(
                20, 10.0, information, decoder_hidden_layer_sizes=(512,) * depth, **dense
            ).items()
        }
    pixel = {"encoder": "resnet", "decoder": "pixelcnn", "encoder_width": 16, **options}
    models = family(2, 10.0, information, **pixel)
    return {(name, "PixelCNN, 2 latent"): vae for name, vae in models.items()}


def measure(name, vae, train, test, y_test, further):
    """The columns of the tables, on images that were not fitted."""
    warnings.simplefilter("ignore", SaturationWarning)  # of the mixture: the rows are few
    start = time.perf_counter()
    vae.fit(train)
    minutes = (time.perf_counter() - start) / 60
    means, stds = vae.posterior(test)
    row = {
        "log-likelihood": vae.score(test),
        "reconstruction": vae.evaluate(test)["log_likelihood"],
        "MI, mixture": latent_mutual_information(means, stds, random_state=0),
        "KL": kl_to_prior(means, stds),
        "AU": active_units(means),
        "active directions": int((np.linalg.eigvalsh(np.cov(means.T)) > 0.05).sum()),
        "linear accuracy": linear_probe(means, y_test, random_state=0).mean(),
        "minutes": minutes,
    }
    if further is not None:
        posteriors = vae.posterior(further)  # of all there are: a bound of few rows is loose
        for column, method in {"MI, MINE": "neural", "MI, at most": "upper"}.items():
            row[column] = latent_mutual_information(*posteriors, method=method, random_state=0)
    row = {"model": name[0], "networks": name[1], "seed": vae.random_state} | row
    print({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return row


def compare(
    data,
    study,
    *,
    n_rows,
    n_test,
    n_epochs,
    seeds,
    n_jobs,
    mine,
    names,
    networks,
    device,
    information=None,
):
    """A table of the means over seeds: networks and models by measure."""
    train, held_out, y_test = data.X_train[:n_rows], data.X_test, data.y_test[:n_test]
    if study == "pixel":  # binarised
        train, held_out = ((X > 127).astype(np.uint8) for X in (train, held_out))
    test, further = held_out[:n_test], held_out if mine else None
    jobs = [
        delayed(measure)(name, vae, train, test, y_test, further)
        for seed in seeds
        for name, vae in models(
            study, information or {}, max_epochs=n_epochs, random_state=seed, device=device
        ).items()
        if name[0] in names and networks in name[1]
    ]
    rows = pd.DataFrame(Parallel(n_jobs=n_jobs)(jobs))
    return rows.groupby(["networks", "model"], sort=False).mean().drop(columns="seed")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--path", help="an .npz file as skmi.datasets.load_mnist reads it")
    parser.add_argument("--study", choices=["table", "depth", "pixel"], default="table")
    parser.add_argument("--rows", type=int, default=10_000, help="training images")
    parser.add_argument("--test-rows", type=int, default=2_000)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--models", nargs="+", default=list(family(2, 10.0, {})))
    parser.add_argument("--networks", default="", help="a word of their description")
    parser.add_argument("--alpha", type=float, help="of InfoMax-VAE")
    parser.add_argument("--divergence", default="kl", help="of InfoMax-VAE")
    parser.add_argument("--critic-noise", type=float, help="of InfoMax-VAE")
    parser.add_argument("--mine", action="store_true", help="the information by MINE, and at most")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    information = {"divergence": options.divergence}
    if options.alpha is not None:
        information["alpha"] = options.alpha
    if options.critic_noise is not None:
        information["critic_noise"] = options.critic_noise
    table = compare(
        load_mnist(options.path),
        options.study,
        n_rows=options.rows,
        n_test=options.test_rows,
        n_epochs=options.epochs,
        seeds=options.seeds,
        n_jobs=options.jobs,
        mine=options.mine,
        names=options.models,
        networks=options.networks,
        device=options.device,
        information=information,
    )
    print(table.round(2).to_string())


if __name__ == "__main__":
    main()
