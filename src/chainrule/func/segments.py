"""A function cut into pieces of which only the ends are kept: gradients in little memory, at twice the work."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from .. import backward
from ..arrays.namespace import dtype_of
from ..arrays.traced import Traced, bare
from ..errors import no_value
from ..primitive import Primitive, bind, compute, table
from ..tensor import Tensor, lower, wrap
from . import tree
from .levels import as_tensor


class Slot(int):
    """The number of a value in a :class:`Trace`."""


class Trace:
    """What ``func`` does at x, one operation after another, with the values themselves forgotten.

    It holds for every x of these shapes; a branch on a value is an error.
    """

    inside = 0

    def __init__(self, func: Callable[[Any], Any], x: Any) -> None:
        self.steps: list[tuple[Primitive, tuple[Any, ...], dict[str, Any], tuple[Slot, ...]]] = []
        self.bytes: list[int] = []
        xs, rebuild = tree.flatten(x)
        out = func(rebuild([wrap(self._traced(bare(as_tensor(a).detach()))) for a in xs]))
        self.inputs = [Slot(i) for i in range(len(xs))]
        found = bare(out)
        self.output = Slot(found.var) if isinstance(found, Traced) else found

    def _traced(self, a: Any) -> Traced:
        self.bytes.append(math.prod(a.shape) * dtype_of(a).itemsize)
        return Traced(self, Slot(len(self.bytes) - 1), a)

    def record(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        found = compute(prim, tuple([a.example if isinstance(a, Traced) else a for a in args]), params)
        outs = tuple(map(self._traced, (found,) if prim.outputs is None else found))
        atoms = tuple([a.var if isinstance(a, Traced) else a for a in args])
        self.steps.append((prim, atoms, params, tuple([o.var for o in outs])))
        return outs[0] if prim.outputs is None else outs

    def given(self, a: Any) -> Traced:
        found: Traced = self.record(table["Clone"], (a,), {})
        return found

    def no_value(self, a: Traced) -> NoReturn:
        raise RuntimeError(no_value(a))

    def layout(self, a: Traced) -> Any:
        return a.example

    def shown(self, a: Traced) -> None:
        """A print of a value: harmless."""

    def kept(self) -> int:
        """The bytes that a graph of all of it keeps for the way back."""
        found: set[Slot] = set()
        for prim, atoms, _, outs in self.steps:
            if prim.differentiable and not prim.variadic:
                out, *args = prim.keeps(tuple([isinstance(s, Slot) for s in atoms]))[0]
                found.update(outs if out else ())
                found.update(s for s, keep in zip(atoms, args, strict=True) if keep and isinstance(s, Slot))
        return sum(self.bytes[s] for s in found)

    def cuts(self) -> list[int]:
        """Where to cut, so that as many ends are kept as there are steps between two of them."""
        n = len(self.steps)
        pieces = max(1, math.isqrt(n))
        return [round(n * k / pieces) for k in range(pieces + 1)]

    def ends(self) -> list[list[Slot]]:
        """For each cut the values before it that are needed after it."""
        last = {slot: k for k, (_, atoms, _, _) in enumerate(self.steps) for slot in atoms if isinstance(slot, Slot)}
        last[self.output] = len(self.steps)
        born = {slot: k + 1 for k, (_, _, _, outs) in enumerate(self.steps) for slot in outs}
        return [[s for s, end in last.items() if born.get(s, 0) <= cut <= end] for cut in self.cuts()]

    def memory(self) -> int:
        """The bytes that :meth:`gradient` keeps at a time: all ends, and one piece."""
        ends, cuts = self.ends(), self.cuts()
        pieces = [
            sum(self.bytes[o] for *_, outs in self.steps[a:b] for o in outs)
            for a, b in zip(cuts, cuts[1:], strict=False)
        ]
        return sum(self.bytes[s] for s in set().union(*ends)) + max(pieces, default=0)

    def gradient(self, x: Any) -> Any:
        """The gradient of the one number that the function gives, each piece run again on the way back."""
        from ..utils.checkpoint import checkpoint

        xs, rebuild = tree.flatten(x)
        leaves = [as_tensor(a).detach().requires_grad_() for a in xs]
        values: dict[int, Any] = dict(zip(self.inputs, leaves, strict=True))
        cuts, ends = self.cuts(), self.ends()
        for a, b, before, after in zip(cuts, cuts[1:], ends, ends[1:], strict=False):
            made = checkpoint(lambda *v, a=a, b=b, i=before, o=after: self._run(a, b, i, o, v), *[values[s] for s in before],
                              use_reentrant=False)  # fmt: skip
            values = dict(zip(after, made, strict=True))
        found = backward.grad(values[self.output], leaves, allow_unused=True, materialize_grads=True)
        return rebuild(list(found))

    def _run(self, a: int, b: int, before: list[Slot], after: list[Slot], given: Sequence[Tensor]) -> tuple[Any, ...]:
        values: dict[int, Any] = dict(zip(before, given, strict=True))
        for prim, atoms, params, outs in self.steps[a:b]:
            args = tuple([values[s] if isinstance(s, Slot) else s for s in atoms])
            found = bind(prim, args, params)
            values.update(zip(outs, (found,) if prim.outputs is None else found, strict=True))
        return tuple([lower(values[s]) for s in after])
