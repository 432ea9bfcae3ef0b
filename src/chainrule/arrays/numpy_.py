"""NumPy as the namespace of rules: the array API's names and signatures, and the few the standard lacks."""

from __future__ import annotations

import math
import sys
from operator import attrgetter
from typing import Any, Final

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
from . import numpy_many as many
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
from .numpy_many import (
    affine,
    between,
    copysign,
    fmod,
    hypot,
    leaky,
    logaddexp,
    nan_replaced,
    prod_of_many,
    sigmoid,
    softplus,
    standardise,
    sum_of_many,
    sum_of_squares,
    where,
)  # fmt: skip
from .numpy_order import middle, most_frequent, order, running_logsumexp, running_place, top

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
cumulative_sum = many.running_sum


def sum(x: Any, *, axis: Any = None, keepdims: Any = False) -> Any:
    return sum_of_many(x, axis, keepdims) if x.size > 2**14 else _add(x, axis, None, None, keepdims)


def sum_product(x: Any, y: Any, *, axis: Any) -> Any:
    """The sum of ``x * y`` over ``axis``, which is kept (or broadcasts as if it were)."""
    return x.dot(y) if x.ndim == 1 and axis else _add(x * y, axis, None, None, True)


def prod(x: Any, *, axis: Any = None, keepdims: Any = False) -> Any:
    return prod_of_many(x, axis, keepdims) if x.size > 2**14 else _mul(x, axis, None, None, keepdims)


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
    if (
        x.size > many.FEW
        and x.flags.c_contiguous
        and key
        and type(at := key[0]) is np.ndarray
        and at.dtype == np.int64
        and (len(key) == 1 or (len(key) == 2 and key[1] is Ellipsis))
    ):
        return x.take(at, axis=0)  # quicker by a fifth
    return x[key]


def put_add(g: Any, key: tuple[Any, ...], shape: tuple[int, ...], repeats: Any) -> Any:
    """Zeros of ``shape`` with ``g`` added at ``key``; ``repeats`` says that ``key`` may name an entry twice."""
    if repeats and len(shape) == 1 and g.dtype.kind == "f" and (at := _only(key)) is not None and at.shape == g.shape:
        try:
            return np.bincount(at.ravel(), g.ravel(), shape[0]).astype(g.dtype)  # many times as quick as add.at
        except ValueError:
            pass  # some count from the end
    out = np.zeros(shape, g.dtype)
    if repeats:
        np.add.at(out, key, g)
    else:
        out[key] = g
    return out


def _only(key: tuple[Any, ...]) -> Any:
    """The one array of indices that a key consists of."""
    at = key[0]
    if len(key) > 2 or (len(key) == 2 and key[1] is not Ellipsis) or type(at) is not np.ndarray or at.dtype.kind != "i":
        return None
    return at if at.size else None


def put(x: Any, value: Any, key: tuple[Any, ...]) -> Any:
    """A copy of ``x`` with ``value`` at ``key``."""
    out = np.array(x)
    out[key] = value
    return out


_UNSIGNED: Final[dict[int, Any]] = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
OUTSIDE: Final = "index {i} is out of bounds for dimension {at} with size {n}"


def beyond(index: Any, n: int) -> Any:
    """Whether some index is not from 0 to ``n - 1``."""
    return index.size and np.maximum.reduce(index.view(_UNSIGNED[index.itemsize]), None) >= n  # negative ones are large


def _inside(index: Any, n: int, at: int) -> None:
    if beyond(index, n):
        raise RuntimeError(OUTSIDE.format(i=int(index[(index < 0) | (index >= n)].flat[0]), at=at, n=n))


def take_along_axis(x: Any, indices: Any, *, axis: int) -> Any:
    n = x.shape[axis]
    _inside(indices, n, axis % x.ndim)
    if x.ndim == 1:
        return x[indices]
    if axis not in (-1, x.ndim - 1) or not indices.size:
        return np.take_along_axis(x, indices, axis=axis)
    rows = np.arange(0, x.size, n).reshape(*x.shape[:-1], 1)  # one index is much quicker than several
    return np.take(x.reshape(-1), indices + rows)


def stop(x: Any) -> Any:
    """``x`` as a constant of differentiation; numbers are constants already."""
    return x


def expand_dims(x: Any, *, axis: int) -> Any:
    if not hasattr(x, "shape"):
        return np.expand_dims(x, axis)
    shape = x.shape
    at = axis if axis >= 0 else axis + len(shape) + 1
    return x.reshape((*shape[:at], 1, *shape[at:]))


lstm, lstm_back = gates.lstm_numpy, gates.lstm_back_numpy
attend, attend_back = attention.attend_numpy, attention.attend_back_numpy


def peak(x: Any, *, axis: Any) -> Any:
    """What to take off x before ``exp`` so that it cannot overflow.  The result must not depend on it."""
    if not x.size:
        return _add(x, axis, None, None, True)
    return x[x.argmax()] if x.ndim == 1 and axis else _max(x, axis, None, None, True)


def softmax(x: Any, axis: Any, logs: Any = False) -> Any:
    """``exp(x)`` over its sum along ``axis``, or the logarithm of that, in one or two arrays' memory."""
    x = x - peak(x, axis=axis)
    powers = np.exp(x, out=None if logs or not x.ndim else x)
    total = sum(powers, axis=axis, keepdims=True)
    if logs:
        x -= np.log(total)
        return x
    return np.divide(powers, total, out=powers) if x.ndim else powers / total


def relu(x: Any) -> Any:
    if x.size > 2**12 and x.dtype.kind == "f":
        return x.clip(0, math.inf)  # takes a third of the time of maximum, for the same numbers
    return np.maximum(0, x, dtype=x.dtype)  # in this order -0 stays, as in PyTorch


def cut(x: Any, flat: Any) -> Any:
    """``x``, but 0 where ``flat`` holds."""
    if flat.size > many.FEW or not x.ndim or flat.shape != x.shape:
        return where(flat, 0, x)
    out = x.copy()  # for few entries quicker than where
    out[flat] = 0
    return out


def floor_divide(x: Any, y: Any) -> Any:
    return many.floor_divide(x, _divisor(x, y))


def remainder(x: Any, y: Any) -> Any:
    """With the sign of y, but for a zero, which keeps that of x."""
    return many.remainder(x, _divisor(x, y))


def _divisor(x: Any, y: Any) -> Any:
    """``y``, or PyTorch's error if it is the integer 0."""
    if getattr(x, "dtype", np.dtype(int)).kind in "iu" and getattr(y, "dtype", np.dtype(int)).kind in "iu":
        if np.any(y == 0) and not isinstance(y, float):
            raise RuntimeError("ZeroDivisionError")
    return y


def sign(x: Any) -> Any:
    """PyTorch's: 0 for nan, and for a complex number its direction."""
    kind = x.dtype.kind
    if kind == "c":
        size = np.abs(x)
        size = np.where(size == 0, 1, size)
        return complex(x.real / size, x.imag / size)
    if kind == "b":
        return x
    if kind != "f":
        return np.sign(x)
    return (np.greater(x, 0).view(np.int8) - np.less(x, 0).view(np.int8)).astype(x.dtype)


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
    _inside(index, size, axis % x.ndim)
    x, index = np.moveaxis(x, axis, -1), np.moveaxis(np.broadcast_to(index, x.shape), axis, -1)
    lead = x.shape[:-1]
    n = math.prod(lead) * size
    rows = np.arange(0, n, size).reshape(*lead, 1) if size else index  # one index is much quicker than several
    out = put_add(x.ravel(), ((index + rows).ravel(),), (n,), True)
    return np.moveaxis(out.reshape(*lead, size), -1, axis)


def combine_at(x: Any, src: Any, key: tuple[Any, ...], reduce: str) -> Any:
    """A copy of ``x`` with ``src`` combined into the places of ``key``, one after the other."""
    out = np.array(x)
    {"prod": np.multiply, "amax": np.maximum, "amin": np.minimum}[reduce].at(out, key, src)
    return out


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
    """NumPy's own, for what few operations need, and the special functions."""
    if name not in ("special", "erf", "gelu", "gelu_slope"):
        return getattr(np, name)
    from . import numpy_special as special

    globals()[name] = found = special if name == "special" else getattr(special, name)
    return found
