"""Deep InfoMax: a training step beside a plain loop, memory over epochs, accuracy on digits.

Run with ``python tests/benchmarks/bench_dim.py speed|memory|digits``.

The plain loop has the same networks, loss terms and optimisers, and does what a first
implementation does: images come one by one from a `Dataset` through a `DataLoader`, each image is
scored against each place of each other one by an explicit product of pairs, and the loss is read
after every step.
"""

import resource
import statistics
import sys
import time
import tracemalloc
import warnings

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from skmi.evaluation import linear_probe
from skmi.representation import DIMTransformer

BATCH_SIZE, WIDTH, N_ROWS, N_PAIRS = 64, 256, 1024, 7
OPTIONS = {
    "n_components": 64,
    "encoder_width": 64,
    "critic_width": WIDTH,
    "batch_size": BATCH_SIZE,
    "n_local_samples": None,
    "occlusion": False,
    "random_state": 0,
}


def images(n_rows):
    return np.random.default_rng(0).normal(size=(n_rows, 3, 32, 32)).astype(np.float32)


class PlainDIM(nn.Module):
    """Encoder, critic and loss in the manner of a first implementation."""

    def __init__(self, fitted: DIMTransformer):
        super().__init__()
        self.encoder = fitted.objective_.model["encoder"]
        self.critic = fitted.objective_.model["local_critic"]
        self.discriminator = fitted.objective_.discriminator

    def encoder_loss(self, x):
        layers = self.encoder(x)
        places = layers.local.flatten(2).transpose(1, 2)  # (B, L, C)
        n_rows, n_places, _ = places.shape
        y = self.critic.embed_x(layers.y)
        local = self.critic.embed_y(places.flatten(0, 1)).view(n_rows, n_places, -1)
        scores = (y[:, None, None] * local[None]).sum(-1)  # (B, B, L), pair by pair
        joint = scores[range(n_rows), range(n_rows)]
        mask = torch.eye(n_rows)[:, :, None].expand_as(scores).bool()
        others = scores.masked_fill(mask, -torch.inf).flatten(1)
        candidates = torch.stack(
            [torch.cat([joint[:, [i]], others], 1).logsumexp(1) for i in range(n_places)], dim=1
        )
        adversarial = nn.functional.softplus(-self.discriminator(layers.y)).mean()
        return (candidates - joint).mean() + 0.1 * adversarial, layers.y.detach()

    def discriminator_loss(self, y):
        softplus = nn.functional.softplus
        points = torch.cat([torch.rand_like(y), y]).requires_grad_()
        ratio = self.discriminator(points)
        (slope,) = torch.autograd.grad(ratio.sum(), points, create_graph=True)
        prior, codes = ratio.chunk(2)
        return softplus(-prior).mean() + softplus(codes).mean() + slope.square().sum(1).mean()


def plain_epoch(X, plain):
    rest = [*plain.encoder.parameters(), *plain.critic.parameters()]
    optimizers = [torch.optim.Adam(p) for p in (rest, plain.discriminator.parameters())]
    loader = DataLoader(TensorDataset(torch.from_numpy(X)), BATCH_SIZE, shuffle=True)
    losses = []
    for (x,) in loader:
        loss, y = plain.encoder_loss(x)
        optimizers[0].zero_grad()
        loss.backward()
        optimizers[0].step()
        optimizers[1].zero_grad()
        plain.discriminator_loss(y).backward()
        optimizers[1].step()
        losses.append(loss.item())
    return losses


def speed():
    X = images(N_ROWS)
    dim = DIMTransformer(**OPTIONS, max_epochs=1).fit(X[:BATCH_SIZE])
    dim.set_params(warm_start=True)
    plain = PlainDIM(dim)
    ratios, ours = [], []
    for _ in range(N_PAIRS):
        start = time.perf_counter()
        plain.train()
        plain_epoch(X, plain)
        middle = time.perf_counter()
        dim.partial_fit(X)
        ours.append(time.perf_counter() - middle)
        ratios.append((middle - start) / ours[-1])
    step = statistics.median(ours) * BATCH_SIZE / N_ROWS
    quartiles = statistics.quantiles(ratios)
    print(
        f"batch {BATCH_SIZE}, width {WIDTH}, {torch.get_num_threads()} threads: {step:.3f} s a step"
    )
    print(f"plain / skmi: {quartiles[1]:.2f} (quartiles {quartiles[0]:.2f}, {quartiles[2]:.2f})")


def memory():
    X = images(256)
    for n_epochs in (5, 5, 25):  # the first warms up
        tracemalloc.start()
        DIMTransformer(**OPTIONS, max_epochs=n_epochs).fit(X)
        heap = tracemalloc.get_traced_memory()[0] / 2**10
        tracemalloc.stop()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        print(f"{n_epochs:2d} epochs: Python heap {heap:.0f} KiB, peak in all {peak:.0f} MiB")


def digits():
    X, y = load_digits(return_X_y=True)

    def accuracy(Z):
        return linear_probe(Z, y, random_state=0).mean()

    print(f"PCA(16): {accuracy(PCA(16).fit_transform(X)):.3f}")
    for seed in range(5):
        dim = DIMTransformer(16, image_shape=(8, 8), random_state=seed)
        start = time.perf_counter()
        Z = dim.fit_transform(X)
        seconds = time.perf_counter() - start
        untrained = dim.set_params(learning_rate=1e-12, max_epochs=1).fit_transform(X)
        print(
            f"seed {seed}: {accuracy(Z):.3f} in {seconds:.1f} s; untrained "
            f"{accuracy(untrained):.3f}",
            flush=True,
        )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    {"speed": speed, "memory": memory, "digits": digits}[sys.argv[1]]()
