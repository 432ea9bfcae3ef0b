"""Tensors taken apart and put together: splitting, slices in other slices, stacking."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import explained
from ..outputs import EXACT, takes_out
from ..primitive import promote
from ..tensor import Tensor
from .index import GetItem, Put, mark_several
from .kinds import export, export_all, public
from .whole import clone_as

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


# --- one slice ---


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
    return _slice(input, key=_at(dim, slice(start, start + length)))


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
    return _select(input, key=_at(at, int(index)))


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


@takes_out(EXACT)
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1, *,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """A copy of ``input`` with ``src`` as the slice from ``start`` to ``end`` along ``dim``.

    Source: ``torch.slice_scatter``.
    """
    return _with(_slice_scatter, input, src, _at(input._dim(dim), slice(start, end, step)))


def _unsafe(f: Any) -> Any:
    """The pieces as tensors of their own, which may be written to."""

    label = "UnsafeSplitWithSizesBackward0" if f is split_with_sizes else "UnsafeSplitBackward0"

    def pieces(*args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        return tuple([clone_as(label, p) for p in f(*args, **kwargs)])

    pieces.__name__ = pieces.__qualname__ = f"unsafe_{f.__name__}"
    pieces.__doc__ = f.__doc__.replace("Views of", "Copies of").replace(
        f"torch.{f.__name__}", f"torch.unsafe_{f.__name__}"
    )
    return pieces


export_all(
    split, split_with_sizes, chunk, tensor_split, hsplit, vsplit, dsplit, narrow, select, select_scatter, slice_scatter
)
unsafe_split = export("unsafe_split", _unsafe(split))
unsafe_chunk = export("unsafe_chunk", _unsafe(chunk))
unsafe_split_with_sizes = export("unsafe_split_with_sizes", _unsafe(split_with_sizes))
