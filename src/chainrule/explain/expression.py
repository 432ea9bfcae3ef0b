"""Formulas as people type them, such as ``sin(x)*exp(-x**2) + 1``, read without Python's own compiler.

``parsing.parse`` turns the text into a flat postfix program, an :class:`Expression`; nothing recurses, imports or builds
code from the text. The grammar is Python's for numbers, names, ``+ - * / **``, parentheses and calls of known functions;
``^`` is read as ``**``. Everything else is refused with an ``ExpressionError`` that knows its column.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from .refusals import refusal

MAX_CHARACTERS: Final = 10_000
MAX_NESTING: Final = 100  # parentheses, calls, unary minus and towers of ** all count
MAX_NODES: Final = 5_000

CONSTANTS: Final[Mapping[str, float]] = {"pi": math.pi, "e": math.e, "tau": math.tau}
# What a user may call, and the torch-style name that evaluate() looks up for it.
FUNCTIONS: Final[Mapping[str, str]] = {name: name for name in (
    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "exp",
    "expm1", "log", "log1p", "log2", "log10", "sqrt", "abs", "square", "sigmoid", "softplus", "relu", "erf",
    "pow", "minimum", "maximum",
)} | {"ln": "log", "min": "minimum", "max": "maximum"}  # fmt: skip
_TWO_ARGUMENTS: Final = frozenset(("pow", "min", "max", "minimum", "maximum"))

_PRECEDENCE: Final = {"+": 1, "-": 1, "*": 2, "/": 2, "neg": 3, "**": 4}
_ATOM: Final = 5
_OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "**": operator.pow,
}  # fmt: skip
_EXACT: Final = 2**53  # the ints below this are exactly the integers that float64 tells apart


class ExpressionError(ValueError):
    """A formula that cannot be read or evaluated; ``column`` counts from 1.

    >>> print(ExpressionError("expected a value", "x + * y", 5).caret())
    x + * y
        ^
    """

    def __init__(self, message: str, text: str, column: int) -> None:
        super().__init__(message, text, column)  # all three, so that the error can be pickled
        self.message, self.text, self.column = message, text, column

    def __str__(self) -> str:
        return refusal("column", column=self.column, message=self.message)

    def caret(self, width: int = 72) -> str:
        """Two lines: the text, clipped to ``width`` around the place, and a caret under the place."""
        place = self.column - 1
        start = max(0, min(place - width // 2, len(self.text) + 1 - width))
        # One plain cell per character: a wide letter or a right-to-left mark would misplace the caret.
        shown = re.sub(r"[^ -~]", "?", re.sub(r"[\t\r\n]", " ", self.text[start : start + width]))
        left, right = "..." * (start > 0), "..." * (start + width < len(self.text))
        return f"{left}{shown}{right}\n{' ' * (len(left) + place - start)}^"


class Step(NamedTuple):
    """One step of a postfix program: push a number or name, or replace ``arity`` operands by a result."""

    kind: Literal["number", "constant", "variable", "operator", "function"]
    name: str
    arity: int = 0
    number: int | float = 0


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed formula: an immutable postfix program. Two are equal when their programs are.

    >>> from chainrule.explain.parsing import parse
    >>> formula = parse("u**3 + v^2 + 4*u*v")
    >>> formula.variables, formula.evaluate({"u": 2, "v": 3.0}, math)
    (('u', 'v'), 41.0)
    """

    program: tuple[Step, ...]
    text: str = field(compare=False)
    columns: tuple[int, ...] = field(compare=False, repr=False)  # where in the text each step was written

    @property
    def size(self) -> int:
        """The number of nodes: operands, operators and calls."""
        return len(self.program)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names that need a value, in order of first appearance."""
        return tuple(dict.fromkeys(step.name for step in self.program if step.kind == "variable"))

    def evaluate(
        self,
        values: Mapping[str, Any],
        functions: object,
        lift: Callable[[float], Any] | None = None,
    ) -> Any:
        """The value over any operands that support Python's operators: floats, tensors, SymPy symbols.

        Functions, and constants where it has them, are attributes of ``functions`` by their torch names.
        Operators between plain numbers work in float64 and never raise: they answer inf or nan. ``lift``
        turns a plain number into an operand where a function receives one, as the 0 of ``max(x, 0)``.

        Raises ExpressionError for a variable without a value and a function that ``functions`` lacks.
        """
        stack: list[Any] = []
        for step, column in zip(self.program, self.columns, strict=True):
            operands = stack[len(stack) - step.arity :]
            del stack[len(stack) - step.arity :]
            match step.kind:
                case "number":
                    result: Any = step.number
                case "constant":
                    result = getattr(functions, step.name, CONSTANTS[step.name])
                case "variable" if step.name in values:
                    result = _bounded(values[step.name])
                case "variable":
                    raise ExpressionError(refusal("no value", name=_clip(step.name)), self.text, column)
                case "operator":
                    result = -operands[0] if step.arity == 1 else _combine(step.name, *operands)
                case "function" if step.name == "pow":
                    result = _combine("**", *operands)
                case "function":
                    function = getattr(functions, FUNCTIONS[step.name], None)
                    if function is None:
                        raise ExpressionError(refusal("not here", name=step.name), self.text, column)
                    if lift is not None:
                        operands = [lift(item) if type(item) in (int, float) else item for item in operands]
                    result = function(*operands)
            stack.append(result)
        return stack.pop()

    def unparse(self) -> str:
        """The formula in Python's syntax with the fewest parentheses; parsing it gives an equal program.

        >>> from chainrule.explain.parsing import parse
        >>> parse("((x))*(2*-(y ^ 2))").unparse()
        'x*(2*-y**2)'
        """
        spaced = self._written(" ")
        return spaced if len(spaced) <= MAX_CHARACTERS else self._written("")

    def _written(self, gap: str) -> str:
        parts: list[tuple[str, int]] = []  # each text with the precedence of its outermost operator
        for kind, name, arity, _ in self.program:
            operands = parts[len(parts) - arity :]
            del parts[len(parts) - arity :]
            if kind == "function":
                parts.append((f"{name}({f',{gap}'.join(text for text, _ in operands)})", _ATOM))
            elif arity == 0:
                parts.append((name, _ATOM))
            elif arity == 1:
                parts.append((f"-{_wrapped(operands[0], _PRECEDENCE[name])}", _PRECEDENCE[name]))
            else:
                level, space = _PRECEDENCE[name], gap if name in "+-" else ""
                # ** groups to the right and takes a unary minus there; the others group to the left.
                left = _wrapped(operands[0], level + (name == "**"))
                right = _wrapped(operands[1], _PRECEDENCE["neg"] if name == "**" else level + 1)
                parts.append((f"{left}{space}{name}{space}{right}", level))
        return parts[0][0]


def _wrapped(part: tuple[str, int], precedence: int) -> str:
    return part[0] if part[1] >= precedence else f"({part[0]})"


def _clip(word: str) -> str:
    return word if len(word) <= 30 else f"{word[:27]}..."


def _bounded(value: Any) -> Any:
    """Python's int as an int while float64 holds it exactly, else as a float: no int ever grows."""
    if type(value) is not int or -_EXACT < value < _EXACT:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _combine(name: str, left: Any, right: Any) -> Any:
    """``left name right``, where two plain numbers follow IEEE 754 instead of raising."""
    if type(left) not in (int, float) or type(right) not in (int, float):
        return _OPERATORS[name](left, right)
    if name == "**":
        return _power(left, right)
    if name == "/" and right == 0:
        sign = math.copysign(1, left) * math.copysign(1, right)
        return math.nan if left == 0 or math.isnan(left) else sign * math.inf
    return _bounded(_OPERATORS[name](left, right))


def _power(base: float, exponent: float) -> float:
    odd = exponent % 2 == 1
    try:
        result = math.pow(base, exponent)  # in floats: 9**9**9 as an int would fill the memory
    except OverflowError:
        return -math.inf if base < 0 and odd else math.inf
    except ValueError:  # a negative power of zero, or a fractional power of a negative number
        return math.nan if base else math.copysign(math.inf, base if odd else 1)
    if type(base) is int and type(exponent) is int and exponent >= 0 and abs(result) < _EXACT:
        return base**exponent  # type: ignore[no-any-return]  # small, and exact
    return result
