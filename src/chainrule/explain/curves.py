"""A function of one variable along a range: all orders of derivative at once, and where they vanish."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from .. import func
from ..creation import tensor
from ..dtypes import float64
from .refusals import tensor_result

Array = np.ndarray[Any, np.dtype[np.float64]]

POINTS: Final = 401
STEPS: Final = 60  # to a root


@dataclass(frozen=True)
class Mark:
    """A point worth marking: a "maximum", a "minimum" or an "inflection"."""

    kind: str
    x: float
    y: float


def orders_of(f: Callable[..., Any], xs: Any, top: int) -> Array:
    """The derivatives of orders 0 to ``top`` of ``f`` at each of some points, as rows."""
    points = tensor(np.asarray(xs, float), dtype=float64)

    def one(x: Any) -> Any:
        y = tensor_result(f(x))
        if y.numel() != 1:
            raise ValueError(
                f"a plot is of one number, but the result has shape {list(y.shape)}: take y[0], or y.sum()"
            )
        return y

    def series(x: Any) -> Any:
        return func.taylor(one, x, top).reshape(top + 1)

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            found = func.vmap(series)(points).numpy().T
        except RuntimeError:  # it branches on its value, which a batch has many of
            found = np.stack([series(x).numpy() for x in points], axis=1)
    factorials = [math.factorial(k) for k in range(top + 1)]
    return np.asarray(found * np.array(factorials)[:, None])


def marks(f: Callable[..., Any], xs: Array, values: Array) -> list[Mark]:
    """The extrema, where the slope changes its sign, and the inflections, where the second derivative does.

    ``values`` are the derivatives at ``xs``, from order 0 on.  A jump of the sign at a pole or a kink that goes on
    to be one however near one looks is an extremum only if the function is continuous there.
    """
    found = []
    for order, kinds in ((1, ("maximum", "minimum")), (2, ("inflection", "inflection"))):
        if order >= len(values):
            break
        changes = _changes(values[order])
        if not changes:
            continue
        first, last = np.array(changes).T
        roots = _roots(f, order, xs[first], xs[last])
        roots[abs(roots) < 1e-12 * (xs[-1] - xs[0])] = 0.0
        heights = orders_of(f, roots, 0)[0]
        steep = 1e3 * (1 + np.nanmedian(abs(values[1])))
        jumps = ~(abs(values[0][last] - values[0][first]) <= steep * (xs[last] - xs[first]))  # nan is no way through
        for i, x, y, jump in zip(first, roots, heights, jumps, strict=True):
            if math.isfinite(y) and not jump:
                found.append(Mark(kinds[0] if values[order][i] > 0 else kinds[1], float(x), float(y)))
    return found


def _changes(slope: Array) -> list[tuple[int, int]]:
    """Neighbouring points between which a derivative changes its sign, perhaps with a single zero between."""
    signs = np.sign(np.where(np.isfinite(slope), slope, 0))
    places = np.flatnonzero(signs)
    return [
        (int(i), int(j)) for i, j in zip(places, places[1:], strict=False)
        if signs[i] != signs[j] and j - i <= 2 and np.isfinite(slope[i : j + 1]).all()
    ]  # fmt: skip


def _roots(f: Callable[..., Any], order: int, left: Array, right: Array) -> Array:
    """Where the derivative changes its sign between each two points: by Newton's steps, or halves where they lead out."""
    start = np.sign(orders_of(f, left, order)[order])
    x = (left + right) / 2
    for _ in range(STEPS):
        value, slope = orders_of(f, x, order + 1)[order:]
        left, right = np.where(value * start < 0, left, x), np.where(value * start > 0, right, x)
        with np.errstate(all="ignore"):
            newton = x - value / slope
        middle = np.where((left < newton) & (newton < right), newton, (left + right) / 2)
        if (abs(middle - x) <= 4 * np.spacing(abs(x))).all():
            break
        x = middle
    return x


def gradients(f: Callable[..., Any], us: Array, vs: Array) -> tuple[Array, Array, Array]:
    """The values of a function of two variables at points of any shape, and its two partial derivatives."""
    at = tuple(tensor(np.ravel(a).astype(float), dtype=float64) for a in (us, vs))

    def both(u: Any, v: Any) -> Any:
        (du, dv), y = func.grad_and_value(lambda u, v: f(u, v).sum(), argnums=(0, 1))(u, v)
        return y, du, dv

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            found: Sequence[Any] = [a.numpy() for a in func.vmap(both)(*at)]
        except RuntimeError:
            each = [[p.item() for p in both(u, v)] for u, v in zip(*at, strict=True)]
            found = list(np.array(each).T)
    y, du, dv = (np.asarray(a).reshape(us.shape) for a in found)
    return y, du, dv
