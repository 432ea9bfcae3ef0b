"""Reductions that vectorise: sums and extremes whose order LLVM is free to choose, and nothing else loosened.

A running sum ``s = s + x`` in floating point is a chain that may not be reordered, so a loop with one runs at
the latency of an addition per element.  The addition here carries the permission to reorder itself; the
arithmetic around it keeps its order.  Running extremes are LLVM's ``maximum`` and ``minimum``, to which nan
is the largest and the smallest, as it is to NumPy.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from .mathlib import DTYPES

START = {"Sum": "0.0", "Amax": "-np.inf", "Amin": "np.inf"}
_NAMES = {"Sum": "sum", "Amax": "largest", "Amin": "smallest"}


def step(reduction: str, dtype: str, total: str, x: str) -> str:
    """The expression of ``total`` with one more ``x`` folded in."""
    return f"{_NAMES[reduction]}_{dtype}({total}, {x})"


@cache
def bindings() -> dict[str, Any]:
    """The names that :func:`step` uses; needs Numba."""
    return {f"{name}_{d}": _intrinsic(kind, d) for kind, name in _NAMES.items() for d in DTYPES}


def _intrinsic(kind: str, dtype: str) -> Any:
    ir: Any = importlib.import_module("llvmlite.ir")
    scalar = getattr(importlib.import_module("numba").types, dtype)

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        total, x = args
        if kind == "Sum":
            return builder.fadd(total, x, flags=("reassoc",))
        name = "maximum" if kind == "Amax" else "minimum"
        function = builder.module.declare_intrinsic(f"llvm.{name}", [x.type], ir.FunctionType(x.type, [x.type] * 2))
        return builder.call(function, [total, x])

    def typed(context: Any, total: Any, x: Any) -> Any:
        return scalar(scalar, scalar), build

    return importlib.import_module("numba.extending").intrinsic(typed)
