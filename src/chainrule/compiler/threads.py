"""Helper threads, which share the blocks of long loops (see :mod:`.walker`).

OpenMP's threads would disturb BLAS's while they wait.  These are plain threads of Python's, which spend their lives in
machine code, without the interpreter's lock.
"""

from __future__ import annotations

import os
import threading

from ..forks import renewed
from . import native, walker

WORTH = 60_000.0  # nanoseconds of work for which waking one more thread pays

_NAME = "chainrule"
_lock = threading.Lock()
_started = 0


@renewed
def _forget() -> None:
    global _lock, _started
    _lock, _started = threading.Lock(), 0


def count() -> int:
    """How many threads may work: one for each core that this process may use, unless ``CHAINRULE_THREADS`` says otherwise."""
    wish = os.environ.get("CHAINRULE_THREADS", "")
    if wish.isdecimal():
        return max(int(wish), 1)
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def others() -> bool:
    """Whether there are threads beside this one that run Python."""
    return any(t.name != _NAME and t is not threading.current_thread() for t in threading.enumerate())


def start() -> None:
    """Let there be a helper for every core but one."""
    global _started
    with _lock:
        while _started < min(count() - 1, walker.MOST_HELPERS):
            try:
                threading.Thread(target=native.serve, name=_NAME, daemon=True).start()
            except RuntimeError:  # the system allows no more, or Python is about to end: there are fewer, then
                return
            _started += 1
