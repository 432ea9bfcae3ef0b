"""``chainrule run``: a PyTorch script, unchanged, on chainrule."""

from __future__ import annotations

import builtins
import io
import signal
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path

from ..explain import fonts
from ..language import said
from . import Parser, plots, say
from .alias import torch_is_chainrule
from .traces import trim


def main(argv: Sequence[str]) -> int:
    """Run the script that the arguments name; its exit status."""
    ends = said(
        "Options stand before SCRIPT or right after it; everything that follows belongs to the script:\n\n"
        "  chainrule run train.py --save-plots plots --epochs 10\n\n"
        '"import torch" gives chainrule, also where PyTorch is installed. Errors are shown as far as the script\'s\n'
        "own lines go. The exit status is the script's; 2 if it cannot be opened.",
        "选项写在 SCRIPT 之前或紧跟其后；再往后都属于脚本：\n\n  chainrule run train.py --save-plots plots --epochs 10\n\n"
        "“import torch” 得到的是 chainrule，装有 PyTorch 时也一样。报错只显示脚本自己的代码行。\n"
        "退出码就是脚本的退出码；打不开脚本时是 2。",
    )  # fmt: skip
    usage = "chainrule run SCRIPT [--save-plots DIR] [--full-traceback] [ARGUMENTS ...]"
    about = said("Run a PyTorch script, unchanged, on chainrule.", "用 chainrule 原样运行 PyTorch 脚本。")
    parser = Parser("run", about, ends, usage)
    parser.add_argument("script", metavar="SCRIPT", type=Path, help=said("the script's file", "脚本文件"))
    plots_help = said("let plt.show() save PNG files into this folder", "让 plt.show() 把 PNG 存到这个文件夹")
    parser.add_argument("--save-plots", metavar="DIR", type=Path, help=plots_help)
    full = said("show chainrule's own lines in errors too", "报错时也显示 chainrule 自己的代码行")
    parser.add_argument("--full-traceback", action="store_true", help=full)
    ours, arguments = _split(argv)
    chosen = parser.parse_args(ours)
    try:
        path = chosen.script
        with io.open_code(str(path.absolute())) as file:
            source = file.read()
        if chosen.save_plots is not None:
            path = chosen.save_plots
            path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        say(said("cannot open {path}: {why}", "打不开 {path}：{why}", path=path, why=error.strerror))
        return 2
    program = _Program(chosen.script, source, arguments)
    with fonts.watch(say), torch_is_chainrule(), plots.shown(chosen.save_plots, chosen.script), program.as_main():
        return program.execute(chosen.full_traceback)


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our part of the command line, up to the options right after SCRIPT, and the script's part."""
    ours, rest, script = [], list(argv), False
    while rest and (not script or rest[0].partition("=")[0] in ("--save-plots", "--full-traceback")):
        word = rest.pop(0)
        ours.append(word)
        if word == "--save-plots" and rest:
            ours.append(rest.pop(0))
        script = script or not word.startswith("-")
    return ours, rest[1:] if rest[:1] == ["--"] else rest


class _Program:
    """A script and the surroundings that ``python SCRIPT`` would give it."""

    def __init__(self, script: Path, source: bytes, arguments: Sequence[str]) -> None:
        self.source, self.path = source, str(script.absolute())
        self.argv = [str(script), *arguments]
        self.module = types.ModuleType("__main__")
        self.module.__dict__.update(
            __file__=self.path, __builtins__=builtins, __cached__=None,
            __loader__=SourceFileLoader("__main__", self.path),
        )  # fmt: skip

    @contextmanager
    def as_main(self) -> Iterator[None]:
        """Within the block it is ``__main__``, with its own ``sys.argv`` and the folder it lies in on ``sys.path``."""
        before = sys.argv, sys.path[:], sys.modules["__main__"]
        sys.argv, sys.modules["__main__"] = self.argv, self.module
        if not sys.flags.safe_path:  # python -P, under which Python leaves the folder out too
            sys.path[0] = str(Path(self.path).resolve().parent)
        try:
            yield
        finally:
            sys.argv, sys.path[:], sys.modules["__main__"] = before

    def execute(self, full_traceback: bool) -> int:
        """Run it; the exit status. Its own SystemExit goes on to the caller, and so to Python."""
        try:
            exec(compile(self.source, self.path, "exec", dont_inherit=True), self.module.__dict__)
        except SystemExit:
            raise
        except BaseException as error:
            if not full_traceback:
                trim(error)
            sys.excepthook(type(error), error, error.__traceback__)
            if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "matplotlib":
                say("to install matplotlib: pip install 'chainrule[explain]'")
            return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
        return 0
