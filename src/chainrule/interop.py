"""Tensors and the world around them: copies, other libraries' memory, Python's buffers."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from . import dtypes
from .creation import leaf
from .device import on_cpu
from .errors import explained
from .tensor import Tensor, _new, init, wrap

__all__ = ["from_dlpack", "frombuffer"]


# --- copies ---


def copied_memory(t: Tensor, memo: dict[int, Any]) -> Any:
    """The array of a deep copy of ``t``: where tensors shared memory, their copies share a copy of it."""
    a = t._own()
    owner = a
    while type(owner) is np.ndarray and type(owner.base) is np.ndarray:
        owner = owner.base
    if type(a) is not np.ndarray or owner is a:
        return copy.deepcopy(a, memo)
    low, high = byte_bounds(owner)
    if high - low != owner.nbytes:  # it has gaps, or overlaps itself
        return copy.deepcopy(a, memo)
    memory = copy.deepcopy(owner, memo).ravel(order="K").view(np.uint8)
    place = a.__array_interface__["data"][0] - low
    return np.ndarray(a.shape, a.dtype, memory, place, a.strides)


def _deepcopy(self: Tensor, memo: dict[int, Any]) -> Tensor:
    """A leaf with memory, gradient and attributes of its own; RuntimeError for what an operation made."""
    if not self.is_leaf:
        raise explained(
            RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the "
                "moment.  If you were attempting to deepcopy a module, this may be because of a torch.nn.utils.weight_norm "
                "usage, see https://github.com/pytorch/pytorch/pull/103001"
                "\nCopy the numbers, x.detach().clone(), or keep the history, x.clone()."
            )
        )
    out = _new(type(self))
    memo[id(self)] = out
    init(out, copied_memory(self, memo), self._rg)
    out._grad = copy.deepcopy(self._grad, memo)
    out.__dict__.update(copy.deepcopy(self.__dict__, memo))
    return out


# --- DLPack ---


def _export(
    self: Tensor, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None
) -> Any:
    """A capsule over this tensor's memory, for another library's ``from_dlpack``."""
    if self._rg:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    a = self._own()
    if isinstance(a, np.ndarray):
        if stream is not None:
            raise AssertionError("stream should be None on cpu.")
        return a.__dlpack__(max_version=max_version, dl_device=dl_device, copy=copy)
    return a.__dlpack__(stream=stream)


def _device(self: Tensor) -> Any:
    """Where this tensor's memory is, in DLPack's numbers."""
    return self._own().__dlpack_device__()


class _Capsule:
    """A bare capsule as an object that hands it out."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack__(self, **how: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor over the memory of another library's array, which need not know NumPy.

    ``ext_tensor`` has ``__dlpack__``, or is a capsule that such a method gave, which can be used once.  ``copy``
    says whether there must be one (True) or must be none (False).  Raises RuntimeError for what is neither,
    BufferError for memory that is not the CPU's.

    Source: ``torch.from_dlpack``.

    >>> import numpy as np
    >>> a = np.zeros(2)
    >>> x = from_dlpack(a)
    >>> x[0] = 5
    >>> a
    array([5., 0.])
    """
    on_cpu(device)
    if type(ext_tensor).__name__ == "PyCapsule":
        ext_tensor = _Capsule(ext_tensor)
    if not hasattr(ext_tensor, "__dlpack__"):
        raise explained(
            RuntimeError(
                "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so you "
                "might have already constructed a tensor from it once."
                f"\nA {type(ext_tensor).__name__} has no method __dlpack__. For numbers write torch.tensor(x)."
            )
        )
    try:
        a = np.from_dlpack(ext_tensor, copy=copy)
    except ValueError as e:  # NumPy's words for a capsule that is used up
        raise RuntimeError(
            "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so you "
            "might have already constructed a tensor from it once."
        ) from e
    dtypes.from_numpy(a.dtype)
    return wrap(a)


# --- the array API standard ---


def _namespace(self: Tensor, *, api_version: str | None = None) -> Any:
    """The standard's functions for tensors: the module ``chainrule.array_api``."""
    from . import array_api

    if api_version not in (None, "2021.12", "2022.12", "2023.12", "2024.12", array_api.__array_api_version__):
        raise ValueError(
            f"there is no array API of version {api_version!r} here, but {array_api.__array_api_version__}"
        )
    return array_api


def _to_device(self: Tensor, device: Any, /, *, stream: Any = None) -> Tensor:
    """This tensor on a device, as the array API standard asks; the processor's memory is the only one."""
    return self.to(device)


for _name, _member in {
    "__deepcopy__": _deepcopy, "__dlpack__": _export, "__dlpack_device__": _device, "__array_namespace__": _namespace,
    "to_device": _to_device,
}.items():  # fmt: skip
    setattr(Tensor, _name, _member)


# --- buffers ---


def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """A tensor over the bytes of a Python object, read as numbers of ``dtype``.

    ``count`` numbers (-1: all there are) from byte ``offset`` on.  Raises ValueError where they do not come out
    even.

    Source: ``torch.frombuffer``.

    >>> import chainrule as torch
    >>> torch.frombuffer(bytearray([1, 0, 2, 0]), dtype=torch.int16)
    tensor([1, 2], dtype=torch.int16)
    """
    d = dtypes.to_numpy(dtype)
    try:
        length = memoryview(buffer).nbytes
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    if length == 0 or count == 0:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({length} bytes) minus 1"
        )
    if count < 0 and (length - offset) % d.itemsize:
        raise ValueError(
            f"buffer length ({length - offset} bytes) after offset ({offset} bytes) must be a multiple of element size "
            f"({d.itemsize})"
        )
    if count > 0 and offset + count * d.itemsize > length:
        raise ValueError(
            f"requested buffer length ({count} * {d.itemsize} bytes) after offset ({offset} bytes) must not be greater "
            f"than actual buffer length ({length} bytes)"
        )
    return leaf(wrap(np.frombuffer(buffer, d, count, offset)), requires_grad)
