"""Batched arrays: many values that one program treats as one.  The batch axis of what they hold comes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..primitive import Primitive
from ..tensor import Tensor, _no_value, init
from ..views import noting
from . import namespace as ns


class Batched(Tensor):
    """``size`` arrays of one shape, stacked along the first axis of ``_a``, at one vmap level."""

    __slots__ = ()
    size_: int

    @property
    def _shape(self) -> tuple[int, ...]:
        return tuple(self._a.shape[1:])

    def _value(self) -> Any:
        _no_value(self)

    @noting
    def _interpret(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        rank = self._rank
        batched = [isinstance(a, Batched) and a._rank == rank for a in args]
        inner = [a._a if b else a for a, b in zip(args, batched, strict=True)]
        out = prim.batch(self.size_, inner, batched, params)
        if prim.outputs is not None:
            return tuple(make(o, self.size_, rank) for o in out)
        return make(out, self.size_, rank)

    def _hold(self, result: Tensor) -> None:
        super()._hold(result)
        if result._rank < self._rank:
            self._a = ns.boxes.broadcast_to(result, (self.size_, *result.shape))


def make(a: Any, size: int, rank: int) -> Batched:
    b: Batched = init(object.__new__(Batched), a)
    b._rank, b.size_ = rank, size
    return b
