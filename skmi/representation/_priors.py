"""Prior distributions that a representation can be matched to, and the ranges of their values."""

import torch
from torch import Tensor, nn

__all__ = ["PRIORS", "range_of_prior"]


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


class _Normalize(nn.Module):
    def forward(self, y):
        return nn.functional.normalize(y)


class _Shrink(nn.Module):
    """Into the unit ball, along the radius."""

    def forward(self, y):
        return y / (1 + y.square().sum(1, keepdim=True)).sqrt()


def range_of_prior(name: str | None) -> nn.Module:
    """The last layer of an encoder, whose values are those that the prior can take."""
    if name in ("uniform", "binary"):
        return nn.Sigmoid()
    return {"ball": _Shrink, "sphere": _Normalize}.get(name, nn.Identity)()
