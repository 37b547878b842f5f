"""Deep InfoMax: its terms in closed form, its options, its place in scikit-learn."""

import math
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from skmi.bounds import get_bound
from skmi.critics import InnerProductCritic
from skmi.dependence import NeuralDependencyMeasure
from skmi.evaluation import linear_probe
from skmi.exceptions import ConvergenceWarning
from skmi.networks import Encoder, Layers, make_encoder
from skmi.representation import DIMTransformer
from skmi.representation._objective import GRADIENT_PENALTY
from skmi.representation._priors import PRIORS, prior_moments, range_of_prior
from skmi.representation.dim import (
    InfoMaxObjective,
    random_blocks,
    random_occlusion,
)

QUICK = {
    "n_components": 8,
    "encoder_width": 8,
    "critic_width": 32,
    "max_epochs": 2,
    "patience": None,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:400], y[:400]


def images(n=40, shape=(3, 16, 16), seed=0):
    return np.random.default_rng(seed).normal(size=(n, *shape)).astype(np.float32)


# -------------------------------------------------------------------------- the terms


class Given(nn.Module):
    """An encoder that returns what it is given: the local map, whose mean is y."""

    def forward(self, x):
        return self.from_local(x)

    def from_local(self, local):
        y = local.flatten(2).mean(2)
        return Layers(local, local, y, y)


def objective(bound, **options):
    critics = {"local_critic": InnerProductCritic(), "encoder": Given()}
    options = {"alpha": 0.0, "beta": 1.0, "gamma": 0.0, "prior": None} | options
    model = nn.ModuleDict(critics)
    return InfoMaxObjective(model, get_bound(bound), n_components=3, **options)


@pytest.mark.parametrize("bound", ["infonce", "jsd", "dv", "nwj", "eta-dv"])
def test_local_term_is_its_formula_over_all_images_and_places(bound):
    # written out with loops: negatives are the places of other images, positives left out
    x = torch.randn(5, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    terms = objective(bound).eval().double()(x, player="model")
    y, places = x.flatten(2).mean(2), x.flatten(2)
    scores = torch.einsum("id,jdl->ijl", y, places)
    joint = torch.stack([scores[i, i] for i in range(5)])
    others = [torch.cat([scores[i, j] for j in range(5) if j != i]) for i in range(5)]
    negatives = torch.cat(others)
    if bound == "infonce":
        values = [
            joint[i, place]
            - torch.logsumexp(torch.cat([joint[i, place : place + 1], others[i]]), 0)
            + math.log(1 + len(others[i]))
            for i in range(5)
            for place in range(4)
        ]
        expected = torch.stack(values).mean()
    elif bound == "jsd":
        softplus = nn.functional.softplus
        expected = -softplus(-joint).mean() - softplus(negatives).mean()
    elif bound == "dv":
        expected = joint.mean() - negatives.exp().mean().log()
    elif bound == "nwj":
        expected = (joint + 1).mean() - negatives.exp().mean()  # of scores that are log ratios
    else:
        expected = joint.mean() - negatives.exp().mean() + 1  # at eta = 0
    assert terms["loss"].item() == pytest.approx(-expected.item(), abs=1e-9)


@pytest.mark.parametrize("bound", ["infonce", "dv"])
def test_perfect_representation_reaches_its_ceiling(bound):
    # images that differ everywhere, with sharp scores: log of the candidates for InfoNCE, and
    # far more than log B for none of them
    x = 50 * torch.eye(8)[:, :, None, None].expand(8, 8, 1, 2)
    model = nn.ModuleDict({"local_critic": InnerProductCritic(), "encoder": Given()})
    options = {"alpha": 0.0, "beta": 1.0, "gamma": 0.0, "prior": None, "n_components": 8}
    value = InfoMaxObjective(model, get_bound(bound), **options).eval()(x, player="model")["local"]
    if bound == "infonce":
        assert value.item() == pytest.approx(math.log(1 + 7 * 2), abs=1e-4)
    else:
        assert value.item() > math.log(15)


def test_negatives_are_rows_drawn_from_the_others():
    # of 6 rows with 2 places: InfoNCE of scores that are all 0 tells the number of candidates
    model = nn.ModuleDict({"local_critic": InnerProductCritic(), "encoder": Given()})
    options = {"alpha": 0.0, "beta": 1.0, "gamma": 0.0, "prior": None, "n_components": 3}
    few = InfoMaxObjective(model, get_bound("infonce"), n_negatives=2, **options)
    generator = torch.Generator().manual_seed(0)
    product = torch.arange(30.0).view(6, 5, 1).expand(6, 5, 2)
    drawn = torch.stack([few._sample_negatives(product, generator) for _ in range(300)])
    assert drawn.shape == (300, 6, 2, 2)
    for row in range(6):
        seen, counts = drawn[:, row, :, 0].unique(return_counts=True)
        assert set(seen.tolist()) == set(product[row, :, 0].tolist())
        assert counts.min() > 80  # 600 draws of 5 rows
    assert (drawn[:, :, 0] != drawn[:, :, 1]).all()  # without replacement
    few.eval()
    assert few._sample_negatives(product, generator) is product
    few.train()
    few.n_negatives = 5
    assert few._sample_negatives(product, generator) is product


def test_scores_are_scaled():
    x = torch.randn(5, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    scaled = objective("dv", score_scale=0.5).eval().double()(x, player="model")["local"]

    class Halved(Given):  # a representation half as long has scores half as large
        def from_local(self, local):
            layers = super().from_local(local)
            return layers._replace(y=layers.y / 2)

    halved = objective("dv").eval().double()
    halved.model["encoder"] = Halved()
    torch.testing.assert_close(scaled, halved(x, player="model")["local"])


def test_prior_term_is_zero_at_the_prior_and_positive_elsewhere():
    # at the optimal discriminator of two known densities on [0, 1]: uniform and 2 y
    grid = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    matched = objective("infonce", gamma=1.0, prior="uniform")

    class LogRatio(nn.Module):
        def forward(self, y):
            return -(2 * (12**-0.5 * y + 0.5)).log()  # sees standardised values

    matched.discriminator = LogRatio()
    y = grid.sqrt()[:, None]  # has the density 2 y
    generator = torch.Generator().manual_seed(0)
    bound = matched._prior_bound(y, generator) + 2 * math.log(2)
    mixture = (1 + 2 * grid) / 2
    truth = -(mixture.log()).mean() + ((2 * grid) * ((2 * grid) / mixture).log()).mean()
    assert bound.item() == pytest.approx(truth.item(), abs=0.02)
    assert matched._prior_bound(torch.rand(20_000, 1), generator) + 2 * math.log(2) < 0


@pytest.mark.parametrize("prior", ["uniform", "gaussian", "sphere"])
def test_the_adversary_pays_for_its_slope(prior):
    # that of |u|^2 / 2 is u, at all samples and all representations, in standard units
    class Quadratic(nn.Module):
        def forward(self, u):
            return u.square().sum(dim=1, keepdim=True) / 2

    guarded = objective("infonce", gamma=1.0, prior=prior).train()
    guarded.discriminator = Quadratic()
    x = torch.rand(16, 3, 2, 2)
    guarded(x, player="model")
    guarded.generator = torch.Generator().manual_seed(0)
    terms = guarded(x, player="discriminator")
    samples = PRIORS[prior]((16, 3), torch.Generator().manual_seed(0))
    mean, deviation = prior_moments(prior, 3)
    u = (torch.cat([samples, x.flatten(2).mean(2)]) - mean) / deviation
    penalty = terms["loss"] + terms["prior"] - 2 * math.log(2)
    torch.testing.assert_close(penalty, GRADIENT_PENALTY / 2 * u.square().sum(dim=1).mean())


def test_terms_of_weight_zero_are_not_there(digits):
    X, _ = digits
    parts = {"alpha": "global_critic", "beta": "local_critic"}
    for weight, critic in parts.items():
        other = ({*parts} - {weight}).pop()
        weights = {weight: 1.0, other: 0.0, "gamma": 0.0}
        dim = DIMTransformer(image_shape=(8, 8), **QUICK, **weights).fit(X)
        assert set(dim.objective_.model) == {"encoder", critic}
        assert not hasattr(dim.objective_, "discriminator")
        assert set(dim.evaluate(X)) == {"loss", critic.removesuffix("_critic")}


def test_adversary_and_encoder_are_trained_by_turns(digits):
    # each step changes only what its player owns
    X, _ = digits
    dim = DIMTransformer(image_shape=(8, 8), **QUICK).fit(X[:64])
    objective = dim.objective_.train()
    objective.generator = torch.Generator().manual_seed(0)
    names = [name for name, _ in objective.named_parameters()]
    assert {name.split(".")[0] for name in names} == {"model", "discriminator"}
    x = dim._scale(dim._validate(X[:64], reset=False))
    before = [w.clone() for w in objective.discriminator.parameters()]
    dim.partial_fit(X[:64])
    after = list(dim.objective_.discriminator.parameters())
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    terms = dim.objective_(x, player="model")
    assert terms["prior"].item() == pytest.approx(dim.evaluate(X[:64])["prior"], abs=1e-5)


@pytest.mark.parametrize("name", sorted(PRIORS))
def test_priors_and_ranges(name):
    generator = torch.Generator().manual_seed(2)
    samples = PRIORS[name]((20_000, 3), generator)
    y = range_of_prior(name, 3)(5 * torch.randn(100, 3))
    radius = samples.norm(dim=1)
    location, scale = prior_moments(name, 3)
    torch.testing.assert_close(samples.mean(0), torch.full((3,), location), atol=0.02, rtol=0)
    torch.testing.assert_close(samples.std(0), torch.full((3,), scale), atol=0.02, rtol=0)
    if name == "uniform":
        assert samples.mean() == pytest.approx(0.5, abs=0.01) and samples.var() == pytest.approx(
            1 / 12, abs=0.005
        )
        assert y.min() >= 0 and y.max() <= 1
    elif name == "binary":
        assert set(samples.unique().tolist()) == {0.0, 1.0}
        assert y.min() >= 0 and y.max() <= 1
    elif name == "gaussian":
        assert samples.std() == pytest.approx(1, abs=0.02)
    elif name == "ball":  # the volume within r grows with r cubed
        assert (radius < 0.5).float().mean() == pytest.approx(1 / 8, abs=0.01)
        assert y.norm(dim=1).max() < 1
    else:
        torch.testing.assert_close(radius, torch.ones(20_000))
        torch.testing.assert_close(y.norm(dim=1), torch.ones(100))


# ------------------------------------------------------------------- draws and options


def test_occlusion_hides_and_leaves_a_block():
    masks = random_occlusion(torch.ones(300, 1, 32, 32), torch.Generator().manual_seed(3))
    for visible in (masks, 1 - masks):
        blocks = -nn.functional.max_pool2d(-visible, 10, 1)  # 1 where 10 x 10 are all ones
        assert (blocks.flatten(1).amax(1) == 1).all()
    assert masks.flatten(1).mean(1).std() > 0.1


def test_blocks_are_three_by_three():
    masks = random_blocks(torch.zeros(2, 5, 7, 6), 20, torch.Generator().manual_seed(4))
    assert len({tuple(mask[0].flatten().tolist()) for mask in masks}) > 5
    assert all(mask.shape == (2, 1, 7, 6) for mask in masks)
    for mask in torch.cat(masks)[:, 0]:
        rows, columns = mask.nonzero().T
        assert mask.sum() == 9
        assert rows.max() - rows.min() == 2 == columns.max() - columns.min()


@pytest.mark.parametrize(
    "options",
    [
        {"coordinates": "both"},
        {"coordinates": "absolute", "occlusion": True},
        {"n_global_blocks": 2, "local_layer": 1},
        {
            "local_critic": "concat-and-convolve",
            "global_critic": "concat",
            "alpha": 0.5,
            "n_local_samples": 2,
            "batch_size": 16,
        },
        {"bound": "jsd", "prior": "gaussian", "score_clip": 5.0, "score_penalty": 0.01},
        {"bound": "eta-dv", "gamma": 0.0},
        {"encoder": "resnet"},
        {"encoder": "strided-crop"},
        {"encoder": "alexnet"},
        {"encoder": "mlp"},
        {"feature_layer": "conv"},
        {"feature_layer": "fc"},
        {"augment": lambda x, generator: x.flip(3)},
        {"local_critic": "bilinear", "score_scale": 0.2, "n_negatives": 3},
    ],
)
def test_options_train_on_images(options):
    X = images()
    dim = DIMTransformer(**QUICK | options).fit(X)
    Z = dim.transform(X)
    assert len(Z) == 40 and np.isfinite(Z).all() and Z.std(0).max() > 0
    assert Z.shape[1] == len(dim.get_feature_names_out())
    assert math.isfinite(dim.score(X))
    assert len(dim.history_) == 2 and all(math.isfinite(v) for v in dim.history_[-1].values())


def test_coordinates_can_be_told_and_their_error_starts_at_chance():
    dim = DIMTransformer(coordinates="both", **QUICK | {"max_epochs": 1, "learning_rate": 1e-9})
    first = dim.fit(images(64)).history_[0]
    assert first["train_absolute_coordinates"] == pytest.approx(2 * math.log(8), rel=0.2)
    # a picture whose places differ: the task is learned
    X = np.tile(np.linspace(-1, 1, 16), (64, 1, 16, 1)).astype(np.float32)
    X = (
        X
        + np.swapaxes(X, 2, 3) * np.array([1.0, -1.0])[None, :, None, None]
        + 0.01 * images(64, (2, 16, 16))
    )
    dim = DIMTransformer(coordinates="absolute", **QUICK | {"max_epochs": 25}).fit(X)
    errors = [row["train_absolute_coordinates"] for row in dim.history_]
    assert errors[-1] < 0.7 * errors[0]


def test_encoders_have_the_published_shapes():
    # CIFAR-10 of the paper: 64, 128 and 256 channels, 1024 units, local features on 8 x 8 places
    encoder = make_encoder("dcgan", (3, 32, 32), 64, width=64).eval()
    layers = encoder(torch.zeros(2, 3, 32, 32))
    assert layers.local.shape == (2, 128, 8, 8) and layers.conv.shape == (2, 256, 4, 4)
    assert layers.fc.shape == (2, 1024) and layers.y.shape == (2, 64)
    crops = make_encoder("strided-crop", (3, 32, 32), 64, width=8).eval()
    assert crops(torch.zeros(2, 3, 32, 32)).local.shape[2:] == (7, 7)


def test_crops_see_only_their_part():
    encoder = make_encoder("strided-crop", (1, 32, 32), 4, width=8).eval()
    x = torch.randn(1, 1, 32, 32)
    changed = x.clone()
    changed[..., 20:, :] += 1
    difference = (encoder(x).local - encoder(changed).local).abs().sum((0, 1, 3))
    assert (difference[:4] == 0).all() and (difference[4:] > 0).all()


# ------------------------------------------------------------------------ conventions


@parametrize_with_checks([DIMTransformer(**QUICK, alpha=1.0)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_in_a_pipeline_and_a_grid_search(digits):
    X, y = digits
    dim = DIMTransformer(image_shape=(8, 8), **QUICK | {"max_epochs": 5})
    pipeline = Pipeline([("dim", dim), ("svm", LinearSVC())])
    assert cross_val_score(pipeline, X, y, cv=2).mean() > 0.3
    grid = {"dim__alpha": [0.0, 0.5], "dim__beta": [1.0], "dim__gamma": [0.0, 0.1]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(X, y)
    assert search.best_score_ > 0.3 and np.isfinite(search.cv_results_["mean_test_score"]).all()
    dim.set_params(gamma=0.0, max_epochs=15)
    without_labels = GridSearchCV(dim, {"learning_rate": [1e-3, 1e-9]}, cv=2).fit(X)
    assert without_labels.best_params_ == {"learning_rate": 1e-3}


def test_forms_of_images_are_the_same(digits):
    X = digits[0][:100]
    flat = DIMTransformer(image_shape=(8, 8), **QUICK).fit(X)
    square = DIMTransformer(**QUICK).fit(X.reshape(-1, 8, 8))
    full = DIMTransformer(**QUICK).fit(X.reshape(-1, 1, 8, 8))
    reference = flat.transform(X)
    np.testing.assert_array_equal(square.transform(X.reshape(-1, 8, 8)), reference)
    np.testing.assert_array_equal(full.transform(X.reshape(-1, 1, 8, 8)), reference)
    whole = DIMTransformer(**QUICK).fit(X.reshape(-1, 8, 8).astype(np.uint8))
    np.testing.assert_allclose(
        whole.transform(X.reshape(-1, 8, 8).astype(np.uint8)), reference, atol=1e-3
    )


def test_scale_of_pixels_does_not_matter(digits):
    X = digits[0][:100].reshape(-1, 8, 8)
    plain, other = DIMTransformer(**QUICK).fit(X), DIMTransformer(**QUICK).fit(16 * X - 8)
    np.testing.assert_allclose(other.transform(16 * X - 8), plain.transform(X), atol=1e-4)


def test_tables_and_sequences():
    rng = np.random.default_rng(5)
    table = pd.DataFrame(rng.normal(size=(120, 5)), columns=list("abcde"))
    dim = DIMTransformer(**QUICK).set_output(transform="pandas").fit(table)
    assert dim.transform(table).shape == (120, 8)
    assert list(dim.feature_names_in_) == list("abcde")
    sequences = rng.normal(size=(60, 2, 40))
    dim = DIMTransformer(encoder="conv1d", **QUICK).fit(sequences)
    flat = DIMTransformer(encoder="conv1d", image_shape=(2, 40), **QUICK)
    reference = dim.transform(sequences)
    np.testing.assert_array_equal(flat.fit_transform(sequences.reshape(60, 80)), reference)


def test_encoder_of_ones_own(digits):
    X = digits[0][:64].reshape(-1, 1, 8, 8)
    parts = (
        nn.Conv2d(1, 4, 2, stride=2),
        nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 2, stride=2)),
        nn.Sequential(nn.Flatten(), nn.Linear(16, 10), nn.ReLU()),
        nn.Linear(10, 8),
    )
    encoder = Encoder(*parts)
    before = [w.clone() for w in encoder.parameters()]
    dim = DIMTransformer(encoder=encoder, **QUICK).fit(X)
    assert dim.transform(X).shape == (64, 8)
    assert all(torch.equal(a, b) for a, b in zip(before, encoder.parameters(), strict=True))
    with pytest.raises(TypeError, match=r"encoder must be an skmi\.networks\.Encoder"):
        DIMTransformer(encoder=nn.Linear(3, 3), **QUICK).fit(X)


def test_training_can_go_on(digits):
    X, _ = digits
    options = {"image_shape": (8, 8), "averaging": 0.0, **QUICK}
    whole = DIMTransformer(**options).fit(X)
    step = DIMTransformer(**options)
    for _ in range(2):
        step.partial_fit(X)
    np.testing.assert_allclose(step.transform(X), whole.transform(X), atol=1e-5)
    assert [row["epoch"] for row in step.history_] == [1, 2]
    warm = DIMTransformer(**options, warm_start=True).fit(X)
    first = warm.evaluate(X)["local"]
    assert len(warm.fit(X).history_) == 4 and warm.evaluate(X)["local"] > first


def test_weights_are_averaged_over_the_steps(digits):
    """One step an epoch: the average of two is a tenth of the first and the rest of the second."""
    X = digits[0][:64]
    options = {"image_shape": (8, 8), **QUICK, "max_epochs": 2, "batch_size": 64}
    parts, weights = DIMTransformer(**options), []
    for _ in range(2):  # without averages
        parts.partial_fit(X)
        weights.append([w.clone() for w in parts.encoder_.parameters()])
    averages = DIMTransformer(**options).fit(X).encoder_.parameters()
    for average, first, second in zip(averages, *weights, strict=True):
        torch.testing.assert_close(average, 0.1 * first + 0.9 * second, atol=1e-6, rtol=1e-4)


def test_same_seed_same_result_and_global_generator_left_alone(digits):
    X, _ = digits
    state = torch.get_rng_state()
    dim = DIMTransformer(image_shape=(8, 8), occlusion=True, **QUICK).fit(X)
    other = clone(dim).fit(X)
    np.testing.assert_array_equal(dim.transform(X), other.transform(X))
    assert dim.score(X) == dim.score(X) == other.score(X)
    assert torch.equal(torch.get_rng_state(), state)
    different = clone(dim).set_params(random_state=1).fit(X)
    assert np.abs(different.transform(X) - dim.transform(X)).max() > 1e-3


def test_an_interrupt_keeps_what_was_trained(digits):
    X = digits[0]

    def interrupt(at):
        steps = iter(range(10_000))

        def augment(batch, generator):
            if next(steps) == at:
                raise KeyboardInterrupt
            return batch

        return augment

    # 400 rows make 6 steps an epoch: in the second epoch, and in the first
    dim = DIMTransformer(image_shape=(8, 8), **QUICK, augment=interrupt(8))
    with pytest.raises(KeyboardInterrupt):
        dim.fit(X)
    assert dim.n_iter_ == 1 and np.isfinite(dim.transform(X)).all()
    assert not dim.objective_.training
    dim.partial_fit(X)
    assert dim.n_iter_ == 2 and [row["epoch"] for row in dim.history_] == [1, 2]
    dim.set_params(augment=interrupt(3))
    with pytest.raises(KeyboardInterrupt):
        dim.fit(X)
    assert not hasattr(dim, "objective_")


def test_bfloat16_trains_close_to_float32(digits):
    X = digits[0]
    options = {"image_shape": (8, 8), "alpha": 0.5, **QUICK, "max_epochs": 6}
    full = DIMTransformer(**options).fit(X)
    low = DIMTransformer(precision="bfloat16", **options).fit(X)
    assert low.history_ != full.history_
    assert all(p.dtype == torch.float32 for p in low.objective_.parameters())
    assert low.transform(X).dtype == np.float32
    assert low.evaluate(X)["local"] == pytest.approx(full.evaluate(X)["local"], rel=0.1)


def test_compile_goes_to_torch(digits, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda module, **k: compiled.append(module) or module)
    dim = DIMTransformer(image_shape=(8, 8), compile=True, **QUICK).fit(digits[0][:64])
    assert compiled == [dim.objective_]


@pytest.mark.slow
def test_compiled_networks_train_against_an_adversary(digits):
    # whose gradient is penalised, and compiled networks cannot be differentiated twice
    options = {"image_shape": (8, 8), "encoder_width": 4, "critic_width": 8, "max_epochs": 1}
    losses = [
        DIMTransformer(4, random_state=0, compile=compiled, **options)
        .fit(digits[0])
        .history_[0]["train_loss"]
        for compiled in (False, True)
    ]
    assert losses[1] == pytest.approx(losses[0], abs=1e-3)


def test_pickle_and_save(digits, tmp_path):
    X, _ = digits
    dim = DIMTransformer(image_shape=(8, 8), bound="eta-dv", **QUICK).fit(X)
    dim.save(tmp_path / "dim.safetensors")
    for other in (
        pickle.loads(pickle.dumps(dim)),
        DIMTransformer.load(tmp_path / "dim.safetensors"),
    ):
        np.testing.assert_array_equal(other.transform(X), dim.transform(X))
        assert other.score(X) == pytest.approx(dim.score(X), abs=1e-6)


def test_the_kind_of_output_is_saved(digits, tmp_path):
    pandas = pytest.importorskip("pandas")
    X, _ = digits
    dim = DIMTransformer(image_shape=(8, 8), **QUICK).set_output(transform="pandas").fit(X)
    dim.save(tmp_path / "dim.safetensors")
    Z = DIMTransformer.load(tmp_path / "dim.safetensors").transform(X)
    pandas.testing.assert_frame_equal(Z, dim.transform(X))


def test_early_stopping_keeps_the_best(digits):
    X, _ = digits
    options = QUICK | {"max_epochs": 60, "patience": 2, "learning_rate": 1e-2, "averaging": 0.0}
    dim = DIMTransformer(image_shape=(8, 8), gamma=0.0, **options).fit(X)
    losses = [row["valid_loss"] for row in dim.history_]
    assert len(losses) < 60 and min(losses) < losses[0]
    with pytest.warns(ConvergenceWarning, match="max_epochs=1"):
        DIMTransformer(image_shape=(8, 8), **QUICK | {"max_epochs": 1, "patience": 3}).fit(X)


# ------------------------------------------------------------------------- what is learned


@pytest.mark.parametrize("seed", [0])
def test_representation_of_digits_beats_an_untrained_encoder(seed):
    X, y = load_digits(return_X_y=True)
    options = {"n_components": 16, "image_shape": (8, 8), "gamma": 0.0, "random_state": seed}
    options |= {"patience": None, "n_local_samples": 4}
    trained = DIMTransformer(**options, max_epochs=12).fit(X)
    untrained = DIMTransformer(**options, max_epochs=1, learning_rate=1e-12).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = [
            cross_val_score(LinearSVC(), dim.transform(X), y, cv=3).mean()
            for dim in (trained, untrained)
        ]
    assert scores[0] > scores[1] + 0.1


@pytest.mark.slow
def test_defaults_keep_more_of_digits_than_principal_components():
    X, y = load_digits(return_X_y=True)
    dims = [DIMTransformer(16, image_shape=(8, 8), random_state=seed) for seed in range(3)]
    scores = [linear_probe(dim.fit_transform(X), y, random_state=0).mean() for dim in dims]
    assert np.mean(scores) > linear_probe(PCA(16).fit_transform(X), y, random_state=0).mean()


# -------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "change", "message"),
    [
        ({"alpha": 0, "beta": 0, "gamma": 0}, None, "All three weights are 0"),
        ({"beta": 0}, None, "alpha and beta are 0"),
        ({"image_shape": (7, 8)}, None, r"image_shape=\(7, 8\) has 56 values, but .* 64"),
        ({"image_shape": (64,)}, None, "must be"),
        ({"image_shape": (8, 8), "encoder": "alexnet"}, None, "at least 16 pixels .* 8 x 8"),
        ({"image_shape": (8, 8), "local_layer": 5}, None, "local_layer=5 does not exist"),
        ({"encoder": "resnet"}, None, r"does not take rows of shape \(64,\)"),
        ({"occlusion": True}, None, "occlusion=True needs images"),
        ({"image_shape": (8, 8), "n_global_blocks": 2, "local_layer": 2}, None, "at least 4 x 4"),
        ({}, lambda X: X[:3], "n_samples=3 is too few"),
        ({}, lambda X: np.where(X > 15, np.nan, X), "contains NaN"),
        ({"bound": "smile"}, None, "'bound' parameter of DIMTransformer"),
        ({"local_critic": "dot"}, None, "'local_critic' parameter .* must be a str among"),
        ({"precision": "float16"}, None, "'precision' parameter .* must be a str among"),
    ],
)
def test_bad_input(digits, options, change, message):
    X = digits[0][:40]
    with pytest.raises(ValueError, match=message):
        DIMTransformer(**QUICK | options).fit(X if change is None else change(X))


def test_wrong_rows_at_transform():
    X = images(20)
    dim = DIMTransformer(**QUICK).fit(X)
    with pytest.raises(ValueError, match=r"shape \(3, 16, 12\), but .* \(3, 16, 16\)"):
        dim.transform(X[..., :12])
    with pytest.raises(ValueError, match="at least 2 rows"):
        dim.score(X[:1])
    with pytest.warns(UserWarning, match="X is constant"):
        DIMTransformer(**QUICK).fit(np.ones((20, 1, 16, 16)))


def test_images_of_another_shape_are_told_by_their_shape(digits):
    images = digits[0].reshape(-1, 8, 8)
    dim = DIMTransformer(**QUICK).fit(images)
    np.testing.assert_array_equal(dim.transform(images[:, None]), dim.transform(images))
    for wrong in (digits[0], images[:, :4], images[:, None, :, :4]):
        with pytest.raises(ValueError, match=r"rows of shape .* was fitted on rows of shape"):
            dim.transform(wrong)


def test_a_critic_of_the_wrong_form_is_named(digits):
    with pytest.raises(ValueError, match="critic"):
        DIMTransformer(**QUICK, image_shape=(8, 8), local_critic=nn.Linear(3, 3)).fit(digits[0])


# ----------------------------------------------------------- faults of other implementations


@pytest.mark.parametrize("bound", ["dv", "nwj", "jsd", "eta-dv"])
def test_every_bound_trains(digits, bound):
    X = digits[0]
    options = QUICK | {"max_epochs": 8, "gamma": 0.0, "occlusion": False}
    dim = DIMTransformer(image_shape=(8, 8), bound=bound, **options).fit(X)
    assert dim.history_[-1]["train_local"] > 0.05
    assert dim.history_[-1]["train_loss"] < dim.history_[0]["train_loss"]


@pytest.mark.slow
def test_prior_term_moves_the_encoder_and_lowers_dependence():
    # App. A.5: without the prior the columns depend on one another, as the measure and, of more
    # columns than it can see of so few rows, their correlations tell
    X, _ = load_digits(return_X_y=True)
    options = {"image_shape": (8, 8), "encoder_width": 16, "critic_width": 64, "max_epochs": 20}

    def representations(n_components, gamma):
        for seed in range(2):
            options["random_state"] = seed
            yield DIMTransformer(n_components, gamma=gamma, **options).fit_transform(X)

    def ndm(Z):
        measure = NeuralDependencyMeasure(cv=2, max_epochs=60, n_shuffles=2, random_state=0)
        return measure.fit(Z).ndm_

    def gaussian_dependence(Z):
        return -np.linalg.slogdet(np.corrcoef(Z, rowvar=False)).logabsdet / 2

    found = [np.mean([ndm(Z) for Z in representations(3, gamma)]) for gamma in (0.0, 0.1)]
    assert found[1] < found[0] - 0.05
    found = [
        np.mean([gaussian_dependence(Z) for Z in representations(8, gamma)])
        for gamma in (0.0, 0.1, 1.0)
    ]
    assert found[1] < 0.7 * found[0] and found[2] < 0.3 * found[0]


@pytest.mark.parametrize("option", [{"occlusion": True}, {"n_global_blocks": 2, "local_layer": 1}])
def test_the_prior_is_matched_by_whole_images(option):
    # these are what transform returns, whatever part the representations in training are of
    X = images(64, (1, 16, 16))
    objective = DIMTransformer(**QUICK, **option).fit(X).objective_.train()
    rows = torch.from_numpy(X)
    objective(rows, player="model")
    torch.testing.assert_close(objective._last, objective.model["encoder"](rows).y.detach())


def test_representations_take_the_range_of_the_prior_in_training_and_after(digits):
    dim = DIMTransformer(image_shape=(8, 8), **QUICK).fit(digits[0])
    objective, seen = dim.objective_, []
    embed_x = objective.model["local_critic"].embed_x
    objective.model["local_critic"].embed_x = lambda y: seen.append(y) or embed_x(y)
    rows = torch.randn(32, 1, 8, 8)
    objective.train()(rows, player="model")
    for y in (seen[0].detach().numpy(), dim.transform(digits[0])):
        assert 0 <= y.min() < 0.4 and 0.6 < y.max() <= 1


def test_a_preset_spares_what_is_set():
    paper = DIMTransformer(preset="paper")
    assert paper._setting("critic_width") == 2048
    assert paper._setting("betas") == (0.5, 0.999)
    assert paper._setting("learning_rate") == 1e-4
    assert paper._setting("global_critic") == "concat"
    assert paper._setting("n_local_samples") is None
    set_by_hand = DIMTransformer(preset="paper", critic_width=32, learning_rate=0.01)
    assert set_by_hand._setting("critic_width") == 32
    assert set_by_hand._setting("learning_rate") == 0.01
    dim = DIMTransformer(
        n_components=8, preset="paper", critic_width=32, encoder_width=8, max_epochs=1
    ).fit(255 * np.random.default_rng(0).random((40, 16, 16)))
    scaled = dim._scale(dim._validate(255 * np.eye(16)[None], reset=False))
    assert scaled.min() == pytest.approx(-1, abs=0.02)
    assert scaled.max() == pytest.approx(1, abs=0.02)
    assert isinstance(dim.encoder_.output[1], nn.Sigmoid)


@pytest.mark.parametrize("option", [{"occlusion": True}, {"n_global_blocks": 2, "local_layer": 1}])
def test_batch_norm_keeps_the_statistics_of_whole_images(option):
    X = images(64, (1, 16, 16))
    dim = DIMTransformer(**QUICK | {"max_epochs": 1}, **option).fit(X)
    encoder = dim.encoder_.train()
    for norm in encoder.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            norm.momentum = 1.0  # statistics of the last batch alone
    dim.objective_.train()(torch.from_numpy(X), player="model")
    after = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
    encoder(torch.from_numpy(X))
    for name, buffer in encoder.named_buffers():
        if "running" in name:
            torch.testing.assert_close(buffer, after[name])


# ------------------------------------------------------------------------ wrong settings


def test_settings_of_the_networks_stay_while_training_goes_on(digits):
    X = digits[0][:100]
    dim = DIMTransformer(image_shape=(8, 8), warm_start=True, **QUICK).fit(X)
    before = dim.transform(X)
    for change in ({"gamma": 0.0}, {"alpha": 1.0}, {"bound": "dv"}):
        (name,) = change
        unchanged = dim.get_params()[name]
        with pytest.raises(ValueError, match=f"{name} was .* when the networks were built"):
            dim.set_params(**change).fit(X)
        np.testing.assert_array_equal(dim.set_params(**{name: unchanged}).transform(X), before)
    dim.set_params(learning_rate=1e-4, max_epochs=1).fit(X)
    assert dim.n_iter_ == 3


def test_channels_come_first():
    X = np.random.default_rng(0).random((20, 16, 16, 3))
    with pytest.raises(ValueError, match=r"Channels come first: use X\.transpose\(0, 3, 1, 2\)"):
        DIMTransformer(image_shape=(3, 16, 16), **QUICK).fit(X)
    with pytest.warns(UserWarning, match=r"16 channels of 16 x 3 pixels. Channels come first"):
        DIMTransformer(encoder="mlp", **QUICK).fit(X)


def test_columns_far_from_zero_keep_their_digits():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    plain = DIMTransformer(**QUICK).fit(X)
    shifted = X + np.array([1e9, 0, -1e9, 0])
    far = DIMTransformer(**QUICK).fit(shifted)
    np.testing.assert_allclose(far._scale(shifted), plain._scale(X), atol=1e-5)


def test_an_encoder_must_be_as_wide_as_n_components():
    encoder = make_encoder("mlp", (5,), 7, width=8)
    with pytest.raises(ValueError, match=r"width 7, but n_components=8\. Set n_components=7"):
        DIMTransformer(encoder=encoder, **QUICK).fit(np.random.default_rng(0).random((20, 5)))


def test_no_batch_of_one_row(digits):
    X = digits[0][:33]
    dim = DIMTransformer(image_shape=(8, 8), **QUICK | {"batch_size": 2, "max_epochs": 1}).fit(X)
    assert np.isfinite(dim.score(X[:5]))


def test_loading_leaves_the_global_generator_alone(digits, tmp_path):
    DIMTransformer(image_shape=(8, 8), **QUICK).fit(digits[0]).save(tmp_path / "dim")
    state = torch.get_rng_state()
    DIMTransformer.load(tmp_path / "dim")
    assert torch.equal(state, torch.get_rng_state())


def test_too_few_rows_to_stop_early_are_told(digits):
    with pytest.warns(UserWarning, match="fewer than 16 to tell when to stop"):
        DIMTransformer(image_shape=(8, 8), **QUICK | {"patience": 2}).fit(digits[0][:60])
