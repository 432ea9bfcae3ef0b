"""Whatever goes wrong while a file is saved, there is the old one or the new one, whole."""

from __future__ import annotations

import errno
import io
import os
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import chainrule as torch
from chainrule.serialization import atomic

OLD, NEW = {"v": torch.zeros(1000)}, {"v": torch.ones(3000), "w": torch.arange(10)}
posix = pytest.mark.skipif(os.name != "posix", reason="modes, links and locks are POSIX's")


class Calls:
    """The functions of ``os`` that saving uses, each call counted and noted; the ``k``-th fails."""

    def __init__(self, fail: Callable[[str, int], BaseException | int | None] = lambda name, k: None) -> None:
        self.made: list[str] = []
        self.fail = fail

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if not callable(real) or name in ("fspath",):
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            k = len(self.made)
            self.made.append(name)
            wrong = self.fail(name, k)
            if isinstance(wrong, BaseException):
                if name == "close":  # which closes whatever it says
                    real(*args)
                raise wrong
            if wrong is not None:  # a short write
                return real(args[0], args[1][:wrong])
            return real(*args, **kwargs)

        return call


def which(path: Path) -> str:
    """Which of the two the file holds, whole."""
    found = torch.load(path)
    return "new" if "w" in found and found["v"].numel() == 3000 and bool((found["v"] == 1).all()) else (
        "old" if found["v"].numel() == 1000 and bool((found["v"] == 0).all()) else "neither"
    )  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.save(OLD, tmp_path / "model.pt")
    return tmp_path / "model.pt"


def test_the_order_of_things(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls()
    monkeypatch.setattr(atomic, "os", calls)
    torch.save(NEW, path)
    steps = [name for name in calls.made if name in ("open", "write", "fsync", "replace", "close")]
    first = [name for i, name in enumerate(steps) if i == 0 or steps[i - 1] != name]  # runs of writes as one
    assert first == ["open", "write", "fsync", "replace", "close", "open", "fsync", "close"]
    assert which(path) == "new"
    assert os.listdir(path.parent) == ["model.pt"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_the_kth_call_fails(path: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Calls()
    monkeypatch.setattr(atomic, "os", counted)
    torch.save(NEW, path)
    failed = 0
    for k in range(len(counted.made)):
        monkeypatch.setattr(atomic, "os", os)
        torch.save(OLD, path)
        calls = Calls(lambda name, i, k=k: error if i == k else None)
        monkeypatch.setattr(atomic, "os", calls)
        try:
            torch.save(NEW, path)
        except type(error):
            failed += 1
        assert which(path) == ("new" if "replace" in calls.made[:k] or calls.made[-1] == "fsync" else "old") or (
            calls.made[k] in ("stat", "lstat", "fstat")  # where nothing needs to be wrong
        )
        assert os.listdir(path.parent) == ["model.pt"], calls.made[k]
        monkeypatch.setattr(atomic, "os", os)
        torch.save(NEW, path)
        assert which(path) == "new"
    assert failed > len(counted.made) // 2


def test_short_writes_go_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "os", Calls(lambda name, k: 7 if name == "write" else None))
    torch.save(NEW, path)
    assert which(path) == "new"


def test_what_cannot_be_pickled_leaves_the_old_file(path: Path) -> None:
    with pytest.raises(AttributeError):
        torch.save({"v": torch.ones(3), "f": lambda: 1}, path)
    assert which(path) == "old"
    assert os.listdir(path.parent) == ["model.pt"]


KILLED = """
    import os, random, signal, sys, time
    import chainrule as torch
    from test_atomic_saving import NEW, OLD, which
    path, runs, r = sys.argv[1], int(sys.argv[2]), random.Random(5)
    torch.save(OLD, path)
    big, seen = torch.zeros(300_000), set()
    for run in range(runs):
        child = os.fork()
        if not child:
            while True:
                for value in ((NEW, OLD), (OLD, NEW))[run % 2]:
                    torch.save({**value, "big": big}, path)
        time.sleep(r.uniform(0, 0.04))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        seen.add(which(path))
        assert len(os.listdir(os.path.dirname(path))) <= 2
    print(*sorted(seen))
"""


@posix
def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Savers are killed one after the other: there is always one whole file, and one other at most."""
    path = tmp_path / "model.pt"
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(path), os.environ.get("CHAINRULE_KILLS", "60")],
        capture_output=True, text=True, cwd=Path(__file__).parent, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.split() == ["new", "old"]
    torch.save(NEW, path)  # which uses what was left behind
    assert os.listdir(tmp_path) == ["model.pt"]
    assert which(path) == "new"


@posix
def test_what_a_killed_process_left_is_used_again(path: Path) -> None:
    left = path.parent / ".model.pt.0.saving"
    left.write_bytes(b"x" * 100_000)
    torch.save(NEW, path)
    assert which(path) == "new"
    assert os.listdir(path.parent) == ["model.pt"]


@posix
def test_links_that_lie_in_wait_are_left_alone(path: Path) -> None:
    other = path.parent / "other"
    other.write_bytes(b"mine")
    os.link(other, path.parent / ".model.pt.0.saving")
    (path.parent / ".model.pt.1.saving").symlink_to(other)
    torch.save(NEW, path)
    assert which(path) == "new"
    assert other.read_bytes() == b"mine"


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o755])
def test_the_mode_stays(path: Path, mode: int) -> None:
    path.chmod(mode)
    torch.save(NEW, path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert which(path) == "new"


@posix
def test_a_new_file_has_the_usual_mode(tmp_path: Path) -> None:
    (tmp_path / "usual").write_bytes(b"")
    torch.save(NEW, tmp_path / "new.pt")
    assert (tmp_path / "new.pt").stat().st_mode == (tmp_path / "usual").stat().st_mode


@posix
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    torch.save(OLD, folder / "7.pt")
    (tmp_path / "latest.pt").symlink_to(Path("runs") / "7.pt")
    torch.save(NEW, tmp_path / "latest.pt")
    assert (tmp_path / "latest.pt").is_symlink()
    assert not (folder / "7.pt").is_symlink()
    assert which(folder / "7.pt") == "new"


@posix
def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    torch.save(NEW, pipe)
    reader.join()
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert torch.load(io.BytesIO(read[0]))["v"].numel() == 3000


def test_where_there_are_no_locks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = path.parent / ".model.pt.0.saving"
    left.write_bytes(b"whose?")
    for locks in (None, NoLocks()):
        monkeypatch.setattr(atomic, "fcntl", locks)
        torch.save(NEW, path)
        assert which(path) == "new"
        assert left.read_bytes() == b"whose?"


class NoLocks:
    """As a file system that has none."""

    LOCK_EX = LOCK_NB = 0

    def flock(self, fd: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")


@posix
@pytest.mark.parametrize("how", ["taken away", "taken over"])
def test_another_saver_comes_between(path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the file being made and its being locked."""
    other = path.parent / ".model.pt.0.saving"

    class Between:
        LOCK_EX = LOCK_NB = 0
        calls = 0

        def flock(self, fd: int, how_: int) -> None:
            self.calls += 1
            if self.calls == 1:
                other.unlink()
                if how == "taken over":
                    other.write_bytes(b"another's")

    monkeypatch.setattr(atomic, "fcntl", between := Between())
    torch.save(NEW, path)
    assert between.calls > 1
    assert which(path) == "new"
    assert not other.exists() or other.read_bytes() == b"another's"


def test_names_of_all_lengths(tmp_path: Path) -> None:
    for name in ("x", "x" * 240, "ü" * 120, ".hidden", "no dot", "two.dots.pt"):
        torch.save(NEW, tmp_path / name)
        assert which(tmp_path / name) == "new"
    with pytest.raises(IsADirectoryError):
        torch.save(NEW, tmp_path)


def test_many_savers_of_one_file(path: Path) -> None:
    errors: list[BaseException] = []

    def work(value: Any) -> None:
        try:
            for _ in range(20):
                torch.save(value, path)
                assert which(path) in ("old", "new")
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=work, args=(value,)) for value in (OLD, NEW, OLD, NEW)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert os.listdir(path.parent) == ["model.pt"]
