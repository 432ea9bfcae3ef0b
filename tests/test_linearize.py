"""``func.linearize``: the derivative at a point, as a function of tangents."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T
from chainrule import func

__all__ = ["T"]


def _unrecorded(T: Any, x: Any) -> Any:
    with T.no_grad():
        y = x * x
    return y.sin() * x


def _writes_unrecorded(T: Any, x: Any) -> Any:
    with T.no_grad():
        z = (x * x).view(-1)
        z[0] = x[1] * 2
    return z * x


def _writes(T: Any, x: Any) -> Any:
    y = x.clone()
    y[1:] *= x[:-1]
    return y.cumsum(0) * T.ones(4).mul_(3)


def _shapes(T: Any, x: Any) -> Any:
    a, b = x.reshape(2, 2).t().split(1)
    return T.cat([a @ a.t(), b.sum().reshape(1, 1)]), {"c": T.linalg.inv(x.reshape(2, 2)), "d": x.detach()}


@pytest.mark.filterwarnings("ignore")  # of PyTorch's own
@pytest.mark.parametrize("f", [_unrecorded, _shapes, _writes, _writes_unrecorded])
def test_linearize_is_jvp(T: Any, f: Any) -> None:
    if f in (_writes, _writes_unrecorded) and T is not torch:
        pytest.skip("PyTorch plays the writes again with each call, into what it wrote before")
    x, v = T.tensor([1.0, -0.5, 2.0, 0.25], dtype=T.float64), T.tensor([0.5, 2.0, -1.0, 3.0], dtype=T.float64)
    value, push = T.func.linearize(lambda x: f(T, x), x)
    right, along = func.jvp(lambda x: f(torch, x), (_ours(x),), (_ours(v),))
    for found, expected in (
        (value, right),
        (push(v), along),
        (push(2 * v), func.tree.tree_map(lambda a: 2 * a, along)),
    ):
        for a, b in zip(_leaves(found), _leaves(expected), strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12, atol=1e-12)


def _ours(x: Any) -> Any:
    return torch.tensor(x.numpy())


def _leaves(nest: Any) -> list[Any]:
    return [a for part in nest for a in (part.values() if isinstance(part, dict) else [part])] if isinstance(
        nest, tuple) else [nest]  # fmt: skip


def test_what_it_multiplies_by_is_kept_as_it_was() -> None:
    x, c = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    _, push = func.linearize(lambda x: x * c * x, x)
    c.zero_()
    x.zero_()
    np.testing.assert_allclose(push(torch.ones(2)).numpy(), [6.0, 16.0])


def test_under_other_transforms() -> None:
    x = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    v = x.flip(0)

    def f(x: Any) -> Any:
        with torch.no_grad():
            return (x.sin() * x).cumsum(0)

    expected = torch.stack([func.jvp(f, (a,), (b,))[1] for a, b in zip(x, v, strict=True)])
    found = func.vmap(lambda x, v: func.linearize(f, x)[1](v))(x, v)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12)
    _, push = func.linearize(lambda x: func.vmap(f)(x), x)
    np.testing.assert_allclose(push(v).numpy(), expected.numpy(), rtol=1e-12)
    batch = func.vmap(push)(torch.stack([v, 2 * v]))
    np.testing.assert_allclose(batch.numpy(), torch.stack([expected, 2 * expected]).numpy(), rtol=1e-12)
    cube = lambda x: x**3
    np.testing.assert_allclose(
        func.grad(lambda x: func.linearize(cube, x)[1](v).sum())(x).numpy(), (6 * x * v).numpy(), rtol=1e-12
    )
    np.testing.assert_allclose(
        func.jvp(lambda x: func.linearize(cube, x)[1](v), (x,), (v,))[1].numpy(), (6 * x * v * v).numpy(), rtol=1e-12
    )
    inner = func.linearize(lambda x: func.linearize(cube, x)[1](v), x)[1](v)
    np.testing.assert_allclose(inner.numpy(), (6 * x * v * v).numpy(), rtol=1e-12)
    _, push = func.linearize(func.grad(lambda x: (x**3).sum()), x)
    np.testing.assert_allclose(push(v).numpy(), (6 * x * v).numpy(), rtol=1e-12)


def test_the_function_runs_once_and_what_is_not_needed_is_dropped() -> None:
    runs = []

    def f(x: Any) -> Any:
        runs.append(x)
        x.exp().sum()
        return x.sin()

    _, push = func.linearize(f, torch.zeros(3))
    push(torch.ones(3))
    push(torch.ones(3))
    assert len(runs) == 1
    tape = push.__closure__[list(push.__code__.co_freevars).index("tape")].cell_contents  # type: ignore[attr-defined]
    assert len(tape.steps) == 1


def test_errors() -> None:
    _, push = func.linearize(lambda a, b: a * b, torch.zeros(2), torch.zeros(2))
    with pytest.raises(RuntimeError, match="to have the same argspec as the primals"):
        push(torch.zeros(2))
    with pytest.raises(RuntimeError, match=r"tangent:1 with shape torch.Size\(\[3\]\) in flattened pytree"):
        push(torch.zeros(2), torch.zeros(3))
    with pytest.raises(RuntimeError, match="tangent:0 with dtype"):
        push(torch.zeros(2, dtype=torch.float64), torch.zeros(2))
