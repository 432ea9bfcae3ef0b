"""Kinds of numbers in the standard's terms, and how they mix: an array without dimensions counts as much as any other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import dtype, from_numpy
from ..ops import find
from ..tensor import Tensor

_KINDS = {
    "bool": "b", "signed integer": "i", "unsigned integer": "u", "integral": "iu", "real floating": "f",
    "complex floating": "c", "numeric": "iufc",
}  # fmt: skip


def common(a: dtype, b: dtype) -> dtype:
    """The dtype that two mix to.  Integers of all sizes mix, which PyTorch's unsigned ones do not."""
    both = {a.np.kind, b.np.kind}
    if both <= {"i", "u"}:
        found = np.promote_types(a.np, b.np)
        if found.kind == "f":
            raise TypeError(f"no integer holds both {a} and {b}")
        return from_numpy(found)
    return from_numpy(dtypes.promote(a.np, b.np))


def aligned(*args: Any) -> tuple[Any, ...]:
    """Arrays made of one dtype; Python numbers stay as they are, if there is an array beside them."""
    arrays = [a for a in args if isinstance(a, Tensor)]
    kinds = {a.dtype for a in arrays}
    if len(kinds) < 2:
        return args
    d = reduce(common, kinds)
    return tuple([a.to(d) if isinstance(a, Tensor) else a for a in args])


def astype(x: Tensor, dtype: dtype, /, *, copy: bool = True, device: Any = None) -> Tensor:
    """``x`` in another dtype; itself if it has that already and need not be copied."""
    return x.to(dtype=dtype, device=device, copy=copy)


def broadcast_arrays(*arrays: Tensor) -> tuple[Tensor, ...]:
    """The arrays as views of their common shape."""
    return tuple(find("broadcast_tensors")(*arrays))


def can_cast(from_: Any, to: dtype, /) -> bool:
    """Whether promotion may turn the one dtype, or the array's, into the other."""
    d = from_.dtype if isinstance(from_, Tensor) else from_
    try:
        return common(d, to) == to
    except (TypeError, RuntimeError):
        return False


@dataclass(frozen=True)
class FloatInfo:
    """The limits of a floating point dtype."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: dtype


@dataclass(frozen=True)
class IntegerInfo:
    """The limits of an integer dtype."""

    bits: int
    max: int
    min: int
    dtype: dtype


def finfo(type: Any, /) -> FloatInfo:
    """The limits of a floating point dtype, or of the parts of a complex one."""
    d = type.dtype if isinstance(type, Tensor) else type
    limit = np.finfo(d.np)
    return FloatInfo(
        limit.bits, float(limit.eps), float(limit.max), float(limit.min), float(limit.smallest_normal),
        from_numpy(np.dtype(limit.dtype)),
    )  # fmt: skip


def iinfo(type: Any, /) -> IntegerInfo:
    """The limits of an integer dtype."""
    d = type.dtype if isinstance(type, Tensor) else type
    limit = np.iinfo(d.np)
    return IntegerInfo(limit.bits, int(limit.max), int(limit.min), d)


def isdtype(dtype: dtype, kind: Any) -> bool:
    """Whether a dtype is of a kind: one of the standard's names, a dtype, or one of several of these."""
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if not isinstance(kind, str):
        return bool(dtype == kind)
    if kind not in _KINDS:
        raise ValueError(f"unknown kind of dtype {kind!r}; the standard has {', '.join(map(repr, _KINDS))}")
    return dtype.np.kind in _KINDS[kind]


def result_type(*arrays_and_dtypes: Any) -> dtype:
    """The dtype that arrays, dtypes and Python numbers mix to; numbers count only if theirs is a higher kind."""
    kinds = [a.dtype if isinstance(a, Tensor) else a for a in arrays_and_dtypes]
    numbers = [k for k in kinds if not isinstance(k, dtype)]
    found = [k for k in kinds if isinstance(k, dtype)]
    if not found:
        raise ValueError("result_type needs at least one array or dtype")
    d = reduce(common, found)
    return from_numpy(dtypes.result_dtype([(d.np, 1)], numbers))
