"""Arguments and results in nested containers: every transform takes them, and gives results of the same build."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import chainrule as torch
from chainrule import func
from chainrule.utils.checkpoint import checkpoint


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclasses.dataclass
class Record:
    a: Any
    b: Any


@dataclasses.dataclass(frozen=True)
class Frozen:
    a: Any
    b: Any


A, B = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64), torch.tensor(3.0, dtype=torch.float64)
BUILDS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any], tuple[Any, Any]]]] = {
    "tuple": (lambda a, b: (a, b), lambda t: (t[0], t[1])),
    "list": (lambda a, b: [a, b], lambda t: (t[0], t[1])),
    "dict": (lambda a, b: {"a": a, "b": b}, lambda t: (t["a"], t["b"])),
    "ordered": (lambda a, b: OrderedDict(b=b, a=a), lambda t: (t["a"], t["b"])),
    "named tuple": (Pair, lambda t: (t.a, t.b)),
    "dataclass": (Record, lambda t: (t.a, t.b)),
    "frozen dataclass": (Frozen, lambda t: (t.a, t.b)),
    "nest": (lambda a, b: {"x": [Pair((a,), {"y": b})]}, lambda t: (t["x"][0].a[0], t["x"][0].b["y"])),
}
builds = pytest.mark.parametrize(("make", "parts"), BUILDS.values(), ids=BUILDS)
Make, Parts = Callable[[Any, Any], Any], Callable[[Any], tuple[Any, Any]]


def same(found: Any, expected: Any, tolerance: float = 1e-9) -> None:
    """Equal numbers in the same containers."""
    assert type(found) is type(expected) or isinstance(found, torch.Tensor)
    ours, spec = func.tree.tree_flatten(found)
    theirs, right = func.tree.tree_flatten(expected)
    assert spec == right
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(x.detach()), np.asarray(y.detach()), rtol=tolerance, atol=tolerance)


def energy(a: Any, b: Any) -> Any:
    return (a**3).sum() * b + b**2 * a[0] + a.sin().sum()


def outputs(a: Any, b: Any) -> tuple[Any, Any]:
    return a * b + a.sum(), (a**2).sum() * b


@builds
def test_reverse_mode(make: Make, parts: Parts) -> None:
    f, x = (lambda t: energy(*parts(t))), make(A, B)
    expected = make(*func.grad(energy, argnums=(0, 1))(A, B))
    same(func.grad(f)(x), expected)
    g, value = func.grad_and_value(f)(x)
    same(g, expected)
    same(value, energy(A, B))
    g, aux = func.grad(lambda t: (f(t), t), has_aux=True)(x)
    same(g, expected)
    same(aux, x)
    value, pull = func.vjp(lambda t: make(*outputs(*parts(t))), x)
    same(value, make(*outputs(A, B)))
    same(pull(make(A, B))[0], make(*func.vjp(outputs, A, B)[1]((A, B))))


@builds
def test_forward_mode(make: Make, parts: Parts) -> None:
    f, x, v = (lambda t: make(*outputs(*parts(t)))), make(A, B), make(A.sin(), B.sin())
    _, along = func.jvp(outputs, (A, B), (A.sin(), B.sin()))
    value, found = func.jvp(f, (x,), (v,))
    same(value, make(*outputs(A, B)))
    same(found, make(*along))
    same(func.linearize(f, x)[1](v), make(*along))


@builds
def test_jacobians(make: Make, parts: Parts) -> None:
    f, x = (lambda t: make(*outputs(*parts(t)))), make(A, B)
    rows = func.jacrev(outputs, argnums=(0, 1))(A, B)
    expected = make(make(*rows[0]), make(*rows[1]))
    same(func.jacrev(f)(x), expected)
    same(func.jacfwd(f)(x), expected)
    second = func.hessian(energy, argnums=(0, 1))(A, B)
    same(func.hessian(lambda t: energy(*parts(t)))(x), make(make(*second[0]), make(*second[1])))


@builds
def test_vmap(make: Make, parts: Parts) -> None:
    x = make(torch.stack([A, 2 * A]), torch.stack([B, -B]))
    found = func.vmap(lambda t: make(*outputs(*parts(t))))(x)
    each = [outputs(A, B), outputs(2 * A, -B)]
    same(found, make(*[torch.stack(list(y)) for y in zip(*each, strict=True)]))
    x = make(torch.stack([A, 2 * A], 1), B)
    found = func.vmap(lambda t: make(*outputs(*parts(t))), in_dims=(make(1, None),), out_dims=make(1, 0))(x)
    each = [outputs(A, B), outputs(2 * A, B)]
    same(found, make(torch.stack([y[0] for y in each], 1), torch.stack([y[1] for y in each])))
    slopes = func.vmap(func.grad(lambda t: energy(*parts(t))))(make(torch.stack([A, 2 * A]), torch.stack([B, -B])))
    rows = [func.grad(energy, argnums=(0, 1))(A, B), func.grad(energy, argnums=(0, 1))(2 * A, -B)]
    same(slopes, make(*[torch.stack(list(y)) for y in zip(*rows, strict=True)]))


@builds
def test_series(make: Make, parts: Parts) -> None:
    x, v = make(A, B), make(A.sin(), B.sin())
    series = func.taylor(lambda t: make(*outputs(*parts(t))), x, 3, v)
    whole = func.taylor(lambda s: outputs(A + s * A.sin(), B + s * B.sin()), torch.tensor(0.0, dtype=torch.float64), 3)
    same(series, make(*whole))
    second = func.partials(lambda t: energy(*parts(t)), 2)(x)
    same(second, func.hessian(lambda t: energy(*parts(t)))(x))


@builds
def test_plans(make: Make, parts: Parts) -> None:
    f, x = (lambda t: energy(*parts(t))), make(A, B)
    same(func.plan(f, x, "gradient")(x), func.grad(f)(x))
    same(func.plan(f, x, "hessian")(x), func.hessian(f)(x))
    g = lambda t: make(*outputs(*parts(t)))
    same(func.plan(g, x, "jacobian")(x), func.jacrev(g)(x))
    v = make(A.sin(), B.sin())
    same(func.plan(f, x, "hvp")(x, v), func.jvp(func.grad(f), (x,), (v,))[1])


@builds
def test_sparse(make: Make, parts: Parts) -> None:
    pytest.importorskip("scipy")
    f, x = (lambda t: energy(*parts(t))), make(A, B)
    flat = func.tree.tree_leaves(x)
    joined = torch.cat([y.reshape(-1) for y in flat])

    def rebuilt(z: Any) -> Any:
        ends = np.cumsum([0, *[y.numel() for y in flat]])
        return f(func.tree.tree_unflatten([z[i:j].reshape(y.shape) for i, j, y in zip(ends, ends[1:], flat, strict=False)],
                                          func.tree.tree_structure(x)))  # fmt: skip

    np.testing.assert_allclose(func.sparse_hessian(f, x).toarray(), func.hessian(rebuilt)(joined).numpy(), atol=1e-12)
    assert func.sparse_jacobian(lambda t: make(*outputs(*parts(t))), x).shape == (4, 4)


@builds
def test_equations(make: Make, parts: Parts) -> None:
    """x = cos(x) p, at the root of a nest of unknowns and a nest of parameters."""

    def step(x: Any, p: Any) -> Any:
        (a, b), (c, d) = parts(x), parts(p)
        return make((a * c).cos() / 4, (b * d / 4).cos() / 2)

    start, p = make(torch.zeros_like(A), torch.zeros_like(B)), make(A, B)
    found = func.fixed_point(step, start, p)
    same(step(found, p), found, 1e-6)
    residual = lambda x, p: func.tree.tree_map(lambda u, w: u - w, step(x, p), x)
    root = func.custom_root(residual, start, p)
    same(root, found, 1e-6)
    slope = func.grad(lambda p: sum(y.sum() for y in func.tree.tree_leaves(func.fixed_point(step, start, p))))(p)
    assert func.tree.tree_structure(slope) == func.tree.tree_structure(p)
    h = 1e-6
    up, down = (func.fixed_point(step, start, make(A, B + s)) for s in (h, -h))
    difference = sum(
        (u - w).sum().item() for u, w in zip(map(torch.sum, parts(up)), map(torch.sum, parts(down)), strict=True)
    )
    assert abs(parts(slope)[1].item() - difference / (2 * h)) < 1e-6


@builds
def test_differential_equations(make: Make, parts: Parts) -> None:
    def rate(t: Any, y: Any, p: Any) -> Any:
        (a, b), (c, d) = parts(y), parts(p)
        return make(-a * c.abs(), b * d / 10)

    times = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    y = func.odeint(rate, make(torch.ones_like(A), torch.ones_like(B)), times, make(A, B))
    same(y, make((-times[:, None] * A.abs()).exp(), (times * B / 10).exp()), 1e-6)


@builds
def test_minimize(make: Make, parts: Parts) -> None:
    pytest.importorskip("scipy")
    f = lambda t, target: ((parts(t)[0] - parts(target)[0]) ** 2).sum() + (parts(t)[1] - 1) ** 4
    found = func.minimize(f, make(torch.zeros_like(A), B), make(A, B))
    assert func.tree.tree_structure(found.x) == func.tree.tree_structure(make(A, B))
    np.testing.assert_allclose(parts(found.x)[0].numpy(), A.numpy(), atol=1e-4)


@builds
def test_checkpoints(make: Make, parts: Parts) -> None:
    a, b = A.clone().requires_grad_(), B.clone().requires_grad_()
    x = make(a, b)
    found = checkpoint(lambda t: make(*outputs(*parts(t))), x, use_reentrant=False)
    same(found, make(*outputs(A, B)))
    sum(y.sum() for y in func.tree.tree_leaves(found)).backward()
    c, d = A.clone().requires_grad_(), B.clone().requires_grad_()
    sum(y.sum() for y in outputs(c, d)).backward()
    same((a.grad, b.grad), (c.grad, d.grad))


@builds
def test_compiled(make: Make, parts: Parts) -> None:
    f = lambda t: make(*outputs(*parts(t)))
    same(torch.compile(f)(make(A, B)), f(make(A, B)))


def test_none_and_numbers_beside_tensors(own_generator: None) -> None:
    """What is no tensor passes by where it is not differentiated."""
    x = {"a": A, "rest": None, "number": 2.0}
    loss = lambda a, options: (a**2).sum() * options["number"] * (1 if options["rest"] is None else 0)
    same(func.grad(loss)(A, x), 4 * A)
    same(func.vmap(lambda a, options: a * options["number"], in_dims=(0, None))(A, x), 2 * A)
    with pytest.raises(ValueError, match="Thing passed to transform API must be Tensor"):
        func.grad(lambda t: t["a"].sum())(x)
    same(func.functional_call(torch.nn.Linear(3, 1, dtype=torch.float64), {"weight": A[None], "bias": B[None]}, (A,)),
         ((A * A).sum() + B)[None])  # fmt: skip
