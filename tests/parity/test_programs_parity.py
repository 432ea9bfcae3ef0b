"""Random programs of views, writes in place and backward, run by PyTorch and by chainrule in turn.

Compared after every line: what was raised, and of every tensor the value, ``requires_grad``, ``is_leaf``, the
name of ``grad_fn``, the version, the base, the strides and ``.grad``.  ``ACCEPTED`` names what may differ.
``CHAINRULE_PROGRAMS=10000 CHAINRULE_SEED=...`` runs more of them, and others.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import pytest
from traces import ACCEPTED, compare, report

from programs import generate

torch = pytest.importorskip("torch")

import chainrule
from chainrule import backward, engine, writes
from chainrule.ops import assignment

COUNT, PIECES = int(os.environ.get("CHAINRULE_PROGRAMS", "1000")), 12
START = int(os.environ.get("CHAINRULE_SEED", "0"))


@pytest.mark.parametrize("piece", range(PIECES))
def test_programs(piece: int) -> None:
    for seed in range(START + piece, START + COUNT, PIECES):
        words = report(seed, chainrule, torch)
        assert words is None, words


def test_accepted_differences_are_rare() -> None:
    kinds = [found[0] for seed in range(400) if (found := compare(generate(seed), chainrule, torch))]
    assert set(kinds) <= set(ACCEPTED)
    assert len(kinds) <= 0.05 * 400


def find(count: int) -> set[str]:
    """The kinds of difference that are not accepted."""
    return {found[0] for seed in range(count) if (found := compare(generate(seed), chainrule, torch))} - set(ACCEPTED)


MISTAKES: list[tuple[Any, str, Callable[..., Any]]] = [
    (engine, "check_versions", lambda node: None),
    (backward, "fit", lambda xp, g, shape, dtype: g),
    (writes, "leave_behind", lambda root: None),
    (writes, "_snapshot", lambda x, node: None),
    (writes, "check_writable", lambda *args, **kwargs: None),
    (writes, "_rebase", lambda x, result: None),
    (assignment, "pull_back", lambda xp, x, g, chain: x),
    (assignment, "put_back", lambda x, value, chain: x),
]


@pytest.mark.parametrize(("module", "name", "mistake"), MISTAKES, ids=[name for _, name, _ in MISTAKES])
def test_mistakes_are_found(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, mistake: Any) -> None:
    monkeypatch.setattr(module, name, mistake)
    assert find(200)


if __name__ == "__main__":
    for seed in map(int, sys.argv[1:]):
        print(report(seed, chainrule, torch) or f"seed {seed}: no difference")
