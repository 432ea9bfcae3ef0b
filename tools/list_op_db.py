"""Write ``tests/parity/op_db_exceptions.txt`` anew: ``python tools/list_op_db.py``.  Reasons that stand there are kept."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "parity"))

HEAD = """\
# Entries of PyTorch's database of operations that differ here: name | levels that fail | reason.
# A "~" before a level: not on every machine.  Made by tools/list_op_db.py, which keeps the reasons; read by
# test_op_db_parity.py, which fails where this list and the truth differ.
"""


def main() -> None:
    import op_db
    from test_op_db_parity import EXCEPTIONS, FILE

    lines = []
    for entry in op_db.op_db:
        failed = op_db.run(entry, most=3).failed
        levels, reason = EXCEPTIONS.get(entry.full_name, (set(), ""))
        flaky = {level for level in levels if level.startswith("~")}
        now = {level for level in failed if f"~{level}" not in flaky} | flaky
        if now:
            why = "; ".join(failed.values())
            reason = reason or ("not written yet" if ": no " in why else f"TODO {why}")
            lines.append(f"{entry.full_name} | {' '.join(sorted(now))} | {reason.replace('|', '/')}")
    FILE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
