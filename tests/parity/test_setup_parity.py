"""What programs do before they compute: old names of types, settings, questions about GPUs; beside PyTorch's."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from lines import Lines, outcome, rounded

import chainrule
from chainrule import settings

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("own_generator", "one_thread")


@pytest.fixture(autouse=True)
def unchanged() -> Iterator[None]:
    threads = settings._threads, torch.get_num_threads()
    yield
    settings._threads = threads[0]
    torch.set_num_threads(threads[1])
    for t in (torch, chainrule):
        with warnings.catch_warnings(action="ignore"):
            t.set_default_device("cpu")
            t.set_default_dtype(t.float32)
            t.use_deterministic_algorithms(False)
            t.set_float32_matmul_precision("highest")


def typed(t: Any, name: str) -> list[Any]:
    kind = getattr(t, name)
    made = [
        kind([1, 0]),
        kind(2, 3),
        kind(),
        kind((1, 0)),
        kind(np.arange(2)),
        kind(size=(2,)),
        kind(t.Size([3])),
        kind(range(2)),
    ]
    several = [isinstance(t.ones(1, dtype=d), kind) for d in (t.float32, t.float64, t.int64, t.bool, t.uint8)]
    as_type = [t.ones(2).type(kind).dtype, t.ones(2).type(f"torch.{name}").dtype, kind.dtype]
    return [
        [(m.shape, repr(m.dtype)) for m in made],
        [made[0], made[3], made[4]],
        several,
        list(map(repr, as_type)),
        repr(kind),
    ]


@pytest.mark.parametrize("name", ["Float", "Double", "Half", "Long", "Int", "Short", "Char", "Byte", "Bool"])
def test_types_of_old(name: str) -> None:
    assert outcome(lambda t: typed(t, f"{name}Tensor"), chainrule) == outcome(
        lambda t: typed(t, f"{name}Tensor"), torch
    )


def said(t: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    return getattr(t, name)(*args, **kwargs)


LINES: list[Lines] = [
    lambda t: t.LongTensor([1.5]),
    lambda t: t.LongTensor(5.0),
    lambda t: t.LongTensor(None),
    lambda t: t.LongTensor([[1, 2], [3]]),
    lambda t: t.LongTensor(["a"]),
    lambda t: t.LongTensor(t.tensor([1, 2])),
    lambda t: t.ones(1).type("torch.Foo"),
    lambda t: [t.set_default_tensor_type("torch.DoubleTensor"), repr(t.ones(1).dtype), repr(t.Tensor([1]).dtype)],
    lambda t: t.set_num_threads(0),
    lambda t: t.set_num_threads("1"),
    lambda t: [t.set_num_threads(2), t.get_num_threads()],
    lambda t: [t.use_deterministic_algorithms(True), t.are_deterministic_algorithms_enabled()],
    lambda t: [t.use_deterministic_algorithms(True, warn_only=True), t.is_deterministic_algorithms_warn_only_enabled()],
    lambda t: t.use_deterministic_algorithms(1),
    lambda t: [t.set_float32_matmul_precision("high"), t.get_float32_matmul_precision()],
    lambda t: [t.set_default_device("cpu"), repr(t.get_default_device()), t.set_default_device(None)],
    lambda t: t.set_default_device("foo"),
    lambda t: [said(t.cuda, name, 3) for name in ("manual_seed", "manual_seed_all")],
    lambda t: [said(t.cuda, name) for name in ("empty_cache", "memory_allocated", "memory_reserved", "max_memory_allocated")],
    *(lambda t, name=name: said(t.cuda, name) for name in ("synchronize", "current_device", "get_device_name")),
    lambda t: [t.cuda.is_bf16_supported(), t.cuda.device_count(), t.cuda.is_available()],
    lambda t: [getattr(t.backends.cudnn, n) for n in ("enabled", "benchmark", "deterministic", "allow_tf32")],
    lambda t: [t.backends.cudnn.is_available(), t.backends.cudnn.version(), t.backends.mps.is_available()],
    lambda t: [t.backends.mps.is_built(), t.backends.cuda.is_built()],
    lambda t: type(t.nn.Linear(1, 1).state_dict()).__name__,
    lambda t: str(t.nn.Linear(1, 1, bias=False).requires_grad_(False).apply(lambda m: m.weight.fill_(1)).state_dict()),
]  # fmt: skip


@pytest.mark.parametrize("lines", LINES)
def test_lines(lines: Lines) -> None:
    (ours, our_warnings), (theirs, their_warnings) = outcome(lines, chainrule), outcome(lines, torch)
    assert ours == theirs
    assert our_warnings == [(kind, words.partition(" (Triggered internally")[0]) for kind, words in their_warnings]


def loss(t: Any, name: str, target: Any, **kwargs: Any) -> Any:
    return getattr(t.nn.functional, name)(t.ones(2, 3), target, **kwargs)


WRONG_TARGETS: list[Lines] = [
    *(
        lambda t, name=name, kind=kind: loss(t, name, t.zeros(2, dtype=getattr(t, kind)))
        for name in ("cross_entropy", "nll_loss", "multi_margin_loss")
        for kind in ("int32", "float32", "bool", "uint8")
    ),
    lambda t: t.nn.functional.nll_loss(t.ones(2, 3, 4, 4), t.zeros(2, 4, 4, dtype=t.int16)),
    lambda t: loss(t, "multilabel_margin_loss", t.zeros(2, 3)),
    *(
        lambda t, name=name, kind=kind: loss(t, name, t.zeros(2, 3, dtype=getattr(t, kind)))
        for name in ("binary_cross_entropy_with_logits", "mse_loss", "l1_loss", "smooth_l1_loss")
        for kind in ("int64", "bool", "float64")
    ),
    lambda t: t.ones(3).take(t.zeros(1)),
    lambda t: t.ones(3).put_(t.zeros(1), t.zeros(1)),
]


@pytest.mark.parametrize("lines", WRONG_TARGETS)
def test_targets_of_a_wrong_dtype(lines: Lines) -> None:
    assert outcome(lines, chainrule, rounded) == outcome(lines, torch, rounded)
