"""Which way to a derivative is the cheapest: found by counting, said in words, and gone."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..arrays import namespace as ns
from ..arrays.counted import Tally, make
from ..errors import MissingExtra
from ..extras import load
from ..tensor import Tensor, lower, wrap
from . import tree
from .forward import jvp
from .jacobians import jacfwd, jacrev
from .levels import as_tensor, inside, level
from .reverse import grad, vjp
from .segments import Trace
from .sparse import SparseHessian, SparseJacobian
from .taylor import derivative, partials, taylor

OVERHEAD = 2000  # what an operation costs apart from its work, in entries that could be computed meanwhile
Function = Callable[..., Any]


def count(func: Function, *args: Any) -> Tally:
    """What ``func(*args)`` does: operations, entries computed, bytes of results."""
    tally = Tally()
    with level() as rank:
        leaves, rebuild = tree.flatten(args)
        func(*rebuild([make(inside(a), tally, rank) if isinstance(a, Tensor) else a for a in leaves]))
    return tally


@dataclass(frozen=True)
class Way:
    """One way to a derivative: what it takes, and how to go it."""

    name: str
    sweeps: int
    what: str  # the sweeps are
    cost: float  # in entries computed, the operations' own cost included
    memory: int  # bytes, at most
    run: Function

    def takes(self) -> str:
        head, space, tail = self.what.partition(" with ")
        return f"{self.sweeps} {head}{'' if self.sweeps == 1 or head.endswith('s') else 's'}{space}{tail}"

    def __str__(self) -> str:
        return f"{self.name}: {self.takes()}, cost {self.cost:.2g}, {_size(self.memory)}"


@dataclass(frozen=True)
class Plan:
    """The way that was chosen, and those that were not; ``plan(x)`` goes it, ``str(plan)`` says why."""

    want: str
    chosen: Way
    ways: tuple[Way, ...]  # the obvious one first
    notes: tuple[str, ...] = ()

    def __call__(self, *args: Any) -> Any:
        return self.chosen.run(*args)

    @property
    def obvious(self) -> Way:
        return self.ways[0]

    @property
    def gain(self) -> float:
        """How many times the cost of the chosen way the obvious one has."""
        return self.obvious.cost / self.chosen.cost

    def __str__(self) -> str:
        lines = [f"{self.want} by {self.chosen}"]
        if self.chosen is self.obvious:
            lines.append("this is the obvious way, and the best one here")
        else:
            more = f"{self.gain:.3g} times the cost" if self.gain > 1 else f"{_size(self.obvious.memory)} of memory"
            lines.append(f"instead of {self.obvious.name}, which takes {self.obvious.takes()} and {more}")
        lines += [f"also considered: {w}" for w in self.ways if w is not self.chosen and w is not self.obvious]
        return "\n  ".join(lines + list(self.notes))


def plan(func: Function, x: Any, want: str = "jacobian", *, order: int = 2, memory: int = 1 << 30) -> Plan:
    """The cheapest way to a derivative of ``func`` at arguments like x, chosen by counting; call it to go it.

    ``want`` says what ``plan(x)`` is to give: "gradient" (of a scalar function), "jacobian" or "hessian" (as
    ``jacrev`` and ``hessian`` give them), "hvp" (``plan(x, v)``, the Hessian times v), "derivative" (of ``order``, for
    each element of x by itself), "partials" (all of ``order``), "sparse jacobian" or "sparse hessian"
    (``scipy.sparse`` arrays).

    Forward, reverse, nested, coloured and Taylor ways are compared by what they compute: one sweep of each kind is
    run on arrays that count, and multiplied by the number of sweeps.  Sweeps go in batches that take no more than
    ``memory`` bytes; a gradient that would keep more is computed piece by piece.  The plan looks at shapes, not at
    values, so it holds for every x like this one; where ``func`` branches on a value, ways that cannot are left out.

    >>> import chainrule as torch
    >>> p = torch.func.plan(lambda x: x[1:] * x[:-1], torch.ones(1000), want="sparse jacobian")
    >>> p.chosen.name, p.chosen.sweeps
    ('coloured forward mode', 2)
    >>> p(torch.arange(1000.0))[[2], :5].toarray()
    array([[0., 0., 3., 2., 0.]], dtype=float32)
    """
    if want not in WANTS:
        raise ValueError(f"plan: want must be one of {', '.join(map(repr, WANTS))}, got {want!r}")
    task = Task(func, x, order, memory)
    ways = WANTS[want](task)
    fitting = [w for w in ways if w.memory <= memory]
    if not fitting:
        task.notes.append(f"no way is sure to keep within {_size(memory)}: this one takes least")
    chosen = min(fitting, key=lambda w: w.cost) if fitting else min(ways, key=lambda w: w.memory)
    return Plan(want, chosen, tuple(ways), tuple(task.notes))


@dataclass
class Task:
    """What is to be differentiated, and what is known of it."""

    func: Function
    x: Any
    order: int
    memory: int
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        xs, self.rebuild = tree.flatten(self.x)
        self.xs = [as_tensor(a) for a in xs]
        self.n = sum(a.numel() for a in self.xs)
        ys, self.again = tree.flatten(self.func(self.x))
        self.ys = [as_tensor(a) for a in ys]
        self.m = sum(a.numel() for a in self.ys)
        self.base = count(self.func, self.x)

    def push(self, x: Any) -> Any:
        """One forward sweep, along a direction that does not matter."""
        return jvp(self.func, (x,), (self.rebuild([_ones(a) for a in self.xs]),))[1]

    def pull(self, x: Any) -> Any:
        """One reverse sweep."""
        return vjp(self.func, x)[1](self.again([_ones(a) for a in self.ys]))[0]

    def sweeps(
        self, name: str, what: str, one: Tally, number: int, entries: int, run: Callable[[int | None], Function]
    ) -> Way:
        """``number`` sweeps in batches: the function once in each, and per sweep what one takes beyond it."""
        work, kept = max(one.work - self.base.work, 1), max(one.bytes - self.base.bytes, 1)
        always = self.base.bytes + entries * max((a._dtype.itemsize for a in self.xs), default=8)
        together = max(1, min(number, (self.memory - always) // kept))
        batches = math.ceil(number / together)
        cost = batches * (OVERHEAD * one.operations + self.base.work) + number * work + entries
        return Way(name, number, what, cost, always + together * kept, run(None if together >= number else together))

    def coloured(
        self, name: str, what: str, one: Tally, entries: int, prepare: Callable[[], Any], run: Any
    ) -> list[Way]:
        """The way by colours, if there are patterns and colours for this function."""
        try:
            prepared = prepare()
        except MissingExtra as e:
            self.notes.append(f"not considered: {name} ({e})")
            return []
        except (RuntimeError, ValueError) as e:
            self.notes.append(f"not possible: {name} ({str(e).partition(':')[0]})")
            return []

        def at(chunk: int | None) -> Function:
            prepared.chunk_size = chunk
            return run(prepared)  # type: ignore[no-any-return]

        return [self.sweeps(name, what, one, prepared.sweeps, entries + prepared.pattern.nnz, at)]

    def dense(self, prepared: Any, ys: list[Tensor], again: Any) -> Function:
        """The entries that colours gave, in full, in blocks as ``jacrev`` has them."""
        shape = (sum(y.numel() for y in ys), self.n)
        rows = np.repeat(np.arange(shape[0]), np.diff(prepared.pattern.indptr))
        places = rows * self.n + prepared.pattern.indices

        def run(x: Any) -> Any:
            values = prepared.values(x)
            empty = wrap(np.zeros(math.prod(shape), values._dtype))
            return self.blocks(lower(ns.boxes.put(empty, values, (places,))).reshape(*shape), ys, again)

        return run

    def blocks(self, matrix: Tensor, ys: list[Tensor], again: Any) -> Any:
        found, top = [], 0
        for y in ys:
            row, left = [], 0
            for x in self.xs:
                block = matrix[top : top + y.numel(), left : left + x.numel()]
                row.append(block.reshape(*y.shape, *x.shape))
                left += x.numel()
            found.append(self.rebuild(row))
            top += y.numel()
        return again(found)


def _ones(a: Tensor) -> Tensor:
    return wrap(np.ones(tuple(a.shape), a._dtype))


def _plain(tally: Tally) -> float:
    return OVERHEAD * tally.operations + tally.work


def _size(n: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:.3g} GB"


# --- the ways, for each want: the obvious one first ---


def gradients(task: Task) -> list[Way]:
    pulled = count(task.pull, task.x)
    reverse = Way("reverse mode", 1, "reverse sweep", _plain(pulled), pulled.bytes, grad(task.func))
    pushed = count(task.push, task.x)
    forward = task.sweeps(
        "forward mode", "forward sweep", pushed, task.n, task.n, lambda c: jacfwd(task.func, chunk_size=c)
    )
    try:
        trace = Trace(task.func, task.x)
    except RuntimeError as e:
        task.notes.append(f"not possible: piece by piece ({str(e).partition(':')[0]})")
        return [reverse, forward]
    cost = _plain(pulled) + _plain(task.base)  # each piece is run once more
    pieces = Way("reverse mode, piece by piece", 1, "reverse sweep", cost, trace.memory(), trace.gradient)
    return [replace(reverse, memory=trace.kept()), forward, pieces]


def jacobians(task: Task, *, sparse: bool = False) -> list[Way]:
    pushed, pulled, entries, f = count(task.push, task.x), count(task.pull, task.x), task.m * task.n, task.func

    def whole(jacobian: Function) -> Callable[[int | None], Function]:
        return lambda chunk: _sparse(jacobian(f, chunk_size=chunk), task) if sparse else jacobian(f, chunk_size=chunk)

    def run(prepared: Any) -> Function:
        return prepared if sparse else task.dense(prepared, task.ys, task.again)

    ways = [
        task.sweeps("reverse mode", "reverse sweep", pulled, task.m, entries, whole(jacrev)),
        task.sweeps("forward mode", "forward sweep", pushed, task.n, entries, whole(jacfwd)),
    ]
    for mode, one in (("forward", pushed), ("reverse", pulled)):
        ways += task.coloured(
            f"coloured {mode} mode", f"{mode} sweep", one, 0 if sparse else entries,
            functools.partial(SparseJacobian, f, task.x, mode=mode), run,
        )  # fmt: skip
    return ways


def hessians(task: Task, *, sparse: bool = False) -> list[Way]:
    gradient, entries, f = Task(grad(task.func), task.x, task.order, task.memory), task.n**2, task.func
    one, what = count(gradient.push, task.x), "product with the Hessian"

    def whole(chunk: int | None) -> Function:
        full = jacfwd(grad(f), chunk_size=chunk)
        return _sparse(full, task) if sparse else full

    def run(prepared: Any) -> Function:
        return prepared if sparse else task.dense(prepared, gradient.ys, gradient.again)

    ways = [gradient.sweeps("forward over reverse mode", what, one, task.n, entries, whole)]
    if not sparse:
        ways.append(_series(task, 2, entries))
    ways += gradient.coloured(
        "coloured forward over reverse mode",
        what,
        one,
        0 if sparse else entries,
        functools.partial(SparseHessian, f, task.x),
        run,
    )
    task.notes += gradient.notes
    return ways


def _sparse(full: Function, task: Task) -> Function:
    """A dense result as a sparse one, as one who knows no other way would have it."""
    sparse = load("scipy.sparse", "special", "a sparse derivative")

    def run(x: Any) -> Any:
        parts = [a.detach().numpy() for a in tree.flatten(full(x))[0]]
        grid = [
            [p.reshape(-1, a.numel()) for p, a in zip(row, task.xs, strict=True)] for row in _rows(parts, len(task.xs))
        ]
        return sparse.csr_array(np.block(grid))

    return run


def _rows(parts: list[Any], width: int) -> list[list[Any]]:
    return [parts[i : i + width] for i in range(0, len(parts), width)]


def products(task: Task) -> list[Way]:
    f, v = task.func, task.rebuild([_ones(a) for a in task.xs])
    runs: dict[str, Function] = {
        "reverse over reverse mode": lambda x, v: vjp(grad(f), x)[1](v)[0],
        "forward over reverse mode": lambda x, v: jvp(grad(f), (x,), (v,))[1],
        "reverse over forward mode": lambda x, v: grad(lambda x: jvp(f, (x,), (v,))[1])(x),
    }
    tallies = {name: count(run, task.x, v) for name, run in runs.items()}
    what = "product with the Hessian"
    return [Way(name, 1, what, _plain(t), t.bytes, runs[name]) for name, t in tallies.items()]


def orders(task: Task) -> list[Way]:
    nested, tallies = task.func, [task.base]
    for _ in range(min(task.order, 4)):
        nested = _slope(nested)
        tallies.append(count(nested, task.x))
    growth = max(tallies[-1].work, 1) / max(tallies[-2].work, 1) if task.order else 1.0
    more = growth ** (task.order + 1 - len(tallies))  # the levels that were not counted grow as those did
    run = task.func
    for _ in range(task.order):
        run = _slope(run)
    one = count(derivative(task.func, task.order), task.x)
    return [
        Way("nested gradients", task.order, "level", _plain(tallies[-1]) * more, int(tallies[-1].bytes * more), run),
        Way("a Taylor series", 1, "forward sweep", _plain(one), one.bytes, derivative(task.func, task.order)),
    ]


def _slope(f: Function) -> Function:
    """The derivative for each element by itself: of the sum, since an element moves only its own term."""
    return grad(lambda x: sum(y.sum() for y in tree.flatten(f(x))[0]))


def all_partials(task: Task) -> list[Way]:
    f, run, entries = task.func, task.func, task.m * task.n**task.order
    ones = task.rebuild([_ones(a) for a in task.xs])
    for _ in range(task.order):
        f, run = _along(f, ones), jacfwd(run)
    one, number = count(f, task.x), task.n**task.order
    nested = task.sweeps("nested forward mode", "direction", one, number, entries, lambda chunk: run)
    return [nested, _series(task, task.order, entries)]


def _along(f: Function, v: Any) -> Function:
    return lambda x: jvp(f, (x,), (v,))[1]


def _series(task: Task, order: int, entries: int) -> Way:
    number = math.comb(task.n + order - 1, order)
    one = count(lambda x: taylor(task.func, x, order), task.x)
    terms = math.comb(2 * order - 1, order)  # at most so many go into a mixed partial
    return task.sweeps(
        "Taylor series along directions", "series", one, number, entries + terms * number * task.m,
        lambda chunk: partials(task.func, order, chunk_size=chunk),
    )  # fmt: skip


WANTS: dict[str, Callable[[Task], list[Way]]] = {
    "gradient": gradients,
    "jacobian": jacobians,
    "hessian": hessians,
    "hvp": products,
    "derivative": orders,
    "partials": all_partials,
    "sparse jacobian": lambda task: jacobians(task, sparse=True),
    "sparse hessian": lambda task: hessians(task, sparse=True),
}
