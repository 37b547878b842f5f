"""InfoNCE of benchmark-mi on the tasks of a benchmark file, on one thread.

Run with benchmark-mi's own interpreter (see ``environments.py``):
``python run_benchmark_mi.py DATA.npz [task names...]``.

``InfoNCEEstimator()`` with all its defaults: it standardises, trains on half of the rows and
returns the largest value seen on the other half. Only its progress bar is off. The seconds include
the compilation by jax, which comes with every new task.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import sys

import bmi
from measure import measure


def infonce(x, y):
    return bmi.estimators.InfoNCEEstimator(verbose=False).estimate(x, y)


if __name__ == "__main__":
    measure(infonce, sys.argv[1:])
