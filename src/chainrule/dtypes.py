"""Element types: PyTorch's names over NumPy's, and PyTorch's rules of promotion."""

from __future__ import annotations

import math
from operator import index
from typing import Any

import numpy as np

from .errors import explained, scalar_type

__all__ = ["Size", "dtype", "finfo", "get_default_dtype", "iinfo", "set_default_dtype"]


class dtype:
    """An element type, such as ``chainrule.float32``.  Printed as PyTorch prints it.

    >>> import chainrule as torch
    >>> torch.float32, torch.float32.is_floating_point, torch.float32.itemsize
    (torch.float32, True, 4)
    """

    __slots__ = ("__weakref__", "is_complex", "is_floating_point", "itemsize", "kind", "name", "np")

    def __init__(self, name: str) -> None:
        self.name = name
        self.np = np.dtype(name)
        self.itemsize = self.np.itemsize
        self.kind = self.np.kind  # NumPy's letter, so that a rule can ask it of any array
        self.is_floating_point = self.np.kind == "f"
        self.is_complex = self.np.kind == "c"

    @property
    def is_signed(self) -> bool:
        return self.np.kind in "ifc"

    def to_complex(self) -> dtype:
        return complex128 if self.name in ("float64", "complex128") else complex64

    def to_real(self) -> dtype:
        return {"complex64": float32, "complex128": float64}.get(self.name, self)

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


float16, float32, float64 = dtype("float16"), dtype("float32"), dtype("float64")
complex64, complex128 = dtype("complex64"), dtype("complex128")
int8, int16, int32, int64 = dtype("int8"), dtype("int16"), dtype("int32"), dtype("int64")
uint8, uint16, uint32, uint64 = dtype("uint8"), dtype("uint16"), dtype("uint32"), dtype("uint64")
bool_ = dtype("bool")

ALL = (float16, float32, float64, complex64, complex128,
       int8, int16, int32, int64, uint8, uint16, uint32, uint64, bool_)  # fmt: skip
_BY_NUMPY = {d.np: d for d in ALL}
_PYTHON = {float: float64, int: int64, bool: bool_, complex: complex128}
_KIND_RANK = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}

_default = [float32]  # one process-wide setting, as PyTorch's
float_type: list[Any] = [np.float32]  # the same as NumPy's scalar type


def from_numpy(d: Any) -> dtype:
    """The chainrule dtype of a NumPy dtype; TypeError for one that has no counterpart."""
    try:
        return _BY_NUMPY[np.dtype(d)]
    except (KeyError, TypeError) as e:
        name = np.dtype(d).type.__name__ if isinstance(e, KeyError) else d
        raise TypeError(
            f"can't convert np.ndarray of type numpy.{name}. The only supported types are: float64, float32, float16, "
            "complex64, complex128, int64, int32, int16, int8, uint64, uint32, uint16, uint8, and bool."
        ) from None


def to_numpy(d: Any) -> np.dtype[Any]:
    """The NumPy dtype of what a user may pass as ``dtype=``: ours, NumPy's, or Python's float, int, bool."""
    if isinstance(d, dtype):
        return d.np
    if d in _PYTHON:
        return _PYTHON[d].np
    return from_numpy(d).np


def get_default_dtype() -> dtype:
    """The floating dtype of new tensors made from Python floats."""
    return _default[0]


def set_default_dtype(d: dtype) -> None:
    """Make ``d`` (float16, float32 or float64) the dtype of new floating tensors."""
    if not isinstance(d, dtype):
        raise TypeError(f"invalid dtype object: expected a floating point dtype such as torch.float32, got {d!r}")
    if not d.is_floating_point:
        raise explained(
            TypeError(
                f"only floating-point types are supported as the default type\nThis is {d}; write "
                "torch.set_default_dtype(torch.float64), say."
            )
        )
    _default[0] = d
    float_type[0] = d.np.type


def default_float() -> np.dtype[Any]:
    return _default[0].np


def default_complex() -> np.dtype[Any]:
    return _default[0].to_complex().np


def kind_rank(d: np.dtype[Any]) -> int:
    """bool 0, integers 1, floats 2, complex 3: the categories that promotion compares."""
    return _KIND_RANK[d.kind]


def scalar_dtype(value: Any) -> np.dtype[Any]:
    """What a Python number becomes as a tensor of its own."""
    if isinstance(value, bool):
        return bool_.np
    if isinstance(value, int):
        return int64.np
    if isinstance(value, float):
        return default_float()
    return default_complex()


_C_TYPES = {"float16": "c10::Half", "float32": "float", "float64": "double", "int32": "int"}


def number_as(value: Any, d: np.dtype[Any]) -> Any:
    """A Python number as one that an array of dtype ``d`` can hold; PyTorch's error if there is none."""
    fits = True
    if isinstance(value, complex) and d.kind not in "cb":
        fits, value = not value.imag, value.real
    if d.kind in "iu":
        limit = np.iinfo(d)
        fits = fits and math.isfinite(value) and min(limit.min, -int(limit.max)) <= int(value) <= limit.max
        value = int(value) % 2**limit.bits if d.kind == "u" and fits else value
    elif d in (np.float32, np.float16):
        fits = fits and (not math.isfinite(value) or abs(value) <= float(np.finfo(d).max))
    if not fits:
        raise RuntimeError(f"value cannot be converted to type {_C_TYPES.get(d.name, f'{d.name}_t')} without overflow")
    return value


def wrapped(value: int, d: np.dtype[Any]) -> int:
    """A Python integer as it is beside tensors of integers ``d``: modulo their range; OverflowError if it has over 64 bits."""
    limit = np.iinfo(d)
    if limit.min <= value <= limit.max:
        return value
    if not -(2**63) <= value < 2**64:
        raise OverflowError("int too big to convert")
    low, many = int(limit.min), 1 << int(limit.bits)
    return (value - low) % many + low


_FEW_KERNELS = {"uint16", "uint32", "uint64"}


def promote(a: np.dtype[Any], b: np.dtype[Any]) -> np.dtype[Any]:
    """PyTorch's ``promote_types``: as NumPy's, but an integer never widens a float."""
    if a == b:
        return a
    ra, rb = kind_rank(a), kind_rank(b)
    if max(ra, rb) != 2 and (_FEW_KERNELS & {a.name, b.name}):
        raise explained(
            RuntimeError(
                "Promotion for uint16, uint32, uint64 types is not supported, attempted to promote "
                f"{scalar_type(a)} and {scalar_type(b)}\nConvert one of them: x.to(torch.int64), say."
            )
        )
    if ra != rb and max(ra, rb) >= 2:
        high, low = (a, b) if ra > rb else (b, a)
        if kind_rank(low) < 2 or high.kind != "c":
            return high
        return np.promote_types(high, complex64.np if low.itemsize <= 4 else complex128.np)
    return np.promote_types(a, b)


def result_dtype(dims: list[tuple[np.dtype[Any], int]], scalars: list[Any]) -> np.dtype[Any]:
    """The common dtype of tensors, given as (dtype, number of dimensions), and Python numbers.

    Tensors with dimensions decide within a category; 0-d tensors count only when theirs is a higher
    category; Python numbers are weaker still.
    """
    best: np.dtype[Any] | None = None
    for group in ([d for d, n in dims if n], [d for d, n in dims if not n], None):
        if group is None:
            group = [scalar_dtype(s) for s in scalars]
        if group:
            common = group[0]
            for d in group[1:]:
                common = promote(common, d)
            if best is None or kind_rank(common) > kind_rank(best):
                if best is not None and common.kind == "c" and best.kind == "f":
                    common = from_numpy(best).to_complex().np
                best = promote(best, common) if best is not None and best.kind == "b" else common
    assert best is not None
    return best


class Size(tuple[int, ...]):
    """The shape of a tensor: a tuple that prints as ``torch.Size([2, 3])``."""

    __slots__ = ()

    def numel(self) -> int:
        n = 1
        for length in self:
            n *= length
        return n

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"

    __str__ = __repr__

    def __getitem__(self, key: Any) -> Any:
        got = tuple.__getitem__(self, key)
        return Size(got) if isinstance(key, slice) else got

    def __add__(self, other: Any) -> Any:
        return Size(tuple.__add__(self, other))

    def __mul__(self, times: Any) -> Any:
        return Size(tuple.__mul__(self, times))

    __rmul__ = __mul__


def ints(function: str, argument: str, given: tuple[Any, ...]) -> tuple[int, ...]:
    """Integers that a user gave, one by one or as a sequence; PyTorch's errors for what is none."""
    listed = len(given) != 1 or isinstance(given[0], (tuple, list))
    given = tuple(given[0]) if len(given) == 1 and listed else given
    try:
        if bool not in map(type, given):
            return tuple(map(index, given))
    except TypeError:
        pass
    at, n = next((i, n) for i, n in enumerate(given) if not _is_int(n))
    wrong = type(n).__name__
    if not listed:
        raise TypeError(f"{function}(): argument '{argument}' (position 1) must be tuple of ints, not {wrong}")
    raise TypeError(
        f"{function}(): argument '{argument}' failed to unpack the object at pos {at + 1} with error \"type must be tuple of "
        f'ints,but got {wrong}"'
    )


def _is_int(n: Any) -> bool:
    try:
        return type(n) is not bool and index(n) is not None
    except TypeError:
        return False


def sizes(function: str, given: tuple[Any, ...], size: Any = None) -> tuple[int, ...]:
    """The shape that a user gave, also by the name ``size``."""
    if size is not None and given:
        raise TypeError(f"{function}() got multiple values for argument 'size'")
    if size is None and not given:
        raise TypeError(f'{function}() missing 1 required positional arguments: "size"')
    if size is not None and not isinstance(size, (tuple, list)):
        raise TypeError(f"{function}(): argument 'size' must be tuple of ints, not {type(size).__name__}")
    shape = ints(function, "size", given if size is None else (size,))
    for n in shape:
        if n < 0 and function == "zeros":
            raise RuntimeError("zeros: Dimension size must be non-negative.")
        if n < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: {list(shape)}")
    return shape


def _limits(d: dtype | None) -> dtype:
    return _default[0] if d is None else d


class finfo:
    """Limits of a floating dtype: ``eps``, ``max``, ``min``, ``tiny``, ``bits``, ``resolution``."""

    def __init__(self, type: dtype | None = None) -> None:
        d = _limits(type)
        if d.np.kind not in "fc":
            raise TypeError(f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle '{d}'")
        info = np.finfo(d.np)
        self.bits: int = info.bits
        self.eps = float(info.eps)
        self.max, self.min = float(info.max), float(info.min)
        self.tiny = self.smallest_normal = float(info.tiny)
        self.resolution = float(info.resolution)
        self.dtype = d.name

    def __repr__(self) -> str:
        return (f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
                f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})")  # fmt: skip


class iinfo:
    """Limits of an integer dtype: ``max``, ``min``, ``bits``."""

    def __init__(self, type: dtype) -> None:
        if type.np.kind not in "iu":
            raise TypeError(f"torch.iinfo() requires an integer input type. Use torch.finfo to handle '{type}'")
        info = np.iinfo(type.np)
        self.bits, self.max, self.min, self.dtype = info.bits, int(info.max), int(info.min), type.name

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
