"""The same lines through optimizers of chainrule and of PyTorch: what they give, raise and warn of, in comparable form."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule
import optim_cases

torch = pytest.importorskip("torch")
Lines = Callable[[Any], Any]


def outcome(lines: Lines, t: Any) -> Any:
    """What ``lines`` give or raise with the library ``t``, and what they warn of, in comparable form."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = lines(t)
        except Exception as e:
            result = (type(e).__name__, str(*e.args[:1]))
    return plain(result), [(w.category.__name__, str(w.message)) for w in caught]


def plain(value: Any) -> Any:
    if hasattr(value, "detach"):
        found = np.asarray(value.detach().numpy())
        return [str(found.dtype), plain(np.round(found, 6).tolist())]
    if isinstance(value, dict):
        return [[k, plain(v)] for k, v in value.items()]
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float) and value != value:
        return "nan"
    return value if isinstance(value, (int, float, str, bool, type(None))) else repr(value)


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
