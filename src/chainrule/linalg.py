"""PyTorch's ``torch.linalg``: linear algebra and its derivatives."""

from .ops.determinants import det, slogdet
from .ops.elimination import cholesky, cholesky_ex, lu, lu_factor, lu_factor_ex, lu_solve
from .ops.factors import ldl_factor, ldl_factor_ex, ldl_solve
from .ops.linalg import matmul
from .ops.matrix_functions import lstsq, matrix_exp, matrix_power, matrix_rank, pinv, tensorinv, tensorsolve
from .ops.norms import cond, cross, matrix_norm, norm, vander, vecdot, vector_norm
from .ops.orthogonal import householder_product, qr
from .ops.products import multi_dot
from .ops.solvers import LinAlgError, inv, inv_ex, solve, solve_ex, solve_triangular
from .ops.spectral import eig, eigh, eigvals, eigvalsh, svd, svdvals
from .tensor import Tensor


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The view of a diagonal of matrices.

    Source: ``torch.linalg.diagonal``.
    """
    return A.diagonal(offset, dim1, dim2)


__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals",
    "eigvalsh", "householder_product", "inv", "inv_ex", "ldl_factor", "ldl_factor_ex", "ldl_solve", "lstsq", "lu",
    "lu_factor", "lu_factor_ex", "lu_solve", "matmul", "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank",
    "multi_dot", "norm", "pinv", "qr", "slogdet", "solve", "solve_ex", "solve_triangular", "svd", "svdvals",
    "tensorinv", "tensorsolve", "vander", "vecdot", "vector_norm",
]  # fmt: skip
