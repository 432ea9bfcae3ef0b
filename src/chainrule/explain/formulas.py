"""Formulas: a tape played again with symbols in place of numbers, and differentiated by the same rules.

Formulas can explode where numbers do not, so there are limits, on entries, on size and on what is simplified; beyond
them the answer is why there is no formula.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np

from .. import backward
from ..arrays.symbolic import Symbolic, expressions, of, symbols
from ..creation import ones_like
from ..errors import MissingExtra
from ..extras import load
from ..language import Language
from ..primitive import Elementwise
from ..tensor import Tensor, wrap
from .tape import Item, Opaque, Tape, number_like
from .words import say

MAX_ENTRIES: Final = 12  # of all inputs together
MAX_SIZE: Final = 1500  # operations in one formula
MAX_STEPS: Final = 300
SIMPLE: Final = 60  # operations of what is worth simplifying thoroughly


class TooLarge(Exception):
    """The formula is too large."""


@dataclass(frozen=True)
class Formulas:
    """What SymPy has of the result and of its derivatives, by input and entry; ``why`` says why it has nothing."""

    value: Any = None
    slopes: dict[Item, np.ndarray[Any, Any]] | None = None
    symbols: dict[Item, np.ndarray[Any, Any]] | None = None
    why: str = ""

    @property
    def known(self) -> bool:
        return self.slopes is not None


def formulas(tape: Tape, language: Language = "en") -> Formulas:
    """The result (the sum of its entries) and its derivatives by each entry of each input as formulas."""
    entries = sum(math.prod(i.shape or ()) for i in tape.inputs)
    if entries > MAX_ENTRIES:
        return Formulas(why=say(language, "many inputs", n=entries, most=MAX_ENTRIES))
    if len(tape.steps) > MAX_STEPS:
        return Formulas(why=say(language, "many steps", n=len(tape.steps), most=MAX_STEPS))
    given = {i: symbols(written(i.name), i.shape or (), requires_grad=True) for i in tape.inputs}
    try:
        y = tape.replay(given, _constant, _small)[tape.root]
        found = backward.grad(y, list(given.values()), ones_like(y), allow_unused=True)
        slopes = [None if g is None else expressions(g) for g in found]
        for g in slopes:
            if g is not None:
                _check(g)
    except TooLarge:
        return Formulas(why=say(language, "large formula", most=MAX_SIZE))
    except (Opaque, ValueError) as e:
        return Formulas(why=str(e))
    except (AttributeError, NotImplementedError, TypeError, RuntimeError) as e:  # an operation without symbols
        return Formulas(why=str(e).partition("\n")[0])
    sympy = load("sympy", "explain", "formulas")
    value = simplified(sympy.Add(*expressions(y).flat))
    zero = np.vectorize(lambda _: sympy.Integer(0), otypes=[object])
    simple = np.vectorize(simplified, otypes=[object])
    return Formulas(
        value,
        {i: np.asarray(zero(expressions(t)) if g is None else simple(g))
         for (i, t), g in zip(given.items(), slopes, strict=True)},
        {i: expressions(t) for i, t in given.items()},
    )  # fmt: skip


def written(name: str) -> str:
    """A variable's name as that of a symbol, which has no dots or brackets."""
    return "".join(c if c.isalnum() else "_" for c in name).strip("_")


def _constant(value: Any) -> Any:
    return value if number_like(value) else Symbolic(np.asarray(value, object), value.dtype)


def _small(value: Any) -> None:
    for v in value if isinstance(value, tuple) else (value,):
        if isinstance(v, Tensor):
            _check(expressions(v))


def _check(a: np.ndarray[Any, Any]) -> None:
    sizes = [v.count_ops() for v in a.flat]
    if sum(sizes) > MAX_SIZE:
        raise TooLarge


@lru_cache(maxsize=256)  # the same formula is asked about at one point after another
def simplified(e: Any) -> Any:
    """The shortest of the forms that are quick to find, without functions that ``e`` does not have."""
    sympy = load("sympy", "explain", "formulas")
    e = _plainer(e)
    size = e.count_ops()
    if size > 4 * SIMPLE or e.has(sympy.Piecewise, sympy.nan, sympy.zoo):
        return e
    forms = [e]
    if e.is_polynomial():
        forms += [sympy.expand(e), sympy.factor(e)]
    elif size <= SIMPLE:
        forms += [sympy.simplify(e), sympy.factor_terms(e)]
    else:
        forms.append(sympy.factor_terms(e))
    known = {f.func for f in e.atoms(sympy.Function)}

    def length(form: Any) -> tuple[int, int]:
        return form.count_ops() + 4 * sum(f.func not in known for f in form.atoms(sympy.Function)), len(str(form))

    return min(forms, key=length)


def _plainer(e: Any) -> Any:
    """``max(0, u) > 0``, by which relu's rule chooses, as ``u > 0``."""
    sympy = load("sympy", "explain", "formulas")

    def of_max(v: Any) -> bool:
        return isinstance(v, sympy.Gt) and v.rhs == 0 and isinstance(v.lhs, sympy.Max) and 0 in v.lhs.args

    return e.replace(of_max, lambda v: sympy.Or(*(u > 0 for u in v.lhs.args if u != 0)))


# --- one step ---


@dataclass(frozen=True)
class Local:
    """A step in symbols: what it computes of its arguments, and its slope in each; None where no formula says it."""

    value: Any
    slopes: tuple[Any, ...]


def local(item: Item) -> Local | None:
    """An elementwise step as a formula of its arguments' names, and its slopes."""
    if not isinstance(item.prim, Elementwise) or item.prim.outputs is not None:
        return None
    sympy = load("sympy", "explain", "formulas")
    args: list[Any] = []
    for a in item.args:
        if number_like(a.value):
            args.append(a.value)
        elif a.value is not None and a.kind == "constant" and np.ndim(a.value) == 0:
            args.append(wrap(Symbolic(np.asarray(a.value, object), np.asarray(a.value).dtype)))
        elif a.value is not None and np.asarray(a.value).dtype.kind == "b":
            args.append(wrap(of(np.asarray(sympy.Symbol(a.name), object), np.dtype(bool))))
        else:
            args.append(symbols(a.name, requires_grad=a.kind != "constant"))
    wanted = [a for a in args if isinstance(a, Tensor) and a._rg]
    if not wanted:
        return None
    try:
        y = item.apply(args)
        found = dict(zip(map(id, wanted), backward.grad(y, wanted, ones_like(y), allow_unused=True), strict=True))
    except (AttributeError, NotImplementedError, TypeError, RuntimeError, ValueError):
        return None
    value, itself = expressions(y).item(), sympy.Symbol(item.name, real=True)

    def slope(a: Any) -> Any:
        if (g := found.get(id(a))) is None:
            return None
        e = _plainer(expressions(g).item())
        short = e.subs(value, itself)  # as rules often are: s * (1 - s)
        return short if short.count_ops() + 1 < e.count_ops() else e

    return Local(value, tuple(map(slope, args)))


def have_sympy() -> bool:
    """Whether there can be formulas at all."""
    try:
        load("sympy", "explain", "formulas")
    except MissingExtra:
        return False
    return True


def optional_local(item: Item) -> Local | None:
    """:func:`local`, or None without SymPy."""
    return local(item) if have_sympy() else None
