"""Roots, fixed points and linear systems: their derivatives against closed forms, in every mode and nesting."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule import autograd
from chainrule.func import (
    custom_root,
    derivative,
    equation,
    fixed_point,
    grad,
    hessian,
    implicit,
    jacfwd,
    jacrev,
    jvp,
    linear_solve,
    newton,
    vmap,
)


def f64(*values: Any) -> torch.Tensor:
    return torch.tensor(values[0] if len(values) == 1 else list(values), dtype=torch.float64)


def close(a: Any, b: Any, tol: float = 1e-10) -> None:
    np.testing.assert_allclose(a.detach().numpy(), np.asarray(b), rtol=tol, atol=tol)


def cube_root(a: torch.Tensor) -> torch.Tensor:
    return custom_root(lambda x, a: x**3 - a, torch.ones_like(a), a)


class TestCustomRoot:
    """x³ = a: every derivative of the cube root is known."""

    def test_value_and_derivatives(self) -> None:
        a, f = f64(2.0), cube_root
        for k in range(4):
            wanted = math.prod(1 / 3 - i for i in range(k)) * 2 ** (1 / 3 - k)
            close(f(a), wanted)
            f = grad(f)

    def test_forward_over_reverse_over_forward(self) -> None:
        one = f64(1.0)
        d = lambda f: lambda a: jvp(f, (a,), (one,))[1]
        wanted = (1 / 3) * (-2 / 3) * (-5 / 3) * 2 ** (-8 / 3)
        close(d(grad(d(cube_root)))(f64(2.0)), wanted)
        close(grad(d(grad(cube_root)))(f64(2.0)), wanted)

    def test_backward_twice(self) -> None:
        a = f64(2.0).requires_grad_()
        (g,) = autograd.grad(cube_root(a), a, create_graph=True)
        g.backward()
        close(a.grad, -2 / 9 * 2 ** (-5 / 3))

    def test_taylor(self) -> None:
        close(derivative(cube_root, 3)(f64(2.0)), 10 / 27 * 2 ** (-8 / 3))

    def test_batches(self) -> None:
        a = f64(1.0, 2.0, 5.0)
        close(vmap(cube_root)(a), a.numpy() ** (1 / 3))
        close(vmap(grad(cube_root))(a), a.numpy() ** (-2 / 3) / 3)
        close(jacrev(vmap(cube_root))(a), np.diag(a.numpy() ** (-2 / 3) / 3))
        close(jacfwd(cube_root)(a), np.diag(a.numpy() ** (-2 / 3) / 3))

    def test_nests(self) -> None:
        """x y = a, x + y = b."""

        def f(z: Any, p: Any) -> Any:
            return {"x": z["x"] * z["y"][0] - p[0], "y": (z["x"] + z["y"][0] - p[1],)}

        def solution(a: Any, b: Any) -> Any:
            return custom_root(f, {"x": f64(3.0), "y": (f64(1.0),)}, (a, b))

        a, b = f64(2.0), f64(4.0)
        root = math.sqrt(2.0)
        close(solution(a, b)["x"], 2 + root)
        close(solution(a, b)["y"][0], 2 - root)
        ga, gb = grad(lambda a, b: solution(a, b)["x"], (0, 1))(a, b)  # x = (b + sqrt(b² - 4a)) / 2
        close(ga, -1 / math.sqrt(8))
        close(gb, 0.5 + 2 / math.sqrt(8))
        second = hessian(lambda t: solution(t[0], t[1])["x"])(f64(2.0, 4.0))
        close(second, [[-2 * 8**-1.5, 4 * 8**-1.5], [4 * 8**-1.5, -4 * 8**-1.5]])

    def test_any_solver(self) -> None:
        seen: list[Any] = []

        def bisection(residual: Any, x0: Any) -> Any:
            low, high = x0 * 0, x0 * 0 + 10
            for _ in range(60):
                middle = (low + high) / 2
                low, high = (middle, high) if residual(middle) < 0 else (low, middle)
            seen.append(middle)
            return middle

        a = f64(5.0).requires_grad_()
        x = custom_root(lambda x, a: x**3 - a, f64(1.0), a, solver=bisection)
        x.backward()
        close(x, 5 ** (1 / 3))
        close(a.grad, 5 ** (-2 / 3) / 3)
        assert len(seen) == 1

    @pytest.mark.parametrize("linear", ["dense", "gmres", "bicgstab"])
    def test_ways_to_solve_the_systems(self, linear: str) -> None:
        if linear != "dense":
            pytest.importorskip("scipy")
        n = 12 if linear == "dense" else 4
        w = torch.tensor(np.random.default_rng(0).standard_normal((n, n)) / 8)
        c = torch.tensor(np.random.default_rng(1).standard_normal(n))
        f = lambda x, c: x + (w @ x).tanh() - c
        solution = lambda c: custom_root(f, torch.zeros(n, dtype=torch.float64), c, linear=linear)
        x = solution(c).numpy()
        matrix = np.linalg.inv(np.eye(n) + (1 - np.tanh(w.numpy() @ x) ** 2)[:, None] * w.numpy())
        close(jacrev(solution)(c), matrix, 1e-9)
        close(jacfwd(solution)(c), matrix, 1e-9)
        g = lambda c: (solution(c) ** 3).sum()
        close(hessian(g)(c)[0], jacrev(grad(g))(c)[0].numpy(), 1e-8)

    def test_one_matrix_serves_all_right_sides(self) -> None:
        """A Jacobian by reverse mode solves one system with many right sides."""
        calls = []

        def counted(map_: Any, b: Any) -> Any:
            calls.append(b.shape)
            return equation.dense(map_, b)

        original = implicit._linear
        implicit._linear = lambda chosen: counted
        try:
            n = 5
            solution = lambda c: custom_root(lambda x, c: x**3 + x.flip(0) - c, torch.ones(n, dtype=torch.float64), c)
            jacrev(solution)(f64(1.0, 2.0, 3.0, 2.0, 1.0))
        finally:
            implicit._linear = original
        assert calls == [(n, n)]

    def test_complex(self) -> None:
        z = torch.tensor(1.0 + 2.0j, dtype=torch.complex128)
        x = custom_root(lambda x, z: x * x - z, torch.ones_like(z), z)
        close(x, np.sqrt(1 + 2j))
        tangent = jvp(
            lambda z: custom_root(lambda x, z: x * x - z, torch.ones_like(z), z), (z,), (torch.ones_like(z),)
        )[1]
        close(tangent, 0.5 / np.sqrt(1 + 2j))

    def test_params_of_every_kind(self) -> None:
        """Whole numbers and None stay as they are; float32 and float64 side by side keep their dtypes."""
        f = lambda x, p, k, none: x**k - p["a"] * p["b"].double()
        p = {"a": f64(2.0).requires_grad_(), "b": torch.tensor(4.0, requires_grad=True), "n": torch.tensor(3)}
        x = custom_root(f, f64(1.5), p, 3, None)
        x.backward()
        close(x, 2.0)
        close(p["a"].grad, 4 / 12)
        close(p["b"].grad, 2 / 12, 1e-6)
        assert p["b"].grad.dtype == torch.float32

    def test_float32(self) -> None:
        assert cube_root(torch.tensor(2.0)).dtype == torch.float32

    @pytest.mark.parametrize(
        ("call", "error", "message"),
        [
            (lambda: custom_root(lambda x, a: x[:1] - a, f64(1.0, 2.0), f64(1.0)), RuntimeError, "as many numbers as x has"),
            (lambda: custom_root(lambda x: x * x + 1, f64(1.0)), RuntimeError, "no solution within 50 steps"),
            (lambda: custom_root(lambda x: x, torch.tensor(1)), TypeError, "floating point"),
            (lambda: custom_root(lambda x: x, f64(1.0), linear="qr"), ValueError, "linear must be"),
            (lambda: fixed_point(lambda x: 2 * x + 1, f64(1.0)), RuntimeError, "no solution"),
        ],
    )  # fmt: skip
    def test_errors(self, call: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            call()

    def test_what_is_not_passed_is_an_error(self) -> None:
        w = f64(2.0).requires_grad_()
        with pytest.raises(RuntimeError, match="not among the params"):
            custom_root(lambda x: x**3 - w, f64(1.0))
        with pytest.raises(RuntimeError, match="not among the params"):
            jvp(lambda a: custom_root(lambda x: x**3 - a, f64(1.0)), (f64(2.0),), (f64(1.0),))
        with pytest.raises(RuntimeError, match="not among the params"):
            linear_solve(lambda x: w * x, f64(1.0))
        close(custom_root(lambda x: x**3 - w.detach(), f64(1.0)), 2 ** (1 / 3))


class TestNewton:
    def test_systems(self) -> None:
        x = newton(lambda x: torch.stack([x[0] ** 2 + x[1] ** 2 - 5, x[0] * x[1] - 2]), f64(3.0, 0.5))
        close(x, [2.0, 1.0], 1e-14)

    def test_far_away(self) -> None:
        """Full steps would run away: atan, from 20."""
        close(newton(torch.atan, f64(20.0)), 0.0, 1e-14)

    def test_a_start_that_is_the_root(self) -> None:
        close(newton(lambda x: x**2 - 4, f64(2.0)), 2.0)

    def test_a_singular_start(self) -> None:
        """Both equations have no slope at the start: the shortest step is none, and that is said."""
        with pytest.raises(RuntimeError, match="newton: no solution"):
            newton(lambda x: x**2 + 1, f64(0.0))


class TestFixedPoint:
    def test_cosine(self) -> None:
        f = lambda a: fixed_point(lambda x, a: (a * x).cos(), f64(0.5), a)
        x = 0.7390851332151607
        close(f(f64(1.0)), x, 1e-14)
        first = -x * math.sin(x) / (1 + math.sin(x))
        close(grad(f)(f64(1.0)), first)
        h = 1e-4
        slopes = [grad(f)(f64(1.0 + s * h)).item() for s in (1, -1)]
        close(grad(grad(f))(f64(1.0)), (slopes[0] - slopes[1]) / (2 * h), 1e-7)

    def test_equilibrium_layer(self) -> None:
        """x = tanh(W x + b): gradients as through many unrolled steps."""
        draw = np.random.default_rng(0)
        w, b = torch.tensor(draw.standard_normal((4, 4)) / 6), torch.tensor(draw.standard_normal(4))
        g = lambda x, w, b: (w @ x + b).tanh()

        def unrolled(w: Any, b: Any) -> Any:
            x = torch.zeros(4, dtype=torch.float64)
            for _ in range(80):
                x = g(x, w, b)
            return (x**2).sum()

        implicit = lambda w, b: (fixed_point(g, torch.zeros(4, dtype=torch.float64), w, b) ** 2).sum()
        for f, h in zip(grad(implicit, (0, 1))(w, b), grad(unrolled, (0, 1))(w, b), strict=True):
            close(f, h.numpy())
        close(jacfwd(grad(implicit, 1), 1)(w, b), jacfwd(grad(unrolled, 1), 1)(w, b).numpy())

    def test_by_newton(self) -> None:
        x = fixed_point(lambda x: 3 * x - 2, f64(5.0), solver=newton)  # repelling
        close(x, 1.0)


class TestLinearSolve:
    a = f64([[2.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.5, 0.0, 1.5]])
    b = f64(1.0, 2.0, 3.0)

    def test_matrix(self) -> None:
        inverse = np.linalg.inv(self.a.numpy())
        x = linear_solve(self.a, self.b)
        close(x, inverse @ self.b.numpy())
        close(jacrev(linear_solve, 1)(self.a, self.b), inverse)
        close(jacfwd(linear_solve, 1)(self.a, self.b), inverse)
        close(jacrev(linear_solve)(self.a, self.b), -np.einsum("ij,k->ijk", inverse, x.numpy()))

    def test_second_derivatives(self) -> None:
        """d²x along A' is 2 A⁻¹ A' A⁻¹ A' x."""
        v = torch.tensor(np.random.default_rng(0).standard_normal((3, 3)))
        along = lambda t: linear_solve(self.a + t * v, self.b)
        inverse = np.linalg.inv(self.a.numpy())
        wanted = 2 * np.linalg.matrix_power(inverse @ v.numpy(), 2) @ inverse @ self.b.numpy()
        zero = f64(0.0)
        close(jacfwd(jacfwd(along))(zero), wanted)
        close(jacrev(jacrev(along))(zero), wanted)
        close(derivative(along, 2)(zero), wanted)

    @pytest.mark.parametrize("solver", ["dense", "gmres", "cg"])
    def test_products_only(self, solver: str) -> None:
        if solver != "dense":
            pytest.importorskip("scipy")

        def laplacian(x: Any, k: Any) -> Any:
            z = torch.zeros(1, dtype=torch.float64)
            return k * (2 * x - torch.cat([z, x[:-1]]) - torch.cat([x[1:], z])) + x

        b, k = torch.tensor(np.linspace(-1, 1, 9)), f64(3.0)
        f = lambda b, k: linear_solve(laplacian, b, k, solver=solver)
        matrix = 3 * (2 * np.eye(9) - np.eye(9, k=1) - np.eye(9, k=-1)) + np.eye(9)
        x = np.linalg.solve(matrix, b.numpy())
        close(f(b, k), x)
        close(jacrev(f)(b, k), np.linalg.inv(matrix))
        close(jacfwd(f, 1)(b, k), -np.linalg.solve(matrix, (matrix - np.eye(9)) / 3 @ x))

    def test_a_solver_of_ones_own(self) -> None:
        def jacobi(map_: Any, b: Any) -> Any:
            x = b * 0
            for _ in range(200):
                x = x + (b - map_(x)) / 4
            return x

        x = linear_solve(self.a, self.b, solver=jacobi)
        close(x, np.linalg.solve(self.a.numpy(), self.b.numpy()))
        close(
            grad(lambda b: linear_solve(self.a, b, solver=jacobi).sum())(self.b), np.linalg.inv(self.a.numpy()).sum(0)
        )

    def test_batches(self) -> None:
        a = torch.stack([self.a, self.a + 1])
        b = torch.stack([self.b, 2 * self.b])
        close(vmap(linear_solve)(a, b)[1], np.linalg.solve(a.numpy()[1], b.numpy()[1]))
        close(vmap(linear_solve, (None, 0))(self.a, b), np.linalg.solve(self.a.numpy(), b.numpy().T).T)
        close(vmap(grad(lambda b: linear_solve(self.a, b).sum()))(b)[0], np.linalg.inv(self.a.numpy()).sum(0))

    def test_singular(self) -> None:
        with pytest.raises(RuntimeError, match="singular"):
            linear_solve(f64([[1.0, 2.0], [2.0, 4.0]]), f64(1.0, 1.0))

    def test_complex(self) -> None:
        a = torch.tensor([[2.0 + 1j, 1.0], [0.5j, 1.0 - 1j]], dtype=torch.complex128)
        b = torch.tensor([1.0, 1j], dtype=torch.complex128).requires_grad_()
        x = linear_solve(a, b)
        close(x, np.linalg.solve(a.numpy(), b.detach().numpy()))
        x.real.sum().backward()
        close(b.grad, np.linalg.inv(a.numpy()).conj().T @ np.ones(2))
