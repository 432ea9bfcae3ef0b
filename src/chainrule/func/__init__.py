"""PyTorch's ``torch.func``: functions of functions."""

from __future__ import annotations

from .derivatives import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, vjp
from .taylor import derivative, partials, taylor
from .vmap import vmap

__all__ = [
    "derivative",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "partials",
    "taylor",
    "vjp",
    "vmap",
]
