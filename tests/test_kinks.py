"""The printed table of conventions at kinks."""

from __future__ import annotations

import math

import pytest

import chainrule as torch
from chainrule.explain import conventions
from chainrule.explain.kinks import CASES


def test_the_table() -> None:
    rows = {(r.function, r.x): r for r in conventions()}
    assert len(rows) == len(CASES)
    relu, sqrt, branch = rows["relu(x)", 0.0], rows["sqrt(x)", 0.0], rows["where(x > 0, sqrt(x), x)", -1.0]
    assert (relu.left, relu.right, relu.given, relu.masked) == (0.0, 1.0, 0.0, 0.0)
    assert math.isnan(sqrt.left)
    assert (sqrt.right, sqrt.given, sqrt.masked) == (math.inf, math.inf, 0.0)
    assert (branch.left, branch.right, branch.masked) == (1.0, 1.0, 1.0)
    assert math.isnan(branch.given)
    assert (rows["1 / x", 0.0].left, rows["1 / x", 0.0].right) == (-math.inf, -math.inf)


def test_it_prints_in_both_languages() -> None:
    english, chinese = (str(conventions(lang)).splitlines() for lang in ("en", "zh"))  # type: ignore[arg-type]
    assert english[0].split() == ["function", "x", "left", "right", "here", "exact_masks"]
    assert chinese[0].startswith("函数")
    assert len(english) == len(chinese) == len(CASES) + 1
    assert english[1].split() == chinese[1].split() == ["abs(x)", "0", "-1", "1", "0", "0"]


def test_pytorch_takes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pytorch = pytest.importorskip("torch")
    from chainrule.explain import kinks

    for (name, f, x), row in zip(CASES, conventions(), strict=True):
        monkeypatch.setattr(kinks, "torch", pytorch)  # what the lambdas look up; functions are found by name
        g = (
            f
            if f.__name__ == "<lambda>"
            else getattr(pytorch, f.__name__, None) or getattr(pytorch.nn.functional, f.__name__)
        )
        at = pytorch.tensor(x, dtype=pytorch.float64, requires_grad=True)
        (found,) = pytorch.autograd.grad(g(at), at)
        monkeypatch.setattr(kinks, "torch", torch)
        assert float(found) == row.given or (math.isnan(found) and math.isnan(row.given)), name
