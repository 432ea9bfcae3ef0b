"""A reader of pickles that makes data and nothing else.

A pickle is a program for a small stack machine.  This one knows the instructions that build numbers, strings,
containers and tensors; names are looked up in ``allowed``, never imported.  Whatever it makes is charged to a
budget first.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from ..tensor import Tensor
from . import allowed
from .allowed import Maker
from .budget import STEP, Budget
from .keys import check_key
from .storages import NotSoError, attributes

_CONTAINER, _ITEM, _MEMO = 80, 8, 110  # bytes that a container, a place in one, and a note in the memo take


class Unpickler:
    """Runs the pickle that starts at ``data[at]``; afterwards ``at`` is behind it.

    ``storage`` gives the storage for a persistent id.
    """

    def __init__(self, data: Any, budget: Budget, storage: Callable[[Any], Any], at: int = 0) -> None:
        self.data, self.budget, self.storage, self.at = memoryview(data), budget, storage, at
        self.memo: dict[int, Any] = {}
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []

    def load(self) -> Any:
        """The object.  Raises NotSoError, LookupError, or what Python makes of malformed data."""
        operations, data, charge = _OPERATIONS, self.data, self.budget.charge
        while True:
            code = data[self.at]
            self.at += 1
            if code == _STOP:
                (result,) = self.stack
                return result
            operation = operations.get(code)
            if operation is None:
                raise NotSoError(f"Unsupported operand {code}")
            charge(STEP)
            operation(self)

    def again(self) -> Any:
        """The object of the next pickle in the same data."""
        self.memo, self.stack, self.marks = {}, [], []
        return self.load()

    # --- reading ---

    def take(self, n: int) -> memoryview:
        part = self.data[self.at : self.at + n]
        if n < 0 or len(part) != n:
            raise NotSoError("the pickle ends early")
        self.at += n
        return part

    def number(self, layout: struct.Struct) -> Any:
        return layout.unpack(self.take(layout.size))[0]

    def line(self) -> str:
        rest = bytes(self.data[self.at : self.at + 1000])
        end = rest.index(b"\n")
        self.at += end + 1
        return rest[:end].decode("utf-8")

    def text(self, n: int) -> None:
        raw = bytes(self.take(n))
        self.budget.charge(n if raw.isascii() else 4 * n)
        self.stack.append(raw.decode("utf-8", "surrogatepass"))

    def bytes_(self, n: int) -> None:
        self.budget.charge(n)
        self.stack.append(bytes(self.take(n)))

    # --- containers ---

    def mark(self) -> None:
        self.budget.charge(_CONTAINER)
        self.marks.append(self.stack)
        self.stack = []

    def items(self) -> list[Any]:
        """What was pushed since the last mark."""
        found = self.stack
        self.stack = self.marks.pop()
        return found

    def pop(self, n: int) -> list[Any]:
        if n > len(self.stack):
            raise NotSoError("the pickle takes more than it has")
        found = self.stack[len(self.stack) - n :]
        del self.stack[len(self.stack) - n :]
        return found

    def push_tuple(self, found: list[Any]) -> None:
        self.budget.charge(_CONTAINER + _ITEM * len(found))
        self.stack.append(tuple(found))

    def push_new(self, kind: Callable[[], Any]) -> None:
        self.budget.charge(_CONTAINER)
        self.stack.append(kind())

    def top(self, *kinds: type[Any]) -> Any:
        """The container on top of the stack, which must be of one of these kinds, or of one that users added."""
        target = self.stack[-1]
        if type(target) not in kinds and not allowed.is_added(type(target)):
            raise NotSoError(f"Can only fill a {kinds[0].__name__}, but got {type(target)}")
        return target

    def extend(self, found: list[Any]) -> None:
        self.budget.charge(2 * _ITEM * len(found))
        self.top(list).extend(found)

    def set_items(self, found: list[Any]) -> None:
        target = self.top(dict, OrderedDict, Counter)
        if len(found) % 2:
            raise NotSoError("a dict has a key without a value")
        for key, value in zip(found[::2], found[1::2], strict=True):
            check_key(key, self.budget)
            target[key] = value

    def add_items(self, found: list[Any]) -> None:
        target = self.top(set)
        for item in found:
            check_key(item, self.budget)
            target.add(item)

    # --- the memo ---

    def put(self, index: int) -> None:
        if index not in self.memo:
            self.budget.charge(_MEMO)
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise NotSoError(f"the pickle recalls {index}, which it has not noted")
        self.stack.append(self.memo[index])

    # --- names, and what they make ---

    def push_global(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise NotSoError("a name is not a string")
        self.stack.append(allowed.find(module, name))

    def reduce(self) -> None:
        function, args = self.pop(2)
        if type(args) is not tuple:
            raise NotSoError("a call has no tuple of arguments")
        self.budget.charge(4 * _CONTAINER)
        if type(function) is Maker:
            self.stack.append(function.make(self.budget, *args))
        elif allowed.is_added(function):
            self.stack.append(function(*args))
        else:
            raise NotSoError(f"Trying to call reduce for unrecognized function {function!r:.60}")

    def new(self) -> None:
        cls, args = self.pop(2)
        if type(args) is not tuple or not isinstance(cls, type) or not allowed.is_added(cls):
            raise NotSoError("Can only create new object for classes allowlisted via `add_safe_globals`")
        self.budget.charge(4 * _CONTAINER)
        self.stack.append(cls.__new__(cls, *args))

    def build(self) -> None:
        (state,) = self.pop(1)
        target = self.stack[-1]
        if allowed.is_added(type(target)):
            _set_state(target, state)
        elif type(target) is OrderedDict or type(target) is Tensor:
            attributes(target, state)
        else:
            raise NotSoError(
                "Can only build Tensor, Parameter, OrderedDict or types allowlisted via `add_safe_globals`, "
                f"but got {type(target)}"
            )

    def push_storage(self) -> None:
        self.stack.append(self.storage(*self.pop(1)))


def _set_state(target: Any, state: Any) -> None:
    """What ``copyreg`` says of restoring an object."""
    if hasattr(target, "__setstate__"):
        target.__setstate__(state)
        return
    slots = None
    if isinstance(state, tuple) and len(state) == 2:
        state, slots = state
    if state:
        target.__dict__.update(state)
    for name, value in (slots or {}).items():
        setattr(target, name, value)


_U8, _U16, _I32, _U32 = struct.Struct("<B"), struct.Struct("<H"), struct.Struct("<i"), struct.Struct("<I")
_U64, _F64 = struct.Struct("<Q"), struct.Struct(">d")
_STOP = ord(".")


def _long(u: Unpickler, n: int) -> None:
    u.budget.charge(max(n, 0))
    u.stack.append(int.from_bytes(u.take(n), "little", signed=True))


def _protocol(u: Unpickler) -> None:
    if not 2 <= u.number(_U8) <= 5:
        raise NotSoError("the pickle is of an unknown protocol")


def _constant(value: Any) -> Callable[[Unpickler], None]:
    return lambda u: u.stack.append(value)


def _memoize(u: Unpickler) -> None:
    u.put(len(u.memo))


def _global(u: Unpickler) -> None:
    u.push_global(u.line(), u.line())


def _stack_global(u: Unpickler) -> None:
    u.push_global(*u.pop(2))


_OPERATIONS: dict[int, Callable[[Unpickler], Any]] = {
    ord(code): operation
    for code, operation in {
        "\x80": _protocol, "\x95": lambda u: u.take(8), "N": _constant(None), "\x88": _constant(True),
        "\x89": _constant(False), ")": _constant(()),
        "J": lambda u: u.stack.append(u.number(_I32)), "K": lambda u: u.stack.append(u.number(_U8)),
        "M": lambda u: u.stack.append(u.number(_U16)), "G": lambda u: u.stack.append(u.number(_F64)),
        "\x8a": lambda u: _long(u, u.number(_U8)), "\x8b": lambda u: _long(u, u.number(_I32)),
        "X": lambda u: u.text(u.number(_U32)), "\x8c": lambda u: u.text(u.number(_U8)),
        "\x8d": lambda u: u.text(u.number(_U64)),
        "U": lambda u: u.text(u.number(_U8)), "B": lambda u: u.bytes_(u.number(_U32)),
        "C": lambda u: u.bytes_(u.number(_U8)), "\x8e": lambda u: u.bytes_(u.number(_U64)),
        "(": Unpickler.mark, "t": lambda u: u.push_tuple(u.items()), "\x85": lambda u: u.push_tuple(u.pop(1)),
        "\x86": lambda u: u.push_tuple(u.pop(2)), "\x87": lambda u: u.push_tuple(u.pop(3)),
        "]": lambda u: u.push_new(list), "}": lambda u: u.push_new(dict), "\x8f": lambda u: u.push_new(set),
        "a": lambda u: u.extend(u.pop(1)), "e": lambda u: u.extend(u.items()),
        "s": lambda u: u.set_items(u.pop(2)), "u": lambda u: u.set_items(u.items()),
        "\x90": lambda u: u.add_items(u.items()),
        "q": lambda u: u.put(u.number(_U8)), "r": lambda u: u.put(u.number(_U32)), "\x94": _memoize,
        "h": lambda u: u.get(u.number(_U8)), "j": lambda u: u.get(u.number(_U32)),
        "c": _global, "\x93": _stack_global, "R": Unpickler.reduce, "\x81": Unpickler.new, "b": Unpickler.build,
        "Q": Unpickler.push_storage,
    }.items()
}  # fmt: skip
