"""What the tests of ``torch.compile`` have in common: its backends as fixtures, and what is compared."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.func import tree


@pytest.fixture(params=["native", "numpy", "jax"])
def compile(request: pytest.FixtureRequest) -> Any:
    """``torch.compile`` that may not fall back, on either backend."""
    if request.param != "numpy":
        pytest.importorskip({"native": "llvmlite", "jax": "jax"}[request.param])
    return lambda f, **kw: torch.compile(f, **{"backend": request.param, "fullgraph": True, **kw})


@pytest.fixture
def native() -> Any:
    """``torch.compile`` to machine code."""
    pytest.importorskip("llvmlite")
    return lambda f: torch.compile(f, fullgraph=True)


@pytest.fixture(autouse=True)
def no_trace_in_tensor() -> Iterator[None]:
    slots = {name: torch.Tensor.__dict__[name] for name in ("_a", "_rg", "_node", "_grad")}
    yield
    assert all(torch.Tensor.__dict__[name] is slot for name, slot in slots.items()), "a capture was left open"


def run(code: str, **environment: str) -> str:
    """What a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def arrays(x: Any) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(t.detach().numpy()) for t in tree.flatten(x)[0]]


def equal(found: Any, wanted: Any, tolerance: float | None = None) -> None:
    for a, b in zip(arrays(found), arrays(wanted), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        t = tolerance or (1e-12 if b.dtype.itemsize >= 8 else 3e-6)
        np.testing.assert_allclose(a, b, rtol=t, atol=t)


def loops(f: Any) -> list[str]:
    """The kernels of a compiled function that are loops."""
    return [k.text for k in f.entries[0].runner.kernels if k.text.startswith("def loop")]


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def wave(x: Any) -> Any:
    return torch.sin(x) * torch.exp(-(x**2)) + torch.tanh(x)


def programs(f: Any) -> list[Any]:
    return [e.runner for e in f.entries]


def numbers(x: Any) -> Any:
    """What is in a structure of tensors."""
    if isinstance(x, torch.Tensor):
        return x.detach().numpy().copy(), x.requires_grad
    if isinstance(x, (list, tuple)):
        return [numbers(y) for y in x]
    return [numbers(y) for y in x.values()] if isinstance(x, dict) else x


def same(found: Any, wanted: Any) -> None:
    if isinstance(wanted, list):
        for a, b in zip(found, wanted, strict=True):
            same(a, b)
    elif isinstance(wanted, tuple):
        assert found[1:] == wanted[1:]
        tolerance = 1e-9 if wanted[0].dtype.itemsize == 8 else 1e-5
        np.testing.assert_allclose(found[0], wanted[0], rtol=tolerance, atol=tolerance)
    else:
        assert found == wanted


def call(text: str, *args: Any) -> int:
    """What the kernel that ``text`` defines gives: called with arrays, numbers, and the first and last block."""
    from chainrule.compiler.lower import parameters
    from chainrule.compiler.native import native

    blocks, words, held = {"first": 0, "last": 1}, [], []
    for (name, dtype, array), a in zip(parameters(text), args, strict=True):
        if name in blocks:
            blocks[name] = a
        elif dtype == "int":
            words.append(a)
        else:
            held.append(a if array else np.array(a, dtype))
            assert held[-1].dtype == dtype
            words.append(held[-1].ctypes.data)
    run = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(native(text).address)
    return run(np.array(words, np.int64).ctypes.data, *blocks.values())
