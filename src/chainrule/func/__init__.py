"""PyTorch's ``torch.func``: functions of functions."""

from __future__ import annotations

from .derivatives import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, vjp
from .sparse import SparseHessian, SparseJacobian, sparse_hessian, sparse_jacobian, sparsity
from .taylor import derivative, partials, taylor
from .vmap import vmap

__all__ = [
    "SparseHessian",
    "SparseJacobian",
    "derivative",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "partials",
    "sparse_hessian",
    "sparse_jacobian",
    "sparsity",
    "taylor",
    "vjp",
    "vmap",
]
