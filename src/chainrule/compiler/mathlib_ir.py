"""A small language for branch-free floating-point code, written with Python operators.

`Value` wraps one LLVM scalar: its operators append instructions to the block under construction, so a
formula reads like mathematics.  Only operations that the vectoriser
widens on plain AVX2 are offered; there is no integer/float conversion and no signed shift.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Sequence
from functools import cache
from typing import Any


@cache
def ir() -> Any:
    """LLVM's language; llvmlite is optional and untyped."""
    return importlib.import_module("llvmlite.ir")


def type_of(dtype: str) -> Any:
    """The type of a number in a register."""
    if dtype == "float32":
        return ir().FloatType()
    return (
        ir().DoubleType()
        if dtype == "float64"
        else ir().IntType({"int8": 8, "int16": 16, "int32": 32, "int64": 64, "int": 64, "bool": 1}[dtype])
    )


def stored_type(dtype: str) -> Any:
    """The type of a number in memory, where a boolean takes a byte."""
    return ir().IntType(8) if dtype == "bool" else type_of(dtype)


class Format:
    """The layout of an IEEE binary format."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.bits = {"float32": 32, "float64": 64}[dtype]
        self.fraction = {32: 23, 64: 52}[self.bits]
        self.bias = (1 << (self.bits - self.fraction - 2)) - 1
        self.sign = 1 << (self.bits - 1)
        self.one = self.bias << self.fraction
        self.smallest_normal = 2.0 ** (1 - self.bias)
        # Adding this rounds to an integer and leaves that integer in the low bits.
        self.magic = 1.5 * 2.0**self.fraction

    def encode(self, number: float) -> int:
        """The bits of `number` in this format."""
        code = {32: "<f", 64: "<d"}[self.bits]
        return int.from_bytes(struct.pack(code, number), "little")


class Value:
    """A float, unsigned integer or boolean SSA value."""

    __slots__ = ("builder", "raw")

    def __init__(self, builder: Any, raw: Any) -> None:
        self.builder, self.raw = builder, raw

    def _lift(self, other: Value | float) -> Any:
        return other.raw if isinstance(other, Value) else ir().Constant(self.raw.type, other)

    @property
    def _is_integer(self) -> bool:
        return isinstance(self.raw.type, ir().IntType)

    def _arithmetic(self, operation: str, other: Value | float, swap: bool = False) -> Value:
        left, right = self.raw, self._lift(other)
        if swap:
            left, right = right, left
        if self._is_integer:
            return Value(self.builder, getattr(self.builder, operation)(left, right))
        return Value(self.builder, getattr(self.builder, "f" + operation)(left, right))

    def _compare(self, operator: str, other: Value | float) -> Value:
        right = self._lift(other)
        if self._is_integer:
            return Value(self.builder, self.builder.icmp_unsigned(operator, self.raw, right))
        # As in Python, nan differs from everything and every other comparison with it is false.
        build = self.builder.fcmp_unordered if operator == "!=" else self.builder.fcmp_ordered
        return Value(self.builder, build(operator, self.raw, right))

    def __add__(self, other: Value | float) -> Value:
        return self._arithmetic("add", other)

    __radd__ = __add__

    def __sub__(self, other: Value | float) -> Value:
        return self._arithmetic("sub", other)

    def __rsub__(self, other: Value | float) -> Value:
        return self._arithmetic("sub", other, swap=True)

    def __mul__(self, other: Value | float) -> Value:
        return self._arithmetic("mul", other)

    __rmul__ = __mul__

    def __truediv__(self, other: Value | float) -> Value:
        return self._arithmetic("div", other)

    def __rtruediv__(self, other: Value | float) -> Value:
        return self._arithmetic("div", other, swap=True)

    def __neg__(self) -> Value:
        return Value(self.builder, self.builder.fneg(self.raw))

    def __and__(self, other: Value | int) -> Value:
        return Value(self.builder, self.builder.and_(self.raw, self._lift(other)))

    def __or__(self, other: Value | int) -> Value:
        return Value(self.builder, self.builder.or_(self.raw, self._lift(other)))

    def __xor__(self, other: Value | int) -> Value:
        return Value(self.builder, self.builder.xor(self.raw, self._lift(other)))

    def __lshift__(self, count: int) -> Value:
        return Value(self.builder, self.builder.shl(self.raw, self._lift(count)))

    def __rshift__(self, count: int) -> Value:
        return Value(self.builder, self.builder.lshr(self.raw, self._lift(count)))

    def flip(self) -> Value:
        """The negation of a boolean."""
        return self ^ 1

    def __lt__(self, other: Value | float) -> Value:
        return self._compare("<", other)

    def __gt__(self, other: Value | float) -> Value:
        return self._compare(">", other)

    def same(self, other: Value | float) -> Value:
        """Whether the two are equal; `==` is left to Python."""
        return self._compare("==", other)

    def differs(self, other: Value | float) -> Value:
        """Whether the two are unequal; nan differs from itself."""
        return self._compare("!=", other)


class Machine:
    """The operations of one format that have no Python operator."""

    def __init__(self, builder: Any, dtype: str) -> None:
        self.builder, self.format = builder, Format(dtype)
        self.float_type = type_of(dtype)
        self.int_type = ir().IntType(self.format.bits)

    def number(self, value: Value | float) -> Value:
        """`value` as a float of this format."""
        if isinstance(value, Value):
            return value
        return Value(self.builder, ir().Constant(self.float_type, value))

    def _call(self, name: str, *operands: Value | float) -> Value:
        raw = [self.number(operand).raw for operand in operands]
        signature = ir().FunctionType(self.float_type, [self.float_type] * len(raw))
        function = self.builder.module.declare_intrinsic(f"llvm.{name}", [self.float_type], signature)
        return Value(self.builder, self.builder.call(function, raw))

    def fma(self, a: Value, b: Value | float, c: Value | float) -> Value:
        """a * b + c, rounded once."""
        return self._call("fma", a, b, c)

    def sqrt(self, x: Value) -> Value:
        """The square root, correctly rounded."""
        return self._call("sqrt", x)

    def rint(self, x: Value) -> Value:
        """The nearest integer, as a float."""
        return self._call("rint", x)

    def abs(self, x: Value) -> Value:
        """x without its sign."""
        return self._call("fabs", x)

    def copysign(self, magnitude: Value, sign: Value) -> Value:
        """`magnitude` with the sign of `sign`."""
        return self._call("copysign", magnitude, sign)

    def largest(self, a: Value, b: Value) -> Value:
        """The larger one; nan is larger than all."""
        return self._call("maximum", a, b)

    def smallest(self, a: Value, b: Value) -> Value:
        """The smaller one; nan is smaller than all."""
        return self._call("minimum", a, b)

    def where(self, condition: Value, yes: Value | float, no: Value | float) -> Value:
        """A select: both sides are computed."""
        raw = self.builder.select(condition.raw, self.number(yes).raw, self.number(no).raw)
        return Value(self.builder, raw)

    def clamp(self, x: Value, low: float, high: float) -> Value:
        """x within [low, high]; nan stays nan."""
        x = self.where(x < low, low, x)
        return self.where(x > high, high, x)

    def to_bits(self, x: Value) -> Value:
        """The encoding of x as an integer."""
        return Value(self.builder, self.builder.bitcast(x.raw, self.int_type))

    def from_bits(self, n: Value) -> Value:
        """The float whose encoding is n."""
        return Value(self.builder, self.builder.bitcast(n.raw, self.float_type))

    def flip_sign(self, x: Value, sign: Value) -> Value:
        """x, negated where the top bit of `sign` is set."""
        return self.from_bits(self.to_bits(x) ^ (sign & self.format.sign))

    def power_of_two(self, n: Value) -> Value:
        """2**k for the integer k held by the low bits of `n`; k must be a normal exponent."""
        return self.from_bits((n << self.format.fraction) + self.format.one)

    def polynomial(self, coefficients: Sequence[float], x: Value) -> Value:
        """Horner's rule, lowest order first."""
        result: Value | float = coefficients[-1]
        for coefficient in reversed(coefficients[:-1]):
            result = self.fma(x, result, coefficient)
        return self.number(result)
