"""Helper threads, which share the blocks of long loops (see :mod:`.walker`).

OpenMP's threads would disturb BLAS's while they wait.  These are plain threads of Python's, which spend their lives in
machine code, without the interpreter's lock.
"""

from __future__ import annotations

import threading

from ..forks import renewed
from ..settings import get_num_threads
from . import native, walker

count = get_num_threads
WORTH = 60_000.0  # nanoseconds of work for which waking one more thread pays

_NAME = "chainrule"
_lock = threading.Lock()
_started = 0


@renewed
def _forget() -> None:
    global _lock, _started
    _lock, _started = threading.Lock(), 0


def others() -> bool:
    """Whether there are threads beside this one that run Python."""
    return any(t.name != _NAME and t is not threading.current_thread() for t in threading.enumerate())


def start() -> None:
    """Let there be a helper for every thread that may work but one."""
    global _started
    with _lock:
        while _started < min(count() - 1, walker.MOST_HELPERS):
            try:
                threading.Thread(target=native.serve, name=_NAME, daemon=True).start()
            except RuntimeError:  # the system allows no more, or Python is about to end: there are fewer, then
                return
            _started += 1
