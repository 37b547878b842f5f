"""Estimators of mutual information."""

from skmi.information.eta_dv import EtaDVEstimator
from skmi.information.mine import MINEEstimator

__all__ = ["EtaDVEstimator", "MINEEstimator"]
