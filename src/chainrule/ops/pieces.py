"""Tensors taken apart and put together: splitting, slices in other slices, stacking."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import errors
from ..errors import explained
from ..primitive import promote
from ..tensor import Tensor, wrap
from .index import GetItem, Put, mark_several
from .kinds import export, export_all, public

cat, stack = public["cat"], public["stack"]
_split, _split_sizes = GetItem("SplitBackward0"), GetItem("SplitWithSizesBackward0")
_slice, _select = GetItem("SliceBackward0"), GetItem("SelectBackward0")
_select_scatter, _slice_scatter = Put("SelectScatterBackward0"), Put("SliceScatterBackward0")


def _at(dim: int, part: Any) -> tuple[Any, ...]:
    return (*(slice(None),) * dim, part, ...)


def _parts(prim: Any, x: Tensor, dim: int, ends: Sequence[int], several: bool = True) -> tuple[Tensor, ...]:
    """The slices of ``x`` between neighbours among 0 and ``ends``."""
    starts = [0, *ends[:-1]]
    found = tuple([prim(x, key=_at(dim, slice(a, max(a, b)))) for a, b in zip(starts, ends, strict=True)])
    if several:
        mark_several(found)
    return found


def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of pieces along ``dim``: all of one size, the last perhaps smaller, or of the listed sizes.

    Source: ``torch.split``.

    >>> import chainrule as torch
    >>> torch.split(torch.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    if not isinstance(split_size_or_sections, (int, np.integer, Tensor)):
        return split_with_sizes(tensor, split_size_or_sections, dim)
    size = int(split_size_or_sections)
    if not tensor.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    dim = tensor._dim(dim)
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    n = tensor._shape[dim]
    if not size and n:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
    ends = [min(a + size, n) for a in range(0, n, size or 1)] or [0]
    return _parts(_split, tensor, dim, ends)


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of pieces of the given sizes, which add up to the whole.

    Source: ``torch.split_with_sizes``.
    """
    sizes = [int(n) for n in split_sizes]
    if not input.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    dim = input._dim(dim)
    if sum(sizes) != input._shape[dim]:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {input._shape[dim]} (input tensor's size at "
            f"dimension {dim}), but got split_sizes={sizes}"
        )
    if any(n < 0 for n in sizes):
        raise RuntimeError(
            f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={sizes}"
        )
    return _parts(_split_sizes, input, dim, list(itertools.accumulate(sizes)))


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` views of pieces of one size, the last perhaps smaller.

    Source: ``torch.chunk``.
    """
    if not input.ndim:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks < 1:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = input._shape[input._dim(dim)]
    size = -(-n // chunks)
    return split(input, size, dim) if size else split_with_sizes(input, [0] * chunks, dim)


def tensor_split(input: Tensor, indices_or_sections: Any = None, dim: int = 0, **names: Any) -> tuple[Tensor, ...]:
    """Views of so many pieces of nearly one size, or of the pieces between the listed places.

    Source: ``torch.tensor_split``.
    """
    where = names.get("indices", names.get("sections", indices_or_sections))
    if not input.ndim:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    dim = input._dim(dim)
    n = input._shape[dim]
    if isinstance(where, Tensor):
        where = where.tolist()
    if isinstance(where, int):
        if where < 1:
            raise RuntimeError(f"number of sections must be larger than 0, got {where}")
        small, more = divmod(n, where)
        ends = list(itertools.accumulate([small + 1] * more + [small] * (where - more)))
        return _parts(_slice, input, dim, ends, several=False)
    places = [slice(None, int(i)).indices(n)[1] for i in where] + [n]
    return _parts(_slice, input, dim, places, several=False)


def _along(name: str, x: Tensor, where: Any, dim: int, least: int) -> tuple[Tensor, ...]:
    if x.ndim < least:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with {x.ndim} dimensions!"
        )
    if isinstance(where, int) and where and x._shape[dim] % where:
        raise RuntimeError(
            f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension {x._shape[dim]} is "
            f"not divisible by the split_size {where}!"
        )
    return tensor_split(x, where, dim)


def hsplit(input: Tensor, *indices_or_sections: Any) -> tuple[Tensor, ...]:
    """:func:`tensor_split` along the second dimension (the first of a vector), into equal pieces.

    Source: ``torch.hsplit``.
    """
    return _along("hsplit", input, _where(indices_or_sections), 0 if input.ndim == 1 else 1, 1)


def vsplit(input: Tensor, *indices_or_sections: Any) -> tuple[Tensor, ...]:
    """:func:`tensor_split` along the first dimension, into equal pieces.

    Source: ``torch.vsplit``.
    """
    return _along("vsplit", input, _where(indices_or_sections), 0, 2)


def dsplit(input: Tensor, *indices_or_sections: Any) -> tuple[Tensor, ...]:
    """:func:`tensor_split` along the third dimension, into equal pieces.

    Source: ``torch.dsplit``.
    """
    return _along("dsplit", input, _where(indices_or_sections), 2, 3)


def _where(args: tuple[Any, ...]) -> Any:
    return args[0] if len(args) == 1 else args


# --- one slice -----------------------------------------------------------------------------------------------------


def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """The view of ``length`` entries from ``start`` along ``dim``.

    Source: ``torch.narrow``.
    """
    if not input.ndim:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    dim = input._dim(dim)
    n, start = input._shape[dim], int(start)
    if not -n <= start <= n:
        raise IndexError(f"Dimension out of range (expected to be in range of [-{n}, {n}], but got {start})")
    start += n if start < 0 else 0
    if start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return _slice(input, key=_at(dim, slice(start, start + length)))  # type: ignore[no-any-return]


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The view of the slice at ``index`` along ``dim``.

    Source: ``torch.select``.
    """
    if not input.ndim:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    at = input._dim(dim)
    if not -input._shape[at] <= index < input._shape[at]:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {dim}"
        )
    return _select(input, key=_at(at, int(index)))  # type: ignore[no-any-return]


def _with(prim: Any, x: Tensor, src: Tensor, key: Any) -> Tensor:
    expected = np.broadcast_to(0, x._shape)[key].shape
    if src._shape != expected:
        raise explained(RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = "
            f"{list(expected)}\nGive src the size of the part that it replaces, or expand it."
        ))  # fmt: skip
    return prim(x, promote((x, src))[1] if src._dtype != x._dtype else src, key=key)  # type: ignore[no-any-return]


def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of ``input`` with ``src`` as the slice at ``index`` along ``dim``.

    Source: ``torch.select_scatter``.
    """
    return _with(_select_scatter, input, src, _at(input._dim(dim), int(index)))


def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy of ``input`` with ``src`` as the slice from ``start`` to ``end`` along ``dim``.

    Source: ``torch.slice_scatter``.
    """
    return _with(_slice_scatter, input, src, _at(input._dim(dim), slice(start, end, step)))


# --- joined ----------------------------------------------------------------------------------------------------------


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
    return cat(xs, 0 if name == "hstack" and xs[0].ndim == 1 else dim)  # type: ignore[no-any-return]


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined side by side: vectors end to end, others along the second dimension.

    Source: ``torch.hstack``.
    """
    return _joined("hstack", tensors, 1, atleast_1d)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined one below the other, vectors as rows.

    Source: ``torch.vstack``.
    """
    return _joined("vstack", tensors, 0, atleast_2d)


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the third dimension.

    Source: ``torch.dstack``.
    """
    return _joined("dstack", tensors, 2, atleast_3d)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined side by side, vectors as columns.

    Source: ``torch.column_stack``.
    """
    return _joined("column_stack", tensors, 1, lambda x: x if x.ndim > 1 else x.reshape(-1, 1))


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
    return cat(rows, 0)  # type: ignore[no-any-return]


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
    return stack([g.flatten() for g in meshgrid(*xs, indexing="ij")], 1)  # type: ignore[no-any-return]


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
    return stack([input[wrap(np.ascontiguousarray(column))] for column in rows.T], 1)  # type: ignore[no-any-return]


def _unsafe(f: Any) -> Any:
    """The pieces as tensors of their own, which may be written to."""

    def pieces(*args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        return tuple([p.clone() for p in f(*args, **kwargs)])

    pieces.__name__ = pieces.__qualname__ = f"unsafe_{f.__name__}"
    pieces.__doc__ = f.__doc__.replace("Views of", "Copies of").replace(
        f"torch.{f.__name__}", f"torch.unsafe_{f.__name__}"
    )
    return pieces


export_all(
    split, split_with_sizes, chunk, tensor_split, hsplit, vsplit, dsplit, narrow, select, select_scatter, slice_scatter
)
export_all(
    atleast_1d, atleast_2d, atleast_3d, hstack, vstack, dstack, column_stack, block_diag, broadcast_tensors,
    broadcast_shapes, meshgrid, cartesian_prod, combinations, method=False,
)  # fmt: skip
export("row_stack", vstack, method=False)
unsafe_split = export("unsafe_split", _unsafe(split))
unsafe_chunk = export("unsafe_chunk", _unsafe(chunk))
unsafe_split_with_sizes = export("unsafe_split_with_sizes", _unsafe(split_with_sizes))
