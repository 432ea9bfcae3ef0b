"""Distances: between two tensors, between the points of two sets, between all points of one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import errors
from ..errors import explained
from ..primitive import Primitive
from ..tensor import Tensor, wrap
from .index import GetItem
from .joining import broadcast_shapes
from .kinds import export, public
from .whole import whole

vector_norm: Any = public["norm"]
MODES = (
    "use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist",
)  # fmt: skip
POINTS: Any = [[0.5, -1.0, 0.3], [2.0, 0.4, -0.6]]
OTHERS: Any = [[1.5, 0.2, 0.9], [-0.7, 1.1, 0.1], [0.3, -0.4, 2.0]]


class Cdist(Primitive):
    """The p-norms of the differences of rows, of x (n, m) and y (k, m): (n, k).

    ``product`` takes them for p = 2 from the scalar products, which is quicker for many, and less exact for near points.
    """

    forward = lambda xp, x, y, *, p, product: distances(xp, x, y, p, product)
    vjp_x = lambda xp, g, x, y, out, p: pulled(xp, g, x, y, out, p)
    vjp_y = lambda xp, g, x, y, out, p: pulled(xp, xp.matrix_transpose(g), y, x, xp.matrix_transpose(out), p)
    jvp_x = lambda xp, t, x, y, out, p: pushed(xp, t, x, y, out, p)
    real_only = RuntimeError("cdist only supports floating-point dtypes, X1 got: {}")
    jvp_y = lambda xp, t, x, y, out, p: xp.matrix_transpose(pushed(xp, t, y, x, xp.matrix_transpose(out), p))
    samples = [
        ((POINTS, OTHERS), {"p": 2.0, "product": True}), ((POINTS, OTHERS), {"p": 2.0, "product": False}),
        ((POINTS, OTHERS), {"p": 1.0, "product": False}), ((POINTS, OTHERS), {"p": 3.5, "product": False}),
        ((POINTS, OTHERS), {"p": math.inf, "product": False}),
    ]  # fmt: skip


def distances(xp: Any, x: Any, y: Any, p: float, product: bool) -> Any:
    if product:
        squares = xp.sum(x * x, axis=-1, keepdims=True) + xp.matrix_transpose(xp.sum(y * y, axis=-1, keepdims=True))
        return xp.sqrt(xp.maximum(squares - 2 * xp.matmul(x, xp.matrix_transpose(y)), 0))
    d = xp.abs(apart(xp, x, y))
    if not d.shape[-1]:
        return xp.sum(d, axis=-1)
    if p == math.inf:
        return xp.max(d, axis=-1)
    if p == 0:
        return xp.sum(xp.astype(d != 0, d.dtype), axis=-1)
    if p == 1:
        return xp.sum(d, axis=-1)
    return xp.sqrt(xp.sum(d * d, axis=-1)) if p == 2 else xp.sum(d**p, axis=-1) ** (1 / p)


def apart(xp: Any, x: Any, y: Any) -> Any:
    """Each row of x less each row of y: (n, k, m)."""
    return xp.expand_dims(x, axis=-2) - xp.expand_dims(y, axis=-3)


def over(xp: Any, a: Any, b: Any) -> Any:
    """``a / b``, and 0 where b is 0."""
    return xp.where(b == 0, xp.zeros_like(b), a / xp.where(b == 0, xp.ones_like(b), b))


def pulled(xp: Any, g: Any, x: Any, y: Any, out: Any, p: float) -> Any:
    """The cotangent of x.  For p = 2 it needs no array of all differences."""
    if p == 2:
        w = over(xp, g, out)
        return x * xp.sum(w, axis=-1, keepdims=True) - xp.matmul(w, y)
    return xp.sum(xp.expand_dims(g, axis=-1) * slope(xp, x, y, out, p), axis=-2)


def pushed(xp: Any, t: Any, x: Any, y: Any, out: Any, p: float) -> Any:
    """The tangent for that of x."""
    if p == 2:
        return over(xp, xp.sum(t * x, axis=-1, keepdims=True) - xp.matmul(t, xp.matrix_transpose(y)), out)
    return xp.sum(xp.expand_dims(t, axis=-2) * slope(xp, x, y, out, p), axis=-1)


def slope(xp: Any, x: Any, y: Any, out: Any, p: float) -> Any:
    """The slope of each distance in each entry of x: (n, k, m); 0 where there is none."""
    d = apart(xp, x, y)
    if p == 0:
        return xp.zeros_like(d)
    if p == 1:
        return xp.sign(d)
    far = xp.expand_dims(out, axis=-1)
    if p == math.inf:
        return xp.where(xp.abs(d) == far, xp.sign(d), xp.zeros_like(d))
    size = xp.where(d == 0, xp.ones_like(d), xp.abs(d))
    return over(xp, xp.where(d == 0, xp.zeros_like(d), xp.sign(d) * size ** (p - 1)), far ** (p - 1))


_cdist: Primitive = Cdist()
_pairs = GetItem("PdistBackward0")


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """The p-norm distances of the rows of ``x1`` (..., n, m) from those of ``x2`` (..., k, m): (..., n, k).

    ``compute_mode`` says whether Euclid's distances are taken from scalar products, a matrix product: by default from 26
    rows on.  The gradient at distance 0 is 0.

    Source: ``torch.cdist``.

    >>> import chainrule as torch
    >>> torch.cdist(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """
    for i, x in enumerate((x1, x2), 1):
        if x.ndim < 2:
            raise explained(RuntimeError(
                f"cdist only supports at least 2D tensors, X{i} got: {x.ndim}D\nA single point is a row: x[None]."
            ))  # fmt: skip
        if x._dtype.kind != "f":
            kind = errors.scalar_type(x._dtype)
            raise RuntimeError(f"cdist only supports floating-point dtypes, X{i} got: {kind}")
    if x1._shape[-1] != x2._shape[-1]:
        raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {x1._shape[-1]} X2: {x2._shape[-1]}")
    if x1._dtype != x2._dtype:
        a, b = (errors.scalar_type(x._dtype) for x in (x1, x2))
        raise explained(RuntimeError(f"expected scalar type {a} but found {b}\nConvert one: x2.to(x1.dtype)."))
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    if compute_mode not in MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    lead = broadcast_shapes(x1._shape[:-2], x2._shape[:-2])
    xs = [x if x._shape[:-2] == lead else x.expand(*lead, *x._shape[-2:]) for x in (x1, x2)]
    many = compute_mode == MODES[1] or (compute_mode == MODES[0] and max(x._shape[-2] for x in xs) > 25)
    return _cdist(*xs, p=float(p), product=many and p == 2)


def pdist(input: Tensor, p: float = 2) -> Tensor:
    """The p-norm distances of all pairs of rows of a matrix: of the first and all others, the second and later ones, ...

    Source: ``torch.pdist``.

    >>> import chainrule as torch
    >>> torch.pdist(torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
    tensor([5.0000, 1.0000, 4.2426])
    """
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if input._dtype.kind != "f":
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    n = input._shape[0]
    if n < 2:
        return wrap(np.empty(0, input._dtype))
    rows, columns = np.triu_indices(n, 1)
    return _pairs(_cdist(input, input, p=float(p), product=False), key=(rows, columns))


@whole("DistBackward0")
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of ``input - other``.

    Source: ``torch.dist``.

    >>> import chainrule as torch
    >>> torch.dist(torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0]))
    tensor(5.)
    """
    return vector_norm(input - other, p)  # type: ignore[no-any-return]


export("cdist", cdist, method=False)
export("pdist", pdist, method=False)
export("dist", dist)
