"""What a call depends on: its arguments, and what the function reaches through closures, globals, attributes.

A compiled program is good for one state of these.  The walk here finds them and writes, for each, the
Python expression that finds it again and the condition under which it is as it was: tensors may hold other
numbers, or be other tensors, of the same shape and dtype; Python values must be equal; functions, classes
and objects must be the same, and what they hold is looked at in turn.  Attributes count if some reached
code names them.
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
import dataclasses
import functools
import operator
import random
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterator, Set
from typing import Any

import numpy as np

from ..tensor import Tensor
from .reached import (
    DESCRIPTORS,
    LITERALS,
    UNSEEN,
    are_floats,
    binding,
    drawn,
    empty,
    is_constant,
    is_keyed_by_tensors,
    is_library,
    moved,
    names_in,
    put_back,
    same,
    slots_of,
    title_of,
)
from .watching import Uncompilable

_STATEFUL = (
    "chainrule.nn",
    "chainrule.optim",
    "chainrule.utils",
    "chainrule.distributions",
    "chainrule.compiler.module",
)
_FOREIGN = ("numpy", "torch", "jax")
_NAMED = 8  # of a code's flags: **kwargs
_ABSENT = object()
_COMPILED = "chainrule.compiler.dispatch"
LIMIT = 20_000  # things looked at
MOVED = "(AttributeError, IndexError, KeyError, TypeError, ValueError)"  # where something is no longer where it was


@dataclasses.dataclass(slots=True)
class Found:
    """A tensor, the expressions that lead to it and what to call it."""

    tensor: Tensor
    expressions: list[str]
    label: str


@dataclasses.dataclass(slots=True)
class Check:
    """A condition on one thing, what to call it, and the statement that makes it hold again, if there is one."""

    condition: str
    label: str
    undo: str = ""
    grows: bool = False  # it may have new entries after a first run


class Environment:
    """The state that a call of ``function`` depends on."""

    def __init__(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.names: dict[str, Any] = {
            "same": same,
            "empty": empty,
            "moved": moved,
            "put": put_back,
            "drawn": drawn,
            "is_": operator.is_,
        }
        self.checks: list[Check] = []
        self._stays: list[Check] = []  # what the first run must leave as it was, whatever it is in other calls
        self.tensors: dict[int, Found] = {}
        # By expression, numbers and tuples of such that may be others in each call; and their labels.
        self.numbers: dict[str, tuple[Any, str]] = {}
        self._groups: set[int] = set()  # identities of the groups of optimisers
        self._held: dict[int, str] = {}
        self._opened: set[str] = set()
        self._originals: dict[str, Any] = {}
        self._used: set[str] = set()  # attribute names that some reached code mentions
        self._attributes: list[tuple[str, str, Any, str]] = []
        self._todo: list[tuple[str, Any, str]] = []
        self._count = 0
        named = f"len(kwargs) == {len(kwargs)}" if kwargs else "not kwargs"
        if len(kwargs) > 1 and getattr(getattr(function, "__code__", None), "co_flags", _NAMED) & _NAMED:
            named = f"[*kwargs] == {self._hold([*kwargs])}"  # the order is seen by **kwargs
        self._expect(f"len(args) == {len(args)} and {named}", "the number of arguments")
        for i, a in enumerate(args):
            self._todo.append((f"args[{i}]", a, f"argument {i + 1}"))
        for k, a in kwargs.items():
            self._todo.append((f"kwargs[{k!r}]", a, f"argument {k!r}"))
        self._open(function, title_of(function))
        self._walk()

    def changed(self, args: tuple[Any, ...], kwargs: dict[str, Any], undo: bool = False) -> list[Check]:
        """What is no longer as it was; with ``undo``, made so again where that can be done."""
        found: list[Check] = []
        here, names = {"args": args, "kwargs": kwargs}, {**self.names, **self._originals}
        for check in [*self.checks, *self._stays]:
            try:
                holds = eval(check.condition, names, here)
            except Exception:  # moved away
                holds = False
            if not holds:
                found.append(check)
                if undo and check.undo:
                    with contextlib.suppress(Exception):  # part of a tuple, say
                        exec(check.undo, names, here)
        return found

    @contextlib.contextmanager
    def standing_in(self, make: Callable[[str, float], Any]) -> Iterator[None]:
        """Put ``make(expression, number)`` in the place of each number that may be another in each call."""
        marks = {
            e: tuple([make(f"{e}[{i}]", v) for i, v in enumerate(value)]) if type(value) is tuple else make(e, value)
            for e, (value, _) in self.numbers.items()
        }
        for e, mark in marks.items():
            exec(f"{e} = mark", self.names, {"mark": mark})
        try:
            yield
            for e, mark in marks.items():
                if eval(e, self.names) is not mark:
                    raise Uncompilable(f"it changes {self.numbers[e][1]}, which it depends on")
        finally:
            for e, (value, _) in self.numbers.items():
                exec(f"{e} = value", self.names, {"value": value})

    def fix(self) -> None:
        """Let the program depend on all numbers as they are."""
        for e, (value, label) in self.numbers.items():
            self._match(e, value, label)
        self.numbers.clear()
        self._walk()

    def state(self) -> tuple[Any, ...]:
        """What tells this state from others, beside what is known of tensors."""
        plain = (*LITERALS, list, tuple, set, frozenset, np.ndarray)
        held = [repr(v) if isinstance(v, plain) else id(v) for v in self.names.values()]
        return (*[c.condition for c in self.checks], *held)

    def settle(self) -> None:
        """Forget what was needed only to get here: the values themselves, among them the arguments."""
        self._originals.clear()
        self._attributes.clear()
        self._stays.clear()
        self.tensors.clear()

    def _expect(self, condition: str, label: str, undo: str = "") -> None:
        self.checks.append(Check(condition, label, undo))

    def _keep(self, value: Any) -> str:
        """A name for a value in the statements that restore it."""
        name = f"original{len(self._originals)}"
        self._originals[name] = value
        return name

    def _hold(self, value: Any) -> str:
        """A name for an object in the generated conditions."""
        name = self._held.get(id(value))
        if name is None:
            name = self._held[id(value)] = f"k{len(self._held)}"
            self.names[name] = value
        return name

    def _walk(self) -> None:
        while self._todo:
            while self._todo:
                self._count += 1
                if self._count > LIMIT:
                    raise Uncompilable(f"it can reach more than {LIMIT} values, too many to watch")
                self._match(*self._todo.pop())
            waiting, self._attributes = self._attributes, []
            for e, name, value, label in waiting:
                if name in self._used or "__dict__" in self._used:
                    self._todo.append((e, value, label))
                else:
                    self._attributes.append((e, name, value, label))

    def _match(self, e: str, value: Any, label: str) -> None:
        """Say when ``e`` is as ``value`` is now."""
        kind = type(value)
        if kind not in LITERALS:
            original = self._keep(value)
            self._stays.append(Check(f"{e} is {original}", label, binding(e, original)))
        if isinstance(value, Tensor):
            found = self.tensors.setdefault(id(value), Found(value, [], label))
            found.expressions.append(e)
            if len(found.expressions) == 1 and value._grad is not None:
                self._todo.append((f"{e}._grad", value._grad, f"{label}.grad"))
        elif kind in LITERALS:
            self._literal(e, value, label)
        elif kind in (tuple, list, deque) or (isinstance(value, tuple) and hasattr(kind, "_fields")):
            self._sequence(e, value, label)
        elif is_keyed_by_tensors(value) and e[1:2].isdigit():
            self._by_tensor(e, value, label)
        elif isinstance(value, dict) and all(isinstance(k, LITERALS) for k in value):
            self._dictionary(e, value, label)
        elif isinstance(value, (set, frozenset)):
            self._expect(f"{e} == {self._hold(frozenset(value))}", label, self._refill(value))
        elif isinstance(value, (np.ndarray, np.generic)):
            held = self._hold(np.array(value))
            self._expect(f"same({e}, {held})", label, f"{self._keep(value)}[...] = {held}")
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            self._expect(f"type({e}) is {self._hold(kind)}", label)
            self._class(kind, label)
            names = [f.name for f in dataclasses.fields(value)]
            self._todo += [(f"{e}.{n}", getattr(value, n), f"{label}.{n}") for n in names]
        elif isinstance(value, types.MethodType):
            self._expect(f"type({e}) is {self._hold(kind)}", label)
            self._todo += [(f"{e}.__self__", value.__self__, label), (f"{e}.__func__", value.__func__, label)]
        elif isinstance(value, slice):
            self._expect(f"{e} == {value!r}", label)
        elif not isinstance(value, types.ModuleType):
            self._expect(f"{e} is {self._hold(value)}", label)
            self._open(value, label)

    def _literal(self, e: str, value: Any, label: str) -> None:
        kind = type(value)
        if kind in (bool, type(None), type(Ellipsis)):
            self._expect(f"{e} is {value!r}", label, binding(e, repr(value)))
            self.checks[-1].grows = value is None
            return
        if kind in (float, complex) and not value:
            test = f"repr({e}) == {repr(value)!r}"  # 0.0 equals -0.0
        elif kind in (float, complex) or len(repr(value)) > 60:
            test = f"({e} is {self._hold(value)} or {e} == {self._hold(value)})"  # nan equals itself this way
        else:
            test = f"{e} == {value!r}"
        self._expect(f"type({e}) is {kind.__name__} and {test}", label, binding(e, self._keep(value)))

    def _sequence(self, e: str, value: Any, label: str) -> None:
        kind = type(value)
        if len(value) > 4 and all(type(v) in LITERALS for v in value):
            held, types_ = self._hold(kind(value)), self._hold([*map(type, value)])
            self._expect(f"{e} == {held} and [*map(type, {e})] == {types_}", label, self._refill(value))
            return
        undo = self._refill(value)
        self._expect(f"type({e}) is {self._hold(kind)} and len({e}) == {len(value)}", label, undo)
        self._todo += [(f"{e}[{i}]", v, f"{label}[{i}]") for i, v in enumerate(value)]

    def _refill(self, value: Any) -> str:
        """The statement that gives a container back what it holds now."""
        if isinstance(value, tuple):
            return ""
        put, kept = self._keep(value), self._keep(copy.copy(value))
        add = "extend" if isinstance(value, (list, deque)) else "update"
        return f"{put}.clear(); {put}.{add}({kept})"

    def _dictionary(self, e: str, value: dict[Any, Any], label: str) -> None:
        keys = f"[*{e}] == {self._hold([*value])}"
        space = e
        if e[1:2].isdigit():  # reached from an object: to be the same dictionary is quicker to see
            space = self._hold(value)
            keys = (
                f"[*{space}] == {self._hold([*value])}"
                if len(value) > 1
                else f"len({space}) == 1"
                if value
                else f"not {space}"
            )
            keys = f"{e} is {space} and {keys}"
        else:
            keys = f"type({e}) is {self._hold(type(value))} and {keys}"
        self._expect(keys, label, self._refill(value))
        for k, v in value.items():
            at, title = f"{space}[{k!r}]", f"{label}[{k!r}]"
            if id(value) in self._groups and are_floats(v):  # so that a scheduler may change it
                self.numbers[at] = v, title
                kinds = self._hold([*map(type, v)]) if type(v) is tuple else ""
                test = f"type({at}) is tuple and [*map(type, {at})] == {kinds}" if kinds else f"isinstance({at}, float)"
                self._expect(test, title)
            else:
                self._todo.append((at, v, title))

    def _by_tensor(self, e: str, value: dict[Any, Any], label: str) -> None:
        """A dictionary whose keys are tensors, such as the state of an optimiser."""
        keys = [self._hold(k) for k in value]
        same = "".join(f"{k}, " for k in keys)
        undo, space = self._refill(value), self._hold(value)
        condition = f"{e} is {space} and len({space}) == {len(keys)} and all(map(is_, {space}, ({same})))"
        self.checks.append(Check(condition, label, undo, grows=True))
        self._todo += [(f"{space}[{k}]", v, f"{label}[...]") for k, v in zip(keys, value.values(), strict=True)]

    # --- into things that stay the same object ---

    def _open(self, value: Any, label: str) -> None:
        """Look at what an object, known to be the same, holds."""
        if not self._first(value):
            return
        if isinstance(value, types.MethodType):
            self._todo.append((f"{self._hold(value)}.__self__", value.__self__, "self"))
            self._open(value.__func__, label)
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, functools.partial):
            e = self._hold(value)
            self._todo += [(f"{e}.func", value.func, label), (f"{e}.args", value.args, label),
                           (f"{e}.keywords", value.keywords, label)]  # fmt: skip
        elif isinstance(value, type):
            self._class(value, label)
        elif not isinstance(value, types.BuiltinFunctionType):
            self._object(value, label)

    def _function(self, f: types.FunctionType) -> None:
        own = not is_library(f.__globals__.get("__name__"))  # a wrapper's __module__ is that of what it wraps
        e, title = self._hold(f), title_of(f)
        if own or f.__closure__:
            for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
                try:
                    value = cell.cell_contents
                except ValueError:  # not yet bound
                    self._expect(f"empty({self._hold(cell)})", name)
                    continue
                if own or not (is_constant(value) or isinstance(value, types.FunctionType)):
                    self._todo.append((f"{self._hold(cell)}.cell_contents", value, name))
                elif isinstance(value, types.FunctionType):  # a library does not bind its names anew
                    self._open(value, name)
        if not own:
            return
        names, attributes, stored = names_in(f.__code__)
        self._used |= attributes
        for name in sorted(stored - f.__globals__.keys()):
            space = self._hold(f.__globals__)
            self._stays.append(Check(f"{name!r} not in {space}", name, f"del {space}[{name!r}]", grows=True))
        for attribute in ("__defaults__", "__kwdefaults__"):
            if getattr(f, attribute):
                self._todo.append((f"{e}.{attribute}", getattr(f, attribute), f"the defaults of {title}"))
        self._globals(f.__globals__, names, attributes)

    def _globals(self, space: dict[str, Any], names: Set[str], attributes: Set[str]) -> None:
        for name in sorted(
            filter(str.isidentifier, names & space.keys())
        ):  # others are tools', such as pytest's for asserts
            value = space[name]
            if isinstance(value, types.ModuleType):
                if not is_library(value.__name__) and self._first(value):
                    self._globals(vars(value), attributes, attributes)
            else:
                self._todo.append((f"{self._hold(space)}[{name!r}]", value, name))

    def _class(self, cls: type, label: str) -> None:
        for base in cls.__mro__:
            if base is object or not self._first(base):
                continue
            own = not is_library(base.__module__)
            for name, value in vars(base).items():
                value = getattr(value, "fget", None) or getattr(value, "__func__", value)
                if isinstance(value, types.FunctionType):
                    self._used |= names_in(value.__code__)[1]
                    if own:
                        self._open(value, name)
                elif own and not name.startswith("__") and not isinstance(value, DESCRIPTORS):
                    self._attributes.append((f"vars({self._hold(base)})[{name!r}]", name, value, f"{label}.{name}"))

    def _first(self, value: Any) -> bool:
        """Whether this object is looked into for the first time."""
        name = self._hold(value)  # which keeps it, and so its identity
        if name in self._opened:
            return False
        self._opened.add(name)
        return True

    def _object(self, value: Any, label: str) -> None:
        if type(value).__module__ == _COMPILED:  # what it has compiled so far is no matter of ours
            self._todo.append((f"{self._hold(value)}.function", value.function, label))
            return
        if hasattr(type(value), "__next__") or isinstance(value, threading.local):
            raise Uncompilable(f"it depends on {label}, a {type(value).__name__}, whose state cannot be watched")
        if isinstance(value, (random.Random, np.random.Generator, np.random.RandomState)):
            drawn = f"drawn({self._hold(value)}, {self._keep(copy.deepcopy(value))}"
            self._stays.append(Check(f"not {drawn})", f"the state of {label}", f"{drawn}, True)"))
        module = type(value).__module__
        if module.startswith(_FOREIGN) or (module.startswith("chainrule") and not module.startswith(_STATEFUL)):
            return
        if isinstance(value, contextvars.ContextVar):
            self._todo.append((f"{self._hold(value)}.get(None)", value.get(None), label))
        if hasattr(value, "__wrapped__"):  # lru_cache
            self._open(value.__wrapped__, label)
        self._class(type(value), type(value).__name__)
        held = self._hold(value)
        optimizer = sys.modules.get("chainrule.optim.optimizer")  # if there is one, it has been imported
        if optimizer is not None and isinstance(value, optimizer.Optimizer):
            self._groups.update(map(id, value.param_groups))
        if isinstance(getattr(value, "__dict__", None), dict):  # not one that __getattr__ makes up
            space = self._hold(value.__dict__)
            self._attributes += [
                (f"{space}.get({n!r}, {self._hold(_ABSENT)})", n, _ABSENT, f"{label}.{n}")
                for cls in type(value).__mro__ if not is_library(cls.__module__)
                for n, v in vars(cls).items() if n not in value.__dict__ and not n.startswith("__") and is_constant(v)
            ]  # fmt: skip
            kept = self._keep({**value.__dict__})
            self._stays.append(
                Check(f"not moved({space}, {kept})", f"attributes of {label}", f"put({space}, {kept})", True)
            )
            self._attributes += [
                (f"{space}[{n!r}]", n, v, f"{label}.{n}") for n, v in vars(value).items() if not n.startswith(UNSEEN)
            ]
        for base in type(value).__mro__:
            for name in slots_of(base):
                if hasattr(value, name):
                    self._attributes.append((f"{held}.{name}", name, getattr(value, name), f"{label}.{name}"))
