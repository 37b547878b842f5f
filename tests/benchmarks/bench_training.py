"""Cost of a training step over a bare torch loop, and memory over epochs.

Run with ``python tests/benchmarks/bench_training.py``. Both loops train the same network with
the same optimiser on the same data, in turn, on one thread.
"""

import statistics
import time
import tracemalloc

import torch
from torch import nn

from skmi.bounds import dv
from skmi.networks import mlp
from skmi.training import Player, Trainer

N_ROWS, N_FEATURES = 16_384, 20
N_PAIRS = 25


class Objective(nn.Module):
    """Donsker-Varadhan on pairs made of the two halves of a row."""

    def __init__(self, width):
        super().__init__()
        self.critic = mlp([N_FEATURES, width, 1])

    def forward(self, rows, player=None):
        half = N_FEATURES // 2
        shuffled = torch.cat([rows[:, :half], rows[:, half:].roll(1, 0)], dim=1)
        return {"loss": -dv(self.critic(rows), self.critic(shuffled))}


def bare_loop(rows, objective, batch_size, n_epochs):
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-3, fused=True)
    generator = torch.Generator().manual_seed(0)
    for _ in range(n_epochs):
        permutation = torch.randperm(len(rows), generator=generator)
        for start in range(0, len(rows) - batch_size + 1, batch_size):
            optimizer.zero_grad()
            loss = objective(rows[permutation[start : start + batch_size]])["loss"]
            loss.backward()
            optimizer.step()


def trainer_loop(rows, objective, batch_size, n_epochs):
    trainer = Trainer(
        objective, players=[Player("critic")], batch_size=batch_size, max_epochs=n_epochs
    )
    trainer.fit([rows])


def seconds(loop, width, batch_size, n_epochs, rows):
    torch.manual_seed(0)
    objective = Objective(width)
    start = time.perf_counter()
    loop(rows, objective, batch_size, n_epochs)
    return time.perf_counter() - start


def measure_step_time():
    rows = torch.randn(N_ROWS, N_FEATURES, generator=torch.Generator().manual_seed(0))
    for width, batch_size, n_epochs in [(64, 128, 6), (256, 1024, 12)]:
        times = {bare_loop: [], trainer_loop: []}
        for _ in range(N_PAIRS + 1):  # the first pair warms up
            for loop in times:
                times[loop].append(seconds(loop, width, batch_size, n_epochs, rows))
        bare, ours = (times[loop][1:] for loop in (bare_loop, trainer_loop))
        ratios = sorted(o / b for o, b in zip(ours, bare, strict=True))
        n_steps = n_epochs * (N_ROWS // batch_size)
        print(
            f"20 -> {width} -> 1, batch {batch_size:5d}: bare step "
            f"{1e6 * statistics.median(bare) / n_steps:.0f} us, trainer / bare loop: ratio of "
            f"medians {statistics.median(ours) / statistics.median(bare):.3f}, of minima "
            f"{min(ours) / min(bare):.3f}; pairs' quartiles {ratios[N_PAIRS // 4]:.3f} "
            f"{ratios[N_PAIRS // 2]:.3f} {ratios[3 * N_PAIRS // 4]:.3f}"
        )


def measure_memory():
    rows = torch.randn(2048, N_FEATURES, generator=torch.Generator().manual_seed(0))
    peaks = {}
    for n_epochs in (20, 200):
        tracemalloc.start()
        trainer_loop(rows, Objective(64), 128, n_epochs)
        peaks[n_epochs] = tracemalloc.get_traced_memory()[1] / 2**10
        tracemalloc.stop()
    growth = (peaks[200] - peaks[20]) / 180
    print(f"Python heap at its peak: {peaks} KiB, {growth:.2f} KiB for each further epoch")


if __name__ == "__main__":
    torch.set_num_threads(1)
    measure_step_time()
    measure_memory()
