"""What a file may name: PyTorch's own list, each name with a function of ours that checks what it is given.

A name that is not here is never looked up, so nothing is imported and nothing is called.  Users add names with
:func:`add_safe_globals`.
"""

from __future__ import annotations

import contextlib
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .. import dtypes
from ..device import device
from ..nn.parameter import Parameter
from ..tensor import Tensor
from .budget import Budget
from .keys import check_key
from .storages import STORAGES, NotSoError, Storage, attributes, finish, parameter, window


@dataclass(frozen=True, slots=True)
class Maker:
    """A name of the list that stands for a function: what it makes of its arguments."""

    name: str
    make: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class StorageKind:
    """The name of a storage class; ``dtype`` is None where the tensor says it."""

    dtype: str | None


def _need(true: bool, why: str) -> None:
    if not true:
        raise NotSoError(why)


# --- what the names make: the budget first, then the file's arguments ---


def _ordered_dict(budget: Budget, *args: Any) -> OrderedDict[Any, Any]:
    out: OrderedDict[Any, Any] = OrderedDict()
    _need(len(args) <= 1 and (not args or isinstance(args[0], (list, dict))), "an OrderedDict is made of something odd")
    for key, value in args[0].items() if args and isinstance(args[0], dict) else args[0] if args else ():
        check_key(key, budget)
        out[key] = value
    return out


def _counter(budget: Budget, counts: Any = None) -> Counter[Any]:
    _need(counts is None or isinstance(counts, dict), "a Counter is made of something odd")
    budget.charge(100 * len(counts or ()))
    return Counter(counts)


def _set(budget: Budget, items: Any = ()) -> set[Any]:
    _need(isinstance(items, (list, tuple)), "a set is made of something odd")
    for item in items:
        check_key(item, budget)
    return set(items)


def _bytearray(budget: Budget, data: Any = b"", encoding: Any = None) -> bytearray:
    """Of bytes; never of a number, which would be a length."""
    budget.charge(len(data) if isinstance(data, (bytes, str)) else 0)
    if isinstance(data, str):
        return bytearray(_encode(budget, data, encoding))
    _need(isinstance(data, bytes) and encoding is None, "a bytearray is made of something odd")
    return bytearray(data)


def _encode(budget: Budget, text: Any, encoding: Any) -> bytes:
    _need(isinstance(text, str) and encoding in ("latin1", "latin-1"), "bytes are made of something odd")
    budget.charge(len(text))
    found: bytes = text.encode("latin1")
    return found


def _bytes(budget: Budget) -> bytes:
    """None at all; others are made by ``_codecs.encode``."""
    return b""


def _complex(budget: Budget, real: Any = 0.0, imag: Any = 0.0) -> complex:
    _need(type(real) in (int, float) and type(imag) in (int, float), "a complex number is made of something odd")
    return complex(real, imag)


def _size(budget: Budget, lengths: Any = ()) -> dtypes.Size:
    _need(isinstance(lengths, tuple) and all(type(n) is int for n in lengths), "a torch.Size is made of something odd")
    return dtypes.Size(lengths)


def _device(budget: Budget, kind: Any, index: Any = None) -> device:
    _need(type(kind) is str and (index is None or type(index) is int), "a device is made of something odd")
    try:
        return device(kind, index)
    except RuntimeError as e:
        raise NotSoError(str(e)) from None


def _tensor(budget: Budget, storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    _need(isinstance(storage, Storage) and storage.dtype is not None, "a tensor has no storage")
    return window(storage, offset, size, stride, storage.dtype, budget)


def _tensor_v2(
    budget: Budget, storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any,
    metadata: Any = None,
) -> Tensor:  # fmt: skip
    return finish(_tensor(budget, storage, offset, size, stride), requires_grad, hooks, metadata)


def _tensor_v3(
    budget: Budget, storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any, dtype: Any,
    metadata: Any = None,
) -> Tensor:  # fmt: skip
    _need(isinstance(dtype, dtypes.dtype), "a tensor's dtype is none")
    return finish(window(storage, offset, size, stride, dtype.name, budget), requires_grad, hooks, metadata)


def _parameter(budget: Budget, data: Any, requires_grad: Any, hooks: Any) -> Parameter:
    return parameter(data, requires_grad, hooks)


def _parameter_with_state(budget: Budget, data: Any, requires_grad: Any, hooks: Any, state: Any) -> Parameter:
    out = parameter(data, requires_grad, hooks)
    attributes(out, state)
    return out


def _typed(budget: Budget, function: Any, kind: Any, args: Any, state: Any) -> Tensor:
    """A tensor with attributes of its own, or of a class that the user has allowed."""
    _need(isinstance(function, Maker) and isinstance(args, tuple), "a tensor is made of something odd")
    out: Tensor = function.make(budget, *args)
    _need(isinstance(out, Tensor), "a tensor is made of something odd")
    if is_added(kind):
        _need(isinstance(kind, type) and issubclass(kind, Tensor), "a tensor is of no class of tensors")
        out.__class__ = kind
    else:
        _need(isinstance(kind, Maker) and kind.name in ("torch.Tensor", "torch.nn.parameter.Parameter"),
              "a tensor is of an unknown class")  # fmt: skip
    attributes(out, state)
    return out


def _not_callable(budget: Budget, *args: Any) -> Any:
    raise NotSoError("a class is called that files do not call")


_MAKERS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict, "collections.Counter": _counter, "builtins.set": _set,
    "builtins.bytearray": _bytearray, "builtins.bytes": _bytes, "builtins.complex": _complex, "_codecs.encode": _encode,
    "torch.Size": _size, "torch.device": _device, "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor_v2, "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter_with_state,
    "torch._tensor._rebuild_from_type_v2": _typed, "torch.Tensor": _not_callable,
    "torch.nn.parameter.Parameter": _not_callable,
}  # fmt: skip

TABLE: dict[str, Any] = {
    **{name: Maker(name, make) for name, make in _MAKERS.items()},
    **{f"torch.{name}": StorageKind(dtype) for name, dtype in STORAGES.items()},
    **{f"torch.storage.{name}": StorageKind(None) for name in ("UntypedStorage",)},
    **{f"torch.{d.name}": d for d in dtypes.ALL},
}
_BLOCKED = ("sys", "os", "posix", "nt")


# --- what users add ---

_added: dict[str, Any] = {}


def _named(items: Sequence[Any]) -> dict[str, Any]:
    found = {}
    for item in items:
        value, name = item if isinstance(item, tuple) else (item, None)
        if isinstance(item, tuple) and type(name) is not str:
            raise TypeError(f"Expected second item in tuple to be str of callable full path, but got: {type(name)}")
        found[name or f"{value.__module__}.{value.__qualname__}"] = value
    return found


def add_safe_globals(safe_globals: Sequence[Any]) -> None:
    """Let files name these classes and functions, which loading then calls with what the file says.

    Add only what does no harm with any arguments.  An item is a class or function, or a tuple of one and the
    name that files give it.

    Source: ``torch.serialization.add_safe_globals``.
    """
    _added.update(_named(safe_globals))


def get_safe_globals() -> list[Any]:
    """What users have added.

    Source: ``torch.serialization.get_safe_globals``.
    """
    return list(_added.values())


def clear_safe_globals() -> None:
    """Take back all that users have added.

    Source: ``torch.serialization.clear_safe_globals``.
    """
    _added.clear()


@contextlib.contextmanager
def safe_globals(safe_globals: Sequence[Any]) -> Iterator[None]:
    """:func:`add_safe_globals` for the time of a ``with`` block.

    Source: ``torch.serialization.safe_globals``.

    >>> import datetime, io
    >>> import chainrule as torch
    >>> file = io.BytesIO()
    >>> torch.save({"made": datetime.date(2024, 2, 29)}, file)
    >>> _ = file.seek(0)
    >>> with torch.serialization.safe_globals([datetime.date]):
    ...     torch.load(file)
    {'made': datetime.date(2024, 2, 29)}
    """
    before = dict(_added)
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        _added.clear()
        _added.update(before)


def is_added(value: Any) -> bool:
    """Whether ``value`` is one of what users have added."""
    return any(value is added for added in _added.values())


def added_names() -> set[str]:
    """The names of what users have added."""
    return set(_added)


def full_name(module: str, name: str) -> str:
    """The name that is looked up, for what a file calls module and name, in Python 2's words or today's."""
    return ".".join(NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name)))


def find(module: str, name: str) -> Any:
    """What a file's name stands for; LookupError with PyTorch's sentence if it is not allowed."""
    full = full_name(module, name)
    if module in _BLOCKED:
        raise NotSoError(f"Trying to load unsupported GLOBAL {full} whose module {module} is blocked.")
    if full in TABLE:
        return TABLE[full]
    if full in _added:
        return _added[full]
    raise LookupError(
        f"Unsupported global: GLOBAL {full.removeprefix('builtins.')} was not an allowed global by default."
    )
