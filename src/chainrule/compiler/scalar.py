"""One entry of an elementwise operation, as an expression in a kernel.

A primitive gives its scalar expression as a template, such as ``{x} * {y}`` or ``1 / sqrt({x})``.  The template is
parsed once, its numbers are given the dtype of the operation, and its functions become mathlib's, which vectorise.
"""

from __future__ import annotations

import ast
import math
from functools import cache
from typing import Any

import numpy as np

from ..primitive import Elementwise
from . import mathlib
from .program import Equation, Var

FLOATS = {np.dtype("float32"), np.dtype("float64")}
INTEGERS = {np.dtype("int32"), np.dtype("int64")}
BOOL = np.dtype("bool")
DTYPES = FLOATS | INTEGERS | {BOOL}
_WHOLE = {"Add", "Sub", "Mul", "Neg", "Abs", "Sign", "Maximum", "Minimum"}  # what integers may do
_ANY = {"Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Where", "Cast", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot"}
_LOGIC = _ANY - {"Lt", "Le", "Gt", "Ge"}
_KNOWN = mathlib.FUNCTIONS | {"cast", "abs", "sign", "max", "min", "floor", "ceil", "rint"}
_OPERATORS = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^",
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip


def expressible(eq: Equation) -> bool:
    """Whether :func:`expression` can write this equation."""
    if not isinstance(eq.prim, Elementwise) or not eq.prim.scalar or eq.out.dtype not in DTYPES:
        return False
    if any(v.dtype not in DTYPES for v in eq.vars) or any(isinstance(a, complex) for a in eq.args):
        return False
    d = working_dtype(eq)
    if any(v.dtype != d for v in _operands(eq)) or not _functions(eq.prim.scalar) <= _KNOWN:
        return False
    return d in FLOATS or eq.name in (_LOGIC if d == BOOL else _WHOLE | _ANY)


def _operands(eq: Equation) -> list[Var]:
    return [v for v in eq.args[eq.name == "Where" :] if isinstance(v, Var)]


def working_dtype(eq: Equation) -> np.dtype[Any]:
    """The dtype that the arguments have and the operation works in."""
    operands = _operands(eq)
    return operands[0].dtype if operands else eq.out.dtype


def literal(value: Any, dtype: np.dtype[Any]) -> str:
    """A number of a dtype, as source."""
    if dtype == BOOL:
        return repr(bool(value))
    number = value if isinstance(value, (int, float)) else value.item()
    if dtype.kind == "f":
        number = float(number)
        if not math.isfinite(number):
            return f"np.{dtype.name}({'-' if number < 0 else ''}np.{'nan' if number != number else 'inf'})"
    return f"np.{dtype.name}({number!r})"


def expression(eq: Equation, args: list[str], wide: bool) -> str:
    """``eq`` with the arguments as given; ``wide`` as in mathlib."""
    dtype = working_dtype(eq)
    if eq.name == "Pow" and not isinstance(eq.args[1], Var) and dtype in FLOATS:
        found = _power(args[0], eq.args[1], dtype)
        if found is not None:
            return found
    return _Writer(dtype, eq.out.dtype, dict(zip(eq.prim.args, args, strict=True)), wide).write(_parsed(eq.prim.scalar))


def far(eq: Equation, args: list[str]) -> list[str]:
    """Lines that raise ``far`` where the vectorised functions of ``eq`` do not hold."""
    tree, dtype = _parsed(eq.prim.scalar), working_dtype(eq)
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and dtype in FLOATS:
        return mathlib.emit_far(tree.func.id, dtype.name, args, "far")
    return []


def is_risky(eq: Equation) -> bool:
    """Whether an equation may have to be done again by its wide form."""
    return (
        isinstance(eq.prim, Elementwise)
        and bool(eq.prim.scalar)
        and bool(_functions(eq.prim.scalar) & mathlib.PERIODIC)
    )


def calls(eq: Equation) -> int:
    """How many elementary functions an equation calls."""
    if not isinstance(eq.prim, Elementwise) or not eq.prim.scalar:
        return 0
    return len(_functions(eq.prim.scalar) & mathlib.FUNCTIONS)


def cost(eq: Equation) -> float:
    """Roughly how long one entry takes, in nanoseconds on one core."""
    return 0.1 + 0.4 * calls(eq)


def _power(x: str, y: Any, dtype: np.dtype[Any]) -> str | None:
    """Small powers by multiplication, which is as exact as NumPy's power to a rounding or two."""
    if y in (0.5, -0.5):
        root = mathlib.call("sqrt", dtype.name, [x])
        return root if y > 0 else f"({literal(1, dtype)} / {root})"
    if y in (-1, -2, -3):
        return f"({literal(1, dtype)} / ({' * '.join([x] * int(-y))}))"
    return f"({' * '.join([x] * int(y))})" if y in (1, 2, 3) else f"({x} * {x}) * ({x} * {x})" if y == 4 else None


@cache
def _parsed(template: str) -> ast.expr:
    return ast.parse(template.replace("{", "").replace("}", ""), mode="eval").body


@cache
def _functions(template: str) -> frozenset[str]:
    """The names that a template calls."""
    called = [n.func for n in ast.walk(_parsed(template)) if isinstance(n, ast.Call)]
    return frozenset(f.id for f in called if isinstance(f, ast.Name))


class _Writer:
    """Writes an expression tree in one dtype."""

    def __init__(self, dtype: np.dtype[Any], out: np.dtype[Any], args: dict[str, str], wide: bool) -> None:
        self.dtype, self.out, self.args, self.wide = dtype, out, args, wide

    def write(self, tree: ast.expr) -> str:
        match tree:
            case ast.Name(name):
                return self.args[name]
            case ast.Constant(value):
                return literal(value, self.dtype)
            case ast.BinOp(left, op, right):
                return f"({self.write(left)} {_OPERATORS[type(op)]} {self.write(right)})"
            case ast.UnaryOp(ast.USub(), operand):
                return f"(-{self.write(operand)})"
            case ast.UnaryOp(ast.Not(), operand):
                inner = self.write(operand)
                return f"(not {inner})" if self.dtype == BOOL or isinstance(operand, ast.Compare) else f"(~{inner})"
            case ast.Compare(left, [op], [right]):
                return f"({self.write(left)} {_OPERATORS[type(op)]} {self.write(right)})"
            case ast.IfExp(test, body, otherwise):
                return f"({self.write(body)} if {self.write(test)} else {self.write(otherwise)})"
            case ast.Call(ast.Name(name), operands):
                return self.call(name, [self.write(a) for a in operands])
        raise NotImplementedError(ast.dump(tree))

    def call(self, name: str, args: list[str]) -> str:
        x, one, zero = args[0], literal(1, self.dtype), literal(0, self.dtype)
        if name == "cast":
            if self.out == BOOL:
                return f"({x} != {zero})"
            return f"np.{self.out.name}({x})"
        if name == "abs":
            return f"abs({x})"
        if name == "sign":
            return f"({one} if {x} > {zero} else (-{one} if {x} < {zero} else {zero}))"
        if name in ("max", "min"):
            order = ">" if name == "max" else "<"
            return f"({x} if ({x} {order} {args[1]}) | ({x} != {x}) else {args[1]})"  # nan wins
        if name in ("floor", "ceil", "rint"):
            return f"np.{name}({x})"
        return mathlib.call(name, self.dtype.name, args, wide=self.wide)
