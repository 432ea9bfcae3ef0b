"""Compiling long programs: as much work for each step of them as for the first, and nothing left changed."""

from __future__ import annotations

import gc
from typing import Any

import pytest

import chainrule as torch
from chainrule import func
from chainrule.compiler import plan
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
        assert not gc.isenabled()
        return x.sin()

    def fails(x: Any) -> Any:
        raise ValueError("no")

    assert gc.isenabled()
    x = torch.ones(3)
    native(f)(x)
    assert gc.isenabled()
    with pytest.raises(ValueError, match="no"):
        torch.compile(fails)(x)
    assert gc.isenabled()
    gc.disable()
    try:
        native(f)(x)
        assert not gc.isenabled(), "as it was"
    finally:
        gc.enable()
