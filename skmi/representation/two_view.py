"""Two-view InfoMax: representations of two views that tell as much as possible of one another."""

import copy
import hashlib
import math
from collections.abc import Sequence
from itertools import combinations
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skmi._rows import check_same_length
from skmi.base import apply_in_batches
from skmi.bounds import Bound, get_bound, is_saturated, split_matrix
from skmi.critics import CRITICS, as_critic, make_critic
from skmi.exceptions import SaturationWarning, warn
from skmi.networks import VIEW_ENCODERS, checked_copy, make_view_encoder, trial_output
from skmi.representation._base import (
    COMPUTE_CONSTRAINTS,
    BaseRepresentation,
    in_working_dtype,
    is_constant,
    location_and_scale,
    standardize,
)
from skmi.representation._objective import EncoderObjective, full_precision
from skmi.training import count_batches

__all__ = ["TwoViewInfoMaxTransformer"]

#: Bounds whose loss is minus their value, of the scores alone or with one eta.
TWO_VIEW_BOUNDS = ("infonce", "nwj", "dv", "eta-dv", "jsd", "k-pair")
#: Nats below its ceiling from which a contrastive bound leaves little to climb.
NEAR = 0.5
#: Hidden units of a critic: what makes a separable and a concat critic equally large in the paper.
CRITIC_WIDTHS = {"separable": 100, "concat": 200}
#: Rows in which columns are compared, and the fewest values in them that are not equal by chance.
ROWS_THAT_TELL_COLUMNS, VALUES_THAT_TELL_COLUMNS = 2000, 10


class TwoViewInfoMaxTransformer(BaseRepresentation):
    r"""Two-view InfoMax: the non-linear, contrastive relative of canonical correlation analysis.

    Each row has two views, such as the halves of an image, or what two instruments saw. Encoders
    :math:`g_1, g_2` and a critic climb a bound on the information that their representations
    have about one another ([1]_, eq. 2)

    .. math:: \max_{g_1, g_2} I_\mathrm{EST}\bigl(g_1(x^{(1)});\; g_2(x^{(2)})\bigr) ,

    where the views of other rows of the batch are the negatives. With more than two views it is
    the sum over all pairs (contrastive multiview coding, [2]_).

    A tighter bound is not a better representation: what is learned depends on the encoder and
    the critic at least as much as on the bound ([1]_).

    Parameters
    ----------
    n_components : int, default=100
        Width of the representations. Encoders that keep the width of their view, and modules,
        have one of their own.
    views : "halves", sequence of columns, callable or None, default="halves"
        What is made of a row of X. ``"halves"``: the top and bottom of an image, or the first
        and the last columns; of an odd number, the one in the middle belongs to the first.
        ``(columns, columns)``, or more of them: positions, names, masks or slices of columns,
        without overlap. A callable returns the views of an array, rows (n, p) or images
        (n, c, h, w). None: the views are given themselves, ``fit(X1, X2)`` or
        ``fit([X1, X2, X3])``.
    bound : {"infonce", "nwj", "dv", "eta-dv", "jsd", "k-pair"}, default="infonce"
        Bound on the mutual information, with all pairs of rows of a batch.
    critic : str or nn.Module, default="bilinear"
        ``"bilinear"``, ``"separable"``, ``"concat"``, ``"inner-product"`` or another of
        `skmi.critics.CRITICS`. A module ``(z1, z2) -> scores`` is copied.
    critic_width : int or None, default=None
        Hidden units of critics that have any. None: 200 of a concat critic, 100 of others.
    encoder : str, nn.Module, or a sequence of these, default="mlp"
        ``"mlp"`` (two hidden layers), ``"convnet"`` (images), ``"residual-mlp"`` (as wide as the
        view, near the identity at the start) or ``"realnvp"`` (invertible). A module from rows
        to representations (n, d) is copied, for each view. A sequence has one for each view.
    encoder_width : int or None, default=None
        Hidden units, of a ConvNet the channels of the first layer. None: 300, 64 and, for
        RealNVP, 512, as published.
    share_encoder : bool, default=False
        Whether all views have the same encoder, which they must fit.
    target : float or None, default=None
        Match the bound to so many nats, by descending :math:`|I_\mathrm{EST} - t|`, instead of
        raising it: what encoders differ in then is not the bound.
    image_shape : tuple of int or None, default=None
        (height, width) or (channels, height, width) of flat images, before they are cut.
    max_epochs : int, default=30
        Passes over the rows, or the largest number of them if `patience` is given.
    batch_size : int, default=128
        Rows of a batch, of which all pairs are compared.
    learning_rate : float, default=1e-3
        Step size of Adam; 1e-4 in [1]_.
    betas, validation_fraction, patience, tolerance
        As in `DIMTransformer`.
    device, precision, compile, random_state, verbose, warm_start
        As in `DIMTransformer`.

    Attributes
    ----------
    encoder_ : nn.Module
        The fitted encoder of the first view, from scaled rows.
    encoders_ : list of nn.Module
        Those of all views.
    history_ : list of dict
        Of each epoch, ``train_`` and (with `patience`) ``valid_`` ``loss`` and
        ``information``, in nats; of more than two views ``information_1_2`` and so on.
    view_shapes_ : list of tuple of int
        Shape of one row of each view.
    location_, scale_ : ndarray
        What the values of the flattened views, one view after the other, are shifted and divided
        by: mean and standard deviation of each column, or of each channel of images.
    n_iter_, row_shape_, n_features_in_, feature_names_in_
        As in `DIMTransformer`; with ``views=None``, of the first view.

    See Also
    --------
    sklearn.cross_decomposition.CCA : The linear method for two views.
    skmi.evaluation.jacobian_condition_numbers : How hard an encoder is to invert.

    Notes
    -----
    InfoNCE is at most the logarithm of the number of rows of a batch, 4.85 nats of 128. Within
    half a nat of it there is a warning: little is left to learn from such batches, the information
    may be far higher, and values hardly tell settings apart.

    References
    ----------
    .. [1] M. Tschannen, J. Djolonga, P. K. Rubenstein, S. Gelly, M. Lucic, "On mutual information
       maximization for representation learning", ICLR 2020.
    .. [2] Y. Tian, D. Krishnan, P. Isola, "Contrastive multiview coding", ECCV 2020.

    Examples
    --------
    The halves of images:

    >>> from sklearn.datasets import load_digits
    >>> from skmi.representation import TwoViewInfoMaxTransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> infomax = TwoViewInfoMaxTransformer(16, image_shape=(8, 8), max_epochs=3, random_state=0)
    >>> infomax.fit_transform(X).shape
    (1797, 16)

    Two modalities:

    >>> X1, X2 = X[:, :20], X[:, 20:]
    >>> infomax = TwoViewInfoMaxTransformer(8, views=None, max_epochs=3, random_state=0)
    >>> Z1, Z2 = infomax.fit(X1, X2).transform(X1, X2)
    >>> Z1.shape, Z2.shape, infomax.transform(X1).shape
    ((1797, 8), (1797, 8), (1797, 8))
    """

    _parameter_constraints: dict = {
        **BaseRepresentation._parameter_constraints,
        **COMPUTE_CONSTRAINTS,
        "views": [None, StrOptions({"halves"}), list, tuple, callable],
        "bound": [StrOptions(set(TWO_VIEW_BOUNDS))],
        "critic": [StrOptions(set(CRITICS)), nn.Module],
        "critic_width": [None, Interval(Integral, 1, None, closed="left")],
        "encoder": [StrOptions(set(VIEW_ENCODERS)), nn.Module, list, tuple],
        "encoder_width": [None, Interval(Integral, 1, None, closed="left")],
        "share_encoder": ["boolean"],
        "target": [None, Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components=100,
        *,
        views="halves",
        bound="infonce",
        critic="bilinear",
        critic_width=None,
        encoder="mlp",
        encoder_width=None,
        share_encoder=False,
        target=None,
        image_shape=None,
        max_epochs=30,
        batch_size=128,
        learning_rate=1e-3,
        betas=(0.9, 0.999),
        validation_fraction=0.1,
        patience=None,
        tolerance=1e-3,
        device="auto",
        precision="float32",
        compile=False,
        random_state=None,
        verbose=0,
        warm_start=False,
    ):
        self.n_components = n_components
        self.views = views
        self.bound = bound
        self.critic = critic
        self.critic_width = critic_width
        self.encoder = encoder
        self.encoder_width = encoder_width
        self.share_encoder = share_encoder
        self.target = target
        self.image_shape = image_shape
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.betas = betas
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.tolerance = tolerance
        self.device = device
        self.precision = precision
        self.compile = compile
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start

    # ------------------------------------------------------------ fitting and using

    def fit(self, X, y=None):
        """Train the encoders and the critic.

        Parameters
        ----------
        X : array-like, or list of array-like
            Rows of columns (n, p), or images (n, h, w) or (n, c, h, w), from which `views` makes
            the views. With ``views=None`` the first view, or a list of all of them.
        y : array-like or None
            With ``views=None`` the second view, as in `sklearn.cross_decomposition.CCA`. Ignored
            otherwise.

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
        SaturationWarning
            If InfoNCE came near the logarithm of the number of rows of a batch.
        UserWarning
            If a view is constant, or if views that are given or made by a callable have a column
            in common.
        """
        return super().fit(X, y)

    def partial_fit(self, X, y=None):
        """Train for one more epoch on these rows, without early stopping.

        The first call builds the networks and fits the scales on its rows.

        Parameters
        ----------
        X, y : array-like
            As in `fit`.

        Returns
        -------
        self
        """
        return super().partial_fit(X, y)

    def fit_transform(self, X, y=None):
        """Fit, and return what `transform` does of the same arguments.

        Parameters
        ----------
        X, y : array-like
            As in `fit`.

        Returns
        -------
        ndarray or tuple of ndarray
            As in `transform`.
        """
        return self.fit(X, y).transform(X, y if self.views is None else None)

    def transform(self, X, y=None):
        """The representation of the first view, or of all views that are given.

        Parameters
        ----------
        X : array-like, or list of array-like
            As in `fit`. With ``views=None`` the first view alone will do.
        y : array-like or None
            With ``views=None`` the second view.

        Returns
        -------
        ndarray of float32 of shape (n_samples, n_features_out), or tuple of these
            With a rule for the views, or the first view alone: its representation. With two
            views as arguments, or a list: one for each view. See also `transform_views`.
        """
        check_is_fitted(self)
        if self.views is None and (y is not None or _is_list(X)):
            return self.transform_views(X, y)
        if y is not None:
            raise ValueError(
                f"views={_shown(self.views)} makes all views of X, so transform takes no second "
                "argument. Use transform_views(X) for the representations of all views."
            )
        return self._encode(0, self.encoder_rows(X))

    def encoder_rows(self, X) -> Tensor:
        """What the encoder of the first view gets of rows: checked and scaled.

        Parameters
        ----------
        X : array-like
            As in `fit`; with ``views=None``, the first view.

        Returns
        -------
        Tensor of shape (n_samples, ...)
        """
        check_is_fitted(self)
        if self.views is not None:
            return self.objective_.split(super().encoder_rows(X))[0]
        first = super()._validate(X, reset=False)
        flat = slice(math.prod(self.view_shapes_[0]))
        rows = standardize(_flat(first), self.location_[flat], self.scale_[flat])
        return rows.unflatten(1, first.shape[1:])

    def transform_views(self, X, y=None) -> tuple[np.ndarray, ...]:
        """The representations of all views.

        Parameters
        ----------
        X, y : array-like
            As in `fit`.

        Returns
        -------
        tuple of ndarray of float32 of shape (n_samples, d)
        """
        check_is_fitted(self)
        rows = self._scale(self._validate(X, y, reset=False))
        return tuple(self._encode(i, view) for i, view in enumerate(self.objective_.split(rows)))

    def score(self, X, y=None) -> float:
        """The bound on these rows in nats, or minus its distance from `target`.

        Of more than two views it is the sum over pairs. Values of different bounds, or of
        batches of different sizes, do not compare, nor are they measures of what the
        representation is good for.

        Parameters
        ----------
        X, y : array-like
            As in `fit`; for an honest value, rows that were not fitted. They are compared in
            batches of ``batch_size`` rows, in order.

        Returns
        -------
        float
            Higher is better.

        Warns
        -----
        SaturationWarning
            If InfoNCE is near the logarithm of the number of rows of a batch.
        """
        check_is_fitted(self)
        rows = self._validate(X, y, reset=False)
        terms = self._terms_of(self._scale(rows))
        self._warn_of_saturation(terms, -(-len(rows) // count_batches(len(rows), self.batch_size)))
        return -terms["loss"]

    def _encode(self, number: int, view: Tensor) -> np.ndarray:
        return apply_in_batches(self.encoders_[number], view, self.device_).numpy()

    @property
    def encoders_(self) -> list[nn.Module]:
        """The fitted encoders, from scaled rows of each view to representations."""
        return [self.objective_.encoder(i) for i in range(len(self.view_shapes_))]

    @property
    def encoder_(self) -> nn.Module:
        """The fitted encoder of the first view."""
        return self.objective_.encoder(0)

    @property
    def _n_features_out(self) -> int:
        return trial_output(self.encoder_, self.view_shapes_[0]).shape[1]

    def _trainer_options(self):
        return {"precision": self.precision, "compile": self.compile}

    # ------------------------------------------------------------ networks

    def _check_settings(self):
        if self.target is not None and self.bound == "jsd":
            raise ValueError(
                "target is in nats, which bound='jsd' does not measure. Use another bound."
            )

    def _prepare(self, X, y, *, reset):
        shape = getattr(y, "shape", ())
        if self.views is not None and len(shape) > 1 and shape[1] > 1:
            warn(
                f"y has shape {tuple(shape)} and is not used: views={_shown(self.views)} makes all "
                "views of X. Set views=None if y is the second view.",
                UserWarning,
            )
        if self.views is None and len(shape) == 1 and np.asarray(y).dtype.kind in "iubOU":
            warn(
                "y has one column of labels or whole numbers, and is taken as the second view. If "
                "it is for a later step, give X as a list of views, or set views to make them of "
                "X.",
                UserWarning,
            )
        (rows,) = super()._prepare(X, y, reset=reset)
        size = self._rows_of_batch(len(rows))
        contrastive = get_bound(self.bound).contrastive
        if self.target is not None and contrastive and self.target >= math.log(size):
            raise ValueError(
                f"target={self.target} is out of reach: with batches of {size} rows, bound="
                f"{self.bound!r} stays below log({size}) = {math.log(size):.2f} nats. Lower it, or "
                f"use batches of more than {math.exp(self.target):.0f} rows: batch_size="
                f"{self.batch_size}, and there are {len(rows)} rows."
            )
        return (rows,)

    def _rows_of_batch(self, n_rows: int) -> int:
        """How many rows a batch has in `fit`."""
        return min(self.batch_size, n_rows - self._count_stop_rows(n_rows))

    def _train(self, rows, *, go_on, epochs):
        super()._train(rows, go_on=go_on, epochs=epochs)
        if epochs is None:
            self._warn_of_saturation(self.history_[-1], self._rows_of_batch(len(rows)))
        return self

    def _warn_of_saturation(self, terms: dict[str, float], n_rows: int) -> None:
        """Warn if a contrastive bound is near what batches of so many rows allow."""
        if self.target is not None or not get_bound(self.bound).contrastive:
            return
        nats = max(value for name, value in terms.items() if "information" in name)
        if is_saturated(nats, math.log(n_rows), within=NEAR):
            warn(
                f"bound={self.bound!r} is {nats:.2f} nats, and with batches of {n_rows} rows it "
                f"never exceeds log({n_rows}) = {math.log(n_rows):.2f}: little is left to learn "
                "from them, and the information may be far higher. Raise batch_size.",
                SaturationWarning,
            )

    def _make_objective(self, shape):
        encoders = self._make_encoders()
        widths = [
            self._width_of(encoders[i if len(encoders) > 1 else 0], i)
            for i in range(len(self.view_shapes_))
        ]
        pairs = list(combinations(range(len(widths)), 2))
        critics = [self._make_critic(i, j, widths[i], widths[j]) for i, j in pairs]
        model = {"encoders": nn.ModuleList(encoders), "critics": nn.ModuleList(critics)}
        return PairsObjective(
            nn.ModuleDict(model),
            get_bound(self.bound),
            shapes=self.view_shapes_,
            target=self.target,
            n_components=widths[0],
        )

    def _make_encoders(self) -> list[nn.Module]:
        """The encoder of each view, or the one of all."""
        shapes, given = self.view_shapes_, self.encoder
        if self.share_encoder:
            if isinstance(given, list | tuple):
                raise ValueError("share_encoder=True takes one encoder, not a sequence of them.")
            if len(set(shapes)) > 1:
                raise ValueError(
                    f"share_encoder=True needs views of one shape, but they have {shapes}. Use "
                    "share_encoder=False, or other views."
                )
            shapes, given = shapes[:1], [given]
        elif not isinstance(given, list | tuple):
            given = [given] * len(shapes)
        if len(given) != len(shapes):
            raise ValueError(f"encoder has {len(given)} entries for {len(shapes)} views.")
        encoders = []
        for encoder, shape in zip(given, shapes, strict=True):
            if isinstance(encoder, nn.Module):
                encoders.append(copy.deepcopy(encoder))
            else:
                options = {"width": self.encoder_width}
                encoders.append(make_view_encoder(encoder, shape, self.n_components, **options))
        return encoders

    def _width_of(self, encoder: nn.Module, number: int) -> int:
        name = f"encoder of view {number + 1}"
        z = trial_output(encoder, self.view_shapes_[number], name=name)
        if not isinstance(z, Tensor) or z.ndim != 2 or len(z) != 2:
            got = tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__
            raise ValueError(
                f"{name} must return one representation a row, shape (n, d), but of 2 rows it "
                f"returns {got}. End it in nn.Flatten(), for one."
            )
        return z.shape[1]

    def _make_critic(self, i: int, j: int, n_i: int, n_j: int) -> nn.Module:
        if isinstance(self.critic, nn.Module):
            name = f"critic of the representations of views {i + 1} and {j + 1}"
            return as_critic(checked_copy(name, self.critic, [(n_i,), (n_j,)], (1,)))
        if self.critic == "inner-product" and n_i != n_j:
            raise ValueError(
                f"critic='inner-product' needs representations of one width, but the encoders of "
                f"views {i + 1} and {j + 1} return {n_i} and {n_j}. Use critic='bilinear', or "
                "encoders of one width."
            )
        width = self.critic_width or CRITIC_WIDTHS.get(self.critic, 100)
        return make_critic(self.critic, n_i, n_j, hidden_layer_sizes=(width,), activation="relu")

    # ------------------------------------------------------------ reading views

    def _validate(self, X, y=None, *, reset):
        """The flattened views side by side."""
        arrays = self._read_views(X, y, reset)
        if len(arrays) < 2:
            raise ValueError(f"views must be at least two, got {len(arrays)}.")
        shapes = [tuple(array.shape[1:]) for array in arrays]
        if reset:
            self.view_shapes_ = shapes
            if self.views is None or callable(self.views):
                _warn_of_shared_columns(arrays)
        elif shapes != [tuple(shape) for shape in self.view_shapes_]:
            raise ValueError(
                f"The views have rows of shapes {shapes}, but {type(self).__name__} was fitted on "
                f"rows of shapes {list(self.view_shapes_)}."
            )
        return np.concatenate([_flat(array) for array in arrays], axis=1)

    def _read_views(self, X, y, reset: bool) -> list[np.ndarray]:
        if self.views is None:
            return self._read_given_views(X, y, reset)
        if _is_list(X) and len(X) < 4:
            raise ValueError(
                f"X is a list of {len(X)} arrays, but views={_shown(self.views)} makes the views "
                "of one array. Set views=None to give the views themselves."
            )
        rows = super()._validate(X, reset=reset)
        if isinstance(self.views, str):
            return _halves(rows)
        if callable(self.views):
            return _made_views(self.views, rows)
        names = getattr(self, "feature_names_in_", None)
        return _columns_of_views(self.views, rows, names)

    def _read_given_views(self, X, y, reset: bool) -> list[np.ndarray]:
        if self.image_shape is not None:
            raise ValueError(
                "image_shape is for views that are made of X. With views=None give images as "
                "arrays of shape (n, h, w) or (n, c, h, w)."
            )
        if _is_list(X) and y is not None and len(X) not in (0, len(y)):  # or X is a list of images
            raise ValueError(
                "X is a list of views already, so that y is not a further one: leave it out, or "
                "append it to the list."
            )
        given = list(X) if _is_list(X) and y is None else [X, y]
        if any(view is None for view in given):
            raise ValueError(
                "views=None needs the views themselves: fit(X1, X2), or fit([X1, X2, X3]); a "
                "column has shape (n, 1). Say views='halves' or views=(columns, columns) to make "
                "them of X."
            )
        if not given:
            raise ValueError("X is an empty list of views.")
        arrays = [super()._validate(given[0], reset=reset)]
        for number, view in enumerate(given[1:], start=2):
            name = "y" if y is not None else f"view {number}"
            arrays.append(_read_view(view, name))
            check_same_length(**{"view 1": arrays[0], name: arrays[-1]})
        names = [_column_names(view) for view in given[1:]]
        if reset:
            self.view_names_ = names
        for number, (now, fitted) in enumerate(zip(names, self.view_names_, strict=False), start=2):
            if None not in (now, fitted) and now != fitted:
                raise ValueError(
                    f"view {number} has the columns {now}, but was fitted with {fitted}. Give the "
                    "same columns in the same order."
                )
        return arrays

    def _fit_scale(self, rows):
        ends = np.cumsum([math.prod(shape) for shape in self.view_shapes_])
        parts, constant = [], []
        for part, shape in zip(np.split(rows, ends[:-1], axis=1), self.view_shapes_, strict=True):
            values = location_and_scale(part.reshape(len(rows), *shape))
            parts.append([np.broadcast_to(value, shape).ravel() for value in values])
            constant.append(is_constant(*values, rows.dtype).all())
        if any(constant) and not all(constant):
            warn(
                f"View {constant.index(True) + 1} is constant: it carries no information about "
                "others (0 nats). Choose other views.",
                UserWarning,
            )
        location, scale = (np.concatenate(values) for values in zip(*parts, strict=True))
        self._keep_scale(location, scale, rows.dtype)


class PairsObjective(EncoderObjective):
    """The bound of each pair of views, or its distance from a target.

    Parameters
    ----------
    model : nn.ModuleDict
        ``encoders``, one for each view or one for all, and ``critics``, one for each pair.
    bound : Bound
    shapes : list of tuple of int
        Of one row of each view.
    target : float or None
        As in `TwoViewInfoMaxTransformer`.
    **options
        See `EncoderObjective`.
    """

    def __init__(self, model: nn.ModuleDict, bound: Bound, *, shapes, target=None, **options):
        super().__init__(model, **options)
        self.bound, self.shapes, self.target = bound, [tuple(shape) for shape in shapes], target
        self.pairs = list(combinations(range(len(shapes)), 2))
        if bound.has_eta:
            model["etas"] = nn.ParameterList(torch.zeros(()) for _ in self.pairs)

    def encoder(self, number: int) -> nn.Module:
        """The encoder of a view."""
        encoders = self.model["encoders"]
        return encoders[number if len(encoders) > 1 else 0]

    def split(self, rows: Tensor) -> list[Tensor]:
        """The views of rows that hold them side by side."""
        parts = rows.split([math.prod(shape) for shape in self.shapes], dim=1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def _terms(self, x, generator):
        z = [self.encoder(i)(view) for i, view in enumerate(self.split(x))]
        losses, terms = [], {}
        for number, (i, j) in enumerate(self.pairs):
            scores = full_precision(self.model["critics"][number].matrix(z[i], z[j]))
            eta = self.model["etas"][number] if self.bound.has_eta else None
            value, nats = self.bound.value_and_nats(*split_matrix(scores), eta)
            losses.append(-value if self.target is None else (nats - self.target).abs())
            name = "information" if len(self.pairs) == 1 else f"information_{i + 1}_{j + 1}"
            terms[name] = nats.detach()
        return None, sum(losses), terms


# -------------------------------------------------------------------------------- views


def _is_list(X) -> bool:
    """Whether X is a list of views rather than rows: its entries are arrays themselves."""
    return isinstance(X, list | tuple) and all(np.ndim(view) >= 2 for view in X)


def _shown(views) -> str:
    return repr(views) if isinstance(views, str) else "(columns, columns) or a callable"


def _flat(rows: np.ndarray) -> np.ndarray:
    return rows.reshape(len(rows), -1)


def _column_names(view) -> list[str] | None:
    """The names of the columns of a view, if it has any."""
    columns = getattr(view, "columns", None)
    return None if columns is None else [str(name) for name in columns]


def _read_view(view, name: str) -> np.ndarray:
    """A view as rows of a shape that networks see."""
    shape = tuple(getattr(view, "shape", ()))
    if 0 in shape:
        raise ValueError(f"{name} is empty: it has shape {shape}.")
    options = {"ensure_2d": False, "allow_nd": True, "dtype": "numeric"}
    rows = in_working_dtype(check_array(view, input_name=name, **options))
    return rows[:, None] if rows.ndim in (1, 3) else rows  # a column; images of one channel


def _halves(rows: np.ndarray) -> list[np.ndarray]:
    """Top and bottom, or first and last columns; the middle one of an odd number goes first."""
    axis = 2 if rows.ndim == 4 else 1
    n_lines = rows.shape[axis]
    if n_lines < 2:
        what = "1 feature(s)" if axis == 1 else "images of 1 row"
        raise ValueError(
            f"X has {what} (n_features=1), which views='halves' cannot cut in two. Use at least 2, "
            "or views=None with two arrays."
        )
    return np.split(rows, [(n_lines + 1) // 2], axis=axis)


def _made_views(make, rows: np.ndarray) -> list[np.ndarray]:
    made = make(rows)
    if not isinstance(made, list | tuple):
        raise TypeError(
            f"views must return a list or tuple of arrays, got a {type(made).__name__}."
        )
    arrays = [_read_view(view, f"view {i}") for i, view in enumerate(made, start=1)]
    for i, array in enumerate(arrays, start=1):
        check_same_length(**{"X": rows, f"view {i}": array})
    return arrays


def _warn_of_shared_columns(arrays: list[np.ndarray]) -> None:
    """Warn if a column of a view, or a pixel, is one of another view too."""
    owners: dict[bytes, tuple[int, int]] = {}
    for number, array in enumerate(arrays, start=1):
        columns = _flat(array[:ROWS_THAT_TELL_COLUMNS]).T.astype(np.float32)
        for position, column in enumerate(columns):
            key = hashlib.blake2b(column.tobytes(), digest_size=16).digest()
            owner, first = owners.setdefault(key, (number, position))
            if owner != number and len(np.unique(column)) >= VALUES_THAT_TELL_COLUMNS:
                warn(
                    f"The views overlap: column {position} of view {number} is column {first} of "
                    f"view {owner}, which would tell all that is to be learned. Give what they "
                    "share to one of them.",
                    UserWarning,
                )
                return


def _columns_of_views(views: Sequence, rows: np.ndarray, names) -> list[np.ndarray]:
    if rows.ndim != 2:
        raise ValueError(
            f"views=(columns, columns) takes rows of columns, but X has rows of shape "
            f"{rows.shape[1:]}. Use views='halves', or a callable that cuts images."
        )
    n_features = rows.shape[1]
    positions = [_positions(columns, i, n_features, names) for i, columns in enumerate(views, 1)]
    owners: dict[int, int] = {}
    for i, columns in enumerate(positions, start=1):
        for column in columns.tolist():
            if owners.get(column) == i:
                raise ValueError(f"view {i} has column {column} twice. Name it once.")
            if column in owners:
                raise ValueError(
                    f"views {owners[column]} and {i} overlap: both have column {column}, which "
                    "would tell all that is to be learned. Give each column to one view."
                )
            owners[column] = i
    return [rows[:, columns] for columns in positions]


def _positions(columns, number: int, n_features: int, names) -> np.ndarray:
    """Positions of the columns of a view, which may be names, numbers, a mask or a slice."""
    if isinstance(columns, slice):
        positions = np.arange(n_features)[columns]
    else:
        columns = np.atleast_1d(np.asarray(columns))
        if columns.dtype.kind in "USO" and columns.size:
            known = {} if names is None else {name: i for i, name in enumerate(names)}
            unknown = [name for name in columns.tolist() if name not in known]
            if unknown:
                raise ValueError(
                    f"view {number} has the column {unknown[0]!r}, which X does not have."
                    + (" X has no names: use positions." if names is None else "")
                )
            positions = np.array([known[name] for name in columns.tolist()])
        elif columns.dtype == bool and len(columns) != n_features:
            raise ValueError(
                f"view {number} is a mask of {len(columns)} columns, but X has {n_features}."
            )
        elif columns.size and columns.dtype.kind not in "biu":
            raise TypeError(f"view {number} must be columns of X: positions, names or a mask.")
        else:
            outside = [c for c in columns.tolist() if not -n_features <= c < n_features]
            if outside:
                raise ValueError(
                    f"view {number} has column {outside[0]}, but X has {n_features} feature(s) "
                    f"(n_features={n_features})."
                )
            positions = np.arange(n_features)[columns] if columns.size else columns
    if not len(positions):
        raise ValueError(f"view {number} is empty: it has no column of X.")
    return positions
