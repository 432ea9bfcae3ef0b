"""Factors of matrices in LAPACK's packed form, products with them, and the few largest singular values."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import errors
from ..errors import explained
from ..extras import load
from ..outputs import EXACT, takes_out
from ..primitive import Primitive
from ..random import drawing
from ..tensor import Tensor, wrap
from .extremes import return_type
from .joining import broadcast_shapes
from .kinds import export, no_kernel, public
from .orthogonal import qr
from .random import fresh
from .solvers import POSITIVE, TALL, Algorithm, square
from .spectral import svd
from .whole import whole

matmul: Any = public["matmul"]


class Geqrf(Algorithm):
    """R and the vectors of reflections below it, and a last row with their factors."""

    differentiable = False
    forward = lambda xp, a: xp.reflections(a)
    samples = [((TALL,), {}), ((POSITIVE,), {})]


_geqrf: Primitive = Geqrf()
_Geqrf = return_type("geqrf", "a", "tau")


@takes_out("torch.geqrf: Expected a to be safely castable from {result} dtype, but got a with dtype {out}")
def geqrf(input: Tensor, *, out: Any = None) -> Any:
    """(a, tau): R in the upper triangle of ``a``, below it the vectors of the reflections, of factors ``tau``, that are Q.

    Not differentiable; :func:`torch.linalg.qr` is.

    Source: ``torch.geqrf``.

    >>> import chainrule as torch
    >>> a, tau = torch.geqrf(torch.tensor([[3.0, 1.0], [4.0, 2.0]]))
    >>> a.triu()
    tensor([[-5.0000, -2.2000],
            [ 0.0000,  0.4000]])
    """
    if input.ndim < 2:
        raise explained(
            RuntimeError("torch.geqrf: input must have at least 2 dimensions.\nGive it a matrix, or several.")
        )
    if input._dtype.kind not in "fc":
        raise errors.not_of_complex(no_kernel("geqrf_cpu"), input._dtype)
    found, k = _geqrf(input), min(input._shape[-2:])
    return _Geqrf(found[..., :-1, :], found[..., -1, :k])


@whole("OrmqrBackward0")
@takes_out(
    "torch.ormqr: Expected input and result to have the same dtype, but input has dtype{result} and result has dtype {out}"
)
def ormqr(
    input: Tensor, tau: Tensor, other: Tensor, left: bool = True, transpose: bool = False, *, out: Tensor | None = None
) -> Tensor:
    """``Q other``, of the whole square Q that ``(input, tau)`` of :func:`torch.geqrf` stand for.

    ``left=False`` is ``other Q``, and ``transpose`` takes Qᴴ.

    Source: ``torch.ormqr``.

    >>> import chainrule as torch
    >>> m = torch.tensor([[3.0, 1.0], [4.0, 2.0]])
    >>> a, tau = torch.geqrf(m)
    >>> torch.ormqr(a, tau, m, transpose=True).tril(-1).abs() < 1e-5  # Qᵀ m is R
    tensor([[True, True],
            [True, True]])
    """
    for name, x in (("input", input), ("other", other)):
        if x.ndim < 2:
            raise RuntimeError(f"torch.ormqr: {name} must have at least 2 dimensions.")
    side, k = (-2 if left else -1), tau._shape[-1]
    if other._shape[side] != input._shape[-2]:
        raise RuntimeError(f"torch.ormqr: other.shape[{side}] must be equal to input.shape[-2]")
    if k != min(other._shape[side], input._shape[-1]):
        raise RuntimeError(f"torch.ormqr: tau.shape[-1] must be equal to min(other.shape[{side}], input.shape[-1])")
    if tau.ndim != input.ndim - 1:
        raise RuntimeError(
            f"torch.ormqr: Expected tau to have one dimension less than input, but got tau.ndim equal to {tau.ndim} and "
            f"input.ndim is equal to {input.ndim}"
        )
    if other._dtype != input._dtype:
        a, b = (errors.scalar_type(x._dtype) for x in (input, other))
        raise RuntimeError(
            f"torch.ormqr: Expected input and other to have the same dtype, but input has dtype{a} and other has dtype {b}"
        )
    m = input._shape[-2]
    vs = input[..., :k].tril(-1) + wrap(np.eye(m, k, dtype=input._dtype))
    c = other if left else other.mH
    adjoint = transpose == left  # (C Q)ᴴ is Qᴴ Cᴴ
    for i in range(k) if adjoint else reversed(range(k)):
        v, factor = vs[..., i : i + 1], tau[..., i, None, None]
        c = c - (factor.conj() if adjoint else factor) * matmul(v, matmul(v.mH, c))
    return c if left else c.mH


# --- L D Lᵀ ---

_LDL = return_type("linalg_ldl_factor", "LD", "pivots")
_LDLEx = return_type("linalg_ldl_factor_ex", "LD", "pivots", "info")


def _lapack(name: str, dtype: np.dtype[Any], hermitian: bool) -> Any:
    """LAPACK's routine ``sy…``, or ``he…``, for the dtype."""
    letter = {"float32": "s", "float64": "d", "complex64": "c", "complex128": "z"}[dtype.name]
    kind = "he" if hermitian and dtype.kind == "c" else "sy"
    return getattr(load("scipy.linalg.lapack", "special", f"ldl_{name}"), f"{letter}{kind}{name}")


@takes_out(EXACT)
def ldl_factor_ex(A: Tensor, *, hermitian: bool = False, check_errors: bool = False, out: Any = None) -> Any:
    """(LD, pivots, info): :func:`ldl_factor`, and for each matrix which entry of D is 0, counted from 1, or 0.

    Source: ``torch.linalg.ldl_factor_ex``.

    >>> import chainrule as torch
    >>> ldl_factor_ex(torch.tensor([[2.0, 1.0], [1.0, 2.0]])).info
    tensor(0, dtype=torch.int32)
    """
    square("torch.linalg.ldl_factor_ex", A)
    a, n = A.detach().numpy(), A._shape[-1]
    packed, pivots = np.zeros(a.shape, a.dtype), np.zeros(a.shape[:-1], np.int32)
    info = np.zeros(a.shape[:-2], np.int32)
    factor = _lapack("trf", a.dtype, hermitian)
    for i in np.ndindex(a.shape[:-2]) if n else ():
        ld, pivots[i], info[i] = factor(a[i], lower=1)
        packed[i] = np.tril(ld)
    if check_errors and info.any():
        raise explained(RuntimeError(
            f"torch.linalg.ldl_factor_ex: D has a 0 as its entry {int(info[info != 0][0])}"
            "\nThe matrix is singular; without check_errors the factors are returned."
        ))  # fmt: skip
    return _LDLEx(wrap(packed), wrap(pivots), wrap(info))


@takes_out(EXACT)
def ldl_factor(A: Tensor, *, hermitian: bool = False, out: Any = None) -> Any:
    """(LD, pivots) with ``A = P L D Lᵀ Pᵀ`` of symmetric (``hermitian``: Hermitian) matrices, of which a triangle is read.

    D has blocks of 1 or 2 rows; ``pivots`` are LAPACK's.  Not differentiable.  Needs SciPy.

    Source: ``torch.linalg.ldl_factor``.

    >>> import chainrule as torch
    >>> a = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
    >>> LD, pivots = ldl_factor(a)
    >>> ldl_solve(LD, pivots, torch.tensor([[3.0], [3.0]]))
    tensor([[1.],
            [1.]])
    """
    found = ldl_factor_ex(A, hermitian=hermitian, check_errors=True)
    return _LDL(found.LD, found.pivots)


@takes_out(EXACT)
def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False, out: Tensor | None = None) -> Tensor:
    """The solution of ``A X = B`` by the factors of :func:`ldl_factor`.  Needs SciPy.

    Source: ``torch.linalg.ldl_solve``.

    >>> import chainrule as torch
    >>> LD, pivots = ldl_factor(torch.tensor([[4.0]]))
    >>> ldl_solve(LD, pivots, torch.tensor([[2.0]]))
    tensor([[0.5000]])
    """
    square("torch.linalg.ldl_solve", LD)
    if LD._shape[-1] != B._shape[-2]:
        n, (m, k) = LD._shape[-1], B._shape[-2:]
        raise RuntimeError(
            f"Incompatible matrix sizes for torch.linalg.ldl_solve: each A matrix is {n} by {n} but each b matrix is {m} by {k}"
        )
    if pivots._shape != LD._shape[:-1]:
        raise RuntimeError(
            "torch.linalg.ldl_solve: Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with shape "
            f"{list(pivots.shape)} instead"
        )
    if pivots._dtype.kind not in "iu":
        kind = errors.scalar_type(pivots._dtype)
        raise RuntimeError(f"torch.linalg.ldl_solve: Expected pivots to be integers. Got {kind}")
    if B._dtype != LD._dtype:
        kind, other = (errors.scalar_type(x._dtype) for x in (LD, B))
        raise RuntimeError(
            f"Expected b and A to have the same dtype, but found b of type {other} and A of type {kind} instead."
        )
    lead = broadcast_shapes(LD._shape[:-2], B._shape[:-2])
    n, k = B._shape[-2:]
    ld = np.broadcast_to(LD.detach().numpy(), (*lead, n, n))
    at = np.broadcast_to(pivots.detach().numpy().astype(np.int32), (*lead, n))
    b = np.broadcast_to(B.detach().numpy(), (*lead, n, k))
    found = np.zeros(b.shape, b.dtype)
    solve = _lapack("trs", b.dtype, hermitian)
    for i in np.ndindex(lead) if b.size else ():
        found[i] = solve(ld[i], at[i], b[i], lower=1)[0]
    return wrap(found)


# --- of low rank ---


def _basis(a: Tensor, q: int, niter: int, mean: Tensor | None) -> Tensor:
    """q orthonormal columns that span nearly what ``a - mean`` does: random vectors, sent to and fro."""

    def sent(x: Tensor, back: bool = False) -> Any:
        y = matmul(a.mH if back else a, x)
        return y if mean is None else y - matmul(mean.mH if back else mean, x)

    generator = drawing(None)
    found = qr(sent(fresh((a._shape[-1], q), lambda shape: generator.normal(shape, a._dtype)))).Q
    for _ in range(niter):
        found = qr(sent(qr(sent(found, back=True)).Q)).Q
    return found  # type: ignore[no-any-return]


def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """(U, S, V) with ``A ≈ U diag(S) Vᴴ``, by about ``q`` random vectors, of which ``niter`` steps bring out the large values.

    For A of shape (..., m, n): U (..., m, q), S (..., q), V (..., n, q).  ``M`` is taken off A first.

    Source: ``torch.svd_lowrank``.

    >>> import chainrule as torch
    >>> u, s, v = torch.svd_lowrank(torch.tensor([[1.0, 2.0], [2.0, 4.0]]), q=1)
    >>> s.round(decimals=3)
    tensor([5.])
    """
    q, niter = 6 if q is None else q, 2 if niter is None else niter
    mean = None if M is None else M.expand(*A._shape)
    wide = A._shape[-2] < A._shape[-1]
    if wide:
        A, mean = A.mH, None if mean is None else mean.mH
    basis = _basis(A, q, niter, mean)
    small = matmul(basis.mH, A)
    if mean is not None:
        small = small - matmul(basis.mH, mean)
    u, s, vh = svd(small, full_matrices=False)
    u, v = matmul(basis, u), vh.mH
    return (v, s, u) if wide else (u, s, v)


def pca_lowrank(A: Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """The ``q`` principal components of samples, the rows of A: :func:`svd_lowrank` of A less its mean row.

    The columns of V are the directions; ``center=False`` leaves the mean.

    Source: ``torch.pca_lowrank``.

    >>> import chainrule as torch
    >>> u, s, v = torch.pca_lowrank(torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]), q=1)
    >>> v.abs()
    tensor([[0.7071],
            [0.7071]])
    """
    m, n = A._shape[-2:]
    q = min(6, m, n) if q is None else q
    if not 0 <= q <= min(m, n):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter)


export("geqrf", geqrf)
export("ormqr", ormqr)
export("svd_lowrank", svd_lowrank, method=False)
export("pca_lowrank", pca_lowrank, method=False)
