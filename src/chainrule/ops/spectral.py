"""Decompositions: eigenvalues and singular values.

A decomposition has several results, but is one array: its parts lie side by side, and are cut out by name.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays.namespace import dtype_of
from ..outputs import EXACT, takes_out
from ..tensor import Tensor, wrap
from .extremes import return_type
from .index import GetItem
from .kinds import export, public
from .linalg import adjoint
from .solvers import (
    POSITIVE,
    TALL,
    WELL,
    Algorithm,
    _solve,
    diagonal_matrix,
    eye_like,
    numbers,
    singular,
    square,
)
from .whole import whole


def diagonal_of(xp: Any, m: Any) -> Any:
    """The diagonal of square matrices, as their rank allows: with an axis of length 1 for the rows."""
    return xp.sum(m * eye_like(xp, m), axis=(-2,), keepdims=True)


def off_diagonal(xp: Any, m: Any) -> Any:
    return m * (1 - eye_like(xp, m))


def gaps(xp: Any, values: Any) -> Any:
    """``values[j] - values[i]``, and 1 on the diagonal; ``values`` is a row for each matrix."""
    column = xp.matrix_transpose(values)
    n = values.shape[-1]
    return values - column + np.eye(n, dtype=dtype_of(values))


# --- eigenvalues ---


class Eigh(Algorithm):
    """Eigenvectors of symmetric matrices, and as a last column the eigenvalues, rising."""

    forward = lambda xp, a, *, upper: xp.eigh_parts(a, upper)
    vjp_a = lambda xp, g, out: eigh_cotangent(xp, g, out)
    jvp_a = lambda xp, t, out: eigh_tangent(xp, t, out)
    samples = [((POSITIVE,), {"upper": False}), (([POSITIVE, POSITIVE],), {"upper": True})]


def eig_split(xp: Any, out: Any) -> tuple[Any, Any]:
    """The vectors, and the values as a row."""
    return out[..., :-1], xp.matrix_transpose(out[..., -1:])


def eigh_cotangent(xp: Any, g: Any, out: Any) -> Any:
    (v, w), (gv, gw) = eig_split(xp, out), eig_split(xp, g)
    turn = skew(xp, xp.matmul(adjoint(xp, v), gv)) / 2  # how it turns v; the rest would change its lengths
    inner = off_diagonal(xp, turn / gaps(xp, xp.real(w))) + xp.real(gw) * eye_like(xp, gw)
    return xp.matmul(v, xp.matmul(inner, adjoint(xp, v)))


def eigh_tangent(xp: Any, t: Any, out: Any) -> Any:
    v, w = eig_split(xp, out)
    p = xp.matmul(adjoint(xp, v), xp.matmul(t, v))
    moved = xp.matmul(v, off_diagonal(xp, p / gaps(xp, xp.real(w))))
    values = xp.matrix_transpose(xp.real(diagonal_of(xp, p)))
    return xp.concat([moved, xp.astype(values, dtype_of(out))], axis=-1)


class Eig(Algorithm):
    """Eigenvectors of any matrices, of length 1, and as a last column the eigenvalues: complex."""

    forward = lambda xp, a: xp.eig_parts(a)
    vjp_a = lambda xp, g, a, out: eig_cotangent(xp, g, a, out)
    jvp_a = lambda xp, t, out: eig_tangent(xp, t, out)
    samples = [((WELL,), {})]


def eig_cotangent(xp: Any, g: Any, a: Any, out: Any) -> Any:
    (v, w), (gv, gw) = eig_split(xp, out), eig_split(xp, g)
    vh = adjoint(xp, v)
    inner = xp.matmul(vh, gv)
    inner = inner - xp.matmul(vh, v) * xp.real(diagonal_of(xp, inner))
    inner = off_diagonal(xp, inner / xp.conj(gaps(xp, w))) + gw * eye_like(xp, gw)
    found = xp.matmul(_solve(vh, inner), vh)
    return found if dtype_of(a).kind == "c" else xp.real(found)


def eig_tangent(xp: Any, t: Any, out: Any) -> Any:
    v, w = eig_split(xp, out)
    p = _solve(v, xp.matmul(xp.astype(t, dtype_of(out)), v))
    moved = xp.matmul(v, off_diagonal(xp, p / gaps(xp, w)))
    moved = moved - v * xp.real(diagonal_of(xp, xp.matmul(adjoint(xp, v), moved)))
    return xp.concat([moved, xp.matrix_transpose(diagonal_of(xp, p))], axis=-1)


_eigh, _eig = Eigh(), Eig()
_eigh_part, _eig_part = GetItem("LinalgEighBackward0"), GetItem("LinalgEigBackward0")
_EigH, _EIG = (
    return_type("linalg_eigh", "eigenvalues", "eigenvectors"),
    return_type("linalg_eig", "eigenvalues", "eigenvectors"),
)


def _decomposed(name: str, prim: Any, a: Tensor, **params: Any) -> Tensor:
    try:
        return prim(a, **params)  # type: ignore[no-any-return]
    except np.linalg.LinAlgError as e:
        what = "The algorithm failed to converge because the input matrix is ill-conditioned or has too many repeated eigenvalues."
        raise singular(name, what, e) from None


@whole("LinalgEighBackward0")
@takes_out(EXACT)
def eigh(A: Tensor, UPLO: str = "L", *, out: Any = None) -> Any:
    """(eigenvalues, eigenvectors) of symmetric or Hermitian matrices, of which one triangle is read.

    Source: ``torch.linalg.eigh``.
    """
    square("linalg.eigh", A)
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    found = _decomposed("linalg.eigh", _eigh, A, upper=UPLO.upper() == "U")
    values = _eigh_part(found, key=(..., -1))
    return _EigH(values.real if values._dtype.kind == "c" else values, _eigh_part(found, key=(..., slice(0, -1))))


@whole("LinalgEighBackward0")
@takes_out(EXACT)
def eigvalsh(A: Tensor, UPLO: str = "L", *, out: Any = None) -> Tensor:
    """The eigenvalues of symmetric or Hermitian matrices, rising.

    Source: ``torch.linalg.eigvalsh``.
    """
    return eigh(A, UPLO).eigenvalues  # type: ignore[no-any-return]


@takes_out(
    "torch.linalg.eig: Expected eigenvalues to be safely castable from {result} dtype, but got eigenvalues with dtype {out}"
)
def eig(A: Tensor, *, out: Any = None) -> Any:
    """(eigenvalues, eigenvectors) of square matrices: complex.

    Source: ``torch.linalg.eig``.
    """
    found = _decomposed("linalg.eig", _eig, square("linalg.eig", A))
    return _EIG(_eig_part(found, key=(..., -1)), _eig_part(found, key=(..., slice(0, -1))))


@takes_out(
    "torch.linalg.eigvals: Expected eigenvalues to be safely castable from {result} dtype, but got eigenvalues with dtype {out}"
)
def eigvals(A: Tensor, *, out: Any = None) -> Tensor:
    """The eigenvalues of square matrices: complex.

    Source: ``torch.linalg.eigvals``.
    """
    return eig(A).eigenvalues  # type: ignore[no-any-return]


# --- singular values ---


class Svd(Algorithm):
    """Singular values and vectors: Uᵀ, the values as a column, and Vᴴ side by side."""

    forward = lambda xp, a: xp.svd_parts(a)
    vjp_a = lambda xp, g, a, out: svd_cotangent(xp, g, out, a.shape)
    jvp_a = lambda xp, t, out: svd_tangent(xp, t, out, t.shape)
    samples = [((TALL,), {}), (([WELL, POSITIVE],), {}), (([[2.0, 0.5, 0.1], [0.3, 1.5, -0.2]],), {})]


def svd_split(xp: Any, out: Any, shape: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """U, the values as a row, and Vᴴ."""
    m = shape[-2]
    return xp.matrix_transpose(out[..., :m]), xp.matrix_transpose(out[..., m : m + 1]), out[..., m + 1 :]


def skew(xp: Any, m: Any) -> Any:
    return m - adjoint(xp, m)


def svd_cotangent(xp: Any, g: Any, out: Any, shape: tuple[int, ...]) -> Any:
    (u, s, vh), (gu, gs, gvh) = svd_split(xp, out, shape), svd_split(xp, g, shape)
    s, gs = xp.real(s), xp.real(gs)
    m, n = shape[-2:]
    k = min(m, n)
    column = xp.matrix_transpose(s)
    of_u = skew(xp, xp.matmul(adjoint(xp, u), gu))
    of_v = skew(xp, xp.matmul(vh, adjoint(xp, gvh)))
    inner = off_diagonal(xp, (of_u * s + column * of_v) / gaps(xp, s * s)) + gs * np.eye(k, dtype=dtype_of(s))
    if dtype_of(out).kind == "c":
        inner = inner + diagonal_matrix(xp, of_u) / (2 * s)
    found = xp.matmul(u, inner)
    if m > k:
        scaled = gu / s
        found = found + scaled - xp.matmul(u, xp.matmul(adjoint(xp, u), scaled))
    found = xp.matmul(found, vh)
    if n > k:
        scaled = gvh / column
        rest = scaled - xp.matmul(xp.matmul(scaled, adjoint(xp, vh)), vh)
        found = found + xp.matmul(u, rest)
    return found


def svd_tangent(xp: Any, t: Any, out: Any, shape: tuple[int, ...]) -> Any:
    u, s, vh = svd_split(xp, out, shape)
    s = xp.real(s)
    m, n = shape[-2:]
    k = min(m, n)
    column, v, uh = xp.matrix_transpose(s), adjoint(xp, vh), adjoint(xp, u)
    p = xp.matmul(uh, xp.matmul(t, v))
    values = xp.real(diagonal_of(xp, p))
    e = gaps(xp, s * s)
    x, y = off_diagonal(xp, p), adjoint(xp, off_diagonal(xp, p))
    turn_u = off_diagonal(xp, (x * s + column * y) / e)
    turn_v = off_diagonal(xp, (column * x + y * s) / e)
    if dtype_of(out).kind == "c":
        phase = (diagonal_matrix(xp, p) - adjoint(xp, diagonal_matrix(xp, p))) / (4 * s)
        turn_u, turn_v = turn_u + phase, turn_v - phase
    du, dvh = xp.matmul(u, turn_u), xp.matmul(adjoint(xp, turn_v), vh)
    if m > k:
        rest = xp.matmul(t, v)
        du = du + (rest - xp.matmul(u, xp.matmul(uh, rest))) / s
    if n > k:
        rest = xp.matmul(uh, t)
        dvh = dvh + (rest - xp.matmul(xp.matmul(rest, v), vh)) / column
    middle = xp.astype(xp.matrix_transpose(values), dtype_of(out))
    return xp.concat([xp.matrix_transpose(du), middle, dvh], axis=-1)


class Svdvals(Algorithm):
    """The singular values alone, which have slopes where the vectors have none."""

    forward = lambda xp, a: xp.svdvals(a)
    vjp_a = lambda xp, g, a: xp.matmul(*scaled_vectors(xp, a, g))
    jvp_a = lambda xp, t, a: along_vectors(xp, t, a)
    samples = [((TALL,), {}), (([WELL, POSITIVE],), {})]


def scaled_vectors(xp: Any, a: Any, g: Any) -> tuple[Any, Any]:
    """``U diag(g)`` and Vᴴ."""
    u, _, vh = svd_split(xp, _svd(a), a.shape)
    return u * xp.astype(xp.expand_dims(g, axis=-2), dtype_of(a)), vh


def along_vectors(xp: Any, t: Any, a: Any) -> Any:
    """The diagonal of ``Uᴴ t V``."""
    u, _, vh = svd_split(xp, _svd(a), a.shape)
    return xp.real(xp.sum(xp.conj(u) * xp.matmul(t, adjoint(xp, vh)), axis=-2))


class SvdComplement(Algorithm):
    """Singular vectors beyond the values: further columns of U, or rows of Vᴴ."""

    differentiable = False
    forward = lambda xp, a: xp.svd_complement(a)
    samples = [((TALL,), {})]


_svd, _svdvals, _complement = Svd(), Svdvals("LinalgSvdBackward0"), SvdComplement()
Svdvals()
_svd_part = GetItem("LinalgSvdBackward0")
_SVD, _OldSVD = return_type("linalg_svd", "U", "S", "Vh"), return_type("svd", "U", "S", "V")


@whole("LinalgSvdBackward0")
@takes_out(EXACT)
def svd(A: Tensor, full_matrices: bool = True, *, driver: Any = None, out: Any = None) -> Any:
    """(U, S, Vh) with ``A = U diag(S) Vh``: singular vectors and values, the largest first.

    With ``full_matrices`` U and Vh are square; the vectors beyond the values have no derivative.

    Source: ``torch.linalg.svd``.
    """
    numbers("linalg.svd", A)
    m, n = A._shape[-2:]
    found = _decomposed("linalg.svd", _svd, A)
    u = _svd_part(found, key=(..., slice(0, m))).mT
    s = _svd_part(found, key=(..., m))
    vh = _svd_part(found, key=(..., slice(m + 1, None)))
    if full_matrices and m != n:
        rest = _complement(A.detach())
        u, vh = (public["cat"]([u, rest], -1), vh) if m > n else (u, public["cat"]([vh, rest], -2))
    return _SVD(u, s.real if s._dtype.kind == "c" else s, vh)


@whole("LinalgSvdBackward0")
@takes_out(EXACT)
def svdvals(A: Tensor, *, driver: Any = None, out: Any = None) -> Tensor:
    """The singular values, the largest first.

    Source: ``torch.linalg.svdvals``.
    """
    return _decomposed("linalg.svd", _svdvals, numbers("linalg.svd", A))


@takes_out(EXACT)
def old_svd(input: Tensor, some: bool = True, compute_uv: bool = True, *, out: Any = None) -> Any:
    """:func:`torch.linalg.svd` as it was called before: (U, S, V).

    Source: ``torch.svd``.
    """
    u, s, vh = svd(input, not some)
    if not compute_uv:
        m, n = input._shape[-2:]
        lead = input._shape[:-2]
        u, v = (wrap(np.zeros((*lead, k, k), input._dtype)) for k in (m, n))
        return _OldSVD(u, s, v)
    return _OldSVD(u, s, vh.mH)


export("svd", old_svd)
