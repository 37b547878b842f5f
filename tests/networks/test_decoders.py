"""Decoders: the transposed convolution of one channel."""

import pytest
import torch
from torch.nn.functional import conv_transpose2d

from skmi.networks.decoders import TransposedConv2d


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("size", "options"),
    [(4, {"padding": 1}), (5, {"padding": 2, "output_padding": (1, 0)}), ((3, 4), {})],
)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_one_channel_is_that_of_torch(size, options, bias, memory_format):
    torch.manual_seed(0)
    layer = TransposedConv2d(6, 1, size, stride=2, bias=bias, **options).double()
    x = torch.randn(4, 6, 5, 7, dtype=torch.float64).contiguous(memory_format=memory_format)
    x.requires_grad_()
    expected = conv_transpose2d(x, layer.weight, layer.bias, stride=2, **options)
    ours = layer(x)
    assert torch.allclose(ours, expected, atol=1e-12)
    slope, wanted = torch.randn_like(expected), [x, *layer.parameters()]
    gradients = (torch.autograd.grad(y, wanted, slope) for y in (ours, expected))
    for gradient, other in zip(*gradients, strict=True):
        assert torch.allclose(gradient, other, atol=1e-10)
