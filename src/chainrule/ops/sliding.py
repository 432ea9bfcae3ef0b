"""Windows that slide along axes, cut off at the ends: what pooling takes the largest or the mean of.

Whatever is done to a window of several axes is done axis after axis, and along an axis for the first entry of all
windows, then for the second of all, and so on: a few passes over slices, however many windows there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from ..arrays.layout import scratch

Key = Any  # a slice, or an array of positions where they are not evenly spaced


class Axis:
    """The windows along one axis of length ``size``: the i-th begins at ``origins[i]`` and holds its entries from the
    ``lows[i]``-th to before the ``highs[i]``-th, ``step`` apart."""

    def __init__(self, size: int, origins: Any, step: int, lows: Any, highs: Any) -> None:
        self.size, self.out, self.step = size, len(origins), step
        self.origins, self.lows, self.highs = origins, lows, highs
        self.counts = highs - lows
        self.firsts = origins + lows * step
        self.beyond = max(0, int(self.firsts.max(initial=0)) + 1 - size)  # how far windows without an entry reach
        self.full: list[Key] = []  # where the entries are of which every window has one
        self.part: list[tuple[Key, Key]] = []  # windows that have an entry of this number, and where it is
        self.each: list[tuple[Key, Key, int]] = []  # all of them in order, with the number
        taken = []
        for i in range(lows.min(initial=0), highs.max(initial=0)):
            has = np.flatnonzero((lows <= i) & (i < highs))
            if len(has):
                at = origins[has] + i * step
                taken.append(at)
                self.each.append((_key(has), _key(at), i))
                if len(has) == self.out:
                    self.full.append(_key(at))
                else:
                    self.part.append((_key(has), _key(at)))
        every = np.concatenate(taken) if taken else np.zeros(0, int)
        self.apart = len(np.unique(every)) == len(every)  # no entry is in two windows

    def longer(self) -> Axis:
        """The same windows, each with an entry at least, of an axis that is long enough for that."""
        return Axis(self.size + self.beyond, self.origins, self.step, self.lows, np.maximum(self.highs, self.lows + 1))


def _key(at: Any) -> Key:
    gaps = np.diff(at)
    if len(at) == 1 or (gaps[0] > 0 and (gaps == gaps[0]).all()):
        return slice(int(at[0]), int(at[-1]) + 1, int(gaps[0]) if len(gaps) else 1)
    return at


@lru_cache(maxsize=1024)
def regular(size: int, kernel: int, stride: int, padding: int, dilation: int, out: int) -> Axis:
    """``out`` windows ``stride`` apart, each of ``kernel`` entries ``dilation`` apart, of an axis with padded ends."""
    origins = np.arange(out) * stride - padding
    lows = -np.minimum(origins, 0)
    return Axis(size, origins, dilation, -(-lows // dilation), np.clip(-(-(size - origins) // dilation), 0, kernel))


@lru_cache(maxsize=1024)
def even(size: int, out: int) -> Axis:
    """``out`` windows that cover the axis, as even as whole numbers allow."""
    i = np.arange(out)
    origins = i * size // out
    return Axis(size, origins, 1, np.zeros_like(i), -(-(i + 1) * size // out) - origins)


def _place(at: int, key: Key) -> Any:
    return (..., key, *(slice(None),) * (-1 - at))


def _folded(fold: Any, x: Any, at: int, axis: Axis, begin: Any) -> Any:
    """The entries of each window along one axis folded together."""
    full = [x[_place(at, key)] for key in axis.full]
    if not full:
        out = begin(x, at, axis)
    elif len(full) == 1:
        out = full[0].copy() if axis.part else full[0]
    else:
        out = fold(full[0], full[1])
        for v in full[2:]:
            fold(out, v, out=out)
    for has, key in axis.part:
        place = _place(at, has)
        out[place] = fold(out[place], x[_place(at, key)])
    return out


def _all_axes(fold: Any, x: Any, windows: Sequence[Axis], begin: Any) -> Any:
    out = x
    for at, axis in enumerate(windows, -len(windows)):
        out = _folded(fold, out, at, axis, begin)
    return np.array(out) if out is x or np.may_share_memory(out, x) else out


def largest(x: Any, windows: Sequence[Axis]) -> Any:
    """The largest entry of each window over the last axes of x; nan if there is one."""
    return _all_axes(np.maximum, x, windows, lambda x, at, axis: np.take(x, axis.firsts, at))


def summed(x: Any, windows: Sequence[Axis]) -> Any:
    """The sum of each window over the last axes of x."""

    def zeros(x: Any, at: int, axis: Axis) -> Any:
        return np.zeros((*x.shape[:at], axis.out, *x.shape[x.ndim + at + 1 :]), x.dtype)

    return _all_axes(np.add, x, windows, zeros)


def spread(g: Any, windows: Sequence[Axis]) -> Any:
    """The transpose of :func:`summed`: each number added to all entries of its window."""
    for at, axis in enumerate(windows, -len(windows)):
        out: Any = np.zeros((*g.shape[:at], axis.size, *g.shape[g.ndim + at + 1 :]), g.dtype)
        for has, key, _ in axis.each:
            where, v = _place(at, key), g[_place(at, has)]
            if axis.apart:
                out[where] = v
            elif isinstance(key, slice):
                out[where] += v
            else:
                np.add.at(out, where, v)
        g = out
    return g


def places(x: Any, windows: Sequence[Axis]) -> Any:
    """Where in x the largest entry of each window is, counted along the last axes as if they were one.

    Of equal ones the first; of several nan the last.  A window's entries are numbered, and the largest number at which
    the running maximum grew is what counts: so there is no branch on what is random.
    """
    rank = len(windows)
    kernel = [int(axis.highs.max(initial=0)) for axis in windows]
    best = x
    for at, axis in enumerate(windows, -rank):
        best = best[_place(at, axis.full[0])] if not axis.lows.any() else np.take(best, axis.firsts, at)
    best = np.array(best)
    number: Any = np.empty(best.shape, np.min_scalar_type(math.prod(kernel)))
    number[...] = _joined([axis.lows for axis in windows], kernel)
    nans = x.dtype.kind == "f" and bool(np.isnan(np.max(x, initial=0)))
    for entry in product(*[axis.each for axis in windows]):
        has, where = (_keys(k) for k in zip(*[e[:2] for e in entry], strict=True))
        i = 0
        for e, k in zip(entry, kernel, strict=True):
            i = i * k + e[2]
        v, now, there = x[where], best[has], number[has]  # views, or copies that are put back
        better = v > now
        if nans:
            better |= v != v
        np.maximum(now, v, out=now)
        np.maximum(there, better * number.dtype.type(i), out=there)
        if not isinstance(has[-1], slice):
            best[has], number[has] = now, there
    size = [axis.size for axis in windows]
    steps = _joined([np.arange(k) * axis.step for k, axis in zip(kernel, windows, strict=True)], size)
    return np.take(steps.ravel(), number) + _joined([axis.origins for axis in windows], size)


def to_largest(g: Any, x: Any, best: Any, windows: Sequence[Axis]) -> Any:
    """Each number of g put where :func:`places` says that its window's entry ``best``, the largest, is; else 0."""
    steps = list(product(*[axis.each for axis in windows]))
    even = all(axis.apart for axis in windows) and all(
        isinstance(k, slice) for step in steps for e in step for k in e[:2]
    )
    if not even or g.dtype.itemsize > 8 or (x.dtype.kind == "f" and bool(np.isnan(np.max(best, initial=0)))):
        return _added(g, places(x, windows), tuple([axis.size for axis in windows]))
    covered = math.prod(int(axis.counts.sum()) for axis in windows) == math.prod(axis.size for axis in windows)
    found: Any = (np.empty if covered else np.zeros)(x.shape, g.dtype)
    whole = f"i{g.dtype.itemsize}"  # numbers as their bits, so that 0 is what is left of any number
    bits, given = found.view(whole), np.ascontiguousarray(g).view(whole)
    room = scratch(np.int8, best.shape, best.shape, (best.size * g.dtype.itemsize,))
    here, free, mask = room[0].view(bool), room[1].view(bool), room[2].view(whole).reshape(best.shape)
    free[...] = True  # the windows whose largest entry has not come yet
    for step in steps:
        has, where = ((..., *keys) for keys in zip(*[e[:2] for e in step], strict=True))
        one, left, m = here[has], free[has], mask[has]
        if step is steps[-1] and one.size == best.size:
            one = left  # as it must be somewhere
        else:
            np.equal(x[where], best[has], one)
            np.logical_and(one, left, one)
            np.logical_xor(left, one, left)
        np.negative(one.view(np.int8), m)
        np.bitwise_and(given[has], m, bits[where])
    return found


def _added(g: Any, at: Any, size: tuple[int, ...]) -> Any:
    lead, one = g.shape[: g.ndim - len(size)], math.prod(size)
    found: Any = np.zeros(math.prod(lead) * one, g.dtype)
    rows = np.arange(0, len(found), one).reshape(*lead, *(1,) * len(size)) if one else at
    np.add.at(found, (at + rows).ravel(), g.ravel())
    return found.reshape(*lead, *size)


def _joined(numbers: Sequence[Any], size: Sequence[int]) -> Any:
    """Positions along each of several axes as positions along them all, counted as if they were one."""
    out = np.zeros((), np.int64)
    for at, n in zip(numbers, size, strict=True):
        out = np.add.outer(out * n, at)
    return out


def _keys(keys: tuple[Key, ...]) -> Any:
    """A key for each axis as the key of the entries where they cross."""
    if all(isinstance(k, slice) for k in keys):
        return (..., *keys)
    return (..., *np.ix_(*[np.arange(k.start, k.stop, k.step) if isinstance(k, slice) else k for k in keys]))


class Averages:
    """Windows, and what their sums are divided by: a number, or an array with one for each window."""

    def __init__(self, windows: tuple[Axis, ...], counts: Sequence[Any], override: int | None) -> None:
        self.windows = windows
        if override is not None or all(len(c) and (c == c[0]).all() for c in counts):
            self.divisor: Any = math.prod(int(c[0]) for c in counts) if override is None else override
        else:
            product = np.ones((), np.int64)
            for c in counts:
                product = np.multiply.outer(product, c)
            self.divisor = product

    def divided(self, x: Any) -> Any:
        """``x`` divided, in place if it may hold the result; integers towards 0."""
        if x.dtype.kind in "iu":
            return np.sign(x) * np.sign(self.divisor) * (np.abs(x) // np.abs(self.divisor))
        d = self.divisor
        return np.divide(x, d if isinstance(d, int) else d.astype(x.dtype))


@lru_cache(maxsize=1024)
def averages(
    size: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...],
    out: tuple[int, ...], count_padding: bool, override: int | None,
) -> Averages:  # fmt: skip
    """The windows of :func:`regular` along several axes, with ends that count as entries or not."""
    windows, counts = [], []
    for n, k, s, p, m in zip(size, kernel, stride, padding, out, strict=True):
        axis = regular(n, k, s, p, 1, m)
        origins = np.arange(m) * s - p
        windows.append(axis)
        counts.append(np.minimum(origins + k, n + p) - origins if count_padding else axis.counts)
    return Averages(tuple(windows), counts, override)


@lru_cache(maxsize=1024)
def even_averages(size: tuple[int, ...], out: tuple[int, ...]) -> Averages:
    """The windows of :func:`even` along several axes."""
    windows = tuple(even(n, m) for n, m in zip(size, out, strict=True))
    return Averages(windows, [axis.counts for axis in windows], None)
