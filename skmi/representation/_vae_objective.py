"""The objective of variational autoencoders."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skmi._normal import kl_to_standard_normal, normal_log_density
from skmi.representation._objective import (
    InformationCritic,
    Objective,
    full_precision,
    gaussian_noise,
    mirrored,
)
from skmi.representation._priors import maximum_mean_discrepancy

__all__ = ["CriticView", "VAEObjective", "is_autoregressive", "split_posterior"]

#: Largest logarithm of a posterior's standard deviation, either way.
LARGEST_LOG_STD = 10.0


def is_autoregressive(decoder: nn.Module) -> bool:
    """Whether a decoder is called with the code and the data, not with the code alone."""
    return getattr(decoder, "autoregressive", False)


def split_posterior(y: Tensor) -> tuple[Tensor, Tensor]:
    """Means and standard deviations, from an encoder's output."""
    means, log_stds = full_precision(y).chunk(2, dim=1)
    return means, (LARGEST_LOG_STD * torch.tanh(log_stds / LARGEST_LOG_STD)).exp()


class CriticView(nn.Module):
    """What a critic sees of rows and of several draws of their codes.

    A code depends on its row by the posterior alone, so that the one tells as much of it as the
    other. Noise takes most of the information where there is much of it: what is left to be
    gained lies in codes that say little, and not in narrow posteriors. Codes are standardised
    beneath it, lest they grow out of it.

    Parameters
    ----------
    n_components : int
        Width of the codes.
    of_posteriors : bool
        Whether the critic is told the posteriors of rows in place of the rows.
    noise : float
        Standard deviation of the noise; with 0 codes are seen as they are.
    """

    def __init__(self, n_components: int, *, of_posteriors: bool, noise: float):
        super().__init__()
        self.of_posteriors, self.noise = of_posteriors, noise
        self.standardize = nn.BatchNorm1d(n_components, affine=False) if noise else None

    def forward(self, x, mean, std, codes, generator) -> tuple[Tensor, Sequence[Tensor]]:
        known = torch.cat([mean, std.log()], dim=1).detach() if self.of_posteriors else x.flatten(1)
        if not self.noise:
            return known, codes
        seen = self.standardize(torch.cat(codes))
        return known, (seen + self.noise * gaussian_noise(seen, generator)).split(len(x))


class VAEObjective(Objective):
    """Minus the evidence lower bound, the information and the discrepancy, with their weights.

    Parameters
    ----------
    model : nn.ModuleDict
        ``encoder``, ``decoder`` and ``likelihood``.
    critic : InformationCritic or None
        Climbs its bound, and the encoder with it; None if ``alpha`` is 0.
    alpha, beta, mmd : float
        Weights of the information, of the divergence from the prior and of the discrepancy.
    view : CriticView or None
        What the critic sees of rows and codes.
    n_draws : int
        Draws of the code of each row that the information is the mean over. The decoder has the
        first.
    """

    def __init__(
        self,
        model: nn.ModuleDict,
        critic: InformationCritic | None,
        *,
        alpha: float,
        beta: float,
        mmd: float,
        view: nn.Module | None = None,
        n_draws: int = 1,
    ):
        super().__init__()
        self.model, self.critic = model, critic
        self.alpha, self.beta, self.mmd = alpha, beta, mmd
        self.view, self.n_draws = view, n_draws

    def forward(self, x: Tensor, player: str) -> dict[str, Tensor]:
        generator = self._draws(x)
        if player == "critic":  # after the autoencoder's step, on the codes of that step, in turn
            known, (code, *others) = self._last
            self._last = known, (*others, code)
            value, _ = self.critic(known, code, generator)
            return {"loss": -value}
        mean, std = split_posterior(self.model["encoder"](x).y)
        noises = mirrored(lambda: gaussian_noise(mean, generator), self.n_draws)
        codes = [mean + std * noise for noise in noises]
        z = codes[0]
        log_likelihood = self._log_likelihood(x, z).mean()
        kl = kl_to_standard_normal(mean, std).mean()
        loss = self.beta * kl - log_likelihood
        terms = {"log_likelihood": log_likelihood, "kl": kl}
        if self.alpha:
            known, seen = self.view(x, mean, std, codes, generator)
            value, terms["information"] = self.critic.mean_over_draws(known, seen, generator)
            loss = loss - self.alpha * value
            self._last = known, tuple(code.detach() for code in seen)
        if self.mmd:
            terms["mmd"] = maximum_mean_discrepancy(z, gaussian_noise(z, generator))
            loss = loss + self.mmd * terms["mmd"]
        return {"loss": loss, **terms}

    @torch.no_grad()
    def fit_noise(self, batches) -> None:
        """Set the noise of a Gaussian likelihood, with one draw of the code of each row."""

        def decoded():
            for x in batches:
                mean, std = split_posterior(self.model["encoder"](x).y)
                z = mean + std * gaussian_noise(mean, self._draws(x))
                yield self._decode(x, z), x

        if hasattr(self.model["likelihood"], "fit_noise"):
            self.model["likelihood"].fit_noise(decoded())

    def log_weights(self, x: Tensor, mean: Tensor, std: Tensor, noise: Tensor) -> Tensor:
        """Log importance weight of one draw from the posterior of each row."""
        z = mean + std * noise
        prior, posterior = normal_log_density(z), normal_log_density(z, mean, std)
        return self._log_likelihood(x, z) + prior - posterior

    def _log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return self.model["likelihood"].log_prob(self._decode(x, z), x)

    def _decode(self, x: Tensor, z: Tensor) -> Tensor:
        decoder = self.model["decoder"]
        return full_precision(decoder(z, x) if is_autoregressive(decoder) else decoder(z))
