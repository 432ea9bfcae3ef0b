"""``chainrule explain``: how a derivative comes about."""

from __future__ import annotations

import argparse
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..language import said
from . import say
from .colour import paint
from .target import Target, parser, run

if TYPE_CHECKING:
    from ..explain import Explanation

EXAMPLES: Final = """\
  chainrule explain "x**2*sin(x)" --at x=2
  chainrule explain "exp(-u)*v" --at u=1 v=2 --lang zh
  chainrule explain model.py:loss --at w=0.5 --html loss.html
"""


def main(argv: Sequence[str]) -> int:
    """Answer the arguments; the exit status."""
    about = said("Explain a derivative: formula, chain rule step by step, evidence, surprises.",
                 "讲解一个导数：公式、链式法则的每一步、验证、值得注意之处。")  # fmt: skip
    ends = said("The exit status is 0; 1 if two ways to the derivative contradict each other; 2 for what cannot be explained.",
                "退出码是 0；两种求导方法互相矛盾时是 1；不能讲解时是 2。")  # fmt: skip
    made = parser("explain", about, EXAMPLES, ends)
    form = made.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help=said("print JSON, with every digit", "输出 JSON，带全部数字"))
    form.add_argument("--latex", action="store_true", help=said("print the formulas in LaTeX", "以 LaTeX 输出公式"))
    page = said("write a page with MathML and the picture of the graph", "写成网页，含 MathML 公式和计算图")
    form.add_argument("--html", metavar="FILE", help=page)
    return run(made, argv, _explain)


def _explain(chosen: argparse.Namespace, target: Target) -> int:
    from ..explain import explain

    e = explain(target.function, *target.point)
    if chosen.html:
        page = (
            f'<!doctype html><html lang="{e.language}"><meta charset="utf-8"><meta name="viewport" '
            'content="width=device-width"><meta name="color-scheme" content="light dark"><title>chainrule</title>'
            f"<body>{e.html()}{_picture(e)}</body></html>"
        )
        Path(chosen.html).write_text(page, encoding="utf-8")
        say(said("saved ", "已保存 ") + chosen.html)
    elif chosen.json:
        print(json.dumps(e.as_dict(), indent=2, ensure_ascii=False))
    else:
        print(e.latex() if chosen.latex else _painted(e))
    return int(any(row.verdict == "differs" for row in e.evidence))


def _painted(e: Explanation) -> str:
    """The text, with its headings and the verdicts that need a look in colour."""
    from ..explain.text import evidence

    rows = dict(zip(evidence(e, e.language)[2:], e.evidence, strict=True))  # below a heading and the columns' names
    lines = str(e).splitlines()
    for i, line in enumerate(lines):
        if i and not lines[i - 1]:
            lines[i] = paint(line, "heading")
        elif line in rows and rows[line].verdict in ("differs", "kink"):
            lines[i] = paint(line, "bad" if rows[line].verdict == "differs" else "caution")
    return "\n".join(lines)


def _picture(e: Any) -> str:
    """The picture of the graph, or why there is none."""
    try:
        return str(e.graph().svg())
    except ValueError as error:
        return f"<p>{html.escape(str(error))}</p>"
