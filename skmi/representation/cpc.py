"""Contrastive predictive coding: summaries of what came so far predict what comes next."""

import math
from numbers import Integral

from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn

from skmi.bounds import Bound, get_bound, split_matrix
from skmi.critics import make_critic
from skmi.networks import Encoder, trial_output
from skmi.representation._base import BaseRepresentation
from skmi.representation._objective import EncoderObjective

__all__ = ["CPCTransformer"]

#: Bounds whose loss is minus their value, of the scores alone.
CPC_BOUNDS = ("infonce", "jsd", "dv", "nwj")


class CPCTransformer(BaseRepresentation):
    r"""Contrastive predictive coding, the ordered counterpart of Deep InfoMax.

    A recurrent network (GRU) reads the local features :math:`z_r` of an image row by row, each
    column on its own, or those of a sequence step by step. Its state :math:`c_r` summarises the
    rows so far, and critics, one for each distance k, relate it to a row that is still to come:

    .. math:: \max \sum_{k=1}^{K} \frac{1}{R - k} \sum_r I(c_r; z_{r + k})

    with the same place of the other images of the batch as negatives. The representation is the
    mean over the columns of the last state. As in Deep InfoMax ([2]_, section 4.2), which compares
    itself with it, the critics are encode-and-dot, and any bound serves.

    Parameters
    ----------
    n_components : int, default=64
        Width of the representation, and of the recurrent state.
    bound : {"infonce", "jsd", "dv", "nwj"}, default="infonce"
        Bound on the mutual information of summaries and places.
    n_steps : int, default=3
        Largest distance K of the rows to predict.
    critic_width : int, default=256
        Hidden width of the critics.
    encoder : str or Encoder, default="auto"
        Its local features are read. ``"auto"``: ``"strided-crop"`` for images, whose crops
        share pixels with those of the next row only. Of the others (see `DIMTransformer`) the
        features of more rows overlap, which makes the task easier. ``"conv1d"`` is for sequences.
    encoder_width, image_shape, feature_layer
        As in `DIMTransformer`. The layer ``"conv"`` is the local features, ``"fc"`` the
        last state of each column.
    max_epochs, batch_size, learning_rate, betas, validation_fraction, patience, tolerance
        As in `DIMTransformer`.
    device, random_state, verbose, warm_start
        As in `DIMTransformer`.

    Attributes
    ----------
    encoder_ : Encoder
        The fitted encoder, from scaled rows to all layers.
    history_ : list of dict
        Of each epoch, ``train_`` and ``valid_`` ``loss`` and ``step_1``, ``step_2``, ...: the
        information in nats about the row so many rows ahead.
    n_iter_, location_, scale_, row_shape_, n_features_in_, feature_names_in_
        As in `DIMTransformer`.

    References
    ----------
    .. [1] A. van den Oord, Y. Li, O. Vinyals, "Representation learning with contrastive
       predictive coding", 2018.
    .. [2] R. D. Hjelm et al., "Learning deep representations by mutual information estimation
       and maximization", ICLR 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmi.representation import CPCTransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> cpc = CPCTransformer(8, image_shape=(8, 8), max_epochs=2, patience=None, random_state=0)
    >>> cpc.fit_transform(X[:500]).shape
    (500, 8)
    """

    _parameter_constraints: dict = {
        **BaseRepresentation._parameter_constraints,
        "bound": [StrOptions(set(CPC_BOUNDS))],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "critic_width": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_components=64,
        *,
        bound="infonce",
        n_steps=3,
        critic_width=256,
        encoder="auto",
        encoder_width=32,
        feature_layer="global",
        image_shape=None,
        max_epochs=30,
        batch_size=64,
        learning_rate=1e-3,
        betas=(0.9, 0.999),
        validation_fraction=0.1,
        patience=None,
        tolerance=1e-3,
        device="auto",
        random_state=None,
        verbose=0,
        warm_start=False,
    ):
        self.n_components = n_components
        self.bound = bound
        self.n_steps = n_steps
        self.critic_width = critic_width
        self.encoder = encoder
        self.encoder_width = encoder_width
        self.feature_layer = feature_layer
        self.image_shape = image_shape
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.betas = betas
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.tolerance = tolerance
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start

    def _make_objective(self, shape):
        local = self._make_encoder(shape).local
        _, n_features, *grid = trial_output(local, shape).shape
        if grid[0] <= self.n_steps:
            raise ValueError(
                f"n_steps={self.n_steps} needs more than {self.n_steps} rows of local features, "
                f"but there are {grid[0]} (n_features={math.prod(shape)}). Use fewer steps, larger "
                "images or another encoder."
            )
        summary = ColumnSummary(n_features, self.n_components, grid)
        critics = [
            make_critic(
                "encode-and-dot",
                self.n_components,
                n_features,
                hidden_layer_sizes=(self.critic_width,),
                activation="relu",
            )
            for _ in range(self.n_steps)
        ]
        encoder = Encoder(local, nn.Identity(), summary, ColumnMean(self.n_components))
        return PredictionObjective(
            nn.ModuleDict({"encoder": encoder, "critics": nn.ModuleList(critics)}),
            get_bound(self.bound),
            n_components=self.n_components,
        )

    def _make_encoder(self, shape, **options):
        if self.encoder == "auto" and len(shape) == 3:
            return super()._make_encoder(shape, name="strided-crop", **options)
        return super()._make_encoder(shape, **options)


class ColumnSummary(nn.Module):
    """A recurrent network over the rows of a map, or the groups or steps of a sequence.

    Parameters
    ----------
    n_features : int
        Channels of the map.
    n_hidden : int
        Width of the state.
    grid : sequence of int
        Rows of the map, and columns, if it has any.
    """

    def __init__(self, n_features: int, n_hidden: int, grid):
        super().__init__()
        self.n_columns = grid[1] if len(grid) > 1 else 1
        self.gru = nn.GRU(n_features, n_hidden, batch_first=True)

    def states(self, local: Tensor) -> tuple[Tensor, Tensor]:
        """Features and states of every row of every column, shapes (R, W, B, C), (R, W, B, H)."""
        features = local.flatten(3) if local.ndim > 3 else local[..., None]  # (B, C, R, W)
        n_rows = len(features)
        columns = features.permute(3, 0, 2, 1).flatten(0, 1)  # (W B, R, C)
        states, _ = self.gru(columns)
        return tuple(
            values.unflatten(0, (self.n_columns, n_rows)).permute(2, 0, 1, 3)
            for values in (columns, states)
        )

    def forward(self, local: Tensor) -> Tensor:
        _, states = self.states(local)
        return states[-1].movedim(0, 1).flatten(1)


class ColumnMean(nn.Module):
    """The mean of the columns' states."""

    def __init__(self, n_hidden: int):
        super().__init__()
        self.n_hidden = n_hidden

    def forward(self, states: Tensor) -> Tensor:
        return states.unflatten(1, (-1, self.n_hidden)).mean(1)


class PredictionObjective(EncoderObjective):
    """The information of summaries about the rows that follow."""

    def __init__(self, model: nn.ModuleDict, bound: Bound, **options):
        super().__init__(model, **options)
        self.bound = bound

    def _terms(self, x, generator):
        encoder = self.model["encoder"]
        local = encoder.local(x)
        features, states = encoder.fc.states(local)
        loss, terms = x.new_zeros(()), {}
        for step, critic in enumerate(self.model["critics"], start=1):
            now, later = states[:-step].flatten(0, 1), features[step:].flatten(0, 1)
            c, z = critic.embed_x(now.flatten(0, 1)), critic.embed_y(later.flatten(0, 1))
            scores = c.view(*now.shape[:2], -1) @ z.view(*later.shape[:2], -1).mT  # (places, B, B)
            joint, product = split_matrix(scores.movedim(0, -1))
            joint, product = joint.T.flatten(), product.movedim(2, 0).flatten(0, 1)
            loss = loss - self.bound.value(joint, product)
            terms[f"step_{step}"] = self.bound.nats(joint, product).detach()
        return None, loss, terms
