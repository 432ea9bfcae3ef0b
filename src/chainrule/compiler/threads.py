"""Helper threads, which share the blocks of long loops (see :mod:`.walker`).

OpenMP's threads would disturb BLAS's while they wait.  These are plain threads of Python's, which spend their lives in
machine code, without the interpreter's lock.
"""

from __future__ import annotations

import os
import threading

from . import native, walker

WORTH = 60_000.0  # nanoseconds of work for which waking one more thread pays

_lock = threading.Lock()
_started = 0
_owner = 0  # the process that the threads belong to: a fork has none


def count() -> int:
    """How many threads may work: one for each core that this process may use, unless ``CHAINRULE_THREADS`` says otherwise."""
    wish = os.environ.get("CHAINRULE_THREADS", "")
    if wish.isdecimal():
        return max(int(wish), 1)
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def start() -> None:
    """Let there be a helper for every core but one."""
    global _started, _owner
    with _lock:
        if _owner != os.getpid():
            _owner, _started = os.getpid(), 0
        while _started < min(count() - 1, walker.MOST_HELPERS):
            threading.Thread(target=native.serve, name="chainrule", daemon=True).start()
            _started += 1
