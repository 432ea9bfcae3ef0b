"""Recurrent cells, unrolled over the steps of a sequence as one operation.

Sequences lie as PyTorch packs them: all first steps, then all second steps, and so on, longer sequences first, so
that ``sizes[t]`` rows belong to step t and the same sequence always has the same row.  A state has a row for each
sequence; a step changes the first ``sizes[t]`` of them.

Everything that is learned or read goes in as one vector, and everything that is computed comes out as one: so one
rule gives the cotangents of all, in one pass back through the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from ..arrays import gates
from ..primitive import Primitive
from ..tensor import Tensor
from .index import GetItem
from .kinds import no_kernel
from .shape import cat

Arrays = Sequence[Any]


def across(xp: Any, *parts: Any) -> Any:
    return xp.concat(list(parts), axis=-1)


# --- the cells ---
#
# ``step`` takes what the input gives to the gates, the states, and the weights and bias of the hidden state; it
# gives the new states and what ``back`` needs.  ``back`` takes the cotangents of the new states and of what was
# kept, and gives those of the input's part, of the hidden state's part, and of the old states.


class Cell:
    """How many gates and states there are, and how many states' lengths ``step`` keeps for ``back``."""

    gates = 1
    states = 1
    kept = 0

    def step(self, xp: Any, a: Any, s: Arrays, w: Any, b: Any) -> tuple[Arrays, Any]:
        raise NotImplementedError

    def back(self, xp: Any, g: Arrays, g_kept: Any, old: Arrays, new: Arrays, kept: Any) -> tuple[Any, Any, list[Any]]:
        raise NotImplementedError


class Plain(Cell):
    """``h' = tanh(a + W h)``, or relu."""

    def __init__(self, smooth: bool) -> None:
        self.smooth = smooth

    def step(self, xp: Any, a: Any, s: Arrays, w: Any, b: Any) -> tuple[Arrays, Any]:
        a = a + xp.matmul(s[0], w)
        return [xp.tanh(a) if self.smooth else xp.relu(a)], None

    def back(self, xp: Any, g: Arrays, g_kept: Any, old: Arrays, new: Arrays, kept: Any) -> tuple[Any, Any, list[Any]]:
        h = new[0]
        g_a = g[0] * (1 - h * h) if self.smooth else g[0] * xp.astype(h != 0, h.dtype)
        return g_a, g_a, [None]


class Lstm(Cell):
    """Long short-term memory: ``c' = f c + i g`` and ``h' = o tanh(c')``, with gates i, f, g, o; tanh(c') is kept too."""

    gates = 4
    states = 2
    kept = 5

    def step(self, xp: Any, a: Any, s: Arrays, w: Any, b: Any) -> tuple[Arrays, Any]:
        n, out = s[0].shape[-1], xp.lstm(a + xp.matmul(s[0], w), s[1])
        return gates.parts(out, 0, 2, n), out[..., 2 * n :]

    def back(self, xp: Any, g: Arrays, g_kept: Any, old: Arrays, new: Arrays, kept: Any) -> tuple[Any, Any, list[Any]]:
        g_a, g_c = xp.lstm_back(across(xp, *g, g_kept), across(xp, *new, kept), old[1])
        return g_a, g_a, [None, g_c]


class Gru(Cell):
    """A gated recurrent unit: ``h' = z h + (1 - z) n``, with gates r, z, n, where r scales the hidden part of n."""

    gates = 3
    states = 1
    kept = 4

    def step(self, xp: Any, a: Any, s: Arrays, w: Any, b: Any) -> tuple[Arrays, Any]:
        (h,) = s
        n = h.shape[-1]
        hidden = xp.matmul(h, w) + b
        first = xp.sigmoid(a[..., : 2 * n] + hidden[..., : 2 * n])
        inner = hidden[..., 2 * n :]
        new = xp.tanh(a[..., 2 * n :] + first[..., :n] * inner)
        return [new + first[..., n:] * (h - new)], across(xp, first, new, inner)

    def back(self, xp: Any, g: Arrays, g_kept: Any, old: Arrays, new: Arrays, kept: Any) -> tuple[Any, Any, list[Any]]:
        (g_h,), (h,) = g, old
        n = h.shape[-1]
        r, z, m, inner = (kept[..., k * n : (k + 1) * n] for k in range(4))
        g_r, g_z, g_m, g_inner = 0, g_h * (h - m), g_h * (1 - z), 0
        if g_kept is not None:
            extra = [g_kept[..., k * n : (k + 1) * n] for k in range(4)]
            g_r, g_z, g_m, g_inner = extra[0], g_z + extra[1], g_m + extra[2], extra[3]
        g_m = g_m * (1 - m * m)
        g_first = across(xp, (g_r + g_m * inner) * r * (1 - r), g_z * z * (1 - z))
        return across(xp, g_first, g_m), across(xp, g_first, g_inner + g_m * r), [g_h * z]


CELLS: dict[str, Cell] = {"tanh": Plain(True), "relu": Plain(False), "lstm": Lstm(), "gru": Gru()}


# --- the layout ---


class Layout(NamedTuple):
    """Which cell, how many rows at each step, the length of the hidden state, whether there is a bias, and whether
    the steps are taken from the last to the first."""

    cell: str
    sizes: tuple[int, ...]
    hidden: int
    bias: bool
    reverse: bool

    def steps(self) -> list[tuple[int, int]]:
        """The first and last row of each step, in the order they are taken."""
        ends = list(accumulate(self.sizes))
        spans = [(end - n, end) for n, end in zip(self.sizes, ends, strict=True)]
        return spans[::-1] if self.reverse else spans

    def inputs(self) -> list[tuple[int, ...]]:
        """The shapes in the vector that goes in: gates, states, weights, bias."""
        cell, n = CELLS[self.cell], self.hidden
        shapes = [(sum(self.sizes), cell.gates * n), *[(max(self.sizes), n)] * cell.states, (cell.gates * n, n)]
        return shapes + [(cell.gates * n,)] * self.bias

    def outputs(self) -> list[tuple[int, ...]]:
        """The shapes in the vector that comes out: hidden states, other states, what was kept, the last states."""
        cell, n, rows = CELLS[self.cell], self.hidden, sum(self.sizes)
        each: list[tuple[int, ...]] = [*[(rows, n)] * cell.states, (rows, cell.kept * n)]
        return each + [(max(self.sizes), n)] * cell.states


def parted(xp: Any, p: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    """The pieces of a vector in these shapes; further axes may come before."""
    lead, at, found = tuple(p.shape[:-1]), 0, []
    for shape in shapes:
        n = shape[0] * (shape[1] if len(shape) > 1 else 1)
        found.append(xp.reshape(p[..., at : at + n], (*lead, *shape)))
        at += n
    return found


def joined(xp: Any, pieces: Sequence[Any], lead: tuple[int, ...]) -> Any:
    """Pieces as one vector."""
    return xp.concat([xp.reshape(a, (*lead, -1)) for a in pieces], axis=-1)


def over(xp: Any, first: Any, whole: Any) -> Any:
    """``whole`` with its first rows replaced."""
    n = first.shape[-2]
    return first if n == whole.shape[-2] else xp.concat([first, whole[..., n:, :]], axis=-2)


def unrolled(xp: Any, p: Any, layout: Layout) -> Any:
    cell, spans = CELLS[layout.cell], layout.steps()
    a, *states = parted(xp, p, layout.inputs())
    w, b = xp.matrix_transpose(states[cell.states]), states[-1] if layout.bias else 0
    if layout.bias:
        b = xp.expand_dims(b, axis=-2)
    states = states[: cell.states]
    news: list[list[Any]] = [[] for _ in states]
    kept = []
    for start, end in spans:
        new, more = cell.step(xp, a[..., start:end, :], [s[..., : end - start, :] for s in states], w, b)
        states = [over(xp, n, s) for n, s in zip(new, states, strict=True)]
        for found, n in zip(news, new, strict=True):
            found.append(n)
        kept.append(more)
    if layout.reverse:
        news, kept = [found[::-1] for found in news], kept[::-1]
    pieces = [n for found in news for n in found] + (kept if cell.kept else []) + states
    return joined(xp, pieces, tuple(p.shape[:-1]))


def rolled_back(xp: Any, g: Any, out: Any, p: Any, layout: Layout) -> Any:
    cell, spans = CELLS[layout.cell], layout.steps()
    k = cell.states
    w = parted(xp, p, layout.inputs())[1 + k]
    begun = parted(xp, p, layout.inputs())[1 : 1 + k]
    shapes = layout.outputs()
    *news, kept = parted(xp, out, shapes)[: k + 1]
    *g_news, g_kept = parted(xp, g, shapes)[: k + 1]
    g_states = parted(xp, g, shapes)[k + 1 :]
    olds, states = [], begun
    for start, end in spans:
        olds.append([s[..., : end - start, :] for s in states])
        states = [over(xp, n[..., start:end, :], s) for n, s in zip(news, states, strict=True)]
    g_inputs, g_hiddens = [], []
    for (start, end), old in zip(reversed(spans), reversed(olds), strict=True):
        rows = (..., slice(start, end), slice(None))
        g_new = [s[..., : end - start, :] + n[rows] for s, n in zip(g_states, g_news, strict=True)]
        g_in, g_hidden, direct = cell.back(
            xp, g_new, g_kept[rows] if cell.kept else None, old, [n[rows] for n in news], kept[rows]
        )
        back = xp.matmul(g_hidden, w)
        g_old = [back if direct[0] is None else back + direct[0], *direct[1:]]
        g_states = [over(xp, n, s) for n, s in zip(g_old, g_states, strict=True)]
        g_inputs.append(g_in)
        g_hiddens.append(g_hidden)
    before = xp.concat([old[0] for old in reversed(olds)], axis=-2)
    g_all = xp.concat(g_hiddens, axis=-2)
    g_w = xp.matmul(xp.matrix_transpose(g_all), before)
    pieces = (g_inputs if layout.reverse else g_inputs[::-1]) + g_states + [g_w]
    if layout.bias:
        pieces.append(xp.sum(g_all, axis=(-2,), keepdims=False))
    return joined(xp, pieces, tuple(p.shape[:-1]))


def _samples() -> list[Any]:
    found = []
    for cell, sizes, reverse in [("lstm", (2, 2), False), ("gru", (2, 1), True), ("tanh", (2, 1), False)]:
        layout = Layout(cell, sizes, 2, cell == "gru", reverse)
        n = sum(s[0] * (s[1] if len(s) > 1 else 1) for s in layout.inputs())
        found.append((((n,),), {"layout": layout}))
    return found


class Recurrence(Primitive):
    """A cell unrolled over all steps of packed sequences."""

    composite = True
    real_only = no_kernel("recurrence")
    formula = False  # as one it grows without bounds
    forward = lambda xp, p, *, layout: unrolled(xp, p, layout)
    vjp_p = lambda xp, g, out, p, layout: rolled_back(xp, g, out, p, layout)
    samples = _samples()


_recurrence = Recurrence()


# --- one step of an LSTM ---


class LstmCell(Primitive):
    """One step: x and (h, c) with the weights w, u and the biases b, d of either; gives what ``xp.lstm`` does.

    No rule reads the new states in ``out``, so that these may be shown, and written to.
    """

    composite = True
    real_only = no_kernel("lstm_cell")
    formula = False  # as one it grows without bounds
    forward = lambda xp, x, h, c, w, u, b, d: xp.lstm(sums(xp, x, w, h, u) + xp.expand_dims(b + d, axis=-2), c)
    vjp_all = lambda xp, g, out, x, h, c, w, u, wanted: cell_back(xp, g, out, x, h, c, w, u, wanted)
    samples = [(((3, 2), (3, 2), (3, 2), (8, 2), (8, 2), (8,), (8,)), {})]


class LstmCellWithoutBias(Primitive):
    """:class:`LstmCell` without biases."""

    composite = True
    real_only = no_kernel("lstm_cell")
    formula = False
    forward = lambda xp, x, h, c, w, u: xp.lstm(sums(xp, x, w, h, u), c)
    vjp_all = lambda xp, g, out, x, h, c, w, u, wanted: cell_back(xp, g, out, x, h, c, w, u, wanted)
    samples = [(((3, 2), (3, 2), (3, 2), (8, 2), (8, 2)), {})]


def sums(xp: Any, x: Any, w: Any, h: Any, u: Any) -> Any:
    return xp.matmul(x, xp.matrix_transpose(w)) + xp.matmul(h, xp.matrix_transpose(u))


def cell_back(xp: Any, g: Any, out: Any, x: Any, h: Any, c: Any, w: Any, u: Any, wanted: Sequence[bool]) -> list[Any]:
    """The cotangents of all arguments; None where one is not ``wanted``."""
    g_a, g_c = xp.lstm_back(g, out, c)
    turned = xp.matrix_transpose(g_a)
    found = [
        xp.matmul(a, b) if want else None
        for a, b, want in ((g_a, w, wanted[0]), (g_a, u, wanted[1]), (turned, x, wanted[3]), (turned, h, wanted[4]))
    ]
    if wanted[5:]:
        found += [xp.sum(g_a, axis=(-2,), keepdims=False) if any(wanted[5:]) else None] * 2
    return [*found[:2], g_c, *found[2:]]


class State(GetItem):
    """One of the new states, as PyTorch's CPU kernel names what made it; not a view: see :class:`LstmCell`."""

    view = False
    samples = [(((2, 7),), {"key": (..., slice(0, 1))})]


_cell, _cell_without_bias = LstmCell("ThnnFusedLstmCellBackward0"), LstmCellWithoutBias("ThnnFusedLstmCellBackward0")
_h, _c = State("MulBackward0"), State("AddBackward0")


def lstm_step(
    x: Tensor, h: Tensor, c: Tensor, w: Tensor, u: Tensor, b: Tensor | None = None, d: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The next (h, c) of an LSTM, each (n, hidden), from x (n, inputs), w (4 * hidden, inputs), u (4 * hidden, hidden)."""
    n = c._shape[-1]
    out = _cell_without_bias(x, h, c, w, u) if b is None or d is None else _cell(x, h, c, w, u, b, d)
    return _h(out, key=(..., slice(0, n))), _c(out, key=(..., slice(n, 2 * n)))


def recurrence(
    cell: str, gates: Tensor, states: Sequence[Tensor], weight: Tensor, bias: Tensor | None,
    sizes: tuple[int, ...], reverse: bool = False,
) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
    """The hidden states (rows, hidden) after each step, and the last states (sequences, hidden).

    ``gates`` is what the input gives to the gates, (rows, gates * hidden); ``states`` the first states, ``weight``
    (gates * hidden, hidden) and ``bias`` (gates * hidden,) what the hidden state is multiplied by and shifted.
    """
    layout = Layout(cell, sizes, states[0]._shape[-1], bias is not None, reverse)
    parts = [gates, *states, weight] + ([] if bias is None else [bias])
    out = _recurrence(cat([part.reshape(-1) for part in parts]), layout=layout)
    found = parted_tensor(out, layout)
    k = CELLS[cell].states
    return found[0], found[k + 1 :]


def parted_tensor(out: Tensor, layout: Layout) -> list[Tensor]:
    """The pieces of :func:`recurrence`'s result, as views."""
    at, found = 0, []
    for rows, columns in layout.outputs():
        found.append(out[at : at + rows * columns].reshape(rows, columns))
        at += rows * columns
    return found
