"""Measures and tests of statistical dependence."""

from skmi.dependence._independence import IndependenceTestResult, independence_test
from skmi.dependence._ndm import NeuralDependencyMeasure

__all__ = ["IndependenceTestResult", "NeuralDependencyMeasure", "independence_test"]
