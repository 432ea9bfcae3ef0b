"""What an import brings along, in fresh processes: NumPy, and nothing that a user has not asked for."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest

OPTIONAL = (
    "numba", "llvmlite", "scipy", "sympy", "matplotlib", "dask", "jax", "cupy", "torch", "array_api_compat",
    "starlette", "uvicorn", "tqdm", "safetensors",
)  # fmt: skip


def loaded_by(code: str) -> set[str]:
    """The top-level names of the modules that a program has imported at its end."""
    ends = "import json, sys; print(json.dumps(list({m.partition('.')[0] for m in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{ends}"], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import chainrule",
        "import chainrule as t; t.tensor([1., 2.], requires_grad=True).exp().sum().backward()",
        "import chainrule as t; t.func.hessian(lambda x: (x**3).sum())(t.ones(2))",
        "from chainrule import nn, ones, optim; m = nn.Linear(2, 1); m(ones(3, 2)).sum().backward();"
        "optim.SGD(m.parameters(), 0.1).step()",
        "import chainrule.cli.serve, chainrule.web.app, chainrule.web.server, chainrule.web.workers",
        "import chainrule.cli, chainrule.cli.run, chainrule.cli.derive, chainrule.explain.fonts",
    ],
    ids=["import", "backward", "hessian", "training", "page", "command"],
)
def test_no_optional_library_is_imported(code: str) -> None:
    assert "numpy" in (found := loaded_by(code))
    assert found.isdisjoint(OPTIONAL), sorted(found.intersection(OPTIONAL))


def test_importing_changes_nothing_global() -> None:
    code = """
import locale, os, random, sys, threading, warnings
import numpy as np
def state():
    return (warnings.filters[:], warnings.showwarning, np.geterr(), np.get_printoptions(), random.getstate(),
            str(np.random.get_state()), threading.active_count(), sys.excepthook, sys.meta_path[:], dict(os.environ),
            locale.setlocale(locale.LC_ALL), sys.getrecursionlimit())
before = state()
import chainrule
assert state() == before
"""
    loaded_by(code)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have ways of their own")
def test_freed_memory_is_used_again() -> None:
    code = """
import resource
import chainrule as torch
x = torch.ones(500_000, requires_grad=True)
def step():
    (x.sin() * x.exp() + x.tanh()).sum().backward()
    x.grad = None
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 500, "fresh pages in each step"
"""
    subprocess.run([sys.executable, "-c", code], check=True)
