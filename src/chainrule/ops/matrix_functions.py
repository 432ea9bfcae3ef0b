"""Functions of matrices: pseudo-inverses, exponentials, powers, systems of any shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays.namespace import is_numpy
from ..outputs import CASTS, SAFELY, takes_out
from ..primitive import Primitive
from ..tensor import Tensor, wrap
from .extremes import return_type
from .kinds import export
from .linalg import adjoint
from .solvers import (
    POSITIVE,
    TALL,
    WELL,
    Algorithm,
    inv,
    matmul,
    numbers,
    solve,
    square,
)
from .spectral import svdvals
from .whole import whole


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


@whole("LinalgPinvBackward0")
@takes_out("linalg.pinv: Expected result to be safely castable from {result} dtype, but got result with dtype {out}")
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
    return _pinv(A, atol=limits[0], rtol=limits[1], hermitian=hermitian)


def _number(x: Any) -> Any:
    return np.asarray(0.0 if x is None else x.detach().numpy() if isinstance(x, Tensor) else x)


def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """The pseudo-inverse, as it was called before.

    Source: ``torch.pinverse``.
    """
    return pinv(input, rcond=rcond)


_Lstsq = return_type("linalg_lstsq", "solution", "residuals", "rank", "singular_values")


@whole("LinalgLstsqBackward0")
@takes_out(
    "torch.linalg.lstsq: Expected solution to be safely castable from {result} dtype, but got solution with dtype {out}"
)
def lstsq(A: Tensor, B: Tensor, rcond: Any = None, *, driver: str | None = None, out: Any = None) -> Any:
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


@takes_out(CASTS)
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


@takes_out(SAFELY)
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


@takes_out(SAFELY)
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


@takes_out(SAFELY)
def tensorsolve(A: Tensor, B: Tensor, dims: Any = None, *, out: Tensor | None = None) -> Tensor:
    """The solution X of ``tensordot(A, X, X.ndim) = B``.

    Source: ``torch.linalg.tensorsolve``.
    """
    a = A if dims is None else A.movedim(tuple(dims), tuple(range(A.ndim - len(dims), A.ndim)))
    shape = a._shape[B.ndim :]
    n = math.prod(shape)
    return solve(a.reshape(-1, n), B.reshape(-1)).reshape(shape)


export("pinverse", pinverse)
export("matrix_exp", matrix_exp)
export("matrix_power", matrix_power)
