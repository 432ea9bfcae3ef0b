"""Adadelta: steps in the parameter's own units, as large as the steps of late."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .optimizer import Optimizer, Params
from .options import check
from .update import Rule


class Adadelta(Optimizer):
    """The gradient times the ratio of two roots of running averages: of past steps' squares, and of gradients'.

    Both averages fade with ``rho`` and have ``eps`` added below the root; the step is multiplied by ``lr``.
    ``weight_decay`` w adds w * p to the gradient; ``maximize`` climbs.  ``foreach`` changes nothing here;
    ``capturable`` is refused when a step is taken.  ValueError for options out of range.

    Source: ``torch.optim.Adadelta``, after Zeiler, 2012.

    >>> import chainrule as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.Adadelta([w])
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9968], requires_grad=True)
    """

    _beyond = ()
    _since = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(
        self, params: Params, lr: float | Tensor = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
        foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False,
        differentiable: bool = False,
    ) -> None:  # fmt: skip
        check(lr=lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check(eps=eps, weight_decay=weight_decay)
        defaults = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _names(self, group: dict[str, Any], p: Tensor) -> tuple[str, ...]:
        return ("square_avg", "acc_delta")

    def _rule(self, group: dict[str, Any], xp: Any) -> Rule:
        lr, rho, eps = group["lr"], group["rho"], group["eps"]

        def at(t: float) -> tuple[tuple[()], tuple[()]]:
            return (), ()

        def move(now: Any, p: Any, g: Any, squares: Any, steps: Any) -> tuple[Any, ...]:
            squares = squares * rho + (1 - rho) * (g * g)
            step = xp.sqrt(steps + eps) / xp.sqrt(squares + eps) * g
            return p - lr * step, squares, steps * rho + (1 - rho) * (step * step)

        return at, move
