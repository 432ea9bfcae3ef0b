"""The same lines through optimizers of chainrule and of PyTorch, and what such lines need."""

from __future__ import annotations

from typing import Any

import lines as said
import numpy as np
import pytest
from lines import Lines

import chainrule
import optim_cases

torch = pytest.importorskip("torch")


def outcome(lines: Lines, t: Any) -> Any:
    return said.outcome(lines, t, said.rounded)


def same(lines: Lines) -> Any:
    ours, theirs = outcome(lines, chainrule), outcome(lines, torch)
    assert ours == theirs
    return ours


def leaf(t: Any, *shape: int, dtype: str = "float32", grad: bool = True) -> Any:
    p = t.ones(shape or (2,), dtype=getattr(t, dtype)).requires_grad_()
    if grad:
        p.grad = t.ones_like(p) * 0.5
    return p


NAMES = [*optim_cases.OPTIONS]


def make(t: Any, name: str, params: Any = None, **options: Any) -> Any:
    params = [leaf(t, 2, 2), leaf(t, 2, 3)] if params is None else params
    return getattr(t.optim, name)(params, **options)


def stepped(o: Any, times: int = 1) -> Any:
    for _ in range(times):
        o.step((lambda: 1.0) if type(o).__name__ == "LBFGS" else None)
    return o


def converted(value: Any, t: Any) -> Any:
    """A state with its tensors made those of the other library."""
    if hasattr(value, "detach"):
        return t.from_numpy(np.array(value.detach().numpy()))
    if isinstance(value, dict):
        return {k: converted(v, t) for k, v in value.items()}
    return [converted(v, t) for v in value] if isinstance(value, list) else value
