"""Exponentials, logarithms and roots."""

from __future__ import annotations

from ..primitive import Elementwise
from .kinds import unary
from .samples import ONE, POSITIVE


class Exp(Elementwise):
    """``e**x``."""

    forward = lambda xp, x: xp.exp(x)
    d_x = lambda out: out
    floats = True
    scalar = "exp({x})"
    samples = ONE


exp = unary(Exp)


class Expm1(Elementwise):
    """``e**x - 1``, exact near 0."""

    forward = lambda xp, x: xp.expm1(x)
    d_x = lambda out: out + 1
    floats = True
    scalar = "expm1({x})"
    samples = ONE


expm1 = unary(Expm1)


class Log(Elementwise):
    """The natural logarithm."""

    forward = lambda xp, x: xp.log(x)
    per_x = lambda x: x
    floats = True
    scalar = "log({x})"
    samples = POSITIVE


log = unary(Log)


class Log1P(Elementwise):
    """``log(1 + x)``, exact near 0."""

    forward = lambda xp, x: xp.log1p(x)
    per_x = lambda x: x + 1
    floats = True
    scalar = "log1p({x})"
    samples = POSITIVE


log1p = unary(Log1P, "log1p")


class Log2(Elementwise):
    """The logarithm to base 2."""

    forward = lambda xp, x: xp.log2(x)
    per_x = lambda xp, x: x * xp.log(xp.asarray(2, dtype=x.dtype))
    floats = True
    scalar = "log2({x})"
    samples = POSITIVE


log2 = unary(Log2)


class Log10(Elementwise):
    """The logarithm to base 10."""

    forward = lambda xp, x: xp.log10(x)
    per_x = lambda xp, x: x * xp.log(xp.asarray(10, dtype=x.dtype))
    floats = True
    scalar = "log10({x})"
    samples = POSITIVE


log10 = unary(Log10)


class Sqrt(Elementwise):
    """The square root; its slope at 0 is infinite."""

    forward = lambda xp, x: xp.sqrt(x)
    per_x = lambda out: 2 * out
    floats = True
    scalar = "sqrt({x})"
    samples = POSITIVE


sqrt = unary(Sqrt)


class Rsqrt(Elementwise):
    """``1 / sqrt(x)``."""

    forward = lambda xp, x: 1 / xp.sqrt(x)
    d_x = lambda out: out * out * out / -2
    floats = True
    scalar = "1 / sqrt({x})"
    samples = POSITIVE


rsqrt = unary(Rsqrt)
