"""Functions of numbers, called inside ``vmap`` for one sample after the other."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from .. import errors
from ..tensor import Tensor, wrap
from ..transforms import batches, running
from .random import nested

F = TypeVar("F", bound=Callable[..., Any])


def by_sample(function: F) -> F:
    """``function``, which has no derivative and works on plain tensors, for batches of them too.

    All samples' results must have one shape, or it is PyTorch's RuntimeError.
    """

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        tensors = [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor) and a._rank > 2]
        levels = [t for t in running() if any(t in batches(x) for x in tensors)]
        if not levels:
            return function(*args, **kwargs)

        def one(a: Any, at: tuple[int, ...]) -> Any:
            if not isinstance(a, Tensor):
                return a
            own = batches(a)
            while isinstance(a, Tensor):
                a = a._own()
            return wrap(a[tuple([i for i, t in zip(at, levels, strict=True) if t in own])])

        sizes = tuple([t.size for t in levels])
        found = [
            function(*[one(a, at) for a in args], **{name: one(a, at) for name, a in kwargs.items()})
            for at in np.ndindex(sizes)
        ]
        if isinstance(found[0], Tensor):
            return _together(found, sizes, levels)
        parts = [_together(each, sizes, levels) for each in zip(*found, strict=True)]
        kind = type(found[0])
        return kind(*parts) if hasattr(kind, "_fields") else kind(parts)

    return called  # type: ignore[return-value]


def _together(found: Any, sizes: tuple[int, ...], levels: Any) -> Tensor:
    if (error := errors.unequal_sizes([y._shape for y in found])) is not None:
        raise error
    shape = found[0]._shape
    return nested(np.stack([y._a for y in found]).reshape(*sizes, *shape), levels)
