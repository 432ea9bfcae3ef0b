"""What the page shows of a function at a point: computed in a worker, from a formula that may be anyone's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np

from ..cli.partials import partials
from ..cli.target import Target, read
from ..explain.curves import Array, gradients, marks, orders_of
from ..explain.explanation import Explanation, stages
from ..explain.expression import ExpressionError
from ..explain.markup import as_dict, as_mathml
from ..explain.parsing import parse, parse_assignments
from ..explain.plotting import limits
from ..explain.refusals import refusal
from ..explain.text import MAX_STEPS
from ..language import get_language

START: Final = "1"  # the value of a variable that has none yet
POINTS: Final = 241  # of a curve
GRID: Final = 41  # points along each side of a map
REACH: Final = 3.0  # of a curve on each side of its point, at the least
ORDERS: Final = 2
_NOT_DRAWN: Final = (NotImplementedError, RuntimeError, TypeError, ValueError, IndexError)


def answer(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The answer in parts, the quick ones first; a later part has more, and takes the place of what it repeats.

    ``request`` has the text ``formula``, ``at`` with a text for each variable, and, of the plot, ``by``, the variable to
    draw by, and ``range``, its ends; those two may be None.  ``brief`` asks for numbers without formulas.  What cannot
    be read ends in an "error".

    >>> parts = list(answer({"formula": "x**2", "at": {"x": "3"}}))
    >>> parts[1]["result"]["value"], parts[1]["derivatives"][0]["value"]
    (9.0, 6.0)
    >>> list(answer({"formula": "2x", "at": {}}))[0]["error"]["caret"]
    '2x\\n ^'
    """
    try:
        yield from _answer(request)
    except ExpressionError as error:
        yield {"error": _refused("formula", error)}


def _refused(field: str, error: ExpressionError) -> dict[str, Any]:
    return {"field": field, "message": str(error), "caret": error.caret(), "column": error.column}


def _answer(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    formula = parse(request["formula"])
    written = {name: request["at"].get(name, START) for name in formula.variables}
    at: dict[str, float] = {}
    for name, text in written.items():
        try:
            found = parse_assignments([f"{name}={text}"])
            if len(found) > 1:
                raise ExpressionError(refusal("not finite", name=name), text, text.index(",") + 1)
            at |= found
        except ExpressionError as error:
            yield {"error": _refused(name, error)}
            return
    yield {"formula": formula.unparse(), "point": [{"name": n, "text": t, "value": at[n]} for n, t in written.items()]}
    if not at:
        yield {"error": {"field": "formula", "code": "no variable"}}
        return
    target = read(request["formula"], [])._replace(at=at)
    value, slopes = partials(formula, at, 1)
    numbers = [{"by": name, "value": _json(p.value)} for name, p in zip(at, slopes, strict=True)]
    yield {"result": {"name": "y", "value": _json(value)}, "derivatives": numbers}
    explanations = stages(target.function, *target.point, lang=get_language())
    yield _explained(next(explanations))
    yield {"plot": _plot(request["formula"], target, request.get("by"), request.get("range"))}
    for e in () if request.get("brief") else explanations:
        yield _explained(e)


def _explained(e: Explanation) -> dict[str, Any]:
    told = as_dict(e, MAX_STEPS)
    told["more_steps"] = max(0, len(e.tape.swept) - MAX_STEPS)
    told["mathml"] = list(as_mathml(e, values=False))
    try:
        told["graph"] = e.graph().svg(style=False)
    except ValueError as error:  # too large to be drawn
        told["no_graph_because"] = str(error)
    return told


# --- the plot ---


def _plot(formula: str, target: Target, by: str | None, ends: Any) -> dict[str, Any] | None:
    """The function along one variable, the others fixed; or, of two variables and by none, a map."""
    if by is None and len(target.names) == 2:
        return _map(formula, *_square(target.point))
    by = by if by in target.at else target.names[0]
    x = target.at[by]
    reach = max(REACH, 1.5 * abs(x))
    low, high = ends or (x - reach, x + reach)
    if not (math.isfinite(high - low) and low < high and low + (high - low) / POINTS > low):
        return None
    others = tuple((name, value) for name, value in target.at.items() if name != by)
    return _curve(formula, by, low, high, others)


@lru_cache(maxsize=16)  # a point that is dragged moves along one curve
def _curve(
    formula: str, by: str, low: float, high: float, others: tuple[tuple[str, float], ...]
) -> dict[str, Any] | None:
    target = read(formula, [])

    def along(x: Any) -> Any:
        values = {**dict(others), by: x}
        return target.function(*(values[name] for name in target.names))

    xs = np.linspace(low, high, POINTS)
    try:
        values = orders_of(along, xs, ORDERS)
        values[1:, ~np.isfinite(values[0])] = np.nan  # a slope may have a formula where the function has no value
        found = marks(along, xs, values)
    except _NOT_DRAWN:
        return None
    return {
        "by": by, "low": low, "high": high, "values": [_numbers(v) for v in values],
        "limits": [limits(v) for v in values], "marks": [{"kind": m.kind, "x": m.x, "y": m.y} for m in found],
    }  # fmt: skip


def _square(point: list[float]) -> tuple[float, float, float]:
    """The centre and the reach of a map with the point on it, the same for points nearby."""
    reach = REACH * 2 ** max(0, math.ceil(math.log2(max(map(abs, point)) * 1.5 / REACH + 1e-300)))
    u, v = (round(x / reach) * reach for x in point)
    return u, v, 1.25 * reach


@lru_cache(maxsize=4)
def _map(formula: str, u: float, v: float, reach: float) -> dict[str, Any] | None:
    sides = [np.linspace(c - reach, c + reach, GRID) for c in (u, v)]
    if not np.isfinite(sides).all():
        return None
    try:
        values, _, _ = gradients(read(formula, []).function, *np.meshgrid(*sides))
    except _NOT_DRAWN:
        return None
    return {"map": {
        "low": [u - reach, v - reach], "high": [u + reach, v + reach], "size": GRID,
        "values": _numbers(values.ravel()), "limits": limits(values),
    }}  # fmt: skip


def _numbers(values: Array) -> list[float | None]:
    """Numbers to nine digits, which a screen does not exceed; None where there is none."""
    return [float(f"{v:.9g}") if math.isfinite(v) else None for v in values.tolist()]


def _json(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
