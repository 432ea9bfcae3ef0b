"""A tape as boxes and edges, and large ones with their modules and chains collapsed."""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Any, Final

import numpy as np

from .formulas import Local
from .tape import Item, Tape, number_like
from .text import name_of, number, right_side

LIMIT: Final = 40  # boxes: what is larger is collapsed
_CLIP: Final = 34


@dataclass
class Box:
    """A box of the picture: an input, a step, the result, or several steps in one."""

    kind: str  # "input", "step", "result" or "group"
    lines: list[str]
    items: list[Item] = field(default_factory=list)
    path: tuple[str, ...] = ()  # of the module whose parameters it uses
    tip: str = ""


@dataclass
class Edge:
    """From box to box by number, with the gradient that flows back along it."""

    start: int
    end: int
    label: str = ""


@dataclass
class Boxes:
    """Boxes in an order in which edges lead from lower to higher numbers."""

    boxes: list[Box]
    edges: list[Edge]


def boxes(tape: Tape, locals_: dict[Item, Local], collapse: bool | None, values: bool) -> Boxes:
    """The picture's contents.  ``collapse`` None means: if there are more than 40 boxes."""
    made: list[Box] = []
    groups: list[Box] = []
    of: dict[Item, Box] = {}
    drawn = [i for i in tape.items if not (i.kind == "constant" and (number_like(i.value) or i.shape in ((), None)))]
    large = len(drawn) > LIMIT if collapse is None else collapse
    for item in drawn:
        if large and item.kind == "input" and "." in item.name:
            continue  # a module's parameter stands in the module's box
        if item.kind == "part":
            of[item] = of[item.args[0]]
            continue
        path = _path(item) if large else ()
        box = Box("input" if item.leaf else "result" if item is tape.root else "step", [], [item], path)
        made.append(box)
        of[item] = box
    if large:
        groups = _collapsed(made, of)
        of = {item: box for box in groups for item in box.items} | {
            i: b for i in of if i.kind == "part" for b in groups if i.args[0] in b.items
        }
    shown = groups if large else made
    for box in shown:
        box.lines, box.tip = _lines(box, locals_, values)
    places = {id(box): k for k, box in enumerate(shown)}
    edges: dict[tuple[int, int], dict[Item, Any]] = {}
    for item in drawn:
        if item.leaf or item.kind == "part":
            continue
        end = places[id(of[item])]
        for place, a in enumerate(item.args):
            if a in of and (start := places[id(of[a])]) != end:
                left = item.left[place] if place < len(item.left) else None
                flows = edges.setdefault((start, end), {})
                if left is not None:
                    flows[a] = left + flows[a] if a in flows else left
    return Boxes(shown, [Edge(a, b, ", ".join(map(_short, flows.values()))) for (a, b), flows in edges.items()])


def _path(item: Item) -> tuple[str, ...]:
    """The module whose parameters a step uses."""
    names = [a.name for a in item.args if a.kind == "input" and "." in a.name]
    return tuple(names[0].split(".")[:-1]) if names else ()


def _collapsed(made: list[Box], of: dict[Item, Box]) -> list[Box]:
    """Boxes joined, those of a module first, then of the module that it is in, and so on, until there are few.

    A box takes in one that follows it if that has no argument which it does not have itself: so what it takes in lies
    between what was before it and what comes after it, and no circle can close.
    """
    place = {id(box): k for k, box in enumerate(made)}
    groups: dict[int, Box] = dict(enumerate(made))
    before: dict[int, set[int]] = {k: set() for k in groups}
    after: dict[int, set[int]] = {k: set() for k in groups}
    for k, box in groups.items():
        for a in (a for item in box.items for a in item.args if a in of):
            if (other := place[id(of[a])]) != k:
                before[k].add(other)
                after[other].add(k)

    def join(k: int, other: int) -> None:
        mine, taken = groups[k], groups.pop(other)
        groups[k] = Box("group", [], mine.items + taken.items, mine.path or taken.path)
        before[k] |= before.pop(other) - {k}
        after[k] |= after.pop(other)
        after[k].discard(other)
        for n in before[k]:
            after[n].discard(other)
            after[n].add(k)
        for n in after[k]:
            before[n].discard(other)
            before[n].add(k)

    for depth in (9, 3, 2, 1, 0):
        pending = sorted(groups)
        while pending and len(groups) > (LIMIT if depth < 2 else 1):
            k = pending.pop(0)
            if k not in groups or groups[k].kind == "input":
                continue
            mine = groups[k]
            for other in sorted(after[k]):
                theirs = groups[other].path
                related = depth == 0 or (bool(mine.path) and (not theirs or theirs[:depth] == mine.path[:depth]))
                if related and before[other] <= before[k] | {k}:
                    join(k, other)
                    groups[k].path = _common(mine.path, theirs)
                    pending.insert(0, k)
                    break
        if len(groups) <= LIMIT:
            break
    order = {item: k for k, box in enumerate(made) for item in box.items}
    for box in groups.values():
        box.items.sort(key=lambda i: order[i])
    ready = [(order[groups[k].items[0]], k) for k, found in before.items() if not found]
    heapify(ready)
    sorted_: list[Box] = []
    while ready:  # each after all that lead to it
        _, k = heappop(ready)
        sorted_.append(groups[k])
        for n in after[k]:
            before[n].discard(k)
            if not before[n]:
                heappush(ready, (order[groups[n].items[0]], n))
    return sorted_


def _common(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    """The module that two are in; one without a path is in any."""
    if not a or not b:
        return a or b
    n = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[:n]


def _lines(box: Box, locals_: dict[Item, Local], values: bool) -> tuple[list[str], str]:
    """What a box says, and what it says when pointed at."""
    if box.kind == "group" or box.path:
        box.kind = "group"
        names = [name_of(i) for i in box.items]
        told = [f"{n} × {k}" if k > 1 else n for n, k in _runs(names)]
        title = ".".join(box.path) or f"{len(box.items)} steps"
        last = box.items[-1]
        tail = _shape(last) if values else ""
        title = f"{title} → {last.name}" if last.named else title
        return [_clip(title), _clip(", ".join(told)), *([tail] if tail else [])], "\n".join(
            f"{i.name} = {right_side(i, locals_.get(i))}" for i in box.items
        )
    (item,) = box.items
    title = item.name if item.leaf else f"{item.name} = {right_side(item, locals_.get(item))}"
    lines = [_clip(title)]
    if values:
        lines.append(_short(item.value) if np.size(item.value) <= 4 and item.value is not None else _shape(item))
        if item.kind == "input" and item.arrived is not None:
            lines.append(f"∂ = {_short(item.arrived)}")
    return lines, str(item.line or "")


def _runs(names: list[str]) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for n in names:
        if found and found[-1][0] == n:
            found[-1] = (n, found[-1][1] + 1)
        else:
            found.append((n, 1))
    return found


def _shape(item: Item) -> str:
    return "" if item.shape is None else "×".join(map(str, item.shape)) or number(item.value)


def _short(value: object) -> str:
    """A number to four digits; an array of few entries; else its largest entry's size."""
    a = np.asarray(value)
    if a.ndim == 0:
        return f"{a.item() + 0:.4g}" if a.dtype.kind in "fiu" else str(a.item())
    if a.size <= 4 and a.dtype.kind in "fiu":
        return "[" + ", ".join(f"{v:.3g}" for v in (a + 0).ravel()) + "]"
    return f"|·| ≤ {abs(a).max():.2g}" if a.dtype.kind in "fiu" and a.size else "×".join(map(str, a.shape))


def _clip(text: str) -> str:
    return text if len(text) <= _CLIP else f"{text[: _CLIP - 1]}…"
