"""Random functions, differentiated in every way there is: all ways must agree, and with PyTorch where it is installed.

Hypothesis writes the functions, and shrinks one that fails to its shortest form.
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chainrule
from chainrule import func
from wrong_rules import plant

EXAMPLES = int(os.environ.get("CHAINRULE_EXAMPLES", "60"))
N = 4
Line = tuple[str, tuple[int, ...]]

# Each operation takes vectors of N numbers of size about 1, and gives one: so any may follow any.
OPERATIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "add": (2, lambda T, x, y: x + y),
    "sub": (2, lambda T, x, y: x - 0.5 * y),
    "mul": (2, lambda T, x, y: x * y),
    "div": (2, lambda T, x, y: x / (1.5 + y * y)),
    "pow": (2, lambda T, x, y: (1.5 + x * x) ** y.tanh()),
    "cube": (1, lambda T, x: x**3 / 2),
    "sin": (1, lambda T, x: x.sin()),
    "tanh": (1, lambda T, x: x.tanh()),
    "exp": (1, lambda T, x: (-x * x).exp()),
    "log": (1, lambda T, x: (1 + x * x).log()),
    "sqrt": (1, lambda T, x: (0.5 + x * x).sqrt()),
    "sigmoid": (1, lambda T, x: x.sigmoid()),
    "softplus": (1, lambda T, x: T.nn.functional.softplus(x)),
    "gelu": (1, lambda T, x: T.nn.functional.gelu(x)),
    "erf": (1, lambda T, x: x.erf()),
    "atan2": (2, lambda T, x, y: T.atan2(x, 1.5 + y * y)),
    "flip": (1, lambda T, x: x.flip(0)),
    "roll": (1, lambda T, x: x.roll(1)),
    "cumsum": (1, lambda T, x: x.cumsum(0) / 2),
    "cumprod": (1, lambda T, x: x.tanh().cumprod(0)),
    "softmax": (1, lambda T, x: x.softmax(0)),
    "logsumexp": (1, lambda T, x: x - x.logsumexp(0)),
    "norm": (1, lambda T, x: x / (1 + (x * x).sum()).sqrt()),
    "matrix": (2, lambda T, x, y: (x.reshape(2, 2) @ y.reshape(2, 2)).reshape(4) / 2),
    "solve": (2, lambda T, x, y: T.cat([T.linalg.solve(T.eye(2, dtype=x.dtype) * 4 + x.tanh().reshape(2, 2), y[:2]), x[2:]])),
    "outer": (2, lambda T, x, y: (x[:2, None] * y[None, 2:]).flatten()),
    "gather": (1, lambda T, x: x[T.tensor([2, 0, 0, 3])]),
    "cat": (2, lambda T, x, y: T.cat([x[:1], y[1:]])),
    "stack": (2, lambda T, x, y: T.stack([x, y]).mean(0)),
    "where": (2, lambda T, x, y: T.where(T.tensor([True, False, True, False]), x, y)),
    "transpose": (1, lambda T, x: x.view(2, 2).t().reshape(4)),
    "variance": (1, lambda T, x: x * x.var()),
    "einsum": (2, lambda T, x, y: T.einsum("i,j->i", x, y) / 4),
    "written": (2, lambda T, x, y: _written(x, y)),
    "scaled": (1, lambda T, x: _scaled(x)),
}  # fmt: skip


def _written(x: Any, y: Any) -> Any:
    z = x + 0 * y  # under vmap there must be room for a value of each sample
    z[1:3] = y[:2] * x[1:3]
    return z


def _scaled(x: Any) -> Any:
    z = x * 1.0
    z.view(2, 2)[0].mul_(z[2:] * 0.5)
    return z


lines = st.sampled_from(sorted(OPERATIONS)).flatmap(
    lambda name: st.tuples(st.just(name), st.tuples(*[st.integers(0, 6)] * OPERATIONS[name][0]))
)
programs = st.lists(lines, min_size=1, max_size=7)
points = st.integers(0, 2**31)


def values(program: list[Line], T: Any, x: Any) -> list[Any]:
    """What each line gives, after a constant and x."""
    found = [T.tensor([0.7, -1.2, 0.4, 1.1], dtype=x.dtype), x]
    for name, places in program:
        found.append(OPERATIONS[name][1](T, *[found[-1 - p % len(found)] for p in places]))
    return found


def function(program: list[Line], T: Any = chainrule) -> Callable[[Any], Any]:
    return lambda x: values(program, T, x)[-1] + 0.125 * x  # of x in any case


def close(found: Any, expected: Any, tolerance: float = 1e-8) -> None:
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.all(np.abs(found - expected) <= tolerance * (1 + np.abs(expected).max(initial=0)))


def differences(f: Callable[[Any], Any], x: np.ndarray[Any, Any], h: float = 1e-4) -> np.ndarray[Any, Any]:
    """The Jacobian from values alone, to fourth order in h."""
    at = lambda k, i: f(chainrule.tensor(x + k * h * np.eye(N)[i])).numpy()
    columns = [(8 * (at(1, i) - at(-1, i)) - (at(2, i) - at(-2, i))) / (12 * h) for i in range(N)]
    return np.stack(columns, -1)


common = settings(
    max_examples=EXAMPLES, deadline=None, database=None, derandomize=EXAMPLES == 60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip


@common
@given(programs, points)
def test_all_ways_to_a_derivative_agree(program: list[Line], seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(-1.2, 1.2, N), rng.standard_normal(N)
    f, x, v = function(program), chainrule.tensor(a), chainrule.tensor(b)
    value, pull = func.vjp(f, x)
    reverse = func.jacrev(f)(x)
    expected = reverse.numpy()
    leaf = chainrule.tensor(a).requires_grad_()
    (f(leaf) * v).sum().backward()
    close(leaf.grad.numpy(), b @ expected)
    close(pull(v)[0].numpy(), b @ expected)
    close(func.jacfwd(f)(x).numpy(), expected)
    pushed, tangent = func.jvp(f, (x,), (v,))
    close(pushed.numpy(), value.numpy())
    close(tangent.numpy(), expected @ b)
    close(func.linearize(f, x)[1](v).numpy(), expected @ b)
    series = func.taylor(f, x, 2, v)
    close(series[1].numpy(), expected @ b)
    close(differences(f, a), expected, 1e-5)
    rows = chainrule.tensor(np.stack([a, b, a - b]))
    close(func.vmap(f)(rows).numpy(), np.stack([f(r).numpy() for r in rows]))
    close(func.vmap(func.jacrev(f))(rows)[0].numpy(), expected)
    # second order: forward over reverse, reverse over reverse, reverse over forward, Taylor
    loss = lambda x: (f(x) * v).sum()
    hessian = func.hessian(loss)(x).numpy()
    close(func.jacrev(func.jacrev(loss))(x).numpy(), hessian)
    close(func.jacrev(func.jacfwd(loss))(x).numpy(), hessian)
    close(hessian, hessian.T)
    close(2 * (series[2] * v).sum().numpy(), b @ hessian @ b)


@common
@given(programs, points)
def test_compiled_functions_and_gradients_are_those_of_eager_ones(program: list[Line], seed: int) -> None:
    a = np.random.default_rng(seed).uniform(-1.2, 1.2, N)
    f = function(program)
    x, twin = chainrule.tensor(a).requires_grad_(), chainrule.tensor(a).requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = chainrule.compile(f, backend="numpy")(twin)
    close(y.detach().numpy(), f(x).detach().numpy(), 1e-12)
    (f(x) ** 2).sum().backward()
    (y**2).sum().backward()
    close(twin.grad.numpy(), x.grad.numpy(), 1e-10)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="compares with PyTorch")
@common
@given(programs, points)
def test_pytorch_agrees(program: list[Line], seed: int) -> None:
    import torch

    a = np.random.default_rng(seed).uniform(-1.2, 1.2, N)
    f, g = function(program), function(program, torch)
    x, y = chainrule.tensor(a).requires_grad_(), torch.tensor(a).requires_grad_()
    ours, theirs = f(x), g(y)
    close(ours.detach().numpy(), theirs.detach().numpy(), 1e-12)
    for a, b in zip(values(program, chainrule, x), values(program, torch, y), strict=True):
        assert (a.grad_fn and a.grad_fn.name()) == (b.grad_fn and b.grad_fn.name())
    (first,) = chainrule.autograd.grad(ours.sum(), x, create_graph=True)
    (right,) = torch.autograd.grad(theirs.sum(), y, create_graph=True)
    close(first.detach().numpy(), right.detach().numpy())
    assert first.requires_grad == right.requires_grad
    if first.requires_grad:
        (second,) = chainrule.autograd.grad(first.sum(), x, allow_unused=True)
        (truth,) = torch.autograd.grad(right.sum(), y, allow_unused=True)
        zero = np.zeros(N)
        close(zero if second is None else second.numpy(), zero if truth is None else truth.numpy())


def test_a_wrong_rule_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.primitive import table

    tanh = table["Tanh"]
    plant(monkeypatch, tanh.node, [lambda xp, g, s, p: g * (1 - s[0] * s[0]) * 1.001])
    with pytest.raises(AssertionError):
        test_all_ways_to_a_derivative_agree.hypothesis.inner_test([("tanh", (0,))], 3)  # type: ignore[attr-defined]
