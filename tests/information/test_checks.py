"""scikit-learn's own checks, without exceptions."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmi import EtaDVEstimator, MINEEstimator

pytestmark = pytest.mark.filterwarnings("ignore::skmi.exceptions.ConvergenceWarning")
defaults = [MINEEstimator(), EtaDVEstimator(), EtaDVEstimator(a_dv=True)]
short = [type(e)(**e.get_params() | {"max_epochs": 2, "cv": 2}) for e in defaults[:2]]


@parametrize_with_checks(short, xfail_strict=True)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(defaults, xfail_strict=True)
def test_scikit_learn_conventions_at_the_defaults(estimator, check):
    check(estimator)
