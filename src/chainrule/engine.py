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
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from heapq import heappop, heappush
from typing import Any, ClassVar, NoReturn

from . import errors
from .errors import explained
from .modes import OFF, ON, current, enter

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
    alone: ClassVar[tuple[Any, ...]] = ()  # the one pull, where ``place`` says which
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
        return tuple(public_edge(e) for e in self.as_shown(self.edges))

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


running: ContextVar[Sweep | None] = ContextVar("chainrule.sweep", default=None)  # the one whose hook is called


class Sweep:
    """How one reverse sweep is to run.  ``fit(xp, g, shape, dtype)`` undoes broadcasting and casts."""

    targets: set[Any] | None = None  # the edges whose cotangents are asked for; None: every leaf's
    recorded: bool | None = True  # if the rules get Tensors, whether that is to be recorded; None: as it is outside
    wanted: set[Any] | None = None  # nodes worth visiting; None: all
    watch: Any = None  # in anomaly mode, who looks at what rules give and is told of errors
    capture: dict[Any, Any] = {}  # the cotangents of the targets that are nodes

    def __init__(self, xp: Any, fit: Any, wrap: Callable[[Any], Any], keep: bool, create_graph: bool) -> None:
        self.xp = xp
        self.fit = fit
        self.wrap = wrap  # a raw cotangent as what hooks are shown
        self.keep = keep
        self.create_graph = create_graph
        self.shared: set[int] = set()  # ids of arrays that somebody outside the sweep holds

    def show(self, g: Any, of: Any = None) -> Any:
        """A cotangent, if it is known of which tensor, as hooks are shown it."""
        return g if self.create_graph else self.wrap(g) if of is None else of._wrap(g)

    def take(self, t: Any) -> Any:
        """The cotangent of what hooks have been shown, or returned, and may have kept."""
        if self.create_graph:
            return t
        self.shared.add(id(t._a))
        return t._a

    def ask(self, f: Callable[..., Any], *args: Any) -> Any:
        """What a hook, or a rule of the user's, gives: called with recording off unless under ``create_graph``."""
        mode, outer = current(), running.get()
        try:
            running.set(self)
            if mode.enabled and not self.create_graph:
                enter(OFF if mode is ON else mode.but(enabled=False))
            return f(*args)
        finally:  # nested, as a signal may come after each call
            try:
                enter(mode)
            finally:
                running.set(outer)

    def run(self, roots: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
        """Sweep from (edge, cotangent) pairs; returns each reached leaf's total cotangent."""
        self.roots = roots
        xp, keep, create_graph, wanted, capture = self.xp, self.keep, self.create_graph, self.wanted, self.capture
        picky, careful = bool(capture) or wanted is not None, self.watch is not None
        leaves: dict[Any, Any] = {}
        pending: dict[int, list[Any]] = {}  # -seq: [node, cotangent so far]
        heap: list[int] = []  # the keys of pending
        node: Any = None
        if len(roots) == 1 and roots[0][0]._seq:
            node, g = roots[0]
        else:
            self.start(roots, leaves, pending, heap)
        try:
            while node is not None or heap:
                if node is None:
                    node, g = pending.pop(heappop(heap))
                while node is not None:  # follows a chain without touching the heap
                    extra, saved, tensors = node.extra, node.saved, node.tensors
                    if picky:
                        needed = wanted is None or node in wanted
                        if node in capture:  # as PyTorch: before its hooks if they are yet to come, else after
                            capture[node] = g if needed or extra is None else arrived(self, extra, g)
                        if not needed:
                            break
                    if extra is not None and (extra.hooked or extra.capture is not None):
                        g = before(self, node, extra, g)
                        if g is None:
                            break
                    if saved is None:
                        if len(node.pulls) > 1 and all(e is None or type(e) is Nowhere for e in node.edges):
                            break  # nobody is behind it: nothing is missed, and PyTorch does not look
                        packed = None if extra is None else extra.packed
                        if packed is None:
                            raise explained(RuntimeError(errors.freed_graph(node)), "freed", node)
                        saved = self.ask(packed.open, node, create_graph)
                        if not keep:
                            extra.packed = None
                    if tensors is not None:
                        for t in tensors:
                            if t is not None and t._v is not None:
                                check_versions(node)
                                break
                        else:
                            if extra is not None and (cell := extra.cell) is not None and cell[0][0] != cell[1]:
                                check_versions(node)
                        if create_graph:
                            saved = node.unpack(saved)
                        if not keep:
                            node.saved = node.tensors = None
                    params, several, place = node.params, None, node.place
                    if careful or (extra is not None and not extra.plain) or not node.pulls:
                        several = cotangents(self, node, extra, g, saved)
                    elif place is not None:  # one edge, and most often the way goes on there
                        gi = node.alone[0](xp, g, saved, params)
                        seq = -node.next._seq
                        if seq and gi is not None and (not heap or seq < heap[0]):
                            node, g = node.next, gi
                            continue
                        if not seq and gi is not None:
                            leaves[node.next] = leaves[node.next] + gi if node.next in leaves else gi
                            break
                        several = [gi]
                    edges, pulls = (node.next, node.pulls) if place is None else ((node.next,), ())
                    follow = follow_g = None
                    for i, edge in enumerate(edges):
                        if edge is None:
                            continue
                        gi = pulls[i](xp, g, saved, params) if several is None else several[i]
                        if gi is None:
                            continue
                        seq = -edge._seq
                        if not seq:
                            leaves[edge] = leaves[edge] + gi if edge in leaves else gi
                        elif follow is edge:
                            follow_g = follow_g + gi
                        elif not heap:
                            if follow is None:
                                follow, follow_g = edge, gi
                            else:
                                pending[seq] = [edge, gi]
                                heap.append(seq)
                        elif seq in pending:
                            slot = pending[seq]
                            slot[1] = slot[1] + gi
                        elif follow is None and seq < heap[0]:
                            follow, follow_g = edge, gi
                        else:
                            pending[seq] = [edge, gi]
                            heappush(heap, seq)
                    if follow is None:
                        break
                    node, g = follow, follow_g
                    if heap and heap[0] < -node._seq:  # something newer came up beside it
                        pending[-node._seq] = [node, g]
                        heappush(heap, -node._seq)
                        break
                node = None
        except Exception as e:
            if self.watch is not None:
                self.watch.failed(node, e)
            if isinstance(e, MemoryError):
                raise errors.no_memory(node.name(), e) from None
            raise
        return leaves

    def start(self, roots: Any, leaves: dict[Any, Any], pending: dict[int, list[Any]], heap: list[int]) -> None:
        """Put several roots where the sweep finds them."""
        for edge, g in roots:
            seq = -edge._seq
            if not seq:
                leaves[edge] = leaves[edge] + g if edge in leaves else g
            elif seq in pending:
                pending[seq][1] = pending[seq][1] + g
            else:
                pending[seq] = [edge, g]
                heappush(heap, seq)


def cotangents(sweep: Sweep, node: Node, extra: Extra | None, g: Any, saved: Any) -> list[Any]:
    """The longer way through one node: inputs to fit, rules that answer for all inputs at once, hooks."""
    found = ruled(sweep, node, g, saved) if sweep.watch is None else sweep.watch.rule(sweep, node, g, saved)
    if extra is not None and extra.metas is not None:
        fit, xp = sweep.fit, sweep.xp
        found = [c if m is None or c is None else fit(xp, c, *m) for c, m in zip(found, extra.metas, strict=True)]
    if extra is not None and extra.hooked and (hooks := extra.hooks("post")):
        shown = [None if c is None else sweep.show(c) for c in node.as_shown(found)]
        seen = of_many(sweep, hooks, tuple(shown), _shown(sweep, node, g))
        taken = [None if t is None else sweep.take(t) for t in seen]
        back = range(len(found)) if node.shown is None else node.shown
        found = [taken[back.index(i)] if i in back else None for i in range(len(found))]
    return found if node.place is None else [found[node.place]]


def ruled(sweep: Sweep, node: Node, g: Any, saved: Any) -> list[Any]:
    """What a node's rules give, for each input."""
    if not node.pulls:
        return list(node.pull(sweep, g, saved))
    xp, params = sweep.xp, node.params
    return [None if e is None else p(xp, g, saved, params) for e, p in zip(node.edges, node.pulls, strict=True)]


def before(sweep: Sweep, node: Node, extra: Extra, g: Any) -> Any:
    """Hooks that see a node's cotangent before its rule runs, and ``retain_grad``."""
    g = arrived(sweep, extra, g)
    if extra.hooked and (hooks := extra.hooks("pre")):
        seen = of_many(sweep, hooks, _shown(sweep, node, g))
        if isinstance(g, Several):
            g = Several({n: sweep.take(t) for n, t in enumerate(seen) if t is not None})
        else:
            g = None if seen[0] is None else sweep.take(seen[0])
    return g


def arrived(sweep: Sweep, extra: Extra, g: Any) -> Any:
    """The cotangent of a tensor after the tensor's own hooks; ``retain_grad`` comes last of them."""
    if isinstance(g, Several):
        return g
    if extra.hooked and (hooks := extra.hooks("tensor")):
        g = sweep.take(of_one(sweep, hooks, sweep.show(g)))
    if extra.capture is not None and (owner := extra.capture()) is not None:
        owner._retain(sweep, g)
    return g


def _shown(sweep: Sweep, node: Node, g: Any) -> tuple[Any, ...]:
    """The cotangents of a node's outputs, as its hooks are shown them: None for one that has none."""
    if not isinstance(g, Several):
        return (sweep.show(g),)
    count = max(node.count, max(g.parts) + 1)
    return tuple([sweep.show(g.parts[n]) if n in g.parts else None for n in range(count)])


def of_one(sweep: Sweep, hooks: Mapping[int, Callable[..., Any]], g: Any) -> Any:
    """What the hooks, each in turn, leave of a gradient."""
    for hook in list(hooks.values()):
        found = sweep.ask(hook, g)
        if found is not None:
            g = _instead(hook, g, found)
    return g


def of_many(
    sweep: Sweep, hooks: Mapping[int, Callable[..., Any]], gs: tuple[Any, ...], *others: Any
) -> tuple[Any, ...]:
    """What the hooks, which are shown ``others`` too, leave of several gradients, any of which may be None."""
    for hook in list(hooks.values()):
        found = sweep.ask(hook, gs, *others)
        if found is None:
            continue
        if not isinstance(found, tuple):
            raise TypeError(f"expected tuple, but hook returned '{type(found).__name__}'")
        if len(found) != len(gs):
            raise RuntimeError(
                f"hook '{_name(hook)}' has returned an incorrect number of values "
                f"(got {len(found)}, but expected {len(gs)})"
            )
        gs = tuple([None if f is None else _instead(hook, g, f) for g, f in zip(gs, found, strict=True)])
    return gs


def _instead(hook: Callable[..., Any], g: Any, found: Any) -> Any:
    """``found``, which ``hook`` returned for ``g``, if it can stand in its place."""
    tensor = isinstance(found, Box)
    if not tensor:
        raise TypeError(f"expected Variable, but hook returned '{type(found).__name__}'")
    if g is None:
        raise RuntimeError("can't replace a None gradient with a non-None value")
    if found._dtype != g._dtype:
        was, got = (f"torch.{errors.scalar_type(t._dtype)}Tensor" for t in (g, found))
        raise RuntimeError(f"hook '{_name(hook)}' has changed the type of value (was {was} got {got})")
    if found.shape != g.shape:
        raise RuntimeError(f"hook '{_name(hook)}' has changed the size of value")
    return found


def _name(hook: Callable[..., Any]) -> str:
    return getattr(hook, "__name__", "<unknown>")


def check_versions(node: Node) -> None:
    """PyTorch's error when a value that was saved for backward has been written to since."""
    extra, tensors = node.extra, node.tensors
    versions = None if extra is None else extra.versions
    for i in range(len(tensors) - 1, -1, -1):  # the order in which PyTorch unpacks them
        t = tensors[i]
        if t is not None and t._v is not None:
            expected = (versions[i] or 0) if versions else 0
            if t._rg and t._v[0] == expected:
                continue
            edge = node.edges[i]
            if not t._rg and edge is not None and edge._seq:
                raise RuntimeError(errors.DETACHED)
            if t._v[0] != expected and needs(node, i):
                raise explained(RuntimeError(errors.modified_in_place(node, t, t._v[0], expected)), "in place", node, t)
    if extra is not None and extra.cell is not None:
        cell, expected = extra.cell
        if cell[0] != expected:
            message = errors.modified_in_place(node, node.saved[0], cell[0], expected, output=True)
            raise explained(RuntimeError(message), "in place", node, cell)


def needs(node: Node, i: int) -> bool:
    """Whether input ``i`` is needed for a cotangent that goes anywhere."""
    going = tuple(e is not None and type(e) is not Nowhere for e in node.edges)
    return node.prim is None or node.place is not None or bool(node.prim.keeps(going)[0][i + 1])
