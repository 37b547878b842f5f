"""Variational autoencoders: a training step beside pythae's, and memory over epochs.

Run with ``python tests/benchmarks/bench_vae.py speed`` (needs pythae) or ``memory``. Pythae trains
in float32, with the same networks of torch's own layers; ours in float32 and in bfloat16. Each of
them has a process of its own, as it has with its users, and they train an epoch in turn. ``pythae,
memory kept`` is given what our training loop does to the memory of a process.
The tables of InfoMax-VAE are in ``examples/infomax_vae_mnist.py`` and
``examples/infomax_vae_cifar10.py``.
"""

import copy
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
import tracemalloc
import warnings
from functools import partial, partialmethod
from unittest.mock import patch

import numpy as np
import torch
from torch import nn
from tqdm.std import tqdm

from skmi.networks.convolutions import Conv2d, ConvTranspose2d
from skmi.representation import InfoMaxVAETransformer, VAETransformer
from skmi.training import keep_freed_memory

N_ROWS = 4000
N_PAIRS = 11
THEIRS = ["pythae", "pythae, memory kept"]
OURS = ["float32", "bfloat16"]


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


def worker(pipe, name, nets):
    """Train for an epoch whenever the pipe asks for it, and send the milliseconds of a step."""
    warnings.simplefilter("ignore")
    tqdm.__init__ = partialmethod(tqdm.__init__, disable=True)  # pythae draws a bar for each epoch
    torch.set_num_threads(1)
    X = images(N_ROWS)
    options = {"likelihood": "bernoulli", "random_state": 0, "max_epochs": 1, **nets}
    vae = VAETransformer(20, precision="bfloat16" if name == "bfloat16" else "float32", **options)
    with tempfile.TemporaryDirectory() as folder:
        if name in OURS:
            vae.fit(X[:100])
            train = partial(vae.partial_fit, X)
        else:
            with patch("skmi.training.keep_freed_memory"):
                vae.fit(X[:100])  # makes the networks
            trainer = pythae_trainer(vae, X, folder)
            train = partial(trainer.train_step, 1)
        if name == "pythae, memory kept":
            keep_freed_memory()
        train()
        while pipe.recv():
            start = time.perf_counter()
            train()
            pipe.send(1e3 * (time.perf_counter() - start) * vae.batch_size / N_ROWS)


def speed():
    spawn = multiprocessing.get_context("spawn")
    for title, nets in {
        "dense (64,)": {"encoder": "mlp", "decoder": "mlp", "hidden_layer_sizes": (64,)},
        "dense (512, 512)": {"encoder": "mlp", "decoder": "mlp"},
        "convolutions, width 28": {"encoder_width": 28},
    }.items():
        pipes, processes, times = {}, [], {name: [] for name in THEIRS + OURS}
        for name in times:
            pipes[name], end = spawn.Pipe()
            processes.append(spawn.Process(target=worker, args=(end, name, nets), daemon=True))
            processes[-1].start()
            end.close()  # so that the end of a worker ends the pipe
        for _ in range(N_PAIRS):
            for name, pipe in pipes.items():
                pipe.send(True)
                times[name].append(pipe.recv())
        for pipe in pipes.values():
            pipe.send(False)
        for process in processes:
            process.join()
        for ours in OURS:
            print(f"{title}, {ours}: {statistics.median(times[ours]):.1f} ms a step", flush=True)
            for theirs in THEIRS:
                ratios = [a / b for a, b in zip(times[theirs], times[ours], strict=True)]
                low, median, high = statistics.quantiles(ratios)
                print(f"    {theirs}: {median:.2f} times that (quartiles {low:.2f}, {high:.2f})")


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
