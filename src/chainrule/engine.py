"""The reverse sweep: from results back to leaves, in the order of creation reversed.

A node's inputs always have smaller numbers than the node: taking pending nodes by the largest number first is a
topological order, found with a heap and without recursion, however deep the graph.

The same sweep serves numbers and graphs.  For numbers the rules get raw arrays.  Under ``create_graph``
they get Tensors, so what the rules do is recorded in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from heapq import heappop, heappush
from typing import Any

from . import errors
from .errors import explained
from .modes import OFF, ON, current, enter
from .node import Box, Extra, Node, Nowhere, Several, check_versions

running: ContextVar[Sweep | None] = ContextVar("chainrule.sweep", default=None)  # the one whose hook is called


_NOTHING: dict[Any, Any] = {}


class Sweep:
    """How one reverse sweep is to run.  ``fit(xp, g, shape, dtype)`` undoes broadcasting and casts."""

    def __init__(self, xp: Any, fit: Any, wrap: Callable[[Any], Any], keep: bool, create_graph: bool) -> None:
        self.xp = xp
        self.fit = fit
        self.wrap = wrap  # a raw cotangent as what hooks are shown
        self.keep = keep
        self.create_graph = create_graph
        self.shared: set[int] = set()  # ids of arrays that somebody outside the sweep holds
        self.targets: set[Any] | None = None  # the edges whose cotangents are asked for; None: every leaf's
        self.recorded: bool | None = True  # if the rules get Tensors, whether to record; None: as it is outside
        self.wanted: set[Any] | None = None  # nodes worth visiting; None: all
        self.watch: Any = None  # in anomaly mode, who looks at what rules give and is told of errors
        self.capture: dict[Any, Any] = _NOTHING  # the cotangents of the targets that are nodes

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
                    params, alone, several = node.params, node.alone, None
                    if careful or (extra is not None and not extra.plain):
                        several = cotangents(self, node, extra, g, saved)
                    elif alone is not None:  # one edge, and most often the way goes on there
                        gi = alone(xp, g, saved, params)
                        seq = -node.next._seq
                        if seq and gi is not None and (not heap or seq < heap[0]):
                            node, g = node.next, gi
                            continue
                        if not seq and gi is not None:
                            leaves[node.next] = leaves[node.next] + gi if node.next in leaves else gi
                            break
                        several = [gi]
                    elif not (pulls := node.pulls):
                        several = cotangents(self, node, extra, g, saved)
                    edges = node.next if alone is None else (node.next,)
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
