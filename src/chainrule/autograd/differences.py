"""Derivatives by differences: what :mod:`~chainrule.autograd.gradcheck` compares the rules with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..arrays.namespace import dtype_of
from ..tensor import Tensor, wrap
from .gradcheck import Function, as_tuple

Array = np.ndarray[Any, Any]
EPSILON = float(np.finfo(np.float64).eps)


@contextmanager
def moved(x: Tensor, step: Array) -> Iterator[None]:
    """``x`` with ``step`` added, wherever it is used: in its memory, unseen by autograd, and put back at the end."""
    a = x._own()
    if isinstance(a, np.ndarray):
        before = a.copy()
        a += step
    else:  # an array of another library, which may not be writable
        before, x._a = a, a + step
    try:
        yield
    finally:
        if isinstance(a, np.ndarray):
            a[...] = before
        else:
            x._a = before


class Differences:
    """The directional derivatives of all outputs of a function, at the point where its inputs are.

    Central differences with step ``eps``: their error is of the order of eps² and of rounding / eps.  If ``strict``,
    three of them with larger steps, of 1000 eps, a half and a quarter of it, extrapolated to a step of 0
    (Richardson): an error of the order of the sixth power of the step.  For small and large elements also with steps in
    proportion, as the domain may end at 0, and rounding grows; the better counts.
    """

    def __init__(self, func: Function, inputs: Sequence[Any], eps: float, strict: bool) -> None:
        self.func, self.inputs, self.eps, self.strict = func, inputs, eps, strict

    def along(self, x: Tensor, direction: Array, where: tuple[int, ...] | None = None) -> list[tuple[Array, Array]]:
        """(derivative, error) of each output, flat, as ``x`` moves; ``where`` is the one element that moves.

        The error, where it is asked for, is what the last extrapolation changed, and what rounding may have done.
        """
        if not (self.strict and direction.size):
            return [
                ((q - p) / (2 * self.eps), np.zeros(p.shape)) for p, q in self._around(x, self.eps * direction, where)
            ]
        found = self._extrapolated(x, direction, 1e3 * self.eps, where)
        at = 0.0 if where is None else abs(np.asarray(x.detach().numpy())[where])
        if 0 < at < 0.1 or at > 10:
            relative = self._extrapolated(x, direction, 1e3 * self.eps * at, where)
            found = [_better(a, b) for a, b in zip(found, relative, strict=True)]
        return found

    def _extrapolated(self, x: Tensor, direction: Array, h: float, where: Any) -> list[tuple[Array, Array]]:
        slopes: list[list[Array]] = []
        a = x._own()
        for step in (h * direction, h / 2 * direction, h / 4 * direction):
            span = 2 * step
            if where is not None:  # by how much it moved: the sum of x and the step has been rounded
                span = (a + step) - (a - step)
            length = float(np.abs(span).max() / np.abs(direction).max())
            pairs = self._around(x, step, where)
            slopes.append([(q - p) / length for p, q in pairs])
        found = []
        for coarse, middle, fine, (p, q) in zip(*slopes, pairs, strict=True):
            first, second = (4 * middle - coarse) / 3, (4 * fine - middle) / 3
            last = (16 * second - first) / 15
            found.append((last, np.abs(last - second) + EPSILON * (np.abs(p) + np.abs(q)) / length))
        return found

    def _around(self, x: Tensor, step: Array, where: Any) -> list[tuple[Array, Array]]:
        """The outputs, flat, on both sides of ``x``."""
        with moved(x, -step):
            before = self._values()
        with moved(x, step):
            after = self._values()
        for p, q in zip(before, after, strict=True):
            self._alike(p, q, "shape", where)
            self._alike(p, q, "dtype", where)
        return [(p.reshape(-1), q.reshape(-1)) for p, q in zip(before, after, strict=True)]

    def _values(self) -> list[Array]:
        """The outputs' numbers, in memory of their own."""
        return [_wide(np.array(y.detach().numpy())) for y in as_tuple(self.func(*self.inputs))]

    def _alike(self, a: Array, b: Array, what: str, where: Any) -> None:
        if getattr(a, what) != getattr(b, what):
            on = "" if where is None else f"on index {where} "
            raise AssertionError(
                f"Expected `func` to return outputs with the same {what} when inputs are perturbed {on}by {self.eps}, but "
                f"got: {what}s {getattr(wrap(a), what)} and {getattr(wrap(b), what)}."
            )


def _better(a: tuple[Array, Array], b: tuple[Array, Array]) -> tuple[Array, Array]:
    """Of two derivatives, with their errors, the one with the smaller, element by element."""
    take = ~(a[1] <= b[1])  # so is what is no number left
    return np.where(take, b[0], a[0]), np.where(take, b[1], a[1])


def _wide(a: Array) -> Array:
    """Whole numbers and truth values as floats, so that they have differences."""
    return a if a.dtype.kind in "fc" else a.astype(np.float64)


def parts(x: Tensor) -> tuple[complex, ...]:
    """The directions in which an element can move: along the real axis and, if complex, the imaginary."""
    return (1.0, 1j) if dtype_of(x).kind == "c" else (1.0,)
