"""Describe: what became of a program, in words: its steps, what was fused, and how many bytes they move."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .program import Program, Var
from .steps import Call, Loop, Step


def describe(program: Program, steps: Sequence[Step], overwritten: int) -> list[str]:
    """Lines about the steps of a program, of whose outputs so many overwrite inputs."""
    if not steps:
        return ["  all of it, by another compiler"]
    lines = [line for step in steps for line in _about(step)]
    operations = sum(len(s.equations) for s in steps)
    moved = sum(sum(_moved(s)) for s in steps)
    single = sum(sum(_moved(Call(eq))) for eq in program.equations)
    lines.append(
        f"  {operations} operations in {len(steps)} steps, which move {_bytes(moved)}; one by one: {_bytes(single)}"
    )
    if overwritten:
        lines.append(f"  {overwritten} results are computed in the memory of inputs")
    return lines


def _about(step: Step) -> list[str]:
    names = ", ".join(eq.name for eq in step.equations)
    shape = f" over {list(step.shape)}" if isinstance(step, Loop) else ""
    read, written = _moved(step)
    return [f"  {type(step).__name__.lower()}{shape}: {names}", f"    reads {_bytes(read)}, writes {_bytes(written)}"]


def _moved(step: Step) -> tuple[int, int]:
    """How many bytes a step reads and writes: nothing for views, and for what never leaves it."""
    if isinstance(step, Call):
        eq = step.equation
        return (0, 0) if eq.prim.view else (_size(eq.vars), _size(eq.outs))
    made = {v for eq in step.equations for v in eq.outs}
    return _size(v for eq in step.equations for v in eq.vars if v not in made), _size(step.outputs)


def _size(variables: Iterable[Var]) -> int:
    return sum(v.size * v.dtype.itemsize for v in dict.fromkeys(variables))


def _bytes(n: float) -> str:
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:.3g} GB"
