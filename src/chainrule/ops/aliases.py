"""Other names of operations, in PyTorch's and NumPy's style."""

from __future__ import annotations

from .kinds import attach, export, in_place_of, public
from .later import find, functions

_SAME = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctanh": "atanh", "divide": "div", "greater": "gt", "greater_equal": "ge", "less": "lt", "less_equal": "le",
    "multiply": "mul", "negative": "neg", "not_equal": "ne", "subtract": "sub",
}  # fmt: skip

for _alias, _name in _SAME.items():
    _function = find(_name) if _name in functions else public[_name]
    export(_alias, _function)
    attach(**{f"{_alias}_": in_place_of(_function, _alias)})
export("ger", public["outer"])
export("moveaxis", find("movedim") if "movedim" in functions else public["movedim"])
export("concatenate", public["cat"], method=False)
