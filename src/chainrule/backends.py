"""What programs ask of libraries under PyTorch, and the settings that they make there.  Source: ``torch.backends``.

>>> import chainrule as torch
>>> torch.backends.cudnn.deterministic = True
>>> torch.backends.mps.is_available()
False
"""

from __future__ import annotations

from typing import Any

__all__ = ["cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp"]


class Backend:
    """A library that is not there.  Settings are remembered and change nothing."""

    def __init__(self, **settings: Any) -> None:
        self.__dict__.update(settings)

    def is_available(self) -> bool:
        """False."""
        return False

    def is_built(self) -> bool:
        """False."""
        return False

    def version(self) -> None:
        """None."""


cudnn = Backend(enabled=True, benchmark=False, deterministic=False, allow_tf32=True)
cuda = Backend(matmul=Backend(allow_tf32=False))
mkldnn = Backend(enabled=True)
mkl, mps, openmp = Backend(), Backend(), Backend()
