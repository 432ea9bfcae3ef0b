"""Linear systems: solving, inverting, determinants; triangular matrices, Cholesky's and the LU factors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import errors
from ..arrays import namespace as ns
from ..errors import explained
from ..primitive import Primitive, align, bind, promote, table
from ..tensor import Tensor, wrap
from .diagonals import tril  # noqa: F401  whose primitives the rules name
from .extremes import return_type
from .kinds import export, export_all, public
from .linalg import adjoint
from .ordering import Position

matmul, where = public["matmul"], public["where"]
WELL: Any = [[2.0, 0.5, 0.3], [0.1, 1.5, -0.4], [0.2, -0.3, 1.8]]
LOWER: Any = [[1.5, 0.0, 0.0], [0.4, 2.0, 0.0], [-0.3, 0.6, 1.2]]
POSITIVE: Any = [[2.0, 0.5, 0.3], [0.5, 1.5, -0.4], [0.3, -0.4, 1.8]]


class LinAlgError(RuntimeError):
    """A matrix that has no such decomposition or inverse.  Source: ``torch.linalg.LinAlgError``."""


class Algorithm(Primitive):
    """Computed by LAPACK; symbols cannot flow through it."""

    formula = False

    def batch(self, size: int, arrays: Any, batched: Any, params: dict[str, Any]) -> Any:
        return bind(self, tuple(align(arrays, batched)) if len(arrays) > 1 else arrays, params)


# --- triangles -------------------------------------------------------------------------------------------------------


def lower(xp: Any, m: Any, k: int = 0) -> Any:
    return table["Tril"](m, diagonal=k)


def upper_part(xp: Any, m: Any, k: int = 0) -> Any:
    return table["Triu"](m, diagonal=k)


def half_diagonal(xp: Any, m: Any) -> Any:
    """The lower triangle with half of the diagonal."""
    return (lower(xp, m) + lower(xp, m, -1)) / 2


# --- solving ---------------------------------------------------------------------------------------------------------


class Solve(Algorithm):
    """The solution x of ``a x = b``, b of matrices."""

    forward = lambda xp, a, b: xp.linalg.solve(a, b)
    vjp_a = lambda xp, g, a, out: -xp.matmul(_solve(adjoint(xp, a), g), adjoint(xp, out))
    vjp_b = lambda xp, g, a: _solve(adjoint(xp, a), g)
    jvp_a = lambda xp, t, a, out: -_solve(a, xp.matmul(t, out))
    jvp_b = lambda xp, t, a: _solve(a, t)
    broadcasts = True
    samples = [((WELL, (3, 2)), {}), (([WELL, POSITIVE], (2, 3, 1)), {}), ((WELL, (2, 3, 2)), {})]


class Inverse(Algorithm):
    """The inverse of matrices."""

    forward = lambda xp, a: xp.linalg.inv(a)
    vjp_a = lambda xp, g, out: -xp.matmul(adjoint(xp, out), xp.matmul(g, adjoint(xp, out)))
    jvp_a = lambda xp, t, out: -xp.matmul(out, xp.matmul(t, out))
    samples = [((WELL,), {}), (([WELL, POSITIVE],), {})]


class SolveTriangular(Algorithm):
    """The solution of ``a x = b`` with the lower (or upper) triangle of a; ``unit`` takes its diagonal as 1."""

    forward = lambda xp, a, b, *, upper, unit, masked: xp.triangular(a, b, upper=upper, unit=unit)
    vjp_a = lambda xp, g, a, out, upper, unit, masked: triangle(
        xp, -xp.matmul(triangular(adjoint(xp, a), g, not upper, unit, masked), adjoint(xp, out)), upper, unit, masked
    )
    vjp_b = lambda xp, g, a, upper, unit, masked: triangular(adjoint(xp, a), g, not upper, unit, masked)
    jvp_a = lambda xp, t, a, out, upper, unit, masked: (
        -triangular(a, xp.matmul(triangle(xp, t, upper, unit, masked), out), upper, unit, masked)
    )
    jvp_b = lambda xp, t, a, upper, unit, masked: triangular(a, t, upper, unit, masked)
    broadcasts = True
    samples = [
        ((LOWER, (3, 2)), {"upper": False, "unit": False, "masked": True}),
        ((LOWER, (3, 1)), {"upper": True, "unit": False, "masked": True}),
        ((LOWER, (2, 3, 2)), {"upper": False, "unit": True, "masked": True}),
    ]  # fmt: skip


def triangle(xp: Any, m: Any, upper: bool, unit: bool, masked: bool) -> Any:
    """The part of ``m`` that counts: all of it, if what is there is taken to be a triangle already."""
    if not masked:
        return m
    return upper_part(xp, m, int(unit)) if upper else lower(xp, m, -int(unit))


_solve: Primitive = Solve("LinalgSolveExBackward0")
_inverse: Primitive = Inverse("LinalgInvExBackward0")
_triangular: Primitive = SolveTriangular("LinalgSolveTriangularBackward0")
Solve(), Inverse(), SolveTriangular()


def triangular(a: Any, b: Any, upper: bool, unit: bool = False, masked: bool = True) -> Any:
    """:class:`SolveTriangular` on whatever arrays flow."""
    return _triangular(a, b, upper=upper, unit=unit, masked=masked)


def square(name: str, a: Tensor) -> Tensor:
    """The input, if it is of square matrices of numbers; PyTorch's error if not."""
    if a.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    if a._shape[-1] != a._shape[-2]:
        raise explained(RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {a._shape[-2]} by {a._shape[-1]} matrices"
            "\nFor equations that are too many or too few use torch.linalg.lstsq or torch.linalg.pinv."
        ))  # fmt: skip
    return numbers(name, a)


def numbers(name: str, a: Tensor) -> Tensor:
    if a._dtype.kind not in "fc" or a._dtype.itemsize < 4:
        kind = errors.scalar_type(a._dtype)
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {kind}")
    return a


def singular(name: str, what: str, e: Exception) -> LinAlgError:
    return explained(LinAlgError(
        f"{name}: {what}\nNumPy's word for it: {e}. Check the matrix; torch.linalg.lstsq and pinv also take singular ones."
    ))  # fmt: skip


def solve(A: Tensor, B: Tensor, *, left: bool = True, out: Tensor | None = None) -> Tensor:
    """The solution X of ``A X = B`` (``X A = B`` if not ``left``); B is of vectors or of matrices.

    Source: ``torch.linalg.solve``.

    >>> import chainrule as torch
    >>> torch.linalg.solve(torch.tensor([[2.0, 0.0], [0.0, 4.0]]), torch.tensor([2.0, 2.0]))
    tensor([1.0000, 0.5000])
    """
    square("linalg.solve", A)
    vector = B.ndim == 1 or (A.ndim - 1 == B.ndim and B._shape == A._shape[:-1])
    a, b = promote((A, B.unsqueeze(-1) if vector else B))
    if not left:
        return solve(a.mT, b.mT).mT
    if b._shape[-2] != a._shape[-1]:
        raise RuntimeError(
            f"linalg.solve: Incompatible shapes of A and B for the equation AX = B ({a._shape[-2]}x{a._shape[-1]} and "
            f"{b._shape[-2]}x{b._shape[-1]})"
        )
    lead = np.broadcast_shapes(a._shape[:-2], b._shape[:-2])
    a, b = (t if t._shape[:-2] == lead else t.expand(*lead, *t._shape[-2:]) for t in (a, b))
    try:
        x: Tensor = _solve(a, b)
    except np.linalg.LinAlgError as e:
        raise singular("linalg.solve", "The solver failed because the input matrix is singular.", e) from None
    return x.squeeze(-1) if vector else x


def inv(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inverse of square matrices.

    Source: ``torch.linalg.inv``.
    """
    try:
        return _inverse(square("linalg.inv", A))  # type: ignore[no-any-return]
    except np.linalg.LinAlgError as e:
        what = (
            "The diagonal element is zero, the inversion could not be completed because the input matrix is singular."
        )
        raise singular("linalg.inv", what, e) from None


_InvEx, _SolveEx = return_type("linalg_inv_ex", "inverse", "info"), return_type("linalg_solve_ex", "result", "info")


def _fine(x: Tensor) -> Tensor:
    return wrap(np.zeros(x._shape[:-2], np.int32))


def inv_ex(A: Tensor, *, check_errors: bool = False, out: Any = None) -> Any:
    """(inverse, info), an info of 0 for success.

    Source: ``torch.linalg.inv_ex``.
    """
    return _InvEx(inv(A), _fine(A))


def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False, out: Any = None) -> Any:
    """(solution, info), an info of 0 for success.

    Source: ``torch.linalg.solve_ex``.
    """
    return _SolveEx(solve(A, B, left=left), _fine(A))


def solve_triangular(
    input: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False, out: Tensor | None = None
) -> Tensor:
    """The solution of ``A X = B`` (``X A = B`` if not ``left``) with the upper or lower triangle of ``input``.

    Source: ``torch.linalg.solve_triangular``.
    """
    square("linalg.solve_triangular", input)
    a, b = promote((input, B))
    if not left:
        return solve_triangular(a.mT, b.mT, upper=not upper, unitriangular=unitriangular).mT
    lead = np.broadcast_shapes(a._shape[:-2], b._shape[:-2])
    a, b = (t if t._shape[:-2] == lead else t.expand(*lead, *t._shape[-2:]) for t in (a, b))
    return triangular(a, b, upper, unitriangular)  # type: ignore[no-any-return]


_Triangular = return_type("triangular_solve", "solution", "cloned_coefficient")


def triangular_solve(
    input: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Any:
    """(solution, copy of ``A``) of a triangular system with right side ``input``.

    Source: ``torch.triangular_solve``.
    """
    a = A.mT if transpose else A
    return _Triangular(solve_triangular(a, input, upper=upper != transpose, unitriangular=unitriangular), A.clone())


# --- determinants ----------------------------------------------------------------------------------------------------


class Det(Algorithm):
    """The determinant of matrices; singular ones have derivatives too."""

    forward = lambda xp, a: xp.linalg.det(a)
    vjp_a = lambda xp, g, a: each_matrix(xp, g) * adjoint(xp, _adjugate(a))
    jvp_a = lambda xp, t, a: xp.sum(xp.matmul(_adjugate(a), t) * eye_like(xp, a), axis=(-2, -1))
    samples = [((WELL,), {}), (([WELL, POSITIVE],), {})]


def each_matrix(xp: Any, x: Any) -> Any:
    """A number for each matrix, as something to multiply matrices by."""
    return xp.expand_dims(xp.expand_dims(x, axis=-1), axis=-1)


class Adjugate(Algorithm):
    """The matrix of cofactors, transposed: the inverse times the determinant, where there is an inverse."""

    forward = lambda xp, a: xp.adjugate(a)
    vjp_a = lambda xp, g, a: adjoint(xp, adjugate_along(xp, a, adjoint(xp, g)))
    jvp_a = lambda xp, t, a: adjugate_along(xp, a, t)
    samples = [((WELL,), {}), (([POSITIVE, WELL],), {})]


def adjugate_along(xp: Any, a: Any, t: Any) -> Any:
    """How the cofactors change as a moves by t: ``tr(a⁻¹ t) adj - a⁻¹ t adj``."""
    adj, back = _adjugate(a), _inverse(a)
    moved = xp.matmul(back, t)
    trace = xp.sum(moved * eye_like(xp, a), axis=(-2, -1))
    return each_matrix(xp, trace) * adj - xp.matmul(moved, adj)


def eye_like(xp: Any, a: Any) -> Any:
    return np.eye(a.shape[-1], dtype=ns.dtype_of(a))


class LogAbsDet(Algorithm):
    """The logarithm of the determinant's absolute value."""

    forward = lambda xp, a: xp.linalg.slogdet(a)[1]
    vjp_a = lambda xp, g, a: each_matrix(xp, g) * adjoint(xp, _inverse(a))
    jvp_a = lambda xp, t, a: xp.real(xp.sum(xp.matmul(_inverse(a), t) * eye_like(xp, a), axis=(-2, -1)))
    samples = [((WELL,), {}), (([WELL, POSITIVE],), {})]


class SignDet(Algorithm):
    """The determinant divided by its absolute value: constant for real matrices."""

    forward = lambda xp, a: xp.linalg.slogdet(a)[0]
    vjp_a = lambda xp, g, a, out: sign_cotangent(xp, g, a, out)
    jvp_a = lambda xp, t, a, out: sign_tangent(xp, t, a, out)
    samples = [((WELL,), {}), (([WELL, POSITIVE],), {})]


def sign_cotangent(xp: Any, g: Any, a: Any, out: Any) -> Any:
    if ns.dtype_of(a).kind != "c":
        return xp.zeros_like(a)
    turn = xp.imag(xp.conj(out) * g)
    return each_matrix(xp, 1j * turn) * adjoint(xp, _inverse(a))


def sign_tangent(xp: Any, t: Any, a: Any, out: Any) -> Any:
    if ns.dtype_of(a).kind != "c":
        return xp.zeros_like(out)
    return 1j * xp.imag(xp.sum(xp.matmul(_inverse(a), t) * eye_like(xp, a), axis=(-2, -1))) * out


_det: Primitive = Det("LinalgDetBackward0")
_adjugate: Primitive = Adjugate()
_logabsdet, _signdet = LogAbsDet("LinalgSlogdetBackward0"), SignDet("LinalgSlogdetBackward0")
Det(), LogAbsDet(), SignDet()
_Slogdet = return_type("linalg_slogdet", "sign", "logabsdet")


def det(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The determinant of square matrices.

    Source: ``torch.linalg.det``.
    """
    return _det(square("linalg.det", A))  # type: ignore[no-any-return]


def slogdet(A: Tensor, *, out: Any = None) -> Any:
    """(sign, logabsdet): the determinant's sign and the logarithm of its size.

    Source: ``torch.linalg.slogdet``.
    """
    square("linalg.slogdet", A)
    return _Slogdet(_signdet(A), _logabsdet(A))


def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant: nan if that is negative, -inf if it is 0.

    Source: ``torch.logdet``.
    """
    sign, size = slogdet(input)
    return sign.log() + size if input._dtype.kind == "c" else where(sign == -1, size.detach() * math.nan, size)  # type: ignore[no-any-return]


# --- Cholesky's factor -----------------------------------------------------------------------------------------------


class Cholesky(Algorithm):
    """The lower triangular L with ``a = L Lᴴ``, of the lower triangle of a, or with ``upper`` of the upper."""

    forward = lambda xp, a, *, upper: xp.linalg.cholesky(adjoint(xp, a) if upper else a)
    vjp_a = lambda xp, g, out: cholesky_cotangent(xp, g, out)
    jvp_a = lambda xp, t, out: xp.matmul(out, half_diagonal(xp, between(xp, out, t)))
    samples = [((POSITIVE,), {"upper": False}), (([POSITIVE, POSITIVE],), {"upper": True})]


def between(xp: Any, factor: Any, m: Any) -> Any:
    """``L⁻¹ m L⁻ᴴ``."""
    left = triangular(factor, m, False)
    return adjoint(xp, triangular(factor, adjoint(xp, left), False))


def cholesky_cotangent(xp: Any, g: Any, out: Any) -> Any:
    phi = half_diagonal(xp, xp.matmul(adjoint(xp, out), g))
    back = adjoint(xp, out)
    left = triangular(back, phi, True)
    full = adjoint(xp, triangular(back, adjoint(xp, left), True))
    return (full + adjoint(xp, full)) / 2


_cholesky: Primitive = Cholesky("LinalgCholeskyExBackward0")
Cholesky()
_CholeskyEx = return_type("linalg_cholesky_ex", "L", "info")


def cholesky(input: Tensor, *, upper: bool = False, out: Tensor | None = None) -> Tensor:
    """The lower triangular L with ``A = L Lᴴ`` of positive definite matrices; with ``upper``, Lᴴ.

    Source: ``torch.linalg.cholesky``.
    """
    square("linalg.cholesky", input)
    try:
        found: Tensor = _cholesky(input, upper=bool(upper))
    except np.linalg.LinAlgError as e:
        what = (
            "The factorization could not be completed because the input is not positive-definite "
            "(the leading minor is not positive-definite)."
        )
        raise singular("linalg.cholesky", what, e) from None
    return found.mH if upper else found


def old_cholesky(input: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """:func:`torch.linalg.cholesky` as it was called before.

    Source: ``torch.cholesky``.
    """
    return cholesky(input, upper=upper)


def cholesky_ex(input: Tensor, *, upper: bool = False, check_errors: bool = False, out: Any = None) -> Any:
    """(factor, info), an info of 0 for success.

    Source: ``torch.linalg.cholesky_ex``.
    """
    return _CholeskyEx(cholesky(input, upper=upper), _fine(input))


def cholesky_solve(input: Tensor, L: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The solution of ``A X = input`` by Cholesky's factor of A.

    Source: ``torch.cholesky_solve``.
    """
    factor = L.mH if upper else L
    lead = np.broadcast_shapes(factor._shape[:-2], input._shape[:-2])
    a, b = (t if t._shape[:-2] == lead else t.expand(*lead, *t._shape[-2:]) for t in (factor, input))
    return triangular(a.mH, triangular(a, b, False, masked=False), True, masked=False)  # type: ignore[no-any-return]


def cholesky_inverse(L: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The inverse of A by Cholesky's factor of A.

    Source: ``torch.cholesky_inverse``.
    """
    return cholesky_solve(wrap(np.eye(L._shape[-1], dtype=L._dtype)).expand(*L._shape), L, upper)


# --- LU --------------------------------------------------------------------------------------------------------------


class Lu(Algorithm):
    """L and U of square matrices whose rows are in order already, in one: L below the diagonal, without its ones."""

    forward = lambda xp, a: xp.lu_in_order(a)
    vjp_a = lambda xp, g, out: lu_cotangent(xp, g, out)
    jvp_a = lambda xp, t, out: lu_tangent(xp, t, out)
    samples = [((WELL,), {}), (([POSITIVE, WELL],), {})]


def lu_cotangent(xp: Any, g: Any, out: Any) -> Any:
    factor, rest = adjoint(xp, lower(xp, out, -1)), adjoint(xp, upper_part(xp, out))
    left = xp.matmul(factor, lower(xp, g, -1)) + lower(xp, g, -1)  # with the ones of L's diagonal
    inner = lower(xp, left, -1) + upper_part(xp, xp.matmul(upper_part(xp, g), rest))
    inner = triangular(factor, inner, True, True)
    return adjoint(xp, triangular(adjoint(xp, rest), adjoint(xp, inner), True))


def lu_tangent(xp: Any, t: Any, out: Any) -> Any:
    left = triangular(out, t, False, True)
    both = adjoint(xp, triangular(adjoint(xp, upper_part(xp, out)), adjoint(xp, left), False))
    of_l, of_u = lower(xp, both, -1), upper_part(xp, both)
    low = lower(xp, out, -1)
    return xp.matmul(low, of_l) + of_l + xp.matmul(of_u, upper_part(xp, out))


class LuPivots(Position):
    """Which rows LAPACK exchanges, one pair after the other, counted from 1."""

    forward = lambda xp, a, *, pivot: xp.lu_pivots(a, pivot)
    samples = [((WELL,), {"pivot": True}), ((WELL,), {"pivot": False})]


class LuRows(Position):
    """The order of rows that the exchanges lead to."""

    forward = lambda xp, pivots, *, m: xp.lu_rows(pivots, m)
    samples = [(([3, 2, 3],), {"m": 3})]


_lu, _pivots, _rows = Lu("LinalgLuFactorExBackward0"), LuPivots(), LuRows()
Lu()
_LuFactor, _LuFactorEx = (
    return_type("linalg_lu_factor", "LU", "pivots"), return_type("linalg_lu_factor_ex", "LU", "pivots", "info"),
)  # fmt: skip
_LuParts, _Unpacked = return_type("linalg_lu", "P", "L", "U"), return_type("lu_unpack", "P", "L", "U")


def lu_factor(A: Tensor, *, pivot: bool = True, out: Any = None) -> Any:
    """(LU, pivots): both factors in one matrix, and which rows were exchanged, counted from 1.

    Source: ``torch.linalg.lu_factor``.
    """
    numbers("linalg.lu_factor", A)
    m, n = A._shape[-2:]
    k = min(m, n)
    pivots: Tensor = _pivots(A.detach(), pivot=pivot)
    b = A.gather(-2, _rows(pivots, m=m)[..., None].expand(*A._shape)) if pivot else A
    head: Tensor = _lu(b[..., :k, :k])
    if n > k:
        right = solve_triangular(head, b[..., :k, k:], upper=False, unitriangular=True)
        head = public["cat"]([head, right], -1)
    elif m > k:
        below = solve_triangular(head, b[..., k:, :], upper=True, left=False)
        head = public["cat"]([head, below], -2)
    return _LuFactor(head, pivots)


def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False, out: Any = None) -> Any:
    """(LU, pivots, info), an info of 0 for success.

    Source: ``torch.linalg.lu_factor_ex``.
    """
    found = lu_factor(A, pivot=pivot)
    return _LuFactorEx(*found, _fine(A))


def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> Any:
    """(P, L, U) of what :func:`torch.linalg.lu_factor` gives.

    Source: ``torch.lu_unpack``.
    """
    m, n = LU_data._shape[-2:]
    k = min(m, n)
    empty = wrap(np.zeros(0, LU_data._dtype))
    permutation = empty
    if unpack_pivots:
        rows = _rows(LU_pivots, m=m)
        permutation = (wrap(np.arange(m))[:, None] == rows[..., None, :]).to(LU_data.dtype)
    if not unpack_data:
        return _Unpacked(permutation, empty, empty)
    eye = wrap(np.eye(m, k, dtype=LU_data._dtype))
    return _Unpacked(permutation, LU_data[..., :, :k].tril(-1) + eye, LU_data[..., :k, :].triu())


def lu(A: Tensor, *, pivot: bool = True, out: Any = None) -> Any:
    """(P, L, U) with ``A = P L U``: a permutation, a unit lower and an upper triangle.

    Source: ``torch.linalg.lu``.
    """
    found = lu_unpack(*lu_factor(A, pivot=pivot))
    return _LuParts(*(found if pivot else (wrap(np.zeros(0, A._dtype)), *found[1:])))


def old_lu(A: Tensor, pivot: bool = True, get_infos: bool = False, out: Any = None) -> Any:
    """:func:`torch.linalg.lu_factor` as it was called before.

    Source: ``torch.lu``.
    """
    found = lu_factor(A, pivot=pivot)
    return (*found, _fine(A)) if get_infos else tuple(found)


def lu_solve(
    LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False, out: Tensor | None = None
) -> Tensor:
    """The solution of ``A X = B`` by the factors of A.

    Source: ``torch.linalg.lu_solve``.
    """
    if not left:
        return lu_solve(LU, pivots, B.mH, adjoint=not adjoint).mH
    p, low, up = lu_unpack(LU, pivots)
    if adjoint:
        y = solve_triangular(up.mH, B, upper=False)
        return matmul(p, solve_triangular(low.mH, y, upper=True, unitriangular=True))  # type: ignore[no-any-return]
    y = solve_triangular(low, matmul(p.mT, B), upper=False, unitriangular=True)
    return solve_triangular(up, y, upper=True)


def old_lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor, *, out: Tensor | None = None) -> Tensor:
    """:func:`torch.linalg.lu_solve` as it was called before.

    Source: ``torch.lu_solve``.
    """
    return lu_solve(LU_data, LU_pivots, b)


export("inverse", inv)
export("det", det)
export("slogdet", slogdet)
export("logdet", logdet)
export("cholesky", old_cholesky)
export("lu_solve", old_lu_solve)
export("lu", old_lu)
export_all(triangular_solve, cholesky_solve, cholesky_inverse)
export_all(lu_unpack, method=False)
