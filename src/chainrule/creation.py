"""New tensors: from data, filled, in a range."""

from __future__ import annotations

import math
import warnings
from operator import index
from typing import Any

import numpy as np

from . import dtypes, errors
from .arrays.layout import empty_like as unwritten_like
from .arrays.namespace import is_array, is_numpy
from .device import on_cpu, preserve_format
from .errors import allocating, explained
from .from_data import native, to_array
from .modes import is_grad_enabled
from .ops.filling import room
from .outputs import fill
from .random.generator import recorder
from .tensor import Tensor, _new, init, wrap

__all__ = [
    "arange", "as_tensor", "asarray", "empty", "empty_like", "eye", "from_numpy", "full", "full_like", "is_tensor",
    "linspace", "logspace", "ones", "ones_like", "scalar_tensor", "tensor", "zeros", "zeros_like",
]  # fmt: skip


_COPIES = (
    "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
    "sourceTensor.detach().clone().requires_grad_(True), rather than "
)


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
    if type(data) is float and dtype is None and device is None and -6e4 < data < 6e4:  # the commonest: a shorter way
        out = init(_new(Tensor), dtypes.float_type[0](data))
        out._rg = bool(requires_grad)
        return out  # type: ignore[no-any-return]
    on_cpu(device)
    d = None if dtype is None else dtypes.to_numpy(dtype)
    if isinstance(data, Tensor):
        warnings.warn(
            f"{_COPIES}torch.tensor(sourceTensor).", UserWarning, stacklevel=2
        )  # fmt: skip
        out = data.detach().clone().to(dtype=data.dtype if dtype is None else dtype)
    elif is_array(data) and not is_numpy(data):
        out = wrap(data)
    else:
        out = init(_new(Tensor), to_array(data, d))
    return leaf(out, requires_grad)


def new_tensor(
    self: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor that holds a copy of ``data``, of this one's dtype unless ``dtype`` says another."""
    if isinstance(data, Tensor):
        warnings.warn(f"{_COPIES}tensor.new_tensor(sourceTensor).", UserWarning, stacklevel=2)
        data = data.detach().clone()
        found = data.to(dtype or self.dtype)
    else:
        on_cpu(device)
        found = wrap(to_array(data, dtypes.to_numpy(dtype or self.dtype)))
    return leaf(found, requires_grad)


setattr(Tensor, "new_tensor", new_tensor)  # noqa: B010  declared for the type checker in methods.pyi


def leaf(out: Tensor, requires_grad: bool) -> Tensor:
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


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> Tensor:
    """``obj`` as a tensor, sharing memory where it can.  Arrays of Dask, JAX or CuPy stay what they are, underneath.

    Source: ``torch.asarray``.
    """
    if isinstance(obj, Tensor) or is_array(obj):
        out = given = obj if isinstance(obj, Tensor) else wrap(obj)
        out = out if dtype is None else out.to(dtype)
        if copy is False and out is not given:
            have, want = errors.scalar_type(given._dtype), errors.scalar_type(out._dtype)
            raise ValueError(f"can't alias tensor with dtype '{have}' into dtype '{want}'.")
    elif copy is False:
        raise ValueError("can't alias arbitrary sequence into a tensor.")
    else:
        out = tensor(obj, dtype=dtype)
    if copy:
        out = out.clone()
    return leaf(out, True) if requires_grad else out


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
    native(ndarray)
    return wrap(ndarray.view(np.ndarray))


def is_tensor(obj: Any) -> bool:
    """Whether ``obj`` is a Tensor."""
    return isinstance(obj, Tensor)


def _float(dtype: Any, out: Tensor | None = None) -> np.dtype[Any]:
    """The dtype asked for; else that of ``out``, which must agree; else the default one."""
    if dtype is None:
        return dtypes.default_float() if out is None else out._dtype
    d = dtypes.to_numpy(dtype)
    if out is not None and d != out._dtype:
        raise RuntimeError(
            f"dtype {errors.scalar_type(d)} does not match dtype of out parameter ({errors.scalar_type(out._dtype)})"
        )
    return d


def _filled(shape: tuple[int, ...], value: Any, d: np.dtype[Any]) -> Tensor:
    try:
        return wrap(np.zeros(shape, d) if type(value) is int and value == 0 else np.full(shape, value, d))
    except (MemoryError, ValueError) as e:
        if errors.too_large(e):
            raise errors.out_of_memory("a new tensor", shape, d) from None
        raise


def made(found: Tensor, device: Any, requires_grad: bool, out: Tensor | None = None) -> Tensor:
    """What a function of this module returns: ``found`` as a leaf, or written into ``out``."""
    on_cpu(device)
    if out is None:
        return leaf(found, requires_grad)
    if out._rg and is_grad_enabled():
        raise RuntimeError(
            "functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad."
        )
    return fill(out, found, convert=True, quietly=True)


def zeros(
    *shape: Any, size: Any = None, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor of zeros.

    Source: ``torch.zeros``.
    """
    return made(_filled(dtypes.sizes("zeros", shape, size), 0, _float(dtype, out)), device, requires_grad, out)


def ones(
    *shape: Any, size: Any = None, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor of ones.

    Source: ``torch.ones``.
    """
    return made(_filled(dtypes.sizes("ones", shape, size), 1, _float(dtype, out)), device, requires_grad, out)


def empty(
    *shape: Any, size: Any = None, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """A tensor whose values are yet to be written (zeros here, so that runs repeat).

    Source: ``torch.empty``.
    """
    return made(_filled(dtypes.sizes("empty", shape, size), 0, _float(dtype, out)), device, requires_grad, out)


def full(
    size: Any, fill_value: Any, *, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor of one value, of that value's type unless ``dtype`` is given.

    Source: ``torch.full``.
    """
    value = _number("full", "fill_value", 2, fill_value)
    d = dtypes.scalar_dtype(value) if dtype is None and out is None else _float(dtype, out)
    return made(_filled(dtypes.sizes("full", (size,)), dtypes.number_as(value, d), d), device, requires_grad, out)


def _number(function: str, argument: str, position: int, value: Any) -> Any:
    """A number that a user gave, as Python's."""
    if isinstance(value, (np.generic, Tensor)) and not value.ndim:
        value = value.item()
    if not isinstance(value, (bool, int, float, complex)):
        wrong = type(value).__name__
        raise TypeError(f"{function}(): argument '{argument}' (position {position}) must be Number, not {wrong}")
    return value


def _like(function: str, x: Tensor, value: Any, dtype: Any, memory_format: Any) -> Tensor:
    """``value`` in x's shape, its axes in x's order of memory unless another is asked for."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{function}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    d = x._dtype if dtype is None else dtypes.to_numpy(dtype)
    value = dtypes.number_as(value, d)
    if memory_format in (None, preserve_format) and x._rank == 2 and is_numpy(x._a) and not x._a.flags.c_contiguous:
        a = unwritten_like(x._a, d)
        a[...] = value
        return wrap(a)
    found = room(x, x._shape, lambda shape: _filled(shape, value, d)._a)
    if (writer := recorder.get()) is not None and memory_format in (None, preserve_format):
        writer.alike(found._a, x._a)
    return found


@allocating("zeros_like")
def zeros_like(
    input: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Zeros of input's shape and dtype.

    Source: ``torch.zeros_like``.
    """
    return made(_like("zeros_like", input, 0, dtype, memory_format), device, requires_grad)


@allocating("ones_like")
def ones_like(
    input: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Ones of input's shape and dtype.

    Source: ``torch.ones_like``.
    """
    return made(_like("ones_like", input, 1, dtype, memory_format), device, requires_grad)


@allocating("empty_like")
def empty_like(
    input: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """A tensor of input's shape and dtype whose values are yet to be written.

    Source: ``torch.empty_like``.
    """
    return made(_like("empty_like", input, 0, dtype, memory_format), device, requires_grad)


@allocating("full_like")
def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """One value in input's shape and dtype.

    Source: ``torch.full_like``.
    """
    value = _number("full_like", "fill_value", 2, fill_value)
    return made(_like("full_like", input, value, dtype, memory_format), device, requires_grad)


def scalar_tensor(
    s: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A number as a 0-d tensor of the default dtype.

    Source: ``torch.scalar_tensor``.
    """
    return tensor(s, dtype=dtypes.get_default_dtype() if dtype is None else dtype, requires_grad=requires_grad)


@allocating("eye")
def eye(
    n: int, m: int | None = None, *, out: Tensor | None = None, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The identity matrix, n × m.

    Source: ``torch.eye``.
    """
    for name, length in (("n", n), ("m", m)):
        if length is not None and length < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {length}")
    return made(wrap(np.eye(n, m, dtype=_float(dtype, out))), device, requires_grad, out)


@allocating("arange")
def arange(
    start: Any, end: Any = None, step: Any = 1, *, out: Tensor | None = None, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``start``, ``start + step``, ... up to but without ``end``.

    Source: ``torch.arange``.
    """
    if end is None:
        start, end = 0, start
    start, end = _number("arange", "start", 1, start), _number("arange", "end", 2, end)
    step = _number("arange", "step", 3, step)
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if dtype is None and out is None:
        d = dtypes.default_float() if any(isinstance(v, float) for v in (start, end, step)) else dtypes.int64.np
    else:
        d = _float(dtype, out)
    if d.kind in "bc":
        raise NotImplementedError(f"\"arange_cpu\" not implemented for '{errors.scalar_type(d)}'")
    if d.kind in "iu":
        if not int(step):
            raise ValueError("step must be nonzero")
        if d == np.int64:  # only there PyTorch counts with the integers that the numbers become
            start, end, step = int(start), int(end), int(step)
        n = -((start - end) // step) if isinstance(step, int) else math.ceil((end - start) / step)
        a = (int(start) + np.arange(n, dtype=np.int64) * int(step)).astype(d)
    else:
        a = (start + np.arange(math.ceil((end - start) / step), dtype=np.float64) * step).astype(d)
    return made(wrap(a), device, requires_grad, out)


@allocating("linspace")
def linspace(
    start: Any, end: Any, steps: int, *, out: Tensor | None = None, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``steps`` numbers evenly spaced from ``start`` to ``end``, both included.

    Source: ``torch.linspace``.
    """
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    start, end = _number("linspace", "start", 1, start), _number("linspace", "end", 2, end)
    d = _float(dtype, out)
    if dtype is None and out is None and (isinstance(start, complex) or isinstance(end, complex)):
        d = dtypes.default_complex()
    return made(wrap(_spaced(start, end, index(steps), d)), device, requires_grad, out)


def _spaced(start: Any, end: Any, steps: int, d: np.dtype[Any]) -> np.ndarray[Any, Any]:
    if steps < 2:
        return np.full(steps, start, d)
    if d.kind in "iu":
        return np.asarray(start + (end - start) / (steps - 1) * np.arange(steps)).astype(d)
    # As PyTorch: the step in the dtype itself, and each half counted from its own end, so both ends are exact.
    a, b = d.type(start), d.type(end)
    gap = (b - a) / d.type(steps - 1)
    i = np.arange(steps)
    found = np.where(i < steps // 2, a + gap * i.astype(d), b - gap * (steps - 1 - i).astype(d))
    return np.asarray(found, d)


@allocating("logspace")
def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, out: Tensor | None = None, dtype: Any = None,
    layout: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``base`` to the powers of ``linspace(start, end, steps)``.

    Source: ``torch.logspace``.
    """
    powers = linspace(start, end, steps, dtype=dtypes.float64)._a
    d = _float(dtype, out)
    return made(wrap((base**powers).astype(d)), device, requires_grad, out)
