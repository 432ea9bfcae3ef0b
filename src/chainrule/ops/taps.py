"""Weighted sums of entries at computed places, as a sampler takes them, and what is linear in each of their parts.

Of ``sum_k w[k, m] x[c, at[k, m]] v[c, m]``, over c and m too, each operation is the derivative in one of v, x and w.  Place
``size``, after the last, stands for no entry, which counts as 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..primitive import Primitive
from .kinds import no_kernel

AT: Any = [[0, 5, 2], [1, 3, 2], [4, 4, 0], [2, 1, 5]]


def _each(f: Callable[..., Any], shape: tuple[int, ...], *arrays: Any) -> Any:
    """``f`` of the last two axes of each array, into an array of ``shape``, of the first one's dtype."""
    lead = math.prod(shape[:-2])
    out = np.empty((lead, *shape[-2:]), arrays[0].dtype)
    parts = [a.reshape(lead, *a.shape[-2:]) for a in arrays]
    for i in range(lead):
        out[i] = f(*[a[i] for a in parts])
    return out.reshape(shape)


def _padded(x: Any) -> Any:
    wide = np.zeros((*x.shape[:-1], x.shape[-1] + 1), x.dtype)
    wide[..., :-1] = x
    return wide


def tapped(x: Any, w: Any, at: Any) -> Any:
    def one(x: Any, w: Any, at: Any) -> Any:
        return np.einsum("ckm,km->cm", x.take(at, axis=1, mode="clip"), w)

    return _each(one, (*x.shape[:-1], w.shape[-1]), _padded(x), w, at)


def spread(v: Any, w: Any, at: Any, size: int) -> Any:
    def one(v: Any, w: Any, at: Any) -> Any:
        at = at.ravel()
        return [np.bincount(at, (row * w).ravel(), size + 1)[:size] for row in v]

    return _each(one, (*v.shape[:-1], size), v, w, at)


def against(v: Any, x: Any, at: Any) -> Any:
    def one(v: Any, x: Any, at: Any) -> Any:
        return np.einsum("ckm,cm->km", x.take(at, axis=1, mode="clip"), v)

    return _each(one, at.shape, v, _padded(x), at)


class Taps(Primitive):
    """Sums of entries of x (..., c, size) at ``at`` (..., k, m) with weights w (..., k, m): (..., c, m)."""

    forward = lambda xp, x, w, at: tapped(x, w, at)
    vjp_x = lambda g, w, at, x_shape: _spread(g, w, at, size=x_shape[-1])
    vjp_w = lambda g, x, at: _against(g, x, at)
    linear = ("x", "w")
    depends = lambda xp, x, w, at: xp.sum(x, axis=-1, keepdims=True) + xp.sum(w, axis=-2, keepdims=True)
    formula = False
    real_only = no_kernel("grid_sampler_2d_cpu")
    samples = [(((2, 5), (4, 3), AT), {}), (((1, 2, 5), (1, 4, 3), [AT]), {})]


class Spread(Primitive):
    """Where :class:`Taps` took v (..., c, m) from: its entries times weights, added at ``at``: (..., c, size)."""

    forward = lambda xp, v, w, at, *, size: spread(v, w, at, size)
    vjp_v = lambda g, w, at: _taps(g, w, at)
    vjp_w = lambda g, v, at: _against(v, g, at)
    linear = ("v", "w")
    depends = lambda xp, v, w, at, out_shape: xp.broadcast_to(
        xp.sum(v, axis=-1, keepdims=True) + xp.sum(w, axis=(-2, -1), keepdims=True), out_shape
    )
    formula = False
    real_only = no_kernel("grid_sampler_2d_cpu")
    samples = [(((2, 3), (4, 3), AT), {"size": 5})]


class Against(Primitive):
    """The products of v (..., c, m) with x (..., c, size) at ``at``, added over c: (..., k, m)."""

    forward = lambda xp, v, x, at: against(v, x, at)
    vjp_v = lambda g, x, at: _taps(x, g, at)
    vjp_x = lambda g, v, at, x_shape: _spread(v, g, at, size=x_shape[-1])
    linear = ("v", "x")
    depends = lambda xp, v, x, at, out_shape: xp.broadcast_to(
        xp.sum(v, axis=-2, keepdims=True) + xp.sum(x, axis=(-2, -1), keepdims=True), out_shape
    )
    formula = False
    real_only = no_kernel("grid_sampler_2d_cpu")
    samples = [(((2, 3), (2, 5), AT), {})]


_taps: Primitive = Taps()
_spread: Primitive = Spread()
_against: Primitive = Against()
