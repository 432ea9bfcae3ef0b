"""One entry of an elementwise operation as source text: Python's math, NumPy, or C, with few parentheses."""

from __future__ import annotations

import ast
import math
from functools import cache
from typing import Any, Final, NamedTuple

from ..compiler.program import Equation, Var
from ..primitive import Elementwise

CHOICE, OR, AND, NOT, COMPARE, ADD, TIMES, SIGN, POWER, ATOM = range(10)
WIDE: Final = 72  # characters of an expression that is not given a name

# What operations without a template for compiling would say.
_MORE: Final = {
    "Acosh": "acosh({x})", "Asinh": "asinh({x})", "Atanh": "atanh({x})", "Atan2": "atan2({x}, {y})",
    "Hypot": "hypot({x}, {y})", "Remainder": "mod({x}, {y})", "FloorDivide": "floor({x} / {y})", "Erfc": "erfc({x})",
    "Lgamma": "lgamma({x})", "Exp2": "exp2({x})", "Trunc": "trunc({x})", "Copysign": "copysign({x}, {y})",
}  # fmt: skip
_OPERATORS: Final = {
    ast.Add: ("+", ADD), ast.Sub: ("-", ADD), ast.Mult: ("*", TIMES), ast.Div: ("/", TIMES),
    ast.BitAnd: ("and", AND), ast.BitOr: ("or", OR), ast.BitXor: ("!=", COMPARE), ast.Eq: ("==", COMPARE),
    ast.NotEq: ("!=", COMPARE), ast.Lt: ("<", COMPARE), ast.LtE: ("<=", COMPARE), ast.Gt: (">", COMPARE),
    ast.GtE: (">=", COMPARE),
}  # fmt: skip


class Text(NamedTuple):
    """An expression, and how tightly its outermost operator binds."""

    text: str
    binds: int = ATOM

    def within(self, level: int) -> str:
        """It as an operand of an operator that binds at ``level``."""
        return self.text if self.binds >= level else f"({self.text})"


def template(eq: Equation) -> str:
    """The scalar expression of an equation; empty if there is none."""
    if not isinstance(eq.prim, Elementwise) or eq.prim.outputs is not None:
        return ""
    return eq.prim.scalar or _MORE.get(eq.name, "")


@cache
def _parsed(text: str) -> ast.expr:
    return ast.parse(text.replace("{", "").replace("}", ""), mode="eval").body


class Scalars:
    """Writes the template of one equation over its operands; a language says how it writes the parts."""

    functions: dict[str, str] = {}  # our names, and the language's, where they differ

    def __init__(self) -> None:
        self.used: set[str] = set()  # functions of the language that were called
        self.helpers: set[str] = set()  # functions of ours that it needs

    def write(self, eq: Equation, operands: list[Text]) -> Text:
        """The equation's value."""
        args = dict(zip(eq.prim.args, operands, strict=True))
        if eq.name == "Pow" or eq.name.startswith("Pow"):
            return self.power(operands[0], eq.args[1], operands[1])
        tree = _parsed(template(eq))
        if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add) and operands[1].text.startswith("-"):
            if operands[1].binds >= TIMES and "%" not in operands[1].text:  # a + -b
                return Text(f"{operands[0].within(ADD)} - {operands[1].text[1:]}", ADD)
        return self.expression(tree, args, eq)

    def expression(self, tree: ast.expr, args: dict[str, Text], eq: Equation) -> Text:
        """One part of a template."""
        match tree:
            case ast.Name(name):
                return args[name]
            case ast.Constant(value):
                return self.number(value)
            case ast.BinOp(left, op, right):
                return self.binary(
                    *_OPERATORS[type(op)], self.expression(left, args, eq), self.expression(right, args, eq)
                )
            case ast.Compare(left, [op], [right]):
                return self.binary(
                    *_OPERATORS[type(op)], self.expression(left, args, eq), self.expression(right, args, eq)
                )
            case ast.UnaryOp(ast.USub(), operand):
                x = self.expression(operand, args, eq)
                if x.binds >= TIMES and "%" not in x.text:  # -a*b is -(a*b), to the last bit
                    twice = x.text.startswith("-")  # --x means another thing in C
                    return Text(x.text[1:], TIMES) if twice else Text(f"-{x.text}", min(x.binds, SIGN))
                return Text(f"-({x.text})", SIGN)
            case ast.UnaryOp(ast.Not(), operand):
                return self.negated(self.expression(operand, args, eq))
            case ast.IfExp(test, body, otherwise):
                return self.choice(*[self.expression(t, args, eq) for t in (test, body, otherwise)])
            case ast.Call(ast.Name(name), operands):
                found = [self.expression(a, args, eq) for a in operands]
                return self.cast(eq, found[0]) if name == "cast" else self.call(name, found)
        raise NotImplementedError(ast.dump(tree))

    def binary(self, sign: str, level: int, left: Text, right: Text) -> Text:
        """Two operands around an operator of Python's."""
        if sign == "*" and right.text[:1].isdigit() and right.binds >= TIMES and not left.text[:1].isdigit():
            left, right = right, left  # 2*x, not x*2
        if sign == "*" and left == right and left.binds == ATOM:
            return self.power(left, 2, Text("2"))
        gap = "" if level == TIMES else " "
        again = level + (sign != "+" and not (sign == "*" and right.binds == TIMES and not {"/", "%"} & {*right.text}))
        return Text(f"{left.within(level + (level == COMPARE))}{gap}{sign}{gap}{right.within(again)}", level)

    def number(self, value: Any) -> Text:
        """A number."""
        value = value.item() if hasattr(value, "item") else value
        text = repr(value) if isinstance(value, (bool, int)) or math.isfinite(value) else self.special(value)
        return Text(text, ADD if text.startswith("-") else ATOM)

    def special(self, value: float) -> str:
        """An infinity, or nan."""
        raise NotImplementedError

    def power(self, x: Text, exponent: Any, y: Text) -> Text:
        """``x`` to a power, which is a number or a variable."""
        raise NotImplementedError

    def negated(self, x: Text) -> Text:
        """A truth value turned round."""
        raise NotImplementedError

    def choice(self, test: Text, x: Text, y: Text) -> Text:
        """``x`` where the test holds, else ``y``."""
        raise NotImplementedError

    def cast(self, eq: Equation, x: Text) -> Text:
        """A truth value as a number, or a number as one of another kind."""
        raise NotImplementedError

    def call(self, name: str, args: list[Text]) -> Text:
        """A function of ours."""
        raise NotImplementedError


def unsupported(eq: Equation, language: str, other: str) -> ValueError:
    """What to raise for an operation that a language cannot write."""
    return ValueError(f"{eq.name} cannot be written in {language} here{other}")


def users(equations: list[Equation], outputs: list[Any]) -> dict[Var, int]:
    """How often each variable is read."""
    count: dict[Var, int] = {}
    for v in [*[v for eq in equations for v in eq.args], *outputs]:
        if isinstance(v, Var):
            count[v] = count.get(v, 0) + 1
    return count
