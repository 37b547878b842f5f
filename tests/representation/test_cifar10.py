"""Deep InfoMax on CIFAR-10 at a reduced budget: the order of the paper's Tables 1 and 5."""

import importlib
import os
from pathlib import Path

import pytest
from joblib.externals.loky import get_reusable_executor

from skmi.datasets import load_cifar10

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
@pytest.mark.skipif(
    "SKMI_CIFAR10" not in os.environ, reason="set SKMI_CIFAR10 to the file that load_cifar10 reads"
)
def test_local_information_keeps_classes(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    get_reusable_executor().shutdown()  # whose processes do not know the new path
    compare = importlib.import_module("dim_cifar10").compare
    data = load_cifar10(os.environ["SKMI_CIFAR10"])
    table = compare(data, n_rows=10_000, n_epochs=12, coordinates=True, n_jobs=2)
    accuracy = table["network"].unstack()["global"]
    for local in ("DIM(L) infoNCE", "DIM(L) JSD"):
        assert accuracy[local] > accuracy["VAE"]
        assert accuracy[local] > accuracy["DIM(G)"] > accuracy["untrained"]
    local = accuracy["DIM(L) infoNCE"]
    assert local > accuracy["DIM(L) JSD"]
    assert accuracy["DIM(L) + coordinates + occlusion"] > local  # Table 5
