"""More functions of numbers, entry by entry: of two and three arguments, of angles, of signs and bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays.namespace import dtype_of
from ..lanes import general
from ..outputs import FOUND, takes_out
from ..primitive import Elementwise, Primitive, cut, table
from ..tensor import Tensor
from .kinds import binary, export, public, unary
from .samples import BESIDE_ZERO, BETWEEN_STEPS, ONE, TWO

LN2 = math.log(2)


def not_of_complex(name: str) -> NotImplementedError:
    """PyTorch's refusal of complex numbers."""
    return NotImplementedError(f"\"{name}\" not implemented for '{{}}'")


class Exp2(Elementwise):
    """``2**x``."""

    forward = lambda xp, x: xp.exp2(x)
    d_x = lambda out: out * LN2
    floats = True
    scalar = "exp2({x})"
    samples = ONE


class Deg2Rad(Elementwise):
    """Degrees as radians."""

    forward = lambda xp, x: x * (math.pi / 180)
    d_x = math.pi / 180
    floats = True
    real_only = not_of_complex("deg2rad")
    samples = ONE


class Rad2Deg(Elementwise):
    """Radians as degrees."""

    forward = lambda xp, x: x * (180 / math.pi)
    d_x = 180 / math.pi
    floats = True
    real_only = not_of_complex("rad2deg")
    samples = ONE


class Trunc(Elementwise):
    """The whole part, rounded towards 0."""

    forward = lambda xp, x: xp.trunc(x)
    d_x = 0
    real_only = not_of_complex("trunc_vml_cpu")
    wrong_out = FOUND
    samples = [(([[0.5, -1.25], [2.2, -0.7]],), {})]


_trunc: Primitive = Trunc()


class Frac(Elementwise):
    """What is left of x without its whole part, of the sign of x."""

    forward = lambda xp, x: x - xp.trunc(x)
    d_x = 1
    real_only = not_of_complex("frac_vml_cpu")
    wrong_out = FOUND
    samples = [(([[0.5, -1.25], [2.2, -0.7]],), {})]


exp2, deg2rad, rad2deg, frac = unary(Exp2), unary(Deg2Rad, "deg2rad"), unary(Rad2Deg, "rad2deg"), unary(Frac)
trunc = unary(Trunc)
export("fix", trunc, in_place=True)


# --- two arguments ---


class Atan2(Elementwise):
    """The angle of the point (y, x): ``atan(x / y)`` with the quadrant, in (-π, π]."""

    forward = lambda xp, x, y: xp.atan2(x, y)
    d_x = lambda xp, x, y: by_square(xp, y, x * x + y * y)
    d_y = lambda xp, x, y: -by_square(xp, x, x * x + y * y)
    floats = True
    real_only = not_of_complex("atan2_cpu")
    samples = BESIDE_ZERO


def by_square(xp: Any, v: Any, square: Any) -> Any:
    """``v / square``, but 0 in the middle, where no direction is."""
    return cut(xp, v / square, square == 0)


class Hypot(Elementwise):
    """``sqrt(x² + y²)`` without overflow."""

    forward = lambda xp, x, y: xp.hypot(x, y)
    d_x = lambda x, out: x / out
    d_y = lambda y, out: y / out
    real_only = not_of_complex("hypot_cpu")
    samples = BESIDE_ZERO


class Logaddexp(Elementwise):
    """``log(exp(x) + exp(y))`` without overflow."""

    forward = lambda xp, x, y: logaddexp_of_complex(xp, x, y) if complex_(x) or complex_(y) else xp.logaddexp(x, y)
    per_x = lambda xp, x, y: 1 + xp.exp(y - x)
    per_y = lambda xp, x, y: 1 + xp.exp(x - y)
    floats = True
    samples = TWO


def complex_(x: Any) -> bool:
    return hasattr(x, "dtype") and dtype_of(x).kind == "c"


def logaddexp_of_complex(xp: Any, x: Any, y: Any) -> Any:
    larger = xp.real(x) >= xp.real(y)
    top = xp.where(larger, x, y)
    return top + xp.log1p(xp.exp(xp.where(larger, y, x) - top))


class Logaddexp2(Elementwise):
    """``log2(2**x + 2**y)`` without overflow."""

    forward = lambda xp, x, y: xp.logaddexp2(x, y)
    per_x = lambda x, y: 1 + _exp2(y - x)
    per_y = lambda x, y: 1 + _exp2(x - y)
    floats = True
    real_only = not_of_complex("logaddexp2_cpu")
    samples = TWO


_exp2: Primitive = Exp2()


class Copysign(Elementwise):
    """The size of x with the sign of y."""

    labels = ("CopysignBackward0", "CopysignBackward1", "CopysignBackward0")
    forward = lambda xp, x, y: xp.copysign(x, y)
    d_x = lambda xp, x, y, out: xp.where(x == 0, xp.zeros_like(out), xp.sign(x) * xp.sign(out))
    d_y = 0
    floats = True
    real_only = not_of_complex("copysign_cpu")
    samples = BESIDE_ZERO


class Fmod(Elementwise):
    """``x - trunc(x / y) * y``, of the sign of x."""

    labels = ("FmodBackward1", "FmodBackward0", "FmodBackward1")
    forward = lambda xp, x, y: xp.fmod(x, y)
    d_x = 1
    d_y = lambda x, y: -_trunc(x / y)
    real_only = not_of_complex("fmod_cpu")
    samples = BETWEEN_STEPS


class Fmax(Elementwise):
    """The larger of x and y, of nan and a number the number; x has the slope in a tie."""

    forward = lambda xp, x, y: xp.fmax(x, y)
    flat_x = lambda x, y: ~((x >= y) | (y != y))
    flat_y = lambda x, y: (x >= y) | (y != y)
    real_only = not_of_complex("fmax_cpu")
    samples = [(((2, 3), (2, 3)), {}), (((2, 1), (3,)), {})]


class Fmin(Elementwise):
    """The smaller of x and y, of nan and a number the number; x has the slope in a tie."""

    forward = lambda xp, x, y: xp.fmin(x, y)
    flat_x = lambda x, y: ~((x <= y) | (y != y))
    flat_y = lambda x, y: (x <= y) | (y != y)
    real_only = not_of_complex("fmin_cpu")
    samples = [(((2, 3), (2, 3)), {}), (((2, 1), (3,)), {})]


def chosen(xp: Any, mask: Any, out: Any) -> Any:
    """1 where the mask holds, 0 elsewhere, as numbers like ``out``."""
    return xp.astype(mask, out.dtype)


class DivFloor(Elementwise):
    """``x / y`` rounded down; its slope is 0."""

    of_numbers = True
    forward = lambda xp, x, y: xp.floor_divide(x, y)
    d_x = d_y = 0
    real_only = not_of_complex("div_floor_cpu")
    samples = BETWEEN_STEPS


class DivTrunc(Elementwise):
    """``x / y`` rounded towards 0; its slope is 0."""

    of_numbers = True
    forward = lambda xp, x, y: trunc_divide(xp, x, y)
    d_x = d_y = 0
    real_only = not_of_complex("div_trunc_cpu")
    samples = BETWEEN_STEPS


def trunc_divide(xp: Any, x: Any, y: Any) -> Any:
    if any(hasattr(a, "dtype") and dtype_of(a).kind == "f" for a in (x, y)):
        return xp.trunc(x / y)
    whole = xp.floor_divide(x, y)  # of integers, exactly
    return whole + ((whole < 0) & (whole * y != x))


_rounded = {"floor": DivFloor("DivBackward2"), "trunc": DivTrunc("DivBackward2")}
DivFloor(), DivTrunc()


def rounded_div(input: Any, other: Any, rounding_mode: str, out: Tensor | None) -> Tensor:
    """``torch.div`` with a rounding mode."""
    if rounding_mode not in _rounded:
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
        )
    return general(_rounded[rounding_mode], (input, other), out)


class Ldexp(Elementwise):
    """``x * 2**y``."""

    forward = lambda xp, x, y: x * 2.0**y
    d_x = lambda y: 2.0**y
    d_y = lambda out: out * LN2
    floats = True
    wrong_out = "ldexp can't be cast to the desired output type {out}"
    samples = TWO


class Nextafter(Elementwise):
    """The next number after x on the way to y."""

    forward = lambda xp, x, y: xp.nextafter(x, y)
    d_x, d_y = 1, 0
    formula = False
    real_only = not_of_complex("nextafter_cpu")
    samples = TWO


atan2, hypot, copysign, fmod = binary(Atan2), binary(Hypot), binary(Copysign), binary(Fmod)
fmax, fmin, nextafter, ldexp = binary(Fmax), binary(Fmin), binary(Nextafter), binary(Ldexp)
logaddexp, logaddexp2 = binary(Logaddexp), binary(Logaddexp2)
export("arctan2", atan2, in_place=True)


@takes_out("the output given to float_power has dtype {out} but the operation's result requires dtype {result}")
def float_power(input: Any, exponent: Any, *, out: Tensor | None = None) -> Tensor:
    """``input ** exponent`` in double precision.

    Source: ``torch.float_power``.
    """

    def wide(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return complex(x) if isinstance(x, complex) else float(x)
        return table["Cast"](x, dtype=np.dtype(np.complex128 if x._dtype.kind == "c" else np.float64))

    x, y = wide(input), wide(exponent)
    if isinstance(y, complex) and isinstance(x, Tensor) and x._dtype.kind != "c":
        x = table["Cast"](x, dtype=np.dtype(np.complex128))
    result: Tensor = public["pow"](x, y)
    return result


export("float_power", float_power, in_place=True)
