"""Products: matrices times matrices as kernels, in vectors of this machine.

One operand is *broadcast*, entry by entry, and may lie in memory in any way; of the other, whole vectors are read, so its rows
must be contiguous, or are packed into panels first.  A tile of the result, some rows by some vectors, is kept in registers
over a stretch of the inner length; that is where the time goes, and it runs at the speed of the multiply-adders.  The scheme
is that of Goto and van de Geijn's "Anatomy of High-Performance Matrix Multiplication" with one level of packing: the larger
operand is broadcast from where it is.  A kernel has tiles of one size only; what is left at the edges is a call of another.
"""

from __future__ import annotations

import functools
import itertools

NAME = "def product"
# Copies an operand into panels of contiguous rows, the last one filled up with zeros.
_PACK = """\
def pack(first: int, last: int, x_: {dtype}[:], y_: {dtype}[:], n: int, k: int, down: int, right: int, panels: int, apart: int):
    for u in range(first, last):
        item = u // panels
        column = (u - item * panels) * {width}
        columns = min({width}, n - column)
        xs = x_[item * apart + column * right :]
        ys = y_[u * k * {width} :]
{entries}"""
_BY_ROWS = """\
        for p in range(k):
            for j in range(columns):
                ys[p * {width} + j] = xs[p * down + j * right]
            for j in range(columns, {width}):
                ys[p * {width} + j] = np.{dtype}(0.0)"""
_BY_COLUMNS = """\
        for q in range(0, k, 8):
            zs = ys[q * {width} :]
            for j in range(columns):
                for p in range(min(8, k - q)):
                    zs[p * {width} + j] = xs[(q + p) * down + j * right]
            for p in range(min(8, k - q)):
                for j in range(columns, {width}):
                    zs[p * {width} + j] = np.{dtype}(0.0)"""
# Rows times one vector, where the rows are contiguous: several at once, and then what is left.
_DOTS = """\
def dots(first: int, last: int, x_: {dtype}[:], y_: {dtype}[:], out_: {dtype}[:], m: int, k: int, down: int, per: int):
    for block in range(first, last):
        start = block * per
        stop = min(start + per, m)
        for i in range(start, stop - {rest}, {rows}):
            x = x_[i * down :]
            out = out_[i:]
{zero}
            for p in range(0, k - {lanes} + 1, {lanes}):
                y = get(y_, p, {lanes})
{vectors}
{totals}
            for p in range(k // {lanes} * {lanes}, k):
{entries}
{store}
        for i in range(start + (stop - start) // {rows} * {rows}, stop):
            x = x_[i * down :]
            total = np.{dtype}(0.0)
            for p in range(k):
                total = sum_{dtype}(total, x[p] * y_[p])
            out_[i] = total"""
# Rows, each times a number, added up, some vectors of columns at a time; the last reach back to where others were: the last
# vector, if there is but one block.
_ROWS = """\
def rows(first: int, last: int, x_: {dtype}[:], y_: {dtype}[:], out_: {dtype}[:], n: int, k: int, right: int, down: int):
    for block in range(first, last):
        start = {start}
        out = out_[start:]
{zero}
        for p in range(0, k - 1, 2):
            y = y_[p * down + start :]
            u = spread(x_[p * right], {lanes})
            v = spread(x_[(p + 1) * right], {lanes})
{both}
        for p in range(k // 2 * 2, k):
            y = y_[p * down + start :]
            u = spread(x_[p * right], {lanes})
{one}
{store}"""
# A few rows times a few columns, over a long inner length, in parts.
_DEEP = """\
def deep(
    first: int, last: int, x_: {dtype}[:], y_: {dtype}[:], out_: {dtype}[:], k: int, down: int, right: int, row: int, column: int,
    below: int, beside: int, x_apart: int, y_apart: int, out_apart: int,
):
    for item in range(first, last):
        out = out_[item * out_apart :]
{none}
        for begin in range(0, k, 4096):
            x = x_[item * x_apart + begin * {right} :]
            y = y_[item * y_apart + begin * {row} :]
{zero}
            for p in range(min(4096, k - begin)):
{entries}
{more}
{store}"""
# Many rows of a few entries times a small matrix, whose entries are kept in registers.
_NARROW = """\
def narrow(
    first: int, last: int, x_: {dtype}[:], y_: {dtype}[:], out_: {dtype}[:], m: int, down: int, right: int, row: int, column: int,
    below: int, beside: int, x_apart: int, y_apart: int, out_apart: int, groups: int, per: int,
):
    for unit in range(first, last):
        item = unit // groups
        start = (unit - item * groups) * per
        x = x_[item * x_apart + start * {down} :]
        y = y_[item * y_apart :]
        out = out_[item * out_apart + start * {below} :]
{matrix}
        for i in range(min(per, m - start)):
{entries}"""
_AT_ONCE = 8  # rows


@functools.cache
def pack(dtype: str, width: int, lying: bool) -> str:
    """The kernel that packs rows, if they are ``lying`` in order, or else a few entries of each column at a time."""
    return _PACK.replace("{entries}", _BY_ROWS if lying else _BY_COLUMNS).format(dtype=dtype, width=width)


@functools.cache
def dots(dtype: str, lanes: int) -> str:
    """The kernel of rows times a vector."""
    each = range(_AT_ONCE)
    return _DOTS.format(
        dtype=dtype, lanes=lanes, rows=_AT_ONCE, rest=_AT_ONCE - 1,
        zero=_lines(3, [f"s{i} = spread(np.{dtype}(0.0), {lanes})" for i in each]),
        vectors=_lines(4, [f"s{i} = fma(get(x, p + {i} * down, {lanes}), y, s{i})" for i in each]),
        totals=_lines(3, [f"t{i} = total(s{i})" for i in each]),
        entries=_lines(4, ["u = y_[p]", *[f"t{i} = fma(x[p + {i} * down], u, t{i})" for i in each]]),
        store=_lines(3, [f"out[{i}] = t{i}" for i in each]),
    )  # fmt: skip


@functools.cache
def rows(dtype: str, lanes: int, vectors: int, alone: bool) -> str:
    """The kernel of a vector times rows, so many vectors of columns at a time; ``alone``: that is all of them."""
    each, width = range(vectors), lanes * vectors
    place = [str(i * lanes) for i in each[:-1]] + [f"n - {lanes}" if alone else str(width - lanes)]
    zero = [f"{name}{i} = spread(np.{dtype}(0.0), {lanes})" for i in each for name in "ab"]
    one = [f"a{i} = fma(u, get(y, {place[i]}, {lanes}), a{i})" for i in each]
    other = [f"b{i} = fma(v, get(y, down + {place[i]}, {lanes}), b{i})" for i in each]
    return _ROWS.format(
        dtype=dtype, lanes=lanes, start="0" if alone else f"min(block * {width}, n - {width})", zero=_lines(2, zero),
        both=_lines(3, one + other), one=_lines(3, one), store=_lines(2, [f"put(out, {place[i]}, a{i} + b{i})" for i in each]),
    )  # fmt: skip


@functools.cache
def deep(dtype: str, m: int, n: int, right: int, row: int) -> str:
    """The kernel of so many rows times so many columns, whose entries lie so close."""
    each = list(itertools.product(range(m), range(n)))
    zero = f"= np.{dtype}(0.0)"
    entries = [f"x{i} = x[p * {right} + {i} * down]" for i in range(m)]
    entries += [f"y{j} = y[p * {row} + {j} * column]" for j in range(n)]
    entries += [f"s{i}_{j} = sum_{dtype}(s{i}_{j}, x{i} * y{j})" for i, j in each]
    return _DEEP.format(
        dtype=dtype, right=right, row=row, none=_lines(2, [f"t{i}_{j} {zero}" for i, j in each]),
        zero=_lines(3, [f"s{i}_{j} {zero}" for i, j in each]), entries=_lines(4, entries),
        more=_lines(3, [f"t{i}_{j} = t{i}_{j} + s{i}_{j}" for i, j in each]),
        store=_lines(2, [f"out[{i} * below + {j} * beside] = t{i}_{j}" for i, j in each]),
    )  # fmt: skip


@functools.cache
def narrow(dtype: str, k: int, n: int, down: int, below: int) -> str:
    """The kernel of rows times a matrix of so many rows and columns; rows, and those of the result, lie so close."""
    each = list(itertools.product(range(k), range(n)))
    entries = [f"x{p} = x[i * {down} + {p} * right]" for p in range(k)]
    for j in range(n):
        total = f"np.{dtype}(0.0)"
        for p in range(k):
            total = f"fma(x{p}, y{p}_{j}, {total})"
        entries.append(f"out[i * {below} + {j} * beside] = {total}")
    return _NARROW.format(
        dtype=dtype, down=down, below=below, entries=_lines(3, entries),
        matrix=_lines(2, [f"y{p}_{j} = y[{p} * row + {j} * column]" for p, j in each]),
    )  # fmt: skip


def _lines(depth: int, lines: list[str]) -> str:
    return "\n".join("    " * depth + line for line in lines)


# Tiles below one another, in groups, and panels beside one another, of each matrix of a batch.  ``x`` is broadcast; its entries
# lie ``down`` and ``right`` of one another, rows of ``y`` ``row`` apart and panels ``panel``, results ``below`` and ``beside``.
_PRODUCT = """\
def product(
    first: int, last: int, z_: {dtype}[:], x_: {dtype}[:], y_: {dtype}[:], tiles: int, panels: int, k: int, stretch: int, down: int,
    right: int, row: int, panel: int, below: int, beside: int, columns: int, per: int, groups: int, z_apart: int, x_apart: int,
    y_apart: int,
):
{room}    for unit in range(first, last):
        item = unit // groups
        start = (unit - item * groups) * per
        for begin in range(0, k, stretch):
            for j in range(panels):
                for t in range(start, min(start + per, tiles)):
                    x = x_[item * x_apart + t * {rows} * down + begin * right :]
                    y = y_[item * y_apart + j * panel + begin * row :]
                    z = z_[item * z_apart + t * {rows} * below + j * {width} * beside :]
{zero}
                    for p in range(min(stretch, k - begin)):
{inner}
{store}"""


@functools.cache
def product(dtype: str, lanes: int, rows: int, vectors: int, plain: bool, column: bool) -> str:
    """The kernel of tiles of so many rows, and vectors of so many entries.

    Of the result, whole rows are contiguous if they are ``plain``, and entries of a ``column`` are neighbours if it is one.
    """
    names = [[f"s{i}_{v}" for v in range(vectors)] for i in range(rows)]
    each = [(i, v, name) for i in range(rows) for v, name in enumerate(names[i])]
    zero = [f"{name} = spread(np.{dtype}(0.0), {lanes})" for _, _, name in each]
    inner = [f"y{v} = get(y, p * row + {v * lanes}, {lanes})" for v in range(vectors)]
    for i in range(rows):
        inner.append(f"u = spread(x[p * right + {i} * down], {lanes})")
        inner += [f"{name} = fma(u, y{v}, {name})" for v, name in enumerate(names[i])]
    width = lanes * vectors
    if plain:
        place = "z, {} * below + {}"
        store = ["for again in range(min(begin, 1)):"]
        store += [f"    {n} = {n} + get({place.format(i, v * lanes)}, {lanes})" for i, v, n in each]
        store += [f"put({place.format(i, v * lanes)}, {n})" for i, v, n in each]
    else:
        store = [f"put(tile, {i * width + v * lanes}, {n})" for i, v, n in each]
        spots = [(f"tile[{i * width} + q]", f"there[{i}{'' if column else ' * below'}]") for i in range(rows)]
        store += [
            "for again in range(min(begin, 1)):",
            "    for q in range(columns):",
            "        there = z[q * beside :]",
        ]
        store += [f"        {spot} = {spot} + {there}" for spot, there in spots]
        store += ["for q in range(columns):", "    there = z[q * beside :]"]
        store += [f"    {there} = {spot}" for spot, there in spots]
    return _PRODUCT.format(
        dtype=dtype, rows=rows, width=width, zero=_lines(5, zero), inner=_lines(6, inner), store=_lines(5, store),
        room="" if plain else f"    tile = np.empty({rows * width}, np.{dtype})\n",
    )  # fmt: skip
