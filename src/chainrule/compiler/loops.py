"""Loops: the source of each loop of a plan, written once for those that are alike."""

from __future__ import annotations

from typing import Any

from . import padded, scalar
from .emit import Constants, LoopWriter, Source, Steps
from .nest import Nest
from .program import Atom, Equation, Var
from .rows import Columns, Rows
from .steps import Loop

SHORT = 128  # bytes of a row, up to which many are done at once if they take more than arithmetic


def loop_source(
    loop: Loop, constants: Constants, onto: dict[Var, Var] | None = None, steps: Steps | None = None
) -> Source:
    """A fused loop.  ``onto`` says which outputs take the places of which arrays that it reads."""
    onto, steps = onto or {}, steps or {}
    key, found = _structure(loop, constants, onto, steps)
    known = _written.get(key)
    if known is None:
        if len(_written) >= _MOST:
            _written.clear()
        known = _written[key] = _writer(loop)(loop, constants, onto, steps).source(), found
    source, theirs = known
    ours = dict(zip(theirs, found, strict=True))  # equal loops of other variables have the same text
    arrays, numbers, outputs = ([ours[v] for v in vs] for vs in (source.arrays, source.numbers, source.outputs))
    totals = [(ours[v], kind) for v, kind in source.totals]
    lying = frozenset(ours[v] for v in source.lying)
    return Source(source.text, source.wide, arrays, numbers, outputs, totals, source.blocks, source.lengths, lying)


def _structure(loop: Loop, constants: Constants, onto: dict[Var, Var], steps: Steps) -> tuple[Any, list[Var]]:
    """What tells a loop from others whatever its variables are, and these, in the order in which they appear."""
    found: dict[Var, int] = {}

    def atom(a: Atom) -> Any:
        if not isinstance(a, Var):
            return type(a), repr(a)
        if a in found:
            return found[a]
        number = found[a] = len(found)
        known = constants[a].tobytes() if a.size == 1 and a in constants else None
        return number, a.shape, a.dtype.char, known, steps.get(a)

    equations = [
        (eq.name, eq.prim.args, getattr(eq.prim, "scalar", ""), _places(eq), *map(atom, eq.args), atom(eq.out))
        for eq in loop.equations
    ]
    outputs = [(found[v], found.get(onto[v]) if v in onto else None) for v in loop.outputs]
    return (loop.shape, loop.folded, tuple(equations), tuple(outputs)), [*found]


def _places(eq: Equation) -> Any:
    """Where an equation puts what it is given, if it does more than go by entries."""
    return (eq.params["axis"], eq.params["starts"]) if eq.name == "Diagonals" else padded.box(eq)


def _writer(loop: Loop) -> type[LoopWriter]:
    """How the text of a loop is to be written."""
    if not loop.rowwise:
        return Nest
    full = [eq for eq in loop.equations if loop.is_full(eq.out)]
    short = max((loop.cols * eq.out.dtype.itemsize for eq in full), default=0) <= SHORT
    short = short and all(eq.name != "Diagonals" for eq in full)
    return Columns if short and loop.rows >= 16 and any(map(scalar.calls, full)) else Rows


_written: dict[Any, tuple[Source, list[Var]]] = {}  # by structure
_MOST = 1024
