"""Convolution and its transpose, in any number of axes: windows laid out as columns, times a matrix.

The three operations of :class:`Convolution` are each other's derivatives: with x, the weight w and the result y, the
number ``sum(y * convolution(x, w))`` is linear in all three, and each operation is its slope in one of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..arrays.layout import scratch
from ..errors import explained
from ..primitive import Primitive, conj
from ..tensor import Tensor
from .kinds import export_all
from .padding import pad
from .whole import whole

Ints = tuple[int, ...]


class Grid(NamedTuple):
    """Where windows lie, for each axis: the kernel's length, the step, the padding, the dilation, the input's length,
    and the number of windows, which may be fewer than there is room for."""

    kernel: Ints
    stride: Ints
    padding: Ints
    dilation: Ints
    size: Ints
    out: Ints

    @property
    def reach(self) -> Ints:
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def padded(self) -> Ints:
        return tuple(n + 2 * p for n, p in zip(self.size, self.padding, strict=True))

    @property
    def inside(self) -> Any:
        """The key of the input in the padded input."""
        return (..., *(slice(p, p + n) for n, p in zip(self.size, self.padding, strict=True)))


def laid(kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, size: Ints) -> Grid:
    """As many windows as there is room for."""
    found = zip(kernel, stride, padding, dilation, size, strict=True)
    out = tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for k, s, p, d, n in found)
    return Grid(kernel, stride, padding, dilation, size, out)


def windows(x: Any, grid: Grid) -> Any:
    """The windows of a padded x (..., channels, *size) as a view (..., channels, *kernel, *out)."""
    rank = len(grid.size)
    steps = x.strides[-rank:]
    return np.lib.stride_tricks.as_strided(
        x, (*x.shape[:-rank], *grid.kernel, *grid.out),
        (*x.strides[:-rank], *(s * d for s, d in zip(steps, grid.dilation, strict=True)),
         *(s * t for s, t in zip(steps, grid.stride, strict=True))), writeable=False,
    )  # fmt: skip


def columns(x: Any, grid: Grid, groups: int) -> Any:
    """The windows of x (..., channels, *size) as (..., groups, channels / groups * kernel, windows)."""
    rank = len(grid.size)
    if any(grid.padding):
        full: Any = np.zeros((*x.shape[:-rank], *grid.padded), x.dtype)
        full[grid.inside] = x
        x = full
    view = windows(x, grid)
    lead, channels = x.shape[: -rank - 1], x.shape[-rank - 1]
    rows = channels // groups * math.prod(grid.kernel)
    return view.reshape(*lead, groups, rows, math.prod(grid.out))


def scattered(cols: Any, grid: Grid, channels: int) -> Any:
    """Windows laid out by :func:`columns` added up where they came from."""
    full: Any = np.zeros((*cols.shape[:-3], channels, *grid.padded), cols.dtype)
    scatter(cols, full, grid)
    return full[grid.inside]


def scatter(cols: Any, full: Any, grid: Grid) -> None:
    """Add windows up where they came from in ``full`` (..., channels, *padded)."""
    rank = len(grid.size)
    cols = cols.reshape(*full.shape[:-rank], *grid.kernel, *grid.out)
    for at in np.ndindex(*grid.kernel):
        place: Any = (
            ...,
            *(
                slice(i * d, i * d + s * (n - 1) + 1, s)
                for i, d, s, n in zip(at, grid.dilation, grid.stride, grid.out, strict=True)
            ),
        )
        full[place] += cols[(..., *at, *(slice(None),) * rank)]


def matrices(w: Any, grid: Grid, groups: int) -> Any:
    """Weights (..., out, channels / groups, *kernel) as (..., 1, groups, out / groups, rest)."""
    lead = w.shape[: -len(grid.kernel) - 2]
    rows = w.shape[len(lead)] // groups
    return w.reshape(*lead, 1, groups, rows, w.shape[len(lead) + 1] * math.prod(grid.kernel))


def grouped(y: Any, grid: Grid, groups: int) -> Any:
    """Results (..., channels, *out) as (..., groups, channels / groups, windows)."""
    lead = y.shape[: -len(grid.kernel) - 1]
    return y.reshape(*lead, groups, y.shape[len(lead)] // groups, math.prod(grid.out))


# Samples are taken a few at a time, so that their windows stay in the processor's cache, in memory that is used again.

_BLOCK = 2**17  # how many entries of windows to lay out at a time


def _parts(n: int, each: int) -> tuple[int, list[slice]]:
    """How many of n samples to take at a time, if one has ``each`` entries, and which."""
    step = min(n, max(1, _BLOCK // max(1, each)))
    return step, [slice(start, min(start + step, n)) for start in range(0, n, max(1, step))]


def laid_out(x: Any, grid: Grid, groups: int) -> Iterator[tuple[slice, Any]]:
    """:func:`columns` of a few of the samples of x (n, channels, *size) at a time."""
    channels, count = x.shape[1], math.prod(grid.out)
    rows = channels * math.prod(grid.kernel)
    step, parts = _parts(len(x), rows * count)
    around = (step, channels, *grid.padded) if any(grid.padding) else (0,)
    room, full = scratch(x.dtype, (step, groups, rows // groups, count), around)
    full[...] = 0
    for part in parts:
        some = x[part]
        cols = room[: len(some)]
        if any(grid.padding):
            full[: len(some)][grid.inside] = some
            some = full[: len(some)]
        view = windows(some, grid)
        cols.reshape(view.shape)[...] = view
        yield part, cols


def convolved(x: Any, w: Any, grid: Grid, groups: int, b: Any = None) -> Any:
    rank = len(grid.size)
    if w.ndim > rank + 2:
        y = np.matmul(matrices(w, grid, groups), columns(x, grid, groups))
        y = y.reshape(*y.shape[:-3], y.shape[-3] * y.shape[-2], *grid.out)
        return y if b is None else y + b.reshape(*b.shape[:-1], 1, b.shape[-1], *(1,) * rank)
    shifts = b if b is None else b.reshape(groups, -1, 1)
    samples = x.reshape(-1, *x.shape[-rank - 1 :])
    out = np.empty((len(samples), groups, w.shape[0] // groups, math.prod(grid.out)), np.result_type(x, w))
    (m,) = matrices(w, grid, groups)
    for part, cols in laid_out(samples, grid, groups):
        np.matmul(m, cols, out=out[part])
        if shifts is not None:
            out[part] += shifts
    return out.reshape(*x.shape[: -rank - 1], w.shape[0], *grid.out)


def spread_back(y: Any, w: Any, grid: Grid, groups: int) -> Any:
    rank = len(grid.size)
    channels = w.shape[-rank - 1] * groups
    turned = np.swapaxes(matrices(w, grid, groups), -1, -2)
    if w.ndim > rank + 2:
        return scattered(np.matmul(turned, grouped(y, grid, groups)), grid, channels)
    given = grouped(y.reshape(-1, *y.shape[-rank - 1 :]), grid, groups)
    kind, rows, count = np.result_type(y, w), turned.shape[-2], given.shape[-1]
    step, parts = _parts(len(given), groups * rows * count)
    (room,) = scratch(kind, (step, groups, rows, count))
    full: Any = np.zeros((len(given), channels, *grid.padded), kind)
    for part in parts:
        cols = room[: part.stop - part.start]
        np.matmul(turned[0], given[part], out=cols)
        scatter(cols, full[part], grid)
    return full[grid.inside].reshape(*y.shape[: -rank - 1], channels, *grid.size)


def correlated(x: Any, y: Any, grid: Grid, groups: int) -> Any:
    rank = len(grid.size)
    inner = x.shape[-rank - 1] // groups
    given = grouped(y, grid, groups)
    if x.ndim > rank + 2:
        w = np.matmul(given, np.swapaxes(columns(x, grid, groups), -1, -2)).sum(-4)
    else:
        w = np.zeros((groups, given.shape[-2], inner * math.prod(grid.kernel)), np.result_type(x, y))
        for part, cols in laid_out(x, grid, groups):
            w += np.matmul(given[part], np.swapaxes(cols, -1, -2)).sum(0)
    return w.reshape(*w.shape[:-3], w.shape[-3] * w.shape[-2], inner, *grid.kernel)


_LINE = laid((3,), (2,), (1,), (1,), (6,))
_PLANE = laid((2, 2), (1, 2), (0, 1), (2, 1), (4, 3))


class Convolution(Primitive):
    """Sums over windows of x (n, channels, *size), weighted by w (out, channels / groups, *kernel)."""

    formula = False
    forward = lambda xp, x, w, *, grid, groups: convolved(x, w, grid, groups)
    vjp_x = lambda xp, g, w, grid, groups: _transposed(g, conj(xp, w), grid=grid, groups=groups)
    vjp_w = lambda xp, g, x, grid, groups: _weights(conj(xp, x), g, grid=grid, groups=groups)
    linear = ("x", "w")
    samples = [
        (((2, 4, 6), (2, 2, 3)), {"grid": _LINE, "groups": 2}), (((1, 2, 4, 3), (3, 2, 2, 2)), {"grid": _PLANE, "groups": 1}),
    ]  # fmt: skip


class BiasedConvolution(Primitive):
    """:class:`Convolution` plus b, a number for each channel."""

    formula = False
    forward = lambda xp, x, w, b, *, grid, groups: convolved(x, w, grid, groups, b)
    vjp_x = Convolution.vjp_x
    vjp_w = Convolution.vjp_w
    vjp_b = lambda xp, g, grid: xp.sum(g, axis=(-len(grid.out) - 2, *range(-len(grid.out), 0)), keepdims=False)
    jvp_x = lambda xp, t, w, grid, groups: _convolution(t, w, grid=grid, groups=groups)
    jvp_w = lambda xp, t, x, grid, groups: _convolution(x, t, grid=grid, groups=groups)
    jvp_b = lambda xp, t, out, grid: xp.broadcast_to(xp.reshape(t, (*t.shape, *(1,) * len(grid.out))), out.shape)
    samples = [
        (((2, 4, 6), (2, 2, 3), (2,)), {"grid": _LINE, "groups": 2}),
        (((1, 2, 4, 3), (3, 2, 2, 2), (3,)), {"grid": _PLANE, "groups": 1}),
    ]  # fmt: skip


class ConvolutionTranspose(Primitive):
    """The slope of :class:`Convolution` in x: y's entries, weighted by w, added up over the windows."""

    formula = False
    forward = lambda xp, y, w, *, grid, groups: spread_back(y, w, grid, groups)
    vjp_y = lambda xp, g, w, grid, groups: _convolution(g, conj(xp, w), grid=grid, groups=groups)
    vjp_w = lambda xp, g, y, grid, groups: _weights(g, conj(xp, y), grid=grid, groups=groups)
    linear = ("y", "w")
    samples = [
        (((2, 2, 3), (2, 2, 3)), {"grid": _LINE, "groups": 2}), (((1, 3, 2, 2), (3, 2, 2, 2)), {"grid": _PLANE, "groups": 1}),
    ]  # fmt: skip


class ConvolutionWeights(Primitive):
    """The slope of :class:`Convolution` in w: x's windows, weighted by y, added up over the batch."""

    formula = False
    forward = lambda xp, x, y, *, grid, groups: correlated(x, y, grid, groups)
    vjp_x = lambda xp, g, y, grid, groups: _transposed(conj(xp, y), g, grid=grid, groups=groups)
    vjp_y = lambda xp, g, x, grid, groups: _convolution(conj(xp, x), g, grid=grid, groups=groups)
    linear = ("x", "y")
    samples = [
        (((2, 4, 6), (2, 2, 3)), {"grid": _LINE, "groups": 2}), (((1, 2, 4, 3), (1, 3, 2, 2)), {"grid": _PLANE, "groups": 1}),
    ]  # fmt: skip


_convolution: Primitive = Convolution()
_convolution_and_bias: Primitive = BiasedConvolution("ConvolutionBackward0")
_transposed: Primitive = ConvolutionTranspose("ConvolutionBackward0")
ConvolutionTranspose()
_weights: Primitive = ConvolutionWeights()


# --- as users call them ----------------------------------------------------------------------------------


def each(value: int | Sequence[int], rank: int, name: str) -> Ints:
    """``value`` for each of ``rank`` axes."""
    if isinstance(value, int):
        return (value,) * rank
    value = tuple(value)
    if len(value) not in (1, rank):
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {rank} values to match the convolution "
            f"dimensions, but got {name}={list(value)}"
        )
    return value * rank if len(value) == 1 else value


def _batched(name: str, x: Tensor, w: Tensor, rank: int) -> Tensor:
    if x.ndim not in (rank + 1, rank + 2):
        raise explained(
            RuntimeError(
                f"Expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input to {name}, but got input of size: "
                f"{list(x.shape)}\nThe axes are (batch, channels, ...); the first may be left out."
            )
        )
    if x._dtype != w._dtype:
        raise explained(
            RuntimeError(
                f"Input type ({x.dtype}) and weight type ({w.dtype}) should be the same"
                "\nConvert one: input.to(weight.dtype)."
            )
        )
    return x.unsqueeze(0) if x.ndim == rank + 1 else x


def _biased(prim: Primitive, x: Tensor, weight: Tensor, bias: Tensor, **params: Any) -> Tensor:
    y: Tensor = prim(x, weight, **params)
    return y + bias.reshape(-1, *(1,) * (y.ndim - 2))


_as_one = whole("ConvolutionBackward0")(_biased)


def _finished(
    prim: Primitive, x: Tensor, weight: Tensor, bias: Tensor | None, input: Tensor, rank: int, **params: Any
) -> Tensor:
    if bias is None:
        y: Tensor = prim(x, weight, **params)
    elif prim is _convolution and x._dtype.kind != "c" and x._dtype == bias._dtype and bias.ndim == 1:
        y = _convolution_and_bias(x, weight, bias, **params)
    else:  # PyTorch adds to complex numbers in a step of its own
        y = (_biased if x._dtype.kind == "c" else _as_one)(prim, x, weight, bias, **params)
    return y.squeeze(0) if input.ndim == rank + 1 else y


def _convolve(
    rank: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> Tensor:
    x = _batched(f"conv{rank}d", input, weight, rank)
    kernel = tuple(weight._shape[2:])
    steps, gaps = each(stride, rank, "stride"), each(dilation, rank, "dilation")
    if padding == "same":
        if any(s != 1 for s in steps):
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        total = [d * (k - 1) for d, k in zip(gaps, kernel, strict=True)]
        if any(t % 2 for t in total):
            x = pad(x, [n for t in reversed(total) for n in (0, t % 2)])
        around: Ints = tuple(t // 2 for t in total)
    elif isinstance(padding, str):
        if padding != "valid":
            raise RuntimeError(f"Invalid padding string: '{padding}'")
        around = (0,) * rank
    else:
        around = each(padding, rank, "padding")
    if x._shape[1] != weight._shape[1] * groups:
        raise explained(
            RuntimeError(
                f"Given groups={groups}, weight of size {list(weight.shape)}, expected input{list(x.shape)} to have "
                f"{weight._shape[1] * groups} channels, but got {x._shape[1]} channels instead"
                "\nThe weight is (out_channels, in_channels / groups, ...)."
            )
        )
    grid = laid(kernel, steps, around, gaps, tuple(x._shape[2:]))
    if any(n < r for n, r in zip(grid.padded, grid.reach, strict=True)):
        shown, reach = (" x ".join(map(str, v)) for v in (grid.padded, grid.reach))
        raise explained(
            RuntimeError(
                f"Calculated padded input size per channel: ({shown}). Kernel size: ({reach}). Kernel size can't be "
                "greater than actual input size\nA larger padding would make room for it."
            )
        )
    return _finished(_convolution, x, weight, bias, input, rank, grid=grid, groups=groups)


def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0, dilation: int | Sequence[int] = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Weighted sums over windows: ``input`` (n, channels, length) with ``weight`` (out, channels / groups, kernel).

    Windows are ``stride`` apart, their entries ``dilation``; ``padding`` zeros are added at both ends ("same": as
    many as keep the length).  The batch axis may be left out.  RuntimeError for sizes that do not fit.

    Source: ``torch.nn.functional.conv1d``.

    >>> import chainrule as torch
    >>> conv1d(torch.tensor([[1.0, 2.0, 4.0, 8.0]]), torch.tensor([[[-1.0, 1.0]]]))
    tensor([[1., 2., 4.]])
    """
    return _convolve(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0, dilation: int | Sequence[int] = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """:func:`conv1d` in two axes: (n, channels, height, width), with kernels (height, width).

    Source: ``torch.nn.functional.conv2d``.

    >>> import chainrule as torch
    >>> conv2d(torch.ones(1, 3, 3), torch.ones(1, 1, 2, 2))
    tensor([[[4., 4.],
             [4., 4.]]])
    """
    return _convolve(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0, dilation: int | Sequence[int] = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """:func:`conv1d` in three axes: (n, channels, depth, height, width).

    Source: ``torch.nn.functional.conv3d``.

    >>> import chainrule as torch
    >>> conv3d(torch.ones(1, 2, 2, 2), torch.ones(1, 1, 2, 2, 2))
    tensor([[[[8.]]]])
    """
    return _convolve(3, input, weight, bias, stride, padding, dilation, groups)


def _spread(
    rank: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, more: Any, groups: int,
    dilation: Any,
) -> Tensor:  # fmt: skip
    x = _batched(f"conv_transpose{rank}d", input, weight, rank)
    names = ("stride", "padding", "output_padding", "dilation")
    steps, around, extra, gaps = (
        each(v, rank, n) for v, n in zip((stride, padding, more, dilation), names, strict=True)
    )
    kernel = tuple(weight._shape[2:])
    if x._shape[1] != weight._shape[0]:
        raise explained(
            RuntimeError(
                f"Given transposed=1, weight of size {list(weight.shape)}, expected input{list(x.shape)} to have "
                f"{weight._shape[0]} channels, but got {x._shape[1]} channels instead"
                "\nThe weight is (in_channels, out_channels / groups, ...)."
            )
        )
    for s, e, d in zip(steps, extra, gaps, strict=True):
        if e >= s and e >= d:
            raise RuntimeError(
                "output padding must be smaller than either stride or dilation, but got output_padding: "
                f"{list(extra)} stride: {list(steps)} dilation: {list(gaps)}"
            )
    size = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(x._shape[2:], steps, around, gaps, kernel, extra, strict=True)
    )
    grid = Grid(kernel, steps, around, gaps, size, tuple(x._shape[2:]))
    return _finished(_transposed, x, weight, bias, input, rank, grid=grid, groups=groups)


def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0, output_padding: int | Sequence[int] = 0, groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:  # fmt: skip
    """The transpose of :func:`conv1d`: each entry spreads ``weight`` (channels, out / groups, kernel) over a window.

    ``output_padding`` more entries stand at the far end of the result.  RuntimeError for sizes that do not fit.

    Source: ``torch.nn.functional.conv_transpose1d``.

    >>> import chainrule as torch
    >>> conv_transpose1d(torch.tensor([[1.0, 2.0]]), torch.tensor([[[1.0, 10.0]]]))
    tensor([[ 1., 12., 20.]])
    """
    return _spread(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0, output_padding: int | Sequence[int] = 0, groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:  # fmt: skip
    """The transpose of :func:`conv2d`.

    Source: ``torch.nn.functional.conv_transpose2d``.

    >>> import chainrule as torch
    >>> conv_transpose2d(torch.ones(1, 1, 1), torch.ones(1, 1, 2, 2)).shape
    torch.Size([1, 2, 2])
    """
    return _spread(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0, output_padding: int | Sequence[int] = 0, groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:  # fmt: skip
    """The transpose of :func:`conv3d`.

    Source: ``torch.nn.functional.conv_transpose3d``.

    >>> import chainrule as torch
    >>> conv_transpose3d(torch.ones(1, 1, 1, 1), torch.ones(1, 1, 2, 2, 2)).shape
    torch.Size([1, 2, 2, 2])
    """
    return _spread(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


export_all(conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d, method=False)
