"""What threads and forks do to one another's compiled functions: nothing that a single thread would not see."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.compiler import dispatch, entry, guards, native, threads, watching
from chainrule.compiler.program import var_of
from chainrule.tensor import Tensor
from compiling import compile, run

__all__ = ["compile"]


def beside(work: Callable[[], Any]) -> Any:
    """What ``work`` gives in another thread."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join(60)
    return found[0]


def test_where_slots_are_is_known_while_another_thread_watches_them() -> None:
    """What stood in the class was read as if it were a slot: whatever lay behind it in memory was then an address."""
    pytest.importorskip("llvmlite")
    x = torch.ones(3)
    expected = [guards.Expected(Tensor, False, var_of(x._a), True)]
    calm = guards.words(expected)
    with watching.watching(watching.eager, []):
        assert beside(lambda: guards.words(expected)) == calm


def test_arrays_are_looked_at_as_they_are_read(compile: Any) -> None:
    """Between the look and the reading another thread gave a tensor another array, of another length."""
    f = compile(lambda x, y: x * 2 + y)
    x, y = torch.ones(3), torch.zeros(3)
    f(x, y)
    f.entries[0].shortcut = None
    f.refresh()
    space = f.entries[0].call.__globals__
    fits = space["fits"]

    def and_then(*given: Any) -> Any:
        found = fits(*given)
        x.data = torch.full((3,), 7.0)
        return found

    space["fits"] = and_then
    assert f(x, y).tolist() == [2.0, 2.0, 2.0]


def test_without_more_threads_the_one_works(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")

    def refuse(self: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "count", lambda: 9)
    monkeypatch.setattr(threads, "_started", 0)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    x = torch.linspace(-3, 3, 300_000)
    f = torch.compile(lambda x: torch.sin(x) * torch.exp(-x * x), fullgraph=True)
    assert torch.allclose(f(x), f.function(x), atol=1e-6)
    assert f.entries[0].runner.shares


def test_the_walker_outlives_its_module() -> None:
    """A function that goes after the module, at the end of the process, still looks at its method's definition."""
    pytest.importorskip("llvmlite")
    import sys

    methods = native._walker()
    assert sys.getrefcount(methods) >= 4, "the cache, this name, the call, and one for ever"


def test_other_threads_draw_on_during_a_capture(own_generator: Any) -> None:
    """Their numbers are theirs: they were drawn again, and the function was given up."""

    def f(x: Any) -> Any:
        beside(lambda: drawn.put(torch.rand(2)))
        return x * torch.rand(2)

    drawn: Any = queue.SimpleQueue()
    compiled = torch.compile(f, backend="numpy", fullgraph=True)
    torch.manual_seed(1)
    first = compiled(torch.ones(2))
    torch.manual_seed(1)
    assert drawn.get().tolist() == torch.rand(2).tolist()
    assert first.tolist() == torch.rand(2).tolist()


def test_numbers_of_others_than_ours_may_be_another_threads() -> None:
    """What draws them is not to be known: the function is run as it is, and tried again."""
    before, go, ended = np.random.get_state(), threading.Event(), threading.Event()

    def draw() -> None:
        go.wait(60)
        np.random.rand(700)
        ended.set()
        over.wait(60)

    def f(x: Any) -> Any:
        if not ended.is_set():
            go.set()
            ended.wait(60)
        return x * 2

    over, thread = threading.Event(), threading.Thread(target=draw)
    thread.start()
    try:
        compiled = torch.compile(f, backend="numpy", fullgraph=True)
        assert compiled(torch.ones(2)).tolist() == [2.0, 2.0]
        assert not np.array_equal(np.random.get_state()[1], before[1]), "they stay drawn"
        assert not compiled.entries
        assert compiled(torch.ones(2)).tolist() == [2.0, 2.0]
        assert compiled.entries
    finally:
        over.set()
        thread.join()
        np.random.set_state(before)


def test_who_always_draws_numbers_of_others_than_ours_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "others", lambda: True)
    monkeypatch.setattr(dispatch, "PATIENCE", 2)
    compiled = torch.compile(lambda x: x * float(np.random.rand()), backend="numpy")
    for _ in range(2):
        compiled(torch.ones(2))
    assert compiled.eager is None
    with pytest.warns(UserWarning, match="or another thread does"):
        compiled(torch.ones(2))


def test_programs_are_not_made_again_because_another_thread_captures(compile: Any) -> None:
    w = torch.ones(3)
    f, g = compile(lambda x: x * w), compile(lambda x: (beside(lambda: found.put(f(x))), x + w)[1])
    found: Any = queue.SimpleQueue()
    f(torch.ones(3))
    g(torch.full((3,), 2.0))
    assert found.get().tolist() == [2.0] * 3
    assert len(f.entries) == 1


def test_a_function_whose_capture_waits_for_its_own_call_in_another_thread(compile: Any) -> None:
    """Each waited for the other, for ever."""

    def f(x: Any) -> Any:
        if len(x) > 1:
            beside(lambda: found.put(g(torch.ones(1)).tolist()))
        return x * 2

    found: Any = queue.SimpleQueue()
    g = compile(f)
    assert g(torch.ones(3)).tolist() == [2.0] * 3
    assert found.get(timeout=30) == [2.0]


def test_a_tensor_that_another_thread_watches_is_of_its_own_class(
    compile: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that was made for the class by which it goes meanwhile fits no call."""
    w = torch.ones(3)
    f, write = compile(lambda x: x * w), entry._Writer.write

    def watched(self: Any) -> Any:
        with watching.watching(watching.eager, [w]):
            return beside(lambda: write(self))

    monkeypatch.setattr(entry._Writer, "write", watched)
    for _ in range(2):
        assert f(torch.ones(3)).tolist() == [1.0] * 3
    assert len(f.entries) == 1


HELD = """
import os, signal, sys, threading, time, warnings
import chainrule as torch
from chainrule import leaves
from chainrule.compiler import native, threads, watching

f = torch.compile(lambda x: (torch.sin(x) * x).sum())
f(torch.ones(2))

def hold():
    with {lock}:
        held.set()
        time.sleep({seconds})

warnings.simplefilter("ignore")  # of forking beside threads
held = threading.Event()
threading.Thread(target=hold, daemon=True).start()
held.wait()
child = os.fork()
if not child:
    signal.alarm(30)
    x = torch.ones(5, requires_grad=True)
    for _ in range(2):
        torch.compile(lambda x: f(x) * 2)(x).backward()
    f(torch.ones(7))
    threads.start()
    print(len(f.entries), x.grad.shape)
    sys.stdout.flush()
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize(
    ("lock", "seconds"),
    [("native._lock", 0.3), ("watching.watching(watching.eager, [])", 0.3), ("f._lock", 99), ("threads._lock", 99),
     ("leaves._lock", 99)],
)  # fmt: skip
def test_a_fork_is_held_up_by_no_lock(lock: str, seconds: float) -> None:
    pytest.importorskip("llvmlite")
    out = run(HELD.format(lock=lock, seconds=seconds), CHAINRULE_CACHE="0", CHAINRULE_THREADS="2")
    assert out == "2 torch.Size([5])\n0\n"


def test_guards_of_many_tensors_need_little_of_a_stack() -> None:
    pytest.importorskip("llvmlite")
    out = run(
        "import threading, chainrule as torch\n"
        "from chainrule.compiler import guards\n"
        "from chainrule.compiler.program import var_of\n"
        "xs = [torch.ones(2)] * 40_000\n"
        "fits = guards.guard([guards.Expected(torch.Tensor, False, var_of(xs[0]._a), k == 0) for k in range(len(xs))], True)\n"
        "threading.stack_size(256 << 10)\n"
        "thread = threading.Thread(target=lambda: print(fits(*xs)))\n"
        "thread.start(); thread.join()"
    )
    assert out == "2\n"
