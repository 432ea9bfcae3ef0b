"""``save`` and ``load``: objects of tensors to PyTorch's files and back."""

from __future__ import annotations

import os
import pickle
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import allowed, legacy
from .allowed import StorageKind
from .archive import Reader, Writer
from .atomic import replacing
from .budget import Budget
from .errors import EmptyFileError, LoadError, broken, refused
from .locations import Place, placing
from .pickler import Pickler
from .source import Mapped, Source
from .storages import NotSoError, Storage, itemsize, native, widened
from .unpickler import Unpickler


def save(
    obj: Any, f: Any, pickle_module: Any = pickle, pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True, _disable_byteorder_record: bool = False,
) -> None:  # fmt: skip
    """Write ``obj`` to a file that :func:`load` and PyTorch's ``torch.load`` read.

    ``obj`` is a tensor, a ``state_dict()``, or any nesting of dicts, lists and tuples of tensors, numbers and
    strings.  Tensors that share memory share it in the file too.  Other objects are written as pickle writes them,
    and can be loaded where their classes are allowed: :func:`add_safe_globals`.

    ``f`` is a path or an open binary file.  A file at a path is replaced as a whole: whatever happens before the
    end, the old one stays.  ``pickle_module`` and ``pickle_protocol`` are taken and not needed; PyTorch's older
    format is not written.

    Raises RuntimeError if the folder does not exist, PicklingError for what cannot be written.

    Source: ``torch.save``.

    >>> import io
    >>> import chainrule as torch
    >>> file = io.BytesIO()
    >>> torch.save({"weight": torch.ones(2)}, file)
    >>> _ = file.seek(0)
    >>> torch.load(file)
    {'weight': tensor([1., 1.])}
    """
    if not _use_new_zipfile_serialization:
        raise ValueError("chainrule writes PyTorch's zip format only: leave _use_new_zipfile_serialization as it is")
    path = isinstance(f, (str, os.PathLike))
    if not path and not hasattr(f, "write"):
        raise AttributeError("expected 'f' to be string, path, or a file-like object with a 'write' attribute")
    pickler = Pickler()
    data = pickler.dump(obj)  # before anything is opened
    arrays = pickler.places.flat()
    if not path:
        _write(Writer(f, "archive"), data, arrays)
        return
    name = os.fspath(f)
    folder = os.path.dirname(os.path.realpath(name))
    if not os.path.isdir(folder):
        raise RuntimeError(f"Parent directory {os.path.dirname(name)} does not exist.")
    with replacing(name) as out:
        _write(Writer(out, os.path.splitext(os.path.basename(name))[0] or "archive"), data, arrays)


def _write(writer: Writer, data: bytes, arrays: list[Any]) -> None:
    writer.add("data.pkl", data)
    writer.add(".format_version", b"1")
    writer.add(".storage_alignment", b"64")
    writer.add("byteorder", sys.byteorder.encode())
    for i, array in enumerate(arrays):
        writer.add(f"data/{i}", array)
    writer.add("version", b"3\n")
    parts = zlib.crc32(b"".join(r.crc.to_bytes(4, "little") for r in writer.records)), zlib.crc32(data)
    writer.add(".data/serialization_id", "".join(f"{part:020d}" for part in parts).encode())
    writer.close()


def load(
    f: Any, map_location: Any = None, pickle_module: Any = None, *, weights_only: bool | None = None,
    mmap: bool | None = None, **pickle_load_args: Any,
) -> Any:  # fmt: skip
    """What :func:`save` or PyTorch's ``torch.save`` wrote to a file.

    ``f`` is a path or an open, seekable binary file.  No file can run code: it may hold tensors, numbers, strings
    and containers of them, and what :func:`add_safe_globals` has allowed.  Every record is compared with its
    checksum, and memory is counted before it is taken; ``weights_only=False`` says that the file is trusted, and
    lifts that count, but allows nothing else.  ``map_location`` says where tensors of other devices go: here
    that can only be "cpu".  With ``mmap`` a file's numbers are read from the disk when they are used, without a
    check of their sums; writes to them stay in memory.

    Raises FileNotFoundError; LoadError, a RuntimeError and an UnpicklingError, for what is damaged or not
    allowed.

    Source: ``torch.load``.

    >>> import io
    >>> import chainrule as torch
    >>> torch.load(io.BytesIO(b"no file of PyTorch's"))
    Traceback (most recent call last):
    chainrule.serialization.errors.LoadError: Weights only load failed. It is no file of PyTorch's (<BytesIO>)
    """
    trusted = weights_only is False
    if pickle_module is not None:
        raise RuntimeError(
            "Can not safely load weights when explicit pickle_module is specified" if not trusted else
            "chainrule reads files by itself, and no pickle_module can take part: leave it out"
        )  # fmt: skip
    with _opened(f, bool(mmap)) as source:
        if not source.size:
            raise EmptyFileError(f"Ran out of input: there is nothing in the file ({source.name[-200:]})")
        budget = Budget(source.name, source.size, trusted)
        place = placing(map_location)
        with _as_load_errors(source.name):
            if source.read(0, min(4, source.size)).tobytes() == b"PK\3\4":
                return _from_archive(Reader(source, budget), budget, place)
            if mmap:
                raise LoadError(
                    "mmap can only be used with files saved with `torch.save(_use_new_zipfile_serialization=True), please "
                    f"torch.save your checkpoint with this option in order to use mmap. ({source.name[-80:]})"
                )
            return legacy.load(source, budget, place)


@contextmanager
def _opened(f: Any, mapped: bool) -> Iterator[Source]:
    kind = Mapped if mapped else Source
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            yield kind(file, os.fspath(f))
        return
    if mapped:
        raise ValueError("f must be a file path in order to use the mmap argument")
    for needed in ("seek", "tell", "read"):
        if not hasattr(f, needed):
            raise AttributeError(
                f"'{type(f).__name__}' object has no attribute '{needed}'. You can only torch.load from a file that is "
                "seekable. Please pre-load the data into a buffer like io.BytesIO and try to load from it instead."
            )
    yield kind(f, str(getattr(f, "name", f"<{type(f).__name__}>")))


@contextmanager
def _as_load_errors(name: str) -> Iterator[None]:
    """Whatever a malformed file makes go wrong, as one family of errors."""
    try:
        yield
    except LoadError:
        raise
    except LookupError as e:
        if type(e) is not LookupError:
            raise refused(name, f"The pickle is malformed: {type(e).__name__}: {e}") from None
        raise refused(
            name, str(e),
            "To load it, allow the class or function, if it does no harm with any arguments: "
            "torch.serialization.add_safe_globals([...]). "
            "torch.serialization.get_unsafe_globals_in_checkpoint(file) lists all that are needed.",
        ) from None  # fmt: skip
    except NotSoError as e:
        raise refused(name, str(e)) from None
    except Exception as e:
        raise refused(name, f"The pickle is malformed: {type(e).__name__}: {e}") from e


def _from_archive(reader: Reader, budget: Budget, place: Place) -> Any:
    if "constants.pkl" in reader:
        raise refused(reader.name, "It is a TorchScript program, which only PyTorch can run")
    version = reader.read("version").tobytes() if "version" in reader else b"3"
    if not version.strip().isdigit() or not 1 <= int(version) <= 10:
        raise broken(reader.name, f"version {version[:20]!r} is not one from 1 to 10")
    order = reader.read("byteorder").tobytes() if "byteorder" in reader else b"little"
    if order not in (b"little", b"big"):
        raise broken(reader.name, f"the byte order is {order[:20]!r}")
    known: dict[str, tuple[Storage, Any]] = {}

    def storage(pid: Any) -> Storage:
        if type(pid) is not tuple or len(pid) != 5 or pid[0] != "storage":
            raise NotSoError(f"Only persistent_load of storage is allowed, but got {pid!r:.60}")
        _, kind, key, location, length = pid
        if (
            type(kind) is not StorageKind
            or type(key) is not str
            or type(location) is not str
            or type(length) is not int
        ):
            raise NotSoError("a storage is described by something odd")
        if key not in known:
            data = reader.read(f"data/{key}")
            if data.size != length * itemsize(kind.dtype):
                raise NotSoError(f"storage {key!r:.20} has {data.size} bytes, which is not what {length} elements take")
            if kind.dtype == "bfloat16":
                widened(reader.name)
                budget.charge(2 * data.size)
            data = native(data, kind.dtype, order == b"big")
            known[key] = place(Storage(data, kind.dtype), location), (kind.dtype, length)
        if known[key][1] != (kind.dtype, length):
            raise NotSoError(f"storage {key!r:.20} is said to be two different things")
        return known[key][0]

    return Unpickler(reader.read("data.pkl"), budget, storage).load()


def get_unsafe_globals_in_checkpoint(f: Any) -> list[str]:
    """The names in a file that loading would refuse: what :func:`add_safe_globals` would have to allow.

    Nothing is loaded.

    Source: ``torch.serialization.get_unsafe_globals_in_checkpoint``.

    >>> import datetime, io
    >>> import chainrule as torch
    >>> file = io.BytesIO()
    >>> torch.save(datetime.date(2024, 2, 29), file)
    >>> _ = file.seek(0)
    >>> torch.serialization.get_unsafe_globals_in_checkpoint(file)
    ['datetime.date']
    """
    import pickletools

    found = set()
    with _opened(f, False) as source, _as_load_errors(source.name):
        budget = Budget(source.name, source.size)
        texts: list[Any] = []
        for opcode, value, _ in pickletools.genops(Reader(source, budget).read("data.pkl").tobytes()):
            if opcode.name == "GLOBAL":
                found.add(allowed.full_name(*str(value).split(" ", 1)))
            elif opcode.name == "STACK_GLOBAL" and len(texts) > 1:
                found.add(allowed.full_name(*texts[-2:]))
            elif "UNICODE" in opcode.name:
                texts.append(str(value))
    return sorted(name for name in found if name not in allowed.TABLE and name not in allowed.added_names())
