"""Taylor series and all that is made of them: against closed forms at 50 digits, and against nested derivatives."""

from __future__ import annotations

import itertools
import math
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.func import derivative, grad, hessian, jacfwd, jvp, partials, taylor, vmap
from chainrule.primitive import table

F = Callable[[Any], Any]


def f64(*values: Any) -> torch.Tensor:
    return torch.tensor(values[0] if len(values) == 1 else list(values), dtype=torch.float64)


def close(a: Any, b: Any, tol: float = 1e-12) -> None:
    np.testing.assert_allclose(a.detach().numpy(), np.asarray(b), rtol=tol, atol=tol)


# name: (function, its twin in mpmath, where)
CLOSED: dict[str, tuple[F, F, float]] = {
    "tanh of tanh": (lambda x: x.tanh().tanh().tanh(), lambda m, x: m.tanh(m.tanh(m.tanh(x))), 0.3),
    "exp sin": (lambda x: (x * x).sin().exp(), lambda m, x: m.exp(m.sin(x * x)), 0.7),
    "quotient": (lambda x: x.sin() / (2 + x.cos()), lambda m, x: m.sin(x) / (2 + m.cos(x)), 0.4),
    "reciprocal": (lambda x: (1 + x * x).reciprocal(), lambda m, x: 1 / (1 + x * x), 0.5),
    "log": (lambda x: x.log() * x, lambda m, x: m.log(x) * x, 1.4),
    "sqrt": (torch.sqrt, lambda m, x: m.sqrt(x), 0.8),
    "asin": (torch.asin, lambda m, x: m.asin(x), 0.3),
    "acosh": (torch.acosh, lambda m, x: m.acosh(x), 2.5),
    "atan": (torch.atan, lambda m, x: m.atan(x), 0.3),
    "erf": (torch.erf, lambda m, x: m.erf(x), 0.6),
    "sigmoid": (torch.sigmoid, lambda m, x: 1 / (1 + m.exp(-x)), -0.4),
    "softplus": (torch.nn.functional.softplus, lambda m, x: m.log(1 + m.exp(x)), 0.2),
    "logsumexp": (
        lambda x: torch.stack([x, x * x]).logsumexp(0), lambda m, x: m.log(m.exp(x) + m.exp(x * x)), 0.6,
    ),
    "x ** x": (lambda x: x**x, lambda m, x: x**x, 1.3),
    "x ** 2.5": (lambda x: x**2.5, lambda m, x: x ** m.mpf(2.5), 1.3),
    "x ** -1.5": (lambda x: x**-1.5, lambda m, x: x ** m.mpf(-1.5), 1.3),
    "x ** 100": (lambda x: x**100, lambda m, x: x**100, -0.9),
    "x ** -3": (lambda x: x**-3, lambda m, x: x**-3, -0.9),
    "x ** tensor": (lambda x: x ** f64(3.5), lambda m, x: x ** m.mpf(3.5), 0.9),
    "x ** moving 2": (lambda x: x ** (x + 1), lambda m, x: x ** (x + 1), 1.0),
    "3 ** x": (lambda x: 3**x, lambda m, x: m.mpf(3) ** x, 0.5),
}  # fmt: skip


FORTY = ("tanh of tanh", "quotient", "acosh", "x ** x", "x ** 2.5", "x ** 100")


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms(name: str) -> None:
    mpmath = pytest.importorskip("mpmath")
    pytest.importorskip("scipy")  # for erf
    f, twin, at = CLOSED[name]
    order = 40 if name in FORTY else 12
    with mpmath.workdps(2 * order):
        wanted = [float(c) for c in mpmath.taylor(lambda x: twin(mpmath, x), mpmath.mpf(at), order)]
    got = taylor(f, f64(at), order).numpy()
    scale = np.maximum.accumulate(np.abs(wanted[::-1]))[::-1]  # a term may be near 0 by accident
    assert (np.abs(got - wanted) <= 1e-12 * scale).all(), np.max(np.abs(got - wanted) / scale)


def test_tenth_derivative_to_the_last_digits() -> None:
    mpmath = pytest.importorskip("mpmath")
    f, twin, at = CLOSED["tanh of tanh"]
    with mpmath.workdps(60):
        wanted = float(mpmath.diff(lambda x: twin(mpmath, x), mpmath.mpf(at), 10))
    assert derivative(f, 10)(f64(at)).item() == pytest.approx(wanted, rel=1e-14)


class TestPowersAtZero:
    """There a power has derivatives up to its exponent; infinite ones follow.  No warning escapes."""

    @pytest.mark.parametrize("exponent", [2.5, f64(2.5)], ids=["number", "tensor"])
    def test_broken_exponent(self, exponent: Any) -> None:
        got = taylor(lambda x: x**exponent, f64(0.0), 6).numpy()
        assert got.tolist() == [0.0, 0.0, 0.0, math.inf, -math.inf, math.inf, -math.inf]

    @pytest.mark.parametrize("exponent", [3, 3.0, f64(3.0)], ids=["int", "float", "tensor"])
    def test_whole_exponent(self, exponent: Any) -> None:
        assert taylor(lambda x: x**exponent, f64(0.0), 5).numpy().tolist() == [0, 0, 0, 1, 0, 0]

    def test_as_nested_gradients(self) -> None:
        for exponent in (2.5, 1.0, 0.5, -1.5, 0, 1, 2, 3):
            f = lambda x, c=exponent: x**c
            g = f
            for k in range(5):
                assert derivative(f, k)(f64(0.0)).item() == pytest.approx(g(f64(0.0)).item(), nan_ok=True), (
                    exponent,
                    k,
                )
                g = grad(g)

    def test_a_zero_beside_other_numbers(self) -> None:
        x, y = f64(0.0, 1.5, -2.0), f64(2.0, 1.7, 3.0)
        got = taylor(lambda t: t**y, x, 3).numpy()
        close(f64(got[:, 0].tolist()), [0.0, 0.0, 1.0, 0.0])
        close(f64(got[:, 2].tolist()), [-8.0, 12.0, -6.0, 1.0])

    def test_moving_exponent(self) -> None:
        got = taylor(lambda x: x ** (x + 3), f64(0.0), 2).numpy()  # x³ eˣˡᵒᵍˣ: the third derivative is infinite
        assert got.tolist() == [0.0, 0.0, 0.0]

    def test_other_functions(self) -> None:
        inf = math.inf
        assert taylor(torch.sqrt, f64(0.0), 3).numpy().tolist() == [0.0, inf, -inf, inf]
        assert taylor(torch.log, f64(0.0), 3).numpy().tolist() == [-inf, inf, -inf, inf]


def multiplications(f: F, order: int) -> int:
    """How many products of two terms a series takes."""
    mul, calls = type(table["Mul"]), [0]
    forward, declared = mul.forward, mul.__dict__["forward"]

    def counted(xp: Any, x: Any, y: Any) -> Any:
        calls[0] += 1
        return forward(xp, x, y)

    mul.forward = staticmethod(counted)
    try:
        taylor(f, f64(0.3), order)
    finally:
        mul.forward = declared
    return calls[0]


@pytest.mark.parametrize("f", [lambda x: x.tanh().tanh().tanh(), lambda x: x.sin().exp(), torch.atan, lambda x: x**x])
def test_cost_grows_as_a_power_of_the_order(f: F) -> None:
    """Twice the order is four times the products (eight for x ** x); nested gradients take 3 ** n times."""
    small, large = multiplications(f, 16), multiplications(f, 32)
    assert 0 < large <= 9 * small
    assert multiplications(lambda x: x.tanh(), 32) <= 33 * 34 / 2 + 33
    assert multiplications(torch.sin, 32) <= 2 * 33  # sine and cosine are in each other's slopes: found, not made again


def test_no_recursion_in_the_order() -> None:
    """Order 300 under a stack that nested rules would exhaust at a tenth of it."""
    found: list[Any] = []

    def run() -> None:
        limit = sys.getrecursionlimit()
        frame, depth = sys._getframe(), 0
        while frame is not None:
            frame, depth = frame.f_back, depth + 1  # type: ignore[assignment]
        sys.setrecursionlimit(depth + 60)
        try:
            found.append(taylor(lambda x: x**2.5, f64(1.3), 300)[300])
            found.append(taylor(lambda x: x**x, f64(1.3), 40)[40])
        finally:
            sys.setrecursionlimit(limit)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert len(found) == 2
    coefficient = 1.3**2.5
    for k in range(300):
        coefficient *= (2.5 - k) / (k + 1) / 1.3
    assert found[0].item() == pytest.approx(coefficient, rel=1e-12)


class TestInterface:
    def test_nests(self) -> None:
        x = {"a": f64(1.0, 2.0), "b": (f64(3.0),)}
        v = {"a": f64(1.0, -1.0), "b": (f64(0.5),)}
        f = lambda p: {"y": p["a"] * p["b"][0], "c": torch.ones(2)}
        got = taylor(f, x, 3, v)
        close(got["y"], [[3.0, 6.0], [3.5, -2.0], [0.5, -0.5], [0.0, 0.0]])
        close(got["c"], [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
        close(taylor(f, x, 1)["y"][1], [4.0, 5.0])

    def test_directional_derivatives_are_hessian_forms(self) -> None:
        f = lambda x: (x[0] * x[1]).sin() + x[2].exp() * x[0]
        x, v = f64(0.3, -0.7, 1.1), f64(1.0, 2.0, -0.5)
        close(2 * taylor(f, x, 2, v)[2], (v @ hessian(f)(x) @ v).item())

    def test_order_zero_and_one(self) -> None:
        close(taylor(torch.sin, f64(0.5), 0), [math.sin(0.5)])
        close(taylor(torch.sin, f64(0.5), 1), [math.sin(0.5), math.cos(0.5)])
        close(derivative(torch.sin, 0)(f64(0.5)), math.sin(0.5))

    def test_dtype_stays(self) -> None:
        for f in (torch.tanh, torch.sin, lambda x: x**2.5, lambda x: x**x, lambda x: 1 / x, torch.sqrt):
            assert taylor(f, torch.tensor(0.5), 6).dtype == torch.float32

    def test_complex(self) -> None:
        z = torch.tensor(0.3 + 0.4j, dtype=torch.complex128)
        got = taylor(lambda x: (x * x).exp() / x, z, 4).numpy()
        want, g = [], lambda x: (x * x).exp() / x
        for k in range(5):
            want.append(g(z).numpy() / math.factorial(k))
            g = lambda x, g=g: jvp(g, (x,), (torch.ones_like(x),))[1]
        np.testing.assert_allclose(got, want, rtol=1e-12)

    def test_written_in_place(self) -> None:
        def f(x: Any) -> Any:
            out = torch.zeros(3, dtype=torch.float64)
            out[0] = x.sin()
            out[1:] = x * x
            out *= 2
            return out

        close(taylor(f, f64(1.0), 2)[2], [-math.sin(1.0), 2.0, 2.0])

    def test_choices_are_locally_constant(self) -> None:
        f = lambda x: torch.where(x > 0, x**3, x.exp()) + x.abs() + torch.relu(x)
        close(
            taylor(f, f64(2.0, -1.0), 2), [[12.0, math.exp(-1) + 1], [14.0, math.exp(-1) - 1], [6.0, math.exp(-1) / 2]]
        )

    def test_matrices(self) -> None:
        a, b = f64([[1.0, 2.0], [3.0, 4.0]]), f64([[0.0, 1.0], [-1.0, 0.5]])
        got = taylor(lambda t: (a + t * b) @ (a - t * b) @ (b + t * a), f64(0.0), 3)
        an, bn = a.numpy(), b.numpy()
        close(got[0], an @ an @ bn)
        close(got[3], -bn @ bn @ an)
        close(got[1], bn @ an @ bn - an @ bn @ bn + an @ an @ an)

    @pytest.mark.parametrize(
        ("call", "error", "message"),
        [
            (lambda: taylor(torch.exp, f64(0.0), -1), ValueError, "order must not be negative"),
            (lambda: partials(torch.exp, -1), ValueError, "order must not be negative"),
            (lambda: taylor(torch.exp, f64(0.0), 2, direction=f64(1.0, 2.0)), ValueError, "direction must be as x"),
            (lambda: taylor(torch.exp, 0.5, 2), TypeError, "expected a Tensor"),
        ],
    )
    def test_errors(self, call: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            call()


class TestNesting:
    """A series is made of whatever arrays flow, and is differentiated, batched and nested as anything else."""

    f = staticmethod(lambda x: (x * x).sin() * x.exp() / (1 + x * x) + x**2.5)

    def test_gradient_of_a_high_derivative(self) -> None:
        for k in (0, 1, 5):
            close(grad(derivative(self.f, k))(f64(0.7)), derivative(self.f, k + 1)(f64(0.7)).item(), 1e-11)

    def test_backward_through(self) -> None:
        x = f64(0.7).requires_grad_()
        taylor(self.f, x, 4)[4].backward()
        close(x.grad, 5 * taylor(self.f, f64(0.7), 5)[5].item(), 1e-11)

    def test_gradient_by_the_direction(self) -> None:
        v = f64(0.3, -1.0).requires_grad_()
        taylor(lambda x: x.prod(), f64(2.0, 5.0), 2, v)[2].backward()
        close(v.grad, [-1.0, 0.3])

    def test_forward_over_series(self) -> None:
        x, one = f64(0.7), f64(1.0)
        close(jvp(derivative(self.f, 3), (x,), (one,))[1], derivative(self.f, 4)(x).item(), 1e-11)

    def test_series_of_derivatives(self) -> None:
        x = f64(0.7)
        for inner, outer in itertools.product((1, 2), (1, 3)):
            close(derivative(derivative(self.f, inner), outer)(x), derivative(self.f, inner + outer)(x).item(), 1e-11)
        close(taylor(grad(self.f), x, 4)[4], 5 * taylor(self.f, x, 5)[5].item(), 1e-11)

    def test_batches(self) -> None:
        xs = f64(0.2, 0.7, 1.1)
        close(vmap(derivative(self.f, 5))(xs), derivative(self.f, 5)(xs).numpy())
        close(taylor(vmap(self.f), xs, 5), taylor(self.f, xs, 5).numpy())

    def test_a_tracked_weight(self) -> None:
        w = f64(1.5).requires_grad_()
        derivative(lambda x: (w * x).sin(), 3)(f64(0.4)).backward()  # -w³ cos(w x)
        close(w.grad, -3 * 1.5**2 * math.cos(0.6) + 1.5**3 * 0.4 * math.sin(0.6))


class TestPartials:
    f = staticmethod(lambda x: (x[0] * x[1]).sin() * x[2].exp() + x[0] ** 3 * x[1] / x[2] + (x * x).sum().tanh())

    @pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
    def test_against_nested_forward_mode(self, order: int) -> None:
        g, x = self.f, f64(0.3, -0.7, 1.1)
        for _ in range(order):
            g = jacfwd(g)
        got = partials(self.f, order)(x)
        assert got.shape == (3,) * order
        close(got, g(x).numpy(), 1e-11)

    def test_every_order_of_a_monomial(self) -> None:
        """∂⁴(x² y z) is 2 at each arrangement of (x, x, y, z), 0 elsewhere."""
        got = partials(lambda x: x[0] ** 2 * x[1] * x[2], 4)(f64(0.4, 0.9, -1.2)).numpy()
        for index in itertools.product(range(3), repeat=4):
            assert got[index] == pytest.approx(2.0 if sorted(index) == [0, 0, 1, 2] else 0.0, abs=1e-12)

    def test_as_many_series_as_there_are_different_partials(self) -> None:
        seen = []

        def f(x: Any) -> Any:
            seen.append(x.terms[1].shape if hasattr(x, "terms") else None)
            return (x * x).sum() ** 2

        widths = []
        partials(lambda x: (widths.append(x.terms[1]._a.shape[0]), f(x))[1], 3)(f64(1.0, 2.0, 3.0, 4.0))
        assert widths == [math.comb(4 + 3 - 1, 3)]

    def test_shapes_and_nests(self) -> None:
        h = lambda t: {"o": t["a"] * t["b"].sum() ** 2, "p": t["b"].prod()}
        t = {"a": f64([[1.0, 2.0]]), "b": f64(3.0, 4.0, 5.0)}
        got, want = partials(h, 2)(t), hessian(h)(t)
        for o, i, j in itertools.product("op", "ab", "ab"):
            assert got[o][i][j].shape == want[o][i][j].shape
            close(got[o][i][j], want[o][i][j].numpy())
        third = partials(h, 3)(t)
        close(third["o"]["a"]["b"]["b"], jacfwd(lambda t: hessian(h)(t)["o"]["a"]["b"])(t)["b"].numpy())

    def test_chunks_dtype_gradient(self) -> None:
        x = f64(0.3, -0.7, 1.1)
        close(partials(self.f, 3, chunk_size=4)(x), partials(self.f, 3)(x).numpy())
        assert partials(self.f, 2)(x.float()).dtype == torch.float32
        close(grad(lambda x: partials(self.f, 2)(x).sum())(x), partials(self.f, 3)(x).sum((0, 1)).numpy(), 1e-10)
