"""The same loading in both libraries: the same batches, draws, warnings and errors, here and in workers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import chainrule
import chainrule.utils.data
from data_cases import CASES, outcome

pytestmark = [
    pytest.mark.usefixtures("own_generator"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*fork.. was called:RuntimeWarning"),  # JAX's, where another test loaded it
]


@pytest.mark.parametrize("name", CASES)
def test_loading(name: str) -> None:
    with torch.random.fork_rng():
        theirs = outcome(torch, CASES[name])
    assert outcome(chainrule, CASES[name]) == theirs
