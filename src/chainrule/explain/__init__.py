"""Explanations of a derivative: formulas, steps with their numbers, evidence, and pictures.

The module can be called: ``chainrule.explain(y)`` is ``chainrule.explain.explain(y)``.
"""

from __future__ import annotations

import importlib as _importlib
import sys as _sys
from types import ModuleType as _ModuleType
from typing import TYPE_CHECKING
from typing import Any as _Any

if TYPE_CHECKING:
    from ..language import get_language, set_language
    from .conversion import from_sympy, to_sympy
    from .explanation import Explanation, explain
    from .exporting import Source, export, formula
    from .kinks import Conventions, conventions
    from .picture import Picture, graph
    from .plotting import Plot, plot
    from .reasons import Answer, why
    from .scores import Sensitivity, sensitivity

# Loaded when first asked for: the command line needs fonts and formulas as text without the rest.
_LAZY = {
    **dict.fromkeys(("Explanation", "explain"), ".explanation"), **dict.fromkeys(("Picture", "graph"), ".picture"),
    **dict.fromkeys(("Plot", "plot"), ".plotting"), **dict.fromkeys(("Answer", "why"), ".reasons"),
    **dict.fromkeys(("Conventions", "conventions"), ".kinks"),
    **dict.fromkeys(("from_sympy", "to_sympy"), ".conversion"),
    **dict.fromkeys(("Source", "export", "formula"), ".exporting"),
    **dict.fromkeys(("Sensitivity", "sensitivity"), ".scores"),
    **dict.fromkeys(("get_language", "set_language"), "..language"),
}  # fmt: skip


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(_importlib.import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Callable(_ModuleType):
    def __call__(self, *args: _Any, **kwargs: _Any) -> Explanation:
        from .explanation import explain

        return explain(*args, **kwargs)


_sys.modules[__name__].__class__ = _Callable

__all__ = [
    "Answer", "Conventions", "Explanation", "Picture", "Plot", "Sensitivity", "Source", "conventions", "explain", "export",
    "formula", "from_sympy", "get_language", "graph", "plot", "sensitivity", "set_language", "to_sympy", "why",
]  # fmt: skip
