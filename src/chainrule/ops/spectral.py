"""Decompositions: QR, eigenvalues, singular values; the exponential, powers, inverses of any matrix, and norms.

A decomposition has several results, but is one array: its parts lie side by side, and are cut out by name.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays.namespace import dtype_of, is_numpy
from ..primitive import Primitive
from ..tensor import Tensor, wrap
from .extremes import return_type
from .index import GetItem
from .kinds import export, public
from .linalg import adjoint
from .pieces import broadcast_tensors
from .solvers import (
    POSITIVE,
    WELL,
    Algorithm,
    LinAlgError,
    _solve,
    eye_like,
    half_diagonal,
    inv,
    numbers,
    singular,
    solve,
    square,
    triangular,
    upper_part,
)  # fmt: skip

matmul = public["matmul"]
TALL: Any = [[2.0, 0.5], [0.1, 1.5], [0.2, -0.3]]


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


# --- QR --------------------------------------------------------------------------------------------------------------


class Qr(Algorithm):
    """Q and R of matrices with as many rows as columns or more: Qᵀ and R side by side."""

    forward = lambda xp, a: xp.qr_parts(a)
    vjp_a = lambda xp, g, out: qr_cotangent(xp, g, out)
    jvp_a = lambda xp, t, out: qr_tangent(xp, t, out)
    samples = [((TALL,), {}), (([WELL, POSITIVE],), {})]


def qr_split(xp: Any, out: Any) -> tuple[Any, Any]:
    m = out.shape[-1] - out.shape[-2]
    return xp.matrix_transpose(out[..., :m]), out[..., m:]


def over_r(xp: Any, m: Any, r: Any) -> Any:
    """``m R⁻¹``."""
    return adjoint(xp, triangular(adjoint(xp, r), adjoint(xp, m), False))


def qr_cotangent(xp: Any, g: Any, out: Any) -> Any:
    (q, r), (gq, gr) = qr_split(xp, out), qr_split(xp, g)
    m = upper_part(xp, xp.matmul(gr, adjoint(xp, r)) - xp.matmul(adjoint(xp, q), gq))
    inner = m + adjoint(xp, m) - xp.real(diagonal_matrix(xp, m))
    full = gq + xp.matmul(q, inner)
    return adjoint(xp, triangular(r, adjoint(xp, full), True))


def diagonal_matrix(xp: Any, m: Any) -> Any:
    return m * eye_like(xp, m)


def qr_tangent(xp: Any, t: Any, out: Any) -> Any:
    q, r = qr_split(xp, out)
    c = over_r(xp, t, r)
    x = xp.matmul(adjoint(xp, q), c)
    s = adjoint(xp, half_diagonal(xp, x + adjoint(xp, x)))
    return xp.concat([xp.matrix_transpose(c - xp.matmul(q, s)), xp.matmul(s, r)], axis=-1)


_qr: Primitive = Qr()
_qr_part = GetItem("LinalgQrBackward0")
_QR, _OldQR = return_type("linalg_qr", "Q", "R"), return_type("qr", "Q", "R")


def qr(A: Tensor, mode: str = "reduced", *, out: Any = None) -> Any:
    """(Q, R) with ``A = Q R``: orthonormal columns, and an upper triangle.

    ``mode`` is "reduced", "complete" (a square Q) or "r" (no Q).

    Source: ``torch.linalg.qr``.
    """
    numbers("linalg.qr", A)
    m, n = A._shape[-2:]
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    k = min(m, n)
    if mode == "complete" and m > n:
        q, r = _numeric(np.linalg.qr, A, mode="complete")
        return _QR(q, r)
    head = _qr(A[..., :k] if n > k else A)
    q, r = _qr_part(head, key=(..., slice(0, m))).mT, _qr_part(head, key=(..., slice(m, None)))
    if n > k:
        r = public["cat"]([r, matmul(q.mH, A[..., k:])], -1)
    return _QR(wrap(np.zeros(0, A._dtype)) if mode == "r" else q, r)


def _numeric(f: Any, *args: Any, **kwargs: Any) -> Any:
    found = f(*[a.detach().numpy() if isinstance(a, Tensor) else a for a in args], **kwargs)
    return tuple([wrap(np.asarray(x)) for x in found]) if isinstance(found, tuple) else wrap(np.asarray(found))


def old_qr(input: Tensor, some: bool = True, *, out: Any = None) -> Any:
    """:func:`torch.linalg.qr` as it was called before.

    Source: ``torch.qr``.
    """
    return _OldQR(*qr(input, "reduced" if some else "complete"))


# --- eigenvalues -----------------------------------------------------------------------------------------------------


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
    inner = off_diagonal(xp, xp.matmul(adjoint(xp, v), gv) / gaps(xp, xp.real(w))) + xp.real(gw) * eye_like(xp, gw)
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


def eigvalsh(A: Tensor, UPLO: str = "L", *, out: Any = None) -> Tensor:
    """The eigenvalues of symmetric or Hermitian matrices, rising.

    Source: ``torch.linalg.eigvalsh``.
    """
    return eigh(A, UPLO).eigenvalues  # type: ignore[no-any-return]


def eig(A: Tensor, *, out: Any = None) -> Any:
    """(eigenvalues, eigenvectors) of square matrices: complex.

    Source: ``torch.linalg.eig``.
    """
    found = _decomposed("linalg.eig", _eig, square("linalg.eig", A))
    return _EIG(_eig_part(found, key=(..., -1)), _eig_part(found, key=(..., slice(0, -1))))


def eigvals(A: Tensor, *, out: Any = None) -> Tensor:
    """The eigenvalues of square matrices: complex.

    Source: ``torch.linalg.eigvals``.
    """
    return eig(A).eigenvalues  # type: ignore[no-any-return]


# --- singular values -------------------------------------------------------------------------------------------------


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


class SvdComplement(Algorithm):
    """Singular vectors beyond the values: further columns of U, or rows of Vᴴ."""

    differentiable = False
    forward = lambda xp, a: xp.svd_complement(a)
    samples = [((TALL,), {})]


_svd, _complement = Svd(), SvdComplement()
_svd_part = GetItem("LinalgSvdBackward0")
_SVD, _OldSVD = return_type("linalg_svd", "U", "S", "Vh"), return_type("svd", "U", "S", "V")


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


def svdvals(A: Tensor, *, driver: Any = None, out: Any = None) -> Tensor:
    """The singular values, the largest first.

    Source: ``torch.linalg.svdvals``.
    """
    return svd(A, False).S  # type: ignore[no-any-return]


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


# --- inverses of any matrix, exponentials, powers -----------------------------------------------------------------


class Pinv(Algorithm):
    """The pseudo-inverse; its rank is taken not to change."""

    forward = lambda xp, a, *, atol, rtol, hermitian: xp.pinv(a, atol, rtol, hermitian)
    vjp_a = lambda xp, g, a, out: pinv_cotangent(xp, g, a, out)
    jvp_a = lambda xp, t, a, out: pinv_tangent(xp, t, a, out)
    samples = [
        ((TALL,), {"atol": None, "rtol": None, "hermitian": False}),
        ((WELL,), {"atol": 0.1, "rtol": None, "hermitian": False}),
    ]


def pinv_tangent(xp: Any, t: Any, a: Any, p: Any) -> Any:
    ph, th = adjoint(xp, p), adjoint(xp, t)
    one = xp.matmul(xp.matmul(p, ph), th - xp.matmul(th, xp.matmul(a, p)))
    two = xp.matmul(th - xp.matmul(xp.matmul(p, a), th), xp.matmul(ph, p))
    return one + two - xp.matmul(p, xp.matmul(t, p))


def pinv_cotangent(xp: Any, g: Any, a: Any, p: Any) -> Any:
    ph, gh = adjoint(xp, p), adjoint(xp, g)
    one = xp.matmul(gh, xp.matmul(p, ph))
    two = xp.matmul(xp.matmul(ph, p), gh)
    one = one - xp.matmul(xp.matmul(a, p), one)
    two = two - xp.matmul(two, xp.matmul(p, a))
    return one + two - xp.matmul(ph, xp.matmul(g, ph))


class MatrixExp(Algorithm):
    """The exponential of matrices; its derivative is a block of the exponential of a matrix twice as large."""

    forward = lambda xp, a: xp.expm(a)
    vjp_a = lambda xp, g, a: exp_along(xp, adjoint(xp, a), g)
    jvp_a = lambda xp, t, a: exp_along(xp, a, t)
    samples = [((WELL,), {}), (([WELL, POSITIVE],), {})]


def exp_along(xp: Any, a: Any, t: Any) -> Any:
    n = a.shape[-1]
    block = xp.concat([xp.concat([a, t], axis=-1), xp.concat([xp.zeros_like(a), a], axis=-1)], axis=-2)
    return _expm(block)[..., :n, n:]


class MatrixRank(Algorithm):
    """How many singular values count."""

    differentiable = False
    forward = lambda xp, a, *, atol, rtol, hermitian: xp.matrix_rank(a, atol, rtol, hermitian)
    samples = [(([[1.0, 0.0], [0.0, 1.0]],), {"atol": None, "rtol": None, "hermitian": False})]


_rank = MatrixRank()
_pinv: Primitive = Pinv("LinalgPinvBackward0")
_expm: Primitive = MatrixExp("LinalgMatrixExpBackward0")
Pinv(), MatrixExp()


def pinv(
    A: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None, out: Any = None
) -> Tensor:
    """The pseudo-inverse; singular values up to ``max(atol, rtol * largest)`` count as 0.

    Source: ``torch.linalg.pinv``.
    """
    numbers("linalg.pinv", A)
    if hermitian:
        square("linalg.pinv", A)
    if not A.numel():
        return A.mT.clone()
    rtol = rcond if rtol is None else rtol
    limits = [None if t is None else _number(t) for t in (atol, rtol)]
    return _pinv(A, atol=limits[0], rtol=limits[1], hermitian=hermitian)  # type: ignore[no-any-return]


def _number(x: Any) -> Any:
    return np.asarray(0.0 if x is None else x.detach().numpy() if isinstance(x, Tensor) else x)


def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """The pseudo-inverse, as it was called before.

    Source: ``torch.pinverse``.
    """
    return pinv(input, rcond=rcond)


_Lstsq = return_type("linalg_lstsq", "solution", "residuals", "rank", "singular_values")


def lstsq(A: Tensor, B: Tensor, rcond: Any = None, *, driver: str | None = None) -> Any:
    """(solution, residuals, rank, singular values) of ``A X = B`` by least squares.

    Source: ``torch.linalg.lstsq``.
    """
    numbers("linalg.lstsq", A)
    vector = A.ndim - 1 == B.ndim and A._shape[:-1] == B._shape
    b = B.unsqueeze(-1) if vector else B
    solution = matmul(pinv(A, rcond=rcond), b)
    m, n = A._shape[-2:]
    residuals = wrap(np.zeros(0, A._dtype.type(0).real.dtype))
    plain = is_numpy(A._a) and A._rank == 2  # inside a transform the rank is taken to be full
    if m > n and driver != "gelsy" and (not plain or bool((matrix_rank(A) == n).all())):
        residuals = ((matmul(A, solution) - b).abs() ** 2).sum(-2)
    empty = wrap(np.zeros(0, np.int64))
    rank = empty if driver == "gels" else matrix_rank(A)
    values = svdvals(A.detach()) if driver in ("gelsd", "gelss") else wrap(np.zeros(0, residuals._dtype))
    return _Lstsq(solution.squeeze(-1) if vector else solution, residuals, rank, values)


def matrix_rank(
    A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None, out: Any = None
) -> Tensor:
    """How many singular values are larger than ``max(atol, rtol * largest)``.

    Source: ``torch.linalg.matrix_rank``.
    """
    atol = tol if atol is None else atol
    limits = [None if t is None else _number(t) for t in (atol, rtol)]
    found: Tensor = _rank(
        numbers("linalg.matrix_rank", A).detach(), atol=limits[0], rtol=limits[1], hermitian=hermitian
    )
    return found


def matrix_exp(A: Tensor) -> Tensor:
    """The exponential of square matrices.

    Source: ``torch.linalg.matrix_exp``.
    """
    return _expm(square("linalg.matrix_exp", A)) if A.numel() else A.clone()


def matrix_power(A: Tensor, n: int, *, out: Tensor | None = None) -> Tensor:
    """The n-th power of square matrices; of the inverse if n is negative.

    Source: ``torch.linalg.matrix_power``.
    """
    square("linalg.matrix_power", A)
    if n == 0:
        return wrap(np.broadcast_to(np.eye(A._shape[-1], dtype=A._dtype), A._shape).copy())
    base, result = (inv(A), None) if n < 0 else (A, None)
    n = abs(n)
    while n:
        if n & 1:
            result = base if result is None else matmul(result, base)
        n >>= 1
        base = matmul(base, base) if n else base
    return result.clone() if result is A else result  # type: ignore[return-value]


# --- norms -----------------------------------------------------------------------------------------------------------


def vector_norm(
    x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None
) -> Tensor:
    """``sum(|x|**ord) ** (1 / ord)`` over ``dim``, or what that tends to for an ``ord`` of 0 or ±inf.

    Source: ``torch.linalg.vector_norm``.
    """
    numbers("linalg.vector_norm", x)
    y = x if dtype is None else x.to(dtype)
    return y.norm(ord, dim if dim is not None else list(range(x.ndim)), keepdim)


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


# --- others ----------------------------------------------------------------------------------------------------------


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
    return public["stack"](rows, -1).cumprod(-1)  # type: ignore[no-any-return]


def old_vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers N - 1 to 0 of a vector, as a matrix; rising if ``increasing``.

    Source: ``torch.vander``.
    """
    found = vander(x, N)
    return found if increasing else found.flip(-1)


def tensorinv(A: Tensor, ind: int = 2, *, out: Tensor | None = None) -> Tensor:
    """The inverse of ``tensordot(A, ., ind)``.

    Source: ``torch.linalg.tensorinv``.
    """
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    front, back = A._shape[:ind], A._shape[ind:]
    if math.prod(front) != math.prod(back):
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got "
            + f"{math.prod(back)} != {math.prod(front)}"
        )
    return inv(A.reshape(math.prod(front), -1)).reshape(*back, *front)


def tensorsolve(A: Tensor, B: Tensor, dims: Any = None, *, out: Tensor | None = None) -> Tensor:
    """The solution X of ``tensordot(A, X, X.ndim) = B``.

    Source: ``torch.linalg.tensorsolve``.
    """
    a = A if dims is None else A.movedim(tuple(dims), tuple(range(A.ndim - len(dims), A.ndim)))
    shape = a._shape[B.ndim :]
    n = math.prod(shape)
    return solve(a.reshape(-1, n), B.reshape(-1)).reshape(shape)


def householder_product(A: Tensor, tau: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The first columns of a product of reflections ``I - tau v vᴴ``, the v below the diagonal of ``A``.

    Source: ``torch.linalg.householder_product``.
    """
    m, n = A._shape[-2:]
    if m < n:
        raise RuntimeError(
            "torch.linalg.householder_product: input.shape[-2] must be greater than or equal to input.shape[-1]"
        )
    q = wrap(np.eye(m, n, dtype=A._dtype)).expand(*A._shape[:-2], m, n)
    vs = A.tril(-1) + wrap(np.eye(m, n, dtype=A._dtype))
    for i in reversed(range(tau._shape[-1])):
        v = vs[..., i : i + 1]
        q = q - tau[..., i, None, None] * matmul(v, matmul(v.mH, q))
    return q


export("qr", old_qr)
export("svd", old_svd)
export("pinverse", pinverse)
export("matrix_exp", matrix_exp)
export("matrix_power", matrix_power)
export("cross", old_cross)
export("vander", old_vander, method=False)
export("orgqr", householder_product)
