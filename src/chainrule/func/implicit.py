"""Roots, fixed points and solutions of linear systems, differentiable by what defines them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import explained
from ..extras import load
from ..primitive import bind
from ..tensor import Tensor, lower, wrap
from ..transforms import batches
from . import tree
from .equation import Array, Equation, Linear, Map, dense, matrix, root, straight
from .forward import jvp
from .levels import as_tensor, depth
from .vector import Packed, as_x

# --- solvers ---


def iterative(name: str) -> Linear:
    """Solves a linear system by products with it: ``scipy.sparse.linalg``'s "gmres", "bicgstab" or "cg"."""

    def linear(map_: Map, b: Array) -> Array:
        sparse = load("scipy.sparse.linalg", "special", f"linear systems solved by {name}")
        n = b.shape[-1]

        def product(u: Array) -> Array:
            return map_(wrap(np.asarray(u, b.dtype))).detach().numpy()

        operator = sparse.LinearOperator((n, n), matvec=product, dtype=b.dtype)
        tolerance = float(np.finfo(b.dtype).eps) * 100
        found = np.zeros_like(b)
        for row, right in zip(found.reshape(-1, n), b.reshape(-1, n), strict=True):
            row[:], failed = getattr(sparse, name)(operator, right, rtol=tolerance)
            if failed:
                raise explained(
                    RuntimeError(
                        f"{name} did not solve the linear system to {tolerance:.0e}: it gave up after {failed} steps"
                        '\nlinear="dense" solves it by its matrix.'
                    )
                )
        return found

    return linear


def _linear(chosen: Any) -> Linear:
    if chosen == "dense":
        return dense
    if chosen in ("gmres", "bicgstab", "cg"):
        return iterative(chosen)
    if not callable(chosen):
        raise ValueError(f"linear must be 'dense', 'gmres', 'bicgstab', 'cg' or a function, got {chosen!r}")

    def linear(map_: Map, b: Array) -> Array:
        rows = [as_tensor(chosen(map_, wrap(row))).detach().numpy() for row in b.reshape(-1, b.shape[-1])]
        return np.stack(rows).reshape(b.shape) if rows else np.zeros_like(b)

    return linear


def newton(residual: Callable[[Any], Any], x0: Any, *, tol: float | None = None, max_steps: int = 50) -> Any:
    """A root of ``residual`` by Newton's method from ``x0``, a tensor or a nest of them.

    The matrix of derivatives is computed at each step; a step is halved until it makes the residual smaller.  Ends
    with a step no longer than ``tol`` of x's size (default: such that the error left is that of rounding).

    Raises RuntimeError if there is none within ``max_steps``.

    >>> import chainrule as torch
    >>> torch.func.newton(lambda x: x**2 - 2, torch.tensor(1.0))
    tensor(1.4142)
    """
    x = Packed(x0, "newton: x0")
    start = x.pack(x0).detach().numpy()
    return x.unpack(wrap(_newton(lambda v: as_x(residual(x.unpack(v)), x, "newton: residual"), start, tol, max_steps)))


def _along(f: Map, x: Tensor, v: Tensor) -> Tensor:
    slope: Tensor = jvp(f, (x,), (v,))[1]
    return slope


@np.errstate(all="ignore")
def _newton(f: Map, x: Array, tol: float | None, max_steps: int) -> Array:
    eps = float(np.finfo(x.dtype).eps)
    tol = eps**0.6 if tol is None else tol  # the error after a step is about the square of the step
    value = f(wrap(x)).detach().numpy()
    size = float(np.linalg.norm(value))
    for _ in range(max_steps):
        if not size:
            return x
        slopes = matrix(functools.partial(_along, f, wrap(x)), x)
        regular = True
        try:
            step = np.linalg.solve(slopes, value)
        except np.linalg.LinAlgError:
            step, regular = np.linalg.lstsq(slopes, value, rcond=None)[0], False
        full, scale = float(np.abs(step).max(initial=0)), float(np.abs(x).max(initial=0))
        for k in range(30):
            at = x - step / 2**k
            found = f(wrap(at)).detach().numpy()
            if np.linalg.norm(found) < size:
                x, value, size = at, found, float(np.linalg.norm(found))
                break
        else:  # no way down: at the last digits, or stuck
            if regular and full <= eps**0.5 * scale:
                return x
            break
        if full <= tol * scale:
            return x
    raise _failed("newton", max_steps, size)


def _failed(name: str, steps: int, size: float) -> RuntimeError:
    return explained(
        RuntimeError(
            f"{name}: no solution within {steps} steps; the residual is {size:.3g}"
            "\nStart nearer to it (x0), allow more steps (max_steps), or pass a solver of your own (solver)."
        )
    )


@np.errstate(all="ignore")
def iterate(residual: Callable[[Any], Any], x0: Any, *, tol: float | None = None, max_steps: int = 10_000) -> Any:
    """A root of ``residual`` by x ← x - residual(x): for ``x - g(x)`` the fixed-point iteration of g."""
    x = Packed(x0, "iterate: x0")
    at = x.pack(x0).detach().numpy()
    tol = 4 * float(np.finfo(at.dtype).eps) if tol is None else tol
    for _ in range(max_steps):
        step = as_x(residual(x.unpack(wrap(at))), x, "iterate: residual").detach().numpy()
        at = at - step
        change = float(np.abs(step).max(initial=0))
        if not np.isfinite(change):
            break
        if change <= tol * max(float(np.abs(at).max(initial=0)), float(np.finfo(at.dtype).tiny)):
            return x.unpack(wrap(at))
    raise _failed("fixed_point", max_steps, change)


# --- what users call ---


def custom_root(
    f: Callable[..., Any], x0: Any, *params: Any, solver: Callable[..., Any] | None = None, linear: Any = "dense"
) -> Any:
    """The x with ``f(x, *params) = 0`` near ``x0``, differentiable with respect to ``params``.

    ``x0`` is a tensor or a nest of them; f returns as many numbers, in the same structure.  ``solver(residual, x0)``
    finds a root of a function of x alone, by any means: its steps are not recorded (default: :func:`newton`).  The
    derivative follows from the equation, in every mode and to every order; ``linear`` says how its linear systems
    are solved: "dense" (the matrix of derivatives), "gmres", "bicgstab", "cg" (by products with it, for many
    unknowns) or a function ``(map, b)`` that returns u with ``map(u) = b``.

    Only ``params`` are differentiated: a tracked tensor that f takes from elsewhere is an error.

    >>> import chainrule as torch
    >>> a = torch.tensor(2.0, requires_grad=True)
    >>> x = torch.func.custom_root(lambda x, a: x**3 - a, torch.tensor(1.0), a)
    >>> x.backward()
    >>> x.detach(), a.grad  # the cube root, and 1 / (3 x²)
    (tensor(1.2599), tensor(0.2100))
    """
    x0 = tree.tree_map(_one_start, x0)
    x, p = Packed(x0, "custom_root: x0"), Packed(params)

    def flat(v: Tensor, theta: Tensor) -> Tensor:
        return as_x(f(x.unpack(v), *p.unpack(theta)), x, "custom_root: f")

    def solve(theta: Array, b: Array) -> Array:
        values, right, outside = p.unpack(wrap(theta)), tree.flatten(x.unpack(wrap(b)))[0], depth()

        def residual(at: Any) -> Any:
            found, rebuild = tree.flatten(f(at, *values))
            if any(isinstance(a, Tensor) and 2 < a._rank <= 2 * outside + 2 for a in found):
                raise _closure()
            return rebuild([a - r for a, r in zip(found, right, strict=True)] if b.any() else found)

        return x.pack((solver or newton)(residual, x0)).detach().numpy()

    theta = p.pack(params)
    check_closure(flat(x.pack(x0).detach(), theta.detach()))
    right = np.zeros(x.size, x.pack(x0)._dtype)
    return x.unpack(lower(bind(root, (wrap(right), theta), {"equation": Equation(flat, solve, _linear(linear))})))


def _one_start(x: Any) -> Any:
    """A start that inside vmap has memory for each sample, as ``ones_like`` makes it, as one for all."""
    levels = batches(x)
    if not levels:
        return x
    while isinstance(x, Tensor):
        x = x._a
    each = np.asarray(x).reshape(-1, *x.shape[len(levels) :])
    if (each != each[:1]).any():
        raise explained(
            ValueError(
                "custom_root: inside vmap the start x0 must be the same for all samples"
                "\nLet it not depend on what is mapped over; or solve sample by sample, in a loop."
            )
        )
    return wrap(each[0].copy())


def check_closure(found: Tensor) -> None:
    """``found`` was computed from constants: if it is tracked, then by something that is not among the params."""
    if found._rg:
        raise _closure()


def _closure() -> RuntimeError:
    return explained(
        RuntimeError(
            "the function uses a tensor that is being differentiated and is not among the params: it would count as constant"
            "\nPass it after the other arguments: custom_root(f, x0, w) with f(x, w) in place of a w from outside."
        )
    )


def fixed_point(
    g: Callable[..., Any], x0: Any, *params: Any, solver: Callable[..., Any] | None = None, linear: Any = "dense"
) -> Any:
    """The x with ``g(x, *params) = x``, differentiable with respect to ``params``.

    Found by applying g again and again, from ``x0``, unless ``solver`` finds a root of ``x - g(x)`` otherwise; all
    else is as in :func:`custom_root`.

    >>> import chainrule as torch
    >>> a = torch.tensor(1.0, requires_grad=True)
    >>> x = torch.func.fixed_point(lambda x, a: (a * x).cos(), torch.tensor(0.5), a)
    >>> x.backward()
    >>> x.detach(), a.grad  # -x sin(x) / (1 + sin(x))
    (tensor(0.7391), tensor(-0.2975))
    """

    def f(x: Any, *params: Any) -> Any:
        images = iter(tree.flatten(g(x, *params))[0])
        return tree.tree_map(lambda a: a - next(images), x)

    return custom_root(f, x0, *params, solver=solver or iterate, linear=linear)


def linear_solve(a: Any, b: Any, *params: Any, solver: Any = "dense") -> Any:
    """The x with ``a @ x = b``, or, where a is a function linear in its first argument, ``a(x, *params) = b``.

    ``b`` is a tensor of shape (n,) for a matrix, and may be a nest for a function.  ``solver`` is "dense", "gmres",
    "bicgstab", "cg" or a function ``(map, b)``.  Differentiable with respect to a matrix, b and ``params``.

    >>> import chainrule as torch
    >>> a = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
    >>> torch.func.linear_solve(a, torch.tensor([3.0, 5.0]))
    tensor([0.8000, 1.4000])
    """
    if isinstance(a, Tensor):
        return linear_solve(lambda x, a: a @ x, b, a, *params, solver=solver)
    x, p = Packed(b, "linear_solve: b"), Packed(params)

    def flat(v: Tensor, theta: Tensor) -> Tensor:
        return as_x(a(x.unpack(v), *p.unpack(theta)), x, "linear_solve: a")

    theta = p.pack(params)
    check_closure(flat(x.pack(b).detach(), theta.detach()))
    return x.unpack(lower(bind(root, (x.pack(b), theta), {"equation": straight(flat, _linear(solver))})))
