"""Binomial counts: draws one by one, since each count takes as many as it happens to need."""

from __future__ import annotations

import math
from collections.abc import Callable


def binomial(n: float, p: float, u: Callable[[], float], rounded: Callable[[float], float] = float) -> float:
    """How many of ``n`` trials succeed, each with probability ``p``; nan for a ``p`` of nan.

    ``rounded`` gives a number in the precision of both: PyTorch multiplies them in it, and goes on in double.
    """
    if n <= 0 or p <= 0:
        return 0.0
    if p >= 1:
        return n
    if p != p or not math.isfinite(n):
        return p if p != p else n
    if p > 0.5:
        return n - binomial(n, 1 - p, u, rounded)
    return _by_rejection(n, p, u, rounded(n * p)) if n * p >= 10 else _by_waiting(n, p, u)


def _by_waiting(n: float, p: float, u: Callable[[], float]) -> float:
    """By how many trials it takes to each success."""
    log_failure, trials, successes = math.log1p(-p), 0.0, 0
    while True:
        drawn = u()
        trials += math.ceil(math.log(drawn) / log_failure) if drawn else math.inf
        if trials > n:
            return successes
        successes += 1


def _by_rejection(n: float, p: float, u: Callable[[], float], mean: float) -> float:
    """Transformed rejection with squeeze (Hörmann, 1993)."""
    deviation = math.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    centre, bound = mean + 0.5, 0.92 - 4.2 / b
    odds, alpha, mode = p / (1 - p), (2.83 + 5.1 / b) * deviation, math.floor((n + 1) * p)
    while True:
        x, y = u() - 0.5, u()
        s = 0.5 - abs(x)
        k = math.floor((2 * a / s + b) * x + centre) if s else -1
        if s >= 0.07 and y <= bound:
            return k
        if not 0 <= k <= n:
            continue
        y = math.log(y * alpha / (a / (s * s) + b)) if y else -math.inf
        if y <= (
            (mode + 0.5) * math.log((mode + 1) / (odds * (n - mode + 1)))
            + (n + 1) * math.log((n - mode + 1) / (n - k + 1))
            + (k + 0.5) * math.log(odds * (n - k + 1) / (k + 1))
            + _tail(mode) + _tail(n - mode) - _tail(k) - _tail(n - k)
        ):  # fmt: skip
            return k


def _tail(k: float) -> float:
    """What Stirling's formula for log k! leaves out."""
    if k <= 9:
        return _FIRST[int(k)]
    square = (k + 1) * (k + 1)
    return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)


_FIRST = [
    math.lgamma(k + 1) - 0.5 * math.log(2 * math.pi) - (k + 0.5) * math.log(k + 1) + (k + 1) for k in range(10)
]  # fmt: skip
