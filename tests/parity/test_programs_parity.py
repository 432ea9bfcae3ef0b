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
from programs import generate
from traces import ACCEPTED, compare, report

torch = pytest.importorskip("torch")

import chainrule  # noqa: E402
from chainrule import engine, primitive  # noqa: E402

COUNT, PIECES = int(os.environ.get("CHAINRULE_PROGRAMS", "600")), 12
START = int(os.environ.get("CHAINRULE_SEED", "0"))


@pytest.mark.parametrize("piece", range(PIECES))
def test_programs(piece: int) -> None:
    for seed in range(START + piece, START + COUNT, PIECES):
        words = report(seed, chainrule, torch)
        assert words is None, words


def test_accepted_differences_are_rare() -> None:
    kinds = [found[0] for seed in range(400) if (found := compare(generate(seed), chainrule, torch))]
    assert set(kinds) <= set(ACCEPTED)
    assert len(kinds) <= 0.03 * 400


def find(count: int) -> set[str]:
    return {found[0] for seed in range(count) if (found := compare(generate(seed), chainrule, torch))} - set(ACCEPTED)


def no_check(node: Any) -> None: ...
def no_history(root: Any) -> None: ...


@pytest.mark.parametrize(("module", "name", "mistake", "kind"), [
    (engine, "check_versions", no_check, "missed raise"),
    (primitive, "leave_behind", no_history, "grad"),
    (primitive, "_snapshot", lambda x, node: None, "needless raise"),
    (primitive, "check_writable", lambda *args, **kwargs: None, "missed raise"),
    (primitive, "_rebase", lambda x, result: None, "grad"),
], ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_mistakes_are_found(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, mistake: Callable[..., Any], kind: str
) -> None:
    monkeypatch.setattr(module, name, mistake)
    assert kind in find(150)


if __name__ == "__main__":
    for seed in map(int, sys.argv[1:]):
        print(report(seed, chainrule, torch) or f"seed {seed}: no difference")
