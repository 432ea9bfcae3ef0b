"""PyTorch's ``torch.autograd.variable``: the name that tensors with a gradient had before 0.4."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor

__all__ = ["Variable"]


class _AnyTensor(type):
    def __instancecheck__(cls, other: Any) -> bool:
        return isinstance(other, Tensor)

    def __call__(cls, data: Tensor, requires_grad: bool = False, volatile: Any = None) -> Tensor:
        return data.detach().requires_grad_(requires_grad)


class Variable(metaclass=_AnyTensor):
    """A tensor over data's memory, as old PyTorch programs write it; today a tensor does it all.

    Source: ``torch.autograd.Variable``.

    >>> import chainrule as torch
    >>> x = torch.autograd.Variable(torch.ones(2), requires_grad=True)
    >>> x, isinstance(x, torch.autograd.Variable)
    (tensor([1., 1.], requires_grad=True), True)
    """
