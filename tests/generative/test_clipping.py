"""Adaptive clipping: the norm that it keeps to, and what it leaves alone."""

import pytest
import torch
from torch import nn

from skmi.training import Player, Trainer, adaptive_clipping


def norm(parts):
    return torch.cat([part.flatten() for part in parts]).double().norm()


def parts(seed, scale):
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(shape, generator=generator) for shape in ((3, 2), (4,), ())]


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 0.5, 2.0, 1e4, 1e20, 1e36])
def test_norm_is_the_smaller_of_the_two_and_the_direction_is_kept(scale):
    reference, gradients = parts(0, 1.0), parts(1, scale)
    clipped = adaptive_clipping(gradients, reference)
    assert norm(clipped).item() == pytest.approx(min(norm(reference), norm(gradients)).item())
    ratios = torch.cat([(c / g).flatten() for c, g in zip(clipped, gradients, strict=True)])
    assert torch.allclose(ratios / ratios[0], torch.ones_like(ratios)) and 0 < ratios[0] <= 1


def test_norms_of_moderate_size_are_those_of_the_squares():
    reference, gradients = parts(0, 1.0), parts(1, 3.0)
    limit, norm = (
        torch.stack([part.square().sum() for part in some]).sum().sqrt()
        for some in (reference, gradients)
    )
    for ours, part in zip(adaptive_clipping(gradients, reference), gradients, strict=True):
        assert torch.allclose(ours, limit / norm * part, rtol=1e-6)


def test_tiny_gradients_are_clipped_as_well():
    reference, gradients = parts(0, 1e-30), parts(1, 1.0)
    clipped = adaptive_clipping(gradients, reference)
    assert norm(clipped).item() == pytest.approx(norm(reference).item(), rel=1e-5, abs=0)


def test_huge_gradients_beside_a_tiny_reference():
    gradients, reference = [torch.tensor([3e38, 0.0])], [torch.tensor([0.0, 1e-8])]
    (clipped,) = adaptive_clipping(gradients, reference)
    assert torch.allclose(clipped, torch.tensor([1e-8, 0.0]), atol=0)


def test_gradients_that_are_zero():
    zero, some = [0 * part for part in parts(0, 1.0)], parts(0, 1.0)
    for gradients, reference in ((zero, some), (some, zero), (zero, zero)):
        clipped = adaptive_clipping(gradients, reference)
        assert all((part == 0).all() for part in clipped)


def test_gradients_that_are_not_finite_stay_so():
    # else a critic that has exploded would be hidden
    for value in (torch.nan, torch.inf):
        clipped = adaptive_clipping([torch.tensor([value, 1.0])], [torch.ones(2)])
        assert not torch.cat(clipped).isfinite().all()


class Objective(nn.Module):
    """One loss that concerns both parameters, and another that concerns the first only."""

    def __init__(self, weight):
        super().__init__()
        self.model = nn.ParameterDict({"a": torch.tensor([1.0, 2.0]), "b": torch.tensor(3.0)})
        self.weight = weight

    def forward(self, x, player):
        a, b = self.model["a"], self.model["b"]
        return {"loss": (a.square().sum() + b) / 2, "clipped_loss": self.weight * a[0]}


@pytest.mark.parametrize("weight", [0.5, -1.0, 100.0])
def test_trainer_adds_the_clipped_gradient(weight):
    objective = Objective(weight)
    trainer = Trainer(objective, players=[Player("model")], max_epochs=1, batch_size=4)
    trainer.initialize()
    step = trainer.train_step_single((torch.zeros(4, 1),), trainer.players[0])
    a, b = objective.model["a"], objective.model["b"]
    # the reference is the gradient of what both losses reach: a, and not b
    limit = 5**0.5
    clipped = max(-limit, min(weight, limit))
    assert torch.allclose(a.grad, torch.tensor([1.0 + clipped, 2.0]))
    assert b.grad == 0.5
    assert step["loss"].item() == pytest.approx(4.0 + weight)  # the sum is what is recorded
    assert "clipped_loss" not in step
