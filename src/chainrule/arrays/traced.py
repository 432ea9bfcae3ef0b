"""Traced arrays: they stand where a NumPy array stands under a Tensor, and write down what is done to them.

A traced array carries an example, the value it has on the run that is being recorded, so shapes, dtypes and
errors are exactly eager's.  Nobody may look at the example: a number read by Python would be frozen into
the program.

A traced array is memory, as a NumPy array is: what is written into it is what it stands for from then on, for
everyone who holds it.  Views and the array they show have their :class:`Memory` in common, which counts writes; one
that a write did not bring up to date may not be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn, Protocol

import numpy as np

from ..node import Box
from ..primitive import Primitive
from ..tensor import Tensor, wrap
from . import namespace as ns


class Recorder(Protocol):
    """Who writes down: gives the traced result of one primitive, or of a known array, and may object to a print.

    ``inside`` says of how many operations made of others it sees the parts now.
    """

    inside: int

    def record(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any: ...
    def given(self, a: Any) -> Traced: ...
    def layout(self, a: Traced) -> Any: ...
    def shown(self, a: Traced) -> None: ...
    def no_value(self, a: Traced) -> NoReturn: ...


class Memory:
    """What an array and its views have in common: how often it was written to, and whether it is being written to."""

    __slots__ = ("open", "unsure", "writes")

    def __init__(self) -> None:
        self.writes, self.open = 0, False
        self.unsure = False  # whether something may be a view of it or a copy, as its layout is


# Not marked composite, since a Dual need not look inside, but made of simpler operations all the same.
TRANSPARENT = frozenset({"AddScaled", "Clamp", "Copy", "Fill"})


class Traced(Box):
    """An array that, at this point of the program, has the value of a variable."""

    __slots__ = ("example", "memory", "recorder", "seen", "var")
    _rank = 1
    __hash__ = object.__hash__

    def __init__(self, recorder: Recorder, var: Any, example: Any, memory: Memory | None = None) -> None:
        self.recorder, self.var, self.example = recorder, var, example
        self.memory = Memory() if memory is None else memory
        self.seen = self.memory.writes

    def _no_value(self) -> NoReturn:
        """Somebody asks for a number."""
        self.recorder.no_value(self)

    @property
    def behind(self) -> bool:
        """Whether its memory was written to in a way that it does not know of."""
        return self.seen != self.memory.writes and not self.memory.open

    def _writing(self, begins: bool) -> None:
        if self.memory.unsure:
            self.recorder.layout(self)
        self.memory.writes += begins
        self.memory.open = begins

    def _kept(self) -> Traced:
        return Traced(self.recorder, self.var, self.example)

    def _become(self, value: Any) -> None:
        """Have another value from now on, as what is written into it."""
        value = bare(value)
        new = value if isinstance(value, Traced) else self.recorder.given(value)
        self.var, self.example, self.seen = new.var, new.example, self.memory.writes

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
            self.recorder.inside += 1
            try:
                found = prim.forward(ns.boxes, *args, **params)
            finally:
                self.recorder.inside -= 1
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
for _name in ("bool", "int", "float", "complex", "index"):  # to ask for a number is an error that says so
    setattr(Traced, f"__{_name}__", lambda self, asked=f"__{_name}__": getattr(wrap(self), asked)())
for _name in _OPERATORS:  # written for any box, whatever it is
    setattr(Traced, f"__{_name}__", getattr(Tensor, f"__{_name}__"))
