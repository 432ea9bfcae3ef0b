"""Complex numbers by size and direction.

None of these functions is holomorphic, so their rules are written for gradients as PyTorch has them,
∂L/∂x + i ∂L/∂y, and nothing is conjugated on top.
"""

from __future__ import annotations

from typing import Any

from ..lanes import general
from ..outputs import CASTS, FOUND, takes_out
from ..primitive import Elementwise
from ..tensor import Tensor
from .arithmetic import Sign
from .complex import FLOATS, PAIR, Z, of_floats
from .kinds import export


class Polar(Elementwise):
    """The complex number of this size in this direction, an angle in radians."""

    real_only = FLOATS
    forward = lambda xp, size, angle: xp.complex(size * xp.cos(angle), size * xp.sin(angle))
    vjp_size = lambda xp, g, angle: xp.real(g) * xp.cos(angle) + xp.imag(g) * xp.sin(angle)
    vjp_angle = lambda xp, g, out: xp.imag(g) * xp.real(out) - xp.real(g) * xp.imag(out)
    jvp_size = lambda xp, t, angle: xp.complex(t * xp.cos(angle), t * xp.sin(angle))
    jvp_angle = lambda xp, t, out: xp.complex(-t * xp.imag(out), t * xp.real(out))
    linear = ("size",)
    samples = PAIR


class Sgn(Elementwise):
    """``z / |z|``, the direction of a complex number; 0 at 0."""

    forward = lambda xp, x: xp.sign(x)
    vjp_x = lambda xp, g, x, out: turning(xp, g, x, out)
    jvp_x = lambda xp, t, x, out: turning(xp, t, x, out)
    samples = Z


def turning(xp: Any, v: Any, x: Any, out: Any) -> Any:
    """The part of v at right angles to out, by the size of x: moving along out changes no direction."""
    return by_size(xp, v - out * xp.real(xp.conj(out) * v), x)


def by_size(xp: Any, v: Any, x: Any) -> Any:
    """``v / |x|``, but 0 where x is 0."""
    size = xp.abs(x)
    return xp.where(size == 0, xp.zeros_like(v), v / xp.where(size == 0, xp.ones_like(size), size))


class Angle(Elementwise):
    """The angle of a complex number, from -π to π; of a real one 0 or, where it is negative, π."""

    forward = lambda xp, x: angle_forward(xp, x)
    vjp_x = lambda xp, g, x: g * across(xp, x) if x.dtype.kind == "c" else xp.zeros_like(g)
    jvp_x = lambda xp, t, x: xp.real(xp.conj(across(xp, x)) * t) if x.dtype.kind == "c" else xp.zeros_like(t)
    floats = True
    samples = Z


def angle_forward(xp: Any, x: Any) -> Any:
    if x.dtype.kind == "c":
        return xp.atan2(xp.imag(x), xp.real(x))
    half_turn = xp.asarray(xp.pi, dtype=x.dtype)
    return xp.where(x < 0, half_turn, xp.where(x != x, x, xp.zeros_like(x)))


def across(xp: Any, x: Any) -> Any:
    """How fast x turns, as a direction: at right angles to x, by its size."""
    return by_size(xp, 1j * xp.sign(x), x) if x.dtype.kind == "c" else xp.zeros_like(x)


# --- what users call ---

_polar, _sgn, _angle, _sgn_of_real = Polar(), Sgn(), Angle(), Sign("SgnBackward0")


@takes_out("Expected object of scalar type {result} but got scalar type {out} for argument 'out'")
def polar(abs: Tensor, angle: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The complex numbers with these sizes and angles in radians, which broadcast.

    RuntimeError unless both are floats of one dtype.

    Source: ``torch.polar``.

    >>> import chainrule as torch
    >>> torch.polar(torch.tensor([2.0]), torch.tensor([0.0]))
    tensor([2.+0.j])
    """
    return of_floats(_polar, abs, angle)


@takes_out(CASTS)
def angle(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The angle of each complex number, in radians from -π to π; of a real number 0 or π.

    Source: ``torch.angle``.

    >>> import chainrule as torch
    >>> torch.angle(torch.tensor([1j, -1.0]))
    tensor([1.5708, 3.1416])
    """
    return general(_angle, (input,))


@takes_out(FOUND)
def sgn(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The direction of each complex number, ``z / |z|``, and 0 for 0; of a real number its sign.

    Source: ``torch.sgn``.

    >>> import chainrule as torch
    >>> torch.sgn(torch.tensor([3 + 4j, 0j]))
    tensor([0.6000+0.8000j, 0.0000+0.0000j])
    """
    return general(_sgn if input.is_complex() else _sgn_of_real, (input,))


export("polar", polar, method=False)
export("angle", angle)
export("sgn", sgn, in_place=True)
