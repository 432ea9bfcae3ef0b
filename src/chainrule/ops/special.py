"""Special functions: gamma and its kin, the error function and the normal distribution, Bessel functions.

Values are SciPy's, or those of the array library's own ``special`` functions; the derivatives are written here.
"""

from __future__ import annotations

import math
from typing import Any

from ..lanes import general
from ..outputs import takes_out
from ..primitive import Elementwise, Primitive, cut
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


# --- gamma ---


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
    if hasattr(xp, "between"):  # NumPy's has looked at 0 already
        return y
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
    return general(_digamma if n == 0 else _polygamma, (input,), out, {} if n == 0 else {"n": n})


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


@takes_out("{name}: result type {result} can't be cast to the desired output type {out}")
def mvlgamma(input: Tensor, p: int, *, out: Tensor | None = None) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension ``p``; ``input`` above (p - 1) / 2.

    Source: ``torch.mvlgamma``.
    """
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    return general(_mvlgamma, (input,), None, {"p": p})


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


# --- the error function, the normal distribution ---


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


# --- entropies and logarithms ---


class SpecialEntr(Special):
    """``-x log(x)``; 0 at 0, -inf below."""

    forward = lambda xp, x: xp.special.entr(x)
    d_x = lambda xp, x: -xp.log(x) - 1
    samples = POSITIVE


def times_log(xp: Any, x: Any, y: Any, log: Any) -> Any:
    x, y = array(xp, x, y), array(xp, y, x)
    out = x * log(y)
    return xp.where((x == 0) & (y == y), xp.zeros_like(out), out)


class Xlogy(Special):
    """``x log(y)``, 0 where x is 0, whatever y is (nan stays nan)."""

    labels = ("XlogyBackward0", "XlogyBackward2", "XlogyBackward1")
    forward = lambda xp, x, y: times_log(xp, x, y, xp.log)
    vjp_x = lambda xp, g, x, y: xlogy_push(xp, g, x, y)
    jvp_x = lambda xp, t, x, y: xlogy_push(xp, t, x, y)
    d_y = lambda x, y: x / y
    samples = BOTH_POSITIVE


def xlogy_push(xp: Any, v: Any, x: Any, y: Any) -> Any:
    """A change of x, ``v``, on its way: 0 stays 0, whatever the logarithm is."""
    return cut(xp, times_log(xp, v, y, xp.log), (x == 0) & (y <= 0))


class SpecialXlog1Py(Special):
    """``x log(1 + y)``, 0 where x is 0."""

    forward = lambda xp, x, y: times_log(xp, x, y, xp.log1p)
    vjp_x = lambda xp, g, x, y: xlog1py_push(xp, g, x, y)
    jvp_x = lambda xp, t, x, y: xlog1py_push(xp, t, x, y)
    d_y = lambda x, y: x / (y + 1)
    samples = BOTH_POSITIVE


def xlog1py_push(xp: Any, v: Any, x: Any, y: Any) -> Any:
    return cut(xp, times_log(xp, v, y, xp.log1p), (x == 0) & (y <= -1))


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
    return general(_logit, (input,), out, {"eps": eps})


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
    at_zero = x * x == 0
    safe = xp.where(at_zero, xp.ones_like(x), x)
    y = safe * math.pi
    return xp.where(at_zero, xp.zeros_like(x), (y * xp.cos(y) - xp.sin(y)) / (y * safe))


sinc = unary(Sinc)

entr, erfcx, ndtr = (
    unary(c, f"special.{n}") for c, n in ((SpecialEntr, "entr"), (SpecialErfcx, "erfcx"), (SpecialNdtr, "ndtr"))
)
log_ndtr, ndtri = unary(SpecialLogNdtr, "special.log_ndtr"), unary(SpecialNdtri, "special.ndtri")
xlog1py, zeta = binary(SpecialXlog1Py, name="special.xlog1py"), binary(SpecialZeta, name="special.zeta")

export("logit", logit, in_place=True)
export("mvlgamma", mvlgamma, in_place=True)
export("polygamma", polygamma, method=False)


def _polygamma_of(self: Tensor, n: int) -> Tensor:
    """``torch.polygamma(n, self)``, the n-th derivative of :meth:`digamma`."""
    return polygamma(n, self)


def _polygamma_into(self: Tensor, n: int) -> Tensor:
    """In-place :meth:`polygamma`: writes the result into this tensor and returns it."""
    return assign(self, polygamma(n, self))


attach(polygamma=_polygamma_of, polygamma_=_polygamma_into)
