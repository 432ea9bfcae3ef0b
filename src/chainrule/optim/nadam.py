"""NAdam: Adam that looks one step of momentum ahead."""

from __future__ import annotations

from typing import Any

from ..arrays.namespace import dtype_of
from ..node import Box
from ..tensor import Tensor
from .optimizer import Optimizer, Params
from .options import check
from .update import Rule, lerp, wide


class NAdam(Optimizer):
    """Adam with Nesterov's momentum, whose rate grows towards beta1 as ``momentum_decay`` says.

    ``weight_decay`` w adds w * p to the gradient or, ``decoupled_weight_decay``, takes lr * w * p off the parameter;
    ``maximize`` climbs.  ``foreach`` changes nothing here; ``capturable`` is refused when a step is taken.
    ValueError for options out of range.

    Source: ``torch.optim.NAdam``, after Dozat, 2016.

    >>> import chainrule as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.NAdam([w], lr=0.1)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8944], requires_grad=True)
    """

    _numbers = {"step": 0.0, "mu_product": 1.0}
    _watched = "params, mu_products and state_steps"
    _since = {
        "maximize": False, "foreach": None, "capturable": False, "differentiable": False,
        "decoupled_weight_decay": False,
    }  # fmt: skip

    def __init__(
        self, params: Params, lr: float | Tensor = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check(lr=lr, eps=eps, betas=betas, weight_decay=weight_decay, momentum_decay=momentum_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _names(self, group: dict[str, Any], p: Tensor) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _rule(self, group: dict[str, Any], xp: Any) -> Rule:
        lr, (beta1, beta2), eps, decay = group["lr"], group["betas"], group["eps"], group["momentum_decay"]

        def rate(t: Any) -> Any:
            return beta1 * (1 - 0.5 * 0.96 ** (t * decay))

        def at(t: Any, product: Any) -> tuple[tuple[Any, ...], tuple[Any]]:
            now, later = rate(t), rate(t + 1)
            product = product * (xp.astype(now, dtype_of(product)) if isinstance(now, Box) else now)  # as it is kept
            total = wide(product, xp)
            return (lr * (1 - now) / (1 - total), lr * later / (1 - total * later), 1 - beta2**t), (product,)

        def move(now: Any, p: Any, g: Any, m: Any, v: Any) -> tuple[Any, ...]:
            here, ahead, bias = now
            m, v = lerp(m, g, 1 - beta1), v * beta2 + (1 - beta2) * (g * g)
            root = xp.sqrt(v / bias) + eps
            return p - here * g / root - ahead * m / root, m, v

        return at, move
