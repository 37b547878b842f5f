"""Mutual information estimation and maximisation with neural networks, for scikit-learn."""

from skmi._version import __version__
from skmi.bottleneck import InformationBottleneckClassifier
from skmi.dependence import IndependenceTestResult, NeuralDependencyMeasure, independence_test
from skmi.information import (
    ConditionalMIEstimator,
    EtaDVEstimator,
    KernelEtaDV,
    KLDivergenceResult,
    MINEEstimator,
    MutualInfoResult,
    conditional_mutual_info,
    kl_divergence,
    mutual_info,
    normalized_mutual_info,
    pairwise_mutual_info,
)

__all__ = [
    "ConditionalMIEstimator",
    "EtaDVEstimator",
    "IndependenceTestResult",
    "InformationBottleneckClassifier",
    "KLDivergenceResult",
    "KernelEtaDV",
    "MINEEstimator",
    "MutualInfoResult",
    "NeuralDependencyMeasure",
    "__version__",
    "conditional_mutual_info",
    "independence_test",
    "kl_divergence",
    "mutual_info",
    "normalized_mutual_info",
    "pairwise_mutual_info",
]
