"""Autoencoders, noise as targets and predictive coding: what they minimise, and conventions."""

import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from skmi.exceptions import NonFiniteLossError
from skmi.networks import Encoder, make_encoder
from skmi.representation import AutoencoderTransformer, CPCTransformer, NATTransformer
from skmi.representation._priors import PRIORS
from skmi.representation.cpc import ColumnSummary
from skmi.representation.nat import NoiseObjective

QUICK = {
    "n_components": 4,
    "encoder_width": 8,
    "max_epochs": 2,
    "patience": None,
    "random_state": 0,
}
ALL = [
    AutoencoderTransformer(**QUICK, hidden_layer_sizes=(16,), n_channels=4),
    AutoencoderTransformer(**QUICK, hidden_layer_sizes=(16,), n_channels=4, prior="gaussian"),
    NATTransformer(**QUICK),
    CPCTransformer(**QUICK, n_steps=1, critic_width=8),
]
each = pytest.mark.parametrize(
    "baseline", ALL, ids=["autoencoder", "adversarial", "noise-as-targets", "predictive-coding"]
)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:300].reshape(-1, 8, 8), y[:300]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def correlated_rows(n=600, seed=1):
    """Rows of six columns, of which two directions hold most of the variance."""
    return normal(n, 2, seed=seed) @ normal(2, 6, seed=2) + 0.3 * normal(n, 6, seed=seed + 1)


# ------------------------------------------------------------------------- autoencoders


class LinearAutoencoder(AutoencoderTransformer):
    """A linear encoder and decoder, whose optimum is known: the space of PCA."""

    def _make_objective(self, shape):
        objective = super()._make_objective(shape)
        objective.model["decoder"] = nn.Linear(self.n_components, *shape)
        return objective


def linear_encoder(n_in, n_out):
    identity = [nn.Identity() for _ in range(3)]
    return Encoder(*identity, nn.Linear(n_in, n_out))


def test_linear_autoencoder_reaches_pca():
    # no linear map of width 2 rebuilds better than the first two principal components
    X = correlated_rows()
    options = {"encoder": linear_encoder(6, 2), "patience": None, "random_state": 0}
    linear = LinearAutoencoder(2, **options, max_epochs=40, learning_rate=1e-2).fit(X)
    scaled = (X - linear.location_) / linear.scale_
    pca = PCA(2).fit(scaled)
    best = np.square(scaled - pca.inverse_transform(pca.transform(scaled))).mean()
    error = linear.evaluate(X)["error"]
    assert best - 1e-6 <= error < 1.03 * best
    rebuilt = (linear.inverse_transform(linear.transform(X)) - linear.location_) / linear.scale_
    assert np.square(scaled - rebuilt).mean() == pytest.approx(error, rel=1e-3)
    assert linear.score(X) == pytest.approx(-error)


def test_curved_data_are_rebuilt_better_than_by_pca():
    angle = np.random.default_rng(3).uniform(0, 2 * np.pi, size=600)
    X = np.column_stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)])
    options = {"learning_rate": 3e-3, "encoder_width": 16, "hidden_layer_sizes": (64,)}
    options |= {"n_components": 2, "max_epochs": 30}
    autoencoder = AutoencoderTransformer(**QUICK | options)
    error = autoencoder.fit(X).evaluate(X)["error"]
    assert error < 0.3 * (1 / 3)  # the mean has error 1, PCA leaves one of three equal directions


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((5,), {}),
        ((9, 11), {}),
        ((3, 12, 8), {}),
        ((2, 20), {"encoder": "conv1d"}),
    ],
)
def test_inverse_transform_restores_units_and_shapes(shape, options):
    # a bright constant with little noise: rebuilt rows are near it in the units of the data
    X = 1000 + 2 * normal(64, *shape)
    baseline = clone(ALL[0]).set_params(**options).fit(X)
    rebuilt = baseline.inverse_transform(baseline.transform(X))
    assert rebuilt.shape == X.shape and rebuilt.dtype == np.float32
    assert np.abs(rebuilt - 1000).max() < 20 and rebuilt.std() > 0
    with pytest.raises(ValueError, match=r"X has 3 columns, but .* n_components=4"):
        baseline.inverse_transform(np.zeros((2, 3)))


def test_gamma_draws_representations_to_the_prior():
    # as the energy distance sees it, 0 for equal distributions: it knows no adversary
    X, prior = np.exp(correlated_rows() / 1.5), normal(600, 2, seed=9)

    def distance(gamma):
        options = {"n_components": 2, "max_epochs": 20, "gamma": gamma}
        Z = clone(ALL[1]).set_params(**options).fit_transform(X)
        return 2 * cdist(Z, prior).mean() - cdist(Z, Z).mean() - cdist(prior, prior).mean()

    assert distance(1.0) < 0.7 * distance(1e-6)


@pytest.mark.parametrize("prior", sorted(PRIORS))
def test_prior_sets_the_range(prior):
    Z = clone(ALL[1]).set_params(prior=prior).fit_transform(10 * normal(60, 5))
    length = np.linalg.norm(Z, axis=1)
    inside = {
        "uniform": (Z >= 0).all() and (Z <= 1).all(),
        "binary": (Z >= 0).all() and (Z <= 1).all(),
        "ball": (length < 1).all(),
        "sphere": np.allclose(length, 1, atol=1e-5),
        "gaussian": True,
    }
    assert inside[prior]


def test_without_a_prior_there_is_no_adversary():
    X = normal(60, 5)
    plain = clone(ALL[0]).fit(X)
    assert not hasattr(plain.objective_, "discriminator") and set(plain.evaluate(X)) == {
        "loss",
        "error",
    }
    weightless = clone(ALL[1]).set_params(gamma=0.0).fit(X)
    np.testing.assert_array_equal(weightless.transform(X), plain.transform(X))
    terms = clone(ALL[1]).fit(X).evaluate(X)
    assert terms["loss"] == pytest.approx(terms["error"] + 0.1 * terms["prior"], rel=1e-5)


# --------------------------------------------------------------------- noise as targets


@pytest.mark.parametrize("seed", range(5))
def test_assignment_is_the_best_of_all_permutations(seed):
    y, targets = (PRIORS["sphere"]((4, 3), torch.Generator().manual_seed(s)) for s in (seed, 99))
    total = (y - NoiseObjective._assign(y, targets)).square().sum()
    every = [(y - targets[list(p)]).square().sum() for p in itertools.permutations(range(4))]
    assert total.item() == pytest.approx(min(every).item(), abs=1e-5)


def test_exchange_keeps_the_points_and_never_adds_distance():
    encoder = linear_encoder(5, 3)
    objective = NoiseObjective(nn.ModuleDict({"encoder": encoder}), n_components=3, seed=0)
    x, rows = torch.from_numpy(normal(12, 5)), torch.arange(12)
    drawn = objective._targets_of(rows).clone()
    torch.testing.assert_close(drawn.norm(dim=1), torch.ones(12))
    y, before = encoder(x).y, drawn
    for batch in torch.randperm(12, generator=torch.Generator().manual_seed(1)).split(4):
        loss = objective(x[batch], batch, player="model")["loss"]
        after = objective.targets
        assert loss.item() == pytest.approx(
            (y[batch] - after[batch]).square().sum(1).mean().item(), abs=1e-5
        )
        assert (y - after).square().sum() <= (y - before).square().sum() + 1e-5
        before = after.clone()
    assert {tuple(row) for row in objective.targets.tolist()} == {
        tuple(row) for row in drawn.tolist()
    }


def test_noise_as_targets_spreads_rows_over_the_sphere():
    X = normal(200, 6)
    nat = NATTransformer(**QUICK | {"n_components": 3, "max_epochs": 30, "learning_rate": 3e-3})
    first = clone(nat).set_params(max_epochs=1).fit(X).history_[0]["train_loss"]
    Z = nat.fit_transform(X)
    np.testing.assert_allclose(np.linalg.norm(Z, axis=1), 1, atol=1e-5)
    assert nat.history_[-1]["train_loss"] < 0.5 * first
    assert np.linalg.norm(Z.mean(0)) < 0.2  # uniform: the mean is 0, the covariance 1 / 3
    np.testing.assert_allclose(np.cov(Z.T), np.eye(3) / 3, atol=0.15)
    assert nat.objective_.targets.shape == (200, 3)


def test_best_epoch_brings_its_targets_back():
    X = normal(200, 6)
    nat = clone(NATTransformer(**QUICK)).set_params(patience=1, max_epochs=30, learning_rate=0.1)
    nat.fit(X)
    assert len(nat.history_) < 30 and np.isfinite(nat.score(X))


def test_targets_are_saved(tmp_path):
    nat = NATTransformer(**QUICK).fit(normal(40, 5))
    nat.save(tmp_path / "nat.safetensors")
    loaded = NATTransformer.load(tmp_path / "nat.safetensors")
    assert torch.equal(loaded.objective_.targets, nat.objective_.targets)


# -------------------------------------------------------------------- predictive coding


@pytest.mark.parametrize("bound", ["infonce", "jsd", "dv", "nwj"])
def test_prediction_loss_is_its_formula_over_places_steps_and_negatives(bound):
    X = normal(5, 1, 8, 8)
    cpc = CPCTransformer(**QUICK, n_steps=2, critic_width=8, bound=bound).fit(X)
    x = cpc._scale(X)
    with torch.no_grad():
        local = cpc.encoder_.local(x)  # (5, C, rows, columns)
        value = 0.0
        for step, critic in enumerate(cpc.objective_.model["critics"], start=1):
            joint, product = [], []
            for column in range(local.shape[3]):
                sequence = local[..., column].mT  # (5, rows, C)
                states, _ = cpc.encoder_.fc.gru(sequence)
                for row in range(local.shape[2] - step):
                    scores = critic.matrix(states[:, row], sequence[:, row + step])
                    for i in range(5):
                        joint.append(scores[i, i])
                        product.append(torch.stack([scores[i, j] for j in range(5) if j != i]))
            joint, product = torch.stack(joint), torch.stack(product)
            if bound == "infonce":
                both = torch.cat([joint[:, None], product], 1)
                value += (joint - both.logsumexp(1)).mean() + math.log(5)
            elif bound == "jsd":
                softplus = nn.functional.softplus
                value -= softplus(-joint).mean() + softplus(product).mean()
            elif bound == "dv":
                value += joint.mean() - product.exp().mean().log()
            else:
                value += joint.mean() - (product - 1).exp().mean()
    assert cpc.evaluate(X)["loss"] == pytest.approx(-value.item(), abs=1e-4)


def test_states_see_no_later_rows():
    # through the crops: a crop of row r ends before pixel 2 + r, a step of one pixel
    encoder = make_encoder("strided-crop", (1, 8, 8), 4, width=8).eval()
    x = torch.from_numpy(normal(3, 1, 8, 8))
    local = encoder.local(x)
    summary = ColumnSummary(local.shape[1], 4, local.shape[2:])
    features, states = summary.states(local)
    assert features.shape[:3] == states.shape[:3] == (7, 7, 3)
    changed = x.clone()
    changed[:, :, 5:] += 1  # first seen by the crop of row 4
    _, others = summary.states(encoder.local(changed))
    torch.testing.assert_close(others[:4], states[:4], rtol=0, atol=0)
    assert (others[4:] != states[4:]).any(-1).all()
    moved = x.clone()
    moved[..., 5:] += 1  # columns are read on their own
    _, others = summary.states(encoder.local(moved))
    torch.testing.assert_close(others[:, :4], states[:, :4], rtol=0, atol=0)
    torch.testing.assert_close(summary(local), states[-1].movedim(0, 1).flatten(1))


def test_steps_that_repeat_are_predicted():
    # each sequence repeats one of four pairs of signs: about log 4 nats, or more by overlaps
    rng = np.random.default_rng(4)
    signs = rng.choice([-1.0, 1.0], size=(200, 2, 1))
    X = 2 * signs + 0.3 * rng.normal(size=(200, 2, 32))
    cpc = clone(ALL[3]).set_params(encoder="conv1d", max_epochs=30, learning_rate=3e-3)
    assert 0.9 * math.log(4) < cpc.fit(X).history_[-1]["train_step_1"] < math.log(64)


@pytest.mark.parametrize(
    ("shape", "options", "columns"),
    [
        ((6,), {}, 1),
        ((2, 40), {"encoder": "conv1d"}, 1),
        ((3, 16, 16), {}, 7),
        ((1, 16, 16), {"encoder": "dcgan"}, 8),
    ],
)
def test_tables_sequences_and_images_are_read(shape, options, columns):
    X = normal(40, *shape)
    cpc = clone(ALL[3]).set_params(n_steps=2, **options).fit(X)
    assert cpc.transform(X).shape == (40, 4)
    assert cpc.set_params(feature_layer="fc").transform(X).shape == (40, 4 * columns)
    fc = cpc.transform(X).reshape(40, columns, 4)
    Z = cpc.set_params(feature_layer="global").transform(X)
    np.testing.assert_allclose(fc.mean(1), Z, atol=1e-6)
    assert set(cpc.evaluate(X)) == {"loss", "step_1", "step_2"}


def test_too_many_steps():
    with pytest.raises(ValueError, match=r"n_steps=7 needs more than 7 rows .* there are 7"):
        CPCTransformer(**QUICK, n_steps=7).fit(normal(20, 16, 16))


# -------------------------------------------------------------------------- conventions


@parametrize_with_checks([ALL[0], *ALL[2:]])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([ALL[1]])
def test_scikit_learn_checks_with_a_prior(estimator, check):
    check(estimator)


@each
def test_same_seed_same_bits_and_global_generators_left_alone(baseline, digits):
    X, _ = digits
    states = torch.get_rng_state(), pickle.dumps(np.random.get_state())  # noqa: NPY002
    first, second = clone(baseline).fit(X), clone(baseline).fit(X)
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    assert first.score(X) == first.score(X) == second.score(X)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert pickle.dumps(np.random.get_state()) == states[1]  # noqa: NPY002
    other = clone(baseline).set_params(random_state=1).fit(X)
    assert np.abs(other.transform(X) - first.transform(X)).max() > 1e-3


@each
def test_saved_and_pickled(baseline, digits, tmp_path):
    X, _ = digits
    baseline = clone(baseline).fit(X)
    baseline.save(tmp_path / "baseline.safetensors")
    loaded = type(baseline).load(tmp_path / "baseline.safetensors")
    for other in (loaded, pickle.loads(pickle.dumps(baseline))):
        np.testing.assert_array_equal(other.transform(X), baseline.transform(X))
        assert other.score(X) == pytest.approx(baseline.score(X), abs=1e-6)
        assert len(other.partial_fit(X).history_) == 3


@each
def test_pickle_holds_no_batch(baseline):
    # what is not a weight or buffer would stay on the device of training
    objective = clone(baseline).fit(normal(40, 6)).objective_
    restored = pickle.loads(pickle.dumps(objective))
    assert restored._last is None and restored.generator is None


@each
def test_training_goes_on(baseline, digits):
    X, _ = digits
    whole, step = clone(baseline).fit(X), clone(baseline)
    for _ in range(2):
        step.partial_fit(X)
    np.testing.assert_allclose(step.transform(X), whole.transform(X), atol=1e-5)
    warm = clone(baseline).set_params(warm_start=True).fit(X).fit(X)
    longer = clone(baseline).set_params(max_epochs=4).fit(X)
    assert [row["epoch"] for row in warm.history_] == [1, 2, 3, 4]
    np.testing.assert_allclose(warm.transform(X), longer.transform(X), atol=1e-5)


@each
def test_objective_improves_and_layers_have_their_width(baseline, digits):
    X, _ = digits
    baseline = clone(baseline).set_params(max_epochs=6, patience=6, batch_size=32)
    with pytest.warns(UserWarning, match="max_epochs"):
        baseline.fit(X)
    assert baseline.history_[-1]["valid_loss"] < baseline.history_[0]["valid_loss"]
    for layer in ("global", "fc", "conv"):
        baseline.set_params(feature_layer=layer)
        assert baseline.transform(X[:5]).shape == (5, len(baseline.get_feature_names_out()))


@each
def test_bad_input(baseline, digits):
    X, _ = digits
    with pytest.raises(ValueError, match="NaN"):
        clone(baseline).fit(np.where(X > 15, np.nan, X))
    with pytest.raises(ValueError, match="n_samples=3 is too few"):
        clone(baseline).fit(X[:3])
    with pytest.raises(ValueError, match=r"but .* was fitted on rows of shape \(1, 8, 8\)"):
        clone(baseline).fit(X[:20]).transform(X[:, :, :6])
    with pytest.raises(ValueError, match="'n_components' parameter"):
        clone(baseline).set_params(n_components=0).fit(X)
    with pytest.raises(NonFiniteLossError):
        clone(baseline).set_params(learning_rate=1e30, max_epochs=20).fit(X)
