"""The container of PyTorch's files: a zip archive whose records are stored as they are, aligned, with checksums.

Read strictly.  A record that is compressed, overlaps another, has two names or one that leads out of the archive
is refused, and so is one whose bytes do not give its checksum.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .budget import Budget
from .errors import broken
from .source import Bytes, CutOffError, Mapped, Source

_LOCAL = struct.Struct("<4s5H3I2H")  # PK\3\4, version, flags, method, time, date, crc, sizes, lengths of name and extra
_ENTRY = struct.Struct("<4s6H3I5H2I")  # PK\1\2, versions, flags, method, time, date, crc, sizes, lengths, ..., offset
_END = struct.Struct("<4s4H2IH")  # PK\5\6, disks, entries here and in all, size and place of the directory, comment
_LOCATOR = struct.Struct("<4sIQI")  # PK\6\7, disk, place of the next, disks
_END64 = struct.Struct("<4sQ2H2I4Q")  # PK\6\6, its size, versions, disks, entries, size and place of the directory
_LONG = 0xFFFFFFFF  # "see the 64-bit field"
_ALIGNMENT = 64
_ENTRY_COST = 600  # bytes that an entry of the directory takes here


@dataclass(slots=True)
class Record:
    """One file of the archive: where its bytes are, and their checksum."""

    name: str
    place: int  # of its local header
    size: int
    crc: int
    data: int = 0  # where its bytes begin


class Reader:
    """The records of an archive by name, without the folder that all of them lie in."""

    def __init__(self, source: Source, budget: Budget) -> None:
        self.source = source
        self.name = source.name
        try:
            self.records = self._directory(budget)
        except (CutOffError, struct.error, UnicodeDecodeError) as e:
            raise broken(self.name, f"invalid header or archive is corrupted: {e}") from None

    def _bytes(self, at: int, n: int) -> bytes:
        return self.source.read(at, n).tobytes()

    def _end(self) -> tuple[int, int, int]:
        """How many entries the directory has, where it is and where it ends."""
        size = self.source.size
        tail = self._bytes(max(0, size - _END.size - 0xFFFF), min(size, _END.size + 0xFFFF))
        at = tail.rfind(b"PK\5\6")
        if at < 0 or at + _END.size > len(tail):
            raise broken(self.name, "failed finding central directory. The file is damaged, or its end is missing")
        _, disk, first, here, entries, length, place, comment = _END.unpack_from(tail, at)
        end = size - len(tail) + at
        if end + _END.size + comment != size or disk or first or here != entries:
            raise broken(self.name, "the end of the central directory contradicts itself")
        if end >= _LOCATOR.size and (found := self._bytes(end - _LOCATOR.size, _LOCATOR.size))[:4] == b"PK\6\7":
            _, disk, where, disks = _LOCATOR.unpack(found)
            mark, rest, _, _, number, start, here64, entries64, length64, place64 = _END64.unpack(
                self._bytes(where, _END64.size)
            )
            agreed = all(
                short in (long, saturated)
                for short, long, saturated in (
                    (entries, entries64, 0xFFFF), (length, length64, _LONG), (place, place64, _LONG),
                )
            )  # fmt: skip
            if (
                mark != b"PK\6\6"
                or rest < 44
                or disk
                or disks != 1
                or number
                or start
                or here64 != entries64
                or not agreed
            ):
                raise broken(self.name, "the end of the central directory contradicts itself")
            entries, length, place, end = entries64, length64, place64, where
        if place + length != end:
            raise broken(self.name, "the central directory is not where it is said to be")
        return entries, place, end

    def _directory(self, budget: Budget) -> dict[str, Record]:
        entries, place, end = self._end()
        if entries * _ENTRY.size > end - place:
            raise broken(self.name, f"{entries} records do not fit into its central directory")
        budget.charge(entries * _ENTRY_COST)
        directory = self._bytes(place, end - place)
        records = list(self._entries(directory, entries))
        self._locate(records, place)
        roots = {r.name.partition("/")[0] for r in records}
        if len(roots) != 1:
            raise broken(self.name, "its records do not lie in one folder")
        found: dict[str, Record] = {}
        for r in records:
            name = r.name.partition("/")[2]
            if name in found or not name or "\\" in name or "\0" in name or {"", ".", ".."} & set(name.split("/")):
                raise broken(self.name, f"a record is called {r.name!r}, which is not allowed or not the only one")
            found[name] = r
        return found

    def _entries(self, directory: bytes, entries: int) -> Iterator[Record]:
        at = 0
        for _ in range(entries):
            (mark, _, _, flags, method, _, _, crc, packed, size, n_name, n_extra, n_comment, disk, _, _, place
             ) = _ENTRY.unpack_from(directory, at)  # fmt: skip
            at += _ENTRY.size
            name = directory[at : at + n_name].decode("utf-8")
            extra = directory[at + n_name : at + n_name + n_extra]
            at += n_name + n_extra + n_comment
            if mark != b"PK\1\2" or disk or at > len(directory):
                raise broken(self.name, "invalid header or archive is corrupted")
            if _LONG in (size, packed, place):
                size, packed, place = _wide(extra, size, packed, place)
            if flags & 1 or method or size != packed:
                raise broken(self.name, f"record {name!r} is compressed or encrypted, which PyTorch never does")
            yield Record(name, place, size, crc)
        if at != len(directory):
            raise broken(self.name, "the central directory is longer than its records")

    def _locate(self, records: list[Record], directory: int) -> None:
        """Find where each record's bytes begin, and see that none overlaps another or the directory."""
        free = 0
        for r in sorted(records, key=lambda r: r.place):
            mark, _, _, method, _, _, _, _, _, n_name, n_extra = _LOCAL.unpack(self._bytes(r.place, _LOCAL.size))
            name = self._bytes(r.place + _LOCAL.size, n_name)
            r.data = r.place + _LOCAL.size + n_name + n_extra
            if mark != b"PK\3\4" or method or name != r.name.encode():
                raise broken(self.name, f"invalid header or archive is corrupted at record {r.name!r}")
            if r.place < free or r.data + r.size > directory:
                raise broken(self.name, f"record {r.name!r} overlaps another")
            free = r.data + r.size

    def __contains__(self, name: str) -> bool:
        return name in self.records

    def read(self, name: str) -> Bytes:
        """The bytes of a record, compared with their checksum unless the file is only mapped into memory."""
        if name not in self.records:
            raise broken(self.name, f"file not found: {name!r}. The file is no checkpoint of PyTorch's, or damaged")
        r = self.records[name]
        data = self.source.read(r.data, r.size)
        if not isinstance(self.source, Mapped) and zlib.crc32(data.data) != r.crc:
            raise broken(self.name, f"the bytes of record {name!r} do not give its checksum. They have been changed")
        return data


def _wide(extra: bytes, *fields: int) -> Iterator[int]:
    """Header fields, those that are too long for 32 bits taken from the extra field."""
    at, wide = 0, b""
    while at + 4 <= len(extra):
        kind, n = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            wide = extra[at + 4 : at + 4 + n]
        at += 4 + n
    values = iter(struct.unpack_from(f"<{fields.count(_LONG)}Q", wide))
    return (next(values) if field == _LONG else field for field in fields)


class Writer:
    """Writes records one after the other to ``out``, anything with ``write``; ``close`` adds the directory."""

    def __init__(self, out: Any, root: str) -> None:
        self.out, self.root = out, root
        self.records: list[Record] = []
        self.at = 0

    def _write(self, data: Any) -> None:
        self.out.write(data)
        self.at += len(data)

    def add(self, name: str, data: Any) -> None:
        """Write a record: bytes, or anything that shows its own as a flat buffer."""
        view = memoryview(data).cast("B")
        full = f"{self.root}/{name}".encode()
        r = Record(name, self.at, len(view), zlib.crc32(view))
        wide = struct.pack("<2H2Q", 1, 16, r.size, r.size) if r.size >= _LONG else b""
        size = _LONG if wide else r.size
        gap = -(self.at + _LOCAL.size + len(full) + len(wide) + 4) % _ALIGNMENT
        extra = wide + b"FB" + struct.pack("<H", gap) + b"Z" * gap
        self._write(
            _LOCAL.pack(b"PK\3\4", 45 if wide else 20, 0x800, 0, 0, 33, r.crc, size, size, len(full), len(extra))
        )
        self._write(full + extra)
        self._write(view)
        self.records.append(r)

    def close(self) -> None:
        """Write the directory."""
        place = self.at
        for r in self.records:
            full = f"{self.root}/{r.name}".encode()
            wide = [value for value in (r.size, r.size, r.place) if value >= _LONG]
            extra = struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
            size, where = min(r.size, _LONG), min(r.place, _LONG)
            version = 45 if wide else 20
            self._write(_ENTRY.pack(b"PK\1\2", version, version, 0x800, 0, 0, 33, r.crc, size, size, len(full),
                                    len(extra), 0, 0, 0, 0, where))  # fmt: skip
            self._write(full + extra)
        n, length, end = len(self.records), self.at - place, self.at
        self._write(_END64.pack(b"PK\6\6", 44, 45, 45, 0, 0, n, n, length, place))
        self._write(_LOCATOR.pack(b"PK\6\7", 0, end, 1))
        n = min(n, 0xFFFF)
        self._write(_END.pack(b"PK\5\6", 0, 0, n, n, min(length, _LONG), min(place, _LONG), 0))
