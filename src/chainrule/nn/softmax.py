"""Softmax and its kin as layers."""

from __future__ import annotations

from ..tensor import Tensor
from . import functional as F
from .module import Module


class Softmax(Module):
    """``exp(x) / sum(exp(x))`` along ``dim``: positive numbers that sum to 1.

    Source: ``torch.nn.Softmax``.

    >>> import chainrule as torch
    >>> torch.nn.Softmax(dim=0)(torch.tensor([1.0, 1.0]))
    tensor([0.5000, 0.5000])
    """

    _shown = ("dim",)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Probabilities of input's shape."""
        return F.softmax(input, self.dim)


class LogSoftmax(Module):
    """The logarithm of :class:`Softmax`, without overflow.

    Source: ``torch.nn.LogSoftmax``.

    >>> import chainrule as torch
    >>> torch.nn.LogSoftmax(dim=0)(torch.tensor([1.0, 1.0]))
    tensor([-0.6931, -0.6931])
    """

    _shown = ("dim",)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Log-probabilities of input's shape."""
        return F.log_softmax(input, self.dim)


class Softmin(Module):
    """:class:`Softmax` of ``-x``: the smaller, the likelier.

    Source: ``torch.nn.Softmin``.

    >>> import chainrule as torch
    >>> torch.nn.Softmin(dim=0)(torch.tensor([1.0, 3.0]))
    tensor([0.8808, 0.1192])
    """

    _shown = ("dim",)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Probabilities of input's shape."""
        return F.softmin(input, self.dim)


class Softmax2d(Module):
    """:class:`Softmax` over the channels at each place: (channels, height, width), or (n, channels, height, width).

    Source: ``torch.nn.Softmax2d``.

    >>> import chainrule as torch
    >>> torch.nn.Softmax2d()(torch.zeros(2, 1, 1)).flatten()
    tensor([0.5000, 0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Probabilities of input's shape; ValueError for other than 3 or 4 axes."""
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return F.softmax(input, -3)
