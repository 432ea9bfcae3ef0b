"""Files made to do harm run no code, take little memory, and are refused by one family of errors."""

from __future__ import annotations

import ast
import io
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chainrule as torch
from chainrule.serialization import LoadError, budget
from checkpoints import CASES, archive, describe, records, written
from hostile import ARCHIVES, CORPUS, GOOD

HERE = Path(__file__).parent
MUTANTS = int(os.environ.get("CHAINRULE_MUTANTS", "1500"))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of each file, in a process with limits on memory, under an audit hook."""
    if sys.platform != "linux":
        pytest.skip("the limits on memory are Linux's")
    folder = tmp_path_factory.mktemp("hostile")
    names = {f"{i:03}": name for i, name in enumerate(CORPUS)}
    for stem, name in names.items():
        (folder / f"{stem}.pt").write_bytes(CORPUS[name][0])
    run = subprocess.run(
        [sys.executable, str(HERE / "hostile.py"), str(folder)], capture_output=True, text=True, cwd=folder, timeout=300
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert not (folder / "canary").exists()
    return {names[stem]: outcome for stem, outcome in map(json.loads, run.stdout.splitlines())}


@pytest.mark.parametrize("name", CORPUS)
def test_is_refused(name: str, outcomes: dict[str, Any]) -> None:
    outcome = outcomes[name]
    assert outcome["events"] == []
    assert outcome.get("error") == "LoadError", outcome
    assert re.search(CORPUS[name][1], outcome["text"]), outcome["text"]
    assert len(outcome["text"]) <= 300


@pytest.mark.parametrize("name", CORPUS)
def test_is_refused_in_memory_too(name: str) -> None:
    file, words = CORPUS[name]
    with pytest.raises(LoadError, match=words):
        torch.load(io.BytesIO(file))


def test_is_refused_when_mapped_too(tmp_path: Path) -> None:
    """But for what only checksums tell, which are not compared then."""
    for name, (file, _) in ARCHIVES.items():
        (tmp_path / "x.pt").write_bytes(file)
        if name not in ("wrong checksum", "wrong byte"):
            with pytest.raises(LoadError):
                torch.load(tmp_path / "x.pt", mmap=True)


def test_the_corpus_is_large_and_its_good_file_loads() -> None:
    assert len(CORPUS) >= 100
    assert torch.load(io.BytesIO(GOOD)).tolist() == [1, 1, 1, 1]


def mutants(file: bytes, n: int, seed: int) -> Iterator[bytes]:
    """The file with a bit turned over, bytes changed, a part cut out, doubled, zeroed, moved or left off."""
    r = random.Random(seed)
    for _ in range(n):
        kind, at, length = r.randrange(7), r.randrange(len(file)), r.choice((1, 2, 4, 8, 64))
        part = file[at : at + length]
        if kind < 2:
            yield file[:at] + bytes([file[at] ^ 1 << r.randrange(8)]) + file[at + 1 :]
        else:
            new = (r.randbytes(len(part)), b"", part * 2, bytes(len(part)), r.choice((b"\xff", b"\x7f")) * len(part))
            yield file[:at] + new[kind - 2] + file[at + length :] if kind < 6 else file[:at]


@pytest.mark.parametrize("name", ["state dicts", "views", "containers"])
def test_mutants_are_refused_or_the_same(name: str, own_generator: Any) -> None:
    file = written(torch, CASES[name](torch))
    whole = describe(torch, torch.load(io.BytesIO(file)))
    refused = 0
    for i, mutant in enumerate(mutants(file, MUTANTS // 3, seed=1)):
        try:
            loaded = torch.load(io.BytesIO(mutant))
        except LoadError as e:
            assert len(str(e)) <= 300
            refused += 1
        else:
            assert describe(torch, loaded) == whole, f"mutant {i}"
    assert refused > MUTANTS // 12


def test_mutants_of_the_format_before_do_no_harm() -> None:
    """It has no checksums, so that numbers may change; what comes is still data, or the same kind of error."""
    file = next((HERE / "golden" / "files").glob("state_dicts.before*")).read_bytes()
    for mutant in mutants(file, MUTANTS // 3, seed=2):
        try:
            torch.load(io.BytesIO(mutant))
        except LoadError as e:
            assert len(str(e)) <= 300


def test_mutants_of_pickles_do_no_harm() -> None:
    """Behind a right checksum, as somebody would write them who means it."""
    parts = records(written(torch, CASES["containers"](torch)))
    for mutant in mutants(parts["data.pkl"], MUTANTS // 3, seed=3):
        try:
            torch.load(io.BytesIO(archive({**parts, "data.pkl": mutant})))
        except LoadError as e:
            assert len(str(e)) <= 300


def test_trusted_files_may_ask_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "_GRANT", 2**20)
    file = io.BytesIO(written(torch, list(range(40_000, 90_000))))
    with pytest.raises(LoadError, match="asks for far more memory") as e:
        torch.load(file)
    assert "weights_only=False" in e.value.__notes__[0]
    file.seek(0)
    assert len(torch.load(file, weights_only=False)) == 50_000


def test_the_source_has_no_dangerous_call() -> None:
    """No window beyond a buffer, no unpickler of Python's, no evaluation."""
    forbidden = {"as_strided", "eval", "exec", "compile", "__import__", "import_module", "Unpickler", "system"}
    for path in (HERE.parent / "src" / "chainrule" / "serialization").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            what = getattr(called, "attr", getattr(called, "id", ""))
            owner = getattr(getattr(called, "value", None), "id", "")
            assert what not in forbidden or (what == "Unpickler" and not owner), f"{path.name}: {what}"
            assert not (owner == "pickle" and what.startswith("load")), path.name
            assert not any(k.arg == "allow_pickle" for k in getattr(node, "keywords", ())), path.name
