"""Factors that elimination finds: Cholesky's, and LU."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..outputs import ANY, EXACT, SAFELY, takes_out
from ..primitive import Primitive
from ..tensor import Tensor, wrap
from .extremes import return_type
from .kinds import export, export_all, public
from .linalg import adjoint
from .ordering import Position
from .solvers import (
    POSITIVE,
    WELL,
    Algorithm,
    _fine,
    half_diagonal,
    lower,
    matmul,
    numbers,
    singular,
    solve_triangular,
    square,
    triangular,
    upper_part,
)
from .whole import whole

# --- Cholesky's factor ---


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
    back = adjoint(xp, out)
    phi = xp.matmul(back, g)
    left = triangular(back, (lower(xp, phi) + adjoint(xp, lower(xp, phi, -1))) / 2, True)
    return adjoint(xp, triangular(back, adjoint(xp, left), True))


_cholesky: Primitive = Cholesky("LinalgCholeskyExBackward0")
Cholesky()
_CholeskyEx = return_type("linalg_cholesky_ex", "L", "info")


@whole("LinalgCholeskyExBackward0")
@takes_out(EXACT)
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


@whole("CholeskyBackward0")
@takes_out(SAFELY)
def old_cholesky(input: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """:func:`torch.linalg.cholesky` as it was called before.

    Source: ``torch.cholesky``.
    """
    return cholesky(input, upper=upper)


@whole("LinalgCholeskyExBackward0")
@takes_out(EXACT)
def cholesky_ex(input: Tensor, *, upper: bool = False, check_errors: bool = False, out: Any = None) -> Any:
    """(factor, info), an info of 0 for success.

    Source: ``torch.linalg.cholesky_ex``.
    """
    return _CholeskyEx(cholesky(input, upper=upper), _fine(input))


@whole("CholeskySolveBackward0")
@takes_out(SAFELY)
def cholesky_solve(input: Tensor, L: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The solution of ``A X = input`` by Cholesky's factor of A.

    Source: ``torch.cholesky_solve``.
    """
    factor = L.mH if upper else L
    lead = np.broadcast_shapes(factor._shape[:-2], input._shape[:-2])
    a, b = (t if t._shape[:-2] == lead else t.expand(*lead, *t._shape[-2:]) for t in (factor, input))
    return triangular(a.mH, triangular(a, b, False, masked=False), True, masked=False)  # type: ignore[no-any-return]


@whole("CholeskyInverseBackward0")
@takes_out(SAFELY)
def cholesky_inverse(L: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The inverse of A by Cholesky's factor of A.

    Source: ``torch.cholesky_inverse``.
    """
    return cholesky_solve(wrap(np.eye(L._shape[-1], dtype=L._dtype)).expand(*L._shape), L, upper)


# --- LU ---


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


@whole("LinalgLuFactorExBackward0")
@takes_out(EXACT)
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


@whole("LinalgLuFactorExBackward0")
@takes_out(EXACT)
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False, out: Any = None) -> Any:
    """(LU, pivots, info), an info of 0 for success.

    Source: ``torch.linalg.lu_factor_ex``.
    """
    found = lu_factor(A, pivot=pivot)
    return _LuFactorEx(*found, _fine(A))


@whole("LuUnpackBackward0")
@takes_out(EXACT)
def lu_unpack(
    LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True, *, out: Any = None
) -> Any:
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


@whole("LinalgLuBackward0")
@takes_out(EXACT)
def lu(A: Tensor, *, pivot: bool = True, out: Any = None) -> Any:
    """(P, L, U) with ``A = P L U``: a permutation, a unit lower and an upper triangle.

    Source: ``torch.linalg.lu``.
    """
    found = lu_unpack(*lu_factor(A, pivot=pivot))
    return _LuParts(*(found if pivot else (wrap(np.zeros(0, A._dtype)), *found[1:])))


@whole("LinalgLuFactorExBackward0")
@takes_out(ANY)
def old_lu(A: Tensor, pivot: bool = True, get_infos: bool = False, out: Any = None) -> Any:
    """:func:`torch.linalg.lu_factor` as it was called before.

    Source: ``torch.lu``.
    """
    found = lu_factor(A, pivot=pivot)
    return (*found, _fine(A)) if get_infos else tuple(found)


@whole("LinalgLuSolveBackward0")
@takes_out(EXACT)
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
        return matmul(p, solve_triangular(low.mH, y, upper=True, unitriangular=True))
    y = solve_triangular(low, matmul(p.mT, B), upper=False, unitriangular=True)
    return solve_triangular(up, y, upper=True)


@takes_out(EXACT)
def old_lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor, *, out: Tensor | None = None) -> Tensor:
    """:func:`torch.linalg.lu_solve` as it was called before.

    Source: ``torch.lu_solve``.
    """
    return lu_solve(LU_data, LU_pivots, b)


export("cholesky", old_cholesky)
export("lu_solve", old_lu_solve)
export("lu", old_lu)
export_all(lu_unpack, method=False)
export_all(cholesky_solve, cholesky_inverse)
