"""Nests of tensors as vectors, for what knows vectors only: linear algebra, solvers, optimisers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import namespace as ns
from ..errors import explained
from ..primitive import promote
from ..tensor import Tensor, lower, wrap
from . import tree
from .levels import as_tensor


def cat(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else lower(ns.boxes.concat(promote(tuple(parts)), axis=0))


class Packed:
    """The floating point tensors of a nest as one flat tensor, and back; what else it holds stays as it is."""

    def __init__(self, nest: Any, what: str = "") -> None:
        self.leaves, self.rebuild = tree.flatten(nest)
        self.moving = [i for i, a in enumerate(self.leaves) if isinstance(a, Tensor) and a._dtype.kind in "fc"]
        if what and len(self.moving) < len(self.leaves):
            for i, a in enumerate(self.leaves):
                if i not in self.moving:
                    raise TypeError(f"{what} must be of floating point tensors, got {as_tensor(a).dtype}")
        tensors = [self.leaves[i] for i in self.moving]
        self.shapes = [tuple(a.shape) for a in tensors]
        self.size = sum(a.numel() for a in tensors)
        self.dtypes = [a.dtype for a in tensors]

    def pack(self, nest: Any) -> Tensor:
        """The tensors of a nest of the same structure."""
        leaves = tree.flatten(nest)[0]
        return self.join([leaves[i] for i in self.moving])

    def join(self, tensors: list[Tensor]) -> Tensor:
        if not tensors:
            return wrap(np.zeros(0))
        return cat([a if len(a.shape) == 1 else a.reshape(-1) for a in tensors])

    def unpack(self, flat: Tensor) -> Any:
        new, start = list(self.leaves), 0
        for i, shape, dtype in zip(self.moving, self.shapes, self.dtypes, strict=True):
            n = int(np.prod(shape, dtype=int))
            part = flat if n == self.size else flat[start : start + n]
            part = part.real if part._dtype.kind == "c" and not dtype.is_complex else part
            part = part if shape == (n,) else part.reshape(shape)
            new[i] = part if part._dtype == dtype.np else part.to(dtype)
            start += n
        return self.rebuild(new)


def as_x(found: Any, x: Packed, what: str) -> Tensor:
    """The residual, flat; an error if it is not made as x is."""
    leaves = tree.flatten(found)[0]
    shapes = [tuple(as_tensor(a).shape) for a in leaves]
    if shapes != x.shapes:
        raise explained(
            RuntimeError(
                f"{what} must return as many numbers as x has: x has shapes {x.shapes}, got {shapes}"
                "\nOne equation for each unknown, in the structure of x."
            )
        )
    return x.join(leaves)
