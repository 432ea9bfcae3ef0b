"""Every entry of PyTorch's database of operations, beside PyTorch; ``op_db_exceptions.txt`` lists what differs, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
op_db = pytest.importorskip("op_db")

FILE = Path(__file__).with_name("op_db_exceptions.txt")


def listed() -> dict[str, tuple[set[str], str]]:
    """For each name the levels that fail, and the reason; "~" before a level says that it does not always."""
    found: dict[str, tuple[set[str], str]] = {}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, levels, reason = (part.strip() for part in line.split("|"))
            assert reason, f"{name}: say why"
            found[name] = set(levels.split()), reason
    return found


EXCEPTIONS = listed()


@pytest.mark.parametrize("entry", op_db.op_db, ids=lambda op: op.full_name)
def test_entry(entry: object) -> None:
    levels, _ = EXCEPTIONS.get(entry.full_name, (set(), ""))  # type: ignore[attr-defined]
    failed = op_db.run(entry, most=3).failed
    for level, why in failed.items():
        assert level in levels or f"~{level}" in levels, f"{level}: {why}"
    assert {level for level in levels if not level.startswith("~")} <= failed.keys(), "listed, and as PyTorch's"


def test_each_exception_is_of_an_entry() -> None:
    assert EXCEPTIONS.keys() <= {op.full_name for op in op_db.op_db}
