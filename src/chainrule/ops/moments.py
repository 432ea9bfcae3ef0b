"""Means, variances and extremes together, and of several variables."""

from __future__ import annotations

import math
from typing import Any

from ..outputs import ANY, EXACT, takes_out
from ..primitive import Primitive
from ..tensor import Tensor
from .extremes import return_type
from .kinds import attach, export, export_all, public
from .reduce import Reduction, axes, spread
from .whole import whole

matmul, where = public["matmul"], public["where"]
_Aminmax = return_type("aminmax", "min", "max")


@whole("AminmaxBackward0")
@takes_out(EXACT)
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False, out: Any = None) -> Any:
    """The smallest and the largest entry, of all or along ``dim``; ties share the gradient.

    Source: ``torch.aminmax``.
    """
    if not input.numel() and dim is None:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
        )
    over = () if dim is None else dim
    return _Aminmax(input.amin(over, keepdim), input.amax(over, keepdim))


@whole("VarMeanBackward0")
def var_mean(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: float | None = None
) -> tuple[Tensor, Tensor]:
    """The variance and the mean.

    Source: ``torch.var_mean``.
    """
    over = None if isinstance(dim, bool) else dim
    return input.var(dim, unbiased, keepdim, correction=correction), input.mean(over, keepdim)


@whole("StdMeanBackward0")
def std_mean(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: float | None = None
) -> tuple[Tensor, Tensor]:
    """The standard deviation and the mean.

    Source: ``torch.std_mean``.
    """
    over = None if isinstance(dim, bool) else dim
    return input.std(dim, unbiased, keepdim, correction=correction), input.mean(over, keepdim)


class Nansum(Reduction):
    """The sum over ``axis`` of the entries that are numbers."""

    forward = lambda xp, x, *, axis, keepdims: nansum_forward(xp, x, axis, keepdims)
    vjp_x = lambda xp, g, x, axis: spread(xp, g, x.shape, axis) * xp.astype(x == x, x.dtype)
    jvp_x = lambda xp, t, x, axis, keepdims: xp.sum(t * xp.astype(x == x, x.dtype), axis=axis, keepdims=keepdims)


def nansum_forward(xp: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    if hasattr(xp, "nan_replaced"):  # numbers, which may be looked at
        total = xp.sum(x, axis=axis, keepdims=keepdims)
        if not xp.any(total != total):
            return total
    return xp.sum(xp.where(x != x, xp.zeros_like(x), x), axis=axis, keepdims=keepdims)


_nansum: Primitive = Nansum()


@takes_out(ANY)
def nansum(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None
) -> Tensor:
    """The sum of the entries that are numbers.

    Source: ``torch.nansum``.
    """
    if input._dtype.kind == "c":
        raise RuntimeError("nansum does not support complex inputs")
    x = input if dtype is None else input.to(dtype)
    if x._dtype.kind != "f":
        return x.sum(dim, keepdim, dtype=dtype)
    return _nansum(x, axis=axes(x, dim), keepdims=keepdim)


@takes_out(ANY)
def nanmean(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None
) -> Tensor:
    """The mean of the entries that are numbers.

    Source: ``torch.nanmean``.
    """
    if input._dtype.kind not in "fc":
        raise RuntimeError(
            "nanmean(): expected input to have floating point or complex dtype but got " + str(input.dtype)
        )
    many = (input.detach() == input.detach()).sum(dim, keepdim=keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / many


def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """The covariance matrix of rows of observations; weighted by how often (``fweights``) or how much each counts.

    Source: ``torch.cov``.
    """
    if input.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions"
        )
    x = input if input.ndim == 2 else input.reshape(1, -1)
    w = None
    if fweights is not None:
        w = fweights
    if aweights is not None:
        w = aweights if w is None else w * aweights
    n = x._shape[1]
    total: Any = n if w is None else w.sum()
    mean = x.sum(1, keepdim=True) / total if w is None else (x * w).sum(1, keepdim=True) / total
    if w is not None and aweights is not None and correction != 0:
        norm = total - correction * (w * aweights).sum() / total
    else:
        norm = total - correction
    norm = norm.clamp(min=0) if isinstance(norm, Tensor) else max(norm, 0)
    c = x - mean
    right = (c if w is None else c * w).mT
    right = right.conj() if x._dtype.kind == "c" else right
    out = matmul(c, right) / norm if not isinstance(norm, int) or norm else matmul(c, right) * math.inf
    return out if x._shape[0] > 1 or not x._shape[0] else out.reshape(())


def corrcoef(input: Tensor) -> Tensor:
    """The correlation coefficients of rows of observations.

    Source: ``torch.corrcoef``.
    """
    if input.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions"
        )
    c = cov(input)
    if not c.ndim:
        return c / c
    d = c.diagonal().sqrt()
    found = c / d.unsqueeze(1) / d.unsqueeze(0)
    if found._dtype.kind == "c":
        return public["complex"](found.real.clamp(-1, 1), found.imag.clamp(-1, 1))
    return found.clamp(-1, 1)  # type: ignore[no-any-return]


@whole("RenormBackward0")
@takes_out(EXACT)
def renorm(input: Tensor, p: float, dim: int, maxnorm: float, *, out: Tensor | None = None) -> Tensor:
    """Slices along ``dim`` whose p-norm is above ``maxnorm`` scaled down to it.

    Source: ``torch.renorm``.
    """
    if input.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions")
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    at = input._dim(dim)
    norm = input.norm(p, [i for i in range(input.ndim) if i != at], keepdim=True)
    return input * where(norm > maxnorm, maxnorm / (norm + 1e-7), norm.detach() * 0 + 1)


export_all(var_mean, std_mean, cov, corrcoef, method=False)
export_all(aminmax, nansum, nanmean)
attach(cov=cov, corrcoef=corrcoef)
export("renorm", renorm, in_place=True)
