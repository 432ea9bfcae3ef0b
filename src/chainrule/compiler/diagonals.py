"""Diagonals: matrices all of whose rows are alike but on a few diagonals, as Jacobians of entrywise work are.

They begin as the unit vectors that a Jacobian or Hessian starts from.  What is entrywise is done to them once for all rows, and
once for each diagonal: n numbers instead of n², and the very same ones, since ``0 * inf`` is computed wherever it differs.
:class:`Diagonals` puts them together, within a loop, where something needs them whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..primitive import Elementwise
from . import padded, scalar
from .program import Atom, Equation, Program, Var
from .simplify import _Simplifier

MOST = 4  # diagonals
_FEW = 64  # entries: of a smaller matrix, each is computed


class Diagonals:
    """``off``, broadcast to a matrix, with other numbers on some diagonals, which begin at the given columns.

    Axes before the one of rows have length 1; those after it count as one.  Part of loops only.
    """

    args = ()
    outputs = None
    view = False


class Others:
    """For each entry of a vector, the sum of all others."""

    args = ()
    outputs = None
    view = False


_DIAGONALS, _OTHERS = Diagonals(), Others()


def rows_of(eq: Equation) -> int | None:
    """The axis of rows, if an equation puts diagonals into a matrix."""
    return eq.params["axis"] if eq.name == "Diagonals" else None


@dataclass(frozen=True, slots=True)
class Band:
    """A matrix that is not put together: what is off its diagonals, broadcast, and the entries of each of these, or one number."""

    shape: tuple[int, ...]
    axis: int
    off: Atom
    on: dict[int, Atom]

    @property
    def across(self) -> tuple[int, ...]:
        """The axes of a row."""
        return self.shape[self.axis + 1 :]

    def span(self, start: int) -> tuple[int, int]:
        """The first row that a diagonal crosses, and how many."""
        first = max(-start, 0)
        return first, min(self.shape[self.axis] - first, math.prod(self.across) - first - start)


def banded(program: Program) -> Program | None:
    """An equal program for loops; None if there are no such matrices."""
    if not any(map(_is_banded, program.constants.values())):
        return None
    return _Writer(program).run()


def _is_banded(a: np.ndarray[Any, Any]) -> bool:
    return _found(a) is not None


def _found(a: np.ndarray[Any, Any]) -> tuple[int, Any, list[int]] | None:
    """Of a constant that is such a matrix: the axis of its rows, the number off its diagonals, and where these begin."""
    axis = next((k for k, n in enumerate(a.shape) if n > 1), a.ndim)
    if a.size < _FEW or a.dtype not in scalar.FLOATS or axis > a.ndim - 2 or not any(a.strides):
        return None
    m = np.ascontiguousarray(a).reshape(a.shape[axis], -1)
    bits = m.view(f"u{m.itemsize}")  # tells -0.0 from 0.0
    if min(m.shape) < 3 or any(len(np.unique(bits[r])) > MOST + 1 for r in (0, len(bits) // 2)):
        return None  # which most are
    off = m[0, -1] if bits[0, -1] == bits[-1, 0] else m[0, m.shape[1] // 2]
    rows, columns = np.nonzero(bits != off.view(bits.dtype))
    starts = np.unique(columns - rows) if 0 < len(rows) <= MOST * max(m.shape) else ()
    return (axis, off, [int(k) for k in starts]) if 0 < len(starts) <= MOST else None


class _Writer:
    """Goes through a program, with bands for some of its variables."""

    def __init__(self, program: Program) -> None:
        self.source, self.simple = program, _Simplifier(program)
        self.now: dict[Var, Atom] = {v: v for v in program.inputs}
        self.bands: dict[Var, Band] = {}
        self.whole: dict[Var, Atom] = {}  # bands that have been put together

    def run(self) -> Program:
        s, source = self.simple, self.source
        for v, a in source.constants.items():
            self.now[v] = s.constant(a)
            if (found := _found(a)) is not None:
                self.bands[v] = self.constant(a, *found)
        for eq in source.equations:
            band = self.follow(eq) if any(v in self.bands for v in eq.vars) else None
            if band is not None:
                self.bands[eq.out] = band
                continue
            if (total := self.folded(eq)) is not None:
                self.now[eq.out] = total
                continue
            loops = isinstance(eq.prim, Elementwise)  # which make constants as they go
            args = tuple(self.atom(a, loops) for a in eq.args)
            if eq.prim.outputs is not None:
                self.now.update(zip(eq.outs, s.emit(eq.prim, args, eq.params, eq.outs), strict=True))
            else:
                self.now[eq.out] = s.rewrite(eq.prim, args, eq.params, eq.out)
        outputs = [self.atom(a, False) for a in source.outputs]
        return s.result.restricted(s.result.inputs, outputs)

    def constant(self, a: np.ndarray[Any, Any], axis: int, off: Any, starts: list[int]) -> Band:
        m, s = a.reshape(a.shape[axis], -1), self.simple
        band = Band(a.shape, axis, s.constant(off), {})
        for k in starts:
            entries = np.ascontiguousarray(m.diagonal(k))
            bits = entries.view(f"u{m.itemsize}")
            band.on[k] = s.constant(entries[0] if (bits == bits[0]).all() else entries)
        return band

    def atom(self, a: Atom, loops: bool) -> Atom:
        """What an argument has become, whole."""
        if not isinstance(a, Var) or a not in self.bands or (a in self.now and not loops):
            return self.now[a] if isinstance(a, Var) else a
        if a not in self.whole:
            band = self.bands[a]
            out = Var(band.shape, a.dtype)
            starts = sorted(band.on)
            params = {"axis": band.axis, "starts": tuple(starts)}
            eq = Equation(_DIAGONALS, (band.off, *[band.on[k] for k in starts]), params, (out,))
            self.simple.result.equations.append(eq)
            self.whole[a] = out
        return self.whole[a]

    def folded(self, eq: Equation) -> Atom | None:
        """The sums of rows: of what is off a diagonal that crosses each, all but one entry."""
        band = self.bands.get(eq.args[0]) if eq.name == "Sum" else None
        if band is None or len(band.on) != 1 or sorted(eq.params["axis"]) != list(range(-len(band.across), 0)):
            return None
        s, n, ((start, on),) = self.simple, math.prod(band.across), band.on.items()
        if band.span(start)[1] < band.shape[band.axis] or not self.is_row(band) or eq.out.dtype != band.off.dtype:
            return None
        row = s.expand(s.reshape(band.off, () if band.off.size == 1 else (n,)), (n,))
        others = Var((n,), eq.out.dtype)
        s.result.equations.append(Equation(_OTHERS, (row,), {}, (others,)))
        length = band.shape[band.axis]
        total = s.new("Add", (self.part(others, start, length), on), (length,), eq.out.dtype)
        return s.reshape(total, eq.out.shape)

    def is_row(self, band: Band) -> bool:
        """Whether all rows are the same off the diagonals."""
        return band.off.size in (1, math.prod(band.off.shape[-len(band.across) :]))

    # --- what stays a band ---

    def follow(self, eq: Equation) -> Band | None:
        """The result of an equation as a band; None if it is none."""
        if isinstance(eq.prim, Elementwise):
            return self.entrywise(eq)
        if len(eq.vars) != 1 or eq.vars[0] not in self.bands:
            return None
        band = self.bands[eq.vars[0]]
        if eq.name == "Reshape":
            return self.reshaped(band, eq.out.shape)
        if eq.name == "GetItem":
            return self.cut(band, eq)
        box = padded.box(eq)
        return None if box is None else self.inside(band, box, eq.out.shape)

    def entrywise(self, eq: Equation) -> Band | None:
        args = [self.bands.get(a, self.now.get(a)) if isinstance(a, Var) else a for a in eq.args]
        bands = [a for a in args if isinstance(a, Band)]
        first = bands[0]
        starts = sorted({k for b in bands for k in b.on})
        if any(b.shape != eq.out.shape or b.axis != first.axis for b in bands) or len(starts) > MOST:
            return None
        on = {}
        for k in starts:
            found = [self.along(a, first, k) for a in args]
            if any(a is None for a in found):
                return None
            on[k] = found
        off = [a.off if isinstance(a, Band) else a for a in args]
        return Band(first.shape, first.axis, self.apply(eq, off), {k: self.apply(eq, a) for k, a in on.items()})

    def apply(self, eq: Equation, args: list[Atom]) -> Atom:
        args = [self.short(a) if isinstance(a, Var) else a for a in args]
        shape = np.broadcast_shapes(*[a.shape for a in args if isinstance(a, Var)])
        return self.simple.rewrite(eq.prim, tuple(args), eq.params, Var(shape, eq.out.dtype))

    def along(self, a: Any, band: Band, start: int) -> Atom | None:
        """The entries of an array on a diagonal, or one number; None if it varies both ways."""
        s = self.simple
        if isinstance(a, Band):
            return a.on[start] if start in a.on else self.along(a.off, band, start)
        if not isinstance(a, Var):
            return a
        if a.size == 1:
            return s.reshape(a, ())
        n = band.shape[band.axis]
        across = ((1,) * len(band.shape) + a.shape)[-len(band.across) :]
        first, length = band.span(start)
        if math.prod(across) == 1:
            return self.part(s.reshape(a, (n,)), first, length)
        if math.prod(across) < a.size:
            return None
        row = s.expand(s.reshape(a, across), band.across)
        return self.part(s.reshape(row, (math.prod(band.across),)), first + start, length)

    def part(self, a: Atom, first: int, length: int) -> Atom:
        key = (slice(first, first + length), ...)
        return a if a.shape == (length,) else self.simple.new("GetItem", (a,), (length,), a.dtype, key=key)

    def reshaped(self, band: Band, shape: tuple[int, ...]) -> Band | None:
        """With other axes of length 1, or a row's axes as others."""
        s, axis = self.simple, next(k for k, n in enumerate(shape) if n > 1)
        if shape[axis] != band.shape[band.axis]:
            return None
        row, *own = ((1,) * len(band.shape) + band.off.shape)[-len(band.across) - 1 :]
        across = shape[axis + 1 :] if math.prod(own) > 1 else (1,) * (len(shape) - axis - 1)
        off = s.expand(band.off, (row, *band.across)) if math.prod(own) > 1 else band.off
        return Band(shape, axis, self.short(s.reshape(off, (row, *across))), band.on)

    def short(self, a: Atom) -> Atom:
        """Without axes of length 1 in front."""
        first = next((k for k, n in enumerate(a.shape) if n > 1), len(a.shape))
        return self.simple.reshape(a, a.shape[first:])

    def cut(self, band: Band, eq: Equation) -> Band | None:
        """Parts of rows."""
        shape, ranges = eq.out.shape, padded.ranges(eq.params["key"], band.shape)
        if ranges is None or len(shape) != len(band.shape):
            return None
        parts = [(k, *r) for k, (r, n) in enumerate(zip(ranges, band.shape, strict=True)) if r != (0, n)]
        last = max(k for k, n in enumerate(band.shape) if n > 1)
        if len(parts) != 1 or parts[0][0] != last or last == band.axis or parts[0][2] < 2:
            return None
        if math.prod(band.across) != band.shape[last]:
            return None
        (_, start, length), off = parts[0], band.off
        if off.size > 1 and (off.shape[-1] > 1 or math.prod(off.shape[-len(band.across) :]) > 1):
            if not self.is_row(band):
                return None
            row = self.part(self.simple.reshape(off, (band.shape[last],)), start, length)
            off = self.short(self.simple.reshape(row, shape[band.axis + 1 :]))
        new = Band(shape, band.axis, off, {})
        for k, a in band.on.items():
            (first, _), (begin, fewer) = band.span(k), new.span(k - start)
            if fewer > 0:
                new.on[k - start] = a if a.size == 1 else self.part(a, begin - first, fewer)
        return new

    def inside(self, band: Band, box: padded.Box, shape: tuple[int, ...]) -> Band | None:
        """Longer rows, with zeros around what was there."""
        axes = [k for k, n in enumerate(shape) if n > 1]
        s, last, n = self.simple, axes[-1], math.prod(band.across)
        if len(box.starts) != len(band.shape) or box.lengths != band.shape or axes != [band.axis, last] or box.fill:
            return None
        start, wide = box.starts[last], shape[last]
        if band.axis == last or start < 0 or start + n > wide or not self.is_row(band):
            return None

        def put(a: Atom, length: int, at: int, to: int) -> Atom:
            """So many entries, with zeros around them."""
            flat = s.expand(s.reshape(a, () if a.size == 1 else (length,)), (length,))
            key = (slice(at, at + length), ...)
            return s.new("PutAdd", (flat,), (to,), a.dtype, key=key, shape=(to,), repeats=False)

        new = Band(shape, band.axis, self.short(s.reshape(put(band.off, n, start, wide), shape[band.axis + 1 :])), {})
        for k, a in band.on.items():
            (first, length), (begin, more) = band.span(k), new.span(k + start)
            new.on[k + start] = a if length == more else put(a, length, first - begin, more)
        return new
