"""Products of matrices and vectors."""

from __future__ import annotations

import math
from typing import Any

from .. import errors
from ..arrays import namespace as ns
from ..arrays.namespace import dtype_of
from ..errors import explained
from ..outputs import CASTS, EXACT, takes_out
from ..primitive import Primitive, align, bind, conj, table
from ..tensor import Tensor
from .kinds import attach, export
from .whole import whole


def adjoint(xp: Any, m: Any) -> Any:
    return conj(xp, xp.matrix_transpose(m))


class Matmul(Primitive):
    """``x @ y`` over the last two axes; the axes before them broadcast."""

    forward = lambda xp, x, y: xp.matmul(x, y)
    vjp_x = lambda xp, g, y: xp.matmul(g, adjoint(xp, y))
    vjp_y = lambda xp, g, x: xp.matmul(adjoint(xp, x), g)
    linear = ("x", "y")
    depends = lambda xp, x, y: xp.sum(x, axis=-1, keepdims=True) + xp.sum(y, axis=-2, keepdims=True)
    broadcasts = True
    samples = [(((2, 3), (3, 4)), {}), (((5, 2, 3), (3, 4)), {}), (((2, 1, 2, 3), (4, 3, 2)), {})]

    def batch(self, size: int, arrays: Any, batched: Any, params: Any) -> Any:
        return bind(_matmul, tuple(align(arrays, batched)), params)


class Mv(Primitive):
    """A matrix times a vector."""

    forward = lambda xp, x, y: xp.matmul(x, y)
    vjp_x = lambda xp, g, y: xp.expand_dims(g, axis=-1) * conj(xp, xp.expand_dims(y, axis=-2))
    vjp_y = lambda xp, g, x: xp.matmul(adjoint(xp, x), g)
    linear = ("x", "y")
    depends = lambda xp, x, y: xp.sum(x * y, axis=-1)
    samples = [(((2, 3), (3,)), {})]

    def batch(self, size: int, arrays: Any, batched: Any, params: Any) -> Any:
        xp = ns.boxes
        return xp.squeeze(_matmul(arrays[0], xp.expand_dims(arrays[1], axis=-1)), axis=-1)


class Dot(Primitive):
    """The sum of products of two vectors."""

    forward = lambda xp, x, y: xp.matmul(x, y)
    vjp_x = lambda xp, g, y: g * conj(xp, y)
    vjp_y = lambda xp, g, x: g * conj(xp, x)
    linear = ("x", "y")
    depends = lambda xp, x, y: xp.sum(x * y, axis=-1)
    samples = [(((3,), (3,)), {})]

    def batch(self, size: int, arrays: Any, batched: Any, params: Any) -> Any:
        return ns.boxes.sum(table["Mul"](*arrays), axis=(-1,))


class Linear(Primitive):
    """``x @ w.T + b``: a layer."""

    composite = True
    forward = lambda xp, x, w, b: xp.matmul(x, xp.matrix_transpose(w)) + b
    vjp_x = lambda xp, g, w: xp.matmul(g, conj(xp, w))
    vjp_w = lambda xp, g, x: xp.matmul(xp.matrix_transpose(rows(xp, g)), conj(xp, rows(xp, x)))
    vjp_b = lambda xp, g: xp.sum(rows(xp, g), axis=(-2,), keepdims=False)
    jvp_x = lambda xp, t, w: xp.matmul(t, xp.matrix_transpose(w))
    jvp_w = lambda xp, t, x: xp.matmul(x, xp.matrix_transpose(t))
    jvp_b = lambda xp, t, out: xp.broadcast_to(t, out.shape)
    samples = [(((2, 4, 3), (2, 3), (2,)), {})]

    def batch(self, size: int, arrays: Any, batched: Any, params: Any) -> Any:
        x, w, b = arrays
        if not (batched[1] or batched[2]):
            return bind(_linear, arrays, params)
        if batched[2] and len(x.shape) - batched[0] > 1:
            b = b[(slice(None), *(None,) * (len(x.shape) - batched[0] - 1), slice(None))]
        xp = ns.boxes
        return xp.add(_matmul(*align((x, xp.matrix_transpose(w)), batched[:2])), b)


class Addmm(Linear):
    """A layer for a matrix of samples."""

    vjp_w = lambda xp, g, x: xp.matmul(xp.matrix_transpose(g), conj(xp, x))
    vjp_b = lambda xp, g: xp.sum(g, axis=(-2,), keepdims=False)
    samples = [(((4, 3), (2, 3), (2,)), {})]


def rows(xp: Any, x: Any) -> Any:
    return x if len(x.shape) == 2 else xp.reshape(x, (-1 if 0 not in x.shape else 0, x.shape[-1]))


_mm, _bmm, _mv, _dot = Matmul("MmBackward0"), Matmul("BmmBackward0"), Mv(), Dot()
_matmul = Matmul()
_mm.broadcasts = False  # two matrices have no axes that could
_addmm, _linear = Addmm("AddmmBackward0"), Linear("ViewBackward0")
Addmm(), Linear()


def _same_dtype(name: str, a: Any, b: Any) -> None:
    if dtype_of(a) != dtype_of(b):
        d, e = errors.scalar_type(dtype_of(a)), errors.scalar_type(dtype_of(b))
        if name == "dot":
            raise explained(
                RuntimeError(
                    f"dot : expected both vectors to have same dtype, but found {d} and {e}"
                    "\nConvert one of them: x.to(y.dtype)."
                ), "dtypes", a, b,
            )  # fmt: skip
        raise explained(
            RuntimeError(
                f"expected m1 and m2 to have the same dtype, but got: {_c(d)} != {_c(e)}"
                "\nConvert one of them: x.to(y.dtype)."
            ), "dtypes", a, b,
        )  # fmt: skip


def _c(name: str) -> str:
    """A scalar type's name in C++."""
    known = {"Long": "long long", "ComplexFloat": "c10::complex<float>", "ComplexDouble": "c10::complex<double>"}
    return known.get(name, name.lower())


def _check_mm(a: Any, b: Any) -> None:
    if a._shape[-1] != b._shape[-2]:
        rows = math.prod(a._shape[:-1]) if b.ndim == 2 else a._shape[-2]
        raise explained(
            RuntimeError(
                f"mat1 and mat2 shapes cannot be multiplied ({rows}x{a.shape[-1]} and {b.shape[-2]}x{b.shape[-1]})"
                f"\nThe columns of the first ({a.shape[-1]}) must be as many as the rows of the second ({b.shape[-2]}); "
                "perhaps one of them is to be transposed: y.t()."
            ), "product", a, b,
        )  # fmt: skip
    _same_dtype("mm", a, b)


@takes_out(EXACT)
def matmul(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The matrix product, ``input @ other``: vectors, matrices, or batches of matrices that broadcast.

    (n, k) @ (k, m) gives (n, m); a vector on either side loses its dimension.

    Source: ``torch.matmul``.
    """
    if not isinstance(other, Tensor):
        raise errors.not_tensor("matmul", input=input, other=other)
    n, m = len(input._shape), len(other._shape)
    if not n or not m:
        raise explained(
            RuntimeError(
                f"both arguments to matmul need to be at least 1D, but they are {n}D and {m}D\nMultiply by a number with *."
            )
        )
    if n == 2 and m == 2:
        _check_mm(input, other)
        return _mm(input, other)
    if n == 1 and m == 1:
        return dot(input, other)
    if n == 2 and m == 1:
        return mv(input, other)
    left = input.unsqueeze(0) if n == 1 else input
    right = other.unsqueeze(-1) if m == 1 else other
    _check_mm(left, right)
    for x, y, d in zip(
        reversed(left._shape[:-2]), reversed(right._shape[:-2]), range(max(n, m) - 3, -1, -1), strict=False
    ):
        if x != y and 1 not in (x, y):
            raise RuntimeError(
                f"The size of tensor a ({x}) must match the size of tensor b ({y}) at non-singleton dimension {d}"
            )
    found: Tensor = _bmm(left, right)
    return found.squeeze(-2) if n == 1 else found.squeeze(-1) if m == 1 else found


@takes_out(EXACT)
def mm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product of two matrices.

    Source: ``torch.mm``.
    """
    if not isinstance(mat2, Tensor):
        raise errors.not_tensor("mm", input=input, mat2=mat2)
    if input.ndim != 2 or mat2.ndim != 2:
        raise RuntimeError(f"{'self' if input.ndim != 2 else 'mat2'} must be a matrix")
    return matmul(input, mat2)


@takes_out(EXACT)
def bmm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The products of two batches of matrices.

    Source: ``torch.bmm``.
    """
    if input.ndim != 3 or mat2.ndim != 3:
        raise RuntimeError(f"{'batch1' if input.ndim != 3 else 'batch2'} must be a 3D tensor")
    wanted, found = [input._shape[0], input._shape[2]], list(mat2._shape[:2])
    if wanted != found:
        raise explained(
            RuntimeError(
                f"Expected size for first two dimensions of batch2 tensor to be: {wanted} but got: {found}."
                "\nA batch of (n, k) goes with a batch of (k, m), as many."
            )
        )
    _same_dtype("bmm", input, mat2)
    return _bmm(input, mat2)


@takes_out("addmv input tensors must have the same dtype, but got {out}, {result}, and {result}")
def mv(input: Tensor, vec: Tensor, *, out: Tensor | None = None) -> Tensor:
    """A matrix times a vector.

    Source: ``torch.mv``.
    """
    if input.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {vec.ndim}, {input.ndim}, {vec.ndim}")
    if input._shape[1] != vec._shape[0]:
        raise explained(
            RuntimeError(
                f"size mismatch, got input ({input._shape[0]}), mat ({input._shape[0]}x{input._shape[1]}), "
                f"vec ({vec._shape[0]})\nThe columns of the matrix ({input._shape[1]}) must be as many as the vector's entries "
                f"({vec._shape[0]}); perhaps the matrix is to be transposed: x.t()."
            ), "product", input, vec,
        )  # fmt: skip
    if dtype_of(input) != dtype_of(vec):
        d, e = errors.scalar_type(dtype_of(vec)), errors.scalar_type(dtype_of(input))
        raise explained(
            RuntimeError(
                f"addmv input tensors must have the same dtype, but got {d}, {e}, and {d}"
                "\nConvert one of them: x.to(y.dtype)."
            ), "dtypes", input, vec,
        )  # fmt: skip
    return _mv(input, vec)


@takes_out("result dtype {out} does not match input dtype {result}")
def dot(input: Tensor, tensor: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The sum of the products of two vectors.

    Source: ``torch.dot``.
    """
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors")
    n, m = input._shape[0], tensor._shape[0]
    if n != m:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{n}] and src [{m}] to have the same number of elements, but "
            f"got {n} and {m} elements respectively"
        )
    _same_dtype("dot", input, tensor)
    return _dot(input, tensor)


@takes_out(CASTS)
def outer(input: Tensor, vec2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The matrix of products of two vectors' entries.

    Source: ``torch.outer``.
    """
    return input.unsqueeze(-1) * vec2


@takes_out(EXACT)
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None, *, out: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias``: shapes (..., in), (out, in), (out,) give (..., out).

    Source: ``torch.nn.functional.linear``.
    """
    try:
        shape, wshape = input._shape, weight._shape
    except AttributeError:
        raise errors.not_tensor("linear", input=input, weight=weight) from None
    if not shape and len(wshape) == 2:
        raise RuntimeError("both arguments to linear need to be at least 1D, but they are 0D and 2D")
    if shape[-1:] != wshape[-1:]:
        a = (input.numel() // max(shape[-1], 1), shape[-1]) if shape else (1, 1)
        raise explained(
            RuntimeError(
                f"mat1 and mat2 shapes cannot be multiplied ({a[0]}x{a[1]} and {wshape[-1]}x{wshape[0]})"
                f"\nThis layer takes vectors of {wshape[-1]} numbers along the last dimension; the input has shape "
                f"{list(shape)}."
            ), "layer", input, weight,
        )  # fmt: skip
    if input._a.dtype is not weight._a.dtype and bias is not None and input._dtype != weight._dtype:
        raise explained(
            RuntimeError(
                f"mat1 and mat2 must have the same dtype, but got {errors.scalar_type(input._dtype)} and "
                f"{errors.scalar_type(weight._dtype)}\nConvert the input, x.to(weight.dtype), or the model, model.double()."
            ), "dtypes", input, weight,
        )  # fmt: skip
    if bias is None:
        return matmul(input, weight.t())
    n = len(shape)
    if n == 1:
        return _linear(input.unsqueeze(0), weight, bias).squeeze(0)
    return bind(_addmm if n == 2 else _linear, (input, weight, bias), {})  # type: ignore[no-any-return]


@whole("AddmmBackward0")
@takes_out(EXACT)
def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1, out: Tensor | None = None
) -> Tensor:
    """``beta * input + alpha * (mat1 @ mat2)``.

    Source: ``torch.addmm``.
    """
    product = mm(mat1, mat2)
    return (input if beta == 1 else beta * input) + (product if alpha == 1 else alpha * product)


for _f in (matmul, mm, bmm, mv, dot, outer, addmm):
    export(_f.__name__, _f)


def _times(self: Tensor, other: Any) -> Any:
    return matmul(self, other) if isinstance(other, Tensor) else NotImplemented


def _times_from_right(self: Tensor, other: Any) -> Any:
    return _times(other, self) if isinstance(other, Tensor) else NotImplemented


attach(__matmul__=_times, __rmatmul__=_times_from_right)
