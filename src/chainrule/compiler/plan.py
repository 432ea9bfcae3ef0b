"""Plan: which equations share a loop, and in what order things are done.

A step is a call of one primitive on NumPy arrays, or a *loop* over one shape that computes many equations
at once, or a *line*: straight code over single numbers.  A loop may end in reductions.  If they fold only
the last axes, as softmax does, the loop goes row by row, and what depends on a row's sum follows in the
same step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from . import padded, scalar
from .apart import apart
from .program import Equation, Program, Var
from .steps import Call, Line, Loop, Step

REDUCTIONS = frozenset({"Sum", "Amax", "Amin"})
MOST_ARRAYS = 16  # in one loop: more would leave the registers and the cache's ways
WINDOW = 1024  # steps back, at least, for which it is known exactly what must come before what


def plan(program: Program, fuse: bool) -> list[Step]:
    """The steps of a program; without ``fuse``, a call for each equation."""
    if not fuse:
        return [Call(eq) for eq in program.equations]
    steps = [piece for step in _Planner(program).run() for piece in _pieces(step)]
    _name_outputs(program, steps)
    _sink(program, steps)
    _name_outputs(program, steps)
    return steps


def _pieces(step: Step) -> list[Step]:
    return [Line(part) for part in apart(step.equations)] if isinstance(step, Line) else [step]


def readers_of(steps: Iterable[Any]) -> dict[Var, list[Any]]:
    """For each variable, the steps that read it."""
    found: dict[Var, list[Step]] = {}
    for step in steps:
        for v in dict.fromkeys(v for eq in step.equations for v in eq.vars):
            found.setdefault(v, []).append(step)
    return found


def _name_outputs(program: Program, steps: list[Step]) -> None:
    """Say what each step makes for others."""
    readers, results = readers_of(steps), {v for v in program.outputs if isinstance(v, Var)}
    for step in steps:
        if not isinstance(step, Call):
            made = [v for eq in step.equations for v in eq.outs]
            step.outputs = [v for v in made if v in results or any(r is not step for r in readers.get(v, ()))]


# --- building steps ---


@dataclass(slots=True)
class _Draft:
    """A step that may still grow: what it makes and reads, and a bit for every step that must come before it."""

    step: Step
    made: set[Var] = field(default_factory=set)
    read: set[Var] = field(default_factory=set)  # from other steps
    before: int = 0

    def add(self, eq: Equation) -> None:
        self.made.update(eq.outs)
        self.read.update([v for v in eq.vars if v not in self.made])

    def arrays(self, more: Iterable[Var] = ()) -> int:
        """How many arrays the step reads, or would."""
        return sum([v.size > 1 for v in self.read.union(more) if v not in self.made])


class _Planner:
    """Takes equations in order; each joins a step that it may join, or starts one.

    Bits count from ``base`` on.  Steps before that are taken to come before all others, so that a program of any length
    takes as long for each of its steps.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.drafts: list[_Draft | None] = []  # None: merged into another
        self.maker: dict[Var, int] = {}
        self.readers: dict[Var, list[int]] = {}
        self.line: int | None = None  # the latest
        self.base = 0
        self.near: list[int] = []  # those after the base, and those that come after some of these
        self.first = 0  # a bit for every step that must come before some other

    def run(self) -> list[Step]:
        for eq in self.program.equations:
            self._place(eq)
        return self._in_order()

    def _in_order(self) -> list[Step]:
        """The steps in the order in which they began, but each after those that it reads from."""
        found, done = [], set[int]()
        for i in range(len(self.drafts)):
            todo = [i]
            while todo:
                draft = self.drafts[k := todo[-1]]
                if draft is None or k in done:
                    todo.pop()
                elif missing := {self.maker[v] for v in draft.read if v in self.maker} - done:
                    todo += sorted(missing, reverse=True)
                else:
                    done.add(k)
                    found.append(draft.step)
        return found

    def draft(self, i: int) -> _Draft:
        found = self.drafts[i]
        assert found is not None
        return found

    def _place(self, eq: Equation) -> None:
        sources = {self.maker[v] for v in eq.vars if v in self.maker}
        home = next((i for i in self._candidates(eq, sources) if self._may_join(i, eq, sources)), None)
        if home is None:
            home = self._begin(eq)
        else:
            step = self.draft(home).step
            assert not isinstance(step, Call)
            if isinstance(step, Loop) and eq.name in REDUCTIONS:
                step.folded = len(eq.params["axis"])
            step.equations.append(eq)
        draft = self.draft(home)
        draft.add(eq)
        self.maker.update(dict.fromkeys(eq.outs, home))
        for v in eq.vars:
            self.readers.setdefault(v, []).append(home)
        self._follow(home, sources)
        if not isinstance(draft.step, Call):
            for i in sorted(sources - {home}):
                self._merge(home, i)
            if isinstance(draft.step, Line):
                self.line = home

    def _begin(self, eq: Equation) -> int:
        """A new step."""
        self.near.append(len(self.drafts))
        self.drafts.append(_Draft(_start(eq)))
        if len(self.drafts) == self.base + 2 * WINDOW:
            self.base += WINDOW
            self.first >>= WINDOW
            for d in self._near():
                d.before >>= WINDOW
            self.near = [i for i in self.near if (near := self.drafts[i]) and (i >= self.base or near.before)]
        return len(self.drafts) - 1

    def _near(self) -> Iterator[_Draft]:
        return (d for i in self.near if (d := self.drafts[i]) is not None)

    def _bit(self, i: int) -> int:
        return 1 << i - self.base if i >= self.base else 0

    def _precedes(self, i: int, j: int) -> bool:
        """Whether step ``i`` must come before step ``j``, as far as is known."""
        return i < self.base or bool(self.draft(j).before & self._bit(i))

    def _candidates(self, eq: Equation, sources: set[int]) -> Iterator[int]:
        """Steps that ``eq`` could go into: those it reads from, newest first, then those that read the same."""
        seen = set(sources)
        yield from sorted(sources, reverse=True)
        for v in eq.vars:
            for i in reversed(self.readers.get(v, [])[-8:]) if v.size > 1 else ():
                if i not in seen:
                    seen.add(i)
                    yield i
        if self.line is not None and self.line not in seen:
            yield self.line

    def _may_join(self, i: int, eq: Equation, sources: set[int]) -> bool:
        draft = self.drafts[i]
        if draft is None or len(eq.outs) != 1:
            return False
        if isinstance(draft.step, Line):
            fits = _is_point(eq)
        elif isinstance(draft.step, Loop):
            fits = _fits(draft.step, draft.made, eq) and draft.arrays(eq.vars) <= MOST_ARRAYS
        else:
            fits = False
        return fits and not any(self._precedes(i, s) for s in sources if s != i)

    def _follow(self, i: int, sources: set[int]) -> None:
        """Note that step ``i`` comes after others, and so does what comes after it."""
        bits, own = 0, self._bit(i)
        for s in sources - {i}:
            bits |= self.draft(s).before | self._bit(s)
        if bits & ~self.draft(i).before:
            self.draft(i).before |= bits
            self.first |= bits
            for d in self._near() if self.first & own else ():
                if d.before & own:
                    d.before |= bits

    def _merge(self, home: int, other: int) -> None:
        """Put a step that ``home`` reads from into ``home``, if they can be one."""
        into, source = self.draft(home), self.drafts[other]
        if source is None or other < self.base:
            return
        a, b, own = into.step, source.step, self._bit(other)
        if isinstance(a, Loop) and isinstance(b, Loop):
            fits = a.shape == b.shape and not a.folded and not b.folded
            fits = fits and into.arrays(source.read) + source.arrays() <= MOST_ARRAYS
        else:
            fits = isinstance(a, Line) and isinstance(b, Line)
        if not fits or any(self._precedes(other, self.base + j) for j in _bits(into.before & ~source.before & ~own)):
            return
        assert not isinstance(a, Call)
        a.equations[:0] = b.equations
        into.made |= source.made
        into.read = (into.read | source.read) - into.made
        self.drafts[other] = None
        self.maker.update(dict.fromkeys(source.made, home))
        for v in source.read:
            self.readers.setdefault(v, []).append(home)
        into.before = (into.before | source.before) & ~own
        to = self._bit(home)
        if self.first & to or any(i not in (home, other) for v in source.made for i in self.readers.get(v, ())):
            self.first |= to
            for d in self._near():
                if d.before & own:
                    d.before = (d.before | to | into.before) & ~own


def _bits(n: int) -> Iterator[int]:
    while n:
        low = n & -n
        yield low.bit_length() - 1
        n ^= low


def _start(eq: Equation) -> Step:
    """The step that an equation begins."""
    if len(eq.outs) == 1:
        if _is_point(eq):
            return Line([eq])
        if eq.out.size > 1 and (scalar.expressible(eq) or eq.name == "Diagonals" or padded.box(eq) is not None):
            return Loop(eq.out.shape, [eq])
        if _is_reduction(eq):
            return Loop(eq.vars[0].shape, [eq], len(eq.params["axis"]))
    return Call(eq)


def _is_point(eq: Equation) -> bool:
    """Whether an equation is about single numbers."""
    return eq.out.size == 1 and all(v.size == 1 for v in eq.vars) and (scalar.expressible(eq) or is_alias(eq))


def is_alias(eq: Equation) -> bool:
    """Whether an equation only gives another shape to the same entries in the same order."""
    if eq.out.dtype not in scalar.DTYPES:
        return False
    return eq.name == "Reshape" or (eq.name == "Expand" and eq.out.size == eq.vars[0].size)


def _is_reduction(eq: Equation) -> bool:
    if eq.name not in REDUCTIONS or eq.out.dtype not in scalar.FLOATS or eq.out.dtype != eq.vars[0].dtype:
        return False
    x, axes = eq.vars[0], sorted(eq.params["axis"])
    return axes == list(range(-len(axes), 0)) and math.prod(x.shape[a] for a in axes) > 1 and eq.out.size > 0


def _fits(loop: Loop, made: set[Var], eq: Equation) -> bool:
    """Whether an equation can be computed in a loop, as far as shapes go."""
    if _is_reduction(eq):
        x, folded = eq.vars[0], len(eq.params["axis"])
        if not loop.is_full(x) or loop.folded not in (0, folded):
            return False
        trial = Loop(loop.shape, [], folded)
        return not trial.rowwise or all(
            padded.box(e) is None and _has_rows(trial, e) and all(_readable(trial, v, v in made) for v in across(e))
            for e in loop.equations
        )
    if (box := padded.box(eq)) is not None:
        return loop.is_full(eq.out) and not loop.rowwise and eq.args[0] not in made and _is_short(loop, box)
    if eq.name == "Diagonals" and not (
        _has_rows(loop, eq) and all(v not in made or loop.is_row(v) for v in eq.vars[1:])
    ):
        return False
    if is_alias(eq):
        return loop.rowwise and loop.is_row(eq.out) and eq.vars[0] in made
    if not scalar.expressible(eq) and eq.name != "Diagonals":
        return False
    if loop.is_full(eq.out):
        if loop.rowwise:
            return all(_readable(loop, v, v in made) for v in across(eq))
        return not loop.folded or not any(v in made and not loop.is_full(v) for v in eq.vars)
    if not loop.rowwise or not loop.is_row(eq.out) or not any(v in made for v in eq.vars):
        return False
    return all(v.size == 1 or (loop.is_row(v) if v in made else loop.is_kept(v)) for v in eq.vars)


def _is_short(loop: Loop, box: padded.Box) -> bool:
    """Whether a row falls into few enough stretches, with another array that lies in it."""
    boxes = [box, *filter(None, map(padded.box, loop.equations))]
    return len(padded.stretches(boxes, len(loop.shape) - 1, loop.shape[-1])) <= padded.MOST


def across(eq: Equation) -> list[Var]:
    """The arguments of which a loop reads an entry for each of its own; of diagonals, it reads one for each row."""
    return [v for v in eq.args[: 1 if eq.name == "Diagonals" else None] if isinstance(v, Var)]


def _has_rows(loop: Loop, eq: Equation) -> bool:
    """Whether a loop that goes by rows goes by those of a matrix with diagonals."""
    return not loop.rowwise or eq.name != "Diagonals" or len(loop.shape) - loop.folded == eq.params["axis"] + 1


def _readable(loop: Loop, v: Var, made: bool) -> bool:
    """Whether the full-sized part of a row loop can read ``v``: whole, one per row, one per column, or one."""
    return loop.is_full(v) or loop.is_kept(v) or v.size == 1 or (not made and loop.is_column(v))


# --- leaving work to others ---


def _sink(program: Program, steps: list[Step]) -> None:
    """Leave to a later loop what only it needs and can compute cheaply from what is in memory anyway."""
    results = {v for v in program.outputs if isinstance(v, Var)}
    readers = readers_of(steps)
    for loop in steps:
        if not isinstance(loop, Loop):
            continue
        makers = {eq.out: eq for eq in loop.equations}
        for v in list(loop.outputs):
            others = [s for s in readers[v] if s is not loop] if v not in results and loop.is_full(v) else []
            if len(others) == 1 and isinstance(target := others[0], Loop):
                cone = _cone(v, loop, makers) if target.shape == loop.shape and not target.folded else []
                if cone:
                    loop.equations = [eq for eq in loop.equations if eq not in cone]
                    loop.outputs.remove(v)
                    target.equations[:0] = cone
                    for u in {u for eq in cone for u in eq.vars}:
                        readers[u] = [*[r for r in readers[u] if r is not target], target]
                    makers = {eq.out: eq for eq in loop.equations}
    steps[:] = [s for s in steps if not isinstance(s, Loop) or s.equations]  # a loop may have left all to others


def _cone(v: Var, loop: Loop, makers: dict[Var, Equation]) -> list[Equation]:
    """The equations of a loop behind ``v`` and nothing else, if they are cheap and read what is stored anyway."""
    cone: set[Equation] = set()
    todo = [v]
    while todo:
        u = todo.pop()
        if u in makers and (u is v or u not in loop.outputs):
            cone.add(makers[u])
            todo += makers[u].vars
    inside = {eq.out for eq in cone}
    shared = any(eq not in cone and not inside.isdisjoint(eq.vars) for eq in loop.equations)
    folds = any(eq.name in REDUCTIONS or is_alias(eq) for eq in cone)
    if shared or folds or sum(map(scalar.cost, cone)) > 0.4:
        return []
    return [eq for eq in loop.equations if eq in cone]
