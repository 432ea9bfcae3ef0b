"""Moves: operations that put entries elsewhere, as copies between places; and running sums."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from . import scalar
from .program import Equation
from .table import WORD, Memory, Place

if TYPE_CHECKING:
    from .instructions import Instructions

_PIECES = 8  # copies that one operation may take
_FILL = """\
def fill(n: int, value: {dtype}, y_: {dtype}[:]):
    for i in range(n):
        y_[i] = value"""
_ALONG_LAST = """\
def running(outer: int, n: int, inner: int, x_: {dtype}[:], out_: {dtype}[:]):
    for o in range(outer):
        total = x_[o * n]
        out_[o * n] = total
        for k in range(o * n + 1, o * n + n):
            total = total + x_[k]
            out_[k] = total"""
_ALONG = """\
def running(outer: int, n: int, inner: int, x_: {dtype}[:], out_: {dtype}[:]):
    for o in range(outer):
        xs = x_[o * n * inner :]
        ys = out_[o * n * inner :]
        for i in range(inner):
            ys[i] = xs[i]
        for k in range(1, n):
            for i in range(inner):
                ys[k * inner + i] = ys[k * inner - inner + i] + xs[k * inner + i]"""

_OTHERS = """\
def others(n: int, x_: {dtype}[:], out_: {dtype}[:]):
    before = np.empty(n, np.float64)
    after = np.empty(n, np.float64)
    low = np.float64(0.0)
    high = np.float64(0.0)
    for i in range(n):
        before[i] = low
        low = low + np.float64(x_[i])
        after[n - 1 - i] = high
        high = high + np.float64(x_[n - 1 - i])
    for i in range(n):
        out_[i] = np.{dtype}(before[i] + after[i])"""


def flip(w: Instructions, eq: Equation) -> bool:
    x = w.at(eq.vars[0])
    turned = {a % len(x.shape) for a in eq.params["axis"]}
    key = [slice(None, None, -1 if a in turned else 1) for a in range(len(x.shape))]
    w.copy(x.part((*key, ...)), w.new(eq.out))
    return True


def roll(w: Instructions, eq: Equation) -> bool:
    x, sizes = w.at(eq.vars[0]), eq.out.shape
    shifts: dict[int, int] = {}
    for s, a in zip(eq.params["shift"], eq.params["axis"], strict=True):
        shifts[a % len(sizes)] = (shifts.get(a % len(sizes), 0) + s) % sizes[a]
    if 2 ** len(shifts) > _PIECES:
        return False
    out, whole = w.new(eq.out), slice(None)
    pieces = [
        [(slice(n - s, None), slice(0, s)), (slice(0, n - s), slice(s, None))]
        if (s := shifts.get(a, 0))
        else [(whole, whole)]
        for a, n in enumerate(sizes)
    ]
    for piece in itertools.product(*pieces):
        w.copy(x.part(tuple(p[0] for p in piece)), out.part(tuple(p[1] for p in piece)))
    return True


def repeat(w: Instructions, eq: Equation) -> bool:
    x, out = w.at(eq.vars[0]), w.new(eq.out)
    lengths = (1,) * (len(eq.out.shape) - len(x.shape)) + x.shape
    pairs = [(k // n, n) for k, n in zip(eq.out.shape, lengths, strict=True)]
    steps = [(n * s, s) for (_, n), s in zip(pairs, out.strides, strict=True)]
    shape = tuple(itertools.chain(*pairs))
    target = Place(out.memory, shape, out.dtype, tuple(itertools.chain(*steps)), out.offset)
    spread = x.part((None,) * (len(lengths) - len(x.shape)) + (...,))
    w.copy(spread.part((*(None, slice(None)) * len(lengths), ...)).expanded(shape), target)
    return True


def pad(w: Instructions, eq: Equation) -> bool:
    x, out, widths = w.at(eq.vars[0]), w.new(eq.out), eq.params["widths"]
    value = np.array(eq.params["value"], x.dtype).view(WORD[x.dtype.itemsize])
    size, lead = math.prod(eq.out.shape), len(x.shape) - len(widths)
    filler = Place(Memory(constant=value), (), value.dtype, ())
    w.add(_FILL.format(dtype=value.dtype.name), [size, filler, out], cost=0.1 * size)

    def inside(n: int, before: int, after: int) -> slice:
        return slice(max(before, 0), n - max(after, 0))

    source = (..., *(inside(n, -a, -b) for n, (a, b) in zip(x.shape[lead:], widths, strict=True)))
    target = (..., *(inside(n, a, b) for n, (a, b) in zip(eq.out.shape[lead:], widths, strict=True)))
    part = x.part(source)
    if math.prod(part.shape):
        w.copy(part, out.part(target))
    return True


def running(w: Instructions, eq: Equation) -> bool:
    x = eq.vars[0]
    if x.dtype not in scalar.FLOATS | scalar.INTEGERS or eq.out.dtype != x.dtype:
        return False
    axis = eq.params["axis"] % len(x.shape)
    outer, n, inner = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])
    text = (_ALONG_LAST if inner == 1 else _ALONG).format(dtype=x.dtype.name)
    w.add(text, [outer, n, inner, w.flat(x), w.new(eq.out)], cost=1.0 * x.size)
    return True


def others(w: Instructions, eq: Equation) -> bool:
    x = eq.vars[0]
    w.add(_OTHERS.format(dtype=x.dtype.name), [x.size, w.flat(x), w.new(eq.out)], cost=2.0 * x.size)
    return True


WRITERS: dict[str, Any] = {
    "Flip": flip,
    "Roll": roll,
    "Repeat": repeat,
    "ConstantPadNd": pad,
    "CumSum": running,
    "Others": others,
}
