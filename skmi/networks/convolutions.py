"""Convolutions that are computed as products of matrices where that is faster on a CPU."""

from torch import Tensor, nn
from torch.nn.functional import fold, linear

__all__ = ["Conv2d", "ConvTranspose2d"]


def _inner(layer: nn.Module, x: Tensor, small, large) -> Tensor | None:
    """What of the kernel a large map sees from a small one of a single pixel; None for others."""
    within = [p + n <= k for p, n, k in zip(layer.padding, large, layer.kernel_size, strict=True)]
    plain = layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    if x.device.type != "cpu" or tuple(small) != (1, 1) or not (plain and all(within)):
        return None
    (top, left), (height, width) = layer.padding, large
    return layer.weight[:, :, top : top + height, left : left + width]


class Conv2d(nn.Conv2d):
    """A convolution, which is a dense layer where it makes one pixel of the whole image."""

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.padding, str):
            return super().forward(x)
        sides = zip(x.shape[2:], self.padding, self.kernel_size, self.stride, strict=True)
        small = [(n + 2 * p - k) // s + 1 for n, p, k, s in sides]
        kernel = _inner(self, x, small, x.shape[2:])
        if kernel is None:
            return super().forward(x)
        return linear(x.flatten(1), kernel.flatten(1), self.bias)[:, :, None, None]


class ConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution; of a single pixel a dense layer, and faster if of one channel.

    torch takes as long to make one channel as to make sixteen. A product of matrices, and the sum
    of what it gives to each pixel, takes half that time in training.
    """

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride, padding = self.kernel_size, self.stride, self.padding
        sides = zip(x.shape[2:], kernel, stride, padding, self.output_padding, strict=True)
        size = [(n - 1) * s + k - 2 * p + o for n, k, s, p, o in sides]
        inner = _inner(self, x, x.shape[2:], size)
        if inner is not None:
            output = (x.flatten(1) @ inner.flatten(1)).unflatten(1, (self.out_channels, *size))
        elif self.out_channels == 1 and self.dilation == (1, 1) and x.device.type == "cpu":
            columns = self.weight.flatten(1).T @ x.flatten(2)
            output = fold(columns, size, kernel, padding=padding, stride=stride)
        else:
            return super().forward(x)
        return output if self.bias is None else output + self.bias[:, None, None]
