"""Forks: a forked process has one thread, and what the others held or had half done stays so for ever."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

_PATIENCE = 60.0  # seconds: who holds the lock may be waiting for the process that is to be forked


def renewed(renew: Callable[[], None]) -> Callable[[], None]:
    """Let ``renew`` be called in each forked process: it makes anew the locks that may be held."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)
    return renew


def whole(lock: Any) -> Any:
    """``lock``, reentrant, that a fork waits for: what it guards is not forked half done."""
    here = threading.local()

    def before() -> None:
        here.held = lock.acquire(timeout=_PATIENCE)

    def after() -> None:
        if here.held:
            lock.release()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=before, after_in_parent=after, after_in_child=after)
    return lock
