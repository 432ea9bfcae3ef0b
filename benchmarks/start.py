"""What it costs to have the library: import time in fresh processes, installed size."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from compare import Row


def seconds(statement: str) -> float:
    """The time one import takes in a fresh process, by that process's own clock."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}  # as pip installs: compiled
    code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


# What is of no use without the extra "fast": the compiler's kernels and how LLVM makes machine code of them.
KERNELS = [
    "apart",
    "diagonals",
    "direct",
    "emit",
    "epilogue",
    "expand",
    "finding",
    "guards",
    "indexed",
    "instructions",
    "lanes",
    "linear",
    "loops",
    "lower",
    "mathlib",
    "mathlib_ir",
    "mathlib_kernels",
    "mathlib_tables",
    "moves",
    "native",
    "nest",
    "padded",
    "products",
    "rows",
    "shortcut",
    "store",
    "table",
    "threads",
    "unroll",
    "walker",
    "walker_chain",
    "walker_guards",
    "walker_helpers",
    "walker_results",
    "walker_shortcut",
    "windows",
]


def rows(smoke: bool) -> Iterator[Row]:
    """Import beside ``import numpy``, and megabytes beside the 3 that are allowed."""
    seconds("import chainrule")
    pairs = [(seconds("import chainrule"), seconds("import numpy")) for _ in range(1 if smoke else 21)]
    ours, numpy = (sorted(p)[len(pairs) // 2] for p in zip(*pairs, strict=True))
    yield Row("import, against numpy + 50 ms", ours, numpy + 0.05, 1, f"({(ours - numpy) * 1e3:.0f} ms over numpy)")
    import chainrule

    root = Path(chainrule.__file__).parent
    sizes = {f: f.stat().st_size / 1e6 for f in root.rglob("*") if f.is_file() and f.suffix != ".pyc"}
    page = sum(size for f, size in sizes.items() if root / "web" in f.parents)
    kernels = sum(size for f, size in sizes.items() if f.parent == root / "compiler" and f.stem in KERNELS)
    note = f"(the times are megabytes; {page:.2f} more for chainrule[web] and {kernels:.2f} for chainrule[fast])"
    yield Row("core, installed megabytes, against 3", sum(sizes.values()) - page - kernels, 3.0, 1, note)
