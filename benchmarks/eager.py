"""Eager work against PyTorch: what people differentiate by hand, and long graphs."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from typing import Any

from compare import Row, race


def tasks(T: Any) -> dict[str, Any]:
    """The same five programs for either library."""
    F = T.nn.functional

    def polynomial() -> Any:
        x = T.tensor(2.0, requires_grad=True)
        y = 5 * x**4 + 3 * x**3 + 7 * x**2 + 9 * x - 5
        y.backward()
        return x.grad

    def polynomial_1d() -> Any:
        x = T.tensor([2.0], requires_grad=True)
        y = 5 * x**4 + 3 * x**3 + 7 * x**2 + 9 * x - 5
        y.backward()
        return x.grad

    def partials() -> Any:
        u = T.tensor(3.0, requires_grad=True)
        v = T.tensor(4.0, requires_grad=True)
        f = u**3 + v**2 + 4 * u * v
        f.backward()
        return u.grad, v.grad

    a = T.tensor([0.5, 0.1, 0.9], requires_grad=True)

    def softmax_jacobian() -> Any:
        p = F.softmax(a, dim=0)
        return [T.autograd.grad(p[i], a, retain_graph=True)[0] for i in range(3)]

    T.manual_seed(0)
    inputs = T.rand(100, 1) * 10
    targets = 2 * inputs + 1
    model, criterion = T.nn.Linear(1, 1), T.nn.MSELoss()
    optimizer = T.optim.SGD(model.parameters(), lr=0.01)

    def regression_step() -> Any:
        loss = criterion(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return {
        "scalar polynomial": polynomial, "polynomial of shape (1,)": polynomial_1d, "partials of f(u, v)": partials,
        "softmax Jacobian, n = 3": softmax_jacobian, "linear regression step": regression_step,
    }  # fmt: skip


GOALS = {
    "scalar polynomial": 3, "polynomial of shape (1,)": 1, "partials of f(u, v)": 3, "softmax Jacobian, n = 3": 2,
    "linear regression step": 2,
}  # fmt: skip


def chain(T: Any, n: int, collector: bool = False) -> float:
    """Seconds per node of y = y * 1.0001, built, swept and freed; without Python's garbage collector, as timeit."""
    gc.collect()
    if not collector:
        gc.disable()
    try:
        start = time.perf_counter()
        x = T.tensor(1.0, requires_grad=True)
        y = x
        for _ in range(n):
            y = y * 1.0001
        y.backward()
        del y
        return (time.perf_counter() - start) / n
    finally:
        gc.enable()


def middle(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    """The medians of both sides."""
    a, b = (sorted(side)[len(pairs) // 2] for side in zip(*pairs, strict=True))
    return a, b


def rows(smoke: bool) -> Iterator[Row]:
    """The figures; at size 1 (``smoke``) only to see that everything still runs."""
    import torch

    import chainrule

    rounds = 1 if smoke else 31
    ours, theirs = tasks(chainrule), tasks(torch)
    for name, goal in GOALS.items():
        times = race({"ours": ours[name], "torch": theirs[name]}, rounds, 0.0 if smoke else 0.02)
        yield Row(name, times["ours"], times["torch"], goal)
    for n in (10, 100) if smoke else (1000, 10_000, 100_000):
        pairs = [(chain(chainrule, n), chain(torch, n)) for _ in range(1 if smoke else max(3, 30_000 // n))]
        yield Row(f"chain of {n} multiplications, per node", *middle(pairs), 2)
    small, large = (10, 1000) if smoke else (1000, 1_000_000)
    for collector in (False, True):
        pairs = [(chain(chainrule, large, collector), min(chain(chainrule, small, collector) for _ in range(5)))
                 for _ in range(1 if smoke else 3)]  # fmt: skip
        note = "(peer: our own short chain" + (", garbage collector on)" if collector else ")")
        yield Row(f"per node: {large} against {small}", *middle(pairs), 0.2 if collector else 1 / 1.3, note)
