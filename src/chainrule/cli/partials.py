"""The partial derivatives of a formula at a point, each checked with a finite difference.

One batch holds the point itself and the points around it that the differences need, so the formula is
differentiated once for all of them.  A derivative of order k is compared with differences of the one of
order k - 1 whose derivative it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

import chainrule as torch

from ..autograd import grad
from ..creation import tensor, zeros_like
from ..dtypes import float64
from ..explain.differences import Array, Check, Stencil
from ..explain.expression import Expression
from ..func import taylor
from ..tensor import Tensor

Orders = tuple[int, ...]  # how many times by each variable


@dataclass(frozen=True)
class Partial:
    """One partial derivative at the point."""

    orders: Orders
    value: float
    check: Check


class _Functions:
    """PyTorch's functions of that name: most are ``torch``'s, some are only in ``torch.nn.functional``."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch if hasattr(torch, name) else torch.nn.functional, name)


functions: Final = _Functions()


def partials(formula: Expression, at: Mapping[str, float], order: int) -> tuple[float, list[Partial]]:
    """The formula's value at the point, and its partial derivatives up to an order, the lower orders first."""
    stencils = [Stencil(x) for x in at.values()]
    sizes = [1, *(len(stencil.points) for stencil in stencils)]
    parts = [slice(end - size, end) for size, end in zip(sizes, np.cumsum(sizes), strict=True)]
    batch = {name: np.full(sum(sizes), x) for name, x in at.items()}
    for values, stencil, part in zip(batch.values(), stencils, parts[1:], strict=True):
        values[part] = stencil.points
    with np.errstate(all="ignore"):  # the points around may lie where the formula has no value
        found = table(formula, batch, order)
    result = []
    for orders, values in found.items():
        if any(orders):
            i = max(i for i, n in enumerate(orders) if n)
            below = found[tuple(n - (j == i) for j, n in enumerate(orders))]
            value = float(values[0])
            result.append(Partial(orders, value, stencils[i].check(value, float(below[0]), below[parts[i + 1]])))
    return float(found[(0,) * len(at)][0]), result


def table(formula: Expression, points: Mapping[str, Array], order: int) -> dict[Orders, Array]:
    """Every partial derivative up to an order, by its orders, at a batch of points; the value is of order zero."""
    variables = [tensor(values, dtype=float64) for values in points.values()]

    def value(*inputs: Any) -> Any:
        named = dict(zip(points, inputs, strict=True))
        y = formula.evaluate(named, functions, lambda number: tensor(number, dtype=float64))
        # A formula without variables has one value for the whole batch, and perhaps a plain number.
        return y if isinstance(y, Tensor) and y.shape else zeros_like(inputs[0]) + y

    if len(variables) == 1 and order > 1:
        series = taylor(value, variables[0], order).numpy()
        return {(k,): series[k] * float(math.factorial(k)) for k in range(order + 1)}
    for x in variables:
        x.requires_grad_()
    found = {(0,) * len(variables): value(*variables)}
    for k in range(order):
        for orders, y in [item for item in found.items() if sum(item[0]) == k]:
            # Only by the variables from the last one on: so each mixed derivative is reached in one way.
            last = max((i for i, n in enumerate(orders) if n), default=0)
            for i, slope in enumerate(_slopes(y, variables[last:], k + 1 < order), last):
                found[tuple(n + (j == i) for j, n in enumerate(orders))] = slope
    return {orders: y.detach().numpy() for orders, y in found.items()}


def _slopes(y: Any, variables: list[Any], create_graph: bool) -> list[Any]:
    """The derivative of each element of y by the same element of each variable."""
    if not y.requires_grad:
        return [zeros_like(y)] * len(variables)
    found = grad(y.sum(), variables, retain_graph=True, create_graph=create_graph, allow_unused=True)
    return [zeros_like(y) if slope is None else slope for slope in found]
