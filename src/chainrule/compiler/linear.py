"""Linear: how a product of matrices is put together from kernels.

Which operand is read in vectors, whether it is packed first, and which tiles cover the result is decided here, when a program is
written, by an estimate of how long each way takes.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import products, scalar, threads
from .direct import registers
from .program import Equation
from .table import Memory, Place, merged, whole

if TYPE_CHECKING:
    from .instructions import Instructions

_ITEMS = 64  # parts of a batch that are products of their own, before one operand is copied
_RATE = 50.0  # multiply-additions of float32 in a nanosecond on one core, with vectors of 64 bytes
_STRETCH = 512  # of the inner length, at most, after which sums go to memory: a panel of that length stays in the cache
_NEAR = 512  # bytes: rows that follow one another so closely do not fall into the same places of a cache
_FEW, _HELD = 8, 16  # rows or columns, and entries, of a matrix that is small
_CLOSE = 8  # entries: strides up to this are written out, and let neighbours be read together
_ENTRIES = 1 << 14  # of rows with few entries, in a block of work
_KEPT = 1 << 15  # bytes: a matrix that fits the first-level cache need not be packed


@dataclass(frozen=True, slots=True)
class Matrix:
    """Where entries lie in rows, and how many entries apart: ``down``, ``right``, from one matrix of a batch to the next."""

    place: Place
    down: int
    right: int
    apart: int

    @property
    def turned(self) -> Matrix:
        return Matrix(self.place, self.right, self.down, self.apart)

    def after(self, rows: int, columns: int) -> Matrix:
        """From an entry on."""
        return Matrix(self.place.after(rows * self.down + columns * self.right), self.down, self.right, self.apart)


def product(w: Instructions, eq: Equation) -> bool:
    """Write the instructions of a product."""
    if len(eq.vars) != 2 or eq.out.dtype not in scalar.FLOATS or any(v.dtype != eq.out.dtype for v in eq.vars):
        return False
    x, y = (w.at(v) for v in eq.vars)
    x = x if len(x.shape) > 1 else x.part((None, ...))
    y = y if len(y.shape) > 1 else y.part((..., None))
    m, k, n = *x.shape[-2:], y.shape[-1]
    out = w.new(eq.out)
    batch = eq.out.shape[:-2] if eq.name == "Matmul" else ()
    x, y = x.expanded((*batch, m, k)), y.expanded((*batch, k, n))
    c = out if eq.name == "Matmul" else out.part((..., None) if eq.name == "Mv" else (None, None))
    r = len(batch)
    axes = merged(batch, x.steps[:r], y.steps[:r], c.steps[:r])
    outer, (items, *apart) = axes[:-1], axes[-1] if axes else (1, 0, 0, 0)
    if math.prod(a[0] for a in outer) > _ITEMS:
        return False
    for index in itertools.product(*[range(a[0]) for a in outer]):

        def part(p: Place, which: int, index: tuple[int, ...] = index) -> Matrix:
            skipped = sum(i * axis[1 + which] for i, axis in zip(index, outer, strict=True))
            return Matrix(p.after(skipped), p.steps[-2], p.steps[-1], apart[which])

        _Product(w, part(x, 0), part(y, 1), part(c, 2), m, n, k, items).write()
    return True


def goes_by_rows(w: Instructions, eq: Equation) -> bool:
    """Whether some rows of a product of two matrices are complete before others are begun."""
    places = (*[w.at(v) for v in eq.vars], whole(Memory(), eq.out))
    a, b, c = (Matrix(p, p.steps[0], p.steps[1], 0) for p in places)
    product = _Product(w, a, b, c, eq.out.shape[0], eq.out.shape[1], a.place.shape[1], 1)
    lines = product.by_dots or product.by_rows or product.is_narrow or product.is_deep
    return not lines and product.cost() <= product.turned().cost()


class _Product:
    """``c = a b``, for each matrix of a batch."""

    is_turned = False

    def __init__(self, w: Instructions, a: Matrix, b: Matrix, c: Matrix, m: int, n: int, k: int, items: int) -> None:
        self.w, self.a, self.b, self.c, self.m, self.n, self.k, self.items = w, a, b, c, m, n, k, items
        self.dtype = c.place.dtype
        many, width = registers()
        self.lanes = width // self.dtype.itemsize
        self.rows = (12, 8, 4, 2, 1) if many > 16 else (6, 4, 2, 1)  # of tiles that registers can hold

    def turned(self) -> _Product:
        """The same product as ``cᵀ = bᵀ aᵀ``."""
        other = _Product(self.w, self.b.turned, self.a.turned, self.c.turned, self.n, self.m, self.k, self.items)
        other.is_turned = True
        return other

    def write(self) -> None:
        other = self.turned()
        best = self if self.cost() <= other.cost() else other
        if not best.small() and not best.lines():
            best.tiles()

    @property
    def is_narrow(self) -> bool:
        """Whether rows of a few entries meet a matrix that registers hold."""
        few = self.k <= _FEW and self.n <= _FEW and self.k * self.n <= _HELD
        return few and _is_close(self.a.down) and _is_close(self.c.down)

    @property
    def is_deep(self) -> bool:
        """Whether a few rows meet a few columns over any length."""
        few = self.m <= _FEW and self.n <= _FEW and self.m * self.n <= _HELD
        return few and _is_close(self.a.right) and _is_close(self.b.down)

    @property
    def by_dots(self) -> bool:
        return self.items == self.n == self.a.right == self.b.down == self.c.down == 1

    @property
    def direct(self) -> bool:
        """Whether vectors can be read where they are."""
        size = self.k * self.n * self.dtype.itemsize
        near = self.b.down * self.dtype.itemsize <= _NEAR
        return self.b.right == 1 and (self.m <= 3 * self.rows[0] or size <= _KEPT or near)

    @property
    def by_rows(self) -> bool:
        return self.items == self.m == self.b.right == self.c.right == 1 and self.n >= self.lanes

    def cost(self) -> float:
        """Nanoseconds, roughly."""
        if self.is_narrow or self.is_deep:
            return self.items * self.m * self.n * self.k / 20
        if self.by_dots:
            return self.m * (self.k / self.lanes / 5 + 1)
        if self.by_rows:
            return self.k * (self.n / self.lanes / 5 + 0.5)
        vectors = -(-self.n // self.lanes)
        work = sum(count * max(rows * 2, 4) for rows, count in self.heights()) * -(-vectors // 2) / 2 * self.k
        pack = 0.0 if self.direct else self.k * self.n * (0.2 if self.b.right == 1 else 1.0)
        spread = 0.0 if self.c.right == 1 else 1.0 * self.m * self.n
        return self.items * (work + pack + spread) / 3

    def heights(self) -> list[tuple[int, int]]:
        """Tiles that cover the rows: how high, and how many."""
        found, left = [], self.m
        for rows in self.rows:
            if left >= rows:
                found.append((rows, left // rows))
                left %= rows
        return found

    def small(self) -> bool:
        """A product with a small matrix, if it is that."""
        a, b, c, name = self.a, self.b, self.c, self.dtype.name
        steps = [a.down, a.right, b.down, b.right, c.down, c.right, a.apart, b.apart, c.apart]
        places: list[int | Place] = [a.place, b.place, c.place]
        if self.is_narrow:
            per = min(_ENTRIES // (self.k + self.n), self.m)
            groups = -(-self.m // per)
            text = products.narrow(name, self.k, self.n, a.down, c.down)
            self.w.add(text, [*places, self.m, *steps, groups, per], self.items * groups, self.cost())
        elif self.is_deep:
            text = products.deep(name, self.m, self.n, a.right, b.down)
            self.w.add(text, [*places, self.k, *steps], self.items, self.cost())
        else:
            return False
        return True

    def lines(self) -> bool:
        """A vector times a matrix, if it is that."""
        places: list[int | Place] = [self.a.place, self.b.place, self.c.place]
        if self.by_dots:
            per = max(4096 // self.k // 8 * 8, 8)
            text, blocks = products.dots(self.dtype.name, self.lanes), -(-self.m // per)
            self.w.add(text, [*places, self.m, self.k, self.a.down, per], blocks, self.cost())
        elif self.by_rows:
            vectors = -(-self.n // self.lanes)
            if alone := vectors <= min((registers()[0] - 4) // 2, 8):  # each takes two registers
                blocks = 1
            else:
                vectors, blocks = 4, -(-self.n // (4 * self.lanes))
            text = products.rows(self.dtype.name, self.lanes, vectors, alone)
            self.w.add(text, [*places, self.n, self.k, self.a.right, self.b.down], blocks, self.cost())
        else:
            return False
        return True

    def tiles(self) -> None:
        width = 2 * self.lanes
        b, panel = (self.b, width) if self.direct else (self.packed(self.b, self.n), self.k * width)
        full = self.n // width
        self.columns(b, 0, 2, full, panel, width)
        start = full * width
        if start < self.n:
            left = self.n - start
            last = b if not self.direct else self.packed(self.b.after(0, start), left)
            if not self.direct:
                last = Matrix(b.place.after(full * panel), width, 1, b.apart)
            self.columns(last, start, 1 if left <= self.lanes else 2, 1, 0, left)

    def columns(self, b: Matrix, start: int, vectors: int, panels: int, panel: int, wanted: int) -> None:
        """Panels from a column on: tiles of each height."""
        if not panels:
            return
        row, plain = 0, self.c.right == 1 and wanted == vectors * self.lanes
        for rows, count in self.heights():
            text = products.product(self.dtype.name, self.lanes, rows, vectors, plain, self.c.down == 1)
            cost = self.items * rows * count * panels * vectors * self.lanes * self.k / _RATE * self.dtype.itemsize / 4
            stretch = -(-self.k // -(-self.k // _STRETCH))
            per = max(count // max(4 * threads.count(), 16), 1) if self.items < 8 else count
            if self.w.near:
                per = min(per, max(self.w.near // rows, 1))
            groups = -(-count // per)
            a, c = self.a.after(row, 0), self.c.after(row, start)
            words: list[int | Place] = [
                c.place, a.place, b.place, count, panels, self.k, stretch, a.down, a.right, b.down, panel, c.down, c.right, wanted,
                per, groups, c.apart, a.apart, b.apart,
            ]  # fmt: skip
            self.w.add(text, words, self.items * groups, cost, rows=None if self.is_turned else (row, per * rows))
            row += rows * count

    def packed(self, b: Matrix, n: int) -> Matrix:
        """A matrix in panels, and the distance from one matrix of a batch to the next."""
        width = 2 * self.lanes
        panels = -(-n // width)
        items = self.items if b.apart else 1
        key = (b.place.memory, b.place.offset, b.down, b.right, b.apart, n, self.k, items)
        if key not in self.w.packed or self.w.packed[key][1] < self.w.now:
            until = max(self.w.needed.get(b.place.memory, 0), self.w.now)
            found = self.w.scratch((items * panels * self.k * width,), self.dtype, until)
            text = products.pack(self.dtype.name, width, b.right == 1)
            cost = items * self.k * n * (0.1 if b.right == 1 else 0.4)
            words: list[int | Place] = [b.place, found, n, self.k, b.down, b.right, panels, b.apart]
            self.w.add(text, words, items * panels, cost)
            self.w.packed[key] = found, until
        return Matrix(self.w.packed[key][0], width, 1, panels * self.k * width if items > 1 else 0)


def _is_close(stride: int) -> bool:
    return 0 <= stride <= _CLOSE
