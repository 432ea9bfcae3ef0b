"""What programs ask before they use a GPU: there is none.  Source: ``torch.cuda``.

>>> import chainrule as torch
>>> "cuda" if torch.cuda.is_available() else "cpu"
'cpu'
"""

from __future__ import annotations

from typing import Any

from .device import unavailable

__all__ = [
    "current_device", "device_count", "empty_cache", "get_device_name", "is_available", "is_bf16_supported", "manual_seed",
    "manual_seed_all", "max_memory_allocated", "memory_allocated", "memory_reserved", "synchronize",
]  # fmt: skip


def is_available() -> bool:
    """False: tensors are on the CPU.  Source: ``torch.cuda.is_available``."""
    return False


def device_count() -> int:
    """0.  Source: ``torch.cuda.device_count``."""
    return 0


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False.  Source: ``torch.cuda.is_bf16_supported``."""
    return False


def manual_seed(seed: int) -> None:
    """Nothing: there is no generator of a GPU.  ``torch.manual_seed`` is that of the CPU.  Source: ``torch.cuda.manual_seed``."""


def manual_seed_all(seed: int) -> None:
    """Nothing, as :func:`manual_seed`.  Source: ``torch.cuda.manual_seed_all``."""


def empty_cache() -> None:
    """Nothing: no memory of a GPU is kept.  Source: ``torch.cuda.empty_cache``."""


def synchronize(device: Any = None) -> None:
    """Refused: there is nothing to wait for.  Source: ``torch.cuda.synchronize``."""
    raise unavailable("cuda")


def current_device() -> int:
    """Refused: there is none.  Source: ``torch.cuda.current_device``."""
    raise unavailable("cuda")


def get_device_name(device: Any = None) -> str:
    """Refused: there is none.  Source: ``torch.cuda.get_device_name``."""
    raise unavailable("cuda")


def memory_allocated(device: Any = None) -> int:
    """0.  Source: ``torch.cuda.memory_allocated``."""
    return 0


max_memory_allocated = memory_reserved = memory_allocated
