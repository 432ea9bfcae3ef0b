"""What holds for every test: it leaves no trace in the settings that all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

import chainrule as torch
from chainrule import modes
from chainrule.autograd.forward_ad import exit_dual_level
from chainrule.language import set_language

os.environ["CHAINRULE_CACHE"] = "0"  # what tests compile is compiled, and leaves no files


@pytest.fixture(autouse=True)
def no_trace() -> Iterator[None]:
    """Fail a test that leaves grad mode, the default dtype or the default generator changed, and restore them.

    A test that is to draw from the default generator, or to seed it, asks for ``own_generator``.
    """
    dtype, state = torch.get_default_dtype(), torch.default_generator.get_state()
    grad = torch.is_grad_enabled()
    yield
    changed = []
    if modes.level.get() is not None:
        changed.append("a dual level open: use `with dual_level():`")
        exit_dual_level()
    if torch.is_grad_enabled() != grad:
        changed.append("grad mode: use `with torch.no_grad():`")
        torch.set_grad_enabled(grad)
    if torch.get_default_dtype() is not dtype:
        changed.append("the default dtype: pass dtype=..., or set it back")
        torch.set_default_dtype(dtype)
    if not np.array_equal(torch.default_generator.get_state(), state):
        changed.append("the default random generator: ask for the fixture own_generator, or pass generator=...")
        torch.default_generator.set_state(state)
    if changed:
        pytest.fail("this test left changed " + "; ".join(changed), pytrace=False)


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Errors and explanations are worded in English, whatever the locale."""
    set_language("en")
    yield
    set_language(None)


@pytest.fixture
def own_generator() -> Iterator[torch.Generator]:
    """The default generator, seeded with 0, and as it was again afterwards."""
    state = torch.default_generator.get_state()
    yield torch.manual_seed(0)
    torch.default_generator.set_state(state)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """PyTorch computes on one thread: its sums are the same in every run."""
    peer = pytest.importorskip("torch")
    before = peer.get_num_threads()
    peer.set_num_threads(1)
    yield
    peer.set_num_threads(before)
