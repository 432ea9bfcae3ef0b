"""Reductions that vectorise: sums and extremes whose order LLVM is free to choose, and nothing else loosened.

A running sum ``s = s + x`` in floating point is a chain that may not be reordered, so a loop with one runs at
the latency of an addition per element.  The addition here carries the permission to reorder itself; the
arithmetic around it keeps its order.  Running extremes are LLVM's ``maximum`` and ``minimum``, to which nan
is the largest and the smallest, as it is to NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence

from .mathlib_ir import Value
from .mathlib_kernels import Kit

START = {"Sum": "0.0", "Amax": "-np.inf", "Amin": "np.inf"}
_NAMES = {"Sum": "sum", "Amax": "largest", "Amin": "smallest"}


def step(reduction: str, dtype: str, total: str, x: str) -> str:
    """The expression of ``total`` with one more ``x`` folded in."""
    return f"{_NAMES[reduction]}_{dtype}({total}, {x})"


def build(name: str, kit: Kit, args: Sequence[Value]) -> Value:
    """The instructions behind a call that :func:`step` wrote."""
    total, x = args
    kind = name.partition("_")[0]
    if kind == "sum":
        return Value(kit.builder, kit.builder.fadd(total.raw, x.raw, flags=("reassoc",)))
    return kit.largest(total, x) if kind == "largest" else kit.smallest(total, x)
