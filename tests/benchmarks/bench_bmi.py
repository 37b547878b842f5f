"""Accuracy and time on the tasks of the BMI benchmark, beside two rivals.

    python tests/benchmarks/bench_bmi.py tasks.npz                   # the tasks of a file
    python tests/benchmarks/bench_bmi.py --seed 1                    # the 40 tasks, fresh rows
    python tests/benchmarks/bench_bmi.py --seed 1 --held-out         # other members of the families
    python tests/benchmarks/bench_bmi.py tasks.npz --rivals folder   # and the rivals, in one run

A file holds ``name|x``, ``name|y`` and ``name|mi`` for each task. Everything runs on one core, one
task after the other. The rivals get virtual environments of their own in the given folder.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import numpy as np
import pandas as pd

from skmi import mutual_info
from skmi.datasets import bmi_tasks, held_out_tasks

RIVALS = Path(__file__).parent / "rivals"
RUNNERS = {"torch-mist": "run_torch_mist.py", "benchmark-mi": "run_benchmark_mi.py"}


def draw(seed: int, held_out: bool, n_samples: int) -> dict:
    """Fresh rows of the tasks, in the layout of a file."""
    arrays = {}
    for i, (name, task) in enumerate(held_out_tasks() if held_out else bmi_tasks()):
        X, Y, mi = task(n_samples, np.random.RandomState((seed, i)))
        arrays |= {f"{name}|x": X, f"{name}|y": Y, f"{name}|mi": mi}
    return arrays


def measure(arrays: dict, seed: int) -> pd.DataFrame:
    """`mutual_info` at its defaults on every task, printed as it goes."""
    rows = {}
    for name in dict.fromkeys(key.split("|")[0] for key in arrays):
        X, Y, mi = (arrays[f"{name}|{part}"] for part in ("x", "y", "mi"))
        start = time.perf_counter()
        result = mutual_info(X, Y, random_state=seed)
        seconds = time.perf_counter() - start
        low, high = result.confidence_interval()
        rows[name] = {
            "truth": float(mi),
            "estimate": result.estimate,
            "error": result.estimate - mi,
            "seconds": seconds,
            "lower_bound": result.lower_bound,
            "covered": low <= mi <= high,
        }
        print(
            f"{name:50s} {mi:7.3f} {result.estimate:7.3f} {rows[name]['error']:+7.3f} "
            f"{seconds:6.1f} s  [{low:.3f}, {high:.3f}]",
            flush=True,
        )
    return pd.DataFrame(rows).T.infer_objects()


def measure_rival(rival: str, path: str, folder: Path) -> pd.DataFrame:
    """A rival on every task of a file, in its own interpreter."""
    sys.path.insert(0, str(RIVALS))
    from environments import python_of

    command = [str(python_of(rival, folder)), str(RIVALS / RUNNERS[rival]), path]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    table = pd.DataFrame([json.loads(line) for line in output.splitlines()]).set_index("name")
    return table.assign(error=table["estimate"] - table["truth"])


def summary(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row for each method."""
    rows = {}
    for method, table in tables.items():
        error = table["error"].astype(float).abs()
        rows[method] = {
            "tasks": len(table),
            "failed": int(error.isna().sum()),
            "mean |error|": error.mean(),
            "median |error|": error.median(),
            "worst |error|": error.max(),
            "median seconds": table["seconds"].median(),
        }
    return pd.DataFrame(rows).T


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", help="npz file of tasks; fresh rows if left out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n-samples", type=int, default=10_000)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--rivals", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    if arguments.file:
        arrays = dict(np.load(arguments.file))
    else:
        arrays = draw(arguments.seed, arguments.held_out, arguments.n_samples)
    tables = {"skmi": measure(arrays, arguments.seed)}
    covered = tables["skmi"]["covered"].astype(float).mean()
    print(f"\n95 % intervals hold the truth in {covered:.0%} of the tasks\n")
    if arguments.rivals:
        with tempfile.TemporaryDirectory() as scratch:
            path = str(Path(scratch) / "tasks.npz")
            np.savez(path, **arrays)
            tables |= {rival: measure_rival(rival, path, arguments.rivals) for rival in RUNNERS}
        errors = {method: table["error"] for method, table in tables.items()}
        print(pd.DataFrame(errors).round(3).to_string(), "\n")
    print(summary(tables).round(4).to_string())


if __name__ == "__main__":
    main()
