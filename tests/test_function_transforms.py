"""Functions with a derivative of the user's own under ``grad``, ``jvp``, ``vmap`` and what else transforms them."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T, error, leaf, numbers
from own_functions import ONE, function, product, save

__all__ = ["T"]
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # PyTorch's own, under jvp


TRANSFORMED: dict[str, Any] = {
    "grad": (lambda T, P, a, b: T.func.grad(lambda a, b: P(a, b).sum(), argnums=(0, 1))(a, b), [[2.0, 3.0], [1.0, 4.0]]),
    "jvp": (lambda T, P, a, b: T.func.jvp(P, (a, b), (a, a * 5)), [[2.0, 12.0], [7.0, 92.0]]),
    "jvp in one": (lambda T, P, a, b: T.func.jvp(lambda t: P(t, b), (a,), (a,))[1], [[2.0, 12.0]]),
    "vjp": (lambda T, P, a, b: T.func.vjp(P, a, b)[1](a), [[2.0, 12.0], [1.0, 16.0]]),
    "vmap": (lambda T, P, a, b: T.func.vmap(P)(a, b), [[2.0, 12.0]]),
    "vmap in one": (lambda T, P, a, b: T.func.vmap(P, in_dims=(0, None))(a, b[0]), [[2.0, 8.0]]),
    "vmap of grad": (lambda T, P, a, b: T.func.vmap(T.func.grad(P, argnums=(0, 1)))(a, b), [[2.0, 3.0], [1.0, 4.0]]),
    "vmap of grad in one": (
        lambda T, P, a, b: T.func.vmap(T.func.grad(P, argnums=(0, 1)), in_dims=(0, None))(a, b[0]),
        [[2.0, 2.0], [1.0, 4.0]],
    ),
    "grad of vmap": (
        lambda T, P, a, b: T.func.grad(lambda a, b: T.func.vmap(P, in_dims=(0, None))(a, b).sum(), argnums=(0, 1))(a, b[0]),
        [[2.0, 2.0], 5.0],
    ),
    "vmap of vmap": (
        lambda T, P, a, b: T.func.vmap(T.func.vmap(P, in_dims=(None, 0)), in_dims=(0, None))(a, b),
        [[[2.0, 3.0], [8.0, 12.0]]],
    ),
    "grad of grad": (lambda T, P, a, b: T.func.grad(T.func.grad(lambda t: P(P(t, t), t)))(a[1]), [24.0]),
    "jacrev": (lambda T, P, a, b: T.func.jacrev(P)(a, b), [[[2.0, 0.0], [0.0, 3.0]]]),
    "jacfwd": (lambda T, P, a, b: T.func.jacfwd(P)(a, b), [[[2.0, 0.0], [0.0, 3.0]]]),
    "hessian": (lambda T, P, a, b: T.func.hessian(lambda t: P(P(t, t), t).sum())(a), [[[6.0, 0.0], [0.0, 24.0]]]),
    "reverse over reverse": (
        lambda T, P, a, b: T.func.jacrev(T.func.jacrev(lambda t: P(P(t, t), t).sum()))(a), [[[6.0, 0.0], [0.0, 24.0]]],
    ),
    "reverse over forward": (
        lambda T, P, a, b: T.func.jacrev(T.func.jacfwd(lambda t: P(P(t, t), t).sum()))(a), [[[6.0, 0.0], [0.0, 24.0]]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSFORMED)
def test_transforms(name: str, T: Any) -> None:
    case, expected = TRANSFORMED[name]
    found = case(T, product(T).apply, T.tensor([1.0, 4.0]), T.tensor([2.0, 3.0]))
    assert numbers(*(found if isinstance(found, tuple) else (found,))) == expected


def test_batched_gradients(T: Any) -> None:
    x = T.tensor([1.0, 4.0], requires_grad=True)
    for F in (product(T), function(T, forward=lambda ctx, a, b: (save(ctx, (a, b), None), a * b)[1],
                                   backward=lambda ctx, g: (g * ctx.saved_tensors[1], g * ctx.saved_tensors[0]))):  # fmt: skip
        (rows,) = T.autograd.grad(F.apply(x, x), x, T.eye(2), is_grads_batched=True)
        assert numbers(rows) == [[[2.0, 0.0], [0.0, 8.0]]]


def test_a_rule_for_vmap_of_ones_own(T: Any) -> None:
    seen: list[Any] = []

    def rule(info: Any, in_dims: Any, a: Any, b: Any) -> Any:
        seen.append((info.batch_size, info.randomness, in_dims))
        return (a * b).t(), 1

    P = product(T, generate_vmap_rule=False, vmap=rule)
    a, b = T.ones(2, 3), T.arange(6.0).reshape(2, 3)
    assert numbers(T.func.vmap(P.apply)(a, b)) == [[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]]
    assert seen == [(2, "error", (0, 0))]
    P = product(T, generate_vmap_rule=False, vmap=lambda info, in_dims, a, k: (a * k, 0))
    assert numbers(T.func.vmap(lambda t: P.apply(t, 2))(a)) == [[[2.0] * 3, [2.0] * 3]]


def test_several_outputs_under_vmap(T: Any) -> None:
    def forward(a: Any) -> Any:
        return a * 2, (a * 3).sum(), a.long()

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.mark_non_differentiable(output[2])
        ctx.save_for_backward(*inputs)

    F = function(T, forward=forward, setup_context=setup, backward=lambda ctx, g, h, i: g * 2 + h * 3,
                 generate_vmap_rule=True)  # fmt: skip
    x = T.arange(6.0).reshape(2, 3)

    def f(t: Any) -> Any:
        a, b, i = F.apply(t)
        return a.sum() + b * i.sum()

    assert numbers(T.func.vmap(T.func.grad(f))(x)) == [[[11.0] * 3, [38.0] * 3]]
    assert numbers(T.func.grad(lambda t: T.func.vmap(f)(t).sum())(x)) == [[[11.0] * 3, [38.0] * 3]]


def test_gradients_of_each_sample_are_made_to_fit(T: Any) -> None:
    P = product(T).apply  # its backward leaves the sum over a broadcast axis to whoever takes the gradient
    x, w = T.arange(6.0).reshape(2, 3), T.tensor([1.0, 2.0])
    f = lambda x, w: P(x, w).sum()
    assert numbers(*T.func.vmap(T.func.grad(f, argnums=(0, 1)))(x, w)) == [[[1.0] * 3, [2.0] * 3], [3.0, 12.0]]
    total = lambda x, w: T.func.vmap(f)(x, w).sum()
    assert numbers(*T.func.grad(total, argnums=(0, 1))(x, w)) == [[[1.0] * 3, [2.0] * 3], [3.0, 12.0]]


NOT_TRANSFORMED: dict[str, tuple[Any, Any, str, str]] = {
    "ctx in forward, under vmap": (
        {**ONE, "backward": lambda ctx, g: g}, lambda T, F: T.func.vmap(F.apply)(T.ones(3)), "RuntimeError",
        "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, jacrev, ...), it must override "
        "the setup_context staticmethod. For more details, please see "
        "https://pytorch.org/docs/main/notes/extending.func.html",
    ),
    "no rule for vmap": (
        {"forward": lambda a: a * 2, "setup_context": save}, lambda T, F: T.func.vmap(F.apply)(T.ones(3)), "RuntimeError",
        "You tried to vmap over MyFn, but it does not have vmap support. Please override and implement the vmap "
        "staticmethod or set generate_vmap_rule=True. For more details, please see "
        "https://pytorch.org/docs/main/notes/extending.func.html",
    ),
    "two rules for vmap": (
        {"forward": lambda a: a * 2, "setup_context": save, "vmap": lambda *a: 1, "generate_vmap_rule": True},
        lambda T, F: T.func.vmap(F.apply)(T.ones(3)), "RuntimeError",
        "You tried to vmap over MyFn, but it has both generate_vmap_rule=True and an overridden vmap staticmethod. "
        "Please set generate_vmap_rule=False or delete the overridden vmap staticmethod to avoid ambiguity.",
    ),
    "one return of vmap": (
        {"forward": lambda a: a * 2, "setup_context": save, "vmap": lambda info, dims, a: a},
        lambda T, F: T.func.vmap(F.apply)(T.ones(3)), "RuntimeError",
        "Expected the vmap staticmethod to have two returns, an output and out_dims with pytree structure compatible "
        "with the output. Got a ",
    ),
    "three returns of vmap": (
        {"forward": lambda a: a * 2, "setup_context": save, "vmap": lambda info, dims, a: (a, 0, 0)},
        lambda T, F: T.func.vmap(F.apply)(T.ones(3)), "RuntimeError",
        "Expected the vmap staticmethod to have two returns, an output and out_dims with pytree structure compatible "
        "with the output. Got 3 returns instead",
    ),
    "too many dimensions": (
        {"forward": lambda a: a * 2, "setup_context": save, "vmap": lambda info, dims, a: (a, (0, 0))},
        lambda T, F: T.func.vmap(F.apply)(T.ones(3)), "RuntimeError",
        "The autograd.Function's vmap staticmethod returned an incompatible (output, out_dims) tuple. Expected "
        "out_dims=(0, 0) to be compatible with the structure of `output`.",
    ),
    "no jvp": (
        {"forward": lambda a: a * 2, "setup_context": save},
        lambda T, F: T.func.jvp(F.apply, (T.ones(3),), (T.ones(3),)), "NotImplementedError",
        "You must implement the jvp function for custom autograd.Function to use it with forward mode AD.",
    ),
    "too many tangents": (
        {"forward": lambda a: a * 2, "setup_context": save, "jvp": lambda ctx, t: (t, t)},
        lambda T, F: T.func.jvp(F.apply, (T.ones(3),), (T.ones(3),)), "RuntimeError",
        "Function's jvp returned an invalid number of forward gradients (expected 1 but got 2)",
    ),
    "a tangent of another shape": (
        {"forward": lambda a: a * 2, "setup_context": save, "jvp": lambda ctx, t: t[:1]},
        lambda T, F: T.func.jvp(F.apply, (T.ones(3),), (T.ones(3),)), "RuntimeError",
        "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not "
        "supported. Tensor is of size [3] while the given forward gradient is of size [1].",
    ),
    "a tangent that is a number": (
        {"forward": lambda a: a * 2, "setup_context": save, "jvp": lambda ctx, t: 3.0},
        lambda T, F: T.func.jvp(F.apply, (T.ones(3),), (T.ones(3),)), "RuntimeError",
        "expected Variable or None (got float) for grad output 0.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_TRANSFORMED)
def test_transforms_refused(name: str, T: Any) -> None:
    members, case, kind, text = NOT_TRANSFORMED[name]
    found = error(lambda T: case(T, function(T, **members)), T)
    assert found[0] == kind
    assert found[1].startswith(text)


def test_forward_mode_by_hand(T: Any) -> None:
    fw = importlib.import_module(f"{T.__name__}.autograd.forward_ad")

    def forward(ctx: Any, x: Any, k: int) -> Any:
        y = x.exp()
        ctx.save_for_forward(x, y)
        ctx.save_for_backward(x)
        return y, x * 5

    def jvp(ctx: Any, t: Any, k: Any) -> Any:
        assert k is None
        x, y = ctx.saved_tensors
        return t * y * x, t * 7  # not the derivatives, so that they are seen to be used

    F = function(T, forward=forward, jvp=jvp, backward=lambda ctx, g, h: (g * ctx.saved_tensors[0], None))
    x = leaf(T, value=2.0)
    with fw.dual_level():
        y, other = F.apply(fw.make_dual(x, T.ones(3) * 3), 1)
        found = fw.unpack_dual(y)
        np.testing.assert_allclose(found.primal.detach().numpy(), np.exp(2), rtol=1e-6)
        np.testing.assert_allclose(found.tangent.detach().numpy(), 6 * np.exp(2), rtol=1e-6)
        assert numbers(fw.unpack_dual(other).tangent) == [[21.0] * 3]
        (g,) = T.autograd.grad(found.tangent.sum(), x, retain_graph=True)  # reverse over forward
        np.testing.assert_allclose(g.numpy(), 3 * (2 * 2 + np.exp(2)), rtol=1e-6)
        (g,) = T.autograd.grad(y.sum(), x)
        assert numbers(fw.unpack_dual(g).primal) == [[2.0] * 3]  # forward over reverse: x is saved with its tangent
        assert numbers(fw.unpack_dual(g).tangent) == [[3.0] * 3]
        plain = function(T, forward=lambda ctx, x: x * 2)
        text = "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        assert error(lambda T: plain.apply(fw.make_dual(T.ones(3), T.ones(3))), T) == ("NotImplementedError", text)


def test_tangents_that_are_not_there(T: Any) -> None:
    seen: list[Any] = []

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.set_materialize_grads(inputs[2])

    def jvp(ctx: Any, *tangents: Any) -> Any:
        seen.append([t is not None for t in tangents])
        return tangents[0] * 2

    F = function(T, forward=lambda a, b, k: a * b, setup_context=setup, jvp=jvp)
    for k in (False, True):
        T.func.jvp(lambda t, k=k: F.apply(t, T.ones(3), k), (T.ones(3),), (T.ones(3),))
    assert seen == [[True, False, False], [True, True, False]]


# --- ours alone -----------------------------------------------------------------------------------------------------


def test_ctx_in_forward_under_reverse_mode() -> None:
    F = function(torch, forward=lambda ctx, a: (ctx.save_for_backward(a), a**2)[1],
                 backward=lambda ctx, g: g * 2 * ctx.saved_tensors[0])  # fmt: skip
    assert torch.func.grad(torch.func.grad(lambda t: F.apply(t) * t))(torch.tensor(3.0)).item() == 18.0


def test_forward_over_forward() -> None:
    """PyTorch gives 0, without a word."""
    found = torch.func.jacfwd(torch.func.jacfwd(lambda t: t**3))(torch.tensor([1.0, 4.0]))
    P = product(torch).apply
    ours = torch.func.jacfwd(torch.func.jacfwd(lambda t: P(P(t, t), t)))(torch.tensor([1.0, 4.0]))
    assert numbers(ours) == numbers(found)


def test_outputs_without_gradient_under_vmap() -> None:
    """PyTorch forgets the mark here."""
    F = function(
        torch, forward=lambda a: (a * 2, a * 3), setup_context=lambda ctx, i, o: ctx.mark_non_differentiable(o[1]),
        backward=lambda ctx, g, h: g * 2 + h, generate_vmap_rule=True,
    )  # fmt: skip
    assert numbers(torch.func.grad(lambda t: sum(torch.func.vmap(F.apply)(t)).sum())(torch.ones(3))) == [[2.0] * 3]


def test_taylor_series_are_refused_with_a_way_out() -> None:
    with pytest.raises(NotImplementedError, match=r"Nest func\.grad"):
        torch.func.taylor(lambda t: product(torch).apply(t, t), torch.tensor(1.0), 3)


def test_over_symbols() -> None:
    pytest.importorskip("sympy")
    from chainrule.arrays.symbolic import symbols

    F = function(torch, forward=lambda ctx, a: (ctx.save_for_backward(a), a**3)[1],
                 backward=lambda ctx, g: g * 3 * ctx.saved_tensors[0] ** 2)  # fmt: skip
    assert str(torch.func.grad(F.apply)(symbols("x"))) == "Symbolic: tensor(3*x**2)"


def test_inside_compile() -> None:
    F = product(torch)
    f = torch.compile(lambda t: F.apply(t, t.exp()).sum())
    x = torch.tensor([0.5, 1.0], requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where it cannot be compiled, the function runs as it is
        for _ in range(2):
            (g,) = torch.autograd.grad(f(x), x)
    np.testing.assert_allclose(g.numpy(), np.exp([0.5, 1.0]) * np.array([1.5, 2.0]), rtol=1e-5)
