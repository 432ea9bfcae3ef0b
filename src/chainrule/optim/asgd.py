"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from ..dtypes import default_float
from ..node import Box
from ..tensor import Tensor
from .optimizer import Optimizer, Params
from .options import check
from .steps import number, scalar
from .update import Rule, wide


class ASGD(Optimizer):
    """Gradient descent that keeps the average of where it has been: ``state[p]["ax"]``.

    The rate is lr / (1 + lambd * lr * t) ** alpha, and each step takes lambd times it off the parameter.  The average
    begins after ``t0`` steps; until then it is the parameter itself.  ``weight_decay`` w adds w * p to the gradient;
    ``maximize`` climbs.  ``foreach`` changes nothing here; ``capturable`` is refused when a step is taken.
    ValueError for options below 0.

    Source: ``torch.optim.ASGD``, after Polyak and Juditsky, 1992.

    >>> import chainrule as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.ASGD([w], lr=0.1, t0=0)
    >>> for _ in range(3):
    ...     optimizer.zero_grad()
    ...     (w**2).sum().backward()
    ...     optimizer.step()
    >>> w
    tensor([0.5120], requires_grad=True)
    >>> optimizer.state[w]["ax"]
    tensor([0.5760])
    """

    _numbers = {"step": 0.0, "eta": 0.0, "mu": 1.0}
    _watched = "params, mus, etas, and state_steps"
    _since = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(
        self, params: Params, lr: float | Tensor = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6,
        weight_decay: float = 0, foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False,
    ) -> None:  # fmt: skip
        check(lr=lr, weight_decay=weight_decay)
        defaults = {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _names(self, group: dict[str, Any], p: Tensor) -> tuple[str, ...]:
        return ("ax",)

    def _start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {**super()._start(p, group), "eta": scalar(number(group["lr"]), group)}

    def _rule(self, group: dict[str, Any], xp: Any) -> Rule:
        lr, lambd, alpha, t0 = group["lr"], group["lambd"], group["alpha"], group["t0"]
        kept_as = default_float().type  # the precision of eta and mu, wherever they are kept

        def at(t: Any, eta: Any, mu: Any) -> tuple[tuple[Any, ...], tuple[Any, Any]]:
            eta, size = wide(eta, xp), number(lr / (1 + lambd * lr * t) ** alpha)
            if isinstance(t, Box):  # not known yet
                return (1 - lambd * eta, eta, wide(mu, xp)), (size, 1 / xp.maximum(t - t0, 1.0))
            later = kept_as(size), kept_as(1 / max(1, t - t0))
            return (1 - lambd * eta, eta, *([] if mu == 1 else [float(mu)])), later

        def move(now: Any, p: Any, g: Any, mean: Any) -> tuple[Any, ...]:
            kept, eta, *known = now
            p = p * kept - eta * g
            if not known:
                return p, p
            (mu,) = known
            between, unknown = mean + (p - mean) * mu, isinstance(mu, Box)
            return p, xp.where(mu != 1, between, p) if unknown else between

        return at, move
