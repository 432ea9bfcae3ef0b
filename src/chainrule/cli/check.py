"""``chainrule check``: are the gradients of a user's function right?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Final

from .target import Target, parser, run

EPILOG: Final = """\
examples:
  chainrule check "tanh(x)/x" --at x=0.5
  chainrule check model.py:loss --at w=0.5 b=1

gradcheck and gradgradcheck, in float64. The exit status is 0 if they pass, 1 if not, 2 for what cannot be checked.
"""


def main(argv: Sequence[str]) -> int:
    """Answer the arguments; the exit status."""
    made = parser("check", "Check first and second derivatives against finite differences.", EPILOG)
    made.add_argument("--json", action="store_true", help="print JSON")
    return run(made, argv, _check)


def _check(chosen: argparse.Namespace, target: Target) -> int:
    from ..autograd import gradcheck, gradgradcheck
    from ..creation import tensor
    from ..dtypes import float64

    inputs = tuple(tensor(v, dtype=float64, requires_grad=True) for v in target.point)
    found = {}
    for name, test in (("first derivatives", gradcheck), ("second derivatives", gradgradcheck)):
        try:
            found[name] = "pass" if test(target.function, inputs) else "fail"
        except RuntimeError as error:
            found[name] = f"fail: {str(error).strip()}"
    print(json.dumps(found, indent=2) if chosen.json else "\n".join(f"{k}: {v}" for k, v in found.items()))
    return int(any(v != "pass" for v in found.values()))
