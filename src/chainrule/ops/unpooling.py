"""Maxima put back where pooling found them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import errors
from ..errors import explained
from ..primitive import Primitive
from ..tensor import Tensor
from .pooling import Ints, Sizes, per_axis, read


class Unpool(Primitive):
    """Zeros of ``size`` with x's entries at ``at``, counted along the last axes as if they were one."""

    formula = False
    forward = lambda xp, x, at, *, size: written(x, at, size)
    vjp_x = lambda xp, g, at, size: read(xp, g, at, len(size))
    linear = ("x",)
    samples = [(((1, 2, 2), [[[5, 0], [3, 7]]]), {"size": (2, 4)})]


def written(x: Any, at: Any, size: Ints) -> Any:
    lead = x.shape[: x.ndim - len(size)]
    out: Any = np.zeros((math.prod(lead), math.prod(size)), x.dtype)
    rows = at.reshape(len(out), -1)
    np.put_along_axis(out, rows, x.reshape(rows.shape), -1)
    return out.reshape(*lead, *size)


_unpool = {1: Unpool("MaxUnpool2DBackward0"), 3: Unpool("MaxUnpool3DBackward0")}
_unpool[2] = _unpool[1]


def _unpooled(
    rank: int, x: Tensor, indices: Tensor, kernel: Any, stride: Any, padding: Any, output_size: Any
) -> Tensor:
    name = f"max_unpool{rank}d"
    sizes = per_axis(kernel, rank, name, "kernel_size")
    steps = sizes if stride is None else per_axis(stride, rank, name, "stride")
    around = per_axis(padding, rank, name, "padding")
    least = [
        (n - 1) * s - 2 * p + k for n, s, p, k in zip(x._shape[x.ndim - rank :], steps, around, sizes, strict=True)
    ]
    size = tuple(least)
    if output_size is not None:
        size = tuple(int(n) for n in output_size)
        size = size[2:] if len(size) == rank + 2 else size
        if len(size) != rank:
            raise ValueError(
                f"output_size should be a sequence containing {rank} or {rank + 2} elements, but it has a length of "
                f"'{len(output_size)}'"
            )
        for d, (n, m, s) in enumerate(zip(size, least, steps, strict=True)):
            if not m - s < n < m + s:
                raise explained(
                    ValueError(
                        f'invalid output_size "{size}" (dim {d} must be between {m - s} and {m + s})'
                        "\nThese are the sizes that pooling with this kernel and stride would bring back to the input's."
                    )
                )
    if indices._dtype != np.int64:
        kind = errors.scalar_type(indices._dtype)
        raise RuntimeError("elements in indices should be type int64" + ("" if rank == 3 else f" but got: {kind}"))
    if indices._shape != x._shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({list(x.shape)}) but got indices tensor "
            f"with shape: {list(indices.shape)}"
        )
    a = indices._a
    if type(a) is np.ndarray and a.size and not (a.min() >= 0 and a.max() < math.prod(size)):
        wrong = a[(a < 0) | (a >= math.prod(size))][0]
        shown = "x".join(map(str, (*size, 1) if rank == 1 else size))
        raise explained(
            RuntimeError(
                f"Found an invalid max index: {wrong} (output volumes are of size {shown})"
                "\nIndices are what max_pool gave for a tensor of the output's size."
            )
        )
    return _unpool[rank](x, indices, size=size)


def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """Zeros with the maxima that :func:`max_pool1d` found put back where they were.

    ``indices`` (int64) has input's shape.  ``output_size`` says which size, where several would pool to input's.

    Source: ``torch.nn.functional.max_unpool1d``.

    >>> import chainrule as torch
    >>> max_unpool1d(torch.tensor([[3.0, 5.0]]), torch.tensor([[1, 3]]), 2)
    tensor([[0., 3., 0., 5.]])
    """
    return _unpooled(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """:func:`max_unpool1d` over two axes.  Source: ``torch.nn.functional.max_unpool2d``."""
    return _unpooled(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """:func:`max_unpool1d` over three axes.  Source: ``torch.nn.functional.max_unpool3d``."""
    return _unpooled(3, input, indices, kernel_size, stride, padding, output_size)
