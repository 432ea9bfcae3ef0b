"""PyTorch's ``torch.func``: functions of functions."""

from __future__ import annotations

from .forward import jvp
from .implicit import custom_root, fixed_point, linear_solve, newton
from .jacobians import hessian, jacfwd, jacrev
from .ode import odeint
from .optimize import Objective, minimize
from .plan import Plan, plan
from .reverse import grad, grad_and_value, linearize, vjp
from .sparse import SparseHessian, SparseJacobian, sparse_hessian, sparse_jacobian, sparsity
from .taylor import derivative, partials, taylor
from .vmap import vmap

__all__ = [
    "Objective",
    "Plan",
    "SparseHessian",
    "SparseJacobian",
    "custom_root",
    "derivative",
    "fixed_point",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linear_solve",
    "linearize",
    "minimize",
    "newton",
    "odeint",
    "partials",
    "plan",
    "sparse_hessian",
    "sparse_jacobian",
    "sparsity",
    "taylor",
    "vjp",
    "vmap",
]
