"""Several threads sweep at once, over shared leaves and over one graph: every sum is exact, every hook is called once.

The numbers are whole, so a sum does not depend on its order, and whatever is lost or added twice shows.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule import leaves

THREADS = 8
SIZES = [(), (1,), (1000,), (100_000,)]


@pytest.fixture(autouse=True)
def restless() -> Iterator[None]:
    """Let threads take turns as often as Python can make them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(work: Callable[[int], None], threads: int = THREADS) -> None:
    """``work(i)`` in each thread, all started together; an error in one is raised here, and so is standing still."""
    ready, errors = threading.Barrier(threads), []

    def run(i: int) -> None:
        try:
            ready.wait()
            work(i)
        except BaseException as e:
            errors.append(e)

    started = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join(60)
        assert not thread.is_alive(), "a thread stands still"
    if errors:
        raise errors[0]


def leaf(*shape: int) -> Any:
    return torch.ones(*shape, dtype=torch.float64, requires_grad=True) if shape else torch.tensor(
        1.0, dtype=torch.float64, requires_grad=True
    )  # fmt: skip


def passes(shape: tuple[int, ...]) -> int:
    return 60 if shape == (100_000,) else 400


def value(x: Any) -> set[float]:
    """The different numbers in a gradient: one, if nothing went wrong."""
    return set(np.unique(x.grad.numpy()).tolist())


# --- sums ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SIZES)
def test_shared_leaves(shape: tuple[int, ...]) -> None:
    a, b, n = leaf(*shape), leaf(*shape), passes(shape)

    def work(i: int) -> None:
        for _ in range(n):
            (a * (i + 1) + b * 2 + a).sum().backward()

    at_once(work)
    assert value(a) == {n * sum(i + 2 for i in range(THREADS))}
    assert value(b) == {n * 2 * THREADS}


@pytest.mark.parametrize("shape", SIZES)
def test_one_graph(shape: tuple[int, ...]) -> None:
    x, n = leaf(*shape), passes(shape)
    y = ((x * 3).exp() * 0 + x * x).sum()

    def work(i: int) -> None:
        for _ in range(n):
            y.backward(retain_graph=True)

    at_once(work)
    assert value(x) == {2 * n * THREADS}


def test_first_gradients() -> None:
    """The first gradient makes ``.grad``: no thread's may be put in the place of another's."""
    for _ in range(100):
        x = leaf(2)
        y = (x * 3).sum()
        at_once(lambda i, y=y: y.backward(retain_graph=True), threads=4)
        assert value(x) == {12}


def test_a_layer() -> None:
    """Views of a shared weight, made in every thread."""
    w, bias = leaf(3, 4), leaf(3)
    data = torch.ones(2, 4, dtype=torch.float64)

    def work(i: int) -> None:
        for _ in range(100):
            torch.relu(data @ w.t() + bias)[0].sum().backward()

    at_once(work)
    assert value(w) == value(bias) == {100 * THREADS}


def test_recorded_sweeps() -> None:
    x = leaf(3)

    def work(i: int) -> None:
        for _ in range(50):
            (first,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
            first.sum().backward()

    at_once(work)
    assert value(x) == {6 * 50 * THREADS}


@pytest.mark.filterwarnings("ignore:Using backward")
def test_recorded_sweeps_that_overtake_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second thread comes between a first one's sum and its place; a third, while the first adds up anew."""
    x = leaf(3)
    x.grad = torch.ones(3, dtype=torch.float64)
    plain, others = leaves._replacement, []

    def sweep() -> None:
        (x**2).sum().backward(create_graph=True)

    def overtaken(*args: Any) -> Any:
        new = plain(*args)
        if threading.current_thread() is threading.main_thread():
            others.append(threading.Thread(target=sweep))
            others[-1].start()
            others[-1].join(10 if len(others) == 1 else 0.2)
        return new

    monkeypatch.setattr(leaves, "_replacement", overtaken)
    sweep()
    for other in others:
        other.join()
    assert len(others) == 2
    assert x.grad.tolist() == [1 + 3 * 2] * 3


def test_graphs_of_their_own() -> None:
    """What one thread frees is no other's."""
    totals = [0.0] * THREADS

    def work(i: int) -> None:
        for k in range(100):
            x = leaf(5)
            y = x
            for _ in range(10):
                y = y * 2 - y
            (y * k).sum().backward()
            totals[i] += x.grad.sum().item()

    at_once(work)
    assert set(totals) == {5.0 * sum(range(100))}


# --- hooks, and what is local to a thread ----------------------------------------------------------------------


def test_each_hook_is_called_once_a_pass() -> None:
    x, n = leaf(3), 50
    inner = x * 2
    y = inner.sum()
    calls = {name: itertools.count() for name in ("leaf", "tensor", "node", "before", "accumulated")}
    note = lambda name: lambda *_: (next(calls[name]), None)[1]
    x.register_hook(note("leaf"))
    inner.register_hook(note("tensor"))
    inner.grad_fn.register_hook(note("node"))
    inner.grad_fn.register_prehook(note("before"))
    x.register_post_accumulate_grad_hook(note("accumulated"))

    def work(i: int) -> None:
        for _ in range(n):
            y.backward(retain_graph=True)

    at_once(work)
    assert {name: next(count) for name, count in calls.items()} == dict.fromkeys(calls, n * THREADS)
    assert value(x) == {2 * n * THREADS}


def test_a_gradient_that_is_read_in_a_hook_is_whole() -> None:
    x, seen = leaf(1000), []
    x.register_post_accumulate_grad_hook(lambda x: seen.append(x.grad is not None))

    def work(i: int) -> None:
        for _ in range(50):
            (x * 1).sum().backward()

    at_once(work)
    assert all(seen)
    assert value(x) == {50 * THREADS}


def test_modes_stay_in_their_thread() -> None:
    x = leaf(2)

    def work(i: int) -> None:
        off = i % 2 == 1
        for _ in range(200):
            with torch.no_grad() if off else contextlib.nullcontext():
                y = x * 2
                assert torch.is_grad_enabled() != off
                assert y.requires_grad != off
            assert torch.is_grad_enabled()

    at_once(work)


def test_the_mode_in_a_hook_is_its_sweeps() -> None:
    """One thread's hook runs with recording off, under ``create_graph`` with recording on."""
    seen: list[tuple[bool, bool]] = []

    def work(i: int) -> None:
        for _ in range(50):
            x = leaf(2)
            x.register_hook(lambda g: seen.append((i % 2 == 0, torch.is_grad_enabled())))
            torch.autograd.grad((x * x).sum(), x, create_graph=i % 2 == 0)

    at_once(work)
    assert all(wanted == found for wanted, found in seen)
    assert len(seen) == 50 * THREADS


def test_numpys_warnings_stay_in_their_thread() -> None:
    """An operation switches them off for its own time and thread."""
    big = torch.full((1000,), 1e308, dtype=torch.float64)

    def work(i: int) -> None:
        for _ in range(100):
            if i % 2:
                assert (big * 10).isinf().all()
            else:
                with pytest.raises(FloatingPointError), np.errstate(over="raise"):
                    np.full(1000, 1e308) * 10

    at_once(work)


# --- the tests have power ---------------------------------------------------------------------------------------


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="additions are never at the same time")
def test_without_the_lock_sums_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaves, "_locks", (contextlib.nullcontext(),) * len(leaves._locks))
    for _ in range(20):
        try:
            test_one_graph((100_000,))
        except AssertionError:
            return
    pytest.fail("nothing was lost without the lock")
