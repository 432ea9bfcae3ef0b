"""Instructions: the steps of a plan as kernel calls, and where their variables lie."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import epilogue, indexed, lanes, linear, moves, scalar
from .emit import Source, line_source
from .loops import loop_source
from .lower import FAST
from .plan import REDUCTIONS
from .program import Equation, Program, Var
from .steps import Call, Loop, Step
from .table import WORD, Arena, Instruction, Memory, Place, merged, plain, whole
from .windows import direct_source

NEAR = 8  # entries


class Instructions:
    """Writes instructions.  ``lives`` says until which step a variable is needed, ``leaving`` which are results."""

    def __init__(
        self, program: Program, onto: dict[Var, Var], leaving: set[Var], lives: dict[Var, int], fast: bool
    ) -> None:
        self.constants, self.onto, self.leaving, self.lives, self.fast = program.constants, onto, leaving, lives, fast
        self.arena = Arena()
        self.places: dict[Var, Place] = {}
        self.owners: dict[Memory, Var] = {}  # of memory that is there at each call
        self.made: set[Var] = set()  # by kernels
        self.needed: dict[Memory, int] = {}  # until which step
        self.packed: dict[Any, tuple[Place, int]] = {}  # copies of matrices, by what they are copies of; until when
        self.makers: dict[Var, Equation] = {eq.out: eq for eq in program.equations if eq.prim.view}
        self.found: list[Instruction] = []  # those of the step being written
        self.now = 0
        self.instead: dict[Var, Place] = {}  # where variables are to be made
        self.near = 0  # how many rows of a product are to be made at a time, if it matters
        for v in program.inputs:
            self.given(v)
        for v, a in program.constants.items():
            found = self.places[v] = whole(Memory(constant=np.ascontiguousarray(a)), v)
            self.needed[found.memory] = self.lives.get(v, 0)

    def given(self, v: Var) -> None:
        """Let a variable be an array that is there at each call."""
        found = self.places[v] = whole(Memory(), v)
        self.owners[found.memory], self.needed[found.memory] = v, self.lives.get(v, 0)

    def of(self, step: Step | epilogue.Chain, now: int) -> list[Instruction] | None:
        """The instructions of a step; None if NumPy has to do it."""
        self.now, self.found = now, []
        if isinstance(step, epilogue.Chain):
            epilogue.write(self, step)
            return self.found
        return self.found if self.step(step) else None

    def step(self, step: Step) -> bool:
        """Write the instructions of a step; False if NumPy has to do it."""
        if not isinstance(step, Call):
            onto = {v: self.onto[v] for v in step.outputs if v in self.onto}
            if isinstance(step, Loop):
                self.kernel(self.source(step, onto), step.cost)
            else:
                self.kernel(line_source(step, self.constants, onto))
            self.places.update({v: self.places[u] for v, u in onto.items()})
            return True
        eq = step.equation
        if eq.prim.view and self.place(eq.out) is not None:
            return True
        if (source := direct_source(eq)) is not None:
            self.kernel(source, source.cost, eq)
            return True
        write = WRITERS.get(eq.name)
        return write is not None and all(map(_is_known, (*eq.vars, eq.out))) and write(self, eq)

    # --- where variables lie ---

    def place(self, v: Var) -> Place | None:
        """Where a variable is; None if nobody has made it, as yet."""
        found = self.places.get(v)
        if found is None and v in self.makers:
            eq = self.makers[v]
            source = self.place(eq.args[0])
            found = source and source.shown(eq)
            if found is not None:
                self.places[v] = found
        return found

    def at(self, v: Var) -> Place:
        found = self.place(v)
        assert found is not None
        return found

    def flat(self, v: Var) -> Place:
        """Where a variable lies in order, which may take a copy."""
        found = self.at(v)
        if not found.is_plain:
            copy = self.room(v, self.lives.get(v, self.now))
            self.copy(found, copy)
            found = self.places[v] = copy
            self.needed[copy.memory] = self.lives.get(v, self.now)
        return found

    def new(self, v: Var) -> Place:
        """Where a variable is to be made."""
        self.made.add(v)
        if v in self.instead:
            found = self.instead[v]
        elif v in self.onto:
            found = self.at(self.onto[v])
        elif v in self.leaving:
            found = whole(Memory(), v)
            self.owners[found.memory] = v
        else:
            found = self.room(v, self.lives.get(v, self.now))
        self.places[v] = found
        self.needed[found.memory] = self.lives.get(v, self.now)
        return found

    def room(self, v: Var, until: int) -> Place:
        """Room for a variable, from now on."""
        return whole(self.arena.take(v.size * v.dtype.itemsize, self.now, until), v)

    def scratch(self, shape: tuple[int, ...], dtype: Any, until: int = 0) -> Place:
        """Room for the length of this step, or longer."""
        return self.room(Var(shape, np.dtype(dtype)), max(self.now, until))

    # --- kernels ---

    def add(self, text: str, words: Sequence[int | Place], blocks: int = 1, cost: float = 0.0, **more: Any) -> None:
        self.found.append(Instruction(text, words, blocks, cost, **more))

    def read(self, step: Loop) -> list[Var]:
        """The arrays that a loop reads."""
        made = {eq.out for eq in step.equations}
        return list(dict.fromkeys(v for eq in step.equations for v in eq.vars if v.size > 1 and v not in made))

    def source(self, step: Loop, onto: dict[Var, Var]) -> Source:
        """The kernel of a loop."""
        lying = {v: p.steps for v in self.read(step) if not (p := self.at(v)).is_plain and is_near(p)}
        return loop_source(step, self.constants, onto, lying)

    def kernel(self, source: Source, cost: float = 0.0, equation: Equation | None = None) -> None:
        """A kernel that was written for this program."""
        words: list[int | Place] = [
            *source.lengths,
            *[self.at(v) if v in source.lying else self.flat(v) for v in source.arrays],
        ]
        words += [self.new(v) for v in source.outputs]
        words += [self.at(v) for v in source.numbers]
        parts = [self.scratch((source.blocks,), np.float64) for _ in source.totals]
        text, wide = (FAST + t if self.fast and t else t for t in (source.text, source.wide))
        self.add(text, [*words, *parts], source.blocks, cost, wide=wide, equation=equation)
        for (v, kind), part in zip(source.totals, parts, strict=True):
            self.add(_FOLD.format(dtype=v.dtype.name, start=lanes.START[kind], step=lanes.step(kind, "float64", "total", "x_[i]")),
                     [part, source.blocks, self.new(v)])  # fmt: skip

    def copy(self, source: Place, target: Place) -> None:
        """Entries of one place to another of the same shape."""
        axes = merged(source.shape, source.steps, target.steps) or [(1, 1, 1)]
        numbers = [n for axis in axes for n in axis]
        text = _copying(len(axes), WORD[source.dtype.itemsize])
        self.add(text, [*numbers, source, target], cost=0.5 * math.prod(source.shape))

    def zeros(self, place: Place) -> None:
        kind = WORD[place.dtype.itemsize]
        self.add(_ZEROS.format(dtype=kind), [place, math.prod(place.shape)], cost=0.1 * math.prod(place.shape))

    # --- equations that are no loops ---

    def view(self, eq: Equation) -> bool:
        """A view that takes a copy."""
        source = self.place(eq.args[0])
        if source is None or eq.name != "Reshape":
            return False
        out = self.new(eq.out)
        self.copy(source, Place(out.memory, source.shape, source.dtype, plain(source.shape, source.dtype), out.offset))
        return True

    def joined(self, eq: Equation) -> bool:
        if any(v.dtype != eq.out.dtype for v in eq.vars) or len(eq.vars) != len(eq.args):
            return False
        out, axis, start = self.new(eq.out), eq.params["axis"] + len(eq.out.shape), 0
        for v in eq.vars:
            one = eq.name == "Stack"
            length = 1 if one else v.shape[axis]
            key = (slice(None),) * axis + ((start,) if one else (slice(start, start + length),))
            self.copy(self.at(v), out.part((*key, ...)))
            start += length
        return True

    def put(self, eq: Equation) -> bool:
        key, value = eq.params["key"], eq.args[-1]
        if any(isinstance(k, np.ndarray) for k in key) or not isinstance(value, Var) or value.dtype != eq.out.dtype:
            return False
        out = self.new(eq.out)
        part = out.part(key)
        if eq.name == "PutAdd":
            self.zeros(out)
        else:
            self.copy(self.at(eq.args[0]), out)
        shown = self.at(value)
        self.copy(shown.expanded(part.shape), part)
        return True

    def folded(self, eq: Equation) -> bool:
        """A reduction over any axes, in the order in which they lie."""
        x, dtype = eq.vars[0], eq.out.dtype
        if dtype not in scalar.FLOATS or x.dtype != dtype:
            return False
        n = len(x.shape)
        gone = {a + n for a in eq.params["axis"]}
        out, place = self.new(eq.out), self.at(x)
        kept = plain([1 if k in gone else m for k, m in enumerate(x.shape)], dtype)
        target = [0 if k in gone else s // dtype.itemsize for k, s in enumerate(kept)]
        rows = zip(x.shape, place.steps, target, [k in gone for k in range(n)], strict=True)
        lying = [*zip(*sorted(rows, key=lambda row: -row[1]), strict=True)]  # the last axis is that of neighbours
        axes = merged(*lying) or [(1, 1, 0, 1)]
        self.add(
            _folding(eq.name, dtype.name, [bool(a[3]) for a in axes]),
            [place, out, *[w for a in axes for w in a[:3]]],
            cost=0.3 * x.size,
        )
        return True

    def product(self, eq: Equation) -> bool:
        return linear.product(self, eq)


def _is_known(v: Var) -> bool:
    return v.size > 0 and v.dtype.itemsize in WORD and v.dtype.isnative


def is_near(place: Place) -> bool:
    """Whether neighbours along the last axis lie so closely that loops had better read them there."""
    last = next((s for n, s in zip(place.shape[::-1], place.steps[::-1], strict=True) if n > 1), 0)
    return min(place.steps) >= 0 and last <= NEAR


@functools.cache
def _copying(count: int, kind: str) -> str:
    """The kernel that copies entries along so many axes."""
    lengths = ", ".join(f"n{k}: int, a{k}: int, b{k}: int" for k in range(count))
    lines = [f"def copy({lengths}, x_: {kind}[:], y_: {kind}[:]):"]
    for k in range(count):
        lines.append("    " * (k + 1) + f"for i{k} in range(n{k}):")
    here, there = (" + ".join(f"i{k} * {d}{k}" for k in range(count)) for d in "ab")
    return "\n".join([*lines, "    " * (count + 1) + f"y_[{there}] = x_[{here}]"])


def _folding(kind: str, dtype: str, folds: list[bool]) -> str:
    """The kernel that folds some of several axes.

    Where the last axis is kept, totals grow beside one another in memory; otherwise each in a register.
    """
    names = ", ".join(f"n{k}: int, a{k}: int, b{k}: int" for k in range(len(folds)))
    axes = range(len(folds))
    beside = not folds[-1]
    outer = [k for k in axes if not folds[k] and not (beside and k == axes[-1])]
    inner = [k for k in axes if folds[k]] + ([axes[-1]] if beside else [])
    x = "x_[" + " + ".join(f"i{k} * a{k}" for k in axes) + "]"
    out = "out_[" + (" + ".join(f"i{k} * b{k}" for k in axes if not folds[k]) or "0") + "]"
    start = f"np.{dtype}({lanes.START[kind]})"
    lines, depth = [f"def fold(x_: {dtype}[:], out_: {dtype}[:], {names}):"], 1
    for k in outer:
        lines.append("    " * depth + f"for i{k} in range(n{k}):")
        depth += 1
    if beside:
        lines += ["    " * depth + f"for i{axes[-1]} in range(n{axes[-1]}):", "    " * (depth + 1) + f"{out} = {start}"]
    else:
        lines.append("    " * depth + f"total = np.float64({lanes.START[kind]})")
    end = depth
    for k in inner:
        lines.append("    " * depth + f"for i{k} in range(n{k}):")
        depth += 1
    step = lanes.step(kind, dtype, out, x) if beside else lanes.step(kind, "float64", "total", f"np.float64({x})")
    lines.append("    " * depth + f"{out if beside else 'total'} = {step}")
    if not beside:
        lines.append("    " * end + f"{out} = np.{dtype}(total)")
    return "\n".join(lines)


_FOLD = """\
def fold(x_: float64[:], n: int, out_: {dtype}[:]):
    total = np.float64({start})
    for i in range(n):
        total = {step}
    out_[0] = np.{dtype}(total)"""
_ZEROS = """\
def zeros(y_: {dtype}[:], n: int):
    for i in range(n):
        y_[i] = np.{dtype}(0)"""

WRITERS: dict[str, Callable[[Instructions, Equation], bool]] = {
    "Reshape": Instructions.view, "Cat": Instructions.joined, "Stack": Instructions.joined,
    "Put": Instructions.put, "PutAdd": Instructions.put, "Within": indexed.within,
    "Gather": indexed.along, "PutAlong": indexed.along, "Embedding": indexed.embedding, "EmbeddingAdded": indexed.embedding,
    **moves.WRITERS,
    "Matmul": Instructions.product, "Mv": Instructions.product, "Dot": Instructions.product,
    **dict.fromkeys(REDUCTIONS, Instructions.folded),
}  # fmt: skip
