"""Copies and conversions: the same numbers in memory of their own, in another dtype, cut off from the graph."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .. import dtypes
from ..device import on_cpu
from ..primitive import Elementwise, Primitive, table
from ..tensor import Tensor
from .kinds import attach, export
from .samples import ONE
from .whole import clone_as


class Clone(Elementwise):
    """A copy with memory of its own."""

    forward = lambda xp, x: +x if hasattr(x, "dtype") and x.dtype.kind != "b" else xp.asarray(x, copy=True)
    jointly_linear = True
    d_x = 1
    scalar = "{x}"
    samples = ONE


class Cast(Elementwise):
    """x in another dtype; the cotangent comes back in x's own."""

    forward = lambda xp, x, *, dtype: xp.astype(x, dtype)
    jointly_linear = True
    vjp_x = lambda xp, g: g
    jvp_x = lambda xp, t, dtype: xp.astype(t, dtype)
    scalar = "cast({x})"
    samples = [(((2, 3),), {"dtype": "float64"})]

    def prepare(self, arrays: Any, params: Any) -> Any:
        return arrays

    def batch(self, size: int, arrays: Any, batched: Any, params: Any) -> Any:
        return self(*arrays, **params)

    def jvp(self, xp: Any, tangents: Any, out: Any, arrays: Any, params: Any) -> Any:
        return super().jvp(xp, tangents, out, arrays, params) if np.dtype(params["dtype"]).kind in "fc" else None


class Stop(Primitive):
    """x as a constant of differentiation."""

    differentiable = False
    forward = lambda xp, x: x
    samples = [(((2, 3),), {})]

    def jvp(self, xp: Any, tangents: Any, out: Any, arrays: Any, params: Any) -> Any:
        return None


_stop, _clone = Stop(), Clone()
_cast = table["Cast"] = Cast("ToCopyBackward0")


def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy with memory of its own; the gradient passes through.

    Source: ``torch.clone``.
    """
    return _clone(input)


def to(self: Tensor, *args: Any, dtype: Any = None, device: Any = None, copy: bool = False, **ignored: Any) -> Tensor:
    """This tensor in another dtype (or another tensor's); itself if nothing changes."""
    flags = [a for a in args if isinstance(a, bool)]  # non_blocking and copy
    for a in args:
        if isinstance(a, Tensor):
            dtype = a.dtype
        elif isinstance(a, dtypes.dtype) or a in (float, int, bool, complex):
            dtype = a
        elif not isinstance(a, bool):
            device = a
    on_cpu(device)
    d = self._dtype if dtype is None else dtypes.to_numpy(dtype)
    if d == self._dtype:
        return clone_as("ToCopyBackward0", self) if copy or flags[1:] == [True] else self
    if self._dtype.kind == "c" and d.kind not in "cb":
        warnings.warn("Casting complex values to real discards the imaginary part", UserWarning, stacklevel=3)
    return _cast(self, dtype=d)


def _converter(name: str) -> Any:
    target = getattr(dtypes, name)

    def convert(self: Tensor, memory_format: Any = None) -> Tensor:
        return to(self, target)

    convert.__doc__ = f"This tensor as {name.rstrip('_')}."
    return convert


_NAMES = {
    "float": "float32", "double": "float64", "half": "float16", "long": "int64", "int": "int32", "short": "int16",
    "char": "int8", "byte": "uint8", "bool": "bool_", "cfloat": "complex64", "cdouble": "complex128",
}  # fmt: skip

for _method, _dtype in _NAMES.items():
    attach(**{_method: _converter(_dtype)})


def _refused(name: str, why: str) -> Any:
    def refuse(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        raise TypeError(f"{name}() is not supported: {why}")

    refuse.__doc__ = f"Refused: {why}"
    return refuse


attach(
    bfloat16=_refused("bfloat16", "NumPy has no such dtype. Use x.float(), which has its range and more digits."),
    chalf=_refused("chalf", "NumPy has no such dtype. Use x.cfloat(), which has more digits."),
    to_sparse=_refused("to_sparse", "a tensor holds all its entries here. Go on with the dense one; x.nonzero() says where."),
)  # fmt: skip


def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The tensor's old-style type name, or the tensor converted to ``dtype``."""
    if dtype is None:
        from ..errors import scalar_type

        return f"torch.{scalar_type(self._dtype)}Tensor"
    if not isinstance(dtype, dtypes.dtype):
        from ..tensor_types import by_name, tensortype

        dtype = by_name(dtype) if isinstance(dtype, str) else dtype
        dtype = dtype.dtype if isinstance(dtype, tensortype) else dtype
    return to(self, dtype)


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """This tensor in other's dtype."""
    return to(self, other.dtype)


def contiguous(self: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor in row-major memory: itself if it is."""
    if self.is_contiguous():
        return self
    copy = self.clone()
    if type(copy._a) is np.ndarray:  # a clone lies in memory as the original does
        copy._a = np.ascontiguousarray(copy._a)
    return copy


def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor on the CPU, where it is."""
    return self


export("clone", clone)
attach(to=to, type=type_, type_as=type_as, contiguous=contiguous, cpu=cpu)
