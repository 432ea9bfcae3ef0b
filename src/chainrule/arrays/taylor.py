"""Truncated Taylor series: all derivatives along a curve up to order n, in one sweep.

A series x(t) = x₀ + x₁ t + ... + xₙ tⁿ is stored as its coefficients, stacked along a first axis.  Every
operation y = f(x) follows from the one rule it has for tangents: y' = jvp(f, x, x'), coefficient by
coefficient, (k + 1) yₖ₊₁ = [jvp(f, x, x')]ₖ, where the right side needs only coefficients up to k, those
of y itself included.  (Griewank & Walther, *Evaluating Derivatives*, chapter 13.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..primitive import Primitive, bind
from ..tensor import Tensor, init
from . import namespace as ns


class Taylor(Tensor):
    """A series at one Taylor level; ``_a`` has shape (order + 1, *shape)."""

    __slots__ = ()

    @property
    def _shape(self) -> tuple[int, ...]:
        return tuple(self._a.shape[1:])

    @property
    def order(self) -> int:
        return int(self._a.shape[0]) - 1

    def _value(self) -> Any:
        return self._a[0]

    def _interpret(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        rank, n = self._rank, self.order
        moving = [isinstance(a, Taylor) and a._rank == rank for a in args]
        heads = tuple([a._a[0] if m else a for a, m in zip(args, moving, strict=True)])
        if not prim.differentiable:
            return bind(prim, heads, params)  # comparisons look at the value: choices are locally constant
        if prim.composite and not prim.pushes_through(moving):
            return prim.forward(ns.boxes, *args, **params)
        if prim.jointly_linear or prim.variadic:
            full = [a._a if m else constant(a, n) for a, m in zip(args, moving, strict=True)]
            return make(prim.batch(n + 1, full, [hasattr(a, "shape") for a in full], params), rank)
        series = [i for i, m in enumerate(moving) if m]
        if not prim.variadic and all(prim.args[i] in prim.linear for i in series):
            if len(series) == 1:
                inner = [a._a if m else a for a, m in zip(args, moving, strict=True)]
                return make(prim.batch(n + 1, inner, moving, params), rank)
            if len(series) == 2:
                return make(convolve(prim, args, series, params, n), rank)
        if prim.name == "Div":
            return make(divide(prim, *(a._a if m else constant(a, n) for a, m in zip(args, moving, strict=True))), rank)
        return self._integrate(prim, args, moving, heads, params)

    def _integrate(self, prim: Primitive, args: Sequence[Any], moving: list[bool], heads: Any, params: Any) -> Any:
        rank, n, xp = self._rank, self.order, ns.boxes
        coefficients = [bind(prim, heads, params)]
        refers_to_itself = any(m and "out" in needs for m, needs in zip(moving, prim.push_needs, strict=True))
        for m in range(n) if refers_to_itself else range(n - 1, n) if n else ():
            x = [cut(a, m, rank) if mv else a for a, mv in zip(args, moving, strict=True)]
            dx = [derivative(a, m, rank) if mv else None for a, mv in zip(args, moving, strict=True)]
            out = coefficients[0]  # for its shape, where the rule does not ask for its value
            if refers_to_itself and m:
                out = make(xp.stack(coefficients, axis=0), rank)
            slope = prim.jvp(xp, dx, out, x, params)
            have = slope._a if isinstance(slope, Taylor) and slope._rank == rank else None
            zero = xp.zeros_like(coefficients[0])
            for k in range(len(coefficients) - 1, m + 1):
                c = (slope if k == 0 else zero) if have is None else have[k]
                coefficients.append(c / (k + 1))
        like = coefficients[0]
        return make(xp.stack([xp.broadcast_to(c, tuple(like.shape)) for c in coefficients], axis=0), rank)

    def _hold(self, result: Tensor) -> None:
        super()._hold(result)
        if result._rank < self._rank:
            self._a = constant(result, self.order)


def make(a: Any, rank: int) -> Taylor:
    s: Taylor = init(object.__new__(Taylor), a)
    s._rank = rank
    return s


def constant(a: Any, n: int) -> Any:
    """A constant as a series of order n: itself, then zeros."""
    xp = ns.boxes
    if not hasattr(a, "shape"):
        a = xp.asarray(a)
    zero = xp.zeros_like(a)
    return xp.stack([a, *[zero] * n], axis=0)


def cut(x: Taylor, m: int, rank: int) -> Any:
    """x to order m; at order 0 simply its value."""
    return x._a[0] if m == 0 else make(x._a[: m + 1], rank)


def derivative(x: Taylor, m: int, rank: int) -> Any:
    """x'(t) to order m."""
    if m == 0:
        return x._a[1]
    xp = ns.boxes
    tail = x._a[1 : m + 2]
    factors = xp.astype(xp.asarray([float(k + 1) for k in range(m + 1)]), tail.dtype)
    return make(tail * xp.reshape(factors, (m + 1, *(1,) * (len(tail.shape) - 1))), rank)


def convolve(prim: Primitive, args: Sequence[Any], series: list[int], params: Any, n: int) -> Any:
    """The product of two series under an operation linear in each: Σᵢ f(xᵢ, yₖ₋ᵢ)."""
    xp = ns.boxes
    i, j = series
    x, y = args[i]._a, args[j]._a
    total = None
    for k in range(n + 1):
        one = list(args)
        one[i], one[j] = x[k], y[: n + 1 - k]
        flags = [q == j for q in range(len(args))]
        part = prim.batch(n + 1 - k, one, flags, params)
        if k:
            part = xp.concat([xp.zeros_like(part[:1])] * k + [part], axis=-len(part.shape))
        total = part if total is None else total + part
    return total


def divide(prim: Primitive, x: Any, y: Any) -> Any:
    """x/y by long division: the terms of q·y = x give each qₖ from those before it.

    The slope of a quotient holds a quotient, so integrating it would take twice as long with every order.
    """
    q: list[Any] = []
    for k in range(x.shape[0]):
        rest = x[k]
        for i in range(k):
            rest = rest - q[i] * y[k - i]
        q.append(bind(prim, (rest, y[0]), {}))
    return ns.boxes.stack(q, axis=0)
