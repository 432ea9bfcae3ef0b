"""Functions with a derivative of the user's own, on chainrule and, where it is installed, on PyTorch."""

from __future__ import annotations

import gc
import importlib
import warnings
import weakref
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T, leaf, quietly

__all__ = ["T"]
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # PyTorch's own, under jvp


def function(T: Any, **members: Any) -> Any:
    """A Function ``MyFn`` with these static methods, and attributes."""
    Function = importlib.import_module(f"{T.__name__}.autograd").Function
    return type("MyFn", (Function,), {k: staticmethod(v) if callable(v) else v for k, v in members.items()})


def save(ctx: Any, inputs: Any, output: Any) -> None:
    tensors = [x for x in inputs if hasattr(x, "shape")]
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)


def product(T: Any, **members: Any) -> Any:
    """``a * b``, with everything that a transform may ask for."""
    return function(T, **{
        "forward": lambda a, b: a * b,
        "setup_context": save,
        "backward": lambda ctx, g: (g * ctx.saved_tensors[1], g * ctx.saved_tensors[0]),
        "jvp": lambda ctx, s, t: s * ctx.saved_tensors[1] + t * ctx.saved_tensors[0],
        "generate_vmap_rule": True, **members,
    })  # fmt: skip


def numbers(*tensors: Any) -> list[Any]:
    return [t.detach().numpy().tolist() for t in tensors]


def error(case: Any, T: Any) -> tuple[str, str]:
    with pytest.raises(Exception) as caught:
        quietly(case, T)
    return type(caught.value).__name__, str(caught.value)


# --- what a call computes -------------------------------------------------------------------------------------------


def test_forward_sees_the_arguments_themselves_with_recording_off(T: Any) -> None:
    seen: list[Any] = []

    def forward(ctx: Any, x: Any, k: int) -> Any:
        seen.extend([x, k, T.is_grad_enabled(), ctx.needs_input_grad])
        return x * k

    x = leaf(T)
    y = function(T, forward=forward, backward=lambda ctx, g: (g * 2, None)).apply(x, 3)
    assert seen[0] is x
    assert seen[1:] == [3, False, (True, False)]
    assert "grad_fn=<MyFnBackward>" in repr(y)
    y.sum().backward()
    assert numbers(x.grad) == [[2.0, 2.0, 2.0]]


def test_backward_runs_with_recording_as_the_sweep_has_it(T: Any) -> None:
    modes: list[bool] = []
    F = function(T, forward=lambda ctx, x: x * 1, backward=lambda ctx, g: (modes.append(T.is_grad_enabled()), g)[1])
    x = leaf(T)
    F.apply(x).sum().backward()
    T.autograd.grad(F.apply(x).sum(), x, create_graph=True)
    assert modes == [False, True]


def test_saved_tensors_come_back(T: Any) -> None:
    seen: list[Any] = []

    def forward(ctx: Any, x: Any) -> Any:
        y, inner = x.exp(), x * 2
        ctx.save_for_backward(x, None, y, inner)
        ctx.note = "kept"
        return y

    def backward(ctx: Any, g: Any) -> Any:
        seen.extend([*ctx.saved_tensors, ctx.note])
        return g * ctx.saved_tensors[2]

    x = leaf(T)
    y = function(T, forward=forward, backward=backward).apply(x)
    assert y.grad_fn.note == "kept"
    y.grad_fn.note = "changed"
    y.sum().backward()
    assert seen[0] is x
    assert seen[1] is None
    assert "MyFnBackward" in repr(seen[2])
    assert seen[3].grad_fn is None
    assert seen[4] == "changed"


def test_double_backward_goes_through_saved_inputs_and_outputs(T: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        y = x.exp()
        ctx.save_for_backward(x, y)
        return y

    def backward(ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_tensors
        return g * y * (x / x)

    x = leaf(T, value=2.0)
    y = function(T, forward=forward, backward=backward).apply(x)
    (first,) = T.autograd.grad(y.sum(), x, create_graph=True)
    (second,) = T.autograd.grad(first.sum(), x, create_graph=True)
    (third,) = T.autograd.grad(second.sum(), x)
    for found in (first, second, third):
        np.testing.assert_allclose(found.detach().numpy(), np.exp(2.0), rtol=1e-5)


def test_derivatives_in_the_direction_of_saved_outputs(T: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        a, b = x * 2, x * x
        ctx.save_for_backward(a, b)
        return a, b

    def backward(ctx: Any, g: Any, h: Any) -> Any:
        a, b = ctx.saved_tensors
        return g * a + h * b

    x = leaf(T, value=3.0)
    a, b = function(T, forward=forward, backward=backward).apply(x)
    (g,) = T.autograd.grad((a * 5 + b * 7).sum(), x, create_graph=True)
    assert numbers(g, *T.autograd.grad(g.sum(), (a, b))) == [[93.0] * 3, [5.0] * 3, [7.0] * 3]


def test_several_outputs(T: Any) -> None:
    grads: list[Any] = []

    def forward(ctx: Any, x: Any) -> Any:
        index = x.long()
        constant = x * 3
        ctx.mark_non_differentiable(constant)
        return x * 2, "text", x + 1, index, constant

    def backward(ctx: Any, *gs: Any) -> Any:
        grads.extend(gs)
        return gs[0] * 2 + gs[2]

    x = leaf(T)
    a, text, b, index, constant = function(T, forward=forward, backward=backward).apply(x)
    assert text == "text"
    assert (a.requires_grad, b.requires_grad, index.requires_grad, constant.requires_grad) == (True, True, False, False)
    assert (a.output_nr, b.output_nr, a.grad_fn is b.grad_fn) == (0, 2, True)
    assert b.sum().grad_fn.next_functions == ((a.grad_fn, 2),)
    (b * 5).sum().backward()
    assert numbers(x.grad) == [[5.0, 5.0, 5.0]]
    assert grads[1] is None
    assert numbers(grads[0], grads[2], grads[4]) == [[0.0] * 3, [5.0] * 3, [0.0] * 3]
    assert grads[3].tolist() == [0, 0, 0]


def test_gradients_that_are_not_there_may_be_left_out(T: Any) -> None:
    grads: list[Any] = []

    def forward(ctx: Any, x: Any) -> Any:
        ctx.set_materialize_grads(False)
        return x * 2, x * 3

    F = function(T, forward=forward, backward=lambda ctx, *g: (grads.extend(g), g[0])[1])
    F.apply(leaf(T))[0].sum().backward()
    assert numbers(grads[0]) == [[1.0, 1.0, 1.0]]
    assert grads[1] is None


@pytest.mark.parametrize(
    ("backward", "expected"),
    [
        (lambda ctx, g: (g, None, None), [1.0] * 3),  # one None too many
        (lambda ctx, g: (g.expand(2, 3), None), [2.0] * 3),  # summed to fit
        (lambda ctx, g: (g.double(), None), [1.0] * 3),  # cast to fit
        (lambda ctx, g: (g.sum(), None), None),
        (lambda ctx, g: (None, None), None),
    ],
)
def test_gradients_are_made_to_fit(T: Any, backward: Any, expected: Any) -> None:
    x = leaf(T)
    try:
        function(T, forward=lambda ctx, a, k: a * 2, backward=backward).apply(x, 1).sum().backward()
    except RuntimeError as e:
        assert expected is None
        assert str(e).startswith("Function MyFnBackward returned an invalid gradient at index 0 - got [] but expected")
    else:
        assert (x.grad if expected is None else numbers(x.grad)) == (None if expected is None else [expected])
        assert expected is None or x.grad.dtype == x.dtype


def test_nothing_is_recorded_where_nothing_is_wanted(T: Any) -> None:
    F = function(T, forward=lambda ctx, x: x * 2, backward=lambda ctx, g: g)
    assert F.apply(T.ones(3)).grad_fn is None
    with T.no_grad():
        assert F.apply(leaf(T)).grad_fn is None


def test_keyword_arguments_and_defaults(T: Any) -> None:
    F = function(T, forward=lambda a, b=2: a * b, setup_context=save, backward=lambda ctx, g: (g, None))
    x = leaf(T)
    assert numbers(F.apply(x), F.apply(a=x, b=5)) == [[2.0] * 3, [5.0] * 3]
    F.apply(a=x).sum().backward()
    assert numbers(x.grad) == [[1.0] * 3]
    assert error(lambda T: F.apply(c=3), T) == ("TypeError", "missing a required argument: 'a'")


def test_old_names(T: Any) -> None:
    module = importlib.import_module(f"{T.__name__}.autograd.function")
    assert issubclass(module.InplaceFunction, module.Function)
    with pytest.warns(DeprecationWarning, match="should not be instantiated"):
        assert module.InplaceFunction(inplace=True).inplace
    F = function(T, forward=lambda ctx, x: x * 2, vjp=lambda ctx, g: g * 7)
    x = leaf(T)
    F.apply(x).sum().backward()
    assert numbers(x.grad) == [[7.0] * 3]
    assert isinstance(F.apply(x).grad_fn, module.BackwardCFunction)
    assert isinstance(F, module.FunctionMeta)


# --- arguments returned, views, writes ------------------------------------------------------------------------------


def test_an_argument_returned_is_a_view_with_a_history_of_its_own(T: Any) -> None:
    x = leaf(T)
    y = function(T, forward=lambda ctx, a: a, backward=lambda ctx, g: g * 5).apply(x)
    assert y is not x
    assert y._base is x
    y.sum().backward()
    assert numbers(x.grad) == [[5.0] * 3]
    assert error(lambda T: y.add_(1), T)[1].startswith("Output 0 of MyFn is a view and is being modified inplace. This")


def test_a_view_must_not_be_written_to(T: Any) -> None:
    y = function(T, forward=lambda ctx, a: a.view(-1), backward=lambda ctx, g: g * 5).apply(leaf(T))
    assert error(lambda T: y.add_(1), T)[1].startswith("Output 0 of MyFn is a view and is being modified inplace. This")


def test_views_among_several_outputs(T: Any) -> None:
    y, z = function(T, forward=lambda ctx, a: (a.view(-1), a[:1]), backward=lambda ctx, g, h: g).apply(leaf(T))
    for number, view in enumerate((y, z)):
        text = error(lambda T, view=view: view.add_(1), T)[1]
        assert text.startswith(
            f"Output {number} of MyFn is a view and is being modified inplace. This view is the output"
        )


def _doubled(ctx: Any, x: Any) -> Any:
    x.mul_(2)
    ctx.mark_dirty(x)
    return x


def test_writing_to_an_argument(T: Any) -> None:
    F = function(T, forward=_doubled, backward=lambda ctx, g: g * 5)
    x = leaf(T)
    b = x * 1
    y = F.apply(b)
    assert y is b
    assert b._version == 2
    y.sum().backward()
    assert numbers(y, x.grad) == [[2.0] * 3, [5.0] * 3]


def test_writing_to_a_view(T: Any) -> None:
    x = leaf(T)
    b = x * 1
    part = b[:2]
    y = function(T, forward=_doubled, backward=lambda ctx, g: g * 5).apply(part)
    assert y is part
    b.sum().backward()
    assert numbers(b, x.grad) == [[2.0, 2.0, 1.0], [5.0, 5.0, 1.0]]


def test_what_is_no_argument_cannot_be_dirty(T: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        y = x * 1
        ctx.mark_dirty(y)
        return y

    F = function(T, forward=forward, backward=lambda ctx, g: g)
    with pytest.warns(UserWarning, match=r"ctx.mark_dirty\(\) received a tensor that was not an input"):
        assert F.apply(leaf(T)).requires_grad


# --- errors, word for word ------------------------------------------------------------------------------------------

PAIR = {"forward": lambda ctx, a, b: a * b}
ONE = {"forward": lambda ctx, a: a * 2}


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
        {"forward": _doubled, "backward": lambda ctx, g: g}, lambda T, F: F.apply(leaf(T)),
        "RuntimeError", "a leaf Variable that requires grad has been used in an in-place operation.",
    ),
    "dirty view of a leaf": (
        {"forward": _doubled, "backward": lambda ctx, g: g}, lambda T, F: F.apply(leaf(T)[:2]),
        "RuntimeError", "a view of a leaf Variable that requires grad is being used in an in-place operation.",
    ),
    "dirty view from unbind": (
        {"forward": _doubled, "backward": lambda ctx, g: g}, lambda T, F: F.apply((leaf(T) * 1).unbind(0)[0]),
        "RuntimeError", "Output 0 of Unbind is a view and is being modified inplace. This view is the output of a",
    ),
    "dirty view among several": (
        {"forward": lambda ctx, a: (_doubled(ctx, a), a + 1), "backward": lambda ctx, g, h: g},
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


# --- the node -------------------------------------------------------------------------------------------------------


def test_the_node_of_a_call(T: Any) -> None:
    F = product(T)
    x, b = leaf(T), T.ones(3)
    y = F.apply(x, b)
    node = y.grad_fn
    assert node.name() == "MyFnBackward"
    assert node is y.grad_fn
    assert node.needs_input_grad == (True, False)
    assert [n and n.name() for n, _ in node.next_functions] == ["torch::autograd::AccumulateGrad", None]
    assert [n.name() for n, _ in F.apply(x, 2).grad_fn.next_functions] == ["torch::autograd::AccumulateGrad"]
    assert node.saved_tensors[0] is x
    node.metadata["mine"] = 1
    assert y.grad_fn.metadata == {"mine": 1}
    assert [s.unpack() is s.unpack() for s in node._raw_saved_tensors] == [True, True]


def test_hooks_on_a_call(T: Any) -> None:
    seen: list[Any] = []
    x = leaf(T)
    a, b = function(T, forward=lambda ctx, t: (t * 2, t * 3), backward=lambda ctx, g, h: g + h).apply(x)
    a.grad_fn.register_prehook(lambda gs: seen.append([g is not None for g in gs]))
    a.grad_fn.register_hook(lambda gi, go: (seen.append((len(gi), len(go))), (gi[0] * 10,))[1])
    b.register_hook(lambda g: g * 2)
    b.sum().backward()
    assert seen == [[False, True], (1, 2)]
    assert numbers(x.grad) == [[20.0] * 3]


def test_a_graph_dies_with_its_last_tensor() -> None:
    F = product(torch, setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs, output))
    x = torch.ones(2, requires_grad=True)
    gc.disable()
    try:
        for swept in (False, True):
            y = F.apply(x, x)
            kept = y.grad_fn
            node = weakref.ref(y._node)
            if swept:
                y.sum().backward()
            del y
            assert node() is not None
            assert kept.next_functions
            del kept
            assert node() is None
    finally:
        gc.enable()


# --- under transforms -----------------------------------------------------------------------------------------------

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


def test_ctx_takes_any_attribute(T: Any) -> None:
    names = [
        "saved",
        "tensors",
        "params",
        "extra",
        "next",
        "inputs",
        "outputs",
        "node",
        "rank",
        "ports",
        "edges",
        "pulls",
        "prim",
        "place",
        "count",
        "shown",
    ]

    def forward(ctx: Any, x: Any) -> Any:
        for i, name in enumerate(names):
            setattr(ctx, name, i)
        ctx.save_for_backward(x)
        return x * 2, x * 3

    def backward(ctx: Any, g: Any, h: Any) -> Any:
        assert [getattr(ctx, name) for name in names] == list(range(len(names)))
        return g * 2 * ctx.saved_tensors[0] + h

    x = leaf(T)
    a, b = function(T, forward=forward, backward=backward).apply(x)
    (a + b).sum().backward()
    assert numbers(x.grad) == [[3.0] * 3]


def test_variables(T: Any) -> None:
    Variable = T.autograd.Variable
    x = Variable(T.ones(3), requires_grad=True)
    assert isinstance(x, Variable)
    assert not isinstance(3, Variable)
    assert type(x) is T.Tensor
    assert x.requires_grad


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
