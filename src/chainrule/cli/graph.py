"""``chainrule graph``: the picture of a computation, with values and gradients."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from ..language import said
from . import say
from .target import Target, parser, run

EXAMPLES: Final = """\
  chainrule graph "sin(x)*x" --at x=2 -o graph.svg
  chainrule graph "exp(u)*v" --at u=1 v=2 > graph.svg
  chainrule graph model.py:loss --at w=0.5 -o graph.png
"""


def main(argv: Sequence[str]) -> int:
    """Answer the arguments; the exit status."""
    about = said("Draw the graph of a computation, with values and gradients.", "画出计算图，带数值和梯度。")
    ends = said("The file's ending decides: .svg, .dot, or what matplotlib writes. The exit status is 0, or 2 for what cannot be "
                "drawn.", "格式由文件名的结尾决定：.svg、.dot，或 matplotlib 能写的格式。退出码是 0；画不出时是 2。")  # fmt: skip
    made = parser("graph", about, EXAMPLES, ends)
    where = said("where to write it; without, SVG is printed", "写到哪里；不写就输出 SVG")
    made.add_argument("-o", "--output", metavar="FILE", help=where)
    for name, default, help in (
        ("collapse", None, said("draw modules and stretches as one box", "把模块和成串的步骤画成一个框")),
        ("values", True, said("show values", "显示数值")), ("gradients", True, said("show gradients", "显示梯度")),
    ):  # fmt: skip
        made.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=default, help=help)
    return run(made, argv, _draw)


def _draw(chosen: argparse.Namespace, target: Target) -> int:
    from ..explain import Picture, explain

    picture = Picture(explain(target.function, *target.point), collapse=chosen.collapse, values=chosen.values,
                      gradients=chosen.gradients)  # fmt: skip
    if chosen.output:
        say(said("saved ", "已保存 ") + str(picture.save(chosen.output)))
    else:
        print(picture.svg())
    return 0
