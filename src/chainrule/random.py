"""Random numbers: PyTorch's CPU generator, draw for draw, on NumPy arrays.

The engine is MT19937, seeded with the low 32 bits of the seed.  NumPy has the same engine, so every draw
is a vectorised transform of its raw output: a ``word`` is 32 bits, a ``long`` two words, high half first.

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
randint, range R      1 word             ``low + word mod R``; from ``R = 2**28`` on, ``long mod R``
bernoulli             1 long             ``u < p``; a tensor of p other than float64 costs 1 word instead
exponential           1 long             ``-1 / lambd * log1p(-u)``, u of 53 bits
randperm(n)           n - 1 words        Fisher-Yates from the front
====================  =================  ==============================================================

float16 is float32 rounded.  PyTorch fills a strided target in memory order, and takes "normal otherwise"
for one that is not contiguous: see :func:`fill`.  The last bits are those of PyTorch on x86 with AVX2 or
newer, where multiply-adds are fused; in float64 normals and exponentials also those of the C library.
From ``n = 214748364`` on, PyTorch's randperm takes another way, not followed here.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:  # NumPy loads its typing and random packages when they are asked for, and so do we
    import numpy.typing as npt

Array: TypeAlias = "npt.NDArray[Any]"
F32: TypeAlias = "npt.NDArray[np.float32]"
F64: TypeAlias = "npt.NDArray[np.float64]"
Shape: TypeAlias = int | Sequence[int]

__all__ = ["Generator", "default_generator", "fill", "initial_seed", "manual_seed", "seed"]

_DEFAULT_SEED = 67280421310721  # what torch.Generator() starts from
_SLICE = 2**14  # numbers drawn at a time, a multiple of 16
_WORDS = 624  # words the engine makes at a time

# torch.get_rng_state()'s 5056 bytes: native C struct layout, padding spelled out.
_STATE = np.dtype(
    [
        ("seed", "u8"), ("left", "i4"), ("seeded", "i4"), ("next", "u8"), ("key", "u8", _WORDS),
        ("normal_x", "f8"), ("normal_y", "f8"), ("normal_rho", "f8"), ("normal_valid", "i4"), ("_0", "V4"),
        ("float_normal", "f4"), ("float_normal_valid", "i1"), ("_1", "V3"),
    ]
)  # fmt: skip

# Per dtype: its C++ name in PyTorch's messages, and how many bits of integer it holds exactly.
_KINDS = {
    "bool": ("bool", 1), "uint8": ("unsigned char", 8), "int8": ("signed char", 7),
    "int16": ("short int", 15), "int32": ("int", 31), "int64": ("long int", 63),
    "uint16": ("short unsigned int", 16), "uint32": ("unsigned int", 32), "uint64": ("long unsigned int", 64),
    "float16": ("c10::Half", 11), "float32": ("float", 24), "float64": ("double", 53),
}  # fmt: skip


class Generator:
    """A stream of pseudo-random numbers equal to that of a PyTorch CPU generator.

    ``shape`` is an int or a sequence of ints, ``dtype`` anything ``np.dtype`` accepts.  Draws may come
    from several threads: each is atomic.

    >>> Generator().manual_seed(0).uniform(3, "float32")
    array([0.4962566 , 0.7682218 , 0.08847743], dtype=float32)
    """

    def __init__(self, device: object = "cpu") -> None:
        if str(device) not in ("cpu", "cpu:0"):
            raise RuntimeError(f"chainrule computes on the CPU only: no generator for device {device}")
        self._lock = threading.Lock()
        self.manual_seed(_DEFAULT_SEED)

    @cached_property
    def _engine(self) -> np.random.RandomState:
        return np.random.RandomState(self._seed % 2**32)

    # ---------------------------------------------------------------- seed and state

    def manual_seed(self, seed: int) -> Generator:
        """Restart the stream at ``seed``, in ``[-2**63, 2**64)``; a negative one counts from ``2**64``.

        Seeds that agree in their low 32 bits give the same stream.  Raises ValueError out of range.
        """
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        if not -(2**63) <= seed < 2**64:
            raise ValueError("Overflow when unpacking long long")
        with self._lock:
            self._seed = int(seed) % 2**64
            if "_engine" in self.__dict__:
                self._engine.seed(self._seed % 2**32)
            self._fresh = True  # no word drawn since seeding
            self._spare: float | None = None  # second half of a Box-Muller pair
        return self

    def seed(self) -> int:
        """Restart at a seed drawn from the operating system, and return it."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self._seed

    def initial_seed(self) -> int:
        """The seed this stream started from, in ``[0, 2**64)``."""
        return self._seed

    def get_state(self) -> npt.NDArray[np.uint8]:
        """The whole state as 5056 bytes, laid out as ``torch.Generator.get_state()`` lays them out."""
        with self._lock:
            engine = self._engine.get_state(legacy=False)["state"]
            state = np.zeros((), _STATE)
            state["seed"], state["seeded"], state["key"] = self._seed, 1, engine["key"]
            state["next"] = 0 if self._fresh else engine["pos"]
            state["left"] = 1 if self._fresh else _WORDS + 1 - engine["pos"]
            if self._spare is not None:
                state["normal_y"], state["normal_valid"] = self._spare, 1
        return np.frombuffer(state.tobytes(), np.uint8).copy()

    def set_state(self, new_state: npt.NDArray[np.uint8]) -> Generator:
        """Continue from a state of :meth:`get_state` or of PyTorch.  Raises if it is not one."""
        if not isinstance(new_state, np.ndarray) or new_state.dtype != np.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        if new_state.size != _STATE.itemsize:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {_STATE.itemsize} "
                f"but found the input RNG state size to be {new_state.size}"
            )
        state = np.frombuffer(new_state.tobytes(), _STATE)[0]
        after, left = int(state["next"]), int(state["left"])
        fresh = (after, left) == (0, 1)
        if state["seeded"] != 1 or not (fresh or (1 <= after <= _WORDS and after + left == _WORDS + 1)):
            raise RuntimeError("Invalid mt19937 state")
        with self._lock:
            self._seed, self._fresh = int(state["seed"]), fresh
            self._spare = float(state["normal_y"]) if state["normal_valid"] else None
            key = state["key"].astype(np.uint32)
            self._engine.set_state(("MT19937", key, _WORDS if fresh else after, 0, 0.0))
        return self

    def __getstate__(self) -> npt.NDArray[np.uint8]:
        return self.get_state()

    def __setstate__(self, state: npt.NDArray[np.uint8]) -> None:
        self.__init__()  # type: ignore[misc]
        self.set_state(state)

    # ---------------------------------------------------------------- raw draws, lock held

    def _words(self, n: int) -> npt.NDArray[np.uint32]:
        self._fresh = self._fresh and n == 0
        return self._engine.randint(0, 2**32, n, dtype=np.uint32)

    def _longs(self, n: int) -> npt.NDArray[np.uint64]:
        self._fresh = self._fresh and n == 0
        return self._engine.randint(0, 2**64, n, dtype=np.uint64)

    def _unit32(self, n: int) -> F32:
        return (self._words(n) & np.uint32(2**24 - 1)).astype(np.float32) * np.float32(2.0**-24)

    def _unit64(self, n: int) -> F64:
        return (self._longs(n) & np.uint64(2**53 - 1)).astype(np.float64) * 2.0**-53

    def _sliced(self, n: int, dtype: np.dtype[Any], draw: Callable[[int], Array]) -> Array:
        """``n`` numbers from ``draw``, in slices small enough to stay in cache."""
        x = np.empty(n, dtype)
        for start in range(0, n, _SLICE):
            x[start : start + _SLICE] = _narrow(draw(min(_SLICE, n - start)), dtype)
        return x

    # ---------------------------------------------------------------- distributions

    def uniform(self, shape: Shape, dtype: npt.DTypeLike, low: float = 0.0, high: float = 1.0) -> Array:
        """Floats from ``[low, high)``: ``torch.rand`` and ``Tensor.uniform_``."""
        to = _float_dtype(dtype, "uniform_")
        dims, n = _dims(shape)
        most = float(np.finfo(to).max)
        for name, bound in (("from", low), ("to", high)):
            if not abs(bound) <= most:
                raise RuntimeError(f"{name} is out of bounds for {_kind(to)[0]}")
        if not low <= high:
            raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}")
        if not high - low <= most:
            raise RuntimeError(
                f"uniform_ expects to-from <= {most:g}, but found to={high:g} and from={low:g} "
                "which result in to-from to exceed the limit"
            )
        unit: Callable[[int], Array] = self._unit64 if to == np.float64 else self._unit32
        first, last = np.array([low, high], np.float64 if to == np.float64 else np.float32)
        with self._lock:
            x = self._sliced(n, to, lambda k: _fma(unit(k), float(last - first), float(first)))
        x[x == to.type(last)] = to.type(first)  # rounding must not reach the open end
        return x.reshape(dims)

    def normal(
        self, shape: Shape, dtype: npt.DTypeLike, mean: float = 0.0, std: float = 1.0, serial: bool = False
    ) -> Array:
        """Gaussian floats: ``torch.randn`` and ``Tensor.normal_``.

        ``serial`` asks for the values PyTorch gives a target that is not contiguous (see :func:`fill`);
        below 16 elements there is no difference.
        """
        to = _float_dtype(dtype, "normal_")
        dims, n = _dims(shape)
        if not std >= 0:
            raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")

        def block(k: int) -> Array:
            if to == np.float64:
                return _fma(_box_muller64(self._unit64(k)), std, mean)
            return _fma(_box_muller32(self._unit32(k)), float(np.float32(std)), float(np.float32(mean)))

        with self._lock:
            if serial or n < 16:
                return self._sliced(n, to, lambda k: _fma(self._pairs(k), std, mean)).reshape(dims)
            x = np.empty(n, to)
            whole = n - n % 16
            x[:whole] = self._sliced(whole, to, block)
            if n > whole:
                if to != np.float16:  # the uniforms of the ragged end are drawn, then dropped
                    self._longs(n - whole) if to == np.float64 else self._words(n - whole)
                x[n - 16 :] = _narrow(block(16), to)
        return x.reshape(dims)

    def _pairs(self, n: int) -> F64:
        """``n`` standard normals, two at a time, starting with the spare one."""
        spare = [] if self._spare is None else [self._spare]
        missing = n - len(spare)
        unit = self._unit64(missing + missing % 2)
        radius = np.sqrt(-2 * _libm(math.log1p, -unit[1::2]))
        angle = 2 * np.pi * unit[0::2]
        x = np.concatenate([spare, np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1).ravel()])
        self._spare = float(x[n]) if x.size > n else None
        return x[:n]

    def randint(self, low: int, high: int, shape: Shape, dtype: npt.DTypeLike = np.int64) -> Array:
        """Integers from ``[low, high)`` in any real dtype: ``torch.randint`` and ``Tensor.random_``."""
        to = np.dtype(dtype)
        name, digits = _kind(to)
        low, high = int(low), int(high)
        if not (-(2**63) <= low < 2**63 and -(2**63) <= high < 2**63):
            raise ValueError("Overflow when unpacking long long")
        if low >= high:
            raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
        if to.kind == "f":
            least, most = -int(np.finfo(to).max), int(np.finfo(to).max)
        else:
            least, most = (0, 1) if to.kind == "b" else (int(np.iinfo(to).min), int(np.iinfo(to).max))
        for label, bound in (("from", low), ("to - 1", high - 1)):
            if not least <= bound <= most:
                raise RuntimeError(f"{label} is out of bounds for {name}")
        if to.kind == "f":  # an end that rounds out of the range is pulled in to one spacing inside it
            bottom, top = int(to.type(low + 1)), int(to.type(high - 1))
            low = bottom + _spacing(low + 1, digits) if bottom < low else low
            high = top - _spacing(high - 1, digits) if high <= top < 2**63 else high
            if low >= high:
                raise RuntimeError(
                    "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, "
                    f"but got from={low} >= to={high}"
                )
        return self._modulo(shape, to, low, high - low, wide=high - low >= 2**28)

    def integers(self, shape: Shape, dtype: npt.DTypeLike) -> Array:
        """Integers over all a dtype counts exactly from 0 up: ``Tensor.random_()`` without bounds."""
        to = np.dtype(dtype)
        if to.kind == "u" and to.itemsize > 1:
            raise NotImplementedError(f"random_ without bounds is not implemented for {to}")
        span = 2 ** _kind(to)[1] + (to.kind == "f")
        return self._modulo(shape, to, 0, span, wide=span > 2**31)

    def _modulo(self, shape: Shape, to: np.dtype[Any], low: int, span: int, wide: bool) -> Array:
        dims, n = _dims(shape)

        def draw(k: int) -> Array:
            raw: Array = self._longs(k) if wide else self._words(k)
            remainder: Array = (raw % raw.dtype.type(span)).astype(np.int64)
            return remainder + np.int64(low)  # wraps around, which is right

        with self._lock:
            return self._sliced(n, to, draw).reshape(dims)

    def randperm(self, n: int, dtype: npt.DTypeLike = np.int64) -> Array:
        """The numbers ``0 .. n - 1`` in random order, shape ``[n]``: ``torch.randperm``."""
        to = np.dtype(dtype)
        if n < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
        name, digits = _kind(to)
        if n > 2**digits + (to.kind == "f"):
            raise RuntimeError(f"randperm: n = {n} is too large for {name}")
        steps = np.arange(max(n - 1, 0))
        with self._lock:
            raw = self._words(steps.size)
        order = list(range(n))
        for i, j in enumerate((steps + raw % (n - steps)).tolist()):
            order[i], order[j] = order[j], order[i]
        return np.array(order, to)

    def bernoulli(self, p: float | Array, shape: Shape | None = None, dtype: npt.DTypeLike | None = None) -> Array:
        """Ones with probability ``p``, else zeros.

        An array of ``p`` is ``torch.bernoulli(p)``, or ``Tensor.bernoulli_(p)`` when it is broadcast to
        ``shape``; ``dtype`` defaults to its own.  A number is ``Tensor.bernoulli_(p)`` on a target of
        ``shape``, float32 unless ``dtype`` says otherwise.
        """
        if isinstance(p, np.ndarray):
            if p.dtype.kind != "f":
                raise NotImplementedError(f"bernoulli is not implemented for p of {p.dtype}")
            if not bool(((p >= 0) & (p <= 1)).all()):
                raise RuntimeError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
            wide, to = p.dtype == np.float64, np.dtype(dtype or p.dtype)
            dims, n = _dims(p.shape if shape is None else shape)
        else:
            if not 0 <= p <= 1:
                raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
            wide, to = True, np.dtype(dtype or np.float32)
            dims, n = _dims(() if shape is None else shape)
        with self._lock:
            unit: Array = self._unit64(n) if wide else self._unit32(n)
        return np.asarray(unit.reshape(dims) < np.broadcast_to(p, dims), to)

    def exponential(self, shape: Shape, dtype: npt.DTypeLike, lambd: float = 1.0) -> Array:
        """Exponential floats of rate ``lambd`` (mean ``1 / lambd``): ``Tensor.exponential_``."""
        to = _float_dtype(dtype, "exponential_")
        dims, n = _dims(shape)
        if not lambd > 0:
            raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd:g}")
        with self._lock:
            x = self._sliced(n, to, lambda k: -1.0 / lambd * _libm(math.log1p, -self._unit64(k)))
        return x.reshape(dims)


def fill(target: Array, draw: Callable[[tuple[int, ...]], Array]) -> Array:
    """Fill a strided ``target`` in place, in PyTorch's order: along memory, the smallest stride fastest.

    ``draw`` takes a shape and returns that many numbers.  For a normal into a target that is not
    C-contiguous, let it pass ``serial=True``.

    >>> fill(np.zeros((2, 3)).T, lambda shape: np.arange(6.0).reshape(shape))
    array([[0., 3.],
           [1., 4.],
           [2., 5.]])
    """
    view = target.transpose(sorted(range(target.ndim), key=lambda dim: -target.strides[dim]))
    view[...] = draw(view.shape)
    return target


def _dims(shape: Shape) -> tuple[tuple[int, ...], int]:
    dims = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(map(int, shape))
    return dims, math.prod(dims)


def _kind(dtype: np.dtype[Any]) -> tuple[str, int]:
    if dtype.name not in _KINDS:
        raise RuntimeError("check_random_bounds handles only integral, floating-point and boolean types")
    return _KINDS[dtype.name]


def _float_dtype(dtype: npt.DTypeLike, name: str) -> np.dtype[Any]:
    to = np.dtype(dtype)
    if to not in (np.float16, np.float32, np.float64):
        raise NotImplementedError(f"{name} is not implemented for {to}: it needs a real floating dtype")
    return to


def _spacing(x: int, digits: int) -> int:
    """Distance between neighbouring floats of ``digits`` bits around an ``x`` they cannot hold."""
    return 1 << (abs(x).bit_length() - digits)


def _narrow(x: Array, to: np.dtype[Any]) -> Array:
    with np.errstate(over="ignore"):
        if to == np.float16:  # PyTorch goes to half by way of float
            x = x.astype(np.float32, copy=False)
        return x.astype(to, copy=False)


# -------------------------------------------------------------------- arithmetic to the last bit


def _libm(function: Callable[[float], float], x: F64) -> F64:
    """Apply a C library function one by one, as PyTorch does: NumPy's own may differ in the last bit."""
    return np.fromiter(map(function, x.tolist()), np.float64, x.size)


def _fma(x: Array, scale: float, shift: float) -> Array:
    """``x * scale + shift`` with a single rounding, for float32 or float64."""
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


# -------------------------------------------------------------------- Box-Muller


def _box_muller64(u: F64) -> F64:
    """Standard normals from uniforms, in blocks of 16: the first 8 give radii, the last 8 angles."""
    rows = u.reshape(-1, 16)
    radius = np.sqrt(-2 * _libm(math.log, (1 - rows[:, :8]).ravel())).reshape(-1, 8)
    angle = 2 * np.pi * rows[:, 8:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()


def _box_muller32(u: F32) -> F32:
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
    for part in _QUARTER_PI:
        x = _fused(turns, -part, x)
    square = x * x
    sine = _fused(_horner(square, _SIN) * square, x, x)
    cosine = _fused(_horner(square, _COS) * square, square, square * np.float32(-0.5)) + np.float32(1)
    swap = (octant & 2) != 0
    sine, cosine = np.where(swap, cosine, sine), np.where(swap, sine, cosine)
    sine.view(np.int32)[...] ^= (octant & 4) << 29  # the sign bit
    cosine.view(np.int32)[...] ^= (octant + 2 & 4) << 29
    return sine, cosine


default_generator = Generator()
default_generator.seed()


def manual_seed(seed: int) -> Generator:
    """Restart the default stream at ``int(seed)`` and return its generator."""
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Restart the default stream at a seed drawn from the operating system, and return it."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed the default stream started from."""
    return default_generator.initial_seed()
