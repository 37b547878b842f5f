"""The one training loop of the package: a skorch net over tensors held in memory.

What is trained is an *objective*, a torch module that holds the networks and, called with a
batch, returns the loss to descend and whatever else is worth recording::

    objective(*batch, player=name) -> {"loss": Tensor, "other term": Tensor, ...}

Its parameters are shared out among *players*, each with an optimiser of its own: one player
for a plain estimator; a critic and its eta; an encoder, a critic and an adversary. A player
owns the parameters whose names start with its name, and takes a step on the loss that the
objective returns for it. Where that comes with a ``"clipped_loss"``, the player descends it as
well, by a gradient no larger than that of the loss (`adaptive_clipping`).
"""

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import skorch
import torch
from skorch.callbacks import Callback, EpochTimer, GradientNormClipping
from skorch.utils import TeeGenerator
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler
from tqdm.auto import tqdm

from skmi.exceptions import NonFiniteLossError

__all__ = [
    "ETA_LEARNING_RATE",
    "ArrayDataset",
    "AveragedWeights",
    "EarlyStopping",
    "LearningRateSchedule",
    "Player",
    "ProgressBar",
    "StopTraining",
    "TensorBatches",
    "Trainer",
    "adaptive_clipping",
    "averaging_decay",
    "keep_freed_memory",
    "schedule_factor",
]


# ----------------------------------------------------------------------------- data

#: Largest number of rows of an epoch, and of those that tell when to stop: training takes a
#: bounded time, however long the data.
EPOCH_ROWS = 2**16
STOP_ROWS = 2**14


def count_stop_rows(n_rows: int, fraction: float) -> int:
    """How many of the training rows of a fold tell when to stop; the rest are fitted."""
    if fraction == 0 or n_rows < 4:
        return 0
    return min(max(2, round(fraction * n_rows)), n_rows - 2, STOP_ROWS)


def count_batches(n_rows: int, batch_size: int) -> int:
    """How many equal batches of about this size, none of them of a single row."""
    return max(1, min(math.ceil(n_rows / batch_size), n_rows // 2))


def auto_batch_size(n_rows: int) -> int:
    """A batch of about 20 steps an epoch, within what suits the optimiser."""
    return int(min(2 ** np.clip(round(np.log2(n_rows / 20)), 4, 10), n_rows))


class TensorBatches:
    """Batches of tensors that live on one device.

    Shuffled by one permutation an epoch and one gather a step when there is a generator, in
    order otherwise. A shuffled epoch leaves out the remainder that does not fill a batch (a
    different one every epoch), and an ordered one splits the rows evenly, so that no batch
    ever shrinks to one row.

    Parameters
    ----------
    tensors : sequence of Tensor
        Tensors of equal length.
    batch_size : int
        Number of rows of a batch; all rows when there are fewer.
    generator : torch.Generator, optional
        Source of the permutations.
    epoch_rows : int, optional
        Largest number of rows of a shuffled epoch, drawn anew each time; all rows if not given.
    """

    def __init__(
        self,
        tensors: Sequence[Tensor],
        batch_size: int,
        generator: torch.Generator | None = None,
        epoch_rows: int | None = None,
    ):
        self.tensors = tuple(tensors)
        self.batch_size = batch_size
        self.generator = generator
        self.epoch_rows = epoch_rows

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        n_rows, device = len(self.tensors[0]), self.tensors[0].device
        if self.generator is None:
            n_batches = count_batches(n_rows, self.batch_size)
            yield from zip(*(t.tensor_split(n_batches) for t in self.tensors), strict=True)
            return
        permutation = torch.randperm(n_rows, generator=self.generator, device=device)
        permutation = permutation[: self.epoch_rows]
        for start in range(0, max(1, len(permutation) - self.batch_size + 1), self.batch_size):
            rows = permutation[start : start + self.batch_size]
            yield tuple(t.index_select(0, rows) for t in self.tensors)


class ArrayDataset(Dataset):
    """Rows of arrays that stay where they are, such as `numpy.memmap` on disk.

    Indexed with a list of rows it reads them in one go.

    Parameters
    ----------
    *arrays : array-like
        Arrays of equal length.
    """

    def __init__(self, *arrays):
        if len({len(array) for array in arrays}) != 1:
            raise ValueError(
                "ArrayDataset needs arrays of equal length, got lengths "
                f"{[len(array) for array in arrays]}."
            )
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, rows) -> tuple[Tensor, ...]:
        return tuple(torch.as_tensor(np.array(a[rows], dtype=np.float32)) for a in self.arrays)


class _LoadedBatches:
    """Batches of a torch Dataset through a DataLoader, moved to the device one by one."""

    def __init__(self, dataset, batch_size, generator, epoch_rows, device, num_workers):
        order = range(len(dataset))
        if generator is not None:
            n_rows = min(epoch_rows or len(dataset), len(dataset))
            order = RandomSampler(dataset, num_samples=n_rows, generator=generator)
        options = {
            "num_workers": num_workers,
            "pin_memory": torch.device(device).type == "cuda",
            "generator": generator or torch.Generator(),  # else the global one seeds the workers
        }
        if isinstance(dataset, ArrayDataset):
            sampler = BatchSampler(order, batch_size, drop_last=False)
            self.loader = DataLoader(dataset, batch_size=None, sampler=sampler, **options)
        else:
            self.loader = DataLoader(dataset, batch_size, sampler=order, **options)
        self.device = device

    def __iter__(self):
        for batch in self.loader:
            if len(batch[0]) > 1:
                yield tuple(tensor.to(self.device, non_blocking=True) for tensor in batch)


# -------------------------------------------------------------------------- players

#: Step size of a scalar eta that has one of its own, so that it follows its critic: in MINE, GANs
#: and divergences (Improved mutual information estimation, Mroueh et al. 2021, Alg. 1).
ETA_LEARNING_RATE = 1e-2


@dataclass(frozen=True)
class Player:
    """An owner of parameters, with an optimiser of its own.

    Attributes
    ----------
    name : str
        Prefix of the names of its parameters in the objective.
    learning_rate : float
        Step size of Adam.
    every : int
        It takes a step on every so many batches.
    betas : tuple of float
        Adam's decay rates.
    steps : int
        It takes so many steps on a batch.
    rates : dict of str to float
        Step sizes of single parameters, by the last part of their names, where they differ.
    """

    name: str
    learning_rate: float = 1e-3
    every: int = 1
    betas: tuple[float, float] = (0.9, 0.999)
    steps: int = 1
    rates: Mapping[str, float] = field(default_factory=dict)


# ------------------------------------------------------------------------ callbacks


class StopTraining(KeyboardInterrupt):
    """Raised by a callback to end training in good order, after the current epoch."""


def averaging_decay(decay: float, n_steps: int) -> float:
    """Weight of the past in a moving average that has taken so many steps.

    The first steps use ``t / (t + 9)`` where that is smaller, so that the average forgets what it
    started from at once.
    """
    return min(decay, n_steps / (n_steps + 9))


class AveragedWeights(Callback):
    """Exponential moving average of the weights, used for validation and after training.

    Parameters
    ----------
    decay : float
        Weight of the past at each step, see `averaging_decay`.
    """

    def __init__(self, decay: float = 0.99):
        self.decay = decay

    def __getstate__(self):  # rebuilt from the weights when training goes on
        return {"decay": self.decay}

    def on_train_begin(self, net, **kwargs):
        self.weights_ = list(net.module_.parameters())
        self.averages_ = [w.detach().clone() for w in self.weights_]
        self.n_steps_ = 0
        self.swapped_ = False

    def on_batch_begin(self, net, training=False, **kwargs):
        if training == self.swapped_:
            self._swap()

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            change = 1 - averaging_decay(self.decay, self.n_steps_)
            torch._foreach_lerp_(self.averages_, [w.data for w in self.weights_], change)
            self.n_steps_ += 1

    def on_train_end(self, net, **kwargs):
        if not self.swapped_:
            self._swap()
        del self.weights_, self.averages_

    def _swap(self):
        for weight, average in zip(self.weights_, self.averages_, strict=True):
            weight.data, average.data = average.data, weight.data
        self.swapped_ = not self.swapped_


class EarlyStopping(skorch.callbacks.EarlyStopping):
    """Stop when the validation loss has not fallen for `patience` epochs; keep the best weights.

    Improvements are measured in nats (losses here may be negative), and the untrained model
    is a candidate too, so that training never makes matters worse on validation data.
    """

    def __init__(self, patience: int = 10, threshold: float = 1e-3):
        super().__init__(
            patience=patience,
            threshold=threshold,
            threshold_mode="abs",
            load_best=True,
            sink=lambda text: None,
        )

    def __getstate__(self):
        return {"patience": self.patience, "threshold": self.threshold}

    def __setstate__(self, state):
        self.__init__(**state)

    def on_train_begin(self, net, **kwargs):
        super().on_train_begin(net, **kwargs)
        self.first_epoch_ = len(net.history) + 1

    def on_epoch_begin(self, net, dataset_valid=None, **kwargs):
        if dataset_valid is None:
            raise ValueError("patience needs validation data. Pass some, or patience=None.")
        if net.history[-1, "epoch"] == self.first_epoch_:
            net.run_single_epoch(
                net.get_iterator(dataset_valid), False, "initial", net.validation_step
            )
            loss = net.history[-1, "initial_loss"]
            self.dynamic_threshold_ = self._calc_new_threshold(loss)
            self.best_epoch_ = self.first_epoch_ - 1
            self.best_model_weights_ = {
                name: tensor.clone() for name, tensor in net.module_.state_dict().items()
            }

    def on_train_end(self, net, **kwargs):
        if len(net.history):
            super().on_train_end(net, **kwargs)
        self.best_model_weights_ = None


def schedule_factor(schedule: str | Callable[[int], float] | None, max_epochs: int):
    """The factor of the learning rate in each epoch, as a function of the epoch from 0."""
    if schedule in (None, "constant"):
        return lambda epoch: 1.0
    if schedule == "cosine":
        return lambda epoch: 0.5 * (1 + math.cos(math.pi * min(epoch / max_epochs, 1)))
    return schedule


class LearningRateSchedule(Callback):
    """Multiply the learning rate of every player by a factor that depends on the epoch.

    Parameters
    ----------
    schedule : {"constant", "cosine"} or callable
        A callable maps the number of epochs trained so far to the factor.
    """

    def __init__(self, schedule="cosine"):
        self.schedule = schedule

    def on_epoch_begin(self, net, **kwargs):
        epoch = net.n_epochs_before_ + len(net.history) - 1
        factor = schedule_factor(self.schedule, net.max_epochs)(epoch)
        for player in net.players:
            for group in net.optimizer_of(player).param_groups:
                group["lr"] = factor * group["rate"]


class ProgressBar(Callback):
    """A progress bar over the epochs, with the current terms of the objective.

    Parameters
    ----------
    label : str
        What is being fitted.
    """

    def __init__(self, label: str = "fit"):
        self.label = label

    def __getstate__(self):
        return {"label": self.label}

    def on_train_begin(self, net, **kwargs):
        self.bar_ = tqdm(total=net.max_epochs, desc=self.label, unit="epoch", leave=False)

    def on_epoch_end(self, net, **kwargs):
        last = net.history[-1]
        terms = {k: f"{v:.4f}" for k, v in last.items() if k.startswith(("train_", "valid_"))}
        self.bar_.set_postfix(terms, refresh=False)
        self.bar_.update()

    def on_train_end(self, net, **kwargs):
        self.bar_.close()


# ------------------------------------------------------------------------- clipping


def adaptive_clipping(gradients: Sequence[Tensor], reference: Sequence[Tensor]) -> list[Tensor]:
    r"""Scale a gradient down to the norm of another one.

    .. math:: g_a = \min(\lVert g_u \rVert, \lVert g_m \rVert) \, g_m / \lVert g_m \rVert

    keeps a term without an upper limit, such as mutual information, from drowning the others.
    Source: MINE (Belghazi et al. 2018), eq. 21.

    Parameters
    ----------
    gradients : sequence of Tensor
        :math:`g_m`, in parts, one for each parameter.
    reference : sequence of Tensor
        :math:`g_u`, whose norm is that of all its parts together.

    Returns
    -------
    list of Tensor
        :math:`g_a`; what is not larger than the reference is returned as it is.
    """
    (unit, norm), (unit_of_reference, limit) = map(_unit_and_norm, (gradients, reference))
    limit = unit_of_reference * limit
    larger = unit * norm > limit
    unit, scale = torch.where(larger, unit, 1.0), torch.where(larger, limit / norm, 1.0)
    return list(torch._foreach_mul(torch._foreach_div(gradients, unit), scale))


def _unit_and_norm(parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """A unit as large as the largest entry, and the norm in it: squares alone may overflow.

    It is a power of two, by which division does not round.
    """
    peak = torch.stack([torch.stack(part.aminmax()) for part in parts]).abs().amax()
    unit = torch.exp2(peak.clamp(min=torch.finfo(peak.dtype).tiny).log2().floor())
    norms = torch._foreach_norm(torch._foreach_div(parts, unit))
    return unit, torch.linalg.vector_norm(torch.stack(norms))


def _add_clipped(loss: Tensor, parameters: Sequence[Tensor]) -> None:
    """Add the clipped gradient of a loss to that of the parameters that it depends on."""
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    reached = [(p, g) for p, g in zip(parameters, found, strict=True) if g is not None]
    reference = [torch.zeros_like(p) if p.grad is None else p.grad for p, _ in reached]
    clipped = adaptive_clipping([gradient for _, gradient in reached], reference)
    for (parameter, _), old, new in zip(reached, reference, clipped, strict=True):
        parameter.grad = old + new


# -------------------------------------------------------------------------- trainer


@functools.cache
def keep_freed_memory() -> None:
    """Have the C library keep what a training step frees for the next one, up to 64 MiB.

    glibc gives free memory at the end of its heap back to the system, and each step then waits for
    it to come again, page by page: a third of the time of small convolutions. It keeps twice as
    much as the largest block that it has seen come and go, of those up to 32 MiB. This one is not
    written to.
    """
    torch.empty(2**25 - 2**16, dtype=torch.uint8, device="cpu")


def _on_cpu(optimizer: torch.optim.Optimizer) -> dict:
    """The state of an optimiser, which takes no memory of a GPU."""
    state = optimizer.state_dict()
    moments = {
        i: {name: value.cpu() for name, value in slot.items()} for i, slot in state["state"].items()
    }
    return state | {"state": moments}


#: What to do if training diverges, of estimators that scale margins.
ADVICE = (
    "Lower the learning rate, clip the gradients, or bring the inputs to a common scale "
    "(margins='normal-scores' or 'standardize')."
)


class Trainer(skorch.NeuralNet):
    """The training loop.

    Parameters
    ----------
    objective : torch.nn.Module
        Called as ``objective(*batch, player=name)``, returns a dict of scalars with at least
        ``"loss"``, and in training perhaps ``"clipped_loss"``. It is trained in place.
    players : sequence of Player
        Who descends, in the order of their steps on each batch.
    max_epochs : int
        Upper limit of the number of passes over the data.
    batch_size : int
        Rows of a training batch.
    validation_batch_size : int
        Rows of a validation batch.
    epoch_rows : int or None
        Largest number of rows of an epoch, drawn anew each time, which bounds the time to the
        next validation on long data; None: all rows.
    patience : int or None
        Stop after so many epochs without improvement of the validation loss and restore the
        best weights. None trains for `max_epochs`.
    tolerance : float
        Smallest fall of the validation loss, in nats, that counts as an improvement.
    averaging : float
        Decay of the moving average of the weights; 0 switches it off.
    gradient_clipping : float or None
        Largest norm of a player's gradient.
    precision : {"float32", "bfloat16"}
        Of the products in training steps (autocast). Weights, their moments and what is
        evaluated keep float32.
    schedule : {"constant", "cosine"} or callable
        Learning-rate schedule, see `LearningRateSchedule`.
    seed : int
        Seed of the shuffles.
    device : str
        Where the objective and the batches live.
    num_workers : int
        Processes that load the batches of data that are not in memory.
    progress : str or None
        Label of a progress bar.
    advice : str
        What the error says to do if training diverges.
    **options
        Further options of `skorch.NeuralNet`, such as ``callbacks`` and ``compile``.

    Attributes
    ----------
    module_ : torch.nn.Module
        The objective.
    history : skorch.history.History
        One row an epoch, with the mean of every term that the objective returned, as
        ``train_<term>`` and ``valid_<term>``.

    Notes
    -----
    Tensors in memory are batched by `TensorBatches`; a `torch.utils.data.Dataset` (an
    `ArrayDataset` over a memory map, say) goes through a DataLoader. Losses are summed on the
    device and read once an epoch, so that a GPU is never waited for within an epoch.
    """

    def __init__(
        self,
        objective: nn.Module,
        *,
        players: Sequence[Player],
        max_epochs: int = 100,
        batch_size: int = 256,
        validation_batch_size: int = 8192,
        epoch_rows: int | None = None,
        patience: int | None = None,
        tolerance: float = 1e-3,
        averaging: float = 0.0,
        gradient_clipping: float | None = None,
        precision: str = "float32",
        schedule: str | Callable[[int], float] = "constant",
        seed: int = 0,
        device: str = "cpu",
        num_workers: int = 0,
        progress: str | None = None,
        advice: str = ADVICE,
        callbacks=None,
        **options,
    ):
        super().__init__(
            objective,
            criterion=nn.Identity,
            max_epochs=max_epochs,
            batch_size=batch_size,
            train_split=None,
            device=device,
            verbose=0,
            callbacks=callbacks,
            **options,
        )
        self.players = tuple(players)
        self.validation_batch_size = validation_batch_size
        self.epoch_rows = epoch_rows
        self.patience = patience
        self.tolerance = tolerance
        self.averaging = averaging
        self.gradient_clipping = gradient_clipping
        self.precision = precision
        self.schedule = schedule
        self.seed = seed
        self.num_workers = num_workers
        self.progress = progress
        self.advice = advice

    # ------------------------------------------------------------ entry points

    def fit(self, data, validation=None, **fit_params):
        """Train from the start.

        Parameters
        ----------
        data : sequence of Tensor, or torch.utils.data.Dataset
            The training data. Tensors are held on the device.
        validation : sequence of Tensor, torch.utils.data.Dataset or None
            Data to validate on after each epoch.

        Returns
        -------
        self

        Raises
        ------
        NonFiniteLossError
            If a loss becomes NaN or infinite.
        """
        return super().fit(data, validation, **fit_params)

    def partial_fit(self, data, validation=None, **fit_params):
        """Go on training; ``epochs=`` sets for how long. See `fit`."""
        self.interrupt_ = None
        super().partial_fit(data, validation, **fit_params)
        if self.interrupt_ is not None:
            raise self.interrupt_
        return self

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        keep_freed_memory()
        try:
            super().fit_loop(X, y, epochs, **fit_params)
        except KeyboardInterrupt as interrupt:
            # skorch's callbacks end training by raising KeyboardInterrupt, and skorch swallows
            # it. A real Ctrl-C must get through: `partial_fit` raises it again.
            if not (self.stopped_early_ or isinstance(interrupt, StopTraining)):
                self.interrupt_ = interrupt
            raise
        if not all(value.isfinite().all() for value in self.module_.parameters()):
            raise NonFiniteLossError(
                f"The weights became non-finite in the last steps of training. {self.advice}"
            )
        return self

    @property
    def stopped_early_(self) -> bool:
        """Whether an early-stopping callback ended the training."""
        return any(
            callback.misses_ >= callback.patience
            for _, callback in self.callbacks_
            if isinstance(callback, skorch.callbacks.EarlyStopping)
        )

    def optimizer_of(self, player: Player) -> torch.optim.Optimizer:
        """The optimiser of a player."""
        return getattr(self, f"{player.name}_optimizer_")

    def training_state(self) -> dict:
        """What another trainer of the same objective needs to go on where this one stopped."""
        return {
            "n_epochs": self.n_epochs_before_ + len(self.history),
            "n_steps": self.n_steps_,
            "optimizers": {p.name: _on_cpu(self.optimizer_of(p)) for p in self.players},
        }

    def resume(self, state: dict):
        """Take over the state of another trainer's optimisers; `partial_fit` then goes on."""
        self.initialize()
        self.n_epochs_before_, self.n_steps_ = state["n_epochs"], state["n_steps"]
        for player in self.players:
            optimizer = self.optimizer_of(player)
            rates = [group["rate"] for group in optimizer.param_groups]
            optimizer.load_state_dict(state["optimizers"][player.name])
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = group["rate"] = rate  # those of today's player
                group["betas"] = player.betas
        return self

    # ------------------------------------------------------------ skorch hooks

    def get_default_callbacks(self):
        callbacks = [("epoch_timer", EpochTimer())]
        if self.gradient_clipping is not None:
            callbacks.append(("clipping", GradientNormClipping(self.gradient_clipping)))
        if self.schedule != "constant":
            callbacks.append(("schedule", LearningRateSchedule(self.schedule)))
        if self.averaging:
            callbacks.append(("averaging", AveragedWeights(self.averaging)))
        if self.progress is not None:
            callbacks.append(("progress", ProgressBar(self.progress)))
        if self.patience is not None:
            callbacks.append(("early_stopping", EarlyStopping(self.patience, self.tolerance)))
        return callbacks

    def initialize_criterion(self):
        return self  # the objective is its own criterion

    def initialize_optimizer(self, *args, **kwargs):
        owned = []
        for player in self.players:
            groups = {}  # one for all parameters, and one for each with a rate of its own
            for name, parameter in self._parameters_of(player):
                name = name.split(".")[-1]
                rate = player.rates.get(name, player.learning_rate)
                key = name if name in player.rates else None
                group = groups.setdefault(key, {"params": [], "lr": rate, "rate": rate})
                group["params"].append(parameter)
            if not groups:
                raise ValueError(f"The objective has no parameters for player {player.name!r}.")
            optimizer = torch.optim.Adam(groups.values(), betas=player.betas, fused=True)
            setattr(self, f"{player.name}_optimizer_", optimizer)
            owned += [p for group in groups.values() for p in group["params"]]
        if len(owned) != sum(p.requires_grad for p in self.module_.parameters()):
            raise ValueError("Every parameter of the objective must belong to one player.")
        return self

    def _parameters_of(self, player: Player):
        for name, parameter in self.module_.named_parameters():
            name = name.removeprefix("_orig_mod.")  # torch.compile's
            if name.split(".")[0] == player.name and parameter.requires_grad:
                yield name, parameter

    def get_split_datasets(self, X, y=None, **fit_params):
        return X, y

    def get_iterator(self, dataset, training=False):
        generator = None
        if training:  # seeded anew in every epoch, so that training can be interrupted and resumed
            generator = torch.Generator("cpu" if isinstance(dataset, Dataset) else self.device)
            self.generator_ = generator
        batch_size = self.batch_size if training else self.validation_batch_size
        if isinstance(dataset, Dataset):
            return _LoadedBatches(
                dataset, batch_size, generator, self.epoch_rows, self.device, self.num_workers
            )
        tensors = [tensor.to(self.device) for tensor in dataset]
        return TensorBatches(tensors, batch_size, generator, self.epoch_rows)

    def on_epoch_begin(self, net, **kwargs):
        super().on_epoch_begin(net, **kwargs)
        self.generator_.manual_seed(self.seed + self.n_epochs_before_ + len(self.history))

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        pass  # skorch would open a history row here, and memory would grow with the steps

    def train_step_single(self, batch, player):
        device_type, low = torch.device(self.device).type, self.precision == "bfloat16"
        with torch.autocast(device_type, torch.bfloat16, enabled=low):
            step = self.module_(*batch, player=player.name)
        parameters = [
            p for group in self.optimizer_of(player).param_groups for p in group["params"]
        ]
        clipped = step.pop("clipped_loss", None)
        step["loss"].backward(inputs=parameters, retain_graph=clipped is not None)
        if clipped is not None:
            _add_clipped(clipped, parameters)
            step["loss"] = step["loss"].detach() + clipped.detach()
        return step

    def train_step(self, batch, **fit_params):
        terms = {}
        for player in self.players:
            if (self.n_steps_ + 1) % player.every:
                continue
            optimizer = self.optimizer_of(player)
            for _ in range(player.steps):
                optimizer.zero_grad()
                step = self.train_step_single(batch, player)
                self.notify(
                    "on_grad_computed",
                    named_parameters=TeeGenerator(self._parameters_of(player)),
                    batch=batch,
                    training=True,
                )
                optimizer.step()
            terms = step | terms
        self.n_steps_ += 1
        return terms

    def validation_step(self, batch, **fit_params):
        with torch.no_grad():
            return self.module_(*batch, player=self.players[0].name)

    def initialize_module(self):
        self.n_steps_ = self.n_epochs_before_ = 0
        super().initialize_module()
        # convolutions of few channels are up to a third faster so; other layers are left alone
        self.module_.to(memory_format=torch.channels_last)
        return self

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        if iterator is None:
            return
        self._set_training(training)
        totals, n_rows = {}, 0
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            terms = step_fn(batch, **fit_params)
            batch_rows = len(batch[0])
            for name, value in terms.items():
                total = totals.get(name)
                value = value.detach() * batch_rows
                totals[name] = value if total is None else total + value
            n_rows += batch_rows
            self.notify("on_batch_end", batch=batch, training=training)
        values = torch.stack(list(totals.values())).tolist()  # the one read of the epoch
        for name, value in zip(totals, values, strict=True):
            self.history.record(f"{prefix}_{name}", value / n_rows)
        if not math.isfinite(self.history[-1, f"{prefix}_loss"]):
            raise NonFiniteLossError(
                f"The {prefix} loss became non-finite in epoch {len(self.history)}. {self.advice}"
            )
