"""Shapes: the same elements, arranged otherwise.  All linear; most are views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from .. import errors
from ..arrays.namespace import is_numpy
from ..dtypes import ints
from ..errors import explained
from ..outputs import JOINED, takes_out
from ..primitive import Primitive, bind, promote, table
from ..recording import record_one
from ..tensor import Tensor
from .kinds import attach, export


class Reshape(Primitive):
    """The elements in row-major order under another shape."""

    forward = lambda xp, x, *, shape: xp.reshape(x, shape)
    vjp_x = lambda xp, g, x_shape: xp.reshape(g, x_shape)
    linear = ("x",)
    view = True
    samples = [(((2, 3),), {"shape": (3, 2)}), (((2, 3),), {"shape": (6,)}), (((1,),), {"shape": ()})]

    def batch_params(self, size: int, params: dict[str, Any]) -> dict[str, Any]:
        return {"shape": (size, *params["shape"])}

    def unview(self, x: Any, value: Any, params: dict[str, Any]) -> Any:
        return bind(self, (value,), {"shape": tuple(x.shape)})


class Permute(Primitive):
    """Axes in another order; ``axes`` are negative, one for each of the last axes."""

    forward = lambda xp, x, *, axes: xp.permute_dims(x, full_order(x, axes))
    vjp_x = lambda xp, g, axes: xp.permute_dims(g, full_order(g, inverse(axes)))
    linear = ("x",)
    view = True
    samples = [(((2, 3),), {"axes": (-1, -2)}), (((2, 3, 4),), {"axes": (-2, -1, -3)})]

    def unview(self, x: Any, value: Any, params: dict[str, Any]) -> Any:
        return bind(self, (value,), {"axes": inverse(params["axes"])})


def full_order(x: Any, axes: tuple[int, ...]) -> tuple[int, ...]:
    n = len(x.shape)
    return (*range(n - len(axes)), *[n + a for a in axes])


def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    n = len(axes)
    return tuple(axes.index(i) - n for i in range(-n, 0))


class Expand(Primitive):
    """Broadcast to ``shape``; the cotangent is summed back."""

    forward = lambda xp, x, *, shape: xp.broadcast_to(x, shape)
    vjp_x = lambda xp, g, x_shape: shrink(xp, g, x_shape)
    linear = ("x",)
    view = True
    samples = [(((3,),), {"shape": (2, 3)}), (((2, 1),), {"shape": (2, 4)}), (((),), {"shape": (2, 2)})]

    def batch(self, size: int, arrays: Any, batched: Any, params: dict[str, Any]) -> Any:
        shape = params["shape"]
        x = arrays[0]
        x = bind(table["Reshape"], (x,), {"shape": (size, *(1,) * (len(shape) + 1 - len(x.shape)), *x.shape[1:])})
        return bind(self, (x,), {"shape": (size, *shape)})


def shrink(xp: Any, g: Any, shape: tuple[int, ...]) -> Any:
    extra = len(g.shape) - len(shape)
    axes = tuple(i - len(g.shape) for i in range(len(g.shape)) if i < extra or shape[i - extra] != g.shape[i])
    return xp.reshape(xp.sum(g, axis=axes, keepdims=True), shape)


class Flip(Primitive):
    """Reversed along ``axis``, negative axes."""

    forward = lambda xp, x, *, axis: xp.flip(x, axis=axis)
    vjp_x = lambda xp, g, axis: xp.flip(g, axis=axis)
    linear = ("x",)
    samples = [(((2, 3),), {"axis": (-1,)}), (((2, 3),), {"axis": (-1, -2)})]


class Cat(Primitive):
    """Arrays joined along ``axis``."""

    forward = lambda xp, *xs, axis: xp.concat(xs, axis=axis)
    linear = ("xs",)
    samples = [(((2, 3), (2, 1)), {"axis": -1}), (((2, 3), (1, 3), (2, 3)), {"axis": -2})]

    @staticmethod
    def vjp_each(xp: Any, g: Any, shapes: Sequence[Any], wanted: Sequence[bool], axis: int) -> list[Any]:
        ends, after = list(accumulate(shape[axis] for shape in shapes)), (slice(None),) * (-1 - axis)
        return [g[(..., slice(start, end), *after)] if w else None
                for start, end, w in zip((0, *ends), ends, wanted, strict=False)]  # fmt: skip


class Stack(Primitive):
    """Arrays of one shape joined along a new ``axis``."""

    forward = lambda xp, *xs, axis: xp.stack(xs, axis=axis)
    linear = ("xs",)
    samples = [(((2, 3), (2, 3)), {"axis": -1}), (((3,), (3,), (3,)), {"axis": -2})]

    @staticmethod
    def vjp_each(xp: Any, g: Any, shapes: Sequence[Any], wanted: Sequence[bool], axis: int) -> list[Any]:
        after = (slice(None),) * (-1 - axis)
        return [g[(..., i, *after)] if w else None for i, w in enumerate(wanted)]


# --- what users call ---

_view, _unsqueeze = Reshape("ViewBackward0"), Reshape("UnsqueezeBackward0")
_alias, _copied = Reshape("ReshapeAliasBackward0"), Reshape("UnsafeViewBackward0")
_squeeze, _squeeze_dim, _squeeze_dims = [Reshape(f"SqueezeBackward{i}") for i in range(3)]
_permute, _t, _transpose = Permute(), Permute("TBackward0"), Permute("TransposeBackward0")
_expand, _flip, _cat, _stack = Expand(), Flip(), Cat(), Stack()
Reshape()


def _filled(x: Tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
    """``shape`` with its -1 worked out, or PyTorch's error."""
    n = x.numel()
    if -1 in shape:
        rest = math.prod(s for s in shape if s != -1)
        if shape.count(-1) > 1:
            raise RuntimeError("only one dimension can be inferred")
        if not n and not rest:
            raise RuntimeError(
                f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 can "
                "be any value and is ambiguous"
            )
        if rest and n % rest == 0:
            shape = tuple([n // rest if s == -1 else s for s in shape])
    if math.prod(shape) != n or any(s < 0 for s in shape):
        raise explained(
            RuntimeError(
                f"shape '{list(shape)}' is invalid for input of size {n}"
                f"\nThe {n} elements of shape {list(x.shape)} must fill the new shape exactly; one size may be -1."
            )
        )
    return shape


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements under another shape; one size may be -1.  A view where strides allow, else a copy.

    Source: ``torch.reshape``.
    """
    return _reshaped(input, _filled(input, ints("reshape", "shape", shape)))


def _reshaped(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The node is PyTorch's: of a view, of a view with other strides, or of a copy."""
    if x._rank != 2 or type(x._a) is not np.ndarray or x.is_contiguous():
        return _view(x, shape=shape)
    raw = np.reshape(x._a, shape)
    prim = _alias if np.may_share_memory(raw, x._a) else _copied
    return prim(x, shape=shape) if x._first else record_one(prim, x, x._a, {"shape": shape}, raw)


def view(self: Tensor, *shape: Any) -> Tensor:
    """The same memory under another shape; an error where that would need a copy."""
    if len(shape) == 1 and not isinstance(shape[0], (int, tuple, list)):
        raise TypeError("view(dtype) is not supported: use x.to(dtype)")
    sizes = _filled(self, ints("view", "size", shape))
    out: Tensor = _view(self, shape=sizes)
    if out._base is None and out._rank == 2 and is_numpy(out._a):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across "
            "two contiguous subspaces). Use .reshape(...) instead."
        )
    return out


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions ``start_dim`` to ``end_dim`` merged into one.

    Source: ``torch.flatten``.
    """
    shape = tuple(input._shape)
    if not shape:
        return _reshaped(input, (1,))
    a, b = input._dim(start_dim), input._dim(end_dim)
    if a > b:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if a == b:
        return input
    return _reshaped(input, (*shape[:a], math.prod(shape[a : b + 1]), *shape[b + 1 :]))


def ravel(input: Tensor) -> Tensor:
    """The tensor with one dimension.

    Source: ``torch.ravel``.
    """
    return reshape(input, -1)


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A dimension of length 1 put in at ``dim``.

    Source: ``torch.unsqueeze``.
    """
    shape = tuple(input._shape)
    n = len(shape) + 1
    if not -n <= dim < n:
        raise IndexError(errors.dim_range(dim, n))
    dim %= n
    return _unsqueeze(input, shape=(*shape[:dim], 1, *shape[dim:]))


def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Dimensions of length 1 left out: all, or those in ``dim``.

    Source: ``torch.squeeze``.
    """
    shape = tuple(input._shape)
    if dim is None:
        return _squeeze(input, shape=tuple([n for n in shape if n != 1]))
    dims = {input._dim(d) for d in ((dim,) if isinstance(dim, int) else dim)}
    by = _squeeze_dim if isinstance(dim, int) else _squeeze_dims
    return by(input, shape=tuple([n for i, n in enumerate(shape) if n != 1 or i not in dims]))


def permute(input: Tensor, *dims: Any) -> Tensor:
    """Dimensions in the given order; a view.

    Source: ``torch.permute``.
    """
    order = ints("permute", "dims", dims)
    n = input.ndim
    if len(order) != n:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {n} is not equal to len(dims) = {len(order)}"
        )
    found = tuple(input._dim(d) - n for d in order)
    if len(set(found)) != n:
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return _permute(input, axes=found)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged; a view.

    Source: ``torch.transpose``.
    """
    return _swap(_transpose, input, dim0, dim1)


def _swap(prim: Primitive, x: Tensor, dim0: int, dim1: int) -> Tensor:
    n = x.ndim
    a, b = x._dim(dim0), x._dim(dim1)
    order = list(range(-n, 0))
    if n:
        order[a], order[b] = order[b], order[a]
    return prim(x, axes=tuple(order))


def t(input: Tensor) -> Tensor:
    """A matrix transposed; vectors and scalars as they are.

    Source: ``torch.t``.
    """
    n = len(input._shape)
    if n > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {n}D")
    return _t(input, axes=(-1, -2)) if n == 2 else _t(input, axes=tuple(range(-n, 0)))


def expand(self: Tensor, *sizes: Any) -> Tensor:
    """Broadcast to ``sizes`` without copying; -1 keeps a size."""
    want, have = ints("expand", "size", sizes), tuple(self._shape)
    lead = len(want) - len(have)
    if lead < 0:
        raise RuntimeError(
            f"expand(torch.{errors.scalar_type(self._dtype)}Tensor{{{list(have)}}}, size={list(want)}): the number of sizes "
            f"provided ({len(want)}) must be greater or equal to the number of dimensions in the tensor ({len(have)})"
        )
    for i, n in enumerate(want):
        old = have[i - lead] if i >= lead else 1
        if n < 0 and i < lead:
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) isn't allowed in a leading, non-existing dimension {i}"
            )
        if (old not in (1, n) and n != -1) or n < -1:
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({old}) at non-singleton "
                f"dimension {i}.  Target sizes: {list(want)}.  Tensor sizes: {list(have)}"
            )
    shape = tuple(have[i - lead] if n == -1 else n for i, n in enumerate(want))
    return _expand(self, shape=shape)


def broadcast_to(input: Tensor, size: Any) -> Tensor:
    """Broadcast to ``size`` without copying.

    Source: ``torch.broadcast_to``.
    """
    return expand(input, *size)


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


def flip(input: Tensor, *args: Any, dims: Any = None) -> Tensor:
    """Reversed along ``dims``; a copy.

    Source: ``torch.flip``.
    """
    dims = args if dims is None else (dims,)
    return _flip(input, axis=tuple(input._dim(d) - input.ndim for d in ints("flip", "dims", dims)))


@takes_out(JOINED, error=TypeError)
def cat(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None, out: Tensor | None = None) -> Tensor:
    """Tensors joined along ``dim``; their other sizes agree.

    Source: ``torch.cat``.
    """
    dim = dim if axis is None else axis
    if not isinstance(tensors, (tuple, list)):
        wrong = type(tensors).__name__
        raise TypeError(f"cat(): argument 'tensors' (position 1) must be tuple of Tensors, not {wrong}")
    xs = list(tensors)
    if not xs:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    for i, x in enumerate(xs):
        if not isinstance(x, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}")
    full = [x for x in xs if x._shape != (0,)] or xs[:1]  # PyTorch skips legacy empty tensors
    shape, at = full[0]._shape, full[0]._dim(dim)
    n = len(shape)
    if not n:
        raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated")
    for i, x in enumerate(full):
        if x._shape == shape:
            continue
        if x.ndim != n:
            raise RuntimeError(f"Tensors must have same number of dimensions: got {n} and {x.ndim}")
        for d in range(n):
            if d != at and x._shape[d] != shape[d]:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {at}. Expected size {shape[d]} but "
                    f"got size {x._shape[d]} for tensor number {i} in the list."
                )
    return bind(_cat, promote(tuple(full)), {"axis": at - n})  # type: ignore[no-any-return]


@takes_out(JOINED, error=TypeError)
def stack(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None) -> Tensor:
    """Tensors of one shape joined along a new dimension ``dim``.

    Source: ``torch.stack``.
    """
    xs = list(tensors)
    if not xs:
        raise RuntimeError("stack expects a non-empty TensorList")
    if (error := errors.unequal_sizes([x._shape for x in xs])) is not None:
        raise error
    shape = xs[0]._shape
    n = len(shape) + 1
    if not -n <= dim < n:
        raise IndexError(errors.dim_range(dim, n))
    return bind(_stack, promote(tuple(xs)), {"axis": dim % n - n})  # type: ignore[no-any-return]


def _matrices_turned(self: Tensor) -> Tensor:
    """Each matrix transposed, a view: of shape (..., m, n), (..., n, m).  RuntimeError for fewer than 2 axes."""
    if self.ndim < 2:
        raise RuntimeError(f"tensor.mT is only supported on matrices or batches of matrices. Got {self.ndim}-D tensor.")
    return _swap(_transpose, self, -2, -1)


def _as(function: Any) -> Any:
    def method(self: Tensor, other: Tensor) -> Tensor:
        return function(self, *other.shape)  # type: ignore[no-any-return]

    method.__doc__ = f":meth:`{function.__name__}` with the shape of ``other``."
    return method


for _f in (reshape, flatten, ravel, unsqueeze, squeeze, permute, transpose, movedim, t, broadcast_to, flip):
    export(_f.__name__, _f)
export("cat", cat, method=False)
export("stack", stack, method=False)
for _name, _g in {"swapaxes": transpose, "swapdims": transpose}.items():
    export(_name, _g)
export("concat", cat, method=False)
attach(
    view=view, expand=expand, view_as=_as(view), reshape_as=_as(reshape), expand_as=_as(expand), mT=property(_matrices_turned)
)  # fmt: skip


def _reversed(self: Tensor) -> Tensor:
    """A matrix transposed, a view; of other tensors all axes turned round, with a warning."""
    n = self.ndim
    if n != 2:
        import warnings

        warnings.warn(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will "
            "throw an error in a future release. Consider `x.mT` to transpose batches of matrices or "
            "`x.permute(*torch.arange(x.ndim - 1, -1, -1))` to reverse the dimensions of a tensor.",
            UserWarning, stacklevel=2,
        )  # fmt: skip
    return _permute(self, axes=tuple(range(-1, -n - 1, -1)))


attach(T=property(_reversed))
