"""A writer of pickles: what PyTorch's own reader takes, under the names that PyTorch gives things."""

from __future__ import annotations

import copyreg
import io
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np

from ..device import device
from ..dtypes import Size, dtype
from ..holder import ground
from ..nn.parameter import Parameter
from ..tensor import Tensor
from .storages import NAMES, Places

_INT32 = range(-(2**31), 2**31)
_BATCH = 1000  # items written at a time


class Pickler:
    """Writes objects as a pickle of protocol 2; the memory of tensors is noted in ``places``."""

    def __init__(self) -> None:
        self.out = io.BytesIO()
        self.write = self.out.write
        self.places = Places()
        self.memo: dict[Any, tuple[int, Any]] = {}  # by identity, or by what is written; the object is kept alive

    def dump(self, value: Any) -> bytes:
        """The pickle of ``value``."""
        self.write(b"\x80\x02")
        self.save(value)
        self.write(b".")
        return self.out.getvalue()

    # --- the memo ---

    def known(self, key: Any) -> bool:
        """Write a reference to what was noted under ``key``, if something was."""
        if key not in self.memo:
            return False
        index = self.memo[key][0]
        self.write(b"h" + bytes([index]) if index < 256 else b"j" + struct.pack("<I", index))
        return True

    def note(self, key: Any, value: Any = None) -> None:
        """Note what was just written under ``key``."""
        index = len(self.memo)
        self.memo[key] = (index, value)
        self.write(b"q" + bytes([index]) if index < 256 else b"r" + struct.pack("<I", index))

    # --- values ---

    def save(self, value: Any) -> None:
        kind = type(value)
        if kind in _PLAIN:
            _PLAIN[kind](self, value)
        elif not self.known(id(value)):
            if isinstance(value, Tensor):
                self.tensor(value)
            else:
                (_KINDS.get(kind) or Pickler.other)(self, value)

    def integer(self, value: int) -> None:
        if value in _INT32:
            if 0 <= value < 256:
                self.write(b"K" + bytes([value]))
            elif 0 <= value < 65536:
                self.write(b"M" + struct.pack("<H", value))
            else:
                self.write(b"J" + struct.pack("<i", value))
            return
        data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        if len(data) > 255:
            raise pickle.PicklingError("an integer of more than 255 bytes cannot be saved: PyTorch would not read it")
        self.write(b"\x8a" + bytes([len(data)]) + data)

    def text(self, value: str) -> None:
        if not self.known(("text", value)):
            data = value.encode("utf-8", "surrogatepass")
            self.write(b"X" + struct.pack("<I", len(data)) + data)
            self.note(("text", value))

    def tuple_(self, value: tuple[Any, ...]) -> None:
        if not value:
            self.write(b")")
            return
        if len(value) > 3:
            self.write(b"(")
        for item in value:
            self.save(item)
        if self.known(id(value)):  # it holds itself, by way of a list; what was just written is left on the stack
            raise pickle.PicklingError("a tuple that contains itself cannot be saved")
        self.write({1: b"\x85", 2: b"\x86", 3: b"\x87"}.get(len(value), b"t"))
        self.note(id(value), value)

    def list_(self, value: list[Any]) -> None:
        self.write(b"]")
        self.note(id(value), value)
        self.batches(value, b"e", self.save)

    def dict_(self, value: dict[Any, Any]) -> None:
        self.write(b"}")
        self.note(id(value), value)
        self.items(value)

    def items(self, value: Any) -> None:
        def pair(item: Any) -> None:
            self.save(item[0])
            self.save(item[1])

        self.batches(list(value.items()), b"u", pair)

    def batches(self, found: list[Any], code: bytes, save: Callable[[Any], None]) -> None:
        for start in range(0, len(found), _BATCH):
            self.write(b"(")
            for item in found[start : start + _BATCH]:
                save(item)
            self.write(code)

    def name(self, module: str, name: str) -> None:
        """A name, by which readers find something of their own."""
        if not self.known(("name", module, name)):
            self.write(f"c{module}\n{name}\n".encode())
            self.note(("name", module, name))

    def call(self, module: str, name: str, *args: Any) -> None:
        """What the function of that name makes of ``args``."""
        self.name(module, name)
        self.arguments(*args)
        self.write(b"R")

    def arguments(self, *args: Any) -> None:
        self.write(b"(" if args else b")")
        for arg in args:
            arg.write() if isinstance(arg, _Written) else self.save(arg)
        if args:
            self.write(b"t")

    # --- what PyTorch has names of its own for ---

    def ordered_dict(self, value: OrderedDict[Any, Any]) -> None:
        self.call("collections", "OrderedDict")
        self.note(id(value), value)
        self.items(value)
        if value.__dict__:
            self.save(dict(value.__dict__))
            self.write(b"b")

    def called(self, module: str, name: str, value: Any, *args: Any) -> None:
        """``value`` as what the function of that name makes of ``args``."""
        self.call(module, name, *args)
        self.note(id(value), value)

    def tensor(self, value: Tensor) -> None:
        """A tensor, a parameter, a tensor with attributes or of a user's class."""
        kind, own = type(value), {k: v for k, v in value.__dict__.items() if k != "_rank"}
        ours = kind.__module__.partition(".")[0] == "chainrule"
        if kind is Parameter:
            data = _Written(lambda: self.call("torch._utils", *self.window(value, False)))
            name = "_rebuild_parameter_with_state" if own else "_rebuild_parameter"
            self.call("torch._utils", name, data, value._rg, OrderedDict(), *([own] if own else []))
        elif own or not ours:
            name, *args = self.window(value, value._rg)
            self.call("torch._tensor", "_rebuild_from_type_v2", _Written(lambda: self.name("torch._utils", name)),
                      _Written(lambda: self.name("torch", "Tensor") if ours else self.global_(kind)),
                      _Written(lambda: self.arguments(*args)), own)  # fmt: skip
        else:
            self.call("torch._utils", *self.window(value, value._rg))
        self.note(id(value), value)

    def window(self, value: Tensor, requires_grad: bool) -> tuple[Any, ...]:
        """How to rebuild a tensor over its storage: the function's name, then its arguments."""
        a = ground(value)
        a = value._own() if a is value._a else np.asarray(a)
        a = a if type(a) is np.ndarray else np.asarray(a)
        key, length, offset, strides = self.places.find(a)
        kind = NAMES.get(a.dtype.name)

        def storage() -> None:
            self.write(b"(")
            self.text("storage")
            self.name(*(("torch", kind) if kind else ("torch.storage", "UntypedStorage")))
            self.text(key)
            self.text("cpu")
            self.integer(length if kind else length * a.itemsize)
            self.write(b"tQ")

        args: Any = (_Written(storage), offset, tuple(a.shape), tuple(strides), requires_grad, OrderedDict())
        return ("_rebuild_tensor_v2", *args) if kind else ("_rebuild_tensor_v3", *args, value.dtype)

    # --- everything else ---

    def global_(self, value: Any) -> None:
        """A class or a function, by its name."""
        module, name = value.__module__, value.__qualname__
        if "<locals>" in name:
            raise AttributeError(f"Can't pickle local object {name!r}")
        if "<" in name or module is None:
            raise pickle.PicklingError(f"Can't pickle {value!r}: attribute lookup {name} on {module} failed")
        self.name(module, name)

    def other(self, value: Any) -> None:
        """An object, as it describes itself to pickle."""
        if isinstance(value, (type, FunctionType, BuiltinFunctionType)):
            self.global_(value)
            return
        reduce = copyreg.dispatch_table.get(type(value))
        described: Any = reduce(value) if reduce is not None else value.__reduce_ex__(2)
        if isinstance(described, str):
            self.name(type(value).__module__, described)
            return
        function, args, state, found, pairs = (*described, None, None, None)[:5]
        if function is copyreg.__newobj__:  # type: ignore[attr-defined]
            self.save(args[0])
            self.save(tuple(args[1:]))
            self.write(b"\x81")
        else:
            self.save(function)
            self.save(tuple(args))
            self.write(b"R")
        self.note(id(value), value)
        if found is not None:
            self.batches(list(found), b"e", self.save)
        if pairs is not None:
            self.items(OrderedDict(pairs))
        if state is not None:
            self.save(state)
            self.write(b"b")


@dataclass(slots=True)
class _Written:
    """An argument that is written by a function."""

    write: Callable[[], Any]


_PLAIN: dict[type[Any], Callable[[Pickler, Any], Any]] = {
    type(None): lambda p, v: p.write(b"N"),
    bool: lambda p, v: p.write(b"\x88" if v else b"\x89"),
    int: Pickler.integer,
    float: lambda p, v: p.write(b"G" + struct.pack(">d", v)),
    str: Pickler.text,
}
_KINDS: dict[type[Any], Callable[[Pickler, Any], Any]] = {
    dict: Pickler.dict_,
    list: Pickler.list_,
    tuple: Pickler.tuple_,
    OrderedDict: Pickler.ordered_dict,
    Size: lambda p, v: p.called("torch", "Size", v, tuple(v)),
    dtype: lambda p, v: p.name("torch", v.name),
    device: lambda p, v: p.called("torch", "device", v, *((v.type,) if v.index is None else (v.type, v.index))),
    bytes: lambda p, v: p.called("_codecs", "encode", v, v.decode("latin1"), "latin1"),
    bytearray: lambda p, v: p.called("__builtin__", "bytearray", v, v.decode("latin1"), "latin-1"),
    set: lambda p, v: p.called("__builtin__", "set", v, list(v)),
    complex: lambda p, v: p.called("__builtin__", "complex", v, v.real, v.imag),
}
