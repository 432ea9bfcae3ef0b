"""torch.func's face: each transform against closed forms, and in every nesting."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest

import chainrule as torch
from chainrule.func import derivative, grad, grad_and_value, hessian, jacfwd, jacrev, jvp, taylor, vjp, vmap


def f64(*values: Any) -> torch.Tensor:
    return torch.tensor(values[0] if len(values) == 1 else list(values), dtype=torch.float64)


def close(a: Any, b: Any, tol: float = 1e-12) -> None:
    np.testing.assert_allclose(a.detach().numpy(), np.asarray(b), rtol=tol, atol=tol)


_rng = np.random.default_rng(0)


def randn(*shape: int) -> torch.Tensor:
    return torch.tensor(_rng.standard_normal(shape))


def cubes(x: torch.Tensor) -> torch.Tensor:
    return (x**3).sum()


class TestGrad:
    def test_gradient(self) -> None:
        close(grad(cubes)(f64(1.0, 2.0)), [3.0, 12.0])

    def test_nested(self) -> None:
        third = grad(grad(grad(lambda x: x**5)))
        close(third(f64(2.0)), 240.0)

    def test_argnums_and_value(self) -> None:
        def f(x: Any, y: Any) -> Any:
            return x * y * y

        gx, gy = grad(f, argnums=(0, 1))(f64(3.0), f64(2.0))
        close(gx, 4.0)
        close(gy, 12.0)
        g, value = grad_and_value(f, argnums=1)(f64(3.0), f64(2.0))
        close(g, 12.0)
        close(value, 12.0)
        assert not value.requires_grad

    def test_aux(self) -> None:
        g, aux = grad(lambda x: (cubes(x), x * 2), has_aux=True)(f64(1.0, 2.0))
        close(g, [3.0, 12.0])
        close(aux, [2.0, 4.0])
        assert not aux.requires_grad

    def test_trees(self) -> None:
        class Pair(NamedTuple):
            w: Any
            b: Any

        @dataclasses.dataclass
        class Box:
            pair: Pair
            rest: list[Any]

        def f(p: Any) -> Any:
            return (p["m"].pair.w * p["m"].pair.b).sum() + p["m"].rest[0] ** 2

        g = grad(f)({"m": Box(Pair(f64(1.0, 2.0), f64(3.0, 4.0)), [f64(5.0)])})
        assert isinstance(g["m"], Box)
        assert isinstance(g["m"].pair, Pair)
        close(g["m"].pair.w, [3.0, 4.0])
        close(g["m"].rest[0], 10.0)

    def test_tracked_from_outside(self) -> None:
        x = f64(2.0).requires_grad_()
        w = f64(3.0).requires_grad_()
        g = grad(lambda v: w * v**3)(x)
        g.backward()
        close(x.grad, 36.0)  # d/dx 3wx² = 6wx
        close(w.grad, 12.0)  # d/dw 3wx² = 3x²

    def test_untracked_outside_leaves_no_graph(self) -> None:
        assert not grad(cubes)(f64(1.0, 2.0)).requires_grad
        with torch.no_grad():
            close(grad(cubes)(f64(1.0, 2.0)), [3.0, 12.0])
            assert not torch.is_grad_enabled()

    def test_no_grad_inside_is_a_constant(self) -> None:
        def f(x: Any) -> Any:
            with torch.no_grad():
                c = x * x
            return x * c

        close(grad(f)(f64(3.0)), 9.0)

    def test_detached_is_a_constant_of_every_transform(self) -> None:
        f, x, one = lambda x: x.detach() * x * x, f64(3.0), f64(1.0)  # c x²: slope 2 c x, then 2 c
        close(jvp(f, (x,), (one,))[1], 18.0)
        close(vmap(f)(f64(1.0, 2.0)), [1.0, 8.0])
        for second in (grad(grad(f)), jacfwd(grad(f)), grad(jacfwd(f)), jacfwd(jacfwd(f)), derivative(f, 2)):
            close(second(x), 6.0)

    def test_what_an_inner_gradient_was_taken_of_is_not_outside(self) -> None:
        """∂/∂k of ∂/∂w (k w³) is 3w²: no graph leads out of it, and its own slope in w is 6w."""
        f = lambda w, k: grad(lambda w: k * w**3)(w)
        g = lambda w: grad(lambda k: f(w, k))(f64(0.7))
        assert not g(f64(2.0)).requires_grad
        close(jvp(g, (f64(2.0),), (f64(1.0),))[1], 12.0)
        close(grad(g)(f64(2.0)), 12.0)

    def test_unused_argument_is_zero(self) -> None:
        close(grad(lambda x, y: y.sum(), argnums=0)(f64(1.0, 2.0), f64(3.0)), [0.0, 0.0])

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: grad(lambda x: x)(torch.ones(2)), "Expected f\\(\\*args\\) to return a scalar Tensor"),
            (lambda: grad(lambda x: 3.0)(torch.ones(())), "Expected f\\(\\*args\\) to return a Tensor"),
            (lambda: grad(cubes, argnums=2)(torch.ones(2)), "Got argnum=2, but only 1 positional inputs"),
            (lambda: grad(cubes)(torch.ones(2, dtype=torch.int64)), "floating point dtype can require"),
        ],
    )
    def test_errors(self, call: Any, message: str) -> None:
        with pytest.raises(RuntimeError, match=message):
            call()

    def test_closure_in_place_is_differentiated(self) -> None:
        def f(x: Any) -> Any:
            out = torch.zeros_like(x.expand(2))
            out[0] = x * 2
            out[1] = x * x
            return out.prod()

        close(grad(f)(f64(3.0)), 54.0)
        close(jacfwd(f)(f64(3.0)), 54.0)
        close(vmap(f)(f64(1.0, 3.0)), [2.0, 54.0])
        close(vmap(grad(f))(f64(1.0, 3.0)), [6.0, 54.0])


class TestVjpJvp:
    def test_vjp(self) -> None:
        out, pull = vjp(lambda x, y: (x * y, x.sin()), f64(1.0, 2.0), f64(3.0, 4.0))
        close(out[0], [3.0, 8.0])
        gx, gy = pull((f64(1.0, 0.0), f64(0.0, 1.0)))
        close(gx, [3.0, np.cos(2.0)])
        close(gy, [1.0, 0.0])
        assert not gx.requires_grad

    def test_jvp(self) -> None:
        out, t = jvp(lambda x, y: x * y.exp(), (f64(2.0), f64(0.5)), (f64(1.0), f64(3.0)))
        close(out, 2 * np.exp(0.5))
        close(t, np.exp(0.5) + 6 * np.exp(0.5))

    def test_tracked_cotangents(self) -> None:
        _, pull = vjp(lambda x: x**2, f64(1.0, 2.0))
        c = f64(3.0, 4.0).requires_grad_()
        pull(c)[0].sum().backward()
        close(c.grad, [2.0, 4.0])

    def test_jvp_of_a_constant_is_zero(self) -> None:
        _, t = jvp(lambda x: torch.ones(3), (f64(2.0),), (f64(1.0),))
        close(t, [0.0, 0.0, 0.0])

    def test_forward_and_reverse_agree(self) -> None:
        def f(x: Any) -> Any:
            return torch.softmax(x @ x.t(), -1).log()

        x, t, u = (randn(3, 3) for _ in range(3))
        _, push = jvp(f, (x,), (t,))
        _, pull = vjp(f, x)
        close((u * push).sum(), (pull(u)[0] * t).sum().item())

    def test_nested_forward(self) -> None:
        def second(x: Any) -> Any:
            one = torch.ones((), dtype=torch.float64)
            return jvp(lambda v: jvp(lambda w: w**4, (v,), (one,))[1], (x,), (one,))[1]

        close(second(f64(2.0)), 48.0)

    def test_no_confusion_of_perturbations(self) -> None:
        one = f64(1.0)
        inner = lambda x: x * jvp(lambda y: x + y, (one,), (one,))[1]
        close(jvp(inner, (f64(2.0),), (one,))[1], 1.0)
        close(grad(lambda x: x * grad(lambda y: x + y)(one))(f64(2.0)), 1.0)
        close(grad(lambda x: x * jvp(lambda y: x + y, (one,), (one,))[1])(f64(2.0)), 1.0)
        close(jvp(lambda x: x * grad(lambda y: x + y)(one), (f64(2.0),), (one,))[1], 1.0)


class TestJacobians:
    def f(self, x: Any) -> Any:
        return torch.stack([x[0] * x[1], x[1] ** 2, x[0].sin()])

    @pytest.mark.parametrize("jacobian", [jacrev, jacfwd])
    def test_matrix(self, jacobian: Any) -> None:
        close(jacobian(self.f)(f64(2.0, 3.0)), [[3.0, 2.0], [0.0, 6.0], [np.cos(2.0), 0.0]])

    @pytest.mark.parametrize("chunk", [1, 2, 100])
    def test_chunks(self, chunk: int) -> None:
        close(jacrev(self.f, chunk_size=chunk)(f64(2.0, 3.0)), jacrev(self.f)(f64(2.0, 3.0)).numpy())
        close(jacfwd(self.f, chunk_size=chunk)(f64(2.0, 3.0)), jacrev(self.f)(f64(2.0, 3.0)).numpy())

    @pytest.mark.parametrize("jacobian", [jacrev, jacfwd])
    def test_several_inputs_and_outputs(self, jacobian: Any) -> None:
        def f(x: Any, y: Any) -> Any:
            return {"a": x * y.sum(), "b": (x.sum() * y, x)}

        j = jacobian(f, argnums=(0, 1))(f64(1.0, 2.0), f64(3.0, 4.0, 5.0))
        close(j["a"][0], 12 * np.eye(2))
        close(j["a"][1], np.outer([1.0, 2.0], np.ones(3)))
        close(j["b"][0][1], 3 * np.eye(3))
        close(j["b"][1][1], np.zeros((2, 3)))

    def test_hessian_every_way(self) -> None:
        def f(x: Any) -> Any:
            return (x.sin() * x.flip(0) ** 2).sum() + x.prod()

        x = f64(0.3, -0.7, 1.1)
        expected = hessian(f)(x).numpy()
        for outer, inner in itertools.product([jacrev, jacfwd], [jacrev, jacfwd]):
            close(outer(inner(f))(x), expected)
        eps = 1e-6
        for i in range(3):
            e = torch.zeros(3, dtype=torch.float64)
            e[i] = eps
            close((grad(f)(x + e) - grad(f)(x - e)) / (2 * eps), expected[i], 1e-7)

    def test_matrix_argument(self) -> None:
        w = randn(2, 3)
        assert jacrev(lambda m: m @ m.t())(w).shape == (2, 2, 2, 3)
        close(jacfwd(lambda m: m @ m.t())(w), jacrev(lambda m: m @ m.t())(w).numpy())


class TestVmap:
    def test_dims(self) -> None:
        x, y = randn(4, 3), randn(3, 4)
        close(vmap(torch.dot, in_dims=(0, 1))(x, y), np.einsum("ij,ji->i", x.numpy(), y.numpy()))
        close(vmap(lambda a: a * 2, in_dims=1, out_dims=1)(x), 2 * x.numpy())
        close(vmap(lambda a, b: a + b, in_dims=(0, None))(x, y[:, 0]), x.numpy() + y.numpy()[:, 0])
        close(vmap(lambda a: a.sum(), in_dims=-1)(x), x.numpy().sum(0))

    def test_nested(self) -> None:
        x, y = randn(2, 5), randn(3, 5)
        outer = vmap(vmap(torch.dot, in_dims=(None, 0)), in_dims=(0, None))(x, y)
        close(outer, x.numpy() @ y.numpy().T)

    def test_per_sample_gradients(self) -> None:
        w = randn(3)
        x, y = randn(5, 3), randn(5)
        loss = lambda w, a, b: (torch.dot(w, a) - b) ** 2
        got = vmap(grad(loss), in_dims=(None, 0, 0))(w, x, y)
        close(got, 2 * (x.numpy() @ w.numpy() - y.numpy())[:, None] * x.numpy())

    def test_gradient_through(self) -> None:
        x = randn(4, 3).requires_grad_()
        vmap(lambda a: (a**3).sum())(x).sum().backward()
        close(x.grad, 3 * x.detach().numpy() ** 2)

    def test_unmapped_output(self) -> None:
        assert vmap(lambda a: torch.ones(2))(torch.ones(3)).shape == (3, 2)

    def test_chunks(self) -> None:
        x = randn(7, 2)
        close(vmap(lambda a: a.exp(), chunk_size=3)(x), np.exp(x.numpy()))

    def test_dict_arguments(self) -> None:
        out = vmap(lambda d: {"s": d["x"].sum()})({"x": torch.ones(3, 2)})
        close(out["s"], [2.0, 2.0, 2.0])

    @pytest.mark.parametrize(
        ("call", "error", "message"),
        [
            (lambda: vmap(torch.sin)(torch.tensor(1.0)), ValueError, "dimensionality 0"),
            (lambda: vmap(torch.add)(torch.ones(2), torch.ones(3)), ValueError, "same size in the mapped dimension"),
            (lambda: vmap(lambda x: x if x > 0 else -x)(torch.ones(2)), RuntimeError, "control flow"),
            (lambda: vmap(lambda x: x.item())(torch.ones(2)), RuntimeError, "calling .item"),
            (lambda: vmap(torch.sin, chunk_size=0)(torch.ones(2)), ValueError, "chunk_size should be None or greater"),
        ],
    )
    def test_errors(self, call: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            call()


class TestTaylor:
    def test_series(self) -> None:
        n = 12
        got = taylor(torch.exp, f64(0.0), n)
        close(got, [1 / float(np.prod(np.arange(1.0, k + 1))) for k in range(n + 1)])

    def test_against_nested_gradients(self) -> None:
        def f(x: Any) -> Any:
            return torch.tanh(x * x.sin()) / (1 + x.exp())

        g = f
        for k in range(5):
            close(derivative(f, k)(f64(0.7)), g(f64(0.7)).item(), 1e-9)
            g = grad(g)

    def test_order_forty(self) -> None:
        close(derivative(torch.sin, 40)(f64(0.0)), 0.0)
        close(derivative(torch.sin, 41)(f64(0.0)), 1.0)

    def test_elementwise_and_direction(self) -> None:
        close(derivative(lambda x: x**3, 2)(f64(1.0, 2.0)), [6.0, 12.0])
        got = taylor(lambda x: x.prod(), f64(2.0, 3.0), 2, direction=f64(1.0, -1.0))
        close(got, [6.0, 1.0, -1.0])  # (2 + t)(3 - t)

    def test_differentiable_in_turn(self) -> None:
        close(grad(lambda x: derivative(torch.exp, 3)(x * 2))(f64(0.0)), 2.0)
        close(vmap(derivative(torch.sin, 2))(f64(0.0, 1.0)), [0.0, -np.sin(1.0)])

    def test_negative_order(self) -> None:
        with pytest.raises(ValueError, match="order must not be negative"):
            taylor(torch.exp, f64(0.0), -1)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_numbers_in_a_batch_are_not_its_axis(name: str) -> None:
    x = torch.tensor([1000.0, 2.0], dtype=torch.float64)
    f = getattr(torch, name)
    assert torch.equal(torch.vmap(lambda x: f(x, 0))(x), torch.stack([f(v, 0) for v in x]))
    slopes = torch.vmap(torch.func.grad(lambda x: f(x, 0)))(x)
    assert torch.equal(slopes, torch.stack([torch.func.grad(lambda v: f(v, 0))(v) for v in x]))


def test_layers_of_vectors_in_a_batch() -> None:
    x, w, b = torch.ones(2, 3), torch.arange(24.0).reshape(2, 4, 3), torch.ones(2, 4)
    wanted = torch.stack([w[i] @ x[i] + b[i] for i in range(2)])
    assert torch.equal(torch.vmap(torch.nn.functional.linear)(x, w, b), wanted)
