"""Noise as targets: representations pulled to fixed random points of a sphere."""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from skmi.representation._base import BaseRepresentation
from skmi.representation._objective import EncoderObjective
from skmi.representation._priors import PRIORS, range_of_prior

__all__ = ["NATTransformer"]


class NATTransformer(BaseRepresentation):
    r"""Noise as targets: each row is pulled to a random point of the unit sphere of its own.

    The points :math:`c_i` are drawn once. The rows of each batch exchange theirs for the least
    total distance, and the encoder takes a step on ([1]_, eq. 3)

    .. math:: \min_{P} \frac{1}{B} \sum_i \lVert E(x_i) - c_{P(i)} \rVert^2 ,

    so that alike rows come to lie together and all of them cover the sphere. A baseline of Deep
    InfoMax ([2]_, section 4), which matches a prior by an adversary instead. The encoders are
    those of `DIMTransformer`.

    Parameters
    ----------
    n_components : int, default=64
        Width of the representation, whose rows have length 1.
    encoder, encoder_width, image_shape, feature_layer
        As in `DIMTransformer`.
    max_epochs, batch_size, learning_rate, betas, validation_fraction, patience, tolerance
        As in `DIMTransformer`.
    device, random_state, verbose, warm_start
        As in `DIMTransformer`.

    Attributes
    ----------
    encoder_ : Encoder
        The fitted encoder, from scaled rows to all layers.
    history_ : list of dict
        Of each epoch, ``train_`` and ``valid_`` ``loss``, the mean squared distance to the
        targets. Held-out rows are given the best of as many random points of the sphere.
    n_iter_, location_, scale_, row_shape_, n_features_in_, feature_names_in_
        As in `DIMTransformer`.

    References
    ----------
    .. [1] P. Bojanowski, A. Joulin, "Unsupervised learning by predicting noise", ICML 2017.
    .. [2] R. D. Hjelm et al., "Learning deep representations by mutual information estimation
       and maximization", ICLR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skmi.representation import NATTransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> nat = NATTransformer(8, image_shape=(8, 8), max_epochs=3, patience=None, random_state=0)
    >>> bool(np.allclose(np.linalg.norm(nat.fit_transform(X), axis=1), 1, atol=1e-5))
    True
    """

    def __init__(
        self,
        n_components=64,
        *,
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
        encoder = self._make_encoder(shape)
        encoder.output = nn.Sequential(
            encoder.output, range_of_prior("sphere", 0, standardize=False)
        )
        return NoiseObjective(
            nn.ModuleDict({"encoder": encoder}), n_components=self.n_components, seed=self.seed_
        )

    def _batch_tensors(self, rows, indices):
        return [rows, indices]


class NoiseObjective(EncoderObjective):
    """The squared distance to the targets of the rows of a batch, shared out anew.

    Parameters
    ----------
    model : nn.ModuleDict
        The encoder.
    n_components : int
    seed : int
        Of the targets.
    """

    def __init__(self, model: nn.ModuleDict, *, n_components: int, seed: int):
        super().__init__(model, n_components=n_components)
        self.register_buffer("targets", torch.empty(0, n_components), persistent=False)
        self.seed = seed

    def get_extra_state(self) -> Tensor:  # saved like a buffer, but its length may change
        return self.targets

    def set_extra_state(self, state: Tensor) -> None:
        self.targets = state

    def _terms(self, x, rows, generator):
        y = self.model["encoder"](x).y
        if self.training:
            targets = self._assign(y, self._targets_of(rows))
            self.targets[rows] = targets
        else:
            targets = self._assign(y, PRIORS["sphere"](tuple(y.shape), generator))
        loss = (y - targets).square().sum(1).mean()
        return y, loss, {}

    def _targets_of(self, rows: Tensor) -> Tensor:
        """The targets of some rows; those of rows not seen yet are drawn first."""
        n_more = int(rows.max()) + 1 - len(self.targets)
        if n_more > 0:
            generator = torch.Generator().manual_seed(self.seed + len(self.targets))
            more = PRIORS["sphere"]((n_more, self.targets.shape[1]), generator)
            self.targets = torch.cat([self.targets, more.to(self.targets.device)])
        return self.targets[rows]

    @staticmethod
    @torch.no_grad()
    def _assign(y: Tensor, targets: Tensor) -> Tensor:
        """The targets in the order of the least total distance to y."""
        similarities = (y @ targets.T).nan_to_num().cpu().numpy()
        _, order = linear_sum_assignment(similarities, maximize=True)
        return targets[torch.from_numpy(order).to(targets.device)]
