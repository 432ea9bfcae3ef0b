"""Pooling: the largest entry, or the mean, of windows that slide over the last axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .. import errors
from ..errors import explained
from ..outputs import EXACT, takes_out
from ..primitive import Primitive
from ..tensor import Tensor
from . import sliding
from .activation import relu
from .kinds import export_all, no_kernel
from .padding import pad
from .sliding import Axis

Ints = tuple[int, ...]
Sizes = int | Sequence[int]

_ROW, _PLANE = sliding.regular(6, 3, 2, 1, 1, 3), sliding.regular(4, 2, 1, 0, 2, 2)
_SPACED = [[[0.1, 2.3, -1.2, 0.7], [1.9, 0.4, 3.1, -0.3], [5.0, -2.0, 0.9, 1.4], [0.2, 4.4, -3.0, 2.7],
            [6.1, 1.1, 0.5, -0.8], [-1.5, 3.6, 2.2, 0.0]]]  # fmt: skip


class MaxPool(Primitive):
    """The largest entry of each of the windows over the last axes."""

    formula = False
    forward = lambda xp, x, *, over: sliding.largest(x, over)
    vjp_x = lambda xp, g, out, x, over: _to_largest(g, xp.stop(x), xp.stop(out), over=over)
    jvp_x = lambda xp, t, x, over: read(xp, t, _places(x, over=over), len(over))
    samples = [((_SPACED,), {"over": (_ROW, _PLANE)}), (([_SPACED[0][0]],), {"over": (_PLANE,)})]


class ToLargest(Primitive):
    """The transpose of :class:`MaxPool` at x: each number put where its window's largest entry, ``best``, is."""

    formula = False
    forward = lambda xp, y, x, best, *, over: sliding.to_largest(y, x, best, over)
    vjp_y = lambda xp, g, x, over: read(xp, g, _places(x, over=over), len(over))
    linear = ("y",)
    samples = [
        (((1, 3, 2), _SPACED, [[[3.1, 2.3], [5.0, 4.4], [6.1, 4.4]]]), {"over": (_ROW, _PLANE)}),
        (((1, 6, 2), _SPACED, [[[0.1, 2.3], [3.1, 0.4], [5.0, 1.4], [0.2, 4.4], [6.1, 1.1], [2.2, 3.6]]]), {"over": (_PLANE,)}),
    ]  # fmt: skip


class MaxPoolPlaces(Primitive):
    """Where the largest entries are, counted along the last axes as if they were one."""

    formula = False
    differentiable = False
    forward = lambda xp, x, *, over: sliding.places(x, over)
    samples = [((_SPACED,), {"over": (_ROW, _PLANE)})]


class AvgPool(Primitive):
    """The means of the windows over the last axes."""

    formula = False
    forward = lambda xp, x, *, over: over.divided(sliding.summed(x, over.windows))
    vjp_x = lambda xp, g, over: _spread(g, over=over)
    linear = ("x",)
    samples = [
        (((2, 6, 4),), {"over": sliding.averages((6, 4), (3, 2), (2, 1), (1, 0), (3, 3), True, None)}),
        (((2, 5),), {"over": sliding.averages((5,), (2,), (2,), (0,), (3,), True, None)}),
        (((1, 5, 3),), {"over": sliding.even_averages((5, 3), (3, 4))}),
    ]  # fmt: skip


class AvgPoolSpread(Primitive):
    """The transpose of :class:`AvgPool`: each number in equal shares to its window."""

    formula = False
    forward = lambda xp, x, *, over: sliding.spread(over.divided(x), over.windows)
    vjp_x = lambda xp, g, over: _average(g, over=over)
    linear = ("x",)
    samples = [
        (((2, 3, 3),), {"over": sliding.averages((6, 4), (3, 2), (2, 1), (1, 0), (3, 3), True, None)}),
        (((1, 3, 4),), {"over": sliding.even_averages((5, 3), (3, 4))}),
    ]  # fmt: skip


def flat(xp: Any, x: Any, rank: int) -> Any:
    """The last ``rank`` axes of x as one."""
    lead = tuple(x.shape[: len(x.shape) - rank])
    return xp.reshape(x, (*lead, math.prod(x.shape[len(lead) :])))


def read(xp: Any, x: Any, at: Any, rank: int) -> Any:
    """The entries of x at places as :class:`MaxPoolPlaces` gives them."""
    return xp.reshape(xp.take_along_axis(flat(xp, x, rank), flat(xp, at, rank), axis=-1), tuple(at.shape))


def put_back(xp: Any, g: Any, at: Any, size: Ints) -> Any:
    """The transpose of :func:`read`."""
    rank = len(size)
    rows = xp.put_along_axis(flat(xp, g, rank), flat(xp, at, rank), -1, math.prod(size))
    return xp.reshape(rows, (*rows.shape[:-1], *size))


_max_pool = {1: MaxPool("MaxPool2DWithIndicesBackward0"), 3: MaxPool("MaxPool3DWithIndicesBackward0")}
_max_pool[2] = _max_pool[1]
_average: Primitive = AvgPool("AvgPool2DBackward0")
_spread: Primitive = AvgPoolSpread()
_avg_pool = {1: _average, 2: _average, 3: AvgPool("AvgPool3DBackward0")}
_places: Primitive = MaxPoolPlaces()
_to_largest: Primitive = ToLargest()


# --- what users may pass ---

_COUNTS = {1: "one int", 2: "two ints", 3: "three ints"}


def per_axis(value: Any, rank: int, function: str, name: str) -> Ints:
    """``value`` for each of ``rank`` axes."""
    given = (value,) * rank if isinstance(value, (int, np.integer)) else tuple(value)
    if len(given) == 1:
        given *= rank
    if len(given) != rank:
        omitted = "omitted, " if name == "stride" else ""
        raise explained(
            RuntimeError(
                f"{function}: {name} must either be {omitted}a single int, or a tuple of {_COUNTS[rank]}"
                f"\nIt has {len(given)} numbers, and {rank} axes are pooled."
            )
        )
    return tuple(int(n) for n in given)


def _checked(x: Tensor, rank: int, function: str) -> Ints:
    """The lengths of the axes that are pooled."""
    try:
        x._dtype  # noqa: B018
    except AttributeError:
        raise errors.not_tensor(function, input=x) from None
    if rank > 1 and x.ndim not in (rank + 1, rank + 2):
        raise explained(
            RuntimeError(
                f"non-empty {rank + 1}D or {rank + 2}D (batch mode) tensor expected for input\n{function} takes (batch, channels, "
                f"...) or (channels, ...); the shape is {list(x.shape)}."
            )
        )
    if x.ndim not in (rank + 1, rank + 2) or 0 in x._shape[x.ndim - rank - 1 :]:
        raise explained(
            RuntimeError(
                f"Expected {rank + 1}D or {rank + 2}D (batch mode) tensor with optional 0 dim batch size for input, but "
                f"got:{list(x.shape)}\n{function} takes (batch, channels, ...) or (channels, ...), of which only the batch "
                "may be empty."
            )
        )
    return tuple(x._shape[x.ndim - rank :])


def _lengths(size: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil: bool) -> Ints:
    """How many windows there are along each axis."""
    if 0 in stride:
        raise RuntimeError("stride should not be zero")
    if min(padding) < 0:
        raise RuntimeError(f"pad must be non-negative, but got pad: {min(padding)}")
    if min(dilation) <= 0:
        names = ("W", "H", "T")[len(dilation) - 1 :: -1]
        shown = " ".join(f"dilation{n}: {d}" for n, d in zip(names, dilation, strict=True))
        raise RuntimeError(f"dilation should be greater than zero, but got {shown}")
    out = []
    for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        if p > (d * (k - 1) + 1) // 2:
            raise explained(
                RuntimeError(
                    f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and "
                    f"dilation={d}\nA larger padding would make windows that hold no entry."
                )
            )
        m = (n + 2 * p - d * (k - 1) - 1 + (s - 1 if ceil else 0)) // s + 1
        out.append(m - (ceil and (m - 1) * s >= n + p))  # the last window must begin inside
    if min(out) < 1:
        raise _NoWindowError(size, tuple(out))
    return tuple(out)


class _NoWindowError(RuntimeError):
    """A kernel that does not fit into the input."""

    def shown(self, name: str, x: Tensor) -> Exception:
        """The error for users, who know the channels too."""
        size, out = self.args
        channels = x._shape[-len(size) - 1]
        if name == "avg_pool1d":
            size, out = (1, *size), (1, *out)
        before, after = ("x".join(map(str, (channels, *v))) for v in (size, out))
        first = f"Given input size: ({before}). Calculated output size: ({after}). Output size is too small"
        if name == "max_pool1d":
            first = f"max_pool1d() Invalid computed output size: {out[0]}"
        return explained(
            RuntimeError(f"{first}\nThe kernel does not fit into the input; a larger padding would make room for it.")
        )


Sliding = tuple[Ints, Ints, Ints, Ints, Ints, Ints]  # sizes, kernel, stride, padding, dilation, numbers of windows


@lru_cache(maxsize=1024)
def _sliding(name: str, size: Ints, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool) -> Sliding:
    rank = len(size)
    sizes = per_axis(kernel, rank, name, "kernel_size")
    steps = sizes if stride is None or stride == () else per_axis(stride, rank, name, "stride")
    around = per_axis(padding, rank, name, "padding")
    gaps = per_axis(dilation, rank, name, "dilation")
    return size, sizes, steps, around, gaps, _lengths(size, sizes, steps, around, gaps, ceil)


@lru_cache(maxsize=1024)
def _max_over(*given: Any) -> tuple[Axis, ...]:
    return tuple([sliding.regular(*axis) for axis in zip(*_sliding(*given), strict=True)])


@lru_cache(maxsize=1024)
def _mean_over(count: bool, divisor: int | None, *given: Any) -> sliding.Averages:
    size, kernel, stride, padding, _, out = _sliding(*given)
    return sliding.averages(size, kernel, stride, padding, out, count, divisor)


def plain(function: str, *values: Any) -> tuple[Any, ...]:
    """Lists, which cannot be remembered, as tuples; 2.0 and True are refused, which would be taken for what is remembered of
    2 and 1."""
    if all(type(v) is int or v is None for v in values):
        return values
    for place, (name, value) in enumerate(
        zip(("kernel_size", "stride", "padding", "dilation"), values, strict=False), 2
    ):
        several = isinstance(value, (tuple, list))
        for at, n in enumerate(value if several else () if value is None else (value,)):
            if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
                wrong = (
                    f"but found element of type {type(n).__name__} at pos {at}"
                    if several
                    else f"not {type(n).__name__}"
                )
                raise explained(
                    TypeError(
                        f"{function}(): argument '{name}' (position {place}) must be tuple of ints, {wrong}"
                        "\nA whole number for all axes, or one for each; half of a length is n // 2."
                    )
                )
    return tuple([tuple(v) if isinstance(v, list) else v for v in values])


def refuse_kinds(x: Tensor, kinds: str, kernel: str) -> None:
    """PyTorch's error for dtypes of these kinds."""
    if x._dtype.kind in kinds:
        raise errors.not_of_complex(no_kernel(kernel), x._dtype)


def _max(rank: int, x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, indices: bool) -> Any:
    name = f"max_pool{rank}d"
    size = _checked(x, rank, name)
    try:
        over = _max_over(name, size, *plain(name, kernel, stride, padding, dilation), ceil)
    except _NoWindowError as e:
        raise e.shown(name, x) from None
    refuse_kinds(x, "ciub" if rank == 1 else "cb", "max_pool1d_impl" if rank == 1 else name)
    if any(axis.beyond for axis in over):
        return _max_of_padding(rank, x, over, indices)
    return maxima(_max_pool[rank], x, over, indices)


def _max_of_padding(rank: int, x: Tensor, over: tuple[Axis, ...], indices: bool) -> Any:
    """Where windows hold nothing but padding they are given entries, lower than all."""
    low = -math.inf if x._dtype.kind == "f" else int(np.iinfo(x._dtype).min)
    wide = pad(x, [n for axis in reversed(over) for n in (0, axis.beyond)], value=low)
    found = maxima(_max_pool[rank], wide, tuple([axis.longer() for axis in over]), indices)
    if not indices:
        return found
    values, at = found
    places, rest = 0, 1
    for axis in reversed(over):
        n = axis.size + axis.beyond
        places, at, rest = places + at % n * rest, at // n, rest * axis.size
    return values, places


def maxima(prim: Primitive, x: Tensor, over: tuple[Axis, ...], indices: bool) -> Any:
    """The largest entries of windows, and where they are if ``indices`` are wanted."""
    values = prim(x, over=over)
    return (values, _places(x.detach(), over=over)) if indices else values


# --- as users call them ---


def max_pool1d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest entry of windows of ``kernel_size`` along the last axis of ``input`` (n, channels, length).

    Windows are ``stride`` apart (their length unless given) and their entries ``dilation``; at both ends ``padding``
    places, at most half a window, count as empty.  A window must fit, unless ``ceil_mode`` lets the last one reach
    beyond the end.  With ``return_indices`` (values, indices), the places counted along the pooled axes.  The batch
    axis may be left out.  RuntimeError for sizes that do not fit.

    Source: ``torch.nn.functional.max_pool1d``.

    >>> import chainrule as torch
    >>> max_pool1d(torch.tensor([[1.0, 3.0, 2.0, 5.0]]), 2)
    tensor([[3., 5.]])
    """
    return _max(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """:func:`max_pool1d` over two axes: (n, channels, height, width), with windows (height, width).

    Source: ``torch.nn.functional.max_pool2d``.

    >>> import chainrule as torch
    >>> max_pool2d(torch.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    return _max(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """:func:`max_pool1d` over three axes: (n, channels, depth, height, width).

    Source: ``torch.nn.functional.max_pool3d``.

    >>> import chainrule as torch
    >>> max_pool3d(torch.arange(8.0).reshape(1, 2, 2, 2), 2)
    tensor([[[[7.]]]])
    """
    return _max(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool1d_with_indices(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """:func:`max_pool1d`, and where the values are.  Source: ``torch.max_pool1d_with_indices``."""
    found: tuple[Tensor, Tensor] = _max(1, input, kernel_size, stride, padding, dilation, ceil_mode, True)
    return found


def _mean(
    rank: int, x: Tensor, kernel: Any, stride: Any, padding: Any, ceil: bool, count: bool, divisor: int | None
) -> Tensor:
    name = f"avg_pool{rank}d"
    size = _checked(x, rank, name)
    if isinstance(divisor, (bool, float)):
        raise TypeError(f"{name}(): argument 'divisor_override' must be int, not {type(divisor).__name__}")
    if divisor == 0:
        raise RuntimeError("divisor must be not zero")
    refuse_kinds(x, "cb", "avg_pool3d_out_frame" if rank == 3 else "avg_pool2d")
    try:
        over = _mean_over(count, divisor, name, size, *plain(name, kernel, stride, padding), 1, ceil)
    except _NoWindowError as e:
        raise e.shown(name, x) from None
    return _avg_pool[rank](x, over=over)


def avg_pool1d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """The mean of windows of ``kernel_size`` along the last axis of ``input`` (n, channels, length).

    Sizes are as in :func:`max_pool1d`; ``padding`` are zeros, which count in the mean if ``count_include_pad``.

    Source: ``torch.nn.functional.avg_pool1d``.

    >>> import chainrule as torch
    >>> avg_pool1d(torch.tensor([[1.0, 3.0, 2.0, 5.0]]), 2)
    tensor([[2.0000, 3.5000]])
    """
    return _mean(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@takes_out(EXACT)
def avg_pool2d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None, *, out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """:func:`avg_pool1d` over two axes; sums are divided by ``divisor_override`` if it is given.

    Source: ``torch.nn.functional.avg_pool2d``.

    >>> import chainrule as torch
    >>> avg_pool2d(torch.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 2.5000,  4.5000],
             [10.5000, 12.5000]]])
    """
    return _mean(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@takes_out(EXACT)
def avg_pool3d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None, *, out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """:func:`avg_pool2d` over three axes: (n, channels, depth, height, width).

    Source: ``torch.nn.functional.avg_pool3d``.

    >>> import chainrule as torch
    >>> avg_pool3d(torch.arange(8.0).reshape(1, 2, 2, 2), 2)
    tensor([[[[3.5000]]]])
    """
    return _mean(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _power(rank: int, x: Tensor, p: float, kernel: Any, stride: Any, ceil: bool) -> Tensor:
    count = math.prod(per_axis(kernel, rank, f"lp_pool{rank}d", "kernel_size"))
    mean = _mean(rank, x.pow(p), kernel, stride, 0, ceil, True, None)
    found: Tensor = (mean.sign() * relu(mean.abs())).mul(count).pow(1.0 / p)
    return found


def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm of windows, p = ``norm_type``, of entries that are not negative (or p even): ``sum(x**p)**(1/p)``.

    Source: ``torch.nn.functional.lp_pool1d``.

    >>> import chainrule as torch
    >>> lp_pool1d(torch.tensor([[3.0, 4.0, 0.0, 2.0]]), 2, 2)
    tensor([[5., 2.]])
    """
    return _power(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """:func:`lp_pool1d` over two axes.  Source: ``torch.nn.functional.lp_pool2d``."""
    return _power(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """:func:`lp_pool1d` over three axes.  Source: ``torch.nn.functional.lp_pool3d``."""
    return _power(3, input, norm_type, kernel_size, stride, ceil_mode)


export_all(max_pool1d, max_pool2d, max_pool3d, max_pool1d_with_indices, avg_pool1d, method=False)
