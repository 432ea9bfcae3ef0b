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


DRAWS = {
    "randn": lambda m, x: m.randn(4) + x,
    "rand": lambda m, x: m.rand(4) + x,
    "randint": lambda m, x: m.randint(0, 9, (4,)) + x,
    "randperm": lambda m, x: m.randperm(4) + x,
    "rand_like": lambda m, x: m.rand_like(x),
    "randn_like": lambda m, x: m.randn_like(x),
    "bernoulli": lambda m, x: m.bernoulli(m.full((4,), 0.4)) + x,
    "uniform_": lambda m, x: m.empty_like(x).uniform_(),
    "normal": lambda m, x: m.normal(0.0, 1.0, (4,)) + x,
    "normal around": lambda m, x: m.normal(m.ones(4), 2.0) + x,
}


@pytest.mark.parametrize("name", DRAWS)
def test_draws_inside_vmap(name: str) -> None:
    x = torch.arange(12.0).reshape(3, 4) / 12
    outcomes = {}
    for randomness in ("same", "different"):
        torch.manual_seed(3)
        outcomes[randomness] = torch.vmap(lambda x: DRAWS[name](torch, x), randomness=randomness)(x)
    torch.manual_seed(3)
    alone = DRAWS[name](torch, x[0])
    if name == "randperm":
        assert sorted((outcomes["different"][2] - x[2]).round().tolist()) == [0, 1, 2, 3]
    torch.manual_seed(3)
    if name not in ("rand_like", "randn_like", "uniform_"):  # these are of shape (3, 4) themselves
        assert torch.allclose(outcomes["same"][0], alone)
        same = [outcomes["same"][i] - x[i] for i in (1, 2)]
        assert torch.allclose(same[0], same[1])
    else:
        assert torch.equal(outcomes["different"], DRAWS[name](torch, x))
    assert not torch.allclose(outcomes["different"][1] - x[1], outcomes["different"][2] - x[2])


@pytest.mark.parametrize("name", DRAWS)
def test_random_numbers_are_not_drawn_inside_vmap_unasked(name: str) -> None:
    with pytest.raises(RuntimeError, match="called random operation while in randomness error mode"):
        torch.vmap(lambda x: DRAWS[name](torch, x))(torch.ones(2, 4))


def test_random_numbers_inside_vmap_need_room_for_each_sample() -> None:
    y = torch.empty(4)
    with pytest.raises(RuntimeError, match="Cannot ask for different inplace randomness on an unbatched tensor"):
        torch.vmap(lambda x: y.uniform_() + x, randomness="different")(torch.ones(2, 4))
    with pytest.raises(RuntimeError, match="does not currently support same randomness with a batched tensor input"):
        torch.vmap(torch.bernoulli, randomness="same")(torch.ones(2, 4))


def test_long_permutations_are_permutations() -> None:
    for n in (399, 400, 401, 100_001):
        assert sorted(torch.randperm(n).tolist()) == list(range(n))


def test_a_wrong_generator_is_named() -> None:
    with pytest.raises(TypeError, match=r"argument 'generator' must be torch.Generator, not int"):
        torch.rand(3, generator=5)  # type: ignore[arg-type]
