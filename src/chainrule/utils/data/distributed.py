"""PyTorch's ``torch.utils.data.distributed``: the sampler for one of several processes."""

from __future__ import annotations

from .sampler import DistributedSampler

__all__ = ["DistributedSampler"]
