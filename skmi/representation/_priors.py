"""Prior distributions that a representation can be matched to, and the ranges of their values."""

import torch
from torch import Tensor, nn

__all__ = ["PRIORS", "maximum_mean_discrepancy", "prior_moments", "range_of_prior"]

#: Scales of the kernel of the maximum mean discrepancy.
KERNEL_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def _normal(shape, generator) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device)


def _uniform(shape, generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device)


def _sphere(shape, generator) -> Tensor:
    return nn.functional.normalize(_normal(shape, generator))


def _ball(shape, generator) -> Tensor:
    radius = _uniform((shape[0], 1), generator) ** (1 / shape[1])
    return radius * _sphere(shape, generator)


def _binary(shape, generator) -> Tensor:
    return (_uniform(shape, generator) < 0.5).float()


#: Samplers ``(shape, generator) -> Tensor`` by name: the cube [0, 1]^d, the normal distribution,
#: the unit ball, its surface, and the corners of the cube.
PRIORS = {
    "uniform": _uniform,
    "gaussian": _normal,
    "ball": _ball,
    "sphere": _sphere,
    "binary": _binary,
}


def prior_moments(name: str, n_components: int) -> tuple[float, float]:
    """Mean and standard deviation of every column of samples of a prior."""
    return {
        "uniform": (0.5, 12**-0.5),
        "gaussian": (0.0, 1.0),
        "ball": (0.0, (n_components + 2) ** -0.5),
        "sphere": (0.0, n_components**-0.5),
        "binary": (0.5, 0.5),
    }[name]


class _Normalize(nn.Module):
    def forward(self, y):
        return nn.functional.normalize(y)


class _Shrink(nn.Module):
    """Into the unit ball, along the radius."""

    def forward(self, y):
        return y / (1 + y.square().sum(1, keepdim=True)).sqrt()


class _NormalCDF(nn.Module):
    """Onto (0, 1): what is normally distributed becomes uniform."""

    def forward(self, y):
        return torch.special.ndtr(y)


def range_of_prior(name: str | None, n_components: int, *, standardize: bool = True) -> nn.Module:
    """The last layer of an encoder, whose values are those that the prior can take.

    With ``standardize`` the columns have mean 0 and variance 1 before, so that each of them
    alone is near the prior from the start and the adversary is left with their dependence.
    """
    if name in ("uniform", "binary"):
        layer = _NormalCDF() if standardize else nn.Sigmoid()
    else:
        layer = {"ball": _Shrink, "sphere": _Normalize}.get(name, nn.Identity)()
    if not standardize:
        return layer
    return nn.Sequential(nn.BatchNorm1d(n_components, affine=False), layer)


def maximum_mean_discrepancy(a: Tensor, b: Tensor) -> Tensor:
    r"""Squared maximum mean discrepancy of two samples, never below 0.

    .. math:: \frac{1}{n^2} \sum_{ij} k(a_i, a_j) + k(b_i, b_j) - 2 k(a_i, b_j)

    with inverse multiquadratic kernels :math:`k = c / (c + \lVert a - b \rVert^2)` of several
    scales c, averaged; they are for samples of variance about 1. Source: Tolstikhin et al. (2018),
    "Wasserstein auto-encoders"; used by InfoVAE (Zhao et al. 2019).
    """

    def mean_kernel(a, b):
        squares = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()
        scales = [2 * a.shape[1] * scale for scale in KERNEL_SCALES]
        return torch.stack([(c / (c + squares)).mean() for c in scales]).mean()

    squared = mean_kernel(a, a) + mean_kernel(b, b) - 2 * mean_kernel(a, b)
    return squared.clamp(min=0)  # what rounding leaves of equal samples may lie below
