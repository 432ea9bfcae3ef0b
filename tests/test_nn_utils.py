"""Parametrizations, pruning and lazy layers: what they promise, and derivatives of every order through them."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable
from typing import Any

import pytest

import chainrule as torch
from chainrule import Tensor, nn
from chainrule.nn.utils import parametrizations, parametrize, prune

pytestmark = pytest.mark.usefixtures("own_generator")


def double(layer: nn.Module) -> nn.Module:
    return layer.double().eval()


needs_scipy = pytest.mark.skipif(importlib.util.find_spec("scipy") is None, reason="matrix_exp needs SciPy")
LAYERS: list[Any] = [
    lambda: parametrizations.weight_norm(double(nn.Linear(3, 2))),
    lambda: parametrizations.weight_norm(double(nn.Linear(3, 2)), dim=1),
    lambda: parametrizations.weight_norm(double(nn.Linear(3, 2)), dim=None),
    lambda: parametrizations.spectral_norm(double(nn.Linear(3, 2))),
    pytest.param(lambda: parametrizations.orthogonal(double(nn.Linear(3, 3))), marks=needs_scipy),
    lambda: parametrizations.orthogonal(double(nn.Linear(3, 3)), orthogonal_map="cayley"),
    lambda: prune.l1_unstructured(double(nn.Linear(3, 2)), "weight", 2),
]  # fmt: skip


@pytest.mark.parametrize("make", LAYERS)
def test_derivatives_of_two_orders(make: Callable[[], nn.Module]) -> None:
    layer = make()
    names = [name for name, _ in layer.named_parameters()]
    values = [p.detach().clone().requires_grad_() for p in layer.parameters()]
    x = torch.tensor([[0.3, -0.7, 1.1]], dtype=torch.float64)

    def f(*given: Tensor) -> Tensor:
        out: Tensor = torch.func.functional_call(layer, dict(zip(names, given, strict=True)), (x,))
        return out

    assert torch.autograd.gradcheck(f, values)
    assert torch.autograd.gradgradcheck(f, values)


def test_a_copy_keeps_its_parametrizations_to_itself() -> None:
    layer = parametrizations.weight_norm(nn.Linear(2, 2))
    twin = copy.deepcopy(layer)
    parametrize.remove_parametrizations(twin, "weight")
    assert type(twin) is nn.Linear
    assert layer.weight.grad_fn is not None


def test_the_cache_ends_with_its_context() -> None:
    layer = parametrizations.weight_norm(nn.Linear(2, 2))
    with parametrize.cached():
        kept = layer.weight
        assert layer.weight is kept
    assert layer.weight is not kept


@needs_scipy
def test_training_keeps_a_matrix_orthogonal() -> None:
    torch.manual_seed(0)
    layer = parametrizations.orthogonal(nn.Linear(4, 4, dtype=torch.float64))
    steps = torch.optim.SGD(layer.parameters(), lr=0.1)
    before = layer.weight.detach().clone()
    for _ in range(5):
        steps.zero_grad()
        (layer(torch.ones(1, 4, dtype=torch.float64)) ** 4).sum().backward()
        steps.step()
    assert (layer.weight - before).abs().max() > 0.01
    assert torch.allclose(layer.weight @ layer.weight.T, torch.eye(4, dtype=torch.float64), atol=1e-12)


def test_a_pruned_layer_trains_what_is_left() -> None:
    layer = prune.ln_structured(nn.Linear(4, 3), "weight", 2, n=1, dim=1)
    zeros = layer.weight_mask == 0
    assert int(zeros.sum()) == 6
    steps = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(3):
        steps.zero_grad()
        (layer(torch.ones(2, 4)) - 1).pow(2).sum().backward()
        steps.step()
    assert not layer.weight[zeros].any()
    assert layer.weight[~zeros].all()


def test_a_failing_method_leaves_the_parameter() -> None:
    layer = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="should be smaller than the number of parameters to prune=4"):
        prune.l1_unstructured(layer, "weight", 9)
    assert sorted(layer.state_dict()) == ["bias", "weight"]
    assert not prune.is_pruned(layer)


def test_a_lazy_model_becomes_an_ordinary_one() -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))
    with pytest.raises(ValueError, match="Attempted to use an uninitialized parameter in shape"):
        _ = model[0].weight + 1
    assert model(torch.zeros(2, 3, 5, 5)).shape == (2, 2)
    assert [type(m).__name__ for m in model] == ["Conv2d", "BatchNorm2d", "Flatten", "Linear"]
    assert [type(p) for p in model.parameters()] == [nn.Parameter] * 6


def test_a_kind_of_lazy_layer_becomes_what_that_would() -> None:
    class Named(nn.LazyLinear):
        pass

    layer = Named(2)
    layer(torch.zeros(1, 3))
    assert type(layer) is nn.Linear


def test_a_lazy_layer_of_ones_own() -> None:
    class Scale(nn.lazy.LazyModuleMixin):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.UninitializedParameter()

        def initialize_parameters(self, x: Tensor) -> None:
            self.factor.materialize(x.shape[-1:])
            nn.init.ones_(self.factor)

        def forward(self, x: Tensor) -> Tensor:
            return self.factor * x

    layer = Scale()
    for _ in range(2):
        assert layer(torch.tensor([2.0, 3.0])).tolist() == [2.0, 3.0]


def test_a_layer_that_forgets_to_make_its_parameters() -> None:
    class Forgetful(nn.lazy.LazyModuleMixin):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.UninitializedParameter()

        def initialize_parameters(self, x: Tensor) -> None:
            pass

    with pytest.raises(RuntimeError, match="module Forgetful has not been fully initialized"):
        Forgetful()(torch.zeros(1))
