"""Products: matrices times matrices as kernels, in vectors of this machine.

One operand is *broadcast*, entry by entry, and may lie in memory in any way; of the other, whole vectors are read, so its rows
must be contiguous, or are packed into panels first.  A tile of the result, some rows by some vectors, is kept in registers
over a stretch of the inner length; that is where the time goes, and it runs at the speed of the multiply-adders.  The scheme
is that of Goto and van de Geijn's "Anatomy of High-Performance Matrix Multiplication" with one level of packing: the larger
operand is broadcast from where it is.  A kernel has tiles of one size only; what is left at the edges is a call of another.
"""

from __future__ import annotations

NAME = "def product"
# Copies an operand into panels of contiguous rows, the last one filled up with zeros.
PACK = """\
def pack(first: int, last: int, x_: {dtype}[:], y_: {dtype}[:], n: int, k: int, down: int, right: int, panels: int, apart: int):
    for u in range(first, last):
        item = u // panels
        column = (u - item * panels) * {width}
        columns = min({width}, n - column)
        xs = x_[item * apart + column * right :]
        ys = y_[u * k * {width} :]
        for p in range(k):
            for j in range(columns):
                ys[p * {width} + j] = xs[p * down + j * right]
            for j in range(columns, {width}):
                ys[p * {width} + j] = np.{dtype}(0.0)"""
# Rows times one vector, where the rows are contiguous.
DOTS = """\
def dots(first: int, last: int, x_: {dtype}[:], y_: {dtype}[:], out_: {dtype}[:], m: int, k: int, down: int, per: int):
    for i in range(first * per, min(last * per, m)):
        xs = x_[i * down :]
        total = np.{dtype}(0.0)
        for p in range(k):
            total = sum_{dtype}(total, xs[p] * y_[p])
        out_[i] = total"""
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


def product(dtype: str, lanes: int, rows: int, vectors: int, plain: bool) -> str:
    """The kernel of tiles of so many rows, and vectors of so many entries; ``plain``: of whole rows that are contiguous."""
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
        store += ["for q in range(columns):", f"    for i in range({rows}):", "        at = i * below + q * beside"]
        store += [f"        s = tile[i * {width} + q]", "        z[at] = z[at] + s if begin > 0 else s"]
    zero, inner, store = (["    " * by + line for line in lines] for by, lines in ((5, zero), (6, inner), (5, store)))
    return _PRODUCT.format(
        dtype=dtype, rows=rows, width=width, zero="\n".join(zero), inner="\n".join(inner),
        store="\n".join(store), room="" if plain else f"    tile = np.empty({rows * width}, np.{dtype})\n",
    )  # fmt: skip
