"""Simplify: the same numbers from fewer equations.

One pass, front to back: each equation is rewritten over what its arguments have become, constants are
computed, equations seen before are shared, and what nothing needs is dropped.  Only identities that hold
bit for bit are used, with signed zeros, infinities and nan: ``x * 1`` is x, but ``x + 0`` is not (at -0.0)
and ``x * 0`` is not 0 (at inf).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays.namespace import is_numpy
from ..primitive import Elementwise, compute, table
from .program import Atom, Equation, Program, Var, distinct, var_of

_COMMUTE = frozenset({"Add", "Mul"})
FOLD = 1 << 20  # constants larger than this are left to be computed


def simplify(program: Program, stops: bool = False) -> Program:
    """An equal program; with ``stops``, its derivatives are equal too."""
    result = _Simplifier(program, stops).run()
    if stops:
        return result
    turned = _turn(result)
    return result if turned is None else _Simplifier(turned).run()


class _Simplifier:
    def __init__(self, program: Program, stops: bool = False) -> None:
        self.source, self.stops = program, stops
        self.result = Program(list(program.inputs))
        self.now: dict[Var, Atom] = {v: v for v in program.inputs}
        self.made: dict[Var, Equation] = {}  # how a variable of the result comes about
        self.seen: dict[Any, tuple[Var, ...]] = {}

    def run(self) -> Program:
        for v, a in self.source.constants.items():
            self.now[v] = self.constant(a)
        for eq in self.source.equations:
            args = tuple(self.now[a] if isinstance(a, Var) else a for a in eq.args)
            if eq.prim.outputs is not None:
                self.now.update(zip(eq.outs, self.emit(eq.prim, args, eq.params, eq.outs), strict=True))
            else:
                self.now[eq.out] = self.rewrite(eq.prim, args, eq.params, eq.out)
        outputs = [self.now[a] if isinstance(a, Var) else a for a in self.source.outputs]
        return self.result.restricted(self.result.inputs, outputs)

    # --- building the result ---

    def constant(self, a: Any) -> Var:
        a = np.asarray(a)
        one = distinct(a)
        key = ("constant", a.shape, a.dtype, one.shape, one.tobytes())
        if key not in self.seen:
            self.seen[key] = (var_of(a),)
            self.result.constants[self.seen[key][0]] = a
        return self.seen[key][0]

    def value(self, a: Atom) -> Any:
        """The array or number that an atom is known to be; None if it is not known."""
        return self.result.constants.get(a) if isinstance(a, Var) else a

    def uniform(self, a: Atom) -> int | float | bool | None:
        """The number that all entries of an atom are known to be."""
        known = self.value(a)
        if known is None or not is_numpy(known):
            return known if isinstance(known, (int, float)) else None
        if not known.size or known.dtype.kind not in "fiub":
            return None
        if not any(known.strides):
            return known.flat[0].item()  # type: ignore[no-any-return]
        bits = np.ascontiguousarray(known).reshape(-1).view(f"u{known.itemsize}")  # tells -0.0 from 0.0
        number: int | float | bool = known.flat[0].item()
        return number if (bits == bits[0]).all() else None

    def definition(self, a: Atom, name: str) -> Equation | None:
        """The equation behind an atom, if it is a ``name``."""
        eq = self.made.get(a) if isinstance(a, Var) else None
        return eq if eq is not None and eq.name == name else None

    def emit(self, prim: Any, args: tuple[Atom, ...], params: dict[str, Any], like: tuple[Var, ...]) -> tuple[Var, ...]:
        """Results of an equation in the result: a known one, a constant, or a new one."""
        if type(prim).__name__ in _COMMUTE and all(isinstance(a, Var) for a in args):
            args = tuple(sorted(args, key=lambda v: v.number))
        key = (
            type(prim),
            tuple(a if isinstance(a, Var) else (type(a), repr(a)) for a in args),
            _frozen(params) if params else (),
        )
        found = self.seen.get(key)
        if found is None:
            known = [self.value(a) for a in args]
            if all(k is not None for k in known) and sum(v.size for v in like) <= FOLD:
                outs = compute(prim, tuple(known), params)
                found = tuple(self.constant(o) for o in ((outs,) if prim.outputs is None else outs))
            else:
                found = tuple(Var(v.shape, v.dtype) for v in like)
                eq = Equation(prim, args, params, found)
                self.result.equations.append(eq)
                self.made.update(dict.fromkeys(found, eq))
            self.seen[key] = found
        return found

    def new(self, name: str, args: tuple[Atom, ...], shape: tuple[int, ...], dtype: Any, /, **params: Any) -> Atom:
        return self.rewrite(table[name], args, params, Var(shape, dtype))

    def expand(self, a: Atom, shape: tuple[int, ...]) -> Atom:
        return a if a.shape == shape else self.new("Expand", (a,), shape, a.dtype, shape=shape)

    def reshape(self, a: Atom, shape: tuple[int, ...]) -> Atom:
        return a if a.shape == shape else self.new("Reshape", (a,), shape, a.dtype, shape=shape)

    def is_plain(self, a: Atom) -> bool:
        """Whether an array lies in memory in order, as far as can be known."""
        eq = self.made.get(a) if isinstance(a, Var) else None
        return eq is None or not eq.prim.view or (eq.name == "Reshape" and self.is_plain(eq.args[0]))

    # --- the rules ---

    def rewrite(self, prim: Any, args: tuple[Atom, ...], params: dict[str, Any], out: Var) -> Atom:
        """What ``out = prim(*args, **params)`` comes to."""
        rule = RULES.get(type(prim).__name__)
        found = (
            None if rule is None or (self.stops and type(prim).__name__ == "Stop") else rule(self, args, params, out)
        )
        if found is None and isinstance(prim, Elementwise):
            found = self.elementwise(prim, args, params, out)
        if found is None:
            found = self.emit(prim, args, params, (out,))[0]
        return found

    def elementwise(self, prim: Any, args: tuple[Atom, ...], params: dict[str, Any], out: Var) -> Atom | None:
        """Broadcasting and uniform constants left to the loop."""
        if any(isinstance(a, Var) and self.value(a) is None for a in args):
            thin: list[Atom] = []
            for a in args:
                eq = self.definition(a, "Expand")
                thin.append(eq.args[0] if eq is not None else a)
            for i, a in enumerate(thin):
                number = self.uniform(a) if isinstance(a, Var) and a.shape else None
                if number is not None:
                    thin[i] = self.constant(np.array(number, a.dtype))
            if tuple(thin) != args:
                shape = np.broadcast_shapes(*(a.shape for a in thin if isinstance(a, Var)))
                small = self.rewrite(prim, tuple(thin), params, Var(shape, out.dtype))
                return self.expand(small, out.shape)
        return None


def _frozen(value: Any) -> Any:
    """A parameter as something that can be a key."""
    if isinstance(value, dict):
        return tuple((k, _frozen(v)) for k, v in value.items())
    if isinstance(value, (tuple, list)):
        return (type(value), *[_frozen(v) for v in value])
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype, value.tobytes()
    if isinstance(value, slice):
        return "slice", value.start, value.stop, value.step
    return type(value), repr(value) if isinstance(value, float) else value


Rule = Callable[[_Simplifier, tuple[Atom, ...], dict[str, Any], Var], Atom | None]
RULES: dict[str, Rule] = {}


def _rule(*names: str) -> Callable[[Rule], Rule]:
    def note(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, rule))
        return rule

    return note


@_rule("Clone", "Stop")
def _same(s: _Simplifier, args: Any, params: Any, out: Var) -> Atom | None:
    return args[0]


@_rule("Conj", "Real")
def _real(s: _Simplifier, args: Any, params: Any, out: Var) -> Atom | None:
    return args[0] if args[0].kind != "c" else None


@_rule("Neg")
def _neg(s: _Simplifier, args: Any, params: Any, out: Var) -> Atom | None:
    eq = s.definition(args[0], "Neg")
    return None if eq is None else eq.args[0]


@_rule("Mul")
def _mul(s: _Simplifier, args: Any, params: Any, out: Var) -> Atom | None:
    for x, y in (args, args[::-1]):
        if isinstance(y, Var) and y.dtype == out.dtype and out.dtype.kind == "f":
            if s.uniform(x) == 1:
                return s.expand(y, out.shape)
            if s.uniform(x) == -1:
                return s.expand(s.new("Neg", (y,), y.shape, y.dtype), out.shape)
    return None


@_rule("Div")
def _div(s: _Simplifier, args: Any, params: Any, out: Var) -> Atom | None:
    x, y = args
    number = s.uniform(y)
    if number is None or not isinstance(x, Var) or x.dtype != out.dtype or out.dtype.kind != "f":
        return None
    if number == 1:
        return s.expand(x, out.shape)
    if number and math.isfinite(number) and abs(math.frexp(number)[0]) == 0.5 and 2.0**-100 < abs(number) < 2.0**100:
        return s.new("Mul", (x, 1 / number), out.shape, out.dtype)  # a power of two: as exact, and quicker
    return None


@_rule("Sub")
def _sub(s: _Simplifier, args: Any, params: Any, out: Var) -> Atom | None:
    x, y = args
    number = s.uniform(y)
    if isinstance(x, Var) and x.dtype == out.dtype and number == 0 and math.copysign(1, number) > 0:
        return s.expand(x, out.shape)  # x - 0.0 is x at -0.0 too
    eq = s.definition(y, "Neg")
    return None if eq is None else s.new("Add", (x, eq.args[0]), out.shape, out.dtype)


@_rule("Add")
def _add(s: _Simplifier, args: Any, params: Any, out: Var) -> Atom | None:
    for x, y in (args, args[::-1]):
        if isinstance(y, Var) and (eq := s.definition(y, "Neg")) is not None:
            return s.new("Sub", (x, eq.args[0]), out.shape, out.dtype)
    return _parts_put_together(s, args, out)


def _parts_put_together(s: _Simplifier, args: Any, out: Var) -> Atom | None:
    """A sum of rows, each put into zeros, that makes all of an array: these rows as they are, and a zero added."""
    rows: dict[int, Atom] = {}
    todo = [*args]
    while todo:
        a = todo.pop()
        eq = s.definition(a, "Add")
        if eq is not None and eq.out.shape == out.shape:
            todo += eq.args
            continue
        eq = s.definition(a, "PutAdd")
        if eq is None or eq.out.shape != out.shape or eq.out.dtype != out.dtype or len(rows) == out.shape[0]:
            return None
        row, *rest = eq.params["key"]
        if type(row) is not int or rest != [...] or row % out.shape[0] in rows:
            return None
        rows[row % out.shape[0]] = eq.args[0]
    if len(rows) < out.shape[0]:
        return None
    whole = s.new("Stack", tuple(rows[k] for k in sorted(rows)), out.shape, out.dtype, axis=-len(out.shape))
    return s.new("Add", (whole, 0.0), out.shape, out.dtype)  # which makes a zero of -0.0, as the sum does


@_rule("Pow")
def _pow(s: _Simplifier, args: Any, params: Any, out: Var) -> Atom | None:
    x, y = args
    if isinstance(x, Var) and x.dtype == out.dtype and out.dtype.kind in "fc":
        if s.uniform(y) == 1:
            return s.expand(x, out.shape)
        if s.uniform(y) == 2:
            return s.expand(s.new("Mul", (x, x), x.shape, out.dtype), out.shape)
    return None


@_rule("Where")
def _where(s: _Simplifier, args: Any, params: Any, out: Var) -> Atom | None:
    c, x, y = args
    choice = s.uniform(c)
    picked = x if choice or x is y else y if choice is not None else None
    if isinstance(picked, Var) and picked.dtype == out.dtype:
        return s.expand(picked, out.shape)
    return None


@_rule("Cast")
def _cast(s: _Simplifier, args: Any, params: Any, out: Var) -> Atom | None:
    return args[0] if args[0].dtype == out.dtype else None


@_rule("Reshape")
def _reshape(s: _Simplifier, args: Any, params: Any, out: Var) -> Atom | None:
    x = args[0]
    if x.shape == out.shape:
        return x
    eq = s.definition(x, "Reshape")
    return None if eq is None else s.new("Reshape", eq.args, out.shape, out.dtype, shape=out.shape)


@_rule("Expand")
def _expand(s: _Simplifier, args: Any, params: Any, out: Var) -> Atom | None:
    x = args[0]
    if x.shape == out.shape:
        return x
    eq = s.definition(x, "Expand")
    return None if eq is None else s.new("Expand", eq.args, out.shape, out.dtype, shape=out.shape)


@_rule("Permute")
def _permute(s: _Simplifier, args: Any, params: Any, out: Var) -> Atom | None:
    n = len(out.shape)
    axes = tuple(range(-n, -len(params["axes"]))) + tuple(params["axes"])
    if axes == tuple(range(-n, 0)):
        return args[0]
    eq = s.definition(args[0], "Permute")
    if eq is None:
        return None
    first = tuple(range(-n, -len(eq.params["axes"]))) + tuple(eq.params["axes"])
    return s.new("Permute", eq.args, out.shape, out.dtype, axes=tuple(first[a] for a in axes))


@_rule("Sum")
def _sum(s: _Simplifier, args: Any, params: Any, out: Var) -> Atom | None:
    x = args[0]
    if out.size == 1 and len(params["axis"]) < len(x.shape):  # which is a sum over all axes, as a loop may end in
        total = s.new("Sum", args, (), out.dtype, axis=tuple(range(-len(x.shape), 0)), keepdims=False)
        return s.reshape(total, out.shape)
    return _fold(s, args, params, out)


@_rule("Prod", "Amax", "Amin")
def _fold(s: _Simplifier, args: Any, params: Any, out: Var) -> Atom | None:
    x = args[0]
    if all(x.shape[a] == 1 for a in params["axis"]) and x.dtype == out.dtype:
        return s.new("Reshape", (x,), out.shape, out.dtype, shape=out.shape)
    product = s.definition(x, "Matmul")
    if product is not None and sorted(params["axis"]) == list(range(-len(x.shape), -2)):
        return _sum_of_products(s, product, out)
    return None


def _sum_of_products(s: _Simplifier, product: Equation, out: Var) -> Atom | None:
    """A sum of products ``xᵀ y`` over all of a batch: one product, of the batch laid end to end."""
    turned, y = s.definition(product.args[0], "Permute"), product.args[1]
    if turned is None or not _is_turn(turned) or not isinstance(y, Var):
        return None
    x = turned.args[0]
    if x.shape[:-1] != y.shape[:-1] or not (s.is_plain(x) and s.is_plain(y)):
        return None
    a, b = (s.reshape(v, (math.prod(v.shape[:-1]), v.shape[-1])) for v in (x, y))
    a = s.new("Permute", (a,), a.shape[::-1], a.dtype, axes=(-1, -2))
    return s.reshape(s.new("Matmul", (a, b), (a.shape[0], b.shape[1]), out.dtype), out.shape)


@_rule("Matmul")
def _matmul(s: _Simplifier, args: Any, params: Any, out: Var) -> Atom | None:
    """Many rows at once where a whole batch meets the same matrix; a column times a row is left to a loop."""
    x, y = args
    if x.shape[-1] == 1 and min(len(x.shape), len(y.shape)) > 1 and out.dtype.kind == "f" and x.dtype == y.dtype:
        return s.new("Add", (s.new("Mul", args, out.shape, out.dtype), 0.0), out.shape, out.dtype)  # no sum is -0.0
    if len(x.shape) < 3 or len(y.shape) != 2 or not s.is_plain(x):
        return None
    rows = s.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))
    return s.reshape(s.new("Matmul", (rows, y), (rows.shape[0], out.shape[-1]), out.dtype), out.shape)


def _is_turn(eq: Equation) -> bool:
    """Whether a permutation exchanges the last two axes, and them only."""
    n = len(eq.out.shape)
    return n > 1 and tuple(eq.params["axes"]) in ((-1, -2), (*range(-n, -2), -1, -2))


@_rule("GetItem")
def _getitem(s: _Simplifier, args: Any, params: Any, out: Var) -> Atom | None:
    x = args[0]
    basic = all(k is None or k is Ellipsis or isinstance(k, slice) for k in params["key"])
    if basic and x.size == out.size and all(k.step in (None, 1) for k in params["key"] if isinstance(k, slice)):
        return s.new("Reshape", (x,), out.shape, out.dtype, shape=out.shape)
    first, *rest = params["key"]
    eq = s.definition(x, "Stack") if type(first) is int and rest == [...] else None
    if eq is not None and eq.params["axis"] == -len(x.shape):
        return eq.args[first]
    return None


def _turn(program: Program) -> Program | None:
    """``(x y)ᵀ`` as ``yᵀ xᵀ``, which makes it in memory as it is wanted; None if there is no such product."""
    users, makers = program.users(), {v: eq for eq in program.equations for v in eq.outs}
    found: dict[Equation, Equation] = {}  # transpositions, and the products that only they use
    for eq in program.equations:
        x = eq.args[0] if eq.name == "Permute" else None
        product = makers.get(x) if isinstance(x, Var) and _is_turn(eq) else None
        if product is not None and product.name == "Matmul" and len(users[product.out]) == 1:
            if product.out not in program.outputs and all(len(v.shape) == len(eq.out.shape) for v in product.vars):
                found[eq] = product
    if not found:
        return None
    equations = []
    for eq in program.equations:
        if eq in found:
            shapes = [(*v.shape[:-2], v.shape[-1], v.shape[-2]) for v in found[eq].vars]
            turned = [
                Equation(eq.prim, (v,), eq.params, (Var(shape, v.dtype),))
                for v, shape in zip(found[eq].vars[::-1], shapes[::-1], strict=True)
            ]
            args = tuple(t.out for t in turned)
            equations += [*turned, Equation(found[eq].prim, args, {}, eq.outs)]
        elif eq not in found.values():
            equations.append(eq)
    return Program(program.inputs, program.constants, equations, program.outputs)
