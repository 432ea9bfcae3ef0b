"""Write ``tests/parity/op_db_exceptions.txt`` anew: ``python tools/list_op_db.py [--samples N]``.  Needs PyTorch.

Reasons that stand there are kept; a new line says TODO and what was seen, until somebody who looked writes why.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "parity"))

HEAD = """\
# Entries of PyTorch's database of operations that differ here: name | levels that fail | reason.
# A "~" before a level: only with more samples than the test takes, or not on every machine.  An "-" before a name: PyTorch
# does not differentiate it either.  Made by tools/list_op_db.py, which keeps the reasons; read by test_op_db_parity.py,
# which fails where this list and the truth differ.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--samples", type=int, default=20, help="beyond those of the test, whose failures stand without ~"
    )
    more = parser.parse_args().samples
    import op_db
    from test_op_db_parity import EXCEPTIONS, FILE, MOST

    lines = []
    for entry in op_db.op_db:
        always, failed = op_db.run(entry, MOST).failed, op_db.run(entry, more).failed
        levels, reason = EXCEPTIONS.get(entry.full_name, (set(), ""))
        flaky = {
            level.removeprefix("~")
            for level in levels
            if level.startswith("~") and level.removeprefix("~") not in always
        }
        loose = (set(failed) | flaky) - set(always)
        now = sorted([*always, *(f"~{level}" for level in loose)])
        if now:
            why = "; ".join({**failed, **always}.values())
            name = f"{'' if entry.supports_autograd else '- '}{entry.full_name}"
            lines.append(f"{name} | {' '.join(now)} | {reason or f'TODO {why}'.replace('|', '/')}")
    FILE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
