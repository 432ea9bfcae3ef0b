"""Draws of integers, of yes and no, of indices.

====================  =================  ==============================================================
draw                  cost per element   value
====================  =================  ==============================================================
randint, range R      1 word             ``low + word mod R``; from ``R = 2**28`` on, ``long mod R``
bernoulli             1 long             ``u < p``; a tensor of p other than float64 costs 1 word instead
geometric             1 long             ``ceil(log(u) / log1p(-p))``
multinomial           1 long             with replacement: the first cumulated weight not below u; without:
                                         (per weight) the largest ``weight / exponential``
randperm(n)           n - 1 words        Fisher-Yates from the front
poisson               1 long and more    rate below 10: how many u multiply to no less than ``exp(-rate)``;
                                         from 10 on: transformed rejection (Hörmann, 1993)
binomial              1 long and more    below 10 successes: how many trials to each; from there on: rejection
====================  =================  ==============================================================

From ``n = 214748364`` on, PyTorch's randperm takes another way, not followed here.  On Intel's processors
PyTorch draws ``bernoulli_`` of a number, and so dropout, by way of MKL, with other results; what it draws
elsewhere is what is drawn here.
"""

from __future__ import annotations

import math
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays.layout import empty_like
from .binomial import binomial
from .continuous import KINDS, Continuous, floating
from .exact import settled
from .poisson import Ahead, poisson
from .shuffle import shuffled
from .words import _SLICE, Array, Shape, dims_of, fill, narrow

if TYPE_CHECKING:
    import numpy.typing as npt

_INT64 = 2**63


@lru_cache
def _range(to: np.dtype[Any]) -> tuple[str, int, int, int]:
    """A real dtype's name, how many digits it counts exactly, its least number and its largest, of int64's."""
    name, _, digits = KINDS[to.name]
    if to.kind == "f":
        return name, digits, -int(np.finfo(to).max), int(np.finfo(to).max)
    if to.kind == "b":
        return name, digits, 0, 1
    return name, digits, int(np.iinfo(to).min), min(int(np.iinfo(to).max), _INT64 - 1)


class Discrete(Continuous):
    """Draws of integers, of yes and no, of indices."""

    # --- integers ---

    def randint(self, low: int, high: int | None, shape: Shape, dtype: npt.DTypeLike = np.int64) -> Array:
        """Integers from ``[low, high)`` in any real dtype: ``torch.randint`` and ``Tensor.random_``.

        With ``high`` None they go up to the largest that the dtype counts exactly.
        """
        to = np.dtype(dtype)
        if to.kind == "c":
            raise RuntimeError("check_random_bounds handles only integral, floating-point and boolean types")
        name, digits, least, most = _range(to)
        if not (-_INT64 <= low < _INT64 and (high is None or -_INT64 <= high < _INT64)):
            raise ValueError("Overflow when unpacking long long")
        if high is None and low == -_INT64:
            return self._full_range(shape, to)
        if high is not None and low >= high:
            raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
        if high is None:
            high = (2**digits if to.kind == "f" else most) + 1
        for label, bound in (("from", low), ("to - 1", high - 1)):
            if not least <= bound <= most:
                raise RuntimeError(f"{label} is out of bounds for {name}")
        if to.kind == "f":
            low, high = _inside(low, high, to)
        return self._modulo(shape, to, low, high - low, wide=high - low >= 2**28)

    def integers(self, shape: Shape, dtype: npt.DTypeLike) -> Array:
        """Integers over all a dtype counts exactly from 0 up: ``Tensor.random_()`` without bounds."""
        to = np.dtype(dtype)
        _, name, digits = KINDS[to.name]
        if to.kind == "c" or (to.kind == "u" and to.itemsize > 1):
            raise NotImplementedError(f"\"random_kernel_cpu\" not implemented for '{name}'")
        span = 2**digits + (to.kind == "f")
        return self._modulo(shape, to, 0, span, wide=span > 2**31)

    def _full_range(self, shape: Shape, to: np.dtype[Any]) -> Array:
        dims, n = dims_of(shape)
        if not n:
            return np.empty(dims, to)
        if to.name in ("bool", "float16"):
            raise NotImplementedError(
                f"\"random_full_64_bits_range_kernel_cpu\" not implemented for '{KINDS[to.name][1]}'"
            )
        if to.name not in ("int64", "float32", "float64"):
            raise RuntimeError("random_full_64_bits_range_kernel_cpu handles only int64, double, float and bfloat16")
        with self._lock:
            return self._longs(n).astype(np.int64).astype(to).reshape(dims)

    def _modulo(self, shape: Shape, to: np.dtype[Any], low: int, span: int, wide: bool) -> Array:
        dims, n = dims_of(shape)

        def draw(k: int) -> Array:
            raw: Array = self._longs(k) if wide else self._words(k)
            whole = raw // raw.dtype.type(span)  # NumPy has a quick loop for this, but not for %
            whole *= raw.dtype.type(span)
            raw -= whole
            return raw.astype(np.int64) + np.int64(low)  # wraps around, which is right

        with self._lock:
            return self._sliced(n, to, draw).reshape(dims)

    # --- yes and no ---

    def bernoulli(self, p: float | Array, shape: Shape | None = None, dtype: npt.DTypeLike | None = None) -> Array:
        """Ones with probability ``p``, else zeros.

        An array of ``p`` is ``torch.bernoulli(p)``, or ``Tensor.bernoulli_(p)`` when it is broadcast to
        ``shape``; ``dtype`` defaults to its own.  A number is ``Tensor.bernoulli_(p)`` on a target of
        ``shape``, float32 unless ``dtype`` says otherwise.
        """
        if isinstance(p, np.ndarray):
            wide = floating(p.dtype, "bernoulli_tensor_cpu_p_") == np.float64
            if not bool(((p >= 0) & (p <= 1)).all()):
                raise RuntimeError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
            to = np.dtype(dtype or p.dtype)
            dims, n = dims_of(p.shape if shape is None else shape)
        else:
            if not 0 <= p <= 1:
                raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
            wide, to = True, np.dtype(dtype or np.float32)
            if to.kind == "c":
                raise NotImplementedError(f"\"bernoulli_scalar_cpu_\" not implemented for '{KINDS[to.name][1]}'")
            dims, n = dims_of(() if shape is None else shape)
        with self._lock:
            unit: Array = self._unit64(n) if wide else self._unit32(n)
        return np.asarray(unit.reshape(dims) < np.broadcast_to(p, dims), to)

    def geometric(self, shape: Shape, dtype: npt.DTypeLike, p: float) -> Array:
        """How many trials of probability ``p`` the first success takes: ``Tensor.geometric_``."""
        dims, n = dims_of(shape)
        to = np.dtype(dtype)
        if not 0 < p < 1:
            raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p:g}")
        if to.kind in "bc":
            raise NotImplementedError(f"\"geometric_cpu\" not implemented for '{KINDS[to.name][1]}'")
        step = math.log1p(-p)
        with self._lock:
            return self._sliced(
                n, to, lambda k: settled(np.log, _log, self._unit64(k), lambda y: _whole(np.ceil(y / step), to))
            ).reshape(dims)

    # --- indices ---

    def randperm(self, n: int, dtype: npt.DTypeLike = np.int64) -> Array:
        """The numbers ``0 .. n - 1`` in random order, shape ``[n]``: ``torch.randperm``."""
        to = np.dtype(dtype)
        _, short, digits = KINDS[to.name]
        if n < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
        if to.kind in "bc" or (to.kind == "u" and to.itemsize > 1):
            raise NotImplementedError(f"\"randperm\" not implemented for '{short}'")
        if to.kind == "f" and n > 2**digits + 1:
            raise RuntimeError(f"n cannot be greater than {2**digits + 1} for {short} type.")
        if to.kind != "f" and n >= 2**digits + (to.itemsize < 8):
            raise RuntimeError(f"value cannot be converted to type {to.name}_t without overflow")
        with self._lock:
            places = self._words(max(n - 1, 0))
        for start in range(0, n - 1, _SLICE):
            steps = np.arange(start, min(start + _SLICE, n - 1), dtype=np.uint32)
            part = places[start : start + _SLICE]
            part %= np.uint32(n) - steps
            part += steps
        return shuffled(places, n).astype(to, copy=False)

    def multinomial(self, weights: Array, n: int, replacement: bool = False) -> Array:
        """``n`` indices per row of ``weights``, as likely as their weights are large: ``torch.multinomial``."""
        floating(weights.dtype, "multinomial")
        if n == 0 or weights.size == 0:
            return np.zeros((*weights.shape[:-1], n), np.int64)
        if not replacement or n == 1:
            race = fill(empty_like(weights), lambda shape: self.exponential(shape, weights.dtype))
            with np.errstate(divide="ignore", invalid="ignore"):
                return _largest(weights / race, n)
        exact = weights if weights.dtype == np.float64 else weights.astype(np.float32)
        sums = np.cumsum(exact, axis=-1, dtype=exact.dtype)
        sums = sums / sums[..., -1:]
        sums[..., -1] = 1
        rows = sums.reshape(-1, sums.shape[-1])
        with self._lock:
            picked = [np.searchsorted(row, self._unit64(n)) for row in rows]
        return np.array(picked, np.int64).reshape(*weights.shape[:-1], n)

    # --- counts ---

    def poisson(self, rates: Array) -> Array:
        """How many events there are at these rates, in their dtype: ``torch.poisson``.

        One by one, since each takes as many draws as it happens to need.
        """
        to = floating(rates.dtype, "poisson_cpu")
        if not bool((rates >= 0).all()):
            raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
        if bool(np.isinf(rates).any()):
            raise RuntimeError("invalid Poisson rate, expected rate to be finite")
        with self._lock:
            ahead = Ahead(self)
            counts = [poisson(rate, ahead) for rate in rates.ravel().astype(np.float64).tolist()]
            ahead.close()
        return np.array(counts, np.float64).astype(to).reshape(rates.shape)

    def binomial(self, counts: Array, chances: Array) -> Array:
        """How many of ``counts`` trials succeed with these ``chances``, in their dtype: ``torch.binomial``."""
        to = floating(counts.dtype, "binomial_cpu", "float32", "float64")
        pairs = zip(*(a.ravel().astype(np.float64).tolist() for a in (counts, chances)), strict=True)
        with self._lock:
            ahead = Ahead(self)
            found = [binomial(n, p, ahead, lambda x: float(counts.dtype.type(x))) for n, p in pairs]
            ahead.close()
        return np.array(found, np.float64).astype(to).reshape(counts.shape)


def _inside(low: int, high: int, to: np.dtype[Any]) -> tuple[int, int]:
    """The bounds, where one would be rounded out of the range pulled in to the next float inside."""
    name, _, digits = KINDS[to.name]
    bottom, top = int(to.type(low + 1)), int(to.type(high - 1))
    low = bottom + _spacing(low + 1, digits) if bottom < low else low
    high = top - _spacing(high - 1, digits) if high <= top < _INT64 else high
    if low >= high:
        raise RuntimeError(
            "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, "
            f"but got from={low} >= to={high}"
        )
    for label, bound in (("from", low), ("to - 1", high - 1)):
        if abs(bound) > 2**digits:
            warnings.warn(
                f"{label} is out of bounds [-(2^{digits}), 2^{digits}]. Due to precision limitations {name} can support "
                "discrete uniform distribution only within this range. This warning will become an error in version 1.7 "
                "release, please fix the code in advance", UserWarning, stacklevel=5,
            )  # fmt: skip
    return low, high


def _spacing(x: int, digits: int) -> int:
    """Distance between neighbouring floats of ``digits`` bits around an ``x`` they cannot hold."""
    return 1 << (abs(x).bit_length() - digits)


def _largest(x: Array, n: int) -> Array:
    """The indices of the ``n`` largest along the last axis, the largest first."""
    if n == 1:
        first: Array = x.argmax(-1, keepdims=True)
        return first
    if 8 * n < x.shape[-1]:
        found = np.argpartition(x, -n, axis=-1)[..., -n:]
        ranked: Array = np.take_along_axis(found, np.argsort(-np.take_along_axis(x, found, -1), axis=-1), -1)
        return ranked
    return np.argsort(-x, axis=-1, kind="stable")[..., :n].copy()


def _log(x: float) -> float:
    return math.log(x) if x else -math.inf


def _whole(x: Array, to: np.dtype[Any]) -> Array:
    """Whole numbers in the dtype asked for, wrapped around where they do not fit."""
    return x.astype(np.int64).astype(to) if to.kind in "iu" else narrow(x, to)
