"""Results: what the tensors are that a captured function gives back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays.traced import bare
from ..node import Node
from ..tensor import Tensor
from .captured import Detached, Plain, Result, Same, Value, View
from .program import Atom
from .watching import Uncompilable

if TYPE_CHECKING:
    from .capture import Capture


class Results:
    """What the tensors are that a function gives back."""

    def __init__(self, capture: Capture, leaves: Sequence[Any]) -> None:
        self.capture = capture
        for y in leaves:
            if isinstance(y, Tensor) and id(y) not in capture.made:
                bare(y._a)  # given back as it came, which counts as read
        self.index = {id(t): i for i, (t, _) in enumerate(capture.seen.values())}
        self.tensors = [t for t, _ in capture.seen.values()]
        # By the last step from a base, tensors read that are views of it.
        metas = [t._meta for t in self.tensors]
        self.views = {id(m.last): i for i, m in enumerate(metas) if m is not None and m.base is not None}
        self.inputs = {id(a): i for i, (_, a) in enumerate(capture.seen.values())}
        self.outputs: list[Atom] = []
        self.roots: list[tuple[int, Tensor]] = []  # outputs that have a history
        self._known: dict[int, Result] = {}  # of a tensor, by identity: returned twice it is one tensor
        self._arrays: dict[int, int] = {}  # the output that has a traced array, by the array's identity

    def of(self, y: Any) -> Result:
        """What one leaf of the result is."""
        if not isinstance(y, Tensor):
            return Plain(_harmless(y))
        if id(y) not in self._known:
            self._known[id(y)] = self._of(y)
        return self._known[id(y)]

    def _of(self, y: Tensor) -> Result:
        if id(y) not in self.capture.made:
            return Same(self.index[id(y)])
        base = None if y._meta is None else y._meta.base
        if base is not None and id(base) in self.index:
            return View(self.index[id(base)], y._meta.chain, outside=True)
        if base is not None and (view := self._of_view(y) or self._of_cut(y, base)) is not None:
            return view
        if base is not None and isinstance(known := self._known.get(id(base)), Value) and (base._node or not base._rg):
            return View(known.index, y._meta.chain, outside=False)
        if (y._meta is not None and y._meta.retains) or y._grad is not None:
            raise Uncompilable("it returns a tensor with a gradient of its own, or one that retains it")
        a, spent = bare(y._a), _is_spent(y._node)
        atom = self.capture.atom(a)
        if y._node is None and id(a) in self.inputs:
            i = self.inputs[id(a)]
            return Detached(i, y._rg, outside=True, counted=self._counted(y, i))
        if y._node is None and id(a) in self._arrays:
            return Detached(self._arrays[id(a)], y._rg, outside=False)
        n = len(self.outputs)
        if y._rg and y._node is not None and not spent:
            self.roots.append((n, y))
        self.outputs.append(atom)
        self._arrays.setdefault(id(a), n)
        return Value(n, leaf=y._rg and y._node is None, spent=_stub(y._node) if spent else None)

    def _of_view(self, y: Tensor) -> View | None:
        """A view of a tensor read that is a view itself."""
        found: list[Any] = []
        last = y._meta.last
        while last is not None:
            if id(last) in self.views:
                return View(self.views[id(last)], tuple(reversed(found)), outside=True)
            last, *step = last
            found.append(tuple(step))
        return None

    def _of_cut(self, y: Tensor, base: Tensor) -> View | None:
        """A view of a tensor read that was cut from its graph first."""
        i = None if base._node is not None else self.inputs.get(id(bare(base._a)))
        return None if i is None else View(i, y._meta.chain, True, "detach()" if self._counted(base, i) else "data")

    def _counted(self, y: Tensor, i: int) -> bool:
        """Whether writes to y count as writes to a tensor read."""
        return y._v is not None and y._v is self.tensors[i]._v


def _is_spent(node: Any) -> bool:
    """Whether some of the history from a node on was swept and freed."""
    todo, seen = [node], set()
    while todo:
        node = todo.pop()
        if node is None or not node._seq or node in seen:
            continue
        seen.add(node)
        if node.saved is None and (node.extra is None or node.extra.packed is None):
            return True
        todo += node.edges
    return False


def _stub(node: Any) -> Node:
    """A freed node of the same kind, that nothing is behind."""
    stub: Node = object.__new__(type(node.public))
    Node.__init__(stub, None if stub.place is not None else (None,) * len(node.public.edges), None, None, {}, None)
    return stub


def _harmless(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.dtype, type)):
        return value
    if type(value).__module__.startswith("chainrule.") and type(value).__name__ in ("dtype", "device"):
        return value
    raise Uncompilable(f"it returns a {type(value).__name__}, which may hold what only the first run computed")
