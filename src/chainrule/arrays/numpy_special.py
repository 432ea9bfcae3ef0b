"""Special functions of many numbers, by NumPy alone: polynomials, in blocks that stay near the processor.

A kernel writes to ``out`` what its function makes of the arrays before; all are dense, of one axis, and so are the arrays
it works in, as many as it names.  The polynomials are minimax fits by ``tools/fit_special.py``, lowest order first.
float64 numbers take twice as many passes over twice as much memory, so that SciPy's loops are as quick: of these, ``erf``
alone is here.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from .numpy_many import by_blocks

F16, F32, F64 = np.dtype("float16"), np.dtype("float32"), np.dtype("float64")
FEW = 200  # entries, up to which one after the other is the quicker
SIGN, ONE = np.uint32(1 << 31), np.float32(1).view(np.uint32)

ERF = (1.128379225730896, 0.63661789894104, 0.10278923809528351, -0.019191106781363487, -9.53057169681415e-05,
       0.001605791156180203, -0.0006009807111695409, 0.0001090909936465323, -8.336177415912971e-06)  # fmt: skip
DECAY = 0.35
ERFC = (0.19748300172882866, 0.1971525351666687, 0.18779118784548682, 0.15167841554847591, 0.14468540053201576,
        0.08943802150831155, -0.030501006494065466, 0.1834830931450879, -0.15976043272198268, 0.03854979097134671)  # fmt: skip
GELU = (1.1511051654815674, 0.45920851826667786, 0.052495263516902924, -0.007062157616019249,
        0.00013600588135886937, 0.00018655334133654833, -3.945434218621813e-05, 2.841220066329697e-06)  # fmt: skip
GELU_SLOPE = (0.4999999403953552, -0.7978789210319519, 0.2499176412820816, -0.1325165182352066,
              0.061159662902355194, -0.02431889995932579, 0.007942572236061096, -0.0019758869893848896,
              0.0003400375717319548, -3.524667408782989e-05, 1.63381071160984e-06)  # fmt: skip
ERFINV = (0.8862268924713135, 0.23201411962509155, 0.011547654867172241, -0.0023327572271227837,
          -0.000128782179672271, 4.5215820136945695e-05, 3.7855402297282126e-06, -1.9406400042498717e-06,
          2.1747268874605652e-07, -8.641980464574317e-09)  # fmt: skip
ERFINV_TAIL = (2.832976818084717, 1.001675009727478, 0.0094451317563653, -0.007638196926563978,
               0.005686759948730469, -0.0035928874276578426, 0.0014874495100229979, -6.515261338790879e-05,
               -0.00031228287843987346, 0.00012112872354919091)  # fmt: skip
LGAMMA = (0.08333333333333008, -0.002777777767445314, 0.0007936455289857977, -0.0005942946163595362,
          0.0007717960252110167)  # fmt: skip
DIGAMMA = (0.08333333333333284, -0.00833333333106406, 0.003968252274570148, -0.004166202915429214,
           0.00751783304710415, -0.0176745901783113)  # fmt: skip
TRIGAMMA = (0.16666666666666, -0.033333333302592576, 0.023809500849958237, -0.03332703457167974,
            0.07496809276161737, -0.20619618915239046)  # fmt: skip


def horner(table: Any, x: Any, out: Any) -> None:
    """The polynomial at x."""
    np.multiply(x, table[-1], out=out)
    for c in table[-2:0:-1]:
        out += c
        out *= x
    out += table[0]


def each(f: Any, x: Any) -> Any:
    """Python's function of each entry."""
    return np.fromiter(map(f, x.ravel().tolist()), x.dtype, x.size).reshape(x.shape)[()]


# --- the error function ---


def erf(x: Any) -> Any:
    if x.size <= FEW or x.dtype not in (F32, F64):
        return each(math.erf, x)
    return by_blocks(erf_block, (x,), (x.dtype,))


def erf_block(x: Any, out: Any, a: Any) -> None:
    single = x.dtype == F32
    x.clip(-4, 4, out=a) if single else np.clip(x, -6, 6, out=a)
    np.abs(a, out=a)
    horner(ERF if single else erf_table(), a, out)
    out *= a
    np.negative(out, out=out)
    np.expm1(out, out=out)  # below 0, so that it has a sign to lose
    kind: Any = np.uint32 if single else np.uint64
    bits = a.view(kind)
    np.bitwise_or(x.view(kind), kind(2 ** (8 * x.itemsize - 1) - 1), out=bits)
    out.view(kind)[...] &= bits


@functools.cache
def erf_table() -> Any:
    from ..compiler.mathlib_tables import TABLES  # loops of a compiled function are made with the same

    table = TABLES["float64"]
    return (table["ERF_SLOPE"][0], *table["ERF"])


def erfc(x: Any) -> Any:
    if x.size <= FEW or x.dtype != F32:
        return each(math.erfc, x) if x.size <= FEW else scipy("erfc")(x)
    return by_blocks(functools.partial(tail_block, 1.0), (x,), (F64, F64, F64))


def ndtr(x: Any) -> Any:
    if x.size <= FEW or x.dtype != F32:
        return scipy("ndtr")(x)
    return by_blocks(functools.partial(tail_block, -math.sqrt(0.5)), (x,), (F64, F64, F64))


def tail_block(scale: float, x: Any, out: Any, a: Any, t: Any, y: Any) -> None:
    """erfc(scale x), or half of it for a scale below 0; by float64, for one unit in the last place of a product would be
    many in the result."""
    np.copyto(a, x)
    np.abs(a, out=a)
    np.multiply(a, DECAY * abs(scale), out=t)
    t += 1
    np.divide(1, t, out=t)
    horner(ERFC, t, y)
    y *= t
    a *= a
    a *= -scale * scale / math.log(2)
    np.exp2(a, out=a)
    y *= a
    sign = a.view(np.uint64)[: x.size]
    np.copyto(out, y, casting="same_kind")
    bits = np.bitwise_and(x.view(np.uint32), SIGN, out=sign.view(np.uint32)[: x.size])
    if scale < 0:
        bits ^= SIGN
    out.view(np.uint32)[...] ^= bits  # erfc(-a) = 2 - erfc(a), and the bit below the sign alone is that of 2
    bits >>= 1
    out += bits.view(F32)
    if scale < 0:
        out *= 0.5


def erfinv(x: Any) -> Any:
    if x.size <= FEW or x.dtype != F32:
        return scipy("erfinv")(x)
    return by_blocks(erfinv_block, (x,), (F32,))


def erfinv_block(x: Any, out: Any, w: Any) -> None:
    np.subtract(1, x, out=w)
    np.add(x, 1, out=out)
    w *= out
    np.log(w, out=w)
    np.negative(w, out=w)
    horner(ERFINV, w, out)
    out *= x
    far = np.flatnonzero(w >= 5)
    if far.size:
        s, y = w[far], x[far]
        np.sqrt(s, out=s)
        z = np.empty_like(s)
        horner(ERFINV_TAIL, s - 3, z)
        out[far] = np.where(s < np.inf, y * z, y * s)


# --- the normal distribution in a network ---


def gelu(x: Any) -> Any:
    if x.size <= FEW or x.dtype != F32:
        return x * 0.5 * (1 + erf(x * math.sqrt(0.5)))
    return by_blocks(gelu_block, (x,), (F32,))


def gelu_block(x: Any, out: Any, a: Any) -> None:
    """x above 0, less |x| times the probability of a value beyond |x|."""
    np.abs(x, out=a)
    horner(GELU, a, out)
    out *= a
    np.subtract(-1, out, out=out)
    np.exp2(out, out=out)
    out *= a
    x.clip(0, math.inf, out=a)
    np.subtract(a, out, out=out)


def gelu_slope(x: Any) -> Any:
    if x.size <= FEW or x.dtype != F32:
        return 0.5 * (1 + erf(x * math.sqrt(0.5))) + x * np.exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))
    return by_blocks(gelu_slope_block, (x,), (F32,))


def gelu_slope_block(x: Any, out: Any, a: Any) -> None:
    x.clip(-15, 15, out=a)  # beyond, the density is 0, and powers would become infinite
    np.abs(a, out=a)
    horner(GELU_SLOPE, a, out)
    a *= a
    a *= -0.5 / math.log(2)
    np.exp2(a, out=a)
    out *= a
    sign = np.bitwise_and(x.view(np.uint32), SIGN, out=a.view(np.uint32))
    sign |= ONE
    out *= a
    a += 1
    a *= 0.5
    np.subtract(a, out, out=out)


# --- gamma and its kin ---


def gammaln(x: Any) -> Any:
    if x.size <= FEW or x.dtype != F32:
        y = scipy("gammaln")(x)
        return np.abs(y, out=y, where=x == -math.inf) if np.isinf(x).any() else y
    return by_blocks(lgamma_block, (x,), (F64, F64, F64, F64))


def psi(x: Any) -> Any:
    if x.size <= FEW or x.dtype != F32:
        y, zero = scipy("psi")(x), x == 0
        return np.where(zero, -np.copysign(math.inf, x), y).astype(x.dtype)[()] if zero.any() else y
    return by_blocks(digamma_block, (x,), (F64, F64, F64, F64))


digamma = psi


def trigamma(x: Any) -> Any:
    return by_blocks(trigamma_block, (x,), (F64, F64, F64, F64))


def polygamma(n: int, x: Any) -> Any:
    if n == 1 and x.size > FEW and x.dtype == F32:
        return trigamma(x)
    return scipy("polygamma")(n, x)


def shifted(x: Any, z: Any, u: Any) -> Any:
    """z, x as float64 or where x < 1/2 its reflection 1 - x; u = z (z + 7), of which (z + k) (z + 7 - k) = u + k (7 - k);
    and the places that are reflected."""
    np.copyto(z, x)
    back = np.flatnonzero(x < 0.5)
    if back.size:
        z[back] = 1 - z[back]
    np.add(z, 7, out=u)
    u *= z
    return back


PAIRS = 6, 10, 12  # k (7 - k)


def lgamma_block(x: Any, out: Any, z: Any, u: Any, v: Any, w: Any) -> None:
    back = shifted(x, z, u)
    np.add(u, PAIRS[0], out=v)
    v *= u
    for c in PAIRS[1:]:
        np.add(u, c, out=w)
        v *= w
    np.log(v, out=v)  # of gamma(z + 8) / gamma(z)
    z += 8
    np.log(z, out=w)
    np.subtract(z, 0.5, out=u)
    w *= u
    w -= z
    w -= v
    np.divide(1, z, out=z)
    np.multiply(z, z, out=u)
    horner(LGAMMA, u, v)
    v *= z
    w += v
    w += math.log(2 * math.pi) / 2
    if back.size:
        w[back] = math.log(math.pi) - np.log(np.abs(sine(x[back]))) - w[back]
    np.copyto(out, w, casting="same_kind")
    out[np.abs(x) > 1e37] = math.inf  # the product is beyond float64, or the result beyond float32
    near = np.flatnonzero(np.abs(out) < 2e-3)
    if near.size:  # to 1 or 2, where differences have no digits left
        y = np.float64(x[near])
        whole = np.rint(y)
        d = y - whole
        series = np.polyval(AROUND_1, d) + (whole == 2) * np.log1p(d)
        out[near] = np.where((whole == 1) | (whole == 2), series, out[near])


AROUND_1 = (math.pi**4 / 360, -1.2020569031595942 / 3, math.pi**2 / 12, -0.5772156649015329, 0)  # lgamma(1 + d)


def sine(x: Any) -> Any:
    """sin(pi x) but for its sign, by float64: exactly 0 for whole numbers."""
    x = np.float64(x)
    return np.sin(math.pi * (x - np.rint(x)))


def digamma_block(x: Any, out: Any, z: Any, u: Any, v: Any, w: Any) -> None:
    back = shifted(x, z, u)
    np.divide(1, u, out=v)
    for c in PAIRS:
        np.add(u, c, out=w)
        np.divide(1, w, out=w)
        v += w
    np.multiply(z, 2, out=w)
    w += 7
    v *= w  # the sum of 1 / (z + k), k < 8
    z += 8
    np.log(z, out=w)
    w -= v
    np.divide(1, z, out=z)
    np.multiply(z, z, out=u)
    horner(DIGAMMA, u, v)
    v *= u
    w -= v
    z *= 0.5
    w -= z
    if back.size:
        y = np.float64(x[back])
        part = np.where(y == 0, y, y - np.rint(y))
        w[back] = np.where((part == 0) & (y < 0), math.nan, w[back] - math.pi / np.tan(math.pi * part))
    np.copyto(out, w, casting="same_kind")
    out[x == math.inf] = math.inf


def trigamma_block(x: Any, out: Any, z: Any, u: Any, v: Any, w: Any) -> None:
    back = shifted(x, z, u)
    total = np.zeros_like(u)
    np.multiply(z, 2, out=v)
    v += 7
    v *= v  # (2 z + 7)**2
    for c in (0, *PAIRS):  # 1 / (z + k)**2 + 1 / (z + 7 - k)**2 = (v - 2 (u + c)) / (u + c)**2
        np.add(u, c, out=w)
        np.divide(1, w, out=w)
        total -= w
        total -= w
        w *= w
        w *= v
        total += w
    z += 8
    np.divide(1, z, out=z)
    np.multiply(z, z, out=u)
    horner(TRIGAMMA, u, v)
    v *= z
    v += 0.5
    v *= u
    v += z
    v += total
    if back.size:
        v[back] = (math.pi / sine(x[back])) ** 2 - v[back]
    np.copyto(out, v, casting="same_kind")
    out[x == math.inf] = 0


@functools.cache
def scipy(name: str) -> Any:
    """SciPy's function, of float16 in float16."""
    from ..extras import scipy_special

    f = getattr(scipy_special(name), name)

    def found(*arrays: Any) -> Any:
        y = f(*arrays)
        if getattr(arrays[-1], "dtype", F64) != F16:
            return y
        return tuple([part.astype(F16) for part in y]) if type(y) is tuple else y.astype(F16)

    return found


def __getattr__(name: str) -> Any:
    """SciPy's."""
    if name.startswith("__"):
        raise AttributeError(name)
    return scipy(name)
