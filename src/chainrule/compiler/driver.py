"""Driver: the function that carries out a plan, written out step by step.

What is a kernel becomes an instruction of a table, and as many of these as follow one another are one call of the walker.  The rest
is done by NumPy, on arrays that show the same memory.  Results that leave the function come from a pool; results in between live
in a room, taken for the length of a call.
"""

from __future__ import annotations

import collections
import ctypes
import functools
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import numpy_
from ..primitive import Elementwise, compute
from ..quiet import quietly, reset_errors
from . import threads, walker
from .emit import may_overwrite
from .epilogue import chained
from .instructions import WRITERS, Instructions
from .memory import SMALL, taker
from .native import native
from .program import Equation, Names, Program, Var, signature
from .steps import Call, Line, Loop, Step
from .table import Instruction, Place, Room, Table

_OPERATORS = re.compile(r"[{}xy +*/<>=!&|^-]+")  # templates that NumPy's operators answer
_ARGUMENT = re.compile(r"\{\w+\}")
_UFUNCS = {
    " + ": "add",
    " - ": "subtract",
    " * ": "multiply",
    " / ": "divide",
    "-": "negative",
}  # by what is between arguments
_LONG = 20_000.0  # nanoseconds of work during which other threads may run
_LARGE = 1024  # bytes of a product that is given its memory


def _fresh(eq: Equation) -> bool:
    """Whether a call's result never shares memory with an argument."""
    return (eq.name in WRITERS and eq.name != "Reshape") or (isinstance(eq.prim, Elementwise) and bool(eq.prim.scalar))


def _number(a: Any) -> str:
    return repr(a) if not isinstance(a, float) or math.isfinite(a) else f"float('{a}')"


class Driver:
    """Writes the driver."""

    def __init__(
        self, program: Program, steps: list[Step], onto: dict[int, int] | None = None, fast: bool = False,
        native: bool = True,
    ) -> None:  # fmt: skip
        self.program, self.steps = program, list[Any](steps)
        self.onto: dict[Var, Var] = {}  # results that are to take the place of inputs
        times = collections.Counter(program.outputs)
        for k, i in (onto or {}).items():
            if times[program.outputs[k]] == 1 and program.inputs[i] not in times:
                self.onto[program.outputs[k]] = program.inputs[i]
        self.names = Names()
        self.lines: list[str] = []
        self.globals: dict[str, Any] = {"np": np, "quietly": quietly, "reset_errors": reset_errors}
        self.origins: dict[Var, set[Var]] = {}  # whose memory an array may show
        self.last_use: dict[Var, int] = {}
        self.maker: dict[Var, int] = {}  # the step that makes a variable
        self._lives()
        if self._postpone():
            self._lives()
        self.onto = {v: u for v, u in self.onto.items() if self._fits(v, u)}
        if native:
            self.steps = chained(self.steps, self.leaving, self.onto)
            self._lives()
        self.ends: dict[int, list[Var]] = {}  # for each step, the variables that are not read after it
        for v, i in self.last_use.items():
            self.ends.setdefault(i, []).append(v)
        self.at_hand = {*program.inputs, *program.constants}  # what the text has a name for
        self.views = {eq.out: eq for eq in program.equations if eq.prim.view}
        self.calls = False  # whether NumPy does some of it
        self.table, self.pending, self.gates = Table(), [], {}  # type: tuple[Table, list[Instruction], dict[int, list[Var]]]
        self.shown: list[Place] = []  # what NumPy sees of the room
        self.over: list[Var] = []  # whose lives have ended
        self.own: set[Var] = set()  # arrays of which nobody else has the memory
        self.takes: dict[Var, Callable[[], Any]] = {}  # what gives memory for results
        # Where each result is, if all are simple: in memory that was taken, all of it or a view, a number that the room shows, or
        # in an input's place.
        self.whereabouts: list[Var | Place | int | None] | None = []
        self.instructions = Instructions(program, self.onto, self._owned(), self.last_use, fast) if native else None

    # --- who needs what, how long ---

    def _lives(self) -> None:
        steps = self.steps
        self.last_use.clear()
        for v in (*self.program.inputs, *self.program.constants):
            self.origins[v] = {v}
        for i, step in enumerate(steps):
            self.maker.update((v, i) for eq in step.equations for v in eq.outs)
            for eq in step.equations:
                shown: set[Var] = set()
                if isinstance(step, Call) and not _fresh(eq):
                    shown = set().union(*(self.origins[v] for v in eq.vars))
                self.origins.update({v: shown | {v} for v in eq.outs})
                for v in eq.vars:
                    self.last_use.update(dict.fromkeys(self.origins.get(v, ()), i))
            if isinstance(step, Line):
                self.last_use.update(dict.fromkeys(step.loads, i))
                self.maker.update(dict.fromkeys(step.outputs, i))
                self.origins.update({v: {v} for v in step.outputs})
        self.leaving: set[Var] = set()  # variables whose memory a result may show
        for a in self.program.outputs:
            if isinstance(a, Var):
                self.leaving |= self.origins[a]
        self.last_use.update(dict.fromkeys(self.leaving, len(steps)))

    def _postpone(self) -> bool:
        """Move loops that could overwrite inputs, were these not read afterwards, to the end."""
        late = {
            i for v, u in self.onto.items() if (i := self.maker.get(v, 0)) < self.last_use.get(u, 0)
            if all(self.last_use.get(x) in (i, len(self.steps)) for eq in self.steps[i].equations for x in eq.outs)
        }  # fmt: skip
        self.steps = [s for i, s in enumerate(self.steps) if i not in late] + [self.steps[i] for i in sorted(late)]
        return bool(late)

    def _fits(self, v: Var, u: Var) -> bool:
        """Whether ``v`` can be made in the memory of the input ``u``."""
        i = self.maker.get(v)
        step = None if i is None else self.steps[i]
        if u in self.leaving or v.shape != u.shape or v.dtype != u.dtype or self.last_use.get(u) != i:
            return False
        if isinstance(step, Line):
            return (
                u.shape != ()
            )  # all is read before it writes; what has no axes may be a number, which nobody may change
        if not isinstance(step, Loop) or v.shape != step.shape or not may_overwrite(step):
            return False
        read = {x for eq in step.equations for x in eq.vars if u in self.origins.get(x, (x,))}
        return read == {u}  # a view of it may be read in another order

    def _owned(self) -> set[Var]:
        """What needs memory that leaves: all that leaves but single numbers, which are read from the room."""
        results = dict.fromkeys(a for a in self.program.outputs if isinstance(a, Var))
        shown = collections.Counter(v for u in results for v in self.origins[u])
        return self.leaving - {v for v in results if not v.shape and shown[v] == 1}

    # --- the text ---

    def write(self) -> None:
        """Write ``body``, the lines that compute, and ``results``, what each output is then."""
        for v in self.program.inputs:
            self.names[v]
        for v, a in self.program.constants.items():
            self.hold(self.names[v], a)
        for i, step in enumerate(self.steps):
            found = None if self.instructions is None else self.instructions.of(step, i)
            if found is None:
                assert isinstance(step, Call)
                self.walk()
                self.call(step.equation, i)
            else:
                self.pending += found
                self.over += self.ends.get(i, ())
        self.walk()
        self.results, self.body = self.outputs(), self.lines
        if self.gates:
            self.furnish()
            self.body = ["w = spare.pop() if spare else room()", *self.body, "spare.append(w)"]
        if self.calls:
            lines = [
                "    try:",
                *["        " + line for line in self.body],
                "    finally:",
                "        reset_errors(token)",
            ]
            self.body = ["for token in quietly:", *lines, "    break"]

    def text(self) -> str:
        """The function."""
        head = f"def run({', '.join(self.names[v] for v in self.program.inputs)}):"
        notes = [f"    # {self.names[v]}: {signature(v)}" for v in self.program.inputs]
        results = "".join(f"{r}, " for r in self.results)
        return "\n".join([head, *notes, *["    " + line for line in [*self.body, f"return ({results})"]]])

    def furnish(self) -> None:
        """What rooms are made of."""
        assert self.instructions is not None
        self.table.finish()
        self.words, arena = np.array(self.table.words, np.int64), np.array(self.table.in_arena, np.intp)
        room = functools.partial(Room, self.words, arena, self.instructions.arena.size, self.shown)
        self.globals.update(spare=collections.deque(), room=room, redo=self.redo)
        if self.table.shares:
            threads.start()

    def hold(self, name: str, value: Any) -> str:
        self.globals[name] = value
        return name

    def array(self, v: Var) -> str:
        """A variable as an array that has a name."""
        name = self.names[v]
        if v not in self.at_hand:
            if self.is_view(v):
                text = self.direct(self.views[v], [self.array(self.views[v].args[0])])
            elif v in self.onto:
                text = self.names[self.onto[v]]
            else:
                assert self.instructions is not None
                text = self.show(self.instructions.places[v])
            self.lines.append(f"{name} = {text}")
            self.at_hand.add(v)
        return name

    def is_view(self, v: Var) -> bool:
        """Whether a variable shows another's memory, and was not made by a kernel after all."""
        return v in self.views and (self.instructions is None or v not in self.instructions.made)

    def show(self, place: Place) -> str:
        """An array in the room."""
        self.shown.append(place)
        return f"w.arrays[{len(self.shown) - 1}]"

    def outputs(self) -> list[str]:
        given: set[Var] = set()
        found = []
        simple, whereabouts = True, []  # type: bool, list[Var | Place | int | None]
        for a in self.program.outputs:
            at: Var | Place | int | None = None
            if not isinstance(a, Var):
                found.append(repr(a))
                simple = False
            elif a in self.onto:
                found.append("None")
            elif a not in self.at_hand and not a.shape and not self.is_view(a):
                at = len(self.shown)
                self.lines.append(f"{self.names[a]} = {self.show(self.instructions.places[a])}[()]")  # type: ignore[union-attr]
                found.append(self.names[a])
            else:
                name, at = self.array(a), a
                fixed = any(
                    o in self.program.constants or o in self.program.inputs or o in given for o in self.origins[a]
                )
                found.append(f"np.array({name})" if fixed else name)
                if a not in self.takes and self.instructions and (place := self.instructions.place(a)):
                    owner = self.instructions.owners.get(place.memory)
                    at = place if owner is not None and owner in self.takes else a
                simple &= (a in self.takes or at is not a) and not fixed
                given |= self.origins[a]
            whereabouts.append(at)
        self.whereabouts = whereabouts if simple else None
        return found

    # --- what is done natively ---

    def walk(self) -> None:
        """The instructions since the last call of NumPy, as one call."""
        if not self.pending:
            return
        assert self.instructions is not None
        first, owners = self.table.begin(), self.instructions.owners
        memories = dict.fromkeys(w.memory for c in self.pending for w in c.words if isinstance(w, Place))
        for call in self.pending:
            self.table.add(call)
        given = {m: owners[m] for m in memories if m in owners and m not in self.table.passed}
        new = list(given.values())
        for v in new:
            if v not in self.at_hand:
                self.takes[v] = taker(v.shape, v.dtype)
                self.lines.append(f"{self.names[v]} = {self.hold(f'take{len(self.globals)}', self.takes[v])}()")
                self.at_hand.add(v)
        gate = self.table.gate(first, given, sum(c.cost for c in self.pending) > _LONG)
        self.gates[gate] = new
        names = "".join(f", {self.names[v]}" for v in new)
        self.lines += [f"far = w.walk({gate}{names})", f"if far: redo(w, {gate}, far{names})"]
        self.pending = []
        self.forget()

    def forget(self) -> None:
        """Let go of large arrays that nothing reads any more."""
        kept = (self.program.constants, self.program.inputs)
        gone = [v for v in self.over if v in self.at_hand and v.size > 256 and not any(v in k for k in kept)]
        self.over = []
        if gone:
            self.lines.append(f"{' = '.join(self.names[v] for v in gone)} = None")

    def walks(self) -> dict[int, list[Instruction]]:
        """The instructions behind each gate."""
        ends = [*self.gates]
        return {
            g: [c for at, c in self.table.calls.items() if p <= at < g] for p, g in zip([0, *ends], ends, strict=False)
        }

    def redo(self, room: Room, gate: int, far: int, *arrays: Any) -> None:
        """What a walk stopped at, done in other ways, and the rest of the walk."""
        if far < 0:  # an array was not as it should be
            given = [np.require(np.asarray(a), None, ["C", "A"]) for a in arrays]
            room.kept[gate] = given  # until the addresses are others
            if (far := room.walk(gate, *given)) < 0:
                raise TypeError("an array is not what the program was made for")
        while far:
            instruction = self.table.calls[far]
            if instruction.equation is None:
                code = native(instruction.wide)
                self.table.codes.append(code)
                self.words[far + 1] = room.table[far + 1] = code.address
                far = room.walk(-far)
                continue
            start, eq = far + walker.INSTRUCTION, instruction.equation
            words = [(int(room.table[start + k]), w) for k, w in enumerate(instruction.words) if isinstance(w, Place)]
            *args, out = [_at(address, place) for address, place in words]
            out[...] = compute(eq.prim, tuple(args), eq.params)
            far = room.walk(-(far + int(room.table[far + 3])))

    # --- what NumPy does ---

    def call(self, eq: Equation, i: int) -> None:
        self.calls = True
        args = [self.array(a) if isinstance(a, Var) else _number(a) for a in eq.args]
        out = self.names[eq.out]
        self.at_hand.update(eq.outs)
        if self.instructions is not None:
            for v in eq.outs:
                self.instructions.given(v)
        if (
            eq.name == "Matmul"
            and eq.out.size * eq.out.dtype.itemsize >= _LARGE
            and len({v.dtype for v in eq.vars}) == 1
        ):
            flat = all(len(v.shape) == 2 for v in eq.vars)  # dot has less ceremony
            call = f"{args[0]}.dot({args[1]}, {out})" if flat else f"np.matmul({', '.join(args)}, out={out})"
            self.lines += [f"{out} = {self.memory(eq.out)}", call]
        elif self.instructions is None and (ufunc := _ufunc(eq)) is not None:
            over = [self.names[v] for v in eq.vars if self.is_over(v, eq.out, i)]
            self.own.add(eq.out)
            self.lines.append(f"{out} = np.{ufunc}({', '.join(args)}, {over[0] if over else self.memory(eq.out)})")
        elif (text := self.direct(eq, args)) is not None:
            self.lines.append(f"{out} = {text}")
        else:
            function = self.hold(f"{eq.name.lower()}{i}", functools.partial(eq.prim.forward, numpy_, **eq.params))
            outs = ", ".join(self.names[v] for v in eq.outs)
            self.lines.append(f"{outs}{',' if eq.prim.outputs is not None else ''} = {function}({', '.join(args)})")
        self.over += self.ends.get(i, ())
        self.forget()

    def memory(self, v: Var) -> str:
        """An expression for an array like ``v`` that nobody else has."""
        kind = f"take_{signature(v)}".translate(str.maketrans("[],", "___"))
        return f"{kind if kind in self.globals else self.hold(kind, taker(v.shape, v.dtype))}()"

    def is_over(self, v: Var, out: Var, i: int) -> bool:
        """Whether a variable's memory is free for ``out`` at step ``i``, which is the last to read it."""
        return v in self.own and v.shape == out.shape and v.dtype == out.dtype and self.last_use.get(v) == i

    def direct(self, eq: Equation, args: list[str]) -> str | None:
        """The commonest calls as NumPy's own, without a function between."""
        x, p = args[0], eq.params
        if eq.name == "Permute":
            n = len(eq.out.shape)
            return f"{x}.transpose({(*range(n - len(p['axes'])), *[n + a for a in p['axes']])})"
        if eq.name == "Reshape":
            return f"{x}.reshape({eq.out.shape})"
        if eq.name == "GetItem":
            return f"{x}[{self.hold(f'key{len(self.globals)}', p['key'])}]"
        if eq.name == "Expand":
            return f"np.broadcast_to({x}, {eq.out.shape})"
        if eq.name == "Sum":
            return f"np.add.reduce({x}, {p['axis']}, None, None, {p['keepdims']})"
        if isinstance(eq.prim, Elementwise) and _OPERATORS.fullmatch(eq.prim.scalar):
            return eq.prim.scalar.format(**dict(zip(eq.prim.args, args, strict=True)))
        return None


def _ufunc(eq: Equation) -> str | None:
    """The function of NumPy that is an entrywise operation on large arrays of one dtype, if there is one."""
    d = eq.out.dtype
    if not isinstance(eq.prim, Elementwise) or eq.out.size * d.itemsize < SMALL or any(v.dtype != d for v in eq.vars):
        return None
    arguments = "".join(f"{{{name}}}" for name in eq.prim.args)  # in this order, each once
    template = eq.prim.scalar
    if "".join(_ARGUMENT.findall(template)) != arguments:
        return None
    name = _UFUNCS.get(_ARGUMENT.sub("", template)) or template.partition("(")[0]
    found = getattr(numpy_, name, None)
    is_all = name in _UFUNCS.values() or template == f"{name}({', '.join(_ARGUMENT.findall(template))})"
    return name if is_all and isinstance(found, np.ufunc) and found is getattr(np, name, None) else None


def _at(address: int, place: Place) -> np.ndarray[Any, Any]:
    """The entries of a place that begins at an address."""
    size = sum((n - 1) * s for n, s in zip(place.shape, place.strides, strict=True)) + place.dtype.itemsize
    memory: Any = (ctypes.c_char * size).from_address(address)
    return np.ndarray(place.shape, place.dtype, memory, 0, place.strides)
