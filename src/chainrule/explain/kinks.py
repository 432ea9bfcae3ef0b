"""The conventions at kinks as a table: each slope is computed when it is asked for, beside those on both sides."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import chainrule as torch

from ..autograd.masks import exact_masks
from ..language import Language, known
from .text import table

_STEP: Final = 2.0**-30  # so that the sums below are exact

# A function of one number, in words and in code, and where it has a kink or a pole.
CASES: Final[tuple[tuple[str, Callable[[Any], Any], float], ...]] = (
    ("abs(x)", torch.abs, 0.0),
    ("relu(x)", torch.relu, 0.0),
    ("leaky_relu(x)", torch.nn.functional.leaky_relu, 0.0),
    ("elu(2x)", lambda x: torch.nn.functional.elu(2 * x, 0.5), 0.0),
    ("clamp(x, 0, 1)", lambda x: x.clamp(0, 1), 0.0),
    ("clamp(x, 0, 1)", lambda x: x.clamp(0, 1), 1.0),
    ("hardtanh(x)", torch.nn.functional.hardtanh, 1.0),
    ("relu6(x)", torch.nn.functional.relu6, 6.0),
    ("maximum(x, 0)", lambda x: torch.maximum(x, torch.zeros_like(x)), 0.0),
    ("minimum(x, 0)", lambda x: torch.minimum(x, torch.zeros_like(x)), 0.0),
    ("where(x > 0, x, -x)", lambda x: torch.where(x > 0, x, -x), 0.0),
    ("sign(x)", torch.sign, 0.0),
    ("floor(x)", torch.floor, 1.0),
    ("round(x)", torch.round, 0.5),
    ("remainder(x, 1)", lambda x: torch.remainder(x, 1.0), 1.0),
    ("sqrt(x)", torch.sqrt, 0.0),
    ("x ** 0.5", lambda x: x**0.5, 0.0),
    ("norm([x])", lambda x: x.reshape(1).norm(), 0.0),
    ("log(x)", torch.log, 0.0),
    ("1 / x", torch.reciprocal, 0.0),
    ("where(x > 0, sqrt(x), x)", lambda x: torch.where(x > 0, torch.sqrt(x), x), -1.0),
)


@dataclass(frozen=True)
class Row:
    """One kink: the slope on the left and on the right, the one given, and the one given inside ``exact_masks()``."""

    function: str
    x: float
    left: float
    right: float
    given: float
    masked: float


class Conventions(list[Row]):
    """The rows; printed, a table."""

    def __init__(self, rows: list[Row], language: Language) -> None:
        super().__init__(rows)
        self.language = language

    def __str__(self) -> str:
        zh = self.language == "zh"
        head = ["函数", "x", "左侧", "右侧", "这里取", "exact_masks"] if zh else [
            "function", "x", "left", "right", "here", "exact_masks"
        ]  # fmt: skip
        rows = [[r.function, *map(_shown, (r.x, r.left, r.right, r.given, r.masked))] for r in self]
        return "\n".join(table([head, *rows], range(1, 6)))

    __repr__ = __str__


def conventions(lang: Language | None = None) -> Conventions:
    """The slopes that are taken where a function has none: PyTorch's, but for the last column.

    Computed here and now.  "left" and "right" are the slopes on both sides, nan where the function has no value, inf
    where it is infinite or jumps; "here" is what ``backward()`` gives, and the last column what it gives inside
    :class:`torch.autograd.exact_masks`.

    >>> from chainrule.explain import conventions
    >>> print("\\n".join(str(conventions("en")).splitlines()[:4]))
    function                    x  left  right  here  exact_masks
    abs(x)                      0    -1      1     0            0
    relu(x)                     0     0      1     0            0
    leaky_relu(x)               0  0.01      1  0.01         0.01
    """
    return Conventions([_row(name, f, x) for name, f, x in CASES], known(lang))


def _row(name: str, f: Callable[[Any], Any], x: float) -> Row:
    given = _slope(f, x)
    with exact_masks():
        masked = _slope(f, x)
    return Row(name, x, _side(f, x, -_STEP), _side(f, x, _STEP), given, masked)


def _slope(f: Callable[[Any], Any], x: float) -> float:
    at = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(f(at), at)
    return float(found)


def _side(f: Callable[[Any], Any], x: float, step: float) -> float:
    """The slope on one side: that of the function a little farther on, if it goes on to there without a jump."""
    here, there = (float(f(torch.tensor(v, dtype=torch.float64))) for v in (x, x + step))
    slope, near = (there - here) / step, _slope(f, x + step)
    if math.isnan(there):
        return math.nan
    if math.isnan(slope) or abs(slope) > 1e4:
        return math.copysign(math.inf, slope if math.isfinite(here) else near)
    return slope if math.isnan(near) else near


def _shown(value: float) -> str:
    return f"{value + 0:.4g}"
