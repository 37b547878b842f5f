"""Probes against explicit scikit-learn models, and on problems whose answer is known."""

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skmi._supervised import Dropout, NetClassifier
from skmi.evaluation import knn_probe, linear_probe, mlp_probe

PROBES = [linear_probe, knn_probe, mlp_probe]
#: A network that is trained in a moment.
QUICK = {"hidden": 32, "learning_rate": 0.02}


def run(probe, *data, **options):
    return probe(*data, **(QUICK if probe is mlp_probe else {}) | options)


def blobs(n=150, n_classes=3, spread=2.0, d=4, seed=0):
    Z, y = make_blobs(n, d, centers=n_classes, cluster_std=spread, random_state=seed)
    return Z.astype(np.float32), y


def exclusive_or(n=600):
    Z = np.random.default_rng(0).normal(size=(n, 2))
    return Z, (Z[:, 0] > 0) ^ (Z[:, 1] > 0)


# ----------------------------------------------------------------------------- agreement


@pytest.mark.parametrize(
    ("options", "model"),
    [
        ({}, LinearSVC(dual="auto")),
        ({"C": 0.01}, LinearSVC(dual="auto", C=0.01)),
        ({"classifier": "logistic", "C": 0.1}, LogisticRegression(C=0.1)),
    ],
)
@pytest.mark.parametrize("scoring", [None, "f1_macro"])
def test_linear_probe_is_the_explicit_pipeline(options, model, scoring):
    Z, y = blobs(spread=6.0)
    cv = StratifiedKFold(4, shuffle=True, random_state=1)
    expected = cross_val_score(make_pipeline(StandardScaler(), model), Z, y, cv=cv, scoring=scoring)
    actual = linear_probe(Z, y, cv=cv, scoring=scoring, **options)
    np.testing.assert_allclose(actual, expected, atol=1e-12)
    assert actual.shape == (4,) and (actual < 1).all()


@pytest.mark.parametrize("standardize", [False, True])
def test_knn_probe_is_the_explicit_classifier(standardize):
    Z, y = blobs(spread=6.0)
    Z[:, 0] *= 100
    cv = StratifiedKFold(4, shuffle=True, random_state=1)
    model = KNeighborsClassifier(7, metric="manhattan")
    if standardize:
        model = make_pipeline(StandardScaler(), model)
    expected = cross_val_score(model, Z, y, cv=cv)
    actual = knn_probe(Z, y, n_neighbors=7, standardize=standardize, cv=cv)
    np.testing.assert_array_equal(actual, expected)


def test_the_metric_of_neighbours_matters():
    """Classes that differ in direction only: the angle tells them, distance does not."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=300)
    angles = np.where(y, 0.2, 0.0) + rng.normal(scale=0.01, size=300)
    Z = 10.0 ** rng.uniform(-3, 3, size=(300, 1)) * np.column_stack(
        [np.cos(angles), np.sin(angles)]
    )
    assert knn_probe(Z, y, metric="cosine", random_state=0).mean() == 1
    assert knn_probe(Z, y, random_state=0).mean() < 0.9


# ----------------------------------------------------------------------- known answers


@pytest.mark.parametrize("probe", PROBES)
def test_separated_classes_are_told_apart(probe):
    scores = run(probe, *blobs(spread=0.3), random_state=0)
    np.testing.assert_array_equal(scores, np.ones(3))


@pytest.mark.parametrize("probe", PROBES)
def test_labels_that_have_nothing_to_do_with_the_rows_are_guessed(probe):
    rng = np.random.default_rng(0)
    n, n_folds = 600, 3
    Z, y = rng.normal(size=(n, 3)), rng.integers(2, size=n)
    # The spread of a proportion of n guesses is 1 / (2 sqrt(n)); folds are trained on one another.
    assert abs(run(probe, Z, y, cv=n_folds, random_state=0).mean() - 0.5) < 5 / (2 * np.sqrt(n))


def test_exclusive_or_takes_a_hidden_layer():
    Z, y = exclusive_or()
    assert linear_probe(Z, y, random_state=0).mean() < 0.65
    assert run(mlp_probe, Z, y, random_state=0).mean() > 0.9
    options = {"hidden": (32, 16), "learning_rate": 0.01, "batch_norm": True}
    assert mlp_probe(Z, y, **options, random_state=0).mean() > 0.9
    assert knn_probe(Z, y, random_state=0).mean() > 0.9


def test_neighbours_of_duplicated_points():
    """With every row there twice, in different folds, the one nearest neighbour is the copy."""
    rng = np.random.default_rng(0)
    Z, y = np.tile(rng.normal(size=(60, 5)), (2, 1)), np.tile(rng.integers(3, size=60), 2)
    copies = [(np.arange(60), np.arange(60, 120)), (np.arange(60, 120), np.arange(60))]
    np.testing.assert_array_equal(knn_probe(Z, y, n_neighbors=1, cv=copies), [1, 1])
    grouped = list(GroupKFold(2).split(Z, y, np.tile(np.arange(60), 2)))
    assert knn_probe(Z, y, n_neighbors=1, cv=grouped).mean() < 0.6


@pytest.mark.parametrize("probe", [linear_probe, mlp_probe])
def test_units_of_columns_do_not_matter(probe):
    Z, y = blobs(spread=5.0)
    Z = Z.astype(np.float64)
    units = np.array([1e-6, 1.0, 1e3, 1e8])
    expected = run(probe, Z, y, random_state=0)
    np.testing.assert_allclose(
        run(probe, Z * units + 7 * units, y, random_state=0), expected, atol=0.03
    )


@pytest.mark.parametrize("probe", PROBES)
def test_names_of_classes_do_not_matter(probe):
    Z, y = blobs(spread=5.0)
    expected = run(probe, Z, y, random_state=0)
    names = np.array(["a", "b", "c"])
    for labels in (
        names[y],
        names.astype(object)[y],
        pd.Categorical(names[y]),
        y[:, None],
        y + 0.0,
    ):
        np.testing.assert_array_equal(run(probe, Z, labels, random_state=0), expected)


@pytest.mark.parametrize("probe", PROBES)
def test_feature_maps_are_flattened(probe):
    Z, y = blobs(d=12, spread=8.0)
    expected = run(probe, Z, y, random_state=0)
    for maps in (Z.reshape(-1, 3, 2, 2), torch.from_numpy(Z).reshape(-1, 3, 2, 2)):
        np.testing.assert_array_equal(run(probe, maps, y, random_state=0), expected)
    np.testing.assert_array_equal(run(probe, pd.DataFrame(Z), y, random_state=0), expected)


# ------------------------------------------------------------------------ determinism


@pytest.mark.parametrize("probe", PROBES)
def test_the_seed_decides(probe):
    Z, y = blobs(spread=8.0)
    state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = run(probe, Z, y, scoring="accuracy", random_state=3)
    np.testing.assert_array_equal(run(probe, Z, y, random_state=3), first)
    others = [run(probe, Z, y, random_state=seed) for seed in (4, 5)]
    assert any((other != first).any() for other in others)
    assert torch.equal(torch.get_rng_state(), state[0]), "torch's global generator"
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])  # noqa: NPY002


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_jobs_do_not_matter(backend):
    Z, y = blobs(spread=8.0)
    options = {"dropout": 0.5, "scoring": "neg_log_loss", "random_state": 0}
    serial = run(mlp_probe, Z, y, **options)
    torch.manual_seed(123)
    with joblib.parallel_backend(backend):
        np.testing.assert_array_equal(run(mlp_probe, Z, y, n_jobs=3, **options), serial)


def test_held_out_rows_decide_nothing():
    """Whatever the test rows are, the network is the same: scores of its training rows agree."""
    Z, y = blobs(spread=8.0)
    changed = Z.copy()
    changed[100:] += 1000
    rows = [(np.arange(100), np.arange(100, 150)), (np.arange(100), np.arange(100))]
    options = {"cv": rows, "scoring": "neg_log_loss", "random_state": 0}
    first, second = run(mlp_probe, Z, y, **options), run(mlp_probe, changed, y, **options)
    assert first[1] == second[1] and first[0] != second[0]


# -------------------------------------------------------------------------- network


def test_dropout():
    dropout, x = Dropout(0.25, seed=0), torch.ones(200, 100)
    first, second = dropout(x), dropout(x)
    np.testing.assert_allclose(first.unique(), [0, 1 / 0.75], rtol=1e-6)
    assert abs(float((first == 0).float().mean()) - 0.25) < 5 * np.sqrt(0.25 * 0.75 / x.numel())
    assert not torch.equal(first, second)
    assert torch.equal(Dropout(0.25, seed=0)(x), first)
    assert dropout.eval()(x) is x


def test_network_has_the_layers_of_the_paper():
    Z, y = blobs()
    net = NetClassifier(max_epochs=1, random_state=0)
    with pytest.warns(ConvergenceWarning, match="Raise max_epochs"):
        net.fit(Z, y)
    linear = [m for m in net.network_ if isinstance(m, torch.nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(4, 200), (200, 3)]
    probabilities = net.predict_proba(Z)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(net.predict(Z), net.classes_[probabilities.argmax(axis=1)])


# --------------------------------------------------------------------------- bad input

Z0, Y0 = blobs(30)


def with_value(array, value, dtype=float):
    array = np.array(array, dtype=dtype)
    array[(3,) + (0,) * (array.ndim - 1)] = value
    return array


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize(
    ("Z", "y", "options", "message"),
    [
        (Z0, Y0[:-1], {}, "Z and y must have the same number of rows.*30 and 29"),
        (with_value(Z0, np.nan), Y0, {}, "Z has NaN or infinity in 1 of 30 rows, first in row 3"),
        (with_value(Z0, np.inf), Y0, {}, "Z has NaN or infinity in 1 of 30 rows"),
        (Z0[:, 0], Y0, {}, r"Z must be rows.*Use Z.reshape\(-1, 1\)"),
        (Z0[:, :0], Y0, {}, "0 feature|Z must be rows"),
        (Z0, with_value(Y0, np.nan), {}, "y has no label in 1 row.*first in row 3"),
        (Z0, with_value(Y0, None, object), {}, "y has no label in 1 row"),
        (Z0, np.zeros(30), {}, "y holds the single class"),
        (Z0, np.linspace(0, 1, 30), {}, "y must hold class labels.*continuous.*KBinsDiscretizer"),
        (Z0, np.eye(3)[Y0], {}, r"y must hold one class label a row.*y.argmax\(axis=1\)"),
        (Z0, np.r_[np.zeros(28), 1, 1], {}, r"2 row\(s\) of class .*too few for cv=3.*cv=2"),
        (Z0, np.r_[np.zeros(29), 1], {"cv": 2}, "1 row.*more data"),
        (Z0, Y0, {"cv": 1}, "cv"),
        (Z0, Y0, {"cv": GroupKFold(3)}, "needs groups"),
        (Z0, Y0, {"n_jobs": "all"}, "n_jobs"),
    ],
)
def test_what_cannot_be_probed_is_refused(probe, Z, y, options, message):
    with pytest.raises(ValueError, match=message):
        probe(Z, y, **options)


@pytest.mark.parametrize(
    ("probe", "options", "message"),
    [
        (linear_probe, {"classifier": "rbf"}, "classifier"),
        (linear_probe, {"C": 0}, "C"),
        (knn_probe, {"n_neighbors": 21}, "n_neighbors=21 is more than the 20 training rows"),
        (knn_probe, {"metric": "no such"}, "metric"),
        (knn_probe, {"metric": "precomputed"}, "metric"),
        (mlp_probe, {"hidden": 0}, "hidden"),
        (mlp_probe, {"hidden": (8, 0)}, "hidden must be a non-empty sequence"),
        (mlp_probe, {"dropout": 1.0}, "dropout"),
        (mlp_probe, {"max_epochs": 0}, "max_epochs"),
        (mlp_probe, {"device": "no such"}, "device"),
    ],
)
def test_bad_parameters_are_refused(probe, options, message):
    with pytest.raises(ValueError, match=message):
        probe(Z0, Y0, random_state=0, **options)
