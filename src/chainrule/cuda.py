"""What programs ask before they use a GPU: there is none.  Source: ``torch.cuda``.

>>> import chainrule as torch
>>> "cuda" if torch.cuda.is_available() else "cpu"
'cpu'
"""

from __future__ import annotations

__all__ = ["device_count", "is_available"]


def is_available() -> bool:
    """False: tensors are on the CPU.

    Source: ``torch.cuda.is_available``.
    """
    return False


def device_count() -> int:
    """0.

    Source: ``torch.cuda.device_count``.
    """
    return 0
