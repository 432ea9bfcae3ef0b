"""Products of several tensors: ``einsum``, ``tensordot``, products added to something, distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..outputs import CASTS, EXACT, takes_out
from ..tensor import Tensor
from .einsum import einsum
from .kinds import attach, export, export_all, in_place_of, public
from .whole import whole

matmul, bmm, where = public["matmul"], public["bmm"], public["where"]


# --- products of two ---


@takes_out("tensordot: Expected the output tensor to have dtype {result}, but got an output tensor with dtype {out}")
def tensordot(a: Tensor, b: Tensor, dims: Any = 2, out: Tensor | None = None) -> Tensor:
    """Summed over ``dims``: so many of the last of ``a`` and the first of ``b``, or the two lists of dimensions.

    Source: ``torch.tensordot``.
    """
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        pair: Any = [range(a.ndim - dims, a.ndim), range(dims)]
    else:
        pair = dims
    of_a, of_b = ([x._dim(d) for d in ([d] if isinstance(d, int) else d)] for x, d in ((a, pair[0]), (b, pair[1])))
    if len(of_a) != len(of_b):
        raise RuntimeError("both dimension lists should have same length")
    for i, j in zip(of_a, of_b, strict=True):
        if a._shape[i] != b._shape[j] and 1 not in (a._shape[i], b._shape[j]):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a._shape[i]} in dim {i} and second has size "
                f"{b._shape[j]} in dim {j}"
            )
    letters = iter("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    s = [next(letters) for _ in range(a.ndim)]
    t = [s[of_a[of_b.index(j)]] if j in of_b else next(letters) for j in range(b.ndim)]
    result = [c for i, c in enumerate(s) if i not in of_a] + [c for j, c in enumerate(t) if j not in of_b]
    return einsum(f"{''.join(s)},{''.join(t)}->{''.join(result)}", a, b)


@takes_out("tensordot: Expected the output tensor to have dtype {result}, but got an output tensor with dtype {out}")
def inner(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Dot products of the last dimensions; with a number, the product.

    Source: ``torch.inner``.
    """
    if not input.ndim or not other.ndim:
        return input * other
    if input._shape[-1] != other._shape[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {list(input.shape)} and "
            f"{list(other.shape)}"
        )
    return tensordot(input, other, [[-1], [-1]])


@whole("VdotBackward0")
@takes_out("result dtype {out} does not match input dtype {result}")
def vdot(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The dot product of two vectors, the first conjugated.

    Source: ``torch.vdot``.
    """
    return input.conj().dot(other) if input._dtype.kind == "c" else input.dot(other)


@takes_out(EXACT)
def chain_matmul(*matrices: Tensor, out: Tensor | None = None) -> Tensor:
    """The product of matrices, in the order of least work.

    Source: ``torch.chain_matmul``.
    """
    return multi_dot(matrices)


@takes_out("multi_dot(): expected out tensor to have dtype {c_result} but got {c_out}")
def multi_dot(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """The product of matrices, in the order of least work; the first and the last may be vectors.

    Source: ``torch.linalg.multi_dot``.
    """
    xs = list(tensors)
    if len(xs) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(xs)}")
    sizes = [
        1 if xs[0].ndim == 1 else xs[0]._shape[0],
        *[x._shape[0] for x in xs[1:]],
        1 if xs[-1].ndim == 1 else xs[-1]._shape[1],
    ]
    n = len(xs)
    cost = np.zeros((n, n))
    cut = np.zeros((n, n), int)
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            ways = [cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j)]
            cost[i, j], cut[i, j] = min(ways), i + int(np.argmin(ways))

    def product(i: int, j: int) -> Tensor:
        return xs[i] if i == j else matmul(product(i, cut[i, j]), product(cut[i, j] + 1, j))

    return product(0, n - 1)


# --- added to something ---


def _scaled(x: Any, factor: Any) -> Any:
    return x if factor == 1 else x * factor


def _plus(input: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    """``beta * input + alpha * product``; a beta of 0 leaves the input out, nan or not."""
    if beta == 0:
        shape = np.broadcast_shapes(input._shape, product._shape)
        product = _scaled(product, alpha)
        return product if product._shape == shape else product.expand(*shape)
    return _scaled(input, beta) + _scaled(product, alpha)  # type: ignore[no-any-return]


@whole("AddmvBackward0")
@takes_out(EXACT)
def addmv(
    input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1, out: Tensor | None = None
) -> Tensor:
    """``beta * input + alpha * (mat @ vec)``.

    Source: ``torch.addmv``.
    """
    return _plus(input, public["mv"](mat, vec), beta, alpha)


@whole("AddrBackward0")
@takes_out(CASTS)
def addr(
    input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1, out: Tensor | None = None
) -> Tensor:
    """``beta * input + alpha`` times the outer product.

    Source: ``torch.addr``.
    """
    if vec1.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError(f"addr: Expected 1-D argument vec1, but got {vec1.ndim}-D" if vec1.ndim != 1 else
                           f"addr: Expected 1-D argument vec2, but got {vec2.ndim}-D")  # fmt: skip
    return _plus(input, vec1.unsqueeze(1) * vec2, beta, alpha)


@whole("BaddbmmBackward0")
@takes_out(EXACT)
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1, out: Tensor | None = None
) -> Tensor:
    """``beta * input + alpha`` times the batch of matrix products.

    Source: ``torch.baddbmm``.
    """
    return _plus(input, bmm(batch1, batch2), beta, alpha)


@whole("AddbmmBackward0")
@takes_out("self and mat2 must have the same dtype, but got {out} and {result}")
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1, out: Tensor | None = None
) -> Tensor:
    """``beta * input + alpha`` times the sum of a batch of matrix products.

    Source: ``torch.addbmm``.
    """
    return _plus(input, bmm(batch1, batch2).sum(0), beta, alpha)


export_all(tensordot, chain_matmul, method=False)
export_all(inner, vdot)
for _name, _f in {"addmv": addmv, "addr": addr, "baddbmm": baddbmm}.items():
    export(_name, _f, in_place=True)
export("addbmm", addbmm, in_place=True)
attach(addmm_=in_place_of(public["addmm"], "addmm"))
