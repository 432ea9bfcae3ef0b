"""Tensors joined, broadcast together, combined."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import errors
from ..errors import explained
from ..outputs import JOINED, takes_out
from ..primitive import promote
from ..tensor import Tensor, wrap
from .kinds import export, export_all
from .pieces import cat, stack
from .whole import whole


def _several(tensors: Any) -> list[Tensor]:
    return list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else list(tensors)


def atleast_1d(*tensors: Any) -> Any:
    """Each with one dimension at least.

    Source: ``torch.atleast_1d``.
    """
    return _each(tensors, lambda x: x if x.ndim else x.reshape(1))


def atleast_2d(*tensors: Any) -> Any:
    """Each with two dimensions at least; a vector becomes a row.

    Source: ``torch.atleast_2d``.
    """
    return _each(tensors, lambda x: x if x.ndim > 1 else x.unsqueeze(0) if x.ndim else x.reshape(1, 1))


def atleast_3d(*tensors: Any) -> Any:
    """Each with three dimensions at least.

    Source: ``torch.atleast_3d``.
    """

    def deep(x: Tensor) -> Tensor:
        if x.ndim == 2:
            return x.unsqueeze(-1)
        return x if x.ndim > 2 else x.unsqueeze(0).unsqueeze(-1) if x.ndim else x.reshape(1, 1, 1)

    return _each(tensors, deep)


def _each(tensors: Any, f: Any) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return f(tensors[0])
    return tuple([f(x) for x in _several(tensors)])


def _joined(name: str, tensors: Any, dim: int, least: Any) -> Tensor:
    xs = [least(x) for x in tensors]
    if not xs:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return cat(xs, 0 if name == "hstack" and xs[0].ndim == 1 else dim)


@takes_out(JOINED, error=TypeError)
def hstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Joined side by side: vectors end to end, others along the second dimension.

    Source: ``torch.hstack``.
    """
    return _joined("hstack", tensors, 1, atleast_1d)


@takes_out(JOINED, error=TypeError)
def vstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Joined one below the other, vectors as rows.

    Source: ``torch.vstack``.
    """
    return _joined("vstack", tensors, 0, atleast_2d)


@takes_out(JOINED, error=TypeError)
def dstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Joined along the third dimension.

    Source: ``torch.dstack``.
    """
    return _joined("dstack", tensors, 2, atleast_3d)


@takes_out(JOINED, error=TypeError)
def column_stack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Joined side by side, vectors as columns.

    Source: ``torch.column_stack``.
    """
    return _joined("column_stack", tensors, 1, lambda x: x if x.ndim > 1 else x.reshape(-1, 1))


@whole("BlockDiagBackward0")
def block_diag(*tensors: Tensor) -> Tensor:
    """The matrix with the given ones along its diagonal.

    Source: ``torch.block_diag``.
    """
    for i, x in enumerate(tensors):
        if x.ndim > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {x.ndim} dimensions"
            )
    if not tensors:
        return wrap(np.zeros((1, 0), np.float32))
    blocks = promote(tuple([atleast_2d(x) for x in tensors]))
    width, left, rows = sum(b._shape[1] for b in blocks), 0, []
    for b in blocks:
        n, m = b._shape
        empty = [wrap(np.zeros((n, k), b._dtype)) for k in (left, width - left - m)]
        rows.append(cat([empty[0], b, empty[1]], 1))
        left += m
    return cat(rows, 0)


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """Views of all in their common shape.

    Source: ``torch.broadcast_tensors``.
    """
    xs = _several(tensors)
    shape = broadcast_shapes(*[x._shape for x in xs])
    return tuple([x if x._shape == shape else x.expand(*shape) for x in xs])


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that tensors of these shapes broadcast to.

    Source: ``torch.broadcast_shapes``.
    """
    from ..dtypes import Size

    found: tuple[int, ...] = ()
    for s in shapes:
        s = (s,) if isinstance(s, int) else tuple(s)
        try:
            found = np.broadcast_shapes(found, s)
        except ValueError:
            raise explained(RuntimeError(errors.size_mismatch(found, s))) from None
    return Size(found)


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """The coordinates of a grid's points: one tensor for each of the given vectors.

    ``indexing`` is "ij" (rows first; the default, with a warning) or "xy" (the first two dimensions exchanged).

    Source: ``torch.meshgrid``.
    """
    xs = _several(tensors)
    if not xs:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing is None:
        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.",
            UserWarning, stacklevel=2,
        )  # fmt: skip
    elif indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for x in xs:
        if x.ndim > 1:
            raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {x}")
        if x._dtype != xs[0]._dtype:
            raise RuntimeError("torch.meshgrid expects all tensors to have the same dtype")
    swap = indexing == "xy" and len(xs) > 1
    xs = [xs[1], xs[0], *xs[2:]] if swap else xs
    shape, n = tuple([x.numel() for x in xs]), len(xs)
    found = [x.reshape(*(-1 if i == j else 1 for j in range(n))).expand(*shape) for i, x in enumerate(xs)]
    return (found[1], found[0], *found[2:]) if swap else tuple(found)


def cartesian_prod(*tensors: Any) -> Tensor:
    """All ways to take one entry of each vector, as rows.

    Source: ``torch.cartesian_prod``.
    """
    xs = _several(tensors)
    for x in xs:
        if x.ndim != 1:
            raise RuntimeError("Expect a 1D vector, but got shape " + str(list(x.shape)))
    if len(xs) == 1:
        return xs[0]
    return stack([g.flatten() for g in meshgrid(*xs, indexing="ij")], 1)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All ways to choose ``r`` entries of a vector, as rows.

    Source: ``torch.combinations``.
    """
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if not r:
        return wrap(np.empty(0, input._dtype))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array([*choose(range(input.numel()), r)], np.int64).reshape(-1, r)
    return stack([input[wrap(np.ascontiguousarray(column))] for column in rows.T], 1)


export_all(
    atleast_1d, atleast_2d, atleast_3d, hstack, vstack, dstack, column_stack, block_diag, broadcast_tensors,
    broadcast_shapes, meshgrid, cartesian_prod, combinations, method=False,
)  # fmt: skip
export("row_stack", vstack, method=False)
