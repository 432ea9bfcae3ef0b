"""Run the benchmarks: ``python benchmarks/run.py [--smoke] [names...]``.

Each figure is a ratio to a peer that ran interleaved in the same process.  ``--smoke`` runs everything once
at size 1, so that the benchmarks cannot rot; it says nothing about speed.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import sys
from pathlib import Path

NAMES = ("start", "eager", "operations", "training", "compile", "derivatives", "optimisers")


def main() -> int:
    """Run the named benchmarks; exit status 1 if a goal is missed (never under ``--smoke``)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; all unless given")
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))
    print(f"Python {platform.python_version()}, {platform.machine()}, {platform.processor() or 'processor unknown'}")
    print(f"{'':38s} {'ours':>10s} {'peer':>10s} {'faster':>8s}")
    missed = 0
    for name in options.names or NAMES:
        for row in importlib.import_module(name).rows(options.smoke):
            print(row, flush=True)
            missed += row.ratio < row.goal
    return 1 if missed and not options.smoke else 0


if __name__ == "__main__":
    sys.exit(main())
