"""The nan tracer: the first place is named, nothing else is an error, and lanes stay lanes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule import modes
from chainrule import node as nodes
from chainrule.autograd import trace_nan
from chainrule.language import set_language


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    set_language("en")
    yield
    set_language(None)


def told(case: Callable[[], Any]) -> str:
    """What the tracer says."""
    with pytest.raises(FloatingPointError) as caught, trace_nan():
        case()
    return "\n".join([str(caught.value), *caught.value.__notes__])


def leaf(*values: float) -> Any:
    return torch.tensor(values, requires_grad=True)


def head(h: Any) -> Any:
    d = h - 2
    r = torch.sqrt(d)  # the line to blame
    return r * 3


# --- forward ------------------------------------------------------------------------------------------------


def test_forward_names_the_line_inside_a_call_the_numbers_and_the_mend() -> None:
    text = told(lambda: head(leaf(3.0, 1.0, 6.0)).sum().backward())
    first, value, remedy = text.splitlines()
    assert first.startswith("the value becomes nan in sqrt: test_trace_nan.py:")
    assert first.endswith("r = torch.sqrt(d)  # the line to blame")
    assert value == "sqrt(-1) = nan, at [1], 1 of 3 entries."
    assert "clamp(min=0).sqrt()" in remedy


FORWARD: dict[str, tuple[Callable[[], Any], str, str]] = {
    "log": (lambda: torch.log(leaf(1.0, 0.0)), "becomes -inf in log", "log(0) = -inf, at [1]"),
    "division": (lambda: leaf(1.0, 0.0) / torch.tensor([2.0, 0.0]), "becomes nan in div", "div(0, 0) = nan, at [1]"),
    "overflow": (lambda: torch.exp(leaf(1.0, 100.0)), "becomes inf in exp", "exp(100) = inf, at [1]"),
    "power": (lambda: leaf(-2.0) ** 0.5, "becomes nan in pow", "pow(-2, 0.5) = nan"),
    "overflow then cancelled": (lambda: (e := torch.exp(leaf(100.0, 1.0))) / e.sum(), "becomes inf in exp", "exp(100)"),
    "broadcast": (lambda: leaf(1.0, 2.0) / torch.tensor([[1.0], [0.0]]), "becomes inf in div", "div(1, 0) = inf, at [1, 0]"),
    "module": (lambda: torch.nn.Softplus()(leaf(1e3)).exp(), "becomes inf in exp", "exp(1000) = inf"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORWARD)
def test_forward(name: str) -> None:
    f, first, value = FORWARD[name]
    text = told(lambda: f().sum().backward())
    assert first in text.splitlines()[0]
    assert value in text.splitlines()[1]


def test_all_rows_masked_is_the_softmax_not_the_mask() -> None:
    def case() -> None:
        scores = leaf(1.0, 2.0).masked_fill(torch.tensor([True, True]), float("-inf"))
        torch.softmax(scores, 0).sum().backward()

    assert told(case).startswith("the value becomes nan in softmax")


def test_data_that_holds_nan() -> None:
    def case() -> None:
        data = torch.tensor([1.0, float("nan"), 3.0])  # the line of the data
        (leaf(1.0, 1.0, 1.0) * data).sum().backward()

    text = told(case)
    assert text.startswith("data holds nan before anything is computed from it: test_trace_nan.py:")
    assert "At [1], 1 of 3 entries." in text


def test_a_parameter_that_holds_nan(own_generator: None) -> None:
    layer = torch.nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight[0, 1] = float("inf")

    def case() -> None:
        model = layer
        model(torch.ones(1, 2)).sum().backward()

    assert told(case).startswith("model.weight holds inf before")


def test_a_function_of_the_users() -> None:
    class Half(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x / 0

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g / 2

    assert told(lambda: (Half.apply(leaf(1.0)) * 2).sum().backward()).startswith("the value becomes inf in half")


# --- backward -----------------------------------------------------------------------------------------------


def test_backward_names_the_forward_line() -> None:
    def case() -> None:
        x = leaf(0.0, 0.0)
        n = (x * x).sum().sqrt()  # the line of the norm
        n.backward()

    first, step, remedy = told(case).splitlines()
    assert first.startswith("the gradient becomes inf in sqrt: test_trace_nan.py:")
    assert first.endswith("# the line of the norm")
    assert step == "sqrt(0): the gradient 1 arrives and inf leaves."
    assert "torch.sqrt(x + 1e-12)" in remedy


def test_the_branch_not_taken() -> None:
    def case() -> None:
        x = leaf(4.0, -1.0)
        torch.where(x > 0, torch.sqrt(x), x).sum().backward()

    text = told(case)
    assert text.startswith("the gradient becomes nan in sqrt")
    assert "sqrt(-1): the gradient 0 arrives and nan leaves, at [1], 1 of 2 entries." in text
    assert "exact_masks" in text


def test_grad_and_higher_orders() -> None:
    def case() -> None:
        x = leaf(0.0)
        (g,) = torch.autograd.grad((x**1.5).sum(), x, create_graph=True)
        torch.autograd.grad(g.sum(), x)

    assert told(case).startswith("the gradient becomes inf in sqrt: test_trace_nan.py:")  # x**0.5, in the rule


def test_no_gradient_is_changed_and_the_mend_works() -> None:
    x = leaf(0.0)
    x.grad = torch.ones(1)
    told(lambda: x.sqrt().sum().backward())
    assert x.grad.item() == 1.0
    with trace_nan():
        (x + 1e-12).sqrt().sum().backward()
    assert np.isfinite(x.grad.item())


# --- what is no error ---------------------------------------------------------------------------------------


def test_what_nothing_depends_on_is_no_error() -> None:
    x = leaf(1.0, -1.0)
    with trace_nan():
        torch.log(x * 0)  # not used
        y = torch.where(x > 0, torch.sqrt(torch.where(x > 0, x, 1.0)), x)
        torch.sqrt(x)  # nan, but nowhere in y
        y.sum().backward()
    assert x.grad.tolist() == [0.5, 1.0]


def test_large_finite_numbers_are_no_error() -> None:
    x = leaf(1e30, -1e30)  # whose squares overflow float32
    with trace_nan():
        (x * x.detach().sign()).sum().backward()
    assert x.grad.tolist() == [1.0, -1.0]


def test_gradients_and_freeing_are_those_without(own_generator: None) -> None:
    torch.manual_seed(0)
    model, data = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)), torch.randn(5, 3)
    model(data).sum().backward()
    want = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    with trace_nan():
        loss = model(data).sum()
        loss.backward()
        with pytest.raises(RuntimeError, match="second time"):
            loss.backward()
        kept = model(data).sum()
        kept.backward(retain_graph=True)
        kept.backward()
    for p, g in zip(model.parameters(), want, strict=True):
        assert torch.equal(p.grad, 3 * g) or torch.allclose(p.grad, 3 * g)


def test_a_sweep_to_some_inputs_frees_only_what_it_came_to() -> None:
    x, w = leaf(2.0), leaf(3.0)
    with trace_nan():
        a, b = x * x, w * w
        y = a * b
        torch.autograd.grad(y.sum(), x)
        with pytest.raises(RuntimeError, match="second time"):
            torch.autograd.grad(a.sum(), x)
        assert torch.autograd.grad(b.sum(), w)[0].item() == 6.0


# --- as a decorator -----------------------------------------------------------------------------------------


def test_a_function_without_history_is_watched_line_by_line(own_generator: None) -> None:
    calls = []

    @trace_nan()
    def f(x: Any) -> Any:
        calls.append(torch.rand(1).item())
        h = x * 2
        z = torch.log(h - 2)  # the line to blame
        return z.mean()

    assert np.isfinite(f(torch.tensor([2.0, 3.0])).item())
    calls.clear()
    with pytest.raises(FloatingPointError) as caught:
        f(torch.tensor([2.0, 0.5]))
    assert str(caught.value).startswith("z becomes nan: test_trace_nan.py:")
    assert str(caught.value).endswith("# the line to blame")
    assert "torch.log(x.clamp(min=1e-12))" in caught.value.__notes__[0]
    first, again = calls
    assert first == again  # the same random numbers


def test_a_function_with_history_needs_no_second_run() -> None:
    calls = []

    @trace_nan()
    def f(x: Any) -> Any:
        calls.append(0)
        return {"loss": head(x)}

    with pytest.raises(FloatingPointError, match="becomes nan in sqrt"):
        f(leaf(1.0))
    assert len(calls) == 1


def test_an_argument_that_is_wrong_already() -> None:
    @trace_nan()
    def f(x: Any, scale: float) -> Any:
        return x * scale

    with pytest.raises(FloatingPointError, match="^x holds inf before"):
        f(torch.tensor([1.0, float("inf")]), 2.0)


# --- languages, threads, cost -------------------------------------------------------------------------------


def test_chinese() -> None:
    set_language("zh")
    text = told(lambda: head(leaf(1.0)).sum().backward())
    assert text.startswith("值在 sqrt 中变成 nan: test_trace_nan.py:")
    assert "负数没有实平方根" in text
    assert told(lambda: leaf(0.0).sqrt().sum().backward()).startswith("梯度在 sqrt 中变成 inf")


def test_it_is_off_elsewhere() -> None:
    number = nodes.next_seq
    seen: list[Any] = []

    def elsewhere() -> None:
        x = leaf(0.0)
        x.sqrt().sum().backward()
        seen.append(x.grad.item())

    with trace_nan(), trace_nan():
        assert modes.current() is modes.ON  # lanes are taken as ever
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert seen == [np.inf]
    assert nodes.next_seq is number
    elsewhere()
    assert seen == [np.inf] * 2


def test_a_graph_that_saves_nothing_is_not_freed() -> None:
    x = leaf(1.0)
    with trace_nan():
        y = torch.cat([x + x, x]).sum() - x.sum()
        y.backward()
        y.backward()  # as outside
    assert x.grad.item() == 4.0


def test_a_user_function_is_freed() -> None:
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * g * ctx.saved_tensors[0]

    def twice() -> None:
        y = Square.apply(leaf(1.0)).sum()
        y.backward()
        y.backward()

    with pytest.raises(RuntimeError, match="second time"):
        twice()
    with trace_nan(), pytest.raises(RuntimeError, match="second time"):
        twice()
