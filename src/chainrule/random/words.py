"""The engine behind the random streams: MT19937 as PyTorch seeds and stores it, and its raw draws.

A ``word`` is 32 bits.  A ``long`` is two words, the high half first.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..arrays.layout import slowest_first
from ..quiet import quietly, reset_errors

if TYPE_CHECKING:  # NumPy loads its typing and random packages when they are asked for, and so do we
    import numpy.typing as npt

Array: TypeAlias = "npt.NDArray[Any]"
Shape: TypeAlias = int | Sequence[int]

_DEFAULT_SEED = 67280421310721  # what torch.Generator() starts from
_SLICE = 2**15  # numbers drawn at a time, a multiple of 16
_FEW = 200  # draws that are better made one by one
_WORDS = 624  # words the engine makes at a time

# torch.get_rng_state()'s 5056 bytes: native C struct layout, padding spelled out.
STATE = np.dtype(
    [
        ("seed", "u8"), ("left", "i4"), ("seeded", "i4"), ("next", "u8"), ("key", "u8", _WORDS),
        ("normal_x", "f8"), ("normal_y", "f8"), ("normal_rho", "f8"), ("normal_valid", "i4"), ("_0", "V4"),
        ("float_normal", "f4"), ("float_normal_valid", "i1"), ("_1", "V3"),
    ]
)  # fmt: skip


class Words:
    """A seeded MT19937.  Whoever draws holds ``_lock``, so that each draw is atomic among threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._restart(_DEFAULT_SEED)

    @cached_property
    def _engine(self) -> np.random.RandomState:
        return np.random.RandomState(self._seed % 2**32)

    @cached_property
    def _raw(self) -> Callable[[int], npt.NDArray[np.uint64]]:
        """Words, each in 64 bits: quicker than the engine's ``randint`` for few of them."""
        raw: Callable[[int], npt.NDArray[np.uint64]] = self._engine._bit_generator.random_raw
        return raw

    # --- seed and state ---

    def _restart(self, seed: int) -> None:
        with self._lock:
            self._seed = seed
            if "_engine" in self.__dict__:
                self._engine.seed(seed % 2**32)
            self._fresh = True  # no word drawn since seeding
            self._spare: float | None = None  # second half of a Box-Muller pair

    def seed(self) -> int:
        """Restart at a seed drawn from the operating system, and return it."""
        self._restart(int.from_bytes(os.urandom(8), "little"))
        return self._seed

    def initial_seed(self) -> int:
        """The seed this stream started from, in ``[0, 2**64)``."""
        return self._seed

    def _get_bytes(self) -> bytes:
        """The whole state, laid out as ``torch.Generator.get_state()`` lays it out."""
        with self._lock:
            engine = self._engine.get_state(legacy=False)["state"]
            state = np.zeros((), STATE)
            state["seed"], state["seeded"], state["key"] = self._seed, 1, engine["key"]
            state["next"] = 0 if self._fresh else engine["pos"]
            state["left"] = 1 if self._fresh else _WORDS + 1 - engine["pos"]
            if self._spare is not None:
                state["normal_y"], state["normal_valid"] = self._spare, 1
        return state.tobytes()

    def _set_bytes(self, new: bytes) -> None:
        if len(new) != STATE.itemsize:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {STATE.itemsize} "
                f"but found the input RNG state size to be {len(new)}"
            )
        state = np.frombuffer(new, STATE)[0]
        after, left = int(state["next"]), int(state["left"])
        fresh = (after, left) == (0, 1)
        if state["seeded"] != 1 or not (fresh or (1 <= after <= _WORDS and after + left == _WORDS + 1)):
            raise RuntimeError("Invalid mt19937 state")
        with self._lock:
            self._seed, self._fresh = int(state["seed"]), fresh
            self._spare = float(state["normal_y"]) if state["normal_valid"] else None
            key = state["key"].astype(np.uint32)
            self._engine.set_state(("MT19937", key, _WORDS if fresh else after, 0, 0.0))

    # --- raw draws, lock held ---

    def _words(self, n: int) -> npt.NDArray[np.uint32]:
        self._fresh = self._fresh and n == 0
        if n < _FEW:
            return self._raw(n).astype(np.uint32)
        return self._engine.randint(0, 2**32, n, dtype=np.uint32)

    def _longs(self, n: int) -> npt.NDArray[np.uint64]:
        self._fresh = self._fresh and n == 0
        if n < _FEW:
            halves = self._raw(2 * n)
            return halves[0::2] << np.uint64(32) | halves[1::2]
        return self._engine.randint(0, 2**64, n, dtype=np.uint64)

    def _unit32(self, n: int) -> npt.NDArray[np.float32]:
        return (self._words(n) & np.uint32(2**24 - 1)).astype(np.float32) * np.float32(2.0**-24)

    def _unit64(self, n: int) -> npt.NDArray[np.float64]:
        return (self._longs(n) & np.uint64(2**53 - 1)).astype(np.float64) * 2.0**-53

    def _sliced(self, n: int, dtype: np.dtype[Any], draw: Callable[[int], Array]) -> Array:
        """``n`` numbers from ``draw``, in slices small enough to stay in cache."""
        if n <= _SLICE:
            return narrow(draw(n), dtype)
        x = np.empty(n, dtype)
        for start in range(0, n, _SLICE):
            x[start : start + _SLICE] = narrow(draw(min(_SLICE, n - start)), dtype)
        return x


def dims_of(shape: Shape) -> tuple[tuple[int, ...], int]:
    """A shape as a tuple, and how many numbers it holds."""
    dims = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(map(int, shape))
    return dims, math.prod(dims)


def narrow(x: Array, to: np.dtype[Any]) -> Array:
    """``x`` in the dtype asked for, rounded as PyTorch does: to half by way of float."""
    if x.dtype == to:
        return x
    for token in quietly:
        try:
            if to == np.float16:
                x = x.astype(np.float32, copy=False)
            x = x.astype(to)
        finally:
            reset_errors(token)
        break
    return x


def fill(target: Array, draw: Callable[..., Array], *beside: Array) -> Array:
    """Fill a strided ``target`` in place, in PyTorch's order: along memory, the smallest stride fastest.

    ``draw`` takes a shape and returns that many numbers; arrays ``beside`` the target, of its shape, are handed
    to it in the same order.  For a normal into a target that is not C-contiguous, let it pass ``serial=True``.

    >>> fill(np.zeros((2, 3)).T, lambda shape: np.arange(6.0).reshape(shape))
    array([[0., 3.],
           [1., 4.],
           [2., 5.]])
    """
    order = slowest_first(target)
    view = target.transpose(order)
    view[...] = draw(view.shape, *(b.transpose(order) for b in beside))
    return target
