"""Writing in place: what may be written, and what a write does to a tensor's memory, version and history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from . import dtypes, errors, modes, transforms
from .arrays.namespace import dtype_of, is_numpy
from .errors import allocating, explained
from .meta import Inference
from .node import Box
from .primitive import table
from .recording import edges, make_node
from .tensor import Tensor, init, lower, wrap
from .transforms import Transform
from .views import forbidden, leave_behind, retain_anew, unrecorded

_ndarray = np.ndarray
_mode = modes.current


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
                raise explained(RuntimeError(errors.leaf_in_place(view=True)), "leaf", x)
        if x._rg and x._node is None:
            raise explained(RuntimeError(errors.leaf_in_place(view=False)), "leaf", x)
    if modes.unusual:
        mode = _mode()
        if mode.before_write is not None:
            mode.before_write(x)
        if type(x._v) is Inference and not mode.inference:
            raise RuntimeError(errors.INFERENCE_WRITE)
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
    while isinstance(a, Tensor) and isinstance(b, Tensor):
        a, b = a._a, b._a
    if not (is_numpy(a) and is_numpy(b)):
        return "none"
    (a0, a1), (b0, b1) = byte_bounds(a), byte_bounds(b)
    if not (a.size and b.size and a1 - a0 == a.nbytes and b1 - b0 == b.nbytes and a0 < b1 and b0 < a1):
        return "none"  # at what is not dense PyTorch does not look
    alike = a0 == b0 and a.shape == b.shape
    alike = alike and not any(s != t and n > 1 for s, t, n in zip(a.strides, b.strides, a.shape, strict=True))
    return "all" if alike else "part"


def compute_into(x: Tensor, function: Callable[..., Tensor], args: tuple[Any, ...], kwargs: Any) -> Tensor:
    """``function(x, ...)`` written into ``x``."""
    for a in args:
        if isinstance(a, Tensor) and a._v is x._v and a is not x and a._v is not None:
            may_write(x, args)
    old = x
    if modes.unusual and _mode().hooks is not None:  # what they are given must not change under their hands
        old = wrap(x._a if isinstance(x._a, Tensor) else _kept(x._a), x._rank)
        old._rg, old._node = x._rg, x._node
        if x._first:
            x._lend(old)
    elif isinstance(x._a, Tensor):  # what transforms around this one have saved of it, the write below must not change
        old = alias(x)
        old._a, old._v = x._a.clone(), None
        if x._first:
            x._lend(old)
    try:
        result = function(old, *args, **kwargs)
    except RuntimeError:
        may_write(x, args)  # PyTorch first asks whether it may
        raise
    return result if result is NotImplemented else assign(x, result)


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
                ), "cast", x,
            )  # fmt: skip
        result = table["Cast"](result, dtype=want)
    if recording:
        _snapshot(x, result._node)
    store(x, result)
    written(x, result if recording else None)
    return x


def written(x: Tensor, result: Tensor | None) -> None:
    """Note that ``x``'s memory was written to, and the history of ``result``, which now is there, if it has one."""
    cell = x._cell()
    if type(cell) is Inference:
        return
    cell[0] += 1
    if result is not None:
        if not x._rg:
            transforms.welcome(x, ())
        _rebase(x, result)
    if len(cell) > 1:
        refs: list[Any] = cell[1:]
        for ref in refs:
            root = ref()
            if root is not None and (root._rg or root._meta.cut) and root._meta.views:
                leave_behind(root)
        if x._meta is not None and x._meta.retains and not x._meta.created:
            x._node  # noqa: B018  rebuilds the history now, which takes what is retained with it


def _kept(a: Any) -> Any:
    """What is in an array now, safe from what is written there next."""
    if type(a) is _ndarray:
        return a.copy()
    if isinstance(a, Tensor):
        return a.clone()
    return a._kept() if isinstance(a, Box) else a


@allocating("the value that is written over, which backward needs")
def _snapshot(x: Tensor, node: Any) -> None:
    """Where the operation's own rule needs the value that is about to be overwritten, keep a copy of it."""
    if node is not None and node.tensors and node.tensors[0] is x:
        a = x._a
        old = wrap(_kept(a), x._rank)
        old._rg, old._node = x._rg, x._node
        if x._first:
            x._lend(old)
        node.tensors = (old, *node.tensors[1:])
        node.saved = (node.saved[0], old._a, *node.saved[2:])


def store(x: Tensor, result: Tensor) -> None:
    """Make ``x`` hold ``result``'s value, in its memory, so that views of it do too."""
    a = x._a
    if type(a) is _ndarray and x._rank == result._rank == 2 and is_numpy(result._a):
        a[...] = result._a
        if x._first or result._first:
            x._carry(result)
        return
    _no_mixing(x, result)
    if isinstance(a, Box):
        a._writing(True)
    _spread(x, result)
    if isinstance(a, Box):
        a._writing(False)


def _spread(x: Tensor, result: Tensor) -> None:
    """Make ``x``, and what shows its memory, stand for a new value."""
    m = x._meta
    root = x if m is None or m.base is None else m.base
    if x._hold(result):
        if isinstance(root._a, Tensor) and not isinstance(x._a, Tensor):
            root._a._cell()[0] += 1  # a view of a batch, whose memory is a tensor's
        return
    if root is not x:
        root._hold(unrecorded(table["CopySlices"], (root, x), {"chain": m.chain}))
    for view in [] if root._meta is None else root._meta.all_views():
        if view is not x:
            view._hold(unrecorded(table["AsStrided"], (root,), {"chain": view._meta.chain}))


def _hold(self: Tensor, result: Tensor) -> bool:
    """Make a tensor stand for ``result``'s value; whether that went into memory, where views see it too."""
    rank = self._rank
    if result._rank > rank:  # a transform's value is written into a tensor from outside, which becomes one of its kind
        transforms.welcome(self, tuple(result.__dict__))
        if rank > 2 or self._rg:
            self._a = alias(self)
        self.__class__ = type(result)
        self.__dict__.update(result.__dict__)
    a, value = self._a, result._a if result._rank >= rank else result
    whole = result._rank <= rank
    if type(value) is Tensor and not (value._rg or value._first):
        value = value._a
    if isinstance(a, Tensor):
        assign(a, lower(value))
    elif type(a) is _ndarray and is_numpy(value):
        a[...] = value
    elif hasattr(a, "_become"):
        a._become(value)
        whole = False
    else:
        self._a, whole = value, False
    if result._first or (whole and self._first):
        if whole:
            self._carry(result)
        elif result._rank == rank:
            result._lend(self)
    return whole


setattr(Tensor, "_hold", _hold)  # noqa: B010


def alias(x: Tensor) -> Tensor:
    """Another tensor that is what ``x`` is now."""
    found: Tensor = init(object.__new__(type(x)), x._a, x._rg)
    found._node, found._v = x._node, x._cell()
    found.__dict__.update(x.__dict__)
    return found


def _no_mixing(x: Tensor, result: Tensor) -> None:
    """PyTorch's error for a write of what differs from sample to sample into what does not."""
    if result._rank > 2:
        have = transforms.batches(x)
        if any(t not in have for t in transforms.batches(result)):
            raise explained(RuntimeError(transforms.one_for_many("inplace arithmetic")))


def lead_out(t: Transform, tracked: Callable[[Tensor], bool]) -> None:
    """Take what a transform that is over wrote into tensors from outside back out of them: all but the values.

    ``tracked`` says whether something else than that transform tracks a tensor.
    """
    for ref, names in t.guests:
        x = ref()
        if x is None:
            continue
        if x._rank > t.rank or (x._rank == t.rank and t.kind != "grad"):
            a = x._a
            while isinstance(a, Tensor) and a._rank >= t.rank:
                a = a._a
            old = lower(a)
            for name in names:
                x.__dict__.pop(name, None)
            x.__class__ = type(old)
            x.__dict__.update(old.__dict__)
            x._a, x._rg, x._node = old._a, old._rg, old._node
        elif x._rank == t.rank and x._rg and not tracked(x):
            x._rg, x._node = False, None


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
                         root._a, wanted, edges((root, result), wanted), root)  # fmt: skip
        node.tensors = node.tensors or ()  # backward frees it, as in PyTorch
        if root._meta.retains:
            retain_anew(root, node)
        root._node, root._rg = node, True
