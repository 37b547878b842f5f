"""Encoders of views: invertibility, determinants, shapes, sizes; condition numbers."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.func import jacrev

from skmi.evaluation import fit_adversarial_invertible, jacobian_condition_numbers
from skmi.networks import RealNVP, ResidualMLP, make_view_encoder
from skmi.representation import AutoencoderTransformer, TwoViewInfoMaxTransformer


def rough(network, seed=0):
    """The network with random weights throughout, none of them at its start."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        scale = parameter.shape[-1] ** -0.5
        parameter.data = scale * torch.randn(parameter.shape, generator=generator)
    return network


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shift_only", [True, False])
@pytest.mark.parametrize("n_features", [2, 5, 8])
def test_realnvp_inverts_and_knows_its_determinant(n_features, shift_only):
    flow = rough(RealNVP(n_features, 6, (16,), shift_only=shift_only)).double()
    x = 2 * normal(20, n_features).double()
    y, log_det = flow.with_log_det(x)
    assert (y - x).abs().mean() > 0.1
    torch.testing.assert_close(flow(x), y)
    torch.testing.assert_close(flow.inverse(y), x)
    for row, expected in zip(x[:5], log_det, strict=False):
        jacobian = jacrev(lambda v: flow(v[None])[0])(row)
        assert torch.linalg.slogdet(jacobian)[1].item() == pytest.approx(expected.item(), abs=1e-8)
    assert (log_det == 0).all() if shift_only else log_det.abs().min() > 1e-3


def test_realnvp_of_thirty_layers_rebuilds_in_single_precision():
    flow = make_view_encoder("realnvp", (1, 4, 8), 7, width=32)
    assert len(flow.layers) == 30
    torch.testing.assert_close(flow(normal(3, 1, 4, 8)), normal(3, 1, 4, 8).flatten(1))  # identity
    x = normal(200, 32)
    assert (rough(flow).inverse(flow(x)) - x).abs().max() < 1e-3
    with pytest.raises(ValueError, match="n_features=1"):
        RealNVP(1)


def test_residual_layers_start_near_the_identity_and_are_it_with_zero_weights():
    network, x = ResidualMLP(30), normal(50, 30)
    singular = torch.linalg.svdvals(torch.stack([jacrev(network)(row[None])[0, :, 0] for row in x]))
    assert (singular.amax(1) / singular.amin(1)).max() < 3
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    torch.testing.assert_close(network(x), x)


def test_sizes_are_those_of_the_paper():
    # Tschannen et al. 2020, section 3.3: 238k and 220k parameters, for half of an MNIST digit
    def count(name):
        network = make_view_encoder(name, (1, 14, 28), 100)
        return sum(parameter.numel() for parameter in network.parameters())

    assert count("mlp") == 392 * 300 + 300 + 300 * 300 + 300 + 300 * 100 + 100
    assert round(count("mlp"), -3) == 238_000 and round(count("convnet"), -4) == 220_000
    flow = make_view_encoder("realnvp", (1, 14, 28), 100)
    assert flow.layers[0].net[0].out_features == flow.layers[0].net[2].out_features == 512


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 7, 4), (1, 14, 28)])
def test_convnet_takes_images_of_any_size(shape):
    network = make_view_encoder("convnet", shape, 6, width=4)
    assert network(normal(5, *shape)).shape == (5, 6)


def test_unfit_shapes_and_names():
    with pytest.raises(ValueError, match="'convnet' takes images"):
        make_view_encoder("convnet", (5,), 2)
    with pytest.raises(ValueError, match=r"Unknown encoder 'cnn'.*'realnvp'"):
        make_view_encoder("cnn", (5,), 2)


# -------------------------------------------------------------------- condition numbers


def test_condition_numbers_of_linear_maps():
    layer = nn.Linear(4, 3, bias=False)
    singular = torch.linalg.svdvals(layer.weight.detach().double())
    numbers = jacobian_condition_numbers(layer, normal(40, 4).numpy(), percentiles=None)
    np.testing.assert_allclose(numbers, (singular[0] / singular[-1]).item(), rtol=1e-4)
    layer.weight.data[0] = layer.weight.data[1]
    assert (jacobian_condition_numbers(layer, np.eye(4), percentiles=None) > 1e5).all()
    nn.init.zeros_(layer.weight)
    assert np.isinf(jacobian_condition_numbers(layer, np.eye(4), percentiles=[50])).all()


def test_condition_numbers_differ_by_row_and_are_invariant_to_scale():
    class Stretch(nn.Module):
        def forward(self, x):
            return 5 * torch.stack([x[:, 0], x[:, 1] ** 2 / 2], dim=1)  # Jacobian diag(1, x_2)

    X = np.array([[7.0, 1.0], [7.0, 4.0], [7.0, 0.25]])
    numbers = jacobian_condition_numbers(Stretch(), X, percentiles=None)
    np.testing.assert_allclose(numbers, [1, 4, 4])
    np.testing.assert_allclose(jacobian_condition_numbers(Stretch(), X), [1, 1, 4, 4, 4, 4])


def test_condition_numbers_of_transformers():
    X = normal(40, 6).numpy()
    options = {"max_epochs": 1, "random_state": 0}
    infomax = TwoViewInfoMaxTransformer(encoder="realnvp", encoder_width=4, **options).fit(X)
    start = jacobian_condition_numbers(infomax.encoder_, normal(20, 3).numpy())
    assert (start >= 1).all() and (np.diff(start) >= 0).all()
    np.testing.assert_allclose(
        jacobian_condition_numbers(infomax, X),
        jacobian_condition_numbers(infomax.encoder_, infomax.encoder_rows(X).numpy()),
    )
    autoencoder = AutoencoderTransformer(2, encoder_width=8, **options).fit(X)
    assert jacobian_condition_numbers(autoencoder, X[:5], percentiles=None).shape == (5,)
    with pytest.raises(TypeError, match="no encoder_"):
        jacobian_condition_numbers(LogisticRegression().fit(X, X[:, 0] > 0), X)


def test_adversarial_encoder_can_be_inverted_and_hides_the_classes():
    X, y = load_digits(return_X_y=True)
    X = X[:, :32].astype(np.float32) / 16
    flow = RealNVP(32, 6, (64, 64))
    hidden = fit_adversarial_invertible(
        X,
        y,
        encoder=flow,
        n_steps=400,
        n_warm_up=100,
        every=3,
        encoder_learning_rate=1e-3,
        classifier_learning_rate=1e-2,
        random_state=0,
    )
    x = torch.from_numpy(X)
    with torch.no_grad():
        Z = hidden(x)
        assert (hidden.inverse(Z) - x).abs().max() < 1e-4
        torch.testing.assert_close(flow(x), x)  # the one given is left as it was

    def accuracy(rows):
        rows = (rows - rows.mean(0)) / rows.std()
        model = LogisticRegression(max_iter=2000).fit(rows[:1200], y[:1200])
        return model.score(rows[1200:], y[1200:])

    assert accuracy(Z.numpy()) < accuracy(X) - 0.05
    with pytest.raises(ValueError, match="same number of rows"):
        fit_adversarial_invertible(X, y[:-1])
    with pytest.raises(ValueError, match="Unknown label type"):
        fit_adversarial_invertible(X, X[:, 3] + 0.5 * X[:, 10])
    with pytest.raises(ValueError, match="the one class 4"):
        fit_adversarial_invertible(X, np.full(len(X), 4))


@pytest.mark.parametrize(("n_warm_up", "n_steps"), [(0, 7), (3, 40), (25, 11)])
def test_steps_of_the_adversaries(n_warm_up, n_steps):
    calls = []

    class Counted(RealNVP):
        def forward(self, x):
            calls.append(torch.is_grad_enabled())
            return super().forward(x)

    options = {"n_warm_up": n_warm_up, "n_steps": n_steps, "every": 5, "batch_size": 16}
    X, y = normal(100, 4).numpy(), np.arange(100) % 3  # 6 steps an epoch
    fit_adversarial_invertible(X, y, encoder=Counted(4, 2, (8,)), **options, random_state=0)
    calls = calls[1:]  # a look at the width
    # as many as are asked for, but for less than one for each epoch
    classifier, encoder = calls.count(False), calls.count(True)
    assert 0 <= classifier - (n_warm_up + n_steps) <= (n_warm_up + n_steps) / 6
    assert abs(encoder - n_steps / 5) <= 1.5
