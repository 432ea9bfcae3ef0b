"""Nest: the source of a loop over entries, with what is broadcast, shown otherwise or padded read where it lies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from . import padded, scalar
from .emit import Constants, LoopWriter, Steps, back, indent, times
from .plan import across
from .program import Equation, Var
from .steps import Loop
from .table import reshaped


class Nest(LoopWriter):
    """Entry by entry, with what is broadcast or padded read where it belongs; totals over everything."""

    def __init__(self, loop: Loop, constants: Constants, onto: dict[Var, Var], steps: Steps) -> None:
        super().__init__(loop, constants, onto, steps)
        written = [v for v in self.outputs if v not in onto]
        boxed = {eq: b for eq in loop.equations if (b := padded.box(eq)) is not None}
        self.inner = {eq.out: Var(b.lengths, eq.out.dtype) for eq, b in boxed.items()}  # a name for what lies in each
        self.boxes = {self.inner[eq.out]: b for eq, b in boxed.items()}
        self.sources = {self.inner[eq.out]: eq.args[0] for eq in boxed}
        read = {v for eq in loop.equations if eq not in boxed for v in across(eq)}
        self.direct = [v for v in self.arrays if v in read]
        shown = {v: broadcast(loop.shape, v.shape, steps.get(v) or in_order(v.shape)) for v in [*self.direct, *written]}
        for v, source in self.sources.items():
            own = reshaped(source.shape, steps.get(source) or in_order(source.shape), v.shape, v.dtype)
            assert own is not None
            shown[v] = broadcast(loop.shape, v.shape, own)
        row = Var((), np.dtype(bool))  # stands for the number of a row that diagonals cross
        for _, eq, *_ in self.diagonals:
            shown[row] = tuple(int(k == eq.params["axis"]) for k in range(len(loop.shape)))
        self.lengths, self.patterns, self.steps = collapse(loop.shape, shown, self.boxes)
        self.crossed_axis = self.patterns.pop(row, (False,)).index(bool(self.diagonals))
        self.lying = {v: None for v in self.arrays if v in steps}
        for v in self.patterns:
            if self.sources.get(v, v) in self.lying:
                self.distances |= {f"{self.name(v)}a{k}": s for k, s in enumerate(self.steps[v][:-1]) if s}
        self.falls = any(isinstance(p[-1], tuple) for p in self.patterns.values())  # a row, into stretches
        self.absent: set[Var] = set()  # of the boxes, in the stretch of a row that is being written

    def dims(self) -> tuple[int, ...]:
        return self.lengths

    @property
    def last(self) -> int:
        return len(self.lengths) - 1

    def slices(self) -> list[str]:
        if self.last or self.falls:
            return []
        sources = {v: self.sources.get(v, v) for v in self.patterns}
        return [
            f"{self.name(v)}s = {self.name(source)}_[start * {self.apart(v)} :]" if self.apart(v) > 1
            else f"{self.name(v)}s = {self.name(source)}_[start:stop]"
            for v, source in sources.items() if source.size > 1
        ]  # fmt: skip

    def body(self, wide: bool) -> list[str]:
        nest = [line for v in self.patterns for line in self.row(v)] if self.last else []
        if self.diagonals:
            nest += self.crossed(f"i{self.crossed_axis}", f"n{self.crossed_axis}")
        if not self.falls:
            nest += self.marks(self.column("0"))
            nest += [
                f"for i in range({f'n{self.last}' if self.last else 'stop - start'}):",
                *indent(self.inside(wide)),
            ]
        for first, end in itertools.pairwise(self.bounds()) if self.falls else ():
            nest += self.stretch(first, end, wide)
        for k in range(self.last - 1, 0, -1):
            nest = [f"for i{k} in range(n{k}):", *indent(nest)]
        return [*self.starts(self.totals), *(["for i0 in range(start, stop):", *indent(nest)] if self.last else nest)]

    def inside(self, wide: bool) -> list[str]:
        """What is done for each entry."""
        found = [f"{self.name(v)} = {self.entry(v)}" for v in self.direct]
        found += self.lines(self.loop.equations, wide)
        return found + [f"{self.entry(v)} = {self.name(v)}" for v in self.outputs]

    def entry(self, v: Var) -> str:
        v = self.onto.get(v, v)
        if not self.patterns[v][-1]:
            return f"{self.name(v)}s[0]"
        step = self.apart(v)
        return f"{self.name(v)}{'t' if self.falls else 's'}[{times('i', step)}]"

    def apart(self, v: Var) -> int:
        """How far neighbours are apart."""
        return self.steps[v][-1] if self.sources.get(v, v) in self.lying else 1

    def assign(self, eq: Equation, wide: bool) -> str:
        inner = self.inner.get(eq.out)
        if inner is None:
            return super().assign(eq, wide)
        fill = scalar.literal(self.boxes[inner].fill, inner.dtype)
        if inner in self.absent:
            return f"{self.name(eq.out)} = {fill}"
        found = self.entry(inner) if eq.vars[0].size > 1 else self.operand(eq.args[0], inner.dtype)
        if any(isinstance(p, tuple) for p in self.patterns[inner][:-1]):
            found = f"({found} if {self.name(inner)}in else {fill})"
        return f"{self.name(eq.out)} = {found}"

    def row(self, v: Var) -> list[str]:
        """Where an array's row begins, and whether there is one."""
        name, (*outer, across), source = self.name(v), self.patterns[v], self.sources.get(v, v)
        found, conditions, heres, at = [], [], [], ""
        for k, own in enumerate(outer):
            here, length = f"i{k}", f"n{k}"
            if isinstance(own, tuple):
                length = back(length, self.lengths[k] - own[1])
                found += [f"j = {back(here, own[0])}", f"{name}in{k} = (j >= 0) & (j < {length})"]
                here = f"{name}r{k}"
                found.append(f"{here} = j if {name}in{k} else 0")
                conditions.append(f"{name}in{k}")
            if own:
                heres.append(f"{here} * {name}a{k}")
                length = f"({length})" if " " in length else length
                at = f"({at}) * {length} + {here}" if " " in at else f"{at} * {length} + {here}" if at else here
        if conditions:
            found.append(f"{name}in = {' & '.join(conditions)}")
        if source.size == 1:
            return found
        if source in self.lying:
            at = " + ".join(h for h in heres if h.partition(" * ")[2] in self.distances)
            return [*found, f"{name}s = {self.name(source)}_[{at or '0'} :]"]
        width = back(f"n{self.last}", self.lengths[-1] - across[1]) if isinstance(across, tuple) else f"n{self.last}"
        width = width if across else "1"
        if not at:
            return [*found, f"{name}s = {self.name(source)}_[:{width}]"]
        width = f"({width})" if " " in width else width
        found.append(f"at = ({at}) * {width}" if " " in at else f"at = {at} * {width}")
        return [*found, f"{name}s = {self.name(source)}_[at : at + {width}]"]

    def column(self, first: str) -> str:
        """Which column of a matrix with diagonals is at this place of the last axis."""
        at = ""
        for k in range(self.crossed_axis + 1, self.last):
            at = f"({at}) * n{k} + i{k}" if at else f"i{k}"
        return f"({at}) * n{self.last} + {first}" if at else first

    # --- stretches of rows ---

    def bounds(self) -> list[tuple[int, str]]:
        """Between which indices the same boxes lie, along the last axis."""
        n = self.lengths[-1]
        found = {n: f"n{self.last}", 0: "0"}
        for v in self.boxes:
            if isinstance(part := self.patterns[v][-1], tuple):
                low, high = max(part[0], 0), min(sum(part), n)
                found.setdefault(low, f"{low}")
                found.setdefault(high, back(f"n{self.last}", n - high))
        return sorted(found.items())

    def stretch(self, first: tuple[int, str], end: tuple[int, str], wide: bool) -> list[str]:
        """The entries of a row, or of a block of the only one, between two bounds."""
        parts = {v: part for v in self.boxes if isinstance(part := self.patterns[v][-1], tuple)}
        self.absent = {v for v, (start, length) in parts.items() if not start <= first[0] < start + length}
        low, high = first[1], end[1]
        found = []
        if not self.last:
            low, high = "low", "high"
            found += [
                f"low = {first[1]} if {first[1]} > start else start",
                f"high = {end[1]} if {end[1]} < stop else stop",
            ]
        for v, pattern in self.patterns.items():
            if pattern[-1] and v not in self.absent and (source := self.sources.get(v, v)).size > 1:
                begin = back(low, parts[v][0]) if v in parts else low
                begin = times(begin, self.apart(v))
                found.append(
                    f"{self.name(v)}t = {self.name(v) + 's' if self.last else self.name(source) + '_'}[{begin} :]"
                )
        found += self.marks(self.column(low))
        return [*found, f"for i in range({high} - ({low})):", *indent(self.inside(wide))]


# --- how arrays lie ---


Pattern = tuple[
    bool | tuple[int, int], ...
]  # along each axis: whether an array varies, or where it begins and how far it goes


def collapse(
    shape: tuple[int, ...], arrays: Mapping[Var, Sequence[int]], boxes: dict[Var, padded.Box]
) -> tuple[tuple[int, ...], dict[Var, Pattern], dict[Var, list[int]]]:
    """``shape`` with as few axes as can be, and how each array lies along them, in some box or not.

    ``arrays`` says how many entries lie between neighbours along each axis, as the third result does along those axes.
    """
    dims: list[int] = []
    kept: list[tuple[int, ...]] = []
    patterns: list[Pattern] = []
    for i, length in enumerate(shape):
        steps = tuple(s[i] for s in arrays.values())
        parts = [
            (b.starts[i], b.lengths[i]) if v in boxes and not (b := boxes[v]).covers(i, length) else None
            for v in arrays
        ]
        if length == 1 and not any(parts):
            continue
        pattern: Pattern = tuple(p or s != 0 for s, p in zip(steps, parts, strict=True))
        if patterns and patterns[-1] == pattern and not any(parts) and kept[-1] == tuple(s * length for s in steps):
            dims[-1], kept[-1] = dims[-1] * length, steps
        else:
            dims.append(length)
            kept.append(steps)
            patterns.append(pattern)
    lying = {v: [s[k] for s in kept] for k, v in enumerate(arrays)}
    return tuple(dims), {v: tuple(p[k] for p in patterns) for k, v in enumerate(arrays)}, lying


def broadcast(shape: tuple[int, ...], own: Sequence[int], steps: Sequence[int]) -> tuple[int, ...]:
    """The steps of an array as broadcasting to a shape shows it."""
    found = [0 if n == 1 else s for n, s in zip(own, steps, strict=True)]
    return (0,) * (len(shape) - len(own)) + tuple(found)


def in_order(shape: Sequence[int]) -> tuple[int, ...]:
    """The steps between entries that lie in order."""
    return tuple(math.prod(shape[k + 1 :]) for k in range(len(shape)))
