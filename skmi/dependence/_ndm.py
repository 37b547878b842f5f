"""How far the columns of a representation are from independent."""

from numbers import Integral, Real

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import _fit_context
from sklearn.callback import with_callbacks
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, validate_data

from skmi._columns import VariableEncoder
from skmi.base import (
    BaseNeuralEstimator,
    FitTaskCallback,
    check_widths,
    infer_device,
    limit_threads,
)
from skmi.bounds import get_bound
from skmi.exceptions import SaturationWarning, warn
from skmi.information._data import warn_of_copies
from skmi.information._divergence import (
    STOP_FRACTION,
    average_folds,
    fit_ratio,
    make_objective,
    split_sample,
    warn_of_folds,
)
from skmi.information._objective import bound_in_nats
from skmi.information._ratio import FittedRatio
from skmi.training import count_stop_rows

__all__ = ["NeuralDependencyMeasure"]


class NeuralDependencyMeasure(BaseNeuralEstimator):
    r"""Dependence among the columns of a representation: their total correlation, in nats.

    The divergence of the rows of Z from the same rows with every column shuffled on its own
    ([1]_, section 4.1 and figure 12), which are a sample of the product of the marginals:

    .. math::
        \mathrm{NDM}(Z) = \mathrm{KL}\Bigl(p(z) \,\Big\|\, \prod_j p(z_j)\Bigr)
                        = \sum_j H(Z_j) - H(Z) .

    It is 0 if and only if the columns are independent, and does not change if columns change
    places or go through one-to-one maps. For Gaussian columns with correlation matrix R it is
    :math:`-\tfrac12 \log\det R`.

    As in `skmi.kl_divergence`, one critic is trained for each fold and evaluated on the rows
    that it has not seen, so that the value is a lower bound whichever objective trains it. Rows
    are shuffled among themselves in each part of the data, so that none leaks into another.

    Parameters
    ----------
    bound : {"jsd", "dv", "nwj", "eta-dv"}, default="jsd"
        What training climbs; the value is a bound on the divergence in nats in any case.
        ``"jsd"`` trains a classifier of rows of Z against shuffled rows, as in the paper's
        figure, whose gradient no single row decides. In the others a few shuffled rows with
        large e^T do, and a held-out one can throw the value far off.
    cv : int, splitter, iterable or None, default=3
        Folds, as in scikit-learn.
    hidden_layer_sizes : tuple of int, default=(64, 64)
        Widths of the hidden layers of the critics.
    n_shuffles : int, default=4
        How often the rows are shuffled: the sample of the product of the marginals is so many
        times as large as that of Z.
    learning_rate : float, default=2e-3
        Step size of Adam.
    max_epochs : int, default=200
        Largest number of passes over the shuffled rows.
    n_jobs : int or None, default=None
        Folds trained at once, through joblib.
    device : str, default="auto"
        ``"auto"`` is CUDA where there is one, else MPS, else the CPU.
    random_state : int, RandomState or None, default=None
        Seed of folds, weights and shuffles.
    verbose : int, default=0
        Whether to show progress.

    Attributes
    ----------
    ndm_ : float
        The bound on held-out rows in nats, averaged over the folds. Its expectation does not
        exceed the total correlation; it can be below 0 where there is next to none.
    stderr_ : float
        Standard error of ``ndm_`` in nats, from the spread over the rows.
    fold_scores_ : ndarray of shape (n_folds,)
        The bound on the held-out rows of each fold.
    train_ndm_ : float
        The bound on the training rows, averaged over the folds.
    ratios_ : list of FittedRatio
        The log density ratio that the critic of each fold has learned.
    n_samples_ : int
        Number of rows of the last fit.
    device_ : str
        Where the critics were trained.
    n_features_in_ : int
        Length of the first axis of a row.
    feature_names_in_ : ndarray of str
        Names of the columns, if Z had any.

    See Also
    --------
    skmi.kl_divergence : The divergence of any two samples.
    skmi.independence_test : Whether two variables depend on one another at all.
    skmi.pairwise_mutual_info : Which pairs of columns do, and how much.

    References
    ----------
    .. [1] R. D. Hjelm et al., "Learning deep representations by mutual information estimation
       and maximization", ICLR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from skmi.dependence import NeuralDependencyMeasure
    >>> Z = np.random.default_rng(0).normal(size=(2000, 2))
    >>> Z[:, 1] += Z[:, 0]                         # correlation sqrt(1/2)
    >>> ndm = NeuralDependencyMeasure(random_state=0).fit(Z)
    >>> bool(abs(ndm.ndm_ - np.log(2) / 2) < 0.1)  # nats
    True
    """

    # Z is the data here, and no metadata for scikit-learn to route
    __metadata_request__fit = {"Z": UNUSED}
    __metadata_request__score = {"Z": UNUSED}

    _parameter_constraints: dict = {
        **BaseNeuralEstimator._parameter_constraints,
        "bound": [StrOptions({"dv", "jsd", "nwj", "eta-dv"})],
        "cv": ["cv_object"],
        "hidden_layer_sizes": ["array-like"],
        "n_shuffles": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        bound="jsd",
        *,
        cv=3,
        hidden_layer_sizes=(64, 64),
        n_shuffles=4,
        learning_rate=2e-3,
        max_epochs=200,
        n_jobs=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.bound = bound
        self.cv = cv
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_shuffles = n_shuffles
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.n_jobs = n_jobs
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    # ------------------------------------------------------------ fitting

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, Z, y=None):
        """Train the critics and measure the dependence on the rows that each has not seen.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_columns) or (n_samples, ...)
            Rows of numbers; arrays of more dimensions are flattened to columns. Categories can
            be given as whole numbers, whose order does not matter.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For data or parameters that cannot be used; the message names the argument.
        NonFiniteLossError
            If training diverges.

        Warns
        -----
        ConvergenceWarning
            If training ran out of epochs while the critics were still improving.
        SaturationWarning
            If ``ndm_`` exceeds half the logarithm of the number of rows, or many rows lie where
            shuffled rows hardly ever do: the truth may be far higher, and is infinite for
            columns of numbers that determine one another.
        GeneralizationGapWarning
            If the bound is much lower on held-out than on training rows.
        UserWarning
            If fewer than two columns vary, or if held-out rows are copies of training rows.
        """
        with self._fit_life_cycle():
            check_widths("hidden_layer_sizes", self.hidden_layer_sizes)
            rows = self._validate(Z, reset=True)
            seed = self._draw_seed()
            folds = split_sample("Z", rows, self.cv, seed)
            warn_of_copies(folds, [rows], [self.encoder_])
            if np.sum(np.ptp(rows, axis=0) > 0) == 1:
                warn("Only one column of Z varies: its NDM is 0 by definition.", UserWarning)
            self.device_ = infer_device(self.device)
            evaluations = self._fit_folds(rows, folds, seed)
            means = average_folds(evaluations)
            self.ndm_, self.train_ndm_, self.stderr_ = map(
                float, (means["held_out"], means["train"], means["stderr"])
            )
            self.fold_scores_ = np.array([e["held_out"] for e in evaluations])
            self.n_samples_ = len(rows)
        warn_of_folds(evaluations, self.max_epochs, "Z", "Z with shuffled columns", "The NDM")
        if self.ndm_ > np.log(len(rows)) / 2:
            warn(
                f"ndm_ = {self.ndm_:.2f} nats is more than {len(rows)} rows can show with any "
                f"certainty, log(n) / 2 = {np.log(len(rows)) / 2:.2f}: the truth may be far "
                "higher, or infinite if columns determine one another. Use more data or fewer "
                "columns.",
                SaturationWarning,
            )
        return self

    def _fit_folds(self, rows, folds, seed) -> list[dict]:
        """Set the critics of all folds and return their evaluations."""
        context = self._init_callback_context(max_subtasks=len(folds))
        context.call_on_fit_task_begin(estimator=self, X=rows, y=None)
        seeds = np.random.SeedSequence(seed).generate_state(len(folds))
        results = Parallel(n_jobs=self.n_jobs)(
            delayed(self._fit_fold)(
                rows,
                *fold,
                seed=int(seeds[i]),
                label=f"{type(self).__name__} fold {i + 1}/{len(folds)}",
                context=context if effective_n_jobs(self.n_jobs) == 1 else None,
            )
            for i, fold in enumerate(folds)
        )
        context.call_on_fit_task_end(estimator=self, X=rows, y=None)
        self.ratios_, evaluations = map(list, zip(*results, strict=True))
        return evaluations

    @limit_threads
    def _fit_fold(self, rows, train, test, *, seed, label, context):
        rng = np.random.default_rng(seed)
        train = rng.permutation(train)
        n_stop = count_stop_rows(len(train), STOP_FRACTION)
        parts = (rows[train[:n_stop]], rows[train[n_stop:]], rows[test])
        callbacks = []
        if context is not None:
            task = context.subcontext(task_name="fold", max_subtasks=self.max_epochs)
            task.call_on_fit_task_begin(estimator=self, X=rows, y=None)
            callbacks = [FitTaskCallback(self, task, rows, None)]
        result = fit_ratio(
            *([part, shuffle_columns(part, self.n_shuffles, rng)] for part in parts),
            n_numbers=rows.shape[1],
            bound=get_bound(self.bound),
            hidden_layer_sizes=check_widths("hidden_layer_sizes", self.hidden_layer_sizes),
            learning_rate=self.learning_rate,
            max_epochs=self.max_epochs,
            device=self.device_,
            seed=seed,
            progress=label if self.verbose else None,
            callbacks=callbacks,
        )
        if context is not None:
            task.call_on_fit_task_end(estimator=self, X=rows, y=None)
        return result

    def _validate(self, Z, *, reset: bool) -> np.ndarray:
        """The rows of Z as vectors."""
        if np.ndim(Z) == 1:
            check_array(Z, dtype=None, input_name="Z")  # advice on one column or one row
        validate_data(self, Z, skip_check_array=True, reset=reset)
        if reset:
            self.encoder_ = VariableEncoder("Z", discrete=False)
            rows = self.encoder_.fit_transform(Z)
        else:
            rows = self.encoder_.transform(Z)
        return rows.reshape(len(rows), -1)

    # ------------------------------------------------------------ using the critics

    @limit_threads
    def score(self, Z, y=None):
        """The bound on the total correlation in nats, on these rows with the fitted critics.

        Parameters
        ----------
        Z : array-like
            As in `fit`. For an honest bound, rows that were not fitted.
        y : ignored

        Returns
        -------
        float
            Higher is more dependent. The shuffles are the same in every call.
        """
        check_is_fitted(self)
        rows = self._validate(Z, reset=False)
        shuffled = shuffle_columns(rows, self.n_shuffles, np.random.default_rng(0))
        joint, product = (
            sum(ratio(ratio.tensor(sample)) for ratio in self.ratios_) / len(self.ratios_)
            for sample in (rows, shuffled)
        )
        return float(bound_in_nats(get_bound(self.bound), joint, product))

    # ------------------------------------------------------------ saving

    def _fitted_to_tree(self, fitted: dict) -> dict:
        return fitted | {"ratios_": [ratio.to_tree() for ratio in fitted["ratios_"]]}

    def _fitted_from_tree(self, fitted: dict) -> dict:
        ratios = []
        for tree in fitted["ratios_"]:
            n_columns = tree["margins"].n_features_in_
            objective = make_objective(n_columns, get_bound(self.bound), self.hidden_layer_sizes)
            ratios.append(FittedRatio.from_tree(tree, objective))
        return fitted | {"ratios_": ratios}


def shuffle_columns(rows: np.ndarray, n_shuffles: int, rng: np.random.Generator) -> np.ndarray:
    """Rows with every column shuffled on its own, so many times, one below the other."""
    return np.concatenate([rng.permuted(rows, axis=0) for _ in range(n_shuffles)])
