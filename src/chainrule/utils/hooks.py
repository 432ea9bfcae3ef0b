"""PyTorch's ``torch.utils.hooks``: what registering a hook returns."""

from __future__ import annotations

from ..node import RemovableHandle

__all__ = ["RemovableHandle"]
