"""Attention and what flows back through it, for any arrays; for NumPy's in blocks that stay in the processor's cache.

``q`` is (..., L, E), ``k`` (..., S, E), ``v`` (..., S, E) and the mask, if there is one, broadcasts to (..., L, S): True in a
bool one is where attention goes, one of floats is added.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .layout import scratch

_BLOCK = 2**16  # how many weights to compute at a time
_SAFE = 10.0  # exp of what is within is far from over- and underflow, also summed up and times large or small values


def attend(xp: Any, q: Any, k: Any, v: Any, mask: Any, scale: float) -> Any:
    """``softmax(q @ k.mT * scale + mask) @ v``."""
    return xp.matmul(_weights(xp, q, k, mask, scale), v)


def _weights(xp: Any, q: Any, k: Any, mask: Any, scale: float) -> Any:
    """The weights; where everything is forbidden they are 0."""
    s = xp.matmul(q * scale, xp.matrix_transpose(k))
    if mask is not None:
        s = xp.where(mask, s, -math.inf) if mask.dtype.kind == "b" else s + mask
    top = xp.peak(s, axis=(-1,))
    e = xp.exp(s - xp.where(top == -math.inf, 0, top))
    total = xp.sum(e, axis=(-1,), keepdims=True)
    return e / xp.where(total == 0, 1, total)


def attend_back(xp: Any, g: Any, out: Any, q: Any, k: Any, v: Any, mask: Any, scale: float) -> list[Any]:
    """The cotangents of ``q``, ``k`` and ``v`` from that of ``out``.

    The weights are computed again rather than kept: they are by far the largest thing there is.
    """
    p = _weights(xp, q, k, mask, scale)
    s = (xp.matmul(g, xp.matrix_transpose(v)) - xp.sum(g * out, axis=(-1,), keepdims=True)) * p
    turned = xp.matrix_transpose
    return [xp.matmul(s, k) * scale, xp.matmul(turned(s), q) * scale, xp.matmul(turned(p), g)]


# --- NumPy's ---


def attend_numpy(q: Any, k: Any, v: Any, mask: Any, scale: float) -> Any:
    """:func:`attend`."""
    out = np.empty((*q.shape[:-1], v.shape[-1]), q.dtype)
    flat = _flat(out)
    q, k, v = _flat(q) * scale, _flat(k), _flat(v)
    for part, e, total, _ in _blocks(q, k, _masks(mask, out.shape[:-2])):
        np.matmul(e, v[part], out=flat[part])
        flat[part] /= total
    return out


def attend_back_numpy(g: Any, out: Any, q: Any, k: Any, v: Any, mask: Any, scale: float) -> list[Any]:
    """:func:`attend_back`."""
    masks, shapes = _masks(mask, out.shape[:-2]), (q.shape, k.shape, v.shape)
    g, q, k, v = _flat(g), _flat(q) * scale, _flat(k), _flat(v)
    along = np.einsum("...i,...i->...", g, _flat(out))[..., None]
    g_q, g_k, g_v = (np.empty(x.shape, q.dtype) for x in (q, k, v))
    for part, e, total, s in _blocks(q, k, masks):
        shared = g[part] / total
        np.matmul(e.swapaxes(-1, -2), shared, out=g_v[part])
        np.matmul(shared, v[part].swapaxes(-1, -2), out=s)
        s -= along[part] / total
        s *= e
        np.matmul(s, k[part], out=g_q[part])
        np.matmul(s.swapaxes(-1, -2), q[part], out=g_k[part])
    g_q *= scale
    return [x.reshape(shape) for x, shape in zip((g_q, g_k, g_v), shapes, strict=True)]


def _flat(x: Any) -> Any:
    """``x`` with one axis of batches, in one piece of memory, as BLAS wants it."""
    return np.ascontiguousarray(x).reshape(math.prod(x.shape[:-2]), *x.shape[-2:])


def _masks(mask: Any, lead: tuple[int, ...]) -> Any:
    """The mask with one axis of batches: of length 1 where it is the same for all."""
    if mask is None or math.prod(mask.shape[:-2]) == 1:
        return mask if mask is None else mask.reshape(1, *mask.shape[-2:])
    return _flat(np.broadcast_to(mask, (*lead, *mask.shape[-2:])))


def _blocks(q: Any, k: Any, masks: Any) -> Iterator[tuple[slice, Any, Any, Any]]:
    """For some of the batches at a time the weights before they are divided, what by, and as much memory again.

    What is yielded is written over later.  The largest score is not looked for where the lengths of q and k tell that none
    is large.
    """
    count, (rows, columns) = len(q), (q.shape[-2], k.shape[-2])
    step = max(1, _BLOCK // max(1, rows * columns))
    (room,) = scratch(q.dtype, (2, min(step, count), rows, columns))
    wide = room.size and q.dtype.itemsize >= 4
    calm = masks is None and wide and _longest(q) * _longest(k) < _SAFE**2
    ones = np.ones((columns, 1), q.dtype)
    for start in range(0, count, step):
        part = slice(start, min(start + step, count))
        s, free = room[:, : part.stop - start]
        np.matmul(q[part], k[part].swapaxes(-1, -2), out=s)
        if calm:
            np.exp(s, s)
            total = np.matmul(s, ones)
        else:
            total = _exponentials(s, masks if masks is None or len(masks) == 1 else masks[part])
        yield part, s, total, free


def _exponentials(s: Any, mask: Any) -> Any:
    """Scores made weights before they are divided; what by is returned."""
    if mask is not None and mask.dtype.kind == "b":
        np.copyto(s, -math.inf, where=~mask)
    elif mask is not None:
        s += mask
    top = s.max(-1, keepdims=True, initial=-math.inf)
    s -= np.where(top == -math.inf, 0, top)
    np.exp(s, s)
    total = s.sum(-1, keepdims=True)
    return np.where(total == 0, 1, total)


def _longest(x: Any) -> Any:
    """The square of the largest length of a row; nan if there is one that is nan."""
    return np.einsum("...i,...i->...", x, x).max()
