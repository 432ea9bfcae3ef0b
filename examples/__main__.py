"""Run all examples: ``python examples [--out plots]``; exit status 1 if one of them fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    failed = []
    for program in sorted(Path(__file__).parent.glob("[0-9]*.py")):
        print(f"\n===== {program.name} =====", flush=True)
        if subprocess.run([sys.executable, str(program), *sys.argv[1:]], check=False).returncode:
            failed.append(program.name)
    print("\nFAILED:" if failed else "\nEvery number that the examples check is right.", *failed)
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
