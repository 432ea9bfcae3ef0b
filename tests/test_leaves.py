"""Leaves and what is none, how gradients add up in ``.grad``, and the graph as its nodes show it.

Each test runs on chainrule and, where it is installed, on PyTorch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import chainrule
from both import T, close, refused, vector

__all__ = ["T"]
pytestmark = pytest.mark.filterwarnings("ignore:Using backward.. with create_graph=True")


# --- leaves, and what is no leaf -----------------------------------------------------------------------------------


def test_leaves(T: Any) -> None:
    x = vector(T)
    y = x * 2
    assert x.is_leaf and x.requires_grad and x.grad_fn is None
    assert y.requires_grad and not y.is_leaf
    assert y.grad_fn.name() == "MulBackward0"
    for t in (y.detach(), T.ones(2), T.ones(2) * 2, x.detach().requires_grad_()):
        assert t.is_leaf
    with T.no_grad():
        assert (x * 2).is_leaf
        assert not (x * 2).requires_grad


def test_the_gradient_of_what_is_no_leaf_is_not_kept(T: Any) -> None:
    x = vector(T)
    y = x * 2
    y.sum().backward()
    with pytest.warns(
        UserWarning, match=r"The .grad attribute of a Tensor that is not a leaf Tensor is being accessed"
    ):
        assert y.grad is None


def test_requires_grad_of_what_is_no_leaf(T: Any) -> None:
    y = vector(T) * 2
    message = "you can only change requires_grad flags of leaf variables."
    with refused(RuntimeError, message):
        y.requires_grad = True
    detach = " If you want to use a computed variable in a subgraph that doesn't require differentiation use "
    for action in (lambda: setattr(y, "requires_grad", False), lambda: y.requires_grad_(False)):
        with refused(RuntimeError, message + detach + "var_no_grad = var.detach()."):
            action()
    assert y.requires_grad_() is y


def test_requires_grad_of_integers(T: Any) -> None:
    message = "only Tensors of floating point and complex dtype can require gradients"
    with refused(RuntimeError, message):
        T.tensor([1, 2]).requires_grad = True
    with refused(RuntimeError, "only Tensors of floating point dtype can require gradients"):
        T.tensor([1, 2]).requires_grad_()
    with refused(RuntimeError, message.replace("only", "Only")):
        T.tensor([1, 2], requires_grad=True)


def test_a_leaf_that_no_longer_requires_grad_gets_none(T: Any) -> None:
    x, w = vector(T), vector(T)
    y = (x * w).sum()
    x.requires_grad_(False)
    y.backward()
    assert x.grad is None
    assert close(w.grad, 1, 2)


def test_a_leaf_that_is_gone(T: Any) -> None:
    x, w = vector(T), vector(T)
    y = (x * w).sum()
    del x
    y.backward()
    assert close(w.grad, 1, 2)


def test_retain_grad(T: Any) -> None:
    x = vector(T)
    y = x * 2
    assert not y.retains_grad
    y.retain_grad()
    y.retain_grad()
    assert y.retains_grad
    (y * y).sum().backward(retain_graph=True)
    first = y.grad
    assert close(first, 4, 8)
    (y * y).sum().backward()
    assert close(y.grad, 8, 16)
    assert close(first, 4, 8)  # the sum is another tensor
    x.retain_grad()
    assert not x.retains_grad
    with refused(RuntimeError, "can't retain_grad on Tensor that has requires_grad=False"):
        T.ones(1).retain_grad()


def test_retain_grad_under_grad_and_create_graph(T: Any) -> None:
    x = vector(T)
    y = x * 2
    y.retain_grad()
    (g,) = T.autograd.grad((y**3).sum(), x, create_graph=True)
    assert close(y.grad, 12, 48)
    assert y.grad.requires_grad
    assert close(g, 24, 96)


# --- accumulation --------------------------------------------------------------------------------------------


def test_gradients_add_up_in_the_same_tensor(T: Any) -> None:
    x = vector(T)
    (x * 2).sum().backward()
    g = x.grad
    (x * 3).sum().backward()
    assert x.grad is g
    assert close(g, 5, 5)
    assert g._version == 1
    x.grad = None
    x.sum().backward()
    assert close(g, 5, 5)
    assert close(x.grad, 1, 1)


def test_a_gradient_put_there_by_the_user_is_added_to(T: Any) -> None:
    x, g = vector(T), T.tensor([10.0, 20.0])
    x.grad = g
    x.sum().backward()
    assert x.grad is g
    assert close(g, 11, 21)
    del x.grad
    assert x.grad is None


def test_a_gradient_that_requires_grad_is_added_to(T: Any) -> None:
    x = vector(T)
    x.grad = T.ones(2, requires_grad=True)
    x.sum().backward()
    assert close(x.grad, 2, 2)
    assert x.grad.requires_grad


def test_recorded_gradients_are_copies_and_add_up_apart(T: Any) -> None:
    x = vector(T)
    (x * x).sum().backward(create_graph=True)
    first = x.grad
    assert first.grad_fn.name() == "torch::autograd::CopyBackwards"
    (x * x).sum().backward(create_graph=True)
    assert close(first, 2, 4)
    assert close(x.grad, 4, 8)
    assert x.grad is not first
    second = x.grad
    x.sum().backward()  # not recorded: written into
    assert x.grad is second
    assert close(second, 5, 9)
    x.grad = None


def test_a_gradient_is_its_leafs_own(T: Any) -> None:
    """No write to a gradient shows elsewhere, and no write elsewhere in a gradient."""
    x, w, g = vector(T), vector(T), T.ones(2)
    x.clone().backward(g)
    g.fill_(7)
    assert close(x.grad, 1, 1)
    x.grad = None
    y = x * 1
    y.retain_grad()
    ((y + w + x) * 2).sum().backward()
    x.grad.fill_(9)
    assert close(w.grad, 2, 2)
    assert close(y.grad, 2, 2)
    z = vector(T)
    ((z + w) * 2).sum().backward(inputs=[w, z])
    z.grad.fill_(9)
    assert close(w.grad, 4, 4)
    w.grad, z.grad = None, None
    ((z + w) * 2).sum().backward()
    z.grad.fill_(9)
    assert close(w.grad, 2, 2)


def test_a_gradient_of_another_librarys_array() -> None:
    """It is added to one of NumPy's, which cannot hold it, as a new array."""
    jnp = pytest.importorskip("jax.numpy")
    x = vector(chainrule)
    x.grad = chainrule.ones(2)
    (x * chainrule.asarray(jnp.array([3.0, 4.0]))).sum().backward()
    assert x.grad.tolist() == [4.0, 5.0]


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4)])
def test_a_gradient_lies_in_memory_as_its_leaf_does(T: Any, shape: tuple[int, ...]) -> None:
    for x in (T.ones(shape), T.ones(shape[::-1]).permute(*range(len(shape))[::-1])):
        x.requires_grad_()
        turned = lambda x=x: x.permute(*range(len(shape))[::-1])  # each time another view
        (turned() * T.ones(shape[::-1]) + turned() * 2).sum().backward()
        assert x.grad.stride() == x.stride()
        x.grad = None
        x.sum().backward()
        assert x.grad.stride() == x.stride()
        x.grad[(0,) * len(shape)] = 5
        assert x.grad.sum() == x.numel() + 4


def test_overflow_is_silent(T: Any) -> None:
    for x in (T.tensor(1.0, requires_grad=True), T.ones(2, requires_grad=True)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(2):
                (x * 1).backward(T.full(x.shape, 3e38))
        assert bool((x.grad == float("inf")).all())


BAD_GRADS: list[tuple[Callable[[Any], Any], type[Exception], str]] = [
    (lambda T: 3, TypeError, "assigned grad expected to be a Tensor or None but got grad of type int"),
    (
        lambda T: T.ones(3), RuntimeError,
        "attempting to assign a gradient of size '[3]' to a tensor of size '[2]'. Please ensure that the gradient and "
        "the tensor are the same size",
    ),
    (
        lambda T: T.ones(2, dtype=T.float64), RuntimeError,
        "attempting to assign a gradient with dtype 'double' to a tensor with grad_dtype 'Float'. The gradient must "
        "match the tensor's grad_dtype",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(BAD_GRADS)))
def test_refused_gradients(T: Any, case: int) -> None:
    make, error, message = BAD_GRADS[case]
    x = vector(T)
    with refused(error, message, whole=False):
        x.grad = make(T)
    with refused(RuntimeError, "can't assign Variable as its own grad"):
        x.grad = x
    assert x.grad is None


# --- next_functions -------------------------------------------------------------------------------------------


def walk(node: Any) -> list[str]:
    """The names on the way along first inputs."""
    names = []
    while node is not None:
        names.append(node.name())
        node = node.next_functions[0][0] if node.next_functions else None
    return names


def test_next_functions(T: Any) -> None:
    x, w = vector(T), vector(T)
    y = (x * w + 1).sin()
    assert walk(y.grad_fn) == ["SinBackward0", "AddBackward0", "MulBackward0", "torch::autograd::AccumulateGrad"]
    product = y.grad_fn.next_functions[0][0].next_functions[0][0]
    assert [(f.variable is v, number) for (f, number), v in zip(product.next_functions, (x, w), strict=True)] == [
        (True, 0), (True, 0),
    ]  # fmt: skip
    assert (x * 2).grad_fn.next_functions[1] == (None, 0)
    assert (x * w.detach()).grad_fn.next_functions[1] == (None, 0)


def test_nodes_are_the_same_each_time(T: Any) -> None:
    x = vector(T)
    y = x * 2
    z = y + y
    assert z.grad_fn.next_functions[0][0] is z.grad_fn.next_functions[1][0] is y.grad_fn
    accumulate = y.grad_fn.next_functions[0][0]
    assert accumulate is (x * 3).grad_fn.next_functions[0][0]
    assert accumulate.variable is x
    assert accumulate.next_functions == ()
    assert repr(accumulate).startswith("<AccumulateGrad object at 0x")
    assert repr(y.grad_fn).startswith("<MulBackward0 object at 0x")


def test_metadata(T: Any) -> None:
    node = (vector(T) * 2).grad_fn
    node.metadata["seen"] = 1
    assert node.metadata == {"seen": 1}
    assert (vector(T) * 2).grad_fn.metadata == {}


# --- a gradient of another dtype -----------------------------------------------------------------------------------


def test_the_dtype_of_a_gradient(T: Any) -> None:
    x = vector(T)
    assert x.grad_dtype == T.float32
    x.grad_dtype = T.float64
    seen: list[Any] = []
    x.register_hook(lambda g: seen.append(g.dtype))
    (x * x).sum().backward()
    (x * x).sum().backward()
    assert x.grad.dtype == T.float64 and close(x.grad, 4, 8) and seen == [T.float64] * 2
    assert T.autograd.grad((x * x).sum(), x)[0].dtype == T.float64
    x.grad = None
    (x * x).sum().backward(create_graph=True)
    assert x.grad.dtype == T.float64 and x.grad.requires_grad


def test_a_gradient_of_any_dtype(T: Any) -> None:
    x = vector(T)
    x.grad_dtype = None
    assert x.grad_dtype is None
    x.grad = T.ones(2, dtype=T.float64)
    (x * 2).sum().backward()
    assert x.grad.dtype == T.float64 and close(x.grad, 3, 3)


def test_what_a_grad_dtype_may_be(T: Any) -> None:
    x = vector(T)
    with refused(RuntimeError, "grad_dtype must be a torch.dtype or None, but got int"):
        x.grad_dtype = 3
    with refused(RuntimeError, "grad_dtype can only be accessed on leaf tensors."):
        (x * 2).grad_dtype
    with refused(RuntimeError, "grad_dtype can only be set on leaf tensors."):
        (x * 2).grad_dtype = T.float64
    x.grad = T.ones(2)
    with refused(
        RuntimeError, "Cannot set grad_dtype to 'Double' because there is already a gradient with dtype 'float'.", False
    ):
        x.grad_dtype = T.float64
    x.grad, x.grad_dtype = None, T.float64
    with refused(
        RuntimeError, "attempting to assign a gradient with dtype 'float' to a tensor with grad_dtype 'Double'.", False
    ):
        x.grad = T.ones(2)


def test_requires_grad_is_a_truth_value(T: Any) -> None:
    x = T.ones(2)
    with refused(RuntimeError, "requires_grad must be a bool"):
        x.requires_grad = 1
    with refused(TypeError, "requires_grad_(): argument 'requires_grad' (position 1) must be bool, not int"):
        x.requires_grad_(1)


def test_a_mode_once_more(T: Any) -> None:
    with T.no_grad().clone():
        assert not T.is_grad_enabled()


def test_the_switch_for_threads_decorates() -> None:
    switch = chainrule.autograd.set_multithreading_enabled
    assert not switch(False)(chainrule.autograd.is_multithreading_enabled)()
    assert chainrule.autograd.is_multithreading_enabled()


# --- nodes by PyTorch's names --------------------------------------------------------------------------------------

NODES: dict[str, tuple[Callable[..., Any], str, int]] = {  # what is computed; its node; how many edges it has
    "x % y": (lambda T, x, y: x % y, "RemainderBackward1", 2),
    "x % 2": (lambda T, x, y: x % 2, "RemainderBackward0", 1),
    "fmod": (lambda T, x, y: T.fmod(x, y), "FmodBackward1", 2),
    "fmod of a number": (lambda T, x, y: T.fmod(x, 2), "FmodBackward0", 1),
    "copysign of a number": (lambda T, x, y: T.copysign(x, -1.0), "CopysignBackward1", 1),
    "xlogy of a number": (lambda T, x, y: T.xlogy(x, 2.0), "XlogyBackward2", 1),
    "max": (lambda T, x, y: x.max(0).values, "MaxBackward0", 1),
    "max, kept": (lambda T, x, y: x.max(0, keepdim=True).values, "MaxBackward0", 1),
    "min": (lambda T, x, y: x.min(1).values, "MinBackward0", 1),
    "median": (lambda T, x, y: x.median(0).values, "MedianBackward1", 1),
    "mode": (lambda T, x, y: x.mode(0).values, "ModeBackward0", 1),
    "kthvalue": (lambda T, x, y: x.kthvalue(1).values, "KthvalueBackward0", 1),
    "masked_fill": (lambda T, x, y: x.masked_fill(x > 1, 0.0), "MaskedFillBackward0", 1),
    "masked_fill by a tensor": (lambda T, x, y: x.masked_fill(x > 1, y[0, 0]), "MaskedFillBackward1", 2),
    "clamp": (lambda T, x, y: x.clamp(0, 1), "ClampBackward1", 1),
    "index_select": (lambda T, x, y: x.index_select(0, T.tensor([1])), "IndexSelectBackward0", 1),
    "scatter": (lambda T, x, y: x.scatter(0, T.tensor([[1, 0]]), y[:1]), "ScatterBackward0", 2),
    "log1p": (lambda T, x, y: x.log1p(), "Log1PBackward0", 1),
}


@pytest.mark.parametrize("name", NODES)
def test_nodes(T: Any, name: str) -> None:
    f, node, edges = NODES[name]
    x, y = T.full((2, 2), 3.5, requires_grad=True), T.full((2, 2), 2.0, requires_grad=True)
    out = f(T, x, y)
    assert out.grad_fn.name() == node and f"grad_fn=<{node}>" in repr(out)
    assert len(out.grad_fn.next_functions) == edges
    out.sum().backward()
    assert x.grad is not None and (y.grad is not None) == (
        name in ("x % y", "fmod", "masked_fill by a tensor", "scatter")
    )


def test_numbers_that_nodes_show(T: Any) -> None:
    x = vector(T)
    node = x.clamp(0.5, 3).grad_fn
    assert (node._saved_min, node._saved_max) == (0.5, 3)
    assert T.nn.functional.elu(x, 0.7).grad_fn._saved_alpha == 0.7
