"""Every entry of PyTorch's database of operations, beside PyTorch; ``op_db_exceptions.txt`` lists what differs, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
op_db = pytest.importorskip("op_db")

FILE = Path(__file__).with_name("op_db_exceptions.txt")
MOST = 2  # samples of each entry, the first and the last; tools/list_op_db.py takes more
OF_FUNCTIONAL = 4  # of a function with many options
AT_MOST = 25  # differentiable entries that differ


def listed() -> dict[str, tuple[set[str], str]]:
    """For each name the levels that fail, and the reason; "~" before a level says that it does not always."""
    found: dict[str, tuple[set[str], str]] = {}
    for line in FILE.read_text(encoding="utf-8").splitlines() if FILE.exists() else ():
        if line and not line.startswith("#"):
            name, levels, reason = (part.strip() for part in line.split("|"))
            found[name.removeprefix("- ")] = set(levels.split()), reason
    return found


EXCEPTIONS = listed()


@pytest.mark.usefixtures("own_generator")
@pytest.mark.parametrize("entry", op_db.op_db, ids=lambda op: op.full_name)
def test_entry(entry: object) -> None:
    levels, _ = EXCEPTIONS.get(entry.full_name, (set(), ""))  # type: ignore[attr-defined]
    most = OF_FUNCTIONAL if entry.name.startswith("nn.functional.") else MOST  # type: ignore[attr-defined]
    failed = op_db.run(entry, most).failed
    for level, why in failed.items():
        assert level in levels or f"~{level}" in levels, f"{level}: {why}"
    assert {level for level in levels if not level.startswith("~")} <= failed.keys(), "listed, and as PyTorch's"


def test_each_exception_is_of_an_entry_and_has_a_reason() -> None:
    assert EXCEPTIONS.keys() <= {op.full_name for op in op_db.op_db}
    assert all(reason and "TODO" not in reason for _, reason in EXCEPTIONS.values())


def test_exceptions_are_few() -> None:
    differentiable = {op.full_name for op in op_db.op_db if op.supports_autograd}
    assert len(differentiable & EXCEPTIONS.keys()) < AT_MOST
