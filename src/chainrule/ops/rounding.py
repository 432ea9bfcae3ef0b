"""Whole parts and what is left: functions that go in steps."""

from __future__ import annotations

from ..primitive import Elementwise
from .kinds import binary, no_kernel, unary
from .samples import BETWEEN_STEPS


class Floor(Elementwise):
    """The largest integer not above x."""

    real_only = NotImplementedError("floor is not supported for complex inputs")
    forward = lambda xp, x: xp.floor(x)
    d_x = 0
    scalar = "floor({x})"
    samples = [(([[0.5, -1.25], [2.2, -0.7]],), {})]


floor = unary(Floor)


class Ceil(Elementwise):
    """The smallest integer not below x."""

    real_only = NotImplementedError("ceil is not supported for complex inputs")
    forward = lambda xp, x: xp.ceil(x)
    d_x = 0
    scalar = "ceil({x})"
    samples = [(([[0.5, -1.25], [2.2, -0.7]],), {})]


ceil = unary(Ceil)


class Round(Elementwise):
    """The nearest integer, halves to even."""

    real_only = no_kernel("round_vml_cpu")
    forward = lambda xp, x: xp.round(x)
    d_x = 0
    scalar = "rint({x})"
    samples = [(([[0.6, -1.25], [2.2, -0.7]],), {})]


round = unary(Round)


class Remainder(Elementwise):
    """``x - floor(x / y) * y``, of the sign of y."""

    real_only = no_kernel("remainder_cpu")
    forward = lambda xp, x, y: xp.remainder(x, y)
    d_x = 1
    d_y = lambda xp, x, y: -xp.floor_divide(xp.stop(x), xp.stop(y))  # a step: its own slope is 0
    samples = BETWEEN_STEPS


remainder = binary(Remainder, operators=("__mod__", "__rmod__"))


class FloorDivide(Elementwise):
    """``floor(x / y)``; its slope is 0 almost everywhere, but PyTorch refuses to go back through it."""

    real_only = no_kernel("div_floor_cpu")
    differentiable = True
    labels = ("NotImplemented",) * 3
    forward = lambda xp, x, y: xp.floor_divide(x, y)
    samples = BETWEEN_STEPS


floor_divide = binary(FloorDivide, operators=("__floordiv__", "__rfloordiv__"))
