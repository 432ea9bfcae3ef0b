"""SymPy's formulas as MathML, with what its own printer leaves out: cases, and the spacing of mathematicians."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

from ..extras import load
from ..language import Language
from .words import say

_BEFORE_FUNCTION: Final = re.compile(r"<mo>&InvisibleTimes;</mo>(?=<mrow><mi>[a-z]{2,}</mi>)")


def mathml(formula: Any, language: Language = "en") -> str:
    """A formula's presentation, to stand inside ``<math>``."""
    text = str(_printer(language)().doprint(formula))
    text = _BEFORE_FUNCTION.sub('<mo rspace="0.17em">&InvisibleTimes;</mo>', text)  # 2x cos(x)
    for theirs, ours in (
        ("<mo>-<", "<mo>&minus;<"),
        ("<mo><<", "<mo>&lt;<"),
        ("<mo>><", "<mo>&gt;<"),
        ("&ExponentialE;", "e"),
    ):
        text = text.replace(theirs, ours)
    return text


@cache
def _printer(language: Language) -> Any:
    base = load("sympy.printing.mathml", "explain", "MathML").MathMLPresentationPrinter

    class Printer(base):  # type: ignore[misc, valid-type]  # SymPy is imported when it is needed
        def _print_Piecewise(self, e: Any) -> Any:
            table = self.dom.createElement("mtable")
            for value, condition in e.args:
                row = self._around("mtr", self._around("mtd", self._print(value)))
                if condition == True:  # noqa: E712  SymPy's, which is not Python's
                    words = self._around("mtext", self.dom.createTextNode(say(language, "otherwise")))
                else:
                    words = self._print(condition)
                row.appendChild(self._around("mtd", words))
                table.appendChild(row)
            brace = self._around("mo", self.dom.createTextNode("{"))
            cases = self._around("mrow", brace)
            cases.appendChild(table)
            return cases

        def _around(self, tag: str, child: Any) -> Any:
            made = self.dom.createElement(tag)
            made.appendChild(child)
            return made

    return Printer
