"""Capture: run a function once and write down what it did.

The function runs on its own tensors.  While it does, the slots of ``Tensor`` are watched: the array of a
tensor that was there before reads as a traced array, whether the tensor is an argument, a weight in a
closure or an attribute of some object, and all that follows from it is recorded.  Such a tensor also reads
as a leaf, so the graph that is built ends at it.  Writing to it is refused: that would be an effect which
the program does not have.  Other threads go on as always, if a little slower.
"""

from __future__ import annotations

import builtins
import math
import pickle
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from ..arrays import namespace as ns
from ..arrays.namespace import is_numpy
from ..arrays.traced import Traced, bare
from ..backward import fit
from ..engine import Sweep
from ..func import tree
from ..primitive import Elementwise, Primitive, compute
from ..random import default_generator
from ..tensor import Lifted, Tensor, wrap
from .program import Atom, Equation, Program, Var, var_of

LARGE = 1 << 16  # entries; larger examples are made of one


class Uncompilable(RuntimeError):
    """This function does something that a program cannot; run as it is, it may be fine."""


class Inline(Exception):
    """Something else interprets the tensors here (vmap, jvp, another library): the function is to run as it is."""


# --- what is captured -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Value:
    """An output that the program computes.  ``leaf``: it asks for gradients of its own."""

    index: int  # among the program's outputs
    leaf: bool = False


@dataclass(frozen=True, slots=True)
class Same:
    """An output that is one of the tensors read."""

    index: int


@dataclass(frozen=True, slots=True)
class Detached:
    """An output that is a tensor read, cut from its graph.  ``leaf``: it asks for gradients of its own."""

    index: int
    leaf: bool


@dataclass(frozen=True, slots=True)
class View:
    """An output that shows the memory of a tensor read: ``chain`` leads from it there."""

    index: int
    chain: tuple[tuple[Primitive, dict[str, Any]], ...]


@dataclass(frozen=True, slots=True)
class Plain:
    """An output that is no tensor."""

    value: Any


Result = Value | Same | Detached | View | Plain


@dataclass(slots=True)
class Captured:
    """What one run did.

    ``tensors`` were read and are the first inputs of ``program``; ``results`` say what each leaf of ``out``
    is.  If derivatives may be wanted, the cotangents of the outputs in ``differentiable`` are further inputs
    and those of the tensors in ``wanted`` further outputs, after the first ``outputs``.  ``grads`` holds the
    identities of tensors whose ``.grad`` was looked at.
    """

    tensors: list[Tensor]
    program: Program
    outputs: int
    out: Any
    results: list[Result]
    differentiable: list[int]
    wanted: list[int]
    grads: set[int]


# --- watching -------------------------------------------------------------------------------------------

_current: ContextVar[Capture | None] = ContextVar("chainrule.capture", default=None)
_slots = {name: Tensor.__dict__[name] for name in ("_a", "_rg", "_node", "_grad")}
_WHAT = {"_a": "the values", "_rg": "requires_grad", "_node": "the history", "_grad": ".grad"}
_lock = threading.Lock()  # one capture at a time


def capturing() -> bool:
    """Whether a function is being captured in this context."""
    return _current.get() is not None


class _Watched:
    """A slot of Tensor that asks the capture of its context, if there is one."""

    def __init__(self, name: str) -> None:
        self.name, self.slot = name, _slots[name]

    def __get__(self, t: Any, owner: Any = None) -> Any:
        if t is None:
            return self
        value, capture = self.slot.__get__(t), _current.get()
        return value if capture is None else capture.read(t, self.name, value)

    def __set__(self, t: Any, value: Any) -> None:
        capture = _current.get()
        if capture is not None:
            capture.check_write(t, self.name, value)
        self.slot.__set__(t, value)


@contextmanager
def _watching(capture: Capture, tensors: Sequence[Tensor]) -> Iterator[None]:
    """Watch the slots, and keep ``tensors`` off the ways that are paved for plain tensors over NumPy."""
    if not _lock.acquire(timeout=60):  # the function that is captured may be waiting for this thread
        raise Inline
    plain = [t for t in tensors if type(t) is Tensor]
    token = _current.set(capture)
    show = builtins.print

    def refuse(*args: Any, **kwargs: Any) -> None:
        if (here := _current.get()) is not None:
            here.refuse(Uncompilable("it prints, which a program does not"))
        show(*args, **kwargs)

    try:
        builtins.print = refuse
        for t in plain:
            t.__class__ = Lifted
        for name in _slots:
            setattr(Tensor, name, _Watched(name))
        yield
    finally:
        builtins.print = show
        for name, slot in _slots.items():
            setattr(Tensor, name, slot)
        for t in plain:
            t.__class__ = Tensor
        _current.reset(token)
        _lock.release()


@contextmanager
def _no_random() -> Iterator[None]:
    """Refuse random numbers, and put a generator that was used back where it was."""
    kinds: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = [
        (default_generator._get_bytes, default_generator._set_bytes),
        (np.random.get_state, np.random.set_state),
        (random.getstate, random.setstate),
    ]
    before = [get() for get, _ in kinds]
    drawn = False
    try:
        yield
    finally:
        for (get, set_), state in zip(kinds, before, strict=True):
            if pickle.dumps(get()) != pickle.dumps(state):  # arrays and tuples alike
                drawn = True
                set_(state)
    if drawn:
        raise Uncompilable("it draws random numbers, which would be the same at every call")


# --- recording ------------------------------------------------------------------------------------------


class Capture:
    """One run being recorded."""

    def __init__(self, tensors: Sequence[Tensor], faithful: bool) -> None:
        self.program = Program()
        self.known = {id(t) for t in tensors}
        self.faithful = faithful  # whether examples are what they would be, or large ones only alike
        self.open = True
        self.seen: dict[int, tuple[Tensor, Traced]] = {}  # tensors from before that were read, by identity
        self.made: dict[int, Tensor] = {}  # tensors made meanwhile, held so that identities stay theirs
        self.constants: dict[int, list[tuple[Any, Var]]] = {}
        self.grads: set[int] = set()  # tensors from before whose .grad was looked at
        self.refusal: Exception | None = None  # kept, in case the function swallows it

    def refuse(self, why: Exception) -> NoReturn:
        self.refusal = why
        raise why

    def shown(self, a: Traced) -> None:
        if self.open and _current.get() is self:
            self.refuse(Uncompilable("it prints a tensor, whose numbers are not known yet"))

    def read(self, t: Tensor, name: str, value: Any) -> Any:
        if id(t) in self.made:
            return value
        if name == "_a":
            return self._input(t, value)
        if name == "_grad":
            self.grads.add(id(t))
        return None if name == "_node" else value

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
        return known[1]

    def check_write(self, t: Tensor, name: str, value: Any) -> None:
        if id(t) in self.made:
            return
        try:
            _slots["_a"].__get__(t)
        except AttributeError:  # its first slot: it is being made
            self.made[id(t)] = t
            return
        if value is not _slots[name].__get__(t):
            self.refuse(Uncompilable(f"it writes {_WHAT[name]} of a tensor that it did not make"))

    def record(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        if not self.open or _current.get() is not self:
            raise RuntimeError(
                "a tensor from inside a compiled function was kept and used after its end\n"
                "Return what is needed later; a list or attribute filled inside holds no numbers."
            )
        atoms = tuple(self.atom(a) for a in args)
        found = self._run(prim, tuple(a.example if isinstance(a, Traced) else a for a in args), params)
        outs = (found,) if prim.outputs is None else tuple(found)
        traced = tuple(Traced(self, var_of(o), o) for o in outs)
        self.program.equations.append(Equation(prim, atoms, params, tuple(t.var for t in traced)))
        return traced[0] if prim.outputs is None else traced

    def _run(self, prim: Primitive, examples: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """What the primitive makes of the examples; for large ones, something of that shape and dtype."""
        if self.faithful:
            return compute(prim, examples, params)
        if not isinstance(prim, Elementwise):
            found = compute(prim, examples, params)
            return thin(found) if prim.outputs is None else tuple(map(thin, found))
        shape = np.broadcast_shapes(*(a.shape for a in examples if is_numpy(a)))
        if math.prod(shape) <= LARGE:
            return compute(prim, examples, params)
        corners = [a[(slice(0, 1),) * a.ndim] if is_numpy(a) else a for a in examples]
        return np.broadcast_to(compute(prim, tuple(corners), params), shape)

    def atom(self, a: Any) -> Atom:
        if isinstance(a, Traced):
            if a.recorder is not self:
                raise RuntimeError("a tensor from another compiled function was kept and is used here")
            return a.var
        return self.constant(a) if is_numpy(a) else a

    def constant(self, a: Any) -> Var:
        """A variable for an array as it is now: it may be written to, and used again, later."""
        versions = self.constants.setdefault(id(a), [])
        for held, var in versions:
            if np.array_equal(self.program.constants[var], held):
                return var
        var = var_of(a)
        uniform = a.size > LARGE and (a == a.flat[0]).all()
        self.program.constants[var] = np.broadcast_to(np.array(a.flat[0]), a.shape) if uniform else np.array(a)
        versions.append((a, var))
        return var

    # --- the end of the run ---------------------------------------------------------------------------

    def finish(self, out: Any) -> Captured:
        if self.refusal is not None:
            raise self.refusal
        leaves, _ = tree.flatten(out)
        for y in leaves:
            if isinstance(y, Tensor) and id(y) not in self.made:
                bare(y._a)  # given back as it came, which counts as read
        index = {id(t): i for i, (t, _) in enumerate(self.seen.values())}
        inputs = {v: i for i, v in enumerate(self.program.inputs)}
        outputs: list[Atom] = []
        results: list[Result] = []
        places: dict[int, Value] = {}  # a tensor returned twice is one tensor
        roots: list[tuple[int, Tensor]] = []
        for y in leaves:
            if not isinstance(y, Tensor):
                results.append(Plain(_harmless(y)))
            elif id(y) not in self.made:
                results.append(Same(index[id(y)]))
            elif y._meta is not None and id(y._meta.base) in index:
                results.append(View(index[id(y._meta.base)], y._meta.chain))
            elif (var := self.atom(bare(y._a))) in inputs and y._node is None:
                results.append(Detached(inputs[var], y._rg))
            else:
                if id(y) not in places:
                    places[id(y)] = Value(len(outputs), leaf=y._rg and y._node is None)
                    if y._rg and y._node is not None:
                        roots.append((len(outputs), y))
                    outputs.append(var)
                results.append(places[id(y)])
        cotangents = [self._cotangent(y) for _, y in roots]
        tensors = [t for t, _ in self.seen.values()]
        found = self._sweep([(y, c) for (_, y), c in zip(roots, cotangents, strict=True)])
        wanted = [i for i, t in enumerate(tensors) if id(t) in found]
        if not wanted:
            roots, cotangents = [], []
        program = self.program.restricted(
            [*self.program.inputs, *[c.var for c in cotangents]],
            [*outputs, *[self.atom(found[id(tensors[i])]) for i in wanted]],
        )
        return Captured(tensors, program, len(outputs), out, results, [i for i, _ in roots], wanted, self.grads)

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


def thin(a: Any) -> Any:
    """A large array as one entry, shown everywhere."""
    if a.size <= LARGE:
        return a
    return np.broadcast_to(a[(slice(0, 1),) * a.ndim], a.shape)


def _harmless(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.dtype, type)):
        return value
    if type(value).__module__.startswith("chainrule.") and type(value).__name__ in ("dtype", "device"):
        return value
    raise Uncompilable(f"it returns a {type(value).__name__}, which may hold what only the first run computed")


def capture(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    tensors: Sequence[Tensor],
    faithful: bool,
) -> Captured:
    """Run ``function`` and say what it did with ``tensors``.

    Raises Uncompilable, Inline, or what the function itself raises.  If not ``faithful``, large arrays are
    stood for by one of their entries, so an error may come from that.
    """
    c = Capture(tensors, faithful)
    try:
        with _no_random(), _watching(c, tensors):
            return c.finish(function(*args, **kwargs))
    finally:
        c.open = False
