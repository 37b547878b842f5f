"""Feature selection by mutual information."""

from skmi.feature_selection._neural import mutual_info_neural, mutual_info_neural_test

__all__ = ["mutual_info_neural", "mutual_info_neural_test"]
