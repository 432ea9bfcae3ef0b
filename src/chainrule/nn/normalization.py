"""Normalisation over layers, groups and neighbouring channels, as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..tensor import Tensor
from . import functional as F
from .affine import Affine
from .module import Module
from .sizes import for_each


class LayerNorm(Affine):
    """``(x - mean) / sqrt(variance + eps) * weight + bias``, over the last axes of each sample.

    ``normalized_shape`` is their lengths (or the last one's), and the shape of ``weight`` and ``bias``, at first 1
    and 0; without ``elementwise_affine`` there are none.

    Source: ``torch.nn.LayerNorm``.

    >>> import chainrule as torch
    >>> torch.nn.LayerNorm(2, elementwise_affine=False)(torch.tensor([[1.0, 3.0], [0.0, 8.0]]))
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True,
        bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape = for_each(normalized_shape, 1)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        learned = {"weight": elementwise_affine, "bias": elementwise_affine and bias}
        self._learn(self.normalized_shape, learned, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """The normalised input; RuntimeError if its last axes have other lengths."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The options."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(Affine):
    """``x / sqrt(mean of x² + eps) * weight``, over the last axes of each sample.

    ``normalized_shape`` is as for :class:`LayerNorm`; ``eps`` is the dtype's own unless given.

    Source: ``torch.nn.RMSNorm``.

    >>> import chainrule as torch
    >>> torch.nn.RMSNorm(2, elementwise_affine=False)(torch.tensor([1.0, 7.0]))
    tensor([0.2000, 1.4000])
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape = for_each(normalized_shape, 1)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._learn(self.normalized_shape, {"weight": elementwise_affine}, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """The normalised input; RuntimeError if its last axes have other lengths."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The options."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Affine):
    """Each sample's channels in ``num_groups`` groups, each shifted to mean 0 and scaled to variance 1.

    Any (n, num_channels, ...); ``weight`` and ``bias`` are (num_channels,), at first 1 and 0.  ValueError if the
    channels do not divide.

    Source: ``torch.nn.GroupNorm``.

    >>> import chainrule as torch
    >>> torch.nn.GroupNorm(2, 4, affine=False)(torch.tensor([[1.0, 3.0, 0.0, 8.0]]))
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, device: Any = None,
        dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._learn((num_channels,), {"weight": affine, "bias": affine and bias}, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """The normalised input; RuntimeError for another number of channels."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The options."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


class LocalResponseNorm(Module):
    """``x / (k + alpha * m)**beta``, m the mean of x² over ``size`` neighbouring channels: (n, channels, ...).

    Source: ``torch.nn.LocalResponseNorm``.

    >>> import chainrule as torch
    >>> torch.nn.LocalResponseNorm(2, alpha=1.0, beta=1.0)(torch.tensor([[[2.0], [4.0]]])).flatten()
    tensor([0.6667, 0.3636])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        """The scaled input; ValueError for fewer than three axes."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """The options."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
