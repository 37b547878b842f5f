"""The kernel eta-DV estimator: a convex problem, solved to a certificate."""

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import torch
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process.kernels import Kernel
from sklearn.metrics.pairwise import PAIRWISE_KERNEL_FUNCTIONS
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skmi.base import split_rows
from skmi.bounds import eta_dv, is_saturated
from skmi.critics import Critic
from skmi.exceptions import ConvergenceWarning, SaturationWarning, warn
from skmi.information._convex import Point, RatioProblem, solve
from skmi.information._data import PairDataMixin
from skmi.information._divergence import encode_samples
from skmi.information._features import (
    STATIONARY,
    ColumnFeatures,
    CriticFeatures,
    KernelSections,
    NystroemFeatures,
    ProductKernel,
    approximate_kernel,
    check_memory,
    in_chunks,
    match_rows,
    mean_in_chunks,
    median_gamma,
    pair_blocks,
    sample_by_ratio,
    second_moment,
    shuffle_rows,
    stack,
    take,
)
from skmi.information._objective import (
    REFERENCE_ROWS,
    specific_information,
    transform_margins,
)
from skmi.information.eta_dv import EtaDVEstimator
from skmi.information.mine import MINEEstimator

__all__ = ["KernelEtaDV"]

#: Rows up to which feature_map="auto" is the exact kernel.
EXACT_ROWS = 1000
#: Samples of the product distribution that n_shuffles="auto" keeps, for the exact kernel and for
#: other features, and candidates that it keeps them from.
EXACT_PRODUCT_ROWS, PRODUCT_ROWS = 1500, 10_000
CANDIDATE_ROWS = 1_000_000
#: The pilot's lambda, relative to the mean square of the features.
PILOT_PENALTY = 1e-4
#: Nats that may be due to rounding alone.
NOTHING = 1e-6
#: Largest relative duality gap of the pilot and along the path.
PATH_TOL = 1e-6
#: Candidates of lambda_="auto", relative to the mean square of the features.
CANDIDATES = np.logspace(0, -8, 17)
#: Candidates in a row that may be worse than the best before the path ends.
PATH_PATIENCE = 3


class KernelEtaDV(PairDataMixin, BaseEstimator):
    r"""Mutual information by the eta-DV bound with critics from a kernel space.

    With a critic :math:`f = \langle w, \Phi \rangle` that is linear in features of the pair, the
    eta-DV bound ([1]_, section 3) is a jointly convex problem in w and eta,

    .. math::
        \min_{w, \eta}\; e^{-\eta} \frac1M \sum_j e^{f(b_j)} - \frac1N \sum_i f(a_i) + \eta - 1
        + \frac{\lambda}{2} \langle w, R w \rangle ,

    over the N pairs :math:`a_i` and M pairs :math:`b_j` of rows that do not belong together. Its
    solution is unique, and comes with a duality gap. The dual problem finds ratios
    :math:`r_j` with mean 1, which estimate :math:`p(x, y) / p(x) p(y)` at the :math:`b_j`: eta is
    the multiplier of the normalisation. `fit_samples` estimates :math:`KL(P \| Q)` of any two
    samples in the same way.

    Parameters
    ----------
    kernel : str, callable or Gaussian process kernel, default="rbf"
        Kernel of x and kernel of y, whose product is the kernel of pairs; as in
        `sklearn.metrics.pairwise.pairwise_kernels`.
    gamma : "median", float or pair of floats, default="median"
        Coefficient of kernels by name, :math:`e^{-\gamma |x - x'|^2}` for ``"rbf"``; two numbers
        are those of x and of y. ``"median"`` makes the median distance the scale of ``"rbf"`` and
        ``"laplacian"``, and leaves others at scikit-learn's default. Kernel and gamma matter for
        the first three feature maps only.
    lambda_ : "auto", float or sequence of float, default="auto"
        Strength of the regulariser. Of a sequence the one with the largest held-out bound is
        chosen, along a path with warm starts from the largest to the smallest that ends where
        the bound falls. ``"auto"`` is a sequence over eight decades.
    regularizer : {"ridge", "fisher", "sobolev"}, default="ridge"
        The metric R: the identity, the second moment of the features, or that of their
        derivatives in the columns, each of them under the mean of both distributions.
    ridge : float, default=1e-3
        Multiple of the identity added to R of ``"fisher"`` and ``"sobolev"``, which say nothing
        about f between the samples.
    feature_map : str, transformer or estimator, default="auto"
        The features of pairs. ``"exact"``: the kernel itself; time grows with the cube of the
        rows. ``"nystroem"`` and ``"fourier"``: approximations of `sklearn.kernel_approximation`,
        for long data. ``"auto"``: ``"exact"`` up to 1000 rows, then ``"nystroem"`` if it knows
        the kernel. A transformer is cloned, and fitted to the columns of x and y side by side. A
        fitted `MINEEstimator` or `EtaDVEstimator` gives the last hidden layers of its critics
        (eta-MINE-convex), and reads the data as it did; wrap it as ``FrozenEstimator(estimator)``
        where this estimator is cloned, as in a grid search.
    n_components : int, default=300
        Number of features of ``"nystroem"`` and ``"fourier"``.
    normalize : bool, default=True
        Whether eta is free. If not it is 0: the f-divergence bound of Nguyen et al.
    eps : float or None, default=None
        Factor of the perturbation :math:`\epsilon e^{-\eta}`, which makes the loss strictly
        convex ([1]_, Lemma 3).
    n_shuffles : int or "auto", default="auto"
        How many pairs of the product distribution each row is in, all with the same weight.
        ``"auto"`` keeps 10,000 of them, 1,500 for the exact kernel, and at least one for each
        row, out of about a million candidates; more of them where a first fit says that the
        ratio is large, with weights in return. Where that cannot be quick, with more rows than
        other feature maps allow, or a kernel that is a function of two rows, it shuffles.
    solver : {"auto", "newton", "lbfgs"}, default="auto"
        ``"auto"`` is Newton's method up to 3000 unknowns. They are the features, or the samples
        of the product distribution for the exact kernel.
    tol : float, default=1e-10
        Duality gap, relative to the objective where that is beyond 1, at which the solver stops.
        Newton's method goes one step further.
    max_iter : int, default=100
        Largest number of iterations of the solver.
    cv : int, splitter or iterable, default=3
        Folds for the choice of ``lambda_``.
    margins : {"normal-scores", "standardize"}, transformer or None, default="normal-scores"
        Transform of each column of numbers. None also where the features are an estimator's,
        which transforms by itself.
    discrete_features : "auto", bool or array-like, default="auto"
        Columns of X that hold categories. See `MINEEstimator`.
    target_type : {"auto", "continuous", "labels"}, default="auto"
        How to read y. See `MINEEstimator`.
    random_state : int, RandomState or None, default=None
        Seed of shuffles, folds and approximations.

    Attributes
    ----------
    mi_ : float
        :math:`-L(w, \eta)`, the bound without the regulariser, on the data of the fit, in nats.
        For an honest bound see `score`.
    coef_ : ndarray
        The weights w of the features; for the exact kernel the coefficients of the kernel
        expansion, of the N pairs first and then of the M.
    eta_ : float
        The normaliser; :math:`f - \eta` estimates the log density ratio.
    dual_coef_ : ndarray of shape (M,)
        The ratios r. Their weighted mean is 1, or less with ``eps``, and free with
        ``normalize=False``.
    product_rows_ : ndarray of shape (M, 2)
        The row of X and the row of y that each sample of the product distribution is made of;
        not set by `fit_samples`, where they are the rows of Q.
    product_weights_ : ndarray of shape (M,)
        The weights of these samples, with mean 1.
    objective_, dual_objective_ : float
        Optimal values of the regularised problem and of its dual.
    duality_gap_ : float
        Their difference, computed without cancellation.
    lambda_best_ : float
        The strength in use.
    path_ : list of dict
        For each candidate ``lambda``, the held-out bound ``value`` and ``fold_values``. Empty if
        there was no choice.
    n_iter_ : int
        Iterations of the solver.
    gamma_ : list
        The coefficients of the kernels.
    target_type_ : {"continuous", "labels", "mixed"}
        How y was read; not set by `fit_samples`.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of str
        Names of the features, if X had any.

    See Also
    --------
    EtaDVEstimator : The same bound with a network as the critic.
    skmi.kl_divergence : The divergence of two samples with networks.

    Notes
    -----
    Primal stationarity gives :math:`-L(w, \eta) = \overline{r \log r} + \lambda \langle w, R w
    \rangle` where the ratios have mean 1: the two estimates of [1]_ differ where there is a
    regulariser, and minus ``objective_`` lies halfway. Log ratios of new pairs are cut off at
    the logarithm of the number of product samples, or of the candidates for them, the largest
    that so many ratios with mean 1 can have.

    What limits the estimate of strong dependence is the mean of :math:`e^f` over the product
    distribution: for Gaussians its relative variance is near :math:`e^{2 I} / M`, as f is large on
    few pairs. ``n_shuffles="auto"`` is importance sampling against this ([2]_): half of the samples
    are drawn in proportion to a first estimate of the ratio, half from all pairs alike, so that no
    weight is beyond 2 or so. The first estimate changes the variance, not the expectation.

    The exact kernel with ``regularizer="sobolev"`` is solved among kernel expansions at the
    samples; derivatives of the kernel, which the penalty would allow too, are left out.

    References
    ----------
    .. [1] Y. Mroueh et al., "Improved Mutual Information Estimation", AAAI 2021.
    .. [2] T. Hesterberg, "Weighted Average Importance Sampling and Defensive Mixture
       Distributions", Technometrics, 1995.

    Examples
    --------
    >>> from skmi import KernelEtaDV
    >>> from skmi.datasets import make_sparse_gaussian
    >>> X, Y, mi = make_sparse_gaussian(500, correlation=0.8, random_state=0)  # 1.02 nats
    >>> estimator = KernelEtaDV(random_state=0).fit(X, Y)
    >>> bool(abs(estimator.mi_ - mi) < 0.1), bool(estimator.duality_gap_ < 1e-10)
    (True, True)
    """

    _parameter_constraints: dict = {
        "kernel": [str, callable, Kernel],
        "gamma": [StrOptions({"median"}), Interval(Real, 0, None, closed="neither"), "array-like"],
        "lambda_": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither"), "array-like"],
        "regularizer": [StrOptions({"ridge", "fisher", "sobolev"})],
        "ridge": [Interval(Real, 0, None, closed="left")],
        "feature_map": [
            StrOptions({"auto", "exact", "nystroem", "fourier"}),
            HasMethods(["fit", "transform"]),
            MINEEstimator,
            EtaDVEstimator,
            FrozenEstimator,
        ],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "normalize": ["boolean"],
        "eps": [None, Interval(Real, 0, None, closed="neither")],
        "n_shuffles": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "solver": [StrOptions({"auto", "newton", "lbfgs"})],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "cv": ["cv_object"],
        "margins": [None, StrOptions({"normal-scores", "standardize"}), HasMethods("transform")],
        "discrete_features": [StrOptions({"auto"}), "boolean", "array-like"],
        "target_type": [StrOptions({"auto", "continuous", "labels"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        kernel="rbf",
        *,
        gamma="median",
        lambda_="auto",
        regularizer="ridge",
        ridge=1e-3,
        feature_map="auto",
        n_components=300,
        normalize=True,
        eps=None,
        n_shuffles="auto",
        solver="auto",
        tol=1e-10,
        max_iter=100,
        cv=3,
        margins="normal-scores",
        discrete_features="auto",
        target_type="auto",
        random_state=None,
    ):
        self.kernel = kernel
        self.gamma = gamma
        self.lambda_ = lambda_
        self.regularizer = regularizer
        self.ridge = ridge
        self.feature_map = feature_map
        self.n_components = n_components
        self.normalize = normalize
        self.eps = eps
        self.n_shuffles = n_shuffles
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.cv = cv
        self.margins = margins
        self.discrete_features = discrete_features
        self.target_type = target_type
        self.random_state = random_state

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_witness")

    # ------------------------------------------------------------ fitting

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Solve the problem for I(X; Y).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples of X: columns of numbers and of categories.
        y : array-like of shape (n_samples,), (n_samples, n_outputs) or (n_samples, ...)
            Samples of Y.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For data or parameters that cannot be used; the message names the argument.

        Warns
        -----
        ConvergenceWarning
            If the solver stopped at a larger duality gap than `tol`.
        SaturationWarning
            If ``mi_`` is near log M, the most that M product samples can certify.
        UserWarning
            If the best of the candidates for ``lambda_`` is the smallest, or X or y is constant.
        """
        self._forget()
        blocks = self._read_pairs(X, y, reset=True)
        if len(blocks[0]) < 2:
            raise ValueError(
                "n_samples=1 is too few: pairs of the product distribution need another row."
            )
        self._paired = True
        encoders = self.x_encoder_, self.y_encoder_
        self._margins = [None, None]
        if self._critics_estimator is None:
            self._margins = [
                self._make_margins(block, encoder.n_numbers_)
                for block, encoder in zip(blocks, encoders, strict=True)
            ]
        return self._fit([self._transform_margins(blocks)])

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_samples(self, P_samples, Q_samples):
        r"""Solve the problem for :math:`KL(P \| Q)` of two samples with the same columns.

        Afterwards `score` takes two samples, and `score_samples` and `predict_ratio` take rows.

        Parameters
        ----------
        P_samples : array-like of shape (n_p, n_features)
        Q_samples : array-like of shape (n_q, n_features)

        Returns
        -------
        self
            ``mi_`` is the estimate of the divergence.

        Raises
        ------
        ValueError, TypeError
            As in `fit`.
        """
        if self._critics_estimator is not None:
            raise ValueError(
                "feature_map is an estimator of pairs (x, y), which fit_samples does not have. "
                "Use a kernel or a transformer."
            )
        self._forget()
        self.x_encoder_, samples = encode_samples(P_samples, Q_samples)
        self._paired = False
        pooled = np.concatenate(list(samples.values()))
        for name, rows in samples.items():
            if len(rows) < 2:
                raise ValueError(
                    f"{name} has {len(rows)} row, which is too few to estimate a divergence: pass "
                    "at least 2."
                )
        self.n_features_in_ = pooled.shape[1] if np.ndim(P_samples) < 2 else np.shape(P_samples)[1]
        self._margins = [self._make_margins(pooled, self.x_encoder_.n_numbers_)]
        return self._fit([self._transform_margins([rows]) for rows in samples.values()])

    def _forget(self):
        fitted = [n for n in vars(self) if n.endswith("_") and n != "lambda_"]
        for name in [*fitted, "_witness"]:
            vars(self).pop(name, None)

    def _fit(self, samples):
        """Fit to ``[pairs]`` or ``[P, Q]``, each of them a list of blocks."""
        rng = check_random_state(self.random_state)
        self._seed = int(rng.randint(np.iinfo(np.int32).max))
        self._exact = self._is_exact(max(len(blocks[0]) for blocks in samples))
        candidates = self._check_candidates()
        shuffled = self._draw(samples)
        if self._exact:
            n_rows = [len(sample[0]) for sample in (shuffled.P, shuffled.Q)]
            check_memory(n_rows[1] if self.regularizer == "ridge" else sum(n_rows), n_rows[0])
        self._make_features(stack(shuffled.P, shuffled.Q))
        pilot = self._make_pilot(samples)
        draw = shuffled if pilot is None else self._draw(samples, pilot=pilot)
        self.path_ = []
        if candidates is None or len(candidates) > 1:
            if self._critics_estimator is not None:
                warn(
                    "lambda_ is chosen by folds that the critics of feature_map were trained on, "
                    "unless these are new data: the choice will be too small. Fit the estimator "
                    "on other rows, or give lambda_ a number.",
                    UserWarning,
                )
            self.lambda_best_ = self._choose_lambda(samples, candidates, pilot)
        else:
            self.lambda_best_ = float(candidates[0])
        setting = self._set_up(draw)
        problem = self._problem(setting, self.lambda_best_)
        solution = self._solve(problem)
        point = solution.point
        if not solution.converged:
            warn(
                f"The solver stopped after {solution.n_iter} iterations at a duality gap of "
                f"{point.gap:.2g}, above tol={self.tol:g}. Raise max_iter or lambda_="
                f"{self.lambda_best_:.3g}.",
                ConvergenceWarning,
            )
        self._witness = setting.witness(problem, point)
        self.coef_, self.eta_ = self._witness.coef, point.eta
        self.dual_coef_ = problem.ratios(point)
        self.product_weights_ = np.exp(draw.log_weights) * np.ones(len(self.dual_coef_))
        self.mi_ = problem.bound(point)
        ceiling = np.log(len(point.masses))
        if is_saturated(self.mi_, ceiling):
            warn(
                f"mi_ = {self.mi_:.2f} nats, but {len(point.masses)} samples of the product "
                f"distribution can hardly certify more than {ceiling:.2f}. Raise lambda_ if score "
                "on new data is lower, else use more data or n_shuffles.",
                SaturationWarning,
            )
        self.objective_ = point.objective
        self.dual_objective_ = problem.dual_objective(point.masses)
        self.duality_gap_ = point.gap
        self.n_iter_ = solution.n_iter
        if self._paired:
            self.product_rows_ = np.column_stack(draw.rows)
            self._y_reference = shuffled.Q[1][:REFERENCE_ROWS]
        return self

    # ------------------------------------------------------------ data

    @property
    def _critics_estimator(self):
        """The estimator whose critics make the features, or None."""
        estimator = self.feature_map
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        return estimator if isinstance(estimator, MINEEstimator | EtaDVEstimator) else None

    def _read_pairs(self, X, y, *, reset: bool = False):
        """X and y as tables of numbers."""
        estimator = self._critics_estimator
        if reset and estimator is not None:  # the encoders that the critics were trained with
            self._check_critics(estimator)
            for name in PairDataMixin.fitted_names:
                if hasattr(estimator, name):
                    setattr(self, name, getattr(estimator, name))
            reset = False
        return [_as_table(block) for block in self._validate(X, y, reset=reset)]

    @staticmethod
    def _check_critics(estimator):
        name = type(estimator).__name__
        try:
            check_is_fitted(estimator)
        except ValueError as error:
            raise ValueError(
                f"feature_map={name}(...) must be fitted. Where this estimator is cloned, as in a "
                "grid search, pass FrozenEstimator(estimator) of sklearn.frozen, which keeps it."
            ) from error
        critic = estimator.critics_[0].objective.critic
        if type(critic).features is Critic.features:
            raise ValueError(
                f"feature_map={name}(critic=...) has a critic whose last hidden layer is unknown. "
                "Give it a method features(x_embedding, y_embedding), see skmi.critics.Critic, or "
                "use a critic by name."
            )

    def _transform_margins(self, blocks) -> list:
        return [transform_margins(m, b) for m, b in zip(self._margins, blocks, strict=True)]

    def _read_rows(self, X):
        return self._transform_margins([_as_table(self.x_encoder_.transform(X))])

    def _draw(self, samples, rows=None, pilot=None) -> "_Draw":
        """Samples of P and of Q among the given rows of each sample."""
        if rows is not None:
            samples = [take(blocks, r) for blocks, r in zip(samples, rows, strict=True)]
        if not self._paired:
            return _Draw(*samples)
        pairs = samples[0]
        n_rows = len(pairs[0])
        if pilot is None or not self._weighs(n_rows):
            rows = self._shuffle(n_rows, self._seed)
            return _Draw(pairs, match_rows(pairs, rows), rows=rows)
        x_rows, y_rows, log_ratios = pilot.of_others(pairs, self._n_candidates, self._seed)
        n_kept = max(n_rows, self._n_product)
        kept, log_weights = sample_by_ratio(log_ratios, n_kept, self._seed)
        rows = x_rows[kept], y_rows[kept]
        return _Draw(pairs, match_rows(pairs, rows), log_weights, len(log_ratios), rows)

    def _shuffle(self, n_rows: int, seed: int) -> tuple:
        n_shuffles = self.n_shuffles
        if n_shuffles == "auto":
            n_shuffles = 1 if self._slow_kernel else self._n_product // n_rows
        return shuffle_rows(n_rows, n_shuffles, seed)

    @property
    def _n_product(self) -> int:
        """Samples of the product distribution to aim at."""
        return EXACT_PRODUCT_ROWS if self._exact else PRODUCT_ROWS

    @property
    def _slow_kernel(self) -> bool:
        """Whether the kernel is a function of two rows."""
        return self._exact and not isinstance(self.kernel, str | Kernel)

    @property
    def _n_candidates(self) -> int:
        """Pairs of the product distribution to choose from."""
        factorizes = self._exact or isinstance(self._features, NystroemFeatures)
        return CANDIDATE_ROWS if factorizes else CANDIDATE_ROWS // 10

    def _weighs(self, n_rows: int) -> bool:
        """Whether product samples are chosen among many, and weighted."""
        if not self._paired or self.n_shuffles != "auto" or self._slow_kernel:
            return False
        n_kept = max(n_rows, self._n_product)
        return n_kept < n_rows * (n_rows - 1) and 2 * n_kept <= self._n_candidates

    def _make_pilot(self, samples) -> "_Witness | None":
        """A first log ratio, which tells where product samples matter.

        An average of exp f over the product distribution hangs on the pairs where f is large,
        few of which a shuffle meets. None if all samples shall count alike, also where the first
        fit finds nothing at all: x or y is constant then, and shuffles have their exact margins.
        """
        n_rows = len(samples[0][0])
        if not self._weighs(n_rows):
            return None
        rows = np.random.default_rng(self._seed).permutation(n_rows)[: self._n_product]
        setting = self._set_up(self._draw(samples, [rows]))
        problem = RatioProblem(
            setting.q_features,
            setting.target,
            PILOT_PENALTY * setting.scale,
            residual=setting.residual,
        )
        point = self._solve(problem, rough=True).point
        return None if -point.objective < NOTHING else setting.witness(problem, point)

    # ------------------------------------------------------------ features

    def _is_exact(self, n_rows: int) -> bool:
        if isinstance(self.feature_map, str) and self.feature_map == "auto":
            named = isinstance(self.kernel, str) and self.kernel in STATIONARY
            return n_rows <= EXACT_ROWS or not named
        return isinstance(self.feature_map, str) and self.feature_map == "exact"

    def _make_features(self, pool) -> None:
        """Set the kernel, and the feature map unless the kernel is exact."""
        self.gamma_ = self._find_gammas(pool)
        self._kernel = ProductKernel(self.kernel, self.gamma_)
        if self._exact:
            return
        if self._critics_estimator is not None:
            self._features = CriticFeatures(self._critics_estimator)
        elif isinstance(self.feature_map, str):
            name = "nystroem" if self.feature_map == "auto" else self.feature_map
            most = np.inf if name == "fourier" else len(pool[0])
            n_components = int(min(self.n_components, most))
            self._features = approximate_kernel(
                name, self.kernel, self.gamma_, n_components, self._seed
            ).fit(pool)
        else:
            self._features = ColumnFeatures(clone(self.feature_map), [1.0] * len(pool)).fit(pool)

    def _find_gammas(self, pool) -> list:
        if isinstance(self.kernel, str) and self.kernel not in PAIRWISE_KERNEL_FUNCTIONS:
            raise ValueError(
                f"Unknown kernel {self.kernel!r}. Choose one of "
                f"{sorted(PAIRWISE_KERNEL_FUNCTIONS)}, or pass a function of two rows."
            )
        if self.kernel in ("chi2", "additive_chi2") and min(block.min() for block in pool) < 0:
            raise ValueError(
                f"kernel={self.kernel!r} is of columns without negative values, and there are some "
                f"after margins={self.margins!r}. Pass margins=None and such columns."
            )
        if isinstance(self.gamma, str):
            if not (isinstance(self.kernel, str) and self.kernel in STATIONARY):
                return [None] * len(pool)
            return [median_gamma(block, self.kernel) for block in pool]
        if not isinstance(self.kernel, str):
            raise ValueError(
                f"gamma={self.gamma!r} belongs to kernels by name. Write it into the kernel, and "
                "leave gamma='median'."
            )
        if isinstance(self.gamma, Real):
            return [float(self.gamma)] * len(pool)
        gammas = _positive_numbers(self.gamma)
        if gammas is None or len(gammas) != len(pool):
            raise ValueError(
                f"gamma must be 'median', a positive number, or {len(pool)} of them, got "
                f"{self.gamma!r}."
            )
        return gammas.tolist()

    def _set_up(self, draw: "_Draw") -> "_Setting":
        """The features of samples, in coordinates where the regulariser is the identity."""
        P, Q = draw.P, draw.Q
        if self._exact and self.regularizer == "ridge":
            return self._set_up_kernel(draw)
        if self._exact:
            pool = stack(P, Q)
            sections, basis = KernelSections(self._kernel, pool), self._kernel.factorize(pool)[1]
        else:
            sections, basis = self._features, None

        def features(blocks):
            values = sections(blocks)
            return values if basis is None else values @ basis

        q_features = in_chunks(features, Q)
        target = mean_in_chunks(features, P)
        if self.regularizer == "ridge":
            return _Setting(draw, sections, q_features, target, basis=basis)
        derivatives = self.regularizer == "sobolev"
        metric = second_moment(features, P, derivatives) / 2
        metric += second_moment(features, Q, derivatives, draw.log_weights) / 2
        metric[np.diag_indices(len(metric))] += self.ridge
        try:
            factor = cholesky(metric, lower=True)
        except LinAlgError as error:
            raise ValueError(
                f"The metric of regularizer={self.regularizer!r} is singular with "
                f"ridge={self.ridge!r}: some combination of features is constant on the data. "
                "Raise ridge, or use fewer features."
            ) from error
        whitened = solve_triangular(factor, q_features.T, lower=True).T
        target = solve_triangular(factor, target, lower=True)
        back = solve_triangular(factor, np.eye(len(factor)), lower=True).T
        basis = back if basis is None else basis @ back
        return _Setting(draw, sections, whitened, target, basis=basis)

    def _set_up_kernel(self, draw: "_Draw") -> "_Setting":
        """The exact kernel with the ridge: coordinates in the span of the samples of Q.

        What the mean feature of P has outside this span no sample of Q sees; the optimal w has
        it over lambda. So there are as many unknowns as samples of Q, and by stationarity the
        solution is the kernel expansion ``(mean k(a_i, .) - mean q_j k(b_j, .)) / lambda``.
        """
        P, Q = draw.P, draw.Q
        coordinates, basis = self._kernel.factorize(Q)
        target = mean_in_chunks(KernelSections(self._kernel, Q), P) @ basis
        norm = mean_in_chunks(KernelSections(self._kernel, P), P).mean()
        return _Setting(
            draw,
            KernelSections(self._kernel, stack(P, Q)),
            coordinates,
            target,
            residual=max(norm - target @ target, 0.0),
            n_p=len(P[0]),
        )

    # ------------------------------------------------------------ solving

    def _problem(self, setting: "_Setting", penalty: float) -> RatioProblem:
        return RatioProblem(
            setting.q_features,
            setting.target,
            penalty,
            eps=self.eps or 0.0,
            normalized=self.normalize,
            residual=setting.residual,
            log_weights=setting.draw.log_weights,
        )

    def _solve(self, problem, start=None, *, rough=False):
        tol = max(PATH_TOL, self.tol) if rough else self.tol
        options = {"solver": self.solver, "tol": tol, "max_iter": self.max_iter}
        return solve(problem, start, **options, polish=not rough)

    def _check_candidates(self):
        """Values of lambda to try, largest first; None for those of "auto"."""
        if isinstance(self.lambda_, str):
            return None
        candidates = _positive_numbers(self.lambda_)
        if candidates is None:
            raise ValueError(
                f"lambda_ must be 'auto', a positive number or a sequence of them, got "
                f"{self.lambda_!r}."
            )
        return np.sort(candidates)[::-1]

    def _choose_lambda(self, samples, candidates, pilot) -> float:
        """The candidate with the largest held-out bound, along a path with warm starts."""
        if len(samples) > 1 and not isinstance(self.cv, Integral):
            raise ValueError(
                f"cv={self.cv!r} cannot split two samples. Use a number of folds, or a number as "
                "lambda_."
            )
        folds = []
        all_splits = [split_rows(self.cv, len(blocks[0]), self._seed) for blocks in samples]
        for splits in zip(*all_splits, strict=True):
            train, test = zip(*splits, strict=True)
            setting = self._set_up(self._draw(samples, train, pilot))
            draw = self._draw(samples, test, pilot)
            held_out = [in_chunks(setting.sections, blocks) for blocks in (draw.P, draw.Q)]
            folds.append((setting, held_out, draw.log_weights))
        if candidates is None:
            candidates = CANDIDATES * np.mean([setting.scale for setting, *_ in folds])
        starts = [None] * len(folds)
        for penalty in candidates:
            values = []
            for i, (setting, held_out, log_weights) in enumerate(folds):
                problem = self._problem(setting, penalty)
                solution = self._solve(problem, starts[i], rough=True)
                starts[i] = solution.point.weights
                witness = setting.witness(problem, solution.point)
                joint, product = (witness.from_sections(sections) for sections in held_out)
                value = _bound(joint, product + log_weights)
                values.append(value if solution.converged else -np.inf)
            value = float(np.mean(values))
            self.path_.append({"lambda": float(penalty), "value": value, "fold_values": values})
            bounds = np.array([row["value"] for row in self.path_])
            best = int(np.argmax(bounds >= bounds.max() - NOTHING))  # of equal ones the strongest
            if len(self.path_) - 1 - best >= PATH_PATIENCE:
                break
        if best == len(candidates) - 1:
            warn(
                f"The smallest candidate, lambda_={candidates[-1]:.3g}, has the largest held-out "
                "bound, so that a smaller one may be better. Pass a sequence that goes further.",
                UserWarning,
            )
        return self.path_[best]["lambda"]

    # ------------------------------------------------------------ using the solution

    def score(self, X, y):
        """The eta-DV bound in nats on these data, with the fitted critic and eta.

        Parameters
        ----------
        X, y : array-like
            As in `fit`; after `fit_samples` a sample of P and one of Q. For an honest bound,
            rows that were not fitted.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        if not self._paired:
            if y is None:
                raise ValueError("score takes two samples after fit_samples: score(P, Q).")
            return _bound(*(self._witness(self._read_rows(rows)) for rows in (X, y)))
        pairs = self._transform_margins(self._read_pairs(X, y))
        if len(pairs[0]) < 2:
            raise ValueError("score needs at least 2 rows: with 1 there are no other pairs.")
        if self._weighs(len(pairs[0])):
            product = self._witness.of_others(pairs, self._n_candidates, seed=0)[-1]
        else:
            product = self._witness(match_rows(pairs, self._shuffle(len(pairs[0]), seed=0)))
        return _bound(self._witness(pairs), product)

    def score_samples(self, X, y=None):
        r"""Estimates of the log density ratio, in nats.

        Parameters
        ----------
        X, y : array-like
            As in `fit`; after `fit_samples` rows of X alone.

        Returns
        -------
        ndarray of shape (n_samples,)
            :math:`f - \eta` of each pair, or row. Without y after `fit`, what each value of x
            tells about Y, :math:`KL(p(y|x) \,\|\, p(y))`, as in `MINEEstimator`.
        """
        check_is_fitted(self)
        if self._paired and y is None:
            return self._specific_information(X)
        if self._paired:
            return self._witness(self._transform_margins(self._read_pairs(X, y)))
        if y is not None:
            raise ValueError("score_samples takes rows of X alone after fit_samples.")
        return self._witness(self._read_rows(X))

    def _specific_information(self, X):
        x = _as_table(self._validate_X(X))
        x = transform_margins(self._margins[0], x)
        log_ratios = [
            self._witness([np.repeat(row[None], len(self._y_reference), axis=0), self._y_reference])
            for row in x
        ]
        return specific_information(torch.as_tensor(np.array(log_ratios))).numpy()

    def predict_ratio(self, X, y=None):
        """Estimates of the density ratio p(x, y) / p(x) p(y), or p(x) / q(x).

        Parameters
        ----------
        X, y : array-like
            As in `fit`; after `fit_samples` rows of X alone.

        Returns
        -------
        ndarray of shape (n_samples,)
            Positive; at the samples of Q that were fitted they are ``dual_coef_``.
        """
        check_is_fitted(self)
        if self._paired and y is None:
            raise ValueError("predict_ratio takes pairs after fit: predict_ratio(X, y).")
        return np.exp(self.score_samples(X, y))


@dataclass(frozen=True)
class _Draw:
    """Samples of P and of Q.

    Attributes
    ----------
    P, Q : list of ndarray
    log_weights : ndarray of shape (m,) or float
        Of the samples of Q, whose weights have mean 1.
    n_candidates : int or None
        How many samples those of Q were kept from; None: all of them.
    rows : tuple of ndarray or None
        The rows of x and of y that the samples of Q are made of.
    """

    P: list
    Q: list
    log_weights: np.ndarray | float = 0.0
    n_candidates: int | None = None
    rows: tuple | None = None

    @property
    def ceiling(self) -> float:
        """The largest log ratio of ratios with mean 1."""
        return float(np.log(self.n_candidates or len(self.Q[0])))


@dataclass(frozen=True)
class _Witness:
    """The fitted log ratio: a linear function of features, less eta."""

    sections: object
    coef: np.ndarray
    eta: float
    ceiling: float

    def from_sections(self, sections) -> np.ndarray:
        return np.minimum(sections @ self.coef - self.eta, self.ceiling)

    def __call__(self, blocks) -> np.ndarray:
        sections, coef = self.sections.expand(self.coef)
        values = in_chunks(lambda chunk: sections(chunk) @ coef, blocks)
        return np.minimum(values - self.eta, self.ceiling)

    def of_others(self, pairs, n_pairs: int, seed: int):
        """Log ratios of many pairs of rows that do not belong together, and their rows."""
        sections, coef = self.sections.expand(self.coef)
        x, y = pairs
        x_rows, y_rows, values = [], [], []
        for rows in pair_blocks(len(x), n_pairs, seed):
            apart = np.nonzero(~np.eye(len(rows), dtype=bool))
            x_rows.append(rows[apart[0]])
            y_rows.append(rows[apart[1]])
            values.append(sections.table(coef, x[rows], y[rows])[apart])
        log_ratios = np.minimum(np.concatenate(values) - self.eta, self.ceiling)
        return np.concatenate(x_rows), np.concatenate(y_rows), log_ratios


@dataclass(frozen=True)
class _Setting:
    """Samples as the solver sees them, and the way back to a function.

    Attributes
    ----------
    draw : _Draw
        The samples.
    sections : callable
        The features that the fitted function is linear in.
    q_features : ndarray of shape (m, d)
        Features of the samples of Q, where the regulariser is the identity.
    target : ndarray of shape (d,)
        Mean features of the samples of P.
    basis : ndarray or None
        Takes weights back to coefficients of `sections`; None: they are the same.
    residual : float
        See `RatioProblem`.
    n_p : int or None
        For the exact kernel with the ridge, the number of samples of P: the coefficients follow
        from the ratios.
    """

    draw: _Draw
    sections: object
    q_features: np.ndarray
    target: np.ndarray
    basis: np.ndarray | None = None
    residual: float = 0.0
    n_p: int | None = None

    @property
    def scale(self) -> float:
        """Mean square of the features."""
        return float(np.square(self.q_features).sum(1).mean()) or 1.0

    def witness(self, problem: RatioProblem, point: Point) -> _Witness:
        n_q = len(point.masses)
        if self.n_p is not None:
            coef = np.append(np.full(self.n_p, 1 / self.n_p), -point.masses / n_q) / problem.penalty
        else:
            coef = point.weights if self.basis is None else self.basis @ point.weights
        return _Witness(self.sections, coef, point.eta, self.draw.ceiling)


def _positive_numbers(values) -> np.ndarray | None:
    """A number or a list of them as an array; None unless all are positive and finite."""
    try:
        numbers = np.atleast_1d(np.asarray(values, dtype=float))
    except (TypeError, ValueError):
        return None
    fine = numbers.ndim == 1 and len(numbers) and (numbers > 0).all() and np.isfinite(numbers).all()
    return numbers if fine else None


def _as_table(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1).astype(np.float64)


def _bound(joint: np.ndarray, product: np.ndarray) -> float:
    """The eta-DV bound at log ratios, which hold their eta already."""
    return float(eta_dv(torch.as_tensor(joint), torch.as_tensor(product), 0.0))
