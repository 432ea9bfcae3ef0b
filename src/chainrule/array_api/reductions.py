"""Functions along axes, under the standard's names: sums and their like, orders, places, sets."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..dtypes import dtype as kind_of_number
from ..dtypes import int64, uint64
from ..ops import find, public
from ..ops.ordering import argsort as _argsort
from ..ops.ordering import sort as _sort
from ..ops.search import searchsorted as _searchsorted
from ..tensor import Tensor, wrap
from . import types

Axis = int | tuple[int, ...] | None


def _reduced(name: str, x: Tensor, axis: Axis, keepdims: bool, **options: Any) -> Any:
    """PyTorch's function over the axes; over none of them, if there are none in the tuple."""
    if axis == ():
        return public[name](x.unsqueeze(-1), -1, False, **options)
    over = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    return public[name](x, over, keepdims, **options)


def _wide(x: Tensor, dtype: kind_of_number | None) -> kind_of_number:
    """What sums and products of ``x`` are, unless it is said."""
    if dtype is not None:
        return dtype
    return {"i": int64, "b": int64, "u": uint64}.get(x.dtype.np.kind, x.dtype)


def sum(x: Tensor, /, *, axis: Axis = None, dtype: kind_of_number | None = None, keepdims: bool = False) -> Tensor:
    """The sum; of integers as int64 or uint64."""
    return _reduced("sum", x, axis, keepdims, dtype=_wide(x, dtype))  # type: ignore[no-any-return]


def prod(x: Tensor, /, *, axis: Axis = None, dtype: kind_of_number | None = None, keepdims: bool = False) -> Tensor:
    """The product; of integers as int64 or uint64."""
    d = _wide(x, dtype)
    over = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    out = x.to(d)
    for a in sorted((a % x.ndim for a in over), reverse=True):
        out = public["prod"](out, a, keepdims, dtype=d)
    return out


def max(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element."""
    return _reduced("amax", x, axis, keepdims)  # type: ignore[no-any-return]


def min(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element."""
    return _reduced("amin", x, axis, keepdims)  # type: ignore[no-any-return]


def mean(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean."""
    return _reduced("mean", x, axis, keepdims)  # type: ignore[no-any-return]


def var(x: Tensor, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """The mean squared distance from the mean, with ``correction`` taken off the count."""
    if axis == ():
        return var(x.unsqueeze(-1), axis=-1, correction=correction)
    return public["var"](x, axis, correction=correction, keepdim=keepdims)


def std(x: Tensor, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """The square root of :func:`var`."""
    if axis == ():
        return std(x.unsqueeze(-1), axis=-1, correction=correction)
    return public["std"](x, axis, correction=correction, keepdim=keepdims)


def all(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether all elements are true, or not 0."""
    return _reduced("all", x != 0, axis, keepdims)  # type: ignore[no-any-return]


def any(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether any element is true, or not 0."""
    return _reduced("any", x != 0, axis, keepdims)  # type: ignore[no-any-return]


def count_nonzero(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """How many elements are not 0."""
    return _reduced("sum", x != 0, axis, keepdims)  # type: ignore[no-any-return]


def _running(name: str, x: Tensor, axis: int | None, d: kind_of_number, first: int, initial: bool) -> Tensor:
    if axis is None:
        if x.ndim != 1:
            raise ValueError("axis must be given for an array that has not one dimension")
        axis = 0
    out = (find(name) if name == "cumprod" else public[name])(x.to(d), axis, dtype=d)
    if not initial:
        return out
    start = out.new_full([1 if i == axis % x.ndim else n for i, n in enumerate(x.shape)], first)
    return public["cat"]([start, out], axis)


def cumulative_sum(
    x: Tensor, /, *, axis: int | None = None, dtype: kind_of_number | None = None, include_initial: bool = False
) -> Tensor:
    """The sums of all elements so far; with the 0 of none before them on request."""
    return _running("cumsum", x, axis, _wide(x, dtype), 0, include_initial)


def cumulative_prod(
    x: Tensor, /, *, axis: int | None = None, dtype: kind_of_number | None = None, include_initial: bool = False
) -> Tensor:
    """The products of all elements so far; with the 1 of none before them on request."""
    return _running("cumprod", x, axis, _wide(x, dtype), 1, include_initial)


def argmax(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The place of the first largest element, along an axis or in all."""
    return _place("argmax", x, axis, keepdims)


def argmin(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The place of the first smallest element, along an axis or in all."""
    return _place("argmin", x, axis, keepdims)


def _place(name: str, x: Tensor, axis: int | None, keepdims: bool) -> Tensor:
    if axis is None:
        found = public[name](x.reshape(-1), 0)
        return found.reshape((1,) * x.ndim) if keepdims else found
    return public[name](x, axis, keepdims)


def sort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The elements in order along an axis."""
    return _sort(x, axis, descending, stable).values  # type: ignore[no-any-return]


def argsort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The places of the elements in order along an axis."""
    return _argsort(x, axis, descending, stable)


def searchsorted(x1: Tensor, x2: Any, /, *, side: str = "left", sorter: Tensor | None = None) -> Tensor:
    """Where each of ``x2`` would go into the rising ``x1``: before equal elements, or after those on the "left"."""
    if isinstance(x2, Tensor):
        x1, x2 = types.aligned(x1, x2)
    return _searchsorted(x1, x2, side=side, sorter=sorter)


def nonzero(x: Tensor, /) -> tuple[Tensor, ...]:
    """The places of the elements that are not 0: one array of indices per dimension."""
    if not x.ndim:
        raise ValueError("an array without dimensions has no places")
    return tuple(public["nonzero"](x, as_tuple=True))


class UniqueAll(NamedTuple):
    """The different elements, where each is first, which of them every element is, and how often each is there."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """The different elements, and how often each is there."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """The different elements, and which of them every element is."""

    values: Tensor
    inverse_indices: Tensor


def unique_all(x: Tensor, /) -> UniqueAll:
    """The different elements in order; each nan is one of its own."""
    a = x.detach().numpy()
    _, first, inverse, counts = np.unique(
        a, return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    places = wrap(first)
    return UniqueAll(x.reshape(-1)[places], places, wrap(inverse.reshape(a.shape)), wrap(counts))


def unique_counts(x: Tensor, /) -> UniqueCounts:
    """The different elements in order, and how often each is there."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: Tensor, /) -> UniqueInverse:
    """The different elements in order, and which of them every element is."""
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: Tensor, /) -> Tensor:
    """The different elements in order."""
    return unique_all(x).values


def isin(x1: Any, x2: Any, /, *, invert: bool = False) -> Tensor:
    """Whether each of ``x1`` is among ``x2``."""
    return find("isin")(*types.aligned(x1, x2), invert=invert)  # type: ignore[no-any-return]


def diff(
    x: Tensor, /, *, axis: int = -1, n: int = 1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """The ``n``-th differences of neighbours along an axis."""
    return find("diff")(x, n, axis, prepend, append)  # type: ignore[no-any-return]
