"""Poisson counts: draws one by one, since each count takes as many as it happens to need."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from .words import Words


class Ahead:
    """Uniforms one by one, drawn ahead in slices; ``close`` puts the generator where the last one taken left it."""

    _MOST = 2**12

    def __init__(self, words: Words) -> None:
        self._words = words
        self._left: Iterator[float] = iter(())
        self._before: Any = None
        self._taken = 0

    def __call__(self) -> float:
        for u in self._left:
            self._taken += 1
            return u
        self._before, self._taken = self._place(), 1
        self._left = iter(self._words._unit64(self._MOST).tolist())
        return next(self._left)

    def _place(self) -> Any:
        return self._words._engine.get_state(legacy=False)

    def close(self) -> None:
        if self._before is not None:
            self._words._engine.set_state(self._before)
            self._words._longs(self._taken)


def poisson(rate: float, u: Callable[[], float]) -> int:
    """How many events there are at this rate: by multiplying draws up to 10, from there on by rejection."""
    if rate == 0:
        return 0
    if rate < 10:
        enough, product, count = math.exp(-rate), u(), 0
        while product > enough:
            product *= u()
            count += 1
        return count
    root, log_rate = math.sqrt(rate), math.log(rate)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    scale = math.log(1.1239 + 1.1328 / (b - 3.4))
    bound = 0.9277 - 3.6224 / (b - 2)
    while True:
        x, y = u() - 0.5, u()
        s = 0.5 - abs(x)
        if s == 0:
            continue
        k = math.floor((2 * a / s + b) * x + rate + 0.43)
        if s >= 0.07 and y <= bound:
            return k
        if k < 0 or (s < 0.013 and y > s):
            continue
        likely = -rate + k * log_rate - math.lgamma(k + 1)
        if y == 0 or math.log(y) + scale - math.log(a / (s * s) + b) <= likely:
            return k
