"""Convolutions as products of matrices: those of torch, to the last digits."""

from contextlib import nullcontext
from unittest import mock

import pytest
import torch
from torch import nn

from skmi.networks.convolutions import Conv2d, ConvTranspose2d

#: Of transposed convolutions: number of channels, side of the map, kernel, options.
ONE_CHANNEL = [
    (1, (5, 7), 4, {"stride": 2, "padding": 1}),
    (1, (5, 7), 5, {"stride": 2, "padding": 2, "output_padding": (1, 0)}),
    (1, (3, 3), (3, 4), {"stride": 2}),
]
ONE_PIXEL = [
    (6, (1, 1), 4, {"stride": 2, "padding": 1}),
    (6, (1, 1), 4, {"stride": 2, "padding": 1, "output_padding": (1, 0)}),
    (1, (1, 1), (3, 2), {}),
]
AS_TORCH_DOES = [
    (6, (2, 2), 4, {"stride": 2, "padding": 1}),
    (6, (1, 1), 4, {"stride": 2, "output_padding": 1}),  # wider than the kernel
    (6, (1, 1), 2, {"groups": 2}),
    (1, (5, 5), 3, {"dilation": 2}),
    (6, (1, 1), 3, {"dilation": 2}),
]
#: Of convolutions, the same.
OF_ONE_PIXEL = [
    (6, (3, 3), 4, {"stride": 2, "padding": 1}),
    (6, (2, 3), (4, 5), {"stride": 2, "padding": 1}),
    (6, (3, 2), (3, 2), {}),
]
AS_TORCH_CONVOLVES = [
    (6, (4, 4), 4, {"stride": 2, "padding": 1}),
    (6, (4, 4), 3, {"stride": 2}),  # does not see all of the image
    (6, (3, 3), 3, {"padding": 1, "stride": 3, "padding_mode": "circular"}),
    (6, (3, 3), 3, {"padding": "same"}),
    (6, (3, 3), 2, {"dilation": 2}),
    (6, (2, 2), 2, {"groups": 2}),
]


def compare(kind, theirs, case, bias, memory_format, *, ours):
    channels, sides, kernel, options = case
    torch.manual_seed(0)
    layer = kind(4, channels, kernel, bias=bias, **options).double()
    reference = getattr(nn, kind.__name__)(4, channels, kernel, bias=bias, **options).double()
    reference.load_state_dict(layer.state_dict())
    x = torch.randn(3, 4, *sides, dtype=torch.float64).contiguous(memory_format=memory_format)
    x.requires_grad_()
    expected = reference(x)
    fail = mock.patch.object(theirs, "forward", side_effect=AssertionError)
    with fail if ours else nullcontext():
        output = layer(x)
    assert torch.allclose(output, expected, atol=1e-12)
    slope = torch.randn_like(expected)
    found = torch.autograd.grad(output, [x, *layer.parameters()], slope)
    wanted = torch.autograd.grad(expected, [x, *reference.parameters()], slope)
    for gradient, other in zip(found, wanted, strict=True):
        assert torch.allclose(gradient, other, atol=1e-12)


each_bias = pytest.mark.parametrize("bias", [True, False])
each_format = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])


@each_bias
@each_format
@pytest.mark.parametrize("case", ONE_CHANNEL + ONE_PIXEL + AS_TORCH_DOES, ids=repr)
def test_transposed_convolutions(case, bias, layout):
    ours = case not in AS_TORCH_DOES
    compare(ConvTranspose2d, nn.ConvTranspose2d, case, bias, layout, ours=ours)


@each_bias
@each_format
@pytest.mark.parametrize("case", OF_ONE_PIXEL + AS_TORCH_CONVOLVES, ids=repr)
def test_convolutions(case, bias, layout):
    compare(Conv2d, nn.Conv2d, case, bias, layout, ours=case not in AS_TORCH_CONVOLVES)


@pytest.mark.parametrize("kind", [Conv2d, ConvTranspose2d])
def test_other_devices_are_left_to_torch(kind):
    x = torch.empty(2, 4, 1, 1, device="meta")
    with mock.patch.object(getattr(nn, kind.__name__), "forward") as forward:
        kind(4, 1, 1, device="meta")(x)
    forward.assert_called_once()


def test_what_only_torch_takes():
    x = torch.randn(4, 1, 1)
    layer = ConvTranspose2d(4, 6, 4, stride=2, padding=1)
    assert layer(x).shape == (6, 2, 2) and Conv2d(4, 6, 1)(x).shape == (6, 1, 1)
    assert layer(x[None], output_size=(3, 3)).shape == (1, 6, 3, 3)
    for other in (layer, Conv2d(4, 6, 1)):
        with pytest.raises(RuntimeError, match="channels"):
            other(torch.randn(2, 3, 1, 1))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("channels", "side"), [(6, 1), (1, 5)])
def test_in_bfloat16_as_close_as_that_of_torch(channels, side, bias):
    torch.manual_seed(0)
    layer = ConvTranspose2d(64, channels, 4, stride=2, padding=1, bias=bias)
    reference = nn.ConvTranspose2d(64, channels, 4, stride=2, padding=1, bias=bias)
    reference.load_state_dict(layer.state_dict())
    x = torch.randn(50, 64, side, side)
    exact = reference(x)
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = layer(x), reference(x)
    assert ours.dtype == theirs.dtype == torch.bfloat16
    ours, theirs = ((y.float() - exact).abs().mean() for y in (ours, theirs))
    assert ours < 1.5 * theirs
