"""Networks trained to tell a target from a representation: what probes and decoders share."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from skmi.base import (
    BaseNeuralEstimator,
    apply_in_batches,
    infer_device,
    seeded_initialization,
)
from skmi.evaluation._data import read_rows
from skmi.exceptions import ConvergenceWarning, warn
from skmi.training import EPOCH_ROWS, Player, auto_batch_size, count_stop_rows

__all__ = ["SupervisedNet"]


class SupervisedObjective(nn.Module):
    """The loss of a network's output against the target."""

    def __init__(self, network: nn.Module, loss):
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, rows: Tensor, target: Tensor, player: str) -> dict[str, Tensor]:
        return {"loss": self.loss(self.network(rows), target)}


class SupervisedNet(BaseNeuralEstimator):
    """Base class of estimators that train one network on a standardised representation.

    Training stops when the loss on a held-out part of the rows no longer falls, with the best
    weights on that part. A subclass sets in its ``fit`` what `_make_network` needs, and calls
    `_train`.
    """

    _parameter_constraints: dict = {
        **BaseNeuralEstimator._parameter_constraints,
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    }

    def _make_network(self, n_in: int, seed: int) -> nn.Module:
        raise NotImplementedError

    def _train(self, Z: np.ndarray, target: Tensor, loss, tolerance: float) -> None:
        self.device_, seed = infer_device(self.device), self._draw_seed()
        self.row_shape_ = Z.shape[1:]
        self.scaler_ = StandardScaler().fit(Z.reshape(len(Z), -1))
        with seeded_initialization(seed):
            network = self._make_network(self.scaler_.n_features_in_, seed)
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(Z)))
        n_stop = count_stop_rows(len(Z), self.validation_fraction)
        data = self._standardize(Z), target
        stop, fit = ([t[rows] for t in data] for rows in (order[:n_stop], order[n_stop:]))
        trainer = self._run_trainer(
            SupervisedObjective(network, loss),
            fit,
            stop,
            Z,
            target,
            players=[Player("network", self.learning_rate)],
            batch_size=auto_batch_size(len(fit[0])),
            epoch_rows=EPOCH_ROWS,
            tolerance=tolerance,
            seed=seed,
        )
        self.network_ = network
        self.n_epochs_ = len(trainer.history)
        if self.n_epochs_ == self.max_epochs and not trainer.stopped_early_:
            warn(
                f"The network was still improving after max_epochs={self.max_epochs}: more may "
                "be found in the representation. Raise max_epochs or learning_rate.",
                ConvergenceWarning,
            )

    def _standardize(self, Z: np.ndarray) -> Tensor:
        rows = self.scaler_.transform(Z.reshape(len(Z), -1))
        return torch.from_numpy(rows.astype(np.float32, copy=False))

    def _output(self, Z) -> Tensor:
        """What the network makes of new rows, on the CPU."""
        Z = read_rows("Z", Z)
        if Z.shape[1:] != self.row_shape_:
            raise ValueError(
                f"Z has rows of shape {Z.shape[1:]}, but {type(self).__name__} was fitted on rows "
                f"of shape {self.row_shape_}. Encode them with the same encoder and layer."
            )
        return apply_in_batches(self.network_, self._standardize(Z), self.device_)

    def _fitted_to_tree(self, fitted: dict) -> dict:
        return fitted | {"network_": dict(fitted["network_"].state_dict())}

    def _fitted_from_tree(self, fitted: dict) -> dict:
        vars(self).update(fitted)
        network = self._make_network(self.scaler_.n_features_in_, seed=0)
        network.load_state_dict(fitted["network_"])
        return fitted | {"network_": network.eval()}
