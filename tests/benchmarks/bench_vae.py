"""Variational autoencoders: a training step beside pythae's, and memory over epochs.

Run with ``python tests/benchmarks/bench_vae.py speed`` (needs pythae) or ``memory``. Pythae trains
in float32, with the same networks of torch's own layers; ours in float32 and in bfloat16, in turn.
The tables of InfoMax-VAE are in ``examples/infomax_vae_mnist.py`` and
``examples/infomax_vae_cifar10.py``.
"""

import copy
import resource
import statistics
import sys
import tempfile
import time
import tracemalloc
import warnings
from functools import partialmethod

import numpy as np
import torch
from torch import nn
from tqdm.std import tqdm

from skmi.networks.convolutions import Conv2d, ConvTranspose2d
from skmi.representation import InfoMaxVAETransformer, VAETransformer

N_PAIRS = 7


def images(n_rows):
    return np.random.default_rng(0).random((n_rows, 1, 28, 28), dtype=np.float32)


# ------------------------------------------------------------------ beside pythae


def with_layers_of_torch(network):
    """A copy whose convolutions are computed as torch does."""
    network = copy.deepcopy(network)
    for layer in network.modules():
        if isinstance(layer, Conv2d | ConvTranspose2d):
            layer.__class__ = type(layer).__base__
    return network


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
            self.network = with_layers_of_torch(vae.encoder_)

        def forward(self, x):
            mean, log_std = self.network(x).y.chunk(2, 1)
            return ModelOutput(embedding=mean, log_covariance=2 * log_std)

    class PlainDecoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.network = nn.Sequential(with_layers_of_torch(vae.decoder_), nn.Sigmoid())

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


def seconds(train, *arguments) -> float:
    start = time.perf_counter()
    train(*arguments)
    return time.perf_counter() - start


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
        times = {"pythae": [], "float32": [], "bfloat16": []}
        with tempfile.TemporaryDirectory() as folder:
            theirs = pythae_trainer(vae, X, folder)
            for _ in range(N_PAIRS):
                times["pythae"].append(seconds(theirs.train_step, 1))
                for precision in ("float32", "bfloat16"):
                    vae.set_params(precision=precision)
                    times[precision].append(seconds(vae.partial_fit, X))
        for precision in ("float32", "bfloat16"):
            step = statistics.median(times[precision]) * vae.batch_size / len(X)
            ratios = [a / b for a, b in zip(times["pythae"], times[precision], strict=True)]
            low, median, high = statistics.quantiles(ratios)
            print(
                f"{name}, {precision}: {1e3 * step:.1f} ms a step of {vae.batch_size} rows; "
                f"pythae / skmi {median:.2f} (quartiles {low:.2f}, {high:.2f})",
                flush=True,
            )


def memory():
    X = images(300)
    for n_epochs in (5, 25):
        tracemalloc.start()
        InfoMaxVAETransformer(8, encoder_width=4, max_epochs=n_epochs, random_state=0).fit(X)
        heap = tracemalloc.get_traced_memory()[0] / 1024
        tracemalloc.stop()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"after {n_epochs} epochs: Python heap {heap:.0f} KiB, peak {peak:.0f} MiB")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    {"speed": speed, "memory": memory}[sys.argv[1]]()
