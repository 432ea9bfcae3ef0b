"""``chainrule check``: are the gradients of a user's function right?"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ..language import said
from .colour import paint
from .target import Target, TargetError, parser, run

EXAMPLES: Final = """\
  chainrule check "tanh(x)/x" --at x=0.5
  chainrule check model.py:loss --at w=0.5 b=1
"""


def main(argv: Sequence[str]) -> int:
    """Answer the arguments; the exit status."""
    about = said("Check first and second derivatives against finite differences.", "用有限差分检查一阶和二阶导数。")
    ends = said("gradcheck and gradgradcheck, in float64, and a look at both sides: at a kink there is no derivative. The exit "
                "status is 0 if\nthey pass, 1 if not, 2 for what cannot be checked.",
                "用 float64 做 gradcheck 和 gradgradcheck，并比较左右两侧：不可导点没有导数。\n"
                "退出码：通过是 0，不通过是 1，不能检查是 2。")  # fmt: skip
    made = parser("check", about, EXAMPLES, ends)
    made.add_argument("--json", action="store_true", help=said("print JSON", "输出 JSON"))
    return run(made, argv, _check)


def _check(chosen: argparse.Namespace, target: Target) -> int:
    from ..autograd import gradcheck, gradgradcheck
    from ..creation import tensor
    from ..dtypes import float64

    value = _value(target, target.point)
    where = ", ".join(f"{name} = {x:.12g}" for name, x in zip(target.names, target.point, strict=True))
    if not math.isfinite(value):
        raise TargetError(said("the function is {y:g} at {where}: there is nothing to differentiate",
                               "函数在 {where} 处是 {y:g}：不能求导", y=value, where=where))  # fmt: skip
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
    print(json.dumps(found, indent=2) if chosen.json else "\n".join(_told(k, v) for k, v in found.items()))
    return int(any(v != "pass" for v in found.values()))


_TOLD: Final = {
    "differentiable": "可导", "first derivatives": "一阶导数", "second derivatives": "二阶导数", "pass": "通过", "fail": "不通过",
}  # fmt: skip


def _told(what: str, outcome: str) -> str:
    verdict, colon, why = outcome.partition(":")
    shown = paint(said(verdict, _TOLD[verdict]), "good" if verdict == "pass" else "bad")
    return f"{said(what, _TOLD[what])}{said(': ', '：')}{shown}{said(colon + why, '：' + why.lstrip() if why else '')}"


def _value(target: Target, point: Sequence[float]) -> float:
    """The sum of what the function gives at a point."""
    from ..creation import tensor
    from ..dtypes import float64
    from ..tensor import Tensor

    y: Any = target.function(*[tensor(v, dtype=float64) for v in point])
    if not isinstance(y, Tensor):
        raise TargetError(said("a function to be checked gives a tensor, not {kind}", "要检查的函数应给出张量，而不是 {kind}",
                               kind=type(y).__name__))  # fmt: skip
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
        at = said("not differentiable at {name} = {x:.12g}, where ", "在 {name} = {x:.12g} 处不可导：", name=name,
                  x=target.point[i])  # fmt: skip
        both = (said("left", "左侧"), check.left), (said("right", "右侧"), check.right)
        sides = [side for side, slope in both if math.isnan(slope)]
        if sides:
            where = said(" and the ", "和").join(sides)
            found.append(at + said("the function has no value on the {s}", "函数在{s}没有值", s=where))
        elif check.verdict == "kink":
            found.append(at + said("the slope is {left:.6g} on the left and {right:.6g} on the right",
                                   "左侧斜率 {left:.6g}，右侧 {right:.6g}", left=check.left, right=check.right))  # fmt: skip
    return found
