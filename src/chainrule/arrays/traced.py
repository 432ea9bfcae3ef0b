"""Traced arrays: they stand where a NumPy array stands under a Tensor, and write down what is done to them.

A traced array carries an example, the value it has on the run that is being recorded, so shapes, dtypes and
errors are exactly eager's.  Nobody may look at the example: a number read by Python would be frozen into
the program.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from ..engine import Box
from ..primitive import Primitive
from ..tensor import Tensor, wrap
from . import namespace as ns


class Recorder(Protocol):
    """Who writes down: gives the traced result of one primitive, and may object to a print."""

    def record(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any: ...
    def shown(self, a: Traced) -> None: ...


# Not marked composite, since a Dual need not look inside, but made of simpler operations all the same.
TRANSPARENT = frozenset({"AddScaled", "Clamp", "Copy", "Fill"})


class Traced(Box):
    """The array that a variable of a program stands for."""

    __slots__ = ("example", "recorder", "var")
    _rank = 1
    __hash__ = object.__hash__

    def __init__(self, recorder: Recorder, var: Any, example: Any) -> None:
        self.recorder, self.var, self.example = recorder, var, example

    @property
    def shape(self) -> tuple[int, ...]:
        found: tuple[int, ...] = self.example.shape
        return found

    @property
    def dtype(self) -> np.dtype[Any]:
        found: np.dtype[Any] = self.example.dtype
        return found

    _shape, _dtype = shape, dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(self.example.size)

    def _interpret(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        if prim.composite or type(prim).__name__ in TRANSPARENT:
            found = prim.forward(ns.boxes, *args, **params)
            return bare(found) if prim.outputs is None else tuple(map(bare, found))
        return self.recorder.record(prim, args, params)

    def __getattr__(self, name: str) -> Any:
        """What a method of NumPy's array would do, a Tensor over this one does."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(wrap(self), name)

    def __repr__(self) -> str:
        self.recorder.shown(self)
        return f"Traced(shape={self.shape}, dtype={self.dtype})"


def bare(a: Any) -> Any:
    """The array under a Tensor (or under several); an array as it is."""
    while isinstance(a, Tensor):
        a = a._a
    return a


_OPERATORS = [
    "add",
    "radd",
    "sub",
    "rsub",
    "mul",
    "rmul",
    "truediv",
    "rtruediv",
    "pow",
    "rpow",
    "mod",
    "rmod",
    "floordiv",
    "rfloordiv",
    "matmul",
    "neg",
    "abs",
    "invert",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "and",
    "rand",
    "or",
    "ror",
    "xor",
    "rxor",
    "getitem",
]
for _name in _OPERATORS:  # written for any box, whatever it is
    setattr(Traced, f"__{_name}__", getattr(Tensor, f"__{_name}__"))
