"""Write ``docs/operations.md``, a table of every operation and its readings: ``python tools/list_operations.py [--check]``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from chainrule.ops import load_all
from chainrule.primitive import Elementwise, Primitive, table

FILE = Path(__file__).parents[1] / "docs" / "operations.md"
HEAD = """\
<!-- Made by tools/list_operations.py from the declarations; do not edit. -->
# Every operation

Each line is one declaration, a class in the file that its heading names. What users call is written over these: some
operations have several names, and many functions (`mean`, `conv2d`, `stft`, ...) are compositions of others.

- **Kind.** *Elementwise*: one slope per argument; *reduction*, *linear* in the arguments named, or *other*. A *view*
  may share memory with its argument.
- **Derivative.** By which arguments; "none" for comparisons, positions and the like.
- **Loop.** Whether the compiler fuses it into loops with its neighbours; others are calls within a program.
- **Arrays.** *Any*: over symbols, Dask and JAX too. *Numbers*: an algorithm such as LAPACK's, over NumPy only.

Batches, forward mode, Taylor series and higher orders hold for all that have a derivative: they follow from the rule.

All entries of PyTorch's own database of operations are compared with PyTorch: values, gradients, gradients of gradients,
tangents, batches, methods and in-place forms. `tests/parity/op_db_exceptions.txt` lists the few that differ, and why.
"""


def operations() -> dict[str, list[Primitive]]:
    """Each operation once, by the file that declares it."""
    load_all()
    found: dict[str, list[Primitive]] = {}
    for prim in {type(p): p for p in table.values()}.values():
        module = type(prim).__module__
        if module.startswith("chainrule.ops."):
            found.setdefault(module.removeprefix("chainrule.ops."), []).append(prim)
    return dict(sorted(found.items()))


def row(prim: Primitive) -> str:
    doc = " ".join((type(prim).__doc__ or "").split()).replace("``", "`").replace("|", "\\|")
    doc = re.sub(r":\w+:(`[^`]*`)", r"\1", doc)
    value = re.split(r"(?<=[.;])\s", doc, maxsplit=1)[0].rstrip(".;")
    fused, arrays = "yes" if getattr(prim, "scalar", "") else "", "any" if prim.formula else "numbers"
    return f"| `{prim.name}` | {value} | {kind(prim)} | {derivative(prim)} | {fused} | {arrays} |"


def kind(prim: Primitive) -> str:
    if isinstance(prim, Elementwise):
        found = "elementwise"
    elif prim.linear and prim.differentiable:
        found = f"linear in {', '.join(prim.linear)}"
    else:
        found = "reduction" if "axis" in prim.params and "keepdims" in prim.params else "other"
    return found + (", view" if prim.view else "")


def derivative(prim: Primitive) -> str:
    if prim.variadic and prim.differentiable:
        return "all"
    names = [name for name, pull in zip(prim.args, prim.pulls, strict=True) if pull is not None]
    return ", ".join(names) if names and prim.differentiable else "none"


def text() -> str:
    parts = [HEAD]
    for name, prims in operations().items():
        parts += [
            f"\n## {name}\n",
            "| operation | value | kind | derivative | loop | arrays |",
            "|---|---|---|---|---|---|",
        ]
        parts += map(row, prims)
    return "\n".join(parts) + "\n"


def main() -> int:
    new = text()
    if "--check" in sys.argv:
        current = FILE.exists() and FILE.read_text(encoding="utf-8") == new
        if not current:
            print("docs/operations.md is out of date: run python tools/list_operations.py")
        return not current
    FILE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
