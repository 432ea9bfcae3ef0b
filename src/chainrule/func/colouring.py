"""Colourings: which columns of a sparse matrix can be found together, from one product with it.

Colours are numbers from 0; -1 is none, where there is nothing to find.  A set of colours is kept as an integer, bit
c for colour c, so that a union is one ``|``.
"""

from __future__ import annotations

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
    neighbours = _rows(pattern.tocsr())
    empty = [not row for row in neighbours]
    neighbours = [[j for j in row if j != i] for i, row in enumerate(neighbours)]
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


def count(colours: Index) -> int:
    return int(colours.max(initial=-1)) + 1


def _rows(pattern: Any) -> list[list[int]]:
    """The indices of each row (of a csr array) or column (csc)."""
    indices, ends = pattern.indices.tolist(), pattern.indptr.tolist()
    return [indices[a:b] for a, b in zip(ends, ends[1:], strict=False)]
