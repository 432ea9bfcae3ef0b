"""What C needs loops for beyond those entry by entry: ways to read an array, folds, products, and linear operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..arrays import numpy_
from ..compiler.program import Equation, Var
from .exporting import plain
from .writing import Text

if TYPE_CHECKING:
    from .in_c import Writer

FOLDS: Final = {
    "Sum": ("0", "{t} += {x};"), "Prod": ("1", "{t} *= {x};"),
    "Amax": ("-INFINITY", "if ({x} > {t} || {x} != {x}) {t} = {x};"),
    "Amin": ("INFINITY", "if ({x} < {t} || {x} != {x}) {t} = {x};"),
}  # fmt: skip
_DENSE: Final = 1 << 12  # entries of the matrix of a linear operation


@dataclass
class Array:
    """A way to read entries of memory called ``name``: entry (i, j, ...) at ``start`` + i·steps[0] + j·steps[1] + ..."""

    name: str
    shape: tuple[int, ...]
    start: int = 0
    steps: tuple[int, ...] = field(default=())
    table: str = ""  # if places are not evenly spaced: the table of places, which is read as this says

    @staticmethod
    def whole(name: str, shape: tuple[int, ...]) -> Array:
        """All of an array, in C's order."""
        steps = tuple(math.prod(shape[k + 1 :]) for k in range(len(shape)))
        return Array(name, shape, 0, steps)

    def places(self) -> np.ndarray[Any, Any]:
        """Where each entry lies."""
        grids = np.indices(self.shape) if self.shape else np.zeros((0,), int)
        return np.asarray(self.start + sum(s * g for s, g in zip(self.steps, grids, strict=True)), int)

    def at(self, indices: Sequence[str]) -> str:
        """The entry at some loop variables, aligned from the right; "" stands for 0."""
        mine = indices[len(indices) - len(self.shape) :]
        terms = [i if s == 1 else f"{s}*{i}" if s > 0 else f"({s})*{i}"
                 for i, s, n in zip(mine, self.steps, self.shape, strict=True) if i and s and n > 1]  # fmt: skip
        if self.start or not terms:
            terms.append(str(self.start))
        place = " + ".join(terms)
        return f"{self.name}[{self.table}[{place}]]" if self.table else f"{self.name}[{place}]"


def shape_of(a: Any) -> tuple[int, ...]:
    """The shape of a variable; a number has none."""
    return a.shape if isinstance(a, Var) else ()


def fold(w: Writer, eq: Equation) -> None:
    """A sum, product, maximum or minimum over some axes."""
    (x,) = eq.args
    n = len(x.shape)
    axes = {a % n for a in eq.params["axis"]}
    start, step = FOLDS[eq.name]
    put = w.store(eq.out)
    if axes == set(range(n)):
        whole = put([""] * len(eq.out.shape))
        w.lines.append(f"{whole} = {start};")
        w.loop(x.shape, lambda at: [step.format(t=whole, x=w.entry(x, at).text)])
        return
    full = tuple(1 if k in axes else m for k, m in enumerate(x.shape))

    def outer(at: list[str]) -> list[str]:
        own = at if eq.params["keepdims"] else [i for k, i in enumerate(at) if k not in axes]
        t, before = put(own), w.lines
        w.lines = [f"{t} = {start};"]
        inner = tuple(m if k in axes else 1 for k, m in enumerate(x.shape))
        w.loop(
            inner,
            lambda j: [step.format(t=t, x=w.entry(x, [b or a for a, b in zip(at, j, strict=True)]).text)],
            "j",
        )
        found, w.lines = w.lines, before
        return found

    w.loop(full, outer)


def matmul(w: Writer, eq: Equation) -> None:
    x, y = eq.args
    put, k = w.store(eq.out), x.shape[-1]

    def body(at: list[str]) -> list[str]:
        *batch, i, j = at
        t = put(at)
        return [f"{t} = 0;", f"for (int k = 0; k < {k}; k++) "
                f"{t} += {w.entry(x, [*batch, i, 'k']).text}*{w.entry(y, [*batch, 'k', j]).text};"]  # fmt: skip

    w.loop(eq.out.shape, body)


def product(w: Writer, eq: Equation) -> None:
    x, y = eq.args
    put = w.store(eq.out)

    def body(at: list[str]) -> list[str]:
        t = put(at)
        term = f"{w.entry(x, [*at, 'k']).text}*{w.entry(y, ['k']).text}"
        return [f"{t} = 0;", f"for (int k = 0; k < {x.shape[-1]}; k++) {t} += {term};"]

    w.loop(eq.out.shape, body)


def put_add(w: Writer, eq: Equation) -> None:
    """Entries added where a key says."""
    (x,), shape = eq.args, eq.out.shape
    places = np.arange(math.prod(shape)).reshape(shape)[eq.params["key"]]
    target = w.store(eq.out)
    if not shape:
        w.lines.append(f"{target([])} = 0;")
        w.loop(x.shape, lambda at: [f"{target([])} += {w.entry(x, at).text};"])
        return
    w.loop(shape, lambda at: [f"{target(at)} = 0;"])
    into = read(w, w.arrays[eq.out], np.broadcast_to(places, x.shape))
    w.loop(x.shape, lambda at: [f"{into.at(at)} += {w.entry(x, at).text};"])


def join(w: Writer, eq: Equation) -> None:
    w.store(eq.out)
    sizes = [math.prod(shape_of(a)) for a in eq.args]
    starts = np.cumsum([0, *sizes])
    labels = [np.arange(s, s + n).reshape(shape_of(a)) for s, n, a in zip(starts, sizes, eq.args, strict=False)]
    whole = np.asarray(eq.prim.forward(numpy_, *labels, **eq.params))
    order = np.argsort(whole, axis=None)  # where each label went
    for a, s, n in zip(eq.args, starts, sizes, strict=False):
        into = read(w, w.arrays[eq.out], order[s : s + n].reshape(shape_of(a)))
        w.loop(shape_of(a), lambda at, into=into, a=a: [f"{into.at(at)} = {w.entry(a, at).text};"])  # type: ignore[misc]


def moved(w: Writer, eq: Equation) -> bool:
    """An operation whose results are entries of its argument: another way to read that."""
    (x, *others), prim = eq.args, eq.prim
    others = [w.program.constants.get(a) if isinstance(a, Var) else a for a in others]
    if not prim.linear or not isinstance(x, Var) or any(a is None for a in others):
        return False
    labels = np.arange(1.0, x.size + 1).reshape(x.shape)
    try:
        found = np.asarray(prim.forward(numpy_, labels, *others, **eq.params))
        again = np.asarray(prim.forward(numpy_, np.sqrt(labels), *others, **eq.params))
    except Exception:
        return False
    places = found.astype(int) - 1
    if (
        found.size == 0
        or places.min() < 0
        or not np.array_equal(again, np.sqrt(labels).flat[np.minimum(places, x.size - 1)])
    ):
        return False
    if x not in w.arrays:  # a number
        w.text[eq.out] = w.value(x)
        w.done.add(eq.out)
        if eq.out.shape:
            w.arrays[eq.out] = Array(one(w, x), eq.out.shape, 0, (0,) * len(eq.out.shape))
        return True
    array = w.arrays[x]
    if array.table:
        array = copied(w, x)
    shown = read(w, array, array.places().flat[places])
    if eq.out.shape:
        w.arrays[eq.out] = shown
    else:
        w.text[eq.out] = Text(shown.at([]))
        w.done.add(eq.out)
    return True


def one(w: Writer, x: Var) -> str:
    """A number as an array of one entry."""
    name = plain(f"{w.name(x)}", w.taken)
    w.lines.append(f"const double {name}[1] = {{{w.value(x).text}}};")
    return name


def copied(w: Writer, x: Var) -> Array:
    """The entries of an array in memory of their own, in C's order."""
    old = w.arrays[x]
    if old == Array.whole(old.name, x.shape):
        return old
    w.names.pop(x, None)
    new = w.declare(x)
    w.loop(x.shape, lambda at: [f"{new.at(at)} = {old.at(at)};"])
    return new


def read(w: Writer, array: Array, places: np.ndarray[Any, Any]) -> Array:
    """Entries of ``array``'s memory at places: evenly spaced, or by a table."""
    places = np.asarray(places)
    start = int(places.flat[0]) if places.size else 0
    steps = tuple(int(np.take(places, [1], k).flat[0]) - start if n > 1 else 0 for k, n in enumerate(places.shape))
    even = Array(array.name, places.shape, start, steps)
    if np.array_equal(even.places(), places):
        return even
    table = Array.whole("", places.shape)
    return Array(array.name, places.shape, 0, table.steps, w.table("int", [str(p) for p in places.flat]))


def linear(w: Writer, eq: Equation) -> bool:
    """Any other linear operation, by its matrix."""
    x, *others = eq.args
    if not eq.prim.linear or not isinstance(x, Var) or x.size * eq.out.size > _DENSE:
        return False
    known = [w.program.constants.get(a) if isinstance(a, Var) else a for a in others]
    if any(k is None for k in known) or len(eq.prim.linear) != 1:
        return False
    units = np.eye(x.size).reshape(x.size, *x.shape)
    matrix = np.stack([np.ravel(eq.prim.forward(numpy_, u, *known, **eq.params)) for u in units], 1)
    name = w.table("double", [w.number(v).text for v in matrix.flat])
    flat, put = copied(w, x) if x.shape else None, w.store(eq.out)
    shape, n = eq.out.shape, x.size
    rows = Array.whole(name, shape)
    rows.steps = tuple(s * n for s in rows.steps)

    def body(at: list[str]) -> list[str]:
        row = rows.at(at)[:-1].removesuffix("[0").removesuffix(" + 0")
        row = f"{row} + k]" if "[" in row else f"{row}[k]"
        source = f"{flat.name}[k]" if flat is not None else w.value(x).text
        return [f"{put(at)} = 0;", f"for (int k = 0; k < {n}; k++) {put(at)} += {row}*{source};"]

    w.loop(shape, body)
    return True


OPERATIONS: Final[dict[str, Callable[[Writer, Equation], None]]] = {
    **dict.fromkeys(FOLDS, fold), "Matmul": matmul, "Mv": product, "Dot": product, "PutAdd": put_add, "Cat": join,
    "Stack": join,
}  # fmt: skip
