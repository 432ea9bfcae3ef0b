"""Recording: a Tensor's way to interpret an operation, and the node that it leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import anomaly, modes
from .arrays.namespace import dtype_of
from .meta import Inference
from .node import Extra, Node, Port, Several
from .primitive import Primitive, bind, compute_numpy
from .saved import pack
from .tensor import Tensor, _new, wrap
from .views import note_view

_ndarray = np.ndarray
_mode = modes.current
_ON = modes.ON
_unusual = modes.unusual


def interpret(self: Tensor, prim: Primitive, arrays: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """A Tensor's way: compute on what the tensors hold, then record."""
    rank = self._rank
    if prim.single and rank == 2 and type(self._a) is _ndarray:
        a = self._a
        compute = _computed if _unusual else compute_numpy
        return record_one(prim, self, a, params, compute(prim, (a,), params))
    inner: list[Any] = []
    ahead: list[Any] = []
    wanted: list[bool] = []
    ours = rank == 2
    mode = _mode()
    recording = mode.grad and prim.differentiable
    for a in arrays:
        edge = None
        if isinstance(a, Tensor) and a._rank == rank:
            if recording and a._rg:
                edge = a._node
                if edge is None:
                    edge = a
            a = a._a
        if type(a) is not _ndarray:
            ours = False
        inner.append(a)
        ahead.append(edge)
        wanted.append(edge is not None)
    if prim.view and isinstance(inner[0], np.generic):
        inner[0] = self._own()  # a view must share memory, which a NumPy scalar cannot
    within = tuple(inner)
    if _unusual:
        raw = _computed(prim, within, params, compute_numpy if ours else bind)
    else:
        raw = compute_numpy(prim, within, params) if ours else bind(prim, within, params)
    return record(mode, prim, rank, arrays, within, params, raw, wanted, ahead)


def _computed(prim: Primitive, arrays: tuple[Any, ...], params: dict[str, Any], compute: Any = compute_numpy) -> Any:
    """What ``prim`` gives, which the mode may know already."""
    cache = _mode().cache
    return compute(prim, arrays, params) if cache is None else cache.computed(prim, arrays, params, compute)


setattr(Tensor, "_interpret", interpret)  # noqa: B010  declared on Box; this is what it takes to do it


def record(mode: modes.Mode, prim: Primitive, rank: int, arrays: tuple[Any, ...], inner: tuple[Any, ...],
           params: dict[str, Any], raw: Any, wanted: list[bool], ahead: list[Any]) -> Any:  # fmt: skip
    """The result ``raw`` as a Tensor, with a Node behind it if a gradient may be ``wanted`` of an argument.

    ``ahead`` says where that will go: to the argument's node, or to the argument itself, a leaf.
    """
    recorded = True in wanted
    if prim.outputs is not None:
        return _record_several(mode, prim, rank, arrays, inner, params, raw, wanted if recorded else None, ahead)
    if rank == 2 and (type(raw) is _ndarray or isinstance(raw, np.generic)):
        out = _new(Tensor)
        out._a = raw
        out._grad = out._meta = out._v = out._node = None
        out._rg = False
        d = raw.dtype
    else:
        out = wrap(raw, rank)
        d = dtype_of(raw)
    if recorded and d.kind in "fc":
        out._node = make_node(prim, rank, arrays, inner, params, raw, tuple(wanted), tuple(ahead), out)
        out._rg = True
    if prim.view:
        note_view(prim, arrays[0], out, params, mode.grad)
    if mode is not _ON:
        observe(mode, out._node, inner, out)
    return out


def observe(mode: modes.Mode, node: Node | None, inner: tuple[Any, ...], *outs: Tensor) -> None:
    """Do what the mode asks for beyond recording: the node's saved values packed, its birth noted, or outputs marked."""
    if mode.cache is not None:
        mode.cache.made(outs)
    if mode.inference:
        for out in outs:
            if out._v is None:
                out._v = Inference([0])
    elif node is not None and mode.grad:
        if mode.hooks is not None:
            pack(node, mode.hooks, outs[0])
        if mode.anomaly is not None:
            anomaly.note(node, mode.within, inner)


def record_one(prim: Primitive, x: Tensor, a: Any, params: dict[str, Any], raw: Any) -> Tensor:
    """:func:`record` for one Tensor over NumPy, in and out."""
    out = _new(Tensor)
    out._a = raw
    out._grad = out._meta = out._v = out._node = None
    out._rg = False
    mode = _mode()
    if x._rg and mode.grad:
        (keep_out, keep_x), shapes = prim.one
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
    if mode is not _ON:
        observe(mode, out._node, (a,), out)
    return out


def make_node(prim: Primitive, rank: int, arrays: tuple[Any, ...], inner: tuple[Any, ...],
              params: dict[str, Any], raw: Any, wanted: tuple[bool, ...], ahead: tuple[Any, ...], out: Any,
              ) -> Node:  # fmt: skip
    if prim.variadic:
        node = VariadicNode(ahead, (None,), None, params, None)
        node.rule = prim
        node.shapes = tuple([a.shape for a in inner])
        return node
    flags, shapes, kept, pick, lend = prim.plans.get(wanted) or prim.keeps(wanted)
    saved = pick((None, raw) + inner)  # noqa: RUF005  quicker
    extra: Extra | None = None
    tensors: Any = None
    if kept:
        tensors = lend((None, None, *arrays))
        for t in tensors:
            if t is not None and (not isinstance(t, Tensor) or t._v is not None):
                tensors, extra = _as_they_are(tensors)
                break
    if flags[0]:
        if out is not None:
            extra = extra or Extra()
            c = out._cell()
            extra.cell = (c, c[0])
        tensors = tensors or ()
    cls = prim.node
    if prim.broadcasts:
        d, shape, exact = dtype_of(raw), raw.shape, prim.conjugates  # an Elementwise's cotangent has the output's shape
        for a, w in zip(inner, wanted, strict=True):
            if w and (not exact or a.shape != shape or dtype_of(a) != d):
                extra = extra or Extra()
                extra.metas = tuple([(a.shape, dtype_of(a)) if w else None for a, w in zip(inner, wanted, strict=True)])
                extra.plain = False
                break
        if exact and d.kind == "c":
            cls = _conjugated(prim)
    if shapes:
        params = {**params, **{name: inner[i].shape for i, name in shapes}}
    if rank > 2:
        extra = extra or Extra()
        extra.rank = rank
    return cls(ahead if cls.place is None else ahead[0], saved, tensors, params, extra)


def edges(arrays: Sequence[Any], wanted: Sequence[bool]) -> tuple[Any, ...]:
    """Where the gradients that are wanted go."""
    return tuple([(a if a._node is None else a._node) if w else None for a, w in zip(arrays, wanted, strict=True)])


def _as_they_are(arguments: tuple[Any, ...]) -> tuple[tuple[Any, ...], Extra]:
    """The Tensors among the arguments that a rule needs, and how often each has been written to."""
    tensors: list[Any] = []
    versions = []
    for t in arguments:
        is_tensor = isinstance(t, Tensor)
        tensors.append(t if is_tensor else None)
        versions.append(t._v[0] if is_tensor and t._v is not None else 0)
    return tuple(tensors), Extra(None, tuple(versions))


def _conjugated(prim: Any) -> type[Node]:
    """The node class of an Elementwise over complex numbers, whose slopes are conjugated."""
    if prim.conj_node is None:
        pulls = prim._total(prim.conj_pulls)
        body = {"__slots__": (), "pulls": pulls}
        if (place := prim.node.place) is not None:
            body["alone"] = staticmethod(pulls[place])
        prim.conj_node = type(prim.node.__name__, (prim.node,), body)
    found: type[Node] = prim.conj_node
    return found


class VariadicNode(Node):
    """A node of an operation over any number of arrays, such as concat: its rule answers for all."""

    __slots__ = ("rule", "shapes")
    rule: Any
    shapes: tuple[Any, ...]

    def name(self) -> str:
        label: str = self.rule.label
        return label

    def pull(self, sweep: Any, g: Any, saved: Any) -> Sequence[Any]:
        found: list[Any] = self.rule.vjp_each(
            sweep.xp, g, self.shapes, [e is not None for e in self.edges], **self.params
        )
        return found


def _record_several(mode: modes.Mode, prim: Primitive, rank: int, arrays: Any, inner: Any, params: Any, raws: Any,
                    wanted: list[bool] | None, ahead: list[Any]) -> tuple[Tensor, ...]:  # fmt: skip
    outs = tuple(wrap(r, rank) for r in raws)
    parent = None
    if wanted:
        parent = make_node(prim, rank, arrays, inner, params, None, tuple(wanted), tuple(ahead), None)
        for i, out in enumerate(outs):
            if dtype_of(out._a).kind in "fc":
                out._node, out._rg = Port(parent, i), True
    if mode is not _ON:
        observe(mode, parent, inner, *outs)
    return outs


def whole(xp: Any, g: Any, outs: Sequence[Any]) -> list[Any]:
    """A several-output cotangent with zeros where an output was not used."""
    parts = g.parts if isinstance(g, Several) else {0: g}
    return [parts[i] if i in parts else xp.zeros_like(o) for i, o in enumerate(outs)]
