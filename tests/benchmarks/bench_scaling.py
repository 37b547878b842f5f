"""Seconds and memory of `mutual_info` from 300 to 1,000,000 pairs, one core.

    python tests/benchmarks/bench_scaling.py [largest number of pairs]

Every size runs in a process of its own; memory is that process's peak above its start.
"""

import multiprocessing
import resource
import sys
import time

SIZES = (300, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000)


def run(n_samples, queue):
    import torch

    from skmi import mutual_info
    from skmi.datasets import make_gaussian_mixture

    torch.set_num_threads(1)
    X, Y, mi = make_gaussian_mixture(n_samples, random_state=0)
    mutual_info(X[:300], Y[:300], random_state=0)  # what loads on first use
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    result = mutual_info(X, Y, random_state=0)
    seconds = time.perf_counter() - start
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    queue.put((seconds, memory, result.estimate - mi, result.stderr))


def main(largest=SIZES[-1]):
    print(f"{'pairs':>9} {'seconds':>8} {'s/1e5':>7} {'MiB':>7} {'error':>7} {'stderr':>7}")
    context = multiprocessing.get_context("spawn")
    for n_samples in (n for n in SIZES if n <= largest):
        queue = context.Queue()
        process = context.Process(target=run, args=(n_samples, queue))
        process.start()
        seconds, memory, error, stderr = queue.get()
        process.join()
        print(
            f"{n_samples:9d} {seconds:8.1f} {1e5 * seconds / n_samples:7.1f} {memory:7.0f} "
            f"{error:+7.3f} {stderr:7.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
