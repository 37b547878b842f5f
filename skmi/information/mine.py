"""Mutual information neural estimation (MINE)."""

from numbers import Real

from sklearn.utils._param_validation import Interval

from skmi.bounds import BOUNDS, Bound, get_bound
from skmi.information._base import BaseMIEstimator

__all__ = ["MINEEstimator"]


class MINEEstimator(BaseMIEstimator):
    r"""Mutual information neural estimator.

    A critic :math:`T(x, y)` is trained to climb a variational bound on the mutual information,
    by default that of Donsker and Varadhan [1]_ (eq. 10),

    .. math:: I(X; Y) \ge E_{p(x, y)}[T] - \log E_{p(x) p(y)}[e^T].

    One critic is trained per fold of ``cv`` and evaluated on the rows of its fold, so that
    ``mi_`` is computed on data that no part of training has seen, yet uses every row.

    Parameters
    ----------
    bound : {"dv", "nwj", "jsd", "infonce", "smile"} or any registered bound, default="dv"
        The objective. Values are always reported in nats: the critic of ``"jsd"``, which
        bounds another divergence, is put into the Donsker-Varadhan bound.
    critic : {"hybrid", "concat", "separable", "bilinear", "inner-product"} or nn.Module
        The critic. A module takes ``(x, y)``, two float tensors of B rows, and returns B
        scores; it is copied, never trained in place.
    hidden_layer_sizes : tuple of int, default=(64, 64)
        Widths of the hidden layers of the critic.
    activation : {"silu", "relu", "elu", "gelu", "leaky-relu", "tanh"}, default="silu"
        Activation of the hidden layers.
    layer_norm : bool, default=False
        Whether to normalise the hidden layers.
    gaussian_term : bool, default=True
        Whether to stack the critic with the log density ratio of Gaussian variables of the
        same canonical correlations (shrunk): their weighted sum with the largest bound on the
        validation rows is what is evaluated. Left out where X and y hold nothing but categories,
        and beyond 1000 columns.
    moving_average_rate : float or None, default=None
        Weight of a batch in the moving average of :math:`E[e^T]` that corrects the gradient
        of ``"dv"`` ([1]_, section 3.2); try 0.1. None leaves the gradient uncorrected: with
        `n_negatives` product pairs for each joint pair its bias is small already, and the lag
        of the average costs more than it saves on sharply peaked densities.
    learning_rate : float, default=2e-3
        Step size of Adam.
    batch_size : int or "auto", default="auto"
        Pairs in a training batch. ``"auto"`` makes about 20 batches of the data, between 16
        and 1024 rows each.
    n_negatives : int or "auto", default="auto"
        Product pairs scored for each joint pair of a batch. ``"auto"`` is 4, and 31 for
        InfoNCE. Critics whose scores are inner products use all pairs of the batch instead.
    max_epochs : int, default=200
        Largest number of passes over the data.
    cv : int, splitter or iterable, default=3
        Folds of the cross-fitting, as in scikit-learn. Pass ``TimeSeriesSplit`` or splits by
        group where rows are not independent.
    validation_fraction : float, default=0.15
        Part of the training rows of a fold that tells when to stop. 0 trains for `max_epochs`.
    patience : int, default=15
        Epochs without improvement on these rows after which training stops and returns to the
        best weights.
    tolerance : float, default=1e-3
        Smallest improvement that counts, in nats.
    averaging : float, default=0.99
        Decay of the moving average of the weights, which is what is evaluated. 0: none.
    gradient_clipping : float or None, default=None
        Largest norm of the gradient.
    learning_rate_schedule : {"constant", "cosine"} or callable, default="constant"
        Factor of the learning rate in each epoch; a callable takes the epoch, from 0.
    margins : {"normal-scores", "standardize"}, transformer or None, default="normal-scores"
        Transform of each column of numbers, which leaves the mutual information unchanged if it
        is one-to-one. Normal scores make the estimate independent of scale, skew and heavy tails.
    discrete_features : "auto", bool or array-like, default="auto"
        Columns of X that hold categories: all or none of them, a mask, indices, or names of
        columns. ``"auto"``: those of categorical, string, object or boolean dtype; whole
        numbers are numbers. Categories are encoded as indicators, so that their order and
        names do not matter.
    target_type : {"auto", "continuous", "labels"}, default="auto"
        How to read y. ``"auto"`` goes by the dtype of each column as `discrete_features` does,
        and a lone column of whole numbers with few distinct values (up to 20 that repeat, or
        5 % of the rows) holds labels too. ``"labels"``: all columns hold categories.
    n_jobs : int or None, default=None
        Folds trained at once, through joblib.
    device : str, default="auto"
        ``"auto"`` is CUDA where there is one, else MPS, else the CPU.
    random_state : int, RandomState or None, default=None
        Seed of weights, folds and shuffles.
    verbose : int, default=0
        Whether to show progress.
    warm_start : bool, default=False
        Whether `fit` goes on from the critics of the last fit. Use the same data and
        `random_state`, so that rows stay in their folds.
    trainer_options : dict or None, default=None
        Further options of `skmi.training.Trainer`: skorch ``callbacks``, ``compile``, ...

    Attributes
    ----------
    mi_ : float
        Cross-fitted estimate of I(X; Y) in nats: the bound on held-out rows, averaged.
    stderr_ : float
        Standard error of ``mi_`` in nats.
    fold_scores_ : ndarray of shape (n_folds,)
        The bound on each fold.
    train_mi_ : float
        The bound on the training rows, averaged over the folds: too high, as ``mi_`` tends to
        be too low.
    history_ : list of dict
        A row for each fold and epoch: ``fold``, ``epoch``, ``train_mi``, ``validation_mi``
        and ``seconds``. ``pandas.DataFrame(history_)`` makes a table.
    n_iter_ : int
        Largest number of epochs trained.
    device_ : str
        Device in use.
    critics_ : list of FittedCritic
        The critic of each fold.
    n_samples_ : int
        Number of rows of the last fit.
    target_type_ : {"continuous", "labels", "mixed"}
        How y was read: as columns of numbers, of categories, or of both.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of str
        Names of the features, if X had any.

    See Also
    --------
    skmi.mutual_info : The estimate with its standard error in one call.
    EtaDVEstimator : A bound with unbiased gradients.

    References
    ----------
    .. [1] M. I. Belghazi et al., "Mutual Information Neural Estimation", ICML 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from skmi import MINEEstimator
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(2000, 2))
    >>> Y = X + rng.normal(size=(2000, 2))          # I(X; Y) = log 2 = 0.69 nats
    >>> mine = MINEEstimator(random_state=0).fit(X, Y)
    >>> bool(abs(mine.mi_ - np.log(2)) < 0.1)
    True
    """

    _parameter_constraints: dict = {
        **BaseMIEstimator._parameter_constraints,
        "bound": [str],
        "moving_average_rate": [None, Interval(Real, 0, 1, closed="right")],
    }

    def __init__(
        self,
        bound="dv",
        *,
        critic="hybrid",
        hidden_layer_sizes=(64, 64),
        activation="silu",
        layer_norm=False,
        gaussian_term=True,
        moving_average_rate=None,
        learning_rate=2e-3,
        batch_size="auto",
        n_negatives="auto",
        max_epochs=200,
        cv=3,
        validation_fraction=0.15,
        patience=15,
        tolerance=1e-3,
        averaging=0.99,
        gradient_clipping=None,
        learning_rate_schedule="constant",
        margins="normal-scores",
        discrete_features="auto",
        target_type="auto",
        n_jobs=None,
        device="auto",
        random_state=None,
        verbose=0,
        warm_start=False,
        trainer_options=None,
    ):
        self.bound = bound
        self.critic = critic
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.layer_norm = layer_norm
        self.gaussian_term = gaussian_term
        self.moving_average_rate = moving_average_rate
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_negatives = n_negatives
        self.max_epochs = max_epochs
        self.cv = cv
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.tolerance = tolerance
        self.averaging = averaging
        self.gradient_clipping = gradient_clipping
        self.learning_rate_schedule = learning_rate_schedule
        self.margins = margins
        self.discrete_features = discrete_features
        self.target_type = target_type
        self.n_jobs = n_jobs
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start
        self.trainer_options = trainer_options

    def _bound(self) -> Bound:
        bound = get_bound(self.bound)
        if bound.has_eta:
            without_eta = sorted(name for name, b in BOUNDS.items() if not b.has_eta)
            raise ValueError(
                f"bound={self.bound!r} trains a normaliser eta beside the critic: use "
                f"EtaDVEstimator. MINEEstimator takes one of {without_eta}."
            )
        return bound
