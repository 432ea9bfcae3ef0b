"""Edges of a graph, and walks over it that are no sweeps; like them without recursion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from .node import Node, Nowhere, Port


class GradientEdge(NamedTuple):
    """Where the gradient of a tensor goes: to output ``output_nr`` of ``node``.

    ``backward`` and ``grad`` take it in the place of the tensor, which need not live on.

    Source: ``torch.autograd.graph.GradientEdge``.
    """

    node: Any
    output_nr: int
    ownership_token: Any = None  # what keeps the graph alive where ``node`` does not


def inner_edge(of: GradientEdge) -> Any:
    """The edge as the engine has it: a node, or a leaf."""
    node, number, token = of
    if hasattr(node, "variable"):
        return node.variable
    if isinstance(token, Node):
        return token
    if not isinstance(node, Node):  # a call of a user's Function
        return node._node.edge_to(number)
    return Port(node, number) if number else node


def reachable(edges: Sequence[Any], targets: Any) -> set[Any] | None:
    """The nodes on a path from ``edges`` to one of ``targets`` (nodes or leaves); None if that is all of them."""
    if len(edges) == 1:  # a chain to a leaf needs no bookkeeping
        node = edges[0]
        while node._seq and node not in targets:
            ahead = node.next
            if type(ahead) is tuple:
                live = [e for e in ahead if e is not None]
                if len(live) != 1:
                    break
                (ahead,) = live
            node = ahead
        if not node._seq and node in targets:
            return None
    seen = {e for e in edges if e._seq}
    stack = list(seen)
    while stack:
        for e in stack.pop().edges:
            if e is not None and e._seq and e not in seen:
                seen.add(e)
                stack.append(e)
    wanted: set[Any] = set()
    for node in sorted(seen, key=_sequence) if len(seen) > 1 else seen:  # inputs before the nodes that use them
        for e in node.edges:
            if e is not None and (e in targets or e in wanted):
                wanted.add(node)
                break
    return wanted


_sequence = attrgetter("_seq")


def behind(*edges: Any) -> Iterator[Node]:
    """The nodes of the graph behind ``edges``, each once."""
    seen: set[Any] = set()
    stack = list(edges)
    while stack:
        node = stack.pop()
        if node is None or not node._seq or type(node) is Nowhere or node in seen:
            continue
        seen.add(node)
        stack.extend(node.edges)
        yield node


def free(edge: Any) -> None:
    """Drop what the graph behind ``edge`` saved; a later sweep through it raises the freed-graph error."""
    for node in behind(edge):
        node.release()


def visited(sweep: Any, edges: set[Any]) -> set[Any]:
    """Those of ``edges``, nodes or leaves, to which a running sweep comes, or has come."""
    targets, wanted = sweep.targets, sweep.wanted
    if wanted is not None:
        return {e for e in edges if e in wanted or e in targets}
    seen: set[Any] = set()
    stack = [root for root, _ in sweep.roots]
    while stack:
        edge = stack.pop()
        if edge is not None and edge not in seen:
            seen.add(edge)
            if edge._seq:
                stack.extend(edge.edges)
    return {e for e in edges & seen if e._seq or targets is None or e in targets}
