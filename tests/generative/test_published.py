"""Adversarial models at the budgets of docs/benchmarks.rst: what MINE and eta-DV show of them."""

import os
import runpy
from pathlib import Path

import pandas as pd
import pytest
from joblib import Parallel, delayed

from skmi.datasets import load_mnist

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "bench_generative.py"
needs_mnist = pytest.mark.skipif(
    "SKMI_MNIST" not in os.environ, reason="set SKMI_MNIST to the file that load_mnist reads"
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench():
    return runpy.run_path(str(BENCHMARK))


def one_run(what, *arguments):
    bench = runpy.run_path(str(BENCHMARK))
    return bench["one_thread"](bench[what], "grid", *arguments, {"precision": "bfloat16"})


def reports(what, names, seeds, n_steps):
    """All reports on 25 Gaussians, of two runs at a time."""
    tasks = [(what, name, seed, n_steps) for seed in seeds for name in names]
    runs = Parallel(2)(delayed(one_run)(*task) for task in tasks)
    return pd.DataFrame([row for run in runs for row in run])


def last(rows):
    """The last report of each model and seed, as a table for each measure."""
    rows = rows.groupby(["seed", "model"]).last()
    return rows.unstack("model")


def test_information_keeps_the_modes(bench):  # 13 minutes
    rows = reports("gan", bench["GANS"], range(5), 5000)
    at_end = last(rows)
    modes, divergence = at_end["modes"].median(), at_end["KL"].median()
    assert min(modes["MINE"], modes["eta-MINE"]) >= 23 and modes["MINE"] >= modes["plain"]
    assert (at_end["modes"]["plain"] < 25).sum() >= 3  # the plain GAN drops modes
    assert divergence["plain"] > max(divergence["MINE"], divergence["eta-MINE"])
    near = rows["steps"].where(rows["near"] >= 0.05, float("inf"))
    first = near.groupby([rows["model"], rows["seed"]]).min()
    assert first["eta-MINE"].median() < first["MINE"].median()


def test_information_lowers_the_error_of_ali(bench):  # 6 minutes
    rows = last(reports("ali", ["ALI", "ALI + MINE"], range(5), 6000))
    assert (rows["error"]["ALI + MINE"] / rows["error"]["ALI"]).median() < 0.75
    # all modes, where a uniform cloud hits 21, and has 0.018 of its rows near one
    assert (rows["modes"]["ALI + MINE"] == 25).all() and (rows["wide"]["ALI + MINE"] == 25).all()
    assert (rows["near"]["ALI + MINE"] > 0.1).all()


@needs_mnist
def test_information_lowers_the_error_of_ali_on_digits(bench):
    images = load_mnist(os.environ["SKMI_MNIST"])
    plain, mine = (bench["mnist"](images, name, 0) for name in ("ALI", "ALI + MINE"))
    assert mine["error"] < plain["error"]
