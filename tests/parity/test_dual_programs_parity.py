"""Random programs over duals, run by PyTorch and by chainrule: as test_programs_parity, and every tensor's tangent."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
import traces
from dual_programs import Program, generate, trace

torch = pytest.importorskip("torch")

import chainrule
from chainrule.arrays import dual
from chainrule.tensor import Tensor

COUNT, PIECES = int(os.environ.get("CHAINRULE_PROGRAMS", "800")), 8
START = int(os.environ.get("CHAINRULE_SEED", "0"))

ACCEPTED = traces.ACCEPTED | {
    "own factor": "a product written over its own factor: PyTorch's tangent rule reads the factor once it is overwritten",
    "written tangent": "a write gives a tensor another tangent; PyTorch writes into the one it has, where the rules for "
                       "writing in place apply once more, and to which a saved tangent falls victim",
    "zero or none": "along what is constant PyTorch has, or has not, a tangent of zeros",
    "before the write": "the tangent of a write through a view depends on what the base depends on; in PyTorch, on the base",
    "refused late": "both refuse a write, PyTorch when it is done",
}  # fmt: skip


def compare(program: Program) -> tuple[str, str] | None:
    """(kind, words) of the first difference, looked at after every line, then only at the end."""
    for every in (True, False):
        before: traces.Seen = {}
        steps = zip(program, trace(program, chainrule, every), trace(program, torch, every), strict=True)
        for number, (line, (e1, s1), (e2, s2)) in enumerate(steps):
            kind, name, a, b = traces.part(e1, s1, e2, s2)
            if kind:
                kind = accepted(program[: number + 1], kind, name, a, b, before, e1 is not None) or kind
                return kind, f"line {number}: {line}: {kind} {name}\n  ours   {a}\n  theirs {b}"
            before = s1
    return None


def accepted(program: Program, kind: str, name: str, a: Any, b: Any, before: traces.Seen, raised: bool) -> str | None:
    line = program[-1]
    if kind in ("tangent", "grad") and (
        traces.overlapping(line, before) or max(Counter(re.findall(r"v\d+", line)).values()) > 1
    ):
        return "own factor"
    if kind == "tangent" and a is None and isinstance(b, np.ndarray) and not b.any():
        return "zero or none"
    of = re.search(r"grad\(D\.unpack_dual\(.*, (v\d+), materialize", line)
    if (
        kind == "value"
        and of
        and before.get(of[1], {}).get("version")
        and any(x["base"] == of[1] for x in before.values())
    ):
        return "before the write"
    if kind in ("value", "version") and raised:
        return "refused late"
    if kind == "missed raise" and re.search(r"inplace operation|in-place operation|modified inplace", b[1]):
        return "written tangent"
    if kind == "message" and "inplace operation" in a[1] and "inplace operation" in b[1]:
        return "written tangent"
    return traces.accepted(program, kind, name, a, b, before, raised)


@pytest.mark.parametrize("piece", range(PIECES))
def test_programs(piece: int) -> None:
    for seed in range(START + piece, START + COUNT, PIECES):
        program = generate(seed)
        found = compare(program)
        if found is not None and found[0] not in ACCEPTED:
            kind = found[0]
            short = traces.shrink(program, lambda p: (compare(p) or ("",))[0] == kind)  # noqa: B023
            pytest.fail(f"seed {seed}: {(compare(short) or found)[1]}\n\n" + "\n".join(short), pytrace=False)


def test_accepted_differences_are_rare() -> None:
    kinds = [found[0] for seed in range(300) if (found := compare(generate(seed)))]
    assert set(kinds) <= set(ACCEPTED)
    assert len(kinds) <= 0.06 * 300


def without_views(x: Tensor, level: Any) -> None:
    """Only the tensor that is written to comes to carry a tangent."""
    dual.dress(x, dual.Slot(dual._zeros(x), level))


def forgetting(x: Any, value: Any, step: Any = None) -> None:
    """A write changes the tangent only where it is all there is."""
    if isinstance(x, dual.Dual) and x._way is None and step is None:
        x._slot.tangent = value.tangent if isinstance(value, dual.Dual) else dual._zeros(value)


MISTAKES: list[tuple[Any, str, Any]] = [
    (dual, "_gain", without_views),
    (Tensor, "_carry", forgetting),
    (dual, "barriers", set()),
    (dual.Dual, "_lend", lambda self, x: None),
    (dual, "plain", lambda d: d),
]


@pytest.mark.parametrize(("owner", "name", "mistake"), MISTAKES, ids=[name for _, name, _ in MISTAKES])
def test_mistakes_are_found(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, mistake: Any) -> None:
    monkeypatch.setattr(owner, name, mistake)
    assert any((found := compare(generate(seed))) and found[0] not in ACCEPTED for seed in range(600))
