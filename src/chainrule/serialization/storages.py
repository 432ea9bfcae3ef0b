"""Tensors out of storages and back: PyTorch's files hold flat memory, and tensors as windows onto it."""

from __future__ import annotations

import sys
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from ..nn.parameter import Parameter
from ..tensor import Tensor, wrap
from .budget import Budget
from .source import Bytes

# PyTorch's names of storages; each of them holds one dtype.
STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "LongStorage": "int64",
    "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool", "ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128",
    "BFloat16Storage": "bfloat16",
}  # fmt: skip
NAMES = {dtype: name for name, dtype in STORAGES.items()}
_LARGEST = 2**63


@dataclass(slots=True)
class Storage:
    """Flat memory of a file, and the dtype it is said to hold; None where the tensor says it."""

    data: Bytes
    dtype: str | None


class NotSoError(Exception):
    """What a file says about a tensor cannot be."""


def _check(true: bool, why: str) -> None:
    if not true:
        raise NotSoError(why)


def native(data: Bytes, dtype: str | None, big: bool) -> Bytes:
    """A storage's bytes as this machine and this library have them."""
    if dtype is None:
        return data
    if dtype == "bfloat16":  # each is the upper half of a float32
        upper = data[: data.size // 2 * 2].view(">u2" if big else "<u2")
        return (upper.astype(np.uint32) << 16).view(np.uint8)
    d = np.dtype(dtype)
    unit = d.itemsize // (2 if d.kind == "c" else 1)
    if big != (sys.byteorder == "big") and unit > 1:
        _check(data.size % unit == 0, "a storage ends in the middle of a number")
        data = data.view(f"u{unit}").byteswap().view(np.uint8)
    if d.kind == "b" and data.size and int(data.max()) > 1:
        raise NotSoError("a truth value is neither 0 nor 1")
    return data


def itemsize(dtype: str | None) -> int:
    """How many bytes of a file an element takes."""
    return 1 if dtype is None else 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def _whole(value: Any, what: str) -> int:
    _check(type(value) is int and 0 <= value < _LARGEST, f"a tensor's {what} is {value!r:.40}")
    found: int = value
    return found


def window(storage: Any, offset: Any, size: Any, stride: Any, dtype: str, budget: Budget) -> Tensor:
    """A tensor over part of a storage; NotSoError where the part is not inside."""
    _check(isinstance(storage, Storage), "a tensor has no storage")
    _check(isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride) <= 64,
           "a tensor's sizes and strides do not go together")  # fmt: skip
    start = _whole(offset, "offset")
    sizes, strides = [_whole(n, "size") for n in size], [_whole(n, "stride") for n in stride]
    d = np.dtype("float32" if dtype == "bfloat16" else dtype)
    numbers = 1
    for n in sizes:
        numbers *= n
    if not numbers:
        return wrap(np.empty(sizes, d))
    _check(numbers * d.itemsize < _LARGEST, "a tensor's size is beyond all memory")
    budget.charge(max(0, numbers * d.itemsize - storage.data.size))  # entries that share a place
    last = start + sum((n - 1) * s for n, s in zip(sizes, strides, strict=True))
    _check((last + 1) * d.itemsize <= storage.data.size, "a tensor reaches beyond its storage")
    steps = [s * d.itemsize if n > 1 else 0 for n, s in zip(sizes, strides, strict=True)]
    steps = _steps(sizes, steps, d.itemsize)
    return wrap(np.ndarray(sizes, d, storage.data, start * d.itemsize, steps))


def _steps(sizes: list[int], steps: list[int], one: int) -> list[int]:
    """Strides in bytes; those of axes of length 1, which are never taken, as in contiguous memory."""
    usual = one
    for i in range(len(sizes) - 1, -1, -1):
        if sizes[i] == 1:
            steps[i] = usual
        usual *= sizes[i]
    return steps


def finish(t: Tensor, requires_grad: Any, hooks: Any, metadata: Any = None) -> Tensor:
    """What PyTorch's rebuilding functions add to a tensor."""
    _check(type(requires_grad) is bool and isinstance(hooks, OrderedDict) and not hooks, "a tensor's flags are odd")
    if metadata is not None:
        _check(isinstance(metadata, dict) and set(metadata) <= {"conj", "neg"}, "a tensor has unknown metadata")
        if metadata.get("conj"):
            t = wrap(np.conj(t._a))
        if metadata.get("neg"):
            t = wrap(-t._a)
    _check(not requires_grad or t._dtype.kind in "fc", "integers are said to have a gradient")
    t._rg = requires_grad
    return t


def parameter(t: Any, requires_grad: Any, hooks: Any) -> Parameter:
    """A tensor of the file as a parameter."""
    _check(isinstance(t, Tensor), "a parameter is not made of a tensor")
    return Parameter(finish(t.detach(), requires_grad, hooks), requires_grad)


def attributes(instance: Any, state: Any) -> None:
    """Attributes that were set on a tensor or an ordered dict; not such as stand for something of the class."""
    if isinstance(state, tuple) and len(state) == 2:
        state, slots = state
        _check(not slots, "an object of the file has slots")
    _check(isinstance(state, dict), "an object's attributes are not a dict")
    for name, value in state.items():
        _check(type(name) is str and not hasattr(type(instance), name), f"attribute {name!r:.40} cannot be set")
        instance.__dict__[name] = value


def widened(name: str) -> None:
    warnings.warn(
        f"{name} holds bfloat16, which NumPy has not; its numbers become float32, which holds each of them exactly",
        UserWarning, stacklevel=2,
    )  # fmt: skip


# --- the other way ---


class Places:
    """The storages that the tensors of one file lie in, numbered as they are met."""

    def __init__(self) -> None:
        self.arrays: list[Any] = []  # in the order of their keys
        self._known: dict[tuple[int, int], tuple[int, str]] = {}

    def find(self, a: Any) -> tuple[str, int, int, list[int]]:
        """The key of the storage under an array, how many elements that has, offset and strides in elements."""
        one = a.dtype.itemsize
        owner = a
        while type(owner.base) is np.ndarray:
            owner = owner.base
        low, high = byte_bounds(owner)
        offset = a.__array_interface__["data"][0] - low
        fits = offset % one == 0 and not any(s % one or s < 0 for s in a.strides) and (high - low) % one == 0
        if not fits or high - low != owner.nbytes or not a.size:  # a storage of its own
            a = owner = np.ascontiguousarray(a).reshape(a.shape)
            (low, high), offset = byte_bounds(a), 0
        n = len(self.arrays)
        key, dtype = self._known.setdefault((low, high) if a.size else (-n, 0), (n, a.dtype.name))
        if key == n:
            self.arrays.append(owner)
        elif dtype != a.dtype.name:
            raise RuntimeError("Cannot save multiple tensors or storages that view the same data as different types")
        return str(key), (high - low) // one, offset // one, [s // one for s in a.strides]

    def flat(self) -> list[Any]:
        """The storages as bytes, in their order of memory."""
        return [a.ravel(order="K").view(np.uint8) for a in self.arrays]
