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

from . import lanes, scalar
from .plan import REDUCTIONS, Line, Loop, collapse, is_alias
from .program import Atom, Equation, Names, Var

Constants = dict[Var, np.ndarray[Any, Any]]
SHORT = 128  # bytes of a row, up to which many are done at once if they take more than arithmetic
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
    cost: float = 0.0  # of a kernel of one equation: roughly, in nanoseconds on one core


class _Writer:
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
        return [] if is_alias(eq) or eq.name in REDUCTIONS else scalar.far(eq, self.arguments(eq))

    def outside(self, equations: list[Equation]) -> list[Var]:
        """Variables that the equations read and do not make; constant numbers are written out instead."""
        made = {v for eq in equations for v in eq.outs}
        read = dict.fromkeys(v for eq in equations for v in eq.vars if v not in made)
        return [v for v in read if v.size > 1 or v not in self.constants]

    def declared(self, arrays: Iterable[Var], numbers: Iterable[Var]) -> list[str]:
        """Parameters with their types."""
        flat = [f"{self.names[v]}_: {v.dtype.name}[:]" for v in arrays]
        return flat + [f"{self.names[v]}: {v.dtype.name}" for v in numbers]


def _indent(lines: list[str], by: int = 1) -> list[str]:
    return ["    " * by + line for line in lines]


# --- lines ---


def line_source(line: Line, constants: Constants, onto: dict[Var, Var] | None = None) -> Source:
    """Straight code from numbers, and entries of arrays, to the same; ``onto`` as in :func:`loop_source`."""
    w = _Writer(constants)
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
    text = [f"def line({', '.join(parameters)}):", *_indent([*body, "return"])]
    return Source("\n".join(text), "", arrays, [whole.get(x, x) for x in numbers], fresh, [])


# --- loops ---


def loop_source(loop: Loop, constants: Constants, onto: dict[Var, Var] | None = None) -> Source:
    """A fused loop.  ``onto`` says which outputs take the places of which arrays that it reads."""
    onto = onto or {}
    key, found = _structure(loop, constants, onto)
    known = _written.get(key)
    if known is None:
        if len(_written) >= _MOST:
            _written.clear()
        known = _written[key] = _writer(loop)(loop, constants, onto).source(), found
    source, theirs = known
    ours = dict(zip(theirs, found, strict=True))  # equal loops of other variables have the same text
    arrays, numbers, outputs = ([ours[v] for v in vs] for vs in (source.arrays, source.numbers, source.outputs))
    totals = [(ours[v], kind) for v, kind in source.totals]
    return Source(source.text, source.wide, arrays, numbers, outputs, totals, source.blocks, source.lengths)


def _structure(loop: Loop, constants: Constants, onto: dict[Var, Var]) -> tuple[Any, list[Var]]:
    """What tells a loop from others whatever its variables are, and these, in the order in which they appear."""
    found: dict[Var, int] = {}

    def atom(a: Atom) -> Any:
        if not isinstance(a, Var):
            return type(a), repr(a)
        if a in found:
            return found[a]
        number = found[a] = len(found)
        known = constants[a].tobytes() if a.size == 1 and a in constants else None
        return number, a.shape, a.dtype.char, known

    equations = [
        (eq.name, eq.prim.args, getattr(eq.prim, "scalar", ""), *map(atom, eq.args), atom(eq.out))
        for eq in loop.equations
    ]
    outputs = [(found[v], found.get(onto[v]) if v in onto else None) for v in loop.outputs]
    return (loop.shape, loop.folded, tuple(equations), tuple(outputs)), [*found]


def _writer(loop: Loop) -> type[_LoopWriter]:
    """How the text of a loop is to be written."""
    if not loop.rowwise:
        return _Nest
    full = [eq for eq in loop.equations if loop.is_full(eq.out)]
    short = max((loop.cols * eq.out.dtype.itemsize for eq in full), default=0) <= SHORT
    return _Columns if short and loop.rows >= 16 and any(map(scalar.calls, full)) else _Rows


_written: dict[Any, tuple[Source, list[Var]]] = {}  # by structure
_MOST = 1024


def may_overwrite(loop: Loop) -> bool:
    """Whether a loop reads each entry but once, and before it writes in its place."""
    return not loop.rowwise and not any(scalar.is_risky(eq) for eq in loop.equations)


class _LoopWriter(_Writer):
    block = BLOCK

    def __init__(self, loop: Loop, constants: Constants, onto: dict[Var, Var]) -> None:
        super().__init__(constants)
        self.loop, self.onto = loop, onto
        outside = self.outside(loop.equations)
        self.arrays = [v for v in outside if v.size > 1]
        self.numbers = [v for v in outside if v.size == 1]
        self.totals = [eq for eq in loop.equations if eq.name in REDUCTIONS and not loop.rowwise]
        folded = {eq.out for eq in self.totals}
        self.outputs = [v for v in loop.outputs if v not in folded]
        self.risky = any(self.far(eq) for eq in loop.equations)

    def source(self) -> Source:
        dims = self.dims()
        per_block = max(self.block // math.prod(dims[1:]), 1)
        parameters = [f"{name}: int" for name in ("first", "last", "per", *[f"n{k}" for k in range(len(dims))])]
        fresh = [v for v in self.outputs if v not in self.onto]
        parameters += self.declared([*self.arrays, *fresh], self.numbers)
        parameters += [f"{self.name(eq.out)}_: float64[:]" for eq in self.totals]
        text, wide = self.text(parameters, False), self.text(parameters, True) if self.risky else ""
        totals = [(eq.out, eq.name) for eq in self.totals]
        blocks = -(-dims[0] // per_block)
        lengths = (per_block, *dims)
        return Source(text, wide, self.arrays, self.numbers, fresh, totals, blocks, lengths)

    def text(self, parameters: list[str], wide: bool) -> str:
        watching = self.risky and not wide
        block = ["start, stop = block * per, min(block * per + per, n0)", *self.slices(), *self.body(wide)]
        block += [f"{self.name(eq.out)}_[block] = np.float64({self.name(eq.out)})" for eq in self.totals]
        body = [*self.scratch(), "for block in range(first, last):", *_indent(block)]
        body = ["far = False", *body, "return far"] if watching else [*body, "return False"]
        return "\n".join([f"def loop({', '.join(parameters)}):", *_indent(body)])

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

    def dims(self) -> tuple[int, ...]:
        """The lengths of the axes that are looped over; blocks divide the first."""
        raise NotImplementedError

    def slices(self) -> list[str]:
        raise NotImplementedError

    def scratch(self) -> list[str]:
        return []

    def body(self, wide: bool) -> list[str]:
        raise NotImplementedError


class _Nest(_LoopWriter):
    """Entry by entry, with what is broadcast read where it belongs; totals over everything."""

    def __init__(self, loop: Loop, constants: Constants, onto: dict[Var, Var]) -> None:
        super().__init__(loop, constants, onto)
        written = [v for v in self.outputs if v not in onto]
        self.lengths, self.patterns = collapse(loop.shape, [*self.arrays, *written])

    def dims(self) -> tuple[int, ...]:
        return self.lengths

    def slices(self) -> list[str]:
        if len(self.lengths) > 1:
            return []
        return [f"{self.name(v)}s = {self.name(v)}_[start:stop]" for v in self.patterns]

    def body(self, wide: bool) -> list[str]:
        last = len(self.lengths) - 1
        inside = [f"{self.name(v)} = {self.entry(v)}" for v in self.arrays]
        inside += self.lines(self.loop.equations, wide)
        inside += [f"{self.entry(v)} = {self.name(v)}" for v in self.outputs]
        if not last:
            return [*self.starts(self.totals), "for i in range(stop - start):", *_indent(inside)]
        rows = []
        for v, pattern in self.patterns.items():
            width = f"n{last}" if pattern[-1] else "1"
            if not any(pattern[:-1]):
                rows.append(f"{self.name(v)}s = {self.name(v)}_[:{width}]")
                continue
            at = ""  # the row's number among the rows that this array has
            for k, own in enumerate(pattern[:-1]):
                if own:
                    at = f"({at}) * n{k} + i{k}" if " " in at else f"{at} * n{k} + i{k}" if at else f"i{k}"
            rows.append(f"at = ({at}) * {width}" if " " in at else f"at = {at} * {width}")
            rows.append(f"{self.name(v)}s = {self.name(v)}_[at : at + {width}]")
        nest = [*rows, f"for i in range(n{last}):", *_indent(inside)]
        for k in range(last - 1, 0, -1):
            nest = [f"for i{k} in range(n{k}):", *_indent(nest)]
        return [*self.starts(self.totals), "for i0 in range(start, stop):", *_indent(nest)]

    def entry(self, v: Var) -> str:
        v = self.onto.get(v, v)
        return f"{self.name(v)}s[{'i' if self.patterns[v][-1] else '0'}]"


class _Rows(_LoopWriter):
    """Row by row: a loop over the row up to each reduction, then the next with its result."""

    def __init__(self, loop: Loop, constants: Constants, onto: dict[Var, Var]) -> None:
        super().__init__(loop, constants, onto)
        # The loop over the row in which a value is made; for a row's own value, the one that may read it.
        self.stage: dict[Var, int] = {}
        for eq in loop.equations:
            ready = max((self.stage.get(v, 0) for v in eq.vars), default=0)
            self.stage[eq.out] = ready + 1 if eq.name in REDUCTIONS else ready
        self.full = dict.fromkeys(eq.out for eq in loop.equations if loop.is_full(eq.out) and eq.name not in REDUCTIONS)
        # Made in one loop and read in a later one: kept in the output, or in memory for one row.
        self.crossing = {
            v for eq in loop.equations for v in eq.vars if v in self.full and self.stage[v] < self.loop_of(eq)
        }

    def loop_of(self, eq: Equation) -> int:
        """The loop over the row that an equation belongs to; for a row's value, the one that follows it."""
        return self.stage[eq.out] - (eq.name in REDUCTIONS)

    def dims(self) -> tuple[int, ...]:
        return self.loop.rows, self.loop.cols

    def slices(self) -> list[str]:
        return []

    def scratch(self) -> list[str]:
        return [f"{self.name(v)}s = np.empty(n1, np.{v.dtype.name})"
                for v in self.full if v in self.crossing and v not in self.outputs]  # fmt: skip

    def body(self, wide: bool) -> list[str]:
        rows = []
        for v in [*self.arrays, *self.outputs]:
            if self.loop.is_full(v):
                rows.append(f"{self.name(v)}s = {self.name(v)}_[row * n1 : row * n1 + n1]")
            elif v in self.arrays and self.loop.is_kept(v):
                rows.append(f"{self.name(v)} = {self.name(v)}_[row]")
            elif v in self.arrays:
                rows.append(f"{self.name(v)}s = {self.name(v)}_[:n1]")
        for stage in range(max(self.stage.values()) + 1):
            rows += self.lines([eq for eq in self.loop.equations if self.stage[eq.out] == stage and eq.out not in self.full
                                and eq.name not in REDUCTIONS], wide)  # fmt: skip
            rows += self.one_loop(stage, wide)
        rows += [f"{self.name(v)}_[row] = {self.name(v)}" for v in self.outputs if v not in self.full]
        return ["for row in range(start, stop):", *_indent(rows)]

    def one_loop(self, stage: int, wide: bool) -> list[str]:
        equations = [
            eq
            for eq in self.loop.equations
            if (eq.out in self.full or eq.name in REDUCTIONS) and self.loop_of(eq) == stage
        ]
        if not equations:
            return []
        made = dict.fromkeys(eq.out for eq in equations)
        read = dict.fromkeys(v for eq in equations for v in eq.vars if v not in made)
        inside = [f"{self.name(v)} = {self.name(v)}s[i]" for v in read
                  if v in self.full or (v in self.arrays and not self.loop.is_kept(v))]  # fmt: skip
        inside += self.lines(equations, wide)
        inside += [
            f"{self.name(v)}s[i] = {self.name(v)}"
            for v in made
            if v in self.full and (v in self.outputs or v in self.crossing)
        ]
        sums = [eq for eq in equations if eq.name == "Sum" and self.loop.cols > BLOCK]  # which go by parts
        starts = self.starts([eq for eq in equations if eq.name in REDUCTIONS and eq not in sums])
        if not sums:
            return [*starts, "for i in range(n1):", *_indent(inside)]
        part = [*self.starts(sums), f"for i in range(part, min(part + {BLOCK}, n1)):", *_indent(inside)]
        totals = [(f"{self.name(eq.out)}t", self.name(eq.out), eq.out.dtype.name) for eq in sums]
        part += [f"{t} = {t} + np.float64({s})" for t, s, _ in totals]
        starts += [f"{t} = np.float64(0.0)" for t, _, _ in totals]
        ends = [f"{s} = np.{dtype}({t})" for t, s, dtype in totals]
        return [*starts, f"for part in range(0, n1, {BLOCK}):", *_indent(part), *ends]


class _Columns(_Rows):
    """Rows too short for vectors: many of them at once, copied to where their first entries are neighbours, and so on."""

    block = 1024

    def __init__(self, loop: Loop, constants: Constants, onto: dict[Var, Var]) -> None:
        super().__init__(loop, constants, onto)
        full = [v for v in self.arrays if loop.is_full(v)]
        self.turned = dict.fromkeys([*full, *[v for v in self.full if v in self.crossing or v in self.outputs]])
        self.of_row = dict.fromkeys(
            [v for v in self.arrays if loop.is_kept(v)] + [v for v in self.stage if v not in self.full]
        )

    def scratch(self) -> list[str]:
        sizes = dict.fromkeys(self.turned, self.block) | {v: self.block // 2 for v in self.of_row if v in self.stage}
        return [f"{self.name(v)}s = np.empty({size}, np.{v.dtype.name})" for v, size in sizes.items()]

    def body(self, wide: bool) -> list[str]:
        lines = ["many = stop - start"]
        for v in self.arrays:
            if v in self.turned:
                lines += self.copied(v, "{0}s[i * many + row] = {0}r[row * n1 + i]")
            else:
                lines.append(f"{self.name(v)}s = {self.name(v)}_[{'start:' if v in self.of_row else ':n1'}]")
        for stage in range(max(self.stage.values()) + 1):
            few = [eq for eq in self.loop.equations if eq.out in self.of_row and self.stage[eq.out] == stage]
            if few := [eq for eq in few if eq.name not in REDUCTIONS]:
                lines += ["for row in range(many):", *_indent(self.of_rows(few, wide))]
            lines += self.one_loop(stage, wide)
        for v in self.outputs:
            if v in self.full:
                lines += self.copied(v, "{0}r[row * n1 + i] = {0}s[i * many + row]")
            else:
                lines += ["for row in range(many):", f"    {self.name(v)}_[start + row] = {self.name(v)}s[row]"]
        return lines

    def copied(self, v: Var, entry: str) -> list[str]:
        place = f"{self.name(v)}r = {self.name(v)}_[start * n1 : stop * n1]"
        return [place, "for row in range(many):", "    for i in range(n1):", "        " + entry.format(self.name(v))]

    def of_rows(self, equations: list[Equation], wide: bool) -> list[str]:
        """The equations for one row, or one entry of it."""
        folds = {eq.out for eq in equations if eq.name in REDUCTIONS}
        made = {eq.out for eq in equations}
        read = dict.fromkeys([v for eq in equations for v in eq.vars if v not in made] + [*folds])
        place = {**dict.fromkeys(self.of_row, "s[row]"), **dict.fromkeys(self.turned, "i[row]")}
        lines = [f"{self.name(v)} = {self.name(v)}{place[v]}" for v in read if v in place]
        lines += self.lines(equations, wide)
        return lines + [f"{self.name(v)}{place[v]} = {self.name(v)}" for v in made if v in place]

    def one_loop(self, stage: int, wide: bool) -> list[str]:
        wanted = [eq for eq in self.loop.equations if eq.out in self.full or eq.name in REDUCTIONS]
        equations = [eq for eq in wanted if self.loop_of(eq) == stage]
        if not equations:
            return []
        used = dict.fromkeys(v for eq in equations for v in (*eq.vars, eq.out))
        along = [f"{self.name(v)}i = {self.name(v)}s[i * many : i * many + many]" for v in used if v in self.turned]
        along += [f"{self.name(v)} = {self.name(v)}s[i]" for v in self.arrays
                  if v in used and v not in self.turned and v not in self.of_row]  # fmt: skip
        totals = [eq for eq in equations if eq.name in REDUCTIONS]
        starts = [f"{self.name(eq.out)}s[row] = np.{eq.out.dtype.name}({lanes.START[eq.name]})" for eq in totals]
        inner = ["for row in range(many):", *_indent(self.of_rows(equations, wide))]
        first = ["for row in range(many):", *_indent(starts)] if starts else []
        return [*first, "for i in range(n1):", *_indent([*along, *inner])]
