"""How many transforms are running here: each gives its arrays a rank above those outside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ..errors import explained
from ..tensor import Tensor, lower, wrap

_depth: ContextVar[int] = ContextVar("chainrule.depth", default=0)


@contextmanager
def level() -> Iterator[int]:
    """A new transform level; yields the rank of its arrays."""
    token = _depth.set(_depth.get() + 1)
    try:
        yield 2 * _depth.get() + 1
    finally:
        _depth.reset(token)


def depth() -> int:
    return _depth.get()


def inside(x: Tensor) -> Any:
    """What a transform's array should hold for ``x``: the bare array if nothing outside tracks it."""
    return x if x._rank != 2 or x._rg or x._first else x._a


def outside(y: Any, rank: int) -> Any:
    """A result without what levels that ended inside, of higher rank than this one, put around it."""
    while isinstance(y, Tensor) and y._rank > rank:
        y = lower(y._a)
    return y


def as_tensor(x: Any) -> Tensor:
    if isinstance(x, Tensor):
        return x
    if isinstance(x, (bool, int, float, complex)):
        raise explained(
            TypeError(
                f"expected a Tensor as the argument to differentiate or map over, got {type(x).__name__}"
                f"\nWrite torch.tensor({float(x) if not isinstance(x, complex) else x})."
            )
        )
    raise TypeError(f"expected Tensors (in any nesting of tuple, list, dict), got {type(x).__name__}")


__all__ = ["as_tensor", "depth", "inside", "level", "lower", "outside", "wrap"]
