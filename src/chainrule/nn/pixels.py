"""Pixels made into channels, channels into pixels, and channels dealt out anew, as layers."""

from __future__ import annotations

from ..tensor import Tensor
from . import functional as F
from .module import Module


class PixelShuffle(Module):
    """Channels made into finer pixels: (..., channels * r², height, width) to (..., channels, height * r, width * r).

    Source: ``torch.nn.PixelShuffle``.

    >>> import chainrule as torch
    >>> torch.nn.PixelShuffle(2)(torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(4, 1, 1))
    tensor([[[1., 2.],
             [3., 4.]]])
    """

    _shown = ("upscale_factor",)

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """The finer picture; RuntimeError for channels that do not divide."""
        return F.pixel_shuffle(input, self.upscale_factor)


class PixelUnshuffle(Module):
    """The inverse of :class:`PixelShuffle`: pixels made into channels.

    Source: ``torch.nn.PixelUnshuffle``.

    >>> import chainrule as torch
    >>> torch.nn.PixelUnshuffle(2)(torch.zeros(1, 1, 4, 6)).shape
    torch.Size([1, 4, 2, 3])
    """

    _shown = ("downscale_factor",)

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """The coarser picture; RuntimeError for sizes that do not divide."""
        return F.pixel_unshuffle(input, self.downscale_factor)


class ChannelShuffle(Module):
    """The channels, in ``groups`` of neighbours, dealt out in turn: (n, channels, ...).

    Source: ``torch.nn.ChannelShuffle``.

    >>> import chainrule as torch
    >>> torch.nn.ChannelShuffle(2)(torch.arange(4.0).reshape(1, 4, 1)).flatten()
    tensor([0., 2., 1., 3.])
    """

    _shown = ("groups",)

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        """The channels in another order; RuntimeError for a number that does not divide."""
        return F.channel_shuffle(input, self.groups)
