"""Guards: whether the tensors of a call, and the settings that it runs under, are those that a program was made for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import dtypes, modes
from ..tensor import Tensor
from . import walker
from .native import fits, slot
from .outside import are_apart, is_alone
from .program import Var
from .watching import current, members

PAIRS = 1 << 20  # of arrays, or of tensors, that are compared natively, at most


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
    """``fit(*tensors)`` is 0 where one is of another kind, 1 if all is well, and 2 if :func:`alone` is to be asked.

    It is 0 too under another mode or default dtype than now, and while a function is captured: then tensors are not what they hold.
    """
    if native and all(e.v.dtype.isnative for e in expected):
        return fits(np.array(words(expected), np.int64))
    well, (default, dtype, mode, here, capture, _) = 1 + any(e.written for e in expected), _settings()

    def fit(*tensors: Any) -> int:
        if mode.get() is not here or default[0] is not dtype or capture.get() is not None:
            return 0
        return well * all(e.holds(t) for e, t in zip(expected, tensors, strict=True))

    return fit


def alone(written: Sequence[int], tensors: Sequence[Tensor], arrays: Sequence[Any]) -> bool:
    """Whether those tensors' arrays are memory that can be written to and that none of the others shares."""
    apart = are_apart(arrays)
    several = apart or len({*map(id, tensors)}) == len(tensors)
    return all(
        is_alone(tensors[i], arrays[i], [] if apart else [b for j, b in enumerate(arrays) if j != i])
        and (several or sum(t is tensors[i] for t in tensors) == 1)  # numbers share no memory yet
        for i in written
    )


def _settings() -> tuple[Any, ...]:
    return dtypes._default, dtypes._default[0], modes.variable, modes.current(), current, None


def words(expected: Sequence[Expected]) -> list[int]:
    """What the native guard reads."""
    written = sum(e.written for e in expected)
    offsets = [slot(members[name]) for name in ("_a", "_rg", "_meta", "_v")]
    found = [len(expected), written, *offsets, id(None), id(list), int(len(expected) ** 2 <= PAIRS)]
    found += map(id, _settings())  # which live as long as the process
    for e in expected:
        number = 0 if e.v.shape else id(e.v.dtype.type)
        found += [id(e.kind), id(e.grad), walker.described(e.v.dtype), number, e.written, len(e.v.shape), *e.v.shape]
    return found
