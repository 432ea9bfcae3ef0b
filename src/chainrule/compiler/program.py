"""A program: what a function did, written down as a list of equations.

Each :class:`Equation` applies one primitive to variables and Python numbers and names its results.  A
:class:`Program` is equations in order, so it can be run on whatever arrays a primitive takes: on NumPy it
gives numbers, on Tensors the graph of a derivative, on batches many results at once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Atom = Any  # a Var or a Python number


class Var:
    """The result of an equation, an input or a constant: known by its shape and dtype only."""

    __slots__ = ("dtype", "number", "shape", "size")
    _next = itertools.count().__next__

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape, self.dtype = tuple(shape), dtype
        self.size = math.prod(self.shape)
        self.number = Var._next()  # for an order that is the same on every run

    @property
    def kind(self) -> str:
        """As NumPy's ``array.dtype.kind``."""
        return self.dtype.kind


def var_of(a: Any) -> Var:
    """A variable for arrays like ``a``."""
    return Var(a.shape, a.dtype)


def distinct(a: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """An array, or its one entry where that is shown everywhere."""
    return a[(slice(0, 1),) * a.ndim] if a.ndim and not any(a.strides) else a


class Equation:
    """``outs = prim(*args, **params)``, which does not change."""

    __slots__ = ("args", "name", "out", "outs", "params", "prim", "vars")

    def __init__(self, prim: Any, args: tuple[Atom, ...], params: dict[str, Any], outs: tuple[Var, ...]) -> None:
        self.prim, self.args, self.params, self.outs = prim, args, params, outs
        self.out = outs[0]
        self.name = type(prim).__name__  # the operation, whatever label its node would carry
        self.vars = tuple([a for a in args if isinstance(a, Var)])  # the arguments that are variables

    def apply(self, bind: Callable[..., Any], args: Sequence[Any]) -> tuple[Any, ...]:
        """The results of this operation on other arguments, always as a tuple."""
        found = bind(self.prim, tuple(args), self.params)
        return (found,) if self.prim.outputs is None else tuple(found)


@dataclass(slots=True)
class Program:
    """Equations from ``inputs`` and ``constants`` to ``outputs`` (variables or numbers)."""

    inputs: list[Var] = field(default_factory=list)
    constants: dict[Var, np.ndarray[Any, Any]] = field(default_factory=dict)
    equations: list[Equation] = field(default_factory=list)
    outputs: list[Atom] = field(default_factory=list)

    def evaluate(
        self, arrays: Iterable[Any], bind: Callable[..., Any], lift: Callable[[Any], Any] | None = None
    ) -> list[Any]:
        """The outputs for these inputs, each operation applied by ``bind(prim, args, params)``.

        ``lift`` makes a constant an array of the inputs' kind.
        """
        constants = self.constants if lift is None else {v: lift(a) for v, a in self.constants.items()}
        values: dict[Any, Any] = {**constants, **dict(zip(self.inputs, arrays, strict=True))}
        for eq in self.equations:
            args = [values[a] if isinstance(a, Var) else a for a in eq.args]
            values.update(zip(eq.outs, eq.apply(bind, args), strict=True))
        return [values[a] if isinstance(a, Var) else a for a in self.outputs]

    def restricted(self, inputs: list[Var], outputs: list[Atom]) -> Program:
        """Only what ``outputs`` need.  ``inputs`` are given, even where an equation would compute them."""
        given = set(inputs)
        needed = {a for a in outputs if isinstance(a, Var)} - given
        kept = []
        for eq in reversed(self.equations):
            if not needed.isdisjoint(eq.outs):
                kept.append(eq)
                needed.update([v for v in eq.vars if v not in given])
        constants = {v: a for v, a in self.constants.items() if v in needed}
        return Program(inputs, constants, kept[::-1], outputs)

    def users(self) -> dict[Var, list[Equation]]:
        """For each variable, the equations that read it."""
        found: dict[Var, list[Equation]] = {}
        for eq in self.equations:
            for v in dict.fromkeys(eq.vars):
                found.setdefault(v, []).append(eq)
        return found

    def __str__(self) -> str:
        names = Names()
        head = ", ".join(f"{names[v]}: {signature(v)}" for v in self.inputs)
        lines = [f"program({head})"]
        for v, a in self.constants.items():
            text = np.array2string(a, threshold=6, edgeitems=2).replace("\n", "")
            lines.append(f"    {names[v]}: {signature(v)} = {text}")
        for eq in self.equations:
            args = [names[a] for a in eq.args] + [f"{k}={v!r}" for k, v in eq.params.items()]
            outs = ", ".join(f"{names[v]}: {signature(v)}" for v in eq.outs)
            lines.append(f"    {outs} = {eq.name}({', '.join(args)})")
        lines.append(f"    return {', '.join(names[a] for a in self.outputs)}")
        return "\n".join(lines)


class Names:
    """Short names for variables, in the order they are first asked for."""

    def __init__(self, prefix: str = "v") -> None:
        self.prefix = prefix
        self._names: dict[Var, str] = {}

    def __getitem__(self, a: Atom) -> str:
        if not isinstance(a, Var):
            return repr(a)
        return self._names.setdefault(a, f"{self.prefix}{len(self._names)}")


def signature(v: Var) -> str:
    """``f32[2,3]`` for a float32 variable of that shape."""
    letter = v.dtype.kind if v.dtype.kind != "b" else "bool"
    bits = "" if v.dtype.kind == "b" else v.dtype.itemsize * 8
    return f"{letter}{bits}[{','.join(map(str, v.shape))}]"
