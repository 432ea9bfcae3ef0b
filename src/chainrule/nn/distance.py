"""Distances and angles as layers."""

from __future__ import annotations

from ..tensor import Tensor
from . import functional as F
from .module import Module


class CosineSimilarity(Module):
    """The cosine of the angle of two tensors' vectors along ``dim``, which goes; lengths count as ``eps`` at least.

    Source: ``torch.nn.CosineSimilarity``.

    >>> import chainrule as torch
    >>> torch.nn.CosineSimilarity()(torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
    tensor([0.6000])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Numbers between -1 and 1."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The norm of order ``p`` of ``x1 - x2 + eps`` along the last axis.

    Source: ``torch.nn.PairwiseDistance``.

    >>> import chainrule as torch
    >>> torch.nn.PairwiseDistance()(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
    tensor([5.0000])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Shapes (n, d) or (d,) to (n,) or (); with ``keepdim`` the last axis stays, of length 1."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
