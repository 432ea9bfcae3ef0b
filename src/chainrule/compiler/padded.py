"""Padded: smaller arrays inside larger ones, as loops read them: gradients of slices, and padding.

A loop over the larger one reads the smaller one at an offset where it lies, and a number elsewhere.  Along the last axis, where
that begins and ends divides a row into stretches; along others, it is asked once for a row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from . import scalar
from .program import Equation, Var

MOST = 8  # stretches that a row may fall into: each is a loop of its own


class Box(NamedTuple):
    """Where an array lies in a larger one: from which index on along each axis (negative: cut off), how far, and in what."""

    starts: tuple[int, ...]
    lengths: tuple[int, ...]
    fill: float

    def bounds(self, axis: int, n: int) -> tuple[int, int]:
        """From where to where along an axis of length n."""
        return max(self.starts[axis], 0), min(self.starts[axis] + self.lengths[axis], n)

    def covers(self, axis: int, n: int) -> bool:
        """Whether it is all that there is along an axis."""
        return self.starts[axis] == 0 and self.lengths[axis] == n


def box(eq: Equation) -> Box | None:
    """Where the argument of an equation lies in its result; None if the equation is not of that kind."""
    x = eq.args[0] if eq.name in ("PutAdd", "ConstantPadNd") else None
    if not isinstance(x, Var) or not x.size or x.dtype not in scalar.DTYPES or x.shape == eq.out.shape:
        return None
    if eq.name == "ConstantPadNd":
        widths = ((0, 0),) * (len(x.shape) - len(eq.params["widths"])) + tuple(eq.params["widths"])
        found = Box(tuple(a for a, _ in widths), x.shape, eq.params["value"])
    else:
        axes = ranges(eq.params["key"], eq.out.shape)
        if axes is None:
            return None
        found = Box(tuple(a for a, _ in axes), tuple(m for _, m in axes), 0)
    bounds = (found.bounds(k, n) for k, n in enumerate(eq.out.shape))
    return found if math.prod(found.lengths) == x.size and all(a < b for a, b in bounds) else None


def ranges(key: Sequence[Any], shape: tuple[int, ...]) -> list[tuple[int, int]] | None:
    """Start and length along each axis of what numbers and slices without gaps name."""
    key = list(key)
    if not all(k is Ellipsis or type(k) is int or isinstance(k, slice) for k in key):
        return None
    left = len(shape) - sum(k is not Ellipsis for k in key)
    if Ellipsis in key:
        at = key.index(Ellipsis)
        key[at : at + 1] = [slice(None)] * left
    else:
        key += [slice(None)] * left
    found = []
    for k, n in zip(key, shape, strict=True):
        if type(k) is int:
            found.append((k % n if n else 0, 1))
            continue
        start, stop, step = k.indices(n)
        if step != 1:
            return None
        found.append((start, max(stop - start, 0)))
    return found


def stretches(boxes: list[Box], axis: int, n: int) -> list[int]:
    """The bounds of the stretches that an axis of length n falls into."""
    return sorted({0, n, *(at for b in boxes for at in b.bounds(axis, n))})
