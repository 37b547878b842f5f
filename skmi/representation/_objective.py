"""What networks are trained for: draws, information, and a prior that an adversary guards."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from skmi.bounds import Bound, jsd, split_matrix
from skmi.critics import Critic
from skmi.exceptions import warn
from skmi.networks import mlp
from skmi.representation._priors import PRIORS, prior_moments

__all__ = [
    "DISCRIMINATOR_WIDTHS",
    "EncoderObjective",
    "InformationCritic",
    "Objective",
    "full_precision",
    "gaussian_noise",
    "mirrored",
    "squared_gradient",
    "warn_of_small_batches",
]

#: Hidden widths of the discriminator of the prior. The paper's are 1000 and 200, which cost a
#: third of the time of a step on a CPU and match it no better.
DISCRIMINATOR_WIDTHS = (256, 64)
#: Weight of half the squared gradient of the adversary, which keeps it from circling with the
#: encoder. Without it accuracy on digits and MNIST loses two to four points, and the columns of
#: the representation depend on one another half as much again.
GRADIENT_PENALTY = 2.0
#: Smallest batch in which a permutation gives other rows' codes often enough (InfoMax-VAE, App. E).
SMALLEST_BATCH = 10


def full_precision(scores: Tensor) -> Tensor:
    """Scores in float32 or better: losses need the digits that autocast may have dropped."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def squared_gradient(scores: Tensor, rows: Sequence[Tensor]) -> Tensor:
    """Mean squared norm of the gradient of the scores' sum in each row.

    It is that of each row's own score if no row enters another's, as through batch norm.
    """
    gradients = torch.autograd.grad(scores.sum(), rows, create_graph=True, materialize_grads=True)
    return sum(gradient.flatten(1).square().sum(1).mean() for gradient in gradients)


class Objective(nn.Module):
    """Base class of objectives that draw numbers, and whose players share a batch.

    Attributes
    ----------
    generator : torch.Generator or None
        Source of all draws in training. Evaluation repeats the same draws.
    """

    def __init__(self):
        super().__init__()
        self.generator: torch.Generator | None = None
        self._last = None  # what one player leaves to the next

    def __getstate__(self):  # the last batch may be on another device
        return self.__dict__ | {"_last": None}

    def _draws(self, x: Tensor) -> torch.Generator:
        if self.generator is None or not self.training:
            return torch.Generator(x.device).manual_seed(0)
        return self.generator


class InformationCritic(nn.Module):
    """A critic of rows and their codes with its bound, for an objective's player "critic".

    Parameters
    ----------
    scores : Critic
        Of rows and codes.
    bound : Bound
        Needs the scores alone, or one eta.
    """

    def __init__(self, scores: Critic, bound: Bound):
        super().__init__()
        self.scores, self.bound = scores, bound
        self.eta = nn.Parameter(torch.zeros(())) if bound.has_eta else None

    def forward(self, x: Tensor, z: Tensor, generator) -> tuple[Tensor, Tensor]:
        """The bound, and its estimate in nats, from a batch and its codes permuted."""
        x_embedding, z_embedding = self.scores.embed_x(x), self.scores.embed_y(z)
        if self.bound.contrastive:
            joint, product = split_matrix(self.scores.all_pairs(x_embedding, z_embedding))
        else:
            cycle = torch.randperm(len(z), generator=generator, device=z.device)
            partners = torch.empty_like(cycle).scatter_(0, cycle, cycle.roll(1))  # no fixed point
            joint = self.scores.combine(x_embedding, z_embedding)
            product = self.scores.combine_partners(x_embedding, z_embedding, partners[None])
        joint, product = full_precision(joint), full_precision(product)
        return self.bound.value_and_nats(joint, product, self.eta)

    def mean_over_draws(self, x: Tensor, codes, generator) -> tuple[Tensor, Tensor]:
        """The same, as means over several draws of the codes."""
        found = [self(x, z, generator) for z in codes]
        value, nats = (torch.stack(parts).mean() for parts in zip(*found, strict=True))
        return value, nats


class EncoderObjective(Objective):
    """The loss of an encoder, to which gamma times the divergence from a prior is added.

    A subclass defines ``_terms(x, *rest, generator)``, which returns the representation (None if
    it has no prior), the loss and the terms to record.

    Parameters
    ----------
    model : nn.ModuleDict
        The encoder, and what else its player trains.
    n_components : int
        Width of the representation.
    gamma : float
        Weight of the prior; where it is 0 there is no discriminator.
    prior : str or None
        A key of `PRIORS`.
    discriminator_widths : tuple of int
        Hidden widths of the adversary.
    """

    def __init__(
        self,
        model: nn.ModuleDict,
        *,
        n_components: int,
        gamma: float = 0.0,
        prior: str | None = None,
        discriminator_widths: tuple[int, ...] = DISCRIMINATOR_WIDTHS,
    ):
        super().__init__()
        self.model, self.gamma, self.prior = model, gamma, prior
        if gamma:
            widths = [n_components, *discriminator_widths, 1]
            self.discriminator = mlp(widths, activation="relu")
            self.location, self.scale = prior_moments(prior, n_components)

    def _terms(self, x: Tensor, *rest: Tensor, generator):
        raise NotImplementedError

    def forward(self, x: Tensor, *rest: Tensor, player: str) -> dict[str, Tensor]:
        generator = self._draws(x)
        if player == "discriminator":  # after the encoder's step on the same batch
            return self._discriminator_terms(self._last, generator)
        y, loss, terms = self._terms(x, *rest, generator=generator)
        if self.gamma:
            if self.training:
                self._last = y.detach()
                loss = loss + self.gamma * softplus(-self._prior_ratio(y)).mean()
            else:
                terms["prior"] = self._prior_bound(y, generator) + 2 * math.log(2)
                loss = loss + self.gamma * terms["prior"]
        return {"loss": loss, **terms}

    def _prior_bound(self, y: Tensor, generator) -> Tensor:
        """The adversary's bound on 2 JSD(prior, y) - 2 log 2 (Deep InfoMax, eq. 7)."""
        samples = PRIORS[self.prior](tuple(y.shape), generator)
        return jsd(self._prior_ratio(samples), self._prior_ratio(y))

    @torch.compiler.disable  # compiled networks cannot be differentiated twice
    def _discriminator_terms(self, y: Tensor, generator) -> dict[str, Tensor]:
        """The adversary's loss: its bound, and the penalty on its gradient at the same points."""
        samples = PRIORS[self.prior](tuple(y.shape), generator)
        points = self._standardise(torch.cat([samples, y])).requires_grad_()
        ratio = full_precision(self.discriminator(points))
        bound = jsd(*ratio.split(len(y)))
        loss = GRADIENT_PENALTY / 2 * squared_gradient(ratio, [points]) - bound
        return {"loss": loss, "prior": bound.detach() + 2 * math.log(2)}

    def _prior_ratio(self, y: Tensor) -> Tensor:
        """The adversary's log density ratio of the prior and the representations."""
        return full_precision(self.discriminator(self._standardise(y)))

    def _standardise(self, y: Tensor) -> Tensor:
        """On the scale of standardised samples of the prior, where the adversary learns faster."""
        return (y - self.location) / self.scale


def gaussian_noise(like: Tensor, generator) -> Tensor:
    """Standard normal draws of the shape of a tensor."""
    return torch.randn(like.shape, generator=generator, device=like.device)


def mirrored(draw: Callable[[], Tensor], n_draws: int) -> list[Tensor]:
    """Several draws of noise, every second of which is minus the one before."""
    noises = [draw() for _ in range(math.ceil(n_draws / 2))]
    return [sign * noise for noise in noises for sign in (1, -1)][:n_draws]


def warn_of_small_batches(batch_size: int, n_rows: int, weight: str, without: str) -> None:
    """Warn if codes are permuted within few rows; `weight` asks for it, `without` does not."""
    if min(batch_size, n_rows) < SMALLEST_BATCH:
        what = f"n_samples={n_rows}" if n_rows < batch_size else f"batch_size={batch_size}"
        warn(
            f"{what} is few for {weight}: within a batch of fewer than {SMALLEST_BATCH} rows, "
            f"permuted codes tell the critic little. Use batches of 64 or more, or {without}.",
            UserWarning,
        )
