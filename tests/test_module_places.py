"""Modules whose calls are compiled, whose memory processes share, and dtypes and devices that are not there."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import sys
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule import nn
from parameters import numbers

pytestmark = pytest.mark.usefixtures("own_generator")


def test_a_compiled_module_gives_what_it_gave() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Tanh(), nn.Linear(4, 1))
    x = torch.rand(5, 3)
    model.eval()
    expected = numbers(model(x))
    assert model.compile(backend="numpy") is None
    compiled = model._compiled_call_impl
    np.testing.assert_allclose(numbers(model(x)), expected, rtol=1e-6)
    assert compiled.calls, "no program was made"
    with torch.no_grad():
        model[0].weight.add_(1)
    torch.manual_seed(3)
    after = numbers(model.train()(x))
    model._compiled_call_impl = None
    torch.manual_seed(3)
    np.testing.assert_allclose(after, numbers(model(x)), rtol=1e-6)


def test_hooks_run_where_a_call_is_compiled() -> None:
    layer = nn.Linear(2, 2)
    layer.register_forward_hook(lambda m, args, out: out * 0 + 7)
    layer.compile(backend="numpy")
    assert numbers(layer(torch.ones(1, 2))) == [[7, 7]]


def test_copies_of_a_compiled_module_are_not_compiled() -> None:
    layer = nn.Linear(2, 2)
    layer.compile(backend="numpy")
    for other in (copy.deepcopy(layer), copy.copy(layer), pickle.loads(pickle.dumps(layer))):
        assert other._compiled_call_impl is None
        assert numbers(other(torch.ones(1, 2))) == numbers(layer(torch.ones(1, 2)))


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning", "ignore:.*fork.. was called:RuntimeWarning")
def test_a_forked_process_writes_into_shared_memory() -> None:
    layer, alone = nn.Linear(2, 1).share_memory(), nn.Linear(2, 1)
    before = numbers(alone.weight)

    def child() -> None:
        with torch.no_grad():
            layer.weight.fill_(7)
            alone.weight.fill_(7)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert numbers(layer.weight) == [[7, 7]]
    assert numbers(alone.weight) == before


def test_dtypes_and_devices_that_are_not_there() -> None:
    layer = nn.Linear(2, 2)
    with pytest.raises(TypeError, match="NumPy has no such dtype"):
        layer.bfloat16()
    assert nn.Embedding(1, 1).requires_grad_(False).to("cpu:0") is not None
    refused: list[tuple[Any, type[Exception], str]] = [
        (lambda: layer.cuda(), AssertionError, "Torch not compiled with CUDA enabled"),
        (lambda: layer.xpu(), AssertionError, "Torch not compiled with XPU enabled"),
        (lambda: layer.mtia(), AssertionError, "Torch not compiled with MTIA enabled"),
        (lambda: layer.ipu(), RuntimeError, "PyTorch is not linked with support for ipu devices"),
        (lambda: layer.to_empty(device="meta"), RuntimeError, "PyTorch is not linked with support for meta devices"),
        (lambda: torch.ones(1).cuda("cpu"), RuntimeError, "Invalid device, must be cuda device"),
    ]
    for lines, kind, message in refused:
        with pytest.raises(kind, match=message) as error:
            lines()
        assert message.startswith("Invalid") or "asarray(cupy_array)" in error.value.__notes__[0]
