"""Choosing between entries: by a condition, or the larger, the smaller, the nearest allowed."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes, errors
from ..errors import explained
from ..lanes import check_broadcast, general, lift
from ..node import Box
from ..outputs import CASTS, takes_out
from ..primitive import Elementwise, Primitive, bind, table
from ..tensor import Tensor, wrap
from ..transforms import one_shape
from .kinds import attach, binary, export
from .whole import whole

_NO_COMPLEX = NotImplementedError("clamp is not supported for complex types")


class Where(Elementwise):
    """x where the condition holds, else y; the branch not taken gets a zero cotangent."""

    forward = lambda xp, c, x, y: xp.where(c, x, y)
    vjp_x = lambda xp, g, c: xp.where(c, g, xp.zeros_like(g))
    vjp_y = lambda xp, g, c: xp.where(c, xp.zeros_like(g), g)
    jvp_x = lambda xp, t, c: xp.where(c, t, xp.zeros_like(t))
    jvp_y = lambda xp, t, c: xp.where(c, xp.zeros_like(t), t)
    scalar = "{x} if {c} else {y}"
    samples = [
        (([[True, False, True]], (2, 3), (2, 3)), {}), (([True, False, True], (2, 1), ()), {}),
        (([True, False], (2,), 0), {}),
    ]  # fmt: skip

    def prepare(self, arrays: Any, params: Any) -> Any:
        return (arrays[0], *super().prepare(arrays[1:], params))


_where, _filled_number, _filled = Where(), Where("MaskedFillBackward0"), Where("MaskedFillBackward1")


class Maximum(Elementwise):
    """The larger of x and y; a tie shares the slope, nan wins."""

    forward = lambda xp, x, y: xp.maximum(x, y)
    d_x = d_y = lambda xp, x, y: share(xp, x, y)
    flat_x, flat_y = lambda x, y: x < y, lambda x, y: y < x
    real_only = RuntimeError("maximum not implemented for complex tensors.")
    scalar = "max({x}, {y})"
    samples = [(((2, 3), (2, 3)), {}), (((2, 1), (3,)), {})]


maximum = binary(Maximum)


class Minimum(Elementwise):
    """The smaller of x and y; a tie shares the slope, nan wins."""

    forward = lambda xp, x, y: xp.minimum(x, y)
    d_x = d_y = lambda xp, x, y: share(xp, x, y)
    flat_x, flat_y = lambda x, y: x > y, lambda x, y: y > x
    real_only = RuntimeError("minimum not implemented for complex tensors.")
    scalar = "min({x}, {y})"
    samples = [(((2, 3), (2, 3)), {}), (((2, 1), (3,)), {})]


minimum = binary(Minimum)


def share(xp: Any, x: Any, y: Any) -> Any:
    """1/2 where they tie, else 1: beside nan, too.  One of them may be a Python number."""
    return 1 - xp.astype(x == y, (x if hasattr(x, "dtype") else y).dtype) / 2


class AtLeast(Elementwise):
    """x, or ``low`` where that is larger; in a tie x has the slope."""

    forward = lambda xp, x, low: xp.maximum(x, low)
    real_only = _NO_COMPLEX
    flat_x, flat_low = lambda x, low: ~(x >= low), lambda x, low: ~(x < low)
    scalar = "max({x}, {low})"
    samples = Maximum.samples


class AtMost(Elementwise):
    """x, or ``high`` where that is smaller; in a tie x has the slope."""

    forward = lambda xp, x, high: xp.minimum(x, high)
    real_only = _NO_COMPLEX
    flat_x, flat_high = lambda x, high: ~(x <= high), lambda x, high: ~(x > high)
    scalar = "min({x}, {high})"
    samples = Maximum.samples


_at_least, _at_most = AtLeast(), AtMost()


class Clamp(Primitive):
    """x kept between ``min`` and ``max``; the slope is 1 inside, bounds included, else 0."""

    real_only = _NO_COMPLEX
    forward = lambda xp, x, *, min, max: clamped(xp, x, min, max)
    vjp_x = lambda xp, g, x, min, max: xp.where(inside(x, min, max), g, xp.zeros_like(g))
    jvp_x = lambda xp, t, x, min, max: xp.where(inside(x, min, max), t, xp.zeros_like(t))
    depends = lambda xp, x: x
    samples = [
        (([[0.5, -1.25], [2.0, -0.7]],), {"min": -1.0, "max": 1.0}),
        (([0.5, -2.0],), {"min": None, "max": 0.25}),
    ]


def clamped(xp: Any, x: Any, min: Any, max: Any) -> Any:
    if hasattr(xp, "between"):
        return xp.between(x, min, max)
    if min is not None:
        x = xp.maximum(min, x)
    return x if max is None else xp.minimum(max, x)


def inside(x: Any, min: Any, max: Any) -> Any:
    if min is None:
        return x <= max
    return x >= min if max is None else (x >= min) & (x <= max)


_clamp, _clamp_min, _clamp_max = Clamp("ClampBackward1"), Clamp("ClampMinBackward0"), Clamp("ClampMaxBackward0")
Clamp()


@takes_out("Expected out type to be {result} but got {out}")
def where(condition: Tensor, input: Any = None, other: Any = None, *, out: Any = None) -> Any:
    """``input`` where the condition holds, else ``other``; with the condition alone, where it holds.

    Source: ``torch.where``.
    """
    if input is None and other is None:
        one_shape("where", condition)
        return nonzero(condition, as_tuple=True)
    three = (condition, input, other)
    condition, input, other = (lift(_where, i, a, three) for i, a in enumerate(three))
    if not (isinstance(input, Box) or isinstance(other, Box)):
        input = wrap(np.asarray(input, dtypes.result_dtype([], [input, other])))
    if not isinstance(condition, Box) or condition._dtype.kind != "b":
        kind = condition.dtype if isinstance(condition, Box) else type(condition).__name__
        raise explained(RuntimeError("where expected condition to be a boolean tensor, but got a tensor with dtype "
                           f"{kind}\nWrite the comparison: x != 0."))  # fmt: skip
    for a, b in ((input, other), (other, input)):
        if type(a) is int and b._dtype.kind in "iu":
            dtypes.number_as(a, b._dtype)
    check_broadcast((condition, input, other))
    return bind(_where, (condition, input, other), {})


@takes_out("nonzero: Expected out tensor to have scalar type {result} but got scalar type{out}")
def nonzero(input: Tensor, *, as_tuple: bool = False, out: Any = None) -> Any:
    """The indices of the elements that are not 0, one row each; as a tuple of columns on request.

    Source: ``torch.nonzero``.
    """
    one_shape("nonzero", input)
    a = input.detach().numpy()
    if not a.ndim and not as_tuple:
        return wrap(np.zeros((int(bool(a)), 0), np.int64))
    found = np.nonzero(np.atleast_1d(a))
    return tuple(wrap(f) for f in found) if as_tuple else wrap(np.stack(found, -1))


@takes_out(CASTS)
def clamp(input: Tensor, min: Any = None, max: Any = None, *, out: Tensor | None = None) -> Tensor:
    """Elements kept between ``min`` and ``max`` (numbers or tensors; one may be left out).

    Source: ``torch.clamp``.
    """
    return _clamped(_clamp, input, min, max)


_BOUNDS = {type(None), int, float}  # the types of bounds that may stay as they are


def _clamped(prim: Primitive, input: Tensor, min: Any, max: Any) -> Tensor:
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if input._dtype.kind == "c":
        raise errors.not_of_complex(_NO_COMPLEX, input._dtype)
    if not {type(min), type(max)} <= _BOUNDS:
        min, max = (b if b is None else lift(prim, 1, b, (input, b)) for b in (min, max))
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        return _within[prim.label](input, min, max)
    if input._dtype.kind in "iub" and any(isinstance(b, float) for b in (min, max)):
        input = table["Cast"](input, dtype=dtypes.default_float())
    if input._dtype.kind in "iu":
        min, max = (b if b is None else dtypes.number_as(b, input._dtype) for b in (min, max))
    return general(prim, (input,), params={"min": min, "max": max})


def _between(input: Tensor, min: Any, max: Any) -> Tensor:
    x = input if min is None else _at_least(input, min)
    return x if max is None else _at_most(x, max)


_within = {  # by the node of the same with numbers
    "ClampBackward1": whole("ClampBackward0")(_between),
    "ClampMinBackward0": whole("ClampMinBackward1")(_between),
    "ClampMaxBackward0": whole("ClampMaxBackward1")(_between),
}


@takes_out(CASTS)
def clamp_min(input: Tensor, min: Any, *, out: Tensor | None = None) -> Tensor:
    """Elements that are ``min``, a number or a tensor, at least.

    Source: ``torch.clamp_min``.

    >>> import chainrule as torch
    >>> torch.clamp_min(torch.tensor([1.0, 3.0]), 2)
    tensor([2., 3.])
    """
    return _clamped(_clamp_min, input, min, None)


@takes_out(CASTS)
def clamp_max(input: Tensor, max: Any, *, out: Tensor | None = None) -> Tensor:
    """Elements that are ``max``, a number or a tensor, at most.

    Source: ``torch.clamp_max``.

    >>> import chainrule as torch
    >>> torch.clamp_max(torch.tensor([1.0, 3.0]), 2)
    tensor([1., 2.])
    """
    return _clamped(_clamp_max, input, None, max)


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """``value`` where the mask holds, else input's elements.

    Source: ``torch.Tensor.masked_fill``.
    """
    if isinstance(mask, Tensor) and mask._dtype.kind != "b":
        raise explained(
            RuntimeError(
                f"masked_fill_ only supports boolean masks, but got mask with dtype {errors.c_name(mask._dtype)}"
                "\nMake truths of the numbers: mask != 0."
            )
        )
    fill = _filled if isinstance(value, Tensor) else _filled_number
    if isinstance(value, Tensor):
        value = value.to(input.dtype)
    else:
        value = wrap(np.asarray(dtypes.number_as(value, input._dtype), input._dtype))
    check_broadcast((mask, value, input))
    return fill(mask, value, input)


export("where", where, method=False)


def _chosen(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """Its entries where ``condition`` holds, else those of ``other``: ``torch.where(condition, self, other)``."""
    return where(condition, self, other)  # type: ignore[no-any-return]


attach(where=_chosen)
for _f in (clamp, clamp_min, clamp_max, masked_fill):
    export(_f.__name__, _f, in_place=True)
export("clip", clamp, in_place=True)
export("nonzero", nonzero)
