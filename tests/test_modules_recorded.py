"""Layers against recordings of PyTorch's: text, weights for a seed, values, gradients, buffers afterwards."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule
from module_cases import CASES, outcome

RECORDED = json.loads((Path(__file__).parent / "golden" / "module_cases.json").read_text(encoding="utf-8"))


def same(found: Any, wanted: Any) -> None:
    if isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for key, value in wanted.items():
            same(found[key], value)
    elif wanted and isinstance(wanted[0], list):
        for a, b in zip(found, wanted, strict=True):
            same(a, b)
    else:
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("own_generator")
@pytest.mark.parametrize("name", CASES)
def test_a_layer(name: str) -> None:
    found, wanted = outcome(chainrule, CASES[name]), RECORDED[name]
    assert found["text"] == wanted["text"]
    assert found["weights"] == wanted["weights"]  # bit for bit
    for part in ("value", "gradients", "after"):
        same(found[part], wanted[part])


def test_all_that_is_recorded_is_compared() -> None:
    assert set(RECORDED) - {""} == set(CASES)


@pytest.mark.usefixtures("own_generator")
@pytest.mark.parametrize("name", CASES)
def test_derivatives_of_two_orders(name: str) -> None:
    """Against differences, in the inputs and in all parameters."""
    make, shapes = CASES[name]
    chainrule.manual_seed(0)
    layer = make(chainrule.nn).double()
    if name == "old spectral norm":
        layer.eval()  # in training each call moves on what it divides by
    names = [key for key, _ in layer.named_parameters()]
    inputs = [
        (chainrule.arange(math.prod(shape)).double() * (0.7 + i) + i + 0.3).sin().reshape(shape)  # away from kinks
        for i, shape in enumerate(shapes)
    ]
    values = [t.detach().clone().requires_grad_() for t in (*inputs, *layer.parameters())]

    def f(*given: Any) -> Any:
        chainrule.manual_seed(1)
        weights = dict(zip(names, given[len(inputs) :], strict=True))
        out = chainrule.func.functional_call(layer, weights, given[: len(inputs)])
        parts = [part for part in (out if isinstance(out, tuple) else (out,)) if hasattr(part, "sum")]
        return tuple(part for part in parts if part.requires_grad)

    assert chainrule.autograd.gradcheck(f, values, fast_mode=True)
    assert chainrule.autograd.gradgradcheck(f, values, fast_mode=True)
