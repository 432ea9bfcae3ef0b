"""Draws of floats: uniform, normal and what is made from them.

====================  =================  ==============================================================
draw                  cost per element   value
====================  =================  ==============================================================
uniform f16, f32      1 word             ``u = (word mod 2**24) / 2**24``, then ``fma(u, high - low, low)``
uniform f64           1 long             the same with 53 bits
normal, n >= 16       1 word (f64: long) Box-Muller in blocks of 16: 8 radii, then 8 angles; a ragged
                                         end is drawn, then a new block overwrites the last 16
                                         (f16: the end itself is not drawn)
normal otherwise      1 long             Box-Muller in float64 pairs; an unused second value is kept in
                                         the generator for the next such draw
exponential           1 long             ``-1 / lambd * log1p(-u)``, u of 53 bits
cauchy                1 long             ``median + sigma * tan(pi * (u - 1/2))``
log_normal            1 long             ``exp`` of a normal in float64 pairs
====================  =================  ==============================================================

float16 is float32 rounded.  A complex number is two real ones, the real part first, the deviation shared.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .exact import box_muller32, box_muller64, fma, libm, settled
from .words import Array, Shape, Words, dims_of, narrow

if TYPE_CHECKING:
    import numpy.typing as npt

# Per dtype: its C++ name in PyTorch's messages, its name in dispatch messages, how many bits of integer it holds.
KINDS = {
    "bool": ("bool", "Bool", 1), "uint8": ("unsigned char", "Byte", 8), "int8": ("signed char", "Char", 7),
    "int16": ("short int", "Short", 15), "int32": ("int", "Int", 31), "int64": ("long int", "Long", 63),
    "uint16": ("short unsigned int", "UInt16", 16), "uint32": ("unsigned int", "UInt32", 32),
    "uint64": ("long unsigned int", "UInt64", 64), "float16": ("c10::Half", "Half", 11),
    "float32": ("float", "Float", 24), "float64": ("double", "Double", 53),
    "complex64": ("c10::complex<float>", "ComplexFloat", 24),
    "complex128": ("c10::complex<double>", "ComplexDouble", 53),
}  # fmt: skip


class Continuous(Words):
    """Draws of floats.  ``shape`` is an int or a sequence of ints, ``dtype`` anything ``np.dtype`` takes."""

    def uniform(self, shape: Shape, dtype: npt.DTypeLike, low: float = 0.0, high: float = 1.0) -> Array:
        """Floats from ``[low, high)``: ``torch.rand`` and ``Tensor.uniform_``."""
        dims, n = dims_of(shape)
        to = np.dtype(dtype)
        if to.kind == "c":
            return _joined(self.uniform((*dims, 2), _part(to), low, high), to)
        to = floating(to, "check_uniform_bounds")
        unit: Callable[[int], Array] = self._unit64 if to == np.float64 else self._unit32
        if low == 0 and high == 1 and to.itemsize > 2:  # the commonest, and below 1 as it is
            with self._lock:
                return self._sliced(n, to, unit).reshape(dims)
        _check_bounds(low, high, to)
        first, last = np.array([low, high], np.float64 if to == np.float64 else np.float32)
        with self._lock:
            x = self._sliced(n, to, lambda k: fma(unit(k), float(last - first), float(first)))
        x[x == to.type(last)] = to.type(first)  # rounding must not reach the open end
        return x.reshape(dims)

    def normal(
        self, shape: Shape, dtype: npt.DTypeLike, mean: float = 0.0, std: float = 1.0, serial: bool = False
    ) -> Array:
        """Gaussian floats: ``torch.randn`` and ``Tensor.normal_``.

        ``serial`` asks for the values PyTorch gives a target that is not contiguous (see :func:`fill`);
        below 16 elements there is no difference.
        """
        dims, n = dims_of(shape)
        to = np.dtype(dtype)
        if not std >= 0:
            raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
        if to.kind == "c":
            return _joined(self.normal((*dims, 2), _part(to), mean, std / math.sqrt(2), serial), to)
        to = floating(to, "normal_kernel_cpu")

        def block(k: int) -> Array:
            if to == np.float64:
                return fma(box_muller64(self._unit64(k)), std, mean)
            return fma(box_muller32(self._unit32(k)), float(np.float32(std)), float(np.float32(mean)))

        with self._lock:
            if serial or n < 16:
                return self._sliced(n, to, lambda k: fma(self._pairs(k), std, mean)).reshape(dims)
            x = np.empty(n, to)
            whole = n - n % 16
            x[:whole] = self._sliced(whole, to, block)
            if n > whole:
                if to != np.float16:  # the uniforms of the ragged end are drawn, then dropped
                    self._longs(n - whole) if to == np.float64 else self._words(n - whole)
                x[n - 16 :] = narrow(block(16), to)
        return x.reshape(dims)

    def _pairs(self, n: int) -> Array:
        """``n`` standard normals, two at a time, starting with the spare one."""
        spare = [] if self._spare is None else [self._spare]
        missing = n - len(spare)
        if missing < 16:
            unit = iter(self._unit64(missing + missing % 2).tolist())
            for turn, below_one in zip(unit, unit, strict=True):
                r, angle = math.sqrt(-2 * math.log1p(-below_one)), 2 * math.pi * turn
                spare += r * math.cos(angle), r * math.sin(angle)
            self._spare = spare.pop() if len(spare) > n else None
            return np.array(spare, np.float64)
        units = self._unit64(missing + missing % 2)
        radius = np.sqrt(-2 * libm(math.log1p, -units[1::2]))
        angles = 2 * np.pi * units[0::2]
        x = np.concatenate([spare, np.stack([radius * np.cos(angles), radius * np.sin(angles)], -1).ravel()])
        self._spare = float(x[n]) if x.size > n else None
        return x[:n]

    def exponential(self, shape: Shape, dtype: npt.DTypeLike, lambd: float = 1.0) -> Array:
        """Exponential floats of rate ``lambd`` (mean ``1 / lambd``): ``Tensor.exponential_``."""
        dims, n = dims_of(shape)
        to = np.dtype(dtype)
        if not lambd > 0:
            raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd:g}")
        if to.kind != "f":
            raise RuntimeError(_not_continuous("Exponential", KINDS[to.name][1]))

        def draw(k: int) -> Array:
            return settled(np.log1p, math.log1p, -self._unit64(k), lambda y: narrow(-1.0 / lambd * y, to))

        with self._lock:
            return self._sliced(n, to, draw).reshape(dims)

    def cauchy(self, shape: Shape, dtype: npt.DTypeLike, median: float = 0.0, sigma: float = 1.0) -> Array:
        """Cauchy floats: ``Tensor.cauchy_``."""
        dims, n = dims_of(shape)
        to = np.dtype(dtype)
        if not sigma > 0:
            raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
        if to.kind != "f":
            raise RuntimeError(_not_continuous("Cauchy", KINDS[to.name][0]))

        def draw(k: int) -> Array:
            angle = np.pi * (self._unit64(k) - 0.5)
            return settled(np.tan, math.tan, angle, lambda y: narrow(fma(y, sigma, median), to))

        with self._lock:
            return self._sliced(n, to, draw).reshape(dims)

    def log_normal(self, shape: Shape, dtype: npt.DTypeLike, mean: float = 1.0, std: float = 2.0) -> Array:
        """Floats whose logarithm is normal: ``Tensor.log_normal_``."""
        dims, n = dims_of(shape)
        if not std > 0:
            raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
        to = floating(np.dtype(dtype), "log_normal_cpu")

        def draw(k: int) -> Array:
            return settled(np.exp, _exp, fma(self._pairs(k), std, mean), lambda y: narrow(y, to))

        with self._lock:
            return self._sliced(n, to, draw).reshape(dims)


def _check_bounds(low: float, high: float, to: np.dtype[Any]) -> None:
    most = float(np.finfo(to).max)
    name, short, _ = KINDS[to.name]
    for label, bound in (("from", low), ("to", high)):
        if not abs(bound) <= most:
            raise RuntimeError(f"{label} is out of bounds for {name}")
    if not low <= high:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}")
    if not high - low <= most:
        raise RuntimeError(
            f"uniform_ expects to-from <= std::numeric_limits<{short}>::max(), but found to={high:g} and from={low:g} "
            "which result in to-from to exceed the limit"
        )


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def floating(dtype: np.dtype[Any], name: str, *known: str) -> np.dtype[Any]:
    """``dtype``, or PyTorch's error where the function of this name has no numbers of it."""
    if dtype.char in "efd" if not known else dtype.name in known:
        return dtype
    raise NotImplementedError(f"\"{name}\" not implemented for '{KINDS[dtype.name][1]}'")


def _not_continuous(distribution: str, dtype: str) -> str:
    return (
        f"{distribution} distribution is a continuous probability distribution. dtype must be a floating point but you "
        f"specified {dtype}"
    )


def _part(to: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of a complex number's parts."""
    return np.dtype(f"float{4 * to.itemsize}")


def _joined(parts: Array, to: np.dtype[Any]) -> Array:
    """Real and imaginary parts, along the last axis, as complex numbers."""
    whole: Array = parts.view(to)[..., 0]
    return whole
