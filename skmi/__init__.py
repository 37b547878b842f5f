"""Mutual information estimation and maximisation with neural networks, for scikit-learn."""

from skmi._version import __version__
from skmi.information import EtaDVEstimator, MINEEstimator

__all__ = ["EtaDVEstimator", "MINEEstimator", "__version__"]
