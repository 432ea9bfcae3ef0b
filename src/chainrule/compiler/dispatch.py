"""Dispatch: what stands in for a function once it is compiled.

For each state of what it depends on, a :class:`Compiled` function has an entry (see :mod:`.entry`).  What cannot be compiled
runs as it is.
"""

from __future__ import annotations

import functools
import sys
import sysconfig
import threading
import traceback
import types
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import modes
from ..forks import renewed
from .entry import MISS, Entry
from .environment import Environment
from .run import maker
from .watching import Disturbed, Inline, Uncompilable, current, watchers

LIMIT = 16  # states of one function that are compiled
SIZES = 64  # programs that are kept, where sizes do not count as states
SETTLING = 3  # calls in which what it depends on may still grow
PATIENCE = 16  # calls in which other threads may disturb
stance = "default"  # what control.set_stance said
compiled: weakref.WeakSet[Compiled] = weakref.WeakSet()

_PACKAGE, _STDLIB = str(Path(__file__).resolve().parents[1]), sysconfig.get_path("stdlib")


class Compiled:
    """A function that is captured, fused and compiled when it is called."""

    __slots__ = ("__call__", "__dict__", "__weakref__")  # each has a call of its own, which may be a native one
    __call__: Callable[..., Any]

    def __init__(
        self, function: Callable[..., Any], *, fullgraph: bool = False, dynamic: bool | None = None,
        backend: str = "native", fast: bool = False,
    ) -> None:  # fmt: skip
        if isinstance(function, types.FunctionType):
            self.__dict__.update(vars(function))
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.fullgraph, self.dynamic = fullgraph, dynamic is not False
        self.runner = maker(backend, fast)
        self.entries: list[Entry] = []
        self.calls: list[Callable[..., Any]] = []
        self._lock = threading.RLock()
        self.busy = False  # whether it is being compiled
        self.states: set[Any] = set()  # what programs depended on, beside sizes
        self.settling = self.disturbed = 0
        self.eager: str | None = None  # why the function is no longer compiled
        self.refresh()
        compiled.add(self)

    def reset(self) -> None:
        """Forget all programs."""
        with self._lock:
            self.entries, self.states, self.eager = [], set(), None
            self.settling = self.disturbed = 0
            self.refresh()

    def refresh(self) -> None:
        """Let calls go to the programs that there are, if to any."""
        entries = [] if stance == "force_eager" else self.entries
        self.calls = [e.call for e in entries]
        call: Callable[..., Any] = self._choose
        for e in reversed(entries):
            if e.shortcut is not None:
                e.shortcut.otherwise(call)
                call = e.shortcut.call
        self.__call__ = call

    def _choose(self, *args: Any, **kwargs: Any) -> Any:
        """What the first program that is good for these arguments gives, or a new one."""
        for call in self.calls:
            result = call(args, kwargs)
            if result is not MISS:
                return result
        return self._compile(args, kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __reduce__(self) -> str:
        """As a function: found by its name again, and its own copy."""
        return self._name

    def __repr__(self) -> str:
        return f"<compiled {self._name}>"

    @property
    def _name(self) -> str:
        return getattr(self.function, "__qualname__", type(self.function).__name__)

    @property
    def _waits(self) -> bool:
        """Whether another thread captures now: this function, perhaps, or what keeps a program that there is from fitting."""
        return bool(watchers and (self.calls or self.busy))

    def _compile(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.eager is not None or current.get() is not None or modes.current() not in (modes.ON, modes.OFF):
            return self.function(*args, **kwargs)  # hooks, anomaly and inference mode want to see every operation
        if self._waits or stance in ("force_eager", "eager_on_recompile"):
            return self.function(*args, **kwargs)
        if stance == "fail_on_recompile":
            raise RuntimeError(f"{self._name} would be compiled anew, which the stance 'fail_on_recompile' forbids")
        obstacle: Exception | None = None
        try:
            with self._lock:
                for call in self.calls:  # another thread may have compiled it meanwhile
                    if (result := call(args, kwargs)) is not MISS:
                        return result
                if self._waits:
                    raise Inline
                self.busy = True
                try:
                    call = self._add(args, kwargs)
                finally:
                    self.busy = False
        except Exception as e:  # among them the function's own errors: run as it is, it will tell
            obstacle = e
            if isinstance(e, Disturbed) and self.disturbed < PATIENCE:
                self.disturbed, obstacle = self.disturbed + 1, Inline()
        if obstacle is None and (result := call(args, kwargs)) is not MISS:
            return result
        if obstacle is None or isinstance(obstacle, Inline):
            return self.function(*args, **kwargs)
        return self._fall_back(obstacle, args, kwargs)

    def _add(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[..., Any]:
        """A new entry's function."""
        environment = Environment(self.function, args, kwargs)
        try:
            entry = self._captured(environment, args, kwargs)
            if changed := environment.changed(args, kwargs):
                self.settling += all(c.grows for c in changed)
                if self.settling <= SETTLING and all(
                    c.grows for c in changed
                ):  # an optimiser's state, begun by its first step
                    raise Inline
                labels = dict.fromkeys(c.label for c in changed)
                raise Uncompilable(f"it changes {', '.join(labels)}, which it depends on")
        except Exception:
            environment.changed(args, kwargs, undo=True)
            raise
        environment.settle()
        self.entries = [entry, *self.entries][:SIZES]
        self.refresh()
        self.states.add(environment.state() if self.dynamic else len(self.states))
        if len(self.states) >= LIMIT:
            self.eager = f"it was called in {LIMIT} different ways (shapes, dtypes, Python values)"
            self._warn(self.eager)
        return entry.call

    def _captured(self, environment: Environment, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Entry:
        """The entry, by the first way that goes: without large examples, and with numbers that may change."""
        try:
            return self._entry(environment, args, kwargs)
        except Inline:
            raise
        except Exception:
            if not environment.numbers:
                raise
            environment.changed(args, kwargs, undo=True)
            environment.fix()
            return self._entry(environment, args, kwargs)

    def _entry(self, environment: Environment, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Entry:
        try:
            return Entry(self, environment, args, kwargs, faithful=False)
        except (Uncompilable, Inline):
            raise
        except Exception:  # perhaps only because large examples were not the real ones
            environment.changed(args, kwargs, undo=True)
            return Entry(self, environment, args, kwargs, faithful=True)

    def _fall_back(self, e: Exception, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        why = str(e).partition("\n")[0] + _line(e)
        if self.fullgraph and isinstance(e, Uncompilable):
            raise Uncompilable(f"{self!r} cannot be compiled as a whole: {why}") from e
        result = self.function(*args, **kwargs)
        if self.fullgraph:
            raise Uncompilable(f"{self!r} cannot be compiled as a whole: {why}") from e
        self.eager = why
        self._warn(why)
        return result

    def _warn(self, why: str) -> None:
        frame, level = sys._getframe(), 1
        while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
            frame, level = frame.f_back, level + 1
        warnings.warn(f"{self._name} runs uncompiled from now on: {why}", UserWarning, stacklevel=level)

    @property
    def source(self) -> str:
        """The Python source of what was compiled so far: kernels, then the function that calls them."""
        return "\n\n\n".join(e.source for e in self.entries)

    def explain(self) -> str:
        """What was compiled so far: for which arguments, into which loops, from which program."""
        if self.eager is not None:
            return f"{self!r}: runs uncompiled, because {self.eager}"
        return "\n\n".join([f"{self!r}: {len(self.entries)} program(s)", *[e.explain() for e in self.entries]])


class CompiledObject(Compiled):
    """A compiled object that can be called, and is no module: what it has beside can be asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "function" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.function, name)


@renewed
def _unlock() -> None:
    for each in compiled:
        each._lock = threading.RLock()


def _line(e: BaseException) -> str:
    """Where in the user's code an error arose."""
    frames = [f for f in traceback.extract_tb(e.__traceback__) if not f.filename.startswith((_PACKAGE, _STDLIB, "<"))]
    if not frames:
        return ""
    return f"\n  {frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}"
