"""The standard's ``linalg`` extension."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import linalg as _ours
from ..dtypes import dtype as kind_of_number
from ..linalg import cholesky as _cholesky
from ..linalg import det, eigvals, eigvalsh, inv, matrix_power, svdvals
from ..ops import find, public
from ..tensor import Tensor
from .arrangement import matrix_transpose
from .reductions import _wide
from .types import aligned


class Eig(NamedTuple):
    """Eigenvalues, and eigenvectors as columns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class QR(NamedTuple):
    """An orthogonal and a triangular factor."""

    Q: Tensor
    R: Tensor


class Slogdet(NamedTuple):
    """The sign of a determinant, and the logarithm of its size."""

    sign: Tensor
    logabsdet: Tensor


class SVD(NamedTuple):
    """Left singular vectors, singular values, and right singular vectors as rows."""

    U: Tensor
    S: Tensor
    Vh: Tensor


def cholesky(x: Tensor, /, *, upper: bool = False) -> Tensor:
    """The triangular factor of positive definite matrices."""
    return _cholesky(x, upper=upper)


def cross(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """The cross product of vectors of three elements."""
    a, b = aligned(x1, x2)
    return _ours.cross(a, b, dim=axis)


def diagonal(x: Tensor, /, *, offset: int = 0) -> Tensor:
    """The view of a diagonal of matrices."""
    return x.diagonal(offset, -2, -1)


def eig(x: Tensor, /) -> Eig:
    """Eigenvalues and eigenvectors of square matrices."""
    return Eig(*_ours.eig(x))


def eigh(x: Tensor, /) -> Eig:
    """Eigenvalues and eigenvectors of symmetric, or Hermitian, matrices."""
    return Eig(*_ours.eigh(x))


def matmul(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The product of matrices, or vectors."""
    return public["matmul"](*aligned(x1, x2))


def matrix_norm(x: Tensor, /, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """The norm of matrices."""
    return _ours.matrix_norm(x, ord, (-2, -1), keepdims)


def matrix_rank(x: Tensor, /, *, rtol: Any = None) -> Tensor:
    """How many singular values are larger than ``rtol`` times the largest."""
    return _ours.matrix_rank(x, rtol=rtol)


def outer(x1: Tensor, x2: Tensor, /) -> Tensor:
    """All products of an element of one vector with one of the other."""
    return public["outer"](*aligned(x1, x2))


def pinv(x: Tensor, /, *, rtol: Any = None) -> Tensor:
    """The pseudo-inverse of matrices."""
    return _ours.pinv(x, rtol=rtol)


def qr(x: Tensor, /, *, mode: str = "reduced") -> QR:
    """The factors of matrices, "reduced" or "complete"."""
    return QR(*_ours.qr(x, mode))


def slogdet(x: Tensor, /) -> Slogdet:
    """The determinant as a sign and a logarithm."""
    return Slogdet(*_ours.slogdet(x))


def solve(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The solution of equations; the right side is one vector, or of matrices."""
    a, b = aligned(x1, x2)
    if b.ndim == 1:
        return _ours.solve(a, b.unsqueeze(-1)).squeeze(-1)
    return _ours.solve(a, b.unsqueeze(0)).squeeze(0) if a.ndim - 1 == b.ndim else _ours.solve(a, b)


def svd(x: Tensor, /, *, full_matrices: bool = True) -> SVD:
    """Singular vectors and values of matrices."""
    return SVD(*_ours.svd(x, full_matrices))


def tensordot(x1: Tensor, x2: Tensor, /, *, axes: Any = 2) -> Tensor:
    """The sum of products over pairs of axes: the last ``axes`` of one and the first of the other, or those named."""
    a, b = aligned(x1, x2)
    return find("tensordot")(a, b, dims=axes)  # type: ignore[no-any-return]


def trace(x: Tensor, /, *, offset: int = 0, dtype: kind_of_number | None = None) -> Tensor:
    """The sum of a diagonal of matrices."""
    return diagonal(x, offset=offset).sum(-1, dtype=_wide(x, dtype))


def vecdot(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """The sum of products of the elements of two vectors, the first conjugated."""
    a, b = aligned(x1, x2)
    return _ours.vecdot(a, b, dim=axis)


def vector_norm(x: Tensor, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Tensor:
    """The norm of vectors, or of all elements."""
    return _ours.vector_norm(x, ord, tuple(range(x.ndim)) if axis is None else axis, keepdims)


__all__ = [
    "cholesky", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "matmul", "matrix_norm",
    "matrix_power", "matrix_rank", "matrix_transpose", "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals",
    "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip
