"""High and sparse derivatives against PyTorch's ways to them, and planned ways against obvious ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from compare import Row, race


def rows(smoke: bool) -> Iterator[Row]:
    """One line for each comparison; the sizes are those that a user meets."""
    import torch as peer

    import chainrule as ours

    rounds = 1 if smoke else 7
    yield high(ours, peer, 3 if smoke else 10, rounds)
    yield from sparse_jacobians(ours, peer, 10 if smoke else 2000, rounds)
    yield sparse_hessian(ours, peer, 10 if smoke else 1000, rounds)
    yield from planned(ours, 10 if smoke else 1000, rounds)


def high(T: Any, P: Any, order: int, rounds: int) -> Row:
    """One derivative of high order."""
    at, there = T.tensor(0.3, dtype=T.float64), P.tensor(0.3, dtype=P.float64)
    tenth = T.func.derivative(lambda x: x.tanh().tanh().tanh(), order)

    def nested() -> Any:
        x = there.clone().requires_grad_()
        y = x.tanh().tanh().tanh()
        for _ in range(order):
            (y,) = P.autograd.grad(y, x, create_graph=True)
        return y

    assert abs(tenth(at).item() / nested().item() - 1) < 1e-9
    found = race({"ours": lambda: tenth(at), "peer": nested}, rounds)
    return Row(f"derivative {order} of tanh(tanh(tanh(x)))", found["ours"], found["peer"], 100)


def band(T: Any) -> Callable[[Any], Any]:
    """Each output from an input and its two neighbours."""

    def f(x: Any) -> Any:
        wide = T.cat([x[:1], x, x[-1:]])
        return wide[2:] * wide[1:-1] - wide[:-2].sin()

    return f


def sparse_jacobians(T: Any, P: Any, n: int, rounds: int) -> Iterator[Row]:
    """A tridiagonal Jacobian: with pattern and colours prepared once, and found anew each time."""
    x, y = T.linspace(0, 1, n, dtype=T.float64), P.linspace(0, 1, n, dtype=P.float64)
    f, g = band(T), P.func.jacrev(band(P))
    prepared = T.func.SparseJacobian(f, x)
    assert abs(prepared(x).toarray() - g(y).numpy()).max() < 1e-9
    ways = {"prepared": lambda: prepared(x), "anew": lambda: T.func.sparse_jacobian(f, x), "peer": lambda: g(y)}
    found = race(ways, rounds)
    yield Row(f"tridiagonal Jacobian, n = {n}", found["prepared"], found["peer"], 50)
    yield Row("  pattern and colours found each time", found["anew"], found["peer"], 5)


def sparse_hessian(T: Any, P: Any, n: int, rounds: int) -> Row:
    """A tridiagonal Hessian, prepared once."""
    f = lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()  # noqa: E731
    x, y = T.linspace(0, 1, n, dtype=T.float64), P.linspace(0, 1, n, dtype=P.float64)
    prepared, g = T.func.SparseHessian(f, x), P.func.hessian(f)
    assert abs(prepared(x).toarray() - g(y).numpy()).max() < 1e-9
    found = race({"ours": lambda: prepared(x), "peer": lambda: g(y)}, rounds)
    return Row(f"tridiagonal Hessian, n = {n}", found["ours"], found["peer"], 50)


def planned(T: Any, n: int, rounds: int) -> Iterator[Row]:
    """Each plan against the obvious way of our own."""
    x, small = T.linspace(0.1, 1, n, dtype=T.float64), T.linspace(0.1, 1, 4, dtype=T.float64)
    scalar = lambda x: (band(T)(x) ** 2).sum()  # noqa: E731
    cases: dict[str, tuple[Any, Any, str, int, float]] = {
        "Jacobian, banded": (band(T), x, "jacobian", 2, 2.0),
        "sparse Hessian, banded": (scalar, x, "sparse hessian", 2, 10.0),
        "gradient": (scalar, x, "gradient", 2, 0.8),
        "Hessian times vector": (scalar, x, "hvp", 2, 0.8),
        "Jacobian, three columns": (lambda x: x[0] * T.cos(x[1] * T.arange(n)) + x[2], small[:3], "jacobian", 2, 2.0),
        "sixth derivative": (lambda x: x.tanh().exp(), small, "derivative", 6, 10.0),
        "third partials, n = 4": (lambda x: x.prod().sin() + (x**3).sum(), small, "partials", 3, 0.9),
    }
    for name, (f, at, want, order, goal) in cases.items():
        p = T.func.plan(f, at, want, order=order)
        args = (at, at) if want == "hvp" else (at,)
        found = race({"plan": lambda p=p, a=args: p(*a), "obvious": lambda p=p, a=args: p.obvious.run(*a)}, rounds)
        note = f"{p.chosen.name}; by count {p.gain:.1f}x"
        yield Row(f"plan: {name}", found["plan"], found["obvious"], goal, note)
