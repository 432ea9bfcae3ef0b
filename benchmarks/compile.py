"""Compiled work against what a user would pick instead, and against the limit: the same loops written by hand for Numba.

Each case is written once, for a namespace that is ``chainrule`` or ``torch``; JAX has its own words.  The peers are
PyTorch as it is, PyTorch compiled (it needs a C++ compiler), and ``jax.jit``.  The limit, where there is one, shows what the
machine can do (``compile_peers.py``); to be within 1.3 times of it is the goal.  The first calls are measured in fresh processes.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from compare import Row, race
from compile_peers import Run, jax_cases, limits

Case = Callable[[Any, Callable[[Any], Any], bool], Run]  # (namespace, its compile, smoke) -> one call of the work

LIMIT = 1 / 1.3


def elementwise(n: int) -> Case:
    def case(torch: Any, wrap: Callable[[Any], Any], smoke: bool) -> Run:
        x = torch.linspace(-5, 5, 8 if smoke else n)
        f = wrap(torch.func.grad_and_value(lambda x: (torch.sin(x) * torch.exp(-(x * x)) + torch.tanh(x)).sum()))
        return lambda: f(x)

    return case


def polynomial(n: int) -> Case:
    def case(torch: Any, wrap: Callable[[Any], Any], smoke: bool) -> Run:
        x = torch.linspace(-1, 1, 8 if smoke else n)
        f = wrap(torch.func.grad(lambda x: (((2 * x + 1) * x - 3) * x + 0.5).mul(x).sum()))
        return lambda: f(x)

    return case


def scalars(torch: Any, wrap: Callable[[Any], Any], smoke: bool) -> Run:
    """The gradient of a polynomial of one number."""
    x = torch.tensor(0.7, dtype=torch.float64)
    f = wrap(torch.func.grad(lambda x: x**3 * 2 - x**2 * 3 + x * 5 - 7))
    return lambda: f(x)


def pairs(torch: Any, wrap: Callable[[Any], Any], smoke: bool) -> Run:
    """Both gradients of a function of two numbers."""
    u, v = torch.tensor(0.7, dtype=torch.float64), torch.tensor(1.3, dtype=torch.float64)
    f = wrap(torch.func.grad(lambda u, v: torch.sin(u * v) + u / v + torch.exp(u) * v**2, (0, 1)))
    return lambda: f(u, v)


def squares(torch: Any, wrap: Callable[[Any], Any], smoke: bool) -> Run:
    x = torch.linspace(0, 1, 20)
    f = wrap(torch.func.grad(lambda x: (x**2).sum()))
    return lambda: f(x)


def softmax_jacobian(torch: Any, wrap: Callable[[Any], Any], smoke: bool) -> Run:
    x = torch.linspace(-1, 1, 4 if smoke else 256)
    f = wrap(torch.func.jacrev(lambda x: torch.softmax(x, 0)))
    return lambda: f(x)


def tenth(torch: Any, wrap: Callable[[Any], Any], smoke: bool) -> Run:
    f: Any = lambda x: torch.sin(x) * torch.exp(x)  # noqa: E731
    for _ in range(2 if smoke else 10):
        f = torch.func.grad(f)
    x, g = torch.tensor(0.3, dtype=torch.float64), wrap(f)
    return lambda: g(x)


def rosenbrock(torch: Any, wrap: Callable[[Any], Any], smoke: bool) -> Run:
    x = torch.linspace(-1, 1, 4 if smoke else 100, dtype=torch.float64)
    f = wrap(torch.func.hessian(lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()))
    return lambda: f(x)


def logistic_hvp(torch: Any, wrap: Callable[[Any], Any], smoke: bool) -> Run:
    """The Hessian of logistic regression, 1000 samples of 100 features, times a vector."""
    n, m = (8, 4) if smoke else (1000, 100)
    torch.manual_seed(0)
    a, y, w, v = torch.randn(n, m), torch.rand(n), torch.randn(m), torch.randn(m)
    loss = lambda w: (torch.log1p(torch.exp(a @ w)) - y * (a @ w)).sum()  # noqa: E731
    f = wrap(lambda w, v: torch.func.jvp(torch.func.grad(loss), (w,), (v,))[1])
    return lambda: f(w, v)


def linear_step(torch: Any, wrap: Callable[[Any], Any], smoke: bool) -> Run:
    torch.manual_seed(0)
    x, y = torch.randn(100, 3), torch.randn(100, 1)
    return training(torch, wrap, torch.nn.Linear(3, 1), torch.nn.functional.mse_loss, "SGD", x, y)


def mlp_step(sizes: tuple[int, ...], batch: int, optimiser: str) -> Case:
    def case(torch: Any, wrap: Callable[[Any], Any], smoke: bool) -> Run:
        torch.manual_seed(0)
        widths = tuple(min(s, 8) for s in sizes) if smoke else sizes
        layers: list[Any] = []
        for a, b in zip(widths, widths[1:], strict=False):
            layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
        model, rows = torch.nn.Sequential(*layers[:-1]), 4 if smoke else batch
        x, y = torch.randn(rows, widths[0]), torch.arange(rows) % widths[-1]
        return training(torch, wrap, model, torch.nn.functional.cross_entropy, optimiser, x, y)

    return case


def training(torch: Any, wrap: Callable[[Any], Any], model: Any, loss: Any, optimiser: str, x: Any, y: Any) -> Run:
    """A whole step: gradients cleared, forward, backward, parameters moved."""
    moves = getattr(torch.optim, optimiser)(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> Any:
        moves.zero_grad()
        value = loss(model(x), y)
        value.backward()
        moves.step()
        return value.detach()

    f = wrap(step)
    f(x, y)  # the optimiser's state is begun
    return lambda: f(x, y)


def conv_step(torch: Any, wrap: Callable[[Any], Any], smoke: bool) -> Run:
    """A step of a small network for 28×28 pictures: two convolutions, pooling, two dense layers."""
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    rows = 2 if smoke else 32
    x, y = torch.randn(rows, 1, 28, 28), torch.arange(rows) % 10
    return training(torch, wrap, model, nn.functional.cross_entropy, "SGD", x, y)


def norm_gelu(torch: Any, wrap: Callable[[Any], Any], smoke: bool) -> Run:
    """layer_norm and gelu over 4096×1024, with the gradient."""
    torch.manual_seed(0)
    x = torch.randn(*((4, 8) if smoke else (4096, 1024)))
    functional = torch.nn.functional
    f = wrap(torch.func.grad(lambda x: functional.gelu(functional.layer_norm(x, x.shape[-1:])).sum()))
    return lambda: f(x)


def embedding(torch: Any, wrap: Callable[[Any], Any], smoke: bool) -> Run:
    """Rows gathered from a table, with the gradient scattered back."""
    torch.manual_seed(0)
    rows, n = (8, 4) if smoke else (10_000, 4096)
    table, at = torch.randn(rows, 64), torch.randint(0, rows, (n,))
    f = wrap(torch.func.grad(lambda table: (table[at] ** 2).sum()))
    return lambda: f(table)


def lstm(torch: Any, wrap: Callable[[Any], Any], smoke: bool) -> Run:
    """The gradient through an LSTM cell used 100 times."""
    torch.manual_seed(0)
    n, steps = (4, 3) if smoke else (32, 100)
    w, xs = torch.randn(4 * n, 2 * n) / n, torch.randn(steps, n)

    def loss(w: Any) -> Any:
        h = c = torch.zeros(n)
        for t in range(steps):
            i, f, g, o = (w @ torch.cat([xs[t], h])).reshape(4, n)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return h.sum()

    f = wrap(torch.func.grad(loss))
    return lambda: f(w)


def attention(torch: Any, wrap: Callable[[Any], Any], smoke: bool) -> Run:
    """Self-attention over 8 sequences of 128 vectors of 64, with the gradients of its weights."""
    torch.manual_seed(0)
    b, n, d = (2, 4, 4) if smoke else (8, 128, 64)
    x, w = torch.randn(b, n, d), torch.randn(3, d, d) / d**0.5

    def loss(w: Any) -> Any:
        q, k, v = x @ w[0], x @ w[1], x @ w[2]
        return (torch.softmax(q @ k.transpose(1, 2) / d**0.5, -1) @ v).square().sum()

    f = wrap(torch.func.grad(loss))
    return lambda: f(w)


CASES: dict[str, Case] = {
    "scalar polynomial, gradient": scalars,
    "f(u, v), gradients": pairs,
    "sum(x²), n = 20": squares,
    **{f"sin·exp+tanh, n = {n:,}": elementwise(n) for n in (10_000, 1_000_000, 10_000_000)},
    **{f"polynomial, n = {n:,}": polynomial(n) for n in (1_000_000, 10_000_000)},
    "softmax Jacobian, n = 256": softmax_jacobian,
    "linear regression step": linear_step,
    "MLP 64-128-10 SGD step": mlp_step((64, 128, 10), 32, "SGD"),
    "MLP 64-128-10 Adam step": mlp_step((64, 128, 10), 32, "Adam"),
    "MLP 784-1024-1024-10 Adam step": mlp_step((784, 1024, 1024, 10), 128, "Adam"),
    "conv net SGD step": conv_step,
    "10th derivative": tenth,
    "Rosenbrock Hessian, n = 100": rosenbrock,
    "logistic hvp, 1000×100": logistic_hvp,
    "LSTM cell × 100": lstm,
    "attention": attention,
    "layer_norm + gelu, 4096×1024": norm_gelu,
    "embedding": embedding,
}  # fmt: skip


# --- first calls -----------------------------------------------------------------------------------------------------

FIRST = {
    "first call, elementwise": (
        1.5,
        "x = torch.linspace(-5, 5, 1000)\n"
        "f = torch.compile(torch.func.grad(lambda x: (torch.sin(x) * torch.exp(-(x * x)) + torch.tanh(x)).sum()))\n"
        "calls = lambda: f(x)\n",
    ),
    "first call, MLP step": (
        3.0,
        "model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))\n"
        "moves = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "x, y = torch.randn(32, 64), torch.arange(32) % 10\n"
        "def step(x, y):\n"
        "    moves.zero_grad(); loss = torch.nn.functional.cross_entropy(model(x), y); loss.backward(); moves.step()\n"
        "f = torch.compile(step)\n"
        "calls = lambda: f(x, y)\n",
    ),
}
_TIMED = (
    "import time\nimport chainrule as torch\n{}start = time.perf_counter()\ncalls()\nprint(time.perf_counter() - start)"
)


def first_calls(smoke: bool) -> Iterator[Row]:
    """Seconds to the end of the first call in a fresh process: the goal stands where a peer would."""
    for name, (goal, code) in FIRST.items():
        times = []
        for _ in range(1 if smoke else 3):
            done = subprocess.run(
                [sys.executable, "-c", _TIMED.format(code)], capture_output=True, text=True, check=True
            )
            times.append(float(done.stdout))
        yield Row(f"{name}, seconds allowed", sorted(times)[len(times) // 2], goal, 1.0)


# --- the report -------------------------------------------------------------------------------------------------------


def _contestants(name: str, case: Case, smoke: bool, jaxs: Any, hands: Any) -> dict[str, Run]:
    ours: Any = importlib.import_module("chainrule")
    found = {"ours": case(ours, ours.compile, smoke)}
    if importlib.util.find_spec("torch") is not None:
        peer: Any = importlib.import_module("torch")
        found["PyTorch"] = case(peer, lambda f: f, smoke)
        if os.environ.get("CHAINRULE_BENCH_INDUCTOR") and shutil.which("c++"):
            found["torch.compile"] = case(peer, peer.compile, smoke)
    if name in jaxs:
        found["JAX jit"] = jaxs[name](smoke)
    if name in hands:
        found["limit"] = hands[name](smoke)
    return found


def rows(smoke: bool) -> Iterator[Row]:
    """Each case against each peer and against the limit; ``CHAINRULE_BENCH_INDUCTOR=1`` adds torch.compile."""
    if importlib.util.find_spec("llvmlite") is None:
        print("compile: LLVM is not installed")
        return
    jaxs = jax_cases() if importlib.util.find_spec("jax") is not None else {}
    hands = limits() if importlib.util.find_spec("numba") is not None else {}
    for name, case in CASES.items():
        start = time.perf_counter()
        contestants = _contestants(name, case, smoke, jaxs, hands)
        times = race(contestants, 1 if smoke else 9, 0.0 if smoke else 0.03)
        for peer, seconds in times.items():
            if peer != "ours":
                note = f"({time.perf_counter() - start:.0f} s in all)" if peer == "PyTorch" else ""
                yield Row(f"{name}, {peer}", times["ours"], seconds, LIMIT if peer == "limit" else 1.0, note)
    yield from first_calls(smoke)
