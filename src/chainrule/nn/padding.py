"""Padding as layers: entries added at the ends of the last axes."""

from __future__ import annotations

from typing import Any

from ..errors import explained
from ..tensor import Tensor
from . import functional as F
from .module import Module
from .sizes import Sizes, for_each


class _Pad(Module):
    _rank: int
    _mode: str

    def __init__(self, padding: Sizes) -> None:
        super().__init__()
        self.padding = for_each(padding, 2 * self._rank)

    def forward(self, input: Tensor) -> Tensor:
        """The longer input; RuntimeError where there is not enough to reflect or repeat."""
        return F.pad(input, self.padding, mode=self._mode)

    def extra_repr(self) -> str:
        """The widths."""
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Sizes, value: Any) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """The longer input."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        """The widths and the value."""
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Sizes) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        """The widths."""
        return f"{self.padding}"


class ConstantPad1d(_ConstantPad):
    """``value`` added at both ends: (..., length). ``padding`` is one width, or last axis first,
    before and after.  Negative widths take away.

    Source: ``torch.nn.ConstantPad1d``.

    >>> import chainrule as torch
    >>> torch.nn.ConstantPad1d(2, 3.5)(torch.zeros(1, 2))
    tensor([[3.5000, 3.5000, 0.0000, 0.0000, 3.5000, 3.5000]])
    """

    _rank = 1


class ConstantPad2d(_ConstantPad):
    """:class:`ConstantPad1d` of two axes: (..., height, width).

    Source: ``torch.nn.ConstantPad2d``.

    >>> import chainrule as torch
    >>> torch.nn.ConstantPad2d(1, 3.5)(torch.zeros(1, 2, 2)).shape
    torch.Size([1, 4, 4])
    """

    _rank = 2


class ConstantPad3d(_ConstantPad):
    """:class:`ConstantPad1d` of three axes: (..., depth, height, width).

    Source: ``torch.nn.ConstantPad3d``.

    >>> import chainrule as torch
    >>> torch.nn.ConstantPad3d(1, 3.5)(torch.zeros(1, 2, 2, 2)).shape
    torch.Size([1, 4, 4, 4])
    """

    _rank = 3


class ZeroPad1d(_ZeroPad):
    """:class:`ConstantPad1d` with zeros: (..., length).

    Source: ``torch.nn.ZeroPad1d``.

    >>> import chainrule as torch
    >>> torch.nn.ZeroPad1d((1, 2))(torch.ones(1, 2))
    tensor([[0., 1., 1., 0., 0.]])
    """

    _rank = 1


class ZeroPad2d(_ZeroPad):
    """:class:`ConstantPad2d` with zeros: (..., height, width).

    Source: ``torch.nn.ZeroPad2d``.

    >>> import chainrule as torch
    >>> torch.nn.ZeroPad2d(1)(torch.zeros(1, 2, 2)).shape
    torch.Size([1, 4, 4])
    """

    _rank = 2


class ZeroPad3d(_ZeroPad):
    """:class:`ConstantPad3d` with zeros: (..., depth, height, width).

    Source: ``torch.nn.ZeroPad3d``.

    >>> import chainrule as torch
    >>> torch.nn.ZeroPad3d(1)(torch.zeros(1, 2, 2, 2)).shape
    torch.Size([1, 4, 4, 4])
    """

    _rank = 3


class ReflectionPad1d(_Pad):
    """At both ends the input mirrored there: (n, channels, length), or without n.

    Source: ``torch.nn.ReflectionPad1d``.

    >>> import chainrule as torch
    >>> torch.nn.ReflectionPad1d(2)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """

    _rank = 1
    _mode = "reflect"


class ReflectionPad2d(_Pad):
    """:class:`ReflectionPad1d` of two axes: (n, channels, height, width), or without n.

    Source: ``torch.nn.ReflectionPad2d``.

    >>> import chainrule as torch
    >>> torch.nn.ReflectionPad2d(1)(torch.zeros(1, 2, 2)).shape
    torch.Size([1, 4, 4])
    """

    _rank = 2
    _mode = "reflect"


class ReflectionPad3d(_Pad):
    """:class:`ReflectionPad1d` of three axes: (n, channels, depth, height, width), or without n.

    Source: ``torch.nn.ReflectionPad3d``.

    >>> import chainrule as torch
    >>> torch.nn.ReflectionPad3d(1)(torch.zeros(1, 2, 2, 2)).shape
    torch.Size([1, 4, 4, 4])
    """

    _rank = 3
    _mode = "reflect"


class ReplicationPad1d(_Pad):
    """At both ends the entry there repeated: (n, channels, length), or without n.

    Source: ``torch.nn.ReplicationPad1d``.

    >>> import chainrule as torch
    >>> torch.nn.ReplicationPad1d(2)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 1., 1., 2., 3., 3., 3.]])
    """

    _rank = 1
    _mode = "replicate"


class ReplicationPad2d(_Pad):
    """:class:`ReplicationPad1d` of two axes: (n, channels, height, width), or without n.

    Source: ``torch.nn.ReplicationPad2d``.

    >>> import chainrule as torch
    >>> torch.nn.ReplicationPad2d(1)(torch.zeros(1, 2, 2)).shape
    torch.Size([1, 4, 4])
    """

    _rank = 2
    _mode = "replicate"


class ReplicationPad3d(_Pad):
    """:class:`ReplicationPad1d` of three axes: (n, channels, depth, height, width), or without n.

    Source: ``torch.nn.ReplicationPad3d``.

    >>> import chainrule as torch
    >>> torch.nn.ReplicationPad3d(1)(torch.zeros(1, 2, 2, 2)).shape
    torch.Size([1, 4, 4, 4])
    """

    _rank = 3
    _mode = "replicate"


class _CircularPad(_Pad):
    _mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        """The longer input; ValueError for another number of axes."""
        if input.ndim - self._rank not in (1, 2):
            wanted = f"{self._rank + 1}D or {self._rank + 2}D"
            raise explained(
                ValueError(f"expected {wanted} input (got {input.ndim}D input)\nThe axes are (batch, channels, ...).")
            )
        return super().forward(input)


class CircularPad1d(_CircularPad):
    """At both ends the input going on from its other end: (n, channels, length), or without n.

    Source: ``torch.nn.CircularPad1d``.

    >>> import chainrule as torch
    >>> torch.nn.CircularPad1d(2)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[2., 3., 1., 2., 3., 1., 2.]])
    """

    _rank = 1


class CircularPad2d(_CircularPad):
    """:class:`CircularPad1d` of two axes: (n, channels, height, width), or without n.

    Source: ``torch.nn.CircularPad2d``.

    >>> import chainrule as torch
    >>> torch.nn.CircularPad2d(1)(torch.zeros(1, 2, 2)).shape
    torch.Size([1, 4, 4])
    """

    _rank = 2


class CircularPad3d(_CircularPad):
    """:class:`CircularPad1d` of three axes: (n, channels, depth, height, width), or without n.

    Source: ``torch.nn.CircularPad3d``.

    >>> import chainrule as torch
    >>> torch.nn.CircularPad3d(1)(torch.zeros(1, 2, 2, 2)).shape
    torch.Size([1, 4, 4, 4])
    """

    _rank = 3
