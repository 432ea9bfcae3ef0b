"""Windows that slide over an array laid out as the columns of a matrix, and added up where they came from.

An axis at a time: the entries that windows have along the last axis are copied first, row after row, so that along the
other axes whole planes lie together and are copied as such.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ..arrays.layout import scratch

Ints = tuple[int, ...]
Step = tuple[Any, Any, list[Any]]  # keys


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
    def single(self) -> bool:
        """Whether the windows are the input's entries, one by one."""
        return self.size == self.out and not any(self.padding) and math.prod(self.kernel) == 1


def laid(kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, size: Ints) -> Grid:
    """As many windows as there is room for."""
    found = zip(kernel, stride, padding, dilation, size, strict=True)
    out = tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for k, s, p, d, n in found)
    return Grid(kernel, stride, padding, dilation, size, out)


@lru_cache(maxsize=1024)
def _steps(grid: Grid) -> tuple[list[Step], list[Step]]:
    """For each place in the kernel, along all axes but the last and along the last: where the windows go that have an
    entry of the input there, where it is, and where those go that have none."""
    every, rank = slice(None), len(grid.size)
    each: list[list[tuple[int, slice, slice]]] = []
    for k, s, p, d, n, m in zip(*grid, strict=True):
        each.append([])
        for i in range(k):
            shift = i * d - p
            first = min(max(-(shift // s), 0), m)
            last = max(min((n - 1 - shift) // s + 1, m), first)
            entries = slice(shift + first * s, shift + (last - 1) * s + 1, s) if last > first else slice(0, 0)
            each[-1].append((i, slice(first, last), entries))

    def step(axes: Any, lengths: Ints, between: int, after: int) -> Step:
        i, windows, entries = zip(*axes, strict=True)
        head, tail = (..., *i, *(every,) * between), (every,) * after
        gaps = []
        for k, (w, m) in enumerate(zip(windows, lengths, strict=True)):
            for gap in (slice(0, w.start), slice(w.stop, m)):
                if gap.start < gap.stop:
                    gaps.append((*head, *(every,) * k, gap, *(every,) * (len(windows) - 1 - k), *tail))
        return (*head, *windows, *tail), (..., *entries, *tail), gaps

    others = [step(axes, grid.out[:-1], 1, 1) for axes in product(*each[:-1])] if rank > 1 else []
    return others, [step([axis], grid.out[-1:], rank - 1, 0) for axis in each[-1]]


def _line_shape(grid: Grid) -> Ints:
    """For one channel: the entries of windows along the last axis only."""
    return grid.kernel[-1], *grid.size[:-1], grid.out[-1]


def lay(x: Any, cols: Any, lines: Any, grid: Grid) -> None:
    """Write the windows of x (..., *size) to cols (..., *kernel, *out), by way of ``lines`` as :func:`_line_shape` says."""
    others, last = _steps(grid)
    for target, source, steps in ((lines if others else cols, x, last), (cols, lines, others)):
        for to, of, gaps in steps:
            for gap in gaps:
                target[gap] = 0
            target[to] = source[of]


def gather(cols: Any, full: Any, lines: Any, grid: Grid) -> None:
    """Write to ``full`` the windows added up where :func:`lay` takes them from."""
    others, last = _steps(grid)
    for source, target, steps in ((cols, lines, others), (lines if others else cols, full, last)):
        for k, (to, of, _) in enumerate(sorted(steps, key=lambda step: len(step[2]))):
            some = target[of]
            if k:
                np.add(some, source[to], some)  # as += would, but for a copy of the sum onto itself
                continue
            if some.size < target.size:
                target[...] = 0
            some[...] = source[to]


def columns(x: Any, grid: Grid, groups: int) -> Any:
    """The windows of x (..., channels, *size) as (..., groups, channels / groups * kernel, windows)."""
    lead, channels = x.shape[: -len(grid.size) - 1], x.shape[-len(grid.size) - 1]
    cols = np.empty((*lead, channels, *grid.kernel, *grid.out), x.dtype)
    lay(x, cols, np.empty((*lead, channels, *_line_shape(grid)), x.dtype), grid)
    return cols.reshape(*lead, groups, channels // groups * math.prod(grid.kernel), math.prod(grid.out))


def scattered(cols: Any, grid: Grid, channels: int) -> Any:
    """Windows laid out by :func:`columns` added up where they came from."""
    lead = cols.shape[:-3]
    full: Any = np.empty((*lead, channels, *grid.size), cols.dtype)
    cols = cols.reshape(*lead, channels, *grid.kernel, *grid.out)
    gather(cols, full, np.empty((*lead, channels, *_line_shape(grid)), cols.dtype), grid)
    return full


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


def _rooms(n: int, channels: int, groups: int, grid: Grid, kind: Any) -> tuple[list[slice], Any, Any]:
    """Which of n samples to take at a time, and room for their windows and for :func:`lay`'s lines."""
    rows, count = channels * math.prod(grid.kernel), math.prod(grid.out)
    step = min(n, max(1, _BLOCK // max(1, rows * count)))
    cols, lines = scratch(kind, (step, groups, rows // groups, count), (step, channels, *_line_shape(grid)))
    return [slice(start, min(start + step, n)) for start in range(0, n, max(1, step))], cols, lines


def laid_out(x: Any, grid: Grid, groups: int) -> Iterator[tuple[slice, Any]]:
    """:func:`columns` of a few of the samples of x (n, channels, *size) at a time."""
    n, channels = x.shape[:2]
    if grid.single:
        yield slice(n), x.reshape(n, groups, channels // groups, math.prod(grid.out))
        return
    parts, room, lines = _rooms(n, channels, groups, grid, x.dtype)
    for part in parts:
        some = x[part]
        cols = room[: len(some)]
        lay(some, cols.reshape(len(some), channels, *grid.kernel, *grid.out), lines[: len(some)], grid)
        yield part, cols


def convolved(x: Any, w: Any, grid: Grid, groups: int, b: Any = None) -> Any:
    """Sums over windows of x (..., channels, *size), weighted by w, plus b for each channel."""
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
        some = np.matmul(m, cols, out=out[part])
        if shifts is not None:
            np.add(some, shifts, some)
    return out.reshape(*x.shape[: -rank - 1], w.shape[0], *grid.out)


def spread_back(y: Any, w: Any, grid: Grid, groups: int) -> Any:
    """The slope of :func:`convolved` in x: y's entries, weighted by w, added up over the windows."""
    rank = len(grid.size)
    channels = w.shape[-rank - 1] * groups
    turned = np.swapaxes(matrices(w, grid, groups), -1, -2)
    given = grouped(y, grid, groups)
    if w.ndim > rank + 2 or grid.single:
        return scattered(np.matmul(turned, given), grid, channels)
    given = given.reshape(-1, *given.shape[-3:])
    kind = np.result_type(y, w)
    full: Any = np.empty((len(given), channels, *grid.size), kind)
    parts, room, lines = _rooms(len(given), channels, groups, grid, kind)
    for part in parts:
        some = full[part]
        cols = np.matmul(turned[0], given[part], out=room[: len(some)])
        gather(cols.reshape(len(some), channels, *grid.kernel, *grid.out), some, lines[: len(some)], grid)
    return full.reshape(*y.shape[: -rank - 1], channels, *grid.size)


def correlated(x: Any, y: Any, grid: Grid, groups: int) -> Any:
    """The slope of :func:`convolved` in w: x's windows, weighted by y, added up over the samples."""
    rank = len(grid.size)
    inner = x.shape[-rank - 1] // groups
    given = np.swapaxes(grouped(y, grid, groups), -1, -2)
    if x.ndim > rank + 2:
        w = np.matmul(columns(x, grid, groups), given).sum(-4)
    else:
        w = np.zeros((groups, inner * math.prod(grid.kernel), given.shape[-1]), np.result_type(x, y))
        for part, cols in laid_out(x, grid, groups):
            w += np.matmul(cols, given[part]).sum(0)
    w = np.swapaxes(w, -1, -2)
    return w.reshape(*w.shape[:-3], w.shape[-3] * w.shape[-2], inner, *grid.kernel)
