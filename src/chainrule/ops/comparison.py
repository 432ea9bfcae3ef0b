"""Comparison and logic: values without slopes."""

from __future__ import annotations

import numpy as np

from .. import errors
from ..errors import explained
from ..outputs import FOUND
from ..primitive import Elementwise
from ..tensor import Tensor
from .kinds import attach, binary, export, no_kernel, unary
from .samples import ONE, WITH_TIES


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

    real_only = no_kernel("lt_cpu")
    forward = lambda xp, x, y: x < y
    scalar = "{x} < {y}"
    samples = WITH_TIES


lt = binary(Lt, operators=("__lt__",))


class Le(Elementwise):
    """``x <= y``."""

    real_only = no_kernel("le_cpu")
    forward = lambda xp, x, y: x <= y
    scalar = "{x} <= {y}"
    samples = WITH_TIES


le = binary(Le, operators=("__le__",))


class Gt(Elementwise):
    """``x > y``."""

    real_only = no_kernel("gt_cpu")
    forward = lambda xp, x, y: x > y
    scalar = "{x} > {y}"
    samples = WITH_TIES


gt = binary(Gt, operators=("__gt__",))


class Ge(Elementwise):
    """``x >= y``."""

    real_only = no_kernel("ge_cpu")
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

    real_only = no_kernel("bitwise_and_cpu")
    refused = "fc"
    forward = lambda xp, x, y: x & y
    scalar = "{x} & {y}"
    samples = [(([True, False, True], [True, True, False]), {})]


bitwise_and = binary(BitwiseAnd, operators=("__and__", "__rand__"))


class BitwiseOr(Elementwise):
    """``x | y`` of integers or truth values."""

    real_only = no_kernel("bitwise_or_cpu")
    refused = "fc"
    forward = lambda xp, x, y: x | y
    scalar = "{x} | {y}"
    samples = [(([True, False, True], [True, True, False]), {})]


bitwise_or = binary(BitwiseOr, operators=("__or__", "__ror__"))


class BitwiseXor(Elementwise):
    """``x ^ y`` of integers or truth values."""

    real_only = no_kernel("bitwise_xor_cpu")
    refused = "fc"
    forward = lambda xp, x, y: x ^ y
    scalar = "{x} ^ {y}"
    samples = [(([True, False, True], [True, True, False]), {})]


bitwise_xor = binary(BitwiseXor, operators=("__xor__", "__rxor__"))


class BitwiseNot(Elementwise):
    """``~x``: not, for truth values."""

    real_only = no_kernel("bitwise_not_cpu")
    refused = "fc"
    forward = lambda xp, x: ~x
    scalar = "not {x}"
    wrong_out = FOUND
    samples = [(([True, False, True],), {})]


bitwise_not = unary(BitwiseNot)


def _invert(self: Tensor) -> Tensor:
    if self._dtype.kind not in "iub":
        raise explained(
            TypeError(
                "~ (operator.invert) is only implemented on integer and Boolean-type tensors"
                "\nFor truth values compare first: ~(x > 0).  For the negative write -x."
            )
        )
    return bitwise_not(self)


attach(__invert__=_invert)


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether all elements agree within ``atol + rtol * |other|``.

    Source: ``torch.allclose``.
    """
    if input._dtype != other._dtype:
        d, e = errors.scalar_type(input._dtype), errors.scalar_type(other._dtype)
        raise explained(RuntimeError(f"{d} did not match {e}\nConvert one of them: other.to(input.dtype)."))
    return bool(np.allclose(input.detach().numpy(), other.detach().numpy(), rtol, atol, equal_nan))


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and elements.

    Source: ``torch.equal``.
    """
    return bool(np.array_equal(input.detach().numpy(), other.detach().numpy()))


export("allclose", allclose)
export("equal", equal)
