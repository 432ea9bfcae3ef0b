"""A few threads that share the blocks of a loop.

OpenMP's threads would disturb BLAS's while they wait.  A kernel
releases the global lock, so plain threads will do: each takes the next stretch of blocks until none is left.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any

WORTH = 120_000.0  # nanoseconds of work from which waking a thread pays
_AGAIN = 0.01  # seconds after which the results are counted, should nobody have said anything
_STRETCHES = 4  # per thread, so that one that is held up does not hold up all

_jobs: SimpleQueue[_Job] = SimpleQueue()
_lock = threading.Lock()
_started = 0
_owner = 0  # the process that the threads belong to: a fork has none


def count() -> int:
    """How many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class _Job:
    """Calls of one kernel over stretches of blocks.

    ``results`` gets what each gave, or the error it raised, exactly once, whatever interrupts it; ``done`` then says so.
    """

    __slots__ = ("args", "done", "kernel", "results", "stretches")

    def __init__(self, kernel: Callable[..., Any], stretches: Iterator[tuple[int, int]], args: tuple[Any, ...]) -> None:
        self.kernel, self.stretches, self.args = kernel, stretches, args
        self.results: list[Any] = []
        self.done: SimpleQueue[None] = SimpleQueue()

    def work(self) -> None:
        result: Any
        for first, last in self.stretches:  # a list's iterator: two threads never get the same item
            try:
                result = self.kernel(first, last, *self.args)
            except BaseException as e:  # handed to the thread that waits
                result = e
            finally:
                self.results.append(result)
                self.done.put(None)


def _serve() -> None:
    while True:
        job = _jobs.get()
        job.work()
        del job  # with the arrays that it holds


def _start(wanted: int) -> None:
    global _started, _owner, _jobs
    with _lock:
        if _owner != os.getpid():
            _owner, _started, _jobs = os.getpid(), 0, SimpleQueue()
        while _started < wanted:
            threading.Thread(target=_serve, name="chainrule", daemon=True).start()
            _started += 1


def share(kernel: Callable[..., Any], blocks: int, args: tuple[Any, ...]) -> bool:
    """``kernel(first, last, *args)`` over all blocks, on all cores; whether some call returned True.

    Interrupted, it raises when all is done: nobody writes to the arrays after it has ended.
    """
    helpers = min(count(), blocks) - 1
    if helpers < 1:
        return bool(kernel(0, blocks, *args))
    if _started < helpers or _owner != os.getpid():
        _start(helpers)
    n = min(blocks, (helpers + 1) * _STRETCHES)
    edges = [blocks * i // n for i in range(n + 1)]
    job = _Job(kernel, iter(list(zip(edges, edges[1:], strict=False))), args)
    interrupted: BaseException | None = None
    while True:
        try:
            while helpers:
                helpers -= 1
                _jobs.put(job)
            while len(job.results) < n:  # a helper that never came to it is not waited for
                job.work()
                if len(job.results) < n:
                    job.done.get(timeout=_AGAIN)
            break
        except Empty:
            pass
        except BaseException as e:  # a signal, with which what was said may be lost
            interrupted = e
    job.args = ()
    for result in job.results:
        if isinstance(result, BaseException):
            raise result
    if interrupted is not None:
        raise interrupted
    return any(job.results)
