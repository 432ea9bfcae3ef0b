"""NumPy as the namespace of rules: the array API's names and signatures, and the few the standard lacks."""

from __future__ import annotations

import functools
import math
import sys
from operator import attrgetter
from typing import Any

import numpy as np
from numpy import (
    abs,
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    bool,
    ceil,
    concat,
    conj,
    cos,
    cosh,
    cumulative_sum,
    e,
    equal,
    exp,
    expm1,
    floor,
    greater,
    greater_equal,
    imag,
    inf,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    log,
    log2,
    log10,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    moveaxis,
    nan,
    not_equal,
    ones_like,
    permute_dims,
    pi,
    real,
    reshape,
    round,
    sin,
    sinh,
    sqrt,
    square,
    squeeze,
    stack,
    tan,
    tanh,
    trunc,
    zeros,
    zeros_like,
)  # fmt: skip

from ..extras import load
from . import attention, gates, layout
from .numpy_linear import (
    adjugate,
    eig_parts,
    eigh_parts,
    expm,
    lu_in_order,
    lu_pivots,
    lu_rows,
    matrix_rank,
    pinv,
    qr_parts,
    reflections,
    svd_complement,
    svd_parts,
    svdvals,
    triangular,
)

asarray = np.asarray
matrix_transpose = attrgetter("mT")


def matmul(x: Any, y: Any) -> Any:
    return x.dot(y) if x.ndim == 2 == y.ndim else np.matmul(x, y)  # dot has less ceremony


_add: Any
_mul: Any
_max: Any
_min: Any
_add, _mul, _max, _min = np.add.reduce, np.multiply.reduce, np.maximum.reduce, np.minimum.reduce
maximum, minimum, pow, full, ones = np.maximum, np.minimum, np.power, np.full, np.ones
copysign, sum_dtype = np.copysign, None


def sum(x: Any, *, axis: Any = None, keepdims: Any = False) -> Any:
    return _add(x, axis, None, None, keepdims)


def sum_product(x: Any, y: Any, *, axis: Any) -> Any:
    """The sum of ``x * y`` over ``axis``, which is kept (or broadcasts as if it were)."""
    return x.dot(y) if x.ndim == 1 and axis else _add(x * y, axis, None, None, True)


_ROOM = 1 << 15  # entries that are worked on together, so that they stay near the processor


def standardise(x: Any, v: Any = None, *, axis: tuple[int, ...], eps: float) -> Any:
    """``x`` shifted to mean 0 and scaled to variance 1 over ``axis``; or what that does to a small change ``v`` of it."""
    if axis != tuple(range(-len(axis), 0)) or not x.flags.c_contiguous:
        return _standardise_any(x, v, axis, eps)
    n = math.prod(x.shape[-len(axis) :])
    rows = x.reshape(-1, n)
    moves = None if v is None else v.reshape(-1, n)
    out = np.empty_like(rows)
    step = _max((1, _ROOM // n)) if n else 1
    for i in range(0, len(rows), step):
        part = slice(i, i + step)
        _standardise_rows(rows[part], None if moves is None else moves[part], out[part], eps)
    return out.reshape(x.shape)


def affine(x: Any, weight: Any, bias: Any) -> Any:
    """``x * weight + bias``, of an x that nobody else needs."""
    x = np.multiply(x, weight, out=x)
    x += bias
    return x


def _standardise_rows(x: Any, v: Any, out: Any, eps: float) -> None:
    n = x.shape[1]
    ones_ = np.ones(n, x.dtype)  # BLAS adds up rows more quickly than NumPy
    c = np.subtract(x, (x.dot(ones_) / n)[:, None], out=out if v is None else None)
    r = np.vecdot(c, c) / n
    r += eps
    r = 1 / np.sqrt(r, out=r)
    if v is None:
        c *= r[:, None]
        return
    c *= (np.vecdot(v, c) * r * r * r / n)[:, None]
    np.multiply(v, r[:, None], out=out)
    out -= c
    out -= (v.dot(ones_) * r / n)[:, None]


def _standardise_any(x: Any, v: Any, axis: tuple[int, ...], eps: float) -> Any:
    n = math.prod([x.shape[a] for a in axis])
    c = x - _add(x, axis, None, None, True) / n
    r = 1 / np.sqrt(_add(c * c, axis, None, None, True) / n + eps)
    c *= r
    if v is None:
        return c
    c *= _add(v * c, axis, None, None, True) / n
    out = np.subtract(v, c, out=c)
    out -= _add(v, axis, None, None, True) / n
    out *= r
    return out


def prod(x: Any, *, axis: Any = None, keepdims: Any = False) -> Any:
    return _mul(x, axis, None, None, keepdims)


def max(x: Any, *, axis: Any = None, keepdims: Any = False) -> Any:
    return _max(x, axis, None, None, keepdims)


def min(x: Any, *, axis: Any = None, keepdims: Any = False) -> Any:
    return _min(x, axis, None, None, keepdims)


def argmax(x: Any, *, axis: Any = None, keepdims: Any = False) -> Any:
    return np.argmax(x, axis=axis, keepdims=keepdims)


def argmin(x: Any, *, axis: Any = None, keepdims: Any = False) -> Any:
    return np.argmin(x, axis=axis, keepdims=keepdims)


def all(x: Any, *, axis: Any = None, keepdims: Any = False) -> Any:
    return np.logical_and.reduce(x, axis=axis, keepdims=keepdims)


def any(x: Any, *, axis: Any = None, keepdims: Any = False) -> Any:
    return np.logical_or.reduce(x, axis=axis, keepdims=keepdims)


def flip(x: Any, *, axis: Any = None) -> Any:
    """A copy, where NumPy gives a view."""
    return np.flip(x, axis).copy()


def astype(x: Any, dtype: Any) -> Any:
    return (x.real if x.dtype.kind == "c" and np.dtype(dtype).kind not in "cb" else x).astype(dtype)


def broadcast_to(x: Any, shape: Any) -> Any:
    """A view with steps of 0, built directly where memory is dense: ``np.broadcast_to`` outlasts small work."""
    have: tuple[int, ...] = x.shape
    if have == shape:
        return x
    if type(x) is not np.ndarray:
        x = np.asarray(x)
    lead = len(shape) - len(have)
    if lead < 0 or not x.flags.c_contiguous:
        out = np.broadcast_to(x, shape)
        out.flags.writeable = x.flags.writeable  # a view of a view may be written to, in place
        return out
    strides = [0] * lead
    for n, m, step in zip(have, shape[lead:], x.strides, strict=True):
        if n == m:
            strides.append(step)
        elif n == 1:
            strides.append(0)
        else:
            return np.broadcast_to(x, shape)  # raises
    return np.ndarray(shape, x.dtype, x, 0, strides)


def getitem(x: Any, key: tuple[Any, ...]) -> Any:
    return x[key]


def put_add(g: Any, key: tuple[Any, ...], shape: tuple[int, ...], repeats: Any) -> Any:
    """Zeros of ``shape`` with ``g`` added at ``key``; ``repeats`` says that ``key`` may name an entry twice."""
    if repeats and len(shape) == 1 and g.dtype.kind == "f" and (at := _only(key)) is not None and at.shape == g.shape:
        return np.bincount(at.ravel(), g.ravel(), shape[0]).astype(g.dtype)  # many times as quick as add.at
    out = np.zeros(shape, g.dtype)
    if repeats:
        np.add.at(out, key, g)
    else:
        out[key] = g
    return out


def _only(key: tuple[Any, ...]) -> Any:
    """The one array of indices that a key consists of, if none counts from the end."""
    at = key[0]
    if len(key) > 2 or (len(key) == 2 and key[1] is not Ellipsis) or type(at) is not np.ndarray or at.dtype.kind != "i":
        return None
    return at if at.size and at.min() >= 0 else None


def put(x: Any, value: Any, key: tuple[Any, ...]) -> Any:
    """A copy of ``x`` with ``value`` at ``key``."""
    out = np.array(x)
    out[key] = value
    return out


def take_along_axis(x: Any, indices: Any, *, axis: int) -> Any:
    if x.ndim == 1:
        return x[indices]
    n = x.shape[axis]
    last = axis == -1 or axis == x.ndim - 1
    if not last or not indices.size or indices.min() < 0 or indices.max() >= n:
        return np.take_along_axis(x, indices, axis=axis)
    rows = np.arange(0, x.size, n).reshape(*x.shape[:-1], 1)  # one index is much quicker than several
    return np.take(x.reshape(-1), indices + rows)


_BITS: Any = {np.dtype("float32"): np.int32, np.dtype("float64"): np.int64, np.dtype("int64"): np.int64}


def where(condition: Any, x: Any, y: Any) -> Any:
    """``np.where``, which guesses at each entry what comes next; for many floats by bits, ten times as quick."""
    if type(condition) is np.ndarray and condition.size > 4096 and condition.dtype == bool:
        kinds = {v.dtype for v in (x, y) if type(v) is np.ndarray}
        if len(kinds) == 1 and (bits := _BITS.get(d := kinds.pop())) is not None:
            parts = [_as_bits(v, d, bits, condition) for v in (x, y)]
            if condition.flags.c_contiguous and parts[0] is not None and parts[1] is not None:
                chosen = condition.view(np.int8).astype(bits)
                np.negative(chosen, out=chosen)  # all bits, or none
                chosen &= parts[0] ^ parts[1]
                chosen ^= parts[1]
                return chosen.view(d)
    return np.where(condition, x, y)


def _as_bits(v: Any, d: Any, bits: Any, like: Any) -> Any:
    """An array of ``like``'s shape, or a number, as integers of the same bits; None for what is neither."""
    if type(v) is np.ndarray:
        return v.view(bits) if v.shape == like.shape and v.flags.c_contiguous else None
    return d.type(v).view(bits) if type(v) in (float, int) or type(v) is d.type else None


def stop(x: Any) -> Any:
    """``x`` as a constant of differentiation; numbers are constants already."""
    return x


def expand_dims(x: Any, *, axis: int) -> Any:
    shape = x.shape
    at = axis if axis >= 0 else axis + len(shape) + 1
    return x.reshape((*shape[:at], 1, *shape[at:]))


lstm, lstm_back = gates.lstm_numpy, gates.lstm_back_numpy
attend, attend_back = attention.attend_numpy, attention.attend_back_numpy


def sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(-x))``: exp of a large number overflows to inf, whose reciprocal is the 0 that is meant."""
    if type(x) is not np.ndarray or not x.ndim or x.dtype.kind != "f":
        return 1 / (1 + np.exp(-x))
    out = np.negative(x)
    np.exp(out, out=out)
    out += 1
    return np.reciprocal(out, out=out)


def softplus(x: Any) -> Any:
    """``log(1 + exp(x))``, in a form that cannot overflow."""
    if type(x) is not np.ndarray or not x.ndim:
        return np.maximum(x, 0, dtype=x.dtype) + np.log1p(np.exp(-np.abs(x)))
    out = np.abs(x)
    np.negative(out, out=out)
    np.exp(out, out=out)
    np.log1p(out, out=out)
    out += np.maximum(x, 0, dtype=x.dtype)
    return out


def peak(x: Any, *, axis: Any) -> Any:
    """What to take off x before ``exp`` so that it cannot overflow.  The result must not depend on it."""
    if not x.size:
        return _add(x, axis, None, None, True)
    return x[x.argmax()] if x.ndim == 1 and axis else _max(x, axis, None, None, True)


def relu(x: Any) -> Any:
    return np.maximum(x, 0, dtype=x.dtype)


def floor_divide(x: Any, y: Any) -> Any:
    return np.floor_divide(x, _divisor(x, y))


def fmod(x: Any, y: Any) -> Any:
    """``np.fmod``; of many float32 by float64, where a quotient below 2**28 has no more digits than fit, so that it is exact."""
    a = x if type(x) is np.ndarray else y
    if type(a) is not np.ndarray or a.size < 512 or a.dtype != np.float32:
        return np.fmod(x, y)
    if [v for v in (x, y) if type(v) is np.ndarray and (v.dtype != np.float32 or v.shape != a.shape)]:
        return np.fmod(x, y)
    out = np.empty_like(a, order="C")
    flat, xs, ys = out.reshape(-1), _flat(x), _flat(y)
    for i in range(0, flat.size, _ROOM):
        part = slice(i, i + _ROOM)
        b, c = (v[part] if type(v) is np.ndarray else np.float32(v) for v in (xs, ys))
        p, q = np.float64(b), np.float64(c)
        whole = np.trunc(p / q)
        r = np.float32(p - whole * q)
        beyond = ~(np.abs(whole) < 2**28) | (r != r)
        flat[part] = np.copysign(r, b)
        if beyond.any():
            np.fmod(b, c, out=flat[part], where=beyond)
    return out


def _flat(v: Any) -> Any:
    return v.reshape(-1) if type(v) is np.ndarray else v


def remainder(x: Any, y: Any) -> Any:
    """With the sign of y, but for a zero, which keeps that of x."""
    if type(x) is np.ndarray and x.size >= 512 and x.dtype == np.float32:
        out = fmod(x, y)
        out += where((out != 0) & (np.signbit(out) != np.signbit(y)), y, np.float32(-0.0))
        return out
    out = np.remainder(x, _divisor(x, y))
    if out.dtype.kind == "f" and np.count_nonzero(out) < out.size:
        return np.where(out == 0, np.copysign(out, x), out)[()]
    return out


def _divisor(x: Any, y: Any) -> Any:
    """``y``, or PyTorch's error if it is the integer 0."""
    if getattr(x, "dtype", np.dtype(int)).kind in "iu" and getattr(y, "dtype", np.dtype(int)).kind in "iu":
        if np.any(y == 0) and not isinstance(y, float):
            raise RuntimeError("ZeroDivisionError")
    return y


def erf(x: Any) -> Any:
    return _erf()(x)


@functools.cache
def _erf() -> Any:
    """SciPy's error function; without SciPy Python's own, entry by entry."""
    from ..extras import scipy_special

    try:
        return scipy_special("erf").erf
    except ImportError:
        each = np.frompyfunc(math.erf, 1, 1)
        return lambda x: np.asarray(each(x), x.dtype)[()]


def sign(x: Any) -> Any:
    """PyTorch's: 0 for nan, and for a complex number its direction."""
    kind = x.dtype.kind
    if kind == "c":
        size = np.abs(x)
        size = np.where(size == 0, 1, size)
        return complex(x.real / size, x.imag / size)
    if kind == "b":
        return x
    s = np.sign(x)
    return np.fmax(s, 0) + np.fmin(s, 0) if kind == "f" else s  # each of the two is 0 for nan


def complex(x: Any, y: Any) -> Any:
    """``x + iy``, bit for bit: to add up would make nan of 0 times inf."""
    out = np.empty(np.broadcast_shapes(x.shape, y.shape), np.result_type(x, np.complex64))
    out.real, out.imag = x, y
    return out[()]


def log1p(x: Any) -> Any:
    """``log(1 + x)``, which NumPy has for real numbers only: its complex one gives 0 for small ones."""
    if x.dtype.kind != "c":
        return np.log1p(x)
    a, b = x.real, x.imag
    near = np.log1p(a * (2 + a) + b * b) / 2
    return complex(np.where(np.abs(x) < 0.5, near, np.log(np.hypot(1 + a, b))), np.arctan2(b, 1 + a))


def view_as_real(x: Any) -> Any:
    """The two parts of complex numbers along a new last axis, in the same memory."""
    return x[..., None].view(x.real.dtype)


def view_as_complex(x: Any) -> Any:
    """The complex numbers whose parts lie along the last axis, in the same memory if they lie side by side there."""
    if x.strides[-1] != x.itemsize:
        return complex(x[..., 0], x[..., 1])
    return x.view(np.result_type(x, np.complex64))[..., 0]


def put_along_axis(x: Any, index: Any, axis: int, size: int) -> Any:
    """Zeros with ``x`` added at ``index`` along ``axis``, there of length ``size``."""
    x, index = np.moveaxis(x, axis, -1), np.moveaxis(np.broadcast_to(index, x.shape), axis, -1)
    lead = x.shape[:-1]
    if index.min(initial=0) < 0:
        index = np.where(index < 0, index + size, index)
    n = math.prod(lead) * size
    rows = np.arange(0, n, size).reshape(*lead, 1) if size else index  # one index is much quicker than several
    out = put_add(x.ravel(), ((index + rows).ravel(),), (n,), True)
    return np.moveaxis(out.reshape(*lead, size), -1, axis)


def combine_at(x: Any, src: Any, key: tuple[Any, ...], reduce: str) -> Any:
    """A copy of ``x`` with ``src`` combined into the places of ``key``, one after the other."""
    out = np.array(x)
    {"prod": np.multiply, "amax": np.maximum, "amin": np.minimum}[reduce].at(out, key, src)
    return out


def order(x: Any, *, axis: int, descending: bool) -> Any:
    """The places of the entries in order; equal ones stay as they are, nan is the largest."""
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    turned = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
    return np.flip(x.shape[axis] - 1 - turned, axis)


def top(x: Any, k: int, *, axis: int, largest: bool) -> Any:
    """The places of the ``k`` largest, or smallest, in order."""
    n = x.shape[axis]
    if 8 * k < n:
        cut = np.argpartition(x, n - k if largest else k - 1, axis) if k else np.argsort(x, axis)
        cut = np.take(cut, range(n - k, n) if largest else range(k), axis)
        cut = np.sort(cut, axis)  # equal ones in the order in which they stand
        return np.take_along_axis(cut, order(np.take_along_axis(x, cut, axis), axis=axis, descending=largest), axis)
    return np.take(order(x, axis=axis, descending=largest), range(k), axis)


def middle(x: Any, *, axis: int, skip: bool) -> Any:
    """The place of the lower median, along an axis that is kept; nan, the largest, goes first unless to ``skip``."""
    bad = x != x
    if not bad.any():
        k = (x.shape[axis] - 1) // 2
        return np.take(np.argpartition(x, k, axis), [k], axis)
    at = np.argsort(x, axis=axis, kind="stable")
    many = x.shape[axis] - bad.sum(axis=axis, keepdims=True)
    place = np.maximum(many - 1, 0) // 2 if skip else np.where(bad.any(axis=axis, keepdims=True), many, (many - 1) // 2)
    return np.take_along_axis(at, place, axis)


def most_frequent(x: Any, *, axis: int) -> Any:
    """The last place of the commonest entry, along an axis that is kept; of several the smallest."""
    rows = np.moveaxis(x, axis, -1)
    out = np.empty((*rows.shape[:-1], 1), np.int64)
    for at in np.ndindex(rows.shape[:-1]):
        values, counts = np.unique(rows[at], return_counts=True)
        best = values[np.argmax(counts)]
        out[at] = np.flatnonzero((rows[at] == best) | ((best != best) & (rows[at] != rows[at])))[-1]
    return np.moveaxis(out, -1, axis)


def running_logsumexp(x: Any, *, axis: int) -> Any:
    if x.dtype.kind != "c":
        return np.logaddexp.accumulate(x, axis=axis)
    rows = np.moveaxis(x, axis, 0)
    out = np.array(rows)
    for i in range(1, len(rows)):  # one after the other: the imaginary part goes on where it was, and does not wrap
        larger = out[i - 1].real >= rows[i].real
        top, low = np.where(larger, out[i - 1], rows[i]), np.where(larger, rows[i], out[i - 1])
        out[i] = top + np.log1p(np.exp(low - top))
    return np.moveaxis(out, 0, axis)


def running_place(x: Any, *, axis: int, largest: bool) -> Any:
    """The place of the largest, or smallest, so far; of equal ones the last; a nan stays."""
    best = (np.maximum if largest else np.minimum).accumulate(x, axis=axis)
    shape = [1] * x.ndim
    shape[axis] = -1
    at = np.arange(x.shape[axis]).reshape(shape)
    return np.maximum.accumulate(np.where((x == best) | (x != x), at, 0), axis=axis)


def diagonal(x: Any, *, offset: int = 0) -> Any:
    """The view of a diagonal of the last two axes."""
    out = np.diagonal(x, offset, -2, -1)
    out.flags.writeable = x.flags.writeable
    return out


def windows(x: Any, *, axis: int, size: int, step: int) -> Any:
    """The view of all windows along an axis, whose entries are the last axis."""
    n = x.ndim
    shape, strides = list(x.shape), list(x.strides)
    shape[axis], strides[axis] = (shape[axis] - size) // step + 1, strides[axis] * step
    return layout.view(x, (*shape, size), (*strides, x.strides[axis + n]))


def strided(x: Any, size: tuple[int, ...], stride: tuple[int, ...], shift: int, strides: tuple[int, ...]) -> Any:
    """A view of x's memory, where it lies as ``strides`` say; elsewhere what the view would show."""
    item = x.itemsize
    if x.strides == tuple([item * s for s in strides]):
        try:
            return layout.view(x, size, tuple([item * s for s in stride]), item * shift)
        except ValueError:
            pass  # memory that belonged to another array
    return layout.relaid(sys.modules[__name__], x, size, stride, shift, strides)


def __getattr__(name: str) -> Any:
    """NumPy's own, for what few operations need, and SciPy's special functions."""
    if name != "special":
        return getattr(np, name)
    from ..extras import scipy_special

    globals()[name] = found = scipy_special("this function")
    return found
