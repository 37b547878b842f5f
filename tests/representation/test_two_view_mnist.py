"""Two-view InfoMax on the halves of MNIST digits: what Tschannen et al. (2020) find there."""

import os
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from skmi.datasets import load_mnist
from skmi.evaluation import fit_adversarial_invertible, jacobian_condition_numbers
from skmi.networks import RealNVP
from skmi.representation import TwoViewInfoMaxTransformer

EXAMPLE = Path(__file__).parents[2] / "examples" / "two_view_mnist.py"
N_ROWS = 60_000
STEPS = 468  # of an epoch

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "SKMI_MNIST" not in os.environ, reason="set SKMI_MNIST to the file that load_mnist reads"
    ),
]


@pytest.fixture(scope="module")
def data():
    return load_mnist(os.environ["SKMI_MNIST"])


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLE))


@pytest.fixture(scope="module")
def accuracy(data, example):
    """The test accuracy of a linear classifier on representations of the images."""
    return lambda Z, Z_test: example["probe"](Z, data.y_train, Z_test, data.y_test)


@pytest.fixture(scope="module")
def tops(data):
    """The top halves of all images, as rows."""
    halves = (X[:, :14].reshape(len(X), -1) for X in (data.X_train, data.X_test))
    return [np.float32(half / 255) for half in halves]


@pytest.fixture(scope="module")
def pixels(accuracy, tops):
    return accuracy(*tops)


def compare(data, example, settings, n_epochs, learning_rate=1e-4):
    return example["compare"](data, settings, N_ROWS, n_epochs, learning_rate, "bfloat16")


def test_critics(data, example, pixels):
    # figure 3: 21,060 steps, of the concat critic 4,680
    assert 0.845 <= pixels <= 0.855
    settings = {
        "bilinear": {},
        "separable": {"critic": "separable"},
        "separable, nwj": {"critic": "separable", "bound": "nwj"},
    }
    found = compare(data, example, settings, 45)
    assert found["bilinear"][1] >= 0.875
    assert found["separable"][1] > pixels and found["separable, nwj"][1] > pixels
    settings = {critic: {"critic": critic, "bound": "nwj"} for critic in ("separable", "concat")}
    found = compare(data, example, settings, 10)
    assert found["concat"][0] > found["separable"][0] + 0.1  # the bound
    assert found["concat"][1] < pixels


def test_realnvp_gains_and_can_be_inverted(data, accuracy, pixels):
    # figure 1 a, b: coupling networks 64 wide, 1,872 steps
    options = {"encoder": "realnvp", "encoder_width": 64, "max_epochs": 4, "random_state": 0}
    infomax = TwoViewInfoMaxTransformer(**options).fit(data.X_train)
    assert accuracy(infomax.transform(data.X_train), infomax.transform(data.X_test)) > pixels + 0.02
    rows, encoder = infomax.encoder_rows(data.X_test), infomax.encoder_
    with torch.no_grad():
        assert (encoder.inverse(encoder(rows)) - rows.flatten(1)).abs().max() < 1e-4


def test_an_invertible_encoder_may_fall_below_pixels(data, accuracy, tops, pixels):
    # figure 1 c: coupling networks 64 wide, 1,872 steps of the classifier
    torch.manual_seed(0)
    encoder = fit_adversarial_invertible(
        tops[0],
        data.y_train,
        encoder=RealNVP(392, hidden_layer_sizes=(64, 64)),
        n_steps=4 * STEPS,
        encoder_learning_rate=3e-4,
        classifier_learning_rate=1e-3,
        random_state=0,
    )
    rows = [torch.from_numpy(top) for top in tops]
    with torch.no_grad():
        Z = [encoder(part) for part in rows]
        assert (encoder.inverse(Z[1]) - rows[1]).abs().max() < 1e-4
    assert accuracy(*(z.numpy() for z in Z)) < pixels


def test_encoders_become_hard_to_invert(data, accuracy):
    # figure 2: the same noise on both halves of an image, 9,360 steps
    def noisy(X):
        noise = np.random.default_rng(0).normal(scale=0.05, size=(len(X), 14, 28))
        return (X / 255 + np.concatenate([noise, noise], axis=1)).astype(np.float32)

    X, X_test = noisy(data.X_train), noisy(data.X_test)
    options = {"encoder": "residual-mlp", "precision": "bfloat16", "random_state": 0}
    untrained = TwoViewInfoMaxTransformer(max_epochs=1, learning_rate=1e-12, **options)
    trained = TwoViewInfoMaxTransformer(max_epochs=20, learning_rate=1e-3, **options)
    both = untrained.fit(X[:1024]), trained.fit(X)
    before, after = (jacobian_condition_numbers(t, X_test[:128], percentiles=None) for t in both)
    assert np.median(after) > 10 * np.median(before)
    before, after = (accuracy(t.transform(X), t.transform(X_test)) for t in both)
    assert after > before + 0.01


def test_encoders_differ_at_matched_bounds(data, example):
    # figure 4 a, b: 1,872 steps
    settings = {
        (encoder, target): {"encoder": encoder, "target": target}
        for target in (2.0, 4.0)
        for encoder in ("mlp", "convnet")
    }
    found = compare(data, example, settings, 4, learning_rate=1e-3)
    for target in (2.0, 4.0):
        for encoder in ("mlp", "convnet"):
            assert found[encoder, target][0] == pytest.approx(target, abs=0.5)
        assert found["convnet", target][1] > found["mlp", target][1] + 0.01
