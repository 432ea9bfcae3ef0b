"""Store: object code on disk, so that a second process compiles nothing.

An entry is one file: a line that names the format, the length of the code, a digest of it and of its key, and the
code.  It is whole or it does not count; nobody but this module has looked at a byte of it before.  A digest tells
accidents, not enemies, so a folder or a file that others may write to, or that is another user's, is not used at all.
Entries are written aside and renamed, which is safe among processes, and the least recently used go when there is
too much.  Whatever goes wrong with files, compilation goes on without them.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
import stat
import sys
import tempfile
import time
import warnings
from pathlib import Path

MAGIC = b"chainrule kernel 1\n"
SUFFIX, PART = ".kernel", ".part"
MOST = 64  # MiB in all; CHAINRULE_CACHE_SIZE overrides
_LARGEST = 16 << 20  # bytes that an entry may have
_ABANDONED = 3600.0  # seconds after which an entry that was never finished is removed
_HEAD = len(MAGIC) + 8 + hashlib.sha256().digest_size
_AGAIN = 64  # writes between two looks at how much there is
_writes = itertools.count()


def read(key: str) -> bytes | None:
    """The code kept under a key, if it is there and whole."""
    folder = _folder()
    if folder is None:
        return None
    path = folder / (key + SUFFIX)
    try:
        with open(path, "rb", opener=_open) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or not _private(status) or status.st_size > _LARGEST:
                return None
            content = file.read(_LARGEST)
        code = content[_HEAD:]
        if content[:_HEAD] != _head(key, code):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # now the last one used
        return code
    except OSError:
        return None


def write(key: str, code: bytes) -> None:
    """Keep code under a key, if that can be done."""
    folder = _folder()
    if folder is None or _HEAD + len(code) > _LARGEST:
        return
    with contextlib.suppress(OSError):
        handle, name = tempfile.mkstemp(PART, ".", folder)
        try:
            with open(handle, "wb") as file:
                file.write(_head(key, code) + code)
            os.replace(name, folder / (key + SUFFIX))
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    if next(_writes) % _AGAIN == 0:
        trim(folder, _most())


def trim(folder: Path, most: int) -> None:
    """Remove entries, the least recently used first, until ``most`` bytes are left, and what was never finished."""
    entries: list[tuple[float, int, str]] = []
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        for entry in found:
            with contextlib.suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if entry.name.endswith(SUFFIX):
                    entries.append((status.st_mtime, status.st_size, entry.path))
                elif entry.name.endswith(PART) and status.st_mtime < time.time() - _ABANDONED:
                    os.unlink(entry.path)
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= most:
            break
        with contextlib.suppress(OSError):
            os.unlink(path)
        total -= size


def _head(key: str, code: bytes) -> bytes:
    return MAGIC + len(code).to_bytes(8, "little") + hashlib.sha256(key.encode() + code).digest()


def _open(path: str, flags: int) -> int:
    """Opens what is no link, and does not wait for a writer if it is a pipe."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def _private(status: os.stat_result) -> bool:
    """Whether only this user can have written there."""
    if sys.platform == "win32":  # rights are elsewhere; the usual place is the user's own
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _most() -> int:
    size = os.environ.get("CHAINRULE_CACHE_SIZE", "")
    return (int(size) if size.isdecimal() else MOST) << 20


def _folder() -> Path | None:
    """Where entries are; None if there is no place, or none that can be trusted."""
    place = os.environ.get("CHAINRULE_CACHE", "")
    return None if place == "0" else _checked(place)


@functools.cache
def _checked(place: str) -> Path | None:
    why = "it belongs to another user, or others may write to it"
    try:
        folder = (Path(place) if place else _usual()).absolute()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _private(os.stat(folder)):
            return folder
    except (OSError, RuntimeError) as e:  # RuntimeError: there is no home
        why = str(e)
    if place:
        warnings.warn(f"CHAINRULE_CACHE={place} is not used: {why}", UserWarning, stacklevel=2)
    return None


def _usual() -> Path:
    """The user's folder for what can be made again."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home)
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "chainrule" / "kernels"
