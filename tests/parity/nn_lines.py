"""A model of several kinds of parts, made by either library."""

from __future__ import annotations

from typing import Any


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
