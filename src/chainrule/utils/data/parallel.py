"""Workers: processes that fetch batches ahead, and the pass that hands them out in order."""

from __future__ import annotations

import itertools
import math
import multiprocessing
import os
import queue
import random
import signal
import time
import traceback
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...random import manual_seed
from .dataloader import DataLoader, Fetcher, Pass
from .sampler import draw_seed

_PATIENCE = 2.0  # seconds that a worker waits before it looks whether the main process is there, or is given to end
_GLANCE = 0.5  # seconds that the main process waits before it looks whether the workers are there


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker knows of itself: its number, how many there are, its seed, its copy of the data set.

    Source: ``torch.utils.data._utils.worker.WorkerInfo``.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any
    rng: Any = None
    worker_method: str = "multiprocessing"


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """What this worker knows of itself; None in the main process.

    Source: ``torch.utils.data.get_worker_info``.

    >>> print(get_worker_info())
    None
    """
    return _info


class _Said(str):
    """A text that is shown as it is, also as a KeyError's."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, slots=True)
class _Failure:
    """An exception of a worker: its class, and its traceback as text, which is all that can travel."""

    kind: type[BaseException]
    text: str
    where: str

    @staticmethod
    def caught(e: BaseException, worker: int) -> _Failure:
        return _Failure(type(e), "".join(traceback.format_exception(e)), f"in DataLoader worker process {worker}")

    def raise_again(self) -> None:
        """Raise an exception of the same class that shows the traceback; RuntimeError where the class has its own ways."""
        text = f"Caught {self.kind.__name__} {self.where}.\nOriginal {self.text}"
        try:
            again = self.kind(_Said(text) if issubclass(self.kind, KeyError) else text)
        except Exception:
            again = RuntimeError(text)
        raise again from None


@dataclass(frozen=True, slots=True)
class _Ended:
    """A worker's data set has no more samples."""

    worker: int


class _Restart:
    """Begin another pass; sent to a worker, and back when it has."""


def _work(
    fetcher: Fetcher, tasks: Any, results: Any, done: Any, base_seed: int,
    prepare: Callable[[int], None] | None, worker: int, workers: int,
) -> None:  # fmt: skip
    """A worker's life: take indices, put batches, until told that it is over or left alone."""
    global _info
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which then says that it is over
    seed = base_seed + worker
    random.seed(seed)
    manual_seed(seed)
    np.random.seed(np.random.SeedSequence([worker, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]).generate_state(4))
    _info = WorkerInfo(worker, workers, seed, fetcher.dataset)
    failure = None
    try:
        if prepare is not None:
            prepare(worker)
        fetcher.restart()
    except Exception as e:
        failure = _Failure.caught(e, worker)
    parent, ended = multiprocessing.parent_process(), False
    while parent is None or parent.is_alive():
        try:
            task = tasks.get(timeout=_PATIENCE)
        except queue.Empty:
            continue
        if task is None:
            break
        if isinstance(task, _Restart):
            results.put((task, None))
            fetcher.restart()
            ended = False
            continue
        if done.is_set() or ended:
            continue
        number, index = task
        found: Any
        if failure is not None:
            found, failure = failure, None
        else:
            try:
                found = fetcher(index)
            except StopIteration as e:
                ended = fetcher.iterable
                found = _Ended(worker) if ended else _Failure.caught(e, worker)
            except Exception as e:
                found = _Failure.caught(e, worker)
        results.put((number, found))
    if done.is_set():  # nobody reads any more
        results.cancel_join_thread()
        results.close()


class Workers:
    """The processes of one loader, with a queue of tasks each and one of results."""

    def __init__(self, loader: DataLoader[Any], base_seed: int) -> None:
        context = loader.multiprocessing_context or multiprocessing
        self.results, self.done = context.Queue(), context.Event()
        self.tasks: list[Any] = []
        self.processes: list[Any] = []
        self.passes = 0  # that were begun before this one
        n = loader.num_workers
        for i in range(n):
            tasks = context.Queue()
            tasks.cancel_join_thread()
            process = context.Process(
                target=_work, daemon=True,
                args=(Fetcher(loader), tasks, self.results, self.done, base_seed, loader.worker_init_fn, i, n),
            )  # fmt: skip
            process.start()
            self.tasks.append(tasks)
            self.processes.append(process)
        self.stop = weakref.finalize(self, _stop, os.getpid(), self.results, self.done, self.tasks, self.processes)

    def restart(self, timeout: float) -> None:
        """Begin another pass; what is left of the one before is let go."""
        self.passes += 1
        for tasks in self.tasks:
            tasks.put(_Restart())
        waiting = len(self.processes)
        while waiting:
            waiting -= isinstance(self.receive(timeout)[0], _Restart)

    def receive(self, timeout: float) -> tuple[Any, Any]:
        """The next result.  RuntimeError if a process has died, or ``timeout`` (unless 0) has passed."""
        until = time.monotonic() + (timeout or math.inf)
        while True:
            try:
                found: tuple[Any, Any] = self.results.get(timeout=min(_GLANCE, max(0.0, until - time.monotonic())))
                return found
            except queue.Empty:
                dead = [p for p in self.processes if not p.is_alive()]
                if dead:
                    pids = ", ".join(str(p.pid) for p in dead)
                    raise RuntimeError(f"DataLoader worker (pid(s) {pids}) exited unexpectedly") from None
                if time.monotonic() >= until:
                    raise RuntimeError(f"DataLoader timed out after {timeout} seconds") from None


def _stop(owner: int, results: Any, done: Any, tasks: list[Any], processes: list[Any]) -> None:
    """Let the processes end, or end them."""
    if os.getpid() != owner:  # a worker, that has all this by inheritance
        return
    done.set()
    for each in tasks:
        each.put(None)
    for process in processes:
        process.join(timeout=_PATIENCE)
    for each in (*tasks, results):
        each.cancel_join_thread()
        each.close()
    for process in processes:
        if process.is_alive():
            process.terminate()
            process.join(timeout=_PATIENCE)


class ParallelPass(Pass):
    """One pass over a loader's batches, fetched by workers.

    Tasks are numbered and go to the workers in turn; results are handed out in the order of the numbers, unless
    the loader is not ``in_order``.  There are never more than ``prefetch_factor`` tasks per worker under way.
    """

    def _start(self) -> None:
        kept = self.loader._workers
        if kept is None:
            self.workers = Workers(self.loader, draw_seed(self.loader.generator))
        else:
            self.workers = kept
            kept.restart(self.loader.timeout)
        if self.loader.persistent_workers:
            self.loader._workers = self.workers
        self._turn_of_pass = self.workers.passes
        self._begin()

    def _begin(self) -> None:
        n = self.loader.num_workers
        self._indices = iter(self.loader._index_sampler)
        self._turn = itertools.cycle(range(n))
        self._active = [True] * n
        self._sent, self._next = 0, 0  # the numbers of the next task and of the next batch
        self._at: dict[int, int] = {}  # tasks under way, by number: who has them
        self._ready: dict[int, Any] = {}  # batches that came before their turn
        for _ in range((self.loader.prefetch_factor or 0) * n):
            self._send()

    def _send(self) -> None:
        """Give the next worker in turn a task, if there is one."""
        if not any(self._active):
            return
        try:
            index = next(self._indices)
        except StopIteration:
            return
        share = (self.loader.prefetch_factor or 0) * self.loader.num_workers // sum(self._active)
        busy = list(self._at.values())
        for worker in itertools.islice(self._turn, self.loader.num_workers):
            if self._active[worker] and (self.loader.in_order or busy.count(worker) < share):
                self.workers.tasks[worker].put((self._sent, index))
                self._at[self._sent] = worker
                self._sent += 1
                return

    def _next_batch(self) -> Any:
        if self._turn_of_pass != self.workers.passes:
            raise RuntimeError("this pass is over: another one has begun, by the same persistent workers")
        while self._at or self._ready:
            if self._next in self._ready:
                found = self._ready.pop(self._next)
                self._next += 1
                return self._hand_out(found)
            if self._next not in self._at:  # its worker had no more samples
                self._next += 1
                continue
            number, found = self.workers.receive(self.loader.timeout)
            if number not in self._at:
                continue
            del self._at[number]
            if isinstance(found, _Ended):
                self._active[found.worker] = False
                for lost in [k for k, worker in self._at.items() if worker == found.worker]:
                    del self._at[lost]
                self._send()
            elif not self.loader.in_order:
                return self._hand_out(found)
            else:
                self._ready[number] = found
        if not self.loader.persistent_workers:
            self.workers.stop()
        raise StopIteration

    def _hand_out(self, found: Any) -> Any:
        self._send()
        if isinstance(found, _Failure):
            found.raise_again()
        return found
