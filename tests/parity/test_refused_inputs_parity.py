"""What layers and losses say to what they cannot take, beside PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lines import Lines, outcome

import chainrule

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("own_generator", "one_thread")

LAYERS: dict[str, Callable[[Any], Any]] = {
    "Linear": lambda nn: nn.Linear(2, 2),
    "ConvTranspose2d": lambda nn: nn.ConvTranspose2d(1, 1, 1),
    "ReLU": lambda nn: nn.ReLU(),
    "GELU": lambda nn: nn.GELU(),
    "Softplus": lambda nn: nn.Softplus(),
    "Dropout": lambda nn: nn.Dropout(),
    "MaxPool2d": lambda nn: nn.MaxPool2d(2),
    "AvgPool2d": lambda nn: nn.AvgPool2d(2),
    "LayerNorm": lambda nn: nn.LayerNorm(2),
    "Embedding": lambda nn: nn.Embedding(3, 2),
}


@pytest.mark.parametrize("value", [5, None, [1.0, 2.0], np.ones((2, 2), np.float32)], ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("name", LAYERS)
def test_what_is_no_tensor(name: str, value: Any) -> None:
    def lines(t: Any) -> Any:
        return LAYERS[name](t.nn)(value)

    assert outcome(lines, chainrule) == outcome(lines, torch)


LOSSES = [
    "CrossEntropyLoss",
    "NLLLoss",
    "MSELoss",
    "L1Loss",
    "HuberLoss",
    "SmoothL1Loss",
    "BCELoss",
    "BCEWithLogitsLoss",
]


@pytest.mark.parametrize("value", [5, 1.0, None, np.ones((2, 2), np.float32)], ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("name", LOSSES)
def test_a_target_that_is_no_tensor(name: str, value: Any) -> None:
    def lines(t: Any) -> Any:
        return getattr(t.nn, name)()(t.ones(2, 2), value)

    assert outcome(lines, chainrule) == outcome(lines, torch)


def f(t: Any) -> Any:
    return t.nn.functional


SHAPES: list[Lines] = [
    lambda t: f(t).cross_entropy(t.ones(2, 2), t.tensor([0, 1]), weight=t.ones(3)),
    lambda t: f(t).nll_loss(t.ones(1, 2, 2, 2), t.zeros(1, 2, 2).long(), weight=t.ones(3)),
    lambda t: f(t).nll_loss(t.ones(2, 2), t.tensor([0, 1]), weight=t.ones(2).double()),
    lambda t: f(t).nll_loss(t.ones(2, 2, 2), t.tensor([0, 1])),
    lambda t: f(t).nll_loss(t.ones(2, 2), t.tensor([[0, 1]])),
    lambda t: f(t).nll_loss(t.ones(1, 2, 2, 2), t.zeros(1, 2, 3).long()),
    lambda t: f(t).nll_loss(t.ones(1, 2, 2, 2), t.zeros(1, 2).long()),
    lambda t: f(t).nll_loss(t.ones(2, 2), t.zeros(3).long()),
    lambda t: f(t).cross_entropy(t.ones(2, 2), t.ones(2, 3)),
    lambda t: f(t).cross_entropy(t.ones(2, 2), t.tensor([0, 1]), label_smoothing=2.0),
    lambda t: f(t).cross_entropy(t.ones(2, 2, 2), t.zeros(2, 3).long()),
    lambda t: f(t).cross_entropy(t.ones(2, 2), t.tensor([[0], [1]])),
    lambda t: f(t).cross_entropy(t.ones(2), t.tensor(2)),
    lambda t: t.nn.Conv2d(1, 1, 3)(t.ones(1, 4, 4).double()),
    lambda t: t.nn.Conv2d(1, 1, 3)(t.ones(1, 4, 4).long()),
    lambda t: t.nn.Conv2d(1, 1, 3).half()(t.ones(1, 4, 4)),
    lambda t: t.nn.Conv2d(1, 1, 3, bias=False)(t.ones(1, 4, 4).double()),
    lambda t: t.nn.ConvTranspose2d(1, 1, 3)(t.ones(1, 4, 4).double()),
    lambda t: t.nn.ConvTranspose2d(1, 1, 2)(t.ones(1, 1, 2, 2), output_size=(9, 9)),
    lambda t: t.nn.ConvTranspose2d(1, 1, 2)(t.ones(1, 1, 2, 2), output_size=[9, 9]),
    lambda t: t.nn.MaxPool2d(2)(t.ones(4, 4)),
    lambda t: t.nn.MaxPool2d(2)(t.ones(1, 0, 4, 4)),
    lambda t: t.nn.MaxPool2d(3)(t.ones(1, 2, 2)),
    lambda t: t.nn.MaxPool1d(3)(t.ones(1, 2)),
    lambda t: t.nn.MaxPool3d(3)(t.ones(1, 5, 2, 2, 2)),
    lambda t: t.nn.AvgPool1d(3)(t.ones(4, 2)),
    lambda t: t.nn.AvgPool2d(3)(t.ones(7, 1, 2, 2)),
    lambda t: t.nn.AvgPool3d(2)(t.ones(4, 4)),
    lambda t: t.nn.Linear(2, 2)(t.tensor(1.0)),
    lambda t: t.nn.LayerNorm(2)(t.ones(2, 2).double()),
    lambda t: t.nn.LayerNorm(2)(t.ones(2, 2).long()),
    lambda t: t.nn.BatchNorm1d(2)(t.ones(2, 2).double()),
    lambda t: t.nn.GroupNorm(1, 2)(t.ones(2, 2).double()),
    lambda t: t.nn.ReflectionPad2d(2)(t.ones(1, 1, 2, 2)),
    lambda t: t.nn.LSTM(2, 2)(t.ones(2, 1, 2), t.ones(1, 1, 2)),
    lambda t: t.nn.LSTMCell(2, 2)(t.ones(2, 2), t.ones(2, 2)),
    lambda t: f(t).grid_sample(t.ones(1, 1, 2, 2), t.ones(1, 2, 2)),
]


@pytest.mark.parametrize("lines", SHAPES)
def test_what_does_not_fit(lines: Lines) -> None:
    ours, theirs = outcome(lines, chainrule)[0], outcome(lines, torch)[0]
    assert isinstance(theirs[0], str), "PyTorch takes it"
    assert ours == theirs
