"""Finite differences in float64 that know how far they can be trusted.

Differences are taken at steps from a tenth of the point's size down to where rounding takes over, each half
of the one before, and extrapolated to step zero (Richardson); of all the estimates the one that agrees best
with its neighbours counts (Ridders, *Advances in Engineering Software* 4, 1982).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

TOLERANCE: Final = 1e-6  # relative
ROUGH: Final = 1e-3  # an estimate less certain than this says nothing
_NEGLIGIBLE: Final = 1e-9  # beside the slopes nearby
_EPSILON: Final = float(np.finfo(np.float64).eps)
_TINY: Final = float(np.finfo(np.float64).tiny)
_DEPTH: Final = 6  # columns of the extrapolation

Verdict = Literal["agrees", "differs", "kink", "unclear"]


@dataclass(frozen=True)
class Check:
    """How a derivative compares with a finite difference.

    At a ``kink`` the slopes on the ``left`` and on the ``right`` are different and there is no derivative;
    ``unclear`` means that rounding hides the difference.
    """

    estimate: float
    error: float  # relative, or absolute where the derivative is zero but for rounding
    relative: bool
    verdict: Verdict
    left: float
    right: float


class Stencil:
    """The points around ``x`` at which a function of one variable is wanted: ``x + step`` and ``x - step``."""

    def __init__(self, x: float) -> None:
        size = abs(x) or 1.0
        largest, smallest = 0.0937 * max(1.0, size), 1e-10 * min(1.0, size)  # not a round number: periods are
        steps = largest * 0.5 ** np.arange(math.ceil(math.log2(largest) - math.log2(smallest)))
        self.up, self.down = x + steps - x, x - (x - steps)  # the steps as float64 can take them
        self.points = np.concatenate([x + steps, x - steps])

    def check(self, derivative: float, value: float, around: Array) -> Check:
        """Compare ``derivative`` with differences of a function: its value at x and those at ``points``."""
        above, below = np.split(around, 2)
        with np.errstate(all="ignore"):
            noise = (4 * _EPSILON * np.fmax(np.fmax(abs(above), abs(below)), abs(value)) + _TINY) / self.up
            rises, falls = (above - value) / self.up, (value - below) / self.down
            centre, doubt = _extrapolate((above - below) / (self.up + self.down), noise, 4)
            right, right_doubt = _extrapolate(rises, noise, 2)
            left, left_doubt = _extrapolate(falls, noise, 2)
            nearby = np.concatenate([rises[:8], falls[:8], [derivative]])
        typical = float(np.max(abs(nearby[np.isfinite(nearby)]), initial=0.0))
        apart, size = abs(left - right), max(abs(left), abs(right))
        if apart > ROUGH * size + 10 * (left_doubt + right_doubt) + _NEGLIGIBLE * typical:
            return Check(centre, math.nan, True, "kink", left, right)
        if abs(centre - left) > ROUGH * size > apart:  # steps that fit a period, or that reach across a pole
            centre, doubt = right, right_doubt
        if math.isnan(centre):  # the function begins or ends here
            centre, doubt = (left, left_doubt) if math.isnan(right) else (right, right_doubt)
        error, size = abs(derivative - centre), max(abs(derivative), abs(centre))
        certain = doubt <= ROUGH * typical
        agrees = error <= TOLERANCE * size or (certain and error <= 4 * doubt)
        relative = size > max(4 * doubt, _NEGLIGIBLE * typical)
        verdict: Verdict = "agrees" if agrees else "differs" if certain else "unclear"
        return Check(centre, error / size if relative else error, relative, verdict, left, right)


def _extrapolate(rough: Array, noise: Array, growth: float) -> tuple[float, float]:
    """The limit of ``rough``, taken at steps of which each is half the one before, and its uncertainty."""
    best, doubt = math.nan, math.inf
    column = rough
    for depth in range(1, _DEPTH):
        better = column[1:] + (column[1:] - column[:-1]) / (growth**depth - 1)
        spread = np.maximum(abs(better - column[1:]), abs(better - column[:-1])) + noise[depth:]
        spread[~np.isfinite(spread)] = math.inf
        i = int(np.argmin(spread))
        if spread[i] < doubt:
            best, doubt = float(better[i]), float(spread[i])
        column = better
    return best, doubt
