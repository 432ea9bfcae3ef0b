"""Reductions.  ``axis`` is a tuple of negative integers, so that a batch axis in front changes nothing."""

from __future__ import annotations

import math
from collections import namedtuple
from typing import Any, ClassVar

from .. import dtypes, errors
from ..errors import explained
from ..primitive import Primitive, conj, table
from ..tensor import Tensor
from .kinds import export

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


class Sum(Reduction):
    """The sum over ``axis``."""

    forward = lambda xp, x, *, axis, keepdims: xp.sum(x, axis=axis, keepdims=keepdims)
    vjp_x = lambda xp, g, x_shape, axis: spread(xp, g, x_shape, axis)
    linear = ("x",)


class Mean(Reduction):
    """The mean over ``axis``."""

    composite = True
    forward = lambda xp, x, *, axis, keepdims: xp.sum(x, axis=axis, keepdims=keepdims) / count(x.shape, axis)
    vjp_x = lambda xp, g, x_shape, axis: spread(xp, g / count(x_shape, axis), x_shape, axis)
    linear = ("x",)


def extreme_weights(xp: Any, x: Any, out: Any, axis: tuple[int, ...]) -> Any:
    """1 at the extreme entry, shared evenly by ties; nan counts as extreme."""
    out = xp.reshape(out, kept(x.shape, axis))
    at = xp.astype((x == out) | (x != x), x.dtype)
    return at / xp.sum(at, axis=axis, keepdims=True)


class Amax(Reduction):
    """The largest entry over ``axis``; ties share the cotangent evenly."""

    forward = lambda xp, x, *, axis, keepdims: xp.max(x, axis=axis, keepdims=keepdims)
    vjp_x = lambda xp, g, out, x, axis: spread(xp, g, x.shape, axis) * extreme_weights(xp, x, out, axis)
    jvp_x = lambda xp, t, out, x, axis, keepdims: xp.sum(
        t * extreme_weights(xp, x, out, axis), axis=axis, keepdims=keepdims
    )


class Amin(Reduction):
    """The smallest entry over ``axis``; ties share the cotangent evenly."""

    forward = lambda xp, x, *, axis, keepdims: xp.min(x, axis=axis, keepdims=keepdims)
    vjp_x = lambda xp, g, out, x, axis: spread(xp, g, x.shape, axis) * extreme_weights(xp, x, out, axis)
    jvp_x = lambda xp, t, out, x, axis, keepdims: xp.sum(
        t * extreme_weights(xp, x, out, axis), axis=axis, keepdims=keepdims
    )


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


class Var(Reduction):
    """The variance over ``axis``, divided by n - ``correction``."""

    composite = True
    forward = lambda xp, x, *, axis, keepdims, correction: (
        xp.sum(squares(xp, x, axis), axis=axis, keepdims=keepdims) / freedom(x.shape, axis, correction)
    )
    vjp_x = lambda xp, g, x, axis, correction: (
        spread(xp, 2 * g / freedom(x.shape, axis, correction), x.shape, axis) * centred(xp, x, axis)
    )
    samples = [(args, {**params, "correction": c}) for (args, params), c in zip(SAMPLES[:3], (1, 0, 1), strict=True)]


def paired(xp: Any, x: Any, t: Any) -> Any:
    """Half of how ``|x|²`` changes as x moves by t; with x for t, ``|x|²`` itself."""
    return xp.real(xp.conj(x) * t) if x.dtype.kind == "c" else x * t


def squares(xp: Any, x: Any, axis: tuple[int, ...]) -> Any:
    c = centred(xp, x, axis)
    return paired(xp, c, c)


class Std(Reduction):
    """The square root of :class:`Var`; where all entries are equal its slope is taken as 0."""

    composite = True
    forward = lambda xp, x, *, axis, keepdims, correction: xp.sqrt(
        xp.sum(squares(xp, x, axis), axis=axis, keepdims=keepdims) / freedom(x.shape, axis, correction)
    )
    vjp_x = lambda xp, g, out, x, axis, correction: (
        spread(xp, g / (freedom(x.shape, axis, correction) * not_zero(xp, out)), x.shape, axis) * centred(xp, x, axis)
    )
    jvp_x = lambda xp, t, out, x, axis, keepdims, correction: (
        xp.sum(paired(xp, centred(xp, x, axis), t), axis=axis, keepdims=keepdims)
        / (freedom(x.shape, axis, correction) * not_zero(xp, out))
    )
    samples = Var.samples


class Norm(Reduction):
    """``sqrt(sum(|x|²))`` over ``axis``; at 0 the slope is taken as 0."""

    composite = True
    forward = lambda xp, x, *, axis, keepdims: xp.sqrt(xp.sum(paired(xp, x, x), axis=axis, keepdims=keepdims))
    vjp_x = lambda xp, g, out, x, axis: spread(xp, g / not_zero(xp, out), x.shape, axis) * x
    jvp_x = lambda xp, t, out, x, axis, keepdims: (
        xp.sum(paired(xp, x, t), axis=axis, keepdims=keepdims) / not_zero(xp, out)
    )


def not_zero(xp: Any, out: Any) -> Any:
    """``out`` with 1 for 0: to divide by where the numerator is 0 too."""
    return xp.where(out == 0, xp.ones_like(out), out)


def centred(xp: Any, x: Any, axis: tuple[int, ...]) -> Any:
    return x - xp.sum(x, axis=axis, keepdims=True) / count(x.shape, axis)


def freedom(shape: tuple[int, ...], axis: tuple[int, ...], correction: float) -> float:
    n = count(shape, axis) - correction
    return n if n > 0 else 0


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
    top = xp.peak(x, axis=axis)
    top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))
    total = xp.log(xp.sum(xp.exp(x - top), axis=axis, keepdims=True)) + top
    return total if keepdims else xp.squeeze(total, axis=axis)


class ArgMax(Reduction):
    """The position of the largest entry along ``axis``."""

    differentiable = False
    forward = lambda xp, x, *, axis, keepdims: xp.argmax(x, axis=axis, keepdims=keepdims)
    samples = [(((2, 3),), {"axis": -1, "keepdims": False})]


class ArgMin(Reduction):
    """The position of the smallest entry along ``axis``."""

    differentiable = False
    forward = lambda xp, x, *, axis, keepdims: xp.argmin(x, axis=axis, keepdims=keepdims)
    samples = [(((2, 3),), {"axis": -1, "keepdims": False})]


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
    samples = [(((2, 3),), {"axis": -1}), (((2, 3),), {"axis": -2})]


# --- what users call ---------------------------------------------------------------------------------------

_full = {"sum": Sum(), "mean": Mean(), "prod": Prod(), "var": Var(), "std": Std()}
_along = {"sum": Sum("SumBackward1"), "mean": Mean("MeanBackward1"), "prod": Prod("ProdBackward1")}
_amax, _amin, _max, _min = Amax(), Amin(), Amax("MaxBackward1"), Amin("MinBackward1")
_norm = Norm("LinalgVectorNormBackward0")
Norm()
_logsumexp, _argmax, _argmin, _all, _any, _cumsum = LogSumExp(), ArgMax(), ArgMin(), All(), Any_(), CumSum()


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
        return table["Cast"](x, dtype=dtypes.int64.np)  # type: ignore[no-any-return]
    return x


def _tensor(x: Any, name: str) -> Tensor:
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    return x


def sum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None) -> Tensor:
    """The sum of all elements, or over ``dim`` (an int or several).

    ``keepdim`` leaves the summed dimensions with length 1.  Integers are summed as int64.

    Source: ``torch.sum``.
    """
    x = _to_dtype(_tensor(input, "sum"), dtype, widen=True)
    dim = axis if dim is None else dim
    return (_full if dim is None else _along)["sum"](x, axis=axes(x, dim), keepdims=keepdim)  # type: ignore[no-any-return]


def mean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None) -> Tensor:
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
    return (_full if dim is None else _along)["mean"](x, axis=axes(x, dim), keepdims=keepdim)  # type: ignore[no-any-return]


def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The product of all elements, or along ``dim``.

    Source: ``torch.prod``.
    """
    x = _to_dtype(_tensor(input, "prod"), dtype, widen=True)
    return (_full if dim is None else _along)["prod"](x, axis=axes(x, dim), keepdims=keepdim)  # type: ignore[no-any-return]


def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The variance of all elements or over ``dim``, divided by n - ``correction`` (1 unless told).

    Source: ``torch.var``.
    """
    return _spread_of("var", input, dim, unbiased, keepdim, correction)


def _spread_of(
    name: str, x: Tensor, dim: Any, unbiased: bool | None, keepdim: bool, correction: float | None
) -> Tensor:
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    return _full[name](x, axis=axes(x, dim), keepdims=keepdim, correction=correction)  # type: ignore[no-any-return]


def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The standard deviation: the square root of :func:`var`.

    Source: ``torch.std``.
    """
    return _spread_of("std", input, dim, unbiased, keepdim, correction)


def amax(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The largest element over ``dim``; ties share the gradient.

    Source: ``torch.amax``.
    """
    return _amax(input, axis=axes(input, dim), keepdims=keepdim)  # type: ignore[no-any-return]


def amin(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The smallest element over ``dim``; ties share the gradient.

    Source: ``torch.amin``.
    """
    return _amin(input, axis=axes(input, dim), keepdims=keepdim)  # type: ignore[no-any-return]


def return_type(name: str, *fields: str) -> Any:
    """A named tuple that prints as PyTorch's ``torch.return_types``."""
    cls: Any = namedtuple(name, fields)  # type: ignore[misc]

    def show(self: Any) -> str:
        return f"torch.return_types.{name}(\n" + ",\n".join(f"{f}={getattr(self, f)!r}" for f in fields) + ")"

    setattr(cls, "__repr__", show)  # noqa: B010
    return cls


_Max, _Min = return_type("max", "values", "indices"), return_type("min", "values", "indices")


def _extreme(name: str, x: Tensor, dim: Any, keepdim: bool) -> Any:
    whole, arg, result = {"max": (_max, _argmax, _Max), "min": (_min, _argmin, _Min)}[name]
    if isinstance(dim, Tensor):
        return table["Maximum" if name == "max" else "Minimum"](x, dim)
    if dim is None:
        if not x.numel():
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
                "with the 'dim' argument."
            )
        return whole(x, axis=axes(x, None), keepdims=False)
    n = x.ndim
    if not n:
        return result(x.clone(), table["Cast"](x.detach() * 0, dtype=dtypes.int64.np))
    at = x._dim(dim) - n
    indices = arg(x, axis=at, keepdims=True)
    values = table[f"{name.capitalize()}Backward0"](x, indices, axis=at)
    return result(values, indices) if keepdim else result(values.squeeze(at), indices.squeeze(at))


def max(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The largest element; with ``dim``, (values, indices) along it; with a tensor, :func:`maximum`.

    Source: ``torch.max``.
    """
    return _extreme("max", _tensor(input, "max"), dim, keepdim)


def min(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest element; with ``dim``, (values, indices) along it; with a tensor, :func:`minimum`.

    Source: ``torch.min``.
    """
    return _extreme("min", _tensor(input, "min"), dim, keepdim)


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the largest element, of the flattened tensor unless ``dim`` is given.

    Source: ``torch.argmax``.
    """
    return _arg(_argmax, input, dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the smallest element, of the flattened tensor unless ``dim`` is given.

    Source: ``torch.argmin``.
    """
    return _arg(_argmin, input, dim, keepdim)


def _arg(prim: Primitive, x: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    if dim is None:
        flat = prim(x.detach().reshape(-1), axis=-1, keepdims=False)
        return flat.reshape((1,) * x.ndim) if keepdim else flat  # type: ignore[no-any-return]
    return prim(x, axis=x._dim(dim) - x.ndim, keepdims=keepdim)  # type: ignore[no-any-return]


def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """``log(sum(exp(input)))`` over ``dim``, without overflow.

    Source: ``torch.logsumexp``.
    """
    return _logsumexp(input, axis=axes(input, dim), keepdims=keepdim)  # type: ignore[no-any-return]


def all(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether all elements are true (not 0).

    Source: ``torch.all``.
    """
    return _all(input, axis=axes(input, dim), keepdims=keepdim)  # type: ignore[no-any-return]


def any(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether any element is true (not 0).

    Source: ``torch.any``.
    """
    return _any(input, axis=axes(input, dim), keepdims=keepdim)  # type: ignore[no-any-return]


def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running sums along ``dim``.

    Source: ``torch.cumsum``.
    """
    x = _to_dtype(input, dtype, widen=True)
    return _cumsum(x, axis=x._dim(dim) - x.ndim) if x.ndim else x.clone()


for _f in (sum, mean, prod, var, std, amax, amin, max, min, argmax, argmin, logsumexp, all, any, cumsum):
    export(_f.__name__, _f)
