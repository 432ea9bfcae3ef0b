"""The graph and the hooks of its nodes, on chainrule and, where it is installed, on PyTorch."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

import chainrule as torch
from both import T, error, leaf, numbers

__all__ = ["T"]


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
