"""Bessel functions, and orthogonal polynomials."""

from __future__ import annotations

from typing import Any

from ..primitive import Primitive
from .kinds import binary, unary
from .samples import ONE, POSITIVE
from .special import Special


class I0(Special):
    """The modified Bessel function of the first kind, of order 0."""

    forward = lambda xp, x: xp.special.i0(x)
    d_x = lambda x: _i1(x)
    samples = ONE


class SpecialI0E(Special):
    """``exp(-|x|) i0(x)``."""

    forward = lambda xp, x: xp.special.i0e(x)
    d_x = lambda xp, x, out: _i1e(x) - xp.sign(x) * out
    samples = ONE


class SpecialI1(Special):
    """The modified Bessel function of the first kind, of order 1."""

    forward = lambda xp, x: xp.special.i1(x)
    d_x = lambda xp, x, out: at_origin(xp, x, 0.5, lambda s: _i0(s) - out / s)
    samples = ONE


class SpecialI1E(Special):
    """``exp(-|x|) i1(x)``."""

    forward = lambda xp, x: xp.special.i1e(x)
    d_x = lambda xp, x, out: at_origin(xp, x, 0.5, lambda s: _i0e(s) - out * (xp.sign(s) + 1 / s))
    samples = ONE


def at_origin(xp: Any, x: Any, value: float, f: Any) -> Any:
    """``f(x)``, and ``value`` at 0 and next to it, where f cannot be computed."""
    zero = x * x == 0
    return xp.where(zero, xp.zeros_like(x) + value, f(xp.where(zero, xp.ones_like(x), x)))


i0 = unary(I0)
_i0: Primitive = I0()
_i1: Primitive = SpecialI1()
_i0e: Primitive = SpecialI0E()
_i1e: Primitive = SpecialI1E()


class SpecialBesselJ0(Special):
    """The Bessel function of the first kind, of order 0."""

    forward = lambda xp, x: xp.special.j0(x)
    d_x = lambda x: -_j1(x)
    samples = ONE


class SpecialBesselJ1(Special):
    """The Bessel function of the first kind, of order 1."""

    forward = lambda xp, x: xp.special.j1(x)
    d_x = lambda xp, x, out: at_origin(xp, x, 0.5, lambda s: _j0(s) - out / s)
    samples = ONE


class SpecialBesselY0(Special):
    """The Bessel function of the second kind, of order 0."""

    forward = lambda xp, x: xp.special.y0(x)
    d_x = lambda x: -_y1(x)
    samples = POSITIVE


class SpecialBesselY1(Special):
    """The Bessel function of the second kind, of order 1."""

    forward = lambda xp, x: xp.special.y1(x)
    d_x = lambda x, out: _y0(x) - out / x
    samples = POSITIVE


class SpecialModifiedBesselK0(Special):
    """The modified Bessel function of the second kind, of order 0."""

    forward = lambda xp, x: xp.special.k0(x)
    d_x = lambda x: -_k1(x)
    samples = POSITIVE


class SpecialModifiedBesselK1(Special):
    """The modified Bessel function of the second kind, of order 1."""

    forward = lambda xp, x: xp.special.k1(x)
    d_x = lambda x, out: -_k0(x) - out / x
    samples = POSITIVE


class SpecialScaledModifiedBesselK0(Special):
    """``exp(x) k0(x)``."""

    forward = lambda xp, x: xp.special.k0e(x)
    d_x = lambda x, out: out - _k1e(x)
    samples = POSITIVE


class SpecialScaledModifiedBesselK1(Special):
    """``exp(x) k1(x)``."""

    forward = lambda xp, x: xp.special.k1e(x)
    d_x = lambda x, out: out - _k0e(x) - out / x
    samples = POSITIVE


class SpecialSphericalBesselJ0(Special):
    """``sin(x) / x``, 1 at 0."""

    forward = lambda xp, x: at_origin(xp, x, 1.0, lambda s: xp.sin(s) / s)
    d_x = lambda xp, x: at_origin(xp, x, 0.0, lambda s: (s * xp.cos(s) - xp.sin(s)) / (s * s))
    samples = ONE


class SpecialAiryAi(Special):
    """The Airy function Ai, which solves y'' = xy."""

    forward = lambda xp, x: xp.special.airy(x)[0]
    d_x = lambda x: _airy_slope(x)
    samples = ONE


class AirySlope(Special):
    """The derivative of the Airy function Ai."""

    forward = lambda xp, x: xp.special.airy(x)[1]
    d_x = lambda x: x * _airy(x)
    samples = ONE


_j0: Primitive = SpecialBesselJ0()
_j1: Primitive = SpecialBesselJ1()
_y0: Primitive = SpecialBesselY0()
_y1: Primitive = SpecialBesselY1()
_k0: Primitive = SpecialModifiedBesselK0()
_k1: Primitive = SpecialModifiedBesselK1()
_k0e: Primitive = SpecialScaledModifiedBesselK0()
_k1e: Primitive = SpecialScaledModifiedBesselK1()
_airy: Primitive = SpecialAiryAi()
_airy_slope: Primitive = AirySlope()


# --- orthogonal polynomials: values only, as in PyTorch ---


class Orthogonal(Special):
    """The n-th polynomial of a family at x; n is rounded down."""

    differentiable = False
    samples = [(([0.3, -0.5], [2.0, 3.0]), {})]


def polynomial(name: str, doc: str, values: Any) -> Any:
    """Declare the polynomial of this name; ``values(special, n, x)`` are SciPy's.  Of negative degree it is 0."""

    def forward(xp: Any, x: Any, n: Any) -> Any:
        n = xp.trunc(xp.asarray(n, dtype=x.dtype))
        found = values(xp.special, xp.where(n < 0, xp.zeros_like(n), n).astype(int), x)
        return xp.astype(xp.where(n < 0, xp.zeros_like(x), found), x.dtype)

    body = {"forward": forward, "__doc__": doc, "__module__": __name__}
    return binary(type("Special" + name.title().replace("_", ""), (Orthogonal,), body), name=f"special.{name}")


def _chebyshev(kind: str, shifted: bool) -> Any:
    """T and U are SciPy's; V and W are the difference and the sum of two neighbours among the U."""

    def values(special: Any, n: Any, x: Any) -> Any:
        x = 2 * x - 1 if shifted else x
        if kind in "tu":
            return getattr(special, f"eval_cheby{kind}")(n, x)
        before = special.eval_chebyu(n - 1, x)
        return special.eval_chebyu(n, x) + (before if kind == "w" else -before)

    name = f"{'shifted_' if shifted else ''}chebyshev_polynomial_{kind}"
    which = {"t": "first", "u": "second", "v": "third", "w": "fourth"}[kind]
    return polynomial(name, f"The Chebyshev polynomial of the {which} kind{', of 2x - 1' if shifted else ''}.", values)


i0e, i1, i1e = unary(SpecialI0E, "special.i0e"), unary(SpecialI1, "special.i1"), unary(SpecialI1E, "special.i1e")
bessel_j0, bessel_j1 = unary(SpecialBesselJ0, "special.bessel_j0"), unary(SpecialBesselJ1, "special.bessel_j1")
bessel_y0, bessel_y1 = unary(SpecialBesselY0, "special.bessel_y0"), unary(SpecialBesselY1, "special.bessel_y1")
modified_bessel_i0, modified_bessel_i1 = (
    unary(I0, "special.modified_bessel_i0"),
    unary(SpecialI1, "special.modified_bessel_i1"),
)
modified_bessel_k0 = unary(SpecialModifiedBesselK0, "special.modified_bessel_k0")
modified_bessel_k1 = unary(SpecialModifiedBesselK1, "special.modified_bessel_k1")
scaled_modified_bessel_k0 = unary(SpecialScaledModifiedBesselK0, "special.scaled_modified_bessel_k0")
scaled_modified_bessel_k1 = unary(SpecialScaledModifiedBesselK1, "special.scaled_modified_bessel_k1")
spherical_bessel_j0 = unary(SpecialSphericalBesselJ0, "special.spherical_bessel_j0")
airy_ai = unary(SpecialAiryAi, "special.airy_ai")

chebyshev_polynomial_t, chebyshev_polynomial_u, chebyshev_polynomial_v, chebyshev_polynomial_w = (
    _chebyshev(kind, False) for kind in "tuvw"
)
(
    shifted_chebyshev_polynomial_t,
    shifted_chebyshev_polynomial_u,
    shifted_chebyshev_polynomial_v,
    (shifted_chebyshev_polynomial_w),
) = (_chebyshev(kind, True) for kind in "tuvw")
hermite_polynomial_h = polynomial(
    "hermite_polynomial_h", "The physicist's Hermite polynomial.", lambda special, n, x: special.eval_hermite(n, x)
)
hermite_polynomial_he = polynomial(
    "hermite_polynomial_he",
    "The probabilist's Hermite polynomial.",
    lambda special, n, x: special.eval_hermitenorm(n, x),
)
laguerre_polynomial_l = polynomial(
    "laguerre_polynomial_l", "The Laguerre polynomial.", lambda special, n, x: special.eval_laguerre(n, x)
)
legendre_polynomial_p = polynomial(
    "legendre_polynomial_p", "The Legendre polynomial.", lambda special, n, x: special.eval_legendre(n, x)
)
