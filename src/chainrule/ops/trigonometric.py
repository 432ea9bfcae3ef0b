"""Circular and hyperbolic functions, and their inverses; angles in radians."""

from __future__ import annotations

from typing import Any

from ..primitive import Elementwise
from .kinds import unary
from .samples import ONE, UNIT


class Sin(Elementwise):
    """The sine, x in radians."""

    forward = lambda xp, x: xp.sin(x)
    d_x = lambda xp, x: xp.cos(x)
    floats = True
    scalar = "sin({x})"
    samples = ONE


sin = unary(Sin)


class Cos(Elementwise):
    """The cosine, x in radians."""

    forward = lambda xp, x: xp.cos(x)
    d_x = lambda xp, x: -xp.sin(x)
    floats = True
    scalar = "cos({x})"
    samples = ONE


cos = unary(Cos)


class Tan(Elementwise):
    """The tangent, x in radians."""

    forward = lambda xp, x: xp.tan(x)
    d_x = lambda out: 1 + out * out
    floats = True
    scalar = "tan({x})"
    samples = UNIT


tan = unary(Tan)


class Asin(Elementwise):
    """The arc sine, in radians."""

    forward = lambda xp, x: xp.asin(x)
    d_x = lambda xp, x: 1 / xp.sqrt(1 - x * x)
    floats = True
    scalar = "asin({x})"
    samples = UNIT


asin = unary(Asin)


class Acos(Elementwise):
    """The arc cosine, in radians."""

    forward = lambda xp, x: xp.acos(x)
    d_x = lambda xp, x: -1 / xp.sqrt(1 - x * x)
    floats = True
    scalar = "acos({x})"
    samples = UNIT


acos = unary(Acos)


class Atan(Elementwise):
    """The arc tangent, in radians."""

    forward = lambda xp, x: xp.atan(x)
    per_x = lambda x: 1 + x * x
    floats = True
    scalar = "atan({x})"
    samples = ONE


atan = unary(Atan)


class Sinh(Elementwise):
    """The hyperbolic sine."""

    forward = lambda xp, x: xp.sinh(x)
    d_x = lambda xp, x: xp.cosh(x)
    floats = True
    scalar = "sinh({x})"
    samples = ONE


sinh = unary(Sinh)


class Cosh(Elementwise):
    """The hyperbolic cosine."""

    forward = lambda xp, x: xp.cosh(x)
    d_x = lambda xp, x: xp.sinh(x)
    floats = True
    scalar = "cosh({x})"
    samples = ONE


cosh = unary(Cosh)


class Tanh(Elementwise):
    """The hyperbolic tangent."""

    forward = lambda xp, x: xp.tanh(x)
    d_x = lambda out: 1 - out * out
    floats = True
    scalar = "tanh({x})"
    samples = ONE


tanh = unary(Tanh)


class Asinh(Elementwise):
    """The inverse hyperbolic sine."""

    forward = lambda xp, x: xp.asinh(x)
    d_x = lambda xp, x: 1 / xp.sqrt(x * x + 1)
    floats = True
    samples = ONE


asinh = unary(Asinh)


class Acosh(Elementwise):
    """The inverse hyperbolic cosine, for x ≥ 1."""

    forward = lambda xp, x: xp.acosh(x)
    d_x = lambda xp, x: acosh_slope(xp, x)
    floats = True
    samples = [(([1.5, 2.25, 4.0],), {})]


acosh = unary(Acosh)


def acosh_slope(xp: Any, x: Any) -> Any:
    """``1 / sqrt(x² - 1)``; over complex numbers with a root for each factor, whose branches are acosh's."""
    return 1 / (xp.sqrt(x - 1) * xp.sqrt(x + 1) if x.dtype.kind == "c" else xp.sqrt(x * x - 1))


class Atanh(Elementwise):
    """The inverse hyperbolic tangent, for |x| < 1."""

    forward = lambda xp, x: xp.atanh(x)
    per_x = lambda x: 1 - x * x
    floats = True
    samples = UNIT


atanh = unary(Atanh)
