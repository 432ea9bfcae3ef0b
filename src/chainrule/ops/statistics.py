"""Spread and size: variance, standard deviation, norms."""

from __future__ import annotations

import math
from typing import Any

from ..primitive import Primitive
from ..tensor import Tensor
from .kinds import export
from .reduce import SAMPLES, Reduction, axes, count, spread


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


_var, _std, _norm = Var(), Std(), Norm("LinalgVectorNormBackward0")
Norm()


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
    return _spread_of(_var, input, dim, unbiased, keepdim, correction)


def _spread_of(
    prim: Primitive, x: Tensor, dim: Any, unbiased: bool | None, keepdim: bool, correction: float | None
) -> Tensor:
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    return prim(x, axis=axes(x, dim), keepdims=keepdim, correction=correction)  # type: ignore[no-any-return]


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
    return _spread_of(_std, input, dim, unbiased, keepdim, correction)


def norm(input: Tensor, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The p-norm of the elements, all or over ``dim``.

    Source: ``torch.norm``.
    """
    x: Any = input.abs()
    kwargs = {"dim": dim, "keepdim": keepdim}
    if p in (2, "fro"):
        return _norm(input, axis=axes(input, dim), keepdims=keepdim)  # type: ignore[no-any-return]
    if p == 1:
        return x.sum(**kwargs)  # type: ignore[no-any-return]
    if p == math.inf:
        return x.amax(() if dim is None else dim, keepdim)  # type: ignore[no-any-return]
    return (x**p).sum(**kwargs) ** (1 / p)  # type: ignore[no-any-return]


for _f in (var, std, norm):
    export(_f.__name__, _f)
