"""Shortcut: a call of a compiled function as one native function, where nothing is out of the ordinary.

An entry's function in Python says under which conditions a program applies.  Here the same is written as steps for the walker
(:mod:`.finding`), and what follows: the work, and what it changes.  What these do not let pass, that function decides.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..tensor import Tensor
from .captured import Captured, Draw, Given, Plain, Result, Same, Value
from .environment import MOVED, Environment
from .finding import BORROWED, CODE, CONSTANT, OWNED, Cell, Finder, Operand, Unsuited, parsed
from .guards import PAIRS, Expected, words
from .native import enter, recipe, slot
from .outside import is_heard
from .program import Var
from .run import Runner, define
from .table import Place
from .walker_shortcut import HEAD
from .watching import kind_of, members, watchers

if TYPE_CHECKING:
    from .entry import Entry

LIMIT = 4096  # cells, which lie on the stack
_NUMBERS = ("f4", "f8", "i4", "i8")  # whose objects hold nothing else


class Held(np.ndarray[Any, Any]):
    """The words of a table, and the objects whose addresses are among them."""

    objects: list[Any]


class Shortcut:
    """``call(*args)`` carries out a program, or is what ``otherwise`` gives for them."""

    def __init__(self, table: Held) -> None:
        self.table, self.call = table, enter(table)
        self.table.objects.append(None)

    def otherwise(self, call: Callable[..., Any]) -> None:
        """Say who is to be called where this does not apply."""
        before = self.table.objects[-1]
        self.table.objects[-1] = call
        self.table[1] = id(call)
        del before  # not earlier: another thread might go there


def shortcut(entry: Entry, args: Sequence[Any], captured: Captured, expected: Sequence[Expected]) -> Shortcut | None:
    """The shortcut to an entry, if there is one."""
    runner = entry.runner
    if not isinstance(runner, Runner) or not runner.kernels or entry.derivative is not None:
        return None
    try:
        return _Writer(entry.environment, args, captured, runner, expected).write()
    except Unsuited:
        return None


class _Writer(Finder):
    """Writes the steps of a call."""

    def __init__(
        self, environment: Environment, args: Sequence[Any], captured: Captured, runner: Runner, expected: Sequence[Expected]
    ) -> None:  # fmt: skip
        super().__init__(environment.names, args)
        self.environment, self.captured, self.runner, self.expected = environment, captured, runner, expected
        self.driver = driver = runner.driver
        if len(driver.gates) != 1 or driver.calls or driver.whereabouts is None or driver.instructions is None:
            raise Unsuited
        self.owners = driver.instructions.owners
        self.whereabouts: list[Any] = driver.whereabouts
        self.room, self.redo = driver.globals["room"](), driver.globals["redo"]
        self.made: dict[int, Cell] = {}  # tensors, by the output that they hold

    def write(self) -> Shortcut:
        captured, driver, n = self.captured, self.driver, len(self.captured.tensors)
        for check in self.environment.checks:
            self.require(check.condition)
        if self.arguments < 0:
            raise Unsuited
        ((gate, taken),) = driver.gates.items()
        self.tensors, block = self.cells(OWNED, n), self.cells(OWNED, 3 + len(taken))
        self.arrays = block.after(3)
        self.known = {v: self.arrays.after(i) for i, v in enumerate(taken)}
        self.reach()
        self.step("fits", self.aside, self.placed(words(self.expected)), self.tensors, n)
        inputs = self.runner.program.inputs
        for i, v in enumerate(inputs[:n]):
            if v in self.known:
                self.step("slot", self.tensors.after(i), slot(members["_a"]), self.known[v])
        self.ordered()
        filled, counted = self.filled(), self.counted()
        drawn = self.numbers(inputs[n:])
        self.step("begin")
        self.draw(drawn)
        for v in taken:
            if v not in inputs:
                self.take(driver.takes[v], v)
        self.step("carry", self.aside, gate, self.arrays, len(taken))
        leaves = [self.leaf(result) for result in captured.results]
        for cell, source, size in filled:
            self.step("fill", cell, *(source, self.aside) if isinstance(source, int) else (0, source), size)
        for cell, versions in counted:
            self.step("count", cell, versions)
        for i, result in captured.grads:
            if not (isinstance(result, Same) and captured.tensors[result.index] is captured.tensors[i]._grad):
                cell = self.constant(None) if result is None else self.leaf(result)
                self.step("store", self.tensors.after(i), slot(members["_grad"]), cell)
        self.step("done", self.structure(captured.out, iter(leaves)))
        return Shortcut(self.table())

    def reach(self) -> None:
        """Find all tensors."""
        index = {id(t): i for i, t in enumerate(self.captured.tensors)}
        several, touched, owners = self.captured.owners(), self.captured.touched(), []
        self.quiet: list[Cell] = []  # of whose gradients nobody is to hear
        for found in self.environment.tensors.values():
            i, first = index.get(id(found.tensor)), found.expressions[0]
            if id(found.tensor) in self.captured.asked:
                now = "same" if found.tensor._grad is None else "differs"
                self.step(now, self.reached(f"{first}._grad"), self.constant(None))
            cells = [self.reached(e) for e in found.expressions]
            for e, cell in zip(found.expressions, cells, strict=True):
                if i is None:
                    if id(found.tensor) in touched or not e.endswith("._grad"):
                        self.step("kind", cell, self.constant(kind_of(found.tensor)))
                elif e is first:
                    self.step("copy", cell, 0, self.tensors.after(i))
                else:
                    self.step("same", cell, self.tensors.after(i))
            cell = cells[0] if i is None else self.tensors.after(i)
            if id(found.tensor) in several:
                owners.append(cell)
            if id(found.tensor) in touched and not is_heard(found.tensor):
                self.quiet.append(cell)
        if len(owners) ** 2 > PAIRS:
            raise Unsuited
        together = self.cells(BORROWED, len(owners))
        for k, cell in enumerate(owners):
            self.step("copy", cell, 0, together.after(k))
        self.step("several", together, len(owners))

    def ordered(self) -> None:
        """Let pass only arrays whose entries lie in order, if numbers are drawn in that order."""
        for i, t in enumerate(self.captured.tensors):
            if self.captured.ordered and len(t._shape) > 1:
                if not t._a.flags.c_contiguous:
                    raise Unsuited
                self.step("ready", self.into("slot", self.tensors.after(i), slot(members["_a"]), OWNED))

    def filled(self) -> list[tuple[Cell, Operand, int]]:
        """The arrays that results are to be copied to: where these are, an address or a cell, and their bytes."""
        found: list[tuple[Cell, Operand, int]] = []
        for w in self.captured.writes:
            if w.output not in self.runner.written:
                a = self.into("slot", self.tensors.after(w.tensor), slot(members["_a"]), OWNED)
                self.step("kind", a, self.constant(np.ndarray))  # not a number, which is to have memory first
                v, at = self.expected[w.tensor].v, self.whereabouts[w.output]
                if isinstance(at, Place):
                    raise Unsuited
                source = self.room.arrays[at].ctypes.data if isinstance(at, int) else self.known[at]
                found.append((a, source, v.size * v.dtype.itemsize))
        return found

    def counted(self) -> list[tuple[Cell, int]]:
        """The version counters of what is written to, and how many writes there are."""
        found = []
        for w in self.captured.writes:
            if w.versions:
                counter = self.into("slot", self.tensors.after(w.tensor), slot(members["_v"]), OWNED)
                self.step("kind", counter, self.constant(list))
                self.step("size", counter, 1)
                found.append((counter, w.versions))
        for cell in self.quiet:
            self.step("same", self.into("slot", cell, slot(members["_meta"])), self.constant(None))
        return found

    def numbers(self, inputs: Sequence[Var]) -> list[tuple[Draw | Given, Cell | None]]:
        """Put Python's numbers that are found as they are into their cells; the rest, with theirs."""
        rest: list[tuple[Draw | Given, Cell | None]] = []
        for d, v in zip(self.captured.draws, inputs, strict=True):
            if v not in self.known and isinstance(d, Given):
                continue
            try:
                if not isinstance(d, Given):
                    raise Unsuited
                cell, now = self.find(parsed(d.expression))
                if type(now) is not float:
                    raise Unsuited
                self.step("kind", cell, self.constant(float))
                self.step("copy", cell, 0, self.known[v])
            except Unsuited:
                rest.append((d, self.known.get(v)))
        return rest

    def draw(self, rest: Sequence[tuple[Draw | Given, Cell | None]]) -> None:
        """Let Python make the numbers of this call."""
        if not rest:
            return
        names: dict[str, Any] = {**self.names, "float64": np.float64}
        parts = []
        for i, (d, _) in enumerate(rest):
            if isinstance(d, Given):
                parts.append(f"float64({d.expression})")
            else:
                names[f"draw{i}"] = functools.partial(getattr(d.generator, d.name), *d.args, **d.options)
                parts.append(f"draw{i}()")
        numbers = self.into(
            "call", self.constant(define(f"def numbers():\n    return {', '.join(parts)},", names)), 0, OWNED
        )
        for i, (_, cell) in enumerate(rest):
            if cell is not None:
                self.step("tuple_item", numbers, i, cell)

    def take(self, take: Any, v: Var) -> None:
        if isinstance(take, functools.partial):
            self.step("array", self.constant(v.dtype), self.placed(v.shape), self.known[v], len(v.shape))
        else:
            self.step("pool", self.constant(take.__self__.entries), self.constant(take), self.known[v])

    # --- its results ---

    def leaf(self, result: Result) -> Cell:
        match result:
            case Plain(value):
                return self.constant(value)
            case Same(i):
                return self.tensors.after(i)
            case Value(i, leaf, spent):
                if i not in self.made:
                    a, self.made[i] = self.output(i), self.cells(OWNED)
                    rg = self.constant(leaf or spent is not None)
                    self.step("tensor", a, rg, self.made[i], self.constant(spent))
                return self.made[i]
        raise Unsuited

    def output(self, i: int) -> Cell:
        found = self.whereabouts[i]
        if isinstance(found, int):
            a = self.room.arrays[found]
            if a.dtype.str[1:] in _NUMBERS:
                number = self.cells(OWNED)
                self.step("number", self.constant(a.dtype.type), a.ctypes.data, number, a.dtype.itemsize)
                return number
            return self.into("scalar", self.constant(a.dtype), a.ctypes.data, OWNED)
        if isinstance(found, Place):
            view, words = self.cells(OWNED), [found.offset, *found.shape, *found.strides]
            self.step("copy", self.known[self.owners[found.memory]], 0, view)
            self.step("view", self.constant(found.dtype), self.placed(words), view, len(found.shape))
            return view
        return self.known[found]

    def structure(self, out: Any, leaves: Iterator[Cell]) -> Cell:
        """The cell of ``out``, built anew from other leaves."""
        if type(out) not in (tuple, list):
            if isinstance(out, (tuple, list, dict)) or hasattr(out, "__dataclass_fields__"):
                raise Unsuited
            return next(leaves)
        parts = [self.structure(o, leaves) for o in out]
        members = self.cells(OWNED, len(parts))
        for i, part in enumerate(parts):
            self.step("copy", part, 0, members.after(i))
        return self.into("tuple" if type(out) is tuple else "list", members if parts else self.aside, len(parts), OWNED)

    def table(self) -> Held:
        """All as words."""
        find = "".join(f"        if not ({c}): return\n" for c in self.conditions)
        if self.conditions or self.expressions:
            found_all = "".join(f"{e}, " for e in self.expressions)
            text = f"def aside():\n    try:\n{find}        return ({found_all})\n    except {MOVED}: pass"
            function = self.constant(define(text, {**self.names}))
            self.steps[:0] = [
                (CODE["call"], function, 0, self.aside, 0),
                (CODE["kind"], self.aside, self.constant(tuple), 0, 0),
            ]
            self.places = [(at + 2, k) for at, k in self.places]
        making = len(self.data)
        self.data += recipe(Tensor, *members.values())
        starts = [0, self.counts[CONSTANT]]
        starts += [starts[-1] + self.arguments, starts[-1] + self.arguments + self.counts[BORROWED]]
        end, data = starts[-1] + self.counts[OWNED], HEAD + self.counts[CONSTANT]
        if end > LIMIT:
            raise Unsuited
        found = [[o if isinstance(o, int) else starts[o.region] + o.place for o in step] for step in self.steps]
        for at, k in self.places:
            found[at][k] += data
        head = [self.arguments, 0, id(watchers), 0, end, self.counts[CONSTANT], starts[OWNED], data + len(self.data)]
        head += [self.room.table.ctypes.data, id(self.room), id(self.redo), data + making]
        all_words = np.array([*head, *self.constants, *self.data, *(w for step in found for w in step)], np.int64)
        table = all_words.view(Held)
        table.objects = [*self.objects, *[e.kind for e in self.expected], self.room, self.redo]
        return table
