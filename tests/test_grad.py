"""``grad``: every argument, many weights at once, inputs by name, on chainrule and, where it is installed, on PyTorch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest

from both import T, close, refused, vector
from sweep_errors import FREED, NO_GRAD_FN, SCALAR

__all__ = ["T"]
pytestmark = pytest.mark.filterwarnings("ignore:Using backward.. with create_graph=True")
NOT_REQUIRED = "One of the differentiated Tensors does not require grad"
UNUSED = (
    "The differentiated Tensor at index {} appears to not have been used in the graph. Set allow_unused=True if this is "
    "the desired behavior."
)


# --- one weight for each output --------------------------------------------------------------------------------


def test_grad_gives_a_tuple_and_touches_nothing(T: Any) -> None:
    x, w = vector(T), vector(T)
    found = T.autograd.grad((x * w).sum(), [x, w])
    assert isinstance(found, tuple)
    assert close(found[0], 1, 2)
    assert close(found[1], 1, 2)
    assert x.grad is None
    assert not found[0].requires_grad


@pytest.mark.parametrize("kind", [tuple, list])
def test_grad_of_several(T: Any, kind: Any) -> None:
    x = vector(T)
    (g,) = T.autograd.grad(kind([x * x, x * 3]), kind([x]), kind([T.ones(2), T.tensor([1.0, 0.0])]))
    assert close(g, 5, 4)


def test_grad_with_respect_to_one_thing_twice_and_to_what_is_between(T: Any) -> None:
    x = vector(T)
    y = x * x
    found = T.autograd.grad([y.sum(), y], [y, x, y, x], [None, T.ones(2)])
    for g, values in zip(found, [(2, 2), (4, 8), (2, 2), (4, 8)], strict=True):
        assert close(g, *values)


def test_grad_outputs_that_are_none(T: Any) -> None:
    x = vector(T)
    assert close(T.autograd.grad(x.sum(), x, None)[0], 1, 1)
    assert close(T.autograd.grad(x.sum(), x, (None,))[0], 1, 1)
    assert close(T.autograd.grad((x * x).sum(), x, T.tensor(3.0))[0], 6, 12)


def test_unused_inputs(T: Any) -> None:
    x, z = vector(T), T.ones(3, requires_grad=True)
    for inputs, index in (((x, z), 1), ((z, x), 0), (z, 0)):
        for more in ({}, {"allow_unused": False}, {"create_graph": True}):
            with refused(RuntimeError, UNUSED.format(index)):
                T.autograd.grad((x * 2).sum(), inputs, **more)
    g, none = T.autograd.grad((x * 2).sum(), (x, z), allow_unused=True)
    assert close(g, 2, 2)
    assert none is None
    assert T.autograd.grad(x.sum(), z, allow_unused=True) == (None,)


def test_zeros_for_unused_inputs(T: Any) -> None:
    x, z = vector(T), T.ones(3, requires_grad=True)
    for inputs in ((x, z), (z, x)):
        for allow in (None, True):
            found = dict(
                zip(inputs, T.autograd.grad(x.sum(), inputs, materialize_grads=True, allow_unused=allow), strict=True)
            )
            assert close(found[z], 0, 0, 0)
            assert close(found[x], 1, 1)
            assert not found[z].requires_grad
    (zeros,) = T.autograd.grad(x.sum(), z, materialize_grads=True, create_graph=True)
    assert zeros.requires_grad
    message = "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
    with refused(ValueError, message):
        T.autograd.grad(x.sum(), z, materialize_grads=True, allow_unused=False)


def test_a_second_derivative(T: Any) -> None:
    x = vector(T)
    (first,) = T.autograd.grad((x**3).sum(), x, create_graph=True)
    assert first.requires_grad
    (second,) = T.autograd.grad(first.sum(), x, create_graph=True)
    (third,) = T.autograd.grad(second.sum(), x)
    assert close(first, 3, 12)
    assert close(second, 6, 12)
    assert close(third, 6, 6)


def test_create_graph_keeps_the_graph_unless_told_otherwise(T: Any) -> None:
    x = vector(T)
    y = (x**3).sum()
    T.autograd.grad(y, x, create_graph=True)
    T.autograd.grad(y, x, create_graph=True, retain_graph=False)
    with refused(RuntimeError, FREED):
        T.autograd.grad(y, x)


def test_recording_under_no_grad(T: Any) -> None:
    x = vector(T)
    y = (x**3).sum()
    with T.no_grad():
        (g,) = T.autograd.grad(y, x, create_graph=True)
        y.backward()
    assert g.requires_grad
    assert not x.grad.requires_grad


def test_only_inputs_is_a_thing_of_the_past(T: Any) -> None:
    x = vector(T)
    with pytest.warns(FutureWarning, match="only_inputs argument is deprecated and is ignored now"):
        assert close(T.autograd.grad(x.sum(), x, only_inputs=False)[0], 1, 1)


BAD_INPUTS: list[tuple[Callable[[Any, Any], Any], type[Exception], str]] = [
    (lambda T, x: T.autograd.grad(x.sum(), x.detach()), RuntimeError, NOT_REQUIRED),
    (lambda T, x: T.autograd.grad(x.sum(), [x, x.detach()]), RuntimeError, NOT_REQUIRED),
    (lambda T, x: T.autograd.grad(x.detach().sum(), x), RuntimeError, NO_GRAD_FN),
    (lambda T, x: T.autograd.grad(x * 2, x), RuntimeError, SCALAR),
    (lambda T, x: T.autograd.grad(x.sum(), []), RuntimeError, "`inputs` argument to `grad()` cannot be empty."),
    (
        lambda T, x: T.autograd.grad(x.sum(), [x, None]), RuntimeError,
        "all inputs have to be Tensors or GradientEdges, but got NoneType",
    ),
    (lambda T, x: T.autograd.grad(x * 2, x, [3]), TypeError, "gradients can be either Tensors or None, but got int"),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(BAD_INPUTS)))
def test_refused_inputs(T: Any, case: int) -> None:
    action, error, message = BAD_INPUTS[case]
    with refused(error, message):
        action(T, vector(T))


# --- many weights at once ---------------------------------------------------------------------------------------


def test_batched_weights(T: Any) -> None:
    x, w = vector(T), vector(T, 3.0, 4.0)
    found = T.autograd.grad(x * x * w, (x, w), T.eye(2), is_grads_batched=True)
    assert close(found[0], 6, 0, 0, 16)
    assert close(found[1], 1, 0, 0, 4)
    assert found[0].shape == (2, 2)


def test_batched_weights_of_several_outputs(T: Any) -> None:
    x = vector(T)
    gs = [T.ones(3, 2), T.tensor([0.0, 1.0, 2.0])]
    (found,) = T.autograd.grad([x * 2, (x * x).sum()], x, gs, is_grads_batched=True)
    assert close(found, 2, 2, 4, 6, 6, 10)


def test_batched_weights_recorded(T: Any) -> None:
    x = vector(T)
    (found,) = T.autograd.grad(x**3, x, T.eye(2), is_grads_batched=True, create_graph=True)
    assert close(T.autograd.grad(found.sum(), x)[0], 6, 12)


def test_batched_weights_and_unused_inputs(T: Any) -> None:
    x, z = vector(T), vector(T)
    assert T.autograd.grad(x * 2, (x, z), T.eye(2), is_grads_batched=True, allow_unused=True)[1] is None
    zeros = T.autograd.grad(x * 2, (x, z), T.eye(2), is_grads_batched=True, materialize_grads=True)[1]
    assert zeros.shape == (2,)  # nothing is batched about them
    with refused(RuntimeError, UNUSED.format(1)):
        T.autograd.grad(x * 2, (x, z), T.eye(2), is_grads_batched=True)


def test_batched_weights_free_the_graph(T: Any) -> None:
    x = vector(T)
    y = x * x
    T.autograd.grad(y, x, T.eye(2), is_grads_batched=True, retain_graph=True)
    T.autograd.grad(y, x, T.eye(2), is_grads_batched=True)
    with refused(RuntimeError, FREED):
        T.autograd.grad(y, x, T.eye(2), is_grads_batched=True)


def test_batched_weights_that_do_not_fit(T: Any) -> None:
    x = vector(T)
    message = "If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the batch dimension."
    for g in (T.ones(2), T.ones(2, 3), T.ones(2, 2, 2)):
        with refused(RuntimeError, message, whole=False):
            T.autograd.grad(x * 2, x, g, is_grads_batched=True)
    with refused(IndexError, "invalid index of a 0-dim tensor.", whole=False):
        T.autograd.grad(x.sum(), x, T.tensor(1.0), is_grads_batched=True)
    with refused(RuntimeError, SCALAR):
        T.autograd.grad(x * 2, x, is_grads_batched=True)
    with pytest.raises(ValueError, match="vmap"):
        T.autograd.grad(x.sum(), x, is_grads_batched=True)


# --- inputs by name -----------------------------------------------------------------------------------------


def test_gradients_by_name(T: Any) -> None:
    x, w = vector(T), vector(T)
    found = T.autograd.grad((x * w * w).sum(), {"x": x, "w": w})
    assert list(found) == ["x", "w"] and close(found["x"], 1, 4) and close(found["w"], 2, 8)
    found = T.autograd.grad(x.sum(), {"w": w, "x": x}, allow_unused=True)
    assert found["w"] is None and close(found["x"], 1, 1)
    T.autograd.backward((x * w).sum(), inputs={"x": x})
    assert close(x.grad, 1, 2) and w.grad is None


def test_names_are_keys_of_a_dictionary(T: Any) -> None:
    x, more = vector(T), "Other Mapping types are not supported."
    with refused(TypeError, f"`inputs` argument to `grad()` must be a dict, not OrderedDict. {more}"):
        T.autograd.grad(x.sum(), OrderedDict(x=x))
    with refused(TypeError, f"`inputs` argument to `backward()` must be a dict, not OrderedDict. {more}"):
        T.autograd.backward(x.sum(), inputs=OrderedDict(x=x))
    with refused(RuntimeError, "`inputs` argument to `grad()` cannot be empty."):
        T.autograd.grad(x.sum(), {})
