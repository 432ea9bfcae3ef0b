"""Parameters, a module of them, and their numbers: what ``nn`` and ``optim`` are tried on."""

from __future__ import annotations

from typing import Any

import chainrule as torch
from chainrule import nn


def leaf(*values: float, dtype: Any = torch.float64) -> Any:
    return torch.tensor(list(values), dtype=dtype, requires_grad=True)


def with_grad(x: Any, *grad: float) -> Any:
    x.grad = torch.tensor(list(grad), dtype=x.dtype)
    return x


def numbers(t: Any) -> Any:
    return t.detach().numpy().tolist()


class Net(nn.Module):
    """A parameter, two kinds of buffer, children, a shared child, a plain attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("seen", torch.tensor(0))
        self.register_buffer("scratch", torch.ones(2), persistent=False)
        self.first = nn.Linear(2, 2)
        self.again = self.first
        self.note = "plain"

    def forward(self, x: Any) -> Any:
        return self.scale * self.first(x)
