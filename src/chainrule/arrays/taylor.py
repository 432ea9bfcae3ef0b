"""Truncated Taylor series: all derivatives along a curve up to order n, in one sweep.

A series x(t) = x₀ + x₁ t + ... + xₙ tⁿ is kept term by term; a term that is zero whatever the numbers is None.
Every operation y = f(x) follows from the one rule it has for tangents, read as a differential equation:
y' = jvp(f, x, x'), so (k + 1) yₖ₊₁ = [jvp(f, x, x')]ₖ, where the right side needs terms up to k only, those of
y itself included.  The rule runs once, on series that are still growing: what it does is written down as a small
system of equations, of which each new term is one step.  Only products and quotients of series have formulas of
their own.  (Griewank & Walther, *Evaluating Derivatives*, chapter 13.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..primitive import Primitive, bind, table
from ..quiet import quietly, reset_errors
from ..tensor import Tensor, init, lower
from ..views import noting
from . import namespace as ns

Step = Callable[["Growing", int], Any]  # term k of a series, of which those before it are known


class Taylor(Tensor):
    """A series at one Taylor level: ``terms[k]`` belongs to tᵏ, and ``_a`` is ``terms[0]``."""

    __slots__ = ()
    terms: list[Any]

    @property
    def order(self) -> int:
        return len(self.terms) - 1

    @noting
    def _interpret(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        moving = [isinstance(a, Taylor) and a._rank == self._rank for a in args]
        if not prim.differentiable:  # comparisons look at the value: choices are locally constant
            found = bind(prim, tuple([a._a if m else a for a, m in zip(args, moving, strict=True)]), params)
            return lower(found) if prim.outputs is None else tuple(map(lower, found))
        if prim.composite and not prim.pushes_through(moving):
            return prim.forward(ns.boxes, *args, **params)
        for a, m in zip(args, moving, strict=True):
            if m and isinstance(a, Growing):
                return a.system.apply(prim, args, moving, params)
        system = System(self._rank)
        for token in quietly:
            try:
                out = system.apply(prim, args, moving, params)
                grow(out, self.order)
            finally:
                reset_errors(token)
                system.end()
            break
        return make(out.terms, self._rank)

    def _hold(self, result: Tensor) -> bool:
        super()._hold(result)
        if isinstance(result, Taylor) and result._rank == self._rank:
            self.terms = [self._a, *result.terms[1:]]
        elif result._rank < self._rank:
            self.terms = [self._a, *[None] * self.order]
        return False


class Growing(Taylor):
    """A series of which only the first terms are known so far."""

    __slots__ = ()
    system: System
    inputs: list[tuple[Growing, int]]  # term k needs term k + shift of each (series, shift)
    step: Step


def make(terms: list[Any], rank: int) -> Taylor:
    s: Taylor = init(object.__new__(Taylor), terms[0])
    s._rank, s.terms = rank, terms
    return s


def grow(s: Growing, order: int) -> None:
    """Find the terms of ``s`` up to ``order``, and what they need of others: a stack, since that may lead far."""
    stack = [(s, order)]
    while stack:
        s, last = stack[-1]
        k = len(s.terms)
        if k > last:
            stack.pop()
            continue
        missing = [(x, k + shift) for x, shift in s.inputs if len(x.terms) <= k + shift]
        if missing:
            stack += missing
        else:
            s.terms.append(s.step(s, k))


class System:
    """Series that grow together: the arguments of one operation, and all that its tangent rule makes of them."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.found: dict[Any, Growing] = {}  # what was applied to what: the sine in the slope of the cosine is known
        self.kept: list[Any] = []  # whose ids are in use there
        self.all: list[Growing] = []

    def series(self, terms: list[Any], inputs: list[tuple[Growing, int]], step: Any) -> Growing:
        s: Growing = init(object.__new__(Growing), terms[0])
        s._rank, s.system, s.terms, s.inputs, s.step = self.rank, self, terms, inputs, step
        self.all.append(s)
        return s

    def end(self) -> None:
        """Let go of what knows each other in a circle, which would wait for the garbage collector."""
        for s in self.all:
            s.inputs, s.step = [], None  # type: ignore[assignment]
        for held in (self.found, self.kept, self.all):
            held.clear()

    def given(self, x: Taylor) -> Growing:
        """A series that is known already."""
        if isinstance(x, Growing):
            return x
        if id(x) not in self.found:
            self.found[id(x)] = self.series(x.terms, [], None)
            self.kept.append(x)
        return self.found[id(x)]

    def derivative(self, x: Growing) -> Growing:
        """x'(t)."""
        first = x.terms[1] if x.terms[1] is not None else ns.namespace([x._a]).zeros_like(x._a)
        return self.series([first], [(x, 1)], lambda s, k: times(x.terms[k + 1], k + 1))

    def apply(self, prim: Primitive, args: Sequence[Any], moving: list[bool], params: dict[str, Any]) -> Growing:
        """The series of what ``prim`` gives: its value, and how it goes on."""
        full = [self.given(a) if m else bare(a) for a, m in zip(args, moving, strict=True)]
        key = (type(prim), *[a if isinstance(a, (int, float, complex)) else id(a) for a in full])
        if not params and key in self.found:
            return self.found[key]
        heads = [a._a if m else a for a, m in zip(full, moving, strict=True)]
        head = bind(prim, tuple(heads), params)
        names = {name for name, m in zip(prim.args, moving, strict=False) if m}
        step: Step
        if steady(prim, names):
            step = by_tangents(prim, full, moving, heads, head, params)
        elif names <= set(prim.linear):
            step = by_products(prim, full, moving, heads, params)
        elif prim.undoes:
            step = by_division(prim, full, moving, heads)
        else:
            step = by_flow(prim, full, moving, params)
        s = self.series([head], [(a, 0) for a, m in zip(full, moving, strict=True) if m], step)
        if not params:
            self.found[key] = s
            self.kept.append(full)
        return s


def bare(a: Any) -> Any:
    """A constant; if nothing tracks it, the array itself."""
    return a._a if isinstance(a, Tensor) and a._rank == 2 and not (a._rg or a._first) else a


def times(a: Any, factor: Any) -> Any:
    return None if a is None else a * factor


def steady(prim: Primitive, moving: set[str]) -> bool:
    """Whether the tangent map is the same all along the curve: then it takes each term to a term."""
    if prim.jointly_linear or prim.variadic:
        return True
    changing = moving | {"out"}
    for name, needed in zip(prim.args, prim.push_needs, strict=True):
        if name in moving and (len(moving) > 1 if name in prim.linear else needed & changing):
            return False
    return True


def directly(prim: Primitive, heads: list[Any]) -> Callable[[Sequence[Any], Any], Any]:
    """``prim`` on many terms of one kind: without the ways that lead to it, where they are bare arrays."""
    xp, forward = ns.namespace(heads), prim.forward
    if xp is ns.boxes:
        return lambda args, params: bind(prim, tuple(args), params)
    return lambda args, params: forward(xp, *args, **params)


def by_tangents(prim: Primitive, args: list[Any], moving: list[bool], heads: list[Any], head: Any, params: Any) -> Step:
    def step(s: Growing, k: int) -> Any:
        terms = [a.terms[k] if m else None for a, m in zip(args, moving, strict=True)]
        there = [t for t in terms if t is not None]
        return prim.jvp(ns.namespace(heads + there), terms, head, heads, params) if there else None

    return step


def by_products(prim: Primitive, args: list[Any], moving: list[bool], heads: list[Any], params: Any) -> Step:
    """Linear in each of several series: Σ f(xᵢ, yⱼ) over i + j = k."""
    apply = directly(prim, heads)
    places = [i for i, m in enumerate(moving) if m]

    def step(s: Growing, k: int) -> Any:
        total, full = None, list(args)
        for orders in sums(k, len(places)):
            for i, order in zip(places, orders, strict=True):
                full[i] = args[i].terms[order]
                if full[i] is None:
                    break
            else:
                part = apply(full, params)
                total = part if total is None else total + part
        return total

    return step


def sums(k: int, n: int) -> Iterator[tuple[int, ...]]:
    """The ways to write k as a sum of n numbers, 0 among them."""
    if n == 1:
        yield (k,)
        return
    for i in range(k + 1):
        for rest in sums(k - i, n - 1):
            yield (i, *rest)


def by_division(prim: Primitive, args: list[Any], moving: list[bool], heads: list[Any]) -> Step:
    """q = x / y is what q · y = x says: each term of q from those before it."""
    divide, multiply = directly(prim, heads), directly(table[prim.undoes], heads)
    x, y = args

    def step(q: Growing, k: int) -> Any:
        rest = x.terms[k] if moving[0] else None
        for i in range(k):
            if q.terms[i] is not None and y.terms[k - i] is not None:
                part = multiply((q.terms[i], y.terms[k - i]), {})
                rest = -part if rest is None else rest - part
        return None if rest is None else divide((rest, y._a), {})

    return step


def by_flow(prim: Primitive, args: list[Any], moving: list[bool], params: Any) -> Step:
    """y' = the tangent rule, applied to series: term k of y from term k - 1 of that."""
    slope: Any = None

    def step(s: Growing, k: int) -> Any:
        nonlocal slope
        if k == 1:  # not before: the slope has slopes of its own, and so on
            tangents = [s.system.derivative(a) if m else None for a, m in zip(args, moving, strict=True)]
            slope = prim.flow(ns.boxes, tangents, s, args, params)
            if isinstance(slope, Growing) and slope._rank == s._rank:
                s.inputs.append((slope, -1))
            else:
                slope = make([bare(slope)], s._rank)
        term = slope.terms[k - 1] if k <= len(slope.terms) else None
        return term if k == 1 or term is None else term / k

    return step
