"""The ``chainrule`` command: each of its commands is a module here, imported when it is asked for."""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from .. import __version__
from ..language import LANGUAGES, known, said, set_language
from .colour import paint

if TYPE_CHECKING:
    from ..explain.expression import ExpressionError

COMMANDS: Final = {
    "run": ("run a PyTorch script, unchanged and without PyTorch", "原样运行 PyTorch 脚本，不需要 PyTorch"),
    "derive": ("differentiate a formula at a point", "求公式在一点的导数"),
    "explain": ("show how a derivative comes about, step by step", "逐步说明导数是怎样得出的"),
    "graph": ("draw the graph of a computation, with values and gradients", "画出带数值和梯度的计算图"),
    "plot": ("draw a function and its derivatives", "画出函数及其导数"),
    "check": ("check the derivatives of a function of yours", "检查您的函数的导数"),
    "serve": ("open a page that explains derivatives", "打开讲解导数的网页"),
    "bench": ("time a derivative beside PyTorch's, if that is installed", "测量求导用时；装有 PyTorch 时与它比较"),
    "doctor": ("say what is installed and what is missing", "列出已安装和缺少的组件"),
    "completion": ("print a completion script for a shell", "输出 shell 的补全脚本"),
}
EXAMPLES: Final = """
  chainrule derive "5*x**4 + 3*x**3 + 7*x**2 + 9*x - 5" --at x=2
  chainrule derive "u**3 + v**2 + 4*u*v" --at u=3 v=4 --order 2 --plot f.png
  chainrule explain "x**2*sin(x)" --at x=2
  chainrule run train.py --save-plots plots --epochs 10
  chainrule serve

"""
# What argparse says of a wrong command line, in Chinese.
_CHINESE: Final = {
    "the following arguments are required: ": "缺少参数：", "expected at least one argument": "后面至少要有一个值",
    "expected one argument": "后面要有一个值", "invalid choice: ": "没有这一项：", "(choose from ": "(可选：",
    "not allowed with argument": "不能同时使用", "invalid int value: ": "不是整数：", "invalid float value: ": "不是数：",
    "argument ": "参数 ",
}  # fmt: skip


class Parser(argparse.ArgumentParser):
    """A parser in the user's language, whose errors are one line and exit status 2."""

    def __init__(self, name: str, about: str, epilog: str | None = None, usage: str | None = None) -> None:
        super().__init__(
            prog=f"chainrule {name}".rstrip(), usage=usage, description=about, epilog=epilog, add_help=False,
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
        )  # fmt: skip
        self._positionals.title = said("positional arguments", "参数")
        self._optionals.title = said("options", "选项")
        self.add_argument("-h", "--help", action="help", help=said("show this help message and exit", "显示这段说明"))

    def add_language(self) -> None:
        """The option that :func:`main` looks at."""
        help = said("the language (the locale's)", "语言（默认随系统）")
        self.add_argument("--lang", choices=LANGUAGES, help=help)

    def add_point(self) -> None:
        """The point that is asked about."""
        help = said("the point; x=2 y=pi/4", "求导的点；x=2 y=pi/4")
        self.add_argument("--at", metavar="NAME=VALUE", nargs="+", action="extend", default=[], help=help)

    def format_help(self) -> str:
        """The help, its first word translated too."""
        return super().format_help().replace("usage: ", said("usage: ", "用法："), 1)

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """The options; an operand such as -x**2 is none.  Words too many end the program."""
        known = [f" {w}" if w[:1] == "-" and w[:2] not in ("--", *self._option_string_actions) else w for w in words]
        chosen, more = self.parse_known_args(known)
        if more:
            point = [w for w in more if "=" in w[1:] and not w.startswith("--")] if "at" in chosen else []
            mend = said("; a point stands behind --at: --at {point}", "；点要写在 --at 后面：--at {point}",
                        point=" ".join(point)) if point else ""  # fmt: skip
            self.error(said("unrecognized arguments: ", "多余的参数：") + " ".join(more) + mend)
        return chosen

    def error(self, message: str) -> NoReturn:
        """End the program with the message."""
        for english, chinese in _CHINESE.items():
            message = message.replace(english, said(english, chinese))
        self.exit(2, f"{paint(f'{self.prog}:', 'bad', sys.stderr)} {message}\n")

    def refuse(self, error: ExpressionError) -> NoReturn:
        """End the program with the place in a formula that cannot be read."""
        line, _, caret = error.caret().partition("\n")
        self.error(f"{error}\n{line}\n{paint(caret, 'bad', sys.stderr)}")


def say(message: str) -> None:
    """One line to the user, on stderr: stdout belongs to results and to the script that is run."""
    print(f"chainrule: {message}", file=sys.stderr)


def no_value(missing: Sequence[str]) -> str:
    """What to do about variables without a value."""
    return said("no value for {names}: add {values} to --at, with the values you mean",
                "{names} 没有值：请在 --at 后面加上 {values}，换成您要的值", names=", ".join(missing),
                values=" ".join(f"{n}=2" for n in missing))  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, by default the process's own, and return its exit status.

    ``--help``, ``--version``, a wrong option and a script's own ``sys.exit`` raise SystemExit.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    asked = re.search(r" --lang[ =](en|zh)(?= |$)", " ".join(words))
    if asked is None or words[0] == "run":  # a script's options are its own
        return _run(words)
    set_language(known(asked[1]))
    try:
        return _run(words)
    finally:
        set_language(None)


def _run(words: list[str]) -> int:
    about = said(
        "Derivatives with PyTorch's API, on NumPy.\n\ncommands:", "PyTorch 接口的求导库，基于 NumPy。\n\n命令："
    )
    summaries = "".join(f"\n  {name:10} {said(*summary)}" for name, summary in COMMANDS.items())
    epilog = (
        said("examples:", "例子：")
        + EXAMPLES
        + said("'chainrule COMMAND --help' says more.", "详见 chainrule 命令 --help。")
    )
    parser = Parser("", about + summaries, epilog, "chainrule [--help] [--version] COMMAND ...")
    version = said("show program's version number and exit", "显示版本号")
    parser.add_argument("--version", action="version", version=f"chainrule {__version__}", help=version)
    parser.add_argument("command", choices=COMMANDS, help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    if not words:
        parser.print_help(sys.stderr)
        return 2
    chosen = parser.parse_args(words)
    command = importlib.import_module(f".{chosen.command}", __name__)
    status: int = command.main(chosen.arguments)
    return status
