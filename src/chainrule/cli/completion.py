"""``chainrule completion``: a script that lets a shell complete the commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..language import said
from . import COMMANDS, Parser

_SCRIPTS: Final = {
    "bash": """\
_chainrule() {{
    local words="{words}"
    case $COMP_CWORD:$2 in
        1:*) ;;
        *:-*) words=$(chainrule "${{COMP_WORDS[1]}}" --help | sed -nE 's/^  (-., )?(--[a-z-]+).*/\\2/p') ;;
        *) words= ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$2"))
}}
complete -o default -F _chainrule chainrule
""",
    "zsh": '#compdef chainrule\ncompdef \'_arguments "1:command:({words})" "*:file:_files"\' chainrule\n',
    "fish": "complete -c chainrule -n __fish_use_subcommand -a '{words}'\n",
}
EXAMPLES: Final = """\
  eval "$(chainrule completion bash)"
  chainrule completion fish > ~/.config/fish/completions/chainrule.fish
"""


def main(argv: Sequence[str]) -> int:
    """Print the script; the exit status."""
    about = said("Print a completion script.", "输出补全脚本。")
    parser = Parser("completion", about, f"{said('examples:', '例子：')}\n{EXAMPLES}")
    parser.add_argument("shell", choices=_SCRIPTS)
    print(_SCRIPTS[parser.parse(argv).shell].format(words=" ".join(COMMANDS)), end="")
    return 0
