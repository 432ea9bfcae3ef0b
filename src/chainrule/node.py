"""The graph: nodes that remember operations, and what interprets an operation at all.

A :class:`Node`'s ``edges`` lead to the nodes of its inputs, or straight to a leaf tensor.  Sequence numbers grow as
nodes are made, so a node's inputs always have smaller numbers than the node.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from . import errors
from .errors import explained

if TYPE_CHECKING:
    from .engine import Sweep

next_seq = itertools.count(1).__next__


class Box:
    """Anything that stands for an array and is interpreted: Tensors, duals, batches, traces.

    ``_rank`` orders interpreters: the argument of highest rank interprets an operation, and hands what
    it holds to the next lower.  Raw arrays have rank 0, traces 1, a Tensor over an array 2; the k-th
    transform's arrays 2k + 1 and a Tensor over those 2k + 2: the innermost transform is outermost here.
    """

    __slots__ = ()
    _rank = 1
    _first = False  # whether it interprets before others of its rank, as what carries a tangent does
    _seq = 0  # as an edge, a leaf has no place in the order of nodes
    __array_ufunc__: Any = None  # ``ndarray * box`` is ours to answer

    def _interpret(self, prim: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
        raise NotImplementedError

    def _writing(self, begins: bool) -> None:
        """Told before a tensor over this is written to, with the views that show it, and after."""

    def _no_value(self) -> NoReturn:
        """Somebody asks for a number."""
        raise RuntimeError(errors.no_value(self))

    def _kept(self) -> Any:
        """This as it is now, whatever is written into it."""
        return self


class Node:
    """One recorded operation.  Subclasses, made when an operation is declared, carry its rules.

    ``saved`` is ``(out, *inputs)`` as raw arrays, None where no rule asks; ``tensors`` the same inputs as
    Tensors, for version checks and for ``create_graph`` (empty if only the output was saved, None if
    nothing was); ``params`` the static parameters; ``extra`` what few nodes have.

    ``next`` holds the edges: a tuple, or, where a class says that only the argument at ``place`` can have
    one, that edge alone.  A tuple per node would double what the garbage collector has to walk through.
    """

    __slots__ = ("__weakref__", "_seq", "extra", "next", "params", "saved", "tensors")

    pulls: ClassVar[tuple[Any, ...]] = ()
    prim: ClassVar[Any] = None
    place: ClassVar[int | None] = None
    requires_grad: ClassVar[bool] = True  # PyTorch's nodes have it
    alone: ClassVar[Any] = None  # the one of ``pulls`` that is called, where ``place`` says which
    shown: ClassVar[tuple[int, ...] | None] = None  # the arguments for which PyTorch's node has an edge, if not all

    def __init__(self, next: Any, saved: Any, tensors: Any, params: Any, extra: Extra | None) -> None:
        self._seq = next_seq()
        self.next = next
        self.saved = saved
        self.tensors = tensors
        self.params = params
        self.extra = extra

    def name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at {id(self):#x}>"  # without the module, as PyTorch prints it

    @property
    def edges(self) -> tuple[Any, ...]:
        """The node, or the leaf, behind each input; None where no gradient is wanted."""
        place = self.place
        if place is None:
            found: tuple[Any, ...] = self.next
            return found
        return (*(None,) * place, self.next, *(None,) * (len(self.pulls) - place - 1))

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """(node, output number) of each input, as PyTorch gives it: leaves appear as ``AccumulateGrad``."""
        edges = self.edges
        for i, e in enumerate(edges):
            if e is not None and e._seq and (takes := self.takes(i)) is not None:
                e.note(*takes)
        return tuple(public_edge(e) for e in self.as_shown(edges))

    @property
    def count(self) -> int:
        """How many outputs the operation has."""
        return 1 if self.prim is None else self.prim.outputs or 1

    @property
    def public(self) -> Any:
        """What a tensor shows as its ``grad_fn`` if this is where its gradient goes."""
        return self

    @property
    def metadata(self) -> dict[str, Any]:
        """A dictionary for whoever wants to note something about this node; anomaly mode does."""
        found: dict[str, Any] = more(self).__dict__.setdefault("metadata", {})
        return found

    def note(self, shape: tuple[int, ...], dtype: Any, number: int = 0) -> None:
        """Remember what an output is, for those who look at nodes: nobody else needs it."""
        extra = more(self)
        if extra.outputs is None:
            extra.outputs = {}
        extra.outputs[number] = (shape, dtype)

    def takes(self, i: int) -> tuple[tuple[int, ...], Any] | None:
        """The shape and dtype of an argument, if they can be seen here."""
        extra, prim, saved = self.extra, self.prim, self.saved
        if prim is None or prim.variadic:
            return None
        if extra is not None and extra.metas is not None and extra.metas[i] is not None:
            found: tuple[tuple[int, ...], Any] = extra.metas[i]
            return found
        if saved is not None and hasattr(saved[i + 1], "shape"):
            return tuple(saved[i + 1].shape), saved[i + 1].dtype
        own = None if extra is None or extra.outputs is None else extra.outputs.get(0)
        shape = (self.params or {}).get(f"{prim.args[i]}_shape")
        if own is None:
            return None
        return own if prim.broadcasts else None if shape is None else (shape, own[1])

    def _sequence_nr(self) -> int:
        return self._seq

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(grad_inputs, grad_outputs)`` after this node's rule; it may return other grad_inputs."""
        return RemovableHandle(more(self).hooks("post"), hook)

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(grad_outputs)`` before this node's rule; it may return other grad_outputs."""
        return RemovableHandle(more(self).hooks("pre"), hook)

    def as_shown(self, each: Sequence[Any]) -> Sequence[Any]:
        """Something for each argument as PyTorch's node of this name has it."""
        return each if self.shown is None else [each[i] for i in self.shown]

    def pull(self, sweep: Sweep, g: Any, saved: Any) -> Sequence[Any]:
        """Cotangents of the inputs, for operations whose rule answers for all inputs at once."""
        raise NotImplementedError

    def release(self) -> None:
        """Drop what is saved: a later sweep through here is the freed-graph error."""
        self.saved = self.tensors = None
        if self.extra is not None:
            self.extra.packed = None

    def unpack(self, saved: Any) -> tuple[Any, ...]:
        """``saved`` with Tensors in place of arrays: what a rule gets under ``create_graph``."""
        out, *rest = saved
        if out is not None:
            out = self.prim.restore(self, out)
        if self.tensors:
            rest = [r if t is None else t for r, t in zip(rest, self.tensors, strict=True)]
        return (out, *rest)


class Extra:
    """What few nodes have."""

    metas: Any = None  # each input's (shape, dtype), where a cotangent may have to be summed or cast to fit
    versions: Any = None  # what the version counters of ``tensors`` said when they were saved, if not all 0
    cell: Any = None  # the version counter of a saved output, and what it said
    rank = 2  # of the Tensors this operation was applied to
    capture: Any = None  # a weak reference to the output, which asked for retain_grad()
    packed: Any = None  # what stands for ``saved`` if hooks hold some of it; ``open(node, create_graph)`` gives it back
    slot: Any = None  # the tangent of a saved output
    outputs: Any = None  # the shape and dtype of outputs, by number, if somebody has looked
    into: Any = None  # the edges that are shown, where the node stands for several operations
    hooked = False
    plain = True  # nothing to do beyond the rules: no metas, no hooks

    def __init__(self, metas: Any = None, versions: Any = None, cell: Any = None) -> None:
        if metas is not None:
            self.metas = metas
            self.plain = False
        if versions is not None:
            self.versions = versions
        if cell is not None:
            self.cell = cell

    def hooks(self, kind: str) -> dict[int, Callable[..., Any]]:
        """Hooks of a kind: "pre", "tensor" or "post"."""
        self.hooked, self.plain = True, False
        found: dict[int, Callable[..., Any]] = self.__dict__.setdefault(kind, {})
        return found


def more(node: Node) -> Extra:
    if node.extra is None:
        node.extra = Extra()
    return node.extra


class RemovableHandle:
    """What registering a hook returns: ``remove()`` takes the hook away again; also a context manager."""

    _next_id = itertools.count().__next__

    def __init__(self, hooks: dict[int, Callable[..., Any]], hook: Callable[..., Any]) -> None:
        self._hooks, self.id = hooks, RemovableHandle._next_id()
        hooks[self.id] = hook

    def remove(self) -> None:
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def public_edge(edge: Any) -> tuple[Any, int]:
    if edge is None:
        return (None, 0)
    return (edge.public, edge.number if type(edge) is Port else 0) if edge._seq else (edge._accumulator(), 0)


class Port(Node):
    """One output of an operation that has several: hands its cotangent on, labelled with its number."""

    __slots__ = ("number",)

    def __init__(self, parent: Node, number: int) -> None:
        super().__init__((parent,), (None,), None, None, None)
        self.number = number

    @property
    def parent(self) -> Any:
        return self.next[0]

    def name(self) -> str:
        found: str = self.parent.name()
        return found

    @property
    def public(self) -> Any:
        return self.parent.public

    def note(self, shape: tuple[int, ...], dtype: Any, number: int = 0) -> None:
        self.parent.note(shape, dtype, self.number)

    def pull(self, sweep: Sweep, g: Any, saved: Any) -> Sequence[Any]:
        return (Several({self.number: g}),)


class Nowhere(Node):
    """Where gradients vanish: the history of a view that has none, of a base that requires grad."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__((), (), None, None, None)

    @property
    def public(self) -> Any:
        return None

    def pull(self, sweep: Sweep, g: Any, saved: Any) -> Sequence[Any]:
        return ()


class Several:
    """Cotangents of some outputs of one operation; adding two merges them."""

    __slots__ = ("parts",)

    def __init__(self, parts: dict[int, Any]) -> None:
        self.parts = parts

    def __add__(self, other: Several) -> Several:
        merged = dict(self.parts)
        for number, g in other.parts.items():
            merged[number] = merged[number] + g if number in merged else g
        return Several(merged)


def check_versions(node: Node) -> None:
    """PyTorch's error when a value that was saved for backward has been written to since."""
    extra, tensors = node.extra, node.tensors
    versions = None if extra is None else extra.versions
    for i in range(len(tensors) - 1, -1, -1):  # the order in which PyTorch unpacks them
        t = tensors[i]
        if t is not None and t._v is not None:
            expected = (versions[i] or 0) if versions else 0
            now, m = t._v[0], t._meta
            if m is not None and m.seen != now and needs(node, i):
                t._node  # noqa: B018  the history of a view that is behind is rebuilt now, which may be an error
            if t._rg and now == expected:
                continue
            edge = node.edges[i]
            if not t._rg and edge is not None and edge._seq:
                raise RuntimeError(errors.DETACHED)
            if now != expected and needs(node, i):
                raise explained(RuntimeError(errors.modified_in_place(node, t, now, expected)), "in place", node, t)
    if extra is not None and extra.cell is not None:
        cell, expected = extra.cell
        if cell[0] != expected:
            message = errors.modified_in_place(node, node.saved[0], cell[0], expected, output=True)
            raise explained(RuntimeError(message), "in place", node, cell)


def needs(node: Node, i: int) -> bool:
    """Whether input ``i`` is needed for a cotangent that goes anywhere."""
    going = tuple(e is not None and type(e) is not Nowhere for e in node.edges)
    return node.prim is None or node.place is not None or bool(node.prim.keeps(going)[0][i + 1])
