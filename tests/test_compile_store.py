"""Machine code on disk: found again by other processes, and never believed without proof."""

from __future__ import annotations

import errno
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.compiler import native, store
from compiling import call

pytest.importorskip("llvmlite")

WORK = """
import chainrule as torch
x = torch.linspace(-5, 5, 1000)
f = torch.compile(torch.func.grad_and_value(lambda x: (torch.sin(x) * torch.exp(-(x * x)) + torch.tanh(x)).sum()))
print([t.sum().item() for t in f(x)])
"""


def text(number: float) -> str:
    return f"def line(a: float64, out_: float64[:]):\n    out_[0] = a * np.float64({number!r})"


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for entries, of this test."""
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "kernels"))
    store._checked.cache_clear()
    native.native.cache_clear()
    yield tmp_path / "kernels"
    store._checked.cache_clear()
    native.native.cache_clear()


def value(number: float) -> float:
    """What a kernel gives that multiplies 2 by a number; it is compiled or read anew."""
    native.native.cache_clear()
    out = np.zeros(1)
    call(text(number), 2.0, out)
    return float(out[0])


optimised = functools.cache(native.optimised)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What has been compiled since, and not read."""
    found: list[str] = []

    def note(text: str) -> Any:
        found.append(text)
        return optimised(text)

    monkeypatch.setattr(native, "optimised", note)
    return found


def test_a_second_process_compiles_nothing(folder: Path) -> None:
    first = run(WORK)
    assert list(folder.iterdir())
    nothing = "from chainrule.compiler import lower; lower.lower = None\n"
    assert run(nothing + WORK) == first
    assert run(WORK, CHAINRULE_CACHE="0") == first


def test_nothing_is_read_or_written_when_switched_off(tmp_path: Path) -> None:
    run(WORK, CHAINRULE_CACHE="0", HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path))
    assert not list(tmp_path.iterdir())
    run(WORK, CHAINRULE_CACHE="", HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path))
    assert len(list((tmp_path / "chainrule" / "kernels").iterdir())) >= 1 or sys.platform in ("win32", "darwin")


def test_entries_are_kept_and_found(folder: Path, compiled: list[str]) -> None:
    assert [value(3.0), value(3.0), value(4.0)] == [6, 6, 8]
    assert compiled == [text(3.0), text(4.0)]
    assert (folder.stat().st_mode & 0o777) == 0o700 or sys.platform == "win32"


def test_another_situation_is_another_entry(folder: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    here = native._situation()
    for version in (sys.version, native.np.__version__):
        assert repr(version).encode() in here
    assert native._llvm().get_host_cpu_name().encode() in here
    value(3.0)
    monkeypatch.setattr(native, "_situation", lambda: here + b"another processor")
    assert value(3.0) == 6
    assert len(compiled) == 2
    assert len(list(folder.iterdir())) == 2


def spoilings(good: bytes) -> Iterator[tuple[str, Callable[[Path], Any]]]:
    """500 ways to spoil an entry."""
    n = len(good)
    for k in range(150):
        yield f"cut at {n * k // 150}", lambda p, k=k: p.write_bytes(good[: n * k // 150])
    for k in range(250):
        at = k if k < 60 else (k * 7919) % n
        flipped = bytearray(good)
        flipped[at] ^= 1 << k % 8
        yield f"bit {k % 8} of byte {at}", lambda p, b=bytes(flipped): p.write_bytes(b)
    for k in range(40):
        yield f"{k} bytes more", lambda p, k=k: p.write_bytes(good + bytes(k + 1))
    for k in range(30):
        at = n * k // 30
        yield f"64 zeros at {at}", lambda p, at=at: p.write_bytes(good[:at] + bytes(64) + (good[at + 64 :] or b"end"))
    foreign = store._head("another key", good[store._HEAD :]) + good[store._HEAD :]
    older = good.replace(b"kernel 1\n", b"kernel 0\n")
    for content in (
        b"",
        b"\0" * n,
        foreign,
        older,
        good[store._HEAD :],
        good[::-1],
        b"#!/bin/sh\n",
        os.urandom(n),
        good * 2,
    ):
        yield "other content", lambda p, c=content: p.write_bytes(c)
    for k in range(20):
        yield "a folder in its place", lambda p, k=k: (p.unlink(missing_ok=True), p.mkdir(), (p / str(k)).mkdir())
    if sys.platform != "win32":
        yield "a pipe", lambda p: (p.unlink(), os.mkfifo(p))
        yield "a link", lambda p: (p.rename(p.with_name("elsewhere")), p.symlink_to(p.with_name("elsewhere")))
        yield "a link to nothing", lambda p: (p.unlink(), p.symlink_to("nowhere"))
        yield "a link to itself", lambda p: (p.unlink(), p.symlink_to(p.name))


def test_what_is_spoilt_is_made_anew(folder: Path, compiled: list[str]) -> None:
    value(5.0)
    (path,) = folder.iterdir()
    good = path.read_bytes()
    count = 0
    for name, spoil in spoilings(good):
        spoil(path)
        compiled.clear()
        assert value(5.0) == 10, name
        assert compiled == [text(5.0)], f"believed: {name}"
        if not path.is_dir():
            assert path.read_bytes() == good, f"not mended: {name}"
        else:
            for inside in path.iterdir():
                inside.rmdir()
            path.rmdir()
        path.write_bytes(good)
        count += 1
    assert count >= 500
    path.chmod(0o600)
    compiled.clear()
    assert value(5.0) == 10
    assert not compiled, "what is whole is used"


@pytest.mark.skipif(sys.platform == "win32", reason="rights are elsewhere")
def test_what_others_may_write_is_not_used(folder: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    value(6.0)
    (path,) = folder.iterdir()
    for mode in (0o602, 0o620):
        path.chmod(mode)
        compiled.clear()
        assert value(6.0) == 12
        assert compiled
    for where in ("writable by others", "another user's"):
        store._checked.cache_clear()
        if where == "another user's":
            folder.chmod(0o700)
            monkeypatch.setattr(os, "geteuid", lambda me=os.geteuid(): me + 1)
        else:
            folder.chmod(0o777)
        compiled.clear()
        with pytest.warns(UserWarning, match="is not used") as seen:
            assert [value(6.0), value(6.0)] == [12, 12]
        assert len(compiled) == 2
        assert len(seen) == 1


def test_disks_that_fail(folder: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    value(7.0)  # the folder is there, and LLVM is loaded
    number = 100.0
    for name in ("replace", "open", "scandir", "utime"):
        for code in (errno.ENOSPC, errno.EROFS, errno.EIO, errno.EACCES, errno.EMFILE):
            with monkeypatch.context() as m:

                def fail(*args: Any, code: int = code, **options: Any) -> Any:
                    raise OSError(code, os.strerror(code))

                m.setattr(os, name, fail)
                number += 1
                assert value(number) == 2 * number
                assert value(number) == 2 * number
    assert not [p for p in folder.iterdir() if p.name.endswith(store.PART)]


def test_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value(8.0)

    class Full:
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            raise OSError(errno.ENOSPC, "full")

        def write(self, content: bytes) -> int:
            return len(content) // 2

    monkeypatch.setattr(store, "open", lambda *a, **k: Full(), raising=False)
    assert value(9.0) == 18
    assert len(list(folder.iterdir())) == 1


def test_no_such_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, compiled: list[str]) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "file" / "kernels"))
    store._checked.cache_clear()
    with pytest.warns(UserWarning, match="is not used"):
        assert value(3.5) == 7
    assert compiled


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("CHAINRULE_CACHE", "")
    monkeypatch.setattr(Path, "home", homeless)
    store._checked.cache_clear()
    try:
        assert value(3.5) == 7
    finally:
        store._checked.cache_clear()


def test_the_least_recently_used_go(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [float(n) for n in range(20, 30)]
    for n in numbers:
        value(n)
    entries = sorted(folder.iterdir())
    size = max(p.stat().st_size for p in entries)
    for age, path in enumerate(entries):
        os.utime(path, (1e9 - age, 1e9 - age))
    key = entries[-1].name.removesuffix(store.SUFFIX)
    assert store.read(key) is not None, "the oldest is used"
    abandoned, fresh = folder / f".old{store.PART}", folder / f".new{store.PART}"
    abandoned.touch()
    fresh.touch()
    os.utime(abandoned, (time.time() - 2 * store._ABANDONED,) * 2)
    store.trim(folder, 4 * size)
    left = {p for p in folder.iterdir() if p.name.endswith(store.SUFFIX)}
    assert sum(p.stat().st_size for p in left) <= 4 * size
    assert entries[-1] in left
    assert entries[-2] not in left
    assert fresh.exists()
    assert not abandoned.exists()
    monkeypatch.setenv("CHAINRULE_CACHE_SIZE", "0")
    for n in range(2 * store._AGAIN):
        store.write(f"{n:064x}", b"code")
    assert len(list(folder.iterdir())) < store._AGAIN + 2
    monkeypatch.setenv("CHAINRULE_CACHE_SIZE", "much")
    assert store._most() == store.MOST << 20


MANY = """
import ctypes, sys
from chainrule.compiler.native import native
out = ctypes.c_double()
for k in range(50):
    n = float((k * int(sys.argv[1])) % 50)
    kernel = native(f"def line(out_: float64[:]):\\n    out_[0] = np.float64({n!r})")
    words = (ctypes.c_int64 * 1)(ctypes.addressof(out))
    ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(kernel.address)(words, 0, 1)
    assert out.value == n
"""


def test_many_processes_on_one_cold_cache(folder: Path) -> None:
    started = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", MANY, str(k)], stderr=subprocess.PIPE, text=True)
        for k in (1, 3, 7, 9, 11, 13, 17, 19, 21, 23, 27, 29, 31, 33, 37, 39)[
            : 16 if "CHAINRULE_FUZZ" in os.environ else 5
        ]
    ]
    for process in started:
        _, words = process.communicate(timeout=120)
        assert process.returncode == 0, words
    entries = list(folder.iterdir())
    assert len(entries) == 50, [p.name for p in entries if not p.name.endswith(store.SUFFIX)]
    for path in entries:
        assert store.read(path.name.removesuffix(store.SUFFIX)) is not None


@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
def test_killed_while_writing(folder: Path) -> None:
    code = (
        "from chainrule.compiler import store\nimport itertools\n"
        "print(flush=True)\n"
        "for k in itertools.count(): store.write(f'{k % 8:064x}', bytes([k % 251]) * 300_000)"
    )
    for k in range(8):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.004 * k)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for path in folder.glob(f"*{store.SUFFIX}"):
            assert store.read(path.name.removesuffix(store.SUFFIX)) is not None, "partial"
