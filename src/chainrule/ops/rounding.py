"""Whole parts and what is left: functions that go in steps."""

from __future__ import annotations

from typing import Any

from ..lanes import general
from ..outputs import FOUND
from ..primitive import Elementwise
from ..tensor import Tensor
from .kinds import binary, export, no_kernel, unary
from .samples import BETWEEN_STEPS


class Floor(Elementwise):
    """The largest integer not above x."""

    real_only = NotImplementedError("floor is not supported for complex inputs")
    forward = lambda xp, x: xp.floor(x)
    d_x = 0
    scalar = "floor({x})"
    wrong_out = FOUND
    samples = [(([[0.5, -1.25], [2.2, -0.7]],), {})]


floor = unary(Floor)


class Ceil(Elementwise):
    """The smallest integer not below x."""

    real_only = NotImplementedError("ceil is not supported for complex inputs")
    forward = lambda xp, x: xp.ceil(x)
    d_x = 0
    scalar = "ceil({x})"
    wrong_out = FOUND
    samples = [(([[0.5, -1.25], [2.2, -0.7]],), {})]


ceil = unary(Ceil)


class Round(Elementwise):
    """The nearest integer, halves to even."""

    real_only = no_kernel("round_vml_cpu")
    forward = lambda xp, x: xp.round(x)
    d_x = 0
    scalar = "rint({x})"
    wrong_out = FOUND
    samples = [(([[0.6, -1.25], [2.2, -0.7]],), {})]


class RoundTo(Elementwise):
    """The nearest number with so many decimals, halves to even; tens and hundreds for negative ``decimals``."""

    real_only = no_kernel("round_cpu")
    refused = "ciub"
    forward = lambda xp, x, *, decimals: round_forward(xp, x, decimals)
    d_x = 0
    wrong_out = FOUND
    samples = [(([[0.625, -1.27], [2.21, -0.72]],), {"decimals": 1}), (([16.0, -25.5],), {"decimals": -1})]


def round_forward(xp: Any, x: Any, decimals: int) -> Any:
    scale = 10.0 ** abs(decimals)
    return xp.round(x * scale) / scale if decimals > 0 else xp.round(x / scale) * scale


_round, _round_to = unary(Round), RoundTo("RoundBackward1")


def round(input: Tensor, *, decimals: int = 0, out: Tensor | None = None) -> Tensor:
    """The nearest integers, halves to even; with ``decimals`` the nearest numbers of so many decimals.

    ``input`` has any shape; so has the result.  The slope is 0.

    Source: ``torch.round``.

    >>> import chainrule as torch
    >>> torch.round(torch.tensor([0.5, 1.5, 2.25])), torch.round(torch.tensor([2.25]), decimals=1)
    (tensor([0., 2., 2.]), tensor([2.2000]))
    """
    return general(_round_to, (input,), out, {"decimals": decimals}) if decimals else _round(input, out=out)


export("round", round, in_place=True)


class Remainder(Elementwise):
    """``x - floor(x / y) * y``, of the sign of y."""

    real_only = no_kernel("remainder_cpu")
    forward = lambda xp, x, y: xp.remainder(x, y)
    labels = ("RemainderBackward1", "RemainderBackward0", "RemainderBackward1")
    d_x = 1
    d_y = lambda xp, x, y: -xp.floor_divide(xp.stop(x), xp.stop(y))  # a step: its own slope is 0
    samples = BETWEEN_STEPS


remainder = binary(Remainder, operators=("__mod__", "__rmod__"))


class FloorDivide(Elementwise):
    """``floor(x / y)``; its slope is 0 almost everywhere, but PyTorch refuses to go back through it."""

    of_numbers = True
    real_only = no_kernel("div_floor_cpu")
    differentiable = True
    labels = ("torch::autograd::NotImplemented",) * 3
    forward = lambda xp, x, y: xp.floor_divide(x, y)
    samples = BETWEEN_STEPS


floor_divide = binary(FloorDivide, operators=("__floordiv__", "__rfloordiv__"))
