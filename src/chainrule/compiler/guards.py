"""Guards: whether the tensors of a call are of the kind that a program was made for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..tensor import Tensor
from . import walker
from .native import fits, slot
from .outside import is_alone
from .program import Var
from .watching import slots

_PAIRS = 1 << 20  # of arrays that are compared natively, at most


@dataclass(frozen=True, slots=True)
class Expected:
    """What a tensor has to be like; ``written``: and its memory its own."""

    kind: type
    grad: bool
    v: Var
    written: bool

    def holds(self, t: Any) -> bool:
        if not isinstance(t, Tensor) or type(t) is not self.kind or t._rg is not self.grad:
            return False
        a = t._a
        if not self.v.shape and type(a) is self.v.dtype.type:
            return True
        return type(a) is np.ndarray and a.dtype == self.v.dtype and a.shape == self.v.shape


def guard(expected: Sequence[Expected], native: bool) -> Callable[..., int]:
    """``fit(*tensors)`` is 0 where one is of another kind, 1 if all is well, and 2 if :func:`alone` is to be asked."""
    if native and all(e.v.dtype.isnative for e in expected):
        return fits(np.array(_words(expected), np.int64))
    well = 1 + any(e.written for e in expected)
    return lambda *tensors: well * all(e.holds(t) for e, t in zip(expected, tensors, strict=True))


def alone(written: Sequence[int], tensors: Sequence[Tensor], arrays: Sequence[Any]) -> bool:
    """Whether those tensors' arrays are memory that can be written to and that none of the others shares."""
    apart = all(a.base is None for a in arrays) and len({*map(id, arrays)}) == len(arrays)
    return all(
        is_alone(tensors[i], arrays[i], [] if apart else [b for j, b in enumerate(arrays) if j != i]) for i in written
    )


def _words(expected: Sequence[Expected]) -> list[int]:
    written = sum(e.written for e in expected)
    members = {**vars(Tensor), **slots}  # which another thread may be watching
    offsets = [slot(members[name]) for name in ("_a", "_rg", "_meta", "_v")]
    words = [len(expected), written, *offsets, id(None), id(list), int(len(expected) ** 2 <= _PAIRS)]
    for e in expected:
        number = 0 if e.v.shape else id(e.v.dtype.type)
        words += [id(e.kind), id(e.grad), walker.described(e.v.dtype), number, e.written, len(e.v.shape), *e.v.shape]
    return words
