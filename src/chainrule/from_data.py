"""Python's data as NumPy arrays: numbers, nested sequences, arrays, with the dtypes and errors that PyTorch has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from itertools import repeat
from operator import index
from typing import Any

import numpy as np

from . import dtypes
from .errors import allocating, explained
from .quiet import quietly, reset_errors
from .tensor import Tensor

_NUMBERS = {bool, int, float, complex}
_DEEPEST = 64  # NumPy's


@allocating("new data")
def to_array(data: Any, dtype: Any = None) -> Any:
    """A number, nested sequences or an array as a new NumPy array, of the dtype that PyTorch would infer.

    Tensors among the elements stand for their numbers.  A number gives a NumPy scalar.
    """
    if isinstance(data, np.ndarray):
        known = native(data)
        return converted(data, known if dtype is None else dtype)
    if isinstance(data, (str, bytes)):
        raise _no_number(data)
    if not _is_sequence(data):
        return stored([data], inferred([data]) if dtype is None else dtype)[0]
    values, shape = flatten(data)
    if isinstance(values, np.ndarray):
        return converted(values, native(values) if dtype is None else dtype)
    return stored(values, inferred(values) if dtype is None else dtype).reshape(shape)


def sizes_or_data(data: tuple[Any, ...], dtype: Any) -> Any:
    """The array of ``Tensor(2, 3)``, zeros of these sizes, or of ``Tensor([2, 3])``, which has these numbers."""
    value = data[0] if len(data) == 1 else data
    if not data or len(data) > 1 or isinstance(value, (int, dtypes.Size)):
        return np.zeros(dtypes.sizes("new", data) if data else (0,), dtype)
    if not hasattr(value, "__len__"):
        raise explained(
            TypeError(
                f"new(): data must be a sequence (got {type(value).__name__})"
                "\nTensor(2, 3) takes sizes and Tensor([2, 3]) takes data; for a number write torch.tensor(2.0)."
            )
        )
    return to_array(value, dtype)


def native(a: np.ndarray[Any, Any]) -> np.dtype[Any]:
    """The dtype of a NumPy array that tensors can have; errors for others, and for another byte order."""
    if not a.dtype.isnative:
        raise explained(
            ValueError(
                "given numpy array has byte order different from the native byte order. Conversion between byte orders is "
                'currently not supported.\nConvert it first: a.astype(a.dtype.newbyteorder("=")).'
            )
        )
    return dtypes.from_numpy(a.dtype).np


def converted(a: np.ndarray[Any, Any], d: np.dtype[Any]) -> Any:
    """A copy of an array under another dtype, without a word about what that loses."""
    for token in quietly:
        try:
            return np.array(a.real if a.dtype.kind == "c" and d.kind not in "cb" else a, d)
        finally:
            reset_errors(token)


# --- nested sequences ---


def _is_sequence(value: Any) -> bool:
    return hasattr(value, "__getitem__") and not isinstance(value, (Tensor, dict, str, bytes, np.generic, type))


def flatten(data: Any) -> tuple[Any, tuple[int, ...]]:
    """The elements of nested sequences, row after row, and their shape, which the first element of each row decides."""
    shape: list[int] = []
    level: Sequence[Any] = [data]
    while level and _is_sequence(level[0]):
        n, dim = len(level[0]), len(shape)
        shape.append(n)
        if dim == _DEEPEST:
            raise ValueError(f"too many dimensions '{type(level[0]).__name__}'")
        if not n:
            return [], tuple(shape)
        if dim and all(type(v) is np.ndarray and v.shape == level[0].shape for v in level):
            whole = np.array(level)  # quicker than number after number
            return whole, (*shape[:-1], *whole.shape[1:])
        elements: list[Any] = []
        for v in level:
            if not _is_sequence(v):
                raise explained(
                    TypeError(f"not a sequence\nAt dim {dim} the others are rows of {n}, and this is {v!r:.60}.")
                )
            if len(v) != n:
                raise explained(
                    ValueError(
                        f"expected sequence of length {n} at dim {dim} (got {len(v)})"
                        "\nAll rows of a tensor have the same length; pad the shorter ones."
                    )
                )
            elements.extend(v)
        level = elements
    if shape and isinstance(level[0], str) and level[0]:  # to PyTorch, the letters of a letter are its letters
        raise explained(
            ValueError(f"too many dimensions 'str'\nA tensor holds numbers; this element is {level[0]!r:.60}.")
        )
    return level, tuple(shape)


# --- the dtype ---


def inferred(values: Sequence[Any]) -> np.dtype[Any]:
    """The common dtype of elements: Python's floats have the default dtype, what has a dtype keeps it."""
    types = set(map(type, values))
    found = {dtypes.scalar_dtype(t()) for t in types & _NUMBERS}
    if not types <= _NUMBERS:
        found |= {_dtype_of(v) for v in values if type(v) not in _NUMBERS}
    return reduce(dtypes.promote, found) if found else dtypes.default_float()


def _dtype_of(value: Any) -> np.dtype[Any]:
    if isinstance(value, Tensor):
        return value._dtype
    if isinstance(value, np.generic) and not isinstance(value, (str, bytes)):
        return dtypes.from_numpy(value.dtype).np
    if isinstance(value, (bool, int, float, complex)):
        return dtypes.scalar_dtype(value)
    if _is_sequence(value):  # a row where a number should be: storing it says so
        return inferred(flatten(value)[0])
    raise _no_number(value)


def _no_number(value: Any) -> Exception:
    name = f"numpy.{type(value).__name__}" if isinstance(value, np.generic) else type(value).__name__
    mend = f"\nA tensor holds numbers; this is {value!r:.60}."
    if isinstance(value, (str, bytes)):
        return explained(TypeError(f"new(): invalid data type '{name}'{mend}"))
    return explained(RuntimeError(f"Could not infer dtype of {name}{mend}"))


# --- the numbers ---


def stored(values: Sequence[Any], d: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Elements as an array of dtype ``d``; errors for those that it cannot hold."""
    types = set(map(type, values))
    if types <= _NUMBERS and (d.kind == "c" or (d.kind == "f" and complex not in types) or types <= {bool}):
        for token in quietly:
            try:
                return np.array(values, d)
            finally:
                reset_errors(token)
    if d.kind in "iu" and types <= {int, bool} and values:
        limit = np.iinfo(d)
        if limit.min <= min(values) and max(values) <= limit.max:
            return np.array(values, d)
    return np.array(list(map(number, values, repeat(d))), d)


def number(value: Any, d: np.dtype[Any]) -> Any:
    """One element as a number that an array of dtype ``d`` takes."""
    if isinstance(value, Tensor):
        value = _element(value, d)
    if isinstance(value, np.generic):
        value = value.item()
    if (isinstance(value, complex) and d.kind in "fiu") or not isinstance(value, (bool, int, float, complex)):
        wrong = type(value).__name__
        raise explained(
            TypeError(
                (f"'{wrong}' object cannot be interpreted as an integer" if d.kind in "iu" else
                 f"must be real number, not {wrong}") + f"\nThe tensor is to be of dtype {dtypes.from_numpy(d)}."
            )
        )  # fmt: skip
    if d.kind in "iu":
        return _integer(value, d)
    for token in quietly:
        try:
            return d.type(float(value) if d.kind == "f" else value)  # type: ignore[arg-type]
        finally:
            reset_errors(token)


def _integer(value: Any, d: np.dtype[Any]) -> int:
    """A real number as an integer of ``d``: negative ones wrap around in an unsigned dtype, as in C."""
    limit = np.iinfo(d)
    low = -int(limit.max) if d.kind == "u" and type(value) is not float else int(limit.min)
    if type(value) is int and d == np.int64 and not low <= value <= limit.max:
        raise explained(
            ValueError(
                f"Overflow when unpacking long long\n{value} is beyond int64; write it as a float, or use uint64."
            )
        )
    if not math.isfinite(value) or not low <= int(value) <= limit.max:
        raise RuntimeError(f"value cannot be converted to type {d.name} without overflow")
    return int(value) % 2**limit.bits if d.kind == "u" else int(value)


def _element(t: Tensor, d: np.dtype[Any]) -> Any:
    """The number of a tensor among the elements of a list."""
    if t.numel() != 1:
        raise explained(
            ValueError(
                "only one element tensors can be converted to Python scalars\nTo put tensors together use torch.stack."
            )
        )
    if d.kind in "iu" and t._dtype.kind not in "iub":
        return index(t)
    return t._scalar(stacklevel=8)
