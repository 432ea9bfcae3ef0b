"""The gates of an LSTM, for any arrays, and for NumPy's in one piece of memory.

``a`` are the sums that go into the gates i, f, g, o, side by side along the last axis, and ``c`` the old state; what comes
out, side by side too, is h, the new c, the four gates and the tanh of the new c.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def parts(x: Any, first: int, last: int, n: int) -> list[Any]:
    """The pieces ``first`` to ``last`` of those of length ``n`` that lie side by side in ``x``."""
    return [x[..., k * n : (k + 1) * n] for k in range(first, last)]


def lstm(xp: Any, a: Any, c: Any) -> Any:
    i, f, g, o = parts(a, 0, 4, c.shape[-1])
    i, f, g, o = xp.sigmoid(i), xp.sigmoid(f), xp.tanh(g), xp.sigmoid(o)
    new = f * c + i * g
    bounded = xp.tanh(new)
    return xp.concat([o * bounded, new, i, f, g, o, bounded], axis=-1)


def lstm_back(xp: Any, grad: Any, out: Any, c: Any) -> tuple[Any, Any]:
    """The cotangents of ``a`` and of ``c`` from that of ``out``."""
    n = c.shape[-1]
    i, f, g, o, t = parts(out, 2, 7, n)
    g_h, g_c, *g_gates, g_t = parts(grad, 0, 7, n)
    g_c = g_c + (g_t + g_h * o) * (1 - t * t)
    ways = (g_c * g, g_c * c, g_c * i, g_h * t)
    slopes = (i * (1 - i), f * (1 - f), 1 - g * g, o * (1 - o))
    each = [(kept + way) * slope for kept, way, slope in zip(g_gates, ways, slopes, strict=True)]
    return xp.concat(each, axis=-1), g_c * f


def lstm_numpy(a: Any, c: Any) -> Any:
    """:func:`lstm`, with few passes over memory."""
    n = c.shape[-1]
    w = np.negative(a)  # apart at first: short rows of a longer one take twice as long
    np.exp(w, w)
    w += 1
    np.reciprocal(w, w)
    i, f, g, o = parts(w, 0, 4, n)
    np.tanh(a[..., 2 * n : 3 * n], g)
    new = f * c
    new += i * g
    bounded = np.tanh(new)
    return np.concatenate((o * bounded, new, w, bounded), -1)


def lstm_back_numpy(grad: Any, out: Any, c: Any) -> tuple[Any, Any]:
    """:func:`lstm_back`, with few passes over memory."""
    n = c.shape[-1]
    gates = out[..., 2 * n : 6 * n]
    i, f, g, o, t = parts(out, 2, 7, n)
    g_h = grad[..., :n]
    g_c = t * t
    np.subtract(1, g_c, g_c)
    through = g_h * o
    through += grad[..., 6 * n :]
    g_c *= through
    g_c += grad[..., n : 2 * n]
    slopes = 1 - gates
    slopes *= gates
    np.subtract(1, g * g, slopes[..., 2 * n : 3 * n])
    g_a = np.concatenate((g_c * g, g_c * c, g_c * i, g_h * t), -1)
    g_a += grad[..., 2 * n : 6 * n]
    g_a *= slopes
    return g_a, g_c * f
