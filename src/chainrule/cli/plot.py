"""``chainrule plot``: a function of one or two variables and its derivatives."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Final

from ..explain.parsing import parse
from . import say
from .target import Target, TargetError, parser, run

EPILOG: Final = """\
examples:
  chainrule plot "x**3 - 3*x" --range -2 2 -o cubic.png
  chainrule plot "sin(x)*exp(-x^2/8)" --range -2*pi 2*pi --at x=1 --orders 0 1 2 3 -o wave.svg
  chainrule plot "u^2*v" --range -1 1 0 2 --at u=0.5 v=1 -o surface.png

Needs matplotlib. The exit status is 0, or 2 for what cannot be drawn.
"""


def main(argv: Sequence[str]) -> int:
    """Answer the arguments; the exit status."""
    made = parser(
        "plot", "Draw a function, its derivatives, extrema and inflections; of two variables a surface.", EPILOG
    )
    made.add_argument("--range", metavar="NUMBER", nargs="+", default=[], help="low and high, of each variable")
    made.add_argument("--orders", metavar="N", nargs="+", type=int, default=[0, 1, 2], help="the derivatives (0 1 2)")
    made.add_argument("-o", "--output", metavar="FILE", default="plot.png", help="where to write it (plot.png)")
    return run(made, argv, _draw)


def _draw(chosen: argparse.Namespace, target: Target) -> int:
    from ..explain import plot

    names = target.names
    if not 1 <= len(names) <= 2:
        raise TargetError(f"a plot is of one or two variables, not of {len(names)}")
    ends = [float(parse(word.strip()).evaluate({}, math)) for word in chosen.range]
    if len(ends) not in (0, 2 * len(names)):
        raise TargetError(f"--range takes low and high of each variable: {2 * len(names)} numbers, not {len(ends)}")
    point = target.point if target.at else None
    if len(names) == 1:
        drawn = plot(target.function, ends or None, orders=chosen.orders, at=None if point is None else point[0])
    else:
        drawn = plot(target.function, (tuple(ends[:2]), tuple(ends[2:])) if ends else None, at=point)
    for mark in drawn.marks:
        print(f"{mark.kind:10} {names[0]} = {mark.x:.12g}, f = {mark.y:.12g}")
    say(f"saved {drawn.save(chosen.output)}")
    return 0
