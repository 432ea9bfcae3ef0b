"""The processes that compute for the page: bounded in time and memory, and replaced when they fail."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from chainrule.web.workers import LONGEST, Busy, Workers

READY = "import json, os, sys, time\nsay = lambda **p: print(json.dumps(p), flush=True)\nsay(done=True)\n"
GOOD = "for line in sys.stdin: say(asked=json.loads(line), pid=os.getpid()); say(more=1, done=True)\n"
QUESTION = {"formula": "x**2*sin(x)", "at": {"x": "2"}, "lang": "en", "by": None, "range": None}


def pool(program: str = READY + GOOD, **limits: Any) -> Workers:
    return Workers([sys.executable, "-c", program], **{"count": 1, "seconds": 10.0, **limits})


def run(workers: Callable[[], Workers], work: Callable[[Workers], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        made = workers()
        made.start()
        try:
            return await work(made)
        finally:
            await made.stop()

    return asyncio.run(whole())


def test_the_parts_of_an_answer_are_put_together() -> None:
    found = run(pool, lambda w: w.ask({"n": 1}))
    assert (found["asked"], found["more"]) == ({"n": 1}, 1)


def test_one_process_answers_many_questions() -> None:
    async def three(w: Workers) -> set[int]:
        return {(await w.ask({}))["pid"] for _ in range(3)}

    assert len(run(pool, three)) == 1


def test_the_real_worker_answers() -> None:
    found = run(lambda: Workers(count=1, seconds=60), lambda w: w.ask(QUESTION))
    assert found["derivatives"][0]["value"] == pytest.approx(1.9726023611141572)
    assert "failed" not in found


@pytest.mark.parametrize(
    ("reaction", "failed"),
    [
        ("time.sleep(600)", "time"), ("say(part=1); time.sleep(600)", "time"), ("while True: say(part=1)", "time"),
        ("os._exit(3)", "died"), ("print('no JSON', flush=True)", "died"), ("say(part=1); print('[1]', flush=True)", "died"),
        (f"print('1' * {LONGEST + 10}, flush=True); time.sleep(600)", "died"), ("os.close(1); time.sleep(600)", "died"),
        ("say(failed='memory', done=True)", "memory"),
    ],
)  # fmt: skip
def test_one_that_fails_is_replaced_and_what_it_had_is_kept(reaction: str, failed: str) -> None:
    program = READY + f"for line in sys.stdin:\n    if json.loads(line).get('bad'):\n        {reaction}\n" + (
        "    else: say(asked=1, pid=os.getpid(), done=True)\n"
    )  # fmt: skip

    async def three(w: Workers) -> list[dict[str, Any]]:
        return [await w.ask(q) for q in ({}, {"bad": True}, {})]

    before, bad, after = run(lambda: pool(program, seconds=1.0), three)
    assert bad["failed"] == failed
    assert bad.get("part", 1) == 1
    assert ("part=1" in reaction) == ("part" in bad)
    assert before["asked"] == after["asked"] == 1
    assert before["pid"] != after["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(before["pid"], 0)


def test_nobody_waits_for_one_that_is_being_replaced(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    program = f"import os, time\nwhile os.path.exists({str(mark)!r}): time.sleep(0.1)\n" + READY + (
        "for line in sys.stdin:\n    if json.loads(line).get('bad'): os._exit(1)\n    say(asked=1, done=True)\n"
    )  # fmt: skip

    async def many(w: Workers) -> list[dict[str, Any]]:
        while not all(worker.ready for worker in w.all):
            await asyncio.sleep(0.05)
        mark.touch()  # from now on none starts
        try:
            return [await w.ask(q) for q in ({"bad": True}, {}, {}, {})]
        finally:
            mark.unlink()

    assert run(lambda: pool(program, count=2), many)[1:] == [{"asked": 1}] * 3


def test_time_is_bounded_whatever_is_asked() -> None:
    long = {**QUESTION, "formula": "*".join(f"sin(exp(x/{k}))" for k in range(1, 300))}

    async def timed(w: Workers) -> tuple[dict[str, Any], float]:
        await w.ask(QUESTION)
        start = time.monotonic()
        return await w.ask(long), time.monotonic() - start

    found, took = run(lambda: Workers(count=1, seconds=0.4), timed)
    assert found["failed"] == "time"
    assert took < 10, "less than a tenth of the time that the formula would take"
    assert found["formula"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits of POSIX")
def test_memory_is_bounded() -> None:
    program = READY.replace("say(done", "from chainrule.web.worker import _limit_memory; _limit_memory(); say(done") + (
        "for line in sys.stdin:\n"
        "    try: bytearray(2 << 30); say(got=True)\n"
        "    except MemoryError: say(refused=True)\n"
        "    say(done=True)\n"
    )
    assert run(lambda: pool(program), lambda w: w.ask({})) == {"refused": True}


def test_one_that_does_not_start_is_told_of_and_tried_again() -> None:
    assert run(lambda: pool("raise SystemExit(1)"), lambda w: w.ask({})) == {"failed": "start"}
    slow = run(lambda: pool("import time; time.sleep(600)", starting=0.3), lambda w: w.ask({}))
    assert slow == {"failed": "start"}
    assert run(lambda: Workers(["/no/such/program"], count=1), lambda w: w.ask({})) == {"failed": "start"}


def test_who_comes_too_late_is_told_to_wait() -> None:
    async def two(w: Workers) -> list[Any]:
        return await asyncio.gather(w.ask({}), w.ask({}), return_exceptions=True)

    found = run(lambda: pool(READY + "time.sleep(600)", seconds=0.5), two)
    kinds = {type(f) for f in found}
    assert kinds <= {Busy, dict}
    assert dict in kinds


def test_nothing_is_left_running() -> None:
    async def pids(w: Workers) -> list[int]:
        return [worker.starting.result().pid for worker in w.all if worker.starting and await w.ask({})]

    for pid in run(lambda: pool(count=1), pids):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
