"""Fit the polynomials of the compiler's elementary functions and print the module that holds them.

Every polynomial is a weighted minimax fit: least squares on Chebyshev-distributed points, reweighted
until the error levels out (Lawson's iteration).  The coefficients are then rounded to the target format
one by one, lowest order first, refitting the rest each time, so that each rounding is absorbed by the
coefficients above it.

Run:  python tools/fit_polynomials.py > src/chainrule/compiler/mathlib_tables.py
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

mp: Any = importlib.import_module("mpmath")  # untyped
mp.mp.dps = 70
Real = Any  # mpmath.mpf
Function = Callable[[Real], Real]


@dataclass(frozen=True)
class Problem:
    """Find the polynomial p that minimises the largest |weight * (target - p)| on [low, high]."""

    formula: str
    target: Function
    weight: Function
    low: float
    high: float
    degrees: dict[str, int]


class Fit:
    def __init__(self, problem: Problem, degree: int) -> None:
        count = 8 * (degree + 2)
        middle, half = (problem.low + problem.high) / mp.mpf(2), (problem.high - problem.low) / mp.mpf(2)
        self.points = [middle - half * mp.cos(mp.pi * (i + 0.5) / count) for i in range(count)]
        self.target = [problem.target(x) for x in self.points]
        self.weight = [abs(problem.weight(x)) for x in self.points]
        self.emphasis = [mp.mpf(1)] * count
        self.degree = degree

    def solve(self, known: Sequence[Real]) -> list[Real]:
        """The coefficients that follow the `known` ones, by least squares."""
        free = range(len(known), self.degree + 1)
        powers = [[x**j for x in self.points] for j in free]
        rest = [t - polynomial(known, x) for t, x in zip(self.target, self.points, strict=True)]
        square = [e * w * w for e, w in zip(self.emphasis, self.weight, strict=True)]
        scaled = [[s * v for s, v in zip(square, row, strict=True)] for row in powers]
        normal = mp.matrix([[mp.fdot(a, b) for b in powers] for a in scaled])
        return list(mp.lu_solve(normal, mp.matrix([mp.fdot(a, rest) for a in scaled])))

    def errors(self, coefficients: Sequence[Real]) -> list[Real]:
        rows = zip(self.weight, self.target, self.points, strict=True)
        return [abs(w * (t - polynomial(coefficients, x))) for w, t, x in rows]

    def level(self, rounds: int = 15) -> None:
        for _ in range(rounds):
            errors = self.errors(self.solve([]))
            raised = [e * error for e, error in zip(self.emphasis, errors, strict=True)]
            mean = sum(raised) / len(raised)
            self.emphasis = [r / mean for r in raised]


def polynomial(coefficients: Sequence[Real], x: Real) -> Real:
    return mp.polyval(list(coefficients)[::-1] or [0], x)


def rounded(value: Real, dtype: str) -> Real:
    return mp.mpf(float(np.dtype(dtype).type(float(value))))


def fit(problem: Problem, dtype: str) -> tuple[list[float], float]:
    search = Fit(problem, problem.degrees[dtype])
    search.level()
    known: list[Real] = []
    for _ in range(search.degree + 1):
        known.append(rounded(search.solve(known)[0], dtype))
    return [float(c) for c in known], float(mp.log(max(search.errors(known)), 2))


def of_root(f: Function) -> Function:
    """z -> f(sqrt(z)), for the even part of a function."""
    return lambda z: f(mp.sqrt(z))


HALF_LN2 = 0.3467
PI_4 = 0.798  # a rounded quotient overshoots pi / 4 a little when x is large
PROBLEMS = {
    "EXP": Problem(
        "exp(r) = 1 + r + r**2 p(r)",
        lambda r: (mp.expm1(r) - r) / r**2,
        lambda r: r**2 / mp.expm1(r),
        -HALF_LN2,
        HALF_LN2,
        {"float32": 5, "float64": 10},
    ),
    "LOG": Problem(
        "log(m) = 2 s + 2 s z p(z) with s = (m - 1) / (m + 1), z = s**2, 1/2 <= m**2 <= 2",
        of_root(lambda s: (mp.atanh(s) / s - 1) / s**2),
        lambda z: z,
        0.0,
        0.02944,
        {"float32": 3, "float64": 6},
    ),
    "LOG_TAIL": Problem(
        "log(m) = 2 s (1 + z / 3 + z**2 p(z)), for pow",
        of_root(lambda s: ((mp.atanh(s) / s - 1) / s**2 - mp.mpf(1) / 3) / s**2),
        lambda z: z**2,
        0.0,
        0.02944,
        {"float32": 2, "float64": 7},
    ),
    "LOG1P": Problem(
        "log(1 + f) = 2 s + 2 s z p(z) with s = f / (f + 2), z = s**2, 0 <= f <= 1",
        of_root(lambda s: (mp.atanh(s) / s - 1) / s**2),
        lambda z: z,
        0.0,
        0.11112,
        {"float32": 5, "float64": 12},
    ),
    "SIN": Problem(
        "sin(r) = r + r z p(z) with z = r**2",
        of_root(lambda r: (mp.sin(r) / r - 1) / r**2),
        lambda z: z,
        0.0,
        PI_4**2,
        {"float32": 2, "float64": 5},
    ),
    "COS": Problem(
        "cos(r) = 1 - z / 2 + z**2 p(z) with z = r**2",
        of_root(lambda r: (mp.cos(r) - 1 + r**2 / 2) / r**4),
        lambda z: z**2,
        0.0,
        PI_4**2,
        {"float32": 2, "float64": 5},
    ),
    "TAN": Problem(
        "tan(r) = r + r z p(z) with z = r**2",
        of_root(lambda r: (mp.tan(r) / r - 1) / r**2),
        lambda z: z,
        0.0,
        PI_4**2,
        {"float32": 6, "float64": 14},
    ),
    "ATAN": Problem(
        "atan(t) = t + t z p(z) with z = t**2, |t| <= tan(pi / 8)",
        of_root(lambda t: (mp.atan(t) / t - 1) / t**2),
        lambda z: z,
        0.0,
        0.1716,
        {"float32": 4, "float64": 10},
    ),
    "ASIN": Problem(
        "asin(t) = t + t z p(z) with z = t**2, |t| <= 1/2",
        of_root(lambda t: (mp.asin(t) / t - 1) / t**2),
        lambda z: z,
        0.0,
        0.25,
        {"float32": 5, "float64": 12},
    ),
}
# float32 rounds erf to 1 above 3.92 and float64 above 5.92, so each has its own interval.
ERF_SLOPE = 2 / mp.sqrt(mp.pi)
ERF = {"float32": (3.93, 9), "float64": (5.93, 22)}


def erf_problem(dtype: str) -> Problem:
    high, degree = ERF[dtype]
    return Problem(
        "erf(x) = 1 - exp(-x (ERF_SLOPE + x p(x))), 0 <= x until erf(x) rounds to 1",
        lambda x: (-mp.log(mp.erfc(x)) / x - ERF_SLOPE) / x,
        lambda x: x**2 * mp.erfc(x) / mp.erf(x),
        0.0,
        high,
        {dtype: degree},
    )


# Constants as unevaluated sums of shrinking parts, each rounded to the format.
SPLITS = {
    "LN2": (mp.log(2), 2),
    "LOG2E": (1 / mp.log(2), 2),
    "LOG10E": (1 / mp.log(10), 2),
    "LOG10_2": (mp.log10(2), 2),
    "PI_2": (mp.pi / 2, 3),
    "TWO_OVER_PI": (2 / mp.pi, 1),
    "THIRD": (mp.mpf(1) / 3, 2),
    "ERF_SLOPE": (ERF_SLOPE, 2),
}


def split(value: Real, parts: int, dtype: str) -> list[float]:
    result: list[Real] = []
    for _ in range(parts):
        result.append(rounded(value - sum(result), dtype))
    return [float(part) for part in result]


def main() -> None:
    print('"""Generated by tools/fit_polynomials.py: coefficients, lowest order first; split constants."""\n')
    for name, problem in PROBLEMS.items():
        print(f"# {name}: {problem.formula}")
    print(f"# ERF: {erf_problem('float32').formula}")
    print("\nTABLES: dict[str, dict[str, tuple[float, ...]]] = {")
    for dtype in ("float32", "float64"):
        print(f'    "{dtype}": {{')
        for name, problem in {**PROBLEMS, "ERF": erf_problem(dtype)}.items():
            coefficients, bits = fit(problem, dtype)
            print(f"{name} {dtype}: 2**{bits:.1f}", file=sys.stderr)
            print_row(name, coefficients)
        for name, (value, parts) in SPLITS.items():
            print_row(name, split(value, parts, dtype))
        print("    },")
    print("}")


def print_row(name: str, numbers: Sequence[float]) -> None:
    if len(numbers) == 1:
        print(f'        "{name}": ({numbers[0]!r},),')
        return
    print(f'        "{name}": (')
    for number in numbers:
        print(f"            {number!r},")
    print("        ),")


if __name__ == "__main__":
    main()
