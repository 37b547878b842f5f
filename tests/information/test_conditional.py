"""Conditional mutual information: known truths, partners, the control, conventions."""

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from joblib import parallel_config
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from skmi import ConditionalMIEstimator, MINEEstimator, conditional_mutual_info
from skmi.bounds import BOUNDS, get_bound
from skmi.critics import make_critic
from skmi.datasets import make_gaussian_chain, make_gaussian_triple, make_xor
from skmi.exceptions import ConvergenceWarning
from skmi.information._conditional import (
    ConditionalObjective,
    FittedConditionalCritic,
    Regression,
    candidate_scores,
    find_partners,
)

pytestmark = pytest.mark.filterwarnings("ignore::skmi.exceptions.ConvergenceWarning")

QUICK = {"max_epochs": 3, "cv": 2, "random_state": 0}
RHO = 0.7
RHO_NATS = -0.5 * np.log(1 - RHO**2)


def noise_pair(rng, n_samples):
    """Two normal columns with correlation RHO."""
    common, own = rng.normal(size=(2, n_samples, 1))
    return common, RHO * common + np.sqrt(1 - RHO**2) * own


@pytest.fixture(scope="module")
def data():
    X, Y, Z, _ = make_gaussian_triple(300, random_state=0)
    return X, Y, Z


# ------------------------------------------------------------------------ known truths


@pytest.mark.slow
def test_a_chain_carries_nothing_given_its_middle():
    X, Y, Z, _ = make_gaussian_chain(1_500, correlation=0.85, random_state=1)
    fitted = ConditionalMIEstimator(cv=2, random_state=0).fit(X, Y, Z)
    assert abs(fitted.mi_) < 0.03
    assert fitted.fit(X, Y).mi_ > 0.3


@pytest.mark.slow
def test_gaussian_triple():
    X, Y, Z, truth = make_gaussian_triple(2_000, random_state=2)
    result = conditional_mutual_info(X, Y, Z, cv=2, random_state=0)
    assert result.estimate == pytest.approx(truth, abs=0.07)
    # the spread of log p/q of a Gaussian with this correlation
    assert result.stderr == pytest.approx(0.36 / 0.64 / np.sqrt(2_000), rel=0.35)
    assert str(result).startswith("I(X; Y | Z) = ") and "held-out value" in str(result)
    fresh_X, fresh_Y, fresh_Z, _ = make_gaussian_triple(3_000, random_state=3)
    assert result.estimator.score(fresh_X, fresh_Y, fresh_Z) == pytest.approx(truth, abs=0.06)
    # log p(y|x,z) / p(y|z) of the default covariance: given Z both have variance 0.64, and
    # covariance -0.36
    u, v = (w - 0.6 * fresh_Z for w in (fresh_X, fresh_Y))
    rho = -0.36 / 0.64
    expected = truth - (rho**2 * (u**2 + v**2) - 2 * rho * u * v) / (2 * 0.64 * (1 - rho**2))
    pointwise = result.estimator.score_samples(fresh_X, fresh_Y, fresh_Z)
    assert np.corrcoef(pointwise, expected[:, 0])[0, 1] > 0.97


def test_xor():
    X, Y, Z, truth = make_xor(1_500, random_state=4)
    result = conditional_mutual_info(X, Y, Z, cv=2, units="bits", random_state=0)
    assert result.estimate * np.log(2) == pytest.approx(truth, abs=0.03)
    assert "held-out lower bound" in str(result)  # rows of a class have the very same z
    assert abs(result.estimator.fit(X, Y).mi_) < 0.02


@pytest.mark.slow
def test_several_columns_of_each():
    square = np.random.default_rng(7).normal(size=(7, 9))
    X, Y, Z, truth = make_gaussian_triple(
        2_000, covariance=square @ square.T, n_features_x=2, n_features_y=2, random_state=5
    )
    fitted = ConditionalMIEstimator(cv=2, random_state=0).fit(X, Y, Z)  # Z has three columns
    assert fitted.mi_ == pytest.approx(truth, abs=0.12)  # of 0.87, standard error 0.03


@pytest.mark.slow
def test_classes_of_z():
    # a correlation for each class, and means that alone would make X and Y dependent
    rng = np.random.default_rng(6)
    z = rng.integers(3, size=1_500)
    rho = np.array([0.0, 0.6, 0.9])[z]
    X = rng.normal(size=len(z))
    Y = rho * X + np.sqrt(1 - rho**2) * rng.normal(size=len(z)) - 2 * z
    truth = np.mean([-0.5 * np.log(1 - r**2) for r in (0.0, 0.6, 0.9)])
    X = (X + z)[:, None]
    fitted = ConditionalMIEstimator(cv=2, random_state=0).fit(X, Y, z)
    assert fitted.mi_ == pytest.approx(truth, abs=0.09)
    names = np.array(["a", "b", "c"])[z]
    quick = ConditionalMIEstimator(**QUICK)
    assert quick.fit(X, Y, names).mi_ == quick.fit(X, Y, z).mi_


@pytest.mark.slow
def test_z_of_numbers_and_categories():
    # the category says with which sign the number acts: neither alone explains the dependence
    rng = np.random.default_rng(7)
    number, sign = rng.normal(size=2_000), rng.choice([-1, 1], size=2_000)
    common, other = noise_pair(rng, len(sign))
    X, Y = 2 * (sign * number)[:, None] + common, 2 * (sign * number)[:, None] + other
    Z = pd.DataFrame({"number": number, "sign": pd.Categorical(sign)})
    fitted = ConditionalMIEstimator(cv=2, random_state=0).fit(X, Y, Z)
    assert fitted.mi_ == pytest.approx(RHO_NATS, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(300, 304))
def test_accuracy_on_many_seeds(seed):
    estimator = ConditionalMIEstimator(random_state=seed)
    for sample in (make_gaussian_chain, make_gaussian_triple):
        X, Y, Z, truth = sample(10_000, random_state=seed)
        assert estimator.fit(X, Y, Z).mi_ == pytest.approx(truth, abs=0.05)
    X, Y, Z, truth = make_xor(10_000, random_state=seed)
    assert estimator.fit(X, Y, Z).mi_ == pytest.approx(truth, abs=0.03)


@pytest.mark.slow
def test_the_control_takes_the_neighbour_bias_away():
    # |Z| scales both X and Y, with independent signs: nothing is left given Z, and the mean of Y
    # given Z is 0
    rng = np.random.default_rng(8)
    Z = rng.normal(size=(4_000, 3))
    X, Y = (Z[:, :1] * rng.choice([-1, 1], (4_000, 1)) for _ in range(2))
    X, Y = X + 0.3 * rng.normal(size=X.shape), Y + 0.3 * rng.normal(size=Y.shape)
    results = {
        control: conditional_mutual_info(
            X, Y, Z, estimator=ConditionalMIEstimator(control=control), random_state=0
        ).estimate
        for control in (True, False)
    }
    assert abs(results[True]) < 0.03 < results[False]


# ---------------------------------------------------------------- the control, exactly


def test_the_control_is_exact_at_the_optimum_whatever_the_partners():
    rng = np.random.default_rng(9)
    joint = rng.dirichlet(np.ones(24)).reshape(2, 3, 4)  # p(x, y, z)
    p_xz, p_yz, p_z = joint.sum(1), joint.sum(0), joint.sum((0, 1))
    truth = (joint * np.log(joint * p_z / (p_xz[:, None] * p_yz))).sum()
    partners = rng.dirichlet(np.ones(3), size=4).T  # some other p~(y|z)
    critic = np.log(joint / p_xz[:, None] / partners)
    control = np.broadcast_to(np.log(p_yz / p_z / partners), joint.shape)
    # the bound reads means over samples, here over states that occur in the right numbers
    joint_states, product_states = (
        np.repeat(np.arange(24), np.round(p * 1e5).astype(int).ravel())
        for p in (joint, p_xz[:, None] * partners)
    )
    n = min(len(joint_states), len(product_states))
    states = np.stack([rng.permutation(s)[:n] for s in (joint_states, product_states)], axis=1)
    scores = torch.tensor(np.stack([c.ravel()[states] for c in (critic, control)]))
    for name in ("dv", "nwj", "eta-dv"):
        objective = ConditionalObjective(nn.Identity(), None, get_bound(name), n_z=1, n_negatives=1)
        fitted = FittedConditionalCritic(objective, None, None)
        assert fitted.value(scores) == pytest.approx(truth, abs=2e-3)
        excess = fitted.value(torch.stack([scores[0], torch.zeros_like(scores[0])])) - truth
        kl = (p_yz * np.log(p_yz / p_z / partners)).sum()
        assert excess == pytest.approx(kl, abs=5e-3) and kl > 0.05
        # noise that critic and control share cancels, and the standard error shows it
        assert fitted.standard_error(torch.stack([scores[0], scores[0]])) == 0


# ------------------------------------------------------------------------------ partners


def test_partners_are_the_nearest_rows():
    Z = np.random.default_rng(10).normal(size=(50, 2))
    rows, partners = find_partners(Z, 2, 4)
    distances = np.linalg.norm(Z[:, None] - Z, axis=2)
    np.testing.assert_array_equal(rows, np.arange(50))
    np.testing.assert_array_equal(
        np.sort(partners, axis=1), np.sort(distances.argsort(axis=1)[:, 1:5], axis=1)
    )


def test_partners_share_the_class():
    rng = np.random.default_rng(11)
    classes = np.array([0] * 40 + [1] * 3 + [2])
    one_hot = np.eye(3)[classes]
    for Z, n_numbers in [(one_hot, 0), (np.hstack([rng.normal(size=(44, 1)), one_hot]), 1)]:
        rows, partners = find_partners(Z, n_numbers, 5)
        np.testing.assert_array_equal(rows, np.arange(43))  # the last one is alone
        assert (partners != rows[:, None]).all()
        assert (classes[partners] == classes[rows][:, None]).all()
        assert all(len(set(row)) == 5 for row in partners[:40])
        assert all(len(set(row)) == 2 for row in partners[40:])  # of a class of three
    # without numbers they are no particular ones: the distance in the table is that of chance
    everyone = find_partners(np.empty((1_000, 0)), 0, 5)[1]
    assert np.abs(everyone - np.arange(1_000)[:, None]).mean() == pytest.approx(333, rel=0.1)


def test_ties_are_broken_at_random():
    # ratings: rows with the same z must not all meet the same few partners
    Z = np.random.default_rng(12).integers(3, size=(900, 2)).astype(float)
    rows, partners = find_partners(Z, 2, 5)
    assert (Z[partners] == Z[rows][:, None]).all()
    assert np.bincount(partners.ravel(), minlength=900).max() < 30


def test_scores_of_candidates_are_scores_of_pairs():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(7, 3, generator=generator), torch.randn(7, 4, 2, generator=generator)
    critic = make_critic("hybrid", 3, 2)
    nn.init.normal_(critic.head[-1].weight, generator=generator)
    expected = torch.stack([critic(x, y[:, k]) for k in range(4)], dim=1)
    torch.testing.assert_close(candidate_scores(critic, x, y), expected)


def test_regression_follows_curves_and_spares_atoms():
    rng = np.random.default_rng(13)
    z = rng.normal(size=(2_000, 2))
    mean = z @ [1.0, -2.0] + np.sin(2 * z[:, 0])
    counts = rng.poisson(np.exp(0.3 * z[:, 0])).astype(float)
    y = np.column_stack([mean + rng.normal(size=len(z)), counts])
    predicted = Regression.fit(y, z).predict(z)
    assert np.mean((predicted[:, 0] - mean) ** 2) < 0.1
    assert not predicted[:, 1].any()


def test_every_partner_takes_its_turn():
    objective = ConditionalObjective(
        make_critic("concat", 2, 1), None, get_bound("dv"), n_z=1, n_negatives=4
    ).train()
    seen = []
    objective.critic_scores = lambda x, y: (seen.append(y[:, 1:, 0]), torch.zeros(y.shape[:2]))[1]
    for _ in range(5):
        objective(torch.zeros(3, 2), torch.arange(11.0).expand(3, 11)[..., None])
    counts = torch.stack(seen)[:, 0].flatten().long().bincount()
    assert counts.tolist() == [0] + [2] * 10  # column 0 is the row's own y


# ------------------------------------------------------------------------ no Z, bad input


def test_without_z_it_is_mutual_information(data):
    X, Y, Z = data
    reference = MINEEstimator(**QUICK).fit(X, Y)
    fitted = ConditionalMIEstimator(**QUICK).fit(X, Y)
    assert not fitted.conditional_ and fitted.symbol == "I(X; Y)"
    assert fitted.mi_ == reference.mi_
    np.testing.assert_array_equal(fitted.score_samples(X), reference.score_samples(X))
    with pytest.warns(UserWarning, match="Z is constant"):
        fitted.fit(X, Y, np.ones_like(Z))
    assert fitted.mi_ == reference.mi_
    assert fitted.score(X, Y, np.ones_like(Z)) == reference.score(X, Y)


def test_constant_y_carries_nothing(data):
    X, Y, Z = data
    with pytest.warns(UserWarning, match="y is constant"):
        assert ConditionalMIEstimator(**QUICK).fit(X, np.ones_like(Y), Z).mi_ == pytest.approx(0)


@pytest.mark.parametrize(
    ("Z", "message"),
    [
        (lambda Z: Z[:-1], "Z must have as many rows as X and y, 300, got 299"),
        (lambda Z: np.where(np.arange(300)[:, None] == 5, np.nan, Z), "Z contains NaN"),
        (lambda Z: np.array([["a", 1.0], ["b", 2.0]] * 150), "Z has values that are not numbers"),
        (lambda Z: np.array(["a", None] * 150, dtype=object), "Z contains missing"),
    ],
)
def test_bad_z(data, Z, message):
    X, Y, good = data
    estimator = ConditionalMIEstimator(
        **QUICK, z_type="continuous" if "numbers" in message else "auto"
    )
    with pytest.raises((ValueError, TypeError), match=message):
        estimator.fit(X, Y, Z(good))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bound": "infonce"}, "cannot exceed the logarithm.*'dv'"),
        ({"bound": "a-dv"}, "'eta-dv' is one of z"),
        ({"bound": "mine"}, "Unknown bound"),
        ({"n_neighbors": 0}, "'n_neighbors' parameter"),
        ({"z_type": "classes"}, "'z_type' parameter"),
        ({"cv": 200}, "n_samples=300 is too few for cv=200"),
    ],
)
def test_bad_parameters(data, options, message):
    with pytest.raises(ValueError, match=message):
        ConditionalMIEstimator(**options).fit(*data)


def test_rows_that_are_alone_in_their_class(data):
    X, Y, _ = data
    classes = np.array(["rare"] + ["a", "b"] * 149 + ["a"])
    with pytest.warns(UserWarning, match="1 of 300 rows have a class of Z that no other"):
        fitted = ConditionalMIEstimator(**QUICK).fit(X, Y, classes)
    assert fitted.score_samples(X, Y, classes).shape == (300,)
    assert np.isfinite(fitted.score(X, Y, classes))
    with (
        pytest.raises(ValueError, match="z_type='continuous' if Z is a measurement"),
        pytest.warns(UserWarning, match="most of them occur once"),
    ):
        fitted.fit(X, Y, np.arange(300).astype(str))


def test_many_small_classes_can_be_fitted():
    rng = np.random.default_rng(14)
    for seed in range(4):
        X, Y = rng.normal(size=(60, 1)), rng.normal(size=60)
        classes = rng.integers(15, size=60).astype(str)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = ConditionalMIEstimator(cv=2, max_epochs=3, random_state=seed)
            assert np.isfinite(fitted.fit(X, Y, classes).mi_)


def test_stop_rows_meet_partners_of_all_training_rows():
    rng = np.random.default_rng(15)
    X, Y, Z = rng.normal(size=(100, 1)), rng.normal(size=(100, 1)), np.arange(100.0)[:, None]
    fitted = ConditionalMIEstimator(**QUICK, margins=None, n_neighbors=2).fit(X, Y, Z)
    critic, order = fitted.critics_[0], rng.permutation(100)
    data = [values[order] for values in (X, Y, Z)]
    (x_fit, _), (x_stop, y_stop) = critic.split_tensors(data, 20, "cpu")
    assert len(x_fit) == 80 and x_stop.shape == (20, 2) and y_stop.shape[:2] == (20, 3)
    y_all = torch.as_tensor(critic.y_given_z.transform(data[1], data[2]))
    position = [int(torch.argmin((y_all - y).abs().sum(1))) for y in y_stop[:, 1:].flatten(0, 1)]
    distance = np.abs(data[2][position].reshape(20, 2) - data[2][:20])
    assert distance.max() <= 2  # the rows before and after, or two at the ends


def test_more_neighbours_than_rows(data):
    fitted = ConditionalMIEstimator(**QUICK, n_neighbors=10**6).fit(*data)
    assert fitted.critics_[0].n_partners == 149


def test_z_that_varies_later():
    X, Y, Z, _ = make_gaussian_triple(100, random_state=0)
    fitted = ConditionalMIEstimator(**QUICK, z_type="continuous")
    with pytest.warns(UserWarning, match="Z is constant"):
        fitted.partial_fit(X, Y, np.zeros_like(Z))
    with pytest.raises(ValueError, match="Z varies, but it was constant"):
        fitted.partial_fit(X, Y, Z)


def test_bad_calls(data):
    X, Y, Z = data
    with pytest.raises(ValueError, match="Z is None"):
        conditional_mutual_info(X, Y, None)
    with pytest.raises(TypeError, match="must be a ConditionalMIEstimator"):
        conditional_mutual_info(X, Y, Z, estimator=MINEEstimator())
    fitted = ConditionalMIEstimator(**QUICK).fit(X, Y, Z)
    for call in (fitted.score, fitted.score_samples):
        with pytest.raises(ValueError, match="Z is missing"):
            call(X, Y)
        with pytest.raises(ValueError, match="Z has rows of shape"):
            call(X, Y, np.hstack([Z, Z]))
    with pytest.raises(ValueError, match="requires y"):
        fitted.score_samples(X, None, Z)
    with pytest.raises(ValueError, match="Z was passed, but"):
        ConditionalMIEstimator(**QUICK).fit(X, Y).score(X, Y, Z)


# ------------------------------------------------------------------------- conventions


@parametrize_with_checks([ConditionalMIEstimator()], xfail_strict=True)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


BOUND_NAMES = [name for name, b in BOUNDS.items() if not b.contrastive and name != "a-dv"]


@pytest.mark.parametrize("bound", BOUND_NAMES)
def test_every_bound_and_way_of_saving(data, tmp_path, bound):
    X, Y, Z = data
    fitted = ConditionalMIEstimator(bound, **QUICK).fit(X, Y, Z)
    assert np.isfinite([fitted.mi_, fitted.train_mi_, fitted.stderr_]).all()
    assert len(fitted.history_) == 6 and fitted.n_samples_ == 300
    fitted.save(tmp_path / "critic.safetensors")
    joblib.dump(fitted, tmp_path / "critic.joblib")
    copies = [
        ConditionalMIEstimator.load(tmp_path / "critic.safetensors"),
        joblib.load(tmp_path / "critic.joblib"),
        pickle.loads(pickle.dumps(fitted)),
    ]
    for copy in copies:
        assert copy.get_params() == fitted.get_params() and copy.mi_ == fitted.mi_
        assert copy.score(X, Y, Z) == fitted.score(X, Y, Z)
        np.testing.assert_array_equal(copy.score_samples(X, Y, Z), fitted.score_samples(X, Y, Z))
        copy.partial_fit(X, Y, Z)
        assert copy.n_iter_ == 4
    fresh = clone(fitted)
    with pytest.raises(NotFittedError):
        fresh.score(X, Y, Z)
    with pytest.raises(NotFittedError):
        fresh.score_samples(X, Y, Z)


def fit_values(X, Y, Z, n_jobs=None):
    fitted = ConditionalMIEstimator(**QUICK, n_jobs=n_jobs).fit(X, Y, Z)
    return fitted.mi_, fitted.train_mi_, fitted.stderr_, fitted.score(X, Y, Z)


def test_same_seed_same_bits_everywhere(data):
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    reference = fit_values(*data)
    with parallel_config(backend="threading"):
        assert fit_values(*data, n_jobs=2) == reference
    np.testing.assert_array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())


def test_warm_start_goes_on_where_it_stopped(data):
    options = QUICK | {"averaging": 0.0, "validation_fraction": 0.0}
    whole = ConditionalMIEstimator(**options | {"max_epochs": 4}).fit(*data)
    parts = ConditionalMIEstimator(**options | {"max_epochs": 2}, warm_start=True)
    assert parts.fit(*data).fit(*data).mi_ == whole.mi_ and parts.n_iter_ == 4


def test_grids_and_cross_validation_route_z(data):
    X, Y, Z = data
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = ConditionalMIEstimator(**QUICK)
        estimator = estimator.set_fit_request(Z=True).set_score_request(Z=True)
        search = GridSearchCV(estimator, {"n_neighbors": [3, 6]}, cv=2).fit(X, Y, Z=Z)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_images_and_own_critics(data):
    X, Y, Z = data
    images = np.random.default_rng(0).normal(size=(300, 2, 2))

    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(6))

        def forward(self, x, y):
            assert x.shape[1] == 6 and y.shape[1] == 1  # two columns of X, four of Z
            return x @ self.weight * y[:, 0]

    options = QUICK | {"critic": Product()}
    fitted = ConditionalMIEstimator(**options).fit(np.hstack([X, Z]), Y, images)
    assert fitted.score_samples(np.hstack([X, Z]), Y, images).shape == (300,)
    fitted = ConditionalMIEstimator(**QUICK).fit(images, images, Z)
    assert np.isfinite(fitted.score(images, images, Z))


def test_scale_and_monotone_transforms_of_z_do_not_matter(data):
    X, Y, Z = data
    reference = ConditionalMIEstimator(**QUICK).fit(X, Y, Z).mi_
    for transformed in (1000 * Z, np.exp(Z), Z**3):
        value = ConditionalMIEstimator(**QUICK).fit(X, Y, transformed).mi_
        assert value == pytest.approx(reference, abs=1e-3)


@pytest.mark.filterwarnings("default::skmi.exceptions.ConvergenceWarning")
def test_convergence_warning_points_at_the_line_of_the_user(data):
    with pytest.warns(ConvergenceWarning, match="max_epochs=3") as caught:
        conditional_mutual_info(*data, estimator=ConditionalMIEstimator(**QUICK), cv=2)
    assert {warning.filename for warning in caught} == {__file__}
