"""Writing at chosen places: ``scatter`` and ``index_…`` in all forms, ``put``, masks.

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
from ..primitive import Primitive
from ..tensor import Tensor, wrap
from ..transforms import batches
from .index import GetItem, Put, PutAdd, put_add
from .keys import normal_key
from .kinds import export, export_all, public
from .places import BEYOND, add, along_last, computed, numbers, places, within
from .pointwise import not_of_complex
from .whole import whole

_put, _put_add = Put("ScatterBackward0"), PutAdd("ScatterAddBackward0")
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


def _scattered(name: str, x: Tensor, dim: int, index: Tensor, src: Any) -> tuple[Tensor, Any, Tensor | None]:
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


def _shaped(found: Tensor, input: Tensor) -> Tensor:
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
        full = src if isinstance(src, Tensor) else wrap(np.full(index._shape, src, input._dtype))
        return scatter_reduce(input, dim, index, full, names[reduce])
    x, key, what = _scattered("scatter", input, dim, index, src)
    if key is None:
        return input.clone()
    if not isinstance(what, Tensor):
        return _shaped(_put_number(x, wrap(np.asarray(what, x._dtype)), key=key), input)
    return _shaped(_put(x, what, key=key), input)


@whole("ScatterAddBackward0")
@takes_out(EXACT)
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor, *, out: Tensor | None = None) -> Tensor:
    """``input`` with the entries of ``src`` added at the places that ``index`` names along ``dim``.

    Source: ``torch.scatter_add``.

    >>> import chainrule as torch
    >>> torch.scatter_add(torch.zeros(3), 0, torch.tensor([0, 0, 2]), torch.tensor([1.0, 2.0, 3.0]))
    tensor([3., 0., 3.])
    """
    x, key, what = _scattered("scatter", input, dim, index, src)
    if key is None:
        return input.clone()
    return _shaped(x + _put_add(what, key=key, shape=x._shape, repeats=True), input)


# --- combined in other ways ---


class ScatterReduce(Primitive):
    """x combined at ``key`` with ``src``: "prod", "amax" or "amin"; ties share the gradient."""

    def __call__(self, *arrays: Any, **params: Any) -> Any:
        if not computed(key := params["key"]):
            return super().__call__(*arrays, **params)
        x, src = arrays
        at = places(x._shape, key)
        flat = _combine_at(x.reshape(-1), src.expand(at._shape).reshape(-1), at.reshape(-1), reduce=params["reduce"])
        return flat.reshape(x._shape)

    forward = lambda xp, x, src, *, key, reduce: xp.combine_at(x, src, key, reduce)
    vjp_x = lambda xp, g, x, src, out, key, reduce: _shares(xp, x, src, out, reduce, *_at(xp, key, out))[0](g)
    vjp_src = lambda xp, g, x, src, out, key, reduce: _shares(xp, x, src, out, reduce, *_at(xp, key, out))[1](g)
    jvp_x = lambda xp, t, x, src, out, key, reduce: (
        t * _shares(xp, x, src, out, reduce, *_at(xp, key, out))[0](xp.ones_like(out))
    )
    jvp_src = lambda xp, t, x, src, out, key, reduce: put_add(
        xp, t * _shares(xp, x, src, out, reduce, *_at(xp, key, out))[1](xp.ones_like(out)), key, out.shape
    )
    depends = lambda xp, x, src, key: x + put_add(xp, src, key, x.shape)
    formula = False
    real_only = not_of_complex("scatter_reduce")
    samples = [(((4, 2), (3, 2)), {"key": (np.array([2, 0, 2]), ...), "reduce": r}) for r in ("prod", "amax", "amin")]

    def batch_params(self, size: int, params: dict[str, Any]) -> dict[str, Any]:
        return {**params, "key": (slice(None), *params["key"])}


class CombineAt(Primitive):
    """:class:`ScatterReduce` along the last axis, at an ``index`` that is computed."""

    forward = lambda xp, x, src, index, *, reduce: xp.combine_at(x, src, along_last(index), reduce)
    vjp_x = lambda xp, g, x, src, index, out, reduce: _shares(xp, x, src, out, reduce, *_at_index(xp, index, out))[0](g)
    vjp_src = lambda xp, g, x, src, index, out, reduce: _shares(xp, x, src, out, reduce, *_at_index(xp, index, out))[1](
        g
    )
    jvp_x = lambda xp, t, x, src, index, out, reduce: (
        t * _shares(xp, x, src, out, reduce, *_at_index(xp, index, out))[0](xp.ones_like(out))
    )
    jvp_src = lambda xp, t, x, src, index, out, reduce: xp.put_along_axis(
        t * _shares(xp, x, src, out, reduce, *_at_index(xp, index, out))[1](xp.ones_like(out)), index, -1, out.shape[-1]
    )
    depends = lambda xp, x, src, index: x + xp.sum(src, axis=-1, keepdims=True)
    formula = False
    real_only = not_of_complex("scatter_reduce")
    samples = [(((2, 4), (2, 3), [[0, 2, 0], [1, 1, 3]]), {"reduce": r}) for r in ("prod", "amax", "amin")]


def _at(xp: Any, key: Any, out: Any) -> tuple[Any, Any, Any]:
    """How to read at ``key``, to add there, and to combine there."""
    return (
        lambda a: xp.getitem(a, key),
        lambda a: put_add(xp, a, key, out.shape),
        lambda a, b: _combine(a, b, key=key, reduce="prod"),
    )


def _at_index(xp: Any, index: Any, out: Any) -> tuple[Any, Any, Any]:
    return (
        lambda a: xp.take_along_axis(a, index, axis=-1),
        lambda a: xp.put_along_axis(a, index, -1, out.shape[-1]),
        lambda a, b: _combine_at(a, b, index, reduce="prod"),
    )


def _shares(xp: Any, x: Any, src: Any, out: Any, reduce: str, at: Any, added: Any, combined: Any) -> tuple[Any, Any]:
    """The cotangents of x and ``src``, as functions of that of ``out``."""
    if reduce == "prod":
        x0, s0 = x == 0, src == 0
        x1, s1 = xp.where(x0, xp.ones_like(x), x), xp.where(s0, xp.ones_like(src), src)
        zeros = xp.where(x0, xp.ones_like(x), xp.zeros_like(x)) + added(
            xp.where(s0, xp.ones_like(src), xp.zeros_like(src))
        )
        rest = combined(x1, s1)  # the product of what is not 0
        nothing = xp.zeros_like(rest)
        zero = xp.where(x0, x, nothing) + added(xp.where(s0, src, xp.zeros_like(src)))
        alone = xp.where(zeros == 1, rest, nothing)  # for the only zero; of two, each has the other as a factor
        pair = xp.where(zeros == 2, rest, nothing)
        return (
            lambda g: g * xp.where(x0, alone + pair * (zero - x), out / x1),
            lambda g: at(g) * xp.where(s0, at(alone) + at(pair) * (at(zero) - src), at(out) / s1),
        )
    mine, theirs = x == out, src == at(out)
    many = xp.where(mine, xp.ones_like(x), xp.zeros_like(x)) + added(
        xp.where(theirs, xp.ones_like(src), xp.zeros_like(src))
    )
    many = xp.where(many == 0, xp.ones_like(many), many)
    return (
        lambda g: xp.where(mine, g / many, xp.zeros_like(g)),
        lambda g: xp.where(theirs, at(g / many), xp.zeros_like(src)),
    )


_combine: Primitive = ScatterReduce("ScatterReduceBackward0")
_index_reduce = ScatterReduce("IndexReduceBackward0")
_combine_at: Primitive = CombineAt()
ScatterReduce()


def _reduced(prim: Primitive, x: Tensor, src: Tensor, key: Any, reduce: str, include_self: bool) -> Tensor:
    """x with ``src`` combined into the places of ``key``; without ``include_self`` what was there does not count."""
    many = _counted(x._shape, key)
    hit = many > 0
    if not include_self:
        neutral = {"prod": 1, "amax": _least(x._dtype), "amin": _most(x._dtype)}.get(reduce, 0)
        x = x.masked_fill(hit, neutral)
    if reduce in ("sum", "mean"):
        total = x + _put_add(src, key=key, shape=x._shape, repeats=True)
        if reduce == "sum":
            return total  # type: ignore[no-any-return]
        counts = (many + include_self).masked_fill(~hit, 1)
        return total / counts if x._dtype.kind in "fc" else total // counts  # type: ignore[no-any-return]
    return prim(x, src, key=key, reduce=reduce)


def _counted(shape: tuple[int, ...], key: Any) -> Tensor:
    """How often ``key`` names each place."""
    if computed(key):
        return add(wrap(np.ones((), np.int64)), key, shape)
    many = np.zeros(shape, np.int64)
    np.add.at(many, key, 1)
    return wrap(many)


def _least(d: Any) -> Any:
    return -np.inf if d.kind == "f" else False if d.kind == "b" else int(np.iinfo(d).min)


def _most(d: Any) -> Any:
    return np.inf if d.kind == "f" else True if d.kind == "b" else int(np.iinfo(d).max)


@whole("ScatterReduceBackward0")
@takes_out(EXACT)
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``input`` with the entries of ``src`` combined into the places that ``index`` names along ``dim``.

    ``reduce`` is "sum", "prod", "mean", "amax" or "amin"; without ``include_self`` the places' own entries do not count.

    Source: ``torch.scatter_reduce``.
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    x, key, what = _scattered("scatter", input, dim, index, src)
    if key is None or what is None:
        return input.clone()
    return _shaped(_reduced(_combine, x, what, key, reduce, include_self), input)


# --- whole slices ---


def _rows(
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
    x, key, at = _rows("index_add_", input, dim, index, source, *((RuntimeError, OUTSIDE) if outer else BEYOND))
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
    return _shaped(x + added, input)


@whole("IndexCopyBackward0")
@takes_out(EXACT)
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor, *, out: Tensor | None = None) -> Tensor:
    """A copy of ``input`` with the slices of ``source`` at the places that ``index`` names along ``dim``.

    Source: ``torch.index_copy``.
    """
    x, key, at = _rows("index_copy_", input, dim, index, source, IndexError, f"index_copy_(): {OUTSIDE}")
    if source.ndim and source._shape[at] != index.numel():
        raise IndexError(
            f"index_copy_(): Number of indices ({index.numel()}) should be equal to source.size(dim) ({source._shape[at]})"
        )
    if source._dtype != input._dtype:
        raise RuntimeError(
            f"index_copy_(): self and source expected to have the same dtype, but got (self) "
            f"{errors.scalar_type(input._dtype)} and (source) {errors.scalar_type(source._dtype)}"
        )
    return _shaped(_index_copy(x, source if source.ndim else source.reshape(1), key=key), input)


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy of ``input`` with ``value`` in the slices that ``index`` names along ``dim``.

    Source: ``torch.index_fill``.
    """
    x, key, _ = _rows("index_fill_", input, dim, index, value, IndexError, OUTSIDE, wraps=True)
    what = value.to(x.dtype) if isinstance(value, Tensor) else wrap(np.asarray(value, x._dtype))
    if what.ndim:
        raise RuntimeError(
            f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {what.ndim} dimension(s)."
        )
    key = tuple([np.unique(k) if isinstance(k, np.ndarray) else k for k in key])  # each slice is filled once
    by = _index_fill if isinstance(value, Tensor) else _index_fill_number
    return _shaped(by(x, what, key=key), input)


@whole("IndexReduceBackward0")
@takes_out(EXACT)
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``input`` with the slices of ``source`` combined into the places that ``index`` names along ``dim``.

    ``reduce`` is "prod", "mean", "amax" or "amin"; without ``include_self`` the places' own entries do not count.

    Source: ``torch.index_reduce``.
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either prod, mean, amax or amin, got {reduce}.")
    x, key, _ = _rows("index_reduce_", input, dim, index, source, *BEYOND)
    source = source if source.ndim else source.reshape(1)
    return _shaped(_reduced(_index_reduce, x, source, key, reduce, include_self), input)


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
        added = _put_add(source.reshape(-1), key=key, shape=(n,), repeats=True)
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
export("scatter_reduce", scatter_reduce, in_place=True)
export("index_add", index_add, in_place=True)
export("index_copy", index_copy, in_place=True)
export("index_fill", index_fill, in_place=True)
export("index_reduce", index_reduce, in_place=True)
export("index_put", index_put, in_place=True)
export("put", put, in_place=True)
export("masked_scatter", masked_scatter, in_place=True)
export_all(take, take_along_dim, masked_select)
