"""Driver: the function that carries out a plan, written out step by step.

It says which kernel is called with which arrays, which primitives NumPy computes, where memory comes from.
Results that leave the function come from a pool; results in between live in a workspace, taken for the
length of a call, where those with separate lives share memory.
"""

from __future__ import annotations

import functools
import heapq
import math
import re
from typing import Any

import numpy as np

from ..arrays import numpy_
from ..primitive import Elementwise
from ..quiet import quietly, reset_errors
from . import threads
from .calling import READY
from .emit import Source, line_source, loop_source, may_overwrite
from .indexed import indexed_source
from .lower import FAST
from .memory import Pool
from .native import lazily, native
from .plan import Call, Line, Loop, Step
from .program import Equation, Names, Program, Var, signature
from .windows import direct_source

_FRESH = frozenset(
    "Matmul Mv Dot Cat Stack Sum Prod Amax Amin PutAdd Put PutAlong Gather CumSum ArgMax ArgMin All Any_".split()  # noqa: SIM905
)
_FOLD = {"Sum": "np.add.reduce", "Amax": "np.maximum.reduce", "Amin": "np.minimum.reduce"}
_OPERATORS = re.compile(r"[{}xy +*/<>=!&|^-]+")  # templates that NumPy's operators answer


def _fresh(eq: Equation) -> bool:
    """Whether a call's result never shares memory with an argument."""
    return eq.name in _FRESH or (isinstance(eq.prim, Elementwise) and bool(eq.prim.scalar))


def _number(a: Any) -> str:
    return repr(a) if not isinstance(a, float) or math.isfinite(a) else f"float('{a}')"


class Driver:
    """Writes the driver.  A variable may be at hand as an array ``v1``, flat ``v1_``, or as a number ``v1n``."""

    def __init__(
        self, program: Program, steps: list[Step], onto: dict[int, int] | None = None, fast: bool = False,
        native: bool = True,
    ) -> None:  # fmt: skip
        self.program, self.steps, self.fast, self.native = program, steps, fast, native
        self.onto: dict[Var, Var] = {}  # results that are to take the place of inputs
        for k, i in (onto or {}).items():
            if program.outputs.count(program.outputs[k]) == 1 and program.inputs[i] not in program.outputs:
                self.onto[program.outputs[k]] = program.inputs[i]
        self.kernels: list[Source] = []
        self.names = Names()
        self.lines: list[str] = []
        self.at_hand: dict[Var, set[str]] = {}
        self.globals: dict[str, Any] = {
            "np": np, "share": threads.share, "quietly": quietly, "reset_errors": reset_errors,
        }  # fmt: skip
        self.origins: dict[Var, set[Var]] = {}  # whose memory an array may show
        self.last_use: dict[Var, int] = {}
        self.maker: dict[Var, int] = {}  # the step that makes a variable
        self._lives()
        if self._postpone():
            self._lives()
        self.onto = {v: u for v, u in self.onto.items() if self._fits(v, u)}
        self.ends: dict[int, list[Var]] = {}  # for each step, the variables that are not read after it
        for v, i in self.last_use.items():
            self.ends.setdefault(i, []).append(v)
        self.slots: list[tuple[int, np.dtype[Any]]] = []  # the workspace
        self.free: dict[
            Any, list[tuple[int, int]]
        ] = {}  # of each kind: (step that ends its last life, slot), as a heap
        self.slot_of: dict[Var, int] = {}
        self.pools = 0

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
        if not isinstance(step, Loop) or not may_overwrite(step) or u in self.leaving:
            return False
        read = any(u in eq.vars for eq in step.equations)
        return read and v.shape == u.shape == step.shape and v.dtype == u.dtype and self.last_use[u] == i

    # --- a variable in the form that is needed ---

    def array(self, v: Var) -> str:
        name = self.names[v]
        if "array" not in self.at_hand[v]:
            d = self.hold(f"{v.dtype.name}", v.dtype.type)
            made = f"{d}({name}n)" if not v.shape else f"np.full({v.shape}, {name}n, {d})"
            self.make(v, "array", f"{name} = {made}")
        return name

    def flat(self, v: Var) -> str:
        name = self.names[v]
        if "flat" not in self.at_hand[v]:
            self.array(v)
            fit = f"{name} if {name}.flags.num & {READY} == {READY} else np.require({name}, None, 'CA')"
            self.make(v, "flat", f"{name}_ = ({fit}){'' if len(v.shape) == 1 else '.reshape(-1)'}")
        return f"{name}_"

    def number(self, v: Var) -> str:
        name = self.names[v]
        if "number" not in self.at_hand[v]:
            self.make(v, "number", f"{name}n = {name}.item()")
        return f"{name}n"

    def make(self, v: Var, form: str, line: str) -> None:
        self.lines.append(line)
        self.at_hand[v].add(form)

    def hold(self, name: str, value: Any) -> str:
        self.globals[name] = value
        return name

    # --- the text ---

    def text(self) -> str:
        for v in self.program.inputs:
            self.names[v]
            self.at_hand[v] = {"array"}
        for v, a in self.program.constants.items():
            self.at_hand[v] = {"array"}
            self.hold(self.names[v], a)
            if v.size > 1:
                self.at_hand[v].add("flat")
                self.hold(f"{self.names[v]}_", np.ascontiguousarray(a).reshape(-1))
        for i, step in enumerate(self.steps):
            if isinstance(step, Call):
                self.call(step.equation, i)
            else:
                self.kernel(step, i)
        results = self.results()
        body = self.lines
        if self.slots:
            kinds, views = list(self.slots), list(self.slot_of.items())

            def workspace() -> list[Any]:
                memory = [np.empty(size, d) for size, d in kinds]
                return [(memory[k].reshape(v.shape), memory[k]) for v, k in views]

            self.globals.update(spare=[], workspace=workspace)
            body = ["w = spare.pop() if spare else workspace()", *body, "spare.append(w)"]
        if any(isinstance(s, Call) for s in self.steps):
            body = [
                "for token in quietly:",
                "    try:",
                *["        " + line for line in body],
                "    finally:",
                "        reset_errors(token)",
                "    break",
            ]
        head = f"def run({', '.join(self.names[v] for v in self.program.inputs)}):"
        notes = [f"    # {self.names[v]}: {signature(v)}" for v in self.program.inputs]
        return "\n".join([head, *notes, *["    " + line for line in [*body, f"return ({results})"]]])

    def results(self) -> str:
        given: set[Var] = set()
        found = []
        for a in self.program.outputs:
            if not isinstance(a, Var):
                found.append(f"{a!r}, ")
                continue
            if a in self.onto:
                found.append("None, ")
                continue
            name = self.array(a)
            fixed = any(o in self.program.constants or o in self.program.inputs or o in given for o in self.origins[a])
            found.append(f"np.array({name}), " if fixed else f"{name}, ")
            given |= self.origins[a]
        return "".join(found)

    def call(self, eq: Equation, i: int) -> None:
        source = (indexed_source(eq) or direct_source(eq)) if self.native else None
        if source is not None:
            self.indexed(eq, source, i)
            return
        args = [self.array(a) if isinstance(a, Var) else _number(a) for a in eq.args]
        out = self.names[eq.out]
        self.at_hand.update({v: {"array"} for v in eq.outs})
        large = eq.out.size * eq.out.dtype.itemsize >= 1024
        if eq.name == "Matmul" and large and len({v.dtype for v in eq.vars}) == 1:
            flat = all(len(v.shape) == 2 for v in eq.vars)  # dot has less ceremony
            call = f"{args[0]}.dot({args[1]}, {out})" if flat else f"np.matmul({', '.join(args)}, out={out})"
            self.lines += [self.buffer(eq.out, i), call]
        elif (text := self.direct(eq, args, i)) is not None:
            self.lines.append(f"{out} = {text}")
        else:
            function = self.hold(f"{eq.name.lower()}{i}", functools.partial(eq.prim.forward, numpy_, **eq.params))
            outs = ", ".join(self.names[v] for v in eq.outs)
            self.lines.append(f"{outs}{',' if eq.prim.outputs is not None else ''} = {function}({', '.join(args)})")
        kept = (self.slot_of, self.program.constants, self.program.inputs)
        gone = [v for v in self.ends.get(i, ()) if "array" in self.at_hand.get(v, ()) and v.size > 256]
        gone = [v for v in gone if not any(v in k for k in kept)]
        if gone:
            self.lines.append(f"{' = '.join(self.names[v] for v in gone)} = None")

    def indexed(self, eq: Equation, source: Source, i: int) -> None:
        """A kernel of one equation, and NumPy in its stead where it finds what it does not know."""
        kernel = self.hold(f"loop{len(self.kernels)}", native(source.text))
        self.kernels.append(source)
        arrays = [self.array(v) for v in eq.vars]
        args = [self.flat(v) for v in eq.vars]
        self.lines.append(self.buffer(eq.out, i))
        out = self.names[eq.out]
        function = self.hold(f"{eq.name.lower()}{i}", functools.partial(eq.prim.forward, numpy_, **eq.params))
        given = ", ".join([*args, f"{out}_", *map(str, source.lengths)])
        if source.cost > threads.WORTH and source.blocks > 1:
            call = f"share({kernel}, {source.blocks}, ({given}))"
        else:
            call = f"{kernel}({f'0, {source.blocks}, ' if source.cost else ''}{given})"
        self.lines += [f"if {call}:", f"    np.copyto({out}, {function}({', '.join(arrays)}))"]

    def direct(self, eq: Equation, args: list[str], i: int) -> str | None:
        """The commonest calls as NumPy's own, without a function between."""
        x, p = args[0], eq.params
        if eq.name == "Permute":
            n = len(eq.out.shape)
            return f"{x}.transpose({(*range(n - len(p['axes'])), *[n + a for a in p['axes']])})"
        if eq.name == "Reshape":
            return f"{x}.reshape({eq.out.shape})"
        if eq.name == "GetItem":
            return f"{x}[{self.hold(f'key{i}', p['key'])}]"
        if eq.name == "Sum":
            return f"np.add.reduce({x}, {p['axis']}, None, None, {p['keepdims']})"
        if isinstance(eq.prim, Elementwise) and _OPERATORS.fullmatch(eq.prim.scalar):
            return eq.prim.scalar.format(**dict(zip(eq.prim.args, args, strict=True)))
        return None

    def kernel(self, step: Step, i: int) -> None:
        constants = self.program.constants
        onto = {v: self.onto[v] for v in step.outputs if v in self.onto}  # type: ignore[union-attr]
        source = loop_source(step, constants, onto) if isinstance(step, Loop) else line_source(step, constants)  # type: ignore[arg-type]
        if self.fast:
            source.text, source.wide = FAST + source.text, source.wide and FAST + source.wide
        number = len(self.kernels)
        self.kernels.append(source)
        numbers = [self.number(v) for v in source.numbers]
        if not isinstance(step, Loop):
            self.hold(f"line{number}", native(source.text))
            returned = [v for v in source.outputs if not v.shape or v not in step.stores]  # type: ignore[union-attr]
            written = [v for v in source.outputs if v not in returned]
            self.lines += [self.buffer(v, i) for v in written]
            arrays = [*map(self.flat, source.arrays), *[f"{self.names[v]}_" for v in written]]
            call = f"line{number}({', '.join(arrays + numbers)})"
            self.lines.append(f"{', '.join(self.names[v] + 'n' for v in returned)} = {call}" if returned else call)
            self.at_hand.update({v: {"number"} for v in returned})
            return
        args = [self.flat(v) for v in source.arrays]
        self.hold(f"loop{number}", native(source.text))
        for v, u in onto.items():
            self.lines.append(f"{self.names[v]}, {self.names[v]}_ = {self.names[u]}, {self.names[u]}_")
            self.at_hand[v] = {"array", "flat"}
        for v in source.outputs:
            self.lines.append(self.buffer(v, i))
            args.append(f"{self.names[v]}_")
        args += numbers
        for v, _ in source.totals:
            part = f"{self.names[v]}p"
            self.lines.append(f"{part} = np.empty({source.blocks})")
            args.append(part)
        lengths = ", ".join(map(str, source.lengths))
        args = [lengths, *args]
        shared = step.cost > threads.WORTH and source.blocks > 1

        def launch(kernel: str) -> str:
            given = ", ".join(args)
            return (
                f"share({kernel}, {source.blocks}, ({given},))" if shared else f"{kernel}(0, {source.blocks}, {given})"
            )

        if source.wide:
            self.hold(f"wide{number}", lazily(source.wide))
            self.lines += [f"if {launch(f'loop{number}')}:", f"    {launch(f'wide{number}')}"]
        else:
            self.lines.append(launch(f"loop{number}"))
        for v, kind in source.totals:
            part = f"{self.names[v]}p"
            folded = f"{part}.item()" if source.blocks == 1 else f"{_FOLD[kind]}({part}).item()"
            self.lines.append(f"{self.names[v]}n = {folded}")
            self.at_hand[v] = {"number"}

    def buffer(self, v: Var, i: int) -> str:
        """The line that gets memory for a variable made in step i."""
        name = self.names[v]
        self.at_hand[v] = {"array", "flat"}
        if v in self.leaving:
            pool = self.hold(f"pool{self.pools}", Pool(v.shape, v.dtype))
            self.pools += 1
            return f"{name}, {name}_ = {pool}.take()"
        free = self.free.setdefault((v.size, v.dtype), [])
        if free and free[0][0] < i:  # the one whose last life ended first
            k = heapq.heappop(free)[1]
        else:
            k = len(self.slots)
            self.slots.append((v.size, v.dtype))
        heapq.heappush(free, (self.last_use.get(v, i), k))
        self.slot_of[v] = k
        return f"{name}, {name}_ = w[{len(self.slot_of) - 1}]"
