"""Expand: elementwise operations that have no expression of their own, as the simpler ones that they are made of.

Their rules say what these are; so a loop takes them in, where NumPy would go through memory for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from ..arrays import namespace as ns
from ..arrays.namespace import is_numpy
from ..arrays.traced import Traced, bare
from ..primitive import Elementwise, Primitive, compute
from . import scalar
from .program import Equation, Program, Var
from .simplify import simplify


def expanded(program: Program) -> Program:
    """An equal program, for loops."""
    constants, equations = dict(program.constants), list[Equation]()
    for eq in program.equations:
        found = _parts(eq)
        equations += [eq] if found is None else found.equations
        constants |= {} if found is None else found.constants
    if len(equations) == len(program.equations):
        return program
    return simplify(Program(program.inputs, constants, equations, program.outputs))


def _parts(eq: Equation) -> Program | None:
    """What makes ``eq.out`` in its place; None if that is no better."""
    if not isinstance(eq.prim, Elementwise) or eq.prim.scalar or eq.out.dtype not in scalar.FLOATS:
        return None
    recorder = _Recorder()
    args = [Traced(recorder, a, _example(a)) if isinstance(a, Var) else a for a in eq.args]
    try:
        found = bare(eq.prim.forward(ns.boxes, *args, **eq.params))
    except (_Other, AttributeError, TypeError):
        return None
    *first, last = recorder.program.equations or [eq]
    if not isinstance(found, Traced) or found.var is not last.out or found.shape != eq.out.shape:
        return None
    if found.dtype != eq.out.dtype or not all(map(scalar.expressible, (*first, last))):
        return None
    recorder.program.equations[-1] = Equation(last.prim, last.args, last.params, eq.outs)
    return recorder.program


def _example(v: Var) -> Any:
    return np.broadcast_to(np.ones((), v.dtype), v.shape)


class _Other(Exception):
    """Something that is not elementwise."""


class _Recorder:
    """Writes down elementwise operations, on arrays of which only shapes and dtypes are known."""

    inside = 0

    def __init__(self) -> None:
        self.program = Program()

    def record(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Traced:
        if not isinstance(prim, Elementwise):
            raise _Other
        given = [self.given(a) if is_numpy(a) else a for a in args]
        entries = [np.ones((), a.dtype) if isinstance(a, Traced) else a for a in given]
        example = np.asarray(compute(prim, tuple(entries), params))
        out = Var(np.broadcast_shapes(*[a.shape for a in given if isinstance(a, Traced)]), example.dtype)
        atoms = tuple([a.var if isinstance(a, Traced) else a for a in given])
        self.program.equations.append(Equation(prim, atoms, params, (out,)))
        return Traced(self, out, _example(out))

    def given(self, a: Any) -> Traced:
        var = Var(a.shape, a.dtype)
        self.program.constants[var] = np.asarray(a)
        return Traced(self, var, _example(var))

    def layout(self, a: Traced) -> NoReturn:
        raise _Other

    shown = no_value = layout
