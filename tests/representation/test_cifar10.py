"""Deep InfoMax on CIFAR-10 at a reduced budget: the order of the paper's Tables 1 and 5."""

import os
import runpy
from pathlib import Path

import pytest

from skmi.datasets import load_cifar10

EXAMPLE = Path(__file__).parents[2] / "examples" / "dim_cifar10.py"


@pytest.mark.slow
@pytest.mark.skipif(
    "SKMI_CIFAR10" not in os.environ, reason="set SKMI_CIFAR10 to the file that load_cifar10 reads"
)
def test_local_information_keeps_classes():
    compare = runpy.run_path(str(EXAMPLE))["compare"]
    data = load_cifar10(os.environ["SKMI_CIFAR10"])
    accuracy = compare(data, n_rows=10_000, n_epochs=12, coordinates=True)["network"].unstack()
    accuracy = accuracy["global"]
    local = accuracy["DIM(L) infoNCE"]
    assert local > accuracy["DIM(G)"] > accuracy["untrained"]
    assert local > accuracy["VAE"]
    assert accuracy["DIM(L) + coordinates + occlusion"] > local  # Table 5
