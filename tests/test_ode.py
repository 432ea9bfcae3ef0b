"""Differential equations and the derivatives of their solutions, against closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule import autograd
from chainrule.func import derivative, grad, hessian, jacfwd, jacrev, jvp, odeint, vmap
from chainrule.func import ode as module


def f64(*values: Any) -> torch.Tensor:
    return torch.tensor(values[0] if len(values) == 1 else list(values), dtype=torch.float64)


def close(a: Any, b: Any, tol: float = 1e-7) -> None:
    np.testing.assert_allclose(a.detach().numpy(), np.asarray(b), rtol=tol, atol=tol)


WAYS = pytest.mark.parametrize("adjoint", [False, True], ids=["steps", "adjoint"])
TIMES = f64(0.0, 0.4, 1.0)
FINE = {"rtol": 1e-10, "atol": 1e-12}


def logistic(y0: Any, r: Any, t: Any = TIMES, **options: Any) -> torch.Tensor:
    """y' = r y (1 - y): y = 1 / (1 + (1/y0 - 1) exp(-r t))."""
    return odeint(lambda t, y, r: r * y * (1 - y), y0, t, r, **{**FINE, **options})


def exact(y0: Any, r: Any, t: Any) -> Any:
    return 1 / (1 + (1 / y0 - 1) * (-r * t).exp())


class TestSolution:
    def test_closed_forms(self) -> None:
        t = f64(np.linspace(0, 3, 7).tolist())
        y = odeint(lambda t, y: torch.stack([y[1], -4 * y[0]]), f64(1.0, 0.0), t)
        assert y.shape == (7, 2)
        close(y[:, 0], np.cos(2 * t.numpy()), 1e-6)
        close(y[:, 1], -2 * np.sin(2 * t.numpy()), 1e-6)
        close(odeint(lambda t, y: 3 * t**2, f64(0.0), t), t.numpy() ** 3)

    @pytest.mark.parametrize("rtol", [1e-4, 1e-7, 1e-10])
    def test_error_follows_the_tolerance(self, rtol: float) -> None:
        y = logistic(f64(0.1), f64(3.0), rtol=rtol, atol=rtol)
        error = np.abs(y.numpy() - exact(f64(0.1), f64(3.0), TIMES).numpy()).max()
        assert 0 < error < 20 * rtol

    def test_order_five(self) -> None:
        """A step of half the length makes a 64th of the error."""
        f, one = lambda t, y: y * t.cos(), f64(1.0)
        errors = []
        for h in (0.2, 0.1):
            y, _, _ = module._step(f, f64(0.0), one, f(f64(0.0), one), f64(h))
            errors.append(abs(y.item() - math.exp(math.sin(h))))
        assert 50 < errors[0] / errors[1] < 150  # order 5, and one more for the single step

    def test_backwards_and_repeated_times(self) -> None:
        y = logistic(f64(0.3), f64(2.0), f64(1.0, 0.2, 0.2, 0.7))
        wanted = exact(f64(0.3), f64(2.0), f64(0.0, -0.8, -0.8, -0.3))
        close(y, wanted.numpy(), 1e-9)

    def test_one_time(self) -> None:
        close(logistic(f64(0.3), f64(2.0), f64(5.0)[None]), [0.3])
        close(logistic(f64(0.3), f64(2.0), f64(5.0)[None], adjoint=True), [0.3])

    @WAYS
    def test_nests(self, adjoint: bool) -> None:
        f = lambda t, s, p: {"x": s["v"], "v": -p[0] * s["x"]}
        y = odeint(f, {"x": f64(1.0), "v": f64(0.0)}, TIMES, (f64(9.0),), adjoint=adjoint, **FINE)
        close(y["x"], np.cos(3 * TIMES.numpy()))
        close(y["v"], -3 * np.sin(3 * TIMES.numpy()))

    def test_float32(self) -> None:
        y = odeint(lambda t, y: -y, torch.tensor(1.0), torch.tensor([0.0, 1.0]))
        assert y.dtype == torch.float32
        close(y, [1.0, math.exp(-1)], 1e-5)

    def test_complex(self) -> None:
        y = odeint(lambda t, y: 1j * y, torch.tensor(1.0 + 0j, dtype=torch.complex128), TIMES, **FINE)
        close(y, np.exp(1j * TIMES.numpy()))

    def test_few_evaluations(self) -> None:
        """Six a step, for the last slope of one is the first of the next."""
        calls = [0]

        def f(t: Any, y: Any) -> Any:
            calls[0] += 1
            return -y

        odeint(f, f64(1.0), f64(0.0, 10.0))
        assert (calls[0] - 2) % 6 == 0
        assert calls[0] < 400

    @pytest.mark.parametrize(
        ("call", "error", "message"),
        [
            (lambda: odeint(lambda t, y: y * y, f64(1.0), f64(0.0, 2.0)), RuntimeError, "no end at t = 1"),
            (lambda: odeint(lambda t, y: y.log(), f64(-1.0), f64(0.0, 2.0)), RuntimeError, "no end at t = 0"),
            (
                lambda: odeint(lambda t, y: (0.5 - t).sqrt() * y, f64(1.0), f64(0.0, 2.0)),
                RuntimeError,
                "no end at t = 0.5",
            ),
            (
                lambda: odeint(lambda t, y: -1e9 * y, f64(1.0), f64(0.0, 2.0), max_steps=50),
                RuntimeError,
                "after 51 steps",
            ),
            (lambda: odeint(lambda t, y: y[:1], f64(1.0, 2.0), TIMES), RuntimeError, "as many numbers as x has"),
            (lambda: odeint(lambda t, y: y, f64(1.0), f64(1.0)), ValueError, "t must be a tensor of shape"),
            (lambda: odeint(lambda t, y: y, torch.tensor(1), TIMES), TypeError, "floating point"),
        ],
    )
    def test_errors(self, call: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            call()


class TestDerivatives:
    y0, r = f64(0.2), f64(1.5)

    @WAYS
    def test_all_arguments(self, adjoint: bool) -> None:
        u = f64(0.5, -1.0, 2.0)
        f = lambda y0, r, t: (u * logistic(y0, r, t, adjoint=adjoint)).sum()
        g = lambda y0, r, t: (u * exact(y0, r, t - t[0])).sum()
        args = (self.y0, self.r, TIMES)
        for k, (a, b) in enumerate(zip(grad(f, (0, 1, 2))(*args), grad(g, (0, 1, 2))(*args), strict=True)):
            close(a, b.numpy())
            v = torch.ones_like(args[k])
            forward = jvp(lambda x, k=k: f(*args[:k], x, *args[k + 1 :]), (args[k],), (v,))[1]
            close(forward, b.sum().item())

    @WAYS
    def test_second_derivatives(self, adjoint: bool) -> None:
        t = TIMES[:2]
        f = lambda p: logistic(p[0], p[1], t, adjoint=adjoint, rtol=1e-8)[1].square()
        g = lambda p: exact(p[0], p[1], t)[1].square()
        p = f64(0.2, 1.5)
        wanted = hessian(g)(p).numpy()
        close(jacfwd(grad(f))(p), wanted, 1e-6)
        close(jacrev(grad(f))(p), wanted, 1e-6)
        close(jacrev(jacfwd(f))(p), wanted, 1e-6)

    def test_series(self) -> None:
        f = lambda r: logistic(self.y0, r)[2]
        g = lambda r: exact(self.y0, r, f64(1.0))
        close(derivative(f, 4)(self.r), derivative(g, 4)(self.r).item(), 1e-6)

    @WAYS
    def test_backward(self, adjoint: bool) -> None:
        r = f64(1.5).requires_grad_()
        (first,) = autograd.grad(logistic(self.y0, r, adjoint=adjoint)[2], r, create_graph=True)
        first.backward()
        g = lambda r: exact(self.y0, r, f64(1.0))
        close(first, grad(g)(r.detach()).item())
        close(r.grad, grad(grad(g))(r.detach()).item())

    @WAYS
    def test_batches(self, adjoint: bool) -> None:
        y0, r = f64(0.1, 0.5, 0.9), f64(1.0, 2.0, 3.0)
        f = lambda y0, r: logistic(y0, r, adjoint=adjoint)[2]
        g = lambda y0, r: exact(y0, r, f64(1.0))
        close(vmap(f)(y0, r), g(y0, r).numpy())
        close(vmap(grad(f, 1))(y0, r), vmap(grad(g, 1))(y0, r).numpy())

    def test_from_outside(self) -> None:
        """Through the steps whatever f uses is differentiated; the adjoint way must be told."""
        w = f64(1.5).requires_grad_()
        odeint(lambda t, y: w * y * (1 - y), self.y0, TIMES, **FINE)[2].backward()
        close(w.grad, grad(lambda r: exact(self.y0, r, f64(1.0)))(self.r).item())
        with pytest.raises(RuntimeError, match="not among the params"):
            odeint(lambda t, y: w * y, self.y0, TIMES, adjoint=True)

    def test_the_adjoint_way_keeps_no_step(self) -> None:
        """The graph behind a long solution is a handful of nodes; that of the steps is not."""
        sizes = []
        for adjoint in (True, False):
            r = f64(1.5).requires_grad_()
            y = logistic(self.y0, r, f64(0.0, 20.0), adjoint=adjoint)
            seen, stack = set(), [y.grad_fn]
            while stack:
                node = stack.pop()
                if node is not None and node not in seen:
                    seen.add(node)
                    stack += [n for n, _ in node.next_functions]
            sizes.append(len(seen))
        assert sizes[0] < 20
        assert sizes[1] > 500
