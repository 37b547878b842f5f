"""Variational autoencoders: a step beside pythae's, memory over epochs, InfoMax-VAE's tables.

Run with ``python tests/benchmarks/bench_vae.py speed`` (needs pythae), ``memory``, or
``mnist PATH [--tables 1 2] [--rows 10000] [--epochs 60] [--seeds 0 1 2] [--jobs 2]``, with MNIST
as `skmi.datasets.load_mnist` reads it.
"""

import argparse
import statistics
import tempfile
import time
import tracemalloc
import warnings
from functools import partialmethod

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from torch import nn
from tqdm.std import tqdm

from skmi.datasets import load_mnist
from skmi.evaluation import active_units, kl_to_prior, latent_mutual_information
from skmi.representation import (
    BetaVAETransformer,
    InfoMaxVAETransformer,
    InfoVAETransformer,
    VAETransformer,
)

N_PAIRS = 7
#: Table 1: convolutions, the authors' weight of the information for them.
CONVOLUTIONAL = {"n_components": 20, "encoder_width": 28}
#: Tables 2 and 3: dense layers, a decoder of more and more of them.
DENSE = {"n_components": 20, "encoder": "mlp", "decoder": "mlp"}


def images(n_rows):
    return np.random.default_rng(0).random((n_rows, 1, 28, 28), dtype=np.float32)


# ------------------------------------------------------------------ beside pythae


def pythae_trainer(vae, X, output_dir):
    """A trainer of pythae's VAE with the networks of a fitted transformer."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    class PlainEncoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.network = vae.encoder_

        def forward(self, x):
            mean, log_std = self.network(x).y.chunk(2, 1)
            return ModelOutput(embedding=mean, log_covariance=2 * log_std)

    class PlainDecoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.network = nn.Sequential(vae.decoder_, nn.Sigmoid())

        def forward(self, z):
            return ModelOutput(reconstruction=self.network(z))

    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=20, reconstruction_loss="bce")
    trainer = BaseTrainer(
        VAE(config, encoder=PlainEncoder(), decoder=PlainDecoder()),
        BaseDataset(torch.from_numpy(X), torch.zeros(len(X))),
        training_config=BaseTrainerConfig(
            output_dir=output_dir,
            num_epochs=1,
            learning_rate=1e-3,
            per_device_train_batch_size=vae.batch_size,
            optimizer_cls="Adam",
            no_cuda=True,
        ),
    )
    trainer.prepare_training()
    return trainer


def speed():
    tqdm.__init__ = partialmethod(tqdm.__init__, disable=True)  # pythae draws a bar for each epoch
    X = images(4000)
    for name, nets in {
        "dense (64,)": {"encoder": "mlp", "decoder": "mlp", "hidden_layer_sizes": (64,)},
        "dense (512, 512)": {"encoder": "mlp", "decoder": "mlp"},
        "convolutions, width 28": {"encoder_width": 28},
    }.items():
        options = {"likelihood": "bernoulli", "random_state": 0, "max_epochs": 1, **nets}
        vae = VAETransformer(20, **options).fit(X[:100])
        with tempfile.TemporaryDirectory() as folder:
            theirs = pythae_trainer(vae, X, folder)
            ratios, ours = [], []
            for _ in range(N_PAIRS):
                start = time.perf_counter()
                theirs.train_step(1)
                middle = time.perf_counter()
                vae.partial_fit(X)
                ours.append(time.perf_counter() - middle)
                ratios.append((middle - start) / ours[-1])
        step = statistics.median(ours) * vae.batch_size / len(X)
        low, median, high = statistics.quantiles(ratios)
        print(
            f"{name}: {1e3 * step:.1f} ms a step of {vae.batch_size} rows; pythae / skmi "
            f"{median:.2f} (quartiles {low:.2f}, {high:.2f})",
            flush=True,
        )


def memory():
    X, sizes = images(300), []
    for n_epochs in (5, 25):
        tracemalloc.start()
        InfoMaxVAETransformer(8, encoder_width=4, max_epochs=n_epochs, random_state=0).fit(X)
        sizes.append(tracemalloc.get_traced_memory()[0] / 1024)
        tracemalloc.stop()
    print(f"Python heap after 5 epochs {sizes[0]:.0f} KiB, after 25 {sizes[1]:.0f} KiB")


# ----------------------------------------------------------------------- the tables


def models(table):
    """The transformers of a table, by name."""
    if table == "1":
        family = {
            "VAE": VAETransformer(),
            "beta-VAE": BetaVAETransformer(),
            "InfoVAE": InfoVAETransformer(),
            "InfoMax-VAE": InfoMaxVAETransformer(alpha=20.0),
        }
        return {name: vae.set_params(**CONVOLUTIONAL) for name, vae in family.items()}
    depths = {
        f"{name}, {depth} layers": vae.set_params(decoder_hidden_layer_sizes=(512,) * depth)
        for depth in (2, 4, 10)
        for name, vae in {
            "VAE": VAETransformer(**DENSE),
            "InfoMax-VAE": InfoMaxVAETransformer(**DENSE),
        }.items()
    }
    return {k: vae.set_params(likelihood="bernoulli") for k, vae in depths.items()}


def measure(name, vae, seed, path, n_rows, n_epochs, n_test):
    """What Tables 1 to 3 have of a model, on test images."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    mnist = load_mnist(path)
    X, X_test = mnist.X_train[:n_rows], mnist.X_test[:n_test]
    vae.set_params(random_state=seed, max_epochs=n_epochs)
    start = time.perf_counter()
    vae.fit(X)
    seconds = time.perf_counter() - start
    means, stds = vae.posterior(X_test)
    row = {
        "model": name,
        "seed": seed,
        "log-likelihood": vae.score(X_test),
        "MI, mixture": latent_mutual_information(means, stds, random_state=0),
        "MI, critic": vae.evaluate(X_test).get("information", np.nan),
        "KL": kl_to_prior(means, stds),
        "AU": active_units(means),
        "minutes": seconds / 60,
    }
    row["MI, MINE"] = latent_mutual_information(
        means, stds, X_test.reshape(len(X_test), -1), method="neural", random_state=0
    )
    print({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return row


def mnist(options):
    jobs = [
        delayed(measure)(
            name, vae, seed, options.path, options.rows, options.epochs, options.test_rows
        )
        for seed in options.seeds
        for table in options.tables
        for name, vae in models(table).items()
        if options.only is None or name in options.only
    ]
    rows = pd.DataFrame(Parallel(n_jobs=options.jobs)(jobs))
    print(rows.groupby("model", sort=False).mean().drop(columns="seed").round(2).to_string())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("speed")
    commands.add_parser("memory")
    tables = commands.add_parser("mnist")
    tables.add_argument("path")
    tables.add_argument("--tables", nargs="+", default=["1"], choices=["1", "2"])
    tables.add_argument("--only", nargs="+", help="names of models")
    tables.add_argument("--rows", type=int, default=10_000)
    tables.add_argument("--test-rows", type=int, default=2000)
    tables.add_argument("--epochs", type=int, default=60)
    tables.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    tables.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.command == "mnist":
        mnist(options)
    else:
        {"speed": speed, "memory": memory}[options.command]()
