"""Entry: a program for one state of what a function depends on.

It is one generated Python function that sees whether it applies, gathers the arrays, runs the program and wraps the results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..node import Extra, Port
from ..tensor import Tensor, _new, init
from ..views import follow_chain
from ..writes import written
from .capture import capture
from .captured import Captured, Detached, Given, Plain, Result, Same, Value, View
from .derivative import CompiledFunctionBackward, Derivative
from .describe import describe
from .environment import MOVED, Check, Environment
from .guards import Expected, alone, guard
from .memory import kept
from .native import made
from .outside import HEARD, is_heard
from .run import Runner, define
from .shortcut import shortcut
from .simplify import simplify
from .watching import Uncompilable, kind_of, members, watchers

if TYPE_CHECKING:
    from .dispatch import Compiled

MISS = object()  # what an entry gives where it does not apply


class Entry:
    """A program for one state of arguments and environment."""

    @kept()
    def __init__(
        self, owner: Compiled, environment: Environment, args: tuple[Any, ...], kwargs: dict[str, Any], faithful: bool
    ) -> None:
        self.environment = environment
        tensors = [f.tensor for f in environment.tensors.values()]
        captured = capture(owner.function, args, kwargs, tensors, faithful, standing_in=environment.standing_in)
        added = {id(captured.tensors[w.tensor]) for w in captured.writes}
        swept = {id(t) for t in captured.tensors if t._rg and captured.swept}
        if any(is_heard(t) and (id(t._grad) in added or id(t) in swept) for t in tensors):
            raise Uncompilable(HEARD)
        environment.checks += [Check(c, "a comparison") for c in dict.fromkeys(captured.conditions)]
        self.program = simplify(captured.program)
        self.derivative = Derivative(captured, self.program, owner.runner) if captured.wanted else None
        onto = {w.output: w.tensor for w in captured.writes}
        self.runner = owner.runner(self.derivative.forward if self.derivative else self.program, onto)
        writer = _Writer(self, captured)
        self.text, names = writer.write()
        self.call = define(self.text, names)
        self.shortcut = shortcut(self, args, captured, writer.expected)

    @property
    def source(self) -> str:
        parts = [self.runner.source]
        if self.derivative is not None and "runner" in vars(self.derivative):
            parts.append(self.derivative.runner.source.replace("def run(", "def backward("))
        return "\n\n\n".join(parts)

    def explain(self) -> str:
        """The program, its kernels and what it depends on."""
        steps = describe(self.runner.program, self.runner.steps, len(self.runner.written))
        guards = [f"  {c.label}: {c.condition}" for c in self.environment.checks]
        return "\n".join([str(self.program), "steps:", *steps, "as long as:", *guards])


class _Writer:
    """Writes an entry's function."""

    def __init__(self, entry: Entry, captured: Captured) -> None:
        self.entry, self.captured = entry, captured
        self.native = isinstance(entry.runner, Runner) and bool(entry.runner.kernels)
        self.names = {
            **entry.environment.names, "MISS": MISS, "Tensor": Tensor, "run": entry.runner.run, "watchers": watchers,
            "new": made(Tensor, *members.values()) if self.native else new,
        }  # fmt: skip
        self.index = {id(t): i for i, t in enumerate(captured.tensors)}
        self.wrapped_already: set[int] = set()
        self.expected: list[Expected] = []

    def write(self) -> tuple[str, dict[str, Any]]:
        conditions = [c.condition for c in self.entry.environment.checks]
        fetch: list[str] = []
        for found in self.entry.environment.tensors.values():
            conditions, fetch = self.tensor(found, conditions, fetch)
        n = len(self.captured.tensors)
        fetch += self.aside(n)
        lines = ["try:", *[f"    if not ({c}): return MISS" for c in conditions], *["    " + line for line in fetch]]
        lines += [f"except {MOVED}:", "    return MISS"]
        lines += self.drawn(n)
        lines += self.run(n)
        lines += self.history(n)
        wrapped = self.wrapped()
        lines += [*wrapped[:-1], *self.effects(), wrapped[-1]]
        return "\n".join(["def entry(args, kwargs):", *["    " + line for line in lines]]), self.names

    def run(self, n: int) -> list[str]:
        """The program itself, from arrays ``v0`` on to ``r0`` and so on."""
        runner, count = self.entry.runner, n + len(self.captured.draws)
        if isinstance(runner, Runner):  # its lines, which spares a call
            self.names.update(runner.names)
            return [*runner.body, *[f"r{i} = {result}" for i, result in enumerate(runner.results)]]
        results = "".join(f"r{i}, " for i in range(len(runner.program.outputs)))
        call = f"run({', '.join(f'v{i}' for i in range(count))})"
        return [f"{results}= {call}" if results else call]

    def hold(self, name: str, value: Any) -> str:
        self.names[name] = value
        return name

    def aside(self, n: int) -> list[str]:
        """What must hold of the tensors and their memory, and of who wants to know of their gradients."""
        written = [w.tensor for w in self.captured.writes]
        self.expected = [
            Expected(kind_of(t), t._rg, v, i in written)
            for i, (t, v) in enumerate(zip(self.captured.tensors, self.captured.program.inputs, strict=False))
        ]
        self.names["fits"] = guard(self.expected, self.native)
        tensors, arrays = (", ".join(f"{letter}{i}" for i in range(n)) for letter in "tv")
        # From here to the look at the tensors nothing is called, so no other thread can give them other arrays meanwhile.
        lines = ["if watchers: return MISS", *[f"v{i} = t{i}._a" for i in range(n)]]
        if written:
            self.names.update(alone=alone, written=written)
            lines += [
                f"fit = fits({tensors})",
                f"if not fit or fit > 1 and not alone(written, ({tensors},), ({arrays},)): return MISS",
            ]
        else:
            lines.append(f"if not fits({tensors}): return MISS")
        if self.captured.ordered:
            layouts = [(i, t._a) for i, t in enumerate(self.captured.tensors) if len(t._shape) > 1]
            lines += [f"if v{i}.strides != {a.strides}: return MISS" for i, a in layouts]
        several, found = self.captured.owners(), self.entry.environment.tensors
        owners = [
            f"t{self.index[k]}" if k in self.index else f.expressions[0] for k, f in found.items() if k in several
        ]
        if len(owners) > 1:
            lines.append(f"if len({{*map(id, ({', '.join(owners)}))}}) < {len(owners)}: return MISS")
        for k in found.keys() & self.captured.touched():
            if not is_heard(found[k].tensor):  # or else it was looked at only
                self.names["is_heard"], t = (
                    is_heard,
                    f"t{self.index[k]}" if k in self.index else found[k].expressions[0],
                )
                lines.append(f"if {t}._meta is not None and is_heard({t}): return MISS")
        return lines

    def drawn(self, n: int) -> list[str]:
        """The random and the given numbers of this call."""
        lines = []
        for i, d in enumerate(self.captured.draws, n):
            if isinstance(d, Given):
                self.names["float64"] = np.float64
                lines.append(f"v{i} = float64({d.expression})")
                continue
            parts = [self.hold(f"draw{i}_{k}", a) for k, a in enumerate(d.args)]
            parts += [f"{k}={self.hold(f'draw{i}_{k}', a)}" for k, a in d.options.items()]
            lines.append(f"v{i} = {self.hold(f'draw{i}', getattr(d.generator, d.name))}({', '.join(parts)})")
        return lines

    def effects(self) -> list[str]:
        """What the call does to tensors that were there before."""
        lines = []
        for w in self.captured.writes:
            self.names.update(write=write, count=count)
            if w.output not in self.entry.runner.written:
                lines.append(f"write(t{w.tensor}, r{w.output})")
            if w.versions:
                lines += [
                    f"cell = t{w.tensor}._v",
                    f"if type(cell) is list and len(cell) == 1: cell[0] += {w.versions}",
                ]
                lines.append(f"else: count(t{w.tensor}, {w.versions})")
        for i, result in self.captured.grads:
            if not (isinstance(result, Same) and self.captured.tensors[result.index] is self.captured.tensors[i]._grad):
                lines.append(f"t{i}._grad = {self.made(result, f'g{i}', lines) if result is not None else None}")
        return lines

    def tensor(self, found: Any, conditions: list[str], fetch: list[str]) -> tuple[list[str], list[str]]:
        """How to find one tensor again, and see that it is of the same kind."""
        t, kind = found.tensor, kind_of(found.tensor)
        i = self.index.get(id(t))
        expected = "Tensor" if kind is Tensor else self.hold(f"class{id(kind):x}", kind)
        if id(t) in self.captured.asked:
            conditions.append(f"({found.expressions[0]}._grad is None) is {t._grad is None}")
        if i is None:
            conditions += [f"type({e}) is {expected}" for e in found.expressions if not e.endswith("._grad")]
            return conditions, fetch
        first, *others = found.expressions
        fetch += [f"t{i} = {first}", *[f"if {e} is not t{i}: return MISS" for e in others]]
        return conditions, fetch

    def history(self, n: int) -> list[str]:
        """What the differentiable results remember of this call: one node, or a port of it for each."""
        d = self.entry.derivative
        if d is None:
            return []
        self.names.update(derivative=d, Memory=CompiledFunctionBackward, Extra=Extra, Port=Port)
        edges = [f"t{i} if t{i}._node is None else t{i}._node" if i in d.wanted else "None" for i in range(d.count)]
        kept = [i for i in range(n) if d.needed[i] and i not in d.copied]
        held = {i: f"v{i}, " for i in range(d.count) if d.needed[i]} | {
            i: f"r{k}, " for k, i in enumerate(d.copied, d.kept)
        }
        arrays = "".join(held.get(i, "None, ") for i in range(d.count))
        tensors = "".join(f"t{i}, " if i in kept else "None, " for i in range(d.count))
        saved = "".join(f"r{i}, " for i in range(self.captured.outputs, d.kept))
        versions = "".join(f"t{i}._v and t{i}._v[0], " if i in kept else "None, " for i in range(d.count))
        fresh = " and ".join(f"t{i}._v is None" for i in kept) or "True"
        lines = [f"extra = None if {fresh} else Extra(versions=({versions}))"]
        lines.append(
            f"node = Memory(({', '.join(edges)},), (None, ({arrays}), ({saved})), ({tensors}), derivative, extra)"
        )
        return lines

    def wrapped(self) -> list[str]:
        """The results as tensors, in the structure of the output."""
        lines: list[str] = []
        leaves = [self.made(result, f"y{k}", lines) for k, result in enumerate(self.captured.results)]
        return [*lines, f"return {_structure(self.captured.out, iter(leaves), self.hold)}"]

    def made(self, result: Result, name: str, lines: list[str]) -> str:
        """An expression for a result; ``lines`` gets what comes before it."""
        match result:
            case Plain(value):
                return self.hold(f"value_{name}", value)
            case Same(i):
                return f"t{i}"
            case Detached(i, leaf, outside, counted):
                cut = "detach()" if counted else "data"
                return f"{'t' if outside else 'o'}{i}.{cut}{'.requires_grad_()' if leaf else ''}"
            case View(i, chain, outside, cut):
                self.names["follow_chain"] = follow_chain
                held = self.hold(f"chain_{name}", chain)
                base = f"{'t' if outside else 'o'}{i}{'.' if cut else ''}{cut}"
                lines.append(f"{name} = follow_chain({base}, {held})")
                return name
            case Value(i, leaf, spent):
                if i not in self.wrapped_already:
                    self.wrapped_already.add(i)
                    requires_grad, node = leaf, "None"
                    if i in self.captured.differentiable:
                        several = len(self.captured.differentiable) > 1
                        node = f"Port(node, {self.captured.differentiable.index(i)})" if several else "node"
                        requires_grad = True
                    elif spent is not None:
                        requires_grad, node = True, self.hold(f"spent{i}", spent)
                    lines.append(f"o{i} = new(r{i}, {requires_grad}, {node})")
                return f"o{i}"


def new(a: Any, requires_grad: bool, node: Any) -> Tensor:
    """A tensor; native code has a way of its own to make one."""
    t: Tensor = init(_new(Tensor), a, requires_grad)
    t._node = node
    return t


def write(t: Tensor, r: Any) -> None:
    """Put what a program computed into a tensor's memory."""
    t._own()[...] = r


def count(t: Tensor, versions: int) -> None:
    """Count writes to a tensor."""
    t._cell()[0] += versions - 1
    written(t, None)


def _structure(out: Any, leaves: Any, hold: Callable[[str, Any], str]) -> str:
    """An expression that builds ``out`` anew from other leaves."""
    if type(out) is tuple:
        return f"({''.join(_structure(o, leaves, hold) + ', ' for o in out)})"
    if type(out) is list:
        return f"[{', '.join(_structure(o, leaves, hold) for o in out)}]"
    if isinstance(out, (tuple, list, dict)) or hasattr(out, "__dataclass_fields__"):
        from ..func import tree

        found, rebuild = tree.flatten(out)
        parts = [_structure(o, leaves, hold) for o in found]
        return f"{hold(f'rebuild{id(out)}', rebuild)}([{', '.join(parts)}])"
    return str(next(leaves))
