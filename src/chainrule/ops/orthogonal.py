"""QR: orthogonal factors, and products of reflections."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..outputs import EXACT, takes_out
from ..primitive import Primitive
from ..tensor import Tensor, wrap
from .extremes import return_type
from .index import GetItem
from .kinds import export, public
from .linalg import adjoint
from .solvers import (
    POSITIVE,
    TALL,
    WELL,
    Algorithm,
    diagonal_matrix,
    half_diagonal,
    matmul,
    numbers,
    triangular,
    upper_part,
)
from .whole import whole


class Qr(Algorithm):
    """Q and R of matrices with as many rows as columns or more: Qᵀ and R side by side."""

    forward = lambda xp, a: xp.qr_parts(a)
    vjp_a = lambda xp, g, out: qr_cotangent(xp, g, out)
    jvp_a = lambda xp, t, out: qr_tangent(xp, t, out)
    samples = [((TALL,), {}), (([WELL, POSITIVE],), {})]


def qr_split(xp: Any, out: Any) -> tuple[Any, Any]:
    m = out.shape[-1] - out.shape[-2]
    return xp.matrix_transpose(out[..., :m]), out[..., m:]


def over_r(xp: Any, m: Any, r: Any) -> Any:
    """``m R⁻¹``."""
    return adjoint(xp, triangular(adjoint(xp, r), adjoint(xp, m), False))


def qr_cotangent(xp: Any, g: Any, out: Any) -> Any:
    (q, r), (gq, gr) = qr_split(xp, out), qr_split(xp, g)
    m = upper_part(xp, xp.matmul(gr, adjoint(xp, r)) - xp.matmul(adjoint(xp, q), gq))
    inner = m + adjoint(xp, m) - xp.real(diagonal_matrix(xp, m))
    full = gq + xp.matmul(q, inner)
    return adjoint(xp, triangular(r, adjoint(xp, full), True))


def qr_tangent(xp: Any, t: Any, out: Any) -> Any:
    q, r = qr_split(xp, out)
    c = over_r(xp, t, r)
    x = xp.matmul(adjoint(xp, q), c)
    s = adjoint(xp, half_diagonal(xp, x + adjoint(xp, x)))
    return xp.concat([xp.matrix_transpose(c - xp.matmul(q, s)), xp.matmul(s, r)], axis=-1)


_qr: Primitive = Qr()
_qr_part = GetItem("LinalgQrBackward0")
_QR, _OldQR = return_type("linalg_qr", "Q", "R"), return_type("qr", "Q", "R")


@whole("LinalgQrBackward0")
@takes_out(EXACT)
def qr(A: Tensor, mode: str = "reduced", *, out: Any = None) -> Any:
    """(Q, R) with ``A = Q R``: orthonormal columns, and an upper triangle.

    ``mode`` is "reduced", "complete" (a square Q) or "r" (no Q).

    Source: ``torch.linalg.qr``.
    """
    numbers("linalg.qr", A)
    m, n = A._shape[-2:]
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    k = min(m, n)
    if mode == "complete" and m > n:
        q, r = _numeric(np.linalg.qr, A, mode="complete")
        return _QR(q, r)
    head = _qr(A[..., :k] if n > k else A)
    q, r = _qr_part(head, key=(..., slice(0, m))).mT, _qr_part(head, key=(..., slice(m, None)))
    if n > k:
        r = public["cat"]([r, matmul(q.mH, A[..., k:])], -1)
    return _QR(wrap(np.zeros(0, A._dtype)) if mode == "r" else q, r)


def _numeric(f: Any, *args: Any, **kwargs: Any) -> Any:
    found = f(*[a.detach().numpy() if isinstance(a, Tensor) else a for a in args], **kwargs)
    return tuple([wrap(np.asarray(x)) for x in found]) if isinstance(found, tuple) else wrap(np.asarray(found))


@takes_out(EXACT)
def old_qr(input: Tensor, some: bool = True, *, out: Any = None) -> Any:
    """:func:`torch.linalg.qr` as it was called before.

    Source: ``torch.qr``.
    """
    return _OldQR(*qr(input, "reduced" if some else "complete"))


@whole("LinalgHouseholderProductBackward0")
@takes_out(
    "torch.linalg.householder_product: Expected result to be safely castable from {result} dtype, but got result with dtype {out}"
)
def householder_product(A: Tensor, tau: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The first columns of a product of reflections ``I - tau v vᴴ``, the v below the diagonal of ``A``.

    Source: ``torch.linalg.householder_product``.
    """
    m, n = A._shape[-2:]
    if m < n:
        raise RuntimeError(
            "torch.linalg.householder_product: input.shape[-2] must be greater than or equal to input.shape[-1]"
        )
    q = wrap(np.eye(m, n, dtype=A._dtype)).expand(*A._shape[:-2], m, n)
    vs = A.tril(-1) + wrap(np.eye(m, n, dtype=A._dtype))
    for i in reversed(range(tau._shape[-1])):
        v = vs[..., i : i + 1]
        q = q - tau[..., i, None, None] * matmul(v, matmul(v.mH, q))
    return q


export("qr", old_qr)
export("orgqr", householder_product)
