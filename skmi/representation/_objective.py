"""What networks are trained for: draws, information, and a prior that an adversary guards."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from skmi.bounds import Bound, jsd, split_matrix
from skmi.critics import Critic
from skmi.networks import mlp
from skmi.representation._priors import PRIORS

__all__ = ["EncoderObjective", "InformationTerm", "Objective"]

#: Hidden widths of the discriminator of the prior.
DISCRIMINATOR_WIDTHS = (1000, 200)


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


class InformationTerm(nn.Module):
    """The information of rows and codes as a critic sees it, from a batch of pairs.

    Parameters
    ----------
    critic : Critic
        Of rows and codes.
    bound : Bound
        What the critic climbs.
    """

    def __init__(self, critic: Critic, bound: Bound):
        super().__init__()
        self.scores, self.bound = critic, bound
        if bound.has_eta:
            self.eta = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, z: Tensor, generator) -> tuple[Tensor, Tensor]:
        """The bound and its estimate in nats, from pairs and pairs with codes permuted."""
        critic = self.scores
        x_embedding, z_embedding = critic.embed_x(x), critic.embed_y(z)
        if self.bound.contrastive:
            joint, product = split_matrix(critic.all_pairs(x_embedding, z_embedding))
        else:
            cycle = torch.randperm(len(z), generator=generator, device=z.device)
            partners = torch.empty_like(cycle).scatter_(0, cycle, cycle.roll(1))  # no fixed point
            joint = critic.combine(x_embedding, z_embedding)
            product = critic.combine_partners(x_embedding, z_embedding, partners[None])
        eta = self.eta if self.bound.has_eta else None
        return self.bound.value_and_nats(joint, product, eta)


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
    """

    def __init__(
        self,
        model: nn.ModuleDict,
        *,
        n_components: int,
        gamma: float = 0.0,
        prior: str | None = None,
    ):
        super().__init__()
        self.model, self.gamma, self.prior = model, gamma, prior
        if gamma:
            widths = [n_components, *DISCRIMINATOR_WIDTHS, 1]
            self.discriminator = mlp(widths, activation="relu")

    def _terms(self, x: Tensor, *rest: Tensor, generator):
        raise NotImplementedError

    def forward(self, x: Tensor, *rest: Tensor, player: str) -> dict[str, Tensor]:
        generator = self._draws(x)
        if player == "discriminator":  # after the encoder's step on the same batch
            return {"loss": -self._prior_bound(self._last, generator)}
        y, loss, terms = self._terms(x, *rest, generator=generator)
        if self.gamma:
            self._last = y.detach()
            with torch.no_grad():
                terms["prior"] = self._prior_bound(y, generator) + 2 * math.log(2)
            if self.training:
                loss = loss + self.gamma * softplus(-self.discriminator(y)).mean()
            else:
                loss = loss + self.gamma * terms["prior"]
        return {"loss": loss, **terms}

    def _prior_bound(self, y: Tensor, generator) -> Tensor:
        """The adversary's bound on 2 JSD(prior, y) - 2 log 2 (Deep InfoMax, eq. 7)."""
        samples = PRIORS[self.prior](tuple(y.shape), generator)
        return jsd(self.discriminator(samples), self.discriminator(y))
