"""Inference mode, and the other switches of recording, on chainrule and, where it is installed, on PyTorch."""

from __future__ import annotations

import copy
import threading
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T, Table, leaf, quietly

__all__ = ["T"]
refused = Table()

SAVED = (
    "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in computation"
)
WRITTEN = "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a normal"
ASKED = "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed."
VIEWED = (
    "A view was created in inference mode and is being modified inplace in normal mode. Given that this use case is "
    "ambiguous and error-prone, it is forbidden. You can clarify your code by moving both the view and the inplace either "
    "both inside the inference_mode block (if you don't want the inplace to be tracked) or both outside (if you want the "
    "inplace to be tracked)."
)


def inferred(T: Any) -> Any:
    with T.inference_mode():
        return T.ones(3)


# --- which tensors are marked ---------------------------------------------------------------------------------------

MADE: dict[str, Any] = {
    "ones": lambda T, x: T.ones(3),
    "tensor": lambda T, x: T.tensor([1.0, 2.0]),
    "number": lambda T, x: T.tensor(1.0),
    "zeros_like": lambda T, x: T.zeros_like(x),
    "arange": lambda T, x: T.arange(3),
    "randn": lambda T, x: T.randn(3, generator=T.Generator().manual_seed(0)),
    "product": lambda T, x: x * 2,
    "product of two": lambda T, x: x * x,
    "number times": lambda T, x: 2 * x,
    "number minus": lambda T, x: 2 - x,
    "number to the power": lambda T, x: 2**x,
    "function": lambda T, x: x.exp(),
    "sum": lambda T, x: x.sum(),
    "broadcast": lambda T, x: x + T.ones(2, 1),
    "comparison": lambda T, x: x > 0,
    "cat": lambda T, x: T.cat([x, x]),
    "matmul": lambda T, x: x @ x,
    "softmax": lambda T, x: x.softmax(0),
    "index": lambda T, x: x[[0, 1]],
    "conversion": lambda T, x: x.double(),
    "clone": lambda T, x: x.clone(),
    "where": lambda T, x: T.where(x > 0, x, 0.0),
    "view of made": lambda T, x: T.ones(3).view(3, 1)[0],
    "detached": lambda T, x: T.ones(3).detach(),
}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_what_is_made_inside_is_marked(T: Any, name: str, requires_grad: bool) -> None:
    x = T.ones(3, requires_grad=requires_grad)
    with T.inference_mode():
        y = MADE[name](T, x)
    assert y.is_inference()
    assert T.is_inference(y)
    assert not y.requires_grad
    assert y.grad_fn is None
    assert not MADE[name](T, x).is_inference()


def test_views_and_aliases_are_as_what_they_show(T: Any) -> None:
    a, x = inferred(T), T.ones(3)
    assert all(t.is_inference() for t in (a[:1], a.view(3, 1), a.detach(), a.data))
    assert not a.clone().is_inference()
    assert not copy.deepcopy(a).is_inference()
    with T.inference_mode():
        assert not any(t.is_inference() for t in (x[:1], x.view(3, 1), x.detach()))


def test_outside_a_result_is_normal(T: Any) -> None:
    a = inferred(T)
    for y in (a * 2, a + T.ones(3), a.exp(), a.sum()):
        assert not y.is_inference()
    x = leaf(T)
    (a + x).sum().backward()  # adding saves nothing
    assert x.grad.tolist() == [1.0] * 3


def test_modes_inside_modes(T: Any) -> None:
    x = leaf(T)
    seen: list[Any] = []

    def look() -> None:
        seen.append(
            (T.is_inference_mode_enabled(), T.is_grad_enabled(), T.ones(1).is_inference(), (x * 2).requires_grad)
        )

    look()
    with T.inference_mode():
        look()
        with T.enable_grad():
            look()
        with T.inference_mode(False):
            look()
        with T.no_grad():
            look()
        look()
    with T.no_grad(), T.inference_mode(mode=False):
        look()
    look()
    normal, inside = (False, True, False, True), (True, False, True, False)
    assert seen == [normal, inside, (True, True, True, False), normal, inside, inside, normal, normal]


# --- what may be done with them -------------------------------------------------------------------------------------


@refused(SAVED)
def saved_for_a_product(T: Any) -> None:
    inferred(T) * leaf(T)


@refused(SAVED)
def saved_for_a_product_on_the_right(T: Any) -> None:
    leaf(T) * inferred(T)


@refused(SAVED)
def saved_for_a_matrix_product(T: Any) -> None:
    leaf(T) @ inferred(T)


@refused(SAVED)
def saved_for_a_broadcast_product(T: Any) -> None:
    leaf(T, 2, 3) * inferred(T)


@refused(SAVED)
def saved_by_a_function_of_the_users(T: Any) -> None:
    a = inferred(T)

    class F(T.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(a)
            return x * 2

    F.apply(leaf(T))


@refused(WRITTEN)
def written_to(T: Any) -> None:
    inferred(T).add_(1)


@refused(WRITTEN)
def assigned_to(T: Any) -> None:
    inferred(T)[0] = 1.0


@refused(WRITTEN)
def written_with_out(T: Any) -> None:
    T.add(T.ones(3), T.ones(3), out=inferred(T))


@refused(WRITTEN)
def accumulated(T: Any) -> None:
    x = leaf(T)
    y = (x * x).sum()
    with T.inference_mode():
        y.backward()
    assert x.grad.is_inference()
    (x * x).sum().backward()


@refused(ASKED)
def asked_for_a_gradient(T: Any) -> None:
    inferred(T).requires_grad_()


@refused(ASKED)
def told_to_require_grad(T: Any) -> None:
    inferred(T).requires_grad = True


@refused("Inference tensors do not track version counter.")
def asked_for_a_version(T: Any) -> None:
    inferred(T)._version


@refused(VIEWED)
def written_through_a_view_from_inside(T: Any) -> None:
    b = leaf(T) * 1
    with T.inference_mode():
        view = b[:2]
    view.add_(1)


@refused("a leaf Variable that requires grad is being used in an in-place operation.")
def written_leaf(T: Any) -> None:
    with T.inference_mode():
        a = T.ones(3, requires_grad=True)
    a.add_(1)


@pytest.mark.parametrize("name", refused)
def test_refused(T: Any, name: str) -> None:
    refused.raises(name, T)


def test_writing_inside_is_allowed(T: Any) -> None:
    a, x, p = inferred(T), leaf(T), T.ones(3)
    with T.inference_mode():
        a.add_(1)
        a[0] = 5.0
        x.mul_(3)
        p.add_(1)
        p.view(3).exp_()
    assert a.tolist() == [5.0, 2.0, 2.0]
    assert x.tolist() == [3.0] * 3
    assert p._version == 2
    assert not p.is_inference()


def test_writing_what_was_inferred_into_normal_tensors(T: Any) -> None:
    a, x = inferred(T), leaf(T)
    b = (x * 1).copy_(a)
    c = (x * 2).add_(a)
    c.sum().backward()
    assert not b.is_inference()
    assert x.grad.tolist() == [2.0] * 3


def test_a_function_of_the_users_inside(T: Any) -> None:
    class F(T.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

    with T.inference_mode():
        y = F.apply(leaf(T))
    assert y.is_inference()
    assert not y.requires_grad


# --- decorators and generators --------------------------------------------------------------------------------------


def test_decorators(T: Any) -> None:
    x = leaf(T)

    def f(t: Any) -> Any:
        return t * 2

    assert T.inference_mode()(f)(x).is_inference()
    assert T.inference_mode(f)(x).is_inference()
    assert T.inference_mode(False)(f)(x).requires_grad
    assert not T.no_grad()(f)(x).requires_grad
    assert not T.no_grad(f)(x).requires_grad
    with T.no_grad():
        assert T.enable_grad()(f)(x).requires_grad
        assert T.set_grad_enabled(True)(f)(x).requires_grad
        assert not T.is_grad_enabled()
    assert f.__name__ == T.no_grad()(f).__name__


def test_generators(T: Any) -> None:
    seen: list[Any] = []

    @T.no_grad()  # type: ignore[misc]
    def steps() -> Generator[Any, Any, str]:
        try:
            seen.append((yield T.is_grad_enabled(), T.is_grad_enabled()))
            yield T.is_grad_enabled()
        except KeyError:
            seen.append(T.is_grad_enabled())
            yield "caught"
        finally:
            seen.append(T.is_grad_enabled())
        return "end"

    g = steps()
    assert next(g) == (False, False)
    assert T.is_grad_enabled()
    assert g.send("sent") is False
    assert g.throw(KeyError()) == "caught"
    with pytest.raises(StopIteration) as end:
        next(g)
    assert end.value.value == "end"
    assert seen == ["sent", False, False]
    g = steps()
    next(g)
    g.close()
    assert seen == ["sent", False, False, False]
    assert T.is_grad_enabled()


def test_classes_may_be_decorated_with_a_warning(T: Any) -> None:
    class A:
        def __init__(self) -> None:
            self.grad = T.is_grad_enabled()

    with pytest.warns(FutureWarning, match="Decorating classes is deprecated and will be disabled in future versions"):
        B = T.no_grad()(A)
    assert not B().grad


def test_one_context_may_be_entered_again(T: Any) -> None:
    mode = T.inference_mode()
    for _ in range(2):
        with mode:
            assert T.is_inference_mode_enabled()
        assert not T.is_inference_mode_enabled()


def test_settings_leave_what_is_not_theirs(T: Any) -> None:
    with T.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        T.set_grad_enabled(False)
    assert not T.is_grad_enabled()
    T.set_grad_enabled(True)
    assert repr(T.set_grad_enabled(True)) == "torch.autograd.grad_mode.set_grad_enabled(mode=True)"


def test_multithreading(T: Any) -> None:
    x = leaf(T)
    with T.autograd.set_multithreading_enabled(False):
        (x * 2).sum().backward()
    T.autograd.set_multithreading_enabled(True)
    assert x.grad.tolist() == [2.0] * 3


def test_modes_belong_to_a_thread() -> None:
    seen: list[Any] = []

    def look() -> None:
        seen.append((torch.is_inference_mode_enabled(), torch.ones(1).is_inference(), (leaf(torch) * 2).requires_grad))

    with torch.inference_mode():
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen == [(False, False, True)]


def test_a_leaf_made_inside_is_refused_where_it_would_be_saved() -> None:
    """PyTorch records nothing if all arguments were made inside, so the gradient is missing without a word."""
    with torch.inference_mode():
        a = torch.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        a * a


def test_profilers_say_what_to_use() -> None:
    for name in ("profile", "record_function", "emit_nvtx", "emit_itt"):
        with pytest.raises(NotImplementedError, match="cProfile"):
            getattr(torch.autograd.profiler, name)("label")


def test_inference_under_transforms() -> None:
    x = torch.arange(3.0)
    with torch.inference_mode():
        y = torch.func.vmap(lambda t: t * 2)(x)
    np.testing.assert_array_equal(quietly(lambda T: y.numpy(), torch), [0.0, 2.0, 4.0])
