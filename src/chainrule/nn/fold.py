"""Windows laid out as columns, and added up where they come from, as layers."""

from __future__ import annotations

from collections.abc import Sequence

from ..tensor import Tensor
from . import functional as F
from .module import Module
from .sizes import Sizes


class Unfold(Module):
    """The windows of (n, channels, height, width) as columns, (n, channels * kernel, windows).

    Source: ``torch.nn.Unfold``.

    >>> import chainrule as torch
    >>> torch.nn.Unfold((1, 2))(torch.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[1., 2.],
            [2., 3.]])
    """

    _shown = ("kernel_size", "dilation", "padding", "stride")

    def __init__(self, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        """The columns."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(Module):
    """Columns as :class:`Unfold` gives them, added up where they come from: (n, channels, *output_size).

    Source: ``torch.nn.Fold``.

    >>> import chainrule as torch
    >>> torch.nn.Fold((1, 3), (1, 2))(torch.tensor([[1.0, 2.0], [2.0, 3.0]]))
    tensor([[[1., 4., 3.]]])
    """

    _shown = ("output_size", "kernel_size", "dilation", "padding", "stride")

    def __init__(
        self, output_size: int | Sequence[int], kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0,
        stride: Sizes = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        """The sums; RuntimeError for another number of columns than the sizes say."""
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)
