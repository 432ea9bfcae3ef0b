"""Adam: steps of much the same size for all elements, by running averages of the gradient and of its square."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .optimizer import Optimizer, Params
from .options import check, check_fused
from .update import Rule, lerp


class Adam(Optimizer):
    """Adam: the step is the gradient's running average over the root of its square's, ``lr * m / (sqrt(v) + eps)``.

    m and v are averages with rates ``betas``, freed of their start at 0.  ``weight_decay`` w adds w * p to the
    gradient or, ``decoupled_weight_decay``, takes lr * w * p off the parameter.  ``amsgrad`` divides by the largest
    v so far; ``maximize`` climbs.  ``foreach`` and ``fused`` change nothing here; ``capturable`` is refused when a
    step is taken.  ValueError for options out of range.

    Source: ``torch.optim.Adam``, after Kingma and Ba, 2014, and Reddi, Kale and Kumar, 2018.

    >>> import chainrule as torch
    >>> w = torch.tensor([1.0, 100.0], requires_grad=True)
    >>> optimizer = torch.optim.Adam([w], lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w**2).sum().backward()
    ...     optimizer.step()
    >>> w
    tensor([ 0.8004, 99.8000], requires_grad=True)
    """

    _since = {
        "amsgrad": False, "maximize": False, "foreach": None, "capturable": False, "differentiable": False,
        "decoupled_weight_decay": False, "fused": None,
    }  # fmt: skip

    def __init__(
        self, params: Params, lr: float | Tensor = 1e-3, betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0, amsgrad: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False, fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        if isinstance(lr, Tensor) and foreach and not capturable:
            raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
        check(lr=lr, eps=eps, betas=betas, weight_decay=weight_decay)
        _check_betas(betas, foreach, capturable)
        defaults = {
            "lr": lr, "betas": tuple([b.squeeze() if isinstance(b, Tensor) and b.dim() else b for b in betas]),
            "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults)
        check_fused(fused, foreach, differentiable)

    def _names(self, group: dict[str, Any], p: Tensor) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")[: 3 if group["amsgrad"] else 2]

    def _rule(self, group: dict[str, Any], xp: Any) -> Rule:
        lr, (beta1, beta2), eps = group["lr"], group["betas"], group["eps"]

        def at(t: float) -> tuple[tuple[Any, ...], tuple[()]]:
            return (lr / (1 - beta1**t), (1 - beta2**t) ** 0.5), ()

        def move(now: Any, p: Any, g: Any, m: Any, v: Any, *top: Any) -> tuple[Any, ...]:
            size, root = now
            m, v = lerp(m, g, 1 - beta1), v * beta2 + (1 - beta2) * (g * g)
            top = tuple([xp.maximum(u, v) for u in top])
            return p - size * m / (xp.sqrt(top[0] if top else v) / root + eps), m, v, *top

        return at, move


def _check_betas(betas: tuple[Any, Any], foreach: bool | None, capturable: bool) -> None:
    if {type(b) for b in betas} != {float} and not all(isinstance(b, Tensor) for b in betas):
        raise ValueError("betas must be either both floats or both Tensors")
    for i, beta in enumerate(betas):
        if isinstance(beta, Tensor):
            if foreach and not capturable:
                raise ValueError(f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True")
            if beta.numel() != 1:
                raise ValueError(f"Tensor betas[{i}] must be 1-element")


class AdamW(Adam):
    """Adam whose weight decay acts on the parameter itself: ``p -= lr * weight_decay * p`` beside the step.

    Options and errors are those of :class:`Adam`.

    Source: ``torch.optim.AdamW``, after Loshchilov and Hutter, 2017.

    >>> import chainrule as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> w.grad = torch.zeros(1)
    >>> optimizer.step()
    >>> w
    tensor([0.9500], requires_grad=True)
    """

    def __init__(
        self, params: Params, lr: float | Tensor = 1e-3, betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False,
        foreach: bool | None = None, capturable: bool = False, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True  # also where it was saved before there was such an option
