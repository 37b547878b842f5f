"""Numbers and categories in one API: how columns are read, encoded and measured."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.model_selection import GroupKFold

from skmi import EtaDVEstimator, MINEEstimator, _columns, mutual_info
from skmi._columns import VariableEncoder
from skmi.datasets import make_gaussian_classes
from skmi.information._data import warn_of_copies

QUICK = {"max_epochs": 3, "cv": 2, "random_state": 0}

pytestmark = pytest.mark.filterwarnings("ignore::skmi.exceptions.ConvergenceWarning")


def mixture_entropy(weights, densities, step):
    density = np.asarray(weights) @ densities
    return -(density * np.log(density + 1e-300)).sum() * step


def table_mutual_info(joint):
    product = joint.sum(1, keepdims=True) * joint.sum(0)
    return float((joint * np.log(joint / product)).sum())


# ------------------------------------------------------------------ how columns are read


COLUMNS = pd.DataFrame(
    {
        "real": [0.5, 1.5, 2.5, 0.25],
        "whole": [3, 1, 2, 2],
        "nullable_int": pd.array([1, 2, 3, 3], dtype="Int64"),
        "nullable_real": pd.array([0.5, 2.5, 3, 3], dtype="Float32"),
        "numbers_as_objects": pd.Series([1, 2.5, 3, 3], dtype=object),
        "category": pd.Categorical(["a", "b", "c", "a"]),
        "codes": pd.Categorical([7, 5, 7, 5]),
        "text": ["u", "v", "w", "u"],
        "nullable_text": pd.array(["u", "v", "u", "v"], dtype="string"),
        "objects": pd.Series(["u", "v", "u", "v"], dtype=object),
        "truth": [True, False, True, True],
        "nullable_truth": pd.array([True, False, False, True], dtype="boolean"),
        "interval": pd.cut(pd.Series([0.1, 0.2, 0.7, 0.9]), 2),
    }
)
N_NUMBERS = 5


@pytest.mark.filterwarnings("ignore:Column .* is read as categories")
def test_dtypes_say_what_is_discrete():
    encoder = VariableEncoder("X")
    encoded = encoder.fit_transform(COLUMNS)
    assert encoder.discrete_.tolist() == [False] * N_NUMBERS + [True] * 8
    assert encoder.n_numbers_ == N_NUMBERS
    # three categories make three columns, two make one
    assert encoded.shape == (4, N_NUMBERS + 3 + 1 + 3 + 5)
    np.testing.assert_array_equal(encoded[:, :2], COLUMNS[["real", "whole"]])
    assert set(encoded[:, N_NUMBERS:].ravel()) == {0.0, 1.0}
    np.testing.assert_array_equal(encoder.transform(COLUMNS), encoded)
    np.testing.assert_array_equal(encoder.transform(COLUMNS[:1]), encoded[:1])


@pytest.mark.parametrize(
    ("values", "discrete"),
    [
        (np.arange(6.0).reshape(3, 2), [False, False]),
        (np.arange(6).reshape(3, 2), [False, False]),
        (np.arange(6).reshape(3, 2) > 2, [True, True]),
        (np.array([["a", "1.5"], ["b", "2"], ["b", "3"]]), [True, True]),
        ([["a", 1.5], ["b", 2], ["b", 3]], [True, False]),
        (np.array([["a", 1], ["b", 2], ["b", 3]], dtype=object), [True, False]),
        ([[True, 1.5], [False, 2], [False, 3]], [False, False]),  # numpy makes them numbers
        (np.arange(24).reshape(3, 2, 4), [False, False]),
        (["a", "b", "b"], [True]),
        ([1, 2, 2], [False]),
    ],
)
@pytest.mark.filterwarnings("ignore:Column 1 of X is read as categories")
def test_arrays_and_lists(values, discrete):
    assert VariableEncoder("X").fit_transform(values).shape[0] == 3
    encoder = VariableEncoder("X")
    encoder.fit_transform(values)
    assert encoder.discrete_.tolist() == discrete


@pytest.mark.parametrize(
    "discrete", [[1, 3], [-3, -1], [False, True, False, True], ["b", "d"], np.array(["b", "d"])]
)
def test_three_ways_to_name_columns(discrete):
    frame = pd.DataFrame(np.arange(12).reshape(3, 4) // 6, columns=list("abcd"))
    encoder = VariableEncoder("X", discrete)
    encoder.fit_transform(frame)
    assert encoder.discrete_.tolist() == [False, True, False, True]


@pytest.mark.parametrize(
    "discrete", [[4], [-5], [True] * 3, ["e"], [0.5], [[True] * 4] * 2, "columns"]
)
def test_columns_that_do_not_exist(discrete):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(9, 4)), columns=list("abcd"))
    with pytest.raises(ValueError, match="discrete_features"):
        MINEEstimator(discrete_features=discrete).fit(frame, frame["a"])
    with pytest.raises(ValueError, match="4 columns without names"):
        MINEEstimator(discrete_features=["a"]).fit(frame.to_numpy(), frame["a"])


def test_images_hold_numbers_only():
    images = np.random.default_rng(0).integers(0, 2, size=(8, 1, 3, 3)).astype(bool)
    assert VariableEncoder("X").fit_transform(images).shape == images.shape
    with pytest.raises(ValueError, match="must be columns of a table"):
        VariableEncoder("X", True).fit_transform(images)


def test_the_encoding_is_one_to_one():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "city": rng.choice(["a", "b", "c"], 200),
            "flag": rng.random(200) < 0.5,
            "n": rng.integers(0, 3, 200),
            "code": pd.Categorical(rng.integers(0, 4, 200)),
        }
    )
    encoded = VariableEncoder("X").fit_transform(frame)
    ids = frame.groupby(list(frame), observed=True).ngroup()
    _, encoded_ids = np.unique(encoded, axis=0, return_inverse=True)
    assert len(set(zip(ids, encoded_ids, strict=True))) == len(set(ids)) == len(set(encoded_ids))


def test_rare_categories_are_grouped_where_memory_ends(monkeypatch):
    column = np.arange(50).repeat(np.arange(50, 0, -1))  # the larger, the rarer
    monkeypatch.setattr(_columns, "INDICATOR_CELLS", 8 * len(column))
    encoder = VariableEncoder("X", True)
    with pytest.warns(UserWarning, match="the 43 rarest are grouped"):
        encoded = encoder.fit_transform(column)
    assert encoded.size == _columns.INDICATOR_CELLS
    grouped = column >= 7
    assert len(np.unique(encoded[grouped], axis=0)) == 1  # one code for them, and only them
    assert len(np.unique(encoded[~grouped], axis=0)) == 7
    np.testing.assert_array_equal(encoder.transform(column), encoded)


# ---------------------------------------------------------------------- known truths


def test_two_labels_against_their_joint_table():
    joint = np.array([[0.2, 0.05, 0.05], [0.02, 0.2, 0.08], [0.03, 0.05, 0.1], [0.1, 0.02, 0.1]])
    cells = np.random.default_rng(3).choice(12, p=joint.ravel(), size=3_000)
    x, y = np.array(["north", "east", "south", "west"])[cells // 3], cells % 3
    result = mutual_info(x, y, random_state=0, cv=2)
    assert result.estimate == pytest.approx(table_mutual_info(joint), abs=4 * result.stderr + 0.01)
    assert result.estimator.critics_[0].objective.gaussian is None
    counts = np.histogram2d(cells // 3, y, bins=(4, 3))[0]
    assert result.estimate == pytest.approx(table_mutual_info(counts / 3_000), abs=0.02)


@pytest.mark.slow
def test_labels_against_numbers_both_ways():
    means = [[0, 0], [2, 0], [0, 2]]
    X, y, truth = make_gaussian_classes(
        2_000, weights=[0.3, 0.3, 0.4], means=means, covariances=[np.eye(2)] * 3, random_state=4
    )
    forth = mutual_info(X, y, cv=2, random_state=0)
    back = mutual_info(np.array(["a", "b", "c"])[y], X, cv=2, random_state=0)
    for result in (forth, back):
        assert result.estimate == pytest.approx(truth, abs=4 * result.stderr + 0.02)
    assert forth.estimate == pytest.approx(back.estimate, abs=0.03)
    assert forth.estimator.target_type_ == "labels"
    assert back.estimator.x_encoder_.discrete_.all()


def slopes(n_samples, seed):
    """Y = slope * x + noise, where the category c says which slope: no c, no sign."""
    rng = np.random.default_rng(seed)
    slope, noise = np.array([-1.0, 0.5, 2.0]), 0.5
    c, x = rng.integers(0, 3, n_samples), rng.normal(size=n_samples)
    y = slope[c] * x + noise * rng.normal(size=n_samples)
    grid = np.linspace(-12, 12, 4_001)
    densities = stats.norm.pdf(grid, scale=np.hypot(slope, noise)[:, None])
    entropy = mixture_entropy(np.full(3, 1 / 3), densities, grid[1] - grid[0])
    truth = entropy - 0.5 * np.log(2 * np.pi * np.e * noise**2)
    frame = pd.DataFrame({"c": np.array(["down", "flat", "up"])[c], "x": x})
    return frame, y, truth


@pytest.mark.slow
def test_a_category_and_a_number_against_a_number():
    frame, y, truth = slopes(2_000, seed=5)
    result = mutual_info(frame, y, cv=2, random_state=0)
    assert result.estimate == pytest.approx(truth, abs=4 * result.stderr + 0.03)


@pytest.mark.slow
def test_independent_parts_of_mixed_variables_add_up():
    rng = np.random.default_rng(6)
    n_samples, rho, kept = 3_000, 0.8, 0.7
    x = rng.normal(size=(n_samples, 2))
    y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=x.shape)
    a = rng.integers(0, 3, n_samples)
    b = np.where(rng.random(n_samples) < kept, a, rng.integers(0, 3, n_samples))
    joint = np.full((3, 3), (1 - kept) / 9) + np.eye(3) * kept / 3
    truth = -np.log(1 - rho**2) + table_mutual_info(joint)
    X = pd.DataFrame(x).assign(a=pd.Categorical(a)).rename(columns=str)
    Y = pd.DataFrame(y).assign(b=np.array(["p", "q", "r"])[b]).rename(columns=str)
    fitted = MINEEstimator(cv=2, random_state=0).fit(X, Y)
    assert fitted.target_type_ == "mixed"
    assert fitted.mi_ == pytest.approx(truth, abs=0.1)
    assert fitted.mi_ < truth + 4 * fitted.stderr_


@pytest.mark.slow
def test_counts_against_a_number():
    rng = np.random.default_rng(7)
    x = rng.normal(size=3_000)
    counts = rng.poisson(np.exp(0.5 + x))  # a fifth are zeros
    grid, k = np.linspace(-6, 6, 601), np.arange(2_000)
    weights = stats.norm.pdf(grid) / stats.norm.pdf(grid).sum()
    rows = stats.poisson.pmf(k, np.exp(0.5 + grid)[:, None])
    truth = mixture_entropy(weights, rows, 1.0) - weights @ stats.poisson(
        np.exp(0.5 + grid)
    ).entropy().astype(float)
    result = mutual_info(counts, x, cv=2, random_state=0)
    assert not result.estimator.x_encoder_.discrete_.any()
    assert result.estimate == pytest.approx(truth, abs=4 * result.stderr + 0.02)


# ---------------------------------------------------------------------- invariances


@pytest.mark.slow
def test_names_and_types_of_categories_do_not_matter():
    frame, y, _ = slopes(600, seed=8)
    reference = MINEEstimator(**QUICK).fit(frame, y)
    codes = np.unique(frame["c"], return_inverse=True)[1]
    assert reference.feature_names_in_.tolist() == ["c", "x"] and reference.n_features_in_ == 2
    same = [
        (frame.assign(c=frame["c"].astype("category")), {}),
        (frame.assign(c=frame["c"].map({"down": 10, "flat": 20, "up": 31})), {0}),
        (np.column_stack([codes, frame["x"]]), {0}),
        (frame.assign(c=codes), "c"),
        (frame.assign(c=pd.Series(codes).astype("string")), {}),
    ]
    for X, discrete in same:
        options = {"discrete_features": list(discrete)} if discrete else {}
        fitted = MINEEstimator(**QUICK, **options).fit(X, y)
        assert fitted.mi_ == reference.mi_
        assert fitted.score(X, y) == reference.score(frame, y)
    labels = MINEEstimator(**QUICK).fit(frame[["x"]], frame["c"])
    assert MINEEstimator(**QUICK).fit(frame[["x"]], codes).mi_ == labels.mi_
    assert MINEEstimator(**QUICK).fit(frame[["x"]], frame[["c"]]).mi_ == labels.mi_


@pytest.mark.slow
def test_the_order_of_categories_does_not_matter():
    frame, y, _ = slopes(1_000, seed=9)
    renamed = frame.assign(c=frame["c"].map({"down": "z", "flat": "a", "up": "m"}))
    estimator = MINEEstimator(cv=2, max_epochs=40)
    values = [
        mutual_info(X, y, estimator=estimator, random_state=0).estimate for X in (frame, renamed)
    ]
    assert values[0] == pytest.approx(values[1], abs=0.06)


def test_margins_are_those_of_numbers():
    frame, y, _ = slopes(600, seed=10)
    fitted = MINEEstimator(**QUICK).fit(frame, y)
    x, _ = fitted.critics_[0].tensors(*fitted._validate(frame, y, reset=False), "cpu")
    np.testing.assert_array_equal(x[:, 1:], pd.get_dummies(frame["c"]).to_numpy(np.float32))
    cubed = MINEEstimator(**QUICK).fit(frame.assign(x=frame["x"] ** 3), y)
    assert cubed.mi_ == pytest.approx(fitted.mi_, abs=1e-3)
    assert fitted.mi_ != MINEEstimator(**QUICK, margins=None).fit(frame, y).mi_


@pytest.mark.parametrize("estimator", [MINEEstimator(**QUICK), EtaDVEstimator(**QUICK)])
def test_saving_keeps_categories(tmp_path, estimator):
    frame, y, _ = slopes(300, seed=11)
    Y = pd.DataFrame({"y": y, "sign": y > 0, "c": frame["c"].astype("category")})
    fitted = estimator.fit(frame, Y)
    fitted.save(tmp_path / "mine.safetensors")
    loaded = type(estimator).load(tmp_path / "mine.safetensors")
    assert loaded.score(frame, Y) == fitted.score(frame, Y)
    np.testing.assert_array_equal(loaded.score_samples(frame), fitted.score_samples(frame))
    with pytest.raises(ValueError, match=r"Column 'c' of X has categories .* \['sideways'\]"):
        loaded.score(frame.assign(c="sideways"), Y)


@pytest.mark.parametrize("as_X", [pd.DataFrame, list, np.asarray, pd.Series, pd.Categorical])
def test_one_call_takes_what_users_have(as_X):
    rng = np.random.default_rng(12)
    text = rng.choice(["a", "b", "c"], 300)
    options = {"estimator": MINEEstimator(max_epochs=2), "cv": 2, "random_state": 0}
    reference = mutual_info(text, text == "a", **options)
    truth = pd.Series(text == "a", dtype="boolean")
    assert mutual_info(as_X(text), truth, **options).estimate == reference.estimate


# -------------------------------------------------------------- when things go wrong


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("dtype", [object, "category", "string"])
def test_missing_categories_are_named(missing, dtype):
    column = pd.Series(["a", "b", missing] * 10, dtype=dtype)
    x = np.arange(30.0).reshape(-1, 1)
    with pytest.raises(ValueError, match="Column 'c' of X contains missing values"):
        MINEEstimator().fit(pd.DataFrame({"x": x[:, 0], "c": column}), x)
    with pytest.raises(ValueError, match="y contains missing values"):
        MINEEstimator().fit(x, column)


def test_other_columns_than_fitted():
    frame, y, _ = slopes(200, seed=13)
    targets = frame.rename(columns={"c": "label", "x": "value"})
    fitted = MINEEstimator(**QUICK).fit(frame, targets)
    with pytest.raises(ValueError, match="feature names"):
        fitted.score(frame[["x", "c"]], targets)
    with pytest.raises(ValueError, match=r"y has columns \['value', 'label'\]"):
        fitted.score(frame, targets[["value", "label"]])
    with pytest.raises(ValueError, match="Column 'label' of y has categories that fit did not see"):
        fitted.score(frame, targets.assign(label=1))
    with pytest.raises(ValueError, match="X has values that are not numbers"):
        MINEEstimator(discrete_features=False).fit(frame, y)
    with pytest.raises(ValueError, match="y has values that are not numbers"):
        MINEEstimator(target_type="continuous").fit(frame, targets)
    with pytest.warns(UserWarning, match="Column 'value' of y is read as categories, but most"):
        MINEEstimator(**QUICK, target_type="labels").fit(frame, targets)


@pytest.mark.parametrize("constant", [0.0, 3, "only", True])
def test_a_constant_carries_no_information(constant):
    rng = np.random.default_rng(14)
    X, y = rng.normal(size=(200, 2)), np.full(200, constant)
    for pair in [(X, y), (y.reshape(-1, 1), X)]:
        with pytest.warns(UserWarning, match="is constant: it carries no information"):
            assert MINEEstimator(**QUICK | {"max_epochs": 20}).fit(*pair).mi_ == 0


COPIES = "exact copies"


def check_copies(X, y, folds=None):
    """Warnings about copies on two splits of the rows, or on those given."""
    x_encoder, y_encoder = VariableEncoder("X"), VariableEncoder("y", codes=True)
    variables = x_encoder.fit_transform(X), y_encoder.fit_transform(y)
    halves = np.array_split(np.random.default_rng(0).permutation(len(y)), 2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_copies(folds or [halves, halves[::-1]], variables, (x_encoder, y_encoder))
    return [str(warning.message) for warning in caught]


def test_copies_of_measurements_are_noticed():
    rng = np.random.default_rng(15)
    X, y = rng.normal(size=(300, 2)), rng.normal(size=300)
    labels, text = y > 0, pd.DataFrame(X).assign(c=np.where(y > 0, "a", "b")).rename(columns=str)
    for variables in [
        (X, y),
        (X, labels),
        (labels[:, None], y),
        (text, labels),
        (X * 1e9 + 1e12, y),
    ]:
        assert not check_copies(*variables)
        drawn = rng.integers(0, 300, 300)  # a bootstrap sample
        take = [v.iloc[drawn] if hasattr(v, "iloc") else v[drawn] for v in variables]
        (message,) = check_copies(*take)
        assert COPIES in message
    few = np.r_[np.arange(300), np.arange(4)]  # 4 copies among 300 rows are an accident
    assert not check_copies(X[few], y[few])


def test_copies_in_one_fold_do_no_harm():
    rng = np.random.default_rng(16)
    rows = np.arange(200).repeat(2)
    X, y = rng.normal(size=(200, 2))[rows], rng.normal(size=200)[rows]
    with pytest.warns(UserWarning, match=r"GroupKFold"):
        MINEEstimator(**QUICK).fit(X, y)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*copies")
        folds = list(GroupKFold(2).split(X, y, rows))
        MINEEstimator(**QUICK | {"cv": folds}).fit(X, y)
    with pytest.raises(ValueError, match=r"needs groups.*splitter.split\(X, y, groups\)"):
        MINEEstimator(cv=GroupKFold(2)).fit(X, y)


def test_natural_repeats_are_no_copies():
    rng = np.random.default_rng(17)
    n_samples = 2_000
    latent = rng.normal(size=n_samples)
    counts, labels = rng.poisson(3, n_samples), latent > 0
    rain = np.maximum(latent, 0)  # many zeros, else all different
    cases = [
        (counts[:, None], rng.poisson(counts)),
        (counts[:, None], labels),
        (np.log1p(counts)[:, None], counts > 2),
        (latent.round(1)[:, None], labels),
        ((latent.round(1) * 1.8 + 32)[:, None].astype(np.float32), labels),
        (latent.round(2)[:, None], latent.round(1)),
        (np.where(latent > 1, latent.round(1), latent.round(2))[:500, None], labels[:500]),
        ((10 + 3 * latent).round(2)[:600, None], labels[:600]),
        (rain[:, None], labels),
        (rain[:, None], rain),
        (np.repeat(rng.normal(size=(20, 3)), 100, axis=0), np.arange(20).repeat(100)),
        (labels[:, None], labels),
    ]
    for X, y in cases:
        assert not check_copies(X, y)


@pytest.mark.parametrize("columns", [["day"], ["number", "day"]])
def test_dates_are_refused_by_name(columns):
    table = pd.DataFrame({"number": np.arange(50.0), "day": pd.date_range("2020", periods=50)})
    for data in ((table[columns], table["number"]), (table[["number"]], table["day"])):
        with pytest.raises(TypeError, match=r"Column 'day' of .* holds dates or durations"):
            MINEEstimator(**QUICK).fit(*data)
    with pytest.raises(TypeError, match="holds dates"):
        MINEEstimator(**QUICK).fit(table[["number"]], table["day"] - table["day"][0])
