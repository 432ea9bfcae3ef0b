"""PyTorch's ``torch.func``: functions of functions."""

from __future__ import annotations

from .axes import rearrange
from .forward import jvp, linearize
from .functionalize import debug_unwrap, functionalize
from .implicit import custom_root, fixed_point, linear_solve, newton
from .jacobians import hessian, jacfwd, jacrev
from .modules import functional_call, replace_all_batch_norm_modules_, stack_module_state
from .ode import odeint
from .optimize import Objective, minimize
from .plan import Plan, plan
from .reverse import grad, grad_and_value, vjp
from .sparse import SparseHessian, SparseJacobian, sparse_hessian, sparse_jacobian, sparsity
from .taylor import derivative, partials, taylor
from .vmap import vmap

__all__ = [
    "Objective",
    "Plan",
    "SparseHessian",
    "SparseJacobian",
    "custom_root",
    "debug_unwrap",
    "derivative",
    "fixed_point",
    "functional_call",
    "functionalize",
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
    "rearrange",
    "replace_all_batch_norm_modules_",
    "sparse_hessian",
    "sparse_jacobian",
    "sparsity",
    "stack_module_state",
    "taylor",
    "vjp",
    "vmap",
]
