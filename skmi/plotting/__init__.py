"""Displays of results, in the manner of scikit-learn's (needs matplotlib)."""

from skmi.plotting._displays import (
    IndependenceTestDisplay,
    MutualInfoDisplay,
    MutualInfoMatrixDisplay,
)

__all__ = ["IndependenceTestDisplay", "MutualInfoDisplay", "MutualInfoMatrixDisplay"]
