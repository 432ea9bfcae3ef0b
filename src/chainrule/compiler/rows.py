"""Rows: the source of a loop that goes row by row, since reductions fold its rows."""

from __future__ import annotations

from . import lanes, scalar
from .direct import registers
from .emit import BLOCK, Constants, LoopWriter, Steps, indent, times
from .plan import REDUCTIONS, across
from .program import Equation, Var
from .steps import Loop
from .table import merged


class Rows(LoopWriter):
    """Row by row: a loop over the row up to each reduction, then the next with its result."""

    def __init__(self, loop: Loop, constants: Constants, onto: dict[Var, Var], steps: Steps) -> None:
        super().__init__(loop, constants, onto, steps)
        # The loop over the row in which a value is made; for a row's own value, the one that may read it.
        self.stage: dict[Var, int] = {}
        for eq in loop.equations:
            ready = max((self.stage.get(v, 0) for v in eq.vars), default=0)
            self.stage[eq.out] = ready + 1 if eq.name in REDUCTIONS else ready
        self.full = dict.fromkeys(eq.out for eq in loop.equations if loop.is_full(eq.out) and eq.name not in REDUCTIONS)
        # Made in one loop and read in a later one: kept in the output, or in memory for one row.
        self.apart: dict[Var, int] = {}  # entries in a row of what is read where it lies
        for v in self.arrays:
            if v in steps and loop.is_full(v):
                self.place(v, steps[v])
        self.crossing = {
            v for eq in loop.equations for v in eq.vars if v in self.full and self.stage[v] < self.loop_of(eq)
        }

    def place(self, v: Var, steps: tuple[int, ...]) -> None:
        """Have an array read where it lies, if its rows follow one another at one distance, and their entries."""
        k = len(self.loop.shape) - self.loop.folded
        rows, entries = (merged(self.loop.shape[part], steps[part]) for part in (slice(k), slice(k, None)))
        if len(rows) == len(entries) == 1:
            self.lying[v] = None
            self.distances[f"{self.name(v)}a"], self.apart[v] = rows[0][1], entries[0][1]

    def loop_of(self, eq: Equation) -> int:
        """The loop over the row that an equation belongs to; for a row's value, the one that follows it."""
        return self.stage[eq.out] - (eq.name in REDUCTIONS)

    def dims(self) -> tuple[int, ...]:
        return self.loop.rows, self.loop.cols

    def slices(self) -> list[str]:
        return []

    def scratch(self) -> list[str]:
        return [f"{self.name(v)}s = np.empty(n1, np.{v.dtype.name})"
                for v in self.full if v in self.crossing and v not in self.outputs]  # fmt: skip

    def body(self, wide: bool) -> list[str]:
        rows = []
        for v in [*self.arrays, *self.outputs]:
            if v in self.lying:
                rows.append(f"{self.name(v)}s = {self.name(v)}_[row * {self.name(v)}a :]")
            elif self.loop.is_full(v):
                rows.append(f"{self.name(v)}s = {self.name(v)}_[row * n1 : row * n1 + n1]")
            elif v in self.arrays and self.loop.is_kept(v):
                rows.append(f"{self.name(v)} = {self.name(v)}_[row]")
            elif v in self.across:
                rows.append(f"{self.name(v)}s = {self.name(v)}_[:n1]")
        rows += [*self.crossed("row", "n0"), *self.marks("0")]
        for stage in range(max(self.stage.values()) + 1):
            rows += self.lines([eq for eq in self.loop.equations if self.stage[eq.out] == stage and eq.out not in self.full
                                and eq.name not in REDUCTIONS], wide)  # fmt: skip
            rows += self.one_loop(stage, wide)
        rows += [f"{self.name(v)}_[row] = {self.name(v)}" for v in self.outputs if v not in self.full]
        return ["for row in range(start, stop):", *indent(rows)]

    def kind(self, equations: list[Equation]) -> str:
        """How to go along a short row: where entries take long, those left over from whole vectors would take longest."""
        slow = any(scalar.calls(eq) or eq.name in ("Amax", "Amin", "Div") for eq in equations)
        size = min((eq.out.dtype.itemsize for eq in equations if eq.out.dtype in scalar.FLOATS), default=0)
        if not slow or not size or registers()[1] < 64:  # where parts of vectors cost nothing
            return "range"
        width = registers()[1] // size
        return "masked" if width <= self.loop.cols < 12 * width and self.loop.cols % (4 * width) else "range"

    def one_loop(self, stage: int, wide: bool) -> list[str]:
        equations = [
            eq
            for eq in self.loop.equations
            if (eq.out in self.full or eq.name in REDUCTIONS) and self.loop_of(eq) == stage
        ]
        if not equations:
            return []
        made = dict.fromkeys(eq.out for eq in equations)
        read = dict.fromkeys(v for eq in equations for v in across(eq) if v not in made)
        inside = [f"{self.name(v)} = {self.name(v)}s[{times('i', self.apart.get(v, 1))}]" for v in read
                  if v in self.full or (v in self.arrays and not self.loop.is_kept(v))]  # fmt: skip
        inside += self.lines(equations, wide)
        inside += [
            f"{self.name(v)}s[i] = {self.name(v)}"
            for v in made
            if v in self.full and (v in self.outputs or v in self.crossing)
        ]
        sums = [eq for eq in equations if eq.name == "Sum" and self.loop.cols > BLOCK]  # which go by parts
        starts = self.starts([eq for eq in equations if eq.name in REDUCTIONS and eq not in sums])
        if not sums:
            return [*starts, f"for i in {self.kind(equations)}(n1):", *indent(inside)]
        part = [*self.starts(sums), f"for i in range(part, min(part + {BLOCK}, n1)):", *indent(inside)]
        totals = [(f"{self.name(eq.out)}t", self.name(eq.out), eq.out.dtype.name) for eq in sums]
        part += [f"{t} = {t} + np.float64({s})" for t, s, _ in totals]
        starts += [f"{t} = np.float64(0.0)" for t, _, _ in totals]
        ends = [f"{s} = np.{dtype}({t})" for t, s, dtype in totals]
        return [*starts, f"for part in range(0, n1, {BLOCK}):", *indent(part), *ends]


class Columns(Rows):
    """Rows too short for vectors: many of them at once, copied to where their first entries are neighbours, and so on."""

    block = 1024

    def __init__(self, loop: Loop, constants: Constants, onto: dict[Var, Var], steps: Steps) -> None:
        super().__init__(loop, constants, onto, steps)
        full = [v for v in self.arrays if loop.is_full(v)]
        self.turned = dict.fromkeys([*full, *[v for v in self.full if v in self.crossing or v in self.outputs]])
        self.of_row = dict.fromkeys(
            [v for v in self.arrays if loop.is_kept(v)] + [v for v in self.stage if v not in self.full]
        )

    def scratch(self) -> list[str]:
        sizes = dict.fromkeys(self.turned, self.block) | {v: self.block // 2 for v in self.of_row if v in self.stage}
        return [f"{self.name(v)}s = np.empty({size}, np.{v.dtype.name})" for v, size in sizes.items()]

    def body(self, wide: bool) -> list[str]:
        lines = ["many = stop - start"]
        for v in self.arrays:
            if v in self.turned:
                lines += self.copied(v, "{0}s[i * many + row] = {0}r[{1}]")
            else:
                lines.append(f"{self.name(v)}s = {self.name(v)}_[{'start:' if v in self.of_row else ':n1'}]")
        for stage in range(max(self.stage.values()) + 1):
            few = [eq for eq in self.loop.equations if eq.out in self.of_row and self.stage[eq.out] == stage]
            if few := [eq for eq in few if eq.name not in REDUCTIONS]:
                lines += ["for row in range(many):", *indent(self.of_rows(few, wide))]
            lines += self.one_loop(stage, wide)
        for v in self.outputs:
            if v in self.full:
                lines += self.copied(v, "{0}r[{1}] = {0}s[i * many + row]")
            else:
                lines += ["for row in range(many):", f"    {self.name(v)}_[start + row] = {self.name(v)}s[row]"]
        return lines

    def copied(self, v: Var, entry: str) -> list[str]:
        name = self.name(v)
        apart = f"{name}a" if v in self.lying else "n1"
        spot = f"row * {apart} + {times('i', self.apart.get(v, 1))}"
        place = f"{name}r = {name}_[start * {apart} :]"
        return [place, "for row in range(many):", "    for i in range(n1):", "        " + entry.format(name, spot)]

    def of_rows(self, equations: list[Equation], wide: bool) -> list[str]:
        """The equations for one row, or one entry of it."""
        folds = [eq.out for eq in equations if eq.name in REDUCTIONS]
        made = dict.fromkeys(eq.out for eq in equations)
        read = dict.fromkeys([v for eq in equations for v in eq.vars if v not in made] + [*folds])
        place = {**dict.fromkeys(self.of_row, "s[row]"), **dict.fromkeys(self.turned, "i[row]")}
        lines = [f"{self.name(v)} = {self.name(v)}{place[v]}" for v in read if v in place]
        lines += self.lines(equations, wide)
        return lines + [f"{self.name(v)}{place[v]} = {self.name(v)}" for v in made if v in place]

    def one_loop(self, stage: int, wide: bool) -> list[str]:
        wanted = [eq for eq in self.loop.equations if eq.out in self.full or eq.name in REDUCTIONS]
        equations = [eq for eq in wanted if self.loop_of(eq) == stage]
        if not equations:
            return []
        used = dict.fromkeys(v for eq in equations for v in (*eq.vars, eq.out))
        along = [f"{self.name(v)}i = {self.name(v)}s[i * many : i * many + many]" for v in used if v in self.turned]
        along += [f"{self.name(v)} = {self.name(v)}s[i]" for v in self.arrays
                  if v in used and v not in self.turned and v not in self.of_row]  # fmt: skip
        totals = [eq for eq in equations if eq.name in REDUCTIONS]
        starts = [f"{self.name(eq.out)}s[row] = np.{eq.out.dtype.name}({lanes.START[eq.name]})" for eq in totals]
        inner = ["for row in range(many):", *indent(self.of_rows(equations, wide))]
        first = ["for row in range(many):", *indent(starts)] if starts else []
        return [*first, "for i in range(n1):", *indent([*along, *inner])]
