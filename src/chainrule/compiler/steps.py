"""Steps of a plan: calls, loops, lines."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from . import scalar
from .program import Atom, Equation, Var


@dataclass(slots=True)
class Call:
    """One primitive, on NumPy arrays."""

    equation: Equation

    @property
    def equations(self) -> list[Equation]:
        """The one, as other steps have several."""
        return [self.equation]


@dataclass(slots=True)
class Line:
    """Straight code over numbers: whole variables of one entry, or the entries of arrays.

    ``loads`` name the entries of arrays that are read, ``stores`` those of arrays that are written.
    """

    equations: list[Equation]
    outputs: list[Var] = field(default_factory=list)
    loads: dict[Var, list[Var]] = field(default_factory=dict)
    stores: dict[Var, list[Atom]] = field(default_factory=dict)


@dataclass(slots=True)
class Loop:
    """Equations over one ``shape``; the last ``folded`` axes are what its reductions fold."""

    shape: tuple[int, ...]
    equations: list[Equation]
    folded: int = 0
    outputs: list[Var] = field(default_factory=list)

    @property
    def rowwise(self) -> bool:
        """Whether the loop goes row by row, each with results of its own."""
        return 0 < self.folded < len(self.shape) and self.rows > 1

    @property
    def rows(self) -> int:
        """The number of rows that reductions fold."""
        return math.prod(self.shape[: len(self.shape) - self.folded])

    @property
    def cols(self) -> int:
        """The length of a row."""
        return math.prod(self.shape[len(self.shape) - self.folded :])

    @property
    def cost(self) -> float:
        """Roughly, in nanoseconds on one core."""
        return math.prod(self.shape) * sum(map(scalar.cost, self.equations))

    def is_full(self, v: Var) -> bool:
        """Whether ``v`` has an entry wherever the loop goes."""
        return v.shape == self.shape

    def is_kept(self, v: Var) -> bool:
        """Whether ``v`` has one entry for each row, and broadcasts as such."""
        return v.shape == self.shape[: len(self.shape) - self.folded] + (1,) * self.folded

    def is_row(self, v: Var) -> bool:
        """Whether ``v`` has one entry for each row, the folded axes kept with length 1 or not."""
        return self.folded > 0 and (self.is_kept(v) or v.shape == self.shape[: len(self.shape) - self.folded])

    def is_column(self, v: Var) -> bool:
        """Whether ``v`` is one row, the same for all."""
        lead = max(len(v.shape) - self.folded, 0)
        return v.size == self.cols and v.shape[lead:] == self.shape[len(self.shape) - self.folded :]


Step = Call | Line | Loop
