"""Diagonals and triangles of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import to_numpy
from ..outputs import EXACT, takes_out
from ..primitive import Primitive, bind, table
from ..tensor import Tensor, wrap
from .index import Put, PutAdd, put_add
from .kinds import export, export_all
from .whole import clone_as, whole


class Diagonal(Primitive):
    """The view of a diagonal of the last two axes, ``offset`` above the main one."""

    forward = lambda xp, x, *, offset: xp.diagonal(x, offset=offset)
    vjp_x = lambda xp, g, x_shape, offset: put_add(xp, g, (..., *places(x_shape, offset)), x_shape)
    linear = ("x",)
    view = True
    samples = [(((2, 3),), {"offset": 0}), (((2, 4, 3),), {"offset": -1})]

    def unview(self, x: Any, value: Any, params: dict[str, Any]) -> Any:
        return bind(table["Put"], (x, value), {"key": (..., *places(x.shape, params["offset"]))})


def places(shape: tuple[int, ...], offset: int) -> tuple[Any, Any]:
    """Rows and columns of a diagonal."""
    rows, columns = max(0, -offset), max(0, offset)
    at = np.arange(max(0, min(shape[-2] - rows, shape[-1] - columns)))
    return at + rows, at + columns


class Tril(Primitive):
    """The last two axes' matrices with zeros above the diagonal."""

    forward = lambda xp, x, *, diagonal: xp.tril(x, k=diagonal)
    vjp_x = lambda g, diagonal: _tril(g, diagonal=diagonal)
    linear = ("x",)
    samples = [(((3, 3),), {"diagonal": 0}), (((2, 2, 4),), {"diagonal": 1})]


class Triu(Primitive):
    """The last two axes' matrices with zeros below the diagonal."""

    forward = lambda xp, x, *, diagonal: xp.triu(x, k=diagonal)
    vjp_x = lambda g, diagonal: _triu(g, diagonal=diagonal)
    linear = ("x",)
    samples = [(((3, 3),), {"diagonal": 0}), (((2, 2, 4),), {"diagonal": -1})]


_diagonal: Primitive = Diagonal()
_tril: Primitive = Tril()
_triu: Primitive = Triu()
_put_diagonal = Put("DiagonalScatterBackward0")
_embed = PutAdd("DiagEmbedBackward0")


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The view of a diagonal of the dimensions ``dim1`` and ``dim2``, as the last dimension.

    Source: ``torch.diagonal``.
    """
    a, b = input._dim(dim1), input._dim(dim2)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return _diagonal(_to_end(input, a, b), offset=offset)


def _to_end(x: Tensor, a: int, b: int) -> Tensor:
    n = x.ndim
    return x if (a, b) == (n - 2, n - 1) else x.permute(*[i for i in range(n) if i not in (a, b)], a, b)


@whole("DiagEmbedBackward0")
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices, in the new dimensions ``dim1`` and ``dim2``, with the last dimension of ``input`` as a diagonal.

    Source: ``torch.diag_embed``.
    """
    n = input.ndim + 1
    a, b = (d + n if d < 0 else d for d in (dim1, dim2))
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    length = input._shape[-1] + abs(offset)
    shape = (*input._shape[:-1], length, length)
    out: Tensor = _embed(input, key=(..., *places(shape, offset)), shape=shape, repeats=False)
    order = [*range(n - 2)]
    for d, axis in sorted(((a, n - 2), (b, n - 1))):
        order.insert(d, axis)
    return out if order == [*range(n)] else out.permute(*order)


@takes_out("diag: result type {result} can't be cast to the desired out= type {out}")
def diag(input: Tensor, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor:
    """A matrix's diagonal, as a vector of its own; of a vector, the matrix that has it as diagonal.

    Source: ``torch.diag``.
    """
    if input.ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    return (
        diag_embed(input, diagonal)
        if input.ndim == 1
        else clone_as("DiagonalBackward0_copy", _diagonal(input, offset=diagonal))
    )


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix that has the elements, flattened, as a diagonal.

    Source: ``torch.diagflat``.
    """
    return diag_embed(input.reshape(-1), offset)


@whole("DiagonalScatterBackward0")
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of ``input`` with ``src`` as a diagonal.

    Source: ``torch.diagonal_scatter``.
    """
    a, b = input._dim(dim1), input._dim(dim2)
    x = _to_end(input, a, b)
    rows, columns = places(x._shape, offset)
    expected = (*x._shape[:-2], len(rows))
    if src._shape != expected:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = "
            f"{list(expected)}"
        )
    found: Tensor = _put_diagonal(x, src, key=(..., rows, columns))
    order = [i for i in range(x.ndim) if i not in (a, b)] + [a, b]
    return found if x is input else found.permute(*[order.index(i) for i in range(x.ndim)])


@whole("TraceBackward0")
def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal.

    Source: ``torch.trace``.
    """
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    return _diagonal(input, offset=0).sum()


@takes_out(EXACT)
def tril(input: Tensor, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor:
    """Zeros above the ``diagonal``-th diagonal of the last two dimensions.

    Source: ``torch.tril``.
    """
    if input.ndim < 2:
        raise RuntimeError("tril: input tensor must have at least 2 dimensions")
    return _tril(input, diagonal=diagonal)


@takes_out(EXACT)
def triu(input: Tensor, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor:
    """Zeros below the ``diagonal``-th diagonal of the last two dimensions.

    Source: ``torch.triu``.
    """
    if input.ndim < 2:
        raise RuntimeError("triu: input tensor must have at least 2 dimensions")
    return _triu(input, diagonal=diagonal)


def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None
) -> Tensor:
    """Rows and columns of the entries on and below a diagonal.

    Source: ``torch.tril_indices``.
    """
    return wrap(np.stack(np.tril_indices(row, offset, col)).astype(np.int64 if dtype is None else to_numpy(dtype)))


def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None
) -> Tensor:
    """Rows and columns of the entries on and above a diagonal.

    Source: ``torch.triu_indices``.
    """
    return wrap(np.stack(np.triu_indices(row, offset, col)).astype(np.int64 if dtype is None else to_numpy(dtype)))


export_all(diagonal, diag_embed, diag, diagflat, diagonal_scatter, trace)
export("tril", tril, in_place=True)
export("triu", triu, in_place=True)
export("tril_indices", tril_indices, method=False)
export("triu_indices", triu_indices, method=False)
