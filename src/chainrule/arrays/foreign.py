"""Arrays of other libraries: Dask for what one machine cannot hold, JAX for XLA, CuPy for a GPU.

The array API's names come from the library itself, for Dask and CuPy through ``array_api_compat``.  What
is written here is the little that the standard lacks, or that a library does in its own way.  Nothing here
computes a Dask array: graphs grow until ``.numpy()`` or ``.item()`` asks for numbers.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..extras import load
from . import attention, gates, layout, numpy_
from .namespace import standardised

Key = tuple[Any, ...]


def namespace(a: Any) -> Any:
    """The namespace of rules for the library that ``a`` comes from."""
    return _namespace(type(a).__module__.partition(".")[0])


@functools.cache
def _namespace(library: str) -> Any:
    return {"dask": Dask, "jax": Jax, "jaxlib": Jax, "cupy": Cupy}[library]()


class Library:
    """One library's functions under the array API's names, and what rules need besides."""

    name: str  # of the extra to install, and how arrays are printed
    lazy = False  # whether an array's numbers are still to be computed
    module: str  # where the standard's names are

    def __init__(self) -> None:
        self.of = load(self.module, self.name, f"arithmetic on {self.name} arrays")

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.of, name)
        setattr(self, name, found)  # so that the next look-up is direct
        return found

    def astype(self, x: Any, dtype: Any) -> Any:
        return self.of.astype(x.real if x.dtype.kind == "c" and np.dtype(dtype).kind not in "cb" else x, dtype)

    def sigmoid(self, x: Any) -> Any:
        return 1 / (1 + self.exp(-x))

    def attend(self, q: Any, k: Any, v: Any, mask: Any, scale: float) -> Any:
        return attention.attend(self, q, k, v, mask, scale)

    def attend_back(self, g: Any, out: Any, q: Any, k: Any, v: Any, mask: Any, scale: float) -> Any:
        return attention.attend_back(self, g, out, q, k, v, mask, scale)

    def lstm(self, a: Any, c: Any) -> Any:
        return gates.lstm(self, a, c)

    def lstm_back(self, grad: Any, out: Any, c: Any) -> Any:
        return gates.lstm_back(self, grad, out, c)

    def sign(self, x: Any) -> Any:
        """0 for nan, and for a complex number its direction, as in PyTorch."""
        if x.dtype.kind == "c":
            size = self.abs(x)
            return x / self.where(size == 0, self.ones_like(size), size)
        return self.astype(x > 0, x.dtype) - self.astype(x < 0, x.dtype)

    def complex(self, real: Any, imag: Any) -> Any:
        return real + 1j * imag

    def view_as_real(self, x: Any) -> Any:
        return self.stack([self.real(x), self.imag(x)], axis=-1)

    def view_as_complex(self, x: Any) -> Any:
        return self.complex(x[..., 0], x[..., 1])

    def relu(self, x: Any) -> Any:
        return self.maximum(x, self.zeros_like(x))

    def softplus(self, x: Any) -> Any:
        return self.relu(x) + self.log1p(self.exp(-self.abs(x)))

    def peak(self, x: Any, *, axis: Any) -> Any:
        return self.max(x, axis=axis, keepdims=True)

    def square(self, x: Any) -> Any:
        return x * x

    def sum_product(self, x: Any, y: Any, *, axis: Any) -> Any:
        return self.sum(x * y, axis=axis, keepdims=True)

    def standardise(self, x: Any, v: Any = None, *, axis: tuple[int, ...], eps: float) -> Any:
        return standardised(self, x, v, axis, eps)

    def affine(self, x: Any, weight: Any, bias: Any) -> Any:
        return x * weight + bias

    def stop(self, x: Any) -> Any:
        return x

    def diagonal(self, x: Any, *, offset: int = 0) -> Any:
        rows, columns = max(0, -offset), max(0, offset)
        at = np.arange(max(0, min(x.shape[-2] - rows, x.shape[-1] - columns)))
        return self.getitem(x, (..., at + rows, at + columns))

    def windows(self, x: Any, *, axis: int, size: int, step: int) -> Any:
        at = np.arange(0, x.shape[axis] - size + 1, step)[:, None] + np.arange(size)
        return self.moveaxis(self.getitem(x, (..., at, *(slice(None),) * (-1 - axis))), axis, -1)

    def strided(
        self, x: Any, size: tuple[int, ...], stride: tuple[int, ...], shift: int, strides: tuple[int, ...]
    ) -> Any:
        return layout.relaid(self, x, size, stride, shift, strides)

    def getitem(self, x: Any, key: Key) -> Any:
        return x[key]


class Jax(Library):
    """JAX: an array cannot be written to, but ``x.at[key]`` gives a new one."""

    name, module = "jax", "jax.numpy"

    def erf(self, x: Any) -> Any:
        return load("jax.scipy.special", "jax", "erf").erf(x)

    def put_add(self, g: Any, key: Key, shape: tuple[int, ...], repeats: bool) -> Any:
        return self.zeros(shape, dtype=g.dtype).at[key].add(g)

    def put(self, x: Any, value: Any, key: Key) -> Any:
        return self.asarray(x).at[key].set(value)

    def put_along_axis(self, x: Any, index: Any, axis: int, size: int) -> Any:
        return self.put_add(x, *_along(x.shape, index, axis, size), True)


class Cupy(Library):
    """CuPy: NumPy's own ways, on a GPU."""

    name, module = "cupy", "array_api_compat.cupy"

    def erf(self, x: Any) -> Any:
        return load("cupyx.scipy.special", "cupy", "erf").erf(x)

    def getitem(self, x: Any, key: Key) -> Any:
        return x[self._here(key)]

    def put_add(self, g: Any, key: Key, shape: tuple[int, ...], repeats: bool) -> Any:
        out = self.zeros(shape, dtype=g.dtype)
        if repeats:
            self.add.at(out, self._here(key), g)
        else:
            out[self._here(key)] = g
        return out

    def put(self, x: Any, value: Any, key: Key) -> Any:
        out = self.asarray(x, copy=True)
        out[self._here(key)] = value
        return out

    def take_along_axis(self, x: Any, indices: Any, *, axis: int) -> Any:
        return self.of.take_along_axis(x, self.asarray(indices), axis=axis)

    def put_along_axis(self, x: Any, index: Any, axis: int, size: int) -> Any:
        return self.put_add(x, *_along(x.shape, index, axis, size), True)

    def _here(self, key: Key) -> Key:
        """``key`` with its index arrays where the array is."""
        return tuple([self.asarray(k) if type(k) is np.ndarray else k for k in key])


def _along(shape: Sequence[int], index: Any, axis: int, size: int) -> tuple[Key, tuple[int, ...]]:
    """What ``put_along_axis`` means as an ordinary key, and the shape that it writes into."""
    key: list[Any] = list(np.ogrid[tuple(slice(n) for n in shape)])
    key[axis] = index
    into = list(shape)
    into[axis] = size
    return tuple(key), tuple(into)


class Dask(Library):
    """Dask: arrays in chunks, computed when asked.  What indexes along an axis gets it in one chunk."""

    name, module = "dask", "array_api_compat.dask.array"
    lazy = True

    def erf(self, x: Any) -> Any:
        return x.map_blocks(numpy_.erf, dtype=x.dtype)

    def reshape(self, x: Any, shape: tuple[int, ...]) -> Any:
        try:
            return self.of.reshape(x, shape)
        except NotImplementedError:  # Dask merges axes or splits them; every reshape is the one, then the other
            return self.of.reshape(self.of.reshape(x, (-1,)), shape)

    def getitem(self, x: Any, key: Key) -> Any:
        m = Merged.of(key, x.shape)
        return x[key] if m is None else m.out(self, m.front(self, x[m.basic])[m.index])

    def put_add(self, g: Any, key: Key, shape: tuple[int, ...], repeats: bool) -> Any:
        m = Merged.of(key, shape)
        if m is not None:  # the transposes of the four steps of getitem, last first
            rows = m.rows(self, g)
            at = self.asarray(m.index.reshape(-1, *(1,) * (rows.ndim - 1)))
            g, key = m.back(self, self.put_along_axis(rows, at, 0, m.length)), m.basic
        return self.put(self.zeros(shape, dtype=g.dtype), g, key)

    def put(self, x: Any, value: Any, key: Key) -> Any:
        x, value = self.asarray(x), self.asarray(value, dtype=x.dtype)
        m = Merged.of(key, x.shape)
        if m is not None:  # each row is the last of those written there, or the one that was there
            value = m.rows(self, self.broadcast_to(value, m.shape))
            old = m.front(self, x[m.basic])
            source, written = np.zeros(m.length, np.intp), np.zeros(m.length, np.bool_)
            source[m.index], written[m.index] = np.arange(m.index.size), True
            written = written.reshape(-1, *(1,) * (old.ndim - 1))
            value, key = m.back(self, self.where(written, value[source], old) if m.index.size else old), m.basic
        out = x.copy()
        bare = tuple([k for k in key if k is not None])  # Dask writes to no new axes: the value gives them up
        mock = np.broadcast_to(0, x.shape)
        out[bare] = self.reshape(self.broadcast_to(value, mock[key].shape), mock[bare].shape)
        return out

    def take_along_axis(self, x: Any, indices: Any, *, axis: int) -> Any:
        return self._along(functools.partial(np.take_along_axis, axis=axis), x, indices, axis, {})

    def put_along_axis(self, x: Any, index: Any, axis: int, size: int) -> Any:
        return self._along(functools.partial(numpy_.put_along_axis, axis=axis, size=size), x, index, axis, {-1: size})

    def _along(self, f: Any, x: Any, index: Any, axis: int, new: dict[int, int]) -> Any:
        """``f`` block by block, with ``axis`` whole; the result's is as long as ``index``, or as ``new`` says."""
        x, index = self.asarray(x), self.asarray(index)
        axes = list(range(x.ndim))
        axis %= x.ndim
        ours, theirs, out = axes.copy(), axes.copy(), axes.copy()
        if new:
            out[axis] = -1
        else:
            ours[axis] = -1
        return self.blockwise(f, out, x, ours, index, theirs, new_axes=new, concatenate=True,
                              meta=np.empty((0,) * x.ndim, x.dtype))  # fmt: skip


class Merged:
    """A key's index arrays as one vector ``index``, along the axes they index merged into one of ``length``.

    ``x[key]`` is ``out(front(x[basic])[index])``; ``rows`` and ``back`` undo ``out`` and ``front``.
    """

    def __init__(self, parts: list[Any], shape: tuple[int, ...]) -> None:
        where = [i for i, k in enumerate(parts) if k is not None and not isinstance(k, slice)]
        lengths = iter(shape)
        sizes = [0 if k is None else next(lengths) for k in parts]
        given = [np.asarray(parts[i]) for i in where]
        arrays = np.broadcast_arrays(*[np.where(k < 0, k + sizes[i], k) for i, k in zip(where, given, strict=True)])
        self.basic: Key = tuple([slice(None) if i in where else k for i, k in enumerate(parts)])
        self.sizes = tuple([sizes[i] for i in where])
        self.length = math.prod(self.sizes)
        self.index = np.ravel_multi_index(arrays, self.sizes).ravel()
        self.block = arrays[0].shape
        rest = [i for i in range(len(parts)) if i not in where]
        left = np.broadcast_to(0, shape)[self.basic].shape
        self.order = (*where, *rest)
        self.rest = tuple([left[i] for i in rest])
        # NumPy puts the indexed axes where the arrays stood if they stood together, else first.
        at = where[0] if where == list(range(where[0], where[-1] + 1)) else 0
        n = len(self.block)
        self.placed = (*range(n, n + at), *range(n), *range(n + at, n + len(rest)))
        self.shape = (*self.rest[:at], *self.block, *self.rest[at:])

    @staticmethod
    def of(key: Key, shape: tuple[int, ...]) -> Merged | None:
        """The merged form of a key of :func:`chainrule.ops.keys.normal_key`; None if it holds no array."""
        if not any(type(k) is np.ndarray for k in key):
            return None
        parts: list[Any] = []
        for k in key:
            parts.extend(k.nonzero() if type(k) is np.ndarray and k.dtype.kind == "b" else (k,))
        dots = next((i for i, k in enumerate(parts) if k is Ellipsis), len(parts))
        named = sum(k is not None and k is not Ellipsis for k in parts)
        parts[dots : dots + 1] = [slice(None)] * (len(shape) - named)
        return Merged(parts, shape)

    def front(self, xp: Any, x: Any) -> Any:
        return xp.reshape(xp.permute_dims(x, self.order), (self.length, *self.rest))

    def back(self, xp: Any, x: Any) -> Any:
        return xp.permute_dims(xp.reshape(x, (*self.sizes, *self.rest)), tuple(np.argsort(self.order).tolist()))

    def out(self, xp: Any, rows: Any) -> Any:
        return xp.permute_dims(xp.reshape(rows, (*self.block, *self.rest)), self.placed)

    def rows(self, xp: Any, out: Any) -> Any:
        unplaced = xp.permute_dims(out, tuple(np.argsort(self.placed).tolist()))
        return xp.reshape(unplaced, (self.index.size, *self.rest))
