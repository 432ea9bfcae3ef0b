"""Optimisers: how parameters follow their gradients.  Source: ``torch.optim``.

>>> import chainrule as torch
>>> w = torch.tensor([1.0], requires_grad=True)
>>> optimizer = torch.optim.SGD([w], lr=0.5)
>>> (w**2).sum().backward()
>>> optimizer.step()
>>> w
tensor([0.], requires_grad=True)
"""

from __future__ import annotations

from . import optimizer, sgd
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Optimizer", "optimizer", "sgd"]
