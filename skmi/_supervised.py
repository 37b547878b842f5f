"""Networks trained to tell a target: what probes, decoders and classifiers share."""

import math
from itertools import pairwise
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.callback import with_callbacks
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn import functional as F

from skmi._rows import read_rows
from skmi.base import (
    BaseNeuralEstimator,
    apply_in_batches,
    check_widths,
    infer_device,
    limit_threads,
    seeded_initialization,
)
from skmi.exceptions import ConvergenceWarning, warn
from skmi.training import EPOCH_ROWS, Player, auto_batch_size, count_stop_rows

__all__ = ["NetClassifier", "SupervisedNet", "read_classes", "stratified_order"]

#: Smallest fall of the cross-entropy, in nats, that counts as an improvement.
TOLERANCE = 1e-3


def read_classes(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The classes that labels are of, at least two, and the number of each label's class."""
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y holds one class, {classes.tolist()[0]!r}; at least two are needed to tell them "
            "apart."
        )
    return classes, codes


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
        inputs = self._fit_inputs(Z)
        with seeded_initialization(seed):
            network = self._make_network(math.prod(inputs.shape[1:]), seed)
        order = torch.from_numpy(self._draw_order(np.random.default_rng(seed), target))
        n_stop = count_stop_rows(len(Z), self.validation_fraction)
        data = inputs, target
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

    def _draw_order(self, rng: np.random.Generator, target: Tensor) -> np.ndarray:
        """The order of the rows, of which the first are held out."""
        return rng.permutation(len(target))

    def _fit_inputs(self, Z: np.ndarray) -> Tensor:
        """What the network sees of the training rows."""
        self.row_shape_ = Z.shape[1:]
        self.scaler_ = StandardScaler().fit(Z.reshape(len(Z), -1))
        return self._standardize(Z)

    def _inputs(self, Z) -> Tensor:
        """What the network sees of new rows."""
        Z = read_rows("Z", Z)
        if Z.shape[1:] != self.row_shape_:
            raise ValueError(
                f"Z has rows of shape {Z.shape[1:]}, but {type(self).__name__} was fitted on rows "
                f"of shape {self.row_shape_}. Encode them with the same encoder and layer."
            )
        return self._standardize(Z)

    def _standardize(self, Z: np.ndarray) -> Tensor:
        rows = self.scaler_.transform(Z.reshape(len(Z), -1))
        return torch.from_numpy(rows.astype(np.float32, copy=False))

    def _output(self, Z) -> Tensor:
        """What the network makes of new rows, on the CPU."""
        return apply_in_batches(self.network_, self._inputs(Z), self.device_)

    @property
    def _n_inputs(self) -> int:
        return self.scaler_.n_features_in_

    def _fitted_to_tree(self, fitted: dict) -> dict:
        return fitted | {"network_": dict(fitted["network_"].state_dict())}

    def _fitted_from_tree(self, fitted: dict) -> dict:
        vars(self).update(fitted)
        network = self._make_network(self._n_inputs, seed=0)
        network.load_state_dict(fitted["network_"])
        return fitted | {"network_": network.eval()}


class Dropout(nn.Module):
    """Dropout with a generator of its own: torch's draws from the global one."""

    def __init__(self, probability: float, seed: int):
        super().__init__()
        self.probability, self.seed, self.generator = probability, seed, None

    def __getstate__(self):  # a generator of another device cannot be unpickled everywhere
        return self.__dict__ | {"generator": None}

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and self.probability):
            return x
        if self.generator is None:
            self.generator = torch.Generator(x.device).manual_seed(self.seed)
        draws = torch.rand(x.shape, generator=self.generator, device=x.device)
        return x * (draws >= self.probability) / (1 - self.probability)


def stratified_order(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random order of rows, whose first part of any length has its share of every class.

    The rows of a class of n come at random within the n equal parts of the order, one in each,
    and a class of a single row comes last.
    """
    place = np.empty(len(codes))
    for code, size in zip(*np.unique(codes, return_counts=True), strict=True):
        within = (rng.permutation(size) + rng.random(size)) / size
        place[codes == code] = within if size > 1 else 1.0
    return place.argsort()


class NetClassifier(ClassifierMixin, SupervisedNet):
    """A perceptron: the classifier of `mlp_probe`."""

    _parameter_constraints: dict = {
        **SupervisedNet._parameter_constraints,
        "hidden": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "batch_norm": ["boolean"],
    }

    def __init__(
        self,
        *,
        hidden=200,
        dropout=0.1,
        batch_norm=False,
        learning_rate=1e-3,
        max_epochs=200,
        patience=10,
        validation_fraction=0.1,
        device="auto",
        verbose=0,
        random_state=None,
    ):
        self.hidden = hidden
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    @limit_threads
    def fit(self, X, y):
        with self._fit_life_cycle():
            Z = read_rows("Z", X, fewest=4)
            self.classes_, codes = np.unique(y, return_inverse=True)
            self._train(Z, torch.from_numpy(codes), F.cross_entropy, TOLERANCE)
        return self

    @limit_threads
    def predict_proba(self, X):
        check_is_fitted(self)
        return self._output(X).softmax(dim=1).numpy()

    def predict(self, X):
        codes = self.predict_proba(X).argmax(axis=1)
        return self.classes_[codes]

    def _draw_order(self, rng, target):
        return stratified_order(target.numpy(), rng)

    def _make_network(self, n_in: int, seed: int) -> nn.Module:
        hidden = [self.hidden] if isinstance(self.hidden, Integral) else self.hidden
        layers, widths = [], [n_in, *check_widths("hidden", hidden)]
        for layer, (n_from, n_to) in enumerate(pairwise(widths)):
            norm = nn.BatchNorm1d(n_to) if self.batch_norm else nn.Identity()
            dropout = Dropout(self.dropout, seed + layer)
            layers += [nn.Linear(n_from, n_to), norm, nn.ReLU(), dropout]
        return nn.Sequential(*layers, nn.Linear(widths[-1], len(self.classes_)))
