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
    three of them with larger steps, from 1000 eps (less near 0) down by halves, extrapolated to a step of 0
    (Richardson): an error of the order of the sixth power of the step.  What the last extrapolation changed is kept
    as its ``error``.
    """

    def __init__(self, func: Function, inputs: Sequence[Any], eps: float, strict: bool) -> None:
        self.func, self.inputs, self.eps, self.strict = func, inputs, eps, strict

    def along(self, x: Tensor, direction: Array, where: tuple[int, ...] | None = None) -> list[tuple[Array, Any]]:
        """(derivative, error) of each output, flat, as ``x`` moves; ``where`` names the element in errors."""
        if not self.strict:
            return [(d, 0.0) for d in self._central(x, direction, self.eps, where)]
        at = 1.0 if where is None else abs(np.asarray(x.detach().numpy())[where])
        h = 1e3 * self.eps * min(max(at, 1e-3), 1.0)
        first = [self._central(x, direction, h / 2**k, where) for k in range(3)]
        found = []
        for coarse, middle, fine in zip(*first, strict=True):
            once = [(4 * b - a) / 3 for a, b in ((coarse, middle), (middle, fine))]
            twice = (16 * once[1] - once[0]) / 15
            found.append((twice, np.abs(twice - once[1])))
        return found

    def _central(self, x: Tensor, direction: Array, h: float, where: Any) -> list[Array]:
        with moved(x, -h * direction):
            before = self._values()
        with moved(x, h * direction):
            after = self._values()
        for a, b in zip(before, after, strict=True):
            self._alike(a, b, "shape", where, h)
            self._alike(a, b, "dtype", where, h)
        return [((b - a) / (2 * h)).reshape(-1) for a, b in zip(before, after, strict=True)]

    def _values(self) -> list[Array]:
        """The outputs' numbers, in memory of their own."""
        return [_wide(np.array(y.detach().numpy())) for y in as_tuple(self.func(*self.inputs))]

    def _alike(self, a: Array, b: Array, what: str, where: Any, h: float) -> None:
        if getattr(a, what) != getattr(b, what):
            on = "" if where is None else f"on index {where} "
            raise AssertionError(
                f"Expected `func` to return outputs with the same {what} when inputs are perturbed {on}by {h}, but "
                f"got: {what}s {getattr(wrap(a), what)} and {getattr(wrap(b), what)}."
            )


def _wide(a: Array) -> Array:
    """Whole numbers and truth values as floats, so that they have differences."""
    return a if a.dtype.kind in "fc" else a.astype(np.float64)


def parts(x: Tensor) -> tuple[complex, ...]:
    """The directions in which an element can move: along the real axis and, if complex, the imaginary."""
    return (1.0, 1j) if dtype_of(x).kind == "c" else (1.0,)
