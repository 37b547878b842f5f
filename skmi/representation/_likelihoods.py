"""How decoders' outputs give the probability of data."""

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from skmi._normal import normal_log_density

__all__ = ["Bernoulli", "Gaussian"]

#: Smallest variance of the noise, of data whose columns have variance 1.
SMALLEST_VARIANCE = 1e-6
#: Smallest probability of a pixel, either way, that a mean is taken for.
SMALLEST_PROBABILITY = 1e-4
#: Weight of a new batch in the variance of the noise.
MOMENTUM = 0.05


class Bernoulli(nn.Module):
    """Pixels from 0 to 1 as probabilities of ones, whose logits the decoder gives.

    The log-likelihood is minus the cross-entropy, which for grey values is the customary
    measure but no density.
    """

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """Log-likelihood in nats of each row."""
        return -binary_cross_entropy_with_logits(output, x, reduction="none").flatten(1).sum(1)

    def mean(self, output: Tensor) -> Tensor:
        """What the decoder expects."""
        return output.sigmoid()

    def output_of(self, mean: Tensor) -> Tensor:
        """The output of a decoder that expects this."""
        return torch.logit(mean, eps=SMALLEST_PROBABILITY)

    def draw(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Data drawn around what the decoder expects."""
        return torch.bernoulli(output.sigmoid(), generator=generator)


class Gaussian(nn.Module):
    """Normal noise of one variance around what the decoder gives.

    The variance that is most likely given a batch is its mean squared error: training uses it,
    and a moving average stands for it in validation. `fit_noise` sets it once training is over.

    Parameters
    ----------
    varies : Tensor of bool, optional
        Which values of a flat row vary. The others have no noise and no density, and are left out.
    """

    def __init__(self, varies: Tensor | None = None):
        super().__init__()
        self.register_buffer("varies", varies, persistent=False)
        self.register_buffer("variance", torch.ones(()))
        self.register_buffer("n_batches", torch.zeros(()))

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """Log-likelihood in nats of each row."""
        variance = self.variance
        if self.training:
            variance = self._error(output, x)
            self.n_batches += 1
            self.variance.lerp_(variance.detach(), (1 / self.n_batches).clamp(min=MOMENTUM))
        return normal_log_density(self._select(x), self._select(output), variance.sqrt())

    def fit_noise(self, outputs_and_rows) -> None:
        """Set the variance to the mean squared error over batches of decoded and true rows."""
        totals = [(self._error(output, x) * len(x), len(x)) for output, x in outputs_and_rows]
        errors, n_rows = zip(*totals, strict=True)
        self.variance.copy_(sum(errors) / sum(n_rows))

    def _error(self, output: Tensor, x: Tensor) -> Tensor:
        return self._select(output - x).square().mean().clamp(min=SMALLEST_VARIANCE)

    def _select(self, values: Tensor) -> Tensor:
        return values.flatten(1) if self.varies is None else values.flatten(1)[:, self.varies]

    def mean(self, output: Tensor) -> Tensor:
        """What the decoder expects."""
        return output

    def output_of(self, mean: Tensor) -> Tensor:
        """The output of a decoder that expects this."""
        return mean

    def draw(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Data drawn around what the decoder expects."""
        noise = torch.randn(output.shape, generator=generator, device=output.device)
        return output + self.variance.sqrt() * noise
