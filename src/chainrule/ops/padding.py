"""Padding: more entries at the ends of axes, constant or made of those that are there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import explained
from ..primitive import Primitive
from ..tensor import Tensor
from .kinds import export
from .shape import cat
from .whole import whole

Widths = tuple[tuple[int, int], ...]  # before and after each of the last axes; negative ones cut off


class ConstantPadNd(Primitive):
    """x with ``value`` added before and after its last axes; a negative width cuts off.

    Its transpose is the one with the opposite widths.
    """

    forward = lambda xp, x, *, widths, value: padded(xp, x, widths, value)
    vjp_x = lambda xp, g, widths: _pad(g, widths=tuple((-a, -b) for a, b in widths), value=0)
    jvp_x = lambda xp, t, widths: _pad(t, widths=widths, value=0)
    samples = [
        (((2, 3),), {"widths": ((1, 2),), "value": 0}), (((2, 3),), {"widths": ((1, 0), (-1, 2)), "value": 1.5}),
        (((4,),), {"widths": ((-1, -2),), "value": 0}),
    ]  # fmt: skip


def padded(xp: Any, x: Any, widths: Widths, value: Any) -> Any:
    n = len(x.shape) - len(widths)
    shape = (*x.shape[:n], *(m + a + b for m, (a, b) in zip(x.shape[n:], widths, strict=True)))
    taken = (..., *(slice(max(-a, 0), m - max(-b, 0)) for m, (a, b) in zip(x.shape[n:], widths, strict=True)))
    x = xp.getitem(x, taken)
    if tuple(x.shape) == shape:
        return xp.asarray(x, copy=True)
    place = (..., *(slice(max(a, 0), m - max(b, 0)) for m, (a, b) in zip(shape[n:], widths, strict=True)))
    if not value and repr(value) != "-0.0":
        return xp.put_add(x, place, shape, False)
    return xp.put(xp.broadcast_to(xp.asarray(value, dtype=x.dtype), shape), x, place)


_pad: Primitive = ConstantPadNd()


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """More entries at the ends of the last axes: ``pad`` is (before, after) of the last, of the one before it, ...

    ``mode`` says which: "constant" those of ``value`` (0 unless given), "replicate" the outermost again, "reflect"
    its neighbours mirrored, "circular" those of the other end.  Negative numbers cut entries off.  The last three
    modes pad 1 to 3 axes of a tensor with one or two more; NotImplementedError for others, RuntimeError for widths
    that do not fit.

    Source: ``torch.nn.functional.pad``.

    >>> import chainrule as torch
    >>> pad(torch.tensor([[1, 2, 3]]), (2, 1), mode="reflect")
    tensor([[3, 2, 1, 2, 3, 2]])
    """
    if len(pad) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(pad) > 2 * input.ndim:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(pad)} and input of dimension {input.ndim}"
        )
    pairs = tuple(zip(pad[-2::-2], pad[-1::-2], strict=True))
    if mode == "constant":
        return constant_pad_nd(input, pad, 0 if value is None else value)
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if not 1 <= len(pairs) <= 3 or input.ndim - len(pairs) not in (1, 2):
        raise explained(
            NotImplementedError(
                f"Padding size {len(pad)} is not supported for {input.ndim}D input tensor."
                f"\nThe input has {input.ndim} axes, and {len(pairs)} are padded; one or two more must be left."
            )
        )
    if mode not in _ENDS:
        raise explained(
            NotImplementedError(
                f"Unrecognised padding mode {mode}\nThere are 'constant', 'reflect', 'replicate' and 'circular'."
            )
        )
    for axis, (a, b) in zip(range(-1, -len(pairs) - 1, -1), reversed(pairs), strict=True):
        _check(mode, input, axis, a, b)
    found: Tensor = _padded[mode, len(pairs)](input, pairs)
    return found


def constant_pad_nd(input: Tensor, pad: Sequence[int], value: float = 0) -> Tensor:
    """:func:`pad` with a constant ``value``.  Source: ``torch.constant_pad_nd``."""
    widths = tuple(zip(pad[-2::-2], pad[-1::-2], strict=True))
    for n, (a, b) in zip(input._shape[input.ndim - len(widths) :], widths, strict=True):
        if n + a + b < 0 or n + min(a, 0) < 0 or n + min(b, 0) < 0:
            raise explained(
                RuntimeError(
                    "narrow(): length must be non-negative."
                    f"\nThe widths {a} and {b} cut off more than the {n} entries there are."
                )
            )
    return _pad(input, widths=widths, value=value)


export("constant_pad_nd", constant_pad_nd, method=False)


def _check(mode: str, x: Tensor, axis: int, a: int, b: int) -> None:
    n = x._shape[axis]
    if mode == "circular":
        if a > n or b > n:
            raise RuntimeError("Padding value causes wrapping around more than once.")
        if n + a + b < 0:
            raise RuntimeError("Negative padding value is resulting in an empty dimension")
        return
    if mode == "reflect" and (a >= n or b >= n):
        raise explained(
            RuntimeError(
                f"Argument #{2 - 2 * axis}: Padding size should be less than the corresponding input dimension, but got: "
                f"padding ({a}, {b}) at dimension {x.ndim + axis} of input {list(x.shape)}"
                "\nOnly what is there, without the outermost entry, can be mirrored."
            )
        )
    if n + a + b < 1 or not n:
        name = "WHD"[-1 - axis]
        raise explained(
            RuntimeError(
                f"input ({name}: {n}) is too small. Calculated output {name}: {n + a + b}"
                "\nThe negative widths cut off more than there is."
            )
        )


def _cut(x: Tensor, axis: int, a: int, b: int) -> Tensor:
    """``x`` without what negative widths cut off."""
    start = max(-a, 0)
    return x if a >= 0 and b >= 0 else x.narrow(axis, start, x._shape[axis] - start - max(-b, 0))


def _joined(axis: int, *parts: Tensor) -> Tensor:
    parts = tuple(p for p in parts if p._shape[axis])
    return parts[0] if len(parts) == 1 else cat(parts, axis)


def _reflect(x: Tensor, axis: int, a: int, b: int) -> Tensor:
    n = x._shape[axis]
    left, right = max(a, 0), max(b, 0)
    ends = x.narrow(axis, 1, left).flip(axis), x.narrow(axis, n - 1 - right, right).flip(axis)
    return _cut(_joined(axis, ends[0], x, ends[1]), axis, min(a, 0), min(b, 0))


def _replicate(x: Tensor, axis: int, a: int, b: int) -> Tensor:
    def copies(at: int, count: int) -> Tensor:
        shape = list(x._shape)
        shape[axis] = max(count, 0)
        return x.narrow(axis, at, 1).expand(*shape)

    return _cut(_joined(axis, copies(0, a), x, copies(x._shape[axis] - 1, b)), axis, min(a, 0), min(b, 0))


def _circular(x: Tensor, axis: int, a: int, b: int) -> Tensor:
    x = _cut(x, axis, a, b)
    left, right = max(a, 0), max(b, 0)
    return _joined(axis, x.narrow(axis, x._shape[axis] - left, left), x, x.narrow(axis, 0, right))


_ENDS = {"reflect": _reflect, "replicate": _replicate, "circular": _circular}


def _by_ends(mode: str, pairs: int) -> Any:
    def padded(x: Tensor, widths: Widths) -> Tensor:
        for axis, (a, b) in enumerate(widths, start=-pairs):
            x = _ENDS[mode](x, axis, a, b)
        return x

    name = {"reflect": "Reflection", "replicate": "Replication"}.get(mode)
    return padded if name is None else whole(f"{name}Pad{pairs}DBackward0")(padded)


_padded = {(mode, n): _by_ends(mode, n) for mode in _ENDS for n in (1, 2, 3)}

export("constant_pad_nd", constant_pad_nd, method=False)
