"""Indices that are computed: inside ``vmap`` each sample has its own, and ``compile`` does not know them beforehand.

A key of arrays is a parameter of its operation.  Where it holds tensors that a transform stands behind, it becomes
an argument: the places in the flattened tensor, as numbers that are computed like any others.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays import namespace as ns
from ..arrays.namespace import is_numpy
from ..arrays.numpy_ import OUTSIDE, beyond
from ..errors import explained
from ..primitive import Primitive, bind
from ..tensor import Tensor, wrap
from .keys import Key, hidden


class Gather(Primitive):
    """Entries of x along ``axis`` at ``index``, which has x's rank."""

    forward = lambda xp, x, index, *, axis: xp.take_along_axis(x, index, axis=axis)
    vjp_x = lambda xp, g, index, x_shape, axis: xp.put_along_axis(g, index, axis, x_shape[axis])
    linear = ("x",)
    depends = lambda xp, x, index, axis, out_shape: xp.broadcast_to(xp.sum(x, axis=axis, keepdims=True), out_shape)
    samples = [(((2, 3), [[0, 2], [1, 1]]), {"axis": -1}), (((3, 2), [[2, 0]]), {"axis": -2})]

    def batch(self, size: int, arrays: Any, batched: Any, params: dict[str, Any]) -> Any:
        x, index = arrays
        if batched[0] or params["axis"] != -len(x.shape):
            return super().batch(size, arrays, batched, params)
        flat = ns.boxes.reshape(index, (-1, *index.shape[2:]))  # from one array, without a copy for each sample
        return ns.boxes.reshape(bind(self, (x, flat), params), index.shape)


class Chosen(Primitive):
    """One entry of x along ``axis``, at ``index``, which has that axis with length 1; it goes unless ``keepdims``."""

    forward = lambda xp, x, index, *, axis, keepdims: without(
        xp, xp.take_along_axis(x, index, axis=axis), axis, keepdims
    )
    vjp_x = lambda xp, g, index, x_shape, axis, keepdims: xp.put_along_axis(
        g if keepdims else xp.expand_dims(g, axis=axis), index, axis, x_shape[axis]
    )
    linear = ("x",)
    depends = lambda xp, x, index, axis, keepdims, out_shape: xp.sum(x, axis=(axis,), keepdims=keepdims)
    samples = [
        (((2, 3), [[2], [1]]), {"axis": -1, "keepdims": False}), (((3, 2), [[2, 0]]), {"axis": -2, "keepdims": True}),
    ]  # fmt: skip


def without(xp: Any, x: Any, axis: int, keepdims: bool) -> Any:
    return x if keepdims else xp.squeeze(x, axis=axis)


class PutAlong(Primitive):
    """Zeros with x added at ``index`` along ``axis``, of length ``size``: the transpose of ``Gather``."""

    forward = lambda xp, x, index, *, axis, size: xp.put_along_axis(x, index, axis, size)
    vjp_x = lambda xp, g, index, axis: xp.take_along_axis(g, index, axis=axis)
    linear = ("x",)
    depends = lambda xp, x, index, axis, out_shape: xp.broadcast_to(xp.sum(x, axis=axis, keepdims=True), out_shape)
    samples = [(((2, 2), [[0, 2], [1, 1]]), {"axis": -1, "size": 3})]


class PutAt(Primitive):
    """x with ``value`` at ``index`` along the last axis; of two entries for one place, one is there."""

    forward = lambda xp, x, value, index: xp.put(x, value, along_last(index))
    vjp_x = lambda xp, g, index: _put_at(g, xp.zeros_like(xp.take_along_axis(g, index, axis=-1)), index)
    vjp_value = lambda xp, g, index: xp.take_along_axis(g, index, axis=-1)
    jvp_x = lambda xp, t, index: _put_at(t, xp.zeros_like(xp.take_along_axis(t, index, axis=-1)), index)
    jvp_value = lambda xp, t, index, x_shape: xp.put_along_axis(t, index, -1, x_shape[-1])
    depends = lambda xp, x, value, index: x + xp.sum(value, axis=-1, keepdims=True)
    formula = False
    samples = [(((2, 3), (2, 2), [[0, 2], [1, 0]]), {})]


def along_last(index: Any) -> Key:
    return (*np.ogrid[tuple([slice(n) for n in index.shape])][:-1], index)


def numbers(index: Tensor, *given: Any) -> Any:
    """An index as an array of int64; or as it is, if only the places beneath a transform have numbers.

    A node of one of the tensors ``given`` keeps a copy of its own: what is written to the index later is not for it.
    """
    if hidden(index):
        return index
    keep = any(isinstance(t, Tensor) and (t._rg or t._rank != 2) for t in given)
    return index._own().astype(np.int64, copy=keep)


BEYOND = IndexError, "index out of range in self"


class Within(Primitive):
    """Indices from 0 on; where one is not below ``n``, or is negative unless those count from the end, ``error(words)``.

    ``at`` is the dimension that it is about.
    """

    forward = lambda xp, x, *, n, at, error, words, wraps: _within(xp, x, n, at, error, words, wraps)
    differentiable = False
    formula = False
    samples = [(([0, -1, 2],), {"n": 3, "at": 0, "error": IndexError, "words": OUTSIDE, "wraps": True})]

    def batch_params(self, size: int, params: dict[str, Any]) -> dict[str, Any]:
        return {**params, "at": params["at"] + 1}


def _within(xp: Any, x: Any, n: int, at: int, error: type[Exception], words: str, wraps: bool) -> Any:
    if is_numpy(x) and not beyond(x, n):
        return x
    wrong = (x < (-n if wraps else 0)) | (x >= n)
    if bool(xp.any(wrong)):
        i = int(np.asarray(x)[np.asarray(wrong)].flat[0])
        raise explained(error(words.format(i=i, n=n, at=at, place=np.flatnonzero(wrong)[0])))
    return xp.where(x < 0, x + n, x)


def within(
    index: Any, n: int, at: int = 0, error: type[Exception] = IndexError, words: str = OUTSIDE, wraps: bool = False
) -> Any:
    """:class:`Within` of an array or a tensor: now, where numbers are known, or when they will be."""
    if isinstance(index, Tensor) and hidden(index):
        return _within_bounds(index, n=n, at=at, error=error, words=words, wraps=wraps)
    a = index._a if isinstance(index, Tensor) else index
    found = _within(np, a, n, at, error, words, wraps)
    return index if found is a else wrap(found) if isinstance(index, Tensor) else found


_within_bounds, _read, _added = Within(), Gather("IndexBackward0"), PutAlong("IndexPutBackward0")
_put_at: Primitive = PutAt()
Gather(), PutAlong()


def computed(key: Key) -> bool:
    """Whether a key's parts depend on what transforms or compile do not know yet."""
    return any(isinstance(k, Tensor) for k in key)


def places(shape: tuple[int, ...], key: Key) -> Tensor:
    """Where in a flattened tensor of ``shape`` the entries that ``key`` selects are, arranged as they come out."""
    parts = _full(key, len(shape))
    arrays = [i for i, k in enumerate(parts) if isinstance(k, (Tensor, np.ndarray))]
    together = np.broadcast_shapes(*[tuple(parts[i].shape) for i in arrays])
    apart = arrays[-1] - arrays[0] != len(arrays) - 1
    first = 0 if apart else arrays[0]  # the axis that theirs come out at
    rank = len(parts) - len(arrays) + len(together)
    strides = [math.prod(shape[d + 1 :]) for d in range(len(shape))]
    known: Any = np.zeros((1,) * rank, np.int64)
    unknown: Any = 0
    dim = axis = 0
    for i, k in enumerate(parts):
        if i == arrays[0]:
            axis = axis if apart else axis + len(together)
        if k is None:
            axis += 1
            continue
        n, stride = shape[dim], strides[dim]
        if isinstance(k, slice):
            place = axis if not apart else axis + len(together)
            own = np.arange(*k.indices(n)) * stride
            known = known + own.reshape((-1,) + (1,) * (rank - place - 1))
            axis += 1
        else:
            index = k if isinstance(k, Tensor) else wrap(k)
            unknown = unknown + within(index.long(), n, dim, wraps=True) * stride
        dim += 1
    tail = rank - first - len(together)
    return unknown.reshape(*unknown.shape, *(1,) * tail) + wrap(known)  # type: ignore[no-any-return]


def _full(key: Key, dims: int) -> list[Any]:
    """The key with a slice for each dimension that its ``...`` stands for, and numbers for masks."""
    parts: list[Any] = []
    for k in key:
        if isinstance(k, np.ndarray) and k.dtype.kind == "b":
            parts.extend(k.nonzero())
        elif type(k) is int:
            parts.append(np.asarray(k))
        else:
            parts.append(k)
    taken = sum(k is not None and k is not Ellipsis for k in parts)
    if taken > dims:
        raise IndexError(f"too many indices for tensor of dimension {dims}")
    at = next(i for i, k in enumerate(parts) if k is Ellipsis)
    return [*parts[:at], *[slice(None)] * (dims - taken), *parts[at + 1 :]]


def _blocks(shape: tuple[int, ...], key: Key) -> tuple[Tensor, tuple[int, ...]]:
    """:func:`places` of blocks that are taken whole, and their shape: what the last parts of a key are ``:`` for."""
    parts = _full(key, len(shape))
    arrays = [i for i, k in enumerate(parts) if isinstance(k, (Tensor, np.ndarray))]
    whole = len(parts)
    while whole > arrays[-1] + 1 and parts[whole - 1] == slice(None):
        whole -= 1
    lead = len(shape) - (len(parts) - whole)
    if arrays[-1] - arrays[0] != len(arrays) - 1 or not math.prod(shape):
        return places(shape, key), ()
    return places(shape[:lead], (*parts[:whole], ...)), shape[lead:]


def read(x: Tensor, key: Key) -> Tensor:
    """``x[key]`` for a key that is computed."""
    at, rest = _blocks(x._shape, key)
    n = math.prod(rest)
    found = _read(x.reshape(-1, n), at.reshape(-1, 1).expand(-1, n), axis=-2)
    return found.reshape(*at._shape, *rest)


def write(x: Tensor, value: Tensor, key: Key) -> Tensor:
    """x with ``value`` at ``key``."""
    at = places(x._shape, key)
    return _put_at(x.reshape(-1), value.expand(at._shape).reshape(-1), at.reshape(-1)).reshape(x._shape)


def add(value: Tensor, key: Key, shape: tuple[int, ...]) -> Tensor:
    """Zeros of ``shape`` with ``value`` added at ``key``."""
    at, rest = _blocks(shape, key)
    n = math.prod(rest)
    blocks = value.expand(*at._shape, *rest).reshape(-1, n)
    size = math.prod(shape[: len(shape) - len(rest)])
    flat = _added(blocks, at.reshape(-1, 1).expand(-1, n), axis=-2, size=size)
    return flat.reshape(shape)
