"""Shuffling: exchanges one after the other, worked out all at once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

from .words import Array

if TYPE_CHECKING:
    import numpy.typing as npt


def shuffled(places: npt.NDArray[np.uint32], n: int) -> Array:
    """``0 .. n - 1`` after exchanging entry i with entry ``places[i] >= i``, for ``i = 0 .. n - 2`` in turn.

    Entry i of the result is what stood at ``places[i]`` just before: what the last exchange with that place
    left there, or the place's own number if there was none.  What exchange k leaves at its place is what
    stood at k, and so what the last exchange with place k left there: a chain, back to a number that had not
    been moved.  The ends of all chains are found together, by doubling.
    """
    if n < 400:  # the loop is quicker
        entries = list(range(n))
        for i, j in enumerate(places.tolist()):
            entries[i], entries[j] = entries[j], entries[i]
        return np.array(entries, np.int64)
    keys = np.empty(n - 1, np.uint64)
    step, place = _halves(keys)
    step[:], place[:] = np.arange(n - 1, dtype=np.uint32), places
    keys.sort()  # by place, then by step
    again = place[1:] == place[:-1]
    before = np.full(n - 1, -1, np.int32)  # for each exchange the one before with the same place
    before[step[1:][again]] = step[:-1][again]
    ends = np.append(np.flatnonzero(~again), n - 2)
    of, last = place[ends], step[ends].astype(np.int32)  # for each place the last exchange with it before its own
    own = np.flatnonzero(of == last)
    last[own] = before[last[own]]
    moved = last >= 0
    origin = np.arange(n, dtype=np.int32)  # what stands at each place when its own exchange comes
    active = of[moved]
    origin[active] = last[moved]
    while active.size:
        now = origin[active]
        further = origin[now]
        changed = further != now
        active = active[changed]
        origin[active] = further[changed]
    order = np.empty(n, np.int64)
    order[:-1] = places
    order[-1] = origin[-1]
    moved = np.flatnonzero(before >= 0)
    order[moved] = origin[before[moved]]
    return order


def _halves(keys: npt.NDArray[np.uint64]) -> tuple[Array, Array]:
    """The low and the high 32 bits, as views."""
    halves = keys.view(np.uint32)
    low, high = (0, 1) if sys.byteorder == "little" else (1, 0)
    return halves[low::2], halves[high::2]
