"""Arithmetic and the functions that work entry by entry.

Slopes are written with the numbers 1, 2, not 1.0, so that they stay exact over symbols and keep the
dtype of the array over numbers.
"""

from __future__ import annotations

import operator
from typing import Any

from ..arrays import namespace as ns
from ..errors import explained
from ..primitive import Elementwise
from ..primitive import conj as conjugate
from ..tensor import Tensor
from .kinds import attach, binary, export, unary

# Samples are (arguments, parameters); an argument is a shape, or the numbers themselves.
ONE: Any = [(((2, 3),), {}), (((),), {}), (((0, 2),), {})]
POSITIVE: Any = [(([[0.5, 1.25, 2.0], [0.75, 3.0, 1.5]],), {}), ((0.6,), {})]
UNIT: Any = [(([[0.5, -0.25, 0.1], [-0.75, 0.3, 0.9]],), {}), ((0.6,), {})]
TWO: Any = [(((2, 3), (2, 3)), {}), (((2, 1), (3,)), {}), (((), (2, 3)), {}), (((2, 3), 1.5), {}), ((2, (3,)), {})]
BESIDE_ZERO: Any = [
    (([[0.5, -1.25], [2.0, -0.7]], [[1.5, -0.8], [-2.5, 0.6]]), {}),
    (([1.5, -2.0], 0.8), {}),
    ((2, [0.5, -4.0]), {}),
    (([[1.5], [-2.0]], [0.8, -0.45, 1.1]), {}),
]
WITH_TIES = [*TWO, (([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]], [[1.0, 3.0, 2.5], [0.5, -1.0, -2.0]]), {})]
BETWEEN_STEPS = [*BESIDE_ZERO[:2], ((2, [0.7, -3.0]), {}), BESIDE_ZERO[3]]

# --- arithmetic -------------------------------------------------------------------------------------


class Add(Elementwise):
    """``x + y``."""

    forward = lambda xp, x, y: x + y
    jointly_linear = True
    d_x, d_y = 1, 1
    scalar = "{x} + {y}"
    samples = TWO


add = binary(Add, operator.add, operators=("__add__", "__radd__"))


class Sub(Elementwise):
    """``x - y``."""

    forward = lambda xp, x, y: x - y
    jointly_linear = True
    d_x, d_y = 1, -1
    scalar = "{x} - {y}"
    labels = ("SubBackward0", "SubBackward0", "RsubBackward1")
    samples = TWO


sub = binary(Sub, operator.sub, operators=("__sub__", "__rsub__"))


class Mul(Elementwise):
    """``x * y``."""

    forward = lambda xp, x, y: x * y
    d_x = lambda y: y
    d_y = lambda x: x
    linear = ("x", "y")
    scalar = "{x} * {y}"
    samples = TWO


mul = binary(Mul, operator.mul, operators=("__mul__", "__rmul__"))


class Div(Elementwise):
    """``x / y``; integers are divided as floats."""

    forward = lambda xp, x, y: x / y
    d_x = lambda y: 1 / y
    d_y = lambda out, y: -out / y
    vjp_x = lambda xp, g, y: g / conjugate(xp, y)
    linear = ("x",)
    floats = True
    scalar = "{x} / {y}"
    samples = BESIDE_ZERO


div = binary(Div, operator.truediv, operators=("__truediv__", "__rtruediv__"))


def power(x: Any, y: Any) -> Any:
    if y.__class__ is int:  # x * x is exact where pow may not be, and quicker
        if y == 2:
            return x * x
        if y < 0 and x.dtype.kind in "iu":
            raise RuntimeError("Integers to negative integer powers are not allowed.")
    return x**y


class Pow(Elementwise):
    """``x ** y``; the slope in x at exponent 0 is 0, and in y at base 0 is 0 for y ≥ 0, as in PyTorch."""

    forward = lambda xp, x, y: power(x, y)
    d_x = lambda xp, x, y: pow_slope(xp, x, y)
    d_y = lambda xp, out, x, y: pow_log_slope(xp, out, x, y)
    scalar = "pow({x}, {y})"
    labels = ("PowBackward1", "PowBackward0", "PowBackward1")
    samples = [
        (([0.5, 1.25, 2.0], [1.5, -0.5, 3.0]), {}), (([[-0.5, 1.25]], 3), {}), (((2, 3), 2), {}), (((2,), 1), {}),
        (((2,), 0), {}), (([0.5, 2.0], -1.5), {}), ((2, (2, 3)), {}), (([1.5], [[2.0], [0.5]]), {}),
    ]  # fmt: skip


pow = binary(Pow, power, operators=("__pow__", "__rpow__"))


def pow_slope(xp: Any, x: Any, y: Any) -> Any:
    if y.__class__ is int or y.__class__ is float:
        if y == 2:
            return 2 * x
        return y * power(x, y - 1) if y else xp.zeros_like(x)
    return xp.where(y == 0, xp.zeros_like(y), y * x ** (y - 1))


def pow_log_slope(xp: Any, out: Any, x: Any, y: Any) -> Any:
    if type(x) in (int, float, complex):
        return out * xp.log(xp.asarray(x, dtype=out.dtype)) if x else xp.where(y >= 0, 0 * out, out * -xp.inf)
    if x.dtype.kind == "c":
        return xp.where(x == 0, xp.zeros_like(out), out * xp.log(x))
    positive = xp.where(x == 0, xp.ones_like(x), x)
    return xp.where((x == 0) & (y >= 0), xp.zeros_like(out), out * xp.log(positive))


class Neg(Elementwise):
    """``-x``."""

    forward = lambda xp, x: -x
    jointly_linear = True
    d_x = -1
    scalar = "-{x}"
    samples = ONE


neg = unary(Neg, operator="__neg__")


class Abs(Elementwise):
    """``|x|``, with slope 0 at 0; for complex x the modulus."""

    forward = lambda xp, x: xp.abs(x)
    d_x = lambda xp, x: xp.sign(x)
    vjp_x = lambda xp, g, x: g * xp.sign(x)
    jvp_x = lambda xp, t, x: xp.real(t * xp.conj(xp.sign(x))) if x.dtype.kind == "c" else t * xp.sign(x)
    scalar = "abs({x})"
    samples = [(([[0.5, -1.25], [2.0, -0.7]],), {}), ((-0.5,), {})]


abs = unary(Abs, operator="__abs__")


class Reciprocal(Elementwise):
    """``1 / x``."""

    forward = lambda xp, x: 1 / x
    d_x = lambda out: -(out * out)
    floats = True
    scalar = "1 / {x}"
    samples = [(([[0.5, -1.25], [2.0, -0.7]],), {})]


reciprocal = unary(Reciprocal)


class Maximum(Elementwise):
    """The larger of x and y; a tie shares the slope, nan wins."""

    forward = lambda xp, x, y: xp.maximum(x, y)
    d_x = lambda xp, x, y: share(xp, x > y, x == y, x)
    d_y = lambda xp, x, y: share(xp, y > x, x == y, y)
    scalar = "max({x}, {y})"
    samples = [(((2, 3), (2, 3)), {}), (((2, 1), (3,)), {})]


maximum = binary(Maximum)


class Minimum(Elementwise):
    """The smaller of x and y; a tie shares the slope, nan wins."""

    forward = lambda xp, x, y: xp.minimum(x, y)
    d_x = lambda xp, x, y: share(xp, x < y, x == y, x)
    d_y = lambda xp, x, y: share(xp, y < x, x == y, y)
    scalar = "min({x}, {y})"
    samples = [(((2, 3), (2, 3)), {}), (((2, 1), (3,)), {})]


minimum = binary(Minimum)


def share(xp: Any, wins: Any, ties: Any, like: Any) -> Any:
    """1 where it wins, 1/2 where it ties, 0 elsewhere."""
    return xp.astype(wins, like.dtype) + xp.astype(ties, like.dtype) / 2


class Remainder(Elementwise):
    """``x - floor(x / y) * y``, of the sign of y."""

    forward = lambda xp, x, y: xp.remainder(x, y)
    d_x = 1
    d_y = lambda xp, x, y: -xp.floor(x / y)
    samples = BETWEEN_STEPS


remainder = binary(Remainder, operators=("__mod__", "__rmod__"))


class FloorDivide(Elementwise):
    """``floor(x / y)``; its slope is 0 almost everywhere and PyTorch gives it none."""

    forward = lambda xp, x, y: xp.floor_divide(x, y)
    samples = BETWEEN_STEPS


floor_divide = binary(FloorDivide, operators=("__floordiv__", "__rfloordiv__"))

# --- exponentials and roots ---------------------------------------------------------------------------


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
    d_x = lambda x: 1 / x
    floats = True
    scalar = "log({x})"
    samples = POSITIVE


log = unary(Log)


class Log1p(Elementwise):
    """``log(1 + x)``, exact near 0."""

    forward = lambda xp, x: xp.log1p(x)
    d_x = lambda x: 1 / (x + 1)
    floats = True
    scalar = "log1p({x})"
    samples = POSITIVE


log1p = unary(Log1p)


class Log2(Elementwise):
    """The logarithm to base 2."""

    forward = lambda xp, x: xp.log2(x)
    d_x = lambda xp, x: 1 / (x * xp.log(xp.asarray(2, dtype=x.dtype)))
    floats = True
    scalar = "log2({x})"
    samples = POSITIVE


log2 = unary(Log2)


class Log10(Elementwise):
    """The logarithm to base 10."""

    forward = lambda xp, x: xp.log10(x)
    d_x = lambda xp, x: 1 / (x * xp.log(xp.asarray(10, dtype=x.dtype)))
    floats = True
    scalar = "log10({x})"
    samples = POSITIVE


log10 = unary(Log10)


class Sqrt(Elementwise):
    """The square root; its slope at 0 is infinite."""

    forward = lambda xp, x: xp.sqrt(x)
    d_x = lambda out: 1 / (2 * out)
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

# --- circular and hyperbolic --------------------------------------------------------------------------


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
    d_x = lambda x: 1 / (1 + x * x)
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
    d_x = lambda xp, x: 1 / (xp.sqrt(x - 1) * xp.sqrt(x + 1))
    floats = True
    samples = [(([1.5, 2.25, 4.0],), {})]


acosh = unary(Acosh)


class Atanh(Elementwise):
    """The inverse hyperbolic tangent, for |x| < 1."""

    forward = lambda xp, x: xp.atanh(x)
    d_x = lambda x: 1 / (1 - x * x)
    floats = True
    samples = UNIT


atanh = unary(Atanh)

# --- choice and steps -----------------------------------------------------------------------------------


class Where(Elementwise):
    """x where the condition holds, else y; the branch not taken gets a zero cotangent."""

    forward = lambda xp, c, x, y: xp.where(c, x, y)
    vjp_x = lambda xp, g, c: xp.where(c, g, xp.zeros_like(g))
    vjp_y = lambda xp, g, c: xp.where(c, xp.zeros_like(g), g)
    jvp_x = lambda xp, t, c, out: xp.where(c, t, xp.zeros_like(t))
    jvp_y = lambda xp, t, c, out: xp.where(c, xp.zeros_like(t), t)
    scalar = "{x} if {c} else {y}"
    samples = [
        (([[True, False, True]], (2, 3), (2, 3)), {}), (([True, False, True], (2, 1), ()), {}),
        (([True, False], (2,), 0), {}),
    ]  # fmt: skip

    def prepare(self, arrays: Any, params: Any) -> Any:
        return (arrays[0], *super().prepare(arrays[1:], params))


Where()


class Sign(Elementwise):
    """-1, 0 or 1."""

    forward = lambda xp, x: xp.sign(x)
    d_x = 0
    scalar = "sign({x})"
    samples = [(([[0.5, -1.25], [2.0, -0.7]],), {})]


sign = unary(Sign)


class Sgn(Elementwise):
    """``x / |x|``, the sign of a complex number; 0 at 0."""

    forward = lambda xp, x: xp.sign(x)
    vjp_x = lambda xp, g, x, out: turning(xp, g, x, out)
    jvp_x = lambda xp, t, x, out: turning(xp, t, x, out)
    samples = [(([0.5 + 0.25j, -1.25 - 2j],), {}), ((-0.5 + 1j,), {})]


sgn = unary(Sgn)


def turning(xp: Any, v: Any, x: Any, out: Any) -> Any:
    """The part of v at right angles to out, by the size of x: moving along out changes no direction."""
    size = xp.abs(x)
    across = v - out * xp.real(xp.conj(out) * v)
    return xp.where(size == 0, xp.zeros_like(v), across / xp.where(size == 0, xp.ones_like(size), size))


class Floor(Elementwise):
    """The largest integer not above x."""

    forward = lambda xp, x: xp.floor(x)
    d_x = 0
    scalar = "floor({x})"
    samples = [(([[0.5, -1.25], [2.2, -0.7]],), {})]


floor = unary(Floor)


class Ceil(Elementwise):
    """The smallest integer not below x."""

    forward = lambda xp, x: xp.ceil(x)
    d_x = 0
    scalar = "ceil({x})"
    samples = [(([[0.5, -1.25], [2.2, -0.7]],), {})]


ceil = unary(Ceil)


class Round(Elementwise):
    """The nearest integer, halves to even."""

    forward = lambda xp, x: xp.round(x)
    d_x = 0
    scalar = "rint({x})"
    samples = [(([[0.6, -1.25], [2.2, -0.7]],), {})]


round = unary(Round)


class Clone(Elementwise):
    """A copy with memory of its own."""

    forward = lambda xp, x: +x if hasattr(x, "dtype") and x.dtype.kind != "b" else xp.asarray(x, copy=True)
    jointly_linear = True
    d_x = 1
    scalar = "{x}"
    samples = ONE


Clone()


class _InPlaceOfX(Elementwise):
    """y in x's shape and dtype, whatever they are."""

    def prepare(self, arrays: Any, params: Any) -> Any:
        return arrays

    def batch(self, size: int, arrays: Any, batched: Any, params: Any) -> Any:
        x, y = arrays
        if not batched[0]:
            x = ns.boxes.broadcast_to(x, (size, *x.shape))
        return super().batch(size, (x, y), (True, batched[1]), params)


class Fill(_InPlaceOfX):
    """Every entry replaced by one number."""

    forward = lambda xp, x, y: xp.broadcast_to(xp.astype(xp.asarray(y), x.dtype), x.shape) + xp.zeros_like(x)
    jointly_linear = True
    d_x, d_y = 0, 1
    samples = [(((2, 3), 1.5), {}), (((2, 3), ()), {})]


Fill()


class Copy(_InPlaceOfX):
    """y in the place of x: what ``x.copy_(y)`` records."""

    forward = lambda xp, x, y: xp.astype(xp.broadcast_to(y, x.shape), x.dtype)
    jointly_linear = True
    d_x, d_y = 0, 1
    samples = [(((2, 3), (3,)), {})]


Copy()

# --- comparison and logic: values without slopes ----------------------------------------------------------


class Eq(Elementwise):
    """``x == y``."""

    forward = lambda xp, x, y: x == y
    scalar = "{x} == {y}"
    samples = WITH_TIES


eq = binary(Eq, operators=("__eq__",))


class Ne(Elementwise):
    """``x != y``."""

    forward = lambda xp, x, y: x != y
    scalar = "{x} != {y}"
    samples = WITH_TIES


ne = binary(Ne, operators=("__ne__",))


class Lt(Elementwise):
    """``x < y``."""

    forward = lambda xp, x, y: x < y
    scalar = "{x} < {y}"
    samples = WITH_TIES


lt = binary(Lt, operators=("__lt__",))


class Le(Elementwise):
    """``x <= y``."""

    forward = lambda xp, x, y: x <= y
    scalar = "{x} <= {y}"
    samples = WITH_TIES


le = binary(Le, operators=("__le__",))


class Gt(Elementwise):
    """``x > y``."""

    forward = lambda xp, x, y: x > y
    scalar = "{x} > {y}"
    samples = WITH_TIES


gt = binary(Gt, operators=("__gt__",))


class Ge(Elementwise):
    """``x >= y``."""

    forward = lambda xp, x, y: x >= y
    scalar = "{x} >= {y}"
    samples = WITH_TIES


ge = binary(Ge, operators=("__ge__",))


class IsNan(Elementwise):
    """Whether an entry is nan."""

    forward = lambda xp, x: x != x
    scalar = "{x} != {x}"
    samples = [*ONE, (([[float("nan"), 1.0, 2.0]],), {})]


isnan = unary(IsNan, "isnan", in_place=False)


class BitwiseAnd(Elementwise):
    """``x & y`` of integers or truth values."""

    forward = lambda xp, x, y: x & y
    scalar = "{x} & {y}"
    samples = [(([True, False, True], [True, True, False]), {})]


bitwise_and = binary(BitwiseAnd, operators=("__and__", "__rand__"))


class BitwiseOr(Elementwise):
    """``x | y`` of integers or truth values."""

    forward = lambda xp, x, y: x | y
    scalar = "{x} | {y}"
    samples = [(([True, False, True], [True, True, False]), {})]


bitwise_or = binary(BitwiseOr, operators=("__or__", "__ror__"))


class BitwiseXor(Elementwise):
    """``x ^ y`` of integers or truth values."""

    forward = lambda xp, x, y: x ^ y
    scalar = "{x} ^ {y}"
    samples = [(([True, False, True], [True, True, False]), {})]


bitwise_xor = binary(BitwiseXor, operators=("__xor__", "__rxor__"))


class BitwiseNot(Elementwise):
    """``~x``: not, for truth values."""

    forward = lambda xp, x: ~x
    scalar = "not {x}"
    samples = [(([True, False, True],), {})]


bitwise_not = unary(BitwiseNot, operator="__invert__")

# --- complex numbers and dtypes -----------------------------------------------------------------------------


class Conj(Elementwise):
    """The complex conjugate."""

    forward = lambda xp, x: xp.conj(x)
    jointly_linear = True
    vjp_x = lambda xp, g: xp.conj(g)
    jvp_x = lambda xp, t: xp.conj(t)
    samples = ONE


conj = unary(Conj, in_place=False)


class Real(Elementwise):
    """The real part."""

    forward = lambda xp, x: xp.real(x)
    jointly_linear = True
    vjp_x = lambda xp, g: g
    jvp_x = lambda xp, t: xp.real(t)
    samples = ONE


real = unary(Real, in_place=False)


class Imag(Elementwise):
    """The imaginary part."""

    forward = lambda xp, x: xp.imag(x)
    jointly_linear = True
    vjp_x = lambda xp, g: g * 1j
    jvp_x = lambda xp, t: xp.imag(t)
    samples = [(([1.5 - 0.5j, 0.25 + 2j],), {})]


_imag = unary(Imag, "imag", in_place=False)


def imag(input: Tensor) -> Tensor:
    """The imaginary part of a complex tensor.

    Source: ``torch.imag``.
    """
    if input._dtype.kind != "c":
        raise explained(RuntimeError("imag is not implemented for tensors with non-complex dtypes.\nThe imaginary part of a real "
                           "number is 0: torch.zeros_like(x)."))  # fmt: skip
    return _imag(input)


export("imag", imag)
attach(real=property(real), imag=property(imag))


class Cast(Elementwise):
    """x in another dtype; the cotangent comes back in x's own."""

    forward = lambda xp, x, *, dtype: xp.astype(x, dtype)
    jointly_linear = True
    vjp_x = lambda xp, g: g
    jvp_x = lambda xp, t, dtype: xp.astype(t, dtype)
    scalar = "cast({x})"
    samples = [(((2, 3),), {"dtype": "float64"})]

    def prepare(self, arrays: Any, params: Any) -> Any:
        return arrays

    def batch(self, size: int, arrays: Any, batched: Any, params: Any) -> Any:
        return self(*arrays, **params)


Cast()
