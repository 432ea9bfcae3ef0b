"""The graph and what is hung on it, on chainrule and, where it is installed, on PyTorch."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T, leaf, quietly

__all__ = ["T"]


def numbers(*tensors: Any) -> list[Any]:
    return [None if t is None else t.detach().numpy().tolist() for t in tensors]


def error(case: Any, T: Any) -> tuple[str, str]:
    with pytest.raises(Exception) as caught:
        quietly(case, T)
    return type(caught.value).__name__, str(caught.value)


def saved_hooks(T: Any, pack: Any, unpack: Any) -> Any:
    return T.autograd.graph.saved_tensors_hooks(pack, unpack)


# --- nodes, edges, names --------------------------------------------------------------------------------------------

# An expression in a leaf x, its node, the nodes behind its inputs, and the values it may have saved.
NODES: list[tuple[str, str, list[str | None], set[str]]] = [
    ("x * 3", "MulBackward0", ["AccumulateGrad", None], {"self", "other"}),
    ("3 * x", "MulBackward0", ["AccumulateGrad", None], {"self", "other"}),
    ("x + 3", "AddBackward0", ["AccumulateGrad", None], set()),
    ("3 + x", "AddBackward0", ["AccumulateGrad", None], set()),
    ("x - 3", "SubBackward0", ["AccumulateGrad", None], set()),
    ("3 - x", "RsubBackward1", ["AccumulateGrad"], set()),
    ("x * x.detach()", "MulBackward0", ["AccumulateGrad", None], {"self", "other"}),
    ("x.detach() * x", "MulBackward0", [None, "AccumulateGrad"], {"self", "other"}),
    ("x ** 2", "PowBackward0", ["AccumulateGrad"], {"self", "exponent"}),
    ("x ** x", "PowBackward1", ["AccumulateGrad", "AccumulateGrad"], {"self", "exponent", "result"}),
    ("2 ** x", "PowBackward2", ["AccumulateGrad"], {"self", "exponent", "result"}),
    ("-x", "NegBackward0", ["AccumulateGrad"], set()),
    ("x.exp()", "ExpBackward0", ["AccumulateGrad"], {"result"}),
    ("x.log()", "LogBackward0", ["AccumulateGrad"], {"self"}),
    ("x.sqrt()", "SqrtBackward0", ["AccumulateGrad"], {"result"}),
    ("x.tanh()", "TanhBackward0", ["AccumulateGrad"], {"result"}),
    ("x.sigmoid()", "SigmoidBackward0", ["AccumulateGrad"], {"result"}),
    ("x.sin()", "SinBackward0", ["AccumulateGrad"], {"self"}),
    ("x.abs()", "AbsBackward0", ["AccumulateGrad"], {"self"}),
    ("T.maximum(x, 2 * x)", "MaximumBackward0", ["AccumulateGrad", "MulBackward0"], {"self", "other"}),
    ("T.where(x > 0, x, 0.0)", "WhereBackward0", ["AccumulateGrad", None], {"condition"}),
    ("x @ x", "DotBackward0", ["AccumulateGrad", "AccumulateGrad"], {"self", "tensor"}),
    ("x.view(1, 3) @ x.view(3, 1)", "MmBackward0", ["ViewBackward0", "ViewBackward0"], {"self", "mat2"}),
    ("x.view(1, 3) @ x", "MvBackward0", ["ViewBackward0", "AccumulateGrad"], {"self", "vec"}),
    ("x.softmax(0)", "SoftmaxBackward0", ["AccumulateGrad"], {"result"}),
    ("x.sum()", "SumBackward0", ["AccumulateGrad"], set()),
    ("T.cat([x, x])", "CatBackward0", ["AccumulateGrad", "AccumulateGrad"], set()),
    ("x.clone().copy_(x)", "torch::autograd::CopyBackwards", ["CloneBackward0", "AccumulateGrad"], set()),
    ("x.clone().fill_(2)", "FillBackward2", ["CloneBackward0"], set()),
    ("x.clone().mul_(2)", "MulBackward0", ["CloneBackward0", None], {"self", "other"}),
    ("T.nn.functional.mse_loss(x, x.detach())", "MseLossBackward0", ["AccumulateGrad", None], {"self", "target"}),
]


@pytest.mark.parametrize(("expression", "name", "following", "saved"), NODES, ids=[n[0] for n in NODES])
def test_nodes_have_pytorchs_names_edges_and_saved_values(
    T: Any, expression: str, name: str, following: Any, saved: set[str]
) -> None:
    x = leaf(T)
    node = eval(expression, {"T": T, "x": x}).grad_fn
    assert node.name() == name
    assert [n and n.name().rpartition("::")[2] for n, _ in node.next_functions] == following
    raw = {d.removeprefix("_raw_saved_") for d in dir(node) if d.startswith("_raw_saved_")}
    other = {d.removeprefix("_saved_") for d in dir(node) if d.startswith("_saved_")} - raw
    assert raw | (other & {"exponent", "self"}) == saved


def test_saved_values(T: Any) -> None:
    x = leaf(T, value=2.0)
    square, exp, power, scaled = x * x, x.exp(), x**3, x * 4
    assert square.grad_fn._saved_self is x
    assert exp.grad_fn._saved_result.grad_fn is exp.grad_fn
    assert power.grad_fn._saved_exponent == 3
    assert scaled.grad_fn._saved_self is None
    assert scaled.grad_fn._saved_other.item() == 4
    assert x.sum().grad_fn._saved_self_sym_sizes == (3,)
    square.sum().backward()
    text = (
        "Trying to backward through the graph a second time (or directly access saved tensors after they have already"
    )
    assert error(lambda T: square.grad_fn._saved_self, T)[1].startswith(text)
    b = x * 1
    y = b * b
    b.add_(1)
    text = "one of the variables needed for gradient computation has been modified by an inplace operation"
    assert error(lambda T: y.grad_fn._saved_self, T)[1].startswith(text)
    with pytest.raises(AttributeError):
        y.grad_fn._saved_nothing


def test_nodes_are_functions_of_gradients(T: Any) -> None:
    x, y = leaf(T, value=2.0), leaf(T, value=3.0)
    g = T.ones(3)
    a, b = (x * y).grad_fn(g)
    assert numbers(a, b) == [[3.0] * 3, [2.0] * 3]
    assert a.requires_grad
    with T.no_grad():
        assert not x.exp().requires_grad
    n = (x * 4).grad_fn
    with T.no_grad():
        assert numbers(*n(g)) == [[4.0] * 3, None]
        assert not n(g)[0].requires_grad
    assert error(lambda T: n(), T) == ("TypeError", "expected 1 arguments, got 0 instead")
    assert error(lambda T: n(3.0), T) == ("TypeError", "argument 0 is not a Variable")
    n.next_functions[0][0](g * 7)
    assert numbers(x.grad) == [[7.0] * 3]


def test_isinstance_of_node(T: Any) -> None:
    Node = T.autograd.graph.Node
    y = leaf(T) * 2
    assert isinstance(y.grad_fn, Node)
    assert isinstance(y.grad_fn.next_functions[0][0], Node)
    assert not isinstance(y, Node)


# --- hooks of nodes -------------------------------------------------------------------------------------------------


def test_the_order_of_hooks(T: Any) -> None:
    log: list[Any] = []
    x = leaf(T)
    b = x * 2
    b.retain_grad()
    b.register_hook(lambda g: log.append(("tensor", b.grad is None)))
    b.grad_fn.register_prehook(lambda gs: log.append(("pre", len(gs), gs[0].requires_grad, T.is_grad_enabled())))
    b.grad_fn.register_hook(lambda gi, go: log.append(("post", [g is not None for g in gi], len(go))))
    b.register_hook(lambda g: log.append(("tensor too", b.grad is None)))
    accumulate = b.grad_fn.next_functions[0][0]
    x.register_hook(lambda g: log.append(("leaf", x.grad is None)))
    accumulate.register_prehook(lambda gs: log.append(("leaf pre", len(gs), x.grad is None)))
    accumulate.register_hook(lambda gi, go: log.append(("leaf post", gi, len(go), x.grad is None)))
    x.register_post_accumulate_grad_hook(lambda t: log.append(("leaf accumulated", x.grad is None)))
    b.sin().sum().backward()
    assert log == [
        ("tensor", True), ("tensor too", True), ("pre", 1, False, False), ("post", [True, False], 1),
        ("leaf", True), ("leaf pre", 1, True), ("leaf accumulated", False), ("leaf post", (), 1, False),
    ]  # fmt: skip


def test_hooks_change_gradients(T: Any) -> None:
    for kind, factor in (("register_prehook", lambda gs: (gs[0] * 10,)),
                         ("register_hook", lambda gi, go: (gi[0] * 10, gi[1]))):  # fmt: skip
        x = leaf(T)
        y = x * 2
        with getattr(y.grad_fn, kind)(factor):
            y.sum().backward(retain_graph=True)
        y.sum().backward()
        assert numbers(x.grad) == [[22.0] * 3]


def test_hooks_see_the_inputs_that_pytorchs_node_has(T: Any) -> None:
    for make, slope in ((lambda x: x**2, 4.0), (lambda x: 3 - x, -1.0), (lambda x: T.where(x > 0, x, 0.0), 1.0)):
        x, seen = leaf(T, value=2.0), []
        y = make(x)
        y.grad_fn.register_hook(lambda gi, go, seen=seen: (seen.append(len(gi)), (gi[0] * 10, *gi[1:]))[1])
        y.sum().backward()
        assert seen == [len(y.grad_fn.next_functions)]
        assert numbers(x.grad) == [[slope * 10] * 3]


WRONG_HOOKS: dict[str, tuple[Any, str, str]] = {
    "prehook gives no tuple": (
        lambda y: y.grad_fn.register_prehook(lambda gs: gs[0]), "TypeError", "expected tuple, but hook returned 'Tensor'"),
    "hook gives no tuple": (
        lambda y: y.grad_fn.register_hook(lambda gi, go: gi[0]), "TypeError", "expected tuple, but hook returned 'Tensor'"),
    "hook gives too few": (
        lambda y: y.grad_fn.register_hook(lambda gi, go: gi[:1]),
        "RuntimeError", "hook '<lambda>' has returned an incorrect number of values (got 1, but expected 2)"),
    "prehook gives too many": (
        lambda y: y.grad_fn.register_prehook(lambda gs: (gs[0], gs[0])),
        "RuntimeError", "hook '<lambda>' has returned an incorrect number of values (got 2, but expected 1)"),
    "hook gives what was not there": (
        lambda y: y.grad_fn.register_hook(lambda gi, go: (gi[0], gi[0])),
        "RuntimeError", "can't replace a None gradient with a non-None value"),
    "tensor hook gives a number": (
        lambda y: y.register_hook(lambda g: 3), "TypeError", "expected Variable, but hook returned 'int'"),
    "tensor hook gives another shape": (
        lambda y: y.register_hook(lambda g: g[:2]), "RuntimeError", "hook '<lambda>' has changed the size of value"),
    "tensor hook gives another dtype": (
        lambda y: y.register_hook(lambda g: g.double()), "RuntimeError",
        "hook '<lambda>' has changed the type of value (was torch.FloatTensor got torch.DoubleTensor)"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_HOOKS)
def test_hooks_that_give_what_cannot_be(T: Any, name: str) -> None:
    register, kind, text = WRONG_HOOKS[name]
    y = leaf(T) * 2
    register(y)
    assert error(lambda T: y.sum().backward(), T) == (kind, text)


def test_hooks_may_say_that_there_is_no_gradient(T: Any) -> None:
    x = leaf(T)
    y = x * 2
    handle = y.grad_fn.register_prehook(lambda gs: (None,))
    y.sum().backward(retain_graph=True)
    assert x.grad is None
    handle.remove()
    y.grad_fn.register_hook(lambda gi, go: (None, None))
    y.sum().backward()
    assert x.grad is None


def test_a_leafs_node_is_always_the_same(T: Any) -> None:
    x = leaf(T)
    a, b = x * 2, x.exp()
    node = a.grad_fn.next_functions[0][0]
    assert node is b.grad_fn.next_functions[0][0]
    assert node.variable is x
    assert node.name() == "torch::autograd::AccumulateGrad"
    assert node.next_functions == ()


def test_hooks_of_a_leafs_node_change_what_is_added(T: Any) -> None:
    x = leaf(T)
    y = x * 2
    y.grad_fn.next_functions[0][0].register_prehook(lambda gs: (gs[0] * 10,))
    y.sum().backward(retain_graph=True)
    assert numbers(x.grad, *T.autograd.grad(y.sum(), x)) == [[20.0] * 3, [2.0] * 3]


def test_looking_at_a_leafs_node_keeps_nothing_alive() -> None:
    gc.disable()
    try:
        x = torch.ones(2, requires_grad=True)
        y = x * 2
        node, kept = weakref.ref(y.grad_fn.next_functions[0][0]), weakref.ref(x)
        assert node() is None
        del x, y
        assert kept() is None
    finally:
        gc.enable()


# --- hooks on several gradients -------------------------------------------------------------------------------------


def test_multi_grad_hook(T: Any) -> None:
    a, b = leaf(T), leaf(T)
    e = b * 2
    c, d = a * e, a * b
    calls: list[Any] = []
    T.autograd.graph.register_multi_grad_hook((a, e), lambda gs: calls.append([g is not None for g in gs]))
    c.sum().backward(inputs=(a,), retain_graph=True)  # does not come through e
    assert calls.pop() == [True, False]
    a.grad = None
    calls.clear()
    handle = T.autograd.graph.register_multi_grad_hook(
        (a, b, c, d), lambda gs: calls.append([g is not None for g in gs])
    )
    c.sum().backward(retain_graph=True)
    c.sum().backward(inputs=(a,), retain_graph=True)
    (c + d).sum().backward(retain_graph=True)
    handle.remove()
    c.sum().backward(retain_graph=True)
    calls = [call for call in calls if len(call) == 4]
    assert calls == [[True, True, True, False], [True, False, True, False], [True] * 4]


def test_multi_grad_hook_any(T: Any) -> None:
    a, b = leaf(T), leaf(T)
    c = a * b
    calls: list[Any] = []
    T.autograd.graph.register_multi_grad_hook((a, b, c), calls.append, mode="any")
    (c * 5).sum().backward(retain_graph=True)
    c.sum().backward()
    assert numbers(*calls) == [[5.0] * 3, [1.0] * 3]


def test_multi_grad_hook_refused(T: Any) -> None:
    register = T.autograd.graph.register_multi_grad_hook
    text = "Expects mode to be one of ('all', 'any') but got some"
    assert error(lambda T: register((leaf(T),), print, mode="some"), T) == ("ValueError", text)
    assert error(lambda T: register((T.ones(2),), print), T) == (
        "AssertionError",
        "Expected gradient function to be set",
    )


def test_multi_grad_hook_under_grad() -> None:
    """PyTorch refuses leaves here."""
    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    c = a * b
    calls: list[Any] = []
    torch.autograd.graph.register_multi_grad_hook((a, b, c), lambda gs: calls.append([g is not None for g in gs]))
    torch.autograd.grad(c.sum(), a)
    assert calls == [[True, False, True]]


# --- gradient edges -------------------------------------------------------------------------------------------------


def test_gradient_edges(T: Any) -> None:
    edge = T.autograd.graph.get_gradient_edge
    x = leaf(T)
    y = x * 2
    total = y.sum()
    assert edge(x).node is y.grad_fn.next_functions[0][0]
    assert edge(y)[:2] == (y.grad_fn, 0)
    assert numbers(*T.autograd.grad(total, [edge(y), edge(x)], retain_graph=True)) == [[1.0] * 3, [2.0] * 3]
    assert numbers(*T.autograd.grad(edge(y), x, T.ones(3), retain_graph=True)) == [[2.0] * 3]
    T.autograd.backward([edge(y)], [T.ones(3)], retain_graph=True)
    T.autograd.backward(total, inputs=[edge(x)], retain_graph=True)
    assert numbers(x.grad) == [[4.0] * 3]
    text = "grad can be implicitly created only for scalar outputs"
    assert error(lambda T: T.autograd.backward([edge(y)]), T) == ("RuntimeError", text)
    text = "It is not possible to get the gradient edge for a Tensor that does not require gradients"
    assert error(lambda T: edge(T.ones(2)), T) == ("RuntimeError", text)


def test_a_gradient_edge_keeps_the_graph(T: Any) -> None:
    class Two(T.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2, x * 3

        @staticmethod
        def backward(ctx: Any, g: Any, h: Any) -> Any:
            return g * 2 + h * 3

    x = leaf(T)
    a, b = Two.apply(x)
    edges = [T.autograd.graph.get_gradient_edge(t) for t in (a, b)]
    del a, b
    found = [T.autograd.grad(e, x, T.ones(3))[0] for e in edges]
    assert numbers(*found) == [[2.0] * 3, [3.0] * 3]
    a, b = Two.apply(x)
    edge = T.autograd.graph.get_gradient_edge(b)
    assert numbers(*T.autograd.grad((a + b * 5).sum(), edge)) == [[5.0] * 3]


def test_gradient_edges_under_transforms() -> None:
    def slope(create_graph: bool) -> Any:
        def f(x: Any) -> Any:
            edge = torch.autograd.graph.get_gradient_edge(x * x)
            (g,) = torch.autograd.grad(edge, x, x, create_graph=create_graph)
            return g * x

        return torch.func.vmap(torch.func.grad(f))(torch.tensor([1.0, 2.0]))

    assert numbers(slope(True), slope(False)) == [[6.0, 24.0], [2.0, 8.0]]


def test_increment_version(T: Any) -> None:
    x = leaf(T)
    b = x * 1
    y = b * b
    T.autograd.graph.increment_version(b)
    T.autograd.graph.increment_version([b, x])
    assert (b._version, x._version) == (2, 1)
    text = "one of the variables needed for gradient computation has been modified by an inplace operation"
    assert error(lambda T: y.sum().backward(), T)[1].startswith(text)


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
