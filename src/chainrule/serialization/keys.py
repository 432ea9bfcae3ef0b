"""Keys of dicts and members of sets that a file may ask for: hashing and comparing them must stay cheap."""

from __future__ import annotations

from typing import Any

from ..device import device
from ..dtypes import dtype
from ..tensor import Tensor
from .budget import Budget
from .storages import NotSoError

_CHEAP = (str, bytes, bool, type(None))
_MOST = 64  # parts of a tuple, counted through all levels
_CHOSEN = 8192  # bytes that a key counts for whose hash can be chosen: many that collide would take forever


def check_key(key: Any, budget: Budget) -> None:
    """Count ``key``; NotSoError if it is of no kind that checkpoints use as a key."""
    kind = type(key)
    if kind in _CHEAP or isinstance(key, (dtype, device, Tensor)) or (kind is int and -(2**60) < key < 2**60):
        budget.charge(100)
    elif kind in (int, float, complex):
        budget.charge(_CHOSEN)
    elif isinstance(key, tuple):
        budget.charge(_CHOSEN)
        parts, level = 0, [key]
        while level:
            for part in level.pop():
                parts += 1
                if parts > _MOST:
                    raise NotSoError(f"a key has more than {_MOST} parts")
                if isinstance(part, tuple):
                    level.append(part)
                elif not isinstance(part, (str, bytes, int, float, complex, type(None), dtype, device)):
                    raise NotSoError(f"a key holds a {type(part).__name__}")
    else:
        raise NotSoError(f"a {kind.__name__} is used as a key")
