"""Questions about tensors and dtypes."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..tensor import Tensor
from .kinds import export, export_all


def promote_types(type1: dtypes.dtype, type2: dtypes.dtype) -> dtypes.dtype:
    """The smallest dtype of the higher kind that holds both.

    Source: ``torch.promote_types``.

    >>> import chainrule as torch
    >>> torch.promote_types(torch.int32, torch.float16)
    torch.float16
    """
    return dtypes.from_numpy(dtypes.promote(_dtype("promote_types", 1, type1), _dtype("promote_types", 2, type2)))


def can_cast(from_: dtypes.dtype, to: dtypes.dtype) -> bool:
    """Whether a result of dtype ``from_`` may be written into a tensor of dtype ``to``: of no lower kind.

    The kinds are truth values, integers, floats, complex numbers.

    Source: ``torch.can_cast``.

    >>> import chainrule as torch
    >>> torch.can_cast(torch.float64, torch.float32), torch.can_cast(torch.float32, torch.int64)
    (True, False)
    """
    a, b = _dtype("can_cast", 1, from_), _dtype("can_cast", 2, to)
    return dtypes.kind_rank(a) <= dtypes.kind_rank(b)


def _dtype(name: str, place: int, d: Any) -> Any:
    if not isinstance(d, dtypes.dtype):
        raise TypeError(f"{name}(): argument {place} must be torch.dtype, not {type(d).__name__}")
    return d.np


def result_type(tensor1: Any, tensor2: Any) -> dtypes.dtype:
    """The dtype of the result of arithmetic with two tensors, or a tensor and a number.

    Source: ``torch.result_type``.

    >>> import chainrule as torch
    >>> torch.result_type(torch.tensor([1, 2]), 1.0)
    torch.float32
    """
    both = (tensor1, tensor2)
    if not all(isinstance(x, (Tensor, bool, int, float, complex)) for x in both):
        names = ", ".join(type(x).__name__ for x in both)
        raise TypeError(f"result_type() received an invalid combination of arguments - got ({names})")
    dims = [(x._dtype, x.ndim) for x in both if isinstance(x, Tensor)]
    return dtypes.from_numpy(dtypes.result_dtype(dims, [x for x in both if not isinstance(x, Tensor)]))


def is_nonzero(input: Tensor) -> bool:
    """Whether the only entry is not 0.

    Source: ``torch.is_nonzero``.

    >>> import chainrule as torch
    >>> torch.is_nonzero(torch.tensor([0.0]))
    False
    """
    return bool(input)


def is_signed(input: Tensor) -> bool:
    """Whether the dtype has negative numbers.

    Source: ``torch.is_signed``.

    >>> import chainrule as torch
    >>> torch.is_signed(torch.tensor([1], dtype=torch.uint8))
    False
    """
    return input._dtype.kind in "ifc"


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape.

    Source: ``torch.is_same_size``.

    >>> import chainrule as torch
    >>> torch.is_same_size(torch.zeros(2), torch.zeros(3))
    False
    """
    return input._shape == other._shape


def numel(input: Tensor) -> int:
    """How many entries there are.

    Source: ``torch.numel``.

    >>> import chainrule as torch
    >>> torch.numel(torch.zeros(2, 3))
    6
    """
    if not isinstance(input, Tensor):
        raise TypeError(f"numel(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    return input.numel()


export_all(promote_types, can_cast, result_type, numel, method=False)
for _f in (is_nonzero, is_signed, is_same_size):
    export(_f.__name__, _f)
