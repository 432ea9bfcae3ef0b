"""All derivatives at once: Taylor series instead of nested gradients."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from ..arrays import namespace as ns
from ..arrays.taylor import Taylor, make
from ..tensor import Tensor, lower, wrap
from . import tree
from .levels import as_tensor, inside, level
from .vmap import vmap


def taylor(func: Callable[[Any], Any], x: Any, n: int, direction: Any = None) -> Any:
    """Coefficients of ``func(x + t·direction)`` in t, up to order ``n``, stacked along a new first dimension.

    ``x`` is a tensor, or a nest of them, and ``direction`` (ones unless given) alike; all elements of x move
    at once.  The k-th derivative is coefficient k times k!.  One pass, at a cost that grows as n², where nested
    gradients grow as 3ⁿ.

    >>> import chainrule as torch
    >>> torch.func.taylor(torch.exp, torch.tensor(0.0), 3)
    tensor([1.0000, 1.0000, 0.5000, 0.1667])
    """
    if n < 0:
        raise ValueError(f"taylor: the order must not be negative, got {n}")
    xs, rebuild = tree.flatten(x)
    xs = [as_tensor(a) for a in xs]
    directions = [ns.boxes.ones_like(a) for a in xs] if direction is None else _directions(direction, xs)
    with level() as rank:
        out = func(rebuild([_line(a, v, n, rank) for a, v in zip(xs, directions, strict=True)]))
        return tree.tree_map(lambda y: _stacked(y, n, rank), out)


def _directions(direction: Any, xs: list[Tensor]) -> list[Tensor]:
    found = [as_tensor(v) for v in tree.flatten(direction)[0]]
    have, want = [tuple(v.shape) for v in found], [tuple(x.shape) for x in xs]
    if have != want:
        raise ValueError(f"taylor: the direction must be as x is, of shapes {want}, got {have}")
    return [v if v._dtype == x._dtype else v.to(x.dtype) for v, x in zip(found, xs, strict=True)]


def _line(x: Tensor, v: Tensor, n: int, rank: int) -> Taylor:
    """``x + t·v`` to order ``n``."""
    bare = inside(x) is not x and inside(v) is not v
    terms = [inside(x), inside(v)] if bare else [x, v]
    return make([*terms, *[None] * (n - 1)][: n + 1], rank)


def _stacked(y: Any, n: int, rank: int) -> Tensor:
    xp = ns.boxes
    if not isinstance(y, Taylor) or y._rank != rank:
        y = as_tensor(y)
        return xp.stack([y, *[xp.zeros_like(y)] * n], axis=0)  # type: ignore[no-any-return]
    zero = ns.namespace([y._a]).zeros_like(y._a)
    return lower(xp.stack([zero if c is None else c for c in y.terms], axis=0))


def derivative(func: Callable[[Any], Any], n: int = 1) -> Callable[[Any], Any]:
    """The n-th derivative of a function of one variable, applied to each element of its argument.

    >>> import chainrule as torch
    >>> torch.func.derivative(torch.sin, 5)(torch.tensor(0.0))
    tensor(1.)
    """

    def wrapped(x: Any) -> Any:
        return tree.tree_map(lambda c: c[n] * float(math.factorial(n)), taylor(func, x, n))

    return wrapped


def partials(func: Callable[[Any], Any], order: int, *, chunk_size: int | None = None) -> Callable[[Any], Any]:
    """All partial derivatives of one order, as a function of x: for order 1 the Jacobian, for 2 the Hessian, and so on.

    For x of shape (n,) and an output of shape (m,) they have shape (m, n, ..., n), n as often as ``order`` says.
    Nests give nests, as with :func:`hessian`.  There are (n + order - 1 choose order) different ones, and as many
    Taylor series are computed, along one direction each, as one batch (``chunk_size`` at once); sums of their
    coefficients are the mixed partials.  Nested forward mode computes n to the power of ``order``.

    Source of the sums: Griewank, Utke and Walther, *Evaluating higher derivative tensors by forward propagation of
    univariate Taylor series*, Mathematics of Computation 69 (2000).

    >>> import chainrule as torch
    >>> torch.func.partials(lambda x: x[0] ** 2 * x[1], 3)(torch.tensor([1.0, 2.0]))[0, 0]
    tensor([0., 2.])
    """
    if order < 0:
        raise ValueError(f"partials: the order must not be negative, got {order}")

    def wrapped(x: Any) -> Any:
        if order == 0:
            return func(x)
        xs, rebuild = tree.flatten(x)
        xs = [as_tensor(a) for a in xs]
        sizes = [a.numel() for a in xs]
        n = sum(sizes)
        which = np.array(list(itertools.combinations_with_replacement(range(n), order)), dtype=np.intp).reshape(
            -1, order
        )
        rays = np.zeros((len(which), n))
        np.add.at(rays, (np.arange(len(which))[:, None], which), 1.0)
        parts = np.split(rays, np.cumsum(sizes)[:-1], axis=1)
        directions = [
            wrap(p.astype(a._dtype).reshape(len(which), *a.shape)) for p, a in zip(parts, xs, strict=True)
        ]  # fmt: skip

        def along(*v: Tensor) -> Any:
            return tree.tree_map(lambda c: c[order], taylor(func, x, order, rebuild(list(v))))

        coefficients = vmap(along, chunk_size=chunk_size)(*directions)
        places, weights = _interpolation(which)
        full = _positions(which, n, order)

        def assembled(c: Tensor) -> Any:
            w = weights.astype(c._dtype).reshape(*weights.shape, *[1] * (c.ndim - 1))
            found = (c[wrap(places)] * wrap(w)).sum(1)[wrap(full)]
            return _nested(found.movedim(0, -1), xs, sizes, rebuild, order)

        return tree.tree_map(assembled, coefficients)

    return wrapped


def _positions(which: np.ndarray[Any, Any], n: int, order: int) -> np.ndarray[Any, Any]:
    """For each of n ** order ordered choices of variables, the row of ``which`` that has them in order."""
    grid = np.sort(np.indices((n,) * order).reshape(order, -1), axis=0)
    base = n ** np.arange(order)[::-1]
    return np.searchsorted(which @ base, base @ grid)


def _interpolation(which: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """For each partial, of which series the coefficients are added up, and with which weights; both (partials, terms)."""
    row = {tuple(w): i for i, w in enumerate(which.tolist())}
    found = []
    for w in row:
        variables = sorted(set(w))
        terms = _weights(tuple(w.count(v) for v in variables))
        found.append(
            [(row[tuple(v for v, m in zip(variables, j, strict=True) for _ in range(m))], c) for j, c in terms]
        )
    most = max(map(len, found), default=0)
    places, weights = np.zeros((len(found), most), np.intp), np.zeros((len(found), most))
    for i, terms_ in enumerate(found):
        places[i] = i  # where there are fewer, itself with weight 0
        for t, (place, c) in enumerate(terms_):
            places[i, t], weights[i, t] = place, c
    return places, weights


@cache
def _weights(i: tuple[int, ...]) -> list[tuple[tuple[int, ...], float]]:
    """∂ⁱ from coefficients along rays j, |j| = |i|: pairs (j, weight), of the variables that i names."""
    d, found = sum(i), []
    for j in itertools.product(range(d + 1), repeat=len(i)):
        if sum(j) == d:
            total = Fraction(0)
            for m in itertools.product(*(range(k + 1) for k in i)):
                if s := sum(m):
                    term = Fraction(s, d) ** d * (-1) ** (d - s)
                    for ik, mk, jk in zip(i, m, j, strict=True):
                        term *= math.comb(ik, mk) * _binomial(Fraction(d * mk, s), jk)
                    total += term
            if total:
                found.append((j, float(total)))
    return found


def _binomial(a: Fraction, k: int) -> Fraction:
    return math.prod(((a - r) / (r + 1) for r in range(k)), start=Fraction(1))


def _nested(found: Tensor, xs: Sequence[Tensor], sizes: list[int], rebuild: Any, order: int) -> Any:
    """(..., n ** order) as (..., *shape, ..., *shape), in a nest per order where x is one."""
    n, lead = sum(sizes), tuple(found.shape[:-1])

    def cut(block: Tensor, shape: tuple[int, ...], left: int) -> Any:
        """``left`` axes of length n are to be cut, behind those that are done and have ``shape`` together."""
        if not left:
            return block.reshape(*lead, *shape)
        block = block.reshape(-1, n, n ** (left - 1))
        ends = list(itertools.accumulate(sizes))
        return rebuild([
            cut(block[:, end - size : end], (*shape, *x.shape), left - 1)
            for x, size, end in zip(xs, sizes, ends, strict=True)
        ])  # fmt: skip

    return cut(found, (), order)
