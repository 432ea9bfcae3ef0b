"""Capture: run a function once and write down what it did.

The function runs on its own tensors.  While it does, the slots of ``Tensor`` are watched: the array of a
tensor that was there before reads as a traced array, whether the tensor is an argument, a weight in a
closure or an attribute of some object, and all that follows from it is recorded.  Such a tensor also reads
as a leaf, so the graph that is built ends at it.  What is written to it, or to its ``.grad``, changes the traced
array and not the tensor: the program will do it.  Other threads go on as always, if a little slower.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NoReturn

import numpy as np

from .. import modes
from ..arrays import namespace as ns
from ..arrays.namespace import is_numpy
from ..arrays.traced import Memory, Traced, bare
from ..backward import fit
from ..engine import Sweep
from ..errors import no_value
from ..func import tree
from ..primitive import Elementwise, Primitive, compute
from ..tensor import Tensor, wrap
from .captured import Captured, Draw, Given, Result, Write
from .number import Number
from .outside import HEARD, Before, are_apart, is_alone, is_heard
from .program import Atom, Equation, Program, Var, distinct, var_of
from .results import Results
from .watching import Inline, Uncompilable, current, no_random, slots, watching

LARGE = 1 << 16  # entries; larger examples are made of one
_WHAT = {"_a": "the memory", "_rg": "requires_grad", "_node": "the history"}
_STATIC = (bool, int, float, str, type(None), np.dtype, type)  # what draws may depend on


class Unfaithful(Exception):
    """Something depends on the values or layouts of examples that only stand for large ones."""


# --- recording ---


class Capture:
    """One run being recorded."""

    inside = 0

    def __init__(self, tensors: Sequence[Tensor], faithful: bool) -> None:
        self.program = Program()
        self.known = {id(t) for t in tensors}
        self.faithful = faithful  # whether examples are what they would be, or large ones only alike
        self.open = True
        self.seen: dict[int, tuple[Tensor, Traced]] = {}  # tensors from before that were read, by identity
        self.made: dict[int, Tensor] = {}  # tensors made meanwhile, held so that identities stay theirs
        self.constants: dict[int, list[tuple[Any, Var]]] = {}
        self.grads: dict[int, tuple[Tensor, Any]] = {}  # the .grad that tensors from before were given
        self.asked: set[int] = set()  # tensors from before whose .grad was looked at, and had not been given one
        self.replaced: dict[int, tuple[Any, Traced]] = {}  # NumPy arrays of this run that were written to
        self.models: dict[
            int, tuple[Any, Traced]
        ] = {}  # NumPy arrays of this run, and like what they would lie in memory
        self.before: dict[int, Before] = {}  # what writes and views change about tensors, as it was
        self.draws: dict[Var, Draw | Given] = {}
        self.numbers: dict[str, Number] = {}  # by their expressions
        self.conditions: list[str] = []  # what was learned of them, which must be so again
        self.generators: dict[int, tuple[Any, Any]] = {}  # each with the one that draws examples in its place
        self.ordered = False  # whether layouts matter
        self.swept = False  # whether the function has computed gradients
        self.loose: set[int] = set()  # traced arrays, by identity, that were read through tensors without a history
        self.cut: dict[Equation, list[Var]] = {}  # what was computed of such, until the next equation
        self.refusal: Exception | None = None  # kept, in case the function swallows it

    def refuse(self, why: Exception) -> NoReturn:
        self.refusal = why
        raise why

    def no_value(self, a: Traced) -> NoReturn:
        self.refuse(Uncompilable(no_value(a)))

    def shown(self, a: Traced) -> None:
        if self.open and current.get() is self:
            self.refuse(Uncompilable("it prints a tensor, whose numbers are not known yet"))

    # --- what the function does with tensors ---

    def read(self, t: Tensor, name: str, value: Any) -> Any:
        """What a slot of a tensor shows, where ``value`` is in it."""
        if id(t) in self.made:
            if name == "_a":
                value = self._now(value) if self.replaced else value
                if type(value) is Traced and not self.inside and not slots["_rg"].__get__(t):
                    self.loose.add(id(value))
            return value
        if name == "_a":
            return self._input(t, value)
        if name == "_grad":
            if id(t) in self.grads:
                return self.grads[id(t)][1]
            self.asked.add(id(t))
        return None if name == "_node" else value

    def _now(self, a: Any) -> Any:
        """An array of this run, or what stands for it since it was written to."""
        if not isinstance(a, np.ndarray):
            return a
        found = self.replaced.get(id(a))
        if found is None and a.base is not None and id(a.base) in self.replaced:
            self.refuse(Uncompilable("it reads memory that was written to through another tensor"))
        return a if found is None else found[1]

    def _input(self, t: Tensor, a: Any) -> Traced:
        known = self.seen.get(id(t))
        if known is None:
            if not is_numpy(a) or t._rank != 2 or t._first:
                self.refuse(Inline())
            if id(t) not in self.known:
                self.refuse(Uncompilable("it reads a tensor from a place where it cannot be found again"))
            var = var_of(a)
            self.program.inputs.append(var)
            known = self.seen[id(t)] = t, Traced(self, var, a if self.faithful else thin(a))
            self.before[id(t)] = Before(t)
        return known[1]

    def may_set(self, t: Tensor, name: str, value: Any) -> bool:
        """Whether a slot may be set; what is done to a tensor from before is only noted."""
        try:
            old = slots[name].__get__(t)
        except AttributeError:  # it is being made
            self.made[id(t)] = t
            return True
        if id(t) in self.made:
            if name == "_a" and isinstance(old, np.ndarray) and isinstance(value, Traced):
                self.replaced[id(old)] = old, value
            return True
        if name == "_grad" and id(t) in self.known:
            if is_heard(t):
                self.refuse(Uncompilable(HEARD))
            if isinstance(value, Tensor) and id(value) in self.made:
                self._separate(value)
            self.grads[id(t)] = t, value
        elif value is not old:
            what = _WHAT.get(name, ".grad")
            self.refuse(Uncompilable(f"it replaces {what} of a tensor that it did not make"))
        return False

    def _separate(self, grad: Tensor) -> None:
        """Let a gradient have its cotangent, which others may hold too, in memory of its own."""
        a = bare(grad._a)
        if isinstance(a, Traced):
            a = Traced(self, a.var, a.example, a.memory)
        elif a is not grad._a:
            a = np.array(a)
        slots["_a"].__set__(grad, a)

    # --- random numbers ---

    def generator(self, g: Any) -> Any:
        """What draws in the place of a generator: numbers that are drawn anew at each call of the program."""
        return _Drawing(self, g)

    def draw(self, g: Any, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Traced:
        """An input of the program that is drawn by a method of a generator."""
        if not all(
            isinstance(a, _STATIC) for x in (*args, *options.values()) for a in (x if type(x) is tuple else (x,))
        ):
            self.refuse(Uncompilable("it draws random numbers that depend on values"))
        token = current.set(None)
        try:
            _, twin = self.generators.setdefault(id(g), (g, g.clone_state()))
            example = getattr(twin, name)(*args, **options)
        finally:
            current.reset(token)
        if not isinstance(example, np.ndarray):
            self.refuse(Uncompilable("it draws random numbers in a way that cannot be repeated at each call"))
        var = var_of(example)
        self.draws[var] = Draw(g, name, args, options)
        return Traced(self, var, example if self.faithful else thin(example))

    def number(self, expression: str, value: float) -> Number:
        """What stands for a Python number that is found by ``expression``."""
        found = self.numbers.get(expression)
        if found is None:
            found = self.numbers[expression] = Number(self, expression, value)
        return found

    def alike(self, a: Any, like: Any) -> None:
        """Note that an array of this run would lie in memory as another does."""
        if is_numpy(a) and isinstance(like, Traced):
            self.models[id(a)] = a, like

    def layout(self, a: Any) -> Any:
        """An array that lies in memory as ``a`` would."""
        if not isinstance(a, Traced):
            return self.layout(self.models[id(a)][1]) if id(a) in self.models else a
        self.ordered = True
        if not self.faithful and (a.ndim > 1 or a.memory.unsure):
            raise Unfaithful
        return a.example

    def rewind(self) -> None:
        """Take back what the run did outside: counts of writes."""
        for before in self.before.values():
            before.restore()

    # --- what is recorded ---

    def record(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        if not self.open or current.get() is not self:
            raise RuntimeError(
                "a tensor from inside a compiled function was kept and used after its end\n"
                "Return what is needed later; a list or attribute filled inside holds no numbers."
            )
        if modes.current().inference:
            self.refuse(Uncompilable("it uses inference mode"))
        atoms = tuple(self.atom(a) for a in args)
        found = self._run(prim, tuple(a.example if isinstance(a, Traced) else a for a in args), params)
        outs = (found,) if prim.outputs is None else tuple(found)
        shown = self._shown(prim, args[0], params, outs[0]) if prim.view and isinstance(args[0], Traced) else None
        traced = tuple(Traced(self, var_of(o), o, shown) for o in outs)
        self.program.equations.append(eq := Equation(prim, atoms, params, tuple(t.var for t in traced)))
        if self.loose:
            self.cut[eq] = [a.var for a in args if id(a) in self.loose]
            if not self.inside:
                self.loose.clear()
        return traced[0] if prim.outputs is None else traced

    def _shown(self, prim: Primitive, x: Traced, params: dict[str, Any], out: Any) -> Memory | None:
        """The memory of which a view shows a part; None if it is a copy after all."""
        if any(isinstance(k, np.ndarray) for k in params.get("key", ())):
            return None
        if type(prim).__name__ == "Reshape":  # a view if the layout allows it
            if self.faithful and x.size:
                self.ordered = True
                kept = x.size == 1 or np.may_share_memory(out, x.example)  # a single entry, even where NumPy copies it
                return x.memory if kept else None
            x.memory.unsure = True
        return x.memory

    def _run(self, prim: Primitive, examples: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """What the primitive makes of the examples; for large ones, something of that shape and dtype."""
        if self.faithful:
            return compute(prim, examples, params)
        if isinstance(prim, Elementwise):
            shape = np.broadcast_shapes(*(a.shape for a in examples if is_numpy(a)))
            if math.prod(shape) <= LARGE:
                return compute(prim, examples, params)
            corners = [a[(slice(0, 1),) * a.ndim] if is_numpy(a) else a for a in examples]
        elif type(prim).__name__ == "Matmul":  # NumPy would multiply one entry with itself for long
            x, y = examples
            shape = (*np.broadcast_shapes(x.shape[:-2], y.shape[:-2]), x.shape[-2], y.shape[-1])
            if math.prod(shape) * x.shape[-1] <= LARGE:
                return compute(prim, examples, params)
            corners = [x[(slice(0, 1),) * (x.ndim - 1)], y[(*[slice(0, 1)] * (y.ndim - 2), slice(None), slice(0, 1))]]
        else:
            found = compute(prim, examples, params)
            return thin(found) if prim.outputs is None else tuple(map(thin, found))
        return np.broadcast_to(compute(prim, tuple(corners), params), shape)

    def atom(self, a: Any) -> Atom:
        if isinstance(a, Traced):
            if a.recorder is not self:
                raise RuntimeError("a tensor from another compiled function was kept and is used here")
            if a.behind:
                self.refuse(Uncompilable("it reads memory that was written to through another tensor"))
            if isinstance(a, Number):
                self.draws[a.var] = Given(a.expression)
            return a.var
        return self.constant(a) if is_numpy(a) else a

    def given(self, a: Any) -> Traced:
        """A known array as a traced one."""
        return Traced(self, self.constant(np.asarray(a)), np.asarray(a))

    def constant(self, a: Any) -> Var:
        """A variable for an array as it is now: it may be written to, and used again, later."""
        versions = self.constants.setdefault(id(a), [])
        for held, var in versions:
            if np.array_equal(distinct(self.program.constants[var]), distinct(held)):
                return var
        var = var_of(a)
        uniform = a.size > LARGE and (distinct(a) == a.flat[0]).all()
        self.program.constants[var] = np.broadcast_to(np.array(a.flat[0]), a.shape) if uniform else np.array(a)
        versions.append((a, var))
        return var

    # --- the end of the run ---

    def finish(self, out: Any) -> Captured:
        if self.refusal is not None:
            raise self.refusal
        within = self.swept
        leaves, _ = tree.flatten(out)
        for t, _ in self.grads.values():  # some of which nobody has read
            self._input(t, slots["_a"].__get__(t))
        found = Results(self, [*leaves, *[g for _, g in self.grads.values() if g is not None]])
        results = [found.of(y) for y in leaves]
        grads: list[tuple[int, Result | None]] = [
            (found.index[id(t)], None if g is None else found.of(g)) for t, g in self.grads.values()
        ]
        writes = self._writes(found.outputs)
        tensors = [t for t, _ in self.seen.values()]
        roots = found.roots
        cotangents = [self._cotangent(y) for _, y in roots]
        cut = {**self.cut}  # before the sweep, which sees nothing but arrays
        applies = _applies([y._node for _, y in roots])
        swept = self._sweep([(y, c) for (_, y), c in zip(roots, cotangents, strict=True)])
        wanted = [i for i, t in enumerate(tensors) if id(t) in swept]
        if not wanted:
            roots, cotangents = [], []
        program = self.program.restricted(
            [*self.program.inputs, *self.draws, *[c.var for c in cotangents]],
            [*found.outputs, *[self.atom(swept[id(tensors[i])]) for i in wanted]],
        )
        return Captured(
            tensors, program, len(found.outputs), out, results, [i for i, _ in roots], wanted,
            [*self.draws.values()], writes, grads, self.asked, self.ordered, self.conditions, within,
            applies or _is_cut(program.restricted(program.inputs, program.outputs[len(found.outputs) :]), wanted, cut),
        )  # fmt: skip

    def _writes(self, outputs: list[Atom]) -> list[Write]:
        """The tensors from before that hold something else now, which becomes an output."""
        writes = []
        arrays = [slots["_a"].__get__(t) for t, _ in self.seen.values()]
        apart = are_apart(arrays)
        for i, (t, a) in enumerate(self.seen.values()):
            versions = self.before[id(t)].writes()
            if a.var is self.program.inputs[i] and not versions and not a.behind:
                continue
            if not is_alone(t, arrays[i], [] if apart else [b for j, b in enumerate(arrays) if j != i]):
                raise Uncompilable("it writes to a tensor whose memory others share")
            writes.append(Write(i, len(outputs), versions))
            outputs.append(self.atom(a))
        return writes

    def _cotangent(self, y: Tensor) -> Traced:
        example = np.broadcast_to(np.ones((), y._dtype), y._shape)
        return Traced(self, var_of(example), example)

    def _sweep(self, roots: list[tuple[Tensor, Traced]]) -> dict[int, Any]:
        """The cotangents of the tensors read, by identity."""
        if not roots:
            return {}
        sweep = Sweep(ns.boxes, fit, wrap, keep=False, create_graph=False)
        leaves = sweep.run([(y._node, c) for y, c in roots])
        return {
            id(t): fit(ns.boxes, bare(leaves[t]), a.shape, a.dtype)
            for t, a in self.seen.values() if t._rg and leaves.get(t) is not None
        }  # fmt: skip


def _is_cut(pull: Program, wanted: list[int], cut: dict[Equation, list[Var]]) -> bool:
    """Whether what depends on the inputs ``wanted`` comes into a pull-back without its history."""
    depends = {pull.inputs[i] for i in wanted}
    for eq in pull.equations:
        if not depends.isdisjoint(cut.get(eq, ())):
            return True
        if not depends.isdisjoint(eq.vars):
            depends.update(v for v in eq.outs if v.kind in "fc")
    return False


def _applies(nodes: list[Any]) -> bool:
    """Whether there is a Function of the user's own in a history."""
    seen: set[Any] = set()
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            if hasattr(node, "ctx"):
                return True
            seen.add(node)
            nodes += [e for e in node.edges if not isinstance(e, Tensor)]
    return False


class _Drawing:
    """Stands for a generator of random numbers."""

    def __init__(self, capture: Capture, g: Any) -> None:
        self._capture, self._of = capture, g

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **options: self._capture.draw(self._of, name, args, options)


def thin(a: Any) -> Any:
    """A large array as one entry, shown everywhere."""
    if a.size <= LARGE:
        return a
    return np.broadcast_to(a[(slice(0, 1),) * a.ndim], a.shape)


def capture(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], tensors: Sequence[Tensor],
    faithful: bool, kind: type[Capture] = Capture,
    standing_in: Callable[[Callable[[str, float], Any]], AbstractContextManager[None]] | None = None,
) -> Captured:  # fmt: skip
    """Run ``function`` and say what it did with ``tensors``, as a ``kind`` of capture writes it down.

    ``standing_in(make)`` puts what ``make`` gives in the place of numbers that may be others in each call.

    Raises Uncompilable, Inline, or what the function itself raises.  If not ``faithful``, large arrays are
    stood for by one of their entries, so an error may come from that.
    """
    c = kind(tensors, faithful)
    try:
        with no_random():
            try:
                with standing_in(c.number) if standing_in else nullcontext(), watching(c, tensors):
                    return c.finish(function(*args, **kwargs))
            finally:
                c.rewind()
    finally:
        c.open = False
        c.made.clear()  # which hold c, by what they hold
