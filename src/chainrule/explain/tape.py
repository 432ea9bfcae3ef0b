"""A graph read as a list: what went in, each step with its value, and the gradients of one sweep back.

A node keeps only what its rules need, so a value is taken from whoever kept it, or computed again from the
values before it by the same primitive; a constant that nobody kept is solved for where the step is a sum.
The gradients are those of a real sweep, seen by hooks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import backward, errors
from ..creation import ones_like
from ..errors import explained
from ..holder import ground
from ..node import Node, Nowhere, Port
from ..primitive import Primitive, bind
from ..tensor import Tensor
from .names import Line, Names

Values = dict["Item", Any]


@dataclass(eq=False)
class Item:
    """A value that takes part: an input, a constant, or the result of a step.

    ``value`` is None where nobody kept it; ``arrived`` is the gradient with respect to it, ``left`` what the
    step handed on to each of its ``args``.
    """

    name: str
    kind: str  # "input", "constant", "step" or "part", one output of a step that has several
    edge: Any = None  # the leaf, or the node
    shape: tuple[int, ...] | None = None
    value: Any = None
    prim: Primitive | None = None
    label: str = ""
    args: tuple[Item, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)
    number: int = 0  # of a part
    arrived: Any = None
    left: tuple[Any, ...] = ()
    order: int | None = None  # when the sweep came here
    line: Line | None = None
    named: bool = False  # by the user

    @property
    def leaf(self) -> bool:
        return self.kind in ("input", "constant")

    def apply(self, args: Sequence[Any]) -> Any:
        """The step on other arguments, of any kind of array, in float64."""
        if self.kind == "part":
            return args[0][self.number]
        if self.prim is None:
            raise Opaque(self)
        params = self.params  # a cast to single precision would hide how a result moves with its arguments
        if np.dtype(params.get("dtype", bool)).kind == "f":
            params = {**params, "dtype": np.dtype(np.float64)}
        return bind(self.prim, tuple(args), params)


class Opaque(Exception):
    """A step that only runs as it ran: a user's Function."""

    def __init__(self, item: Item) -> None:
        super().__init__(f"{item.name} is made by {item.label}, whose formula is not known")
        self.item = item


@dataclass
class Tape:
    """``items`` in the order in which they came to be; ``root`` is the result, ``inputs`` what it depends on."""

    items: list[Item]
    root: Item
    inputs: list[Item]

    @property
    def steps(self) -> list[Item]:
        return [i for i in self.items if i.kind == "step"]

    @property
    def swept(self) -> list[Item]:
        """The steps that the sweep came to, in its order."""
        return sorted((i for i in self.steps if i.order is not None), key=lambda i: i.order or 0)

    def replay(self, given: Mapping[Item, Any], lift: Callable[[Any], Any], check: Any = None) -> Values:
        """All values again, from other values of some items; ``lift`` makes an array of a constant or an input.

        Raises Opaque at a step that cannot be repeated, and ValueError at a constant that is not known.
        """
        values: Values = dict(given)
        for item in self.items:
            if item in values:
                continue
            if item.leaf:
                if item.value is None:
                    raise ValueError(f"{item.name} was not kept")
                values[item] = lift(item.value)
            else:
                values[item] = item.apply([values[a] for a in item.args])
            if check is not None:
                check(values[item])
        return values


def number_like(value: Any) -> bool:
    """Whether a value is one of Python's numbers, as a user writes them; NumPy's are arrays here."""
    return type(value) in (bool, int, float, complex)


def read(y: Tensor, names: Names, stops: Sequence[Tensor] = ()) -> Tape:
    """The tape of ``y``: back to the leaves, or to the tensors ``stops`` where it meets them first.

    Those are inputs whether it meets them or not, and come before other inputs.
    """
    ends = {_edge(t): t for t in stops}
    nodes = _nodes(_edge(y), set(ends))
    items: dict[Any, Item] = {}
    found: list[Item] = []
    used: set[str] = set()
    counters = {"t": 0, "c": 0, "x": 0}

    def title(prefix: str, *things: Any) -> tuple[str, bool]:
        name = next((n for t in things if t is not None and (n := names.of(t))), None)
        if name is not None and name not in used:
            used.add(name)
            return name, True
        while True:
            counters[prefix] += 1
            if (name := f"{prefix}{counters[prefix]}") not in used:
                used.add(name)
                return name, False

    def leaf(edge: Any, tensor: Tensor) -> Item:
        name, named = title("x", tensor, edge)
        item = Item(name, "input", edge, tensor._shape, _plain(tensor), named=named)
        items[edge] = item
        found.append(item)
        return item

    for edge, tensor in ends.items():
        leaf(edge, tensor)
    for node in nodes:
        for e in node.edges:
            if e is not None and not e._seq and e not in items:
                leaf(e, e)
    for node in nodes:
        item = _step(node, items, found, title)
        items[node] = item
        found.append(item)
    root = items[_edge(y)]
    root.value, root.shape = _plain(y), y._shape
    if not root.named and (name := names.of(y)) is not None and name not in used:
        root.name, root.named = name, True
    tape = Tape(found, root, [i for i in found if i.kind == "input"])
    _fill(tape)
    return tape


def _edge(t: Tensor) -> Any:
    return t if t._node is None else t._node


def _nodes(root: Any, stops: set[Any]) -> list[Node]:
    """The nodes behind ``root``, inputs before the nodes that use them."""
    seen: set[Any] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if node is None or not node._seq or node in seen or node in stops or type(node) is Nowhere:
            continue
        seen.add(node)
        stack.extend(node.edges)
    return sorted(seen, key=lambda n: n._seq)


def _step(node: Any, items: dict[Any, Item], found: list[Item], title: Any) -> Item:
    saved = _saved(node)
    prim = getattr(node, "rule", None) or node.prim
    kept = node.extra.__dict__.get("metadata", {}) if node.extra is not None else {}
    constants = kept.get("constants_")
    args = []
    for i, edge in enumerate(node.edges):
        if edge is not None and type(edge) is not Nowhere and edge in items:
            args.append(items[edge])
            continue
        value = constants[i] if constants is not None and i < len(constants) else None
        if value is None and len(saved) > i + 1:
            value = saved[i + 1]
        lent = node.tensors[i] if node.tensors and i < len(node.tensors) else None
        name = repr(value) if number_like(value) else title("c", lent, value)[0]
        shape = None if value is None else np.shape(_plain(value))
        args.append(Item(name, "constant", None, shape, _plain(value)))
        found.append(args[-1])
    if isinstance(node, Port):
        parent = items[node.parent]
        return Item(f"{parent.name}[{node.number}]", "part", node, args=(parent,), number=node.number)
    name, named = title("t", node)
    wanted = () if prim is None else prim.params
    params = {k: v for k, v in (node.params or {}).items() if k in wanted}
    label = node.name() if prim is None else prim.label
    item = Item(name, "step", node, prim=prim, label=label, args=tuple(args), params=params, named=named)
    if saved and saved[0] is not None and prim is not None and prim.outputs is None:
        item.value = _plain(saved[0])
    for arg, value in zip(args, saved[1:], strict=False):
        if value is not None and arg.value is None and arg.kind == "step":
            arg.value = _plain(value)
    if lines := kept.get("traceback_"):
        item.line = _parsed(lines[-1])
    return item


def _saved(node: Any) -> tuple[Any, ...]:
    packed = None if node.extra is None else node.extra.packed
    if packed is not None:
        return tuple(packed.open(node, False))
    if node.saved is None:
        raise explained(RuntimeError(errors.freed_graph(node)), "freed", node)
    return tuple(node.saved) if isinstance(node.saved, tuple) else ()


def _parsed(entry: str) -> Line:
    """A line as a traceback formats it."""
    head, _, rest = entry.strip().partition("\n")
    file, number, function = (part.strip() for part in (*head.split(", "), "")[:3])
    text = rest.strip().partition("\n")[0]
    return Line(file.removeprefix("File ").strip('"'), int(number.removeprefix("line ")), function[3:], text)


def _plain(value: Any) -> Any:
    return ground(value) if isinstance(value, Tensor) else value


def _fill(tape: Tape) -> None:
    """Compute what nobody kept, first forwards; then solve sums for constants, and go on."""
    for _ in range(3):
        unknown = False
        for item in tape.items:
            if item.value is None and not item.leaf:
                if all(a.value is not None for a in item.args) and (item.prim is not None or item.kind == "part"):
                    item.value = item.apply([a.value for a in item.args])
                else:
                    unknown = True
            if item.value is not None and item.shape is None:
                item.shape = () if item.prim is not None and item.prim.outputs else np.shape(item.value)
        if not unknown and all(i.value is not None for i in tape.items):
            return
        for item in reversed(tape.items):
            _solve(item)


def _solve(item: Item) -> None:
    """The constant in a sum or difference whose result is known."""
    if item.prim is None or type(item.prim).__name__ not in ("Add", "Sub") or item.value is None:
        return
    x, y = item.args
    if (x.value is None) == (y.value is None):
        return
    missing = y if y.value is None else x
    if missing.leaf:
        difference = item.value - x.value if missing is y else item.value - y.value
        if type(item.prim).__name__ == "Sub":
            difference = x.value - item.value if missing is y else item.value + y.value
        missing.value, missing.shape = difference, np.shape(difference)
        if np.ndim(difference) == 0:
            missing.name = f"{float(difference):.6g}"


# --- the sweep ---


def sweep(tape: Tape, y: Tensor, weight: Tensor | None = None) -> dict[Item, Any]:
    """Sweep back from ``y``, and note in each item what arrived and what left; the gradients of the inputs."""
    by_node = {item.edge: item for item in tape.items if item.kind == "step"}
    count = 0

    def watch(item: Item) -> Callable[[Any, Any], None]:
        def seen(inner: Sequence[Any], outer: Sequence[Any]) -> None:
            nonlocal count
            item.order, count = count, count + 1
            arrived = [None if g is None else _plain(g) for g in outer]
            item.arrived = arrived[0] if len(arrived) == 1 else arrived
            shown = item.edge.shown if item.edge.shown is not None else range(len(item.args))
            left: list[Any] = [None] * len(item.args)
            for place, g in zip(shown, inner, strict=False):
                left[place] = None if g is None else _plain(g)
            item.left = tuple(left)

        return seen

    handles = [node.register_hook(watch(item)) for node, item in by_node.items()]
    targets = [_tensor(item) for item in tape.inputs]
    try:
        found = backward.grad(y, targets, ones_like(y) if weight is None else weight, True, allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    for item, g in zip(tape.inputs, found, strict=True):
        item.arrived = None if g is None else _plain(g)
    return {item: item.arrived for item in tape.inputs}


def _tensor(item: Item) -> Any:
    """What ``grad`` is asked for: a leaf, or the edge of a tensor computed before."""
    if not item.edge._seq:
        return item.edge
    from ..graph import GradientEdge

    return GradientEdge(item.edge.public, item.edge.number if isinstance(item.edge, Port) else 0)
