"""Compiled work against PyTorch eager and JAX: the gradient of sin(x)·exp(-x²) + tanh(x), summed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from compare import Row, race


def ours(a: np.ndarray[Any, Any]) -> Callable[[], Any]:
    import chainrule as torch

    x = torch.from_numpy(a)
    gradient = torch.compile(torch.func.grad(lambda x: (x.sin() * (-(x**2)).exp() + x.tanh()).sum()))
    return lambda: gradient(x)


def pytorch(a: np.ndarray[Any, Any]) -> Callable[[], Any]:
    import torch

    x = torch.from_numpy(a.copy()).requires_grad_()

    def gradient() -> Any:
        x.grad = None
        (x.sin() * (-(x**2)).exp() + x.tanh()).sum().backward()
        return x.grad

    return gradient


def jax(a: np.ndarray[Any, Any]) -> Callable[[], Any]:
    import jax
    import jax.numpy as jnp

    x = jnp.asarray(a)
    gradient = jax.jit(jax.grad(lambda x: (jnp.sin(x) * jnp.exp(-(x**2)) + jnp.tanh(x)).sum()))
    return lambda: gradient(x).block_until_ready()


PEERS = {"PyTorch eager": (pytorch, "torch", 10), "JAX jit": (jax, "jax", 1)}


def rows(smoke: bool) -> Iterator[Row]:
    """The figures at a million elements, and for the record at other sizes."""
    if importlib.util.find_spec("numba") is None:
        print("compiled: Numba is not installed")
        return
    for n in (8,) if smoke else (1, 10_000, 1_000_000, 10_000_000):
        a = np.linspace(-5, 5, n, dtype=np.float32)
        contestants = {"ours": ours(a)}
        contestants |= {name: make(a) for name, (make, module, _) in PEERS.items() if importlib.util.find_spec(module)}
        times = race(contestants, 1 if smoke else 15, 0.0 if smoke else 0.05)
        for name, (_, _, goal) in PEERS.items():
            if name in times:
                yield Row(f"sin·exp+tanh, n = {n:,}, {name}", times["ours"], times[name], goal if n == 1_000_000 else 0)
