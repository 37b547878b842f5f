"""Adversarial models at the budgets of docs/benchmarks.rst: what MINE and eta-DV show of them."""

import os
import runpy
from pathlib import Path

import pandas as pd
import pytest

from skmi.datasets import load_mnist

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "bench_generative.py"
needs_mnist = pytest.mark.skipif(
    "SKMI_MNIST" not in os.environ, reason="set SKMI_MNIST to the file that load_mnist reads"
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench():
    return runpy.run_path(str(BENCHMARK))


def last_rows(run, names, seeds, n_steps):
    """The last report of each model and seed, on 25 Gaussians, as a table for each measure."""
    rows = [run("grid", name, seed, n_steps, 0.99)[-1] for name in names for seed in seeds]
    return pd.DataFrame(rows).pivot(index="seed", columns="model")


def test_information_keeps_the_modes(bench):
    rows = last_rows(bench["gan"], bench["GANS"], range(3), 3000)
    modes, divergence = rows["modes"].median(), rows["KL"].median()
    assert modes["plain"] < 23 <= min(modes["MINE"], modes["eta-MINE"])
    assert divergence["plain"] > max(divergence["MINE"], divergence["eta-MINE"])


def test_information_lowers_the_error_of_ali(bench):
    rows = last_rows(bench["ali"], ["ALI", "ALI + MINE"], range(3), 1000)
    assert (rows["error"]["ALI + MINE"] / rows["error"]["ALI"]).median() < 0.75
    # all modes, by half the distance of neighbours: so few steps do not find how narrow they are,
    # and by this measure a uniform cloud has them all too
    assert (rows["wide"]["ALI + MINE"] == 25).all()
    assert (rows["wide"]["ALI + MINE"] >= rows["wide"]["ALI"]).all()


@needs_mnist
def test_information_lowers_the_error_of_ali_on_digits(bench):
    images = load_mnist(os.environ["SKMI_MNIST"])
    plain, mine = (bench["mnist"](images, name, 0) for name in ("ALI", "ALI + MINE"))
    assert mine["error"] < plain["error"]
