"""The table holds what the measures find when they are called one by one."""

import copy

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmi import MINEEstimator
from skmi.dependence import NeuralDependencyMeasure
from skmi.evaluation import (
    knn_probe,
    linear_probe,
    mlp_probe,
    ms_ssim,
    reconstruction_decoder,
    representation_report,
)
from skmi.exceptions import SaturationWarning
from skmi.representation import DIMTransformer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

QUICK = {
    "mlp": {"hidden": 16, "max_epochs": 5},
    "decoder": {"n_channels": 4, "hidden_layer_sizes": (16,), "max_epochs": 3},
    "mi": {"hidden_layer_sizes": (8,), "max_epochs": 3},
    "ndm": {"max_epochs": 3},
}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:200], y[:200]


@pytest.fixture(scope="module")
def dim(digits):
    dim = DIMTransformer(
        n_components=4,
        encoder_width=4,
        critic_width=8,
        image_shape=(8, 8),
        max_epochs=1,
        random_state=0,
    )
    return dim.fit(digits[0])


class Shrink(TransformerMixin, BaseEstimator):
    """Images to the means of their quarters."""

    def fit(self, X, y=None):
        self.shape_ = np.shape(X)[1:]
        return self

    def transform(self, X):
        X = np.asarray(X, dtype=float)
        *_, height, width = X.shape
        return (
            X.reshape(len(X), -1, 2, height // 2, 2, width // 2)
            .mean(axis=(3, 5))
            .reshape(len(X), -1)
        )


def report(*data, **options):
    return representation_report(*data, **{"random_state": 0, "options": QUICK} | options)


def test_layers_are_those_of_the_transformer(dim, digits):
    X, y = digits
    table = report(dim, X, y, measures=["knn", "svm"])
    assert list(table.columns) == ["n_features", "knn", "svm"]
    assert list(table.index) == ["conv", "fc", "global"]
    folds = list(StratifiedKFold(3, shuffle=True, random_state=1).split(X, y))
    table = report(dim, X, y, measures=["knn"], layers=["global", "conv"], cv=folds)
    for layer in ("global", "conv"):
        Z = copy.copy(dim).set_params(feature_layer=layer).transform(X)
        assert table.loc[layer, "n_features"] == Z.shape[1]
        assert table.loc[layer, "knn"] == knn_probe(Z, y, cv=folds).mean()


def test_rows_are_encoded_once_for_all_layers(dim, digits, monkeypatch):
    forward, n_rows = type(dim.encoder_).forward, []
    monkeypatch.setattr(
        type(dim.encoder_), "forward", lambda self, x: n_rows.append(len(x)) or forward(self, x)
    )
    report(dim, *digits, measures=["knn"])
    assert sum(n_rows) <= len(digits[0]) + 6  # and two rows of zeros for each layer's width


def test_the_transformer_is_left_alone(dim, digits):
    before, Z = dict(vars(dim)), dim.transform(digits[0])
    report(dim, *digits, measures=["knn"])
    assert vars(dim).keys() == before.keys()
    assert all(value is before[name] for name, value in vars(dim).items())
    np.testing.assert_array_equal(dim.transform(digits[0]), Z)


def test_each_measure_is_that_of_its_function(digits):
    X, y = digits
    pca = make_pipeline(StandardScaler(), PCA(4, random_state=0)).fit(X)
    Z, (train, test) = pca.transform(X), np.array_split(np.arange(200), [150])
    cv, options = [(train, test), (test, train)], {"device": "cpu"}
    table = report(pca, X, y, cv=cv, n_jobs=1, **options)
    assert list(table.columns) == ["n_features", "svm", "mlp", "knn", "r2", "mi", "ndm"]
    assert list(table.index) == ["transform"]
    row = table.loc["transform"]
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    options |= {"random_state": seed}
    assert row["n_features"] == 4
    assert row["svm"] == linear_probe(Z, y, cv=cv, random_state=seed).mean()
    assert row["mlp"] == mlp_probe(Z, y, cv=cv, **options, **QUICK["mlp"]).mean()
    assert row["knn"] == knn_probe(Z, y, cv=cv).mean()
    decoder = reconstruction_decoder(Z[train], X[train], **options, **QUICK["decoder"])
    assert row["r2"] == pytest.approx(decoder.score(Z[test], X[test]))
    mine = MINEEstimator(cv=cv, **options, **QUICK["mi"]).fit(X, Z)
    assert row["mi"] == mine.mi_
    ndm = NeuralDependencyMeasure(cv=cv, **options, **QUICK["ndm"]).fit(Z)
    assert row["ndm"] == ndm.ndm_


@pytest.mark.parametrize("bytes_", [False, True])
def test_images_are_reconstructed(bytes_):
    rng = np.random.default_rng(0)
    X = np.kron(rng.uniform(size=(120, 3, 2, 2)), np.ones((14, 14)))
    X = (200 * X).astype(np.uint8) if bytes_ else 2 * X - 1
    train, test = np.array_split(np.arange(120), [100])
    options = {"cv": [(train, test)], "measures": ["ms-ssim", "r2"], "device": "cpu"}
    row = report(Shrink().fit(X), X, **options).loc["transform"]
    Z = Shrink().fit_transform(X)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    keywords = {"device": "cpu", "random_state": seed} | QUICK["decoder"]
    decoder = reconstruction_decoder(Z[train], X[train], **keywords)
    assert row["r2"] == pytest.approx(decoder.score(Z[test], X[test]))
    bounds = (0, 255) if bytes_ else (X.min(), X.max())
    pair = X[test].astype(float), decoder.predict(Z[test])
    similarity = ms_ssim(*pair, data_range=bounds, n_scales=2)
    assert row["ms-ssim"] == pytest.approx(similarity.mean())


def test_grey_images_without_a_channel_are_images():
    X = np.random.default_rng(0).uniform(size=(30, 12, 12))
    assert "ms-ssim" in report(Shrink().fit(X), X, measures=None, cv=2).columns


def test_a_linear_representation_of_the_whole_is_reconstructed():
    """Of half the columns that tell the others the decoder finds all, of noise nothing."""
    rng = np.random.default_rng(0)
    half = rng.normal(size=(600, 2))
    options = {"decoder": {"hidden_layer_sizes": (32,), "learning_rate": 0.01, "max_epochs": 60}}
    X = np.hstack([half, half @ rng.normal(size=(2, 2))])
    row = report(PCA(2).fit(X), X, measures=["r2"], options=options).loc["transform"]
    assert row["r2"] > 0.97
    X[:, 2:] = rng.normal(size=(600, 2))
    first = LeadingColumns().fit(X)
    row = report(first, X, measures=["r2"], options=options).loc["transform"]
    assert abs(row["r2"] - 0.5) < 0.1


class LeadingColumns(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return X[:, :2]


def test_labels_are_optional(dim, digits):
    table = report(dim, digits[0], layers=["global"], measures=["r2"])
    assert list(table.columns) == ["n_features", "r2"]
    assert np.isfinite(table.to_numpy()).all()


def test_the_seed_decides(dim, digits):
    options = {"layers": ["global"], "measures": ["mlp", "r2"]}
    first, again, other = (report(dim, *digits, **options, random_state=s) for s in (0, 0, 1))
    assert first.equals(again) and not first.equals(other)


def test_images_too_small_for_similarity(dim, digits):
    with pytest.warns(UserWarning, match="images of 8 x 8 pixels.*is NaN. Use 'r2'") as caught:
        table = report(dim, digits[0], measures=["ms-ssim"], layers=["fc", "global"])
    assert table["ms-ssim"].isna().all()
    assert sum("ms-ssim" in str(warning.message) for warning in caught) == 1
    with pytest.warns(UserWarning, match="no images"):
        report(PCA(2).fit(digits[0]), digits[0], measures=["ms-ssim"])
    small = QUICK | {"ms-ssim": {"window_size": 7}}
    table = report(dim, digits[0], measures=["ms-ssim"], layers=["global"], options=small)
    assert 0 <= table.loc["global", "ms-ssim"] < 1


def test_information_that_saturates_is_noticed():
    X = np.random.default_rng(0).normal(size=(100, 6))
    pca = PCA(6).fit(X)
    with pytest.warns(SaturationWarning, match="so few rows"):
        report(pca, X, measures=["mi"], options={})


X0, Y0 = np.random.default_rng(0).normal(size=(30, 3)), np.arange(30) % 2
PCA0 = PCA(2).fit(X0)


@pytest.mark.parametrize(
    ("transformer", "X", "y", "options", "message"),
    [
        (PCA0, X0, None, {"measures": ["svm", "r2"]}, r"y must be given for measures=\['svm'\]"),
        (PCA0, X0, Y0[1:], {}, "X and y must have the same number of rows.*30 and 29"),
        (PCA0, X0, Y0[1:], {"measures": ["r2"]}, "X and y must have the same number of rows"),
        (PCA0, X0, Y0, {"measures": ["svc"]}, r"measures must be names out of.*\['svc'\]"),
        (PCA0, X0, Y0, {"measures": "svm"}, "measures must be names out of.*got 'svm'"),
        (PCA0, X0, Y0, {"options": {"r2": {}}}, "options must be names out of.*'decoder'"),
        (PCA0, X0, np.zeros(30), {}, "y holds the single class"),
        (PCA0, X0, Y0, {"cv": 20, "measures": ["r2"]}, "n_samples=30 is too few for cv=20"),
        (PCA0, np.full_like(X0, np.nan), Y0, {}, "X has NaN or infinity"),
        (PCA(), X0, Y0, {}, "not fitted"),
        (DIMTransformer(), X0, Y0, {}, "not fitted"),
    ],
)
def test_what_cannot_be_measured_is_refused(transformer, X, y, options, message):
    with pytest.raises((ValueError, NotFittedError), match=message):
        report(transformer, X, y, **options)


def test_unknown_layers_and_estimators_are_refused(dim, digits):
    with pytest.raises(ValueError, match=r"layers must be names out of.*\['Y'\]"):
        report(dim, *digits, layers=["Y"])
    with pytest.raises(TypeError, match="transformer must have a method transform"):
        report(LinearRegression().fit(X0, Y0), X0, Y0)
