"""Special functions: gamma and its kin, the error function and the normal distribution, Bessel functions.

Values are SciPy's, or those of the array library's own ``special`` functions; the derivatives are written here.
"""

from __future__ import annotations

import math
from typing import Any

from ..lanes import general
from ..primitive import Elementwise, Primitive
from ..tensor import Tensor
from ..writes import assign
from .kinds import attach, binary, export, unary
from .pointwise import not_of_complex
from .samples import ONE, POSITIVE, UNIT

ROOT_PI = math.sqrt(math.pi)
BOTH_POSITIVE: Any = [
    (([[0.5, 1.25], [2.0, 0.7]], [[1.5, 0.8], [2.5, 0.6]]), {}),
    (([1.5, 2.0], 0.8), {}),
    ((2, [0.5, 4.0]), {}),
    (([[1.5], [2.0]], [0.8, 0.45, 1.1]), {}),
]
INSIDE: Any = [(([[0.5, 0.25, 0.1], [0.75, 0.3, 0.9]],), {}), ((0.6,), {})]


class Special(Elementwise):
    """A function of SciPy's, of floating-point numbers."""

    floats = True
    formula = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.real_only = not_of_complex(cls.__name__.lower().removeprefix("special"))


def of_two(f: Any, xp: Any, x: Any, y: Any) -> Any:
    """SciPy's function of two, where a Python number counts as one of the other's dtype."""
    return f(array(xp, x, y), array(xp, y, x))


def array(xp: Any, a: Any, like: Any) -> Any:
    """``a``, or if it is a Python number an array of the dtype of ``like``."""
    return a if hasattr(a, "shape") else xp.asarray(a, dtype=like.dtype)


# --- gamma ---------------------------------------------------------------------------------------------------


class Lgamma(Special):
    """The logarithm of the gamma function's absolute value."""

    forward = lambda xp, x: xp.special.gammaln(x)
    d_x = lambda x: _digamma(x)
    samples = POSITIVE


lgamma = unary(Lgamma)


class Digamma(Special):
    """The derivative of ``lgamma``; -inf at 0 and nan at negative integers."""

    forward = lambda xp, x: digamma_forward(xp, x)
    d_x = lambda x: _polygamma(x, n=1)
    samples = POSITIVE


def digamma_forward(xp: Any, x: Any) -> Any:
    y = xp.special.digamma(x)
    return xp.where(x == 0, -xp.copysign(xp.full_like(x, math.inf), x), y) if hasattr(xp, "full_like") else y


class Polygamma(Special):
    """The n-th derivative of ``digamma``."""

    forward = lambda xp, x, *, n: xp.astype(xp.special.polygamma(n, x), x.dtype)
    d_x = lambda x, n: _polygamma(x, n=n + 1)
    samples = [(POSITIVE[0][0], {"n": 1}), (POSITIVE[1][0], {"n": 2})]


digamma = unary(Digamma)
_digamma: Primitive = Digamma()
_polygamma: Primitive = Polygamma()


def polygamma(n: int, input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The n-th derivative of :func:`digamma`, n ≥ 0.

    Source: ``torch.polygamma``.

    >>> import chainrule as torch
    >>> torch.polygamma(1, torch.tensor(1.0))
    tensor(1.6449)
    """
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return general(_digamma if n == 0 else _polygamma, (input,), out, {} if n == 0 else {"n": n})  # type: ignore[no-any-return]


class Igamma(Special):
    """The regularised lower incomplete gamma function P(a, x); no derivative in a is known here, as in PyTorch."""

    forward = lambda xp, a, x: of_two(xp.special.gammainc, xp, a, x)
    d_x = lambda xp, a, x, out: density(xp, array(xp, a, out), array(xp, x, out))
    samples = BOTH_POSITIVE


def density(xp: Any, a: Any, x: Any) -> Any:
    """The gamma distribution's density."""
    return xp.exp((a - 1) * xp.log(x) - x - _lgamma(a))


class Igammac(Special):
    """The regularised upper incomplete gamma function Q(a, x) = 1 - P(a, x)."""

    forward = lambda xp, a, x: of_two(xp.special.gammaincc, xp, a, x)
    d_x = lambda xp, a, x, out: -density(xp, array(xp, a, out), array(xp, x, out))
    samples = BOTH_POSITIVE


_lgamma: Primitive = Lgamma()
igamma = binary(Igamma)
igammac = binary(Igammac)


class Mvlgamma(Special):
    """The logarithm of the multivariate gamma function of dimension ``p``."""

    forward = lambda xp, x, *, p: sum(_lgamma(x - 0.5 * j) for j in range(p)) + p * (p - 1) / 4 * math.log(math.pi)
    d_x = lambda x, p: sum(_digamma(x - 0.5 * j) for j in range(p))
    samples = [(([[1.5, 2.25, 3.0], [1.75, 4.0, 2.5]],), {"p": 2}), ((2.6,), {"p": 4})]


_mvlgamma = Mvlgamma()


def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension ``p``; ``input`` above (p - 1) / 2.

    Source: ``torch.mvlgamma``.
    """
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    return general(_mvlgamma, (input,), None, {"p": p})  # type: ignore[no-any-return]


class SpecialZeta(Special):
    """The Hurwitz zeta function, the sum of ``(k + q)**-x`` over k ≥ 0; differentiable in q."""

    forward = lambda xp, x, q: of_two(xp.special.zeta, xp, x, q)
    d_q = lambda x, q: -x * _zeta(x + 1, q)
    samples = [
        (([[2.5, 3.25], [2.0, 4.5]], [[1.5, 0.8], [2.5, 0.6]]), {}),
        (([2.5, 3.0], 0.8), {}),
        ((2, [0.5, 4.0]), {}),
    ]


_zeta: Primitive = SpecialZeta()


# --- the error function, the normal distribution ------------------------------------------------------------------


class Erfc(Special):
    """``1 - erf(x)``, exact for large x."""

    forward = lambda xp, x: xp.special.erfc(x)
    d_x = lambda xp, x: -2 / ROOT_PI * xp.exp(-x * x)
    samples = ONE


class SpecialErfcx(Special):
    """``exp(x**2) erfc(x)``, which neither overflows nor vanishes for large x."""

    forward = lambda xp, x: xp.special.erfcx(x)
    d_x = lambda x, out: 2 * x * out - 2 / ROOT_PI
    samples = ONE


class Erfinv(Special):
    """The inverse of ``erf``, of -1 to 1."""

    forward = lambda xp, x: xp.special.erfinv(x)
    d_x = lambda xp, out: ROOT_PI / 2 * xp.exp(out * out)
    samples = UNIT


class SpecialNdtr(Special):
    """The standard normal distribution's probability of a value below x."""

    forward = lambda xp, x: xp.special.ndtr(x)
    d_x = lambda xp, x: xp.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    samples = ONE


class SpecialLogNdtr(Special):
    """The logarithm of ``ndtr``, exact far below 0."""

    forward = lambda xp, x: xp.special.log_ndtr(x)
    per_x = lambda xp, x: _erfcx(-x / math.sqrt(2)) * math.sqrt(math.pi / 2)
    samples = ONE


class SpecialNdtri(Special):
    """The inverse of ``ndtr``: the quantile of a probability."""

    forward = lambda xp, x: xp.special.ndtri(x)
    d_x = lambda xp, out: math.sqrt(2 * math.pi) * xp.exp(out * out / 2)
    samples = INSIDE


erfc, erfinv = unary(Erfc), unary(Erfinv)
_erfcx: Primitive = SpecialErfcx()


# --- entropies and logarithms ------------------------------------------------------------------------------------


class SpecialEntr(Special):
    """``-x log(x)``; 0 at 0, -inf below."""

    forward = lambda xp, x: xp.special.entr(x)
    d_x = lambda xp, x: -xp.log(x) - 1
    samples = POSITIVE


class Xlogy(Special):
    """``x log(y)``, 0 where x is 0, whatever y is (nan stays nan)."""

    forward = lambda xp, x, y: of_two(xp.special.xlogy, xp, x, y)
    d_x = lambda xp, x, y, out: xp.where((x == 0) & (y <= 0), xp.zeros_like(out), xp.log(array(xp, y, out)))
    d_y = lambda x, y: x / y
    samples = BOTH_POSITIVE


class SpecialXlog1Py(Special):
    """``x log(1 + y)``, 0 where x is 0."""

    forward = lambda xp, x, y: of_two(xp.special.xlog1py, xp, x, y)
    d_x = lambda xp, x, y, out: xp.where((x == 0) & (y <= -1), xp.zeros_like(out), xp.log1p(array(xp, y, out)))
    d_y = lambda x, y: x / (y + 1)
    samples = BOTH_POSITIVE


xlogy = binary(Xlogy)


class Logit(Special):
    """``log(x / (1 - x))``, the inverse of ``sigmoid``; with ``eps``, x is first clamped to [eps, 1 - eps]."""

    forward = lambda xp, x, *, eps: logit_forward(xp, x, eps)
    vjp_x = lambda xp, g, x, eps: logit_slope(xp, g, x, eps)
    jvp_x = lambda xp, t, x, eps: logit_slope(xp, t, x, eps)
    samples = [(INSIDE[0][0], {"eps": None}), (([0.1, 0.5, 0.95],), {"eps": 0.2})]


def logit_forward(xp: Any, x: Any, eps: float | None) -> Any:
    if eps is not None:
        x = xp.where(x < eps, xp.zeros_like(x) + eps, xp.where(x > 1 - eps, xp.zeros_like(x) + (1 - eps), x))
    return xp.log(x / (1 - x))


def logit_slope(xp: Any, v: Any, x: Any, eps: float | None) -> Any:
    slope = v / (x * (1 - x))
    low, high = (0.0, 1.0) if eps is None else (eps, 1 - eps)
    outside = xp.zeros_like(slope) + (math.nan if eps is None else 0.0)
    return xp.where((x < low) | (x > high), outside, slope)


_logit = Logit()


def logit(input: Tensor, eps: float | None = None, *, out: Tensor | None = None) -> Tensor:
    """``log(x / (1 - x))``; with ``eps``, ``input`` is first clamped to [eps, 1 - eps].

    Source: ``torch.logit``.
    """
    return general(_logit, (input,), out, {"eps": eps})  # type: ignore[no-any-return]


class Sinc(Elementwise):
    """``sin(πx) / (πx)``, 1 at 0."""

    forward = lambda xp, x: sinc_forward(xp, x)
    d_x = lambda xp, x: sinc_slope(xp, x)
    floats = True
    formula = False
    samples = ONE


def sinc_forward(xp: Any, x: Any) -> Any:
    at_zero = x == 0
    y = xp.where(at_zero, xp.ones_like(x), x) * math.pi
    return xp.where(at_zero, xp.ones_like(x), xp.sin(y) / y)


def sinc_slope(xp: Any, x: Any) -> Any:
    at_zero = x == 0
    safe = xp.where(at_zero, xp.ones_like(x), x)
    y = safe * math.pi
    return xp.where(at_zero, xp.zeros_like(x), (y * xp.cos(y) - xp.sin(y)) / (y * safe))


sinc = unary(Sinc)


# --- Bessel functions --------------------------------------------------------------------------------------------


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
    """``f(x)``, and ``value`` at 0, where f cannot be computed."""
    zero = x == 0
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


# --- orthogonal polynomials: values only, as in PyTorch ------------------------------------------------------------


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


entr, erfcx, ndtr = (
    unary(c, f"special.{n}") for c, n in ((SpecialEntr, "entr"), (SpecialErfcx, "erfcx"), (SpecialNdtr, "ndtr"))
)
log_ndtr, ndtri = unary(SpecialLogNdtr, "special.log_ndtr"), unary(SpecialNdtri, "special.ndtri")
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
xlog1py, zeta = binary(SpecialXlog1Py, name="special.xlog1py"), binary(SpecialZeta, name="special.zeta")

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

export("logit", logit, in_place=True)
export("mvlgamma", mvlgamma, in_place=True)
export("polygamma", polygamma, method=False)
attach(polygamma=lambda self, n: polygamma(n, self), polygamma_=lambda self, n: assign(self, polygamma(n, self)))
