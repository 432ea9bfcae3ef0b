"""Compiled functions that let objects hold tensors, move buffers that derivatives read, or cut their results from the graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import chainrule as torch
from compiling import compile, numbers, same

__all__ = ["compile"]


# --- tensors that objects hold ------------------------------------------------------------------------------------


class Holder:
    """Remembers, in one way or another, what it computed."""

    def __init__(self) -> None:
        self.total, self.parts, self.named = torch.zeros(2), [torch.zeros(2), torch.ones(2)], {"h": torch.ones(2)}
        self.first: Any = None
        self.pair, self.inner = (1, 2), Model()

    def sums(self, x: Any) -> Any:
        self.total = self.total * 0.5 + x
        return self.total * 2

    def keeps(self, x: Any) -> Any:
        self.last = x * 2
        return self.last + 1

    def lists(self, x: Any) -> Any:
        self.parts[0] = self.parts[0] + x
        return self.parts[0] * self.parts[1]

    def names(self, x: Any) -> Any:
        self.named["h"] = self.named["h"] * x
        return self.named["h"].sum()

    def begins(self, x: Any) -> Any:
        if self.first is None:
            self.first = x * 2
        return x * self.first

    def replaces(self, x: Any) -> Any:
        self.pair, old = (self.pair[0] + 1, 2), self.inner
        self.inner = Model()
        self.inner.k = old.k + 1
        return x * self.inner.k + self.pair[0]


class Model:
    k = 1


def outside(x: Any) -> Any:
    global kept_outside
    kept_outside = x * 2
    return kept_outside + 1


@pytest.mark.parametrize("name", ["sums", "keeps", "lists", "names", "begins", "replaces", "outside"])
def test_what_objects_are_given_to_hold(name: str) -> None:
    def found(compile: Callable[[Any], Any]) -> Any:
        holder = Holder()
        f = compile(outside if name == "outside" else getattr(holder, name))
        results = [f(torch.ones(2) * (i + 1)) for i in range(6)]
        held = [
            holder.total,
            holder.parts,
            holder.named,
            holder.first,
            vars(holder).get("last"),
            holder.pair,
            holder.inner.k,
        ]
        return numbers([results, held, globals().pop("kept_outside", None)])

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        same(found(lambda f: torch.compile(f, backend="numpy")), found(lambda f: f))
    assert len(caught) == (name != "begins"), "what is set once is compiled then"


def test_layers_that_wait_for_a_shape(own_generator: Any) -> None:
    def found(compile: Callable[[Any], Any]) -> Any:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.LazyLinear(3), torch.nn.ReLU())
        f = compile(model)
        return numbers([[f(torch.ones(2, 4)) for _ in range(3)], model[0].weight])

    same(found(lambda f: torch.compile(f, backend="numpy", fullgraph=True)), found(lambda f: f))


# --- derivatives of functions that write -------------------------------------------------------------------------


class Counting(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.ones(2))
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x: Any) -> Any:
        self.count.add_(1)
        return (x * self.w**3 * self.count).sum()


def test_a_derivative_with_a_buffer_that_the_call_has_moved(compile: Any) -> None:
    def found(compile: Callable[[Any], Any]) -> Any:
        model = Counting()
        f, results = compile(model), []
        for i in range(3):
            (g,) = torch.autograd.grad(f(torch.ones(2) * i), model.w, create_graph=True)
            (h,) = torch.autograd.grad(g.sum(), model.w)
            results += [g, h]
        return numbers([results, model.count])

    same(found(compile), found(lambda f: f))


def test_a_parameter_that_the_call_moves() -> None:
    def found(compile: Callable[[Any], Any]) -> Any:
        w, results = torch.tensor([1.0, 2.0], requires_grad=True), []

        def f(x: Any) -> Any:
            with torch.no_grad():
                w.mul_(0.5)
            return (w**2 * x).sum()

        f = compile(f)
        for _ in range(3):
            (g,) = torch.autograd.grad(f(torch.ones(2)), w, create_graph=True)
            results += [g, torch.autograd.grad(g.sum(), w)[0]]
        return numbers(results)

    with pytest.warns(UserWarning, match="derivative needs"):
        same(found(lambda f: torch.compile(f, backend="numpy")), found(lambda f: f))


def retaining(x: Any) -> Any:
    y = x * 2
    y.retain_grad()
    return (y * y).sum(), y


def leaf_with_gradient(x: Any) -> Any:
    y = x.detach().clone().requires_grad_()
    (y**2).sum().backward()
    return (x * 2).sum(), y


@pytest.mark.parametrize("f", [retaining, leaf_with_gradient])
def test_results_with_gradients_of_their_own(f: Any) -> None:
    g, x = torch.compile(f, backend="numpy"), torch.ones(2, requires_grad=True)
    with pytest.warns(UserWarning, match="gradient of its own"):
        loss, y = g(x)
    loss, y = g(x)
    loss.backward()
    assert y.grad is not None


def detaches(x: Any) -> Any:
    return (x.detach() * x * x).sum()


def without_grad(x: Any) -> Any:
    with torch.no_grad():
        z = x.sin()
    return (z * x * x).sum()


class Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.round()

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g


def second(f: Callable[[Any], Any], x: Any) -> Any:
    (g,) = torch.autograd.grad(f(x), x, create_graph=True)
    return torch.autograd.grad((g**2).sum(), x)[0]


@pytest.mark.parametrize("f", [detaches, without_grad, lambda x: (Rounded.apply(x) ** 2 * x).sum()])
def test_no_wrong_second_derivative_through_what_is_cut(f: Any) -> None:
    """The derivative of the pull-back's equations would go through; inside, all is known."""
    x = torch.tensor([1.25, 2.5], requires_grad=True)
    compiled = torch.compile(f, backend="numpy", fullgraph=True)
    same(numbers(torch.func.grad(compiled)(x)), numbers(torch.func.grad(f)(x)))
    with pytest.raises(RuntimeError, match="does not currently support double backward\nThis function cuts"):
        second(compiled, x)
    inside = torch.compile(lambda x: second(f, x), backend="numpy", fullgraph=True)
    same(numbers(inside(x)), numbers(second(f, x)))


def moves_a_mean(x: Any) -> Any:
    with torch.no_grad():
        mean.mul_(0.9).add_(x.mean(), alpha=0.1)
    return (x**3 * (x > 1).float()).sum() + torch.logsumexp(x.detach() * 0 + 1, 0)


mean = torch.zeros(())


@pytest.mark.parametrize(
    "f",
    [
        moves_a_mean, lambda x: torch.logsumexp(x**2, 0), lambda x: torch.nn.functional.max_pool1d(x[None] ** 3, 2).sum(),
        lambda x: torch.nn.functional.layer_norm(x, x.shape).pow(3).sum(),
    ],
)  # fmt: skip
def test_second_derivatives_where_nothing_is_cut(f: Any) -> None:
    x = torch.tensor([0.5, 2.5, 1.25], dtype=torch.float64, requires_grad=True)
    same(numbers(second(torch.compile(f, backend="numpy", fullgraph=True), x)), numbers(second(f, x)))
