"""Writing into a tensor: one number, another tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from .. import dtypes, errors
from ..arrays import namespace as ns
from ..errors import allocating, explained
from ..lanes import check_broadcast
from ..primitive import Elementwise
from ..tensor import Tensor, wrap
from ..transforms import batches
from ..writes import assign, check_writable, compute_into
from .kinds import attach, export


class _InPlaceOfX(Elementwise):
    """y in x's shape and dtype, whatever they are."""

    def prepare(self, arrays: Any, params: Any) -> Any:
        return arrays

    def batch(self, size: int, arrays: Any, batched: Any, params: Any) -> Any:
        x, y = arrays
        if not batched[0]:
            x = ns.boxes.broadcast_to(x, (size, *x.shape))
        return super().batch(size, (x, y), (True, batched[1]), params)


class Fill(_InPlaceOfX):
    """Every entry replaced by one number."""

    forward = lambda xp, x, y: xp.broadcast_to(xp.astype(xp.asarray(y), x.dtype), x.shape) + xp.zeros_like(x)
    jointly_linear = True
    d_x, d_y = 0, 1
    samples = [(((2, 3), 1.5), {}), (((2, 3), ()), {})]


Fill()


class Copy(_InPlaceOfX):
    """y in the place of x: what ``x.copy_(y)`` records."""

    forward = lambda xp, x, y: xp.astype(xp.broadcast_to(y, x.shape), x.dtype)
    jointly_linear = True
    d_x, d_y = 0, 1
    samples = [(((2, 3), (3,)), {})]


Copy()

_copy = Copy("torch::autograd::CopyBackwards")
_full, _full_tensor = Fill("FillBackward0"), Fill("FillBackward1")
_zero, _fill, _fill_tensor = Fill("ZeroBackward0"), Fill("FillBackward2"), Fill("FillBackward3")


def room(like: Tensor, shape: tuple[int, ...], fill: Callable[[tuple[int, ...]], Any]) -> Tensor:
    """A tensor of what ``fill(shape)`` gives; inside vmap with memory for each sample, if ``like`` differs among them."""
    levels = batches(like) if like._rank > 2 else ()
    if not levels:
        return wrap(fill(shape))
    from ..arrays.batched import nest

    return nest(fill((*[t.size for t in levels], *shape)), levels)  # type: ignore[no-any-return]


def fill_(self: Tensor, value: Any) -> Tensor:
    """Every element set to ``value``."""
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions.")
    if not isinstance(value, Tensor) and value is not _ZERO:
        value = dtypes.number_as(value, self._dtype)
    prim = _zero if value is _ZERO else _fill_tensor if isinstance(value, Tensor) else _fill
    tensor = isinstance(value, Tensor)
    check_writable(self, tensor and value._rg, uniform=not tensor)
    return assign(self, prim(self, 0 if value is _ZERO else value), uniform=not tensor)


_ZERO = object()


def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor of input's shape and dtype, full of ``value``: a number, or a tensor of one that has a gradient.

    Source: ``torch.fill``.

    >>> import chainrule as torch
    >>> torch.fill(torch.zeros(2), 3)
    tensor([3., 3.])
    """
    tensor = isinstance(value, Tensor)
    if tensor and value.ndim:
        raise RuntimeError(f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions.")
    return (_full_tensor if tensor else _full)(input, value if tensor else dtypes.number_as(value, input._dtype))


def zero_(self: Tensor) -> Tensor:
    """Every element set to 0."""
    return fill_(self, _ZERO)


def same_place(a: Any, b: Any) -> bool:
    return bool((byte_bounds(a), a.shape, a.strides) == (byte_bounds(b), b.shape, b.strides))


def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """``src``'s elements, broadcast and converted, written here; the gradient goes to ``src``."""
    a, b = self._a, src._a
    if type(a) is np.ndarray and 0 in a.strides and same_place(a, b):
        return assign(self, _copy(self, src), uniform=True)  # onto itself
    return compute_into(self, _fitting_copy, (src,), {})


@allocating("what is copied")
def _fitting_copy(x: Tensor, src: Tensor) -> Tensor:
    if src._shape != x._shape:
        check_broadcast((x, src))
        if (wider := np.broadcast_shapes(x._shape, src._shape)) != x._shape:
            raise explained(RuntimeError(errors.cannot_grow(x._shape, wider)))
    return _copy(x, src)


export("fill", fill, method=False)
attach(fill_=fill_, zero_=zero_, copy_=copy_)
