"""PyTorch's format before 1.6: pickles one after the other, then the storages.  It has no checksums."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from .allowed import StorageKind
from .budget import Budget
from .errors import refused
from .locations import Place
from .source import Source
from .storages import NotSoError, Storage, itemsize, native
from .unpickler import Unpickler

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_LENGTH = struct.Struct("<q")


def load(source: Source, budget: Budget, place: Place) -> Any:
    """The object of a file in the older format."""
    start = source.read(0, min(source.size, 16)).tobytes()
    if not start.startswith(b"\x80\x02\x8a\x0a" + _MAGIC.to_bytes(10, "little")):
        raise refused(source.name, "It is no file of PyTorch's")
    data = source.read(0, source.size)
    storages: dict[str, Storage] = {}
    length = 0

    def storage(pid: Any) -> Storage:
        nonlocal length
        if type(pid) is not tuple or len(pid) != 6 or pid[0] != "storage":
            raise NotSoError(f"Only persistent_load of storage is allowed, but got {pid!r:.60}")
        _, kind, key, location, n, view = pid
        odd = type(kind) is not StorageKind or type(key) is not str
        if odd or type(location) is not str or type(n) is not int or n < 0:
            raise NotSoError("a storage is described by something odd")
        if view is not None:
            raise NotSoError("a storage is a part of another, as PyTorch wrote them before 0.4")
        if key not in storages:
            length += n * itemsize(kind.dtype)
            if length > source.size:
                raise NotSoError("the storages are larger than the file")
            room = n * itemsize(kind.dtype) * (2 if kind.dtype == "bfloat16" else 1)
            storages[key] = place(Storage(np.empty(room, np.uint8), kind.dtype), location)
        return storages[key]

    reader = Unpickler(data, budget, storage)
    magic, protocol, system, result, keys = (reader.again() for _ in range(5))
    if magic != _MAGIC or protocol != _PROTOCOL or type(system) is not dict:
        raise refused(source.name, f"It is of a version that is not known: {protocol!r:.20}")
    if type(keys) is not list or any(type(key) is not str for key in keys) or sorted(keys) != sorted(storages):
        raise NotSoError("the storages are not those that the tensors lie in")
    big = system.get("little_endian") is False
    for key in keys:
        s = storages[key]
        n = reader.number(_LENGTH)
        found = native(np.frombuffer(reader.take(n * itemsize(s.dtype)), np.uint8), s.dtype, big)
        if s.data.size != found.size:
            raise NotSoError(f"storage {key!r:.20} has {n} elements, which is not what its tensors take")
        s.data[:] = found
    return result
