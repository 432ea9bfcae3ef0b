"""``chainrule completion``: a script that lets a shell complete the commands."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from . import COMMANDS, Parser

_SCRIPTS: Final = {
    "bash": 'complete -W "{words}" -o default chainrule\n',
    "zsh": '#compdef chainrule\ncompdef \'_arguments "1:command:({words})" "*:file:_files"\' chainrule\n',
    "fish": "complete -c chainrule -n __fish_use_subcommand -a '{words}'\n",
}
EPILOG: Final = """\
examples:
  eval "$(chainrule completion bash)"
  chainrule completion fish > ~/.config/fish/completions/chainrule.fish
"""


def main(argv: Sequence[str]) -> int:
    """Print the script; the exit status."""
    parser = Parser(prog="chainrule completion", description="Print a completion script.", epilog=EPILOG,
                    formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("shell", choices=_SCRIPTS)
    print(_SCRIPTS[parser.parse_args(list(argv)).shell].format(words=" ".join(COMMANDS)), end="")
    return 0
