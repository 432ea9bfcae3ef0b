"""What programs ask before they use an accelerator of any kind: there is none.  Source: ``torch.accelerator``.

>>> import chainrule as torch
>>> torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"
'cpu'
"""

from __future__ import annotations

__all__ = ["current_accelerator", "device_count", "is_available"]


def is_available() -> bool:
    """False: tensors are on the CPU.  Source: ``torch.accelerator.is_available``."""
    return False


def device_count() -> int:
    """0.  Source: ``torch.accelerator.device_count``."""
    return 0


def current_accelerator(check_available: bool = False) -> None:
    """None: there is none.  Source: ``torch.accelerator.current_accelerator``."""
