"""Ctrl-C: wherever it strikes, each leaf's gradient and each parameter's step is old or new, and nothing stays switched.

Python hands a signal to its handler at the start of a function, after a call, and where a loop turns back.  A
profile function that raises is called at the first two, a trace function that raises at every line; so each
place is tried in turn.  Real signals are sent as well, at random.
"""

from __future__ import annotations

import ast
import dis
import functools
import gc
import signal
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule import backward, engine, leaves, modes
from chainrule.compiler import threads, watching

OURS = str(Path(torch.__file__).parent)


class Interrupt(KeyboardInterrupt):
    """What stands for Ctrl-C here, so that a real one still stops the tests."""


# --- places where a signal may strike -----------------------------------------------------------------------


class Striker:
    """Raises at the ``k``-th place."""

    def __init__(self, k: int) -> None:
        self.left = k
        self.struck = False

    def strike(self, frame: FrameType) -> None:
        self.left -= 1
        if self.left == 0:
            self.struck = True
            raise Interrupt(f"{frame.f_code.co_filename}:{frame.f_lineno}")

    def run(self, action: Callable[[], Any]) -> None:
        """``action``, interrupted if it has so many places."""
        try:
            self.start()
            action()
        except Interrupt:
            assert self.struck
        finally:
            self.stop()


class AtCalls(Striker):
    """Each start of a function of the library and each return from a C function that it called."""

    def start(self) -> None:
        sys.setprofile(self.seen)

    def stop(self) -> None:
        sys.setprofile(None)

    def seen(self, frame: FrameType, event: str, argument: Any) -> None:
        if event in ("call", "c_return") and frame.f_code.co_filename.startswith(OURS):
            self.strike(frame)


LINES = tuple(str(Path(OURS, name)) for name in ("engine.py", "backward.py", "leaves.py", "lanes.py", "optim"))


class AtLines(Striker):
    """Each line of the modules that switch something, or write, but ``try`` and those that clean up: between the switch
    and the ``try``, and between a body's end and its ``finally``, or the end of a ``with``, no signal can come."""

    def start(self) -> None:
        sys.settrace(self.seen)

    def stop(self) -> None:
        sys.settrace(None)

    def seen(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(LINES):
            return None
        if event == "line" and frame.f_lasti not in cleaning(code):
            self.strike(frame)
        return self.seen


@functools.cache
def cleaning(code: CodeType) -> frozenset[int]:
    """Where in the code a line begins that cleans up: in a ``finally``, or the return to a ``with``."""
    finals, withs = cleaning_lines(code.co_filename)
    begun: set[int] = set()
    found = set()
    for offset, line in dis.findlinestarts(code):
        if line in finals or (line in withs and line in begun):
            found.add(offset)
        if line is not None:
            begun.add(line)
    return frozenset(found)


@functools.cache
def cleaning_lines(path: str) -> tuple[set[int], set[int]]:
    finals: set[int] = set()
    withs: set[int] = set()
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))) if Path(path).exists() else ():
        if isinstance(node, ast.Try):
            finals.add(node.lineno)
            for statement in node.finalbody:
                finals.update(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))
        elif isinstance(node, ast.With):
            withs.add(node.lineno)
    return finals, withs


# --- what must hold afterwards --------------------------------------------------------------------------------


def bits(t: Any) -> Any:
    """A tensor's value and version-independent identity of its numbers; None stays None."""
    return None if t is None else t.detach().numpy().tobytes()


class Surroundings:
    """What a computation must leave as it was, however it ends."""

    def __init__(self) -> None:
        self.now = self.look()

    def look(self) -> Any:
        return np.geterr(), modes.current(), engine.running.get()

    def check(self) -> None:
        assert self.look() == self.now
        assert not any(repr(lock).startswith("<locked") for lock in leaves._locks)


class Problem:
    """A small graph with every kind of leaf: with a gradient from before and without, a vector, a number, with hooks."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.leaves = [
            torch.tensor(rng.normal(size=shape), requires_grad=True) for shape in ((3,), (), (3,), (), (3, 3))
        ]
        for x in self.leaves[:2]:
            x.grad = torch.ones_like(x)
        self.seen: list[Any] = []
        self.leaves[2].register_hook(lambda g: g * 2)
        self.leaves[0].register_post_accumulate_grad_hook(self.seen.append)

    def loss(self) -> Any:
        a, b, c, d, m = self.leaves
        hidden = torch.tanh(m @ a + b) * c
        return (hidden * hidden).sum() * d + torch.exp(b) + (a + c).sum()

    def grads(self) -> list[Any]:
        return [bits(x.grad) for x in self.leaves]


@functools.cache
def expected(create_graph: bool = False) -> tuple[list[Any], list[Any]]:
    """The gradients before and after one backward."""
    p = Problem()
    before = p.grads()
    p.loss().backward(create_graph=create_graph)
    return before, p.grads()


@functools.cache
def alone() -> list[Any]:
    """The gradients of one backward where there were none."""
    p = Problem()
    for x in p.leaves:
        x.grad = None
    p.loss().backward()
    return p.grads()


def assert_whole(now: list[Any], before: list[Any], after: list[Any]) -> None:
    assert all(n in (b, a) for n, b, a in zip(now, before, after, strict=True)), "neither old nor new"


def check_usable(p: Problem) -> None:
    for x in p.leaves:
        x.grad = None
    p.loss().backward()
    assert p.grads() == alone()


def all_places(kind: type[Striker], prepare: Callable[[], tuple[Callable[[], Any], Callable[[], None]]]) -> int:
    """Interrupt an action at each of its places, one after the other; how many there are."""
    for k in range(1, 100_000):
        action, check = prepare()
        surroundings = Surroundings()
        striker = kind(k)
        striker.run(action)
        surroundings.check()
        check()
        if not striker.struck:
            return k - 1
    raise AssertionError("no end")


pytestmark = [
    pytest.mark.filterwarnings("ignore:Using backward.. with create_graph"),
    pytest.mark.skipif(sys.gettrace() is not None, reason="a debugger or coverage traces already"),
]
kinds = pytest.mark.parametrize("kind", [AtCalls, AtLines])


@kinds
@pytest.mark.parametrize("create_graph", [False, True])
def test_backward(kind: type[Striker], create_graph: bool) -> None:
    before, after = expected(create_graph)
    mixed = 0

    def prepare() -> Any:
        p = Problem()
        loss = p.loss()

        def check() -> None:
            nonlocal mixed
            now = p.grads()
            assert_whole(now, before, after)
            mixed += now != before and now != after
            check_usable(p)

        return lambda: loss.backward(create_graph=create_graph), check

    assert all_places(kind, prepare) > 50
    assert mixed  # the deposits themselves were interrupted too


def test_a_deposit_in_two_steps_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks have power: half of each gradient first, then the other half."""

    def halves(sweep: Any, totals: dict[Any, Any]) -> None:
        for _ in range(2):
            leaves.deposit(sweep, {x: g / 2 for x, g in totals.items()})

    monkeypatch.setattr(backward, "deposit", halves)
    with pytest.raises(AssertionError, match="neither old nor new"):
        test_backward(AtCalls, False)


@kinds
def test_the_same_graph_again(kind: type[Striker]) -> None:
    """With ``retain_graph`` an interrupted sweep can be repeated."""

    def prepare() -> Any:
        p = Problem()
        for x in p.leaves:
            x.grad = None
        loss = p.loss()

        def check() -> None:
            for x in p.leaves:
                x.grad = None
            loss.backward()
            assert p.grads() == alone()

        return lambda: loss.backward(retain_graph=True), check

    assert all_places(kind, prepare) > 50


@kinds
def test_grad_under_no_grad(kind: type[Striker]) -> None:
    """``create_graph`` switches recording on; it must be off again."""
    before, _ = expected()

    def prepare() -> Any:
        with torch.enable_grad():
            p = Problem()
            loss = p.loss()

        def check() -> None:
            assert p.grads() == before

        return lambda: torch.autograd.grad(loss, p.leaves, create_graph=True), check

    with torch.no_grad():
        assert all_places(kind, prepare) > 50


@kinds
def test_forward(kind: type[Striker]) -> None:
    """Each operation switches NumPy's warnings off and on."""

    def prepare() -> Any:
        p = Problem()
        return p.loss, lambda: check_usable(p)

    assert all_places(kind, prepare) > 50


OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda params: torch.optim.SGD(params, lr=0.1),
    "momentum": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=0.01),
    "Adam": lambda params: torch.optim.Adam(params, lr=0.1),
}


def step_state(optimizer: Any, p: Any) -> Any:
    state = optimizer.state.get(p, {})
    return bits(p), {key: bits(value) if hasattr(value, "numpy") else value for key, value in state.items()}


@kinds
@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if hasattr(torch.optim, name) or name == "momentum"])
@pytest.mark.parametrize("steps", [0, 1], ids=["first", "second"])
def test_optimizer_step(kind: type[Striker], name: str, steps: int) -> None:
    def ready() -> Any:
        params = [torch.tensor(v, requires_grad=True) for v in ([1.0, 2.0], 3.0, [[4.0]])]
        optimizer = OPTIMIZERS[name](params)
        for p in params:
            p.grad = torch.ones_like(p) * 0.5
        for _ in range(steps):
            optimizer.step()
        return params, optimizer

    params, optimizer = ready()
    before = [step_state(optimizer, p) for p in params]
    optimizer.step()
    after = [step_state(optimizer, p) for p in params]
    assert before != after

    def prepare() -> Any:
        params, optimizer = ready()

        def check() -> None:
            assert [step_state(optimizer, p) for p in params] in (before, after)

        return optimizer.step, check

    assert all_places(kind, prepare) > 10


# --- real signals ---------------------------------------------------------------------------------------------


@pytest.fixture
def alarms() -> Iterator[Callable[[float], None]]:
    """Sets a timer whose signal raises; off again afterwards."""

    def interrupt(*_: Any) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds) and None
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer signals here")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it may strike in a finalizer
def test_signals_at_random(alarms: Callable[[float], None]) -> None:
    rng = np.random.default_rng(0)
    before, after = expected()
    surroundings = Surroundings()

    def attempt() -> bool:
        p = Problem()
        loss = p.loss()
        try:
            alarms(float(rng.uniform(1e-6, 3e-4)))
            loss.backward()
            alarms(0)
            struck = False
        except Interrupt:
            struck = True
        assert_whole(p.grads(), before, after)
        surroundings.check()
        return struck

    for _ in range(20):
        attempt()
    gc.collect()
    tracemalloc.start()
    struck = sum(attempt() for _ in range(500))
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert struck > 50
    assert held < 2**20
    check_usable(Problem())


class AtWatching(AtCalls):
    """Those that watch during a capture, and those that end it."""

    def seen(self, frame: FrameType, event: str, argument: Any) -> None:
        if event in ("call", "c_return") and frame.f_code.co_filename == watching.__file__:
            self.strike(frame)


def test_capture() -> None:
    """Nothing is watched any more, and nobody waits for it."""
    f, k = torch.compile(lambda x: x * 2, backend="numpy", fullgraph=True), 0
    before, x = ({name: vars(torch.Tensor)[name] for name in watching.slots}, print), torch.ones(2)
    free: list[bool] = []
    while True:
        striker, k = AtWatching(k + 1), k + 1
        striker.run(lambda: f(x))
        assert ({name: vars(torch.Tensor)[name] for name in watching.slots}, print) == before
        assert type(x) is torch.Tensor
        assert not watching.watchers
        assert watching.current.get() is None
        other = threading.Thread(
            target=lambda: free.append(watching._lock.acquire(timeout=0.0) and not watching._lock.release())
        )
        other.start()
        other.join()
        if not striker.struck:
            break
        f.reset()
    assert all(free)
    assert k > 40
    assert f(x).tolist() == [2.0, 2.0]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer signals here")
def test_shared_work_is_finished_before_an_interrupt_is_raised(
    alarms: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(threads, "count", lambda: 3)
    x, numbers = torch.zeros(300_000, dtype=torch.float64), torch.linspace(0, 1, 300_000, dtype=torch.float64)
    onwards = torch.compile(lambda: x.add_(torch.tanh(numbers) * 0 + 1).detach(), fullgraph=True)
    onwards()
    assert onwards.entries[0].runner.shares
    rng, struck = np.random.default_rng(0), 0
    for _ in range(400):
        try:
            alarms(rng.uniform(1e-5, 2e-3))
            onwards()
            alarms(0)
        except Interrupt:
            struck += 1
        alarms(0)
        now = x[0].item()
        assert (x == now).all(), "all of it is done, or nothing"
        time.sleep(1e-4)
        assert (x == now).all()
    assert struck
