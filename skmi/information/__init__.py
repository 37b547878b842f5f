"""Estimators of mutual information."""

from skmi.information._mutual_info import mutual_info
from skmi.information._result import MutualInfoResult
from skmi.information.eta_dv import EtaDVEstimator
from skmi.information.mine import MINEEstimator

__all__ = ["EtaDVEstimator", "MINEEstimator", "MutualInfoResult", "mutual_info"]
