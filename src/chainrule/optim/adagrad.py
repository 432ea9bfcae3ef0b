"""Adagrad: steps that get smaller the more an element has moved."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .optimizer import Optimizer, Params
from .options import check, check_fused
from .update import Rule, filled


class Adagrad(Optimizer):
    """The gradient over the root of the sum of all its squares so far: ``p -= lr * g / (sqrt(sum) + eps)``.

    ``lr`` shrinks to lr / (1 + (t - 1) * lr_decay); the sum starts at ``initial_accumulator_value``.
    ``weight_decay`` w adds w * p to the gradient; ``maximize`` climbs.  ``foreach`` and ``fused`` change nothing
    here.  ValueError for options below 0.

    Source: ``torch.optim.Adagrad``, after Duchi, Hazan and Singer, 2011.

    >>> import chainrule as torch
    >>> w = torch.tensor([1.0, 100.0], requires_grad=True)
    >>> optimizer = torch.optim.Adagrad([w], lr=0.1)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.9000, 99.9000], requires_grad=True)
    """

    _since = {"foreach": None, "maximize": False, "differentiable": False, "fused": None}

    def __init__(
        self, params: Params, lr: float | Tensor = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *,
        maximize: bool = False, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        check(
            lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )  # fmt: skip
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)
        check_fused(fused, foreach, differentiable)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] = self._start(p, group)

    def share_memory(self) -> None:
        """For processes that share the sums in PyTorch; here memory is a process's own, and this does nothing."""

    def _names(self, group: dict[str, Any], p: Tensor) -> tuple[str, ...]:
        return ("sum",)

    def _start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        start = self.defaults["initial_accumulator_value"]
        state = super()._start(p, group)
        return {**state, "sum": filled(p, complex(start, start) if p.is_complex() else start)}

    def _rule(self, group: dict[str, Any], xp: Any) -> Rule:
        lr, lr_decay, eps = group["lr"], group["lr_decay"], group["eps"]

        def at(t: float) -> tuple[tuple[Any, ...], tuple[()]]:
            return (lr / (1 + (t - 1) * lr_decay),), ()

        def move(now: Any, p: Any, g: Any, total: Any) -> tuple[Any, ...]:
            total = total + g * g
            return p - now[0] * g / (xp.sqrt(total) + eps), total

        return at, move
