"""Histograms in several dimensions, a fixed number of places that are not 0, and sums of bits that tell tensors apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import errors
from ..errors import explained
from ..outputs import takes_out
from ..tensor import Tensor, wrap
from .extremes import return_type
from .kinds import export, no_kernel, only_floats

_Histogram = return_type("histogramdd", "hist", "bin_edges")


def histogramdd(
    input: Tensor, bins: Any, *, range: Sequence[float] | None = None, weight: Tensor | None = None,
    density: bool = False, out: Any = None,
) -> Any:  # fmt: skip
    """(hist, bin_edges): how many points, the rows of ``input`` (..., d), lie in each cell of a grid in d dimensions.

    ``bins`` has for each dimension a number of equal intervals, or a tensor of their edges; ``range`` the least and the
    largest edge of each, by default those of the points.  ``weight`` (...) is what each point counts; ``density``
    divides by the sum and by the cells' volumes.  Not differentiable.

    Source: ``torch.histogramdd``.

    >>> import chainrule as torch
    >>> torch.histogramdd(torch.tensor([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0]]), [2, 2]).hist
    tensor([[1., 0.],
            [1., 1.]])
    """
    if input.ndim < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    only_floats("histogramdd", input)
    n = input._shape[-1]
    each = [bins] * n if isinstance(bins, int) else list(bins)
    if len(each) != n:
        raise explained(RuntimeError(
            "histogramdd: The size of bins must be equal to the innermost dimension of the input."
            f"\nThe points have {n} coordinates; bins says {len(each)} numbers."
        ))  # fmt: skip
    if weight is not None and weight._shape != input._shape[:-1]:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided it should have the same shape as the input tensor excluding "
            f"its innermost dimension, but got input with shape {list(input.shape)} and weight with shape "
            f"{list(weight.shape)}"
        )
    if range is not None and len(range) != 2 * n:
        raise RuntimeError(
            f"torch.histogramdd: for a {n}-dimensional histogram range should have {2 * n} elements, but got {len(range)}"
        )
    points = input.detach().numpy().reshape(-1, n)
    edges = [b.detach().numpy() if isinstance(b, Tensor) else _edges(points[:, i], i, b, range)
             for i, b in enumerate(each)]  # fmt: skip
    w = None if weight is None else weight.detach().numpy().reshape(-1)
    inside, cell = np.ones(len(points), bool), np.zeros(len(points), np.int64)
    for x, e in zip(points.T, edges, strict=True):
        inside &= (x >= e[0]) & (x <= e[-1])
        at = np.searchsorted(e, x, "right") - 1
        cell = cell * (len(e) - 1) + np.minimum(at, len(e) - 2)  # the last interval has both its ends
    shape = [len(e) - 1 for e in edges]
    total = np.bincount(cell[inside], None if w is None else w[inside], math.prod(shape))
    hist = total.reshape(shape)
    if density:
        hist = hist / hist.sum()
        for i, e in enumerate(edges):
            hist = hist / np.diff(e).reshape(-1, *(1,) * (n - i - 1))
    return _Histogram(wrap(hist.astype(input._dtype)), tuple([wrap(e) for e in edges]))


def _edges(x: Any, i: int, n: int, range: Sequence[float] | None) -> Any:
    """The edges of ``n`` equal intervals for coordinate ``i``."""
    if n <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {n} for dimension {i}")
    low, high = (range[2 * i], range[2 * i + 1]) if range is not None else (x.min(), x.max()) if x.size else (0, 1)
    if low > high:
        raise RuntimeError(
            f"torch.histogramdd: min should not exceed max, but got min {low:g} max {high:g} for dimension {i}"
        )
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, n + 1, dtype=x.dtype)


@takes_out("nonzero_static: Expected out tensor to have scalar type {result} but got scalar type{out}")
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1, out: Tensor | None = None) -> Tensor:
    """The indices of the first ``size`` entries that are not 0, one row each, and rows of ``fill_value`` if they are fewer.

    Source: ``torch.nonzero_static``.

    >>> import chainrule as torch
    >>> torch.nonzero_static(torch.tensor([0, 5, 7]), size=3)
    tensor([[ 1],
            [ 2],
            [-1]])
    """
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    found = np.full((size, input.ndim), fill_value, np.int64)
    if input.ndim:
        rows = np.stack(np.nonzero(input.detach().numpy()), -1)[:size]
        found[: len(rows)] = rows
    return wrap(found)


@takes_out("Expected result to be of dtype uint64, but got {out}")
def hash_tensor(
    input: Tensor, dim: Any = (), *, keepdim: bool = False, mode: int = 0, out: Tensor | None = None
) -> Tensor:
    """The exclusive or over ``dim``, all unless given, of the bits of each entry as a number of 64 bits: uint64.

    Source: ``torch.hash_tensor``.

    >>> import chainrule as torch
    >>> torch.hash_tensor(torch.tensor([[1, 2], [3, 4]]), 1)
    tensor([3, 7], dtype=torch.uint64)
    """
    if mode:
        raise RuntimeError(f"Unknown hash_tensor mode: {mode}")
    kind = input._dtype.kind
    if kind == "c":
        raise errors.not_of_complex(no_kernel("xor_sum_cpu"), input._dtype)
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    axes = tuple([input._dim(d) for d in dims]) if input.ndim else ()
    if not input.numel() and not dims:
        raise RuntimeError(
            "hash_tensor: Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
            "'dim' argument."
        )
    a = input.detach().numpy()
    bits: Any = a.astype(np.float64 if kind == "f" else np.int64).view(np.uint64)
    folded: Any = np.bitwise_xor.reduce
    return wrap(np.asarray(folded(bits, axis=axes if dims else None, keepdims=keepdim)))


export("histogramdd", histogramdd, method=False)
export("nonzero_static", nonzero_static)
export("hash_tensor", hash_tensor)
