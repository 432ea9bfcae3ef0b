"""Where the bytes of a file are read from: an open file, or memory mapped onto one."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class CutOffError(Exception):
    """The file ends before what is said to be there."""


class Source:
    """Bytes by position in a seekable file, from where it stands to its end."""

    def __init__(self, file: Any, name: str) -> None:
        self.file, self.name = file, name
        self.start = file.tell()
        self.size = file.seek(0, 2) - self.start

    def read(self, at: int, n: int) -> Bytes:
        """``n`` bytes in memory of their own, which may be written to."""
        if at < 0 or n < 0 or at + n > self.size:
            raise CutOffError(f"the file has {self.size} bytes, and {n} were to be at {at}")
        self.file.seek(self.start + at)
        out = np.empty(n, np.uint8)
        done, view = 0, out.data
        while done < n:
            got = self._into(view[done:])
            if not got:
                raise CutOffError(f"the file ended {n - done} bytes early")
            done += got
        return out

    def _into(self, view: memoryview) -> int:
        if hasattr(self.file, "readinto"):
            return int(self.file.readinto(view) or 0)
        data = self.file.read(len(view))
        view[: len(data)] = data
        return len(data)


class Mapped(Source):
    """A file on disk as memory: its bytes are read when they are looked at, and writes to them stay here."""

    def __init__(self, file: Any, name: str) -> None:
        super().__init__(file, name)
        self.memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)

    def read(self, at: int, n: int) -> Bytes:
        if at < 0 or n < 0 or at + n > self.size:
            raise CutOffError(f"the file has {self.size} bytes, and {n} were to be at {at}")
        return np.frombuffer(self.memory, np.uint8, n, self.start + at)
