"""``chainrule check``: are the gradients of a user's function right?"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from .colour import paint
from .target import Target, TargetError, parser, run

EPILOG: Final = """\
examples:
  chainrule check "tanh(x)/x" --at x=0.5
  chainrule check model.py:loss --at w=0.5 b=1

gradcheck and gradgradcheck, in float64, and a look at both sides: at a kink there is no derivative. The exit status is 0 if
they pass, 1 if not, 2 for what cannot be checked.
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

    value = _value(target, target.point)
    where = ", ".join(f"{name} = {x:.12g}" for name, x in zip(target.names, target.point, strict=True))
    if not math.isfinite(value):
        raise TargetError(f"the function is {value:g} at {where}: there is nothing to differentiate")
    found = {}
    if kinks := _kinks(target, value):
        found["differentiable"] = f"fail: {'; '.join(kinks)}"
    inputs = tuple(tensor(v, dtype=float64, requires_grad=True) for v in target.point)
    for name, test in (("first derivatives", gradcheck), ("second derivatives", gradgradcheck)):
        if kinks:
            break
        try:
            with np.errstate(all="ignore"):
                found[name] = "pass" if test(target.function, inputs) else "fail"
        except RuntimeError as error:
            found[name] = f"fail: {str(error).strip()}"
    print(json.dumps(found, indent=2) if chosen.json else "\n".join(f"{k}: {_painted(v)}" for k, v in found.items()))
    return int(any(v != "pass" for v in found.values()))


def _painted(outcome: str) -> str:
    verdict, colon, why = outcome.partition(":")
    return paint(verdict, "good" if verdict == "pass" else "bad") + colon + why


def _value(target: Target, point: Sequence[float]) -> float:
    """The sum of what the function gives at a point."""
    from ..creation import tensor
    from ..dtypes import float64
    from ..tensor import Tensor

    y: Any = target.function(*[tensor(v, dtype=float64) for v in point])
    if not isinstance(y, Tensor):
        raise TargetError(f"a function to be checked gives a tensor, not {type(y).__name__}")
    with np.errstate(all="ignore"):
        return float(y.detach().sum())


def _kinks(target: Target, value: float) -> list[str]:
    """The arguments in which the slope on the left is not that on the right."""
    from ..explain.differences import Stencil

    found = []
    for i, name in enumerate(target.names):
        stencil = Stencil(target.point[i])
        around = np.array(
            [_value(target, [*target.point[:i], float(p), *target.point[i + 1 :]]) for p in stencil.points]
        )
        check = stencil.check(math.nan, value, around)
        at = f"not differentiable at {name} = {target.point[i]:.12g}, where"
        sides = [side for side, slope in (("left", check.left), ("right", check.right)) if math.isnan(slope)]
        if sides:
            found.append(f"{at} the function has no value on the {' and the '.join(sides)}")
        elif check.verdict == "kink":
            found.append(f"{at} the slope is {check.left:.6g} on the left and {check.right:.6g} on the right")
    return found
