"""Direct: convolutions as kernels of their own, in vectors of this machine, with sizes written out.

Results are made some channels by some vectors at a time, in registers, while the entries of windows are gone through.  A
sample is copied first to where zeros surround it, row after row, so that the entries at one place of all windows follow
one another: a vector reads them from anywhere, and what it makes of the gaps between rows is not copied back.  For the
slope in the weights the vectors lie along the channels of the result instead, whose sample is turned for that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache

import numpy as np

from ..ops.columns import Grid
from .emit import Source
from .program import Equation

_MOST = 1 << 20  # entries of a sample with zeros around it: more would not stay in the cache
_CHAIN = 512  # products added up one by one, before the sum goes to others
_TURNED, _WORTH = (
    1 << 14,
    2048,
)  # weights that are laid in another order at no cost worth mention; windows that make up for more


@cache
def registers() -> tuple[int, int]:
    """How many vector registers there are, and how many bytes each has."""
    from .native import features

    found = features()
    if found.get("avx512f"):
        return 32, 64
    return (16, 32) if found.get("avx2") else (32 if found.get("neon") else 16, 16)


def indent(lines: Iterable[str], by: int = 1) -> list[str]:
    return ["    " * by + line for line in lines]


def repeat(name: str, count: int | str, body: list[str]) -> list[str]:
    """A loop that LLVM does not know the length of, and so does not write out."""
    return [f"for {name} in range(one * {count}):", *indent(body)]


def copied(count: int, assignment: str) -> list[str]:
    """Entries in a row copied, which it may write out."""
    return [f"for j in range({count}):", *indent([assignment])]


def kernel(
    parameters: list[str], dtype: str, start: list[str], block: str, body: list[str], result: str = "False"
) -> str:
    """A kernel that does something for each block."""
    head = ["first: int", "last: int", *[f"{name}_: {dtype}[:]" for name in parameters]]
    return "\n".join([f"def loop({', '.join(head)}):", *indent(
        ["one = min(1, last - first)", *start, f"for {block} in range(first, last):", *indent(body), f"return {result}"]
    )])  # fmt: skip


class _Sizes:
    """What the kernels of one convolution have in common; one axis counts as two."""

    def __init__(self, grid: Grid, dtype: str, channels: int) -> None:
        fill = (1, 1, 0, 1, 1, 1)
        found = [(n, *v) if len(v) == 1 else v for n, v in zip(fill, grid, strict=True)]
        (
            (self.kh, self.kw),
            (self.sh, self.sw),
            (self.ph, self.pw),
            (self.dh, self.dw),
            (self.h, self.w),
            (self.m, self.n),
        ) = found
        self.dtype, self.channels = dtype, channels
        self.high, self.wide = self.h + 2 * self.ph, self.w + 2 * self.pw
        self.plane = self.high * self.wide
        self.places = channels * self.kh * self.kw
        count, width = registers()
        self.many, self.lanes = count > 16, width // np.dtype(dtype).itemsize

    def zero(self, name: str, size: int) -> list[str]:
        return [
            f"{name} = np.empty({size}, np.{self.dtype})",
            *repeat("i", size, [f"{name}[i] = np.{self.dtype}(0.0)"]),
        ]

    def start(self, slack: int) -> list[str]:
        """Room for a sample with zeros around it, and how far the entries of a window are apart there."""
        place = (
            f"at[(c * {self.kh} + i) * {self.kw} + j] = c * {self.plane} + i * {self.dh * self.wide} + j * {self.dw}"
        )
        table = repeat("c", self.channels, repeat("i", self.kh, repeat("j", self.kw, [place])))
        return [
            *self.zero("full", self.channels * self.plane + slack),
            f"at = np.empty({self.places}, np.int64)",
            *table,
        ]

    def fill(self, sample: str) -> list[str]:
        """Copy a sample to between the zeros; ``sample`` numbers it among all groups of channels."""
        row = [
            f"xs = x_[(({sample}) * {self.channels} + c) * {self.h * self.w} + i * {self.w} :]",
            f"fs = full[c * {self.plane} + (i + {self.ph}) * {self.wide} + {self.pw} :]",
            *copied(self.w, "fs[j] = xs[j]"),
        ]
        return repeat("c", self.channels, repeat("i", self.h, row))


def _forward(grid: Grid, dtype: str, groups: int, channels: int, outs: int, bias: bool, turned: bool) -> str:
    """Sums over windows, for blocks that are samples; channels are a group's.  ``turned``: with the kernel turned about."""
    s = _Sizes(grid, dtype, channels)
    rows, vectors = (8, 2) if s.many else (4, 3 if s.lanes > 4 else 2)
    tile = s.lanes * vectors
    length = -(-((s.m - 1) * s.wide + s.n) // tile) * tile
    ones = s.kh * s.kw
    weight = f"w_[(g * {outs} + r) * {s.places} + k]"
    if turned:  # from (channels, outs / groups, *kernel)
        weight = f"w_[((g * {channels} + c) * {outs} + r) * {ones} + {ones - 1} - i]"
    order = [f"k = c * {ones} + i", *repeat("r", outs, [f"turn[(g * {s.places} + k) * {outs} + r] = {weight}"])]
    body = [*s.start(length), *s.zero("sums", rows * length)]
    body += [
        f"turn = np.empty({groups * outs * s.places}, np.{dtype})",
        *repeat("g", groups, repeat("c", channels, repeat("i", ones, order))),
    ]

    def block(first: str, rows: int) -> list[str]:
        """Some channels of the result, from one on."""
        names = [[f"s{r}_{v}" for v in range(vectors)] for r in range(rows)]
        start = [f"b_[g * {outs} + {first} + {r}]" if bias else f"np.{dtype}(0.0)" for r in range(rows)]
        lines = [f"{name} = spread({start[r]}, {s.lanes})" for r in range(rows) for name in names[r]]
        inner = ["q = at[k] + t", f"us = turn[(g * {s.places} + k) * {outs} + {first} :]"]
        inner += [f"a{v} = get(full, q + {v * s.lanes}, {s.lanes})" for v in range(vectors)]
        for r in range(rows):
            inner += [f"u = spread(us[{r}], {s.lanes})", *[f"{n} = fma(a{v}, u, {n})" for v, n in enumerate(names[r])]]
        lines += repeat("k", s.places, inner)
        lines += [
            f"put(sums, t + {r * length + v * s.lanes}, {n})" for r in range(rows) for v, n in enumerate(names[r])
        ]
        back = [
            f"ys = out_[((n * {groups} + g) * {outs} + {first} + r) * {s.m * s.n} + i * {s.n} :]",
            f"zs = sums[r * {length} + i * {s.wide} :]", *copied(s.n, "ys[j] = zs[j]"),
        ]  # fmt: skip
        return [
            *repeat("tile", length // tile, [f"t = tile * {tile}", *lines]),
            *repeat("r", rows, repeat("i", s.m, back)),
        ]

    whole, rest = divmod(outs, rows)
    group = s.fill(f"n * {groups} + g")
    group += repeat("o", whole, [f"p = o * {rows}", *block("p", rows)]) if whole else []
    group += block(str(whole * rows), rest) if rest else []
    return kernel(["x", "w", *["b"] * bias, "out"], dtype, body, "n", repeat("g", groups, group))


def _weights(grid: Grid, dtype: str, samples: int, channels: int, outs: int) -> tuple[str, int]:
    """The slope in the weights, for blocks that are some channels of the result; and how many blocks there are."""
    s = _Sizes(grid, dtype, channels)
    vectors = 2 if s.many and outs > s.lanes else 1
    lanes = s.lanes * vectors
    most = 24 // vectors if s.many else 12
    each = max(_CHAIN // s.n, 1)
    step = min(range(most // 2, most + 1), key=lambda k: (-(-s.places // k), k))  # as few passes as there can be
    body = [*s.start(0), *s.zero("turn", s.m * s.n * lanes), f"sums = np.empty({s.places * lanes}, np.{dtype})"]

    def block(first: str, count: int) -> list[str]:
        """Some places in the kernel, from one on."""
        names = [[f"s{k}_{v}" for v in range(vectors)] for k in range(count)]
        spots = [(k, v, f"({first} + {k}) * {lanes} + {v * s.lanes}") for k in range(count) for v in range(vectors)]
        inner = [f"t = (i * {s.n} + j) * {lanes}", f"q = i * {s.sh * s.wide} + j * {s.sw}"]
        inner += [f"b{v} = get(turn, t + {v * s.lanes}, {s.lanes})" for v in range(vectors)]
        for k in range(count):
            inner += [
                f"u = spread(full[q{k} + q], {s.lanes})",
                *[f"{n} = fma(b{v}, u, {n})" for v, n in enumerate(names[k])],
            ]
        return [
            *[f"q{k} = at[{first} + {k}]" for k in range(count)],
            *repeat("chunk", -(-s.m // each), [
                *[f"{names[k][v]} = spread(np.{dtype}(0.0), {s.lanes})" for k, v, _ in spots],
                f"for i in range(chunk * {each}, min(chunk * {each} + {each}, {s.m})):", *indent(repeat("j", s.n, inner)),
                *[f"put(sums, {spot}, get(sums, {spot}, {s.lanes}) + {names[k][v]})" for k, v, spot in spots],
            ]),
        ]  # fmt: skip

    whole, rest = divmod(s.places, step)
    turn = [
        f"ys = y_[(n * {outs} + p + o) * {s.m * s.n} :]",
        *repeat("t", s.m * s.n, [f"turn[t * {lanes} + o] = ys[t]"]),
    ]
    sample = [*s.fill("n"), *repeat("o", "count", turn)]
    sample += repeat("k", whole, [f"l = k * {step}", *block("l", step)]) if whole else []
    sample += block(str(whole * step), rest) if rest else []
    unit = [f"p = unit * {lanes}", f"count = min({lanes}, {outs} - p)"]
    unit += repeat("i", s.places * lanes, [f"sums[i] = np.{dtype}(0.0)"]) + repeat("n", samples, sample)
    unit += repeat("o", "count", repeat("k", s.places, [f"out_[(p + o) * {s.places} + k] = sums[k * {lanes} + o]"]))
    return kernel(["x", "y", "out"], dtype, body, "unit", unit), -(-outs // lanes)


def convolution(eq: Equation) -> Source | None:
    """The kernel of a convolution or of one of its slopes, if it is one that is quicker here than by columns."""
    grid, groups = eq.params["grid"], eq.params["groups"]
    rank, d = len(grid.size), eq.out.dtype
    if rank > 2 or any(len(v.shape) not in (1, rank + 2) for v in eq.vars):
        return None
    padded = math.prod(grid.padded) * max(v.shape[1] for v in eq.vars[:2] if len(v.shape) > 1)
    if padded > _MOST:
        return None
    x, y = eq.vars[:2]
    cost = math.prod(grid.out) * math.prod(grid.kernel) * x.shape[0] * x.shape[1] * y.shape[1] / 50  # products
    one_apart = all(n == 1 for n in grid.stride)
    if eq.name == "ConvolutionWeights":
        if groups > 1:
            return None
        text, blocks = _weights(grid, d.name, x.shape[0], x.shape[1], y.shape[1])
        return Source(text, "", list(eq.vars), [], [eq.out], [], blocks, cost=cost)
    weights = math.prod(y.shape)
    if not one_apart or (weights > _TURNED and x.shape[0] * math.prod(grid.out) < _WORTH):
        return None
    if eq.name == "ConvolutionTranspose":
        padding = tuple(r - 1 - p for r, p in zip(grid.reach, grid.padding, strict=True))
        fits = tuple(m + 2 * p - r + 1 for m, p, r in zip(grid.out, padding, grid.reach, strict=True)) == grid.size
        if min(padding) < 0 or not fits:
            return None
        turned = Grid(grid.kernel, grid.stride, padding, grid.dilation, grid.out, grid.size)
        text = _forward(turned, d.name, groups, x.shape[1] // groups, y.shape[1], False, True)
    else:
        text = _forward(grid, d.name, groups, y.shape[1], y.shape[0] // groups, len(eq.vars) > 2, False)
    return Source(text, "", list(eq.vars), [], [eq.out], [], x.shape[0], cost=cost)
