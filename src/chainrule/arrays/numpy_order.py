"""Orders of entries, and what is found so far: parts of :mod:`.numpy_`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .numpy_many import where


def order(x: Any, *, axis: int, descending: bool) -> Any:
    """The places of the entries in order; equal ones stay as they are, nan is the largest."""
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    turned = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
    return np.flip(x.shape[axis] - 1 - turned, axis)


def top(x: Any, k: int, *, axis: int, largest: bool) -> Any:
    """The places of the ``k`` largest, or smallest, in order."""
    n = x.shape[axis]
    if 8 * k < n:
        cut = np.argpartition(x, n - k if largest else k - 1, axis) if k else np.argsort(x, axis)
        cut = np.take(cut, range(n - k, n) if largest else range(k), axis)
        cut = np.sort(cut, axis)  # equal ones in the order in which they stand
        return np.take_along_axis(cut, order(np.take_along_axis(x, cut, axis), axis=axis, descending=largest), axis)
    return np.take(order(x, axis=axis, descending=largest), range(k), axis)


def middle(x: Any, *, axis: int, skip: bool) -> Any:
    """The place of the lower median, along an axis that is kept; nan, the largest, goes first unless to ``skip``."""
    bad = x != x
    if not bad.any():
        k = (x.shape[axis] - 1) // 2
        return np.take(np.argpartition(x, k, axis), [k], axis)
    at = np.argsort(x, axis=axis, kind="stable")
    many = x.shape[axis] - bad.sum(axis=axis, keepdims=True)
    place = np.maximum(many - 1, 0) // 2 if skip else np.where(bad.any(axis=axis, keepdims=True), many, (many - 1) // 2)
    return np.take_along_axis(at, place, axis)


def most_frequent(x: Any, *, axis: int) -> Any:
    """The last place of the commonest entry, along an axis that is kept; of several the smallest."""
    rows = np.moveaxis(x, axis, -1)
    out = np.empty((*rows.shape[:-1], 1), np.int64)
    for at in np.ndindex(rows.shape[:-1]):
        values, counts = np.unique(rows[at], return_counts=True)
        best = values[np.argmax(counts)]
        out[at] = np.flatnonzero((rows[at] == best) | ((best != best) & (rows[at] != rows[at])))[-1]
    return np.moveaxis(out, -1, axis)


def running_logsumexp(x: Any, *, axis: int) -> Any:
    if x.dtype.kind != "c":
        return np.logaddexp.accumulate(x, axis=axis)
    rows = np.moveaxis(x, axis, 0)
    out = np.array(rows)
    for i in range(1, len(rows)):  # one after the other: the imaginary part goes on where it was, and does not wrap
        larger = out[i - 1].real >= rows[i].real
        top, low = np.where(larger, out[i - 1], rows[i]), np.where(larger, rows[i], out[i - 1])
        out[i] = top + np.log1p(np.exp(low - top))
    return np.moveaxis(out, 0, axis)


def running_place(x: Any, *, axis: int, largest: bool) -> Any:
    """The place of the largest, or smallest, so far; of equal ones the last; a nan stays."""
    if x.ndim == 1 and x.size > 4096 and (found := _by_stretches(x, largest)) is not None:
        return found
    best = (np.maximum if largest else np.minimum).accumulate(x, axis=axis)
    shape = [1] * x.ndim
    shape[axis] = -1
    at = np.arange(x.shape[axis]).reshape(shape)
    return np.maximum.accumulate(where((x == best) | (x != x), at, 0), axis=axis)


def _by_stretches(x: Any, largest: bool) -> Any:
    """:func:`running_place`, where few stretches of a thousand hold an entry that is a new record; else None."""
    n, width = len(x), 1000
    extreme = np.maximum if largest else np.minimum
    ends = extreme.reduceat(x, np.arange(0, n, width))
    before = extreme.accumulate(ends)[:-1]
    news = np.flatnonzero(~(ends[1:] < before if largest else ends[1:] > before)) + 1
    if 8 * len(news) > len(ends):
        return None
    last = np.zeros(len(ends), np.int64)
    inner = {0: running_place(x[:width], axis=0, largest=largest)}
    at = last[0] = inner[0][-1]
    for i in news.tolist():
        start = i * width
        found = running_place(np.concatenate([x[at : at + 1], x[start : start + width]]), axis=0, largest=largest)[1:]
        inner[i] = np.where(found == 0, at, found + (start - 1))
        at = last[i] = inner[i][-1]
    out = np.repeat(np.maximum.accumulate(last), width)[:n]
    for i, places in inner.items():
        out[i * width : i * width + len(places)] = places
    return out
