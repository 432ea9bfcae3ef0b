"""The reverse sweep: from results back to leaves, in the order of creation reversed.

A :class:`Node` remembers one operation.  Its ``edges`` lead to the nodes of its inputs, or straight to a
leaf tensor.  Sequence numbers grow as nodes are made, so a node's inputs always have smaller numbers than
the node: taking pending nodes by the largest number first is a topological order, found with a heap and
without recursion, however deep the graph.

The same sweep serves numbers and graphs.  For numbers the rules get raw arrays.  Under ``create_graph``
they get Tensors, so what the rules do is recorded in turn.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from typing import Any, ClassVar

from . import errors

next_seq = itertools.count(1).__next__


class Box:
    """Anything that stands for an array and is interpreted: Tensors, duals, batches, traces.

    ``_rank`` orders interpreters: the argument of highest rank interprets an operation, and hands what
    it holds to the next lower.  Raw arrays have rank 0, traces 1, a Tensor over an array 2; the k-th
    transform's arrays 2k + 1 and a Tensor over those 2k + 2: the innermost transform is outermost here.
    """

    __slots__ = ()
    _rank = 1
    _seq = 0  # as an edge, a leaf has no place in the order of nodes
    __array_ufunc__: Any = None  # ``ndarray * box`` is ours to answer

    def _interpret(self, prim: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
        raise NotImplementedError


class Node:
    """One recorded operation.  Subclasses, made when an operation is declared, carry its rules.

    ``saved`` is ``(out, *inputs)`` as raw arrays, None where no rule asks; ``tensors`` the same inputs as
    Tensors, for version checks and for ``create_graph``; ``versions`` what their version counters said,
    None while all said 0; ``cell`` the counter of a saved output; ``metas`` each input's (shape, dtype)
    where a cotangent may have to be summed or cast to fit.
    """

    __slots__ = ("__weakref__", "_seq", "cell", "edges", "extra", "metas", "params", "saved", "tensors", "versions")

    pulls: ClassVar[tuple[Any, ...]] = ()
    prim: ClassVar[Any] = None

    def __init__(
        self, edges: tuple[Any, ...], saved: Any, tensors: Any, versions: Any, cell: Any, metas: Any, params: Any
    ) -> None:
        self._seq = next_seq()
        self.edges = edges
        self.saved = saved
        self.tensors = tensors
        self.versions = versions
        self.cell = cell
        self.metas = metas
        self.params = params
        self.extra: Extra | None = None

    def name(self) -> str:
        return type(self).__name__

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """(node, output number) of each input, as PyTorch gives it: leaves appear as ``AccumulateGrad``."""
        return tuple(_public_edge(e) for e in self.edges)

    @property
    def metadata(self) -> dict[str, Any]:
        return more(self).metadata

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(grad_inputs, grad_outputs)`` after this node's rule; it may return other grad_inputs."""
        return RemovableHandle(more(self).post_hooks, hook)

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(grad_outputs)`` before this node's rule; it may return other grad_outputs."""
        return RemovableHandle(more(self).pre_hooks, hook)

    def pull(self, xp: Any, g: Any, saved: Any) -> Sequence[Any]:
        """Cotangents of the inputs, for operations whose rule answers for all inputs at once."""
        raise NotImplementedError

    def unpack(self) -> tuple[Any, ...]:
        """``saved`` with Tensors in place of arrays: what a rule gets under ``create_graph``."""
        out, *rest = self.saved
        if out is not None:
            out = self.prim.restore(self, out)
        if self.tensors is not None:
            rest = [r if t is None else t for r, t in zip(rest, self.tensors, strict=True)]
        return (out, *rest)


class Extra:
    """What few nodes have: hooks and metadata."""

    __slots__ = ("capture", "metadata", "post_hooks", "pre_hooks", "tensor_hooks")

    def __init__(self) -> None:
        self.pre_hooks: dict[int, Callable[..., Any]] = {}
        self.tensor_hooks: dict[int, Callable[..., Any]] = {}
        self.post_hooks: dict[int, Callable[..., Any]] = {}
        self.metadata: dict[str, Any] = {}
        self.capture: Any = None  # a weak reference to a tensor that asked for retain_grad()


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


class AccumulateGrad:
    """A leaf as the graph's inspectors see it; the engine itself holds the leaf."""

    def __init__(self, variable: Any) -> None:
        self.variable = variable
        self.next_functions: tuple[Any, ...] = ()

    def name(self) -> str:
        return "torch::autograd::AccumulateGrad"


def _public_edge(edge: Any) -> tuple[Any, int]:
    if edge is None:
        return (None, 0)
    if isinstance(edge, Port):
        return (edge.parent, edge.number)
    return (edge if edge._seq else AccumulateGrad(edge), 0)


class Port(Node):
    """One output of an operation that has several: hands its cotangent on, labelled with its number."""

    __slots__ = ("number",)

    def __init__(self, parent: Node, number: int) -> None:
        super().__init__((parent,), (None,), None, None, None, None, None)
        self.number = number

    @property
    def parent(self) -> Any:
        return self.edges[0]

    def pull(self, xp: Any, g: Any, saved: Any) -> Sequence[Any]:
        return (Several({self.number: g}),)


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


class Sweep:
    """How one reverse sweep is to run.  ``fit(xp, g, shape, dtype)`` undoes broadcasting and casts."""

    __slots__ = ("capture", "create_graph", "fit", "keep", "shared", "wanted", "wrap", "xp")

    def __init__(self, xp: Any, fit: Any, wrap: Callable[[Any], Any], keep: bool, create_graph: bool) -> None:
        self.xp = xp
        self.fit = fit
        self.wrap = (lambda a: a) if create_graph else wrap  # what hooks are shown
        self.shared: set[int] = set()  # ids of arrays that somebody outside the sweep holds
        self.keep = keep
        self.create_graph = create_graph
        self.wanted: set[Any] | None = None  # nodes worth visiting; None: all
        self.capture: dict[Any, Any] = {}  # nodes and leaves whose cotangent the caller wants

    def run(self, roots: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
        """Sweep from (edge, cotangent) pairs; returns each reached leaf's total cotangent."""
        xp, fit, keep, create_graph, wanted = self.xp, self.fit, self.keep, self.create_graph, self.wanted
        capture = self.capture
        leaves: dict[Any, Any] = {}
        pending: dict[int, list[Any]] = {}  # -seq: [node, cotangent so far]
        heap: list[int] = []
        for edge, g in roots:
            if not edge._seq:
                leaves[edge] = leaves[edge] + g if edge in leaves else g
            elif (slot := pending.get(-edge._seq)) is not None:
                slot[1] = slot[1] + g
            else:
                pending[-edge._seq] = [edge, g]
                heappush(heap, -edge._seq)

        while heap:
            node, g = pending.pop(heappop(heap))
            while node is not None:  # follows a chain without touching the heap
                extra = node.extra
                if extra is not None:
                    g = before(self, node, extra, g)
                if capture and node in capture:
                    capture[node] = g
                if wanted is not None and node not in wanted:
                    break
                saved, tensors, edges = node.saved, node.tensors, node.edges
                if saved is None:
                    raise RuntimeError(errors.freed_graph(node))
                if tensors is not None or node.cell is not None:
                    check_versions(node, tensors)
                if create_graph:
                    saved = node.unpack()
                    if not keep and (tensors is not None or node.cell is not None):
                        node.saved = node.tensors = None
                elif not keep and (tensors is not None or node.cell is not None):
                    node.saved = node.tensors = None
                params, metas = node.params, node.metas
                pulls: Any = node.pulls
                cotangents = None
                if extra is not None and extra.post_hooks or not pulls:
                    cotangents = node_cotangents(self, node, g, saved)
                follow = None
                for i, edge in enumerate(edges):
                    if edge is None:
                        continue
                    if cotangents is not None:
                        gi = cotangents[i]
                    else:
                        gi = pulls[i](xp, g, saved, params)
                    if gi is None:
                        continue
                    if metas is not None:
                        gi = fit(xp, gi, *metas[i])
                    seq = edge._seq
                    if not seq:
                        leaves[edge] = leaves[edge] + gi if edge in leaves else gi
                    elif (slot := pending.get(-seq)) is not None:
                        slot[1] = slot[1] + gi
                    elif follow is None and not heap:
                        follow, follow_g = edge, gi
                    elif follow is edge:
                        follow_g = follow_g + gi
                    else:
                        pending[-seq] = [edge, gi]
                        heappush(heap, -seq)
                node = follow
                if node is not None:
                    g = follow_g
                    if heap and -heap[0] > node._seq:  # something newer came up beside it
                        pending[-node._seq] = [node, g]
                        heappush(heap, -node._seq)
                        break
        return leaves


def node_cotangents(sweep: Sweep, node: Node, g: Any, saved: Any) -> list[Any]:
    """The slow way through one node: rules that answer for all inputs at once, and hooks."""
    if node.pulls:
        found = [None if e is None else p(sweep.xp, g, saved, node.params)
                 for e, p in zip(node.edges, node.pulls, strict=False)]  # fmt: skip
    else:
        found = list(node.pull(sweep.xp, g, saved))
    if node.extra is not None and node.extra.post_hooks:
        wrap = sweep.wrap
        tensors = tuple(None if c is None else wrap(c) for c in found)
        for hook in list(node.extra.post_hooks.values()):
            changed = hook(tensors, (wrap(g),))
            if changed is not None:
                tensors = changed if isinstance(changed, tuple) else (changed,)
        found = [None if t is None else t if sweep.create_graph else t._a for t in tensors]
        sweep.shared.update(map(id, found))
    return found


def before(sweep: Sweep, node: Node, extra: Extra, g: Any) -> Any:
    """Hooks that see a node's cotangent before its rule runs, and ``retain_grad``."""
    if isinstance(g, Several):
        return g
    t = sweep.wrap(g)
    for hook in list(extra.tensor_hooks.values()):
        changed = hook(t)
        if changed is not None:
            t = changed
    for hook in list(extra.pre_hooks.values()):
        changed = hook((t,))
        if changed is not None:
            t = changed[0] if isinstance(changed, tuple) else changed
    sweep.shared.add(id(t._a))
    if extra.capture is not None and (owner := extra.capture()) is not None:
        deposit(owner, t if sweep.create_graph else t._a, sweep.create_graph, sweep.shared)
    return t if sweep.create_graph else t._a


def check_versions(node: Node, tensors: Any) -> None:
    """PyTorch's error when a value that was saved for backward has been written to since."""
    versions = node.versions
    if tensors is not None:
        for i, t in enumerate(tensors):
            if t is not None and t._v is not None:
                expected = 0 if versions is None else versions[i]
                if t._v[0] != expected:
                    raise RuntimeError(errors.modified_in_place(node, t, t._v[0], expected))
    if node.cell is not None:
        cell, expected = node.cell
        if cell[0] != expected:
            raise RuntimeError(errors.modified_in_place(node, node.saved[0], cell[0], expected, output=True))


def reachable(edges: Iterable[Any], targets: set[Any]) -> set[Any]:
    """The nodes on a path from ``edges`` to one of ``targets`` (nodes or leaves)."""
    seen: set[Any] = set()
    stack = [e for e in edges if e._seq]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend(e for e in node.edges if e is not None and e._seq)
    wanted: set[Any] = set()
    for node in sorted(seen, key=lambda n: n._seq):  # inputs come before the nodes that use them
        if any(e is not None and (e in targets or e in wanted) for e in node.edges):
            wanted.add(node)
    return wanted


def free(edge: Any) -> None:
    """Drop what the graph behind ``edge`` saved; a later sweep through it raises the freed-graph error."""
    seen: set[Any] = set()
    stack = [edge]
    while stack:
        node = stack.pop()
        if node is None or not node._seq or node in seen:
            continue
        seen.add(node)
        stack.extend(node.edges)
        node.saved = node.tensors = None


# --- leaves -----------------------------------------------------------------------------------------

# NumPy drops the GIL inside large additions, so two threads adding into one .grad would lose terms.
_locks = tuple(threading.Lock() for _ in range(64))


def deposit(leaf: Any, g: Any, create_graph: bool, shared: set[int]) -> None:
    """Add ``g`` to ``leaf.grad``, whole or not at all.  ``shared`` holds ids of arrays that others hold."""
    with _locks[(id(leaf) >> 6) & 63]:
        leaf._accumulate(g, create_graph, shared)
