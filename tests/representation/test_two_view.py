"""Two-view InfoMax: what it climbs, how views are made, what it recovers, and conventions."""

import copy
import itertools
import math
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.cross_decomposition import CCA
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from skmi.bounds import BOUNDS
from skmi.exceptions import ConvergenceWarning, NonFiniteLossError, SaturationWarning
from skmi.networks import RealNVP
from skmi.representation import DIMClassifier, JigsawTransformer, TwoViewInfoMaxTransformer
from skmi.representation.two_view import TWO_VIEW_BOUNDS

QUICK = {"n_components": 4, "encoder_width": 8, "max_epochs": 2, "random_state": 0}


def two_view(**options):
    return TwoViewInfoMaxTransformer(**QUICK | options)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:300].reshape(-1, 8, 8), y[:300]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def related(n=1200, seed=0):
    """Two views of different widths, of two latent variables that both hold."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 2))
    views = []
    for width in (5, 7):
        mixed = latent @ rng.normal(size=(2, width))
        views.append(mixed + 0.1 * rng.normal(size=mixed.shape))
    return *views, latent


# --------------------------------------------------------------------------- objective


@pytest.mark.parametrize("bound", TWO_VIEW_BOUNDS)
@pytest.mark.parametrize("critic", ["bilinear", "separable", "concat", "inner-product"])
def test_objective_is_its_formula_over_all_pairs_of_rows(bound, critic):
    X = normal(12, 6)
    infomax = two_view(bound=bound, critic=critic).fit(X)
    objective = infomax.objective_
    z = [torch.from_numpy(part) for part in infomax.transform_views(X)]
    with torch.no_grad():
        score = objective.model["critics"][0]
        T = torch.stack([score(z[0][[i]].expand(12, -1), z[1]) for i in range(12)]).double()
        joint = T.diagonal()
        others = torch.stack([torch.cat([T[i, :i], T[i, i + 1 :]]) for i in range(12)])
        eta = objective.model["etas"][0] if bound == "eta-dv" else torch.zeros(())
        ratios = (T - joint[:, None]).exp().sum(1)
        value = {
            "infonce": -(ratios / 12).log().mean(),
            "k-pair": -ratios.log().mean(),
            "nwj": joint.mean() + 1 - others.exp().mean(),  # of the log ratio + 1
            "dv": joint.mean() - others.exp().mean().log(),
            "eta-dv": joint.mean() - (others - eta).exp().mean() - eta + 1,
            "jsd": -(1 + (-joint).exp()).log().mean() - (1 + others.exp()).log().mean(),
        }[bound].item()
    terms = infomax.evaluate(X)
    assert terms["loss"] == pytest.approx(-value, abs=1e-4)
    assert infomax.score(X) == -terms["loss"]
    expected = {"k-pair": value + math.log(12)}.get(bound, value)
    if bound != "jsd":
        assert terms["information"] == pytest.approx(expected, abs=1e-4)


def test_k_pair_and_infonce_train_alike():
    # metric learning: a shared encoder, inner products, Tschannen et al. 2020, eq. 5
    X = normal(64, 8)
    options = {"share_encoder": True, "critic": "inner-product", "max_epochs": 4}
    first, second = (two_view(bound=bound, **options).fit(X) for bound in ("infonce", "k-pair"))
    np.testing.assert_allclose(first.transform(X), second.transform(X), atol=1e-4)
    assert first.score(X) == pytest.approx(second.score(X) + math.log(64), abs=1e-4)
    assert len(list(first.objective_.model["encoders"])) == 1
    assert first.encoders_[0] is first.encoders_[1]


def test_more_than_two_views_sum_over_pairs():
    views = [normal(40, width, seed=width) for width in (3, 4, 5)]
    infomax = two_view(views=None).fit(views)
    terms = infomax.evaluate(views)
    pairs = {f"information_{i}_{j}" for i, j in itertools.combinations((1, 2, 3), 2)}
    assert set(terms) == {"loss"} | pairs
    assert -terms["loss"] == pytest.approx(sum(terms[name] for name in pairs), abs=1e-5)
    Z = infomax.transform(views)
    assert [len(z.T) for z in Z] == [4, 4, 4]
    np.testing.assert_array_equal(infomax.transform(views[0]), Z[0])
    columns = two_view(views=([0, 1, 2], [3, 4, 5, 6], slice(7, 12))).fit(np.hstack(views))
    assert columns.score(np.hstack(views)) == pytest.approx(-terms["loss"], abs=1e-5)


@pytest.mark.parametrize("bound", ["infonce", "nwj", "eta-dv"])
def test_target_is_met(bound):
    X1, X2, _ = related()
    options = {"views": None, "max_epochs": 40, "encoder_width": 64, "learning_rate": 3e-3}
    free = two_view(bound=bound, **options).fit(X1, X2).history_[-1]["train_information"]
    matched = two_view(bound=bound, target=0.8, **options).fit(X1, X2).history_[-1]
    assert free > 1.2
    assert matched["train_information"] == pytest.approx(0.8, abs=0.25)
    assert matched["train_loss"] < 0.3


def test_information_of_gaussian_views_is_approached_and_not_exceeded():
    # one correlated pair of columns: I = -log(1 - rho^2) / 2
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(4000, 2, 1))
    X1, X2 = (shared[:, 0], 0.9 * shared[:, 0] + math.sqrt(1 - 0.81) * shared[:, 1])
    truth = -0.5 * math.log(1 - 0.81)
    for bound in ("infonce", "nwj"):
        options = {"views": None, "bound": bound, "critic": "concat", "critic_width": 32}
        infomax = two_view(**options, encoder_width=32, max_epochs=10).fit(X1[:3000], X2[:3000])
        value = infomax.score(X1[3000:], X2[3000:])
        assert 0.75 * truth < value < truth + 0.1


# ------------------------------------------------------------------------------- views


def test_halves_of_tables_and_images():
    # an odd column or line in the middle belongs to the first half
    infomax = two_view().fit(normal(20, 5))
    assert infomax.view_shapes_ == [(3,), (2,)]
    images = normal(20, 3, 7, 4)
    infomax = two_view(encoder="convnet").fit(images)
    assert infomax.view_shapes_ == [(3, 4, 4), (3, 3, 4)]
    scaled = (images - images.mean((0, 2, 3), keepdims=True)) / images.std((0, 2, 3), keepdims=True)
    top, bottom = infomax.objective_.split(infomax._scale(infomax._validate(images, reset=False)))
    assert np.corrcoef(top.numpy().ravel(), scaled[:, :, :4].ravel())[0, 1] > 0.999
    assert np.corrcoef(bottom.numpy().ravel(), scaled[:, :, 4:].ravel())[0, 1] > 0.999
    np.testing.assert_allclose(infomax.encoder_rows(images), top)
    assert two_view(image_shape=(7, 4)).fit(images[:, 0].reshape(20, -1)).view_shapes_ == [
        (1, 4, 4),
        (1, 3, 4),
    ]


def test_first_representation_depends_on_the_first_view_only():
    X = normal(30, 6)
    infomax = two_view().fit(X)
    changed = X.copy()
    changed[:, 3:] += 1
    np.testing.assert_array_equal(infomax.transform(changed), infomax.transform(X))
    assert (infomax.transform_views(changed)[1] != infomax.transform_views(X)[1]).any()


def test_ways_to_name_the_same_views():
    X = pd.DataFrame(normal(40, 5), columns=list("abcde"))
    rows = X.to_numpy()
    expected = two_view(views=None).fit(rows[:, [1, 3]], rows[:, [0, 2, 4]])
    first, second = expected.transform(rows[:, [1, 3]], rows[:, [0, 2, 4]])
    mask = np.array([False, True, False, True, False])
    for views in (
        (["b", "d"], ["a", "c", "e"]),
        ([1, 3], [0, 2, 4]),
        ([1, -2], slice(0, 5, 2)),
        (mask, ~mask),
        lambda rows: (rows[:, [1, 3]], rows[:, ::2]),
    ):
        infomax = two_view(views=views).fit(X)
        np.testing.assert_allclose(infomax.transform(X), first, atol=1e-6)
        np.testing.assert_allclose(infomax.transform_views(X)[1], second, atol=1e-6)


def test_two_modalities_of_different_shapes(digits):
    images, y = digits
    table = np.eye(10)[y] + 0.1 * normal(len(y), 10)
    infomax = two_view(views=None, encoder=("convnet", "mlp"), max_epochs=20, batch_size=32)
    Z = infomax.fit_transform(images, table)
    assert [z.shape for z in Z] == [(300, 4), (300, 4)]
    assert infomax.view_shapes_ == [(1, 8, 8), (10,)]
    assert infomax.score(images, table) > infomax.score(images, table[::-1]) + 0.5
    column = two_view(views=None).fit(table, y)  # a view of one column, in the manner of CCA
    assert column.view_shapes_ == [(10,), (1,)]


def test_labels_are_ignored_where_x_holds_both_views(digits):
    X, y = digits
    infomax = two_view().fit(X, y)
    np.testing.assert_array_equal(infomax.transform(X), two_view().fit_transform(X, y))
    assert infomax.score(X, y) == infomax.score(X)
    with pytest.warns(UserWarning, match=r"y has shape \(300, 8, 8\) and is not used.*views=None"):
        infomax.fit(X, X)
    with pytest.raises(ValueError, match="transform takes no second argument"):
        infomax.transform(X, X)


# -------------------------------------------------------------------- what it recovers


def recovery(Z, latent, train=slice(900), test=slice(900, None)):
    """Mean canonical correlation with the latent variables on held-out rows."""
    cca = CCA(2).fit(Z[train], latent[train])
    u, v = cca.transform(Z[test], latent[test])
    return np.mean([np.corrcoef(u[:, k], v[:, k])[0, 1] for k in range(2)])


def test_linear_relations_as_cca_and_curved_ones_better():
    options = {"views": None, "n_components": 8, "encoder_width": 100, "max_epochs": 30}
    X1, X2, latent = related()
    linear = CCA(2).fit(X1[:900], X2[:900])
    assert recovery(linear.transform(X1), latent) > 0.95
    infomax = two_view(**options).fit(X1[:900], X2[:900])
    assert recovery(infomax.transform(X1), latent) > recovery(linear.transform(X1), latent) - 0.03

    rng = np.random.default_rng(1)  # the second view knows the squares only
    X2 = latent**2 @ rng.normal(size=(2, 7)) + 0.1 * rng.normal(size=(len(latent), 7))
    linear = CCA(2).fit(X1[:900], X2[:900])
    infomax = two_view(**options).fit(X1[:900], X2[:900])
    ours = recovery(infomax.transform(X1), latent**2)
    assert ours > 0.8 > 0.4 > recovery(linear.transform(X1), latent**2)


def test_realnvp_keeps_all_information_while_it_is_trained(digits):
    X, _ = digits
    infomax = two_view(encoder="realnvp", encoder_width=32, max_epochs=10).fit(X)
    rows, encoder = infomax.encoder_rows(X), infomax.encoder_
    with torch.no_grad():
        Z = encoder(rows)
        assert (Z - rows.flatten(1)).abs().mean() > 0.1  # it has moved from the identity
        assert (encoder.inverse(Z) - rows.flatten(1)).abs().max() < 1e-4
    assert infomax.transform(X).shape == (300, 32) == (300, len(infomax.get_feature_names_out()))
    assert infomax.history_[-1]["train_information"] > infomax.history_[0]["train_information"]


def test_modules_as_encoders_and_critics_are_copied():
    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x, y):
            return self.scale * (x * y).sum(1)

    X, encoder, critic = normal(50, 6), RealNVP(3, 2, (8,)), Product()
    before = pickle.dumps(encoder.state_dict())
    infomax = two_view(encoder=encoder, critic=critic, learning_rate=1e-2).fit(X)
    assert pickle.dumps(encoder.state_dict()) == before and critic.scale.item() == 1
    assert infomax.objective_.model["critics"][0].module.scale.item() != 1
    assert infomax.encoders_[0] is not infomax.encoders_[1]
    assert infomax.transform(X).shape == (50, 3)


# -------------------------------------------------------------------------- conventions


@parametrize_with_checks([two_view()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([two_view(encoder="residual-mlp", critic="separable", bound="nwj")])
def test_scikit_learn_checks_of_other_networks(estimator, check):
    check(estimator)


def test_pipeline_and_grid_search(digits):
    X, y = digits
    X = X.reshape(len(X), -1)
    pipeline = make_pipeline(two_view(image_shape=(8, 8)), LogisticRegression(max_iter=300))
    grid = {"twoviewinfomaxtransformer__critic": ["bilinear", "separable"]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert 0 <= search.best_score_ <= 1
    search = GridSearchCV(two_view(), {"encoder_width": [2, 16]}, cv=2, error_score="raise")
    assert np.isfinite(search.fit(X).cv_results_["mean_test_score"]).all()


def test_encoders_are_fine_tuned_by_a_classifier(digits):
    X, y = digits
    labels = np.where(np.arange(len(y)) < 200, y, -1)
    for transformer in (two_view(encoder_width=64), JigsawTransformer(16, max_epochs=1)):
        classifier = DIMClassifier(transformer, max_epochs=15, random_state=0).fit(X, labels)
        assert classifier.score(X[200:], y[200:]) > 0.4
        changed = X.copy()
        changed[:, 4:] = 0
        if isinstance(transformer, TwoViewInfoMaxTransformer):  # it sees the first view only
            assert (classifier.predict(changed) == classifier.predict(X)).all()


def test_same_seed_same_bits_and_global_generators_left_alone(digits):
    X, _ = digits
    states = torch.get_rng_state(), pickle.dumps(np.random.get_state())  # noqa: NPY002
    first, second = two_view().fit(X), two_view().fit(X)
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    assert first.score(X) == first.score(X) == second.score(X)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert pickle.dumps(np.random.get_state()) == states[1]  # noqa: NPY002
    assert np.abs(two_view(random_state=1).fit(X).transform(X) - first.transform(X)).max() > 1e-3


@pytest.mark.parametrize("bound", ["infonce", "nwj"])
def test_bfloat16_products_give_nearly_the_same_bound(bound):
    X1, X2, _ = related()
    options = {"views": None, "bound": bound, "max_epochs": 10, "encoder_width": 64}
    full = two_view(**options).fit(X1, X2)
    low = two_view(precision="bfloat16", **options).fit(X1, X2)
    assert low.history_ != full.history_
    assert all(p.dtype == torch.float32 for p in low.objective_.parameters())
    assert low.score(X1, X2) == pytest.approx(full.score(X1, X2), rel=0.05)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"views": None, "share_encoder": True},
        {"views": ([0, 1], [2, 3], [4, 5]), "bound": "eta-dv"},
        {"encoder": ("realnvp", "mlp")},
        {"views": (slice(2), slice(None, 2, -1))},
        {"views": (np.arange(6) < 3, ["x3", "x4"])},
    ],
)
def test_saved_pickled_and_trained_further(options, tmp_path):
    X = pd.DataFrame(normal(40, 6), columns=[f"x{i}" for i in range(6)])
    data = (X, -X) if "share_encoder" in options else (X,)
    infomax = two_view(**options).fit(*data)
    infomax.save(tmp_path / "infomax.safetensors")
    loaded = TwoViewInfoMaxTransformer.load(tmp_path / "infomax.safetensors")
    for other in (loaded, pickle.loads(pickle.dumps(infomax))):
        np.testing.assert_array_equal(other.transform(X), infomax.transform(X))
        assert other.score(*data) == pytest.approx(infomax.score(*data), abs=1e-6)
        assert len(other.partial_fit(*data).history_) == 3
        with pytest.raises(ValueError, match="critic was 'bilinear' when"):
            pickle.loads(pickle.dumps(infomax)).set_params(critic="concat").partial_fit(*data)
    step = two_view(**options).partial_fit(*data).partial_fit(*data)
    np.testing.assert_allclose(step.transform(X), infomax.transform(X), atol=1e-5)
    warm = two_view(**options, warm_start=True, max_epochs=1).fit(*data)
    warm.set_params(views=copy.deepcopy(warm.views)).fit(*data)
    np.testing.assert_allclose(warm.transform(X), infomax.transform(X), atol=1e-5)


def test_early_stopping_on_held_out_pairs():
    X1, X2 = normal(200, 3), normal(200, 3, seed=1)  # independent: nothing to learn
    infomax = two_view(views=None, max_epochs=200, patience=2, encoder_width=64)
    infomax.fit(X1, X2)
    assert len(infomax.history_) < 200 and "valid_information" in infomax.history_[0]
    assert abs(infomax.score(X1, X2)) < 1.0
    with pytest.warns(ConvergenceWarning, match="max_epochs"):
        two_view(views=None, max_epochs=1, patience=2).fit(*related()[:2])


def test_near_log_k_there_is_a_warning():
    # 4 rows that are far apart: InfoNCE soon tells them all from one another
    X = np.repeat(4 * np.eye(4, dtype=np.float32), 2, axis=1)[:, [0, 2, 4, 6, 1, 3, 5, 7]]
    options = {"max_epochs": 200, "encoder_width": 32, "learning_rate": 1e-2}
    with pytest.warns(SaturationWarning, match=r"log\(4\) = 1.39.*Raise batch_size"):
        infomax = two_view(**options).fit(X)
    assert infomax.history_[-1]["train_information"] > 0.9 * math.log(4)
    with pytest.warns(SaturationWarning, match=r"log\(4\)"):
        infomax.score(X)
    with warnings.catch_warnings():  # no ceiling, or asked for
        warnings.simplefilter("error", SaturationWarning)
        two_view(**options, bound="nwj").fit(X).score(X)
        two_view(**options, target=1.3).fit(X).score(X)
        two_view(**options).set_params(max_epochs=1, learning_rate=1e-6).fit(X).score(X)


def test_a_constant_view_is_warned_of():
    X = normal(40, 6)
    X[:, 4:] = 3.0
    with pytest.warns(UserWarning, match="View 2 is constant"):
        infomax = two_view(views=([0, 1], [4, 5])).fit(X)
    assert infomax.score(X) == pytest.approx(0, abs=1e-5)
    with warnings.catch_warnings():  # single columns that are constant do no harm
        warnings.simplefilter("error", UserWarning)
        two_view(views=([0, 4], [1, 5])).fit(X)


# ---------------------------------------------------------------------------- bad input


def test_views_that_share_columns_are_told():
    X, images = normal(40, 6), normal(40, 8, 8)
    message = "The views overlap: column {} of view {} is column {} of view {}"
    with pytest.warns(UserWarning, match=message.format(1, 2, 3, 1)):
        two_view(views=None).fit(X[:, :4], X[:, [4, 3, 5]])
    with pytest.warns(UserWarning, match=message.format(0, 3, 2, 2)):
        two_view(views=None).fit([X[:, :2], X[:, 2:5], X[:, 4:].astype(np.float32)])
    with pytest.warns(UserWarning, match=message.format(0, 2, 3, 1)):
        two_view(views=lambda X: (X[..., :5], X[..., 3:])).fit(images)
    with warnings.catch_warnings():  # few values may be the same by chance; signs differ
        warnings.simplefilter("error", UserWarning)
        two_view(views=None).fit(X[:, :4] > 0, X[:, 3:] > 0)
        two_view(views=lambda X: (X, -X)).fit(X)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"views": ([0, 1], [1, 2])}, ValueError, r"views 1 and 2 overlap: both have column 1"),
        ({"views": ([0, 1], [2, -6])}, ValueError, r"views 1 and 2 overlap: both have column 0"),
        ({"views": ([0, 1], [2, 3, 2])}, ValueError, r"view 2 has column 2 twice"),
        ({"views": ([0, 1], [])}, ValueError, r"view 2 is empty"),
        ({"views": (slice(0, 0), [1])}, ValueError, r"view 1 is empty"),
        ({"views": ([0], [6])}, ValueError, r"view 2 has column 6, but X has 6 feature"),
        ({"views": (["a"], [1])}, ValueError, r"view 1 has the column 'a'.*no names"),
        ({"views": ([True, False], [1])}, ValueError, r"view 1 is a mask of 2 columns"),
        ({"views": ([0.5], [1])}, TypeError, r"view 1 must be columns"),
        ({"views": ([0, 1],)}, ValueError, r"views must be at least two, got 1"),
        ({"views": lambda X: X}, TypeError, r"views must return a list or tuple"),
        ({"views": lambda X: (X, X[1:])}, ValueError, r"X and view 2 must have the same number"),
        (
            {"views": lambda X: (X, X[:, :0])},
            ValueError,
            r"view 2 is empty: .*\(40, 0\)",
        ),
        ({"views": None}, ValueError, r"views=None needs the views themselves"),
        ({"views": "thirds"}, ValueError, r"'views' parameter"),
        ({"target": 4.0}, ValueError, r"batches of 40 rows.*log\(40\) = 3.69.*more than 55"),
        ({"target": 3.0, "batch_size": 16}, ValueError, r"log\(16\) = 2.77.*batch_size=16"),
        ({"target": 1.0, "bound": "jsd"}, ValueError, r"target is in nats"),
        ({"encoder": "convnet"}, ValueError, r"'convnet' takes images"),
        ({"encoder": ("mlp",)}, ValueError, r"encoder has 1 entries for 2 views"),
        ({"encoder": "cnn"}, ValueError, r"'encoder' parameter"),
        ({"encoder": ("mlp", "cnn")}, ValueError, r"Unknown encoder 'cnn'"),
        ({"encoder": nn.Linear(4, 2)}, ValueError, r"does not take rows of shape \(3,\)"),
        ({"encoder": nn.Unflatten(1, (3, 1))}, ValueError, r"shape \(n, d\).*\(2, 3, 1\)"),
        (
            {"encoder": (nn.Linear(3, 2), "mlp"), "critic": "inner-product"},
            ValueError,
            r"'inner-product' needs representations of one width.* 2 and 4",
        ),
        ({"critic": nn.Bilinear(3, 4, 1)}, ValueError, r"critic .* does not take .*\(4,\) and"),
        ({"critic": nn.Bilinear(4, 4, 2)}, ValueError, r"critic .* one score each.* \(2, 2\)"),
        (
            {"views": ([0], [1, 2]), "share_encoder": True},
            ValueError,
            r"share_encoder=True needs views of one shape",
        ),
        ({"share_encoder": True, "encoder": ("mlp", "mlp")}, ValueError, r"takes one encoder"),
        ({"image_shape": (1, 6)}, ValueError, r"images of 1 row"),
        ({"image_shape": (2, 3), "views": ([0], [1])}, ValueError, r"takes rows of columns"),
        ({"batch_size": 1}, ValueError, r"'batch_size' parameter"),
    ],
)
def test_bad_settings(options, error, message):
    with pytest.raises(error, match=message):
        two_view(**options).fit(normal(40, 6))


def test_bad_data():
    X = normal(40, 6)
    with pytest.raises(ValueError, match="view 1 and y must have the same number of rows"):
        two_view(views=None).fit(X, X[:-1])
    with pytest.raises(ValueError, match="Input y contains NaN"):
        two_view(views=None).fit(X, np.where(X > 1, np.nan, X))
    with pytest.raises(ValueError, match="Input X contains NaN"):
        two_view().fit(np.where(X > 1, np.nan, X))
    with pytest.raises(ValueError, match=r"1 feature\(s\)"):
        two_view().fit(X[:, :1])
    with pytest.raises(ValueError, match="n_samples=3 is too few"):
        two_view().fit(X[:3])
    with pytest.raises(ValueError, match="image_shape is for views that are made of X"):
        two_view(views=None, image_shape=(2, 3)).fit(X, X)
    with pytest.raises(ValueError, match=r"list of 2 arrays.*Set views=None"):
        two_view().fit([X, X])
    with pytest.raises(ValueError, match=r"target=4.5 is out of reach: with batches of 80 rows"):
        two_view(target=4.5, patience=2, validation_fraction=0.2).fit(normal(100, 6))
    fitted = two_view(views=None).fit(X, X[:, :2])
    with pytest.raises(ValueError, match=r"was fitted on rows of shapes \[\(6,\), \(2,\)\]"):
        fitted.transform(X, X[:, :3])
    with pytest.raises(ValueError, match="6 features as input"):
        fitted.transform(X[:, :4])
    with pytest.raises(NonFiniteLossError):
        clone(fitted).set_params(learning_rate=1e30, max_epochs=20).fit(X, X)


def test_every_bound_offered_is_registered():
    assert set(TWO_VIEW_BOUNDS) < set(BOUNDS)


def test_columns_of_every_view_keep_their_names_and_order(rng):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rng.normal(size=(40, 6)), columns=list("abcdef"))
    first, second = frame[["a", "b", "c"]], frame[["d", "e", "f"]]
    transformer = TwoViewInfoMaxTransformer(2, views=None, max_epochs=1, random_state=0)
    transformer.fit(first, second).transform(first, second)
    for views in ([first, second[["f", "e", "d"]]], [first[["c", "b", "a"]], second]):
        with pytest.raises(ValueError, match=r"view 2 has the columns|feature names"):
            transformer.transform(views)
        with pytest.raises(ValueError, match=r"view 2 has the columns|feature names"):
            transformer.score(*views)


def test_labels_and_lists_beside_views_are_told(rng):
    X, labels = rng.normal(size=(40, 6)), rng.integers(2, size=40)
    transformer = TwoViewInfoMaxTransformer(2, views=None, max_epochs=1, random_state=0)
    with pytest.warns(UserWarning, match="taken as the second view"):
        transformer.fit(X, labels)
    with pytest.raises(ValueError, match="list of views already"):
        transformer.fit([X[:, :3], X[:, 3:]], labels)
    images = list(rng.normal(size=(40, 4, 4)))  # are rows of one view, not views
    assert transformer.fit(images, X).view_shapes_ == [(1, 4, 4), (6,)]
