"""Normal distributions with independent columns."""

import math

import torch
from torch import Tensor

__all__ = ["kl_to_standard_normal", "normal_log_density"]


def normal_log_density(x: Tensor, mean: Tensor | float = 0.0, std: Tensor | float = 1.0) -> Tensor:
    """Log density in nats of each row, over the last dimension."""
    std = torch.as_tensor(std, dtype=x.dtype, device=x.device)
    terms = ((x - mean) / std).square() / 2 + std.log() + math.log(2 * math.pi) / 2
    return -terms.sum(-1)


def kl_to_standard_normal(mean: Tensor, std: Tensor) -> Tensor:
    r"""Divergence in nats of each row's distribution from the standard normal one.

    .. math:: \tfrac12 \sum_d \bigl(\mu_d^2 + \sigma_d^2 - 1 - \log \sigma_d^2 \bigr)
    """
    return (mean.square() + std.square() - 1 - 2 * std.log()).sum(-1) / 2
