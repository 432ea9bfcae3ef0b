"""Dropout as layers: in training, entries or whole channels are set to zero at random."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import explained
from ..tensor import Tensor
from . import functional as F
from .module import Module


class _Dropout(Module):
    _shown = ("p", "inplace")
    _compute: Callable[..., Tensor]

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise explained(
                ValueError(
                    f"dropout probability has to be between 0 and 1, but got {p}\nIt is the part that is dropped: p=0.5."
                )
            )
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """The input with holes; in evaluation the input itself."""
        return type(self)._compute(input, self.p, self.training, self.inplace)


class Dropout(_Dropout):
    """Each entry set to 0 with probability ``p``, and the others divided by ``1 - p``; any shape.

    ``eval()`` turns it off.

    Source: ``torch.nn.Dropout``.

    >>> import chainrule as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.nn.Dropout()(torch.ones(5))
    tensor([0., 0., 2., 0., 0.])
    """

    _compute = staticmethod(F.dropout)


class Dropout1d(_Dropout):
    """:class:`Dropout` of whole channels: (n, channels, length) or (channels, length).

    Source: ``torch.nn.Dropout1d``.

    >>> import chainrule as torch
    >>> torch.nn.Dropout1d()(torch.ones(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """

    _compute = staticmethod(F.dropout1d)


class Dropout2d(_Dropout):
    """:class:`Dropout` of whole channels: (n, channels, height, width), or without n.

    Source: ``torch.nn.Dropout2d``.

    >>> import chainrule as torch
    >>> torch.nn.Dropout2d()(torch.ones(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    _compute = staticmethod(F.dropout2d)


class Dropout3d(_Dropout):
    """:class:`Dropout` of whole channels: (n, channels, depth, height, width), or without n.

    Source: ``torch.nn.Dropout3d``.

    >>> import chainrule as torch
    >>> torch.nn.Dropout3d()(torch.ones(2, 3, 4, 4, 4)).shape
    torch.Size([2, 3, 4, 4, 4])
    """

    _compute = staticmethod(F.dropout3d)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean and variance, for networks of :class:`SELU` (Klambauer et al., 2017).

    Source: ``torch.nn.AlphaDropout``.

    >>> import chainrule as torch
    >>> torch.nn.AlphaDropout().eval()(torch.ones(3))
    tensor([1., 1., 1.])
    """

    _compute = staticmethod(F.alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """:class:`AlphaDropout` of whole channels: (n, channels, ...).

    Source: ``torch.nn.FeatureAlphaDropout``.

    >>> import chainrule as torch
    >>> torch.nn.FeatureAlphaDropout()(torch.ones(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """

    _compute = staticmethod(F.feature_alpha_dropout)
