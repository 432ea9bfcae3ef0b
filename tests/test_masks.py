"""Exact masks: what was not chosen contributes nothing; without them it is PyTorch's nan."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest

import chainrule as torch
from chainrule.autograd import exact_masks

CASES: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], list[float], list[float]]] = {
    "where sqrt": (lambda x: torch.where(x > 0, torch.sqrt(x), x), [-1.0, 4.0], [1.0, 0.25]),
    "where log": (lambda x: torch.where(x > 0, torch.log(x), 3 * x), [0.0, 2.0], [3.0, 0.5]),
    "where division": (lambda x: torch.where(x == 0, x + 1, torch.sin(x) / x), [0.0, 1.0], [1.0, np.cos(1) - np.sin(1)]),
    "maximum": (lambda x: torch.maximum(torch.log(x), x - 1e9 * (x > 0) + 5), [0.0], [1.0]),
    "clamp": (lambda x: torch.sqrt(x).clamp(min=1.0), [0.0, 4.0], [0.0, 0.25]),
    "sqrt at 0": (lambda x: torch.sqrt(x * x), [0.0, 3.0], [0.0, 1.0]),
    "power": (lambda x: torch.where(x > 0, x**0.5, x), [0.0, 4.0], [1.0, 0.25]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_taken_contributes_nothing(name: str) -> None:
    f, at, want = CASES[name]
    x = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    y = f(x).sum()
    (plain,) = torch.autograd.grad(y, x, retain_graph=True)
    assert not np.isfinite(plain.numpy()).all() or name == "clamp"
    with exact_masks():
        (masked,) = torch.autograd.grad(y, x, retain_graph=True)
        (graphed,) = torch.autograd.grad(y, x, create_graph=True)
        (transformed,) = (torch.func.grad(lambda x: f(x).sum())(x.detach()),)
    for found in (masked, graphed, transformed):
        assert np.allclose(found.detach().numpy(), want)


def test_second_derivatives() -> None:
    x = torch.tensor([-1.0, 4.0], dtype=torch.float64, requires_grad=True)
    with exact_masks():
        (g,) = torch.autograd.grad(torch.where(x > 0, torch.sqrt(x), x * x).sum(), x, create_graph=True)
        (h,) = torch.autograd.grad(g.sum(), x)
    assert np.allclose(h.numpy(), [2.0, -0.25 * 4**-1.5])


def test_ordinary_gradients_are_the_same(own_generator: torch.Generator) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    x = torch.randn(5, 3)
    loss = (net(x) ** 2).mean()
    plain = torch.autograd.grad(loss, list(net.parameters()), retain_graph=True)
    with exact_masks():
        masked = torch.autograd.grad(loss, list(net.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(plain, masked, strict=True))


def test_a_slope_that_is_really_infinite_stays_so() -> None:
    x = torch.tensor(0.0, requires_grad=True)
    with exact_masks():
        assert torch.autograd.grad(torch.log(x), x)[0].item() == np.inf


def test_with_anomaly_mode_nothing_is_found_that_is_masked() -> None:
    x = torch.tensor(-1.0, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.autograd.detect_anomaly():
            y = torch.where(x > 0, torch.sqrt(x), x)
            with pytest.raises(RuntimeError, match="returned nan values"):
                torch.autograd.grad(y, x, retain_graph=True)
            with exact_masks():
                assert torch.autograd.grad(y, x)[0].item() == 1


def test_as_a_decorator() -> None:
    @exact_masks()
    def slope(x: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(torch.sqrt(x * x), x)[0]

    assert slope(torch.tensor(0.0, requires_grad=True)).item() == 0
    assert torch.is_grad_enabled()
