"""Cross-fitted estimation of mutual information with a critic: what the estimators share."""

import copy
from numbers import Integral, Real

import numpy as np
import torch
from joblib import effective_n_jobs
from sklearn.base import _fit_context
from sklearn.callback import with_callbacks
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skmi.base import (
    BaseNeuralEstimator,
    FitTaskCallback,
    check_widths,
    infer_device,
    limit_threads,
    seeded_initialization,
    split_rows,
)
from skmi.bounds import Bound, is_saturated
from skmi.critics import Critic, GaussianCritic, as_critic, make_critic
from skmi.exceptions import (
    ConvergenceWarning,
    GeneralizationGapWarning,
    SaturationWarning,
    warn,
)
from skmi.information._data import PairDataMixin, warn_of_copies
from skmi.information._objective import (
    BoundObjective,
    CriticObjective,
    FittedCritic,
    log_ratio_scores,
    specific_information,
    take_rows,
    transform_margins,
)
from skmi.networks import ACTIVATIONS
from skmi.training import EPOCH_ROWS, Player, Trainer, auto_batch_size, count_stop_rows

#: Columns beyond which the Gaussian term is left out.
GAUSSIAN_TERM_COLUMNS = 1000


def is_overfitted(held_out: float, train: float, stderr: float) -> bool:
    """Whether a bound is much lower on held-out than on training rows."""
    return train - held_out > max(train / 2, 0.1, 6 * stderr)


class BaseMIEstimator(PairDataMixin, BaseNeuralEstimator):
    """Base class of estimators that train one critic per fold.

    Each critic is trained on the rows outside its fold, a part of which tells it when to
    stop, and evaluated on the rows of the fold: three-way use of the data, and every row held
    out once. Subclasses say which bound, which normaliser eta and which players.
    """

    _parameter_constraints: dict = {
        **BaseNeuralEstimator._parameter_constraints,
        "critic": [str, torch.nn.Module],
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "layer_norm": ["boolean"],
        "gaussian_term": ["boolean"],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 2, None, closed="left")],
        "n_negatives": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "cv": ["cv_object"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "tolerance": [Interval(Real, 0, None, closed="left")],
        "averaging": [Interval(Real, 0, 1, closed="left")],
        "gradient_clipping": [None, Interval(Real, 0, None, closed="neither")],
        "learning_rate_schedule": [StrOptions({"constant", "cosine"}), callable],
        "margins": [None, StrOptions({"normal-scores", "standardize"}), HasMethods("transform")],
        "discrete_features": [StrOptions({"auto"}), "boolean", "array-like"],
        "target_type": [StrOptions({"auto", "continuous", "labels"})],
        "n_jobs": [None, Integral],
        "warm_start": ["boolean"],
        "trainer_options": [None, dict],
    }

    #: What is estimated, for display.
    symbol = "I(X; Y)"

    # ------------------------------------------------------------ subclass hooks

    def _bound(self) -> Bound:
        raise NotImplementedError

    def _make_eta(self, n_y: int) -> torch.nn.Module | None:
        return None

    def _collect_eta(self) -> None:
        """Set the fitted attributes of the normaliser, if any."""

    def _players(self) -> list[Player]:
        return [Player("critic", self.learning_rate)]

    @property
    def _fitted_critic(self) -> type[FittedCritic]:
        return FittedCritic

    # ------------------------------------------------------------ fitting

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Train the critics and estimate I(X; Y) on the rows that each has not seen.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples of X: columns of numbers and of categories (see ``discrete_features``);
            images and other arrays of more dimensions.
        y : array-like of shape (n_samples,), (n_samples, n_outputs) or (n_samples, ...)
            Samples of Y: columns of numbers and of categories (see ``target_type``).

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
            If training ran out of epochs while the validation bound was still rising.
        SaturationWarning
            If the estimate is near the largest value that the bound can certify.
        GeneralizationGapWarning
            If the bound is much lower on held-out than on training rows.
        UserWarning
            If X or y is constant, if categories are too many, or if held-out rows are copies
            of training rows.
        """
        go_on = self.warm_start and hasattr(self, "critics_")
        return self._prepare_and_train(X, y, go_on=go_on)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y):
        """Train each critic for one more epoch on these data, without early stopping.

        The first call builds the critics and fits the margin transforms on its data. Rows are
        assigned to folds by their position, so repeated calls with the same data keep every
        row held out from its critic.

        Parameters
        ----------
        X, y : array-like
            As in `fit`.

        Returns
        -------
        self
        """
        go_on = hasattr(self, "critics_")
        return self._prepare_and_train(X, y, go_on=go_on, epochs=1)

    def _prepare(self, *data, reset: bool):
        """Check everything that can be checked before training."""
        self._bound()
        self._check_widths("hidden_layer_sizes")
        data = self._validate(*data, reset=reset)
        if reset:
            self.seed_ = self._draw_seed()  # kept, so that rows stay in their folds
        folds = self._folds(data, self.seed_)
        if not reset and len(folds) != len(self.critics_):
            raise ValueError(
                f"cv gives {len(folds)} folds but the fitted estimator has {len(self.critics_)}. "
                "Keep cv, or set warm_start=False."
            )
        if reset:
            warn_of_copies(folds, data[:2], (self.x_encoder_, self.y_encoder_))
        return *data, folds

    def _train(self, *prepared, go_on: bool, epochs: int | None):
        *data, folds = prepared
        X, Y = data[:2]
        bound, device = self._bound(), infer_device(self.device)
        context = None
        if hasattr(self, "_skl_callbacks") or hasattr(self, "_parent_callback_ctx"):
            context = self._init_callback_context(max_subtasks=len(folds))
            context.call_on_fit_task_begin(estimator=self, X=X, y=Y)
        in_process = effective_n_jobs(self.n_jobs) == 1
        seeds = np.random.SeedSequence(self.seed_).generate_state(len(folds))
        results = Parallel(n_jobs=self.n_jobs)(
            delayed(self._fit_fold)(
                bound,
                data,
                train,
                test,
                device=device,
                seed=int(seeds[i]),
                previous=self.critics_[i] if go_on else None,
                epochs=epochs,
                label=f"{type(self).__name__} fold {i + 1}/{len(folds)}",
                context=context if in_process else None,
            )
            for i, (train, test) in enumerate(folds)
        )
        if context is not None:
            context.call_on_fit_task_end(estimator=self, X=X, y=Y)
        return self._collect(bound, folds, results, len(X), device, warn=epochs is None)

    @limit_threads
    def _fit_fold(
        self, bound, data, train, test, *, device, seed, previous, epochs, label, context
    ):
        """Train one critic on rows `train`, evaluate it on rows `train` and `test`."""
        X, Y = data[:2]
        rng = np.random.default_rng(seed)
        train = rng.permutation(train)
        n_stop = count_stop_rows(len(train), self.validation_fraction)
        critic = previous or self._new_critic(bound, *take_rows(data, train), seed=seed)
        critic.objective.ceiling.fill_(np.log(len(train)))
        fit_data, stop_data = critic.split_tensors(take_rows(data, train), n_stop, device)
        if previous is None:
            critic.keep_reference(fit_data[1])
        critic.objective.gaussian = None
        history, converged = [], True
        if any(parameter.requires_grad for parameter in critic.objective.parameters()):
            trainer = self._make_trainer(
                critic.objective,
                len(fit_data[0]),
                patience=self.patience if stop_data and epochs is None else None,
                averaging=self.averaging if epochs is None else 0.0,  # averages span one call only
                device=device,
                seed=seed,
                progress=label if self.verbose else None,
            )
            if context is not None:
                task = context.subcontext(task_name="fold", max_subtasks=self.max_epochs)
                task.call_on_fit_task_begin(estimator=self, X=X, y=Y)
                trainer.callbacks = [*(trainer.callbacks or []), FitTaskCallback(self, task, X, Y)]
            if critic.training_state is not None:
                trainer.resume(critic.training_state)
            trainer.partial_fit(fit_data, stop_data, epochs=epochs)
            if context is not None:
                task.call_on_fit_task_end(estimator=self, X=X, y=Y)
            critic.training_state = trainer.training_state()
            history = trainer.history
            converged = trainer.patience is None or trainer.stopped_early_
        gaussian = self._make_gaussian_term(*self._count_columns())
        if gaussian is not None:
            critic.objective.add_gaussian_term(gaussian.to(device), fit_data, stop_data or fit_data)
        train_scores = critic.normalize(*critic.tensors(*take_rows(data, train), device))
        scores = log_ratio_scores([critic], take_rows(data, test), device)
        return critic, {
            "mi": critic.value(scores),
            "train_mi": critic.value(train_scores),
            "stderr": critic.standard_error(scores),
            "ceiling": np.log(scores.shape[-1] if bound.contrastive else len(train)),
            "converged": converged,
            "history": [
                {
                    "epoch": row["epoch"],
                    "train_mi": row["train_mi"],
                    "validation_mi": row.get("valid_mi", np.nan),
                    "seconds": row["dur"],
                }
                for row in history
            ],
        }

    def _collect(self, bound, folds, results, n_samples, device, warn):
        critics, evaluations = zip(*results, strict=True)
        weights = np.array([len(test) for _, test in folds], dtype=float)
        weights /= weights.sum()
        past = getattr(self, "history_", [])
        epochs_before = max((row["epoch"] for row in past), default=0)
        self.history_ = past + [
            {"fold": fold, **row, "epoch": row["epoch"] + epochs_before}
            for fold, evaluation in enumerate(evaluations)
            for row in evaluation["history"]
        ]
        self.n_iter_ = max((row["epoch"] for row in self.history_), default=0)
        self.critics_ = list(critics)
        self.n_samples_ = n_samples
        self.device_ = device
        self.fold_scores_ = np.array([e["mi"] for e in evaluations])
        self.mi_ = float(weights @ self.fold_scores_)
        self.train_mi_ = float(weights @ [e["train_mi"] for e in evaluations])
        self.stderr_ = float(np.sqrt(weights**2 @ [e["stderr"] ** 2 for e in evaluations]))
        self._collect_eta()
        if warn:
            self._warn(bound, evaluations)
        return self

    def _warn(self, bound, evaluations):
        running = sum(not e["converged"] for e in evaluations)
        if running:
            warn(
                f"{running} of {len(evaluations)} critics had not converged after "
                f"max_epochs={self.max_epochs}: the estimate may be too low. Raise max_epochs, "
                "learning_rate or tolerance (in mutual_info through estimator=MINEEstimator(...)).",
                ConvergenceWarning,
            )
        ceiling = min(e["ceiling"] for e in evaluations)
        if is_saturated(self.mi_, ceiling):
            limit, remedy = (
                ("so many candidates", "Use a bound without this limit (bound='dv')")
                if bound.contrastive
                else ("so few rows", "Use more data or fewer folds")
            )
            warn(
                f"mi_ = {self.mi_:.2f} nats, but with {limit} bound={bound.name!r} can hardly "
                f"certify more than {ceiling:.2f} nats; the truth may be far higher. {remedy}.",
                SaturationWarning,
            )
        if is_overfitted(self.mi_, self.train_mi_, self.stderr_):
            warn(
                f"The bound is {self.train_mi_:.2f} nats on training rows but {self.mi_:.2f} on "
                "held-out rows: the critics overfit. Use more data, fewer columns or smaller "
                "hidden_layer_sizes.",
                GeneralizationGapWarning,
            )

    # ------------------------------------------------------------ pieces of a fit

    def _strata(self, X, Y):
        """Labels whose shares should be the same in every fold, or None."""
        if self.target_type_ != "labels":
            return None
        return Y.argmax(1) if Y.shape[1] > 1 else Y[:, 0]

    def _count_columns(self) -> tuple[int, int]:
        """How many columns of X and of y a critic sees."""
        return int(np.prod(self.x_shape_)), int(np.prod(self.y_shape_))

    def _folds(self, data, seed):
        return split_rows(self.cv, len(data[0]), seed, self._strata(*data))

    def _new_critic(self, bound, X, Y, *, seed) -> FittedCritic:
        objective = self._make_objective(bound, *self._count_columns(), seed)
        x_margins = self._make_margins(X, self.x_encoder_.n_numbers_)
        y_margins = self._make_margins(Y, self.y_encoder_.n_numbers_)
        return self._fitted_critic(objective, x_margins, y_margins)

    def _make_critic(self, critic, n_x, n_y) -> Critic:
        if isinstance(critic, torch.nn.Module):
            return as_critic(copy.deepcopy(critic))
        return make_critic(
            critic,
            n_x,
            n_y,
            hidden_layer_sizes=self._check_widths("hidden_layer_sizes"),
            activation=self.activation,
            layer_norm=self.layer_norm,
        )

    def _make_objective(self, bound, n_x, n_y, seed=0) -> BoundObjective:
        with seeded_initialization(seed):
            n_negatives = self.n_negatives
            if n_negatives == "auto":
                n_negatives = 31 if bound.contrastive else 4
            return CriticObjective(
                self._make_critic(self.critic, n_x, n_y),
                bound,
                eta=self._make_eta(n_y),
                n_negatives=n_negatives,
                moving_average_rate=getattr(self, "moving_average_rate", None),
            )

    def _make_gaussian_term(self, n_x, n_y) -> GaussianCritic | None:
        small = max(n_x, n_y) <= GAUSSIAN_TERM_COLUMNS
        has_numbers = self.x_encoder_.n_numbers_ + self.y_encoder_.n_numbers_ > 0
        if self.gaussian_term and small and has_numbers:
            return GaussianCritic(n_x, n_y)
        return None

    def _check_widths(self, name: str) -> tuple[int, ...]:
        return check_widths(name, getattr(self, name))

    def _make_trainer(self, objective, n_rows, **options) -> Trainer:
        batch_size = self.batch_size
        if batch_size == "auto":
            batch_size = auto_batch_size(n_rows)
        elif batch_size > n_rows:
            raise ValueError(
                f"batch_size={batch_size} is larger than the {n_rows} training rows of a fold. "
                f"Use batch_size='auto', a value up to {n_rows}, or more data."
            )
        options = {
            "players": self._players(),
            "max_epochs": self.max_epochs,
            "batch_size": batch_size,
            "epoch_rows": EPOCH_ROWS,
            "tolerance": self.tolerance,
            "gradient_clipping": self.gradient_clipping,
            "schedule": self.learning_rate_schedule,
            **options,
        }
        return Trainer(objective, **options | (self.trainer_options or {}))

    # ------------------------------------------------------------ using the critics

    def score(self, X, y):
        """The bound on I(X; Y) in nats, computed on these data with the fitted critics.

        Parameters
        ----------
        X, y : array-like
            As in `fit`. At least 2 rows. For an honest bound, rows that were not fitted.

        Returns
        -------
        float
            Higher is better: the larger the bound, the nearer it is to I(X; Y).
        """
        return self._score(X, y)

    @limit_threads
    def _score(self, *data) -> float:
        check_is_fitted(self)
        data = self._validate(*data, reset=False)
        if len(data[0]) < 2:
            raise ValueError("score needs at least 2 rows: with 1 there are no other pairs.")
        return self.critics_[0].value(log_ratio_scores(self.critics_, data, self.device_))

    @limit_threads
    def score_samples(self, X, y=None):
        r"""Pointwise mutual information in nats.

        Parameters
        ----------
        X, y : array-like
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
            For each pair the estimate of :math:`\log p(x, y) / (p(x) p(y))`, whose mean over
            the joint distribution is I(X; Y). Without y, for each row the information that
            this value of x carries about Y,
            :math:`KL(p(y|x) \,\|\, p(y))`, whose mean is I(X; Y) too; it is computed on a
            sample of 512 training values of y and cannot exceed log 512.
        """
        check_is_fitted(self)
        if y is None:
            X = self._validate_X(X)
            return np.mean([self._specific_information(c, X) for c in self.critics_], axis=0)
        return self._score_samples(X, y)

    @limit_threads
    def _score_samples(self, *data) -> np.ndarray:
        data = self._validate(*data, reset=False)
        scores = [critic.pointwise(*data, self.device_) for critic in self.critics_]
        return torch.stack(scores).cpu().double().mean(0).numpy()

    def _specific_information(self, critic, X):
        x = torch.as_tensor(
            transform_margins(critic.x_margins, X).astype(np.float32), device=self.device_
        )
        return specific_information(critic.reference_scores(x).cpu().double()).numpy()

    # ------------------------------------------------------------ saving

    def _fitted_to_tree(self, fitted: dict) -> dict:
        critics = []
        for critic in fitted["critics_"]:
            tree = dict(vars(critic), training_state=None)
            tree["state"] = dict(tree.pop("objective").state_dict())
            critics.append(tree)
        return fitted | {"critics_": critics}

    def _fitted_from_tree(self, fitted: dict) -> dict:
        vars(self).update(fitted)
        columns, critics = self._count_columns(), []
        for tree in fitted["critics_"]:
            objective = self._make_objective(self._bound(), *columns)
            objective.gaussian = self._make_gaussian_term(*columns)
            objective.load_state_dict(tree.pop("state"))
            critics.append(self._fitted_critic(objective, **tree))
        return vars(self) | {"critics_": critics}
