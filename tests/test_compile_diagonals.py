"""Jacobians and Hessians of mostly entrywise functions, compiled: n numbers for each diagonal, and the same ones as eager."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule import func
from chainrule.nn import functional as F
from compiling import native, no_trace_in_tensor
from test_compile_padded import awkward, identical

__all__ = ["native", "no_trace_in_tensor"]  # fixtures

COUNT = int(os.environ.get("CHAINRULE_FUZZ", "300")) // 5


def rosenbrock(x: Any) -> Any:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def second(x: Any) -> Any:
    return x[2:] - 2 * x[1:-1] + x[:-2]


c = torch.linspace(0.5, 2, 40, dtype=torch.float64)
m = torch.linspace(-1, 1, 1600, dtype=torch.float64).reshape(40, 40)

# Functions of 40 numbers: a derivative, and how many loops over a whole matrix it takes.
MATRICES: dict[str, tuple[Callable[[Any], Any], int]] = {
    "softmax": (func.jacrev(lambda x: torch.softmax(x, 0)), 1),
    "softmax forward": (func.jacfwd(lambda x: torch.softmax(x, 0)), 1),
    "log_softmax": (func.jacrev(lambda x: torch.log_softmax(x, 0)), 1),
    "entrywise": (func.jacrev(lambda x: x.sin() * c + x**2 / c), 1),
    "Hessian of a sum": (func.hessian(lambda x: (x.exp() * c).sum()), 1),
    "Rosenbrock": (func.hessian(rosenbrock), 1),
    "Rosenbrock, reverse twice": (func.jacrev(func.jacrev(rosenbrock)), 1),
    "Rosenbrock, forward twice": (func.jacfwd(func.jacfwd(rosenbrock)), 4),
    "second differences": (func.jacrev(lambda x: second(x) ** 3), 1),
    "second differences, forward": (func.jacfwd(lambda x: second(x) ** 3), 1),
    "Hessian of second differences": (func.hessian(lambda x: (second(x) ** 4).sum()), 1),
    "as a matrix": (func.jacrev(lambda x: x.reshape(5, 8) * c[:8] - x.reshape(5, 8).mean(1, keepdim=True)), 1),
    "a square": (func.hessian(lambda x: (x.reshape(5, 8).sin() ** 2).sum()), 1),
    "of a product": (func.hessian(lambda x: (torch.tanh(m @ x) * x).sum()), 3),
    "times a matrix": (func.jacrev(lambda x: (x * m).cos()), 3),
    "summed differently": (lambda x: func.jacrev(lambda x: x * x.exp())(x).sum(0), 1),
    "on the diagonal": (
        lambda x: func.jacrev(lambda x: x * x.exp())(x).diagonal() + func.jacfwd(torch.sin)(x).sum(1),
        3,
    ),
    "clamped": (func.jacrev(lambda x: torch.where(x > 0, x, 0.1 * x).clamp(-1, 0.5)), 1),
}


@pytest.mark.parametrize("kind", ["plain", "awkward"])
@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_equal_to_eager(native: Any, name: str, kind: str) -> None:
    f = MATRICES[name][0]
    x = torch.linspace(-1, 1.1, 40, dtype=torch.float64) if kind == "plain" else awkward((40,), "float64")
    with np.errstate(all="ignore"):
        identical(native(f)(x), f(x), 1e-11)


def count(g: Any) -> int:
    from chainrule.compiler.steps import Loop

    return sum(isinstance(s, Loop) and np.prod(s.shape) > 500 for s in g.entries[0].runner.steps)


@pytest.mark.parametrize("name", MATRICES)
def test_loops_over_matrices(native: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainrule.compiler.run.MANY", 1000)  # steps from which on small arrays are unrolled
    f, n = MATRICES[name]
    g = native(f)
    g(c)
    assert count(g) == n


def link(y: Any, z: Any, draw: Any) -> Any:
    """Something of two vectors of the same length."""
    even = len(y) % 2 == 0
    choices: list[Callable[[], Any]] = [
        lambda: y.sin(), lambda: y * z, lambda: y + z.exp(), lambda: y / (z * z + 1), lambda: torch.relu(y), lambda: y[1:] - y[:-1],
        lambda: y[1:-1] * 2, lambda: F.pad(y, (1, 2)), lambda: y * (y * y).sum(), lambda: torch.softmax(y, 0), lambda: y - z.mean(),
        lambda: torch.where(y > z, y, z * 0.5), lambda: (y.reshape(2, -1) * 2).reshape(-1) if even else -y, lambda: y[:1] * z,
    ]  # fmt: skip
    return choices[draw.integers(len(choices))]()


def chain(seed: int) -> Callable[[Any], Any]:
    """A random function of a vector, entry by entry for the most part."""

    def f(x: Any) -> Any:
        draw = np.random.default_rng(seed)
        pool = [x]
        for _ in range(draw.integers(2, 7)):
            y, z = pool[-1], pool[draw.integers(len(pool))]
            n = len(y)
            pool.append(link(y, z[:n] if len(z) > n else F.pad(z, (0, n - len(z)), value=0.5), draw))
        return pool[-1]

    return f


@pytest.mark.parametrize("seed", range(COUNT))
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:overflow:RuntimeWarning")
def test_random_functions(native: Any, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainrule.compiler.run.MANY", 1000)
    f, n = chain(seed), [12, 13, 31][seed % 3]
    y = torch.linspace(-1, 1.1, n, dtype=torch.float64)
    x = awkward((n,), "float64") if seed % 4 == 0 else y + y**2 / 9  # no entry is the mean
    kinds = [func.jacrev, func.jacfwd, lambda f: func.hessian(lambda x: f(x).square().sum())]
    g = kinds[seed // 4 % 3](f)
    with np.errstate(all="ignore"):
        identical(native(g)(x), g(x), 1e-9)


def test_no_matrix_is_read(native: Any) -> None:
    """Unit vectors are no array in memory, and sums of rows take one entry at a time from a vector's."""
    x = torch.linspace(-1, 1, 200)
    for f in (func.jacrev(lambda x: torch.softmax(x, 0)), func.hessian(rosenbrock), func.jacfwd(lambda x: x.sin() * x)):
        g = native(f)
        identical(g(x), f(x), 2e-5)
        program = g.entries[0].runner.program
        assert all(a.size < 1000 for a in program.constants.values())
        assert ("Others" in str(program)) == ("Amax" in str(program))
