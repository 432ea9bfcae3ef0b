"""``chainrule run``: a PyTorch script, unchanged, on chainrule."""

from __future__ import annotations

import argparse
import builtins
import io
import signal
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final

from ..explain import fonts
from . import Parser, plots, say
from .alias import torch_is_chainrule

EPILOG: Final = """\
Options stand before SCRIPT or right after it; everything that follows belongs to the script:

  chainrule run train.py --save-plots plots --epochs 10

"import torch" gives chainrule, also where PyTorch is installed. Errors are shown as far as the script's
own lines go. The exit status is the script's; 2 if it cannot be opened.
"""


def main(argv: Sequence[str]) -> int:
    """Run the script that the arguments name; its exit status."""
    parser = Parser(
        prog="chainrule run", allow_abbrev=False, description="Run a PyTorch script, unchanged, on chainrule.",
        usage="chainrule run SCRIPT [--save-plots DIR] [--full-traceback] [ARGUMENTS ...]", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("script", metavar="SCRIPT", type=Path, help="the script's file")
    parser.add_argument("--save-plots", metavar="DIR", type=Path, help="let plt.show() save PNG files into this folder")
    parser.add_argument("--full-traceback", action="store_true", help="show chainrule's own lines in errors too")
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
        say(f"cannot open {path}: {error.strerror}")
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
                _trim(error)
            sys.excepthook(type(error), error, error.__traceback__)
            if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "matplotlib":
                say("to install matplotlib: pip install 'chainrule[explain]'")
            return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
        return 0


def _trim(error: BaseException | None) -> None:
    """Take chainrule's own lines, and the import system's, out of an error's traceback and its causes'."""
    seen: set[int] = set()
    pending = [error]
    while pending:
        error = pending.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        error.__traceback__ = _without_internals(error.__traceback__)
        pending += [error.__cause__, error.__context__]


def _without_internals(trace: TracebackType | None) -> TracebackType | None:
    shown = []
    while trace is not None:
        if not _is_internal(trace.tb_frame):
            shown.append(trace)
        trace = trace.tb_next
    for entry in reversed(shown):
        trace = TracebackType(trace, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return trace


def _is_internal(frame: FrameType | None) -> bool:
    while frame is not None and "__name__" not in frame.f_globals:  # code made from text belongs to who called it
        frame = frame.f_back
    return frame is not None and frame.f_globals["__name__"].partition(".")[0] in ("chainrule", "importlib")
