"""Compiled functions that draw random numbers: those of the stream, and the stream stands where eager's does."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from compiling import compile, numbers, same

__all__ = ["compile"]


def test_random_numbers_are_those_of_the_stream(compile: Any, own_generator: Any) -> None:
    own = torch.Generator()

    def f(x: Any) -> Any:
        noise = torch.randn(3, 4) + torch.rand(4, generator=own) + torch.randint(0, 9, (4,))
        return x * noise + torch.zeros(4, 3).t().bernoulli_(0.5) + torch.normal(0.0, 2.0, (3, 4))

    x, found = torch.ones(3, 4), []
    for g in (f, compile(f)):
        torch.manual_seed(1)
        own.manual_seed(2)
        found.append(numbers([[g(x) for _ in range(3)], torch.rand(1), torch.rand(1, generator=own)]))
    same(*found)


def test_noise_follows_the_layout(compile: Any, own_generator: Any) -> None:
    def f(x: Any) -> Any:
        return x + torch.rand_like(x * 2) + torch.randn_like(x)

    g = compile(f)
    for x in (torch.ones(200, 3), torch.ones(3, 200).t(), torch.ones(2, 40_000).t()):
        torch.manual_seed(1)
        wanted = numbers(f(x))
        torch.manual_seed(1)
        same(numbers(g(x)), wanted)


def test_gradients_of_what_is_multiplied_by_noise(compile: Any, own_generator: Any) -> None:
    def f(x: Any) -> Any:
        return (x * torch.rand(3)) ** 2

    def all_of(f: Any) -> Any:
        torch.manual_seed(1)
        x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = f(x)
        (first,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), x)
        return numbers([y.detach(), first.detach(), second])

    same(all_of(compile(f)), all_of(f))


def seeds(x: Any) -> Any:
    torch.manual_seed(3)
    return x * torch.rand(2)


def rewinds(x: Any) -> Any:
    state = torch.get_rng_state()
    y = x * torch.rand(2)
    torch.set_rng_state(state)
    return y


def permutes(x: Any) -> Any:
    return x[torch.randperm(2)]


def weighs(x: Any) -> Any:
    return torch.bernoulli(x / 3)


def numpys(x: Any) -> Any:
    return x * float(np.random.rand())


@pytest.mark.parametrize("f", [seeds, rewinds, weighs, numpys])
def test_streams_that_cannot_be_repeated(f: Any, own_generator: Any) -> None:
    x, found = torch.tensor([1.0, 2.0]), []
    for g in (f, torch.compile(f, backend="numpy")):
        torch.manual_seed(1)
        np.random.seed(0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found.append(numbers([[g(x) for _ in range(3)], torch.rand(1)]))
    same(*found)
    assert len(caught) == 1


@pytest.mark.parametrize("shape", [(2, 1, 3), (40, 50, 60)])
def test_random_numbers_go_into_memory_as_it_lies(compile: Any, shape: Any, own_generator: Any) -> None:
    def f(x: Any) -> Any:
        y = torch.where(x > 0, x, x * 2).transpose(0, -1)
        noise = [torch.empty_like(y).bernoulli_(0.5), torch.zeros_like(y).uniform_(), torch.ones_like(y).normal_()]
        return [y * a for a in noise]

    compiled, x = compile(f), torch.randn(*shape, dtype=torch.float64)
    for given in (x, x.transpose(0, 1), x):
        torch.manual_seed(1)
        wanted = f(given)
        torch.manual_seed(1)
        for a, b in zip(compiled(given), wanted, strict=True):
            assert torch.allclose(a, b, rtol=1e-12)
