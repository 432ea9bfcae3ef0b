"""PyTorch's ``torch.autograd``."""

from __future__ import annotations

from typing import Any

from ..backward import backward, grad
from ..modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from ..tensor import Tensor

__all__ = ["Variable", "backward", "enable_grad", "grad", "is_grad_enabled", "no_grad", "set_grad_enabled"]


def Variable(data: Tensor, requires_grad: bool = False, volatile: Any = None) -> Tensor:
    """A tensor over data's memory, as old PyTorch programs write it; today a tensor does it all."""
    return data.detach().requires_grad_(requires_grad)
