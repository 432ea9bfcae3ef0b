"""PyTorch's ``torch.signal``: windows for the analysis of signals."""

from . import windows

__all__ = ["windows"]
