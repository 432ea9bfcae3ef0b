"""What formulas are evaluated with, where they are tested."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from chainrule.explain.expression import FUNCTIONS

EXTRA = {"abs": abs, "minimum": min, "maximum": max, "square": lambda x: x * x}
FLOATS = SimpleNamespace(**{**vars(math), **EXTRA})


def last(*operands: Any) -> Any:
    """A function that is defined everywhere."""
    return operands[-1]


ANYTHING = SimpleNamespace(**dict.fromkeys(FUNCTIONS.values(), last))
