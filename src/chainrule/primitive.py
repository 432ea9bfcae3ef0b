"""Primitives: what it means to declare an operation, and who interprets it.

A declaration is a class: facts first, then formulas, each written once as array-API code over a namespace
``xp``.  Formulas are named after what they give and for which argument, and take, by name, what they
need: ``xp``, ``g`` (cotangent), ``t`` (tangent), ``out``, any argument, ``x_shape`` for the shape of
argument ``x``, and static parameters.  Only what is named is kept for backward.

    class Mul(Elementwise):
        forward = lambda xp, x, y: x * y
        d_x = lambda y: y
        d_y = lambda x: x

The kind supplies the rest: an Elementwise has slopes ``d_x``, from which both modes follow; others give
``vjp_x`` and, unless linear in it, ``jvp_x``; an axis for vmap comes first, so parameters count axes
from the end and most operations need not know that they are batched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any, ClassVar

import numpy as np

from . import dtypes, errors
from .arrays import namespace as ns
from .arrays import numpy_
from .arrays.namespace import dtype_of, namespace
from .errors import explained
from .node import Box, Node
from .quiet import quietly, reset_errors
from .tensor import Tensor, wrap

RULE = "<rule>"  # where a traceback says that a rule's call stands
table: dict[str, Primitive] = {}  # every declared operation, by name

_VARARGS = 4  # the flag of a code object that takes *args


def _adapt(rule: Any, prim: Primitive, first: str, around: str = "{}") -> Any:
    """``rule``, which takes what it names, as ``(xp, first, saved, params)``; and the names it takes.

    The call is spelled out once, here, from the rule's own parameter names (never from a user's text), so
    that a sweep pays for no look-up by name.  ``around`` is an expression around the call.
    """
    slots = {"xp": "xp", first: first, "out": "s[0]"}
    for i, name in enumerate(prim.args):
        slots[name] = f"s[{i + 1}]"
        slots[f"{name}_shape"] = f"p['{name}_shape']"
    slots.update({name: f"p['{name}']" for name in (*prim.params, "wanted")})
    wanted = rule.__code__.co_varnames[: rule.__code__.co_argcount]
    call = ", ".join(slots[name] for name in wanted)
    source = f"lambda xp, {first}, s, p: {around.format(f'rule({call})')}"
    return eval(compile(source, RULE, "eval"), {"rule": rule, "conj": conj, "cut": cut}), frozenset(wanted)


def alone(node: type[Node], place: int) -> type[Node]:
    """The same kind of node for when only the argument at ``place`` can have an edge."""
    return type(node.__name__, (node,), {"__slots__": (), "place": place, "alone": staticmethod(node.pulls[place])})


def _one_of(whole: Any, place: int, count: int) -> Any:
    """The rule for one argument, of one that answers for all."""
    wanted = [i == place for i in range(count)]
    return lambda xp, g, s, p: whole(xp, g, s, {**p, "wanted": wanted})[place]


def _pull_all(node: Any, sweep: Any, g: Any, saved: Any) -> Any:
    """What a node does whose operation has one rule for all arguments."""
    return node.prim.whole(sweep.xp, g, saved, {**node.params, "wanted": [e is not None for e in node.edges]})


class Primitive:
    """One operation.  Positional arguments are arrays, keyword arguments are static."""

    linear: ClassVar[tuple[str, ...]] = ()  # arguments it is linear in: there, the jvp is the op itself
    samples: ClassVar[Any] = ()  # [(arrays or shapes, params), ...]; the tests read them
    conjugates: ClassVar[bool] = False  # over complex numbers the slopes are conjugated
    broadcasts: bool = False  # inputs may be smaller than, or of another dtype than, the cotangent
    jointly_linear: ClassVar[bool] = False  # linear in all arguments taken together, as x + y is
    undoes: ClassVar[str] = ""  # the product that, with the second argument, gives back the first
    depends: ClassVar[Any] = None  # array code whose entries depend on the same ones, where that does not follow
    view: ClassVar[bool] = False  # the output may share memory with the input
    real_only: ClassVar[Exception | None] = None  # PyTorch's error for complex numbers; ``{}`` is their type's name
    of_numbers: ClassVar[bool] = False  # PyTorch's function of this name takes two numbers, too
    wrong_out: ClassVar[str] = ""  # PyTorch's words for ``out=`` of another dtype, where they are not the usual ones
    refused: ClassVar[str] = "c"  # the kinds of dtypes that it is for
    differentiable: ClassVar[bool] = True
    outputs: ClassVar[int | None] = None  # None: one array; else forward gives a tuple
    formula: ClassVar[bool] = True  # False: an algorithm over numbers, through which symbols cannot flow
    composite: ClassVar[bool] = False  # forward is written over other primitives: a trace may look inside
    forward: ClassVar[Callable[..., Any]]
    args: ClassVar[tuple[str, ...]] = ()
    params: ClassVar[tuple[str, ...]] = ()
    variadic: ClassVar[bool] = False  # any number of arrays: forward(xp, *xs); ``vjp_each`` answers for all

    def __init_subclass__(cls) -> None:
        if "forward" in cls.__dict__:
            forward = cls.__dict__["forward"]
            forward = getattr(forward, "__func__", forward)  # declared as a static method, or bare
            cls.forward = staticmethod(forward)
            code = forward.__code__
            n, m = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
            cls.args, cls.params = code.co_varnames[1:n], code.co_varnames[n:m]
            cls.variadic = bool(code.co_flags & _VARARGS)
        for key, value in list(cls.__dict__.items()):
            if key.startswith(("vjp_", "jvp_", "d_", "per_", "flat_", "depends")) and callable(value):
                setattr(cls, key, staticmethod(value))

    def __init__(self, label: str | None = None) -> None:
        self.name = type(self).__name__
        self.label = label or f"{self.name}Backward0"
        self.prepares = type(self).prepare is not Primitive.prepare
        self.single = len(self.args) == 1 and self.differentiable and not self.broadcasts and self.outputs is None
        self._prepare()
        self.one: Any = self.keeps((True,))[:2] if self.single else None  # what is kept of an only argument
        body = {"__slots__": (), "prim": self, "__module__": __name__, "pulls": self._total(self.pulls)}
        self.node: type[Node] = type(self.label.rpartition(":")[2], (Node,), body)
        if "::" in self.label:
            self.node.name = lambda _, full=self.label: full  # type: ignore[method-assign, misc]
        if self.whole is not None:
            self.node.pulls, self.node.pull = (), _pull_all  # type: ignore[method-assign, assignment]
        elif len(self.pulls) == 1:
            self.node = alone(self.node, 0)
        table.setdefault(self.name if label is None else label, self)

    def _prepare(self) -> None:
        """Turn the formulas into uniform functions, once."""
        self.plans: dict[tuple[bool, ...], Any] = {}  # what :meth:`keeps` gave
        self.whole: Any = _adapt(self.vjp_all, self, "g")[0] if hasattr(self, "vjp_all") else None
        found = [self._reverse(name) for name in self.args]
        self.pulls = tuple(f[0] for f in found)
        self.needs = tuple(f[1] for f in found)  # for each argument, the names its vjp takes

    def _total(self, pulls: tuple[Any, ...]) -> tuple[Any, ...]:
        """The rules, and in the place of one that is not declared PyTorch's error."""

        def missing(name: str) -> Any:
            def pull(xp: Any, g: Any, s: Any, p: Any) -> Any:
                raise explained(RuntimeError(errors.no_derivative(self.name, name, not any(self.pulls))))

            return pull

        return tuple([missing(name) if p is None else p for name, p in zip(self.args, pulls, strict=True)])

    @cached_property
    def _forward_rules(self) -> list[tuple[Any, frozenset[str]]]:
        return [self._forward_mode(name) for name in self.args]

    @cached_property
    def pushes(self) -> tuple[Any, ...]:
        """For each argument the jvp rule, ``(xp, t, saved, params)``; None where there is none, or it is linear."""
        return tuple(rule for rule, _ in self._forward_rules)

    @cached_property
    def push_needs(self) -> tuple[frozenset[str], ...]:
        """For each argument the names that its jvp rule takes."""
        return tuple(names for _, names in self._forward_rules)

    def _reverse(self, name: str) -> tuple[Any, frozenset[str]]:
        if hasattr(self, "vjp_all"):
            rule, names = _adapt(self.vjp_all, self, "g")
            return _one_of(rule, self.args.index(name), len(self.args)), names
        rule = getattr(self, f"vjp_{name}", None)
        return (None, frozenset()) if rule is None else _adapt(rule, self, "g")

    def _forward_mode(self, name: str) -> tuple[Any, frozenset[str]]:
        rule = None if name in self.linear else getattr(self, f"jvp_{name}", None)
        return (None, frozenset()) if rule is None else _adapt(rule, self, "t")

    def pushes_through(self, moving: Sequence[bool]) -> bool:
        """Whether the jvp is known for these arguments; if not, a composite's body is gone through instead."""
        return self.variadic or all(
            not m or name in self.linear or push is not None
            for m, name, push in zip(moving, self.args, self.pushes, strict=True)
        ) or type(self).jvp not in (Primitive.jvp, Elementwise.jvp)  # fmt: skip

    def __call__(self, *arrays: Any, **params: Any) -> Tensor:
        if self.single and type(arrays[0]) is Tensor:  # nobody else to interpret it
            if self.real_only is not None and arrays[0]._a.dtype.kind in self.refused:
                refuse(self, arrays)
            return arrays[0]._interpret(self, arrays, params)  # type: ignore[no-any-return]
        return bind(self, arrays, params)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def keeps(self, wanted: tuple[bool, ...]) -> Any:
        """What the wanted arguments' rules need: which of ``(out, *args)``, which shapes (index, name), which arguments
        (index); and two functions, of ``(None, out, *args)`` and of ``(None, None, *args)``, that pick those."""
        plan = self.plans.get(wanted)
        if plan is None:
            names: set[str] = set().union(*(n for n, w in zip(self.needs, wanted, strict=True) if w))
            flags = ("out" in names, *(a in names for a in self.args))
            places = [i + 1 if needed else 0 for i, needed in enumerate(flags)]
            plan = self.plans[wanted] = (
                flags,
                tuple((i, f"{a}_shape") for i, a in enumerate(self.args) if f"{a}_shape" in names),
                tuple(i for i, a in enumerate(self.args) if a in names),
                itemgetter(*places),
                itemgetter(*places[1:]) if len(places) > 2 else lambda arrays: (arrays[places[1]],),
            )
        return plan

    def prepare(self, arrays: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments with dtypes made common, before anything interprets them."""
        return arrays

    def jvp(self, xp: Any, tangents: Sequence[Any], out: Any, arrays: Sequence[Any], params: dict[str, Any]) -> Any:
        """The tangent of ``out``; a tangent that is None is zero."""
        if self.variadic:
            filled = [xp.zeros_like(a) if t is None else t for t, a in zip(tangents, arrays, strict=True)]
            return bind(self, tuple(filled), params)
        total, saved, full = None, (out, *arrays), None
        for i, t in enumerate(tangents):
            if t is None:
                continue
            push = self.pushes[i]
            if push is None:
                if self.args[i] not in self.linear:
                    raise explained(NotImplementedError(errors.no_forward_mode(self.name, self.args[i])))
                part = bind(self, (*arrays[:i], t, *arrays[i + 1 :]), params)
            else:
                if full is None:
                    full = dict(params)
                    for name, a in zip(self.args, arrays, strict=True):
                        full[f"{name}_shape"] = getattr(a, "shape", ())
                part = push(xp, t, saved, full)
            total = part if total is None else total + part
        return total

    def flow(self, xp: Any, tangents: Sequence[Any], out: Any, arrays: Sequence[Any], params: dict[str, Any]) -> Any:
        """The tangent as the right side of a differential equation for ``out``, by which series grow."""
        return self.jvp(xp, tangents, out, arrays, params)

    def batch(self, size: int, arrays: Sequence[Any], batched: Sequence[bool], params: dict[str, Any]) -> Any:
        """The operation on arrays whose batch axis, where they have one, comes first."""
        xp = ns.boxes
        fronted = [a if b or not hasattr(a, "shape") else xp.broadcast_to(a, (size, *a.shape))
                   for a, b in zip(arrays, batched, strict=True)]  # fmt: skip
        return bind(self, tuple(fronted), self.batch_params(size, params))

    def batch_params(self, size: int, params: dict[str, Any]) -> dict[str, Any]:
        return params

    def restore(self, node: Node, out: Any) -> Tensor:
        """A saved output as the Tensor it was."""
        t = wrap(out, 2 if node.extra is None else node.extra.rank)
        t._rg, t._node = True, node
        if node.extra is not None and node.extra.slot is not None:
            node.extra.slot.lend(t)
        return t


def align(arrays: Sequence[Any], batched: Sequence[bool]) -> list[Any]:
    """Batched arrays with axes of length 1 put after the batch axis, so that ranks agree as broadcasting needs."""
    ranks = [len(getattr(a, "shape", ())) - b for a, b in zip(arrays, batched, strict=True)]
    most = max(ranks)
    return [
        ns.boxes.reshape(a, (a.shape[0], *(1,) * (most - r), *a.shape[1:])) if b and r < most else a
        for a, b, r in zip(arrays, batched, ranks, strict=True)
    ]


class Elementwise(Primitive):
    """Entry by entry, shapes broadcast.  ``d_x`` is the slope in x, a formula or a number, or ``per_x`` what is to be
    divided by; ``flat_x`` says where the slope is 0 to whatever comes, inf and nan too, and with no ``d_x`` it is 1
    elsewhere.  Both modes, batching, every further order and the fused loop follow."""

    scalar: ClassVar[str] = ""  # the compiler's expression, e.g. "{x} * {y}"
    broadcasts = conjugates = True
    commutes: ClassVar[bool] = False  # ``3 * x`` is recorded as ``x * 3``, as in PyTorch
    conj_node: Any = None
    floats: ClassVar[bool] = False  # integers become floats first, as for sin or division
    labels: ClassVar[tuple[str, str, str] | None] = (
        None  # nodes of (tensor, tensor), (tensor, number), (number, tensor)
    )

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        rules = [f"{kind}_{a}" for kind in ("d", "per", "flat", "vjp") for a in cls.args]
        if "forward" in cls.__dict__ and "differentiable" not in cls.__dict__:
            cls.differentiable = any(hasattr(cls, rule) for rule in rules)

    def _slope(self, name: str, first: str) -> tuple[Any, frozenset[str]]:
        flat = getattr(self, f"flat_{name}", None)
        if flat is None:
            return self._steep(name, first)
        if not hasattr(self, f"d_{name}"):
            return _adapt(flat, self, first, f"cut(xp, {first}, {{}})")  # type: ignore[no-any-return]
        (rule, names), (where, more) = self._steep(name, first), _adapt(flat, self, first)
        return lambda xp, g, s, p: cut(xp, rule(xp, g, s, p), where(xp, g, s, p)), names | more

    def _steep(self, name: str, first: str) -> tuple[Any, frozenset[str]]:
        """The rule by ``d_x`` or ``per_x`` alone."""
        if hasattr(self, f"per_{name}"):
            return _adapt(getattr(self, f"per_{name}"), self, first, f"{first} / {{}}")  # type: ignore[no-any-return]
        d = getattr(self, f"d_{name}", None)
        if d is None or isinstance(d, (int, float)):
            if d == 1:
                return (lambda xp, g, s, p: g), frozenset()
            if d == -1:
                return (lambda xp, g, s, p: -g), frozenset()
            if d == 0:
                return (lambda xp, g, s, p: xp.zeros_like(g)), frozenset()
            return (None if d is None else lambda xp, g, s, p: g * d), frozenset()
        return _adapt(d, self, first, f"{first} * {{}}")  # type: ignore[no-any-return]

    def _reverse(self, name: str) -> tuple[Any, frozenset[str]]:
        if hasattr(self, f"vjp_{name}"):
            return super()._reverse(name)
        return self._slope(name, "g")

    def _forward_mode(self, name: str) -> tuple[Any, frozenset[str]]:
        if name in self.linear or hasattr(self, f"jvp_{name}"):
            return super()._forward_mode(name)
        return self._slope(name, "t")

    def __init__(self, label: str | None = None) -> None:
        super().__init__(label)
        if len(self.args) == 1 and self.differentiable and self.outputs is None:
            self.one = self.keeps((True,))[:2]
        if label is None and self.labels is not None:
            self.variants = tuple(type(self)(name) for name in self.labels)
        else:
            self.variants = (self, self, self)

    @cached_property
    def conj_pulls(self) -> tuple[Any, ...]:
        """The vjps over complex numbers."""
        return tuple(self._conjugate(name, pull) for name, pull in zip(self.args, self.pulls, strict=True))

    def _conjugate(self, name: str, pull: Any) -> Any:
        """The vjp for complex numbers, where the slope is conjugated (PyTorch's convention)."""
        if hasattr(self, f"vjp_{name}"):
            return pull
        if hasattr(self, f"per_{name}"):
            return _adapt(getattr(self, f"per_{name}"), self, "g", "g / conj(xp, {})")[0]
        d = getattr(self, f"d_{name}", None)
        return _adapt(d, self, "g", "g * conj(xp, {})")[0] if callable(d) else pull

    def jvp(self, xp: Any, tangents: Sequence[Any], out: Any, arrays: Sequence[Any], params: dict[str, Any]) -> Any:
        t = super().jvp(xp, tangents, out, arrays, params)
        return t if t is None or t.shape == out.shape else xp.broadcast_to(t, out.shape)

    def prepare(self, arrays: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
        return promote(arrays, self.floats)

    def batch(self, size: int, arrays: Sequence[Any], batched: Sequence[bool], params: dict[str, Any]) -> Any:
        return bind(self, tuple(align(arrays, batched)), params)


def conj(xp: Any, z: Any) -> Any:
    if type(z) is complex:
        return z.conjugate()  # a Python number still, which leaves complex64 as it is
    if type(z) is _ndarray and z.dtype.kind != "c":
        return z  # most often
    return xp.conj(z) if hasattr(z, "dtype") and dtype_of(z).kind == "c" else z


def cut(xp: Any, g: Any, flat: Any) -> Any:
    """``g``, but 0 where the function is flat: to multiply by 0 would make nan of inf."""
    return xp.cut(g, flat) if hasattr(xp, "cut") else xp.where(flat, 0, g)


def promote(arrays: tuple[Any, ...], floats: bool = False) -> tuple[Any, ...]:
    """Arrays cast to their common dtype under PyTorch's rules; Python numbers are left, and weak."""
    common: Any = None
    same, ints = True, False
    for a in arrays:
        kind = type(a)
        if kind is int:
            ints = True
        elif kind is float:
            same = same and common is not None and common.kind in "fc"
        elif kind is bool or kind is complex:
            same = False
        else:
            d = dtype_of(a)
            if common is None:
                common = d
            elif d is not common and d != common:
                same = False
    if same and common is not None and (common.kind in "fc" or not (ints or floats)):
        return arrays
    dims = [(dtype_of(a), len(a.shape)) for a in arrays if hasattr(a, "shape")]
    if not dims:
        return arrays
    common = dtypes.result_dtype(dims, [a for a in arrays if not hasattr(a, "shape")])
    if floats and common.kind in "iub":
        common = dtypes.default_float()
    cast = table["Cast"]
    if ints and common.kind in "iu":
        arrays = tuple([dtypes.wrapped(a, common) if type(a) is int else a for a in arrays])
    return tuple(cast(a, dtype=common) if hasattr(a, "shape") and dtype_of(a) != common else a for a in arrays)


# --- who interprets ---


def bind(prim: Primitive, arrays: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Apply ``prim``: the argument of highest rank interprets it, and binds again on what it holds."""
    rank, top = 0, None
    for a in arrays:
        if isinstance(a, Box) and (a._rank > rank or (a._first and a._rank == rank)):
            rank, top = a._rank, a
    if top is None:
        return compute(prim, arrays, params)
    if prim.prepares:
        arrays = prim.prepare(arrays, params)
    if prim.real_only is not None:
        refuse(prim, arrays)
    return top._interpret(prim, arrays, params)


_ndarray = np.ndarray
_NUMBERS = frozenset([int, float, bool, complex])  # Python's own, which have no dtype


def refuse(prim: Primitive, arrays: tuple[Any, ...]) -> None:
    for a in arrays:
        under = a._a if type(a) is Tensor else a  # most often NumPy's, which says at once
        d = under.dtype if type(under) is _ndarray else None if type(a) in _NUMBERS else dtype_of(a)
        if d is not None and d.kind in prim.refused:
            assert prim.real_only is not None
            raise errors.not_of_complex(prim.real_only, d)


def compute(prim: Primitive, arrays: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """``prim`` on raw arrays: numbers come out."""
    xp = namespace(arrays)
    if xp is numpy_:
        return compute_numpy(prim, arrays, params)
    return prim.forward(xp, *arrays, **params)


def compute_numpy(prim: Primitive, arrays: tuple[Any, ...], params: dict[str, Any]) -> Any:
    for token in quietly:
        try:
            return prim.forward(numpy_, *arrays, **params)
        except (MemoryError, ValueError) as e:
            if errors.too_large(e):
                raise errors.no_memory(prim.name, e) from None
            raise
        finally:
            reset_errors(token)
