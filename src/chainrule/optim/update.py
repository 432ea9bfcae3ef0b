"""What the formulas of optimisers are made of, and how their results are written where there is no plan for it."""

from __future__ import annotations

from collections.abc import Callable
from operator import setitem
from typing import Any, TypeAlias

import numpy as np

from ..arrays.namespace import is_numpy, namespace
from ..node import Box
from ..tensor import Tensor, wrap
from ..writes import store
from .inplace import Formula

At: TypeAlias = Callable[..., tuple[tuple[Any, ...], tuple[Any, ...]]]  # of a step, what its formula needs to know
Rule: TypeAlias = tuple[At, Formula]

_ndarray = np.ndarray


def filled(p: Tensor, value: complex = 0) -> Tensor:
    """``value`` in the shape, dtype and kind of array of ``p``."""
    a = p._own()
    if isinstance(a, Box):
        return wrap(np.full(p._shape, value, p._dtype))
    new = np.zeros_like(a, subok=False) if isinstance(a, _ndarray) else namespace((a,)).zeros_like(a)
    return p._wrap(new + value if value else new)


def wide(x: Any, xp: Any) -> Any:
    """A number of a state in Python's precision, if it is known."""
    return xp.astype(x, np.float64) if isinstance(x, Box) else float(x)


def lerp(x: Any, y: Any, weight: Any) -> Any:
    """The point at ``weight`` on the way from ``x`` to ``y``, counted from the nearer end."""
    if isinstance(weight, Box):  # not known yet
        return x + (y - x) * weight
    return x + (y - x) * weight if weight < 0.5 else y - (y - x) * (1 - weight)


def split(formula: Formula, xp: Any) -> Formula:
    """``formula`` on the real and the imaginary parts, each by itself: as PyTorch moves complex parameters."""

    def both(now: Any, *arrays: Any) -> tuple[Any, ...]:
        parts = zip(formula(now, *map(xp.real, arrays)), formula(now, *map(xp.imag, arrays)), strict=True)
        return tuple([re + im * 1j for re, im in parts])

    return both


def assignment(x: Any, value: Any) -> tuple[Any, ...]:
    """The call that makes a tensor hold a value: in its memory, where it has some that can be written to."""
    if type(x._a) is _ndarray and is_numpy(value):
        return (setitem, x._a, ..., value)
    if isinstance(x._a, Box):
        return (store, x, x._wrap(value))
    return (setattr, x, "_a", value)
