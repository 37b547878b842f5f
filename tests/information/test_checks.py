"""scikit-learn's own checks, without exceptions."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmi import EtaDVEstimator, MINEEstimator


@pytest.mark.filterwarnings("ignore::skmi.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [MINEEstimator(), EtaDVEstimator(), EtaDVEstimator(a_dv=True)], xfail_strict=True
)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)
