"""What encoders are trained for: a subclass's terms, and a prior that an adversary guards."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from skmi.bounds import Bound, jsd
from skmi.networks import mlp
from skmi.representation._priors import PRIORS

__all__ = ["EncoderObjective", "value_and_nats"]

#: Hidden widths of the discriminator of the prior.
DISCRIMINATOR_WIDTHS = (1000, 200)


class EncoderObjective(nn.Module):
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

    Attributes
    ----------
    generator : torch.Generator or None
        Source of all draws in training. Evaluation repeats the same draws.
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
        self.generator: torch.Generator | None = None
        if gamma:
            widths = [n_components, *DISCRIMINATOR_WIDTHS, 1]
            self.discriminator = mlp(widths, activation="relu")
        self._y: Tensor | None = None

    def __getstate__(self):  # the last batch's representations may be on another device
        return self.__dict__ | {"_y": None}

    def _terms(self, x: Tensor, *rest: Tensor, generator):
        raise NotImplementedError

    def forward(self, x: Tensor, *rest: Tensor, player: str) -> dict[str, Tensor]:
        generator = self.generator
        if generator is None or not self.training:
            generator = torch.Generator(x.device).manual_seed(0)
        if player == "discriminator":  # after the encoder's step on the same batch
            return {"loss": -self._prior_bound(self._y, generator)}
        y, loss, terms = self._terms(x, *rest, generator=generator)
        if self.gamma:
            self._y = y.detach()
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


def value_and_nats(bound: Bound, joint: Tensor, product: Tensor, eta: Tensor | None = None):
    """A bound's value, to climb, and its estimate in nats, of scores that start as log ratios."""
    joint, product = joint + bound.offset, product + bound.offset
    if bound.has_eta:
        return bound.value(joint, product, eta), bound.nats(joint - eta, product - eta)
    value = bound.value(joint, product)
    return value, value if bound.nats is bound.value else bound.nats(joint, product)
