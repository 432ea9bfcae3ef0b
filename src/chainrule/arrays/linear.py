"""Linear arrays: what is done to tangents is written down, to be done again with others.

The tangent of a program is linear in the tangents of its arguments, and what it is multiplied by does not depend on
them.  So a list of the operations on tangents, with everything else in them as constants, is the derivative at a point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..primitive import Primitive, bind
from ..tensor import Tensor, init, lower
from ..views import noting


class Step(NamedTuple):
    """``prim`` applied to arguments, of which those at ``places`` are results of former steps; they go to ``to``."""

    prim: Primitive
    args: tuple[Any, ...]
    places: tuple[int | None, ...]
    params: dict[str, Any]
    to: tuple[int, ...]


class Linear(Tensor):
    """A tangent that is not known yet: entry ``place`` of a tape.  What it holds is 0, which gives it a shape."""

    __slots__ = ()
    tape: Tape
    place: int

    @noting
    def _interpret(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        tape = self.tape
        mine = [isinstance(a, Linear) and a.tape is tape for a in args]
        inner = tuple([a._a if m else _constant(a) for a, m in zip(args, mine, strict=True)])
        found = bind(prim, inner, params)
        made = [tape.entry(a) for a in ((found,) if prim.outputs is None else found)]
        places = tuple([a.place if m else None for a, m in zip(args, mine, strict=True)])
        tape.steps.append(Step(prim, tuple([None if m else a for a, m in zip(inner, mine, strict=True)]), places, params,
                               tuple([y.place for y in made])))  # fmt: skip
        return made[0] if prim.outputs is None else tuple(made)


class Tape:
    """Operations on tangents, in their order."""

    def __init__(self, rank: int) -> None:
        self.rank, self.count = rank, 0
        self.steps: list[Step] = []

    def entry(self, zero: Any) -> Linear:
        x: Linear = init(object.__new__(Linear), zero)
        x._rank, x.tape, x.place = self.rank, self, self.count
        self.count += 1
        return x

    def keep(self, wanted: Sequence[int]) -> None:
        """Drop the steps that nothing in ``wanted`` comes from."""
        needed, kept = set(wanted), []
        for step in reversed(self.steps):
            if not needed.isdisjoint(step.to):
                needed.update([p for p in step.places if p is not None])
                kept.append(step)
        self.steps = kept[::-1]

    def play(self, tangents: Sequence[Any]) -> dict[int, Any]:
        """All entries, where the first are ``tangents``."""
        found: dict[int, Any] = dict(enumerate(tangents))
        for prim, args, places, params, to in self.steps:
            full = tuple([a if p is None else found[p] for a, p in zip(args, places, strict=True)])
            out = bind(prim, full, params)
            found.update(zip(to, (out,) if prim.outputs is None else out, strict=True))
        return found


def _constant(a: Any) -> Any:
    """``a`` as it is now: memory may be written to before the tape is played."""
    if isinstance(a, np.ndarray):
        return a.copy()
    return lower(a._a.copy()) if type(a) is Tensor and not a._rg and isinstance(a._a, np.ndarray) else a
