"""Dual tensors in sweeps back, in hooks and checkpoints, and in transforms of their own level."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T, Table
from chainrule import func
from chainrule.autograd import forward_ad as fwAD
from duals import D, both, dual, vec

__all__ = ["T"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch's about its own parts
gives = Table()


def cubes(T: Any, graph: bool = False) -> Any:
    """x, and the sum of the cubes of a dual over it, of which the gradient is 3x² and its tangent 6xt."""
    x = vec(T, 1.0, 2.0, requires_grad=True)
    return x, (dual(T, x, (1.0, 0.5)) ** 3).sum()


@gives([3.0, 12.0], [6.0, 6.0])
def forward_over_reverse(T: Any) -> Any:
    x, y = cubes(T)
    return both(T, *T.autograd.grad(y, x))


@gives([6.0, 6.0])
def reverse_over_forward(T: Any) -> Any:
    x, y = cubes(T)
    return T.autograd.grad(D(T).unpack_dual(y).tangent, x)[0]


@gives([6.0, 3.0])
def a_third_derivative(T: Any) -> Any:
    x, y = cubes(T)
    (g,) = T.autograd.grad(y, x, create_graph=True)
    return T.autograd.grad(D(T).unpack_dual(g).tangent.sum(), x)[0]


@gives([np.exp(1.0), np.exp(2.0)])
def a_third_derivative_through_a_saved_output(T: Any) -> Any:
    x = vec(T, 1.0, 2.0, requires_grad=True)
    (g,) = T.autograd.grad(dual(T, x, (1.0, 1.0)).exp().sum(), x, create_graph=True)
    return T.autograd.grad(D(T).unpack_dual(g).tangent.sum(), x)[0]


@gives([3.0, 12.0])
def with_respect_to_the_tangent(T: Any) -> Any:
    t = vec(T, 1.0, 1.0, requires_grad=True)
    y = (dual(T, (1.0, 2.0), t) ** 3).sum()
    return T.autograd.grad(D(T).unpack_dual(y).tangent, t)[0]


@gives([3.0, 12.0], None, [3.0, 12.0], [6.0, 6.0])
def a_leafs_grad_has_a_tangent_only_in_a_graph(T: Any) -> Any:
    found: tuple[Any, ...] = ()
    for graph in (False, True):
        x, y = cubes(T)
        y.backward(create_graph=graph)
        found += both(T, x.grad)
    return found


@gives([3.0, 12.0], [6.0, 6.0])
def hooks_see_tangents(T: Any) -> Any:
    x = vec(T, 1.0, 2.0, requires_grad=True)
    d, seen = dual(T, x, (1.0, 0.5)), []
    d.register_hook(seen.append)
    (d**3).sum().backward()
    return both(T, *seen)


@gives([3.0, 12.0], [6.0, 6.0])
def retained(T: Any) -> Any:
    d = dual(T, vec(T, 1.0, 2.0, requires_grad=True), (1.0, 0.5))
    d.retain_grad()
    (d**3).sum().backward()
    return both(T, d.grad)


@gives([3.0, 12.0], [6.0, 6.0])
def a_dual_that_is_a_leaf(T: Any) -> Any:
    d = dual(T, (1.0, 2.0), (1.0, 0.5)).requires_grad_()
    return both(T, *T.autograd.grad((d**3).sum(), d))


@gives([3.0, 12.0], [6.0, 6.0])
def from_the_unpacked_value(T: Any) -> Any:
    x, y = cubes(T)
    return both(T, *T.autograd.grad(D(T).unpack_dual(y).primal, x))


@gives([2.0, 4.0], [6.0, 16.0])
def a_dual_cotangent(T: Any) -> Any:
    x = vec(T, 1.0, 2.0, requires_grad=True)
    return both(T, *T.autograd.grad(x**2, x, dual(T, (1.0, 1.0))))


@gives([[3.0, 0.0], [0.0, 12.0]], [[6.0, 0.0], [0.0, 6.0]])
def batched_cotangents(T: Any) -> Any:
    x = vec(T, 1.0, 2.0, requires_grad=True)
    y = dual(T, x, (1.0, 0.5)) ** 3
    return both(T, *T.autograd.grad(y, x, T.eye(2, dtype=T.float64), is_grads_batched=True))


@gives([3.0, 12.0], [6.0, 6.0])
def through_func_grad(T: Any) -> Any:
    return both(T, T.func.grad(lambda x: (x**3).sum())(dual(T, (1.0, 2.0), (1.0, 0.5))))


@gives(9.0, 9.0)
def the_value_beside_the_gradient(T: Any) -> Any:
    return both(T, T.func.grad_and_value(lambda x: (x**3).sum())(dual(T, (1.0, 2.0), (1.0, 0.5)))[1])


@gives([6.0, 12.0])
def inside_func_grad(T: Any) -> Any:
    def slope(x: Any) -> Any:
        with D(T).dual_level():
            return D(T).unpack_dual((dual(T, x, (1.0, 1.0)) ** 3).sum()).tangent

    return T.func.grad(slope)(vec(T, 1.0, 2.0))


@gives([1.0, 4.0], [2.0, 4.0])
def through_vmap(T: Any) -> Any:
    return both(T, T.func.vmap(lambda x: x * x)(dual(T, (1.0, 2.0), (1.0, 1.0))))


@pytest.mark.parametrize("operation", ["__pow__", "exp"])
def test_saved_values_in_the_hands_of_hooks(operation: str, T: Any) -> None:
    """A saved value is handed out without its tangent, and has it again when it comes back."""
    with D(T).dual_level():
        x = vec(T, 1.0, 2.0, requires_grad=True)
        with T.autograd.graph.saved_tensors_hooks(lambda t: t.detach().clone(), lambda t: t):
            d = dual(T, x, (1.0, 0.5))
            y = (d**3 if operation == "__pow__" else d.exp()).sum()
        tangent = D(T).unpack_dual(T.autograd.grad(y, x)[0]).tangent
        np.testing.assert_allclose(tangent.numpy(), [6.0, 6.0] if operation == "__pow__" else np.exp([1, 2]) * [1, 0.5])


@gives(9.0, 9.0, [3.0, 12.0], [6.0, 6.0])
def through_a_checkpoint(T: Any) -> Any:
    checkpoint = importlib.import_module(f"{T.__name__}.utils.checkpoint").checkpoint
    x = vec(T, 1.0, 2.0, requires_grad=True)
    y = checkpoint(lambda d: (d**3).sum(), dual(T, x, (1.0, 0.5)), use_reentrant=False)
    return both(T, y, *T.autograd.grad(y, x))


@gives([1.0, 4.0], [2.0, 2.0], [2.0, 4.0], [2.0, 1.0])
def through_a_function_of_ones_own(T: Any) -> Any:
    class Square(T.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            ctx.save_for_forward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * ctx.saved_tensors[0] * g

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return 2 * ctx.saved_tensors[0] * t

    x = vec(T, 1.0, 2.0, requires_grad=True)
    y = Square.apply(dual(T, x, (1.0, 0.5)))
    return both(T, y, *T.autograd.grad(y.sum(), x))


@gives([3.0, 12.0], [6.0, 6.0])
def in_anomaly_mode(T: Any) -> Any:
    x, y = cubes(T)
    with T.autograd.detect_anomaly(check_nan=False):
        return both(T, *T.autograd.grad(y, x))


@gives([2.0, 4.0], [3.0, 4.0], 2.0, 3.0, [1.0, 1.0], None)
def inference_mode_leaves_tangents_alone(T: Any) -> Any:
    d = dual(T)
    with T.inference_mode():
        d.mul_(2)
        made = dual(T, (1.0, 1.0))
        first = d[0]
    return both(T, d, first, made)


@pytest.mark.parametrize("name", gives)
def test_gives(name: str, T: Any) -> None:
    if name == "inside_func_grad":
        return gives.gives(name, T)
    with D(T).dual_level():
        gives.gives(name, T)


# --- only here ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [func.jvp, func.hessian, func.jacfwd])
def test_func_nests_inside_a_level(transform: Any) -> None:
    """The tangent of a Hessian is a third derivative: 6t on the diagonal for a sum of cubes."""
    with fwAD.dual_level():
        d = dual(torch, (1.0, 2.0), (1.0, 0.5))
        if transform is func.jvp:
            found = func.jvp(lambda x: x**3, (d,), (vec(torch, 1.0, 1.0),))[1]
            expected = [3.0, 12.0], [6.0, 6.0]
        elif transform is func.jacfwd:
            found, expected = func.jacfwd(lambda x: x**3)(d), (np.diag([3.0, 12.0]), np.diag([6.0, 6.0]))
        else:
            found, expected = func.hessian(lambda x: (x**3).sum())(d), (np.diag([6.0, 12.0]), np.diag([6.0, 3.0]))
        for part, right in zip(fwAD.unpack_dual(found), expected, strict=True):
            np.testing.assert_allclose(part.numpy(), right)


@pytest.mark.parametrize("around", [False, True])
def test_vmap_over_tangents(around: bool) -> None:
    """The level may be entered inside what is mapped, or around it."""
    x = vec(torch, 1.0, 2.0)

    def column(t: torch.Tensor) -> torch.Tensor:
        def pushed() -> torch.Tensor:
            d = fwAD.make_dual(x, t)
            return fwAD.unpack_dual(d**3 * d.sum()).tangent

        return pushed() if around else fwAD.dual_level()(pushed)()

    mapped = func.vmap(column, out_dims=1)
    found = (
        fwAD.dual_level()(mapped)(torch.eye(2, dtype=torch.float64))
        if around
        else mapped(torch.eye(2, dtype=torch.float64))
    )
    np.testing.assert_allclose(found.numpy(), func.jacrev(lambda x: x**3 * x.sum())(x).numpy())


def test_in_a_series_and_in_a_trace() -> None:
    with fwAD.dual_level():
        d = fwAD.make_dual(torch.tensor(2.0), torch.tensor(1.0))
        second = func.taylor(lambda x: x**3, d, 2)[2]
        assert fwAD.unpack_dual(second).tangent == 3.0  # 3x, differentiated
        compiled = torch.compile(lambda x: (x * x).sin())
        plain = compiled(torch.tensor([0.5]))
        y = compiled(fwAD.make_dual(torch.tensor([0.5]), torch.tensor([1.0])))
        assert y.item() == pytest.approx(plain.item())
        assert fwAD.unpack_dual(y).tangent.item() == pytest.approx(np.cos(0.25))


def test_a_level_inside_what_is_compiled() -> None:
    @torch.compile
    def slope(x: torch.Tensor) -> torch.Tensor:
        with fwAD.dual_level():
            return fwAD.unpack_dual(fwAD.make_dual(x, torch.ones(3)) ** 3).tangent

    x = torch.tensor([1.0, 2.0, 3.0])
    for _ in range(2):
        np.testing.assert_allclose(slope(x).numpy(), [3.0, 12.0, 27.0])
    assert slope.eager is None
