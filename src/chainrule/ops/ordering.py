"""Order: sorting, the largest few, the middle, quantiles; and counting."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays.namespace import is_numpy
from ..primitive import Primitive
from ..tensor import Tensor, wrap
from ..transforms import one_shape
from .extremes import return_type
from .kinds import export_all, public
from .places import Gather
from .reduce import Reduction, axes, spread
from .samplewise import by_sample


class Position(Primitive):
    """Where along ``axis`` something is: integers, which have no derivative."""

    differentiable = formula = False


class ArgSort(Position):
    """The places of the entries in rising order (or falling); equal ones stay in order, nan is the largest."""

    forward = lambda xp, x, *, axis, descending: xp.order(x, axis=axis, descending=descending)
    samples = [(((2, 4),), {"axis": -1, "descending": False}), (((3, 2),), {"axis": -2, "descending": True})]


class ArgTop(Position):
    """The places of the ``k`` largest entries, or smallest, in order."""

    forward = lambda xp, x, *, k, axis, largest: xp.top(x, k, axis=axis, largest=largest)
    samples = [(((2, 4),), {"k": 2, "axis": -1, "largest": True}), (((3, 2),), {"k": 1, "axis": -2, "largest": False})]


class ArgMiddle(Position):
    """The place of the lower median; with ``skip``, of that of the numbers among nan."""

    forward = lambda xp, x, *, axis, skip: xp.middle(x, axis=axis, skip=skip)
    samples = [(((2, 4),), {"axis": -1, "skip": False}), (((3, 2),), {"axis": -2, "skip": True})]


class ArgMode(Position):
    """The last place of the entry that is there most often, of several the smallest."""

    forward = lambda xp, x, *, axis: xp.most_frequent(x, axis=axis)
    samples = [(([[1.0, 2.0, 2.0, 1.0, 3.0]],), {"axis": -1})]


_argsort, _argtop, _argmiddle, _argmode = ArgSort(), ArgTop(), ArgMiddle(), ArgMode()
_sorted, _topped, _kth = Gather("SortBackward0"), Gather("TopkBackward0"), Gather("KthvalueBackward0")
_moded, _middled, _nanmiddled = Gather("ModeBackward0"), Gather("MedianBackward1"), Gather("NanmedianBackward1")
_Sort, _Topk, _Kth = (return_type(n, "values", "indices") for n in ("sort", "topk", "kthvalue"))
_Mode, _Median, _NanMedian = (return_type(n, "values", "indices") for n in ("mode", "median", "nanmedian"))


def _taken(prim: Primitive, result: Any, x: Tensor, indices: Tensor, axis: int) -> Any:
    return result(prim(x, indices, axis=axis), indices)


def _scalar(result: Any, x: Tensor) -> Any:
    return result(x.clone(), wrap(np.zeros((), np.int64)))


def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """(values, indices) in rising or falling order along ``dim``; equal entries stay in order, nan is the largest.

    Source: ``torch.sort``.

    >>> import chainrule as torch
    >>> torch.sort(torch.tensor([3.0, 1.0, 2.0])).indices
    tensor([1, 2, 0])
    """
    at = input._dim(dim) - input.ndim
    if not input.ndim:
        return _scalar(_Sort, input)
    return _taken(_sorted, _Sort, input, _argsort(input, axis=at, descending=bool(descending)), at)


def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that :func:`sort` gives.

    Source: ``torch.argsort``.
    """
    return sort(input, dim, descending).indices  # type: ignore[no-any-return]


def msort(input: Tensor) -> Tensor:
    """Sorted along the first dimension.

    Source: ``torch.msort``.
    """
    return sort(input, 0).values  # type: ignore[no-any-return]


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """(values, indices) of the ``k`` largest entries along ``dim``, or the smallest, in order.

    Source: ``torch.topk``.
    """
    at = input._dim(dim) - input.ndim
    if not 0 <= k <= (input._shape[at] if input.ndim else 1):
        raise RuntimeError("selected index k out of range")
    if not input.ndim:
        return _scalar(_Topk, input) if k else _Topk(input.reshape(1)[:0], wrap(np.zeros(0, np.int64)))
    return _taken(_topped, _Topk, input, _argtop(input, k=int(k), axis=at, largest=bool(largest)), at)


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """(value, index) of the ``k``-th smallest entry along ``dim``, counted from 1.

    Source: ``torch.kthvalue``.
    """
    at = input._dim(dim)
    if input.ndim and not input._shape[at]:
        raise IndexError(f"kthvalue(): Expected reduction dim {at} to have non-zero size.")
    if not 1 <= k <= (input._shape[at] if input.ndim else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {at}")
    if not input.ndim:
        return _scalar(_Kth, input)
    at -= input.ndim
    where = _argsort(input, axis=at, descending=False).narrow(at, k - 1, 1)
    return _reduced(_taken(_kth, _Kth, input, where, at), at, keepdim)


def _reduced(found: Any, axis: int, keepdim: bool) -> Any:
    return found if keepdim else type(found)(*[t.squeeze(axis) for t in found])


def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """(value, index) of the entry that is there most often along ``dim``: of several the smallest, its last place.

    Source: ``torch.mode``.
    """
    if not input.ndim:
        return _scalar(_Mode, input)
    at = input._dim(dim) - input.ndim
    if not input._shape[at]:
        raise IndexError(f"mode(): Expected reduction dim {at + input.ndim} to have non-zero size.")
    return _reduced(_taken(_moded, _Mode, input, _argmode(input, axis=at), at), at, keepdim)


# --- the middle ------------------------------------------------------------------------------------------------------


class Median(Reduction):
    """The lower median of all entries; equal ones share the gradient."""

    formula = False
    forward = lambda xp, x, *, axis, skip: xp.take_along_axis(
        xp.reshape(x, flat(x, axis)), xp.middle(xp.reshape(x, flat(x, axis)), axis=-1, skip=skip), axis=-1
    )[..., 0]
    vjp_x = lambda xp, g, out, x, axis: spread(xp, g, x.shape, axis) * ties(xp, x, out, axis)
    jvp_x = lambda xp, t, out, x, axis: xp.sum(t * ties(xp, x, out, axis), axis=axis, keepdims=False)
    samples = [(((2, 3),), {"axis": (-2, -1), "skip": False}), (((5,),), {"axis": (-1,), "skip": True})]


def flat(x: Any, axis: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in which all of ``axis``, the last axes, are one."""
    n = len(x.shape) - len(axis)
    return (*x.shape[:n], math.prod(x.shape[n:]))


def ties(xp: Any, x: Any, out: Any, axis: tuple[int, ...]) -> Any:
    """The share of each entry in the median."""
    middle = spread(xp, out, x.shape, axis)
    mine = xp.astype((x == middle) | ((x != x) & (middle != middle)), x.dtype)
    return mine / xp.sum(mine, axis=axis, keepdims=True)


_median, _nanmedian = Median("MedianBackward0"), Median("NanmedianBackward0")
Median()


def _middle(name: str, x: Tensor, dim: int | None, keepdim: bool) -> Any:
    skip = name == "nanmedian"
    if dim is None:
        if not x.numel():
            return wrap(np.full((), math.nan, x._dtype))
        return (_nanmedian if skip else _median)(x, axis=axes(x, None), skip=skip)
    result = _NanMedian if skip else _Median
    if not x.ndim:
        return _scalar(result, x)
    at = x._dim(dim) - x.ndim
    if not x._shape[at]:
        raise IndexError(f"{name}(): Expected reduction dim {at + x.ndim} to have non-zero size.")
    where = _argmiddle(x, axis=at, skip=skip)
    return _reduced(_taken(_nanmiddled if skip else _middled, result, x, where, at), at, keepdim)


def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The median of all entries, of two in the middle the smaller; with ``dim``, (values, indices) along it.

    Source: ``torch.median``.
    """
    return _middle("median", input, dim, keepdim)


def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """:func:`median` of the entries that are numbers.

    Source: ``torch.nanmedian``.
    """
    return _middle("nanmedian", input, dim, keepdim)


def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear",
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The value below which the share ``q`` of the entries lies, of all or along ``dim``; several q go in front.

    Between two entries ``interpolation`` is "linear", "lower", "higher", "midpoint" or "nearest".

    Source: ``torch.quantile``.
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, skip=False)


def nanquantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear",
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """:func:`quantile` of the entries that are numbers.

    Source: ``torch.nanquantile``.
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, skip=True)


def _quantile(name: str, x: Tensor, q: Any, dim: Any, keepdim: bool, interpolation: str, skip: bool) -> Tensor:
    if x._dtype not in (np.float32, np.float64):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if not x.numel():
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
        )
    at_q = q if isinstance(q, Tensor) else wrap(np.asarray(q, x._dtype))
    if at_q.ndim > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
    if at_q._dtype != x._dtype:
        raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
    if is_numpy(at_q._a) and at_q._rank == 2 and not bool(((at_q >= 0) & (at_q <= 1)).all()):
        raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    rank = x.ndim
    rows = x.reshape(-1) if dim is None or not rank else x.movedim(dim, -1)
    ordered = sort(rows, -1).values
    n = ordered._shape[-1]
    many = (rows == rows).sum(-1, keepdim=True).to(x.dtype) if skip else n + 0 * rows.detach()[..., :1]
    rank_of = at_q.reshape(-1) * (many - 1).clamp(min=0)
    if not skip:  # a nan makes all of its row nan: the last entry, which it is
        spoiled = (rows != rows).any(-1, keepdim=True)
        rank_of = public["where"](spoiled, rank_of._wrap(np.asarray(n - 1, x._dtype)), rank_of)
    below, above = rank_of.floor(), rank_of.ceil()
    if interpolation == "lower":
        above = below
    elif interpolation == "higher":
        below = above
    elif interpolation == "nearest":
        below = above = rank_of.round()
    low = ordered.gather(-1, below.long())
    found = low
    if interpolation in ("linear", "midpoint"):
        high = ordered.gather(-1, above.long())
        weight = rank_of - below if interpolation == "linear" else 0.5 * (rank_of - below != 0).to(x.dtype)
        found = public["where"](weight == 0, low, low + weight * (high - low))
    found = found.movedim(-1, 0)
    if keepdim:
        found = found.reshape(-1, *(1,) * rank) if dim is None or not rank else found.unsqueeze(x._dim(dim) + 1)
    return found if at_q.ndim else found[0]  # type: ignore[no-any-return]


# --- counting --------------------------------------------------------------------------------------------------------


def _values(x: Tensor) -> Any:
    return x.detach().numpy()


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
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


@by_sample
def searchsorted(
    sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Tensor | None = None,
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
    out = np.empty(x.shape, kind)
    for at in np.ndindex(rows.shape[:-1]):
        out[at] = np.searchsorted(rows[at], x[at], where, None if sorter is None else _values(sorter)[at])
    return wrap(out)


def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The number of the interval between rising ``boundaries`` that each of ``input`` lies in.

    Source: ``torch.bucketize``.
    """
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


@by_sample
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
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
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
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
def histogram(
    input: Tensor, bins: Any, *, range: Any = None, weight: Tensor | None = None, density: bool = False
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


export_all(
    sort, argsort, msort, topk, kthvalue, mode, median, nanmedian, quantile, nanquantile, unique, unique_consecutive,
    count_nonzero, bincount, histc, histogram, argwhere,
)  # fmt: skip
export_all(searchsorted, bucketize, isin, unravel_index, method=False)
