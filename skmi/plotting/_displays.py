"""Displays: what was found, as data, and a method `plot` that draws it."""

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from skmi.information._mutual_info import result_of
from skmi.information._units import in_units

__all__ = ["IndependenceTestDisplay", "MutualInfoDisplay", "MutualInfoMatrixDisplay"]


def _axes(display, ax):
    """The axes to draw on, new ones if there are none."""
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt

    display.ax_ = plt.subplots()[1] if ax is None else ax
    display.figure_ = display.ax_.figure
    return display.ax_


class MutualInfoDisplay:
    """Training and held-out curves of the critics, with the estimate and its interval.

    Create one with `from_estimator` or `from_result`.

    Parameters
    ----------
    history : list of dict
        ``history_`` of an estimator: the bound in nats for each fold and epoch.
    result : MutualInfoResult
        The estimate.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        The training and validation curve of each fold.

    See Also
    --------
    IndependenceTestDisplay : The null distribution of a test.
    MutualInfoMatrixDisplay : A matrix of pairwise information.

    Examples
    --------
    >>> import numpy as np
    >>> from skmi import MINEEstimator
    >>> from skmi.plotting import MutualInfoDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 1))
    >>> mine = MINEEstimator(random_state=0).fit(X, X + rng.normal(size=(500, 1)))
    >>> MutualInfoDisplay.from_estimator(mine).ax_.get_xlabel()
    'epoch'
    """

    def __init__(self, *, history, result):
        self.history = history
        self.result = result

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, confidence_level=0.95):
        """Display a fitted estimator of mutual information.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``history_``: `MINEEstimator`, `EtaDVEstimator`, ...
        ax : matplotlib Axes, default=None
            Where to draw.
        confidence_level : float, default=0.95
            Of the interval.

        Returns
        -------
        MutualInfoDisplay
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "history_"):
            raise ValueError(
                f"estimator={type(estimator).__name__}(...) has no history_ of training to draw. "
                "Use one that trains a network, such as MINEEstimator."
            )
        display = cls(history=estimator.history_, result=result_of(estimator))
        return display.plot(ax=ax, confidence_level=confidence_level)

    @classmethod
    def from_result(cls, result, *, ax=None, **options):
        """Display a result.

        Parameters
        ----------
        result : MutualInfoResult, IndependenceTestResult or DataFrame
            What `skmi.mutual_info`, `skmi.dependence.independence_test` or
            `skmi.pairwise_mutual_info` returned.
        ax : matplotlib Axes, default=None
            Where to draw.
        **options
            Passed to `plot` of the display.

        Returns
        -------
        MutualInfoDisplay, IndependenceTestDisplay or MutualInfoMatrixDisplay

        Raises
        ------
        ValueError
            If the result has no curves because scikit-learn did the cross-fitting.
        """
        if hasattr(result, "null_distribution"):
            return IndependenceTestDisplay(result=result).plot(ax=ax, **options)
        if hasattr(result, "columns"):
            return MutualInfoMatrixDisplay(matrix=result).plot(ax=ax, **options)
        if result.estimator is None:
            raise ValueError(
                "result has no fitted estimator and so no curves. Those of estimators of this "
                "package have: mutual_info(X, Y, estimator=MINEEstimator(...))."
            )
        return cls(history=result.estimator.history_, result=result).plot(ax=ax, **options)

    def plot(self, ax=None, *, confidence_level=0.95):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        confidence_level : float, default=0.95

        Returns
        -------
        MutualInfoDisplay
        """
        ax, units = _axes(self, ax), self.result.units
        self.lines_ = []
        for fold in sorted({row["fold"] for row in self.history}):
            rows = [row for row in self.history if row["fold"] == fold]
            epochs = [row["epoch"] for row in rows]
            for key, label, color in [
                ("train_mi", "training batches", "C7"),
                ("validation_mi", "validation rows", "C0"),
            ]:
                values = in_units(np.array([row[key] for row in rows]), units)
                label = label if fold == 0 else None
                self.lines_ += ax.plot(epochs, values, color=color, alpha=0.6, label=label)
        low, high = self.result.confidence_interval(confidence_level)
        interval = f"{confidence_level:.0%} interval"
        ax.axhspan(low, high, color="C1", alpha=0.2, lw=0, label=interval)
        ax.axhline(self.result.estimate, color="C1", label="estimate")
        ax.axhline(self.result.lower_bound, color="C1", ls="--", label="held-out bound")
        ax.set(xlabel="epoch", ylabel=f"{self.result.symbol} in {units}")
        ax.legend()
        return self


class IndependenceTestDisplay:
    """The null distribution of an independence test, with the statistic that was observed.

    Parameters
    ----------
    result : IndependenceTestResult
        What `skmi.dependence.independence_test` returned.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(self, *, result):
        self.result = result

    def plot(self, ax=None, *, bins=40):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        bins : int, default=40
            Bins of the histogram.

        Returns
        -------
        IndependenceTestDisplay
        """
        ax = _axes(self, ax)
        null = np.ravel(self.result.null_distribution)
        ax.hist(null, bins=bins, color="C7", label=f"{len(null)} permutations")
        observed = f"observed, p = {self.result.pvalue:.3g}"
        ax.axvline(self.result.statistic, color="C1", lw=2, label=observed)
        ax.set(xlabel="statistic in standard deviations", ylabel="permutations")
        ax.legend()
        return self


class MutualInfoMatrixDisplay:
    """A matrix of pairwise mutual information as a heat map.

    Parameters
    ----------
    matrix : DataFrame of shape (n_columns, n_columns)
        What `skmi.pairwise_mutual_info` returned.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    im_ : matplotlib AxesImage
    """

    def __init__(self, *, matrix):
        self.matrix = matrix

    def plot(self, ax=None, *, cmap="viridis", values_format=".2f", units=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        cmap : str, default="viridis"
            Colour map.
        values_format : str or None, default=".2f"
            Format of the numbers in the cells; None leaves them out.
        units : str or None, default=None
            Label of the colour bar; None is what the matrix says, or nats.

        Returns
        -------
        MutualInfoMatrixDisplay
        """
        ax = _axes(self, ax)
        values = np.asarray(self.matrix, dtype=float)
        self.im_ = ax.imshow(values, cmap=cmap, vmin=0)
        names, positions = list(map(str, self.matrix.columns)), range(len(values))
        ax.set_xticks(positions, names, rotation=45, ha="right")
        ax.set_yticks(positions, names)
        if values_format is not None:
            middle = self.im_.norm.vmax / 2
            for i, j in np.argwhere(np.isfinite(values)):
                color = "white" if values[i, j] < middle else "black"
                text = format(values[i, j], values_format)
                ax.text(j, i, text, ha="center", va="center", color=color, fontsize="small")
        units = units or getattr(self.matrix, "attrs", {}).get("units", "nats")
        self.figure_.colorbar(self.im_, ax=ax, label=units)
        return self
