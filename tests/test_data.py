"""Loading data, against what PyTorch 2.13 gave, ``golden/data_cases.json``; and what goes on around workers."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import chainrule as torch
import chainrule.utils.data
from chainrule.utils.data import DataLoader, Dataset, TensorDataset, get_worker_info, progress
from data_cases import CASES, Drawing, OddError, outcome

pytestmark = [
    pytest.mark.usefixtures("own_generator"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*fork.. was called:RuntimeWarning"),  # JAX's, where another test loaded it
]
GOLDEN = json.loads((Path(__file__).parent / "golden" / "data_cases.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", CASES)
def test_loading(name: str) -> None:
    assert json.loads(json.dumps(outcome(torch, CASES[name]))) == GOLDEN[name]


def test_every_recording_is_read() -> None:
    assert set(GOLDEN) == {"", *CASES}


def children() -> set[int | None]:
    return {p.pid for p in multiprocessing.active_children()}


def gone(pids: set[int | None]) -> bool:
    """Whether these processes end, within some seconds."""
    for _ in range(200):
        if not pids & children():
            return True
        time.sleep(0.05)
    return False


class Slow(Dataset[int]):
    """Waits for ever at one index, and says who it is otherwise."""

    def __init__(self, n: int = 4, at: int = -1) -> None:
        self.n, self.at = n, at

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> int:
        if i == self.at:
            time.sleep(1000)
        return os.getpid()


def test_workers_end_with_the_pass() -> None:
    before = children()
    pids = {int(p.item()) for p in DataLoader(Slow(), num_workers=2)}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert gone(children() - before)


def test_workers_end_when_a_pass_is_left() -> None:
    before = children()
    batches = iter(DataLoader(Slow(20), num_workers=2))
    next(batches)
    started = children() - before
    assert len(started) == 2
    del batches
    assert gone(started)


def test_persistent_workers_stay_for_the_next_pass() -> None:
    before = children()
    loader = DataLoader(Slow(), num_workers=2, persistent_workers=True)
    passes = [{int(p.item()) for p in loader} for _ in range(3)]
    assert passes[0] == passes[1] == passes[2] == children() - before
    half = iter(loader)
    next(half)
    assert len(list(loader)) == 4  # what was left of the pass before does not come
    started = children() - before
    del loader, half
    assert gone(started)


def test_a_worker_that_is_killed() -> None:
    batches = iter(DataLoader(Slow(n=100, at=50), num_workers=1))
    victim = int(next(batches).item())
    os.kill(victim, signal.SIGKILL)
    with pytest.raises(RuntimeError, match=rf"DataLoader worker \(pid\(s\) {victim}\) exited unexpectedly"):
        list(batches)


def test_a_worker_that_hangs() -> None:
    before = children()
    batches = iter(DataLoader(Slow(at=1), num_workers=1, timeout=0.2, multiprocessing_context="fork"))
    with pytest.raises(RuntimeError, match=r"DataLoader timed out after 0\.2 seconds"):
        list(batches)
    started = children() - before
    for p in multiprocessing.active_children():
        if p.pid in started:
            p.terminate()
    del batches
    assert gone(started)


class Raising(Dataset[int]):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __len__(self) -> int:
        return 1

    def __getitem__(self, i: int) -> int:
        raise self.error


def test_errors_of_classes_with_ways_of_their_own() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)Caught OddError in DataLoader worker process 0\.\nOriginal Traceback"):
        list(DataLoader(Raising(OddError(1, 2)), num_workers=1))
    with pytest.raises(KeyError) as e:
        list(DataLoader(Raising(KeyError("k")), num_workers=1))
    assert "\n" in str(e.value)  # the traceback is shown as lines, not as one quoted text
    assert "in __getitem__" in str(e.value)


def test_errors_before_the_first_sample() -> None:
    def prepare(worker: int) -> None:
        raise ValueError("not ready")

    with pytest.raises(ValueError, match=r"(?s)in DataLoader worker process 0.*not ready"):
        list(DataLoader(range(3), num_workers=2, worker_init_fn=prepare))


def test_a_started_interpreter_works_too() -> None:
    loader = DataLoader(
        Drawing(torch, 4), num_workers=1, collate_fn=list, batch_size=2, multiprocessing_context="spawn"
    )
    other = DataLoader(Drawing(torch, 4), num_workers=1, collate_fn=list, batch_size=2)
    torch.manual_seed(1)
    spawned = list(loader)
    torch.manual_seed(1)
    assert spawned == list(other)


def test_no_more_than_wanted_is_fetched_ahead() -> None:
    taken: list[int] = []

    class Counting:
        def __iter__(self) -> Any:
            for i in range(100):
                taken.append(i)
                yield i

        def __len__(self) -> int:
            return 100

    batches = iter(DataLoader(range(100), sampler=Counting(), num_workers=2, prefetch_factor=3))
    assert len(taken) == 6
    next(batches)
    assert len(taken) == 7


def test_too_many_workers_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)
    with pytest.warns(UserWarning, match="This DataLoader will create 2 worker processes in total. Our suggested max"):
        DataLoader(range(3), num_workers=2)


def test_threads_have_a_pass_each() -> None:
    loader = DataLoader(TensorDataset(torch.arange(200)), batch_size=7)
    found: list[list[int]] = []
    threads = [
        threading.Thread(target=lambda: found.append([int(i) for (b,) in loader for i in b.tolist()])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [list(range(200))] * 4


def test_a_pass_is_not_pickled() -> None:
    with pytest.raises(NotImplementedError, match="cannot be pickled"):
        pickle.dumps(iter(DataLoader(range(2))))


def test_loaders_and_data_sets_are_generic() -> None:
    assert DataLoader[int] is not None
    assert Dataset[int] is not None
    assert get_worker_info() is None


def test_a_bar_shows_progress() -> None:
    pytest.importorskip("tqdm")
    import io

    shown = io.StringIO()
    loader = DataLoader(range(10), batch_size=2)
    assert len(list(progress(loader, "epoch 1", file=shown))) == 5
    assert "epoch 1: 100%" in shown.getvalue()
    assert "5/5" in shown.getvalue()


def test_a_main_process_that_is_killed_takes_its_workers_along(tmp_path: Path) -> None:
    code = """
        import os, sys, chainrule.utils.data as data
        class Who(data.Dataset):
            def __len__(self): return 10**9
            def __getitem__(self, i): return os.getpid()
        batches = iter(data.DataLoader(Who(), num_workers=1))
        print(int(next(batches).item()), flush=True)
        sys.stdin.read()
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None and child.stdin is not None
    worker = int(child.stdout.readline())
    child.kill()
    child.wait()
    child.stdout.close()
    child.stdin.close()
    for _ in range(400):
        status = Path(f"/proc/{worker}/stat")
        if not status.exists() or " Z " in status.read_text():
            break
        time.sleep(0.05)
    else:
        os.kill(worker, signal.SIGKILL)
        pytest.fail("the worker lives on")


def test_a_pass_is_over_when_persistent_workers_begin_another() -> None:
    loader = DataLoader(range(6), num_workers=1, persistent_workers=True)
    first, second = iter(loader), iter(loader)
    with pytest.raises(RuntimeError, match="this pass is over"):
        next(first)
    assert len(list(second)) == 6
