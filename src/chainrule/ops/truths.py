"""What is finite, and what is true; integers and their bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays.namespace import dtype_of
from ..lanes import general
from ..outputs import takes_out
from ..primitive import Elementwise
from ..tensor import Tensor
from .extremes import return_type
from .kinds import attach, binary, export, no_kernel, public, unary
from .pointwise import chosen, ldexp, not_of_complex
from .samples import ONE
from .whole import whole


class NanToNum(Elementwise):
    """nan and the infinities replaced by numbers."""

    forward = lambda xp, x, *, nan, posinf, neginf: replaced(xp, x, nan, posinf, neginf)
    d_x = lambda xp, x: chosen(xp, (x - x) == 0, x)
    real_only = not_of_complex("nan_to_num")
    samples = [(([[0.5, -1.25, 2.0]],), {"nan": 0.0, "posinf": 9.0, "neginf": -9.0})]


_LARGEST = {name: float(np.finfo(name).max) for name in ("float32", "float64")}


def replaced(xp: Any, x: Any, nan: float, posinf: float, neginf: float) -> Any:
    if hasattr(xp, "nan_replaced") and posinf == -neginf == _LARGEST.get(dtype_of(x).name):
        return xp.nan_replaced(xp.between(x, neginf, posinf), nan)
    x = xp.where(x != x, xp.zeros_like(x) + nan, x)
    if posinf == -neginf == _LARGEST.get(dtype_of(x).name):
        return xp.minimum(xp.maximum(x, neginf), posinf)
    x = xp.where(x == math.inf, xp.zeros_like(x) + posinf, x)
    return xp.where(x == -math.inf, xp.zeros_like(x) + neginf, x)


_nan_to_num = NanToNum()


@takes_out("nan_to_num: dtype of out: {out} should be same as input: {result}")
def nan_to_num(
    input: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None, *,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """nan replaced by ``nan``, and the infinities by ``posinf`` and ``neginf``: the largest numbers unless given.

    Source: ``torch.nan_to_num``.
    """
    d = input._dtype
    if d.kind in "iub":
        return input.clone()
    if d.kind == "c":
        parts = [nan_to_num(p, nan, posinf, neginf) for p in (input.real, input.imag)]
        return public["complex"](*parts)
    limit = float(np.finfo(d).max)
    params = {
        "nan": nan or 0.0,
        "posinf": limit if posinf is None else posinf,
        "neginf": -limit if neginf is None else neginf,
    }
    return general(_nan_to_num, (input,), params=params)


class Heaviside(Elementwise):
    """0 below 0, 1 above, and ``values`` at 0."""

    forward = lambda xp, x, values: xp.where(
        x == 0, values, xp.where(x > 0, xp.ones_like(x), xp.where(x != x, x, x * 0))
    )
    differentiable = False
    real_only = not_of_complex("heaviside_cpu")
    wrong_out = "heaviside is not yet implemented for tensors with different dtypes."
    samples = [(([0.5, -1.0, 0.0], [2.0, 3.0, 4.0]), {})]


heaviside = binary(Heaviside)
export("nan_to_num", nan_to_num, in_place=True)


class Signbit(Elementwise):
    """Whether the sign is minus, also of -0."""

    forward = lambda xp, x: xp.signbit(x)
    formula = False
    wrong_out = "signbit does not support non-boolean outputs."
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
    wrong_out = "isposinf does not support non-boolean outputs."
    samples = [(([0.5, math.inf, -math.inf],), {})]


class IsNegInf(Elementwise):
    """Whether an entry is -∞."""

    forward = lambda xp, x: x == -math.inf
    formula = False
    wrong_out = "isneginf does not support non-boolean outputs."
    samples = [(([0.5, math.inf, -math.inf],), {})]


signbit = unary(Signbit, in_place=False)
isfinite, isinf = unary(IsFinite, "isfinite", in_place=False), unary(IsInf, "isinf", in_place=False)
isposinf, isneginf = unary(IsPosInf, "isposinf", in_place=False), unary(IsNegInf, "isneginf", in_place=False)


# --- logic, integers ---


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

    real_only, refused = no_kernel("gcd_cpu"), "fcb"
    forward = lambda xp, x, y: xp.gcd(x, y)
    formula = False
    samples = [(([12, 18], [8, -27]), {})]


class Lcm(Elementwise):
    """The least common multiple of integers."""

    real_only, refused = no_kernel("lcm_cpu"), "fcb"
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


@whole("FrexpBackward0")
@takes_out("torch.frexp() expects mantissa to have dtype {c_result} but got {c_out}")
def frexp(input: Tensor, *, out: Any = None) -> Any:
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
