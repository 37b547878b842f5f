"""What models of rows of any shape share, and the transformers among them."""

import copy
import math
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.callback import with_callbacks
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from skorch.callbacks import Callback
from torch import Tensor, nn

from skmi.base import (
    BaseNeuralEstimator,
    apply_in_batches,
    infer_device,
    seeded_initialization,
)
from skmi.exceptions import ConvergenceWarning, warn
from skmi.networks import ENCODERS, Encoder, Layers, make_encoder, trial_output
from skmi.representation._objective import Objective
from skmi.representation._priors import PRIORS, range_of_prior
from skmi.training import Player, count_batches, count_stop_rows

__all__ = ["BaseRepresentation", "BaseRowModel"]

#: Fewest rows that are held out to tell when to stop.
FEWEST_STOP_ROWS = 16
#: Largest scaled value that networks are given: sums of squares of it are within float32.
LARGEST_SCALED = 1e12


#: Parameters that may change between one training and the next.
FREE_PARAMETERS = {
    "batch_size",
    "averaging",
    "betas",
    "critic_learning_rate",
    "compile",
    "device",
    "feature_layer",
    "learning_rate",
    "max_epochs",
    "n_critic",
    "n_critic_draws",
    "n_draws",
    "n_discriminator",
    "n_encoder",
    "n_importance_samples",
    "n_train_draws",
    "patience",
    "precision",
    "random_state",
    "tolerance",
    "validation_fraction",
    "verbose",
    "warm_start",
}
#: What the columns are of an encoder that makes a distribution of each row.
POSTERIOR_COLUMNS = "the means of the codes, then the logarithms of their deviations"
#: Of the parameters of those that match a prior.
PRIOR_CONSTRAINTS = {
    "gamma": [Interval(Real, 0, None, closed="left")],
    "prior": [None, StrOptions(set(PRIORS))],
}
#: Of the parameters of those that let the trainer compute faster.
COMPUTE_CONSTRAINTS = {
    "precision": [StrOptions({"float32", "bfloat16"})],
    "compile": ["boolean"],
}


class _SeedNoise(Callback):
    """Seed the objective's generator anew in each epoch, so that training can be resumed."""

    def on_epoch_begin(self, net, **kwargs):
        epoch = net.n_epochs_before_ + len(net.history)
        net.module_.generator = torch.Generator(net.device).manual_seed(net.seed + 7919 * epoch)

    def on_train_end(self, net, **kwargs):
        net.module_.generator = net.module_._last = None


class _KeepRecord(Callback):
    """Leave history and optimisers with the estimator, also when training is interrupted."""

    def __init__(self, estimator):
        self.estimator = estimator

    def on_train_end(self, net, **kwargs):
        self.estimator._training_state = net.training_state()
        self.estimator._record(net.history)


def _are_equal(a, b) -> bool:
    """Whether two parameters are the same; sequences may hold arrays."""
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_are_equal, a, b))
    return a is b or np.array_equal(a, b)


class BaseRowModel(BaseNeuralEstimator):
    """Base class of estimators that train networks on rows of any shape.

    A subclass defines `_make_objective`, and has the parameters below, those of early stopping
    perhaps as attributes of the class.
    """

    _parameter_constraints: dict = {
        **BaseNeuralEstimator._parameter_constraints,
        "image_shape": [None, "array-like"],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "betas": ["array-like"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "patience": [None, Interval(Integral, 1, None, closed="left")],
        "tolerance": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
    }

    # ------------------------------------------------------------ subclass hooks

    def _make_objective(self, shape: tuple[int, ...]) -> Objective:
        raise NotImplementedError

    def _batch_tensors(self, rows: Tensor, indices: Tensor, *targets: Tensor) -> list[Tensor]:
        """What the objective is called with a batch of: rows, their targets, or which they are."""
        return [rows, *targets]

    #: Which columns did not vary in `fit`.
    _constant = np.False_
    #: What to do if training diverges.
    _advice = "Lower learning_rate, or bring the columns of X to a common scale."

    def _trainer_options(self) -> dict:
        """Further options of the `Trainer`."""
        return {}

    def _players(self) -> list[Player]:
        """Who trains which part of the objective."""
        raise NotImplementedError

    def _callbacks(self) -> list[Callback]:
        """Callbacks of the `Trainer`."""
        return [_SeedNoise(), _KeepRecord(self)]

    def _check_settings(self) -> None:
        """Complain of parameters that do not go together, before any work."""

    def _setting(self, name: str):
        """A parameter or setting, or what a preset makes of it."""
        return getattr(self, name)

    # ------------------------------------------------------------ fitting

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Train the networks.

        Parameters
        ----------
        X : array-like
            Rows of numbers, shape (n, p), or flat images with ``image_shape``; images of shape
            (n, h, w) or (n, c, h, w); sequences of shape (n, c, l) where there is
            ``encoder="conv1d"``.
        y : None
            Ignored.

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
            If there is `patience`, and the objective was still improving on held-out rows after
            ``max_epochs``.
        """
        go_on = self.warm_start and hasattr(self, "objective_")
        return self._prepare_and_train(X, y, go_on=go_on)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Train for one more epoch on these rows, without early stopping.

        The first call builds the networks and fits the scales on its rows.

        Parameters
        ----------
        X : array-like
            As in `fit`.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        return self._prepare_and_train(X, y, go_on=hasattr(self, "objective_"), epochs=1)

    def _prepare(self, X, y, *, reset: bool):
        if not reset:
            self._check_unchanged()
        if len(self.betas) != 2 or not all(isinstance(b, Real) and 0 <= b < 1 for b in self.betas):
            raise ValueError(f"betas={self.betas!r} must be two numbers from 0 to 1, without 1.")
        self._check_settings()
        rows = self._validate(X, y, reset=reset)
        if len(rows) < 4:
            raise ValueError(
                f"n_samples={len(rows)} is too few: networks learn from batches of several rows. "
                "Use at least 4 rows."
            )
        return (rows,)

    def _fixed_parameters(self) -> dict:
        parameters = self.get_params(deep=False)
        return {k: v for k, v in parameters.items() if k not in FREE_PARAMETERS}

    def _check_unchanged(self) -> None:
        """Complain of parameters that the networks were not built with."""
        now = self._fixed_parameters()
        for name, value in getattr(self, "_built_with", now).items():
            if not _are_equal(now[name], value):
                raise ValueError(
                    f"{name} was {value!r} when the networks were built, and is now "
                    f"{now[name]!r}. Set it back, or fit anew with warm_start=False."
                )

    def _train(self, rows: np.ndarray, *targets: Tensor, go_on: bool, epochs: int | None):
        self.device_ = infer_device(self.device)
        if not go_on:
            self.seed_ = self._draw_seed()
            self._fit_scale(rows)
            with seeded_initialization(self.seed_):
                self.objective_ = self._make_objective(self.row_shape_)
            self._built_with = self._fixed_parameters()
            self._training_state, self.history_ = None, []
        tensor, indices, held_out = self._scale(rows), torch.arange(len(rows)), None
        if go_on and np.any(self._constant):
            self._update_constant(tensor.abs().amax(0).numpy() * self.scale_, rows.dtype)
        n_stop = 0 if epochs is not None else self._count_stop_rows(len(rows))
        if epochs is None and self.patience is not None and not n_stop:
            warn(
                f"validation_fraction={self.validation_fraction} of {len(rows)} rows leaves "
                f"fewer than {FEWEST_STOP_ROWS} to tell when to stop: training goes on for "
                f"max_epochs={self.max_epochs}. Raise it, or set patience=None.",
                UserWarning,
            )
        if n_stop:
            order = torch.from_numpy(np.random.default_rng(self.seed_).permutation(len(rows)))
            stop, indices = order[:n_stop], order[n_stop:]
            held_out = self._batch_tensors(tensor[stop], stop, *(t[stop] for t in targets))
            tensor = tensor[indices]
        batch_size = min(self._setting("batch_size"), len(tensor))
        options = self._trainer_options()
        if epochs is not None:
            options["averaging"] = 0.0  # averages span one call only
        trainer = self._run_trainer(
            self.objective_,
            self._batch_tensors(tensor, indices, *(t[indices] for t in targets)),
            held_out,
            rows,
            *(targets or [None]),
            state=self._training_state,
            epochs=epochs,
            callbacks=self._callbacks(),
            players=self._players(),
            batch_size=batch_size,
            validation_batch_size=batch_size,
            tolerance=self.tolerance,
            advice=self._advice,
            seed=self.seed_,
            **options,
        )
        if n_stop and not trainer.stopped_early_:
            warn(
                f"The objective was still improving on held-out rows after max_epochs="
                f"{self.max_epochs}. Raise max_epochs or learning_rate.",
                ConvergenceWarning,
            )
        return self

    def _update_constant(self, farthest: np.ndarray, dtype) -> None:
        """See which columns, constant at first, vary now: those farther from their location."""
        kept = is_constant(self.location_, farthest, dtype)
        self._constant = np.logical_and(self._constant, kept)

    def _count_stop_rows(self, n_rows: int) -> int:
        """How many rows of so many `fit` holds out to tell when to stop."""
        if self.patience is None:
            return 0
        n_stop = count_stop_rows(n_rows, self.validation_fraction)
        return n_stop if n_stop >= FEWEST_STOP_ROWS else 0

    def _record(self, history) -> None:
        past = len(self.history_)
        self.history_ += [
            {"epoch": past + row["epoch"], "seconds": row["dur"]}
            | {
                k: v
                for k, v in row.items()
                if k.startswith(("train_", "valid_")) and "best" not in k
            }
            for row in history
            if "dur" in row  # an interrupted epoch has no duration
        ]
        self.n_iter_ = len(self.history_)

    @property
    def _keeps_when_interrupted(self) -> bool:
        return bool(getattr(self, "history_", None))

    # ------------------------------------------------------------ using the networks

    def evaluate(self, X, y=None) -> dict[str, float]:
        """The terms of the objective on these rows.

        Parameters
        ----------
        X : array-like
            As in `score`.
        y : None
            Ignored.

        Returns
        -------
        dict
            Each term of ``history_``, and ``"loss"``, what training descends: divergences and
            errors count with their weights, and information with its weight, negatively.
        """
        check_is_fitted(self)
        return self._terms_of(self._scale(self._validate(X, y, reset=False)))

    def _terms_of(self, rows: Tensor, *targets: Tensor, batch_size: int | None = None):
        """The terms of the objective on scaled rows."""
        if len(rows) < 2:
            raise ValueError(
                "X has 1 row, but at least 2 rows are compared with one another. Use more."
            )
        objective, totals = copy.deepcopy(self.objective_).to(self.device_), {}
        n_batches = count_batches(len(rows), batch_size or self._setting("batch_size"))
        tensors = self._batch_tensors(rows, torch.arange(len(rows)), *targets)
        with torch.no_grad():
            for batch in zip(*(t.tensor_split(n_batches) for t in tensors), strict=True):
                terms = objective(*(t.to(self.device_) for t in batch), player="model")
                for name, value in terms.items():
                    totals[name] = totals.get(name, 0.0) + value.double().item() * len(batch[0])
        return {name: total / len(rows) for name, total in totals.items()}

    def _to_units(self, rows: Tensor, name: str = "codes") -> np.ndarray:
        """Rows decoded from what is called `name`, in the units and the shape of the data.

        Columns that were constant are so again.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            rows = np.where(
                self._constant, self.location_, rows.numpy() * self.scale_ + self.location_
            )
            rows = rows.astype(self._units_dtype, copy=False)
        if not np.isfinite(rows).all():
            raise ValueError(
                f"Decoding {name} gives rows that are not finite: the values are too large, or "
                "training has run away. Take values such as the prior draws or transform gives, "
                "or fit anew with a lower learning_rate."
            )
        return rows.reshape(-1, *self.input_shape_)

    @property
    def _units_dtype(self):
        """float32, unless that would round away how a column varies, or overflow: then float64."""
        varies = np.logical_not(self._constant)
        scale = np.where(varies, self.scale_, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            step = np.spacing((np.abs(self.location_) + 100 * scale).astype(np.float32))
        fits = np.where(varies, step <= 2e-3 * scale, np.isfinite(step))
        return np.float32 if fits.all() else np.float64

    # ------------------------------------------------------------ reading rows

    def _validate(self, X, y=None, *, reset: bool) -> np.ndarray:
        """X as rows of the shape that networks see, in its own dtype where that is uint8."""
        options = {"allow_nd": True, "dtype": "numeric", "ensure_min_samples": 1}
        ndim = X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
        if reset or max(ndim, 1 + len(self.input_shape_)) <= 2:
            X = validate_data(self, X, reset=reset, **options)
        else:  # the second axis of images are no features to count: all axes are compared below
            X = check_array(X, estimator=self, input_name="X", **options)
        rows = self._as_rows(in_working_dtype(X))
        if reset:
            self.row_shape_, self.input_shape_ = rows.shape[1:], X.shape[1:]
        elif rows.shape[1:] != tuple(self.row_shape_):
            raise ValueError(
                f"X has rows of shape {X.shape[1:]}, but {type(self).__name__} was fitted on rows "
                f"of shape {tuple(self.row_shape_)}."
            )
        return rows

    def _as_rows(self, X: np.ndarray) -> np.ndarray:
        if self.image_shape is None:
            if X.ndim > 4:
                raise ValueError(
                    f"X has {X.ndim} dimensions, but takes rows (n, p), images (n, h, w) or "
                    "(n, c, h, w), or sequences (n, c, l)."
                )
            if X.ndim == 4 and min(X.shape[1:3]) > 4 >= X.shape[3]:
                warn(
                    f"X has rows of shape {X.shape[1:]}, which are taken as {X.shape[1]} channels "
                    f"of {X.shape[2]} x {X.shape[3]} pixels. Channels come first: use "
                    "X.transpose(0, 3, 1, 2) if they are last.",
                    UserWarning,
                )
            return X[:, None] if X.ndim == 3 and not self._sequences else X
        shape = tuple(int(size) for size in self.image_shape)
        if len(shape) not in (2, 3) or min(shape) < 1:
            raise ValueError(
                f"image_shape={self.image_shape!r} must be (height, width) or (channels, height, "
                "width)."
            )
        if X.ndim > 2 and X.shape[1:] not in (shape, (1, *shape), shape[1:]):
            raise ValueError(
                f"X has rows of shape {X.shape[1:]}, but image_shape={shape}. Channels come "
                "first: use X.transpose(0, 3, 1, 2) if they are last."
            )
        if math.prod(X.shape[1:]) != math.prod(shape):
            raise ValueError(
                f"image_shape={shape} has {math.prod(shape)} values, but the rows of X have "
                f"{math.prod(X.shape[1:])}: their products must agree."
            )
        if len(shape) == 2 and not self._sequences:
            shape = (1, *shape)
        return X.reshape(len(X), *shape)

    @property
    def _sequences(self) -> bool:
        """Whether rows of two dimensions are (channels, steps) rather than (height, width)."""
        return False

    def _fit_scale(self, rows: np.ndarray) -> None:
        self._keep_scale(*location_and_scale(rows), rows.dtype)

    def _fit_range(self, rows: np.ndarray) -> None:
        """Location and scale that take all values to [-1, 1]."""
        low, high = float(rows.min()), float(rows.max())
        self._keep_scale((low + high) / 2, (high - low) / 2, rows.dtype)

    def _keep_scale(self, location, scale, dtype) -> None:
        constant = is_constant(location, scale, dtype)
        if constant.all():
            warn("X is constant: it carries no information (0 nats).", UserWarning)
        self.location_ = np.asarray(location, dtype=np.float64)
        self.scale_ = np.where(constant, 1.0, scale)
        self._constant = constant

    def _scale(self, rows: np.ndarray) -> Tensor:
        return standardize(rows, self.location_, self.scale_)

    # ------------------------------------------------------------ conventions

    def __getstate__(self):
        return super().__getstate__() | {"_training_state": None}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.non_deterministic = self.random_state is None
        return tags

    def _fitted_to_tree(self, fitted: dict) -> dict:
        weights = dict(fitted["objective_"].state_dict())
        private = {name: getattr(self, name) for name in ("_built_with", "_constant")}
        return fitted | {"objective_": weights} | private

    def _fitted_from_tree(self, fitted: dict) -> dict:
        vars(self).update(fitted)
        built = copy.copy(self).set_params(**fitted["_built_with"])
        with seeded_initialization(0):
            objective = built._make_objective(tuple(fitted["row_shape_"]))
        objective.load_state_dict(fitted["objective_"])
        return fitted | {"objective_": objective.eval(), "_training_state": None}


def read_columns(name: str, values, n_columns: int, meaning: str) -> Tensor:
    """A table of so many columns, which have that meaning, as float32."""
    try:
        table = check_array(values, dtype="float32", input_name=name)
    except ValueError as error:
        raise ValueError(f"{name} must be rows of {n_columns} finite numbers. {error}") from error
    if table.shape[1] != n_columns:
        raise ValueError(f"{name} has {table.shape[1]} columns, but {meaning}.")
    return torch.from_numpy(np.array(table, order="C"))


def in_working_dtype(X: np.ndarray) -> np.ndarray:
    """X itself if it is uint8 or float32, else as float64: centred first, then cast to float32."""
    return X if X.dtype in (np.uint8, np.float32) else X.astype(np.float64, copy=False)


def location_and_scale(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column, or of each channel, to broadcast over a row."""
    axes = (0, *range(2, rows.ndim))
    with np.errstate(over="ignore", invalid="ignore"):
        location = rows.mean(axes, dtype=np.float64, keepdims=True)
        rows = np.subtract(rows, location, dtype=np.float64)
        rest = rows.mean(axes, keepdims=True)  # a sum of many rows is rounded: of constants, too
        rows -= rest
        scale = np.sqrt(np.square(rows, out=rows).mean(axes, keepdims=True))
    if not np.isfinite(scale).all():
        raise ValueError("X has values too large to standardise. Scale it first.")
    return (location + rest)[0], scale[0]


def is_constant(location, scale, dtype) -> np.ndarray:
    """Which columns do not vary, up to rounding."""
    digits = np.finfo(dtype if dtype == np.float64 else np.float32).eps
    return scale <= digits * np.maximum(np.abs(location), 1e-30)


def standardize(rows: np.ndarray, location: np.ndarray, scale: np.ndarray) -> Tensor:
    """Rows less their location over their scale, a float32 tensor."""
    dtype = np.float64 if rows.dtype == np.float64 else np.float32
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scaled = np.subtract(rows, location.astype(dtype), dtype=dtype)
        scaled /= scale.astype(dtype)
        scaled = scaled.astype(np.float32, copy=False)
    if not (scaled.min() >= -LARGEST_SCALED and scaled.max() <= LARGEST_SCALED):
        within = (np.abs(scaled) <= LARGEST_SCALED).reshape(len(scaled), -1).all(axis=1)
        raise ValueError(
            f"X has values too large, first in row {within.argmin()}: more than "
            f"{LARGEST_SCALED:g} times scale_ from location_, by the rows that were fitted. Bring "
            "X to the units of those, or leave such rows out."
        )
    return torch.from_numpy(scaled)


class BaseRepresentation(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseRowModel):
    """Base class of transformers that train an encoder.

    A subclass defines `_make_objective`, which has the encoder at ``model["encoder"]``.
    """

    _parameter_constraints: dict = {
        **BaseRowModel._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "encoder": [StrOptions({"auto", *ENCODERS}), nn.Module],
        "encoder_width": [Interval(Integral, 2, None, closed="left")],
        "feature_layer": [StrOptions({"global", "fc", "conv"})],
    }

    #: Whether representations are standardised before they take the range of the prior.
    _standardize = True

    @property
    def _prior_weight(self) -> float:
        return 0.0 if getattr(self, "prior", None) is None else self.gamma

    @property
    def _sequences(self) -> bool:
        return self.encoder == "conv1d"

    def _players(self) -> list[Player]:
        options = self._setting("learning_rate"), 1, tuple(self._setting("betas"))
        names = ("model", "discriminator") if self._prior_weight else ("model",)
        return [Player(name, *options) for name in names]

    def _make_encoder(self, shape: tuple[int, ...], name=None, **options) -> Encoder:
        """The encoder, whose representations have the range of the prior."""
        if isinstance(self.encoder, nn.Module):
            if not isinstance(self.encoder, Encoder):
                raise TypeError(
                    "encoder must be an skmi.networks.Encoder, which also returns local features; "
                    f"got a {type(self.encoder).__name__}. Wrap its parts: "
                    "Encoder(local, conv, fc, output)."
                )
            encoder = copy.deepcopy(self.encoder)
        else:
            width = self._setting("encoder_width")
            name = name or self.encoder
            encoder = make_encoder(name, shape, self.n_components, width=width, **options)
        width = trial_output(encoder, shape).y.shape[1]
        if width != self.n_components:
            raise ValueError(
                f"encoder returns representations of width {width}, but n_components="
                f"{self.n_components}. Set n_components={width}."
            )
        if self._prior_weight:
            range_of = range_of_prior(self.prior, self.n_components, standardize=self._standardize)
            encoder.output = nn.Sequential(encoder.output, range_of)
        return encoder

    def _read_encoder(self, make, shape: tuple[int, ...], n_outputs: int, meaning: str) -> Encoder:
        """The module given, or what `make` builds, with so many columns and that meaning."""
        if isinstance(self.encoder, nn.Module):
            encoder = copy.deepcopy(self.encoder)
            if not isinstance(encoder, Encoder):
                encoder = Encoder(nn.Identity(), nn.Identity(), nn.Identity(), encoder)
        else:
            encoder = make()
        found = tuple(trial_output(encoder, shape).y.shape[1:])
        if found != (n_outputs,):
            raise ValueError(
                f"encoder returns rows of shape {found}, but n_components={self.n_components} "
                f"needs {n_outputs} columns: {meaning}."
            )
        return encoder

    # ------------------------------------------------------------ using the encoder

    def transform(self, X):
        """The representation of rows.

        Parameters
        ----------
        X : array-like
            Rows of the shape that was fitted.

        Returns
        -------
        ndarray of float32 of shape (n_samples, n_features_out)
        """
        return self._apply_encoder(self.encoder_rows(X), self._layer)

    def _apply_encoder(self, rows: Tensor, read) -> np.ndarray:
        """What `read` takes of all layers, as columns for each of the encoder's rows."""
        return apply_in_batches(self.encoder_, rows, self.device_, read).numpy()

    def _transform_layers(self, X, names) -> dict[str, np.ndarray]:
        """What `transform` gives for each ``feature_layer``, with one pass of the rows."""
        check_is_fitted(self)
        views = [copy.copy(self) for _ in names]
        for view, name in zip(views, names, strict=True):
            view.feature_layer = name
        columns = self._apply_encoder(
            self.encoder_rows(X),
            lambda layers: torch.cat([view._layer(layers) for view in views], dim=1),
        )
        ends = np.cumsum([view._n_features_out for view in views])
        return dict(zip(names, np.split(columns, ends[:-1], axis=1), strict=True))

    def encoder_rows(self, X) -> Tensor:
        """What the encoder gets of rows: checked, scaled, of the shape that it takes.

        Parameters
        ----------
        X : array-like
            As in `transform`.

        Returns
        -------
        Tensor of shape (n_samples, ...)
        """
        check_is_fitted(self)
        return self._scale(self._validate(X, reset=False))

    def score(self, X, y=None) -> float:
        """The objective on these rows, in nats, with the fitted networks.

        It ranks settings of the encoder and of training, such as ``encoder_width`` or
        ``learning_rate``. Values for other weights, bounds or batch sizes are of another
        objective: rank these by what the representation is for.

        Parameters
        ----------
        X : array-like
            As in `fit`; for an honest value, rows that were not fitted. They are compared in
            batches of ``batch_size`` rows, in order.
        y : None
            Ignored.

        Returns
        -------
        float
            Higher is better.
        """
        return -self.evaluate(X, y)["loss"]

    @property
    def encoder_(self) -> Encoder:
        """The fitted encoder, from scaled rows to `skmi.networks.encoders.Layers`."""
        return self._networks["encoder"]

    @property
    def _networks(self) -> nn.ModuleDict:
        """The fitted networks by name."""
        return self.objective_.model

    def _check_codes(self, X) -> Tensor:
        """Representations to decode."""
        meaning = (
            f"the decoder takes n_components={self.n_components}. Transform with "
            "feature_layer='global'"
        )
        return read_columns("X", X, self.n_components, meaning)

    def _layer(self, layers: Layers) -> Tensor:
        return layers.at(self.feature_layer)

    @property
    def _n_features_out(self) -> int:
        return self._layer(trial_output(self.encoder_, self.row_shape_)).shape[1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
