"""The ``chainrule`` command: each of its commands is a module here, imported when it is asked for."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from .. import __version__
from .colour import paint

if TYPE_CHECKING:
    from ..explain.expression import ExpressionError

COMMANDS: Final = {
    "run": "run a PyTorch script, unchanged and without PyTorch",
    "derive": "differentiate a formula at a point",
    "explain": "show how a derivative comes about, step by step",
    "graph": "draw the graph of a computation, with values and gradients",
    "plot": "draw a function and its derivatives",
    "check": "check the derivatives of a function of yours",
    "serve": "open a page that explains derivatives",
    "bench": "time a derivative beside PyTorch's, if that is installed",
    "doctor": "say what is installed and what is missing",
    "completion": "print a completion script for a shell",
}
EXAMPLES: Final = """\
examples:
  chainrule derive "5*x**4 + 3*x**3 + 7*x**2 + 9*x - 5" --at x=2
  chainrule derive "u**3 + v**2 + 4*u*v" --at u=3 v=4 --order 2 --plot f.png
  chainrule explain "x**2*sin(x)" --at x=2
  chainrule run train.py --save-plots plots --epochs 10
  chainrule serve

'chainrule COMMAND --help' says more.
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and exit status 2."""

    def error(self, message: str) -> NoReturn:
        """End the program with the message."""
        self.exit(2, f"{paint(f'{self.prog}:', 'bad', sys.stderr)} {message}\n")

    def refuse(self, error: ExpressionError) -> NoReturn:
        """End the program with the place in a formula that cannot be read."""
        line, _, caret = error.caret().partition("\n")
        self.error(f"{error}\n{line}\n{paint(caret, 'bad', sys.stderr)}")


def say(message: str) -> None:
    """One line to the user, on stderr: stdout belongs to results and to the script that is run."""
    print(f"chainrule: {message}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, by default the process's own, and return its exit status.

    ``--help``, ``--version``, a wrong option and a script's own ``sys.exit`` raise SystemExit.
    """
    summaries = "\n".join(f"  {name:10} {summary}" for name, summary in COMMANDS.items())
    parser = Parser(
        prog="chainrule",
        usage="chainrule [--help] [--version] COMMAND ...",
        description=f"Derivatives with PyTorch's API, on NumPy.\n\ncommands:\n{summaries}",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"chainrule {__version__}")
    parser.add_argument("command", choices=COMMANDS, help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    words = sys.argv[1:] if argv is None else list(argv)
    if not words:
        parser.print_help(sys.stderr)
        return 2
    chosen = parser.parse_args(words)
    command = importlib.import_module(f".{chosen.command}", __name__)
    status: int = command.main(chosen.arguments)
    return status
