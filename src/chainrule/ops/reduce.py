"""Reductions.  ``axis`` is a tuple of negative integers, so that a batch axis in front changes nothing."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from .. import dtypes, errors
from ..arrays.namespace import dtype_of
from ..errors import explained
from ..outputs import ANY, takes_out
from ..primitive import Primitive, conj, table
from ..tensor import Tensor
from .kinds import export
from .whole import clone_as

SAMPLES: Any = [
    (((2, 3),), {"axis": (-1,), "keepdims": False}), (((2, 3),), {"axis": (-2, -1), "keepdims": False}),
    (((2, 3, 2),), {"axis": (-3, -1), "keepdims": True}), (((),), {"axis": (), "keepdims": False}),
]  # fmt: skip

TRUTHS = [
    (([[True, False], [True, True], [False, False]],), {"axis": (-1,), "keepdims": False}),
    (([[1.0, 0.0], [2.0, 0.5]],), {"axis": (-2,), "keepdims": True}),
    (([True, False],), {"axis": (-1,), "keepdims": False}),
    (([True, True],), {"axis": (-1,), "keepdims": False}), (([False, False],), {"axis": (-1,), "keepdims": False}),
]  # fmt: skip


class Reduction(Primitive):
    """Axes folded away, or kept with length 1 under ``keepdims``."""

    samples: ClassVar[Any] = SAMPLES


def kept(shape: tuple[int, ...], axis: tuple[int, ...]) -> tuple[int, ...]:
    """``shape`` with the reduced axes at length 1."""
    n = len(shape)
    return tuple([1 if i - n in axis else length for i, length in enumerate(shape)])


def spread(xp: Any, g: Any, shape: tuple[int, ...], axis: tuple[int, ...]) -> Any:
    """A reduction's cotangent back over the reduced axes."""
    if g.shape != () and len(g.shape) != len(shape):
        g = xp.reshape(g, kept(shape, axis))
    return xp.broadcast_to(g, shape)


def count(shape: tuple[int, ...], axis: tuple[int, ...]) -> int:
    return math.prod(shape) if len(axis) == len(shape) else math.prod([shape[a] for a in axis])


HALF = np.dtype("float16")


def wide(xp: Any, f: Any, x: Any, *options: Any) -> Any:
    """``f(xp, x, *options)``; of float16 by float32, as sums and counts may be beyond float16."""
    if dtype_of(x) == HALF:
        return xp.astype(f(xp, xp.astype(x, np.float32), *options), HALF)
    return f(xp, x, *options)


def average(xp: Any, x: Any, axis: tuple[int, ...], keepdims: bool = False) -> Any:
    """The mean over ``axis``."""
    if dtype_of(x) == HALF:
        return wide(xp, average, x, axis, keepdims)
    return xp.sum(x, axis=axis, keepdims=keepdims) / count(x.shape, axis)


def share(xp: Any, g: Any, n: float) -> Any:
    """A cotangent for each of n entries."""
    return xp.astype(xp.astype(g, np.float32) / n, HALF) if n > 2**15 and dtype_of(g) == HALF else g / n


class Sum(Reduction):
    """The sum over ``axis``."""

    forward = lambda xp, x, *, axis, keepdims: xp.sum(x, axis=axis, keepdims=keepdims)
    vjp_x = lambda xp, g, x_shape, axis: spread(xp, g, x_shape, axis)
    linear = ("x",)


class Mean(Reduction):
    """The mean over ``axis``."""

    composite = True
    forward = lambda xp, x, *, axis, keepdims: average(xp, x, axis, keepdims)
    vjp_x = lambda xp, g, x_shape, axis: spread(xp, share(xp, g, count(x_shape, axis)), x_shape, axis)
    linear = ("x",)


def others(xp: Any, x: Any, axis: tuple[int, ...]) -> Any:
    """For each entry the product of all others over ``axis``, exact through zeros, in log(n) steps."""
    shape = x.shape
    n, last = count(shape, axis), len(shape)
    front = tuple(i for i in range(last) if i - last not in axis)
    order = front + tuple(a + last for a in axis)
    flat = xp.reshape(xp.permute_dims(x, order), (*(shape[i] for i in front), n))
    before = after = None
    one = xp.ones_like(flat[..., :1]) if n else flat
    before = xp.concat([one, flat[..., :-1]], axis=-1) if n else flat
    after = xp.concat([flat[..., 1:], one], axis=-1) if n else flat
    step = 1
    while step < n:
        ones = xp.ones_like(flat[..., :step])
        before = before * xp.concat([ones, before[..., :-step]], axis=-1)
        after = after * xp.concat([after[..., step:], ones], axis=-1)
        step *= 2
    back = xp.reshape(before * after, (*(shape[i] for i in front), *(shape[a] for a in axis)))
    inverse = tuple(order.index(i) for i in range(last))
    return xp.permute_dims(back, inverse)


class Prod(Reduction):
    """The product over ``axis``; the derivative is exact where entries are 0."""

    forward = lambda xp, x, *, axis, keepdims: xp.prod(x, axis=axis, keepdims=keepdims)
    vjp_x = lambda xp, g, x, axis: spread(xp, g, x.shape, axis) * conj(xp, others(xp, x, axis))
    jvp_x = lambda xp, t, x, axis, keepdims: xp.sum(t * others(xp, x, axis), axis=axis, keepdims=keepdims)


class LogSumExp(Reduction):
    """``log(sum(exp(x)))`` over ``axis``, shifted by the maximum so that it cannot overflow."""

    composite = True
    forward = lambda xp, x, *, axis, keepdims: logsumexp_forward(xp, x, axis, keepdims)
    vjp_x = lambda xp, g, out, x, axis: (
        spread(xp, g, x.shape, axis) * conj(xp, xp.exp(x - xp.reshape(out, kept(x.shape, axis))))
    )
    jvp_x = lambda xp, t, out, x, axis, keepdims: xp.sum(
        t * xp.exp(x - xp.reshape(out, kept(x.shape, axis))), axis=axis, keepdims=keepdims
    )


def logsumexp_forward(xp: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    if not count(x.shape, axis):
        return xp.log(xp.sum(xp.exp(x), axis=axis, keepdims=keepdims))
    top = xp.peak(xp.real(x) if x.dtype.kind == "c" else x, axis=axis)
    top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))
    total = xp.log(xp.sum(xp.exp(x - top), axis=axis, keepdims=True)) + top
    return total if keepdims else xp.squeeze(total, axis=axis)


class All(Reduction):
    """Whether every entry over ``axis`` is true."""

    differentiable = False
    forward = lambda xp, x, *, axis, keepdims: xp.all(x, axis=axis, keepdims=keepdims)
    samples = TRUTHS


class Any_(Reduction):
    """Whether some entry over ``axis`` is true."""

    differentiable = False
    forward = lambda xp, x, *, axis, keepdims: xp.any(x, axis=axis, keepdims=keepdims)
    samples = TRUTHS


class CumSum(Primitive):
    """Running sums along ``axis``."""

    forward = lambda xp, x, *, axis: xp.cumulative_sum(x, axis=axis + len(x.shape))
    vjp_x = lambda xp, g, axis: xp.flip(xp.cumulative_sum(xp.flip(g, axis=axis), axis=axis + len(g.shape)), axis=axis)
    linear = ("x",)
    depends = lambda xp, x, axis, out_shape: xp.broadcast_to(xp.sum(x, axis=axis, keepdims=True), out_shape)
    samples = [(((2, 3),), {"axis": -1}), (((2, 3),), {"axis": -2})]


# --- what users call ---

_full = {"sum": Sum(), "mean": Mean(), "prod": Prod()}

_along = {"sum": Sum("SumBackward1"), "mean": Mean("MeanBackward1"), "prod": Prod("ProdBackward1")}

_logsumexp, _all, _any, _cumsum = LogSumExp("LogsumexpBackward0"), All(), Any_(), CumSum("CumsumBackward0")
LogSumExp(), CumSum()


def axes(x: Tensor, dim: Any) -> tuple[int, ...]:
    """``dim`` (None, an int or several) as a tuple of negative axes."""
    n = len(x._shape)
    if type(dim) is int and -n <= dim < n:
        return (dim if dim < 0 else dim - n,)
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        return tuple(range(-n, 0))
    if isinstance(dim, int):
        return (x._dim(dim) - n,) if n else ()
    found = tuple(x._dim(d) - n for d in dim)
    if len(set(found)) != len(found):
        raise RuntimeError(f"dim {dim[-1]} appears multiple times in the list of dims")
    return found if n else ()


def _to_dtype(x: Tensor, dtype: Any, widen: bool = False) -> Tensor:
    if dtype is not None:
        return table["Cast"](x, dtype=dtypes.to_numpy(dtype)) if dtypes.to_numpy(dtype) != x._dtype else x
    if widen and x._dtype.kind in "iub":
        return table["Cast"](x, dtype=dtypes.int64.np)
    return x


def as_asked(out: Tensor, dtype: Any) -> Tensor:
    """A result in the dtype that was asked for: NumPy adds and multiplies small integers in wider ones."""
    return out if dtype is None else _to_dtype(out, dtype)


def _tensor(x: Any, name: str) -> Tensor:
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    return x


@takes_out(ANY)
def sum(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The sum of all elements, or over ``dim`` (an int or several).

    ``keepdim`` leaves the summed dimensions with length 1.  Integers are summed as int64.

    Source: ``torch.sum``.
    """
    x = _to_dtype(_tensor(input, "sum"), dtype, widen=True)
    dim = axis if dim is None else dim
    return as_asked((_full if dim is None else _along)["sum"](x, axis=axes(x, dim), keepdims=keepdim), dtype)


@takes_out("mean.dtype_out(): input types can't be cast to the desired output type {out}")
def mean(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The mean of all elements, or over ``dim``; floating or complex only.

    Source: ``torch.mean``.
    """
    x = _to_dtype(_tensor(input, "mean"), dtype)
    if x._dtype.kind not in "fc":
        raise explained(
            RuntimeError(
                "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
                f"Got: {errors.scalar_type(x._dtype)}\nWrite x.float().mean(), or x.mean(dtype=torch.float32)."
            )
        )
    dim = axis if dim is None else dim
    return (_full if dim is None else _along)["mean"](x, axis=axes(x, dim), keepdims=keepdim)


@takes_out(ANY)
def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None
) -> Tensor:
    """The product of all elements, or along ``dim``.

    Source: ``torch.prod``.
    """
    x = _to_dtype(_tensor(input, "prod"), dtype, widen=True)
    return as_asked((_full if dim is None else _along)["prod"](x, axis=axes(x, dim), keepdims=keepdim), dtype)


@takes_out("logsumexp(): Expected floating point type for result tensor, but got: {out}")
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """``log(sum(exp(input)))`` over ``dim``, without overflow.

    Source: ``torch.logsumexp``.
    """
    if input._dtype.kind in "iub":
        input = table["Cast"](input, dtype=dtypes.default_float())
    return _logsumexp(input, axis=axes(input, dim), keepdims=keepdim)


@takes_out("all only supports bool tensor for result, got: {out}")
def all(input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """Whether all elements are true (not 0).

    Source: ``torch.all``.
    """
    return _truth(_all, input, dim, keepdim)


@takes_out("any only supports bool tensor for result, got: {out}")
def any(input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """Whether any element is true (not 0).

    Source: ``torch.any``.
    """
    return _truth(_any, input, dim, keepdim)


def _truth(prim: Primitive, x: Tensor, dim: Any, keepdim: bool) -> Tensor:
    found: Tensor = prim(x, axis=axes(x, dim), keepdims=keepdim)
    return found.to(x.dtype) if x._dtype == "uint8" else found  # of bytes bytes come out


@takes_out(ANY)
def cumsum(input: Tensor, dim: int, *, dtype: Any = None, out: Tensor | None = None) -> Tensor:
    """Running sums along ``dim``.

    Source: ``torch.cumsum``.
    """
    x = _to_dtype(input, dtype, widen=True)
    return as_asked(_cumsum(x, axis=x._dim(dim) - x.ndim), dtype) if x.ndim else clone_as("CumsumBackward0", x)


for _f in (sum, mean, prod, logsumexp, all, any, cumsum):
    export(_f.__name__, _f)
