"""Processes that compute for the page, each with one request at a time, killed when it takes too long."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

COUNT: Final = 2
SECONDS: Final = 2.0  # of work on one request
STARTING: Final = 40.0  # seconds that a process may take to import what it needs
LONGEST: Final = 8 << 20  # bytes of one part of an answer
# This chainrule, and no module that happens to lie in the folder where the command was given.
_START: Final = (
    f"import sys; sys.path.append({str(Path(__file__).parents[2])!r}); from chainrule.web.worker import main; main()"
)
COMMAND: Final = (sys.executable, "-P", "-c", _START)


class Busy(Exception):
    """All processes are at work, and stayed so."""


class Workers:
    """A few processes; the one that has worked last is asked first, since it remembers formulas."""

    def __init__(
        self, command: Sequence[str] = COMMAND, *, count: int = COUNT, seconds: float = SECONDS,
        starting: float = STARTING,
    ) -> None:  # fmt: skip
        self.command, self.seconds, self.starting = command, seconds, starting
        self.free = asyncio.Semaphore(count)
        self.idle = [_Worker(self) for _ in range(count)]
        self.all = tuple(self.idle)
        self.ending: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start all processes, without waiting for them."""
        for worker in self.all:
            worker.start()

    async def stop(self) -> None:
        """End them, whatever they do."""
        starting = [worker.starting for worker in self.all if worker.starting is not None]
        for one in starting:
            one.cancel()  # changes nothing where there is a process already
        for started in await asyncio.gather(*starting, return_exceptions=True):
            if isinstance(started, asyncio.subprocess.Process):
                self.end(started)
        await asyncio.gather(*self.ending)

    def end(self, process: asyncio.subprocess.Process) -> None:
        """Kill a process, and see it off without waiting."""
        task = asyncio.create_task(_kill(process))
        self.ending.add(task)
        task.add_done_callback(self.ending.discard)

    async def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The parts of the answer as one; with "failed" if the last ones are missing.

        Raises Busy if no process becomes free as long as one may work on a request.
        """
        try:
            async with asyncio.timeout(self.seconds):
                await self.free.acquire()
        except TimeoutError:
            raise Busy from None
        ready = [worker for worker in self.idle if worker.ready] or self.idle
        worker = ready[-1]
        self.idle.remove(worker)
        try:
            return await worker.ask(request)
        finally:
            self.idle.append(worker)
            self.free.release()


class _Worker:
    """One process, and the next one when it has been killed."""

    def __init__(self, pool: Workers) -> None:
        self.pool = pool
        self.starting: asyncio.Task[asyncio.subprocess.Process] | None = None

    def start(self) -> None:
        self.starting = asyncio.create_task(self._started())

    @property
    def ready(self) -> bool:
        """Whether there is a process that has started."""
        return self.starting is not None and self.starting.done() and not self._failed(self.starting)

    @staticmethod
    def _failed(starting: asyncio.Task[asyncio.subprocess.Process]) -> bool:
        """Whether there is no process, and none to be waited for."""
        return starting.done() and (
            starting.cancelled() or starting.exception() is not None or starting.result().returncode is not None
        )

    async def _started(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *self.pool.command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LONGEST,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},  # threads take address space
            start_new_session=True,  # Ctrl-C is for the server, which ends them
        )  # fmt: skip
        try:
            async with asyncio.timeout(self.pool.starting):
                await _read(process)
        except BaseException:
            await _kill(process)
            raise
        return process

    async def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        if self.starting is None or self._failed(self.starting):
            self.start()
        assert self.starting is not None
        try:
            process = await asyncio.shield(self.starting)
        except (TimeoutError, OSError, ValueError, EOFError):
            return {"failed": "start"}
        finished = False
        try:
            async with asyncio.timeout(self.pool.seconds):
                assert process.stdin is not None
                process.stdin.write(json.dumps(request).encode() + b"\n")
                await process.stdin.drain()
                while not (part := await _read(process)).pop("done", False):
                    answer |= part
                answer |= part
            finished = answer.get("failed") != "memory"
        except TimeoutError:
            answer["failed"] = "time"
        except (OSError, ValueError, EOFError):  # it has died, or answered what is no answer
            answer["failed"] = "died"
        finally:
            if not finished:
                self.pool.end(process)
                self.start()
        return answer


async def _read(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """The next part; EOFError if there is none, ValueError if it is none."""
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise EOFError
    part = json.loads(line)
    if not isinstance(part, dict):
        raise ValueError("no part of an answer")
    return part


async def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
