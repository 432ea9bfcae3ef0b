"""Files in the safetensors format, by way of its own library: names, numbers and nothing else.

The names are those of ``safetensors.torch``.  Files written here carry a checksum in their metadata, which other
readers pass over; it is compared on loading.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..device import on_cpu
from ..extras import load as _library
from ..holder import ground
from ..tensor import Tensor, wrap
from .atomic import replacing
from .errors import refused
from .source import Bytes, Mapped
from .storages import native, widened

__all__ = ["load", "load_file", "save", "save_file"]

_DTYPES = {
    "F16": "float16", "F32": "float32", "F64": "float64", "C64": "complex64", "BOOL": "bool", "BF16": "bfloat16",
    **{f"{letter}{8 * n}": f"{kind}{8 * n}" for letter, kind in (("I", "int"), ("U", "uint")) for n in (1, 2, 4, 8)},
}  # fmt: skip
_EXTRA = "train", "the safetensors format"
_CHECKSUM = "chainrule.crc32"
_Entry = tuple[str, str, tuple[int, ...], Any]  # name, dtype in the format's words, shape, bytes


def _arrays(tensors: Mapping[str, Tensor]) -> list[_Entry]:
    if not isinstance(tensors, dict):
        raise ValueError(f"Expected a dict of [str, torch.Tensor] but received {type(tensors)}")
    found: list[_Entry] = []
    places: list[tuple[int, int, str]] = []
    names = {v: k for k, v in _DTYPES.items()}
    for name, t in tensors.items():
        if not isinstance(t, Tensor):
            raise ValueError(f"Key `{name}` is invalid, expected torch.Tensor but received {type(t)}")
        a = np.asarray(ground(t))
        if a.dtype.name not in names:
            raise ValueError(f"Key `{name}` is invalid: the format has no {t.dtype}")
        if not a.flags.c_contiguous:
            raise ValueError(
                f"You are trying to save a non contiguous tensor: `{name}` which is not allowed. It either means you are "
                "trying to save tensors which are reference of each other in which case it's recommended to save only "
                "the full tensors, and reslice at load time, or simply call `.contiguous()` on your tensor to pack it "
                "before saving."
            )
        start = a.__array_interface__["data"][0]
        if a.size:
            places.append((start, start + a.nbytes, name))
        found.append((name, names[a.dtype.name], a.shape, a))
    places.sort()
    for (_, end, name), (start, _, other) in zip(places, places[1:], strict=False):
        if start < end:
            raise RuntimeError(
                "Some tensors share memory, this will lead to duplicate memory on disk and potential differences when "
                f"loading them again: {[{name, other}]}. Save copies, x.clone(), or leave one of them out."
            )
    return found


def _checksum(entries: Iterable[_Entry], metadata: Mapping[str, str]) -> str:
    """Over names, dtypes, shapes, numbers and metadata."""
    said = [(k, v) for k, v in sorted(metadata.items()) if k != _CHECKSUM]
    crc = zlib.crc32(json.dumps(said).encode())
    for name, dtype, shape, data in sorted(entries, key=lambda e: e[0]):
        crc = zlib.crc32(json.dumps([name, dtype, list(shape)]).encode(), crc)
        crc = zlib.crc32(data.data if isinstance(data, np.ndarray) else data, crc)
    return f"{crc:08x}"


def save(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """A dict of tensors as the bytes of a safetensors file.

    ``metadata`` are strings by name.  Raises ValueError for a tensor that is not contiguous, RuntimeError for
    tensors that share memory, MissingExtra where the library is not installed.

    Source: ``safetensors.torch.save``.
    """
    entries = _arrays(tensors)
    said = {**(metadata or {})}
    said[_CHECKSUM] = _checksum(entries, said)
    library = _library("safetensors.numpy", *_EXTRA)
    written: bytes = library.save({name: a for name, _, _, a in entries}, metadata=said)
    return written


def save_file(
    tensors: Mapping[str, Tensor], filename: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """:func:`save` to a file, which is replaced as a whole.

    Source: ``safetensors.torch.save_file``.
    """
    data = save(tensors, metadata)
    with replacing(filename) as out:
        out.write(data)


def load(data: bytes) -> dict[str, Tensor]:
    """The tensors in the bytes of a safetensors file.

    Raises LoadError for bytes that are none, or changed.

    Source: ``safetensors.torch.load``.
    """
    library = _library("safetensors", *_EXTRA)
    try:
        found = library.deserialize(data)
    except library.SafetensorError as e:
        raise refused("<bytes>", str(e)) from None
    length = struct.unpack_from("<Q", data)[0]
    metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    entries = [
        (name, t["dtype"], tuple(t["shape"]), np.frombuffer(bytearray(t["data"]), np.uint8)) for name, t in found
    ]
    return _tensors(entries, metadata, "<bytes>")


def load_file(filename: str | os.PathLike[str], device: Any = "cpu") -> dict[str, Tensor]:
    """The tensors of a safetensors file, mapped: their numbers are read when they are used, unless a checksum is there.

    Writes to them stay in memory.  Raises LoadError for a file that is damaged or no safetensors file.

    Source: ``safetensors.torch.load_file``.
    """
    on_cpu(device)
    library, name = _library("safetensors", *_EXTRA), os.fspath(filename)
    try:
        with library.safe_open(name, framework="numpy") as f:  # which checks all there is to check
            metadata = f.metadata() or {}
    except library.SafetensorError as e:
        raise refused(name, str(e)) from None
    with open(name, "rb") as file:
        source = Mapped(file, name)
        length = int(source.read(0, 8).view("<u8")[0])
        header = json.loads(source.read(8, length).tobytes())
        header.pop("__metadata__", None)
        entries = []
        for key, t in header.items():
            start, end = t["data_offsets"]
            entries.append((key, t["dtype"], tuple(t["shape"]), source.read(8 + length + start, end - start)))
    return _tensors(entries, metadata, name)


def _tensors(entries: list[_Entry], metadata: Mapping[str, str], name: str) -> dict[str, Tensor]:
    if _CHECKSUM in metadata and metadata[_CHECKSUM] != _checksum(entries, metadata):
        raise refused(name, "the file's numbers do not give its checksum. They have been changed")
    return {key: _tensor(key, dtype, shape, data, name) for key, dtype, shape, data in entries}


def _tensor(key: str, dtype: str, shape: tuple[int, ...], data: Bytes, name: str) -> Tensor:
    found = _DTYPES.get(dtype)
    if found is None:
        raise refused(name, f"{key!r} is {dtype}, which NumPy has not")
    if found == "bfloat16":
        widened(name)
        return wrap(native(data, found, False).view(np.float32).reshape(shape))
    d = np.dtype(found).newbyteorder("<")
    a = data.view(d) if d.isnative else data.view(d).astype(found)
    return wrap(a.reshape(shape))
