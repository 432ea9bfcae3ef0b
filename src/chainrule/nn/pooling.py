"""Pooling as layers: the largest, the mean or the norm of each window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..tensor import Tensor
from . import functional as F
from .module import Module
from .sizes import Sizes, for_each


class _MaxPool(Module):
    _shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    _compute: Callable[..., Any]

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
        return_indices: bool = False, ceil_mode: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        """The largest; with ``return_indices`` a pair, them and their places."""
        return type(self)._compute(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )


class MaxPool1d(_MaxPool):
    """The largest entry of each window: (n, channels, length), or without n.

    Windows are ``stride`` apart, as long as they are unless given; ``padding`` entries that never are the largest
    stand at both ends.  With ``ceil_mode`` a last window may reach beyond the end.  RuntimeError for a padding above
    half the window.

    Source: ``torch.nn.MaxPool1d``.

    >>> import chainrule as torch
    >>> torch.nn.MaxPool1d(2)(torch.tensor([[1.0, 4.0, 2.0, 3.0]]))
    tensor([[4., 3.]])
    """

    _compute = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """:class:`MaxPool1d` in two axes: (n, channels, height, width), or without n.

    Source: ``torch.nn.MaxPool2d``.

    >>> import chainrule as torch
    >>> torch.nn.MaxPool2d(3, stride=2)(torch.zeros(1, 2, 8, 8)).shape
    torch.Size([1, 2, 3, 3])
    """

    _compute = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """:class:`MaxPool1d` in three axes: (n, channels, depth, height, width), or without n.

    Source: ``torch.nn.MaxPool3d``.

    >>> import chainrule as torch
    >>> torch.nn.MaxPool3d(3, stride=2)(torch.zeros(1, 2, 8, 8, 8)).shape
    torch.Size([1, 2, 3, 3, 3])
    """

    _compute = staticmethod(F.max_pool3d)


class _MaxUnpool(Module):
    _shown = ("kernel_size", "stride", "padding")
    _rank: int
    _compute: Callable[..., Tensor]

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> None:
        super().__init__()
        self.kernel_size = for_each(kernel_size, self._rank)
        self.stride = for_each(kernel_size if stride is None else stride, self._rank)
        self.padding = for_each(padding, self._rank)

    def forward(self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Zeros with the entries of ``input`` where ``indices`` says; ``output_size`` if another one would do too."""
        return type(self)._compute(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool1d(_MaxUnpool):
    """The largest entries of :class:`MaxPool1d` back at their places, zeros elsewhere: (n, channels, length).

    Source: ``torch.nn.MaxUnpool1d``.

    >>> import chainrule as torch
    >>> pool, unpool = torch.nn.MaxPool1d(2, return_indices=True), torch.nn.MaxUnpool1d(2)
    >>> unpool(*pool(torch.tensor([[1.0, 4.0, 2.0, 3.0]])))
    tensor([[0., 4., 0., 3.]])
    """

    _rank, _compute = 1, staticmethod(F.max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """The largest entries of :class:`MaxPool2d` back at their places, zeros elsewhere: (n, channels, height, width).

    Source: ``torch.nn.MaxUnpool2d``.

    >>> import chainrule as torch
    >>> pool, unpool = torch.nn.MaxPool2d(2, return_indices=True), torch.nn.MaxUnpool2d(2)
    >>> unpool(*pool(torch.zeros(1, 2, 8, 8))).shape
    torch.Size([1, 2, 8, 8])
    """

    _rank, _compute = 2, staticmethod(F.max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """The largest entries of :class:`MaxPool3d` back at their places, zeros elsewhere: (n, channels, depth, height, width).

    Source: ``torch.nn.MaxUnpool3d``.

    >>> import chainrule as torch
    >>> pool, unpool = torch.nn.MaxPool3d(2, return_indices=True), torch.nn.MaxUnpool3d(2)
    >>> unpool(*pool(torch.zeros(1, 2, 8, 8, 8))).shape
    torch.Size([1, 2, 8, 8, 8])
    """

    _rank, _compute = 3, staticmethod(F.max_unpool3d)


class _AvgPool(Module):
    _shown = ("kernel_size", "stride", "padding")
    _compute: Callable[..., Tensor]

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        return type(self)._compute(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
            self.divisor_override,
        )  # fmt: skip


class AvgPool1d(Module):
    """The mean of each window: (n, channels, length), or without n.

    Windows lie as those of :class:`MaxPool1d`; padding counts as zeros, or not, by ``count_include_pad``.

    Source: ``torch.nn.AvgPool1d``.

    >>> import chainrule as torch
    >>> torch.nn.AvgPool1d(2)(torch.tensor([[1.0, 4.0, 2.0, 3.0]]))
    tensor([[2.5000, 2.5000]])
    """

    _shown = ("kernel_size", "stride", "padding")

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = for_each(kernel_size, 1)
        self.stride = for_each(kernel_size if stride is None else stride, 1)
        self.padding = for_each(padding, 1)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool2d(_AvgPool):
    """:class:`AvgPool1d` in two axes: (n, channels, height, width), or without n.

    ``divisor_override`` is what sums are divided by, in place of the window's size.

    Source: ``torch.nn.AvgPool2d``.

    >>> import chainrule as torch
    >>> torch.nn.AvgPool2d(3, stride=2)(torch.zeros(1, 2, 8, 8)).shape
    torch.Size([1, 2, 3, 3])
    """

    _compute = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool):
    """:class:`AvgPool1d` in three axes: (n, channels, depth, height, width), or without n.

    ``divisor_override`` is what sums are divided by, in place of the window's size.

    Source: ``torch.nn.AvgPool3d``.

    >>> import chainrule as torch
    >>> torch.nn.AvgPool3d(3, stride=2)(torch.zeros(1, 2, 8, 8, 8)).shape
    torch.Size([1, 2, 3, 3, 3])
    """

    _compute = staticmethod(F.avg_pool3d)


class _LPPool(Module):
    _shown = ("norm_type", "kernel_size", "stride", "ceil_mode")
    _compute: Callable[..., Tensor]

    def __init__(
        self, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        """The norms."""
        return type(self)._compute(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool1d(_LPPool):
    """``(sum of x**norm_type) ** (1 / norm_type)`` over each window: (n, channels, length), or without n.

    Source: ``torch.nn.LPPool1d``.

    >>> import chainrule as torch
    >>> torch.nn.LPPool1d(2, 2)(torch.tensor([[3.0, 4.0]]))
    tensor([[5.]])
    """

    _compute = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPool):
    """``(sum of x**norm_type) ** (1 / norm_type)`` over each window: (n, channels, height, width), or without n.

    Source: ``torch.nn.LPPool2d``.

    >>> import chainrule as torch
    >>> torch.nn.LPPool2d(2, 3, stride=2)(torch.zeros(1, 2, 8, 8)).shape
    torch.Size([1, 2, 3, 3])
    """

    _compute = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPool):
    """``(sum of x**norm_type) ** (1 / norm_type)`` over each window: (n, channels, depth, height, width), or without n.

    Source: ``torch.nn.LPPool3d``.

    >>> import chainrule as torch
    >>> torch.nn.LPPool3d(2, 3, stride=2)(torch.zeros(1, 2, 8, 8, 8)).shape
    torch.Size([1, 2, 3, 3, 3])
    """

    _compute = staticmethod(F.lp_pool3d)
