"""Where the boxes of a layered graph go: Sugiyama's method in small.

Boxes are put on layers so that every edge leads down; edges over several layers pass through places kept free for
them; places on a layer are ordered so that few edges cross, and moved over or under their neighbours as far as
there is room.  Nothing here recurses.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

GAP_X: Final = 26.0
GAP_Y: Final = 46.0
SWEEPS: Final = 12
WAY: Final = 12.0  # the width kept free for an edge that passes
MAX_BOXES: Final = 1000  # beyond, nobody could read it
MAX_PLACES: Final = 12_000  # boxes, and edges that pass a layer


@dataclass
class Layout:
    """``places`` holds each box's centre, ``ways`` the points that each edge passes, from bottom to top of boxes."""

    places: list[tuple[float, float]]
    ways: list[list[tuple[float, float]]]
    width: float
    height: float


def arrange(sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]]) -> Layout:
    """Places for boxes of these widths and heights.  Edges lead from a box to one with a higher number.

    Raises ValueError for more than can be read, and laid out in seconds.
    """
    if len(sizes) > MAX_BOXES:
        raise ValueError(
            f"the graph has {len(sizes)} boxes, and at most {MAX_BOXES} are drawn; as .dot text it has no limit"
        )
    layer = _layers(len(sizes), edges)
    if len(sizes) + sum(layer[b] - layer[a] - 1 for a, b in edges) > MAX_PLACES:
        raise ValueError("the graph has too many long edges to be drawn; as .dot text it has no limit")
    width = [w for w, _ in sizes]
    ends: list[tuple[int, int]] = []  # edges between neighbouring layers
    chains = []
    for a, b in edges:
        chain = [a]
        for between in range(layer[a] + 1, layer[b]):
            layer.append(between)
            width.append(WAY)
            chain.append(len(layer) - 1)
        chain.append(b)
        ends += zip(chain, chain[1:], strict=False)
        chains.append(chain)
    rows: list[list[int]] = [[] for _ in range(max(layer, default=0) + 1)]
    for i, at in enumerate(layer):
        rows[at].append(i)
    above: list[list[int]] = [[] for _ in layer]
    below: list[list[int]] = [[] for _ in layer]
    for a, b in ends:
        below[a].append(b)
        above[b].append(a)
    rows = _ordered(rows, above, below)
    x = _placed(rows, above, below, width)
    y, height = _heights(rows, sizes)
    places = [(x[i], y[layer[i]]) for i in range(len(sizes))]
    ways = []
    for chain in chains:
        a, b = chain[0], chain[-1]
        middle = [(x[i], y[layer[i]]) for i in chain[1:-1]]
        ways.append([(x[a], y[layer[a]] + sizes[a][1] / 2), *middle, (x[b], y[layer[b]] - sizes[b][1] / 2)])
    total = max((x[i] + width[i] / 2 for i in range(len(layer))), default=0.0)
    return Layout(places, ways, total, height)


def _layers(n: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """A layer below all that leads to a box; boxes to which nothing leads stand right above what they lead to."""
    layer = [0] * n
    for a, b in sorted(edges, key=lambda e: e[1]):  # numbers grow along edges
        layer[b] = max(layer[b], layer[a] + 1)
    reached = {b for _, b in edges}
    nearest: dict[int, int] = {}  # the highest layer that a box leads to
    for a, b in edges:
        nearest[a] = min(nearest.get(a, layer[b]), layer[b])
    for a in range(n):
        if a not in reached:
            layer[a] = max(0, nearest.get(a, 1) - 1)
    return layer


def _ordered(rows: list[list[int]], above: list[list[int]], below: list[list[int]]) -> list[list[int]]:
    """Each row ordered by the mean place of its neighbours, down and up in turn; the order with fewest crossings."""
    best, fewest = [row[:] for row in rows], _crossings(rows, below)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        near = above if down else below
        order = range(1, len(rows)) if down else range(len(rows) - 2, -1, -1)
        for r in order:
            place = {i: k for k, i in enumerate(rows[r - 1 if down else r + 1])}
            now = {i: k for k, i in enumerate(rows[r])}

            def mean(i: int, place: dict[int, int] = place, now: dict[int, int] = now) -> float:
                found = [place[j] for j in near[i]]  # noqa: B023  used at once
                return sum(found) / len(found) if found else float(now[i])

            rows[r].sort(key=mean)
        if (crossings := _crossings(rows, below)) < fewest:
            best, fewest = [row[:] for row in rows], crossings
    return best


def _crossings(rows: list[list[int]], below: list[list[int]]) -> int:
    """How many pairs of edges cross."""
    total = 0
    for upper, lower in zip(rows, rows[1:], strict=False):
        place = {i: k for k, i in enumerate(lower)}
        seen: list[int] = []
        for i in upper:
            ends = sorted(place[j] for j in below[i])
            total += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


def _placed(rows: list[list[int]], above: list[list[int]], below: list[list[int]], width: list[float]) -> list[float]:
    """The centre of each place: as near to the mean of its neighbours as the others in its row let it."""
    x = [0.0] * len(width)
    for row in rows:
        at = 0.0
        for i in row:
            x[i] = at + width[i] / 2
            at += width[i] + GAP_X
    # A box that only leads to one, as a parameter does, goes where that goes, and makes room for what is on its way.
    follows = [not up and len(down) == 1 for up, down in zip(above, below, strict=True)]
    leading = [[j for j in up if not follows[j]] or up for up in above]
    weight = [1.0 if f else 100.0 for f in follows]
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else rows[::-1]:
            near = [(leading[i] if down else below[i]) or below[i] or above[i] for i in row]
            wish = [sum(x[j] for j in n) / len(n) if n else x[i] for i, n in zip(row, near, strict=True)]
            for i, at in zip(row, _apart(wish, [width[i] for i in row], [weight[i] for i in row]), strict=True):
                x[i] = at
    left = min((x[i] - width[i] / 2 for i in range(len(width))), default=0.0)
    return [at - left for at in x]


def _apart(wish: Sequence[float], width: Sequence[float], weight: Sequence[float]) -> list[float]:
    """The places nearest to the wishes, by weighted squares, at which neighbours in this order do not overlap."""
    offsets = [0.0]
    for a, b in zip(width, width[1:], strict=False):
        offsets.append(offsets[-1] + (a + b) / 2 + GAP_X)
    blocks: list[tuple[float, float, int]] = []  # (mean, weight, count): means must not fall (pool adjacent violators)
    for at, offset, heavy in zip(wish, offsets, weight, strict=True):
        mean, total, count = at - offset, heavy, 1
        while blocks and blocks[-1][0] > mean:
            other, w, n = blocks.pop()
            mean, total, count = (mean * total + other * w) / (total + w), total + w, count + n
        blocks.append((mean, total, count))
    flat = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(flat, offsets, strict=True)]


def _heights(rows: list[list[int]], sizes: Sequence[tuple[float, float]]) -> tuple[list[float], float]:
    """The middle of each row, and the height of all."""
    y, at = [], 0.0
    for row in rows:
        tall = max((sizes[i][1] for i in row if i < len(sizes)), default=0.0)
        y.append(at + tall / 2)
        at += tall + GAP_Y
    return y, at - GAP_Y
