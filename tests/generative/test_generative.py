"""Adversarial models: their losses, what they learn of known data, conventions, failures."""

import copy
import math
import pickle
import warnings

import numpy as np
import pytest
import torch
from scipy.stats import norm as normal_distribution
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from skmi.bounds import dv, eta_dv, get_bound, infonce, jsd, nwj
from skmi.critics import InnerProductCritic
from skmi.evaluation import mode_counts, reconstruction_error
from skmi.exceptions import ConvergenceWarning, NonFiniteLossError
from skmi.generative import (
    MIGAN,
    ALITransformer,
    BiGANTransformer,
    GeneratorByPriorMatching,
)
from skmi.generative._base import COLUMN_STD, INFORMATION_BOUNDS, MovingAverage
from skmi.generative.ali import ALIObjective
from skmi.generative.gan import GANObjective
from skmi.networks.gan import ConvolutionalScore, make_gan_encoder, make_generator
from skmi.representation._base import is_constant, location_and_scale
from skmi.representation._objective import InformationCritic
from skmi.training import ETA_LEARNING_RATE

QUICK = {
    "n_components": 3,
    "hidden_layer_sizes": (16,),
    "discriminator_hidden": (16,),
    "width": 4,
    "max_epochs": 2,
    "batch_size": 16,
    "random_state": 0,
}
GAN = MIGAN(**QUICK, critic_hidden=(16,))
ALI = ALITransformer(**QUICK, critic_hidden=(16,))
BIGAN = BiGANTransformer(**QUICK)
MATCHING = GeneratorByPriorMatching(**QUICK, encoder_hidden=(16,))
ALL = [GAN, ALI, BIGAN, MATCHING]
each = pytest.mark.parametrize("model", ALL, ids=["gan", "ali", "bigan", "matching"])

# most fits here are short
pytestmark = pytest.mark.filterwarnings(
    "ignore:The generator took:sklearn.exceptions.ConvergenceWarning"
)


@pytest.fixture(scope="module")
def digits():
    return load_digits().images[:96]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def ones_like(logits):
    return torch.ones_like(logits)


# ------------------------------------------------------------------------ the losses


def test_losses_of_the_gan_are_cross_entropies():
    X = torch.from_numpy(normal(50, 4)).float()
    gan = clone(GAN).set_params(code_size=2, bound="nwj", mi_weight=0.7).fit(X.numpy())
    objective = gan.objective_
    terms = objective(X, player="model")
    z = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))  # evaluation's draws
    fake = gan.generator_(z)
    scores, real = objective.discriminator(fake), objective.discriminator(X)
    non_saturating = cross_entropy(scores, ones_like(scores))
    value, nats = objective.critic(fake, z[:, 1:], advanced(z))
    assert terms["information"].item() == pytest.approx(nats.item(), abs=1e-5)
    assert terms["loss"].item() == pytest.approx((non_saturating - 0.7 * value).item(), abs=1e-5)
    loss = objective(X, player="discriminator")["loss"]
    expected = cross_entropy(real, ones_like(real)) + cross_entropy(scores, 0 * scores)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert terms["divergence"].item() == pytest.approx(2 * math.log(2) - loss.item(), abs=1e-5)


def advanced(z):
    """The generator of draws after those of z."""
    generator = torch.Generator().manual_seed(0)
    torch.randn(z.shape, generator=generator)
    return generator


@pytest.mark.parametrize("name", INFORMATION_BOUNDS)
def test_information_term_of_known_scores(name):
    # rows and codes that match only their own: every pair scores log 3, every other pair 0
    eye = torch.eye(6) * math.log(3) ** 0.5
    information = InformationCritic(InnerProductCritic(), get_bound(name))
    value, nats = information(eye, eye, torch.Generator().manual_seed(1))
    joint, product = torch.full((6,), math.log(3.0)), torch.zeros(6, 5)
    hand = {
        "dv": math.log(3),
        "nwj": math.log(3),  # of T + 1: log 3 + 1 - e^(1 - 1)
        "eta-dv": math.log(3),
        "jsd": -math.log(4 / 3) - math.log(2),
        "infonce": math.log(3) - math.log((3 + 5) / 6),
    }
    assert value.item() == pytest.approx(hand[name], rel=1e-5)
    formula = {"dv": dv, "nwj": lambda a, b: nwj(a + 1, b + 1), "infonce": infonce, "jsd": dv}
    formula["eta-dv"] = lambda a, b: eta_dv(a, b, 0.0)
    assert nats.item() == pytest.approx(formula[name](joint, product).item(), rel=1e-5)


@pytest.mark.parametrize("model", [GAN, ALI], ids=["gan", "ali"])
def test_players_train_their_own_networks(model):
    X = normal(64, 4)
    fitted = clone(model).set_params(n_critic=3, n_discriminator=2).fit(X)
    steps = {
        name: {int(s["step"]) for s in state["state"].values()}
        for name, state in fitted._training_state["optimizers"].items()
    }
    assert steps == {"model": {8}, "discriminator": {16}, "critic": {24}}
    objective, x = fitted.objective_.train(), torch.from_numpy(X).float()
    objective.generator = torch.Generator().manual_seed(0)
    objective(x, player="model")
    for player in ("discriminator", "critic"):
        objective.zero_grad()
        objective(x, player=player)["loss"].backward()
        reached = {n.split(".")[0] for n, p in objective.named_parameters() if p.grad is not None}
        assert reached == {player}


def test_the_normalizer_of_eta_dv_follows_its_critic():
    # Adam's first steps: those of the networks are much smaller
    fitted = clone(GAN).set_params(bound="eta-dv", learning_rate=1e-5, max_epochs=1)
    fitted.fit(normal(64, 4))
    critic = fitted._training_state["optimizers"]["critic"]
    assert sorted(group["lr"] for group in critic["param_groups"]) == [1e-5, ETA_LEARNING_RATE]
    assert abs(fitted.objective_.critic.eta.item()) > 1e-4


def record_batches(monkeypatch, kind):
    """The initial objective, and for each batch the draws that its first player makes."""
    seen, forward = [], kind.forward

    def record(self, x, player):
        if self.training and player == "model":
            if not seen:
                seen.append(copy.deepcopy(self))
            state = torch.Generator().manual_seed(0)
            state.set_state(self.generator.get_state())
            seen.append((x.clone(), state))
        return forward(self, x, player)

    monkeypatch.setattr(kind, "forward", record)
    return seen


def test_without_information_it_is_the_plain_gan(monkeypatch):
    seen = record_batches(monkeypatch, GANObjective)
    gan = clone(GAN).set_params(mi_weight=0, n_discriminator=2, averaging=0.0)
    gan.fit(normal(48, 4))
    plain, *batches = seen
    assert not hasattr(gan.objective_, "critic")
    assert [player.name for player in gan._players()] == ["model", "discriminator"]
    assert set(gan.history_[0]) == {"epoch", "seconds", "train_loss", "train_divergence"}
    assert len(batches) == 6
    generator, discriminator = plain.model["generator"], plain.discriminator
    adams = [
        torch.optim.Adam(m.parameters(), lr=1e-4, betas=(0.5, 0.999))
        for m in (generator, discriminator)
    ]
    for x, draws in batches:
        fake = generator(torch.randn(len(x), 3, generator=draws))
        scores = discriminator(fake)
        adams[0].zero_grad()
        cross_entropy(scores, ones_like(scores)).backward()
        adams[0].step()
        for _ in range(2):
            real, false = discriminator(x), discriminator(fake.detach())
            loss = cross_entropy(real, ones_like(real)) + cross_entropy(false, 0 * false)
            adams[1].zero_grad()
            loss.backward()
            adams[1].step()
    for name, weights in gan.objective_.state_dict().items():
        assert torch.allclose(weights, plain.state_dict()[name], atol=1e-6), name


def test_generator_has_two_gradients_to_be_clipped():
    X = torch.from_numpy(normal(40, 4)).float()
    gan = (
        clone(GAN)
        .set_params(mi_weight=1e3, bound="jsd", max_epochs=5, learning_rate=1e-2)
        .fit(X.numpy())
    )
    gradients = {}
    for clipping in (True, False):
        objective = copy.deepcopy(gan.objective_).train()
        objective.adaptive_clipping = clipping
        objective.generator = torch.Generator().manual_seed(5)
        step = objective(X, player="model")
        weights = list(objective.model.parameters())
        grad = lambda loss: torch.autograd.grad(loss, weights, retain_graph=True)  # noqa: E731,B023
        gradients[clipping] = [grad(v) for k, v in step.items() if k.endswith("loss")]
    (adversarial, information), (total,) = gradients[True], gradients[False]
    for a, b, c in zip(adversarial, information, total, strict=True):
        assert torch.allclose(a + b, c, rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------------- the penalty


@pytest.mark.parametrize("kind", ["gan", "ali", "bigan", "adversarial"])
def test_penalty_is_the_squared_gradient_of_the_discriminator(kind):
    X = normal(64, 4)
    model = {"gan": GAN, "bigan": BIGAN}.get(kind, ALI)
    options = {"cycle": "adversarial"} if kind == "adversarial" else {}
    if kind == "gan":
        options["discriminator"] = nn.Linear(4, 1)
    objectives = [
        clone(model).set_params(gradient_penalty=weight, **options).fit(X).objective_
        for weight in (0.0, 3.0)
    ]
    for weight in objectives[0].discriminator.parameters():
        nn.init.normal_(weight, std=0.3)  # steeper than at the start
    objectives[1].load_state_dict(objectives[0].state_dict())
    x, losses, gradients = torch.from_numpy(X).float(), [], []
    for objective in objectives:
        objective.train().generator = torch.Generator().manual_seed(4)
        objective(x, player="model")
        losses.append(objective(x, player="discriminator")["loss"])
        weights = list(objective.discriminator.parameters())
        gradients.append(torch.autograd.grad(losses[-1], weights))
    plain = objectives[0]
    if kind == "gan":
        weight = plain.discriminator.weight
        slopes = 2 * weight.square().sum()  # the same everywhere
        assert torch.allclose(gradients[1][0] - gradients[0][0], 3.0 / 2 * 4 * weight, atol=1e-5)
    else:
        codes, rows, latents, rebuilt = plain._last
        pairs = [(x, codes), (rows, latents)]
        slopes = sum(mean_squared_slope(plain.discriminator["pairs"], *pair) for pair in pairs)
        if kind == "adversarial":
            for other in (x, rebuilt):
                slopes += mean_squared_slope(plain.discriminator["cycle"], torch.cat([x, other], 1))
        assert not torch.allclose(gradients[0][0], gradients[1][0], rtol=1e-3, atol=0)
    assert slopes > 0.01
    assert losses[1].item() == pytest.approx((losses[0] + 3.0 / 2 * slopes).item(), rel=1e-4)
    losses = [objective.eval()(x, player="discriminator")["loss"] for objective in objectives]
    assert losses[0] == losses[1]


def mean_squared_slope(score, *rows, step=1e-6):
    """By central differences, in all rows at once, as none depends on another."""
    total = 0.0
    with torch.no_grad():
        score = copy.deepcopy(score).double()
        rows = [part.double() for part in rows]
        for part in rows:
            for column in range(part.shape[1]):
                shift = torch.zeros_like(part)
                shift[:, column] = step
                ends = [
                    score(*(a + sign * shift if a is part else a for a in rows)).flatten()
                    for sign in (1, -1)
                ]
                total += ((ends[0] - ends[1]) / (2 * step)).square().mean()
    return total


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_penalty_of_images(precision, digits):
    options = {"gradient_penalty": 10.0, "precision": precision, "n_discriminator": 2}
    for model in (clone(GAN), clone(ALI).set_params(cycle="adversarial"), clone(BIGAN)):
        fitted = model.set_params(**options).fit(np.kron(digits, np.ones((1, 2, 2))))
        adversaries = fitted.objective_.discriminator.modules()
        assert not any(isinstance(layer, nn.BatchNorm2d) for layer in adversaries)
        assert np.isfinite(fitted.sample(5, random_state=0)).all()


def test_penalty_of_a_discriminator_that_ignores_codes():
    class OfRows(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 1)

        def forward(self, x, z):
            return self.layer(x)

    ali = clone(ALI).set_params(discriminator=OfRows(), gradient_penalty=0.1).fit(normal(40, 4))
    assert np.isfinite(ali.sample(5, random_state=0)).all()


def test_penalty_of_a_discriminator_with_batch_norm_is_warned_of():
    layers = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1)
    gan = clone(GAN).set_params(discriminator=nn.Sequential(*layers))
    match = r"discriminator has batch norm, .* gradient_penalty=0\.5 "
    with pytest.warns(UserWarning, match=match):
        clone(gan).set_params(gradient_penalty=0.5).fit(normal(40, 4))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "discriminator has batch norm")
        gan.fit(normal(40, 4))


# ------------------------------------------------------------------------- ALI's


def linear_ali(cycle=None):
    """A linear encoder and decoder with a bilinear discriminator."""
    model = nn.ModuleDict({"encoder": _Encoder(), "generator": nn.Linear(1, 1, bias=False)})
    discriminators = nn.ModuleDict({"pairs": nn.Bilinear(1, 1, 1)})
    if cycle == "adversarial":
        discriminators["cycle"] = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
    return ALIObjective(
        model,
        discriminators,
        None,
        n_components=1,
        stochastic=True,
        cycle=cycle,
        cycle_weight=3.0,
        mi_weight=0.0,
        adaptive_clipping=True,
        gradient_penalty=0.0,
        averaging=0.0,
    )


class _Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 2)

    def forward(self, x):
        return type("Layers", (), {"y": self.layer(x)})


def test_losses_of_ali_are_cross_entropies():
    torch.manual_seed(0)
    objective, x = linear_ali().eval(), torch.randn(30, 1)
    terms = objective(x, player="model")
    draws = torch.Generator().manual_seed(0)
    mean, log_std = objective.model["encoder"](x).y.chunk(2, 1)
    log_std = 10 * torch.tanh(log_std / 10)  # kept within bounds
    codes = mean + log_std.exp() * torch.randn(30, 1, generator=draws)
    latents = torch.randn(30, 1, generator=draws)
    rows = objective.model["generator"](latents)
    score = objective.discriminator["pairs"]
    q, p = score(x, codes), score(rows, latents)
    model = cross_entropy(q, 0 * q) + cross_entropy(p, ones_like(p))  # the labels exchanged
    assert terms["loss"].item() == pytest.approx(model.item(), rel=1e-5)
    loss = objective(x, player="discriminator")["loss"]
    expected = cross_entropy(q, ones_like(q)) + cross_entropy(p, 0 * p)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [((1 / 3, 0.5), (2.0, 1.5)), ((0.2, 0.1), (1.0, 3.0)), ((0.3, 0.19**0.5), (2.7, 1.71**0.5))],
)
def test_bound_on_the_reconstruction_error_of_gaussians(encoder, decoder):
    # q(x) = N(0, 9), q(z|x) = N(a x, s^2) and p(z) = N(0, 1), p(x|z) = N(b z, t^2); the last pair
    # is matched up to rounding: q(x, z) = p(x, z)
    (a, s), (b, t), variance = encoder, decoder, 9.0
    q = np.array([[variance, a * variance], [a * variance, a**2 * variance + s**2]])
    p = np.array([[b**2 + t**2, b], [b, 1.0]])

    def kl(q, p):
        ratio = np.linalg.solve(p, q)
        return (np.trace(ratio) - len(q) - np.linalg.slogdet(ratio)[1]) / 2

    def entropy(covariance):
        return np.linalg.slogdet(2 * np.pi * np.e * covariance)[1] / 2

    x, z = q[:1, :1], q[1:, 1:]
    information = entropy(x) + entropy(z) - entropy(q)
    squares = x - 2 * b * q[:1, 1:] + b**2 * z  # of x - b z
    error = (np.log(2 * np.pi * t**2) + squares.item() / t**2) / 2
    bound = kl(q, p) - information + entropy(x)
    assert error == pytest.approx(bound - kl(z, p[1:, 1:]))
    assert error <= bound + 1e-9
    if (a, b) == (0.3, 2.7):
        assert kl(q, p) == pytest.approx(0, abs=1e-9) and error == pytest.approx(bound)
        assert error > kl(q, p) - information + entropy(z) + 0.5  # no bound, as eq. 18 has it


def test_at_the_optimum_of_ali_nothing_can_tell_the_pairs_apart():
    # x and z both normal, all maps linear: with b the decoder and a the encoder, pairs (x, a x)
    # and (b z, z) have the same distribution if and only if |b| is the deviation of x and a = 1 / b
    X = normal(4000, 1)
    ali = ALITransformer(
        1,
        mi_weight=0,
        stochastic=False,
        encoder=nn.Linear(1, 1, bias=False),
        decoder=nn.Linear(1, 1, bias=False),
        discriminator_hidden=(32, 32),
        learning_rate=3e-3,
        max_epochs=40,
        random_state=0,
    ).fit(X)
    assert abs(ali.history_[-1]["train_divergence"]) < 0.1
    a, b = ali.encoder_.output.weight.item(), ali.decoder_.weight.item()
    assert a * b == pytest.approx(1, abs=0.2)  # the encoder inverts the decoder
    assert reconstruction_error(X, ali.reconstruct(X)) < 0.2


def test_cycles_of_alice():
    torch.manual_seed(0)
    x = torch.randn(30, 1)
    for cycle in ("l2", "adversarial"):
        torch.manual_seed(1)
        objective = linear_ali(cycle).eval()
        terms = objective(x, player="model")
        codes, rows, latents, rebuilt = objective._last
        score = objective.discriminator["pairs"]
        q, p = score(x, codes), score(rows, latents)
        expected = cross_entropy(q, 0 * q) + cross_entropy(p, ones_like(p))
        if cycle == "l2":
            expected = expected + 3 * (rebuilt - x).square().mean()
        else:
            pair = objective.discriminator["cycle"](torch.cat([x, rebuilt], 1))
            same = objective.discriminator["cycle"](torch.cat([x, x], 1))
            expected = expected + 3 * cross_entropy(pair, ones_like(pair))
            loss = objective(x, player="discriminator")["loss"]
            hand = jsd(score(x, codes), score(rows, latents)) + jsd(same, pair)
            assert loss.item() == pytest.approx(-hand.item(), rel=1e-5)
        assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("cycle", ["l2", "adversarial"])
def test_cycles_lower_the_reconstruction_error(cycle):
    X = normal(400, 2) @ normal(2, 6, seed=1)
    options = QUICK | {"n_components": 2, "max_epochs": 20, "learning_rate": 2e-3}
    plain, held = (
        ALITransformer(**options, mi_weight=0, cycle=kind).fit(X) for kind in (None, cycle)
    )
    plain, held = (reconstruction_error(X, ali.reconstruct(X)) for ali in (plain, held))
    assert held < 0.6 * plain


def test_information_raises_what_the_samples_tell_of_the_code():
    # the generator may use its code or not: with information it does
    X = normal(600, 2)
    options = QUICK | {"max_epochs": 30, "learning_rate": 2e-3, "batch_size": 60}
    options["n_components"] = 8
    told = []
    for weight in (0.0, 1.0):
        gan = MIGAN(**options, code_size=1, mi_weight=weight, critic_hidden=(32,)).fit(X)
        codes = np.random.default_rng(0).normal(size=(1000, 1))
        samples = gan.sample(1000, codes=codes, random_state=0)
        design = np.column_stack([samples, samples**2, np.ones(1000)])
        fitted = design @ np.linalg.lstsq(design, codes[:, 0], rcond=None)[0]
        told.append(1 - np.var(codes[:, 0] - fitted) / np.var(codes))
    assert told[1] > told[0] + 0.1


# -------------------------------------------------------------------- prior matching


def test_losses_of_prior_matching():
    X = torch.from_numpy(normal(50, 4)).float()
    fitted = clone(MATCHING).set_params(distance=3.0).fit(X.numpy())
    objective = fitted.objective_
    draws = torch.Generator().manual_seed(0)
    data = objective.encoder(X)
    generated = objective.encoder(fitted.generator_(torch.randn(50, 3, generator=draws)))
    loss = objective(X, player="model")["loss"].item()
    assert loss == pytest.approx((generated.mean().item() - 1.5) ** 2, rel=1e-4)
    terms = objective(X, player="encoder")
    numbers = {"data": data, "generated": generated}
    scores = {kind: objective.discriminator[kind](y) for kind, y in numbers.items()}
    expected = sum(cross_entropy(s, ones_like(s)) for s in scores.values()).item()
    x = X.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(objective.encoder(x).sum(), x)
    expected += 0.1 * gradient.square().sum(1).mean().item()
    assert terms["loss"].item() == pytest.approx(expected, rel=1e-4)
    assert terms["data_mean"].item() == pytest.approx(data.mean().item(), rel=1e-4)
    loss = objective(X, player="discriminator")["loss"].item() + 4 * math.log(2)
    draws, expected = torch.Generator().manual_seed(0), 0.0
    for (kind, score), mean in zip(scores.items(), (1.5, -1.5), strict=True):
        target = objective.discriminator[kind](torch.randn(50, 1, generator=draws) + mean)
        expected += cross_entropy(target, ones_like(target)) + cross_entropy(score, 0 * score)
    assert loss == pytest.approx(expected.item(), abs=1e-4)


def test_encoder_is_matched_to_the_two_targets():
    # rows that differ enough from the data, from a generator that hardly ever moves
    class Far(nn.Linear):
        def forward(self, z):
            return COLUMN_STD * (z + 4) + 0 * super().forward(z)

    model = GeneratorByPriorMatching(
        1,
        generator=Far(1, 1),
        distance=6.0,
        penalty=0.0,
        encoder_hidden=(32,),
        n_encoder=10**6,
        learning_rate=2e-3,
        max_epochs=30,
        random_state=0,
    )
    with pytest.warns(ConvergenceWarning, match="took no step"):
        model.fit(normal(1000, 1))
    row = model.history_[-1]
    assert row["train_data_mean"] == pytest.approx(3, abs=1)
    assert row["train_mean"] == pytest.approx(-3, abs=1)


def test_a_generator_without_a_step_is_told_of():
    X = normal(64, 4)  # 4 batches
    model = clone(MATCHING).set_params(n_encoder=5)
    with pytest.warns(ConvergenceWarning, match=r"every n_encoder=5 batches, and there were 4"):
        model.partial_fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model.partial_fit(X)
        clone(model).set_params(n_encoder=4).partial_fit(X)


def ring(n_samples, seed):
    """Eight Gaussians of deviation 0.1, and their means."""
    angles = 2 * np.pi * np.arange(8) / 8
    modes = 2 * np.column_stack([np.cos(angles), np.sin(angles)])
    rng = np.random.default_rng(seed)
    return modes[rng.integers(8, size=n_samples)] + 0.1 * rng.normal(size=(n_samples, 2)), modes


@pytest.mark.parametrize("seed", [0, *(pytest.param(k, marks=pytest.mark.slow) for k in (1, 2))])
def test_prior_matching_learns_a_ring(seed):
    X, modes = ring(5000, seed)
    options = {"hidden_layer_sizes": (64, 64), "encoder_hidden": (64, 64), "learning_rate": 1e-3}
    model = GeneratorByPriorMatching(2, **options, max_epochs=30, random_state=seed).fit(X)
    samples = model.sample(2000, random_state=0)
    assert mode_counts(samples, modes, radius=0.3).min() > 2000 / 8 / 10
    assert np.mean(np.abs(np.linalg.norm(samples, axis=1) - 2) < 0.5) > 0.7
    assert model.score(X) > -0.01


# -------------------------------------------------------------------------- networks


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 9, 13), (3, 28, 28), (1, 32, 32)])
def test_convolutional_networks_take_any_size(shape):
    x, z = torch.randn(2, *shape), torch.randn(2, 5)
    for last_side in (2, 4):
        rows = make_generator(5, shape, width=2, last_side=last_side)(z)
        assert rows.shape == x.shape and rows.abs().max() <= 1
        assert ConvolutionalScore(shape, width=2, last_side=last_side)(x).shape == (2, 1)
    assert make_gan_encoder(shape, 7, width=2)(x).y.shape == (2, 7)


def sizes(network, kind):
    return [tuple(m.weight.shape) for m in network.modules() if isinstance(m, kind)]


def channels(network, kind=nn.Conv2d):
    return [shape[0] for shape in sizes(network, kind)]


def activations(network):
    return {type(m) for m in network.modules() if type(m) in (nn.ELU, nn.LeakyReLU, nn.ReLU)}


def objective_of(model, shape):
    return clone(model).set_params(width=64)._make_objective(shape)


def test_sizes_are_those_of_the_tables_of_stacked_digits():
    # MINE, Tables 4 to 6
    objective = objective_of(clone(GAN).set_params(n_components=100), (3, 28, 28))
    generator = objective.model["generator"]
    assert sizes(generator, nn.Linear) == [(2 * 2 * 512, 100)]
    assert [s[:2] for s in sizes(generator, nn.ConvTranspose2d)] == [
        (512, 256), (256, 128), (128, 64), (64, 3),
    ]  # fmt: skip
    assert activations(generator) == {nn.ReLU}
    assert channels(objective.discriminator) == [64, 128, 256, 512]
    assert sizes(objective.discriminator, nn.Linear) == [(1, 2 * 2 * 512)]
    critic = objective.critic
    assert channels(critic) == [16, 32, 64] and activations(critic) == {nn.ELU}
    biases = [(16, 100), (32, 100), (64, 100), (1024, 100)]
    assert [s for s in sizes(critic, nn.Linear) if s[1] == 100] == biases
    assert (1024, 4 * 4 * 64) in sizes(critic, nn.Linear) and not sizes(critic, nn.BatchNorm2d)


@pytest.mark.parametrize(
    ("shape", "n_codes", "maps"),
    [((1, 28, 28), 128, [64, 128, 256]), ((3, 64, 64), 256, [64, 128, 256, 512])],
    ids=["Tables 7 to 9", "Tables 11 to 14"],
)
def test_sizes_are_those_of_the_tables_of_ali(shape, n_codes, maps):
    ali = clone(ALI).set_params(n_components=n_codes, stochastic=False)
    objective, last = objective_of(ali, shape), maps[-1]
    encoder, decoder = objective.model["encoder"], objective.model["generator"]
    assert channels(encoder) == [*maps, last]
    assert sizes(encoder, nn.Conv2d)[-1] == (last, last, 4, 4)
    assert sizes(encoder, nn.Linear) == [(n_codes, last)]
    assert sizes(decoder, nn.Linear) == [(4 * 4 * last, n_codes)]
    assert [s[1] for s in sizes(decoder, nn.ConvTranspose2d)] == [*maps[-2::-1], shape[0]]
    assert activations(encoder) == activations(decoder) == {nn.ReLU}
    score = objective.discriminator["pairs"]
    assert channels(score) == maps and activations(score) == {nn.LeakyReLU}
    dense = [(1024, 4 * 4 * last), (1, 1024), (1024, n_codes)]  # the last two parts as one layer
    assert sizes(score, nn.Linear) == dense
    critic = objective.critic  # of Table 14; Table 10 has four times the channels
    assert channels(critic) == [n // 4 for n in maps] and activations(critic) == {nn.ELU}
    assert (1, 4 * 4 * last // 4) in sizes(critic, nn.Linear)


def test_code_is_a_dynamic_bias_of_each_channel():
    torch.manual_seed(0)
    score = ConvolutionalScore((1, 8, 8), 3, width=2, n_dense=4, batch_norm=False)
    x, z = torch.randn(5, 1, 8, 8), torch.randn(5, 3)
    hidden = x
    for layer, bias in zip(score.layers, score.biases, strict=True):
        hidden = layer(hidden)
        shift = z @ bias.weight.T
        hidden = score.activation(hidden + shift.view(5, -1, *[1] * (hidden.ndim - 2)))
    assert torch.allclose(score(x, z), score.output(hidden.flatten(1)), atol=1e-6)
    last = ConvolutionalScore((1, 8, 8), 3, every_layer=False, width=2, n_dense=4)
    assert [bias is not None for bias in last.biases] == [False, True]


@each
def test_bfloat16_is_of_the_products_only(model):
    X = normal(160, 4)
    options = {"hidden_layer_sizes": (64,), "discriminator_hidden": (64,), "batch_size": 80}
    full = clone(model).set_params(**options).fit(X)
    low = clone(full).set_params(precision="bfloat16").fit(X)
    assert low.history_ != full.history_
    assert all(p.dtype == torch.float32 for p in low.objective_.parameters())
    assert low.sample(5, random_state=0).dtype == np.float32
    rows, terms = torch.from_numpy(X).float(), {}
    for name in (player.name for player in full._players()):
        for precision in (torch.float32, torch.bfloat16):
            full.objective_.generator = torch.Generator().manual_seed(0)
            objective = full.objective_.train()
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
                objective(rows, player="encoder" if model is MATCHING else "model")
                terms[precision] = objective(rows, player=name)
        for term, value in terms[torch.bfloat16].items():
            assert value.dtype == torch.float32, term
            assert value.item() == pytest.approx(terms[torch.float32][term].item(), abs=0.02), term
        assert terms[torch.bfloat16] != terms[torch.float32]


# -------------------------------------------------------------------------- averages


@each
def test_averages_of_the_steps(model, monkeypatch):
    # what is kept is the average of weights and running moments; the game does not know of it
    steps, follow = [], MovingAverage.follow

    def record(self, module):
        steps.append({name: value.clone() for name, value in module.state_dict().items()})
        follow(self, module)

    monkeypatch.setattr(MovingAverage, "follow", record)
    X = normal(160, 4)
    plain = clone(model).set_params(averaging=0.0).fit(X)
    assert not steps and plain.generator_ is plain.objective_.model["generator"]
    averaged = clone(model).set_params(averaging=0.8).fit(X)
    game = averaged.objective_.model.state_dict()
    for name, value in plain.objective_.model.state_dict().items():
        assert torch.equal(game[name], value), name
    expected = {name: value.double() for name, value in steps[0].items()}
    for t, step in enumerate(steps):
        decay = min(0.8, t / (t + 9))
        expected = {n: decay * expected[n] + (1 - decay) * step[n].double() for n in expected}
    weights = averaged.generator_.state_dict()
    names = [name for name, value in weights.items() if value.is_floating_point()]
    assert len(steps) >= 4 and any("running_var" in name for name in names)
    for name in names:
        assert torch.allclose(weights[name].double(), expected[f"generator.{name}"], atol=1e-5)
    for name, value in plain.objective_.model.state_dict().items():
        assert torch.equal(steps[-1][name], value), name  # of the last step
    assert not np.array_equal(*(m.sample(5, random_state=0) for m in (plain, averaged)))
    with pytest.raises(ValueError, match=r"averaging was 0\.8"):
        averaged.set_params(averaging=0.5).partial_fit(X)


def test_evaluation_is_of_the_networks_that_are_used():
    X = normal(64, 4)
    slow = {"averaging": 0.999, "learning_rate": 1e-2, "batch_size": 64, "max_epochs": 20}
    gan = clone(GAN).set_params(**slow).fit(X)
    latents = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))  # evaluation's draws
    real = torch.from_numpy((X - gan.location_) / gan.scale_).float()
    score = gan.objective_.discriminator
    divergences = [
        2 * math.log(2) + jsd(score(real), score(generator(latents))).item()
        for generator in (gan.generator_, gan.objective_.model["generator"])
    ]
    assert abs(divergences[0] - divergences[1]) > 0.01
    assert gan.evaluate(X)["divergence"] == pytest.approx(divergences[0], abs=1e-5)
    bigan = clone(BIGAN).set_params(**slow).fit(X)
    squares = ((X - bigan.reconstruct(X)) / bigan.scale_) ** 2
    assert bigan.evaluate(X)["error"] == pytest.approx(squares.mean(), rel=1e-4)


class Masked(nn.Module):
    """A generator with a buffer that is not saved, which grows."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 4)
        self.register_buffer("mask", torch.full((4,), -torch.inf), persistent=False)

    def forward(self, z):
        self.mask = torch.full((len(z) + 4,), -torch.inf)
        return self.layer(z)


def test_what_is_not_saved_is_not_averaged():
    gan = clone(GAN).set_params(generator=Masked()).fit(normal(64, 4))
    assert np.isfinite(gan.sample(5, random_state=0)).all()


class Lerp(nn.Module):
    """A score that cannot be taken of rows of mixed precision."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, x):
        return torch.lerp(x, self.weight, 0.5).sum(1, keepdim=True)


@pytest.mark.parametrize("model", [GAN, MATCHING], ids=["gan", "matching"])
def test_networks_are_given_rows_in_full_precision(model):
    name = "discriminator" if model is GAN else "encoder"
    clone(model).set_params(precision="bfloat16", **{name: Lerp()}).fit(normal(64, 4))


@pytest.mark.parametrize("model", [GAN, ALI, BIGAN], ids=["gan", "ali", "bigan"])
def test_one_step_is_averaged_at_once(model):
    X = normal(16, 4)
    plain, averaged = (
        clone(model).set_params(averaging=decay).partial_fit(X) for decay in (0, 0.99)
    )
    assert np.array_equal(plain.sample(5, random_state=0), averaged.sample(5, random_state=0))


def test_copies_know_what_they_were_built_with(tmp_path):
    X, path = normal(64, 4), tmp_path / "model.safetensors"
    gan = clone(GAN).fit(X)
    gan.save(path)
    for copied in (MIGAN.load(path), pickle.loads(pickle.dumps(gan))):
        with pytest.raises(ValueError, match=r"mi_weight was 1\.0 when the networks were built"):
            copied.set_params(mi_weight=5).partial_fit(X)
        assert copied.set_params(mi_weight=1.0).partial_fit(X).n_iter_ == 3
    samples = gan.sample(5, random_state=0)
    gan.set_params(mi_weight=0, hidden_layer_sizes=(4,)).save(path)
    loaded = MIGAN.load(path)
    assert loaded.mi_weight == 0 and np.array_equal(loaded.sample(5, random_state=0), samples)
    with pytest.raises(ValueError, match=r"is now \(4,\)"):
        loaded.partial_fit(X)


@each
def test_averages_go_on_from_a_file(model, tmp_path):
    X = normal(160, 4)
    fitted = clone(model).fit(X)
    fitted.save(tmp_path / "model.safetensors")
    loaded = type(model).load(tmp_path / "model.safetensors")
    assert loaded.objective_.average.n_steps == fitted.objective_.average.n_steps > 0


# ----------------------------------------------------------------- scikit-learn's ways


CHECKED = [m.set_params(max_epochs=1, hidden_layer_sizes=(4,)) for m in map(clone, ALL)]


@parametrize_with_checks(
    [m for m in CHECKED if not isinstance(m, BiGANTransformer)], xfail_strict=True
)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([m for m in CHECKED if isinstance(m, BiGANTransformer)], xfail_strict=True)
def test_scikit_learn_conventions_of_the_preset(estimator, check):
    check(estimator)


@each
def test_seeds_and_copies(model, digits, tmp_path):
    before = torch.get_rng_state()
    fitted = clone(model).fit(digits)
    assert torch.equal(before, torch.get_rng_state())
    samples = fitted.sample(7, random_state=0)
    assert samples.shape == (7, 8, 8) and samples.min() >= 0 and samples.max() <= 16
    assert np.array_equal(samples, clone(model).fit(digits).sample(7, random_state=0))
    assert not np.array_equal(samples, fitted.sample(7, random_state=1))
    assert fitted.score(digits) == fitted.score(digits) < 0
    fitted.save(tmp_path / "model.safetensors")
    for copied in (
        type(model).load(tmp_path / "model.safetensors"),
        pickle.loads(pickle.dumps(fitted)),
    ):
        assert np.array_equal(copied.sample(7, random_state=0), samples)
        assert copied.score(digits) == fitted.score(digits)


@each
def test_training_goes_on(model):
    X = normal(64, 4)
    whole, parts = clone(model).set_params(max_epochs=3).fit(X), clone(model)
    for _ in range(3):
        parts.partial_fit(X)
    assert np.array_equal(parts.sample(5, random_state=0), whole.sample(5, random_state=0))
    assert [row["epoch"] for row in parts.history_] == [1, 2, 3]


def test_training_goes_on_with_other_decay_rates():
    X = normal(64, 4)
    kept, changed = clone(GAN).fit(X), clone(GAN).fit(X).set_params(betas=[0.0, 0.9])
    for gan in (kept, changed):
        gan.partial_fit(X)
    for state in changed._training_state["optimizers"].values():
        assert all(tuple(group["betas"]) == (0.0, 0.9) for group in state["param_groups"])
    assert not np.array_equal(*(gan.sample(5, random_state=0) for gan in (kept, changed)))


@pytest.mark.parametrize("model", [ALI, BIGAN], ids=["ali", "bigan"])
def test_codes_and_what_is_decoded(model, digits):
    fitted = clone(model).fit(digits)
    Z = fitted.transform(digits)
    assert Z.shape == (96, 3) and np.array_equal(Z, fitted.transform(digits))
    assert np.array_equal(fitted.reconstruct(digits), fitted.inverse_transform(Z))
    assert fitted.inverse_transform(Z).shape == (96, 8, 8)
    assert fitted.get_feature_names_out()[0] == type(model).__name__.lower() + "0"
    assert fitted.set_params(feature_layer="fc").transform(digits).shape == (96, 16)
    named = clone(model).set_params(encoder="dcgan").fit(digits)
    assert named.transform(digits).shape == (96, 3)


def test_bigan_is_a_preset_of_ali():
    X = normal(64, 4)
    ali = clone(ALI).set_params(mi_weight=0, stochastic=False).fit(X)
    bigan = clone(BIGAN).fit(X)
    assert ali._prior_weight == bigan._prior_weight == 0
    assert np.array_equal(ali.transform(X), bigan.transform(X))


def test_codes_of_samples():
    gan = clone(GAN).set_params(code_size=2).fit(normal(64, 4))
    drawn = gan.sample(6, random_state=0)
    one = gan.sample(6, codes=[0.5, -1.0], random_state=0)
    assert np.array_equal(one, gan.sample(6, codes=[[0.5, -1.0]] * 6, random_state=0))
    assert not np.array_equal(one, drawn)
    z = torch.randn(6, 3, generator=torch.Generator().manual_seed(_seed(0)))
    assert np.array_equal(gan.sample(6, codes=z[:, 1:].numpy(), random_state=0), drawn)
    with pytest.raises(ValueError, match=r"codes has 3 columns, but code_size=2"):
        gan.sample(6, codes=np.zeros((6, 3)))
    with pytest.raises(ValueError, match=r"codes has 4 rows, but n_samples=6"):
        gan.sample(6, codes=np.zeros((4, 2)))
    with pytest.raises(ValueError, match="codes contains NaN"):
        gan.sample(6, codes=[np.nan, 0])
    with pytest.raises(ValueError, match="n_samples=0"):
        gan.sample(0)


def test_as_many_samples_as_codes():
    gan = clone(GAN).set_params(code_size=2).fit(normal(64, 4))
    codes = normal(7, 2)
    samples = gan.sample(codes=codes, random_state=0)
    assert np.array_equal(samples, gan.sample(7, codes=codes, random_state=0))
    assert gan.sample().shape == gan.sample(codes=[0.0, 1.0]).shape == (1, 4)
    with pytest.raises(ValueError, match=r"codes must be rows of 2 finite numbers.*'a'"):
        gan.sample(codes=["a", "b"])


def _seed(random_state):
    return int(np.random.RandomState(random_state).randint(2**31 - 1))


def test_uniform_latents_and_given_networks():
    X = normal(64, 4)
    generator, scores = nn.Linear(3, 4), nn.Linear(4, 1)
    gan = clone(GAN).set_params(prior="uniform", generator=generator, discriminator=scores).fit(X)
    before = generator.weight.clone()
    latents = np.linalg.lstsq(
        gan.generator_.weight.detach().numpy(),
        ((gan.sample(500, random_state=0) - gan.location_) / gan.scale_).T
        - gan.generator_.bias.detach().numpy()[:, None],
        rcond=None,
    )[0]
    assert np.abs(latents).max() <= 1 + 1e-4 and latents.std() == pytest.approx(3**-0.5, abs=0.03)
    assert torch.equal(generator.weight, before)  # a copy is trained


def test_score_ranks_generators():
    X = normal(500, 1)
    gan = clone(GAN).set_params(n_components=1, generator=nn.Linear(1, 1)).fit(X)
    with torch.no_grad():
        scores = []
        for scale in (0.1, 0.5, 1.0):
            gan.generator_.weight.fill_(COLUMN_STD * scale), gan.generator_.bias.zero_()
            scores.append(gan.score(X))
    assert scores == sorted(scores) and scores[-1] > -0.01


def test_in_a_grid_search():
    X = normal(64, 4)
    search = GridSearchCV(clone(GAN), {"mi_weight": [0.0, 1.0], "bound": ["dv", "eta-dv"]}, cv=2)
    assert np.isfinite(search.fit(X).cv_results_["mean_test_score"]).all()


# ------------------------------------------------------------- wrong settings, failures


@pytest.mark.parametrize(
    ("model", "options", "X", "message"),
    [
        (GAN, {"mi_weight": -1.0}, normal(40, 4), "mi_weight"),
        (ALI, {"gradient_penalty": -1.0}, normal(40, 4), "gradient_penalty"),
        (GAN, {"code_size": 4}, normal(40, 4), "code_size=4 is larger than n_components=3"),
        (GAN, {"bound": "smile"}, normal(40, 4), "bound"),
        (GAN, {"generator": nn.Linear(3, 5)}, normal(40, 4), r"generator must map .*\(4,\)"),
        (GAN, {"discriminator": nn.Linear(4, 2)}, normal(40, 4), "discriminator .* one score"),
        (GAN, {"critic_hidden": ()}, normal(40, 4), "critic_hidden"),
        (GAN, {}, np.ones((40, 5, 5)) + normal(40, 5, 5), "at least 8 x 8 pixels, got 5 x 5"),
        (GAN, {}, np.array([[np.nan, 1.0]] * 20), "NaN"),
        (GAN, {"betas": (1.0, 0.9)}, normal(40, 4), "betas"),
        (GAN, {"betas": (0.5, None)}, normal(40, 4), r"betas=\(0\.5, None\) must be two numbers"),
        (GAN, {"averaging": 1.0}, normal(40, 4), "averaging"),
        (ALI, {"cycle_weight": 0.0}, normal(40, 4), "cycle_weight"),
        (ALI, {"encoder": nn.Linear(4, 3)}, normal(40, 4), "needs 6 columns"),
        (BIGAN, {"encoder": nn.Linear(4, 6)}, normal(40, 4), "needs 3 columns"),
        (MATCHING, {"distance": 0.0}, normal(40, 4), "distance"),
        (MATCHING, {"penalty": -0.1}, normal(40, 4), "penalty"),
    ],
)
def test_wrong_settings(model, options, X, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        clone(model).set_params(**options).fit(X)


@each
def test_fewer_rows_than_a_batch(model):
    with pytest.warns(UserWarning, match="n_samples=12 is less than batch_size=16"):
        fitted = clone(model).fit(normal(12, 4))
    assert np.isfinite(fitted.sample(5, random_state=0)).all()


@each
def test_a_diverging_adversary_is_an_error(model):
    wild = clone(model).set_params(learning_rate=1e18, max_epochs=30)
    with pytest.raises(NonFiniteLossError, match="learning_rate"):
        wild.fit(normal(64, 4))
    assert not hasattr(wild, "objective_")


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (GAN, {"mi_weight", "bound"}),
        (clone(GAN).set_params(adaptive_clipping=False, bound="jsd"), {"mi_weight", "adaptive"}),
        (clone(ALI).set_params(mi_weight=0), set()),
        (BIGAN, set()),
        (MATCHING, {"penalty"}),
    ],
    ids=["gan", "unclipped", "ali", "bigan", "matching"],
)
def test_advice_is_of_what_there_is(model, named):
    words = {"mi_weight", "bound", "adaptive", "penalty"}
    assert "learning_rate" in model._advice
    assert {word for word in words if word in model._advice} == named


@each
def test_warnings_of_fit_are_documented(model):
    warns = type(model).fit.__doc__.split("Warns")[1]
    assert "patience" not in warns and "batch_size" in warns and "no step" in warns


def test_players_that_run_away_are_warned_of():
    wild = clone(GAN).set_params(learning_rate=1e4, max_epochs=20)
    with pytest.warns(ConvergenceWarning, match="takes data and generated rows for one another"):
        wild.fit(normal(64, 4))
    assert np.isfinite(wild.sample(100, random_state=0)).all()


def test_a_discriminator_that_wins_is_warned_of():
    class Far(nn.Module):
        """A generator that cannot leave the point 100."""

        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 4)

        def forward(self, z):
            return 100 + 0 * self.layer(z)

    options = {"generator": Far(), "mi_weight": 0, "learning_rate": 1e-2, "max_epochs": 60}
    with pytest.warns(ConvergenceWarning, match="tells generated rows from the data"):
        clone(GAN).set_params(**options).fit(normal(64, 4))


def test_divergence_of_known_distributions():
    # the discriminator's term is 2 JSD: of N(0, 1) and a generator fixed at N(1, 1), by quadrature
    grid = np.linspace(-8, 9, 20_001)
    p, q = normal_distribution.pdf(grid), normal_distribution.pdf(grid, 1)
    m = (p + q) / 2
    divergence = np.trapezoid(p * np.log(p / m) + q * np.log(q / m), grid)

    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.zero = nn.Parameter(torch.zeros(()))

        def forward(self, z):
            return COLUMN_STD * (z + 1) + 0 * self.zero

    X = normal(4000, 1)
    X = (X - X.mean()) / X.std()
    gan = MIGAN(1, mi_weight=0, generator=Shifted(), learning_rate=3e-3, discriminator_hidden=(32,))
    gan.set_params(max_epochs=15, random_state=0).fit(X)
    assert gan.evaluate(X)["divergence"] == pytest.approx(divergence, abs=0.05)


# --------------------------------------------------------------- the range of numbers


@each
def test_rows_out_of_the_range_of_those_fitted(model):
    X = normal(64, 4)
    fitted = clone(model).fit(X)
    for factor in (1e20, 1e40, 1e300):
        wild = np.where(np.arange(64)[:, None] == 5, factor, X)
        for method in ("score", "transform", "reconstruct"):
            if hasattr(fitted, method):
                with pytest.raises(ValueError, match="X has values too large, first in row 5"):
                    getattr(fitted, method)(wild)
    assert np.isfinite(fitted.score(1e10 * X))


@each
def test_data_of_any_size_and_offset_come_back(model):
    # the networks see the same rows, so that samples differ by the change of units alone
    X = np.column_stack([normal(64, 3), normal(64) + 2.0])
    samples = clone(model).fit(X).sample(50, random_state=0)
    assert samples.dtype == np.float32
    for scale, offset in [(1e40, 0.0), (1e-42, 0.0), (1.0, 1e9), (3600.0, 1.7e9)]:
        moved = clone(model).fit(scale * X + offset).sample(50, random_state=0)
        assert moved.dtype == np.float64
        np.testing.assert_allclose((moved - offset) / scale, samples, atol=1e-2)
    assert clone(model).fit(X + 100).sample(5).dtype == np.float32


def test_codes_out_of_range():
    X = normal(64, 4)
    with pytest.raises(ValueError, match="Decoding codes gives rows that are not finite"):
        clone(GAN).fit(X).sample(2, codes=np.full(3, 3e38))
    ali = clone(ALI).fit(X)
    with pytest.raises(ValueError, match="Decoding X gives rows that are not finite"):
        ali.inverse_transform(np.full((2, 3), 3e38))


@each
def test_constant_columns_are_drawn_constant(model, tmp_path):
    X = normal(64, 4)
    X[:, 1], X[:, 3] = 5.0, 0.1
    fitted = clone(model).fit(X)
    fitted.save(tmp_path / "model.safetensors")
    for copied in (
        fitted,
        type(model).load(tmp_path / "model.safetensors"),
        pickle.loads(pickle.dumps(fitted)),
    ):
        samples = copied.sample(50, random_state=0)
        assert (samples[:, [1, 3]] == np.float32([5.0, 0.1])).all()
        assert (samples[:, [0, 2]].std(axis=0) > 0).all()
    X[:8, 1] += 1  # it varies now
    samples = fitted.partial_fit(X).sample(50, random_state=0)
    assert samples[:, 1].std() > 0 and (samples[:, 3] == np.float32(0.1)).all()


def test_moments_of_many_rows():
    # a sum of many constants is rounded, and they are constant all the same
    location, scale = location_and_scale(np.full((100_000, 2), 0.1))
    assert is_constant(location, scale, np.dtype(np.float64)).all()
    X = normal(50, 3, 4, 4) + 10
    location, scale = location_and_scale(X)
    np.testing.assert_allclose(location[:, 0, 0], X.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(scale[:, 0, 0], X.std((0, 2, 3)), rtol=1e-12)


# -------------------------------------------------------------- fits that went wrong


@pytest.mark.parametrize("model", [GAN, MATCHING], ids=["gan", "matching"])
def test_few_steps_are_told_of(model):
    X = normal(64, 4)
    model = clone(model).set_params(batch_size=64, max_epochs=30)
    often = {"n_encoder": 1} if hasattr(model, "n_encoder") else {}
    with pytest.warns(ConvergenceWarning, match=r"The generator took (30|6) steps.*batch_size"):
        model.fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        clone(model).set_params(batch_size=4, max_epochs=7, **often).fit(X)
        model.partial_fit(X)


def test_numbers_that_do_not_match_are_told_of():
    wild = clone(MATCHING).set_params(learning_rate=10.0, max_epochs=20)
    with pytest.warns(ConvergenceWarning, match="numbers from their targets nearly always"):
        wild.fit(normal(64, 4))


@pytest.mark.parametrize("model", [GAN, ALI, MATCHING], ids=["gan", "ali", "matching"])
def test_rows_that_ran_away_are_told_of_by_partial_fit(model):
    X = normal(160, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        fitted = clone(model).partial_fit(X)
        for weight in fitted.generator_.parameters():
            if weight.ndim == 2:
                weight.data *= 1e4
        with pytest.raises(ConvergenceWarning, match="times as far from the mean of the data"):
            fitted.partial_fit(X)


def test_terms_of_prior_matching_on_other_rows():
    X = normal(1000, 4)
    model = clone(MATCHING).set_params(max_epochs=4).fit(X)
    terms = model.evaluate(normal(500, 4, seed=1))
    assert set(terms) == {"loss", "mean", "data_mean", "mismatch"}
    assert terms["loss"] == pytest.approx((terms["mean"] - 1) ** 2, abs=0.05)
    assert terms["mismatch"] == pytest.approx(model.history_[-1]["train_mismatch"], abs=0.3)
