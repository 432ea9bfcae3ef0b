"""Memory for results: arrays handed out before are used again once nobody else holds them.

Fresh pages cost more than the arithmetic that fills them.  An array that was returned to a user is free
when its reference count says that only the pool is left: a tensor, a view of it or a graph that saved it
would count.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

SMALL = 1 << 14  # bytes; below, NumPy's own small-block cache is as quick
KEPT = 3  # arrays of a kind that the pool keeps

Pair = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def _pair(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Pair:
    """A new array and a flat view of it, the array itself if it has one axis."""
    a = np.empty(shape, dtype)
    return a, a if a.ndim == 1 else a.reshape(-1)


def _references(entry: Pair) -> int:
    return sys.getrefcount(entry[0])


# How many references an array in the pool has when nobody else has one: flat and otherwise.
_IDLE = tuple(_references(_pair(shape, np.dtype(bool))) for shape in ((1,), (1, 1)))
# Without a global lock, reference counts are no longer exact.
_EXACT = getattr(sys, "_is_gil_enabled", lambda: True)()


class Pool:
    """Arrays of one shape and dtype."""

    __slots__ = ("dtype", "entries", "idle", "shape", "small")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape, self.dtype = shape, dtype
        self.entries: list[Pair] = []
        self.idle = _IDLE[len(shape) != 1]
        self.small = np.prod(shape) * dtype.itemsize < SMALL or not _EXACT

    def take(self) -> Pair:
        """An uninitialised array that nobody else holds, with its flat view."""
        if self.small:
            return _pair(self.shape, self.dtype)
        for _ in range(len(self.entries)):
            try:
                entry = self.entries.pop(0)  # now no other thread can take it
            except IndexError:
                break
            free = _references(entry) == self.idle
            self.entries.append(entry)
            if free:
                return entry
        entry = _pair(self.shape, self.dtype)
        if len(self.entries) < KEPT:
            self.entries.append(entry)
        return entry
