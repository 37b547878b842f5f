"""Mutual information through the eta-DV and a-DV bounds."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skmi.bounds import BOUNDS, Bound
from skmi.information._base import BaseMIEstimator
from skmi.information._objective import EtaNetwork, ScalarEta
from skmi.training import ETA_LEARNING_RATE, Player

__all__ = ["EtaDVEstimator"]


class EtaDVEstimator(BaseMIEstimator):
    r"""Mutual information by the eta-DV bound (eta-MINE).

    The logarithm in the Donsker-Varadhan bound makes the gradients of mini-batches biased. A
    scalar eta takes its place ([1]_, eq. 8 and Lemma 2):

    .. math:: I(X; Y) \ge E_{p(x, y)}[T] - e^{-\eta} E_{p(x) p(y)}[e^T] - \eta + 1,

    with equality to Donsker-Varadhan at :math:`\eta = \log E[e^T]`. Critic and eta climb in
    turn ([1]_, Algorithm 1): `n_critic` Adam steps on the critic, then one on eta. With
    ``a_dv=True`` every y has its own normaliser :math:`\eta(y)`, a network ([1]_, Theorem 2),

    .. math:: I(X; Y) \ge E_{p(x, y)}[T] - E_{p(x) p(y)}[e^{T - \eta(y)}] - E_{p(y)}[\eta(y)] + 1.

    Both bounds and their gradients are unbiased. As in `MINEEstimator`, one critic is trained
    per fold of ``cv`` and evaluated on the rows of its fold.

    Parameters
    ----------
    critic : {"hybrid", "concat", "separable", "bilinear", "inner-product"} or nn.Module
        The critic. A module takes ``(x, y)``, two float tensors of B rows, and returns B
        scores; it is copied, never trained in place.
    a_dv : bool, default=False
        Whether eta is a function of y (the a-DV or TUBA bound) instead of a scalar.
    n_critic : int, default=1
        Critic steps for each step of eta.
    learning_rate : float, default=2e-3
        Step size of the critic's Adam. The paper's is 1e-4.
    eta_learning_rate : float or "auto", default="auto"
        Step size of eta's Adam. ``"auto"`` is 1e-2 for a scalar, and that of the critic for a
        function, which is unstable with larger steps.
    hidden_layer_sizes : tuple of int, default=(64, 64)
        Widths of the hidden layers of the critic, and of :math:`\eta(y)`.
    activation : {"silu", "relu", "elu", "gelu", "leaky-relu", "tanh"}, default="silu"
        Activation of the hidden layers.
    layer_norm : bool, default=False
        Whether to normalise the hidden layers.
    gaussian_term : bool, default=True
        Whether to stack the critic with the log density ratio of Gaussian variables of the
        same canonical correlations. See `MINEEstimator`.
    batch_size : int or "auto", default="auto"
        Pairs in a training batch. ``"auto"`` makes about 20 batches of the data, between 16
        and 1024 rows each.
    n_negatives : int or "auto", default="auto"
        Product pairs scored for each joint pair of a batch; ``"auto"`` is 4. Critics whose
        scores are inner products use all pairs of the batch instead.
    max_epochs : int, default=200
        Largest number of passes over the data.
    cv : int, splitter or iterable, default=3
        Folds of the cross-fitting, as in scikit-learn.
    validation_fraction : float, default=0.15
        Part of the training rows of a fold that tells when to stop. 0 trains for `max_epochs`.
    patience : int, default=15
        Epochs without improvement on these rows after which training stops.
    tolerance : float, default=1e-3
        Smallest improvement that counts, in nats.
    averaging : float, default=0.99
        Decay of the moving average of the weights, which is what is evaluated. 0: none.
    gradient_clipping : float or None, default=None
        Largest norm of the gradient.
    learning_rate_schedule : {"constant", "cosine"} or callable, default="constant"
        Factor of the learning rates in each epoch; a callable takes the epoch, from 0.
    margins : {"normal-scores", "standardize"}, transformer or None, default="normal-scores"
        Transform of each column of numbers.
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
        Whether `fit` goes on from the critics of the last fit.
    trainer_options : dict or None, default=None
        Further options of `skmi.training.Trainer`: skorch ``callbacks``, ``compile``, ...

    Attributes
    ----------
    mi_ : float
        Cross-fitted estimate of I(X; Y) in nats: the bound on held-out rows, averaged.
    stderr_ : float
        Standard error of ``mi_`` in nats.
    eta_ : ndarray of shape (n_folds,)
        The learned eta of each fold's critic, which estimates :math:`\log E[e^T]`. Not set
        with ``a_dv=True``, where eta is a function of y.
    fold_scores_ : ndarray of shape (n_folds,)
        The bound on each fold.
    train_mi_ : float
        The bound on the training rows, averaged over the folds.
    history_ : list of dict
        A row for each fold and epoch: ``fold``, ``epoch``, ``train_mi``, ``validation_mi``
        and ``seconds``.
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
    MINEEstimator : The Donsker-Varadhan and other bounds.

    References
    ----------
    .. [1] Y. Mroueh et al., "Improved Mutual Information Estimation", AAAI 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skmi import EtaDVEstimator
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(2000, 2))
    >>> Y = X + rng.normal(size=(2000, 2))          # I(X; Y) = log 2 = 0.69 nats
    >>> eta_mine = EtaDVEstimator(random_state=0).fit(X, Y)
    >>> bool(abs(eta_mine.mi_ - np.log(2)) < 0.1)
    True
    """

    _parameter_constraints: dict = {
        **BaseMIEstimator._parameter_constraints,
        "a_dv": ["boolean"],
        "n_critic": [Interval(Integral, 1, None, closed="left")],
        "eta_learning_rate": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        *,
        critic="hybrid",
        a_dv=False,
        n_critic=1,
        learning_rate=2e-3,
        eta_learning_rate="auto",
        hidden_layer_sizes=(64, 64),
        activation="silu",
        layer_norm=False,
        gaussian_term=True,
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
        self.critic = critic
        self.a_dv = a_dv
        self.n_critic = n_critic
        self.learning_rate = learning_rate
        self.eta_learning_rate = eta_learning_rate
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.layer_norm = layer_norm
        self.gaussian_term = gaussian_term
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
        return BOUNDS["a-dv" if self.a_dv else "eta-dv"]

    def _make_eta(self, n_y: int):
        if not self.a_dv:
            return ScalarEta()
        widths = self._check_widths("hidden_layer_sizes")
        return EtaNetwork(n_y, widths, self.activation, self.layer_norm)

    def _collect_eta(self) -> None:
        if not self.a_dv:
            self.eta_ = np.array([c.objective.eta.value.item() for c in self.critics_])

    def _players(self) -> list[Player]:
        eta_learning_rate = self.eta_learning_rate
        if eta_learning_rate == "auto":
            eta_learning_rate = self.learning_rate if self.a_dv else ETA_LEARNING_RATE
        return [
            Player("critic", self.learning_rate),
            Player("eta", eta_learning_rate, every=self.n_critic),
        ]
