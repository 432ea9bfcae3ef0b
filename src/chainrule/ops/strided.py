"""Memory under any strides: ``as_strided``, tensors with given strides, and a tensor's own memory under another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from .. import dtypes
from ..arrays import layout
from ..arrays.layout import lines, relaid
from ..arrays.namespace import is_numpy
from ..errors import allocating, explained
from ..outputs import EXACT, takes_out
from ..primitive import Primitive
from ..tensor import Tensor, wrap
from ..transforms import batches
from .index import GetItem, Put, PutAdd
from .kinds import attach, export, export_all
from .rearrange import turned
from .whole import clone_as


class Strided(Primitive):
    """The view of x's memory that ``size`` and ``stride`` describe, ``shift`` after x's first entry.

    ``strides`` are x's own; where there is no memory to look at, x is laid out as they say.
    """

    forward = lambda xp, x, *, size, stride, shift, strides: xp.strided(x, size, stride, shift, strides)
    vjp_x = lambda xp, g, x_shape, size, stride, shift, strides: seen_from(xp, g, x_shape, size, stride, shift, strides)
    jvp_x = lambda xp, t, size, stride, shift, strides: relaid(xp, t, size, stride, shift, strides)
    depends = lambda xp, x, size, stride, shift, strides, out_shape: relaid(xp, x, size, stride, shift, strides)
    view = True
    samples = [
        (((2, 3),), {"size": (2, 2), "stride": (1, 2), "shift": 1, "strides": (3, 1)}),
        (((2, 3),), {"size": (3,), "stride": (0,), "shift": 2, "strides": (1, 2)}),
    ]

    def batch(self, size: int, arrays: Any, batched: Any, params: dict[str, Any]) -> Any:
        from . import namespace as xp

        return relaid(xp, arrays[0], **params)


def seen_from(
    xp: Any, g: Any, shape: tuple[int, ...], size: tuple[int, ...], stride: tuple[int, ...], shift: int,
    strides: tuple[int, ...],
) -> Any:  # fmt: skip
    """What x's entries get of ``g``: all that looks at their place, in equal parts if several of x's are there."""
    into, at, n = lines(shape, strides, size, stride, shift)
    memory = xp.put_add(xp.reshape(g, (len(at),)), (at,), (n,), len(np.unique(at)) < len(at))
    found = xp.getitem(memory, (into,))
    shared = np.bincount(into, minlength=n)[into]
    if (shared > 1).any():
        found = found / shared.astype(found.dtype)
    return xp.reshape(found, shape)


_strided: Primitive = Strided("AsStridedBackward0")
_into, _write, _back = PutAdd("StridedMemory"), Put("StridedWrite"), GetItem("AsStridedScatterBackward0")


def ground(x: Tensor) -> Any:
    """The array whose memory ``x`` shows, also as a transform's argument; None inside vmap, for a trace and the like."""
    if x._rank > 2 and batches(x):
        return None
    a: Any = x
    while isinstance(a, Tensor):
        a = a._own()
    return a if is_numpy(a) else None


def storage(x: Tensor) -> tuple[int, int]:
    """Where the memory that ``x`` and its views have in common starts, and how many bytes it has."""
    a = ground(x)
    root: Tensor | None = x if x._base is None else x._base
    if root is x and (x._rank > 2 or (x._v is not None and len(x._v) > 1)):  # a part, perhaps, of what it is cut from
        roots = [r for ref in (x._v or ())[1:] if (r := ref()) is not None]
        root = roots[0] if roots else None
    if root is None:
        while isinstance(a.base, np.ndarray):
            a = a.base
    else:
        a = ground(root)
    low, high = byte_bounds(a)
    return low, (high - low if a.size else 0)


def storage_offset(self: Tensor) -> int:
    """How many entries before this tensor's first one its memory has."""
    a = ground(self)
    return 0 if a is None or not a.size else (layout.address(a) - storage(self)[0]) // a.itemsize


def _checked(name: str, size: Any, stride: Any, offset: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    size, stride = (tuple([int(n) for n in ns]) for ns in (size, stride))
    if len(size) != len(stride):
        raise explained(
            RuntimeError("mismatch in length of strides and shape\nGive one stride, in entries, for each dimension.")
        )
    if any(s < 0 for s in stride):
        raise RuntimeError(
            f"{name}: Negative strides are not supported at the moment, got strides: [{', '.join(map(str, stride))}]"
        )
    if offset < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {offset}")
    return size, stride


def as_strided(input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Tensor:
    """The view of ``input``'s memory that ``size`` and ``stride`` (in entries, one for each dimension) describe.

    It starts at ``storage_offset`` in the memory that the tensor shares with what it is a view of; by default where
    ``input`` starts.  A gradient goes to those entries of ``input`` that are looked at.

    Source: ``torch.as_strided``.

    >>> import chainrule as torch
    >>> torch.as_strided(torch.arange(5), (3, 2), (1, 1))
    tensor([[0, 1],
            [1, 2],
            [2, 3]])
    """
    return _strided(input, **_described("as_strided", input, size, stride, storage_offset))


def _described(name: str, x: Tensor, size: Any, stride: Any, offset: int | None) -> dict[str, Any]:
    plain, here = ground(x), storage_offset(x)
    offset = here if offset is None else int(offset)
    size, stride = _checked(name, size, stride, offset)
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    item = x.itemsize
    strides = x.stride() if plain is None else tuple([n // item for n in plain.strides])
    if math.prod(size):
        have = x.nbytes if plain is None else storage(x)[1]
        if (last + 1) * item > have:
            raise explained(RuntimeError(
                f"setStorage: sizes [{', '.join(map(str, size))}], strides [{', '.join(map(str, stride))}], storage offset "
                f"{offset}, and itemsize {item} requiring a storage size of {(last + 1) * item} are out of bounds for "
                f"storage of size {have}\nThe last entry would be number {last} of the memory; it has {have // item}."
            ))  # fmt: skip
    return {"size": size, "stride": stride, "shift": offset - here, "strides": strides}


@takes_out(EXACT)
def as_strided_copy(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None, *,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``as_strided`` with memory of its own.

    Source: ``torch.as_strided_copy``.
    """
    return clone_as("AsStridedBackward0_copy", as_strided(input, size, stride, storage_offset))


def as_strided_scatter(
    input: Tensor, src: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """A copy of ``input`` with ``src`` where ``as_strided`` would look.

    Source: ``torch.as_strided_scatter``.

    >>> import chainrule as torch
    >>> torch.as_strided_scatter(torch.zeros(2, 2), torch.ones(2), (2,), (3,))
    tensor([[1., 0.],
            [0., 1.]])
    """
    found = _described("as_strided", input, size, stride, storage_offset)
    if src._shape != found["size"]:
        raise explained(RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = "
            f"{list(found['size'])}\nGive src the size of the part that it replaces, or expand it."
        ))  # fmt: skip
    into, at, n = lines(input._shape, found["strides"], found["size"], found["stride"], found["shift"])
    memory = _into(input.reshape(-1), key=(into,), shape=(n,), repeats=False)
    if src._dtype != input._dtype:
        src = src.to(input.dtype)
    memory = _write(memory, src.reshape(-1), key=(at,))
    return _back(memory, key=(into.reshape(input._shape) if input.ndim else 0, ...))


# --- new tensors ---


@allocating("empty_strided")
def empty_strided(
    size: Sequence[int], stride: Sequence[int], *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor with the given strides, in entries; its values are yet to be written (zeros here, so that runs repeat).

    Source: ``torch.empty_strided``.

    >>> import chainrule as torch
    >>> torch.empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    shape, steps = _checked("empty_strided", size, stride, 0)
    n = 1 + sum((m - 1) * s for m, s in zip(shape, steps, strict=True)) if math.prod(shape) else 0
    return _laid(np.zeros(n, _float(dtype)), shape, steps, requires_grad)


def _float(dtype: Any) -> np.dtype[Any]:
    return dtypes.default_float() if dtype is None else dtypes.to_numpy(dtype)


def _laid(memory: Any, shape: tuple[int, ...], steps: tuple[int, ...], requires_grad: bool) -> Tensor:
    found = wrap(layout.view(memory, shape, tuple([s * memory.itemsize for s in steps])))
    return found.requires_grad_() if requires_grad else found


def empty_permuted(
    size: Sequence[int], physical_layout: Sequence[int], *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """A dense tensor whose dimensions lie in memory in the order ``physical_layout``, the slowest first.

    Source: ``torch.empty_permuted``.

    >>> import chainrule as torch
    >>> torch.empty_permuted((2, 3, 5), (0, 2, 1)).stride()
    (15, 1, 3)
    """
    shape, order = tuple([int(n) for n in size]), list(physical_layout)
    if len(order) != len(shape):
        raise RuntimeError(
            f"Number of dimensions in size does not match the length of the physical_layout; i.e. len(size) = {len(shape)} "
            f"is not equal to len(physical_layout) = {len(order)}"
        )
    for i in order:
        if not 0 <= i < len(shape):
            raise RuntimeError(
                f"Dimension out of range (expected to be between 0 and {len(shape) - 1}, but got {i} at index "
                f"{order.index(i)}).  NB: negative dims not currently supported; file an issue if you want it."
            )
    if len(set(order)) < len(order):
        raise RuntimeError("Duplicate dim not allowed")
    steps, n = [0] * len(shape), 1
    for i in reversed(order):
        steps[i], n = n, n * max(shape[i], 1)
    return empty_strided(shape, steps, dtype=dtype, requires_grad=requires_grad)


def new_empty_strided(
    self: Tensor, size: Sequence[int], stride: Sequence[int], *, dtype: Any = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor of this one's dtype with the given strides, as ``empty_strided``."""
    return empty_strided(size, stride, dtype=self.dtype if dtype is None else dtype, requires_grad=requires_grad)


# --- the same tensor under another shape ---


@allocating("resize_")
def resize_(self: Tensor, *sizes: Any, memory_format: Any = None) -> Tensor:
    """This tensor with another shape, over the same memory if it has no more entries; else with zeros after those it had.

    Views of it keep what they show.
    """
    shape = tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
    if self._rg:
        raise RuntimeError("cannot resize variables that require grad")
    if self._rank != 2 or not is_numpy(self._a):
        raise RuntimeError(
            "resize_: only a tensor over NumPy's memory can be resized, not one inside vmap, jvp or compile"
        )
    if any(n < 0 for n in shape):
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    if shape == self._shape:
        return self
    a, n = self._own(), math.prod(shape)
    left = storage(self)[1] // a.itemsize - storage_offset(self)
    if n > left:
        memory = np.zeros(n, a.dtype)
        memory[:left] = layout.view(a, (left,), (a.itemsize,))
        a = memory
    steps = tuple([math.prod(shape[i + 1 :]) * a.itemsize for i in range(len(shape))])
    self._a = layout.view(a, shape, steps)
    return self


def resize_as_(input: Tensor, the_template: Tensor, *, memory_format: Any = None) -> Tensor:
    """``input`` resized to the shape of another tensor.

    Source: ``torch.resize_as_``.
    """
    return resize_(input, the_template._shape)


export("as_strided", as_strided)
export("as_strided_scatter", as_strided_scatter)
export_all(as_strided_copy, empty_strided, empty_permuted, method=False)
export("resize_as_", resize_as_)
attach(
    as_strided_=turned(as_strided), storage_offset=storage_offset, new_empty_strided=new_empty_strided, resize_=resize_
)
