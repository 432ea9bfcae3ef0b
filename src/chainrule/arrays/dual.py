"""Dual tensors: a value and its tangent, carried forward together.

A Dual is a tensor in every respect: it has a rank, a history, views, hooks.  Besides, it carries a tangent, a
tensor of the same rank.  An operation does to duals what it does to tensors, and its jvp rule gives the tangent.
So reverse mode passes through tangents, as they are computed by recorded operations; and through what a sweep
saved forward mode passes, as the saved values are duals.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import modes
from ..meta import steps
from ..node import Node, more
from ..primitive import Primitive, bind, compute_numpy, table
from ..quiet import quietly, reset_errors
from ..recording import interpret
from ..tensor import Lifted, Tensor, _new, wrap
from ..views import Behind, behind, follow_chain
from . import namespace as ns
from . import numpy_
from .namespace import dtype_of, is_numpy


class Level:
    """A stretch of a program in which tensors of one rank may carry tangents; its end takes them away."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.slots: list[weakref.ref[Slot]] = []

    def close(self) -> None:
        for ref in self.slots:
            if (slot := ref()) is not None:
                slot.tangent = None
                for member in slot.members:
                    if isinstance(x := member(), Dual) and x._slot is slot:
                        undress(x)


class Slot:
    """A tangent, held in common by a tensor and its views, as their memory is.

    ``tangent`` is a tensor of their rank; or, as long as nobody asked for it, what such a tensor would hold.
    """

    __slots__ = ("__weakref__", "level", "members", "tangent")

    def __init__(self, tangent: Any, level: Level | None) -> None:
        self.tangent, self.level = tangent, level
        if level is not None:
            self.members: list[weakref.ref[Tensor]] = []
            level.slots.append(weakref.ref(self))

    def lend(self, x: Tensor) -> None:
        """Let ``x``, which has memory of its own, carry this tangent as it is now."""
        if self.tangent is not None:
            dress(x, Slot(self.tangent, self.level))


class Dual(Tensor):
    """A tensor with a tangent."""

    __slots__ = ()
    _first = True
    _plain: type[Tensor] | None = None  # what it is without a tangent, if not simply a Tensor
    _slot: Slot
    _way: Any = None  # the last of the views that lead here from the tensor that the slot is for, as in Meta.last

    @property
    def tangent(self) -> Tensor:
        t = self._slot.tangent
        if not isinstance(t, Tensor) or t._rank != self._rank:
            self._slot.tangent = t = wrap(t, self._rank)
        if self._way is None:
            return t
        if t._rg and self._meta.created in ("no_grad", "inference"):
            t = t.detach()
        return follow_chain(t, steps(self._way))  # type: ignore[no-any-return]

    def _interpret(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        rank, recorded = self._rank, prim.view or prim.outputs is not None
        primals: list[Any] = []
        tangents: list[Any] = []
        moving: list[Any] = []
        for a in args:
            t = None
            if isinstance(a, Tensor) and a._rank == rank:
                recorded = recorded or a._rg
                if a._first:
                    t = a.tangent if a._way else a._slot.tangent  # type: ignore[attr-defined]
                    if isinstance(t, Tensor) and t._rank == rank:
                        recorded = recorded or t._rg
                        t = t._a
                    moving.append(t)
                a = a._a
            primals.append(a)
            tangents.append(t)
        if prim.composite and not prim.pushes_through([t is not None for t in tangents]):
            return prim.forward(ns.boxes, *args, **params)
        if recorded or not prim.differentiable or modes.current().inference:
            return self._recorded(prim, args, primals, tangents, params)
        xp = ns.namespace(primals + moving)
        for token in quietly:
            try:
                out = (compute_numpy if xp is numpy_ else bind)(prim, tuple(primals), params)
                t = _own(prim.jvp(xp, tangents, out, primals, params), tangents)
            finally:
                reset_errors(token)
            break
        if t is None or dtype_of(out).kind not in "fc":
            return wrap(out, rank)
        y: Any = _new(Dual)
        y._a = out
        y._rg = False
        y._grad = y._meta = y._v = y._node = None
        y._rank = rank
        y._slot = slot = Slot(t, level := self._slot.level)
        if level is not None:
            slot.members.append(weakref.ref(y))
        return y

    def _recorded(self, prim: Primitive, args: Any, primals: Any, tangents: Any, params: Any) -> Any:
        """The longer way: with a history, for views, for several outputs."""
        out = interpret(self, prim, tuple(args), params)
        mode = modes.current()
        if not prim.differentiable:
            return out
        if prim.view and out._meta is not None and out._meta.base is not None:
            return dress(out, self._slot, (self._way, prim, params))
        if mode.inference:
            return out
        outs = (out,) if prim.outputs is None else out
        ys = [y._a for y in outs]
        if mode.grad:
            primals = [plain(a) if isinstance(a, Dual) and a._rank == self._rank else a for a in args]
            tangents = [a.tangent if p is not a else None for a, p in zip(args, primals, strict=True)]
            ys = [plain(y) for y in outs]
        found = push(prim, tangents, ys[0] if prim.outputs is None else tuple(ys), primals, params)
        for y, t in zip(outs, (found,) if prim.outputs is None else found or (None,) * len(outs), strict=True):
            if t is not None and y._dtype.kind in "fc":
                dress(y, Slot(t, self._slot.level))
                if y._node is not None and _saves_output(y._node):
                    more(y._node).slot = y._slot
        return out

    def _lend(self, x: Tensor) -> None:
        """Let ``x``, which has memory of its own, carry this tangent as it is now."""
        dress(x, self._keep())

    def _keep(self) -> Slot:
        """This tangent as it is now."""
        return Slot(self.tangent, self._slot.level)

    def _cut(self) -> Tensor:
        t = self.tangent
        if not (self._rg or t._rg):
            return self
        out = self._wrap(self._own())
        out._v = self._cell()
        return dress(out, Slot(t._cut(), self._slot.level))

    def _hold(self, result: Tensor) -> bool:
        whole: bool = super()._hold(result)
        if not (whole or result._first) and isinstance(self, Dual):
            undress(self)
        return whole

    def detach_(self) -> Tensor:
        super().detach_()
        undress(self)
        return self

    def _tangent_text(self) -> str:
        return f"{self.tangent}"

    def __format__(self, spec: str) -> str:
        return super().__format__(spec) if self._shape else format(self.item(), spec)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return plain(self).__deepcopy__(memo)

    def __reduce__(self) -> Any:
        return plain(self).__reduce__()


class BehindDual(Behind, Dual):
    """A dual view whose base was written to since its history was noted."""

    __slots__ = ()
    _now, _plain = Dual, Behind


behind[Dual] = BehindDual


def _saves_output(node: Node) -> bool:
    packed = None if node.extra is None else node.extra.packed
    values = node.saved if packed is None else packed.values
    return values[0] is not None


def push(prim: Primitive, tangents: list[Any], out: Any, primals: list[Any], params: dict[str, Any]) -> Any:
    """The tangent of an operation's output, or of each, in memory of its own."""
    xp = ns.namespace([*primals, *[t for t in tangents if t is not None]])
    for token in quietly:
        try:
            found = prim.jvp(xp, tangents, out, primals, params)
        finally:
            reset_errors(token)
        break
    return _own(found, tangents) if prim.outputs is None or found is None else [_own(t, tangents) for t in found]


def _own(t: Any, given: list[Any]) -> Any:
    """A tangent that was given, or is a view of one, as a copy: what is written to one must not show in another."""
    if type(t) is np.ndarray:
        return t.copy() if t.base is not None or any(t is g for g in given) else t
    if isinstance(t, Tensor):
        for g in given:
            if t is g or (isinstance(g, Tensor) and t._base is not None and (t._base is g or t._base is g._base)):
                return t.clone()
    return t


def plain(d: Tensor) -> Tensor:
    """The tensor without its tangent: the same value, the same place in the graph."""
    t = wrap(d._a, d._rank)
    t._rg, t._node, t._v = d._rg, d if d._rg and d._node is None else d._node, d._v
    return t


# --- who carries a tangent ---


def make(primal: Any, tangent: Any, rank: int) -> Tensor:
    """An array, or what stands for one at a lower rank, with a tangent."""
    return dress(wrap(primal, rank), Slot(tangent, None))


def dress(x: Tensor, slot: Slot, way: Any = None) -> Tensor:
    """Let ``x`` itself carry a tangent."""
    if not isinstance(x, Dual):
        x.__class__ = _dual_of.get(type(x)) or _derive(type(x))
    x._slot = slot  # type: ignore[attr-defined]
    if way or x._way:  # type: ignore[attr-defined]
        x._way = way  # type: ignore[attr-defined]
    if slot.level is not None:
        slot.members.append(weakref.ref(x))
    return x


def undress(x: Tensor) -> None:
    """Take the tangent away."""
    x.__class__ = x._plain or (Tensor if x._rank == 2 and is_numpy(x._a) else Lifted)  # type: ignore[attr-defined]
    x.__dict__.pop("_slot")
    x.__dict__.pop("_way", None)


_dual_of: dict[type[Tensor], type[Dual]] = {Tensor: Dual, Lifted: Dual, Behind: BehindDual}


def _derive(cls: type[Tensor]) -> type[Dual]:
    """The duals of a class that a user derived from Tensor."""
    found = _dual_of[cls] = type(cls.__name__, (Dual, cls), {"__slots__": (), "_plain": cls})
    return found


barriers: set[Primitive] = set()  # views that share memory, but no tangent: what makes duals, and takes them apart


def carry(x: Tensor, value: Tensor, step: Any = None) -> None:
    """``value`` was written into ``x``, or where a ``step`` leads from there: so is its tangent, for all who share it."""
    if modes.current().inference:  # PyTorch leaves tangents alone there
        return
    if not isinstance(x, Dual):
        _gain(x, value._slot.level)  # type: ignore[attr-defined]
    slot, way = x._slot, x._way if step is None else (x._way, *step)  # type: ignore[attr-defined]
    old = slot.tangent
    t = value.tangent if isinstance(value, Dual) else _zeros(value)
    if way is not None:
        t = table["CopySlices"](old, t, chain=steps(way))
    if not modes.current().grad and isinstance(old, Tensor) and old._rg:  # the history stays, as that of the value does
        t = t.detach()
        t._rg, t._node = True, old._node or old
    slot.tangent = t


def _gain(x: Tensor, level: Level | None) -> None:
    """A tangent of zeros for ``x`` and all that it shares memory with."""
    base = x if x._base is None else x._base
    first = _start(x._meta)
    root = base if first is None else follow_chain(base.detach(), steps(first))
    slot = Slot(_zeros(root), level)
    for view in [] if base._meta is None else base._meta.all_views():
        if _start(view._meta) is first:
            dress(view, slot, _since(view._meta.last, first))
    if first is None:
        dress(base, slot)


def _start(m: Any) -> Any:
    """The last barrier on the way to a view; None if there is none, and for what is no view."""
    last = None if m is None else m.last
    while last is not None and last[1] not in barriers:
        last = last[0]
    return last


def _since(last: Any, first: Any) -> Any:
    """What of a way comes after ``first``."""
    return None if last is first else (_since(last[0], first), *last[1:])


def _zeros(x: Tensor) -> Tensor:
    return wrap(ns.namespace((x._a,)).zeros_like(x._a), x._rank)


setattr(Tensor, "_carry", carry)  # noqa: B010
