"""Interleaved comparison: every contestant in turn, round after round, so that noise falls on all alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Row:
    """One line of the report: medians in seconds, and how many times faster than the peer we are."""

    name: str
    ours: float
    peer: float
    goal: float
    note: str = ""

    @property
    def ratio(self) -> float:
        return self.peer / self.ours

    def __str__(self) -> str:
        verdict = "reached" if self.ratio >= self.goal else "MISSED "
        return (f"{self.name:38s} {pretty(self.ours):>10s} {pretty(self.peer):>10s} {self.ratio:7.2f}x "
                f"goal {self.goal:5.2f}x {verdict} {self.note}")  # fmt: skip


def pretty(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.2f} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def race(contestants: dict[str, Callable[[], Any]], rounds: int, target: float = 0.02) -> dict[str, float]:
    """The median time of one call of each, in seconds, over interleaved rounds of about ``target`` seconds."""
    counts, times = {}, {name: [] for name in contestants}
    for name, f in contestants.items():
        f()
        n, taken = 1, 0.0
        while taken < target / 4 and rounds > 1:  # until it is warm: the first calls take several times as long
            n *= 2
            start = time.perf_counter()
            for _ in range(n):
                f()
            taken = time.perf_counter() - start
        counts[name] = max(1, int(target / taken * n)) if taken else 1
    if rounds > 1:
        gc.collect()
    gc.disable()  # as timeit: what one contestant leaves behind is not to be collected in another's time
    try:
        for _ in range(rounds):
            for name, f in contestants.items():
                n = counts[name]
                start = time.perf_counter()
                for _ in range(n):
                    f()
                times[name].append((time.perf_counter() - start) / n)
    finally:
        gc.enable()
    return {name: statistics.median(t) for name, t in times.items()}
