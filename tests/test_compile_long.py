"""Compiling long programs: as much work for each step of them as for the first, and nothing left changed."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest

import chainrule as torch
from chainrule import func
from chainrule.compiler import apart, capture, loops, lower, plan
from chainrule.compiler import native as machine
from chainrule.compiler.program import Equation, Var
from chainrule.primitive import table
from compiling import equal, native, no_trace_in_tensor

__all__ = ["native", "no_trace_in_tensor"]


def recurrence(steps: int) -> tuple[Any, Any]:
    """The gradient through an LSTM cell used again and again, and where to take it."""
    seed = torch.Generator().manual_seed(0)
    n = 4
    w, xs = torch.randn(4 * n, 2 * n, generator=seed) / n, torch.randn(steps, n, generator=seed)

    def loss(w: Any) -> Any:
        h = c = torch.zeros(n)
        for t in range(steps):
            i, f, g, o = (w @ torch.cat([xs[t], h])).reshape(4, n)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return h.sum()

    return func.grad(loss), w


@pytest.mark.parametrize("window", [2, 5, 1024])
def test_what_lies_far_back_is_known_roughly(native: Any, window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "WINDOW", window)
    f, w = recurrence(12)
    compiled = native(f)
    equal(compiled(w), f(w), 1e-5)
    assert len(compiled.entries[0].runner.kernels) < 12 * 16


def test_planning_looks_at_each_step_some_times(native: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def looks(steps: int) -> int:
        seen = 0
        inner = plan._Planner._near

        def near(self: Any) -> Any:
            nonlocal seen
            for draft in inner(self):
                seen += 1
                yield draft

        with monkeypatch.context() as m:
            m.setattr(plan, "WINDOW", 32)
            m.setattr(plan._Planner, "_near", near)
            f, w = recurrence(steps)
            native(f)(w)
        return seen

    few, many = looks(20), looks(100)
    assert many < 6 * few


def test_garbage_is_collected_again_afterwards(native: Any) -> None:
    def f(x: Any) -> Any:
        return x.sin() if not gc.isenabled() else None

    def fails(x: Any) -> Any:
        raise ValueError("no")

    assert gc.isenabled()
    x = torch.ones(3)
    assert native(f)(x) is not None
    assert gc.isenabled()
    with pytest.raises(ValueError, match="no"):
        torch.compile(fails)(x)
    assert gc.isenabled()
    gc.disable()
    try:
        assert native(f)(x) is not None
        assert not gc.isenabled(), "as it was"
    finally:
        gc.enable()


def test_equal_programs_have_equal_kernels_in_every_process(native: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def kernels(number: int) -> list[str]:
        """What is made where sets of variables come in another order."""
        with monkeypatch.context() as m:
            m.setattr(Var, "__hash__", lambda v: v.number * number % 1009)
            m.setattr(loops, "_written", {})
            f, x = native(func.grad_and_value(loss)), torch.linspace(-1, 1, 320).reshape(32, 10)
            f(x)
            return [k.text for k in f.entries[0].runner.kernels]

    def loss(x: Any) -> Any:
        return torch.nn.functional.cross_entropy(torch.tanh(x) * torch.sigmoid(x), torch.arange(32) % 10)

    first = kernels(1)
    assert all(kernels(n) == first for n in (7, 331, 500, 611, 905, 1008))


def test_straight_code_has_a_function_once(native: Any) -> None:
    def f(x: Any) -> Any:
        for _ in range(30):
            x = torch.tanh(x) * 1.5 + x
        return x

    x = torch.tensor(0.3, dtype=torch.float64)
    compiled, gradient = native(f), native(func.grad(f))
    equal(compiled(x), f(x), 1e-13)
    equal(gradient(x), func.grad(f)(x), 1e-12)
    (kernel,) = compiled.entries[0].runner.kernels
    text = lower.lower(kernel.text)
    assert text.count("call double @") >= 30
    assert len([line for line in text.splitlines() if line.startswith("define") and "tanh" in line]) == 1


def test_kernels_are_compiled_by_several_threads(native: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    by: set[int] = set()
    compiled, meet = machine._compiled, threading.Barrier(2, timeout=60)

    def note(text: str) -> bytes:
        if (me := threading.get_ident()) not in by:
            by.add(me)
            meet.wait()
        return compiled(text)

    monkeypatch.setenv("CHAINRULE_CACHE", "0")
    monkeypatch.setattr(machine, "_compiled", note)
    monkeypatch.setattr(machine, "get_num_threads", lambda: 2)
    texts = [f"def line(a_: float64[:]):\n    a_[0] = a_[0] * {k}.12345" for k in range(4)]  # which nobody has compiled
    found = machine.natives(texts)
    assert len(by) == 2
    assert len({found[text].address for text in texts}) == 4
    assert not machine._ready


def test_an_error_of_a_helper_is_one_of_the_call(native: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "get_num_threads", lambda: 3)
    good = "def line(a_: float64[:]):\n    a_[0] = a_[0] * 54321.0"
    with pytest.raises(NotImplementedError):
        machine.natives([good, good + "\n    a_[1] = unknown(a_[0])", good + "\n    a_[1] = a_[0]"])
    assert not machine._ready
    assert machine.natives([good])[good].address


def test_large_products_are_not_computed_for_their_shape(native: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = []

    def note(prim: Any, arrays: Any, params: Any) -> Any:
        if type(prim).__name__ == "Matmul":
            entries.append(sum(a.size for a in arrays))
        return compute(prim, arrays, params)

    compute = capture.compute
    monkeypatch.setattr(capture, "compute", note)
    seed = torch.Generator().manual_seed(0)
    x, y = torch.randn(5, 1, 40, 70, generator=seed), torch.randn(3, 70, 60, generator=seed)
    f = func.grad(lambda x, y: (x @ y).square().sum(), (0, 1))
    equal(native(f)(x, y), f(x, y), 1e-2)
    assert entries
    assert max(entries) <= 140, "one row times one column"
    with pytest.raises(RuntimeError) as eager:
        x @ y[:, 1:]
    with pytest.raises(RuntimeError) as compiled:
        torch.compile(lambda x, y: x @ y[:, 1:])(x, y)
    assert str(eager.value) == str(compiled.value)


def test_many_parameters_are_many_calls_of_few_kernels(native: Any) -> None:
    def trained(wrap: Any) -> tuple[Any, list[Any]]:
        weights = [torch.nn.Parameter(torch.full((3,), k / 60)) for k in range(60)]
        moves = torch.optim.Adam(weights, lr=0.1)

        def step() -> Any:
            moves.zero_grad()
            sum([(w * w).sum() for w in weights], torch.zeros(())).backward()
            moves.step()

        f = wrap(step)
        for _ in range(3):
            f()
        return f, weights

    f, found = trained(native)
    equal(found, trained(lambda step: step)[1])
    lines = [k.text for k in f.entries[0].runner.kernels if k.text.startswith("def line")]
    assert len(lines) > 3
    assert len(set(lines)) <= 3
    assert max(text.count("\n") for text in lines) < 3 * apart.LONG


def test_pieces_are_apart_and_in_order() -> None:
    def chain(start: Var, n: int) -> list[Equation]:
        found = [Equation(table["Neg"], (start,), {}, (Var((), start.dtype),))]
        while len(found) < n:
            found.append(Equation(table["Neg"], (found[-1].out,), {}, (Var((), start.dtype),)))
        return found

    x = Var((), torch.ones(()).numpy().dtype)
    chains = [chain(x, 50) for _ in range(8)]
    joined = Equation(table["Add"], (chains[2][-1].out, chains[6][-1].out), {}, (Var((), x.dtype),))
    mixed = [eq for each in zip(*chains, strict=True) for eq in each] + [joined]
    pieces = apart.apart(mixed)
    assert sorted(map(len, pieces)) == [100, 100, 100, 101]
    assert {eq for piece in pieces for eq in piece} == {*mixed}
    for piece in pieces:
        made = {x}
        for eq in piece:
            assert made.issuperset(eq.vars)
            made.add(eq.out)
    assert apart.apart(mixed[:100]) == [mixed[:100]]
