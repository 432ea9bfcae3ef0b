"""New arrays, and arrays in other shapes and orders, under the standard's names."""

from __future__ import annotations

from typing import Any

from .. import creation, interop
from ..dtypes import dtype as kind_of_number
from ..dtypes import get_default_dtype, int64
from ..ops import find, public
from ..tensor import Tensor
from .types import aligned

Shape = int | tuple[int, ...]


def _shape(shape: Shape) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


def asarray(
    obj: Any, /, *, dtype: kind_of_number | None = None, device: Any = None, copy: bool | None = None
) -> Tensor:
    """An array of numbers, nested lists or another array, in the same memory where that can be and ``copy`` allows it."""
    if copy is False and not (hasattr(obj, "__dlpack__") or hasattr(obj, "__array__") or hasattr(obj, "__buffer__")):
        raise ValueError(f"a {type(obj).__name__} has no memory to share; leave copy=False away")
    return creation.asarray(obj, dtype=dtype, device=device, copy=copy)


def arange(
    start: Any, /, stop: Any = None, step: Any = 1, *, dtype: kind_of_number | None = None, device: Any = None
) -> Tensor:
    """``start``, ``start + step``, ... before ``stop``; of one number those before it, from 0 on."""
    if stop is None:
        start, stop = 0, start
    if (stop - start) * step < 0:
        stop = start
    return creation.arange(start, stop, step, dtype=dtype, device=device)


def empty(shape: Shape, *, dtype: kind_of_number | None = None, device: Any = None) -> Tensor:
    """An array of which only the shape matters."""
    return creation.empty(_shape(shape), dtype=dtype, device=device)


def zeros(shape: Shape, *, dtype: kind_of_number | None = None, device: Any = None) -> Tensor:
    """An array of zeros."""
    return creation.zeros(_shape(shape), dtype=dtype, device=device)


def ones(shape: Shape, *, dtype: kind_of_number | None = None, device: Any = None) -> Tensor:
    """An array of ones."""
    return creation.ones(_shape(shape), dtype=dtype, device=device)


def full(shape: Shape, fill_value: Any, *, dtype: kind_of_number | None = None, device: Any = None) -> Tensor:
    """An array of one value, and of its type unless ``dtype`` says otherwise."""
    return creation.full(_shape(shape), fill_value, dtype=dtype, device=device)


def empty_like(x: Tensor, /, *, dtype: kind_of_number | None = None, device: Any = None) -> Tensor:
    """:func:`empty` of the shape and dtype of ``x``."""
    return creation.empty_like(x, dtype=dtype, device=device)


def zeros_like(x: Tensor, /, *, dtype: kind_of_number | None = None, device: Any = None) -> Tensor:
    """:func:`zeros` of the shape and dtype of ``x``."""
    return creation.zeros_like(x, dtype=dtype, device=device)


def ones_like(x: Tensor, /, *, dtype: kind_of_number | None = None, device: Any = None) -> Tensor:
    """:func:`ones` of the shape and dtype of ``x``."""
    return creation.ones_like(x, dtype=dtype, device=device)


def full_like(x: Tensor, /, fill_value: Any, *, dtype: kind_of_number | None = None, device: Any = None) -> Tensor:
    """:func:`full` of the shape and dtype of ``x``."""
    return creation.full_like(x, fill_value, dtype=dtype, device=device)


def eye(
    n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: kind_of_number | None = None, device: Any = None
) -> Tensor:
    """A matrix with ones on its ``k``-th diagonal."""
    rows, columns = creation.arange(n_rows), creation.arange(n_rows if n_cols is None else n_cols)
    return (columns == rows[:, None] + k).to(get_default_dtype() if dtype is None else dtype)


def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: kind_of_number | None = None, device: Any = None,
    endpoint: bool = True,
) -> Tensor:  # fmt: skip
    """``num`` numbers evenly spaced from ``start`` to ``stop``, without that if it is no ``endpoint``."""
    found = creation.linspace(start, stop, num if endpoint else num + 1, dtype=dtype, device=device)
    return found if endpoint else found[:num]


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """An array over the memory of another library's."""
    return interop.from_dlpack(x, device=device, copy=copy)


def meshgrid(*arrays: Tensor, indexing: str = "xy") -> tuple[Tensor, ...]:
    """The coordinates of all points of a grid; with "xy" the first two axes change places."""
    return tuple(find("meshgrid")(*arrays, indexing=indexing)) if arrays else ()


def tril(x: Tensor, /, *, k: int = 0) -> Tensor:
    """The part of matrices on and below the ``k``-th diagonal."""
    return find("tril")(x, k)  # type: ignore[no-any-return]


def triu(x: Tensor, /, *, k: int = 0) -> Tensor:
    """The part of matrices on and above the ``k``-th diagonal."""
    return find("triu")(x, k)  # type: ignore[no-any-return]


# --- shapes and orders ---


def broadcast_to(x: Tensor, /, shape: tuple[int, ...]) -> Tensor:
    """A view in another shape, in which lengths of 1 are repeated."""
    return x.broadcast_to(tuple(shape))


def concat(arrays: Any, /, *, axis: int | None = 0) -> Tensor:
    """Arrays joined along an axis; end to end, all flattened, if that is None."""
    parts = aligned(*arrays)
    if axis is None:
        parts, axis = tuple([p.reshape(-1) for p in parts]), 0
    return public["cat"](list(parts), axis)


def stack(arrays: Any, /, *, axis: int = 0) -> Tensor:
    """Arrays of one shape joined along a new axis."""
    return public["stack"](list(aligned(*arrays)), axis)


def expand_dims(x: Tensor, /, axis: int) -> Tensor:
    """A view with a new axis of length 1."""
    return x.unsqueeze(axis)


def squeeze(x: Tensor, /, axis: int | tuple[int, ...]) -> Tensor:
    """A view without these axes, which must have length 1."""
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    if any(x.shape[a] != 1 for a in axes):
        raise ValueError(f"axes {axes} of the shape {tuple(x.shape)} have not all length 1")
    return x.squeeze(axes)


def flip(x: Tensor, /, *, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """The order along some axes, or all, turned round."""
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    return public["flip"](x, axes)


def moveaxis(x: Tensor, source: Any, destination: Any, /) -> Tensor:
    """A view with axes in other places."""
    return public["movedim"](x, source, destination)


def permute_dims(x: Tensor, /, axes: tuple[int, ...]) -> Tensor:
    """A view with the axes in another order."""
    return x.permute(tuple(axes))


def matrix_transpose(x: Tensor, /) -> Tensor:
    """A view with the last two axes exchanged."""
    return x.mT


def reshape(x: Tensor, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Tensor:
    """The elements in another shape: a view where that can be, unless it is to be a ``copy``, or must not be one."""
    if copy:
        return x.clone().reshape(tuple(shape))
    if copy is False:
        try:
            return x.view(tuple(shape))
        except RuntimeError as e:
            raise ValueError(f"no view of this memory has the shape {tuple(shape)}") from e
    return x.reshape(tuple(shape))


def repeat(x: Tensor, repeats: Any, /, *, axis: int | None = None) -> Tensor:
    """Each element, or each slice along an axis, so many times."""
    if isinstance(repeats, Tensor):
        repeats = repeats.to(int64)
    return find("repeat_interleave")(x, repeats, axis)  # type: ignore[no-any-return]


def roll(x: Tensor, /, shift: Any, *, axis: Any = None) -> Tensor:
    """The elements moved on, and those that fall off the end put in front."""
    return find("roll")(x, shift, axis)  # type: ignore[no-any-return]


def tile(x: Tensor, repetitions: tuple[int, ...], /) -> Tensor:
    """The whole array repeated along its axes."""
    return find("tile")(x, tuple(repetitions))  # type: ignore[no-any-return]


def unstack(x: Tensor, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis."""
    return x.unbind(axis)


def take(x: Tensor, indices: Tensor, /, *, axis: int | None = None) -> Tensor:
    """The slices of these indices along an axis, which only arrays of one dimension may leave open."""
    if axis is None:
        if x.ndim != 1:
            raise ValueError("axis must be given for an array that has not one dimension")
        axis = 0
    axis %= x.ndim
    return x[(*(slice(None),) * axis, indices.to(int64))]


def take_along_axis(x: Tensor, indices: Tensor, /, *, axis: int = -1) -> Tensor:
    """For each place the element whose index along ``axis`` stands there."""
    return find("take_along_dim")(x, indices.to(int64), axis)  # type: ignore[no-any-return]


def where(condition: Tensor, x1: Any, x2: Any, /) -> Tensor:
    """``x1`` where the condition holds, elsewhere ``x2``."""
    return public["where"](condition, *aligned(x1, x2))


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that these broadcast to."""
    return tuple(find("broadcast_shapes")(*shapes)) if shapes else ()
