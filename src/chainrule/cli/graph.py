"""``chainrule graph``: the picture of a computation, with values and gradients."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from . import say
from .target import Target, parser, run

EPILOG: Final = """\
examples:
  chainrule graph "sin(x)*x" --at x=2 -o graph.svg
  chainrule graph "exp(u)*v" --at u=1 v=2 > graph.svg
  chainrule graph model.py:loss --at w=0.5 -o graph.png

The file's ending decides: .svg, .dot, or what matplotlib writes. The exit status is 0, or 2 for what cannot be drawn.
"""


def main(argv: Sequence[str]) -> int:
    """Answer the arguments; the exit status."""
    made = parser("graph", "Draw the graph of a computation, with values and gradients.", EPILOG)
    made.add_argument("-o", "--output", metavar="FILE", help="where to write it; without, SVG is printed")
    made.add_argument("--collapse", action=argparse.BooleanOptionalAction, help="draw modules and stretches as one box")
    made.add_argument("--values", action=argparse.BooleanOptionalAction, default=True, help="show values")
    made.add_argument("--gradients", action=argparse.BooleanOptionalAction, default=True, help="show gradients")
    return run(made, argv, _draw)


def _draw(chosen: argparse.Namespace, target: Target) -> int:
    from ..explain import Picture, explain

    picture = Picture(explain(target.function, *target.point), collapse=chosen.collapse, values=chosen.values,
                      gradients=chosen.gradients)  # fmt: skip
    if chosen.output:
        say(f"saved {picture.save(chosen.output)}")
    else:
        print(picture.svg())
    return 0
