"""Estimators of mutual information."""

from skmi.information._divergence import KLDivergenceResult, kl_divergence
from skmi.information._mutual_info import mutual_info
from skmi.information._normalized import normalized_mutual_info
from skmi.information._pairwise import pairwise_mutual_info
from skmi.information._result import MutualInfoResult
from skmi.information.conditional import ConditionalMIEstimator, conditional_mutual_info
from skmi.information.eta_dv import EtaDVEstimator
from skmi.information.kernel import KernelEtaDV
from skmi.information.mine import MINEEstimator

__all__ = [
    "ConditionalMIEstimator",
    "EtaDVEstimator",
    "KLDivergenceResult",
    "KernelEtaDV",
    "MINEEstimator",
    "MutualInfoResult",
    "conditional_mutual_info",
    "kl_divergence",
    "mutual_info",
    "normalized_mutual_info",
    "pairwise_mutual_info",
]
