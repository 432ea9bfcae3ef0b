"""Indexing: ``x[key]`` with every kind of key, and reading along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays import namespace as ns
from ..modes import current
from ..outputs import EXACT, takes_out
from ..primitive import Primitive, bind, table
from ..recording import record_one
from ..tensor import Tensor
from .keys import Key, batch_place, in_turn, index_error, normal_key
from .kinds import attach, export
from .places import BEYOND, Chosen, add, computed, numbers, read, within, write

_rows = np.array([2, 0, 2])

_apart = (_rows, slice(None), np.array([1, 2, 1]), ...)  # NumPy puts what such arrays index first

_apart_once = (np.array([2, 0, 3]), slice(None), np.array([1, 2, 1]), ...)


_ndarray = np.ndarray


def put_add(xp: Any, g: Any, key: Key, x_shape: tuple[int, ...]) -> Any:
    """Zeros of a shape with ``g`` added at ``key``."""
    repeats = False
    for k in key:
        repeats = repeats or (type(k) is _ndarray and k.dtype.kind in "iu")
    return xp.put_add(g, key, x_shape, repeats)


class GetItem(Primitive):
    """``x[key]``; its transpose adds each entry back where it came from."""

    forward = lambda xp, x, *, key: xp.getitem(x, key)
    vjp_x = put_add
    linear = ("x",)
    view = True
    samples = [
        (((4, 3),), {"key": (slice(1, None, 2), ...)}), (((4, 3),), {"key": (1, ...)}),
        (((4, 3),), {"key": (_rows, ...)}), (((4, 3),), {"key": (None, ..., -1)}), (((3,),), {"key": (0, ...)}),
        (((4, 2, 3),), {"key": _apart}), (((2, 3),), {"key": (np.array([[True, False, True], [False, True, False]]), ...)}),
    ]  # fmt: skip

    def batch(self, size: int, arrays: Any, batched: Any, params: dict[str, Any]) -> Any:
        out = bind(self, arrays, self.batch_params(size, params))
        place = batch_place(params["key"])
        return ns.boxes.moveaxis(out, place, 0) if place else out

    def batch_params(self, size: int, params: dict[str, Any]) -> dict[str, Any]:
        return {"key": (slice(None), *params["key"])}

    def unview(self, x: Any, value: Any, params: dict[str, Any]) -> Any:
        return bind(table["Put"], (x, value), params)


class PutAdd(Primitive):
    """Zeros of ``shape`` with x added at ``key``: the transpose of ``GetItem``."""

    def __call__(self, *arrays: Any, **params: Any) -> Any:
        if computed(params["key"]):
            return add(arrays[0], params["key"], params["shape"])
        return super().__call__(*arrays, **params)

    forward = lambda xp, x, *, key, shape, repeats: xp.put_add(x, key, shape, repeats)
    vjp_x = lambda xp, g, key: xp.getitem(g, key)
    linear = ("x",)
    samples = [
        (((2, 3),), {"key": (slice(1, None, 2), ...), "shape": (4, 3), "repeats": False}),
        (((3, 3),), {"key": (_rows, ...), "shape": (4, 3), "repeats": True}),
        (((3, 2),), {"key": _apart, "shape": (4, 2, 3), "repeats": True}),
    ]  # fmt: skip

    def batch(self, size: int, arrays: Any, batched: Any, params: dict[str, Any]) -> Any:
        place = batch_place(params["key"])
        x = ns.boxes.moveaxis(arrays[0], 0, place) if place else arrays[0]
        return bind(self, (x,), self.batch_params(size, params))

    def batch_params(self, size: int, params: dict[str, Any]) -> dict[str, Any]:
        return {**params, "key": (slice(None), *params["key"]), "shape": (size, *params["shape"])}


class Put(Primitive):
    """x with ``value`` at ``key``."""

    def __call__(self, *arrays: Any, **params: Any) -> Any:
        if computed(params["key"]):
            return write(arrays[0], arrays[1], params["key"])
        return super().__call__(*arrays, **params)

    forward = lambda xp, x, value, *, key: xp.put(x, value, key)
    vjp_x = lambda xp, g, key: xp.put(g, 0, key)
    vjp_value = lambda xp, g, key: xp.getitem(g, key)
    broadcasts = jointly_linear = True
    samples = [
        (((4, 3), (3,)), {"key": (1, ...)}), (((4, 3), ()), {"key": (slice(0, 2), ...)}),
        (((4, 3), (2, 3)), {"key": (np.array([2, 0]), ...)}), (((4, 2, 3), (2,)), {"key": _apart_once}),
    ]  # fmt: skip

    def jvp(self, xp: Any, tangents: Any, out: Any, arrays: Any, params: dict[str, Any]) -> Any:
        x, value = (xp.zeros_like(a) if t is None else t for t, a in zip(tangents, arrays, strict=True))
        return bind(self, (x, value), params)

    def batch(self, size: int, arrays: Any, batched: Any, params: dict[str, Any]) -> Any:
        x, value = arrays
        if not batched[0]:
            x = ns.boxes.broadcast_to(x, (size, *x.shape))
        if batched[1]:  # the value broadcasts against the place, whose rank a batch axis would shift
            key = (slice(None), *params["key"])
            rank, place = len(ns.boxes.getitem(x, key).shape), batch_place(params["key"])
            value = ns.boxes.reshape(value, (size, *(1,) * (rank - len(value.shape)), *value.shape[1:]))
            value = ns.boxes.moveaxis(value, 0, place) if place else value
        return bind(self, (x, value), {"key": (slice(None), *params["key"])})


_nodes = ("SelectBackward0", "SliceBackward0", "UnsqueezeBackward0", "AliasBackward0", "IndexBackward0")
by_name = {name: GetItem(name) for name in _nodes}  # of the key that makes it, as normal_key names it
_select, _advanced, _unbind = by_name["SelectBackward0"], by_name["IndexBackward0"], GetItem("UnbindBackward0")
_index_select = GetItem("IndexSelectBackward0")

_gather: Primitive = table["Gather"]
PutAdd(), Put(), Chosen("MaxBackward0"), Chosen("MinBackward0")


def getitem(self: Tensor, key: Any) -> Tensor:
    """``x[key]``: a view for numbers and slices, a copy for index and mask tensors."""
    if type(key) is int and type(self) is Tensor and type(a := self._a) is _ndarray:
        parts = (key, ...)
        try:
            return record_one(_select, self, a, {"key": parts}, a[parts])
        except IndexError as e:
            raise IndexError(index_error(e, self)) from None
    parts, label = normal_key(key, self._shape)
    if label == "AliasBackward0" and isinstance(key, slice):
        label = "SliceBackward0"
    if label == "IndexBackward0":
        if int in map(type, parts):
            basic, rest = in_turn(parts)
            return getitem(getitem(self, basic), rest)
        if computed(parts):
            return read(self, parts)
    prim = by_name[label]
    try:
        out: Tensor = prim(self, key=parts)
        return saves_index(out) if prim is _advanced else out
    except IndexError as e:
        raise IndexError(index_error(e, self)) from None


def saves_index(out: Tensor) -> Tensor:
    """Have the node count its index among what is saved, and freed by ``backward``, as PyTorch does."""
    if out._node is not None and out._node.tensors is None:
        out._node.tensors = ()
    return out


@takes_out(EXACT)
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False, out: Tensor | None = None) -> Tensor:
    """``out[i][j] = input[index[i][j]][j]`` for dim 0, and so on; ``index`` has input's rank.

    Source: ``torch.gather``.
    """
    if not isinstance(index, Tensor):
        raise TypeError(f"gather(): argument 'index' (position 2) must be Tensor, not {type(index).__name__}")
    at = input._dim(dim)
    if index._dtype.kind not in "iu":
        raise RuntimeError("gather(): Expected dtype int32/int64 for index")
    if not input.ndim and index.numel():
        return gather(input.reshape(1), 0, index.reshape(1), sparse_grad=sparse_grad).reshape(index._shape)
    if not index.numel():
        return _advanced(input.reshape(-1), key=(np.zeros(index._shape, np.int64), ...))
    if index.ndim != input.ndim:
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    if index._shape != input._shape and len(index._shape) > 1:
        input = _as_small(input, at, index)
    return _gather(input, index, axis=at - input.ndim)


def _as_small(input: Tensor, at: int, index: Tensor) -> Tensor:
    """The part of ``input`` that ``index`` reads along ``at``; PyTorch's error if it is the larger."""
    for i, (n, m) in enumerate(zip(index._shape, input._shape, strict=True)):
        if n > m and i != at:
            raise RuntimeError(
                f"Size does not match at dimension {i} expected index {list(index.shape)} to be no larger than self "
                f"{list(input.shape)} apart from dimension {at}"
            )
    if all(i == at or n == m for i, (n, m) in enumerate(zip(index._shape, input._shape, strict=True))):
        return input
    found: Tensor = input[tuple(slice(0, n) if i != at else slice(None) for i, n in enumerate(index._shape))]
    return found


@takes_out("index_select(): self and result must have the same scalar type")
def index_select(input: Tensor, dim: int, index: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The slices of ``input`` along ``dim`` that ``index``, a vector, names.

    Source: ``torch.index_select``.
    """
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if index._dtype not in (np.int32, np.int64):
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    if not input.ndim:
        return index_select(input.reshape(1), dim, index).reshape(())
    at = input._dim(dim)
    wrong = (RuntimeError, "INDICES element is out of DATA bounds, id={i} axis_dim={n}") if at == 1 else BEYOND
    key = (*(slice(None),) * at, within(numbers(index, input).reshape(-1), input._shape[at], at, *wrong), ...)
    return read(input, key) if computed(key) else saves_index(_index_select(input, key=key))


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along ``dim``, as a tuple.

    Source: ``torch.unbind``.
    """
    at = input._dim(dim)
    lead = (slice(None),) * at
    found = tuple([_unbind(input, key=(*lead, i, ...)) for i in range(input._shape[at])])
    mark_several(found)
    return found


def mark_several(views: Sequence[Tensor]) -> None:
    """Note that these are views from one call: PyTorch forbids writing to those."""
    if current().grad:
        for i, view in enumerate(views):
            if view._meta is not None:
                view._meta.created, view._meta.number = "several", i


export("gather", gather)
export("index_select", index_select)
export("unbind", unbind)
attach(__getitem__=getitem)
