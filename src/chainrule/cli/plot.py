"""``chainrule plot``: a function of one or two variables and its derivatives."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from ..explain.parsing import parse
from ..language import said
from . import say
from .target import Target, TargetError, parser, run

EXAMPLES: Final = """\
  chainrule plot "x**3 - 3*x" --range -2 2 -o cubic.png
  chainrule plot "sin(x)*exp(-x^2/8)" --range -2*pi 2*pi --at x=1 --orders 0 1 2 3 -o wave.svg
  chainrule plot "u^2*v" --range -1 1 0 2 --at u=0.5 v=1 -o surface.png
"""


def main(argv: Sequence[str]) -> int:
    """Answer the arguments; the exit status."""
    about = said("Draw a function, its derivatives, extrema and inflections; of two variables a surface.",
                 "画出函数、导数、极值和拐点；两个变量时画曲面。")  # fmt: skip
    ends = said("Needs matplotlib. The exit status is 0, or 2 for what cannot be drawn.",
                "需要 matplotlib。退出码是 0；画不出时是 2。")  # fmt: skip
    made = parser("plot", about, EXAMPLES, ends)
    ranges = said("low and high, of each variable", "每个变量的下限和上限")
    made.add_argument("--range", metavar="NUMBER", nargs="+", default=[], help=ranges)
    orders = said("the derivatives (0 1 2)", "各阶导数（0 1 2）")
    made.add_argument("--orders", metavar="N", nargs="+", type=int, default=[0, 1, 2], help=orders)
    where = said("where to write it (plot.png)", "写到哪里（plot.png）")
    made.add_argument("-o", "--output", metavar="FILE", default="plot.png", help=where)
    made.add_argument(
        "--json", action="store_true", help=said("print the points found as JSON", "以 JSON 输出找到的点")
    )
    return run(made, argv, _draw)


def _draw(chosen: argparse.Namespace, target: Target) -> int:
    from ..explain import plot
    from ..explain.plotting import WORDS

    names = target.names
    if not 1 <= len(names) <= 2:
        raise TargetError(
            said(
                "a plot is of one or two variables, not of {n}",
                "只能画一个或两个变量的函数，不能画 {n} 个",
                n=len(names),
            )
        )
    ends = [float(parse(word.strip()).evaluate({}, math)) for word in chosen.range]
    if len(ends) not in (0, 2 * len(names)):
        raise TargetError(said("--range takes low and high of each variable: {n} numbers, not {have}",
                               "--range 要写每个变量的下限和上限：共 {n} 个数，不是 {have} 个", n=2 * len(names),
                               have=len(ends)))  # fmt: skip
    point = target.point if target.at else None
    if len(names) == 1:
        drawn = plot(target.function, ends or None, orders=chosen.orders, at=None if point is None else point[0])
    else:
        drawn = plot(target.function, (tuple(ends[:2]), tuple(ends[2:])) if ends else None, at=point)
    file = drawn.save(chosen.output)
    if chosen.json:
        print(json.dumps([asdict(mark) for mark in drawn.marks], indent=2))
    for mark in () if chosen.json else drawn.marks:
        print(f"{said(mark.kind, WORDS[mark.kind][1]):10} {names[0]} = {mark.x:.12g}, f = {mark.y:.12g}")
    say(said("saved ", "已保存 ") + str(file))
    return 0
