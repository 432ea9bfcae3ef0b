"""Adafactor: the mean square of a matrix of gradients, kept as one row and one column."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays.namespace import dtype_of
from ..node import Box
from ..tensor import Tensor
from .optimizer import Optimizer, Params
from .update import Rule, filled, lerp


class Adafactor(Optimizer):
    """The gradient over the root of its mean square, of which a matrix keeps only the means of rows and columns.

    The averages fade as 1 - t ** ``beta2_decay``.  ``eps`` holds the least mean square's root (the precision of the
    dtype, if None) and the least size of a parameter.  A step's root mean square is at most ``d``, times the
    parameter's own, times the smaller of ``lr`` and 1 / sqrt(t).  ``weight_decay`` w takes lr * w * p off the
    parameter; ``maximize`` climbs.  ``foreach`` changes nothing here.  ValueError for options out of range,
    RuntimeError for complex parameters.

    Source: ``torch.optim.Adafactor``, after Shazeer and Stern, 2018.

    >>> import chainrule as torch
    >>> w = torch.ones(3, 2, requires_grad=True)
    >>> optimizer = torch.optim.Adafactor([w], lr=0.1)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w[0]
    tensor([0.9000, 0.9000], grad_fn=<SelectBackward0>)
    >>> [(name, tuple(value.shape)) for name, value in optimizer.state[w].items()]
    [('step', ()), ('row_var', (3, 1)), ('col_var', (1, 2))]
    """

    _elementwise = False
    _decays = False
    _since = {"foreach": None}

    def __init__(
        self, params: Params, lr: float | Tensor = 1e-2, beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3), d: float = 1.0, weight_decay: float = 0.0, *,
        foreach: bool | None = None, maximize: bool = False,
    ) -> None:  # fmt: skip
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr >= 0.0:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not eps[0] >= 0.0:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not eps[1] >= 0.0:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not d >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not weight_decay >= 0.0:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _names(self, group: dict[str, Any], p: Tensor) -> tuple[str, ...]:
        if p.is_complex():
            raise RuntimeError("Adafactor does not support complex parameters")
        return ("row_var", "col_var") if p.ndim > 1 else ("variance",)

    def _start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state = super()._start(p, group)
        if p.ndim > 1:
            zeros = p.detach() * 0
            state["row_var"], state["col_var"] = filled(zeros[..., :1].clone()), filled(zeros[..., :1, :].clone())
        return state

    def _rule(self, group: dict[str, Any], xp: Any) -> Rule:
        lr, (eps1, eps2), d, decay = group["lr"], group["eps"], group["d"], group["weight_decay"]

        def at(t: Any) -> tuple[tuple[Any, Any], tuple[()]]:
            slower = 1 / t**0.5
            return (t ** group["beta2_decay"], xp.minimum(slower, lr) if isinstance(t, Box) else min(lr, slower)), ()

        def size(x: Any) -> Any:
            return xp.sqrt(xp.sum(x * x)) / max(1, math.prod(x.shape)) ** 0.5

        def move(now: Any, p: Any, g: Any, *v: Any) -> tuple[Any, ...]:
            weight, rate = now
            least = float(np.finfo(dtype_of(p)).eps) if eps1 is None else eps1
            if len(v) == 1:
                v = (lerp(v[0], g * g, weight),)
                mean = v[0]
            else:
                squares = g * g
                row, column = [
                    lerp(x, xp.sum(squares, axis=axis, keepdims=True) / g.shape[axis], weight)
                    for x, axis in zip(v, (-1, -2), strict=True)
                ]
                rows = xp.sum(row, axis=-2, keepdims=True) / row.shape[-2]
                v, mean = (row, column), row * column / xp.maximum(rows, least)
            step = g / xp.sqrt(xp.maximum(mean, least * least))
            far = xp.maximum(size(p), eps2) * rate / xp.maximum(size(step) / d, 1.0)
            return p * (1 - lr * decay) - far * step, *v

        return at, move
