"""How far to go in a direction: the line search by cubic interpolation for the strong Wolfe conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

ENOUGH = 1e-4  # of the fall that the slope at the start promises
FLAT = 0.9  # of the slope at the start


class Trial(NamedTuple):
    """A function of one variable at ``t``: its value, the gradient it comes from, its slope."""

    t: Any
    f: float
    g: Any
    slope: Any


def strong_wolfe(
    evaluate: Callable[[Any], Trial], t: Any, start: Trial, length: Any, small: float, most: int
) -> tuple[Trial, int]:
    """A point where the function has fallen enough and is flat enough, and how often it was evaluated.

    ``t`` is where to look first, ``length`` the direction's largest element; the search ends where the bracket times
    that is below ``small``, or after ``most`` evaluations beyond the first.
    """

    def high(p: Trial) -> bool:
        return bool(p.f > start.f + ENOUGH * p.t * start.slope)

    def flat(p: Trial) -> bool:
        return bool(abs(p.slope) <= -FLAT * start.slope)

    before, here, k = start, evaluate(t), 0
    while True:  # look for a bracket
        if k >= most:
            bracket = [start, here]
            break
        if high(here) or (k > 1 and here.f >= before.f):
            bracket = [before, here]
            break
        if flat(here):
            return here, k + 1
        if here.slope >= 0:
            bracket = [before, here]
            break
        t = between(before, here, here.t + 0.01 * (here.t - before.t), here.t * 10)
        before, here, k = here, evaluate(t), k + 1

    low = 0 if bracket[0].f <= bracket[1].f else 1
    slow = False
    while k < most:  # make it narrow
        least, largest = sorted([bracket[0].t, bracket[1].t])
        if abs(largest - least) * length < small:
            break
        t, edge = between(bracket[0], bracket[1], least, largest), 0.1 * (largest - least)
        if min(largest - t, t - least) < edge:
            if slow or t >= largest or t <= least:
                t = largest - edge if abs(t - largest) < abs(t - least) else least + edge
                slow = False
            else:
                slow = True
        else:
            slow = False
        here, k = evaluate(t), k + 1
        if high(here) or here.f >= bracket[low].f:
            bracket[1 - low] = here
            low = 0 if bracket[0].f <= bracket[1].f else 1
        else:
            done = flat(here)
            if not done and here.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
                bracket[1 - low] = bracket[low]
            bracket[low] = here
            if done:
                break
    return bracket[low], k + 1


def between(p: Trial, q: Trial, least: Any, largest: Any) -> Any:
    """Where the cubic through two points, with their slopes, is lowest, within bounds; their middle, if nowhere."""
    if p.t > q.t:
        p, q = q, p
    d1 = p.slope + q.slope - 3 * (p.f - q.f) / (p.t - q.t)
    square = d1 * d1 - p.slope * q.slope
    if not square >= 0:
        return (least + largest) / 2.0
    d2 = square**0.5
    t = q.t - (q.t - p.t) * ((q.slope + d2 - d1) / (q.slope - p.slope + 2 * d2))
    return min(max(t, least), largest)
