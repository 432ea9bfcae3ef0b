"""Where two traces of one program part; which differences are accepted, and why; the shortest program with one."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from programs import Program, Step, generate, trace

Seen = dict[str, dict[str, Any]]

ACCEPTED = {
    "layout": "where operands are laid out differently, NumPy and PyTorch choose different layouts for the result",
    "half done": "PyTorch's backward that raises midway has added to some .grad; chainrule adds when all is known",
    "overlap": "PyTorch writes while it reads: where target and operand share memory in part it refuses, or does not "
               "notice and gives what its loop gives; chainrule computes first, and refuses where it can see it",
    "expanded": "PyTorch deprecates writing by index to an expanded tensor; chainrule refuses to record it",
    "twice wrong": "where a statement is wrong for two reasons, the two libraries may name different ones",
    "one node": "the views of one unbind() share a node in PyTorch, which calls hooks of unused ones with None, and "
                "runs (and frees) what leads to one of them when the gradient of another is asked for",
    "relu twice": "PyTorch's derivative of relu under create_graph requires grad, though it is constant",
    "behind its back": "which numbers backward sees that were saved and then changed through .data or .numpy()",
    "half written": "PyTorch has noted the history of a write before it refuses the write, and refuses backward too",
    "leaf until asked": "a view whose base came to require grad is a leaf for PyTorch until its grad_fn is looked at",
    "way round": "a write through a view of a view: the gradient of the old value goes to the base, in PyTorch past the "
                 "view between, whose retained gradient lacks it",
    "leads nowhere": "a second backward through products of a view without history, for which PyTorch saved nothing",
    "leaf view": "a view told to require grad, of a base that does not: PyTorch rebuilds its views from that base",
}  # fmt: skip

OVERLAP = "unsupported operation: more than one element of the written-to tensor refers to a single memory location"
OVERLAPS = ("unsupported operation: some elements of the input tensor and the written-to tensor refer to a single "
            "memory location")  # fmt: skip
FREED = ("Trying to backward through the graph a second time (or directly access saved tensors after they have already "
         "been freed)")  # fmt: skip
VIEWS = {
    "Select", "Slice", "View", "ReshapeAlias", "T", "Transpose", "Unsqueeze", "Squeeze", "Expand", "Alias", "Permute",
    "Unbind",
}  # fmt: skip


def compare(program: Program, ours: Any, theirs: Any) -> tuple[str, str] | None:
    """(kind, words) of the first difference between two libraries, looked at after every line, then only at the end."""
    for every in (True, False):
        found = difference(program, trace(program, ours, every), trace(program, theirs, every))
        if found:
            return found
    return None


def difference(program: Program, ours: list[Step], theirs: list[Step]) -> tuple[str, str] | None:
    """(kind, words) of the first place where the traces part; None if nowhere."""
    before: Seen = {}
    for number, (line, (e1, s1), (e2, s2)) in enumerate(zip(program, ours, theirs, strict=True)):
        kind, name, a, b = part(e1, s1, e2, s2)
        if kind:
            kind = accepted(program[: number + 1], kind, name, a, b, before, e1 is not None) or kind
            return kind, f"line {number}: {line}: {kind} {name}\n  ours   {a}\n  theirs {b}"
        before = s1
    return None


def part(e1: Any, s1: Seen, e2: Any, s2: Seen) -> tuple[str, str, Any, Any]:
    """What differs after one line: (kind, name, ours, theirs)."""
    if e1 != e2:
        if e1 is None or e2 is None:
            return "needless raise" if e1 else "missed raise", "", e1, e2
        return "class" if e1[0] != e2[0] else "message", "", e1, e2
    for name in s2:
        for field, b in s2[name].items():
            a = s1[name].get(field)
            if field != "span" and not same(field, a, b):
                return field, name, a, b
    return "", "", None, None


def accepted(program: Program, kind: str, name: str, ours: Any, theirs: Any, before: Seen, raised: bool) -> str | None:
    """Which of the accepted differences the last line makes, if one."""
    line, done = program[-1], "\n".join(program)
    if kind == "strides":
        return "layout"
    if kind == "value" and overlapping(line, before):
        return "overlap"
    if kind in ("value", "grad") and re.search(r"\.data\b|\.numpy\(\)", done):
        return "behind its back"
    if kind == "grad" and f"{name}.retain_grad()" in done:
        return "way round"
    if kind in ("grad", "grad_fn") and re.search(r"v\d+\.requires_grad_\(\)", done):
        return "leaf view"
    if kind == "grad" and "backward" in line and raised:
        return "half done"
    if kind == "requires_grad" and "relu" in done and "create_graph" in done:
        return "relu twice"
    if kind == "message" and ours[0] == theirs[0] == "RuntimeError" and twice_wrong(ours[1], theirs[1]):
        return "twice wrong"
    if kind in ("missed raise", "message") and theirs[1] == OVERLAPS:
        return "overlap"
    if kind in ("needless raise", "missed raise") and FREED in (ours or theirs) and "no_grad" in done:
        return "leads nowhere"
    if kind == "missed raise" and theirs[1] == OVERLAP and "backward" in line:
        return "half written"
    if kind in ("missed raise", "message") and theirs[1].startswith("a leaf Variable") and not before:
        return "leaf until asked"
    if kind in ("missed raise", "class") and "'NoneType' and 'int'" in theirs[1] and "register_hook" in done:
        return "one node"
    if "unbind" in done and "autograd.grad" in done and (
        (kind == "missed raise" and theirs[1] == FREED) or (kind == "message" and "appears to not have" in ours[1])
    ):  # fmt: skip
        return "one node"
    if "expand" in done and kind in ("needless raise", "missed raise") and OVERLAP in (ours or theirs):
        return "expanded"
    return None


def twice_wrong(ours: str, theirs: str) -> bool:
    return bool({ours, theirs} & {OVERLAP, OVERLAPS, FREED}) or "modified inplace" in ours + theirs


def overlapping(line: str, before: Seen) -> bool:
    """Whether two of the tensors that a line names share memory."""
    spans = [before[n]["span"] for n in set(re.findall(r"v\d+", line)) if n in before]
    return any(a[0] <= b[1] and b[0] <= a[1] for a, b in itertools.combinations(spans, 2))


def same(field: str, a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return close(a, b)
    if field == "base" and "?" in (a, b):  # a base without a name: which one cannot be said
        return True
    if field == "grad_fn" and b == "AsStridedBackward0" and a is not None:  # rebuilt, to the same effect
        return a == b or a.removesuffix("Backward0") in VIEWS
    return bool(a == b)


def close(a: Any, b: Any, tolerance: float = 1e-12) -> bool:
    if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.tobytes() == b.tobytes():
        return True
    with np.errstate(all="ignore"):
        finite = np.isfinite(b)
        scale = np.abs(b[finite]).max(initial=1.0)
        near = bool((np.abs(a - b)[finite] <= tolerance * scale).all())
    return near and np.array_equal(a[~finite], b[~finite], equal_nan=True)


def shrink(program: Program, fails: Callable[[Program], bool]) -> Program:
    """Leave out lines, larger pieces first, as long as the program still fails."""
    size = max(1, len(program) // 2)
    while True:
        shorter = next((p for p in without(program, size) if p and fails(p)), None)
        if shorter is not None:
            program = shorter
        elif size > 1:
            size //= 2
        else:
            return program


def without(program: Program, size: int) -> Iterator[Program]:
    for end in range(len(program), 0, -1):
        start = max(0, end - size)
        yield program[:start] + program[end:]


def report(seed: int, ours: Any, theirs: Any) -> str | None:
    """The shortest program like the seed's that shows its difference, if it has one that is not accepted."""
    program = generate(seed)
    found = compare(program, ours, theirs)
    if found is None or found[0] in ACCEPTED:
        return None
    kind = found[0]
    program = shrink(program, lambda p: (compare(p, ours, theirs) or ("",))[0] == kind)
    words = (compare(program, ours, theirs) or found)[1]
    script = "\n".join(["import chainrule as T", *program])
    return f"seed {seed}: {kind}; again: python tests/parity/test_programs_parity.py {seed}\n{words}\n\n{script}"
