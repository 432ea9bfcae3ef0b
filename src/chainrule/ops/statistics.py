"""Spread and size: variance, standard deviation, norms."""

from __future__ import annotations

import math
import warnings
from typing import Any

from .. import errors
from ..errors import explained
from ..outputs import CASTS, EXACT, takes_out
from ..primitive import Primitive
from ..tensor import Tensor
from .kinds import export
from .reduce import SAMPLES, Reduction, _to_dtype, average, axes, count, kept, share, spread, wide


class Var(Reduction):
    """The variance over ``axis``, divided by n - ``correction``."""

    composite = True
    forward = lambda xp, x, *, axis, keepdims, correction: wide(xp, variance, x, axis, keepdims, correction)
    vjp_x = lambda xp, g, x, axis, correction: (
        spread(xp, share(xp, 2 * g, freedom(x.shape, axis, correction)), x.shape, axis) * centred(xp, x, axis)
    )
    samples = [(args, {**params, "correction": c}) for (args, params), c in zip(SAMPLES[:3], (1, 0, 1), strict=True)]


def paired(xp: Any, x: Any, t: Any) -> Any:
    """Half of how ``|x|²`` changes as x moves by t; with x for t, ``|x|²`` itself."""
    return xp.real(xp.conj(x) * t) if x.dtype.kind == "c" else x * t


def variance(xp: Any, x: Any, axis: tuple[int, ...], keepdims: bool, correction: float) -> Any:
    return xp.sum(squares(xp, x, axis), axis=axis, keepdims=keepdims) / freedom(x.shape, axis, correction)


def deviation(xp: Any, x: Any, axis: tuple[int, ...], keepdims: bool, correction: float) -> Any:
    return xp.sqrt(variance(xp, x, axis, keepdims, correction))


def squares(xp: Any, x: Any, axis: tuple[int, ...]) -> Any:
    c = centred(xp, x, axis)
    return paired(xp, c, c)


class Std(Reduction):
    """The square root of :class:`Var`; where all entries are equal its slope is taken as 0."""

    composite = True
    forward = lambda xp, x, *, axis, keepdims, correction: wide(xp, deviation, x, axis, keepdims, correction)
    vjp_x = lambda xp, g, out, x, axis, correction: (
        spread(xp, share(xp, over(xp, g, out), freedom(x.shape, axis, correction)), x.shape, axis)
        * centred(xp, x, axis)
    )
    jvp_x = lambda xp, t, out, x, axis, keepdims, correction: (
        over(xp, xp.sum(paired(xp, centred(xp, x, axis), t), axis=axis, keepdims=keepdims), out)
        / freedom(x.shape, axis, correction)
    )
    samples = Var.samples


def over(xp: Any, a: Any, size: Any) -> Any:
    """``a / size``, but 0 where the size is 0."""
    return xp.where(size == 0, xp.zeros_like(a), a / xp.where(size == 0, xp.ones_like(size), size))


def centred(xp: Any, x: Any, axis: tuple[int, ...]) -> Any:
    return x - average(xp, x, axis, True)


def freedom(shape: tuple[int, ...], axis: tuple[int, ...], correction: float) -> float:
    n = count(shape, axis) - correction
    return n if n > 0 else 0


class Norm(Reduction):
    """``sum(|x|**order) ** (1 / order)`` over ``axis``, and what that tends to for orders inf and 0; at 0 its slope is 0."""

    composite = True
    forward = lambda xp, x, *, axis, keepdims, order: wide(xp, norm_forward, x, axis, keepdims, order)
    vjp_x = lambda xp, g, out, x, axis, order: spread(xp, g, x.shape, axis) * norm_slope(xp, x, out, axis, order)
    jvp_x = lambda xp, t, out, x, axis, keepdims, order: xp.sum(
        paired(xp, norm_slope(xp, x, out, axis, order), t), axis=axis, keepdims=keepdims
    )
    samples = [
        (args, {**params, "order": order})
        for (args, params), order in [
            *zip(SAMPLES, (2, 2, 1, 2), strict=True),
            *[(SAMPLES[1], p) for p in (3, 1.5, math.inf)],
        ]
    ]


def norm_forward(xp: Any, x: Any, axis: tuple[int, ...], keepdims: bool, order: float) -> Any:
    over_axis: Any = {"axis": axis, "keepdims": keepdims}
    if order == 2:
        if hasattr(xp, "sum_of_squares") and x.dtype.kind != "c":
            return xp.sqrt(xp.sum_of_squares(x, **over_axis))
        return xp.sqrt(xp.sum(paired(xp, x, x), **over_axis))
    size = xp.abs(x)
    if order in (math.inf, -math.inf):
        return (xp.max if order > 0 else xp.min)(size, **over_axis)
    if order in (0, 1):
        return xp.sum(size if order else xp.astype(size != 0, size.dtype), **over_axis)
    return xp.sum(size**order, **over_axis) ** (1 / order)


def norm_slope(xp: Any, x: Any, out: Any, axis: tuple[int, ...], order: float) -> Any:
    """How the norm grows with each entry, in the direction in which it grows."""
    if order == 0:
        return xp.zeros_like(x)
    out = xp.reshape(out, kept(x.shape, axis))
    if order == 2:
        return over(xp, x, out)
    if order == 1:
        return xp.sign(x)
    size = xp.abs(x)
    if order in (math.inf, -math.inf):
        at = xp.astype((size == out) | ((size != size) & (out != out)), size.dtype)
        return xp.sign(x) * (at / xp.sum(at, axis=axis, keepdims=True))
    if order < 1:  # from an entry that is 0 the norm grows infinitely fast: that entry is left where it is
        return xp.sign(x) * over(xp, xp.ones_like(size), size ** (1 - order)) * out ** (1 - order)
    return xp.sign(x) * over(xp, size ** (order - 1), out ** (order - 1))


_var, _std, _norm = Var(), Std(), Norm("LinalgVectorNormBackward0")
Norm()


@takes_out(CASTS)
def var(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = None, out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The variance of all elements or over ``dim``, divided by n - ``correction`` (1 unless told).

    Source: ``torch.var``.
    """
    return _spread_of(_var, input, dim, unbiased, keepdim, correction)


def _spread_of(
    prim: Primitive, x: Tensor, dim: Any, unbiased: bool | None, keepdim: bool, correction: float | None
) -> Tensor:
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    if x._dtype.kind not in "fc":
        raise explained(
            RuntimeError("std and var only support floating point and complex dtypes\nConvert first: x.float().")
        )
    axis = axes(x, dim)
    if not freedom(x._shape, axis, correction):
        warnings.warn(
            f"{prim.name.lower()}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction "
            "factor (input numel divided by output numel).", UserWarning, stacklevel=3,
        )  # fmt: skip
    return prim(x, axis=axis, keepdims=keepdim, correction=correction)


@takes_out(CASTS)
def std(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = None, out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The standard deviation: the square root of :func:`var`.

    Source: ``torch.std``.
    """
    return _spread_of(_std, input, dim, unbiased, keepdim, correction)


@takes_out(EXACT)
def norm(
    input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, out: Any = None, dtype: Any = None
) -> Tensor:
    """The p-norm of the elements, all or over ``dim``: ``sum(|x|**p) ** (1 / p)``.

    ``p`` is a number, inf for the largest, 0 for how many are not 0, or "fro" for 2; ``dtype`` is what is computed
    in.  The result is real, of one element per remaining position.  RuntimeError for integers.

    Source: ``torch.norm``.

    >>> import chainrule as torch
    >>> x = torch.tensor([3.0, -4.0])
    >>> torch.norm(x), torch.norm(x, 1), torch.norm(x, float("inf"))
    (tensor(5.), tensor(7.), tensor(4.))
    """
    if p == "nuc":
        from .norms import matrix_norm

        return matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    x = _to_dtype(input, dtype)
    if x._dtype.kind not in "fc":
        raise explained(
            RuntimeError(
                "linalg.vector_norm: Expected a floating point or complex tensor as input. "
                f"Got {errors.scalar_type(x._dtype)}\nConvert it first: x.float()."
            )
        )
    order, along = 2.0 if p in ("fro", None) else float(p), axes(x, dim)
    if order in (math.inf, -math.inf) and not count(x._shape, along):
        gone = (
            "an empty tensor because"
            if dim is None
            else f"the dimension {along[0] + x.ndim}because this dimension is empty and"
        )
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {p} norm on {gone} the operation does not have an identity"
        )
    found: Tensor = _norm(x, axis=along, keepdims=keepdim, order=order)
    return found


for _f in (var, std, norm):
    export(_f.__name__, _f)
