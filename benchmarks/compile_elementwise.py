"""sin(x) exp(-x²) + tanh(x) and its gradient: compiled, against JAX and PyTorch where they are installed.

Run ``python benchmarks/compile_elementwise.py [n ...]``.  The contestants take turns within one process, so
that a busy machine is busy for all; figures are medians, in milliseconds.
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as torch
from chainrule.compiler import compile

Contestant = Callable[[], Any]


def numbers(n: int) -> np.ndarray[Any, Any]:
    return np.linspace(-5, 5, n, dtype=np.float32)


def ours(n: int) -> dict[str, Contestant]:
    x = torch.from_numpy(numbers(n))
    tracked = x.clone().requires_grad_()

    def f(x: Any) -> Any:
        return torch.sin(x) * torch.exp(-(x**2)) + torch.tanh(x)

    grad = compile(torch.func.grad(lambda x: f(x).sum()))
    both = compile(torch.func.grad_and_value(lambda x: f(x).sum()))
    forward = compile(lambda x: f(x).sum())

    def backward() -> Any:
        tracked.grad = None
        forward(tracked).backward()

    def eager() -> Any:
        tracked.grad = None
        f(tracked).sum().backward()

    return {
        "compiled grad": lambda: grad(x), "compiled grad and value": lambda: both(x),
        "compiled forward, backward()": backward, "eager": eager,
    }  # fmt: skip


def pytorch(n: int) -> dict[str, Contestant]:
    if importlib.util.find_spec("torch") is None:
        return {}
    import torch

    torch.set_num_threads(2)
    x = torch.from_numpy(numbers(n)).requires_grad_()

    def eager() -> None:
        x.grad = None
        (torch.sin(x) * torch.exp(-(x**2)) + torch.tanh(x)).sum().backward()

    return {"PyTorch eager": eager}


def jax(n: int) -> dict[str, Contestant]:
    if importlib.util.find_spec("jax") is None:
        return {}
    import jax
    import jax.numpy as jnp

    x = jnp.asarray(numbers(n))
    grad = jax.jit(jax.grad(lambda x: (jnp.sin(x) * jnp.exp(-(x**2)) + jnp.tanh(x)).sum()))
    both = jax.jit(jax.value_and_grad(lambda x: (jnp.sin(x) * jnp.exp(-(x**2)) + jnp.tanh(x)).sum()))
    return {
        "JAX jit grad": lambda: grad(x).block_until_ready(),
        "JAX jit grad and value": lambda: jax.block_until_ready(both(x)),
    }


def interleaved(contestants: dict[str, Contestant], seconds: float = 5.0) -> dict[str, tuple[float, float]]:
    """For each, (first call, median of the later calls) in milliseconds."""
    first, later = {}, {name: [] for name in contestants}
    for name, call in contestants.items():
        start = time.perf_counter()
        call()
        first[name] = time.perf_counter() - start
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(iter(later.values()))) < 9:
        for name, call in contestants.items():
            time.sleep(0.005)  # until the last one's threads no longer spin
            call()
            for _ in range(3):
                start = time.perf_counter()
                call()
                later[name].append(time.perf_counter() - start)
    return {name: (1e3 * first[name], 1e3 * statistics.median(times)) for name, times in later.items()}


def main(sizes: list[int]) -> None:
    for n in sizes:
        print(f"n = {n:,}")
        for name, (first, later) in interleaved({**ours(n), **jax(n), **pytorch(n)}).items():
            print(f"  {name:30s} {later:10.4f} ms   first call {first:9.1f} ms")


if __name__ == "__main__":
    main([int(float(a)) for a in sys.argv[1:]] or [1, 10_000, 1_000_000, 10_000_000])
