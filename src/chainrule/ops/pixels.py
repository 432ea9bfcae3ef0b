"""Channels and pixels exchanged: ``pixel_shuffle``, its inverse, and channels between groups."""

from __future__ import annotations

from typing import Any

from ..errors import explained
from ..primitive import Primitive
from ..tensor import Tensor
from .kinds import export, export_all


def shuffled(xp: Any, x: Any, r: int) -> Any:
    """Each r² channels (..., c * r², h, w) as one of r times the height and width."""
    *lead, c, h, w = x.shape
    n = len(lead)
    parts = xp.reshape(x, (*lead, c // r**2, r, r, h, w))
    turned = xp.permute_dims(parts, (*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return xp.reshape(turned, (*lead, c // r**2, h * r, w * r))


def unshuffled(xp: Any, x: Any, r: int) -> Any:
    """The inverse of :func:`shuffled`."""
    *lead, c, h, w = x.shape
    n = len(lead)
    parts = xp.reshape(x, (*lead, c, h // r, r, w // r, r))
    turned = xp.permute_dims(parts, (*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return xp.reshape(turned, (*lead, c * r**2, h // r, w // r))


class PixelShuffle(Primitive):
    """Each ``r``² channels as one of ``r`` times the height and width."""

    forward = lambda xp, x, *, r: shuffled(xp, x, r)
    vjp_x = lambda xp, g, r: unshuffled(xp, g, r)
    linear = ("x",)
    samples = [(((2, 4, 1, 1),), {"r": 2})]


class PixelUnshuffle(Primitive):
    """Each ``r`` by ``r`` pixels as ``r``² channels."""

    forward = lambda xp, x, *, r: unshuffled(xp, x, r)
    vjp_x = lambda xp, g, r: shuffled(xp, g, r)
    linear = ("x",)
    samples = [(((1, 2, 4),), {"r": 2})]


def regrouped(xp: Any, x: Any, groups: int, axis: int) -> Any:
    """Channels, at the negative ``axis``, in the order of their number within their group."""
    at = len(x.shape) + axis
    c = x.shape[at]
    parts = xp.reshape(x, (*x.shape[:at], groups, c // groups, *x.shape[at + 1 :]))
    n = len(parts.shape)
    turned = xp.permute_dims(parts, (*range(at), at + 1, at, *range(at + 2, n)))
    return xp.reshape(turned, tuple(x.shape))


class ChannelShuffle(Primitive):
    """The first channels of all groups, then the second, and so on; channels lie along the negative ``axis``."""

    forward = lambda xp, x, *, groups, axis: regrouped(xp, x, groups, axis)
    vjp_x = lambda xp, g, x_shape, groups, axis: regrouped(xp, g, x_shape[axis] // groups, axis)
    linear = ("x",)
    samples = [(((6, 1),), {"groups": 2, "axis": -2})]


_shuffle, _unshuffle, _channels = PixelShuffle(), PixelUnshuffle(), ChannelShuffle()


def _three(name: str, x: Tensor) -> None:
    if x.ndim < 3:
        raise explained(
            RuntimeError(
                f"{name} expects input to have at least 3 dimensions, but got input with {x.ndim} dimension(s)"
                "\nThe last three are channels, height and width."
            )
        )


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(..., c * r², h, w) to (..., c, h * r, w * r), r = ``upscale_factor``: channels laid out as pixels.

    RuntimeError unless r² divides the channels.

    Source: ``torch.pixel_shuffle``.

    >>> import chainrule as torch
    >>> torch.pixel_shuffle(torch.arange(4.0).reshape(4, 1, 1), 2)
    tensor([[[0., 1.],
             [2., 3.]]])
    """
    _three("pixel_shuffle", input)
    if upscale_factor <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {upscale_factor}")
    if input._shape[-3] % upscale_factor**2:
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
            f"input.size(-3)={input._shape[-3]} is not divisible by {upscale_factor**2}"
        )
    return _shuffle(input, r=upscale_factor)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """The inverse of :func:`pixel_shuffle`: (..., c, h * r, w * r) to (..., c * r², h, w).

    Source: ``torch.pixel_unshuffle``.

    >>> import chainrule as torch
    >>> torch.pixel_unshuffle(torch.arange(4.0).reshape(1, 2, 2), 2).flatten()
    tensor([0., 1., 2., 3.])
    """
    _three("pixel_unshuffle", input)
    if downscale_factor <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {downscale_factor}")
    for name, d in (("height", -2), ("width", -1)):
        if input._shape[d] % downscale_factor:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but input.size({d})="
                f"{input._shape[d]} is not divisible by {downscale_factor}"
            )
    return _unshuffle(input, r=downscale_factor)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels (n, c, ...) of all ``groups`` in turn: the first of each, then the second, ...

    RuntimeError unless ``groups`` divides their number.

    Source: ``torch.channel_shuffle``.

    >>> import chainrule as torch
    >>> torch.channel_shuffle(torch.arange(4).reshape(1, 4, 1), 2).flatten()
    tensor([0, 2, 1, 3])
    """
    if input.ndim < 3:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input.shape)}")
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    if input._shape[1] % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {input._shape[1]} channels and {groups} groups."
        )
    return _channels(input, groups=groups, axis=1 - input.ndim)


export_all(pixel_shuffle, pixel_unshuffle, channel_shuffle, method=False)
export("native_channel_shuffle", channel_shuffle, method=False)
