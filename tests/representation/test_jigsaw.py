"""Jigsaw puzzles: tiles, permutations, what is climbed, and conventions."""

import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from skmi.exceptions import NonFiniteLossError
from skmi.representation import JigsawTransformer
from skmi.representation.jigsaw import TileCutter, distant_permutations

QUICK = {"n_components": 4, "encoder_width": 8, "critic_width": 16, "n_shuffles": 4}
QUICK |= {"n_permutations": 10, "max_epochs": 2, "random_state": 0}
BOUNDS = ["eta-dv", "dv", "cross-entropy"]


def jigsaw(**options):
    return JigsawTransformer(**QUICK | options)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:300].reshape(-1, 8, 8), y[:300]


# ------------------------------------------------------------------- tiles and orders


def test_tiles_lie_in_reading_order_and_are_standardised():
    place = torch.arange(9.0).view(1, 1, 3, 3).repeat_interleave(4, 2).repeat_interleave(4, 3)
    inside = 10 * torch.eye(4).repeat(3, 3)[None, None]
    tiles = TileCutter(1.0)(place + inside)
    assert tiles.shape == (1, 9, 1, 4, 4)
    torch.testing.assert_close(tiles.mean((3, 4)), torch.zeros(1, 9, 1), atol=1e-5, rtol=0)
    torch.testing.assert_close(tiles[0, 0], tiles[0, 8])  # all alike but for the brightness
    lit = torch.zeros(1, 1, 12, 12)
    lit[0, 0, 5, 9] = 1  # second row of tiles, third column
    assert TileCutter(1.0)(lit).abs().sum((0, 2, 3, 4)).argmax() == 5


@pytest.mark.parametrize(("h", "w"), [(3, 3), (8, 8), (10, 14), (28, 28), (3, 40)])
def test_any_size_of_image_that_has_nine_tiles(h, w):
    generator = torch.Generator().manual_seed(0)
    x = torch.from_numpy(normal(5, 2, h, w))
    size = [max(1, round(0.75 * (side // 3))) for side in (h, w)]
    for tiles in (TileCutter(0.75)(x), TileCutter(0.75)(x, generator)):
        assert tiles.shape == (5, 9, 2, *size) and tiles.isfinite().all()
    assert jigsaw().fit(x.numpy()[:, :1]).transform(x.numpy()[:, :1]).shape == (5, 4)


def test_training_sees_random_places_and_grey_images():
    generator = torch.Generator().manual_seed(0)
    curve = (torch.arange(12.0) ** 2).expand(1000, 1, 12, 12)  # windows tell where they lie
    seen = TileCutter(0.75)(curve, generator)[:, 0, 0, 0]
    assert len(seen.unique(dim=0)) == 2 and len(TileCutter(0.75)(curve)[:, 0].unique(dim=0)) == 1
    tiles = TileCutter(0.75)(torch.from_numpy(normal(300, 3, 12, 12)), generator)
    grey = (tiles[:, :, 0] - tiles[:, :, 1]).abs().amax((1, 2, 3)) < 1e-5
    assert 0.55 < grey.float().mean() < 0.78


def test_runs_of_columns_lose_none():
    x = torch.arange(20.0).view(1, 20)
    tiles = TileCutter(0.75)(x)
    assert tiles.shape == (1, 7, 3)
    assert tiles.flatten().tolist() == [*range(20), 0]
    assert TileCutter(0.75)(torch.zeros(2, 4, 18)).shape == (2, 9, 4, 2)  # sequences
    assert TileCutter(0.75)(torch.zeros(2, 2)).shape == (2, 2, 1)


@pytest.mark.parametrize(("n_tiles", "n"), [(2, 2), (3, 6), (9, 100)])
def test_permutations_are_distinct_and_far_apart(n_tiles, n):
    permutations = distant_permutations(n_tiles, n, seed=0)
    assert (np.sort(permutations, axis=1) == np.arange(n_tiles)).all()
    distances = [(a != b).sum() for a, b in itertools.combinations(permutations, 2)]
    assert min(distances) >= (6 if n_tiles == 9 else 2)
    random = [np.random.default_rng(seed).permutation(n_tiles) for seed in range(n)]
    if n_tiles == 9:  # of random ones two agree in four places or more
        assert min((a != b).sum() for a, b in itertools.combinations(random, 2)) < 6


# --------------------------------------------------------------------------- objective


@pytest.mark.parametrize("bound", BOUNDS)
def test_objective_is_its_formula_over_all_permutations(bound, digits):
    # each tile encoded on its own, each shuffled image scored against each permutation
    X = digits[0][:6]
    puzzle = jigsaw(bound=bound).fit(X)
    objective, encoder = puzzle.objective_, puzzle.encoder_
    critic, permutations = objective.model["critic"], objective.permutations
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(10, (6, 4), generator=generator)
    joint, product = [], []
    with torch.no_grad():
        tiles = encoder.cutter(puzzle.encoder_rows(X))
        for image, orders in zip(tiles, codes, strict=True):
            z = torch.cat([encoder.encoder(tile[None]).y for tile in image])
            for code in orders:
                hidden = critic.head(critic.tile(z[permutations[code]]).flatten()[None])[0]
                scores = critic.log_scale.exp() * nn.functional.cosine_similarity(
                    hidden[None], critic.permutations.weight
                )
                joint.append(scores[code])
                product.append(scores)
        joint, product = torch.stack(joint), torch.stack(product)
        eta = objective.model["eta"][0] if bound == "eta-dv" else 0.0
        nats = {
            "dv": joint.mean() - product.exp().mean().log(),
            "eta-dv": joint.mean() - (product - eta).exp().mean() - eta + 1,
            "cross-entropy": math.log(10) + (joint - product.logsumexp(1)).mean(),
        }[bound]
    terms = puzzle.evaluate(X)
    assert terms["information"] == pytest.approx(nats.item(), abs=1e-4)
    loss = math.log(10) - nats if bound == "cross-entropy" else -nats
    assert terms["loss"] == pytest.approx(loss.item(), abs=1e-4)
    told = (product.argmax(1) == codes.flatten()).float().mean()
    assert terms["accuracy"] == pytest.approx(told.item(), abs=1e-6)


@pytest.mark.parametrize("bound", BOUNDS)
def test_marked_tiles_are_told_and_plain_noise_is_not(bound):
    # a tile that shows its place gives the permutation away: log 10 nats, and no more
    rng = np.random.default_rng(0)
    marks = rng.normal(size=(3, 3, 4, 4)).transpose(0, 2, 1, 3).reshape(12, 12)
    marked = marks + 0.1 * rng.normal(size=(400, 12, 12))
    noise = rng.normal(size=(400, 12, 12))
    options = {"bound": bound, "tile_crop": 1.0, "max_epochs": 12, "encoder": "mlp"}
    fitted = jigsaw(**options, batch_size=32, learning_rate=3e-3).fit(marked[:300])
    terms = fitted.evaluate(marked[300:])
    assert terms["accuracy"] > 0.9
    assert 0.7 * math.log(10) < terms["information"] < math.log(10) + 0.05
    chance = jigsaw(**options).fit(noise[:300]).evaluate(noise[300:])
    assert chance["accuracy"] < 0.25 and chance["information"] < 0.2


def test_representation_is_the_mean_over_tiles(digits):
    X, _ = digits
    puzzle = jigsaw().fit(X)
    rows = puzzle.encoder_rows(X)
    with torch.no_grad():
        tiles = puzzle.encoder_.cutter(rows)
        mean = sum(puzzle.encoder_.encoder(tiles[:, i]).y for i in range(9)) / 9
    np.testing.assert_allclose(puzzle.transform(X), mean, atol=1e-5)
    assert puzzle.set_params(feature_layer="fc").transform(X).shape == (300, 32)
    assert puzzle.permutations_.shape == (10, 9)


# -------------------------------------------------------------------------- conventions


@parametrize_with_checks([jigsaw()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([jigsaw(bound="cross-entropy")])
def test_scikit_learn_checks_of_cross_entropy(estimator, check):
    check(estimator)


@pytest.mark.parametrize("bound", BOUNDS)
def test_seed_saving_and_training_on(bound, digits, tmp_path):
    X, _ = digits
    state = torch.get_rng_state()
    first, second = jigsaw(bound=bound).fit(X), jigsaw(bound=bound).fit(X)
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    assert first.score(X) == second.score(X) and torch.equal(torch.get_rng_state(), state)
    first.save(tmp_path / "jigsaw.safetensors")
    loaded = JigsawTransformer.load(tmp_path / "jigsaw.safetensors")
    for other in (loaded, pickle.loads(pickle.dumps(first))):
        np.testing.assert_array_equal(other.transform(X), first.transform(X))
        assert other.score(X) == pytest.approx(first.score(X), abs=1e-6)
        assert len(other.partial_fit(X).history_) == 3
    warm = clone(first).set_params(warm_start=True, max_epochs=1).fit(X).fit(X)
    np.testing.assert_allclose(warm.transform(X), first.transform(X), atol=1e-5)


def test_bad_input():
    with pytest.raises(ValueError, match="2 x 9 pixels, too few for 3 x 3 tiles"):
        jigsaw().fit(normal(20, 2, 9))
    with pytest.raises(ValueError, match=r"1 feature\(s\)"):
        jigsaw().fit(normal(20, 1))
    with pytest.raises(ValueError, match="NaN"):
        jigsaw().fit(np.full((20, 6, 6), np.nan))
    with pytest.raises(ValueError, match="'tile_crop' parameter"):
        jigsaw(tile_crop=0.0).fit(normal(20, 6, 6))
    with pytest.raises(ValueError, match="'bound' parameter"):
        jigsaw(bound="infonce").fit(normal(20, 6, 6))
    with pytest.raises(NonFiniteLossError):
        jigsaw(bound="dv", learning_rate=1e30, max_epochs=20).fit(normal(40, 6, 6))
