"""Running products, extremes and logarithms of sums; differences and integrals along a dimension."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..outputs import ANY, SCALAR_TYPE, takes_out
from ..primitive import Primitive, conj
from ..tensor import Tensor, wrap
from .extremes import return_type
from .kinds import attach, export, export_all, in_place_of, public
from .ordering import Position
from .places import Gather
from .reduce import _to_dtype, as_asked
from .whole import clone_as

cat, cumsum = public["cat"], public["cumsum"]


def along(x: Any, axis: int, part: slice) -> Any:
    """A slice of ``x`` along a negative axis."""
    return x[(..., part, *(slice(None),) * (-1 - axis))]


def recurrence(xp: Any, a: Any, b: Any, axis: int) -> Any:
    """y with ``y[i] = a[i] y[i-1] + b[i]``, in log(n) steps: each joins stretches twice as long."""
    n, step = b.shape[axis], 1
    while step < n:
        head = slice(0, step)
        rest, before = slice(step, None), slice(None, -step)
        b = xp.concat(
            [along(b, axis, head), along(b, axis, rest) + along(a, axis, rest) * along(b, axis, before)], axis=axis
        )
        if 2 * step < n:
            a = xp.concat([along(a, axis, head), along(a, axis, rest) * along(a, axis, before)], axis=axis)
        step *= 2
    return b


def shifted(xp: Any, x: Any, axis: int, first: Any) -> Any:
    """``x`` moved on by one along the axis, with the number ``first`` at the start."""
    return xp.concat([xp.zeros_like(along(x, axis, slice(0, 1))) + first, along(x, axis, slice(None, -1))], axis=axis)


class Cumprod(Primitive):
    """Running products; the derivatives are exact where entries are 0."""

    forward = lambda xp, x, *, axis: xp.cumulative_prod(x, axis=axis + len(x.shape))
    vjp_x = lambda xp, g, x, out, axis: cumprod_back(xp, g, x, out, axis)
    jvp_x = lambda xp, t, x, out, axis: recurrence(xp, x, shifted(xp, out, axis, 1) * t, axis)
    depends = lambda xp, x, axis, out_shape: xp.broadcast_to(xp.sum(x, axis=axis, keepdims=True), out_shape)
    formula = False
    samples = [
        (((2, 4),), {"axis": -1}),
        (([[1.5, 0.0, 2.0, 0.0], [0.5, -1.0, 3.0, 2.0]],), {"axis": -1}),
        (((3, 2),), {"axis": -2}),
    ]


def cumprod_back(xp: Any, g: Any, x: Any, out: Any, axis: int) -> Any:
    """``s[k] = g[k] + x[k+1] s[k+1]``, from the end, times the product of the entries before k."""
    x, out = conj(xp, x), conj(xp, out)
    factors = shifted(xp, xp.flip(x, axis=axis), axis, 1)
    sums = recurrence(xp, factors, xp.flip(g, axis=axis), axis)
    return xp.flip(sums, axis=axis) * shifted(xp, out, axis, 1)


class Logcumsumexp(Primitive):
    """``log(cumsum(exp(x)))`` without overflow."""

    forward = lambda xp, x, *, axis: xp.running_logsumexp(x, axis=axis)
    vjp_x = lambda xp, g, x, out, axis: logcumsumexp_back(xp, g, x, out, axis)
    jvp_x = lambda xp, t, x, out, axis: logcumsumexp_push(xp, t, x, out, axis)
    depends = lambda xp, x, axis, out_shape: xp.broadcast_to(xp.sum(x, axis=axis, keepdims=True), out_shape)
    formula = False
    samples = [(((2, 4),), {"axis": -1}), (((3, 2),), {"axis": -2})]


def _decay(xp: Any, out: Any, axis: int) -> Any:
    """``exp(out[i-1] - out[i])``, at most 1; 0 at the start."""
    before, here = along(out, axis, slice(None, -1)), along(out, axis, slice(1, None))
    same = before == here  # two infinities among them
    ratio = xp.where(same, xp.ones_like(here), xp.exp(xp.where(same, xp.zeros_like(here), before - here)))
    return xp.concat([xp.zeros_like(along(out, axis, slice(0, 1))), ratio], axis=axis)


def _weight(xp: Any, x: Any, out: Any) -> Any:
    same = x == out
    return xp.where(same, xp.ones_like(out), xp.exp(xp.where(same, xp.zeros_like(out), x - out)))


def logcumsumexp_back(xp: Any, g: Any, x: Any, out: Any, axis: int) -> Any:
    decay = xp.flip(_decay(xp, conj(xp, out), axis), axis=axis)
    sums = recurrence(xp, shifted(xp, decay, axis, 0), xp.flip(g, axis=axis), axis)
    return xp.flip(sums, axis=axis) * conj(xp, _weight(xp, x, out))


def logcumsumexp_push(xp: Any, t: Any, x: Any, out: Any, axis: int) -> Any:
    return recurrence(xp, _decay(xp, out, axis), _weight(xp, x, out) * t, axis)


_cumprod: Primitive = Cumprod()
_logcumsumexp: Primitive = Logcumsumexp()


@takes_out(ANY)
def cumprod(input: Tensor, dim: int, *, dtype: Any = None, out: Tensor | None = None) -> Tensor:
    """Running products along ``dim``.

    Source: ``torch.cumprod``.

    >>> import chainrule as torch
    >>> torch.cumprod(torch.tensor([1.0, 2.0, 3.0]), 0)
    tensor([1., 2., 6.])
    """
    x = _to_dtype(input, dtype, widen=True)
    at = x._dim(dim)
    return as_asked(_cumprod(x, axis=at - x.ndim), dtype) if x.numel() and x.ndim else clone_as("CumprodBackward0", x)


@takes_out(SCALAR_TYPE)
def logcumsumexp(input: Tensor, dim: int, *, out: Tensor | None = None) -> Tensor:
    """``log(cumsum(exp(input)))`` along ``dim``, without overflow.

    Source: ``torch.logcumsumexp``.
    """
    at = input._dim(dim)
    if not (input.numel() and input.ndim):
        return clone_as("LogcumsumexpBackward0", input)
    return _logcumsumexp(input, axis=at - input.ndim)


# --- running extremes ---


class ArgRunning(Position):
    """The place of the largest entry (or smallest) so far, of equal ones the last; a nan stays."""

    forward = lambda xp, x, *, axis, largest: xp.running_place(x, axis=axis, largest=largest)
    samples = [(((2, 4),), {"axis": -1, "largest": True}), (((3, 2),), {"axis": -2, "largest": False})]


_running = ArgRunning()
_cummax_at, _cummin_at = Gather("CummaxBackward0"), Gather("CumminBackward0")
_Cummax, _Cummin = return_type("cummax", "values", "indices"), return_type("cummin", "values", "indices")


def _running_extreme(gather: Any, result: Any, x: Tensor, dim: int, largest: bool) -> Any:
    axis = x._dim(dim) - x.ndim
    if not x.ndim:
        return result(clone_as(gather.label, x), wrap(np.zeros((), np.int64)))
    where = _running(x, axis=axis, largest=largest)
    return result(gather(x, where, axis=axis), where)


@takes_out(SCALAR_TYPE)
def cummax(input: Tensor, dim: int, *, out: Any = None) -> Any:
    """(values, indices) of the largest entry so far along ``dim``.

    Source: ``torch.cummax``.
    """
    return _running_extreme(_cummax_at, _Cummax, input, dim, True)


@takes_out(SCALAR_TYPE)
def cummin(input: Tensor, dim: int, *, out: Any = None) -> Any:
    """(values, indices) of the smallest entry so far along ``dim``.

    Source: ``torch.cummin``.
    """
    return _running_extreme(_cummin_at, _Cummin, input, dim, False)


# --- differences and integrals ---


@takes_out(SCALAR_TYPE)
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None, *,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The differences of neighbours along ``dim``, taken ``n`` times.

    Source: ``torch.diff``.
    """
    if not input.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    at = input._dim(dim)
    ends = [t for t in (prepend, input, append) if t is not None]
    x = cat(ends, at) if len(ends) > 1 else input
    for _ in range(min(n, x._shape[at])):
        m = x._shape[at]
        upper, lower = x.narrow(at, 1, m - 1), x.narrow(at, 0, m - 1)
        x = upper ^ lower if x._dtype.kind == "b" else upper - lower
    return x if n else x.clone()


def _spacings(name: str, y: Tensor, x: Any, dx: Any, dim: int) -> Any:
    """The lengths of the intervals between neighbours along ``dim``."""
    if x is None:
        return 1 if dx is None else dx
    if not isinstance(x, Tensor):
        return x
    if x.ndim == 1 and x._shape[0] != y._shape[dim] and x._shape[0] != 1:
        raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
    if x.ndim == 1:
        x = x.reshape(*(-1 if i == dim else 1 for i in range(y.ndim)))
    elif x.ndim < y.ndim:
        x = x.reshape(*(1,) * (y.ndim - x.ndim), *x._shape)
    return diff(x, dim=dim)


def _areas(name: str, y: Tensor, x: Any, dx: Any, dim: int) -> Tensor:
    at = y._dim(dim)
    n = y._shape[at]
    left, right = y.narrow(at, 0, max(n - 1, 0)), y.narrow(at, 1 if n else 0, max(n - 1, 0))
    return (left + right) * _spacings(name, y, x, dx, at) / 2.0  # type: ignore[no-any-return]


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The integral along ``dim`` by the trapezoidal rule, at points ``x`` or ``dx`` apart.

    Source: ``torch.trapezoid``.
    """
    return _areas("trapezoid", y, x, dx, dim).sum(y._dim(dim))


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The running integral along ``dim`` by the trapezoidal rule.

    Source: ``torch.cumulative_trapezoid``.
    """
    return cumsum(_areas("cumulative_trapezoid", y, x, dx, dim), y._dim(dim))


def gradient(input: Tensor, *, spacing: Any = None, dim: Any = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """Derivatives along each of ``dim``, estimated from neighbours to second order, at the ends to ``edge_order``.

    ``spacing`` is the distance of the points, one number or one for each dimension, or their coordinates.

    Source: ``torch.gradient``.
    """
    dims = (
        list(range(input.ndim)) if dim is None else [input._dim(d) for d in ((dim,) if isinstance(dim, int) else dim)]
    )
    spacing = 1 if spacing is None else spacing
    given = list(spacing) if isinstance(spacing, (tuple, list)) else [spacing] * len(dims)
    if len(given) != len(dims):
        raise RuntimeError(
            f"torch.gradient expected spacing to be unspecified, a scalar or a list of length {len(dims)}, but got a list of "
            f"length {len(given)}"
        )
    return tuple([_slope_along(input, d, h, edge_order) for d, h in zip(dims, given, strict=True)])


def _slope_along(x: Tensor, d: int, h: Any, edge_order: int) -> Tensor:
    n = x._shape[d]
    if n < edge_order + 1:
        raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")

    def part(a: int, b: int) -> Tensor:
        return x.narrow(d, a, b - a)

    if isinstance(h, Tensor) and h.ndim:
        steps = diff(h).reshape(*(-1 if i == d else 1 for i in range(x.ndim)))
        before, after = steps.narrow(d, 0, n - 2), steps.narrow(d, 1, n - 2)
    else:
        steps = None
        before = after = h
    inner = (
        part(0, n - 2) * (-after / (before * (before + after)))
        + part(1, n - 1) * ((after - before) / (before * after))
        + part(2, n) * (before / (after * (before + after)))
        if steps is not None
        else (part(2, n) - part(0, n - 2)) / (2.0 * h)
    )
    ends = []
    for a, b, c in ((0, 1, 2), (n - 1, n - 2, n - 3)):
        sign = 1.0 if a == 0 else -1.0
        first = steps.narrow(d, 0 if a == 0 else n - 2, 1) if steps is not None else h
        if edge_order == 1:
            ends.append(sign * (part(b, b + 1) - part(a, a + 1)) / first)
        else:
            second = steps.narrow(d, 1 if a == 0 else n - 3, 1) if steps is not None else h
            ends.append(sign * (
                part(a, a + 1) * (-(2.0 * first + second) / (first * (first + second)))
                + part(b, b + 1) * ((first + second) / (first * second))
                - part(c, c + 1) * (first / (second * (first + second)))
            ))  # fmt: skip
    return cat([ends[0], inner, ends[1]], d)


export("cumprod", cumprod, in_place=True)
attach(cumsum_=in_place_of(cumsum, "cumsum"))
export_all(logcumsumexp, cummax, cummin, diff)
export_all(trapezoid, cumulative_trapezoid, gradient, method=False)
export("trapz", trapezoid, method=False)
