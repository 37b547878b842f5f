"""Mutual information estimation and maximisation with neural networks, for scikit-learn."""

from skmi._version import __version__
from skmi.information import EtaDVEstimator, MINEEstimator, MutualInfoResult, mutual_info

__all__ = ["EtaDVEstimator", "MINEEstimator", "MutualInfoResult", "__version__", "mutual_info"]
