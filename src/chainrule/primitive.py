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

import weakref
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.lib.array_utils import byte_bounds

from . import dtypes, errors, modes
from .arrays import namespace as ns
from .arrays import numpy_
from .arrays.namespace import dtype_of, is_numpy, namespace
from .engine import Box, Extra, Node, Nowhere, Port, Several, more
from .errors import explained
from .quiet import QUIET, reset_errors, set_errors
from .tensor import Meta, Tensor, _new, node_slot, wrap

table: dict[str, Primitive] = {}  # every declared operation, by name

# Types and dtypes that the fast lane takes: real floats, where NumPy's promotion is PyTorch's.
_S32: Any
_S64: Any
_F32: Any
_F64: Any
_S32, _S64, _F32, _F64 = np.float32, np.float64, np.dtype("float32"), np.dtype("float64")
_ndarray = np.ndarray
_VARARGS = 4  # the flag of a code object that takes *args
_mode = modes.current
_ON = modes.ON


def _adapt(rule: Any, prim: Primitive, first: str, around: str = "{}") -> Any:
    """``rule``, which takes what it names, as ``(xp, first, saved, params)``; and the names it takes.

    The call is spelled out once, here, from the rule's own parameter names (never from a user's text), so
    that a sweep pays for no look-up by name.  ``around`` is an expression around the call.
    """
    slots = {"xp": "xp", first: first, "out": "s[0]"}
    for i, name in enumerate(prim.args):
        slots[name] = f"s[{i + 1}]"
        slots[f"{name}_shape"] = f"p['{name}_shape']"
    slots.update({name: f"p['{name}']" for name in prim.params})
    wanted = rule.__code__.co_varnames[: rule.__code__.co_argcount]
    call = ", ".join(slots[name] for name in wanted)
    source = f"lambda xp, {first}, s, p: {around.format(f'rule({call})')}"
    return eval(source, {"rule": rule, "conj": conj}), frozenset(wanted)


def alone(node: type[Node], place: int) -> type[Node]:
    """The same kind of node for when only the argument at ``place`` can have an edge."""
    return type(node.__name__, (node,), {"__slots__": (), "place": place, "alone": (node.pulls[place],)})


class Primitive:
    """One operation.  Positional arguments are arrays, keyword arguments are static."""

    linear: ClassVar[tuple[str, ...]] = ()  # arguments it is linear in: there, the jvp is the op itself
    samples: ClassVar[Any] = ()  # [(arrays or shapes, params), ...]; the tests read them
    conjugates: ClassVar[bool] = False  # over complex numbers the slopes are conjugated
    broadcasts: ClassVar[bool] = False  # inputs may be smaller than, or of another dtype than, the cotangent
    jointly_linear: ClassVar[bool] = False  # linear in all arguments taken together, as x + y is
    view: ClassVar[bool] = False  # the output may share memory with the input
    differentiable: ClassVar[bool] = True
    outputs: ClassVar[int | None] = None  # None: one array; else forward gives a tuple
    composite: ClassVar[bool] = False  # forward is written over other primitives: a trace may look inside
    forward: ClassVar[Callable[..., Any]]
    args: ClassVar[tuple[str, ...]] = ()
    params: ClassVar[tuple[str, ...]] = ()
    variadic: ClassVar[bool] = False  # any number of arrays: forward(xp, *xs); rules take the index ``i``

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
            if key.startswith(("vjp_", "jvp_", "d_")) and callable(value):
                setattr(cls, key, staticmethod(value))

    def __init__(self, label: str | None = None) -> None:
        self.name = type(self).__name__
        self.label = label or f"{self.name}Backward0"
        self.single = len(self.args) == 1 and self.differentiable and not self.broadcasts and self.outputs is None
        self._prepare()
        self.one: Any = self.keeps((True,)) if self.single else None  # what to keep, where there is but one argument
        body = {"__slots__": (), "prim": self, "__module__": __name__, "pulls": self.pulls}
        self.node: type[Node] = type(self.label.rpartition(":")[2], (Node,), body)
        if "::" in self.label:
            self.node.name = lambda _, full=self.label: full  # type: ignore[method-assign, misc]
        if len(self.pulls) == 1:
            self.node = alone(self.node, 0)
        table.setdefault(self.name if label is None else label, self)

    def _prepare(self) -> None:
        """Turn the formulas into uniform functions, once."""
        found = [self._reverse(name) for name in self.args]
        self.pulls = tuple(f[0] for f in found)
        self.needs = tuple(f[1] for f in found)  # for each argument, the names its vjp takes
        self._plans: dict[tuple[bool, ...], Any] = {}

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

    def __call__(self, *arrays: Any, **params: Any) -> Any:
        for a in arrays:
            if type(a) is not Tensor and not (isinstance(a, Tensor) and a._rank == 2 and type(a._a) is _ndarray):
                return bind(self, arrays, params)
        if self.single:
            x = arrays[0]
            a = x._own() if self.view else x._a
            return record_one(self, x, a, params, compute_numpy(self, (a,), params))
        arrays = self.prepare(arrays, params)
        inner = tuple([a._a for a in arrays])
        return record(self, 2, arrays, inner, params, compute_numpy(self, inner, params))

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def keeps(self, wanted: tuple[bool, ...]) -> Any:
        """Which of ``(out, *args)``, which shapes (index, name), which args (index) the wanted arguments' rules need."""
        plan = self._plans.get(wanted)
        if plan is None:
            names: set[str] = set().union(*(n for n, w in zip(self.needs, wanted, strict=True) if w))
            plan = self._plans[wanted] = (
                ("out" in names, *(a in names for a in self.args)),
                tuple((i, f"{a}_shape") for i, a in enumerate(self.args) if f"{a}_shape" in names),
                tuple(i for i, a in enumerate(self.args) if a in names),
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
                part = bind(self, (*arrays[:i], t, *arrays[i + 1 :]), params)
            else:
                if full is None:
                    full = dict(params)
                    for name, a in zip(self.args, arrays, strict=True):
                        full[f"{name}_shape"] = getattr(a, "shape", ())
                part = push(xp, t, saved, full)
            total = part if total is None else total + part
        return total

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
    """Entry by entry, shapes broadcast.  ``d_x`` is the slope in x, a formula or a number; both modes,
    batching, every further order and the fused loop follow."""

    scalar: ClassVar[str] = ""  # the compiler's expression, e.g. "{x} * {y}"
    broadcasts = conjugates = True
    conj_node: Any = None
    floats: ClassVar[bool] = False  # integers become floats first, as for sin or division
    labels: ClassVar[tuple[str, str, str] | None] = (
        None  # nodes of (tensor, tensor), (tensor, number), (number, tensor)
    )

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.args and not any(hasattr(cls, f"d_{a}") or hasattr(cls, f"vjp_{a}") for a in cls.args):
            cls.differentiable = False

    def _slope(self, name: str, first: str) -> tuple[Any, frozenset[str]]:
        d = getattr(self, f"d_{name}", None)
        if d is None or isinstance(d, (int, float)):
            if d == 1:
                return (lambda xp, g, s, p: g), frozenset()
            if d == -1:
                return (lambda xp, g, s, p: -g), frozenset()
            return ((lambda xp, g, s, p: xp.zeros_like(g)) if d == 0 else None), frozenset()
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
        d = getattr(self, f"d_{name}", None)
        if d is None or isinstance(d, (int, float)) or hasattr(self, f"vjp_{name}"):
            return pull
        return _adapt(d, self, "g", "g * conj(xp, {})")[0]

    def jvp(self, xp: Any, tangents: Sequence[Any], out: Any, arrays: Sequence[Any], params: dict[str, Any]) -> Any:
        t = super().jvp(xp, tangents, out, arrays, params)
        return t if t is None or t.shape == out.shape else xp.broadcast_to(t, out.shape)

    def prepare(self, arrays: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
        return promote(arrays, self.floats)

    def batch(self, size: int, arrays: Sequence[Any], batched: Sequence[bool], params: dict[str, Any]) -> Any:
        return bind(self, tuple(align(arrays, batched)), params)


def conj(xp: Any, z: Any) -> Any:
    return xp.conj(z) if isinstance(z, complex) or (hasattr(z, "dtype") and dtype_of(z).kind == "c") else z


def promote(arrays: tuple[Any, ...], floats: bool = False) -> tuple[Any, ...]:
    """Arrays cast to their common dtype under PyTorch's rules; Python numbers are left, and weak."""
    common: Any = None
    same = True
    for a in arrays:
        if hasattr(a, "shape"):
            d = dtype_of(a)
            if common is None:
                common = d
            elif d != common:
                same = False
        elif type(a) is not int:
            same = same and type(a) is float and common is not None and common.kind == "f"
    if same and common is not None and common.kind in "fc":
        return arrays
    dims = [(dtype_of(a), len(a.shape)) for a in arrays if hasattr(a, "shape")]
    if not dims:
        return arrays
    common = dtypes.result_dtype(dims, [a for a in arrays if not hasattr(a, "shape")])
    if floats and common.kind in "iub":
        common = dtypes.default_float()
    cast = table["Cast"]
    return tuple(cast(a, dtype=common) if hasattr(a, "shape") and dtype_of(a) != common else a for a in arrays)


# --- who interprets ------------------------------------------------------------------------------------


def bind(prim: Primitive, arrays: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Apply ``prim``: the argument of highest rank interprets it, and binds again on what it holds."""
    rank, top = 0, None
    for a in arrays:
        if isinstance(a, Box) and a._rank > rank:
            rank, top = a._rank, a
    if top is None:
        return compute(prim, arrays, params)
    arrays = prim.prepare(arrays, params)
    return top._interpret(prim, arrays, params)


def compute(prim: Primitive, arrays: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """``prim`` on raw arrays: numbers come out."""
    xp = namespace(arrays)
    if xp is numpy_:
        return compute_numpy(prim, arrays, params)
    return prim.forward(xp, *arrays, **params)


def compute_numpy(prim: Primitive, arrays: tuple[Any, ...], params: dict[str, Any]) -> Any:
    token = set_errors(QUIET)
    try:
        return prim.forward(numpy_, *arrays, **params)
    except MemoryError as e:
        if isinstance(e, errors.OutOfMemoryError):
            raise
        raise errors.OutOfMemoryError(f"can't allocate memory: {prim.name} failed: {e}") from None
    finally:
        reset_errors(token)


def interpret(self: Tensor, prim: Primitive, arrays: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """A Tensor's way: compute on what the tensors hold, then record."""
    rank = self._rank
    inner = tuple(a._a if isinstance(a, Tensor) and a._rank == rank else a for a in arrays)
    if prim.view and isinstance(inner[0], np.generic):
        inner = (self._own(),)  # a view must share memory, which a NumPy scalar cannot
    raw = bind(prim, inner, params)
    return record(prim, rank, arrays, inner, params, raw)


setattr(Tensor, "_interpret", interpret)  # noqa: B010  declared on Box; this is what it takes to do it


def record(prim: Primitive, rank: int, arrays: tuple[Any, ...], inner: tuple[Any, ...],
           params: dict[str, Any], raw: Any) -> Any:  # fmt: skip
    """The result ``raw`` as a Tensor, with a Node behind it if a gradient may be wanted."""
    if prim.outputs is not None:
        return _record_several(prim, rank, arrays, inner, params, raw)
    if rank == 2 and (type(raw) is _ndarray or isinstance(raw, np.generic)):
        out = _new(Tensor)
        out._a = raw
        out._grad = out._meta = out._v = out._node = None
        out._rg = False
    else:
        out = wrap(raw, rank)
    mode = _mode()
    if mode.grad and prim.differentiable:
        wanted = tuple([isinstance(a, Tensor) and a._rg and a._rank == rank for a in arrays])
        if True in wanted and dtype_of(raw).kind in "fc":
            out._node = make_node(prim, rank, arrays, inner, params, raw, wanted, out)
            out._rg = True
    if prim.view:
        note_view(prim, arrays[0], out, params, mode.grad)
    return out


def record_one(prim: Primitive, x: Tensor, a: Any, params: dict[str, Any], raw: Any) -> Tensor:
    """:func:`record` for one Tensor over NumPy, in and out."""
    out = _new(Tensor)
    out._a = raw
    out._grad = out._meta = out._v = out._node = None
    out._rg = False
    mode = _mode()
    if x._rg and mode.grad:
        (keep_out, keep_x), shapes, _ = prim.one
        tensors: Any = None
        extra = None
        if keep_x:
            tensors = (x,)
            if x._v is not None:
                extra = Extra(None, (x._v[0],))
        if keep_out:
            out._v = c = [0]
            extra = extra or Extra()
            extra.cell = (c, 0)
            tensors = tensors or ()
        out._node = prim.node(
            x if x._node is None else x._node, (raw if keep_out else None, a if keep_x else None), tensors,
            {**params, shapes[0][1]: a.shape} if shapes else params, extra,
        )  # fmt: skip
        out._rg = True
    if prim.view:
        note_view(prim, x, out, params, mode.grad)
    return out


def make_node(prim: Primitive, rank: int, arrays: tuple[Any, ...], inner: tuple[Any, ...],
              params: dict[str, Any], raw: Any, wanted: tuple[bool, ...], out: Any) -> Node:  # fmt: skip
    if prim.variadic:
        edges = tuple([(a if a._node is None else a._node) if w else None for a, w in zip(arrays, wanted, strict=True)])
        node = VariadicNode(edges, (None,), None, params, None)
        node.rule = prim
        node.shapes = tuple([a.shape for a in inner])
        return node
    (keep_out, *_), shapes, kept = prim.keeps(wanted)
    ahead: list[Any] = []
    for a, w in zip(arrays, wanted, strict=True):
        ahead.append(None if not w else a if a._node is None else a._node)
    saved: list[Any] = [None] * (len(arrays) + 1)
    extra: Extra | None = None
    tensors: Any = None
    if kept:
        tensors, versioned = [None] * len(arrays), False
        for i in kept:
            saved[i + 1], a = inner[i], arrays[i]
            if isinstance(a, Tensor):
                tensors[i] = a
                versioned = versioned or a._v is not None
        if versioned:
            extra = Extra(None, tuple([0 if t is None else t._version for t in tensors]))
    if keep_out:
        saved[0] = raw
        if out is not None:
            extra = extra or Extra()
            c = out._cell()
            extra.cell = (c, c[0])
        tensors = tensors or ()
    cls, d = prim.node, dtype_of(raw) if prim.conjugates or prim.broadcasts else None
    if prim.broadcasts:
        shape, exact = raw.shape, prim.conjugates  # an Elementwise passes on a cotangent of the output's shape
        for a, w in zip(inner, wanted, strict=True):
            if w and (not exact or a.shape != shape or dtype_of(a) != d):
                extra = extra or Extra()
                extra.metas = tuple([(a.shape, dtype_of(a)) if w else None for a, w in zip(inner, wanted, strict=True)])
                extra.plain = False
                break
        if exact and d.kind == "c":  # type: ignore[union-attr]
            cls = _conjugated(prim)
    if shapes:
        params = {**params, **{name: inner[i].shape for i, name in shapes}}
    if rank > 2:
        extra = extra or Extra()
        extra.rank = rank
    following = tuple(ahead) if cls.place is None else ahead[0]
    return cls(following, tuple(saved), None if tensors is None else tuple(tensors), params, extra)


def _conjugated(prim: Any) -> type[Node]:
    """The node class of an Elementwise over complex numbers, whose slopes are conjugated."""
    if prim.conj_node is None:
        body = {"__slots__": (), "pulls": prim.conj_pulls, "alone": prim.conj_pulls}
        prim.conj_node = type(prim.node.__name__, (prim.node,), body)
    found: type[Node] = prim.conj_node
    return found


class VariadicNode(Node):
    """A node of an operation over any number of arrays, such as concat: its rule answers for one index."""

    __slots__ = ("rule", "shapes")
    rule: Any
    shapes: tuple[Any, ...]

    def name(self) -> str:
        label: str = self.rule.label
        return label

    def pull(self, xp: Any, g: Any, saved: Any) -> Sequence[Any]:
        return [None if e is None else self.rule.vjp_i(xp, g, i, self.shapes, **self.params)
                for i, e in enumerate(self.edges)]  # fmt: skip


def _record_several(prim: Primitive, rank: int, arrays: Any, inner: Any, params: Any, raws: Any) -> tuple[Tensor, ...]:
    outs = tuple(wrap(r, rank) for r in raws)
    wanted = tuple([isinstance(a, Tensor) and a._rg and a._rank == rank for a in arrays])
    if _mode().grad and prim.differentiable and True in wanted:
        parent = make_node(prim, rank, arrays, inner, params, None, wanted, None)
        for i, out in enumerate(outs):
            if dtype_of(out._a).kind in "fc":
                out._node, out._rg = Port(parent, i), True
    return outs


def whole(xp: Any, g: Any, outs: Sequence[Any]) -> list[Any]:
    """A several-output cotangent with zeros where an output was not used."""
    parts = g.parts if isinstance(g, Several) else {0: g}
    return [parts[i] if i in parts else xp.zeros_like(o) for i, o in enumerate(outs)]


# --- views and writing in place ------------------------------------------------------------------------


def note_view(prim: Primitive, of: Tensor, out: Tensor, params: dict[str, Any], grad: bool) -> None:
    """Remember that ``out`` shares memory with ``of``, so that a write to one is seen by the other's graph."""
    a, b = of._a, out._a
    if (
        type(b) is _ndarray
        and b is not a
        and b.base is not a
        and (b.base is None or b.base is not getattr(a, "base", None))
    ):
        return  # a copy after all: reshape of a transposed array, say
    m, up = Meta(), of._meta
    out._meta = m
    if up is None:
        up = of._meta = Meta()
        m.base, m.chain = of, ((prim, params),)
    elif up.base is None:
        m.base, m.chain = of, ((prim, params),)
    else:
        m.base, m.chain = up.base, (*up.chain, (prim, params))
        if up.created is not None:
            m.created = up.created
        up = m.base._meta
    if not grad:
        m.created = "no_grad"
        if m.base._rg:  # PyTorch's views require grad when their base does, history or not
            out._rg, out._node = True, Nowhere()
    v = of._v
    if v is None:
        of._v = v = [0]
    elif v[0]:
        m.seen = v[0]
    out._v = v
    views = up.views
    if views is None:
        up.views = [weakref.ref(out)]
        v.append(weakref.ref(m.base))  # so that any alias that is written to can tell the views
    else:
        views.append(weakref.ref(out))
        n = len(views)
        if n > 32 and not n & (n - 1):  # at each doubling, drop the dead
            views[:] = [r for r in views if r() is not None]


def follow_chain(x: Any, chain: Sequence[tuple[Primitive, dict[str, Any]]]) -> Any:
    for prim, params in chain:
        x = bind(prim, (x,), params)
    return x


def check_writable(x: Tensor, tracked: bool, uniform: bool = False) -> None:
    """PyTorch's errors for a write that would spoil a gradient; ``tracked``: what is written requires grad.

    Entries that share a place may only be written to if the write is ``uniform``.
    """
    m = x._meta
    base = None if m is None else m.base
    if (tracked or x._rg) and _mode().grad:
        if base is not None:
            if m.created:
                raise RuntimeError(forbidden(x, past=False))
            if x._rg and base._node is None:
                raise explained(RuntimeError(errors.leaf_in_place(view=True)))
        if x._rg and x._node is None:
            raise explained(RuntimeError(errors.leaf_in_place(view=False)))
    a = x._a
    if type(a) is _ndarray and 0 in a.strides and a.size and not uniform and any(
        s == 0 and n > 1 for s, n in zip(a.strides, a.shape, strict=True)
    ):  # fmt: skip
        raise RuntimeError(errors.OVERLAP)


def may_write(x: Tensor, others: Sequence[Any]) -> None:
    """PyTorch's errors for writing to ``x`` what is computed from ``others``, in its order."""
    tensors = [o for o in others if isinstance(o, Tensor)]
    check_writable(x, any(o._rg for o in tensors))
    for o in tensors:
        if o is not x and o._v is x._v is not None and overlap(x._a, o._a) == "part":
            raise RuntimeError(errors.OVERLAPS)


def overlap(a: Any, b: Any) -> str:
    """Which of their memory dense arrays have in common: "none", "part" (or all, in another order) or "all"."""
    (a0, a1), (b0, b1) = byte_bounds(a), byte_bounds(b)
    if not (a.size and b.size and a1 - a0 == a.nbytes and b1 - b0 == b.nbytes and a0 < b1 and b0 < a1):
        return "none"  # at what is not dense PyTorch does not look
    alike = a0 == b0 and a.shape == b.shape
    alike = alike and not any(s != t and n > 1 for s, t, n in zip(a.strides, b.strides, a.shape, strict=True))
    return "all" if alike else "part"


def compute_into(x: Tensor, function: Callable[..., Tensor], args: tuple[Any, ...], kwargs: Any) -> Tensor:
    """``function(x, ...)`` written into ``x``."""
    for a in args:
        if type(a) is Tensor and a._v is x._v and a is not x and a._v is not None:
            may_write(x, args)
    try:
        result = function(x, *args, **kwargs)
    except RuntimeError:
        may_write(x, args)  # PyTorch first asks whether it may
        raise
    return result if result is NotImplemented else assign(x, result)


def forbidden(x: Tensor, past: bool) -> str:
    m, node = x._meta, node_slot.__get__(x)
    number = node.number if type(node) is Port else m.number
    return errors.forbidden_view(m.created, None if type(node) is Nowhere else node, number, past)


def assign(x: Tensor, result: Tensor, uniform: bool = False) -> Tensor:
    """Make ``x`` hold ``result``: its value, in place, and its history.  Every in-place operation ends here."""
    recording = _mode().grad and (x._rg or result._rg)
    check_writable(x, result._rg, uniform)
    if result._shape != x._shape:
        raise explained(RuntimeError(errors.cannot_grow(x._shape, result._shape)))
    have, want = dtype_of(result._a), dtype_of(x._a)
    if have != want:
        if dtypes.kind_rank(have) > dtypes.kind_rank(want):
            raise explained(
                RuntimeError(
                    f"result type {errors.scalar_type(have)} can't be cast to the desired output type "
                    f"{errors.scalar_type(want)}"
                    "\nConvert the tensor first (x = x.float()), or write out of place: x = x * 1.5."
                )
            )
        result = table["Cast"](result, dtype=want)
    if recording:
        _snapshot(x, result._node)
    _store(x, result)
    written(x, result if recording else None)
    return x


def written(x: Tensor, result: Tensor | None) -> None:
    """Note that ``x``'s memory was written to, and the history of ``result``, which now is there, if it has one."""
    cell = x._cell()
    cell[0] += 1
    if result is not None:
        _rebase(x, result)
    if len(cell) > 1:
        refs: list[Any] = cell[1:]
        for ref in refs:
            root = ref()
            if root is not None and root._rg and root._meta.views:
                leave_behind(root)
        if x._meta is not None and x._meta.retains and not x._meta.created:
            x._node  # noqa: B018  rebuilds the history now, which takes what is retained with it


def _snapshot(x: Tensor, node: Any) -> None:
    """Where the operation's own rule needs the value that is about to be overwritten, keep a copy of it."""
    if node is not None and node.tensors and node.tensors[0] is x:
        old = wrap(x._a.copy() if type(x._a) is _ndarray else x._a, x._rank)
        old._rg, old._node = x._rg, x._node
        node.tensors = (old, *node.tensors[1:])
        node.saved = (node.saved[0], old._a, *node.saved[2:])


def _store(x: Tensor, result: Tensor) -> None:
    a = x._a
    if type(a) is _ndarray and x._rank == result._rank == 2 and is_numpy(result._a):
        a[...] = result._a
        return
    x._hold(result)
    m = x._meta
    root = x if m is None or m.base is None else m.base
    if root is not x and not (is_numpy(root._a) and root._rank == 2 and x._rank == 2):
        with modes.no_grad():
            root._hold(table["CopySlices"](root, x, chain=m.chain))
    for view in [] if root._meta is None else root._meta.live_views():
        if view is not x and not is_numpy(view._a):
            with modes.no_grad():
                view._hold(follow_chain(root, view._meta.chain))


def _rebase(x: Tensor, result: Tensor) -> None:
    m = x._meta
    node = result._node
    if node is not None and node.extra is not None and node.extra.cell is not None:
        node.extra.cell = (x._cell(), x._cell()[0])  # what it saved as its output now lives in x
    if m is None or m.base is None:
        if m is not None and m.retains:
            retain_anew(x, node)
        x._node, x._rg = node, result._rg
    else:
        root, put = m.base, table["CopySlices"]
        wanted = (root._rg, result._rg)
        node = make_node(put, root._rank, (root, result), (root._a, result._a), {"chain": m.chain},
                         root._a, wanted, root)  # fmt: skip
        node.tensors = node.tensors or ()  # backward frees it, as in PyTorch
        if root._meta.retains:
            retain_anew(root, node)
        root._node, root._rg = node, True


def retain_anew(t: Tensor, node: Any) -> None:
    """Retain the gradient of what ``t`` now is, no longer of what it was."""
    old = node_slot.__get__(t)
    if old is not None and old.extra is not None:
        old.extra.capture = None
    if node is not None:
        more(node).capture = weakref.ref(t)


class Behind(Tensor):
    """A view whose base was written to since the view's history was noted; it is rebuilt when next asked for.

    A view becomes one by a change of class, and a plain Tensor again with its history, so that a write costs
    the same however many views there are, and plain tensors are spared the question.
    """

    __slots__ = ()

    @property
    def _node(self) -> Any:
        if self._meta.created:
            raise RuntimeError(forbidden(self, past=True))
        follow_base(self)
        return self._node

    @_node.setter
    def _node(self, node: Any) -> None:
        self.__class__ = Tensor  # type: ignore[assignment]
        self._node = node


def leave_behind(root: Tensor) -> None:
    """Note in every view of a base that was written to that its history is of the past."""
    m = root._meta
    views, m.views = m.live_views(), []
    for view in views:
        if type(view) is Tensor:
            view._rg = True
            view.__class__ = Behind
        else:
            follow_base(view)


def follow_base(view: Tensor) -> None:
    """Give a view of a rewritten base the history it now has: the base's, then the way from it."""
    m = view._meta
    with modes.enable_grad():
        fresh = table["AsStrided"](m.base, chain=m.chain)
    if m.retains:
        retain_anew(view, fresh._node)
    view._node, view._rg = fresh._node, fresh._rg
    m.seen = view._version
    m.base._meta.views.append(weakref.ref(view))


def tell_views(root: Tensor) -> None:
    """Note in every view of a base that was told to require grad, or not to, that they now do, or do not."""
    for view in root._meta.live_views():
        if type(view._node) is Nowhere and not root._rg:
            view._rg, view._node = False, None
        elif root._rg and not view._rg:
            view._rg = True
            if view._meta.seen == view._version:
                view._node = Nowhere()
            else:
                view.__class__ = Behind


setattr(Tensor, "_tell_views", tell_views)  # noqa: B010


# --- the fast lane: Tensors over NumPy floats, Python numbers ------------------------------------------


def unary_lane(prim: Elementwise) -> Callable[..., Any]:
    """``prim`` as a function of one Tensor, with everything that can be known beforehand worked out."""
    forward, node, np_ns = prim.forward, prim.node, numpy_
    keep_out, keep_x = prim.keeps((True,))[0] if prim.differentiable else (False, False)

    def lane(input: Any, *, out: Any = None) -> Any:
        if type(input) is Tensor and out is None:
            a = input._a
            kind = type(a)
            if kind is _ndarray:
                kind = a.dtype
            if kind is _S32 or kind is _F32 or kind is _S64 or kind is _F64:
                token = set_errors(QUIET)
                try:
                    r = forward(np_ns, a)
                finally:
                    reset_errors(token)
                t = _new(Tensor)
                t._a = r
                t._grad = t._meta = t._v = None
                if input._rg and _mode() is _ON:
                    edge = input._node
                    extra = None
                    if keep_out:
                        t._v = [0]
                        extra = Extra(None, None, (t._v, 0))
                    if keep_x and input._v is not None:
                        extra = extra or Extra()
                        extra.versions = (input._v[0],)
                    t._node = node(
                        input if edge is None else edge,
                        (r if keep_out else None, a if keep_x else None),
                        (input,) if keep_x else () if keep_out else None,
                        None, extra,
                    )  # fmt: skip
                    t._rg = True
                else:
                    t._node = None
                    t._rg = False
                return t
        return general(prim, (input,), out)

    return lane if prim.differentiable else (lambda input, *, out=None: general(prim, (input,), out))


def _extra(out: Tensor, x: Tensor, keep_out: bool, keep_x: bool, place: int) -> Extra:
    """The rare part of a node of one tensor and one number, the tensor standing at ``place``."""
    versions = cell = None
    if keep_x and x._v is not None:
        versions = (x._v[0], 0) if place == 0 else (0, x._v[0])
    if keep_out:
        out._v = [0]
        cell = (out._v, 0)
    return Extra(None, versions, cell)


def binary_lane(prim: Elementwise, fn: Any = None, method: bool = False) -> tuple[Any, Any]:
    """``prim`` as a function of two, and the same with the arguments swapped.

    ``fn`` is the forward without ``xp`` where it is an operator.  As a ``method`` it leaves what it cannot
    take to the other operand, as Python's operators do.
    """
    forward, np_ns = prim.forward, numpy_
    fn = fn or (lambda a, b: forward(np_ns, a, b))
    tt, ts, st = prim.variants
    otherwise = _operator if method else general
    if not prim.differentiable:
        return (lambda input, other, *, out=None: otherwise(prim, (input, other), out),
                lambda input, other: otherwise(prim, (other, input), None))  # fmt: skip
    node, node_ts, node_st = tt.node, alone(ts.node, 0), alone(st.node, 1)
    (out_x, x_x, x_y), (out_y, y_x, y_y) = prim.keeps((True, False))[0], prim.keeps((False, True))[0]
    out_xy = out_x or out_y

    def lane(input: Any, other: Any, *, out: Any = None) -> Any:
        if type(input) is Tensor and out is None:
            a = input._a
            kind = type(a)
            if kind is _ndarray:
                kind = a.dtype
            if kind is _S32 or kind is _F32 or kind is _S64 or kind is _F64:
                other_type = type(other)
                if other_type is Tensor:
                    b = other._a
                    kind_b = type(b)
                    if kind_b is _ndarray:
                        kind_b = b.dtype
                    if kind_b is kind and a.shape == b.shape:
                        token = set_errors(QUIET)
                        try:
                            r = fn(a, b)
                        finally:
                            reset_errors(token)
                        t = _new(Tensor)
                        t._a = r
                        t._grad = t._meta = t._v = None
                        wx, wy = input._rg, other._rg
                        if (wx or wy) and _mode() is _ON:
                            kx, ky = (wx and x_x) or (wy and y_x), (wx and x_y) or (wy and y_y)
                            tensors: Any = None
                            extra: Any = None
                            if kx or ky:
                                tensors = (input if kx else None, other if ky else None)
                                va, vb = input._v, other._v
                                if va is not None or vb is not None:
                                    extra = Extra(None, (va and va[0], vb and vb[0]))
                            if out_xy and ((wx and out_x) or (wy and out_y)):
                                t._v = [0]
                                tensors = tensors or ()
                                extra = extra or Extra()
                                extra.cell = (t._v, 0)
                                kept = r
                            else:
                                kept = None
                            ex, ey = input._node, other._node
                            t._node = node(
                                ((input if ex is None else ex) if wx else None,
                                 (other if ey is None else ey) if wy else None),
                                (kept, a if kx else None, b if ky else None),
                                tensors, None, extra,
                            )  # fmt: skip
                            t._rg = True
                        else:
                            t._node = None
                            t._rg = False
                        return t
                elif other_type is float or other_type is int:
                    token = set_errors(QUIET)
                    try:
                        r = fn(a, other)
                    finally:
                        reset_errors(token)
                    t = _new(Tensor)
                    t._a = r
                    t._grad = t._meta = t._v = None
                    if input._rg and _mode() is _ON:
                        edge = input._node
                        t._node = node_ts(
                            input if edge is None else edge,
                            (r if out_x else None, a if x_x else None, other),
                            (input, None) if x_x else () if out_x or x_y else None,
                            None, _extra(t, input, out_x, x_x, 0) if out_x or (x_x and input._v is not None) else None,
                        )  # fmt: skip
                        t._rg = True
                    else:
                        t._node = None
                        t._rg = False
                    return t
        chosen = tt if isinstance(input, Box) and isinstance(other, Box) else ts if isinstance(input, Box) else st
        return otherwise(chosen, (input, other), out)

    def swapped(input: Any, other: Any) -> Any:
        if type(input) is Tensor and (type(other) is float or type(other) is int):
            a = input._a
            kind = type(a)
            if kind is _ndarray:
                kind = a.dtype
            if kind is _S32 or kind is _F32 or kind is _S64 or kind is _F64:
                token = set_errors(QUIET)
                try:
                    r = fn(other, a)
                finally:
                    reset_errors(token)
                t = _new(Tensor)
                t._a = r
                t._grad = t._meta = t._v = None
                if input._rg and _mode() is _ON:
                    edge = input._node
                    t._node = node_st(
                        input if edge is None else edge,
                        (r if out_y else None, other, a if y_y else None),
                        (None, input) if y_y else () if out_y or y_x else None,
                        None, _extra(t, input, out_y, y_y, 1) if out_y or (y_y and input._v is not None) else None,
                    )  # fmt: skip
                    t._rg = True
                else:
                    t._node = None
                    t._rg = False
                return t
        chosen = tt if isinstance(input, Box) and isinstance(other, Box) else st
        return otherwise(chosen, (other, input), None)

    return lane, swapped


_OPERANDS = (Box, int, float, complex)


def _operator(prim: Primitive, arrays: tuple[Any, ...], out: Any) -> Any:
    for a in arrays:
        if not isinstance(a, _OPERANDS) and not ns.is_array(a):
            return NotImplemented
    return general(prim, arrays, out)


def general(prim: Primitive, arrays: tuple[Any, ...], out: Any = None, params: dict[str, Any] | None = None) -> Any:
    """``prim`` on what a user passed: checked, lifted, bound; the result stored in ``out`` if given."""
    lifted = tuple([a if isinstance(a, Tensor) else _lift(prim, i, a, arrays) for i, a in enumerate(arrays)])
    if out is not None and _mode().grad and any(isinstance(a, Tensor) and a._rg for a in (out, *lifted)):
        raise RuntimeError(f"{prim.name.lower()}(): functions with out=... arguments don't support automatic "
                           "differentiation, but one of the arguments requires grad.")  # fmt: skip
    if prim.broadcasts and len(arrays) > 1:
        check_broadcast(lifted)
    result = bind(prim, lifted, params or {})
    if out is None:
        return result
    if out._shape != result._shape:
        out._a = np.empty(result._shape, out._dtype)
    return assign(out, result)


def _lift(prim: Primitive, i: int, a: Any, arrays: tuple[Any, ...]) -> Any:
    if isinstance(a, Box) or (type(a) in (int, float, bool, complex) and (i or len(arrays) > 1)):
        return a
    if isinstance(a, np.generic):
        return a.item()
    if len(arrays) > 1 and ns.is_array(a):
        return wrap(a)
    which = "input" if i == 0 else "other"
    raise explained(
        TypeError(
            f"{prim.name.lower()}(): argument '{which}' (position {i + 1}) must be Tensor, not {type(a).__name__}"
            "\nMake it a tensor first: torch.tensor(value)."
        )
    )


def check_broadcast(arrays: Sequence[Any]) -> None:
    shapes = [tuple(a.shape) for a in arrays if isinstance(a, Tensor)]
    for i in range(1, len(shapes)):
        a, b = shapes[0], shapes[i]
        if a != b and any(m != n and 1 not in (m, n) for m, n in zip(reversed(a), reversed(b), strict=False)):
            raise explained(RuntimeError(errors.size_mismatch(a, b)))
