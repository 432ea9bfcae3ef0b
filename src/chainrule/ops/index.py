"""Indexing: ``x[key]`` and ``x[key] = value`` with every kind of key, and reading along an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes, errors
from ..arrays import namespace as ns
from ..arrays.namespace import is_numpy
from ..engine import Box
from ..errors import explained
from ..modes import current, no_grad
from ..primitive import Primitive, bind, table
from ..recording import make_node, record_one
from ..tensor import Tensor, wrap
from ..views import follow_chain
from ..writes import _store, check_writable, overlap, written
from .kinds import attach, export
from .shape import Reshape

Key = tuple[Any, ...]
_rows = np.array([2, 0, 2])
_apart = (_rows, slice(None), np.array([1, 2, 1]), ...)  # NumPy puts what such arrays index first
_apart_once = (np.array([2, 0, 3]), slice(None), np.array([1, 2, 1]), ...)


class GetItem(Primitive):
    """``x[key]``; its transpose adds each entry back where it came from."""

    forward = lambda xp, x, *, key: xp.getitem(x, key)
    vjp_x = lambda xp, g, x_shape, key: put_add(xp, g, key, x_shape)
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


def batch_place(key: Key) -> int:
    """Where the axis of a slice put before ``key`` comes out: first, unless arrays that stand apart go before it."""
    arrays = [i for i, k in enumerate(key) if type(k) in (int, np.ndarray)]
    apart = bool(arrays) and arrays != list(range(arrays[0], arrays[-1] + 1))
    if not apart or not any(type(k) is np.ndarray for k in key):
        return 0
    found = [k.nonzero()[0] if k.dtype.kind == "b" else k for k in key if type(k) is np.ndarray]
    return len(np.broadcast_shapes(*[k.shape for k in found]))


def put_add(xp: Any, g: Any, key: Key, shape: tuple[int, ...]) -> Any:
    repeats = False
    for k in key:
        repeats = repeats or (type(k) is np.ndarray and k.dtype.kind in "iu")
    return xp.put_add(g, key, shape, repeats)


class PutAdd(Primitive):
    """Zeros of ``shape`` with x added at ``key``: the transpose of ``GetItem``."""

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


CHAIN = ((GetItem(), {"key": (slice(None), 1, ...)}), (Reshape(), {"shape": (2,)}))


class CopySlices(Primitive):
    """``base`` with ``value`` where a chain of views leads: what a write through a view makes of its base."""

    forward = lambda xp, base, value, *, chain: put_back(base, value, chain)
    vjp_base = lambda xp, g, chain: put_back(g, xp.zeros_like(follow_chain(g, chain)), chain)
    vjp_value = lambda xp, g, chain: follow_chain(g, chain)
    broadcasts = composite = jointly_linear = True
    samples = [(((2, 3), (2,)), {"chain": CHAIN})]

    def batch_params(self, size: int, params: dict[str, Any]) -> dict[str, Any]:
        return {"chain": tuple([(prim, prim.batch_params(size, p)) for prim, p in params["chain"]])}


class AsStrided(Primitive):
    """Where a chain of views leads from ``base``: what a view is, once its base was written to."""

    forward = lambda xp, base, *, chain: follow_chain(base, chain)
    vjp_base = lambda xp, g, base_shape, chain: pull_back(xp, xp.zeros(base_shape, dtype=g.dtype), g, chain)
    linear = ("base",)
    composite = True
    samples = [(((2, 3),), {"chain": CHAIN})]

    def batch(self, size: int, arrays: Any, batched: Any, params: dict[str, Any]) -> Any:
        for prim, p in params["chain"]:
            arrays = (prim.batch(size, arrays, (True,), p),)
        return arrays[0]


def pull_back(xp: Any, x: Any, g: Any, chain: Any) -> Any:
    """The cotangent of ``x``, whose value does not matter, for that of where the chain leads."""
    prim, params = chain[0]
    if len(chain) > 1:
        g = pull_back(xp, bind(prim, (x,), params), g, chain[1:])
    return prim.pulls[0](xp, g, (None, x), {**params, "x_shape": x.shape})


def put_back(x: Any, value: Any, chain: Any) -> Any:
    """``x`` with ``value`` where the chain leads."""
    if any(prim.name == "Expand" for prim, _ in chain):  # entries of x have several places: ask where they are
        shape = tuple(x.shape)
        at = follow_chain(np.arange(math.prod(shape)).reshape(shape), chain)
        x = bind(table["Reshape"], (x,), {"shape": (math.prod(shape),)})
        return bind(table["Reshape"], (bind(table["Put"], (x, value), {"key": (at, ...)}),), {"shape": shape})
    prim, params = chain[0]
    if len(chain) > 1:
        value = put_back(bind(prim, (x,), params), value, chain[1:])
    return prim.unview(x, value, params)


class Gather(Primitive):
    """Entries of x along ``axis`` at ``index``, which has x's rank."""

    forward = lambda xp, x, index, *, axis: xp.take_along_axis(x, index, axis=axis)
    vjp_x = lambda xp, g, index, x_shape, axis: xp.put_along_axis(g, index, axis, x_shape[axis])
    linear = ("x",)
    samples = [(((2, 3), [[0, 2], [1, 1]]), {"axis": -1}), (((3, 2), [[2, 0]]), {"axis": -2})]


class PutAlong(Primitive):
    """Zeros with x added at ``index`` along ``axis``, of length ``size``: the transpose of ``Gather``."""

    forward = lambda xp, x, index, *, axis, size: xp.put_along_axis(x, index, axis, size)
    vjp_x = lambda xp, g, index, axis: xp.take_along_axis(g, index, axis=axis)
    linear = ("x",)
    samples = [(((2, 2), [[0, 2], [1, 1]]), {"axis": -1, "size": 3})]


_basic = {name: GetItem(name) for name in ("SelectBackward0", "SliceBackward0", "UnsqueezeBackward0", "AliasBackward0")}
_select = _basic["SelectBackward0"]
_advanced, _unbind = GetItem("IndexBackward0"), GetItem("UnbindBackward0")
_gather, _index_put, _copy_slices = Gather(), Put("IndexPutBackward0"), CopySlices("torch::autograd::CopySlices")
table["CopySlices"] = _copy_slices
PutAdd(), Put(), AsStrided(), PutAlong(), Gather("MaxBackward0"), Gather("MinBackward0")


def normal_key(key: Any, shape: tuple[int, ...]) -> tuple[Key, str]:
    """A user's key as ints, slices, None, ... and integer arrays, ending in ``...``; and its node's name.

    PyTorch skips slices of everything: "AliasBackward0" says that nothing else is there.
    """
    parts = key if type(key) is tuple else (key,)
    found: list[Any] = []
    label, dots, dim = "AliasBackward0", False, 0
    for i, k in enumerate(parts):
        if type(k) is int:
            label = label if label == "IndexBackward0" else "SelectBackward0"
            dim += 1
        elif isinstance(k, slice):
            if any(isinstance(v, Tensor) for v in (k.start, k.stop, k.step)):
                k = slice(*(None if v is None else int(v) for v in (k.start, k.stop, k.step)))
            if k.step is not None and k.step <= 0:
                raise explained(
                    ValueError("step must be greater than zero\nReverse with torch.flip(x, [dim]) instead of x[::-1].")
                )
            n = shape[dim] if dim < len(shape) else 0
            if label != "IndexBackward0" and k.indices(n) != (0, n, 1):
                label = "SliceBackward0"
            dim += 1
        elif k is None:
            label = label if label == "IndexBackward0" else "UnsqueezeBackward0"
        elif k is Ellipsis:
            dots = True
            dim = len(shape) - sum(_width(later) for later in parts[i + 1 :])
        else:
            k, advanced = _array_key(k)
            label = "IndexBackward0" if advanced else "SelectBackward0"
            dim += _width(k)
        found.append(k)
    if not dots:
        found.append(Ellipsis)
    return tuple(found), label


def _width(k: Any) -> int:
    """How many dimensions a part of a key takes."""
    return 0 if k is None else k.ndim if hasattr(k, "ndim") and k.dtype in (np.bool_, dtypes.bool_) else 1


def _array_key(k: Any) -> tuple[Any, bool]:
    if isinstance(k, Tensor):
        if k._rank != 2 or not isinstance(k._a, (np.ndarray, np.generic)):
            raise RuntimeError(
                "an index that depends on the input cannot be used here: inside vmap or compile write "
                "torch.gather(x, dim, index) instead of x[index]"
            )
        if k._dtype.kind in "iu" and not k._shape:
            return int(k._a), False
        k = k._a
    elif isinstance(k, np.integer):
        return int(k), False
    a = np.asarray(k)
    if a.dtype.kind not in "iub" and a.size:
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    return a.astype(np.int64) if a.dtype.kind != "b" else a, True


def getitem(self: Tensor, key: Any) -> Tensor:
    """``x[key]``: a view for numbers and slices, a copy for index and mask tensors."""
    if type(key) is int and type(self) is Tensor and type(self._a) is np.ndarray:
        try:
            return record_one(_select, self, self._a, {"key": (key, ...)}, self._a[key, ...])
        except IndexError as e:
            raise IndexError(_index_error(e, self)) from None
    parts, label = normal_key(key, self._shape)
    if label == "AliasBackward0" and isinstance(key, slice):
        label = "SliceBackward0"
    if label == "IndexBackward0" and int in map(type, parts):
        basic, rest = in_turn(parts)
        return getitem(getitem(self, basic), rest)
    prim = _advanced if label == "IndexBackward0" else _basic[label]
    try:
        out: Tensor = prim(self, key=parts)
        return out if prim is not _advanced or out._node is None else _saves_index(out)
    except IndexError as e:
        raise IndexError(_index_error(e, self)) from None


def _saves_index(out: Tensor) -> Tensor:
    """Have the node count its index among what is saved, and freed by ``backward``, as PyTorch does."""
    if out._node.tensors is None:
        out._node.tensors = ()
    return out


def in_turn(parts: Key) -> tuple[Key, Key]:
    """A key of arrays and numbers as two, numbers and slices first: PyTorch's order, and so its order of axes."""
    basic: list[Any] = []
    rest: list[Any] = []
    for k in parts:
        if type(k) is np.ndarray:
            basic.extend([slice(None)] * (k.ndim if k.dtype.kind == "b" else 1))
            rest.append(k)
        else:
            basic.append(k)
            if type(k) is not int:
                rest.append(k if k is Ellipsis else slice(None))
    return tuple(basic), tuple(rest)


def _index_error(e: IndexError, x: Tensor) -> str:
    text = str(e)
    if text.startswith("too many indices"):
        if not x._shape:
            return ("invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to "
                    "convert a 0-dim tensor to a number")  # fmt: skip
        return f"too many indices for tensor of dimension {x.ndim}"
    return text.replace("for axis", "for dimension").replace("axis", "dimension")


def setitem(self: Tensor, key: Any, value: Any) -> None:
    """``x[key] = value``: written in place, and recorded."""
    parts, label = normal_key(key, self._shape)
    if label == "IndexBackward0" and int in map(type, parts):
        basic, rest = in_turn(parts)
        return setitem(getitem(self, basic), rest, value)
    if not isinstance(value, Box):
        value = as_value(value, self)
    plain = self._rank == value._rank == 2 and is_numpy(self._own()) and is_numpy(value._a)
    if plain and label != "IndexBackward0":
        return write_part(self if label == "AliasBackward0" else getitem(self, key), value)
    recording = current().grad and (self._rg or value._rg)
    check_writable(self, value._rg, uniform=not recording)  # PyTorch lets expanded tensors be written to by index
    masked = not any(type(k) is np.ndarray and k.dtype.kind != "b" for k in parts)
    if plain and (value is self or value._v is self._v is not None) and not (masked and value.numel() == 1):
        if overlap(self._a, value._a) != "none":
            raise RuntimeError(errors.OVERLAPS)
    if value._dtype != self._dtype and not masked:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{errors.scalar_type(self._dtype)} for the destination and {errors.scalar_type(value._dtype)} for the source."
        )
    if value._dtype != self._dtype:
        value = table["Cast"](value, dtype=self._dtype)
    prim = _index_put if label == "IndexBackward0" else _copy_slices
    view_prim = _basic.get(label, _advanced)
    params: dict[str, Any] = {"key": parts} if prim is _index_put else {"chain": ((view_prim, {"key": parts}),)}
    result = None
    if recording:
        if prim is not _index_put:
            target = self[key].shape
            if target != value.shape:
                value = value.expand(*target) if len(value.shape) <= len(target) else value.reshape(target)
        rank = max(self._rank, value._rank)  # written to with a transform's value, this becomes one of its kind
        wanted = tuple([t._rg and t._rank == rank for t in (self, value)])
        inner = tuple([t._a if t._rank == rank else t for t in (self, value)])
        result = wrap(self._a, rank)
        result._node = make_node(prim, rank, (self, value), inner, params, inner[0], wanted, result)
        result._rg = True
        if prim is _index_put:
            _saves_index(result)
    try:
        if plain:
            self._a[parts] = value._a
        else:
            with no_grad():
                _store(self, bind(table["Put"], (self, value), {"key": parts}))
    except IndexError as e:
        raise IndexError(_index_error(e, self)) from None
    except ValueError as e:
        raise RuntimeError(f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to indexing "
                           f"result of shape {list(self.detach()[key].shape)}") from e  # fmt: skip
    written(self, result)


def as_value(value: Any, like: Tensor) -> Tensor:
    """A number as a tensor of ``like``'s dtype."""
    if not isinstance(value, (bool, int, float, complex, np.generic)):
        raise explained(
            TypeError(
                f"can't assign a {type(value).__name__} to a torch.{errors.scalar_type(like._dtype)}Tensor"
                "\nAssign a number or a tensor: x[key] = torch.tensor(value)."
            )
        )
    if isinstance(value, complex) and like._dtype.kind != "c":
        raise RuntimeError(f"value cannot be converted to type {like.dtype.name} without overflow")
    return wrap(np.asarray(value, like._dtype))


def write_part(target: Tensor, value: Tensor) -> None:
    """``value`` written into a view, or into a whole tensor, as ``x[key] = value`` does."""
    have, want = value._shape, target._shape
    if not have and want:
        target.fill_(value)
        return
    while len(have) > len(want) and have[0] == 1:
        have = have[1:]
    value = value if have == value._shape else value.view(have)
    target.copy_(value if have == want else value.expand(*want))


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """``out[i][j] = input[index[i][j]][j]`` for dim 0, and so on; ``index`` has input's rank.

    Source: ``torch.gather``.
    """
    at = input._dim(dim)
    if index._dtype.kind not in "iu":
        raise RuntimeError("gather(): Expected dtype int64 for index")
    if index.ndim != input.ndim:
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    cut = tuple(slice(0, n) if i != at else slice(None) for i, n in enumerate(index._shape))
    if any(i != at and n != m for i, (n, m) in enumerate(zip(index._shape, input._shape, strict=True))):
        input = input[cut]
    return _gather(input, index, axis=at - input.ndim)  # type: ignore[no-any-return]


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of ``input`` along ``dim`` that ``index``, a vector, names.

    Source: ``torch.index_select``.
    """
    return input[(*(slice(None),) * input._dim(dim), index)]


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
attach(__getitem__=getitem, __setitem__=setitem)
