"""Displays of results, in the manner of scikit-learn's (needs matplotlib)."""

from skmi.plotting._displays import (
    IndependenceTestDisplay,
    MutualInfoDisplay,
    MutualInfoMatrixDisplay,
)
from skmi.plotting._information_plane import InformationPlaneDisplay
from skmi.plotting._latents import ImageGridDisplay, LatentDisplay
from skmi.plotting._representations import NearestNeighboursDisplay, RepresentationDisplay

__all__ = [
    "ImageGridDisplay",
    "IndependenceTestDisplay",
    "InformationPlaneDisplay",
    "LatentDisplay",
    "MutualInfoDisplay",
    "MutualInfoMatrixDisplay",
    "NearestNeighboursDisplay",
    "RepresentationDisplay",
]
