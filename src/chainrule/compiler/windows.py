"""Windows: the largest entry of each as a kernel, and numbers put where it is; sums over all axes but one in the middle."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

from ..ops.sliding import Axis
from . import scalar
from .direct import convolution, indent, kernel, repeat
from .emit import Source
from .program import Equation

_MOST = 16  # entries of a window that are written out


def _even(axis: Axis) -> bool:
    """Whether the windows are whole, and equally far apart."""
    return not axis.part and all(isinstance(key, slice) for key in axis.full) and bool(axis.full)


class _Planes:
    """Planes with windows; one axis counts as two."""

    def __init__(self, over: tuple[Axis, ...]) -> None:
        last = over[-1]
        self.m, self.h, down, rows = 1, 1, 0, [0]
        if len(over) > 1:
            first = over[0]
            self.m, self.h, down, rows = first.out, first.size, first.full[0].step, [key.start for key in first.full]
        self.n, self.w, self.right = last.out, last.size, last.full[0].step
        self.places = [i * self.w + key.start for i, key in product(rows, last.full)]
        self.row = f"n * {self.h * self.w} + i * {down * self.w}"
        self.result = f"(n * {self.m} + i) * {self.n}"

    def entry(self, name: str, place: int) -> str:
        return f"{name}[q + {place}]"

    def over(self, arrays: list[str], body: list[str]) -> list[str]:
        """``body`` for the windows of a plane, with each array from the row on."""
        starts = [f"{a}s = {a}_[{self.row if a in 'xz' else self.result} :]" for a in arrays]
        line = [f"q = j * {self.right}", *body]
        return repeat("i", self.m, [*starts, f"for j in range({self.n}):", *indent(line)])


def _largest(over: tuple[Axis, ...], dtype: str) -> str:
    p = _Planes(over)
    first, *rest = [p.entry("xs", place) for place in p.places]
    body = [f"v = {first}", *[f"v = largest_{dtype}(v, {e})" for e in rest], "ys[j] = v"]
    return kernel(["x", "y"], dtype, [], "n", p.over(["x", "y"], body))


def _to_largest(over: tuple[Axis, ...], dtype: str) -> str:
    p, zero = _Planes(over), f"np.{dtype}(0.0)"
    body = ["v = bs[j]", "g = gs[j]", "far = far | (v != v)", "free = True"]
    for place in p.places:
        body.append(f"here = {p.entry('xs', place)} == v")
        body.append(f"{p.entry('zs', place)} = g if free & here else {zero}")
        body.append("free = free & (not here)")
    size = p.h * p.w
    plane = [] if len(p.places) * p.m * p.n == size else repeat("i", size, [f"z_[n * {size} + i] = {zero}"])
    return kernel(["g", "x", "b", "z"], dtype, ["far = False"], "n", plane + p.over(["g", "x", "b", "z"], body), "far")


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
