"""Evidence that a derivative is right: four ways to it, side by side."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from .. import func
from ..extras import load
from ..tensor import wrap
from .differences import Stencil
from .formulas import Formulas
from .tape import Item, Opaque, Tape, number_like

MAX_ROWS: Final = 8  # entries compared one by one; beyond, the slope along one direction


@dataclass(frozen=True)
class Row:
    """One derivative, found in several ways; None where a way does not go."""

    name: str
    reverse: float
    forward: float | None
    difference: float | None
    sympy: float | None
    verdict: str  # "agrees", "rounding" (to the dtype's digits), "differs", "kink", "not finite" or "unclear"
    dtype: str
    left: float = math.nan  # the slopes on both sides of a kink
    right: float = math.nan

    def off(self, way: str) -> float | None:
        """How far a way is from reverse mode, relative to the larger of the two."""
        other = getattr(self, way)
        if other is None:
            return None
        size = max(abs(self.reverse), abs(other))
        return 0.0 if other == self.reverse else abs(other - self.reverse) / size if size else 0.0


def evidence(tape: Tape, wanted: list[Item], known: Formulas) -> list[Row]:
    """A row for each entry of the inputs ``wanted``, or, if they are many, one along a direction."""
    reached = [i for i in wanted if i.arrived is not None and i.value is not None]
    if not reached or any(np.asarray(i.value).dtype.kind != "f" for i in tape.inputs):
        return []
    return [_row(tape, name, moves, known) for name, moves in _directions(tape, reached)]


def _directions(tape: Tape, wanted: list[Item]) -> Iterator[tuple[str, dict[Item, Any]]]:
    y = tape.root.name
    if sum(np.size(i.value) for i in wanted) <= MAX_ROWS:
        for item in wanted:
            for at in np.ndindex(np.shape(item.value)):
                unit = np.zeros(np.shape(item.value))
                unit[at] = 1.0
                yield f"d{y}/d{item.name}{list(at) if at else ''}", {item: unit}
    else:
        moves = {i: np.cos(np.arange(1.0, np.size(i.value) + 1)).reshape(np.shape(i.value)) for i in wanted}
        size = math.sqrt(sum(float((v**2).sum()) for v in moves.values()))
        yield f"d{y}/dv", {i: v / size for i, v in moves.items()}


def _row(tape: Tape, name: str, moves: dict[Item, Any], known: Formulas) -> Row:
    reverse = float(sum(float(np.sum(i.arrived * v)) for i, v in moves.items()))
    forward = difference = exact = None
    verdict, left, right = "agrees", math.nan, math.nan
    try:
        value, forward = _forward(tape, moves)
        stencil = Stencil(0.0)
        around = np.array([_at(tape, moves, float(t)) for t in stencil.points])
        check = stencil.check(forward, value, around)  # of float64, whatever the graph's dtype
        difference, verdict, left, right = check.estimate, check.verdict, check.left, check.right
    except (Opaque, ValueError, NotImplementedError, RuntimeError):  # what cannot be played again
        pass
    if known.known:
        exact = _sympy(known, moves)
    dtype = np.asarray(tape.root.value).dtype
    others = [v for v in (forward, exact) if v is not None]
    parts = [abs(np.asarray(g, float)).max(initial=0.0)
             for s in tape.steps for a, g in zip(s.args, s.left, strict=False) if a in moves and g is not None]  # fmt: skip
    scale = max([abs(reverse), *map(abs, others), *parts])
    tolerance = 100 * float(np.finfo(dtype).eps) * (1 + len(tape.steps)) * scale
    if not math.isfinite(reverse) or not np.isfinite(tape.root.value).all():
        verdict = "not finite"
    elif verdict != "kink" and any(not abs(v - reverse) <= tolerance for v in others):
        verdict = "differs"
    elif verdict == "agrees" and dtype.itemsize < 8:
        verdict = "rounding"
    return Row(name, reverse, forward, difference, exact, verdict, dtype.name, left, right)


def _lift(value: Any) -> Any:
    if number_like(value):
        return value
    a = np.asarray(value)
    return a.astype(np.float64) if a.dtype.kind == "f" else a


def _at(tape: Tape, moves: dict[Item, Any], t: float) -> float:
    with np.errstate(all="ignore"):
        given = {i: _lift(i.value) + t * v for i, v in moves.items()}
        return float(np.sum(_lift(tape.replay(given, _lift)[tape.root])))


def _forward(tape: Tape, moves: dict[Item, Any]) -> tuple[float, float]:
    """The value, and the slope along the direction, by forward mode in float64."""
    items = list(moves)

    def f(*xs: Any) -> Any:
        y = tape.replay(dict(zip(items, xs, strict=True)), lambda v: v if number_like(v) else wrap(_lift(v)))[tape.root]
        return y.sum()

    points = tuple(wrap(_lift(i.value)) for i in items)
    value, slope = func.jvp(f, points, tuple(wrap(v) for v in moves.values()))
    return value.item(), slope.item()


def _sympy(known: Formulas, moves: dict[Item, Any]) -> float | None:
    """SymPy's own derivative of the formula, with the numbers put in."""
    sympy = load("sympy", "explain", "formulas")
    assert known.symbols is not None
    point = {s: sympy.Float(float(v), 17) for i, a in known.symbols.items()
             for s, v in zip(a.flat, np.ravel(i.value), strict=True)}  # fmt: skip
    total = 0.0
    for item, v in moves.items():
        for s, w in itertools.compress(zip(known.symbols[item].flat, v.flat, strict=True), v.flat):
            try:
                total += float(w) * float(sympy.diff(known.value, s).subs(point).evalf())
            except (TypeError, ValueError):  # not a number there
                return None
    return total
