"""More functions of numbers, entry by entry: of two and three arguments, of angles, of signs and bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays.namespace import dtype_of
from ..errors import explained
from ..lanes import general
from ..primitive import Elementwise, Primitive, table
from ..tensor import Tensor
from .extremes import return_type
from .kinds import attach, binary, export, no_kernel, public, unary
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
    samples = [(([[0.5, -1.25], [2.2, -0.7]],), {})]


_trunc: Primitive = Trunc()


class Frac(Elementwise):
    """What is left of x without its whole part, of the sign of x."""

    forward = lambda xp, x: x - xp.trunc(x)
    d_x = 1
    real_only = not_of_complex("frac_vml_cpu")
    samples = [(([[0.5, -1.25], [2.2, -0.7]],), {})]


exp2, deg2rad, rad2deg, frac = unary(Exp2), unary(Deg2Rad, "deg2rad"), unary(Rad2Deg, "rad2deg"), unary(Frac)
trunc = unary(Trunc)
export("fix", trunc, in_place=True)


# --- two arguments ----------------------------------------------------------------------------------------------


class Atan2(Elementwise):
    """The angle of the point (y, x): ``atan(x / y)`` with the quadrant, in (-π, π]."""

    forward = lambda xp, x, y: xp.atan2(x, y)
    d_x = lambda x, y: y / (x * x + y * y)
    d_y = lambda x, y: -x / (x * x + y * y)
    floats = True
    real_only = not_of_complex("atan2_cpu")
    samples = BESIDE_ZERO


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
    d_x = lambda xp, x, out: xp.exp(x - out)
    d_y = lambda xp, y, out: xp.exp(y - out)
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
    d_x = lambda x, out: _exp2(x - out)
    d_y = lambda y, out: _exp2(y - out)
    floats = True
    real_only = not_of_complex("logaddexp2_cpu")
    samples = TWO


_exp2: Primitive = Exp2()


class Copysign(Elementwise):
    """The size of x with the sign of y."""

    forward = lambda xp, x, y: xp.copysign(x, y)
    d_x = lambda xp, x, y, out: xp.where(x == 0, xp.zeros_like(out), xp.sign(x) * xp.sign(out))
    d_y = 0
    floats = True
    real_only = not_of_complex("copysign_cpu")
    samples = BESIDE_ZERO


class Fmod(Elementwise):
    """``x - trunc(x / y) * y``, of the sign of x."""

    forward = lambda xp, x, y: xp.fmod(x, y)
    d_x = 1
    d_y = lambda x, y: -_trunc(x / y)
    real_only = not_of_complex("fmod_cpu")
    samples = BETWEEN_STEPS


class Fmax(Elementwise):
    """The larger of x and y, of nan and a number the number; x has the slope in a tie."""

    forward = lambda xp, x, y: xp.fmax(x, y)
    d_x = lambda xp, x, y, out: chosen(xp, (x >= y) | (y != y), out)
    d_y = lambda xp, x, y, out: chosen(xp, ~((x >= y) | (y != y)), out)
    real_only = not_of_complex("fmax_cpu")
    samples = [(((2, 3), (2, 3)), {}), (((2, 1), (3,)), {})]


class Fmin(Elementwise):
    """The smaller of x and y, of nan and a number the number; x has the slope in a tie."""

    forward = lambda xp, x, y: xp.fmin(x, y)
    d_x = lambda xp, x, y, out: chosen(xp, (x <= y) | (y != y), out)
    d_y = lambda xp, x, y, out: chosen(xp, ~((x <= y) | (y != y)), out)
    real_only = not_of_complex("fmin_cpu")
    samples = [(((2, 3), (2, 3)), {}), (((2, 1), (3,)), {})]


def chosen(xp: Any, mask: Any, out: Any) -> Any:
    """1 where the mask holds, 0 elsewhere, as numbers like ``out``."""
    return xp.where(mask, xp.ones_like(out), xp.zeros_like(out))


class DivFloor(Elementwise):
    """``x / y`` rounded down; its slope is 0."""

    forward = lambda xp, x, y: xp.floor_divide(x, y)
    d_x = d_y = 0
    real_only = not_of_complex("div_floor_cpu")
    samples = BETWEEN_STEPS


class DivTrunc(Elementwise):
    """``x / y`` rounded towards 0; its slope is 0."""

    forward = lambda xp, x, y: trunc_divide(xp, x, y)
    d_x = d_y = 0
    real_only = not_of_complex("div_trunc_cpu")
    samples = BETWEEN_STEPS


def trunc_divide(xp: Any, x: Any, y: Any) -> Any:
    if any(hasattr(a, "dtype") and dtype_of(a).kind == "f" for a in (x, y)):
        return xp.trunc(x / y)
    whole = xp.floor_divide(x, y)  # of integers, exactly
    return whole + ((whole < 0) & (whole * y != x))


_rounded = {"floor": DivFloor("DivBackward1"), "trunc": DivTrunc("DivBackward1")}
DivFloor(), DivTrunc()


def rounded_div(input: Any, other: Any, rounding_mode: str, out: Tensor | None) -> Tensor:
    """``torch.div`` with a rounding mode."""
    if rounding_mode not in _rounded:
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
        )
    return general(_rounded[rounding_mode], (input, other), out)  # type: ignore[no-any-return]


class Ldexp(Elementwise):
    """``x * 2**y``."""

    forward = lambda xp, x, y: x * 2.0**y
    d_x = lambda y: 2.0**y
    d_y = lambda out: out * LN2
    floats = True
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
    result: Tensor = public["pow"](x, y, out=out)
    return result


export("float_power", float_power, in_place=True)


# --- three arguments ---------------------------------------------------------------------------------------------


class Lerp(Elementwise):
    """The point from x to y at ``weight``: x at 0, y at 1."""

    forward = lambda xp, x, y, weight: x + weight * (y - x)
    d_x = lambda weight: 1 - weight
    d_y = lambda weight: weight
    d_weight = lambda x, y: y - x
    samples = [(((2, 3), (2, 3), (2, 3)), {}), (((2, 1), (3,), ()), {}), (((2,), (2,), 0.3), {})]
    labels = None


class Addcmul(Elementwise):
    """``x + value * y * z``."""

    forward = lambda xp, x, y, z, *, value: x + value * (y * z)
    d_x = 1
    d_y = lambda z, value: z * value
    d_z = lambda y, value: y * value
    samples = [(((2, 3), (2, 3), (2, 3)), {"value": 1}), (((3,), (2, 1), (3,)), {"value": 0.5})]


class Addcdiv(Elementwise):
    """``x + value * y / z``."""

    forward = lambda xp, x, y, z, *, value: x + value * (y / z)
    d_x = 1
    d_y = lambda z, value: value / z
    d_z = lambda y, z, value: -value * (y / (z * z))
    samples = [(((2, 3), (2, 3), (2, 3)), {"value": 1}), (((3,), (2, 1), (3,)), {"value": 0.5})]


_lerp, _lerp_number, _addcmul, _addcdiv = Lerp("LerpBackward1"), Lerp("LerpBackward0"), Addcmul(), Addcdiv()
Lerp()


def lerp(input: Tensor, end: Tensor, weight: Any, *, out: Tensor | None = None) -> Tensor:
    """``input + weight * (end - input)``: ``input`` at weight 0, ``end`` at 1.

    Source: ``torch.lerp``.
    """
    if end._dtype != input._dtype:
        raise explained(RuntimeError(
            f"expected dtype {_c(input)} for `end` but got dtype {_c(end)}\nConvert one of them: end.to(input.dtype)."
        ))  # fmt: skip
    return general(_lerp if isinstance(weight, Tensor) else _lerp_number, (input, end, weight), out)  # type: ignore[no-any-return]


def _c(x: Tensor) -> str:
    return {"float32": "float", "float64": "double"}.get(x._dtype.name, x._dtype.name)


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1, out: Tensor | None = None) -> Tensor:
    """``input + value * tensor1 * tensor2``.

    Source: ``torch.addcmul``.
    """
    return general(_addcmul, (input, tensor1, tensor2), out, {"value": value})  # type: ignore[no-any-return]


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1, out: Tensor | None = None) -> Tensor:
    """``input + value * tensor1 / tensor2``.

    Source: ``torch.addcdiv``.
    """
    if all(t._dtype.kind in "iub" for t in (input, tensor1, tensor2)):
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will perform a true "
            "division of tensor1 and tensor2. The historic addcdiv behavior can be implemented as (input + value * "
            "torch.trunc(tensor1 / tensor2)).to(input.dtype) for integer inputs and as (input + value * tensor1 / tensor2) "
            "for float inputs. The future addcdiv behavior is just the latter implementation: (input + value * tensor1 / "
            "tensor2), for all dtypes."
        )
    return general(_addcdiv, (input, tensor1, tensor2), out, {"value": value})  # type: ignore[no-any-return]


export("lerp", lerp, in_place=True)
export("addcmul", addcmul, in_place=True)
export("addcdiv", addcdiv, in_place=True)


# --- what is not a number, steps ------------------------------------------------------------------------------------


class NanToNum(Elementwise):
    """nan and the infinities replaced by numbers."""

    forward = lambda xp, x, *, nan, posinf, neginf: replaced(xp, x, nan, posinf, neginf)
    d_x = lambda xp, x: chosen(xp, (x - x) == 0, x)
    real_only = not_of_complex("nan_to_num")
    samples = [(([[0.5, -1.25, 2.0]],), {"nan": 0.0, "posinf": 9.0, "neginf": -9.0})]


def replaced(xp: Any, x: Any, nan: float, posinf: float, neginf: float) -> Any:
    x = xp.where(x != x, xp.zeros_like(x) + nan, x)
    x = xp.where(x == math.inf, xp.zeros_like(x) + posinf, x)
    return xp.where(x == -math.inf, xp.zeros_like(x) + neginf, x)


_nan_to_num = NanToNum()


def nan_to_num(
    input: Tensor,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """nan replaced by ``nan``, and the infinities by ``posinf`` and ``neginf``: the largest numbers unless given.

    Source: ``torch.nan_to_num``.
    """
    d = input._dtype
    if d.kind in "iub":
        return input.clone()
    if d.kind == "c":
        parts = [nan_to_num(p, nan, posinf, neginf) for p in (input.real, input.imag)]
        return public["complex"](*parts)  # type: ignore[no-any-return]
    limit = float(np.finfo(d).max)
    params = {
        "nan": nan or 0.0,
        "posinf": limit if posinf is None else posinf,
        "neginf": -limit if neginf is None else neginf,
    }
    return general(_nan_to_num, (input,), out, params)  # type: ignore[no-any-return]


class Heaviside(Elementwise):
    """0 below 0, 1 above, and ``values`` at 0."""

    forward = lambda xp, x, values: xp.where(
        x == 0, values, xp.where(x > 0, xp.ones_like(x), xp.where(x != x, x, x * 0))
    )
    differentiable = False
    real_only = not_of_complex("heaviside_cpu")
    samples = [(([0.5, -1.0, 0.0], [2.0, 3.0, 4.0]), {})]


heaviside = binary(Heaviside)
export("nan_to_num", nan_to_num, in_place=True)


class Signbit(Elementwise):
    """Whether the sign is minus, also of -0."""

    forward = lambda xp, x: xp.signbit(x)
    formula = False
    samples = [(([0.5, -1.0, -0.0],), {})]


class IsFinite(Elementwise):
    """Whether an entry is a number, neither infinite nor nan."""

    forward = lambda xp, x: xp.isfinite(x)
    formula = False
    samples = [(([0.5, math.inf, math.nan],), {})]


class IsInf(Elementwise):
    """Whether an entry is infinite."""

    forward = lambda xp, x: xp.isinf(x)
    formula = False
    samples = [(([0.5, math.inf, math.nan],), {})]


class IsPosInf(Elementwise):
    """Whether an entry is +∞."""

    forward = lambda xp, x: x == math.inf
    formula = False
    samples = [(([0.5, math.inf, -math.inf],), {})]


class IsNegInf(Elementwise):
    """Whether an entry is -∞."""

    forward = lambda xp, x: x == -math.inf
    formula = False
    samples = [(([0.5, math.inf, -math.inf],), {})]


signbit = unary(Signbit, in_place=False)
isfinite, isinf = unary(IsFinite, "isfinite", in_place=False), unary(IsInf, "isinf", in_place=False)
isposinf, isneginf = unary(IsPosInf, "isposinf", in_place=False), unary(IsNegInf, "isneginf", in_place=False)


# --- logic, integers ---------------------------------------------------------------------------------------------


class LogicalNot(Elementwise):
    """Whether an entry is 0."""

    forward = lambda xp, x: x == 0
    formula = False
    samples = [(([0.5, 0.0],), {}), (([True, False],), {})]


class LogicalAnd(Elementwise):
    """Whether both are not 0."""

    forward = lambda xp, x, y: (x != 0) & (y != 0)
    samples = [(([0.5, 0.0, 1.0], [1.0, 1.0, 0.0]), {})]


class LogicalOr(Elementwise):
    """Whether one of them is not 0."""

    forward = lambda xp, x, y: (x != 0) | (y != 0)
    samples = [(([0.5, 0.0, 0.0], [1.0, 1.0, 0.0]), {})]


class LogicalXor(Elementwise):
    """Whether just one of them is not 0."""

    forward = lambda xp, x, y: (x != 0) ^ (y != 0)
    samples = [(([0.5, 0.0, 0.0], [1.0, 1.0, 0.0]), {})]


class Gcd(Elementwise):
    """The greatest common divisor of integers."""

    forward = lambda xp, x, y: xp.gcd(x, y)
    formula = False
    samples = [(([12, 18], [8, -27]), {})]


class Lcm(Elementwise):
    """The least common multiple of integers."""

    forward = lambda xp, x, y: xp.abs(xp.lcm(x, y))
    formula = False
    samples = [(([12, 18], [8, -27]), {})]


class BitwiseLeftShift(Elementwise):
    """``x << y`` of integers."""

    real_only, refused = no_kernel("lshift_cpu"), "fcb"
    forward = lambda xp, x, y: x << y
    formula = False
    samples = [(([12, 18], [2, 1]), {})]


class BitwiseRightShift(Elementwise):
    """``x >> y`` of integers."""

    real_only, refused = no_kernel("rshift_cpu"), "fcb"
    forward = lambda xp, x, y: x >> y
    formula = False
    samples = [(([12, 18], [2, 1]), {})]


logical_not, logical_and = unary(LogicalNot), binary(LogicalAnd)
logical_or, logical_xor, gcd, lcm = binary(LogicalOr), binary(LogicalXor), binary(Gcd), binary(Lcm)
bitwise_left_shift = binary(BitwiseLeftShift, operators=("__lshift__", "__rlshift__"))
bitwise_right_shift = binary(BitwiseRightShift, operators=("__rshift__", "__rrshift__"))


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether entries agree within ``atol + rtol * |other|``.

    Source: ``torch.isclose``.
    """
    if rtol < 0 or atol < 0:
        which, value = ("rtol", rtol) if rtol < 0 else ("atol", atol)
        raise RuntimeError(f"{which} must be greater than or equal to zero, but got {value}")
    if input._dtype != other._dtype:
        raise RuntimeError(f"{input.dtype} did not match {other.dtype}")
    x, y = input.detach(), other.detach()
    close: Tensor = x == y
    if equal_nan and x._dtype.kind in "fc":
        close = close | ((x != x) & (y != y))
    near = (x - y).abs() <= atol + (rtol * y).abs() if x._dtype.kind != "b" else close
    if x._dtype.kind in "fc":
        near = near & ((x - y) - (x - y) == 0)
    return close | near


def positive(input: Tensor) -> Tensor:
    """``+input``.

    Source: ``torch.positive``.
    """
    if input._dtype.kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


class FrexpExponent(Elementwise):
    """The power of 2 by which x is to be divided to have a size of 1/2 to 1."""

    forward = lambda xp, x: xp.frexp(x)[1]
    formula = False
    samples = ONE


_exponent = FrexpExponent()
_frexp = return_type("frexp", "mantissa", "exponent")


def frexp(input: Tensor) -> Any:
    """Mantissa, of size 1/2 to 1, and exponent: ``input == mantissa * 2**exponent``.

    Source: ``torch.frexp``.
    """
    if input._dtype.kind != "f":
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    exponent = _exponent(input)
    return _frexp(ldexp(input, -exponent), exponent)


export("isclose", isclose)
export("positive", positive)
export("frexp", frexp)
attach(__pos__=positive)
true_divide = export("true_divide", public["div"], in_place=True)
