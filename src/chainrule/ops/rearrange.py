"""Entries in other places: what moves numbers about and is no view."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import number_as, sizes, to_numpy
from ..outputs import CASTS, EXACT, takes_out
from ..primitive import Primitive
from ..tensor import Tensor, wrap
from ..writes import check_writable
from .diagonals import diagonal  # noqa: F401  whose copy is declared here, with others
from .filling import room
from .index import put_add
from .kinds import attach, export, export_all, public
from .pieces import narrow  # noqa: F401  whose copy is declared here, with others
from .whole import clone_as, whole


class Roll(Primitive):
    """Shifted along ``axis``, what falls off at the end coming back at the start."""

    forward = lambda xp, x, *, shift, axis: xp.roll(x, shift, axis=axis)
    vjp_x = lambda g, shift, axis: _roll(g, shift=tuple(-s for s in shift), axis=axis)
    linear = ("x",)
    samples = [(((2, 3),), {"shift": (1,), "axis": (-1,)}), (((3, 4),), {"shift": (-1, 2), "axis": (-1, -2)})]


_roll: Primitive = Roll()


@whole("RollBackward0")
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Shifted by ``shifts`` along ``dims``, what falls off coming back; without ``dims``, as if it were flat.

    Source: ``torch.roll``.

    >>> import chainrule as torch
    >>> torch.roll(torch.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    shift = (int(shifts),) if isinstance(shifts, (int, Tensor)) and not getattr(shifts, "ndim", 0) else tuple(shifts)
    if not shift:
        raise RuntimeError("`shifts` required")
    if dims is None or dims == ():
        if len(shift) != 1:
            raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shift)}, dims:0")
        return _roll(input.reshape(-1), shift=shift, axis=(-1,)).reshape(input.shape)
    dim = (dims,) if isinstance(dims, int) else tuple(dims)
    if len(dim) != len(shift):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shift)}, dims:{len(dim)}")
    if not input.ndim:
        raise IndexError(f"Dimension specified as {dim[0]} but tensor has no dimensions")
    return _roll(input, shift=shift, axis=tuple([input._dim(d) - input.ndim for d in dim]))


export("roll", roll)


# --- windows, any strides ---


class Unfold(Primitive):
    """The view of all windows of ``size`` along ``axis``, ``step`` apart; a window's entries are the last axis."""

    forward = lambda xp, x, *, axis, size, step: xp.windows(x, axis=axis, size=size, step=step)
    vjp_x = lambda xp, g, x_shape, axis, size, step: put_add(
        xp, xp.moveaxis(g, -1, axis), window_key(x_shape[axis], axis, size, step), x_shape
    )
    linear = ("x",)
    view = True
    samples = [(((5,),), {"axis": -1, "size": 3, "step": 1}), (((5, 2),), {"axis": -2, "size": 2, "step": 2})]


def window_key(n: int, axis: int, size: int, step: int) -> tuple[Any, ...]:
    """The key that takes windows: one axis becomes two, number and entry."""
    at = np.arange(0, n - size + 1, step)[:, None] + np.arange(size)
    return (..., at, *(slice(None),) * (-1 - axis))


_unfold = Unfold()


def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """The view of all windows of ``size`` along ``dimension``, ``step`` apart; their entries are the last dimension."""
    if not self.ndim:
        return _unfold(self.reshape(1), axis=-1, size=size, step=step)[0]
    axis = self._dim(dimension)
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if size > self._shape[axis]:
        raise RuntimeError(f"maximum size for tensor at dimension {axis} is {self._shape[axis]} but size is {size}")
    return _unfold(self, axis=axis - self.ndim, size=size, step=step)


# --- repeated, turned ---


class Repeat(Primitive):
    """``repeats[i]`` copies side by side along each axis."""

    forward = lambda xp, x, *, repeats: xp.tile(x, repeats)
    vjp_x = lambda xp, g, x_shape, repeats: copies_added(xp, g, x_shape, repeats)
    linear = ("x",)
    samples = [(((2, 3),), {"repeats": (2, 1)}), (((2,),), {"repeats": (3,)})]

    def batch_params(self, size: int, params: dict[str, Any]) -> dict[str, Any]:
        return {"repeats": (1, *params["repeats"])}


def copies_added(xp: Any, g: Any, shape: tuple[int, ...], repeats: tuple[int, ...]) -> Any:
    split = tuple(n for pair in zip(repeats, shape, strict=True) for n in pair)
    return xp.sum(xp.reshape(g, split), axis=tuple(range(-len(split), 0, 2)), keepdims=False)


_repeat: Primitive = Repeat()


def repeat(self: Tensor, *sizes: Any) -> Tensor:
    """Copies of the tensor side by side, so many along each dimension."""
    n = tuple([int(s) for s in (sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes)])
    if len(n) < self.ndim:
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    if any(k < 0 for k in n):
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(n)}: {list(n)}")
    x = self.reshape(*(1,) * (len(n) - self.ndim), *self._shape) if len(n) > self.ndim else self
    return _repeat(x, repeats=n)


def tile(input: Tensor, *dims: Any) -> Tensor:
    """Copies of the tensor side by side; dimensions that ``dims`` does not name are left once.

    Source: ``torch.tile``.
    """
    n = tuple(dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims)
    return repeat(input, *(1,) * (input.ndim - len(n)), *n)


def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each entry along ``dim`` (of the flattened tensor without it) repeated ``repeats`` times, one number or one for each.

    Source: ``torch.repeat_interleave``.
    """
    if repeats is None:
        counts = input.detach().numpy()
        return wrap(np.repeat(np.arange(len(counts)), counts))
    x, at = (input.reshape(-1), 0) if dim is None else (input, dim)
    counts = repeats.detach().numpy() if isinstance(repeats, Tensor) else np.asarray(repeats)
    if (counts < 0).any():
        raise RuntimeError("Repeats must be non-negative" if not counts.ndim else "repeats can not be negative")
    if not x.ndim:
        x, at = x.reshape(1), 0
    n = x._shape[x._dim(at)]
    if counts.ndim and counts.size not in (1, n):
        raise RuntimeError("repeats must have the same size as input along dim")
    return x.index_select(at, wrap(np.repeat(np.arange(n), counts)))


def fliplr(input: Tensor) -> Tensor:
    """Columns in reverse order.

    Source: ``torch.fliplr``.
    """
    if input.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return input.flip(1)


def flipud(input: Tensor) -> Tensor:
    """Rows in reverse order.

    Source: ``torch.flipud``.
    """
    if input.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return input.flip(0)


@whole("Rot90Backward0")
def rot90(input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """Turned ``k`` times by 90 degrees, from the first of ``dims`` towards the second.

    Source: ``torch.rot90``.
    """
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == input.ndim:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    a, b = (input._dim(d) for d in dims)
    if k % 4 == 0:
        return input.clone()
    if k % 4 == 2:
        return input.flip(a, b)
    return input.flip(b).transpose(a, b) if k % 4 == 1 else input.flip(a).transpose(a, b)


def unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """The dimension ``dim`` as several of the given sizes; one of them may be -1.

    Source: ``torch.unflatten``.
    """
    at, sizes = input._dim(dim), tuple(sizes)
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    n, known = input._shape[at], math.prod([s for s in sizes if s != -1])
    if (known != n) if -1 not in sizes else (not known or n % known):
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {at} ({n}) in the input tensor"
        )
    full = [n // known if s == -1 else s for s in sizes]
    return input.reshape(*input._shape[:at], *full, *input._shape[at + 1 :])


@whole("SumBackward1")
def sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """Summed over the dimensions along which ``size`` would be expanded to this shape."""
    shape = tuple(size[0] if len(size) == 1 and not isinstance(size[0], int) else size)
    lead = self.ndim - len(shape)
    if lead < 0 or any(m not in (1, n) for m, n in zip(shape, self._shape[lead:], strict=True)):
        raise RuntimeError(f"size {{{list(shape)}}} is not expandable to size {{{list(self.shape)}}}.")
    dims = [i for i, n in enumerate(self._shape) if i < lead or (shape[i - lead] == 1 and n != 1)]
    return self.sum(dims, keepdim=True).reshape(shape) if dims else self


@takes_out(CASTS)
def kron(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The Kronecker product: ``other`` in the place of each entry of ``input``, times it.

    Source: ``torch.kron``.
    """
    n = max(input.ndim, other.ndim)
    a, b = ((1,) * (n - x.ndim) + x._shape for x in (input, other))
    x = input.reshape(*[k for m in a for k in (m, 1)])
    y = other.reshape(*[k for m in b for k in (1, m)])
    return (x * y).reshape(*[p * q for p, q in zip(a, b, strict=True)])


export_all(fliplr, flipud, rot90, unflatten, tile, repeat_interleave, kron)
attach(unfold=unfold, repeat=repeat, sum_to_size=sum_to_size)


def _copied(name: str) -> Any:
    f = public[name] if name in public else getattr(Tensor, name)

    @takes_out(EXACT)
    def copy(input: Tensor, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        found = f(input, *args, **kwargs)
        return tuple(map(copied, found)) if isinstance(found, tuple) else copied(found)

    def copied(view: Tensor) -> Tensor:
        if view._node is None:
            return view.clone()
        return clone_as("NarrowCopyBackward0" if name == "narrow" else f"{view._node.name()}_copy", view)

    copy.__name__ = copy.__qualname__ = f"{name}_copy"
    copy.__doc__ = f"``{name}`` with memory of its own.\n\n    Source: ``torch.{name}_copy``.\n    "
    return export(f"{name}_copy", copy, method=name == "narrow")


diagonal_copy = _copied("diagonal")
expand_copy = _copied("expand")
narrow_copy = _copied("narrow")
permute_copy = _copied("permute")
select_copy = _copied("select")
split_with_sizes_copy = _copied("split_with_sizes")
squeeze_copy = _copied("squeeze")
t_copy = _copied("t")
transpose_copy = _copied("transpose")
unbind_copy = _copied("unbind")
unfold_copy = _copied("unfold")
unsqueeze_copy = _copied("unsqueeze")
view_copy = _copied("view")


@takes_out(EXACT)
def alias_copy(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The same numbers with memory of their own.

    Source: ``torch.alias_copy``.
    """
    return clone_as("AliasBackward0_copy", input)


export("alias_copy", alias_copy, method=False)


def slice_copy(input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    """Every ``step``-th slice from ``start`` to ``end`` along ``dim``, with memory of their own.

    Source: ``torch.slice_copy``.

    >>> import chainrule as torch
    >>> torch.slice_copy(torch.arange(6), 0, 1, 6, 2)
    tensor([1, 3, 5])
    """
    found: Tensor = input[(*(slice(None),) * input._dim(dim), slice(start, end, step))]
    return clone_as("SliceBackward0_copy", found)


export("slice_copy", slice_copy, method=False)


# --- in place: the same memory under another shape ---


def turned(f: Any) -> Any:
    """``f``, which gives a view, as a method that makes the tensor itself that view."""

    def write(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        check_writable(self, False)
        out = f(self, *args, **kwargs)
        if self._rank == 2 and out._a is not self._a:
            self._a = out._a
        else:
            self._hold(out)
        if out._rg:
            self._node, self._rg = out._node, True
        return self

    write.__name__ = write.__qualname__ = f"{f.__name__}_"
    write.__doc__ = f"``{f.__name__}`` in place: this tensor's own memory under the other shape."
    return write


attach(**{
    f"{name}_": turned(getattr(Tensor, name))
    for name in ("squeeze", "unsqueeze", "transpose", "t", "swapaxes", "swapdims")
})  # fmt: skip


def _new(name: str) -> Any:
    def new(self: Tensor, *size: Any, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: bool = False,
            requires_grad: bool = False, **names: Any) -> Tensor:  # fmt: skip
        value: Any = int(name == "new_ones")
        if name == "new_full":
            size, value = _filling(*size, **names)
            names = {}
        d = self._dtype if dtype is None else to_numpy(dtype)
        shape = sizes(name, size, **names)
        found = room(self, shape, lambda shape: np.full(shape, number_as(value, d), d))
        return found.requires_grad_() if requires_grad else found

    new.__name__ = new.__qualname__ = name
    new.__doc__ = f"A tensor of this one's dtype, as ``{name}`` in PyTorch."
    return new


def _filling(size: Any, fill_value: Any) -> tuple[tuple[Any], Any]:
    """The arguments of ``new_full``, which has the value beside the size."""
    return (size,), fill_value.item() if isinstance(fill_value, Tensor) else fill_value


attach(**{name: _new(name) for name in ("new_zeros", "new_ones", "new_empty", "new_full")})


def zero_(input: Tensor) -> Tensor:
    """Zeros written into ``input``.

    Source: ``torch.zero_``.
    """
    return input.zero_()


export("zero_", zero_, method=False)
