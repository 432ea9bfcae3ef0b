"""Colourings: which columns of a sparse matrix can be found together, from one product with it.

Colours are numbers from 0; -1 is none, where there is nothing to find.  A set of colours is kept as an integer, bit
c for colour c, so that a union is one ``|``.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

Index = np.ndarray[Any, Any]


def columns(pattern: Any) -> Index:
    """A colour for each column, no two columns of one colour in the same row: the first free, in the better of two orders."""
    m, n = pattern.shape
    by_column = pattern.tocsc()
    degrees = np.diff(by_column.indptr)
    rows_of = _rows(by_column)
    least = int(np.diff(pattern.tocsr().indptr).max(initial=0))  # the entries of a row need as many
    if n and least == n:
        return np.arange(n)
    found: list[Index] = []
    for order in (np.arange(n), np.argsort(-degrees, kind="stable")):
        if found and count(found[0]) == least:
            break
        used, colours = [0] * m, np.zeros(n, np.intp)
        for j in order.tolist():
            taken = 0
            for i in rows_of[j]:
                taken |= used[i]
            bit = ~taken & taken + 1 if rows_of[j] else 0
            for i in rows_of[j]:
                used[i] |= bit
            colours[j] = bit.bit_length() - 1
        found.append(colours)
    return min(found, key=count)


def star(pattern: Any) -> Index:
    """A colour for each vertex of a symmetric pattern: neighbours differ, and a path of four has three colours.

    Then each entry of the matrix stands alone in one of two places of its product with the colours: that of
    column j in row i, or that of column i in row j.  (Gebremedhin, Manne and Pothen, *What color is your
    Jacobian?*, SIAM Review 47, 2005.)
    """
    n = pattern.shape[0]
    neighbours = _others(pattern)
    empty = np.diff(pattern.tocsr().indptr) == 0
    bits = [0] * n  # of vertices that have a colour
    around = [0] * n  # the colours of a vertex's neighbours
    twice = [0] * n  # those that two of them have
    closed = [0] * n  # of a vertex v that has a colour: that of each neighbour which has another one coloured like v
    for v in sorted(range(n), key=lambda v: -len(neighbours[v])):
        taken = around[v]
        for w in neighbours[v]:
            taken |= closed[w] if bits[w] else around[w]
        bit = bits[v] = 0 if empty[v] else ~taken & taken + 1
        for w in neighbours[v]:
            if around[w] & bit:
                alike = [v] if twice[w] & bit else [u for u in neighbours[w] if bits[u] == bit]
                for u in alike:
                    closed[u] |= bits[w]
                twice[w] |= bit
            around[w] |= bit
    return np.array([b.bit_length() - 1 for b in bits], np.intp)


def acyclic(pattern: Any) -> Index:
    """A colour for each vertex of a symmetric pattern: neighbours differ, and no circle has two colours only.

    That takes about half as many colours as :func:`star`.  Any two colours make trees, whose edges, the entries, follow
    from each other from the leaves on, as :func:`peeled` says.  (Gebremedhin, Tarafdar, Manne and Pothen, *New acyclic
    and star coloring algorithms*, SIAM J. Sci. Comput. 29, 2007.)
    """
    neighbours, colours, tree = _others(pattern), [-1] * pattern.shape[0], _Sets()
    for v in sorted(range(len(colours)), key=lambda v: -len(neighbours[v])):
        coloured = [w for w in neighbours[v] if colours[w] >= 0]
        taken = {colours[w] for w in coloured}
        entered: dict[int, int] = {}  # by which neighbour v would be joined to a tree
        for w in coloured:
            for u in neighbours[w]:
                if u != v and colours[u] >= 0 and colours[u] not in taken:
                    if entered.setdefault(tree.find(w, u), w) != w:
                        taken.add(colours[u])
        colour = colours[v] = next(c for c in itertools.count() if c not in taken)
        leading: dict[int, int] = {}
        for w in coloured:
            tree.join((v, w), (v, leading.setdefault(colours[w], w)))
            for u in neighbours[w]:
                if u != v and colours[u] == colour:
                    tree.join((v, w), (u, w))
    found = np.array(colours, np.intp)
    found[np.diff(pattern.tocsr().indptr) == 0] = -1
    return found


class _Sets:
    """Sets of edges that are joined."""

    def __init__(self) -> None:
        self.number: dict[tuple[int, int], int] = {}
        self.parent: list[int] = []

    def find(self, v: int, w: int) -> int:
        """The number of the set of an edge."""
        at = self.number.setdefault((min(v, w), max(v, w)), len(self.parent))
        if at == len(self.parent):
            self.parent.append(at)
        while self.parent[at] != at:
            self.parent[at] = at = self.parent[self.parent[at]]
        return at

    def join(self, a: tuple[int, int], b: tuple[int, int]) -> None:
        self.parent[self.find(*a)] = self.find(*b)


def peeled(pattern: Any, colours: Index) -> list[tuple[Index, Index]]:
    """In which order entries beside the diagonal follow from the product with acyclic colours: (v, w) for each step.

    The entry in row v and column w is what is left in row v of the product, at w's colour, when all entries of former
    steps are taken out of both their rows.
    """
    neighbours = _others(pattern)
    open_ = {(v, int(colours[w])): 0 for v, row in enumerate(neighbours) for w in row}
    others: dict[tuple[int, int], int] = dict.fromkeys(
        open_, 0
    )  # the sum of the ends that are open: the last one, at 1
    for v, row in enumerate(neighbours):
        for w in row:
            open_[v, int(colours[w])] += 1
            others[v, int(colours[w])] += w
    leaves, steps = [cell for cell, many in open_.items() if many == 1], []
    while leaves:
        done, following = [], []
        for v, c in leaves:
            if open_[v, c] != 1:
                continue
            w = others[v, c]
            done.append((v, w))
            for a, b in ((v, w), (w, v)):
                cell = a, int(colours[b])
                open_[cell] -= 1
                others[cell] -= b
                if open_[cell] == 1:
                    following.append(cell)
        if done:
            steps.append((np.array([v for v, _ in done]), np.array([w for _, w in done])))
        leaves = following
    return steps


def _others(pattern: Any) -> list[list[int]]:
    """The neighbours of each vertex but itself."""
    return [[j for j in row if j != i] for i, row in enumerate(_rows(pattern.tocsr()))]


def count(colours: Index) -> int:
    return int(colours.max(initial=-1)) + 1


def _rows(pattern: Any) -> list[list[int]]:
    """The indices of each row (of a csr array) or column (csc)."""
    indices, ends = pattern.indices.tolist(), pattern.indptr.tolist()
    return [indices[a:b] for a, b in zip(ends, ends[1:], strict=False)]
