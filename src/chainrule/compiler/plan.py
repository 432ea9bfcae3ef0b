"""Plan: which equations share a loop, and in what order things are done.

A step is a call of one primitive on NumPy arrays, or a *loop* over one shape that computes many equations
at once, or a *line*: straight code over single numbers.  A loop may end in reductions.  If they fold only
the last axes, as softmax does, the loop goes row by row, and what depends on a row's sum follows in the
same step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from . import scalar
from .program import Atom, Equation, Program, Var

REDUCTIONS = {"Sum": "+", "Amax": "max", "Amin": "min"}
SMALL = 5e3  # nanoseconds
MOST_ARRAYS = 16  # in one loop: more would leave the registers and the cache's ways


@dataclass(slots=True)
class Call:
    """One primitive, on NumPy arrays."""

    equation: Equation

    @property
    def equations(self) -> list[Equation]:
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
        return 0 < self.folded < len(self.shape) and self.rows > 1

    @property
    def rows(self) -> int:
        return math.prod(self.shape[: len(self.shape) - self.folded])

    @property
    def cols(self) -> int:
        return math.prod(self.shape[len(self.shape) - self.folded :])

    @property
    def cost(self) -> float:
        """Roughly, in nanoseconds on one core."""
        return math.prod(self.shape) * sum(scalar.cost(eq) for eq in self.equations)

    def is_row(self, v: Var) -> bool:
        """Whether ``v`` has one entry for each row, the folded axes kept with length 1 or not."""
        return self.folded > 0 and (self.is_kept(v) or v.shape == self.shape[: len(self.shape) - self.folded])

    def is_kept(self, v: Var) -> bool:
        """Whether ``v`` has one entry for each row, and broadcasts as such."""
        return v.shape == self.shape[: len(self.shape) - self.folded] + (1,) * self.folded

    def is_column(self, v: Var) -> bool:
        """Whether ``v`` is one row, the same for all."""
        lead = max(len(v.shape) - self.folded, 0)
        return v.size == self.cols and v.shape[lead:] == self.shape[len(self.shape) - self.folded :]

    def is_full(self, v: Var) -> bool:
        """Whether ``v`` has an entry wherever the loop goes."""
        return v.shape == self.shape


Step = Call | Line | Loop


def plan(program: Program, fuse: bool) -> list[Step]:
    """The steps of a program; without ``fuse``, a call for each equation."""
    if not fuse:
        return [Call(eq) for eq in program.equations]
    steps = _Planner(program).run()
    _name_outputs(program, steps)
    for step in steps:
        if isinstance(step, Loop):
            _sink(step, steps, {v for v in program.outputs if isinstance(v, Var)})
    _name_outputs(program, steps)
    return steps


def _name_outputs(program: Program, steps: list[Step]) -> None:
    """Say what each step makes for others."""
    made_by = {v: id(step) for step in steps for eq in step.equations for v in eq.outs}
    wanted = {v for v in program.outputs if isinstance(v, Var)}
    for step in steps:
        wanted |= {v for eq in step.equations for v in eq.vars if made_by.get(v) != id(step)}
    for step in steps:
        if not isinstance(step, Call):
            step.outputs = [v for eq in step.equations for v in eq.outs if v in wanted]


def _sink(loop: Loop, steps: list[Step], results: set[Var]) -> None:
    """Leave to a later loop what only it needs and can compute cheaply from what is in memory anyway."""
    makers = {eq.out: eq for eq in loop.equations}
    for v in [v for v in loop.outputs if v not in results and loop.is_full(v)]:
        users = [s for s in steps if s is not loop and any(v in eq.vars for eq in s.equations)]
        if len(users) != 1 or not isinstance(users[0], Loop) or users[0].shape != loop.shape or users[0].folded:
            continue
        cone, leaves, todo = [], set(), [v]
        while todo:
            u = todo.pop()
            if u in makers and (u is v or u not in loop.outputs):
                cone.append(makers[u])
                todo += makers[u].vars
            else:
                leaves.add(u)
        inside = {eq.out for eq in cone}
        shared = any(eq not in cone and inside.intersection(eq.vars) for eq in loop.equations)
        reductions = any(eq.name in REDUCTIONS or is_alias(eq) for eq in cone)
        stored = all(u not in makers or u in loop.outputs for u in leaves)
        if shared or reductions or not stored or sum(map(scalar.cost, cone)) > 0.4:
            continue
        loop.equations = [eq for eq in loop.equations if eq not in cone]
        users[0].equations = [eq for eq in makers.values() if eq in cone] + users[0].equations
        loop.outputs.remove(v)
        makers = {eq.out: eq for eq in loop.equations}


class _Planner:
    """Takes equations in order; each joins a step that it may join, or starts one."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.steps: list[Step | None] = []  # None: merged into another
        self.step_of: dict[Var, int] = {}
        self.before: list[int] = []  # for each step, a bit for every step that must come before it

    def run(self) -> list[Step]:
        for eq in self.program.equations:
            self._place(eq)
        for i, step in enumerate(self.steps):
            if isinstance(step, Loop) and len(step.equations) == 1:
                eq = step.equations[0]
                if step.folded or (step.cost < SMALL and not scalar.calls(eq)):
                    self.steps[i] = Call(eq)  # alone, NumPy's own is as good, and need not be compiled
        order = sorted((i for i, s in enumerate(self.steps) if s is not None), key=lambda i: self.before[i].bit_count())
        return [s for i in order if (s := self.steps[i]) is not None]

    # --- where an equation may go ---------------------------------------------------------------------

    def _place(self, eq: Equation) -> None:
        sources = {self.step_of[v] for v in eq.vars if v in self.step_of}
        home = None
        if len(eq.outs) == 1:
            for i in self._candidates(eq, sources):
                if self._may_join(i, eq, sources):
                    home = i
                    break
        if home is None:
            home = len(self.steps)
            self.steps.append(self._start(eq))
            self.before.append(0)
        else:
            step = self.steps[home]
            assert step is not None
            assert not isinstance(step, Call)
            if isinstance(step, Loop) and eq.name in REDUCTIONS:
                step.folded = len(eq.params["axis"])
            step.equations.append(eq)
        self._depend(home, sources)
        self.step_of.update(dict.fromkeys(eq.outs, home))
        if isinstance(self.steps[home], (Loop, Line)):
            for i in sorted(sources - {home}):
                self._merge(home, i)

    def _start(self, eq: Equation) -> Step:
        if len(eq.outs) == 1:
            if _is_point(eq):
                return Line([eq])
            if scalar.expressible(eq) and eq.out.size > 1:
                return Loop(eq.out.shape, [eq])
            if _is_reduction(eq):
                return Loop(eq.vars[0].shape, [eq], len(eq.params["axis"]))
        return Call(eq)

    def _candidates(self, eq: Equation, sources: set[int]) -> list[int]:
        """Steps that ``eq`` could go into: those it reads from, newest first, then those that read the same."""
        found = sorted(sources, reverse=True)
        for i in range(len(self.steps) - 1, -1, -1):
            step = self.steps[i]
            if i not in sources and isinstance(step, (Loop, Line)):
                read = {v for e in step.equations for v in e.vars}
                if isinstance(step, Line) or any(v in read and v.size > 1 for v in eq.vars):
                    found.append(i)
        return found

    def _may_join(self, i: int, eq: Equation, sources: set[int]) -> bool:
        step = self.steps[i]
        if isinstance(step, Line):
            fits = _is_point(eq)
        elif isinstance(step, Loop):
            fits = _fits(step, eq) and len(_arrays([*step.equations, eq])) <= MOST_ARRAYS
        else:
            fits = False
        return fits and not any(self.before[s] >> i & 1 for s in sources if s != i)

    def _depend(self, i: int, sources: set[int]) -> None:
        bits = 0
        for s in sources - {i}:
            bits |= self.before[s] | 1 << s
        if bits & ~self.before[i]:
            for j in range(len(self.steps)):
                if j == i or self.before[j] >> i & 1:
                    self.before[j] |= bits

    def _merge(self, home: int, other: int) -> None:
        """Put a step that ``home`` reads from into ``home``, if they can be one."""
        a, b = self.steps[home], self.steps[other]
        if isinstance(a, Line) and isinstance(b, Line):
            fits = True
        elif isinstance(a, Loop) and isinstance(b, Loop):
            fits = a.shape == b.shape and not a.folded and not b.folded
            fits = fits and len(_arrays([*a.equations, *b.equations])) <= MOST_ARRAYS
        else:
            fits = False
        between = [j for j in range(len(self.steps)) if self.steps[j] is not None and j not in (home, other)
                   and self.before[home] >> j & 1 and self.before[j] >> other & 1]  # fmt: skip
        if not fits or between:
            return
        assert isinstance(a, (Loop, Line))
        assert isinstance(b, (Loop, Line))
        a.equations = [*b.equations, *a.equations]
        self.steps[other] = None
        for v, j in self.step_of.items():
            if j == other:
                self.step_of[v] = home
        own = self.before[other] | self.before[home]
        self.before[home] = own & ~(1 << other)
        for j in range(len(self.steps)):
            if self.before[j] >> other & 1:
                self.before[j] |= 1 << home | own
                self.before[j] &= ~(1 << other)


def _is_point(eq: Equation) -> bool:
    """Whether an equation is about single numbers."""
    return eq.out.size == 1 and all(v.size == 1 for v in eq.vars) and (scalar.expressible(eq) or is_alias(eq))


def is_alias(eq: Equation) -> bool:
    """Whether an equation only gives another shape to the same entries in the same order."""
    return eq.name == "Reshape" or (eq.name == "Expand" and eq.out.size == eq.vars[0].size)


def _is_reduction(eq: Equation) -> bool:
    if eq.name not in REDUCTIONS or eq.out.dtype not in scalar.FLOATS or eq.out.dtype != eq.vars[0].dtype:
        return False
    x, axes = eq.vars[0], sorted(eq.params["axis"])
    return axes == list(range(-len(axes), 0)) and math.prod(x.shape[a] for a in axes) > 1 and eq.out.size > 0


def _fits(loop: Loop, eq: Equation) -> bool:
    """Whether an equation can be computed in a loop, as far as shapes go."""
    made = {v for e in loop.equations for v in e.outs}
    if _is_reduction(eq):
        x, folded = eq.vars[0], len(eq.params["axis"])
        if not loop.is_full(x) or loop.folded not in (0, folded):
            return False
        trial = Loop(loop.shape, [], folded)
        return not trial.rowwise or all(_readable(trial, v, v in made) for e in loop.equations for v in e.vars)
    if is_alias(eq):
        return loop.rowwise and loop.is_row(eq.out) and eq.vars[0] in made
    if not scalar.expressible(eq):
        return False
    if loop.is_full(eq.out):
        if loop.rowwise:
            return all(_readable(loop, v, v in made) for v in eq.vars)
        return not loop.folded or not any(v in made and not loop.is_full(v) for v in eq.vars)
    if not loop.rowwise or not loop.is_row(eq.out) or not any(v in made for v in eq.vars):
        return False
    return all(v.size == 1 or (loop.is_row(v) if v in made else loop.is_kept(v)) for v in eq.vars)


def _readable(loop: Loop, v: Var, made: bool) -> bool:
    """Whether the full-sized part of a row loop can read ``v``: whole, one per row, one per column, or one."""
    return loop.is_full(v) or loop.is_kept(v) or v.size == 1 or (not made and loop.is_column(v))


def _arrays(equations: list[Equation]) -> set[Var]:
    """The arrays a loop reads."""
    made = {v for e in equations for v in e.outs}
    return {v for e in equations for v in e.vars if v not in made and v.size > 1}


def collapse(shape: tuple[int, ...], arrays: list[Var]) -> tuple[tuple[int, ...], dict[Var, tuple[bool, ...]]]:
    """``shape`` with as few axes as broadcasting allows, and for each array along which of them it varies."""
    n = len(shape)
    padded = [(1,) * (n - len(v.shape)) + v.shape for v in arrays]
    dims: list[int] = []
    patterns: list[tuple[bool, ...]] = []
    for i, length in enumerate(shape):
        if length == 1:
            continue
        pattern = tuple(s[i] != 1 for s in padded)
        if patterns and patterns[-1] == pattern:
            dims[-1] *= length
        else:
            dims.append(length)
            patterns.append(pattern)
    return tuple(dims), {v: tuple(p[k] for p in patterns) for k, v in enumerate(arrays)}
