"""Rprop: a step size per element, that grows while the gradient keeps its sign."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .optimizer import Optimizer, Params
from .options import check
from .steps import number
from .update import Rule, filled


class Rprop(Optimizer):
    """Resilient propagation: each element moves against its gradient's sign, by a step of its own.

    The step starts as ``lr``.  It is multiplied by the first of ``etas`` where the gradient has changed its sign, and
    the element then stays for once, by the second where it has not; it keeps within ``step_sizes``.  ``maximize``
    climbs.  ``foreach`` changes nothing here; ``capturable`` is refused when a step is taken.  ValueError for
    options out of range.

    Source: ``torch.optim.Rprop``, after Riedmiller and Braun, 1993.

    >>> import chainrule as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.Rprop([w], lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w**2).sum().backward()
    ...     optimizer.step()
    >>> w
    tensor([0.7800], requires_grad=True)
    """

    _since = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(
        self, params: Params, lr: float | Tensor = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check(lr=lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _names(self, group: dict[str, Any], p: Tensor) -> tuple[str, ...]:
        return ("prev", "step_size")

    def _start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        lr = number(group["lr"])
        return {**super()._start(p, group), "step_size": filled(p, complex(lr, lr) if p.is_complex() else lr)}

    def _rule(self, group: dict[str, Any], xp: Any) -> Rule:
        (less, more), (smallest, largest) = group["etas"], group["step_sizes"]

        def at(t: float) -> tuple[tuple[()], tuple[()]]:
            return (), ()

        def move(now: Any, p: Any, g: Any, before: Any, size: Any) -> tuple[Any, ...]:
            same = xp.sign(g * before)
            factor = xp.where(same < 0, less, xp.where(same > 0, more, same * 0 + 1))  # nan stays nan
            size = xp.minimum(xp.maximum(size * factor, smallest), largest)
            g = xp.where(same < 0, 0, g)
            return p - xp.sign(g) * size, g, size

        return at, move
