"""Linear systems: solving, inverting, also triangular ones; and what the other algorithms of linear algebra share."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import errors
from ..arrays import namespace as ns
from ..errors import explained
from ..outputs import EXACT, SCALAR, takes_out
from ..primitive import Primitive, align, bind, promote, table
from ..tensor import Tensor, wrap
from .diagonals import tril  # noqa: F401  whose primitives the rules name
from .extremes import return_type
from .kinds import export, public
from .linalg import adjoint
from .whole import whole

matmul, where = public["matmul"], public["where"]
WELL: Any = [[2.0, 0.5, 0.3], [0.1, 1.5, -0.4], [0.2, -0.3, 1.8]]
LOWER: Any = [[1.5, 0.0, 0.0], [0.4, 2.0, 0.0], [-0.3, 0.6, 1.2]]
TALL: Any = [[2.0, 0.5], [0.1, 1.5], [0.2, -0.3]]
POSITIVE: Any = [[2.0, 0.5, 0.3], [0.5, 1.5, -0.4], [0.3, -0.4, 1.8]]


class LinAlgError(RuntimeError):
    """A matrix that has no such decomposition or inverse.  Source: ``torch.linalg.LinAlgError``."""


class Algorithm(Primitive):
    """Computed by LAPACK; symbols cannot flow through it."""

    formula = False

    def batch(self, size: int, arrays: Any, batched: Any, params: dict[str, Any]) -> Any:
        return bind(self, tuple(align(arrays, batched)) if len(arrays) > 1 else arrays, params)


# --- triangles ---


def lower(xp: Any, m: Any, k: int = 0) -> Any:
    return table["Tril"](m, diagonal=k)


def upper_part(xp: Any, m: Any, k: int = 0) -> Any:
    return table["Triu"](m, diagonal=k)


def half_diagonal(xp: Any, m: Any) -> Any:
    """The lower triangle with half of the diagonal."""
    return (lower(xp, m) + lower(xp, m, -1)) / 2


def eye_like(xp: Any, a: Any) -> Any:
    return np.eye(a.shape[-1], dtype=ns.dtype_of(a))


def diagonal_matrix(xp: Any, m: Any) -> Any:
    return m * eye_like(xp, m)


# --- solving ---


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


@whole("LinalgSolveExBackward0")
@takes_out(EXACT)
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


@takes_out(EXACT)
def inv(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inverse of square matrices.

    Source: ``torch.linalg.inv``.
    """
    try:
        return _inverse(square("linalg.inv", A))
    except np.linalg.LinAlgError as e:
        what = (
            "The diagonal element is zero, the inversion could not be completed because the input matrix is singular."
        )
        raise singular("linalg.inv", what, e) from None


_InvEx, _SolveEx = return_type("linalg_inv_ex", "inverse", "info"), return_type("linalg_solve_ex", "result", "info")


def _fine(x: Tensor) -> Tensor:
    return wrap(np.zeros(x._shape[:-2], np.int32))


@takes_out(EXACT)
def inv_ex(A: Tensor, *, check_errors: bool = False, out: Any = None) -> Any:
    """(inverse, info), an info of 0 for success.

    Source: ``torch.linalg.inv_ex``.
    """
    return _InvEx(inv(A), _fine(A))


@whole("LinalgSolveExBackward0")
@takes_out(EXACT)
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False, out: Any = None) -> Any:
    """(solution, info), an info of 0 for success.

    Source: ``torch.linalg.solve_ex``.
    """
    return _SolveEx(solve(A, B, left=left), _fine(A))


@whole("LinalgSolveTriangularBackward0")
@takes_out(SCALAR)
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


@whole("TriangularSolveBackward0")
@takes_out(EXACT)
def triangular_solve(
    input: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False, *,
    out: Any = None,
) -> Any:  # fmt: skip
    """(solution, copy of ``A``) of a triangular system with right side ``input``.

    Source: ``torch.triangular_solve``.
    """
    a = A.mT if transpose else A
    return _Triangular(solve_triangular(a, input, upper=upper != transpose, unitriangular=unitriangular), A.clone())


export("inverse", inv)
export("triangular_solve", triangular_solve)
