"""Unroll: a program over small arrays as straight code over their entries.

For a Hessian of ten variables the calls of NumPy take far longer than the arithmetic.  Here every array is a
NumPy array of *objects*, entries that write down what is done to them: so reshaping, indexing, stacking and
matrix products are NumPy's own, and only numbers remain to be computed.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from ..arrays import numpy_
from ..primitive import Elementwise, table
from . import scalar
from .program import Equation, Program, Var
from .simplify import simplify
from .steps import Line

MOST = 800  # scalar equations; compiling takes about a millisecond for each
_STRUCTURE = frozenset(
    "Reshape Permute Expand Flip Cat Stack GetItem PutAdd Put Matmul Mv Dot CumSum".split()  # noqa: SIM905
)
_FOLDS = {"Sum": "Add", "Prod": "Mul", "Amax": "Maximum", "Amin": "Minimum"}


def unroll(program: Program) -> tuple[Line, dict[Var, Any]] | None:
    """The program as one line of code, with its constants; None if it is too large or does more than arithmetic."""
    work = sum(v.size for eq in program.equations for v in eq.outs)
    if work > 4 * MOST or any(v.size > MOST for v in program.inputs) or not all(map(_possible, program.equations)):
        return None
    results = list(dict.fromkeys(a for a in program.outputs if isinstance(a, Var)))
    if any(v in program.inputs or v in program.constants for v in results):
        return None
    writer = _Writer()
    values = {v: _objects(a, lambda x, d=a.dtype: writer.constant(x, d)) for v, a in program.constants.items()}
    loads: dict[Var, list[Var]] = {}
    for v in program.inputs:
        loads[v] = [Var((), v.dtype) for _ in range(v.size)]
        entries = iter([_Entry(writer, x) for x in loads[v]])
        values[v] = _objects(np.empty(v.shape), lambda _, entries=entries: next(entries))
    for eq in program.equations:
        values[eq.out] = writer.run(eq, [values[a] if isinstance(a, Var) else a for a in eq.args])
        if len(writer.equations) > 4 * MOST:
            return None
    stores = {v: [e.var for e in values[v].reshape(-1)] for v in results}
    inputs, outputs = list(itertools.chain(*loads.values())), list(itertools.chain(*stores.values()))
    flat = simplify(Program(inputs, writer.constants, writer.equations, outputs))
    if len(flat.equations) > MOST:
        return None
    simple = iter(flat.outputs)
    stores = {v: [next(simple) for _ in entries] for v, entries in stores.items()}
    return Line(flat.equations, results, loads, stores), flat.constants


def _possible(eq: Equation) -> bool:
    if len(eq.outs) != 1 or any(v.dtype not in scalar.DTYPES for v in (*eq.vars, eq.out)):
        return False
    if isinstance(eq.prim, Elementwise):
        return scalar.expressible(eq)
    known = eq.name in _STRUCTURE or eq.name in _FOLDS
    return known and all(v.dtype in scalar.FLOATS and v.size > 0 for v in (*eq.vars, eq.out))


def _objects(a: Any, make: Any) -> Any:
    """An array of objects of the shape of ``a``, each made from an entry."""
    out = np.empty(a.shape, object)
    flat = out.reshape(-1)
    for i, x in enumerate(np.asarray(a).reshape(-1)):
        flat[i] = make(x)
    return out


class _Entry:
    """One entry of an array.  NumPy adds and multiplies these."""

    __slots__ = ("var", "writer")

    def __init__(self, writer: _Writer, var: Var) -> None:
        self.writer, self.var = writer, var

    def __add__(self, other: Any) -> _Entry:
        if not isinstance(other, _Entry):  # the 0 of a fresh array
            return self
        return self.writer.apply(table["Add"], (self, other), {}, self.var.dtype)

    __radd__ = __add__

    def __mul__(self, other: _Entry) -> _Entry:
        return self.writer.apply(table["Mul"], (self, other), {}, self.var.dtype)


class _Writer:
    """Writes down scalar equations."""

    def __init__(self) -> None:
        self.equations: list[Equation] = []
        self.constants: dict[Var, Any] = {}

    def constant(self, number: Any, dtype: np.dtype[Any]) -> _Entry:
        var = Var((), dtype)
        self.constants[var] = np.array(number, dtype)
        return _Entry(self, var)

    def apply(self, prim: Any, args: tuple[Any, ...], params: dict[str, Any], dtype: np.dtype[Any]) -> _Entry:
        out = Var((), dtype)
        self.equations.append(
            Equation(prim, tuple(a.var if isinstance(a, _Entry) else a for a in args), params, (out,))
        )
        return _Entry(self, out)

    def run(self, eq: Equation, args: list[Any]) -> Any:
        """The result of an equation, as an array of entries."""
        dtype = eq.out.dtype
        if isinstance(eq.prim, Elementwise):
            shaped = np.broadcast_arrays(
                *[a if isinstance(a, np.ndarray) else _boxed(a) for a in args], np.empty(eq.out.shape)
            )[:-1]
            out = np.empty(eq.out.shape, object)
            for place in np.ndindex(eq.out.shape):
                out[place] = self.apply(eq.prim, tuple(a[place] for a in shaped), eq.params, dtype)
            return out
        if eq.name in _FOLDS:
            axes = tuple(a % args[0].ndim for a in eq.params["axis"])
            rest = tuple(i for i in range(args[0].ndim) if i not in axes)
            rows = args[0].transpose(*rest, *axes).reshape(*(args[0].shape[i] for i in rest), -1)
            prim = table[_FOLDS[eq.name]]
            total = rows[..., 0]
            for k in range(1, rows.shape[-1]):
                pairs = np.frompyfunc(lambda x, y: self.apply(prim, (x, y), {}, dtype), 2, 1)
                total = pairs(total, rows[..., k])
            return _filled(total, self, dtype).reshape(eq.out.shape)
        return _filled(eq.prim.forward(numpy_, *args, **eq.params), self, dtype)


def _boxed(number: Any) -> Any:
    out = np.empty((), object)
    out[()] = number
    return out


def _filled(a: Any, writer: _Writer, dtype: np.dtype[Any]) -> Any:
    """Entries throughout: NumPy fills with plain zeros, and gives 0-d results without their array."""
    a = a if isinstance(a, np.ndarray) else _boxed(a)
    return _objects(a, lambda x: x if isinstance(x, _Entry) else writer.constant(x, dtype))
