"""A formula over arrays, carried out in place, without new memory and without a point at which it could be stopped.

The formula is plain arithmetic.  Run once on :class:`Note` in place of arrays, it writes down its operations; from
these follows a plan: which result goes into which array, with as few arrays for what is in between as will do.
The plan for given arrays is a list of calls of NumPy's functions, which one call into C carries out: no line of
Python runs before its end, so no signal is handled, and nothing is allocated that could fail.  All of it is done, or
nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import starmap
from operator import attrgetter, call, itemgetter, setitem
from typing import Any, NamedTuple

import numpy as np

Formula = Callable[..., tuple[Any, ...]]  # (numbers, p, g, *state) -> (p, *state)

BLOCK = 1 << 16  # elements: so many of each array, and what is made on the way, fit into a core's own cache
GRADIENT = 1  # the argument that is only read, and another array each time
_TESTS = {np.greater, np.less}
_KEYWORD = {np.maximum, np.minimum}  # take the place of their result by name only


def run(calls: Sequence[tuple[Any, ...]], _exhaust: Any = deque(maxlen=0).extend) -> None:
    """``f(*args)`` for each (f, *args), in one call into C as long as each f is C."""
    _exhaust(starmap(call, calls))


# --- writing down ---


class Note:
    """Stands for an array, or for a number that is another in each step, while a formula is written down."""

    __slots__ = ("lines", "n", "numbers")
    __array_ufunc__ = None

    def __init__(self, n: int, lines: list[tuple[Any, ...]], numbers: list[float]) -> None:
        self.n, self.lines, self.numbers = n, lines, numbers

    def _note(self, function: Any, *args: Any) -> Note:
        at = []
        for x in args:
            if type(x) is Note:
                at.append(x.n)
            else:
                self.numbers.append(x)
                at.append(-len(self.numbers))
        self.lines.append((function, *at))
        return Note(len(self.lines) - 1, self.lines, self.numbers)

    def __bool__(self) -> bool:
        raise TypeError("a formula cannot depend on what a value is: use where(), or decide before it")

    def __add__(self, y: Any) -> Note:
        return self._note(np.add, self, y)

    def __sub__(self, y: Any) -> Note:
        return self._note(np.subtract, self, y)

    def __rsub__(self, x: Any) -> Note:
        return self._note(np.subtract, x, self)

    def __mul__(self, y: Any) -> Note:
        return self._note(np.multiply, self, y)

    def __truediv__(self, y: Any) -> Note:
        return self._note(np.divide, self, y)

    def __rtruediv__(self, x: Any) -> Note:
        return self._note(np.divide, x, self)

    def __neg__(self) -> Note:
        return self._note(np.negative, self)

    def __gt__(self, y: Any) -> Note:
        return self._note(np.greater, self, y)

    def __lt__(self, y: Any) -> Note:
        return self._note(np.less, self, y)

    __radd__, __rmul__ = __add__, __mul__


class _Namespace:
    """The functions of arrays that formulas use, for notes."""

    sqrt, abs, sign = (staticmethod(lambda x, f=f: x._note(f, x)) for f in (np.sqrt, np.absolute, np.sign))
    maximum, minimum = (staticmethod(lambda x, y, f=f: x._note(f, x, y)) for f in (np.maximum, np.minimum))

    @staticmethod
    def where(c: Note, x: float, y: Any) -> Note:
        """``x``, a number, where c holds, and ``y`` elsewhere."""
        if isinstance(x, Note):
            raise TypeError("where() in a formula puts numbers, not arrays")
        return c._note(np.where, c, x, y)


notes = _Namespace()


def written(formula: Formula, k: int, n: int) -> tuple[Plan, list[float]]:
    """The plan for a formula of ``k`` numbers and ``n`` arrays, and the other numbers in it."""
    lines: list[tuple[Any, ...]] = [()] * n
    numbers: list[float] = [0.0] * k
    now = tuple([Note(-1 - i, lines, numbers) for i in range(k)])
    results = formula(now, *[Note(i, lines, numbers) for i in range(n)])
    return plan(n, tuple(lines), tuple([r.n for r in results])), numbers[k:]


# --- planning ---


class Step(NamedTuple):
    """One call.  Arrays are told by number, the formula's own first; the formula's numbers are below 0."""

    function: Any
    args: tuple[int, ...]


class Plan(NamedTuple):
    """The calls that carry out a formula, and the arrays they need beside its own: whether each is one of truths."""

    steps: tuple[Step, ...]
    extra: tuple[bool, ...]


@cache
def plan(n: int, lines: tuple[tuple[Any, ...], ...], results: tuple[int, ...]) -> Plan:
    """Where each result of a formula goes: into the array it is the new value of, once the old one is done with."""
    own = [i for i in range(n) if i != GRADIENT]
    home = {x: i for i, x in zip(own, results, strict=True) if x >= n}
    last = {x: at for at, (_, *args) in enumerate(lines[n:], n) for x in args} | dict.fromkeys(results, len(lines))
    place = {i: i for i in range(n)}
    extra: list[bool] = []
    free: dict[bool, list[int]] = {False: [], True: []}
    steps = []
    for at, (function, *args) in enumerate(lines[n:], n):
        found = [place[x] if x >= 0 else x for x in args]
        done = [place[x] for x in {*args} if place.get(x, -1) >= n and last[x] == at]
        masked = function is np.where  # in two calls: what the first writes the second must not read
        if not masked:
            for i in done:
                free[extra[i - n]].append(i)
        out = home.get(at, -1)
        if out < 0 or last.get(out, -1) > at:
            kind = function in _TESTS
            if not free[kind]:
                free[kind].append(n + len(extra))
                extra.append(kind)
            out = free[kind].pop()
        if masked:
            steps += [Step(np.positive, (found[2], out)), Step(setitem, (out, found[0], found[1]))]
            for i in done:
                free[extra[i - n]].append(i)
        else:
            steps.append(Step(function, (*found, out)))
        place[at] = out
    sources = [place[x] for x in results]
    for at, (i, source) in enumerate(zip(own, sources, strict=True)):
        if source < n and source != i:  # an array's old value, which may be gone when its turn comes
            sources[at] = n + len(extra)
            extra.append(False)
            steps.append(Step(np.positive, (source, sources[at])))
    steps += [Step(np.positive, (source, i)) for i, source in zip(own, sources, strict=True) if source != i]
    return Plan(tuple(steps), tuple(extra))


# --- carrying out ---


class Numbers:
    """An array for the numbers of a plan, and its elements as arrays: NumPy takes these in half the time."""

    holds: Any = None  # whose numbers are in it

    def __init__(self, plan: Plan, dtype: Any) -> None:
        self.array = np.zeros(-min([0, *[x for step in plan.steps for x in step.args]]), dtype)
        self.each = [self.array[i : i + 1].reshape(()) for i in range(self.array.size)]


class Workshop:
    """What the plans of one optimiser share: memory for what is made on the way, and the numbers of its formulas."""

    def __init__(self) -> None:
        self._memory: dict[tuple[Any, int], Any] = {}
        self._numbers: dict[tuple[int, Plan, Any], Numbers] = {}

    def memory(self, like: Any, dtype: Any, number: int) -> Any:
        """The ``number``-th array of this dtype, in the shape and layout of another, with anything in it."""
        kept = self._memory.get((dtype, number))
        if kept is None or kept.size < like.size:
            kept = self._memory[dtype, number] = np.empty(like.size, dtype)
        kept = kept[: like.size]
        return kept.reshape(like.shape[::-1]).T if like.flags.f_contiguous else kept.reshape(like.shape)

    def numbers(self, group: int, plan: Plan, dtype: Any) -> Numbers:
        """The numbers of a plan that moves parameters of a group."""
        found = self._numbers.get((group, plan, dtype))
        if found is None:
            found = self._numbers[group, plan, dtype] = Numbers(plan, dtype)
        return found


class Move:
    """A plan for the arrays of one parameter: the calls, but for the gradient's place in them.

    ``reads`` says where that is: the number of a call, what to take of the gradient, what the call has before it, how
    often in a row it has that, and what after it.
    """

    def __init__(self, plan: Plan, arrays: Sequence[Any], own: int, workshop: Workshop, group: int = 0) -> None:
        """``arrays`` are the parameter, numbers of its state, and from ``own`` on arrays of its shape."""
        a = arrays[0]
        if any(not x.flags.writeable for x in arrays):
            raise ValueError("output array is read-only")
        real = a.real.dtype
        self.plan, self.arrays = plan, arrays
        self.dtype = np.result_type(real, np.float32)
        self.numbers = workshop.numbers(group, plan, self.dtype)
        each = self.numbers.each
        self.calls: list[Any] = []
        self.reads: list[tuple[int, Any, Any, int, Any]] = []
        for take in _pieces(a):
            piece, *others = [x if take is None else take(x) for x in (a, *arrays[own:])]
            extra = [workshop.memory(piece, bool if t else real, i) for i, t in enumerate(plan.extra)]
            places = [piece, None, *others, *extra]
            for function, args in plan.steps:
                *operands, out = [places[x] if x >= 0 else each[-1 - x] for x in args]
                last: list[Any] = []
                if piece.size == 1 and type(function) is np.ufunc and args[-1] in args[:-1]:
                    # Of one element, NumPy takes three times as long to write what it reads.
                    apart = workshop.memory(piece, out.dtype, len(plan.extra))
                    last, out = [(setitem, out, ..., apart)], apart
                call = (partial(function, out=out), *operands) if function in _KEYWORD else (function, *operands, out)
                if GRADIENT in args:
                    first, times = 1 + args.index(GRADIENT), args.count(GRADIENT)  # twice in a row in g * g
                    self.reads.append((len(self.calls), take, call[:first], times, call[first + times :]))
                self.calls += [call, *last]

    def add_to(self, calls: list[Any], g: Any) -> None:
        """Add the calls for :func:`run`, with the gradient in its place.  The numbers must be set by then."""
        start = len(calls)
        calls += self.calls
        for at, take, before, times, after in self.reads:
            calls[start + at] = before + (g if take is None else take(g),) * times + after


def _pieces(a: Any) -> Sequence[Callable[[Any], Any] | None]:
    """How to take an array of ``a``'s shape apart into real pieces of moderate size; None for all of it."""
    if a.dtype.kind == "c":
        return [_of(part, take) for part in ("real", "imag") for take in _pieces(a.real)]
    if a.size <= 2 * BLOCK:
        return [None]
    axis = max(range(a.ndim), key=a.shape.__getitem__)
    rows = max(1, BLOCK * a.shape[axis] // a.size)
    keys = [(*(slice(None),) * axis, slice(i, i + rows)) for i in range(0, a.shape[axis], rows)]
    return [itemgetter(key) for key in keys]


def _of(part: str, take: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    return attrgetter(part) if take is None else lambda x: take(getattr(x, part))
