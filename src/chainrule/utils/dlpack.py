"""PyTorch's ``torch.utils.dlpack``: memory handed over to other libraries, and taken from them, without a copy."""

from __future__ import annotations

from typing import Any

from ..interop import from_dlpack
from ..tensor import Tensor

__all__ = ["from_dlpack", "to_dlpack"]


def to_dlpack(tensor: Tensor) -> Any:
    """A capsule of DLPack over the tensor's memory, which a library's ``from_dlpack`` takes, once.

    Source: ``torch.utils.dlpack.to_dlpack``.
    """
    return tensor.__dlpack__()
