"""Windows: the largest entry of each as a kernel, and numbers put where it is; sums over all axes but one in the middle."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..ops.sliding import Axis
from . import scalar
from .direct import convolution, kernel, repeat
from .emit import Source
from .program import Equation

_MOST = 16  # entries of a window that are written out


def _even(axis: Axis) -> bool:
    """Whether the windows are whole, and equally far apart."""
    return not axis.part and all(isinstance(key, slice) for key in axis.full) and bool(axis.full)


class _Planes:
    """Planes with windows; one axis counts as two.  What is done along the rows is done for all of them in one go, where
    windows fill them: rows are short."""

    def __init__(self, over: tuple[Axis, ...], dtype: str) -> None:
        last, self.dtype = over[-1], dtype
        self.m, self.h, self.down, self.rows = 1, 1, 1, [0]
        if len(over) > 1:
            first = over[0]
            self.m, self.h, self.down, self.rows = (
                first.out,
                first.size,
                first.full[0].step,
                [k.start for k in first.full],
            )
        self.n, self.w, self.right, self.places = last.out, last.size, last.full[0].step, [k.start for k in last.full]
        self.zero = f"np.{dtype}(0.0)"

    def along(self, rows: int, body: list[str]) -> list[str]:
        """``body`` for window t, which begins at q, of so many rows."""
        if self.n * self.right == self.w:
            return repeat("t", rows * self.n, [f"q = t * {self.right}", *body])
        line = [f"q = i * {self.w} + j * {self.right}", f"t = i * {self.n} + j", *body]
        return repeat("i", rows, repeat("j", self.n, line))

    def largest(self, name: str, entries: list[str]) -> list[str]:
        first, *rest = entries
        return [f"{name} = {first}", *[f"{name} = largest_{self.dtype}({name}, {e})" for e in rest]]

    def kernel(self, names: str, scratch: list[str], body: list[str]) -> str:
        """``body`` for each plane of the arrays, of which x and z are those with windows."""
        starts = [f"{a} = {a}_[n * {self.h * self.w if a in 'xz' else self.m * self.n} :]" for a in names]
        return kernel([*names], self.dtype, ["far = False", *scratch], "n", [*starts, *body], "far")


def _largest(over: tuple[Axis, ...], dtype: str) -> str:
    p = _Planes(over, dtype)
    down = [*p.largest("v", [f"x[i * {p.down * p.w} + {a * p.w} + j]" for a in p.rows]), f"h[i * {p.w} + j] = v"]
    right = [*p.largest("v", [f"h[q + {b}]" for b in p.places]), "y[t] = v"]
    body = [*repeat("i", p.m, repeat("j", p.w, down)), *p.along(p.m, right)]
    return p.kernel("xy", [f"h = np.empty({p.m * p.w}, np.{dtype})"], body)


def _to_largest(over: tuple[Axis, ...], dtype: str) -> str:
    """Of equal entries the first in a row, and of equal rows the first, which is the first in all."""
    p = _Planes(over, dtype)
    size = p.h * p.n
    down = [f"v = b[i * {p.n} + j]", f"c = g[i * {p.n} + j]", "far = far | (v != v)", "free = True"]
    for a in p.rows:
        spot = f"(i * {p.down} + {a}) * {p.n} + j"
        down += [f"here = free & (h[{spot}] == v)", f"k[{spot}] = c if here else {p.zero}", "free = free & (not here)"]
    right = ["v = h[t]", "c = k[t]", "free = True"]
    for place in p.places:
        right += [
            f"here = free & (x[q + {place}] == v)",
            f"z[q + {place}] = c if here else {p.zero}",
            "free = free & (not here)",
        ]
    body = p.along(p.h, [*p.largest("v", [f"x[q + {place}]" for place in p.places]), "h[t] = v"])
    body += repeat("i", p.m, repeat("j", p.n, down))
    if len(p.places) * p.n < p.w:
        body += repeat("i", p.h * p.w, [f"z[i] = {p.zero}"])
    scratch = [f"{name} = np.empty({size}, np.{dtype})" for name in "hk"] + repeat("i", size, [f"k[i] = {p.zero}"])
    return p.kernel("gxbz", scratch, [*body, *p.along(p.h, right)])


def _sums(dtype: str, lead: int, count: int, inner: int) -> str:
    """The sum over all axes but one, for blocks that are its entries."""
    row = [f"xs = x_[(n * {count} + c) * {inner} :]", f"part = np.{dtype}(0.0)"]
    row += [f"for i in range({inner}):", f"    part = sum_{dtype}(part, xs[i])", "total = total + np.float64(part)"]
    return kernel(
        ["x", "out"], dtype, [], "c", ["total = 0.0", *repeat("n", lead, row), f"out_[c] = np.{dtype}(total)"]
    )


def _pool(eq: Equation) -> Source | None:
    over, back = eq.params["over"], eq.name == "ToLargest"
    if len(over) > 2 or not all(map(_even, over)) or math.prod(len(axis.full) for axis in over) > _MOST:
        return None
    if back and not all(axis.apart for axis in over):
        return None
    planes = math.prod(eq.out.shape[: -len(over)])
    text = (_to_largest if back else _largest)(over, eq.out.dtype.name)
    return Source(text, "", list(eq.vars), [], [eq.out], [], planes, cost=float(eq.vars[back].size))


def _sum(eq: Equation) -> Source | None:
    shape, axes = eq.vars[0].shape, {a % len(eq.vars[0].shape) for a in eq.params["axis"]}
    kept = [a for a in range(len(shape)) if a not in axes]
    if len(kept) != 1 or kept[0] in (0, len(shape) - 1) or math.prod(shape[kept[0] + 1 :]) < _MOST:
        return None
    lead, inner = math.prod(shape[: kept[0]]), math.prod(shape[kept[0] + 1 :])
    text = _sums(eq.out.dtype.name, lead, shape[kept[0]], inner)
    return Source(text, "", list(eq.vars), [], [eq.out], [], shape[kept[0]], cost=eq.vars[0].size / 4)


_KINDS: dict[str, Callable[[Equation], Source | None]] = {
    "MaxPool": _pool, "ToLargest": _pool, "Sum": _sum, "Convolution": convolution, "BiasedConvolution": convolution,
    "ConvolutionTranspose": convolution, "ConvolutionWeights": convolution,
}  # fmt: skip


def direct_source(eq: Equation) -> Source | None:
    """The kernel of an equation over windows, if it has one."""
    kind = _KINDS.get(eq.name)
    if kind is None or len(eq.vars) < len(eq.args) or not all(v.size for v in (*eq.vars, eq.out)):
        return None
    dtypes = {v.dtype for v in (*eq.vars, eq.out)}
    return kind(eq) if len(dtypes) == 1 and dtypes <= scalar.FLOATS else None
