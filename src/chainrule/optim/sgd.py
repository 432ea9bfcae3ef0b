"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .optimizer import Optimizer, Params
from .options import check, check_fused
from .update import Rule


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

    _numbers = {}
    _since = {"nesterov": False, "maximize": False, "foreach": None, "differentiable": False, "fused": False}

    def __init__(
        self, params: Params, lr: float | Tensor = 1e-3, momentum: float = 0, dampening: float = 0,
        weight_decay: float | Tensor = 0, nesterov: bool = False, *, maximize: bool = False,
        foreach: bool | None = None, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        check(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
            "maximize": maximize, "foreach": foreach, "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)
        check_fused(fused, foreach, differentiable)

    def _names(self, group: dict[str, Any], p: Tensor) -> tuple[str, ...]:
        return ("momentum_buffer",) if group["momentum"] != 0 else ()

    def _rule(self, group: dict[str, Any], xp: Any) -> Rule:
        lr, momentum, dampening, nesterov = group["lr"], group["momentum"], group["dampening"], group["nesterov"]

        def at(t: float) -> tuple[tuple[float, ...], tuple[()]]:
            return (() if dampening == 0 else (1 if t == 1 else 1 - dampening,)), ()

        def move(now: Any, p: Any, g: Any, *b: Any) -> tuple[Any, ...]:
            if not b:
                return (p - lr * g,)
            buffer = momentum * b[0] + (now[0] * g if now else g)
            return p - lr * (g + momentum * buffer if nesterov else buffer), buffer

        return at, move
