"""All derivatives at once: Taylor series instead of nested gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..arrays import namespace as ns
from ..arrays.taylor import Taylor, make
from ..tensor import Tensor, lower
from . import tree
from .levels import as_tensor, inside, level


def taylor(func: Callable[[Any], Any], x: Tensor, n: int, direction: Tensor | None = None) -> Any:
    """Coefficients of ``func(x + t·direction)`` in t, up to order ``n``, stacked along a new first dimension.

    ``direction`` (of x's shape, ones unless given) moves all elements of x at once.  The k-th derivative is
    coefficient k times k!.  One pass, at a cost that grows as n² or n³, where nested gradients grow as 3ⁿ.

    >>> import chainrule as torch
    >>> torch.func.taylor(torch.exp, torch.tensor(0.0), 3)
    tensor([1.0000, 1.0000, 0.5000, 0.1667])
    """
    if n < 0:
        raise ValueError(f"taylor: the order must not be negative, got {n}")
    x = as_tensor(x)
    xp = ns.boxes
    first = xp.ones_like(x) if direction is None else direction
    with level() as rank:
        zero = xp.zeros_like(x)
        stacked = xp.stack([x, first, *[zero] * (n - 1)][: n + 1], axis=0)
        out = func(make(inside(stacked), rank))

    def coefficients(y: Any) -> Any:
        if isinstance(y, Taylor) and y._rank == rank:
            return lower(y._a)
        y = as_tensor(y)
        return xp.stack([y, *[xp.zeros_like(y)] * n], axis=0)

    return tree.map_(coefficients, out)


def derivative(func: Callable[[Any], Any], n: int = 1) -> Callable[[Tensor], Any]:
    """The n-th derivative of a function of one variable, applied to each element of its argument.

    >>> import chainrule as torch
    >>> torch.func.derivative(torch.sin, 5)(torch.tensor(0.0))
    tensor(1.)
    """

    def wrapped(x: Tensor) -> Any:
        return tree.map_(lambda c: c[n] * float(math.factorial(n)), taylor(func, x, n))

    return wrapped
