"""Complex numbers: their parts, conjugates and directions."""

from __future__ import annotations

from typing import Any

from ..errors import explained
from ..primitive import Elementwise
from ..tensor import Tensor
from .kinds import attach, export, unary
from .samples import ONE


class Conj(Elementwise):
    """The complex conjugate."""

    forward = lambda xp, x: xp.conj(x)
    jointly_linear = True
    vjp_x = lambda xp, g: xp.conj(g)
    jvp_x = lambda xp, t: xp.conj(t)
    samples = ONE


conj = unary(Conj, in_place=False)


class Real(Elementwise):
    """The real part."""

    forward = lambda xp, x: xp.real(x)
    jointly_linear = True
    vjp_x = lambda xp, g: g
    jvp_x = lambda xp, t: xp.real(t)
    samples = ONE


real = unary(Real, in_place=False)


class Imag(Elementwise):
    """The imaginary part."""

    forward = lambda xp, x: xp.imag(x)
    jointly_linear = True
    vjp_x = lambda xp, g: g * 1j
    jvp_x = lambda xp, t: xp.imag(t)
    samples = [(([1.5 - 0.5j, 0.25 + 2j],), {})]


_imag = unary(Imag, "imag", in_place=False)


def imag(input: Tensor) -> Tensor:
    """The imaginary part of a complex tensor.

    Source: ``torch.imag``.
    """
    if input._dtype.kind != "c":
        raise explained(RuntimeError("imag is not implemented for tensors with non-complex dtypes.\nThe imaginary part of a real "
                           "number is 0: torch.zeros_like(x)."))  # fmt: skip
    return _imag(input)


export("imag", imag)

attach(real=property(real), imag=property(imag))


class Sgn(Elementwise):
    """``x / |x|``, the sign of a complex number; 0 at 0."""

    forward = lambda xp, x: xp.sign(x)
    vjp_x = lambda xp, g, x, out: turning(xp, g, x, out)
    jvp_x = lambda xp, t, x, out: turning(xp, t, x, out)
    samples = [(([0.5 + 0.25j, -1.25 - 2j],), {}), ((-0.5 + 1j,), {})]


sgn = unary(Sgn)


def turning(xp: Any, v: Any, x: Any, out: Any) -> Any:
    """The part of v at right angles to out, by the size of x: moving along out changes no direction."""
    size = xp.abs(x)
    across = v - out * xp.real(xp.conj(out) * v)
    return xp.where(size == 0, xp.zeros_like(v), across / xp.where(size == 0, xp.ones_like(size), size))
