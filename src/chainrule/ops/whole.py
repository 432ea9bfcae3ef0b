"""Operations that PyTorch has as one, and that are several here: in a graph they look like one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from ..node import Node, Port, more, next_seq, public_edge
from ..recording import VariadicNode
from ..saved import edge
from ..tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])


def whole(label: str) -> Callable[[F], F]:
    """The results of the function are shown with nodes of this name, which lead on to the tensors it was given.

    Only the looks change: the steps between are there for sweeps and explanations, and what hooks on the node are
    told is about the last of them.
    """

    def dress(function: F) -> F:
        @functools.wraps(function)
        def dressed(*args: Any, **kwargs: Any) -> Any:
            start = next_seq()
            found = function(*args, **kwargs)
            if type(found) is Tensor:
                if found._node is not None:
                    show(label, start, found, args, kwargs)
            else:
                for out in found if isinstance(found, (tuple, list)) else (found,):
                    if isinstance(out, Tensor) and out._node is not None:
                        show(label, start, out, args, kwargs)
            return found

        return dressed  # type: ignore[return-value]

    return dress


def show(label: str, start: int, out: Tensor, args: Any, kwargs: Any) -> None:
    """Have the node of ``out`` look so, if it was made after ``start``."""
    node: Any = out._node
    if type(node) is Port:
        node = node.parent
    if node._seq < start or (node.prim is None and type(node) is not VariadicNode):
        return
    given = [a for b in (*args, *kwargs.values()) for a in (b if isinstance(b, (tuple, list)) else (b,))]
    into = tuple([edge(a) for a in given if isinstance(a, Tensor) and a._dtype.kind in "fc"])
    known = {id(e) for e in into}
    if node.name() != label or any(e is not None and id(e) not in known for e in node.edges):
        cls: Any = type(node)
        node.__class__ = _shown_as(cls, label)
        more(node).into = into


def clone_as(label: str, x: Tensor) -> Tensor:
    """A copy, whose node has this name."""
    found: Tensor = _clones(label)(x)
    return found


@functools.cache
def _clones(label: str) -> Any:
    return whole(label)(Tensor.clone)


@functools.cache
def _shown_as(cls: type[Node], label: str) -> type[Node]:
    body = {"__slots__": (), "name": lambda _: label, "next_functions": property(_next_functions), "_named": True}
    return type(label, (cls,), body)


def _next_functions(self: Node) -> tuple[tuple[Any, int], ...]:
    return tuple([public_edge(e) for e in more(self).into])
