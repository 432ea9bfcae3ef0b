"""SciPy's optimisers with exact derivatives, and minima differentiated by what they depend on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.func import Objective, grad, hessian, jacfwd, jacrev, minimize

optimize = pytest.importorskip("scipy.optimize")


def f64(*values: Any) -> torch.Tensor:
    return torch.tensor(values[0] if len(values) == 1 else list(values), dtype=torch.float64)


def close(a: Any, b: Any, tol: float = 1e-9) -> None:
    np.testing.assert_allclose(
        a.detach().numpy() if isinstance(a, torch.Tensor) else a, np.asarray(b), rtol=tol, atol=tol
    )


def rosenbrock(x: Any, a: Any = 1.0) -> Any:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (a - x[:-1]) ** 2).sum()


class TestObjective:
    p = {"a": f64(0.3, -0.7), "b": [torch.tensor([[1.5]])]}

    @staticmethod
    def f(p: Any, scale: float = 1.0) -> Any:
        return scale * ((p["a"] ** 3).sum() * p["b"][0].double().sum() ** 2 + p["a"].prod())

    def test_vectors(self) -> None:
        f = Objective(self.f, self.p)
        close(f.x0, [0.3, -0.7, 1.5])
        assert f.x0.dtype == np.float64
        back = f.unpack(f.x0)
        assert back["b"][0].shape == (1, 1)
        assert back["b"][0].dtype == torch.float32

    def test_derivatives(self) -> None:
        f, flat = Objective(self.f, self.p, 2.0), lambda v: 2 * ((v[:2] ** 3).sum() * v[2] ** 2 + v[:2].prod())
        v, t = np.array([0.2, 0.9, 1.25]), f64(0.2, 0.9, 1.25)
        assert f.value(v) == pytest.approx(flat(t).item())
        close(f.grad(v), grad(flat)(t).numpy(), 1e-6)  # one parameter is float32
        value, g = f.value_and_grad(v)
        assert value == pytest.approx(flat(t).item())
        close(g, grad(flat)(t).numpy(), 1e-6)
        close(f.hess(v), hessian(flat)(t).numpy(), 1e-6)
        close(f.hessp(v, np.array([1.0, -2.0, 0.5])), hessian(flat)(t).numpy() @ [1.0, -2.0, 0.5], 1e-6)

    def test_several_numbers(self) -> None:
        f = Objective(lambda x: {"r": x[1:] - x[:-1] ** 2, "s": x[0]}, f64(1.0, 2.0, 3.0))
        v = np.array([0.5, 1.0, 2.0])
        close(f.value(v), [0.75, 1.0, 0.5])
        close(f.jac(v), [[-1.0, 1.0, 0.0], [0.0, -2.0, 1.0], [1.0, 0.0, 0.0]])
        found = optimize.least_squares(f.value, f.x0, jac=f.jac)
        close(found.x, [0.0, 0.0, 0.0], 1e-6)
        close(optimize.root(f.value, f.x0, jac=f.jac).x, [0.0, 0.0, 0.0], 1e-6)

    def test_sparse(self) -> None:
        f = Objective(rosenbrock, f64([0.5] * 30), sparse=True)
        h = f.hess(f.x0)
        assert h.nnz == 88
        close(h.toarray(), hessian(rosenbrock)(f64([0.5] * 30)).numpy())
        found = optimize.minimize(
            f.value_and_grad, f.x0, jac=True, hess=f.hess, method="trust-constr", options={"gtol": 1e-9}
        )
        close(found.x, np.ones(30), 1e-6)
        r = Objective(lambda x: x[1:] * x[:-1], f64([0.5] * 30), sparse=True)
        assert r.jac(r.x0).nnz == 58


class TestMinimize:
    @pytest.mark.filterwarnings("ignore:invalid value encountered in multiply")  # SciPy's trust-krylov
    @pytest.mark.parametrize(
        "method",
        [None, "BFGS", "L-BFGS-B", "CG", "Newton-CG", "TNC", "SLSQP", "dogleg", "trust-ncg", "trust-krylov", "trust-exact",
         "trust-constr"],
    )  # fmt: skip
    def test_methods(self, method: str | None) -> None:
        start = f64(0.9, 0.8) if method == "dogleg" else f64(-1.2, 1.0)
        found = minimize(rosenbrock, start, method=method, tol=1e-9)
        assert isinstance(found.x, torch.Tensor)
        close(found.x, [1.0, 1.0], 1e-3)
        assert found.fun.item() < 1e-6
        assert (found.grad if method == "trust-constr" else found.jac).shape == (2,)

    @pytest.mark.parametrize("method", ["Nelder-Mead", "Powell"])
    def test_methods_without_gradient(self, method: str) -> None:
        close(minimize(rosenbrock, f64(-1.2, 1.0), method=method).x, [1.0, 1.0], 1e-2)

    def test_second_derivatives_are_used(self) -> None:
        by_gradient = minimize(rosenbrock, f64(-1.2, 1.0), method="BFGS")
        by_hessian = minimize(rosenbrock, f64(-1.2, 1.0))
        assert by_hessian.nhev > 0
        assert by_hessian.nfev < by_gradient.nfev

    def test_many_unknowns_by_products(self) -> None:
        n = 300
        found = minimize(rosenbrock, f64([0.5] * n), method="trust-krylov", tol=1e-8)
        close(found.x, np.ones(n), 1e-5)
        assert minimize(rosenbrock, f64([0.9] * n), tol=1e-12).nfev > 0

    def test_nests(self) -> None:
        f = lambda p: ((p["a"] - 2) ** 2).sum() + (p["b"][0] + 1) ** 2
        x = minimize(f, {"a": f64([[0.0, 0.0]]), "b": (f64(0.0),)}).x
        close(x["a"], [[2.0, 2.0]])
        close(x["b"][0], -1.0)

    def test_tracked_start_and_params_stay_out(self) -> None:
        x0, a = f64(-1.2, 1.0).requires_grad_(), f64(1.0).requires_grad_()
        found = minimize(rosenbrock, x0, a)
        assert not found.x.requires_grad


class TestDifferentiable:
    """The minimum of Rosenbrock's function with parameter a is at (a, a²)."""

    @staticmethod
    def minimum(a: Any, **options: Any) -> torch.Tensor:
        return minimize(rosenbrock, f64(0.0, 0.0), a, differentiable=True, **options).x

    def test_exact(self) -> None:
        close(self.minimum(f64(1.3)), [1.3, 1.69], 1e-12)

    def test_derivatives(self) -> None:
        a = f64(1.3)
        close(jacrev(self.minimum)(a), [1.0, 2.6])
        close(jacfwd(self.minimum)(a), [1.0, 2.6])
        close(jacfwd(jacrev(self.minimum))(a), [0.0, 2.0])
        close(grad(grad(lambda a: self.minimum(a)[1]))(a), 2.0)

    def test_backward_and_value(self) -> None:
        """The least value of (x - a)² + x²/2 is a²/3, with slope 2a/3."""
        a = f64(3.0).requires_grad_()
        found = minimize(lambda x, a: (x - a) ** 2 + x**2 / 2, f64(0.0), a, differentiable=True)
        close(found.x, 2.0)
        found.fun.backward()
        close(a.grad, 2.0)

    def test_bounds(self) -> None:
        """(x - a)² for x ≤ 1: x = min(a, 1), so the slope is 1 or 0; y is free."""
        f = lambda x, a: ((x - a) ** 2).sum()
        best = lambda a: minimize(f, f64(0.0, 0.0), a, bounds=[(None, 1.0), (None, None)], differentiable=True).x
        close(best(f64(2.0, 3.0)), [1.0, 3.0], 1e-6)
        close(jacrev(best)(f64(2.0, 3.0)), [[0.0, 0.0], [0.0, 1.0]])
        close(jacrev(best)(f64(0.5, 3.0)), [[1.0, 0.0], [0.0, 1.0]])

    def test_ridge_regression(self) -> None:
        """The weights that ridge regression finds, by its strength: closed form."""
        draw = np.random.default_rng(0)
        xs, ys = torch.tensor(draw.standard_normal((20, 3))), torch.tensor(draw.standard_normal(20))
        loss = lambda w, k: ((xs @ w - ys) ** 2).sum() + k * (w**2).sum()
        weights = lambda k: minimize(loss, torch.zeros(3, dtype=torch.float64), k, differentiable=True).x
        gram = xs.numpy().T @ xs.numpy()
        inverse = np.linalg.inv(gram + 0.7 * np.eye(3))
        w = inverse @ xs.numpy().T @ ys.numpy()
        close(weights(f64(0.7)), w)
        close(jacfwd(weights)(f64(0.7)), -inverse @ w)
        close(jacfwd(jacrev(weights))(f64(0.7)), 2 * inverse @ inverse @ w)
