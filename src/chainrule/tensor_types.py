"""The names that tensors of each dtype had before there were dtypes: ``LongTensor([1, 2])``, ``isinstance(t, FloatTensor)``."""

from __future__ import annotations

import warnings
from typing import Any

from . import dtypes
from .device import on_cpu, strided
from .errors import explained
from .from_data import sizes_or_data
from .tensor import Tensor, wrap

__all__ = [
    "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "HalfTensor", "IntTensor", "LongTensor",
    "ShortTensor", "set_default_tensor_type",
]  # fmt: skip


class tensortype(type):
    """The class of these types.  Calling one makes a tensor of sizes or of data, as ``Tensor`` does for the default dtype."""

    dtype: dtypes.dtype
    is_cuda = is_sparse = False
    layout = strided

    def __call__(cls, *data: Any, size: Any = None, device: Any = None) -> Tensor:
        on_cpu(device)
        if len(data) == 1 and isinstance(data[0], Tensor):
            if data[0].dtype != cls.dtype:
                raise explained(
                    TypeError(
                        f"expected {cls.dtype} (got {data[0].dtype})\nThe type takes no other: x.to({cls.dtype}) does."
                    )
                )
            return data[0].detach()
        return wrap(sizes_or_data(data if size is None else tuple(size), cls.dtype.np))

    def __repr__(cls) -> str:
        return f"<class 'torch.{cls.__name__}'>"

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.dtype == cls.dtype


class FloatTensor(metaclass=tensortype):
    """Tensors of ``torch.float32``.  Source: ``torch.FloatTensor``."""

    dtype = dtypes.float32


class DoubleTensor(metaclass=tensortype):
    """Tensors of ``torch.float64``.  Source: ``torch.DoubleTensor``."""

    dtype = dtypes.float64


class HalfTensor(metaclass=tensortype):
    """Tensors of ``torch.float16``.  Source: ``torch.HalfTensor``."""

    dtype = dtypes.float16


class LongTensor(metaclass=tensortype):
    """Tensors of ``torch.int64``.  Source: ``torch.LongTensor``."""

    dtype = dtypes.int64


class IntTensor(metaclass=tensortype):
    """Tensors of ``torch.int32``.  Source: ``torch.IntTensor``."""

    dtype = dtypes.int32


class ShortTensor(metaclass=tensortype):
    """Tensors of ``torch.int16``.  Source: ``torch.ShortTensor``."""

    dtype = dtypes.int16


class CharTensor(metaclass=tensortype):
    """Tensors of ``torch.int8``.  Source: ``torch.CharTensor``."""

    dtype = dtypes.int8


class ByteTensor(metaclass=tensortype):
    """Tensors of ``torch.uint8``.  Source: ``torch.ByteTensor``."""

    dtype = dtypes.uint8


class BoolTensor(metaclass=tensortype):
    """Tensors of ``torch.bool``.  Source: ``torch.BoolTensor``."""

    dtype = dtypes.bool_


def by_name(name: str) -> Any:
    """The type of this name, which may begin with ``torch.``; ValueError if there is none."""
    found = globals().get(name.removeprefix("torch."))
    if not isinstance(found, tensortype):
        raise ValueError(f"invalid type: '{name}'")
    return found


def set_default_tensor_type(t: Any) -> None:
    """``set_default_dtype`` by the old name of a type; deprecated.

    Source: ``torch.set_default_tensor_type``.
    """
    warnings.warn(
        "torch.set_default_tensor_type() is deprecated as of PyTorch 2.1, please use torch.set_default_dtype() and "
        "torch.set_default_device() as alternatives.", UserWarning, stacklevel=2,
    )  # fmt: skip
    dtypes.set_default_dtype((by_name(t) if isinstance(t, str) else t).dtype)
