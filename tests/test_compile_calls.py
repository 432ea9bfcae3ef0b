"""Calls of compiled functions: results are the caller's own, on any thread, in any process, and nothing is kept."""

from __future__ import annotations

import gc
import os
import queue
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule import func
from chainrule.compiler import memory, threads
from compiling import compile, equal, no_trace_in_tensor, run, seeded, wave

__all__ = ["compile", "no_trace_in_tensor"]


# --- results are the caller's own -------------------------------------------------------------------------------------


def test_results_are_not_overwritten(compile: Any) -> None:
    f = compile(lambda x: (x * 2, x.exp()))
    xs = [torch.full((50_000,), float(i)) for i in range(6)]
    kept = [f(x) for x in xs]
    views = [f(x)[0][10:20] for x in xs]
    for i, (double, exp) in enumerate(kept):
        assert (double == 2 * i).all()
        equal(exp[:3], torch.exp(xs[i][:3]))
        assert (views[i] == 2 * i).all()


def test_what_a_graph_saved_is_not_overwritten(compile: Any) -> None:
    f = compile(lambda x: x * 2)
    w = torch.ones(50_000, requires_grad=True)
    losses = [(w * f(torch.full((50_000,), float(i)))).sum() for i in range(6)]
    for i, loss in enumerate(losses):
        w.grad = None
        loss.backward()
        assert (w.grad == 2 * i).all()


def test_memory_is_used_again() -> None:
    pool = memory.Pool((100_000,), np.dtype("float32"))
    first = pool.take()
    second = pool.take()
    assert first is not second
    where = id(first)
    del first
    assert id(pool.take()) == where
    view = pool.take()[5:]
    assert not np.shares_memory(view, pool.take())


def test_results_do_not_share_memory(compile: Any) -> None:
    def f(x: Any) -> Any:
        y = x * 2
        return y, y, x * 2, y.reshape(2, 2), x, x.t(), torch.zeros(2), torch.zeros(2)

    x = torch.ones(2, 2)
    for _ in range(2):
        y, again, other, reshaped, same, view, zero, zero2 = compile(f)(x)
        assert y is again
        assert same is x
        assert view._base is x, "a view of an argument is one"
        for a, b in ((y, other), (zero, zero2), (y, x)):
            assert not np.shares_memory(a.numpy(), b.numpy())
        assert reshaped.shape == (2, 2)
        zero.add_(1)


def test_detached_arguments_share_memory(compile: Any) -> None:
    x = torch.ones(2, requires_grad=True)
    f = compile(lambda x: x.detach())
    y = f(x)
    y.add_(1)
    assert x.tolist() == [2.0, 2.0]
    assert not y.requires_grad


def test_inputs_of_any_layout(compile: Any) -> None:
    f = compile(lambda x, y: torch.sin(x) * y + x.sum(1, keepdim=True))
    a, b = torch.randn(40, 30, generator=seeded()), torch.randn(30, 40, generator=seeded())
    for x, y in ((a, b.t()), (a[::2], b.t()[::2]), (b.t(), a), (a[:1].expand(40, 30), a)):
        equal(f(x, y), torch.sin(x) * y + x.sum(1, keepdim=True), 1e-5)
    frozen = a.numpy().copy()
    frozen.flags.writeable = False
    equal(f(torch.from_numpy(frozen), a), f(a, a))


def test_what_others_compiled_does_not_matter(compile: Any, own_generator: Any) -> None:
    """A compiled method, a compiled function among the globals: their programs are nothing that a program depends on."""

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(3, 2)

        @compile
        def forward(self, x: Any) -> Any:
            return self.linear(x).relu()

    model = Model()
    for _ in range(3):
        assert torch.equal(model(torch.ones(4, 3)), Model.forward.function(model, torch.ones(4, 3)))
    assert len(Model.forward.entries) == 1
    inner = compile(torch.sin)
    outer = compile(lambda x: inner(x) * 2)
    for n in (2, 2, 3):
        inner(torch.ones(n))
        outer(torch.ones(2))
    assert len(outer.entries) == 1


# --- threads, processes, switches ---------------------------------------------------------------------------------------


def test_threads_share_a_compiled_function(compile: Any) -> None:
    w = torch.linspace(0, 1, 40_000, requires_grad=True)
    f = compile(lambda x: (torch.sin(w) * x).sum())
    wrong: list[Any] = []

    def work(k: int) -> None:
        x = torch.full((40_000,), float(k))
        wanted = (np.sin(w.detach().numpy().astype(float)) * k).sum()
        for _ in range(20):
            if abs(f(x).item() - wanted) > 1e-4 * wanted:
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for t in workers:
        t.start()
    for t in workers:
        t.join()
    assert not wrong
    assert len(f.entries) == 1


def test_threads_that_are_first_share_the_walker() -> None:
    """Two walkers were made once, of which one was dropped while functions pointed to it: the process died much later."""
    pytest.importorskip("llvmlite")
    out = run(
        "import threading; from chainrule.compiler import native\n"
        "ready, found = threading.Barrier(4), []\n"
        "def work(): ready.wait(); found.append(native._walker())\n"
        "workers = [threading.Thread(target=work) for _ in range(4)]\n"
        "for w in workers: w.start()\n"
        "for w in workers: w.join()\n"
        "print(len(found), len({id(methods) for methods in found}))"
    )
    assert out == "4 1\n"


def test_other_threads_see_numbers_during_a_capture() -> None:
    shared, seen = torch.ones(2), queue.SimpleQueue()

    def look() -> None:
        seen.put((shared * 2).tolist())

    def f(x: Any) -> Any:
        t = threading.Thread(target=look)
        t.start()
        t.join()
        return x * shared

    torch.compile(f, backend="numpy")(torch.ones(2))
    assert seen.get() == [2.0, 2.0]


def test_work_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """With more helpers than cores, called from several threads at once, and where one block needs the wide form."""
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(threads, "count", lambda: 4)
    x = torch.linspace(-3, 3, 300_000).reshape(1000, 300)
    f = torch.compile(
        lambda x: (torch.sin(x) * torch.exp(-x * x), x @ x.t(), torch.softmax(x, -1).sum(0)), fullgraph=True
    )
    g = torch.compile(torch.func.grad(lambda x: torch.sin(x).sum()))
    wanted, failed = [f(x), g(x)], []
    assert f.entries[0].runner.shares
    assert "chainrule" in {t.name for t in threading.enumerate()}
    equal(wanted[0], f.function(x), 2e-4)

    def again() -> None:
        try:
            for k in range(30):
                equal([f(x), g(x)], wanted)
                far = x.clone()
                far[k * 30, 7] = 1e7
                equal(g(far), torch.cos(far))
        except BaseException as e:
            failed.append(e)

    running = [threading.Thread(target=again) for _ in range(3)]
    for t in running:
        t.start()
    for t in running:
        t.join()
    assert not failed


def test_how_many_threads_work(monkeypatch: pytest.MonkeyPatch) -> None:
    for said, many in {"1": 1, "3": 3, "0": 1}.items():
        monkeypatch.setenv("CHAINRULE_THREADS", said)
        assert threads.count() == many
    monkeypatch.setenv("CHAINRULE_THREADS", "many")
    assert 1 <= threads.count() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_fork_does_without_the_helpers() -> None:
    pytest.importorskip("llvmlite")
    code = (
        "import os, chainrule as torch, numpy as np\n"
        "f = torch.compile(torch.func.grad(lambda x: torch.sin(x).sum()))\n"
        "x = torch.linspace(-3, 3, 400_000)\n"
        "first = f(x).numpy()\n"
        "child = os.fork()\n"
        "assert np.array_equal(f(x).numpy(), first)\n"
        "if child: print(os.waitpid(child, 0)[1])\n"
    )
    assert run(code) == "0\n"


def test_llvm_is_imported_when_something_is_compiled() -> None:
    pytest.importorskip("llvmlite")
    out = run(
        "import sys, chainrule as torch\n"
        "f = torch.compile(torch.sin); print('llvmlite' in sys.modules)\n"
        "f(torch.ones(2)); print('llvmlite' in sys.modules)"
    )
    assert out.split() == ["False", "True"]


def test_without_llvm() -> None:
    out = run(
        "import sys; sys.modules['llvmlite'] = None\n"
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda n, *a: None if n == 'llvmlite' else find(n, *a)\n"
        "import chainrule as torch\n"
        "print(torch.compile(torch.func.grad(lambda x: (x * x).sum()))(torch.tensor([1.0, 2.0])))"
    )
    assert out.strip() == "tensor([2., 4.])"


def test_the_switch() -> None:
    out = run("import chainrule as torch; f = lambda x: x; print(torch.compile(f) is f)", CHAINRULE_COMPILE="0")
    assert out.strip() == "True"
    assert torch.compile(wave, disable=True) is wave
    with pytest.raises(ValueError, match="backend"):
        torch.compile(wave, backend="inductor")


def test_decorator_forms() -> None:
    @torch.compile(backend="numpy")
    def f(x: Any) -> Any:
        """Twice."""
        return x * 2

    assert f.__doc__ == "Twice."
    assert f.__name__ == "f"
    assert "f" in repr(f)
    assert f(torch.ones(1)).item() == 2


def test_a_compiled_function_calls_another_whatever_programs_that_has(compile: Any) -> None:
    inner = compile(lambda x: x * 2)
    inner(torch.ones(2))
    outer = compile(lambda x: inner(x) + 1)
    assert outer(torch.ones(3)).tolist() == [3.0] * 3
    inner(torch.ones(4))
    assert outer(torch.zeros(3)).tolist() == [1.0] * 3
    assert (len(inner.entries), len(outer.entries)) == (2, 1)


def test_a_compiled_function_does_not_keep_its_arguments(compile: Any) -> None:
    f = compile(lambda x: x * 2)
    x = torch.ones(3)
    seen = weakref.ref(x)
    f(x)
    del x
    gc.collect()
    assert seen() is None


def test_jax_compiles_the_same_program() -> None:
    pytest.importorskip("jax")
    f = torch.compile(func.grad_and_value(lambda x: wave(x).sum()), backend="jax", fullgraph=True)
    x = torch.linspace(-2, 2, 40)
    equal(f(x), func.grad_and_value(lambda x: wave(x).sum())(x))
    assert "sine" in f.source
    y = f(x)[0]
    y.mul_(2.0)  # a result is memory of its own
    assert f(x.double())[0].dtype == torch.float64
    assert len(f.entries) == 2
    with pytest.raises(ValueError, match="'native', 'numpy' or 'jax'"):
        torch.compile(wave, backend="inductor")


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="reads the system's own count")
def test_memory_at_its_peak_is_inputs_and_outputs() -> None:
    pytest.importorskip("llvmlite")
    out = run(
        "import chainrule as torch\n"
        "f = torch.compile(torch.func.grad_and_value(lambda x: (torch.sin(x) * torch.exp(-x * x) + torch.tanh(x)).sum()))\n"
        "f(torch.linspace(-5, 5, 1000)); n = 10_000_000; x = torch.linspace(-5, 5, n)\n"
        "rest = int(open('/proc/self/statm').read().split()[1]) * 4096 - 4 * n\n"
        "open('/proc/self/clear_refs', 'w').write('5'); f(x)\n"
        "top = int(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1]) * 1024\n"
        "print((top - rest) / (8 * n))"
    )
    assert 0.9 < float(out) < 1.1
