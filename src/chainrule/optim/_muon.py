"""Muon: momentum whose matrix is made orthogonal, so that all its directions count alike."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays.namespace import dtype_of
from ..tensor import Tensor
from .optimizer import Optimizer, Params
from .update import Rule, lerp


class Muon(Optimizer):
    """Momentum for matrices, orthogonalised: its singular values are brought near 1 before it is taken off.

    ``nesterov`` looks one step of ``momentum`` ahead.  The singular values are brought near 1 by ``ns_steps`` times
    the polynomial a x + b x³ + c x⁵, ``ns_coefficients`` its a, b, c, in the precision of bfloat16 as in PyTorch,
    after division by the norm, ``eps`` at least.  ``weight_decay`` w takes lr * w * p off the parameter.
    ``adjust_lr_fn`` fits the rate to a matrix of shape (A, B): "original", lr * sqrt(max(1, A / B)), or
    "match_rms_adamw", 0.2 * lr * sqrt(max(A, B)).  ValueError for options out of range and for parameters that are
    no matrices; RuntimeError for complex ones.

    Source: ``torch.optim.Muon``, after Jordan et al., 2024.

    >>> import chainrule as torch
    >>> w = torch.tensor([[3.0, 0.0], [0.0, 0.1]], requires_grad=True)
    >>> optimizer = torch.optim.Muon([w], lr=0.1, weight_decay=0.0)
    >>> (w**2).sum().backward()  # gradients of 6 and 0.2, but steps of much the same size
    >>> optimizer.step()
    >>> w
    tensor([[ 2.9313,  0.0000],
            [ 0.0000, -0.0133]], requires_grad=True)
    """

    _numbers = {}
    _elementwise = False
    _decays = False

    def __init__(
        self, params: Params, lr: float = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95,
        nesterov: bool = True, ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7, ns_steps: int = 5, adjust_lr_fn: str | None = None,
    ) -> None:  # fmt: skip
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        for name, value in {"Learning rate": lr, "momentum": momentum, "weight decay": weight_decay}.items():
            if not value >= 0.0:
                raise ValueError(f"{name} should be >= 0 but is: {value}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {p.size()}"
                    )

    def _names(self, group: dict[str, Any], p: Tensor) -> tuple[str, ...]:
        if p.is_complex():
            raise RuntimeError("Muon does not support complex parameters")
        return ("momentum_buffer",)

    def _rule(self, group: dict[str, Any], xp: Any) -> Rule:
        lr, momentum, nesterov = group["lr"], group["momentum"], group["nesterov"]
        coefficients, steps, eps = group["ns_coefficients"], group["ns_steps"], group["eps"]
        if steps >= 100:
            raise ValueError("Number of steps must be less than 100 for computational efficiency")
        if len(coefficients) != 3:
            raise ValueError("Coefficients must be a tuple of exactly 3 values")

        def at(t: float) -> tuple[tuple[()], tuple[()]]:
            return (), ()

        def move(now: Any, p: Any, g: Any, buffer: Any) -> tuple[Any, ...]:
            buffer = lerp(buffer, g, 1 - momentum)
            step = orthogonal(lerp(g, buffer, momentum) if nesterov else buffer, coefficients, steps, eps, xp)
            rows, columns = p.shape
            size = math.sqrt(max(1, rows / columns))
            if group["adjust_lr_fn"] == "match_rms_adamw":
                size = 0.2 * math.sqrt(max(rows, columns))
            return p * (1 - lr * group["weight_decay"]) - lr * size * xp.astype(step, dtype_of(p)), buffer

        return at, move


def orthogonal(x: Any, coefficients: tuple[float, float, float], steps: int, eps: float, xp: Any) -> Any:
    """A matrix with its singular values brought near 1, with the rounding of bfloat16."""
    a, b, c = coefficients
    x = _bfloat16(xp.astype(x, np.dtype(np.float32)))
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = xp.matrix_transpose(x)
    x = _bfloat16(x / xp.maximum(_bfloat16(xp.sqrt(xp.sum(x * x))), eps))
    for _ in range(steps):
        gram = _bfloat16(xp.matmul(x, xp.matrix_transpose(x)))
        x = _bfloat16(a * x + xp.matmul(_bfloat16(b * gram + c * xp.matmul(gram, gram)), x))
    return xp.matrix_transpose(x) if tall else x


def _bfloat16(x: Any) -> Any:
    """float32 rounded to the 8 bits that bfloat16 keeps, by Veltkamp's splitting."""
    far = x * 65537.0
    return far - (far - x)
