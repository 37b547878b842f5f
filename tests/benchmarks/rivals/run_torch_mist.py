"""SMILE of torch-mist on the tasks of a benchmark file, on one thread.

Run with torch-mist's own interpreter (see ``environments.py``):
``python run_torch_mist.py DATA.npz [task names...]``.

The one call ``estimate_mi`` with its defaults (joint critic with 128 hidden units, Adam, batches
of 128, 5,000 steps), but for three things:

- the columns are standardised, which torch-mist leaves to its user;
- a fifth of the rows is kept for the evaluation (``test_data``), as torch-mist's own warning asks;
  by default it evaluates on the rows it was trained on;
- all 5,000 steps are made, and the rows of the validation are given to the training. By default
  the training stops at the first epoch whose validation is worse, often after some 300 steps: it is
  quicker and has larger errors.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys

import torch
from measure import measure
from torch_mist import estimate_mi

TEST_FRACTION = 0.2


def smile(x, y):
    torch.manual_seed(0)
    order = torch.randperm(len(x))
    n_test = int(TEST_FRACTION * len(x))
    pair = {"x": standardised(x)[order], "y": standardised(y)[order]}
    mi, _ = estimate_mi(
        data={key: rows[n_test:] for key, rows in pair.items()},
        test_data={key: rows[:n_test] for key, rows in pair.items()},
        estimator="smile",
        early_stopping=False,
        valid_percentage=0,
        verbose=False,
    )
    return mi


def standardised(rows):
    rows = torch.as_tensor(rows, dtype=torch.float64)
    return ((rows - rows.mean(0)) / rows.std(0)).float()


if __name__ == "__main__":
    torch.set_num_threads(1)
    measure(smile, sys.argv[1:])
