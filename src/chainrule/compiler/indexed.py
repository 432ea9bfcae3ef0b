"""Indexed: entries read at places that an array names, and added up there, as kernels.

They return whether a place is none from 0 on: then the operation is done by NumPy, which counts from the end, or raises.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from . import scalar
from .program import Equation
from .table import WORD, Place

if TYPE_CHECKING:
    from .instructions import Instructions

_MANY = 4  # entries for one place, from which on they are added up in float64
_WITHIN = """\
def within(n: int, size: int, x_: int64[:], out_: int64[:]):
    far = False
    for i in range(size):
        k = x_[i]
        far = far | (k >= n) | (k < {low})
        out_[i] = {k}
    return far"""
# x as (outer, n, inner), places and results as (outer, m, inner); places may be the same for all of the last.
_GATHER = """\
def gather(outer: int, n: int, m: int, inner: int, x_: {dtype}[:], at_: int64[:], out_: {dtype}[:]):
    far = False
    for o in range(outer):
        for j in range(m):
            ys = out_[(o * m + j) * inner :]
            {row}
            for i in range(inner):
                {entry}
                ys[i] = x_[(o * n + place) * inner + i]
    return far"""
_PUT = """\
def put(outer: int, n: int, m: int, inner: int, x_: {dtype}[:], at_: int64[:], out_: {dtype}[:]):
    far = False
    {sums}
    for i in range(outer * n * inner):
        {total}[i] = {sum}(0.0)
    for o in range(outer):
        for j in range(m):
            xs = x_[(o * m + j) * inner :]
            {row}
            for i in range(inner):
                {entry}
                spot = (o * n + place) * inner + i
                {total}[spot] = {total}[spot] + {sum}(xs[i])
    {end}
    return far"""
_PLACE = "k = at_[{}]; outside = (k < 0) | (k >= n); far = far | outside; place = 0 if outside else k"


def within(w: Instructions, eq: Equation) -> bool:
    """Indices that are looked at."""
    n, (x,) = eq.params["n"], eq.vars
    if x.dtype != np.int64:
        return False
    low, k = (-n, "k + n if k < 0 else k") if eq.params["wraps"] else (0, "k")
    text = _WITHIN.format(low=f"{low}", k=k).replace("< -", "< 0 - ")
    w.add(text, [n, x.size, w.flat(x), w.new(eq.out)], cost=0.3 * x.size, equation=eq)
    return True


def along(w: Instructions, eq: Equation) -> bool:
    """Entries of, or added into, an array along one axis."""
    x, at = eq.vars
    axis, put = eq.params["axis"] % len(x.shape), eq.name == "PutAlong"
    lengths = eq.out.shape if put else x.shape
    if at.dtype != np.int64 or any(n != k for d, (n, k) in enumerate(zip(lengths, at.shape, strict=True)) if d != axis):
        return False
    if put and x.dtype not in scalar.FLOATS:
        return False
    outer, n, inner = math.prod(lengths[:axis]), lengths[axis], math.prod(lengths[axis + 1 :])
    m, place = at.shape[axis], w.at(at)
    rows = inner == 1 or not any(place.strides[axis + 1 :])
    first = place.part((*[slice(None)] * (axis + 1), *[0] * (len(lengths) - axis - 1), ...)) if rows else place
    if not (first if rows else place).is_plain:
        rows, place = False, w.flat(at)
    spot = "o * m + j" if rows else "(o * m + j) * inner + i"
    lines = {"row": _PLACE.format(spot), "entry": ""} if rows else {"row": "", "entry": _PLACE.format(spot)}
    return _written(w, eq, (outer, n, m, inner), place, lines)


def embedding(w: Instructions, eq: Equation) -> bool:
    """Rows of one table, and what was looked up added to them."""
    x, at = eq.vars
    put = eq.name == "EmbeddingAdded"
    rows, dim = (eq.params["rows"] if put else x.shape[0]), x.shape[-1]
    if at.dtype != np.int64 or len(at.shape) != eq.params["rank"] or len((eq.out if put else x).shape) != 2:
        return False
    if put and x.dtype not in scalar.FLOATS:
        return False
    lines = {"row": _PLACE.format("o * m + j"), "entry": ""}
    return _written(w, eq, (1, rows, at.size, dim), w.flat(at), lines)


def _written(w: Instructions, eq: Equation, sizes: tuple[int, ...], place: Place, lines: dict[str, str]) -> bool:
    outer, n, m, inner = sizes
    dtype = eq.out.dtype
    if eq.name in ("Gather", "Embedding"):
        text = _GATHER.format(dtype=WORD[dtype.itemsize], **lines)
    elif m > _MANY * n:
        sums, end = "total = np.empty(outer * n * inner, np.float64)", f"out_[i] = np.{dtype.name}(total[i])"
        text = _PUT.format(dtype=dtype.name, sums=sums, total="total", sum="np.float64",
                           end=f"for i in range(outer * n * inner): {end}", **lines)  # fmt: skip
    else:
        text = _PUT.format(dtype=dtype.name, sums="", total="out_", sum=f"np.{dtype.name}", end="", **lines)
    text = "\n".join(line for line in text.splitlines() if line.strip())
    w.add(text, [*sizes, w.flat(eq.vars[0]), place, w.new(eq.out)], cost=1.0 * outer * m * inner, equation=eq)
    return True
