"""More losses: robust ones, margins, distances and likelihoods."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ..arrays.namespace import is_numpy
from ..errors import explained
from ..primitive import Primitive, promote, table
from ..tensor import Tensor
from . import special
from .exponential import log
from .kinds import no_kernel, only_floats
from .loss import _ALL, _reduction, aligned, legacy_reduction, reduced, weighted

_softplus = table["Log1pExp"]


class HuberLoss(Primitive):
    """``(x - y)²/2`` within ``delta``, beyond it a line that goes on with the same slope."""

    composite = True
    real_only = no_kernel("huber")
    forward = lambda xp, x, y, *, delta, axis, reduction: reduced(xp, bent(xp, x, y, delta), axis, reduction)
    vjp_x = lambda xp, g, x, y, delta, axis, reduction: weighted(xp, cut(xp, x - y, delta), g, axis, reduction)
    vjp_y = lambda xp, g, x, y, delta, axis, reduction: weighted(xp, cut(xp, y - x, delta), g, axis, reduction)
    jvp_x = lambda xp, t, x, y, delta, axis, reduction: reduced(xp, cut(xp, x - y, delta) * t, axis, reduction)
    jvp_y = lambda xp, t, x, y, delta, axis, reduction: reduced(xp, cut(xp, y - x, delta) * t, axis, reduction)
    samples = [
        (((2, 3), (2, 3)), {"delta": 0.75, "axis": (-2, -1), "reduction": "mean"}),
        (((3,), (3,)), {"delta": 1.0, "axis": (-1,), "reduction": "sum"}),
        (((3,), (3,)), {"delta": 0.5, "axis": (-1,), "reduction": "none"}),
    ]  # fmt: skip


class SmoothL1Loss(Primitive):
    """:class:`HuberLoss` over ``beta``: the line has slope 1."""

    composite = True
    real_only = no_kernel("smooth_l1_cpu")
    forward = lambda xp, x, y, *, beta, axis, reduction: reduced(xp, over(bent(xp, x, y, beta), beta), axis, reduction)
    vjp_x = lambda xp, g, x, y, beta, axis, reduction: weighted(xp, cut(xp, x - y, beta), g / beta, axis, reduction)
    vjp_y = lambda xp, g, x, y, beta, axis, reduction: weighted(xp, cut(xp, y - x, beta), g / beta, axis, reduction)
    jvp_x = lambda xp, t, x, y, beta, axis, reduction: reduced(xp, cut(xp, x - y, beta) * t / beta, axis, reduction)
    jvp_y = lambda xp, t, x, y, beta, axis, reduction: reduced(xp, cut(xp, y - x, beta) * t / beta, axis, reduction)
    samples = [
        (((2, 3), (2, 3)), {"beta": 0.75, "axis": (-2, -1), "reduction": "mean"}),
        (((3,), (3,)), {"beta": 2.0, "axis": (-1,), "reduction": "none"}),
    ]  # fmt: skip


def cut(xp: Any, d: Any, most: float) -> Any:
    return xp.clip(d, -most, most)


def bent(xp: Any, x: Any, y: Any, delta: float) -> Any:
    if hasattr(xp, "many") and xp.many.many(x, y):
        return xp.many.bent(x, y, delta)
    d = x - y
    c = cut(xp, d, delta)
    return c * (d - c / 2)


def over(x: Any, scale: float) -> Any:
    return x if scale == 1 else x / scale


_huber, _smooth_l1 = HuberLoss(), SmoothL1Loss()


def _mean(each: Tensor, reduction: str) -> Tensor:
    """Each, their sum or their mean."""
    if reduction == "none":
        return each
    return each.sum() if reduction == "sum" else each.mean()


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """``(input - target)²/2`` up to a distance of ``delta``, from there on a line; their mean, sum, or each.

    ``input`` and ``target`` have one shape, and so has ``weight``, which multiplies each.  RuntimeError unless
    ``delta`` is positive.

    Source: ``torch.nn.functional.huber_loss``.

    >>> import chainrule as torch
    >>> huber_loss(torch.tensor([0.5, 3.0]), torch.zeros(2), reduction="none")
    tensor([0.1250, 2.5000])
    """
    x, y = _pair("huber", input, target)
    if delta <= 0:
        raise explained(
            RuntimeError(
                f"huber_loss does not support non-positive values for delta.\ndelta is {delta}; it is a distance."
            )
        )
    if weight is None:
        return _huber(x, y, delta=delta, axis=_ALL[x.ndim], reduction=_reduction(reduction))
    if weight._shape != input._shape:
        raise explained(
            ValueError(
                "Weights and input must have the same size."
                f"\nThe weights have shape {list(weight.shape)}, the input {list(input.shape)}."
            )
        )
    each = _huber(x, y, delta=delta, axis=_ALL[x.ndim], reduction="none")
    return _mean(each * weight, _reduction(reduction))


def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", beta: float = 1.0,
) -> Tensor:  # fmt: skip
    """``|input - target|``, rounded off to a parabola within ``beta`` of 0; the mean, sum, or each.

    ``input`` and ``target`` have one shape.  RuntimeError for a negative ``beta``.

    Source: ``torch.nn.functional.smooth_l1_loss``.

    >>> import chainrule as torch
    >>> smooth_l1_loss(torch.tensor([0.5, 3.0]), torch.zeros(2), reduction="none")
    tensor([0.1250, 2.5000])
    """
    reduction = _reduction(legacy_reduction(size_average, reduce, reduction))
    x, y = _pair("smooth_l1_cpu", input, target)
    if beta == 0:
        return _mean((x - y).abs(), reduction)
    if beta < 0:
        raise explained(
            RuntimeError(
                f"smooth_l1_loss does not support negative values for beta.\nbeta is {beta}; it is a distance."
            )
        )
    return _smooth_l1(x, y, beta=beta, axis=_ALL[x.ndim], reduction=reduction)


def _pair(kernel: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The two of one shape and dtype."""
    input, target = aligned(input, target)
    x, y = promote((input, target))
    only_floats(kernel, x)
    if x._shape != y._shape:
        shape = (x.detach() + y.detach())._shape
        x, y = x.expand(*shape), y.expand(*shape)
    return x, y


# --- likelihoods ---


def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, size_average: bool | None = None,
    eps: float = 1e-8, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The negative log likelihood of counts ``target`` at the rate exp(``input``), or ``input`` without ``log_input``.

    ``full`` adds Stirling's approximation of log(target!) where the target is above 1.  The two broadcast.

    Source: ``torch.nn.functional.poisson_nll_loss``.

    >>> import chainrule as torch
    >>> poisson_nll_loss(torch.tensor([0.0]), torch.tensor([3.0]))
    tensor(1.)
    """
    reduction = _reduction(legacy_reduction(size_average, reduce, reduction))
    each = input.exp() - target * input if log_input else input - target * log(input + eps)
    if full:
        stirling = target * log(target) - target + 0.5 * log(2 * math.pi * target)
        each = each + stirling.masked_fill(target <= 1, 0)
    return _mean(each, reduction)


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """``(log(var) + (input - target)²/var) / 2``, no variance counting as less than ``eps``; ``full`` adds log(2π)/2.

    ``var`` has input's shape, or one without the last axis, or with 1 there, or is a number.  ValueError for other
    shapes and for negative variances.

    Source: ``torch.nn.functional.gaussian_nll_loss``.

    >>> import chainrule as torch
    >>> gaussian_nll_loss(torch.tensor([1.0]), torch.tensor([3.0]), torch.tensor([1.0]))
    tensor(2.)
    """
    if isinstance(var, float):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = var * (input.detach() * 0 + 1)
    elif is_numpy(var._a) and (var._a < 0).any():
        raise ValueError("var has negative entry/entries")
    if var._shape != input._shape:
        apart = [n for m, n in zip(input._shape, var._shape, strict=False) if m != n]
        if input._shape[:-1] == var._shape:
            var = var.unsqueeze(-1)
        elif input.ndim != var.ndim or sum(apart) != 1:
            raise explained(
                ValueError(f"var is of incorrect size\nIt has shape {list(var.shape)}, the input {list(input.shape)}.")
            )
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not valid")
    var = var + (eps - var.detach()).clamp(min=0)  # raised to eps, with slope 1 everywhere as in PyTorch
    each = 0.5 * (log(var) + (input - target) ** 2 / var)
    return _mean(each + 0.5 * math.log(2 * math.pi) if full else each, reduction)


def kl_div(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", log_target: bool = False,
) -> Tensor:  # fmt: skip
    """``target * (log(target) - input)`` for log-probabilities ``input``: their mean, sum, each, or "batchmean".

    "batchmean" is the sum over the first axis's length, the divergence's definition.  With ``log_target`` the
    target is given by logarithms too.  The two broadcast.

    Source: ``torch.nn.functional.kl_div``.

    >>> import chainrule as torch
    >>> p = torch.tensor([[0.5, 0.5]])
    >>> kl_div(torch.tensor([[0.25, 0.75]]).log(), p, reduction="batchmean")
    tensor(0.1438)
    """
    if size_average is not None or reduce is not None:
        reduction = legacy_reduction(size_average, reduce, reduction)
    elif reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math definition."
            "'mean' will be changed to behave the same as 'batchmean' in the next major release.",
            UserWarning, stacklevel=2,
        )  # fmt: skip
    each = target.exp() * (target - input) if log_target else special.xlogy(target, target) - target * input
    if reduction != "batchmean":
        return _mean(each, _reduction(reduction))
    return each.sum() / input.size(0) if input.ndim else each.sum()
