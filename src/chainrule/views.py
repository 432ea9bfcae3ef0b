"""Views: tensors that share memory, and what a write to one does to the history of the others."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import errors, modes
from .meta import Inference, Meta
from .node import Box, Nowhere, Port, more
from .primitive import Primitive, bind, table
from .tensor import Tensor, node_slot, wrap

_ndarray = np.ndarray


def note_view(prim: Primitive, of: Tensor, out: Tensor, params: dict[str, Any], grad: bool) -> None:
    """Remember that ``out`` shares memory with ``of``, so that a write to one is seen by the other's graph."""
    a, b = of._a, out._a
    if (type(b) is not _ndarray or b.base is not a) and copied(a, b):
        return  # after all: reshape of a transposed array, say
    m, up = Meta(), of._meta
    out._meta = m
    if up is None:
        up = of._meta = Meta()
        m.base, m.last = of, (None, prim, params)
    elif up.base is None:
        m.base, m.last = of, (None, prim, params)
    else:
        m.base, m.last = up.base, (up.last, prim, params)
        if up.created is not None:
            m.created = up.created
        up = m.base._meta
    if not grad:
        m.created = "inference" if modes.current().inference else "no_grad"
        if m.base._rg:  # PyTorch's views require grad when their base does, history or not
            out._rg, out._node = True, Nowhere()
    v = of._v
    if v is None:
        of._v = v = [0]
    elif type(v) is not Inference and v[0]:
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


def copied(a: Any, b: Any) -> bool:
    """Whether ``b``, made of ``a`` by a view's operation, has memory of its own."""
    if isinstance(b, Tensor):
        base = b._base
        return isinstance(a, Tensor) and b is not a and (base is None or (base is not a and base is not a._base))
    while isinstance(a, Tensor):  # the argument of a transform, which holds the tensor that it came from
        a = a._a
    if type(b) is not _ndarray:  # a trace says of what memory it is
        return isinstance(b, Box) and getattr(b, "memory", None) is not getattr(a, "memory", None)
    if b is a or b.base is a:
        return False
    return b.base is None or b.base is not getattr(a, "base", None)


def noting(interpret: Callable[..., Any]) -> Callable[..., Any]:
    """A transform's way to interpret, with what shows the same memory noted: writes must be seen there too."""

    @functools.wraps(interpret)
    def noted(self: Any, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        out = interpret(self, prim, args, params)
        if prim.view:
            note_view(prim, args[0], out, params, modes.current().grad)
        return out

    return noted


def unrecorded(prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
    """``prim`` without a node at the level it happens on; the levels below record as ever."""
    rank = max([a._rank for a in args])
    if rank % 2 or any(a._first for a in args):  # a transform's array, which has no nodes; or with a tangent
        return bind(prim, tuple(args), params)
    return wrap(bind(prim, tuple([a._a if a._rank == rank else a for a in args]), params), rank)


def follow_chain(x: Any, chain: Sequence[tuple[Primitive, dict[str, Any]]]) -> Any:
    for prim, params in chain:
        x = bind(prim, (x,), params)
    return x


def forbidden(x: Tensor, past: bool) -> str:
    m, node = x._meta, node_slot.__get__(x)
    number = node.number if type(node) is Port else m.number
    return errors.forbidden_view(m.created, None if type(node) is Nowhere else node, number, past)


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
    _now: type[Tensor] = Tensor  # what it is once its history is up to date

    @property
    def _node(self) -> Any:
        if self._meta.created:
            raise RuntimeError(forbidden(self, past=True))
        follow_base(self)
        return self._node

    @_node.setter
    def _node(self, node: Any) -> None:
        self.__class__ = self._now  # type: ignore[assignment]
        self._node = node


behind: dict[type[Tensor], type[Tensor]] = {Tensor: Behind}


def leave_behind(root: Tensor) -> None:
    """Note in every view of a base that was written to that its history is of the past."""
    m = root._meta
    views, m.views = m.live_views(), []
    for view in views:
        if root._rg or node_slot.__get__(view) is not None:
            fall_behind(m, view)
        else:
            m.views.append(weakref.ref(view))


def fall_behind(m: Meta, view: Tensor) -> None:
    if type(view) not in behind:
        follow_base(view)
        return
    if not view._rg:
        view._rg, view._node = True, Nowhere()
    view.__class__ = behind[type(view)]
    note_behind(m, view)


def note_behind(m: Meta, view: Tensor) -> None:
    if not m.behind:
        m.behind = []
    m.behind.append(weakref.ref(view))
    n = len(m.behind)
    if n > 32 and not n & (n - 1):  # at each doubling, drop the dead and those that followed
        m.behind = [weakref.ref(v) for v in m.all_views() if isinstance(v, Behind)]


def follow_base(view: Tensor) -> None:
    """Give a view of a rewritten base the history it now has: the base's, then the way from it."""
    m = view._meta
    base = m.base
    if not base._rg:  # it was detached since: the view has a history still, but one that leads nowhere
        base = wrap(base._a, base._rank)
        base._rg, base._node = True, Nowhere()
    with modes.enable_grad():
        fresh = table["AsStrided"](base, chain=m.chain)
    if m.retains:
        retain_anew(view, fresh._node)
    view._node, view._rg = fresh._node, fresh._rg
    m.seen = view._version
    m.base._meta.views.append(weakref.ref(view))


def tell_views(root: Tensor) -> None:
    """Note in every view of a base that was told to require grad, or not to, that they now do, or do not."""
    m = root._meta
    m.cut = not root._rg
    views, m.views = m.all_views(), []
    for view in views:
        if root._rg and not view._rg:
            if view._meta.seen != view._version:
                fall_behind(m, view)
                continue
            view._rg, view._node = True, Nowhere()
        elif not root._rg:
            node = node_slot.__get__(view)
            if node is None or type(node) is Nowhere:  # it has no history but the base's; it may be a leaf of its own
                view._rg, view._node = view._rg and node is None, None
        if not isinstance(view, Behind):
            m.views.append(weakref.ref(view))


setattr(Tensor, "_tell_views", tell_views)  # noqa: B010
