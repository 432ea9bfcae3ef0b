"""Dual tensors of chainrule or of PyTorch, for the tests of them."""

from __future__ import annotations

import importlib
from typing import Any


def D(T: Any) -> Any:
    return importlib.import_module(f"{T.__name__}.autograd.forward_ad")


def vec(T: Any, *values: float, **options: Any) -> Any:
    return T.tensor(values, dtype=T.float64, **options)


def dual(T: Any, x: Any = (1.0, 2.0), t: Any = (3.0, 4.0)) -> Any:
    return D(T).make_dual(vec(T, *x) if isinstance(x, tuple) else x, vec(T, *t) if isinstance(t, tuple) else t)


def both(T: Any, *xs: Any) -> tuple[Any, ...]:
    """The values and the tangents, in turn."""
    return tuple(part for x in xs for part in D(T).unpack_dual(x))
