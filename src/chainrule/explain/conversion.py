"""From a function to SymPy's expression of it, and from an expression to a function that can be differentiated."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

import chainrule as torch

from ..arrays.symbolic import expressions, symbols
from ..extras import load
from ..language import said
from ..tensor import Tensor
from .names import by_position, required

_FUNCTIONS: Final = {
    "Abs": "abs", "acos": "acos", "acosh": "acosh", "asin": "asin", "asinh": "asinh", "atan": "atan", "atan2": "atan2",
    "atanh": "atanh", "ceiling": "ceil", "cos": "cos", "cosh": "cosh", "erf": "erf", "exp": "exp", "floor": "floor",
    "log": "log", "sign": "sign", "sin": "sin", "sinh": "sinh", "tan": "tan", "tanh": "tanh",
}  # fmt: skip
_FOLDS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "Add": operator.add, "Mul": operator.mul, "And": operator.and_, "Or": operator.or_,
}  # fmt: skip
_RELATIONS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "Equality": operator.eq, "Unequality": operator.ne, "StrictLessThan": operator.lt, "LessThan": operator.le,
    "StrictGreaterThan": operator.gt, "GreaterThan": operator.ge,
}  # fmt: skip


def to_sympy(f: Callable[..., Any], **shapes: tuple[int, ...]) -> Any:
    """What ``f`` computes as SymPy's expression of symbols that are called like its arguments.

    ``shapes`` are those of arguments that are no numbers; ``v=(2,)`` has the symbols v_0 and v_1.  Symbols are real.  The
    result is an expression, or an object array of them.

    Raises TypeError where ``f`` branches on a value, and AttributeError for an operation without a symbolic form.

    >>> import chainrule as torch
    >>> from chainrule.explain import to_sympy
    >>> to_sympy(lambda x, y: torch.sin(x) * y**2)
    y**2*sin(x)
    """
    given = [symbols(p.name, shapes.get(p.name, ())) for p in required(f)]
    try:
        y = by_position(f)(*given)
    except TypeError as error:
        if "truth value" in str(error):
            error.add_note(said("A formula has no branches: write torch.where(condition, a, b) instead of `if`.",
                                "公式没有分支：请用 torch.where(condition, a, b) 代替 if。"))  # fmt: skip
        raise
    found = expressions(y if isinstance(y, Tensor) else torch.tensor(y))
    return found.item() if found.ndim == 0 else found


def from_sympy(expression: Any, *arguments: Any) -> Callable[..., Any]:
    """A function of tensors that computes SymPy's ``expression``; ``arguments`` are its symbols, in the wanted order.

    Without ``arguments`` the symbols come in the order of their names.  What occurs more than once is computed once.

    Raises ValueError for a symbol that is not among the arguments, and for what has no counterpart here.

    >>> import chainrule as torch, sympy
    >>> from chainrule.explain import from_sympy
    >>> x = sympy.Symbol("x")
    >>> f = from_sympy(sympy.sin(x) / x)
    >>> torch.func.grad(f)(torch.tensor(1.0))
    tensor(-0.3012)
    """
    sympy = load("sympy", "explain", "SymPy's expressions")
    expression = sympy.sympify(expression)
    given = [sympy.sympify(a) for a in arguments] or sorted(expression.free_symbols, key=str)
    if unknown := expression.free_symbols - set(given):
        raise ValueError(f"no argument for {', '.join(sorted(map(str, unknown)))}: name all symbols, in their order")
    order = list(dict.fromkeys(e for e in sympy.postorder_traversal(expression) if e not in given))
    for e in order:
        if not _known(sympy, e):
            raise ValueError(f"{e.func.__name__} has no counterpart here: {str(e)[:60]}")

    def function(*values: Any) -> Any:
        if len(values) != len(given):
            raise TypeError(f"takes {len(given)} arguments, {', '.join(map(str, given))}, and got {len(values)}")
        found = dict(zip(given, values, strict=True))
        for e in order:
            found[e] = _value(sympy, e, [found[a] for a in e.args])
        return found[expression]

    return function


def _known(sympy: Any, e: Any) -> bool:
    name = e.func.__name__
    return bool(
        (e.is_number and not e.args and e.is_extended_real) or e in (sympy.true, sympy.false) or name in _FUNCTIONS
        or name in _FOLDS or name in _RELATIONS or name in ("Pow", "Max", "Min", "Not", "Piecewise", "ExprCondPair")
    )  # fmt: skip


def _value(sympy: Any, e: Any, args: list[Any]) -> Any:
    name = e.func.__name__
    if not args:
        return bool(e) if e in (sympy.true, sympy.false) else int(e) if e.is_Integer else float(e)
    if name in _FUNCTIONS:
        return getattr(torch, _FUNCTIONS[name])(*[a if isinstance(a, Tensor) else torch.tensor(a) for a in args])
    if name in _FOLDS:
        return functools.reduce(_FOLDS[name], args)
    if name in _RELATIONS:
        return _RELATIONS[name](*args)
    if name in ("Max", "Min"):
        choose = torch.maximum if name == "Max" else torch.minimum
        like = next((a for a in args if isinstance(a, Tensor)), torch.tensor(0.0))
        return functools.reduce(choose, [a if isinstance(a, Tensor) else torch.full_like(like, a) for a in args])
    if name == "Pow":
        return args[0] ** args[1]
    if name == "Not":
        return ~args[0] if isinstance(args[0], Tensor) else not args[0]
    if name == "ExprCondPair":
        return tuple(args)
    *pairs, (last, _) = args  # Piecewise: the first whose condition holds
    for value, condition in reversed(pairs):
        if isinstance(condition, Tensor):
            last = torch.where(condition, value, last)
        elif condition:
            last = value
    return last
