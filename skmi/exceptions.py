"""Warnings and errors of skmi."""

import sys
import warnings
from pathlib import Path

import sklearn
from sklearn.exceptions import ConvergenceWarning

__all__ = [
    "ConvergenceWarning",
    "GeneralizationGapWarning",
    "NonFiniteLossError",
    "SaturationWarning",
]


class NonFiniteLossError(ArithmeticError):
    """The training loss became NaN or infinite, so the fit was abandoned.

    Usual causes are a learning rate that is too large, margins that were left on their own
    scale (``margins=None``), and a critic without any bound on its scores. The estimator is
    left unfitted.
    """


class GeneralizationGapWarning(UserWarning):
    """A bound is much lower on held-out rows than on the rows that its critic was trained on.

    The critic has learned its training rows by heart. The held-out value is still a valid
    bound, but a loose one.
    """


class SaturationWarning(UserWarning):
    """An estimate is close to the largest value that its bound can certify.

    InfoNCE on K candidates never exceeds log K, and no bound certifies much more than log n
    nats from n product samples. The truth may be far higher.
    """


_LIBRARIES = tuple(str(Path(path).parent) for path in (__file__, sklearn.__file__))


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line of the user's that led here, past the frames of skmi and scikit-learn."""
    level, frame = 3, sys._getframe(1)
    while frame.f_back and frame.f_back.f_code.co_filename.startswith(_LIBRARIES):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
