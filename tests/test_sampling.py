"""Draws at the level of tensors, against what PyTorch 2.13 gave: ``golden/streams.json``."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.ops.random import dropout_mask
from streams import CASES, outcome

pytestmark = pytest.mark.usefixtures("own_generator")
GOLDEN = json.loads((Path(__file__).parent / "golden" / "streams.json").read_text(encoding="utf-8"))


def close(ours: Any, recorded: Any) -> bool:
    """Equal; numbers that went through the C library's float64 may differ in the last place."""
    if isinstance(recorded, list) and recorded and all(isinstance(v, str) for v in recorded) and len(recorded) > 2:
        return len(ours) == len(recorded) and np.allclose(
            [complex(v) for v in ours], [complex(v) for v in recorded], rtol=1e-14, atol=0
        )
    return bool(ours == recorded)


@pytest.mark.parametrize("kind", sorted({name.partition(" ")[0] for name in CASES}))
def test_draws(kind: str) -> None:
    for name, case in CASES.items():
        if name.partition(" ")[0] == kind:
            ours, recorded = json.loads(json.dumps(outcome(torch, case))), GOLDEN[name]
            assert len(ours) == len(recorded), (name, ours, recorded)
            for a, b in zip(ours, recorded, strict=True):
                assert close(a, b), (name, ours, recorded)


def test_every_recording_is_read() -> None:
    assert set(GOLDEN) == {"", *CASES}


def test_generators_copy_and_pickle() -> None:
    g = torch.Generator().manual_seed(3)
    torch.randn(3, generator=g)  # leaves a spare normal behind
    others = [g.clone_state(), copy.copy(g), copy.deepcopy(g), pickle.loads(pickle.dumps(g))]
    expected = torch.randn(3, generator=g)
    for other in others:
        assert other is not g
        assert other.device == torch.device("cpu")
        assert torch.equal(torch.randn(3, generator=other), expected)


def test_the_dropout_mask() -> None:
    x = torch.ones(1000)
    mask = dropout_mask(x, 0.25, torch.Generator().manual_seed(1))
    assert set(mask.tolist()) == {0.0, float(np.float32(1) / np.float32(0.75))}
    assert 0.7 < (mask != 0).double().mean().item() < 0.8
    assert dropout_mask(torch.ones(2, 3).t(), 0.5).stride() == (1, 3)


def test_random_numbers_are_not_drawn_inside_transforms() -> None:
    for f in (lambda x: x.clone().uniform_(), torch.bernoulli, torch.poisson, torch.rand_like):
        with pytest.raises(RuntimeError, match="random numbers can only be drawn for plain tensors"):
            torch.func.vmap(f)(torch.ones(2, 3) / 2)


def test_long_permutations_are_permutations() -> None:
    for n in (399, 400, 401, 100_001):
        assert sorted(torch.randperm(n).tolist()) == list(range(n))


def test_a_wrong_generator_is_named() -> None:
    with pytest.raises(TypeError, match=r"argument 'generator' must be torch.Generator, not int"):
        torch.rand(3, generator=5)  # type: ignore[arg-type]
