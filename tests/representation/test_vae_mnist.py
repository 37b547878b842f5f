"""InfoMax-VAE on MNIST at a reduced budget: what Tables 1 to 3 show of the paper."""

import os
import runpy
from pathlib import Path

import pytest

from skmi.datasets import load_mnist

EXAMPLE = Path(__file__).parents[2] / "examples" / "infomax_vae_mnist.py"
BUDGET = {"n_rows": 10_000, "n_test": 2_000, "n_epochs": 30, "seeds": [0, 1, 2], "n_jobs": 2}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "SKMI_MNIST" not in os.environ, reason="set SKMI_MNIST to the file that load_mnist reads"
    ),
]


def table(study, networks, names):
    compare = runpy.run_path(str(EXAMPLE))["compare"]
    data = load_mnist(os.environ["SKMI_MNIST"])
    found = compare(
        data,
        study,
        **BUDGET,
        mine=study == "table",
        names=names,
        networks=networks,
        device="cpu",
    )
    return found.droplevel("networks")


def test_information_in_twenty_latent_variables():
    found = table("table", "convolutions", ["VAE", "beta-VAE", "InfoMax-VAE"])
    vae, beta, infomax = (found.loc[name] for name in ("VAE", "beta-VAE", "InfoMax-VAE"))
    assert infomax["AU"] == 20 and infomax["AU"] > vae["AU"] > beta["AU"]
    assert infomax["MI, MINE"] > vae["MI, MINE"] > beta["MI, MINE"]
    assert min(infomax["MI, at most"], vae["MI, at most"]) > beta["MI, at most"] + 5
    assert infomax["log-likelihood"] > vae["log-likelihood"] - 2


def test_a_deep_decoder_does_not_silence_the_latent_variables():
    found = table("depth", "10 layers", ["VAE", "InfoMax-VAE"])
    assert found.loc["VAE", "AU"] < 20
    assert found.loc["InfoMax-VAE", "AU"] >= 19
