"""Linear algebra for NumPy's namespace: what rules ask for in one array, LAPACK gives in several."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..extras import load


def triangular(a: Any, b: Any, *, upper: Any, unit: Any) -> Any:
    """The solution of triangular systems: LAPACK finds nothing to eliminate in a matrix that is upper triangular."""
    out = np.empty((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:]), np.result_type(a, b))
    if not upper:
        return np.flip(triangular(np.flip(a, (-2, -1)), np.flip(b, -2), upper=True, unit=unit), -2)
    a, b = np.broadcast_to(np.triu(a), (*out.shape[:-2], *a.shape[-2:])), np.broadcast_to(b, out.shape)
    if unit:
        a = np.where(np.eye(a.shape[-1], dtype=bool), 1, a)
    try:
        return np.linalg.solve(a, b)
    except np.linalg.LinAlgError:  # a 0 on a diagonal: what divisions by it give
        for k in reversed(range(a.shape[-1])):
            known = a[..., k, None, k + 1 :] @ out[..., k + 1 :, :]
            out[..., k, :] = (b[..., k, :] - known[..., 0, :]) / a[..., k, k, None]
    return out


def adjugate(a: Any) -> Any:
    """The cofactors, transposed; by singular values, so that singular matrices have them too."""
    n = a.shape[-1]
    if not n:
        return a
    u, s, vh = np.linalg.svd(a)
    ones = np.ones_like(s[..., :1])
    before = np.concatenate([ones, np.cumprod(s, -1)[..., :-1]], -1)
    after = np.concatenate([np.cumprod(s[..., ::-1], -1)[..., ::-1][..., 1:], ones], -1)
    turn = np.linalg.det(u) * np.linalg.det(vh)
    return turn[..., None, None] * (vh.conj().mT * (before * after)[..., None, :]) @ u.conj().mT


def lu_in_order(a: Any) -> Any:
    """L and U of matrices whose rows need no exchange, in one."""
    out = np.array(a)
    for k in range(a.shape[-1] - 1):
        out[..., k + 1 :, k] /= out[..., k, k, None]
        out[..., k + 1 :, k + 1 :] -= out[..., k + 1 :, k, None] * out[..., k, None, k + 1 :]
    return out


def lu_pivots(a: Any, pivot: bool) -> Any:
    """LAPACK's exchanges of rows, counted from 1."""
    k = int(np.min(a.shape[-2:]))
    out = np.empty((*a.shape[:-2], k), np.int32)
    out[...] = np.arange(1, k + 1)
    if pivot and a.size:
        lu_factor = load("scipy.linalg", "special", "LU decompositions").lu_factor
        for at in np.ndindex(a.shape[:-2]):
            out[at] = lu_factor(a[at], check_finite=False)[1] + 1
    return out


def lu_rows(pivots: Any, m: int) -> Any:
    """The order of ``m`` rows after exchanges."""
    out = np.empty((*pivots.shape[:-1], m), np.int64)
    for at in np.ndindex(pivots.shape[:-1]):
        rows = np.arange(m)
        for i, p in enumerate(pivots[at] - 1):
            rows[[i, p]] = rows[[p, i]]
        out[at] = rows
    return out


def qr_parts(a: Any) -> Any:
    q, r = np.linalg.qr(a)
    return np.concatenate([q.mT, r], -1)


def reflections(a: Any) -> Any:
    """LAPACK's form of a QR decomposition, and as a last row the factors of the reflections."""
    h, tau = np.linalg.qr(a, "raw")
    last = np.zeros((*a.shape[:-2], 1, a.shape[-1]), h.dtype)
    last[..., 0, : tau.shape[-1]] = tau
    return np.concatenate([h.mT, last], -2)


def eigh_parts(a: Any, upper: bool) -> Any:
    w, v = np.linalg.eigh(a, "U" if upper else "L")
    return np.concatenate([v, w[..., None].astype(v.dtype)], -1)


def eig_parts(a: Any) -> Any:
    w, v = np.linalg.eig(a)
    return np.concatenate([v, w[..., None]], -1).astype(np.result_type(a, np.complex64), copy=False)


def svd_parts(a: Any) -> Any:
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return np.concatenate([u.mT, s[..., None].astype(a.dtype), vh], -1)


def svdvals(a: Any) -> Any:
    return np.linalg.svd(a, compute_uv=False)


def svd_complement(a: Any) -> Any:
    u, s, vh = np.linalg.svd(a, full_matrices=True)
    k = s.shape[-1]
    return u[..., k:] if a.shape[-2] > k else vh[..., k:, :]


def pinv(a: Any, atol: Any, rtol: Any, hermitian: bool) -> Any:
    """The pseudo-inverse: singular values up to ``atol``, or ``rtol`` times the largest, count as 0."""
    if rtol is None:
        rtol = 0.0 if atol is not None and np.any(atol) else float(np.max(a.shape[-2:]) * np.finfo(a.dtype).eps)
    if atol is not None:
        top = np.linalg.svd(a, compute_uv=False).max(-1)
        rtol = np.maximum(np.asarray(atol) / np.where(top > 0, top, 1), rtol)
    inverse: Any = np.linalg.pinv
    return inverse(a, rcond=rtol, hermitian=hermitian)


def matrix_rank(a: Any, atol: Any, rtol: Any, hermitian: bool) -> Any:
    if not a.size:
        return np.zeros(a.shape[:-2], np.int64)
    s = np.abs(np.linalg.eigvalsh(a)) if hermitian else np.linalg.svd(a, compute_uv=False)
    if rtol is None:
        rtol = 0.0 if atol is not None and np.any(atol) else float(np.max(a.shape[-2:]) * np.finfo(s.dtype).eps)
    cut = np.maximum(0.0 if atol is None else atol, np.asarray(rtol) * s.max(-1))
    return np.asarray((s > np.asarray(cut)[..., None]).sum(-1), np.int64)


def expm(a: Any) -> Any:
    return load("scipy.linalg", "special", "matrix_exp").expm(a).astype(a.dtype)
