"""What all estimators share: device, seeds, the life cycle of a fit, saving and loading."""

import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_random_state
from skorch.callbacks import Callback

from skmi import _persistence
from skmi.training import StopTraining

__all__ = ["BaseNeuralEstimator", "infer_device", "seeded_initialization"]

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

    @contextmanager
    def _fit_life_cycle(self, keep: bool = False):
        """Forget what was fitted, now (unless `keep`) and whenever the fit does not finish."""
        if not keep:
            self._forget()
        try:
            yield
        except BaseException:
            self._forget()
            raise

    def _forget(self):
        for name in [n for n in vars(self) if n.endswith("_") and not n.startswith("_")]:
            delattr(self, name)

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
            If the file holds an estimator of another class.
        """
        return _persistence.load(cls, path)
