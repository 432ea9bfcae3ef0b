"""New tensors: from data, filled, in a range."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from . import dtypes, errors
from .arrays import layout
from .arrays.namespace import is_array, is_numpy
from .errors import allocating, explained
from .ops.filling import room
from .tensor import Tensor, _new, init, wrap

__all__ = [
    "arange", "as_tensor", "asarray", "empty", "empty_like", "eye", "from_numpy", "full", "full_like", "is_tensor",
    "linspace", "logspace", "ones", "ones_like", "scalar_tensor", "tensor", "zeros", "zeros_like",
]  # fmt: skip


@allocating("new data")
def to_array(data: Any, dtype: Any = None) -> Any:
    """Numbers, nested sequences, arrays or tensors of one element as a new NumPy array, dtype as PyTorch infers it."""
    if isinstance(data, np.ndarray):
        return np.array(data, dtype if dtype is not None else dtypes.from_numpy(data.dtype).np)
    if isinstance(data, (bool, int, float, complex)):
        d = dtypes.scalar_dtype(data) if dtype is None else dtype
        try:
            return d.type(data)
        except (OverflowError, TypeError):
            if isinstance(data, int):
                raise RuntimeError("value cannot be converted to type int64 without overflow") from None
            raise
    if isinstance(data, np.generic):
        return data.astype(dtype) if dtype is not None else data
    if isinstance(data, str) or data is None or (not hasattr(data, "__iter__") and not hasattr(data, "__len__")):
        raise explained(
            TypeError(
                f"new(): invalid data type '{type(data).__name__}'"
                "\nExpected a number, a nested list of numbers, a NumPy array or a tensor."
            )
        )
    values, shape, kinds = _flatten(data)
    if dtype is None:
        dtype = (
            dtypes.default_complex() if complex in kinds else dtypes.default_float() if float in kinds or not kinds
            else dtypes.int64.np if int in kinds else dtypes.bool_.np
        )  # fmt: skip
        arrays = [k for k in kinds if isinstance(k, np.dtype)]
        if arrays:
            dtype = (
                arrays[0]
                if len(kinds) == 1
                else np.result_type(*arrays, *([dtype] if len(kinds) > len(arrays) else []))
            )
    return np.array(values, dtype).reshape(shape)


def _flatten(data: Any) -> tuple[list[Any], tuple[int, ...], set[Any]]:
    """The numbers of nested sequences, their shape, and the kinds of number met."""
    shape: list[int] = []
    level: list[Any] = [data]
    while True:
        deeper = [isinstance(v, (list, tuple, np.ndarray, range)) or (isinstance(v, Tensor) and v.ndim > 0) or
                  (hasattr(v, "__len__") and not isinstance(v, (Tensor, str, dict))) for v in level]  # fmt: skip
        if not level or not any(deeper):
            break
        length = next(len(v) for v, d in zip(level, deeper, strict=True) if d)
        for v, d in zip(level, deeper, strict=True):
            if not d:
                raise TypeError(f"expected a sequence of length {length} at dim {len(shape)}, got {type(v).__name__}")
            if len(v) != length:
                raise explained(
                    ValueError(
                        f"expected sequence of length {length} at dim {len(shape)} (got {len(v)})"
                        "\nAll rows of a tensor have the same length; pad the shorter ones."
                    )
                )
        shape.append(length)
        level = [w for v in level for w in (v.tolist() if isinstance(v, np.ndarray) and v.dtype == object else v)]
    kinds: set[Any] = set()
    values = []
    for v in level:
        if isinstance(v, Tensor):
            kinds.add(v._dtype)
            v = v.item()
        elif isinstance(v, np.generic):
            kinds.add(v.dtype)
        elif isinstance(v, (bool, int, float, complex)):
            kinds.add(type(v))
        else:
            raise explained(
                TypeError(
                    f"new(): invalid data type '{type(v).__name__}'\nA tensor holds numbers; this element is {v!r:.60}."
                )
            )
        values.append(v)
    return values, tuple(shape), kinds


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Tensor:
    """A new tensor that holds a copy of ``data``: a number, nested lists, an array.

    Python floats become the default dtype (float32), ints int64.

    Source: ``torch.tensor``.

    >>> import chainrule as torch
    >>> torch.tensor([[1.0, 2.0], [3.0, 4.0]]).shape
    torch.Size([2, 2])
    """
    if type(data) is float and dtype is None and device is None:  # the commonest, by the shortest way
        out = init(_new(Tensor), dtypes.float_type[0](data))
        out._rg = bool(requires_grad)
        return out  # type: ignore[no-any-return]
    _device(device)
    d = None if dtype is None else dtypes.to_numpy(dtype)
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor).",
            UserWarning, stacklevel=2,
        )  # fmt: skip
        out = data.detach().clone().to(dtype=data.dtype if dtype is None else dtype)
    elif is_array(data) and not is_numpy(data):
        out = wrap(data)
    else:
        out = init(_new(Tensor), to_array(data, d))
    return _leaf(out, requires_grad)


def _leaf(out: Tensor, requires_grad: bool) -> Tensor:
    if requires_grad:
        if out._dtype.kind not in "fc":
            raise explained(
                RuntimeError(
                    "Only Tensors of floating point and complex dtype can require gradients"
                    f"\nThese numbers are {out.dtype}. Write them with a point, torch.tensor(2.0, requires_grad=True), or "
                    "say dtype=torch.float32."
                )
            )
        out._rg = True
    return out


def _device(device: Any) -> None:
    if device is not None:
        from .device import device as make

        make(device)


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> Tensor:
    """``obj`` as a tensor, sharing memory where it can.  Arrays of Dask, JAX or CuPy stay what they are, underneath.

    Source: ``torch.asarray``.
    """
    if isinstance(obj, Tensor):
        out = obj if dtype is None else obj.to(dtype)
    elif is_array(obj):
        out = wrap(obj)
        out = out if dtype is None else out.to(dtype)
    else:
        out = tensor(obj, dtype=dtype)
    if copy:
        out = out.clone()
    return _leaf(out, True) if requires_grad else out


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """``data`` as a tensor, without a copy where it is one already or a NumPy array of that dtype.

    Source: ``torch.as_tensor``.
    """
    return asarray(data, dtype=dtype)


def from_numpy(ndarray: np.ndarray[Any, Any]) -> Tensor:
    """A tensor over the same memory as a NumPy array.

    Source: ``torch.from_numpy``.
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    if not ndarray.dtype.isnative:
        raise explained(
            ValueError(
                "given numpy array has byte order different from the native byte order. Conversion between byte orders is "
                'currently not supported.\nConvert it first: a.astype(a.dtype.newbyteorder("=")).'
            )
        )
    dtypes.from_numpy(ndarray.dtype)
    return wrap(ndarray.view(np.ndarray))


def is_tensor(obj: Any) -> bool:
    """Whether ``obj`` is a Tensor."""
    return isinstance(obj, Tensor)


def _sizes(size: tuple[Any, ...]) -> tuple[int, ...]:
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    shape = tuple(int(n) for n in size)
    for n in shape:
        if n < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: {list(shape)}")
    return shape


def _float(dtype: Any) -> np.dtype[Any]:
    return dtypes.default_float() if dtype is None else dtypes.to_numpy(dtype)


def _filled(shape: tuple[int, ...], value: Any, d: np.dtype[Any], requires_grad: bool) -> Tensor:
    try:
        a = np.zeros(shape, d) if type(value) is int and value == 0 else np.full(shape, value, d)
    except (MemoryError, ValueError) as e:
        if errors.too_large(e):
            raise errors.out_of_memory("a new tensor", shape, d) from None
        raise
    return _leaf(wrap(a), requires_grad)


def zeros(
    *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, out: Any = None, layout: Any = None
) -> Tensor:
    """A tensor of zeros.

    Source: ``torch.zeros``.
    """
    _device(device)
    return _filled(_sizes(size), 0, _float(dtype), requires_grad)


def ones(
    *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, out: Any = None, layout: Any = None
) -> Tensor:
    """A tensor of ones.

    Source: ``torch.ones``.
    """
    _device(device)
    return _filled(_sizes(size), 1, _float(dtype), requires_grad)


def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None) -> Tensor:
    """A tensor whose values are yet to be written (zeros here, so that runs repeat).

    Source: ``torch.empty``.
    """
    return zeros(*size, dtype=dtype, device=device, requires_grad=requires_grad)


def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
) -> Tensor:
    """A tensor of one value; its dtype follows the value unless given.

    Source: ``torch.full``.
    """
    _device(device)
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    d = dtypes.scalar_dtype(value) if dtype is None else dtypes.to_numpy(dtype)
    return _filled(_sizes((size,) if isinstance(size, int) else tuple(size)), value, d, requires_grad)


def _like(x: Tensor, value: Any, dtype: Any, requires_grad: bool) -> Tensor:
    """``value`` in x's shape, its axes in x's order of memory."""
    d = x._dtype if dtype is None else dtypes.to_numpy(dtype)
    if x._rank == 2 and type(x._a) is np.ndarray and not x._a.flags.c_contiguous:
        a = layout.empty_like(x._a, d)
        a[...] = value
        return _leaf(wrap(a), requires_grad)
    return _leaf(room(x, x._shape, lambda shape: _filled(shape, value, d, False)._a), requires_grad)


@allocating("zeros_like")
def zeros_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Tensor:
    """Zeros of input's shape and dtype.

    Source: ``torch.zeros_like``.
    """
    return _like(input, 0, dtype, requires_grad)


@allocating("ones_like")
def ones_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Tensor:
    """Ones of input's shape and dtype.

    Source: ``torch.ones_like``.
    """
    return _like(input, 1, dtype, requires_grad)


def empty_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Tensor:
    """A tensor of input's shape and dtype whose values are yet to be written.

    Source: ``torch.empty_like``.
    """
    return zeros_like(input, dtype=dtype, requires_grad=requires_grad)


@allocating("full_like")
def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """One value in input's shape and dtype.

    Source: ``torch.full_like``.
    """
    return _like(input, fill_value, dtype, requires_grad)


def scalar_tensor(
    s: Any, *, dtype: Any = None, device: Any = None, layout: Any = None, requires_grad: bool = False
) -> Tensor:
    """A number as a 0-d tensor of the default dtype."""
    return tensor(s, dtype=dtypes.get_default_dtype() if dtype is None else dtype, requires_grad=requires_grad)


@allocating("eye")
def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """The identity matrix, n × m.

    Source: ``torch.eye``.
    """
    return _leaf(wrap(np.eye(n, m, dtype=_float(dtype))), requires_grad)


@allocating("arange")
def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """``start``, ``start + step``, ... up to but without ``end``.

    Source: ``torch.arange``.
    """
    if end is None:
        start, end = 0, start
    start, end, step = (v.item() if isinstance(v, Tensor) else v for v in (start, end, step))
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if dtype is None:
        d = dtypes.default_float() if any(isinstance(v, float) for v in (start, end, step)) else dtypes.int64.np
    else:
        d = dtypes.to_numpy(dtype)
    n = math.ceil((end - start) / step)
    if d.kind in "iu":
        a = (int(start) + np.arange(n, dtype=np.int64) * int(step)).astype(d)
    else:
        a = (start + np.arange(n, dtype=np.float64) * step).astype(d)
    return _leaf(wrap(a), requires_grad)


@allocating("linspace")
def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """``steps`` numbers evenly spaced from ``start`` to ``end``, both included.

    Source: ``torch.linspace``.
    """
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    d = _float(dtype)
    start, end = (v.item() if isinstance(v, Tensor) else v for v in (start, end))
    if steps < 2:
        return _leaf(wrap(np.full(steps, start, d)), requires_grad)
    if d.kind in "iu":
        step = (end - start) / (steps - 1)
        return wrap((start + step * np.arange(steps)).astype(d))
    # As PyTorch: the step in the dtype itself, and each half counted from its own end, so both ends are exact.
    a, b = d.type(start), d.type(end)
    gap = (b - a) / d.type(steps - 1)
    i = np.arange(steps)
    out = np.where(i < steps // 2, a + gap * i.astype(d), b - gap * (steps - 1 - i).astype(d)).astype(d)
    return _leaf(wrap(out), requires_grad)


@allocating("logspace")
def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, device: Any = None, layout: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``base`` to the powers of ``linspace(start, end, steps)``.

    Source: ``torch.logspace``.
    """
    powers = linspace(start, end, steps, dtype=dtypes.float64)._a
    return _leaf(wrap((base**powers).astype(_float(dtype))), requires_grad)
