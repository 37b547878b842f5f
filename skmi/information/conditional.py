"""Conditional mutual information."""

from dataclasses import replace
from functools import partial
from numbers import Integral

import numpy as np
from sklearn.base import _fit_context, clone
from sklearn.callback import with_callbacks
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skmi.base import seeded_initialization
from skmi.bounds import BOUNDS, Bound, get_bound
from skmi.exceptions import warn
from skmi.information._base import BaseMIEstimator
from skmi.information._conditional import (
    ConditionalObjective,
    FittedConditionalCritic,
    GivenZ,
    find_classes,
)
from skmi.information._data import DISCRETE_TARGETS, as_columns
from skmi.information._mutual_info import result_of
from skmi.information._objective import (
    EtaNetwork,
    FittedCritic,
    ScalarEta,
    transform_margins,
)
from skmi.information._units import in_units
from skmi.training import Player

__all__ = ["ConditionalMIEstimator", "conditional_mutual_info"]

#: Partners of a row: among near rows, of which more are farther away, and in a class, where any
#: number has the same distribution.
NEAR_PARTNERS = 20
CLASS_PARTNERS = 32


class ConditionalMIEstimator(BaseMIEstimator):
    r"""Conditional mutual information I(X; Y | Z) with neural critics.

    What X and Y have in common beyond what both have in common with Z. It is the largest value
    over critics :math:`f(x, y, z)` and normalisers :math:`\eta(z)` ([1]_, Appendix C, eq. 28) of

    .. math::
        E_{p(x, y, z)}[f] - E_{p(z)}\bigl[e^{-\eta(z)} E_{p(x|z) p(y|z)}[e^f] + \eta(z) - 1\bigr].

    Samples of p(x|z) p(y|z) pair x and z of a row with the y of *partners*: other rows of the
    same class where Z is discrete, the nearest rows where it is continuous, and both where it
    is mixed. Near is not equal, so that partners follow some :math:`\tilde p(y|z)` and the value
    exceeds I(X; Y | Z) by :math:`KL(p(y, z) \| \tilde p(y|z) p(z))`. Two things are done about it.
    Columns of X and y whose values do not repeat are replaced by their residuals from a smooth
    regression on Z, which leaves I(X; Y | Z) as it is and takes most of the difference away (all
    of it for Gaussian variables). What is left a second critic g(y, z), the control, estimates on
    the same pairs, and it is subtracted. As in `MINEEstimator`, critics are trained per fold of
    ``cv`` and evaluated on the rows of that fold.

    Parameters
    ----------
    bound : {"dv", "eta-dv", "nwj", "jsd", "smile"}, default="dv"
        The objective. ``"eta-dv"`` trains the network :math:`\eta(z)`; ``"dv"`` has one constant
        in its place, and leaves what depends on z to the critic, which sees z.
    critic : {"hybrid", "concat", "separable", "bilinear"} or nn.Module, default="hybrid"
        The critic of [x, z] and y. A module takes B rows of all columns of x and of z side by
        side, and B rows of y, and returns B scores; it is copied, never trained in place.
    control : bool, default=True
        Whether the control is trained. Without it fitting takes half the time, and the estimate
        is too high by what near rows differ. There is none where Z is discrete.
    n_neighbors : int or "auto", default="auto"
        Partners of a row, at most all other rows of a fold. ``"auto"`` is 20 where Z has columns
        of numbers, and 32 otherwise.
    hidden_layer_sizes : tuple of int, default=(64, 64)
        Widths of the hidden layers of critic, control and :math:`\eta(z)`.
    activation : {"silu", "relu", "elu", "gelu", "leaky-relu", "tanh"}, default="silu"
        Activation of the hidden layers.
    layer_norm : bool, default=False
        Whether to normalise the hidden layers.
    gaussian_term : bool, default=True
        Whether to stack the critic with the log density ratio of Gaussian variables. See
        `MINEEstimator`.
    learning_rate : float, default=2e-3
        Step size of Adam.
    batch_size : int or "auto", default="auto"
        Rows in a training batch. ``"auto"`` makes about 20 batches of the data, between 16
        and 1024 rows each.
    n_negatives : int or "auto", default="auto"
        Partners of each row in a batch; they take turns. ``"auto"`` is 4.
    max_epochs : int, default=200
        Largest number of passes over the data.
    cv : int, splitter or iterable, default=3
        Folds of the cross-fitting, as in scikit-learn. A number of folds is stratified by the
        classes of Z, where it has any, else by those of y.
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
        Factor of the learning rate in each epoch; a callable takes the epoch, from 0.
    margins : {"normal-scores", "standardize"}, transformer or None, default="normal-scores"
        Transform of each column of numbers. That of Z sets the scale of distances.
    discrete_features : "auto", bool or array-like, default="auto"
        Columns of X that hold categories. See `MINEEstimator`.
    target_type : {"auto", "continuous", "labels"}, default="auto"
        How to read y. See `MINEEstimator`.
    z_type : {"auto", "continuous", "labels"}, default="auto"
        How to read Z, in the same way: ``"auto"`` goes by the dtype of each column, and a lone
        column of whole numbers with few distinct values holds labels too.
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
        Cross-fitted estimate of I(X; Y | Z) in nats, on held-out rows, averaged. A lower bound
        in expectation where Z is discrete; otherwise a difference of two such bounds.
    stderr_ : float
        Standard error of ``mi_`` in nats.
    fold_scores_ : ndarray of shape (n_folds,)
        The value on each fold.
    train_mi_ : float
        The value on the training rows, averaged over the folds.
    history_ : list of dict
        A row for each fold and epoch: ``fold``, ``epoch``, ``train_mi``, ``validation_mi``
        and ``seconds``.
    n_iter_ : int
        Largest number of epochs trained.
    device_ : str
        Device in use.
    critics_ : list
        The critics of each fold.
    conditional_ : bool
        Whether there is a Z that varies. Otherwise the estimate is that of I(X; Y).
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
    skmi.conditional_mutual_info : The estimate with its standard error in one call.
    MINEEstimator : The estimator of I(X; Y).

    References
    ----------
    .. [1] Y. Mroueh et al., "Improved Mutual Information Estimation", AAAI 2021.

    Examples
    --------
    >>> from skmi import ConditionalMIEstimator
    >>> from skmi.datasets import make_gaussian_chain
    >>> X, Y, Z, _ = make_gaussian_chain(1000, random_state=0)  # X and Y depend through Z only
    >>> estimator = ConditionalMIEstimator(random_state=0)
    >>> bool(abs(estimator.fit(X, Y, Z).mi_) < 0.05)
    True
    """

    _parameter_constraints: dict = {
        **BaseMIEstimator._parameter_constraints,
        "bound": [str],
        "control": ["boolean"],
        "n_neighbors": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "z_type": [StrOptions({"auto", "continuous", "labels"})],
    }

    def __init__(
        self,
        bound="dv",
        *,
        critic="hybrid",
        control=True,
        n_neighbors="auto",
        hidden_layer_sizes=(64, 64),
        activation="silu",
        layer_norm=False,
        gaussian_term=True,
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
        z_type="auto",
        n_jobs=None,
        device="auto",
        random_state=None,
        verbose=0,
        warm_start=False,
        trainer_options=None,
    ):
        self.bound = bound
        self.critic = critic
        self.control = control
        self.n_neighbors = n_neighbors
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.layer_norm = layer_norm
        self.gaussian_term = gaussian_term
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
        self.z_type = z_type
        self.n_jobs = n_jobs
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start
        self.trainer_options = trainer_options

    # ------------------------------------------------------------ fitting and using

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, Z=None):
        """Train the critics and estimate I(X; Y | Z) on the rows that each has not seen.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples of X: columns of numbers and of categories; images and the like.
        y : array-like of shape (n_samples,), (n_samples, n_outputs) or (n_samples, ...)
            Samples of Y.
        Z : array-like of shape (n_samples,), (n_samples, n_conditions) or (n_samples, ...)
            Samples of Z: columns of numbers and of categories (see ``z_type``). With None, as
            with a Z that does not vary, the estimate is that of I(X; Y).

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
        UserWarning
            Also if rows are left out because they are alone in their class of Z.
        ConvergenceWarning, SaturationWarning, GeneralizationGapWarning
            As in `MINEEstimator.fit`.
        """
        go_on = self.warm_start and hasattr(self, "critics_")
        return self._prepare_and_train(X, y, Z, go_on=go_on)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, Z=None):
        """Train the critics for one more epoch on these data, without early stopping.

        Parameters
        ----------
        X, y, Z : array-like
            As in `fit`. Rows are assigned to folds by their position.

        Returns
        -------
        self
        """
        go_on = hasattr(self, "critics_")
        return self._prepare_and_train(X, y, Z, go_on=go_on, epochs=1)

    def score(self, X, y, Z=None):
        """The value of I(X; Y | Z) in nats on these data with the fitted critics.

        Parameters
        ----------
        X, y, Z : array-like
            As in `fit`. Partners are found among these rows, so that they should not be much
            fewer than those of `fit`.

        Returns
        -------
        float
        """
        return self._score(X, y, Z)

    def score_samples(self, X, y=None, Z=None):
        r"""Pointwise conditional mutual information in nats.

        Parameters
        ----------
        X, y, Z : array-like
            As in `fit`. y may be left out where there is no Z, see `MINEEstimator`.

        Returns
        -------
        ndarray of shape (n_samples,)
            For each row the estimate of :math:`\log p(x, y | z) / (p(x|z) p(y|z))`, whose mean
            over the joint distribution is I(X; Y | Z).
        """
        check_is_fitted(self)
        if y is None and not self.conditional_:
            return super().score_samples(X)
        return self._score_samples(X, y, Z)

    # ------------------------------------------------------------ data

    @property
    def symbol(self) -> str:
        """What is estimated, for display."""
        return "I(X; Y | Z)" if getattr(self, "conditional_", True) else "I(X; Y)"

    def _validate(self, X, y, Z=None, *, reset: bool):
        """X, y and, if it varies, Z as arrays of numbers, then indicators of categories."""
        X, Y = super()._validate(X, y, reset=reset)
        if reset:
            self.conditional_ = False
        elif (Z is None) == hasattr(self, "z_encoder_"):
            raise ValueError(
                "Z is missing, but the estimator was fitted with it. Pass Z; in a grid search or "
                "cross-validation by routing it: sklearn.set_config(enable_metadata_routing=True) "
                "and estimator.set_fit_request(Z=True).set_score_request(Z=True)."
                if Z is None
                else "Z was passed, but the estimator was fitted without it. Leave it out, or fit "
                "with Z."
            )
        if Z is None:
            return X, Y
        discrete = DISCRETE_TARGETS[self.z_type]
        Z = self._encode("Z", Z, discrete, reset=reset, codes=self.z_type == "auto")
        if len(Z) != len(X):
            raise ValueError(f"Z must have as many rows as X and y, {len(X)}, got {len(Z)}.")
        Z = Z.reshape(len(Z), -1)
        if reset:
            self.conditional_ = bool((Z[:1] != Z).any())
            if self.conditional_:
                self.z_margins_ = self._make_margins(Z, self.z_encoder_.n_numbers_)
        elif not self.conditional_ and (Z[:1] != Z).any():
            raise ValueError(
                "Z varies, but it was constant in the data that the estimator was fitted to. Fit "
                "it to data in which Z varies."
            )
        return (X, Y, Z) if self.conditional_ else (X, Y)

    def _prepare(self, *data, reset: bool):
        *data, folds = super()._prepare(*data, reset=reset)
        if self.conditional_ and self.z_encoder_.one_hot_ is not None:
            classes = find_classes(data[2], self.z_encoder_.n_numbers_)
            n_alone = sum(np.sum(np.bincount(classes[test]) == 1) for _, test in folds)
            if n_alone:
                warn(
                    f"{n_alone} of {len(classes)} rows have a class of Z that no other row of "
                    "their fold has: they are left out of the estimate. Merge rare classes, use "
                    "fewer folds, or set z_type='continuous' if Z is a measurement.",
                    UserWarning,
                )
        return *data, folds

    def _strata(self, X, Y, Z=None):
        if Z is None or self.z_encoder_.one_hot_ is None:
            return super()._strata(X, Y)
        return find_classes(Z, self.z_encoder_.n_numbers_)

    # ------------------------------------------------------------ pieces of a fit

    def _bound(self) -> Bound:
        bound = get_bound(self.bound)
        if bound.contrastive or bound.name == "a-dv":
            usable = sorted(n for n, b in BOUNDS.items() if not b.contrastive and n != "a-dv")
            reason = (
                "the candidates of a row are its few partners, and it cannot exceed the logarithm "
                "of their number"
                if bound.contrastive
                else "its normaliser is a function of y; that of 'eta-dv' is one of z here"
            )
            raise ValueError(
                f"bound={self.bound!r} does not serve for I(X; Y | Z): {reason}. "
                f"ConditionalMIEstimator takes one of {usable}."
            )
        if getattr(self, "conditional_", False) and self.z_encoder_.n_numbers_:
            return replace(bound, is_lower_bound=False)  # near rows are not rows with the same z
        return bound

    def _players(self) -> list[Player]:
        players = [Player("critic", self.learning_rate)]
        if self._bound().has_eta:
            players.append(Player("eta", self.learning_rate))
        return players

    def _make_eta(self, n_y: int):
        return ScalarEta() if self._bound().has_eta else None

    @property
    def _fitted_critic(self) -> type[FittedCritic]:
        return FittedConditionalCritic if self.conditional_ else FittedCritic

    def _count_columns(self) -> tuple[int, int]:
        n_x, n_y = super()._count_columns()
        return n_x + self._n_z, n_y

    @property
    def _n_z(self) -> int:
        """How many columns of Z a critic sees."""
        return int(np.prod(self.z_shape_)) if self.conditional_ else 0

    def _new_critic(self, bound, X, Y, Z=None, *, seed) -> FittedCritic:
        critic = super()._new_critic(bound, X, Y, seed=seed)
        if self.conditional_:
            n_numbers, n_partners = self.z_encoder_.n_numbers_, self.n_neighbors
            if n_partners == "auto":
                n_partners = NEAR_PARTNERS if n_numbers else CLASS_PARTNERS
            critic.n_numbers, critic.n_partners = n_numbers, min(n_partners, len(X) - 1)
            critic.z_margins = self.z_margins_
            z = transform_margins(self.z_margins_, Z)
            critic.x_given_z, critic.y_given_z = (
                GivenZ.fit(
                    values, z, margins, partial(self._make_margins, n_numbers=encoder.n_numbers_)
                )
                for values, margins, encoder in [
                    (X, critic.x_margins, self.x_encoder_),
                    (Y, critic.y_margins, self.y_encoder_),
                ]
            )
        return critic

    def _make_objective(self, bound, n_x, n_y, seed=0):
        if not self.conditional_:
            return super()._make_objective(bound, n_x, n_y, seed)
        n_z, has_control = self._n_z, self.control and self.z_encoder_.n_numbers_ > 0
        with seeded_initialization(seed):
            widths = self._check_widths("hidden_layer_sizes")
            has_eta = bound.has_eta
            eta = EtaNetwork(n_z, widths, self.activation, self.layer_norm) if has_eta else None
            return ConditionalObjective(
                self._make_critic(self.critic, n_x, n_y),
                self._make_critic("hybrid", n_z, n_y) if has_control else None,
                bound,
                n_z=n_z,
                n_negatives=4 if self.n_negatives == "auto" else self.n_negatives,
                eta=eta,
            )


def conditional_mutual_info(
    X, Y, Z, *, estimator=None, cv=3, units="nats", n_jobs=None, device=None, random_state=None
):
    r"""Estimate the conditional mutual information I(X; Y | Z).

    .. math:: I(X; Y | Z) = E_{p(x, y, z)}\left[\log \frac{p(x, y | z)}{p(x | z)\, p(y | z)}\right]

    is zero exactly when X and Y are independent given Z.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        Samples of X. A vector is read as one column.
    Y : array-like of shape (n_samples,), (n_samples, n_outputs) or (n_samples, ...)
        Samples of Y: numbers or labels.
    Z : array-like of shape (n_samples,), (n_samples, n_conditions) or (n_samples, ...)
        Samples of Z: numbers, labels, or columns of both.
    estimator : ConditionalMIEstimator or None, default=None
        What to fit; it is cloned. None is ``ConditionalMIEstimator()``.
    cv : int, splitter, iterable or None, default=3
        Folds.
    units : {"nats", "bits"}, default="nats"
        Units of the result.
    n_jobs : int or None, default=None
        Folds fitted at once.
    device : str or None, default=None
        Torch device.
    random_state : int, RandomState or None, default=None
        Seed of folds, weights and shuffles. For this, `cv` and the two above, None keeps what
        the estimator has.

    Returns
    -------
    MutualInfoResult

    Raises
    ------
    ValueError, TypeError
        For data or parameters that cannot be used; the message names the argument.

    See Also
    --------
    skmi.ConditionalMIEstimator : The method and its parameters.
    skmi.mutual_info : I(X; Y).

    References
    ----------
    .. [1] Y. Mroueh et al., "Improved Mutual Information Estimation", AAAI 2021, Appendix C.

    Examples
    --------
    >>> from skmi import conditional_mutual_info
    >>> from skmi.datasets import make_xor
    >>> X, Y, Z, cmi = make_xor(1000, random_state=0)           # log 2 = 0.69 nats
    >>> result = conditional_mutual_info(X, Y, Z, random_state=0)
    >>> bool(abs(result.estimate - cmi) < 0.05)
    True
    """
    estimator = ConditionalMIEstimator() if estimator is None else clone(estimator)
    if not isinstance(estimator, ConditionalMIEstimator):
        raise TypeError(
            "estimator must be a ConditionalMIEstimator, which takes Z, got "
            f"{type(estimator).__name__}."
        )
    if Z is None:
        raise ValueError("Z is None. Pass Z, or use mutual_info for I(X; Y).")
    in_units(0.0, units)  # before the work
    options = {"cv": cv, "n_jobs": n_jobs, "device": device, "random_state": random_state}
    estimator.set_params(**{name: value for name, value in options.items() if value is not None})
    return result_of(estimator.fit(as_columns(X), Y, Z), units)
