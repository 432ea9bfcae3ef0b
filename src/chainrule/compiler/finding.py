"""Finding: where the tensors and values of a call are, and whether they are as a program expects, as steps for the walker.

What the expressions and conditions of :mod:`.environment` say, :mod:`.walker_shortcut` does with cells.  Conditions become
stricter where that is simpler: a number must be the same object, say, and not only equal.
"""

from __future__ import annotations

import ast
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..tensor import Tensor
from .native import slot
from .reached import is_constant
from .walker_shortcut import STEPS
from .watching import kind_of, members

CODE = {name: i for i, name in enumerate(STEPS)}
_DICTIONARIES = (dict, OrderedDict, defaultdict)
_SIZED = (*_DICTIONARIES, list, tuple, set)


class Unsuited(Exception):
    """There is no shortcut for this."""


class Cell(NamedTuple):
    """One of the cells of a region: constants, arguments, what is borrowed, what is owned."""

    region: int
    place: int

    def after(self, i: int) -> Cell:
        return Cell(self.region, self.place + i)


CONSTANT, ARGUMENT, BORROWED, OWNED = range(4)
Operand = Cell | int


class Finder:
    """Writes steps that find things."""

    def __init__(self, names: dict[str, Any], args: Sequence[Any]) -> None:
        self.names, self.args = names, args
        self.arguments = -1  # how many
        self.steps: list[tuple[Operand, ...]] = []
        self.counts = [0, 0, 0, 0]  # cells of each region
        self.data: list[int] = []  # words beside the steps, from place 0
        self.places: list[tuple[int, int]] = []  # steps and which of their operands are such places
        self.objects: list[Any] = []  # what must live as long as the table
        self.constants: dict[int, Cell] = {}
        self.found: dict[str, tuple[Cell, Any]] = {}
        self.under: dict[tuple[Cell, Any], Cell] = {}  # what dictionaries hold under which keys
        self.sure: set[Cell] = set()  # cells of whose objects the class is known
        self.conditions: list[str] = []  # that Python sees to
        self.expressions: list[str] = []  # that Python finds
        self.aside = self.cells(OWNED)  # what it has found

    # --- cells, steps, words ---

    def cells(self, region: int, count: int = 1) -> Cell:
        """The first of so many new cells."""
        found = Cell(region, self.counts[region])
        self.counts[region] += count
        return found

    def constant(self, value: Any) -> Cell:
        if id(value) not in self.constants:
            self.constants[id(value)] = self.cells(CONSTANT)
            self.objects.append(value)
        return self.constants[id(value)]

    def step(self, name: str, *operands: Operand) -> None:
        self.steps.append((CODE[name], *operands, *[0] * (4 - len(operands))))

    def placed(self, words: Sequence[int]) -> int:
        """Where in the table these words are; the next step has this as its second operand."""
        self.places.append((len(self.steps), 2))
        self.data += words
        return len(self.data) - len(words)

    def into(self, name: str, a: Cell, b: Operand, region: int = BORROWED) -> Cell:
        c = self.cells(region)
        self.step(name, a, b, c)
        return c

    # --- expressions and conditions ---

    def find(self, e: ast.expr) -> tuple[Cell, Any]:
        """The cell that an expression's value will be in, and what it is now."""
        text = ast.unparse(e)
        if text not in self.found:
            self.found[text] = self._find(e)
        return self.found[text]

    def _find(self, e: ast.expr) -> tuple[Cell, Any]:
        match e:
            case ast.Name(name) if name in self.names:
                return self.constant(self.names[name]), self.names[name]
            case ast.Constant(value):
                value = sys.intern(value) if type(value) is str else value
                return self.constant(value), value
            case ast.Subscript(ast.Name("args"), ast.Constant(int(i))):
                return Cell(ARGUMENT, i), self.args[i]
            case ast.Subscript(of, at):
                (base, held), (key, k) = self.find(of), self.find(at)
                if (base, _mark(k)) in self.under:
                    return self.under[base, _mark(k)], held[k]
                if type(held) in _DICTIONARIES and type(k) is str:
                    return self.into("entry_of", base, key), held[k]
                if type(held) in (list, tuple) and type(k) is int:
                    return self.into("list_item" if type(held) is list else "tuple_item", base, k), held[k]
            case ast.Attribute(of, "cell_contents"):
                base, held = self.find(of)
                return self.into("content", base, 0), held.cell_contents
            case ast.Attribute(of, "_grad"):
                base, held = self.find(of)
                if isinstance(held, Tensor):
                    self.step("kind", base, self.constant(kind_of(held)))
                    return self.into("slot", base, slot(members["_grad"])), held._grad
        raise Unsuited

    def reached(self, e: str) -> Cell:
        """The cell that an expression's value will be in, if need be with Python's help."""
        try:
            return self.find(parsed(e))[0]
        except Unsuited:
            if "args" in e:
                raise
            self.expressions.append(e)
            return self.into("tuple_item", self.aside, len(self.expressions) - 1)

    def require(self, condition: str) -> None:
        """Steps that let a call pass only if a condition holds."""
        if condition.startswith("len(args) == "):
            number, _, named = condition[13:].partition(" and ")
            if named != "not kwargs":
                raise Unsuited
            self.arguments = int(number)
            return
        steps, places, known = len(self.steps), len(self.places), ({**self.found}, {**self.under}, {*self.sure})
        try:
            self.test(parsed(condition))
        except Unsuited:
            if "args" in condition:
                raise
            del self.steps[steps:], self.places[places:]
            self.found, self.under, self.sure = known
            self.conditions.append(condition)

    def test(self, e: ast.expr) -> None:
        match e:
            case ast.BoolOp(ast.And(), parts):
                for part in reversed(parts):  # if it is the same object, its class is
                    self.test(part)
            case ast.BoolOp(ast.Or(), [ast.Compare(x, [ast.Is()], _), _]):  # nan is the same
                self.equal(x)
            case ast.UnaryOp(ast.Not(), x):
                self.size(x, 0)
            case ast.Compare(ast.Call(ast.Name("len"), [x]), [ast.Eq()], [ast.Constant(int(n))]):
                self.size(x, n)
            case ast.Compare(ast.Call(ast.Name("type"), [x]), [ast.Is()], _):
                self.kind(*self.find(x))
            case ast.Call(ast.Name("isinstance"), [x, ast.Name("float")]):
                self.kind(*self.find(x))
            case ast.Compare(ast.List([ast.Starred(x)]), [ast.Eq()], [ast.Name(keys)]):
                self.entries(x, self.names[keys])
            case ast.Call(ast.Name("all"), [ast.Call(ast.Name("map"), [ast.Name("is_"), x, ast.Tuple(keys)])]):
                self.entries(x, [self.find(k)[1] for k in keys])
            case ast.Compare(ast.Call(ast.Name("repr"), [x]), [ast.Eq()], _) | ast.Compare(x, [ast.Eq()], _):
                self.equal(x)
            case ast.Compare(x, [ast.Is()], [kept]):
                cell, _ = self.find(x)
                self.step("same", cell, self.find(kept)[0])
                self.sure.add(cell)
            case _:
                raise Unsuited

    def equal(self, x: ast.expr) -> None:
        """Let pass only what is the same object as now, which must be one that cannot change."""
        cell, now = self.find(x)
        if not is_constant(now):
            raise Unsuited
        self.step("same", cell, self.constant(now))
        self.sure.add(cell)

    def kind(self, cell: Cell, now: Any) -> None:
        if cell.region != CONSTANT and cell not in self.sure:
            self.step("kind", cell, self.constant(type(now)))
            self.sure.add(cell)

    def size(self, x: ast.expr, n: int) -> None:
        cell, now = self.find(x)
        if type(now) not in _SIZED:
            raise Unsuited
        self.kind(cell, now)  # before others are asked, whose __len__ is the user's
        self.step("size", cell, n)

    def entries(self, x: ast.expr, keys: Sequence[Any]) -> None:
        cell, now = self.find(x)
        if type(now) not in (dict, defaultdict):
            raise Unsuited
        keys = [*now]  # equal ones, as they are
        self.objects += keys
        first = self.cells(BORROWED, len(keys))
        self.step("entries", cell, self.placed([*map(id, keys)]), first, len(keys))
        for i, k in enumerate(keys):
            self.under[cell, _mark(k)] = first.after(i)


def parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _mark(key: Any) -> Any:
    """What tells keys of a dictionary apart: texts are equal, tensors the same."""
    return key if type(key) is str else id(key)
