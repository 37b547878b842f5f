"""Variational autoencoders: the objective, known optima, decoders, conventions."""

import copy
import gc
import itertools
import math
import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits

from skmi.bounds import get_bound
from skmi.critics import InnerProductCritic
from skmi.evaluation import active_units, aggregate_posterior_kl, latent_mutual_information
from skmi.exceptions import ConvergenceWarning, NonFiniteLossError
from skmi.networks.vae import PixelCNN, make_vae_decoder, make_vae_encoder
from skmi.representation import (
    BetaVAETransformer,
    InfoMaxVAETransformer,
    InfoVAETransformer,
    VAETransformer,
    _likelihoods,
)
from skmi.representation._objective import InformationCritic
from skmi.representation._priors import maximum_mean_discrepancy
from skmi.representation._vae_objective import CriticView, VAEObjective
from skmi.representation.infomax_vae import DIVERGENCES

QUICK = {
    "n_components": 3,
    "encoder_width": 4,
    "hidden_layer_sizes": (16,),
    "max_epochs": 2,
    "n_importance_samples": 4,
    "random_state": 0,
}
PUBLISHED = {"critic_input": "data", "critic_noise": 0.0, "n_critic_draws": 1}
FAMILY = [
    InfoMaxVAETransformer(**QUICK, critic_hidden=(8,)),
    VAETransformer(**QUICK),
    BetaVAETransformer(**QUICK),
    InfoVAETransformer(**QUICK),
]
each = pytest.mark.parametrize("vae", FAMILY, ids=["infomax", "vae", "beta", "info"])


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32).reshape(-1, 8, 8), y


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# -------------------------------------------------------------------- the objective


def test_loss_is_minus_the_evidence_lower_bound(digits):
    # by torch's distributions, with the draws that evaluation makes
    X = torch.from_numpy(digits[0][:50, None])
    vae = VAETransformer(**QUICK).fit(X.numpy())
    objective = vae.objective_
    terms = objective(X, player="model")
    mean, log_std = objective.model["encoder"](X).y.chunk(2, 1)
    log_std = 10 * torch.tanh(log_std / 10)  # kept within bounds
    z = mean + log_std.exp() * torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    pixels = Bernoulli(logits=objective.model["decoder"](z), validate_args=False)
    log_likelihood = pixels.log_prob(X).sum((1, 2, 3)).mean()
    posterior = Independent(Normal(mean, log_std.exp()), 1)
    kl = kl_divergence(posterior, Independent(Normal(torch.zeros(50, 3), 1.0), 1)).mean()
    assert terms["log_likelihood"].item() == pytest.approx(log_likelihood.item(), rel=1e-5)
    assert terms["kl"].item() == pytest.approx(kl.item(), rel=1e-4)
    assert terms["loss"].item() == pytest.approx((kl - log_likelihood).item(), rel=1e-5)


def test_without_information_it_is_the_vae_bit_for_bit(digits):
    X = digits[0][:200]
    plain = VAETransformer(**QUICK).fit(X)
    weights = plain.objective_.model.state_dict()
    for same in (
        InfoMaxVAETransformer(**QUICK, alpha=0.0, critic_input="posterior", n_critic_draws=8),
        BetaVAETransformer(**QUICK, beta=1.0),
        InfoVAETransformer(**QUICK, beta=1.0, mmd=0.0),
    ):
        found = same.fit(X).objective_.state_dict()
        assert len(found) == len(weights)  # there is no critic
        assert all(torch.equal(found[f"model.{k}"], v) for k, v in weights.items())


def test_updates_are_those_of_a_plain_loop(digits, monkeypatch):
    X = digits[0][:96]
    batches, forward = [], VAEObjective.forward

    def record(self, x, player):
        if self.training:
            state = self.generator.get_state()
            noise = torch.randn(len(x), 3, generator=self.generator)
            self.generator.set_state(state)
            batches.append((x.clone(), noise))
            if len(batches) == 1:
                batches.insert(0, copy.deepcopy(self.model))
        return forward(self, x, player)

    monkeypatch.setattr(VAEObjective, "forward", record)
    vae = VAETransformer(**QUICK, batch_size=32).fit(X)
    model, *batches = batches
    assert len(batches) == 6
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    for x, noise in batches:
        mean, log_std = model["encoder"](x).y.chunk(2, 1)
        std = (10 * torch.tanh(log_std / 10)).exp()  # which is kept within bounds
        logits = model["decoder"](mean + std * noise)
        error = binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
        kl = (mean.square() + std.square() - 1 - 2 * std.log()).sum(1) / 2
        optimizer.zero_grad()
        (kl.mean() + error.mean()).backward()
        optimizer.step()
    for name, weights in vae.objective_.model.state_dict().items():
        assert torch.equal(weights, model.state_dict()[name]), name


@pytest.mark.parametrize("divergence", sorted(DIVERGENCES))
def test_codes_are_permuted_without_a_fixed_point(divergence):
    # rows and codes that match only their own: every pair scores log 3, every other pair log 1/3
    eye = torch.eye(7) * math.log(9) ** 0.5
    bound = get_bound(DIVERGENCES[divergence])
    critic = InformationCritic(InnerProductCritic(), bound)
    generator = torch.Generator().manual_seed(3)
    for _ in range(5):
        value, nats = critic(eye, eye, generator)
        joint = torch.full((7,), math.log(9) + bound.offset)
        product = torch.full((7, 6), bound.offset)
        expected = bound.value(joint, product, *[0.0] * bound.has_eta)
        assert value.item() == pytest.approx(expected.item(), rel=1e-5)
        assert nats.item() == pytest.approx(bound.nats(joint, product).item(), rel=1e-5)


def test_the_critic_and_the_autoencoder_have_steps_of_their_own(digits):
    vae = clone(FAMILY[0]).set_params(n_critic=3, batch_size=50).fit(digits[0][:200])
    steps = {
        name: {int(s["step"]) for s in state["state"].values()}
        for name, state in vae._training_state["optimizers"].items()
    }
    assert steps == {"model": {8}, "critic": {24}}
    objective, x = vae.objective_.train(), torch.from_numpy(digits[0][:50, None])
    objective.zero_grad()
    objective(x, player="model")
    loss = objective(x, player="critic")["loss"]
    loss.backward()  # does not reach the encoder
    assert all(p.grad is None for p in objective.model.parameters())
    assert all(p.grad is not None for p in objective.critic.parameters())


def test_what_a_critic_of_posteriors_is_told(digits):
    options = {"critic_noise": 0.0, "n_critic_draws": 4, "batch_size": 50}
    vae = clone(FAMILY[0]).set_params(**options).fit(digits[0][:100])
    objective, x = vae.objective_, torch.from_numpy(digits[0][:50, None])
    told, forward = [], objective.critic.forward

    def record(*inputs):
        told.append(inputs)
        return forward(*inputs)

    objective.critic.forward = record
    information = objective(x, player="model")["information"]
    means, stds = map(torch.from_numpy, vae.posterior(digits[0][:50]))
    posterior = torch.cat([means, stds.log()], dim=1)
    codes = torch.stack([z for _, z, _ in told])
    assert len(codes) == 4
    for known, _, _ in told:  # the encoder has no other way to the critic than its codes
        assert not known.requires_grad
        torch.testing.assert_close(known, posterior, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(codes.unflatten(0, (2, 2)).mean(1), means.expand(2, -1, -1))
    noise = (codes - means) / stds  # of the first pair, of the first draw that evaluation makes
    expected = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(noise[0], expected, atol=1e-4, rtol=1e-4)
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):  # after the two draws of noise
        torch.randn(50, 3, generator=generator)
    values = [forward(posterior, z, generator)[1] for z in codes]
    assert information.item() == pytest.approx(torch.stack(values).mean().item(), abs=1e-5)
    with torch.no_grad():  # the critic steps on the draws in turn, and goes round
        for i in range(5):
            objective(x, player="critic")
            assert torch.equal(told[-1][1], codes[i % 4])


def test_what_the_published_critic_is_told(digits):
    vae = clone(FAMILY[0]).set_params(**PUBLISHED, batch_size=50).fit(digits[0][:100])
    objective, x = vae.objective_, torch.from_numpy(digits[0][:50, None])
    objective(x, player="model")
    known, codes = objective._last
    means, stds = map(torch.from_numpy, vae.posterior(digits[0][:50]))
    noise = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(known, x.flatten(1)) and len(codes) == 1
    torch.testing.assert_close(codes[0], means + stds * noise, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 50.0])
@pytest.mark.parametrize("variance", [0.02, 0.9])  # of the posteriors
def test_information_through_noise_has_its_closed_form(variance, scale):
    # that of normal means and codes with the correlation r, -log(1 - r^2) / 2, whatever the scale
    noise, generator = 2.5, torch.Generator().manual_seed(0)
    mean = scale * math.sqrt(1 - variance) * torch.randn(200_000, 1, generator=generator)
    std = torch.full_like(mean, scale * math.sqrt(variance))
    draws = [mean + std * torch.randn(mean.shape, generator=generator) for _ in range(2)]
    view = CriticView(1, of_posteriors=True, noise=noise)
    known, seen = view(mean, mean, std, draws, generator)
    torch.testing.assert_close(known, torch.cat([mean, std.log()], dim=1))
    for codes in seen:
        assert codes.var().item() == pytest.approx(1 + noise**2, rel=0.02)
        r = torch.corrcoef(torch.cat([mean, codes], dim=1).T)[0, 1].item()
        information = math.log((1 + noise**2) / (variance + noise**2)) / 2
        assert -math.log(1 - r**2) / 2 == pytest.approx(information, abs=0.003)


def test_silent_columns_come_into_use_at_little_cost():
    # six latent columns for three factors: the plain autoencoder leaves some of them out
    X = normal(3000, 3) @ normal(3, 8, seed=1) + 0.3 * normal(3000, 8, seed=2)
    train, test = X[:2000], X[2000:]
    options = {"hidden_layer_sizes": (32,), "max_epochs": 40, "learning_rate": 3e-3}
    critic = {"critic_hidden": (64,), "critic_learning_rate": 1e-3}
    plain, infomax, published = (
        vae.set_params(random_state=0, **options).fit(train)
        for vae in (
            VAETransformer(6),
            InfoMaxVAETransformer(6, **critic),
            InfoMaxVAETransformer(6, **critic, **PUBLISHED),
        )
    )
    units = [active_units(vae.transform(test)) for vae in (plain, infomax, published)]
    assert units[0] < 6 and units[1:] == [6, 6]
    told = [
        latent_mutual_information(*vae.posterior(test), random_state=0) for vae in (plain, infomax)
    ]
    assert told[1] > told[0]
    assert infomax.score(test) > plain.score(test) - 1
    assert published.score(test) < infomax.score(test) - 2  # it sharpens the posteriors in use


def test_further_draws_steady_the_gradient_of_the_encoder(digits):
    vae = clone(FAMILY[0]).set_params(critic_input="posterior", alpha=50.0, max_epochs=20)
    objective = vae.fit(digits[0][:500]).objective_.train()
    x = torch.from_numpy(digits[0][:100, None])
    bias = objective.model["encoder"].output.bias

    def variance(n_draws):
        objective.n_draws, gradients = n_draws, []
        for seed in range(40):
            objective.generator = torch.Generator().manual_seed(seed)
            information = objective(x, player="model")["information"]
            gradients.append(torch.autograd.grad(information, bias)[0])
        return torch.stack(gradients).var(0).sum().item()

    assert variance(8) < variance(1) / 3


def test_terms_have_their_weights(digits):
    X = digits[0][:100]
    options = {"alpha": 3.0, "beta": 0.5, "mmd": 7.0}
    vae = clone(FAMILY[0]).set_params(**options).fit(X)
    terms = vae.evaluate(X)
    expected = 0.5 * terms["kl"] + 7 * terms["mmd"] - terms["log_likelihood"]
    # "kl" ascends the very number that it reports
    assert terms["loss"] == pytest.approx(expected - 3 * terms["information"], rel=1e-5)
    assert set(vae.history_[0]) == {"epoch", "seconds"} | {f"train_{name}" for name in terms}
    assert set(clone(FAMILY[1]).fit(X).evaluate(X)) == {"loss", "log_likelihood", "kl"}


@pytest.mark.parametrize(
    "divergence",
    [
        pytest.param(name, marks=() if name in ("jsd", "eta-dv") else pytest.mark.slow)
        for name in sorted(set(DIVERGENCES) - {"kl", "nwj"})
    ],
)
def test_every_divergence_trains(digits, divergence):
    options = {"divergence": divergence, "max_epochs": 15, "critic_learning_rate": 3e-3}
    options |= {"critic_hidden": (64,), "hidden_layer_sizes": (64,), "learning_rate": 3e-3}
    options |= {"encoder": "mlp", "decoder": "mlp", "batch_size": 25, **PUBLISHED}
    X = digits[0][:600]
    nats = []
    for alpha in (0.0, 10.0):
        vae = clone(FAMILY[0]).set_params(**options, alpha=alpha).fit(X)
        nats.append(latent_mutual_information(*vae.posterior(X), random_state=0))
    assert np.isfinite([row["train_information"] for row in vae.history_]).all()
    assert nats[1] > nats[0] + 0.3


@pytest.mark.parametrize("divergence", sorted(DIVERGENCES))
def test_every_divergence_through_noise_is_kept_with_its_moments(digits, tmp_path, divergence):
    vae = clone(FAMILY[0]).set_params(divergence=divergence, critic_learning_rate=1e-2)
    vae.fit(digits[0][:300])
    terms = vae.evaluate(digits[0][300:500])
    assert np.isfinite(list(terms.values())).all() and terms["information"] != 0
    vae.save(tmp_path / "vae.safetensors")
    loaded = InfoMaxVAETransformer.load(tmp_path / "vae.safetensors")
    assert loaded.evaluate(digits[0][300:500]) == terms  # by the running moments of the codes


def test_draws_of_the_critic_may_change_while_training_goes_on(digits):
    vae = clone(FAMILY[0]).set_params(warm_start=True).fit(digits[0][:100])
    vae.set_params(n_critic_draws=2).fit(digits[0][:100])
    assert vae.objective_.n_draws == 2 and len(vae.history_) == 4
    with pytest.raises(ValueError, match="critic_noise was"):
        vae.set_params(critic_noise=1.0).fit(digits[0][:100])


def test_weights_that_leave_silent_columns_silent_are_warned_of(digits):
    with pytest.warns(UserWarning, match=r"alpha=5.0 is not above .* = 5:"):
        clone(FAMILY[0]).set_params(alpha=5.0, critic_noise=2.0).fit(digits[0][:100])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "alpha=")
        clone(FAMILY[0]).fit(digits[0][:100])
        clone(FAMILY[0]).set_params(alpha=0.5, critic_noise=0.0).fit(digits[0][:100])


# ---------------------------------------------------------------------- known optima


def test_linear_vae_reaches_the_likelihood_of_probabilistic_pca():
    X = StandardScaler().fit_transform(normal(800, 2) @ normal(2, 6, seed=1) + 0.5 * normal(800, 6))
    best = PCA(2).fit(X).score(X)
    vae = VAETransformer(
        2,
        encoder=nn.Linear(6, 4),
        decoder=nn.Linear(2, 6),
        learning_rate=1e-2,
        max_epochs=120,
        random_state=0,
    ).fit(X)
    assert best - 0.03 < vae.score(X) < best + 1e-3
    noise = PCA(2).fit(X).noise_variance_
    assert vae.objective_.model["likelihood"].variance.item() == pytest.approx(noise, rel=0.05)


@pytest.mark.parametrize("epochs", [1, 5])
def test_noise_is_the_likeliest_however_short_the_training(epochs):
    X = normal(150, 5, seed=4)
    vae = VAETransformer(**QUICK | {"max_epochs": epochs, "batch_size": 150}).fit(X)
    variance = vae.objective_.model["likelihood"].variance
    best, scores = variance.item(), []
    for factor in (0.9, 1.0, 1.1):
        variance.fill_(factor * best)
        scores.append(-vae.evaluate(X)["loss"])
    assert scores[1] == max(scores)


def test_samples_with_noise_vary_as_the_data_do():
    X = normal(600, 4, seed=5) * [1, 10, 0.1, 3]
    vae = clone(FAMILY[1]).set_params(max_epochs=20).fit(X)
    drawn, means = (vae.sample(4000, random_state=0, noise=noise) for noise in (True, False))
    assert drawn.std(0) == pytest.approx(X.std(0), rel=0.15)
    assert (means.std(0) < drawn.std(0)).all()
    assert np.array_equal(drawn, vae.sample(4000, random_state=0, noise=True))


def test_density_follows_the_units():
    X = normal(300, 3, seed=2)
    vae, wide = (VAETransformer(**QUICK).fit(data) for data in (X, 1000 * X))
    change = 3 * math.log(1000)  # p(1000 x) = p(x) / 1000^3
    assert wide.score_samples(1000 * X) == pytest.approx(vae.score_samples(X) - change, abs=1e-2)
    codes = normal(10, 3)
    decoded = wide.inverse_transform(codes)
    assert decoded == pytest.approx(1000 * vae.inverse_transform(codes), rel=1e-3, abs=0.1)


def test_more_importance_samples_are_a_tighter_bound(digits):
    X = digits[0][:200]
    vae = clone(FAMILY[1]).set_params(max_epochs=10).fit(X)
    scores = [vae.set_params(n_importance_samples=k).score(X) for k in (1, 8, 64)]
    assert scores == sorted(scores)
    assert scores[0] == pytest.approx(-vae.evaluate(X)["loss"], abs=0.3)  # one draw: the ELBO
    assert vae.score(X) == scores[-1]  # the same draws again
    assert vae.score(X) == pytest.approx(vae.score_samples(X).mean())


def test_information_keeps_codes_in_use(digits):
    # InfoMax-VAE above the VAE above the beta-VAE, in nats and in units (Table 1)
    X = digits[0]
    options = {"n_components": 6, "hidden_layer_sizes": (64,), "encoder": "mlp", "decoder": "mlp"}
    options |= {"max_epochs": 25, "learning_rate": 2e-3, "random_state": 1}
    infomax = InfoMaxVAETransformer(**options, critic_hidden=(64,), critic_learning_rate=1e-3)
    nats, units = [], []
    for vae in (infomax, VAETransformer(**options), BetaVAETransformer(**options, beta=2.0)):
        means, stds = vae.fit(X).posterior(X)
        nats.append(latent_mutual_information(means, stds, random_state=0))
        units.append(active_units(means))
    assert nats[0] > nats[1] + 0.2 > nats[2] + 0.5 > 0.7
    assert units[0] == 6 and units[2] <= units[1] <= 6


def test_discrepancy_is_not_negative_and_is_zero_for_equal_samples():
    generator = torch.Generator().manual_seed(0)
    for scale, shift in itertools.product((0.1, 1.0, 3.0), (0.0, 0.5)):
        a = torch.randn(40, 5, generator=generator)
        b = scale * torch.randn(60, 5, generator=generator) + shift
        assert maximum_mean_discrepancy(a, b) >= 0
        assert maximum_mean_discrepancy(a, a).abs() < 1e-6
    near, far = torch.randn(2, 500, 5, generator=generator)
    assert maximum_mean_discrepancy(near, far) < maximum_mean_discrepancy(near, far + 0.3)
    b = (far + 1).requires_grad_()
    maximum_mean_discrepancy(b, near).backward()
    assert (b.grad.sum(0) > 0).all()  # a step down takes them back


def test_discrepancy_lowers_the_gap_of_the_aggregated_posterior(digits):
    X = digits[0]
    options = QUICK | {"hidden_layer_sizes": (64,), "max_epochs": 15}
    options |= {"encoder": "mlp", "decoder": "mlp"}
    gaps = [
        aggregate_posterior_kl(
            *InfoVAETransformer(**options, mmd=mmd).fit(X).posterior(X), random_state=0
        )
        for mmd in (0.0, 100.0)
    ]
    assert gaps[1] < 0.5 * gaps[0]


# -------------------------------------------------------------------------- networks


@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 5, 7), (3, 9, 11), (1, 28, 28), (3, 32, 32)])
def test_convolutional_networks_take_any_size(shape):
    options = {"hidden_layer_sizes": (8,), "width": 4}
    encoder = make_vae_encoder("auto", shape, 6, **options)
    decoder = make_vae_decoder("auto", 3, shape, **options)
    assert encoder(torch.zeros(2, *shape)).y.shape == (2, 6)
    assert decoder(torch.zeros(2, 3)).shape == (2, *shape)


@pytest.mark.parametrize("name", ["mlp", "conv"])
def test_signals_keep_their_size(name):
    # else a deep network starts with codes that say nothing, and the posterior collapses
    torch.manual_seed(0)
    options = {"hidden_layer_sizes": (200,) * 10, "width": 32}
    encoder = make_vae_encoder(name, (1, 32, 32), 6, **options)
    decoder = make_vae_decoder(name, 20, (1, 32, 32), **options)
    assert 0.2 < encoder(torch.randn(64, 1, 32, 32)).fc.square().mean() < 5
    output = decoder(torch.randn(64, 20))
    assert 0.1 < output.var(0).mean() < 5


def test_pixelcnn_sees_the_pixels_before_and_no_others():
    torch.manual_seed(0)
    decoder = PixelCNN(2, (2, 5, 4), width=6, n_layers=4)
    z, x = torch.randn(1, 2), torch.randn(1, 2, 5, 4)
    jacobian = torch.autograd.functional.jacobian(lambda x: decoder(z, x)[0].sum(0), x)[:, :, 0]
    influence = jacobian.abs().sum(2).flatten(0, 1).flatten(1)  # (outputs, pixels)
    assert (influence.triu() == 0).all()
    assert (influence[1:].sum(1) > 0).all()
    assert not torch.allclose(decoder(z, x), decoder(z + 1, x))


def test_pixelcnn_is_a_distribution():
    # the probabilities of all 2^16 binary images of 4 x 4 pixels sum to 1
    torch.manual_seed(0)
    decoder = PixelCNN(2, (1, 4, 4), width=4, n_layers=3)
    for parameter in decoder.parameters():
        parameter.data *= 3
    images = torch.tensor(list(itertools.product([0.0, 1.0], repeat=16))).view(-1, 1, 4, 4)
    with torch.no_grad():
        logits = decoder(torch.ones(len(images), 2), images)
    errors = binary_cross_entropy_with_logits(logits, images, reduction="none")
    log_probabilities = -errors.double().flatten(1).sum(1)
    assert log_probabilities.exp().sum().item() == pytest.approx(1, abs=1e-4)
    assert log_probabilities.std() > 1


def test_pixelcnn_generates_pixel_by_pixel():
    torch.manual_seed(0)
    decoder, z = PixelCNN(2, (1, 5, 4), width=6, n_layers=3), torch.randn(3, 2)
    images = decoder.generate(z, lambda output: torch.tanh(output))
    assert torch.allclose(images, torch.tanh(decoder(z, images)), atol=1e-5)


def test_autoregressive_decoder(digits):
    X = (digits[0][:120] > 0.5).astype(np.float32)
    vae = clone(FAMILY[0]).set_params(decoder="pixelcnn", max_epochs=3).fit(X)
    samples = vae.sample(4, random_state=0)
    assert samples.shape == (4, 8, 8) and set(np.unique(samples)) == {0.0, 1.0}
    assert np.array_equal(samples, vae.sample(4, random_state=0))
    assert not np.array_equal(samples, vae.sample(4, random_state=1))
    assert vae.reconstruct(X[:3]).shape == (3, 8, 8)
    assert vae.score(X) > -8 * 8 * math.log(2)


# ----------------------------------------------------------------- scikit-learn's ways


CHECKED = [v.set_params(max_epochs=1, hidden_layer_sizes=(4,)) for v in map(clone, FAMILY)]


@parametrize_with_checks(CHECKED[:2], xfail_strict=True)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(CHECKED[2:], xfail_strict=True)
def test_scikit_learn_conventions_of_the_relatives(estimator, check):
    check(estimator)


@each
def test_saved_and_copied_models_are_the_same(vae, digits, tmp_path):
    X = digits[0][:60]
    fitted = clone(vae).fit(X)
    fitted.save(tmp_path / "vae.safetensors")
    for copied in (
        type(vae).load(tmp_path / "vae.safetensors"),
        pickle.loads(pickle.dumps(fitted)),
    ):
        assert np.array_equal(copied.transform(X), fitted.transform(X))
        assert copied.score(X) == fitted.score(X)
        assert np.array_equal(copied.sample(3, random_state=0), fitted.sample(3, random_state=0))


@each
def test_codes_and_what_is_decoded(vae, digits):
    X = digits[0][:60]
    before = torch.get_rng_state()
    fitted = clone(vae).fit(X)
    assert torch.equal(before, torch.get_rng_state())
    means, stds = fitted.posterior(X)
    Z = fitted.transform(X)
    assert np.array_equal(Z, means) and (stds > 0).all()
    assert np.array_equal(fitted.reconstruct(X), fitted.inverse_transform(Z))
    assert fitted.inverse_transform(Z).shape == X.shape
    turned = fitted.inverse_transform(Z[:, ::-1])  # a view
    assert np.array_equal(turned, fitted.inverse_transform(Z[:, ::-1].copy()))
    assert np.array_equal(Z, clone(vae).fit(X).transform(X))
    assert fitted.get_feature_names_out()[0] == type(vae).__name__.lower() + "0"
    assert fitted.set_params(feature_layer="fc").transform(X).shape == (60, 8)


def test_pipelines_and_data_frames_there_and_back(digits):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(16 * digits[0][:60].reshape(60, -1)).rename(columns=str)
    vae = clone(FAMILY[1]).set_params(image_shape=(8, 8))
    pipeline = make_pipeline(MinMaxScaler(), vae).set_output(transform="pandas")
    Z = pipeline.fit_transform(X)
    assert pipeline[-1].likelihood_ == "bernoulli" and Z.columns[0] == "vaetransformer0"
    assert pipeline.inverse_transform(Z).shape == (60, 64)


def test_memory_does_not_grow_with_the_epochs(digits, monkeypatch):
    sizes, forward = [], VAEObjective.forward

    def count(self, x, player):
        if self.training and player == "critic":
            gc.collect()
            alive = [o for o in gc.get_objects() if isinstance(o, torch.Tensor)]
            sizes.append(sum(tensor.numel() for tensor in alive))
        return forward(self, x, player)

    monkeypatch.setattr(VAEObjective, "forward", count)
    clone(FAMILY[0]).set_params(max_epochs=6, batch_size=50).fit(digits[0][:100])
    assert len(sizes) == 12 and max(sizes[6:]) <= max(sizes[:6])


def test_continued_training_is_that_of_one_fit(digits):
    X = digits[0][:100]
    whole = clone(FAMILY[0]).set_params(max_epochs=3).fit(X)
    parts = clone(FAMILY[0])
    for _ in range(3):
        parts.partial_fit(X)
    assert np.array_equal(parts.transform(X), whole.transform(X))
    assert [row["epoch"] for row in parts.history_] == [1, 2, 3]


def test_in_a_pipeline_and_a_grid_search(digits):
    X, y = digits[0][:200].reshape(200, -1), digits[1][:200]
    vae = clone(FAMILY[0]).set_params(image_shape=(8, 8), batch_size=50)
    pipeline = make_pipeline(vae, LinearSVC(dual=False))
    grid = {"infomaxvaetransformer__alpha": [0.0, 5.0], "infomaxvaetransformer__beta": [1.0, 2.0]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.1 and len(search.cv_results_["params"]) == 4
    alone = GridSearchCV(vae, {"alpha": [0.0, 5.0], "beta": [1.0, 2.0]}, cv=2).fit(X)
    assert np.isfinite(alone.cv_results_["mean_test_score"]).all()


# ------------------------------------------------------------- data, and wrong settings


def test_likelihood_is_found(digits):
    images, rows = digits[0][:60], normal(60, 5)
    fit = lambda X, **options: clone(FAMILY[1]).set_params(**options).fit(X)  # noqa: E731
    assert fit(images).likelihood_ == "bernoulli"
    with pytest.warns(UserWarning, match="whole numbers up to 16"):
        assert fit(16 * images).likelihood_ == "gaussian"
    assert fit(16 * images + 0.1).likelihood_ == "gaussian"
    assert fit(rows).likelihood_ == "gaussian"
    assert fit(np.abs(images.reshape(60, -1))).likelihood_ == "gaussian"  # columns, for all we know
    assert fit(images.reshape(60, -1), image_shape=(8, 8)).likelihood_ == "bernoulli"
    assert fit(MinMaxScaler().fit_transform(rows), likelihood="bernoulli").n_iter_ == 2


def test_bytes_are_scaled(digits):
    X = digits[0][:60]
    bytes_ = np.round(255 * X).astype(np.uint8)
    scaled = clone(FAMILY[1]).fit(bytes_.astype(np.float32) / 255)
    fitted = clone(FAMILY[1]).fit(bytes_)
    assert np.allclose(fitted.transform(bytes_), scaled.transform(bytes_ / 255), atol=1e-5)
    assert np.allclose(fitted.reconstruct(bytes_), 255 * scaled.reconstruct(bytes_ / 255), atol=0.1)
    with pytest.raises(ValueError, match="uint8 in fit, up to 255"):
        fitted.transform(X)
    binary = clone(FAMILY[1]).fit((X > 0.5).astype(np.uint8))
    assert (binary.scale_ == 1).all()


@pytest.mark.parametrize(
    ("options", "X", "message"),
    [
        ({"likelihood": "bernoulli"}, normal(40, 5), r"values from -.* to 2.*gaussian"),
        ({"likelihood": "bernoulli"}, 255 * np.ones((40, 8, 8)), r"divide images by 255"),
        ({}, np.ones((40, 3, 3)), r"at least 4 x 4 pixels, got 3 x 3.*decoder='mlp'"),
        ({"n_components": 0}, normal(40, 5), "n_components"),
        ({"alpha": -1}, normal(40, 5), "alpha"),
        ({"encoder": nn.Linear(5, 3)}, normal(40, 5), r"rows of shape \(3,\).* needs 6 columns"),
        ({"decoder": nn.Linear(3, 4)}, normal(40, 5), r"decoder must .*\(5,\), but .*\(2, 4\)"),
        ({"decoder": "conv"}, normal(40, 5), "decoder='conv' makes images.*image_shape"),
        ({"encoder": "conv"}, normal(40, 5), "encoder='conv' does not take rows of shape"),
        ({"decoder": nn.Linear(4, 5)}, normal(40, 5), r"decoder does not take .*\(3,\)"),
        ({"encoder": nn.Linear(4, 6)}, normal(40, 5), r"encoder does not take rows of shape \(5,"),
        ({"encoder": nn.Linear(5, 6), "feature_layer": "fc"}, normal(40, 5), "feature_layer='fc'"),
        ({}, np.array([[np.nan, 1.0]] * 20), "NaN"),
        ({"critic_hidden": ()}, normal(40, 5), "critic_hidden"),
    ],
)
def test_wrong_settings(options, X, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        clone(FAMILY[0]).set_params(**options).fit(X)


def test_small_batches_are_warned_of():
    X = normal(40, 5)
    with pytest.warns(UserWarning, match="batch_size=8 is few for alpha=10"):
        clone(FAMILY[0]).set_params(batch_size=8).fit(X)
    with pytest.warns(UserWarning, match="n_samples=9 is few"):
        clone(FAMILY[0]).fit(X[:9])


@pytest.mark.filterwarnings("error:batch_size")
def test_small_batches_do_no_harm_without_information():
    clone(FAMILY[1]).set_params(batch_size=8).fit(normal(40, 5))


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_rows_rebuilt_worse_than_by_their_mean_are_warned_of(digits, likelihood):
    images, _ = digits
    vae = VAETransformer(**QUICK, likelihood=likelihood)
    vae.set_params(learning_rate=10, max_epochs=5)
    with pytest.warns(ConvergenceWarning, match="worse than if each were taken for the mean"):
        vae.fit(images[:300])


@pytest.mark.parametrize("likelihood", ["Bernoulli", "Gaussian"])
def test_the_output_of_a_mean_is_its_inverse(likelihood):
    mean = torch.from_numpy(np.random.default_rng(0).uniform(0.01, 0.99, size=(3, 5)))
    likelihood = getattr(_likelihoods, likelihood)()
    torch.testing.assert_close(likelihood.mean(likelihood.output_of(mean)), mean)


def test_silent_codes_are_warned_of():
    X = np.random.default_rng(0).normal(size=(200, 3))
    vae = BetaVAETransformer(**QUICK, beta=100).set_params(max_epochs=20, learning_rate=1e-2)
    with pytest.warns(ConvergenceWarning, match="None of the 3 latent columns is active"):
        vae.fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        vae.set_params(beta=0.1).fit(X)


def test_constant_columns_have_no_part_in_the_likelihood(tmp_path):
    mixed = normal(400, 2) @ normal(2, 5, seed=1) + 0.3 * normal(400, 5, seed=2)
    X = np.hstack([mixed, np.full((400, 20), 7.0)])
    options = {"random_state": 0, "max_epochs": 40, "hidden_layer_sizes": (32,)}
    vae = VAETransformer(3, learning_rate=1e-2, **options).fit(X)
    noise = (vae.sample(500, 0, noise=True) - vae.sample(500, 0))[:, :5] / mixed.std(0)
    rest = (vae.reconstruct(X) - X)[:, :5] / mixed.std(0)
    assert noise.std() > rest.std() > 0.05  # the error of draws, not of means
    # as high as a model of the columns that vary can be, not a density at constants more
    assert vae.score(X) < PCA(2).fit(mixed).score(mixed) + 0.5
    vae.save(tmp_path / "vae")
    np.testing.assert_array_equal(VAETransformer.load(tmp_path / "vae").score(X), vae.score(X))
    X[:, 5:] += normal(400, 20)  # they vary now
    vae.set_params(warm_start=True).fit(X)
    assert vae.objective_.model["likelihood"].varies is None


def test_dark_bytes_are_warned_of(digits):
    images = (16 * digits[0][:50]).astype(np.uint8)
    with pytest.warns(UserWarning, match="uint8 with values up to 16, and is divided by 255"):
        clone(FAMILY[1]).fit(images)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "X is of dtype uint8")
        clone(FAMILY[1]).fit(15 * images)


def test_an_unknown_layer_after_fitting_is_named(digits):
    vae = clone(FAMILY[1]).fit(digits[0][:50]).set_params(feature_layer="last")
    with pytest.raises(ValueError, match=r"feature_layer='last' must be one of \['global'"):
        vae.transform(digits[0][:50])


def test_exploding_critic():
    vae = clone(FAMILY[0]).set_params(critic_learning_rate=1e6, max_epochs=20)
    with pytest.raises(
        NonFiniteLossError, match="lower alpha, learning_rate or critic_learning_rate"
    ):
        vae.fit(normal(200, 5))
    assert not hasattr(vae, "objective_")


def test_an_autoregressive_decoder_must_generate():
    decoder = nn.Linear(3, 5)
    decoder.autoregressive = True
    with pytest.raises(TypeError, match=r"no method generate\(z, draw\)"):
        clone(FAMILY[1]).set_params(decoder=decoder).fit(normal(40, 5))


def test_wrong_calls(digits):
    fitted = clone(FAMILY[1]).fit(digits[0][:60])
    with pytest.raises(ValueError, match=r"X has 2 columns, .*n_components=3"):
        fitted.inverse_transform(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="n_samples=0"):
        fitted.sample(0)
    with pytest.raises(ValueError, match=r"rows of shape .*\(1, 8, 8\)"):
        fitted.transform(np.zeros((4, 1, 9, 9))[:, 0, :8])
    with pytest.raises(ValueError, match="values from"):
        fitted.score(2 * digits[0][:60])


@pytest.mark.parametrize("decoder", ["conv", "pixelcnn"])
def test_bfloat16_trains_close_to_float32(digits, decoder):
    X = digits[0]
    options = QUICK | {"alpha": 1.0, "max_epochs": 5, "encoder_width": 8, "decoder": decoder}
    full = InfoMaxVAETransformer(**options).fit(X)
    low = InfoMaxVAETransformer(precision="bfloat16", **options).fit(X)
    assert low.history_ != full.history_
    assert all(p.dtype == torch.float32 for p in low.objective_.parameters())
    assert all(part.dtype == np.float32 for part in low.posterior(X))
    assert low.score(X) == pytest.approx(full.score(X), rel=0.05)


@each
def test_compile_goes_to_torch(vae, digits, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda module, **k: compiled.append(module) or module)
    vae = clone(vae).set_params(compile=True).fit(digits[0][:64])
    assert compiled == [vae.objective_]
