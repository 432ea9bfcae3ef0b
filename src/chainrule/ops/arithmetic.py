"""Arithmetic, entry by entry.

Slopes are written with the numbers 1, 2, not 1.0, so that they stay exact over symbols and keep the dtype of the array
over numbers.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .. import dtypes, errors
from ..arrays.namespace import dtype_of, namespace
from ..errors import explained
from ..lanes import general
from ..outputs import CASTS, FOUND, takes_out
from ..primitive import Elementwise
from ..tensor import Tensor
from .kinds import attach, binary, export, in_place_of, no_kernel, public, unary
from .samples import BESIDE_ZERO, ONE, TWO
from .whole import whole


class Add(Elementwise):
    """``x + y``."""

    of_numbers = True
    forward = lambda xp, x, y: x + y
    commutes = jointly_linear = True
    d_x, d_y = 1, 1
    scalar = "{x} + {y}"
    samples = TWO


add = binary(Add, operator.add, operators=("__add__", "__radd__"))


class Sub(Elementwise):
    """``x - y``."""

    of_numbers = True
    forward = lambda xp, x, y: x - y
    jointly_linear = True
    d_x, d_y = 1, -1
    scalar = "{x} - {y}"
    labels = ("SubBackward0", "SubBackward0", "RsubBackward1")
    samples = TWO

    def prepare(self, arrays: Any, params: Any) -> Any:
        truths = [hasattr(a, "shape") and dtype_of(a).kind == "b" for a in arrays]
        if any(truths):
            raise RuntimeError(
                "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
                "operator instead." if all(truths) else
                "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, "
                "use the `~` or `logical_not()` operator instead."
            )  # fmt: skip
        return super().prepare(arrays, params)


sub = binary(Sub, operator.sub, operators=("__sub__", "__rsub__"))


class Mul(Elementwise):
    """``x * y``."""

    of_numbers = True
    forward = lambda xp, x, y: x * y
    d_x = lambda y: y
    d_y = lambda x: x
    commutes = True
    linear = ("x", "y")
    scalar = "{x} * {y}"
    samples = TWO


mul = binary(Mul, operator.mul, operators=("__mul__", "__rmul__"))


class Div(Elementwise):
    """``x / y``; integers are divided as floats."""

    of_numbers = True
    forward = lambda xp, x, y: x / y
    per_x = lambda y: y
    d_y = lambda out, y: -out / y
    undoes = "Mul"
    linear = ("x",)
    floats = True
    scalar = "{x} / {y}"
    samples = BESIDE_ZERO


_true_div = binary(Div, operator.truediv, operators=("__truediv__",))


def div(input: Any, other: Any, *, rounding_mode: str | None = None, out: Tensor | None = None) -> Tensor:
    """``input / other``, broadcast; with ``rounding_mode`` "trunc" or "floor" rounded towards 0, or down.

    Source: ``torch.div``.
    """
    if rounding_mode is None:
        return _true_div(input, other, out=out)
    from .pointwise import rounded_div

    return rounded_div(input, other, rounding_mode, out)


export("div", div, in_place=True)


def power(x: Any, y: Any) -> Any:
    """``x**y``, with PyTorch's ways for common numbers y: exact where a general power may not be, and quicker."""
    if y.__class__ is int or y.__class__ is float:
        if y == 2:
            return x * x
        if y == 3:
            return x * x * x
        if y > 1:
            return x**y
        if y == 0.5 or y == -0.5:
            root = namespace((x,)).sqrt(x)
            return root if y > 0 else 1 / root
        if y == -1 or y == -2:
            return 1 / (x if y == -1 else x * x)
    if type(y) is np.ndarray and y.dtype.kind == "i" and (type(x) is int or x.dtype.kind in "iu") and (y < 0).any():
        inverse = np.where(x == 1, 1, np.where(x == -1, 1 - 2 * (y % 2), 0))  # 1 / x**-y towards 0
        return np.where(y < 0, inverse, x ** np.maximum(y, 0))
    return x**y


class Pow(Elementwise):
    """``x ** y``; the slope in x at exponent 0 is 0, and in y at base 0 is 0 for y ≥ 0, as in PyTorch."""

    forward = lambda xp, x, y: power(x, y)
    d_x = lambda xp, x, y: pow_slope(xp, x, y)
    d_y = lambda xp, out, x, y: pow_log_slope(xp, out, x, y)
    scalar = "pow({x}, {y})"
    labels = ("PowBackward1", "PowBackward0", "PowBackward2")
    samples = [
        (([0.5, 1.25, 2.0], [1.5, -0.5, 3.0]), {}), (([[-0.5, 1.25]], 3), {}), (((2, 3), 2), {}), (((2,), 1), {}),
        (((2,), 0), {}), (([0.5, 2.0], -1.5), {}), ((2, (2, 3)), {}), (([1.5], [[2.5], [0.5]]), {}),
    ]  # fmt: skip

    def prepare(self, arrays: Any, params: Any) -> Any:
        x, y = arrays
        if type(y) is int and hasattr(x, "shape") and dtype_of(x).kind in "iu":
            dtypes.number_as(y, dtype_of(x))  # exponents do not wrap as other numbers do
            if y < 0:
                raise RuntimeError("Integers to negative integer powers are not allowed.")
        return super().prepare(arrays, params)

    def flow(self, xp: Any, tangents: Any, out: Any, arrays: Any, params: Any) -> Any:
        along_x, along_y = tangents
        if along_x is None:
            return self.jvp(xp, tangents, out, arrays, params)
        t = along_x * pow_flow(xp, out, *arrays)
        t = t if t.shape == out.shape else xp.broadcast_to(t, out.shape)
        return t if along_y is None else t + self.jvp(xp, (None, along_y), out, arrays, params)


pow = binary(Pow, power, operators=("__pow__", "__rpow__"))


def pow_slope(xp: Any, x: Any, y: Any) -> Any:
    if y.__class__ is int or y.__class__ is float or y.__class__ is complex:
        if y == 2:
            return 2 * x
        return y * power(x, y - 1) if y else xp.zeros_like(x)
    return xp.where(y == 0, xp.zeros_like(y), y * x ** (y - 1))


def pow_flow(xp: Any, out: Any, x: Any, y: Any) -> Any:
    """The slope in x by ``y * out / x``, which needs no other power of x, unless x may be 0."""
    if isinstance(y, (int, float)):
        if y in (0, 1):
            return (xp.ones_like if y else xp.zeros_like)(x)
        if 0 < y < 1 << 16 and y == int(y):
            return y * whole_power(x, int(y) - 1)
        return y * (power(x, y - 1) if y > 0 else out / x)
    by_out = y * out / x
    return by_out if isinstance(y, complex) else xp.where(x == 0, pow_slope(xp, x, y), by_out)


def whole_power(x: Any, n: int) -> Any:
    """``x ** n`` for n ≥ 1, by squaring."""
    if n == 1:
        return x
    even = whole_power(x * x, n // 2)
    return even * x if n % 2 else even


def pow_log_slope(xp: Any, out: Any, x: Any, y: Any) -> Any:
    grows = (xp.real(y) if out.dtype.kind == "c" else y) >= 0
    if type(x) in (int, float, complex):
        return out * xp.log(xp.asarray(x, dtype=out.dtype)) if x else xp.where(grows, 0 * out, out * -xp.inf)
    flat = (x == 0) & grows
    return xp.where(flat, xp.zeros_like(out), out * xp.log(xp.where(flat, xp.ones_like(x), x)))


class Neg(Elementwise):
    """``-x``."""

    forward = lambda xp, x: -x
    jointly_linear = True
    d_x = -1
    scalar = "-{x}"
    wrong_out = FOUND
    samples = ONE

    def prepare(self, arrays: Any, params: Any) -> Any:
        if dtype_of(arrays[0]).kind == "b":
            raise RuntimeError(
                "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the "
                "`~` or `logical_not()` operator instead."
            )
        return super().prepare(arrays, params)


neg = unary(Neg, operator="__neg__")


class Abs(Elementwise):
    """``|x|``, with slope 0 at 0; for complex x the modulus."""

    forward = lambda xp, x: xp.abs(x)
    d_x = lambda xp, x: xp.sign(x)
    vjp_x = lambda xp, g, x: g * xp.sign(x)
    jvp_x = lambda xp, t, x: xp.real(t * xp.conj(xp.sign(x))) if x.dtype.kind == "c" else t * xp.sign(x)
    scalar = "abs({x})"
    wrong_out = FOUND
    samples = [(([[0.5, -1.25], [2.0, -0.7]],), {}), ((-0.5,), {})]

    def prepare(self, arrays: Any, params: Any) -> Any:
        if dtype_of(arrays[0]).kind == "b":
            raise errors.not_of_complex(no_kernel("abs_cpu"), dtype_of(arrays[0]))
        return super().prepare(arrays, params)


abs = unary(Abs, operator="__abs__")


def _sizes(input: Tensor) -> Tensor:
    if input.is_complex():
        raise explained(
            RuntimeError("In-place abs is not supported for complex tensors.\nSizes are real: write r = z.abs().")
        )
    return abs(input)


attach(abs_=in_place_of(_sizes, "abs"))


class Sign(Elementwise):
    """-1, 0 or 1."""

    real_only = NotImplementedError(
        "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead."
    )
    forward = lambda xp, x: xp.sign(x)
    d_x = 0
    scalar = "sign({x})"
    wrong_out = FOUND
    samples = [(([[0.5, -1.25], [2.0, -0.7]],), {})]


sign = unary(Sign)


class Reciprocal(Elementwise):
    """``1 / x``."""

    forward = lambda xp, x: 1 / x
    d_x = lambda out: -(out * out)
    floats = True
    scalar = "1 / {x}"
    samples = [(([[0.5, -1.25], [2.0, -0.7]],), {})]


reciprocal = unary(Reciprocal)
_divided = lambda self, other: reciprocal(self) * other  # as PyTorch has it, in the last digit and the graph
attach(__rtruediv__=_divided, __rdiv__=_divided)


class AddScaled(Elementwise):
    """``x + alpha * y``."""

    of_numbers = True
    forward = lambda xp, x, y, *, alpha: x + alpha * y
    d_x, d_y = 1, lambda alpha: alpha
    jointly_linear = True
    samples = [(((2, 3), (2, 3)), {"alpha": 2.0}), (((2, 3), (3,)), {"alpha": -0.5})]


def _with_alpha(name: str, sign: int, label: str) -> Any:
    lane, prim = public[name], AddScaled(label)

    def scaled(input: Any, other: Any, *, alpha: float = 1, out: Any = None) -> Any:
        if alpha == 1:
            return lane(input, other, out=out)
        _check_alpha(alpha, input, other)
        return general(prim, (input, other), out, {"alpha": sign * alpha})

    scaled.__name__ = scaled.__qualname__ = name
    scaled.__doc__ = str(lane.__doc__).replace("\n\n", "  ``other`` counts ``alpha`` times.\n\n", 1)
    return export(name, scaled, in_place=True)


def _check_alpha(alpha: Any, *arguments: Any) -> None:
    kinds = {a._dtype.kind for a in arguments if isinstance(a, Tensor)}
    if isinstance(alpha, complex) and "c" not in kinds:
        raise RuntimeError("For non-complex input tensors, argument alpha must not be a complex number.")
    if isinstance(alpha, float) and kinds <= set("iub"):
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")


AddScaled()
add, sub = _with_alpha("add", 1, "AddBackward0"), _with_alpha("sub", -1, "SubBackward0")

_rsub = Sub("RsubBackward0")


@whole("RsubBackward0")
def _rsub_scaled(other: Any, input: Tensor, alpha: float) -> Any:
    return public["sub"](other, input, alpha=alpha)


def rsub(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """``other - alpha * input``.

    Source: ``torch.rsub``.

    >>> import chainrule as torch
    >>> torch.rsub(torch.tensor([1.0, 2.0]), 10)
    tensor([9., 8.])
    """
    _check_alpha(alpha, input, other)
    return general(_rsub, (other, input), None, {}) if alpha == 1 else _rsub_scaled(other, input, alpha)


export("rsub", rsub, method=False)

addcmul_ = in_place_of(lambda x, tensor1, tensor2, *, value=1: x + value * tensor1 * tensor2, "addcmul")

addcdiv_ = in_place_of(lambda x, tensor1, tensor2, *, value=1: x + value * tensor1 / tensor2, "addcdiv")


@takes_out(CASTS)
def square(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """``input ** 2``.

    Source: ``torch.square``.
    """
    return input**2


export("square", square, in_place=True)
attach(addcmul_=addcmul_, addcdiv_=addcdiv_)
