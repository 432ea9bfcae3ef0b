"""Adamax: Adam with the largest gradient of late in place of the root of the mean square."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .optimizer import Optimizer, Params
from .options import check
from .update import Rule, lerp


class Adamax(Optimizer):
    """Adam with the infinity norm: the step is ``lr * m / u``, u the largest ``|g| + eps`` so far, fading with beta2.

    m is the gradient's running average with rate beta1, freed of its start at 0.  ``weight_decay`` w adds w * p to
    the gradient; ``maximize`` climbs.  ``foreach`` changes nothing here; ``capturable`` is refused when a step is
    taken.  ValueError for options out of range.

    Source: ``torch.optim.Adamax``, after Kingma and Ba, 2014.

    >>> import chainrule as torch
    >>> w = torch.tensor([1.0, 100.0], requires_grad=True)
    >>> optimizer = torch.optim.Adamax([w], lr=0.1)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.9000, 99.9000], requires_grad=True)
    """

    _since = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(
        self, params: Params, lr: float | Tensor = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False,
    ) -> None:  # fmt: skip
        check(lr=lr, eps=eps, betas=betas, weight_decay=weight_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _names(self, group: dict[str, Any], p: Tensor) -> tuple[str, ...]:
        return ("exp_avg", "exp_inf")

    def _rule(self, group: dict[str, Any], xp: Any) -> Rule:
        lr, (beta1, beta2), eps = group["lr"], group["betas"], group["eps"]

        def at(t: float) -> tuple[tuple[Any, ...], tuple[()]]:
            return (lr / (1 - beta1**t),), ()

        def move(now: Any, p: Any, g: Any, m: Any, u: Any) -> tuple[Any, ...]:
            m, u = lerp(m, g, 1 - beta1), xp.maximum(u * beta2, xp.abs(g) + eps)
            return p - now[0] * m / u, m, u

        return at, move
