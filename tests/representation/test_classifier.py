"""A classifier on a learned encoder: which rows it learns from, what it leaves alone."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmi._supervised import stratified_order
from skmi.representation import (
    AutoencoderTransformer,
    CPCTransformer,
    DIMClassifier,
    DIMTransformer,
    NATTransformer,
)

QUICK = {
    "n_components": 8,
    "encoder_width": 8,
    "max_epochs": 2,
    "patience": None,
    "random_state": 0,
}
DIM = DIMTransformer(**QUICK, critic_width=16, gamma=0.0)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:400].reshape(-1, 8, 8), y[:400]


def classifier(transformer=DIM, **options):
    return DIMClassifier(transformer, **{"max_epochs": 3, "random_state": 0} | options)


def weights(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def some_labels(y, n=100):
    return np.where(np.arange(len(y)) < n, y, -1)


# --------------------------------------------------------------------------- which rows


def test_unlabelled_rows_are_for_the_encoder_only(digits):
    # other unlabelled rows make another encoder; on one encoder they change nothing
    X, y = digits
    full = classifier().fit(X, some_labels(y))
    other = classifier().fit(np.concatenate([X[:100], X[:99:-1] / 2]), some_labels(y))
    assert not same(weights(full.transformer_.encoder_), weights(other.transformer_.encoder_))
    np.testing.assert_array_equal(full.transformer_.transform(X), clone(DIM).fit(X).transform(X))
    prefit = classifier(full.transformer_, prefit=True)
    with_all = prefit.fit(X, some_labels(y)).predict_proba(X)
    with_labelled = clone_with(prefit).fit(X[:100], y[:100]).predict_proba(X)
    np.testing.assert_array_equal(with_all, with_labelled)
    np.testing.assert_array_equal(with_all, full.predict_proba(X))


def clone_with(prefit):
    """The same settings on the same fitted transformer, which a clone would not keep."""
    return DIMClassifier(**prefit.get_params(deep=False))


@pytest.mark.slow
def test_more_unlabelled_rows_help():
    # from 50 labels, fixed features of 1000 digits against those of the 50 alone
    X, y = load_digits(return_X_y=True)
    dim = DIMTransformer(
        16, image_shape=(8, 8), gamma=0.0, occlusion=True, max_epochs=20, random_state=0
    )
    options = {"fine_tune": False, "max_epochs": 100}
    wide = classifier(dim, **options).fit(X[:1000], some_labels(y[:1000], 50))
    narrow = classifier(dim, **options).fit(X[:50], y[:50])
    assert wide.score(X[1000:], y[1000:]) > narrow.score(X[1000:], y[1000:]) + 0.05


@pytest.mark.parametrize("dtype", [int, float, object])
def test_labels_are_returned_as_they_came(digits, dtype):
    X, y = digits
    labels = some_labels(y).astype(dtype)
    if dtype is object:
        labels = np.array([f"digit {v}" if v >= 0 else -1 for v in labels], dtype=object)
    fitted = classifier().fit(X, labels)
    assert fitted.classes_.tolist() == np.unique(labels[:100]).tolist()
    assert fitted.predict_proba(X).shape == (400, 10) and set(fitted.predict(X)) <= set(labels)
    np.testing.assert_allclose(fitted.predict_proba(X).sum(1), 1, atol=1e-5)


def test_strings_are_all_labels(digits):
    X, y = digits
    fitted = classifier().fit(X, np.where(y < 5, "low", "high"))
    assert fitted.classes_.tolist() == ["high", "low"]


def test_minus_one_and_one_are_two_classes(digits):
    X, y = digits
    with pytest.warns(UserWarning, match="both are taken for classes"):
        fitted = classifier().fit(X, np.where(y < 5, -1, 1))
    assert fitted.classes_.tolist() == [-1, 1]


# --------------------------------------------------------------------- what it leaves alone


@pytest.mark.parametrize("fine_tune", [False, True])
def test_transformer_is_left_alone_and_fine_tuning_changes_a_copy(digits, fine_tune):
    X, y = digits
    dim = clone(DIM).fit(X)
    before, Z = weights(dim.objective_), dim.transform(X)
    fitted = classifier(dim, prefit=True, fine_tune=fine_tune).fit(X, some_labels(y))
    assert fitted.transformer_ is dim and same(before, weights(dim.objective_))
    np.testing.assert_array_equal(dim.transform(X), Z)
    assert all(p.requires_grad for p in dim.objective_.parameters())
    if fine_tune:
        own = weights(fitted.network_[0].encoder)
        assert not same(own, weights(dim.encoder_))
    else:  # the head alone, on rows that are encoded once
        logits = fitted.network_(torch.from_numpy(dim.transform(X)))
        np.testing.assert_allclose(logits.softmax(1).detach(), fitted.predict_proba(X), atol=1e-6)


def test_fixed_rows_are_encoded_once(digits, monkeypatch):
    X, y = digits
    dim, n_rows = clone(DIM).fit(X), []
    forward = type(dim.encoder_).forward
    monkeypatch.setattr(
        type(dim.encoder_), "forward", lambda self, x: n_rows.append(len(x)) or forward(self, x)
    )
    classifier(dim, prefit=True, fine_tune=False, max_epochs=5).fit(X, y)
    assert sum(n_rows) <= len(X) + 2  # and two rows of zeros for the width


def test_rows_that_tell_when_to_stop_are_of_every_class():
    rng = np.random.default_rng(0)
    codes = rng.permutation(np.repeat([0, 1, 2, 3], [500, 300, 100, 1]))
    for n_stop in (9, 90, 450):
        counts = np.bincount(codes[stratified_order(codes, rng)[:n_stop]], minlength=4)
        expected = n_stop * np.array([500, 300, 100, 0]) / 900
        assert np.abs(counts - expected).max() <= 2 and counts[3] == 0
    first = [stratified_order(np.repeat([0, 1], [9, 1]), rng)[0] for _ in range(200)]
    assert len(set(first)) == 9  # any row but the only one of its class


def test_clone_is_fitted_and_the_parameter_is_not(digits):
    X, y = digits
    fitted = classifier().fit(X, y)
    assert fitted.transformer_ is not DIM and not hasattr(DIM, "objective_")
    assert "feature_names_in_" not in dir(clone(fitted))


def test_fine_tuning_fits_the_labels_better(digits):
    X, y = digits
    dim = clone(DIM).fit(X)
    scores = [
        classifier(dim, prefit=True, fine_tune=tune, max_epochs=20).fit(X, y).score(X, y)
        for tune in (False, True)
    ]
    assert scores[1] > scores[0]


# ------------------------------------------------------------------------------ conventions


@parametrize_with_checks(
    [
        classifier(max_epochs=2),
        classifier(AutoencoderTransformer(**QUICK, hidden_layer_sizes=(16,)), fine_tune=False),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("layer", ["global", "fc", "conv"])
@pytest.mark.parametrize(
    "transformer",
    [
        DIM,
        AutoencoderTransformer(**QUICK, prior="uniform", n_channels=4),
        NATTransformer(**QUICK),
        CPCTransformer(**QUICK, n_steps=1, critic_width=8),
    ],
    ids=lambda transformer: type(transformer).__name__,
)
def test_every_transformer_and_layer_is_classified_and_saved(digits, tmp_path, transformer, layer):
    X, y = digits
    transformer = clone(transformer).set_params(feature_layer=layer)
    fitted = classifier(transformer, max_epochs=2).fit(X, some_labels(y))
    assert fitted.network_[1][0].in_features == fitted.transformer_.transform(X[:2]).shape[1]
    fitted.save(tmp_path / "classifier.safetensors")
    loaded = DIMClassifier.load(tmp_path / "classifier.safetensors")
    for other in (loaded, pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(other.predict_proba(X), fitted.predict_proba(X))
        np.testing.assert_array_equal(
            other.transformer_.transform(X), fitted.transformer_.transform(X)
        )
        assert str(other) == str(fitted)


def test_prefit_is_saved_with_its_transformer(digits, tmp_path):
    X, y = digits
    fitted = classifier(clone(DIM).fit(X), prefit=True).fit(X, y)
    fitted.save(tmp_path / "classifier.safetensors")
    loaded = DIMClassifier.load(tmp_path / "classifier.safetensors")
    again = loaded.fit(X, y)  # the parameter came back fitted
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_grid_search_reaches_the_transformer(digits):
    X, y = digits
    grid = {"transformer__beta": [0.5, 1.0], "fine_tune": [True, False]}
    search = GridSearchCV(classifier(), grid, cv=2).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all() and search.best_score_ > 0.3
    assert search.best_estimator_.transformer_.beta == search.best_params_["transformer__beta"]


def test_same_seed_same_bits_and_global_generators_left_alone(digits):
    X, y = digits
    states = torch.get_rng_state(), pickle.dumps(np.random.get_state())  # noqa: NPY002
    first, second = (classifier(dropout=0.5).fit(X, y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert pickle.dumps(np.random.get_state()) == states[1]  # noqa: NPY002
    other = classifier(dropout=0.5, random_state=1).fit(X, y).predict_proba(X)
    assert np.abs(first - other).max() > 1e-3


def test_default_transformer_and_names_of_columns():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 5)), columns=list("abcde"))
    fitted = classifier(None).fit(X, np.where(X["a"] > 0, "up", "down"))
    assert isinstance(fitted.transformer_, DIMTransformer) and fitted.n_features_in_ == 5
    assert fitted.feature_names_in_.tolist() == list("abcde")
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(X[list("edcba")])


# --------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (lambda y: np.where(y == 3, 3, -1), "y holds one class, 3; at least two"),
        (lambda y: some_labels(y, 3), "n_samples=3 with a label is too few"),
        (lambda y: np.full(len(y), -1), "n_samples=0 with a label is too few"),
        (lambda y: y[:-1], "X has 400 rows but y has 399 labels"),
        (lambda y: y + 0.5, "Unknown label type: continuous"),
        (lambda y: np.where(y == 3, np.nan, y), "NaN"),
        (lambda y: np.stack([y, y], 1), "1d array"),
    ],
)
def test_bad_labels(digits, labels, message):
    X, y = digits
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, labels(y))


def test_bad_rows_and_transformers(digits):
    X, y = digits
    with pytest.raises(ValueError, match="contains NaN"):
        classifier().fit(np.where(X > 15, np.nan, X), y)
    with pytest.raises(ValueError, match=r"shape \(1, 8, 6\), but|rows of shape \(8, 6\), but"):
        classifier().fit(X, y).predict(X[..., :6])
    with pytest.raises(NotFittedError):
        classifier().predict(X)
    with pytest.raises(NotFittedError, match="prefit=True needs a fitted DIMTransformer"):
        classifier(prefit=True).fit(X, y)
    with pytest.raises(ValueError, match="prefit=True needs a fitted transformer"):
        classifier(None, prefit=True).fit(X, y)
    with pytest.raises(ValueError, match="'transformer' parameter of DIMClassifier"):
        classifier("dim").fit(X, y)
    prefit = classifier(clone(DIM).fit(X), prefit=True)
    with pytest.raises(NotFittedError, match="say prefit=False"):
        cross_val_score(prefit, X, y, error_score="raise")
