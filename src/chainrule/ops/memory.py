"""Where a tensor's memory is: other devices, which are refused, and memory that processes share."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

from ..device import device as _device
from ..device import no_accelerator, unavailable
from ..tensor import Tensor
from .kinds import attach


def _mover(kind: str) -> Any:
    def move(self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Tensor:
        if device is not None and _device(device).type != kind:
            raise RuntimeError(f"Invalid device, must be {kind} device")
        raise unavailable(kind)

    move.__doc__ = "Refused, with what to do instead."
    return move


def get_device(self: Tensor) -> int:
    """-1: the tensor is on the CPU."""
    return -1


def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """Refused: there is no accelerator that would read the memory."""
    raise no_accelerator()


def is_pinned(self: Tensor, device: Any = None) -> bool:
    """False: there is no accelerator."""
    return False


def is_shared(self: Tensor) -> bool:
    """Whether its numbers lie in memory that :meth:`share_memory_` made."""
    a = self._a
    while isinstance(a, np.ndarray):
        a = a.base
    return isinstance(a.obj if isinstance(a, memoryview) else a, mmap.mmap)


def share_memory_(self: Tensor) -> Tensor:
    """Move its numbers into memory that processes forked from now on share: each sees what the others write.

    Views made before keep the old memory; processes that are spawned get copies, as of every tensor.

    Source: ``torch.Tensor.share_memory_``.
    """
    if not is_shared(self):
        old = self._own()
        new: Any = np.frombuffer(mmap.mmap(-1, max(old.nbytes, 1)), old.dtype, old.size).reshape(old.shape)
        new[...] = old
        self._a = new
    return self


attach(
    cuda=_mover("cuda"), ipu=_mover("ipu"), mtia=_mover("mtia"), xpu=_mover("xpu"), get_device=get_device,
    pin_memory=pin_memory, is_pinned=is_pinned, is_shared=is_shared, share_memory_=share_memory_,
)  # fmt: skip
