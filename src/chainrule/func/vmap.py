"""``vmap``: a function of one example, made a function of many at once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..arrays import namespace as ns
from ..arrays.batched import Batched, make
from ..tensor import Tensor, lower, wrap
from . import tree
from .levels import inside, level, outside


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """``func`` over a dimension of its arguments, without a loop.

    ``in_dims``: for each argument, which dimension to map over, or None for the same value throughout.
    ``out_dims``: where the mapped dimension goes in the outputs.  ``chunk_size`` bounds how many are done
    at once.  Inside, tensors have the shape of one example.

    Raises ValueError if there is nothing to map over or sizes differ.

    Source: ``torch.func.vmap``.

    >>> import chainrule as torch
    >>> torch.func.vmap(torch.dot)(torch.ones(2, 3), torch.ones(2, 3))
    tensor([3., 3.])
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        leaves, rebuild = tree.flatten(args)
        dims = tree.spread(tuple(in_dims) if isinstance(in_dims, list) else in_dims, args, "in_dims")
        kwleaves, kwrebuild = tree.flatten(kwargs)
        dims += [0 if isinstance(x, Tensor) else None for x in kwleaves]
        everything = leaves + kwleaves
        size = _size(everything, dims)
        n = len(leaves)
        if chunk_size is None or chunk_size >= size:
            return _once(func, everything, dims, size, n, rebuild, kwrebuild, out_dims)
        parts = []
        for start in range(0, size, chunk_size):
            cut = [
                x if d is None else x.movedim(d, 0)[start : start + chunk_size]
                for x, d in zip(everything, dims, strict=True)
            ]
            zeros = [None if d is None else 0 for d in dims]
            parts.append(_once(func, cut, zeros, min(chunk_size, size - start), n, rebuild, kwrebuild, out_dims))
        return _joined(parts, out_dims)

    return mapped


def _size(leaves: list[Any], dims: list[Any]) -> int:
    sizes = set()
    for x, d in zip(leaves, dims, strict=True):
        if d is None:
            continue
        if not isinstance(x, Tensor):
            raise ValueError(
                f"vmap: Got in_dim={d} for an input but the input is of type {type(x)}. We cannot vmap over "
                "non-Tensor arguments, please use None as the respective in_dim"
            )
        if not x.shape:
            raise ValueError(
                f"vmap: Got in_dim={d} for some input, but that input is a Tensor of dimensionality 0 so expected "
                "in_dim to be None"
            )
        sizes.add(x.shape[x._dim(d)])
    if not sizes:
        raise ValueError("vmap: at least one input must be mapped over: give it a dimension in in_dims")
    if len(sizes) > 1:
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sorted(sizes)}"
        )
    return int(sizes.pop())


def _once(func: Any, leaves: Any, dims: Any, size: int, n: int, rebuild: Any, kwrebuild: Any, out_dims: Any) -> Any:
    with level() as rank:
        boxed = [
            x if d is None else make(inside(x.movedim(d, 0) if x._dim(d) else x), size, rank)
            for x, d in zip(leaves, dims, strict=True)
        ]
        out = func(*rebuild(boxed[:n]), **kwrebuild(boxed[n:]))
    found, again = tree.flatten(out)
    where = tree.spread(out_dims, out, "out_dims")
    return again([_unbox(outside(y, rank), d, size, rank) for y, d in zip(found, where, strict=True)])


def _unbox(y: Any, dim: int | None, size: int, rank: int) -> Any:
    if not isinstance(y, Tensor):
        raise ValueError(
            f"vmap: func must only return Tensors, got type {type(y)}. Did you mean to set out_dims= to None?"
        )
    if isinstance(y, Batched) and y._rank == rank:
        if dim is None:
            raise ValueError(
                "vmap: func returned a value that depends on the mapped input; out_dims=None needs one that does not"
            )
        out = lower(y._a)
    elif dim is None:
        return y
    else:
        out = ns.boxes.broadcast_to(y, (size, *y.shape))
        out = out if isinstance(out, Tensor) else wrap(out)
    return out.movedim(0, dim) if dim else out


def _joined(parts: list[Any], out_dims: Any) -> Any:
    from ..ops.shape import cat

    flat = [tree.flatten(p) for p in parts]
    where = tree.spread(out_dims, parts[0], "out_dims")
    rebuild = flat[0][1]
    return rebuild([cat([f[0][i] for f in flat], d) if d is not None else flat[0][0][i] for i, d in enumerate(where)])
