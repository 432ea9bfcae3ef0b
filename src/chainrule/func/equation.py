"""What an equation defines, as an operation with derivatives.

Where f(x, θ) = b defines x, its differential is dx = J⁻¹ (db - ∂f/∂θ dθ) with J = ∂f/∂x, however x was found.  One
primitive, :class:`Root`, has this as its rule; the solver's own steps are not recorded.  The rule's linear systems
are equations of the same kind, with the solution and θ as parameters, so they have derivatives too, of every order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..arrays import namespace as ns
from ..errors import explained
from ..modes import no_grad
from ..primitive import Primitive, bind, promote
from ..tensor import Tensor, lower, wrap
from .forward import jvp
from .reverse import vjp
from .vector import cat
from .vmap import vmap

Array = np.ndarray[Any, Any]
Flat = Callable[[Tensor, Tensor], Tensor]  # f(x, θ), both flat
Map = Callable[[Tensor], Tensor]  # of flat tensors
Solve = Callable[[Array, Array], Array]  # (θ, b) to x
Linear = Callable[[Map, Array], Array]  # (linear map, right sides of shape (..., n)) to the solutions


@dataclass(frozen=True, eq=False)
class Equation:
    """``f(x, θ) = b`` for x, all flat; ``solve`` finds the numbers, ``linear`` solves the systems of the rule."""

    f: Flat
    solve: Solve
    linear: Linear
    straight: bool = False  # f is linear in x, and ``solve`` takes right sides of shape (..., n)

    def tangent(self, out: Any, theta: Any, right: Any) -> Any:
        """The u with J u = ``right``."""
        return self._system(lambda u, x, p: jvp(lambda v: self.f(v, p), (x,), (u,))[1], out, theta, right)

    def cotangent(self, out: Any, theta: Any, right: Any) -> Any:
        """The u with Jᵀ u = ``right`` (Jᴴ over complex numbers)."""
        return self._system(lambda u, x, p: vjp(lambda v: self.f(v, p), x)[1](u)[0], out, theta, right)

    def _system(self, f: Callable[[Tensor, Tensor, Tensor], Tensor], out: Any, theta: Any, right: Any) -> Any:
        n, real = out.shape[0], theta.dtype.kind != "c"
        point = ns.boxes.concat(promote((out, theta)), axis=0)

        def at_point(u: Tensor, point: Tensor) -> Tensor:
            p = point[n:]
            return f(u, point[:n], p.real if real and point._dtype.kind == "c" else p)

        return bind(root, (right, point), {"equation": straight(at_point, self.linear)})

    def blocks(self, size: int) -> Equation:
        """``size`` right sides of one linear map as one equation."""

        def many(x: Tensor, p: Tensor) -> Tensor:
            found: Tensor = vmap(lambda row: self.f(row, p))(x.reshape(size, -1)).reshape(-1)
            return found

        def linear(map_: Map, b: Array) -> Array:
            n = b.shape[-1] // size
            rest = wrap(np.zeros(b.shape[-1] - n, b.dtype))

            def first(u: Tensor) -> Tensor:
                found: Tensor = map_(cat([u, rest]))[:n]
                return found

            return self.linear(first, b.reshape(*b.shape[:-1], size, n)).reshape(b.shape)

        def solve(theta: Array, b: Array) -> Array:
            return self.solve(theta, b.reshape(*b.shape[:-1], size, -1)).reshape(b.shape)

        return Equation(many, solve, linear, True)


def matrix(map_: Map, like: Array) -> Array:
    """The matrix of a linear map of vectors like this one, a column for each unit vector."""
    n = like.shape[-1]
    rows: Tensor = vmap(map_)(wrap(np.eye(n, dtype=like.dtype))) if n else wrap(np.zeros((0, 0)))
    return rows.detach().numpy().T


def dense(map_: Map, b: Array) -> Array:
    """Solves a linear system by its matrix, and LAPACK."""
    try:
        return np.linalg.solve(matrix(map_, b), b.reshape(-1, b.shape[-1]).T).T.reshape(b.shape)
    except np.linalg.LinAlgError:
        raise explained(
            RuntimeError(
                "the derivative of the equation in its unknowns is singular there, so they have no derivative"
                "\nA double root, or unknowns that the equations do not determine."
            )
        ) from None


def straight(f: Flat, linear: Linear) -> Equation:
    """The equation of a linear map."""
    return Equation(f, lambda theta, b: linear(lambda u: f(u, wrap(theta)), b), linear, True)


def solved(equation: Equation, theta: Any, b: Any) -> Array:
    with no_grad():
        found = equation.solve(np.asarray(theta), np.asarray(b))
    return np.asarray(found, np.result_type(b, theta) if equation.straight else b.dtype)


def pulled(equation: Equation, out: Any, theta: Any, u: Any) -> Any:
    """The cotangent of θ for the cotangent u of f."""
    return _as_given(vjp(lambda p: equation.f(lower(out), p), lower(theta))[1](lower(u))[0], out, theta, u)


def pushed(equation: Equation, out: Any, theta: Any, t: Any) -> Any:
    """The tangent of f for the tangent t of θ."""
    return _as_given(jvp(lambda p: equation.f(lower(out), p), (lower(theta),), (lower(t),))[1], out, theta, t)


def _as_given(found: Tensor, *arrays: Any) -> Any:
    return found if any(isinstance(a, Tensor) for a in arrays) else found._a


def _cotangent_b(xp: Any, g: Any, out: Any, theta: Any, equation: Equation) -> Any:
    return equation.cotangent(out, theta, g)


def _cotangent_theta(xp: Any, g: Any, out: Any, theta: Any, equation: Equation) -> Any:
    return pulled(equation, out, theta, -equation.cotangent(out, theta, g))


def _tangent_b(xp: Any, t: Any, out: Any, theta: Any, equation: Equation) -> Any:
    return equation.tangent(out, theta, t)


def _tangent_theta(xp: Any, t: Any, out: Any, theta: Any, equation: Equation) -> Any:
    return equation.tangent(out, theta, -pushed(equation, out, theta, t))


def _solution(xp: Any, b: Any, theta: Any, *, equation: Equation) -> Any:
    return solved(equation, theta, b)


def _example() -> Equation:
    """For the tests of every operation: no special case, and solved by plain iteration."""

    def f(x: Tensor, p: Tensor) -> Tensor:
        found: Tensor = x + 0.3 * (p[:3] * x).sin() + 0.2 * x.flip(0) * p[3] - p[:3]
        return found

    def solve(theta: Array, b: Array) -> Array:
        x, p = wrap(np.zeros_like(b)), wrap(theta)
        for _ in range(400):
            x = x - 0.5 * (f(x, p) - wrap(b))
        return x.numpy()

    return Equation(f, solve, dense)


class Root(Primitive):
    """The x with ``f(x, theta) = b``; ``equation`` holds f, and how it is solved."""

    forward = _solution
    vjp_b, vjp_theta = _cotangent_b, _cotangent_theta
    jvp_b, jvp_theta = _tangent_b, _tangent_theta
    formula = False
    samples: ClassVar[Any] = [(((3,), (4,)), {"equation": _example()})]

    def batch(self, size: int, arrays: Any, batched: Any, params: dict[str, Any]) -> Any:
        b, theta = arrays
        equation: Equation = params["equation"]
        if equation.straight and not batched[1]:
            flat = ns.boxes.reshape(b, (-1,))
            found = bind(self, (flat, theta), {"equation": equation.blocks(size)})
            return ns.boxes.reshape(found, tuple(b.shape))
        each = [bind(self, (b[i] if batched[0] else b, theta[i] if batched[1] else theta), params) for i in range(size)]
        return ns.boxes.stack(each, axis=0)


root = Root()
