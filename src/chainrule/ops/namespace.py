"""The namespace that rules see as ``xp`` when boxes flow: array-API signatures over the primitives."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from .. import dtypes
from ..arrays import attention, gates
from ..arrays.namespace import dtype_of, standardised
from ..node import Box
from ..primitive import bind, table
from ..tensor import wrap

inf, nan, pi, e = math.inf, math.nan, math.pi, math.e


def _function(name: str) -> Any:
    prim = table[name]

    def function(*arrays: Any) -> Any:
        return bind(prim, arrays, {})

    function.__name__ = name
    return function


add, subtract, multiply, divide = (_function(n) for n in ("Add", "Sub", "Mul", "Div"))
pow, abs, negative, sqrt, _sign, _sgn = (_function(n) for n in ("Pow", "Abs", "Neg", "Sqrt", "Sign", "Sgn"))
maximum, minimum, remainder = (_function(n) for n in ("Maximum", "Minimum", "Remainder"))
floor_divide = _function("FloorDivide")
floor, ceil, round = (_function(n) for n in ("Floor", "Ceil", "Round"))
exp, expm1, log1p = (_function(n) for n in ("Exp", "Expm1", "Log1P"))
sin, cos, tan, asin, acos, atan = (_function(n) for n in ("Sin", "Cos", "Tan", "Asin", "Acos", "Atan"))
sinh, cosh, tanh, asinh, acosh, atanh = (_function(n) for n in ("Sinh", "Cosh", "Tanh", "Asinh", "Acosh", "Atanh"))
sigmoid, softplus, relu, erf = (_function(n) for n in ("Sigmoid", "Log1pExp", "Relu", "Erf"))
_log, _log2, _log10 = (_function(n) for n in ("Log", "Log2", "Log10"))
conj, real, imag, complex = (_function(n) for n in ("Conj", "Real", "Imag", "Complex"))
view_as_real, view_as_complex = _function("ViewAsReal"), _function("ViewAsComplex")
_matmul, _mv, _dot = (_function(n) for n in ("Matmul", "Mv", "Dot"))


def log(x: Any) -> Any:
    return _log(x) if isinstance(x, Box) else np.log(x)


def log2(x: Any) -> Any:
    return _log2(x) if isinstance(x, Box) else np.log2(x)


def log10(x: Any) -> Any:
    return _log10(x) if isinstance(x, Box) else np.log10(x)


def sign(x: Any) -> Any:
    return (_sgn if dtype_of(x).kind == "c" else _sign)(x)


def square(x: Any) -> Any:
    return x * x


def where(c: Any, x: Any, y: Any) -> Any:
    return bind(table["Where"], (c, x, y), {})


def isfinite(x: Any) -> Any:
    return (x - x) == 0


def matmul(x: Any, y: Any) -> Any:
    if len(y.shape) > 1:
        return _matmul(x, y) if len(x.shape) > 1 else _mv(matrix_transpose(y), x)
    return (_mv if len(x.shape) > 1 else _dot)(x, y)


def matrix_transpose(x: Any) -> Any:
    if len(x.shape) < 2:
        raise ValueError("a matrix is needed")
    n = len(x.shape)
    return bind(table["Permute"], (x,), {"axes": (*range(-n, -2), -1, -2)})


def permute_dims(x: Any, axes: tuple[int, ...]) -> Any:
    n = len(x.shape)
    return bind(table["Permute"], (x,), {"axes": tuple([a - n if a >= 0 else a for a in axes])})


def reshape(x: Any, shape: tuple[int, ...]) -> Any:
    if -1 in shape:
        rest = math.prod(s for s in shape if s != -1)
        shape = tuple(math.prod(x.shape) // rest if s == -1 else s for s in shape)
    return x if tuple(x.shape) == tuple(shape) else bind(table["ViewBackward0"], (x,), {"shape": tuple(shape)})


def expand_dims(x: Any, *, axis: int) -> Any:
    shape = tuple(x.shape)
    axis %= len(shape) + 1
    return reshape(x, (*shape[:axis], 1, *shape[axis:]))


def squeeze(x: Any, *, axis: Any) -> Any:
    gone = {a % len(x.shape) for a in ((axis,) if isinstance(axis, int) else axis)}
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in gone))


def broadcast_to(x: Any, shape: tuple[int, ...]) -> Any:
    return x if tuple(x.shape) == tuple(shape) else bind(table["Expand"], (x,), {"shape": tuple(shape)})


def flip(x: Any, *, axis: Any) -> Any:
    axis = (axis,) if isinstance(axis, int) else axis
    return bind(table["Flip"], (x,), {"axis": axis})


def concat(arrays: Any, *, axis: int) -> Any:
    arrays = tuple(arrays)
    n = len(arrays[0].shape)
    return bind(table["Cat"], arrays, {"axis": axis if axis < 0 else axis - n})


def stack(arrays: Any, *, axis: int) -> Any:
    arrays = tuple(arrays)
    n = len(arrays[0].shape) + 1
    return bind(table["Stack"], arrays, {"axis": axis if axis < 0 else axis - n})


def moveaxis(x: Any, source: int, destination: int) -> Any:
    n = len(x.shape)
    order = [i for i in range(n) if i != source % n]
    order.insert(destination % n, source % n)
    return permute_dims(x, tuple(order))


def _axes(x: Any, axis: Any) -> tuple[int, ...]:
    n = len(x.shape)
    axis = range(n) if axis is None else (axis,) if isinstance(axis, int) else axis
    return tuple(a - n if a >= 0 else a for a in axis)


def _reduction(name: str) -> Any:
    prim = table[name]

    def function(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
        return bind(prim, (x,), {"axis": _axes(x, axis), "keepdims": keepdims})

    function.__name__ = name
    return function


sum, prod, max, min, mean = (_reduction(n) for n in ("Sum", "Prod", "Amax", "Amin", "Mean"))
all, any = _reduction("All"), _reduction("Any_")


def sum_product(x: Any, y: Any, *, axis: Any) -> Any:
    return sum(x * y, axis=axis, keepdims=True)


def standardise(x: Any, v: Any = None, *, axis: tuple[int, ...], eps: float) -> Any:
    return standardised(sys.modules[__name__], x, v, axis, eps)


def attend(q: Any, k: Any, v: Any, mask: Any, scale: float) -> Any:
    return attention.attend(sys.modules[__name__], q, k, v, mask, scale)


def attend_back(g: Any, out: Any, q: Any, k: Any, v: Any, mask: Any, scale: float) -> Any:
    return attention.attend_back(sys.modules[__name__], g, out, q, k, v, mask, scale)


def lstm(a: Any, c: Any) -> Any:
    return gates.lstm(sys.modules[__name__], a, c)


def lstm_back(grad: Any, out: Any, c: Any) -> Any:
    return gates.lstm_back(sys.modules[__name__], grad, out, c)


def affine(x: Any, weight: Any, bias: Any) -> Any:
    return x * weight + bias


def clip(x: Any, low: Any, high: Any) -> Any:
    return minimum(maximum(x, low), high)


def argmax(x: Any, *, axis: int, keepdims: bool = False) -> Any:
    return bind(table["ArgMax"], (x,), {"axis": axis, "keepdims": keepdims})


def argmin(x: Any, *, axis: int, keepdims: bool = False) -> Any:
    return bind(table["ArgMin"], (x,), {"axis": axis, "keepdims": keepdims})


def cumulative_sum(x: Any, *, axis: int) -> Any:
    return bind(table["CumSum"], (x,), {"axis": axis if axis < 0 else axis - len(x.shape)})


def getitem(x: Any, key: tuple[Any, ...]) -> Any:
    return bind(table["GetItem"], (x,), {"key": key})


def put_add(g: Any, key: Any, shape: Any, repeats: Any) -> Any:
    return bind(table["PutAdd"], (g,), {"key": key, "shape": tuple(shape), "repeats": repeats})


def put(x: Any, value: Any, key: Any) -> Any:
    value = value if hasattr(value, "shape") else np.asarray(value, dtype_of(x))
    return bind(table["Put"], (x, value), {"key": key})


def take_along_axis(x: Any, index: Any, *, axis: int) -> Any:
    return bind(table["Gather"], (x, index), {"axis": axis})


def put_along_axis(x: Any, index: Any, axis: int, size: int) -> Any:
    return bind(table["PutAlong"], (x, index), {"axis": axis, "size": size})


def astype(x: Any, dtype: Any) -> Any:
    d = dtypes.to_numpy(dtype)
    return x if dtype_of(x) == d else bind(table["Cast"], (x,), {"dtype": d})


def asarray(x: Any, *, dtype: Any = None, copy: bool | None = None) -> Any:
    d = None if dtype is None else dtypes.to_numpy(dtype)
    if isinstance(x, Box):
        return x if d is None else astype(x, d)
    return wrap(np.asarray(x, d))


def zeros_like(x: Any) -> Any:
    return _constant(x, 0)


def ones_like(x: Any) -> Any:
    return _constant(x, 1)


def zeros(shape: Any, *, dtype: Any = None) -> Any:
    return wrap(np.zeros(tuple(shape), dtypes.default_float() if dtype is None else dtypes.to_numpy(dtype)))


def _constant(x: Any, value: int) -> Any:
    """A constant of x's logical shape: the same for every sample and every point, so no box is needed."""
    return wrap(np.full(tuple(x.shape), value, dtype_of(x)))


def stop(x: Any) -> Any:
    """``x`` as a constant of differentiation, at every level."""
    return bind(table["Stop"], (x,), {})


def peak(x: Any, *, axis: Any) -> Any:
    """What to take off x before ``exp`` so that it cannot overflow.  The result must not depend on it."""
    return stop(max(x, axis=axis, keepdims=True))
