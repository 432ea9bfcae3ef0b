"""Norms of vectors and matrices, and products of vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..outputs import EXACT, takes_out
from ..tensor import Tensor, wrap
from .joining import broadcast_tensors
from .kinds import export, public
from .solvers import (
    LinAlgError,
    inv,
    numbers,
)
from .spectral import svdvals
from .whole import whole


@takes_out(EXACT)
def vector_norm(
    x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None
) -> Tensor:
    """``sum(|x|**ord) ** (1 / ord)`` over ``dim``, or what that tends to for an ``ord`` of 0 or ±inf.

    Source: ``torch.linalg.vector_norm``.
    """
    y = x if dtype is None else x.to(dtype)
    return y.norm(ord, dim if dim is not None else list(range(x.ndim)), keepdim)


@takes_out("linalg.matrix_norm expected out tensor dtype {result} but got: {out}")
def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None, out: Any = None
) -> Tensor:
    """A norm of matrices in two dimensions: "fro", "nuc", ±1, ±2 or ±inf.

    Source: ``torch.linalg.matrix_norm``.
    """
    numbers("linalg.matrix_norm", A)
    if A.ndim < 2:
        raise RuntimeError("linalg.matrix_norm: The input tensor A must have at least 2 dimensions.")
    y = A if dtype is None else A.to(dtype)
    i, j = (y._dim(d) for d in dim)
    if i == j:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got ({dim[0]}, {dim[1]})")
    if ord in ("fro", "f"):
        return y.norm(2, [i, j], keepdim)
    if ord in (1, -1, math.inf, -math.inf):
        over, along = (i, j) if abs(ord) == 1 else (j, i)
        sums = y.norm(1, over, keepdim=True)
        found = sums.amax(along, keepdim=True) if ord > 0 else sums.amin(along, keepdim=True)
    elif ord in ("nuc", 2, -2):
        s = svdvals(y.movedim((i, j), (-2, -1)))
        found = s.sum(-1) if ord == "nuc" else s.amax(-1) if ord == 2 else s.amin(-1)
        for d in sorted((i, j)):
            found = found.unsqueeze(d)
    else:
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    return found if keepdim else found.squeeze((i, j))


@takes_out("linalg.norm expected out tensor dtype {result} but got: {out}")
def norm(
    A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, out: Any = None, dtype: Any = None
) -> Tensor:
    """:func:`vector_norm`, or :func:`matrix_norm` where ``ord`` is given and there are two dimensions.

    Source: ``torch.linalg.norm``.
    """
    dims = (dim,) if isinstance(dim, int) else dim
    if ord is not None:
        if dims is not None and len(dims) not in (1, 2):
            raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}")
        if dims is None and A.ndim not in (1, 2):
            raise RuntimeError(
                f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {A.ndim}D."
            )
        if (len(dims) if dims is not None else A.ndim) == 2:
            return matrix_norm(A, ord, dims if dims is not None else (0, 1), keepdim, dtype=dtype)
    return vector_norm(A, 2 if ord is None else ord, dims, keepdim, dtype=dtype)


@takes_out("linalg.cond: Expected result to be safely castable from {result} dtype, but got result with dtype {out}")
def cond(A: Tensor, p: Any = None, *, out: Any = None) -> Tensor:
    """The condition number: the norm times the inverse's norm.

    Source: ``torch.linalg.cond``.
    """
    if p is None or p in (2, -2):
        s = svdvals(A)
        large, small = s.amax(-1), s.amin(-1)
        return small / large if p == -2 else large / small
    try:
        return matrix_norm(A, p) * matrix_norm(inv(A), p)
    except LinAlgError:
        return wrap(np.full(A._shape[:-2], math.inf, A._dtype.type(0).real.dtype))


@whole("LinalgCrossBackward0")
@takes_out(EXACT)
def cross(input: Tensor, other: Tensor, *, dim: int = -1, out: Tensor | None = None) -> Tensor:
    """The cross product of vectors of three, along ``dim``.

    Source: ``torch.linalg.cross``.
    """
    if input.ndim != other.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    a = input._dim(dim)
    if input._shape[a] != 3 or other._shape[a] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {input._shape[a]} and {other._shape[a]}"
        )
    x, y = broadcast_tensors(input, other) if input._shape != other._shape else (input, other)
    return x.roll(-1, a) * y.roll(-2, a) - x.roll(-2, a) * y.roll(-1, a)


@takes_out(EXACT)
def old_cross(input: Tensor, other: Tensor, dim: int | None = None, *, out: Tensor | None = None) -> Tensor:
    """The cross product of vectors of three along ``dim``, or along the first dimension of length 3.

    Source: ``torch.cross``.
    """
    if dim is None:
        there = [i for i, n in enumerate(input._shape) if n == 3]
        if not there:
            raise RuntimeError("no dimension of size 3 in input")
        dim = there[0]
    return cross(input, other, dim=dim)


@takes_out("linalg.vecdot: Expected out of dtype{result} but found {out}")
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1, out: Tensor | None = None) -> Tensor:
    """The dot products of vectors along ``dim``, the first conjugated.

    Source: ``torch.linalg.vecdot``.
    """
    a = x.conj() if x._dtype.kind == "c" else x
    return (a * y).sum(dim)


def vander(x: Tensor, N: int | None = None) -> Tensor:
    """The powers 0 to N - 1 of vectors, as matrices.

    Source: ``torch.linalg.vander``.
    """
    x = x if x.ndim else x.reshape(1)
    n = x._shape[-1] if N is None else N
    if n <= 1 and N is not None:
        raise RuntimeError("N must be greater than 1.")
    rows = [x.detach() * 0 + 1, *[x] * (n - 1)]
    return public["stack"](rows, -1).cumprod(-1)


def old_vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers N - 1 to 0 of a vector, as a matrix; rising if ``increasing``.

    Source: ``torch.vander``.
    """
    found = vander(x, N)
    return found if increasing else found.flip(-1)


export("cross", old_cross)
export("vander", old_vander, method=False)
