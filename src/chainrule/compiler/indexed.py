"""Indexed: entries read at places that an array names, and added up there, as kernels.

They return whether a place is none from 0 on: then the operation is done by NumPy, which counts from the end, or raises.
"""

from __future__ import annotations

from collections.abc import Callable

from . import scalar
from .emit import Source
from .program import Equation

_GATHER = """\
def loop(n: int, size: int, x_: {dtype}[:], at_: int64[:], out_: {dtype}[:]):
    far = False
    for i in range(n):
        k = at_[i]
        outside = (k < 0) | (k >= size)
        far = far | outside
        out_[i] = x_[0 if outside else k]
    return far"""
_PUT = """\
def loop(n: int, size: int, x_: {dtype}[:], at_: int64[:], out_: {dtype}[:]):
    far = False
    total = np.empty(size, np.float64)
    for i in range(size):
        total[i] = 0.0
    for i in range(n):
        k = at_[i]
        outside = (k < 0) | (k >= size)
        far = far | outside
        j = 0 if outside else k
        total[j] = total[j] + np.float64(x_[i])
    for i in range(size):
        out_[i] = np.{dtype}(total[i])
    return far"""


def _gather(eq: Equation) -> bool:
    x, at = eq.vars
    return len(x.shape) == len(at.shape) == 1 and eq.out.dtype in scalar.FLOATS | scalar.INTEGERS


def _put(eq: Equation) -> bool:
    x, at = eq.vars
    return len(x.shape) == 1 and x.shape == at.shape and eq.out.dtype in scalar.FLOATS


_KINDS: dict[str, tuple[str, Callable[[Equation], bool]]] = {"Gather": (_GATHER, _gather), "PutAlong": (_PUT, _put)}


def indexed_source(eq: Equation) -> Source | None:
    """The kernel of an equation that reads or adds at places along one axis."""
    text, fits = _KINDS.get(eq.name, ("", None))
    if fits is None or len(eq.vars) != 2 or eq.vars[1].dtype != "int64" or not fits(eq):
        return None
    if not eq.vars[0].size or not eq.vars[1].size:
        return None
    size = (eq.out if eq.name == "PutAlong" else eq.vars[0]).size
    lengths = (eq.vars[1].size, size)
    return Source(text.format(dtype=eq.out.dtype.name), "", list(eq.vars), [], [eq.out], [], lengths=lengths)
