"""Tests of statistical dependence."""

from skmi.dependence._independence import IndependenceTestResult, independence_test

__all__ = ["IndependenceTestResult", "independence_test"]
