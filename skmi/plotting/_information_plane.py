"""The information plane: what codes keep of the data, and what they tell of the classes."""

from collections.abc import Iterable

import numpy as np
from scipy.stats import entropy
from sklearn.utils.validation import check_is_fitted

from skmi.exceptions import warn
from skmi.plotting._displays import _axes

__all__ = ["InformationPlaneDisplay"]

#: How far, in nats, a bound may be outside the range of information and still be shown.
SLACK = 0.5


class InformationPlaneDisplay:
    r"""Relevance against compression of information bottlenecks.

    A point is an estimator or an epoch. Across is what codes keep of the data, I(X; Z). Up is
    what the classifier reads of the classes in them, :math:`H(Y) - E[-\log p(y | z)]`, a lower
    bound on I(Z; Y). By the data-processing inequality and the definition of information

    .. math:: I(Z; Y) \le \min\{I(X; Z), H(Y)\} ,

    a line that a point above it breaks only if I(X; Z) is underestimated. Create a display with
    `from_estimators` or `from_history`.

    Parameters
    ----------
    compression, relevance : ndarray of shape (n_points,)
        In nats.
    entropy : float
        H(Y) in nats.
    labels : list of str or None, default=None
        What stands beside each point.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
        The points, in their order.
    limit_ : matplotlib Line2D
        The largest relevance for each compression.

    See Also
    --------
    skmi.InformationBottleneckClassifier : What is displayed.

    References
    ----------
    .. [1] N. Tishby and N. Zaslavsky, "Deep learning and the information bottleneck principle",
       ITW 2015.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmi import InformationBottleneckClassifier
    >>> from skmi.plotting import InformationPlaneDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> options = {"bound": "vib", "max_epochs": 5, "random_state": 0}
    >>> fits = [InformationBottleneckClassifier(b, **options).fit(X, y) for b in (0.01, 1)]
    >>> InformationPlaneDisplay.from_estimators(fits, X, y).labels
    ['β = 0.01', 'β = 1']
    """

    def __init__(self, *, compression, relevance, entropy, labels=None):
        self.compression = compression
        self.relevance = relevance
        self.entropy = entropy
        self.labels = labels

    @classmethod
    def from_estimators(cls, estimators, X, y, *, labels=None, ax=None, **options):
        """Display a point for each of several fitted estimators, such as those of a grid of beta.

        Parameters
        ----------
        estimators : sequence of InformationBottleneckClassifier
            Fitted. Compression is their ``compression_``.
        X, y : array-like
            Rows and their classes, for the relevance. Take rows that were not fitted.
        labels : list of str or None, default=None
            What stands beside each point; None is its beta.
        ax : matplotlib Axes, default=None
            Where to draw.
        **options
            Passed to `plot`.

        Returns
        -------
        InformationPlaneDisplay

        Raises
        ------
        ValueError
            If there are no estimators, or labels are too many or too few.
        TypeError
            If they are no information bottlenecks.
        NotFittedError
            If an estimator is not fitted.
        """
        if not isinstance(estimators, Iterable) or hasattr(estimators, "fit"):
            raise TypeError(
                f"estimators must be a list of fitted estimators, got {estimators!r}. Use "
                "[estimator] for one, or from_history for its epochs."
            )
        estimators = list(estimators)
        if not estimators:
            raise ValueError("estimators is empty; give at least one fitted estimator.")
        for estimator in estimators:
            _check_bottleneck(estimator)
        if labels is None:
            labels = [f"β = {estimator.beta:g}" for estimator in estimators]
        if len(labels) != len(estimators):
            raise ValueError(f"There are {len(labels)} labels for {len(estimators)} estimators.")
        uncertainty = entropy(np.unique(y, return_counts=True)[1])
        losses = [estimator.evaluate(X, y)["cross_entropy"] for estimator in estimators]
        return cls(
            compression=np.array([estimator.compression_ for estimator in estimators]),
            relevance=uncertainty - np.array(losses),
            entropy=float(uncertainty),
            labels=list(labels),
        ).plot(ax=ax, **options)

    @classmethod
    def from_history(cls, estimator, *, ax=None, **options):
        """Display the epochs of a fit, from dark to light.

        Parameters
        ----------
        estimator : InformationBottleneckClassifier
            Fitted, with ``beta`` above 0. Compression is the ``information`` of its history, by
            its bound, on held-out rows if all epochs had such, else on training rows; relevance
            likewise. Epochs at which a bound with a critic is below 0 or above log N, which
            the information of N rows is not, by more than 0.5 nats are left out.
        ax : matplotlib Axes, default=None
            Where to draw.
        **options
            Passed to `plot`.

        Returns
        -------
        InformationPlaneDisplay

        Raises
        ------
        ValueError
            If the history has no information, or none that can be true.
        TypeError
            If it is no information bottleneck.

        Warns
        -----
        UserWarning
            If epochs are left out.
        """
        _check_bottleneck(estimator)
        history = estimator.history_
        part = "valid" if all("valid_information" in row for row in history) else "train"
        if f"{part}_information" not in history[0]:
            raise ValueError(
                "estimator was fitted with beta=0, and its history has no information. Fit it "
                "with a small beta."
            )
        across, losses = (
            np.array([row[f"{part}_{name}"] for row in history])
            for name in ("information", "cross_entropy")
        )
        most = np.inf if estimator.bound == "vib" else np.log(estimator.n_samples_fit_)
        possible = (across >= -SLACK) & (across <= most + SLACK)
        if not possible.any():
            raise ValueError(
                f"The critic's bound is from 0 to {most:.3g} nats, as information is, in none of "
                f"{len(across)} epochs of estimator. Use from_estimators, which draws compression_."
            )
        if not possible.all():
            warn(
                f"{(~possible).sum()} of {len(across)} epochs are left out: the critic's bound is "
                f"not from 0 to {most:.3g} nats, as information is. Where beta is small it may be "
                "anything; from_estimators draws compression_ in its place.",
                UserWarning,
            )
        across, losses = across[possible], losses[possible]
        uncertainty = float(entropy(estimator.class_prior_))
        display = cls(compression=across, relevance=uncertainty - losses, entropy=uncertainty)
        return display.plot(ax=ax, **options)

    def plot(self, ax=None, *, cmap="viridis", **options):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw.
        cmap : str, default="viridis"
            Colours of the points, in their order.
        **options
            Of the line through the points, for `matplotlib.axes.Axes.plot`.

        Returns
        -------
        InformationPlaneDisplay
        """
        ax = _axes(self, ax)
        options = {"color": "C7", "lw": 1} | options
        (self.line_,) = ax.plot(self.compression, self.relevance, **options)
        order = np.arange(len(self.compression))
        ax.scatter(self.compression, self.relevance, c=order, cmap=cmap, s=20, zorder=3)
        for k, label in enumerate(self.labels or []):
            point, place = (self.compression[k], self.relevance[k]), (0, 6) if k % 2 else (4, -10)
            text = {"textcoords": "offset points", "ha": "center" if k % 2 else "left"}
            ax.annotate(label, point, place, fontsize="small", **text)
        right = max(1.1 * np.max(self.compression), 1.2 * self.entropy)
        corners = [0, self.entropy, right]
        heights = np.minimum(corners, self.entropy)
        (self.limit_,) = ax.plot(corners, heights, "k:", lw=1, label="min{I(X; Z), H(Y)}")
        ax.set(xlabel="I(X; Z) in nats", ylabel="H(Y) - cross-entropy in nats")
        ax.legend(loc="lower right")
        return self


def _check_bottleneck(estimator) -> None:
    """Complain of what is not fitted, or has no codes of which the information is known."""
    check_is_fitted(estimator)
    if not hasattr(estimator, "compression_"):
        raise TypeError(
            "An information plane is of estimators such as InformationBottleneckClassifier, got a "
            f"{type(estimator).__name__}."
        )
