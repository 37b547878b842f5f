"""What all estimators share: device, seeds, folds, the life cycle of a fit, saving, loading."""

import copy
import threading
from contextlib import contextmanager
from functools import wraps
from numbers import Integral
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.model_selection import KFold, StratifiedKFold, check_cv
from sklearn.utils import check_random_state
from skorch.callbacks import Callback
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from skmi import _persistence
from skmi.training import StopTraining, Trainer

__all__ = [
    "BaseNeuralEstimator",
    "apply_in_batches",
    "check_widths",
    "infer_device",
    "limit_threads",
    "seeded_initialization",
    "split_rows",
]

#: Rows that go through a network at once where nothing is trained.
EVALUATION_ROWS = 1024

_GLOBAL_GENERATOR_LOCK = threading.Lock()


def infer_device(device: str | torch.device = "auto") -> str:
    """The torch device to use.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` is CUDA where there is one, else MPS, else the CPU.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the device is unknown or this machine does not have it.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device={str(device)!r} is not available here ({reason}). Use device='auto' or 'cpu'."
        ) from error
    return str(device)


@contextmanager
def seeded_initialization(seed: int):
    """Seed torch's global CPU generator for building modules, and restore it afterwards.

    torch initialises weights from the global generator only. The lock keeps concurrent fits
    from disturbing one another; everything else draws from generators of its own.
    """
    with _GLOBAL_GENERATOR_LOCK, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def limit_threads(method):
    """Run a method on one CPU thread.

    Threads gain nothing on the small products of critics, lose much where cores are shared, and
    change the order of sums. Folds, and the candidates of a search, are what to spread over
    cores. The limit is OpenMP's, which holds for the calling thread only.
    """

    @wraps(method)
    def limited(self, *args, **kwargs):
        with threadpool_limits(1, user_api="openmp"):
            return method(self, *args, **kwargs)

    return limited


def check_widths(name: str, widths) -> tuple[int, ...]:
    """The widths of hidden layers, if that is what they are."""
    if len(widths) == 0 or any(not isinstance(w, Integral) or w < 1 for w in widths):
        raise ValueError(
            f"{name} must be a non-empty sequence of positive integers, got {widths!r}."
        )
    return tuple(int(w) for w in widths)


def split_rows(cv, n_samples: int, seed: int, labels=None) -> list:
    """The splits of ``cv``; a number of folds is shuffled, and stratified by labels if possible."""
    n_folds = cv if isinstance(cv, Integral) else 2
    if n_samples < 2 * n_folds:
        raise ValueError(
            f"n_samples={n_samples} is too few for cv={cv}: every fold must hold at least 2 rows. "
            "Use " + (f"cv={n_samples // 2} or more data." if n_samples >= 4 else "more data.")
        )
    if isinstance(cv, Integral):
        stratify = labels is not None and np.unique(labels, return_counts=True)[1].min() >= cv
        splitter = StratifiedKFold if stratify else KFold
        cv = splitter(cv, shuffle=True, random_state=seed)
    try:
        folds = list(check_cv(cv).split(np.zeros((n_samples, 1)), labels))
    except ValueError as error:
        if "'groups'" not in str(error):
            raise
        raise ValueError(
            f"cv={cv} needs groups, which fit does not take. Pass the splits themselves: "
            "cv=list(splitter.split(X, y, groups))."
        ) from error
    smallest = min(min(len(train), len(test)) for train, test in folds)
    if smallest < 2:
        raise ValueError(
            f"cv makes a split with {smallest} row(s); every training and test part needs at "
            "least 2."
        )
    return folds


@torch.no_grad()
def apply_in_batches(network: nn.Module, rows: Tensor, device: str, read=lambda output: output):
    """What `read` takes of a network's output for all rows, a tensor on the CPU."""
    # a copy, for concurrent calls must not move one another's
    network = copy.deepcopy(network).to(device, memory_format=torch.channels_last)
    parts = rows.split(EVALUATION_ROWS)
    return torch.cat([read(network(part.to(device))).cpu() for part in parts])


class FitTaskCallback(Callback):
    """Tell scikit-learn's callbacks about the epochs of a skorch training."""

    def __init__(self, estimator, context, X, y):
        self.estimator, self.context, self.X, self.y = estimator, context, X, y

    def on_train_end(self, net, **kwargs):
        if self.epoch_ is not None:  # early stopping ends training within the last epoch
            self.on_epoch_end(net)

    def on_epoch_begin(self, net, **kwargs):
        self.epoch_ = self.context.subcontext(task_name="epoch")
        self.epoch_.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=self.y)

    def on_epoch_end(self, net, **kwargs):
        epoch, self.epoch_ = self.epoch_, None
        if epoch.call_on_fit_task_end(estimator=self.estimator, X=self.X, y=self.y):
            raise StopTraining


class BaseNeuralEstimator(CallbackSupportMixin, BaseEstimator):
    """Base class of estimators that train torch modules.

    Subclasses have the parameters ``device``, ``random_state`` and ``verbose``, wrap the body
    of their ``fit`` in `_fit_life_cycle`, and set ``device_`` in it.
    """

    _parameter_constraints: dict = {
        "device": [str, torch.device],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    #: Whether what a Ctrl-C leaves behind is worth having.
    _keeps_when_interrupted = False

    @contextmanager
    def _fit_life_cycle(self, keep: bool = False):
        """Forget what was fitted, now (unless `keep`) and whenever the fit does not finish."""
        if not keep:
            self._forget()
        try:
            yield
        except BaseException as error:
            if not (isinstance(error, KeyboardInterrupt) and self._keeps_when_interrupted):
                self._forget()
            raise

    def _forget(self):
        for name in [n for n in vars(self) if n.endswith("_") and not n.startswith("_")]:
            delattr(self, name)

    def _prepare_and_train(self, *data, go_on: bool, epochs: int | None = None):
        """Check the data (`_prepare`) and train on them (`_train`), anew or going on.

        Data that cannot be used do not cost the fitted networks, unless they are to be replaced.
        """
        if not go_on:
            with self._fit_life_cycle():
                prepared = self._prepare(*data, reset=True)
                return self._train(*prepared, go_on=False, epochs=epochs)
        prepared = self._prepare(*data, reset=False)
        with self._fit_life_cycle(keep=True):
            return self._train(*prepared, go_on=True, epochs=epochs)

    def _run_trainer(
        self, objective, fit, stop, X, y, *, state=None, epochs=None, callbacks=(), **options
    ) -> Trainer:
        """Train an objective in place, and tell scikit-learn's callbacks of fit and epochs.

        `state` is what an earlier trainer of the objective left. `options` are the trainer's.
        """
        context = self._init_callback_context(max_subtasks=self.max_epochs)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        trainer = Trainer(
            objective,
            max_epochs=self.max_epochs,
            patience=self.patience if stop is not None else None,
            device=self.device_,
            progress=type(self).__name__ if self.verbose else None,
            callbacks=[*callbacks, FitTaskCallback(self, context, X, y)],
            **options,
        )
        if state is not None:
            trainer.resume(state)
        try:
            trainer.partial_fit(fit, stop, epochs=epochs)
        finally:
            objective.to("cpu", memory_format=torch.contiguous_format).eval()
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return trainer

    def _draw_seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def __setstate__(self, state):
        super().__setstate__(state)
        if "device_" in state:  # a model trained on a GPU must load on a machine without one
            try:
                self.device_ = infer_device(state["device_"])
            except ValueError:
                self.device_ = "cpu"

    def save(self, path: str | Path) -> None:
        """Save the fitted estimator without pickle.

        Parameters
        ----------
        path : str or Path
            A safetensors file: the weights and arrays as tensors, parameters and scalars as
            JSON in its header.

        Raises
        ------
        TypeError
            If a parameter cannot be written as JSON, such as a critic that was given as a
            torch module. Use joblib for such an estimator.
        FileNotFoundError, IsADirectoryError
            If there is no such folder, or the path is one.
        """
        _persistence.save(self, path)

    @classmethod
    def load(cls, path: str | Path):
        """Load an estimator that `save` wrote; no code from the file is run.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        estimator
            Fitted; it can be scored, and trained further with fresh optimisers.

        Raises
        ------
        ValueError
            If `save` did not write the file, or wrote an estimator of another class to it.
        FileNotFoundError, IsADirectoryError
            If there is no such file, or the path is a folder.
        """
        return _persistence.load(cls, path)
