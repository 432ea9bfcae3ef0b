"""What a call of a user's Function leaves in the graph, and how what it gave becomes tensors with a history."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import errors, modes
from ..anomaly import note
from ..arrays import namespace as ns
from ..backward import fit
from ..engine import Sweep
from ..errors import explained
from ..node import Node, Port, Several
from ..primitive import table
from ..saved import Kept, edge
from ..tensor import Tensor, node_slot, wrap
from ..writes import check_writable, written


class Applied(Node):
    """A call of a user's Function, of which its ``ctx`` is the public face.

    ``inputs`` and ``outputs`` have the shape and dtype of each that is a tensor, None for others.  There is an edge
    for each tensor among the arguments; ``adopted`` are the numbers of the outputs that have a gradient.
    """

    __slots__ = ("adopted", "ctx", "inputs", "outputs", "ports", "rank", "shown_as")

    def __init__(self, ctx: Any, rank: int, edges: Sequence[Any], args: Sequence[Any], outputs: Sequence[Any]) -> None:
        super().__init__(tuple(edges), (None,), None, None, None)
        self.ctx, self.rank = ctx, rank
        self.inputs, self.outputs = (
            [(t._shape, t._dtype) if isinstance(t, Tensor) else None for t in ts] for ts in (args, outputs)
        )
        self.adopted: set[int] = set()
        self.ports: dict[int, weakref.ref[Port]] = {}
        self.shown_as: weakref.ref[Any] | None = None

    def name(self) -> str:
        return type(self.ctx).__name__

    @property
    def count(self) -> int:
        return len(self.outputs)

    @property
    def public(self) -> Any:
        found = None if self.shown_as is None else self.shown_as()
        if found is None:
            found = self.ctx._with(self)
            self.shown_as = weakref.ref(found)
        return found

    def adopt(self, t: Tensor, number: int) -> None:
        """Make ``t`` an output of this call."""
        self.adopted.add(number)
        t._node, t._rg = self.edge_to(number), True

    def edge_to(self, number: int) -> Node:
        """Where the gradient of an output goes: the same for all tensors that stand for it."""
        if len(self.outputs) == 1:
            return self
        port = self.ports[number]() if number in self.ports else None
        if port is None:
            port = Port(self, number)
            self.ports[number] = weakref.ref(port)
        return port

    def release(self) -> None:
        self.ctx._release()

    def pull(self, sweep: Sweep, g: Any, saved: Any) -> Sequence[Any]:
        """What the user's ``backward`` gives, checked, and made to fit the arguments."""
        parts = g.parts if type(g) is Several else {0: g}
        grads = []
        for number, meta in enumerate(self.outputs):
            part = parts.get(number)
            if part is not None:
                part = self._shown(sweep, part)
            elif meta is not None and self.ctx._materializes:
                part = wrap(np.zeros(*meta), self.rank)
            grads.append(part)
        apply = self.ctx.apply  # at a higher level, tensors of those below may have to be recorded
        found = sweep.ask(apply, *grads) if self.rank == 2 else apply(*grads)
        if not sweep.keep:
            self.release()
        return self._fitted(sweep, found if isinstance(found, tuple) else (found,))

    def _shown(self, sweep: Sweep, g: Any) -> Tensor:
        sweep.shared.add(id(g))
        return g if sweep.create_graph else wrap(g, self.rank)

    def _fitted(self, sweep: Sweep, found: tuple[Any, ...]) -> list[Any]:
        name, n = self.name(), len(self.inputs)
        if len(found) > n and all(c is None for c in found[n:]):
            found = found[:n]
        if len(found) != n:
            raise explained(RuntimeError(errors.wrong_number_of_gradients(name, n, len(found))))
        fitted: list[Any] = []
        for i, (meta, c) in enumerate(zip(self.inputs, found, strict=True)):
            if meta is None:
                if c is not None:
                    raise explained(RuntimeError(errors.gradient_of_no_tensor(name, i + 1)))
                continue
            if c is not None and not isinstance(c, Tensor):
                raise explained(RuntimeError(f"expected Variable or None (got {type(c).__name__})\n"
                                             f"{name} returns one gradient, a tensor or None, for each argument."))  # fmt: skip
            c = None if self.edges[len(fitted)] is None else c
            fitted.append(None if c is None else self._fit(sweep, c, len(fitted), *meta))
        return fitted

    def _fit(self, sweep: Sweep, c: Tensor, i: int, shape: tuple[int, ...], dtype: Any) -> Any:
        have = c._shape
        lead = len(have) - len(shape)
        if have != shape and (lead < 0 or any(n not in (1, m) for n, m in zip(shape, have[lead:], strict=True))):
            raise explained(RuntimeError(errors.invalid_gradient(self.name(), i, have, shape)))
        if (c._dtype.kind == "c") != (dtype.kind == "c") and c._dtype.kind in "fc":
            raise explained(RuntimeError(errors.COMPLEX_GRADIENT))
        if have != shape or c._dtype != dtype:
            c = fit(ns.boxes, c, shape, dtype)
        return c if sweep.create_graph or c._rank != self.rank else sweep.take(c)


def call(
    cls: Any, rank: int, args: tuple[Any, ...], kwargs: dict[str, Any], separate: bool, forward: Any = None
) -> Any:
    """One call at one level: ``forward`` (the class's own by default) run unrecorded, then made one node."""
    ctx, mode = cls._backward_cls(), modes.current()
    push = None
    if any(isinstance(a, Tensor) and a._first and a._rank == rank for a in (*args, *kwargs.values())):
        from .pushed import Push  # with what forward mode needs, which not every program does

        push = Push(rank, (*args, *kwargs.values()))
        args = tuple([push.taken(a) for a in args])
        kwargs = {k: push.taken(a) for k, a in kwargs.items()}
    given = (*args, *kwargs.values())
    ctx.needs_input_grad = tuple([isinstance(a, Tensor) and a._rg and a._rank == rank for a in given])
    edges = None  # where gradients go is known before forward writes to anything
    if mode.grad and True in ctx.needs_input_grad:
        edges = [edge(a) if a._rank == rank else None for a in given if isinstance(a, Tensor)]
    output = None if forward is None else forward(args)
    with modes.no_grad():
        if separate:
            if forward is None:
                output = cls.forward(*args, **kwargs)
            cls.setup_context(ctx, args, output)
        else:
            output = cls.forward(ctx, *args, **kwargs)
    saved, ctx._wrote = ctx.saved_for_forward, bool(ctx.dirty_tensors)
    result = settled(ctx, rank, edges, given, output, mode)
    return result if push is None else push.through(ctx, saved, given, result)


def settled(ctx: Any, rank: int, edges: Any, args: Sequence[Any], output: Any, mode: modes.Mode) -> Any:
    """``output``, which ``forward`` gave for ``args``, with its tensors made outputs of the call."""
    outputs = output if isinstance(output, tuple) else (output,)
    given = {id(a) for a in args if isinstance(a, Tensor)}
    dirty = _marked(ctx.dirty_tensors, "mark_dirty can only accept variables, but argument {} is of type {}")
    constant = _marked(ctx.non_differentiable, "mark_non_differentiable only accepts variable arguments, but got {1}")
    if not dirty <= {id(o) for o in outputs}:
        raise explained(RuntimeError(errors.DIRTY_NOT_RETURNED))
    node = None if edges is None else Applied(ctx, rank, edges, args, outputs)
    found: list[Any] = []
    for number, out in enumerate(outputs):
        if not isinstance(out, Tensor):
            found.append(out)
        elif node is None or id(out) in constant or out._dtype.kind not in "fc":
            found.append(_constant(out, id(out) in given, id(out) in dirty))
        elif id(out) in dirty and id(out) in given:
            found.append(_written(node, number, out))
        else:
            if id(out) in dirty:
                warnings.warn(errors.DIRTY_NOT_GIVEN, UserWarning, stacklevel=4)
            out = _alias(out) if id(out) in given or any(out is f for f in found) else out
            node.adopt(out, number)
            found.append(out)
    several = node is not None and len(node.adopted) > 1
    for number, out in enumerate(found):
        if isinstance(out, Tensor) and out._is_view() and not (id(out) in dirty and id(out) in given):
            out._meta.created, out._meta.number = "several" if several else "custom", number
    if node is not None:
        ctx._applied = weakref.ref(node)
        ctx._saved = _kept(ctx, node, found)
        if mode.anomaly is not None:
            note(node, mode.within)
    ctx.dirty_tensors = ctx.non_differentiable = ctx.to_save = ctx.saved_for_forward = None
    return tuple(found) if isinstance(output, tuple) else found[0]


def _marked(tensors: Any, complaint: str) -> set[int]:
    for i, t in enumerate(tensors or ()):
        if not isinstance(t, Tensor):
            raise RuntimeError(complaint.format(i, type(t).__name__))
    return {id(t) for t in tensors or ()}


def _constant(out: Tensor, given: bool, dirty: bool) -> Tensor:
    """An output without a gradient.  An argument that is returned keeps its own history."""
    if given and dirty:
        written(out, None)
    elif given:
        return out.detach() if out._rg else out
    elif out._rg and not out._is_view():
        out._node, out._rg = None, False
    return out


def _written(node: Applied, number: int, out: Tensor) -> Tensor:
    """An argument that ``forward`` wrote to and returned: from now on it is an output of the call."""
    if out._rg and node_slot.__get__(out) is None:
        raise explained(RuntimeError(errors.LEAF_USED_IN_PLACE))
    if out._is_view() and len(node.outputs) > 1:
        raise explained(RuntimeError(errors.VIEW_AMONG_SEVERAL))
    check_writable(out, True)
    result = wrap(out._a, node.rank)
    node.adopt(result, number)
    written(out, result)
    return out


def _alias(t: Tensor) -> Tensor:
    """An argument that is returned as it is becomes a view of itself, with a history of its own."""
    with modes.no_grad():
        return table["AliasBackward0"](t, key=(...,))


def _kept(ctx: Any, node: Applied, found: list[Any]) -> tuple[Kept | None, ...]:
    owner, kept = weakref.ref(node), []
    for i, t in enumerate(ctx.to_save or ()):
        if t is not None and not isinstance(t, Tensor):
            raise explained(
                TypeError(
                    f"save_for_backward can only save variables, but argument {i} is of type {type(t).__name__}"
                    "\nWhat is no tensor can be an attribute: ctx.name = value."
                )
            )
        mine = [n for n in node.adopted if found[n] is t]
        kept.append(None if t is None else Kept(t, owner, mine[0] if mine else None))
    return tuple(kept)
