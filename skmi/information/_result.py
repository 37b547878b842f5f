"""What the one-call functions return."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.stats import norm
from sklearn.base import BaseEstimator

__all__ = ["ConfidenceInterval", "MutualInfoResult"]

#: Part of I that critics were seen to miss, see `MutualInfoResult.confidence_interval`.
SHORTFALL = 0.05


class ConfidenceInterval(NamedTuple):
    """An interval ``(low, high)``."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class MutualInfoResult:
    """What `mutual_info` found.

    Attributes
    ----------
    estimate : float
        Best guess of the information: the mean of the bound on held-out rows, which loses about
        p/2n for p fitted parameters and n rows, and of the bound on training rows, which gains
        it.
    lower_bound : float
        The bound on held-out rows, averaged over the folds. Its expectation does not exceed
        the information, whatever the critic, but for the bounds "smile" (never a lower bound)
        and "dv" (slightly too high on few samples).
    stderr : float
        Standard error of both, from the spread over the pairs.
    fold_values : ndarray of shape (n_folds,)
        The held-out bound of each fold.
    n_samples : int
        Number of rows.
    estimator : estimator
        The fitted estimator: `score_samples` gives pointwise mutual information, `history_`
        the course of training. None if the estimator cross-fits through scikit-learn.
    units : {"nats", "bits"}
        Of all the values above; the estimator's are in nats.
    symbol : str
        What was estimated, for display.
    """

    estimate: float
    lower_bound: float
    stderr: float
    fold_values: np.ndarray
    n_samples: int
    estimator: BaseEstimator | None = field(default=None, repr=False)
    units: str = "nats"
    symbol: str = "I(X; Y)"

    def confidence_interval(self, confidence_level=0.95) -> ConfidenceInterval:
        r"""An interval for the information.

        .. math:: \Bigl[\hat I - z \sqrt{s^2 + g^2},\;
                        \hat I + z \sqrt{s^2 + (2 g)^2 + (0.05\,\hat I)^2}\,\Bigr]

        with the normal quantile z, the standard error s and the distance
        :math:`g = \hat I - I_{held\text{-}out}` of estimate and held-out bound, which is what
        fitting is known to have cost. The upper end allows for more: what a critic misses makes
        estimates too low, never too high. Where data are scarce it is of the size of the cost of
        fitting, so g counts twice; and some is missed without a trace, 5 % of the information in
        benchmarks (see the user guide). The ends are not below 0.

        Parameters
        ----------
        confidence_level : float, default=0.95
            Probability with which the interval holds the information, between 0 and 1.

        Returns
        -------
        ConfidenceInterval
            Named tuple ``(low, high)``.

        Raises
        ------
        ValueError
            If `confidence_level` is not between 0 and 1.
        """
        if not 0 < confidence_level < 1:
            raise ValueError(
                f"confidence_level must lie between 0 and 1, got {confidence_level!r}. Use 0.95 "
                "for a 95 % interval."
            )
        z = norm.ppf((1 + confidence_level) / 2)
        gap = self.estimate - self.lower_bound
        shortfall = SHORTFALL * max(self.estimate, 0)
        below = z * np.hypot(self.stderr, gap)
        above = z * np.linalg.norm([self.stderr, 2 * gap, shortfall])
        return ConfidenceInterval(
            low=float(np.maximum(0, self.estimate - below)),
            high=float(np.maximum(0, self.estimate + above)),
        )

    def __str__(self):
        is_bound = self.estimator is None or self.estimator._bound().is_lower_bound
        held_out = "held-out lower bound" if is_bound else "held-out value"
        low, high = self.confidence_interval()
        return (
            f"{self.symbol} = {self.estimate:.3f} \u00b1 {self.stderr:.3f} {self.units} "
            f"(95 % interval {low:.3f} to {high:.3f}; {held_out} {self.lower_bound:.3f}; "
            f"{len(self.fold_values)} folds of {self.n_samples} rows)"
        )

    __repr__ = __str__

    def __float__(self):
        return self.estimate
