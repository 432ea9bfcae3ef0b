"""Which functions go with which array: the ``xp`` that every rule is written over."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from ..node import Box
from . import numpy_

boxes: Any = None  # chainrule.ops.namespace, set when it is imported


def namespace(arrays: Any) -> Any:
    """The namespace of some arrays and Python numbers: ours if one is a box, else the array library's."""
    found: Any = numpy_
    for a in arrays:
        if isinstance(a, Box):
            return boxes
        if found is numpy_ and not isinstance(a, (np.ndarray, np.generic, int, float, complex)):
            found = _foreign(a)
    return found


def dtype_of(a: Any) -> np.dtype[Any]:
    """The NumPy dtype of an array of any kind."""
    d: np.dtype[Any] = a._dtype if isinstance(a, Box) else a.dtype  # type: ignore[attr-defined]
    return d


def is_numpy(a: Any) -> bool:
    t = type(a)
    return t is np.ndarray or isinstance(a, np.generic)


def is_array(a: Any) -> bool:
    """Whether ``a`` is an array of some library that can stand under a Tensor."""
    if isinstance(a, (np.ndarray, np.generic)):
        return True
    return hasattr(a, "shape") and hasattr(a, "dtype") and not isinstance(a, Box) and _foreign(a) is not numpy_


def _foreign(a: Any) -> Any:
    own = getattr(type(a), "__chainrule_namespace__", None)  # symbolic arrays bring their own
    if own is not None:
        return own()
    root = type(a).__module__.partition(".")[0]
    if root in ("dask", "jax", "jaxlib", "cupy") and root in sys.modules:
        from . import foreign

        return foreign.namespace(a)
    return numpy_


def standardised(xp: Any, x: Any, v: Any, axis: tuple[int, ...], eps: float) -> Any:
    """x with mean 0 and variance 1 over ``axis``; or what becomes of a small change ``v`` of it.

    The Jacobian is symmetric: it takes the mean off, and the part along the result, and scales.
    """
    n = math.prod([x.shape[a] for a in axis])
    c = x - xp.sum(x, axis=axis, keepdims=True) / n
    r = 1 / xp.sqrt(xp.sum_product(c, c, axis=axis) / n + eps)
    out = c * r
    if v is None:
        return out
    along = xp.sum_product(v, out, axis=axis) / n
    return (v - xp.sum(v, axis=axis, keepdims=True) / n - along * out) * r
