"""Table: kernel calls written down for the walker, and the memory that they work in.

A :class:`Place` is where a variable's entries lie.  What is made and read within one call of a program lies in an arena, where
variables with separate lives share room; the rest in arrays that are there at each call, whose addresses the walker puts in.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import threads, walker, walker_chain
from .native import Code, chain, natives, walk
from .program import Equation, Var

WORD = {1: "int8", 2: "int16", 4: "int32", 8: "int64"}  # by size: what copies entries of any kind
LINE = 64  # bytes: what begins there shares no line of the cache with others


@dataclass(slots=True, eq=False)
class Memory:
    """Where arrays begin: ``offset`` bytes into the arena, or a ``constant``; with neither, what is given at each call."""

    offset: int | None = None
    constant: np.ndarray[Any, Any] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where entries lie: from which byte of some memory on, and how many bytes apart along each axis."""

    memory: Memory
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    strides: tuple[int, ...]
    offset: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether the entries lie in order, without gaps."""
        return not math.prod(self.shape) or all(
            n == 1 or s == c for n, s, c in zip(self.shape, self.strides, plain(self.shape, self.dtype), strict=True)
        )

    @property
    def steps(self) -> tuple[int, ...]:
        """The strides, counted in entries."""
        return tuple(s // self.dtype.itemsize for s in self.strides)

    def shown(self, eq: Equation) -> Place | None:
        """The same entries as a view shows them; None if that takes a copy."""
        if eq.name == "Reshape":
            strides = reshaped(self.shape, self.strides, eq.out.shape, self.dtype)
            return None if strides is None else Place(self.memory, eq.out.shape, self.dtype, strides, self.offset)
        n = len(self.shape)
        if eq.name == "Permute":
            axes = eq.params["axes"]
            strides = (*self.strides[: n - len(axes)], *[self.strides[n + a] for a in axes])
        elif eq.name == "Expand":
            return self.expanded(eq.out.shape)
        elif eq.name == "GetItem" and not any(isinstance(k, np.ndarray) for k in eq.params["key"]):
            return self.part(eq.params["key"])
        else:
            return None
        return Place(self.memory, eq.out.shape, self.dtype, strides, self.offset)

    def expanded(self, shape: tuple[int, ...]) -> Place:
        """The entries as broadcasting shows them."""
        padded = [(1, 0)] * (len(shape) - len(self.shape)) + list(zip(self.shape, self.strides, strict=True))
        strides = tuple(s if n == m else 0 for n, (m, s) in zip(shape, padded, strict=True))
        return Place(self.memory, shape, self.dtype, strides, self.offset)

    def after(self, entries: int) -> Place:
        """From so many entries on."""
        return Place(self.memory, self.shape, self.dtype, self.strides, self.offset + entries * self.dtype.itemsize)

    def part(self, key: Any) -> Place:
        """The entries at whole numbers and slices."""
        stand_in = np.lib.stride_tricks.as_strided(_ANY.view(self.dtype)[:1], self.shape, self.strides)  # not read
        shown = stand_in[key]
        distance = shown.ctypes.data - stand_in.ctypes.data
        return Place(self.memory, shown.shape, self.dtype, shown.strides, self.offset + distance)


_ANY = np.zeros(2, np.complex128)


def plain(shape: Sequence[int], dtype: np.dtype[Any]) -> tuple[int, ...]:
    """The strides of entries in order."""
    found, size = [], dtype.itemsize
    for n in reversed(shape):
        found.append(size)
        size *= n
    return tuple(reversed(found))


def merged(shape: Sequence[int], *strides: Sequence[int]) -> list[tuple[int, ...]]:
    """Axes as (length, strides ...), without those of length 1, neighbours that are one in all ways of counting as one."""
    found: list[tuple[int, ...]] = []
    for n, *each in zip(shape, *strides, strict=True):
        if n == 1:
            continue
        if found and all(a == s * n for a, s in zip(found[-1][1:], each, strict=True)):
            found[-1] = (found[-1][0] * n, *each)
        else:
            found.append((n, *each))
    return found


def reshaped(
    shape: tuple[int, ...], strides: tuple[int, ...], new: tuple[int, ...], dtype: np.dtype[Any]
) -> tuple[int, ...] | None:
    """The strides under which the same entries, in the same order, have another shape; None if there are none."""
    if 0 in new:
        return plain(new, dtype)
    axes = merged(shape, strides)
    found: list[int] = []
    for n in reversed(new):
        if n == 1:
            found.append(dtype.itemsize)
            continue
        if not axes or axes[-1][0] % n:
            return None
        length, stride = axes.pop()
        found.append(stride)
        if length > n:
            axes.append((length // n, stride * n))
    return tuple(reversed(found))


def whole(memory: Memory, v: Var) -> Place:
    """All of a piece of memory, as a variable."""
    return Place(memory, v.shape, v.dtype, plain(v.shape, v.dtype))


class Arena:
    """Room for variables, given out again when a life has ended."""

    def __init__(self) -> None:
        self.size = 0
        self.free: list[tuple[int, int]] = []  # (offset, size), in order
        self.ends: list[tuple[int, int, int]] = []  # (last step, offset, size), as a heap

    def take(self, size: int, now: int, until: int) -> Memory:
        """Room from step ``now`` on that is free after ``until``."""
        size = max(-(-size // LINE) * LINE, LINE)
        over = []
        while self.ends and self.ends[0][0] < now:
            over.append(heapq.heappop(self.ends)[1:])
        if over:
            self._release(over)
        fits = [f for f in self.free if f[1] >= size]
        offset, room = min(fits, key=lambda f: f[1]) if fits else (self.size, 0)
        if fits:
            self.free.remove((offset, room))
            if room > size:
                self.free.append((offset + size, room - size))
                self.free.sort()
        else:
            self.size += size
        heapq.heappush(self.ends, (until, offset, size))
        return Memory(offset)

    def _release(self, over: list[tuple[int, int]]) -> None:
        joined: list[tuple[int, int]] = []
        for offset, size in sorted(self.free + over):
            if joined and sum(joined[-1]) == offset:
                joined[-1] = (joined[-1][0], joined[-1][1] + size)
            else:
                joined.append((offset, size))
        self.free = joined


Word = int | Place


@dataclass(slots=True)
class Instruction:
    """One kernel call: its text, what it takes, into how many blocks its work falls, and nanoseconds that it may take."""

    text: str
    words: Sequence[Word]
    blocks: int = 1
    cost: float = 0.0
    wide: str = ""  # the text of its wide form
    equation: Equation | None = None  # to be done by NumPy where the kernel refuses
    rows: tuple[int, int] | None = None  # of a product: the first that it makes, and how many in a block
    parts: Sequence[tuple[int, Instruction]] = ()  # of a chain: from which block on each is to be called


@dataclass(slots=True)
class Table:
    """Words for the walker, while they are being written."""

    words: list[int] = field(default_factory=lambda: [0])  # no instruction is at 0, which says that all went well
    codes: list[Code] = field(default_factory=list)  # kept, since words are addresses in them
    calls: dict[int, Instruction] = field(default_factory=dict)  # by where they are
    chains: list[int] = field(default_factory=list)  # where those are
    in_arena: list[int] = field(default_factory=list)  # words that count from its beginning
    given: dict[Memory, list[int]] = field(
        default_factory=dict
    )  # words that count from an array's beginning: where, how far

    passed: dict[Memory, int] = field(
        default_factory=dict
    )  # arrays that some gate takes, and where it says to what words
    shares: bool = False  # whether some work is for several threads

    def begin(self) -> int:
        """Where the next instruction will be."""
        return len(self.words)

    def add(self, call: Instruction) -> None:
        """Write an instruction."""
        head = len(self.words)
        shared = int(call.cost // threads.WORTH) if call.blocks > 1 else 0
        self.shares |= shared > 0
        self.words += [0, 0, call.blocks, 0, shared]
        if call.parts:
            self.chains.append(head)
            self.words.append(len(call.parts))
            for first, part in call.parts:
                self.calls[len(self.words)] = part
                self.words += [0, first, part.blocks, walker_chain.PART + len(part.words)]
                self._words(part.words)
        else:
            self.calls[head] = call
            self._words(call.words)
        self.words[head + 3] = len(self.words) - head

    def _words(self, words: Sequence[Word]) -> None:
        for word in words:
            if isinstance(word, Place):
                self._place(word)
            else:
                self.words.append(word)

    def _place(self, place: Place) -> None:
        memory, at = place.memory, len(self.words)
        if memory.offset is not None:
            self.in_arena.append(at)
            self.words.append(memory.offset + place.offset)
        elif memory.constant is not None:
            self.words.append(memory.constant.ctypes.data + place.offset)
        else:
            self.given.setdefault(memory, []).extend((at, place.offset))
            self.words.append(0)

    def gate(self, first: int, arrays: dict[Memory, Var], freeing: bool) -> int:
        """Write the end of a walk, and where it begins: with these arrays, which were not there before."""
        self.words.append(0)
        at = len(self.words)
        self.words += [len(arrays), int(freeing), first]
        for memory, v in arrays.items():
            self.passed[memory] = len(self.words) + 2
            self.words += [walker.described(v.dtype), 0 if v.shape else id(v.dtype.type), 0, 0]
        return at

    def finish(self) -> None:
        """Write what is known once all is there: where kernels are, and for each array the words that its address belongs to."""
        codes = natives(call.text for call in self.calls.values())
        self.codes += codes.values()
        for at, call in self.calls.items():
            self.words[at] = codes[call.text].address
        for at in self.chains:
            self.words[at] = chain()
        for memory, at in self.passed.items():
            places = self.given.get(memory, [])
            self.words[at : at + 2] = len(places) // walker.PLACES, len(self.words)
            self.words += places


class Room:
    """A table with memory of its own: what one call at a time works in."""

    __slots__ = ("arena", "arrays", "kept", "table", "walk")

    def __init__(
        self, template: np.ndarray[Any, Any], in_arena: np.ndarray[Any, Any], size: int, shown: Sequence[Place]
    ) -> None:
        self.arena = np.empty(size + LINE, np.uint8)
        base = -self.arena.ctypes.data % LINE
        self.table = template.copy()
        self.table[in_arena] += self.arena.ctypes.data + base
        self.walk = walk(self.table)
        self.kept: dict[int, Any] = {}  # arrays that stand for others
        self.arrays = [
            np.ndarray(p.shape, p.dtype, self.arena, base + (p.memory.offset or 0) + p.offset, p.strides) for p in shown
        ]
