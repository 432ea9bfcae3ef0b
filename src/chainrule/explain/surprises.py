"""What may surprise about a gradient: found in the numbers, told in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from ..language import Language
from ..primitive import Elementwise
from ..tensor import Tensor
from .tape import Item, Tape, number_like
from .words import say

_FLAT: Final = frozenset(("Sign", "Floor", "Ceil", "Round", "Trunc"))
_SQUASHING: Final = frozenset(("Sigmoid", "Tanh", "Erf", "LogSigmoid", "Hardtanh", "Hardsigmoid"))
_BRANCHES: Final = frozenset(("Where", "Gather"))
_BEND: Final = 1e-3  # slopes on both sides that differ by more make a kink
_SMALL: Final = 1e-3  # a squashing step with less slope is saturated


@dataclass(frozen=True)
class Surprise:
    """One thing to know; ``code`` tells its kind."""

    code: str
    values: dict[str, Any] = field(default_factory=dict)

    def text(self, language: Language) -> str:
        return say(language, self.code, **self.values)


def surprises(
    tape: Tape, wanted: Sequence[Item], show: Callable[[Any], str], step: Callable[[Item], str]
) -> list[Surprise]:
    """What to know about the gradients of ``wanted``; ``show`` and ``step`` word a value and a step."""
    y = tape.root
    found = [] if np.isfinite(y.value).all() else [Surprise("no value", {"y": y.name, "value": show(y.value)})]
    found += [s for item in wanted for s in _of_input(tape, item, show)]
    for item in tape.swept:
        found += _of_step(item, show, step)
    return found


def _of_input(tape: Tape, item: Item, show: Callable[[Any], str]) -> list[Surprise]:
    y, t = tape.root.name, item.edge
    if item.arrived is None:
        return [Surprise("not used", {"x": item.name, "y": y})]
    if not isinstance(t, Tensor):
        return [Surprise("non-leaf", {"x": item.name})]
    if t._grad is None:
        return []
    old = t._grad._a
    return [Surprise("held", {"x": item.name, "y": y, "old": show(old), "new": show(old + item.arrived)})]


def _of_step(item: Item, show: Callable[[Any], str], step: Callable[[Item], str]) -> list[Surprise]:
    kind = type(item.prim).__name__
    found: list[Surprise] = []
    told = {"step": step(item)}
    if kind in _FLAT:
        found.append(Surprise("flat", told))
    if kind in _BRANCHES:
        found.append(Surprise("branch", told))
    for place, (x, left) in enumerate(zip(item.args, item.left, strict=False)):
        if left is None or x.value is None or number_like(x.value):
            continue
        value, g = np.asarray(x.value), item.arrived
        here = {**told, "x": x.name, "g": show(g)}
        kinks = None if kind in _FLAT else _kinks(item, place)
        if kinks is not None and kinks.any():
            at = np.unravel_index(int(np.argmax(kinks)), kinks.shape)
            there = show(np.broadcast_to(value, kinks.shape)[at])
            found.append(Surprise("kink at", {**here, "value": there, "slope": _slope(left, g, at)}))
        if kind in _SQUASHING and np.shape(left) == np.shape(g):
            with np.errstate(all="ignore"):
                slopes = np.abs(np.asarray(left) / np.asarray(g))
            if (flat := slopes < _SMALL).any():
                at = np.unravel_index(int(np.argmin(np.where(flat, slopes, np.inf))), slopes.shape)
                found.append(Surprise("saturated", {**here, "value": show(value[at]), "slope": show(slopes[at])}))
        if not np.isfinite(left).all() and np.isfinite(g).all():
            bad = ~np.isfinite(np.asarray(left))
            at = np.unravel_index(int(np.argmax(bad)), bad.shape)
            same = bad.shape == value.shape
            code = "nan" if np.isnan(np.asarray(left)[at]) else "infinite"
            found.append(Surprise(code, {**here, "value": show(value[at] if same else value)}))
    return found


def _slope(left: Any, g: Any, at: Any) -> str:
    """The slope that the rule took at a place, from what arrived and left there."""
    left, g = np.broadcast_arrays(left, g) if np.shape(left) != np.shape(g) else (np.asarray(left), np.asarray(g))
    return "?" if at and left.ndim != len(at) else f"{float(left[at]) / float(g[at]):g}" if g[at] else "?"


def _kinks(item: Item, place: int) -> Any:
    """Where a step, entry by entry, has another slope on the left than on the right of an argument; None if unknown."""
    if item.prim is None or item.prim.outputs or any(a.value is None for a in item.args):
        return None
    if not isinstance(item.prim, Elementwise) and np.shape(item.value) != np.shape(item.args[place].value):
        return None
    args = [a.value if number_like(a.value) else _wide(a.value) for a in item.args]
    x = args[place]

    def bend(h: Any) -> tuple[Any, Any]:
        below, here, above = (np.asarray(item.apply([*args[:place], v, *args[place + 1 :]])) for v in (x - h, x, x + h))
        left, right = (here - below) / h, (above - here) / h
        return abs(left - right), np.maximum(1.0, np.maximum(abs(left), abs(right)))

    h = 1e-8 * np.maximum(1.0, abs(x))
    try:
        with np.errstate(all="ignore"):
            (wide, size), (narrow, _) = bend(h), bend(h / 16)
            return (wide > _BEND * size) & (narrow > wide / 2)  # a smooth curve's slopes come closer with the step
    except (TypeError, ValueError, RuntimeError):  # not over float64
        return None


def _wide(a: Any) -> Any:
    a = np.asarray(a)
    return a.astype(np.float64) if a.dtype.kind == "f" else a
