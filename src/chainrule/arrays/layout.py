"""How arrays lie in memory: in which order, and new ones that lie the same."""

from __future__ import annotations

import contextlib
import math
import threading
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def slowest_first(a: Array) -> list[int]:
    """The axes in the order of memory, the largest stride first: how a fill goes along."""
    return sorted(range(a.ndim), key=lambda axis: -a.strides[axis])


def empty_like(a: Array, dtype: Any = None) -> Array:
    """An unwritten array of a's shape with its axes in a's order of memory: ``torch.preserve_format``.

    An expanded axis, of stride 0, says nothing about the order and stays where it is.
    """
    if a.flags.c_contiguous:
        return np.empty(a.shape, a.dtype if dtype is None else dtype)
    order = list(range(a.ndim))
    for i in range(1, a.ndim):
        at = i
        for j in range(i - 1, -1, -1):
            slow, fast = a.strides[order[j]], a.strides[order[at]]
            if slow and fast and slow != fast:
                if slow > fast:
                    break
                order[j], order[at] = order[at], order[j]
                at = j
    whole = np.empty([a.shape[axis] for axis in order], a.dtype if dtype is None else dtype)
    return whole.transpose(np.argsort(order))


def _keep_pages() -> None:
    """Let glibc keep freed memory, up to 64 MiB, where it would give it back to the system and get fresh pages again.

    It keeps twice the largest block that it has seen come and go; what it sees here is as large as it takes note of.
    """
    with contextlib.suppress(MemoryError):
        np.empty(2**25 - 2**13, np.uint8)


_keep_pages()


class _Own(threading.local):
    """Memory that a thread works in again and again: fresh pages may cost more than what is done with them."""

    memory: Array = np.empty(0, np.uint8)


_own = _Own()
_MOST = 2**20  # bytes; more than that is not kept


def scratch(dtype: Any, *shapes: tuple[int, ...]) -> list[Array]:
    """Unwritten arrays of these shapes, to be used until the next call of anything."""
    sizes = [math.prod(shape) * np.dtype(dtype).itemsize for shape in shapes]
    if sum(sizes) > _MOST:
        return [np.empty(shape, dtype) for shape in shapes]
    if sum(sizes) > _own.memory.size:
        _own.memory = np.empty(sum(sizes), np.uint8)
    found, at = [], 0
    for shape, size in zip(shapes, sizes, strict=True):
        found.append(_own.memory[at : at + size].view(dtype).reshape(shape))
        at += size
    return found


def view(a: Array, shape: tuple[int, ...], strides: tuple[int, ...], start: int = 0) -> Array:
    """The entries ``start`` after a's first that ``strides`` lead to, in bytes; ValueError where a's memory ends.

    The view's base is the owner of the memory, as of any other view.
    """
    owner: Any = a
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    flags = owner.flags
    if not (flags.c_contiguous or flags.f_contiguous):
        if start:
            raise ValueError("no more is known of the memory than the array's own entries")
        return np.lib.stride_tricks.as_strided(a, shape, strides, writeable=a.flags.writeable)
    start += address(a) - address(owner)
    found: Array = np.ndarray(shape, a.dtype, owner if flags.c_contiguous else owner.T, start, strides)
    if not a.flags.writeable:
        found.flags.writeable = False
    return found


def address(a: Array) -> int:
    """Where a's first entry is."""
    return int(a.__array_interface__["data"][0])


def places(shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """How far each entry, in row-major order, lies from the first."""
    found = np.zeros(shape, np.int64)
    for axis, (n, step) in enumerate(zip(shape, strides, strict=True)):
        found += (step * np.arange(n)).reshape(-1, *(1,) * (len(shape) - axis - 1))
    return found.reshape(-1)


def lines(
    shape: tuple[int, ...], strides: tuple[int, ...], size: tuple[int, ...], stride: tuple[int, ...], shift: int
) -> tuple[Array, Array, int]:
    """The memory that two arrays look at, as one line: where the entries of each are on it, and how long it is."""
    into, at = places(shape, strides), places(size, stride) + shift
    start = min(into.min(initial=0), at.min(initial=0))
    return into - start, at - start, int(max(into.max(initial=0), at.max(initial=0)) - start) + 1


def relaid(
    xp: Any, x: Any, size: tuple[int, ...], stride: tuple[int, ...], shift: int, strides: tuple[int, ...]
) -> Any:
    """What ``size`` and ``stride`` would show, ``shift`` after the first entry, if x lay in memory as ``strides`` say.

    Entries that are not x's are 0.  Axes of x before those of ``strides`` stay as they are.
    """
    lead = tuple(x.shape[: len(x.shape) - len(strides)])
    into, at, n = lines(tuple(x.shape[len(lead) :]), strides, size, stride, shift)
    memory = xp.put_add(xp.reshape(x, (*lead, len(into))), (..., into), (*lead, n), False)
    return xp.reshape(xp.getitem(memory, (..., at)), (*lead, *size))
