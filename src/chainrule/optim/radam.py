"""RAdam: Adam that divides by the root of the mean square only once that is known well enough."""

from __future__ import annotations

from typing import Any

from ..node import Box
from ..tensor import Tensor
from .optimizer import Optimizer, Params
from .options import check
from .update import Rule, lerp


class RAdam(Optimizer):
    """Adam with its first steps rectified: plain momentum as long as the mean square of few gradients says little.

    ``weight_decay`` w adds w * p to the gradient or, ``decoupled_weight_decay``, takes lr * w * p off the parameter;
    ``maximize`` climbs.  ``foreach`` changes nothing here; ``capturable`` is refused when a step is taken.
    ValueError for options out of range.

    Source: ``torch.optim.RAdam``, after Liu et al., 2019.

    >>> import chainrule as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.RAdam([w], lr=0.1)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8000], requires_grad=True)
    """

    _since = {
        "foreach": None, "maximize": False, "differentiable": False, "decoupled_weight_decay": False,
        "capturable": False,
    }  # fmt: skip

    def __init__(
        self, params: Params, lr: float | Tensor = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check(lr=lr, eps=eps, betas=betas, weight_decay=weight_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "foreach": foreach, "capturable": capturable, "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _names(self, group: dict[str, Any], p: Tensor) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _rule(self, group: dict[str, Any], xp: Any) -> Rule:
        lr, (beta1, beta2), eps = group["lr"], group["betas"], group["eps"]
        longest = 2 / (1 - beta2) - 1  # how many gradients the mean square is made of, in the end

        def at(t: Any) -> tuple[tuple[Any, ...], tuple[()]]:
            size, bias = lr / (1 - beta1**t), 1 - beta2**t
            n: Any = longest - 2 * t * beta2**t / bias
            early: tuple[Any, ...] = ()
            if isinstance(n, Box):  # not known yet: both steps, and which of them counts
                n, early = xp.maximum(n, 5.0), (n <= 5,)
            elif n <= 5:
                return (size,), ()
            rectified = ((n - 4) * (n - 2) * longest / ((longest - 4) * (longest - 2) * n)) ** 0.5
            return (size, bias**0.5 * rectified, *early), ()

        def move(now: Any, p: Any, g: Any, m: Any, v: Any) -> tuple[Any, ...]:
            size, *known = now
            m, v = lerp(m, g, 1 - beta1), v * beta2 + (1 - beta2) * (g * g)
            step = size * m
            if known:
                scaled = step * known[0] / (xp.sqrt(v) + eps)
                step = xp.where(known[1] != 0, step, scaled) if known[1:] else scaled
            return p - step, m, v

        return at, move
