"""Functions of each element, under the standard's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ops import find, functions, public
from ..tensor import Tensor
from .types import aligned


def _one(name: str, ours: str = "") -> Callable[[Tensor], Tensor]:
    ours = ours or name
    function = find(ours) if ours in functions else public[ours]

    def called(x: Tensor, /) -> Tensor:
        return function(x)

    called.__name__ = called.__qualname__ = name
    called.__doc__ = f":func:`chainrule.{ours}` of each element."
    return called


def _two(name: str, ours: str = "") -> Callable[[Any, Any], Tensor]:
    ours = ours or name
    function = find(ours) if ours in functions else public[ours]

    def called(x1: Any, x2: Any, /) -> Tensor:
        return function(*aligned(x1, x2))

    called.__name__ = called.__qualname__ = name
    called.__doc__ = f":func:`chainrule.{ours}` of two arrays, or of an array and a number, which broadcast."
    return called


abs = _one("abs")
acos = _one("acos")
acosh = _one("acosh")
asin = _one("asin")
asinh = _one("asinh")
atan = _one("atan")
atanh = _one("atanh")
bitwise_invert = _one("bitwise_invert", "bitwise_not")
ceil = _one("ceil")
conj = _one("conj")
cos = _one("cos")
cosh = _one("cosh")
exp = _one("exp")
expm1 = _one("expm1")
floor = _one("floor")
imag = _one("imag")
isfinite = _one("isfinite")
isinf = _one("isinf")
isnan = _one("isnan")
log = _one("log")
log10 = _one("log10")
log1p = _one("log1p")
log2 = _one("log2")
logical_not = _one("logical_not")
negative = _one("negative", "neg")
positive = _one("positive")
real = _one("real")
reciprocal = _one("reciprocal")
signbit = _one("signbit")
sin = _one("sin")
sinh = _one("sinh")
sqrt = _one("sqrt")
square = _one("square")
tan = _one("tan")
tanh = _one("tanh")
trunc = _one("trunc")

add = _two("add")
atan2 = _two("atan2")
bitwise_and = _two("bitwise_and")
bitwise_left_shift = _two("bitwise_left_shift")
bitwise_or = _two("bitwise_or")
bitwise_right_shift = _two("bitwise_right_shift")
bitwise_xor = _two("bitwise_xor")
copysign = _two("copysign")
divide = _two("divide", "div")
equal = _two("equal", "eq")
floor_divide = _two("floor_divide")
greater = _two("greater", "gt")
greater_equal = _two("greater_equal", "ge")
hypot = _two("hypot")
less = _two("less", "lt")
less_equal = _two("less_equal", "le")
logaddexp = _two("logaddexp")
logical_and = _two("logical_and")
logical_or = _two("logical_or")
logical_xor = _two("logical_xor")
maximum = _two("maximum")
minimum = _two("minimum")
multiply = _two("multiply", "mul")
nextafter = _two("nextafter")
not_equal = _two("not_equal", "ne")
pow = _two("pow")
subtract = _two("subtract", "sub")

_sign, _sgn, _clamp, _where, _round = (public[name] for name in ("sign", "sgn", "clamp", "where", "round"))
_remainder, _copysign, _complex = (public[name] for name in ("remainder", "copysign", "complex"))


def remainder(x1: Any, x2: Any, /) -> Tensor:
    """:func:`chainrule.remainder` of two arrays, or of an array and a number, a zero too with the sign of ``x2``."""
    x, y = aligned(x1, x2)
    found: Tensor = _remainder(x, y)
    return _where(found == 0, _copysign(found, y), found) if found.is_floating_point() else found


def round(x: Tensor, /) -> Tensor:
    """The nearest whole number, of halves the even one; of a complex number both parts."""
    return _complex(_round(x.real), _round(x.imag)) if x.dtype.is_complex else _round(x)


def sign(x: Tensor, /) -> Tensor:
    """-1, 0 or 1, and nan for nan; of a complex number its direction."""
    if x.dtype.is_complex:
        return _sgn(x)
    return _where(x != x, x, _sign(x)) if x.is_floating_point() else _sign(x)


def clip(x: Tensor, /, min: Any = None, max: Any = None) -> Tensor:
    """Elements kept between ``min`` and ``max``, in the dtype of ``x``."""
    low, high = (b.to(x.dtype) if isinstance(b, Tensor) else b for b in (min, max))
    if low is None and high is None:
        return x.clone()
    return _clamp(x, low, high)
