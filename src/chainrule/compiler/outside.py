"""Outside: what is asked of tensors that were there before a capture, and what they were like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..meta import Inference
from ..tensor import Tensor

HEARD = "it computes the gradient of a tensor that has hooks"
WRITABLE = 0x1 | 0x100 | 0x400  # flags of an array: C-contiguous, aligned, writeable


class Before:
    """What a tensor is like before a capture, beyond its slots: its version, and the views that show it."""

    def __init__(self, t: Tensor) -> None:
        self.t, self.cell, self.meta = t, t._v, t._meta
        self.counted = None if t._v is None else list(t._v)
        self.views = None if t._meta is None else (t._meta.views and list(t._meta.views), list(t._meta.behind))

    def writes(self) -> int:
        """How many writes the version has counted since."""
        return (self.t._v[0] if self.t._v else 0) - (self.counted[0] if self.counted else 0)

    def restore(self) -> None:
        self.t._v, self.t._meta = self.cell, self.meta
        if self.counted is not None:
            self.cell[:] = self.counted
        if self.views is not None:
            self.meta.views, self.meta.behind = self.views


def is_alone(t: Tensor, a: Any, others: Sequence[Any]) -> bool:
    """Whether a tensor's array is memory that can be written to and that none of the ``others`` shares."""
    if t._meta is not None and t._meta.base is not None:
        return False
    if not isinstance(a, np.ndarray):
        return True  # a number, which gets memory of its own
    if a.flags.num & WRITABLE != WRITABLE or type(t._v) is Inference:
        return False
    return (a.base is None and all(b is not a and b.base is not a for b in others)) or not any(
        np.may_share_memory(a, b) for b in others
    )


def are_apart(arrays: Sequence[Any]) -> bool:
    """Whether it is plain that no two arrays share memory, each being the one that has its own."""
    return all(a.base is None for a in arrays) and len({*map(id, arrays)}) == len(arrays)


def is_heard(t: Tensor) -> bool:
    """Whether hooks are to be called when a leaf gets its gradient, or its dtype is a special one."""
    m = t._meta
    return m is not None and bool(m.hooks or m.pre or m.post or m.accumulate_hooks or m.grad_dtype)
