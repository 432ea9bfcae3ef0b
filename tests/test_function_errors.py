"""What a function with a derivative of the user's own may not do: errors word for word PyTorch's."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from both import T, error, leaf, numbers
from own_functions import ONE, doubled, function

__all__ = ["T"]

PAIR = {"forward": lambda ctx, a, b: a * b}


def saving(what: Any) -> Any:
    def forward(ctx: Any, a: Any) -> Any:
        what(ctx, a)
        return a * 2

    return {"forward": forward, "backward": lambda ctx, g: g}


REFUSED: dict[str, tuple[Any, Any, str, str]] = {
    "too few gradients": (
        {**PAIR, "backward": lambda ctx, g: (g,)}, lambda T, F: F.apply(leaf(T), leaf(T)).sum().backward(),
        "RuntimeError", "function MyFnBackward returned an incorrect number of gradients (expected 2, got 1)",
    ),
    "too many gradients": (
        {**PAIR, "backward": lambda ctx, g: (g, g, g)}, lambda T, F: F.apply(leaf(T), leaf(T)).sum().backward(),
        "RuntimeError", "function MyFnBackward returned an incorrect number of gradients (expected 2, got 3)",
    ),
    "a gradient for what is no tensor": (
        {**PAIR, "backward": lambda ctx, g: (g, g)}, lambda T, F: F.apply(leaf(T), 3).sum().backward(), "RuntimeError",
        "function MyFnBackward returned a gradient different than None at position 2, but the corresponding forward "
        "input was not a Variable",
    ),
    "a gradient of another shape": (
        {**ONE, "backward": lambda ctx, g: g[:2]}, lambda T, F: F.apply(leaf(T)).sum().backward(), "RuntimeError",
        "Function MyFnBackward returned an invalid gradient at index 0 - got [2] but expected shape compatible with [3]",
    ),
    "a gradient that is a number": (
        {**ONE, "backward": lambda ctx, g: 3.0}, lambda T, F: F.apply(leaf(T)).sum().backward(),
        "RuntimeError", "expected Variable or None (got float)",
    ),
    "gradients in a list": (
        {**ONE, "backward": lambda ctx, g: [g]}, lambda T, F: F.apply(leaf(T)).sum().backward(),
        "RuntimeError", "expected Variable or None (got list)",
    ),
    "no backward": (
        ONE, lambda T, F: F.apply(leaf(T)).sum().backward(), "NotImplementedError",
        "You must implement either the backward or vjp method for your custom autograd.Function to use it with backward "
        "mode AD.",
    ),
    "no forward": (
        {"backward": lambda ctx, g: g}, lambda T, F: F.apply(leaf(T)), "NotImplementedError",
        "You must implement the forward function for custom autograd.Function.",
    ),
    "backward and vjp": (
        {**ONE, "backward": lambda ctx, g: g, "vjp": lambda ctx, g: g},
        lambda T, F: F.apply(leaf(T)).sum().backward(), "RuntimeError",
        "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only implement one of "
        "them.",
    ),
    "called": (
        ONE, lambda T, F: F()(leaf(T)), "RuntimeError",
        "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd function "
        "with static forward method. (Example: https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)",
    ),
    "saved a number": (
        saving(lambda ctx, a: ctx.save_for_backward(3)), lambda T, F: F.apply(leaf(T)),
        "TypeError", "save_for_backward can only save variables, but argument 0 is of type int",
    ),
    "saved a number for jvp": (
        saving(lambda ctx, a: ctx.save_for_forward(3)), lambda T, F: F.apply(leaf(T)), "AssertionError",
        "save_for_forward expects all arguments to be tensors; you should save non-tensors as attributes on ctx.",
    ),
    "marked a number dirty": (
        saving(lambda ctx, a: ctx.mark_dirty(3)), lambda T, F: F.apply(leaf(T)),
        "RuntimeError", "mark_dirty can only accept variables, but argument ",
    ),
    "marked a number": (
        saving(lambda ctx, a: ctx.mark_non_differentiable(3)), lambda T, F: F.apply(leaf(T)),
        "RuntimeError", "mark_non_differentiable only accepts variable arguments, but got ",
    ),
    "dirty and not returned": (
        saving(lambda ctx, a: (a.mul_(2), ctx.mark_dirty(a))), lambda T, F: F.apply(leaf(T) * 1), "RuntimeError",
        "Some elements marked as dirty during the forward method were not returned as output. The inputs that are "
        "modified inplace must all be outputs of the Function.",
    ),
    "dirty leaf": (
        {"forward": doubled, "backward": lambda ctx, g: g}, lambda T, F: F.apply(leaf(T)),
        "RuntimeError", "a leaf Variable that requires grad has been used in an in-place operation.",
    ),
    "dirty view of a leaf": (
        {"forward": doubled, "backward": lambda ctx, g: g}, lambda T, F: F.apply(leaf(T)[:2]),
        "RuntimeError", "a view of a leaf Variable that requires grad is being used in an in-place operation.",
    ),
    "dirty view from unbind": (
        {"forward": doubled, "backward": lambda ctx, g: g}, lambda T, F: F.apply((leaf(T) * 1).unbind(0)[0]),
        "RuntimeError", "Output 0 of Unbind is a view and is being modified inplace. This view is the output of a",
    ),
    "dirty view among several": (
        {"forward": lambda ctx, a: (doubled(ctx, a), a + 1), "backward": lambda ctx, g, h: g},
        lambda T, F: F.apply((leaf(T) * 1)[:2]), "RuntimeError",
        "If your Function modifies inplace an input that is a view of another Tensor, your Function cannot return more "
        "than one Tensor. This is not supported by the current autograd engine.",
    ),
    "saved and overwritten": (
        {"forward": lambda ctx, a: (ctx.save_for_backward(a), a * 1)[1], "backward": lambda ctx, g: g * ctx.saved_tensors[0]},
        lambda T, F: (lambda b: (F.apply(b), b.add_(1))[0])(leaf(T) * 1).sum().backward(), "RuntimeError",
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        "[torch.FloatTensor [3]], which is output 0 of Add, is at version 1; expected version 0 instead. Hint: enable "
        "anomaly detection to find the operation that failed to compute its gradient, with "
        "torch.autograd.set_detect_anomaly(True, check_nan=False).",
    ),
    "backward twice": (
        {"forward": lambda ctx, a: (ctx.save_for_backward(a), a * 1)[1], "backward": lambda ctx, g: g * ctx.saved_tensors[0]},
        lambda T, F: (lambda y: (y.backward(), y.backward()))(F.apply(leaf(T)).sum()),
        "RuntimeError", "Trying to backward through the graph a second time (or directly access saved tensors after",
    ),
    "a real argument with a complex gradient": (
        {**ONE, "backward": lambda ctx, g: g * 1j}, lambda T, F: F.apply(leaf(T)).sum().backward(), "RuntimeError",
        "Expected isFloatingType(grad.scalar_type()) || (input_is_complex == grad_is_complex) to be true, but got false.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, T: Any) -> None:
    members, case, kind, text = REFUSED[name]
    found = error(lambda T: case(T, function(T, **members)), T)
    assert found[0] == kind
    assert found[1].startswith(text)


def test_backward_twice_is_allowed_where_nothing_is_saved(T: Any) -> None:
    y = function(T, forward=lambda ctx, a: a * 2, backward=lambda ctx, g: g * 2).apply(leaf(T))
    y.backward(T.ones(3))
    y.backward(T.ones(3))


def test_once_differentiable(T: Any) -> None:
    once = importlib.import_module(f"{T.__name__}.autograd.function").once_differentiable
    F = function(T, forward=lambda ctx, a, b: a * b, backward=once(lambda ctx, g: (g * 2, g * 3)))
    x, y = leaf(T), leaf(T)
    F.apply(x, y).sum().backward()
    assert numbers(x.grad, y.grad) == [[2.0] * 3, [3.0] * 3]
    (first,) = T.autograd.grad(F.apply(x, y), x, T.ones(3, requires_grad=True) * 1, create_graph=True)
    assert "grad_fn=<Error>" in repr(first)
    text = "trying to differentiate twice a function that was marked with @once_differentiable"
    assert error(lambda T: first.sum().backward(), T) == ("RuntimeError", text)
