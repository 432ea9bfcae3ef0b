"""Hooks on the values that a graph saves, on chainrule and, where it is installed, on PyTorch."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T, error, leaf, numbers

__all__ = ["T"]


def saved_hooks(T: Any, pack: Any, unpack: Any) -> Any:
    return T.autograd.graph.saved_tensors_hooks(pack, unpack)


# --- hooks on saved values ------------------------------------------------------------------------------------------


def test_saved_values_are_packed_and_unpacked_in_pytorchs_order(T: Any) -> None:
    log: list[Any] = []
    x, y = leaf(T, value=2.0), leaf(T, value=3.0)

    def pack(t: Any) -> Any:
        log.append(("pack", t.tolist()[0], t is x, t.requires_grad))
        return t.detach()

    def unpack(t: Any) -> Any:
        log.append(("unpack", t.tolist()[0]))
        return t

    with saved_hooks(T, pack, unpack):
        z = x * y
        w = x**y
    assert log == [
        ("pack", 3.0, False, True), ("pack", 2.0, True, True),  # by the names other, self
        ("pack", 3.0, False, True), ("pack", 2.0, True, True), ("pack", 8.0, False, True),  # exponent, self; result last
    ]  # fmt: skip
    log.clear()
    z.sum().backward()
    w.sum().backward()
    assert log == [("unpack", n) for n in (3.0, 2.0, 3.0, 2.0, 8.0)]


def test_what_is_unpacked_is_what_counts(T: Any) -> None:
    x = leaf(T, value=2.0)
    with (
        saved_hooks(T, lambda t: t.detach() * 0 + 5, lambda t: t),
        saved_hooks(T, lambda t: t.detach() * 0 + 7, lambda t: t),
    ):
        y = x**2
    y.sum().backward()
    assert numbers(x.grad) == [[14.0] * 3]  # the innermost pair alone


def test_unpacked_values_have_their_history(T: Any) -> None:
    x = leaf(T, value=2.0)
    with saved_hooks(T, lambda t: t.tolist(), T.tensor):
        y = x * x
        z = y.exp() * y
    assert y.grad_fn._saved_self.requires_grad
    assert y.grad_fn._saved_self is not x
    assert y.grad_fn._saved_self.is_leaf
    (first,) = T.autograd.grad(z.sum(), x, create_graph=True)
    (second,) = T.autograd.grad(first.sum(), x)
    np.testing.assert_allclose(first.detach().numpy(), 4 * np.exp(4) * 5, rtol=1e-5)
    np.testing.assert_allclose(second.numpy(), np.exp(4) * (16 * 6 + 2 * 5), rtol=1e-5)


def test_packed_values_are_not_checked_for_writes(T: Any) -> None:
    x = leaf(T, value=2.0)
    b = x * 1
    with saved_hooks(T, lambda t: t.clone().detach(), lambda t: t):
        y = b * b
    b.add_(1)
    y.sum().backward()
    assert numbers(x.grad) == [[4.0] * 3]


def test_writing_operations_pack_the_value_before(T: Any) -> None:
    x = leaf(T)
    with saved_hooks(T, lambda t: t.detach(), lambda t: t):
        y = (x * 1).sin_().mul_(x).exp_()
    (g,) = T.autograd.grad(y.sum(), x)
    plain = (x.sin() * x).exp()
    np.testing.assert_allclose(g.numpy(), T.autograd.grad(plain.sum(), x)[0].numpy(), rtol=1e-5)


def test_numbers_are_not_packed(T: Any) -> None:
    packed: list[Any] = []
    with saved_hooks(T, lambda t: packed.append(t), lambda t: t):
        leaf(T) * 3
        leaf(T) + leaf(T)
        T.ones(3) * T.ones(3)
        with T.no_grad():
            leaf(T) * leaf(T)
    assert packed == []


def test_a_users_function_is_packed_too(T: Any) -> None:
    class Square(T.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = x * x
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, y = ctx.saved_tensors
            return g * 2 * y / x

    x, log = leaf(T, value=2.0), []
    with saved_hooks(T, lambda t: (log.append("pack"), t.detach())[1], lambda t: (log.append("unpack"), t)[1]):
        y = Square.apply(x)
    y.sum().backward()
    assert log == ["pack", "pack", "unpack", "unpack"]
    assert numbers(x.grad) == [[4.0] * 3]


def test_packed_values_go_with_the_graph(T: Any) -> None:
    class Packed:
        def __init__(self, t: Any) -> None:
            self.t = t.detach()

    kept: list[Any] = []

    def pack(t: Any) -> Any:
        packed = Packed(t)
        kept.append(weakref.ref(packed))
        return packed

    x = leaf(T)
    with saved_hooks(T, pack, lambda p: p.t):
        y = x.exp() * x
    y.sum().backward(retain_graph=True)
    assert all(ref() is not None for ref in kept)
    y.sum().backward()
    assert [ref() for ref in kept] == [None] * 3
    text = (
        "Trying to backward through the graph a second time (or directly access saved tensors after they have already"
    )
    assert error(lambda T: y.sum().backward(), T)[1].startswith(text)


def test_hooks_on_one_saved_value(T: Any) -> None:
    x, other = leaf(T, value=2.0), leaf(T, value=3.0)
    y = x * other
    raw = y.grad_fn._raw_saved_self
    raw.register_hooks(lambda t: t.numpy(), lambda a: T.tensor(a * 10))
    assert numbers(y.grad_fn._saved_self, y.grad_fn._saved_other) == [[20.0] * 3, [3.0] * 3]
    again = (
        "Calling register_hooks on a saved tensor whose hooks have already been set. Hint: only one pair of hooks is"
    )
    assert error(lambda T: raw.register_hooks(lambda t: t, lambda t: t), T)[1].startswith(again)
    y.sum().backward()
    assert numbers(x.grad, other.grad) == [[3.0] * 3, [20.0] * 3]
    freed = (
        "Calling register_hooks on a saved tensor after it has been freed. Saved intermediate values of the graph are"
    )
    assert error(lambda T: raw.register_hooks(lambda t: t, lambda t: t), T)[1].startswith(freed)
    none = (x * 3).grad_fn._raw_saved_self
    text = "Calling register_hooks on a saved tensor with value None is forbidden"
    assert error(lambda T: none.register_hooks(lambda t: t, lambda t: t), T) == ("RuntimeError", text)


def test_the_rest_of_a_hooked_node_is_still_checked(T: Any) -> None:
    x, other = leaf(T), leaf(T) * 1
    y = x * other
    y.grad_fn._raw_saved_self.register_hooks(lambda t: t, lambda t: t)
    other.add_(1)
    text = "one of the variables needed for gradient computation has been modified by an inplace operation"
    assert error(lambda T: y.sum().backward(), T)[1].startswith(text)


WRONG_PACKS: dict[str, tuple[Any, Any, str, str]] = {
    "a pack hook that writes": (
        lambda t: t.add_(1), lambda t: t, "RuntimeError",
        "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook can"),
    "an unpack hook that gives a number": (
        lambda t: 1, lambda t: t, "TypeError",
        "Output of saved tensor unpack_hook expected to be a Tensor but got result of type int"),
    "an unpack hook that gives another shape": (
        lambda t: 1, lambda t: torch.ones(2) if isinstance(t, torch.Tensor) else None, "TypeError",
        "Output of saved tensor unpack_hook expected to be a Tensor but got result of type NoneType"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_PACKS)
def test_pack_hooks_that_cannot_be(T: Any, name: str) -> None:
    pack, unpack, kind, text = WRONG_PACKS[name]

    def case(T: Any) -> None:
        with saved_hooks(T, pack, unpack):
            y = leaf(T).clone() ** 2
        y.sum().backward()

    found = error(case, T)
    assert found[0] == kind
    assert found[1].startswith(text)


def test_an_unpack_hook_that_gives_another_shape(T: Any) -> None:
    def case(T: Any) -> None:
        with saved_hooks(T, lambda t: 1, lambda t: T.ones(2)):
            y = leaf(T).clone() ** 2
        y.sum().backward()

    text = "The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 0"
    assert error(case, T) == ("RuntimeError", text)


def test_errors_in_hooks_leave_the_mode_as_it_was(T: Any) -> None:
    def pack(t: Any) -> Any:
        raise ValueError("no")

    x = leaf(T)
    with pytest.raises(ValueError, match="no"), saved_hooks(T, pack, lambda t: t):
        x * x
    y = x * x
    assert y.grad_fn._saved_self is x
    assert T.is_grad_enabled()


def test_hooks_may_be_refused(T: Any) -> None:
    graph = T.autograd.graph

    def inside(T: Any) -> None:
        with graph.disable_saved_tensors_hooks("not here"):
            assert (leaf(T) * 2).requires_grad
            with saved_hooks(T, lambda t: t, lambda t: t):
                pass

    def around(T: Any) -> None:
        with saved_hooks(T, lambda t: t, lambda t: t), graph.disable_saved_tensors_hooks("not here"):
            pass

    assert error(inside, T) == error(around, T) == ("RuntimeError", "not here")
    with saved_hooks(T, lambda t: t, lambda t: t):
        pass


def test_save_on_cpu(T: Any) -> None:
    for pin in (False, True):
        x = leaf(T, value=2.0)
        with T.autograd.graph.save_on_cpu(pin_memory=pin):
            y = x * x
        y.sum().backward()
        assert numbers(x.grad) == [[4.0] * 3]


def test_hooks_and_grad_modes_nest(T: Any) -> None:
    x, log = leaf(T), []
    with saved_hooks(T, lambda t: (log.append(1), t.detach())[1], lambda t: t):
        with T.no_grad():
            x * x
            with T.enable_grad():
                x * x
        x * x
    x * x
    assert log == [1] * 4


def test_packed_graphs_die_with_their_last_tensor() -> None:
    gc.disable()
    try:
        x = torch.ones(2, requires_grad=True)
        with saved_hooks(torch, lambda t: t.detach(), lambda t: t):
            y = (x * x).exp()
        node = weakref.ref(y._node)
        y.sum().backward()
        del y
        assert node() is None
    finally:
        gc.enable()


# --- writing to what is saved ---------------------------------------------------------------------------------------


def test_mutation_of_what_is_saved(T: Any) -> None:
    with T.autograd.graph.allow_mutation_on_saved_tensors():
        x = leaf(T, value=2.0)
        b = x.clone()
        y, z = (b**2).sum(), b.exp()
        b.sin_()
        b[0] = 7.0
        z.mul_(3)
        b.view(3).zero_()
        (y + z.sum()).backward()
    np.testing.assert_allclose(x.grad.numpy(), 4 + 3 * np.exp(2), rtol=1e-6)


def test_mutation_belongs_inside(T: Any) -> None:
    with T.autograd.graph.allow_mutation_on_saved_tensors():
        b = leaf(T) * 1
        y = (b**2).sum()
        b.sin_()
    text = (
        "Trying to backward outside of the 'allow_mutation_on_saved_tensors' context"
        "in which the graph was originally recorded."
    )
    assert error(lambda T: y.backward(), T) == ("AssertionError", text)

    def nested(T: Any) -> None:
        allow = T.autograd.graph.allow_mutation_on_saved_tensors
        with allow(), allow():
            pass

    text = "allow_mutation_on_saved_tensors contexts cannot be nested"
    assert error(nested, T) == ("RuntimeError", text)


def test_compiled_functions_show_all_they_do() -> None:
    f = torch.compile(lambda t: t.exp().sin())
    x, packed = leaf(torch), []
    for _ in range(2):
        f(x)
        with saved_hooks(torch, lambda t: packed.append(1) or t.detach(), lambda t: t):
            y = f(x)
    assert packed == [1] * 4
    with torch.autograd.set_detect_anomaly(True):
        assert "traceback_" in f(x).grad_fn.metadata
    with torch.inference_mode():
        assert f(x).is_inference()
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.e * np.cos(np.e), rtol=1e-5)


# --- what it costs when it is not used ------------------------------------------------------------------------------


def test_nothing_is_packed_or_noted_without_hooks() -> None:
    x = torch.ones(3, requires_grad=True)
    before = x.exp().grad_fn
    with saved_hooks(torch, lambda t: t.detach(), lambda t: t):
        packed = x.exp().grad_fn
    after = x.exp().grad_fn
    assert packed.saved is None
    assert before.saved is not None
    assert after.saved is not None
    assert after.extra.packed is None
    assert "metadata" not in after.extra.__dict__
