"""The same lines through modules of chainrule and of PyTorch: what they give, raise and warn of, in comparable form."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Lines = Callable[[Any], Any]


def outcome(lines: Lines, t: Any) -> Any:
    """What ``lines`` give or raise with the library ``t``, and what they warn of, in comparable form."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = lines(t)
        except Exception as e:
            result = (type(e).__name__, str(e.args[0]))
    return plain(result), [str(w.message) for w in caught]


def plain(value: Any) -> Any:
    if hasattr(value, "detach"):
        return np.asarray(value.detach().numpy()).tolist()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value if isinstance(value, (int, float, str, bool, type(None))) else repr(value)


def model(t: Any) -> Any:
    class Net(t.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = t.nn.Parameter(t.tensor(2.0))
            self.register_buffer("seen", t.tensor(0))
            self.register_buffer("scratch", t.ones(2), persistent=False)
            self.blocks = t.nn.ModuleList([t.nn.Linear(2, 2), t.nn.Linear(2, 2, bias=False)])
            self.again = self.blocks[0]
            self.nothing = None
            self.head = t.nn.Sequential(t.nn.ReLU(), t.nn.Linear(2, 1))
            self.note = "plain"

        def forward(self, x: Any) -> Any:
            for block in self.blocks:
                x = block(x)
            return self.head(x * self.scale)

    t.manual_seed(0)
    return Net()
