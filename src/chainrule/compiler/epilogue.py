"""Epilogue: a loop that follows a product, done for some rows as soon as these are there, in the memory that they lie in.

So what a product makes is still in the cache when bias and activation want it, and memory is written once.  It takes a product
that only the loop reads, and a loop that goes over the same rows.
"""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import linear, scalar
from .emit import may_overwrite
from .plan import readers_of
from .program import Equation, Var
from .steps import Call, Loop, Step
from .table import Instruction, whole

if TYPE_CHECKING:
    from .instructions import Instructions

LEAST = 1 << 16  # entries of a result
NEAR = 1 << 16  # bytes of a result that are made at a time: they stay in the second-level cache


@dataclass(slots=True)
class Chain:
    """A product, perhaps reshaped, and the loop that reads it, whose result ``over`` takes its place."""

    before: list[Call]
    loop: Loop
    over: Var

    @property
    def product(self) -> Equation:
        """The product itself."""
        return self.before[0].equation

    @property
    def equations(self) -> list[Equation]:
        """Those of all of it."""
        return [*[c.equation for c in self.before], *self.loop.equations]

    @property
    def outputs(self) -> list[Var]:
        """What others read."""
        return self.loop.outputs


def chained(steps: Sequence[Step | Chain], leaving: Container[Var], onto: Container[Var]) -> list[Step | Chain]:
    """The steps, with products and what follows them as one; ``onto``: what has a place of its own."""
    reading, rest = readers_of(steps), list(steps)[::-1]
    found: list[Step | Chain] = []
    while rest:
        step = rest.pop()
        if not isinstance(step, Call) or not _is_product(step.equation):
            found.append(step)
            continue
        before, shown = [step], step.equation.out
        while rest and isinstance(view := rest[-1], Call) and view.equation.prim.view:
            if shown not in view.equation.vars:
                found.append(rest.pop())
            elif view.equation.name == "Reshape" and reading[shown] == [view] and shown not in leaving:
                before.append(view)
                rest.pop()
                shown = view.equation.out
            else:
                break
        loop = rest[-1] if rest and reading.get(shown) == rest[-1:] and shown not in leaving else None
        over = _follows(loop, shown, onto) if isinstance(loop, Loop) else None
        if isinstance(loop, Loop) and over is not None:
            rest.pop()
            found.append(Chain(before, loop, over))
        else:
            found += before
    return found


def _is_product(eq: Equation) -> bool:
    """Whether it is a large one, and kernels are sure to do it."""
    alike = all(v.dtype == eq.out.dtype and len(v.shape) == 2 for v in eq.vars)
    return (
        eq.name == "Matmul" and len(eq.vars) == 2 and alike and eq.out.dtype in scalar.FLOATS and eq.out.size >= LEAST
    )


def _follows(loop: Loop, x: Var, onto: Container[Var]) -> Var | None:
    """What a loop may write where it reads ``x``, if it is quick enough to wait for memory."""
    if not loop.is_full(x) or not may_overwrite(loop) or any(map(scalar.calls, loop.equations)):
        return None
    alike = (v for v in loop.outputs if v.shape == x.shape and v.dtype == x.dtype)
    return None if any(v in onto for v in loop.outputs) else next(alike, None)


def write(w: Instructions, step: Chain) -> None:
    """Write the instructions of a chain."""
    if not linear.goes_by_rows(w, step.product):
        steps: list[Step] = [*step.before, step.loop]
        for each in steps:
            w.step(each)
        return
    product, place = step.product.out, w.new(step.over)
    w.instead[product] = whole(place.memory, product)
    w.near = max(NEAR // (product.shape[1] * product.dtype.itemsize), 1)
    w.product(step.product)
    tiles, before = [(c.rows, c) for c in w.found if c.rows], [c for c in w.found if not c.rows]
    source = w.source(step.loop, {step.over: step.before[-1].equation.out})
    rows, inner = (
        tiles[0][0][1],
        math.prod(source.lengths[2:]),
    )  # rows in a block; entries to one step along the first axis
    together = rows * product.shape[1] % inner == 0
    if together:
        source.lengths = (rows * product.shape[1] // inner, *source.lengths[1:])
        source.blocks = -(-product.shape[0] // rows)
    w.near, w.found = 0, []
    w.kernel(source, step.loop.cost)
    at = next(i for i, c in enumerate(w.found) if c.text.endswith(source.text))  # copies may come first
    parts = [*[(first // rows, c) for (first, _), c in tiles], (0, w.found[at])]
    middle = [c for _, c in parts]
    if together:
        words, cost = [x for c in middle for x in c.words], sum(c.cost for c in middle)
        middle = [Instruction("", words, w.found[at].blocks, cost, parts=parts)]
    w.found = [*before, *w.found[:at], *middle, *w.found[at + 1 :]]
    w.places[step.over] = place
    w.needed[place.memory] = w.lives.get(step.over, w.now)
