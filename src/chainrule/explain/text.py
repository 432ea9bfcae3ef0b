"""An explanation as plain text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..language import Language
from .evidence import MAX_ROWS
from .formulas import Local
from .tape import Item
from .words import say

if TYPE_CHECKING:
    from .explanation import Explanation

MAX_STEPS: Final = 40  # told one by one
LISTED: Final = 12  # inputs whose values are told
WIDE: Final = 44  # characters of a cell

_MOVES: Final = frozenset(("Reshape", "GetItem", "Transpose", "PermuteDims", "Flip", "BroadcastTo", "Squeeze", "Cat",
                           "Stack", "Roll", "ExpandDims", "Concat"))  # fmt: skip
_CHOICE: Final = re.compile(r"\b(Piecewise|Max|Min)\b")
_INFIX: Final = {"Matmul": "@", "Mul": "*", "Add": "+", "Sub": "-", "Div": "/", "Pow": "**"}


def number(value: Any) -> str:
    """A value in few characters: six digits, long arrays shortened, of large ones only the shape."""
    if value is None:
        return "?"
    a = np.asarray(value)
    if a.dtype == object or a.dtype.kind not in "fiub":
        return str(value)
    if a.ndim == 0:
        return str(bool(a)) if a.dtype.kind == "b" else f"{a.item() + 0:.6g}"  # -0 reads 0
    if a.size > 6:
        if a.dtype.kind != "f" or not np.isfinite(a).all():
            return f"array{list(a.shape)}"
        return f"array{list(a.shape)} from {a.min():.3g} to {a.max():.3g}"
    text = np.array2string(a + 0, separator=", ", formatter={"all": lambda v: f"{v:.6g}"})
    return " ".join(text.split())


def name_of(item: Item) -> str:
    """A step's operation, in words as PyTorch's: MulBackward0 is mul."""
    stem = item.label.rpartition("::")[2].partition("Backward")[0] or item.label
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(stem))


def written_step(item: Item, known: Local | None) -> str:
    """A step as an equation: ``t2 = 5*t1``."""
    return f"{item.name} = {right_side(item, known)}"


def right_side(item: Item, known: Local | None) -> str:
    """What a step computes, of the names of its arguments."""
    args, kind = [a.name for a in item.args], type(item.prim).__name__
    # Not as a formula: x*x, which SymPy writes x**2 though it has two slopes, and functions, which have names.
    plain = len(set(args)) == len(args) > 1 or kind == "Neg"
    if known is not None and plain and len(text := str(known.value)) <= WIDE and not _CHOICE.search(text):
        return text
    infix = _INFIX.get(kind)
    if infix and len(args) == 2:
        return f"{args[0]}{infix}{args[1]}" if infix in ("*", "/", "**") else f"{args[0]} {infix} {args[1]}"
    if kind == "GetItem":
        return f"{args[0]}[{_key(item.params.get('key', ()))}]"
    return f"{name_of(item)}({', '.join(args)})"


def _key(key: Any) -> str:
    parts = []
    for k in key if isinstance(key, tuple) else (key,):
        if isinstance(k, slice):
            parts.append(":".join("" if v is None else str(v) for v in (k.start, k.stop)) if k.step is None else "…")
        elif k is not Ellipsis:
            parts.append(str(k) if isinstance(k, (int, np.integer)) else "…")
    return ", ".join(parts) or "..."


def slope_of(x: Item, item: Item, place: int, known: Local | None) -> tuple[str, str]:
    """The local derivative of a step in an argument: its formula, and its number; either may be empty."""
    formula = ""
    if known is not None and known.slopes[place] is not None and len(text := str(known.slopes[place])) <= WIDE:
        formula = text
    value = slope_value(item, place, known)
    return formula, "" if value is None else number(value)


def slope_value(item: Item, place: int, known: Local | None) -> Any:
    """The local derivative of a step of numbers in an argument; None where it cannot be told."""
    g, left = item.arrived, item.left[place] if place < len(item.left) else None
    if left is None or isinstance(g, list) or np.ndim(g) or np.ndim(left):
        return None
    if known is not None and known.slopes[place] is not None:
        exact = _evaluated(item, known.slopes[place])
        if exact is not None:
            return exact
    with np.errstate(all="ignore"):
        return left / g if g else None


def _evaluated(item: Item, slope: Any) -> float | None:
    values = {a.name: a.value for a in item.args} | {item.name: item.value}
    try:
        return float(slope.subs({s: float(values[s.name]) for s in slope.free_symbols}))
    except (KeyError, TypeError, ValueError):
        return None


def gathered(item: Item, steps: Sequence[Item]) -> list[tuple[Item, Any]]:
    """What each step sent to an input, where it is more than one."""
    found = [
        (s, left) for s in steps for a, left in zip(s.args, s.left, strict=False) if a is item and left is not None
    ]
    return found if len(found) > 1 else []


# --- the parts ---


def as_text(e: Explanation, language: Language) -> str:
    """The whole explanation."""
    parts = ["\n".join(headline(e, language)), "\n".join(chain(e, language)), "\n".join(in_words(e, language))]
    if e.evidence:
        parts.append("\n".join(evidence(e, language) + direction(e, language)))
    if e.surprises:
        listed = [f"- {s.text(language)}" for s in e.surprises]
        parts.append("\n".join([say(language, "surprises"), *listed]))
    return "\n\n".join(parts)


def headline(e: Explanation, language: Language) -> list[str]:
    """The formula of the result and of its derivatives, with their numbers."""
    y, known = e.tape.root, e.formulas
    where = point(e, language)
    total = y.value if np.ndim(y.value) == 0 else np.sum(y.value)
    result = y.name if np.ndim(y.value) == 0 else f"sum({y.name})"
    lines = [f"{result} = {known.value}", f"  = {number(total)} {say(language, 'at')} {where}"] if known.known else [
        f"{result} = {number(total)} {say(language, 'at')} {where}"
    ]  # fmt: skip
    for item in e.wanted[:LISTED]:
        lines += _derivatives(e, item, result)
    if len(e.wanted) > LISTED:
        lines.append(say(language, "more", n=len(e.wanted) - LISTED))
    if not known.known:
        lines.append(say(language, "no formula", why=known.why))
    if np.ndim(y.value):
        lines.append(f"({say(language, 'sum', y=y.name)})")
    return lines


def point(e: Explanation, language: Language) -> str:
    """The values of the inputs, of many only the first."""
    told = [i for i in e.tape.inputs if i in e.wanted or np.size(i.value) <= 8]
    shown = [f"{i.name} = {number(i.value)}" for i in told[:LISTED]]
    return ", ".join(shown + [say(language, "more", n=len(told) - LISTED)] * (len(told) > LISTED))


def _derivatives(e: Explanation, item: Item, result: str) -> list[str]:
    value = np.zeros(item.shape or ()) if item.arrived is None else np.asarray(item.arrived)
    slopes = None if e.formulas.slopes is None else e.formulas.slopes[item]
    if slopes is None or value.size > 8:
        return [f"d{result}/d{item.name} = {number(value)}"]
    lines = []
    for at in np.ndindex(value.shape):
        name = f"d{result}/d{item.name}{list(at) if at else ''}"
        formula, shown = str(slopes[at]), number(value[at])
        lines.append(f"{name} = {formula}" + ("" if formula == shown else f" = {shown}"))
    return lines


def chain(e: Explanation, language: Language) -> list[str]:
    """The chain-rule table, in the order of the sweep."""
    rows = [[say(language, k) for k in ("step", "value", "slope", "arrives", "leaves")]]
    swept = e.tape.swept
    lined = len({s.line for s in swept}) > 1
    if lined:
        rows[0].append(say(language, "line"))
    for item in swept[:MAX_STEPS]:
        rows.append([*cells(e, item), *([_clipped(str(item.line or ""))] if lined else [])])
    lines = [say(language, "sweep", y=e.tape.root.name), *table(rows, right=(1, 3))]
    if len(swept) > MAX_STEPS:
        lines.append(say(language, "cut", n=len(swept) - MAX_STEPS))
    for item in e.wanted:
        if parts := gathered(item, swept):
            joined = " + ".join(number(p) for _, p in parts)
            lines.append(say(language, "gathered", x=item.name, parts=joined, total=number(item.arrived)))
    return lines


def _clipped(text: str) -> str:
    return text if len(text) <= WIDE else f"{text[: WIDE - 1]}…"


def cells(e: Explanation, item: Item) -> list[str]:
    """A step's row: equation, value, local derivatives, what arrives and what leaves."""
    known = e.locals.get(item)
    slopes, leaves = [], []
    for place, (a, left) in enumerate(zip(item.args, item.left, strict=False)):
        if left is None:
            continue
        formula, value = slope_of(a, item, place, known)
        said = " = ".join(dict.fromkeys(part for part in (formula, value) if part))
        if said:
            slopes.append(f"d{item.name}/d{a.name} = {said}")
        leaves.append(f"{a.name}: {number(left)}")
    g = item.arrived[0] if isinstance(item.arrived, list) else item.arrived
    return [written_step(item, known), number(item.value), ", ".join(slopes), number(g), ", ".join(leaves)]


def in_words(e: Explanation, language: Language) -> list[str]:
    """One sentence for each step."""
    y = e.tape.root
    first = np.ones(np.shape(y.value))
    lines = [say(language, "in words"), f"0. {say(language, 'starts', y=y.name, g=number(first))}"]
    for n, item in enumerate(e.tape.swept[:MAX_STEPS], 1):
        lines.append(f"{n}. {sentence(e, item, language)}")
    return lines


def sentence(e: Explanation, item: Item, language: Language) -> str:
    """What one step does to the gradient."""
    known, kind = e.locals.get(item), type(item.prim).__name__
    step, g = written_step(item, known), item.arrived[0] if isinstance(item.arrived, list) else item.arrived
    parts = []
    for place, (a, left) in enumerate(zip(item.args, item.left, strict=False)):
        if left is None:
            continue
        formula, value = slope_of(a, item, place, known)
        told = {"x": a.name, "g": number(g), "left": number(left), "slope": formula, "number": value}
        if "1" in (formula, value):
            key = "same"
        elif value:
            key = "slope and number" if formula not in ("", value) else "number"
        elif formula:
            key = "formula"
        elif kind == "Sum":
            key = "adds up"
        elif kind == "Mean" and np.ndim(g) == 0 and a.value is not None:
            key, told["n"], told["each"] = "averages", str(np.size(a.value)), number(np.ravel(left)[0])
        elif kind in _MOVES:
            key = "moves"
        else:
            key = "linear" if _linear(item, place) else "rule"
        parts.append(say(language, key, **told))
    said = ("；" if language == "zh" else "; ").join(parts) or say(language, "nothing")
    return f"{step}：{said}。" if language == "zh" else f"{step}: {said}."


def _linear(item: Item, place: int) -> bool:
    prim = item.prim
    return prim is not None and place < len(prim.args) and prim.args[place] in prim.linear


def evidence(e: Explanation, language: Language) -> list[str]:
    """The derivatives found in several ways, with how far each is from reverse mode."""
    ways = ("forward", "difference", "sympy")
    rows = [[say(language, k) for k in ("derivative", "reverse", *ways, "verdict")]]
    for row in e.evidence:
        shown = []
        for way in ways:
            value, off = getattr(row, way), row.off(way)
            shown.append("-" if value is None else f"{value:.8g} ({off:.0e})" if off else f"{value:.8g}")
        rows.append([row.name, f"{row.reverse:.8g}", *shown, say(language, row.verdict, dtype=row.dtype)])
    return [say(language, "evidence"), *table(rows, right=())]


def direction(e: Explanation, language: Language) -> list[str]:
    """What the derivative along one direction is, if the evidence is of that."""
    many = sum(np.size(i.value) for i in e.wanted if i.arrived is not None) > MAX_ROWS
    return [say(language, "direction")] if many and len(e.evidence) == 1 else []


def table(rows: Sequence[Sequence[str]], right: Sequence[int]) -> list[str]:
    """Rows with their columns below each other; a Chinese character is two cells wide."""
    widths = [max(_width(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        padded = [
            " " * (w - _width(c)) + c if i in right else c + " " * (w - _width(c))
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    return lines


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
