"""What a script's figures become: windows where there is a display, PNG files where they are asked for."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from weakref import WeakKeyDictionary

from ..explain import fonts
from . import say

_PYPLOT: Final = "matplotlib.pyplot"
_BACKEND: Final = "module://chainrule.cli.figures"


@dataclass
class _Album:
    """Where the figures of the running script go."""

    directory: Path | None
    script: Path
    numbers: WeakKeyDictionary[Any, int] = field(default_factory=WeakKeyDictionary)
    count: int = 0

    def show(self, figure: Any) -> None:
        new = figure not in self.numbers  # an animation shows the same one again and again
        if new:
            self.count += 1
            self.numbers[figure] = self.count
        if self.directory is not None:
            path = self.directory / f"{self.script.stem}-{self.numbers[figure]}.png"
            figure.savefig(path)
            if new:
                say(f"saved {path}")
        elif self.count == 1 and new:
            how = f"chainrule run {self.script} --save-plots DIR"
            say(f"figures are not shown, for want of a display; to save them as PNG files: {how}")


_album: _Album | None = None


def show(figure: Any) -> None:
    """Called by the backend for each open figure when the script calls ``plt.show()``."""
    if _album is not None:
        _album.show(figure)


@contextmanager
def shown(directory: Path | None, script: Path) -> Iterator[None]:
    """Within the block, matplotlib has Chinese labels, and without a display or with a directory, no windows.

    matplotlib is not imported for it: a script without plots need not wait for that.
    """
    global _album
    undo: list[Callable[[], None]] = []

    def prepare(pyplot: Any) -> None:
        fonts.prepare()
        if directory is not None or _headless():
            undo.append(_take_over(pyplot))

    finder = _AfterImport(_PYPLOT, prepare)
    before, _album = _album, _Album(directory, script)
    if _PYPLOT in sys.modules:
        prepare(sys.modules[_PYPLOT])
    else:
        sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        _album = before
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
        for restore in undo:
            restore()


def _headless() -> bool:
    if sys.platform in ("win32", "cygwin", "darwin") or os.environ.get("MPLBACKEND", "agg").lower() != "agg":
        return False
    return not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _take_over(pyplot: Any) -> Callable[[], None]:
    """Draw with our backend, also where the script asks for a window toolkit; returns how to undo it."""
    theirs = pyplot.switch_backend
    theirs(_BACKEND)
    pyplot.switch_backend = lambda newbackend: None

    def restore() -> None:
        pyplot.switch_backend = theirs

    return restore


class _AfterImport(MetaPathFinder):
    """Calls ``then(module)`` right after a module is first imported, before its importer goes on."""

    def __init__(self, name: str, then: Callable[[ModuleType], None]) -> None:
        self.name, self.then = name, then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                self.then(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # this loader is this module's own
        return spec
