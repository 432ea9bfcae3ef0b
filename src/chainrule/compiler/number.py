"""Numbers of which a program knows only where they are found, such as the options of an optimiser."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays.traced import Traced
from .program import var_of

if TYPE_CHECKING:
    from .capture import Capture


class Number(Traced):
    """Stands for a Python number that may be another in each call.

    With numbers it makes expressions that are computed by Python at each call, to the same last bit as eagerly; with
    arrays, an input of the program.  What a comparison says becomes a condition of the program, so a function may
    branch on it.
    """

    __slots__ = ("expression", "value")
    __hash__ = object.__hash__
    recorder: Capture

    def __init__(self, capture: Capture, expression: str, value: float) -> None:
        super().__init__(capture, var_of(np.float64(value)), np.array(value))
        self.expression, self.value = expression, value

    def __neg__(self) -> Number:
        return self.recorder.number(f"(-{self.expression})", -self.value)

    def __bool__(self) -> bool:
        return bool(operator.ne(self, 0))


def _said(x: int | float) -> str:
    """A number as Python reads it."""
    return repr(int(x)) if isinstance(x, int) else f"float({str(float(x))!r})"


def _operator(symbol: str, compute: Callable[[Any, Any], Any], otherwise: Any, reflected: bool) -> Any:
    def method(self: Number, other: Any) -> Any:
        if not isinstance(other, (int, float, Number)):
            return otherwise(self, other)
        sides = (other, self) if reflected else (self, other)
        value = compute(*[x.value if isinstance(x, Number) else x for x in sides])
        left, right = [x.expression if isinstance(x, Number) else _said(x) for x in sides]
        expression = f"({left} {symbol} {right})"
        if type(value) is float:
            return self.recorder.number(expression, value)
        self.recorder.conditions.append(f"{expression} == {value!r}")
        return value

    return method


_SYMBOLS = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "pow": "**", "mod": "%", "floordiv": "//",
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
}  # fmt: skip
for _name, _symbol in _SYMBOLS.items():
    for _dunder in (f"__{_name}__", f"__r{_name}__"):
        if hasattr(Traced, _dunder):
            _method = _operator(_symbol, getattr(operator, _name), getattr(Traced, _dunder), _dunder[2] == "r")
            setattr(Number, _dunder, _method)
