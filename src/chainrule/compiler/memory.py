"""Memory: what is made by many, and results.

While thousands of equations are written down, nothing of them is garbage, and looking for some would take a third of the time.
Arrays handed out before are used again once nobody else holds them.
Fresh pages cost more than the arithmetic that fills them.  An array that was returned to a user is free
when its reference count says that only the pool is left: a tensor, a view of it or a graph that saved it
would count.
"""

from __future__ import annotations

import functools
import gc
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..forks import renewed

SMALL = 1 << 14  # bytes; below, NumPy's own small-block cache is as quick
KEPT = 3  # arrays of a kind that the pool keeps


_collecting = True  # outside of all that is kept


@contextmanager
def kept() -> Iterator[None]:
    """Let nobody look for garbage meanwhile, unless it is off anyway."""
    global _collecting
    if not gc.isenabled():
        yield
        return
    _collecting = False
    gc.disable()
    try:
        yield
    finally:
        _collect()


@renewed
def _collect() -> None:
    global _collecting
    if not _collecting:
        _collecting = True
        gc.enable()


# Without a global lock, reference counts are no longer exact.
_EXACT = getattr(sys, "_is_gil_enabled", lambda: True)()


def _references(of: list[np.ndarray[Any, Any]]) -> int:
    a = of.pop(0)
    found = sys.getrefcount(a)
    of.append(a)
    return found


_IDLE = _references([np.empty(1)])  # when nobody else has one


def taker(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Callable[[], np.ndarray[Any, Any]]:
    """What gives an uninitialised array that nobody else holds."""
    small = math.prod(shape) * dtype.itemsize < SMALL or not _EXACT
    return functools.partial(np.empty, shape, dtype) if small else Pool(shape, dtype).take


class Pool:
    """Arrays of one shape and dtype."""

    __slots__ = ("dtype", "entries", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape, self.dtype = shape, dtype
        self.entries: list[np.ndarray[Any, Any]] = []

    def take(self) -> np.ndarray[Any, Any]:
        """One of them, with any entries."""
        for _ in range(len(self.entries)):
            try:
                a = self.entries.pop(0)  # now no other thread can take it
            except IndexError:
                break
            own = [a]
            del a
            free = _references(own) == _IDLE
            self.entries += own
            if free:
                return own[0]
        a = np.empty(self.shape, self.dtype)
        if len(self.entries) < KEPT:
            self.entries.append(a)
        return a
