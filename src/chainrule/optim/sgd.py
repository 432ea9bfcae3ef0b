"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .optimizer import Optimizer, Params, Rule, State, number


class SGD(Optimizer):
    """Gradient descent, ``p -= lr * g``, with momentum, Nesterov's momentum and weight decay.

    With ``momentum`` m the step is ``lr * b``, where b = m * b + (1 - dampening) * g, and b = g at first;
    ``nesterov`` takes g + m * b instead of b.  ``weight_decay`` w adds w * p to the gradient; ``maximize``
    climbs.  ``foreach`` and ``fused`` change nothing here.  ValueError for options below 0, or for
    ``nesterov`` without momentum or with dampening.

    Source: ``torch.optim.SGD``.

    >>> import chainrule as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.SGD([w], lr=0.1, momentum=0.9)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w**2).sum().backward()
    ...     optimizer.step()
    >>> w
    tensor([0.4600], requires_grad=True)
    """

    def __init__(
        self, params: Params, lr: float | Tensor = 1e-3, momentum: float = 0, dampening: float = 0,
        weight_decay: float | Tensor = 0, nesterov: bool = False, *, maximize: bool = False,
        foreach: bool | None = None, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if lr < 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if momentum < 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if weight_decay < 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
            "maximize": maximize, "foreach": foreach, "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, default in {"nesterov": False, "maximize": False, "differentiable": False}.items():
                group.setdefault(name, default)

    def _rule(self, group: dict[str, Any]) -> Rule:
        lr, decay = number(group["lr"]), number(group["weight_decay"])
        momentum, share = group["momentum"], 1 - group["dampening"]
        nesterov, maximize = group["nesterov"], group["maximize"]

        def rule(a: Any, g: Any, state: State) -> tuple[Any, State | None]:
            if maximize:
                g = -g
            if decay != 0:
                g = g + decay * a
            if not momentum:
                return lr * g, None
            b = state.get("momentum_buffer")
            b = 1 * g if b is None else momentum * b + (g if share == 1 else share * g)  # 1 * g is a copy
            return lr * (g + momentum * b if nesterov else b), {"momentum_buffer": b}

        return rule
