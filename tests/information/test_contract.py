"""The conventions users rely on: compositions, determinism, saving, interruption."""

import itertools
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from joblib import Parallel, delayed, parallel_config
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch import nn

from skmi import EtaDVEstimator, MINEEstimator, mutual_info
from skmi.exceptions import (
    ConvergenceWarning,
    GeneralizationGapWarning,
    NonFiniteLossError,
    SaturationWarning,
)
from skmi.information._objective import grow_linearly

pytestmark = pytest.mark.filterwarnings("ignore::skmi.exceptions.ConvergenceWarning")

QUICK = {"max_epochs": 4, "cv": 2, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    return X, X[:, :2] + rng.normal(size=(400, 2))


# ------------------------------------------------------------------ compositions


def test_grid_search_cross_validation_and_pipeline(data):
    X, Y = data
    grid = {"learning_rate": [1e-3, 1e-2], "critic": ["concat", "bilinear"]}
    search = GridSearchCV(MINEEstimator(**QUICK), grid, cv=2, n_jobs=2).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.score(X, Y) == search.score(X, Y)
    scores = cross_val_score(MINEEstimator(**QUICK), X, Y[:, 0], cv=3)
    assert scores.shape == (3,) and (scores > 0.1).all()
    pipeline = make_pipeline(StandardScaler(), MINEEstimator(**QUICK)).fit(X, Y)
    assert pipeline.score(X, Y) == pytest.approx(search.best_estimator_.score(X, Y), abs=0.3)
    result = mutual_info(X, Y, estimator=pipeline, cv=2)
    assert result.fold_values.shape == (2,) and result.estimator is None


def test_clone_gives_an_unfitted_equal(data):
    fitted = EtaDVEstimator(**QUICK, a_dv=True).fit(*data)
    fresh = clone(fitted)
    assert fresh.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        fresh.score(*data)


def test_data_frames(data):
    X, Y = data
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    fitted = MINEEstimator(**QUICK).fit(frame, pd.DataFrame(Y, columns=["u", "v"]))
    assert fitted.feature_names_in_.tolist() == ["a", "b", "c"]
    assert fitted.mi_ == MINEEstimator(**QUICK).fit(X, Y).mi_
    with pytest.raises(ValueError, match="feature names"):
        fitted.score(frame[["b", "a", "c"]], Y)
    labels = pd.Series(np.where(Y[:, 0] > 0, "high", "low"), dtype="category")
    assert MINEEstimator(**QUICK).fit(frame, labels).target_type_ == "labels"


def test_images_are_first_class(data):
    X, _ = data
    images = np.random.default_rng(0).normal(size=(400, 2, 4, 4))
    images[:, 0, 0, 0] = X[:, 0]
    fitted = MINEEstimator(**QUICK).fit(images, X[:, :1])
    assert fitted.score_samples(images, X[:, :1]).shape == (400,)
    with pytest.raises(ValueError, match=r"X has rows of shape \(2, 4, 5\)"):
        fitted.score(np.zeros((10, 2, 4, 5)), X[:10, :1])


@pytest.mark.parametrize(
    "splitter", [TimeSeriesSplit(3), KFold(3), [(np.arange(300), np.arange(300, 400))]]
)
def test_cv_splitters(data, splitter):
    fitted = MINEEstimator(**QUICK | {"cv": splitter}).fit(*data)
    assert len(fitted.critics_) == len(fitted.fold_scores_) in (1, 3)


def test_how_y_is_read():
    def read(y, target_type="auto"):
        estimator = MINEEstimator(target_type=target_type)
        estimator._validate(np.arange(len(y)).reshape(-1, 1), y, reset=True)
        return estimator.target_type_

    assert read(np.array(["a", "b"])) == "labels"
    assert read(np.array([True, False] * 5)) == "labels"
    assert read(np.arange(10).repeat(40)) == "labels"
    assert read(np.arange(10).repeat(40), "continuous") == "continuous"
    assert read(np.arange(400)) == "continuous"  # as many values as rows: a measurement
    assert read(np.array([25.0, 81.0, 63.0, 310.0] + [1.0 * i for i in range(50)])) == "continuous"
    assert read(np.random.default_rng(0).normal(size=50)) == "continuous"
    assert read(np.arange(9).repeat(2), "labels") == "labels"


def test_integers_are_converted_before_arithmetic(data):
    X, _ = data
    counts = np.random.default_rng(0).poisson(np.exp(X[:, 0]), size=len(X)).astype(np.uint8)
    reference = MINEEstimator(**QUICK, target_type="continuous")
    wide, narrow = (clone(reference).fit(X, counts.astype(t)).mi_ for t in (np.float64, np.uint8))
    assert wide == narrow


# ---------------------------------------------------------------------- own critics


class DistanceCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x, y):
        return self.weight * (x[:, :1] - y[:, :1]).square().sum(1)


def test_own_module_is_copied_not_trained(data):
    X, Y = data
    module = DistanceCritic()
    fitted = MINEEstimator(critic=module, **QUICK | {"max_epochs": 20}).fit(X, Y)
    assert float(module.weight.detach()) == 0.0
    assert fitted.mi_ > 0.1
    assert MINEEstimator("infonce", critic=module, **QUICK).fit(X, Y).mi_ <= np.log(200)


def test_skorch_callbacks_and_trainer_options(data):
    seen = []

    class Recorder(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(net.history[-1, "train_loss"])

    options = {"callbacks": [("recorder", Recorder())]}
    MINEEstimator(**QUICK, trainer_options=options, gradient_clipping=1.0).fit(*data)
    assert len(seen) == 8 and np.isfinite(seen).all()


def test_scikit_learn_callbacks_see_folds_and_epochs(data):
    tasks = []

    class Recorder:
        def setup(self, estimator, context):
            tasks.append("setup")

        def teardown(self, estimator, context):
            tasks.append("teardown")

        def on_fit_task_begin(self, estimator, context):
            tasks.append(context.task_name)

        def on_fit_task_end(self, estimator, context):
            pass

    MINEEstimator(**QUICK).set_callbacks(Recorder()).fit(*data)
    assert tasks == ["setup", "fit", *(["fold"] + 4 * ["epoch"]) * 2, "teardown"]


def test_progress_is_shown_on_demand(data, capsys):
    MINEEstimator(**QUICK, verbose=1).fit(*data)
    assert "fold 2/2" in capsys.readouterr().err
    MINEEstimator(**QUICK).fit(*data)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


# ------------------------------------------------------------------------ determinism


def fingerprint(estimator):
    weights = [
        p.detach().numpy().tobytes() for c in estimator.critics_ for p in c.objective.parameters()
    ]
    return estimator.mi_, estimator.train_mi_, estimator.stderr_, hash(b"".join(weights))


def fit_fingerprint(X, Y, n_jobs=None):
    return fingerprint(EtaDVEstimator(**QUICK, n_jobs=n_jobs).fit(X, Y))[:3]


def test_same_seed_same_bits_everywhere(data):
    X, Y = data
    reference = fit_fingerprint(X, Y)
    for backend in ("threading", "loky"):
        with parallel_config(backend=backend):
            assert (
                Parallel(n_jobs=2)(delayed(fit_fingerprint)(X, Y) for _ in range(4))
                == [reference] * 4
            )
            assert fit_fingerprint(X, Y, n_jobs=2) == reference
    first, second = (MINEEstimator(**QUICK).fit(X, Y) for _ in range(2))
    assert fingerprint(first) == fingerprint(second)
    assert first.score(X, Y) == second.score(X, Y)
    other_seed = MINEEstimator(**QUICK | {"random_state": 1}).fit(X, Y)
    assert fingerprint(other_seed) != fingerprint(first)


def test_number_of_torch_threads_does_not_matter(data):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        two = fit_fingerprint(*data)
        torch.set_num_threads(1)
        assert fit_fingerprint(*data) == two
    finally:
        torch.set_num_threads(threads)


def test_global_generators_are_left_alone(data):
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    MINEEstimator(**QUICK).fit(*data).score(*data)
    mutual_info(*data, random_state=0, cv=2, estimator=MINEEstimator(max_epochs=2))
    np.testing.assert_array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())


# ------------------------------------------------------- saving and training further


@pytest.mark.parametrize(
    "estimator",
    [
        MINEEstimator(**QUICK),
        MINEEstimator(
            "infonce", critic="separable", layer_norm=True, margins="standardize", **QUICK
        ),
        EtaDVEstimator(a_dv=True, **QUICK),
    ],
)
@pytest.mark.parametrize("labels", [False, True])
def test_every_way_of_saving_keeps_the_scores(data, tmp_path, estimator, labels):
    X, Y = data
    y = np.where(Y[:, 0] > 0, "high", "low") if labels else Y
    fitted = clone(estimator).fit(X, y)
    expected = fitted.score(X, y), fitted.score_samples(X, y), fitted.score_samples(X)
    fitted.save(tmp_path / "critic.safetensors")
    joblib.dump(fitted, tmp_path / "critic.joblib")
    copies = [
        type(fitted).load(tmp_path / "critic.safetensors"),
        joblib.load(tmp_path / "critic.joblib"),
        pickle.loads(pickle.dumps(fitted)),
    ]
    for copy in copies:
        assert copy.get_params() == fitted.get_params()
        assert copy.score(X, y) == expected[0]
        np.testing.assert_array_equal(copy.score_samples(X, y), expected[1])
        np.testing.assert_array_equal(copy.score_samples(X), expected[2])
        assert copy.mi_ == fitted.mi_ and copy.history_ == fitted.history_
        copy.partial_fit(X, y)


def test_the_cut_off_is_saved(data, tmp_path):
    X, _ = data
    fitted = MINEEstimator("nwj", cv=2, max_epochs=60, random_state=0).fit(X, X)
    scores = fitted.score_samples(X, X)
    assert scores.max() == pytest.approx(np.log(200), rel=1e-6)  # 200 training rows in a fold
    fitted.save(tmp_path / "mine.safetensors")
    loaded = MINEEstimator.load(tmp_path / "mine.safetensors")
    np.testing.assert_array_equal(loaded.score_samples(X, X), scores)


def test_saving_refuses_what_needs_pickle(data, tmp_path):
    fitted = MINEEstimator(critic=DistanceCritic(), **QUICK).fit(*data)
    with pytest.raises(TypeError, match=r"parameters.*joblib"):
        fitted.save(tmp_path / "critic.safetensors")
    MINEEstimator(**QUICK).fit(*data).save(tmp_path / "mine.safetensors")
    with pytest.raises(ValueError, match="is of MINEEstimator, not of EtaDVEstimator"):
        EtaDVEstimator.load(tmp_path / "mine.safetensors")
    (tmp_path / "text").write_text("no safetensors")
    with pytest.raises(ValueError, match="not a safetensors file, or is damaged"):
        MINEEstimator.load(tmp_path / "text")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        MINEEstimator.load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"path=.*in a folder that does not exist"):
        MINEEstimator(**QUICK).fit(*data).save(tmp_path / "nowhere" / "mine.safetensors")


def test_a_model_from_a_gpu_loads_without_one(data):
    fitted = MINEEstimator(**QUICK).fit(*data)
    state = fitted.__getstate__() | {"device_": "cuda"}
    restored = MINEEstimator.__new__(MINEEstimator)
    restored.__setstate__(state)
    assert restored.device_ == ("cuda" if torch.cuda.is_available() else "cpu")
    assert restored.score(*data) == pytest.approx(fitted.score(*data), rel=1e-4)


def test_warm_start_goes_on_where_it_stopped(data):
    X, Y = data
    options = QUICK | {"averaging": 0.0, "validation_fraction": 0.0}
    whole = MINEEstimator(**options | {"max_epochs": 6}).fit(X, Y)
    parts = MINEEstimator(**options | {"max_epochs": 3}, warm_start=True).fit(X, Y).fit(X, Y)
    assert parts.n_iter_ == whole.n_iter_ == 6
    assert fingerprint(parts) == fingerprint(whole)
    resumed = pickle.loads(
        pickle.dumps(MINEEstimator(**options | {"max_epochs": 3}, warm_start=True).fit(X, Y))
    )
    assert fingerprint(resumed.fit(X, Y)) == fingerprint(whole)


def test_repeated_calls_keep_rows_in_their_folds():
    # on independent data a critic that had seen its held-out rows would report information
    rng = np.random.default_rng(2)
    X, Y = rng.normal(size=(120, 4)), rng.normal(size=(120, 4))
    estimator = MINEEstimator(
        cv=2, random_state=np.random.RandomState(0), learning_rate=1e-2, gaussian_term=False
    )
    for _ in range(60):
        estimator.partial_fit(X, Y)
    assert estimator.train_mi_ > 0.3 > 0.1 > estimator.mi_


def test_parameters_may_be_frozen(data):
    critic = DistanceCritic()
    critic.offset = nn.Parameter(torch.zeros(3), requires_grad=False)
    assert MINEEstimator(critic=critic, **QUICK | {"max_epochs": 20}).fit(*data).mi_ > 0.1


def test_partial_fit_learns_from_a_stream():
    rng = np.random.default_rng(1)
    estimator = MINEEstimator(critic="bilinear", gaussian_term=False, cv=2, random_state=0)
    for _ in range(20):
        X = rng.normal(size=(500, 2))
        estimator.partial_fit(X, X + rng.normal(size=(500, 2)))
    assert estimator.n_iter_ == 20
    assert estimator.mi_ > 0.3  # what a bilinear critic can reach here is about 0.4
    with pytest.raises(ValueError, match="X has 3 features"):
        estimator.partial_fit(np.zeros((20, 3)), np.zeros((20, 2)))


# -------------------------------------------------------------- when things go wrong


def test_interruption_leaves_nothing_that_looks_fitted(data):
    class CtrlC(Callback):
        def on_batch_end(self, net, **kwargs):
            if net.history[-1, "epoch"] == 2:
                raise KeyboardInterrupt

    estimator = MINEEstimator(**QUICK).fit(*data)
    estimator.set_params(trainer_options={"callbacks": [CtrlC()]})
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(*data)
    assert not [name for name in vars(estimator) if name.endswith("_")]
    with pytest.raises(NotFittedError):
        estimator.score(*data)


class ExplodingCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x, y):
        return self.weight * 1e30 * (x[:, 0] * y[:, 0]).exp() ** 30


def test_non_finite_losses_are_an_error(data):
    estimator = MINEEstimator("nwj", critic=ExplodingCritic(), **QUICK)
    with pytest.raises(NonFiniteLossError, match="learning rate"):
        estimator.fit(*data)
    with pytest.raises(NotFittedError):
        estimator.score(*data)


def test_a_critic_without_parameters_is_evaluated_as_it_is():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(2_000, 2))
    Y = 0.5 * X + np.sqrt(0.75) * rng.normal(size=X.shape)
    fitted = MINEEstimator(critic="inner-product", gaussian_term=False, random_state=0).fit(X, Y)
    # E[e^(x'y)] of independent normals diverges; cut off, the bound is low but finite
    assert np.isfinite(fitted.mi_) and fitted.n_iter_ == 0
    with_term = MINEEstimator(critic="bilinear", random_state=0).fit(X, Y)
    assert with_term.mi_ == pytest.approx(-np.log(0.75), abs=0.08)


def test_numbers_in_an_object_array_are_numbers(data):
    X, Y = data
    fitted = MINEEstimator(**QUICK).fit(X, Y[:, 0].astype(object))
    assert fitted.target_type_ == "continuous"
    assert fitted.mi_ == MINEEstimator(**QUICK).fit(X, Y[:, 0]).mi_


@pytest.mark.filterwarnings("ignore::skmi.exceptions.SaturationWarning")
@pytest.mark.parametrize(
    ("noise", "n_features"),
    [
        pytest.param(*case, marks=() if case in [(1e-1, 3), (0.0, 1)] else pytest.mark.slow)
        for case in itertools.product([1e-1, 1e-2, 1e-4, 0.0], [1, 3])
    ],
)
def test_nearly_deterministic_data_stay_below_the_truth(noise, n_features):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(300, n_features))
    fitted = MINEEstimator(random_state=0).fit(X, X + noise * rng.normal(size=X.shape))
    truth = 0.5 * n_features * np.log1p(1 / noise**2) if noise else np.inf
    assert 0 < fitted.mi_ < min(truth + 4 * fitted.stderr_, np.log(200) + 1)


@pytest.mark.parametrize("margins", ["normal-scores", "standardize"])
def test_columns_that_rarely_vary_do_not_decide_the_value(margins):
    # what three rows say of a column is broken by the rows of another fold; a critic's squares
    # of such columns once gave -1e9 nats
    rng = np.random.default_rng(0)
    rare = np.zeros((300, 30))
    for column in rare.T:
        column[rng.choice(300, 3, replace=False)] = rng.normal(size=3)
    X, Y = (np.column_stack([rng.normal(size=(300, 2)), c]) for c in (rare, rare @ rare.T[:, :30]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = MINEEstimator(margins=margins, **QUICK).fit(X, Y)
    assert fitted.mi_ > -1
    assert fitted.score_samples(X, Y).min() >= -np.log(300)


def test_exponentials_grow_linearly_beyond_the_ceiling():
    ceiling = torch.tensor(3.0)
    ratios = torch.tensor([-50.0, 0.0, 2.9, 3.0, 4.0, 500.0], requires_grad=True)
    grown = grow_linearly(ratios, ceiling).exp()
    steep = ceiling.exp()
    expected = torch.where(ratios <= 3, ratios.exp(), steep * (1 + (ratios - 3).clamp(min=0)))
    torch.testing.assert_close(grown, expected)
    (slope,) = torch.autograd.grad(grown.sum(), ratios)
    torch.testing.assert_close(slope, torch.minimum(ratios.exp(), steep).detach())


def test_bad_data_do_not_cost_a_trained_model(data):
    X, Y = data
    fitted = MINEEstimator(**QUICK, warm_start=True).fit(X, Y)
    score = fitted.score(X, Y)
    for call in (fitted.fit, fitted.partial_fit):
        with pytest.raises(ValueError, match="2 features"):
            call(X[:, :2], Y)
    assert fitted.score(X, Y) == score


@pytest.mark.filterwarnings("default::skmi.exceptions.ConvergenceWarning")
def test_warnings_point_at_the_line_of_the_user(data):
    with pytest.warns(ConvergenceWarning) as caught:
        mutual_info(*data, estimator=MINEEstimator(**QUICK), cv=2)
    assert {warning.filename for warning in caught} == {__file__}
    with pytest.warns(ConvergenceWarning) as caught:
        make_pipeline(StandardScaler(), MINEEstimator(**QUICK)).fit(*data)
    assert {warning.filename for warning in caught} == {__file__}


def test_generalization_gap_warning():
    rng = np.random.default_rng(5)
    X, Y = rng.normal(size=(200, 30)), rng.normal(size=(200, 30))
    estimator = MINEEstimator(validation_fraction=0, max_epochs=60, cv=2, random_state=0)
    with pytest.warns(GeneralizationGapWarning, match="the critics overfit"):
        estimator.fit(X, Y)


@pytest.mark.filterwarnings("default::skmi.exceptions.ConvergenceWarning")
def test_convergence_warning(data):
    with pytest.warns(ConvergenceWarning, match="max_epochs=4"):
        MINEEstimator(**QUICK).fit(*data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MINEEstimator(random_state=0).fit(*data)


def test_saturation_warning():
    X = np.random.default_rng(0).normal(size=(300, 3))
    with pytest.warns(SaturationWarning, match="the truth may be far higher"):
        MINEEstimator("infonce", critic="separable", cv=2, random_state=0).fit(X, X)


NAN, INF = np.array([[np.nan, 0.0]]), np.array([[np.inf, 0.0]])


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (lambda X: np.vstack([X[1:, :2], NAN]), None, "X contains NaN"),
        (lambda X: np.vstack([X[1:, :2], INF]), None, "X contains infinity"),
        (None, lambda y: np.vstack([y[1:, :2], NAN]), "y contains NaN"),
        (None, lambda y: np.vstack([y[1:, :2], INF]), "y contains infinity"),
        (lambda X: X + 1j, None, "Complex data"),
        (None, lambda y: y + 1j, "Complex data"),
        (lambda X: X[:-1], None, "X and y must have the same number of rows"),
        (lambda X: X[:1], lambda y: y[:1], "n_samples=1 is too few"),
        (lambda X: X[:5], lambda y: y[:5], "n_samples=5 is too few for cv=3"),
        (lambda X: X[:, :0], None, "0 feature"),
        (lambda X: X[:, 0], None, "2D array"),
        (None, lambda y: None, "requires y"),
        (
            lambda X: [["a", 1], [2, 1]] * (len(X) // 2),
            None,
            "Column 0 of X .* cannot be categories",
        ),
        (
            None,
            lambda y: [["a", 1], [2, 1]] * (len(y) // 2),
            "Column 0 of y .* cannot be categories",
        ),
        (None, lambda y: np.array(["a", None] * (len(y) // 2), dtype=object), "missing values"),
    ],
)
def test_bad_data(data, X, y, message):
    good_X, good_y = data
    with pytest.raises((ValueError, TypeError), match=message):
        MINEEstimator().fit(X(good_X) if X else good_X, y(good_y) if y else good_y)


def test_sparse_data_are_refused_by_name(data):
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="for X"):
        MINEEstimator().fit(sparse.csr_array(data[0]), data[1])
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        MINEEstimator().fit(data[0], sparse.csr_array(data[1]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bound": "mine"}, "Unknown bound 'mine'. Choose one of .*dv"),
        ({"bound": "eta-dv"}, "use EtaDVEstimator"),
        ({"critic": "mlp"}, "Unknown critic 'mlp'. Choose one of .*concat"),
        ({"critic": "inner-product"}, "3 and 2.*bilinear"),
        ({"hidden_layer_sizes": (64, -1)}, "hidden_layer_sizes must be .*positive"),
        ({"hidden_layer_sizes": ()}, "hidden_layer_sizes must be a non-empty"),
        ({"hidden_layer_sizes": (2.5,)}, "hidden_layer_sizes must be"),
        ({"batch_size": 1000}, "batch_size=1000 is larger than the .* training rows"),
        ({"batch_size": 1}, "'batch_size' parameter"),
        ({"learning_rate": 0.0}, "'learning_rate' parameter"),
        ({"max_epochs": 0}, "'max_epochs' parameter"),
        ({"validation_fraction": 1.0}, "'validation_fraction' parameter"),
        ({"margins": "ranks"}, "'margins' parameter"),
        ({"activation": "swish"}, "'activation' parameter"),
        ({"moving_average_rate": 2.0}, "'moving_average_rate' parameter"),
        ({"device": "gpu"}, "device='gpu' is not available"),
        ({"cv": 1}, "cv"),
        ({"cv": 300}, "n_samples=400 is too few for cv=300"),
        ({"discrete_features": [3]}, r"discrete_features=\[3\] does not fit X with 3 columns"),
    ],
)
def test_bad_parameters(data, options, message):
    with pytest.raises(ValueError, match=message):
        MINEEstimator(**options).fit(*data)


def test_bad_calls_of_a_fitted_estimator(data):
    X, Y = data
    fitted = MINEEstimator(**QUICK).fit(X, Y)
    with pytest.raises(ValueError, match="X has 2 features"):
        fitted.score(X[:, :2], Y)
    with pytest.raises(ValueError, match="y has rows of shape"):
        fitted.score(X, Y[:, :1])
    with pytest.raises(ValueError, match="at least 2 rows"):
        fitted.score(X[:1], Y[:1])
    assert fitted.score_samples(X[:1], Y[:1]).shape == (1,)
    labelled = MINEEstimator(**QUICK).fit(X, np.where(Y[:, 0] > 0, "high", "low"))
    with pytest.raises(ValueError, match=r"did not see: \['medium'\]"):
        labelled.score(X, np.full(len(X), "medium"))
    fitted.set_params(cv=3, warm_start=True)
    with pytest.raises(ValueError, match="3 folds but the fitted estimator has 2"):
        fitted.fit(X, Y)


def test_scikit_learn_progress_bar_runs(data):
    pytest.importorskip("rich")
    MINEEstimator(**QUICK).set_callbacks(ProgressBar()).fit(*data)
