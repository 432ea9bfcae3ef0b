"""Determinants."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as ns
from ..outputs import EXACT, takes_out
from ..primitive import Primitive
from ..tensor import Tensor
from .extremes import return_type
from .kinds import export
from .linalg import adjoint
from .solvers import POSITIVE, WELL, Algorithm, _inverse, eye_like, square, where


class Det(Algorithm):
    """The determinant of matrices; singular ones have derivatives too."""

    forward = lambda xp, a: xp.linalg.det(a)
    vjp_a = lambda xp, g, a: each_matrix(xp, g) * adjoint(xp, _adjugate(a))
    jvp_a = lambda xp, t, a: xp.sum(xp.matmul(_adjugate(a), t) * eye_like(xp, a), axis=(-2, -1))
    samples = [((WELL,), {}), (([WELL, POSITIVE],), {})]


def each_matrix(xp: Any, x: Any) -> Any:
    """A number for each matrix, as something to multiply matrices by."""
    return xp.expand_dims(xp.expand_dims(x, axis=-1), axis=-1)


class Adjugate(Algorithm):
    """The matrix of cofactors, transposed: the inverse times the determinant, where there is an inverse."""

    forward = lambda xp, a: xp.adjugate(a)
    vjp_a = lambda xp, g, a: adjoint(xp, adjugate_along(xp, a, adjoint(xp, g)))
    jvp_a = lambda xp, t, a: adjugate_along(xp, a, t)
    samples = [((WELL,), {}), (([POSITIVE, WELL],), {})]


def adjugate_along(xp: Any, a: Any, t: Any) -> Any:
    """How the cofactors change as a moves by t: ``tr(a⁻¹ t) adj - a⁻¹ t adj``."""
    adj, back = _adjugate(a), _inverse(a)
    moved = xp.matmul(back, t)
    trace = xp.sum(moved * eye_like(xp, a), axis=(-2, -1))
    return each_matrix(xp, trace) * adj - xp.matmul(moved, adj)


class LogAbsDet(Algorithm):
    """The logarithm of the determinant's absolute value."""

    forward = lambda xp, a: xp.linalg.slogdet(a)[1]
    vjp_a = lambda xp, g, a: each_matrix(xp, g) * adjoint(xp, _inverse(a))
    jvp_a = lambda xp, t, a: xp.real(xp.sum(xp.matmul(_inverse(a), t) * eye_like(xp, a), axis=(-2, -1)))
    samples = [((WELL,), {}), (([WELL, POSITIVE],), {})]


class SignDet(Algorithm):
    """The determinant divided by its absolute value: constant for real matrices."""

    forward = lambda xp, a: xp.linalg.slogdet(a)[0]
    vjp_a = lambda xp, g, a, out: sign_cotangent(xp, g, a, out)
    jvp_a = lambda xp, t, a, out: sign_tangent(xp, t, a, out)
    samples = [((WELL,), {}), (([WELL, POSITIVE],), {})]


def sign_cotangent(xp: Any, g: Any, a: Any, out: Any) -> Any:
    if ns.dtype_of(a).kind != "c":
        return xp.zeros_like(a)
    turn = xp.imag(xp.conj(out) * g)
    return each_matrix(xp, 1j * turn) * adjoint(xp, _inverse(a))


def sign_tangent(xp: Any, t: Any, a: Any, out: Any) -> Any:
    if ns.dtype_of(a).kind != "c":
        return xp.zeros_like(out)
    return 1j * xp.imag(xp.sum(xp.matmul(_inverse(a), t) * eye_like(xp, a), axis=(-2, -1))) * out


_det: Primitive = Det("LinalgDetBackward0")
_adjugate: Primitive = Adjugate()
_logabsdet, _signdet = LogAbsDet("LinalgSlogdetBackward0"), SignDet("LinalgSlogdetBackward0")
Det(), LogAbsDet(), SignDet()
_Slogdet = return_type("linalg_slogdet", "sign", "logabsdet")


@takes_out(EXACT)
def det(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The determinant of square matrices.

    Source: ``torch.linalg.det``.
    """
    return _det(square("linalg.det", A))


@takes_out(EXACT)
def slogdet(A: Tensor, *, out: Any = None) -> Any:
    """(sign, logabsdet): the determinant's sign and the logarithm of its size.

    Source: ``torch.linalg.slogdet``.
    """
    square("linalg.slogdet", A)
    return _Slogdet(_signdet(A), _logabsdet(A))


def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant: nan if that is negative, -inf if it is 0.

    Source: ``torch.logdet``.
    """
    sign, size = slogdet(input)
    return sign.log() + size if input._dtype.kind == "c" else where(sign == -1, size.detach() * math.nan, size)


export("det", det)
export("slogdet", slogdet)
export("logdet", logdet)
