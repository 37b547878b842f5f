"""Modules that a user passes are tried out, copied and left as they were."""

import pickle

import pytest
import torch
from torch import nn

from skmi.networks import checked_copy, trial_output


def normalizing(mode):
    """A network whose batch norm would notice rows of zeros in training."""
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    network[1].running_mean.fill_(2.0)
    return network.train(mode)


@pytest.mark.parametrize("mode", [True, False])
def test_a_trial_leaves_no_trace(mode):
    network = normalizing(mode)
    before, state = pickle.dumps(network.state_dict()), torch.get_rng_state()
    output = trial_output(network, (3,))
    assert output.shape == (2, 4) and not output.requires_grad
    assert network.training == mode and pickle.dumps(network.state_dict()) == before
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ValueError, match=r"net does not take rows of shape \(5,\)"):
        trial_output(network, (5,), name="net")
    assert network.training == mode


def test_a_copy_is_not_the_original():
    network = normalizing(True)
    copied = checked_copy("net", network, [(3,)], (4,))
    copied[0].weight.data.zero_()
    assert network[0].weight.abs().min() > 0 and copied.training


class Returns(nn.Module):
    """Whatever two arguments are given, the same."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x, y):
        return self.value


@pytest.mark.parametrize("score", [torch.zeros(2), torch.zeros(2, 1)])
def test_scores_may_have_a_column_or_none(score):
    checked_copy("critic", Returns(score), [(3,), (4,)], (1,))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (torch.zeros(()), r"returned \(\)"),
        (torch.zeros(4), r"returned \(4,\)"),
        (torch.zeros(1, 1), r"returned \(1, 1\)"),
        (torch.zeros(2, 2), r"returned \(2, 2\)"),
        ((torch.zeros(2),), "returned tuple"),
    ],
)
def test_what_is_no_score(value, found):
    message = rf"critic must map rows of shape \(3,\) and \(4,\) to one score each, but {found}"
    with pytest.raises(ValueError, match=message):
        checked_copy("critic", Returns(value), [(3,), (4,)], (1,))
    with pytest.raises(ValueError, match=r"to rows of shape \(5,\), but returned"):
        checked_copy("critic", Returns(value), [(3,), (4,)], (5,))
