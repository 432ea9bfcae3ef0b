"""A program as a C function, in double precision: numbers as expressions, arrays as loops over their fixed lengths.

What only moves entries (an index, a transpose, a reshape) becomes another way to read the same array, if its places are
evenly spaced, and else a table of places.  Operations entry by entry over one shape share a loop.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from ..compiler.program import Equation, Var
from .c_operations import FOLDS, OPERATIONS, Array, linear, moved, shape_of
from .exporting import Task, plain, titled
from .writing import ATOM, CHOICE, COMPARE, SIGN, TIMES, WIDE, Scalars, Text, template, unsupported, users

_HELPERS: Final = {
    "sign": "static double sign(double x) { return (double)((x > 0) - (x < 0)); }",
    "sigmoid": "static double sigmoid(double x) { return 0.5 * (1.0 + tanh(0.5 * x)); }",
    "softplus": "static double softplus(double x) { return (x > 0 ? x : 0) + log1p(exp(-fabs(x))); }",
    "max": "static double max(double x, double y) { return x > y || x != x ? x : y; }",
    "min": "static double min(double x, double y) { return x < y || x != x ? x : y; }",
    "mod": "static double mod(double x, double y) { return x - y * floor(x / y); }",
}  # fmt: skip
_TAKEN: Final = """
    auto break case char const continue default do double else enum extern float for goto if inline int long register restrict
    return short signed sizeof static struct switch typedef union unsigned void volatile while bool main i j k i0 i1 i2 i3 i4 i5
    acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs fdim floor fma fmax fmin
    fmod frexp gamma hypot ilogb j0 j1 j2 j3 j4 j5 jn ldexp lgamma log log10 log1p log2 logb modf nan pow remainder rint round
    sin sinh sqrt tan tanh tgamma trunc y0 y1 yn INFINITY NAN
"""
_STACK: Final = 1 << 15  # entries of arrays in between; more are static


def written(task: Task) -> str:
    """The file."""
    return Writer(task).file()


class Writer(Scalars):
    """Writes one program as a C function."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task, self.program = task, task.program
        self.taken = {*_TAKEN.split(), *_HELPERS}
        self.title = plain(task.title, self.taken)
        self.text: dict[Var, Text] = {}  # numbers
        self.arrays: dict[Var, Array] = {}
        self.names: dict[Var, str] = {}
        self.statics: list[tuple[str, str]] = []
        self.lines: list[str] = []
        self.group: list[Equation] = []  # operations entry by entry over one shape that wait for their loop
        self.count = self.entries = 0
        self.uses = users(self.program.equations, self.program.outputs)
        self.done: set[Var] = set()
        self.targets: dict[Var, str] = {}  # results that are arrays, and where they go

    # --- the file ---

    def file(self) -> str:
        program, task = self.program, self.task
        arguments = [plain(a, self.taken) for a in task.arguments]
        for v, a in zip(program.inputs, arguments, strict=True):
            self.done.add(v)
            if v.shape:
                self.arrays[v] = Array.whole(a, v.shape)
            else:
                self.text[v] = Text(a)
        single = len(program.outputs) == 1 and not shape_of(program.outputs[0])
        results = [] if single else [plain(r, self.taken) for r in task.results]
        self.names = {v: plain(n, self.taken) for v, n in task.names.items() if v not in program.inputs}
        self.targets = {y: r for r, y in zip(results, program.outputs, strict=False) if isinstance(y, Var) and y.shape}
        for v, held in program.constants.items():
            self.constant(v, held)
        for eq in program.equations:
            self.equation(eq)
        self.flush()
        for name, y in zip(results, program.outputs, strict=False):
            if not (isinstance(y, Var) and y in self.arrays and self.arrays[y].name == name):
                self.result(name, y)
        if single:
            self.lines.append(f"return {self.value(program.outputs[0]).text};")
        static = "static " if self.entries > _STACK else ""
        body = _merged([line.replace("@", static) for line in self.lines])
        used = "\n".join(body)
        statics = [text for name, text in self.statics if re.search(rf"\b{name}\b", used)]
        given = [
            f"const double *{a}" if v.shape else f"double {a}" for v, a in zip(program.inputs, arguments, strict=True)
        ]
        given += [f"double *{r}" for r in results]
        says = [f"{titled(task)}, written by chainrule.", *self.about(arguments, results)]
        if static:
            says.append("Not to be called by two threads at once: arrays in between are static.")
        head = f"/* {chr(10).join([says[0], *[f'   {s}' for s in says[1:]]])} */"
        parts = ["\n".join([head, "#include <math.h>"]), "\n".join(_HELPERS[h] for h in sorted(self.helpers))]
        function = [
            f"{'double' if single else 'void'} {self.title}({', '.join(given)})",
            "{",
            *[f"    {b}" for b in body],
            "}",
        ]
        return "\n\n".join(filter(None, [*parts, "\n".join(statics), "\n".join(function)])) + "\n"

    def about(self, arguments: list[str], results: list[str]) -> list[str]:
        lengths = [(a, shape_of(v)) for a, v in zip(arguments, self.program.inputs, strict=True) if v.shape]
        lengths += [(r, shape_of(o)) for r, o in zip(results, self.program.outputs, strict=False)]
        return [
            f"{name}: {math.prod(s)} entr{'y' if math.prod(s) == 1 else 'ies'}{f', of shape {s}' if len(s) > 1 else ''}."
            for name, s in lengths
        ]

    def constant(self, v: Var, a: np.ndarray[Any, Any]) -> None:
        self.done.add(v)
        if not a.ndim:
            self.text[v] = self.number(a)
            return
        if a.size and (a == a.flat[0]).all():
            a = np.asarray(a.flat[:1])
            name = self.table("double", [self.number(x).text for x in a])
            self.arrays[v] = Array(name, v.shape, 0, (0,) * len(v.shape))
            return
        self.arrays[v] = Array.whole(self.table("double", [self.number(x).text for x in a.flat]), v.shape)

    def table(self, kind: str, entries: Sequence[str]) -> str:
        """A static array; returns its name."""
        name = plain(f"C{len(self.statics) + 1}", self.taken)
        rows = [", ".join(entries[i : i + 8]) for i in range(0, len(entries), 8)]
        text = ",\n    ".join(rows)
        self.statics.append((name, f"static const {kind} {name}[{len(entries)}] = {{{text}}};"))
        return name

    def result(self, name: str, a: Any) -> None:
        shape = shape_of(a)
        if not shape:
            self.lines.append(f"*{name} = {self.value(a).text};")
        else:
            self.loop(shape, lambda at: [f"{Array.whole(name, shape).at(at)} = {self.entry(a, at).text};"])

    # --- equations ---

    def equation(self, eq: Equation) -> None:
        if template(eq):
            if eq.out.shape:
                if self.group and (self.group[0].out.shape != eq.out.shape or not self.aligned(eq)):
                    self.flush()
                self.group.append(eq)
            else:
                self.need(eq)
                self.scalar(eq)
            return
        if self.folds(eq):
            return
        self.need(eq)
        rule = OPERATIONS.get(eq.name)
        if rule is not None:
            rule(self, eq)
        elif not moved(self, eq) and not linear(self, eq):
            raise unsupported(eq, "C", ': language="python" may have a form')

    def need(self, eq: Equation) -> None:
        """Write the loop that waits, if the equation reads what is made there."""
        made = {v for e in self.group for v in e.outs}
        if any(v in made for v in eq.vars):
            self.flush()

    def aligned(self, eq: Equation) -> bool:
        """Whether an equation reads what the waiting loop makes entry by entry, at its own place."""
        made = {v for e in self.group for v in e.outs}
        return all(v.shape == eq.out.shape for v in eq.vars if v in made)

    def scalar(self, eq: Equation) -> None:
        found = self.write(eq, [self.value(a) for a in eq.args])
        while len(found.text) > WIDE and (long := self.longest(eq)) is not None:
            self.assign(long)
            found = self.write(eq, [self.value(a) for a in eq.args])
        self.text[eq.out] = found
        if self.uses.get(eq.out, 0) > 1 or eq.out in self.names:
            self.assign(eq.out)

    def longest(self, eq: Equation) -> Var | None:
        inline = [v for v in eq.vars if v in self.text and v not in self.done and len(self.text[v].text) > 12]
        return max(inline, key=lambda v: len(self.text[v].text), default=None)

    def assign(self, v: Var, lines: list[str] | None = None) -> None:
        """Give a number a line of its own."""
        kind = {"b": "int", "i": "long long"}.get(v.dtype.kind, "double")
        (self.lines if lines is None else lines).append(f"const {kind} {self.name(v)} = {self.text[v].text};")
        self.text[v] = Text(self.name(v))
        self.done.add(v)

    def name(self, v: Var) -> str:
        if v not in self.names:
            self.count += 1
            self.names[v] = plain(f"t{self.count}", self.taken)
        return self.names[v]

    def value(self, a: Any) -> Text:
        """A number."""
        if not isinstance(a, Var):
            return self.number(a)
        return self.text[a] if a in self.text else Text(self.arrays[a].at([""] * len(a.shape)))

    def entry(self, a: Any, at: Sequence[str]) -> Text:
        """An entry of an operand in a loop."""
        if isinstance(a, Var) and a in self.arrays:
            return Text(self.arrays[a].at(at))
        return self.value(a)

    # --- loops ---

    def loop(self, shape: tuple[int, ...], body: Callable[[list[str]], list[str]], prefix: str = "i") -> None:
        """Loops over the axes of a shape around lines that are written for the loop variables."""
        at = [f"{prefix}{k}" if n > 1 else "" for k, n in enumerate(shape)]
        if sum(map(bool, at)) == 1:
            at = [prefix if i else "" for i in at]
        depth = 0
        for i, n in zip(at, shape, strict=True):
            if i:
                self.lines.append(f"{'    ' * depth}for (int {i} = 0; {i} < {n}; {i}++) {{")
                depth += 1
        self.lines += ["    " * depth + line for line in body(at)]
        self.lines += ["    " * d + "}" for d in range(depth - 1, -1, -1)]

    def folds(self, eq: Equation) -> bool:
        """A fold over all axes of what the waiting loop makes last joins that loop."""
        x = eq.args[0]
        if eq.name not in FOLDS or not self.group or x is not self.group[-1].out:
            return False
        if len(eq.params["axis"]) != len(x.shape):
            return False
        total = self.store(eq.out)([""] * len(eq.out.shape))
        start, step = FOLDS[eq.name]
        self.lines.append(f"{total} = {start};")
        self.flush(x, lambda text: step.format(t=total, x=text))
        return True

    def flush(self, folded: Var | None = None, fold: Callable[[str], str] = str) -> None:
        """Write the loop of the waiting equations; each entry of ``folded`` is given to ``fold`` too."""
        group, self.group = self.group, []
        if not group:
            return
        shape = group[0].out.shape
        inside: dict[Var, int] = {}
        for eq in group:
            for v in eq.vars:
                inside[v] = inside.get(v, 0) + 1
        if folded is not None:
            inside[folded] = inside.get(folded, 0) + 1
        kept = [v for eq in group if self.uses.get(v := eq.out, 0) > inside.get(v, 0)]
        for v in kept:
            self.declare(v)
        stores = {v: self.arrays.pop(v) for v in kept}

        def body(at: list[str]) -> list[str]:
            lines: list[str] = []
            for eq in group:
                found = self.write(eq, [self.entry(a, at) for a in eq.args])
                while len(found.text) > WIDE and (long := self.longest(eq)) is not None:
                    self.assign(long, lines)
                    found = self.write(eq, [self.entry(a, at) for a in eq.args])
                v = eq.out
                self.text[v] = found
                if v in stores:
                    lines.append(f"{stores[v].at(at)} = {found.text};")
                    self.text[v] = Text(stores[v].at(at))
                    self.done.add(v)
                elif self.uses.get(v, 0) > 1 or (v is folded and fold("?").count("?") > 1):
                    self.assign(v, lines)
                if v is folded:
                    lines.append(fold(self.text[v].within(TIMES)))
            return lines

        self.loop(shape, body)
        for eq in group:
            self.text.pop(eq.out, None)
        self.arrays.update(stores)

    def declare(self, v: Var) -> Array:
        """Memory for an array in between."""
        if v in self.targets:  # a result
            self.arrays[v] = Array.whole(self.targets[v], v.shape)
            return self.arrays[v]
        self.entries += v.size
        self.lines.append(f"@double {self.name(v)}[{v.size}];")
        self.arrays[v] = Array.whole(self.name(v), v.shape)
        return self.arrays[v]

    def store(self, v: Var) -> Callable[[list[str]], str]:
        """Where entries of a result go: an array, or a number."""
        if v.shape:
            array = self.declare(v)
            return array.at
        self.lines.append(f"double {self.name(v)};")
        self.text[v] = Text(self.name(v))
        self.done.add(v)
        return lambda at: self.name(v)

    # --- how C says it ---

    def number(self, value: Any) -> Text:
        value = value.item() if hasattr(value, "item") else value
        if isinstance(value, bool):
            return Text(str(int(value)))
        if isinstance(value, int) and abs(value) < 2**53:
            return Text(f"{value}.0" if value >= 0 else f"({value}.0)")
        text = super().number(value).text
        return Text(text if value >= 0 or value != value else f"({text})")

    def special(self, value: float) -> str:
        return "NAN" if math.isnan(value) else "INFINITY" if value > 0 else "-INFINITY"

    def binary(self, sign: str, level: int, left: Text, right: Text) -> Text:
        if sign in ("and", "or"):
            return Text(f"{left.within(COMPARE)} {'&&' if sign == 'and' else '||'} {right.within(COMPARE)}", level)
        return super().binary(sign, level, left, right)

    def power(self, x: Text, exponent: Any, y: Text) -> Text:
        if exponent == 2 and len(x.text) <= 16 and x.binds == ATOM:
            return Text(f"{x.text}*{x.text}", TIMES)
        return Text(f"pow({x.text}, {self.number(exponent).text if not isinstance(exponent, Var) else y.text})")

    def negated(self, x: Text) -> Text:
        return Text(f"!{x.within(ATOM)}", SIGN)

    def choice(self, test: Text, x: Text, y: Text) -> Text:
        return Text(f"{test.within(CHOICE + 1)} ? {x.within(CHOICE + 1)} : {y.within(CHOICE + 1)}", CHOICE)

    def cast(self, eq: Equation, x: Text) -> Text:
        have, want = eq.args[0].dtype.kind, eq.out.dtype.kind
        if want == "b":
            return Text(f"{x.within(COMPARE + 1)} != 0", COMPARE)
        if want == "f" and have != "f":
            return Text(f"(double){x.within(ATOM)}", SIGN)  # or a quotient would be of integers
        return Text(f"trunc({x.text})") if have == "f" and want in "iu" else x

    def call(self, name: str, args: list[Text]) -> Text:
        if name in _HELPERS:
            self.helpers.add(name)
        shown = ", ".join(a.text for a in args)
        return Text(f"{'fabs' if name == 'abs' else name}({shown})")


def _merged(lines: list[str]) -> list[str]:
    """``double t;`` and ``t = 0;`` in one line."""
    found: list[str] = []
    for line in lines:
        if found and found[-1] == f"double {line.partition(' = ')[0]};":
            found[-1] = f"double {line}"
        else:
            found.append(line)
    return found
