"""The largest and the smallest over dimensions, and where they are."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from .. import dtypes, errors
from ..errors import explained
from ..outputs import EXACT, takes_out
from ..primitive import Primitive, table
from ..tensor import Tensor
from .kinds import export, no_kernel
from .reduce import Reduction, _tensor, axes, kept, spread
from .whole import clone_as


def shares(xp: Any, x: Any, out: Any, axis: tuple[int, ...]) -> Any:
    """Equal shares for the entries that equal the extreme, else 0; all nan if the extreme is nan, which nothing equals."""
    return even(xp, x == xp.reshape(out, kept(x.shape, axis)), x, axis)


def shares_or_nan(xp: Any, x: Any, out: Any, axis: tuple[int, ...]) -> Any:
    """As :func:`shares`, but a nan counts as the extreme."""
    return even(xp, (x == xp.reshape(out, kept(x.shape, axis))) | (x != x), x, axis)


def even(xp: Any, at: Any, x: Any, axis: tuple[int, ...]) -> Any:
    at = xp.astype(at, x.dtype)
    return at / xp.sum(at, axis=axis, keepdims=True)


class Amax(Reduction):
    """The largest entry over ``axis``; ties share the cotangent evenly."""

    real_only = no_kernel("max_values_cpu")
    forward = lambda xp, x, *, axis, keepdims: xp.max(x, axis=axis, keepdims=keepdims)
    vjp_x = lambda xp, g, out, x, axis: spread(xp, g, x.shape, axis) * shares(xp, x, out, axis)
    jvp_x = lambda xp, t, out, x, axis, keepdims: xp.sum(t * shares(xp, x, out, axis), axis=axis, keepdims=keepdims)


class Amin(Reduction):
    """The smallest entry over ``axis``; ties share the cotangent evenly."""

    real_only = no_kernel("min_values_cpu")
    forward = lambda xp, x, *, axis, keepdims: xp.min(x, axis=axis, keepdims=keepdims)
    vjp_x = lambda xp, g, out, x, axis: spread(xp, g, x.shape, axis) * shares(xp, x, out, axis)
    jvp_x = lambda xp, t, out, x, axis, keepdims: xp.sum(t * shares(xp, x, out, axis), axis=axis, keepdims=keepdims)


class Max(Amax):
    """The largest of all entries: :class:`Amax`, except that a nan gets the cotangent."""

    real_only = no_kernel("max_all")
    composite = True
    vjp_x = lambda xp, g, out, x, axis: spread(xp, g, x.shape, axis) * shares_or_nan(xp, x, out, axis)
    jvp_x = lambda xp, t, out, x, axis, keepdims: xp.sum(
        t * shares_or_nan(xp, x, out, axis), axis=axis, keepdims=keepdims
    )


class Min(Amin):
    """The smallest of all entries: :class:`Amin`, except that a nan gets the cotangent."""

    real_only = no_kernel("min_all")
    composite = True
    vjp_x = lambda xp, g, out, x, axis: spread(xp, g, x.shape, axis) * shares_or_nan(xp, x, out, axis)
    jvp_x = lambda xp, t, out, x, axis, keepdims: xp.sum(
        t * shares_or_nan(xp, x, out, axis), axis=axis, keepdims=keepdims
    )


class ArgMax(Reduction):
    """The position of the largest entry along ``axis``."""

    real_only = RuntimeError("argmax(): does not support complex input")
    differentiable = False
    forward = lambda xp, x, *, axis, keepdims: xp.argmax(x, axis=axis, keepdims=keepdims)
    samples = [(((2, 3),), {"axis": -1, "keepdims": False})]


class ArgMin(Reduction):
    """The position of the smallest entry along ``axis``."""

    real_only = RuntimeError("argmin(): does not support complex input")
    differentiable = False
    forward = lambda xp, x, *, axis, keepdims: xp.argmin(x, axis=axis, keepdims=keepdims)
    samples = [(((2, 3),), {"axis": -1, "keepdims": False})]


_amax, _amin, _max, _min = Amax(), Amin(), Max("MaxBackward1"), Min("MinBackward1")
_argmax, _argmin = ArgMax(), ArgMin()


def _filled(x: Tensor, axis: tuple[int, ...], name: str) -> tuple[int, ...]:
    """``axis``, if there is something along it: nothing is the largest of none."""
    if not x.numel() and len(axis) == x.ndim:
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
            "'dim' argument."
        )
    for a in axis:
        if not x._shape[a]:
            raise IndexError(f"{name}(): Expected reduction dim {a + x.ndim} to have non-zero size.")
    return axis


@takes_out(
    "Expected the dtype for input and out to match, but got {result} for input's dtype and {out} for out's dtype."
)
def amax(input: Tensor, dim: Any = (), keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The largest element over ``dim``; ties share the gradient.

    Source: ``torch.amax``.
    """
    return _amax(input, axis=_filled(input, axes(input, dim), "amax"), keepdims=keepdim)


@takes_out(
    "Expected the dtype for input and out to match, but got {result} for input's dtype and {out} for out's dtype."
)
def amin(input: Tensor, dim: Any = (), keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The smallest element over ``dim``; ties share the gradient.

    Source: ``torch.amin``.
    """
    return _amin(input, axis=_filled(input, axes(input, dim), "amin"), keepdims=keepdim)


def return_type(name: str, *fields: str) -> Any:
    """A named tuple that prints as PyTorch's ``torch.return_types``."""
    cls: Any = namedtuple(name, fields)  # type: ignore[misc]

    def show(self: Any) -> str:
        return f"torch.return_types.{name}(\n" + ",\n".join(f"{f}={getattr(self, f)!r}" for f in fields) + ")"

    setattr(cls, "__repr__", show)  # noqa: B010
    return cls


_Max, _Min = return_type("max", "values", "indices"), return_type("min", "values", "indices")


def _extreme(name: str, x: Tensor, dim: Any, keepdim: bool) -> Any:
    whole, arg, result = {"max": (_max, _argmax, _Max), "min": (_min, _argmin, _Min)}[name]
    if isinstance(dim, Tensor):
        return table["Maximum" if name == "max" else "Minimum"](x, dim)
    if dim is None:
        return whole(x, axis=_filled(x, axes(x, None), name), keepdims=False)
    n = x.ndim
    if not n:
        return result(
            clone_as(f"{name.capitalize()}Backward0", x), table["Cast"](x.detach() * 0, dtype=dtypes.int64.np)
        )
    if x._dtype.kind == "c":
        refused = RuntimeError(f"{name}(): does not support complex input")
        raise errors.not_of_complex(refused, x._dtype)
    (at,) = _filled(x, (x._dim(dim) - n,), name)
    indices = arg(x, axis=at, keepdims=True)
    values = table[f"{name.capitalize()}Backward0"](x, indices, axis=at, keepdims=keepdim)
    return result(values, indices if keepdim else indices.squeeze(at))


@takes_out(EXACT)
def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Any:
    """The largest element; with ``dim``, (values, indices) along it; with a tensor, :func:`maximum`.

    Source: ``torch.max``.
    """
    return _extreme("max", _tensor(input, "max"), dim, keepdim)


@takes_out(EXACT)
def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Any:
    """The smallest element; with ``dim``, (values, indices) along it; with a tensor, :func:`minimum`.

    Source: ``torch.min``.
    """
    return _extreme("min", _tensor(input, "min"), dim, keepdim)


@takes_out(EXACT)
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The index of the largest element, of the flattened tensor unless ``dim`` is given.

    Source: ``torch.argmax``.
    """
    return _arg(_argmax, input, dim, keepdim)


@takes_out(EXACT)
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The index of the smallest element, of the flattened tensor unless ``dim`` is given.

    Source: ``torch.argmin``.
    """
    return _arg(_argmin, input, dim, keepdim)


def _arg(prim: Primitive, x: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    if x._dtype.kind == "b":
        raise explained(
            RuntimeError(
                f"{prim.name.lower()}(): does not support bool input\nCount instead: x.long().{prim.name.lower()}()."
            )
        )
    name = prim.name.lower()
    if dim is None:
        if not x.numel():
            raise IndexError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.")
        flat = prim(x.detach().reshape(-1), axis=-1, keepdims=False)
        return flat.reshape((1,) * x.ndim) if keepdim else flat
    axis = x._dim(dim) - x.ndim
    if x.ndim:
        _filled(x, (axis,), name)
    return prim(x, axis=axis, keepdims=keepdim)


for _f in (amax, amin, max, min, argmax, argmin):
    export(_f.__name__, _f)
