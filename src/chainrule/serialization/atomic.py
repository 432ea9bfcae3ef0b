"""Files that are written whole or not at all: beside the old one, onto the disk, then in its place."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from collections.abc import Iterator
from typing import Any

try:
    import fcntl
except ImportError:  # not on Windows; there a file that a killed process left behind stays
    fcntl = None  # type: ignore[assignment]


class Output:
    """An open file descriptor to write to."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def write(self, data: Any) -> None:
        """Write all of ``data``."""
        view = memoryview(data).cast("B")
        while len(view):
            view = view[os.write(self.fd, view) :]


@contextlib.contextmanager
def replacing(path: Any) -> Iterator[Output]:
    """An output whose bytes take the place of the file at ``path`` when the context ends without an error.

    Whatever happens before, a full disk or the end of the process, the old file stays as it was.  A symbolic
    link stays one, and the file it leads to keeps its mode.  What is no ordinary file, as a pipe, is simply
    written to.
    """
    target = os.path.realpath(path)
    try:
        old = os.stat(target)
    except FileNotFoundError:
        old = None
    if old is not None and not stat.S_ISREG(old.st_mode):
        with _closing(os.open(target, os.O_WRONLY)) as fd:
            yield Output(fd)
        return
    folder, name = os.path.split(target)
    temporary, fd = _beside(folder, name)
    try:
        with _closing(fd):
            if old is not None and hasattr(os, "fchmod"):
                os.fchmod(fd, stat.S_IMODE(old.st_mode))
            yield Output(fd)
            os.fsync(fd)
            if fcntl is not None:  # under the lock: nobody takes it for one left behind
                os.replace(temporary, target)
        if fcntl is None:
            os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if os.name != "nt":
        with _closing(os.open(folder, os.O_RDONLY)) as fd:
            os.fsync(fd)


@contextlib.contextmanager
def _closing(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)


def _beside(folder: str, name: str) -> tuple[str, int]:
    """A new file in the same folder, locked while it is written.

    One that a process left behind when it was killed has no lock any more, and is used again.
    """
    usual = os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    for i in itertools.count():
        path = os.path.join(folder, f".{name[:200]}.{i}.saving")
        try:
            fd, fresh = os.open(path, usual | os.O_EXCL, 0o666), True
        except FileExistsError:
            try:
                fd, fresh = os.open(path, usual | getattr(os, "O_NOFOLLOW", 0), 0o666), False
            except OSError:
                continue  # a link, or another user's
        try:
            locked = _locked(fd)
            if (locked or (fresh and locked is None)) and _ours(path, fd):
                os.ftruncate(fd, 0)
                return path, fd
        except BaseException:
            os.close(fd)
            if fresh:
                os.unlink(path)
            raise
        os.close(fd)
    raise AssertionError


def _locked(fd: int) -> bool | None:
    """Whether the lock could be had; None where there are none."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _ours(path: str, fd: int) -> bool:
    """Whether the locked file is still the one at ``path``, ours, and known by no other name."""
    try:
        there, here = os.lstat(path), os.fstat(fd)
    except FileNotFoundError:
        return False
    return (
        (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
        and stat.S_ISREG(here.st_mode)
        and here.st_nlink == 1
        and (not hasattr(os, "geteuid") or here.st_uid == os.geteuid())
    )
