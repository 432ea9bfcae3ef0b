"""Copies, conversions, filling and choosing: what is not arithmetic but every script uses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from .. import dtypes, errors
from ..arrays.namespace import is_numpy
from ..engine import Box
from ..errors import explained
from ..lanes import check_broadcast, general
from ..primitive import Elementwise, Primitive, table
from ..random import default_generator, fill
from ..tensor import Tensor, wrap
from ..writes import assign, check_writable, compute_into, written
from .kinds import attach, export, in_place_of, public
from .reduce import axes


class Stop(Primitive):
    """x as a constant of differentiation."""

    differentiable = False
    forward = lambda xp, x: x
    samples = [(((2, 3),), {})]

    def jvp(self, xp: Any, tangents: Any, out: Any, arrays: Any, params: Any) -> Any:
        return None


class Clamp(Primitive):
    """x kept between ``min`` and ``max``; the slope is 1 inside, bounds included, else 0."""

    forward = lambda xp, x, *, min, max: clamped(xp, x, min, max)
    vjp_x = lambda xp, g, x, min, max: xp.where(inside(x, min, max), g, xp.zeros_like(g))
    jvp_x = lambda xp, t, x, min, max: xp.where(inside(x, min, max), t, xp.zeros_like(t))
    samples = [
        (([[0.5, -1.25], [2.0, -0.7]],), {"min": -1.0, "max": 1.0}),
        (([0.5, -2.0],), {"min": None, "max": 0.25}),
    ]


def clamped(xp: Any, x: Any, min: Any, max: Any) -> Any:
    if min is not None:
        x = xp.where(x < min, xp.astype(xp.asarray(min), x.dtype), x)
    if max is not None:
        x = xp.where(x > max, xp.astype(xp.asarray(max), x.dtype), x)
    return x


def inside(x: Any, min: Any, max: Any) -> Any:
    if min is None:
        return x <= max
    return x >= min if max is None else (x >= min) & (x <= max)


_stop, _clamp, _clone, _cast = Stop(), Clamp(), table["Clone"], table["Cast"]
_to = type(_cast)("ToCopyBackward0")
_copy = type(table["Copy"])("torch::autograd::CopyBackwards")
_zero, _fill, _fill_tensor = (
    type(table["Fill"])(f"{name}") for name in ("ZeroBackward0", "FillBackward2", "FillBackward3")
)


def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy with memory of its own; the gradient passes through.

    Source: ``torch.clone``.
    """
    return _clone(input)  # type: ignore[no-any-return]


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """``input`` where the condition holds, else ``other``; with the condition alone, where it holds.

    Source: ``torch.where``.
    """
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    lifted: Any = tuple(
        a if isinstance(a, (Box, int, float, complex)) else wrap(np.asarray(a)) for a in (condition, input, other)
    )
    if not any(isinstance(a, Box) for a in lifted[1:]):
        d = dtypes.result_dtype([], list(lifted[1:]))
        lifted = (lifted[0], wrap(np.asarray(lifted[1], d)), lifted[2])
    if lifted[0]._dtype.kind != "b":
        raise explained(RuntimeError("where expected condition to be a boolean tensor, but got a tensor with dtype "
                           f"{lifted[0].dtype}\nWrite the comparison: x != 0."))  # fmt: skip
    check_broadcast(lifted)
    return table["Where"](*lifted)


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of the elements that are not 0, one row each; as a tuple of columns on request.

    Source: ``torch.nonzero``.
    """
    found = np.nonzero(np.atleast_1d(input.detach().numpy()))
    return tuple(wrap(f) for f in found) if as_tuple else wrap(np.stack(found, -1))


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Elements kept between ``min`` and ``max`` (numbers or tensors; one may be left out).

    Source: ``torch.clamp``.
    """
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        x = input if min is None else table["Maximum"](input, min)
        return x if max is None else table["Minimum"](x, max)
    if input._dtype.kind in "iub" and any(isinstance(b, float) for b in (min, max)):
        input = _cast(input, dtype=dtypes.default_float())
    return _clamp(input, min=min, max=max)  # type: ignore[no-any-return]


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """``value`` where the mask holds, else input's elements.

    Source: ``torch.Tensor.masked_fill``.
    """
    if isinstance(value, Tensor):
        value = value.to(input.dtype)
    else:
        value = wrap(np.asarray(value, input._dtype))
    return where(mask, value, input)  # type: ignore[no-any-return]


def to(self: Tensor, *args: Any, dtype: Any = None, device: Any = None, copy: bool = False, **ignored: Any) -> Tensor:
    """This tensor in another dtype (or another tensor's); itself if nothing changes."""
    for a in args:
        if isinstance(a, Tensor):
            dtype = a.dtype
        elif isinstance(a, dtypes.dtype) or a in (float, int, bool, complex):
            dtype = a
        elif not isinstance(a, bool):
            device = a
    if device is not None:
        from ..device import device as make

        make(device)
    d = self._dtype if dtype is None else dtypes.to_numpy(dtype)
    if d == self._dtype:
        return self.clone() if copy else self
    return _to(self, dtype=d)  # type: ignore[no-any-return]


def _converter(name: str) -> Any:
    target = getattr(dtypes, name)

    def convert(self: Tensor) -> Tensor:
        return to(self, target)

    convert.__doc__ = f"This tensor as {name}."
    return convert


_NAMES = {
    "float": "float32", "double": "float64", "half": "float16", "long": "int64", "int": "int32", "short": "int16",
    "char": "int8", "byte": "uint8", "bool": "bool_", "cfloat": "complex64", "cdouble": "complex128",
}  # fmt: skip
for _method, _dtype in _NAMES.items():
    attach(**{_method: _converter(_dtype)})


def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The tensor's old-style type name, or the tensor converted to ``dtype``."""
    if dtype is None:
        from ..errors import scalar_type

        return f"torch.{scalar_type(self._dtype)}Tensor"
    if isinstance(dtype, str):
        names = {"Float": "float32", "Double": "float64", "Long": "int64", "Int": "int32", "Half": "float16",
                 "Bool": "bool_", "Byte": "uint8", "Short": "int16", "Char": "int8"}  # fmt: skip
        dtype = getattr(dtypes, names[dtype.removeprefix("torch.").removesuffix("Tensor")])
    return to(self, dtype)


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """This tensor in other's dtype."""
    return to(self, other.dtype)


def contiguous(self: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor in row-major memory: itself if it is."""
    return self if self.is_contiguous() else self.clone()


def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor on the CPU, where it is."""
    return self


def cuda(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Refused, with what to do instead."""
    return to(self, device="cuda")


# --- writing in place -----------------------------------------------------------------------------------


def fill_(self: Tensor, value: Any) -> Tensor:
    """Every element set to ``value``."""
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions.")
    prim = _zero if value is _ZERO else _fill_tensor if isinstance(value, Tensor) else _fill
    tensor = isinstance(value, Tensor)
    check_writable(self, tensor and value._rg, uniform=not tensor)
    return assign(self, prim(self, 0 if value is _ZERO else value), uniform=not tensor)


_ZERO = object()


def zero_(self: Tensor) -> Tensor:
    """Every element set to 0."""
    return fill_(self, _ZERO)


def same_place(a: Any, b: Any) -> bool:
    return bool((byte_bounds(a), a.shape, a.strides) == (byte_bounds(b), b.shape, b.strides))


def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """``src``'s elements, broadcast and converted, written here; the gradient goes to ``src``."""
    a, b = self._a, src._a
    if type(a) is np.ndarray and 0 in a.strides and same_place(a, b):
        return assign(self, _copy(self, src), uniform=True)  # onto itself
    return compute_into(self, _fitting_copy, (src,), {})


def _fitting_copy(x: Tensor, src: Tensor) -> Tensor:
    if src._shape != x._shape:
        check_broadcast((x, src))
        if (wider := np.broadcast_shapes(x._shape, src._shape)) != x._shape:
            raise explained(RuntimeError(errors.cannot_grow(x._shape, wider)))
    return _copy(x, src)  # type: ignore[no-any-return]


class AddScaled(Elementwise):
    """``x + alpha * y``."""

    forward = lambda xp, x, y, *, alpha: x + alpha * y
    d_x, d_y = 1, lambda alpha: alpha
    jointly_linear = True
    samples = [(((2, 3), (2, 3)), {"alpha": 2.0}), (((2, 3), (3,)), {"alpha": -0.5})]


def _with_alpha(name: str, sign: int, label: str) -> Any:
    lane, prim = public[name], AddScaled(label)

    def scaled(input: Any, other: Any, *, alpha: float = 1, out: Any = None) -> Any:
        if alpha == 1:
            return lane(input, other, out=out)
        return general(prim, (input, other), out, {"alpha": sign * alpha})

    scaled.__name__ = scaled.__qualname__ = name
    scaled.__doc__ = lane.__doc__.replace("\n\n", "  ``other`` counts ``alpha`` times.\n\n", 1)
    return export(name, scaled, in_place=True)


AddScaled()
add, sub = _with_alpha("add", 1, "AddBackward0"), _with_alpha("sub", -1, "SubBackward0")
addcmul_ = in_place_of(lambda x, tensor1, tensor2, *, value=1: x + value * tensor1 * tensor2, "addcmul")
addcdiv_ = in_place_of(lambda x, tensor1, tensor2, *, value=1: x + value * tensor1 / tensor2, "addcdiv")


def _random(self: Tensor, draw: Any) -> Tensor:
    check_writable(self, False)
    if self._rank != 2 or not is_numpy(self._a):
        raise RuntimeError("random numbers can only be written into a plain tensor, not inside vmap, jvp or compile")
    fill(self._own(), draw)
    written(self, None)
    return self


def uniform_(self: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Any = None) -> Tensor:
    """Filled with random numbers, uniform from ``a`` to ``b``."""
    return _random(self, lambda shape: (generator or default_generator).uniform(shape, self._dtype, a, b))


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Tensor:
    """Filled with random numbers, normal with the given mean and deviation."""
    serial = not self.is_contiguous()
    return _random(self, lambda shape: (generator or default_generator).normal(shape, self._dtype, mean, std, serial))


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dimensions moved from ``source`` to ``destination``, the others kept in order.

    Source: ``torch.movedim``.
    """
    n = input.ndim
    src = [input._dim(s) for s in ((source,) if isinstance(source, int) else source)]
    dst = [input._dim(d) for d in ((destination,) if isinstance(destination, int) else destination)]
    order = [i for i in range(n) if i not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        order.insert(d, s)
    return input.permute(*order)


def square(input: Tensor) -> Tensor:
    """``input ** 2``.

    Source: ``torch.square``.
    """
    return input**2


def norm(input: Tensor, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The p-norm of the elements, all or over ``dim``.

    Source: ``torch.norm``.
    """
    x: Any = input.abs()
    kwargs = {"dim": dim, "keepdim": keepdim}
    if p in (2, "fro"):
        return table["Norm"](input, axis=axes(input, dim), keepdims=keepdim)  # type: ignore[no-any-return]
    if p == 1:
        return x.sum(**kwargs)  # type: ignore[no-any-return]
    if p == math.inf:
        return x.amax(() if dim is None else dim, keepdim)  # type: ignore[no-any-return]
    return (x**p).sum(**kwargs) ** (1 / p)  # type: ignore[no-any-return]


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether all elements agree within ``atol + rtol * |other|``.

    Source: ``torch.allclose``.
    """
    return bool(np.allclose(input.detach().numpy(), other.detach().numpy(), rtol, atol, equal_nan))


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and elements.

    Source: ``torch.equal``.
    """
    return bool(np.array_equal(input.detach().numpy(), other.detach().numpy()))


for _f in (clone, clamp, masked_fill, movedim, square, norm, allclose, nonzero):
    export(_f.__name__, _f)
export("where", where, method=False)
export("clip", clamp)
export("equal", equal)
attach(where=lambda self, condition, other: where(condition, self, other), type=type_)
attach(
    to=to, type_as=type_as, contiguous=contiguous, cpu=cpu, cuda=cuda, fill_=fill_, zero_=zero_, copy_=copy_,
    addcmul_=addcmul_, addcdiv_=addcdiv_, uniform_=uniform_, normal_=normal_,
    clamp_=in_place_of(clamp, "clamp"), clip_=in_place_of(clamp, "clip"), square_=in_place_of(square, "square"),
    masked_fill_=in_place_of(masked_fill, "masked_fill"),
)  # fmt: skip
