"""Functions with a derivative of the user's own, on chainrule and, where it is installed, on PyTorch: what a call does."""

from __future__ import annotations

import gc
import importlib
import weakref
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T, error, leaf, numbers
from own_functions import doubled, function, product, save

__all__ = ["T"]


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


def test_writing_to_an_argument(T: Any) -> None:
    F = function(T, forward=doubled, backward=lambda ctx, g: g * 5)
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
    y = function(T, forward=doubled, backward=lambda ctx, g: g * 5).apply(part)
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
