"""Selection of features by mutual information."""

from skmi.feature_selection._neural import mutual_info_neural, mutual_info_neural_test
from skmi.feature_selection._selector import MutualInfoSelector

__all__ = ["MutualInfoSelector", "mutual_info_neural", "mutual_info_neural_test"]
