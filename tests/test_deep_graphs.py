"""Graphs a million nodes deep, and wide: swept and freed without recursion, in memory that grows no faster.

Each runs in a process of its own, in a thread with a stack of 256 KiB and a recursion limit of 200, with the cyclic
garbage collector off.  A recursion in C ends such a process by a signal, which fails the test.  How long it takes is
measured by benchmarks/eager.py.
"""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

import chainrule as torch
from chainrule import func

PROGRAM = """
import copy, gc, os, pickle, sys, threading, traceback, weakref
import chainrule as torch

def resident():
    if not os.path.exists("/proc/self/statm"):
        return 0
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def body():
{body}

def main():
    try:
        body()
    except BaseException:
        traceback.print_exc()
        os._exit(1)

gc.disable()
sys.setrecursionlimit(200)
threading.stack_size(256 * 1024)
thread = threading.Thread(target=main)
thread.start()
thread.join()
"""


def run(body: str) -> None:
    program = PROGRAM.format(body=textwrap.indent(textwrap.dedent(body), "    "))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


MADE = """
n = {n}
x = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
first = x * 1
died = weakref.ref(first.grad_fn)
gc.collect()
blocks, memory = sys.getallocatedblocks(), resident()
{build}
assert (resident() - memory) / n < 1200 + 2**24 / n, "more than 1200 bytes a step"
del first
assert died() is not None
"""
SWEPT = """
y.backward(retain_graph=True)
slope = x.grad.item()
assert abs(slope - ({slope})) <= 1e-9 * abs(slope), slope
(g,) = torch.autograd.grad(y, x, retain_graph=True)
assert g.item() == slope
y.backward(inputs=[x], retain_graph=True)
assert x.grad.item() == 2 * slope

repr(y), str(y), repr(y.grad_fn), y.grad_fn.next_functions
for value in (y.detach(), x, torch.tensor(y.item())):
    copy.deepcopy(value)
    pickle.loads(pickle.dumps(value))
try:
    copy.deepcopy(y)
except RuntimeError as e:
    assert "support the deepcopy protocol" in str(e)
"""
FREED = """
x.grad = None
y.backward()
assert abs(x.grad.item() - ({slope})) <= 1e-9 * abs({slope}), x.grad.item()
del y
assert died() is None, "something else still holds the graph"
assert gc.collect() < 100, "the graph had cycles"  # it also empties the lists of objects kept for use again
assert sys.getallocatedblocks() - blocks < 2000, "not all of it was freed"
"""


def check(build: str, n: int, slope: str, parts: tuple[str, ...] = (MADE, SWEPT, FREED)) -> None:
    """Build ``y`` in n steps from ``first``, made of the leaf ``x``; sweep it in several ways, show it, free it."""
    build = textwrap.dedent(build).strip()
    run("".join(part.format(build=build, n=n, slope=slope) for part in parts))


def test_a_million_deep() -> None:
    check(
        """
        y = first
        for _ in range(n):
            y = y * 1.0000001
        """,
        n=1_000_000,
        slope="1.0000001 ** n",
        parts=(MADE, FREED),
    )


def test_a_million_wide() -> None:
    check(
        "y = torch.stack([first * i for i in range(n)]).sum()",
        n=1_000_000,
        slope="n * (n - 1) / 2",
        parts=(MADE, FREED),
    )


DEEP = {  # one step each: what it does to y
    "both operands": "y = y * w + y * 0",
    "saved output": "y = (y * 0 + first).exp() / torch.e",
    "vector": "y = (y.reshape(1).expand(3) / 3).sum()",
    "in place": "y.mul_(1.0)",
    "through a view": "y.view(1)[0].mul_(1.0)",
    "views of views": "y = y.view(1).view(())",
}


@pytest.mark.parametrize("name", DEEP)
def test_deep(name: str) -> None:
    check(
        f"""
        w = torch.ones((), dtype=torch.float64)
        y = first * 1
        for _ in range(n):
            {DEEP[name]}
        """,
        n=10_000 if name == "through a view" else 20_000,
        slope="1",
    )


WIDE = {
    "sum": "y = first * 0\nfor i in range(n):\n    y = y + first * i",
    "cat": "y = torch.cat([first.reshape(1) * i for i in range(n)]).sum()",
    "outputs of one": "y = (torch.stack((first.expand(n) * 1).unbind()) * torch.arange(n)).sum()",
}


@pytest.mark.parametrize("name", WIDE)
def test_wide(name: str) -> None:
    n = 2_000 if name == "outputs of one" else 20_000
    check(WIDE[name], n=n, slope="n * (n - 1) / 2")


def test_leaves_by_the_hundred_thousand() -> None:
    run("""
    n = 100_000
    xs = [torch.tensor(float(i), requires_grad=True) for i in range(n)]
    torch.stack(xs).mul(2).sum().backward()
    assert all(x.grad.item() == 2 for x in xs)
    """)


USES = {
    "stack": "y = torch.stack([x for _ in range(n)]).sum()",
    "cat": "y = torch.cat([x.reshape(1)] * n).sum()",
    "products": "y = torch.cat([(x * 1).reshape(1) for _ in range(n)]).sum()",
    "added": "y = x * 0\nfor _ in range(n):\n    y = y + x",
}


@pytest.mark.parametrize("name", USES)
def test_one_leaf_used_a_hundred_thousand_times(name: str) -> None:
    build = textwrap.indent(USES[name], "    ").strip()
    run(f"""
    n = 100_000
    x = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    (x * 1).backward()
    x.grad = None
    gc.collect()
    blocks, memory = sys.getallocatedblocks(), resident()
    {build}
    assert (resident() - memory) / n < 3000, "more than 3000 bytes for each"
    y.backward()
    assert x.grad.item() == n
    y = None
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 2000, "not all of it was freed"
    """)


def test_recorded_sweep() -> None:
    """``create_graph`` doubles the depth; what it records is freed in the same way."""
    run("""
    x = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    y = x * 1
    for _ in range(20_000):
        y = y * 1.00001
    first = weakref.ref(y.grad_fn)
    (g,) = torch.autograd.grad(y * y, x, create_graph=True)
    (h,) = torch.autograd.grad(g, x)
    assert abs(h.item() / (2 * 1.00001 ** 40_000) - 1) < 1e-9
    del y, g
    assert first() is None
    """)


def test_histories_of_writes() -> None:
    """A write to a base whose views form a long chain follows it there and back."""
    run("""
    x = torch.ones(4, dtype=torch.float64, requires_grad=True)
    base = x * 1
    view = base
    for _ in range(2_000):
        view = view.view(2, 2).view(4)
    view.mul_(3.0)
    base.mul_(2.0)
    view.sum().backward()
    assert x.grad.tolist() == [6.0] * 4
    """)


# --- how often, and how much ------------------------------------------------------------------------------------


def test_each_node_is_visited_once() -> None:
    """A sum with itself sixty times: 2**60 ways lead to the leaf."""
    x = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    y, visits = x, []
    for i in range(60):
        y = y + y
        y.grad_fn.register_hook(lambda grad_inputs, grad_outputs, i=i: visits.append(i))
    y.backward()
    assert x.grad.item() == 2.0**60
    assert visits == list(range(60))[::-1]


def test_training_holds_no_more_memory_after_a_thousand_steps(own_generator: Any) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    data = torch.rand(16, 4)

    def train(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = ((model(data) - 1) ** 2).mean()
            loss.backward()
            optimizer.step()

    gc.collect()
    gc.disable()
    try:
        train(2100)  # until the interpreter's own lists of objects kept for use again are full
        tracemalloc.start()
        train(20)
        before, _ = tracemalloc.get_traced_memory()
        train(1000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert after - before < 10_000


def test_copies_of_a_model_after_a_sweep() -> None:
    """A leaf's copy has its gradient, and nothing of a graph."""
    x = torch.tensor(2.0, requires_grad=True)
    (x**3).backward()
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert twin.requires_grad and twin.is_leaf
        assert twin.item() == 2
    assert copy.deepcopy(x).grad.item() == 12


def cubes(x: torch.Tensor) -> torch.Tensor:
    return (x.tanh() ** 3).sum()


@pytest.mark.parametrize(
    "use",
    [
        lambda x: func.grad(cubes)(x),
        lambda x: func.vjp(cubes, x)[1](torch.tensor(1.0)),
        lambda x: func.vmap(func.grad(cubes))(x.reshape(2, 2)),
        lambda x: func.hessian(cubes)(x),
        lambda x: func.linearize(cubes, x)[1](x),
        lambda x: func.taylor(cubes, x, 4),
        lambda x: func.functionalize(lambda x: cubes(x.clone().mul_(2)))(x),
    ],
    ids=["grad", "vjp", "vmap of grad", "hessian", "linearize", "taylor", "functionalize"],
)
def test_transforms_leave_nothing_for_the_collector(use: Callable[[torch.Tensor], Any]) -> None:
    x = torch.linspace(0, 1, 4)
    use(x)
    gc.collect()
    gc.disable()
    try:
        use(x)
        assert gc.collect() == 0
    finally:
        gc.enable()
