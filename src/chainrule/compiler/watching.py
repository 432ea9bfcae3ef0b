"""Watching: who looks at tensors from before a capture, writes to them, prints or draws numbers, is noticed."""

from __future__ import annotations

import builtins
import logging
import pickle
import random
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import modes
from ..engine import Sweep
from ..forks import whole
from ..random.generator import Generator, recorder
from ..random.words import Words
from ..tensor import Lifted, Tensor
from . import threads

if TYPE_CHECKING:
    from .capture import Capture


class Uncompilable(RuntimeError):
    """This function does something that a program cannot; run as it is, it may be fine."""


class Disturbed(Uncompilable):
    """This function, or another thread meanwhile, did something that a program cannot: it may be fine next time."""


class Inline(Exception):
    """This time the function is to run as it is: something else interprets the tensors, or it has yet to settle."""


class _Eager:
    """Stands for a capture where nothing is to be captured, and compiled functions run as they are."""

    swept = False

    def read(self, t: Any, name: str, value: Any) -> Any:
        return value

    def may_set(self, t: Any, name: str, value: Any) -> bool:
        return True

    def refuse(self, why: Exception) -> None:
        pass


eager = _Eager()
current: ContextVar[Capture | _Eager | None] = ContextVar("chainrule.capture", default=None)
members = {name: Tensor.__dict__[name] for name in ("_a", "_rg", "_node", "_grad", "_v", "_meta")}  # as they really are
slots = {name: members[name] for name in ("_a", "_rg", "_node", "_grad")}
watchers: list[Capture | _Eager] = []  # the capture that goes on now, in whatever thread
_lock = whole(threading.RLock())  # one at a time


def capturing() -> bool:
    """Whether a function is being captured in this context."""
    return current.get() not in (None, eager)


def kind_of(t: Tensor) -> type[Tensor]:
    """A tensor's class, also while another thread watches it."""
    return Tensor if type(t) is Lifted else type(t)


class _Watched:
    """A slot of Tensor that asks the capture of its context, if there is one."""

    def __init__(self, name: str) -> None:
        self.name, self.slot = name, slots[name]

    def __get__(self, t: Any, owner: Any = None) -> Any:
        if t is None:
            return self
        value, capture = self.slot.__get__(t), current.get()
        return value if capture is None else capture.read(t, self.name, value)

    def __set__(self, t: Any, value: Any) -> None:
        capture = current.get()
        if capture is None or capture.may_set(t, self.name, value):
            self.slot.__set__(t, value)


def _importing() -> bool:
    """Whether a module is being imported, once for all calls."""
    frame = sys._getframe()
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back  # type: ignore[assignment]
    return frame is not None


def _swept(run: Callable[..., Any]) -> Callable[..., Any]:
    """A sweep of the engine, which the capture of its context gets to know of."""

    def swept(sweep: Any, roots: Any) -> Any:
        if (capture := current.get()) is not None:
            capture.swept = True
        return run(sweep, roots)

    return swept


def _refused(function: Callable[..., Any], why: str) -> Callable[..., Any]:
    """``function``, which no capture may see called."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if (capture := current.get()) is not None and not _importing():
            capture.refuse(Uncompilable(why))
        return function(*args, **kwargs)

    return call


_UNREPEATED = "it draws random numbers in a way that cannot be repeated at each call"
_FORBIDDEN: list[tuple[Any, str, str]] = [
    (builtins, "print", "it prints, which a program does not"),
    (builtins, "input", "it asks for input"),
    (builtins, "open", "it opens a file"),
    (warnings, "warn", "it warns, which a program does not"),
    (logging.Logger, "_log", "it logs, which a program does not"),
    *[
        (time, f"{name}{ns}", "it reads the clock")
        for name in ("time", "perf_counter", "monotonic", "process_time")
        for ns in ("", "_ns")
    ],
    (Words, "_words", _UNREPEATED),
    (Words, "_longs", _UNREPEATED),
    (Generator, "_restart", "it seeds a generator of random numbers"),
    (Generator, "_set_bytes", "it sets the state of a generator of random numbers"),
]


@contextmanager
def watching(capture: Capture, tensors: Sequence[Tensor]) -> Iterator[None]:
    """Watch the slots, and keep ``tensors`` off the ways that are paved for plain tensors over NumPy."""
    undo: list[Callable[[], Any]] = [_let_go]
    try:
        if not _lock.acquire(timeout=60):  # the function that is captured may be waiting for this thread
            raise Inline
        if watchers:  # this thread's own, in another context
            raise Inline
        undo.append(watchers.clear)
        watchers.append(capture)
        for variable in (current, recorder):
            undo.append(partial(variable.set, variable.get()))
            variable.set(capture)
        modes.variable.set(modes.current())  # guards find at once what has been set
        stand_ins: list[tuple[Any, str, Any]] = [
            (o, name, _refused(getattr(o, name), why)) for o, name, why in _FORBIDDEN
        ]
        stand_ins += [(t, "__class__", Lifted) for t in tensors if type(t) is Tensor]
        stand_ins += [(Tensor, name, _Watched(name)) for name in slots]
        stand_ins.append((Sweep, "run", _swept(Sweep.run)))
        for owner, name, stand_in in stand_ins:
            undo.append(partial(setattr, owner, name, getattr(owner, name)))
            setattr(owner, name, stand_in)
        yield
    finally:
        try:
            _all(undo)
        finally:  # a signal may have struck
            _all(undo)


def _let_go() -> None:
    if _lock._is_owned():
        _lock.release()


def _all(undo: list[Callable[[], Any]]) -> None:
    while undo:
        undo[-1]()
        undo.pop()


@contextmanager
def no_random() -> Iterator[None]:
    """Refuse random numbers of others than ours, and put a generator that was used back where it was.

    They may have been another thread's, which would draw the same ones again: then they stay drawn.
    """
    kinds: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = [
        (np.random.get_state, np.random.set_state),
        (random.getstate, random.setstate),
    ]
    before, others = [get() for get, _ in kinds], threads.others()
    drawn = False
    try:
        yield
    finally:
        for (get, set_), state in zip(kinds, before, strict=True):
            if pickle.dumps(get()) != pickle.dumps(state):  # arrays and tuples alike
                drawn = True
                if not others:
                    set_(state)
    if drawn:
        raise Disturbed(f"{_UNREPEATED}, or another thread does") if others else Uncompilable(_UNREPEATED)
