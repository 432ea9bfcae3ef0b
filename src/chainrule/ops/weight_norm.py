"""Lengths and directions of weights: ``w = r * v / |v|``, with a length for each output."""

from __future__ import annotations

from typing import Any

from ..primitive import Primitive
from ..tensor import Tensor
from .kinds import export, no_kernel


def length(xp: Any, v: Any, axis: tuple[int, ...]) -> Any:
    return xp.sqrt(xp.sum(v * v, axis=axis, keepdims=True))


def turned(xp: Any, t: Any, v: Any, r: Any, axis: tuple[int, ...]) -> Any:
    """``t`` without its part along ``v``, times r / |v|: the Jacobian in v, which is symmetric."""
    n = length(xp, v, axis)
    return (t - v * (xp.sum(t * v, axis=axis, keepdims=True) / (n * n))) * (r / n)


class WeightNorm(Primitive):
    """``v * (r / |v|)``, the length taken over ``axis``, along which ``r`` has length 1."""

    composite = True
    linear = ("r",)
    real_only = no_kernel("weight_norm_kernel")
    forward = lambda xp, v, r, *, axis: v * (r / length(xp, v, axis))
    vjp_v = lambda xp, g, v, r, axis: turned(xp, g, v, r, axis)
    jvp_v = lambda xp, t, v, r, axis: turned(xp, t, v, r, axis)
    vjp_r = lambda xp, g, v, axis: xp.sum(g * v, axis=axis, keepdims=True) / length(xp, v, axis)
    samples = [(((2, 3), (2, 1)), {"axis": (-1,)}), (((2, 3, 2), (1, 1, 2)), {"axis": (-3, -2)})]


_weight_norm: Primitive = WeightNorm("WeightNormInterfaceBackward0")


def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The norms over all dimensions but ``dim``, which have length 1 in the result; with ``dim`` -1 over all, 0-d.

    Source: ``torch.norm_except_dim``.

    >>> import chainrule as torch
    >>> norm_except_dim(torch.tensor([[3.0, 4.0], [0.0, 2.0]]))
    tensor([[5.],
            [2.]])
    """
    if dim == -1:
        return v.norm(pow)
    others = [d for d in range(v.ndim) if d != v._dim(dim)]
    return v.norm(pow, others, keepdim=True) if others else v.abs()


def weight_norm(v: Tensor, g: Tensor, dim: int) -> Tensor:
    """``v`` with the lengths ``g``, which are as :func:`norm_except_dim` gives them."""
    if v.is_complex() or dim not in (0, v.ndim - 1):
        return v * (g / norm_except_dim(v, 2, dim))
    return _weight_norm(v, g, axis=tuple(d - v.ndim for d in range(v.ndim) if d != dim))


export("norm_except_dim", norm_except_dim, method=False)
