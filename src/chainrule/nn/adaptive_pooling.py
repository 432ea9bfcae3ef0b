"""Pooling as layers, to a wanted size: windows as long as it takes, or of random places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..tensor import Tensor
from . import functional as F
from .module import Module
from .sizes import Sizes, for_each

Wanted = int | None | Sequence[int | None]


class _AdaptiveAvgPool(Module):
    _shown = ("output_size",)
    _compute: Callable[..., Tensor]

    def __init__(self, output_size: Wanted) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        return type(self)._compute(input, self.output_size)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The means of ``output_size`` windows, alike in length, that cover the axis: (n, channels, length).

    Source: ``torch.nn.AdaptiveAvgPool1d``.

    >>> import chainrule as torch
    >>> torch.nn.AdaptiveAvgPool1d(2)(torch.tensor([[1.0, 4.0, 2.0, 3.0]]))
    tensor([[2.5000, 2.5000]])
    """

    _compute = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """:class:`AdaptiveAvgPool1d` in two axes: (n, channels, height, width); None keeps an axis.

    Source: ``torch.nn.AdaptiveAvgPool2d``.

    >>> import chainrule as torch
    >>> torch.nn.AdaptiveAvgPool2d((5, None))(torch.zeros(1, 2, 8, 8)).shape
    torch.Size([1, 2, 5, 8])
    """

    _compute = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """:class:`AdaptiveAvgPool1d` in three axes: (n, channels, depth, height, width); None keeps an axis.

    Source: ``torch.nn.AdaptiveAvgPool3d``.

    >>> import chainrule as torch
    >>> torch.nn.AdaptiveAvgPool3d((5, None, 2))(torch.zeros(1, 2, 8, 8, 8)).shape
    torch.Size([1, 2, 5, 8, 2])
    """

    _compute = staticmethod(F.adaptive_avg_pool3d)


class _AdaptiveMaxPool(Module):
    _shown = ("output_size",)
    _compute: Callable[..., Any]

    def __init__(self, output_size: Wanted, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        """The largest; with ``return_indices`` a pair, them and their places."""
        return type(self)._compute(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest of each of the windows of :class:`AdaptiveAvgPool1d`.

    Source: ``torch.nn.AdaptiveMaxPool1d``.

    >>> import chainrule as torch
    >>> torch.nn.AdaptiveMaxPool1d(2)(torch.tensor([[1.0, 4.0, 2.0, 3.0]]))
    tensor([[4., 3.]])
    """

    _compute = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest of each of the windows of :class:`AdaptiveAvgPool2d`.

    Source: ``torch.nn.AdaptiveMaxPool2d``.

    >>> import chainrule as torch
    >>> torch.nn.AdaptiveMaxPool2d(5)(torch.zeros(1, 2, 8, 8)).shape
    torch.Size([1, 2, 5, 5])
    """

    _compute = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest of each of the windows of :class:`AdaptiveAvgPool3d`.

    Source: ``torch.nn.AdaptiveMaxPool3d``.

    >>> import chainrule as torch
    >>> torch.nn.AdaptiveMaxPool3d(5)(torch.zeros(1, 2, 8, 8, 8)).shape
    torch.Size([1, 2, 5, 5, 5])
    """

    _compute = staticmethod(F.adaptive_max_pool3d)


class _FractionalMaxPool(Module):
    _rank: int
    _compute: Callable[..., Any]

    def __init__(
        self, kernel_size: Sizes, output_size: Sizes | None = None,
        output_ratio: float | Sequence[float] | None = None, return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        name = type(self).__name__
        self.kernel_size = for_each(kernel_size, self._rank)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else for_each(output_size, self._rank)
        self.output_ratio = None if output_ratio is None else for_each(output_ratio, self._rank)
        if output_size is None and output_ratio is None:
            raise ValueError(f"{name} requires specifying either an output size, or a pooling ratio")
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        if self.output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input: Tensor) -> Any:
        """The largest; with ``return_indices`` a pair, them and their places."""
        return type(self)._compute(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices,
            _random_samples=self._random_samples,
        )  # fmt: skip


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest of each of windows at random places, nearly evenly spaced (Graham, 2014): (n, channels, height, width).

    Their number is ``output_size``, or ``output_ratio`` times the axis's length.

    Source: ``torch.nn.FractionalMaxPool2d``.

    >>> import chainrule as torch
    >>> torch.nn.FractionalMaxPool2d(3, output_ratio=0.5)(torch.zeros(1, 2, 8, 8)).shape
    torch.Size([1, 2, 4, 4])
    """

    _rank, _compute = 2, staticmethod(F.fractional_max_pool2d)


class FractionalMaxPool3d(_FractionalMaxPool):
    """:class:`FractionalMaxPool2d` in three axes: (n, channels, depth, height, width).

    Source: ``torch.nn.FractionalMaxPool3d``.

    >>> import chainrule as torch
    >>> torch.nn.FractionalMaxPool3d(3, output_ratio=0.5)(torch.zeros(1, 2, 8, 8, 8)).shape
    torch.Size([1, 2, 4, 4, 4])
    """

    _rank, _compute = 3, staticmethod(F.fractional_max_pool3d)
