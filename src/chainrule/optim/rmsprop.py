"""RMSprop: the gradient over the root of its mean square."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .optimizer import Optimizer, Params
from .options import check
from .update import Rule, lerp


class RMSprop(Optimizer):
    """The gradient over the root of its square's running average: ``p -= lr * g / (sqrt(v) + eps)``.

    The average fades with ``alpha``; ``centered`` takes the square of the mean gradient off it, which leaves the
    variance.  With ``momentum`` m the step is lr * b, b = m * b + g / (sqrt(v) + eps).  ``weight_decay`` w adds w * p
    to the gradient; ``maximize`` climbs.  ``foreach`` changes nothing here; ``capturable`` is refused when a step is
    taken.  ValueError for options below 0.

    Source: ``torch.optim.RMSprop``, after Hinton's lectures, 2012, and Graves, 2013.

    >>> import chainrule as torch
    >>> w = torch.tensor([1.0, 100.0], requires_grad=True)
    >>> optimizer = torch.optim.RMSprop([w], lr=0.01)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.9000, 99.9000], requires_grad=True)
    """

    _since = {
        "momentum": 0, "centered": False, "foreach": None, "maximize": False, "differentiable": False,
        "capturable": False,
    }  # fmt: skip

    def __init__(
        self, params: Params, lr: float | Tensor = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
        weight_decay: float = 0, momentum: float = 0, centered: bool = False, capturable: bool = False,
        foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check(lr=lr, eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        defaults = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _names(self, group: dict[str, Any], p: Tensor) -> tuple[str, ...]:
        momentum = ("momentum_buffer",) if group["momentum"] > 0 else ()
        return ("square_avg", *momentum, *(("grad_avg",) if group["centered"] else ()))

    def _rule(self, group: dict[str, Any], xp: Any) -> Rule:
        lr, alpha, eps, momentum, centered = (group[k] for k in ("lr", "alpha", "eps", "momentum", "centered"))

        def at(t: float) -> tuple[tuple[()], tuple[()]]:
            return (), ()

        def move(now: Any, p: Any, g: Any, v: Any, *others: Any) -> tuple[Any, ...]:
            buffer, mean = others[: momentum > 0], others[momentum > 0 :]
            v = v * alpha + (1 - alpha) * (g * g)
            if centered:
                mean = (lerp(mean[0], g, 1 - alpha),)
            root = xp.sqrt(v - mean[0] * mean[0] if centered else v) + eps
            if momentum > 0:
                buffer = (buffer[0] * momentum + g / root,)
            return p - (lr * buffer[0] if momentum > 0 else lr * g / root), v, *buffer, *mean

        return at, move
