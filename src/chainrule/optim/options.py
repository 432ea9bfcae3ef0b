"""Options of optimisers: what is refused when one is made, in PyTorch's words."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor

_WORDS = {"lr": "learning rate", "eps": "epsilon value"}  # others by their name and "value"


def check(**options: Any) -> None:
    """ValueError unless each option is a number of at least 0; ``betas`` each below 1; ``lr``, a tensor, of one."""
    lr = options.get("lr")
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    for name, value in options.items():
        if name == "betas":
            for i, beta in enumerate(value):
                if not 0.0 <= beta < 1.0:
                    raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        elif not value >= 0.0:
            raise ValueError(f"Invalid {_WORDS.get(name, f'{name} value')}: {value}")


def check_fused(fused: bool | None, foreach: bool | None, differentiable: bool) -> None:
    """RuntimeError for two ways of computing at once.  Here all ways are the same, so the options change nothing."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
