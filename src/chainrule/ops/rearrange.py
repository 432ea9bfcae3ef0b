"""Entries in other places: what moves numbers about and is no view."""

from __future__ import annotations

from typing import Any

from ..primitive import Primitive
from ..tensor import Tensor
from .kinds import export


class Roll(Primitive):
    """Shifted along ``axis``, what falls off at the end coming back at the start."""

    forward = lambda xp, x, *, shift, axis: xp.roll(x, shift, axis=axis)
    vjp_x = lambda g, shift, axis: _roll(g, shift=tuple(-s for s in shift), axis=axis)
    linear = ("x",)
    samples = [(((2, 3),), {"shift": (1,), "axis": (-1,)}), (((3, 4),), {"shift": (-1, 2), "axis": (-1, -2)})]


_roll: Primitive = Roll()


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Shifted by ``shifts`` along ``dims``, what falls off coming back; without ``dims``, as if it were flat.

    Source: ``torch.roll``.

    >>> import chainrule as torch
    >>> torch.roll(torch.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    shift = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    if not shift:
        raise RuntimeError("`shifts` required")
    if dims is None or dims == ():
        if len(shift) != 1:
            raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shift)}, dims:0")
        return _roll(input.reshape(-1), shift=shift, axis=(-1,)).reshape(input.shape)  # type: ignore[no-any-return]
    dim = (dims,) if isinstance(dims, int) else tuple(dims)
    if len(dim) != len(shift):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shift)}, dims:{len(dim)}")
    if not input.ndim:
        raise IndexError(f"Dimension specified as {dim[0]} but tensor has no dimensions")
    return _roll(input, shift=shift, axis=tuple([input._dim(d) - input.ndim for d in dim]))  # type: ignore[no-any-return]


export("roll", roll)
