"""The objective of variational autoencoders."""

import torch
from torch import Tensor, nn

from skmi._normal import kl_to_standard_normal, normal_log_density
from skmi.bounds import Bound, split_matrix
from skmi.critics import Critic
from skmi.representation._objective import Objective
from skmi.representation._priors import maximum_mean_discrepancy

__all__ = ["VAEObjective", "is_autoregressive", "split_posterior"]

#: Largest logarithm of a posterior's standard deviation, either way.
LARGEST_LOG_STD = 10.0


def is_autoregressive(decoder: nn.Module) -> bool:
    """Whether a decoder is called with the code and the data, not with the code alone."""
    return getattr(decoder, "autoregressive", False)


def split_posterior(y: Tensor) -> tuple[Tensor, Tensor]:
    """Means and standard deviations, from an encoder's output."""
    means, log_stds = y.chunk(2, dim=1)
    return means, (LARGEST_LOG_STD * torch.tanh(log_stds / LARGEST_LOG_STD)).exp()


class VAEObjective(Objective):
    """Minus the evidence lower bound, the information and the discrepancy, with their weights.

    Parameters
    ----------
    model : nn.ModuleDict
        ``encoder``, ``decoder`` and ``likelihood``.
    critic : Critic or None
        Of rows, flattened, and codes; None if ``alpha`` is 0.
    bound : Bound
        What the critic climbs, and the encoder with it.
    alpha, beta, mmd : float
        Weights of the information, of the divergence from the prior and of the discrepancy.
    """

    def __init__(
        self,
        model: nn.ModuleDict,
        critic: Critic | None,
        bound: Bound,
        *,
        alpha: float,
        beta: float,
        mmd: float,
    ):
        super().__init__()
        self.model, self.bound = model, bound
        self.alpha, self.beta, self.mmd = alpha, beta, mmd
        if alpha:
            self.critic = nn.ModuleDict({"scores": critic})
            if bound.has_eta:
                self.critic["eta"] = nn.ParameterList([nn.Parameter(torch.zeros(()))])

    def forward(self, x: Tensor, player: str) -> dict[str, Tensor]:
        generator = self._draws(x)
        if player == "critic":  # after the autoencoder's step, on the codes of that step
            value, _ = self._information(x, self._last, generator)
            return {"loss": -value}
        mean, std = split_posterior(self.model["encoder"](x).y)
        z = mean + std * _noise(mean, generator)
        log_likelihood = self._log_likelihood(x, z).mean()
        kl = kl_to_standard_normal(mean, std).mean()
        loss = self.beta * kl - log_likelihood
        terms = {"log_likelihood": log_likelihood, "kl": kl}
        if self.alpha:
            value, terms["information"] = self._information(x, z, generator)
            loss = loss - self.alpha * value
            self._last = z.detach()
        if self.mmd:
            terms["mmd"] = maximum_mean_discrepancy(z, _noise(z, generator))
            loss = loss + self.mmd * terms["mmd"]
        return {"loss": loss, **terms}

    @torch.no_grad()
    def fit_noise(self, batches) -> None:
        """Set the noise of a Gaussian likelihood, with one draw of the code of each row."""
        if hasattr(self.model["likelihood"], "fit_noise"):
            pairs = []
            for x in batches:
                mean, std = split_posterior(self.model["encoder"](x).y)
                z = mean + std * _noise(mean, self._draws(x))
                pairs.append((self._decode(x, z), x))
            self.model["likelihood"].fit_noise(pairs)

    def log_weights(self, x: Tensor, mean: Tensor, std: Tensor, noise: Tensor) -> Tensor:
        """Log importance weight of one draw from the posterior of each row."""
        z = mean + std * noise
        prior, posterior = normal_log_density(z), normal_log_density(z, mean, std)
        return self._log_likelihood(x, z) + prior - posterior

    def _log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return self.model["likelihood"].log_prob(self._decode(x, z), x)

    def _decode(self, x: Tensor, z: Tensor) -> Tensor:
        decoder = self.model["decoder"]
        return decoder(z, x) if is_autoregressive(decoder) else decoder(z)

    def _information(self, x: Tensor, z: Tensor, generator) -> tuple[Tensor, Tensor]:
        """The critic's bound, and its estimate in nats, from a batch and its codes permuted."""
        critic = self.critic["scores"]
        x_embedding, z_embedding = critic.embed_x(x.flatten(1)), critic.embed_y(z)
        if self.bound.contrastive:
            joint, product = split_matrix(critic.all_pairs(x_embedding, z_embedding))
        else:
            cycle = torch.randperm(len(z), generator=generator, device=z.device)
            partners = torch.empty_like(cycle).scatter_(0, cycle, cycle.roll(1))  # no fixed point
            joint = critic.combine(x_embedding, z_embedding)
            product = critic.combine_partners(x_embedding, z_embedding, partners[None])
        eta = self.critic["eta"][0] if self.bound.has_eta else None
        return self.bound.value_and_nats(joint, product, eta)


def _noise(like: Tensor, generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, device=like.device)
