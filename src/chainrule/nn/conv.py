"""Convolutions and their transposes as layers, in one, two and three axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..creation import empty
from ..errors import explained
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter
from .sizes import Sizes, for_each

_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """What all of them share: the sizes, the weights and how they are drawn."""

    _rank: int
    _compute: Callable[..., Tensor]
    transposed = False
    output_padding: tuple[int, ...]
    weight: Parameter
    bias: Parameter | None

    def _set(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes, padding: str | Sizes,
        dilation: Sizes, output_padding: Sizes, groups: int, bias: bool, padding_mode: str, device: Any, dtype: Any,
    ) -> None:  # fmt: skip
        n = self._rank
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size, self.stride = for_each(kernel_size, n), for_each(stride, n)
        self.padding = padding if isinstance(padding, str) else for_each(padding, n)
        self.dilation, self.output_padding = for_each(dilation, n), for_each(output_padding, n)
        self.groups = groups
        self.padding_mode = padding_mode
        self._check()
        self.weight = Parameter(empty(self._weight_shape(), device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty(out_channels, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def _check(self) -> None:
        if self.groups <= 0:
            raise ValueError("groups must be a positive integer")
        for name in ("in_channels", "out_channels"):
            if getattr(self, name) % self.groups:
                raise explained(
                    ValueError(
                        f"{name} must be divisible by groups"
                        f"\nEach of the {self.groups} groups takes an equal part of the {getattr(self, name)} channels."
                    )
                )
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {self.padding!r}, should be one of { {'same', 'valid'} }")
            if self.padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
        if self.padding_mode not in _MODES:
            raise ValueError(f"padding_mode must be one of {set(_MODES)}, but got padding_mode='{self.padding_mode}'")

    def _weight_shape(self) -> tuple[int, ...]:
        into, out = self.in_channels, self.out_channels
        first, second = (into, out) if self.transposed else (out, into)
        return (first, second // self.groups, *self.kernel_size)

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            if fan_in:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def _around(self) -> list[int]:
        """The padding as ``pad`` takes it: last axis first, before and after."""
        if self.padding == "same":
            total = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return [n for t in reversed(total) for n in (t // 2, t - t // 2)]
        sizes = (0,) * self._rank if isinstance(self.padding, str) else self.padding
        return [p for p in reversed(sizes) for _ in range(2)]

    def extra_repr(self) -> str:
        """The sizes; the options where they are not the usual ones."""
        usual = {
            "padding": (0,) * self._rank, "dilation": (1,) * self._rank, "output_padding": (0,) * self._rank,
            "groups": 1,
        }  # fmt: skip
        shown = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        shown += [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        shown += ["bias=False"] if self.bias is None else []
        return ", ".join(shown + ([f"padding_mode={self.padding_mode}"] if self.padding_mode != "zeros" else []))


class _Conv(_ConvNd):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: str | Sizes = 0,
        dilation: Sizes = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._set(
            in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias, padding_mode, device,
            dtype,
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        """The weighted sums; RuntimeError for another number of channels, or a kernel larger than the padded input."""
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._around(), mode=self.padding_mode), 0
        return type(self)._compute(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(_Conv):
    """Weighted sums over windows: (n, in_channels, length) to (n, out_channels, windows); the batch may be left out.

    Windows are ``stride`` apart, their entries ``dilation``; ``padding`` entries are added at both ends ("same": as
    many as keep the length), zeros, or by ``padding_mode`` "reflect", "replicate" or "circular".  The channels are
    in ``groups`` that do not mix.  ``weight`` is (out_channels, in_channels / groups, kernel_size), ``bias``
    (out_channels,) or None; both start uniform within ±1/√(in_channels / groups · kernel_size), with PyTorch's numbers
    for the same seed.  ValueError for groups that do not divide the channels, and for unknown words.

    Source: ``torch.nn.Conv1d``.

    >>> import chainrule as torch
    >>> torch.nn.Conv1d(16, 33, 3, stride=2)(torch.zeros(20, 16, 50)).shape
    torch.Size([20, 33, 24])
    """

    _rank, _compute = 1, staticmethod(F.conv1d)


class Conv2d(_Conv):
    """:class:`Conv1d` in two axes: (n, in_channels, height, width) to (n, out_channels, rows, columns).

    Sizes are one number for both axes, or one for each.

    Source: ``torch.nn.Conv2d``.

    >>> import chainrule as torch
    >>> torch.nn.Conv2d(16, 33, (3, 5), stride=(2, 1), padding=(4, 2))(torch.zeros(2, 16, 50, 10)).shape
    torch.Size([2, 33, 28, 10])
    """

    _rank, _compute = 2, staticmethod(F.conv2d)


class Conv3d(_Conv):
    """:class:`Conv1d` in three axes: (n, in_channels, depth, height, width).

    Source: ``torch.nn.Conv3d``.

    >>> import chainrule as torch
    >>> torch.nn.Conv3d(2, 3, 3, stride=2)(torch.zeros(1, 2, 5, 7, 9)).shape
    torch.Size([1, 3, 2, 3, 4])
    """

    _rank, _compute = 3, staticmethod(F.conv3d)


class _ConvTranspose(_ConvNd):
    transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: Sizes = 0,
        output_padding: Sizes = 0, groups: int = 1, bias: bool = True, dilation: Sizes = 1,
        padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        self._set(
            in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """The sums; ``output_size`` chooses among the sizes that ``stride`` leaves open, ValueError if it is none."""
        more = self.output_padding if output_size is None else self._more(input, output_size)
        return type(self)._compute(
            input, self.weight, self.bias, self.stride, self.padding, more, self.groups, self.dilation
        )

    def _more(self, input: Tensor, output_size: Sequence[int]) -> list[int]:
        """The output padding that gives the wanted size."""
        rank, wanted = self._rank, list(output_size)
        size = input._shape[-rank:]
        lead = 2 if input.ndim == rank + 2 else 1
        if len(wanted) == lead + rank:
            wanted = wanted[lead:]
        if len(wanted) != rank:
            raise ValueError(
                f"ConvTranspose{rank}D: for {input.ndim}D input, output_size must have {rank} or {lead + rank} elements "
                f"(got {len(wanted)})"
            )
        axes = zip(size, self.stride, self.padding, self.dilation, self.kernel_size, strict=True)
        least = [(n - 1) * s - 2 * int(p) + d * (k - 1) + 1 for n, s, p, d, k in axes]
        most = [n + s - 1 for n, s in zip(least, self.stride, strict=True)]
        if not all(a <= n <= b for a, n, b in zip(least, wanted, most, strict=True)):
            raise ValueError(
                f"requested an output size of {output_size}, but valid sizes range from {least} to {most} (for an input of "
                f"{input.size()[2:]})"
            )
        return [n - a for n, a in zip(wanted, least, strict=True)]


class ConvTranspose1d(_ConvTranspose):
    """The transpose of :class:`Conv1d`: each entry spreads the weights over a window.

    (n, in_channels, windows) to (n, out_channels, length); ``output_padding`` more entries stand at the far end.
    ``weight`` is (in_channels, out_channels / groups, kernel_size).

    Source: ``torch.nn.ConvTranspose1d``.

    >>> import chainrule as torch
    >>> torch.nn.ConvTranspose1d(16, 33, 3, stride=2)(torch.zeros(20, 16, 50)).shape
    torch.Size([20, 33, 101])
    """

    _rank, _compute = 1, staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_ConvTranspose):
    """The transpose of :class:`Conv2d`.

    Source: ``torch.nn.ConvTranspose2d``.

    >>> import chainrule as torch
    >>> up = torch.nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1)
    >>> up(torch.zeros(1, 4, 6, 6), output_size=(12, 12)).shape
    torch.Size([1, 4, 12, 12])
    """

    _rank, _compute = 2, staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_ConvTranspose):
    """The transpose of :class:`Conv3d`.

    Source: ``torch.nn.ConvTranspose3d``.

    >>> import chainrule as torch
    >>> torch.nn.ConvTranspose3d(4, 2, 3)(torch.zeros(1, 4, 2, 3, 4)).shape
    torch.Size([1, 2, 4, 5, 6])
    """

    _rank, _compute = 3, staticmethod(F.conv_transpose3d)
