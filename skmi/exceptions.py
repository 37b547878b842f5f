"""Warnings and errors of skmi."""

from sklearn.exceptions import ConvergenceWarning

__all__ = ["ConvergenceWarning", "NonFiniteLossError", "SaturationWarning"]


class NonFiniteLossError(ArithmeticError):
    """The training loss became NaN or infinite, so the fit was abandoned.

    Usual causes are a learning rate that is too large, margins that were left on their own
    scale (``margins=None``), and a critic without any bound on its scores. The estimator is
    left unfitted.
    """


class SaturationWarning(UserWarning):
    """An estimate is close to the largest value that its bound can certify.

    InfoNCE on K candidates never exceeds log K, and no bound certifies much more than log n
    nats from n product samples. The truth may be far higher.
    """
