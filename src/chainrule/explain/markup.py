"""An explanation as HTML with MathML, as LaTeX, and as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..extras import load
from ..language import Language
from .formulas import written
from .mathml import mathml
from .tape import Item
from .text import MAX_STEPS, cells, direction, gathered, number, point, sentence, slope_of, slope_value, written_step
from .words import say

if TYPE_CHECKING:
    from .explanation import Explanation

LISTED: Final = 64  # entries that as_dict gives of an array
STYLE: Final = """
.chainrule{font:14px/1.5 system-ui,sans-serif;max-width:70em}
.chainrule table{border-collapse:collapse;display:block;overflow-x:auto;margin:.3em 0 1em}
.chainrule td,.chainrule th{border-bottom:1px solid color-mix(in srgb,currentColor 20%,transparent);
padding:.25em .7em;text-align:left;vertical-align:top}
.chainrule td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.chainrule h4{margin:1em 0 .2em}.chainrule math{font-size:1.15em}
.chainrule code{background:none;padding:0}.chainrule .bad{color:#c0392b;font-weight:600}
"""


def as_html(e: Explanation, language: Language) -> str:
    """A fragment of HTML, complete with its style, that works on light and dark pages."""
    parts = [f'<div class="chainrule" lang="{language}"><style>{STYLE}</style>']
    parts += [f"<p>{m}</p>" for m in as_mathml(e)]
    y = e.tape.root
    parts.append(f"<p>{escape(' '.join([y.name, '=', number(y.value), say(language, 'at'), point(e, language)]))}</p>")
    if not e.formulas.known:
        parts.append(f"<p>{escape(say(language, 'no formula', why=e.formulas.why))}</p>")
    if np.ndim(y.value):
        parts.append(f"<p>{escape(say(language, 'sum', y=y.name))}</p>")
    swept = e.tape.swept[:MAX_STEPS]
    head = [say(language, k) for k in ("step", "value", "slope", "arrives", "leaves")]
    parts.append(f"<h4>{escape(say(language, 'sweep', y=y.name))}</h4>")
    parts.append(_table(head, [cells(e, item) for item in swept], (1, 3)))
    if len(e.tape.swept) > MAX_STEPS:
        parts.append(f"<p>{escape(say(language, 'cut', n=len(e.tape.swept) - MAX_STEPS))}</p>")
    for item in e.wanted:
        if found := gathered(item, swept):
            joined = " + ".join(number(p) for _, p in found)
            told = say(language, "gathered", x=item.name, parts=joined, total=number(item.arrived))
            parts.append(f"<p>{escape(told)}</p>")
    listed = "".join(f"<li>{escape(sentence(e, item, language))}</li>" for item in swept)
    parts.append(f"<h4>{escape(say(language, 'in words'))}</h4><ol>{listed}</ol>")
    if e.evidence:
        parts.append(f"<h4>{escape(say(language, 'evidence'))}</h4>{_evidence(e, language)}")
        parts += [f"<p>{escape(told)}</p>" for told in direction(e, language)]
    if e.surprises:
        listed = "".join(f"<li>{escape(s.text(language))}</li>" for s in e.surprises)
        parts.append(f"<h4>{escape(say(language, 'surprises'))}</h4><ul>{listed}</ul>")
    return "\n".join([*parts, "</div>"])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> str:
    def cell(i: int, text: str) -> str:
        return f'<td class="n">{escape(text)}</td>' if i in right else f"<td><code>{escape(text)}</code></td>"

    top = "".join(f"<th>{escape(h)}</th>" for h in head)
    body = "".join(f"<tr>{''.join(cell(i, c) for i, c in enumerate(row))}</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _evidence(e: Explanation, language: Language) -> str:
    ways = ("forward", "difference", "sympy")
    head = [say(language, k) for k in ("derivative", "reverse", *ways, "verdict")]
    rows = []
    for row in e.evidence:
        values = [getattr(row, way) for way in ("reverse", *ways)]
        said = say(language, row.verdict, dtype=row.dtype)
        rows.append([row.name, *("-" if v is None else f"{v:.8g}" for v in values), said])
    return _table(head, rows, (1, 2, 3, 4))


# --- formulas ---


def _equations(e: Explanation) -> Iterator[tuple[str, Any, Item | None, tuple[int, ...]]]:
    """The formulas: of the result (no item) and of each derivative."""
    if not e.formulas.known or e.formulas.slopes is None:
        return
    yield e.tape.root.name, e.formulas.value, None, ()
    for item in e.wanted:
        slopes = e.formulas.slopes[item]
        for at in np.ndindex(slopes.shape):
            yield e.tape.root.name, slopes[at], item, at


def _symbol(item: Item, at: tuple[int, ...]) -> str:
    return "_".join([written(item.name), *map(str, at)])  # letters and digits: nothing that markup would read


def _sign(e: Explanation) -> str:
    """The d of a derivative: round where there are other variables."""
    return "d" if [np.size(i.value) for i in e.tape.inputs] == [1] else "∂"


def as_latex(e: Explanation) -> str:
    """Aligned equations; empty if there is no formula."""
    if not e.formulas.known:
        return ""
    sympy = load("sympy", "explain", "LaTeX")
    lines = []
    for y, formula, item, at in _equations(e):
        y = sympy.latex(sympy.Symbol(written(y)))
        if item is None:
            left = y
        else:
            d = {"d": "d", "∂": r"\partial"}[_sign(e)]
            left = rf"\frac{{{d} {y}}}{{{d} {sympy.latex(sympy.Symbol(_symbol(item, at)))}}}"
        lines.append(rf"{left} &= {sympy.latex(formula)}")
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def as_mathml(e: Explanation, *, values: bool = True) -> Iterator[str]:
    """The formula of the result and those of its derivatives, with their values; nothing if there are none."""
    if not e.formulas.known:
        return
    sympy = load("sympy", "explain", "MathML")
    for y, formula, item, at in _equations(e):
        left = mathml(sympy.Symbol(written(y)))
        if item is not None:
            by = mathml(sympy.Symbol(_symbol(item, at)))
            d = f'<mi mathvariant="normal">{_sign(e)}</mi>'
            left = f"<mfrac><mrow>{d}{left}</mrow><mrow>{d}{by}</mrow></mfrac>"
        right = mathml(formula, e.language)
        value = "" if item is None or not values else f"<mo>=</mo><mn>{number(_at(item, at))}</mn>"
        yield f'<math display="block"><mrow>{left}<mo>=</mo>{right}{value}</mrow></math>'


def _at(item: Item, at: tuple[int, ...]) -> Any:
    return 0.0 if item.arrived is None else np.asarray(item.arrived)[at]


# --- data ---


def as_dict(e: Explanation, most: int | None = None) -> dict[str, Any]:
    """What the text says, for programs: only what JSON has.  Numbers that are not finite are texts.

    ``most`` is how many steps are told; None means all.
    """
    slopes, swept = e.formulas.slopes, e.tape.swept[:most]
    return {
        "result": {"name": e.tape.root.name, "value": _data(e.tape.root.value),
                   "formula": str(e.formulas.value) if e.formulas.known else None},
        "no_formula_because": e.formulas.why or None,
        "derivatives": [
            {"by": i.name, "at": _data(i.value), "value": _data(0.0 if i.arrived is None else i.arrived),
             "formula": None if slopes is None else np.vectorize(str, otypes=[object])(slopes[i]).tolist(),
             "gathered": [_data(part) for _, part in gathered(i, e.tape.swept)]}
            for i in e.wanted
        ],
        "steps": [_step(e, item) for item in swept],
        "evidence": [
            {"name": r.name, "reverse": _data(r.reverse), "forward": _data(r.forward),
             "finite_difference": _data(r.difference), "sympy": _data(r.sympy), "verdict": r.verdict,
             "dtype": r.dtype}
            for r in e.evidence
        ],
        "surprises": [{"code": s.code, "text": s.text(e.language)} for s in e.surprises],
        "language": e.language,
    }  # fmt: skip


def _step(e: Explanation, item: Item) -> dict[str, Any]:
    known = e.locals.get(item)
    going = [
        {"to": a.name, "local_derivative": slope_of(a, item, place, known)[0] or None,
         "local_value": _data(slope_value(item, place, known)), "gradient": _data(left)}
        for place, (a, left) in enumerate(zip(item.args, item.left, strict=False)) if left is not None
    ]  # fmt: skip
    g = item.arrived[0] if isinstance(item.arrived, list) else item.arrived
    return {
        "step": written_step(item, known), "name": item.name, "operation": item.label, "value": _data(item.value),
        "arrives": _data(g), "leaves": going, "says": sentence(e, item, e.language),
        "line": None if item.line is None else {"file": item.line.file, "number": item.line.number},
    }  # fmt: skip


def _data(value: Any) -> Any:
    """Numbers and lists; of a large array its shape."""
    if value is None or isinstance(value, (tuple, list)):
        return None
    a = np.asarray(value)
    if a.size > LISTED:
        return {"shape": list(a.shape)}
    found = a.tolist()
    return _finite(found)


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
