"""Convolutions that are computed as products of matrices where that is faster on a CPU."""

from torch import Tensor, nn
from torch.nn.functional import fold, linear

__all__ = ["Conv2d", "ConvTranspose2d"]


def _is_plain(layer: nn.Module, x: Tensor) -> bool:
    """Whether the products below are meant for a layer and a batch."""
    options = layer.groups, layer.dilation, layer.padding_mode, isinstance(layer.padding, tuple)
    suits = x.ndim == 4 and x.shape[1] == layer.in_channels and x.device.type == "cpu"
    return suits and options == (1, (1, 1), "zeros", True)


def _inner(layer: nn.Module, small, large) -> Tensor | None:
    """What of the kernel a large map sees from a small one of a single pixel; None for others."""
    within = [p + n <= k for p, n, k in zip(layer.padding, large, layer.kernel_size, strict=True)]
    if tuple(small) != (1, 1) or not all(within):
        return None
    (top, left), (height, width) = layer.padding, large
    return layer.weight[:, :, top : top + height, left : left + width]


def _rows(maps: Tensor) -> Tensor:
    """Maps as rows, channels last, as they lie in memory in training."""
    return maps.permute(0, 2, 3, 1).flatten(1)


class Conv2d(nn.Conv2d):
    """A convolution, which is a dense layer where it makes one pixel of the whole image."""

    def forward(self, x: Tensor) -> Tensor:
        if not _is_plain(self, x):
            return super().forward(x)
        sides = zip(x.shape[2:], self.padding, self.kernel_size, self.stride, strict=True)
        small = [(n + 2 * p - k) // s + 1 for n, p, k, s in sides]
        kernel = _inner(self, small, x.shape[2:])
        if kernel is None:
            return super().forward(x)
        return linear(_rows(x), _rows(kernel), self.bias)[:, :, None, None]


class ConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution; of a single pixel a dense layer, and faster if of one channel.

    torch takes as long to make one channel as to make sixteen. A product of matrices, and the sum
    of what it gives to each pixel, takes half that time in training.
    """

    def forward(self, x: Tensor, output_size=None) -> Tensor:
        if output_size is not None or not _is_plain(self, x):
            return super().forward(x, output_size)
        kernel, stride, padding = self.kernel_size, self.stride, self.padding
        sides = zip(x.shape[2:], kernel, stride, padding, self.output_padding, strict=True)
        size = [(n - 1) * s + k - 2 * p + o for n, k, s, p, o in sides]
        inner = _inner(self, x.shape[2:], size)
        if inner is not None:
            output = x.flatten(1) @ _rows(inner)
            output = output.unflatten(1, (*size, self.out_channels)).permute(0, 3, 1, 2)
        elif self.out_channels == 1:
            columns = self.weight.flatten(1).T @ x.flatten(2)
            summands = columns.to(self.weight.dtype)  # autocast may have made them coarser
            output = fold(summands, size, kernel, padding=padding, stride=stride)
            output = output.to(columns.dtype)
        else:
            return super().forward(x)
        return output if self.bias is None else output + self.bias.to(output)[:, None, None]
