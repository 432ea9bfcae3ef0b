"""Arithmetic to the last bit of PyTorch's: the C library's functions, fused multiply-add, Cephes in float32.

The last bits are those of PyTorch on x86 with AVX2 or newer, where multiply-adds are fused; where a
distribution goes through float64 logarithms, also those of the C library.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

Array: TypeAlias = "npt.NDArray[Any]"
F32: TypeAlias = "npt.NDArray[np.float32]"
F64: TypeAlias = "npt.NDArray[np.float64]"


def libm(function: Callable[[float], float], x: F64) -> F64:
    """Apply a C library function one by one, as PyTorch does: NumPy's own may differ in the last bit."""
    return np.fromiter(map(function, x.tolist()), np.float64, x.size)


def settled(
    vector: Callable[[Any], Any], scalar: Callable[[float], float], x: F64, finish: Callable[[F64], Array]
) -> Array:
    """``finish`` of a function of ``x``: of NumPy's, and of the C library's where the last bits of the two decide.

    ``finish`` is monotone.  Where it rounds coarsely, as to float32, hardly any entry needs the slow way.
    """
    with np.errstate(all="ignore"):
        y = vector(x)
        one, other = finish(y * (1 - 2.0**-50)), finish(y * (1 + 2.0**-50))
        open_ = np.flatnonzero(one != other)  # equal infinities agree, and so do zeros of either sign
        done = finish(y)
        if open_.size:
            done[open_] = finish(libm(scalar, x[open_]))
    return done


def fma(x: Array, scale: float, shift: float) -> Array:
    """``x * scale + shift`` with a single rounding, for float32 or float64."""
    if scale == 1 and shift == 0:
        unsigned: Array = x + x.dtype.type(0)  # zeros lose their sign
        return unsigned
    with np.errstate(over="ignore", invalid="ignore"):
        if shift == 0 or scale == 1:
            once: Array = x * x.dtype.type(scale) + x.dtype.type(shift)
            return once
        product = np.multiply(x, scale, dtype=np.float64)
        if x.dtype == np.float32:  # the product is exact
            return _odd_sum(product, shift).astype(np.float32)
        # Boldo and Melquiond: split the product exactly, then add up without rounding twice.
        xh, sh = _split(x), _split(scale)
        xl, sl = x - xh, scale - sh
        small, tiny = _two_sum(((xh * sh - product) + xh * sl + xl * sh) + xl * sl, shift)
        large, medium = _two_sum(product, small)
        fused = large + _odd_sum(medium, tiny)
        return np.where(np.isfinite(fused), fused, product + shift)  # the split overflows near 1e300


def _split(x: Any) -> Any:
    """The upper 26 bits of a float64."""
    big = x * (2.0**27 + 1)
    return big - (big - x)


def _two_sum(a: F64, b: Any) -> tuple[F64, F64]:
    """The rounded sum and its error."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _odd_sum(a: F64, b: Any) -> F64:
    """The sum, an inexact one rounded to its odd neighbour: a second, coarser rounding is then right."""
    total, lost = _two_sum(a, b)
    if lost.any():
        bits, side = total.view(np.int64), lost.view(np.int64)
        away = (bits ^ side) >> 63 | 1  # +1 where the lost part has the sign of the total, else -1
        bits += np.where((lost != 0) & (bits & 1 == 0), away, 0)
    return total


# --- Box-Muller ---


def box_muller64(u: F64) -> F64:
    """Standard normals from uniforms, in blocks of 16: the first 8 give radii, the last 8 angles."""
    rows = u.reshape(-1, 16)
    radius = np.sqrt(-2 * libm(math.log, (1 - rows[:, :8]).ravel())).reshape(-1, 8)
    angle = 2 * np.pi * rows[:, 8:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()


def box_muller32(u: F32) -> F32:
    """The same in float32, with PyTorch's vector routines: those of Cephes, with fused steps."""
    rows = u.reshape(-1, 16)
    radius = np.sqrt(np.float32(-2) * _log32(np.float32(1) - rows[:, :8]))
    sine, cosine = _sincos32(np.float32(2 * np.pi) * rows[:, 8:])
    return np.concatenate([radius * cosine, radius * sine], axis=1).ravel()


def _singles(*values: float) -> list[float]:
    """Each value rounded to float32, kept as a Python float."""
    return [float(np.float32(value)) for value in values]


# Minimax coefficients of the Cephes library (S. Moshier): logf, sinf, cosf, highest power first.
_LOG = _singles(
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
_LN2 = _singles(-2.12194440e-4, 0.693359375)  # ln 2 in two parts, small and large
_SQRT_HALF = np.float32(math.sqrt(0.5)).view(np.int32)  # its bits
_SIN = _singles(-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COS = _singles(2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_QUARTER_PI = _singles(0.78515625, 2.4187564849853515625e-4, 3.77489497744594108e-8)  # in three parts


def _fused(a: Array, b: Any, c: Any) -> F32:
    """``a * b + c`` in float32: exact product, and a sum of 53 bits, so all but one rounding in 2**29."""
    total: F64 = np.multiply(a, b, dtype=np.float64)
    total += c
    return total.astype(np.float32)


def _horner(x: F32, coefficients: list[float]) -> F32:
    wide, value = x.astype(np.float64), np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = _fused(wide, value, coefficient)
    return value


def _log32(x: F32) -> F32:
    """Natural logarithm of positive normal float32."""
    bits = x.view(np.int32)
    exponent = (bits - _SQRT_HALF) >> 23  # of x = (1 + m) * 2**exponent, sqrt(1/2) <= 1 + m < sqrt(2)
    m = (bits - (exponent << 23)).view(np.float32) - np.float32(1)
    e, square = exponent.astype(np.float32), m * m
    y = _fused(_horner(m, _LOG) * m, square, e * np.float32(_LN2[0]))
    return _fused(e, _LN2[1], m + (y - square * np.float32(0.5)))


def _sincos32(x: F32) -> tuple[F32, F32]:
    """Sine and cosine of float32 angles in ``[0, 2 pi]``."""
    octant = ((x * np.float32(4 / np.pi)).astype(np.int32) + 1) & ~1
    turns = octant.astype(np.float32)
    for part in _QUARTER_PI[:2]:
        x = x - turns * np.float32(part)  # of so few bits that the product is exact
    x = _fused(turns, -_QUARTER_PI[2], x)
    square = x * x
    sine = _fused(_horner(square, _SIN) * square, x, x)
    cosine = _fused(_horner(square, _COS) * square, square, square * np.float32(-0.5)) + np.float32(1)
    swap = (octant & 2) != 0
    sine, cosine = np.where(swap, cosine, sine), np.where(swap, sine, cosine)
    sine.view(np.int32)[...] ^= (octant & 4) << 29  # the sign bit
    cosine.view(np.int32)[...] ^= (octant + 2 & 4) << 29
    return sine, cosine
