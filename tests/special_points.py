"""Every operation at the numbers where libraries differ: zeros of both signs, subnormals, the largest, inf, nan, ties.

``evaluate(T)`` gives the values and gradients that a library with PyTorch's names has there.  PyTorch's own are
recorded in ``golden/special_points.npz``, which ``python tests/parity/test_special_points_parity.py`` writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Points = tuple[Array, ...]
GOLDEN = Path(__file__).parent / "golden" / "special_points.npz"
REAL, COMPLEX = ("float32", "float64"), ("complex64", "complex128")
INF = float("inf")


# --- the points -----------------------------------------------------------------------------------------


def grid(dtype: str) -> Array:
    """17 numbers: both zeros, the smallest and the largest of each kind, inf, nan, and where functions have kinks."""
    f = np.finfo(dtype)
    signed = [0.0, f.smallest_subnormal, f.tiny, 0.5, 1.0, f.max, np.inf]
    return np.array([*signed, *[-v for v in signed], 3.0, -2.5, np.nan], f.dtype)


def plane(dtype: str) -> Array:
    """All 289 complex numbers whose parts are of the grid."""
    g = grid(dtype)
    z = np.empty((g.size, g.size), dtype)
    z.real, z.imag = g[:, None], g
    return z.ravel()


def corners(dtype: str) -> Array:
    """17 complex numbers, for functions of two."""
    most, least = float(np.finfo(dtype).max), float(np.finfo(dtype).tiny)
    parts = [
        (0, 0), (-0.0, 0), (0, -0.0), (1, 0), (-1, -0.0), (0, 1), (0.5, -1), (-2.5, 3), (most, least), (least, most),
        (INF, 0), (-INF, 1), (0, INF), (INF, INF), (np.nan, 0), (1, np.nan), (INF, np.nan),
    ]  # fmt: skip
    z = np.empty(len(parts), dtype)
    z.real, z.imag = np.array(parts).T
    return z


def points(kind: str, dtype: str) -> Points:
    """The arguments of functions of one number, of two, or of rows of two."""
    real = dtype in REAL
    if kind == "one":
        return (grid(dtype) if real else plane(dtype),)
    x, y = np.meshgrid(*[grid(dtype) if real else corners(dtype)] * 2, indexing="ij")
    return (x.ravel(), y.ravel()) if kind == "two" else (np.stack([x.ravel(), y.ravel()], -1),)


def ordinary(arguments: Points) -> Array:
    """Where all arguments are complex numbers of ordinary size; elsewhere libraries multiply and divide differently."""
    limit = np.finfo(arguments[0].dtype).max / 4
    near = [(np.abs(a.real) < limit) & (np.abs(a.imag) < limit) for a in arguments]
    return np.logical_and.reduce([n.all(-1) if n.ndim > 1 else n for n in near])


# --- the functions --------------------------------------------------------------------------------------

Function = Callable[..., Any]
METHODS = """
    abs neg reciprocal exp expm1 log log1p log2 log10 sqrt rsqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh
    atanh sign sgn floor ceil round sigmoid relu erf square clone isnan conj angle
"""
OF_TWO = """
    add sub mul div pow maximum minimum fmax fmin atan2 logaddexp xlogy remainder floor_divide eq ne lt le gt ge complex polar
"""
OF_ROWS = """
    sum mean prod amax amin var std logsumexp softmax log_softmax cumsum argmax argmin all any
"""
UNITS = """
    relu6 hardtanh hardsigmoid hardswish hardshrink softshrink leaky_relu elu selu silu softsign logsigmoid
"""
ONE: dict[str, Function] = {name: lambda T, x, name=name: getattr(x, name)() for name in METHODS.split()} | {
    "real": lambda T, x: T.real(x),
    "imag": lambda T, x: T.imag(x),
    "isreal": lambda T, x: T.isreal(x),
    **{name: lambda T, x, name=name: getattr(T.nn.functional, name)(x) for name in UNITS.split()},
    "sinc": lambda T, x: T.sinc(x),
    "threshold": lambda T, x: T.nn.functional.threshold(x, 0.5, 2.0),
    "softplus": lambda T, x: T.nn.functional.softplus(x),
    "softplus of beta 2": lambda T, x: T.nn.functional.softplus(x, beta=2.0, threshold=1.0),
    "clamp from -1 to 1": lambda T, x: x.clamp(-1, 1),
    "clamp from 0": lambda T, x: x.clamp(min=0),
    "clamp to 0.5": lambda T, x: x.clamp(max=0.5),
    "x * 0": lambda T, x: x * 0.0,
    "x / 0": lambda T, x: x / 0.0,
    "0 / x": lambda T, x: 0.0 / x,
    "1 / x": lambda T, x: 1 / x,
    "x % 2": lambda T, x: x % 2,
    "x // 0.5": lambda T, x: x // 0.5,
    "where x > 0": lambda T, x: T.where(x > 0, x.sqrt(), -x),
    **{f"x ** {p}": lambda T, x, p=p: x**p for p in (0, 1, 2, 3, -1, -2, 0.5, -0.5, 1.5)},
    **{f"{p} ** x": lambda T, x, p=p: p**x for p in (0.0, 1.0, 2.0, -2.0)},
}
TWO: dict[str, Function] = {name: lambda T, x, y, name=name: getattr(T, name)(x, y) for name in OF_TWO.split()} | {
    "where": lambda T, x, y: T.where(x > y, x, y),
    "clamp from y": lambda T, x, y: T.clamp(x, min=y),
    "clamp to y": lambda T, x, y: T.clamp(x, max=y),
    "half way": lambda T, x, y: x + (y - x) * 0.5,
    "add twice": lambda T, x, y: T.add(x, y, alpha=2),
    "mse_loss": lambda T, x, y: T.nn.functional.mse_loss(x, y, reduction="none"),
    "l1_loss": lambda T, x, y: T.nn.functional.l1_loss(x, y, reduction="none"),
    "logits": lambda T, x, y: T.nn.functional.binary_cross_entropy_with_logits(x, y, reduction="none"),
}
ROWS: dict[str, Function] = {  # of (n, 2), along the last dimension
    name: lambda T, x, name=name: getattr(x, name)(dim=-1) for name in OF_ROWS.split()
} | {
    "max": lambda T, x: x.max(dim=-1).values,
    "min": lambda T, x: x.min(dim=-1).values,
    "max of all": lambda T, x: T.stack([r.max() for r in x.unbind()]),
    "min of all": lambda T, x: T.stack([r.min() for r in x.unbind()]),
    "var, biased": lambda T, x: x.var(dim=-1, correction=0),
    **{f"norm {p}": lambda T, x, p=p: T.norm(x, p=p, dim=-1) for p in (2, 1, 3, 1.5, 0.5, 0, INF, -INF)},
    "matmul": lambda T, x: x @ T.ones(2, dtype=x.dtype),
    "dot": lambda T, x: T.stack([r.dot(r) for r in x.unbind()]),
}
_NO_COMPLEX = {
    "sign", "floor", "ceil", "round", "relu", "erf", "softplus", "softplus of beta 2", "clamp from -1 to 1",
    "clamp from 0", "clamp to 0.5", "x % 2", "x // 0.5", "where x > 0", "maximum", "minimum", "remainder", "floor_divide",
    "lt", "le", "gt", "ge", "where", "complex", "polar", "mse_loss", "logits", "amax", "amin", "max", "min", "max of all",
    "min of all", "argmax", "argmin", "softmax", "log_softmax",
}  # fmt: skip
_NO_COMPLEX |= {
    *UNITS.split(),
    "sinc",
    "threshold",
    "fmax",
    "fmin",
    "atan2",
    "logaddexp",
    "xlogy",
    "clamp from y",
    "clamp to y",
}
# Flat in places: there no cotangent goes on, and 0 times inf is not nan.
FLAT = {
    "relu", "relu6", "hardtanh", "hardsigmoid", "hardshrink", "softshrink", "threshold", "clamp from -1 to 1", "clamp from 0",
    "clamp to 0.5", "maximum", "minimum", "fmax", "fmin", "where", "clamp from y", "clamp to y",
}  # fmt: skip
_NO_REAL = {"imag"}
_STEPS = {"x // 0.5", "floor_divide"}  # PyTorch has no derivative for them, not even 0
KINDS = {"one": ONE, "two": TWO, "rows": ROWS}


def evaluate(T: Any, only: str = "") -> Iterator[tuple[str, Points, Array]]:
    """``(name, points, result)`` of every value and gradient; names read "exp, float32, value", "..., gradient 0"."""
    for dtype in (*REAL, *COMPLEX):
        for kind, functions in KINDS.items():
            arguments = points(kind, dtype)
            for name, f in functions.items():
                if name.startswith(only) and name not in (_NO_REAL if dtype in REAL else _NO_COMPLEX):
                    for what, result in at(T, f, arguments, name not in _STEPS):
                        yield f"{name}, {dtype}, {what}", arguments, result
                    if name in FLAT and dtype in REAL:
                        for weight in (INF, np.nan):
                            for what, result in at(T, f, arguments, True, weight):
                                if what != "value":
                                    yield f"{name}, {dtype}, {what} of {weight}", arguments, result


def at(T: Any, f: Function, arguments: Points, slopes: bool, weight: float = 1.0) -> Iterator[tuple[str, Array]]:
    """The value of one function at some points, and the gradient of its sum, times ``weight``, in each argument."""
    xs = [T.from_numpy(a.copy()) for a in arguments]
    if slopes:
        xs = [x.requires_grad_() for x in xs]
    out = f(T, *xs)
    yield "value", numbers(out)
    if out.requires_grad:
        weights = T.full_like(out, weight)
        if out.ndim > 1:
            weights[:, 1] = 2  # else what is exactly 0, a softmax's gradient, would be rounding errors
        gradients = T.autograd.grad(out, xs, weights, allow_unused=True)
        for i, g in enumerate(gradients):
            if g is not None:
                yield f"gradient {i}", numbers(g)


def numbers(t: Any) -> Array:
    found: Array = t.detach().resolve_conj().numpy(force=True)
    return found


# --- how they are compared ------------------------------------------------------------------------------


def distances(found: Array, wanted: Array) -> Array:
    """How far apart, in units of the last place; inf where the class differs: zero, sign, inf or nan."""
    assert found.shape == wanted.shape and found.dtype == wanted.dtype, (found.shape, found.dtype, wanted.dtype)
    if wanted.dtype.kind not in "fc":
        return np.where(found == wanted, 0.0, np.inf)
    with np.errstate(all="ignore"):
        if wanted.dtype.kind == "c":
            parts = np.maximum(*[distances(f, w) for f, w in ((found.real, wanted.real), (found.imag, wanted.imag))])
            scale = np.maximum(np.abs(wanted.real), np.abs(wanted.imag))
            whole = np.abs(found - wanted) / np.spacing(scale)  # a part may be lost in the rounding of the other
            return np.where(np.isfinite(whole), np.minimum(parts, whole), parts)
        scale = np.abs(wanted).max(-1, keepdims=True) if wanted.ndim > 1 else np.abs(wanted)
        apart = np.abs(found.astype(np.longdouble) - wanted) / np.spacing(scale).astype(np.longdouble)
        same = (found == wanted) & (np.signbit(found) == np.signbit(wanted)) | (np.isnan(found) & np.isnan(wanted))
    kind = np.isfinite(found) & np.isfinite(wanted) & ((found == 0) == (wanted == 0))
    return np.where(same, 0.0, np.where(kind, apart, np.inf)).astype(float)
