"""Writing at chosen places: ``scatter`` and ``index_…``, ``put``, masks.

What is written where is a key of :class:`Put` and :class:`PutAdd`: along a dimension the entries of ``index``, along
the others the grid's own numbers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import errors
from ..arrays.numpy_ import OUTSIDE
from ..errors import explained
from ..lanes import check_broadcast
from ..outputs import EXACT, takes_out
from ..tensor import Tensor, wrap
from ..transforms import batches
from .index import GetItem, Put, PutAdd
from .keys import normal_key
from .kinds import export, export_all, public
from .places import BEYOND, add, computed, numbers, within
from .whole import whole

_put, put_added = Put("ScatterBackward0"), PutAdd("ScatterAddBackward0")
_put_number, _index_copy = Put("ScatterBackward1"), Put("IndexCopyBackward0")
_index_fill, _index_fill_number = Put("IndexFillBackward1"), Put("IndexFillBackward0")
_index_add, _put_at, _take = PutAdd("IndexAddBackward0"), Put("PutBackward0"), GetItem("TakeBackward0")
_masked_select, _masked_scatter = GetItem("MaskedSelectBackward0"), Put("MaskedScatterBackward0")


def positions(name: str, index: Tensor, *given: Any) -> Any:
    """The :func:`numbers` of an index; PyTorch's error if they are not whole."""
    if index._dtype not in (np.int64, np.int32):
        kind = errors.scalar_type(index._dtype)
        if name in ("take", "put_"):
            raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {kind}")
        raise RuntimeError(
            f"{name}(): Expected dtype int32/int64 for index" + ("" if "_" not in name else f" but got: {kind}")
        )
    return numbers(index, *given)


def along(index: Any, dim: int, dims: int) -> tuple[Any, ...]:
    """The key of the places that ``index``, of the tensor's rank, names along ``dim``."""
    key = [index if i == dim else np.arange(n).reshape(-1, *(1,) * (dims - 1 - i)) for i, n in enumerate(index.shape)]
    return (*key, ...)


def scattered(name: str, x: Tensor, dim: int, index: Tensor, src: Any) -> tuple[Tensor, Any, Tensor | None]:
    """The tensor, the key, and what is to be written there, for the ``scatter`` functions."""
    at = x._dim(dim)
    where = positions(name, index, x, src)
    if not x.ndim:
        x, where = x.reshape(1), where.reshape(1)
        src = src.reshape(1) if isinstance(src, Tensor) else src
    elif where.ndim != x.ndim and math.prod(where.shape):
        raise RuntimeError("Index tensor must have the same number of dimensions as self tensor")
    if isinstance(src, Tensor):
        if where.shape != src._shape or (where.shape != x._shape and x.ndim > 1):
            src = _as_large(x, at, where, src)
        if src._dtype != x._dtype:
            raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype")
    if not math.prod(where.shape):
        return x, None, None
    key = along(within(where, x._shape[at], at, RuntimeError), at, x.ndim)
    return x, key, src


def _as_large(x: Tensor, at: int, where: Any, src: Tensor) -> Tensor:
    """The part of ``src`` that belongs to ``where``; PyTorch's errors for shapes that do not fit."""
    if src.ndim != x.ndim and math.prod(where.shape):
        raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
    large = any(m > n for m, n in zip(where.shape, src._shape, strict=False))
    if large or any(m > n for i, (m, n) in enumerate(zip(where.shape, x._shape, strict=False)) if i != at):
        raise RuntimeError(
            f"Expected index {list(where.shape)} to be no larger than self {list(x.shape)} apart from dimension {at} "
            f"and to be no larger size than src {list(src.shape)}"
        )
    if where.shape != src._shape and where.ndim == src.ndim:
        found: Tensor = src[tuple(slice(0, n) for n in where.shape)]
        return found
    return src


def shaped(found: Tensor, input: Tensor) -> Tensor:
    """A result for ``input``, which may have been a number."""
    return found if input.ndim else found.reshape(())


@takes_out(EXACT)
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """A copy of ``input`` with ``src`` (or the number ``value``) at the places that ``index`` names along ``dim``.

    Where two entries go to one place, one of them is there.  ``reduce="add"`` or ``"multiply"`` combines instead.

    Source: ``torch.scatter``.
    """
    src = value if src is None else src
    if reduce is not None:
        names = {"add": "sum", "multiply": "prod"}
        if reduce not in names:
            raise RuntimeError("reduce argument must be either add or multiply.")
        from .combining import scatter_reduce

        full = src if isinstance(src, Tensor) else wrap(np.full(index._shape, src, input._dtype))
        return scatter_reduce(input, dim, index, full, names[reduce])
    x, key, what = scattered("scatter", input, dim, index, src)
    if key is None:
        return input.clone()
    if not isinstance(what, Tensor):
        return shaped(_put_number(x, wrap(np.asarray(what, x._dtype)), key=key), input)
    return shaped(_put(x, what, key=key), input)


@whole("ScatterAddBackward0")
@takes_out(EXACT)
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor, *, out: Tensor | None = None) -> Tensor:
    """``input`` with the entries of ``src`` added at the places that ``index`` names along ``dim``.

    Source: ``torch.scatter_add``.

    >>> import chainrule as torch
    >>> torch.scatter_add(torch.zeros(3), 0, torch.tensor([0, 0, 2]), torch.tensor([1.0, 2.0, 3.0]))
    tensor([3., 0., 3.])
    """
    x, key, what = scattered("scatter", input, dim, index, src)
    if key is None:
        return input.clone()
    return shaped(x + put_added(what, key=key, shape=x._shape, repeats=True), input)


# --- whole slices ---


def along_rows(
    name: str, x: Tensor, dim: int, index: Tensor, source: Any, error: type[Exception], words: str, wraps: bool = False
) -> tuple[Tensor, Any, int]:
    where = positions(name, index, x, source).reshape(-1)
    at = x._dim(dim)
    x = x if x.ndim else x.reshape(1)
    where = within(where, x._shape[at], at, error, words, wraps)
    return x, (*(slice(None),) * at, where, ...), at


@whole("IndexAddBackward0")
@takes_out(EXACT)
def index_add(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1, out: Tensor | None = None
) -> Tensor:
    """``input`` with ``alpha`` times the slices of ``source`` added at the places that ``index`` names along ``dim``.

    Source: ``torch.index_add``.
    """
    outer = input.ndim > 1 and input._dim(dim) in (0, input.ndim - 1)
    x, key, at = along_rows("index_add_", input, dim, index, source, *((RuntimeError, OUTSIDE) if outer else BEYOND))
    if source.ndim and source._shape[at] != index.numel():
        raise RuntimeError(
            f"index_add_(): Number of indices ({index.numel()}) should be equal to source.size(dim): "
            f"({source._shape[at]}), for dim: {at}"
        )
    if source._dtype != input._dtype:
        raise RuntimeError(
            f"index_add_(): self ({errors.scalar_type(input._dtype)}) and source ({errors.scalar_type(source._dtype)}) must "
            "have the same scalar type"
        )
    source = source if source.ndim else source.reshape(1)
    added = _index_add(source if alpha == 1 else source * alpha, key=key, shape=x._shape, repeats=True)
    return shaped(x + added, input)


@whole("IndexCopyBackward0")
@takes_out(EXACT)
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor, *, out: Tensor | None = None) -> Tensor:
    """A copy of ``input`` with the slices of ``source`` at the places that ``index`` names along ``dim``.

    Source: ``torch.index_copy``.
    """
    x, key, at = along_rows("index_copy_", input, dim, index, source, IndexError, f"index_copy_(): {OUTSIDE}")
    if source.ndim and source._shape[at] != index.numel():
        raise IndexError(
            f"index_copy_(): Number of indices ({index.numel()}) should be equal to source.size(dim) ({source._shape[at]})"
        )
    if source._dtype != input._dtype:
        raise RuntimeError(
            f"index_copy_(): self and source expected to have the same dtype, but got (self) "
            f"{errors.scalar_type(input._dtype)} and (source) {errors.scalar_type(source._dtype)}"
        )
    return shaped(_index_copy(x, source if source.ndim else source.reshape(1), key=key), input)


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy of ``input`` with ``value`` in the slices that ``index`` names along ``dim``.

    Source: ``torch.index_fill``.
    """
    x, key, _ = along_rows("index_fill_", input, dim, index, value, IndexError, OUTSIDE, wraps=True)
    what = value.to(x.dtype) if isinstance(value, Tensor) else wrap(np.asarray(value, x._dtype))
    if what.ndim:
        raise RuntimeError(
            f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {what.ndim} dimension(s)."
        )
    key = tuple([np.unique(k) if isinstance(k, np.ndarray) else k for k in key])  # each slice is filled once
    by = _index_fill if isinstance(value, Tensor) else _index_fill_number
    return shaped(by(x, what, key=key), input)


@whole("IndexPutBackward0")
def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of ``input`` with ``values`` at ``input[indices]``; with ``accumulate``, added to what is there.

    Source: ``torch.index_put``.
    """
    key = tuple([slice(None) if i is None else i for i in indices])
    if not accumulate:
        out = input.clone()
        out[key] = values
        return out
    if computed(parts := normal_key(key, input._shape)[0]):
        return input + add(values, parts, input._shape)
    at = np.arange(input.numel()).reshape(input._shape)[
        tuple([k.detach().numpy() if isinstance(k, Tensor) else k for k in key])
    ]
    flat = _index_add(
        values.expand(*at.shape).reshape(-1), key=(at.reshape(-1), ...), shape=(input.numel(),), repeats=True
    )
    return input + flat.reshape(input._shape)  # type: ignore[no-any-return]


@whole("PutBackward0")
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of ``input`` with the entries of ``source`` at the places that ``index`` names in the flattened tensor.

    Source: ``torch.put``.
    """
    if source.numel() != index.numel():
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source.numel()}, index.numel() = {index.numel()}"
        )
    flat, n = input.reshape(-1), input.numel()
    where = within(positions("put_", index, input, source).reshape(-1), n, 0, *_TAKEN)
    key = (where, ...)
    if accumulate:
        added = put_added(source.reshape(-1), key=key, shape=(n,), repeats=True)
        return (flat + added).reshape(input._shape)  # type: ignore[no-any-return]
    return _put_at(flat, source.reshape(-1), key=key).reshape(input._shape)  # type: ignore[no-any-return]


_TAKEN = IndexError, "out of range: tried to access index {i} on a tensor of {n} elements.", True


@takes_out("take(): self and out expected to have the same dtype, but got self.dtype = {result} and out.dtype = {out}")
def take(input: Tensor, index: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The entries that ``index`` names in the flattened tensor, in index's shape.

    Source: ``torch.take``.
    """
    where = within(positions("take", index, input), input.numel(), 0, *_TAKEN)
    flat = input if input.ndim == 1 else input.reshape(-1)
    return flat[where] if isinstance(where, Tensor) else _take(flat, key=(where, ...))


@takes_out(EXACT)
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None, *, out: Tensor | None = None) -> Tensor:
    """``gather`` with broadcasting; without ``dim``, from the flattened tensor.

    Source: ``torch.take_along_dim``.
    """
    if dim is None:
        return input.reshape(-1).gather(0, indices.reshape(-1))
    at = input._dim(dim)
    if indices.ndim != input.ndim:
        raise RuntimeError(
            f"torch.take_along_dim(): input and indices should have the same number of dimensions, but got {input.ndim} "
            f"dimensions for input, and {indices.ndim} dimensions for indices"
        )
    shape = [1 if i == at else n for i, n in enumerate(input._shape)]
    try:
        wide = np.broadcast_shapes(tuple(shape), tuple(1 if i == at else n for i, n in enumerate(indices._shape)))
    except ValueError:
        raise explained(RuntimeError(errors.size_mismatch(input._shape, indices._shape))) from None
    x = input.expand(*[input._shape[i] if i == at else n for i, n in enumerate(wide)])
    indices = indices.expand(*[indices._shape[i] if i == at else n for i, n in enumerate(wide)])
    return x.gather(at, public["where"](indices < 0, indices + input._shape[at], indices))


# --- masks ---


def _mask(name: str, mask: Tensor) -> Any:
    if mask._dtype.kind != "b":
        raise RuntimeError(f"{name}: expected BoolTensor for mask")
    return mask.detach().numpy()


@takes_out("masked_select(): self and result must have the same scalar type")
def masked_select(input: Tensor, mask: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The entries where the mask holds, as a vector.

    Source: ``torch.masked_select``.
    """
    if batches(mask):
        raise explained(
            RuntimeError(
                "vmap: Attempted to vmap over `mask` in torch.masked_select(self, mask) We cannot support this because for "
                "each batch this would return a differently shaped Tensor. Please file an issue at "
                "https://github.com/pytorch/pytorch/issues if you need this feature."
                "\nKeep all entries and choose among them: torch.where(mask, x, 0.0)."
            )
        )
    where = _mask("masked_select", mask)
    check_broadcast((input, mask))
    shape = np.broadcast_shapes(input._shape, where.shape)
    x = input if input._shape == shape else input.expand(*shape)
    return _masked_select(x.reshape(-1), key=(np.flatnonzero(np.broadcast_to(where, shape)), ...))


@whole("MaskedScatterBackward0")
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy of ``input`` with the entries of ``source``, in their order, where the mask holds.

    Source: ``torch.masked_scatter``.
    """
    if mask._dtype.kind != "b":
        named = errors.c_name(mask._dtype)
        raise RuntimeError(f"masked_scatter_ only supports boolean masks, but got mask with dtype {named}")
    where = mask.detach().numpy()
    check_broadcast((input, mask))
    shape = np.broadcast_shapes(input._shape, where.shape)
    at = np.flatnonzero(np.broadcast_to(where, shape))
    if len(at) > source.numel():
        raise explained(
            RuntimeError(
                "Number of elements of source < number of ones in mask"
                f"\nThe mask holds in {len(at)} places, and source has {source.numel()} elements."
            )
        )
    x = input if input._shape == shape else input.expand(*shape)
    flat = x.reshape(-1)
    return _masked_scatter(flat, source.reshape(-1)[: len(at)], key=(at, ...)).reshape(shape)  # type: ignore[no-any-return]


export("scatter", scatter, in_place=True)
export("scatter_add", scatter_add, in_place=True)
export("index_add", index_add, in_place=True)
export("index_copy", index_copy, in_place=True)
export("index_fill", index_fill, in_place=True)
export("index_put", index_put, in_place=True)
export("put", put, in_place=True)
export("masked_scatter", masked_scatter, in_place=True)
export_all(take, take_along_dim, masked_select)
