"""Emit: a step of a plan as readable Python, of the kind that :mod:`.lower` compiles.

A loop runs over blocks, so that its halves can go to several threads and its sums stay exact.  Within a
block, slices begin at 0: an index that might be negative, as far as LLVM knows, would keep it from
vectorising.  Where a function has only limited range (``sin`` of huge numbers), the loop says so, and all is
done again by its wide form, which is compiled when that first happens.  Lengths are parameters, so one kernel
serves all shapes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..primitive import Elementwise
from . import lanes, scalar
from .plan import REDUCTIONS, across, is_alias
from .program import Atom, Equation, Names, Var
from .steps import Line, Loop

Constants = dict[Var, np.ndarray[Any, Any]]
BLOCK = 4096  # entries: fits the first-level cache with room for several arrays


@dataclass(slots=True)
class Source:
    """A kernel: its text, what it takes in which order, and into how many blocks its work falls."""

    text: str
    wide: str  # for a loop that returns whether an argument was out of range, the loop to run then
    arrays: list[Var]  # read, as flat arrays
    numbers: list[Var]  # read, as single numbers
    outputs: list[Var]  # written, as flat arrays
    totals: list[tuple[Var, str]]  # full reductions: a partial result for each block, and how to fold them
    blocks: int = 1
    lengths: tuple[int, ...] = ()  # for a loop: entries per block along the first axis, then the axes' lengths
    lying: frozenset[Var] = frozenset()  # of the arrays: those read where they lie, however that is
    cost: float = 0.0  # of a kernel of one equation: roughly, in nanoseconds on one core


class Writer:
    """What the two kinds of kernel share: names, and one equation as one line."""

    def __init__(self, constants: Constants) -> None:
        self.names, self.constants = Names(), constants

    def name(self, v: Var) -> str:
        return self.names[v]

    def operand(self, a: Atom, dtype: np.dtype[Any]) -> str:
        if not isinstance(a, Var):
            return scalar.literal(a, dtype)
        if a.size == 1 and a in self.constants:
            return scalar.literal(self.constants[a], a.dtype)
        return self.names[a]

    def arguments(self, eq: Equation) -> list[str]:
        d = scalar.working_dtype(eq)
        return [self.operand(a, d) for a in eq.args]

    def assign(self, eq: Equation, wide: bool) -> str:
        if is_alias(eq):
            return f"{self.names[eq.out]} = {self.operand(eq.args[0], eq.out.dtype)}"
        return f"{self.names[eq.out]} = {scalar.expression(eq, self.arguments(eq), wide)}"

    def far(self, eq: Equation) -> list[str]:
        return scalar.far(eq, self.arguments(eq)) if isinstance(eq.prim, Elementwise) else []

    def outside(self, equations: list[Equation]) -> list[Var]:
        """Variables that the equations read and do not make; constant numbers are written out instead."""
        made = {v for eq in equations for v in eq.outs}
        read = dict.fromkeys(v for eq in equations for v in eq.vars if v not in made)
        return [v for v in read if v.size > 1 or v not in self.constants]

    def declared(self, arrays: Iterable[Var], numbers: Iterable[Var]) -> list[str]:
        """Parameters with their types."""
        flat = [f"{self.names[v]}_: {v.dtype.name}[:]" for v in arrays]
        return flat + [f"{self.names[v]}: {v.dtype.name}" for v in numbers]


def indent(lines: list[str], by: int = 1) -> list[str]:
    return ["    " * by + line for line in lines]


# --- lines ---


def line_source(line: Line, constants: Constants, onto: dict[Var, Var] | None = None) -> Source:
    """Straight code from numbers, and entries of arrays, to the same; ``onto`` as in :func:`.loop_source`."""
    w = Writer(constants)
    loaded = {x: (v, place) for v in line.loads if v.shape for place, x in enumerate(line.loads[v])}
    whole = {line.loads[v][0]: v for v in line.loads if not v.shape}
    read = w.outside(line.equations)
    read += [x for entries in line.stores.values() for x in entries if (x in loaded or x in whole) and x not in read]
    numbers = [x for x in read if x not in loaded]
    arrays = list(dict.fromkeys(loaded[x][0] for x in read if x in loaded))
    body = [f"{w.name(x)} = {w.name(loaded[x][0])}_[{loaded[x][1]}]" for x in read if x in loaded]
    body += [w.assign(eq, wide=True) for eq in line.equations]
    over = {v: u for v, u in (onto or {}).items() if u in arrays}  # numbers have been read before the call
    for v in line.outputs:
        entries = enumerate(line.stores.get(v, [v]))
        body += [f"{w.name(over.get(v, v))}_[{place}] = {w.operand(x, v.dtype)}" for place, x in entries]
    fresh = [v for v in line.outputs if v not in over]
    parameters = w.declared([*arrays, *fresh], numbers)
    text = [f"def line({', '.join(parameters)}):", *indent([*body, "return"])]
    return Source("\n".join(text), "", arrays, [whole.get(x, x) for x in numbers], fresh, [])


# --- loops ---


Steps = dict[Var, tuple[int, ...]]  # for arrays that do not lie in order, how far apart neighbours are along each axis


def may_overwrite(loop: Loop) -> bool:
    """Whether a loop reads each entry but once, and before it writes in its place."""
    return not loop.rowwise and not any(scalar.is_risky(eq) for eq in loop.equations)


class LoopWriter(Writer):
    """A loop over blocks; what is in them, the two kinds say."""

    block = BLOCK

    def __init__(self, loop: Loop, constants: Constants, onto: dict[Var, Var], steps: Steps) -> None:
        super().__init__(constants)
        self.loop, self.onto = loop, onto
        self.distances: dict[str, int] = {}  # parameters: how far rows are apart
        self.lying: dict[Var, None] = {}
        outside = self.outside(loop.equations)
        self.arrays = [v for v in outside if v.size > 1]
        self.numbers = [v for v in outside if v.size == 1]
        self.totals = [eq for eq in loop.equations if eq.name in REDUCTIONS and not loop.rowwise]
        folded = {eq.out for eq in self.totals}
        self.outputs = [v for v in loop.outputs if v not in folded]
        self.risky = any(self.far(eq) for eq in loop.equations)
        self.across = {v for eq in loop.equations for v in across(eq)}
        made = {eq.out for eq in loop.equations}
        self.diagonals = [
            (f"{self.name(eq.out)}{k}", eq, start, a if a.size > 1 and a not in made else None)
            for eq in loop.equations if eq.name == "Diagonals"
            for k, (start, a) in enumerate(zip(eq.params["starts"], eq.args[1:], strict=True))
        ]  # a name for each, the equation, where it begins, and what has to be read for a row  # fmt: skip

    def source(self) -> Source:
        dims = self.dims()
        per_block = max(self.block // math.prod(dims[1:]), 1)
        names = ("first", "last", "per", *[f"n{k}" for k in range(len(dims))], *self.distances)
        parameters = [f"{name}: int" for name in names]
        fresh = [v for v in self.outputs if v not in self.onto]
        parameters += self.declared([*self.arrays, *fresh], self.numbers)
        parameters += [f"{self.name(eq.out)}_: float64[:]" for eq in self.totals]
        text, wide = self.text(parameters, False), self.text(parameters, True) if self.risky else ""
        totals = [(eq.out, eq.name) for eq in self.totals]
        blocks = -(-dims[0] // per_block)
        lengths = (per_block, *dims, *self.distances.values())
        return Source(text, wide, self.arrays, self.numbers, fresh, totals, blocks, lengths, frozenset(self.lying))

    def text(self, parameters: list[str], wide: bool) -> str:
        watching = self.risky and not wide
        block = ["start, stop = block * per, min(block * per + per, n0)", *self.slices(), *self.body(wide)]
        block += [f"{self.name(eq.out)}_[block] = np.float64({self.name(eq.out)})" for eq in self.totals]
        body = [*self.scratch(), "for block in range(first, last):", *indent(block)]
        body = ["far = False", *body, "return far"] if watching else [*body, "return False"]
        return "\n".join([f"def loop({', '.join(parameters)}):", *indent(body)])

    def lines(self, equations: list[Equation], wide: bool) -> list[str]:
        """The equations of one stage, with what warns of arguments too large, and their folding."""
        found = []
        for eq in equations:
            if eq.name in REDUCTIONS:
                total = self.name(eq.out)
                found.append(f"{total} = {lanes.step(eq.name, eq.out.dtype.name, total, self.name(eq.args[0]))}")
                continue
            found += [] if wide else self.far(eq)
            found.append(self.assign(eq, wide))
        return found

    def starts(self, equations: list[Equation]) -> list[str]:
        return [f"{self.name(eq.out)} = np.{eq.out.dtype.name}({lanes.START[eq.name]})" for eq in equations]

    # --- diagonals ---

    def crossed(self, row: str, length: str) -> list[str]:
        """For a row: the columns where diagonals cross it, and what is there."""
        found = []
        for name, eq, start, a in self.diagonals:
            found.append(f"{name}w = {back(row, -start)}")
            if a is not None:
                at, gone = row, eq.out.shape[eq.params["axis"]] - a.size
                if gone:
                    found += [f"j = {back(row, max(-start, 0))}", "j = 0 if j < 0 else j"]
                    found.append(f"j = j if j < {length} - {gone} else {length} - {gone + 1}")
                    at = "j"
                found.append(f"{name}d = {self.name(a)}_[{at}]")
        return found

    def marks(self, first: str) -> list[str]:
        """The same columns, in a loop over columns from a first one on."""
        return [f"{name}m = {_counted(f'{name}w - ({first})', eq.out.dtype)}" for name, eq, *_ in self.diagonals]

    def assign(self, eq: Equation, wide: bool) -> str:
        if eq.name != "Diagonals":
            return super().assign(eq, wide)
        found, i = self.operand(eq.args[0], eq.out.dtype), _counted("i", eq.out.dtype)
        mine = [(name, a) for name, e, _, a in self.diagonals if e is eq]
        for (name, a), on in zip(mine, eq.args[1:], strict=True):
            value = self.operand(on, eq.out.dtype) if a is None else f"{name}d"
            found = f"({value} if {i} == {name}m else {found})"
        return f"{self.name(eq.out)} = {found}"

    def dims(self) -> tuple[int, ...]:
        """The lengths of the axes that are looped over; blocks divide the first."""
        raise NotImplementedError

    def slices(self) -> list[str]:
        raise NotImplementedError

    def scratch(self) -> list[str]:
        return []

    def body(self, wide: bool) -> list[str]:
        raise NotImplementedError


def back(index: str, by: int) -> str:
    """An index so many before another."""
    return f"{index} - {by}" if by > 0 else f"{index} + {-by}" if by else index


def times(index: str, step: int) -> str:
    """An index in steps."""
    return index if step == 1 else f"({index}) * {step}" if step else "0"


def _counted(index: str, dtype: np.dtype[Any]) -> str:
    """An index in as many bits as entries have, so that as many of them are compared at once."""
    return f"np.int32({index})" if dtype.itemsize == 4 else index
