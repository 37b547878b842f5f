"""What generative adversarial models share: rows drawn, and failures of the game told."""

import copy
import math
from collections.abc import Callable, Sequence
from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback
from torch import Tensor, nn

from skmi.base import apply_in_batches, check_widths
from skmi.bounds import get_bound, jsd
from skmi.critics import as_critic, make_critic
from skmi.exceptions import ConvergenceWarning, NonFiniteLossError, warn
from skmi.networks import batch_norms, checked_copy
from skmi.networks.gan import ConvolutionalScore, dense_score, make_generator
from skmi.representation._objective import (
    InformationCritic,
    Objective,
    full_precision,
    squared_gradient,
)
from skmi.representation._priors import PRIORS, maximum_mean_discrepancy
from skmi.training import ETA_LEARNING_RATE, Player, averaging_decay

__all__ = [
    "INFORMATION_BOUNDS",
    "LATENT_PRIORS",
    "AdversarialMixin",
    "AdversarialObjective",
    "MovingAverage",
    "draw_latents",
]

#: Bounds that an information term can climb.
INFORMATION_BOUNDS = ("dv", "eta-dv", "nwj", "jsd", "infonce")
#: Distributions of latent columns.
LATENT_PRIORS = ("gaussian", "uniform")
#: Standard deviation that columns are brought to. Discriminators learn functions that change slowly
#: first: with 3 rather than 1 they told 25 Gaussians apart in fewer steps, and 8 was no better.
COLUMN_STD = 3.0
#: Part of the largest divergence, 2 log 2, from which the discriminator has won.
WON = 0.95
#: Rows that `score` compares at most.
SCORE_ROWS = 2048
#: Steps of a generator below which it can hardly have left its start.
FEW_STEPS = 100
#: Rows that are drawn to see where they are, and how many times as far out as the data is too far.
LOOK_ROWS, FAR = 100, 100.0


def draw_latents(prior: str, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Latent rows: standard normal, or uniform from -1 to 1."""
    values = PRIORS[prior](shape, generator)
    return 2 * values - 1 if prior == "uniform" else values


def _state(module: nn.Module) -> list[Tensor]:
    """Weights and buffers, without those that a module does not save."""
    kept, tensors = module.state_dict(), dict(module.named_parameters())
    tensors |= dict(module.named_buffers())  # those that two parts share come once
    return [tensor for name, tensor in tensors.items() if name in kept]


class MovingAverage(nn.Module):
    """A copy of a module, whose weights and buffers are exponential moving averages of its own.

    Buffers of integers, which count, are those of the module.

    Players that circle around one another may be on average where neither of them ever is.

    Parameters
    ----------
    module : nn.Module
        Built, not yet trained.
    decay : float
        Weight of the past at each step, see `skmi.training.averaging_decay`.
    """

    def __init__(self, module: nn.Module, decay: float):
        super().__init__()
        self.module = copy.deepcopy(module).requires_grad_(False)
        self.decay, self.n_steps = decay, 0

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.n_steps)

    def set_extra_state(self, state: Tensor) -> None:
        self.n_steps = int(state)

    @torch.no_grad()
    def follow(self, module: nn.Module) -> None:
        """Take another step towards a module."""
        change = 1 - averaging_decay(self.decay, self.n_steps)
        pairs = list(zip(_state(self.module), _state(module), strict=True))
        averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_(*zip(*averaged, strict=True), change)
        for own, count in pairs:
            if not own.is_floating_point():
                own.copy_(count)
        self.n_steps += 1


class AdversarialObjective(Objective):
    """Base class of objectives whose player ``"model"`` is perhaps averaged over its steps.

    Parameters
    ----------
    model : nn.ModuleDict
        The networks that are kept, ``generator`` among them.
    averaging : float
        Decay of the moving average; 0: none.
    mi_weight : float
        Weight of the information that the model raises.
    adaptive_clipping : bool
        Whether its gradient is kept below that of the rest.
    gradient_penalty : float
        Weight of half the squared gradient of discriminators.
    """

    def __init__(
        self,
        model: nn.ModuleDict,
        averaging: float,
        *,
        mi_weight: float = 0.0,
        adaptive_clipping: bool = True,
        gradient_penalty: float = 0.0,
    ):
        super().__init__()
        self.model = model
        self.mi_weight, self.adaptive_clipping = mi_weight, adaptive_clipping
        self.gradient_penalty = gradient_penalty
        self.average = MovingAverage(model, averaging) if averaging else None

    @property
    def kept(self) -> nn.ModuleDict:
        """The networks to use after training."""
        return self.model if self.average is None else self.average.module

    @property
    def networks(self) -> nn.ModuleDict:
        """The model in training, and what is kept of it in evaluation."""
        return self.model if self.training else self.kept

    def follow(self) -> None:
        """Average the weights that a step of the model has left."""
        if self.average is not None:
            self.average.follow(self.model)

    def _generate(self, latents: Tensor) -> Tensor:
        return full_precision(self.networks["generator"](latents))

    def _tell_apart(
        self, score: Callable[..., Tensor], first: Sequence[Tensor], second: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """A discriminator's bound on 2 JSD - 2 log 2 of two kinds of rows, and its loss.

        In training that has half the squared gradient, averaged over each kind, times its weight.
        """
        kinds = [first, second]
        penalised = self.training and self.gradient_penalty > 0
        if penalised:
            kinds = [[part.detach().requires_grad_() for part in parts] for parts in kinds]
        scores = [score(*parts) for parts in kinds]
        bound = jsd(*scores)
        if not penalised:
            return bound, -bound
        return bound, self.gradient_penalty / 2 * sum(map(squared_gradient, scores, kinds)) - bound

    def _add_information(self, loss: Tensor, value: Tensor) -> dict[str, Tensor]:
        """The loss of a model that also raises information, by a clipped gradient perhaps."""
        information = -self.mi_weight * value
        if self.training and self.adaptive_clipping:
            return {"loss": loss, "clipped_loss": information}
        return {"loss": loss + information}


class _FollowSteps(Callback):
    """Average the weights of the model after each of its player's steps."""

    def on_train_begin(self, net, **kwargs):
        (player,) = (player for player in net.players if player.name == "model")
        optimizer = net.optimizer_of(player)
        optimizer.register_step_post_hook(lambda *_: net.module_.follow())


class AdversarialMixin:
    """Mixin of models whose generator plays against a discriminator.

    The estimator has the parameters of its networks, and its objective the generator at
    ``model["generator"]`` and a term ``divergence``, or else a `_warn_of_failure` of its own.
    """

    # an adversary's loss does not tell when to stop
    patience, validation_fraction, tolerance = None, 0.0, 0.0
    #: Side from which the generator's first map is not halved further.
    _last_side = 4

    @property
    def _advice(self) -> str:
        remedies = ["lower learning_rate"]
        if self.mi_weight:
            remedies.append("lower mi_weight")
            if not self.adaptive_clipping:
                remedies.append("set adaptive_clipping=True")
            if self.bound != "jsd":
                remedies.append("choose bound='jsd', whose gradients are bounded")
        return f"The players may have run away from one another: {', or '.join(remedies)}."

    # ------------------------------------------------------------ fitting

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
        UserWarning
            If X is constant, or has fewer rows than ``batch_size``; if a discriminator with batch
            norm is to have a penalty.
        ConvergenceWarning
            If the discriminator tells generated rows from the data nearly always, or takes one
            for the other; if generated rows are far from all data; if the generator took few
            steps, or of `GeneratorByPriorMatching` no step.
        """
        return super().fit(X, y)

    def _prepare(self, X, y, *, reset: bool):
        (rows,) = super()._prepare(X, y, reset=reset)
        given = getattr(self, "discriminator", None)
        if not self._normed and isinstance(given, nn.Module) and batch_norms(given):
            warn(
                "discriminator has batch norm, by which rows enter the scores of others, but "
                f"gradient_penalty={self.gradient_penalty:g} is meant for scores of single rows. "
                "Use another norm, such as nn.LayerNorm or nn.GroupNorm, or gradient_penalty=0.",
                UserWarning,
            )
        if len(rows) < self.batch_size:
            warn(
                f"n_samples={len(rows)} is less than batch_size={self.batch_size}: all rows make "
                "one batch, and an epoch is one step. Lower batch_size, or use more data.",
                UserWarning,
            )
        return (rows,)

    def _train(self, rows, *, go_on, epochs):
        super()._train(rows, go_on=go_on, epochs=epochs)
        weights = self.objective_.state_dict().values()
        if not all(weight.isfinite().all() for weight in weights):
            raise NonFiniteLossError(
                f"The weights became non-finite in epoch {self.n_iter_}. {self._advice}"
            )
        self._warn_of_failure(whole=epochs is None)
        return self

    def _warn_of_failure(self, *, whole: bool) -> None:
        """Complain of a game that went wrong; of one that is not over, only if it ran away."""
        failure = self._find_failure(whole=whole) or self._find_far_rows()
        if not failure and whole and self._n_steps < FEW_STEPS:
            failure = (
                f"The generator took {self._n_steps} steps, and has hardly left its start: its "
                f"rows are much alike. {self._more_steps}"
            )
        if failure:
            warn(failure, ConvergenceWarning)

    #: What to do if the generator took few steps.
    _more_steps = "Raise max_epochs, or lower batch_size."

    @property
    def _n_steps(self) -> int:
        """Steps of the generator: all, if they are averaged, else since it was built or loaded."""
        if self.objective_.average is not None:
            return self.objective_.average.n_steps
        weights = self._training_state["optimizers"]["model"]["state"].values()
        return int(max((weight["step"] for weight in weights), default=0))

    def _find_failure(self, *, whole: bool) -> str | None:
        """What to say of a discriminator that has won, or is worse than none."""
        divergence, largest = self.history_[-1]["train_divergence"], 2 * math.log(2)
        if whole and divergence > WON * largest:
            return (
                "The discriminator tells generated rows from the data nearly always: their "
                f"divergence is {divergence:.2f} of at most {largest:.2f} nats. Samples "
                "will not look like the data. Raise max_epochs or gradient_penalty, or lower "
                "learning_rate."
            )
        if divergence < -largest:
            return (
                f"The discriminator's bound on the divergence, at best from 0 to {largest:.2f} "
                f"nats, is {divergence:.3g}: it takes data and generated rows for one another, and "
                f"samples may be anything. {self._advice}"
            )
        return None

    def _find_far_rows(self) -> str | None:
        """What to say of rows that are nowhere near the data."""
        rows = self._generate(self._latents(LOOK_ROWS, random_state=0))
        distance = rows.double().square().mean().sqrt().item() / self._unit
        if distance <= FAR:
            return None
        return (
            f"Generated rows are {distance:.3g} times as far from the mean of the data as the "
            f"data are. {self._advice}"
        )

    def _players(self) -> list[Player]:
        players = [self._player("model"), self._player("discriminator", self.n_discriminator)]
        if self.mi_weight:
            players.append(self._player("critic", self.n_critic, rates={"eta": ETA_LEARNING_RATE}))
        return players

    def _player(self, name: str, steps: int = 1, **options) -> Player:
        options |= {"betas": tuple(self.betas), "steps": steps}
        return Player(name, self.learning_rate, **options)

    def _callbacks(self) -> list[Callback]:
        return [*super()._callbacks(), _FollowSteps()]

    def _trainer_options(self) -> dict:
        return {"precision": self.precision}

    def _fixed_parameters(self) -> dict:
        return super()._fixed_parameters() | {"averaging": self.averaging}

    def _fit_scale(self, rows):
        """Images to the range of the generator's last layer; columns to one deviation."""
        if rows.ndim == 4:
            self._fit_range(rows)
        else:
            super()._fit_scale(rows)
            self.scale_ = self.scale_ / COLUMN_STD

    # ------------------------------------------------------------ networks

    def _make_generator(self, given, shape, name="generator") -> nn.Module:
        if isinstance(given, nn.Module):
            return checked_copy(name, given, [(self.n_components,)], shape)
        return make_generator(
            self.n_components,
            shape,
            hidden_layer_sizes=check_widths("hidden_layer_sizes", self.hidden_layer_sizes),
            width=self.width,
            last_side=self._last_side,
        )

    @property
    def _normed(self) -> bool:
        """Whether scores of images have batch norm, by which rows enter each other's score."""
        return not self.gradient_penalty

    @property
    def _game(self) -> dict:
        """Options of the objective that are those of `AdversarialObjective`."""
        names = ("mi_weight", "adaptive_clipping", "gradient_penalty", "averaging")
        return {name: getattr(self, name) for name in names}

    def _make_score(self, name: str, shape) -> nn.Module:
        """The network called `name`, from rows of this shape to one score."""
        given = getattr(self, name, "auto")
        if isinstance(given, nn.Module):
            return checked_copy(name, given, [shape], (1,))
        if len(shape) == 3:
            options = {"n_dense": 0, "last_side": self._last_side, "batch_norm": self._normed}
            return ConvolutionalScore(shape, width=self.width, **options)
        sizes = check_widths(f"{name}_hidden", getattr(self, f"{name}_hidden"))
        return dense_score(math.prod(shape), sizes)

    def _make_information(self, given, shape, n_codes, *, n_dense) -> InformationCritic | None:
        """The information of rows and codes; None without its weight."""
        if not self.mi_weight:
            return None
        if isinstance(given, nn.Module):
            critic = checked_copy("critic", given, [shape, (n_codes,)], (1,))
        elif len(shape) == 3:
            critic = ConvolutionalScore(
                shape,
                n_codes,
                width=max(1, self.width // 4),
                n_dense=n_dense,
                activation="elu",
                batch_norm=False,
            )
        else:
            sizes = check_widths("critic_hidden", self.critic_hidden)
            options = {"hidden_layer_sizes": sizes, "activation": "elu"}
            critic = make_critic("concat", math.prod(shape), n_codes, **options)
        return InformationCritic(as_critic(critic), get_bound(self.bound))

    # ------------------------------------------------------------ using the networks

    @property
    def generator_(self) -> nn.Module:
        """The fitted generator, from latent to scaled rows."""
        return self._networks["generator"]

    @property
    def _networks(self) -> nn.ModuleDict:
        return self.objective_.kept

    def _latents(self, n_samples, random_state) -> Tensor:
        check_is_fitted(self)
        if not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"n_samples={n_samples!r} must be a positive integer.")
        seed = check_random_state(random_state).randint(2**31 - 1)
        generator = torch.Generator().manual_seed(int(seed))
        return draw_latents(self.prior, (int(n_samples), self.n_components), generator)

    def _generate(self, latents: Tensor) -> Tensor:
        return apply_in_batches(self.generator_, latents, self.device_)

    def sample(self, n_samples=1, random_state=None):
        """Draw rows.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState or None, default=None
            Seed of the draws.

        Returns
        -------
        ndarray of float32 or float64 of shape (n_samples, ...)
            In the units and the shape of the data (see :ref:`decoded-rows`).
        """
        return self._to_units(self._generate(self._latents(n_samples, random_state)))

    def score(self, X, y=None) -> float:
        r"""Minus the squared maximum mean discrepancy of these rows and as many drawn ones.

        The losses of adversaries do not tell how good a generator is; the distance of samples
        does. Columns have variance 1, images values from -1 to 1; kernels are inverse
        multiquadratic, and of more than 2048 rows as many are taken. The draws are the same each
        time.

        Parameters
        ----------
        X : array-like
            Rows of the shape that was fitted.
        y : None
            Ignored.

        Returns
        -------
        float
            Higher is better; not above 0, which samples of the same distribution approach as
            they grow.
        """
        check_is_fitted(self)
        rows = self._scale(self._validate(X, reset=False)).flatten(1)
        chosen = np.random.default_rng(0).permutation(len(rows))[:SCORE_ROWS]
        drawn = self._generate(self._latents(len(chosen), random_state=0)).flatten(1)
        rows = rows[np.sort(chosen)]
        return -maximum_mean_discrepancy(rows / self._unit, drawn / self._unit).item()

    @property
    def _unit(self) -> float:
        """What scaled values are divided by to have deviation 1, or to go from -1 to 1."""
        return COLUMN_STD if len(self.row_shape_) < 3 else 1.0
