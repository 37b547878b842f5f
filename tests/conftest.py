"""Shared fixtures. SciPy reads SCIPY_ARRAY_API when it is first imported, so it is set here."""

import os

os.environ.setdefault("SCIPY_ARRAY_API", "1")

import numpy as np
import pytest
import torch

torch.set_num_threads(1)  # the tests run in parallel processes


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def gaussian_pair():
    """A sampler of Gaussians with component-wise correlation, and their MI in nats."""

    def sample(n_samples, n_features, rho, seed=0):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(n_samples, n_features))
        Y = rho * X + np.sqrt(1 - rho**2) * rng.normal(size=(n_samples, n_features))
        return X, Y, -0.5 * n_features * np.log(1 - rho**2)

    return sample
