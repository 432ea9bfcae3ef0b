"""PyTorch's ``torch.utils``."""

from __future__ import annotations

from . import checkpoint

__all__ = ["checkpoint"]
