"""Finding entries and places: distinct ones, sorted ones, counts and histograms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..outputs import EXACT, takes_out
from ..tensor import Tensor, wrap
from ..transforms import one_shape
from .extremes import return_type
from .kinds import export_all
from .samplewise import by_sample


def _values(x: Tensor) -> Any:
    return x.detach().numpy()


def unique(
    input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False,
    dim: int | None = None,
) -> Any:  # fmt: skip
    """Each value once, in rising order; on request where each entry has gone, and how often each value was there.

    Source: ``torch.unique``.
    """
    one_shape("_unique2", input)
    axis = None if dim is None else input._dim(dim)
    out, inverse, counts = np.unique(
        _values(input), return_inverse=True, return_counts=True, axis=axis, equal_nan=False
    )
    inverse = inverse.reshape(input._shape if dim is None else -1)
    found = [out, *([inverse] if return_inverse else []), *([counts] if return_counts else [])]
    tensors = tuple([wrap(np.asarray(f)) for f in found])
    return tensors[0] if len(tensors) == 1 else tensors


def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """Each run of equal entries once.

    Source: ``torch.unique_consecutive``.
    """
    one_shape("unique_consecutive", input)
    a = _values(input)
    rows = a.reshape(-1) if dim is None else np.moveaxis(a, input._dim(dim), 0)
    new = np.ones(len(rows), np.bool_)
    if len(rows) > 1:
        new[1:] = (rows[1:] != rows[:-1]).reshape(len(rows) - 1, -1).any(1)
    starts = np.flatnonzero(new)
    out = rows[new] if dim is None else np.moveaxis(rows[new], 0, input._dim(dim))
    inverse = np.cumsum(new) - 1
    found = [out, *([inverse.reshape(a.shape if dim is None else -1)] if return_inverse else []),
             *([np.diff(np.append(starts, len(rows)))] if return_counts else [])]  # fmt: skip
    tensors = tuple([wrap(np.ascontiguousarray(f)) for f in found])
    return tensors[0] if len(tensors) == 1 else tensors


_PLACES = (
    "torch.searchsorted(): output tensor's dtype is wrong, it can only be Int(int32) or Long(int64) depending on whether "
    "out_int32 flag is True, but we got output tensor's dtype {out} and out_int32 flag is False"
)


@by_sample
@takes_out(_PLACES)
def searchsorted(
    sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Tensor | None = None, out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Where each of ``input`` would go into the rising rows of ``sorted_sequence``; before equal entries, or after.

    Source: ``torch.searchsorted``.
    """
    if side not in (None, "left", "right"):
        raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True"
        )
    rows, x = _values(sorted_sequence), _values(input) if isinstance(input, Tensor) else np.asarray(input)
    where: Any = "right" if right or side == "right" else "left"
    kind = np.int32 if out_int32 else np.int64
    if rows.ndim == 1:
        return wrap(np.asarray(np.searchsorted(rows, x, where, None if sorter is None else _values(sorter)), kind))
    if rows.shape[:-1] != x.shape[:-1]:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor "
            f"and input value tensor must match, but we got boundaries tensor {list(rows.shape)} and input value tensor "
            f"{list(x.shape)}"
        )
    found = np.empty(x.shape, kind)
    for at in np.ndindex(rows.shape[:-1]):
        found[at] = np.searchsorted(rows[at], x[at], where, None if sorter is None else _values(sorter)[at])
    return wrap(found)


@takes_out(_PLACES)
def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False, out: Tensor | None = None
) -> Tensor:
    """The number of the interval between rising ``boundaries`` that each of ``input`` lies in.

    Source: ``torch.bucketize``.
    """
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


@by_sample
@takes_out(EXACT)
def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False, out: Tensor | None = None
) -> Tensor:
    """Whether each of ``elements`` is among ``test_elements``.

    Source: ``torch.isin``.
    """
    a, b = (_values(t) if isinstance(t, Tensor) else np.asarray(t) for t in (elements, test_elements))
    return wrap(np.asarray(np.isin(a, b, invert=invert)))


def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """How many entries are not 0, of all or along ``dim``.

    Source: ``torch.count_nonzero``.
    """
    found: Tensor = (input != 0).sum(dim if dim is not None and dim != () else None)
    return found


@by_sample
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each number from 0 on is there, or the sum of its ``weights``.

    Source: ``torch.bincount``.
    """
    if input.ndim != 1 or input._dtype.kind not in "iu" or (input.numel() and bool((input < 0).any())):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    w = None if weights is None else _values(weights)
    out = np.bincount(_values(input), w, minlength)
    return wrap(out if w is None else out.astype(np.float32 if w.dtype == np.float32 else np.float64))


@by_sample
@takes_out(
    "torch.histogram: input tensor and hist tensor should have the same dtype, but got input {c_result} and hist {c_out}"
)
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0, *, out: Tensor | None = None) -> Tensor:
    """How many entries lie in each of ``bins`` equal intervals from ``min`` to ``max`` (of the data, if both are 0).

    Source: ``torch.histc``.
    """
    a = _values(input).ravel()
    if bins <= 0:
        raise RuntimeError("bins must be > 0")
    low, high = (a.min(), a.max()) if min == max and a.size else (min, max)
    if low == high:
        low, high = low - 1, high + 1
    if not (np.isfinite(low) and np.isfinite(high)):
        raise RuntimeError(f"range of [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError("max must be larger than min")
    return wrap(np.histogram(a, bins, (low, high))[0].astype(a.dtype))


_Histogram = return_type("histogram", "hist", "bin_edges")


@by_sample
@takes_out(
    "torch.histogram: input tensor and hist tensor should have the same dtype, but got input {c_result} and hist {c_out}"
)
def histogram(
    input: Tensor, bins: Any, *, range: Any = None, weight: Tensor | None = None, density: bool = False, out: Any = None
) -> Any:
    """(counts, edges) of intervals: so many equal ones, or those between the given edges.

    Source: ``torch.histogram``.
    """
    a = _values(input).ravel()
    w = None if weight is None else _values(weight).ravel()
    if isinstance(bins, Tensor):
        edges = _values(bins)
    else:
        low, high = range if range is not None else (a.min(), a.max()) if a.size else (0.0, 1.0)
        low, high = (low, high) if low != high else (low - 0.5, high + 0.5)
        edges = np.linspace(low, high, bins + 1, dtype=a.dtype)
    hist = np.histogram(a, edges, weights=w, density=density)[0]
    return _Histogram(wrap(hist.astype(a.dtype)), wrap(edges.astype(a.dtype)))


def argwhere(input: Tensor) -> Tensor:
    """The indices of the entries that are not 0, one row each.

    Source: ``torch.argwhere``.
    """
    return input.nonzero()  # type: ignore[no-any-return]


@by_sample
def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """The coordinates, in a tensor of this shape, of places in the flattened tensor.

    Source: ``torch.unravel_index``.
    """
    dims = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
    a = _values(indices)
    if a.dtype.kind not in "iu":
        raise ValueError(f"torch.unravel_index(): expected 'indices' to be an integer tensor, got {indices.dtype}")
    return tuple(
        [wrap(np.asarray(c, np.int64)) for c in np.unravel_index(np.where(a < 0, a + math.prod(dims), a), dims)]
    )


export_all(unique, unique_consecutive, count_nonzero, bincount, histc, histogram, argwhere)
export_all(searchsorted, bucketize, isin, unravel_index, method=False)
