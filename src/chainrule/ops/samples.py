"""Inputs that the tests try elementwise operations on: ``(arguments, parameters)``, an argument being a shape or numbers."""

from __future__ import annotations

from typing import Any

# Samples are (arguments, parameters); an argument is a shape, or the numbers themselves.
ONE: Any = [(((2, 3),), {}), (((),), {}), (((0, 2),), {})]

POSITIVE: Any = [(([[0.5, 1.25, 2.0], [0.75, 3.0, 1.5]],), {}), ((0.6,), {})]

UNIT: Any = [(([[0.5, -0.25, 0.1], [-0.75, 0.3, 0.9]],), {}), ((0.6,), {})]

TWO: Any = [(((2, 3), (2, 3)), {}), (((2, 1), (3,)), {}), (((), (2, 3)), {}), (((2, 3), 1.5), {}), ((2, (3,)), {})]

BESIDE_ZERO: Any = [
    (([[0.5, -1.25], [2.0, -0.7]], [[1.5, -0.8], [-2.5, 0.6]]), {}),
    (([1.5, -2.0], 0.8), {}),
    ((2, [0.5, -4.0]), {}),
    (([[1.5], [-2.0]], [0.8, -0.45, 1.1]), {}),
]

WITH_TIES = [*TWO, (([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]], [[1.0, 3.0, 2.5], [0.5, -1.0, -2.0]]), {})]

BETWEEN_STEPS = [*BESIDE_ZERO[:2], ((2, [0.7, -3.0]), {}), BESIDE_ZERO[3]]
