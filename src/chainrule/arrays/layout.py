"""How arrays lie in memory: in which order, and new ones that lie the same."""

from __future__ import annotations

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
