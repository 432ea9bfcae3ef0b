"""Arrays of which is known what each entry depends on: how the pattern of a sparse derivative is found.

An entry's dependence is the set of input entries that its derivative may not be zero in, for any values whatever;
the sets of an array are the rows of a sparse matrix of truth values.  They follow from what an operation declares:
an elementwise one reads the same place of each argument, a reduction what it folds away, and a linear one shows
by moving labels where its entries come from.  A composite is gone through.  Of an operation that says nothing,
every entry is taken to depend on all entries of its arguments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import explained
from ..extras import load
from ..ops.reduce import Reduction
from ..primitive import Elementwise, Primitive, bind
from ..tensor import Tensor, init
from ..views import noting
from . import namespace as ns
from . import numpy_
from .namespace import dtype_of

Pattern = Any  # a scipy.sparse array of truth values, (entries, inputs); None: no dependence
Index = np.ndarray[Any, Any]
LIMIT = 1 << 25  # entries of a pattern: beyond it, nothing is sparse


class Dependence(Tensor):
    """An array whose values must not matter; ``_a`` is an example, for shapes and dtypes."""

    __slots__ = ()
    pattern: Pattern

    def _value(self, asked: str) -> Any:
        self._no_value()

    @noting
    def _interpret(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        if prim.composite:
            return prim.forward(ns.boxes, *args, **params)
        rank = self._rank
        mine = [isinstance(a, Dependence) and a._rank == rank for a in args]
        inner = [a._a if m else a for a, m in zip(args, mine, strict=True)]
        found = bind(prim, tuple(inner), params)
        outs = (found,) if prim.outputs is None else tuple(found)
        patterns = [None if p is None or not m else p.pattern for p, m in zip(args, mine, strict=True)]
        made = tuple([make(out, rank, union(prim, inner, mine, patterns, params, out, rank)) for out in outs])
        return made[0] if prim.outputs is None else made

    def _hold(self, result: Tensor) -> bool:
        super()._hold(result)
        if result._rank <= self._rank:
            self.pattern = result.pattern if isinstance(result, Dependence) and result._rank == self._rank else None
        return False


def make(a: Any, rank: int, pattern: Pattern) -> Dependence:
    d: Dependence = init(object.__new__(Dependence), a)
    d._rank, d.pattern = rank, pattern
    return d


def union(
    prim: Primitive, args: list[Any], mine: list[bool], patterns: list[Pattern], params: dict[str, Any], out: Any,
    rank: int,
) -> Pattern:  # fmt: skip
    """What the entries of ``out`` depend on, if those of ``args`` depend on ``patterns``."""
    if not prim.differentiable or all(p is None for p in patterns):
        return None
    total: Pattern = None
    for i, pattern in enumerate(patterns):
        if pattern is not None and _has_slope(prim, i):
            size = math.prod(out.shape)
            where = source_of(prim, args, mine, i, params, out)
            if where is None and prim.depends is not None:
                return _declared(prim, args, patterns, params, out, rank)
            part = everything(pattern, size) if where is None else taken(pattern, where, size)
            total = part if total is None or total is part else total + part
    return total


def _declared(
    prim: Primitive, args: list[Any], patterns: list[Pattern], params: dict[str, Any], out: Any, rank: int
) -> Pattern:  # fmt: skip
    """``depends`` is array code, read as a composite's body is."""
    given = [a if p is None else make(a, rank, p) for a, p in zip(args, patterns, strict=True)]
    code, known = prim.depends.__code__, {**params, "out_shape": tuple(out.shape)}
    return prim.depends(
        ns.boxes, *given, *[known[n] for n in code.co_varnames[1 + len(args) : code.co_argcount]]
    ).pattern


def _has_slope(prim: Primitive, i: int) -> bool:
    """Whether the derivative in argument i can be other than 0."""
    if prim.variadic or prim.args[i] in prim.linear:
        return True
    if isinstance(prim, Elementwise) and getattr(prim, f"d_{prim.args[i]}", None) == 0:
        return False
    return prim.pulls[i] is not None


def taken(pattern: Pattern, where: tuple[Index, Index], size: int) -> Pattern:
    """The rows of ``pattern`` put together: output entry where[0][k] depends on input entry where[1][k]."""
    to, source = where
    n = pattern.shape[0]
    if len(to) == size == n and np.array_equal(to, source):
        return pattern
    check(int(np.diff(pattern.indptr)[source].sum()))
    sparse = load("scipy.sparse", "special", "a sparse derivative")
    moves = sparse.csr_array((np.ones(len(to), bool), (to, source)), shape=(size, n))
    return moves @ pattern


def everything(pattern: Pattern, size: int) -> Pattern:
    """Each of ``size`` entries depends on all that some entry of ``pattern`` depends on."""
    columns = np.unique(pattern.indices)
    check(size * len(columns))
    sparse = load("scipy.sparse", "special", "a sparse derivative")
    rows = np.arange(size + 1) * len(columns)
    full = (np.ones(rows[-1], bool), np.tile(columns, size), rows)
    return sparse.csr_array(full, shape=(size, pattern.shape[1]))


def check(entries: int) -> None:
    if entries > LIMIT:
        raise explained(
            ValueError(
                f"the derivative is not sparse: a pattern on the way to it has {entries} entries"
                "\nUse jacrev, jacfwd or hessian, or only products with it: jvp, vjp."
            )
        )


# --- where the entries of a result come from ---


def source_of(
    prim: Primitive, args: list[Any], mine: list[bool], i: int, params: dict[str, Any], out: Any
) -> tuple[Index, Index] | None:
    """Pairs (output entry, entry of argument i that it depends on), in flat order; None if it may be any."""
    shape, size = tuple(args[i].shape), math.prod(out.shape)
    here = np.arange(math.prod(shape)).reshape(shape)
    if isinstance(prim, Elementwise):
        return np.arange(size), np.broadcast_to(here, out.shape).ravel()
    if isinstance(prim, Reduction):
        axis = [a % len(shape) for a in np.atleast_1d(params["axis"])]
        kept = [1 if a in axis else n for a, n in enumerate(shape)]
        return np.broadcast_to(np.arange(size).reshape(kept), shape).ravel(), here.ravel()
    alone = prim.variadic or prim.jointly_linear
    if len(prim.linear) > 1 and prim.depends is not None:  # a product says it at once
        return None
    if not (alone or prim.args[i] in prim.linear) or any(m for j, m in enumerate(mine) if j != i and not alone):
        return None
    raw = [_example(a) for a in args]

    def forwards(x: Index) -> Index:
        others = [np.zeros(a.shape, np.int64) if alone and hasattr(a, "shape") else a for a in raw]
        return np.asarray(prim.forward(numpy_, *others[:i], x.reshape(shape), *others[i + 1 :], **params))

    def backwards(g: Index) -> Index:
        full = {**params, **{f"{name}_shape": a.shape for name, a in zip(prim.args, raw, strict=True)}}
        return np.asarray(prim.pulls[i](numpy_, g.reshape(out.shape), (None, *raw), full))

    is_complex = [dtype_of(a).kind == "c" for a in (args[i], out)]
    labels = moved(forwards, math.prod(shape), is_complex[0])
    if labels is not None:
        return np.flatnonzero(labels), labels[labels > 0] - 1
    labels = None if prim.variadic or prim.pulls[i] is None else moved(backwards, size, is_complex[1])
    return None if labels is None else (labels[labels > 0] - 1, np.flatnonzero(labels))


def _example(a: Any) -> Any:
    while isinstance(a, Tensor):
        a = a._a
    return a


def moved(f: Any, size: int, is_complex: bool) -> Index | None:
    """Where ``f`` puts the labels 1 to size (0: nothing), if all it does is put them somewhere.

    Other labels, without pattern, must come out at the same places: sums of labels would not.
    """
    odd = np.random.default_rng(0).integers(1, 1 << 52, size + 1)
    odd[0] = 0
    total: Any = 0
    for unit in (complex(1), 1j) if is_complex else (1,):
        try:
            one, other = (f(labels * unit).ravel() for labels in (np.arange(1, size + 1), odd[1:]))
        except (TypeError, ValueError, AttributeError):  # it computes with numbers, not with whatever stands there
            return None
        for part, check in (
            ((one.real, other.real), (one.imag, other.imag)) if one.dtype.kind == "c" else ((one, other),)
        ):
            place, again = np.abs(part), np.abs(check)
            if place.size and not (place.max() <= size and (place == place.astype(np.intp)).all()):
                return None
            place = place.astype(np.intp)
            if not np.array_equal(again, odd[place]) or np.any((total > 0) & (place > 0) & (total != place)):
                return None
            total = np.maximum(total, place)
    return total  # type: ignore[no-any-return]
