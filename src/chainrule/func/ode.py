"""Ordinary differential equations y' = f(t, y), and the derivatives of their solutions.

The steps are Dormand and Prince's of order 5, their lengths chosen by an estimate of order 4.  They are operations
on tensors, so derivatives of any kind can go through them.  :class:`Flow`, the adjoint way, keeps no step: its rule
is again a differential equation, solved backwards for reverse mode and forwards for forward mode, and again for
every further order.  (Dormand and Prince 1980; Hairer, Nørsett and Wanner, *Solving Ordinary Differential Equations
I*, chapter II.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..arrays import namespace as ns
from ..errors import explained
from ..modes import no_grad
from ..primitive import Primitive, bind
from ..tensor import Tensor, lower
from . import tree
from .forward import jvp
from .implicit import check_closure
from .levels import as_tensor, inside
from .reverse import vjp
from .vector import Packed, as_x, cat

Rhs = Callable[[Tensor, Tensor, Tensor], Tensor]  # f(t, y, θ), y and θ flat

# Row i: from which slopes, with which weights, the next stage starts; the last row is the result of order 5.
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
TIMES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1)
ERROR = (71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


@dataclass(frozen=True)
class Tolerance:
    """An entry's error in a step is to stay below ``atol + rtol * |entry|``, in the mean over the entries."""

    rtol: float
    atol: float
    max_steps: int

    def size(self, v: Any, *states: Any) -> float:
        """``v`` by what is allowed at these states; the largest, where there is a batch of them."""
        largest = np.max([np.abs(_numbers(y)) for y in states], axis=0)
        allowed = self.atol + max(self.rtol, 4 * float(np.finfo(largest.dtype).eps)) * largest
        each = np.abs(_numbers(v)) / allowed
        return float(np.sqrt(np.mean(each**2, axis=-1)).max()) if each.size else 0.0


def _numbers(a: Any) -> np.ndarray[Any, Any]:
    """The numbers at the bottom, a batch's axis and all: the lengths of steps are constants of every transform."""
    while isinstance(a, Tensor):
        a = a._a
    return np.asarray(a)


Slope = Callable[[Any, Any], Any]  # f(t, y): of bare arrays where nothing is tracked, of tensors elsewhere


def _combined(weights: Sequence[float], slopes: Sequence[Any]) -> Any:
    total: Any = None
    for w, k in zip(weights, slopes, strict=True):
        if w:
            total = w * k if total is None else total + w * k
    return total


@np.errstate(all="ignore")
def solve(f: Rhs, y: Any, times: Sequence[Any], theta: Tensor, tolerance: Tolerance) -> list[Tensor]:
    """The states at ``times``, of which ``y`` is the first.

    Between two times runs s from 0 to 1, in steps that are numbers; so the times can be differentiated.
    """

    def rhs(t: Any, y: Any) -> Any:
        return inside(f(lower(t), lower(y), theta))

    y, times = inside(y), [inside(t) for t in times]
    found, slope, h = [y], rhs(times[0], y), 0.0
    for start, end in zip(times, times[1:], strict=False):
        span, s, steps = end - start, 0.0, 0
        length = float(np.abs(_numbers(span)).max())
        h = h or _first_step(rhs, start, y, slope, span, length, tolerance)
        while s < 1 and length:
            steps += 1
            ds = min(h / length, 1 - s)
            if s + ds == s or steps > tolerance.max_steps or not np.isfinite(ds):
                raise _stuck(_numbers(start + s * span), steps, tolerance)
            y_new, slope_new, error = _step(rhs, start + s * span, y, slope, ds * span)
            size = tolerance.size(error, y, y_new)
            last = ds == 1 - s
            if size <= 1:
                y, slope, s = y_new, slope_new, 1.0 if last else s + ds
            if not size <= 1 or not last or h <= ds * length:  # else it was short only to end there
                factor = 10.0 if size == 0 else min(10.0, max(0.2, 0.9 * size**-0.2)) if size > 0 else 0.2
                h = ds * length * factor
        found.append(y)
    return [lower(y) for y in found]


def _step(rhs: Slope, t: Any, y: Any, slope: Any, h: Any) -> tuple[Any, Any, Any]:
    """The state after h, the slope there, and an estimate of the error."""
    slopes = [slope]
    for c, row in zip(TIMES, STAGES, strict=True):
        at = y + h * _combined(row, slopes)
        slopes.append(rhs(t + c * h, at))
    return at, slopes[-1], h * _combined(ERROR, slopes)


def _first_step(rhs: Slope, t: Any, y: Any, slope: Any, span: Any, length: float, tolerance: Tolerance) -> float:
    """How long a step may be, from the sizes of the first two derivatives."""
    if not length:
        return 0.0
    d0, d1 = tolerance.size(y, y), tolerance.size(slope, y)
    h = min(0.01 * d0 / d1 if d0 > 1e-5 and d1 > 1e-5 else 1e-6, length)
    with no_grad():
        step = h / length * span
        d2 = tolerance.size(rhs(t + step, y + step * slope) - slope, y) / h
    most = max(d1, d2)
    return float(min(100 * h, (0.01 / most) ** 0.2 if most > 1e-15 else max(1e-6, h * 1e-3)))


def _stuck(t: Any, steps: int, tolerance: Tolerance) -> RuntimeError:
    return explained(
        RuntimeError(
            f"odeint: after {steps} steps no end at t = {np.ravel(t)[0]:.6g}, with rtol {tolerance.rtol:g} and atol "
            f"{tolerance.atol:g}\nEither the solution becomes infinite there, or the equation is stiff: then an explicit "
            "method needs tiny steps.  Allow more error (rtol, atol) or more steps (max_steps)."
        )
    )


# --- the solution as one operation ---


@dataclass(frozen=True, eq=False)
class Problem:
    """``y' = f(t, y, θ)`` from a state of ``n`` entries, wanted at ``m`` times."""

    f: Rhs
    n: int
    m: int
    tolerance: Tolerance

    def parts(self, z: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Initial state, times, θ."""
        z = lower(z)
        t = z[self.n : self.n + self.m]
        return z[: self.n], t.real if t._dtype.kind == "c" else t, z[self.n + self.m :]

    def flow(self, f: Rhs, y: Tensor, t: Tensor, theta: Tensor) -> Tensor:
        """The solution of another equation, to the same tolerance: of shape (times, entries)."""
        problem = Problem(f, y.shape[0], t.shape[0], self.tolerance)
        found: Tensor = lower(bind(flow, (cat([y, t, theta]),), {"problem": problem}))
        return found.reshape(problem.m, problem.n)

    def cotangent(self, g: Any, out: Any, z: Any) -> Tensor:
        """Backwards from time to time, the cotangent a of the state follows a' = -(∂f/∂y)ᵀ a."""
        f, n, (_, t, theta) = self.f, self.n, self.parts(z)
        states, gs = lower(out).reshape(self.m, n), lower(g).reshape(self.m, n)

        def backwards(time: Tensor, state: Tensor, theta: Tensor) -> Tensor:
            slope, pull = vjp(lambda y, p: f(time, y, p), state[:n], theta)
            by_y, by_theta = pull(state[n : 2 * n])
            return cat([slope, -by_y, -by_theta])

        a, w, by_time = gs[self.m - 1], ns.boxes.zeros_like(theta), []
        for i in range(self.m - 1, 0, -1):
            by_time.append(_paired(gs[i], f(t[i], states[i], theta)))
            end = self.flow(backwards, cat([states[i], a, w]), t[i - 1 : i + 1].flip(0), theta)[1]
            a, w = end[n : 2 * n], end[2 * n :]
            if i > 1:
                a = a + gs[i - 1]
        by_time.append(-_paired(a, f(t[0], states[0], theta)) if self.m > 1 else 0 * t[0])
        return cat([a + gs[0] if self.m > 1 else a, *by_time[::-1], w])

    def tangent(self, t: Any, out: Any, z: Any) -> Tensor:
        """The tangent s of the state follows s' = ∂f/∂y s + ∂f/∂θ θ'."""
        f, n, (y, times, theta) = self.f, self.n, self.parts(z)
        along_y, along_t, along_theta = self.parts(t)

        def both(time: Tensor, state: Tensor, params: Tensor) -> Tensor:
            p = theta.shape[0]
            at, by = (state[:n], params[:p]), (state[n:], params[p:])
            return cat(list(jvp(lambda y, p: f(time, y, p), at, by)))

        start = along_y - f(times[0], y, theta) * along_t[0]
        found = self.flow(both, cat([y, start]), times, cat([theta, along_theta]))[:, n:]
        states = lower(out).reshape(self.m, n)
        moved = [f(times[i], states[i], theta) * along_t[i] for i in range(self.m)]
        total: Tensor = found + lower(ns.boxes.stack(moved, axis=0))
        return total.reshape(self.m * n)


def _paired(g: Tensor, v: Tensor) -> Tensor:
    found: Tensor = (g.conj() * v).real if g._dtype.kind == "c" else g * v
    return found.sum().reshape(1)


def _solution(xp: Any, z: Any, *, problem: Problem) -> Any:
    with no_grad():
        y, t, theta = problem.parts(np.asarray(z))
        found = solve(problem.f, y, [t[i] for i in range(problem.m)], theta, problem.tolerance)
    return np.concatenate([y.numpy() for y in found])


def _given(found: Tensor, *arrays: Any) -> Any:
    return found if any(isinstance(a, Tensor) for a in arrays) else found._a


def _cotangent(xp: Any, g: Any, out: Any, z: Any, problem: Problem) -> Any:
    return _given(problem.cotangent(g, out, z), g, out, z)


def _tangent(xp: Any, t: Any, out: Any, z: Any, problem: Problem) -> Any:
    return _given(problem.tangent(t, out, z), t, out, z)


def _example() -> Problem:
    """For the tests of every operation: so smooth that few steps are exact to the last digits."""

    def f(t: Tensor, y: Tensor, p: Tensor) -> Tensor:
        found: Tensor = 0.1 * ((y * p).sin() + y.flip(0) * (t + p).cos())
        return found

    return Problem(f, 2, 2, Tolerance(1e-13, 1e-13, 10_000))


class Flow(Primitive):
    """The states at all times, flat, from the initial state, the times and θ, in one flat array."""

    forward = _solution
    vjp_z, jvp_z = _cotangent, _tangent
    formula = False
    samples: ClassVar[Any] = [(([0.5, -0.4, 0.2, 0.25, 0.3],), {"problem": _example()})]

    def batch(self, size: int, arrays: Any, batched: Any, params: dict[str, Any]) -> Any:
        return ns.boxes.stack([bind(self, (arrays[0][i],), params) for i in range(size)], axis=0)


flow = Flow()


# --- what users call ---


def odeint(
    f: Callable[..., Any], y0: Any, t: Any, *params: Any, adjoint: bool = False, rtol: float | None = None,
    atol: float | None = None, max_steps: int = 10_000,
) -> Any:  # fmt: skip
    """The solution of ``y' = f(t, y, *params)`` with ``y(t[0]) = y0``, at the times ``t``, stacked along a first axis.

    ``y0`` is a tensor or a nest of them, f returns the like; t, of shape (m,), may run forwards or backwards.  Steps
    of Dormand and Prince's method of order 5, chosen so that each makes an error below ``atol + rtol * |y|``
    (default: 1e-9 and 1e-7; for float32 1e-7 and 1e-5).

    Derivatives with respect to y0, t and ``params`` go through the steps, and with respect to any tensor that f uses;
    or, with ``adjoint=True``, through differential equations of their own, with memory that does not grow with the
    number of steps, and only by y0, t and ``params``.  Both have derivatives of every order, in every mode.

    Raises RuntimeError where more than ``max_steps`` would be needed between two times.

    >>> import chainrule as torch
    >>> k = torch.tensor(2.0, requires_grad=True)
    >>> y = torch.func.odeint(lambda t, y, k: -k * y, torch.tensor(1.0), torch.tensor([0.0, 0.5, 1.0]), k)
    >>> y.detach()
    tensor([1.0000, 0.3679, 0.1353])
    >>> y[2].backward()
    >>> k.grad  # -exp(-k)
    tensor(-0.1353)
    """
    y, p = Packed(y0, "odeint: y0"), Packed(params)
    start, theta = y.pack(y0), p.pack(params)
    single = start._dtype.itemsize <= (8 if start._dtype.kind == "c" else 4)
    times = as_tensor(t)
    if times.ndim != 1 or not times.numel() or times._dtype.kind not in "fiu":
        raise ValueError(f"odeint: t must be a tensor of shape (m,), m at least 1, of real numbers, got {t!r}")
    times = times.to(start.real.dtype if start._dtype.kind == "c" else start.dtype)
    tolerance = Tolerance(
        (1e-5 if single else 1e-7) if rtol is None else rtol,
        (1e-7 if single else 1e-9) if atol is None else atol,
        max_steps,
    )

    def flat(now: Tensor, v: Tensor, theta: Tensor) -> Tensor:
        return as_x(f(now, y.unpack(v), *p.unpack(theta)), y, "odeint: f")

    if adjoint:
        check_closure(flat(times[0].detach(), start.detach(), theta.detach()))
        problem = Problem(flat, y.size, times.shape[0], tolerance)
        found = problem.flow(flat, start, times, theta)
        rows = [found[i] for i in range(problem.m)]
    else:
        rows = solve(
            lambda now, v, _: as_x(f(now, y.unpack(v), *params), y, "odeint: f"), start,
            [times[i] for i in range(times.shape[0])], theta, tolerance,
        )  # fmt: skip
    leaves = [tree.flatten(y.unpack(row))[0] for row in rows]
    return tree.flatten(y0)[1]([lower(ns.boxes.stack(each, axis=0)) for each in zip(*leaves, strict=True)])
