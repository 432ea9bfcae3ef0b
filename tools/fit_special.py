"""Fit the polynomials of ``chainrule.arrays.numpy_special`` and print the tables that it holds.

Run:  python tools/fit_special.py
"""

from __future__ import annotations

import sys
from typing import Any

from fit_polynomials import Function, Problem, Real, fit, mp

DECAY = 0.35  # of erfc's variable 1 / (1 + DECAY a)


def tail(a: Real) -> Real:
    """exp(a**2) erfc(a)."""
    return mp.exp(a * a) * mp.erfc(a)


def of_decay(t: Real) -> Real:
    return tail((1 / t - 1) / DECAY) / t


def half(a: Real) -> Real:
    """The normal distribution's probability of a value below -a."""
    return mp.erfc(a / mp.sqrt(2)) / 2


def inverse(w: Real) -> Real:
    """erfinv(x) / x where w = -log(1 - x**2); by Newton's steps for the logarithm of erfc."""
    x = mp.sqrt(-mp.expm1(-w))
    complement = mp.exp(-w) / (1 + x)
    y = x * mp.sqrt(mp.pi) / 2 if w < 1 else mp.sqrt(w - mp.log(w + 1) / 2)
    for _ in range(100):
        c = mp.erfc(y)
        step = (mp.log(c) - mp.log(complement)) * c * mp.sqrt(mp.pi) / 2 * mp.exp(y * y)
        y += step
        if abs(step) < 1e-40:
            break
    return y / x


def of_inverse_square(f: Function) -> Function:
    """z -> f(1 / sqrt(z)), also at the 0 that it is continued to."""
    return lambda z: f(1 / mp.sqrt(z))


def stirling(w: Real) -> Real:
    return (mp.loggamma(w) - (w - 0.5) * mp.log(w) + w - mp.log(2 * mp.pi) / 2) * w


def one(_: Real) -> Any:
    return mp.mpf(1)


SHIFTED = (0.0, 1 / 63.0)
PROBLEMS = {
    "ERF": Problem(
        "erf(x) = -expm1(-x p(x)), 0 <= x until erf(x) rounds to 1",
        lambda x: -mp.log(mp.erfc(x)) / x,
        lambda x: x * mp.erfc(x) / mp.erf(x),
        0.0,
        3.93,
        {"float32": 8},
    ),
    "ERFC": Problem(
        "erfc(a) = exp(-a**2) t p(t) with t = 1 / (1 + DECAY a), 0 <= a until erfc(a) is 0",
        of_decay,
        lambda t: 1 / of_decay(t),
        1 / (1 + DECAY * 10.1),
        1.0,
        {"float64": 9},
    ),
    "GELU": Problem(
        "the normal distribution's probability of a value below -a is exp2(-a p(a)) / 2",
        lambda a: -mp.log(2 * half(a), 2) / a,
        lambda a: 2 * a * mp.log(2) * half(a),
        0.0,
        6.0,
        {"float32": 7},
    ),
    "GELU_SLOPE": Problem(
        "gelu's slope at -a is exp(-a**2 / 2) p(a)",
        lambda a: half(a) * mp.exp(a * a / 2) - a / mp.sqrt(2 * mp.pi),
        lambda a: mp.exp(-a * a / 2),
        0.0,
        6.0,
        {"float32": 10},
    ),
    "ERFINV": Problem(
        "erfinv(x) = x p(w) with w = -log(1 - x**2) < 5",
        inverse,
        lambda w: 1 / inverse(w),
        0.0,
        5.0,
        {"float32": 9},
    ),
    "ERFINV_TAIL": Problem(
        "erfinv(x) = x p(sqrt(w) - 3), w >= 5",
        lambda s: inverse((s + 3) ** 2),
        lambda s: 1 / inverse((s + 3) ** 2),
        -0.764,
        1.03,
        {"float32": 9},
    ),
    "LGAMMA": Problem(
        "lgamma(w) = (w - 1/2) log(w) - w + log(2 pi) / 2 + p(1 / w**2) / w, w >= 8",
        of_inverse_square(stirling),
        one,
        *SHIFTED,
        {"float64": 4},
    ),
    "DIGAMMA": Problem(
        "digamma(w) = log(w) - 1 / (2 w) - p(1 / w**2) / w**2, w >= 8",
        of_inverse_square(lambda w: (mp.log(w) - 1 / (2 * w) - mp.digamma(w)) * w * w),
        one,
        *SHIFTED,
        {"float64": 5},
    ),
    "TRIGAMMA": Problem(
        "trigamma(w) = 1 / w + 1 / (2 w**2) + p(1 / w**2) / w**3, w >= 8",
        of_inverse_square(lambda w: (mp.polygamma(1, w) - 1 / w - 1 / (2 * w * w)) * w**3),
        one,
        *SHIFTED,
        {"float64": 5},
    ),
}


def main() -> None:
    for name, problem in PROBLEMS.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        ((dtype, _),) = problem.degrees.items()
        coefficients, bits = fit(problem, dtype)
        print(f"{name}: {problem.formula}: 2**{bits:.1f}", file=sys.stderr)
        print(f"{name} = ({', '.join(map(repr, coefficients))})")


if __name__ == "__main__":
    main()
