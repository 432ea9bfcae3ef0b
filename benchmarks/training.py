"""Training against PyTorch, eager on both sides: steps of small networks, recurrent cells, attention, tables of rows.

One thread each: set OPENBLAS_NUM_THREADS=1 for NumPy's BLAS, and CHAINRULE_THREADS=1.  A goal is what eager should reach;
where a note says so, compiled work reaches it instead, and ``python benchmarks/run.py training`` shows that row too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from compare import Row, race

Run = Callable[[], Any]
Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


def stepping(torch: Any, wrap: Wrap, model: Any, optimiser: str, x: Any, classes: int) -> Run:
    y = torch.arange(x.shape[0]) % classes
    moves = getattr(torch.optim, optimiser)(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> Any:
        moves.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        moves.step()
        return loss.detach()

    f = wrap(step)
    f(x, y)
    return lambda: f(x, y)


def mlp(sizes: tuple[int, ...], batch: int, optimiser: str) -> Callable[[Any, Wrap, bool], Run]:
    def task(torch: Any, wrap: Wrap, smoke: bool) -> Run:
        widths = tuple(min(s, 10) for s in sizes) if smoke else sizes
        torch.manual_seed(0)
        layers: list[Any] = []
        for a, b in zip(widths, widths[1:], strict=False):
            layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1])
        return stepping(torch, wrap, model, optimiser, torch.randn(4 if smoke else batch, widths[0]), widths[-1])

    return task


def convolutions(torch: Any, wrap: Wrap, smoke: bool) -> Run:
    torch.manual_seed(0)
    nn, n = torch.nn, 8 if smoke else 28
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * (n // 4) ** 2, 10),
    )  # fmt: skip
    return stepping(torch, wrap, model, "SGD", torch.randn(2 if smoke else 32, 1, n, n), 10)


def gradients(torch: Any, wrap: Wrap, model: Any, forward: Callable[[Any], Any], x: Any) -> Run:
    """The gradients of all parameters, by the sum of what ``forward`` gives."""

    def run(x: Any) -> Any:
        model.zero_grad()
        forward(x).sum().backward()
        return [p.grad for p in model.parameters()]

    f = wrap(run)
    return lambda: f(x)


def cell(torch: Any, wrap: Wrap, smoke: bool) -> Run:
    torch.manual_seed(0)
    n, steps = (4, 3) if smoke else (64, 100)
    model = torch.nn.LSTMCell(n, n)

    def forward(x: Any) -> Any:
        h = c = torch.zeros(1, n)
        for t in range(steps):
            h, c = model(x[t], (h, c))
        return h

    return gradients(torch, wrap, model, forward, torch.randn(steps, 1, n))


def layer(torch: Any, wrap: Wrap, smoke: bool) -> Run:
    torch.manual_seed(0)
    n, steps, batch = (4, 3, 2) if smoke else (64, 50, 16)
    model = torch.nn.LSTM(n, n)
    return gradients(torch, wrap, model, lambda x: model(x)[0], torch.randn(steps, batch, n))


def attention(torch: Any, wrap: Wrap, smoke: bool) -> Run:
    torch.manual_seed(0)
    batch, length = (2, 4) if smoke else (8, 128)
    model = torch.nn.MultiheadAttention(64, 4, batch_first=True)
    return gradients(
        torch, wrap, model, lambda x: model(x, x, x, need_weights=False)[0], torch.randn(batch, length, 64)
    )


def embedding(torch: Any, wrap: Wrap, smoke: bool) -> Run:
    torch.manual_seed(0)
    rows, n = (10, 4) if smoke else (10_000, 4096)
    model = torch.nn.Embedding(rows, 64)
    return gradients(torch, wrap, model, model, torch.randint(0, rows, (n,)))


# The task, what eager should reach, and whether compiled work is measured too.
TASKS: dict[str, tuple[Callable[[Any, Wrap, bool], Run], float, bool]] = {
    "MLP 64-128-10, batch 128, SGD step": (mlp((64, 128, 10), 128, "SGD"), 2, True),
    "MLP 784-1024-1024-10, 256, Adam step": (mlp((784, 1024, 1024, 10), 256, "Adam"), 1, True),
    "conv 1-16-32 of 32x1x28x28, step": (convolutions, 1, True),
    "LSTM cell, 100 steps of 64": (cell, 1.5, True),
    "LSTM layer, 50 steps of 16x64": (layer, 0.1, True),
    "attention, 8x128x64, 4 heads": (attention, 1, True),
    "embedding, 4096 of 10000x64": (embedding, 1, True),
}


def rows(smoke: bool) -> Iterator[Row]:
    """The figures; at size 1 (``smoke``) only to see that everything still runs."""
    import torch

    import chainrule

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name, (task, goal, compiled) in TASKS.items():
            contestants = {T.__name__: task(T, lambda f: f, smoke) for T in (chainrule, torch)}
            if compiled:
                contestants["compiled"] = task(chainrule, chainrule.compile, smoke)
            for f in contestants.values():
                f()
            times = race(contestants, 1 if smoke else 15, 1e-6 if smoke else 0.05)
            yield Row(name, times["chainrule"], times["torch"], goal)
            if compiled:
                yield Row("  compiled", times["compiled"], times["torch"], goal)
    finally:
        torch.set_num_threads(before)
