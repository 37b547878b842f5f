"""The information bottleneck: the objective, known information, conventions, bad input."""

import copy
import math
import os
import pickle
import runpy
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence
from torch.nn import functional as F

from skmi import InformationBottleneckClassifier
from skmi.bottleneck import INFORMATION_BOUNDS, BottleneckObjective, GaussianNoise
from skmi.datasets import load_mnist
from skmi.evaluation import latent_mutual_information
from skmi.evaluation._latent import sampled_information
from skmi.exceptions import ConvergenceWarning, NonFiniteLossError
from skmi.plotting import InformationPlaneDisplay
from skmi.training import ETA_LEARNING_RATE

QUICK = {
    "n_components": 3,
    "hidden_layer_sizes": (16,),
    "critic_hidden": (8,),
    "encoder_width": 4,
    "n_critic": 1,
    "n_train_draws": 2,
    "max_epochs": 2,
    "random_state": 0,
}
NOISES = ["gaussian", "additive", "propagated"]
each_noise = pytest.mark.parametrize("noise", NOISES)


def bottleneck(beta=0.1, **options):
    return InformationBottleneckClassifier(beta, **QUICK | options)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X.astype(np.float32), y


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def labels(X):
    return (X[:, 0] > 0).astype(int)


# -------------------------------------------------------------------- the objective


def test_variational_loss_by_torch_distributions():
    X = normal(60, 4)
    fitted = bottleneck(0.3, bound="vib").fit(X, labels(X))
    x, y = fitted._scale(X), torch.from_numpy(labels(X))
    terms = fitted.objective_(x, y, player="model")
    encoder, head = fitted.encoder_, fitted.objective_.model["head"]
    mean, raw = encoder.encoder(x).y.chunk(2, 1)
    std = torch.log1p(raw.exp())
    z = mean + std * torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    prior = Independent(Normal(torch.zeros(60, 3), 1.0), 1)
    kl = kl_divergence(Independent(Normal(mean, std), 1), prior).mean().item()
    cross_entropy = -head(z).log_softmax(1)[torch.arange(60), y].mean().item()
    assert terms["information"].item() == pytest.approx(kl, rel=1e-4)
    assert terms["cross_entropy"].item() == pytest.approx(cross_entropy, rel=1e-4)
    assert terms["loss"].item() == pytest.approx(cross_entropy + 0.3 * kl, rel=1e-4)


@each_noise
def test_without_information_it_is_a_plain_classifier_loop(noise, monkeypatch):
    X, batches, forward = normal(96, 4), [], BottleneckObjective.forward

    def record(self, x, y, player):
        if self.training:
            state = self.generator.get_state()
            draws = torch.randn(len(x), 3 if noise == "gaussian" else 4, generator=self.generator)
            self.generator.set_state(state)
            if not batches:
                batches.append(copy.deepcopy(self.model))
            batches.append((x.clone(), y.clone(), draws))
        return forward(self, x, y, player)

    monkeypatch.setattr(BottleneckObjective, "forward", record)
    options = {"encoder_noise": noise, "batch_size": 32, "averaging": 0.0}
    fitted = bottleneck(0.0, **options).fit(X, labels(X))
    model, *batches = batches
    assert len(batches) == 6 and fitted.objective_.critic is None
    assert set(fitted.history_[0]) == {"epoch", "seconds", "train_loss", "train_cross_entropy"}
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    network, standardize = model["encoder"].encoder, nn.BatchNorm1d(3, affine=False)
    limit = lambda codes: math.sqrt(32 / 3) * standardize(codes)  # noqa: E731
    for x, y, draws in batches:
        if noise == "gaussian":
            mean, raw = network(x).y.chunk(2, 1)
            z = limit(mean) + F.softplus(raw) * draws
        elif noise == "additive":
            z = limit(network(x + 0.5 * draws).y)
        else:
            z = limit(network(torch.cat([x, draws], 1)).y)
        optimizer.zero_grad()
        F.cross_entropy(model["head"](z), y).backward()
        optimizer.step()
    own = dict(model.named_parameters())
    for name, weights in fitted.objective_.model.named_parameters():
        free = 3 if name == "encoder.encoder.output.bias" else 0  # of these 3 there is no gradient
        assert torch.allclose(weights[free:], own[name][free:], atol=1e-5), name


def test_gaussian_codes_are_a_channel_of_limited_power():
    # means of one deviation, whatever the size of the encoder's output, so that noise stays noise
    power = math.sqrt(32 / 3)  # three columns have the variance of 32
    X = normal(400, 4)
    fitted = bottleneck(batch_size=100, max_epochs=30).fit(X, labels(X))
    encoder = copy.deepcopy(fitted.encoder_).train()
    x = fitted._scale(X)
    z, raw = encoder.encoder(x).y.chunk(2, 1)
    for size in (1.0, 100.0):
        means, stds = encoder.read_posterior(torch.cat([size * z, raw], 1))
        unit = (z - z.mean(0)) / z.std(0, correction=0)
        assert torch.allclose(means, power * unit, atol=5e-3)
        assert torch.allclose(stds, torch.log1p(raw.exp()), rtol=1e-4)
    means, stds = fitted.posterior(X)  # by the running moments, the same for every row
    assert np.abs(means.mean(0)).max() < 0.2 * power
    np.testing.assert_allclose(means.std(0), power, rtol=0.2)
    np.testing.assert_allclose(fitted.posterior(X[:3])[0], means[:3], atol=1e-5)
    np.testing.assert_allclose(fitted.transform(X), means, atol=1e-5)


@pytest.mark.parametrize("noise", ["additive", "propagated"])
@pytest.mark.parametrize("n_components", [2, 40])
def test_noisy_codes_have_fixed_variances(noise, n_components):
    X = normal(2000, 4)
    options = {"encoder_noise": noise, "batch_size": 200, "max_epochs": 10}
    fitted = bottleneck(0.0, n_components=n_components, **options).fit(X, labels(X))
    codes = fitted.sample_codes(X, random_state=0)
    power = {2: 4.0, 40: 1.0}[n_components]
    assert np.abs(codes.mean(0)).max() < 0.3 * power
    np.testing.assert_allclose(codes.std(0), power, rtol=0.35)


def test_the_critic_climbs_what_the_encoder_descends():
    X = normal(100, 4)
    fitted = bottleneck(0.5, n_critic=3, batch_size=50).fit(X, labels(X))
    steps = {
        name: {int(s["step"]) for s in state["state"].values()}
        for name, state in fitted._training_state["optimizers"].items()
    }
    assert steps == {"model": {4}, "critic": {12}}
    objective, x, y = fitted.objective_, fitted._scale(X), torch.from_numpy(labels(X))
    terms = objective(x, y, player="model")
    expected = terms["cross_entropy"] + 0.5 * terms["information"]  # dv is in nats itself
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    objective.zero_grad()
    objective(x, y, player="critic")["loss"].backward()  # does not reach the encoder
    assert all(p.grad is None for p in objective.model.parameters())
    climbs = [p.grad.clone() for p in objective.critic.parameters()]
    objective.zero_grad()
    generator = torch.Generator().manual_seed(0)  # the draws of the critic's player
    known, codes = objective._last
    codes = [next(codes) for _ in range(fitted.n_train_draws)]
    value, _ = objective.critic(known, codes[-1], generator)  # as many were drawn as it has used
    value.backward()
    for climb, parameter in zip(climbs, objective.critic.parameters(), strict=True):
        assert torch.allclose(climb, -parameter.grad, atol=1e-6)


@each_noise
def test_what_the_critic_is_told_of_rows(noise):
    X = normal(300, 4)
    fitted = bottleneck(encoder_noise=noise, noise_std=2.0).fit(X, labels(X))
    encoder, x = fitted.encoder_, fitted._scale(X)
    codes, known = encoder.draw(x, 3, torch.Generator().manual_seed(0))
    assert len(codes) == 3 and known.shape == (300, 6) and not known.requires_grad
    torch.testing.assert_close(codes[0], encoder.sample(x, torch.Generator().manual_seed(0)))
    if noise == "gaussian":
        expected = np.concatenate(fitted.posterior(X), axis=1)
        np.testing.assert_allclose(known.numpy(), expected, atol=1e-5)
        torch.testing.assert_close((codes[0] + codes[1]) / 2, known[:, :3])  # mirrored noise
    else:  # the moments of codes, by draws that have nothing in common with those it is shown
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            many = torch.stack([encoder.sample(x, generator) for _ in range(2000)])
            draws = [encoder.draw(x, 1, generator) for _ in range(400)]
        shown, told = (
            torch.stack([code for (code,), _ in draws]),
            torch.stack([k for _, k in draws]),
        )
        means, stds = many.mean(0), many.std(0)
        assert (told[..., :3].mean(0) - means).abs().max() < 0.2 * stds.max()
        assert ((told[..., 3:].mean(0) / stds).log().abs() < 0.2).all()
        errors, off = (told[..., :3] - means) / stds, (shown - means) / stds
        assert abs((errors * off).mean().item()) < 0.01
    # what it is told leaves no trace in batch norm: of Gaussian codes there is one pass, of
    # others one for each draw that it is shown
    encoder.train().draw(x, 3, torch.Generator())
    before = fitted.encoder_.standardize.num_batches_tracked.item()
    encoder.draw(x, 3, torch.Generator())
    after = encoder.standardize.num_batches_tracked.item()
    assert after - before == {"gaussian": 1}.get(noise, 3) and encoder.standardize.training


def test_mirrored_noise_steadies_the_gradient():
    # of the means of Gaussian codes, of a critic that is quadratic in the codes
    X = normal(50, 4)
    fitted = bottleneck().fit(X, labels(X))
    encoder, x = fitted.encoder_, fitted._scale(X)

    def spread(n_draws):
        gradients = []
        for seed in range(30):
            codes, known = encoder.draw(x, n_draws, torch.Generator().manual_seed(seed))
            value = torch.stack([(z - known[:, :3]).square().sum() for z in codes]).mean()
            bias = encoder.encoder.output.bias
            gradients.append(torch.autograd.grad(value, bias)[0][:3])
        return torch.stack(gradients).std(0).max().item()

    encoder.standardize = None
    assert spread(1) > 0.1 and spread(2) < 1e-4


def test_the_normaliser_moves_at_a_rate_of_its_own():
    X = normal(100, 4)
    fitted = bottleneck(bound="eta-dv", critic_learning_rate=1e-5).fit(X, labels(X))
    rates = {g["lr"] for g in fitted._training_state["optimizers"]["critic"]["param_groups"]}
    assert rates == {1e-5, ETA_LEARNING_RATE}


def test_an_interrupted_fit_has_its_compression():
    def interrupt(*_):
        calls.append(1)
        if len(calls) == 2 * 8:  # two batches an epoch: while the last is trained
            raise KeyboardInterrupt

    X, calls = normal(40, 4), []
    encoder = nn.Linear(4, 6)
    encoder.register_forward_hook(interrupt)
    options = {"encoder": encoder, "n_components": 3, "max_epochs": 50, "batch_size": 20}
    model = bottleneck(beta=0.0, **options)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, labels(X))
    assert 0 < model.n_iter_ < 50 and 0 < model.compression_ <= np.log(40)


def test_noise_of_the_critic_is_for_training_only():
    layer, x = GaussianNoise(0.5), torch.zeros(20_000)
    layer.generator = torch.Generator().manual_seed(0)
    assert layer.train()(x).std().item() == pytest.approx(0.5, rel=0.05)
    assert torch.equal(layer.eval()(x), x)
    options = {"critic_noise": (0.3, 0.5)}
    fitted = bottleneck(**options).fit(normal(40, 4), labels(normal(40, 4)))
    stds = [m.std for m in fitted.objective_.critic.modules() if isinstance(m, GaussianNoise)]
    assert sorted(stds) == [0.3, 0.5]  # of the inputs, and of the one hidden layer


def test_codes_are_compared_whatever_their_scale():
    X = normal(400, 4)
    fitted = bottleneck().fit(X, labels(X))
    critic, generator = fitted.objective_.critic.train(), torch.Generator().manual_seed(0)
    (z,), x = fitted.encoder_.draw(fitted._scale(X), 1, generator)
    small, large = (
        critic(x, scale * z, torch.Generator().manual_seed(0))[0].item() for scale in (1, 1000)
    )
    assert small == pytest.approx(large, abs=1e-4)


# ------------------------------------------------------------------ known information


def channel(n_outputs, weight=1.0):
    """A linear encoder of two columns; Gaussian codes have deviation 1."""
    linear = nn.Linear(2, n_outputs)
    with torch.no_grad():
        linear.weight.zero_()
        linear.weight[:2] = weight * torch.eye(2)
        linear.bias[:] = np.log(np.e - 1) * (torch.arange(n_outputs) >= 2)
    return linear


FROZEN = {"n_components": 2, "learning_rate": 1e-9, "n_critic": 1, "random_state": 0}


@pytest.mark.parametrize("weight", [0.5, 1.0, 3.0])
def test_compression_of_a_gaussian_channel_by_its_density(weight):
    # z = a x + e has log(1 + a^2) / 2 nats a column
    X = normal(3000, 2)
    options = {"bound": "vib", "max_epochs": 1, "encoder": channel(4, weight)}
    fitted = InformationBottleneckClassifier(**FROZEN, **options).fit(X, labels(X))
    assert fitted.compression_ == pytest.approx(np.log1p(weight**2), abs=0.08)
    # the closed form of the divergence from the prior is above it
    kl = fitted.evaluate(X, labels(X))["information"]
    assert kl == pytest.approx(weight**2, rel=0.05) and kl > fitted.compression_


@pytest.mark.parametrize("bound", sorted(set(INFORMATION_BOUNDS) - {"infonce"}))
def test_the_critic_finds_the_information_of_an_additive_channel(bound):
    # z = x + e, log 2 / 2 nats a column
    X = normal(3000, 2)
    options = {"bound": bound, "encoder_noise": "additive", "noise_std": 1.0, "max_epochs": 12}
    options |= {"encoder": channel(2), "critic_hidden": (64,), "critic_learning_rate": 3e-3}
    fitted = InformationBottleneckClassifier(**FROZEN, **options).fit(X, labels(X))
    fresh = normal(3000, 2, seed=1)
    found = fitted.set_params(batch_size=3000).evaluate(fresh, labels(fresh))["information"]
    assert found == pytest.approx(np.log(2), abs=0.1)


def test_the_critic_finds_the_information_of_a_gaussian_channel():
    # by posteriors: z = 4 x + e, of the fixed power, log 17 / 2 nats a column
    X, fresh = normal(3000, 2), normal(3000, 2, seed=1)
    options = {"encoder": channel(4), "critic_hidden": (64,), "max_epochs": 20}
    fitted = InformationBottleneckClassifier(**FROZEN, **options).fit(X, labels(X))
    found = fitted.set_params(batch_size=3000).evaluate(fresh, labels(fresh))["information"]
    assert found == pytest.approx(np.log(17), abs=0.25)
    assert fitted.compression_ == pytest.approx(np.log(17), abs=0.1)


@pytest.mark.parametrize("noise", ["additive", "propagated"])
@pytest.mark.parametrize("std", [0.3, 1.0, 3.0])
def test_compression_of_a_channel_whose_density_is_not_known(noise, std):
    # z = A (x + s e) with correlated columns, one of them noise alone: log(1 + 1 / s^2) nats
    X, encoder = normal(3000, 2), nn.Linear({"additive": 2, "propagated": 4}[noise], 3, bias=False)
    mixing = torch.tensor([[1.0, 0.9], [0.0, 0.1], [1.0, -1.0]])
    parts = [mixing] if noise == "additive" else [mixing, std * mixing]
    encoder.weight.data = torch.cat(parts, dim=1)
    options = FROZEN | {"n_components": 3, "encoder": encoder, "beta": 0.0, "max_epochs": 1}
    options |= {"encoder_noise": noise, "noise_std": std}
    fitted = InformationBottleneckClassifier(**options).fit(X, labels(X))
    assert fitted.compression_ == pytest.approx(np.log1p(std**-2), abs=0.1)


def test_sampled_information_is_a_lower_bound(rng):
    # five rows, codes of two columns that are far from normal: I = log 5 - H(x | z) by counting
    cells = rng.dirichlet(np.ones(4), size=5)
    draw = lambda n: (rng.random((n, 5, 1)) > cells.cumsum(1)).sum(-1)  # noqa: E731
    places = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]])
    exact = (cells * np.log(cells / cells.mean(0))).sum() / 5
    z = draw(4000)
    value = sampled_information(places[draw(500)], places[z].reshape(-1, 2), np.arange(z.size) % 5)
    assert 0.2 * exact < value < exact + 0.01
    same = rng.normal(size=(16, 50, 8))  # codes that say nothing
    rows = np.arange(2000) % 50
    assert sampled_information(same, rng.normal(size=(2000, 8)), rows) < 0.03


@each_noise
def test_codes_that_are_drawn_have_that_information(noise):
    X = normal(2000, 2)
    options = {"encoder_noise": noise, "noise_std": 1.0}
    encoder = channel({"gaussian": 4, "additive": 2, "propagated": 2}[noise])
    if noise == "propagated":
        encoder = nn.Linear(4, 2, bias=False)
        encoder.weight.data = torch.cat([torch.eye(2), torch.eye(2)], dim=1)
    options |= {"encoder": encoder, "max_epochs": 1, "critic_hidden": (8,)}
    fitted = InformationBottleneckClassifier(**FROZEN, **options).fit(X, labels(X))
    Z = fitted.sample_codes(X, random_state=0)
    rho2 = [np.corrcoef(X[:, d], Z[:, d])[0, 1] ** 2 for d in range(2)]
    signal = 16 if noise == "gaussian" else 1  # of two columns with the variance of 32, or as given
    assert -np.log1p(-np.array(rho2)).sum() / 2 == pytest.approx(np.log1p(signal), abs=0.1)
    clean = fitted.transform(X)
    assert all(np.corrcoef(X[:, d], clean[:, d])[0, 1] > 1 - 1e-6 for d in range(2))


def test_information_falls_with_beta_and_is_never_less_than_relevance(digits):
    X, y = digits
    fits = [
        bottleneck(beta, bound="vib", n_components=8, hidden_layer_sizes=(64,), max_epochs=25)
        .fit(X, y)
        for beta in (1e-3, 1e-2, 1e-1, 1.0)
    ]  # fmt: skip
    compression = [fit.compression_ for fit in fits]
    assert (np.diff(compression) < -0.1).all() and compression[0] <= np.log(len(X))
    entropy = np.log(10)
    for fit in fits:
        terms = fit.evaluate(X, y)
        relevance = entropy - terms["cross_entropy"]
        assert relevance < min(entropy, fit.compression_) + 0.05
        assert fit.compression_ < terms["information"] + 0.1  # an upper bound
    assert compression[-1] < 2.5 and fits[0].score(X, y) > 0.95


@pytest.mark.parametrize("noise", ["gaussian", pytest.param("additive", marks=pytest.mark.slow)])
@pytest.mark.parametrize("seed", [0, *(pytest.param(k, marks=pytest.mark.slow) for k in (1, 2))])
@pytest.mark.filterwarnings("ignore:The critic finds")
def test_the_critic_lowers_the_information_by_default(digits, noise, seed):
    # that of the densities or of draws, which the critic does not see
    X, y = digits[0][:600], digits[1][:600]
    options = {"encoder_noise": noise, "noise_std": 1.0, "random_state": seed, "max_epochs": 30}
    options |= {"n_components": 8, "hidden_layer_sizes": (64,), "critic_hidden": (64, 64)}
    compression = [
        InformationBottleneckClassifier(beta, **options).fit(X, y).compression_
        for beta in (1e-3, 0.5, 3.0)
    ]
    assert (np.diff(compression) < -0.1).all()


def test_latent_measures_take_its_posterior(digits):
    X, y = digits
    fitted = bottleneck(bound="vib").fit(X, y)
    value = latent_mutual_information(*fitted.posterior(X), random_state=0)
    assert value == pytest.approx(fitted.compression_, abs=0.1)
    np.testing.assert_array_equal(fitted.posterior(X)[0], fitted.transform(X))
    assert not hasattr(bottleneck(encoder_noise="additive"), "posterior")


# ------------------------------------------------------------------------- accuracy


def compare_with_a_perceptron(X, y, **options):
    """Mean accuracies over three splits, of the bottleneck and of a net of its size."""
    scores = []
    for seed in range(3):
        parts = train_test_split(X, y, test_size=0.3, random_state=seed, stratify=y)
        X_train, X_test, y_train, y_test = parts
        options |= {"random_state": seed}
        ours = InformationBottleneckClassifier(hidden_layer_sizes=(128,), **options)
        theirs = make_pipeline(StandardScaler(), MLPClassifier((128, 32), random_state=seed))
        scores.append([c.fit(X_train, y_train).score(X_test, y_test) for c in (ours, theirs)])
    return np.mean(scores, axis=0)


@pytest.mark.slow
def test_as_good_as_a_perceptron_of_its_size(digits):
    ours, theirs = compare_with_a_perceptron(*digits, bound="vib")
    assert ours >= theirs


@pytest.mark.slow
@each_noise
def test_as_good_as_a_perceptron_with_a_critic(digits, noise):
    ours, theirs = compare_with_a_perceptron(*digits, encoder_noise=noise, critic_hidden=(128, 128))
    assert ours >= theirs


@pytest.mark.slow
@pytest.mark.skipif(
    "SKMI_MNIST" not in os.environ, reason="set SKMI_MNIST to the file that load_mnist reads"
)
def test_better_than_the_net_without_noise_on_mnist():
    # MINE, Table 3, at the budget of docs/benchmarks.rst
    path = Path(__file__).parent / "benchmarks" / "bench_bottleneck.py"
    bench = runpy.run_path(str(path))
    arguments = bench["read_arguments"]([os.environ["SKMI_MNIST"]])
    mnist = load_mnist(os.environ["SKMI_MNIST"])
    names = ["Baseline", "MINE, Gaussian", "MINE, propagated", "MINE, additive"]
    errors = {
        name: np.mean([bench["measure"](mnist, arguments, name, s)["error"] for s in range(3)])
        for name in names
    }
    baseline = errors.pop("Baseline")
    assert max(errors.values()) < baseline
    for name in ("VIB", "MINE, Gaussian", "MINE, additive"):
        plane = [
            bench["measure"](mnist, arguments, name, 0, beta=beta, n_components=8)["I(X;Z)"]
            for beta in bench["BETAS"]
        ]
        assert (np.diff(plane) < 0).all()


# ----------------------------------------------------------------------- predictions


@each_noise
def test_predictions_are_of_one_row_and_average_over_draws(digits, noise):
    X, y = digits[0][:300], digits[1][:300]
    fitted = bottleneck(encoder_noise=noise, max_epochs=5, noise_std=1.0).fit(X, y)
    together = fitted.predict_proba(X)
    np.testing.assert_allclose(together[7:9], fitted.predict_proba(X[7:9]), atol=1e-6)
    np.testing.assert_array_equal(together, fitted.predict_proba(X))
    np.testing.assert_allclose(together.sum(1), 1, atol=1e-5)
    # by hand, with independent draws for each row
    head, x = fitted.objective_.model["head"], fitted._scale(X)
    with torch.no_grad():
        draws = [fitted.encoder_.sample(x, torch.Generator().manual_seed(k)) for k in range(3000)]
        expected = torch.stack([head(z).softmax(1) for z in draws]).mean(0).numpy()
    many = fitted.set_params(n_draws=3000).predict_proba(X)
    np.testing.assert_allclose(many, expected, atol=0.06)
    assert np.abs(many - expected).mean() < np.abs(together - expected).mean()


# ------------------------------------------------------------------------ conventions


CHECKED = {"max_epochs": 8, "batch_size": 20, "learning_rate": 3e-2, "averaging": 0.9}


@parametrize_with_checks(
    [
        bottleneck(1e-3, **CHECKED),
        bottleneck(1e-3, encoder_noise="propagated", **CHECKED),
        bottleneck(1e-3, bound="vib", **CHECKED),
    ],
    xfail_strict=True,
)
@pytest.mark.filterwarnings("ignore:The critic finds")
@pytest.mark.filterwarnings("ignore:.*is few for beta")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("bound", [*INFORMATION_BOUNDS, "vib", None])
@each_noise
def test_every_kind_is_saved(tmp_path, noise, bound):
    if bound == "vib" and noise != "gaussian":
        pytest.skip("needs the density")
    X = normal(80, 4)
    y = np.where(X[:, 0] > 0, "high", "low")
    options = {"encoder_noise": noise, "averaging": 0.0}
    options |= {"beta": 0.0} if bound is None else {"bound": bound}
    fitted = bottleneck(**options).fit(X, y)
    assert 0 <= fitted.compression_ <= np.log(80)
    fitted.save(tmp_path / "bottleneck.safetensors")
    loaded = InformationBottleneckClassifier.load(tmp_path / "bottleneck.safetensors")
    for other in (loaded, pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(other.predict_proba(X), fitted.predict_proba(X))
        np.testing.assert_array_equal(other.compression_, fitted.compression_)
        assert other.predict(X).tolist() == fitted.predict(X).tolist()
        assert other.history_ == fitted.history_ and str(other) == str(fitted)
        assert other.evaluate(X, y) == fitted.evaluate(X, y)
        other.set_params(warm_start=True).fit(X, y)
        assert other.n_iter_ == 4


def test_same_seed_same_bits_and_global_generators_left_alone(digits):
    X, y = digits[0][:200], digits[1][:200]
    states = torch.get_rng_state(), pickle.dumps(np.random.get_state())  # noqa: NPY002
    first, second = (bottleneck().fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert first.compression_ == second.compression_
    assert torch.equal(torch.get_rng_state(), states[0])
    assert pickle.dumps(np.random.get_state()) == states[1]  # noqa: NPY002
    other = bottleneck(random_state=1).fit(X, y)
    assert np.abs(first.predict_proba(X) - other.predict_proba(X)).max() > 1e-3
    a, b, c = (first.sample_codes(X, random_state=seed) for seed in (0, 0, 1))
    assert np.array_equal(a, b) and np.abs(a - c).max() > 0.01


@each_noise
def test_parts_are_the_whole(noise):
    X = normal(90, 4)
    options = {"encoder_noise": noise, "averaging": 0.0, "batch_size": 30}
    whole = bottleneck(**options, max_epochs=3).fit(X, labels(X))
    parts = bottleneck(**options)
    for _ in range(3):
        parts.partial_fit(X, labels(X), classes=[0, 1])
    np.testing.assert_array_equal(parts.predict_proba(X), whole.predict_proba(X))
    again = bottleneck(**options, max_epochs=1, warm_start=True)
    for _ in range(3):
        again.fit(X, labels(X))
    np.testing.assert_array_equal(again.predict_proba(X), whole.predict_proba(X))


def test_classes_of_later_rows():
    X, y = normal(60, 4), np.arange(60) % 3
    parts = bottleneck().partial_fit(X[y < 2], y[y < 2], classes=[0, 1, 2])
    assert parts.partial_fit(X, y).classes_.tolist() == [0, 1, 2]
    assert parts.class_prior_.tolist() == [0.5, 0.5, 0.0]
    with pytest.raises(ValueError, match=r"y holds \[3\], but the classes are \[0, 1, 2\]"):
        parts.partial_fit(X, y + 1)
    parts.set_params(n_train_draws=5).partial_fit(X, y)
    assert parts.objective_.n_draws == 5
    with pytest.raises(ValueError, match=r"classes=\[0, 1\] are not those of the first call"):
        parts.partial_fit(X, y, classes=[0, 1])
    assert parts.predict_proba(X).shape == (60, 3)  # bad labels do not cost the networks


def test_in_a_pipeline_and_a_grid_search(digits):
    X, y = pd.DataFrame(digits[0][:300]).add_prefix("pixel "), digits[1][:300]
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), bottleneck())
    grid = {"informationbottleneckclassifier__beta": [0.0, 1e-3, 10.0]}
    grid |= {"informationbottleneckclassifier__bound": ["vib"]}
    options = {"max_epochs": 20, "batch_size": 20, "learning_rate": 1e-2}
    pipeline[-1].set_params(**options)
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[:2].min() > 0.6 > 0.3 > scores[2]  # a beta that leaves no information
    names = search.best_estimator_.get_feature_names_out().tolist()
    assert names == [f"informationbottleneckclassifier{k}" for k in range(3)]


def test_images_and_early_stopping(digits):
    images, y = digits[0].reshape(-1, 8, 8)[:400], digits[1][:400]
    for noise in NOISES:
        fitted = bottleneck(encoder_noise=noise, max_epochs=8).fit(images, y)
        assert fitted.transform(images).shape == (400, 3)
        assert fitted.row_shape_ == (1, 8, 8)
        assert fitted.predict_proba(images[:50]).shape == (50, 10)
        assert fitted.sample_codes(images[:50]).shape == (50, 3)
    flat = bottleneck(image_shape=(8, 8), max_epochs=60, patience=2, bound="vib", tolerance=0.01)
    flat.fit(images.reshape(400, 64), y)
    assert flat.n_iter_ < 60 and {"valid_cross_entropy", "valid_information"} < set(
        flat.history_[0]
    )


# --------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": -1e-3}, "'beta' parameter"),
        ({"n_components": 0}, "'n_components' parameter"),
        ({"bound": "jsd"}, "'bound' parameter"),
        ({"encoder_noise": "none"}, "'encoder_noise' parameter"),
        ({"noise_std": 0.0}, "'noise_std' parameter"),
        ({"bound": "vib", "encoder_noise": "additive"}, "density.*encoder_noise='additive'"),
        ({"bound": "vib", "encoder_noise": "propagated"}, "density.*encoder_noise='propagated'"),
        ({"critic_noise": (0.3,)}, "critic_noise=.* must be two deviations"),
        ({"critic_noise": (None, 0.5)}, "critic_noise=.* must be two deviations"),
        ({"critic_noise": (-0.3, 0.5)}, "critic_noise=.* must be two deviations"),
        ({"critic_hidden": ()}, "critic_hidden must be"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes must be"),
        ({"encoder": nn.Linear(4, 3)}, r"shape \(3,\).* needs 6 columns: the means .* softplus"),
        ({"encoder": "conv"}, "does not take rows of shape"),
        ({"betas": (0.9, 1.0)}, "betas"),
    ],
)
def test_wrong_settings(options, message):
    X = normal(60, 4)
    with pytest.raises(ValueError, match=message):
        bottleneck().set_params(**options).fit(X, labels(X))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X, np.zeros_like(y)), "y holds one class, 0; at least two"),
        (lambda X, y: (np.where(X > 2, np.nan, X), y), "contains NaN"),
        (lambda X, y: (X, y[:-1]), "inconsistent numbers of samples"),
        (lambda X, y: (X, y + 0.5), "Unknown label type"),
        (lambda X, y: (X, np.where(y, np.nan, 0)), "NaN"),
        (lambda X, y: (X[:3], y[:3]), "n_samples=3 is too few"),
        (lambda X, y: (X, None), "requires y"),
    ],
)
def test_wrong_data(change, message):
    X = normal(60, 4)
    with pytest.raises(ValueError, match=message):
        bottleneck().fit(*change(X, labels(X)))


def test_fewer_rows_than_a_batch():
    X = normal(12, 4)
    assert bottleneck(batch_size=100).fit(X, labels(X)).predict(X).shape == (12,)
    with pytest.warns(UserWarning, match="n_samples=9 is few for beta=0.1"):
        bottleneck(batch_size=100).fit(X[:9], np.arange(9) % 2)
    with pytest.warns(UserWarning, match="batch_size=4 is few for beta=0.1"):
        bottleneck(batch_size=4).fit(X, labels(X))


@pytest.mark.filterwarnings("error:batch_size")
def test_small_batches_do_no_harm_without_a_critic():
    X = normal(12, 4)
    bottleneck(0.0, batch_size=4).fit(X, labels(X))
    bottleneck(bound="vib", batch_size=4).fit(X, labels(X))


def test_a_critic_that_is_misled_is_warned_of(digits):
    # a critic that does not learn finds nothing, where the classifier reads the digits
    options = {"critic_learning_rate": 1e-9, "max_epochs": 20, "hidden_layer_sizes": (64,)}
    with pytest.warns(
        ConvergenceWarning, match=r"finds -?[\d.e-]+ nats .* reads [012]\.\d+ of the"
    ):
        bottleneck(1e-3, **options).fit(*digits)


def test_a_critic_that_misses_what_codes_keep_is_warned_of():
    # where it matters: the same critic with a small beta says nothing; labels are noise
    X, y = normal(300, 4), np.arange(300) % 2
    options = {"critic_learning_rate": 1e-9, "max_epochs": 1}
    found = r"finds [\d.e-]+ nats .* they keep [\d.]+ of the data .* beta=0\.5 lowers only"
    with pytest.warns(ConvergenceWarning, match=found) as caught:
        fitted = bottleneck(0.5, **options).fit(X, y)
    assert len(caught) == 1 and 0.5 * fitted.compression_ > 0.1
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The critic finds")
        assert bottleneck(1e-3, **options).fit(X, y).compression_ > 1


@pytest.mark.parametrize("options", [{"bound": "vib"}, {"beta": 0.0}, {}], ids=["vib", "0", "dv"])
def test_a_classifier_that_diverged_is_warned_of(options):
    X = normal(200, 4)
    with pytest.warns(ConvergenceWarning, match=r"diverged: the cross-entropy .* is \d\S+ nats"):
        bottleneck(**options, learning_rate=1e3, batch_size=20).fit(X, labels(X))


@pytest.mark.parametrize("options", [{"beta": 100.0}, {"beta": 0.0}], ids=["closed", "no classes"])
def test_a_classifier_that_reads_nothing_is_warned_of(options):
    X = normal(400, 4)
    y = labels(X) if options["beta"] else labels(normal(400, 4, seed=1))
    options |= {"bound": "vib", "max_epochs": 20}
    with pytest.warns(ConvergenceWarning, match=r"hardly help .*, and 0\.69\d* by the frequencies"):
        fitted = bottleneck(**options).fit(X, y)
    assert fitted.compression_ >= 0


def test_rows_of_one_class_or_all_alike_are_no_failure():
    X = normal(200, 4)
    y = labels(X)
    fitted = bottleneck(bound="vib", max_epochs=40, warm_start=True, learning_rate=1e-2).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        fitted.fit(X[y == 0], y[y == 0])
        with pytest.warns(UserWarning, match="X is constant"):
            bottleneck(bound="vib").fit(np.ones((40, 3)), np.arange(40) % 2)


def test_a_short_fit_on_unequal_classes_has_not_diverged():
    X, y = normal(200, 4), np.repeat([0, 1, 2, 3], [195, 2, 2, 1])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Training has diverged")
        bottleneck(bound="vib", max_epochs=1).fit(X, y)


def test_logarithms_of_probabilities(digits):
    X, y = digits[0][:200], digits[1][:200]
    fitted = bottleneck(bound="vib").fit(X, y)
    logs, probabilities = fitted.predict_log_proba(X), fitted.predict_proba(X)
    np.testing.assert_allclose(logs, np.log(probabilities), rtol=1e-5)
    with torch.no_grad():
        fitted.objective_.model["head"].weight.mul_(1e4)
    logs = fitted.predict_log_proba(X)  # also where probabilities are 0 in float32
    assert np.isfinite(logs).all() and logs.min() == pytest.approx(-126 * np.log(2))


def test_rows_out_of_the_range_of_those_fitted():
    X = normal(60, 4)
    fitted = bottleneck().fit(X, labels(X))
    for method in ("predict", "predict_proba", "transform", "sample_codes", "posterior"):
        with pytest.raises(ValueError, match="X has values too large, first in row 0"):
            getattr(fitted, method)(1e40 * X)
    assert np.isfinite(fitted.predict_proba(1e10 * X)).all()


def test_exploding_critic():
    X = normal(200, 4)
    with pytest.raises(NonFiniteLossError, match="lower critic_learning_rate or beta"):
        bottleneck(bound="nwj", critic_learning_rate=1e3, max_epochs=20).fit(X, labels(X))


def test_wrong_calls():
    X = normal(60, 4)
    for method in ("predict", "predict_proba", "transform", "sample_codes", "posterior"):
        with pytest.raises(NotFittedError):
            getattr(bottleneck(), method)(X)
    fitted = bottleneck(warm_start=True).fit(X, labels(X))
    with pytest.raises(ValueError, match="3 features"):
        fitted.predict(X[:, :3])
    with pytest.raises(ValueError, match=r"beta was 0\.1 when the networks were built"):
        fitted.set_params(beta=0.2).fit(X, labels(X))
    with pytest.raises(ValueError, match=r"y holds \[5\].*Leave out rows"):
        fitted.evaluate(X, np.where(labels(X), 5, 0))
    with pytest.raises(ValueError, match="X has 1 row"):
        fitted.evaluate(X[:1], labels(X[:1]))
    with pytest.raises(AttributeError) as error:
        bottleneck(encoder_noise="additive").posterior  # noqa: B018
    assert "needs encoder_noise='gaussian'" in str(error.value.__cause__)


# ----------------------------------------------------------------- the information plane


@pytest.fixture
def close_figures():
    yield
    plt.close("all")


@pytest.mark.usefixtures("close_figures")
def test_plane_of_estimators():
    X = normal(300, 4)
    y = labels(X)
    fits = [bottleneck(beta, bound="vib", max_epochs=10).fit(X, y) for beta in (0.01, 1.0)]
    display = InformationPlaneDisplay.from_estimators(fits, X, y)
    entropy = -sum(p * np.log(p) for p in (y.mean(), 1 - y.mean()))
    across, up = display.line_.get_data()
    assert across.tolist() == [fit.compression_ for fit in fits]
    np.testing.assert_allclose(up, [entropy - f.evaluate(X, y)["cross_entropy"] for f in fits])
    assert [text.get_text() for text in display.ax_.texts] == ["β = 0.01", "β = 1"]
    np.testing.assert_allclose(display.limit_.get_ydata(), [0, entropy, entropy])
    named = InformationPlaneDisplay.from_estimators(fits, X, y, labels=["a", "b"], ax=display.ax_)
    assert named.ax_ is display.ax_ and named.labels == ["a", "b"]


@pytest.mark.usefixtures("close_figures")
@pytest.mark.parametrize("patience", [None, 5])
@pytest.mark.filterwarnings("ignore:The objective was still improving")
def test_plane_of_epochs(patience):
    X = normal(300, 4)
    fitted = bottleneck(bound="vib", max_epochs=4, patience=patience).fit(X, labels(X))
    display = InformationPlaneDisplay.from_history(fitted)
    part = "train" if patience is None else "valid"
    across, up = display.line_.get_data()
    assert across.tolist() == [row[f"{part}_information"] for row in fitted.history_]
    losses = [row[f"{part}_cross_entropy"] for row in fitted.history_]
    np.testing.assert_allclose(display.entropy - up, losses)


@pytest.mark.usefixtures("close_figures")
def test_plane_of_epochs_without_what_cannot_be():
    X = normal(300, 4)
    fitted = bottleneck(1e-3, max_epochs=4).fit(X, labels(X))
    assert fitted.n_samples_fit_ == 300
    for row, value in zip(fitted.history_, (51.0, 0.5, -100.0, -0.1), strict=True):
        row["train_information"] = value
    with pytest.warns(UserWarning, match="2 of 4 epochs are left out"):
        display = InformationPlaneDisplay.from_history(fitted)
    assert display.compression.tolist() == [0.5, -0.1]
    losses = [fitted.history_[k]["train_cross_entropy"] for k in (1, 3)]
    np.testing.assert_allclose(display.entropy - display.relevance, losses)
    for row in fitted.history_:
        row["train_information"] = 51.0
    with pytest.raises(ValueError, match=r"in none of 4 epochs .*from_estimators"):
        InformationPlaneDisplay.from_history(fitted)
    assert fitted.partial_fit(X[:20], labels(X)[:20]).n_samples_fit_ == 300
    upper = bottleneck(1e-3, bound="vib").fit(X, labels(X))
    upper.history_[0]["train_information"] = 51.0  # an upper bound may be
    assert InformationPlaneDisplay.from_history(upper).compression[0] == 51.0


@pytest.mark.usefixtures("close_figures")
def test_plane_of_what_is_no_bottleneck():
    X = normal(60, 4)
    plain, other = bottleneck(0.0).fit(X, labels(X)), MLPClassifier((2,)).fit(X, labels(X))
    for given in (plain, 3):
        with pytest.raises(TypeError, match="estimators must be a list"):
            InformationPlaneDisplay.from_estimators(given, X, labels(X))
    with pytest.raises(TypeError, match="InformationBottleneckClassifier, got a MLPClassifier"):
        InformationPlaneDisplay.from_estimators([plain, other], X, labels(X))
    with pytest.raises(TypeError, match="InformationBottleneckClassifier, got a MLPClassifier"):
        InformationPlaneDisplay.from_history(other)


@pytest.mark.usefixtures("close_figures")
def test_plane_of_what_cannot_be_drawn():
    X = normal(60, 4)
    y = labels(X)
    plain = bottleneck(0.0, encoder_noise="additive").fit(X, y)
    InformationPlaneDisplay.from_estimators([plain], X, y)  # no critic is needed
    with pytest.raises(ValueError, match="fitted with beta=0"):
        InformationPlaneDisplay.from_history(plain)
    with pytest.raises(ValueError, match="2 labels for 1 estimators"):
        InformationPlaneDisplay.from_estimators([bottleneck().fit(X, y)], X, y, labels="ab")
    with pytest.raises(ValueError, match="estimators is empty"):
        InformationPlaneDisplay.from_estimators([], X, y)
    with pytest.raises(NotFittedError):
        InformationPlaneDisplay.from_estimators([clone(plain)], X, y)
