"""Order: sorting, the largest few, the middle, quantiles; and counting."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays.namespace import is_numpy
from ..outputs import EXACT, takes_out
from ..primitive import Primitive
from ..tensor import Tensor, wrap
from .extremes import return_type
from .kinds import export_all, public
from .places import Chosen, Gather
from .reduce import Reduction, axes, spread
from .whole import clone_as


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
_sorted, _sorted_stably = Gather("SortBackward0"), Gather("SortBackward1")
_topped, _kth = Gather("TopkBackward0"), Chosen("KthvalueBackward0")
_moded, _middled, _nanmiddled = Chosen("ModeBackward0"), Chosen("MedianBackward1"), Chosen("NanmedianBackward1")
_Sort, _Topk, _Kth = (return_type(n, "values", "indices") for n in ("sort", "topk", "kthvalue"))
_Mode, _Median, _NanMedian = (return_type(n, "values", "indices") for n in ("mode", "median", "nanmedian"))


def _taken(prim: Primitive, result: Any, x: Tensor, indices: Tensor, axis: int) -> Any:
    return result(prim(x, indices, axis=axis), indices)


def _scalar(prim: Primitive, result: Any, x: Tensor) -> Any:
    return result(clone_as(prim.label, x), wrap(np.zeros((), np.int64)))


@takes_out(EXACT)
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool | None = None, *, out: Any = None) -> Any:
    """(values, indices) in rising or falling order along ``dim``; equal entries stay in order, nan is the largest.

    Source: ``torch.sort``.

    >>> import chainrule as torch
    >>> torch.sort(torch.tensor([3.0, 1.0, 2.0])).indices
    tensor([1, 2, 0])
    """
    at, by = input._dim(dim) - input.ndim, _sorted if stable is None else _sorted_stably
    if not input.ndim:
        return _scalar(by, _Sort, input)
    return _taken(by, _Sort, input, _argsort(input, axis=at, descending=bool(descending)), at)


def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that :func:`sort` gives.

    Source: ``torch.argsort``.
    """
    return sort(input, dim, descending).indices  # type: ignore[no-any-return]


@takes_out(EXACT)
def msort(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Sorted along the first dimension.

    Source: ``torch.msort``.
    """
    return sort(input, 0).values  # type: ignore[no-any-return]


@takes_out(EXACT)
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True, *, out: Any = None) -> Any:
    """(values, indices) of the ``k`` largest entries along ``dim``, or the smallest, in order.

    Source: ``torch.topk``.
    """
    at = input._dim(dim) - input.ndim
    if not 0 <= k <= (input._shape[at] if input.ndim else 1):
        raise RuntimeError("selected index k out of range")
    if not input.ndim:
        return _scalar(_topped, _Topk, input) if k else _Topk(input.reshape(1)[:0], wrap(np.zeros(0, np.int64)))
    return _taken(_topped, _Topk, input, _argtop(input, k=int(k), axis=at, largest=bool(largest)), at)


@takes_out("output values must be of same type as input")
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False, *, out: Any = None) -> Any:
    """(value, index) of the ``k``-th smallest entry along ``dim``, counted from 1.

    Source: ``torch.kthvalue``.
    """
    at = input._dim(dim)
    if input.ndim and not input._shape[at]:
        raise IndexError(f"kthvalue(): Expected reduction dim {at} to have non-zero size.")
    if not 1 <= k <= (input._shape[at] if input.ndim else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {at}")
    if not input.ndim:
        return _scalar(_kth, _Kth, input)
    at -= input.ndim
    where = _argsort(input, axis=at, descending=False).narrow(at, k - 1, 1)
    return _chosen(_kth, _Kth, input, where, at, keepdim)


def _chosen(prim: Primitive, result: Any, x: Tensor, index: Tensor, axis: int, keepdim: bool) -> Any:
    return result(prim(x, index, axis=axis, keepdims=keepdim), index if keepdim else index.squeeze(axis))


@takes_out("expected scalar type '{result}' but got '{out}' for values output")
def mode(input: Tensor, dim: int = -1, keepdim: bool = False, *, out: Any = None) -> Any:
    """(value, index) of the entry that is there most often along ``dim``: of several the smallest, its last place.

    Source: ``torch.mode``.
    """
    if not input.ndim:
        return _scalar(_moded, _Mode, input)
    at = input._dim(dim) - input.ndim
    if not input._shape[at]:
        raise IndexError(f"mode(): Expected reduction dim {at + input.ndim} to have non-zero size.")
    return _chosen(_moded, _Mode, input, _argmode(input, axis=at), at, keepdim)


# --- the middle ---


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
        return _scalar(_nanmiddled if skip else _middled, result, x)
    at = x._dim(dim) - x.ndim
    if not x._shape[at]:
        raise IndexError(f"{name}(): Expected reduction dim {at + x.ndim} to have non-zero size.")
    where = _argmiddle(x, axis=at, skip=skip)
    return _chosen(_nanmiddled if skip else _middled, result, x, where, at, keepdim)


@takes_out(EXACT)
def median(input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Any = None) -> Any:
    """The median of all entries, of two in the middle the smaller; with ``dim``, (values, indices) along it.

    Source: ``torch.median``.
    """
    return _middle("median", input, dim, keepdim)


@takes_out(EXACT)
def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Any = None) -> Any:
    """:func:`median` of the entries that are numbers.

    Source: ``torch.nanmedian``.
    """
    return _middle("nanmedian", input, dim, keepdim)


@takes_out("quantile() out tensor must be same dtype as the input tensor")
def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear",
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The value below which the share ``q`` of the entries lies, of all or along ``dim``; several q go in front.

    Between two entries ``interpolation`` is "linear", "lower", "higher", "midpoint" or "nearest".

    Source: ``torch.quantile``.
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, skip=False)


@takes_out("quantile() out tensor must be same dtype as the input tensor")
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
    if skip:
        rank_of = at_q.reshape(-1) * ((rows == rows).sum(-1, keepdim=True).to(x.dtype) - 1).clamp(min=0)
    else:  # a nan makes all of its row nan: the last entry, which it is
        spoiled, rank_of = (rows != rows).any(-1, keepdim=True), at_q.reshape(-1) * (n - 1)
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


export_all(sort, argsort, msort, topk, kthvalue, mode, median, nanmedian, quantile, nanquantile)
